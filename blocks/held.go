package blocks

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/heapsync/heapsync/ydoc"
)

// hold queues rest, which cannot be integrated yet, to be kept outside the log.
// a.mu is held.
func (l *Log) hold(ctx context.Context, a *activeBlock, in *incoming, rest *ydoc.Update) error {
	if rest.Empty() {
		return nil
	}
	update := rest.Append(nil, ydoc.V1)
	size := int64(len(update))
	user := in.Author.User
	if in.within == nil { // else it had its place before
		held, err := l.checkHeld(ctx, a, user, update)
		if err != nil {
			return err
		}
		if held {
			in.pending = true
			return nil
		}
	}
	if a.heldOwn == nil {
		a.heldOwn = make(map[UserID]int64)
	}
	a.heldOwn[user] += size
	a.head.Held++
	a.head.HeldBytes += size
	in.pending = true
	in.hold = append(in.hold, HeldUpdate{User: user, Session: in.Author.Session, Bytes: update})
	return nil
}

// maxHeld is how many updates of a block may wait: all are looked at again with
// every edit.
const maxHeld = 4000

// checkHeld refuses what would pass the bounds of what may be held. It says whether
// the very same waits already.
func (l *Log) checkHeld(ctx context.Context, a *activeBlock, user UserID, update []byte) (held bool, err error) {
	size := int64(len(update))
	if a.head.Held > 0 && a.head.Ref != 0 {
		waiting, err := l.store.Held(ctx, a.head.Ref)
		if err != nil {
			return false, fmt.Errorf("read held updates of %s: %w", a.key, err)
		}
		for _, h := range waiting {
			if h.User == user && bytes.Equal(h.Bytes, update) {
				return true, nil
			}
		}
	}
	if a.head.Held >= maxHeld {
		return false, fmt.Errorf("at most %d updates of this block may wait for others: %w", maxHeld, ErrTooLarge)
	}
	if a.head.HeldBytes+size > l.limits.HeldPerBlock {
		return false, fmt.Errorf("updates of this block that wait for others may have %d bytes together: %w", l.limits.HeldPerBlock, ErrTooLarge)
	}
	byUser, err := l.store.HeldBytesOf(ctx, user)
	if err != nil {
		return false, fmt.Errorf("read held bytes: %w", err)
	}
	if byUser+a.heldOwn[user]+size > l.limits.HeldPerUser {
		return false, fmt.Errorf("your updates that wait for others may have %d bytes together: %w", l.limits.HeldPerUser, ErrTooLarge)
	}
	return false, nil
}

// waiting is a held update, decoded.
type waiting struct {
	HeldUpdate
	u     *ydoc.Update
	first ydoc.Clock // of its structs; those with deletions only come last
}

func (l *Log) decodeHeld(held []HeldUpdate) ([]waiting, error) {
	var out []waiting
	for _, h := range held {
		u, err := l.decode(h.Bytes)
		if err != nil {
			return nil, fmt.Errorf("held update %d: %v: %w", h.ID, err, ErrCorrupt)
		}
		w := waiting{HeldUpdate: h, u: u, first: math.MaxUint64}
		for s := range u.Structs() {
			w.first = min(w.first, s.Clock)
		}
		out = append(out, w)
	}
	return out, nil
}

// retryHeld moves held updates that integrate now into the log, in the commit of
// the update that let them. a.mu is held, and a.sv holds that update. Those that
// are still on their way to the disk are tried when they have got there.
func (l *Log) retryHeld(ctx context.Context, a *activeBlock, in *incoming) error {
	held := in.hold // what in itself has left over may have waited for these
	in.hold = nil
	if a.head.Ref != 0 {
		stored, err := l.store.Held(ctx, a.head.Ref)
		if err != nil {
			return fmt.Errorf("read held updates of %s: %w", a.key, err)
		}
		for _, h := range stored {
			if !a.releases(h.ID) {
				held = append(held, h)
			}
		}
	}
	list, err := l.decodeHeld(held)
	if err != nil {
		return err
	}
	// Most often they come in the order of their clocks, if only each a bit late:
	// then one pass is enough.
	slices.SortStableFunc(list, func(x, y waiting) int { return cmp.Compare(x.first, y.first) })
	for progress := true; progress; {
		progress = false
		var still []waiting
		for _, h := range list {
			moved, left, err := l.tryHeld(ctx, a, in, h)
			if err != nil {
				return err
			}
			progress = progress || moved
			still = append(still, left...)
		}
		list = still
	}
	for _, h := range list {
		if h.ID == 0 {
			in.hold = append(in.hold, h.HeldUpdate)
		}
	}
	return nil
}

