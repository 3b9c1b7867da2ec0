package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/ydoc"
)

const headColumns = `heaps.heap, b.block, b.ref, b.type, b.seq, b.sync_version, b.state_vector, b.bytes,
	b.depth, b.items, b.branches, b.keyed, b.wide,
	b.snapshot_seq, b.tail, b.tail_bytes, b.updates, b.raw, b.held, b.held_bytes, b.created_at, b.updated_at,
	b.trashed_at, b.deleted_at, b.quarantine, b.crc`

// scanHead reads headColumns. If the checksum is wrong it returns what is there
// with ErrCorrupt.
func scanHead(row interface{ Scan(...any) error }) (blocks.Head, error) {
	var h blocks.Head
	var crc int64
	err := row.Scan(&h.Key.Heap, &h.Key.Block, &h.Ref, &h.Type, &h.Seq, &h.SyncVersion, &h.StateVector, &h.Bytes,
		&h.Shape.Depth, &h.Shape.Items, &h.Shape.Branches, &h.Shape.Keyed, &h.Shape.Wide,
		&h.SnapshotSeq, &h.Tail, &h.TailBytes, &h.Updates, &h.Raw, &h.Held, &h.HeldBytes, &h.CreatedAt, &h.UpdatedAt,
		&h.TrashedAt, &h.DeletedAt, &h.Quarantine, &crc)
	if err != nil {
		return blocks.Head{}, err
	}
	if crc != new(summer).headSum(&h, h.Seq) {
		return h, fmt.Errorf("head of %s: %w", h.Key, blocks.ErrCorrupt)
	}
	return h, nil
}

// rowQuerier is a pool, a transaction or a connection.
type rowQuerier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func readHead(ctx context.Context, r rowQuerier, key blocks.BlockKey) (blocks.Head, error) {
	h, err := scanHead(r.QueryRowContext(ctx, `SELECT `+headColumns+`
		FROM blocks b JOIN heaps ON heaps.id = b.heap WHERE b.block = ? AND heaps.heap = ?`, key.Block, key.Heap))
	if errors.Is(err, sql.ErrNoRows) {
		return h, fmt.Errorf("block %s: %w", key, blocks.ErrNotFound)
	}
	return h, err
}

// Head implements [blocks.UpdateLog].
func (s *Store) Head(ctx context.Context, key blocks.BlockKey) (blocks.Head, error) {
	h, err := readHead(ctx, s.readers, key)
	return h, readError(err)
}

// State implements [blocks.UpdateLog].
func (s *Store) State(ctx context.Context, key blocks.BlockKey) (blocks.Head, blocks.Snapshot, []blocks.LoggedUpdate, error) {
	var head blocks.Head
	var snap blocks.Snapshot
	var tail []blocks.LoggedUpdate
	err := s.view(ctx, func(r *connTx) error {
		var err error
		if head, err = readHead(ctx, r, key); err != nil {
			return err
		}
		if snap, err = readSnapshot(ctx, r, &head); err != nil {
			return err
		}
		tail, err = s.readTail(ctx, r, &head)
		return err
	})
	if err == nil {
		snap.State, err = decompress(snap.State)
	}
	if err != nil {
		return head, blocks.Snapshot{}, nil, fmt.Errorf("state of %s: %w", key, err)
	}
	return head, snap, tail, nil
}

