package blocks_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/storetest"
	"github.com/heapsync/heapsync/ydoc"
)

func target(block string) blocks.Target { return blocks.Target{Heap: "h", Block: block} }

func statuses(results []blocks.PushResult) string {
	var s []string
	for _, r := range results {
		s = append(s, r.Status)
	}
	return strings.Join(s, " ")
}

func pulledStatuses(results []blocks.PullResult) string {
	var s []string
	for _, r := range results {
		s = append(s, r.Status)
	}
	return strings.Join(s, " ")
}

func TestPushAnswersEachItemInOrder(t *testing.T) {
	w := newWorld(t, blocks.Limits{UpdateBytes: 1000})
	if _, _, err := w.AddHeap(t.Context(), "carol", "private", "Carol's", false); err != nil {
		t.Fatal(err)
	}
	items := []blocks.PushItem{
		{Target: target("one"), Update: word(1, 0, "a"), Type: "note"},
		{Target: target("one"), Update: word(1, 1, "b")}, // the same block again, in order
		{Target: target("one"), Update: word(1, 0, "a")},
		{Target: target("bad id!"), Update: word(1, 0, "a")},
		{Target: blocks.Target{Heap: "h/x", Block: "one"}, Update: word(1, 0, "a")},
		{Target: blocks.Target{Heap: "private", Block: "one"}, Update: word(1, 0, "a")},
		{Target: blocks.Target{Heap: "nowhere", Block: "one"}, Update: word(1, 0, "a")},
		{Target: target("one"), Update: []byte{5, 5, 5}},
		{Target: target("one")},
		{Target: target("one"), Update: word(1, 2, strings.Repeat("x", 1000))},
		{Target: target("one"), Update: word(1, 2, "c"), StateVector: []byte{255}, HasVector: true},
		{Target: target("one"), Update: word(1, 2, "c"), Invalid: fmt.Errorf("unreadable: %w", blocks.ErrInvalid)},
		{Target: blocks.Target{Block: "one"}, Update: word(1, 2, "c")},
		{Target: blocks.Target{Block: "unknown"}, Update: word(1, 2, "c")},
		{Target: target("two"), Update: []byte{0, 0}},
		{Target: target("three"), Update: word(1, 1, "waits")},
	}
	results := w.Push(t.Context(), blocks.Author{User: "ada"}, items)
	want := "applied applied duplicate invalid invalid not_found not_found invalid invalid too_large invalid invalid not_found not_found applied applied"
	if got := statuses(results); got != want {
		// the item without a heap depends on whether the first is on disk already
		if alt := strings.Replace(want, "not_found not_found applied applied", "applied not_found applied applied", 1); got != alt {
			t.Errorf("statuses\n%s, want\n%s", got, want)
		}
	}
	for i, r := range results {
		if r.Block != items[i].Block {
			t.Errorf("answer %d is about %q", i, r.Block)
		}
		refused := r.Status != blocks.StatusApplied && r.Status != blocks.StatusDuplicate
		if refused != (r.Err != nil) {
			t.Errorf("item %d: %s with error %v", i, r.Status, r.Err)
		}
		if !refused && r.SyncVersion != 1 {
			t.Errorf("item %d: sync_version %d", i, r.SyncVersion)
		}
	}
	if !results[15].Pending || results[0].Pending {
		t.Error("pending is told of the wrong items")
	}
	for _, block := range []string{"two", "three"} {
		if h := w.head(block); h.Seq != 0 || h.SyncVersion != 1 {
			t.Errorf("block %s: %+v", block, h)
		}
	}
	if h := w.head("one"); h.Type != "note" {
		t.Errorf("type %q", h.Type)
	}
}

