package blocks

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"sync"

	"github.com/heapsync/heapsync/ydoc"
)

// ErrVersionMismatch: the client holds another lineage of the document.
var ErrVersionMismatch = errors.New("sync_version differs")

// Refusal is why an update was not taken, with a stable Code. It is ErrInvalid.
type Refusal struct {
	Code   string
	Detail string
}

func (r *Refusal) Error() string        { return r.Detail }
func (r *Refusal) Is(target error) bool { return target == ErrInvalid }

// Codes of a Refusal.
const (
	CodeMalformed         = "malformed_update"
	CodeForeignClockAhead = "foreign_clock_ahead"
	CodeClientIDConflict  = "client_id_conflict"
	CodeTooDeep           = "nested_too_deep"
	CodeTooEntangled      = "too_entangled"
)

// Author is who sends an update.
type Author struct {
	User    UserID
	Session string
	Source  any // comes back in Commit, so that a relay can leave the sender out
}

// Append is one update on its way to a block's log.
type Append struct {
	Key         BlockKey
	Author      Author
	Update      []byte // format V1; must not change until the append is done
	Type        string // of the block if this creates it
	SyncVersion int64  // the lineage the client holds; 0: whichever there is
	// MaxBytes is the most that Update may have; 0: Limits.UpdateBytes.
	MaxBytes int
	// Whole says that Update may be a whole state rather than one edit, so that it
	// is worth a read of the block to find out that nothing in it is new.
	Whole bool
}

// Appended is what became of an update.
type Appended struct {
	Duplicate   bool // nothing in it was new
	Pending     bool // it is stored, but waits for updates not seen yet
	Seq         Seq  // the block's head
	SyncVersion int64
	StateVector []byte // of the block; not to be changed
}

// Append checks the update and queues it for the log. It returns an error if the
// update is refused; otherwise done is called once, when the update is on disk
// or could not be stored. done may be called before Append returns, and must not
// block. Whether the author may edit the heap is the caller's to know.
//
// Errors: *Refusal, ErrTooLarge, ErrDeleted, ErrQuarantined, ErrVersionMismatch,
// ErrUnavailable.
func (l *Log) Append(ctx context.Context, req Append, done func(Appended, error)) error {
	setDefault(&req.MaxBytes, l.limits.UpdateBytes)
	if len(req.Update) > req.MaxBytes {
		return fmt.Errorf("an update may have at most %d bytes: %w", req.MaxBytes, ErrTooLarge)
	}
	u, err := l.decode(req.Update)
	if err != nil {
		return err
	}
	// Room is taken before anything of the update counts, so that there is nothing
	// to take back of a block whose other updates are on their way to the disk.
	if !l.committer.reserve(int64(len(req.Update))) {
		return ErrUnavailable
	}
	defer l.committer.unreserve(int64(len(req.Update)))
	a := l.acquire(req.Key)
	release := true
	defer func() {
		if release {
			l.release(a)
		}
	}()

	in := incomings.Get().(*incoming)
	in.Append, in.u = req, u
	result, queued, err := l.take(ctx, a, in, done)
	in.free()
	release = !queued // else the committer's now
	if err == nil && !queued {
		done(result, nil)
	}
	return err
}

var incomings = sync.Pool{New: func() any { return new(incoming) }}

// free lets a later Append use the memory of in and its update. What was queued of
// them was copied, or is bytes of their own.
func (in *incoming) free() {
	in.u.Recycle()
	clear(in.log)
	*in = incoming{log: in.log[:0]}
	incomings.Put(in)
}

// take accepts in and queues it, unless there is nothing to store or to wait for.
func (l *Log) take(ctx context.Context, a *activeBlock, in *incoming, done func(Appended, error)) (result Appended, queued bool, err error) {
	a.mu.Lock()
	panics := true
	defer func() {
		a.broken = a.broken || panics
		a.mu.Unlock()
	}()
	err = l.accept(ctx, a, in)
	if err == nil && (in.adds() || a.busy()) {
		// Even what adds nothing is acknowledged only after what it repeats.
		if queued = l.committer.enqueue(a, in, done); !queued {
			a.forget() // the server stops: nothing is taken any more
			err = ErrUnavailable
		}
	} else if err == nil {
		result = a.result(in)
	}
	panics = false
	return result, queued, err
}

