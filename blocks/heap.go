package blocks

import (
	"context"
	"fmt"
	"strings"
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

	members memberWatchers
}

// New makes an Instance; it does no I/O. Log's Run must be running for writes.
func New(cfg LogConfig) *Instance {
	log := NewLog(cfg)
	return &Instance{Log: log, store: cfg.Store, now: log.now}
}

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

// AddHeap creates a heap that user owns; an empty id is made up. Repeating an id
// one owns returns that heap and created false; another's id is ErrConflict.
func (in *Instance) AddHeap(ctx context.Context, user UserID, id HeapID, name string, encrypted bool) (h HeapSummary, created bool, err error) {
	name = strings.TrimSpace(name)
	switch {
	case name == "":
		return h, false, fmt.Errorf("name must not be empty: %w", ErrInvalid)
	case !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxNameLen:
		return h, false, fmt.Errorf("name must have at most %d characters: %w", maxNameLen, ErrInvalid)
	case encrypted:
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

// Heaps lists the heaps the user is a member of.
func (in *Instance) Heaps(ctx context.Context, user UserID) ([]HeapSummary, error) {
	return in.store.HeapsOf(ctx, user)
}
