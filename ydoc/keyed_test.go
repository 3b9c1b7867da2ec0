package ydoc_test

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

// Update by update, what is known of the values of keys must stay what the whole document
// shows.
func TestKeyedFollowsTheDocument(t *testing.T) {
	const seed = 1
	rng := rand.New(rand.NewPCG(seed, 0))
	doc := ydoc.NewDoc(ydoc.Options{ClientID: 1, KeepDeleted: true})
	var other *ydoc.Doc
	known := ydoc.NewKeyed(new(ydoc.Update), 1000)
	apply := func(update []byte) {
		t.Helper()
		u, err := ydoc.DecodeUpdate(update, ydoc.V1, ydoc.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		if v := u.Values(known); v.Unsure || v.Wide {
			t.Fatalf("seed %d: values %+v", seed, v)
		}
		if !known.Add(u) {
			t.Fatalf("seed %d: no room", seed)
		}
	}
	for i := range 400 {
		d := doc
		if i%3 == 0 { // an edit of somebody who knows all but the last
			if other == nil {
				other = ydoc.NewDoc(ydoc.Options{ClientID: 2, KeepDeleted: true})
			}
			if err := other.Apply(doc.Encode(ydoc.V1), ydoc.V1); err != nil {
				t.Fatal(err)
			}
			d = other
		}
		update := d.Transact(func() {
			switch rng.IntN(5) {
			case 0:
				d.Map("m").Set(strconv.Itoa(rng.IntN(5)), "value")
			case 1:
				x := d.XML("x").InsertElement(rng.IntN(d.XML("x").Len()+1), "p")
				x.SetAttribute("a", i)
				x.InsertText(0).Insert(0, "some text")
			case 2:
				d.Text("t").Insert(rng.IntN(d.Text("t").Len()+1), "some words ")
			case 3:
				d.Map("m").SetType("nested", ydoc.TypeMap, "").AsMap().Set("k", []byte{1, 2})
			case 4:
				if n := d.Text("t").Len(); n > 3 {
					d.Text("t").Delete(rng.IntN(n-3), 3)
				}
				d.Map("m").Delete(strconv.Itoa(rng.IntN(5)))
			}
		}).Update(ydoc.V1)
		if update == nil {
			continue
		}
		apply(update)
		if d == other {
			if err := doc.Apply(update, ydoc.V1); err != nil {
				t.Fatal(err)
			}
		}
	}
	whole, err := ydoc.DecodeUpdate(doc.Encode(ydoc.V1), ydoc.V1, ydoc.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if want := ydoc.NewKeyed(whole, 1000); want == nil || known.Len() < 50 || known.Len() != want.Len() {
		t.Errorf("seed %d: %d values of keys are known, the document has %d", seed, known.Len(), want.Len())
	}
	if ydoc.NewKeyed(whole, 10) != nil {
		t.Error("more values were kept than there is room for")
	}
}
