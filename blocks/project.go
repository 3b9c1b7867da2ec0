package blocks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/heapsync/heapsync/ydoc"
)

const (
	// projectEvery is how long a block that is being edited waits until it is read: what
	// is acknowledged has to show in lists within 2 s.
	projectEvery = 1500 * time.Millisecond
	// slowFactor is how many times as long as reading it took a block waits, if that is
	// longer: a huge document must not keep a core busy.
	slowFactor = 10
	// A transaction on the index has as many blocks and bytes of text at most.
	projectBlocks = 256
	projectBytes  = 8 << 20
	// maxDirty is how many blocks may wait to be read. Beyond it the heads are asked
	// which they are.
	maxDirty = 20_000
	// retryAfter is how long the projector waits when the store or the index fails.
	retryAfter = 5 * time.Second
)

// projector reads blocks that were committed to into the index, in the background, one
// at a time. It is told of commits by the bus; what it has not been told of, because it
// was not running or because too much came at once, it finds by the heads.
type projector struct {
	in    *Instance
	index Index
	wake  chan struct{} // has room for one

	// mu guards below.
	mu      sync.Mutex
	dirty   map[BlockKey]*dirtyBlock
	order   []*dirtyBlock // in the order in which they became dirty
	days    map[heapDay]int64
	first   Seq           // heard of; 0: none yet
	seen    Seq           // of the last commit heard of
	hurry   Seq           // blocks dirty since this seq, or before, do not wait
	behind  bool          // the heads have to be asked
	missed  bool          // since the heads began to be asked, a commit found no room
	uncount Seq           // days are counted up to here by the rows of the log, not as they are heard of
	counted bool          // and those are in the index
	through Seq           // as in Progress
	moved   chan struct{} // closed and made anew when through moves
	stopped bool
	damaged bool // the index has to be made anew

	slow map[BlockKey]time.Time // run's: before when not to read a block again
}

// dirtyBlock is a block that was committed to since it was last read.
type dirtyBlock struct {
	key   BlockKey
	first Seq // of the commits that have not been read
	due   time.Time
}

type heapDay struct {
	heap HeapID
	day  int64
}

const msPerDay = 24 * 60 * 60 * 1000

func newProjector(in *Instance, index Index) *projector {
	return &projector{
		in: in, index: index, wake: make(chan struct{}, 1), moved: make(chan struct{}), behind: true,
		dirty: make(map[BlockKey]*dirtyBlock), days: make(map[heapDay]int64), slow: make(map[BlockKey]time.Time),
	}
}

// heard marks the block of a commit. It does not block.
func (p *projector) heard(c Commit) {
	if c.Last == 0 {
		return // a block without an update yet
	}
	first := cmp.Or(c.First, c.Last)
	due := time.Now().Add(projectEvery)
	p.mu.Lock()
	p.first = cmp.Or(p.first, first)
	p.seen = max(p.seen, c.Last)
	if c.First > p.uncount {
		p.days[heapDay{c.Key.Heap, c.At / msPerDay}] += int64(c.Last - c.First + 1)
	}
	p.mark(c.Key, first, due)
	p.mu.Unlock()
	p.signal()
}

// mark needs mu.
func (p *projector) mark(key BlockKey, first Seq, due time.Time) {
	if d := p.dirty[key]; d != nil {
		d.first = min(d.first, first)
		return
	}
	if len(p.order) >= maxDirty {
		p.behind, p.missed = true, true
		return
	}
	d := &dirtyBlock{key, first, due}
	p.dirty[key] = d
	p.order = append(p.order, d)
}

func (p *projector) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run projects until ctx ends.
func (p *projector) run(ctx context.Context) {
	cancel := p.in.Subscribe(p.heard)
	defer cancel()
	defer p.stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	catch := &catchUp{p: p}
	for ctx.Err() == nil {
		wait, err := p.round(ctx, catch)
		if err != nil && ctx.Err() == nil {
			p.in.logger.Error("blocks not projected", "err", err)
			p.recover(ctx, err)
			catch.restart()
			wait = retryAfter
		}
		if wait == 0 {
			continue
		}
		if wait < 0 {
			select {
			case <-ctx.Done():
			case <-p.wake:
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-p.wake:
			if err != nil { // a commit is no reason to try again sooner
				select {
				case <-ctx.Done():
				case <-timer.C:
				}
			}
		}
	}
}

func (p *projector) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	close(p.moved)
	p.moved = make(chan struct{})
}

