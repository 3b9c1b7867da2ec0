package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/ydoc"
)

// ErrInjected is what a Fault without an error of its own fails with.
var ErrInjected = errors.New("injected fault")

// Fault is what happens to some calls of a method of a [Faulty] store.
type Fault struct {
	Method string // as in the interface: "Commit"
	// Nth is the first call it happens to, counted from the injection: 0 and 1 are
	// the next one. Times is for how many calls it goes on; 0 means once, less than
	// 0 for good.
	Nth, Times int

	Err   error // returned instead of the result
	Fail  bool  // the same with ErrInjected
	After bool  // the call is made before it fails: done, but not known to be

	Delay time.Duration   // before the call
	Until <-chan struct{} // the call waits until it is closed, or its ctx ends
	// Reached, if set, gets a value when a call has come to the fault, before it
	// waits. It should have room, or a reader.
	Reached chan<- struct{}
}

// Faulty is a store that passes calls on to another, but for its faults. It is
// safe for concurrent use.
type Faulty struct {
	blocks.Store

	// mu guards the fields below.
	mu     sync.Mutex
	calls  map[string]int
	faults []*plannedFault
}

type plannedFault struct {
	Fault
	first, last int // calls of the method; last < 0: no end
}

// NewFaulty wraps s.
func NewFaulty(s blocks.Store) *Faulty {
	return &Faulty{Store: s, calls: map[string]int{}}
}

// Inject plans a fault. Of two that meet the earlier one happens.
func (f *Faulty) Inject(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := &plannedFault{Fault: fault, first: f.calls[fault.Method] + max(fault.Nth, 1)}
	p.last = p.first + max(fault.Times, 1) - 1
	if fault.Times < 0 {
		p.last = -1
	}
	if fault.Fail && p.Err == nil {
		p.Err = ErrInjected
	}
	f.faults = append(f.faults, p)
}

// Heal forgets all faults. Calls that wait go on waiting.
func (f *Faulty) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// Calls returns how often a method was called.
func (f *Faulty) Calls(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

func (f *Faulty) plan(method string) *plannedFault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[method]++
	n := f.calls[method]
	i := slices.IndexFunc(f.faults, func(p *plannedFault) bool {
		return p.Method == method && n >= p.first && (n <= p.last || p.last < 0)
	})
	if i < 0 {
		return nil
	}
	return f.faults[i]
}

