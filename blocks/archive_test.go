package blocks_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/ydoc"
)

// exported is the heap's archive, as what it holds by names.
func (w *world) exported() ([]byte, map[string]string) {
	w.t.Helper()
	var out bytes.Buffer
	name := ""
	if err := w.Export(w.t.Context(), "eve", "h", func(n string) io.Writer { name = n; return &out }); err != nil {
		w.t.Fatal(err)
	}
	if name != "Heap.zip" {
		w.t.Errorf("the archive is called %q", name)
	}
	z, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		w.t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			w.t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			w.t.Fatalf("%s: %v", f.Name, err)
		}
		files[f.Name] = string(b)
	}
	return out.Bytes(), files
}

// write makes a block by an edit of a document.
func (w *world) write(block string, edit func(*ydoc.Doc)) {
	w.t.Helper()
	doc := ydoc.NewDoc(ydoc.Options{})
	w.put("ada", block, doc.Transact(func() { edit(doc) }).Update(ydoc.V1))
}

func titled(title string) func(*ydoc.Doc) {
	return func(doc *ydoc.Doc) {
		doc.Map("block").Set("title", title)
		doc.XML("default").InsertElement(0, "paragraph").InsertText(0).Insert(0, "text of "+title)
	}
}

func TestExportComesBackAsAnEqualHeap(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.write("a", titled("A/B: c?"))
	w.write("b", titled("a-b- C-"))
	w.write("c", titled("CON"))
	w.write("d", titled(""))
	w.write("e", func(doc *ydoc.Doc) {
		m := doc.Map("block")
		m.Set("type", "task")
		m.Set("parent", "a")
		m.Set("trashed_at", 1_770_000_000_000)
		m.SetType("relations", ydoc.TypeMap, "").AsMap().Set("r1", ydoc.Object{{Key: "kind", Value: "link"}, {Key: "target", Value: "b"}})
	})
	w.put("ada", "f", word(1, 0, "of another editor"))
	archive, files := w.exported()
	want := []string{
		"blocks.jsonl", "heapsync.json", "notes/A-B- c-.md", "notes/_CON.md", "notes/a-b- C- (2).md", "notes/of another editor.md", "notes/text of.md", "notes/untitled.md",
		"states/a.yjs", "states/b.yjs", "states/c.yjs", "states/d.yjs", "states/e.yjs", "states/f.yjs",
	}
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Errorf("the archive has\n%q, want\n%q", got, want)
	}
	if got, want := files["notes/A-B- c-.md"], "---\nid: a\ntitle: 'A/B: c?'\n---\n\ntext of A/B: c?\n"; got != want {
		t.Errorf("the note is %q, want %q", got, want)
	}
	if !strings.Contains(files["blocks.jsonl"], `"relations":[{"id":"r1","kind":"link","target":"b"}]`) {
		t.Errorf("the blocks are %s", files["blocks.jsonl"])
	}

	again := newWorld(t, blocks.Limits{})
	done, err := again.load("bob", archive)
	if err != nil || done.Blocks != 6 || len(done.Failed) != 0 || len(done.Renamed) != 0 {
		t.Fatalf("import: %+v, %v", done, err)
	}
	for _, block := range []string{"a", "b", "c", "d", "e", "f"} {
		if !sameState(t, again.state(block), w.state(block)) {
			t.Errorf("block %s came back as\n%x, was\n%x", block, again.state(block), w.state(block))
		}
	}
	last := again.head("f").Seq
	if done, err := again.load("bob", archive); err != nil || done.Blocks != 6 || again.head("f").Seq != last {
		t.Errorf("the second import: %+v, %v", done, err)
	}

	if _, err := again.PurgeBlock(t.Context(), ada, target("a")); err != nil {
		t.Fatal(err)
	}
	done, err = again.load("bob", archive)
	if err != nil || done.Blocks != 6 || len(done.Renamed) != 1 || done.Renamed[0].From != "a" {
		t.Fatalf("import of a block that was purged: %+v, %v", done, err)
	}
	if !sameState(t, again.state(string(done.Renamed[0].To)), w.state("a")) {
		t.Error("the purged block did not come back")
	}
}

func TestExportSaysWhatItCouldNotRead(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.write("a", titled("A"))
	w.write("b", titled("B"))
	if err := w.store.Quarantine(t.Context(), w.head("a").Ref, "for the test"); err != nil {
		t.Fatal(err)
	}
	_, files := w.exported()
	if _, there := files["states/a.yjs"]; there || !strings.Contains(files["blocks.jsonl"], `{"block_id":"a","type":"","error":"block is quarantined"}`) {
		t.Errorf("the blocks are %s", files["blocks.jsonl"])
	}
	err := w.Export(t.Context(), "mallory", "h", func(string) io.Writer { t.Error("it began"); return io.Discard })
	if !errors.Is(err, blocks.ErrNotFound) {
		t.Errorf("export for a stranger: %v", err)
	}
}

func TestExportedNotesLinkToEachOther(t *testing.T) {
	w := makeWorld(t, blocks.Limits{}, true)
	if _, err := w.load("bob", archive(t, "One: a.md", "---\ntags: [x]\nid: 5\n---\n[[Two (b)]] and [[one: a]]", "Two (b).md", "text")); err != nil {
		t.Fatal(err)
	}
	w.shown()
	_, files := w.exported()
	got := files["notes/One- a.md"]
	if !strings.HasPrefix(got, "---\nid: ") || !strings.Contains(got, "\ntags:\n    - x\n") {
		t.Errorf("the front matter of %q", got)
	}
	if !strings.HasSuffix(got, "[Two (b)](Two%20%28b%29.md) and [one: a](One-%20a.md)\n") {
		t.Errorf("the links of %q", got)
	}
}
func (w *world) shown() {
	w.t.Helper()
	if err := w.WaitIndexed(w.t.Context(), w.lastSeq()); err != nil {
		w.t.Fatal(err)
	}
}
func (w *world) lastSeq() blocks.Seq {
	w.t.Helper()
	seq, err := w.store.LastSeq(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return seq
}
