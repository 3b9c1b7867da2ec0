package storetest

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/ydoc"
)

var schedules = flag.Int("schedules", 150, "random schedules of commits, clock steps and polls")

func testPages(b *bench) {
	b.heap("h")
	b.heap("other")
	ctx := b.Context()
	at := map[int]int64{}
	for i := range 5 {
		b.clock.Add(10)
		at[i] = b.commit(b.next(key("h", i), "x"), b.next(key("other", i), "y")).At
	}
	b.clock.Add(10)
	b.commit(b.next(key("h", 1), "again")) // now the newest
	held := b.next(key("h", "empty"))
	held.Hold = []blocks.HeldUpdate{{User: "ada", Bytes: []byte("z")}}
	b.commit(held)

	read := func(after blocks.Seq, since int64, limit int) ([]blocks.BlockID, blocks.Page) {
		b.Helper()
		p, err := b.s.Changed(ctx, "h", after, since, limit)
		b.must(err)
		var ids []blocks.BlockID
		for _, h := range p.Heads {
			ids = append(ids, h.Key.Block)
			sameHead(b, h, b.head(h.Key))
		}
		return ids, p
	}
	all := []blocks.BlockID{"0", "2", "3", "4", "1"}
	for _, tt := range []struct {
		after blocks.Seq
		since int64
		limit int
		want  []blocks.BlockID
		more  bool
		total int64
	}{
		{0, 0, 10, all, false, 5},
		{-1, 0, 10, all, false, 5},
		{-1, -5, 10, all, false, 5},
		{0, 0, 5, all, false, 5},
		{0, 0, 2, all[:2], true, 5},
		{-1, at[2], 10, all[1:], false, 4},
		{-1, at[2] + 1, 10, all[2:], false, 3},
		{-1, at[2], 1, all[1:2], true, 4},
		{-1, at[4] + 1_000_000, 10, nil, false, 0},
		{b.head(key("h", 3)).Seq, 0, 10, all[3:], false, 2}, // a cursor wins over since
		{1_000_000, 0, 10, nil, false, 0},
	} {
		ids, p := read(tt.after, tt.since, tt.limit)
		if !slices.Equal(ids, tt.want) || p.More != tt.more || p.TotalChanged != tt.total || p.TotalDeleted != 0 {
			b.Errorf("changed after %d since %d limit %d: %v more=%v total=%d, want %v more=%v total=%d",
				tt.after, tt.since, tt.limit, ids, p.More, p.TotalChanged, tt.want, tt.more, tt.total)
		}
		if n := len(p.Heads); n > 0 && p.Next != p.Heads[n-1].Seq || n == 0 && tt.after >= 0 && p.Next != tt.after {
			b.Errorf("changed after %d: next is %d", tt.after, p.Next)
		}
	}
	// An empty page by time gives a cursor to go on from.
	_, p := read(-1, at[4]+1_000_000, 10)
	b.commit(b.next(key("h", 2), "new"))
	if ids, _ := read(p.Next, 0, 10); !slices.Equal(ids, []blocks.BlockID{"2"}) {
		b.Errorf("after the cursor of an empty page: %v", ids)
	}
}

func testServerTime(b *bench) {
	b.heap("h")
	ctx := b.Context()
	serverTime := func() int64 {
		b.Helper()
		at, err := b.s.ServerTime(ctx)
		b.must(err)
		return at
	}
	for i, step := range []int64{0, 10, 1_500, 3_600_000, 1_001, 5_000} {
		b.clock.Add(step)
		page, err := b.s.Changed(ctx, "h", 0, 0, 1) // asked first, it moves the time as well
		b.must(err)
		at := serverTime()
		if page.ServerTime != at {
			b.Errorf("step %d: a page says it is %d, server time is %d", i, page.ServerTime, at)
		}
		if d := b.clock.Load() - at; d > 1_001 {
			b.Errorf("step %d: server time is %d ms behind the clock", i, d)
		}
		batch := b.commit(b.next(key("h", "a"), "x"))
		if batch.At < at {
			b.Errorf("step %d: server time was %d, then a commit was at %d", i, at, batch.At)
		}
		if next := serverTime(); next <= batch.At {
			b.Errorf("step %d: a commit was at %d, then server time is %d", i, batch.At, next)
		}
	}
	// It never goes back, and what it said holds after a restart.
	b.clock.Add(60_000)
	high := serverTime()
	b.clock.Add(-120_000)
	if at := serverTime(); at < high {
		b.Errorf("server time went from %d to %d with the clock", high, at)
	}
	b.reopen()
	if at := serverTime(); at < high {
		b.Errorf("server time went from %d to %d in a restart", high, at)
	}
	if batch := b.commit(b.next(key("h", "a"), "x")); batch.At < high {
		b.Errorf("server time was %d, then a commit was at %d after a restart", high, batch.At)
	}
}

