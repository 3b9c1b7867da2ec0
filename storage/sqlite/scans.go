package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/blocks/tree"
)

const scanColumns = `s.number, s.id, s.status, s.confirm, s.user, s.started_at, s.ended_at, s.counts, s.error, ` + scanFolderColumns

const scanFolderColumns = `f.id, h.heap, f.path, f.recursive, f.watch, f.user, f.session, f.last_at`

func scanFolderFields(f *blocks.ScanFolder, path *[]byte) []any {
	return []any{&f.ID, &f.Heap, path, &f.Recursive, &f.Watch, &f.User, &f.Session, &f.LastAt}
}

// AddScan implements [blocks.Places].
func (s *Store) AddScan(ctx context.Context, scan blocks.Scan) (blocks.Scan, error) {
	err := s.write(ctx, func(t *tx) error {
		f := &scan.Folder
		err := t.queryRow(`INSERT INTO scan_folders (heap, path, recursive, watch, user, session)
			SELECT id, ?, ?, ?, ?, ? FROM heaps WHERE heap = ? AND deleted_at = 0
			ON CONFLICT DO UPDATE SET recursive = excluded.recursive, watch = excluded.watch, user = excluded.user, session = excluded.session
			RETURNING id`, []byte(f.Path), f.Recursive, f.Watch, f.User, f.Session, f.Heap).Scan(&f.ID)
		if errors.Is(err, sql.ErrNoRows) {
			return blocks.ErrNotFound
		}
		if err != nil {
			return t.check(err)
		}
		if _, err := t.exec(`DELETE FROM scans WHERE folder = ? AND ended_at > 0`, f.ID); err != nil {
			return err
		}
		return t.check(t.queryRow(`INSERT INTO scans (id, folder, status, confirm, user, started_at) VALUES (?, ?, ?, ?, ?, ?) RETURNING number`,
			scan.ID, f.ID, scan.Status, scan.Confirm, scan.User, scan.StartedAt).Scan(&scan.Number))
	})
	if err != nil {
		return scan, fmt.Errorf("add scan: %w", err)
	}
	return scan, nil
}

// SaveScan implements [blocks.Places].
func (s *Store) SaveScan(ctx context.Context, scan blocks.Scan) error {
	counts, err := json.Marshal(scan.ScanCounts)
	if err != nil {
		return fmt.Errorf("save scan: %w", err)
	}
	err = s.write(ctx, func(t *tx) error {
		if _, err := t.exec(`UPDATE scans SET status = ?, ended_at = ?, counts = ?, error = ? WHERE number = ?`,
			scan.Status, scan.EndedAt, string(counts), scan.Error, scan.Number); err != nil {
			return err
		}
		if scan.EndedAt == 0 || scan.Status == blocks.ScanAborted {
			return nil
		}
		_, err := t.exec(`UPDATE scan_folders SET last_at = ? WHERE id = ?`, scan.EndedAt, scan.Folder.ID)
		return err
	})
	if err != nil {
		return fmt.Errorf("save scan: %w", err)
	}
	return nil
}

// Scans implements [blocks.Places].
func (s *Store) Scans(ctx context.Context) ([]blocks.Scan, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT `+scanColumns+` FROM scans s JOIN scan_folders f ON f.id = s.folder
		JOIN heaps h ON h.id = f.heap AND h.deleted_at = 0
		WHERE s.ended_at = 0 OR s.number = (SELECT max(number) FROM scans WHERE folder = f.id) ORDER BY s.number`)
	if err != nil {
		return nil, fmt.Errorf("list scans: %w", readError(err))
	}
	defer rows.Close()
	var list []blocks.Scan
	for rows.Next() {
		var scan blocks.Scan
		var path []byte
		var counts string
		fields := []any{&scan.Number, &scan.ID, &scan.Status, &scan.Confirm, &scan.User, &scan.StartedAt, &scan.EndedAt, &counts, &scan.Error}
		if err := rows.Scan(append(fields, scanFolderFields(&scan.Folder, &path)...)...); err != nil {
			return nil, fmt.Errorf("list scans: %w", err)
		}
		if err := json.Unmarshal([]byte(counts), &scan.ScanCounts); err != nil {
			return nil, fmt.Errorf("counts of scan %s: %w", scan.ID, err)
		}
		scan.Folder.Path = string(path)
		list = append(list, scan)
	}
	return list, readError(rows.Err())
}

// ScanFolders implements [blocks.Places].
func (s *Store) ScanFolders(ctx context.Context) ([]blocks.ScanFolder, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT `+scanFolderColumns+` FROM scan_folders f
		JOIN heaps h ON h.id = f.heap AND h.deleted_at = 0 ORDER BY f.id`)
	if err != nil {
		return nil, fmt.Errorf("list scan folders: %w", readError(err))
	}
	defer rows.Close()
	var list []blocks.ScanFolder
	for rows.Next() {
		var f blocks.ScanFolder
		var path []byte
		if err := rows.Scan(scanFolderFields(&f, &path)...); err != nil {
			return nil, fmt.Errorf("list scan folders: %w", err)
		}
		f.Path = string(path)
		list = append(list, f)
	}
	return list, readError(rows.Err())
}

