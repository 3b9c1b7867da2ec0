package blocks

import (
	"slices"
	"sync"
	"time"
)

// FileChange says that more of an upload is here, that a block has a file, or that this
// file was looked at.
type FileChange struct {
	Key      BlockKey
	Hash     Hash  // zero: it is not known yet
	Received int64 // bytes
	Size     int64
	Ready    bool
	Derived  bool  // what could be found out and made of it is there
	At       int64 // ms
}

// fileWatchers are told of uploads and files.
type fileWatchers struct {
	// mu guards fns.
	mu  sync.Mutex
	fns []func(FileChange)
}

// OnFile calls fn as uploads go on, a few times a second each, for each block that gets a
// file, and when that was looked at. fn must not block.
func (in *Instance) OnFile(fn func(FileChange)) {
	w := &in.files.watchers
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fns = append(w.fns, fn)
}

func (in *Instance) tellFile(c FileChange) {
	c.At = in.now().UnixMilli()
	w := &in.files.watchers
	w.mu.Lock()
	fns := slices.Clone(w.fns)
	w.mu.Unlock()
	for _, fn := range fns {
		fn(c)
	}
}

// progressEvery is how often watchers hear of one upload.
const progressEvery = 250 * time.Millisecond

func (in *Instance) tellProgress(s *staged) {
	now := time.Now()
	s.mu.Lock()
	c := FileChange{Key: s.up.Key, Hash: s.up.Hash, Received: s.bytes, Size: s.up.Size}
	quiet := now.Sub(s.told) < progressEvery && s.bytes < s.up.Size
	if of := s.up.Serial; of != nil {
		c.Hash = Hash{} // it is a name
		quiet = quiet || of.Part
	}
	if !quiet {
		s.told = now
	}
	s.mu.Unlock()
	if !quiet {
		in.tellFile(c)
	}
}

func (in *Instance) tellReady(f File) {
	in.tellFile(FileChange{Key: f.Key, Hash: f.Hash, Received: f.Size, Size: f.Size, Ready: true})
}

func (in *Instance) tellDerived(f File) {
	in.tellFile(FileChange{Key: f.Key, Hash: f.Hash, Received: f.Size, Size: f.Size, Derived: true})
}