// poller keeps what it was told of a heap. It goes on with the cursor it was given
// or, if byTime, with the server time of its last full answer.
type poller struct {
	heap   blocks.HeapID
	byTime bool
	limit  int
	cursor blocks.Seq
	since  int64
	known  map[blocks.BlockID]blocks.Seq
}

// poll reads all pages and returns how many rows they had.
func (p *poller) poll(b *bench) (int, error) {
	after := p.cursor
	if p.byTime {
		after = -1
	}
	rows, first := 0, int64(0)
	for {
		page, err := b.s.Changed(b.Context(), p.heap, after, p.since, p.limit)
		if err != nil {
			return rows, err
		}
		if first == 0 {
			first = page.ServerTime
		}
		for _, h := range page.Heads {
			p.known[h.Key.Block] = max(p.known[h.Key.Block], h.Seq)
		}
		rows += len(page.Heads)
		after = page.Next
		if n := page.TotalChanged + page.TotalDeleted; page.More == (n == int64(len(page.Heads))) {
			return rows, fmt.Errorf("a page of %d is one of %d changes and %d deletions, and more is %v",
				len(page.Heads), page.TotalChanged, page.TotalDeleted, page.More)
		}
		if !page.More {
			// A client that pages by time goes on from when it began.
			p.cursor, p.since = page.Next, first
			return rows, nil
		}
	}
}

func newPollers(heap blocks.HeapID) []*poller {
	var list []*poller
	for _, byTime := range []bool{false, true} {
		for _, limit := range []int{1, 3, 100} {
			list = append(list, &poller{heap: heap, byTime: byTime, limit: limit, known: map[blocks.BlockID]blocks.Seq{}})
		}
	}
	return list
}

// settle polls until there is nothing new, and checks that nothing was missed.
func settle(b *bench, pollers []*poller, want map[blocks.BlockID]blocks.Seq, what string) {
	b.Helper()
	for _, p := range pollers {
		_, err := p.poll(b)
		b.must(err)
		for id, seq := range want {
			if p.known[id] != seq {
				b.Errorf("%s: poller %+v knows %s at %d, it is at %d", what, p, id, p.known[id], seq)
			}
		}
		if rows, err := p.poll(b); err != nil || rows != 0 {
			b.Errorf("%s: poller %+v was told %d rows again (%v)", what, p, rows, err)
		}
	}
}

func clockStep(rng *rand.Rand) int64 {
	const hour, year = 3_600_000, 365 * 24 * 3_600_000
	return [...]int64{0, 0, 0, 1, 7, 900, 1_100, 60_000, -1, -500, -hour, year, -year}[rng.IntN(13)]
}

func testDelta(b *bench) {
	seed := uint64(time.Now().UnixNano())
	b.Logf("seed %d", seed)
	for n := range *schedules {
		rng := rand.New(rand.NewPCG(seed, uint64(n)))
		heap := blocks.HeapID(fmt.Sprint("h", n))
		b.heap(heap)
		pollers := newPollers(heap)
		want := map[blocks.BlockID]blocks.Seq{}
		heads := map[blocks.BlockKey]blocks.Head{}
		for range 30 {
			b.clock.Add(clockStep(rng))
			if rng.IntN(2) == 0 {
				p := pollers[rng.IntN(len(pollers))]
				_, err := p.poll(b)
				b.must(err)
				continue
			}
			var commits []*blocks.BlockCommit
			for _, i := range rng.Perm(6)[:1+rng.IntN(2)] {
				k := key(heap, i)
				head, ok := heads[k]
				if !ok {
					head = blocks.Head{Key: k, SyncVersion: 1}
				}
				if head.DeletedAt == 0 {
					commits = append(commits, upon(head, "x"))
				}
			}
			b.commit(commits...)
			for _, c := range commits {
				heads[c.Head.Key] = c.Head
				want[c.Head.Key.Block] = c.Head.Seq
			}
			if len(commits) > 0 && rng.IntN(10) == 0 {
				gone := commits[0].Head
				stones, err := b.s.Purge(b.Context(), []blocks.Doomed{{Ref: gone.Ref, Seq: gone.Seq}})
				if err != nil || len(stones) != 1 {
					b.Fatalf("purge: %v, %v", stones, err)
				}
				gone.DeletedAt = stones[0].At
				heads[gone.Key], want[gone.Key.Block] = gone, stones[0].Seq
			}
		}
		settle(b, pollers, want, fmt.Sprintf("seed %d schedule %d", seed, n))
		if b.Failed() {
			return
		}
	}
}

