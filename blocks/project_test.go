package blocks_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/storetest"
	"github.com/heapsync/heapsync/ydoc"
)

// edit makes an edit of a block's document as ada, and returns its seq.
func (w *world) edit(block string, fn func(doc *ydoc.Doc)) blocks.Seq {
	w.t.Helper()
	doc := ydoc.NewDoc(ydoc.Options{})
	d, err := w.Diff(w.t.Context(), key(block), ydoc.StateVector{})
	if err == nil {
		err = doc.Apply(d.Update, ydoc.V1)
	} else if errors.Is(err, blocks.ErrNotFound) {
		err = nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	res := w.push("ada", block, doc.Transact(func() { fn(doc) }).Update(ydoc.V1))
	if res.Status != blocks.StatusApplied {
		w.t.Fatalf("edit of %s: %s, %v", block, res.Status, res.Err)
	}
	return res.Seq
}

func (w *world) title(block, title string) blocks.Seq {
	w.t.Helper()
	return w.edit(block, func(doc *ydoc.Doc) { doc.Map("block").Set("title", title) })
}

// settle waits until lists know everything.
func (w *world) settle() {
	w.t.Helper()
	seq, err := w.store.LastSeq(w.t.Context())
	if err == nil {
		err = w.WaitIndexed(w.t.Context(), seq)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) entry(block string) blocks.Entry {
	w.t.Helper()
	e, found, err := w.cfg.Index.Entry(w.t.Context(), key(block))
	if err != nil || !found {
		w.t.Fatalf("entry of %s: %v, %v", block, found, err)
	}
	return e
}

// titles is the titles in the heap, in order.
func (w *world) titles() []string {
	w.t.Helper()
	page, err := w.Contents(w.t.Context(), "ada", blocks.ContentsRequest{Filter: blocks.Filter{Heap: "h"}, Sort: "title", Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	var list []string
	for _, b := range page.Blocks {
		list = append(list, b.Title)
	}
	return list
}

func (w *world) wantTitles(want ...string) {
	w.t.Helper()
	if got := w.titles(); !slices.Equal(got, want) {
		w.t.Errorf("titles are %q, want %q", got, want)
	}
}

func TestListsFollowEdits(t *testing.T) {
	w := makeWorld(t, blocks.Limits{}, true)
	w.title("a", "one")
	w.title("b", "two")
	w.settle()
	w.wantTitles("one", "two")
	if err := w.WaitIndexed(t.Context(), w.title("a", "zero")); err != nil {
		t.Fatal(err)
	}
	w.wantTitles("two", "zero")
	e := w.entry("a")
	if head := w.head("a"); e.Seq != head.Seq || e.Size != head.Bytes || e.UpdatedAt != head.UpdatedAt {
		t.Errorf("%+v of %+v", e, head)
	}
}

// While a block is being edited it is read now and then, and what is acknowledged
// shows within 2 s all the same.
func TestBlocksBeingEditedAreReadNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		reads := 0
		defer blocks.OnRead(func(blocks.BlockKey) {
			mu.Lock()
			defer mu.Unlock()
			reads++
		})()
		w := makeWorld(t, blocks.Limits{}, true)
		defer w.close()
		w.title("a", "first")
		for i := range 100 {
			w.title("a", fmt.Sprint("title ", i))
			time.Sleep(100 * time.Millisecond)
			if i == 20 {
				synctest.Wait()
				if got := w.entry("a").Title; got < "title 1" || got > "title 20" {
					t.Errorf("after 2 s the title is %q", got)
				}
			}
		}
		last := w.title("a", "last")
		time.Sleep(1900 * time.Millisecond)
		synctest.Wait()
		w.wantTitles("last")
		mu.Lock()
		defer mu.Unlock()
		if reads < 5 || reads > 9 {
			t.Errorf("%d reads in 12 s", reads)
		}
		if err := w.WaitIndexed(t.Context(), last); err != nil {
			t.Error(err)
		}
	})
}

func TestBlocksAreReadInTheOrderOfTheirEdits(t *testing.T) {
	var mu sync.Mutex
	var order []string
	defer blocks.OnRead(func(k blocks.BlockKey) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, string(k.Block))
	})()
	w := makeWorld(t, blocks.Limits{}, true)
	var want []string
	for i := range 30 {
		block := fmt.Sprint("b", (i*7)%30)
		w.title(block, "x")
		want = append(want, block)
	}
	w.title(want[0], "again")
	w.settle()
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(order, want) {
		t.Errorf("read %v, want %v", order, want)
	}
}

// copyFile copies what is there of a database that is not open.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) indexPath() string { return filepath.Join(w.dir, "index.db") }

