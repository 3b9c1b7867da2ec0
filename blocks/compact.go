package blocks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// HistoryPolicy says for how long history stays how fine. Times are ages.
type HistoryPolicy struct {
	All     time.Duration // each update is kept as it came; 7 days
	Hourly  time.Duration // then one state an hour; 30 days
	Daily   time.Duration // then one a day; 365 days. All that is older is one
	Updates int64         // of one block that are kept as they came, however young; 20,000
}

func (p *HistoryPolicy) setDefaults() {
	const day = 24 * time.Hour
	setDefault(&p.All, 7*day)
	setDefault(&p.Hourly, 30*day)
	setDefault(&p.Daily, 365*day)
	setDefault(&p.Updates, 20_000)
}

// spans are how long the windows of a level are, in ms. They begin and end at full
// minutes, hours and days of UTC.
var spans = map[Level]int64{LevelMinute: 60_000, LevelHour: 3_600_000, LevelDay: 86_400_000}

// cuts are times (ms): what was committed before the one of a level has to be at least
// as coarse. Each lies at an end of that level's windows, so that none is folded in half.
type cuts map[Level]int64

func (p *HistoryPolicy) cuts(now time.Time) cuts {
	cut := func(age time.Duration, level Level) int64 {
		return now.Add(-age).UnixMilli() / spans[level] * spans[level]
	}
	return cuts{LevelMinute: now.UnixMilli() / spans[LevelMinute] * spans[LevelMinute],
		LevelHour: cut(p.All, LevelHour), LevelDay: cut(max(p.All, p.Hourly), LevelDay),
		LevelBase: cut(max(p.All, p.Hourly, p.Daily), LevelDay)}
}

// level is how coarse something of a time has to be: LevelUpdate if it is young.
func (c cuts) level(at int64) Level {
	for level := LevelBase; level >= LevelHour; level-- {
		if at < c[level] {
			return level
		}
	}
	return LevelUpdate
}

// bucket is which window of its level something of a time belongs to.
func bucket(level Level, at int64) int64 {
	if span := spans[level]; span > 0 {
		return at / span
	}
	return 0
}

// What one transaction of the compactor may hold. Rows of one block may lie on a page
// each, so they are what an append may have to wait for.
const (
	foldRows  = 1000
	foldBytes = 8 << 20
	// mergeBytes bounds what the windows that become one had, as updates.
	mergeBytes = 64 << 20
	// foldSession is how many rows are folded before the block is looked at anew.
	foldSession = 1 << 20
)

// compactEvery is how often the whole log is looked through for what has become old, and
// compactFirst when that is done first: a server may be started every day.
const (
	compactEvery = time.Hour
	compactFirst = time.Minute
)

// compactor thins history by policy, one block at a time.
type compactor struct {
	log  *Log
	work chan struct{}
	turn chan struct{} // has room for one: history is thinned by one at a time

	// mu guards below: a set in order.
	mu      sync.Mutex
	queue   []BlockKey
	waiting map[BlockKey]bool
}

func (c *compactor) init(l *Log) {
	c.log = l
	c.work = make(chan struct{}, 1)
	c.turn = make(chan struct{}, 1)
	c.waiting = make(map[BlockKey]bool)
}

// consider queues a block that has more updates than are kept.
func (c *compactor) consider(head Head) {
	if head.Raw <= c.log.limits.History.Updates || head.Quarantine != "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting[head.Key] {
		return
	}
	c.waiting[head.Key] = true
	c.queue = append(c.queue, head.Key)
	select {
	case c.work <- struct{}{}:
	default:
	}
}

func (c *compactor) next() (BlockKey, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return BlockKey{}, false
	}
	key := c.queue[0]
	c.queue = c.queue[1:]
	delete(c.waiting, key)
	return key, true
}

func (c *compactor) run(ctx context.Context) {
	due := time.NewTimer(compactFirst)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-due.C:
			if err := c.log.Thin(ctx); err != nil && ctx.Err() == nil {
				c.log.logger.Warn("history not thinned", "err", err)
			}
			due.Reset(compactEvery)
		case <-c.work:
			for key, ok := c.next(); ok && ctx.Err() == nil; key, ok = c.next() {
				c.log.compactOne(ctx, key)
			}
		}
	}
}

