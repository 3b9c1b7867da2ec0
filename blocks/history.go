package blocks

import "context"

// Level says how coarse a Window is.
type Level int

// Levels of windows, finest first.
const (
	LevelUpdate Level = iota // one update, as it came
	LevelMinute
	LevelHour
	LevelDay
	LevelBase // all that is older
)

// Window is a part of a block's log: one update, or consecutive ones that were folded
// into one without garbage collection, so that the block can be shown as it was after
// the last of them.
type Window struct {
	After   Seq // of the block's update before it; 0: there is none
	To      Seq // of its last update
	FirstAt int64
	LastAt  int64
	Updates int64 // how many
	Size    int64 // bytes that they had
	Level   Level
	Authors []Share
	Update  []byte // all of them; format V1 at LevelUpdate, else V2
}

// Share is how many of a window's updates come from one device of a user.
type Share struct {
	User    UserID
	Session string
	Updates int64
}

// Cursor is a place in a list of what is due; the zero value is its beginning.
type Cursor struct{ A, B int64 }

// History is the whole log of each block: its windows, oldest first, and then the
// updates that are not folded.
type History interface {
	// Parts returns the newest parts of the block's log, newest first: the one whose To
	// is upTo, or that holds it, and those before, at most limit. An upTo beyond
	// the log is its end. Update is nil unless bytes is set.
	Parts(ctx context.Context, ref Ref, upTo Seq, limit int, bytes bool) ([]Window, error)

	// Replay calls fn for each part of the block's log whose To is upTo or less, oldest
	// first, as of one moment, with its Update, which is valid until fn returns.
	// A part that is missing or whose checksum is wrong is ErrCorrupt.
	Replay(ctx context.Context, ref Ref, upTo Seq, fn func(Window) error) error

	// Windows returns the block's windows without their Update, oldest first.
	Windows(ctx context.Context, ref Ref) ([]Window, error)
	// Window returns the window that ends with to, or ErrNotFound.
	Window(ctx context.Context, ref Ref, to Seq) (Window, error)

	// OldestUpdates returns the seqs of the block's oldest updates that are not folded,
	// oldest first.
	OldestUpdates(ctx context.Context, ref Ref, limit int) ([]Seq, error)
	// Updates returns the block's updates with these seqs, as parts of LevelUpdate: the
	// first of them, and others until they have maxBytes. One that is missing or whose
	// checksum is wrong is ErrCorrupt.
	Updates(ctx context.Context, ref Ref, seqs []Seq, maxBytes int64) ([]Window, error)

	// FoldUpdates puts w in the place of the block's oldest updates, which have seqs;
	// FoldWindows in that of the windows that end with seqs. Either is one transaction.
	// ErrConflict: they are not what is stored, or a named version lies within w.
	// ErrInvalid: the snapshot does not cover w.
	FoldUpdates(ctx context.Context, ref Ref, w Window, seqs []Seq) error
	FoldWindows(ctx context.Context, ref Ref, w Window, seqs []Seq) error

	// DueUpdates returns the blocks of the oldest updates that are not folded and were
	// committed before (ms), from cursor on, and where to go on; a Cursor that does not
	// move is the end. DueWindows does so for the windows of a level that end before.
	DueUpdates(ctx context.Context, cursor Cursor, before int64) ([]BlockKey, Cursor, error)
	DueWindows(ctx context.Context, level Level, cursor Cursor, before int64) ([]BlockKey, Cursor, error)

	// ReplaceSnapshot is SaveSnapshot, but s may have the Seq of the one there is.
	ReplaceSnapshot(ctx context.Context, s Snapshot) error

	// Recount sets right what a heap keeps for DiskUse, if rows have come or gone that no
	// method here knows of.
	Recount(ctx context.Context, heap HeapID) error
	// DiskUse returns what a heap's snapshots and windows take. What it costs does not
	// grow with the heap.
	DiskUse(ctx context.Context, heap HeapID) (DiskUse, error)
}

// DiskUse is how many bytes a heap's snapshots and windows take as they are stored, and
// how many the updates had that the windows were made of.
type DiskUse struct {
	Snapshots, Windows, Folded int64
}

// Version is a moment of a block that somebody gave a name to. Updates up to Seq are in
// it, and no window holds some of them and some later ones.
type Version struct {
	ID      string
	Seq     Seq
	At      int64 // when it was named
	Name    string
	User    UserID
	Session string
}

// Versions keeps named versions.
type Versions interface {
	// AddVersion names the block's state as of now; the store fills in v.Seq. It is
	// ErrInvalid if the block has no update yet, ErrTooLarge if it has max versions.
	AddVersion(ctx context.Context, ref Ref, v *Version, max int) error
	// Versions lists a block's named versions, newest first.
	Versions(ctx context.Context, ref Ref) ([]Version, error)
	// RemoveVersion is ErrNotFound if the block has no such version.
	RemoveVersion(ctx context.Context, ref Ref, id string) error
}
