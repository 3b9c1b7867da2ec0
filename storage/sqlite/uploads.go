package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/heapsync/heapsync/blocks"
)

const uploadColumns = `u.id, heaps.heap, u.block, u.hash, u.size, u.name, u.mime, u.chunk_size, u.hashed, u.hash_state, u.user, u.at, u.last_at, u.serial, u.note, u.want`

// What uploads.serial can be.
const (
	notSerial = iota
	serialFile
	serialPart
)

func scanUpload(row interface{ Scan(...any) error }) (blocks.Upload, error) {
	var u blocks.Upload
	var hash, want []byte
	var serial int64
	var note string
	err := row.Scan(&u.ID, &u.Key.Heap, &u.Key.Block, &hash, &u.Size, &u.Name, &u.Mime, &u.ChunkSize, &u.Hashed, &u.State, &u.User, &u.At, &u.LastAt, &serial, &note, &want)
	if errors.Is(err, sql.ErrNoRows) {
		return u, blocks.ErrNotFound
	}
	if err == nil && copy(u.Hash[:], hash) != len(u.Hash) {
		err = fmt.Errorf("hash of upload %d: %w", u.ID, blocks.ErrCorrupt)
	}
	if serial != notSerial {
		u.Serial = &blocks.Serial{Part: serial == serialPart, Note: note}
		if len(want) == len(blocks.Hash{}) {
			u.Serial.Want = (*blocks.Hash)(want)
		}
	}
	return u, err
}

func scanUploads(rows *sql.Rows, err error) ([]blocks.Upload, error) {
	if err != nil {
		return nil, readError(err)
	}
	defer rows.Close()
	var list []blocks.Upload
	for rows.Next() {
		u, err := scanUpload(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, u)
	}
	return list, readError(rows.Err())
}

