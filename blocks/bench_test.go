package blocks_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/ydoc"
)

var typedUpdates = flag.Int("typed-updates", 100_000, "updates of the block of BenchmarkTypedUpdates; 1000000 for what is promised")

// typed appends n updates as somebody makes them who types a text: a character each, now
// and then one is taken back, or the cursor moves. It returns their document.
func (w *world) typed(block string, n int) *ydoc.Doc {
	w.t.Helper()
	rng := rand.New(rand.NewPCG(4, 4))
	doc := ydoc.NewDoc(ydoc.Options{ClientID: 7})
	text, cursor := doc.Text("t"), 0
	release := w.Hold(key(block))
	defer release()
	var pending sync.WaitGroup
	for i := range n {
		update := doc.Transact(func() {
			switch r := rng.IntN(100); {
			case r == 0 && text.Len() > 0:
				cursor = rng.IntN(text.Len())
				fallthrough
			default:
				text.Insert(cursor, string(rune('a'+rng.IntN(26))))
				cursor++
			case r < 20 && cursor > 0:
				cursor--
				text.Delete(cursor, 1)
			}
		}).Update(ydoc.V1)
		pending.Add(1)
		err := w.Append(context.Background(), blocks.Append{Key: key(block), Author: blocks.Author{User: "ada"}, Update: update},
			func(_ blocks.Appended, err error) {
				if err != nil {
					w.t.Error(err)
				}
				pending.Done()
			})
		if err != nil {
			w.t.Fatal(err)
		}
		if i%2000 == 1999 {
			pending.Wait()
		}
	}
	pending.Wait()
	return doc
}

// latencies appends to a block of its own, one update after the other, until stop is
// closed, and returns how long each took, sorted.
func (w *world) latencies(block string, stop <-chan struct{}) []time.Duration {
	var all []time.Duration
	for clock := uint64(0); ; clock++ {
		select {
		case <-stop:
			slices.Sort(all)
			return all
		case <-time.After(time.Millisecond):
		}
		start := time.Now()
		_, err := w.AppendAndWait(context.Background(), blocks.Append{Key: key(block), Author: blocks.Author{User: "bob"}, Update: word(9, clock, "x")})
		if err != nil {
			w.t.Error(err)
			return all
		}
		all = append(all, time.Since(start))
	}
}

// BenchmarkTypedUpdates opens a block that took very many updates, and thins its
// history while somebody writes to another block.
func BenchmarkTypedUpdates(b *testing.B) {
	w := newWorld(b, blocks.Limits{History: blocks.HistoryPolicy{Updates: 1 << 40}})
	start := time.Now()
	doc := w.typed("typed", *typedUpdates)
	b.Logf("%d updates appended in %v", *typedUpdates, time.Since(start))
	if err := w.Fold(b.Context(), key("typed")); err != nil {
		b.Fatal(err)
	}
	_, snapshot, _, err := w.store.State(b.Context(), key("typed"))
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("snapshot %d bytes; Yjs encodes the document in %d (format V2)", len(snapshot.State), len(doc.Encode(ydoc.V2)))

	measure := func(what string, do func()) {
		stop := make(chan struct{})
		var all []time.Duration
		var writing sync.WaitGroup
		writing.Go(func() { all = w.latencies(fmt.Sprint("other-", len(what)), stop) })
		do()
		close(stop)
		writing.Wait()
		if n := len(all); n > 0 {
			b.Logf("%s: %d appends meanwhile, p50 %v, p99 %v, longest %v", what, n, all[n/2], all[n*99/100], all[n-1])
		}
	}
	measure("idle", func() { time.Sleep(2 * time.Second) })
	w.cfg.Limits.History.Updates = 0 // the default
	w.restart()
	start = time.Now()
	measure("compacting", func() {
		if err := w.Compact(b.Context(), key("typed")); err != nil {
			b.Fatal(err)
		}
	})
	took := time.Since(start)
	after, err := w.store.DiskUse(b.Context(), "h")
	if err != nil {
		b.Fatal(err)
	}
	folded := int64(*typedUpdates) - w.head("typed").Raw
	b.Logf("compacted %d updates in %v: %.0f/s; %d bytes of them became windows of %d",
		folded, took, float64(folded)/took.Seconds(), after.Folded, after.Windows)
	w.pass(40 * 24 * time.Hour)
	start = time.Now()
	measure("thinning", func() {
		if err := w.Thin(b.Context()); err != nil {
			b.Fatal(err)
		}
	})
	after, err = w.store.DiskUse(b.Context(), "h")
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("thinned in %v: %d bytes of updates are windows of %d", time.Since(start), after.Folded, after.Windows)

	for b.Loop() {
		d, err := w.Diff(b.Context(), key("typed"), ydoc.StateVector{})
		if err != nil || len(d.Update) == 0 {
			b.Fatal(err)
		}
	}
}
