package blocks

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// ErrExpired: an invitation was good once, and is not any more.
var ErrExpired = errors.New("expired")

// Invite lets whoever has its code, or only the holder of one key, become a member.
type Invite struct {
	ID        string
	Heap      HeapID
	Role      Role
	PublicKey string // the only account that may use it; "": any
	By        UserID
	CreatedAt int64
	ExpiresAt int64
	MaxUses   int64 // 0: any number
	Uses      int64
}

// InviteCode is what a store keeps of an invitation's code, which is as good as a
// password: its SHA-256.
type InviteCode [sha256.Size]byte

// Invites keeps invitations.
type Invites interface {
	// CreateInvite stores inv, and drops what has expired of its heap. A heap that is
	// absent or deleted is ErrNotFound, one with max invitations already ErrTooLarge.
	CreateInvite(ctx context.Context, inv Invite, code InviteCode, max int) error
	// Invites lists the heap's invitations that are good at now, the newest first.
	Invites(ctx context.Context, heap HeapID, now int64) ([]Invite, error)
	// DeleteInvite takes one back, or returns ErrNotFound.
	DeleteInvite(ctx context.Context, heap HeapID, id string) error
	// AcceptInvite gives the user the invitation's role in its heap; a member keeps a
	// role that is as high, and that is no use. An invitation that is unknown or for
	// another key is ErrNotFound, one that is expired or used up ErrExpired.
	AcceptInvite(ctx context.Context, code InviteCode, user UserID, publicKey string, at int64) (HeapID, Role, error)
}

// Bounds of invitations.
const (
	InviteDefault = 7 * 24 * time.Hour
	InviteLongest = 365 * 24 * time.Hour
	maxInvites    = 1000 // of one heap at once
	maxInviteUses = 1_000_000
)

// Invite makes an invitation to inv.Heap and returns it with its code, which is told
// this once. A zero time to live is InviteDefault.
func (in *Instance) Invite(ctx context.Context, by UserID, inv Invite, ttl time.Duration) (Invite, string, error) {
	if err := in.Require(ctx, by, inv.Heap, RoleOwner); err != nil {
		return Invite{}, "", err
	}
	if ttl == 0 {
		ttl = InviteDefault
	}
	switch {
	case !inv.Role.shared():
		return Invite{}, "", errSharedRole
	case ttl < 0 || ttl > InviteLongest:
		return Invite{}, "", fmt.Errorf("an invitation must be good for 1 to %d seconds: %w", int64(InviteLongest/time.Second), ErrInvalid)
	case inv.MaxUses < 0 || inv.MaxUses > maxInviteUses:
		return Invite{}, "", fmt.Errorf("max_uses must be 1 to %d, or 0 for any number: %w", maxInviteUses, ErrInvalid)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Invite{}, "", fmt.Errorf("make invite id: %w", err)
	}
	now := in.now()
	inv.ID, inv.By, inv.Uses = id.String(), by, 0
	inv.CreatedAt, inv.ExpiresAt = now.UnixMilli(), now.Add(ttl).UnixMilli()
	code := rand.Text()
	if err := in.store.CreateInvite(ctx, inv, sha256.Sum256([]byte(code)), maxInvites); err != nil {
		return Invite{}, "", err
	}
	return inv, code, nil
}

// Invites lists a heap's invitations to its owner.
func (in *Instance) Invites(ctx context.Context, by UserID, heap HeapID) ([]Invite, error) {
	if err := in.Require(ctx, by, heap, RoleOwner); err != nil {
		return nil, err
	}
	return in.store.Invites(ctx, heap, in.now().UnixMilli())
}

// TakeBack ends an invitation.
func (in *Instance) TakeBack(ctx context.Context, by UserID, heap HeapID, id string) error {
	if err := in.Require(ctx, by, heap, RoleOwner); err != nil {
		return err
	}
	return in.store.DeleteInvite(ctx, heap, id)
}

// Accept makes the user, whose key is publicKey, a member by the code of an
// invitation.
func (in *Instance) Accept(ctx context.Context, user UserID, publicKey, code string) (HeapSummary, error) {
	heap, role, err := in.store.AcceptInvite(ctx, sha256.Sum256([]byte(code)), user, publicKey, in.now().UnixMilli())
	if err != nil {
		return HeapSummary{}, fmt.Errorf("invitation: %w", err)
	}
	in.MembersChanged(MemberChange{heap, user})
	h, err := in.store.Heap(ctx, heap)
	return HeapSummary{Heap: h, Role: role}, err
}
