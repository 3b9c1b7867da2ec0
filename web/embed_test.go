package web_test

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/web"
)

var handler = web.Handler()

func get(t *testing.T, path string, header ...string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Result(), w.Body.String()
}

func TestEveryFileThatThePageNamesIsServedForEver(t *testing.T) {
	res, page := get(t, "/")
	if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") || res.Header.Get("Cache-Control") != "no-cache" {
		t.Fatalf("page: %s, %v", res.Status, res.Header)
	}
	names := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(names) < 4 {
		t.Fatalf("the page names %d files", len(names))
	}
	for _, name := range names {
		res, _ := get(t, name[1])
		if res.StatusCode != 200 || res.Header.Get("Content-Type") == "" {
			t.Errorf("%s: %s, %v", name[1], res.Status, res.Header)
		}
		if kept := strings.Contains(res.Header.Get("Cache-Control"), "immutable"); kept != strings.HasPrefix(name[1], "/assets/") {
			t.Errorf("%s may be kept: %v", name[1], kept)
		}
	}
}

func TestPathsOfTheAppAreThePage(t *testing.T) {
	_, page := get(t, "/")
	for _, path := range []string{"/h/garden", "/h/garden/b/note", "/invite/code", "/account", "/admin", "/admin/users"} {
		if res, body := get(t, path); res.StatusCode != 200 || body != page {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	for _, path := range []string{"/no-such-file", "/assets/other/index.js", "/heap", "/index.html"} {
		if res, _ := get(t, path); res.StatusCode != 404 {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}

func TestPageAllowsNoInlineScript(t *testing.T) {
	res, page := get(t, "/")
	if policy := res.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	if regexp.MustCompile(`<script[^>]*>[^<]|<style|\son\w+=|\sstyle=`).MatchString(page) {
		t.Errorf("the page has scripts or styles that its policy forbids: %s", page)
	}
}

func TestUnchangedPageIsNotSentAgain(t *testing.T) {
	first, _ := get(t, "/")
	etag := first.Header.Get("ETag")
	if res, body := get(t, "/", "If-None-Match", etag); etag == "" || res.StatusCode != 304 || body != "" {
		t.Errorf("ETag %q: %s", etag, res.Status)
	}
}

func TestFilesArePacked(t *testing.T) {
	_, page := get(t, "/")
	path := regexp.MustCompile(`src="(/assets/[^"]+\.js)"`).FindStringSubmatch(page)[1]
	_, plain := get(t, path)
	res, packed := get(t, path, "Accept-Encoding", "br, gzip")
	if res.Header.Get("Content-Encoding") != "gzip" || len(packed) >= len(plain) {
		t.Fatalf("%v, %d bytes of %d", res.Header, len(packed), len(plain))
	}
	z, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(z); err != nil || string(got) != plain {
		t.Errorf("unpacked to %d bytes, %v", len(got), err)
	}
}

func TestManifestAndServiceWorkerNameFilesThatAreThere(t *testing.T) {
	res, text := get(t, "/manifest.webmanifest")
	var manifest struct {
		Icons []struct{ Src string }
	}
	if err := json.Unmarshal([]byte(text), &manifest); err != nil || len(manifest.Icons) == 0 || res.Header.Get("Content-Type") != "application/manifest+json" {
		t.Fatalf("manifest: %v, %v", err, res.Header)
	}
	for _, icon := range manifest.Icons {
		if res, _ := get(t, icon.Src); res.StatusCode != 200 {
			t.Errorf("%s: %s", icon.Src, res.Status)
		}
	}
	res, worker := get(t, "/sw.js")
	if res.StatusCode != 200 || res.Header.Get("Cache-Control") != "no-cache" {
		t.Fatalf("service worker: %s, %v", res.Status, res.Header)
	}
	base := regexp.MustCompile(`/assets/[0-9a-f]+/`).FindString(worker)
	files := regexp.MustCompile(`"([\w.]+\.(?:js|css|svg))"`).FindAllStringSubmatch(worker, -1)
	if base == "" || len(files) < 5 {
		t.Fatalf("the service worker names %d files below %q", len(files), base)
	}
	for _, file := range files {
		if res, _ := get(t, base+file[1]); res.StatusCode != 200 {
			t.Errorf("%s: %s", base+file[1], res.Status)
		}
	}
}
