package blocks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/heapsync/heapsync/ydoc"
)

// state is a block's log merged in memory for as long as somebody looks at it.
type state struct {
	head   Head
	merged *ydoc.Merger
	log    *Log
}

var mergers = sync.Pool{New: func() any { return new(ydoc.Merger) }}

func (st *state) free() {
	st.merged.Reset()
	mergers.Put(st.merged)
	<-st.log.loads
}

// read merges what is on disk of the block. The caller frees it. At most
// Limits.Loads blocks are in memory at once.
func (l *Log) read(ctx context.Context, key BlockKey) (*state, error) {
	select {
	case l.loads <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	st := &state{merged: mergers.Get().(*ydoc.Merger), log: l}
	whole := false
	defer func() { // also when something panics: there are few slots
		if !whole {
			st.free()
		}
	}()
	head, snapshot, tail, err := l.store.State(ctx, key)
	if err == nil {
		st.head = head
		err = st.add(snapshot, tail)
	}
	if err == nil && head.Quarantine != "" {
		err = ErrQuarantined
	}
	if errors.Is(err, ErrCorrupt) {
		err = l.quarantine(key, err)
	}
	if err != nil {
		return nil, err
	}
	whole = true
	return st, nil
}

func (st *state) add(snapshot Snapshot, tail []LoggedUpdate) error {
	if snapshot.Seq != 0 {
		if err := st.merged.Add(snapshot.State, ydoc.V2); err != nil {
			return fmt.Errorf("snapshot at %d: %v: %w", snapshot.Seq, err, ErrCorrupt)
		}
	}
	for _, u := range tail {
		if err := st.merged.Add(u.Bytes, ydoc.V1); err != nil {
			return fmt.Errorf("update %d: %v: %w", u.Seq, err, ErrCorrupt)
		}
	}
	return nil
}

// readWithQueued is read plus what is accepted and not yet on disk, that of in so
// far included. a.mu is held.
func (l *Log) readWithQueued(ctx context.Context, a *activeBlock, in *incoming) (*state, error) {
	st, err := l.read(ctx, a.key)
	if errors.Is(err, ErrNotFound) && a.head.Ref == 0 { // it is being created
		l.loads <- struct{}{}
		st, err = &state{merged: mergers.Get().(*ydoc.Merger), log: l}, nil
	}
	if err != nil {
		return nil, err
	}
	waiting := slices.Clone(a.inflight)
	if a.queued != nil {
		waiting = appendBytes(waiting, a.queued.updates)
	}
	for ; in != nil; in = in.within {
		waiting = appendBytes(waiting, in.log)
	}
	for _, b := range waiting {
		if err := st.merged.Add(b, ydoc.V1); err != nil {
			st.free()
			return nil, fmt.Errorf("queued update of %s: %w", a.key, err)
		}
	}
	return st, nil
}

func appendBytes(to [][]byte, updates []LoggedUpdate) [][]byte {
	for _, u := range updates {
		to = append(to, u.Bytes)
	}
	return to
}

// quarantine makes a block read-only whose bytes cannot be read, so that nothing
// is ever built on less than what was stored. It returns ErrQuarantined.
func (l *Log) quarantine(key BlockKey, cause error) error {
	l.logger.Error("block quarantined", "heap", key.Heap, "block", key.Block, "err", cause)
	ctx := context.Background()
	head, err := l.store.Head(ctx, key)
	if err == nil || errors.Is(err, ErrCorrupt) && head.Ref != 0 {
		err = l.store.Quarantine(ctx, head.Ref, cause.Error())
	}
	if err != nil {
		l.logger.Error("quarantine not stored", "heap", key.Heap, "block", key.Block, "err", err)
	}
	a := l.acquire(key)
	defer l.release(a)
	a.unreadable.Store(true) // the caller may hold a.mu
	return ErrQuarantined
}

// Diff is what a reader of a block lacks.
type Diff struct {
	Head   Head
	Update []byte // format V1
}

// Diff returns what a client with state vector since lacks, as of what is on
// disk. An empty since gives the whole state. Errors: ErrNotFound, ErrDeleted,
// ErrQuarantined.
func (l *Log) Diff(ctx context.Context, key BlockKey, since ydoc.StateVector) (Diff, error) {
	st, err := l.read(ctx, key)
	if err != nil {
		return Diff{}, err
	}
	defer st.free()
	if st.head.DeletedAt != 0 {
		return Diff{Head: st.head}, ErrDeleted
	}
	return Diff{st.head, st.merged.AppendDiff(nil, ydoc.V1, since)}, nil
}

// After returns the updates with a seq in (after, head] merged into one. When the
// snapshot covers more than after, it is the whole state.
func (l *Log) After(ctx context.Context, key BlockKey, after Seq) (Diff, error) {
	head, snapshot, tail, err := l.store.State(ctx, key)
	switch {
	case errors.Is(err, ErrCorrupt):
		return Diff{}, l.quarantine(key, err)
	case err != nil:
		return Diff{}, err
	case head.Quarantine != "":
		return Diff{}, ErrQuarantined
	}
	if snapshot.Seq > after {
		return l.Diff(ctx, key, ydoc.StateVector{})
	}
	m := mergers.Get().(*ydoc.Merger)
	m.Keyless = !head.Shape.Keyed
	defer func() { m.Reset(); m.Keyless = false; mergers.Put(m) }()
	for _, u := range tail {
		if u.Seq <= after {
			continue
		}
		if err := m.Add(u.Bytes, ydoc.V1); err != nil {
			return Diff{}, l.quarantine(key, fmt.Errorf("update %d: %w", u.Seq, err))
		}
	}
	return Diff{head, m.Append(nil, ydoc.V1)}, nil
}

// Holds says whether everything in update is in the block already. A malformed
// update is a *Refusal.
func (l *Log) Holds(ctx context.Context, key BlockKey, update []byte) (bool, error) {
	u, err := l.decode(update)
	if err != nil {
		return false, err
	}
	if u.Empty() {
		return true, nil
	}
	st, err := l.read(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer st.free()
	return !u.HasNew(st.merged.StateVector()) && u.DeletesWithin(st.merged.Update()), nil
}
