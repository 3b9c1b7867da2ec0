package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/crc64"
	"slices"

	"github.com/heapsync/heapsync/blocks"
)

// Progress implements [blocks.IndexWriter].
func (x *Index) Progress(ctx context.Context) (p blocks.Progress, err error) {
	err = x.read(ctx, func(r *connTx) error {
		return r.QueryRowContext(ctx, `SELECT through, counted FROM progress`).Scan(&p.Through, &p.Counted)
	})
	return p, err
}

// Heaps implements [blocks.IndexWriter].
func (x *Index) Heaps(ctx context.Context) (list []blocks.HeapID, err error) {
	err = x.read(ctx, func(r *connTx) error {
		list, err = scanAll[blocks.HeapID](r.QueryContext(ctx, `SELECT heap FROM heaps`))
		return err
	})
	return list, err
}

// scanAll reads rows of one column.
func scanAll[T any](rows *sql.Rows, err error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// Project implements [blocks.IndexWriter].
func (x *Index) Project(ctx context.Context, b *blocks.IndexBatch) error {
	err := x.write(ctx, func(t *connTx) error {
		w := indexTx{ctx: ctx, t: t, heaps: map[blocks.HeapID]int64{}, scopes: map[scope]int64{}}
		for i := range b.Projections {
			if err := w.put(&b.Projections[i]); err != nil {
				return fmt.Errorf("block %s: %w", b.Projections[i].Key, err)
			}
		}
		for _, key := range b.Removed {
			if err := w.remove(key); err != nil {
				return fmt.Errorf("block %s: %w", key, err)
			}
		}
		for _, d := range b.Days {
			heap, err := w.heap(d.Heap)
			if err != nil {
				return err
			}
			err = w.exec(`INSERT INTO days (heap, day, updates) VALUES (?, ?, ?)
				ON CONFLICT DO UPDATE SET updates = updates + excluded.updates`, heap, d.Day, d.Updates)
			if err != nil {
				return err
			}
		}
		if err := w.endScopes(); err != nil {
			return err
		}
		return w.exec(`UPDATE progress SET through = max(through, ?), counted = max(counted, ?)`, b.Progress.Through, b.Progress.Counted)
	})
	if err != nil {
		return fmt.Errorf("project: %w", err)
	}
	return nil
}

// indexTx is a transaction that projects.
type indexTx struct {
	ctx    context.Context
	t      *connTx
	heaps  map[blocks.HeapID]int64
	scopes map[scope]int64 // how many blocks came, less those that left
	ids    map[scope]int64
}

func (w *indexTx) exec(query string, args ...any) error {
	_, err := w.t.ExecContext(w.ctx, query, args...)
	return err
}

// heap returns the number of a heap, which it gives out at first sight.
func (w *indexTx) heap(heap blocks.HeapID) (int64, error) {
	if id, ok := w.heaps[heap]; ok {
		return id, nil
	}
	var id int64
	err := w.t.QueryRowContext(w.ctx, `SELECT id FROM heaps WHERE heap = ?`, heap).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = w.t.QueryRowContext(w.ctx, `INSERT INTO heaps (heap) VALUES (?) RETURNING id`, heap).Scan(&id)
	}
	if err == nil {
		w.heaps[heap] = id
	}
	return id, err
}

// scope is a row of scopes.
type scope struct {
	heap         int64
	trashed      bool
	parent, kind string
}

const anyParent = "*" // is no block's id

// scopesOf returns the four scopes that a block is in.
func scopesOf(heap int64, e *blocks.Entry) [4]scope {
	trashed, parent := e.TrashedAt != 0, string(e.Parent)
	return [4]scope{
		{heap, trashed, anyParent, ""},
		{heap, trashed, anyParent, e.Type},
		{heap, trashed, parent, ""},
		{heap, trashed, parent, e.Type},
	}
}

