package blocks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/heapsync/heapsync/ydoc"
)

// A block is in the trash when its document says so: trashed_at in the root map block is
// a time. That is an edit like any other, which clients make offline too. The server
// notes when it first read of it, and from then on counts how long the block stays.

// TrashedBlock is a block in the trash.
type TrashedBlock struct {
	Entry
	ExpiresAt int64 // when it will be deleted for good
}

// trashKey is the key in the root map block that says since when.
const trashKey = "trashed_at"

// isTrashed says whether a document says that it is in the trash.
func isTrashed(doc *ydoc.Doc) bool {
	_, trashed := timeOf(doc.Map(aboutRoot), trashKey)
	return trashed
}

// follow is how long an edit of the server waits to show in lists.
const follow = 2 * time.Second

// shown waits until what was committed up to seq shows in lists, or a little.
func (in *Instance) shown(ctx context.Context, seq Seq) {
	ctx, cancel := context.WithTimeout(ctx, follow)
	defer cancel()
	_ = in.WaitIndexed(ctx, seq) // it will show all the same
}

// TrashBlock puts a block into the trash, for an editor. One that is there stays.
func (in *Instance) TrashBlock(ctx context.Context, author Author, t Target) (TrashedBlock, error) {
	key, err := in.resolve(ctx, &roleCache{in: in, user: author.User}, t, RoleEditor)
	if err != nil {
		return TrashedBlock{}, err
	}
	done, err := in.Edit(ctx, author, key, func(_ Head, doc *ydoc.Doc) error {
		if !isTrashed(doc) {
			doc.Map(aboutRoot).Set(trashKey, in.now().UnixMilli())
		}
		return nil
	})
	if err != nil {
		return TrashedBlock{}, err
	}
	in.shown(ctx, done.Seq)
	head, err := in.Head(ctx, key)
	if err != nil {
		return TrashedBlock{}, err
	}
	if head.TrashedAt == 0 { // not read yet
		head.TrashedAt = in.now().UnixMilli()
	}
	return TrashedBlock{entryOf(head), in.expiry(head)}, nil
}

func (in *Instance) expiry(head Head) int64 {
	return head.TrashedAt + in.limits.TrashFor.Milliseconds()
}

// ErrNotTrashed: the block is not in the trash.
var ErrNotTrashed = errors.New("not in the trash")

func (in *Instance) restore(ctx context.Context, author Author, key BlockKey) (Seq, error) {
	done, err := in.Edit(ctx, author, key, func(_ Head, doc *ydoc.Doc) error {
		if !isTrashed(doc) {
			return ErrNotTrashed
		}
		doc.Map(aboutRoot).Delete(trashKey)
		return nil
	})
	return done.Seq, err
}

// Restored is what became of blocks that were to leave the trash.
type Restored struct {
	Blocks []BlockID
	Failed []BlockFailure
}

// BlockFailure is a block that something could not be done with, and a code that says
// why: a status of a push, or not_trashed.
type BlockFailure struct {
	Block BlockID
	Code  string
}

// CodeNotTrashed is for a block that is not in the trash.
const CodeNotTrashed = "not_trashed"

func failureCode(err error) string {
	if errors.Is(err, ErrNotTrashed) {
		return CodeNotTrashed
	}
	return statusOf(err)
}

// RestoreBlocks takes blocks out of the trash, for an editor: ids, or if there are none
// all that are there.
func (in *Instance) RestoreBlocks(ctx context.Context, author Author, heap HeapID, ids []BlockID) (Restored, error) {
	if err := in.Require(ctx, author.User, heap, RoleEditor); err != nil {
		return Restored{}, err
	}
	var done Restored
	var last Seq
	one := func(block BlockID) error {
		seq, err := in.restore(ctx, author, BlockKey{heap, block})
		switch {
		case err == nil:
			done.Blocks = append(done.Blocks, block)
			last = max(last, seq)
		case errors.Is(err, ErrUnavailable) || ctx.Err() != nil:
			return err
		default:
			done.Failed = append(done.Failed, BlockFailure{block, failureCode(err)})
		}
		return nil
	}
	var err error
	if ids == nil {
		err = in.eachTrashed(ctx, heap, in.now().UnixMilli()+1, func(head Head) error {
			err := one(head.Key.Block)
			if n := len(done.Failed); n > 0 && done.Failed[n-1].Code == CodeNotTrashed {
				done.Failed = done.Failed[:n-1] // has just been restored
			}
			return err
		})
	}
	for _, block := range ids {
		if err == nil {
			err = one(block)
		}
	}
	in.shown(ctx, last)
	return done, err
}

// eachTrashed calls fn for each of the heap's blocks that were in the trash before (ms).
func (in *Instance) eachTrashed(ctx context.Context, heap HeapID, before int64, fn func(Head) error) error {
	var since int64
	var ref Ref
	for {
		heads, err := in.store.Trashed(ctx, heap, before, since, ref, trashPage)
		if err != nil {
			return err
		}
		for _, head := range heads {
			since, ref = head.TrashedAt, head.Ref
			if err := fn(head); err != nil {
				return err
			}
		}
		if len(heads) < trashPage {
			return nil
		}
	}
}

