package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/heapsync/heapsync/blocks"
)

// windowRow is a row of history as it is stored.
type windowRow struct {
	ref, after, to, firstAt, lastAt, updates, size, level int64
	authors, bytes                                        []byte
}

const windowColumns = `block, after_seq, to_seq, first_at, last_at, updates, size, level, crc, authors`

func (r *windowRow) fields(crc *int64) []any {
	return []any{&r.ref, &r.after, &r.to, &r.firstAt, &r.lastAt, &r.updates, &r.size, &r.level, crc, &r.authors}
}

// window puts r into the domain's words, without its bytes.
func (s *Store) window(ctx context.Context, q rowQuerier, r *windowRow) (blocks.Window, error) {
	w := blocks.Window{After: blocks.Seq(r.after), To: blocks.Seq(r.to), FirstAt: r.firstAt, LastAt: r.lastAt,
		Updates: r.updates, Size: r.size, Level: blocks.Level(r.level)}
	counts, ok := decodeAuthors(r.authors)
	if !ok {
		return w, fmt.Errorf("authors of the window up to %d: %w", r.to, blocks.ErrCorrupt)
	}
	for _, c := range counts {
		a, err := s.actor(ctx, q, c.actor)
		if err != nil {
			return w, err
		}
		w.Authors = append(w.Authors, blocks.Share{User: a.user, Session: a.session, Updates: c.updates})
	}
	return w, nil
}

// authorCount is how many updates of a window an actor made.
type authorCount struct{ actor, updates int64 }

// decodeAuthors reads the authors of a window.
func decodeAuthors(b []byte) (counts []authorCount, ok bool) {
	for len(b) > 0 {
		actor, n := binary.Uvarint(b)
		if n <= 0 || actor > math.MaxInt64 {
			return nil, false
		}
		updates, m := binary.Uvarint(b[n:])
		if m <= 0 || updates > math.MaxInt64 {
			return nil, false
		}
		b = b[n+m:]
		counts = append(counts, authorCount{int64(actor), int64(updates)})
	}
	return counts, true
}

