package ydoc

import (
	"errors"
	"fmt"
	"slices"
)

// Errors of At, for errors.Is.
var (
	// ErrCollected says that a document does not hold any more what was there at the
	// moment of a snapshot.
	ErrCollected = errors.New("content was collected")
	// ErrUnknown says that a snapshot is of more than a document knows.
	ErrUnknown = errors.New("snapshot of what is not known")
)

// Snapshot returns what exists in the document and what of it is deleted.
func (d *Doc) Snapshot() Snapshot {
	return Snapshot{Deletes: d.deletes(), StateVector: d.StateVector()}
}

// Equal reports whether s and other are of the same moment.
func (s Snapshot) Equal(other Snapshot) bool {
	return s.StateVector.Equal(other.StateVector) && slices.Equal(s.Deletes.ranges, other.Deletes.ranges)
}

// At returns a new document as d was at the moment of s. Of content that was deleted
// since d must hold what it was: see Options.KeepDeleted. Roots are read there as they
// are in d. Errors are ErrCollected and ErrUnknown.
func (d *Doc) At(s Snapshot) (*Doc, error) {
	for client, next := range s.StateVector.All() {
		ci := d.clientAt(client)
		if ci == none || Clock(d.clients[ci].next) < next {
			return nil, fmt.Errorf("client %d at clock %d: %w", client, next, ErrUnknown)
		}
		if id, lost := d.lost(ci, uint32(next), s.Deletes); lost {
			return nil, fmt.Errorf("client %d at clock %d: %w", client, id.clock, ErrCollected)
		}
	}
	old := NewDoc(Options{})
	for b := range d.branches {
		if br := &d.branches[b]; br.item == none && !br.dead && br.ref != unknownType {
			old.rootAs(string(d.branchName(uint32(b))), br.ref)
		}
	}
	return old, old.ApplyUpdate(d.until(s))
}

// lost returns the first element of a client before clock next that is not in deletes
// and of which nothing is left.
func (d *Doc) lost(ci, next uint32, deletes DeleteSet) (ref, bool) {
	c := &d.clients[ci]
	for _, pg := range c.run.pages {
		for _, e := range pg.entries {
			it := &d.items[e.item]
			if it.clock >= next {
				return noRef, false
			}
			if it.kind > kindDeleted {
				continue
			}
			whole := DeleteSet{ranges: []deletion{{c.id, uint64(it.clock), uint64(min(it.end(), next))}}, sorted: true}
			if !whole.Within(deletes) {
				return it.id(), true
			}
		}
	}
	return noRef, false
}

// until returns what d had at the moment of s.
func (d *Doc) until(s Snapshot) *Update {
	defer d.end(d.begin(true))
	w := newWriter(d, V2)
	defer w.free()
	for client, next := range s.StateVector.All() {
		ci := d.clientAt(client)
		if next < Clock(d.clients[ci].next) {
			d.startingAt(ref{ci, uint32(next)})
		}
		w.parts = append(w.parts, part{ci, 0, uint32(next)})
	}
	w.u.srcs[srcText], w.u.srcs[srcKeys] = d.text, d.keys
	var m Merger
	m.Exact = true
	m.Add(w.write(s.Deletes), V2) // ours
	return m.Update()
}
