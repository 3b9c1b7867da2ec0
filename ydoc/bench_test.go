package ydoc_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/lib0"
)

// traceUpdates returns the updates of a real editing session, one for each of
// 259,778 edits of a text by client 1, and the size of the document's state. Yjs makes
// them (testdata/rivals/traces.mjs) and leaves them in the user's cache. Where they are
// missing it falls back to a synthetic session of about the same statistics, and
// says so; state is then 0.
func traceUpdates(t testing.TB) (updates [][]byte, state int) {
	t.Helper()
	if cache, err := os.UserCacheDir(); err == nil {
		name := filepath.Join(cache, "heapsync", "trace-automerge-paper")
		b, err := os.ReadFile(name + ".bin")
		if err == nil {
			for len(b) >= 4 {
				n := binary.BigEndian.Uint32(b)
				updates = append(updates, b[4:4+n])
				b = b[4+n:]
			}
			if info, err := os.Stat(name + ".state"); err == nil {
				state = int(info.Size())
			}
			return updates, state
		}
	}
	t.Log("no trace in the cache: a synthetic session stands in for it")
	return syntheticUpdates(259_778), 0
}

// syntheticUpdates makes the updates of one client that types runs, jumps, and
// deletes about three characters of ten, mostly backwards.
func syntheticUpdates(n int) [][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	var updates [][]byte
	var text []uint64 // clocks of what is visible
	clock, at := uint64(0), 0
	for len(updates) < n {
		if rng.IntN(12) == 0 {
			at = rng.IntN(len(text) + 1)
		}
		if at > 0 && rng.IntN(10) < 3 {
			at--
			b := []byte{0, 1, 1, 1}
			b = append(lib0.AppendVarUint(b, text[at]), 1)
			updates = append(updates, b)
			text = slices.Delete(text, at, at+1)
			continue
		}
		b := append(lib0.AppendVarUint([]byte{1, 1, 1}, clock), 4)
		info := len(b) - 1
		if at > 0 {
			b[info] |= 0x80
			b = lib0.AppendVarUint(append(b, 1), text[at-1])
		}
		if at < len(text) {
			b[info] |= 0x40
			b = lib0.AppendVarUint(append(b, 1), text[at])
		}
		if b[info] == 4 {
			b = append(b, 1, 4, 't', 'e', 'x', 't')
		}
		updates = append(updates, append(b, 1, byte('a'+rng.IntN(26)), 0))
		text = slices.Insert(text, at, clock)
		clock++
		at++
	}
	return updates
}

func mergeAll(t testing.TB, updates [][]byte) []byte {
	t.Helper()
	merged, err := ydoc.MergeUpdates(ydoc.V1, updates...)
	if err != nil {
		t.Fatal(err)
	}
	return merged
}

func TestMergeOfATraceIsAboutAsSmallAsItsState(t *testing.T) {
	updates, state := traceUpdates(t)
	merged := mergeAll(t, updates)
	t.Logf("%d updates merge to %d bytes, state %d bytes, ratio %.2f", len(updates), len(merged), state, float64(len(merged))/float64(state))
	if state > 0 && len(merged)*10 > state*16 {
		t.Errorf("merge has %d bytes, state %d", len(merged), state)
	}
	if name := os.Getenv("HEAPSYNC_BENCH_MERGED"); name != "" { // for testdata/rivals
		if err := os.WriteFile(name, merged, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkMerge(b *testing.B) {
	updates, _ := traceUpdates(b)
	b.Run("10000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			mergeAll(b, updates[:10000])
		}
	})
	b.Run("all", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			mergeAll(b, updates)
		}
	})
	for _, batch := range []int{100, 1000} {
		b.Run(fmt.Sprintf("all-by-%d", batch), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for part := range slices.Chunk(updates, batch) {
					mergeAll(b, part)
				}
			}
		})
	}
}

// BenchmarkMergeMixed merges what many clients wrote at the same time, as it comes
// and in the worst order.
func BenchmarkMergeMixed(b *testing.B) {
	var mixed [][]byte
	for i := range uint64(100_000) {
		client, clock := 1+i%50, i/50
		var origin *id
		if clock > 0 {
			origin = &id{Client: ydoc.ClientID(client), Clock: ydoc.Clock(clock - 1)}
		}
		mixed = append(mixed, new(builder).at(client, clock).text(origin, nil, "a").bytes())
	}
	shuffled := slices.Clone(mixed)
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for name, updates := range map[string][][]byte{"as-it-comes": mixed, "shuffled": shuffled} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mergeAll(b, updates)
			}
		})
	}
}

func BenchmarkMerged(b *testing.B) {
	updates, _ := traceUpdates(b)
	merged := mergeAll(b, updates)
	exact := exact(b, ydoc.V1, updates...).Append(nil, ydoc.V1)
	for name, update := range map[string][]byte{"joined": merged, "as-yjs": exact} {
		sv, err := ydoc.StateVectorOf(ydoc.V1, update)
		if err != nil {
			b.Fatal(err)
		}
		var half ydoc.StateVector
		half.Advance(1, sv.Next(1)/2)
		b.Run("state-vector/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ydoc.StateVectorOf(ydoc.V1, update); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("diff-half/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ydoc.DiffUpdate(ydoc.V1, update, half); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("decode/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ydoc.DecodeUpdate(update, ydoc.V1, ydoc.DefaultLimits()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDecodeLive is what the server does to each update it is sent.
func BenchmarkDecodeLive(b *testing.B) {
	updates, _ := traceUpdates(b)
	one := updates[5000]
	lim := ydoc.DefaultLimits()
	var sv ydoc.StateVector
	sv.Advance(1, 1<<30)
	b.ReportAllocs()
	for b.Loop() {
		u, err := ydoc.DecodeUpdate(one, ydoc.V1, lim)
		if err != nil || !u.Ready(sv) || !u.Canonical() {
			b.Fatal(err)
		}
	}
}

func BenchmarkIntegrationSteps(b *testing.B) {
	updates, _ := traceUpdates(b)
	state := trusted(b, mergeAll(b, updates))
	var steps int
	b.ReportAllocs()
	for b.Loop() {
		steps = state.IntegrationSteps(math.MaxInt)
	}
	b.ReportMetric(float64(steps), "steps")
}
