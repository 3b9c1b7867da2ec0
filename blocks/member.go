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
// or User stands for any; of a heap without a user its name may have changed too.
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
	in.served.forget()
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
		return fmt.Errorf("the owner's role cannot be changed; transfer the heap first: %w", ErrConflict)
	}
	if err := in.store.SetRole(ctx, heap, member, role, in.now().UnixMilli()); err != nil {
		return err
	}
	in.MembersChanged(MemberChange{heap, member})
	return nil
}

// shared says whether a role can be given to others; owner passes on by Transfer.
func (r Role) shared() bool { return r > RoleNone && r < RoleOwner }

var errSharedRole = fmt.Errorf("role must be editor, commenter or viewer: %w", ErrInvalid)

// Members lists who is in a heap to one of them.
func (in *Instance) Members(ctx context.Context, by UserID, heap HeapID) ([]Member, error) {
	if err := in.Require(ctx, by, heap, RoleViewer); err != nil {
		return nil, err
	}
	return in.store.Members(ctx, heap)
}

// Share makes the user a member, or gives a member another role. Only the owner may.
func (in *Instance) Share(ctx context.Context, by UserID, heap HeapID, user UserID, role Role) error {
	if err := in.Require(ctx, by, heap, RoleOwner); err != nil {
		return err
	}
	if !role.shared() {
		return errSharedRole
	}
	return in.SetRole(ctx, heap, user, role)
}

// Leave ends the user's membership; by is the owner or the user. The owner cannot
// leave.
func (in *Instance) Leave(ctx context.Context, by UserID, heap HeapID, user UserID) error {
	need := RoleOwner
	if by == user {
		need = RoleViewer
	}
	if err := in.Require(ctx, by, heap, need); err != nil {
		return err
	}
	if role, err := in.Role(ctx, user, heap); err != nil {
		return err
	} else if role == RoleNone {
		return fmt.Errorf("member: %w", ErrNotFound)
	}
	return in.SetRole(ctx, heap, user, RoleNone)
}

// Transfer makes a member the owner; who was it stays as an editor.
func (in *Instance) Transfer(ctx context.Context, by UserID, heap HeapID, to UserID) error {
	if err := in.Require(ctx, by, heap, RoleOwner); err != nil {
		return err
	}
	if by == to {
		return nil
	}
	if err := in.store.Transfer(ctx, heap, by, to); err != nil {
		return err
	}
	in.MembersChanged(MemberChange{heap, by})
	in.MembersChanged(MemberChange{heap, to})
	return nil
}
