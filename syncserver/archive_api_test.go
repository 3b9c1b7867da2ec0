package syncserver_test

import (
	"archive/zip"
	"bytes"
	"mime/multipart"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/syncserver"
	"github.com/heapsync/heapsync/ydoc"
)

func zipOf(t testing.TB, name, content string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(name)
	if err == nil {
		_, err = w.Write([]byte(content))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestHeapIsExportedAndImported(t *testing.T) {
	s := newShared(t)
	s.put(t, "ada", "h", titledNotes(3)...)
	out := s.as(t, "ada", "GET", "/api/heap/h/export", nil).want(t, "export", 200, "")
	if kind, name := out.header.Get("Content-Type"), out.header.Get("Content-Disposition"); kind != "application/zip" || name != "attachment; filename=Heap.zip" {
		t.Errorf("the export is %s, %s", kind, name)
	}
	s.as(t, "eve", "GET", "/api/heap/h/export", nil).want(t, "a stranger's export", 404, "not_found")

	s.as(t, "bob", "POST", "/api/heap/add", object{"id": "copy", "name": "Copy"}).want(t, "heap", 201, "")
	in := s.as(t, "bob", "POST", "/api/heap/copy/import", out.text).want(t, "import", 200, "")
	if in.at("imported") != 3.0 || len(in.at("failed").([]any)) != 0 {
		t.Errorf("imported %s", in.text)
	}
	for _, id := range []string{"a", "b", "c"} {
		if got, want := s.pullState(t, "bob", "copy", id), s.pullState(t, "ada", "h", id); !bytes.Equal(got, want) {
			t.Errorf("%s came back as %x, was %x", id, got, want)
		}
	}
}

func TestImportTakesForms(t *testing.T) {
	s := newShared(t)
	var form bytes.Buffer
	m := multipart.NewWriter(&form)
	if err := m.WriteField("note", "not a file"); err != nil {
		t.Fatal(err)
	}
	part, err := m.CreateFormFile("file", "notes.zip")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write([]byte(zipOf(t, "Hello.md", "# Hello\n\nworld"))); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	a := s.call(t, "POST", "/api/heap/h/import", s.token["ada"], form.String(), "Content-Type", m.FormDataContentType()).want(t, "form", 200, "")
	if a.at("imported") != 1.0 {
		t.Errorf("imported %s", a.text)
	}
	if a := s.as(t, "ada", "POST", "/api/heap", object{"heap_id": "h", "query": "world"}); a.at("blocks.0.title") != "Hello" {
		t.Errorf("the note is %s", a.text)
	}
	s.call(t, "POST", "/api/heap/h/import", s.token["ada"], "--x--\r\n", "Content-Type", "multipart/form-data; boundary=x").want(t, "a form without a file", 400, "invalid")
	s.as(t, "ada", "POST", "/api/heap/h/import", "PK no zip").want(t, "no zip", 400, "invalid")
	s.as(t, "ada", "POST", "/api/heap/h/import", nil).want(t, "nothing", 400, "invalid")
	s.as(t, "eve", "POST", "/api/heap/h/import", "PK").want(t, "a stranger", 404, "not_found")
	a = s.as(t, "ada", "POST", "/api/heap/h/import", zipOf(t, "../up.md", "x")).want(t, "a name that leaves the archive", 200, "")
	if a.at("imported") != 0.0 || a.at("failed.0.code") != "bad_name" || a.at("failed.0.name") != "../up.md" {
		t.Errorf("imported %s", a.text)
	}
}

func TestImportIsBounded(t *testing.T) {
	s := &shared{world: newWorld(t, func(cfg *syncserver.Config) { cfg.TempDir = t.TempDir() }), token: map[string]string{}}
	s.token["ada"], _ = s.login(t, newDevice(1))
	s.as(t, "ada", "POST", "/api/heap/add", object{"id": "h", "name": "Heap"}).want(t, "heap", 201, "")
	limit := int(s.Blocks.Limits().ImportBytes)
	if limit > 64<<20 {
		t.Fatalf("the test's limit is %d", limit)
	}
	s.as(t, "ada", "POST", "/api/heap/h/import", strings.Repeat("x", limit+1)).want(t, "too much", 413, "too_large")
	s.as(t, "ada", "POST", "/api/heap/h/import", zipOf(t, "a.md", strings.Repeat("\n", limit+1))).want(t, "a bomb", 413, "too_large")
}

func titledNotes(n int) (notes []note) {
	for i := range n {
		id := string(rune('a' + i))
		notes = append(notes, note{id, ydoc.Object{field("title", "Note "+id)}, "text"})
	}
	return notes
}
