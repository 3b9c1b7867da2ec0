package storetest

import (
	"slices"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/ydoc"
)

func testTrashed(b *bench) {
	b.heap("h")
	k := key("h", "a")
	b.commit(b.next(k, "x"))
	want := b.head(k)
	b.must(b.s.SetTrashed(b.Context(), want.Ref, 77))
	want.TrashedAt = 77
	sameHead(b, b.head(k), want)
	b.commit(upon(want, "y"))
	if at := b.head(k).TrashedAt; at != 77 {
		b.Errorf("trashed at %d after a commit", at)
	}
	b.must(b.s.SetTrashed(b.Context(), want.Ref, 0))
	if at := b.head(k).TrashedAt; at != 0 {
		b.Errorf("trashed at %d after it was restored", at)
	}
	b.wantErr(b.s.SetTrashed(b.Context(), 99, 1), blocks.ErrNotFound, "trash of nothing")
}

func testTrashList(b *bench) {
	b.heap("h")
	b.heap("other")
	for i, block := range []blocks.BlockID{"a", "b", "c", "d"} {
		b.commit(b.next(key("h", string(block)), "x"))
		b.must(b.s.SetTrashed(b.Context(), b.head(key("h", string(block))).Ref, []int64{30, 10, 0, 10}[i]))
	}
	b.commit(b.next(key("other", "e"), "x"))
	b.must(b.s.SetTrashed(b.Context(), b.head(key("other", "e")).Ref, 5))
	list := func(before, since int64, ref blocks.Ref, limit int) (ids []blocks.BlockID) {
		heads, err := b.s.Trashed(b.Context(), "h", before, since, ref, limit)
		b.must(err)
		for _, h := range heads {
			ids = append(ids, h.Key.Block)
		}
		return ids
	}
	first := b.head(key("h", "b"))
	for _, tt := range []struct {
		got, want []blocks.BlockID
	}{
		{list(100, 0, 0, 10), []blocks.BlockID{"b", "d", "a"}},
		{list(30, 0, 0, 10), []blocks.BlockID{"b", "d"}},
		{list(100, 0, 0, 1), []blocks.BlockID{"b"}},
		{list(100, first.TrashedAt, first.Ref, 10), []blocks.BlockID{"d", "a"}},
		{list(10, 0, 0, 10), nil},
	} {
		if !slices.Equal(tt.got, tt.want) {
			b.Errorf("trash %v, want %v", tt.got, tt.want)
		}
	}
}

func testPurge(b *bench) {
	b.heap("h")
	a, other := key("h", "a"), key("h", "b")
	c := b.next(a, "x", "yy")
	c.Claims = []blocks.Claim{{Client: 7, User: "ada"}}
	c.Hold = []blocks.HeldUpdate{{User: "ada", Bytes: []byte("held")}}
	b.commit(c)
	b.commit(b.next(other, "z"))
	before := b.head(a)
	b.must(b.s.SaveSnapshot(b.Context(), blocks.Snapshot{Ref: before.Ref, Seq: before.Seq, State: []byte("state")}))
	b.commit(b.next(a, "zzz"))
	head := b.head(a)

	stones, err := b.s.Purge(b.Context(), []blocks.Doomed{{Ref: head.Ref, Seq: before.Seq}, {Ref: 99}})
	if err != nil || len(stones) != 0 {
		b.Fatalf("purge of what has moved on: %v, %v", stones, err)
	}
	sameHead(b, b.head(a), head)
	b.clock.Add(1000)
	stones, err = b.s.Purge(b.Context(), []blocks.Doomed{{Ref: head.Ref, Seq: head.Seq}})
	b.must(err)
	want := blocks.Tombstone{Key: a, Ref: head.Ref, Seq: b.head(other).Seq + 2, At: b.clock.Load(), Freed: 6}
	if len(stones) != 1 || stones[0] != want {
		b.Fatalf("tombstones %+v, want %+v", stones, want)
	}
	gone, snap, tail, err := b.s.State(b.Context(), a)
	b.must(err)
	if gone.DeletedAt != want.At || gone.Seq != want.Seq || gone.UpdatedAt != want.At || gone.Bytes != 0 || gone.Held != 0 || snap.Seq != 0 || len(tail) != 0 {
		b.Errorf("of a purged block there is %+v, %+v, %v", gone, snap, tail)
	}
	if claims, err := b.s.Claims(b.Context(), head.Ref, []ydoc.ClientID{7}); err != nil || len(claims) != 0 {
		b.Errorf("claims %v, %v", claims, err)
	}
	page, err := b.s.Changed(b.Context(), "h", head.Seq, 0, 10)
	if err != nil || len(page.Heads) != 1 || page.Heads[0].DeletedAt == 0 || page.TotalDeleted != 1 {
		b.Errorf("changes %+v, %v", page, err)
	}
	if stones, err := b.s.Purge(b.Context(), []blocks.Doomed{{Ref: head.Ref}}); err != nil || len(stones) != 0 {
		b.Errorf("the second purge: %v, %v", stones, err)
	}
	b.wantErr(b.s.SetTrashed(b.Context(), head.Ref, 1), blocks.ErrNotFound, "trash of a purged block")
	err = b.s.Commit(b.Context(), &blocks.Batch{Blocks: []*blocks.BlockCommit{upon(head, "late")}})
	b.wantErr(err, blocks.ErrConflict, "commit to a purged block")
	b.commit(b.next(other, "after"))
}

