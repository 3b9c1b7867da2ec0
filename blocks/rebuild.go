package blocks

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/heapsync/heapsync/ydoc"
)

// RebuildSnapshots makes every block's snapshot anew from its log, and says how many. What
// it cannot rebuild stays as it is, and failed is told.
func (l *Log) RebuildSnapshots(ctx context.Context, failed func(BlockKey, error)) (int, error) {
	heaps, err := l.store.AllHeaps(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, heap := range heaps {
		for after := Seq(0); ; {
			const page = 500
			p, err := l.store.Changed(ctx, heap, after, 0, page)
			if err != nil {
				return n, err
			}
			for _, head := range p.Heads {
				if head.DeletedAt != 0 {
					continue
				}
				switch err := l.RebuildSnapshot(ctx, head.Key); {
				case ctx.Err() != nil:
					return n, ctx.Err()
				case err != nil:
					failed(head.Key, err)
				default:
					n++
				}
			}
			if after = p.Next; !p.More {
				break
			}
		}
		if err := l.store.Recount(ctx, heap); err != nil {
			return n, err
		}
	}
	return n, nil
}

// RebuildSnapshot makes the block's snapshot anew from its windows and updates, if they
// come to the state vector that its head has. A block that was quarantined and can be
// read again is quarantined no more.
func (l *Log) RebuildSnapshot(ctx context.Context, key BlockKey) error {
	err := l.withDocuments(ctx, func() error { return l.rebuildSnapshot(ctx, key) })
	if err != nil {
		return err
	}
	head, snapshot, tail, err := l.store.State(ctx, key)
	if err != nil || head.Quarantine == "" {
		return err
	}
	st := &state{merged: new(ydoc.Merger)}
	if err := st.add(snapshot, tail); err != nil {
		return err
	}
	return l.store.Quarantine(ctx, head.Ref, "")
}

// rebuildBytes is how much of a log is kept before it is merged.
const rebuildBytes = 64 << 20

func (l *Log) rebuildSnapshot(ctx context.Context, key BlockKey) error {
	head, err := l.store.Head(ctx, key)
	if err != nil {
		return err
	}
	if head.DeletedAt != 0 {
		return ErrDeleted
	}
	if head.Seq == 0 {
		return nil
	}
	var m ydoc.Merger
	add := func(update []byte, f ydoc.Format) error {
		if err := m.Add(update, f); err != nil {
			return fmt.Errorf("%v: %w", err, ErrCorrupt)
		}
		return nil
	}
	size := 0
	reached := Seq(0)
	err = l.store.Replay(ctx, head.Ref, head.Seq, func(w Window) error {
		if size += len(w.Update); size > rebuildBytes {
			merged := m.Append(nil, ydoc.V2)
			m.Reset()
			if err := add(merged, ydoc.V2); err != nil {
				return err
			}
			size = len(w.Update)
		}
		reached = w.To
		return add(slices.Clone(w.Update), w.format())
	})
	if err != nil {
		return err
	}
	want, err := ydoc.DecodeStateVector(head.StateVector)
	if err != nil || reached != head.Seq || !m.StateVector().Equal(want) {
		return errors.Join(err, fmt.Errorf("log up to %d does not come to the state vector of its head at %d: %w", reached, head.Seq, ErrCorrupt))
	}
	return l.store.ReplaceSnapshot(ctx, Snapshot{Ref: head.Ref, Seq: head.Seq, State: l.compact(key, &m)})
}