const scannedColumns = `h.heap, c.path, c.folder, c.block, c.parent, c.size, c.mtime_ns, c.dev, c.inode, c.hash, c.state, c.trashed, c.seen`

func (s *Store) scanned(ctx context.Context, query string, args ...any) ([]blocks.Scanned, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT `+scannedColumns+` FROM `+query, args...)
	if err != nil {
		return nil, fmt.Errorf("read what was scanned: %w", readError(err))
	}
	defer rows.Close()
	var list []blocks.Scanned
	for rows.Next() {
		var c blocks.Scanned
		var path, hash []byte
		var dev, inode int64
		if err := rows.Scan(&c.Heap, &path, &c.Folder, &c.Block, &c.Parent, &c.Size, &c.MTime, &dev, &inode, &hash, &c.State, &c.Trashed, &c.Seen); err != nil {
			return nil, fmt.Errorf("read what was scanned: %w", err)
		}
		c.Path, c.Dev, c.Inode = string(path), uint64(dev), uint64(inode)
		copy(c.Hash[:], hash)
		list = append(list, c)
	}
	return list, readError(rows.Err())
}

// maxPaths is how many paths one query asks for.
const maxPaths = 256

// ScannedAt implements [blocks.Places].
func (s *Store) ScannedAt(ctx context.Context, heap blocks.HeapID, paths []string) ([]blocks.Scanned, error) {
	var list []blocks.Scanned
	for some := range slices.Chunk(paths, maxPaths) {
		query, width := pathsQuery(len(some))
		args := make([]any, 1, width+1)
		args[0] = heap
		for i := range width {
			args = append(args, []byte(some[min(i, len(some)-1)]))
		}
		found, err := s.scanned(ctx, query, args...)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

// pathsQuery has one of few widths, so that few statements are prepared.
func pathsQuery(n int) (query string, width int) {
	for width = 1; width < n; width *= 4 {
	}
	query = `heaps h CROSS JOIN scanned c ON c.heap = h.id WHERE h.heap = ? AND c.path IN (?`
	for range width - 1 {
		query += `, ?`
	}
	return query + `)`, width
}

// ScannedLike implements [blocks.Places].
func (s *Store) ScannedLike(ctx context.Context, heap blocks.HeapID, hash *blocks.Hash, st tree.Stat, limit int) ([]blocks.Scanned, error) {
	if hash != nil {
		return s.scanned(ctx, `heaps h CROSS JOIN scanned c INDEXED BY scanned_by_hash ON c.hash = ? AND c.heap = h.id WHERE h.heap = ? LIMIT ?`, hash[:], heap, limit)
	}
	return s.scanned(ctx, `heaps h CROSS JOIN scanned c INDEXED BY scanned_by_inode ON c.heap = h.id AND c.inode = ? AND c.dev = ? WHERE h.heap = ? LIMIT ?`,
		int64(st.Inode), int64(st.Dev), heap, limit)
}

// AnyScanned implements [blocks.Places].
func (s *Store) AnyScanned(ctx context.Context, heap blocks.HeapID) (any bool, err error) {
	err = s.readers.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM heaps h JOIN scanned c ON c.heap = h.id WHERE h.heap = ?)`, heap).Scan(&any)
	if err != nil {
		return false, fmt.Errorf("whether anything was scanned: %w", readError(err))
	}
	return any, nil
}

// ScannedBlock implements [blocks.Places].
func (s *Store) ScannedBlock(ctx context.Context, key blocks.BlockKey) (blocks.Scanned, error) {
	list, err := s.scanned(ctx, `heaps h CROSS JOIN scanned c ON c.heap = h.id WHERE h.heap = ? AND c.block = ?`, key.Heap, key.Block)
	if err != nil {
		return blocks.Scanned{}, err
	}
	if len(list) == 0 {
		return blocks.Scanned{}, fmt.Errorf("place of %s: %w", key, blocks.ErrNotFound)
	}
	return list[0], nil
}

// PlacesOf implements [blocks.Places].
func (s *Store) PlacesOf(ctx context.Context, hash blocks.Hash, limit int) ([]blocks.Scanned, error) {
	return s.scanned(ctx, `scanned c INDEXED BY scanned_by_hash JOIN heaps h ON h.id = c.heap WHERE c.hash = ? ORDER BY c.state = 'present' DESC LIMIT ?`, hash[:], limit)
}

