package awareness

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/heapsync/heapsync/ydoc/protocol"
)

const (
	// Timeout is how long a state lasts that is not renewed; clients renew every 15 s.
	Timeout = 30 * time.Second
	// Forget is how long after its last sign of life the clock of a client that left
	// is remembered: long enough for messages on their way to have arrived.
	Forget = 2 * Timeout
)

// States is what is known of the clients of one document. The zero value knows
// nobody.
type States struct {
	clients map[uint64]client
	present int
}

type client struct {
	clock uint64
	state []byte // nil: gone
	seen  time.Time
}

// Len returns the number of clients that are present.
func (s *States) Len() int { return s.present }

// State returns the JSON text of a client that is present. It must not be changed.
func (s *States) State(id uint64) (state []byte, present bool) {
	state = s.clients[id].state
	return state, state != nil
}

// Apply takes what entries say and returns the ids of those that were news, in order:
// with a clock above the known one, or, at the known clock, a client that is
// present leaving. States are copied.
func (s *States) Apply(entries []protocol.AwarenessEntry, now time.Time) (changed []uint64) {
	for _, e := range entries {
		known := s.clients[e.Client]
		leaves := e.Clock == known.clock && e.State == nil && known.state != nil
		if e.Clock <= known.clock && !leaves {
			continue
		}
		s.set(e.Client, client{clock: e.Clock, state: slices.Clone(e.State), seen: now})
		changed = append(changed, e.Client)
	}
	return changed
}

func (s *States) set(id uint64, c client) {
	if s.clients == nil {
		s.clients = make(map[uint64]client)
	}
	if s.clients[id].state != nil {
		s.present--
	}
	if c.state != nil {
		s.present++
	}
	s.clients[id] = c
}

// Remove makes clients leave whose connection was closed, at their current clocks,
// and returns the ids of those that were present.
func (s *States) Remove(ids ...uint64) (removed []uint64) {
	for _, id := range ids {
		if c := s.clients[id]; c.state != nil {
			c.state = nil
			s.set(id, c)
			removed = append(removed, id)
		}
	}
	return removed
}

// Expire makes clients leave that were last heard of more than Timeout before now,
// returns their ids, ascending, and forgets those that left long ago.
func (s *States) Expire(now time.Time) (removed []uint64) {
	for id, c := range s.clients {
		switch age := now.Sub(c.seen); {
		case c.state != nil && age > Timeout:
			removed = append(removed, id)
		case c.state == nil && age > Forget:
			delete(s.clients, id)
		}
	}
	slices.Sort(removed)
	return s.Remove(removed...)
}

// All yields the clients that are present, ascending. The states must not be
// changed.
func (s *States) All() iter.Seq[protocol.AwarenessEntry] {
	return func(yield func(protocol.AwarenessEntry) bool) {
		for _, id := range slices.SortedFunc(maps.Keys(s.clients), cmp.Compare[uint64]) {
			if c := s.clients[id]; c.state != nil && !yield(protocol.AwarenessEntry{Client: id, Clock: c.clock, State: c.state}) {
				return
			}
		}
	}
}

// AppendAll appends an awareness update of all clients that are present.
func (s *States) AppendAll(dst []byte) []byte {
	return protocol.AppendAwareness(dst, s.present, s.All())
}

// Append appends an awareness update of the clients named, gone ones as gone.
// Unknown ids are left out.
func (s *States) Append(dst []byte, ids ...uint64) []byte {
	entries := make([]protocol.AwarenessEntry, 0, len(ids))
	for _, id := range ids {
		if c, known := s.clients[id]; known {
			entries = append(entries, protocol.AwarenessEntry{Client: id, Clock: c.clock, State: c.state})
		}
	}
	return protocol.AppendAwareness(dst, len(entries), slices.Values(entries))
}
