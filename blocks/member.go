package blocks

import "fmt"

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
