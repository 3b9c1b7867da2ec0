package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd" // the fastest zstd without cgo; a merged state shrinks to a third

	"github.com/heapsync/heapsync/blocks"
)

// A state is decoded in memory, so what a corrupt row may claim to be is bounded.
const maxState = 1 << 30

// Both are safe for concurrent use.
var (
	compressor      = newCompressor()
	decompressor, _ = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxState), zstd.WithDecoderConcurrency(0))
)

// newCompressor returns one that is set up in full. Otherwise the first who uses it does
// that, and if that is a test with a clock of its own, nobody after it can use it.
func newCompressor() *zstd.Encoder {
	c, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err) // of the options, which are constant
	}
	c.EncodeAll(nil, nil)
	return c
}

func decompress(state []byte) ([]byte, error) {
	if state == nil {
		return nil, nil
	}
	out, err := decompressor.DecodeAll(state, nil)
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w: %w", blocks.ErrCorrupt, err)
	}
	if out == nil {
		out = []byte{}
	}
	return out, nil
}

// readSnapshot returns head's snapshot as it is stored, compressed.
func readSnapshot(ctx context.Context, r rowQuerier, head *blocks.Head) (blocks.Snapshot, error) {
	if head.SnapshotSeq == 0 {
		return blocks.Snapshot{}, nil
	}
	snap := blocks.Snapshot{Ref: head.Ref}
	var crc int64
	err := r.QueryRowContext(ctx, `SELECT seq, crc, state FROM snapshots WHERE block = ?`, head.Ref).Scan(&snap.Seq, &crc, &snap.State)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return blocks.Snapshot{}, fmt.Errorf("snapshot is missing: %w", blocks.ErrCorrupt)
	case err != nil:
		return blocks.Snapshot{}, err
	case snap.Seq != head.SnapshotSeq, crc != new(summer).snapshotSum(int64(head.Ref), int64(snap.Seq), snap.State):
		return blocks.Snapshot{}, fmt.Errorf("snapshot: %w", blocks.ErrCorrupt)
	}
	return snap, nil
}

// SaveSnapshot implements [blocks.Snapshots].
func (s *Store) SaveSnapshot(ctx context.Context, snap blocks.Snapshot) error {
	return s.saveSnapshot(ctx, snap, false)
}

// ReplaceSnapshot implements [blocks.History].
func (s *Store) ReplaceSnapshot(ctx context.Context, snap blocks.Snapshot) error {
	return s.saveSnapshot(ctx, snap, true)
}

func (s *Store) saveSnapshot(ctx context.Context, snap blocks.Snapshot, again bool) error {
	state := compressor.EncodeAll(snap.State, nil) // here, not on the writer's goroutine
	err := s.write(ctx, func(t *tx) error {
		var seq, old blocks.Seq
		var heap, size int64
		err := t.queryRow(`SELECT heap, blocks.seq, snapshot_seq, coalesce(length(state), 0)
			FROM blocks LEFT JOIN snapshots ON snapshots.block = ref WHERE ref = ? AND deleted_at = 0`, snap.Ref).Scan(&heap, &seq, &old, &size)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return blocks.ErrNotFound
		case err != nil:
			return err
		case snap.Seq < old, snap.Seq == old && !again:
			return nil
		case snap.Seq > seq:
			return fmt.Errorf("log ends at %d: %w", seq, blocks.ErrInvalid)
		}
		crc := t.w.snapshotSum(int64(snap.Ref), int64(snap.Seq), state)
		_, err = t.exec(`INSERT INTO snapshots (block, seq, crc, state) VALUES (?, ?, ?, ?)
			ON CONFLICT (block) DO UPDATE SET seq = excluded.seq, crc = excluded.crc, state = excluded.state`,
			snap.Ref, snap.Seq, crc, state)
		if err != nil {
			return err
		}
		if _, err = t.exec(`UPDATE heaps SET state_bytes = state_bytes + ? WHERE id = ?`, int64(len(state))-size, heap); err != nil {
			return err
		}
		_, err = t.exec(`WITH RECURSIVE tail (seq, prev, size) AS (
				SELECT seq, prev, length(bytes) FROM updates WHERE seq = ?1 AND seq > ?2
				UNION ALL
				SELECT u.seq, u.prev, length(u.bytes)
				FROM tail JOIN updates u ON u.seq = tail.prev WHERE tail.prev > ?2
			) UPDATE blocks SET snapshot_seq = ?2,
				(tail, tail_bytes) = (SELECT count(*), coalesce(sum(size), 0) FROM tail)
			WHERE ref = ?3`, seq, snap.Seq, snap.Ref)
		return err
	})
	if err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	return nil
}

// Quarantine implements [blocks.Snapshots].
func (s *Store) Quarantine(ctx context.Context, ref blocks.Ref, reason string) error {
	err := s.write(ctx, func(t *tx) error {
		return found(t.exec(`UPDATE blocks SET quarantine = ? WHERE ref = ?`, reason, ref))
	})
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	return nil
}

// found turns a change of no row into ErrNotFound.
func found(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, blocks.ErrNotFound)
	}
	return nil
}

// ExpireHeld implements [blocks.Snapshots].
func (s *Store) ExpireHeld(ctx context.Context, before int64) (int, error) {
	var n int64
	err := s.write(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE blocks SET held = held - old.n, held_bytes = held_bytes - old.size
			FROM (SELECT block, count(*) AS n, sum(length(bytes)) AS size FROM held WHERE at < ? GROUP BY block) AS old
			WHERE blocks.ref = old.block`, before)
		if err != nil {
			return err
		}
		res, err := t.exec(`DELETE FROM held WHERE at < ?`, before)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("expire held updates: %w", err)
	}
	return int(n), nil
}

// HeldBytesOf implements [blocks.Snapshots].
func (s *Store) HeldBytesOf(ctx context.Context, user blocks.UserID) (int64, error) {
	var n int64
	err := s.readers.QueryRowContext(ctx, `SELECT coalesce(sum(length(held.bytes)), 0)
		FROM actors JOIN held ON held.actor = actors.id WHERE actors.user = ?`, user).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("held bytes of %s: %w", user, readError(err))
	}
	return n, nil
}
