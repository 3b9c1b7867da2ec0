package blocks

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// folder merges long tails into snapshots, one block at a time, so that opening
// a block reads one row and a few updates. A snapshot is derived: losing one
// costs time, never content.
type folder struct {
	log  *Log
	work chan struct{}

	// mu guards below: two sets in order.
	mu      sync.Mutex
	queue   []BlockKey
	waiting map[BlockKey]bool
	held    []BlockKey // blocks whose held updates may be let in
}

func (f *folder) init(l *Log) {
	f.log = l
	f.work = make(chan struct{}, 1)
	f.waiting = make(map[BlockKey]bool)
}

// consider queues the block if its tail has grown too long. The tail may be twice
// as long on a large block, whose folding costs more.
func (f *folder) consider(head Head) {
	limit := f.log.limits.SnapshotTail
	if head.Tail < limit || head.Tail < 2*limit && head.TailBytes < (head.Bytes-head.TailBytes)/8 {
		return
	}
	f.add(head.Key)
}

// idleTail is from how many updates on the tail of a block is folded that nobody has
// open any more: reading them takes the next one who opens it longer than a snapshot.
const idleTail = 32

// left queues a block that nobody has open any more.
func (f *folder) left(head Head) {
	if head.Tail >= idleTail && head.Quarantine == "" && head.DeletedAt == 0 {
		f.add(head.Key)
	}
}

func (f *folder) add(key BlockKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting[key] {
		return
	}
	f.waiting[key] = true
	f.queue = append(f.queue, key)
	select {
	case f.work <- struct{}{}:
	default:
	}
}

// retry queues the block to have its held updates tried again.
func (f *folder) retry(key BlockKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(f.held, key) {
		f.held = append(f.held, key)
	}
	select {
	case f.work <- struct{}{}:
	default:
	}
}

func (f *folder) retryHeld(ctx context.Context) {
	f.mu.Lock()
	held := f.held
	f.held = nil
	f.mu.Unlock()
	for _, key := range held {
		if err := f.log.retryAlone(ctx, key); err != nil && ctx.Err() == nil {
			f.log.logger.Warn("held updates not tried", "heap", key.Heap, "block", key.Block, "err", err)
		}
	}
}

func (f *folder) next() (BlockKey, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		return BlockKey{}, false
	}
	key := f.queue[0]
	f.queue = f.queue[1:]
	delete(f.waiting, key)
	return key, true
}

// expireEvery is how often held updates that are too old are looked for.
const expireEvery = time.Hour

func (f *folder) run(ctx context.Context) {
	expire := time.NewTicker(expireEvery)
	defer expire.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-expire.C:
			f.expireHeld(ctx)
			continue
		case <-f.work:
		}
		for ctx.Err() == nil {
			f.retryHeld(ctx)
			key, ok := f.next()
			if !ok {
				break
			}
			if err := f.log.Fold(ctx, key); err != nil && ctx.Err() == nil {
				f.log.logger.Warn("tail not folded", "heap", key.Heap, "block", key.Block, "err", err)
			}
		}
	}
}

func (f *folder) expireHeld(ctx context.Context) {
	before := f.log.now().Add(-f.log.limits.HeldFor).UnixMilli()
	n, err := f.log.store.ExpireHeld(ctx, before)
	if err != nil {
		f.log.logger.Warn("held updates not expired", "err", err)
	} else if n > 0 {
		f.log.logger.Info("held updates expired", "count", n)
		f.log.refresh()
	}
}

// refresh has the blocks in memory read anew, but for those that are being written.
func (l *Log) refresh() {
	l.mu.Lock()
	active := slices.Collect(maps.Values(l.active))
	l.mu.Unlock()
	for _, a := range active {
		a.mu.Lock()
		if !a.busy() {
			a.forget()
		}
		a.mu.Unlock()
	}
}

// Fold merges the block's snapshot and tail into a new snapshot.
func (l *Log) Fold(ctx context.Context, key BlockKey) error {
	return l.snapshot(ctx, key, func(st *state) error {
		if st.head.Tail == 0 {
			return nil
		}
		return l.store.SaveSnapshot(ctx, l.snapshotOf(st))
	})
}

// snapshot reads the block in a slot for documents, which collecting needs.
func (l *Log) snapshot(ctx context.Context, key BlockKey, save func(*state) error) error {
	return l.withDocuments(ctx, func() error {
		st, err := l.read(ctx, key)
		if err != nil {
			return err
		}
		defer st.free()
		return save(st)
	})
}

func (l *Log) snapshotOf(st *state) Snapshot {
	return Snapshot{Ref: st.head.Ref, Seq: st.head.Seq, State: l.compact(st.head.Key, st.merged)}
}