func testDeltaConcurrent(b *bench) {
	seed := uint64(time.Now().UnixNano())
	b.Logf("seed %d", seed)
	b.heap("h")
	const writers, rounds = 6, 60
	var mu sync.Mutex
	want := map[blocks.BlockID]blocks.Seq{}
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(n)))
			head := blocks.Head{Key: key("h", n), SyncVersion: 1}
			for range rounds {
				b.clock.Add(clockStep(rng))
				c := upon(head, "x")
				if err := b.s.Commit(b.Context(), &blocks.Batch{Blocks: []*blocks.BlockCommit{c}}); err != nil {
					b.Error(err)
					return
				}
				head = c.Head
			}
			mu.Lock()
			want[head.Key.Block] = head.Seq
			mu.Unlock()
		})
	}
	pollers := newPollers("h")
	done := make(chan struct{})
	var polls sync.WaitGroup
	for _, p := range pollers {
		polls.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := p.poll(b); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(done)
	polls.Wait()
	settle(b, pollers, want, fmt.Sprintf("seed %d", seed))
}

func (b *bench) reopen() {
	b.Helper()
	b.must(b.s.Close())
	b.s = b.open(b.T, b.dir, b.now)
}

func testReopen(b *bench) {
	b.heap("h")
	ctx := b.Context()
	k := key("h", "a")
	for i := range 3 {
		c := b.next(k, fmt.Sprint(i))
		c.Claims = []blocks.Claim{{Client: 3, User: "ada"}}
		c.Hold = []blocks.HeldUpdate{{User: "bob", Session: "phone", Bytes: []byte("held")}}
		b.commit(c)
	}
	head := b.head(k)
	b.must(b.s.SaveSnapshot(ctx, blocks.Snapshot{Ref: head.Ref, Seq: 1, State: []byte("state")}))
	dump := func() string {
		h, snap, tail, err := b.s.State(ctx, k)
		b.must(err)
		held, err := b.s.Held(ctx, h.Ref)
		b.must(err)
		claims, err := b.s.Claims(ctx, h.Ref, []ydoc.ClientID{3})
		b.must(err)
		page, err := b.s.Changed(ctx, "h", 0, 0, 10)
		b.must(err)
		heaps, err := b.s.HeapsOf(ctx, "ada")
		b.must(err)
		return fmt.Sprintf("%+v\n%+v\n%+v\n%+v\n%+v\n%+v\n%+v", h, snap, tail, held, claims, page, heaps)
	}
	before := dump()
	b.reopen()
	if after := dump(); after != before {
		b.Errorf("after a restart:\n%s\nbefore:\n%s", after, before)
	}
	c := b.next(k, "3")
	b.commit(c)
	if c.Updates[0].Seq != 4 {
		b.Errorf("seq after a restart is %d, want 4", c.Updates[0].Seq)
	}
}

func testSeqs(b *bench) {
	b.heap("h")
	b.heap("other")
	b.commit(b.next(key("h", "a"), "1"), b.next(key("h", "b"), "2", "3"), b.next(key("other", "a"), "4"))
	b.commit(b.next(key("h", "a"), "5"))
	got := map[blocks.BlockID]blocks.Seq{}
	b.must(b.s.Seqs(b.Context(), "h", func(block blocks.BlockID, seq blocks.Seq) { got[block] = seq }))
	if want := map[blocks.BlockID]blocks.Seq{"a": 5, "b": 3}; !maps.Equal(got, want) {
		b.Errorf("%v, want %v", got, want)
	}
	for heap, want := range map[blocks.HeapID]blocks.Seq{"h": 5, "other": 4, "nowhere": 0} {
		if seq, err := b.s.HeapSeq(b.Context(), heap); err != nil || seq != want {
			b.Errorf("seq of %s: %d, %v, want %d", heap, seq, err, want)
		}
	}
	b.must(b.s.Seqs(b.Context(), "nowhere", func(block blocks.BlockID, _ blocks.Seq) { b.Errorf("%s in no heap", block) }))
}
