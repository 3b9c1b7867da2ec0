package sqlite

import (
	"context"
	"fmt"
	"strings"

	"github.com/heapsync/heapsync/blocks"
)

// maxClient is the largest client id: JavaScript's largest exact integer.
const maxClient = 1<<53 - 1

// insertRows is how many updates one statement appends. Measured: past 64 nothing
// is gained.
const insertRows = 64

// actor is a user on a device.
type actor struct {
	user    blocks.UserID
	session string
}

// updateRow is a row of the log that waits for others to be inserted with.
type updateRow struct {
	seq              blocks.Seq
	ref, prev, actor int64
	at               int64
	bytes            []byte
}

// written is what a commit made of one block; it is copied into the caller's batch
// only when it is on disk.
type written struct {
	ref                  blocks.Ref
	first, seq           blocks.Seq
	tail, tailBytes      int64
	updates, raw         int64
	held, heldBytes      int64
	createdAt, updatedAt int64
	holds                []int64 // ids of the held updates
}

// Commit implements [blocks.UpdateLog].
func (s *Store) Commit(ctx context.Context, b *blocks.Batch) error {
	r := &request{batch: b, wrote: make([]written, 0, len(b.Blocks))}
	for _, c := range b.Blocks {
		for _, u := range c.Updates {
			r.size += len(u.Bytes)
		}
		for _, cl := range c.Claims {
			if cl.Client > maxClient {
				return fmt.Errorf("client id %d: %w", cl.Client, blocks.ErrInvalid)
			}
		}
	}
	if err := s.writer.do(ctx, r); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	b.At = r.at
	for i, c := range b.Blocks {
		r.wrote[i].fill(c, r.at)
	}
	return nil
}

func (w *written) fill(c *blocks.BlockCommit, at int64) {
	h := &c.Head
	h.Ref, h.Seq = w.ref, w.seq
	h.Tail, h.TailBytes = w.tail, w.tailBytes
	h.Updates, h.Raw = w.updates, w.raw
	h.Held, h.HeldBytes = w.held, w.heldBytes
	h.CreatedAt, h.UpdatedAt = w.createdAt, w.updatedAt
	for i := range c.Updates {
		c.Updates[i].Seq, c.Updates[i].At = w.first+blocks.Seq(i), at
	}
	for i := range c.Hold {
		c.Hold[i].ID, c.Hold[i].At = w.holds[i], at
	}
}

// applyBatch writes r's batch, but for the rows that flush writes.
func (w *writer) applyBatch(r *request) error {
	r.at, r.wrote = w.tx.time(), r.wrote[:0]
	for _, c := range r.batch.Blocks {
		res, err := w.applyBlock(c)
		if err != nil {
			return w.tx.check(fmt.Errorf("block %s: %w", c.Head.Key, err))
		}
		r.wrote = append(r.wrote, res)
	}
	return nil
}

func (w *writer) applyBlock(c *blocks.BlockCommit) (written, error) {
	h := &c.Head
	res := written{ref: h.Ref, seq: h.Seq}
	if h.Ref == 0 {
		res.seq = 0
	}
	base, last, size := res.seq, res.seq, int64(0)
	rows := len(w.rows)
	for _, u := range c.Updates {
		id, err := w.actorID(actor{u.User, u.Session})
		if err != nil {
			return res, err
		}
		seq := w.tx.nextSeq()
		w.rows = append(w.rows, updateRow{seq: seq, ref: int64(h.Ref), prev: int64(last), actor: id, at: w.tx.at, bytes: u.Bytes})
		last = seq
		size += int64(len(u.Bytes))
	}
	if n := len(c.Updates); n > 0 {
		res.first, res.seq = last-blocks.Seq(n)+1, last
	}
	var err error
	if h.Ref == 0 {
		if err = w.createBlock(c, &res, size); err != nil {
			return res, err
		}
		for i := range w.rows[rows:] {
			w.rows[rows+i].ref = int64(res.ref)
		}
	} else if err = w.advanceBlock(c, &res, base, size); err != nil {
		return res, err
	}
	if len(c.Claims) > 0 || len(c.Hold) > 0 || len(c.Release) > 0 {
		if err := w.applyRest(c, &res); err != nil {
			return res, err
		}
	}
	if len(w.rows) >= insertRows {
		return res, w.flush(false)
	}
	return res, nil
}