// renew has the index made anew, which a reader found damaged.
func (p *projector) renew() {
	p.mu.Lock()
	p.damaged = true
	p.mu.Unlock()
	p.signal()
}

// lookAgain has the heads asked, and heaps forgotten that are gone.
func (p *projector) lookAgain() {
	p.mu.Lock()
	p.behind = true
	p.mu.Unlock()
	p.signal()
}

// recover empties an index that is damaged.
func (p *projector) recover(ctx context.Context, err error) {
	if !errors.Is(err, ErrCorrupt) {
		return
	}
	if err := p.index.Reset(ctx); err != nil {
		p.in.logger.Error("index not made anew", "err", err)
		return
	}
	p.in.logger.Warn("index was damaged and is made anew")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.behind, p.counted, p.damaged, p.through = true, false, false, 0
	p.days, p.uncount, p.first = make(map[heapDay]int64), 0, 0
}

var errDamaged = fmt.Errorf("index: %w", ErrCorrupt)

// round does one piece of work. It returns how long there is nothing to do: less than 0
// until something is heard.
func (p *projector) round(ctx context.Context, catch *catchUp) (time.Duration, error) {
	p.mu.Lock()
	damaged := p.damaged
	p.mu.Unlock()
	if damaged {
		return 0, errDamaged
	}
	due, wait := p.takeDue()
	if len(due) > 0 {
		return 0, p.project(ctx, due)
	}
	p.mu.Lock()
	behind := p.behind
	days := p.counted && len(p.days) > 0
	p.mu.Unlock()
	switch {
	case behind:
		return 0, catch.step(ctx)
	case wait < 0 && days: // nothing else is due that would take them along
		return 0, p.project(ctx, nil)
	}
	return wait, nil
}

// takeDue takes the blocks that are due out of dirty, the first ones first, or says how
// long it is until one is.
func (p *projector) takeDue() (due []*dirtyBlock, wait time.Duration) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	wait = -1
	rest := p.order[:0]
	for _, d := range p.order {
		left := d.due.Sub(now)
		if d.first <= p.hurry {
			left = 0
		}
		switch {
		case left > 0:
			if wait < 0 || left < wait {
				wait = left
			}
			rest = append(rest, d)
		case len(due) == projectBlocks:
			rest = append(rest, d)
			wait = 0
		default:
			due = append(due, d)
			delete(p.dirty, d.key) // before it is read
		}
	}
	clear(p.order[len(rest):])
	p.order = rest
	return due, wait
}

// putBack marks blocks again that were not read now.
func (p *projector) putBack(list []*dirtyBlock, due time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var back []*dirtyBlock
	for _, d := range list {
		if again := p.dirty[d.key]; again != nil {
			again.first = min(again.first, d.first)
			continue
		}
		d.due = due
		p.dirty[d.key] = d
		back = append(back, d)
	}
	p.order = append(back, p.order...)
}

// project reads blocks and stores what they say.
func (p *projector) project(ctx context.Context, due []*dirtyBlock) error {
	due = p.putOffSlow(due)
	for {
		b, n, err := p.readSome(ctx, due)
		if err == nil {
			err = p.store(ctx, &b, due[n:])
		}
		if err != nil {
			p.putBack(due, time.Now().Add(retryAfter))
			return err
		}
		if due = due[n:]; len(due) == 0 {
			return nil
		}
	}
}

// putOffSlow has those wait on that took long to read, and returns the others.
func (p *projector) putOffSlow(due []*dirtyBlock) []*dirtyBlock {
	p.mu.Lock()
	hurry := p.hurry
	p.mu.Unlock()
	return slices.DeleteFunc(due, func(d *dirtyBlock) bool {
		until := p.slow[d.key]
		if d.first <= hurry || !time.Now().Before(until) {
			return false
		}
		p.putBack([]*dirtyBlock{d}, until)
		return true
	})
}

// readSome reads the first of list, as many as one transaction takes, and says how many
// these are.
func (p *projector) readSome(ctx context.Context, list []*dirtyBlock) (b IndexBatch, n int, err error) {
	size := 0
	for n < len(list) && size < projectBytes {
		proj, gone, err := p.read(ctx, list[n].key)
		if err != nil {
			return b, n, err
		}
		if n++; gone {
			b.Removed = append(b.Removed, proj.Key)
			continue
		}
		b.Projections = append(b.Projections, proj)
		size += len(proj.Text) + len(proj.Title) + len(proj.Apps) + len(proj.File)
	}
	return b, n, nil
}

