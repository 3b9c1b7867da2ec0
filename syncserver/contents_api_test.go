package syncserver_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
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

func TestBlocksAreReadToTheLetter(t *testing.T) {
	s := newShared(t)
	s.put(t, "ada", "h", note{"target", ydoc.Object{field("title", "The target")}, ""})
	doc := ydoc.NewDoc(ydoc.Options{ClientID: 7})
	update := doc.Transact(func() {
		about := doc.Map("block")
		about.Set("title", "Page")
		about.Set("relations", ydoc.Object{field("r1", ydoc.Object{field("kind", "cites"), field("target", "target")}), field("r2", ydoc.Object{field("target", "gone")})})
		about.Set("apps", ydoc.Object{field("board", ydoc.Object{field("x", 1.5)})})
		about.Set("file", ydoc.Object{field("hash", "ab"), field("size", 10.0)})
		text := doc.Text("content")
		text.Insert(0, "Hello world")
		text.Format(0, 5, ydoc.Object{field("bold", true)})
		doc.XML("xml").InsertElement(0, "paragraph").InsertText(0).Insert(0, "In XML")
		values := doc.Map("values")
		values.Set("big", ydoc.BigInt(1<<60))
		values.Set("nan", math.NaN())
		values.Set("inf", math.Inf(1))
		values.Set("undefined", ydoc.Undefined{})
		values.Set("bytes", []byte("hi"))
		values.Set("sub", ydoc.Subdoc{GUID: "g-1"})
		doc.Array("list").Append(1.0, "two", nil)
	}).Update(ydoc.V1)
	s.as(t, "ada", "POST", "/api/sync/push", object{"blocks": []object{{"block_id": "p", "heap_id": "h", "update": base64.StdEncoding.EncodeToString(update)}}})
	s.put(t, "ada", "h", note{"other", ydoc.Object{field("title", "Other"), field("relations", ydoc.Object{field("b", ydoc.Object{field("kind", "see"), field("target", "p")})})}, ""})

	a := s.as(t, "ada", "POST", "/api/block/p", object{"format": "markdown"}).want(t, "block", 200, "")
	wantKeys(t, "block", a.json, "apps backlinks block content file relations rendered state_vector sync_version")
	wantKeys(t, "summary", a.at("block"), "apps block_id children created_at file heap_id parent size snippet sync_version title trashed_at type updated_at")
	got, err := json.Marshal(object{"content": a.at("content"), "relations": a.at("relations"), "backlinks": a.at("backlinks"), "apps": a.at("apps"), "file": a.at("file"), "rendered": a.at("rendered")})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"apps":{"board":{"x":1.5}},"backlinks":[{"block_id":"other","id":"b","kind":"see","title":"Other"}],` +
		`"content":{"content":{"delta":[{"attributes":{"bold":true},"insert":"Hello"},{"insert":" world"}],"text":"Hello world"},` +
		`"list":[1,"two",null],"values":{"big":"1152921504606846976","bytes":"aGk=","inf":null,"nan":null,"sub":{"guid":"g-1"},"undefined":null},` +
		`"xml":{"text":"In XML","xml":"\u003cparagraph\u003eIn XML\u003c/paragraph\u003e"}},"file":{"hash":"ab","size":10},` +
		`"relations":[{"id":"r1","kind":"cites","target":"target","title":"The target"},{"id":"r2","kind":"","target":"gone"}],"rendered":"In XML\n"}`
	if string(got) != want {
		t.Errorf("read\n%s, want\n%s", got, want)
	}
	for format, want := range map[string]any{"html": "<p>In XML</p>", "text": "In XML", "": nil} {
		a := s.as(t, "ada", "POST", "/api/block/p", object{"format": format, "heap_id": "h"}).want(t, format, 200, "")
		if text, _ := a.at("rendered").(string); strings.TrimSpace(text) != fmt.Sprint(want) && want != nil || want == nil && a.at("rendered") != nil {
			t.Errorf("as %s: %q", format, text)
		}
	}
	s.as(t, "ada", "POST", "/api/block/p", object{"format": "pdf"}).want(t, "format", 400, "invalid")
	s.as(t, "ada", "POST", "/api/block/none", nil).want(t, "no block", 404, "not_found")
	s.as(t, "bob", "POST", "/api/block/p", nil).want(t, "a stranger", 404, "not_found")
	s.as(t, "bob", "POST", "/api/block/p", object{"heap_id": "h"}).want(t, "a stranger", 404, "not_found")
	s.as(t, "ada", "POST", "/api/heap/add", object{"id": "h2", "name": "Second"}).want(t, "heap", 201, "")
	s.put(t, "ada", "h2", note{"p", nil, "another"})
	s.as(t, "ada", "POST", "/api/block/p", nil).want(t, "in two heaps", 409, "ambiguous_block")
	s.as(t, "ada", "POST", "/api/block/p", object{"workspace_id": "h2"}).want(t, "in one of them", 200, "")
}

// A few bytes of formats may stand for more than the server has memory.
func TestBlocksWithTooManyFormatsAreRefused(t *testing.T) {
	s := newShared(t)
	doc := ydoc.NewDoc(ydoc.Options{})
	update := doc.Transact(func() {
		text := doc.Text("content")
		text.Insert(0, strings.Repeat("ab", 2000))
		text.Format(0, 4000, ydoc.Object{field("link", strings.Repeat("x", 100_000))})
		for i := range 2000 {
			text.Format(2*i, 1, ydoc.Object{field("bold", true)})
		}
	}).Update(ydoc.V1)
	s.as(t, "ada", "POST", "/api/sync/push", object{"blocks": []object{{"block_id": "p", "heap_id": "h", "update": base64.StdEncoding.EncodeToString(update)}}})
	s.settle(t)
	for _, format := range []string{"", "html", "markdown", "text"} {
		s.as(t, "ada", "POST", "/api/block/p", object{"format": format}).want(t, format, 413, "too_large")
	}
	if ids := s.as(t, "ada", "POST", "/api/heap", object{"heap_id": "h", "query": "abab"}).ids(t); len(ids) != 1 {
		t.Errorf("search finds %v", ids)
	}
}

func TestHeapStats(t *testing.T) {
	s := newShared(t)
	a := s.as(t, "ada", "GET", "/api/heap/stats/h", nil).want(t, "an empty heap", 200, "")
	wantKeys(t, "stats", a.json, "activity blocks by_type disk files last_change_at members storage_bytes trashed updates updates_bytes")
	if a.at("blocks") != 0.0 || a.at("last_change_at") != nil {
		t.Error(a.text)
	}
	s.put(t, "ada", "h",
		note{"a", ydoc.Object{field("type", "task")}, "x"},
		note{"b", ydoc.Object{field("file", ydoc.Object{field("hash", "ab"), field("size", 1000.0)})}, ""},
		note{"t", ydoc.Object{field("trashed_at", 1_700_000_000_000.0)}, ""})
	s.put(t, "ada", "h", note{"a", nil, "y"})
	a = s.as(t, "ada", "GET", "/api/heap/stats/h", nil).want(t, "stats", 200, "")
	for path, want := range map[string]any{
		"blocks": 3.0, "trashed": 1.0, "files": 1.0, "updates": 4.0, "members": 1.0, "by_type.task": 1.0, "by_type.note": 1.0,
		"activity.0.updates": 4.0, "storage_bytes": a.at("updates_bytes").(float64) + 1000, "disk.files": 1000.0,
	} {
		if got := a.at(path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	if day, _ := a.at("activity.0.day").(string); len(day) != len("2026-05-04") {
		t.Errorf("day %q", day)
	}
	s.as(t, "bob", "GET", "/api/heap/stats/h", nil).want(t, "a stranger", 404, "not_found")
	s.as(t, "ada", "GET", "/api/heap/other/h", nil).want(t, "no such route", 404, "not_found")
	s.as(t, "ada", "GET", "/api/heap/stats/!", nil).want(t, "no id", 404, "not_found")
}

func TestListsRefuseWhatTheyDoNotKnow(t *testing.T) {
	s := newShared(t)
	s.put(t, "ada", "h", note{"a", nil, "one"}, note{"b", nil, "one two"}, note{"c", nil, "three"})
	first := s.as(t, "ada", "POST", "/api/heap", object{"heap_id": "h", "limit": 1}).want(t, "page", 200, "").str("next_cursor")
	found := s.as(t, "ada", "POST", "/api/heap", object{"heap_id": "h", "limit": 1, "query": "one"}).want(t, "page", 200, "").str("next_cursor")
	if first == "" || found == "" {
		t.Fatalf("cursors %q and %q", first, found)
	}
	for field, bodies := range map[string][]object{
		"heap_id": {{}, {"heap_id": "no id!"}, {"heap_id": 5}},
		"type":    {{"heap_id": "h", "type": strings.Repeat("x", 65)}, {"heap_id": "h", "type": 5}},
		"parent":  {{"heap_id": "h", "parent": "../x"}, {"heap_id": "h", "parent": 5}},
		"query":   {{"heap_id": "h", "query": strings.Repeat("x", 1001)}, {"heap_id": "h", "query": 5}},
		"trashed": {{"heap_id": "h", "trashed": "yes"}},
		"sort":    {{"heap_id": "h", "sort": "name"}, {"heap_id": "h", "sort": "-"}, {"heap_id": "h", "sort": "title; DROP"}},
		"limit":   {{"heap_id": "h", "limit": 0}, {"heap_id": "h", "limit": "x"}},
		"skip":    {{"heap_id": "h", "skip": -1}, {"heap_id": "h", "skip": "x"}, {"heap_id": "h", "skip": 0, "query": "one"}, {"heap_id": "h", "skip": 1, "cursor": first}},
		"cursor": {{"heap_id": "h", "cursor": "x"}, {"heap_id": "h", "cursor": "bm9wZQ"}, {"heap_id": "h", "cursor": first, "sort": "title"},
			{"heap_id": "h", "cursor": first, "trashed": true}, {"heap_id": "h", "cursor": found}, {"heap_id": "h", "query": "one", "cursor": first}},
	} {
		for _, body := range bodies {
			a := s.as(t, "ada", "POST", "/api/heap", body).want(t, fmt.Sprint(body), 400, "invalid")
			if got := a.at("errors.0.field"); got != field {
				t.Errorf("%v: the fault is in %v, want %s", body, got, field)
			}
		}
	}
	for _, path := range []string{"/api/heap", "/api/heap_count", "/api/search"} {
		s.as(t, "bob", "POST", path, object{"heap_id": "h", "query": "one"}).want(t, path+" by a stranger", 404, "not_found")
		s.as(t, "ada", "POST", path, object{"heap_id": "nowhere", "query": "one"}).want(t, path+" of no heap", 404, "not_found")
	}
}

func TestListsCanBeEnteredAnywhere(t *testing.T) {
	s := newShared(t)
	var notes []note
	for i := range 25 {
		notes = append(notes, note{fmt.Sprintf("b%02d", i), ydoc.Object{field("title", fmt.Sprintf("Title %02d", i)), field("parent", fmt.Sprint("p", i%5))}, ""})
	}
	s.put(t, "ada", "h", notes...)
	list := func(body object, want string, total float64) answer {
		t.Helper()
		body["heap_id"], body["sort"] = "h", "title"
		a := s.as(t, "ada", "POST", "/api/heap", body).want(t, fmt.Sprint(body), 200, "")
		if got := strings.Join(a.ids(t), " "); got != want || a.at("total") != total {
			t.Errorf("%v: %s of %v, want %s of %v", body, got, a.at("total"), want, total)
		}
		return a
	}
	list(object{"skip": 0, "limit": 2}, "b00 b01", 25)
	list(object{"skip": 23, "limit": 5}, "b23 b24", 25)
	list(object{"skip": 25}, "", 25)
	list(object{"skip": math.MaxInt32}, "", 25)
	list(object{"skip": 3, "parent": "p1"}, "b16 b21", 5)
	a := list(object{"skip": 10, "limit": 2}, "b10 b11", 25)
	next := s.as(t, "ada", "POST", "/api/heap", object{"heap_id": "h", "sort": "title", "limit": 2, "cursor": a.str("next_cursor")}).want(t, "next", 200, "")
	if got := strings.Join(next.ids(t), " "); got != "b12 b13" || next.at("total") != nil {
		t.Errorf("the page after is %s of %v", got, next.at("total"))
	}
}

// Pages that are read while blocks come, go and change hold each block that stays once.
func TestPagesStayWholeWhileBlocksChange(t *testing.T) {
	s := newShared(t)
	var notes []note
	for i := range 40 {
		notes = append(notes, note{fmt.Sprintf("b%02d", i), ydoc.Object{field("title", fmt.Sprintf("Title %02d", i))}, "common words"})
	}
	s.put(t, "ada", "h", notes...)
	for _, body := range []object{{"sort": "title"}, {"sort": "-title"}, {"sort": "created_at"}, {"query": "common"}, {"query": "common", "sort": "title"}} {
		seen := map[string]int{}
		body["heap_id"], body["limit"] = "h", 7
		for page := 0; ; page++ {
			a := s.as(t, "ada", "POST", "/api/heap", body).want(t, fmt.Sprint(body), 200, "")
			for _, id := range a.ids(t) {
				seen[id]++
			}
			if a.json["next_cursor"] == nil {
				break
			}
			body["cursor"] = a.str("next_cursor")
			s.put(t, "ada", "h", note{fmt.Sprint("new", page), ydoc.Object{field("title", "A new one")}, "of other words"})
		}
		for _, n := range notes {
			if seen[n.block] != 1 {
				t.Errorf("%v: %s came %d times", body, n.block, seen[n.block])
			}
		}
	}
}

func TestSearchAsksForRoles(t *testing.T) {
	s := newShared(t)
	s.as(t, "bob", "POST", "/api/heap/add", object{"id": "bobs", "name": "Bob's"}).want(t, "heap", 201, "")
	s.put(t, "ada", "h", note{"a", ydoc.Object{field("title", "Secret plan")}, "of ada about plans"}, note{"l", nil, strings.Repeat("filler words ", 50) + "plan"})
	s.put(t, "bob", "bobs", note{"b", nil, "bob's plan"})
	search := func(who string, body object) string {
		t.Helper()
		return strings.Join(s.as(t, who, "POST", "/api/search", body).want(t, who, 200, "").ids(t), " ")
	}
	if got := search("ada", object{"query": "plan"}); got != "a l" {
		t.Errorf("ada finds %s, want the title first", got)
	}
	if got := search("bob", object{"query": "plan"}); got != "b" {
		t.Errorf("bob finds %s", got)
	}
	s.as(t, "ada", "POST", "/api/heap/h/members", object{"public_key": s.key["bob"], "role": "viewer"}).want(t, "share", 200, "")
	if got := search("bob", object{"query": "secret plan"}); got != "a" {
		t.Errorf("bob finds %s as a viewer", got)
	}
	if got := search("bob", object{"query": "plan", "heap_id": "bobs"}); got != "b" {
		t.Errorf("bob finds %s in one heap", got)
	}
	s.as(t, "ada", "DELETE", "/api/heap/h/members/"+s.id["bob"], nil).want(t, "remove", 200, "")
	if got := search("bob", object{"query": "secret plan"}); got != "" {
		t.Errorf("bob finds %s when he has left", got)
	}
	if got := search("ada", object{"query": ""}); got != "" {
		t.Errorf("nothing finds %s", got)
	}
	a := s.as(t, "ada", "POST", "/api/search", object{"query": "plan"})
	if got := fmt.Sprint(a.at("blocks.0.title_matches"), a.at("blocks.0.snippet"), a.at("blocks.0.matches")); got != "[[7 11]]of ada about plans[[13 18]]" {
		t.Errorf("matches are %s", got)
	}
}
