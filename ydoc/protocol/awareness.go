package protocol

import (
	"bytes"
	"encoding/json"
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

// ReadAwareness reads an awareness update in full before it yields anything. The
// entries' states are views into b.
func ReadAwareness(b []byte) ([]AwarenessEntry, error) {
	r := lib0.NewReader(b)
	n, err := r.Count()
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrAwareness, err)
	}
	var entries []AwarenessEntry
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
		if !json.Valid(e.State) {
			return nil, fmt.Errorf("%w: the state of client %d is not JSON", ErrAwareness, e.Client)
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
