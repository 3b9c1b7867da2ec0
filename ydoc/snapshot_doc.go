package ydoc

import (
	"errors"
	"fmt"
	"math"
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

// Changes returns how many UTF-16 code units of text there were at the moment of to and
// not at that of from, and the other way round. What was written and deleted in between
// is in neither, nor is formatting, anything embedded, and the values of maps and
// attributes. Text that d has lost or never had does not count: for exact numbers d
// must know both moments and have been made with Options.KeepDeleted.
//
// It takes time linear in the items of d and in the deletions of both.
func (d *Doc) Changes(from, to Snapshot) (added, removed int) {
	for ci := range d.clients {
		c := &d.clients[ci]
		before, after := from.writing(c.id), to.writing(c.id)
		for _, pg := range c.run.pages {
			for _, e := range pg.entries {
				it := &d.items[e.item]
				if it.kind != kindString || it.flags&isValue != 0 {
					continue
				}
				for clock, end := uint64(it.clock), uint64(it.end()); clock < end; {
					was, until := before.at(clock)
					is, sooner := after.at(clock)
					until = min(until, sooner, end)
					if is && !was {
						added += int(until - clock)
					} else if was && !is {
						removed += int(until - clock)
					}
					clock = until
				}
			}
		}
	}
	return added, removed
}

// writing is what one client had written at the moment of a snapshot, as far as it
// was not passed yet.
type writing struct {
	next    uint64
	deletes []deletion
}

func (s Snapshot) writing(client ClientID) writing {
	from := s.Deletes.search(client, 0)
	to := from
	for to < len(s.Deletes.ranges) && s.Deletes.ranges[to].client == client {
		to++
	}
	return writing{uint64(s.StateVector.Next(client)), s.Deletes.ranges[from:to]}
}

// at reports whether the element at clock was visible, and up to where others are as it
// is. Clocks must not descend from one call to the next.
func (w *writing) at(clock uint64) (visible bool, until uint64) {
	for len(w.deletes) > 0 && w.deletes[0].to <= clock {
		w.deletes = w.deletes[1:]
	}
	switch {
	case clock >= w.next:
		return false, math.MaxUint64
	case len(w.deletes) == 0:
		return true, w.next
	case w.deletes[0].from <= clock:
		return false, w.deletes[0].to
	}
	return true, min(w.next, w.deletes[0].from)
}
