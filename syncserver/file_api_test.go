package syncserver_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
)

// noise is n bytes that are the same each time.
func noise(n int) string {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(p) // never fails
	return string(p)
}

func (s *shared) raw(t testing.TB, who, path string, headers ...string) answer {
	t.Helper()
	return s.call(t, "GET", path, s.token[who], nil, headers...)
}

func TestRangesAreSlicesOfTheFile(t *testing.T) {
	s := newShared(t)
	const size = 200_000
	content := noise(size)
	s.upload(t, "ada", "f", content, object{"name": "a.bin"})
	etag := `"` + hexOf(content) + `"`
	modified := s.raw(t, "ada", "/api/file/f/raw/a.bin").header.Get("Last-Modified")
	for _, tt := range []struct {
		ranges  string
		status  int
		want    string // the body, or what Content-Range says
		headers []string
	}{
		{"", 200, content, nil},
		{"bytes=0-0", 206, content[:1], nil},
		{"bytes=0-", 206, content, nil},
		{"bytes=0-199999", 206, content, nil},
		{"bytes=100-199", 206, content[100:200], nil},
		{"bytes=199999-199999", 206, content[size-1:], nil},
		{"bytes=199999-", 206, content[size-1:], nil},
		{"bytes=199990-999999999", 206, content[size-10:], nil},
		{"bytes=-1", 206, content[size-1:], nil},
		{"bytes=-1000", 206, content[size-1000:], nil},
		{"bytes=-999999999", 206, content, nil},
		{"bytes= 5-9", 206, content[5:10], nil},
		{"bytes=200000-", 416, "bytes */200000", nil},
		{"bytes=200000-200001", 416, "bytes */200000", nil},
		{"bytes=-0", 416, "bytes */200000", nil},
		{"bytes=-0", 304, "", []string{"If-None-Match", etag}},
		{"bytes=-0", 200, content, []string{"If-Range", `"other"`}},
		{"bytes=0-9,-0", 200, content, nil},
		{"bytes=9-5", 200, content, nil}, // these are no ranges
		{"bytes=a-b", 200, content, nil},
		{"bytes=-", 200, content, nil},
		{"bytes=1", 200, content, nil},
		{"bytes=--1", 200, content, nil},
		{"bytes=+1-2", 200, content, nil},
		{"bytes=1-99999999999999999999", 200, content, nil},
		{"bytes=", 200, content, nil},
		{"lines=1-2", 200, content, nil},
		{"bytes=1-2,200000-", 206, content[1:3], nil},
		{"bytes=0-9", 206, content[:10], []string{"If-Range", etag}},
		{"bytes=0-9", 206, content[:10], []string{"If-Range", modified}},
		{"bytes=0-9", 200, content, []string{"If-Range", `"other"`}},
		{"bytes=0-9", 200, content, []string{"If-Range", "W/" + etag}},
		{"bytes=0-9", 200, content, []string{"If-Range", "Mon, 02 Jan 2006 15:04:05 GMT"}},
		{"bytes=0-9", 206, content[:10], []string{"If-Match", etag}},
		{"bytes=0-9", 412, "", []string{"If-Match", `"other"`}},
		{"bytes=0-9", 304, "", []string{"If-None-Match", etag}},
		{"", 304, "", []string{"If-None-Match", `"other", ` + etag}},
		{"", 304, "", []string{"If-None-Match", "W/" + etag}},
		{"", 200, content, []string{"If-None-Match", `"other"`}},
		{"", 304, "", []string{"If-Modified-Since", modified}},
		{"", 200, content, []string{"If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT"}},
		{"", 412, "", []string{"If-Unmodified-Since", "Mon, 02 Jan 2006 15:04:05 GMT"}},
		{"bytes=1-2,2-3,3-4,4-5,5-6,6-7,7-8,8-9,9-10", 200, content, nil}, // too many
		{"bytes=0-,0-,0-", 200, content, nil},                             // more than the whole
	} {
		for _, route := range []string{"/api/file/f/raw/a.bin", "/api/stream/f/a.bin"} {
			for _, method := range []string{"GET", "HEAD"} {
				what := fmt.Sprint(method, " ", route, " ", tt.ranges, " ", tt.headers)
				headers := tt.headers
				if tt.ranges != "" {
					headers = append([]string{"Range", tt.ranges}, headers...)
				}
				a := s.call(t, method, route, s.token["ada"], nil, headers...)
				switch {
				case a.status != tt.status:
					t.Errorf("%s: %d, want %d", what, a.status, tt.status)
				case a.status == 416 && (a.header.Get("Content-Range") != tt.want || a.str("code") != "range_not_satisfiable"):
					t.Errorf("%s: Content-Range %q, %s", what, a.header.Get("Content-Range"), a.text)
				case a.status == 416:
				case method == "HEAD" && a.status < 300 && a.header.Get("Content-Length") != strconv.Itoa(len(tt.want)):
					t.Errorf("%s: Content-Length %s, want %d", what, a.header.Get("Content-Length"), len(tt.want))
				case method == "GET" && a.text != tt.want:
					t.Errorf("%s: %d bytes, want %d", what, len(a.text), len(tt.want))
				case a.status < 400 && a.header.Get("ETag") != etag:
					t.Errorf("%s: ETag %q", what, a.header.Get("ETag"))
				}
			}
		}
	}
}

