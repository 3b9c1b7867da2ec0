package blocks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
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
	projectBlocks = 1000
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
	room    int // how many blocks may be dirty
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
		in: in, index: index, wake: make(chan struct{}, 1), moved: make(chan struct{}), behind: true, room: maxDirty,
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
	if len(p.order) >= p.room {
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

// lookAgain has the heads of all heaps asked again, and what is indexed of heaps that are
// gone forgotten.
func (p *projector) lookAgain() {
	p.mu.Lock()
	p.behind, p.missed = true, true
	p.mu.Unlock()
	p.signal()
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
			catch.restart()
			if wait = retryAfter; p.recover(ctx, err) == nil && err == errDamaged {
				wait = 0
			}
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

// recover empties an index that is damaged, if that is what err says.
func (p *projector) recover(ctx context.Context, err error) error {
	if !errors.Is(err, ErrCorrupt) {
		return nil
	}
	if err := p.index.Reset(ctx); err != nil {
		p.in.logger.Error("index not made anew", "err", err)
		return err
	}
	p.in.logger.Warn("index was damaged and is made anew")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.behind, p.counted, p.damaged, p.through = true, false, false, 0
	p.days, p.uncount, p.first = make(map[heapDay]int64), 0, 0
	return nil
}

// errDamaged is what a reader of the index found out.
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
	if len(rest) == 0 && cap(rest) > projectBlocks { // a map does not shrink
		p.order, p.dirty = nil, make(map[BlockKey]*dirtyBlock)
	}
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
		p.move(b.Progress.Through)
	}
	return nil
}

// move tells those who wait that everything up to there is indexed. It needs mu.
func (p *projector) move(through Seq) {
	p.through = through
	close(p.moved)
	p.moved = make(chan struct{})
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
	head, proj, file, err := p.view(ctx, key)
	p.noteSlow(key, time.Since(begun))
	if err == nil {
		if err = p.in.followTrash(ctx, head, proj.TrashedAt != 0); err == nil {
			err = p.in.followFile(ctx, head, file)
		}
		return proj, false, err
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
func (p *projector) view(ctx context.Context, key BlockKey) (head Head, proj Projection, file namedFile, err error) {
	defer func() {
		if v := recover(); v != nil {
			p.in.logger.Error("document not read", "heap", key.Heap, "block", key.Block, "err", v, "stack", string(debug.Stack()))
			err = &unreadableError{v}
		}
	}()
	err = p.in.View(ctx, key, func(h Head, doc *ydoc.Doc) error {
		if fn := beforeRead.Load(); fn != nil {
			(*fn)(key)
		}
		head, proj = h, project(h, doc, p.in.now().UnixMilli())
		file = fileNamed(doc.Root(aboutRoot).AsMap())
		return nil
	})
	return head, proj, file, err
}

// beforeRead is for tests: of what is read when, and of what happens if that panics.
var beforeRead atomic.Pointer[func(BlockKey)]

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
