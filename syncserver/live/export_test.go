package live

import (
	"context"
	"time"

	"github.com/heapsync/heapsync/blocks"
)

// Sweep does at once what is done every second, as if it were now: time cannot be
// faked around real sockets.
func (srv *Server) Sweep(now time.Time) { srv.sweep(context.Background(), now) }

// NudgeTime is a moment near now at which a sweep asks for what was not stored.
func NudgeTime() time.Time { return time.Now().Truncate(nudgeEvery) }

// PresenceEvery is presenceEvery.
const PresenceEvery = presenceEvery

// Failed counts messages that could not be stored, ever, of all open documents.
func (srv *Server) Failed() (n int) {
	srv.eachSub(func(s *sub) { n += s.failed })
	return n
}

// Asking says whether a client has not answered yet what it was asked for.
func (srv *Server) Asking() (asking bool) {
	srv.eachSub(func(s *sub) { asking = asking || s.asked > 0 })
	return asking
}

func (srv *Server) eachSub(see func(*sub)) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for c := range srv.conns {
		c.mu.Lock()
		for _, s := range c.subs {
			see(s)
		}
		c.mu.Unlock()
	}
}

// Remembered counts the clients whose presence is known, those that left included.
func (srv *Server) Remembered() (n int) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for _, r := range srv.rooms {
		r.mu.Lock()
		n += len(r.presence.states)
		r.mu.Unlock()
	}
	return n
}

// Listeners counts who hears of the heap's events.
func (srv *Server) Listeners(heap blocks.HeapID) int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return len(srv.listeners[heap])
}
