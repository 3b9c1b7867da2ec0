package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/heapsync/heapsync/blocks"
)

const (
	// queueLen bounds the writes that wait. Who comes later waits to get in.
	queueLen = 4096
	// maxGroup (writes) and maxGroupBytes (of updates) bound one transaction, so
	// that nobody's turn waits for a whole import.
	maxGroup      = 1024
	maxGroupBytes = 8 << 20
	// maxActors bounds the actors kept in memory: some 10 MB.
	maxActors = 100_000
	// checkpointPages (of 4 KiB) is the length of the WAL from which a commit is
	// followed by a checkpoint. At four times that it waits for readers to let go.
	checkpointPages = 4_000
	// foreignPoll is how often an idle writer looks for commits of other processes.
	foreignPoll = 250 * time.Millisecond
)

// errClosed is for writes that come after Close.
var errClosed = fmt.Errorf("%w: store is closed", blocks.ErrUnavailable)

// write runs fn in a write transaction and returns nil once it is on disk. Other
// writes may share the transaction; an error of fn undoes what fn did and nothing
// else, and is returned as it is. fn runs once, on the writer's goroutine: it must
// not call write or wait for anything.
//
// If ctx ends before fn's turn, fn never runs and ctx.Err() is returned. Once fn
// has begun, write waits for the end, so that its outcome is known. Errors from
// SQLite are ErrFull, ErrFailed or ErrUnavailable, all of the latter's kind.
func (s *Store) write(ctx context.Context, fn func(*tx) error) error {
	return s.writer.do(ctx, &request{fn: fn})
}

// A request is one write: fn, or a batch of the log.
type request struct {
	fn    func(*tx) error
	batch *blocks.Batch
	size  int           // bytes of the batch
	wrote []written     // what each block of the batch came to
	at    int64         // of the batch
	taken atomic.Bool   // by the writer, or back by who asked
	err   error         // of this request alone
	done  chan struct{} // closed when err is final
}

// writer owns the connection that writes. Its goroutine, run, is the committer.
type writer struct {
	log       *slog.Logger
	now       func() time.Time
	db        *sql.DB
	conn      *sql.Conn // the only one of db
	raw       *sqlite3.SQLiteConn
	queue     chan *request
	stop      chan struct{} // closed by close
	stopped   chan struct{} // closed when run has ended
	pollEvery time.Duration
	walPages  int64         // from which the WAL is checkpointed
	foreign   chan struct{} // has room for one: another process committed

	trouble     atomic.Pointer[error] // ErrFull or ErrFailed; nil while well
	committedAt atomic.Int64          // of the last commit this process knows of

	// The rest belongs to run.

	summer
	hot       map[string]*stmt      // prepared on raw
	inserts   [insertRows + 1]*stmt // of hot, by how many rows each inserts
	tx        tx
	version   int64 // data_version as last seen
	clock     clock // as in the transaction
	actors    map[actor]int64
	newActors []actor // of this transaction: forgotten if it is undone
	rows      []updateRow
	group     []*request
	walTried  int64 // pages in the WAL at the last checkpoint
}

// clock is what seqs and times continue from.
type clock struct {
	seq blocks.Seq
	at  int64
}

// tx is a write transaction. It is valid while the fn it was given to runs.
type tx struct {
	w    *writer
	at   int64 // commit time, 0 until somebody asks
	dead error // the transaction cannot go on
}

// exec and queryRow are those of database/sql. Statements are cached by their
// text.
func (t *tx) exec(query string, args ...any) (sql.Result, error) {
	// A context that can end would cost a goroutine a call.
	res, err := t.w.conn.ExecContext(context.Background(), query, args...)
	return res, t.check(err)
}

