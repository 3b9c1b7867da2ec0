package web_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/web"
)

func get(t *testing.T, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	web.Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestEveryFileThatThePageNamesIsServed(t *testing.T) {
	w := httptest.NewRecorder()
	web.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Fatalf("page: %d %s", w.Code, w.Header().Get("Content-Type"))
	}
	names := regexp.MustCompile(`(?:src|href)="([\w.]+)"`).FindAllStringSubmatch(w.Body.String(), -1)
	if len(names) == 0 {
		t.Fatal("the page names no file")
	}
	for _, name := range names {
		if res := get(t, "/"+name[1]); res.StatusCode != 200 {
			t.Errorf("%s: %s", name[1], res.Status)
		}
	}
	if res := get(t, "/no-such-file"); res.StatusCode != 404 {
		t.Errorf("absent file: %s", res.Status)
	}
}

func TestPageAllowsNoInlineScript(t *testing.T) {
	policy := get(t, "/").Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
}

func TestUnchangedFileIsNotSentAgain(t *testing.T) {
	etag := get(t, "/app.js").Header.Get("ETag")
	if res := get(t, "/app.js", "If-None-Match", etag); etag == "" || res.StatusCode != 304 {
		t.Errorf("ETag %q: %s", etag, res.Status)
	}
}