func TestPushWithoutAHeapFindsTheBlock(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	for _, heap := range []blocks.HeapID{"h2", "bobs"} {
		owner := map[blocks.HeapID]blocks.UserID{"h2": "ada", "bobs": "bob"}[heap]
		if _, _, err := w.AddHeap(t.Context(), owner, heap, "Heap", false); err != nil {
			t.Fatal(err)
		}
	}
	push := func(user blocks.UserID, heap, block string, client uint64) string {
		return w.Push(t.Context(), blocks.Author{User: user}, []blocks.PushItem{
			{Target: blocks.Target{Heap: heap, Block: block}, Update: word(client, 0, "x")},
		})[0].Status
	}
	push("ada", "h", "one", 1)
	push("bob", "bobs", "one", 1) // ada cannot read that heap
	if s := push("ada", "", "one", 2); s != blocks.StatusApplied {
		t.Errorf("one heap has it: %s", s)
	}
	if s := push("bob", "", "one", 3); s != blocks.StatusAmbiguous {
		t.Errorf("two heaps have it: %s", s)
	}
	if s := push("eve", "", "one", 3); s != blocks.StatusForbidden {
		t.Errorf("a viewer: %s", s)
	}
	res := w.Pull(t.Context(), "bob", []blocks.PullItem{{Target: blocks.Target{Block: "one"}}, {Target: blocks.Target{Heap: "bobs", Block: "one"}}}, 1<<20)
	if got := pulledStatuses(res); got != "ambiguous_block full" {
		t.Errorf("pull: %s", got)
	}
}

func TestRolesDecideWhoPushesAndPulls(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	if err := w.SetRole(t.Context(), "h", "dan", blocks.RoleCommenter); err != nil {
		t.Fatal(err)
	}
	w.put("ada", "b", word(1, 0, "a"))
	for user, want := range map[blocks.UserID][2]string{
		"ada": {"applied", "full"}, "bob": {"applied", "full"}, "dan": {"forbidden", "full"},
		"eve": {"forbidden", "full"}, "mallory": {"not_found", "not_found"},
	} {
		for _, block := range []string{"b", "new-" + string(user)} {
			push := w.push(user, block, word(uint64(len(user)+100), 0, string(user)))
			if push.Status != want[0] && push.Status != blocks.StatusDuplicate && !errors.Is(push.Err, blocks.ErrInvalid) {
				t.Errorf("%s pushes: %s, want %s", user, push.Status, want[0])
			}
		}
		pull := w.Pull(t.Context(), user, []blocks.PullItem{{Target: target("b")}}, 1<<20)
		if pull[0].Status != want[1] {
			t.Errorf("%s pulls: %s, want %s", user, pull[0].Status, want[1])
		}
		if _, err := w.Delta(t.Context(), user, "h", -1, 0, 10); (err != nil) != (user == "mallory") {
			t.Errorf("%s asks for changes: %v", user, err)
		}
	}
	if _, err := w.Delta(t.Context(), "mallory", "h", -1, 0, 10); !errors.Is(err, blocks.ErrNotFound) {
		t.Errorf("changes of a foreign heap: %v", err)
	}
}

func TestOneRoundTripSyncsBothWays(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.put("bob", "b", word(2, 0, "theirs"), removal(2, 0, 1))
	push := func(update, sv []byte) blocks.PushResult {
		return w.Push(t.Context(), blocks.Author{User: "ada"}, []blocks.PushItem{
			{Target: target("b"), Update: update, StateVector: sv, HasVector: sv != nil},
		})[0]
	}
	mine := word(1, 0, "mine")
	if res := push(mine, nil); res.Missing != nil {
		t.Error("missing is sent, though nobody asked")
	}
	for what, update := range map[string][]byte{"new": word(1, 4, "!"), "known": mine} {
		res := push(update, []byte{0})
		both, err := ydoc.MergeUpdates(ydoc.V1, mine, update, res.Missing)
		if err != nil || !sameState(t, both, w.state("b")) {
			t.Errorf("%s: the client's own and missing do not make the state: %v", what, err)
		}
		if vector(t, res.Missing).Next(1) != 0 && what == "known" {
			t.Errorf("%s: what the client has just sent comes back", what)
		}
		if string(res.StateVector) != string(w.head("b").StateVector) {
			t.Errorf("%s: state vector %x", what, res.StateVector)
		}
	}
	w.put("ada", "clean", word(1, 0, "x"))
	res := w.Push(t.Context(), blocks.Author{User: "ada"}, []blocks.PushItem{
		{Target: target("clean"), Update: word(1, 1, "y"), StateVector: w.head("clean").StateVector, HasVector: true},
	})[0]
	if res.Missing != nil {
		t.Errorf("nothing is missing, but: %x", res.Missing)
	}
}

