package storetest

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
)

// A ClosableIndex keeps what it holds when it is closed.
type ClosableIndex interface {
	blocks.Index
	io.Closer
}

// Index runs the conformance tests. open opens the index kept in dir, which is empty
// at first; the test closes it and may open it again.
func Index(t *testing.T, open func(t testing.TB, dir string) ClosableIndex) {
	for _, tt := range []struct {
		name string
		run  func(*indexBench)
	}{
		{"EntriesAreWhatWasProjected", testProjected},
		{"ProjectStoresAllOrNothing", testProjectAtomic},
		{"OldProjectionsChangeNothing", testProjectOld},
		{"UnreadBlocksStayAsTheyWere", testUnread},
		{"ListsAreSortedAndFiltered", testLists},
		{"ListsFollowAModel", testIndexModel},
		{"SearchFindsWords", testSearch},
		{"SearchKeepsToItsScopes", testSearchScopes},
		{"SearchHasTheNewestFirst", testSearchNewest},
		{"RelationsPointBack", testBacklinks},
		{"DaysAddUp", testDays},
		{"ProgressOnlyGrows", testProgress},
		{"HeapsAreForgotten", testForget},
		{"ResetEmpties", testReset},
		{"ReopenKeepsTheIndex", testIndexReopen},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &indexBench{T: t, dir: t.TempDir(), open: open}
			b.x = open(t, b.dir)
			defer func() {
				if err := b.x.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}()
			tt.run(b)
		})
	}
}

type indexBench struct {
	*testing.T
	x    ClosableIndex
	dir  string
	open func(testing.TB, string) ClosableIndex
	seq  blocks.Seq
}

