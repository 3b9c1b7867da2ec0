package live

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/gorilla/websocket"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/protocol"
)

// room is all who have a block open. It exists only while somebody does.
type room struct {
	srv     *Server
	key     blocks.BlockKey
	release func() // lets go of the block's head in memory
	refs    int    // guarded by Server.mu

	// mu guards all below.
	mu       sync.Mutex
	subs     []*sub
	presence presence
}

// sub is one conn's view of one block.
type sub struct {
	conn    *conn
	room    *room
	wire    wire
	user    blocks.UserID
	session auth.SessionID

	// Guarded by conn.mu.
	readonly bool
	sent     blocks.Seq // the client has all updates up to here, if opened
	opened   bool       // it has got a step 2
	behind   bool       // updates were dropped, a catch-up is due
	missed   blocks.Seq // while behind: the last update that was dropped
	absent   bool       // presence was dropped, all of it is due
	gone     bool       // closed
	applied  wireFrame  // acknowledges one update; made with the first
	failed   int        // messages that could not be stored, ever
	answered int        // how many of them, the oldest, a later step 2 brought all the same
	asked    int        // step 1s that asked for them and have not been answered
}

// wire encodes what a sub sends in its protocol.
type wire interface {
	// cacheKey is the same for wires whose sync and awareness frames are the same.
	cacheKey() string
	sync(t protocol.SyncType, payload []byte) wireFrame
	awareness(update []byte) wireFrame
	// applied answers one message of the client that held an update; nil if the
	// protocol has no answer.
	applied(ok bool) wireFrame
	// scope tells the client whether it may write; nil if the protocol cannot.
	scope(readonly bool) wireFrame
}

// enter makes sub a member of the block's room.
func (srv *Server) enter(s *sub, key blocks.BlockKey) {
	srv.mu.Lock()
	r := srv.rooms[key]
	if r == nil {
		r = &room{srv: srv, key: key, release: srv.cfg.Blocks.Hold(key)}
		srv.rooms[key] = r
	}
	r.refs++
	srv.mu.Unlock()
	s.room = r
	r.mu.Lock()
	r.subs = append(r.subs, s)
	r.mu.Unlock()
	srv.counters.subscriptions.Add(1)
}

// leave takes sub out of its room, with all presence that came through it. The
// conn has marked it gone, once.
func (srv *Server) leave(s *sub) {
	r := s.room
	r.mu.Lock()
	for i, other := range r.subs {
		if other == s {
			r.subs[i] = r.subs[len(r.subs)-1]
			r.subs[len(r.subs)-1] = nil
			r.subs = r.subs[:len(r.subs)-1]
			break
		}
	}
	r.presence.leave(s)
	r.mu.Unlock()
	r.schedulePresence()
	srv.counters.subscriptions.Add(-1)

	srv.mu.Lock()
	defer srv.mu.Unlock()
	if r.refs--; r.refs == 0 {
		delete(srv.rooms, r.key)
		r.release()
	}
}

// close closes the block for all who have it open.
func (r *room) close(code int, reason string) {
	r.mu.Lock()
	subs := slices.Clone(r.subs)
	r.mu.Unlock()
	for _, s := range subs {
		s.conn.expel(s, code, reason)
	}
}

// relay sends a commit to all but its source.
func (r *room) relay(c blocks.Commit) {
	if c.Update == nil {
		return
	}
	var cache frameCache
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.subs {
		if c.Source == s {
			s.skip(c)
			continue
		}
		s.conn.sendUpdate(s, cache.get(s.wire, func(w wire) wireFrame {
			return w.sync(protocol.SyncUpdate, c.Update)
		}), c.Last)
	}
}

// skip notes that the author of a commit has it.
func (s *sub) skip(c blocks.Commit) {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	// Only if nothing before it is still on the way: what was dropped meanwhile is
	// counted from sent.
	if s.opened && s.sent == c.First-1 {
		s.sent = c.Last
	}
}

// frameCache makes a frame once for all subs that get the same bytes. Few
// different ones are in a room: one for y-websocket, one an address.
type frameCache struct {
	keys   [4]string
	frames [4]wireFrame
	made   int
}

func (fc *frameCache) get(w wire, make func(wire) wireFrame) wireFrame {
	key := w.cacheKey()
	for i := range min(fc.made, len(fc.keys)) {
		if fc.keys[i] == key {
			return fc.frames[i]
		}
	}
	f := make(w)
	i := fc.made % len(fc.keys) // the oldest gives way
	fc.keys[i], fc.frames[i] = key, f
	fc.made++
	return f
}

// open answers a client's step 1: what it lacks, and what the server has.
func (s *sub) open(ctx context.Context, stateVector []byte) error {
	since, err := ydoc.DecodeStateVector(stateVector)
	if err != nil {
		return &closeError{closeReset, "the state vector cannot be read"}
	}
	var d blocks.Diff
	d, err = s.room.srv.cfg.Blocks.Diff(ctx, s.room.key, since)
	if errors.Is(err, blocks.ErrNotFound) {
		d, err = blocks.Diff{Update: []byte{0, 0}}, nil
	}
	if err != nil {
		return err
	}
	s.conn.mu.Lock()
	s.opened = true
	s.conn.mu.Unlock()
	s.conn.send(s.wire.sync(protocol.SyncStep1, vectorOf(d.Head)))
	s.conn.enqueue(queued{frame: s.wire.sync(protocol.SyncStep2, d.Update), sub: s, last: d.Head.Seq, keep: true})
	return nil
}