// scopeID returns the number of a scope, and makes it if there is none.
func (w *indexTx) scopeID(s scope) (int64, error) {
	if id, ok := w.ids[s]; ok {
		return id, nil
	}
	var id int64
	err := w.t.QueryRowContext(w.ctx, `SELECT id FROM scopes WHERE heap = ? AND trashed = ? AND parent = ? AND type = ?`,
		s.heap, s.trashed, s.parent, s.kind).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = w.t.QueryRowContext(w.ctx, `INSERT INTO scopes (heap, trashed, parent, type, blocks) VALUES (?, ?, ?, ?, 0) RETURNING id`,
			s.heap, s.trashed, s.parent, s.kind).Scan(&id)
	}
	if err == nil {
		if w.ids == nil {
			w.ids = map[scope]int64{}
		}
		w.ids[s] = id
	}
	return id, err
}

// endScopes writes how many blocks the scopes have now, and removes those with none.
func (w *indexTx) endScopes() error {
	for s, n := range w.scopes {
		if n == 0 {
			continue
		}
		id, err := w.scopeID(s)
		if err == nil {
			err = w.exec(`UPDATE scopes SET blocks = blocks + ? WHERE id = ?`, n, id)
		}
		if err != nil {
			return err
		}
	}
	for s := range w.scopes {
		if err := w.exec(`DELETE FROM scopes WHERE heap = ? AND trashed = ? AND parent = ? AND type = ? AND blocks = 0`,
			s.heap, s.trashed, s.parent, s.kind); err != nil {
			return err
		}
	}
	return nil
}

// indexed is what is stored of a block.
type indexed struct {
	id, text, sum int64
	entry         blocks.Entry
	hasFile       bool
}

// stored returns what is there of a block; its id is 0 if nothing is.
func (w *indexTx) stored(heap int64, block blocks.BlockID) (indexed, error) {
	var b indexed
	e := &b.entry
	err := w.t.QueryRowContext(w.ctx, `SELECT id, text, text_sum, seq, type, parent, trashed_at, size, updates, file IS NOT NULL, file_bytes
		FROM blocks WHERE heap = ? AND block = ?`, heap, block).
		Scan(&b.id, &b.text, &b.sum, &e.Seq, &e.Type, &e.Parent, &e.TrashedAt, &e.Size, &e.Updates, &b.hasFile, &e.FileBytes)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return b, err
}

func (w *indexTx) put(p *blocks.Projection) error {
	heap, err := w.heap(p.Key.Heap)
	if err != nil {
		return err
	}
	old, err := w.stored(heap, p.Key.Block)
	switch {
	case err != nil:
		return err
	case old.id != 0 && old.entry.Seq > p.Seq:
		return nil
	case old.id != 0 && p.Unread != "":
		err = w.exec(`UPDATE blocks SET seq = ?, sync_version = ?, size = ?, updates = ?, updated_at = ?, unread = ? WHERE id = ?`,
			p.Seq, p.SyncVersion, p.Size, p.Updates, p.UpdatedAt, p.Unread, old.id)
		if err != nil {
			return err
		}
		return w.sum(heap, blocks.Totals{Bytes: p.Size - old.entry.Size, Updates: p.Updates - old.entry.Updates})
	}
	now := scopesOf(heap, &p.Entry)
	if old.id == 0 || now != scopesOf(heap, &old.entry) {
		if old.id != 0 {
			for _, s := range scopesOf(heap, &old.entry) {
				w.scopes[s]--
			}
		}
		for _, s := range now {
			w.scopes[s]++
		}
	}
	var ids [4]int64
	for i, s := range now {
		if ids[i], err = w.scopeID(s); err != nil {
			return err
		}
	}
	text, sum, err := w.putText(p, ids, old)
	if err != nil {
		return err
	}
	id, err := w.putBlock(heap, p, ids, text, sum)
	if err != nil {
		return err
	}
	if err := w.putRelations(heap, id, p.Relations); err != nil {
		return err
	}
	count := int64(0)
	if old.id == 0 {
		count = 1
	}
	return w.sum(heap, blocks.Totals{
		Blocks: count, Bytes: p.Size - old.entry.Size, Updates: p.Updates - old.entry.Updates,
		Files: number(p.File != nil) - number(old.hasFile), FileBytes: p.FileBytes - old.entry.FileBytes,
	})
}