// createBlock inserts the head of a new block.
func (w *writer) createBlock(c *blocks.BlockCommit, res *written, size int64) error {
	h, n := &c.Head, int64(len(c.Updates))
	row, err := w.hotRow(`INSERT INTO blocks (heap, block, type, seq, sync_version, bytes,
			depth, items, branches, keyed, wide, tail, tail_bytes, updates, raw, created_at, updated_at, crc, state_vector)
		SELECT id, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM heaps WHERE heap = ?
		RETURNING ref`, 1,
		string(h.Key.Block), h.Type, int64(res.seq), h.SyncVersion, h.Bytes,
		int64(h.Shape.Depth), h.Shape.Items, h.Shape.Branches, number(h.Shape.Keyed), number(h.Shape.Wide),
		n, size, n, n, w.tx.at, w.tx.at, w.headSum(h, res.seq), notNil(h.StateVector),
		string(h.Key.Heap))
	switch {
	case isUnique(err):
		return fmt.Errorf("created meanwhile: %w", blocks.ErrConflict)
	case err != nil:
		return err
	case row == nil:
		return fmt.Errorf("heap: %w", blocks.ErrNotFound)
	}
	res.ref = blocks.Ref(row[0].(int64))
	if res.seq > 0 {
		if err := w.listed(h.Key.Heap); err != nil {
			return err
		}
	}
	res.tail, res.tailBytes = n, size
	res.updates, res.raw = n, n
	res.createdAt, res.updatedAt = w.tx.at, w.tx.at
	return nil
}

// listed counts a block that has got its first seq.
func (w *writer) listed(heap blocks.HeapID) error {
	return w.hotExec(`UPDATE heaps SET listed = listed + 1 WHERE heap = ?`, string(heap))
}

// advanceBlock writes the head of a block that is at base. Reading the row first
// is cheaper than RETURNING, for which SQLite makes a temporary table.
func (w *writer) advanceBlock(c *blocks.BlockCommit, res *written, base blocks.Seq, size int64) error {
	h, n := &c.Head, int64(len(c.Updates))
	row, err := w.hotRow(`SELECT tail, tail_bytes, held, held_bytes, created_at, updated_at, updates, raw
		FROM blocks WHERE ref = ? AND seq = ?`, 8, int64(h.Ref), int64(base))
	if err != nil {
		return err
	}
	if row == nil {
		return fmt.Errorf("not at seq %d any more: %w", base, blocks.ErrConflict)
	}
	res.tail, res.tailBytes = row[0].(int64)+n, row[1].(int64)+size
	res.held, res.heldBytes = row[2].(int64), row[3].(int64)
	res.createdAt, res.updatedAt = row[4].(int64), row[5].(int64)
	res.updates, res.raw = row[6].(int64)+n, row[7].(int64)+n
	if n > 0 { // else nothing changes that can be seen
		res.updatedAt = w.tx.at
	}
	if base == 0 && res.seq > 0 {
		if err := w.listed(h.Key.Heap); err != nil {
			return err
		}
	}
	return w.hotExec(`UPDATE blocks SET type = ?, seq = ?, sync_version = ?, bytes = ?,
		depth = ?, items = ?, branches = ?, keyed = ?, wide = ?, tail = ?, tail_bytes = ?, updates = ?, raw = ?,
		updated_at = ?, crc = ?, state_vector = ? WHERE ref = ?`,
		h.Type, int64(res.seq), h.SyncVersion, h.Bytes,
		int64(h.Shape.Depth), h.Shape.Items, h.Shape.Branches, number(h.Shape.Keyed), number(h.Shape.Wide),
		res.tail, res.tailBytes, res.updates, res.raw, res.updatedAt, w.headSum(h, res.seq), notNil(h.StateVector), int64(h.Ref))
}