// trashPage is how many blocks of the trash are looked at, and deleted, at once.
const trashPage = 100

// ListTrash lists the blocks in the trash to a member, the longest there first: at most
// limit of those after the one that cursor, the last answer's next, names.
func (in *Instance) ListTrash(ctx context.Context, user UserID, heap HeapID, cursor TrashCursor, limit int) (list []TrashedBlock, next TrashCursor, err error) {
	if err := in.Require(ctx, user, heap, RoleViewer); err != nil {
		return nil, next, err
	}
	heads, err := in.store.Trashed(ctx, heap, in.now().UnixMilli()+1, cursor.Since, cursor.Ref, limit+1)
	if err != nil {
		return nil, next, err
	}
	if len(heads) > limit {
		heads = heads[:limit]
		next = TrashCursor{heads[limit-1].TrashedAt, heads[limit-1].Ref}
	}
	for _, head := range heads {
		entry := entryOf(head)
		if in.index != nil {
			known, ok, err := in.index.Entry(ctx, head.Key)
			if err != nil {
				return nil, next, in.indexError(err)
			}
			if ok {
				entry = known
			}
		}
		if entry.TrashedAt == 0 { // restored, and read a moment ago
			entry.TrashedAt = head.TrashedAt
		}
		list = append(list, TrashedBlock{entry, in.expiry(head)})
	}
	return list, next, nil
}

// TrashCursor is a place in the list of the trash; the zero value is its beginning.
type TrashCursor struct {
	Since int64
	Ref   Ref
}

// Emptied is what emptying the trash has deleted.
type Emptied struct {
	Blocks int64
	Freed  int64 // bytes
	Failed []BlockFailure
}

// EmptyTrash deletes all for good that is in the trash, for an editor.
func (in *Instance) EmptyTrash(ctx context.Context, author Author, heap HeapID) (Emptied, error) {
	if err := in.Require(ctx, author.User, heap, RoleEditor); err != nil {
		return Emptied{}, err
	}
	done, err := in.purgeTrash(ctx, heap, in.now().UnixMilli()+1)
	if done.Blocks > 0 {
		in.audit(ctx, author, BlockKey{Heap: heap}, "trash.emptied", fmt.Sprintf("%d blocks, %d bytes", done.Blocks, done.Freed))
	}
	return done, err
}

// purgeTrash deletes what is in the trash since before (ms), if its document still says
// so.
func (in *Instance) purgeTrash(ctx context.Context, heap HeapID, before int64) (Emptied, error) {
	var done Emptied
	var doomed []Doomed
	purge := func() error {
		stones, err := in.Purge(ctx, doomed...)
		doomed = nil
		for _, s := range stones {
			done.Blocks++
			done.Freed += s.Freed
		}
		return err
	}
	err := in.eachTrashed(ctx, heap, before, func(head Head) error {
		err := in.View(ctx, head.Key, func(now Head, doc *ydoc.Doc) error {
			if isTrashed(doc) {
				doomed = append(doomed, Doomed{now.Ref, now.Seq})
			}
			return nil
		})
		switch {
		case errors.Is(err, ErrUnavailable) || ctx.Err() != nil:
			return err
		case err != nil && !errors.Is(err, ErrDeleted):
			done.Failed = append(done.Failed, BlockFailure{head.Key.Block, failureCode(err)})
		}
		if len(doomed) == trashPage {
			return purge()
		}
		return nil
	})
	if err == nil && len(doomed) > 0 {
		err = purge()
	}
	return done, err
}

// sweepEvery is how often what has had its time is looked for.
const sweepEvery = time.Hour

// sweep deletes what has had its time, until ctx ends.
func (in *Instance) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := in.Sweep(ctx); err != nil && ctx.Err() == nil {
			in.logger.Warn("not all was swept", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Sweep deletes for good what was long enough in the trash, deleted heaps whose grace is
// over, and uploads of which nothing comes. It runs every hour; it is there for whoever cannot wait.
func (in *Instance) Sweep(ctx context.Context) error {
	var errs []error
	errs = append(errs, in.sweepFiles(ctx))
	graves, err := in.store.Graveyard(ctx)
	errs = append(errs, err)
	for _, h := range graves {
		if h.PurgeAt <= in.now().UnixMilli() {
			errs = append(errs, in.purgeHeap(ctx, h.ID))
		}
	}
	heaps, err := in.store.AllHeaps(ctx)
	errs = append(errs, err)
	for _, heap := range heaps {
		if slices.ContainsFunc(graves, func(h DeletedHeap) bool { return h.ID == heap }) {
			continue
		}
		done, err := in.purgeTrash(ctx, heap, in.now().Add(-in.limits.TrashFor).UnixMilli())
		errs = append(errs, err)
		if done.Blocks > 0 {
			in.logger.Info("trash deleted for good", "heap", heap, "count", done.Blocks, "bytes", done.Freed)
		}
	}
	return errors.Join(errs...)
}
