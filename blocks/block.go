package blocks

import (
	"errors"
	"fmt"
)

// Errors that callers act on. Whoever may not see a thing gets ErrNotFound for
// it, never ErrForbidden: that is for a role that is too low.
var (
	ErrNotFound  = errors.New("not found")
	ErrForbidden = errors.New("role too low")
	ErrConflict  = errors.New("already exists")
	ErrInvalid   = errors.New("invalid")
	ErrTooLarge  = errors.New("too large")
	ErrDeleted   = errors.New("deleted")
	ErrAmbiguous = errors.New("block id is used in several heaps")
	// ErrQuarantined: stored bytes of the block cannot be read; it is read-only.
	ErrQuarantined = errors.New("block is quarantined")
	// ErrUnavailable: the store cannot write now; nothing was stored. Try again.
	ErrUnavailable = errors.New("store unavailable")
	// ErrFull is ErrUnavailable because the disk is full.
	ErrFull = fmt.Errorf("%w: disk full", ErrUnavailable)
	// ErrFailed: a write or sync failed in a way that leaves the disk's content
	// unknown. This process acknowledges nothing more; reads go on.
	ErrFailed = fmt.Errorf("%w: disk failed, restart needed", ErrUnavailable)
	// ErrCorrupt: a stored row does not match its checksum.
	ErrCorrupt = errors.New("stored bytes are corrupt")
)

// HeapID, BlockID and UserID are ids of 1 to 64 characters of [A-Za-z0-9_-].
// Heap and block ids are made by clients; a block id is unique within its heap.
type (
	HeapID  string
	BlockID string
	UserID  string
)

// BlockKey names a block in the whole server.
type BlockKey struct {
	Heap  HeapID
	Block BlockID
}

func (k BlockKey) String() string { return string(k.Heap) + "/" + string(k.Block) }

const maxIDLen = 64

func validID(s string) bool {
	if len(s) == 0 || len(s) > maxIDLen {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// ParseHeapID checks s. Any fault is ErrInvalid.
func ParseHeapID(s string) (HeapID, error) {
	if !validID(s) {
		return "", fmt.Errorf("heap id must be 1 to %d characters of A-Z a-z 0-9 _ -: %w", maxIDLen, ErrInvalid)
	}
	return HeapID(s), nil
}

// ParseBlockID checks s. Any fault is ErrInvalid.
func ParseBlockID(s string) (BlockID, error) {
	if !validID(s) {
		return "", fmt.Errorf("block id must be 1 to %d characters of A-Z a-z 0-9 _ -: %w", maxIDLen, ErrInvalid)
	}
	return BlockID(s), nil
}
