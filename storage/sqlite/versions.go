package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/heapsync/heapsync/blocks"
)

// AddVersion implements [blocks.Versions].
func (s *Store) AddVersion(ctx context.Context, ref blocks.Ref, v *blocks.Version, max int) error {
	var seq int64
	err := s.write(ctx, func(t *tx) error {
		var count int
		err := t.queryRow(`SELECT seq, (SELECT count(*) FROM versions WHERE block = ref)
			FROM blocks WHERE ref = ? AND deleted_at = 0`, ref).Scan(&seq, &count)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return blocks.ErrNotFound
		case err != nil:
			return t.check(err)
		case seq == 0:
			return fmt.Errorf("the block has no content yet: %w", blocks.ErrInvalid)
		case count >= max:
			return fmt.Errorf("a block may have at most %d named versions: %w", max, blocks.ErrTooLarge)
		}
		id, err := t.w.actorID(actor{v.User, v.Session})
		if err != nil {
			return t.check(err)
		}
		_, err = t.exec(`INSERT INTO versions (id, block, seq, at, actor, name, crc) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			v.ID, ref, seq, v.At, id, v.Name, t.w.versionSum(int64(ref), seq, v.At, id, v.ID, v.Name))
		if isUnique(err) {
			return blocks.ErrConflict
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("add version: %w", err)
	}
	v.Seq = blocks.Seq(seq)
	return nil
}

// Versions implements [blocks.Versions].
func (s *Store) Versions(ctx context.Context, ref blocks.Ref) ([]blocks.Version, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT v.id, v.seq, v.at, v.name, v.actor, v.crc, actors.user, actors.session
		FROM versions v JOIN actors ON actors.id = v.actor WHERE v.block = ? ORDER BY v.seq DESC, v.at DESC, v.id DESC`, ref)
	if err != nil {
		return nil, fmt.Errorf("versions: %w", readError(err))
	}
	defer rows.Close()
	var list []blocks.Version
	var sums summer
	for rows.Next() {
		var v blocks.Version
		var id, crc int64
		if err := rows.Scan(&v.ID, &v.Seq, &v.At, &v.Name, &id, &crc, &v.User, &v.Session); err != nil {
			return nil, fmt.Errorf("versions: %w", err)
		}
		if crc != sums.versionSum(int64(ref), int64(v.Seq), v.At, id, v.ID, v.Name) {
			return nil, fmt.Errorf("version %s: %w", v.ID, blocks.ErrCorrupt)
		}
		list = append(list, v)
	}
	return list, readError(rows.Err())
}

// RemoveVersion implements [blocks.Versions].
func (s *Store) RemoveVersion(ctx context.Context, ref blocks.Ref, id string) error {
	err := s.write(ctx, func(t *tx) error {
		return found(t.exec(`DELETE FROM versions WHERE block = ? AND id = ?`, ref, id))
	})
	if err != nil {
		return fmt.Errorf("remove version: %w", err)
	}
	return nil
}