// readTail walks back from the head to the snapshot.
func (s *Store) readTail(ctx context.Context, r *connTx, head *blocks.Head) ([]blocks.LoggedUpdate, error) {
	if head.DeletedAt != 0 {
		return nil, nil
	}
	if head.Tail == 0 {
		if head.Seq != head.SnapshotSeq {
			return nil, fmt.Errorf("updates up to %d are missing: %w", head.Seq, blocks.ErrCorrupt)
		}
		return nil, nil
	}
	rows, err := r.QueryContext(ctx, `WITH RECURSIVE tail (seq, prev, actor, at, crc, bytes) AS (
			SELECT seq, prev, actor, at, crc, bytes FROM updates WHERE seq = ?1 AND block = ?2
			UNION ALL
			SELECT u.seq, u.prev, u.actor, u.at, u.crc, u.bytes
			FROM tail JOIN updates u ON u.seq = tail.prev WHERE tail.prev > ?3 AND u.block = ?2 AND u.seq < tail.seq
		) SELECT seq, prev, actor, at, crc, bytes FROM tail`, head.Seq, head.Ref, head.SnapshotSeq)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	tail := make([]blocks.LoggedUpdate, head.Tail)
	n, first := len(tail), blocks.Seq(0)
	var sums summer
	var actors []int64
	for rows.Next() {
		u := updateRow{ref: int64(head.Ref)}
		var crc int64
		if err := rows.Scan(&u.seq, &u.prev, &u.actor, &u.at, &crc, &u.bytes); err != nil {
			return nil, err
		}
		if crc != sums.updateSum(&u) || n == 0 {
			return nil, fmt.Errorf("update %d: %w", u.seq, blocks.ErrCorrupt)
		}
		n--
		tail[n] = blocks.LoggedUpdate{Seq: u.seq, At: u.at, Bytes: u.bytes}
		actors = append(actors, u.actor)
		first = blocks.Seq(u.prev)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if n != 0 || first > head.SnapshotSeq {
		return nil, fmt.Errorf("%d updates are missing: %w", n, blocks.ErrCorrupt)
	}
	for i, id := range actors {
		a, err := s.actor(ctx, r, id)
		if err != nil {
			return nil, err
		}
		u := &tail[len(tail)-1-i]
		u.User, u.Session = a.user, a.session
	}
	return tail, nil
}

// actor returns who has the number id.
func (s *Store) actor(ctx context.Context, r rowQuerier, id int64) (actor, error) {
	s.namesMu.RLock()
	a, ok := s.names[id]
	s.namesMu.RUnlock()
	if ok {
		return a, nil
	}
	err := r.QueryRowContext(ctx, `SELECT user, session FROM actors WHERE id = ?`, id).Scan(&a.user, &a.session)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("actor %d: %w", id, blocks.ErrCorrupt)
	}
	if err != nil {
		return actor{}, err
	}
	s.namesMu.Lock()
	defer s.namesMu.Unlock()
	if len(s.names) >= maxActors {
		clear(s.names)
	}
	s.names[id] = a
	return a, nil
}

// Claims implements [blocks.UpdateLog].
func (s *Store) Claims(ctx context.Context, ref blocks.Ref, clients []ydoc.ClientID) ([]blocks.Claim, error) {
	ids := make([]int64, 0, len(clients))
	for _, c := range clients {
		if c <= maxClient {
			ids = append(ids, int64(c))
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	rows, err := s.readers.QueryContext(ctx, `SELECT c.client, actors.user
		FROM json_each(?) AS wanted CROSS JOIN clients c ON c.block = ? AND c.client = wanted.value
		JOIN actors ON actors.id = c.actor`, string(list), ref)
	if err != nil {
		return nil, fmt.Errorf("claims: %w", readError(err))
	}
	defer rows.Close()
	var claims []blocks.Claim
	for rows.Next() {
		var c blocks.Claim
		if err := rows.Scan(&c.Client, &c.User); err != nil {
			return nil, fmt.Errorf("claims: %w", err)
		}
		claims = append(claims, c)
	}
	return claims, readError(rows.Err())
}

// Held implements [blocks.UpdateLog].
func (s *Store) Held(ctx context.Context, ref blocks.Ref) ([]blocks.HeldUpdate, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT held.id, held.actor, held.at, held.crc, held.bytes, actors.user, actors.session
		FROM held JOIN actors ON actors.id = held.actor WHERE held.block = ? ORDER BY held.id`, ref)
	if err != nil {
		return nil, fmt.Errorf("held updates: %w", readError(err))
	}
	defer rows.Close()
	var held []blocks.HeldUpdate
	var sums summer
	for rows.Next() {
		var h blocks.HeldUpdate
		var id, crc int64
		if err := rows.Scan(&h.ID, &id, &h.At, &crc, &h.Bytes, &h.User, &h.Session); err != nil {
			return nil, fmt.Errorf("held updates: %w", err)
		}
		if crc != sums.heldSum(int64(ref), id, h.At, h.Bytes) {
			return nil, fmt.Errorf("held update %d: %w", h.ID, blocks.ErrCorrupt)
		}
		held = append(held, h)
	}
	return held, readError(rows.Err())
}
