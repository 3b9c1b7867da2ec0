package ydoc_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

// sessionCase is a session of Yjs clients, step by step.
type sessionCase struct {
	documentCase
	Read string
}

func sessionCases(t testing.TB) []sessionCase {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors/sessions.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ Documents []sessionCase }
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Documents) == 0 {
		t.Fatal("no sessions in the vectors")
	}
	return v.Documents
}

func TestStepsOfRecordedSessionsGiveTheirUpdates(t *testing.T) {
	for _, c := range sessionCases(t) {
		t.Run(c.Name, func(t *testing.T) { runSteps(t, &c.documentCase) })
	}
}

func TestRecordedSessionsAreReadAndWrittenAgain(t *testing.T) {
	for _, c := range sessionCases(t) {
		gc := *c.Docs[0].GC
		for f, state := range map[ydoc.Format]string{ydoc.V1: c.V1, ydoc.V2: c.V2} {
			d := ydoc.NewDoc(ydoc.Options{KeepDeleted: !gc})
			sessionRoots(d)
			if err := d.Apply(unhex(t, state), f); err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			if got := read(d); got != c.Read {
				t.Errorf("%s in format %d: %s", c.Name, f, difference(got, c.Read))
			}
			wantHex(t, fmt.Sprintf("%s in format %d again", c.Name, f), d.Encode(f), state)
			wantHex(t, c.Name+" state vector", d.StateVector().Encode(), c.StateVector)
			wantHex(t, c.Name+" snapshot", d.Snapshot().Append(nil, ydoc.V1), c.SnapshotV1)
		}
		updates := ydoc.NewDoc(ydoc.Options{}) // the first document heard of everything in the end
		sessionRoots(updates)
		for i, u := range c.Updates {
			b, f := unhex(t, u.V1), ydoc.V1
			if i%2 == 1 {
				b, f = unhex(t, u.V2), ydoc.V2
			}
			if err := updates.Apply(b, f); err != nil {
				t.Fatalf("%s, update %d: %v", c.Name, i, err)
			}
		}
		if got := read(updates); got != c.Read {
			t.Errorf("%s, update by update: %s", c.Name, difference(got, c.Read))
		}
	}
}