// sum adds to a heap's sums.
func (w *indexTx) sum(heap int64, t blocks.Totals) error {
	if t == (blocks.Totals{}) {
		return nil
	}
	return w.exec(`UPDATE heaps SET blocks = blocks + ?, bytes = bytes + ?, updates = updates + ?, files = files + ?, file_bytes = file_bytes + ? WHERE id = ?`,
		t.Blocks, t.Bytes, t.Updates, t.Files, t.FileBytes, heap)
}

func (w *indexTx) putBlock(heap int64, p *blocks.Projection, in [4]int64, text, sum int64) (id int64, err error) {
	err = w.t.QueryRowContext(w.ctx, `INSERT INTO blocks (heap, block, seq, type, title, sort_title, parent, snippet, apps, file, file_bytes,
			created_at, trashed_at, sync_version, size, updates, updated_at, unread, text, text_sum, in_heap, in_type, in_parent, in_both)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (heap, block) DO UPDATE SET seq = excluded.seq, type = excluded.type, title = excluded.title,
			sort_title = excluded.sort_title, parent = excluded.parent, snippet = excluded.snippet, apps = excluded.apps,
			file = excluded.file, file_bytes = excluded.file_bytes, created_at = excluded.created_at,
			trashed_at = excluded.trashed_at, sync_version = excluded.sync_version, size = excluded.size, updates = excluded.updates,
			updated_at = excluded.updated_at, unread = excluded.unread, text = excluded.text, text_sum = excluded.text_sum,
			in_heap = excluded.in_heap, in_type = excluded.in_type, in_parent = excluded.in_parent, in_both = excluded.in_both
		RETURNING id`,
		heap, p.Key.Block, p.Seq, p.Type, p.Title, blocks.SortTitle(p.Title), p.Parent, p.Snippet, nullText(p.Apps), nullText(p.File), p.FileBytes,
		p.CreatedAt, p.TrashedAt, p.SyncVersion, p.Size, p.Updates, p.UpdatedAt, p.Unread, text, sum, in[0], in[1], in[2], in[3]).Scan(&id)
	return id, err
}

func nullText(b []byte) any {
	if b == nil {
		return nil
	}
	return string(b)
}

var crcTable = crc64.MakeTable(crc64.ECMA)

const (
	// indexedBytes is how many bytes of folded words of a text can be found, and
	// sampleBytes how many of them count for its rank.
	indexedBytes = 1 << 20
	sampleBytes  = 2 << 10
)

// putText indexes the words of a block, unless they are what is there.
func (w *indexTx) putText(p *blocks.Projection, in [4]int64, old indexed) (id, sum int64, err error) {
	crc := crc64.Update(0, crcTable, []byte(p.Title+"\x00"+p.Text+"\x00"))
	crc = crc64.Update(crc, crcTable, fmt.Append(nil, in))
	sum = int64(crc)
	if old.id != 0 && old.sum == sum && old.text != 0 {
		return old.text, sum, nil
	}
	if err := w.dropText(old.text); err != nil {
		return 0, 0, err
	}
	title, n := blocks.Fold(p.Title, indexedBytes)
	body, m := blocks.Fold(p.Text, indexedBytes)
	sample, _ := blocks.Fold(p.Text, sampleBytes)
	err = w.t.QueryRowContext(w.ctx, `INSERT INTO texts (words, sample, body) VALUES (?, ?, ?) RETURNING id`,
		n+m, title+"\n"+sample, p.Text).Scan(&id)
	if err != nil {
		return 0, 0, err
	}
	scopes := fmt.Sprintf("s%d s%d s%d s%d", in[0], in[1], in[2], in[3])
	return id, sum, w.exec(`INSERT INTO words (rowid, title, body, scope) VALUES (?, ?, ?, ?)`, id, title, body, scopes)
}

