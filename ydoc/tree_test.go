package ydoc_test

import (
	"math/rand/v2"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

// A tree is given up while others write and nobody looks anything up, and grows again
// in its place.
func TestTreesAreFelledWhileNobodyLooks(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	here, there := ydoc.NewDoc(ydoc.Options{ClientID: 1}), ydoc.NewDoc(ydoc.Options{ClientID: 2})
	var log [][]byte
	there.OnUpdate(func(t *ydoc.Transaction) {
		if t.Local() {
			log = append(log, t.Update(ydoc.V1))
		}
	})
	text, theirs := here.Text("text"), there.Text("text")
	for range 3 {
		for k := range 1000 {
			if k%10 == 0 {
				text.Insert(rng.IntN(text.Len()+1), "a")
			}
			theirs.Insert(rng.IntN(theirs.Len()+1), "bc")
			if n := theirs.Len(); rng.IntN(4) == 0 {
				theirs.Delete(rng.IntN(n-1), 2)
			}
		}
		if planted, _ := ydoc.Trees(here); planted != 1 {
			t.Fatalf("%d trees after edits, want 1", planted)
		}
		for _, u := range log {
			if err := here.Apply(u, ydoc.V1); err != nil {
				t.Fatal(err)
			}
		}
		if planted, _ := ydoc.Trees(here); planted != 0 {
			t.Errorf("%d trees after updates, want none", planted)
		}
		if err := here.Check(); err != nil { // it looks things up
			t.Fatal(err)
		}
		log = log[:0]
		if err := there.Apply(here.Encode(ydoc.V1), ydoc.V1); err != nil {
			t.Fatal(err)
		}
		if got, want := text.String(), theirs.String(); got != want {
			t.Fatalf("text is %q, want %q", got, want)
		}
	}
	if _, room := ydoc.Trees(here); room != 1 {
		t.Errorf("there is room for %d trees, want 1", room)
	}
}