// Thin compacts every block that has something older than the policy keeps it.
func (l *Log) Thin(ctx context.Context) error {
	cuts := l.limits.History.cuts(l.now())
	err := l.compactAll(ctx, func(at Cursor) ([]BlockKey, Cursor, error) {
		return l.store.DueUpdates(ctx, at, cuts[LevelHour])
	})
	for level := LevelMinute; err == nil && level < LevelBase; level++ {
		err = l.compactAll(ctx, func(at Cursor) ([]BlockKey, Cursor, error) {
			return l.store.DueWindows(ctx, level, at, cuts[level+1])
		})
	}
	return err
}

func (l *Log) compactAll(ctx context.Context, list func(Cursor) ([]BlockKey, Cursor, error)) error {
	for at := (Cursor{}); ctx.Err() == nil; {
		keys, next, err := list(at)
		if err != nil {
			return err
		}
		for _, key := range keys {
			l.compactOne(ctx, key)
		}
		if next == at {
			return nil
		}
		at = next
	}
	return ctx.Err()
}

// compactOne is Compact, but what is wrong with one block keeps no other waiting.
func (l *Log) compactOne(ctx context.Context, key BlockKey) {
	if err := l.Compact(ctx, key); err != nil && ctx.Err() == nil {
		l.logger.Warn("history not compacted", "heap", key.Heap, "block", key.Block, "err", err)
	}
}