func (b *indexBench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// page is a projection with all that has to be set, and a new seq.
func (b *indexBench) page(heap blocks.HeapID, block any, title, text string) blocks.Projection {
	b.seq++
	return blocks.Projection{Entry: blocks.Entry{
		Key: key(heap, block), Seq: b.seq, Type: "note", Title: title, SyncVersion: 1,
		Size: 10 * int64(b.seq), Updates: 3 * int64(b.seq), CreatedAt: 1000 - int64(b.seq), UpdatedAt: 1000 + int64(b.seq),
	}, Text: text}
}

func (b *indexBench) project(list ...blocks.Projection) {
	b.Helper()
	b.must(b.x.Project(b.Context(), &blocks.IndexBatch{Projections: list}))
}

func (b *indexBench) entry(k blocks.BlockKey) blocks.Entry {
	b.Helper()
	e, found, err := b.x.Entry(b.Context(), k)
	b.must(err)
	if !found {
		b.Fatalf("no entry of %s", k)
	}
	return e
}

func (b *indexBench) list(l blocks.Listing) []string {
	b.Helper()
	if l.Limit == 0 {
		l.Limit = 100
	}
	list, err := b.x.List(b.Context(), l)
	b.must(err)
	return idsOf(list)
}

func idsOf(list []blocks.Entry) []string {
	ids := []string{}
	for _, e := range list {
		ids = append(ids, string(e.Key.Block))
	}
	return ids
}

func (b *indexBench) counts(f blocks.Filter) blocks.Counts {
	b.Helper()
	c, err := b.x.Count(b.Context(), f)
	b.must(err)
	return c
}

// found is the blocks that a query finds, sorted.
func (b *indexBench) found(query string, inTitle bool, filters ...blocks.Filter) []string {
	b.Helper()
	return slices.Sorted(slices.Values(b.foundInOrder(query, inTitle, 1000, filters...)))
}

func (b *indexBench) foundInOrder(query string, inTitle bool, limit int, filters ...blocks.Filter) []string {
	b.Helper()
	q, err := blocks.ParseQuery(query)
	b.must(err)
	list, err := b.x.Search(b.Context(), filters, q, inTitle, limit)
	b.must(err)
	ids := []string{}
	for _, c := range list {
		entries, err := b.x.Entries(b.Context(), []int64{c.ID})
		b.must(err)
		ids = append(ids, idsOf(entries)...)
	}
	return ids
}

func (b *indexBench) wantFound(query string, inTitle bool, want string, filters ...blocks.Filter) {
	b.Helper()
	if got := strings.Join(b.found(query, inTitle, filters...), " "); got != want {
		b.Errorf("%q finds %q, want %q", query, got, want)
	}
}

func parent(id blocks.BlockID) *blocks.BlockID { return &id }

func testProjected(b *indexBench) {
	p := b.page("h", "a", "Title", "Text")
	p.Parent, p.Snippet, p.Apps, p.File, p.FileBytes = "up", "begins", []byte(`{"x":1}`), []byte(`{"hash":"ab"}`), 77
	p.TrashedAt, p.Type, p.Relations = 5, "file", []blocks.Relation{{ID: "r", Kind: "k", Target: "b"}}
	b.project(p)
	got := b.entry(p.Key)
	want := p.Entry
	want.ID = got.ID
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) || got.ID == 0 {
		b.Errorf("entry is\n%+v, want\n%+v", got, want)
	}
	totals, err := b.x.Totals(b.Context(), []blocks.HeapID{"h", "nowhere"})
	b.must(err)
	if want := map[blocks.HeapID]blocks.Totals{"h": {Blocks: 1, Bytes: 10, Updates: 3, Files: 1, FileBytes: 77, LastChangeAt: 1001}}; !maps.Equal(totals, want) {
		b.Errorf("totals are %+v, want %+v", totals, want)
	}
	if text, err := b.x.Text(b.Context(), got.ID); err != nil || text != "Text" {
		b.Errorf("text is %q, %v", text, err)
	}
	again := b.page("h", "a", "Other", "") // nothing of the old one stays
	b.project(again)
	again.ID = got.ID
	if got := b.entry(p.Key); fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", again.Entry) {
		b.Errorf("entry is\n%+v, want\n%+v", got, again.Entry)
	}
	if totals, err = b.x.Totals(b.Context(), []blocks.HeapID{"h"}); err != nil || totals["h"] != (blocks.Totals{Blocks: 1, Bytes: 20, Updates: 6, LastChangeAt: 1002}) {
		b.Errorf("totals are %+v, %v", totals, err)
	}
	if links, err := b.x.Backlinks(b.Context(), key("h", "b"), 10); err != nil || len(links) != 0 {
		b.Errorf("backlinks: %v, %v", links, err)
	}
	for _, none := range []blocks.BlockKey{key("h", "none"), key("none", "a")} {
		if _, found, err := b.x.Entry(b.Context(), none); err != nil || found {
			b.Errorf("%s: %v, %v", none, found, err)
		}
	}
}

func testProjectAtomic(b *indexBench) {
	ctx, cancel := context.WithCancel(b.Context())
	cancel()
	if err := b.x.Project(ctx, &blocks.IndexBatch{Projections: []blocks.Projection{b.page("h", "a", "A", "")}, Progress: blocks.Progress{Through: 9}}); err == nil {
		b.Error("a transaction whose context has ended was made")
	}
	if n := b.counts(blocks.Filter{Heap: "h"}); n.Total != 0 {
		b.Errorf("%d blocks of a transaction that failed", n.Total)
	}
	if p, err := b.x.Progress(b.Context()); err != nil || p != (blocks.Progress{}) {
		b.Errorf("progress is %+v, %v", p, err)
	}
}

func testProjectOld(b *indexBench) {
	old := b.page("h", "a", "Old", "old")
	b.project(b.page("h", "a", "New", "new"))
	b.project(old)
	if e := b.entry(key("h", "a")); e.Title != "New" {
		b.Errorf("title is %q", e.Title)
	}
	b.wantFound("old", false, "", blocks.Filter{Heap: "h"})
	b.wantFound("new", false, "a", blocks.Filter{Heap: "h"})
}

