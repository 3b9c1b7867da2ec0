package blocks

import (
	"sync"
	"time"
)

const (
	// servedFor is how long it is believed that a user may read a file, and which one it
	// is: another process can change it without a word.
	servedFor = time.Second
	maxServed = 10_000
)

// served remembers which files were given to whom, so that a player which asks for range
// after range is not looked up for each. What this process changes is forgotten at once.
type served struct {
	// mu guards all below.
	mu      sync.Mutex
	entries map[servedKey]servedEntry
	epoch   int // counts when something was forgotten
}

// servedKey is who asked for which block; without a heap, for the one that it is in.
type servedKey struct {
	user UserID
	key  BlockKey
}

type servedEntry struct {
	heap  HeapID
	file  File
	until time.Time
}

// look returns what is known at a time. When it is nothing, what is read then may be
// remembered under the epoch.
func (s *served) look(k servedKey, now time.Time) (e servedEntry, known bool, epoch int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, known = s.entries[k]
	return e, known && now.Before(e.until), s.epoch
}

// keep remembers what was read since look returned an epoch, unless something was forgotten
// meanwhile.
func (s *served) keep(k servedKey, e servedEntry, now time.Time, epoch int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch != epoch {
		return
	}
	if s.entries == nil || len(s.entries) >= maxServed {
		s.entries = map[servedKey]servedEntry{}
	}
	e.until = now.Add(servedFor)
	s.entries[k] = e
}

// forget has everything be read anew.
func (s *served) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.entries)
	s.epoch++
}