// AddUpload implements [blocks.Uploads].
func (s *Store) AddUpload(ctx context.Context, u blocks.Upload, q blocks.Quota) (_ blocks.Upload, added bool, err error) {
	err = s.write(ctx, func(t *tx) error {
		heap, err := heapRow(t, u.Key.Heap)
		if err != nil {
			return err
		}
		old, err := scanUpload(t.queryRow(`SELECT `+uploadColumns+` FROM uploads u JOIN heaps ON heaps.id = u.heap
			WHERE u.heap = ? AND u.block = ? AND u.hash = ?`, heap, u.Key.Block, u.Hash[:]))
		if !errors.Is(err, blocks.ErrNotFound) {
			u, added = old, false
			return t.check(err)
		}
		if err := room(t, heap, u, q); err != nil {
			return err
		}
		added = true
		serial, note, want := notSerial, "", []byte(nil)
		if of := u.Serial; of != nil {
			serial, note = serialFile, of.Note
			if of.Part {
				serial = serialPart
			}
			if of.Want != nil {
				want = of.Want[:]
			}
		}
		err = t.queryRow(`INSERT INTO uploads (heap, block, hash, size, name, mime, chunk_size, user, at, last_at, serial, note, want)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			heap, u.Key.Block, u.Hash[:], u.Size, u.Name, u.Mime, u.ChunkSize, u.User, u.At, u.LastAt, serial, note, want).Scan(&u.ID)
		return t.check(err)
	})
	if err != nil {
		return blocks.Upload{}, false, fmt.Errorf("add upload to %s: %w", u.Key, err)
	}
	return u, added, nil
}

// room says whether an upload fits into what its user and its heap may have.
func room(t *tx, heap int64, u blocks.Upload, q blocks.Quota) error {
	for _, of := range []struct {
		kind  string
		who   any
		limit int64
	}{{"user", u.User, q.User}, {"heap", fmt.Sprint(heap), q.Heap}} {
		if of.limit == 0 {
			continue
		}
		var used int64
		err := t.queryRow(`SELECT bytes FROM file_usage WHERE kind = ? AND who = ?`, of.kind, of.who).Scan(&used)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return t.check(err)
		}
		if u.Size > max(of.limit, 0)-used {
			return fmt.Errorf("the files of this %s may have %d bytes, and have %d: %w", of.kind, of.limit, used, blocks.ErrQuota)
		}
	}
	return nil
}

// Upload implements [blocks.Uploads].
func (s *Store) Upload(ctx context.Context, key blocks.BlockKey, hash blocks.Hash) (u blocks.Upload, chunks []int64, err error) {
	err = s.view(ctx, func(r *connTx) error {
		u, err = scanUpload(r.QueryRowContext(ctx, `SELECT `+uploadColumns+` FROM heaps JOIN uploads u ON u.heap = heaps.id
			WHERE heaps.heap = ? AND heaps.deleted_at = 0 AND u.block = ? AND u.hash = ?`, key.Heap, key.Block, hash[:]))
		if err != nil {
			return err
		}
		rows, err := r.QueryContext(ctx, `SELECT chunk FROM chunks WHERE upload = ? ORDER BY chunk`, u.ID)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var n int64
			if err := rows.Scan(&n); err != nil {
				return err
			}
			chunks = append(chunks, n)
		}
		return rows.Err()
	})
	if err != nil {
		return blocks.Upload{}, nil, fmt.Errorf("upload to %s: %w", key, err)
	}
	return u, chunks, nil
}

// UploadsTo implements [blocks.Uploads].
func (s *Store) UploadsTo(ctx context.Context, key blocks.BlockKey) ([]blocks.Upload, error) {
	list, err := scanUploads(s.readers.QueryContext(ctx, `SELECT `+uploadColumns+` FROM heaps JOIN uploads u ON u.heap = heaps.id
		WHERE heaps.heap = ? AND heaps.deleted_at = 0 AND u.block = ? ORDER BY u.last_at DESC, u.id DESC`, key.Heap, key.Block))
	if err != nil {
		return nil, fmt.Errorf("uploads to %s: %w", key, err)
	}
	return list, nil
}

// HeapsWithUpload implements [blocks.Uploads].
func (s *Store) HeapsWithUpload(ctx context.Context, user blocks.UserID, block blocks.BlockID) ([]blocks.HeapID, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT DISTINCT heaps.heap
		FROM uploads u JOIN heaps ON heaps.id = u.heap JOIN members m ON m.heap = u.heap
		WHERE u.block = ? AND m.user = ? AND m.role >= ? AND heaps.deleted_at = 0 ORDER BY heaps.heap`, block, user, blocks.RoleViewer)
	if err != nil {
		return nil, fmt.Errorf("heaps with uploads to %s: %w", block, readError(err))
	}
	defer rows.Close()
	var list []blocks.HeapID
	for rows.Next() {
		var id blocks.HeapID
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("heaps with uploads to %s: %w", block, err)
		}
		list = append(list, id)
	}
	return list, readError(rows.Err())
}

// SerialUpload implements [blocks.Uploads].
func (s *Store) SerialUpload(ctx context.Context, name blocks.Hash) (blocks.Upload, error) {
	u, err := scanUpload(s.readers.QueryRowContext(ctx, `SELECT `+uploadColumns+` FROM uploads u JOIN heaps ON heaps.id = u.heap
		WHERE u.hash = ? AND u.serial > 0 AND heaps.deleted_at = 0`, name[:]))
	if err != nil {
		return u, fmt.Errorf("serial upload: %w", readError(err))
	}
	return u, nil
}

// SaveProgress implements [blocks.Uploads].
func (s *Store) SaveProgress(ctx context.Context, upload int64, p blocks.HashProgress, at int64) error {
	err := s.write(ctx, func(t *tx) error { return saveProgress(t, upload, p, at) })
	if err != nil {
		return fmt.Errorf("save progress of upload %d: %w", upload, err)
	}
	return nil
}

func saveProgress(t *tx, upload int64, p blocks.HashProgress, at int64) error {
	state := p.State
	if state == nil {
		state = []byte{}
	}
	return found(t.exec(`UPDATE uploads SET hashed = ?, hash_state = ?, last_at = max(last_at, ?) WHERE id = ?`, p.Hashed, state, at, upload))
}

// SaveChunk implements [blocks.Uploads].
func (s *Store) SaveChunk(ctx context.Context, upload, chunk int64, there bool, p blocks.HashProgress, at int64) error {
	err := s.write(ctx, func(t *tx) error {
		if err := saveProgress(t, upload, p, at); err != nil {
			return err
		}
		query := `DELETE FROM chunks WHERE upload = ? AND chunk = ?`
		if there {
			query = `INSERT INTO chunks (upload, chunk) VALUES (?, ?) ON CONFLICT DO NOTHING`
		}
		_, err := t.exec(query, upload, chunk)
		return err
	})
	if err != nil {
		return fmt.Errorf("save chunk %d of upload %d: %w", chunk, upload, err)
	}
	return nil
}

// RemoveUpload implements [blocks.Uploads].
func (s *Store) RemoveUpload(ctx context.Context, upload int64) error {
	err := s.write(ctx, func(t *tx) error {
		_, err := t.exec(`DELETE FROM uploads WHERE id = ?`, upload)
		return err
	})
	if err != nil {
		return fmt.Errorf("remove upload %d: %w", upload, err)
	}
	return nil
}

// IdleUploads implements [blocks.Uploads].
func (s *Store) IdleUploads(ctx context.Context, before int64, limit int) ([]blocks.Upload, error) {
	list, err := scanUploads(s.readers.QueryContext(ctx, `SELECT `+uploadColumns+` FROM uploads u JOIN heaps ON heaps.id = u.heap
		WHERE u.last_at < ? ORDER BY u.last_at, u.id LIMIT ?`, before, limit))
	if err != nil {
		return nil, fmt.Errorf("idle uploads: %w", err)
	}
	return list, nil
}

// ComingBytes implements [blocks.Uploads]. All chunks are taken to be as large as the first.
func (s *Store) ComingBytes(ctx context.Context) (sum int64, err error) {
	err = s.readers.QueryRowContext(ctx, `SELECT coalesce(sum(CASE serial WHEN 0
		THEN max(0, size - chunk_size * (SELECT count(*) FROM chunks WHERE upload = id)) ELSE size - hashed END), 0) FROM uploads`).Scan(&sum)
	if err != nil {
		return 0, fmt.Errorf("bytes that uploads lack: %w", readError(err))
	}
	return sum, nil
}

// UploadExists implements [blocks.Uploads].
func (s *Store) UploadExists(ctx context.Context, upload int64) (there bool, err error) {
	err = s.readers.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM uploads WHERE id = ?)`, upload).Scan(&there)
	if err != nil {
		return false, fmt.Errorf("look for upload %d: %w", upload, readError(err))
	}
	return there, nil
}
