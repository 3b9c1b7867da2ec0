package syncserver_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/syncserver"
)

func TestOpenAPIDescribesEveryRoute(t *testing.T) {
	w := newWorld(t)
	a := w.call(t, "GET", "/api/openapi.json", "", nil).want(t, "description", 200, "")
	var api struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Summary     string
			Security    []map[string][]string
		}
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal([]byte(a.text), &api); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(api.OpenAPI, "3.1") {
		t.Errorf("OpenAPI %s", api.OpenAPI)
	}
	ids := map[string]bool{}
	for _, rt := range w.Routes() {
		method, path, _ := strings.Cut(rt.Pattern, " ")
		if rt.Pattern == "/" || rt.Pattern == "GET /api/docs/{file}" {
			continue
		}
		op, found := api.Paths[strings.NewReplacer("{$}", "", "{stats}", "stats").Replace(path)][strings.ToLower(method)]
		switch needsToken := len(op.Security) == 1; {
		case !found:
			t.Errorf("%s is not described", rt.Pattern)
		case op.Summary == "" || ids[op.OperationID]:
			t.Errorf("%s: summary %q, id %q", rt.Pattern, op.Summary, op.OperationID)
		case needsToken != slices.Contains([]string{"member", "admin", "media"}, rt.Access):
			t.Errorf("%s: security %v, but it is for %s", rt.Pattern, op.Security, rt.Access)
		}
		ids[op.OperationID] = true
	}
	for _, ref := range regexp.MustCompile(`"\$ref":"#/components/schemas/([^"]*)"`).FindAllStringSubmatch(a.text, -1) {
		if api.Components.Schemas[ref[1]] == nil {
			t.Errorf("no schema %s", ref[1])
		}
	}
}

func TestDocsPageHasAllItNeeds(t *testing.T) {
	w := newWorld(t)
	page := w.call(t, "GET", "/api/docs", "", nil).want(t, "page", 200, "").text
	for _, file := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		for _, encoding := range []string{"", "gzip, br"} {
			a := w.call(t, "GET", "/api/"+file[1], "", nil, "Accept-Encoding", encoding)
			a.want(t, file[1], 200, "")
			if packed := a.header.Get("Content-Encoding") == "gzip"; packed != strings.HasPrefix(a.text, "\x1f\x8b") {
				t.Errorf("%s for %q: Content-Encoding %q", file[1], encoding, a.header.Get("Content-Encoding"))
			}
		}
	}
	w.call(t, "GET", "/api/docs/nothing.js", "", nil).want(t, "no file", 404, "not_found")
}

func TestMetrics(t *testing.T) {
	w := newWorld(t)
	w.call(t, "GET", "/api/", "", nil)
	w.call(t, "GET", "/api/me", "", nil)
	text := w.call(t, "GET", "/metrics", "", nil).want(t, "metrics", 200, "").text
	for _, line := range []string{
		"heapsync_ws_connections 0\n",
		"heapsync_commit_queue 0\n",
		`heapsync_http_request_seconds_count{problem="",route="GET /api/{$}"} 1` + "\n",
		`heapsync_http_request_seconds_count{problem="unauthorized",route="GET /api/me"} 1` + "\n",
		"go_goroutines ",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
}

func TestMetricsWithAToken(t *testing.T) {
	w := newWorld(t, func(c *syncserver.Config) { c.MetricsToken = "scraper" })
	w.call(t, "GET", "/metrics", "", nil).want(t, "without", 401, "unauthorized")
	w.call(t, "GET", "/metrics", "scrapes", nil).want(t, "another", 401, "unauthorized")
	w.call(t, "GET", "/metrics", "scraper", nil).want(t, "with it", 200, "")
}
