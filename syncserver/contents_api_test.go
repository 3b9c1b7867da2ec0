package syncserver_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

// note is the fields of a block's root map and its text.
type note struct {
	block  string
	fields ydoc.Object
	text   string
}

func field(key string, value any) ydoc.Member { return ydoc.Member{Key: key, Value: value} }

// put pushes notes, and waits until lists know them. Each push is a document of its own
// made by a client of its own, so that a second one of a block overwrites fields.
func (s *shared) put(t testing.TB, who, heap string, notes ...note) {
	t.Helper()
	var items []object
	for _, n := range notes {
		doc := ydoc.NewDoc(ydoc.Options{})
		if old := s.pullState(t, who, heap, n.block); old != nil {
			if err := doc.Apply(old, ydoc.V1); err != nil {
				t.Fatal(err)
			}
		}
		update := doc.Transact(func() {
			for _, m := range n.fields {
				doc.Map("block").Set(m.Key, m.Value)
			}
			if n.text != "" {
				doc.Text("content").Delete(0, doc.Text("content").Len())
				doc.Text("content").Insert(0, n.text)
			}
		}).Update(ydoc.V1)
		items = append(items, object{"block_id": n.block, "heap_id": heap, "update": base64.StdEncoding.EncodeToString(update)})
	}
	for len(items) > 0 {
		some := items[:min(len(items), 500)]
		items = items[len(some):]
		a := s.as(t, who, "POST", "/api/sync/push", object{"blocks": some}).want(t, "push", 200, "")
		if strings.Contains(a.text, `"error"`) {
			t.Fatal(a.text)
		}
	}
	s.settle(t)
}

func (s *shared) pullState(t testing.TB, who, heap, block string) []byte {
	t.Helper()
	a := s.as(t, who, "POST", "/api/sync/pull", object{"blocks": []object{{"block_id": block, "heap_id": heap}}}).want(t, "pull", 200, "")
	state, _ := a.at("blocks.0.state").(string)
	if state == "" {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(state)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// settle waits until lists know everything.
func (w *world) settle(t testing.TB) {
	t.Helper()
	seq, err := w.store.LastSeq(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Blocks.WaitIndexed(t.Context(), seq); err != nil {
		t.Fatal(err)
	}
}

// ids is the block ids of an answer's blocks.
func (a answer) ids(t testing.TB) []string {
	t.Helper()
	list, ok := a.json["blocks"].([]any)
	if !ok {
		t.Fatalf("no blocks: %d %s", a.status, a.text)
	}
	ids := []string{}
	for _, b := range list {
		ids = append(ids, b.(map[string]any)["block_id"].(string))
	}
	return ids
}

func TestContentsAreWhatDocumentsSay(t *testing.T) {
	s := newShared(t)
	s.put(t, "ada", "h",
		note{"a", ydoc.Object{field("title", "Groceries"), field("type", "task"), field("parent", "f"), field("created_at", 1_700_000_000_000.0)}, "Milk and bread"},
		note{"b", nil, "First line\nand a second"},
		note{"f", ydoc.Object{field("type", "folder"), field("title", "Folder")}, ""},
		note{"t", ydoc.Object{field("title", "Old"), field("trashed_at", 1_700_000_000_000.0)}, "x"},
	)
	a := s.as(t, "ada", "POST", "/api/heap", object{"heap_id": "h", "sort": "title"}).want(t, "contents", 200, "")
	if got := a.ids(t); !slices.Equal(got, []string{"b", "f", "a"}) {
		t.Errorf("by title: %v", got)
	}
	for path, want := range map[string]any{
		"blocks.0.title": "First line", "blocks.0.snippet": "and a second", "blocks.0.type": "note", "blocks.0.parent": nil, "blocks.0.file": nil,
		"blocks.0.trashed_at": nil, "blocks.0.sync_version": 1.0, "blocks.0.heap_id": "h",
		"blocks.2.title": "Groceries", "blocks.2.type": "task", "blocks.2.parent": "f", "blocks.2.snippet": "Milk and bread",
		"blocks.2.created_at": 1_700_000_000_000.0, "next_cursor": nil,
	} {
		if got := a.at(path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	list := func(body object) []string {
		t.Helper()
		body["heap_id"] = "h"
		return s.as(t, "ada", "POST", "/api/heap", body).want(t, fmt.Sprint(body), 200, "").ids(t)
	}
	for _, tt := range []struct {
		body object
		want []string
	}{
		{object{"type": "task"}, []string{"a"}},
		{object{"type": "nothing"}, []string{}},
		{object{"parent": "f"}, []string{"a"}},
		{object{"parent": "", "sort": "-title"}, []string{"f", "b"}},
		{object{"parent": "f", "type": "note"}, []string{}},
		{object{"parent": "f", "type": "task"}, []string{"a"}},
		{object{"trashed": true}, []string{"t"}},
		{object{"query": "mil"}, []string{"a"}},
		{object{"query": "GROCERIES bread"}, []string{"a"}},
		{object{"query": "line -second"}, []string{}},
		{object{"query": "\"first line\""}, []string{"b"}},
		{object{"query": "\"line first\""}, []string{}},
		{object{"query": "x", "trashed": true}, []string{"t"}},
		{object{"query": "x"}, []string{}},
		{object{"query": `" OR scope:* NEAR(^ "" -`}, []string{}},
	} {
		if got := list(tt.body); !slices.Equal(got, tt.want) {
			t.Errorf("%v: %v, want %v", tt.body, got, tt.want)
		}
	}
	c := s.as(t, "ada", "POST", "/api/heap_count", object{"heap_id": "h"}).want(t, "count", 200, "")
	if c.at("total") != 3.0 || c.at("trashed") != 1.0 || c.at("by_type.task") != 1.0 || c.at("by_type.note") != 1.0 || c.at("by_type.folder") != 1.0 {
		t.Errorf("counts: %s", c.text)
	}
	heaps := s.as(t, "ada", "POST", "/api/heaps", nil).want(t, "heaps", 200, "")
	if heaps.at("heaps.0.blocks") != 4.0 {
		t.Errorf("heaps: %s", heaps.text)
	}
}
