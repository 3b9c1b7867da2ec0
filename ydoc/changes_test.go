package ydoc_test

import (
	"fmt"
	"log"
	"slices"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/lib0"
)

// How much longer and shorter a text got from one version to the next.
func ExampleDoc_Changes() {
	doc := ydoc.NewDoc(ydoc.Options{ClientID: 1, KeepDeleted: true})
	body := doc.Text("body")
	body.Insert(0, "A first draft.")
	before := doc.Snapshot()
	body.Delete(2, 6)
	body.Insert(2, "better ")
	after := doc.Snapshot()

	added, removed := doc.Changes(before, after)
	fmt.Printf("+%d -%d\n", added, removed)

	loaded := ydoc.NewDoc(ydoc.Options{KeepDeleted: true})
	if err := loaded.Apply(doc.Encode(ydoc.V2), ydoc.V2); err != nil {
		log.Fatal(err)
	}
	fmt.Println(loaded.Changes(before, ydoc.Snapshot{}))
	// Output:
	// +7 -6
	// 0 14
}

func TestChangesCountTextOnly(t *testing.T) {
	d := ydoc.NewDoc(ydoc.Options{ClientID: 1, KeepDeleted: true})
	text, list, attrs := d.Text("text"), d.Array("list"), d.XML("xml")
	moments := []ydoc.Snapshot{{}}
	for _, step := range []struct {
		name           string
		edit           func()
		added, removed int
	}{
		{"text", func() { text.Insert(0, "ab") }, 2, 0},
		{"a pair", func() { text.Insert(1, "😀") }, 2, 0},
		{"half a pair", func() { text.Delete(1, 1) }, 0, 1},
		{"between the halves of a pair", func() { text.Insert(0, "😀"); text.Insert(1, "x") }, 3, 0},
		{"formatting", func() { text.Format(0, 2, ydoc.Object{{Key: "bold", Value: true}}) }, 0, 0},
		{"an embed", func() { text.Embed(1, "picture", nil) }, 0, 0},
		{"values", func() { list.Append("one", "two"); d.Map("map").Set("key", "value") }, 0, 0},
		{"an attribute", func() { attrs.InsertElement(0, "p").SetAttribute("class", "wide") }, 0, 0},
		{"a nested text", func() { list.InsertType(1, ydoc.TypeText, "").AsText().Insert(0, "inside") }, 6, 0},
		{"a deleted type", func() { list.Delete(0, list.Len()) }, 0, 6},
		{"written and deleted", func() { text.Insert(0, "gone"); text.Delete(0, 4) }, 0, 0},
		{"all of it", func() { text.Delete(0, text.Len()) }, 0, 6},
	} {
		step.edit()
		moments = append(moments, d.Snapshot())
		last := moments[len(moments)-2:]
		if added, removed := d.Changes(last[0], last[1]); added != step.added || removed != step.removed {
			t.Errorf("%s: +%d -%d, want +%d -%d", step.name, added, removed, step.added, step.removed)
		}
	}
	if added, removed := d.Changes(moments[0], moments[len(moments)-1]); added != 0 || removed != 0 {
		t.Errorf("from nothing to nothing: +%d -%d", added, removed)
	}
}

// An attribute that Rust wrote is text, and yet a value.
func TestChangesDoNotCountAttributesThatAreText(t *testing.T) {
	d := ydoc.NewDoc(ydoc.Options{KeepDeleted: true})
	b := []byte{
		1, 1, 1, 0, // one struct of client 1 at clock 0
		0x24, 1, 1, 'x', 1, 'k', 4, 'w', 'i', 'd', 'e',
		0,
	}
	if err := d.Apply(b, ydoc.V1); err != nil {
		t.Fatal(err)
	}
	if added, removed := d.Changes(ydoc.Snapshot{}, d.Snapshot()); added != 0 || removed != 0 {
		t.Errorf("+%d -%d", added, removed)
	}
}

func TestChangesAreThoseOfAModel(t *testing.T) {
	rng := seeded(t)
	writers := []*ydoc.Doc{
		ydoc.NewDoc(ydoc.Options{ClientID: 1, KeepDeleted: true}),
		ydoc.NewDoc(ydoc.Options{ClientID: 2, KeepDeleted: true}),
	}
	var units []int // what the text is made of now, each unit by a number of its own
	made := 0
	type moment struct {
		snapshot ydoc.Snapshot
		units    []int
	}
	moments := []moment{{}}
	for range 60 {
		for range 1 + rng.IntN(5) {
			w := rng.IntN(2)
			text := writers[w].Text("text")
			if at := rng.IntN(len(units) + 1); rng.IntN(3) > 0 {
				s := []string{"a", "long", "é", "😀", "x😀y"}[rng.IntN(5)]
				text.Insert(at, s)
				for range lib0.Units([]byte(s)) {
					units = slices.Insert(units, at, made)
					at, made = at+1, made+1
				}
			} else {
				n := rng.IntN(min(6, len(units)-at+1))
				text.Delete(at, n)
				units = slices.Delete(units, at, at+n)
			}
			if err := writers[1-w].Apply(writers[w].EncodeDiff(ydoc.V1, writers[1-w].StateVector()), ydoc.V1); err != nil {
				t.Fatal(err)
			}
		}
		moments = append(moments, moment{writers[0].Snapshot(), slices.Clone(units)})
	}
	lacks := func(a, b []int) (n int) {
		for _, u := range b {
			if !slices.Contains(a, u) {
				n++
			}
		}
		return n
	}
	for range 500 {
		a, b := moments[rng.IntN(len(moments))], moments[rng.IntN(len(moments))]
		added, removed := writers[1].Changes(a.snapshot, b.snapshot)
		if wantAdded, wantRemoved := lacks(a.units, b.units), lacks(b.units, a.units); added != wantAdded || removed != wantRemoved {
			t.Fatalf("+%d -%d, want +%d -%d", added, removed, wantAdded, wantRemoved)
		}
	}
}
