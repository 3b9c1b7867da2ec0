package ydoc_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/lib0"
)

// readEverything reads all that there is in a document, in an order that does not
// depend on that of updates.
func readEverything(d *ydoc.Doc) []byte {
	var all ydoc.Object
	for name, t := range d.Roots() {
		read := ydoc.Object{{Key: "json", Value: t.JSON()}, {Key: "length", Value: t.Len()}}
		for _, op := range t.AsText().Delta() {
			read = append(read, ydoc.Member{Key: "op", Value: op.Attributes})
		}
		values := ydoc.Object{}
		for key := range t.AsMap().All() {
			values = append(values, ydoc.Member{Key: key})
		}
		read = append(read, ydoc.Member{Key: "keys", Value: values})
		all = append(all, ydoc.Member{Key: name, Value: read})
	}
	return lib0.AppendAny(nil, inOrder(all))
}

// inOrder makes an any value of JSON that may hold subdocuments, with sorted members.
func inOrder(v any) any {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			v[i] = inOrder(e)
		}
	case ydoc.Object:
		slices.SortStableFunc(v, func(a, b ydoc.Member) int { return strings.Compare(a.Key, b.Key) })
		for i, m := range v {
			v[i].Value = inOrder(m.Value)
		}
	case ydoc.Subdoc:
		return v.GUID
	}
	return v
}

// fuzzDoc applies two updates to documents, in both orders, and looks whether they are
// sound and are what their own states say.
func fuzzDoc(t *testing.T, a, b []byte, f ydoc.Format, keep bool) {
	defer ydoc.LoadAnySize()()
	if u, err := ydoc.DecodeUpdate(a, f, ydoc.DefaultLimits()); err == nil {
		sameAsApplied(t, u, ydoc.Options{KeepDeleted: keep})
	}
	for _, order := range [][2][]byte{{a, b}, {b, a}} {
		d := ydoc.NewDoc(ydoc.Options{ClientID: 77, KeepDeleted: keep})
		for _, update := range order {
			before := d.Encode(ydoc.V1)
			if d.Apply(update, f) != nil && !bytes.Equal(d.Encode(ydoc.V1), before) {
				t.Fatal("a refused update changed the document")
			}
			if err := d.Check(); err != nil {
				t.Fatal(err)
			}
		}
		content := readEverything(d)
		for _, f := range []ydoc.Format{ydoc.V1, ydoc.V2} {
			state := d.Encode(f)
			again := ydoc.NewDoc(ydoc.Options{KeepDeleted: keep})
			var m ydoc.Merger
			if err := m.Add(state, f); err != nil {
				t.Fatalf("own state %x: %v", state, err)
			}
			if err := again.ApplyUpdate(m.Update()); err != nil {
				t.Fatal(err)
			}
			if err := again.Check(); err != nil {
				t.Fatal(err)
			}
			if d.Pending() {
				continue // joined, what waits may be complete
			}
			if !again.StateVector().Equal(d.StateVector()) {
				t.Fatalf("state of %x loads as %x", d.StateVector().Encode(), again.StateVector().Encode())
			}
			if got := readEverything(again); !bytes.Equal(got, content) {
				t.Fatalf("state %x loads as\n%q, was\n%q", state, got, content)
			}
		}
		d.Text("t").Insert(0, "an edit")
		if n := d.Array("a").Len(); n > 0 {
			d.Array("a").Delete(0, n)
		}
		d.Map("m").Set("k", 1)
		if err := d.Check(); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzDoc(f *testing.F) {
	for _, c := range documentCases(f) {
		f.Add(unhex(f, c.V1), unhex(f, c.firstUpdate()), true, false)
		f.Add(unhex(f, c.V2), unhex(f, c.V2), false, true)
	}
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		f.Add(randomUpdate(rng), randomUpdate(rng), true, seed%2 == 0)
	}
	f.Fuzz(func(t *testing.T, a, b []byte, v1, keep bool) {
		format := ydoc.V2
		if v1 {
			format = ydoc.V1
		}
		fuzzDoc(t, a, b, format, keep)
	})
}

// firstUpdate returns the first update of a case, in V1.
func (c *documentCase) firstUpdate() string {
	if len(c.Updates) == 0 {
		return "0000"
	}
	return c.Updates[0].V1
}

func TestRandomUpdatesLeaveDocsSound(t *testing.T) {
	rng := seeded(t)
	for range 300 {
		fuzzDoc(t, randomUpdate(rng), randomUpdate(rng), ydoc.V1, rng.IntN(2) == 0)
	}
}