// store writes b with all days that were counted. Progress is up to the first commit that
// is not read: of a dirty block, or of one of ahead.
func (p *projector) store(ctx context.Context, b *IndexBatch, ahead []*dirtyBlock) error {
	p.mu.Lock()
	var days map[heapDay]int64
	if p.counted {
		days, p.days = p.days, make(map[heapDay]int64)
		b.Progress.Counted = p.seen
	}
	for k, n := range days {
		b.Days = append(b.Days, DayUpdates{k.heap, k.day, n})
	}
	b.Progress.Through = p.reached(ahead)
	p.mu.Unlock()
	err := p.index.Project(ctx, b)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		for k, n := range days {
			p.days[k] += n
		}
		return err
	}
	if b.Progress.Through > p.through {
		p.through = b.Progress.Through
		close(p.moved)
		p.moved = make(chan struct{})
	}
	return nil
}

// reached is up to where everything is read once what is taken is stored. It needs mu.
func (p *projector) reached(ahead []*dirtyBlock) Seq {
	if p.behind {
		return p.through
	}
	to := p.seen
	for _, list := range [][]*dirtyBlock{p.order, ahead} {
		for _, d := range list {
			to = min(to, d.first-1)
		}
	}
	return max(to, p.through)
}

// read reads a block. gone says that it is deleted for good; then only Key is set.
func (p *projector) read(ctx context.Context, key BlockKey) (proj Projection, gone bool, err error) {
	begun := time.Now()
	head, proj, err := p.view(ctx, key)
	p.noteSlow(key, time.Since(begun))
	if err == nil {
		return proj, false, p.followTrash(ctx, head, proj.TrashedAt)
	}
	var unreadable *unreadableError
	if errors.Is(err, ErrQuarantined) || errors.Is(err, ErrTooLarge) || errors.As(err, &unreadable) {
		// The block is still there, and what it said before stays.
		head, err = p.in.Head(ctx, key)
		if errors.Is(err, ErrCorrupt) && head.Ref != 0 {
			err = nil
		}
		proj = Projection{Entry: entryOf(head)}
		proj.Unread = "its document cannot be read"
	}
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrDeleted) || err == nil && head.DeletedAt != 0 {
		return Projection{Entry: Entry{Key: key}}, true, nil
	}
	return proj, false, err
}

// unreadableError is a document that reading panicked on.
type unreadableError struct{ value any }

func (e *unreadableError) Error() string { return fmt.Sprint("panic: ", e.value) }

// view survives a fault of ours in reading a document, which is only read: the other
// blocks must go on.
func (p *projector) view(ctx context.Context, key BlockKey) (head Head, proj Projection, err error) {
	defer func() {
		if v := recover(); v != nil {
			p.in.logger.Error("document not read", "heap", key.Heap, "block", key.Block, "err", v, "stack", string(debug.Stack()))
			err = &unreadableError{v}
		}
	}()
	err = p.in.View(ctx, key, func(h Head, doc *ydoc.Doc) error {
		head, proj = h, readProjection(h, doc, p.in.now().UnixMilli())
		return nil
	})
	return head, proj, err
}

// readProjection is project, but for tests of what happens when it panics.
var readProjection = project

// noteSlow has a block wait that took long to read.
func (p *projector) noteSlow(key BlockKey, took time.Duration) {
	now := time.Now()
	if len(p.slow) > 1000 {
		for k, until := range p.slow {
			if until.Before(now) {
				delete(p.slow, k)
			}
		}
	}
	if rest := slowFactor * took; rest > projectEvery {
		p.slow[key] = now.Add(rest)
	} else {
		delete(p.slow, key)
	}
}

// followTrash does nothing yet but will tell the store of a block that its document has
// put into the trash, or taken out of it.
func (p *projector) followTrash(context.Context, Head, int64) error { return nil }

