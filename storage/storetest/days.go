package storetest

import (
	"slices"
	"time"

	"github.com/heapsync/heapsync/blocks"
)

func testUpdateDays(b *bench) {
	b.heap("h")
	b.heap("other")
	const day = int64(24 * time.Hour / time.Millisecond)
	first := b.clock.Load() / day
	k := key("h", "a")
	for range 3 {
		b.commit(b.next(k, "x", "y"))
		b.clock.Add(day)
	}
	b.commit(b.next(key("other", "b"), "z"))
	last := b.head(key("other", "b")).Seq
	days := func(limit int) (sum []blocks.DayUpdates) {
		b.Helper()
		for after := blocks.Seq(0); after < last; {
			some, to, err := b.s.UpdateDays(b.Context(), after, last, limit)
			b.must(err)
			if to <= after {
				b.Fatalf("counted up to %d, after %d", to, after)
			}
			for _, d := range some {
				i := slices.IndexFunc(sum, func(s blocks.DayUpdates) bool { return s.Heap == d.Heap && s.Day == d.Day })
				if i < 0 {
					sum = append(sum, d)
				} else {
					sum[i].Updates += d.Updates
				}
			}
			after = to
		}
		slices.SortFunc(sum, func(a, b blocks.DayUpdates) int { return int(a.Day - b.Day) })
		return sum
	}
	want := []blocks.DayUpdates{{Heap: "h", Day: first, Updates: 2}, {Heap: "h", Day: first + 1, Updates: 2},
		{Heap: "h", Day: first + 2, Updates: 2}, {Heap: "other", Day: first + 3, Updates: 1}}
	for _, limit := range []int{1, 2, 3, 100} {
		if got := days(limit); !slices.Equal(got, want) {
			b.Errorf("%d at a time: %v, want %v", limit, got, want)
		}
	}
	head := b.head(k)
	b.must(b.s.SaveSnapshot(b.Context(), blocks.Snapshot{Ref: head.Ref, Seq: head.Seq, State: []byte("state")}))
	b.foldOldest(head.Ref, 3, blocks.LevelDay) // those of the first day, and one of the second
	want = append([]blocks.DayUpdates{{Heap: "h", Day: first + 1, Updates: 4}}, want[2:]...)
	for _, limit := range []int{1, 2, 100} {
		if got := days(limit); !slices.Equal(got, want) {
			b.Errorf("folded, %d at a time: %v, want %v", limit, got, want)
		}
	}
}
