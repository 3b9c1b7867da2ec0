package blocks

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/heapsync/heapsync/blocks/tree"
)

// A scan makes a block of each file of a folder of this machine, and leaves the files where
// they are. It is repeated now and then, and when the folder changes. No scan deletes a
// block for good, and none writes to what it reads.

// ScanConfig is what scans need to know.
type ScanConfig struct {
	// Roots lists the folders that may be read, and all in them; nil: none.
	Roots func(ctx context.Context) ([]string, error)
	// Allowed says whether a user may have folders scanned, besides being an editor of the
	// heap. nil: yes.
	Allowed func(ctx context.Context, user UserID) (bool, error)
	Never   []string // folders that are never read, as the server's own

	Every   time.Duration // between scans of a folder; an hour; less than 0: none by itself
	Settle  time.Duration // how long a file must not have changed; 3 s; less than 0: not at all
	Quiet   time.Duration // how long a folder that is watched must not have changed; a second
	Hashers int           // files that are read at once; the number of processors, at most 4
	Watches int           // folders that are watched at once; 16,384; less than 0: none
}

// ErrNotScannable: the path is in no folder that may be scanned. It does not say whether
// there is anything.
var ErrNotScannable = errors.New("the folder is not in one that the administrator allows to be scanned")

// ErrNotTrusted is ErrForbidden: an editor's role is not enough to have folders scanned.
var ErrNotTrusted = fmt.Errorf("only an administrator may have folders scanned: %w", ErrForbidden)

// ScanRequest asks for a scan.
type ScanRequest struct {
	Heap      HeapID
	Path      string
	Recursive bool
	Watch     bool // scan it again when it changes
	Confirm   bool // put the blocks of files that are gone into the trash, however many
}

// ScanChange says that a scan has got on, or is over.
type ScanChange struct {
	Scan
	Over bool
	At   int64 // ms
}

// scans is what is in memory of scans.
type scans struct {
	in      *Instance
	cfg     ScanConfig
	wake    chan struct{}           // for run
	loaded  chan struct{}           // closed when run knows what was left before
	hashing chan struct{}           // a slot for each file that is read
	watch   atomic.Pointer[watcher] // nil: run has not begun

	// mu guards below.
	mu       sync.Mutex
	active   []*scan // queued, or running
	waiting  map[int64]Scan
	recent   []Scan // that are over, the last ones
	due      map[int64]*folderDue
	watchers []func(ScanChange)
}

// folderDue is when a folder is to be scanned again, by its id.
type folderDue struct {
	folder ScanFolder
	at     time.Time           // all of it; zero: not by itself
	dirty  map[string]struct{} // folders in it to be looked at sooner
	since  time.Time           // the first of dirty
	last   time.Time           // and the last
}

const (
	// scansAtOnce is how many scans run at once, each of another heap.
	scansAtOnce = 4
	// maxRecent scans that are over are remembered.
	maxRecentScans = 20
)

func newScans(in *Instance, cfg ScanConfig) *scans {
	setDefault(&cfg.Every, time.Hour)
	setDefault(&cfg.Settle, 3*time.Second)
	setDefault(&cfg.Quiet, time.Second)
	setDefault(&cfg.Hashers, min(processors(), 4))
	setDefault(&cfg.Watches, 16_384)
	return &scans{
		in: in, cfg: cfg, wake: make(chan struct{}, 1), loaded: make(chan struct{}), hashing: make(chan struct{}, cfg.Hashers),
		waiting: map[int64]Scan{}, due: map[int64]*folderDue{},
	}
}

func (s *scans) roots(ctx context.Context) ([]string, error) {
	if s.cfg.Roots == nil {
		return nil, nil
	}
	return s.cfg.Roots(ctx)
}

// mayScan asks for an editor whom the administrator trusts.
func (s *scans) mayScan(ctx context.Context, user UserID, heap HeapID) error {
	if s.in.files.blobs == nil {
		return errNoFiles
	}
	if err := s.in.Require(ctx, user, heap, RoleEditor); err != nil {
		return err
	}
	if s.cfg.Allowed == nil {
		return nil
	}
	ok, err := s.cfg.Allowed(ctx, user)
	if err == nil && !ok {
		err = ErrNotTrusted
	}
	return err
}