func testHeapDeletion(b *bench) {
	ctx := b.Context()
	b.heap("h")
	b.heap("stays")
	for i := range 120 {
		b.commit(b.next(key("h", "b"+string(rune('0'+i/10))+string(rune('0'+i%10))), "x", "y"))
	}
	b.commit(b.next(key("stays", "a"), "x"))
	b.wantErr(b.s.UndeleteHeap(ctx, "h"), blocks.ErrNotFound, "undeletion of what is not deleted")
	_, err := b.s.PurgeHeap(ctx, "h")
	b.wantErr(err, blocks.ErrNotFound, "purge of what is not deleted")
	b.must(b.s.DeleteHeap(ctx, "h", 10, 20))
	b.wantErr(b.s.DeleteHeap(ctx, "h", 11, 21), blocks.ErrNotFound, "deletion of what is deleted")
	gone := func(what string) {
		b.Helper()
		_, err := b.s.Heap(ctx, "h")
		b.wantErr(err, blocks.ErrNotFound, what)
		if role, _, err := b.s.RoleOf(ctx, "ada", "h"); err != nil || role != blocks.RoleNone {
			b.Errorf("%s: role %v, %v", what, role, err)
		}
		if list, err := b.s.HeapsOf(ctx, "ada"); err != nil || len(list) != 1 || list[0].ID != "stays" {
			b.Errorf("%s: heaps %+v, %v", what, list, err)
		}
	}
	gone("deleted")
	b.wantErr(b.s.CreateHeap(ctx, blocks.Heap{ID: "h", Name: "H", Owner: "bob"}), blocks.ErrConflict, "another heap of a deleted one's id")
	graves, err := b.s.Graveyard(ctx)
	if err != nil || len(graves) != 1 || graves[0].ID != "h" || graves[0].DeletedAt != 10 || graves[0].PurgeAt != 20 {
		b.Fatalf("graveyard %+v, %v", graves, err)
	}
	b.must(b.s.UndeleteHeap(ctx, "h"))
	if h, err := b.s.Heap(ctx, "h"); err != nil || h.DeletedAt != 0 {
		b.Errorf("undeleted: %+v, %v", h, err)
	}
	if role, _, err := b.s.RoleOf(ctx, "ada", "h"); err != nil || role != blocks.RoleOwner {
		b.Errorf("undeleted: role %v, %v", role, err)
	}
	b.must(b.s.DeleteHeap(ctx, "h", 30, 40))
	steps := 0
	for more := true; more; steps++ {
		more, err = b.s.PurgeHeap(ctx, "h")
		b.must(err)
		if more {
			b.wantErr(b.s.UndeleteHeap(ctx, "h"), blocks.ErrNotFound, "undeletion of what is half gone")
		}
	}
	if steps < 2 {
		b.Errorf("all in %d step", steps)
	}
	gone("purged")
	_, err = b.s.Head(ctx, key("h", "b00"))
	b.wantErr(err, blocks.ErrNotFound, "head of a purged heap's block")
	b.heap("h")
	b.commit(b.next(key("h", "b00"), "anew"))
	b.commit(b.next(key("stays", "a"), "y"))
}
