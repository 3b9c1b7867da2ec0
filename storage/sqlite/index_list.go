package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/heapsync/heapsync/blocks"
)

const entryColumns = `b.id, heaps.heap, b.block, b.seq, b.type, b.title, b.parent, b.snippet, b.apps, b.file, b.file_bytes,
	b.created_at, b.trashed_at, b.sync_version, b.size, b.updates, b.updated_at, b.unread,
	coalesce((SELECT c.blocks FROM scopes c WHERE c.heap = b.heap AND c.trashed = 0 AND c.parent = b.block AND c.type = ''), 0)`

func scanEntries(rows *sql.Rows, err error) ([]blocks.Entry, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []blocks.Entry
	for rows.Next() {
		var e blocks.Entry
		var apps, file sql.NullString
		err := rows.Scan(&e.ID, &e.Key.Heap, &e.Key.Block, &e.Seq, &e.Type, &e.Title, &e.Parent, &e.Snippet, &apps, &file, &e.FileBytes,
			&e.CreatedAt, &e.TrashedAt, &e.SyncVersion, &e.Size, &e.Updates, &e.UpdatedAt, &e.Unread, &e.Children)
		if err != nil {
			return nil, err
		}
		if apps.Valid {
			e.Apps = []byte(apps.String)
		}
		if file.Valid {
			e.File = []byte(file.String)
		}
		list = append(list, e)
	}
	return list, rows.Err()
}

// scopeOf returns the scope that holds what f meets, and 0 if there is nothing.
func scopeOf(ctx context.Context, r *connTx, f blocks.Filter) (id, count int64, err error) {
	parent := anyParent
	if f.Parent != nil {
		parent = string(*f.Parent)
	}
	err = r.QueryRowContext(ctx, `SELECT scopes.id, scopes.blocks FROM heaps JOIN scopes ON scopes.heap = heaps.id
		WHERE heaps.heap = ? AND scopes.trashed = ? AND scopes.parent = ? AND scopes.type = ?`,
		f.Heap, f.Trashed, parent, f.Type).Scan(&id, &count)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return id, count, err
}

// scopeColumn names the column of blocks that holds the scope f is, and the prefix of
// the names of its indexes.
func scopeColumn(f blocks.Filter) (column, index string) {
	switch {
	case f.Parent != nil && f.Type != "":
		return "in_both", "both_"
	case f.Parent != nil:
		return "in_parent", "parent_"
	case f.Type != "":
		return "in_type", "type_"
	}
	return "in_heap", "heap_"
}

// sortColumns names the columns that lists are sorted by, and the ends of the names of
// their indexes.
var sortColumns = map[blocks.SortKey][2]string{
	blocks.ByUpdated: {"updated_at", "updated"},
	blocks.ByCreated: {"created_at", "created"},
	blocks.ByTitle:   {"sort_title", "title"},
	blocks.BySize:    {"size", "size"},
}

// listQuery returns the query of a list with and without a place to go on from. Its
// arguments are the scope, the place's value and ID or else how many to skip if there
// are such, and the limit.
func listQuery(l blocks.Listing) (string, error) {
	sort, ok := sortColumns[l.By]
	if !ok {
		return "", fmt.Errorf("sort by %q: %w", l.By, blocks.ErrInvalid)
	}
	scope, index := scopeColumn(l.Filter)
	order, beyond := "", ">"
	if l.Descending {
		order, beyond = " DESC", "<"
	}
	after := ""
	if l.After != nil {
		after = fmt.Sprintf(" AND (b.%s, b.id) %s (?, ?)", sort[0], beyond)
	} else if l.Skip > 0 {
		// What is left out is counted in the index alone, without a look at its rows.
		after = fmt.Sprintf(` AND (b.%[1]s, b.id) %[2]s= (SELECT p.%[1]s, p.id FROM blocks p INDEXED BY %[3]s%[4]s
			WHERE p.%[5]s = ?1 ORDER BY p.%[1]s%[6]s, p.id%[6]s LIMIT 1 OFFSET ?)`, sort[0], beyond, index, sort[1], scope, order)
	}
	// The join is made last, a row at a time: the heap is the same in all of them.
	return fmt.Sprintf(`SELECT %s FROM blocks b INDEXED BY %s%s CROSS JOIN heaps ON heaps.id = b.heap
		WHERE b.%s = ?%s ORDER BY b.%s%s, b.id%s LIMIT ?`,
		entryColumns, index, sort[1], scope, after, sort[0], order, order), nil
}