// wait returns when everything committed up to seq is in the index. Whoever waits is not
// kept waiting: blocks that are due later are read now.
func (p *projector) wait(ctx context.Context, seq Seq) error {
	for {
		p.mu.Lock()
		done, stopped, moved := p.through >= seq, p.stopped, p.moved
		p.hurry = max(p.hurry, seq)
		p.mu.Unlock()
		switch {
		case done:
			return nil
		case stopped:
			return ErrUnavailable
		}
		p.signal()
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// catchUp finds, by the heads of all heaps, the blocks that are not indexed as they are.
// It goes on from page to page, so that what is edited meanwhile need not wait.
type catchUp struct {
	p     *projector
	begun bool
	goal  Seq // the log's last seq when it began
	from  Seq // blocks whose head is here or before are indexed
	heaps []HeapID
	after Seq // in the first of heaps
	days  Seq // counted up to here
	count int
	start time.Time
}

func (c *catchUp) restart() { *c = catchUp{p: c.p} }

const (
	catchUpPage = 200
	countedRows = 50_000 // of the log, in one step
)

func (c *catchUp) step(ctx context.Context) error {
	switch {
	case !c.begun:
		return c.begin(ctx)
	case len(c.heaps) > 0:
		return c.page(ctx)
	case !c.p.counted:
		return c.countDays(ctx)
	}
	return c.end(ctx)
}

func (c *catchUp) begin(ctx context.Context) error {
	p := c.p
	have, err := p.index.Progress(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.missed = false // what finds no room from here on
	p.mu.Unlock()
	if c.goal, err = p.in.store.LastSeq(ctx); err != nil {
		return err
	}
	if c.goal < have.Through { // another database, or an older copy of it
		if err := p.index.Reset(ctx); err != nil {
			return err
		}
		have = Progress{}
	}
	p.mu.Lock()
	p.through = have.Through
	if !p.counted && p.uncount == 0 {
		p.uncount = c.goal
		if p.first != 0 { // those are counted
			p.uncount = p.first - 1
		}
	}
	p.mu.Unlock()
	if err := c.listHeaps(ctx); err != nil {
		return err
	}
	c.from, c.after, c.days = have.Through, have.Through, have.Counted
	c.begun, c.start = true, time.Now()
	return nil
}

// listHeaps notes the heaps that there are and forgets what is indexed of others.
func (c *catchUp) listHeaps(ctx context.Context) error {
	var err error
	if c.heaps, err = c.p.in.store.AllHeaps(ctx); err != nil {
		return err
	}
	known, err := c.p.index.Heaps(ctx)
	if err != nil {
		return err
	}
	there := make(map[HeapID]bool, len(c.heaps))
	for _, heap := range c.heaps {
		there[heap] = true
	}
	for _, heap := range known {
		if there[heap] {
			continue
		}
		if err := c.p.index.Forget(ctx, heap); err != nil {
			return err
		}
	}
	return nil
}

// page goes through the next heads of a heap.
func (c *catchUp) page(ctx context.Context) error {
	heap := c.heaps[0]
	page, err := c.p.in.store.Changed(ctx, heap, c.after, 0, catchUpPage)
	if err != nil {
		return err
	}
	ids := make([]BlockID, len(page.Heads))
	for i, h := range page.Heads {
		ids[i] = h.Key.Block
	}
	have, err := c.p.index.Seqs(ctx, heap, ids)
	if err != nil {
		return err
	}
	var stale []*dirtyBlock
	for _, h := range page.Heads {
		if seq, ok := have[h.Key.Block]; ok && seq != h.Seq || !ok && h.DeletedAt == 0 {
			stale = append(stale, &dirtyBlock{key: h.Key})
		}
	}
	c.count += len(stale)
	for len(stale) > 0 {
		b, n, err := c.p.readSome(ctx, stale)
		if err != nil {
			return err
		}
		if err := c.p.store(ctx, &b, nil); err != nil {
			return err
		}
		stale = stale[n:]
	}
	c.after = page.Next
	if !page.More {
		c.heaps, c.after = c.heaps[1:], c.from
	}
	return nil
}

// countDays counts the updates of days that nobody was told of, by the rows of the log.
func (c *catchUp) countDays(ctx context.Context) error {
	p := c.p
	if c.days < p.uncount {
		days, to, err := p.in.store.UpdateDays(ctx, c.days, p.uncount, countedRows)
		if err != nil {
			return err
		}
		if err := p.index.Project(ctx, &IndexBatch{Days: days, Progress: Progress{Counted: to}}); err != nil {
			return err
		}
		c.days = to
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counted = true
	return nil
}

// end moves the progress to where the log was when it began, or to what was heard of
// since.
func (c *catchUp) end(ctx context.Context) error {
	p := c.p
	p.mu.Lock()
	p.behind = p.missed
	p.seen = max(p.seen, c.goal)
	p.mu.Unlock()
	if c.count > 0 {
		p.in.logger.Info("index caught up", "count", c.count, "took", time.Since(c.start))
	}
	c.restart()
	return p.store(ctx, &IndexBatch{}, nil)
}
