package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/heapsync/heapsync/blocks"
)

// tickAfter (ms) is how far the clock may be ahead of the stored time before it is
// moved on. A poller that keeps up is given what it has already seen for as long.
const tickAfter = 1000

// ServerTime implements [blocks.Changes].
func (s *Store) ServerTime(ctx context.Context) (int64, error) {
	s.moveTime(ctx)
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return s.writer.committedAt.Load() + 1, nil
}

// moveTime commits the time if the clock is well ahead of the last commit. If that
// fails the stored time stays as it is, which is right, only old.
func (s *Store) moveTime(ctx context.Context) {
	behind := func() bool { return s.now().UnixMilli()-s.writer.committedAt.Load() > tickAfter }
	if !behind() {
		return
	}
	s.tickMu.Lock()
	defer s.tickMu.Unlock()
	now := s.now().UnixMilli()
	if since := now - s.lastTick; !behind() || since >= 0 && since < tickAfter {
		return // somebody else has just done it, or tried
	}
	s.lastTick = now
	if err := s.tick(ctx); err != nil {
		s.writer.log.Debug("time could not be stored", "err", err)
	}
}

// Changed implements [blocks.Changes].
func (s *Store) Changed(ctx context.Context, heap blocks.HeapID, after blocks.Seq, since int64, limit int) (blocks.Page, error) {
	s.moveTime(ctx)
	var page blocks.Page
	err := s.view(ctx, func(r *connTx) error {
		// The time comes first: the view begins with the first read.
		err := r.QueryRowContext(ctx, `SELECT at + 1 FROM clock`).Scan(&page.ServerTime)
		if err != nil {
			return err
		}
		var id int64
		err = r.QueryRowContext(ctx, `SELECT id FROM heaps WHERE heap = ?`, heap).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			page.Next = max(after, 0)
			return nil
		}
		if err != nil {
			return err
		}
		if after < 0 {
			if after, err = seqBefore(ctx, r, id, since); err != nil {
				return err
			}
		}
		return s.readPage(ctx, r, id, after, max(limit, 1), &page)
	})
	if err != nil {
		return blocks.Page{}, fmt.Errorf("changes of %s: %w", heap, err)
	}
	return page, nil
}

// seqBefore returns the seq after which the blocks come that were committed at
// since or later. Seq and commit time grow together, so the walk back through the
// index ends at the first older block.
func seqBefore(ctx context.Context, r *connTx, heap, since int64) (blocks.Seq, error) {
	if since <= 0 {
		return 0, nil
	}
	var seq blocks.Seq
	err := r.QueryRowContext(ctx, `SELECT seq FROM blocks INDEXED BY blocks_by_seq
		WHERE heap = ? AND updated_at < ? ORDER BY seq DESC LIMIT 1`, heap, since).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return seq, err
}

func (s *Store) readPage(ctx context.Context, r *connTx, heap int64, after blocks.Seq, limit int, page *blocks.Page) error {
	rest, err := s.rest(ctx, r, heap, after)
	if err != nil {
		return err
	}
	page.TotalChanged, page.TotalDeleted = rest.changed, rest.deleted
	page.Next = after
	rows, err := r.QueryContext(ctx, `SELECT `+headColumns+`
		FROM blocks b INDEXED BY blocks_by_seq JOIN heaps ON heaps.id = b.heap
		WHERE b.heap = ? AND b.seq > ? ORDER BY b.seq LIMIT ?`, heap, after, limit+1)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if len(page.Heads) == limit {
			page.More = true
			break
		}
		h, err := scanHead(rows)
		if err != nil && !errors.Is(err, blocks.ErrCorrupt) {
			return err // a corrupt head is listed: who opens the block will hear of it
		}
		page.Heads = append(page.Heads, h)
		page.Next = h.Seq
	}
	if err := rows.Err(); err != nil {
		return err
	}
	s.keepRest(heap, rest, page)
	return nil
}

// pageRest is what of a heap's changes comes after a page, while the heap's last seq is
// what it was.
type pageRest struct {
	changed, deleted int64
	last             blocks.Seq
}

// maxRests bounds the pages of which the rest is remembered.
const maxRests = 1000

type pageEnd struct {
	heap  int64
	after blocks.Seq
}

// rest counts what comes after a seq: all of it is known, and the rest of a page that was
// read is what was there less the page, until the heap changes. Only else it is counted.
func (s *Store) rest(ctx context.Context, r *connTx, heap int64, after blocks.Seq) (pageRest, error) {
	var rest pageRest
	err := r.QueryRowContext(ctx, `SELECT coalesce(max(seq), 0) FROM blocks WHERE heap = ?`, heap).Scan(&rest.last)
	if err != nil {
		return rest, err
	}
	if after <= 0 {
		err := r.QueryRowContext(ctx, `SELECT listed - tombstones, tombstones FROM heaps WHERE id = ?`, heap).Scan(&rest.changed, &rest.deleted)
		return rest, err
	}
	s.restsMu.Lock()
	known, ok := s.rests[pageEnd{heap, after}]
	s.restsMu.Unlock()
	if ok && known.last == rest.last {
		return known, nil
	}
	err = r.QueryRowContext(ctx, `SELECT count(*),
			(SELECT count(*) FROM blocks WHERE heap = ?1 AND seq > ?2 AND deleted_at > 0)
		FROM blocks WHERE heap = ?1 AND seq > ?2`, heap, after).Scan(&rest.changed, &rest.deleted)
	rest.changed -= rest.deleted
	if err == nil {
		s.remember(pageEnd{heap, after}, rest)
	}
	return rest, err
}

