package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/heapsync/heapsync/blocks"
)

// Problem is one thing that [Store.Check] found wrong.
type Problem struct {
	Table  string          // where: a table, or "" for the file as a whole
	Block  blocks.BlockKey // whose, zero if that is not known
	Seq    blocks.Seq      // of the update, 0 if it is none
	Detail string
}

func (p Problem) String() string {
	s := p.Detail
	if p.Seq != 0 {
		s = fmt.Sprintf("seq %d: %s", p.Seq, s)
	}
	if p.Block != (blocks.BlockKey{}) {
		s = fmt.Sprintf("%s: %s", p.Block, s)
	}
	if p.Table != "" {
		s = fmt.Sprintf("%s: %s", p.Table, s)
	}
	return s
}

// Summary counts what a check has read.
type Summary struct {
	Blocks, Updates, Windows, Held, Snapshots int64
	Bytes                                     int64 // of the updates
	Problems                                  int64
}

// Check reads everything, as of one moment, and reports what is wrong: pages, keys,
// checksums, the chain of each block's updates, and the numbers in its head. Writes
// go on meanwhile. It returns an error only if it could not go on.
func (s *Store) Check(ctx context.Context, report func(Problem)) (Summary, error) {
	var sum Summary
	err := s.view(ctx, func(r *connTx) error {
		var err error
		sum, err = check(ctx, r, report)
		return err
	})
	if err != nil {
		return sum, fmt.Errorf("check: %w", err)
	}
	return sum, nil
}

func check(ctx context.Context, r rowQuerier, report func(Problem)) (Summary, error) {
	c := checker{ctx: ctx, r: r, report: report, blocks: map[int64]*blockCheck{}, actors: map[int64]bool{},
		heaps: map[blocks.HeapID]*heapCheck{}, versions: map[int64]map[blocks.Seq]bool{}}
	steps := []struct {
		table string
		run   func() error
	}{
		{"", c.integrity}, {"", c.foreignKeys}, {"actors", c.readActors}, {"blocks", c.readHeads},
		{"versions", c.readVersions}, {"history", c.readHistory}, {"updates", c.readUpdates}, {"held", c.readHeld},
		{"snapshots", c.readSnapshots}, {"clock", c.readClock}, {"blocks", c.compare}, {"heaps", c.compareHeaps},
		{"file_usage", c.compareUsage},
	}
	for _, step := range steps {
		err := step.run()
		if ctx.Err() != nil {
			return c.sum, ctx.Err()
		}
		if err != nil { // the rest may be readable
			c.found(Problem{Table: step.table, Detail: err.Error()})
		}
	}
	return c.sum, nil
}

type checker struct {
	summer
	ctx    context.Context // of the one check that this lives for
	r      rowQuerier
	report func(Problem)
	sum    Summary
	blocks map[int64]*blockCheck
	actors map[int64]bool
	heaps  map[blocks.HeapID]*heapCheck
	clock  clock // the highest that were seen
	seqs   int64 // that the heads say they took

	// versions has the seqs of named versions by block, of those not yet met in its log.
	versions map[int64]map[blocks.Seq]bool
}

// heapCheck is what a heap's rows come to.
type heapCheck struct{ state, history, folded, listed, tombstones int64 }

// blockCheck is a head, and beside it what the rows come to.
type blockCheck struct {
	head        blocks.Head
	seq         blocks.Seq
	at          int64
	bytes       int64
	tail        int64
	tailBytes   int64
	updates     int64
	raw         int64
	held        int64
	heldBytes   int64
	hasSnapshot bool
}

func (c *checker) found(p Problem) {
	c.sum.Problems++
	c.report(p)
}