// List implements [blocks.IndexLists].
func (x *Index) List(ctx context.Context, l blocks.Listing) (list []blocks.Entry, err error) {
	query, err := listQuery(l)
	if err != nil {
		return nil, err
	}
	err = x.read(ctx, func(r *connTx) error {
		id, count, err := scopeOf(ctx, r, l.Filter)
		if err != nil || count == 0 {
			return err
		}
		args := []any{id}
		if l.After != nil {
			args = append(args, l.After.Value, l.After.ID)
		} else if l.Skip > 0 {
			args = append(args, l.Skip)
		}
		list, err = scanEntries(r.QueryContext(ctx, query, append(args, l.Limit)...))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list blocks of %s: %w", l.Heap, err)
	}
	return list, nil
}

// Count implements [blocks.IndexLists].
func (x *Index) Count(ctx context.Context, f blocks.Filter) (blocks.Counts, error) {
	c := blocks.Counts{ByType: map[string]int64{}}
	err := x.read(ctx, func(r *connTx) error {
		var err error
		if _, c.Total, err = scopeOf(ctx, r, f); err != nil {
			return err
		}
		trash := f
		trash.Trashed = true
		if _, c.Trashed, err = scopeOf(ctx, r, trash); err != nil {
			return err
		}
		if f.Type != "" {
			if c.Total > 0 {
				c.ByType[f.Type] = c.Total
			}
			return nil
		}
		parent := anyParent
		if f.Parent != nil {
			parent = string(*f.Parent)
		}
		rows, err := r.QueryContext(ctx, `SELECT scopes.type, scopes.blocks FROM heaps JOIN scopes ON scopes.heap = heaps.id
			WHERE heaps.heap = ? AND scopes.trashed = ? AND scopes.parent = ? AND scopes.type <> ''
			ORDER BY scopes.blocks DESC, scopes.type LIMIT ?`, f.Heap, f.Trashed, parent, blocks.MaxTypes)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var kind string
			var n int64
			if err := rows.Scan(&kind, &n); err != nil {
				return err
			}
			c.ByType[kind] = n
		}
		return rows.Err()
	})
	if err != nil {
		return blocks.Counts{}, fmt.Errorf("count blocks of %s: %w", f.Heap, err)
	}
	return c, nil
}

// Entry implements [blocks.IndexLists].
func (x *Index) Entry(ctx context.Context, key blocks.BlockKey) (e blocks.Entry, found bool, err error) {
	err = x.read(ctx, func(r *connTx) error {
		list, err := scanEntries(r.QueryContext(ctx, `SELECT `+entryColumns+` FROM heaps JOIN blocks b ON b.heap = heaps.id
			WHERE heaps.heap = ? AND b.block = ?`, key.Heap, key.Block))
		if len(list) > 0 {
			e, found = list[0], true
		}
		return err
	})
	if err != nil {
		return e, false, fmt.Errorf("entry of %s: %w", key, err)
	}
	return e, found, nil
}