// releases says whether the held update leaves with a commit that is not done yet.
func (a *activeBlock) releases(id int64) bool {
	is := func(h HeldUpdate) bool { return h.ID == id }
	return slices.ContainsFunc(a.releasing, is) || a.queued != nil && slices.ContainsFunc(a.queued.release, is)
}

// tryHeld logs what of h integrates now, and holds what is left anew. What it has
// of a client id that has become another user's since is dropped: it was taken on
// trust before that user was known, and would delete or displace what they write.
func (l *Log) tryHeld(ctx context.Context, a *activeBlock, in *incoming, h waiting) (moved bool, left []waiting, err error) {
	again := &incoming{
		Append: Append{Key: a.key, Author: Author{User: h.User, Session: h.Session}, Update: h.Bytes, Whole: true},
		u:      h.u,
		within: in,
	}
	if err := l.loadOwners(ctx, a, h.u); err != nil {
		return false, nil, err
	}
	client, taken := a.takenByOther(h.u, h.User)
	if taken {
		_ = l.foreignAhead(ctx, a, again, client, "held structs or deletions") // audits
		again.u = h.u.Only(func(c ydoc.ClientID) bool { return !a.foreign(c, h.User) })
	} else if ready, rest, _ := h.u.Split(a.sv); ready.Empty() && !rest.Empty() {
		return false, []waiting{h}, nil
	}
	l.unhold(a, in, h.HeldUpdate)
	if again.u.Empty() {
		return true, nil, nil
	}
	before := a.mark(true)
	if err := l.admit(ctx, a, again, false); err != nil {
		if _, refused := err.(*Refusal); refused {
			a.restore(before)
			return true, nil, nil // audited where it was refused
		}
		return false, nil, err
	}
	in.log = append(in.log, again.log...)
	in.claims = append(in.claims, again.claims...)
	left, err = l.decodeHeld(again.hold)
	return true, left, err
}

// retryAlone tries a block's held updates when nothing else is to be stored: what
// they wait for was accepted while they were on their way to the disk.
func (l *Log) retryAlone(ctx context.Context, key BlockKey) error {
	a := l.acquire(key)
	a.mu.Lock()
	in := incoming{Append: Append{Key: key}}
	err := l.load(ctx, a)
	if err == nil && a.head.DeletedAt == 0 && a.head.Quarantine == "" {
		before := a.mark(true)
		if err = l.retryHeld(ctx, a, &in); err != nil {
			a.restore(before)
		}
	}
	queued := err == nil && in.adds() && l.committer.enqueue(a, &in, func(Appended, error) {})
	a.mu.Unlock()
	if !queued {
		l.release(a)
	}
	return err
}

// unhold takes h out of what is held; one that has never been stored needs no
// release.
func (l *Log) unhold(a *activeBlock, in *incoming, h HeldUpdate) {
	a.head.Held--
	a.head.HeldBytes -= int64(len(h.Bytes))
	if h.ID != 0 {
		in.release = append(in.release, h)
	} else {
		a.heldOwn[h.User] -= int64(len(h.Bytes))
	}
}

// takenByOther returns a client of u that belongs to another user.
func (a *activeBlock) takenByOther(u *ydoc.Update, user UserID) (ydoc.ClientID, bool) {
	for s := range u.Structs() {
		if s.Kind != ydoc.Skip && a.foreign(s.Client, user) {
			return s.Client, true
		}
	}
	for c := range u.Deletes() {
		if a.foreign(c, user) {
			return c, true
		}
	}
	return 0, false
}