// catchUp sends, as one update, all that was dropped while the client did not
// read. Whatever is committed meanwhile is dropped as well and comes with the
// next one, so that updates never overtake each other.
func (s *sub) catchUp() {
	c := s.conn
	c.mu.Lock()
	after, gone, absent := s.sent, s.gone, s.absent
	s.absent = false
	c.mu.Unlock()
	if gone {
		return
	}
	if absent {
		s.room.sendPresence(s)
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	d, err := s.room.srv.cfg.Blocks.After(ctx, s.room.key, after)
	if errors.Is(err, blocks.ErrNotFound) { // only presence was dropped
		d, err = blocks.Diff{Update: []byte{0, 0}}, nil
	}
	if err != nil {
		s.room.srv.logger.Warn("catch-up failed", "heap", s.room.key.Heap, "block", s.room.key.Block, "err", err)
		c.close(websocket.CloseInternalServerErr, "catch-up failed")
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.enqueueLocked(queued{frame: s.wire.sync(protocol.SyncUpdate, d.Update), sub: s, last: d.Head.Seq, keep: true})
	if s.missed > d.Head.Seq {
		c.behind = append(c.behind, s)
	} else {
		s.behind = false
	}
}

// nudge asks the client for what the server lacks, after updates of it could not
// be stored.
func (s *sub) nudge(ctx context.Context) {
	head, err := s.room.srv.cfg.Blocks.Head(ctx, s.room.key)
	if err != nil && !errors.Is(err, blocks.ErrNotFound) {
		return
	}
	s.conn.mu.Lock()
	s.asked++
	s.conn.mu.Unlock()
	s.conn.send(s.wire.sync(protocol.SyncStep1, vectorOf(head)))
}

// vectorOf returns the head's state vector, which is empty for a new block.
func vectorOf(head blocks.Head) []byte {
	if len(head.StateVector) == 0 {
		return []byte{0}
	}
	return head.StateVector
}

// update takes an update from the client: step2 says that it is one whole
// answer to a step 1. A refusal is returned; it concerns this sub only.
func (s *sub) update(ctx context.Context, update []byte, step2 bool) error {
	a := answer{step2: step2}
	s.conn.mu.Lock()
	readonly := s.readonly
	if step2 {
		a.covers = s.failed
		if a.asked = s.asked > 0; a.asked {
			s.asked--
		}
	}
	s.conn.mu.Unlock()
	if readonly {
		return s.readonlyUpdate(ctx, update, a)
	}
	size := len(update) + 64
	s.conn.stored(size)
	err := s.room.srv.cfg.Blocks.Append(ctx, blocks.Append{
		Key:    s.room.key,
		Author: blocks.Author{User: s.user, Session: string(s.session), Source: s},
		Update: update,
		Whole:  step2,
	}, func(_ blocks.Appended, err error) {
		s.answer(a, size, err)
	})
	if err == nil {
		return nil
	}
	if code, _ := closeCode(err); code == websocket.CloseInternalServerErr { // for the time being
		s.answer(a, size, err)
		return nil
	}
	s.conn.stored(-size)
	return err
}

// answer is what is due to the client once an update is stored.
type answer struct {
	step2  bool
	asked  bool // the server had asked for this step 2: the client waits for no answer
	covers int  // a step 2 holds what could not be stored before it: sub.failed then
}

// answer acknowledges one stored update, and with a step 2 also those that could
// not be stored before: it holds them. size is what it counted for while it was
// being stored.
func (s *sub) answer(a answer, size int, err error) {
	if err != nil {
		s.room.srv.logger.Warn("update not stored", "heap", s.room.key.Heap, "block", s.room.key.Block, "err", err)
	}
	n := 1
	if a.asked {
		n = 0
	}
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inflight -= size
	c.room.Signal()
	if err != nil {
		s.failed += n
		n = 0
	} else if a.covers > s.answered {
		n += a.covers - s.answered
		s.answered = a.covers
	}
	if s.gone {
		return
	}
	if s.applied == nil {
		s.applied = s.wire.applied(true)
	}
	if s.applied != nil {
		for range n {
			c.enqueueLocked(queued{frame: s.applied})
		}
	}
}

// readonlyUpdate answers whether the update holds nothing new, which is all that
// a viewer may send.
func (s *sub) readonlyUpdate(ctx context.Context, update []byte, a answer) error {
	if a.asked {
		return nil // it could write when it was asked
	}
	ok := false
	if a.step2 {
		var err error
		if ok, err = s.room.srv.cfg.Blocks.Holds(ctx, s.room.key, update); err != nil {
			return err
		}
	}
	if f := s.wire.applied(ok); f != nil {
		s.conn.send(f)
	}
	return nil
}
