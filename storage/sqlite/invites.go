package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/heapsync/heapsync/blocks"
)

const inviteColumns = `i.id, heaps.heap, i.role, i.public_key, i.by_user, i.created_at, i.expires_at, i.max_uses, i.uses`

func inviteFields(i *blocks.Invite) []any {
	return []any{&i.ID, &i.Heap, &i.Role, &i.PublicKey, &i.By, &i.CreatedAt, &i.ExpiresAt, &i.MaxUses, &i.Uses}
}

// goodInvite is what makes an invitation usable at a time.
const goodInvite = `(expires_at > ? AND (max_uses = 0 OR uses < max_uses))`

// CreateInvite implements [blocks.Invites].
func (s *Store) CreateInvite(ctx context.Context, inv blocks.Invite, code blocks.InviteCode, max int) error {
	err := s.write(ctx, func(t *tx) error {
		id, err := heapRow(t, inv.Heap)
		if err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM invites WHERE heap = ? AND NOT `+goodInvite, id, inv.CreatedAt); err != nil {
			return err
		}
		var count int
		if err := t.queryRow(`SELECT count(*) FROM invites WHERE heap = ?`, id).Scan(&count); err != nil {
			return t.check(err)
		}
		if count >= max {
			return fmt.Errorf("at most %d invitations may be open: %w", max, blocks.ErrTooLarge)
		}
		_, err = t.exec(`INSERT INTO invites (id, code, heap, role, public_key, by_user, created_at, expires_at, max_uses, uses)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			inv.ID, code[:], id, inv.Role, inv.PublicKey, inv.By, inv.CreatedAt, inv.ExpiresAt, inv.MaxUses, inv.Uses)
		return err
	})
	if err != nil {
		return fmt.Errorf("invite to %s: %w", inv.Heap, err)
	}
	return nil
}

// Invites implements [blocks.Invites].
func (s *Store) Invites(ctx context.Context, heap blocks.HeapID, now int64) ([]blocks.Invite, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT `+inviteColumns+` FROM heaps JOIN invites i ON i.heap = heaps.id
		WHERE heaps.heap = ? AND heaps.deleted_at = 0 AND `+goodInvite+` ORDER BY i.created_at DESC, i.id DESC`, heap, now)
	if err != nil {
		return nil, fmt.Errorf("invites of %s: %w", heap, readError(err))
	}
	defer rows.Close()
	var list []blocks.Invite
	for rows.Next() {
		var i blocks.Invite
		if err := rows.Scan(inviteFields(&i)...); err != nil {
			return nil, fmt.Errorf("invites of %s: %w", heap, err)
		}
		list = append(list, i)
	}
	return list, readError(rows.Err())
}

// DeleteInvite implements [blocks.Invites].
func (s *Store) DeleteInvite(ctx context.Context, heap blocks.HeapID, id string) error {
	err := s.write(ctx, func(t *tx) error {
		n, err := t.affected(`DELETE FROM invites WHERE id = ? AND heap = (SELECT id FROM heaps WHERE heap = ?)`, id, heap)
		if err == nil && n == 0 {
			err = blocks.ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("take back invite to %s: %w", heap, err)
	}
	return nil
}

// AcceptInvite implements [blocks.Invites].
func (s *Store) AcceptInvite(ctx context.Context, code blocks.InviteCode, user blocks.UserID, publicKey string, at int64) (heap blocks.HeapID, role blocks.Role, err error) {
	err = s.write(ctx, func(t *tx) error {
		var inv blocks.Invite
		var id int64
		err := t.queryRow(`SELECT heaps.id, `+inviteColumns+` FROM invites i JOIN heaps ON heaps.id = i.heap
			WHERE i.code = ? AND heaps.deleted_at = 0`, code[:]).Scan(append([]any{&id}, inviteFields(&inv)...)...)
		switch {
		case errors.Is(err, sql.ErrNoRows), err == nil && inv.PublicKey != "" && inv.PublicKey != publicKey:
			return blocks.ErrNotFound
		case err != nil:
			return t.check(err)
		}
		heap = inv.Heap
		err = t.queryRow(`SELECT role FROM members WHERE heap = ? AND user = ?`, id, user).Scan(&role)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return t.check(err)
		}
		if role >= inv.Role {
			return nil
		}
		if inv.ExpiresAt <= at || inv.MaxUses > 0 && inv.Uses >= inv.MaxUses {
			return blocks.ErrExpired
		}
		role = inv.Role
		if _, err := t.exec(`INSERT INTO members (heap, user, role, since) VALUES (?, ?, ?, ?)
			ON CONFLICT (heap, user) DO UPDATE SET role = excluded.role`, id, user, role, at); err != nil {
			return err
		}
		_, err = t.exec(`UPDATE invites SET uses = uses + 1 WHERE id = ?`, inv.ID)
		return err
	})
	return heap, role, err
}
