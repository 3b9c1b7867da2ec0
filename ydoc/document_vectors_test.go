package ydoc_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

// documentVectors are the parts of the vectors that take a document, but for the
// documents themselves.
type documentVectors struct {
	RelativePositions []struct {
		Words, Hex   string
		Index, Assoc int
	}
	Snapshots []struct {
		Update, Snapshot1V1, Snapshot2V1, TextAt1, RestoredV1 string
	}
	Foreign []struct {
		Name, V1, Reencoded, StateVector string
		Missing                          map[string]uint64
		Roots                            map[string]any
	}
	Malformed []struct{ Name, Hex, ApplyV1 string }
	Undo      []struct {
		Updates []string
		V1, V2  string
	}
}

func readDocumentVectors(t *testing.T) documentVectors {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors/yjs-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v documentVectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.RelativePositions) == 0 || len(v.Snapshots) == 0 || len(v.Foreign) == 0 || len(v.Malformed) == 0 || len(v.Undo) == 0 {
		t.Fatal("vector file lacks sections")
	}
	return v
}

func newDocWith(t *testing.T, o ydoc.Options, updates ...[]byte) *ydoc.Doc {
	t.Helper()
	d := ydoc.NewDoc(o)
	applyAll(t, d, ydoc.V1, updates)
	return d
}

func TestPositionsOfTheVectors(t *testing.T) {
	d := ydoc.NewDoc(ydoc.Options{ClientID: 1})
	d.Text("t").Insert(0, "abc")
	nested := d.Map("m").SetType("k", ydoc.TypeText, "").AsText()
	nested.Insert(0, "xy")
	for _, v := range readDocumentVectors(t).RelativePositions {
		at := d.Text("t").Type
		if strings.HasPrefix(v.Words, "nested") {
			at = nested.Type
		}
		p := at.Position(v.Index, v.Assoc)
		wantHex(t, v.Words, p.Encode(), v.Hex)
		back, err := ydoc.DecodePosition(unhex(t, v.Hex))
		if err != nil || back != p {
			t.Errorf("%s: %+v, %v, want %+v", v.Words, back, err, p)
		}
		if in, index, ok := d.Resolve(back); in != at || index != v.Index || !ok {
			t.Errorf("%s: resolved to %d, %v", v.Words, index, ok)
		}
	}
	// Left-associated at the end of what grows: a position stays behind its element.
	p := d.Text("t").Position(3, -1)
	d.Text("t").Insert(1, "--")
	d.Text("t").Insert(5, " end")
	if _, index, ok := d.Resolve(p); index != 5 || !ok {
		t.Errorf("position moved to %d, %v, want 5", index, ok)
	}
	d.Text("t").Delete(2, 3)
	if _, index, ok := d.Resolve(p); index != 2 || !ok {
		t.Errorf("position of a deleted element is %d, %v, want 2", index, ok)
	}
	if _, _, ok := d.Resolve(ydoc.Position{HasItem: true, Item: ydoc.ID{Client: 1, Clock: 99}}); ok {
		t.Error("an unknown element has a place")
	}
	for _, bad := range []string{"", "03", "00", "0001", "0101", "02"} {
		if _, err := ydoc.DecodePosition(unhex(t, bad)); !errors.Is(err, ydoc.ErrMalformed) {
			t.Errorf("position %s: %v", bad, err)
		}
	}
}

func TestDocumentsAtSnapshotsOfTheVectors(t *testing.T) {
	for _, v := range readDocumentVectors(t).Snapshots {
		if v.Update == "" {
			continue
		}
		d := newDocWith(t, ydoc.Options{KeepDeleted: true}, unhex(t, v.Update))
		for i, text := range []string{v.Snapshot1V1, v.Snapshot2V1} {
			s, err := ydoc.DecodeSnapshot(unhex(t, text), ydoc.V1, ydoc.DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			if s.Equal(d.Snapshot()) != (i == 1) {
				t.Errorf("snapshot %d: Equal to the present is %v", i, i != 1)
			}
			old, err := d.At(s)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				wantHex(t, "restored", old.Encode(ydoc.V1), v.RestoredV1)
				if got := old.Text("t").String(); got != v.TextAt1 {
					t.Errorf("text %q, want %q", got, v.TextAt1)
				}
			}
			wantHex(t, "the document is as before", d.Encode(ydoc.V1), v.Update)
			if err := d.Check(); err != nil {
				t.Error(err)
			}
		}
		if _, err := newDocWith(t, ydoc.Options{}, unhex(t, v.Update)).At(ydoc.Snapshot{StateVector: d.StateVector()}); !errors.Is(err, ydoc.ErrCollected) {
			t.Errorf("content that was collected is there: %v", err)
		}
		if _, err := ydoc.NewDoc(ydoc.Options{}).At(d.Snapshot()); !errors.Is(err, ydoc.ErrUnknown) {
			t.Errorf("an empty document was more: %v", err)
		}
	}
}

