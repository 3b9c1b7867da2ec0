package blocks

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// Whether a block is in the trash is for its document to say. The server learns of it when
// it reads the document, and counts from then on how long it has been there.

// TrashChange says that a block has come into the trash, or left it.
type TrashChange struct {
	Key     BlockKey
	Trashed bool
	At      int64 // ms
}

// trashWatchers are told of what comes into the trash and leaves it.
type trashWatchers struct {
	// mu guards fns.
	mu  sync.Mutex
	fns []func(TrashChange)
}

// OnTrash calls fn after a block has come into the trash or left it. fn must not block.
func (in *Instance) OnTrash(fn func(TrashChange)) {
	in.trash.mu.Lock()
	defer in.trash.mu.Unlock()
	in.trash.fns = append(in.trash.fns, fn)
}

// followTrash notes what a block's document says, if that is new.
func (in *Instance) followTrash(ctx context.Context, head Head, trashed bool) error {
	if trashed == (head.TrashedAt != 0) {
		return nil
	}
	change := TrashChange{Key: head.Key, Trashed: trashed, At: in.now().UnixMilli()}
	since := int64(0)
	if trashed {
		since = change.At
	}
	err := in.store.SetTrashed(ctx, head.Ref, since)
	if errors.Is(err, ErrNotFound) { // it has just been deleted
		return nil
	}
	if err != nil {
		return err
	}
	in.trash.mu.Lock()
	fns := slices.Clone(in.trash.fns)
	in.trash.mu.Unlock()
	for _, fn := range fns {
		fn(change)
	}
	return nil
}
