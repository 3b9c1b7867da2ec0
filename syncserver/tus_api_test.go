package syncserver_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
)

// metadata is Upload-Metadata of pairs of a key and a value.
func metadata(pairs ...string) string {
	var list []string
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, pairs[i]+" "+base64.StdEncoding.EncodeToString([]byte(pairs[i+1])))
	}
	return strings.Join(list, ",")
}

// tus sends a request as a client of tus does.
func (s *shared) tus(t testing.TB, who, method, address, body string, headers ...string) answer {
	t.Helper()
	return s.call(t, method, address, s.token[who], body, tusSends("", headers...).header...)
}

// tusBegin begins an upload and returns its address.
func (s *shared) tusBegin(t testing.TB, who string, size int, headers ...string) string {
	t.Helper()
	a := s.tus(t, who, "POST", "/api/files/", "", append([]string{"Upload-Length", fmt.Sprint(size)}, headers...)...).want(t, "creation", 201, "")
	return a.header.Get("Location")
}

func (a answer) wantHeader(t testing.TB, what, name, value string) {
	t.Helper()
	if got := a.header.Get(name); got != value {
		t.Errorf("%s: %s is %q, want %q", what, name, got, value)
	}
}

func TestTusUploads(t *testing.T) {
	s := newShared(t)
	content := strings.Repeat("0123456789abcdef", 10_000)
	note := metadata("heap_id", "h", "block_id", "f", "filename", "Ü.txt", "filetype", "text/plain", "hash", hexOf(content)) + ",is_confidential"
	a := s.tus(t, "ada", "POST", "/api/files/", content[:10], "Upload-Length", "160000", "Upload-Metadata", note).want(t, "creation with upload", 201, "")
	at := a.header.Get("Location")
	a.wantHeader(t, "creation", "Upload-Offset", "10")
	a.wantHeader(t, "creation", "Tus-Resumable", "1.0.0")
	a.wantHeader(t, "creation", "Block-Id", "f")
	a.wantHeader(t, "creation", "Upload-Expires", s.now().Add(7*24*time.Hour).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	s.pass(time.Minute)
	patch := func(offset int, body string, headers ...string) answer {
		t.Helper()
		return s.tus(t, "ada", "PATCH", at, body, append([]string{"Upload-Offset", fmt.Sprint(offset)}, headers...)...)
	}
	patch(11, content[11:]).want(t, "another offset", 409, "conflict")
	patch(10, content[10:]+"x").want(t, "too much", 400, "invalid")
	sum := sha1.Sum([]byte(content[10:20]))
	sha1Of := "sha1 " + base64.StdEncoding.EncodeToString(sum[:])
	patch(10, content[10:21], "Upload-Checksum", sha1Of).want(t, "another checksum", 460, "checksum_mismatch")
	patch(10, content[10:20], "Upload-Checksum", "md5 AAAA").want(t, "another algorithm", 400, "invalid")
	patch(10, content[10:20], "Upload-Checksum", "sha256 AAAA").want(t, "no checksum", 400, "invalid")
	s.call(t, "PATCH", at, s.token["ada"], content[10:], "Tus-Resumable", "1.0.0", "Upload-Offset", "10").want(t, "no content type", 415, "unsupported_media_type")
	head := func(offset string) answer {
		t.Helper()
		a := s.tus(t, "ada", "HEAD", at, "").want(t, "head", 200, "")
		a.wantHeader(t, "head", "Upload-Offset", offset)
		a.wantHeader(t, "head", "Upload-Length", "160000")
		a.wantHeader(t, "head", "Cache-Control", "no-store")
		return a
	}
	head("10").wantHeader(t, "head", "Upload-Metadata", note)
	patch(10, content[10:20], "Upload-Checksum", sha1Of).want(t, "sha1", 204, "")
	sum256 := sha256.Sum256([]byte(content[20:100_000]))
	patch(20, content[20:100_000], "Upload-Checksum", "sha256 "+base64.StdEncoding.EncodeToString(sum256[:])).want(t, "sha256", 204, "")
	head("100000").wantHeader(t, "head", "Upload-Expires", s.now().Add(7*24*time.Hour).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	a = s.tus(t, "ada", "POST", at, content[100_000:], "Upload-Offset", "100000", "X-HTTP-Method-Override", "PATCH").want(t, "the rest", 204, "")
	a.wantHeader(t, "the rest", "Upload-Offset", "160000")
	a.wantHeader(t, "the rest", "File-Hash", hexOf(content))
	a.wantHeader(t, "the rest", "Upload-Expires", "")
	if a := s.as(t, "ada", "GET", "/api/file/f/raw/x", nil); a.text != content || a.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("the file: %d, %d bytes of %s", a.status, len(a.text), a.header.Get("Content-Type"))
	}
	for range 2 { // a client that did not hear of it
		head("160000").wantHeader(t, "head of a file", "File-Hash", hexOf(content))
		patch(160_000, "").want(t, "nothing more", 204, "")
	}
	patch(0, content).want(t, "the file again", 409, "conflict")
	s.tus(t, "ada", "DELETE", at, "").want(t, "end of a file", 409, "conflict")

	at = s.tusBegin(t, "ada", 5, "Upload-Metadata", metadata("workspace_id", "h", "block_id", "g", "hash", hexOf("right")))
	patch(0, "wrong").want(t, "another hash", 422, "hash_mismatch")
	s.tus(t, "ada", "HEAD", at, "").want(t, "after that", 404, "not_found")
	at = s.tusBegin(t, "ada", 5, "Upload-Metadata", metadata("heap_id", "h"))
	patch(0, "12").want(t, "a beginning", 204, "")
	s.tus(t, "ada", "DELETE", at, "").want(t, "end", 204, "")
	for _, method := range []string{"HEAD", "DELETE"} {
		s.tus(t, "ada", method, at, "").want(t, method+" after the end", 404, "not_found")
	}
	a = s.tus(t, "ada", "POST", "/api/files/?heap_id=h", "", "Upload-Length", "0").want(t, "an empty file", 201, "")
	a.wantHeader(t, "an empty file", "File-Hash", hexOf(""))
	if a := s.as(t, "ada", "GET", "/api/file/"+a.header.Get("Block-Id")+"/raw/x", nil).want(t, "an empty file", 200, ""); a.text != "" {
		t.Errorf("an empty file has %q", a.text)
	}
}

func TestTusJoinsParts(t *testing.T) {
	s := newShared(t)
	content := strings.Repeat("0123456789abcdef", 100_000)
	meta := metadata("heap_id", "h", "block_id", "f", "filename", "a.txt")
	part := func(text string, send int) string {
		t.Helper()
		at := s.tusBegin(t, "ada", len(text), "Upload-Concat", "partial", "Upload-Metadata", meta)
		s.tus(t, "ada", "PATCH", at, text[:send], "Upload-Offset", "0").want(t, "part", 204, "")
		return at
	}
	final := func(list ...string) answer {
		t.Helper()
		return s.tus(t, "ada", "POST", "/api/files/", "", "Upload-Concat", "final;"+strings.Join(list, " "), "Upload-Metadata", meta)
	}
	first, second := part(content[:1_000_001], 1_000_001), part(content[1_000_001:], 10)
	s.tus(t, "ada", "HEAD", first, "").wantHeader(t, "a part", "Upload-Concat", "partial")
	final(first, second).want(t, "a part that is not whole", 409, "conflict")
	final(first, s.tusBegin(t, "ada", 0, "Upload-Metadata", meta)).want(t, "a file", 404, "not_found")
	final(first, s.tusBegin(t, "ada", 1, "Upload-Metadata", meta)).want(t, "an upload that is no part", 400, "invalid")
	final().want(t, "no parts", 400, "invalid")
	final("nonsense").want(t, "no address", 404, "not_found")
	s.tus(t, "ada", "PATCH", second, content[1_000_011:], "Upload-Offset", "10").want(t, "the rest", 204, "")
	s.as(t, "ada", "GET", "/api/file/f/raw/x", nil).want(t, "the empty file", 200, "")
	where := ""
	for i := range 2 { // the second time by a client that did not hear of it
		a := final("https://example.org"+first, second).want(t, "final", 201, "")
		a.wantHeader(t, "final", "File-Hash", hexOf(content))
		a.wantHeader(t, "final", "Block-Id", "f")
		if at := a.header.Get("Location"); i > 0 && at != where {
			t.Errorf("repeated, it is at %s, not %s", at, where)
		}
		where = a.header.Get("Location")
	}
	if a := s.as(t, "ada", "GET", "/api/file/f/raw/x", nil); a.text != content {
		t.Errorf("the file: %d, %d bytes", a.status, len(a.text))
	}
	s.tus(t, "ada", "HEAD", where, "").wantHeader(t, "final", "Upload-Offset", "1600000")
	s.tus(t, "ada", "HEAD", first, "").want(t, "a part afterwards", 404, "not_found")
}

func TestTusRequestsAreChecked(t *testing.T) {
	s := newShared(t)
	for what, tt := range map[string]struct {
		headers []string
		status  int
		code    string
	}{
		"no heap":           {[]string{"Upload-Length", "1"}, 400, "invalid"},
		"no length":         {[]string{"Upload-Metadata", metadata("heap_id", "h")}, 400, "invalid"},
		"a bad length":      {[]string{"Upload-Length", "-1", "Upload-Metadata", metadata("heap_id", "h")}, 400, "invalid"},
		"a deferred length": {[]string{"Upload-Defer-Length", "1", "Upload-Metadata", metadata("heap_id", "h")}, 400, "invalid"},
		"too long":          {[]string{"Upload-Length", fmt.Sprint(blocks.MaxFile + 1), "Upload-Metadata", metadata("heap_id", "h")}, 413, "too_large"},
		"a foreign heap":    {[]string{"Upload-Length", "1", "Upload-Metadata", metadata("heap_id", "nowhere")}, 404, "not_found"},
		"a bad heap":        {[]string{"Upload-Length", "1", "Upload-Metadata", metadata("heap_id", "no id")}, 400, "invalid"},
		"a bad block":       {[]string{"Upload-Length", "1", "Upload-Metadata", metadata("heap_id", "h", "block_id", "../x")}, 400, "invalid"},
		"a bad hash":        {[]string{"Upload-Length", "1", "Upload-Metadata", metadata("heap_id", "h", "hash", "x")}, 400, "invalid"},
		"no base64":         {[]string{"Upload-Length", "1", "Upload-Metadata", "heap_id h!"}, 400, "invalid"},
		"a key twice":       {[]string{"Upload-Length", "1", "Upload-Metadata", metadata("heap_id", "h", "heap_id", "h")}, 400, "invalid"},
		"much metadata":     {[]string{"Upload-Length", "1", "Upload-Metadata", metadata("heap_id", strings.Repeat("h", 9000))}, 400, "invalid"},
		"a bad concat":      {[]string{"Upload-Length", "1", "Upload-Concat", "some", "Upload-Metadata", metadata("heap_id", "h")}, 400, "invalid"},
	} {
		s.tus(t, "ada", "POST", "/api/files/", "", tt.headers...).want(t, what, tt.status, tt.code)
	}
	s.call(t, "POST", "/api/files/", s.token["ada"], nil, "Upload-Length", "1").want(t, "no tus", 412, "precondition_failed")
	a := s.call(t, "POST", "/api/files/", s.token["ada"], nil, "Tus-Resumable", "0.2.2").want(t, "an old tus", 412, "precondition_failed")
	a.wantHeader(t, "an old tus", "Tus-Version", "1.0.0")
	s.tus(t, "ada", "POST", "/api/files/x", "", "X-HTTP-Method-Override", "PUT").want(t, "another method", 405, "method_not_allowed")
	s.tus(t, "ada", "HEAD", "/api/files/"+hexOf("x"), "").want(t, "nothing", 404, "not_found")
	s.call(t, "HEAD", "/api/files/"+hexOf("x"), "", nil).want(t, "nobody", 401, "unauthorized")

	admin, _ := s.admin(t, newDevice(9))
	s.call(t, "PUT", "/api/admin/settings", admin, object{"limits": object{"storage_bytes": 10, "file_bytes": 6}}).want(t, "limits", 200, "")
	a = s.call(t, "OPTIONS", "/api/files/", "", nil).want(t, "options", 204, "")
	a.wantHeader(t, "options", "Tus-Max-Size", "6")
	a.wantHeader(t, "options", "Tus-Version", "1.0.0")
	a.wantHeader(t, "options", "Tus-Checksum-Algorithm", "sha1,sha256")
	a.wantHeader(t, "options", "Tus-Extension", "creation,creation-with-upload,checksum,expiration,termination,concatenation")
	begin := func(size string) answer {
		return s.tus(t, "ada", "POST", "/api/files/?heap_id=h", "", "Upload-Length", size)
	}
	begin("7").want(t, "a large file", 413, "too_large")
	begin("6").want(t, "a file", 201, "")
	begin("5").want(t, "one too many", 413, "quota_exceeded")
	begin("4").want(t, "what is left", 201, "")
}

// What a page may read of an answer, and send, is all that tus needs.
func TestTusFromAnotherOrigin(t *testing.T) {
	s := newShared(t)
	a := s.call(t, "OPTIONS", "/api/files/x", "", nil, "Origin", publicURL, "Access-Control-Request-Method", "PATCH").want(t, "preflight", 204, "")
	for header, names := range map[string][]string{
		"Access-Control-Allow-Headers":  {"Authorization", "Content-Type", "Tus-Resumable", "Upload-Length", "Upload-Offset", "Upload-Metadata", "Upload-Concat", "Upload-Checksum", "X-HTTP-Method-Override"},
		"Access-Control-Allow-Methods":  {"POST", "HEAD", "PATCH", "DELETE"},
		"Access-Control-Expose-Headers": {"Location", "Upload-Offset", "Upload-Length", "Upload-Expires", "Upload-Metadata", "Tus-Version", "Tus-Resumable", "Tus-Max-Size", "Tus-Extension", "Block-Id", "File-Hash"},
	} {
		list := strings.Split(strings.ReplaceAll(a.header.Get(header), " ", ""), ",")
		for _, name := range names {
			if !slices.Contains(list, name) {
				t.Errorf("%s lacks %s: %v", header, name, list)
			}
		}
	}
}

// A player goes on with its ticket when the upload that it watches becomes a file.
func TestTicketOutlivesAnUpload(t *testing.T) {
	s := newShared(t)
	at := s.tusBegin(t, "ada", 4, "Upload-Metadata", metadata("heap_id", "h", "block_id", "f"))
	url := s.as(t, "ada", "POST", "/api/file/f/ticket", nil).want(t, "ticket", 200, "").str("url")
	s.tus(t, "ada", "PATCH", at, "film", "Upload-Offset", "0").want(t, "patch", 204, "")
	if a := s.call(t, "GET", strings.TrimPrefix(url, publicURL), "", nil); a.text != "film" {
		t.Errorf("with the ticket: %d %s", a.status, a.text)
	}
	s.upload(t, "ada", "f", "another", nil)
	s.call(t, "GET", strings.TrimPrefix(url, publicURL), "", nil).want(t, "another file", 401, "unauthorized")
}