func (s *Store) remember(end pageEnd, rest pageRest) {
	s.restsMu.Lock()
	defer s.restsMu.Unlock()
	if len(s.rests) >= maxRests {
		clear(s.rests)
	}
	s.rests[end] = rest
}

// keepRest remembers what comes after a page.
func (s *Store) keepRest(heap int64, rest pageRest, page *blocks.Page) {
	if !page.More {
		return
	}
	for i := range page.Heads {
		if page.Heads[i].DeletedAt != 0 {
			rest.deleted--
		} else {
			rest.changed--
		}
	}
	s.remember(pageEnd{heap, page.Next}, rest)
}

// HeapSeq implements [blocks.Changes].
func (s *Store) HeapSeq(ctx context.Context, heap blocks.HeapID) (blocks.Seq, error) {
	var seq blocks.Seq
	err := s.readers.QueryRowContext(ctx, `SELECT coalesce(max(seq), 0) FROM blocks
		WHERE heap = (SELECT id FROM heaps WHERE heap = ?)`, heap).Scan(&seq)
	if err != nil {
		return 0, fmt.Errorf("last seq of %s: %w", heap, readError(err))
	}
	return seq, nil
}

// Seqs implements [blocks.Changes].
func (s *Store) Seqs(ctx context.Context, heap blocks.HeapID, fn func(blocks.BlockID, blocks.Seq)) error {
	rows, err := s.readers.QueryContext(ctx, `SELECT b.block, b.seq FROM heaps JOIN blocks b ON b.heap = heaps.id
		WHERE heaps.heap = ? AND b.deleted_at = 0`, heap)
	if err != nil {
		return fmt.Errorf("seqs of %s: %w", heap, readError(err))
	}
	defer rows.Close()
	for rows.Next() {
		var block blocks.BlockID
		var seq blocks.Seq
		if err := rows.Scan(&block, &seq); err != nil {
			return fmt.Errorf("seqs of %s: %w", heap, err)
		}
		fn(block, seq)
	}
	return readError(rows.Err())
}

// LastSeq implements [blocks.Changes].
func (s *Store) LastSeq(ctx context.Context) (blocks.Seq, error) {
	var seq blocks.Seq
	if err := s.readers.QueryRowContext(ctx, `SELECT seq FROM clock`).Scan(&seq); err != nil {
		return 0, fmt.Errorf("last seq: %w", readError(err))
	}
	return seq, nil
}

// msPerDay is how long a day of UTC is.
const msPerDay = 24 * 60 * 60 * 1000

// UpdateDays implements [blocks.Changes].
func (s *Store) UpdateDays(ctx context.Context, after, to blocks.Seq, limit int) ([]blocks.DayUpdates, blocks.Seq, error) {
	var days []blocks.DayUpdates
	last := to
	err := s.view(ctx, func(r *connTx) error {
		if after == 0 {
			_, _, err := countDays(ctx, r, &days, `SELECT heaps.heap, w.last_at / ?2, sum(w.updates), 0
				FROM history w JOIN blocks b ON b.ref = w.block JOIN heaps ON heaps.id = b.heap WHERE w.to_seq <= ?1 GROUP BY 1, 2`, to, msPerDay)
			if err != nil {
				return err
			}
		}
		n, seq, err := countDays(ctx, r, &days, `WITH some AS (
				SELECT seq, block, at FROM updates WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3
			) SELECT heaps.heap, some.at / ?4, count(*), max(some.seq)
			FROM some JOIN blocks b ON b.ref = some.block JOIN heaps ON heaps.id = b.heap GROUP BY 1, 2`, after, to, limit, msPerDay)
		if n == int64(limit) {
			last = seq
		}
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("days of updates: %w", err)
	}
	return days, last, nil
}

// countDays adds what query counts to days. It returns how many updates that were, and
// the last seq.
func countDays(ctx context.Context, r *connTx, days *[]blocks.DayUpdates, query string, args ...any) (n int64, last blocks.Seq, err error) {
	rows, err := r.QueryContext(ctx, query, args...)
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var d blocks.DayUpdates
		var seq blocks.Seq
		if err := rows.Scan(&d.Heap, &d.Day, &d.Updates, &seq); err != nil {
			return 0, 0, err
		}
		*days = append(*days, d)
		last = max(last, seq)
		n += d.Updates
	}
	return n, last, rows.Err()
}
