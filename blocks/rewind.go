package blocks

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/heapsync/heapsync/ydoc"
)

// Rewound is what became of a heap's blocks when it was taken back to a moment.
type Rewound struct {
	Restored  int // blocks that were edited
	Trashed   int // blocks that did not exist then
	Unchanged int
	Failed    []RewindFailure
}

// RewindFailure is a block that could not be taken back.
type RewindFailure struct {
	Block BlockID
	Err   error
}

// ErrThinned: history does not hold any more what the block was at that moment.
var ErrThinned = fmt.Errorf("history is not as fine: %w", ErrNotFound)

// rewindPage is how many heads are read at once.
const rewindPage = 200

// Rewind takes all of a heap back to what it was at a time (ms), or the last moment before
// that history still has: each block is edited as by RestoreVersion, and those that
// did not exist then go to the trash. A dry run edits nothing. author is its owner.
func (in *Instance) Rewind(ctx context.Context, author Author, heap HeapID, at int64, dry bool) (Rewound, error) {
	var done Rewound
	if err := in.Require(ctx, author.User, heap, RoleOwner); err != nil {
		return done, err
	}
	h, err := in.store.Heap(ctx, heap)
	if err != nil {
		return done, err
	}
	now, err := in.ServerTime(ctx)
	if err != nil {
		return done, err
	}
	if at < h.CreatedAt || at > now {
		return done, fmt.Errorf("at must be a time since the heap was made, in Unix milliseconds: %w", ErrInvalid)
	}
	seen := map[Ref]bool{} // what is edited comes again at the end of the list
	for after := Seq(0); ; {
		page, err := in.store.Changed(ctx, heap, after, 0, rewindPage)
		if err != nil {
			return done, err
		}
		for _, head := range page.Heads {
			if seen[head.Ref] {
				continue
			}
			seen[head.Ref] = true
			err := in.rewindOne(ctx, author, head, at, dry, &done)
			switch {
			case ctx.Err() != nil:
				return done, ctx.Err()
			case errors.Is(err, ErrUnavailable):
				return done, err
			case err != nil:
				done.Failed = append(done.Failed, RewindFailure{head.Key.Block, err})
			}
		}
		if after = page.Next; !page.More {
			return done, nil
		}
	}
}

func (in *Instance) rewindOne(ctx context.Context, author Author, head Head, at int64, dry bool, done *Rewound) error {
	switch {
	case head.DeletedAt != 0 && (head.DeletedAt <= at || head.CreatedAt > at):
		return nil // nor was it there then
	case head.DeletedAt != 0:
		return ErrDeleted
	case head.UpdatedAt <= at:
		done.Unchanged++
		return nil
	case head.Quarantine != "":
		return ErrQuarantined
	case head.CreatedAt > at:
		return in.trashNew(ctx, author, head, dry, done)
	}
	seq, err := in.seqAt(ctx, head.Ref, at)
	if err != nil {
		return err
	}
	update, err := in.restoring(ctx, head, seq)
	if err != nil {
		return err
	}
	if update == nil {
		done.Unchanged++
		return nil
	}
	if !dry {
		if _, err := in.AppendAndWait(ctx, Append{Key: head.Key, Author: author, Update: update}); err != nil {
			return err
		}
	}
	done.Restored++
	return nil
}

// trashNew puts a block that did not exist then into the trash, if it is not there.
func (in *Instance) trashNew(ctx context.Context, author Author, head Head, dry bool, done *Rewound) error {
	trashed := false
	edit := func(_ Head, doc *ydoc.Doc) error {
		if isTrashed(doc) {
			return nil
		}
		trashed = true
		if !dry {
			doc.Map(aboutRoot).Set(trashKey, in.now().UnixMilli())
		}
		return nil
	}
	var err error
	if dry {
		err = in.View(ctx, head.Key, edit)
	} else {
		_, err = in.Edit(ctx, author, head.Key, edit)
	}
	switch {
	case err != nil:
		return err
	case trashed:
		done.Trashed++
	default:
		done.Unchanged++
	}
	return nil
}

// seqAt returns the last seq of the block that history can show and that was committed
// at a time or before, or ErrThinned.
func (in *Instance) seqAt(ctx context.Context, ref Ref, at int64) (Seq, error) {
	for upTo := Seq(math.MaxInt64); upTo > 0; {
		const page = 500
		parts, err := in.store.Parts(ctx, ref, upTo, page, false)
		if err != nil {
			return 0, err
		}
		for _, p := range parts {
			if p.LastAt <= at {
				return p.To, nil
			}
		}
		if len(parts) == 0 {
			break
		}
		upTo = parts[len(parts)-1].After
	}
	return 0, ErrThinned
}
