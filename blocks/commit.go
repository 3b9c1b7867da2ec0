package blocks

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heapsync/heapsync/ydoc"
)

// committer writes what was accepted. It takes everything that queued up while
// the last transaction was being synced and commits it as one; then the bus is told
// and all are acknowledged, in commit order, by relay, a second goroutine, or by run
// itself.
type committer struct {
	log   *Log
	wake  chan struct{}
	jobs  chan func()    // for run, between two transactions
	ended chan struct{}  // closed when run has ended
	done  chan committed // from run to relay
	bytes atomic.Int64   // queued

	backlog atomic.Int64 // transactions in done, or being relayed from there
	merger  ydoc.Merger  // relay's, or run's while there is no backlog

	// due is when the next transaction may begin while many write, as a time since
	// start; 0: at once. It is 0 while run takes what is queued. Who queues something
	// before that need not wake run, which will not miss it.
	due   atomic.Int64
	start time.Time
	pace  *time.Timer // run's

	// mu guards dirty and closed. It is taken with a block's mu held, never the
	// other way round.
	mu     sync.Mutex
	dirty  []*activeBlock // blocks with a queued commit, oldest first
	closed bool

	statsMu   sync.Mutex // guards below
	count     int
	oldest    time.Time // when the oldest queued commit was queued; zero: none
	last      int64
	latencies [256]time.Duration
	latencyN  int
}

// queuedCommit is what will be committed of one block next.
type queuedCommit struct {
	block   *activeBlock
	since   time.Time
	updates []LoggedUpdate
	claims  []Claim
	hold    []HeldUpdate
	moves   int // the block's, when the first of hold came
	release []HeldUpdate
	creates bool
	source  any
	mixed   bool // updates of more than one source
	waiters []waiter
	bytes   int64
	commit  *BlockCommit
}

// waiter is somebody who wants to know that a queued update is on disk.
type waiter struct {
	done      func(Appended, error)
	duplicate bool
	pending   bool
}

// committed is a finished transaction on its way to the relay.
type committed struct {
	blocks  []*queuedCommit
	deleted []Commit // blocks that were deleted for good
	at      int64
	err     error
}

// relayBacklog is how many finished transactions may wait for the relay before
// the committer waits too.
const relayBacklog = 64

func (c *committer) init(l *Log) {
	c.log = l
	c.wake = make(chan struct{}, 1)
	c.jobs = make(chan func())
	c.ended = make(chan struct{})
	c.done = make(chan committed, relayBacklog)
	c.start = time.Now()
}

// reserve takes room in the queue for an update of n bytes, for as long as it is
// looked at; false if too much waits already. One update alone always has room.
func (c *committer) reserve(n int64) bool {
	if waiting := c.bytes.Add(n); waiting > n && waiting > c.log.limits.QueueBytes {
		c.bytes.Add(-n)
		return false
	}
	return true
}

func (c *committer) unreserve(n int64) { c.bytes.Add(-n) }

// enqueue adds in to the block's next commit. a.mu is held. It returns false if
// nothing more is taken: the server stops.
func (c *committer) enqueue(a *activeBlock, in *incoming, done func(Appended, error)) bool {
	var bytes int64
	for _, u := range in.log {
		bytes += int64(len(u.Bytes))
	}
	for _, h := range in.hold {
		bytes += int64(len(h.Bytes))
	}
	q := a.queued
	if q == nil {
		q = &queuedCommit{block: a, since: c.log.now()}
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return false
		}
		c.dirty = append(c.dirty, a)
		c.mu.Unlock()
		a.queued = q
	}
	c.bytes.Add(bytes)
	q.bytes += bytes
	if len(in.log) > 0 {
		if len(q.updates) == 0 {
			q.source = in.Author.Source
		} else if q.source != in.Author.Source {
			q.mixed = true
		}
		q.mixed = q.mixed || len(in.log) > 1 // with what somebody else had held
	}
	q.updates = append(q.updates, in.log...)
	q.claims = append(q.claims, in.claims...)
	if len(q.hold) == 0 {
		q.moves = a.moves
	}
	q.hold = append(q.hold, in.hold...)
	q.release = append(q.release, in.release...)
	q.creates = q.creates || in.creates
	duplicate := len(in.log) == 0 && len(in.hold) == 0 && !in.creates
	q.waiters = append(q.waiters, waiter{done, duplicate, in.pending})
	c.signal()
	return true
}