func (l *Log) decode(update []byte) (*ydoc.Update, error) {
	u, err := ydoc.DecodeUpdate(update, ydoc.V1, l.limits.Decode)
	switch {
	case errors.Is(err, ydoc.ErrTooLarge):
		return nil, fmt.Errorf("%v: %w", err, ErrTooLarge)
	case err != nil:
		return nil, &Refusal{CodeMalformed, err.Error()}
	}
	return u, nil
}

// incoming is an update that is being looked at, and what became of it.
type incoming struct {
	Append
	u *ydoc.Update

	log     []LoggedUpdate
	claims  []Claim
	hold    []HeldUpdate
	release []HeldUpdate
	creates bool
	pending bool

	// within is the update that lets this one in, which was held before; nil if this
	// one was not. Its log goes before.
	within *incoming
}

// adds says whether the update has anything to be stored.
func (in *incoming) adds() bool {
	return in.creates || len(in.log) > 0 || len(in.hold) > 0 || len(in.release) > 0
}

func (a *activeBlock) busy() bool { return a.queued != nil || len(a.inflight) > 0 }

func (a *activeBlock) result(in *incoming) Appended {
	return Appended{
		Duplicate:   len(in.log) == 0 && len(in.hold) == 0 && !in.creates,
		Pending:     in.pending,
		Seq:         a.head.Seq,
		SyncVersion: a.head.SyncVersion,
		StateVector: a.head.StateVector,
	}
}

// accept decides what of in.u goes to the log, what is held and what is refused,
// and on success moves the block's accepted state. a.mu is held.
func (l *Log) accept(ctx context.Context, a *activeBlock, in *incoming) error {
	if a.broken {
		return fmt.Errorf("%s after a fault of the server: %w", a.key, ErrUnavailable)
	}
	if err := l.load(ctx, a); err != nil {
		return err
	}
	switch {
	case a.head.DeletedAt != 0:
		return ErrDeleted
	case a.head.Quarantine != "" || a.unreadable.Load():
		return ErrQuarantined
	case in.SyncVersion != 0 && in.SyncVersion != a.head.SyncVersion && a.head.Ref != 0:
		return ErrVersionMismatch
	}
	in.creates = a.head.Ref == 0 && a.queued == nil && len(a.inflight) == 0
	if in.creates {
		a.head.Type = in.Type
	}
	hash := maphash.Bytes(hashSeed, in.Update)
	if in.u.Empty() || a.recent.contains(hash) {
		return nil
	}
	if err := l.checkClocks(ctx, a, in); err != nil {
		return err
	}
	ready := in.u.Ready(a.sv)
	before := a.mark(!ready || a.head.Held > 0)
	err := l.admit(ctx, a, in, ready)
	if err == nil && a.head.Held > 0 && len(in.log) > 0 {
		err = l.retryHeld(ctx, a, in)
	}
	if err != nil {
		a.restore(before)
		return err
	}
	a.recent.add(hash)
	return nil
}

// mark is a block's accepted state before an update that may still be refused.
type mark struct {
	head    Head
	sv      ydoc.StateVector
	heldOwn map[UserID]int64
	deep    bool // sv and heldOwn are copies
}

// mark remembers the accepted state. It is a deep copy only if asked for: an
// update that integrates as a whole moves nothing before it is accepted.
func (a *activeBlock) mark(deep bool) mark {
	m := mark{head: a.head, deep: deep}
	if deep {
		m.sv, m.heldOwn = a.sv.Clone(), maps.Clone(a.heldOwn)
	}
	return m
}

func (a *activeBlock) restore(m mark) {
	a.head = m.head
	if m.deep {
		a.sv, a.heldOwn = m.sv, m.heldOwn
	}
}

// forget has the block read anew before anything else is accepted.
func (a *activeBlock) forget() {
	a.loaded = false
	a.keyed = nil
	a.recent = recentHashes{}
}

