package ydoc

import (
	"encoding/binary"
	"iter"
	"slices"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// ClientID names one open copy of a document that writes: a random number below 2⁵³.
type ClientID uint64

// Clock counts what one client has inserted, from 0: a UTF-16 code unit of text is
// one, any other element is one.
type Clock uint64

// ID names one element: the Clock-th that Client inserted.
type ID struct {
	Client ClientID
	Clock  Clock
}

// maxStateVector bounds the entries of a state vector from outside.
const maxStateVector = 100_000

// StateVector says how much of each client's work is known. The zero value knows
// nothing. Copies share memory: use Clone before changing one of them.
type StateVector struct {
	entries []ID // descending clients; Clock is the next clock, never 0
}

// DecodeStateVector reads the encoding of section 4.1: entries in any order, of a
// repeated client the highest clock. More than 100,000 entries are ErrTooLarge;
// anything else that is wrong, trailing bytes included, is ErrMalformed.
func DecodeStateVector(b []byte) (StateVector, error) {
	r := lib0.NewReader(b)
	n, err := r.Count()
	if err != nil {
		return StateVector{}, decodeError(r.Offset(), err)
	}
	if n > maxStateVector {
		return StateVector{}, &DecodeError{Offset: r.Offset(), Kind: ErrTooLarge, Detail: "state vector"}
	}
	sv := StateVector{entries: make([]ID, 0, min(n, r.Len()/2))}
	sorted := true
	for range n {
		client, err := r.VarUint()
		if err != nil {
			return StateVector{}, decodeError(r.Offset(), err)
		}
		clock, err := r.VarUint()
		if err != nil {
			return StateVector{}, decodeError(r.Offset(), err)
		}
		if clock == 0 {
			continue
		}
		if k := len(sv.entries); k > 0 && sv.entries[k-1].Client <= ClientID(client) {
			sorted = false
		}
		sv.entries = append(sv.entries, ID{ClientID(client), Clock(clock)})
	}
	if r.Len() > 0 {
		return StateVector{}, &DecodeError{Offset: r.Offset(), Kind: ErrMalformed, Detail: "trailing bytes"}
	}
	if !sorted {
		slices.SortFunc(sv.entries, func(a, b ID) int {
			if a.Client != b.Client {
				return compareDescending(a.Client, b.Client)
			}
			return compareDescending(a.Clock, b.Clock)
		})
		sv.entries = slices.CompactFunc(sv.entries, func(a, b ID) bool { return a.Client == b.Client })
	}
	return sv, nil
}

func compareDescending[T ~uint64](a, b T) int {
	switch {
	case a > b:
		return -1
	case a < b:
		return 1
	}
	return 0
}

// find returns the index of c, or where it would be inserted.
func (sv StateVector) find(c ClientID) (int, bool) {
	return slices.BinarySearchFunc(sv.entries, c, func(e ID, c ClientID) int {
		return compareDescending(e.Client, c)
	})
}

// Next returns the clock expected next from c, which is how many elements it has
// inserted: (c, clock) is known if and only if clock < Next(c). A client never
// seen has Next 0.
func (sv StateVector) Next(c ClientID) Clock {
	if i, ok := sv.find(c); ok {
		return sv.entries[i].Clock
	}
	return 0
}

// Advance raises Next(c) to next. It never lowers it.
func (sv *StateVector) Advance(c ClientID, next Clock) {
	i, ok := sv.find(c)
	switch {
	case ok:
		sv.entries[i].Clock = max(sv.entries[i].Clock, next)
	case next > 0:
		sv.entries = slices.Insert(sv.entries, i, ID{c, next})
	}
}

// Len returns the number of clients known.
func (sv StateVector) Len() int { return len(sv.entries) }

// All yields every client known and its next clock, which is never 0, in descending
// order of clients.
func (sv StateVector) All() iter.Seq2[ClientID, Clock] {
	return func(yield func(ClientID, Clock) bool) {
		for _, e := range sv.entries {
			if !yield(e.Client, e.Clock) {
				return
			}
		}
	}
}

// Clone returns a copy that shares nothing with sv.
func (sv StateVector) Clone() StateVector {
	return StateVector{entries: slices.Clone(sv.entries)}
}

// Covers reports whether everything other knows is known here too.
func (sv StateVector) Covers(other StateVector) bool {
	i := 0
	for _, e := range other.entries {
		for i < len(sv.entries) && sv.entries[i].Client > e.Client {
			i++
		}
		if i == len(sv.entries) || sv.entries[i].Client != e.Client || sv.entries[i].Clock < e.Clock {
			return false
		}
	}
	return true
}

// Equal reports whether sv and other know the same.
func (sv StateVector) Equal(other StateVector) bool {
	return slices.Equal(sv.entries, other.entries)
}

// Append appends the encoding of section 4.1, clients descending.
func (sv StateVector) Append(dst []byte) []byte {
	dst = lib0.AppendVarUint(dst, uint64(len(sv.entries)))
	for _, e := range sv.entries {
		if cap(dst)-len(dst) < 2*binary.MaxVarintLen64 {
			dst = slices.Grow(dst, 2*binary.MaxVarintLen64)
		}
		b := dst[len(dst):cap(dst)]
		dst = dst[:len(dst)+putUint(b, putUint(b, 0, uint64(e.Client)), uint64(e.Clock))]
	}
	return dst
}

// Encode returns the encoding of section 4.1.
func (sv StateVector) Encode() []byte {
	return sv.Append(make([]byte, 0, 8+8*len(sv.entries))) // most are not as long
}
