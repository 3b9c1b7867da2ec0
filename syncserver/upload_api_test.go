package syncserver_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
)

func hexOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// formOf is a form with a file, and fields before and after it: "hash=…".
func formOf(content string, fields ...string) string {
	var b strings.Builder
	for i, field := range append([]string{""}, fields...) {
		if i == 0 {
			b.WriteString("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"../über.txt\"\r\nContent-Type: text/plain\r\n\r\n" + content + "\r\n")
			continue
		}
		name, value, _ := strings.Cut(field, "=")
		b.WriteString("--x\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n")
	}
	return b.String() + "--x--\r\n"
}

func (s *shared) begin(t testing.TB, who, block, content string, more object) answer {
	t.Helper()
	body := object{"hash": hexOf(content), "size": len(content), "name": block + ".txt"}
	for k, v := range more {
		body[k] = v
	}
	return s.as(t, who, "POST", "/api/upload/init/h/"+block, body)
}

// upload uploads content to a block of the heap "h".
func (s *shared) upload(t testing.TB, who, block, content string, more object) answer {
	t.Helper()
	a := s.begin(t, who, block, content, more).want(t, "init", 200, "")
	if a.str("status") == "complete" {
		return a
	}
	size, chunks := int(a.at("chunk_size").(float64)), int(a.at("total_chunks").(float64))
	for i := range chunks {
		s.as(t, who, "PUT", fmt.Sprintf("/api/upload/chunk/h/%s/%s/%d", block, hexOf(content), i), content[i*size:min((i+1)*size, len(content))]).want(t, "chunk", 200, "")
	}
	return s.as(t, who, "POST", "/api/upload/complete/h/"+block+"/"+hexOf(content), nil).want(t, "complete", 200, "")
}

func TestUploadOverHTTP(t *testing.T) {
	s := newShared(t)
	content := strings.Repeat("0123456789abcdef", 10_000) // 160,000 bytes: three chunks
	path := func(route string) string { return "/api/upload/" + route + "/h/f/" + hexOf(content) }
	s.as(t, "ada", "GET", path("status"), nil).want(t, "nothing yet", 404, "not_found")
	status := "/api/status/file/h/f/" + hexOf(content)
	if a := s.as(t, "ada", "GET", status, nil).want(t, "status", 200, ""); a.str("status") != "missing" {
		t.Errorf("status %s", a.text)
	}
	a := s.begin(t, "ada", "f", content, object{"chunk_size": 1, "name": "dir/\u202eNotes.md"}).want(t, "init", 200, "")
	if a.str("status") != "new" || a.at("chunk_size") != 65536.0 || a.at("total_chunks") != 3.0 || a.at("received_bytes") != 0.0 || len(a.at("received").([]any)) != 0 {
		t.Errorf("init %s", a.text)
	}
	digest := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "sha-512=:AAAA:, sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	}
	chunk := func(i int, text, digest string) answer {
		return s.call(t, "PUT", fmt.Sprintf("%s/%d", path("chunk"), i), s.token["ada"], text, "Content-Digest", digest)
	}
	chunk(2, content[131072:], digest("other")).want(t, "another digest", 422, "hash_mismatch")
	chunk(2, content[131072:], "sha-256=nonsense").want(t, "no digest", 400, "invalid")
	chunk(2, content[131073:], "").want(t, "short", 400, "invalid")
	chunk(2, content[131071:], "").want(t, "long", 400, "invalid")
	chunk(3, "x", "").want(t, "past the end", 400, "invalid")
	if a := chunk(2, content[131072:], digest(content[131072:])).want(t, "chunk", 200, ""); a.str("status") != "ok" || a.at("index") != 2.0 || a.at("size") != 28928.0 {
		t.Errorf("chunk %s", a.text)
	}
	a = s.as(t, "ada", "POST", path("complete"), nil).want(t, "incomplete", 409, "incomplete")
	if fmt.Sprint(a.at("missing")) != "[[0 1]]" {
		t.Errorf("missing %v", a.at("missing"))
	}
	chunk(0, content[:65536], "")
	if a := s.begin(t, "ada", "f", content, nil); a.str("status") != "resumed" || fmt.Sprint(a.at("received")) != "[[0 0] [2 2]]" || a.at("received_bytes") != 94464.0 {
		t.Errorf("resumed %s", a.text)
	}
	if a := s.as(t, "ada", "GET", status, nil); a.str("status") != "uploading" || a.at("received_bytes") != 94464.0 {
		t.Errorf("status %s", a.text)
	}
	if a := s.as(t, "ada", "GET", path("status"), nil); a.str("status") != "uploading" {
		t.Errorf("status %s", a.text)
	}
	chunk(1, content[65536:131072], "")
	for range 2 {
		a = s.as(t, "ada", "POST", path("complete"), nil).want(t, "complete", 200, "")
		if a.str("status") != "complete" || a.str("block_id") != "f" || a.str("file_hash") != hexOf(content) || a.at("file.name") != "Notes.md" || a.at("file.mime") != "text/markdown" {
			t.Errorf("complete %s", a.text)
		}
	}
	if a := s.as(t, "ada", "GET", status, nil); a.str("status") != "ready" {
		t.Errorf("status %s", a.text)
	}
	s.settle(t)
	if a := s.as(t, "ada", "POST", "/api/heap", object{"heap_id": "h"}); a.at("blocks.0.file.hash") != hexOf(content) || a.at("blocks.0.type") != "file" {
		t.Errorf("listed as %s", a.text)
	}
	if a := s.begin(t, "ada", "g", content, nil).want(t, "again", 200, ""); a.str("status") != "complete" || a.at("file.size") != 160000.0 {
		t.Errorf("a second time %s", a.text)
	}
}

