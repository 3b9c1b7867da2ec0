package blocks

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Instance is one server's heaps and blocks as its users may see and change
// them. Every method that takes a user asks what they may do. It is safe for
// concurrent use.
type Instance struct {
	*Log
	store Store
	now   func() time.Time

	index     Index      // nil: there is none
	projector *projector // nil as well

	digests digests
	members memberWatchers
	trash   trashWatchers

	files   fileConfig
	uploads *uploads
	blobs   blobLocks
	served  served
	deriver *deriver // nil: no pictures are made
	scans   *scans
}

// New makes an Instance; it does no I/O. Run must be running for writes, and for lists
// to follow them.
func New(cfg LogConfig) *Instance {
	log := NewLog(cfg)
	in := &Instance{Log: log, store: cfg.Store, now: log.now, index: cfg.Index}
	in.files = fileConfig{blobs: cfg.Blobs, free: cfg.FreeSpace, mediaType: cfg.MediaType}
	in.uploads = newUploads(cfg, log)
	in.digests.init()
	in.scans = newScans(in, cfg.Scan)
	if cfg.Blobs != nil {
		in.files.blobs = &placedBlobs{cfg.Blobs, in}
		in.files.far, _ = cfg.Blobs.(FarBlobs)
	}
	log.bus.Subscribe(func(c Commit) {
		if c.Created || c.Deleted {
			in.served.forget()
		}
	})
	if cfg.Media != nil && cfg.Blobs != nil {
		in.deriver = newDeriver(in, cfg)
	}
	if cfg.Index != nil {
		in.projector = newProjector(in, cfg.Index)
	}
	return in
}

// Run runs the log, reads into the index what is committed, and deletes what has had its
// time, until ctx ends.
func (in *Instance) Run(ctx context.Context) {
	var wg sync.WaitGroup
	if in.projector != nil {
		wg.Go(func() { in.projector.run(ctx) })
	}
	if in.deriver != nil {
		wg.Go(func() { in.deriver.run(ctx) })
	}
	wg.Go(func() { in.sweep(ctx) })
	wg.Go(func() { in.scans.run(ctx) })
	in.Log.Run(ctx)
	in.uploads.stop()
	wg.Wait()
}

// WaitIndexed returns once everything that was committed up to seq shows in lists.
// ErrUnavailable: the instance has stopped, or has no index.
func (in *Instance) WaitIndexed(ctx context.Context, seq Seq) error {
	if in.projector == nil {
		return errNoIndex
	}
	return in.projector.wait(ctx, seq)
}

var errNoIndex = fmt.Errorf("%w: there is no index", ErrUnavailable)

// Role returns what user may do in heap: RoleNone if it is not for them to see.
func (in *Instance) Role(ctx context.Context, user UserID, heap HeapID) (Role, error) {
	role, _, err := in.store.RoleOf(ctx, user, heap)
	return role, err
}

// Require returns nil if user has at least the role need in heap, ErrNotFound if
// they are no member, ErrForbidden if their role is too low.
func (in *Instance) Require(ctx context.Context, user UserID, heap HeapID, need Role) error {
	role, err := in.Role(ctx, user, heap)
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

// Find returns the heap, among those the user can read, that holds the block.
// Errors: ErrNotFound; ErrAmbiguous if several do.
func (in *Instance) Find(ctx context.Context, user UserID, block BlockID) (HeapID, error) {
	heaps, err := in.store.HeapsWithBlock(ctx, user, block)
	switch {
	case err != nil:
		return "", err
	case len(heaps) == 0:
		return "", fmt.Errorf("block: %w", ErrNotFound)
	case len(heaps) > 1:
		return "", ErrAmbiguous
	}
	return heaps[0], nil
}

// maxNameLen is how many characters a heap's name may have.
const maxNameLen = 200

// heapName returns name as a heap may have it.
func heapName(name string) (string, error) {
	name = strings.TrimSpace(name)
	switch {
	case name == "":
		return "", fmt.Errorf("name must not be empty: %w", ErrInvalid)
	case !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxNameLen:
		return "", fmt.Errorf("name must have at most %d characters: %w", maxNameLen, ErrInvalid)
	}
	return name, nil
}

// RenameHeap gives the heap another name, for its owner.
func (in *Instance) RenameHeap(ctx context.Context, user UserID, heap HeapID, name string) (HeapSummary, error) {
	name, err := heapName(name)
	if err != nil {
		return HeapSummary{}, err
	}
	if err := in.Require(ctx, user, heap, RoleOwner); err != nil {
		return HeapSummary{}, err
	}
	if err := in.store.RenameHeap(ctx, heap, name, in.now().UnixMilli()); err != nil {
		return HeapSummary{}, err
	}
	in.MembersChanged(MemberChange{Heap: heap})
	heaps, err := in.Heaps(ctx, user)
	for _, h := range heaps {
		if h.ID == heap {
			return h, nil
		}
	}
	return HeapSummary{}, cmp.Or(err, fmt.Errorf("heap: %w", ErrNotFound))
}

// AddHeap creates a heap that user owns; an empty id is made up. Repeating an id
// one owns returns that heap and created false; another's id is ErrConflict.
func (in *Instance) AddHeap(ctx context.Context, user UserID, id HeapID, name string, encrypted bool) (h HeapSummary, created bool, err error) {
	if name, err = heapName(name); err != nil {
		return h, false, err
	}
	if encrypted {
		return h, false, fmt.Errorf("this server keeps no encrypted heaps yet: %w", ErrInvalid)
	}
	if id == "" {
		made, err := uuid.NewV7()
		if err != nil {
			return h, false, fmt.Errorf("make heap id: %w", err)
		}
		id = HeapID(made.String())
	}
	at := in.now().UnixMilli()
	h = HeapSummary{Heap: Heap{ID: id, Name: name, Owner: user, CreatedAt: at, UpdatedAt: at}, Role: RoleOwner}
	if err = in.store.CreateHeap(ctx, h.Heap); err == nil {
		return h, true, nil
	}
	existing, lookErr := in.store.Heap(ctx, id)
	if lookErr != nil || existing.Owner != user {
		return HeapSummary{}, false, err
	}
	return HeapSummary{Heap: existing, Role: RoleOwner}, false, nil
}

// Heaps lists the heaps the user is a member of, with what the index knows of them.
func (in *Instance) Heaps(ctx context.Context, user UserID) ([]HeapSummary, error) {
	heaps, err := in.store.HeapsOf(ctx, user)
	if err != nil || in.index == nil {
		return heaps, err
	}
	ids := make([]HeapID, len(heaps))
	for i, h := range heaps {
		ids[i] = h.ID
	}
	totals, err := in.index.Totals(ctx, ids)
	if err != nil {
		return nil, in.indexError(err)
	}
	for i := range heaps {
		t := totals[heaps[i].ID]
		heaps[i].Blocks, heaps[i].Bytes, heaps[i].Files = t.Blocks, t.Bytes+t.FileBytes, t.FileBytes
	}
	return heaps, nil
}
