package blocks

import (
	"context"

	"github.com/heapsync/heapsync/ydoc"
)

// Seq numbers every accepted update of the server in commit order, from 1,
// without holes: no reader sees n+1 before n.
type Seq int64

// Ref is a store's own short name for a block; 0 names none.
type Ref int64

// Head is what a store keeps of a block beside its log, written in the same
// transaction as the log. Everything needed to accept an update is here, so that
// an append to a cold block reads one row.
type Head struct {
	Key         BlockKey
	Ref         Ref    // 0: the block does not exist yet
	Type        string // as its creator said, "" if not
	Seq         Seq    // of the last update; 0: none yet
	SyncVersion int64  // lineage of the document, from 1
	StateVector []byte // of all logged updates, encoded
	Bytes       int64  // sum of all logged updates
	Shape       Shape
	SnapshotSeq Seq   // the snapshot covers updates up to here; 0: no snapshot
	Tail        int64 // logged updates after SnapshotSeq
	TailBytes   int64
	Updates     int64 // seqs the block ever took
	Raw         int64 // logged updates that are not folded into history
	Held        int64 // updates that wait for others
	HeldBytes   int64
	CreatedAt   int64
	UpdatedAt   int64  // of the last commit
	TrashedAt   int64  // 0: not in the trash
	DeletedAt   int64  // 0: not deleted for good
	Quarantine  string // why the block is read-only; "": it is not
}

// Shape is what is known of a block's document without reading it: upper bounds, which
// a read of the block makes exact, and flags that stay set.
type Shape struct {
	Depth    int   // how deep shared types nest
	Items    int64 // items of the document
	Branches int64 // Items times this is what it takes to place them all
	Keyed    bool  // some item is the value of a key
	Wide     bool  // some value of a key has several elements
}

// LoggedUpdate is one update of the log, in format V1.
type LoggedUpdate struct {
	Seq     Seq
	At      int64
	User    UserID
	Session string // of the user's device, "" if none
	Bytes   []byte
}

// HeldUpdate is an update that waits for others, outside the log.
type HeldUpdate struct {
	ID      int64 // the store's
	At      int64
	User    UserID
	Session string
	Bytes   []byte
}

// Claim says that a client id belongs, within a block, to a user.
type Claim struct {
	Client ydoc.ClientID
	User   UserID
}

// Snapshot is a block's merged state up to and including Seq.
type Snapshot struct {
	Ref   Ref
	Seq   Seq
	State []byte // format V2
}

// BlockCommit is what one transaction does to one block.
type BlockCommit struct {
	// Head is the block's head after the commit, but Seq is the one the commit was
	// made upon: if the block has moved on since, or a block with Ref 0 was created
	// meanwhile, it is ErrConflict. The store fills in Ref (creating the block when
	// it is 0), Seq, UpdatedAt, Tail and TailBytes, Updates and Raw, CreatedAt when
	// the block is new, and Held and HeldBytes; it leaves TrashedAt, DeletedAt,
	// Quarantine and SnapshotSeq as they are stored.
	Head    Head
	Updates []LoggedUpdate // the store fills in Seq and At
	Claims  []Claim        // a client id that is claimed already stays as it is
	Hold    []HeldUpdate   // the store fills in ID and At
	Release []HeldUpdate   // leave the held ones: logged now, or dropped
}

// Batch is one transaction. A block appears in it once.
type Batch struct {
	Blocks []*BlockCommit
	At     int64 // set by the store: max(now, last commit's + 1)
}

