package blocks

import (
	"context"

	"github.com/heapsync/heapsync/blocks/tree"
)

// Scanned is a file or folder as a scan found it last, and the block that stands for it.
type Scanned struct {
	Heap   HeapID
	Path   string // absolute; bytes
	Folder bool
	Block  BlockID
	Parent BlockID // that the block was given; "" for the folder that is scanned
	tree.Stat
	Hash    Hash // of a file
	State   ScannedState
	Trashed int64 // the trashed_at that a scan gave the block, 0 if it did not
	Seen    int64 // the number of the scan that found it
}

// ScannedState says where a file is now, as far as scans know.
type ScannedState string

// The states of what was scanned.
const (
	ScannedPresent  ScannedState = "present"
	ScannedOffline  ScannedState = "offline"  // its folder cannot be read, or its disk is not there
	ScannedVanished ScannedState = "vanished" // it was deleted, and so the block is in the trash
)

// ScanFolder is a folder that is scanned into a heap.
type ScanFolder struct {
	ID        int64 // the store's
	Heap      HeapID
	Path      string
	Recursive bool
	Watch     bool
	User      UserID // as whom blocks are made
	Session   string
	LastAt    int64 // when a scan of it ended last; 0: none did
}

// Scan is one scan of a folder.
type Scan struct {
	Number    int64 // the store's: greater than those of all before
	ID        string
	Folder    ScanFolder
	Status    string
	Confirm   bool // however many files have vanished, their blocks go into the trash
	User      UserID
	StartedAt int64
	EndedAt   int64
	ScanCounts
	Error string // why it failed; ""
}

// ScanCounts is how far a scan has come.
type ScanCounts struct {
	Found    int64 `json:"found"`  // files
	Done     int64 `json:"done"`   // of those, in the heap as they are
	Bytes    int64 `json:"bytes"`  // that were hashed
	Errors   int64 `json:"errors"` // folders and files that could not be read or stored
	Skipped  int64 `json:"skipped"`
	New      int64 `json:"new"`
	Changed  int64 `json:"changed"`
	Moved    int64 `json:"moved"`
	Vanished int64 `json:"vanished"`
	Offline  int64 `json:"offline"`
	Waiting  int64 `json:"waiting"` // files that were just being written
}

// What the Status of a scan can be.
const (
	ScanQueued  = "queued"
	ScanRunning = "running"
	ScanDone    = "done"
	ScanAborted = "aborted"
	ScanFailed  = "failed"
	ScanOffline = "offline"            // the folder is not there; its files are offline
	ScanConfirm = "needs_confirmation" // so many files have vanished that none was put into the trash
)

// Places is where files of scanned folders are.
type Places interface {
	// AddScan stores a scan with its folder, filling in Number and Folder.ID, and forgets the
	// folder's scans that are over. ErrNotFound if there is no such heap.
	AddScan(ctx context.Context, s Scan) (Scan, error)
	// SaveScan stores what may change of a scan: Status, EndedAt, counts and Error. One that
	// has an EndedAt, and is not aborted, also sets the folder's LastAt.
	SaveScan(ctx context.Context, s Scan) error
	// Scans lists the last scan of each folder, and those that are not over, of heaps that
	// are not deleted, the oldest first.
	Scans(ctx context.Context) ([]Scan, error)
	// ScanFolders lists those of heaps that are not deleted.
	ScanFolders(ctx context.Context) ([]ScanFolder, error)

	// ScannedAt returns what is known of paths, those of them of which something is.
	ScannedAt(ctx context.Context, heap HeapID, paths []string) ([]Scanned, error)
	// ScannedLike returns files with the hash, or what has the device and inode if hash is nil,
	// at most limit.
	ScannedLike(ctx context.Context, heap HeapID, hash *Hash, st tree.Stat, limit int) ([]Scanned, error)
	// AnyScanned says whether anything was ever scanned into a heap.
	AnyScanned(ctx context.Context, heap HeapID) (bool, error)
	// ScannedBlock returns what a block stands for, or ErrNotFound.
	ScannedBlock(ctx context.Context, key BlockKey) (Scanned, error)
	// PlacesOf lists where files of a hash are, in all heaps, at most limit, those that are
	// present first.
	PlacesOf(ctx context.Context, hash Hash, limit int) ([]Scanned, error)
	// SaveScanned stores all in one transaction: each Scanned in place of what its path and
	// its block had, and the Files as AddFile does, but for those whose block is deleted.
	SaveScanned(ctx context.Context, list []Scanned, files []File) error
	// MarkScanned gives all that lies in a folder a state and has it seen.
	MarkScanned(ctx context.Context, heap HeapID, folder string, state ScannedState, seen int64) (files int64, err error)
	// Unseen lists, in order of paths and after one, what is present or offline in a folder
	// and was not seen by a scan, at most limit; deep: in folders in it too.
	Unseen(ctx context.Context, heap HeapID, folder string, deep bool, seen int64, after string, limit int) ([]Scanned, error)
	// CountScanned counts the files in a folder that are not vanished.
	CountScanned(ctx context.Context, heap HeapID, folder string) (files int64, err error)
}
