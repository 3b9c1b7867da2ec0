package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/heapsync/heapsync/blocks"
)

// heapRow is the row id of a heap that is not deleted, or ErrNotFound.
func heapRow(t *tx, heap blocks.HeapID) (int64, error) {
	var id int64
	err := t.queryRow(`SELECT id FROM heaps WHERE heap = ? AND deleted_at = 0`, heap).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, blocks.ErrNotFound
	}
	return id, t.check(err)
}

// Members implements [blocks.Members].
func (s *Store) Members(ctx context.Context, heap blocks.HeapID) ([]blocks.Member, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT m.user, m.role, m.since
		FROM heaps JOIN members m ON m.heap = heaps.id WHERE heaps.heap = ? ORDER BY m.since, m.user`, heap)
	if err != nil {
		return nil, fmt.Errorf("members of %s: %w", heap, readError(err))
	}
	defer rows.Close()
	var list []blocks.Member
	for rows.Next() {
		var m blocks.Member
		if err := rows.Scan(&m.User, &m.Role, &m.Since); err != nil {
			return nil, fmt.Errorf("members of %s: %w", heap, err)
		}
		list = append(list, m)
	}
	return list, readError(rows.Err())
}

// SetRole implements [blocks.Members].
func (s *Store) SetRole(ctx context.Context, heap blocks.HeapID, user blocks.UserID, role blocks.Role, at int64) error {
	err := s.write(ctx, func(t *tx) error {
		id, err := heapRow(t, heap)
		if err != nil {
			return err
		}
		if role == blocks.RoleNone {
			_, err = t.exec(`DELETE FROM members WHERE heap = ? AND user = ?`, id, user)
			return err
		}
		_, err = t.exec(`INSERT INTO members (heap, user, role, since) VALUES (?, ?, ?, ?)
			ON CONFLICT (heap, user) DO UPDATE SET role = excluded.role`, id, user, role, at)
		return err
	})
	if err != nil {
		return fmt.Errorf("set role in %s: %w", heap, err)
	}
	return nil
}

// Transfer implements [blocks.Members].
func (s *Store) Transfer(ctx context.Context, heap blocks.HeapID, from, to blocks.UserID) error {
	err := s.write(ctx, func(t *tx) error {
		id, err := heapRow(t, heap)
		if err != nil {
			return err
		}
		n, err := t.affected(`UPDATE heaps SET owner = ? WHERE id = ? AND owner = ?`, to, id, from)
		if err != nil {
			return err
		}
		if n == 0 {
			return blocks.ErrConflict
		}
		if n, err = t.affected(`UPDATE members SET role = ? WHERE heap = ? AND user = ?`, blocks.RoleOwner, id, to); err != nil {
			return err
		}
		if n == 0 {
			return blocks.ErrNotFound
		}
		_, err = t.exec(`UPDATE members SET role = ? WHERE heap = ? AND user = ?`, blocks.RoleEditor, id, from)
		return err
	})
	if err != nil {
		return fmt.Errorf("transfer %s: %w", heap, err)
	}
	return nil
}
