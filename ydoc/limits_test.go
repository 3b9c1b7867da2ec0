package ydoc_test

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/lib0"
)

func TestEachLimitHoldsExactly(t *testing.T) {
	nested := func(depth int) []byte {
		return append(bytes.Repeat([]byte{0x75, 1}, depth), 0x7e)
	}
	anys := func(n int) []byte {
		return append(lib0.AppendVarUint([]byte{8}, uint64(n)), bytes.Repeat([]byte{0x7e}, n)...)
	}
	item := func(content []byte, length uint64) []byte {
		return new(builder).at(1, 0).item(nil, nil, nil, "", length, content...).bytes()
	}
	json := func(depth int) []byte {
		return item(lib0.AppendVarString([]byte{5}, strings.Repeat("[", depth)+strings.Repeat("]", depth)), 1)
	}
	clients := func(n int) []byte {
		b := lib0.AppendVarUint(nil, uint64(n))
		for i := range n {
			b = append(lib0.AppendVarUint(append(b, 1), uint64(n-i)), 0, 0, 1)
		}
		return append(b, 0)
	}
	lim := ydoc.Limits{Structs: 10, Clients: 5, Depth: 7, Elements: 20, String: 100, Clock: 1000}
	for name, c := range map[string]struct{ in, over []byte }{
		"structs":     {new(builder).at(1, 0).gcs(10).bytes(), new(builder).at(1, 0).gcs(11).bytes()},
		"clients":     {clients(5), clients(6)},
		"any depth":   {item(append([]byte{8, 1}, nested(7)...), 1), item(append([]byte{8, 1}, nested(8)...), 1)},
		"JSON depth":  {json(7), json(8)},
		"elements":    {item(anys(20), 20), item(anys(21), 21)},
		"string":      {item(lib0.AppendVarString([]byte{4}, strings.Repeat("a", 100)), 100), item(lib0.AppendVarString([]byte{4}, strings.Repeat("a", 101)), 101)},
		"binary":      {item(lib0.AppendVarBytes([]byte{3}, make([]byte, 100)), 1), item(lib0.AppendVarBytes([]byte{3}, make([]byte, 101)), 1)},
		"clock":       {new(builder).at(1, 990).gc(10).bytes(), new(builder).at(1, 990).gc(11).bytes()},
		"delete set":  {new(builder).remove(1, 990, 10).bytes(), new(builder).remove(1, 990, 11).bytes()},
		"origin":      {new(builder).at(1, 0).text(&id{Client: 2, Clock: 999}, nil, "a").bytes(), new(builder).at(1, 0).text(&id{Client: 2, Clock: 1000}, nil, "a").bytes()},
		"key":         {new(builder).at(1, 0).item(nil, nil, nil, strings.Repeat("k", 100), 1, 8, 1, 0x7e).bytes(), new(builder).at(1, 0).item(nil, nil, nil, strings.Repeat("k", 101), 1, 8, 1, 0x7e).bytes()},
		"any strings": {item(lib0.AppendAny([]byte{8, 1}, strings.Repeat("a", 100)), 1), item(lib0.AppendAny([]byte{8, 1}, strings.Repeat("a", 101)), 1)},
	} {
		if _, err := ydoc.DecodeUpdate(c.in, ydoc.V1, lim); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_, err := ydoc.DecodeUpdate(c.over, ydoc.V1, lim)
		if !errors.Is(err, ydoc.ErrTooLarge) {
			t.Errorf("%s and one more: %v", name, err)
		}
		if e, ok := errors.AsType[*ydoc.DecodeError](err); !ok || e.Offset > len(c.over) {
			t.Errorf("%s: offset of %v", name, err)
		}
	}
}

// gcs adds GC structs of one element.
func (b *builder) gcs(n int) *builder {
	for range n {
		b.gc(1)
	}
	return b
}