// eachBlock runs a query of two columns for each of the blocks of a heap. Its arguments
// are the heap's number and the block.
func (x *Index) eachBlock(ctx context.Context, heap blocks.HeapID, of []blocks.BlockID, query string, scan func(*sql.Row) error) error {
	return x.read(ctx, func(r *connTx) error {
		var id int64
		err := r.QueryRowContext(ctx, `SELECT id FROM heaps WHERE heap = ?`, heap).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, block := range of {
			err := scan(r.QueryRowContext(ctx, query, id, block))
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		return nil
	})
}

// Seqs implements [blocks.IndexWriter].
func (x *Index) Seqs(ctx context.Context, heap blocks.HeapID, of []blocks.BlockID) (map[blocks.BlockID]blocks.Seq, error) {
	found := make(map[blocks.BlockID]blocks.Seq)
	err := x.eachBlock(ctx, heap, of, `SELECT block, seq FROM blocks WHERE heap = ? AND block = ?`, func(row *sql.Row) error {
		var block blocks.BlockID
		var seq blocks.Seq
		err := row.Scan(&block, &seq)
		if err == nil {
			found[block] = seq
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("seqs of %s: %w", heap, err)
	}
	return found, nil
}

// Titles implements [blocks.IndexLists].
func (x *Index) Titles(ctx context.Context, heap blocks.HeapID, of []blocks.BlockID) (map[blocks.BlockID]string, error) {
	found := make(map[blocks.BlockID]string)
	err := x.eachBlock(ctx, heap, of, `SELECT block, title FROM blocks WHERE heap = ? AND block = ?`, func(row *sql.Row) error {
		var block blocks.BlockID
		var title string
		err := row.Scan(&block, &title)
		if err == nil {
			found[block] = title
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("titles of %s: %w", heap, err)
	}
	return found, nil
}

// Backlinks implements [blocks.IndexLists].
func (x *Index) Backlinks(ctx context.Context, key blocks.BlockKey, limit int) (list []blocks.Backlink, err error) {
	err = x.read(ctx, func(r *connTx) error {
		rows, err := r.QueryContext(ctx, `SELECT b.block, b.title, l.relation, l.kind, l.target
			FROM heaps JOIN relations l ON l.heap = heaps.id JOIN blocks b ON b.id = l.block
			WHERE heaps.heap = ? AND l.target = ? AND b.trashed_at = 0 ORDER BY l.block DESC, l.relation LIMIT ?`, key.Heap, key.Block, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var l blocks.Backlink
			if err := rows.Scan(&l.From, &l.Title, &l.ID, &l.Kind, &l.Target); err != nil {
				return err
			}
			list = append(list, l)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("backlinks of %s: %w", key, err)
	}
	return list, nil
}

// Totals implements [blocks.IndexLists].
func (x *Index) Totals(ctx context.Context, heaps []blocks.HeapID) (map[blocks.HeapID]blocks.Totals, error) {
	found := make(map[blocks.HeapID]blocks.Totals)
	err := x.read(ctx, func(r *connTx) error {
		for _, heap := range heaps {
			var t blocks.Totals
			var id int64
			err := r.QueryRowContext(ctx, `SELECT id, blocks, bytes, updates, files, file_bytes FROM heaps WHERE heap = ?`, heap).
				Scan(&id, &t.Blocks, &t.Bytes, &t.Updates, &t.Files, &t.FileBytes)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			err = r.QueryRowContext(ctx, `SELECT coalesce(max(last), 0) FROM (
				SELECT (SELECT updated_at FROM blocks WHERE in_heap = scopes.id ORDER BY updated_at DESC LIMIT 1) AS last
				FROM scopes WHERE heap = ? AND trashed IN (0, 1) AND parent = ? AND type = '')`, id, anyParent).Scan(&t.LastChangeAt)
			if err != nil {
				return err
			}
			found[heap] = t
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("totals of heaps: %w", err)
	}
	return found, nil
}

// Days implements [blocks.IndexLists].
func (x *Index) Days(ctx context.Context, heap blocks.HeapID, from int64) (list []blocks.DayUpdates, err error) {
	err = x.read(ctx, func(r *connTx) error {
		rows, err := r.QueryContext(ctx, `SELECT days.day, days.updates FROM heaps JOIN days ON days.heap = heaps.id
			WHERE heaps.heap = ? AND days.day >= ? ORDER BY days.day`, heap, from)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			d := blocks.DayUpdates{Heap: heap}
			if err := rows.Scan(&d.Day, &d.Updates); err != nil {
				return err
			}
			list = append(list, d)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("days of %s: %w", heap, err)
	}
	return list, nil
}

// Entries implements [blocks.Index].
func (x *Index) Entries(ctx context.Context, ids []int64) (list []blocks.Entry, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	err = x.read(ctx, func(r *connTx) error {
		list, err = scanEntries(r.QueryContext(ctx, `SELECT `+entryColumns+` FROM blocks b JOIN heaps ON heaps.id = b.heap
			WHERE b.id IN (?`+strings.Repeat(", ?", len(ids)-1)+`)`, args...))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("entries: %w", err)
	}
	return list, nil
}
