package sqlite_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/sqlite"
)

// commitTo appends to a block.
func commitTo(t *testing.T, s *sqlite.Store, key blocks.BlockKey, updates ...string) blocks.Head {
	t.Helper()
	head, err := s.Head(t.Context(), key)
	if err != nil {
		head = blocks.Head{Key: key, SyncVersion: 1}
	}
	c := &blocks.BlockCommit{Head: head}
	for _, u := range updates {
		c.Head.Bytes += int64(len(u))
		c.Updates = append(c.Updates, blocks.LoggedUpdate{User: "ada", Bytes: []byte(u)})
	}
	if err := s.Commit(t.Context(), &blocks.Batch{Blocks: []*blocks.BlockCommit{c}}); err != nil {
		t.Fatal(err)
	}
	return c.Head
}

func TestCheckIsCleanAfterPurges(t *testing.T) {
	s := openAuth(t)
	ctx := t.Context()
	var doomed []blocks.Doomed
	for _, heap := range []blocks.HeapID{"a", "b"} {
		if err := s.CreateHeap(ctx, blocks.Heap{ID: heap, Name: "Heap", Owner: "ada"}); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			head := commitTo(t, s, blocks.BlockKey{Heap: heap, Block: blocks.BlockID(fmt.Sprint(i))}, "x", "yy", "zzz")
			if err := s.SaveSnapshot(ctx, blocks.Snapshot{Ref: head.Ref, Seq: head.Seq, State: []byte("state")}); err != nil {
				t.Fatal(err)
			}
			if i == 1 {
				doomed = append(doomed, blocks.Doomed{Ref: head.Ref})
			}
		}
	}
	clean := func(what string) {
		t.Helper()
		sum, err := s.Check(context.Background(), func(p sqlite.Problem) { t.Errorf("%s: %s", what, p) })
		if err != nil || sum.Blocks == 0 {
			t.Errorf("%s: %+v, %v", what, sum, err)
		}
	}
	clean("before")
	if stones, err := s.Purge(ctx, doomed); err != nil || len(stones) != 2 {
		t.Fatalf("purge: %v, %v", stones, err)
	}
	clean("after a purge")
	if err := s.DeleteHeap(ctx, "a", 1, 2); err != nil {
		t.Fatal(err)
	}
	if more, err := s.PurgeHeap(ctx, "a"); err != nil || more {
		t.Fatalf("purge of a heap: %v, %v", more, err)
	}
	clean("after a heap is gone")
	commitTo(t, s, blocks.BlockKey{Heap: "b", Block: "0"}, "more")
	clean("after another commit")
}
