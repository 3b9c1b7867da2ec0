package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// ErrAwareness says that an awareness update cannot be read or has an entry that
// a client could not.
var ErrAwareness = errors.New("malformed awareness update")

// AwarenessEntry is what one client says of itself. State is JSON text; nil says
// that the client is gone ("null" on the wire).
type AwarenessEntry struct {
	Client uint64
	Clock  uint64
	State  []byte
}

const (
	// maxAwarenessEntries bounds the clients in one awareness update.
	maxAwarenessEntries = 100_000
	// maxAwarenessDepth bounds the nesting of a state: clients write it as JSON again,
	// with recursion.
	maxAwarenessDepth = 100
	// minAwarenessEntry is the bytes of the smallest: two integers, a length, a digit.
	minAwarenessEntry = 4
)

// ReadAwareness reads an awareness update and checks all of it: at most 100,000
// entries, states that JSON.parse reads and that are nested at most 100 deep. Bytes
// after the entries are ignored, as clients do. The entries' states are views into b.
func ReadAwareness(b []byte) ([]AwarenessEntry, error) {
	r := lib0.NewReader(b)
	n, err := r.Count()
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrAwareness, err)
	}
	if n > maxAwarenessEntries {
		return nil, fmt.Errorf("%w: %d entries", ErrAwareness, n)
	}
	entries := make([]AwarenessEntry, 0, min(n, r.Len()/minAwarenessEntry))
	for range n {
		var e AwarenessEntry
		if e.Client, err = r.VarUint(); err == nil {
			e.Clock, err = r.VarUint()
		}
		if err == nil {
			e.State, err = r.VarText()
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrAwareness, err)
		}
		if err := lib0.ValidJSON(e.State, maxAwarenessDepth); err != nil {
			return nil, fmt.Errorf("%w: state of client %d: %w", ErrAwareness, e.Client, err)
		}
		if bytes.Equal(bytes.TrimSpace(e.State), []byte("null")) {
			e.State = nil
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// AppendAwareness appends an awareness update of n entries to dst.
func AppendAwareness(dst []byte, n int, entries iter.Seq[AwarenessEntry]) []byte {
	dst = lib0.AppendVarUint(dst, uint64(n))
	for e := range entries {
		dst = lib0.AppendVarUint(dst, e.Client)
		dst = lib0.AppendVarUint(dst, e.Clock)
		if e.State == nil {
			dst = lib0.AppendVarString(dst, "null")
		} else {
			dst = lib0.AppendVarBytes(dst, e.State)
		}
	}
	return dst
}
