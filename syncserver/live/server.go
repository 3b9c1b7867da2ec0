package live

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sync/semaphore"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
)

// Config is what a Server is made of. Auth and Blocks are required; zero limits
// take their default.
type Config struct {
	Auth         *auth.Service
	Blocks       *blocks.Instance
	AllowOrigin  func(webOrigin string) bool // of browsers; nil: none but those without one
	Logger       *slog.Logger
	MaxConns     int           // sockets at once; 50,000
	MaxMessage   int           // bytes of one binary message; 16 MiB and a little
	MaxQueue     int           // bytes that wait for one socket; 1 MiB
	MaxInflight  int           // bytes of one socket's updates that are being stored; 4 MiB
	MaxLarge     int64         // bytes of large messages being read, all sockets; 256 MiB
	MaxDocuments int           // documents open on one socket; 10,000
	AuthTimeout  time.Duration // until a socket must have authenticated; 10 s
}

func (cfg *Config) setDefaults() {
	def := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	def(&cfg.MaxConns, 50_000)
	def(&cfg.MaxMessage, 16<<20+4<<10)
	def(&cfg.MaxQueue, 1<<20)
	def(&cfg.MaxInflight, 4<<20)
	def(&cfg.MaxDocuments, 10_000)
	if cfg.MaxLarge == 0 {
		cfg.MaxLarge = 256 << 20
	}
	cfg.MaxLarge = max(cfg.MaxLarge, int64(cfg.MaxMessage))
	if cfg.AuthTimeout == 0 {
		cfg.AuthTimeout = 10 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
}

// Server is all sockets and rooms of one process. It is safe for concurrent use.
type Server struct {
	cfg      Config
	logger   *slog.Logger
	upgrader websocket.Upgrader
	large    *semaphore.Weighted
	counters counters
	flusher  flusher
	wg       sync.WaitGroup // conns
	recheck  chan check
	epoch    atomic.Int64 // moves before sockets are rechecked
	trim     trim         // Run's

	unsubscribe func() // from commits

	// mu guards all below.
	mu        sync.Mutex
	conns     map[*conn]struct{}
	rooms     map[blocks.BlockKey]*room
	listeners map[blocks.HeapID]map[*conn]bool
	feeds     map[*conn]bool
	stopping  bool
}

type counters struct {
	messagesIn, messagesOut, bytesIn, bytesOut, slow, subscriptions atomic.Int64
}

// Stats counts what the server has done and does.
type Stats struct {
	Connections   int
	Rooms         int
	Subscriptions int64
	MessagesIn    int64
	MessagesOut   int64
	BytesIn       int64
	BytesOut      int64
	SlowConsumers int64 // times that a reader's queue was replaced by a catch-up
}

// New makes a Server; Run must be running for it to serve.
func New(cfg Config) *Server {
	cfg.setDefaults()
	srv := &Server{
		cfg:       cfg,
		logger:    cfg.Logger,
		large:     semaphore.NewWeighted(cfg.MaxLarge),
		recheck:   make(chan check, 64),
		conns:     make(map[*conn]struct{}),
		rooms:     make(map[blocks.BlockKey]*room),
		listeners: make(map[blocks.HeapID]map[*conn]bool),
		feeds:     make(map[*conn]bool),
	}
	srv.upgrader = websocket.Upgrader{
		WriteBufferPool: new(sync.Pool),
		CheckOrigin: func(r *http.Request) bool {
			webOrigin := r.Header.Get("Origin")
			return webOrigin == "" || cfg.AllowOrigin != nil && cfg.AllowOrigin(webOrigin)
		},
		Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
			w.(*hijacker).refused = &UpgradeError{status, reason.Error()}
		},
	}
	// From the start: a socket that opens before Run does must miss no commit.
	srv.unsubscribe = cfg.Blocks.Subscribe(srv.committed)
	cfg.Auth.OnChange(func(c auth.Change) { srv.ask(check{session: c.Session, account: c.Account}) })
	cfg.Blocks.OnMemberChange(srv.memberChanged)
	cfg.Blocks.OnTrash(srv.trashChanged)
	cfg.Blocks.OnFile(srv.fileChanged)
	cfg.Blocks.OnScan(srv.scanChanged)
	return srv
}

// Run relays commits and keeps sockets alive until ctx ends, then closes them all
// and waits for them.
func (srv *Server) Run(ctx context.Context) {
	defer srv.unsubscribe()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			srv.shutdown()
			return
		case now := <-tick.C:
			srv.sweep(ctx, now)
		case c := <-srv.recheck:
			srv.recheckAll(ctx, c)
		}
	}
}

