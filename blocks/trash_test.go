package blocks_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/ydoc"
)

// trash are the ids of the blocks in the trash.
func (w *world) trash() (ids []blocks.BlockID) {
	w.t.Helper()
	list, _, err := w.ListTrash(w.t.Context(), "eve", "h", blocks.TrashCursor{}, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, b := range list {
		ids = append(ids, b.Key.Block)
	}
	return ids
}

func (w *world) wantTrash(want ...blocks.BlockID) {
	w.t.Helper()
	if got := w.trash(); !slices.Equal(got, want) {
		w.t.Errorf("in the trash are %v, want %v", got, want)
	}
}

func TestTrashIsAnEditThatClientsMakeToo(t *testing.T) {
	w := makeWorld(t, blocks.Limits{}, true)
	w.write("a", titled("A"))
	w.write("b", titled("B"))
	b, err := w.TrashBlock(t.Context(), ada, target("a"))
	if err != nil {
		t.Fatal(err)
	}
	now := w.now().UnixMilli()
	if b.TrashedAt < now || b.ExpiresAt != b.TrashedAt+30*24*time.Hour.Milliseconds() {
		t.Errorf("trashed at %d, expires %d; it is %d", b.TrashedAt, b.ExpiresAt, now)
	}
	w.wantTrash("a")
	seq := w.head("a").Seq
	if _, err := w.TrashBlock(t.Context(), ada, target("a")); err != nil || w.head("a").Seq != seq {
		t.Errorf("trashed twice: %v, head %d", err, w.head("a").Seq)
	}

	w.pass(time.Minute)
	client := ydoc.NewDoc(ydoc.Options{}) // was offline
	if err := client.Apply(w.state("b"), ydoc.V1); err != nil {
		t.Fatal(err)
	}
	w.put("bob", "b", client.Transact(func() { client.Map("block").Set("trashed_at", 1.7e12) }).Update(ydoc.V1))
	w.shown()
	w.wantTrash("a", "b")
	if at := w.head("b").TrashedAt; at != w.now().UnixMilli() {
		t.Errorf("the time in the trash counts from %d, not from now", at)
	}

	done, err := w.RestoreBlocks(t.Context(), ada, "h", []blocks.BlockID{"a", "nothing", "a"})
	want := []blocks.BlockFailure{{Block: "nothing", Code: "not_found"}, {Block: "a", Code: "not_trashed"}}
	if err != nil || !slices.Equal(done.Blocks, []blocks.BlockID{"a"}) || !slices.Equal(done.Failed, want) {
		t.Errorf("restored %+v, %v", done, err)
	}
	w.wantTrash("b")
	done, err = w.RestoreBlocks(t.Context(), ada, "h", nil)
	if err != nil || !slices.Equal(done.Blocks, []blocks.BlockID{"b"}) || len(done.Failed) != 0 {
		t.Errorf("restored %+v, %v", done, err)
	}
	w.wantTrash()
}

func TestTrashThatHasHadItsTimeIsDeletedForGood(t *testing.T) {
	w := makeWorld(t, blocks.Limits{TrashFor: 24 * time.Hour}, true)
	for _, block := range []string{"old", "young", "restored", "broken"} {
		w.write(block, titled(block))
	}
	for _, block := range []string{"old", "restored", "broken"} {
		if _, err := w.TrashBlock(t.Context(), ada, target(block)); err != nil {
			t.Fatal(err)
		}
	}
	w.pass(23 * time.Hour)
	if _, err := w.TrashBlock(t.Context(), ada, target("young")); err != nil {
		t.Fatal(err)
	}
	w.sweep()
	w.wantTrash("old", "restored", "broken", "young")

	// What the head says is old: the document counts.
	if _, err := w.RestoreBlocks(t.Context(), ada, "h", []blocks.BlockID{"restored"}); err != nil {
		t.Fatal(err)
	}
	if err := w.store.SetTrashed(t.Context(), w.head("restored").Ref, 1); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Quarantine(t.Context(), w.head("broken").Ref, "for the test"); err != nil {
		t.Fatal(err)
	}
	w.pass(2 * time.Hour)
	w.sweep()
	for block, deleted := range map[string]bool{"old": true, "young": false, "restored": false, "broken": false} {
		if got := w.head(block).DeletedAt != 0; got != deleted {
			t.Errorf("%s is deleted: %v, want %v", block, got, deleted)
		}
	}
	if w.text("restored") != "" || w.head("restored").Bytes == 0 {
		t.Error("the restored block has lost its log")
	}
}

func (w *world) sweep() {
	w.t.Helper()
	if err := w.Sweep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func TestEmptyTrashTakesOnlyWhatIsInIt(t *testing.T) {
	w := makeWorld(t, blocks.Limits{}, true)
	for _, block := range []string{"a", "b", "c"} {
		w.write(block, titled(block))
	}
	for _, block := range []string{"a", "b"} {
		if _, err := w.TrashBlock(t.Context(), ada, target(block)); err != nil {
			t.Fatal(err)
		}
	}
	bytes := w.head("a").Bytes + w.head("b").Bytes
	if _, err := w.EmptyTrash(t.Context(), blocks.Author{User: "eve"}, "h"); !errors.Is(err, blocks.ErrForbidden) {
		t.Errorf("emptied by a viewer: %v", err)
	}
	done, err := w.EmptyTrash(t.Context(), ada, "h")
	if err != nil || done.Blocks != 2 || done.Freed != bytes || len(done.Failed) != 0 {
		t.Errorf("emptied %+v, %v; want %d bytes", done, err, bytes)
	}
	w.wantTrash()
	page, err := w.Delta(t.Context(), "eve", "h", w.head("c").Seq, 0, 10)
	if err != nil || page.TotalDeleted != 2 {
		t.Errorf("changes %+v, %v", page, err)
	}
	if !slices.Contains(w.audited(), "ada trash.emptied") {
		t.Errorf("audited %v", w.audited())
	}
}

func TestPushToAPurgedBlockIsDeleted(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.put("bob", "a", word(1, 0, "text"))
	release := w.Hold(key("a")) // somebody has it open
	defer release()
	var commits []blocks.Commit
	cancel := w.Subscribe(func(c blocks.Commit) { commits = append(commits, c) })
	stone, err := w.PurgeBlock(t.Context(), ada, target("a"))
	if err != nil || stone.Freed == 0 {
		t.Fatalf("purge: %+v, %v", stone, err)
	}
	w.want(w.push("bob", "a", word(1, 4, "!")), blocks.StatusDeleted, "")
	w.want(w.push("carol", "a", word(2, 0, "new")), blocks.StatusDeleted, "")
	pulled := w.Pull(t.Context(), "bob", []blocks.PullItem{{Target: blocks.Target{Heap: "h", Block: "a"}}}, 1<<20)
	if pulled[0].Status != blocks.StatusDeleted || pulled[0].DeletedAt != stone.At {
		t.Errorf("pulled %+v", pulled[0])
	}
	w.put("bob", "b", word(1, 0, "text")) // what the client has goes on under another id
	cancel()
	if len(commits) != 2 || !commits[0].Deleted || commits[0].Last != stone.Seq || commits[0].Key != key("a") {
		t.Errorf("commits %+v", commits)
	}
	again, err := w.PurgeBlock(t.Context(), ada, target("a"))
	if err != nil || again.Seq != stone.Seq || again.At != stone.At {
		t.Errorf("purged again: %+v, %v", again, err)
	}
	w.restart()
	w.want(w.push("bob", "a", word(1, 0, "text")), blocks.StatusDeleted, "")
}

func TestWhatWaitsForTheDiskWhenItsBlockIsPurgedIsDeleted(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.put("bob", "a", word(1, 0, "text"))
	w.put("bob", "b", word(1, 0, "text"))
	for i := range uint64(200) {
		done := make(chan blocks.PushResult, 1)
		go func() { done <- w.push("bob", "a", word(1, 4+i, "!")) }()
		if i == 100 {
			if _, err := w.PurgeBlock(t.Context(), ada, target("a")); err != nil {
				t.Fatal(err)
			}
		}
		res := <-done
		switch {
		case i < 100 && res.Status != blocks.StatusApplied, i > 100 && res.Status != blocks.StatusDeleted,
			i == 100 && res.Status != blocks.StatusApplied && res.Status != blocks.StatusDeleted:
			t.Fatalf("push %d: %s, %v", i, res.Status, res.Err)
		}
	}
	w.put("bob", "b", word(1, 4, "!"))
}

func TestDeletedHeapComesBackUntilItsGraceIsOver(t *testing.T) {
	w := makeWorld(t, blocks.Limits{HeapGrace: time.Hour}, true)
	w.write("a", titled("A"))
	w.shown()
	var changes []blocks.MemberChange
	w.OnMemberChange(func(c blocks.MemberChange) { changes = append(changes, c) })
	for user, want := range map[blocks.UserID]error{"bob": blocks.ErrForbidden, "mallory": blocks.ErrNotFound} {
		if _, err := w.DeleteHeap(t.Context(), blocks.Author{User: user}, "h", false); !errors.Is(err, want) {
			t.Errorf("deleted by %s: %v, want %v", user, err, want)
		}
	}
	at, err := w.DeleteHeap(t.Context(), ada, "h", false)
	if err != nil || at != w.now().Add(time.Hour).UnixMilli() || len(changes) != 1 || changes[0].Heap != "h" {
		t.Fatalf("deleted: purge at %d, %v, told %v", at, err, changes)
	}
	w.want(w.push("ada", "a", word(1, 0, "x")), blocks.StatusNotFound, "")
	w.sweep()
	if err := w.UndeleteHeap(t.Context(), "h"); err != nil {
		t.Fatal(err)
	}
	w.put("ada", "a", word(1, 0, "x"))
	if _, err := w.DeleteHeap(t.Context(), ada, "h", false); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Hour)
	w.sweep()
	if err := w.UndeleteHeap(t.Context(), "h"); !errors.Is(err, blocks.ErrNotFound) {
		t.Errorf("undeleted too late: %v", err)
	}
	if _, err := w.Head(t.Context(), key("a")); !errors.Is(err, blocks.ErrNotFound) {
		t.Errorf("a head is left: %v", err)
	}

	if _, _, err := w.AddHeap(t.Context(), "ada", "h", "Anew", false); err != nil {
		t.Fatal(err)
	}
	w.write("a", titled("another A"))
	if _, err := w.DeleteHeap(t.Context(), ada, "h", true); err != nil {
		t.Fatal(err)
	}
	if graves, err := w.DeletedHeaps(t.Context()); err != nil || len(graves) != 0 {
		t.Errorf("deleted heaps %+v, %v", graves, err)
	}
}
