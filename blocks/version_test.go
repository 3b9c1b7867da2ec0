package blocks_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/storetest"
	"github.com/heapsync/heapsync/ydoc"
)

// editAs lets a client that knows the block edit it.
func (w *world) editAs(user blocks.UserID, block string, edit func(*ydoc.Doc)) {
	w.t.Helper()
	doc := ydoc.NewDoc(ydoc.Options{})
	if d, err := w.Diff(w.t.Context(), key(block), ydoc.StateVector{}); err == nil {
		if err := doc.Apply(d.Update, ydoc.V1); err != nil {
			w.t.Fatal(err)
		}
	} else if !errors.Is(err, blocks.ErrNotFound) {
		w.t.Fatal(err)
	}
	w.put(user, block, doc.Transact(func() { edit(doc) }).Update(ydoc.V1))
}

// show is the block's content.
func (w *world) show(block string) any {
	w.t.Helper()
	doc := ydoc.NewDoc(ydoc.Options{})
	if err := doc.Apply(w.state(block), ydoc.V1); err != nil {
		w.t.Fatal(err)
	}
	return shown(doc)
}

// shown is what a document shows: its roots that are not empty.
func shown(doc *ydoc.Doc) map[string]any {
	m := map[string]any{}
	for name, root := range doc.Roots() {
		if root.Len() > 0 || root.AsMap().Len() > 0 {
			m[name] = unordered(root.JSON())
		}
	}
	return m
}

func inHeap(block string) blocks.Target { return blocks.Target{Heap: "h", Block: block} }

func TestPausesMakeVersions(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	for burst := range 3 {
		for i := range 4 {
			w.editAs([]blocks.UserID{"ada", "bob"}[i%2], "b", func(d *ydoc.Doc) { d.Text("t").Insert(0, fmt.Sprint(burst)) })
			w.pass(9 * time.Minute)
		}
		w.pass(2 * time.Minute)
	}
	h, err := w.BlockHistory(t.Context(), "eve", inHeap("b"), "", 100, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Parts) != 12 || len(h.Moments) != 3 || h.Next != "" {
		t.Fatalf("%d parts, moments %+v", len(h.Parts), h.Moments)
	}
	for i, m := range h.Moments {
		if m.ID != fmt.Sprint("s", 12-4*i) || m.Name != "" || len(m.Authors) != 2 || m.Authors[0].Updates != 2 {
			t.Errorf("moment %d is %+v", i, m)
		}
		v, err := w.Version(t.Context(), "eve", inHeap("b"), m.ID)
		want := strings.Repeat("2", 4) + strings.Repeat("1", 4) + strings.Repeat("0", 4)
		if err != nil || !strings.Contains(string(v.Content), fmt.Sprintf("{%q:%q", "text", want[4*i:])) || v.Added != 4 || v.Removed != 0 || len(v.Authors) != 2 {
			t.Errorf("moment %d shows %s, +%d -%d, %v (%v)", i, v.Content, v.Added, v.Removed, v.Authors, err)
		}
	}
	// Any other update can be shown too, as long as it is there.
	if v, err := w.Version(t.Context(), "eve", inHeap("b"), "s6"); err != nil || !strings.Contains(string(v.Content), `"110000"`) || v.Added != 2 {
		t.Errorf("an update in between shows %s, %v", v.Content, err)
	}
	w.pass(30 * 24 * time.Hour)
	if err := w.Thin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Version(t.Context(), "eve", inHeap("b"), "s6"); !errors.Is(err, blocks.ErrNotFound) {
		t.Errorf("an update that was folded: %v", err)
	}
}

