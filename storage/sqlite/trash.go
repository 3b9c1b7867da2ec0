package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/heapsync/heapsync/blocks"
)

// SetTrashed implements [blocks.Trash].
func (s *Store) SetTrashed(ctx context.Context, ref blocks.Ref, at int64) error {
	err := s.write(ctx, func(t *tx) error {
		return found(t.exec(`UPDATE blocks SET trashed_at = ? WHERE ref = ? AND deleted_at = 0`, at, ref))
	})
	if err != nil {
		return fmt.Errorf("set trashed: %w", err)
	}
	return nil
}

// Trashed implements [blocks.Trash].
func (s *Store) Trashed(ctx context.Context, heap blocks.HeapID, before, since int64, ref blocks.Ref, limit int) ([]blocks.Head, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT `+headColumns+`
		FROM heaps CROSS JOIN blocks b INDEXED BY blocks_trashed ON b.heap = heaps.id
		WHERE heaps.heap = ? AND b.trashed_at > 0 AND b.deleted_at = 0 AND b.trashed_at < ? AND (b.trashed_at, b.ref) > (?, ?)
		ORDER BY b.trashed_at, b.ref LIMIT ?`, heap, before, since, ref, limit)
	if err != nil {
		return nil, fmt.Errorf("trash of %s: %w", heap, readError(err))
	}
	defer rows.Close()
	var heads []blocks.Head
	for rows.Next() {
		h, err := scanHead(rows)
		if err != nil && !errors.Is(err, blocks.ErrCorrupt) {
			return nil, fmt.Errorf("trash of %s: %w", heap, err)
		}
		heads = append(heads, h)
	}
	return heads, readError(rows.Err())
}

// Purge implements [blocks.Trash].
func (s *Store) Purge(ctx context.Context, doomed []blocks.Doomed) ([]blocks.Tombstone, error) {
	var stones []blocks.Tombstone
	err := s.write(ctx, func(t *tx) error {
		for _, d := range doomed {
			stone, err := purge(t, d)
			if errors.Is(err, blocks.ErrNotFound) {
				continue // it has moved on, or is deleted
			}
			if err != nil {
				return t.check(err)
			}
			stones = append(stones, stone)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("purge blocks: %w", err)
	}
	return stones, nil
}

func purge(t *tx, d blocks.Doomed) (blocks.Tombstone, error) {
	head, err := scanHead(t.queryRow(`SELECT `+headColumns+` FROM blocks b JOIN heaps ON heaps.id = b.heap
		WHERE b.ref = ? AND b.deleted_at = 0 AND ? IN (0, b.seq)`, d.Ref, d.Seq))
	if errors.Is(err, sql.ErrNoRows) {
		return blocks.Tombstone{}, blocks.ErrNotFound
	}
	if err != nil && !errors.Is(err, blocks.ErrCorrupt) { // a corrupt one can go
		return blocks.Tombstone{}, err
	}
	stone := blocks.Tombstone{Key: head.Key, Ref: d.Ref, Freed: head.Bytes}
	if err := dropContent(t, d.Ref); err != nil {
		return stone, err
	}
	neverListed := head.Seq == 0
	stone.Seq, stone.At = t.nextSeq(), t.time()
	head.Seq, head.Bytes, head.StateVector, head.Shape = stone.Seq, 0, nil, blocks.Shape{}
	_, err = t.exec(`UPDATE blocks SET seq = ?, bytes = 0, state_vector = x'', depth = 0, items = 0, branches = 0, keyed = 0, wide = 0,
			updates = updates + 1, deleted_at = ?, updated_at = ?, crc = ? WHERE ref = ?`,
		stone.Seq, stone.At, stone.At, t.w.headSum(&head, stone.Seq), d.Ref)
	if err != nil {
		return stone, err
	}
	_, err = t.exec(`UPDATE heaps SET tombstones = tombstones + 1, listed = listed + ? WHERE heap = ?`, number(neverListed), head.Key.Heap)
	return stone, err
}

// DeleteHeap implements [blocks.Trash].
func (s *Store) DeleteHeap(ctx context.Context, heap blocks.HeapID, at, purgeAt int64) error {
	err := s.write(ctx, func(t *tx) error {
		return found(t.exec(`UPDATE heaps SET deleted_at = ?, purge_at = ? WHERE heap = ? AND deleted_at = 0`, at, purgeAt, heap))
	})
	if err != nil {
		return fmt.Errorf("delete heap %s: %w", heap, err)
	}
	return nil
}

// UndeleteHeap implements [blocks.Trash].
func (s *Store) UndeleteHeap(ctx context.Context, heap blocks.HeapID) error {
	err := s.write(ctx, func(t *tx) error {
		return found(t.exec(`UPDATE heaps SET deleted_at = 0, purge_at = 0 WHERE heap = ? AND deleted_at > 0 AND purge_at > ?`, heap, purging))
	})
	if err != nil {
		return fmt.Errorf("undelete heap %s: %w", heap, err)
	}
	return nil
}

// purging is the purge_at of a heap of which some blocks are gone already.
const purging = 1

// Graveyard implements [blocks.Trash].
func (s *Store) Graveyard(ctx context.Context) ([]blocks.DeletedHeap, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT `+heapColumns+`, purge_at FROM heaps WHERE deleted_at > 0 ORDER BY purge_at, id`)
	if err != nil {
		return nil, fmt.Errorf("deleted heaps: %w", readError(err))
	}
	defer rows.Close()
	var list []blocks.DeletedHeap
	for rows.Next() {
		var h blocks.DeletedHeap
		if err := rows.Scan(append(heapFields(&h.Heap), &h.PurgeAt)...); err != nil {
			return nil, fmt.Errorf("deleted heaps: %w", err)
		}
		list = append(list, h)
	}
	return list, readError(rows.Err())
}

