package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/heapsync/heapsync/blocks"
)

// FoldUpdates implements [blocks.History].
func (s *Store) FoldUpdates(ctx context.Context, ref blocks.Ref, w blocks.Window, seqs []blocks.Seq) error {
	err := s.fold(ctx, ref, w, seqs, func(t *tx, heap int64, list string) error {
		var snapshot, folded, prev blocks.Seq
		err := t.queryRow(`SELECT snapshot_seq, (SELECT coalesce(max(to_seq), 0) FROM history WHERE block = ref),
				coalesce((SELECT prev FROM updates WHERE seq = ? AND block = ref), -1)
			FROM blocks WHERE ref = ?`, seqs[0], ref).Scan(&snapshot, &folded, &prev)
		switch {
		case err != nil:
			return t.check(err)
		case w.To > snapshot:
			return fmt.Errorf("the snapshot ends at %d: %w", snapshot, blocks.ErrInvalid)
		case folded != w.After || prev != w.After:
			return fmt.Errorf("windows end at %d, and %d follows on %d: %w", folded, seqs[0], prev, blocks.ErrConflict)
		}
		n, err := t.affected(`DELETE FROM updates WHERE seq IN (SELECT value FROM json_each(?)) AND block = ?`, list, ref)
		if err != nil {
			return err
		}
		if n != int64(len(seqs)) || n != w.Updates {
			return fmt.Errorf("%d updates of %d are there: %w", n, w.Updates, blocks.ErrConflict)
		}
		if _, err := t.exec(`UPDATE blocks SET raw = raw - ? WHERE ref = ?`, n, ref); err != nil {
			return err
		}
		_, err = t.exec(`UPDATE heaps SET folded_bytes = folded_bytes + ? WHERE id = ?`, w.Size, heap)
		return err
	})
	if err != nil {
		return fmt.Errorf("fold updates up to %d: %w", w.To, err)
	}
	return nil
}

// FoldWindows implements [blocks.History].
func (s *Store) FoldWindows(ctx context.Context, ref blocks.Ref, w blocks.Window, seqs []blocks.Seq) error {
	err := s.fold(ctx, ref, w, seqs, func(t *tx, heap int64, list string) error {
		var first, last blocks.Seq
		var n, updates, size, stored int64
		err := t.queryRow(`SELECT count(*), coalesce(min(after_seq), 0), coalesce(max(to_seq), 0), coalesce(sum(updates), 0),
				coalesce(sum(size), 0), coalesce(sum(length(bytes)), 0)
			FROM history WHERE block = ? AND to_seq IN (SELECT value FROM json_each(?))`, ref, list).
			Scan(&n, &first, &last, &updates, &size, &stored)
		if err != nil {
			return t.check(err)
		}
		if n != int64(len(seqs)) || first != w.After || last != w.To || updates != w.Updates || size != w.Size {
			return fmt.Errorf("%d windows of %d are there: %w", n, len(seqs), blocks.ErrConflict)
		}
		n, err = t.affected(`DELETE FROM history WHERE block = ? AND to_seq > ? AND to_seq <= ?`, ref, w.After, w.To)
		if err == nil && n != int64(len(seqs)) {
			err = fmt.Errorf("%d windows lie there: %w", n, blocks.ErrConflict)
		}
		if err != nil {
			return err
		}
		_, err = t.exec(`UPDATE heaps SET history_bytes = history_bytes - ? WHERE id = ?`, stored, heap)
		return err
	})
	if err != nil {
		return fmt.Errorf("fold windows up to %d: %w", w.To, err)
	}
	return nil
}

