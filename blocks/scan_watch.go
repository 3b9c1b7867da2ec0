package blocks

import (
	"context"
	"errors"
	"path"
	"sync"

	"github.com/fsnotify/fsnotify" // tells of changes in folders
)

// watcher has the system tell of changes in folders that are watched. It is only there to be
// quick: what it misses, the next scan finds.
type watcher struct {
	scans *scans
	notes *fsnotify.Watcher

	// mu guards below.
	mu      sync.Mutex
	folders map[string]map[int64]bool // ids of the ScanFolders, by path
	full    map[int64]bool            // ScanFolders that are not watched in full
}

// newWatcher makes one that watches nothing if the system cannot tell.
func newWatcher(s *scans) *watcher {
	w := &watcher{scans: s, folders: map[string]map[int64]bool{}, full: map[int64]bool{}}
	if s.cfg.Watches < 0 {
		return w
	}
	notes, err := fsnotify.NewWatcher()
	if err != nil {
		s.in.logger.Warn("folders cannot be watched, and are scanned more often", "err", err)
		return w
	}
	w.notes = notes
	return w
}

var errTooManyWatches = errors.New("so many folders are watched already as may be")

// add watches one folder for a ScanFolder.
func (w *watcher) add(f ScanFolder, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.folders[name][f.ID] {
		return
	}
	if w.folders[name] == nil {
		if w.notes == nil {
			w.full[f.ID] = true
			return
		}
		err := errTooManyWatches
		if len(w.folders) < w.scans.cfg.Watches {
			err = w.notes.Add(name)
		}
		if err != nil {
			if !w.full[f.ID] {
				w.scans.in.logger.Warn("not all of a folder can be watched: it is scanned more often", "heap", f.Heap, "err", err)
			}
			w.full[f.ID] = true
			return
		}
		w.folders[name] = map[int64]bool{}
	}
	w.folders[name][f.ID] = true
}

// run tells scans which folders have changed, until ctx ends.
func (w *watcher) run(ctx context.Context) {
	if w.notes == nil {
		return
	}
	defer w.notes.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case ev := <-w.notes.Events:
			if ev.Op != fsnotify.Chmod {
				w.changed(ev)
			}
		case err := <-w.notes.Errors: // too much has happened to be told
			w.scans.in.logger.Warn("changes of folders were missed", "err", err)
			w.lost()
		}
	}
}

func (w *watcher) changed(ev fsnotify.Event) {
	name := path.Clean(ev.Name)
	dir := path.Dir(name)
	w.mu.Lock()
	ids := w.folders[dir]
	if own := w.folders[name]; own != nil && ev.Has(fsnotify.Remove|fsnotify.Rename) {
		delete(w.folders, name) // the system has forgotten it
		if ids == nil {
			ids, dir = own, name
		}
	}
	list := make([]int64, 0, len(ids))
	for id := range ids {
		list = append(list, id)
	}
	w.mu.Unlock()
	s := w.scans
	s.mu.Lock()
	for _, id := range list {
		if due := s.due[id]; due != nil && due.folder.Watch {
			s.dirtyLocked(due, dir)
		}
	}
	s.mu.Unlock()
	s.poke()
}

// lost has all that is watched be scanned.
func (w *watcher) lost() {
	s := w.scans
	s.mu.Lock()
	for _, due := range s.due {
		if due.folder.Watch {
			due.at = s.in.now()
		}
	}
	s.mu.Unlock()
	s.poke()
}

// watching says how changes of a folder are found.
func (s *scans) watching(f ScanFolder) string {
	if !f.Watch {
		return WatchOff
	}
	if w := s.watch.Load(); w == nil || w.partial(f.ID) {
		return WatchPolling
	}
	return WatchEvents
}

// WatchStats counts the folders that are scanned, for an administrator.
type WatchStats struct {
	Folders int // that somebody had scanned, with all below them
	Polling int // those of them that are WatchPolling
	Watches int // folders, each by itself, that the system watches for it
	Limit   int // of Watches
}

// WatchStats says how much is watched of what is scanned.
func (in *Instance) WatchStats(ctx context.Context) (WatchStats, error) {
	all, err := in.store.ScanFolders(ctx)
	if err != nil {
		return WatchStats{}, err
	}
	st := WatchStats{Folders: len(all), Limit: max(in.scans.cfg.Watches, 0)}
	for _, f := range all {
		if in.scans.watching(f) == WatchPolling {
			st.Polling++
		}
	}
	if w := in.scans.watch.Load(); w != nil {
		w.mu.Lock()
		st.Watches = len(w.folders)
		w.mu.Unlock()
	}
	return st, nil
}

func (w *watcher) partial(id int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.full[id]
}