// SaveScanned implements [blocks.Places].
func (s *Store) SaveScanned(ctx context.Context, list []blocks.Scanned, files []blocks.File) error {
	err := s.write(ctx, func(t *tx) error {
		heaps := map[blocks.HeapID]int64{}
		for i := range list {
			heap, known := heaps[list[i].Heap]
			if !known {
				err := t.queryRow(`SELECT id FROM heaps WHERE heap = ? AND deleted_at = 0`, list[i].Heap).Scan(&heap)
				if err != nil && !errors.Is(err, sql.ErrNoRows) {
					return t.check(err)
				}
				heaps[list[i].Heap] = heap
			}
			if heap == 0 {
				continue // it has just been deleted
			}
			if err := saveScanned(t, heap, &list[i]); err != nil {
				return err
			}
		}
		for _, f := range files {
			if err := addFile(t, f); err != nil && !errors.Is(err, blocks.ErrNotFound) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("save what was scanned: %w", err)
	}
	return nil
}

// saveScanned names values, not a SELECT: SQLite keeps a journal for each statement that
// may come to several rows, of all pages that it changes.
func saveScanned(t *tx, heap int64, c *blocks.Scanned) error {
	var hash []byte
	if !c.Folder {
		hash = c.Hash[:]
	}
	values := []any{heap, []byte(c.Path), c.Folder, c.Block, c.Parent, c.Size, c.MTime, int64(c.Dev), int64(c.Inode), hash, c.State, c.Trashed, c.Seen}
	n, err := t.affected(`INSERT OR IGNORE`+intoScanned, values...)
	if err != nil || n > 0 {
		return err
	}
	// Most of what is scanned again is as it was, and of that no index changes.
	n, err = t.affected(`UPDATE scanned SET state = ?11, seen = ?13 WHERE heap = ?1 AND path = ?2
		AND folder = ?3 AND block = ?4 AND parent = ?5 AND size = ?6 AND mtime_ns = ?7 AND dev = ?8 AND inode = ?9 AND hash IS ?10 AND trashed = ?12`, values...)
	if err != nil || n > 0 {
		return err
	}
	_, err = t.exec(`INSERT OR REPLACE`+intoScanned, values...)
	return err
}

const intoScanned = ` INTO scanned (heap, path, folder, block, parent, size, mtime_ns, dev, inode, hash, state, trashed, seen)
	VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)`

// inFolder is true of what lies in a folder; its two arguments are those of folderRange.
const inFolder = `c.heap = h.id AND c.path > ? AND c.path < ?`

// folderRange is between which paths all that lies in a folder is.
func folderRange(folder string) (from, to []byte) {
	if folder == "/" {
		return []byte("/"), []byte("0")
	}
	return []byte(folder + "/"), []byte(folder + "0") // 0 comes after /
}

// MarkScanned implements [blocks.Places].
func (s *Store) MarkScanned(ctx context.Context, heap blocks.HeapID, folder string, state blocks.ScannedState, seen int64) (files int64, err error) {
	from, to := folderRange(folder)
	err = s.write(ctx, func(t *tx) error {
		args := []any{state, seen, heap, from, to}
		const set = `UPDATE scanned AS c SET state = ?, seen = ? FROM heaps h WHERE h.heap = ? AND ` + inFolder + ` AND c.state <> 'vanished' AND c.folder = `
		if _, err := t.exec(set+`1`, args...); err != nil {
			return err
		}
		var err error
		files, err = t.affected(set+`0`, args...)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("mark what was scanned: %w", err)
	}
	return files, nil
}

// Unseen implements [blocks.Places].
func (s *Store) Unseen(ctx context.Context, heap blocks.HeapID, folder string, deep bool, seen int64, after string, limit int) ([]blocks.Scanned, error) {
	from, to := folderRange(folder)
	begin := len(from) + 1
	if after > string(from) {
		from = []byte(after)
	}
	return s.scanned(ctx, `heaps h CROSS JOIN scanned c ON `+inFolder+`
		WHERE h.heap = ? AND c.seen < ? AND c.state <> 'vanished' AND (? OR instr(substr(c.path, ?), x'2f') = 0) ORDER BY c.path LIMIT ?`,
		from, to, heap, seen, deep, begin, limit)
}

// CountScanned implements [blocks.Places].
func (s *Store) CountScanned(ctx context.Context, heap blocks.HeapID, folder string) (files int64, err error) {
	from, to := folderRange(folder)
	err = s.readers.QueryRowContext(ctx, `SELECT count(*) FROM heaps h CROSS JOIN scanned c ON `+inFolder+`
		WHERE h.heap = ? AND c.folder = 0 AND c.state <> 'vanished'`, from, to, heap).Scan(&files)
	if err != nil {
		return 0, fmt.Errorf("count what was scanned: %w", readError(err))
	}
	return files, nil
}

// dropScanned forgets up to scannedStep of what was scanned into a heap, and then its
// folders; more says that there is something left.
func dropScanned(t *tx, heap int64) (more bool, err error) {
	n, err := t.affected(`DELETE FROM scanned WHERE heap = ?1 AND path IN (SELECT path FROM scanned WHERE heap = ?1 LIMIT ?2)`, heap, scannedStep)
	if err != nil || n == scannedStep {
		return true, err
	}
	_, err = t.exec(`DELETE FROM scan_folders WHERE heap = ?`, heap)
	return false, err
}

const scannedStep = 5000
