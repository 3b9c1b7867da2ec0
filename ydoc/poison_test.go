package ydoc_test

import (
	"encoding/hex"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/lib0"
)

// corpus is updates of all sorts: those of the vectors, the malformed ones too.
func corpus(t testing.TB, f ydoc.Format) [][]byte {
	t.Helper()
	v := vectors(t)
	var all [][]byte
	for _, doc := range v.Documents {
		text := doc.V1
		if f == ydoc.V2 {
			text = doc.V2
		}
		all = append(all, unhex(t, text))
		for _, e := range doc.Updates {
			text := e.V1
			if f == ydoc.V2 {
				text = e.V2
			}
			all = append(all, unhex(t, text))
		}
	}
	if f == ydoc.V2 {
		for _, m := range v.MalformedV2 {
			all = append(all, unhex(t, m.Hex))
		}
		return all
	}
	for _, m := range v.Malformed {
		all = append(all, unhex(t, m.Hex))
	}
	for _, e := range v.Foreign {
		all = append(all, unhex(t, e.V1))
	}
	return all
}

// mutate returns a variation of one of the inputs.
func mutate(rng *rand.Rand, inputs [][]byte) []byte {
	pick := func() []byte { return inputs[rng.IntN(len(inputs))] }
	b := append([]byte{}, pick()...)
	for range 1 + rng.IntN(3) {
		if len(b) == 0 {
			return b
		}
		at := rng.IntN(len(b))
		switch rng.IntN(7) {
		case 0:
			b[at] ^= 1 << rng.IntN(8)
		case 1:
			b[at] = byte(rng.IntN(13)) // counts, refs, small clocks
		case 2:
			b[at] += byte(rng.IntN(5)) - 2
		case 3:
			b = append(b[:at], b[at+1:]...)
		case 4:
			b = append(b[:at], append([]byte{byte(rng.IntN(256))}, b[at:]...)...)
		case 5:
			other := pick()
			if len(other) > 0 {
				from := rng.IntN(len(other))
				b = append(b[:at], other[from:]...)
			}
		case 6: // a key that JavaScript knows something about
			keys := []string{"__proto__", "constructor", "toString", "guid", "gcFilter", "length", ""}
			b = append(b[:at], lib0.AppendVarString(nil, keys[rng.IntN(len(keys))])...)
		}
	}
	return b
}

// What we accept, real Yjs applies, encodes, merges, cuts and converts without
// throwing, in time and in memory. Run it for hours with -poison.time.
func TestNothingWeAcceptHarmsYjs(t *testing.T) {
	y := startYjs(t, "--cleanup")
	rng := seeded(t)
	tried, accepted := 0, 0
	for end := time.Now().Add(*poisonTime); time.Now().Before(end); {
		s := y.session(t, rng)
		f := ydoc.Format(1 + rng.IntN(2))
		inputs := corpus(t, f)
		if f == ydoc.V1 {
			inputs = append(inputs, unhexAll(t, s.V1)...)
		} else {
			inputs = append(inputs, unhexAll(t, s.V2)...)
		}
		type input struct {
			Fresh  string `json:"fresh"`  // for a new document
			OnBase string `json:"onBase"` // for one that has the session's state
		}
		var batch []input
		state := decode(t, unhex(t, s.State), ydoc.V1)
		for range 10_000 {
			tried++
			b := mutate(rng, inputs)
			if rng.IntN(8) == 0 {
				b = hostileUpdate(rng, state)
				if f == ydoc.V2 {
					var err error
					if b, err = ydoc.ConvertUpdate(b, ydoc.V1, ydoc.V2); err != nil {
						t.Fatal(err)
					}
				}
			}
			u, err := ydoc.DecodeUpdate(b, f, ydoc.DefaultLimits())
			if err != nil {
				continue
			}
			if rooted, floating := u.TypeDepth(); rooted+floating > 100 {
				continue // the server asks for this
			}
			if _, found := u.Conflict(state); found {
				continue // and for this
			}
			var whole ydoc.Merger
			if err := whole.Add(unhex(t, s.State), ydoc.V1); err != nil {
				t.Fatal(err)
			}
			if err := whole.Add(u.Append(nil, f), f); err != nil {
				t.Fatal(err)
			}
			if _, found := whole.Update().SplitValue(); found {
				continue // and for this
			}
			if !u.Canonical() || rng.IntN(4) == 0 {
				b = u.Append(nil, f)
			}
			// The server cuts off what it has before others see an update.
			var cut ydoc.Merger
			if err := cut.Add(b, f); err != nil {
				t.Fatal(err)
			}
			onBase := cut.AppendDiff(nil, f, state.StateVector())
			batch = append(batch, input{hex.EncodeToString(b), hex.EncodeToString(onBase)})
			if len(batch) == 500 {
				break
			}
		}
		accepted += len(batch)
		var answer struct {
			Faults []struct {
				Input int
				Error string
			}
		}
		if err := y.ask(map[string]any{"op": "poison", "base": s.State, "inputs": batch, "format": f}, &answer); err != nil {
			t.Fatalf("format %d: %v", f, err)
		}
		for _, fault := range answer.Faults {
			b, cut := unhex(t, batch[fault.Input].Fresh), unhex(t, batch[fault.Input].OnBase)
			t.Errorf("format %d, %x: %v\ncut: %v\n%s", f, b, ydoc.Dump(decode(t, b, f)), ydoc.Dump(decode(t, cut, f)), fault.Error)
		}
		if t.Failed() {
			t.Fatalf("base %s", s.State)
		}
	}
	t.Logf("%d inputs, %d accepted", tried, accepted)
}