func testUnread(b *indexBench) {
	p := b.page("h", "a", "Title", "word")
	p.Type = "task"
	b.project(p)
	broken := b.page("h", "a", "", "")
	broken.Unread = "why"
	alone := b.page("h", "b", "", "")
	alone.Unread = "why"
	b.project(broken, alone)
	e := b.entry(p.Key)
	if e.Title != "Title" || e.Type != "task" || e.Seq != broken.Seq || e.Unread != "why" || e.UpdatedAt != broken.UpdatedAt || e.Size != broken.Size {
		b.Errorf("entry is %+v", e)
	}
	b.wantFound("word", false, "a", blocks.Filter{Heap: "h"})
	if e := b.entry(alone.Key); e.Unread != "why" || e.Type != "note" {
		b.Errorf("entry is %+v", e)
	}
	if totals, err := b.x.Totals(b.Context(), []blocks.HeapID{"h"}); err != nil || totals["h"].Bytes != broken.Size+alone.Size {
		b.Errorf("totals are %+v, %v", totals, err)
	}
	b.project(b.page("h", "a", "Again", ""))
	if e := b.entry(p.Key); e.Unread != "" || e.Title != "Again" {
		b.Errorf("entry is %+v", e)
	}
}

func testLists(b *indexBench) {
	a, c, d, z := b.page("h", "a", "zebra", ""), b.page("h", "c", "Éclair", ""), b.page("h", "d", "apple", ""), b.page("other", "z", "x", "")
	c.Type, c.Parent = "task", "a"
	d.Parent = "a"
	t := b.page("h", "t", "trash", "")
	t.TrashedAt = 5
	b.project(a, c, d, z, t)
	h := blocks.Filter{Heap: "h"}
	for _, tt := range []struct {
		l    blocks.Listing
		want string
	}{
		{blocks.Listing{Filter: h, By: blocks.ByUpdated, Descending: true}, "d c a"},
		{blocks.Listing{Filter: h, By: blocks.ByUpdated}, "a c d"},
		{blocks.Listing{Filter: h, By: blocks.ByUpdated, Skip: 1}, "c d"},
		{blocks.Listing{Filter: h, By: blocks.ByUpdated, Skip: 1, Limit: 1}, "c"},
		{blocks.Listing{Filter: h, By: blocks.ByUpdated, Skip: 3}, ""},
		{blocks.Listing{Filter: h, By: blocks.ByCreated}, "d c a"},
		{blocks.Listing{Filter: h, By: blocks.ByTitle}, "d c a"},
		{blocks.Listing{Filter: h, By: blocks.BySize, Descending: true, Limit: 2}, "d c"},
		{blocks.Listing{Filter: blocks.Filter{Heap: "h", Type: "task"}, By: blocks.ByTitle}, "c"},
		{blocks.Listing{Filter: blocks.Filter{Heap: "h", Parent: parent("a")}, By: blocks.ByTitle}, "d c"},
		{blocks.Listing{Filter: blocks.Filter{Heap: "h", Parent: parent("")}, By: blocks.ByTitle}, "a"},
		{blocks.Listing{Filter: blocks.Filter{Heap: "h", Parent: parent("a"), Type: "note"}, By: blocks.BySize}, "d"},
		{blocks.Listing{Filter: blocks.Filter{Heap: "h", Trashed: true}, By: blocks.ByTitle}, "t"},
		{blocks.Listing{Filter: blocks.Filter{Heap: "nowhere"}, By: blocks.ByTitle}, ""},
	} {
		if got := strings.Join(b.list(tt.l), " "); got != tt.want {
			b.Errorf("%+v: %s, want %s", tt.l, got, tt.want)
		}
	}
	if c := b.counts(h); c.Total != 3 || c.Trashed != 1 || !maps.Equal(c.ByType, map[string]int64{"note": 2, "task": 1}) {
		b.Errorf("counts are %+v", c)
	}
	if c := b.counts(blocks.Filter{Heap: "h", Type: "task"}); c.Total != 1 || c.Trashed != 0 || !maps.Equal(c.ByType, map[string]int64{"task": 1}) {
		b.Errorf("counts of a type are %+v", c)
	}
	if _, err := b.x.List(b.Context(), blocks.Listing{Filter: h, By: "nothing", Limit: 1}); err == nil {
		b.Error("sorted by nothing")
	}
}