func TestPushToAnotherLineageGetsTheState(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	push := func(block string, version int64) blocks.PushResult {
		return w.Push(t.Context(), blocks.Author{User: "ada"}, []blocks.PushItem{
			{Target: target(block), Update: word(1, 0, "a"), SyncVersion: version},
		})[0]
	}
	if res := push("b", 7); res.Status != blocks.StatusApplied || res.SyncVersion != 1 {
		t.Errorf("a block that is new has no lineage yet: %s %d", res.Status, res.SyncVersion)
	}
	if res := push("b", 1); res.Status != blocks.StatusDuplicate {
		t.Errorf("the same lineage: %s", res.Status)
	}
	w.spoil("UPDATE blocks SET type = type") // reopens
	res := push("b", 2)
	if res.Status != blocks.StatusVersionMismatch || !sameState(t, res.State, w.state("b")) || res.SyncVersion != 1 ||
		res.Seq != 1 || string(res.StateVector) != string(w.head("b").StateVector) {
		t.Errorf("another lineage: %+v", res)
	}
	pull := w.Pull(t.Context(), "ada", []blocks.PullItem{
		{Target: target("b"), StateVector: w.head("b").StateVector, HasVector: true, SyncVersion: 2, Seq: 1},
		{Target: target("b"), StateVector: w.head("b").StateVector, HasVector: true, SyncVersion: 1, Seq: 1},
	}, 1<<20)
	if got := pulledStatuses(pull); got != "full up_to_date" {
		t.Errorf("pull: %s", got)
	}
}

func TestDeletedBlockTakesNothing(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.put("ada", "b", word(1, 0, "a"))
	w.spoil("UPDATE blocks SET deleted_at = 77 WHERE block = 'b'")
	w.want(w.push("ada", "b", word(1, 1, "b")), blocks.StatusDeleted, "")
	pull := w.Pull(t.Context(), "ada", []blocks.PullItem{{Target: target("b")}, {Target: target("b"), HasVector: true, StateVector: []byte{0}, Seq: 1}}, 1<<20)
	for _, p := range pull {
		if p.Status != blocks.StatusDeleted || p.DeletedAt != 77 || p.State != nil || p.Update != nil {
			t.Errorf("pull: %+v", p)
		}
	}
}

func TestPullSaysWhatIsMissing(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.put("ada", "b", word(1, 0, "hello"), removal(1, 0, 1), word(1, 5, "!"))
	h := w.head("b")
	sv := func(update []byte) []byte { sv := vector(t, update); return sv.Encode() }
	for _, tt := range []struct {
		name string
		item blocks.PullItem
		want string
	}{
		{"no state vector", blocks.PullItem{}, "full"},
		{"no state vector, but the head's seq", blocks.PullItem{Seq: h.Seq}, "full"},
		{"the head's seq", blocks.PullItem{HasVector: true, StateVector: h.StateVector, Seq: h.Seq}, "up_to_date"},
		{"an older seq", blocks.PullItem{HasVector: true, StateVector: h.StateVector, Seq: h.Seq - 1}, "update"},
		{"an equal state vector alone", blocks.PullItem{HasVector: true, StateVector: h.StateVector}, "update"},
		{"an older state vector", blocks.PullItem{HasVector: true, StateVector: sv(word(1, 0, "hello"))}, "update"},
		{"an empty state vector", blocks.PullItem{HasVector: true, StateVector: []byte{0}}, "update"},
		{"a state vector that is none", blocks.PullItem{HasVector: true, StateVector: []byte{9}}, "invalid"},
		{"no state vector at all", blocks.PullItem{HasVector: true}, "invalid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.item.Target = target("b")
			res := w.Pull(t.Context(), "eve", []blocks.PullItem{tt.item}, 1<<20)[0]
			if res.Status != tt.want {
				t.Fatalf("%s %v, want %s", res.Status, res.Err, tt.want)
			}
			if tt.want == "invalid" {
				return
			}
			if res.Seq != h.Seq || res.SyncVersion != 1 || string(res.StateVector) != string(h.StateVector) {
				t.Errorf("%+v", res)
			}
			if (res.State != nil) != (tt.want == "full") || (res.Update != nil) != (tt.want == "update") {
				t.Errorf("state %x, update %x", res.State, res.Update)
			}
		})
	}
	// Without any deletion an equal state vector proves it all the same.
	w.put("ada", "plain", word(1, 0, "hello"))
	res := w.Pull(t.Context(), "eve", []blocks.PullItem{
		{Target: target("plain"), HasVector: true, StateVector: w.head("plain").StateVector},
		{Target: target("none")}, {Target: blocks.Target{Heap: "x", Block: "plain"}}, {Target: target("no id!")},
	}, 1<<20)
	if got := pulledStatuses(res); got != "up_to_date not_found not_found invalid" {
		t.Errorf("pull: %s", got)
	}
}