// each calls fn for each row of query. fn scans it.
func (c *checker) each(query string, fn func(rows *sql.Rows) error) error {
	rows, err := c.r.QueryContext(c.ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (c *checker) integrity() error {
	return c.each(`PRAGMA integrity_check`, func(rows *sql.Rows) error {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		if text != "ok" {
			c.found(Problem{Detail: text})
		}
		return nil
	})
}

func (c *checker) foreignKeys() error {
	return c.each(`SELECT "table", coalesce(rowid, 0), parent FROM pragma_foreign_key_check`, func(rows *sql.Rows) error {
		var table, parent string
		var id int64
		if err := rows.Scan(&table, &id, &parent); err != nil {
			return err
		}
		c.found(Problem{Table: table, Detail: fmt.Sprintf("row %d refers to a row that %s does not have", id, parent)})
		return nil
	})
}

func (c *checker) readActors() error {
	return c.each(`SELECT id FROM actors`, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		c.actors[id] = true
		return err
	})
}

func (c *checker) readHeads() error {
	return c.each(`SELECT `+headColumns+` FROM blocks b JOIN heaps ON heaps.id = b.heap`, func(rows *sql.Rows) error {
		h, err := scanHead(rows)
		if errors.Is(err, blocks.ErrCorrupt) {
			c.found(Problem{Table: "blocks", Block: h.Key, Detail: "checksum does not match"})
		} else if err != nil {
			return err
		}
		h.StateVector = nil // checked, and all of them together may be large
		c.blocks[int64(h.Ref)] = &blockCheck{head: h}
		heap := c.heaps[h.Key.Heap]
		if heap == nil {
			heap = &heapCheck{}
			c.heaps[h.Key.Heap] = heap
		}
		if h.Seq > 0 {
			heap.listed++
		}
		if h.DeletedAt > 0 {
			heap.tombstones++
		}
		c.sum.Blocks++
		c.seqs += h.Updates
		return nil
	})
}

func (c *checker) readUpdates() error {
	return c.each(`SELECT seq, block, prev, actor, at, crc, bytes FROM updates ORDER BY seq`, func(rows *sql.Rows) error {
		var u updateRow
		var crc int64
		if err := rows.Scan(&u.seq, &u.ref, &u.prev, &u.actor, &u.at, &crc, &u.bytes); err != nil {
			return err
		}
		c.sum.Updates++
		c.sum.Bytes += int64(len(u.bytes))
		p := Problem{Table: "updates", Seq: u.seq}
		b := c.blocks[u.ref]
		if b != nil {
			p.Block = b.head.Key
		}
		say := func(format string, args ...any) {
			p.Detail = fmt.Sprintf(format, args...)
			c.found(p)
		}
		if crc != c.updateSum(&u) {
			say("checksum does not match")
		}
		if u.at < c.clock.at {
			say("older than the update before it in the log")
		}
		c.clock = clock{seq: max(u.seq, c.clock.seq), at: max(u.at, c.clock.at)}
		if !c.actors[u.actor] {
			say("actor %d does not exist", u.actor)
		}
		if b == nil {
			say("block %d does not exist", u.ref)
			return nil
		}
		if u.prev != int64(b.seq) {
			say("points back to %d, but the block's update before it is %d", u.prev, b.seq)
		}
		b.seq, b.at = u.seq, u.at
		b.bytes += int64(len(u.bytes))
		b.updates++
		b.raw++
		delete(c.versions[u.ref], u.seq)
		if u.seq > b.head.SnapshotSeq {
			b.tail++
			b.tailBytes += int64(len(u.bytes))
		}
		return nil
	})
}

// readVersions is before the log is read, which takes out of c.versions what it has.
func (c *checker) readVersions() error {
	return c.each(`SELECT id, block, seq, at, actor, name, crc FROM versions`, func(rows *sql.Rows) error {
		var ref, seq, at, actor, crc int64
		var id, name string
		if err := rows.Scan(&id, &ref, &seq, &at, &actor, &name, &crc); err != nil {
			return err
		}
		if crc != c.versionSum(ref, seq, at, actor, id, name) {
			p := Problem{Table: "versions", Detail: fmt.Sprintf("%s: checksum does not match", id)}
			if b := c.blocks[ref]; b != nil {
				p.Block = b.head.Key
			}
			c.found(p)
		}
		if c.versions[ref] == nil {
			c.versions[ref] = map[blocks.Seq]bool{}
		}
		c.versions[ref][blocks.Seq(seq)] = true
		return nil
	})
}

func (c *checker) readHistory() error {
	return c.each(`SELECT `+windowColumns+`, bytes FROM history ORDER BY block, to_seq`, func(rows *sql.Rows) error {
		var r windowRow
		var crc int64
		if err := rows.Scan(append(r.fields(&crc), &r.bytes)...); err != nil {
			return err
		}
		c.sum.Windows++
		b := c.blocks[r.ref]
		if b == nil {
			return nil // a broken foreign key, reported as such
		}
		say := func(format string, args ...any) {
			c.found(Problem{Table: "history", Block: b.head.Key, Detail: fmt.Sprintf("up to %d: ", r.to) + fmt.Sprintf(format, args...)})
		}
		if crc != c.windowSum(&r) {
			say("checksum does not match")
		} else if _, err := decompress(r.bytes); err != nil {
			say("%v", err)
		}
		counts, ok := decodeAuthors(r.authors)
		if !ok {
			say("authors cannot be read")
		}
		updates := int64(0)
		for _, a := range counts {
			updates += a.updates
			if !c.actors[a.actor] {
				say("actor %d does not exist", a.actor)
			}
		}
		if updates != r.updates {
			say("holds %d updates, but its authors made %d", r.updates, updates)
		}
		if r.after != int64(b.seq) || r.to <= r.after {
			say("begins after %d, but the window before it ends with %d", r.after, b.seq)
		}
		if r.firstAt < b.at || r.lastAt < r.firstAt {
			say("older than what is before it")
		}
		if blocks.Seq(r.to) > b.head.SnapshotSeq {
			say("the snapshot covers only %d", b.head.SnapshotSeq)
		}
		b.seq, b.at = blocks.Seq(r.to), r.lastAt
		b.bytes += r.size
		b.updates += r.updates
		delete(c.versions[r.ref], b.seq)
		h := c.heaps[b.head.Key.Heap]
		h.history += int64(len(r.bytes))
		h.folded += r.size
		c.clock = clock{seq: max(b.seq, c.clock.seq), at: c.clock.at}
		return nil
	})
}

func (c *checker) readHeld() error {
	return c.each(`SELECT id, block, actor, at, crc, bytes FROM held`, func(rows *sql.Rows) error {
		var id, ref, actor, at, crc int64
		var bytes []byte
		if err := rows.Scan(&id, &ref, &actor, &at, &crc, &bytes); err != nil {
			return err
		}
		c.sum.Held++
		b := c.blocks[ref]
		if b == nil {
			return nil // a broken foreign key, reported as such
		}
		b.held++
		b.heldBytes += int64(len(bytes))
		if crc != c.heldSum(ref, actor, at, bytes) {
			c.found(Problem{Table: "held", Block: b.head.Key, Detail: fmt.Sprintf("%d: checksum does not match", id)})
		}
		return nil
	})
}

func (c *checker) readSnapshots() error {
	return c.each(`SELECT block, seq, crc, state FROM snapshots`, func(rows *sql.Rows) error {
		var ref, seq, crc int64
		var state []byte
		if err := rows.Scan(&ref, &seq, &crc, &state); err != nil {
			return err
		}
		c.sum.Snapshots++
		b := c.blocks[ref]
		if b == nil {
			return nil // a broken foreign key, reported as such
		}
		b.hasSnapshot = true
		c.heaps[b.head.Key.Heap].state += int64(len(state))
		p := Problem{Table: "snapshots", Block: b.head.Key}
		if crc != c.snapshotSum(ref, seq, state) {
			p.Detail = "checksum does not match"
			c.found(p)
		} else if _, err := decompress(state); err != nil {
			p.Detail = err.Error()
			c.found(p)
		}
		if seq != int64(b.head.SnapshotSeq) {
			p.Detail = fmt.Sprintf("covers seq %d, but the head says %d", seq, b.head.SnapshotSeq)
			c.found(p)
		}
		return nil
	})
}

// readClock looks for holes in the seqs too: each is one that some head counts, or of
// a block that is gone.
func (c *checker) readClock() error {
	var stored clock
	var gone int64
	if err := c.r.QueryRowContext(c.ctx, `SELECT seq, at, gone FROM clock WHERE id = 1`).Scan(&stored.seq, &stored.at, &gone); err != nil {
		return err
	}
	if int64(stored.seq) != c.seqs+gone || stored.seq < c.clock.seq || stored.at < c.clock.at {
		c.found(Problem{Table: "clock", Detail: fmt.Sprintf("at seq %d and time %d, but the log has %d seqs and %d are gone, and is at %d and %d",
			stored.seq, stored.at, c.seqs, gone, c.clock.seq, c.clock.at)})
	}
	return nil
}

// compare sets each head against what its rows came to.
func (c *checker) compare() error {
	for ref, b := range c.blocks {
		h := &b.head
		if h.DeletedAt != 0 { // nothing but the head is left
			b.seq, b.at = h.Seq, h.UpdatedAt
			b.updates += h.Updates
		}
		for _, n := range []struct {
			name       string
			head, rows int64
		}{
			{"seq", int64(h.Seq), int64(b.seq)},
			{"bytes", h.Bytes, b.bytes},
			{"tail", h.Tail, b.tail},
			{"tail_bytes", h.TailBytes, b.tailBytes},
			{"updates", h.Updates, b.updates},
			{"raw", h.Raw, b.raw},
			{"held", h.Held, b.held},
			{"held_bytes", h.HeldBytes, b.heldBytes},
			{"updated_at", h.UpdatedAt, max(b.at, h.CreatedAt)},
		} {
			if n.head != n.rows {
				c.found(Problem{Table: "blocks", Block: h.Key, Detail: fmt.Sprintf("%s is %d, but the rows come to %d", n.name, n.head, n.rows)})
			}
		}
		if h.SnapshotSeq != 0 && !b.hasSnapshot {
			c.found(Problem{Table: "blocks", Block: h.Key, Detail: "snapshot is missing"})
		}
		for seq := range c.versions[ref] {
			c.found(Problem{Table: "versions", Block: h.Key, Seq: seq, Detail: "a version is named here, but no update or window ends here"})
		}
	}
	return nil
}

// compareHeaps sets the sums of each heap against its rows.
func (c *checker) compareHeaps() error {
	return c.each(`SELECT heap, state_bytes, history_bytes, folded_bytes, listed, tombstones FROM heaps`, func(rows *sql.Rows) error {
		var id blocks.HeapID
		var stored heapCheck
		if err := rows.Scan(&id, &stored.state, &stored.history, &stored.folded, &stored.listed, &stored.tombstones); err != nil {
			return err
		}
		var have heapCheck
		if h := c.heaps[id]; h != nil {
			have = *h
		}
		if stored != have {
			c.found(Problem{Table: "heaps", Detail: fmt.Sprintf("%s: state_bytes, history_bytes, folded_bytes, listed and tombstones are %v, but the rows come to %v", id, stored, have)})
		}
		return nil
	})
}

// compareUsage compares what files, uploads and pictures that clients brought come to with
// what is counted of them.
func (c *checker) compareUsage() error {
	return c.each(`WITH of (user, heap, bytes, files) AS (
			SELECT user, heap, size, 1 FROM files WHERE placed = 0
			UNION ALL SELECT user, heap, size, 1 FROM uploads
			UNION ALL SELECT d.user, b.heap, d.bytes, 0 FROM derived d JOIN blocks b ON b.ref = d.block WHERE d.block <> 0),
		have (kind, who, bytes, files) AS (
			SELECT 'user', user, sum(bytes), sum(files) FROM of GROUP BY user
			UNION ALL SELECT 'heap', CAST(heap AS TEXT), sum(bytes), sum(files) FROM of GROUP BY heap),
		both (kind, who, bytes, files, have_bytes, have_files) AS (
			SELECT kind, who, bytes, files, 0, 0 FROM file_usage UNION ALL SELECT kind, who, 0, 0, bytes, files FROM have)
		SELECT kind, who, sum(bytes), sum(files), sum(have_bytes), sum(have_files) FROM both GROUP BY kind, who
		HAVING sum(bytes) <> sum(have_bytes) OR sum(files) <> sum(have_files)`, func(rows *sql.Rows) error {
		var kind, who string
		var bytes, files, haveBytes, haveFiles int64
		if err := rows.Scan(&kind, &who, &bytes, &files, &haveBytes, &haveFiles); err != nil {
			return err
		}
		c.found(Problem{Table: "file_usage", Detail: fmt.Sprintf("%s %s: %d bytes in %d files, but the rows come to %d in %d", kind, who, bytes, files, haveBytes, haveFiles)})
		return nil
	})
}
