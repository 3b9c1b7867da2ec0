package ydoc

import (
	"cmp"
	"iter"
	"slices"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// Range is the clocks [From, To) of a client.
type Range struct{ From, To Clock }

// DeleteSet says which elements are deleted. The zero value is empty.
type DeleteSet struct {
	ranges []deletion
	sorted bool
}

type deletion struct {
	client   ClientID
	from, to uint64
}

// Len returns the number of ranges.
func (ds DeleteSet) Len() int { return len(ds.ranges) }

// All yields the ranges, clients descending, clocks ascending; ranges of a client
// neither overlap nor touch.
func (ds DeleteSet) All() iter.Seq2[ClientID, Range] {
	return func(yield func(ClientID, Range) bool) {
		for _, d := range ds.ranges {
			if !yield(d.client, Range{Clock(d.from), Clock(d.to)}) {
				return
			}
		}
	}
}

// Contains reports whether id is deleted.
func (ds DeleteSet) Contains(id ID) bool {
	i := ds.search(id.Client, uint64(id.Clock))
	return i < len(ds.ranges) && ds.ranges[i].client == id.Client && ds.ranges[i].from <= uint64(id.Clock)
}

// Within reports whether everything in ds is in other too.
func (ds DeleteSet) Within(other DeleteSet) bool {
	i := 0
	for _, d := range ds.ranges {
		for i < len(other.ranges) && (other.ranges[i].client > d.client ||
			other.ranges[i].client == d.client && other.ranges[i].to < d.to) {
			i++
		}
		if i == len(other.ranges) || other.ranges[i].client != d.client || other.ranges[i].from > d.from {
			return false
		}
	}
	return true
}

// search returns the index of the first range of client that ends above clock, or
// of the first range of a lower client.
func (ds DeleteSet) search(client ClientID, clock uint64) int {
	i, _ := slices.BinarySearchFunc(ds.ranges, clock, func(d deletion, clock uint64) int {
		if d.client != client {
			return compareDescending(d.client, client)
		}
		if d.to <= clock {
			return -1
		}
		return 1
	})
	return i
}

// add adds a range, joining it with the last one added if they touch: typing
// and deleting backwards make one range.
func (ds *DeleteSet) add(client ClientID, from, to uint64) {
	if n := len(ds.ranges); n > 0 {
		last := &ds.ranges[n-1]
		if last.client == client && from <= last.to && last.from <= to {
			if from < last.from {
				last.from = from
				ds.sorted = false
			}
			last.to = max(last.to, to)
			return
		}
	}
	ds.sorted = false
	ds.ranges = append(ds.ranges, deletion{client, from, to})
}

// normalise sorts the ranges and merges those that overlap or touch.
func (ds *DeleteSet) normalise() {
	if ds.sorted {
		return
	}
	ds.sorted = true
	clean := true
	for i := 1; i < len(ds.ranges); i++ {
		a, b := &ds.ranges[i-1], &ds.ranges[i]
		if a.client < b.client || a.client == b.client && a.to >= b.from {
			clean = false
			break
		}
	}
	if clean {
		return
	}
	slices.SortFunc(ds.ranges, func(a, b deletion) int {
		if a.client != b.client {
			return compareDescending(a.client, b.client)
		}
		return cmp.Compare(a.from, b.from)
	})
	out := ds.ranges[:1]
	for _, d := range ds.ranges[1:] {
		last := &out[len(out)-1]
		if last.client == d.client && d.from <= last.to {
			last.to = max(last.to, d.to)
			continue
		}
		out = append(out, d)
	}
	ds.ranges = out
}

// append appends the encoding of section 2.5 or 3.4.
func (ds DeleteSet) append(dst []byte, f Format) []byte {
	clients := 0
	for i, d := range ds.ranges {
		if i == 0 || ds.ranges[i-1].client != d.client {
			clients++
		}
	}
	dst = lib0.AppendVarUint(dst, uint64(clients))
	for i := 0; i < len(ds.ranges); {
		j := i + 1
		for j < len(ds.ranges) && ds.ranges[j].client == ds.ranges[i].client {
			j++
		}
		dst = lib0.AppendVarUint(dst, uint64(ds.ranges[i].client))
		dst = lib0.AppendVarUint(dst, uint64(j-i))
		end := uint64(0)
		for _, d := range ds.ranges[i:j] {
			if f == V2 {
				dst = lib0.AppendVarUint(dst, d.from-end)
				dst = lib0.AppendVarUint(dst, d.to-d.from-1)
				end = d.to
			} else {
				dst = lib0.AppendVarUint(dst, d.from)
				dst = lib0.AppendVarUint(dst, d.to-d.from)
			}
		}
		i = j
	}
	return dst
}

// read adds what r holds. Ranges may be in any order and overlap; none may be
// empty or end above maxClock, and there may be at most limit clients.
func (ds *DeleteSet) read(r *lib0.Reader, f Format, maxClock uint64, limit int) error {
	clients, err := r.Count()
	if err != nil {
		return decodeError(r.Offset(), err)
	}
	if clients > limit {
		return tooLarge(r.Offset(), "clients")
	}
	for range clients {
		client, err := r.VarUint()
		if err != nil {
			return decodeError(r.Offset(), err)
		}
		ranges, err := r.Count()
		if err != nil {
			return decodeError(r.Offset(), err)
		}
		if ranges > 8 {
			ds.ranges = slices.Grow(ds.ranges, min(ranges, r.Len()/2))
		}
		end := uint64(0)
		for range ranges {
			from, err := r.VarUint()
			if err != nil {
				return decodeError(r.Offset(), err)
			}
			length, err := r.VarUint()
			if err != nil {
				return decodeError(r.Offset(), err)
			}
			if f == V2 {
				from += end
				length++
			}
			if length == 0 {
				return malformed(r.Offset(), "empty delete range")
			}
			end = from + length
			if end > maxClock {
				return tooLarge(r.Offset(), "clock")
			}
			ds.add(ClientID(client), from, end)
		}
	}
	return nil
}
