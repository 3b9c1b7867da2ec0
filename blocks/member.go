package blocks

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Role is what a member may do in a heap. Higher roles include lower ones.
type Role uint8

const (
	RoleNone      Role = iota // not a member: the heap does not exist for them
	RoleViewer                // reads, and shows awareness
	RoleCommenter             // as viewer, and comments
	RoleEditor                // edits blocks
	RoleOwner                 // deletes and shares the heap
)

var roleNames = [...]string{"none", "viewer", "commenter", "editor", "owner"}

func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return fmt.Sprintf("role(%d)", uint8(r))
}

// ParseRole reads owner, editor, commenter or viewer; anything else is ErrInvalid.
func ParseRole(s string) (Role, error) {
	for r := RoleViewer; r <= RoleOwner; r++ {
		if s == roleNames[r] {
			return r, nil
		}
	}
	return RoleNone, fmt.Errorf("role must be owner, editor, commenter or viewer: %w", ErrInvalid)
}

// CanRead, CanEdit and CanShare are the only questions asked of a role.
func (r Role) CanRead() bool  { return r >= RoleViewer }
func (r Role) CanEdit() bool  { return r >= RoleEditor }
func (r Role) CanShare() bool { return r >= RoleOwner }

// Member is one user's membership of a heap.
type Member struct {
	User  UserID
	Role  Role
	Since int64
}

// MemberChange says that a user's role in a heap may have changed. An empty Heap
// or User stands for any.
type MemberChange struct {
	Heap HeapID
	User UserID
}

// memberWatchers are told of changes of roles, so that live sockets obey at once.
type memberWatchers struct {
	// mu guards fns.
	mu  sync.Mutex
	fns []func(MemberChange)
}

// OnMemberChange calls fn after every change of a role. fn must not block.
func (in *Instance) OnMemberChange(fn func(MemberChange)) {
	in.members.mu.Lock()
	defer in.members.mu.Unlock()
	in.members.fns = append(in.members.fns, fn)
}

// MembersChanged tells all who watch that roles may have changed; also for
// changes that another process made.
func (in *Instance) MembersChanged(c MemberChange) {
	in.members.mu.Lock()
	fns := slices.Clone(in.members.fns)
	in.members.mu.Unlock()
	for _, fn := range fns {
		fn(c)
	}
}

// SetRole gives member a role in heap, or takes it with RoleNone. The owner's
// role cannot be changed. It asks nobody: it is for who may, an administrator.
func (in *Instance) SetRole(ctx context.Context, heap HeapID, member UserID, role Role) error {
	h, err := in.store.Heap(ctx, heap)
	if err != nil {
		return err
	}
	if h.Owner == member {
		return fmt.Errorf("the owner's role cannot be changed: %w", ErrConflict)
	}
	if err := in.store.SetRole(ctx, heap, member, role, in.now().UnixMilli()); err != nil {
		return err
	}
	in.MembersChanged(MemberChange{heap, member})
	return nil
}