// fold has clear remove what w replaces, and puts w there, in one transaction.
func (s *Store) fold(ctx context.Context, ref blocks.Ref, w blocks.Window, seqs []blocks.Seq, clear func(t *tx, heap int64, list string) error) error {
	if len(seqs) == 0 || w.Level <= blocks.LevelUpdate || w.Level > blocks.LevelBase {
		return fmt.Errorf("window of %d parts, level %d: %w", len(seqs), w.Level, blocks.ErrInvalid)
	}
	list, err := json.Marshal(seqs)
	if err != nil {
		return err
	}
	row := windowRow{ref: int64(ref), after: int64(w.After), to: int64(w.To), firstAt: w.FirstAt, lastAt: w.LastAt,
		updates: w.Updates, size: w.Size, level: int64(w.Level), bytes: compressor.EncodeAll(w.Update, nil)}
	return s.write(ctx, func(t *tx) error {
		var heap int64
		err := t.queryRow(`SELECT heap FROM blocks WHERE ref = ? AND deleted_at = 0`, ref).Scan(&heap)
		if errors.Is(err, sql.ErrNoRows) {
			return blocks.ErrNotFound
		}
		if err != nil {
			return t.check(err)
		}
		var named int
		err = t.queryRow(`SELECT count(*) FROM versions WHERE block = ? AND seq > ? AND seq < ?`, ref, w.After, w.To).Scan(&named)
		if err != nil {
			return t.check(err)
		}
		if named > 0 {
			return fmt.Errorf("it holds a named version: %w", blocks.ErrConflict)
		}
		if err := clear(t, heap, string(list)); err != nil {
			return err
		}
		row.authors = row.authors[:0]
		for _, a := range w.Authors {
			id, err := t.w.actorID(actor{a.User, a.Session})
			if err != nil {
				return t.check(err)
			}
			row.authors = binary.AppendUvarint(binary.AppendUvarint(row.authors, uint64(id)), uint64(a.Updates))
		}
		_, err = t.exec(`INSERT INTO history (`+windowColumns+`, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			row.ref, row.after, row.to, row.firstAt, row.lastAt, row.updates, row.size, row.level, t.w.windowSum(&row),
			notNil(row.authors), notNil(row.bytes))
		if err != nil {
			return err
		}
		_, err = t.exec(`UPDATE heaps SET history_bytes = history_bytes + ? WHERE id = ?`, len(row.bytes), heap)
		return err
	})
}

// dueRows is how many rows one call of DueUpdates or DueWindows looks at.
const dueRows = 4096

// DueUpdates implements [blocks.History]. The log's order is that of time, so that its
// beginning has all that is due.
func (s *Store) DueUpdates(ctx context.Context, cursor blocks.Cursor, before int64) ([]blocks.BlockKey, blocks.Cursor, error) {
	keys, next, err := s.due(ctx, cursor, `SELECT block, at, seq FROM updates WHERE seq > ?2 ORDER BY seq LIMIT ?3`, before)
	if err != nil {
		return nil, cursor, fmt.Errorf("updates that are due: %w", readError(err))
	}
	return keys, next, nil
}

// DueWindows implements [blocks.History].
func (s *Store) DueWindows(ctx context.Context, level blocks.Level, cursor blocks.Cursor, before int64) ([]blocks.BlockKey, blocks.Cursor, error) {
	keys, next, err := s.due(ctx, cursor, `SELECT block, last_at, id FROM history
		WHERE level = ?4 AND (last_at, id) > (?1, ?2) ORDER BY last_at, id LIMIT ?3`, before, level)
	if err != nil {
		return nil, cursor, fmt.Errorf("windows that are due: %w", readError(err))
	}
	return keys, next, nil
}

// due returns the blocks of the rows after cursor until the first whose time is not
// before. query gives block, time and number, in that order.
func (s *Store) due(ctx context.Context, cursor blocks.Cursor, query string, before int64, args ...any) ([]blocks.BlockKey, blocks.Cursor, error) {
	var keys []blocks.BlockKey
	err := s.view(ctx, func(r *connTx) error {
		rows, err := r.QueryContext(ctx, query, append([]any{cursor.A, cursor.B, dueRows}, args...)...)
		if err != nil {
			return err
		}
		defer rows.Close()
		seen := map[int64]bool{}
		var refs []int64
		for rows.Next() {
			var ref int64
			var at blocks.Cursor
			if err := rows.Scan(&ref, &at.A, &at.B); err != nil {
				return err
			}
			if at.A >= before {
				break
			}
			cursor = at
			if !seen[ref] {
				seen[ref] = true
				refs = append(refs, ref)
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		rows.Close()
		for _, ref := range refs {
			var key blocks.BlockKey
			err := r.QueryRowContext(ctx, `SELECT heaps.heap, b.block FROM blocks b JOIN heaps ON heaps.id = b.heap WHERE b.ref = ?`, ref).
				Scan(&key.Heap, &key.Block)
			if errors.Is(err, sql.ErrNoRows) {
				continue // the check command will say so
			}
			if err != nil {
				return err
			}
			keys = append(keys, key)
		}
		return nil
	})
	return keys, cursor, err
}

// DiskUse implements [blocks.History].
func (s *Store) DiskUse(ctx context.Context, heap blocks.HeapID) (blocks.DiskUse, error) {
	var use blocks.DiskUse
	err := s.readers.QueryRowContext(ctx, `SELECT state_bytes, history_bytes, folded_bytes FROM heaps WHERE heap = ?`, heap).
		Scan(&use.Snapshots, &use.Windows, &use.Folded)
	if errors.Is(err, sql.ErrNoRows) {
		err = blocks.ErrNotFound
	}
	if err != nil {
		return blocks.DiskUse{}, fmt.Errorf("disk use of %s: %w", heap, readError(err))
	}
	return use, nil
}

// Recount implements [blocks.History].
func (s *Store) Recount(ctx context.Context, heap blocks.HeapID) error {
	err := s.write(ctx, func(t *tx) error {
		return found(t.exec(`UPDATE heaps SET
				state_bytes = (SELECT coalesce(sum(length(state)), 0) FROM blocks b JOIN snapshots ON snapshots.block = b.ref WHERE b.heap = heaps.id),
				history_bytes = (SELECT coalesce(sum(length(h.bytes)), 0) FROM blocks b JOIN history h ON h.block = b.ref WHERE b.heap = heaps.id),
				folded_bytes = (SELECT coalesce(sum(h.size), 0) FROM blocks b JOIN history h ON h.block = b.ref WHERE b.heap = heaps.id)
			WHERE heap = ?`, heap))
	})
	if err != nil {
		return fmt.Errorf("recount %s: %w", heap, err)
	}
	return nil
}

// dropContent deletes all that is stored of a block but its head: updates, windows,
// snapshot, versions, claims and what is held. The caller writes the head: deleted_at,
// a seq of its own that updates counts, and bytes 0.
func dropContent(t *tx, ref blocks.Ref) error {
	var heap, state, windows, folded int64
	err := t.queryRow(`SELECT heap, coalesce((SELECT length(state) FROM snapshots WHERE block = ref), 0),
			(SELECT coalesce(sum(length(bytes)), 0) FROM history WHERE block = ref),
			(SELECT coalesce(sum(size), 0) FROM history WHERE block = ref)
		FROM blocks WHERE ref = ?`, ref).Scan(&heap, &state, &windows, &folded)
	if errors.Is(err, sql.ErrNoRows) {
		return blocks.ErrNotFound
	}
	if err != nil {
		return t.check(err)
	}
	_, err = t.exec(`DELETE FROM updates WHERE seq IN (WITH RECURSIVE tail (seq, prev) AS (
			SELECT u.seq, u.prev FROM blocks b JOIN updates u ON u.seq = b.seq WHERE b.ref = ?1 AND u.block = ?1
			UNION ALL
			SELECT u.seq, u.prev FROM tail JOIN updates u ON u.seq = tail.prev WHERE u.block = ?1 AND u.seq < tail.seq
		) SELECT seq FROM tail)`, ref)
	if err != nil {
		return err
	}
	for _, query := range []string{
		`DELETE FROM history WHERE block = ?`, `DELETE FROM snapshots WHERE block = ?`,
		`DELETE FROM versions WHERE block = ?`, `DELETE FROM clients WHERE block = ?`, `DELETE FROM held WHERE block = ?`,
		`DELETE FROM files WHERE block = ?`, `DELETE FROM uploads WHERE (heap, block) IN (SELECT heap, block FROM blocks WHERE ref = ?)`,
		`UPDATE blocks SET raw = 0, tail = 0, tail_bytes = 0, snapshot_seq = 0, held = 0, held_bytes = 0, quarantine = '' WHERE ref = ?`,
	} {
		if _, err := t.exec(query, ref); err != nil {
			return err
		}
	}
	_, err = t.exec(`UPDATE heaps SET state_bytes = state_bytes - ?, history_bytes = history_bytes - ?, folded_bytes = folded_bytes - ?
		WHERE id = ?`, state, windows, folded, heap)
	return err
}