// signal wakes run, or gather if its time has come.
func (c *committer) signal() {
	if due := c.due.Load(); due != 0 && c.clock() < due {
		return
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// clock is the time since start.
func (c *committer) clock() int64 { return int64(time.Since(c.start)) }

// run commits until ctx ends and the queue is empty.
func (c *committer) run(ctx context.Context) {
	defer close(c.done)
	defer close(c.ended)
	c.pace = time.NewTimer(0)
	defer c.pace.Stop()
	stop := ctx.Done()
	for {
		select {
		case <-c.wake:
		case job := <-c.jobs:
			job()
		case <-stop:
			stop = nil
			c.mu.Lock()
			c.closed = true
			c.mu.Unlock()
		}
		for {
			c.gather()
			batch := c.take()
			if len(batch) == 0 {
				break
			}
			c.commit(batch)
		}
		if stop == nil {
			return
		}
	}
}

const (
	// crowd is from how many appends a transaction counts as one of many writers.
	crowd = 4
	// commitEvery is the shortest time between the beginnings of transactions while
	// many write. Each costs the same few pages and a sync of the disk, so that
	// waiting saves most of the work at a moderate load. Under a high one the
	// transactions themselves take longer than this.
	commitEvery = 1000 * time.Microsecond
)

// gather waits for company if the last transaction had some: one writer alone, or
// a few now and then, never wait. The timer may be late by a millisecond; while many
// write, the first append after due is sooner.
func (c *committer) gather() {
	wait := time.Duration(c.due.Load() - c.clock())
	if wait <= 0 {
		return
	}
	c.pace.Reset(wait)
	select {
	case <-c.pace.C:
	case <-c.wake:
	}
}

// take empties the queue.
func (c *committer) take() []*queuedCommit {
	c.due.Store(0) // before the queue is looked at
	began := c.clock()
	c.mu.Lock()
	dirty := c.dirty
	c.dirty = nil
	c.mu.Unlock()
	batch := make([]*queuedCommit, 0, len(dirty))
	var failed []*queuedCommit
	appends := 0
	for _, a := range dirty {
		a.mu.Lock()
		q := a.queued
		if q == nil { // it failed with what it was built on
			a.mu.Unlock()
			continue
		}
		a.queued = nil
		if a.broken { // its head may speak of more than the queue holds
			a.mu.Unlock()
			c.bytes.Add(-q.bytes)
			failed = append(failed, q)
			continue
		}
		head := a.head
		head.StateVector = a.sv.Encode()
		q.commit = &BlockCommit{Head: head, Updates: q.updates, Claims: q.claims, Hold: q.hold, Release: q.release}
		for _, u := range q.updates {
			a.inflight = append(a.inflight, u.Bytes)
		}
		a.releasing = q.release
		if len(q.updates) == 0 { // still in flight: there is something to wait for
			a.inflight = append(a.inflight, emptyUpdate)
		}
		a.mu.Unlock()
		appends += len(q.waiters)
		batch = append(batch, q)
	}
	if failed != nil {
		c.deliver(committed{blocks: failed, err: ErrUnavailable})
	}
	if appends >= crowd {
		c.due.Store(began + int64(commitEvery))
	}
	return batch
}

var emptyUpdate = []byte{0, 0}

// commitTimeout is how long a transaction may wait for the store.
const commitTimeout = time.Minute

func (c *committer) commit(batch []*queuedCommit) {
	b := &Batch{Blocks: make([]*BlockCommit, 0, len(batch))}
	for _, q := range batch {
		if q.writes() {
			b.Blocks = append(b.Blocks, q.commit)
		}
	}
	c.note(batch)
	var err error
	if len(b.Blocks) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
		err = c.log.store.Commit(ctx, b)
		cancel()
	}
	if len(b.Blocks) > 1 && concernsOneBlock(err) {
		for _, q := range batch { // the others must not fail with it
			c.commit([]*queuedCommit{q})
		}
		return
	}
	for _, q := range batch {
		c.bytes.Add(-q.bytes)
		orphan, retry := q.block.settle(q, err)
		if retry {
			c.log.folder.retry(q.block.key)
		}
		if orphan != nil {
			c.bytes.Add(-orphan.bytes)
			batch = append(batch, orphan)
		}
	}
	c.noteDone(batch, b.At, err)
	c.deliver(committed{blocks: batch, at: b.At, err: err})
}

// concernsOneBlock tells what is wrong with one block of a batch from what keeps
// the store from writing.
func concernsOneBlock(err error) bool {
	return errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrInvalid)
}

func (q *queuedCommit) writes() bool {
	return q.creates || len(q.updates)+len(q.hold)+len(q.release) > 0
}