// testIndexModel projects at random and reads all lists by pages of all sizes.
func testIndexModel(b *indexBench) {
	seed := uint64(time.Now().UnixNano())
	b.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	model := map[blocks.BlockID]blocks.Projection{}
	types, parents := []string{"note", "task", "*"}, []blocks.BlockID{"", "1", "2"}
	for range 60 {
		var batch blocks.IndexBatch
		used := map[blocks.BlockID]bool{}
		for range 1 + rng.IntN(8) {
			id := blocks.BlockID(fmt.Sprint(rng.IntN(30)))
			if used[id] {
				continue
			}
			used[id] = true
			if rng.IntN(6) == 0 {
				batch.Removed = append(batch.Removed, key("h", string(id)))
				delete(model, id)
				continue
			}
			p := b.page("h", string(id), fmt.Sprint("Title ", rng.IntN(3)), "text")
			p.Type, p.Parent, p.UpdatedAt, p.CreatedAt, p.Size = types[rng.IntN(3)], parents[rng.IntN(3)], rng.Int64N(4), rng.Int64N(4), rng.Int64N(4)
			p.TrashedAt = int64(rng.IntN(3) / 2)
			batch.Projections = append(batch.Projections, p)
			model[id] = p
		}
		b.must(b.x.Project(b.Context(), &batch))
	}
	for id := range model {
		children := int64(0)
		for _, p := range model {
			if p.Parent == id && p.TrashedAt == 0 {
				children++
			}
		}
		if e := b.entry(key("h", string(id))); e.Children != children {
			b.Errorf("%s has %d children, want %d", id, e.Children, children)
		}
	}
	for _, trashed := range []bool{false, true} {
		for _, kind := range append([]string{""}, types...) {
			for _, up := range []*blocks.BlockID{nil, parent(""), parent("1"), parent("none")} {
				f := blocks.Filter{Heap: "h", Type: kind, Parent: up, Trashed: trashed}
				var want []blocks.Projection
				for _, p := range model {
					if (p.TrashedAt != 0) == trashed && (kind == "" || p.Type == kind) && (up == nil || p.Parent == *up) {
						want = append(want, p)
					}
				}
				if c := b.counts(f); c.Total != int64(len(want)) {
					b.Errorf("%+v: counted %d, want %d", f, c.Total, len(want))
				}
				for _, by := range []blocks.SortKey{blocks.ByUpdated, blocks.ByCreated, blocks.ByTitle, blocks.BySize} {
					b.pages(blocks.Listing{Filter: f, By: by, Descending: rng.IntN(2) == 0, Limit: 1 + rng.IntN(7)}, want)
				}
			}
		}
	}
}

// pages reads a list page by page and compares it with what it should hold.
func (b *indexBench) pages(l blocks.Listing, want []blocks.Projection) {
	b.Helper()
	value := func(e *blocks.Entry) any {
		switch l.By {
		case blocks.ByUpdated:
			return e.UpdatedAt
		case blocks.ByCreated:
			return e.CreatedAt
		case blocks.BySize:
			return e.Size
		}
		return blocks.SortTitle(e.Title)
	}
	seen := map[blocks.BlockID]bool{}
	var order []string
	var last *blocks.Entry
	for {
		list, err := b.x.List(b.Context(), l)
		b.must(err)
		for _, e := range list {
			if seen[e.Key.Block] {
				b.Fatalf("%+v: %s came twice", l, e.Key)
			}
			seen[e.Key.Block] = true
			order = append(order, string(e.Key.Block))
			if last != nil {
				x, y := fmt.Sprintf("%20v %20d", value(last), last.ID), fmt.Sprintf("%20v %20d", value(&e), e.ID)
				if l.Descending {
					x, y = y, x
				}
				if x >= y {
					b.Fatalf("%+v: %s came after %s", l, y, x)
				}
			}
			last = &e
		}
		if len(list) < l.Limit {
			break
		}
		l.After = &blocks.Place{Value: value(last), ID: last.ID}
	}
	if len(seen) != len(want) {
		b.Errorf("%+v: %d blocks, want %d", l, len(seen), len(want))
	}
	l.After = nil
	for l.Skip = range len(order) + 2 {
		rest := order[min(l.Skip, len(order)):]
		if got := b.list(l); !slices.Equal(got, rest[:min(len(rest), l.Limit)]) {
			b.Fatalf("%+v: %s, want the beginning of %s", l, got, rest)
		}
	}
}

