package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/heapsync/heapsync/blocks"
)

const heapColumns = `heaps.heap, heaps.name, heaps.owner, heaps.encrypted, heaps.created_at, heaps.updated_at, heaps.deleted_at`

func heapFields(h *blocks.Heap) []any {
	return []any{&h.ID, &h.Name, &h.Owner, &h.Encrypted, &h.CreatedAt, &h.UpdatedAt, &h.DeletedAt}
}

// CreateHeap implements [blocks.Heaps].
func (s *Store) CreateHeap(ctx context.Context, h blocks.Heap) error {
	err := s.write(ctx, func(t *tx) error {
		var id int64
		err := t.queryRow(`INSERT INTO heaps (heap, name, owner, encrypted, created_at, updated_at, deleted_at)
			VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			h.ID, h.Name, h.Owner, h.Encrypted, h.CreatedAt, h.UpdatedAt, h.DeletedAt).Scan(&id)
		if isUnique(err) {
			return blocks.ErrConflict
		}
		if err != nil {
			return t.check(err)
		}
		_, err = t.exec(`INSERT INTO members (heap, user, role, since) VALUES (?, ?, ?, ?)`, id, h.Owner, blocks.RoleOwner, h.CreatedAt)
		return err
	})
	if err != nil {
		return fmt.Errorf("create heap %s: %w", h.ID, err)
	}
	return nil
}

// RenameHeap implements [blocks.Heaps].
func (s *Store) RenameHeap(ctx context.Context, id blocks.HeapID, name string, at int64) error {
	err := s.write(ctx, func(t *tx) error {
		return found(t.exec(`UPDATE heaps SET name = ?, updated_at = ? WHERE heap = ? AND deleted_at = 0`, name, at, id))
	})
	if err != nil {
		return fmt.Errorf("rename heap %s: %w", id, err)
	}
	return nil
}

// Heap implements [blocks.Heaps].
func (s *Store) Heap(ctx context.Context, id blocks.HeapID) (blocks.Heap, error) {
	var h blocks.Heap
	err := s.readers.QueryRowContext(ctx, `SELECT `+heapColumns+` FROM heaps WHERE heap = ? AND deleted_at = 0`, id).Scan(heapFields(&h)...)
	if errors.Is(err, sql.ErrNoRows) {
		err = blocks.ErrNotFound
	}
	if err != nil {
		return blocks.Heap{}, fmt.Errorf("heap %s: %w", id, readError(err))
	}
	return h, nil
}

// HeapsOf implements [blocks.Heaps].
func (s *Store) HeapsOf(ctx context.Context, user blocks.UserID) ([]blocks.HeapSummary, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT `+heapColumns+`, m.role
		FROM members m JOIN heaps ON heaps.id = m.heap
		WHERE m.user = ? AND heaps.deleted_at = 0
		ORDER BY heaps.created_at DESC, heaps.id DESC`, user)
	if err != nil {
		return nil, fmt.Errorf("heaps of %s: %w", user, readError(err))
	}
	defer rows.Close()
	var list []blocks.HeapSummary
	for rows.Next() {
		var h blocks.HeapSummary
		if err := rows.Scan(append(heapFields(&h.Heap), &h.Role)...); err != nil {
			return nil, fmt.Errorf("heaps of %s: %w", user, err)
		}
		list = append(list, h)
	}
	return list, readError(rows.Err())
}

// RoleOf implements [blocks.Heaps].
func (s *Store) RoleOf(ctx context.Context, user blocks.UserID, heap blocks.HeapID) (blocks.Role, bool, error) {
	var role blocks.Role
	var encrypted bool
	err := s.readers.QueryRowContext(ctx, `SELECT coalesce(m.role, 0), heaps.encrypted
		FROM heaps LEFT JOIN members m ON m.heap = heaps.id AND m.user = ?
		WHERE heaps.heap = ? AND heaps.deleted_at = 0`, user, heap).Scan(&role, &encrypted)
	if errors.Is(err, sql.ErrNoRows) {
		return blocks.RoleNone, false, nil
	}
	if err != nil {
		return blocks.RoleNone, false, fmt.Errorf("role in %s: %w", heap, readError(err))
	}
	return role, encrypted, nil
}

// HeapsWithBlock implements [blocks.Heaps].
func (s *Store) HeapsWithBlock(ctx context.Context, user blocks.UserID, block blocks.BlockID) ([]blocks.HeapID, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT heaps.heap
		FROM blocks b JOIN heaps ON heaps.id = b.heap JOIN members m ON m.heap = b.heap
		WHERE b.block = ? AND m.user = ? AND m.role >= ? AND heaps.deleted_at = 0
		ORDER BY heaps.heap`, block, user, blocks.RoleViewer)
	if err != nil {
		return nil, fmt.Errorf("heaps with block %s: %w", block, readError(err))
	}
	defer rows.Close()
	var list []blocks.HeapID
	for rows.Next() {
		var id blocks.HeapID
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("heaps with block %s: %w", block, err)
		}
		list = append(list, id)
	}
	return list, readError(rows.Err())
}

// AllHeaps implements [blocks.Heaps].
func (s *Store) AllHeaps(ctx context.Context) ([]blocks.HeapID, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT heap FROM heaps ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("all heaps: %w", readError(err))
	}
	defer rows.Close()
	var list []blocks.HeapID
	for rows.Next() {
		var id blocks.HeapID
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("all heaps: %w", err)
		}
		list = append(list, id)
	}
	return list, readError(rows.Err())
}