func TestEmptyFilesHaveNoRanges(t *testing.T) {
	s := newShared(t)
	s.upload(t, "ada", "f", "", nil)
	for _, ranges := range []string{"", "bytes=0-", "bytes=-5", "bytes=-0", "bytes=5-9"} {
		a := s.raw(t, "ada", "/api/file/f/raw/x", "Range", ranges)
		if a.status != 200 || a.text != "" || a.header.Get("Content-Length") != "0" {
			t.Errorf("%s: %d %q", ranges, a.status, a.text)
		}
	}
}

func TestSeveralRangesComeInParts(t *testing.T) {
	s := newShared(t)
	content := noise(100_000)
	s.upload(t, "ada", "f", content, object{"name": "a.bin"})
	want := [][2]int{{0, 9}, {500, 1499}, {99_990, 99_999}, {5, 7}}
	a := s.raw(t, "ada", "/api/file/f/raw/a.bin", "Range", "bytes=0-9, 500-1499, -10, 5-7")
	kind, params, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if a.status != 206 || kind != "multipart/byteranges" || err != nil {
		t.Fatalf("%d %s %v", a.status, kind, err)
	}
	parts := multipart.NewReader(strings.NewReader(a.text), params["boundary"])
	for _, r := range want {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(part)
		if err != nil || string(got) != content[r[0]:r[1]+1] || part.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/100000", r[0], r[1]) {
			t.Errorf("part %s: %d bytes, %v", part.Header.Get("Content-Range"), len(got), err)
		}
	}
	if _, err := parts.NextPart(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last part: %v", err)
	}
}

func TestActiveFilesCannotRun(t *testing.T) {
	s := newShared(t)
	for i, tt := range []struct {
		name, content, kind string
		active              bool
	}{
		{"a.html", "<html><script>alert(1)</script>", "text/html; charset=utf-8", true},
		{"photo.jpg", "<!doctype html><script>", "text/html; charset=utf-8", true},
		{"a.svg", `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`, "image/svg+xml", true},
		{"a.xml", "<?xml version=\"1.0\"?><x/>", "application/xml", true},
		{"a.js", "alert(1)", "text/javascript; charset=utf-8", true},
		{"a.pdf", "%PDF-1.7", "application/pdf", false},
		{"a.gif", "GIF89a<script>", "image/gif", false},
		{"a.txt", "text", "text/plain; charset=utf-8", false},
		{"a", "\x00\x01", "application/octet-stream", false},
	} {
		block := fmt.Sprint("f", i)
		s.upload(t, "ada", block, tt.content, object{"name": tt.name, "mime": "image/png"})
		a := s.raw(t, "ada", "/api/file/"+block+"/raw/x.png")
		csp, disposition := a.header.Get("Content-Security-Policy"), a.header.Get("Content-Disposition")
		if tt.name == "a" {
			tt.kind = "image/png" // nobody knows better than the client
		}
		if kind := a.header.Get("Content-Type"); a.status != 200 || kind != tt.kind || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %s", tt.name, a.status, kind)
		}
		if strings.HasPrefix(disposition, "attachment") != tt.active || strings.Contains(csp, "sandbox") != tt.active || strings.Contains(csp, "script-src") || !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("%s: %s, %s", tt.name, disposition, csp)
		}
		framed := strings.Contains(csp, "frame-ancestors 'self'") && a.header.Get("X-Frame-Options") == "SAMEORIGIN"
		if document := tt.name == "a.pdf"; framed != document || !document && (a.header.Get("X-Frame-Options") != "DENY" || !strings.Contains(csp, "frame-ancestors 'none'")) {
			t.Errorf("%s: %s, %s", tt.name, csp, a.header.Get("X-Frame-Options"))
		}
		a = s.raw(t, "ada", "/api/file/"+block+"/raw/x?download=1")
		if _, params, err := mime.ParseMediaType(a.header.Get("Content-Disposition")); err != nil || params["filename"] != tt.name || !strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment") {
			t.Errorf("%s is saved as %q, %v", tt.name, params["filename"], err)
		}
	}
}