func testSearch(b *indexBench) {
	for i, p := range []struct{ id, title, text string }{
		{"en", "Shopping list", "Milk, bread and well-known coffee at café Müller's"},
		{"de", "Straße", "Die Größe der Häuser"},
		{"zh", "会议记录", "今天我们讨论了数据库的设计"},
		{"ja", "買い物リスト", "牛乳とパンを買う。コーヒーも"},
		{"ko", "회의록", "데이터베이스 설계를 논의했다"},
		{"mix", "iPhone手机评测", "The 新手机 runs iOS18 很快"},
		{"th", "ประชุม", "เราคุยกันเรื่องฐานข้อมูล"},
		{"hi", "हिन्दी", "यह एक परीक्षण है"},
		{"emoji", "Party 🎉", "🎂 cake"},
		{"long", "x", strings.Repeat("filler ", 3000) + "needle"},
	} {
		page := b.page("h", p.id, p.title, p.text)
		page.UpdatedAt = int64(i)
		b.project(page)
	}
	h := blocks.Filter{Heap: "h"}
	for query, want := range map[string]string{
		"milk": "en", "MILK": "en", "mil": "en", "ilk": "", "milk bread": "en", "bread milk": "en", "milk nothing": "", "milk -bread": "",
		"\"bread and\"": "en", "\"milk and\"": "", "\"mil\"": "", "mil bread": "", "well-known": "en", "known-well": "", "cafe": "en", "café": "en", "CAFÉ": "en",
		"muller": "en", "strasse": "de", "straße": "de", "STRASSE": "de", "grosse": "de", "größe": "de", "hauser": "de", "-milk shopping": "",
		"会": "zh", "会议": "zh", "议会": "", "数据库": "zh", "数据 设计": "zh", "据数": "", "今": "zh",
		"買": "ja", "買う": "ja", "パン": "ja", "ｺｰﾋｰ": "ja", "コーヒー": "ja", "リスト": "ja",
		"회": "ko", "회의": "ko", "의회": "", "데이터": "ko", "설계": "ko",
		"手机": "mix", "iphone": "mix", "iPhone手机": "mix", "手机评": "mix", "ios": "mix", "runs 很快": "mix", "new手机": "",
		"ประชุม": "th", "ฐาน": "th", "ข้อมูล": "th", "हिन्दी": "hi", "परीक्षण": "hi", "परी": "hi",
		"🎉": "emoji", "🎂": "emoji", "cake 🎉": "emoji", "needle": "long", "\"filler needle\"": "long", "needle filler": "long",
		"title:milk": "", "mil*": "en", "(milk": "en", "milk OR nothing": "", "NEAR(milk bread)": "", "^milk": "en", "\"milk": "en", "milk\"": "en", "milk AND": "en", "milk AN D": "",
		"s1": "", "scope": "",
	} {
		b.wantFound(query, false, want, h)
	}
	b.wantFound("shopping", true, "en", h)
	b.wantFound("milk", true, "", h)
	b.wantFound("shop", true, "en", h)
	b.wantFound("-milk", false, "de emoji hi ja ko long mix th zh", h)
	q, err := blocks.ParseQuery("filler")
	b.must(err)
	for limit, want := range map[int]int64{5: 1, 1: 1} {
		if n, err := b.x.CountMatches(b.Context(), h, q, limit); err != nil || n != want {
			b.Errorf("counted up to %d: %d, %v, want %d", limit, n, err, want)
		}
	}
}