func TestUploadRequestsAreChecked(t *testing.T) {
	s := newShared(t)
	s.begin(t, "ada", "f", "x", object{"hash": strings.ToUpper(hexOf("x"))}).want(t, "hash", 400, "invalid")
	s.begin(t, "ada", "f", "x", object{"hash": "x"}).want(t, "hash", 400, "invalid")
	s.begin(t, "ada", "f", "x", object{"size": -1}).want(t, "size", 400, "invalid")
	s.begin(t, "ada", "f", "x", object{"size": nil}).want(t, "size", 400, "invalid")
	s.begin(t, "ada", "f", "x", object{"size": blocks.MaxFile + 1}).want(t, "size", 413, "too_large")
	s.begin(t, "ada", "f", "x", object{"chunk_size": -1}).want(t, "chunk_size", 400, "invalid")
	s.begin(t, "bob", "f", "x", nil).want(t, "a stranger", 404, "not_found")
	s.as(t, "ada", "POST", "/api/upload/init/h/no%20id", object{}).want(t, "block", 400, "invalid")
	s.as(t, "ada", "PUT", "/api/upload/chunk/h/f/"+hexOf("x")+"/nan", "x").want(t, "index", 400, "invalid")
	s.as(t, "ada", "PUT", "/api/upload/chunk/h/f/zz/0", "x").want(t, "hash", 400, "invalid")
	s.as(t, "ada", "PUT", "/api/upload/chunk/h/f/"+hexOf("x")+"/0", "x").want(t, "no upload", 404, "not_found")
	s.put(t, "ada", "h", note{"gone", nil, "text"})
	s.as(t, "ada", "DELETE", "/api/block/gone?purge=1", nil).want(t, "purge", 200, "")
	s.begin(t, "ada", "gone", "x", nil).want(t, "deleted block", 410, "deleted")

	admin, _ := s.admin(t, newDevice(9))
	s.call(t, "PUT", "/api/admin/settings", admin, object{"limits": object{"storage_bytes": 10, "file_bytes": 6}}).want(t, "limits", 200, "")
	s.begin(t, "ada", "a", "0123456", nil).want(t, "a large file", 413, "too_large")
	s.begin(t, "ada", "a", "012345", nil).want(t, "a file", 200, "")
	s.begin(t, "ada", "b", "54321", nil).want(t, "one too many", 413, "quota_exceeded")
	s.call(t, "POST", "/api/upload/file/h/b", s.token["ada"], formOf("54321"), "Content-Type", "multipart/form-data; boundary=x").want(t, "in a form", 413, "quota_exceeded")
	s.begin(t, "ada", "b", "4321", nil).want(t, "what is left", 200, "")
}