func TestRootsOfAnOldDocumentAreReadAsThoseOfTheNewOne(t *testing.T) {
	d := ydoc.NewDoc(ydoc.Options{KeepDeleted: true})
	d.Text("t").EmbedType(0, ydoc.TypeArray, "", nil)
	s := d.Snapshot()
	d.Text("t").Insert(1, "text")
	old, err := d.At(s)
	if err != nil {
		t.Fatal(err)
	}
	if ref := old.Root("t").Ref(); ref != ydoc.TypeText {
		t.Errorf("the root is of type %d", ref)
	}
	if got := d.Restore(old).Update(ydoc.V1); len(got) == 0 || d.Text("t").Len() != 1 {
		t.Errorf("restored by %x, %d elements", got, d.Text("t").Len())
	}
}

func TestForeignUpdatesApply(t *testing.T) {
	for _, v := range readDocumentVectors(t).Foreign {
		d := newDocWith(t, ydoc.Options{}, unhex(t, v.V1))
		wantHex(t, v.Name+" state vector", d.StateVector().Encode(), v.StateVector)
		if d.Pending() != (v.Missing != nil) {
			t.Errorf("%s: pending is %v", v.Name, d.Pending())
		}
		checkRoots(t, v.Name, d, v.Roots)
		if v.Name == "rust-int-over-31-bit" || v.Name == "rust-subdoc-options" || v.Name == "rust-json-float" {
			continue // Yjs rewrites values, we keep them
		}
		wantHex(t, v.Name+" again", d.Encode(ydoc.V1), v.Reencoded)
	}
}

func TestWhatMalformedVectorsAreRefusedChangesNothing(t *testing.T) {
	for _, v := range readDocumentVectors(t).Malformed {
		d := ydoc.NewDoc(ydoc.Options{ClientID: 7})
		d.Text("t").Insert(0, "before")
		before := d.Encode(ydoc.V1)
		err := d.Apply(unhex(t, v.Hex), ydoc.V1)
		if fault := d.Check(); fault != nil {
			t.Errorf("%s: %v", v.Name, fault)
		}
		if _, ok := errors.AsType[*ydoc.DecodeError](err); err != nil && !ok {
			t.Errorf("%s: %v is no DecodeError", v.Name, err)
		}
		if err != nil && string(d.Encode(ydoc.V1)) != string(before) {
			t.Errorf("%s: refused, and changed the document", v.Name)
		}
	}
}

func TestUndoOfTheVectorsApplies(t *testing.T) {
	for _, v := range readDocumentVectors(t).Undo {
		// The stack of the writer kept deleted content.
		d := newDocWith(t, ydoc.Options{KeepDeleted: true}, unhexAll(t, v.Updates)...)
		wantSameAsUpdate(t, d, v.V1)
	}
}

// wantSameAsUpdate compares with a state that was not collected alike.
func wantSameAsUpdate(t *testing.T, d *ydoc.Doc, state string) {
	t.Helper()
	other := newDocWith(t, ydoc.Options{}, unhex(t, state))
	if a, b := d.Text("t").String(), other.Text("t").String(); a != b {
		t.Errorf("text %q, want %q", a, b)
	}
	if !d.StateVector().Equal(other.StateVector()) {
		t.Errorf("state vector %x, want %x", d.StateVector().Encode(), other.StateVector().Encode())
	}
}

func TestDiffsOfADocAreThoseOfTheVectors(t *testing.T) {
	diffs := vectors(t).EncodeDiffs
	d := newDocWith(t, ydoc.Options{}, unhex(t, diffs[0].V1))
	for _, v := range diffs {
		var sv ydoc.StateVector
		if v.StateVector != nil {
			var err error
			if sv, err = ydoc.DecodeStateVector(unhex(t, *v.StateVector)); err != nil {
				t.Fatal(err)
			}
		}
		wantHex(t, "diff", d.EncodeDiff(ydoc.V1, sv), v.V1)
		wantHex(t, "diff in V2", d.EncodeDiff(ydoc.V2, sv), v.V2)
	}
}