// affected is exec for a statement that may find nothing to change.
func (t *tx) affected(query string, args ...any) (int64, error) {
	res, err := t.exec(query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t *tx) queryRow(query string, args ...any) *sql.Row {
	return t.w.conn.QueryRowContext(context.Background(), query, args...)
}

// check remembers an error after which the transaction cannot be trusted, so that
// no fn can shrug it off.
func (t *tx) check(err error) error {
	if err == nil {
		return nil
	}
	err = writeError(err)
	if t.dead == nil && errors.Is(err, blocks.ErrUnavailable) {
		t.dead = err
	}
	return err
}

// time is when the transaction commits, in Unix ms: now, but always later than
// every transaction that asked before.
func (t *tx) time() int64 {
	if t.at == 0 {
		t.at = max(t.w.now().UnixMilli(), t.w.clock.at+1)
		t.w.clock.at = t.at
	}
	return t.at
}

// nextSeq is the next one without a hole: if the transaction is undone, so is it.
func (t *tx) nextSeq() blocks.Seq {
	t.time()
	t.w.clock.seq++
	return t.w.clock.seq
}

// do queues r and waits for its end.
func (w *writer) do(ctx context.Context, r *request) error {
	r.done = make(chan struct{})
	select {
	case <-w.stop:
		return errClosed
	default:
	}
	select {
	case w.queue <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stop:
		return errClosed
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		if r.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-r.done
		return r.err
	case <-w.stopped:
		if r.taken.CompareAndSwap(false, true) {
			return errClosed
		}
		<-r.done
		return r.err
	}
}

// close commits what is queued, ends run and closes the connection.
func (w *writer) close() error {
	close(w.stop)
	<-w.stopped
	for _, s := range w.hot {
		s.close()
	}
	return errors.Join(w.conn.Close(), w.db.Close())
}

func (w *writer) run() {
	defer close(w.stopped)
	poll := time.NewTicker(w.pollEvery)
	defer poll.Stop()
	for {
		select {
		case r := <-w.queue:
			w.commit(r)
		case <-poll.C:
			// What another process wrote is seen at the next transaction at the
			// latest; an error comes back there.
			_ = w.observe()
		case <-w.stop:
			for {
				select {
				case r := <-w.queue:
					w.commit(r)
				default:
					w.checkpoint(0)
					return
				}
			}
		}
	}
}

// commit commits first and all that is queued, as one transaction.
func (w *writer) commit(first *request) {
	w.group = w.group[:0]
	size := 0
	take := func(r *request) {
		if r.taken.CompareAndSwap(false, true) {
			w.group = append(w.group, r)
			size += r.size
		}
	}
	take(first)
gather:
	for len(w.group) < maxGroup && size < maxGroupBytes {
		select {
		case r := <-w.queue:
			take(r)
		default:
			break gather
		}
	}
	if len(w.group) == 0 {
		return
	}
	err := w.transact()
	for _, r := range w.group {
		if r.err == nil {
			r.err = err
		}
		close(r.done)
	}
	clear(w.group)
	if err == nil {
		w.checkpoint(w.walPages)
	}
}

// transact runs the group in a transaction and commits it. An error is one of all
// of them; an error of one alone is left in its request.
func (w *writer) transact() error {
	if p := w.trouble.Load(); p != nil && errors.Is(*p, blocks.ErrFailed) {
		return *p
	}
	start := w.clock
	err := w.begin()
	if err == nil {
		start = w.clock
		err = w.apply()
	}
	if err == nil && len(w.group) == 1 && w.group[0].err != nil {
		w.undo(start)
		return nil
	}
	if err == nil && w.tx.at != 0 {
		err = w.hotExec(`UPDATE clock SET seq = ?, at = ?`, int64(w.clock.seq), w.clock.at)
	}
	if err == nil {
		err = w.hotExec("COMMIT")
	}
	if err != nil {
		err = writeError(err)
		w.undo(start)
		w.note(err)
		return err
	}
	w.newActors = w.newActors[:0]
	w.committedAt.Store(w.clock.at)
	w.note(nil)
	return nil
}

func (w *writer) begin() error {
	w.tx = tx{w: w}
	if err := w.hotExec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	return w.observe()
}

// undo ends the transaction and goes back to the clock it started with.
func (w *writer) undo(start clock) {
	if !w.raw.AutoCommit() { // else SQLite has rolled back itself
		if err := w.hotExec("ROLLBACK"); err != nil {
			w.note(fmt.Errorf("%w: rollback: %w", blocks.ErrFailed, err))
		}
	}
	w.forget(mark{clock: start})
}

// mark is a place to go back to within a transaction.
type mark struct {
	clock  clock
	at     int64
	actors int
}

func (w *writer) mark() mark {
	return mark{clock: w.clock, at: w.tx.at, actors: len(w.newActors)}
}

// forget drops what was kept in memory about what is being undone.
func (w *writer) forget(m mark) {
	w.clock, w.tx.at = m.clock, m.at
	for _, a := range w.newActors[m.actors:] {
		delete(w.actors, a)
	}
	w.newActors = w.newActors[:m.actors]
	w.rows = w.rows[:0]
}

// apply runs the group's requests, the fns first. It returns an error only if the
// transaction as a whole cannot go on.
func (w *writer) apply() error {
	var batches []*request
	for _, r := range w.group {
		if r.batch != nil {
			batches = append(batches, r)
			continue
		}
		if err := w.applyOne(r, func() error { return r.fn(&w.tx) }); err != nil {
			return err
		}
	}
	return w.applyBatches(batches)
}

// applyBatches runs the batches together, and one by one only if that fails.
func (w *writer) applyBatches(batches []*request) error {
	if len(batches) == 0 {
		return nil
	}
	if len(batches) > 1 {
		all := &request{}
		err := w.applyOne(all, func() error {
			for _, r := range batches {
				if err := w.applyBatch(r); err != nil {
					return err
				}
			}
			return w.flush(true)
		})
		if err != nil || all.err == nil {
			return err
		}
	}
	for _, r := range batches {
		err := w.applyOne(r, func() error {
			if err := w.applyBatch(r); err != nil {
				return err
			}
			return w.flush(true)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// applyOne runs fn in a savepoint, which it needs only if it is not the whole
// transaction, and leaves fn's error in r.
func (w *writer) applyOne(r *request, fn func() error) error {
	alone := len(w.group) == 1
	m := w.mark()
	if !alone {
		if err := w.hotExec("SAVEPOINT one"); err != nil {
			return err
		}
	}
	r.err = fn()
	if w.tx.dead != nil {
		return w.tx.dead
	}
	if w.raw.AutoCommit() {
		return fmt.Errorf("%w: transaction was rolled back: %w", blocks.ErrUnavailable, r.err)
	}
	if alone {
		return nil
	}
	if r.err != nil {
		if err := w.hotExec("ROLLBACK TO one"); err != nil {
			return err
		}
		w.forget(m)
	}
	return w.hotExec("RELEASE one")
}

// note keeps what the last transaction says about the disk.
func (w *writer) note(err error) {
	old := w.trouble.Load()
	switch {
	case old != nil && errors.Is(*old, blocks.ErrFailed):
		return
	case err == nil:
		if old != nil {
			w.trouble.Store(nil)
			w.log.Info("disk has room again")
		}
	case errors.Is(err, blocks.ErrFailed), errors.Is(err, blocks.ErrFull):
		if old == nil || errors.Is(err, blocks.ErrFailed) {
			w.log.Error("store cannot write", "err", err)
		}
		w.trouble.Store(&err)
	}
}

// observe looks whether another process has committed since it last looked. If
// so, what is kept in memory is read again and foreign is told.
func (w *writer) observe() error {
	row, err := w.hotRow("PRAGMA data_version", 1)
	if err != nil {
		return err
	}
	version := row[0].(int64)
	if version == w.version {
		return nil
	}
	first := w.version == 0
	if err := w.loadClock(); err != nil {
		return err
	}
	clear(w.actors)
	w.version = version
	if !first {
		select {
		case w.foreign <- struct{}{}:
		default:
		}
	}
	return nil
}

// loadClock continues from what is stored. The rows are asked too, for a seq that
// was given out twice would make two updates of one.
func (w *writer) loadClock() error {
	row, err := w.hotRow(`SELECT seq, at FROM clock`, 2)
	if err != nil {
		return err
	}
	c := clock{seq: blocks.Seq(row[0].(int64)), at: row[1].(int64)}
	row, err = w.hotRow(`SELECT coalesce((SELECT seq FROM updates ORDER BY seq DESC LIMIT 1), 0),
		coalesce((SELECT at FROM updates ORDER BY seq DESC LIMIT 1), 0)`, 2)
	if err != nil {
		return err
	}
	if seq, at := blocks.Seq(row[0].(int64)), row[1].(int64); seq > c.seq || at > c.at {
		w.log.Error("log is ahead of its clock", "seq", seq, "clock", c.seq)
		c = clock{seq: max(c.seq, seq), at: max(c.at, at)}
	}
	w.clock = c
	w.committedAt.Store(c.at)
	return nil
}

// checkpoint copies the WAL into the database if it has grown to pages since it
// was last tried. Readers are not disturbed; what they still need stays.
func (w *writer) checkpoint(pages int64) {
	if p := w.trouble.Load(); p != nil {
		return
	}
	row, err := w.hotRow("PRAGMA wal_checkpoint(NOOP)", 3)
	if err != nil {
		w.note(writeError(err))
		return
	}
	length, done := row[1].(int64), row[2].(int64)
	if length < w.walTried { // it began anew
		w.walTried = 0
	}
	if length == done || length-w.walTried < pages {
		return
	}
	if length < 4*w.walPages {
		_, err = w.hotRow("PRAGMA wal_checkpoint(PASSIVE)", 3)
	} else {
		// Everybody's writes wait while this waits for readers, so not for long.
		err = w.hotExec("PRAGMA busy_timeout = 50")
		if err == nil {
			_, err = w.hotRow("PRAGMA wal_checkpoint(RESTART)", 3)
		}
		err = errors.Join(err, w.hotExec("PRAGMA busy_timeout = "+busyTimeout))
	}
	if err != nil {
		w.note(writeError(err))
	}
	w.walTried = length
}
