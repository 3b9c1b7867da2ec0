package blocks

import (
	"context"
	"errors"
)

// DeleteHeap deletes a heap, for its owner: it is gone from every list at once, and is
// purged when its grace is over, or right now. It returns when that will be (ms).
func (in *Instance) DeleteHeap(ctx context.Context, author Author, heap HeapID, rightNow bool) (purgeAt int64, err error) {
	if err := in.Require(ctx, author.User, heap, RoleOwner); err != nil {
		return 0, err
	}
	at := in.now().UnixMilli()
	purgeAt = at + in.limits.HeapGrace.Milliseconds()
	if rightNow {
		purgeAt = at
	}
	if err := in.store.DeleteHeap(ctx, heap, at, purgeAt); err != nil {
		return 0, err
	}
	in.audit(ctx, author, BlockKey{Heap: heap}, "heap.deleted", "")
	in.MembersChanged(MemberChange{Heap: heap})
	if rightNow {
		err = in.purgeHeap(ctx, heap)
	}
	return purgeAt, err
}

// UndeleteHeap brings a deleted heap back with all that was in it. It asks nobody: it is
// for administrators.
func (in *Instance) UndeleteHeap(ctx context.Context, heap HeapID) error {
	if err := in.store.UndeleteHeap(ctx, heap); err != nil {
		return err
	}
	in.MembersChanged(MemberChange{Heap: heap})
	return nil
}

// DeletedHeaps lists the heaps that can be brought back. It is for administrators.
func (in *Instance) DeletedHeaps(ctx context.Context) ([]DeletedHeap, error) {
	return in.store.Graveyard(ctx)
}

// purgeHeap deletes a deleted heap for good. If it ends early, the next sweep goes on.
func (in *Instance) purgeHeap(ctx context.Context, heap HeapID) error {
	for more := true; more; {
		var err error
		if more, err = in.store.PurgeHeap(ctx, heap); errors.Is(err, ErrNotFound) {
			return nil // by somebody else
		} else if err != nil {
			return err
		}
	}
	in.refresh()
	if in.projector != nil {
		in.projector.lookAgain()
	}
	return nil
}