func testSearchScopes(b *indexBench) {
	a, c, d := b.page("h", "a", "word", ""), b.page("g", "c", "word", ""), b.page("h", "d", "word", "")
	d.TrashedAt, d.Type = 1, "task"
	b.project(a, c, d)
	b.wantFound("word", false, "a", blocks.Filter{Heap: "h"})
	b.wantFound("word", false, "c", blocks.Filter{Heap: "g"})
	b.wantFound("word", false, "d", blocks.Filter{Heap: "h", Trashed: true})
	b.wantFound("word", false, "d", blocks.Filter{Heap: "h", Trashed: true, Type: "task"})
	b.wantFound("word", false, "", blocks.Filter{Heap: "h", Type: "task"})
	b.wantFound("word", false, "a c", blocks.Filter{Heap: "h"}, blocks.Filter{Heap: "g"}, blocks.Filter{Heap: "nowhere"})
	b.wantFound("word", false, "")
	back := b.page("h", "d", "word", "") // out of the trash, and of another type
	b.project(back)
	b.wantFound("word", false, "a d", blocks.Filter{Heap: "h"})
	b.wantFound("word", false, "", blocks.Filter{Heap: "h", Trashed: true})
	b.must(b.x.Project(b.Context(), &blocks.IndexBatch{Removed: []blocks.BlockKey{back.Key, key("h", "never")}}))
	b.wantFound("word", false, "a", blocks.Filter{Heap: "h"})
}

func testSearchNewest(b *indexBench) {
	for i := range 20 {
		b.project(b.page("h", i, "word", ""))
	}
	b.project(b.page("h", 7, "word", "changed"))
	b.project(b.page("h", 3, "word", "")) // its text is what it was
	if got := b.foundInOrder("word", false, 3, blocks.Filter{Heap: "h"}); !slices.Equal(got, []string{"7", "19", "18"}) {
		b.Errorf("the newest are %v", got)
	}
}

func testBacklinks(b *indexBench) {
	a, c := b.page("h", "a", "A", ""), b.page("h", "c", "C", "")
	a.Relations = []blocks.Relation{{ID: "2", Kind: "cites", Target: "x"}, {ID: "1", Kind: "likes", Target: "y"}, {ID: "1", Kind: "again", Target: "y"}}
	c.Relations = []blocks.Relation{{ID: "9", Kind: "cites", Target: "x"}}
	trashed := b.page("h", "t", "T", "")
	trashed.TrashedAt, trashed.Relations = 1, c.Relations
	b.project(a, c, trashed)
	links := func(limit int) string {
		list, err := b.x.Backlinks(b.Context(), key("h", "x"), limit)
		b.must(err)
		var s []string
		for _, l := range list {
			s = append(s, fmt.Sprint(l.From, l.Title, l.ID, l.Kind, l.Target))
		}
		return strings.Join(s, " ")
	}
	if got := links(10); got != "cC9citesx aA2citesx" {
		b.Errorf("backlinks are %q", got)
	}
	if got := links(1); got != "cC9citesx" {
		b.Errorf("one backlink is %q", got)
	}
	b.project(b.page("h", "c", "C", ""))
	if got := links(10); got != "aA2citesx" {
		b.Errorf("backlinks are %q", got)
	}
	titles, err := b.x.Titles(b.Context(), "h", []blocks.BlockID{"a", "none", "c"})
	b.must(err)
	if !maps.Equal(titles, map[blocks.BlockID]string{"a": "A", "c": "C"}) {
		b.Errorf("titles are %v", titles)
	}
}

func testDays(b *indexBench) {
	add := func(heap blocks.HeapID, day, n int64) {
		b.must(b.x.Project(b.Context(), &blocks.IndexBatch{Days: []blocks.DayUpdates{{Heap: heap, Day: day, Updates: n}}}))
	}
	add("h", 5, 1)
	add("h", 3, 2)
	add("h", 5, 10)
	add("g", 5, 100)
	add("h", 1, 1)
	days, err := b.x.Days(b.Context(), "h", 3)
	b.must(err)
	if want := []blocks.DayUpdates{{Heap: "h", Day: 3, Updates: 2}, {Heap: "h", Day: 5, Updates: 11}}; !slices.Equal(days, want) {
		b.Errorf("days are %v, want %v", days, want)
	}
}