func TestNamesOfAllLanguagesAreSent(t *testing.T) {
	s := newShared(t)
	for i, name := range []string{"plain.txt", `quo"te\.txt`, "Übergrößenträger 100%.txt", "写真 👩.jpg", "a;b=c.txt"} {
		block := fmt.Sprint("f", i)
		s.upload(t, "ada", block, name, object{"name": name})
		header := s.raw(t, "ada", "/api/file/"+block+"/raw/x").header.Get("Content-Disposition")
		want := name[strings.LastIndexAny(name, `/\`)+1:]
		exact := ""
		if _, rest, ok := strings.Cut(header, "filename*=UTF-8''"); ok {
			exact, _ = url.PathUnescape(rest)
		} else {
			_, rest, _ := strings.Cut(header, `filename="`)
			exact = strings.TrimSuffix(rest, `"`)
		}
		if exact != want || strings.ContainsFunc(header, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q was sent as %s", name, header)
		}
	}
}

func TestTicketsOpenOneFile(t *testing.T) {
	s := newShared(t)
	s.upload(t, "ada", "f", "content", object{"name": "ü b.txt"})
	s.upload(t, "ada", "g", "other", nil)
	s.as(t, "bob", "POST", "/api/file/f/ticket", nil).want(t, "a stranger", 404, "not_found")
	for _, ttl := range []int{0, -1} {
		s.as(t, "ada", "POST", "/api/file/f/ticket", object{"ttl": ttl}).want(t, "ttl", 400, "invalid")
	}
	a := s.as(t, "ada", "POST", "/api/file/f/ticket", object{"ttl": 60}).want(t, "ticket", 200, "")
	token := a.str("token")
	if at := s.now().Add(time.Minute).UnixMilli(); a.at("expires_at") != float64(at) {
		t.Errorf("expires at %v, want %d", a.at("expires_at"), at)
	}
	get := func(path string) answer { return s.call(t, "GET", path, "", nil) }
	for _, key := range []string{"url", "stream_url"} {
		path, ok := strings.CutPrefix(a.str(key), publicURL)
		if got := get(path); !ok || got.status != 200 || got.text != "content" {
			t.Errorf("%s: %d %s", a.str(key), got.status, got.text)
		}
	}
	if got := s.call(t, "GET", "/api/file/f/raw/x", token, nil); got.text != "content" {
		t.Errorf("as a bearer token: %d %s", got.status, got.text)
	}
	get("/api/file/g/raw/x?token="+token).want(t, "another block", 401, "unauthorized")
	get("/api/file/nobodys/raw/x?token="+token).want(t, "no block", 404, "not_found")
	for _, rt := range s.Routes() {
		if rt.Access != "member" && rt.Access != "admin" {
			continue
		}
		method, path := pathOf(rt.Pattern)
		s.call(t, method, path, token, object{}).want(t, rt.Pattern, 401, "unauthorized")
		s.call(t, method, path+"?token="+token, "", object{}).want(t, rt.Pattern, 401, "unauthorized")
	}
	s.upload(t, "ada", "f", "newer", nil)
	get("/api/file/f/raw/x?token="+token).want(t, "other bytes", 401, "unauthorized")
	if got := get("/api/file/f/raw/x?token=" + s.token["ada"]); got.text != "newer" {
		t.Errorf("with an access token: %d %s", got.status, got.text)
	}
	token = s.as(t, "ada", "POST", "/api/file/f/ticket", nil).str("token")
	s.pass(24*time.Hour - time.Millisecond)
	if got := get("/api/file/f/raw/x?token=" + token); got.text != "newer" {
		t.Errorf("for a day: %d %s", got.status, got.text)
	}
	s.pass(time.Millisecond)
	get("/api/file/f/raw/x?token="+token).want(t, "after a day", 401, "unauthorized")
}

func TestTicketEndsWithTheMembership(t *testing.T) {
	s := newShared(t)
	s.upload(t, "ada", "f", "content", nil)
	s.as(t, "ada", "POST", "/api/heap/h/members", object{"public_key": s.key["bob"], "role": "viewer"}).want(t, "share", 200, "")
	token := s.as(t, "bob", "POST", "/api/file/f/ticket", nil).want(t, "ticket", 200, "").str("token")
	get := func() answer { return s.call(t, "GET", "/api/file/f/raw/x?token="+token, "", nil) }
	get().want(t, "a member", 200, "")
	s.as(t, "ada", "DELETE", "/api/heap/h/members/"+s.id["bob"], nil).want(t, "remove", 200, "")
	get().want(t, "no member any more", 404, "not_found")
	s.as(t, "ada", "POST", "/api/heap/h/members", object{"public_key": s.key["bob"], "role": "viewer"}).want(t, "share", 200, "")
	get().want(t, "a member again", 200, "")
	if _, err := s.auth.Block(t.Context(), auth.Actor{}, auth.AccountID(s.id["bob"])); err != nil {
		t.Fatal(err)
	}
	get().want(t, "blocked", 401, "unauthorized")
}

// serve has real connections, whose answers must be written within no time unless the
// handler sees to it.
func (s *shared) serve(t testing.TB) *httptest.Server {
	server := httptest.NewUnstartedServer(s.world)
	server.Config.WriteTimeout = time.Nanosecond
	server.Start()
	t.Cleanup(server.Close)
	return server
}

func fetch(ctx context.Context, server *httptest.Server, path, token, ranges string) (*http.Response, error) {
	return fetchFrom(ctx, server.Client(), server.URL+path, token, ranges)
}

func fetchFrom(ctx context.Context, client *http.Client, url, token, ranges string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if ranges != "" {
		r.Header.Set("Range", ranges)
	}
	return client.Do(r)
}

func TestFilesAreSentForAsLongAsTheyMove(t *testing.T) {
	s := newShared(t)
	content := noise(5 << 20)
	s.upload(t, "ada", "f", content, nil)
	server := s.serve(t)
	for _, ranges := range []string{"", "bytes=1-", "bytes=0-9,-9"} {
		r, err := fetch(t.Context(), server, "/api/file/f/raw/x", s.token["ada"], ranges)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || int64(len(got)) != r.ContentLength || ranges == "" && string(got) != content {
			t.Errorf("%s: %d of %d bytes, %v", ranges, len(got), r.ContentLength, err)
		}
	}
}

// What is uploaded can be watched meanwhile: each byte that is there, and no other.
func TestFilesAreServedWhileTheyAreUploaded(t *testing.T) {
	s := &shared{newWorldWith(t, blocks.Limits{RangeWait: time.Minute}), map[string]string{}, map[string]string{}, map[string]string{}}
	s.token["ada"], _ = s.login(t, newDevice(1))
	s.as(t, "ada", "POST", "/api/heap/add", object{"id": "h", "name": "Heap"}).want(t, "heap", 201, "")
	content := noise(4 << 16)
	s.begin(t, "ada", "f", content, object{"name": "a.bin", "chunk_size": 1 << 16})
	chunk := func(i int) {
		s.as(t, "ada", "PUT", fmt.Sprintf("/api/upload/chunk/h/f/%s/%d", hexOf(content), i), content[i<<16:(i+1)<<16]).want(t, "chunk", 200, "")
	}
	chunk(0)
	chunk(3)
	server := s.serve(t)
	for _, tt := range []struct{ ranges, want string }{
		{"bytes=0-99", content[:100]}, {"bytes=-100", content[len(content)-100:]}, {"bytes=0-9,-1", ""},
	} {
		r, err := fetch(t.Context(), server, "/api/stream/f/a.bin", s.token["ada"], tt.ranges)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != 206 || tt.want != "" && string(got) != tt.want || r.Header.Get("ETag") != `"`+hexOf(content)+`"` {
			t.Errorf("%s: %d, %d bytes, %v", tt.ranges, r.StatusCode, len(got), err)
		}
	}
	r, err := fetch(t.Context(), server, "/api/stream/f/a.bin", s.token["ada"], "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	first := make([]byte, 1<<16)
	if _, err := io.ReadFull(r.Body, first); err != nil || string(first) != content[:1<<16] {
		t.Errorf("what is there: %v", err)
	}
	rest := make(chan []byte, 1)
	go func() {
		got, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		rest <- got
	}()
	chunk(2)
	chunk(1)
	s.as(t, "ada", "POST", "/api/upload/complete/h/f/"+hexOf(content), nil).want(t, "complete", 200, "")
	if got := <-rest; !bytes.Equal(append(first, got...), []byte(content)) {
		t.Errorf("in the end %d bytes", len(first)+len(got))
	}
}

func TestRangeThatHasNotArrivedIsRefusedAfterAWhile(t *testing.T) {
	s := &shared{newWorldWith(t, blocks.Limits{RangeWait: time.Nanosecond}), map[string]string{}, map[string]string{}, map[string]string{}}
	s.token["ada"], _ = s.login(t, newDevice(1))
	s.as(t, "ada", "POST", "/api/heap/add", object{"id": "h", "name": "Heap"}).want(t, "heap", 201, "")
	content := noise(2 << 16)
	s.begin(t, "ada", "f", content, object{"chunk_size": 1 << 16})
	s.as(t, "ada", "PUT", "/api/upload/chunk/h/f/"+hexOf(content)+"/0", content[:1<<16]).want(t, "chunk", 200, "")
	for _, ranges := range []string{"bytes=65536-", "bytes=-1", "bytes=0-1,70000-70001"} {
		a := s.raw(t, "ada", "/api/file/f/raw/x", "Range", ranges).want(t, ranges, 416, "range_not_satisfiable")
		if a.header.Get("Content-Range") != "bytes */131072" || a.header.Get("ETag") != "" {
			t.Errorf("%s: %v", ranges, a.header)
		}
	}
	server := s.serve(t)
	r, err := fetch(t.Context(), server, "/api/file/f/raw/x", s.token["ada"], "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	got, err := io.ReadAll(r.Body)
	if err == nil || string(got) != content[:1<<16] {
		t.Errorf("%d bytes, %v: want what is there, and then an end that shows", len(got), err)
	}
}

func TestMissingBlobIsNoEmptyFile(t *testing.T) {
	var cfg blocks.LogConfig
	s := &shared{newWorldWith(t, blocks.Limits{}, func(c *blocks.LogConfig) { cfg = *c }), map[string]string{}, map[string]string{}, map[string]string{}}
	s.token["ada"], _ = s.login(t, newDevice(1))
	s.as(t, "ada", "POST", "/api/heap/add", object{"id": "h", "name": "Heap"}).want(t, "heap", 201, "")
	s.upload(t, "ada", "f", "content", nil)
	hash, err := blocks.ParseHash(hexOf("content"))
	if err == nil {
		err = cfg.Blobs.Delete(t.Context(), hash)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.raw(t, "ada", "/api/file/f/raw/x").want(t, "raw", 500, "internal")
	if !strings.Contains(s.log.String(), "is missing") {
		t.Error("nothing of it is in the log")
	}
	s.upload(t, "ada", "f", "content", nil) // heals it
	if a := s.raw(t, "ada", "/api/file/f/raw/x"); a.text != "content" {
		t.Errorf("healed: %d %s", a.status, a.text)
	}
}
