package blocks

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/heapsync/heapsync/ydoc"
)

// Statuses of push and pull items.
const (
	StatusApplied         = "applied"
	StatusDuplicate       = "duplicate"
	StatusVersionMismatch = "version_mismatch"
	StatusDeleted         = "deleted"
	StatusNotFound        = "not_found"
	StatusForbidden       = "forbidden"
	StatusInvalid         = "invalid"
	StatusTooLarge        = "too_large"
	StatusUpdate          = "update"
	StatusUpToDate        = "up_to_date"
	StatusFull            = "full"
	StatusAmbiguous       = "ambiguous_block"
	StatusDeferred        = "deferred"
	StatusUnavailable     = "unavailable"
)

// Target names a block in a request: the heap may be missing.
type Target struct {
	Heap, Block string
}

// PushItem is one block's update in a push.
type PushItem struct {
	Target
	Update      []byte
	StateVector []byte // what the client has, if HasVector
	HasVector   bool
	SyncVersion int64
	Type        string
	Invalid     error // set when the item could not even be read
}

// PushResult is what became of a PushItem.
type PushResult struct {
	Target
	Status      string
	Seq         Seq
	SyncVersion int64
	StateVector []byte
	Missing     []byte // what the client lacks; nil: nothing, or it did not ask
	State       []byte // with version_mismatch
	Pending     bool
	Err         error // with a status that is a refusal
}

// Push appends the items in order, waits until all are on disk, and answers for
// each. One bad item never fails the others.
func (in *Instance) Push(ctx context.Context, author Author, items []PushItem) []PushResult {
	results := make([]PushResult, len(items))
	keys := make([]BlockKey, len(items))
	roles := roleCache{in: in, user: author.User}
	var wg sync.WaitGroup
	for i := range items {
		item, res := &items[i], &results[i]
		res.Target = item.Target
		key, err := in.resolve(ctx, &roles, item.Target, RoleEditor)
		if err == nil {
			err = item.check()
		}
		if err == nil {
			keys[i] = key
			res.Heap = string(key.Heap)
			defer in.Hold(key)() // a block that is there several times is read once
			wg.Add(1)
			err = in.Append(ctx, Append{
				Key: key, Author: author, Update: item.Update,
				Type: item.Type, SyncVersion: item.SyncVersion, Whole: true,
			}, func(a Appended, err error) {
				res.finish(a, err)
				wg.Done()
			})
			if err != nil {
				wg.Done()
			}
		}
		if err != nil {
			res.refuse(err)
		}
	}
	wg.Wait()
	for i := range items {
		in.complete(ctx, keys[i], &items[i], &results[i])
	}
	return results
}

// maxTypeLen is how many bytes the type of a block may have.
const maxTypeLen = 64

func (item *PushItem) check() error {
	if item.Invalid != nil {
		return item.Invalid
	}
	if len(item.Update) == 0 {
		return fmt.Errorf("update must not be missing: %w", ErrInvalid)
	}
	if len(item.Type) > maxTypeLen || !utf8.ValidString(item.Type) {
		return fmt.Errorf("type must have at most %d bytes: %w", maxTypeLen, ErrInvalid)
	}
	if item.HasVector {
		if _, err := ydoc.DecodeStateVector(item.StateVector); err != nil {
			return fmt.Errorf("state_vector: %v: %w", err, ErrInvalid)
		}
	}
	return nil
}

func (res *PushResult) finish(a Appended, err error) {
	if err != nil {
		res.refuse(err)
		return
	}
	res.Status = StatusApplied
	if a.Duplicate {
		res.Status = StatusDuplicate
	}
	res.Seq, res.SyncVersion, res.StateVector, res.Pending = a.Seq, a.SyncVersion, a.StateVector, a.Pending
}

func (res *PushResult) refuse(err error) {
	res.Status, res.Err = statusOf(err), err
}

// complete adds what needs a read of the block.
func (in *Instance) complete(ctx context.Context, key BlockKey, item *PushItem, res *PushResult) {
	switch {
	case res.Status == StatusVersionMismatch:
		if d, err := in.Diff(ctx, key, ydoc.StateVector{}); err == nil {
			res.State, res.Seq, res.SyncVersion, res.StateVector = d.Update, d.Head.Seq, d.Head.SyncVersion, d.Head.StateVector
		}
	case item.HasVector && (res.Status == StatusApplied || res.Status == StatusDuplicate):
		since, err := ydoc.DecodeStateVector(item.StateVector)
		if err != nil {
			return // checked before
		}
		if own, err := in.decode(item.Update); err == nil {
			for s := range own.Structs() { // what it has just sent it does not lack
				if s.Kind != ydoc.Skip && s.Clock <= since.Next(s.Client) {
					since.Advance(s.Client, s.Clock+ydoc.Clock(s.Len))
				}
			}
		}
		if d, err := in.Diff(ctx, key, since); err == nil && len(d.Update) > len(emptyUpdate) {
			res.Missing = d.Update
		}
	}
}

// statusOf is an item's status for an error.
func statusOf(err error) string {
	switch {
	case errors.Is(err, ErrVersionMismatch):
		return StatusVersionMismatch
	case errors.Is(err, ErrDeleted):
		return StatusDeleted
	case errors.Is(err, ErrAmbiguous):
		return StatusAmbiguous
	case errors.Is(err, ErrNotFound):
		return StatusNotFound
	case errors.Is(err, ErrForbidden):
		return StatusForbidden
	case errors.Is(err, ErrTooLarge):
		return StatusTooLarge
	case errors.Is(err, ErrInvalid), errors.Is(err, ErrQuarantined), errors.Is(err, ErrCorrupt):
		return StatusInvalid
	}
	return StatusUnavailable
}