func TestPullDefersWhatDoesNotFit(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	var items []blocks.PullItem
	for i := range 10 {
		block := fmt.Sprint("b", i)
		w.put("ada", block, word(1, 0, strings.Repeat("x", 100)))
		items = append(items, blocks.PullItem{Target: target(block)})
	}
	seen := 0
	for rounds := 0; len(items) > 0; rounds++ {
		res := w.Pull(t.Context(), "ada", items, 350)
		var rest []blocks.PullItem
		size := 0
		for i, r := range res {
			switch r.Status {
			case blocks.StatusFull:
				if len(rest) > 0 {
					t.Error("an item after a deferred one is answered")
				}
				size += len(r.State)
				seen++
			case blocks.StatusDeferred:
				rest = append(rest, items[i])
			default:
				t.Fatalf("%s %v", r.Status, r.Err)
			}
		}
		if size > 350 || size == 0 {
			t.Errorf("%d bytes are in an answer of at most 350", size)
		}
		items = rest
		if rounds > 10 {
			t.Fatal("no end")
		}
	}
	if seen != 10 {
		t.Errorf("%d blocks were answered", seen)
	}
	if res := w.Pull(t.Context(), "ada", []blocks.PullItem{{Target: target("b0")}}, 10); res[0].Status != blocks.StatusFull {
		t.Errorf("a block larger than any answer never comes: %s", res[0].Status)
	}
}

func TestDeltaListsEachBlockAtItsLastChange(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.put("ada", "a", word(1, 0, "x"))
	w.put("ada", "b", word(1, 0, "x"))
	w.put("ada", "a", word(1, 1, "y"))
	w.putAside("ada", "waits", word(1, 1, "y"))
	if err := w.Fold(t.Context(), key("a")); err != nil {
		t.Fatal(err)
	}
	page, err := w.Delta(t.Context(), "eve", "h", 0, 0, 1)
	if err != nil || len(page.Heads) != 1 || page.Heads[0].Key.Block != "b" || !page.More || page.TotalChanged != 2 {
		t.Fatalf("first page: %+v, %v", page, err)
	}
	page, err = w.Delta(t.Context(), "eve", "h", page.Next, 0, 1)
	if err != nil || len(page.Heads) != 1 || page.Heads[0].Key.Block != "a" || page.More || page.Next != 3 {
		t.Fatalf("second page: %+v, %v", page, err)
	}
	page, err = w.Delta(t.Context(), "eve", "h", page.Next, 0, 1)
	if err != nil || len(page.Heads) != 0 || page.More || page.Next != 3 {
		t.Errorf("after the last: %+v, %v", page, err)
	}
}

func TestPushToAStoreThatFailsSaysSoForEachItem(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.put("ada", "old", word(1, 0, "x"))
	w.store.Inject(storetest.Fault{Method: "Commit", Err: blocks.ErrFull, Times: -1})
	items := []blocks.PushItem{
		{Target: target("old"), Update: word(1, 0, "x")},
		{Target: target("old"), Update: word(1, 1, "y")},
		{Target: target("new"), Update: word(1, 0, "x")},
		{Target: target("old"), Update: []byte{9}},
	}
	got := w.Push(t.Context(), blocks.Author{User: "ada"}, items)
	if s := statuses(got); s != "duplicate unavailable unavailable invalid" {
		t.Errorf("statuses: %s", s)
	}
	if !errors.Is(got[1].Err, blocks.ErrFull) {
		t.Errorf("error: %v", got[1].Err)
	}
	if res := w.Pull(t.Context(), "ada", []blocks.PullItem{{Target: target("old")}}, 1<<20); res[0].Status != blocks.StatusFull {
		t.Errorf("reads do not go on: %s %v", res[0].Status, res[0].Err)
	}
	w.store.Heal()
	if s := statuses(w.Push(t.Context(), blocks.Author{User: "ada"}, items)); s != "duplicate applied applied invalid" {
		t.Errorf("after recovery: %s", s)
	}
}