// committed is called for every commit, in order.
func (srv *Server) committed(c blocks.Commit) {
	srv.mu.Lock()
	r := srv.rooms[c.Key]
	srv.mu.Unlock()
	switch {
	case r == nil:
	case c.Deleted:
		r.close(closeDeleted, "deleted")
	default:
		r.relay(c)
	}
	srv.tell(c.Key.Heap, func() event { return changedEvent(c) })
}

// ErrBusy: there are as many sockets as the server takes, or it is stopping.
var ErrBusy = errors.New("the server takes no more connections now")

// ServeMany upgrades to a socket for many blocks. token, from the request, may be
// empty or bad: the client may still authenticate in the protocol.
func (srv *Server) ServeMany(w http.ResponseWriter, r *http.Request, token, ip string) error {
	c, err := srv.upgrade(w, r, ip)
	if c == nil {
		return err
	}
	if token != "" {
		if id, err := srv.cfg.Auth.Authenticate(r.Context(), token); err == nil {
			c.identity, c.authed = id, true
		}
	}
	c.proto = &hConn{conn: c}
	srv.start(c)
	return nil
}

// ServeOne upgrades to a y-websocket of one block. A refusal closes the socket
// with a code that the client understands.
func (srv *Server) ServeOne(w http.ResponseWriter, r *http.Request, key blocks.BlockKey, token, ip string) error {
	c, err := srv.upgrade(w, r, ip)
	if c == nil {
		return err
	}
	y := &yConn{conn: c}
	c.proto = y
	ctx := r.Context()
	epoch := srv.epoch.Load()
	id, err := srv.cfg.Auth.Authenticate(ctx, token)
	if err == nil {
		c.identity, c.authed = id, true
		y.sub = &sub{conn: c, wire: yWire{}, user: blocks.UserID(id.Account.ID), session: id.Session}
		if err = srv.admit(ctx, y.sub, key, 0); err == nil {
			err = y.start(ctx)
		}
	}
	if err != nil { // before the reader starts: it must find a block, or an end
		code, reason := closeCode(err)
		c.close(code, reason)
	}
	srv.start(c)
	if err == nil && srv.epoch.Load() != epoch {
		c.recheckSub(ctx, y.sub, check{})
	}
	return nil
}

// UpgradeError is a request that does not become a socket, to be answered with
// Status: 403 if its web origin is not allowed, else it is no proper handshake.
type UpgradeError struct {
	Status int
	Reason string
}

func (e *UpgradeError) Error() string { return e.Reason }

// upgrade returns nil if the request needs no answer any more, or err is to be one.
func (srv *Server) upgrade(w http.ResponseWriter, r *http.Request, ip string) (*conn, error) {
	srv.mu.Lock()
	busy := srv.stopping || len(srv.conns) >= srv.cfg.MaxConns
	srv.mu.Unlock()
	if busy {
		return nil, ErrBusy
	}
	h := &hijacker{ResponseWriter: w}
	ws, err := srv.upgrader.Upgrade(h, r, nil)
	if h.refused != nil {
		return nil, h.refused
	}
	if err != nil {
		return nil, nil //nolint:nilerr // the client is gone
	}
	c := &conn{srv: srv, ws: ws, in: h.in, ip: ip}
	c.room.L = &c.mu
	now := time.Now().UnixNano()
	c.lastRead.Store(now)
	c.lastSent.Store(now)
	return c, nil
}

// readBuffer is small: a frame longer than this is read straight into its message.
// The library takes a reader of ours only if it is longer than 256 bytes.
const readBuffer = 512

// hijacker has the library read from a small buffer that we can look into, and not
// from the HTTP server's.
type hijacker struct {
	http.ResponseWriter
	in      *bufio.Reader
	refused *UpgradeError
}

// Hijack implements [http.Hijacker].
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil || rw.Reader.Buffered() > 0 { // the latter is refused by the library
		return conn, rw, err
	}
	h.in = bufio.NewReaderSize(conn, readBuffer)
	return conn, bufio.NewReadWriter(h.in, rw.Writer), nil
}

func (srv *Server) start(c *conn) {
	c.started = time.Now()
	srv.mu.Lock()
	stopping := srv.stopping
	if !stopping { // after that nobody may be waiting any more
		srv.wg.Add(1)
		srv.conns[c] = struct{}{}
	}
	srv.mu.Unlock()
	if stopping {
		c.close(websocket.CloseServiceRestart, "service restart")
		srv.forget(c)
		c.linger()
		_ = c.ws.Close()
		return
	}
	go c.run()
}

// forget takes a conn and all it had open out of the server.
func (srv *Server) forget(c *conn) {
	c.mu.Lock()
	subs := c.subs
	c.subs = nil
	for _, s := range subs {
		s.gone = true
	}
	heaps := c.heaps
	c.heaps = nil
	c.mu.Unlock()
	for _, s := range subs {
		srv.leave(s)
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.conns, c)
	delete(srv.feeds, c)
	for heap := range heaps {
		srv.unlisten(c, heap)
	}
}