// roleCache asks for each heap of one request once.
type roleCache struct {
	in    *Instance
	user  UserID
	roles map[HeapID]Role
}

func (c *roleCache) role(ctx context.Context, heap HeapID) (Role, error) {
	role, known := c.roles[heap]
	if !known {
		var err error
		if role, err = c.in.Role(ctx, c.user, heap); err != nil {
			return RoleNone, err
		}
		if c.roles == nil {
			c.roles = make(map[HeapID]Role)
		}
		c.roles[heap] = role
	}
	return role, nil
}

func (c *roleCache) require(ctx context.Context, heap HeapID, need Role) error {
	role, err := c.role(ctx, heap)
	switch {
	case err != nil:
		return err
	case !role.CanRead():
		return fmt.Errorf("heap: %w", ErrNotFound)
	case role < need:
		return ErrForbidden
	}
	return nil
}

// resolve names the block that t means for a user who needs a role there.
func (in *Instance) resolve(ctx context.Context, roles *roleCache, t Target, need Role) (BlockKey, error) {
	block, err := ParseBlockID(t.Block)
	if err != nil {
		return BlockKey{}, err
	}
	var heap HeapID
	if t.Heap == "" {
		heap, err = in.Find(ctx, roles.user, block)
	} else {
		heap, err = ParseHeapID(t.Heap)
	}
	if err != nil {
		return BlockKey{}, err
	}
	return BlockKey{heap, block}, roles.require(ctx, heap, need)
}

// PullItem asks for what a client lacks of one block.
type PullItem struct {
	Target
	StateVector []byte
	HasVector   bool
	SyncVersion int64
	Seq         Seq // the head the client last saw; 0: none
	Invalid     error
}

// PullResult is the answer to a PullItem.
type PullResult struct {
	Target
	Status      string
	Update      []byte // with update
	State       []byte // with full
	StateVector []byte
	Seq         Seq
	SyncVersion int64
	DeletedAt   int64
	Err         error
}

// pullWidth is how many blocks a pull reads at once.
const pullWidth = 4

// Pull answers each item as of what is on disk. Once maxBytes of updates and
// states are in the answer, the rest is deferred.
func (in *Instance) Pull(ctx context.Context, user UserID, items []PullItem, maxBytes int) []PullResult {
	results := make([]PullResult, len(items))
	roles := roleCache{in: in, user: user}
	size := 0
	for from := 0; from < len(items); from += pullWidth {
		to := min(from+pullWidth, len(items))
		if size > 0 && size >= maxBytes {
			for i := from; i < to; i++ {
				results[i] = PullResult{Target: items[i].Target, Status: StatusDeferred}
			}
			continue
		}
		var wg sync.WaitGroup
		for i := from; i < to; i++ {
			item, res := &items[i], &results[i]
			res.Target = item.Target
			key, err := in.resolve(ctx, &roles, item.Target, RoleViewer)
			if err != nil {
				res.Status, res.Err = statusOf(err), err
				continue
			}
			res.Heap = string(key.Heap)
			wg.Go(func() {
				if err := in.pull(ctx, key, item, res); err != nil {
					res.Status, res.Err = statusOf(err), err
				}
			})
		}
		wg.Wait()
		for i := from; i < to; i++ {
			res := &results[i]
			n := len(res.Update) + len(res.State)
			if size > 0 && size+n > maxBytes {
				*res = PullResult{Target: res.Target, Status: StatusDeferred}
				n = maxBytes - size // nothing after it either
			}
			size += n
		}
	}
	return results
}

// pull answers one item.
func (in *Instance) pull(ctx context.Context, key BlockKey, item *PullItem, res *PullResult) error {
	if item.Invalid != nil {
		return item.Invalid
	}
	since, err := ydoc.DecodeStateVector(item.StateVector)
	if item.HasVector && err != nil {
		return fmt.Errorf("state_vector: %v: %w", err, ErrInvalid)
	}
	head, err := in.Head(ctx, key)
	if err != nil {
		return err
	}
	full := !item.HasVector || item.SyncVersion != 0 && item.SyncVersion != head.SyncVersion
	if head.DeletedAt == 0 && !full && item.Seq != 0 && item.Seq == head.Seq {
		res.Status, res.Seq, res.SyncVersion, res.StateVector = StatusUpToDate, head.Seq, head.SyncVersion, head.StateVector
		return nil
	}
	if full {
		since = ydoc.StateVector{}
	}
	d, err := in.Diff(ctx, key, since)
	res.Seq, res.SyncVersion, res.StateVector = d.Head.Seq, d.Head.SyncVersion, d.Head.StateVector
	switch {
	case errors.Is(err, ErrDeleted):
		res.Status, res.DeletedAt = StatusDeleted, d.Head.DeletedAt
	case err != nil:
		return err
	case full:
		res.Status, res.State = StatusFull, d.Update
	case len(d.Update) <= len(emptyUpdate):
		res.Status = StatusUpToDate
	default:
		res.Status, res.Update = StatusUpdate, d.Update
	}
	return nil
}

// Delta lists what has changed in a heap that user can read. See Changes.
func (in *Instance) Delta(ctx context.Context, user UserID, heap HeapID, after Seq, since int64, limit int) (Page, error) {
	if err := in.Require(ctx, user, heap, RoleViewer); err != nil {
		return Page{}, err
	}
	return in.store.Changed(ctx, heap, after, since, limit)
}
