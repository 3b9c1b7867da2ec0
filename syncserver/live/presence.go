package live

import (
	"slices"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/ydoc/protocol"
)

// presence is who is in a room, as their clients say (Yjs awareness). It is never
// stored. The room's mu guards it.
type presence struct {
	states  map[uint64]*presenceState // by client id
	bytes   int                       // of all states
	changed []uint64                  // clients to tell of with the next flush
	flushed time.Time
	pending bool // a flush is scheduled
}

type presenceState struct {
	clock   uint64
	state   []byte // nil: gone
	sub     *sub   // whose socket it came through; nil when gone
	by      *sub   // on whose account it is; kept until that closes or it is forgotten
	user    blocks.UserID
	renewed time.Time
	dirty   bool // in changed
}

const (
	// presenceTimeout is how long a state lasts that is not renewed; clients renew
	// every 15 s.
	presenceTimeout = 30 * time.Second
	// presenceForget is how long the clock of a client that left is remembered, so
	// that nothing old brings it back.
	presenceForget = 2 * presenceTimeout
	// presenceEvery is the shortest time between two awareness messages to a room.
	presenceEvery = 50 * time.Millisecond

	maxPresenceState  = 64 << 10 // bytes of one state
	maxPresencePerSub = 16       // clients that one sub may bring, those that left included
	maxPresenceBytes  = 4 << 20  // of all states of a room
)

// apply takes what s says. Entries for clients that somebody else speaks for are
// left out.
func (p *presence) apply(s *sub, entries []protocol.AwarenessEntry, now time.Time) {
	if p.states == nil {
		p.states = make(map[uint64]*presenceState)
	}
	count := -1
	for _, e := range entries {
		known := p.states[e.Client]
		if known == nil {
			if count < 0 {
				count = p.countOf(s)
			}
			if e.State == nil || count >= maxPresencePerSub || len(e.State) > maxPresenceState || p.bytes+len(e.State) > maxPresenceBytes {
				continue
			}
			count++
			known = &presenceState{by: s}
			p.states[e.Client] = known
		} else if known.sub != nil && known.sub != s && known.user != s.user {
			continue
		}
		newer := e.Clock > known.clock || known.sub == nil && known.state == nil && known.renewed.IsZero()
		leaves := e.Clock == known.clock && e.State == nil && known.state != nil
		size := len(e.State) - len(known.state)
		if !newer && !leaves || len(e.State) > maxPresenceState || p.bytes+size > maxPresenceBytes {
			continue
		}
		p.bytes += size
		known.clock, known.state, known.renewed = e.Clock, slices.Clone(e.State), now
		known.sub, known.user = s, s.user
		if e.State == nil {
			known.state, known.sub = nil, nil
		}
		p.mark(e.Client, known)
	}
}

func (p *presence) mark(client uint64, st *presenceState) {
	if !st.dirty {
		st.dirty = true
		p.changed = append(p.changed, client)
	}
}

func (p *presence) countOf(s *sub) int {
	n := 0
	for _, st := range p.states {
		if st.by == s {
			n++
		}
	}
	return n
}

// leave removes all that came through s.
func (p *presence) leave(s *sub) {
	for client, st := range p.states {
		if st.sub == s {
			p.remove(client, st)
		}
		if st.by == s {
			st.by = nil
		}
	}
}

func (p *presence) remove(client uint64, st *presenceState) {
	p.bytes -= len(st.state)
	st.state, st.sub = nil, nil
	p.mark(client, st)
}

// expire removes states that were not renewed, and forgets clients long gone.
func (p *presence) expire(now time.Time) {
	for client, st := range p.states {
		switch age := now.Sub(st.renewed); {
		case st.state != nil && age > presenceTimeout:
			p.remove(client, st)
		case st.state == nil && !st.dirty && age > presenceForget:
			delete(p.states, client)
		}
	}
}

// encode returns an awareness update of the given clients.
func (p *presence) encode(clients []uint64) []byte {
	return protocol.AppendAwareness(nil, len(clients), func(yield func(protocol.AwarenessEntry) bool) {
		for _, c := range clients {
			st := p.states[c]
			if !yield(protocol.AwarenessEntry{Client: c, Clock: st.clock, State: st.state}) {
				return
			}
		}
	})
}

// present returns an awareness update of all who are here, nil if nobody is.
func (p *presence) present() []byte {
	var clients []uint64
	for c, st := range p.states {
		if st.state != nil {
			clients = append(clients, c)
		}
	}
	if clients == nil {
		return nil
	}
	return p.encode(clients)
}

// says takes an awareness message of s.
func (r *room) says(s *sub, update []byte) error {
	entries, err := protocol.ReadAwareness(update)
	if err != nil {
		return &closeError{closeReset, "the awareness update cannot be read"}
	}
	r.mu.Lock()
	r.presence.apply(s, entries, time.Now())
	r.mu.Unlock()
	r.schedulePresence()
	return nil
}

// schedulePresence sends what has changed, at once if it has been quiet, else
// together with what comes within presenceEvery.
func (r *room) schedulePresence() {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := &r.presence
	if len(p.changed) == 0 || p.pending {
		return
	}
	if wait := presenceEvery - time.Since(p.flushed); wait > 0 {
		p.pending = true
		time.AfterFunc(wait, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			p.pending = false
			r.flushPresence()
		})
		return
	}
	r.flushPresence()
}

// flushPresence tells all of what has changed. r.mu is held.
func (r *room) flushPresence() {
	p := &r.presence
	if len(p.changed) == 0 {
		return
	}
	p.flushed = time.Now()
	update := p.encode(p.changed)
	for _, c := range p.changed {
		p.states[c].dirty = false
	}
	p.changed = nil
	var cache frameCache
	for _, s := range r.subs {
		s.conn.sendPresence(s, cache.get(s.wire, func(w wire) wireFrame { return w.awareness(update) }))
	}
}

// sendPresence tells s of all who are here.
func (r *room) sendPresence(s *sub) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if update := r.presence.present(); update != nil {
		s.conn.send(s.wire.awareness(update))
	}
}

// sendPresence queues a presence frame; a reader too slow for it gets all of it
// later.
func (c *conn) sendPresence(s *sub, f wireFrame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bytes > 0 && c.bytes+len(f) > c.srv.cfg.MaxQueue {
		s.absent = true
		if !s.behind {
			c.fallBehind(s)
		}
		return
	}
	c.enqueueLocked(queued{frame: f})
}