// call makes do happen, or what is planned instead.
func (f *Faulty) call(ctx context.Context, method string, do func() error) error {
	p := f.plan(method)
	if p == nil {
		return do()
	}
	if p.Reached != nil {
		p.Reached <- struct{}{}
	}
	if p.Delay > 0 {
		select {
		case <-time.After(p.Delay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if p.Until != nil {
		select {
		case <-p.Until:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if p.Err == nil {
		return do()
	}
	if p.After {
		if err := do(); err != nil {
			return err
		}
	}
	return p.Err
}

func call[T any](ctx context.Context, f *Faulty, method string, do func() (T, error)) (T, error) {
	var out T
	err := f.call(ctx, method, func() error {
		var err error
		out, err = do()
		return err
	})
	return out, err // what a store returns beside an error is passed on too
}

// The methods of blocks.Store, each through call.

func (f *Faulty) Commit(ctx context.Context, b *blocks.Batch) error {
	return f.call(ctx, "Commit", func() error { return f.Store.Commit(ctx, b) })
}

func (f *Faulty) Head(ctx context.Context, key blocks.BlockKey) (blocks.Head, error) {
	return call(ctx, f, "Head", func() (blocks.Head, error) { return f.Store.Head(ctx, key) })
}

func (f *Faulty) State(ctx context.Context, key blocks.BlockKey) (blocks.Head, blocks.Snapshot, []blocks.LoggedUpdate, error) {
	type state struct {
		head blocks.Head
		snap blocks.Snapshot
		tail []blocks.LoggedUpdate
	}
	s, err := call(ctx, f, "State", func() (s state, err error) {
		s.head, s.snap, s.tail, err = f.Store.State(ctx, key)
		return s, err
	})
	return s.head, s.snap, s.tail, err
}

func (f *Faulty) Claims(ctx context.Context, ref blocks.Ref, clients []ydoc.ClientID) ([]blocks.Claim, error) {
	return call(ctx, f, "Claims", func() ([]blocks.Claim, error) { return f.Store.Claims(ctx, ref, clients) })
}

func (f *Faulty) Held(ctx context.Context, ref blocks.Ref) ([]blocks.HeldUpdate, error) {
	return call(ctx, f, "Held", func() ([]blocks.HeldUpdate, error) { return f.Store.Held(ctx, ref) })
}

func (f *Faulty) SaveSnapshot(ctx context.Context, s blocks.Snapshot) error {
	return f.call(ctx, "SaveSnapshot", func() error { return f.Store.SaveSnapshot(ctx, s) })
}

func (f *Faulty) Quarantine(ctx context.Context, ref blocks.Ref, reason string) error {
	return f.call(ctx, "Quarantine", func() error { return f.Store.Quarantine(ctx, ref, reason) })
}

func (f *Faulty) ExpireHeld(ctx context.Context, before int64) (int, error) {
	return call(ctx, f, "ExpireHeld", func() (int, error) { return f.Store.ExpireHeld(ctx, before) })
}

func (f *Faulty) HeldBytesOf(ctx context.Context, user blocks.UserID) (int64, error) {
	return call(ctx, f, "HeldBytesOf", func() (int64, error) { return f.Store.HeldBytesOf(ctx, user) })
}

func (f *Faulty) Changed(ctx context.Context, heap blocks.HeapID, after blocks.Seq, since int64, limit int) (blocks.Page, error) {
	return call(ctx, f, "Changed", func() (blocks.Page, error) { return f.Store.Changed(ctx, heap, after, since, limit) })
}

func (f *Faulty) HeapSeq(ctx context.Context, heap blocks.HeapID) (blocks.Seq, error) {
	return call(ctx, f, "HeapSeq", func() (blocks.Seq, error) { return f.Store.HeapSeq(ctx, heap) })
}

func (f *Faulty) Seqs(ctx context.Context, heap blocks.HeapID, fn func(blocks.BlockID, blocks.Seq)) error {
	return f.call(ctx, "Seqs", func() error { return f.Store.Seqs(ctx, heap, fn) })
}

func (f *Faulty) ServerTime(ctx context.Context) (int64, error) {
	return call(ctx, f, "ServerTime", func() (int64, error) { return f.Store.ServerTime(ctx) })
}

func (f *Faulty) LastSeq(ctx context.Context) (blocks.Seq, error) {
	return call(ctx, f, "LastSeq", func() (blocks.Seq, error) { return f.Store.LastSeq(ctx) })
}

func (f *Faulty) AllHeaps(ctx context.Context) ([]blocks.HeapID, error) {
	return call(ctx, f, "AllHeaps", func() ([]blocks.HeapID, error) { return f.Store.AllHeaps(ctx) })
}

func (f *Faulty) UpdateDays(ctx context.Context, after, to blocks.Seq, limit int) ([]blocks.DayUpdates, blocks.Seq, error) {
	type counted struct {
		days []blocks.DayUpdates
		to   blocks.Seq
	}
	c, err := call(ctx, f, "UpdateDays", func() (c counted, err error) {
		c.days, c.to, err = f.Store.UpdateDays(ctx, after, to, limit)
		return c, err
	})
	return c.days, c.to, err
}

func (f *Faulty) CreateHeap(ctx context.Context, h blocks.Heap) error {
	return f.call(ctx, "CreateHeap", func() error { return f.Store.CreateHeap(ctx, h) })
}

func (f *Faulty) Heap(ctx context.Context, id blocks.HeapID) (blocks.Heap, error) {
	return call(ctx, f, "Heap", func() (blocks.Heap, error) { return f.Store.Heap(ctx, id) })
}

func (f *Faulty) HeapsOf(ctx context.Context, user blocks.UserID) ([]blocks.HeapSummary, error) {
	return call(ctx, f, "HeapsOf", func() ([]blocks.HeapSummary, error) { return f.Store.HeapsOf(ctx, user) })
}

func (f *Faulty) RoleOf(ctx context.Context, user blocks.UserID, heap blocks.HeapID) (blocks.Role, bool, error) {
	type role struct {
		role      blocks.Role
		encrypted bool
	}
	r, err := call(ctx, f, "RoleOf", func() (r role, err error) {
		r.role, r.encrypted, err = f.Store.RoleOf(ctx, user, heap)
		return r, err
	})
	return r.role, r.encrypted, err
}

func (f *Faulty) HeapsWithBlock(ctx context.Context, user blocks.UserID, block blocks.BlockID) ([]blocks.HeapID, error) {
	return call(ctx, f, "HeapsWithBlock", func() ([]blocks.HeapID, error) { return f.Store.HeapsWithBlock(ctx, user, block) })
}

func (f *Faulty) Members(ctx context.Context, heap blocks.HeapID) ([]blocks.Member, error) {
	return call(ctx, f, "Members", func() ([]blocks.Member, error) { return f.Store.Members(ctx, heap) })
}

func (f *Faulty) SetRole(ctx context.Context, heap blocks.HeapID, user blocks.UserID, role blocks.Role, at int64) error {
	return f.call(ctx, "SetRole", func() error { return f.Store.SetRole(ctx, heap, user, role, at) })
}

func (f *Faulty) Transfer(ctx context.Context, heap blocks.HeapID, from, to blocks.UserID) error {
	return f.call(ctx, "Transfer", func() error { return f.Store.Transfer(ctx, heap, from, to) })
}

func (f *Faulty) CreateInvite(ctx context.Context, inv blocks.Invite, code blocks.InviteCode, max int) error {
	return f.call(ctx, "CreateInvite", func() error { return f.Store.CreateInvite(ctx, inv, code, max) })
}

func (f *Faulty) Invites(ctx context.Context, heap blocks.HeapID, now int64) ([]blocks.Invite, error) {
	return call(ctx, f, "Invites", func() ([]blocks.Invite, error) { return f.Store.Invites(ctx, heap, now) })
}

func (f *Faulty) DeleteInvite(ctx context.Context, heap blocks.HeapID, id string) error {
	return f.call(ctx, "DeleteInvite", func() error { return f.Store.DeleteInvite(ctx, heap, id) })
}

func (f *Faulty) AcceptInvite(ctx context.Context, code blocks.InviteCode, user blocks.UserID, publicKey string, at int64) (blocks.HeapID, blocks.Role, error) {
	type accepted struct {
		heap blocks.HeapID
		role blocks.Role
	}
	a, err := call(ctx, f, "AcceptInvite", func() (a accepted, err error) {
		a.heap, a.role, err = f.Store.AcceptInvite(ctx, code, user, publicKey, at)
		return a, err
	})
	return a.heap, a.role, err
}

func (f *Faulty) ReplaceSnapshot(ctx context.Context, s blocks.Snapshot) error {
	return f.call(ctx, "ReplaceSnapshot", func() error { return f.Store.ReplaceSnapshot(ctx, s) })
}

func (f *Faulty) Parts(ctx context.Context, ref blocks.Ref, upTo blocks.Seq, limit int, bytes bool) ([]blocks.Window, error) {
	return call(ctx, f, "Parts", func() ([]blocks.Window, error) { return f.Store.Parts(ctx, ref, upTo, limit, bytes) })
}

func (f *Faulty) Replay(ctx context.Context, ref blocks.Ref, upTo blocks.Seq, fn func(blocks.Window) error) error {
	return f.call(ctx, "Replay", func() error { return f.Store.Replay(ctx, ref, upTo, fn) })
}

func (f *Faulty) Windows(ctx context.Context, ref blocks.Ref) ([]blocks.Window, error) {
	return call(ctx, f, "Windows", func() ([]blocks.Window, error) { return f.Store.Windows(ctx, ref) })
}

func (f *Faulty) Window(ctx context.Context, ref blocks.Ref, to blocks.Seq) (blocks.Window, error) {
	return call(ctx, f, "Window", func() (blocks.Window, error) { return f.Store.Window(ctx, ref, to) })
}

func (f *Faulty) OldestUpdates(ctx context.Context, ref blocks.Ref, limit int) ([]blocks.Seq, error) {
	return call(ctx, f, "OldestUpdates", func() ([]blocks.Seq, error) { return f.Store.OldestUpdates(ctx, ref, limit) })
}

func (f *Faulty) Updates(ctx context.Context, ref blocks.Ref, seqs []blocks.Seq, maxBytes int64) ([]blocks.Window, error) {
	return call(ctx, f, "Updates", func() ([]blocks.Window, error) { return f.Store.Updates(ctx, ref, seqs, maxBytes) })
}

func (f *Faulty) FoldUpdates(ctx context.Context, ref blocks.Ref, w blocks.Window, seqs []blocks.Seq) error {
	return f.call(ctx, "FoldUpdates", func() error { return f.Store.FoldUpdates(ctx, ref, w, seqs) })
}

func (f *Faulty) FoldWindows(ctx context.Context, ref blocks.Ref, w blocks.Window, seqs []blocks.Seq) error {
	return f.call(ctx, "FoldWindows", func() error { return f.Store.FoldWindows(ctx, ref, w, seqs) })
}

func (f *Faulty) DueUpdates(ctx context.Context, cursor blocks.Cursor, before int64) ([]blocks.BlockKey, blocks.Cursor, error) {
	type due struct {
		keys []blocks.BlockKey
		next blocks.Cursor
	}
	d, err := call(ctx, f, "DueUpdates", func() (d due, err error) {
		d.keys, d.next, err = f.Store.DueUpdates(ctx, cursor, before)
		return d, err
	})
	return d.keys, d.next, err
}

func (f *Faulty) DueWindows(ctx context.Context, level blocks.Level, cursor blocks.Cursor, before int64) ([]blocks.BlockKey, blocks.Cursor, error) {
	type due struct {
		keys []blocks.BlockKey
		next blocks.Cursor
	}
	d, err := call(ctx, f, "DueWindows", func() (d due, err error) {
		d.keys, d.next, err = f.Store.DueWindows(ctx, level, cursor, before)
		return d, err
	})
	return d.keys, d.next, err
}

func (f *Faulty) Recount(ctx context.Context, heap blocks.HeapID) error {
	return f.call(ctx, "Recount", func() error { return f.Store.Recount(ctx, heap) })
}

func (f *Faulty) DiskUse(ctx context.Context, heap blocks.HeapID) (blocks.DiskUse, error) {
	return call(ctx, f, "DiskUse", func() (blocks.DiskUse, error) { return f.Store.DiskUse(ctx, heap) })
}

func (f *Faulty) AddVersion(ctx context.Context, ref blocks.Ref, v *blocks.Version, max int) error {
	return f.call(ctx, "AddVersion", func() error { return f.Store.AddVersion(ctx, ref, v, max) })
}

func (f *Faulty) Versions(ctx context.Context, ref blocks.Ref) ([]blocks.Version, error) {
	return call(ctx, f, "Versions", func() ([]blocks.Version, error) { return f.Store.Versions(ctx, ref) })
}

func (f *Faulty) RemoveVersion(ctx context.Context, ref blocks.Ref, id string) error {
	return f.call(ctx, "RemoveVersion", func() error { return f.Store.RemoveVersion(ctx, ref, id) })
}

func (f *Faulty) SetTrashed(ctx context.Context, ref blocks.Ref, at int64) error {
	return f.call(ctx, "SetTrashed", func() error { return f.Store.SetTrashed(ctx, ref, at) })
}

func (f *Faulty) Trashed(ctx context.Context, heap blocks.HeapID, before, since int64, ref blocks.Ref, limit int) ([]blocks.Head, error) {
	return call(ctx, f, "Trashed", func() ([]blocks.Head, error) { return f.Store.Trashed(ctx, heap, before, since, ref, limit) })
}

func (f *Faulty) Purge(ctx context.Context, doomed []blocks.Doomed) ([]blocks.Tombstone, error) {
	return call(ctx, f, "Purge", func() ([]blocks.Tombstone, error) { return f.Store.Purge(ctx, doomed) })
}

func (f *Faulty) DeleteHeap(ctx context.Context, heap blocks.HeapID, at, purgeAt int64) error {
	return f.call(ctx, "DeleteHeap", func() error { return f.Store.DeleteHeap(ctx, heap, at, purgeAt) })
}

func (f *Faulty) UndeleteHeap(ctx context.Context, heap blocks.HeapID) error {
	return f.call(ctx, "UndeleteHeap", func() error { return f.Store.UndeleteHeap(ctx, heap) })
}

func (f *Faulty) Graveyard(ctx context.Context) ([]blocks.DeletedHeap, error) {
	return call(ctx, f, "Graveyard", func() ([]blocks.DeletedHeap, error) { return f.Store.Graveyard(ctx) })
}

func (f *Faulty) PurgeHeap(ctx context.Context, heap blocks.HeapID) (bool, error) {
	return call(ctx, f, "PurgeHeap", func() (bool, error) { return f.Store.PurgeHeap(ctx, heap) })
}

func (f *Faulty) RenameHeap(ctx context.Context, id blocks.HeapID, name string, at int64) error {
	return f.call(ctx, "RenameHeap", func() error { return f.Store.RenameHeap(ctx, id, name, at) })
}

// SaveChunk implements [blocks.Uploads].
func (f *Faulty) SaveChunk(ctx context.Context, upload, chunk int64, there bool, p blocks.HashProgress, at int64) error {
	return f.call(ctx, "SaveChunk", func() error { return f.Store.SaveChunk(ctx, upload, chunk, there, p, at) })
}

// SaveSource implements [blocks.Sources].
func (f *Faulty) SaveSource(ctx context.Context, s blocks.Source) error {
	return f.call(ctx, "SaveSource", func() error { return f.Store.SaveSource(ctx, s) })
}

// SaveProgress implements [blocks.Uploads].
func (f *Faulty) SaveProgress(ctx context.Context, upload int64, p blocks.HashProgress, at int64) error {
	return f.call(ctx, "SaveProgress", func() error { return f.Store.SaveProgress(ctx, upload, p, at) })
}

// FileOf implements [blocks.Files].
func (f *Faulty) FileOf(ctx context.Context, key blocks.BlockKey) (blocks.File, error) {
	return call(ctx, f, "FileOf", func() (blocks.File, error) { return f.Store.FileOf(ctx, key) })
}

// AddFile implements [blocks.Files].
func (f *Faulty) AddFile(ctx context.Context, file blocks.File) error {
	return f.call(ctx, "AddFile", func() error { return f.Store.AddFile(ctx, file) })
}