// purgeStep is how many blocks of a heap one transaction removes.
const purgeStep = 50

// PurgeHeap implements [blocks.Trash].
func (s *Store) PurgeHeap(ctx context.Context, heap blocks.HeapID) (more bool, err error) {
	err = s.write(ctx, func(t *tx) error {
		more, err = purgeHeap(t, heap)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("purge heap %s: %w", heap, err)
	}
	return more, nil
}

func purgeHeap(t *tx, heap blocks.HeapID) (more bool, err error) {
	var id int64
	err = t.queryRow(`UPDATE heaps SET purge_at = ? WHERE heap = ? AND deleted_at > 0 RETURNING id`, purging, heap).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return false, blocks.ErrNotFound
	}
	if err != nil {
		return false, t.check(err)
	}
	refs, err := refsOf(t, id, purgeStep)
	if err != nil {
		return false, err
	}
	for _, ref := range refs {
		if err := dropContent(t, ref); err != nil {
			return false, err
		}
		if _, err := t.exec(`UPDATE clock SET gone = gone + (SELECT updates FROM blocks WHERE ref = ?)`, ref); err != nil {
			return false, err
		}
		if _, err := t.exec(`DELETE FROM blocks WHERE ref = ?`, ref); err != nil {
			return false, err
		}
	}
	if len(refs) == purgeStep {
		return true, nil
	}
	if more, err := dropScanned(t, id); err != nil || more {
		return more, err
	}
	for _, query := range []string{`DELETE FROM members WHERE heap = ?`, `DELETE FROM invites WHERE heap = ?`, `DELETE FROM uploads WHERE heap = ?`, `DELETE FROM heaps WHERE id = ?`} {
		if _, err := t.exec(query, id); err != nil {
			return false, err
		}
	}
	return false, nil
}

func refsOf(t *tx, heap int64, limit int) ([]blocks.Ref, error) {
	rows, err := t.w.conn.QueryContext(context.Background(), `SELECT ref FROM blocks WHERE heap = ? LIMIT ?`, heap, limit)
	if err != nil {
		return nil, t.check(err)
	}
	defer rows.Close()
	var refs []blocks.Ref
	for rows.Next() {
		var ref blocks.Ref
		if err := rows.Scan(&ref); err != nil {
			return nil, err
		}
		refs = append(refs, ref)
	}
	return refs, t.check(rows.Err())
}
