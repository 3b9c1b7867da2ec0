package blocks_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/storetest"
	"github.com/heapsync/heapsync/ydoc"
)

var (
	modelSeed = flag.Uint64("model-seed", uint64(time.Now().UnixNano()), "seed of the first run of TestAnyOrderEndsInTheMergeOfAll")
	modelRuns = flag.Int("model-runs", 12, "runs of TestAnyOrderEndsInTheMergeOfAll")
)

// history is updates as a few honest replicas make them: each of one user, which has
// some of what the others wrote.
type history struct {
	updates []made
}

type made struct {
	user  blocks.UserID
	bytes []byte
}

// makeHistory lets n edits happen. Users only delete what they have, and what is
// not theirs they never collect.
func makeHistory(rng *rand.Rand, n int) history {
	users := []blocks.UserID{"ada", "bob", "carol"}
	type replica struct {
		user  blocks.UserID
		id    uint64
		clock uint64
		known []ydoc.ID // elements it may refer to
	}
	replicas := make([]*replica, 5)
	for i := range replicas {
		replicas[i] = &replica{user: users[i%len(users)], id: uint64(10 + i)}
	}
	var h history
	for range n {
		r := replicas[rng.IntN(len(replicas))]
		if rng.IntN(3) == 0 { // hears what another knows
			other := replicas[rng.IntN(len(replicas))]
			r.known = append(r.known, other.known...)
		}
		e := by(r.id, r.clock)
		for range 1 + rng.IntN(3) {
			var origin *ydoc.ID
			if len(r.known) > 0 && rng.IntN(8) > 0 {
				origin = &r.known[rng.IntN(len(r.known))]
			}
			text := "abcdef"[:1+rng.IntN(6)]
			e.text(origin, text)
			for range text {
				r.known = append(r.known, *at(r.id, r.clock))
				r.clock++
			}
		}
		if rng.IntN(3) == 0 { // only one's own: a deletion of another's must not come before it
			e.remove(r.id, rng.Uint64N(r.clock), 1)
		}
		h.updates = append(h.updates, made{r.user, e.bytes()})
	}
	return h
}

// Whatever the order, with duplicates, merged ones, restarts and commits that fail:
// the state is the merge of all that was accepted.
func TestAnyOrderEndsInTheMergeOfAll(t *testing.T) {
	for run := range uint64(*modelRuns) {
		seed := *modelSeed + run
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 0))
			w := newWorld(t, blocks.Limits{SnapshotTail: int64(3 + rng.IntN(20))})
			h := makeHistory(rng, 60)
			var all [][]byte
			for _, u := range h.updates {
				all = append(all, u.bytes)
			}
			order := rng.Perm(len(h.updates))
			if rng.IntN(2) == 0 { // nearly in order
				for i := range order {
					order[i] = i
				}
				for range 10 {
					i := rng.IntN(len(order) - 1)
					order[i], order[i+1] = order[i+1], order[i]
				}
			}
			for _, i := range order {
				u := h.updates[i]
				switch rng.IntN(12) {
				case 0: // an update and one more of the same user in one
					j := rng.IntN(len(h.updates))
					if other := h.updates[j]; other.user == u.user {
						merged, err := ydoc.MergeUpdates(ydoc.V1, u.bytes, other.bytes)
						if err != nil {
							t.Fatal(err)
						}
						u.bytes = merged
					}
				case 1:
					w.store.Inject(storetest.Fault{Method: "Commit", Err: blocks.ErrFull, After: rng.IntN(2) == 0})
				case 2:
					w.restart()
				case 3: // at the same time
					if other := h.updates[rng.IntN(len(h.updates))]; other.user == "ada" {
						w.append("b", other.bytes)
					}
				}
				for res := w.push(u.user, "b", u.bytes); res.Err != nil; res = w.push(u.user, "b", u.bytes) {
					if res.Status != blocks.StatusUnavailable {
						t.Fatalf("update %d of %s: %s %v", i, u.user, res.Status, res.Err)
					}
				}
				if rng.IntN(4) == 0 {
					w.want(w.push(u.user, "b", u.bytes), blocks.StatusDuplicate, "")
				}
			}
			for deadline := time.Now().Add(10 * time.Second); w.head("b").Held > 0; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%d updates are still held", w.head("b").Held)
				}
			}
			w.wantState("b", all...)
			w.restart()
			w.wantState("b", all...)
		})
	}
}