// place checks a path that a user names.
func (s *scans) place(ctx context.Context, name string) (clean, root string, err error) {
	clean, ok := tree.Clean(name)
	if !ok {
		return "", "", fmt.Errorf("path must be that of a folder, from / on: %w", ErrInvalid)
	}
	roots, err := s.roots(ctx)
	if err != nil {
		return "", "", err
	}
	if root, ok = tree.Within(roots, clean); !ok {
		return "", "", ErrNotScannable
	}
	return clean, root, nil
}

// StartScan has a folder scanned into a heap, for an editor who may do that. If that is
// going on already, it is that scan. Errors: ErrNotScannable, ErrNotFound.
func (in *Instance) StartScan(ctx context.Context, author Author, req ScanRequest) (Scan, error) {
	s := in.scans
	if err := s.mayScan(ctx, author.User, req.Heap); err != nil {
		return Scan{}, err
	}
	name, root, err := s.place(ctx, req.Path)
	if err != nil {
		return Scan{}, err
	}
	known, err := in.store.ScannedAt(ctx, req.Heap, []string{name})
	if err != nil {
		return Scan{}, err
	}
	if len(known) == 0 { // else it may be gone for now
		if err := s.isThere(root, name); err != nil {
			return Scan{}, err
		}
	}
	folder := ScanFolder{Heap: req.Heap, Path: name, Recursive: req.Recursive, Watch: req.Watch, User: author.User, Session: author.Session}
	return s.add(ctx, folder, req.Confirm)
}

// isThere says whether there is a folder to be scanned.
func (s *scans) isThere(dir, name string) error {
	root, err := tree.Open(dir, s.cfg.Never)
	if err == nil {
		defer root.Close()
		err = root.CheckFolder(name)
	}
	switch {
	case err == nil:
		return nil
	case isGone(err):
		return fmt.Errorf("folder: %w", ErrNotFound)
	case errors.Is(err, tree.ErrOutside), errors.Is(err, tree.ErrChanged):
		return ErrNotScannable
	}
	s.in.logger.Warn("a folder cannot be scanned", "err", err)
	return fmt.Errorf("%w: the folder cannot be read", ErrUnavailable)
}

// add queues a scan of a whole folder, or returns the one that there is. One that waits for
// confirmation ends with it.
func (s *scans) add(ctx context.Context, f ScanFolder, confirm bool) (Scan, error) {
	select {
	case <-s.loaded: // or it might be taken for one that was left
	case <-ctx.Done():
		return Scan{}, ctx.Err()
	}
	s.mu.Lock()
	for _, sc := range s.active {
		if now := sc.now(); sc.scopes == nil && now.Folder.Heap == f.Heap && now.Folder.Path == f.Path && (now.Confirm || !confirm) {
			s.mu.Unlock()
			return now, nil
		}
	}
	s.mu.Unlock()
	id, err := uuid.NewV7()
	if err != nil {
		return Scan{}, fmt.Errorf("make scan id: %w", err)
	}
	made, err := s.in.store.AddScan(ctx, Scan{
		ID: id.String(), Folder: f, Status: ScanQueued, Confirm: confirm, User: f.User, StartedAt: s.in.now().UnixMilli(),
	})
	if err != nil {
		return Scan{}, err
	}
	s.mu.Lock()
	delete(s.waiting, made.Folder.ID)
	s.followLocked(made.Folder, s.in.now().Add(s.cfg.Every))
	s.mu.Unlock()
	s.queue(newScan(s, made, nil))
	return made, nil
}

func (s *scans) queue(sc *scan) {
	s.mu.Lock()
	s.active = append(s.active, sc)
	s.mu.Unlock()
	s.poke()
}