// unfolded reads updates that are not folded, each with its checksum checked.
func (s *Store) unfolded(ctx context.Context, q rowQuerier, ref blocks.Ref, seqs []blocks.Seq, fn func(blocks.Window) error) error {
	const chunk = 1000
	var sums summer
	for len(seqs) > 0 {
		part := seqs[:min(chunk, len(seqs))]
		seqs = seqs[len(part):]
		list, err := json.Marshal(part)
		if err != nil {
			return err
		}
		rows, err := q.QueryContext(ctx, `SELECT u.seq, u.prev, u.actor, u.at, u.crc, u.bytes
			FROM json_each(?) AS wanted CROSS JOIN updates u ON u.seq = wanted.value WHERE u.block = ?`, string(list), ref)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			u := updateRow{ref: int64(ref)}
			var crc int64
			if err := rows.Scan(&u.seq, &u.prev, &u.actor, &u.at, &crc, &u.bytes); err != nil {
				return err
			}
			if len(part) == 0 || u.seq != part[0] || crc != sums.updateSum(&u) {
				return fmt.Errorf("update %d: %w", u.seq, blocks.ErrCorrupt)
			}
			part = part[1:]
			w, err := s.updatePart(ctx, q, &u)
			if err == nil {
				err = fn(w)
			}
			if err != nil {
				return err
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if len(part) > 0 {
			return fmt.Errorf("update %d is missing: %w", part[0], blocks.ErrCorrupt)
		}
	}
	return nil
}

// updatePart is a row of the log as a part of it.
func (s *Store) updatePart(ctx context.Context, q rowQuerier, u *updateRow) (blocks.Window, error) {
	a, err := s.actor(ctx, q, u.actor)
	return blocks.Window{After: blocks.Seq(u.prev), To: u.seq, FirstAt: u.at, LastAt: u.at, Updates: 1, Size: int64(len(u.bytes)),
		Authors: []blocks.Share{{User: a.user, Session: a.session, Updates: 1}}, Update: u.bytes}, err
}

// place is where in its log a block is.
type place struct {
	seq, snapshot blocks.Seq // of its head
	folded        blocks.Seq // up to here there are windows
	raw           int64      // updates after that
}

func readPlace(ctx context.Context, q rowQuerier, ref blocks.Ref) (place, error) {
	var p place
	err := q.QueryRowContext(ctx, `SELECT seq, snapshot_seq, raw, (SELECT coalesce(max(to_seq), 0) FROM history WHERE block = ref)
		FROM blocks WHERE ref = ? AND deleted_at = 0`, ref).Scan(&p.seq, &p.snapshot, &p.raw, &p.folded)
	if errors.Is(err, sql.ErrNoRows) {
		err = blocks.ErrNotFound
	}
	return p, err
}

// chain walks back from the block's head and returns the seqs of its updates that are
// not folded, oldest first: the oldest limit of them.
func chain(ctx context.Context, q rowQuerier, ref blocks.Ref, p place, limit int) ([]blocks.Seq, error) {
	if p.raw == 0 {
		return nil, nil
	}
	rows, err := q.QueryContext(ctx, `WITH RECURSIVE tail (seq, prev) AS (
			SELECT seq, prev FROM updates WHERE seq = ?1 AND block = ?2
			UNION ALL
			SELECT u.seq, u.prev FROM tail JOIN updates u ON u.seq = tail.prev
			WHERE tail.prev > ?3 AND u.block = ?2 AND u.seq < tail.seq
		) SELECT seq, prev FROM tail`, p.seq, ref, p.folded)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	ring := make([]blocks.Seq, min(int64(limit), p.raw))
	n, first := 0, p.seq
	for rows.Next() {
		var seq blocks.Seq
		if err := rows.Scan(&seq, &first); err != nil {
			return nil, err
		}
		ring[n%len(ring)] = seq
		n++
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if int64(n) != p.raw || first != p.folded {
		return nil, fmt.Errorf("%d updates of %d, back to %d and not %d: %w", n, p.raw, first, p.folded, blocks.ErrCorrupt)
	}
	seqs := make([]blocks.Seq, len(ring))
	for i := range seqs {
		seqs[i] = ring[(n-1-i)%len(ring)]
	}
	return seqs, nil
}

// Parts implements [blocks.History].
func (s *Store) Parts(ctx context.Context, ref blocks.Ref, upTo blocks.Seq, limit int, bytes bool) ([]blocks.Window, error) {
	var parts []blocks.Window
	err := s.view(ctx, func(r *connTx) error {
		p, err := readPlace(ctx, r, ref)
		if err != nil {
			return err
		}
		upTo = min(upTo, p.seq)
		if upTo > p.folded {
			if parts, err = s.newestUpdates(ctx, r, ref, upTo, p.folded, limit, bytes); err != nil {
				return err
			}
			if n := len(parts); n == 0 {
				return nil // no update of this block has that seq
			} else if parts[n-1].After > p.folded || n == limit {
				return nil
			}
			upTo = p.folded
		}
		older, err := s.newestWindows(ctx, r, ref, upTo, limit-len(parts), bytes)
		parts = append(parts, older...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("parts of a log: %w", err)
	}
	return parts, nil
}

// newestUpdates walks back from the update upTo.
func (s *Store) newestUpdates(ctx context.Context, q rowQuerier, ref blocks.Ref, upTo, folded blocks.Seq, limit int, bytes bool) ([]blocks.Window, error) {
	rows, err := q.QueryContext(ctx, `WITH RECURSIVE tail (seq, prev, actor, at, crc, size, bytes) AS (
			SELECT seq, prev, actor, at, crc, length(bytes), iif(?5, bytes, NULL) FROM updates WHERE seq = ?1 AND block = ?2
			UNION ALL
			SELECT u.seq, u.prev, u.actor, u.at, u.crc, length(u.bytes), iif(?5, u.bytes, NULL)
			FROM tail JOIN updates u ON u.seq = tail.prev
			WHERE tail.prev > ?3 AND u.block = ?2 AND u.seq < tail.seq LIMIT ?4
		) SELECT seq, prev, actor, at, crc, size, bytes FROM tail`, upTo, ref, folded, limit, bytes)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var parts []blocks.Window
	var actors []int64
	var sums summer
	for rows.Next() {
		u := updateRow{ref: int64(ref)}
		var crc, size int64
		if err := rows.Scan(&u.seq, &u.prev, &u.actor, &u.at, &crc, &size, &u.bytes); err != nil {
			return nil, err
		}
		if bytes && crc != sums.updateSum(&u) {
			return nil, fmt.Errorf("update %d: %w", u.seq, blocks.ErrCorrupt)
		}
		parts = append(parts, blocks.Window{After: blocks.Seq(u.prev), To: u.seq, FirstAt: u.at, LastAt: u.at,
			Updates: 1, Size: size, Update: u.bytes})
		actors = append(actors, u.actor)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for i, id := range actors {
		a, err := s.actor(ctx, q, id)
		if err != nil {
			return nil, err
		}
		parts[i].Authors = []blocks.Share{{User: a.user, Session: a.session, Updates: 1}}
	}
	return parts, nil
}

// newestWindows returns the window that holds upTo, and those before.
func (s *Store) newestWindows(ctx context.Context, q rowQuerier, ref blocks.Ref, upTo blocks.Seq, limit int, bytes bool) ([]blocks.Window, error) {
	return s.windows(ctx, q, bytes, `WHERE block = ?1
		AND to_seq <= (SELECT min(to_seq) FROM history WHERE block = ?1 AND to_seq >= ?2)
		ORDER BY to_seq DESC LIMIT ?3`, ref, upTo, limit)
}

// windows returns the windows that a clause chooses.
func (s *Store) windows(ctx context.Context, q rowQuerier, bytes bool, clause string, args ...any) ([]blocks.Window, error) {
	columns := windowColumns + `, bytes`
	if !bytes {
		columns = windowColumns + `, NULL`
	}
	rows, err := q.QueryContext(ctx, `SELECT `+columns+` FROM history `+clause, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []windowRow
	var sums summer
	for rows.Next() {
		var r windowRow
		var crc int64
		if err := rows.Scan(append(r.fields(&crc), &r.bytes)...); err != nil {
			return nil, err
		}
		if bytes && crc != sums.windowSum(&r) {
			return nil, fmt.Errorf("window up to %d: %w", r.to, blocks.ErrCorrupt)
		}
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	rows.Close()
	windows := make([]blocks.Window, len(list))
	for i := range list {
		if windows[i], err = s.window(ctx, q, &list[i]); err != nil {
			return nil, err
		}
		if windows[i].Update, err = decompress(list[i].bytes); err != nil {
			return nil, err
		}
	}
	return windows, nil
}

// Replay implements [blocks.History].
func (s *Store) Replay(ctx context.Context, ref blocks.Ref, upTo blocks.Seq, fn func(blocks.Window) error) error {
	err := s.view(ctx, func(r *connTx) error {
		p, err := readPlace(ctx, r, ref)
		if err != nil {
			return err
		}
		if err := s.replayWindows(ctx, r, ref, upTo, fn); err != nil || upTo <= p.folded {
			return err
		}
		seqs, err := chain(ctx, r, ref, p, math.MaxInt)
		if err != nil {
			return err
		}
		n := len(seqs)
		for n > 0 && seqs[n-1] > upTo {
			n--
		}
		return s.unfolded(ctx, r, ref, seqs[:n], fn)
	})
	if err != nil {
		return fmt.Errorf("replay a log: %w", err)
	}
	return nil
}

// replayWindows reads one window at a time, for each may be large.
func (s *Store) replayWindows(ctx context.Context, q rowQuerier, ref blocks.Ref, upTo blocks.Seq, fn func(blocks.Window) error) error {
	for last := blocks.Seq(0); ; {
		next, err := s.windows(ctx, q, true, `WHERE block = ? AND to_seq > ? AND to_seq <= ? ORDER BY to_seq LIMIT 1`, ref, last, upTo)
		if err != nil || len(next) == 0 {
			return err
		}
		if next[0].After != last {
			return fmt.Errorf("window after %d begins at %d: %w", last, next[0].After, blocks.ErrCorrupt)
		}
		last = next[0].To
		if err := fn(next[0]); err != nil {
			return err
		}
	}
}

// Windows implements [blocks.History].
func (s *Store) Windows(ctx context.Context, ref blocks.Ref) ([]blocks.Window, error) {
	list, err := s.windows(ctx, s.readers, false, `WHERE block = ? ORDER BY to_seq`, ref)
	if err != nil {
		return nil, fmt.Errorf("windows: %w", readError(err))
	}
	return list, nil
}

// Window implements [blocks.History].
func (s *Store) Window(ctx context.Context, ref blocks.Ref, to blocks.Seq) (blocks.Window, error) {
	list, err := s.windows(ctx, s.readers, true, `WHERE block = ? AND to_seq = ?`, ref, to)
	if err == nil && len(list) == 0 {
		err = blocks.ErrNotFound
	}
	if err != nil {
		return blocks.Window{}, fmt.Errorf("window up to %d: %w", to, readError(err))
	}
	return list[0], nil
}

// OldestUpdates implements [blocks.History].
func (s *Store) OldestUpdates(ctx context.Context, ref blocks.Ref, limit int) ([]blocks.Seq, error) {
	var seqs []blocks.Seq
	err := s.view(ctx, func(r *connTx) error {
		p, err := readPlace(ctx, r, ref)
		if err == nil {
			seqs, err = chain(ctx, r, ref, p, limit)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("oldest updates: %w", err)
	}
	return seqs, nil
}

// errEnough ends a read early.
var errEnough = errors.New("enough")

// Updates implements [blocks.History].
func (s *Store) Updates(ctx context.Context, ref blocks.Ref, seqs []blocks.Seq, maxBytes int64) ([]blocks.Window, error) {
	var parts []blocks.Window
	size := int64(0)
	err := s.view(ctx, func(r *connTx) error {
		return s.unfolded(ctx, r, ref, seqs, func(w blocks.Window) error {
			if size += w.Size; size > maxBytes && len(parts) > 0 {
				return errEnough
			}
			parts = append(parts, w)
			return nil
		})
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("updates: %w", err)
	}
	return parts, nil
}
