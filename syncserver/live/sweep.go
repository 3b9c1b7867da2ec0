package live

import (
	"context"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/gorilla/websocket"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
)

const (
	// keepAliveAfter: both kinds of clients reconnect after 30 s without a message,
	// and look every 3 s.
	keepAliveAfter = 15 * time.Second
	// pingAfter and deadAfter find peers that are gone without a word.
	pingAfter = 30 * time.Second
	deadAfter = 75 * time.Second
	// nudgeEvery is how often a client is asked for what could not be stored.
	nudgeEvery = 2 * time.Second
)

// sweep does, once a second, what would otherwise take a timer for each socket.
func (srv *Server) sweep(ctx context.Context, now time.Time) {
	srv.mu.Lock()
	conns := make([]*conn, 0, len(srv.conns))
	for c := range srv.conns {
		conns = append(conns, c)
	}
	var rooms []*room
	if now.Unix()%3 == 0 {
		for _, r := range srv.rooms {
			rooms = append(rooms, r)
		}
	}
	srv.mu.Unlock()
	srv.trim.look(len(conns))
	for _, c := range conns {
		c.sweep(ctx, now)
	}
	for _, r := range rooms {
		r.mu.Lock()
		r.presence.expire(now)
		r.mu.Unlock()
		r.schedulePresence()
	}
}

// trim gives back to the system what many handshakes or goodbyes have left behind:
// an idle server collects garbage every two minutes only, and each time a stack
// shrinks by half.
type trim struct {
	seen int // conns at the last look
	done int // and when memory was last given back
}

const (
	trimStep  = 500 // conns more or less than last time are worth it
	trimQuiet = 10  // and no more than this many came or went within the last second
)

func (t *trim) look(conns int) {
	quiet := abs(conns-t.seen) <= trimQuiet
	t.seen = conns
	if quiet && abs(conns-t.done) >= trimStep {
		t.done = conns
		runtime.GC()
		debug.FreeOSMemory()
	}
}

func abs(n int) int { return max(n, -n) }

func (c *conn) sweep(ctx context.Context, now time.Time) {
	silent := now.Sub(time.Unix(0, c.lastRead.Load()))
	if silent > deadAfter {
		_ = c.ws.NetConn().Close()
		return
	}
	c.mu.Lock()
	authed := c.authed
	if !c.began.IsZero() && now.Sub(c.began) > writeTimeout {
		c.mu.Unlock()
		_ = c.ws.NetConn().Close()
		return
	}
	var unsaved []*sub
	if now.Unix()%int64(nudgeEvery/time.Second) == 0 {
		for _, s := range c.subs {
			if s.failed > s.answered && s.asked == 0 {
				unsaved = append(unsaved, s)
			}
		}
	}
	idle := len(c.queue) == 0 && !c.writing
	c.mu.Unlock()
	if !authed && now.Sub(c.started) > c.srv.cfg.AuthTimeout {
		c.close(closeUnauthorized, "Unauthorized")
		return
	}
	for _, s := range unsaved {
		s.nudge(ctx)
	}
	if silent > pingAfter && now.Unix()%int64(pingAfter/time.Second) == 0 {
		c.send(controlFrame(websocket.PingMessage, nil))
	}
	if idle && now.Sub(time.Unix(0, c.lastSent.Load())) >= keepAliveAfter {
		if f := c.proto.keepAlive(); f != nil {
			c.send(f)
		}
	}
}

// check says whose sockets may have lost their rights. Empty fields stand for any.
type check struct {
	session auth.SessionID
	account auth.AccountID
	heap    blocks.HeapID
}

// ask has the sockets of c checked soon. It never blocks: if there is too much to
// check, all is.
func (srv *Server) ask(c check) {
	srv.epoch.Add(1)
	for {
		select {
		case srv.recheck <- c:
			return
		default:
		}
		select {
		case <-srv.recheck:
			c = check{}
		default:
		}
	}
}

// Recheck has all sockets checked, after another process changed the database.
func (srv *Server) Recheck() { srv.ask(check{}) }

func (srv *Server) recheckAll(ctx context.Context, what check) {
	srv.mu.Lock()
	conns := make([]*conn, 0, len(srv.conns))
	for c := range srv.conns {
		conns = append(conns, c)
	}
	srv.mu.Unlock()
	for _, c := range conns {
		c.recheck(ctx, what)
	}
}

// recheck closes what the conn's users may no longer have.
func (c *conn) recheck(ctx context.Context, what check) {
	c.mu.Lock()
	id := c.identity
	subs := append([]*sub(nil), c.subs...)
	var heaps []blocks.HeapID
	for h := range c.heaps {
		heaps = append(heaps, h)
	}
	c.mu.Unlock()
	if id.Session != "" && what.concerns(id.Account.ID, id.Session) {
		if isRefused(c.srv.cfg.Auth.Check(ctx, id.Session)) {
			c.close(closeUnauthorized, "Unauthorized")
			return
		}
		for _, heap := range heaps {
			if role, err := c.srv.cfg.Blocks.Role(ctx, blocks.UserID(id.Account.ID), heap); err == nil && !role.CanRead() {
				c.unsubscribe(heap)
				c.send(event{Event: "error", Code: "not_found", HeapID: heap}.frame())
			}
		}
	}
	for _, s := range subs {
		c.recheckSub(ctx, s, what)
	}
}

// isRefused tells a session that has ended from a store that cannot say.
func isRefused(err error) bool {
	code, _ := closeCode(err)
	return err != nil && code != websocket.CloseInternalServerErr
}

func (what check) concerns(account auth.AccountID, session auth.SessionID) bool {
	return (what.account == "" || what.account == account) && (what.session == "" || what.session == session)
}

func (c *conn) recheckSub(ctx context.Context, s *sub, what check) {
	c.mu.Lock()
	session, readonly := s.session, s.readonly
	c.mu.Unlock()
	key := s.room.key
	if !what.concerns(auth.AccountID(s.user), session) || what.heap != "" && what.heap != key.Heap {
		return
	}
	if isRefused(c.srv.cfg.Auth.Check(ctx, session)) {
		c.close(closeUnauthorized, "Unauthorized")
		return
	}
	role, err := c.srv.cfg.Blocks.Role(ctx, s.user, key.Heap)
	if err != nil {
		return // the store is down; nothing can be written either
	}
	if !role.CanRead() {
		c.expel(s, closeForbidden, "permission-denied")
		return
	}
	if readonly == !role.CanEdit() {
		return
	}
	c.mu.Lock()
	s.readonly = !role.CanEdit()
	c.mu.Unlock()
	if f := s.wire.scope(!role.CanEdit()); f != nil {
		c.send(f)
	}
	if role.CanEdit() {
		s.nudge(ctx)
	}
}

// expel closes one document, or the socket if it has only that.
func (c *conn) expel(s *sub, code int, reason string) {
	if h, ok := c.proto.(*hConn); ok {
		h.closeDoc(s, reason)
		return
	}
	c.close(code, reason)
}
