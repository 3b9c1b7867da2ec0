package blocks

import (
	"context"
	"time"
)

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
	catchUpPage = 1000
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
	p.move(have.Through)
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
