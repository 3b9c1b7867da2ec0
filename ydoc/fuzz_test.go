package ydoc_test

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

// content describes what an update holds so that two ways to cut it into structs give
// the same: the joined merge of it alone, twice.
func content(t *testing.T, b []byte, f ydoc.Format) []byte {
	t.Helper()
	merged, err := ydoc.MergeUpdates(f, b)
	if err != nil {
		t.Fatalf("merge %x: %v", b, err)
	}
	again, err := ydoc.MergeUpdates(f, merged)
	if err != nil {
		t.Fatalf("merge %x: %v", merged, err)
	}
	if !bytes.Equal(merged, again) {
		t.Fatalf("a merge is not joined:\n%x\n%x", merged, again)
	}
	return merged
}

func fuzzDecode(t *testing.T, b []byte, f ydoc.Format) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	u, err := ydoc.DecodeUpdate(b, f, ydoc.DefaultLimits())
	runtime.ReadMemStats(&after)
	// A V2 struct may cost next to no bytes; those are bounded in number.
	if used := after.TotalAlloc - before.TotalAlloc; f == ydoc.V1 && !raceDetector && used > uint64(64<<10+16*len(b)) {
		t.Errorf("%d bytes used to decode %d", used, len(b))
	}
	var m ydoc.Merger
	if err != nil {
		m.Add(b, f)
		m.Append(nil, f)
		return
	}
	if err := m.Add(b, f); err != nil {
		t.Fatalf("accepted, but does not merge: %v", err)
	}
	dump := ydoc.Dump(u)
	for _, to := range []ydoc.Format{ydoc.V1, ydoc.V2} {
		again := u.Append(nil, to)
		v, err := ydoc.DecodeUpdate(again, to, ydoc.DefaultLimits())
		if err != nil {
			t.Fatalf("written again in format %d: %v", to, err)
		}
		if !v.Canonical() {
			t.Errorf("written again in format %d it is not canonical: %x", to, again)
		}
		if got := ydoc.Dump(v); to == f && !slices.Equal(got, dump) || len(got) != len(dump) {
			t.Errorf("read as\n%s\nwritten again in format %d\n%s", dump, to, got)
		}
		if v.DeletesWithin(u) != true || u.DeletesWithin(v) != true {
			t.Error("deletions changed")
		}
	}
	var sv ydoc.StateVector
	for s := range u.Structs() {
		if s.Clock%3 == 0 {
			sv.Advance(s.Client, s.Clock+s.Len/2)
		}
	}
	checkSplit(t, u, sv, f)
	u.Ready(sv)
	u.TypeDepth()
	u.SplitValue()
	u.IntegrationSteps(1000)
	if id, conflict := u.Conflict(m.Update()); conflict {
		t.Errorf("conflicts with itself at %v", id)
	}
	if joined := decode(t, m.Append(nil, f), f); true {
		if id, conflict := u.Conflict(joined); conflict {
			t.Errorf("conflicts with its joined self at %v: %x", id, m.Append(nil, f))
		}
	}
	if diff, err := ydoc.DiffUpdate(f, u.Append(nil, f), sv); err != nil {
		t.Errorf("diff: %v", err)
	} else if want := exact(t, f, u.Append(nil, f)).AppendDiff(nil, f, sv); len(ydoc.Dump(decode(t, diff, f))) != len(ydoc.Dump(decode(t, want, f))) {
		t.Errorf("diff is\n%x, not\n%x", diff, want)
	}
	if diff, err := ydoc.DiffUpdate(f, b, sv); err != nil {
		t.Errorf("diff: %v", err)
	} else if got, want := decode(t, diff, f), exact(t, f, u.Append(nil, f)).AppendDiff(nil, f, sv); !slices.Equal(ydoc.Dump(got), ydoc.Dump(decode(t, want, f))) || !got.DeletesWithin(u) || !u.DeletesWithin(got) {
		t.Errorf("diff of the bytes as they came is\n%x, not\n%x", diff, want)
	}
	if got, err := ydoc.StateVectorOf(f, b); err != nil || !got.Equal(u.StateVector()) {
		t.Errorf("state vector of the bytes as they came %v, %v", got, err)
	}
	if got, err := ydoc.StateVectorOf(f, u.Append(nil, f)); err != nil || !got.Equal(u.StateVector()) {
		t.Errorf("state vector %v, %v", got, err)
	}
	u.Obfuscate(ydoc.Obfuscation{}).Append(nil, f)
}

