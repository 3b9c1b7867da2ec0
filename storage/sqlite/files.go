package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/heapsync/heapsync/blocks"
)

const fileColumns = `heaps.heap, b.block, f.hash, f.size, f.name, f.mime, f.user, f.at, f.upload, f.placed`

func scanFile(row interface{ Scan(...any) error }) (blocks.File, error) {
	var f blocks.File
	var hash, upload []byte
	err := row.Scan(&f.Key.Heap, &f.Key.Block, &hash, &f.Size, &f.Name, &f.Mime, &f.User, &f.At, &upload, &f.Placed)
	copy(f.Upload[:], upload)
	if errors.Is(err, sql.ErrNoRows) {
		return f, blocks.ErrNotFound
	}
	if err == nil && copy(f.Hash[:], hash) != len(f.Hash) {
		err = fmt.Errorf("hash of a file of %s: %w", f.Key, blocks.ErrCorrupt)
	}
	return f, readError(err)
}

// AddFile implements [blocks.Files].
func (s *Store) AddFile(ctx context.Context, f blocks.File) error {
	if err := s.write(ctx, func(t *tx) error { return addFile(t, f) }); err != nil {
		return fmt.Errorf("add file to %s: %w", f.Key, err)
	}
	return nil
}

func addFile(t *tx, f blocks.File) error {
	var heap, ref int64
	var another bool
	err := t.queryRow(`SELECT heaps.id, b.ref, EXISTS (SELECT 1 FROM files WHERE block = b.ref AND dropped_at = 0) FROM heaps JOIN blocks b ON b.heap = heaps.id
		WHERE heaps.heap = ? AND heaps.deleted_at = 0 AND b.block = ? AND b.deleted_at = 0`, f.Key.Heap, f.Key.Block).Scan(&heap, &ref, &another)
	if errors.Is(err, sql.ErrNoRows) {
		return blocks.ErrNotFound
	}
	if err != nil {
		return t.check(err)
	}
	if _, err := t.exec(`INSERT INTO blobs (hash, size, at) VALUES (?, ?, ?)
		ON CONFLICT DO UPDATE SET size = excluded.size, marked_at = 0`, f.Hash[:], f.Size, f.At); err != nil {
		return err
	}
	if !f.Placed {
		if _, err := t.exec(`DELETE FROM uploads WHERE heap = ? AND block = ? AND hash = ?`, heap, f.Key.Block, f.Hash[:]); err != nil {
			return err
		}
	}
	var upload []byte
	if f.Upload != (blocks.Hash{}) {
		upload = f.Upload[:]
		if _, err := t.exec(`DELETE FROM uploads WHERE hash = ? AND serial > 0`, upload); err != nil {
			return err
		}
	}
	if another {
		if err := dropFile(t, ref, f.Hash[:], f.At); err != nil {
			return err
		}
	}
	_, err = t.exec(`INSERT INTO files (block, hash, heap, size, name, mime, user, at, upload, placed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, coalesce(?, x''), ?)
		ON CONFLICT DO UPDATE SET name = excluded.name, mime = excluded.mime, upload = iif(excluded.upload > x'', excluded.upload, upload),
			placed = min(placed, excluded.placed), described = CASE dropped_at WHEN 0 THEN described ELSE 0 END, dropped_at = 0`,
		ref, f.Hash[:], heap, f.Size, f.Name, f.Mime, f.User, f.At, upload, f.Placed)
	return err
}

// dropFile has a block's file not be its file any more, unless it has this hash.
func dropFile(t *tx, ref int64, unless []byte, at int64) error {
	_, err := t.exec(`UPDATE files SET dropped_at = ? WHERE block = ? AND dropped_at = 0 AND hash IS NOT ?`, at, ref, unless)
	return err
}

// FileOf implements [blocks.Files].
func (s *Store) FileOf(ctx context.Context, key blocks.BlockKey) (blocks.File, error) {
	f, err := scanFile(s.readers.QueryRowContext(ctx, `SELECT `+fileColumns+`
		FROM heaps JOIN blocks b ON b.heap = heaps.id JOIN files f ON f.block = b.ref AND f.dropped_at = 0
		WHERE heaps.heap = ? AND heaps.deleted_at = 0 AND b.block = ?`, key.Heap, key.Block))
	if err != nil {
		return f, fmt.Errorf("file of %s: %w", key, err)
	}
	return f, nil
}

// FileByUpload implements [blocks.Files].
func (s *Store) FileByUpload(ctx context.Context, name blocks.Hash) (blocks.File, error) {
	f, err := scanFile(s.readers.QueryRowContext(ctx, `SELECT `+fileColumns+`
		FROM files f INDEXED BY files_by_upload JOIN blocks b ON b.ref = f.block JOIN heaps ON heaps.id = f.heap AND heaps.deleted_at = 0
		WHERE f.upload = ? AND f.upload > x'' LIMIT 1`, name[:]))
	if err != nil {
		return f, fmt.Errorf("file by upload: %w", err)
	}
	return f, nil
}

