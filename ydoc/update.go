package ydoc

import (
	"bytes"
	"iter"
)

// Empty reports whether u has neither structs nor deletions.
func (u *Update) Empty() bool { return len(u.groups) == 0 && u.deletes.Len() == 0 }

// Structs yields what u has, clients descending, clocks ascending, and a Skip for
// each gap between two structs of a client.
func (u *Update) Structs() iter.Seq[Struct] {
	return func(yield func(Struct) bool) {
		for _, g := range u.groups {
			end := u.nodes[g.from].clock
			for i := g.from; i < g.to; i++ {
				n := &u.nodes[i]
				if n.clock > end && !yield(Struct{g.client, Clock(end), Clock(n.clock - end), Skip}) {
					return
				}
				kind := Item
				if n.isGC() {
					kind = GC
				}
				if !yield(Struct{g.client, Clock(n.clock), Clock(n.length), kind}) {
					return
				}
				end = n.end()
			}
		}
	}
}

// Clients yields for each client of which u has structs the range from the first to
// the end of the last (section 4.7), clients descending.
func (u *Update) Clients() iter.Seq2[ClientID, Range] {
	return func(yield func(ClientID, Range) bool) {
		for _, g := range u.groups {
			r := Range{Clock(u.nodes[g.from].clock), Clock(u.nodes[g.to-1].end())}
			if !yield(g.client, r) {
				return
			}
		}
	}
}

// Deletes yields the deletions as DeleteSet.All does.
func (u *Update) Deletes() iter.Seq2[ClientID, Range] { return u.deletes.All() }

// DeleteSet returns the deletions. It shares memory with u.
func (u *Update) DeleteSet() DeleteSet { return u.deletes }

// DeletesWithin reports whether everything u deletes is deleted in state too.
func (u *Update) DeletesWithin(state *Update) bool { return u.deletes.Within(state.deletes) }

// Collectable returns how many elements u has, and of how many of them it has the
// content although it deletes them: what a document that applies u can collect.
func (u *Update) Collectable() (deleted, all int) {
	for _, g := range u.groups {
		i := u.deletes.search(g.client, 0)
		for n := g.from; n < g.to; n++ {
			nd := &u.nodes[n]
			all += int(nd.length)
			if tombstone(nd) {
				continue
			}
			for ; i < len(u.deletes.ranges) && u.deletes.ranges[i].client == g.client; i++ {
				d := &u.deletes.ranges[i]
				if from, to := max(d.from, nd.clock), min(d.to, nd.end()); from < to {
					deleted += int(to - from)
				}
				if d.to > nd.end() {
					break // the next node may be in it, too
				}
			}
		}
	}
	return deleted, all
}

// StateVector returns what a document knows that has applied u and nothing else:
// of each client whose clock 0 is in u, the end of what follows without a gap
// (section 4.6).
func (u *Update) StateVector() StateVector {
	sv := StateVector{entries: make([]ID, 0, len(u.groups))}
	for _, g := range u.groups {
		end := uint64(0)
		for i := g.from; i < g.to && u.nodes[i].clock == end; i++ {
			end = u.nodes[i].end()
		}
		if end > 0 {
			sv.entries = append(sv.entries, ID{g.client, Clock(end)})
		}
	}
	return sv
}

// HasNew reports whether some struct ends beyond what sv knows of its client.
func (u *Update) HasNew(sv StateVector) bool {
	for _, g := range u.groups {
		if u.nodes[g.to-1].end() > uint64(sv.Next(g.client)) {
			return true
		}
	}
	return false
}

// Overlaps reports whether some struct starts at a clock that sv knows.
func (u *Update) Overlaps(sv StateVector) bool {
	for _, g := range u.groups {
		if u.nodes[g.from].clock < uint64(sv.Next(g.client)) {
			return true
		}
	}
	return false
}

// Canonical reports whether the bytes that u was decoded from may be stored as they
// are: they are what Append would write, but for the flag of section 2.1 that Append
// loses. It is false for an Update that did not come from DecodeUpdate.
func (u *Update) Canonical() bool {
	if u.raw == nil {
		return false
	}
	e := newEncoder(u, encoding{format: u.format, keepSub: true})
	defer e.free()
	e.buf = e.encode(e.buf[:0])
	return bytes.Equal(e.buf, u.raw)
}

// Append appends u in f: the same structs, clients descending, deletions merged,
// integers minimal, one Skip for each gap.
func (u *Update) Append(dst []byte, f Format) []byte {
	e := newEncoder(u, encoding{format: f})
	defer e.free()
	return e.encode(dst)
}
