package blocks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heapsync/heapsync/ydoc"
)

// LogConfig is what a Log is made of. Store is required.
type LogConfig struct {
	Store  Store
	Index  Index  // for lists and search; nil: there are none
	Limits Limits // zero fields take their default
	Logger *slog.Logger
	Now    func() time.Time
	// Audit is told of every update that was refused because it claims what is
	// another user's. It must not block. May be nil.
	Audit func(ctx context.Context, author Author, key BlockKey, event, detail string)

	Blobs     Blobs  // for files; nil: there are none
	UploadDir string // folder of files on their way, on the disk of the database or another
	TempDir   string // folder of what is of no use after a restart; "": the system's
	// SyncFile makes what is written to a file of UploadDir durable; nil: (*os.File).Sync.
	SyncFile func(*os.File) error
	// FreeSpace says how many bytes UploadDir's disk can take, and how many it has. nil:
	// nobody knows.
	FreeSpace func() (free, total int64, err error)
	// MediaType says what a file is, from its name, what the client takes it for ("" if
	// it does not say), and its first bytes, at most SniffBytes. nil: the client knows.
	MediaType func(name, declared string, head []byte) string
	// Media makes pictures of files, for so many MediaWorkers at once. nil: there are none.
	Media        Media
	MediaWorkers int // 0: one

	Scan ScanConfig // of folders
}

// SniffBytes is how much of a file MediaType is shown.
const SniffBytes = 512

// Limits bound what one client can make the server do or keep.
type Limits struct {
	Decode       ydoc.Limits
	UpdateBytes  int   // of one update; 16 MiB
	TypeDepth    int   // nested shared types; 500
	Steps        int64 // to tell the order of a document's items, and 32 an item; 2,000,000
	HeldPerBlock int64 // bytes of updates that wait for others; 8 MiB
	HeldPerUser  int64 // the same, in all blocks; 64 MiB
	HeldFor      time.Duration
	QueueBytes   int64         // of updates that wait for the disk, all blocks together; 256 MiB
	Loads        int           // blocks read from the store at once; 4
	Documents    int           // documents in memory at once; 2
	TrashFor     time.Duration // before what is in the trash is deleted for good; 30 days
	HeapGrace    time.Duration // before a deleted heap is purged; 7 days
	ImportBytes  int64         // of an archive, packed or unpacked; 4 GiB
	SnapshotTail int64         // updates after which a block's tail is folded; 512
	Collect      int64         // deleted elements from which on a snapshot is collected; 256
	History      HistoryPolicy
	Versions     int           // named ones of a block; 1,000
	HeapFiles    int64         // bytes of the files of a heap; 0: any
	UploadFor    time.Duration // before an upload of which nothing comes is forgotten; 7 days
	BlobGrace    time.Duration // before what no file refers to is deleted; 7 days
	RangeWait    time.Duration // how long who reads a file waits for what has not arrived; 15 s
	PictureWait  time.Duration // how long who wants a picture waits until it is made; 5 s
	MediaPause   time.Duration // how long nothing is made of files when the disk or the store fails; 10 s
	MediaFetch   int64         // bytes of a file that is fetched to make pictures of, if it lies elsewhere; 4 GiB
	DiskFloor    int64         // bytes that uploads leave free; 1 GiB or 5 % of the disk if that is more; less than 0: none
}