func TestWholeFilesInForms(t *testing.T) {
	s := newShared(t)
	post := func(block, body string) answer {
		return s.call(t, "POST", "/api/upload/file/h/"+block, s.token["ada"], body, "Content-Type", "multipart/form-data; boundary=x")
	}
	post("a", formOf("content", "hash="+hexOf("other"))).want(t, "another hash", 422, "hash_mismatch")
	post("a", formOf("content", "hash=x")).want(t, "no hash", 400, "invalid")
	post("a", formOf("content")[:110]).want(t, "cut off", 400, "invalid")
	post("a", "--x\r\nContent-Disposition: form-data; name=\"hash\"\r\n\r\nx").want(t, "cut off before the file", 400, "invalid")
	post("a", "--x--\r\n").want(t, "no file", 400, "invalid")
	s.as(t, "ada", "POST", "/api/upload/file/h/a", "content").want(t, "no form", 400, "invalid")
	s.as(t, "ada", "GET", "/api/upload/status/h/a/"+hexOf("content"), nil).want(t, "after that", 404, "not_found")
	for _, form := range []string{formOf("content"), formOf("content", "note=x", "hash="+hexOf("content"))} {
		a := post("a", form).want(t, "form", 200, "")
		if a.str("file_hash") != hexOf("content") || a.at("file.name") != "über.txt" || a.at("file.size") != 7.0 {
			t.Errorf("file %s", a.text)
		}
	}
	post("b", formOf("")).want(t, "an empty file", 200, "")
	post("c", formOf(strings.Repeat("content", 100_000))).want(t, "a larger one", 200, "")
}

func TestUploadsAreTold(t *testing.T) {
	s := newShared(t)
	changes := make(chan blocks.FileChange, 10)
	s.Blocks.OnFile(func(c blocks.FileChange) { changes <- c })
	s.upload(t, "ada", "f", "content", nil)
	for _, want := range []blocks.FileChange{{Received: 7, Size: 7}, {Received: 7, Size: 7, Ready: true}} {
		select {
		case c := <-changes:
			want.Key, want.At = blocks.BlockKey{Heap: "h", Block: "f"}, c.At
			if want.Hash = sha256.Sum256([]byte("content")); c != want {
				t.Errorf("told %+v, want %+v", c, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nobody was told")
		}
	}
}

func TestHealthTellsOfADiskThatFailed(t *testing.T) {
	fails := false
	w := newWorldWith(t, blocks.Limits{}, func(c *blocks.LogConfig) {
		c.SyncFile = func(f *os.File) error {
			if fails {
				return errors.New("input/output error")
			}
			return f.Sync()
		}
	})
	token, _ := w.login(t, newDevice(1))
	w.heap(t, token, "h")
	w.call(t, "POST", "/api/upload/init/h/f", token, object{"hash": hexOf("abc"), "size": 3, "name": "f"}).want(t, "init", 200, "")
	w.call(t, "GET", "/api/health", "", nil).want(t, "before", 200, "")
	fails = true
	w.call(t, "PUT", "/api/upload/chunk/h/f/"+hexOf("abc")+"/0", token, "abc").want(t, "chunk", 503, "unavailable")
	fails = false
	if a := w.call(t, "GET", "/api/health", "", nil); a.status != 503 || a.at("storage.status") != "down" || a.at("database.status") != "ok" {
		t.Errorf("after it: %d %s", a.status, a.text)
	}
}