func testProgress(b *indexBench) {
	for _, tt := range []struct{ put, want blocks.Progress }{
		{blocks.Progress{}, blocks.Progress{}},
		{blocks.Progress{Through: 5}, blocks.Progress{Through: 5}},
		{blocks.Progress{Through: 3, Counted: 7}, blocks.Progress{Through: 5, Counted: 7}},
		{blocks.Progress{Through: 9, Counted: 1}, blocks.Progress{Through: 9, Counted: 7}},
	} {
		b.must(b.x.Project(b.Context(), &blocks.IndexBatch{Progress: tt.put}))
		if got, err := b.x.Progress(b.Context()); err != nil || got != tt.want {
			b.Errorf("after %+v: %+v, %v, want %+v", tt.put, got, err, tt.want)
		}
	}
}

func testForget(b *indexBench) {
	a, c := b.page("h", "a", "word", ""), b.page("g", "c", "word", "")
	a.Relations = []blocks.Relation{{ID: "1", Kind: "k", Target: "c"}}
	b.project(a, c)
	b.must(b.x.Project(b.Context(), &blocks.IndexBatch{Days: []blocks.DayUpdates{{Heap: "h", Day: 1, Updates: 1}}}))
	b.must(b.x.Forget(b.Context(), "h"))
	b.must(b.x.Forget(b.Context(), "nowhere"))
	heaps, err := b.x.Heaps(b.Context())
	b.must(err)
	if !slices.Equal(heaps, []blocks.HeapID{"g"}) {
		b.Errorf("heaps are %v", heaps)
	}
	b.wantFound("word", false, "c", blocks.Filter{Heap: "h"}, blocks.Filter{Heap: "g"})
	if n := b.counts(blocks.Filter{Heap: "h"}); n.Total != 0 {
		b.Errorf("%d blocks", n.Total)
	}
	b.project(b.page("h", "a", "new", "")) // another heap of that id
	if days, err := b.x.Days(b.Context(), "h", 0); err != nil || len(days) != 0 {
		b.Errorf("days of the old heap: %v, %v", days, err)
	}
}

func testReset(b *indexBench) {
	b.project(b.page("h", "a", "word", ""))
	b.must(b.x.Project(b.Context(), &blocks.IndexBatch{Progress: blocks.Progress{Through: 5, Counted: 5}}))
	b.must(b.x.Reset(b.Context()))
	if p, err := b.x.Progress(b.Context()); err != nil || p != (blocks.Progress{}) {
		b.Errorf("progress is %+v, %v", p, err)
	}
	b.wantFound("word", false, "", blocks.Filter{Heap: "h"})
	b.project(b.page("h", "a", "word", ""))
	b.wantFound("word", false, "a", blocks.Filter{Heap: "h"})
}

func testIndexReopen(b *indexBench) {
	p := b.page("h", "a", "word", "text")
	b.must(b.x.Project(b.Context(), &blocks.IndexBatch{Projections: []blocks.Projection{p}, Progress: blocks.Progress{Through: 3, Counted: 2}}))
	before := b.entry(p.Key)
	b.must(b.x.Close())
	b.x = b.open(b.T, b.dir)
	if e := b.entry(p.Key); fmt.Sprintf("%+v", e) != fmt.Sprintf("%+v", before) {
		b.Errorf("entry is %+v, want %+v", e, before)
	}
	if got, err := b.x.Progress(b.Context()); err != nil || got != (blocks.Progress{Through: 3, Counted: 2}) {
		b.Errorf("progress is %+v, %v", got, err)
	}
	seqs, err := b.x.Seqs(b.Context(), "h", []blocks.BlockID{"a", "b"})
	b.must(err)
	if !maps.Equal(seqs, map[blocks.BlockID]blocks.Seq{"a": p.Seq}) {
		b.Errorf("seqs are %v", seqs)
	}
}
