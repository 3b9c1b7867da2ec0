package ydoc

import "github.com/heapsync/heapsync/ydoc/lib0"

// Snapshot is a Yjs snapshot: which elements existed at a moment and which of them
// were deleted. It holds no content; a document that was never garbage-collected can
// be shown as it was then.
type Snapshot struct {
	Deletes     DeleteSet
	StateVector StateVector
}

// DecodeSnapshot reads the encoding of section 4.2, within the limits of
// DecodeUpdate for clients and clocks. Bytes after the end are an error.
func DecodeSnapshot(b []byte, f Format, lim Limits) (Snapshot, error) {
	var s Snapshot
	r := lib0.NewReader(b)
	if err := s.Deletes.read(r, f, uint64(lim.Clock), lim.Clients); err != nil {
		return Snapshot{}, err
	}
	s.Deletes.normalise()
	sv, err := DecodeStateVector(r.Rest())
	if err != nil {
		return Snapshot{}, err
	}
	s.StateVector = sv
	return s, nil
}

// Append appends the encoding of section 4.2.
func (s Snapshot) Append(dst []byte, f Format) []byte {
	return s.StateVector.Append(s.Deletes.append(dst, f))
}

// Contains reports whether all of u existed at the moment of s and all that u
// deletes was deleted.
func (s Snapshot) Contains(u *Update) bool {
	return !u.HasNew(s.StateVector) && u.deletes.Within(s.Deletes)
}