// FilesOf implements [blocks.Files].
func (s *Store) FilesOf(ctx context.Context, heap blocks.HeapID, after blocks.BlockID, limit int) ([]blocks.File, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT `+fileColumns+`
		FROM heaps CROSS JOIN blocks b ON b.heap = heaps.id AND b.block > ? CROSS JOIN files f ON f.block = b.ref AND f.dropped_at = 0
		WHERE heaps.heap = ? AND heaps.deleted_at = 0 AND b.deleted_at = 0 ORDER BY b.block LIMIT ?`, after, heap, limit)
	if err != nil {
		return nil, fmt.Errorf("files of %s: %w", heap, readError(err))
	}
	defer rows.Close()
	var list []blocks.File
	for rows.Next() {
		f, err := scanFile(rows)
		if err != nil {
			return nil, fmt.Errorf("files of %s: %w", heap, err)
		}
		list = append(list, f)
	}
	return list, readError(rows.Err())
}

// FollowFile implements [blocks.Files].
func (s *Store) FollowFile(ctx context.Context, ref blocks.Ref, seq blocks.Seq, hash *blocks.Hash, name string, at int64) (changed bool, err error) {
	var want []byte
	if hash != nil {
		want = hash[:]
	}
	var now []byte
	var named string
	err = s.readers.QueryRowContext(ctx, `SELECT hash, name FROM files WHERE block = ? AND dropped_at = 0`, ref).Scan(&now, &named)
	switch {
	case errors.Is(err, sql.ErrNoRows) && want == nil:
		return false, nil
	case err == nil && string(now) == string(want) && (name == "" || name == named):
		return false, nil
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return false, fmt.Errorf("follow file: %w", readError(err))
	}
	err = s.write(ctx, func(t *tx) error {
		var there bool
		err := t.queryRow(`SELECT EXISTS (SELECT 1 FROM blocks WHERE ref = ? AND seq = ? AND deleted_at = 0)`, ref, seq).Scan(&there)
		if err != nil || !there {
			return t.check(err)
		}
		changed, err = followFile(t, int64(ref), want, name, at)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("follow file: %w", err)
	}
	return changed, nil
}

func followFile(t *tx, ref int64, want []byte, name string, at int64) (changed bool, err error) {
	n, err := t.affected(`UPDATE files SET dropped_at = ? WHERE block = ? AND dropped_at = 0 AND hash IS NOT ?`, at, ref, want)
	if err != nil || want == nil {
		return n > 0, err
	}
	var own, other int64
	err = t.queryRow(`SELECT EXISTS (SELECT 1 FROM files WHERE block = ?1 AND hash = ?2),
		EXISTS (SELECT 1 FROM files f JOIN blocks b ON b.heap = f.heap WHERE b.ref = ?1 AND f.hash = ?2 AND b.deleted_at = 0)`, ref, want).Scan(&own, &other)
	if err != nil {
		return false, t.check(err)
	}
	var more int64
	switch {
	case own != 0:
		more, err = t.affected(`UPDATE files SET dropped_at = 0, name = CASE ?1 WHEN '' THEN name ELSE ?1 END
			WHERE block = ?2 AND hash = ?3 AND (dropped_at > 0 OR ?1 NOT IN ('', name))`, name, ref, want)
	case other != 0:
		more, err = t.affected(`INSERT INTO files (block, hash, heap, size, name, mime, user, at, placed)
			SELECT b.ref, f.hash, f.heap, f.size, CASE ?1 WHEN '' THEN f.name ELSE ?1 END, f.mime, '', ?2, f.placed
			FROM blocks b JOIN files f ON f.heap = b.heap WHERE b.ref = ?3 AND f.hash = ?4 ORDER BY f.placed LIMIT 1`, name, at, ref, want)
	}
	return n+more > 0, err
}

// KnownFile implements [blocks.Files]. It begins with the user's heaps and looks into each,
// so that a file which only others have makes no difference.
func (s *Store) KnownFile(ctx context.Context, user blocks.UserID, hash blocks.Hash) (blocks.File, error) {
	f, err := scanFile(s.readers.QueryRowContext(ctx, `SELECT `+fileColumns+`
		FROM members m JOIN heaps ON heaps.id = m.heap AND heaps.deleted_at = 0
			CROSS JOIN files f INDEXED BY files_by_hash ON f.hash = ? AND f.heap = m.heap
			CROSS JOIN blocks b ON b.ref = f.block
		WHERE m.user = ? AND m.role >= ? AND f.placed = 0 ORDER BY f.at LIMIT 1`, hash[:], user, blocks.RoleViewer))
	if err != nil {
		return f, fmt.Errorf("known file: %w", err)
	}
	return f, nil
}

// FileUsage implements [blocks.Files].
func (s *Store) FileUsage(ctx context.Context, user blocks.UserID) (bytes, files int64, err error) {
	err = s.readers.QueryRowContext(ctx, `SELECT bytes, files FROM file_usage WHERE kind = 'user' AND who = ?`, user).Scan(&bytes, &files)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, 0, fmt.Errorf("usage of %s: %w", user, readError(err))
	}
	return bytes, files, nil
}
