package blocks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/heapsync/heapsync/blocks/tree"
)

func processors() int { return runtime.GOMAXPROCS(0) }

// scan is a scan in memory.
type scan struct {
	*scans
	scopes []string // folders that are looked at, without those in them; nil: all of it
	stop   chan struct{}
	over   chan struct{} // closed when it is
	first  bool          // nothing was ever scanned into the heap: nothing can have moved
	found, done, bytes, errs, skipped, fresh, changed, moved,
	vanished, offline, waits atomic.Int64

	// statusMu guards below.
	statusMu sync.Mutex
	scan     Scan // without its counts
	stopped  bool

	running bool // guarded by scans.mu
}

func newScan(s *scans, as Scan, scopes []string) *scan {
	return &scan{scans: s, scan: as, scopes: scopes, stop: make(chan struct{}), over: make(chan struct{})}
}

// now is the scan as it stands.
func (sc *scan) now() Scan {
	sc.statusMu.Lock()
	now := sc.scan
	sc.statusMu.Unlock()
	now.ScanCounts = ScanCounts{
		Found: sc.found.Load(), Done: sc.done.Load(), Bytes: sc.bytes.Load(), Errors: sc.errs.Load(), Skipped: sc.skipped.Load(),
		New: sc.fresh.Load(), Changed: sc.changed.Load(), Moved: sc.moved.Load(), Vanished: sc.vanished.Load(),
		Offline: sc.offline.Load(), Waiting: sc.waits.Load(),
	}
	return now
}

func (sc *scan) abort() {
	sc.statusMu.Lock()
	defer sc.statusMu.Unlock()
	if !sc.stopped {
		sc.stopped = true
		close(sc.stop)
	}
}

func (sc *scan) wasStopped() bool {
	sc.statusMu.Lock()
	defer sc.statusMu.Unlock()
	return sc.stopped
}

func (sc *scan) ended() <-chan struct{} { return sc.over }

// followLocked has a folder be scanned again. mu is held.
func (s *scans) followLocked(f ScanFolder, at time.Time) {
	due := s.due[f.ID]
	if due == nil {
		due = &folderDue{}
		s.due[f.ID] = due
	}
	due.folder = f
	if due.at = at; s.cfg.Every < 0 {
		due.at = time.Time{}
	}
}