// UpdateLog keeps each block's updates in commit order and never looks inside
// one. It is safe for concurrent use.
type UpdateLog interface {
	// Commit stores the whole batch or nothing. Once it has returned nil, no power
	// cut undoes it. Errors: ErrFull, ErrFailed, ErrUnavailable, ErrConflict (a Head
	// was out of date), ErrNotFound (no such heap to create a block in), ctx.Err()
	// (nothing was stored). After an error b is as it was. It keeps no slice.
	Commit(ctx context.Context, b *Batch) error

	// Head returns a block's head, or ErrNotFound. If the head's checksum is wrong it
	// is ErrCorrupt, and what is there of the head is returned all the same.
	Head(ctx context.Context, key BlockKey) (Head, error)

	// State returns, as of one moment, a block's head, its snapshot (Seq 0 and nil
	// State if there is none) and the updates after it, oldest first. A row that is
	// missing or whose checksum is wrong is ErrCorrupt; the head is returned then.
	State(ctx context.Context, key BlockKey) (Head, Snapshot, []LoggedUpdate, error)

	// Claims returns the owners of those of clients that have one.
	Claims(ctx context.Context, ref Ref, clients []ydoc.ClientID) ([]Claim, error)

	// Held returns a block's held updates, oldest first.
	Held(ctx context.Context, ref Ref) ([]HeldUpdate, error)
}

// Snapshots keeps derived state that can be rebuilt from the log.
type Snapshots interface {
	// SaveSnapshot replaces the block's snapshot if s.Seq is greater than its. A Seq
	// that the log has not reached is ErrInvalid, a block that is none ErrNotFound.
	SaveSnapshot(ctx context.Context, s Snapshot) error

	// Quarantine marks the block as read-only and says why.
	Quarantine(ctx context.Context, ref Ref, reason string) error
	// Quarantined lists blocks that are, the oldest first.
	Quarantined(ctx context.Context, limit int) ([]QuarantinedBlock, error)

	// ExpireHeld drops held updates older than before (ms) and says how many.
	ExpireHeld(ctx context.Context, before int64) (int, error)
	// HeldBytesOf returns the bytes that a user has held in all blocks.
	HeldBytesOf(ctx context.Context, user UserID) (int64, error)
}

// Doomed is a block that is to be deleted for good.
type Doomed struct {
	Ref Ref
	Seq Seq // only while this is its head; 0: whatever it is
}

// Tombstone is what is left of a block that was deleted for good.
type Tombstone struct {
	Key   BlockKey
	Ref   Ref
	Seq   Seq   // of its deletion, which clients learn of as of any change
	At    int64 // ms
	Freed int64 // bytes of its log
}

// Trash keeps which blocks are in the trash, and deletes for good.
type Trash interface {
	// SetTrashed says since when (ms) the block's document is in the trash, 0 for not
	// at all. A block that is none or deleted is ErrNotFound.
	SetTrashed(ctx context.Context, ref Ref, at int64) error
	// Trashed lists the heap's blocks that are in the trash since before (ms), those that
	// came next after the one at (since, ref), at most limit, the longest first.
	Trashed(ctx context.Context, heap HeapID, before, since int64, ref Ref, limit int) ([]Head, error)
	// Purge deletes blocks for good, all that are as they are expected to be, in one
	// transaction: of each only a head is left, a tombstone, and nothing of its log.
	Purge(ctx context.Context, doomed []Doomed) ([]Tombstone, error)

	// DeleteHeap marks a heap as deleted, to be purged at purgeAt: but for Graveyard it is
	// as if it did not exist. ErrNotFound if it is absent or deleted.
	DeleteHeap(ctx context.Context, heap HeapID, at, purgeAt int64) error
	// UndeleteHeap takes that back. ErrNotFound if there is no such deleted heap.
	UndeleteHeap(ctx context.Context, heap HeapID) error
	// Graveyard lists the deleted heaps, the first to be purged first.
	Graveyard(ctx context.Context) ([]DeletedHeap, error)
	// PurgeHeap deletes what there is of a deleted heap, some of its blocks at a time;
	// more says that there is more of it. ErrNotFound if there is no such deleted heap.
	PurgeHeap(ctx context.Context, heap HeapID) (more bool, err error)
}

// DeletedHeap is a heap that can still be undeleted.
type DeletedHeap struct {
	Heap
	PurgeAt int64
}

// Page is one page of a heap's changes.
type Page struct {
	Heads        []Head // by Seq; a Head with DeletedAt set is a tombstone
	Next         Seq    // cursor after this page (the last Seq, or where it began)
	More         bool
	TotalChanged int64 // from the page's beginning on, not deleted
	TotalDeleted int64 // from the page's beginning on
	ServerTime   int64 // a poller that comes back with it misses nothing
}

