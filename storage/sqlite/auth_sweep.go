package sqlite

import (
	"context"
	"slices"
	"time"

	"github.com/heapsync/heapsync/auth"
)

// sweepBatch bounds how long a sweep keeps other writes waiting.
const sweepBatch = 500

// Sweep implements [auth.Sweeper]. It looks with a reader and then deletes a few
// rows at a time, for all writes wait while one runs.
func (s *Store) Sweep(ctx context.Context, now, auditFrom time.Time, maxSessions int) ([]auth.SessionID, error) {
	if err := s.sweepAudit(ctx, millis(auditFrom)); err != nil {
		return nil, err
	}
	return s.sweepSessions(ctx, millis(now), maxSessions)
}

// sweepAudit deletes from the oldest event on and stops at the first to stay.
func (s *Store) sweepAudit(ctx context.Context, from int64) error {
	for {
		last, stays := int64(0), false
		err := s.authRows(ctx, `SELECT id, at FROM audit ORDER BY id LIMIT ?`, 2, func(c columns) error {
			id, at := c.int(), c.int()
			if stays = stays || at >= from; !stays {
				last = id
			}
			return c.err
		}, sweepBatch)
		if err != nil || last == 0 {
			return err
		}
		err = s.write(ctx, func(t *tx) error { return t.run(`DELETE FROM audit WHERE id <= ?`, last) })
		if err != nil {
			return err
		}
	}
}

func (s *Store) sweepSessions(ctx context.Context, now int64, maxSessions int) ([]auth.SessionID, error) {
	if maxSessions == 0 {
		maxSessions = -1
	}
	var old []auth.SessionID
	err := s.authRows(ctx, `SELECT id FROM sessions WHERE refresh_expires <= ?1
		UNION ALL
		SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY account ORDER BY last_seen_at DESC, id DESC) AS place
			FROM sessions WHERE refresh_expires > ?1)
		WHERE place > ?2 AND ?2 >= 0`, 1, func(c columns) error {
		old = append(old, auth.SessionID(c.text()))
		return c.err
	}, now, maxSessions)
	if err != nil {
		return nil, err
	}
	var gone []auth.SessionID
	for batch := range slices.Chunk(old, sweepBatch) {
		err := s.write(ctx, func(t *tx) error {
			for _, id := range batch {
				if err := t.run(`DELETE FROM sessions WHERE id = ?`, string(id)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return gone, err
		}
		gone = append(gone, batch...)
	}
	return gone, nil
}