func TestIndexCatchesUpAfterRestart(t *testing.T) {
	w := makeWorld(t, blocks.Limits{}, true)
	w.title("a", "one")
	w.title("b", "two")
	w.settle()
	w.close()
	copyFile(t, w.indexPath(), w.indexPath()+".old")
	w.open()
	w.title("b", "three")
	w.title("c", "four")
	w.settle()

	for _, tt := range []struct {
		name  string
		spoil func()
	}{
		{"nothing is lost", func() {}},
		{"the index is gone", func() { os.Remove(w.indexPath()) }},
		{"the index is older", func() { copyFile(t, w.indexPath()+".old", w.indexPath()) }},
		{"the index is no database", func() { os.WriteFile(w.indexPath(), []byte(strings.Repeat("nonsense", 1000)), 0o600) }},
		{"the index is cut", func() { os.Truncate(w.indexPath(), 20_000) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.close()
			tt.spoil()
			w.open()
			w.settle()
			w.wantTitles("four", "one", "three")
			days, err := w.cfg.Index.Days(t.Context(), "h", 0)
			if err != nil || len(days) != 1 || days[0].Updates != 4 {
				t.Errorf("days: %v, %v", days, err)
			}
			if got := w.search("thr"); !slices.Equal(got, []string{"b"}) {
				t.Errorf("search finds %v", got)
			}
		})
	}
}

func (w *world) search(query string) []string {
	w.t.Helper()
	page, err := w.Search(w.t.Context(), "ada", blocks.SearchRequest{Query: query, Limit: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	var ids []string
	for _, b := range page.Blocks {
		ids = append(ids, string(b.Key.Block))
	}
	return ids
}

// An index that knows more than the log is of another database.
func TestIndexOfAnotherDatabaseIsMadeAnew(t *testing.T) {
	w := makeWorld(t, blocks.Limits{}, true)
	w.title("a", "one")
	w.settle()
	w.close()
	copyFile(t, w.path(), w.path()+".old")
	w.open()
	w.title("a", "two")
	w.title("b", "three")
	w.settle()
	w.close()
	copyFile(t, w.path()+".old", w.path())
	w.open()
	w.title("c", "four") // may come before the index is looked at
	w.settle()
	w.wantTitles("four", "one")
}

func TestMoreBlocksThanMayWaitAreFoundByTheirHeads(t *testing.T) {
	w := makeWorld(t, blocks.Limits{}, true)
	w.settle()
	w.LimitDirty(5)
	want := []string{}
	for i := range 60 {
		w.title(fmt.Sprint("b", i), fmt.Sprintf("title %02d", i))
		want = append(want, fmt.Sprintf("title %02d", i))
	}
	w.settle()
	w.wantTitles(want...)
	days, err := w.cfg.Index.Days(t.Context(), "h", 0)
	if err != nil || len(days) != 1 || days[0].Updates != 60 {
		t.Errorf("days: %v, %v", days, err)
	}
}

// failingIndex fails to store what is projected, as often as it is told to.
type failingIndex struct {
	blocks.Index
	mu    sync.Mutex
	times int
	err   error
}

func (x *failingIndex) Project(ctx context.Context, b *blocks.IndexBatch) error {
	x.mu.Lock()
	fails := x.times > 0 && len(b.Projections) > 0
	if fails {
		x.times--
	}
	x.mu.Unlock()
	if fails {
		return x.err
	}
	return x.Index.Project(ctx, b)
}

func TestIndexThatFailsIsTriedAgain(t *testing.T) {
	for _, cause := range []error{errors.New("disk full"), fmt.Errorf("page 7: %w", blocks.ErrCorrupt)} {
		synctest.Test(t, func(t *testing.T) {
			w := makeWorld(t, blocks.Limits{}, true)
			defer w.close()
			w.title("a", "one")
			w.settle()
			failing := &failingIndex{Index: w.cfg.Index, times: 2, err: cause}
			w.withIndex(failing)
			w.title("b", "two")
			w.title("a", "three")
			w.settle()
			w.wantTitles("three", "two")
			days, err := failing.Days(t.Context(), "h", 0)
			if err != nil || len(days) != 1 || days[0].Updates != 3 {
				t.Errorf("days: %v, %v", days, err)
			}
			if failing.times != 0 {
				t.Error("it never failed")
			}
		})
	}
}

func TestReadersHaveADamagedIndexMadeAnew(t *testing.T) {
	w := makeWorld(t, blocks.Limits{}, true)
	w.title("a", "one")
	w.settle()
	w.withIndex(&corruptLists{Index: w.cfg.Index, times: 1})
	_, err := w.Contents(t.Context(), "ada", blocks.ContentsRequest{Filter: blocks.Filter{Heap: "h"}, Limit: 10})
	if !errors.Is(err, blocks.ErrUnavailable) {
		t.Errorf("list of a damaged index: %v", err)
	}
	if err := w.WaitIndexed(t.Context(), w.title("b", "two")); err != nil {
		t.Fatal(err)
	}
	w.wantTitles("one", "two")
}

type corruptLists struct {
	blocks.Index
	times int
}

func (x *corruptLists) List(ctx context.Context, l blocks.Listing) ([]blocks.Entry, error) {
	if x.times > 0 {
		x.times--
		return nil, blocks.ErrCorrupt
	}
	return x.Index.List(ctx, l)
}

// withIndex restarts the instance, but not its store, upon an index.
func (w *world) withIndex(x blocks.Index) {
	w.stop()
	w.cfg.Index = x
	w.run()
}

func TestUnreadableBlocksStayInLists(t *testing.T) {
	w := makeWorld(t, blocks.Limits{}, true)
	w.title("a", "readable")
	w.title("p", "panics")
	w.settle()
	defer blocks.OnRead(func(k blocks.BlockKey) {
		if k.Block == "p" || k.Block == "q" {
			panic("planted")
		}
	})()
	seq := w.title("p", "unseen")
	w.title("q", "unseen as well")
	w.title("z", "goes on")
	w.settle()
	w.wantTitles("", "goes on", "panics", "readable")
	if e := w.entry("p"); e.Unread == "" || e.Seq != seq {
		t.Errorf("entry is %+v", e)
	}

	// What is quarantined keeps what was read of it before.
	if err := w.store.Quarantine(t.Context(), w.head("a").Ref, "test"); err != nil {
		t.Fatal(err)
	}
	w.close()
	os.Remove(w.indexPath())
	w.open()
	w.settle()
	w.wantTitles("", "", "", "goes on")
	if e := w.entry("a"); e.Unread == "" || e.Type != "note" {
		t.Errorf("entry is %+v", e)
	}
}

func TestDeletedBlocksLeaveLists(t *testing.T) {
	w := makeWorld(t, blocks.Limits{}, true)
	w.title("a", "one")
	w.title("b", "two")
	w.settle()
	if _, err := w.store.Purge(t.Context(), []blocks.Doomed{{Ref: w.head("a").Ref}}); err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.settle()
	w.wantTitles("two")
}

func TestTrashFollowsDocuments(t *testing.T) {
	w := makeWorld(t, blocks.Limits{}, true)
	var mu sync.Mutex
	var heard []string
	w.OnTrash(func(c blocks.TrashChange) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, fmt.Sprint(c.Key.Block, " ", c.Trashed, " ", c.At == w.now().UnixMilli()))
	})
	set := func(at any) {
		w.edit("a", func(doc *ydoc.Doc) { doc.Map("block").Set("trashed_at", at) })
		w.settle()
	}
	now := w.now().UnixMilli()
	for _, tt := range []struct {
		at         any
		shown, cut int64
	}{
		{"never", 0, 0},
		{float64(now - 5000), now - 5000, now},
		{float64(now + 1e9), now, now}, // it cannot be: what the server knows counts
		{12.0, now, now},
		{nil, 0, 0},
		{ydoc.BigInt(now - 1), now - 1, now},
		{0.0, 0, 0},
		{math.Inf(1), 0, 0},
		{-5.0, 0, 0},
		{true, 0, 0},
		{0.5, now, now},
	} {
		set(tt.at)
		if e, head := w.entry("a"), w.head("a"); e.TrashedAt != tt.shown || head.TrashedAt != tt.cut {
			t.Errorf("trashed_at %v: shown as %d, counted from %d; want %d and %d", tt.at, e.TrashedAt, head.TrashedAt, tt.shown, tt.cut)
		}
	}
	w.edit("a", func(doc *ydoc.Doc) { doc.Map("block").Delete("trashed_at") })
	w.settle()
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"a true true", "a false true", "a true true", "a false true", "a true true", "a false true"}; !slices.Equal(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
	if w.head("a").TrashedAt != 0 {
		t.Error("it is still in the trash")
	}
}

