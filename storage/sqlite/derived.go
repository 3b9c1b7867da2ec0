package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/heapsync/heapsync/blocks"
)

const sourceColumns = `hash, size, user, status, facts, code, reason, tries, engine, at`

func scanSource(row *sql.Row) (s blocks.Source, err error) {
	var hash []byte
	err = row.Scan(&hash, &s.Size, &s.User, &s.Status, &s.Facts, &s.Code, &s.Reason, &s.Tries, &s.Engine, &s.At)
	if errors.Is(err, sql.ErrNoRows) {
		return s, blocks.ErrNotFound
	}
	if err == nil && copy(s.Hash[:], hash) != len(s.Hash) {
		err = fmt.Errorf("hash of a source: %w", blocks.ErrCorrupt)
	}
	return s, readError(err)
}

// Source implements [blocks.Sources].
func (s *Store) Source(ctx context.Context, hash blocks.Hash) (blocks.Source, error) {
	src, err := scanSource(s.readers.QueryRowContext(ctx, `SELECT `+sourceColumns+` FROM sources WHERE hash = ?`, hash[:]))
	if err != nil {
		return src, fmt.Errorf("source %s: %w", hash, err)
	}
	return src, nil
}

// NextSource implements [blocks.Sources].
func (s *Store) NextSource(ctx context.Context, after blocks.UserID) (blocks.Source, error) {
	const queued = `SELECT ` + sourceColumns + ` FROM sources INDEXED BY sources_queued WHERE status = 'queued'`
	src, err := scanSource(s.readers.QueryRowContext(ctx, queued+` AND user > ? ORDER BY user, at LIMIT 1`, after))
	if errors.Is(err, blocks.ErrNotFound) {
		src, err = scanSource(s.readers.QueryRowContext(ctx, queued+` ORDER BY user, at LIMIT 1`))
	}
	if err != nil {
		return src, fmt.Errorf("next source: %w", err)
	}
	return src, nil
}

// ClaimSource implements [blocks.Sources].
func (s *Store) ClaimSource(ctx context.Context, hash blocks.Hash, at int64) (src blocks.Source, err error) {
	err = s.write(ctx, func(t *tx) error {
		src, err = scanSource(t.queryRow(`UPDATE sources SET status = 'running', tries = tries + 1, at = ?
			WHERE hash = ? AND status = 'queued' RETURNING `+sourceColumns, at, hash[:]))
		if errors.Is(err, blocks.ErrNotFound) {
			return blocks.ErrConflict
		}
		return t.check(err)
	})
	if err != nil {
		return src, fmt.Errorf("claim source %s: %w", hash, err)
	}
	return src, nil
}

// SaveSource implements [blocks.Sources].
func (s *Store) SaveSource(ctx context.Context, src blocks.Source) error {
	err := s.write(ctx, func(t *tx) error {
		return found(t.exec(`UPDATE sources SET status = ?, facts = ?, code = ?, reason = ?, tries = ?, engine = ?, at = ? WHERE hash = ?`,
			src.Status, src.Facts, src.Code, src.Reason, src.Tries, src.Engine, src.At, src.Hash[:]))
	})
	if err != nil {
		return fmt.Errorf("save source %s: %w", src.Hash, err)
	}
	return nil
}

// RecoverSources implements [blocks.Sources].
func (s *Store) RecoverSources(ctx context.Context, engine string, tries int, lost blocks.Failure) error {
	err := s.write(ctx, func(t *tx) error {
		for _, table := range []string{"sources", "derived"} {
			_, err := t.exec(`UPDATE `+table+` SET status = 'failed', code = ?, reason = ?, engine = ? WHERE status = 'running' AND tries >= ?`, lost.Code, lost.Reason, engine, tries)
			if err != nil {
				return err
			}
		}
		if _, err := t.exec(`UPDATE sources SET status = 'queued' WHERE status = 'running'`); err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM derived WHERE block = 0 AND status = 'failed' AND engine <> ? OR block <> 0 AND status = 'running'`, engine); err != nil {
			return err
		}
		_, err := t.exec(`UPDATE sources SET status = 'queued', tries = 0 WHERE status = 'failed' AND engine <> ?`, engine)
		return err
	})
	if err != nil {
		return fmt.Errorf("recover sources: %w", err)
	}
	return nil
}

// RegenerateSource implements [blocks.Sources].
func (s *Store) RegenerateSource(ctx context.Context, key blocks.BlockKey, hash blocks.Hash, at int64) error {
	err := s.write(ctx, func(t *tx) error {
		if err := found(t.exec(`UPDATE files SET described = 2 WHERE hash = ?1 AND block = `+refOfKey, hash[:], key.Heap, key.Block)); err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM derived WHERE hash = ? AND block = 0 AND status = 'failed'`, hash[:]); err != nil {
			return err
		}
		_, err := t.exec(`UPDATE sources SET status = 'queued', tries = 0, at = ? WHERE hash = ? AND status IN ('ready', 'failed')`, at, hash[:])
		return err
	})
	if err != nil {
		return fmt.Errorf("regenerate %s: %w", key, err)
	}
	return nil
}