// applyRest writes what few commits have: claims, and updates held or released.
func (w *writer) applyRest(c *blocks.BlockCommit, res *written) error {
	ref := int64(res.ref)
	for _, cl := range c.Claims {
		id, err := w.actorID(actor{user: cl.User})
		if err != nil {
			return err
		}
		err = w.hotExec(`INSERT INTO clients (block, client, actor) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			ref, int64(cl.Client), id)
		if err != nil {
			return err
		}
	}
	var n, size int64
	for _, u := range c.Release {
		row, err := w.hotRow(`DELETE FROM held WHERE id = ? AND block = ? RETURNING length(bytes)`, 1, u.ID, ref)
		if err != nil {
			return err
		}
		if row != nil { // else it expired meanwhile
			n--
			size -= row[0].(int64)
		}
	}
	for _, u := range c.Hold {
		id, err := w.actorID(actor{u.User, u.Session})
		if err != nil {
			return err
		}
		row, err := w.hotRow(`INSERT INTO held (block, actor, at, crc, bytes) VALUES (?, ?, ?, ?, ?) RETURNING id`, 1,
			ref, id, w.tx.at, w.heldSum(ref, id, w.tx.at, u.Bytes), notNil(u.Bytes))
		if err != nil {
			return err
		}
		res.holds = append(res.holds, row[0].(int64))
		n++
		size += int64(len(u.Bytes))
	}
	row, err := w.hotRow(`UPDATE blocks SET held = held + ?, held_bytes = held_bytes + ? WHERE ref = ?
		RETURNING held, held_bytes`, 2, n, size, ref)
	if err != nil {
		return err
	}
	res.held, res.heldBytes = row[0].(int64), row[1].(int64)
	return nil
}

// flush inserts the rows that wait, as many to a statement as fit; unless all is
// set it leaves those that do not fill one.
func (w *writer) flush(all bool) error {
	rows := w.rows
	for n := insertRows; len(rows) > 0; {
		if n > len(rows) {
			if !all {
				break
			}
			n /= 2
			continue
		}
		if err := w.insert(rows[:n]); err != nil {
			return w.tx.check(err)
		}
		rows = rows[n:]
	}
	left := copy(w.rows, rows)
	clear(w.rows[left:])
	w.rows = w.rows[:left]
	return nil
}

func (w *writer) insert(rows []updateRow) error {
	s := w.inserts[len(rows)]
	if s == nil {
		values := strings.Repeat(", (?, ?, ?, ?, ?, ?, ?)", len(rows))
		var err error
		s, err = w.hotStmt(`INSERT INTO updates (seq, block, prev, actor, at, crc, bytes) VALUES `+values[2:], 0)
		if err != nil {
			return err
		}
		w.inserts[len(rows)] = s
	}
	for i, r := range rows {
		a := s.args[i*7 : i*7+7]
		a[0].Value = int64(r.seq)
		a[1].Value = r.ref
		a[2].Value = r.prev
		a[3].Value = r.actor
		a[4].Value = r.at
		a[5].Value = w.updateSum(&r)
		a[6].Value = notNil(r.bytes)
	}
	_, err := s.run()
	return err
}

// actorID returns the number of an actor, which it gives out at first sight.
func (w *writer) actorID(a actor) (int64, error) {
	if id, ok := w.actors[a]; ok {
		return id, nil
	}
	if len(w.actors) >= maxActors {
		clear(w.actors)
	}
	row, err := w.hotRow(`SELECT id FROM actors WHERE user = ? AND session = ?`, 1, string(a.user), a.session)
	if err == nil && row == nil {
		row, err = w.hotRow(`INSERT INTO actors (user, session) VALUES (?, ?) RETURNING id`, 1, string(a.user), a.session)
		w.newActors = append(w.newActors, a)
	}
	if err != nil {
		return 0, err
	}
	id := row[0].(int64)
	w.actors[a] = id
	return id, nil
}

// notNil makes sure that no bytes are stored as no bytes, and not as NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