// Whatever happened since, at every moment that history has the block can be shown and
// gone back to, and who has it open ends with the same.
func TestRestoreConvergesWithLiveClients(t *testing.T) {
	for run := range uint64(5) {
		seed := *modelSeed + run
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 9))
			w := newWorld(t, blocks.Limits{Collect: 1, History: blocks.HistoryPolicy{All: time.Hour}})
			then := map[blocks.Seq]string{}
			live := ydoc.NewDoc(ydoc.Options{})
			for range 60 {
				editAnything(rng, live)
				w.push("ada", "b", live.Encode(ydoc.V1))
				if h, err := w.Head(t.Context(), key("b")); err == nil {
					then[h.Seq] = fmt.Sprint(shown(live))
				}
				w.pass(time.Duration(rng.IntN(30)) * time.Minute)
				if rng.IntN(8) == 0 {
					if _, err := w.NameVersion(t.Context(), blocks.Author{User: "ada"}, inHeap("b"), "named"); err != nil && !errors.Is(err, blocks.ErrNotFound) && !errors.Is(err, blocks.ErrInvalid) {
						t.Fatal(err)
					}
				}
				if rng.IntN(8) == 0 {
					if err := w.Thin(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			h, err := w.BlockHistory(t.Context(), "ada", inHeap("b"), "", 1000, false)
			if err != nil || len(h.Moments) < 3 {
				t.Fatalf("moments %v, %v", h.Moments, err)
			}
			for _, m := range h.Moments {
				// Somebody writes while it is restored, and hears of it later.
				live.Text("text").Insert(0, "meanwhile ")
				late := live.Encode(ydoc.V1)
				done, err := w.RestoreVersion(t.Context(), blocks.Author{User: "bob"}, inHeap("b"), m.ID)
				if err != nil {
					t.Fatal(err)
				}
				if got := fmt.Sprint(w.show("b")); got != then[m.Seq] {
					t.Errorf("restored to %d: %s, want %s", m.Seq, got, then[m.Seq])
				}
				if !done.Duplicate {
					if again, err := w.RestoreVersion(t.Context(), blocks.Author{User: "bob"}, inHeap("b"), m.ID); err != nil || !again.Duplicate {
						t.Errorf("restored again: %+v, %v", again, err)
					}
				}
				w.push("ada", "b", late)
				if err := live.Apply(w.state("b"), ydoc.V1); err != nil {
					t.Fatal(err)
				}
				if got, want := fmt.Sprint(shown(live)), fmt.Sprint(w.show("b")); got != want || live.Pending() {
					t.Errorf("a live client has %s, the server %s", got, want)
				}
				if !strings.Contains(live.Text("text").String(), "meanwhile") {
					t.Error("what was written meanwhile is lost")
				}
			}
			w.check()
		})
	}
}

func TestNamedVersionsAreBounded(t *testing.T) {
	w := newWorld(t, blocks.Limits{Versions: 2})
	name := func(user blocks.UserID, block string) error {
		_, err := w.NameVersion(t.Context(), blocks.Author{User: user}, inHeap(block), "v")
		return err
	}
	if err := name("ada", "b"); !errors.Is(err, blocks.ErrNotFound) {
		t.Errorf("of no block: %v", err)
	}
	w.put("ada", "b", word(1, 0, "x"))
	if err := errors.Join(name("ada", "b"), name("bob", "b")); err != nil {
		t.Error(err)
	}
	if err := name("ada", "b"); !errors.Is(err, blocks.ErrTooLarge) {
		t.Errorf("one too many: %v", err)
	}
	if err := name("eve", "b"); !errors.Is(err, blocks.ErrForbidden) {
		t.Errorf("by a viewer: %v", err)
	}
}