// refOfKey is the ref of the block that the second and third argument name.
const refOfKey = `(SELECT b.ref FROM heaps JOIN blocks b ON b.heap = heaps.id WHERE heaps.heap = ?2 AND b.block = ?3)`

// Undescribed implements [blocks.Sources].
func (s *Store) Undescribed(ctx context.Context, hash *blocks.Hash, limit int) ([]blocks.Undescribed, error) {
	var one any
	where := ``
	if hash != nil {
		one, where = hash[:], ` AND f.hash = ?2`
	}
	rows, err := s.readers.QueryContext(ctx, `SELECT `+fileColumns+`, f.described = 2
		FROM files f INDEXED BY files_undescribed CROSS JOIN sources s ON s.hash = f.hash AND s.status IN ('ready', 'failed')
			CROSS JOIN blocks b ON b.ref = f.block AND b.trashed_at = 0 AND b.deleted_at = 0
			CROSS JOIN heaps ON heaps.id = f.heap AND heaps.deleted_at = 0
		WHERE f.described <> 1 AND f.dropped_at = 0`+where+` LIMIT ?1`, limit, one)
	if err != nil {
		return nil, fmt.Errorf("undescribed files: %w", readError(err))
	}
	defer rows.Close()
	var list []blocks.Undescribed
	for rows.Next() {
		var u blocks.Undescribed
		var hash, upload []byte
		if err := rows.Scan(&u.Key.Heap, &u.Key.Block, &hash, &u.Size, &u.Name, &u.Mime, &u.User, &u.At, &upload, &u.Placed, &u.Again); err != nil {
			return nil, fmt.Errorf("undescribed files: %w", err)
		}
		copy(u.Hash[:], hash)
		copy(u.Upload[:], upload)
		list = append(list, u)
	}
	return list, readError(rows.Err())
}

// SetDescribed implements [blocks.Sources].
func (s *Store) SetDescribed(ctx context.Context, key blocks.BlockKey, hash blocks.Hash) error {
	err := s.write(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE files SET described = 1 WHERE hash = ?1 AND block = `+refOfKey, hash[:], key.Heap, key.Block)
		return err
	})
	if err != nil {
		return fmt.Errorf("set described: %w", err)
	}
	return nil
}

const pictureColumns = `hash, block, kind, size, position, asked, status, blob, mime, bytes, width, height, user, code, reason, tries, engine, at`

func scanPicture(row interface{ Scan(...any) error }) (p blocks.Picture, err error) {
	var hash, blob []byte
	err = row.Scan(&hash, &p.Block, &p.Kind, &p.Size, &p.Position, &p.Asked, &p.Status, &blob, &p.Mime, &p.Bytes, &p.Width, &p.Height,
		&p.User, &p.Code, &p.Reason, &p.Tries, &p.Engine, &p.At)
	if errors.Is(err, sql.ErrNoRows) {
		return p, blocks.ErrNotFound
	}
	if err == nil && (copy(p.Hash[:], hash) != len(p.Hash) || blob != nil && copy(p.Blob[:], blob) != len(p.Blob)) {
		err = fmt.Errorf("hash of a picture: %w", blocks.ErrCorrupt)
	}
	return p, readError(err)
}

const pictureKey = `hash = ? AND block = ? AND kind = ? AND size = ? AND position = ? AND asked = ?`

func keyArgs(k blocks.PictureKey) []any {
	return []any{k.Hash[:], k.Block, k.Kind, k.Size, k.Position, k.Asked}
}

// Picture implements [blocks.Pictures].
func (s *Store) Picture(ctx context.Context, key blocks.PictureKey) (blocks.Picture, error) {
	p, err := scanPicture(s.readers.QueryRowContext(ctx, `SELECT `+pictureColumns+` FROM derived WHERE `+pictureKey, keyArgs(key)...))
	if err != nil {
		return p, fmt.Errorf("picture of %s: %w", key.Hash, err)
	}
	return p, nil
}

// PicturesOf implements [blocks.Pictures].
func (s *Store) PicturesOf(ctx context.Context, hash blocks.Hash, block blocks.Ref) ([]blocks.Picture, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT `+pictureColumns+` FROM derived WHERE hash = ? AND block IN (0, ?)
		ORDER BY block, kind, size, position, asked`, hash[:], block)
	if err != nil {
		return nil, fmt.Errorf("pictures of %s: %w", hash, readError(err))
	}
	defer rows.Close()
	var list []blocks.Picture
	for rows.Next() {
		p, err := scanPicture(rows)
		if err != nil {
			return nil, fmt.Errorf("pictures of %s: %w", hash, err)
		}
		list = append(list, p)
	}
	return list, readError(rows.Err())
}