// settle moves the block to what is on disk now. After a failure nothing that is
// in memory of it counts; what queued up meanwhile was accepted on top of what
// is lost, so it has to fail as well and is returned. retry says that something was
// accepted after what q holds that may let it in.
func (a *activeBlock) settle(q *queuedCommit, err error) (orphan *queuedCommit, retry bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inflight, a.releasing = nil, nil
	if err != nil {
		a.forget()
		orphan, a.queued = a.queued, nil
		return orphan, false
	}
	stored := &q.commit.Head
	a.head.Ref, a.head.Seq = stored.Ref, stored.Seq
	a.head.CreatedAt, a.head.UpdatedAt = stored.CreatedAt, stored.UpdatedAt
	a.head.Tail, a.head.TailBytes = stored.Tail, stored.TailBytes
	a.head.Updates, a.head.Raw = stored.Updates, stored.Raw
	a.head.StateVector = stored.StateVector
	if a.queued == nil { // what expired meanwhile counts no more
		a.head.Held, a.head.HeldBytes = stored.Held, stored.HeldBytes
	}
	for _, h := range q.hold {
		if a.heldOwn[h.User] -= int64(len(h.Bytes)); a.heldOwn[h.User] <= 0 {
			delete(a.heldOwn, h.User)
		}
	}
	return nil, len(q.hold) > 0 && a.moves != q.moves
}

// deliver has batch relayed after those before it. While there is time until the next
// transaction, run does it itself, which saves waking relay.
func (c *committer) deliver(batch committed) {
	if c.backlog.Load() == 0 && c.clock() < c.due.Load() {
		c.tell(batch)
		return
	}
	c.backlog.Add(1)
	c.done <- batch
}

// relay tells what run leaves to it, in order, until run ends.
func (c *committer) relay() {
	for batch := range c.done {
		c.tell(batch)
		c.backlog.Add(-1)
	}
}

// tell publishes and acknowledges what is committed.
func (c *committer) tell(batch committed) {
	for _, event := range batch.deleted {
		c.log.bus.Publish(event)
	}
	for _, q := range batch.blocks {
		if batch.err == nil {
			c.publish(q, batch.at)
			c.log.folder.consider(q.commit.Head)
			c.log.compactor.consider(q.commit.Head)
		}
		c.acknowledge(q, batch.err)
	}
}

func (c *committer) publish(q *queuedCommit, at int64) {
	if !q.creates && len(q.updates) == 0 {
		return
	}
	head := q.commit.Head
	event := Commit{Key: head.Key, Last: head.Seq, At: at, StateVector: head.StateVector, Created: q.creates}
	if n := len(q.updates); n > 0 {
		event.First = q.commit.Updates[0].Seq
		event.Update = q.updates[0].Bytes
		if n > 1 {
			m := &c.merger
			m.Reset()
			m.Keyless = !head.Shape.Keyed
			for _, u := range q.updates {
				if err := m.Add(u.Bytes, ydoc.V1); err != nil {
					c.log.logger.Error("committed update does not merge", "heap", head.Key.Heap, "block", head.Key.Block, "err", err)
				}
			}
			event.Update = m.Append(nil, ydoc.V1)
		}
	}
	if !q.mixed {
		event.Source = q.source
	}
	c.log.bus.Publish(event)
}

func (c *committer) acknowledge(q *queuedCommit, err error) {
	for _, w := range q.waiters {
		if err != nil {
			w.done(Appended{}, err)
		} else {
			head := &q.commit.Head
			w.done(Appended{
				Duplicate: w.duplicate, Pending: w.pending,
				Seq: head.Seq, SyncVersion: head.SyncVersion, StateVector: head.StateVector,
			}, nil)
		}
		c.log.release(q.block) // each waiter held it
	}
}

func (c *committer) note(batch []*queuedCommit) {
	c.statsMu.Lock()
	defer c.statsMu.Unlock()
	c.oldest = batch[0].since
	c.count = 0
	for _, q := range batch {
		c.count += len(q.updates)
	}
}

func (c *committer) noteDone(batch []*queuedCommit, at int64, err error) {
	c.statsMu.Lock()
	defer c.statsMu.Unlock()
	if err == nil {
		now := c.log.now()
		c.latencies[c.latencyN%len(c.latencies)] = now.Sub(batch[0].since)
		c.latencyN++
		c.last = max(c.last, at)
	}
	c.oldest = time.Time{}
	c.count = 0
}

// stallAfter is how long a commit may take before the log counts as stalled.
const stallAfter = 10 * time.Second

func (c *committer) stats() Stats {
	c.statsMu.Lock()
	defer c.statsMu.Unlock()
	s := Stats{Queued: c.count, LastCommitAt: c.last}
	if !c.oldest.IsZero() {
		s.Stalled = c.log.now().Sub(c.oldest) > stallAfter
	}
	if n := min(c.latencyN, len(c.latencies)); n > 0 {
		sorted := slices.Clone(c.latencies[:n])
		slices.Sort(sorted)
		s.CommitP99 = sorted[n*99/100]
	}
	return s
}
