package ydoc_test

import (
	"math/rand/v2"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

// What can be collected is counted as the elements that are deleted, less what was
// collected before; of a document that was collected nothing is left to.
func TestCollectableIsWhatADocumentCollects(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 0))
		whole := ydoc.NewDoc(ydoc.Options{KeepDeleted: true})
		for range 3 {
			d := ydoc.NewDoc(ydoc.Options{ClientID: ydoc.ClientID(1 + rng.IntN(1000)), KeepDeleted: true})
			if err := d.Apply(whole.Encode(ydoc.V1), ydoc.V1); err != nil {
				t.Fatal(err)
			}
			for range 20 {
				text := d.Text("t")
				text.Insert(rng.IntN(text.Len()+1), "abc")
				at := rng.IntN(text.Len())
				text.Delete(at, rng.IntN(min(4, text.Len()-at)+1))
			}
			if err := whole.Apply(d.Encode(ydoc.V1), ydoc.V1); err != nil {
				t.Fatal(err)
			}
		}
		var m ydoc.Merger
		if err := m.Add(whole.Encode(ydoc.V2), ydoc.V2); err != nil {
			t.Fatal(err)
		}
		deleted, all := m.Update().Collectable()
		want := 0
		for _, r := range m.Update().Deletes() {
			want += int(r.To - r.From)
		}
		if deleted != want || all != want+whole.Text("t").Len() || want == 0 {
			t.Errorf("seed %d: %d of %d, want %d of %d", seed, deleted, all, want, want+whole.Text("t").Len())
		}
		collected := ydoc.NewDoc(ydoc.Options{})
		if err := collected.Apply(whole.Encode(ydoc.V1), ydoc.V1); err != nil {
			t.Fatal(err)
		}
		m.Reset()
		if err := m.Add(collected.Encode(ydoc.V2), ydoc.V2); err != nil {
			t.Fatal(err)
		}
		if left, of := m.Update().Collectable(); left != 0 || of != all {
			t.Errorf("seed %d: %d of %d are left", seed, left, of)
		}
	}
	var m ydoc.Merger
	if deleted, all := m.Update().Collectable(); deleted != 0 || all != 0 {
		t.Errorf("of nothing: %d of %d", deleted, all)
	}
}
