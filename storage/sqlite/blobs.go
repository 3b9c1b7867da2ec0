package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/heapsync/heapsync/blocks"
)

// unreferenced is what is true of a row of blobs that nothing refers to. Pictures go with
// what they were made of: when no block has that, they are marked in the same sweep.
const unreferenced = `NOT EXISTS (SELECT 1 FROM files WHERE files.hash = blobs.hash) AND NOT EXISTS (SELECT 1 FROM uploads WHERE uploads.hash = blobs.hash)
	AND NOT EXISTS (SELECT 1 FROM derived d WHERE d.blob = blobs.hash
		AND (EXISTS (SELECT 1 FROM files WHERE files.hash = d.hash) OR EXISTS (SELECT 1 FROM uploads WHERE uploads.hash = d.hash)))`

// leaving is the marked_at of a blob whose bytes are being deleted.
const leaving = 1

// ExpectBlob implements [blocks.BlobRefs].
func (s *Store) ExpectBlob(ctx context.Context, b blocks.BlobSize, at int64) error {
	err := s.write(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO blobs (hash, size, at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET marked_at = 0`, b.Hash[:], b.Size, at)
		return err
	})
	if err != nil {
		return fmt.Errorf("expect blob %s: %w", b.Hash, err)
	}
	return nil
}

// ForgetFiles implements [blocks.BlobRefs].
func (s *Store) ForgetFiles(ctx context.Context, before int64, limit int) (int, error) {
	var n int64
	err := s.write(ctx, func(t *tx) (err error) {
		n, err = t.affected(`DELETE FROM files WHERE (block, hash) IN
			(SELECT block, hash FROM files WHERE dropped_at > 0 AND dropped_at < ? LIMIT ?)`, before, limit)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("forget files: %w", err)
	}
	return int(n), nil
}

// MarkBlobs implements [blocks.BlobRefs].
func (s *Store) MarkBlobs(ctx context.Context, after blocks.Hash, at int64, limit int) (next blocks.Hash, more bool, err error) {
	var last []byte
	err = s.readers.QueryRowContext(ctx, `SELECT hash FROM blobs WHERE hash > ? ORDER BY hash LIMIT 1 OFFSET ?`, after[:], limit-1).Scan(&last)
	if errors.Is(err, sql.ErrNoRows) {
		last, err = nil, nil
	}
	if err == nil {
		err = s.write(ctx, func(t *tx) error {
			_, err := t.exec(`UPDATE blobs SET marked_at = ?1 WHERE hash > ?2 AND (?3 IS NULL OR hash <= ?3) AND marked_at = 0 AND `+unreferenced, at, after[:], last)
			return err
		})
	}
	if err != nil {
		return next, false, fmt.Errorf("mark blobs: %w", err)
	}
	copy(next[:], last)
	return next, last != nil, nil
}

// MarkedBlobs implements [blocks.BlobRefs].
func (s *Store) MarkedBlobs(ctx context.Context, before int64, limit int) ([]blocks.Hash, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT hash FROM blobs WHERE marked_at > 0 AND marked_at < ? ORDER BY marked_at, hash LIMIT ?`, before, limit)
	if err != nil {
		return nil, fmt.Errorf("marked blobs: %w", readError(err))
	}
	defer rows.Close()
	var list []blocks.Hash
	for rows.Next() {
		var hash []byte
		if err := rows.Scan(&hash); err != nil {
			return nil, fmt.Errorf("marked blobs: %w", err)
		}
		var h blocks.Hash
		copy(h[:], hash)
		list = append(list, h)
	}
	return list, readError(rows.Err())
}

// ReleaseBlob implements [blocks.BlobRefs].
func (s *Store) ReleaseBlob(ctx context.Context, hash blocks.Hash) (may bool, err error) {
	err = s.write(ctx, func(t *tx) error {
		if _, err := t.exec(`UPDATE blobs SET marked_at = 0 WHERE hash = ? AND marked_at > 0 AND NOT (`+unreferenced+`)`, hash[:]); err != nil {
			return err
		}
		n, err := t.affected(`UPDATE blobs SET marked_at = ? WHERE hash = ? AND marked_at > 0`, leaving, hash[:])
		may = n > 0
		if err != nil || !may {
			return err
		}
		// What was made of these bytes, or is these bytes, is not to be found any more.
		if _, err := t.exec(`DELETE FROM derived WHERE blob = ?`, hash[:]); err != nil {
			return err
		}
		_, err = t.exec(`DELETE FROM sources WHERE hash = ?`, hash[:])
		return err
	})
	if err != nil {
		return false, fmt.Errorf("release blob %s: %w", hash, err)
	}
	return may, nil
}

// RemoveBlob implements [blocks.BlobRefs].
func (s *Store) RemoveBlob(ctx context.Context, hash blocks.Hash) error {
	err := s.write(ctx, func(t *tx) error {
		_, err := t.exec(`DELETE FROM blobs WHERE hash = ? AND marked_at = ? AND `+unreferenced, hash[:], leaving)
		return err
	})
	if err != nil {
		return fmt.Errorf("remove blob %s: %w", hash, err)
	}
	return nil
}

// BlobsOf implements [blocks.BlobRefs].
func (s *Store) BlobsOf(ctx context.Context, after blocks.Hash, limit int) ([]blocks.BlobSize, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT hash, size FROM blobs WHERE hash > ?
		AND (EXISTS (SELECT 1 FROM files WHERE files.hash = blobs.hash AND files.placed = 0)
			OR EXISTS (SELECT 1 FROM derived d WHERE d.blob = blobs.hash AND d.status = 'ready' AND EXISTS (SELECT 1 FROM files WHERE files.hash = d.hash)))
		ORDER BY hash LIMIT ?`, after[:], limit)
	if err != nil {
		return nil, fmt.Errorf("list blobs of files: %w", readError(err))
	}
	defer rows.Close()
	var list []blocks.BlobSize
	for rows.Next() {
		var hash []byte
		var b blocks.BlobSize
		if err := rows.Scan(&hash, &b.Size); err != nil {
			return nil, fmt.Errorf("list blobs of files: %w", err)
		}
		copy(b.Hash[:], hash)
		list = append(list, b)
	}
	return list, readError(rows.Err())
}