func (s *scans) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// AbortScan ends a scan, or what waits for confirmation, for an editor who may scan. What it
// has made stays.
func (in *Instance) AbortScan(ctx context.Context, user UserID, id string) (Scan, error) {
	s := in.scans
	s.mu.Lock()
	var found *scan
	var waits Scan
	for _, sc := range s.active {
		if sc.scan.ID == id {
			found = sc
		}
	}
	for _, w := range s.waiting {
		if w.ID == id {
			waits = w
		}
	}
	s.mu.Unlock()
	heap := waits.Folder.Heap
	if found != nil {
		heap = found.scan.Folder.Heap
	}
	if heap == "" {
		return Scan{}, fmt.Errorf("scan: %w", ErrNotFound)
	}
	if err := s.mayScan(ctx, user, heap); err != nil {
		return Scan{}, err
	}
	if found == nil {
		waits.Status = ScanAborted
		s.mu.Lock()
		delete(s.waiting, waits.Folder.ID)
		s.mu.Unlock()
		return waits, in.store.SaveScan(ctx, waits)
	}
	found.abort()
	s.poke()
	wait := time.NewTimer(abortWait)
	defer wait.Stop()
	select {
	case <-found.ended():
	case <-wait.C: // it hangs in the system, and will end when that lets go
	case <-ctx.Done():
	}
	return found.now(), nil
}

// abortWait is how long who aborts a scan waits for its end.
const abortWait = 1500 * time.Millisecond

// ActiveScans lists the scans of heaps that the user can read: those that are not over,
// those that wait for confirmation, and the last ones that are over.
func (in *Instance) ActiveScans(ctx context.Context, user UserID) (active, recent []Scan, err error) {
	s := in.scans
	if in.files.blobs != nil { // else there are none
		select {
		case <-s.loaded:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	s.mu.Lock()
	for _, sc := range s.active {
		active = append(active, sc.now())
	}
	for _, w := range s.waiting {
		active = append(active, w)
	}
	recent = slices.Clone(s.recent)
	s.mu.Unlock()
	slices.SortFunc(active, func(a, b Scan) int { return int(a.Number - b.Number) })
	may := roleCache{in: in, user: user}
	hidden := func(sc Scan) bool {
		role, roleErr := may.role(ctx, sc.Folder.Heap)
		err = errors.Join(err, roleErr)
		return !role.CanRead()
	}
	active, recent = slices.DeleteFunc(active, hidden), slices.DeleteFunc(recent, hidden)
	return active, recent, err
}

// ScannedFolders lists the folders that are scanned into heaps of which the user is an editor,
// and says of each whether it is looked at as it changes, or only now and then.
func (in *Instance) ScannedFolders(ctx context.Context, user UserID) ([]WatchedFolder, error) {
	all, err := in.store.ScanFolders(ctx)
	if err != nil {
		return nil, err
	}
	list := []WatchedFolder{}
	may := roleCache{in: in, user: user}
	for _, f := range all {
		role, err := may.role(ctx, f.Heap)
		if err != nil {
			return nil, err
		}
		if role.CanEdit() {
			list = append(list, WatchedFolder{f, in.scans.watching(f)})
		}
	}
	return list, nil
}

// WatchedFolder is a folder, and how changes in it are found.
type WatchedFolder struct {
	ScanFolder
	Watching string // one of those below
}

// How changes of a folder are found.
const (
	WatchEvents  = "events"  // the system tells
	WatchPolling = "polling" // the system tells of some folders only, or of none: it is scanned more often
	WatchOff     = "off"     // nobody asked; it is scanned now and then
)

// OnScan calls fn as scans get on, a few times a second each, and when they are over. fn
// must not block.
func (in *Instance) OnScan(fn func(ScanChange)) {
	s := in.scans
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = append(s.watchers, fn)
}

func (s *scans) tell(c ScanChange) {
	c.At = s.in.now().UnixMilli()
	s.mu.Lock()
	fns := slices.Clone(s.watchers)
	s.mu.Unlock()
	for _, fn := range fns {
		fn(c)
	}
}

// look has the folder of a file looked at soon.
func (s *scans) look(c Scanned) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, due := range s.due {
		if f := due.folder; f.Heap == c.Heap && under(c.Path, f.Path) {
			s.dirtyLocked(due, path.Dir(c.Path))
		}
	}
	s.poke()
}

// under says whether a path lies in a folder.
func under(name, folder string) bool {
	_, ok := tree.Within([]string{folder}, name)
	return ok
}

// manyDirty is from how many changed folders on all of it is scanned.
const manyDirty = 1000

func (s *scans) dirtyLocked(due *folderDue, folder string) {
	now := time.Now()
	if due.dirty == nil {
		due.dirty, due.since = map[string]struct{}{}, now
	}
	if due.last = now; len(due.dirty) < manyDirty {
		due.dirty[folder] = struct{}{}
	}
}