// SavePictures implements [blocks.Pictures].
func (s *Store) SavePictures(ctx context.Context, list []blocks.Picture) error {
	err := s.write(ctx, func(t *tx) error {
		for _, p := range list {
			if err := savePicture(t, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("save pictures: %w", err)
	}
	return nil
}

func savePicture(t *tx, p blocks.Picture) error {
	var there bool
	if err := t.queryRow(`SELECT EXISTS (SELECT 1 FROM sources WHERE hash = ?)`, p.Hash[:]).Scan(&there); err != nil {
		return t.check(err)
	}
	if !there {
		return blocks.ErrNotFound
	}
	var blob any
	if p.Blob != (blocks.Hash{}) {
		blob = p.Blob[:]
		if _, err := t.exec(`INSERT INTO blobs (hash, size, at) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET size = excluded.size, marked_at = 0`, blob, p.Bytes, p.At); err != nil {
			return err
		}
	}
	_, err := t.exec(`INSERT INTO derived (`+pictureColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET status = excluded.status, blob = excluded.blob, mime = excluded.mime, bytes = excluded.bytes,
			width = excluded.width, height = excluded.height, code = excluded.code, reason = excluded.reason,
			tries = excluded.tries, engine = excluded.engine, at = excluded.at`,
		append(keyArgs(p.PictureKey), p.Status, blob, p.Mime, p.Bytes, p.Width, p.Height, p.User, p.Code, p.Reason, p.Tries, p.Engine, p.At)...)
	return err
}

// AddPicture implements [blocks.Pictures]. What was there is deleted first, so that bytes
// are counted as they come and go.
func (s *Store) AddPicture(ctx context.Context, p blocks.Picture, q blocks.Quota) error {
	err := s.write(ctx, func(t *tx) error {
		var heap int64
		err := t.queryRow(`SELECT heap FROM files WHERE hash = ? AND block = ? AND dropped_at = 0`, p.Hash[:], p.Block).Scan(&heap)
		if errors.Is(err, sql.ErrNoRows) {
			return blocks.ErrNotFound
		}
		if err != nil {
			return t.check(err)
		}
		if _, err := t.exec(`DELETE FROM derived WHERE `+pictureKey, keyArgs(p.PictureKey)...); err != nil {
			return err
		}
		if err := room(t, heap, blocks.Upload{User: p.User, Size: p.Bytes}, q); err != nil {
			return err
		}
		return savePicture(t, p)
	})
	if err != nil {
		return fmt.Errorf("add picture: %w", err)
	}
	return nil
}

// RemovePicture implements [blocks.Pictures].
func (s *Store) RemovePicture(ctx context.Context, key blocks.PictureKey) error {
	err := s.write(ctx, func(t *tx) error {
		_, err := t.exec(`DELETE FROM derived WHERE `+pictureKey, keyArgs(key)...)
		return err
	})
	if err != nil {
		return fmt.Errorf("remove picture: %w", err)
	}
	return nil
}

// ForgetPictures implements [blocks.Pictures].
func (s *Store) ForgetPictures(ctx context.Context, hash blocks.Hash, before int64) error {
	err := s.write(ctx, func(t *tx) error {
		_, err := t.exec(`DELETE FROM derived WHERE hash = ? AND block = 0 AND at < ?`, hash[:], before)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget pictures: %w", err)
	}
	return nil
}

// BlobUsage implements [blocks.Pictures].
func (s *Store) BlobUsage(ctx context.Context) (u blocks.BlobUsage, err error) {
	err = s.readers.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE NOT made), coalesce(sum(size) FILTER (WHERE NOT made), 0),
			count(*) FILTER (WHERE made), coalesce(sum(size) FILTER (WHERE made), 0)
		FROM (SELECT size, NOT EXISTS (SELECT 1 FROM files WHERE files.hash = blobs.hash) AS made FROM blobs
			WHERE EXISTS (SELECT 1 FROM files WHERE files.hash = blobs.hash AND files.placed = 0) OR EXISTS (SELECT 1 FROM derived WHERE derived.blob = blobs.hash))`).
		Scan(&u.Files, &u.FileBytes, &u.Derived, &u.DerivedBytes)
	if err == nil {
		err = s.readers.QueryRowContext(ctx, `SELECT count(*), count(*) FILTER (WHERE status IN ('queued', 'running')), count(*) FILTER (WHERE status = 'failed' AND code <> 'unsupported') FROM sources`).
			Scan(&u.Sources, &u.Queued, &u.Fails)
	}
	if err != nil {
		return u, fmt.Errorf("blob usage: %w", readError(err))
	}
	return u, nil
}
