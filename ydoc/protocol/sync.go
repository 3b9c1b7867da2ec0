package protocol

import (
	"fmt"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// SyncType is the kind of a sync message.
type SyncType uint64

const (
	SyncStep1  SyncType = 0 // payload: a state vector; "what I have"
	SyncStep2  SyncType = 1 // payload: an update; "what you lack"
	SyncUpdate SyncType = 2 // payload: an update, as it was made
)

// ReadSync reads a sync message. An unknown type is an error.
func ReadSync(r *lib0.Reader) (SyncType, []byte, error) {
	t, err := r.VarUint()
	if err != nil {
		return 0, nil, fmt.Errorf("sync message type: %w", err)
	}
	if t > uint64(SyncUpdate) {
		return 0, nil, fmt.Errorf("unknown sync message type %d", t)
	}
	payload, err := r.VarBytes()
	if err != nil {
		return 0, nil, fmt.Errorf("sync message payload: %w", err)
	}
	return SyncType(t), payload, nil
}

// AppendSync appends a sync message to dst.
func AppendSync(dst []byte, t SyncType, payload []byte) []byte {
	dst = lib0.AppendVarUint(dst, uint64(t))
	return lib0.AppendVarBytes(dst, payload)
}