// admit splits the update into what integrates now and what has to wait, checks
// what needs more than the head, and moves the accepted state. whole says that
// all of the update integrates now.
func (l *Log) admit(ctx context.Context, a *activeBlock, in *incoming, whole bool) error {
	ready, canonical := in.u, in.u.Canonical()
	if !whole {
		var rest *ydoc.Update
		ready, rest, _ = in.u.Split(a.sv)
		canonical = false
		if err := l.hold(ctx, a, in, rest); err != nil {
			return err
		}
	}
	if ready.Empty() {
		return nil
	}
	fresh, err := l.fresh(ctx, a, in, ready)
	if err != nil || !fresh {
		return err
	}
	shape, err := l.shape(ctx, a, in, ready)
	if err != nil {
		return err
	}
	bytes := in.Update
	switch {
	case ready.Overlaps(a.sv):
		if bytes, err = ydoc.DiffUpdate(ydoc.V1, ready.Append(nil, ydoc.V1), a.sv); err != nil {
			return fmt.Errorf("cut an update for %s: %w", a.key, err)
		}
	case !canonical:
		bytes = ready.Append(nil, ydoc.V1)
	}
	in.claims = append(in.claims, a.newClaims(in.Author.User, ready)...)
	in.log = append(in.log, LoggedUpdate{User: in.Author.User, Session: in.Author.Session, Bytes: bytes})
	for s := range ready.Structs() {
		a.sv.Advance(s.Client, s.Clock+ydoc.Clock(s.Len))
	}
	a.moves++
	a.noteKeyed(ready)
	a.head.Shape = shape
	a.head.Bytes += int64(len(bytes))
	return nil
}

// fresh finds out whether u, which integrates, adds anything, and refuses what
// contradicts what is stored. Reading the block is avoided where it can be: an
// edit made on top of what the server has touches no known clock.
func (l *Log) fresh(ctx context.Context, a *activeBlock, in *incoming, u *ydoc.Update) (bool, error) {
	hasNew, overlaps := u.HasNew(a.sv), u.Overlaps(a.sv)
	if !overlaps && (hasNew || !in.Whole && deletesAtMost(u, smallDeleteSet)) {
		return true, nil
	}
	st, err := l.readWithQueued(ctx, a, in)
	if err != nil {
		return false, err
	}
	defer st.free()
	if overlaps {
		if id, conflict := u.Conflict(st.merged.Update()); conflict {
			return false, l.conflict(ctx, a, in, id)
		}
		if suspects := a.revivesInert(in.Author.User, u, st.merged.Update()); len(suspects) > 0 {
			if err := l.dropLive(ctx, st.head, suspects); err != nil {
				return false, err
			}
			for _, id := range suspects {
				return false, l.conflict(ctx, a, in, id)
			}
		}
	}
	return hasNew || !u.DeletesWithin(st.merged.Update()), nil
}

// smallDeleteSet is how many ranges of a live edit are logged without asking
// whether they are known: a key stroke's worth.
const smallDeleteSet = 8

func deletesAtMost(u *ydoc.Update, n int) bool {
	for range u.Deletes() {
		if n--; n < 0 {
			return false
		}
	}
	return true
}

func (l *Log) conflict(ctx context.Context, a *activeBlock, in *incoming, id ydoc.ID) error {
	detail := fmt.Sprintf("client id %d has other content at clock %d here; take a new client id and make the edits again", id.Client, id.Clock)
	l.audit(ctx, in.Author, a.key, CodeClientIDConflict, detail)
	return &Refusal{CodeClientIDConflict, detail}
}

var hashSeed = maphash.MakeSeed()

// recentHashes remembers the last few updates of a block, so that one that comes
// twice needs no read.
type recentHashes struct {
	ring []uint64 // grows to maxRecent
	next int
}

const maxRecent = 32

func (r *recentHashes) contains(h uint64) bool { return slices.Contains(r.ring, h) }

func (r *recentHashes) add(h uint64) {
	if len(r.ring) < maxRecent {
		r.ring = append(r.ring, h)
		return
	}
	r.ring[r.next] = h
	r.next = (r.next + 1) % maxRecent
}