// Decoding costs memory in proportion to the bytes, whatever they claim.
func TestHostileUpdatesCostLittleMemory(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates too")
	}
	dense := new(builder).at(1, 1000)
	for range 60_000 {
		dense.item(&id{}, nil, nil, "", 1, 1, 1) // six bytes each
	}
	blocks := lib0.AppendVarUint(nil, 50_000)
	for i := range 50_000 {
		blocks = append(lib0.AppendVarUint(append(blocks, 1), uint64(50_000-i)), 0, 0, 1)
	}
	values := new(builder).at(1, 0).item(nil, nil, nil, "", 90_000, append(lib0.AppendVarUint([]byte{8}, 90_000), bytes.Repeat([]byte{0x75, 0}, 90_000)...)...)
	for name, b := range map[string][]byte{
		"dense structs":   dense.bytes(),
		"many clients":    append(blocks, 0),
		"many values":     values.bytes(),
		"claimed structs": unhex(t, "01ffffffff0f010000"),
		"claimed clients": unhex(t, "ffffff7f00"),
		"claimed ranges":  append([]byte{0, 1, 1, 0xff, 0xff, 0x3f}, make([]byte, 10)...),
		"claimed array":   unhex(t, "01010100080101610175ffffffff0f00"),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := ydoc.DecodeUpdate(b, ydoc.V1, ydoc.DefaultLimits())
		runtime.ReadMemStats(&after)
		used := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %d bytes, %d used, %v", name, len(b), used, err)
		if used > uint64(64<<10+16*len(b)) {
			t.Errorf("%s: %d bytes used to decode %d", name, used, len(b))
		}
	}
}

// Run-length columns let a few bytes describe a million structs.
func TestStructsOfAShortV2UpdateAreCounted(t *testing.T) {
	lim := ydoc.DefaultLimits()
	lim.Structs = 1 << 12
	for _, v := range vectors(t).MalformedV2 {
		if v.Name != "rle-bomb-1e5" {
			continue
		}
		if _, err := ydoc.DecodeUpdate(unhex(t, v.Hex), ydoc.V2, lim); !errors.Is(err, ydoc.ErrTooLarge) {
			t.Errorf("100,000 structs of %d: %v", lim.Structs, err)
		}
		u := decode(t, unhex(t, v.Hex), ydoc.V2)
		if n := len(slices.Collect(u.Structs())); n != 1 {
			t.Errorf("100,000 GC structs are read as %d", n)
		}
		return
	}
	t.Fatal("no vector rle-bomb-1e5")
}

// Merging, cutting and looking cost a few allocations, however many structs there are.
func TestAllocationsDoNotGrowWithStructs(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates too")
	}
	updates := syntheticUpdates(20_000)
	var m ydoc.Merger
	allocs := func(n int) float64 {
		dst := make([]byte, 0, 1<<20)
		return testing.AllocsPerRun(5, func() {
			m.Reset()
			for _, b := range updates[:n] {
				if err := m.Add(b, ydoc.V1); err != nil {
					t.Fatal(err)
				}
			}
			var since ydoc.StateVector
			since.Advance(1, 500)
			dst = m.Append(dst[:0], ydoc.V1)
			dst = m.AppendDiff(dst[:0], ydoc.V2, since)
			m.StateVector()
		})
	}
	allocs(20_000) // grows m once
	few, many := allocs(200), allocs(20_000)
	t.Logf("%v allocations for 200 updates, %v for 20,000", few, many)
	if many > few+8 {
		t.Errorf("%v allocations for 200 updates, %v for 20,000", few, many)
	}
	merged := mergeAll(t, updates)
	half := merged
	for _, f := range []func(b []byte) error{
		func(b []byte) error { _, err := ydoc.StateVectorOf(ydoc.V1, b); return err },
		func(b []byte) error { _, err := ydoc.DiffUpdate(ydoc.V1, b, ydoc.StateVector{}); return err },
	} {
		if n := testing.AllocsPerRun(5, func() {
			if err := f(half); err != nil {
				t.Fatal(err)
			}
		}); n > 16 {
			t.Errorf("%v allocations", n)
		}
	}
}

