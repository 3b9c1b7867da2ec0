package blocks

import (
	"context"
	"errors"
	"fmt"
)

// Purge deletes blocks for good, those that are as they are expected to be: their logs
// are gone, and clients are told. What waited to be appended to them fails with
// ErrDeleted. Whether that may be is the caller's to know.
func (l *Log) Purge(ctx context.Context, doomed ...Doomed) ([]Tombstone, error) {
	type outcome struct {
		stones []Tombstone
		err    error
	}
	done := make(chan outcome, 1)
	select {
	case l.committer.jobs <- func() {
		stones, err := l.committer.purge(doomed)
		done <- outcome{stones, err}
	}:
	case <-l.committer.ended:
		return nil, ErrUnavailable
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	out := <-done // what has begun has an end
	return out.stones, out.err
}

// purge is run's: no transaction is on its way, and commits are told in order.
func (c *committer) purge(doomed []Doomed) ([]Tombstone, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	stones, err := c.log.store.Purge(ctx, doomed)
	cancel()
	if err != nil {
		return nil, err
	}
	batch := committed{}
	orphans := committed{err: ErrDeleted}
	for _, s := range stones {
		batch.deleted = append(batch.deleted, Commit{Key: s.Key, Last: s.Seq, At: s.At, Deleted: true})
		batch.at = s.At
		if orphan := c.log.orphan(s.Key); orphan != nil {
			c.bytes.Add(-orphan.bytes)
			orphans.blocks = append(orphans.blocks, orphan)
		}
	}
	c.deliver(batch)
	if len(orphans.blocks) > 0 {
		c.deliver(orphans)
	}
	return stones, nil
}

// orphan has a block read anew, and returns what waits for the disk on top of what is
// gone.
func (l *Log) orphan(key BlockKey) *queuedCommit {
	l.mu.Lock()
	a := l.active[key]
	l.mu.Unlock()
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.queued
	a.queued = nil
	a.forget()
	return q
}

// PurgeBlock deletes a block for good, for an editor. To repeat it changes nothing.
func (in *Instance) PurgeBlock(ctx context.Context, author Author, t Target) (Tombstone, error) {
	key, err := in.resolve(ctx, &roleCache{in: in, user: author.User}, t, RoleEditor)
	if err != nil {
		return Tombstone{}, err
	}
	head, err := in.Head(ctx, key)
	if errors.Is(err, ErrCorrupt) && head.Ref != 0 {
		err = nil
	}
	if err != nil {
		return Tombstone{}, err
	}
	stones, err := in.Purge(ctx, Doomed{Ref: head.Ref})
	if err != nil {
		return Tombstone{}, fmt.Errorf("purge %s: %w", key, err)
	}
	if len(stones) == 0 { // it was deleted before
		head, err = in.Head(ctx, key)
		return Tombstone{Key: key, Ref: head.Ref, Seq: head.Seq, At: head.DeletedAt}, err
	}
	in.audit(ctx, author, key, "block.purged", fmt.Sprintf("%d bytes", stones[0].Freed))
	return stones[0], nil
}