func (w *indexTx) dropText(id int64) error {
	if id == 0 {
		return nil
	}
	if err := w.exec(`DELETE FROM words WHERE rowid = ?`, id); err != nil {
		return err
	}
	return w.exec(`DELETE FROM texts WHERE id = ?`, id)
}

// putRelations stores a block's relations, if they are not those that are there.
func (w *indexTx) putRelations(heap, block int64, list []blocks.Relation) error {
	have, err := w.relations(block)
	if err != nil {
		return err
	}
	// As the table keeps them: by id, one of each.
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(a, b blocks.Relation) int { return cmp.Compare(a.ID, b.ID) })
	sorted = slices.CompactFunc(sorted, func(a, b blocks.Relation) bool { return a.ID == b.ID })
	if slices.Equal(have, sorted) {
		return nil
	}
	if err := w.exec(`DELETE FROM relations WHERE block = ?`, block); err != nil {
		return err
	}
	for _, r := range sorted {
		err := w.exec(`INSERT INTO relations (block, relation, kind, heap, target) VALUES (?, ?, ?, ?, ?)`, block, r.ID, r.Kind, heap, r.Target)
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *indexTx) relations(block int64) ([]blocks.Relation, error) {
	rows, err := w.t.QueryContext(w.ctx, `SELECT relation, kind, target FROM relations WHERE block = ? ORDER BY relation`, block)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []blocks.Relation
	for rows.Next() {
		var r blocks.Relation
		if err := rows.Scan(&r.ID, &r.Kind, &r.Target); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

func (w *indexTx) remove(key blocks.BlockKey) error {
	heap, err := w.heap(key.Heap)
	if err != nil {
		return err
	}
	old, err := w.stored(heap, key.Block)
	if err != nil || old.id == 0 {
		return err
	}
	for _, s := range scopesOf(heap, &old.entry) {
		w.scopes[s]--
	}
	if err := w.dropText(old.text); err != nil {
		return err
	}
	for _, query := range []string{`DELETE FROM relations WHERE block = ?`, `DELETE FROM blocks WHERE id = ?`} {
		if err := w.exec(query, old.id); err != nil {
			return err
		}
	}
	return w.sum(heap, blocks.Totals{
		Blocks: -1, Bytes: -old.entry.Size, Updates: -old.entry.Updates, Files: -number(old.hasFile), FileBytes: -old.entry.FileBytes,
	})
}

// forgetSome is how many blocks of a heap are removed in one transaction.
const forgetSome = 1000

// Forget implements [blocks.IndexWriter].
func (x *Index) Forget(ctx context.Context, heap blocks.HeapID) error {
	for {
		var some []blocks.BlockID
		err := x.read(ctx, func(r *connTx) (err error) {
			some, err = scanAll[blocks.BlockID](r.QueryContext(ctx, `SELECT b.block FROM heaps JOIN blocks b ON b.heap = heaps.id
				WHERE heaps.heap = ? LIMIT ?`, heap, forgetSome))
			return err
		})
		if err != nil {
			return fmt.Errorf("forget heap %s: %w", heap, err)
		}
		if len(some) == 0 {
			break
		}
		b := blocks.IndexBatch{}
		for _, block := range some {
			b.Removed = append(b.Removed, blocks.BlockKey{Heap: heap, Block: block})
		}
		if err := x.Project(ctx, &b); err != nil {
			return fmt.Errorf("forget heap %s: %w", heap, err)
		}
	}
	err := x.write(ctx, func(t *connTx) error {
		for _, query := range []string{
			`DELETE FROM days WHERE heap = (SELECT id FROM heaps WHERE heap = ?)`,
			`DELETE FROM heaps WHERE heap = ?`,
		} {
			if _, err := t.ExecContext(ctx, query, heap); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget heap %s: %w", heap, err)
	}
	return nil
}