// drop ends one document of the conn; false if it has ended already.
func (c *conn) drop(s *sub) bool {
	c.mu.Lock()
	if s.gone {
		c.mu.Unlock()
		return false
	}
	s.gone = true
	for i, other := range c.subs {
		if other == s {
			c.subs = append(c.subs[:i], c.subs[i+1:]...)
			break
		}
	}
	if h, ok := c.proto.(*hConn); ok {
		address := string(s.wire.(hWire))
		h.docs.remove(s)
		c.markClosed(address)
	}
	c.mu.Unlock()
	c.srv.leave(s)
	return true
}

// markClosed remembers that what comes for the address has nowhere to go. c.mu is
// held.
func (c *conn) markClosed(address string) {
	if c.closed == nil || len(c.closed) >= c.srv.cfg.MaxDocuments {
		c.closed = make(map[string]bool)
	}
	c.closed[address] = true
}

// wasClosed says whether the address was open on this socket before.
func (c *conn) wasClosed(address string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed[address]
}

// identify says whose token it is. An empty one stands for who authenticated the
// socket itself.
func (c *conn) identify(ctx context.Context, token string) (auth.Identity, error) {
	c.mu.Lock()
	id := c.identity
	c.mu.Unlock()
	var err error
	if token != "" || id.Session == "" {
		id, err = c.srv.cfg.Auth.Authenticate(ctx, token)
	} else {
		err = c.srv.cfg.Auth.Check(ctx, id.Session)
	}
	if err != nil {
		return auth.Identity{}, err
	}
	c.mu.Lock()
	c.authed = true
	c.mu.Unlock()
	return id, nil
}

// admit opens a block for a sub, if its user may.
func (srv *Server) admit(ctx context.Context, s *sub, key blocks.BlockKey, version int64) error {
	role, err := srv.cfg.Blocks.Role(ctx, s.user, key.Heap)
	if err != nil {
		return err
	}
	if !role.CanRead() {
		return fmt.Errorf("heap: %w", blocks.ErrNotFound)
	}
	s.readonly = !role.CanEdit()
	head, err := srv.cfg.Blocks.Head(ctx, key)
	switch {
	case errors.Is(err, blocks.ErrNotFound):
	case err != nil:
		return err
	case head.DeletedAt != 0:
		return blocks.ErrDeleted
	case version != 0 && version != head.SyncVersion:
		return blocks.ErrVersionMismatch
	}
	c := s.conn
	c.mu.Lock()
	full := len(c.subs) >= srv.cfg.MaxDocuments
	c.mu.Unlock()
	if full {
		return fmt.Errorf("documents on one socket: %w", blocks.ErrTooLarge)
	}
	srv.enter(s, key)
	c.mu.Lock() // only now: who finds it among the conn's finds its room as well
	c.subs = append(c.subs, s)
	c.mu.Unlock()
	return nil
}

// readmit lets a sub go on with another token of the same account.
func (srv *Server) readmit(ctx context.Context, s *sub, id auth.Identity) error {
	if blocks.UserID(id.Account.ID) != s.user {
		return auth.ErrUnauthorized
	}
	role, err := srv.cfg.Blocks.Role(ctx, s.user, s.room.key.Heap)
	if err != nil {
		return err
	}
	if !role.CanRead() {
		return blocks.ErrNotFound
	}
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.session, s.readonly = id.Session, !role.CanEdit()
	return nil
}

func (s *sub) isReadonly() bool {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.readonly
}

// Stats returns them as of now.
func (srv *Server) Stats() Stats {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return Stats{
		Connections:   len(srv.conns),
		Rooms:         len(srv.rooms),
		Subscriptions: srv.counters.subscriptions.Load(),
		MessagesIn:    srv.counters.messagesIn.Load(),
		MessagesOut:   srv.counters.messagesOut.Load(),
		BytesIn:       srv.counters.bytesIn.Load(),
		BytesOut:      srv.counters.bytesOut.Load(),
		SlowConsumers: srv.counters.slow.Load(),
	}
}

// shutdown closes all sockets and waits for them. What they sent before is still
// stored: the log runs on until this is done.
func (srv *Server) shutdown() {
	srv.mu.Lock()
	srv.stopping = true
	conns := make([]*conn, 0, len(srv.conns))
	for c := range srv.conns {
		conns = append(conns, c)
	}
	srv.mu.Unlock()
	for _, c := range conns {
		c.close(websocket.CloseServiceRestart, "service restart")
	}
	done := make(chan struct{})
	go func() { srv.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(shutdownTimeout):
		for _, c := range conns {
			_ = c.ws.NetConn().Close()
		}
		<-done
	}
}

// shutdownTimeout is how long clients may take to accept their close frames.
const shutdownTimeout = 5 * time.Second