// A store that fails to note the trash is asked again: nothing is forgotten.
func TestTrashIsNotedWhenTheStoreComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := makeWorld(t, blocks.Limits{}, true)
		defer w.close()
		w.settle()
		w.store.Inject(storetest.Fault{Method: "SetTrashed", Times: 2, Fail: true})
		w.edit("a", func(doc *ydoc.Doc) { doc.Map("block").Set("trashed_at", float64(w.now().UnixMilli())) })
		w.settle()
		if w.head("a").TrashedAt == 0 || w.store.Calls("SetTrashed") != 3 {
			t.Errorf("trashed at %d after %d calls", w.head("a").TrashedAt, w.store.Calls("SetTrashed"))
		}
	})
}

func TestBlockWithoutATitleHasThatOfItsFile(t *testing.T) {
	w := makeWorld(t, blocks.Limits{}, true)
	file := ydoc.Object{{Key: "hash", Value: strings.Repeat("a", 64)}, {Key: "name", Value: "photo.jpg"}}
	w.write("a", func(doc *ydoc.Doc) { doc.Map("block").Set("file", file) })
	w.write("b", func(doc *ydoc.Doc) {
		doc.Map("block").Set("file", file)
		doc.Text("t").Insert(0, "about the photo")
	})
	w.settle()
	w.wantTitles("about the photo", "photo.jpg")
}
