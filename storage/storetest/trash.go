package storetest

import "github.com/heapsync/heapsync/blocks"

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