// run scans what is asked for, and what is due, until ctx ends and no scan runs any more.
func (s *scans) run(ctx context.Context) {
	if s.in.files.blobs == nil {
		return
	}
	if err := s.load(ctx); err != nil && ctx.Err() == nil {
		s.in.logger.Error("scans cannot go on", "err", err)
	}
	close(s.loaded)
	var wg sync.WaitGroup
	defer wg.Wait()
	watch := newWatcher(s)
	s.watch.Store(watch)
	wg.Go(func() { watch.run(ctx) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		s.beginDue(ctx)
		for _, sc := range s.ready() {
			wg.Go(func() {
				sc.run(ctx)
				s.poke()
			})
		}
		timer.Reset(s.nextLook())
	}
}

// load goes on with what a stop or a crash has left.
func (s *scans) load(ctx context.Context) error {
	list, err := s.in.store.Scans(ctx)
	if err != nil {
		return err
	}
	folders, err := s.in.store.ScanFolders(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range folders {
		at := time.UnixMilli(f.LastAt).Add(max(s.cfg.Every, 0))
		switch {
		case f.Watch:
			at = s.in.now() // nobody watched
		case f.LastAt == 0: // it goes on, or was aborted
			at = s.in.now().Add(max(s.cfg.Every, 0))
		}
		s.followLocked(f, at)
	}
	for _, sc := range list {
		switch {
		case sc.EndedAt == 0 && !slices.ContainsFunc(s.active, func(a *scan) bool { return a.scan.ID == sc.ID }):
			sc.Status = ScanQueued
			s.active = append(s.active, newScan(s, sc, nil))
		case sc.Status == ScanConfirm:
			s.waiting[sc.Folder.ID] = sc
		}
	}
	return nil
}

// pollEvery is how often a folder is scanned that cannot be watched although it should be.
const pollEvery = 5 * time.Minute

// beginDue queues scans of folders whose time has come.
func (s *scans) beginDue(ctx context.Context) {
	type task struct {
		folder ScanFolder
		scopes []string
	}
	var tasks []task
	s.mu.Lock()
	now := s.in.now()
	for id, due := range s.due {
		busy := slices.ContainsFunc(s.active, func(sc *scan) bool { return sc.scan.Folder.ID == id })
		switch {
		case busy:
		case !due.at.IsZero() && !now.Before(due.at):
			tasks = append(tasks, task{due.folder, nil})
			every := s.cfg.Every
			if s.watching(due.folder) == WatchPolling {
				every = min(every, pollEvery)
			}
			due.at, due.dirty = now.Add(every), nil
		case len(due.dirty) > 0 && time.Since(due.last) >= s.cfg.Quiet || len(due.dirty) > 0 && time.Since(due.since) >= 10*s.cfg.Quiet:
			t := task{due.folder, slices.Sorted(maps.Keys(due.dirty))}
			if len(due.dirty) >= manyDirty {
				t.scopes = nil
			}
			tasks = append(tasks, t)
			due.dirty = nil
		}
	}
	s.mu.Unlock()
	for _, t := range tasks {
		if err := s.addDue(ctx, t.folder, t.scopes); err != nil && ctx.Err() == nil {
			s.in.logger.Warn("a folder is not scanned again", "heap", t.folder.Heap, "err", err)
		}
	}
}

// addDue queues a scan that nobody asked for just now.
func (s *scans) addDue(ctx context.Context, f ScanFolder, scopes []string) error {
	err := s.mayScan(ctx, f.User, f.Heap)
	if errors.Is(err, ErrForbidden) || errors.Is(err, ErrNotFound) { // who had it scanned may not any more
		s.mu.Lock()
		delete(s.due, f.ID)
		s.mu.Unlock()
	}
	if err != nil {
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make scan id: %w", err)
	}
	made, err := s.in.store.AddScan(ctx, Scan{ID: id.String(), Folder: f, Status: ScanQueued, User: f.User, StartedAt: s.in.now().UnixMilli()})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.active = append(s.active, newScan(s, made, scopes))
	s.mu.Unlock()
	return nil
}

// nextLook is how long nothing is due, at most a second.
func (s *scans) nextLook() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, due := range s.due {
		if len(due.dirty) > 0 {
			return min(max(s.cfg.Quiet/4, time.Millisecond), time.Second)
		}
	}
	return time.Second
}

// ready returns queued scans that may run now, and ends those that were aborted.
func (s *scans) ready() []*scan {
	s.mu.Lock()
	defer s.mu.Unlock()
	busy := map[HeapID]bool{}
	running := 0
	for _, sc := range s.active {
		if sc.running {
			busy[sc.scan.Folder.Heap] = true
			running++
		}
	}
	var list []*scan
	for _, sc := range s.active {
		heap := sc.scan.Folder.Heap
		switch {
		case sc.running:
		case sc.wasStopped(): // it ends at once
			sc.running = true
			list = append(list, sc)
		case !busy[heap] && running < scansAtOnce:
			busy[heap], sc.running = true, true
			running++
			list = append(list, sc)
		}
	}
	return list
}

// progressEveryScan is how often watchers hear of a scan.
const progressEveryScan = 250 * time.Millisecond

// run scans, and says how it ended. A scan that ends because the server stops goes on when
// it starts again.
func (sc *scan) run(serving context.Context) {
	ctx, cancel := context.WithCancel(serving)
	var helpers sync.WaitGroup
	helpers.Go(func() {
		defer cancel()
		tick := time.NewTicker(progressEveryScan)
		defer tick.Stop()
		var told ScanCounts
		for {
			select {
			case <-ctx.Done():
				return
			case <-sc.stop:
				return
			case <-tick.C:
				if now := sc.now(); now.ScanCounts != told {
					told = now.ScanCounts
					sc.tell(ScanChange{Scan: now})
				}
			}
		}
	})
	sc.setStatus(ScanRunning, "")
	sc.tell(ScanChange{Scan: sc.now()})
	status, err := sc.work(ctx)
	cancel()
	helpers.Wait()
	if serving.Err() != nil {
		sc.close()
		return
	}
	sc.finish(serving, status, err)
}

func (sc *scan) setStatus(status, problem string) {
	sc.statusMu.Lock()
	defer sc.statusMu.Unlock()
	sc.scan.Status, sc.scan.Error = status, problem
}

// work scans, and returns the status that this comes to.
func (sc *scan) work(ctx context.Context) (string, error) {
	if sc.wasStopped() {
		return ScanAborted, nil
	}
	f := sc.now()
	status, err := ScanFailed, sc.mayScan(ctx, f.User, f.Folder.Heap)
	if err == nil {
		status, err = sc.scanAll(ctx)
	}
	if sc.wasStopped() {
		return ScanAborted, nil
	}
	return status, err
}

func (sc *scan) finish(ctx context.Context, status string, err error) {
	problem := ""
	if err != nil {
		status, problem = ScanFailed, scanProblem(err)
		sc.in.logger.Warn("a scan failed", "heap", sc.scan.Folder.Heap, "err", err)
	}
	sc.statusMu.Lock()
	sc.scan.Status, sc.scan.Error, sc.scan.EndedAt = status, problem, sc.in.now().UnixMilli()
	sc.statusMu.Unlock()
	now := sc.now()
	if err := sc.in.store.SaveScan(ctx, now); err != nil && ctx.Err() == nil {
		sc.in.logger.Warn("the end of a scan is not stored", "err", err)
	}
	sc.mu.Lock()
	if status == ScanConfirm {
		sc.waiting[now.Folder.ID] = now
	} else if sc.recent = append(sc.recent, now); len(sc.recent) > maxRecentScans {
		sc.recent = sc.recent[1:]
	}
	sc.mu.Unlock()
	sc.close()
	sc.tell(ScanChange{Scan: now, Over: true})
}

// close takes the scan out of the active ones.
func (sc *scan) close() {
	sc.mu.Lock()
	sc.active = slices.DeleteFunc(sc.active, func(other *scan) bool { return other == sc })
	sc.mu.Unlock()
	close(sc.over)
}

// scanProblem is an error as users may see it.
func scanProblem(err error) string {
	for _, known := range []error{ErrForbidden, ErrNotFound, ErrFull, ErrUnavailable, ErrNotScannable} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "it ended early; the server's log says why"
}

// scanAll walks the folder, or its scopes, and then looks for what is not there any more.
func (sc *scan) scanAll(ctx context.Context) (string, error) {
	f := sc.now().Folder
	roots, err := sc.roots(ctx)
	if err != nil {
		return "", err
	}
	dir, ok := tree.Within(roots, f.Path)
	if !ok {
		return sc.offlineAll(ctx, f, ErrNotScannable)
	}
	root, err := tree.Open(dir, sc.cfg.Never)
	if err != nil {
		return sc.offlineAll(ctx, f, err)
	}
	defer root.Close()
	known, err := sc.in.store.CountScanned(ctx, f.Heap, f.Path)
	if err != nil {
		return "", err
	}
	any, err := sc.in.store.AnyScanned(ctx, f.Heap)
	if err != nil {
		return "", err
	}
	sc.first = !any
	saver := newScanSaver(ctx, sc, root)
	v := &scanVisitor{scan: sc, ctx: ctx, root: root, saver: saver, deep: f.Recursive && sc.scopes == nil}
	err = v.walkAll(f, sc.scopes)
	err = errors.Join(saver.end(), err)
	switch {
	case ctx.Err() != nil:
		return ScanAborted, nil
	case v.begun == 0 && errors.Is(err, errNotWalked):
		return sc.offlineAll(ctx, f, err)
	case err != nil:
		return "", err
	}
	return sc.vanish(ctx, f, known)
}

// offlineAll says that nothing of a folder can be read. Blocks stay as they are.
func (sc *scan) offlineAll(ctx context.Context, f ScanFolder, why error) (string, error) {
	sc.in.logger.Warn("a folder that is scanned cannot be read", "heap", f.Heap, "err", why)
	n, err := sc.in.store.MarkScanned(ctx, f.Heap, f.Path, ScannedOffline, sc.scan.Number)
	sc.offline.Add(n)
	if n == 0 && err == nil && !isGone(why) {
		return ScanFailed, ErrNotScannable
	}
	return ScanOffline, err
}