// Compact thins one block's history by policy. What cannot be read, or merged into
// the very same, stays as it is. A block that is deleted or quarantined is left alone.
func (l *Log) Compact(ctx context.Context, key BlockKey) error {
	select {
	case l.compactor.turn <- struct{}{}:
		defer func() { <-l.compactor.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	head, err := l.store.Head(ctx, key)
	if err != nil || head.DeletedAt != 0 || head.Quarantine != "" {
		return err
	}
	named, err := l.store.Versions(ctx, head.Ref)
	if err != nil {
		return err
	}
	f := foldingOf(l, head, named)
	for more := true; more; {
		if more, err = f.updates(ctx); err != nil {
			return err
		}
	}
	return f.windows(ctx)
}

// folding is one run of Compact.
type folding struct {
	log   *Log
	head  Head
	cuts  cuts
	named map[Seq]bool // windows end there
}

func foldingOf(l *Log, head Head, named []Version) *folding {
	f := &folding{log: l, head: head, cuts: l.limits.History.cuts(l.now()), named: map[Seq]bool{}}
	for _, v := range named {
		f.named[v.Seq] = true
	}
	return f
}

// updates folds the oldest updates that are not folded, and says whether there may be
// more to do.
func (f *folding) updates(ctx context.Context) (more bool, err error) {
	store := f.log.store
	excess := int64(0)
	if limit := f.log.limits.History.Updates; f.head.Raw > limit {
		excess = f.head.Raw - limit + limit/10 // not for one update each time
	}
	seqs, err := store.OldestUpdates(ctx, f.head.Ref, foldSession)
	if err != nil || len(seqs) == 0 {
		return false, err
	}
	done := 0
	for done < len(seqs) {
		chunk := seqs[done:min(done+foldRows, len(seqs))]
		parts, err := store.Updates(ctx, f.head.Ref, chunk, foldBytes)
		if err != nil {
			return false, err
		}
		old := 0 // how many of parts are to be folded, and down to which level
		for old < len(parts) && (f.cuts.level(parts[old].LastAt) != LevelUpdate || int64(done+old) < excess) {
			old++
		}
		if old == 0 {
			break
		}
		if err := f.snapshot(ctx, parts[old-1].To); err != nil {
			return false, err
		}
		for rest := parts[:old]; len(rest) > 0; {
			n := f.together(rest)
			if err := f.foldUpdates(ctx, rest[:n]); err != nil {
				return false, err
			}
			rest = rest[n:]
		}
		done += old
		if old < len(parts) {
			break
		}
	}
	if done == 0 {
		return false, nil
	}
	if f.head, err = store.Head(ctx, f.head.Key); err != nil {
		return false, err
	}
	return done == len(seqs) && f.head.Raw > 0, nil
}

// snapshot makes sure that the snapshot covers what is up to seq.
func (f *folding) snapshot(ctx context.Context, seq Seq) error {
	if f.head.SnapshotSeq >= seq {
		return nil
	}
	if err := f.log.Fold(ctx, f.head.Key); err != nil {
		return err
	}
	head, err := f.log.store.Head(ctx, f.head.Key)
	if err == nil && head.SnapshotSeq < seq {
		err = fmt.Errorf("snapshot ends at %d, not %d: %w", head.SnapshotSeq, seq, ErrUnavailable)
	}
	f.head.SnapshotSeq = head.SnapshotSeq
	return err
}

// levelOf is what an update is folded to.
func (f *folding) levelOf(p *Window) Level { return max(f.cuts.level(p.LastAt), LevelMinute) }

// together is how many of parts, from the first on, become one window.
func (f *folding) together(parts []Window) int {
	level := f.levelOf(&parts[0])
	size := int64(0)
	for i := range parts {
		p := &parts[i]
		if size += p.Size; i > 0 && (size > foldBytes || f.levelOf(p) != level ||
			bucket(level, p.LastAt) != bucket(level, parts[0].LastAt) || f.named[parts[i-1].To]) {
			return i
		}
	}
	return len(parts)
}

func (f *folding) foldUpdates(ctx context.Context, parts []Window) error {
	w, err := foldParts(parts, f.levelOf(&parts[0]), !f.head.Shape.Keyed)
	if err != nil {
		return f.left(err)
	}
	return f.write(ctx, func() error { return f.log.store.FoldUpdates(ctx, f.head.Ref, w, ends(parts)) })
}

// idleShare is how many times as long as its last write took the compactor waits for
// the next one: others write meanwhile, and the store tidies up less often.
const idleShare = 2

func (f *folding) write(ctx context.Context, fold func() error) error {
	start := time.Now()
	if err := fold(); err != nil {
		return f.raced(err)
	}
	pause := time.NewTimer(idleShare * time.Since(start))
	defer pause.Stop()
	select {
	case <-pause.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// left logs what could not be merged and stays as it is.
func (f *folding) left(err error) error {
	if errors.Is(err, errNotEqual) {
		f.log.logger.Error("history does not merge and stays as it is", "heap", f.head.Key.Heap, "block", f.head.Key.Block, "err", err)
	}
	return err
}

// raced explains a conflict: the block changed under us, which the next run will see.
func (f *folding) raced(err error) error {
	if errors.Is(err, ErrConflict) {
		return fmt.Errorf("changed meanwhile: %w", err)
	}
	return err
}

func ends(parts []Window) []Seq {
	seqs := make([]Seq, len(parts))
	for i := range parts {
		seqs[i] = parts[i].To
	}
	return seqs
}

// windows merges neighbours that belong together now.
func (f *folding) windows(ctx context.Context) error {
	all, err := f.log.store.Windows(ctx, f.head.Ref)
	if err != nil {
		return err
	}
	for len(all) > 0 {
		n, level := f.group(all)
		group := all[:n]
		all = all[n:]
		if n == 1 && group[0].Level == level {
			continue
		}
		if level == LevelMinute && group[n-1].LastAt >= f.cuts[LevelMinute] {
			continue // the minute is not over: more may belong to it
		}
		parts := slices.Clone(group)
		for i := range parts {
			if parts[i], err = f.log.store.Window(ctx, f.head.Ref, parts[i].To); err != nil {
				return err
			}
		}
		w, err := foldParts(parts, level, !f.head.Shape.Keyed)
		if err != nil {
			return f.left(err)
		}
		err = f.write(ctx, func() error { return f.log.store.FoldWindows(ctx, f.head.Ref, w, ends(parts)) })
		if err != nil {
			return err
		}
	}
	return nil
}

// group is how many of the windows, from the first on, become one, and of which level.
func (f *folding) group(all []Window) (int, Level) {
	target := func(w *Window) Level { return max(w.Level, f.cuts.level(w.LastAt)) }
	level := target(&all[0])
	size := int64(0)
	for i := range all {
		w := &all[i]
		if size += w.Size; i > 0 && (size > mergeBytes || target(w) != level ||
			bucket(level, w.LastAt) != bucket(level, all[0].LastAt) || f.named[all[i-1].To]) {
			return i, level
		}
	}
	return len(all), level
}