func TestOneUpdateAloneIsCheckedAndJoined(t *testing.T) {
	apart := new(builder).at(1, 0).text(nil, nil, "a").text(&id{Client: 1}, nil, "b").bytes()
	want := new(builder).at(1, 0).text(nil, nil, "ab").bytes()
	if got := mergeAll(t, [][]byte{append(apart, 0xff)}); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	if _, err := ydoc.MergeUpdates(ydoc.V1, []byte{1}); !errors.Is(err, ydoc.ErrMalformed) || !errors.Is(err, lib0.ErrUnexpectedEnd) {
		t.Errorf("garbage: %v", err)
	}
	if got := mergeAll(t, nil); !bytes.Equal(got, []byte{0, 0}) {
		t.Errorf("no updates: %x", got)
	}
}

func TestElementsJoinOnlyIfBothAreDeletedOrNeither(t *testing.T) {
	one := func(clock uint64, b *builder) *builder {
		var origin *id
		if clock > 0 {
			origin = &id{Client: 1, Clock: ydoc.Clock(clock - 1)}
		}
		return b.item(origin, nil, nil, "", 1, 8, 1, 0x7e)
	}
	b := new(builder).at(1, 0)
	for clock := range uint64(6) {
		one(clock, b)
	}
	b.remove(1, 2, 2)
	u := decode(t, mergeAll(t, [][]byte{b.bytes()}), ydoc.V1)
	var lengths []ydoc.Clock
	for s := range u.Structs() {
		lengths = append(lengths, s.Len)
	}
	if !slices.Equal(lengths, []ydoc.Clock{2, 2, 2}) {
		t.Errorf("lengths %v, want 2 2 2", lengths)
	}
}

func TestValuesOfAKeyDoNotJoin(t *testing.T) {
	first := new(builder).at(1, 0).item(nil, nil, nil, "k", 1, 8, 1, 0x7e).bytes()
	second := new(builder).at(1, 1).item(&id{Client: 1}, nil, nil, "", 1, 8, 1, 0x7e).bytes()
	third := new(builder).at(1, 2).item(&id{Client: 1, Clock: 1}, nil, nil, "", 1, 8, 1, 0x7e).bytes()
	for name, updates := range map[string][][]byte{"all": {first, second, third}, "perhaps": {second, third}} {
		if n := len(slices.Collect(decode(t, mergeAll(t, updates), ydoc.V1).Structs())); n != len(updates) {
			t.Errorf("%s: %d values are %d structs", name, len(updates), n)
		}
	}
	text := new(builder).at(1, 0).item(nil, nil, nil, "k", 2, 4, 2, 'a', 'b').item(&id{Client: 1, Clock: 1}, nil, nil, "", 2, 4, 2, 'c', 'd').bytes()
	if n := len(slices.Collect(decode(t, mergeAll(t, [][]byte{text}), ydoc.V1).Structs())); n != 2 {
		t.Errorf("2 texts are %d structs", n)
	}
	all := [][]byte{first, second, third, new(builder).remove(1, 0, 2).bytes()}
	if n := len(slices.Collect(decode(t, mergeAll(t, all), ydoc.V1).Structs())); n != 2 {
		t.Errorf("two deleted values and one are %d structs", n)
	}
}

// A failed Add leaves what was added before.
func TestAFailedAddAddsNothing(t *testing.T) {
	good := new(builder).at(1, 0).text(nil, nil, "a").remove(1, 0, 1).bytes()
	bad := new(builder).at(1, 1).text(&id{Client: 1}, nil, "b").at(2, 0).typ(nil, nil).remove(1, 1, 1).bytes()
	var m ydoc.Merger
	if err := m.Add(good, ydoc.V1); err != nil {
		t.Fatal(err)
	}
	want := m.Append(nil, ydoc.V1)
	for cut := range bad {
		if err := m.Add(bad[:cut], ydoc.V1); err == nil {
			t.Fatalf("%x accepted", bad[:cut])
		}
		if got := m.Append(nil, ydoc.V1); !bytes.Equal(got, want) {
			t.Fatalf("after %x: %x, want %x", bad[:cut], got, want)
		}
	}
}