// Changes lists what has changed.
type Changes interface {
	// Changed lists the heap's blocks whose last Seq is in (after, ∞), or, when
	// after is negative, those whose last commit is at since (ms) or later; by Seq,
	// at most limit. A block without an update yet is not listed. All of a page, ServerTime too, is of one moment. Every commit
	// after that moment has an At of ServerTime or later.
	Changed(ctx context.Context, heap HeapID, after Seq, since int64, limit int) (Page, error)

	// LastSeq is that of the last commit; 0: there is none.
	LastSeq(ctx context.Context) (Seq, error)

	// UpdateDays counts the updates with a seq in (after, to], or the first limit rows of
	// them, by heap and day, and says up to which seq it has. Those that are folded are
	// counted with after 0 only, on the day of their window's last.
	UpdateDays(ctx context.Context, after, to Seq, limit int) ([]DayUpdates, Seq, error)

	// HeapSeq is that of a heap's last commit; 0: there is none, or no such heap.
	HeapSeq(ctx context.Context, heap HeapID) (Seq, error)

	// Seqs calls fn for each block of a heap that is not deleted, as of one moment.
	Seqs(ctx context.Context, heap HeapID, fn func(BlockID, Seq)) error

	// ServerTime is the time that every later commit's At reaches or passes, and
	// is within about a second of the clock while the store can write.
	ServerTime(ctx context.Context) (int64, error)
}

// Heap is a space with members.
type Heap struct {
	ID        HeapID
	Name      string
	Owner     UserID
	Encrypted bool // the server cannot read its updates
	CreatedAt int64
	UpdatedAt int64
	DeletedAt int64 // 0: not deleted
}

// HeapSummary is a heap as one member sees it.
type HeapSummary struct {
	Heap
	Role   Role
	Blocks int64 // those in the trash too; as far as they are indexed
	Bytes  int64 // of their logs and files
	Files  int64 // bytes of Bytes that are files'
}

// Heaps keeps heaps and members.
type Heaps interface {
	// CreateHeap stores h with its owner as a member of role owner. An id that
	// exists is ErrConflict.
	CreateHeap(ctx context.Context, h Heap) error
	// Heap returns a heap that is not deleted, or ErrNotFound.
	Heap(ctx context.Context, id HeapID) (Heap, error)
	// RenameHeap gives a heap that is not deleted another name, or is ErrNotFound.
	RenameHeap(ctx context.Context, id HeapID, name string, at int64) error
	// AllHeaps lists every heap there is, deleted ones too until nothing is left of them.
	AllHeaps(ctx context.Context) ([]HeapID, error)
	// HeapsOf lists the heaps the user is a member of, newest first, without Blocks and
	// Bytes.
	HeapsOf(ctx context.Context, user UserID) ([]HeapSummary, error)
	// RoleOf returns RoleNone for who is no member, or when the heap is deleted or
	// absent; and whether the heap is encrypted.
	RoleOf(ctx context.Context, user UserID, heap HeapID) (Role, bool, error)
	// HeapsWithBlock lists heaps that hold the block and that the user can read.
	HeapsWithBlock(ctx context.Context, user UserID, block BlockID) ([]HeapID, error)
}

// Members changes who is in a heap.
type Members interface {
	// Members lists the heap's members, the oldest membership first.
	Members(ctx context.Context, heap HeapID) ([]Member, error)
	// SetRole gives the user a role, and keeps Since of who was a member; RoleNone
	// removes the membership. A heap that is absent or deleted is ErrNotFound.
	SetRole(ctx context.Context, heap HeapID, user UserID, role Role, at int64) error
	// Transfer makes to, a member, the owner in place of from, who becomes an editor.
	// Errors: ErrConflict if from is not the owner, ErrNotFound if to is no member or
	// the heap is absent or deleted.
	Transfer(ctx context.Context, heap HeapID, from, to UserID) error
}

// Store is all of it: what one database gives.
type Store interface {
	UpdateLog
	Snapshots
	History
	Versions
	Changes
	Trash
	Heaps
	Members
	Invites
	Uploads
	Files
	BlobRefs
	Sources
	Pictures
	Places
}