func (l *Limits) setDefaults() {
	def := ydoc.DefaultLimits()
	if l.Decode == (ydoc.Limits{}) {
		l.Decode = def
	}
	setDefault(&l.UpdateBytes, 16<<20)
	setDefault(&l.TypeDepth, 500)
	setDefault(&l.Steps, 2_000_000)
	setDefault(&l.HeldPerBlock, 8<<20)
	setDefault(&l.HeldPerUser, 64<<20)
	setDefault(&l.HeldFor, 7*24*time.Hour)
	setDefault(&l.QueueBytes, 256<<20)
	setDefault(&l.Loads, 4)
	setDefault(&l.Documents, 2)
	setDefault(&l.TrashFor, 30*24*time.Hour)
	setDefault(&l.HeapGrace, 7*24*time.Hour)
	setDefault(&l.ImportBytes, 4<<30)
	setDefault(&l.SnapshotTail, 512)
	setDefault(&l.Collect, 256)
	l.History.setDefaults()
	setDefault(&l.Versions, 1000)
	setDefault(&l.UploadFor, 7*24*time.Hour)
	setDefault(&l.BlobGrace, 7*24*time.Hour)
	setDefault(&l.RangeWait, 15*time.Second)
	setDefault(&l.PictureWait, 5*time.Second)
	setDefault(&l.MediaPause, 10*time.Second)
	setDefault(&l.MediaFetch, 4<<30)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Log takes updates of all blocks in, and gives states and diffs out. It is safe
// for concurrent use. Run must be running for appends to finish.
type Log struct {
	store  Store
	limits Limits
	logger *slog.Logger
	now    func() time.Time
	audit  func(context.Context, Author, BlockKey, string, string)
	loads  chan struct{} // one slot for each block that is being read
	// documents has one slot for each document that is in memory.
	documents chan struct{}

	committer committer
	folder    folder
	compactor compactor
	bus       localBus

	// mu guards active. Lock order: Log.mu is never held together with a block's mu.
	mu     sync.Mutex
	active map[BlockKey]*activeBlock
}

// activeBlock is what is in memory of a block while somebody writes to it or
// holds it open: its head and state vector, and what waits for the disk.
type activeBlock struct {
	key  BlockKey
	refs int // guarded by Log.mu

	unreadable atomic.Bool // found out since the head was read: it is quarantined

	// mu guards all below.
	mu        sync.Mutex
	loaded    bool
	head      Head             // of what is accepted; its StateVector is that of the last commit
	sv        ydoc.StateVector // of what is accepted, committed or not
	keyed     *ydoc.Keyed      // values of keys of what is accepted; nil: not known
	owners    map[ydoc.ClientID]UserID
	heldOwn   map[UserID]int64 // bytes accepted to be held and not yet committed
	recent    recentHashes     // of updates accepted lately
	inflight  [][]byte         // updates the committer has taken and not yet finished
	releasing []HeldUpdate     // held updates that leave with what the committer has taken
	broken    bool             // a panic left it half changed: nothing is taken until it is read anew
	moves     int              // how often sv has moved
	queued    *queuedCommit    // what waits for the committer, nil if nothing does
}

// NewLog makes a Log; it does no I/O.
func NewLog(cfg LogConfig) *Log {
	cfg.Limits.setDefaults()
	l := &Log{
		store:     cfg.Store,
		limits:    cfg.Limits,
		logger:    cfg.Logger,
		now:       cfg.Now,
		audit:     cfg.Audit,
		loads:     make(chan struct{}, cfg.Limits.Loads),
		documents: make(chan struct{}, cfg.Limits.Documents),
		active:    make(map[BlockKey]*activeBlock),
	}
	if l.logger == nil {
		l.logger = slog.New(slog.DiscardHandler)
	}
	if l.now == nil {
		l.now = time.Now
	}
	if l.audit == nil {
		l.audit = func(context.Context, Author, BlockKey, string, string) {}
	}
	l.committer.init(l)
	l.folder.init(l)
	l.compactor.init(l)
	return l
}

// Limits returns the limits that are in force.
func (l *Log) Limits() Limits { return l.limits }

// Run commits, relays, folds and compacts until ctx ends and everything that was queued by
// then is on disk and relayed. Appends that come later fail with ErrUnavailable.
func (l *Log) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(l.committer.relay)
	wg.Go(func() { l.folder.run(ctx) })
	wg.Go(func() { l.compactor.run(ctx) })
	l.committer.run(ctx)
	wg.Wait()
}

// Hold keeps the block's head in memory until release is called, so that a live
// block's appends read nothing. It does no I/O.
func (l *Log) Hold(key BlockKey) (release func()) {
	a := l.acquire(key)
	var once sync.Once
	return func() { once.Do(func() { l.release(a) }) }
}

func (l *Log) acquire(key BlockKey) *activeBlock {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.active[key]
	if a == nil {
		a = &activeBlock{key: key}
		l.active[key] = a
	}
	a.refs++
	return a
}

func (l *Log) release(a *activeBlock) {
	if !l.unref(a) {
		return
	}
	a.mu.Lock()
	head, loaded := a.head, a.loaded
	a.mu.Unlock()
	if loaded {
		l.folder.left(head)
	}
}

// unref says whether nobody holds the block any more.
func (l *Log) unref(a *activeBlock) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.refs--; a.refs > 0 {
		return false
	}
	delete(l.active, a.key)
	return true
}

// load reads the head of a block that is not in memory. a.mu is held: whoever
// else wants this block has to wait for the same row anyway.
func (l *Log) load(ctx context.Context, a *activeBlock) error {
	if a.loaded {
		return nil
	}
	head, err := l.store.Head(ctx, a.key)
	if errors.Is(err, ErrNotFound) {
		head = Head{Key: a.key, SyncVersion: 1}
	} else if errors.Is(err, ErrCorrupt) {
		return l.quarantine(a.key, err)
	} else if err != nil {
		return fmt.Errorf("read head of %s: %w", a.key, err)
	}
	sv, err := ydoc.DecodeStateVector(head.StateVector)
	if err != nil && len(head.StateVector) > 0 {
		return l.quarantine(a.key, fmt.Errorf("state vector: %w", err))
	}
	head.Key = a.key // shares its text
	a.head, a.sv, a.loaded = head, sv, true
	if !head.Shape.Keyed { // there are none
		a.keyed = ydoc.NewKeyed(new(ydoc.Update), maxKeyed)
	}
	a.owners = nil
	a.heldOwn = nil
	return nil
}

// Head returns the block's head as of the last commit, or ErrNotFound.
func (l *Log) Head(ctx context.Context, key BlockKey) (Head, error) {
	return l.store.Head(ctx, key)
}

// ServerTime is what Changes.ServerTime says.
func (l *Log) ServerTime(ctx context.Context) (int64, error) { return l.store.ServerTime(ctx) }

// Subscribe calls fn for every commit, in order, one at a time, until cancel is
// called. fn must not block.
func (l *Log) Subscribe(fn func(Commit)) (cancel func()) { return l.bus.Subscribe(fn) }

// Stats counts what the log is doing now.
type Stats struct {
	Queued       int   // updates that wait for the disk
	LastCommitAt int64 // ms, 0: none since the start
	CommitP99    time.Duration
	Stalled      bool // the oldest queued update has waited for over ten seconds
}

// Stats returns them as of now.
func (l *Log) Stats() Stats { return l.committer.stats() }