// checkSplit checks that what is ready is, and that nothing gets lost.
func checkSplit(t *testing.T, u *ydoc.Update, sv ydoc.StateVector, f ydoc.Format) {
	t.Helper()
	ready, rest, after := u.Split(sv)
	readyBytes, restBytes := ready.Append(nil, f), rest.Append(nil, f)
	if !decode(t, readyBytes, f).Ready(sv) {
		t.Errorf("ready is not: %x", readyBytes)
	}
	if again, _, _ := decode(t, restBytes, f).Split(after); !again.Empty() {
		t.Errorf("rest is ready in part: %x", again.Append(nil, f))
	}
	if u.Ready(sv) != rest.Empty() {
		t.Errorf("Ready is %v, but the rest is %x", u.Ready(sv), restBytes)
	}
	whole, parts := ydoc.Merger{Keyless: true}, ydoc.Merger{Keyless: true} // or the rest would not know what the ready is
	for _, add := range []struct {
		m *ydoc.Merger
		b []byte
	}{{&whole, u.Append(nil, f)}, {&parts, readyBytes}, {&parts, restBytes}} {
		if err := add.m.Add(add.b, f); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := whole.AppendDiff(nil, f, sv), parts.AppendDiff(nil, f, sv); !bytes.Equal(a, b) {
		t.Errorf("ready and rest make\n%x, not\n%x", b, a)
	}
}

func FuzzDecodeUpdateV1(f *testing.F) {
	for _, b := range corpus(f, ydoc.V1) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { fuzzDecode(t, b, ydoc.V1) })
}

func FuzzDecodeUpdateV2(f *testing.F) {
	for _, b := range corpus(f, ydoc.V2) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { fuzzDecode(t, b, ydoc.V2) })
}

// trusted reads bytes without asking whether clients may see them.
func trusted(t testing.TB, b []byte) *ydoc.Update {
	t.Helper()
	return exact(t, ydoc.V1, b).Update()
}

func FuzzStateVector(f *testing.F) {
	for _, v := range vectors(f).Documents {
		f.Add(unhex(f, v.StateVector))
	}
	f.Add([]byte{0x80, 0x80, 0x80, 0x80, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		sv, err := ydoc.DecodeStateVector(b)
		if err != nil {
			return
		}
		again, err := ydoc.DecodeStateVector(sv.Encode())
		if err != nil || !again.Equal(sv) || !again.Covers(sv) || !sv.Covers(again) {
			t.Errorf("%x read again: %v, %v", b, again, err)
		}
		for c, next := range sv.All() {
			if sv.Next(c) != next || next == 0 {
				t.Errorf("client %d has %d and %d", c, next, sv.Next(c))
			}
		}
	})
}

// FuzzMerge merges parts of the input in two orders.
func FuzzMerge(f *testing.F) {
	all := corpus(f, ydoc.V1)
	for i := range all {
		f.Add(all[i], all[(i+1)%len(all)], all[(i*7+3)%len(all)], uint64(i))
	}
	f.Fuzz(func(t *testing.T, a, b, c []byte, seed uint64) {
		var accepted [][]byte
		for _, in := range [][]byte{a, b, c} {
			u, err := ydoc.DecodeUpdate(in, ydoc.V1, ydoc.DefaultLimits())
			if err != nil {
				continue
			}
			for _, other := range accepted {
				if _, conflict := u.Conflict(decode(t, other, ydoc.V1)); conflict {
					return
				}
			}
			accepted = append(accepted, in)
		}
		merged := mergeAll(t, accepted)
		rng := rand.New(rand.NewPCG(seed, 0))
		rng.Shuffle(len(accepted), func(i, j int) { accepted[i], accepted[j] = accepted[j], accepted[i] })
		other := mergeAll(t, append(accepted, merged))
		// Where one input has collected what another still has, the first one stays:
		// what the two orders share are the clocks, the deletions and no contradiction.
		x, y := trusted(t, merged), trusted(t, other)
		if id, conflict := x.Conflict(y); conflict {
			t.Errorf("orders conflict at %v:\n%x\n%x", id, merged, other)
		}
		if !x.DeletesWithin(y) || !y.DeletesWithin(x) || !x.StateVector().Equal(y.StateVector()) {
			t.Errorf("orders differ:\n%x\n%x", merged, other)
		}
		content(t, merged, ydoc.V1)
	})
}

// FuzzSplit splits a merge of two inputs at a random state vector.
func FuzzSplit(f *testing.F) {
	all := corpus(f, ydoc.V1)
	for i := range all {
		f.Add(all[i], all[(i*5+2)%len(all)], uint64(i))
	}
	f.Fuzz(func(t *testing.T, a, b []byte, seed uint64) {
		var accepted [][]byte
		for _, in := range [][]byte{a, b} {
			if _, err := ydoc.DecodeUpdate(in, ydoc.V1, ydoc.DefaultLimits()); err == nil {
				accepted = append(accepted, in)
			}
		}
		u, err := ydoc.DecodeUpdate(mergeAll(t, accepted), ydoc.V1, ydoc.DefaultLimits())
		if err != nil {
			return // two parts of one map value
		}
		rng := rand.New(rand.NewPCG(seed, 0))
		var sv ydoc.StateVector
		for c, r := range u.Clients() {
			sv.Advance(c, ydoc.Clock(rng.Uint64N(uint64(r.To)+2)))
		}
		checkSplit(t, u, sv, ydoc.V1)
	})
}