func TestRewindTakesEachBlockBack(t *testing.T) {
	w := newWorld(t, blocks.Limits{History: blocks.HistoryPolicy{All: time.Hour}})
	say := func(block, text string) {
		w.editAs("bob", block, func(d *ydoc.Doc) { d.Text("t").Delete(0, d.Text("t").Len()); d.Text("t").Insert(0, text) })
	}
	trash := func(block string, at float64) {
		w.editAs("bob", block, func(d *ydoc.Doc) { d.Map("block").Set("trashed_at", at) })
	}
	w.pass(time.Hour)
	for _, block := range []string{"edited", "same", "trashed", "untrashed", "purged", "broken"} {
		say(block, "good")
		w.pass(time.Second)
	}
	trash("untrashed", 5)
	w.pass(time.Second)
	moment := w.now().UnixMilli()
	w.pass(time.Second)
	say("edited", "bad")
	say("new", "new")
	say("new-trashed", "new")
	trash("new-trashed", 7)
	trash("trashed", 7)
	trash("untrashed", 0)
	say("broken", "worse")
	say("purged", "gone")
	if _, err := w.store.Purge(t.Context(), []blocks.Doomed{{Ref: w.head("purged").Ref}}); err != nil {
		t.Fatal(err)
	}
	w.store.Inject(storetest.Fault{Method: "State", Err: blocks.ErrCorrupt})
	if _, err := w.Diff(t.Context(), key("broken"), ydoc.StateVector{}); !errors.Is(err, blocks.ErrQuarantined) {
		t.Fatal(err)
	}
	ada := blocks.Author{User: "ada"}
	if _, err := w.Rewind(t.Context(), blocks.Author{User: "bob"}, "h", moment, false); !errors.Is(err, blocks.ErrForbidden) {
		t.Errorf("by an editor: %v", err)
	}
	if _, err := w.Rewind(t.Context(), ada, "h", moment-2*time.Hour.Milliseconds(), false); !errors.Is(err, blocks.ErrInvalid) {
		t.Errorf("to before the heap was made: %v", err)
	}
	dry, err := w.Rewind(t.Context(), ada, "h", moment, true)
	if err != nil || fmt.Sprint(w.show("edited")) != "map[t:bad]" {
		t.Errorf("dry run: %v, %v", err, w.show("edited"))
	}
	done, err := w.Rewind(t.Context(), ada, "h", moment, false)
	if err != nil || fmt.Sprint(dry) != fmt.Sprint(done) {
		t.Errorf("%+v, %v; the dry run %+v", done, err, dry)
	}
	if done.Restored != 3 || done.Trashed != 1 || done.Unchanged != 2 || len(done.Failed) != 2 {
		t.Errorf("%+v", done)
	}
	for _, f := range done.Failed {
		if want := map[blocks.BlockID]error{"purged": blocks.ErrDeleted, "broken": blocks.ErrQuarantined}[f.Block]; !errors.Is(f.Err, want) {
			t.Errorf("%s: %v", f.Block, f.Err)
		}
	}
	for block, want := range map[string]string{"edited": "map[t:good]", "same": "map[t:good]", "trashed": "map[t:good]",
		"untrashed": "map[block:map[trashed_at:5] t:good]", "new-trashed": "map[block:map[trashed_at:7] t:new]"} {
		if got := fmt.Sprint(w.show(block)); got != want {
			t.Errorf("%s is %s, want %s", block, got, want)
		}
	}
	if got := fmt.Sprint(w.show("new")); !strings.Contains(got, "trashed_at") {
		t.Errorf("new is %s", got)
	}

	// A moment that history has thinned away is said to be so.
	w.pass(100 * 24 * time.Hour)
	if err := w.Thin(t.Context()); err != nil {
		t.Fatal(err)
	}
	done, err = w.Rewind(t.Context(), ada, "h", moment, false)
	if err != nil || len(done.Failed) < 3 {
		t.Errorf("%+v, %v", done, err)
	}
	thinned := 0
	for _, f := range done.Failed {
		if errors.Is(f.Err, blocks.ErrThinned) {
			thinned++
		}
	}
	if thinned == 0 {
		t.Errorf("%+v", done)
	}
}

func TestPagesOfHistoryAreBoundedInBytes(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	large := strings.Repeat("x", 7<<20)
	for i := range uint64(3) {
		w.put("ada", "b", word(1, i*uint64(len(large)), large))
	}
	for _, tt := range []struct {
		bytes bool
		pages []int
	}{{true, []int{2, 1}}, {false, []int{3}}} {
		cursor := ""
		for i, want := range tt.pages {
			h, err := w.BlockHistory(t.Context(), "ada", inHeap("b"), cursor, 100, tt.bytes)
			if err != nil || len(h.Parts) != want || (h.Next == "") != (i == len(tt.pages)-1) {
				t.Fatalf("bytes %v, page %d: %d parts, next %q, %v", tt.bytes, i, len(h.Parts), h.Next, err)
			}
			cursor = h.Next
		}
	}
	// Nor does the compactor hold more than some at once.
	w.pass(30 * 24 * time.Hour)
	if err := w.Thin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h := w.head("b"); h.Raw != 0 {
		t.Errorf("%d updates are not folded", h.Raw)
	}
	w.check()
}

// A version from before a block was put into the trash brings it back from there.
func TestRestoreBringsBackFromTheTrash(t *testing.T) {
	w := makeWorld(t, blocks.Limits{}, true)
	w.write("a", titled("A"))
	named, err := w.NameVersion(t.Context(), ada, target("a"), "before")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.TrashBlock(t.Context(), ada, target("a")); err != nil {
		t.Fatal(err)
	}
	w.wantTrash("a")
	if _, err := w.RestoreVersion(t.Context(), ada, target("a"), named.ID); err != nil {
		t.Fatal(err)
	}
	w.shown()
	w.wantTrash()
}
