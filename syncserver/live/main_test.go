package live_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mr-tron/base58"
	"go.uber.org/goleak" // sees goroutines that a test leaves behind

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/sqlite"
	"github.com/heapsync/heapsync/storage/storetest"
	"github.com/heapsync/heapsync/syncserver/live"
	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/lib0"
	"github.com/heapsync/heapsync/ydoc/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come. Nothing waits so long in a
// test that passes.
const patience = 20 * time.Second

// world is a server of sockets on a database of its own, behind a store that can
// fail. Ada owns the heap "h".
type world struct {
	*live.Server
	t      testing.TB
	auth   *auth.Service
	blocks *blocks.Instance
	store  *storetest.Faulty
	url    string
	stop   func()      // the sockets, and waits
	panics atomic.Bool // the next question for a role does

	mu    sync.Mutex // guards below
	users map[string]user
}

// panicky is a store with a fault of ours.
type panicky struct {
	blocks.Store
	panics *atomic.Bool
}

func (p panicky) RoleOf(ctx context.Context, user blocks.UserID, heap blocks.HeapID) (blocks.Role, bool, error) {
	if p.panics.Swap(false) {
		panic("a fault of ours")
	}
	return p.Store.RoleOf(ctx, user, heap)
}

type user struct {
	id      blocks.UserID
	token   string
	session auth.SessionID
}

func newWorld(t testing.TB, options ...func(*live.Config)) *world {
	t.Helper()
	w := &world{t: t, users: map[string]user{}}
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "heapsync.db")})
	if err != nil {
		t.Fatal(err)
	}
	w.store = storetest.NewFaulty(panicky{store, &w.panics})
	w.auth, err = auth.New(auth.Config{
		Store: store, PublicURL: "https://sync.example.org", Mode: auth.ModeOpen, Challenges: &auth.ChallengeLimits{},
		Keys: auth.ServerKeys{
			Identity: ed25519.NewKeyFromSeed([]byte("identity of a server in a test..")),
			Token:    auth.Secret{1}, Ticket: auth.Secret{2},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	index, err := sqlite.OpenIndex(t.Context(), sqlite.IndexConfig{Path: filepath.Join(t.TempDir(), "index.db")})
	if err != nil {
		t.Fatal(err)
	}
	w.blocks = blocks.New(blocks.LogConfig{Store: w.store, Index: index})
	cfg := live.Config{Auth: w.auth, Blocks: w.blocks}
	for _, o := range options {
		o(&cfg)
	}
	w.Server = live.New(cfg)
	logCtx, stopLog := context.WithCancel(context.Background())
	liveCtx, stopLive := context.WithCancel(context.Background())
	var log, sockets sync.WaitGroup
	log.Go(func() { w.blocks.Run(logCtx) })
	sockets.Go(func() { w.Run(liveCtx) })
	w.stop = func() { stopLive(); sockets.Wait() }

	mux := http.NewServeMux()
	token := func(r *http.Request) string { return r.URL.Query().Get("token") }
	answer := func(rw http.ResponseWriter, err error) {
		if err != nil {
			http.Error(rw, err.Error(), http.StatusServiceUnavailable)
		}
	}
	mux.HandleFunc("/ws", func(rw http.ResponseWriter, r *http.Request) {
		answer(rw, w.ServeMany(rw, r, token(r), "192.0.2.1"))
	})
	mux.HandleFunc("/ws/{heap}/{block}", func(rw http.ResponseWriter, r *http.Request) {
		key := blocks.BlockKey{Heap: blocks.HeapID(r.PathValue("heap")), Block: blocks.BlockID(r.PathValue("block"))}
		answer(rw, w.ServeOne(rw, r, key, token(r), "192.0.2.1"))
	})
	server := httptest.NewUnstartedServer(mux)
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		_ = c.(*net.TCPConn).SetWriteBuffer(16 << 10) // so that a slow reader is slow soon
		return ctx
	}
	server.Start()
	w.url = "ws" + strings.TrimPrefix(server.URL, "http")
	t.Cleanup(func() {
		w.stop()
		server.Close()
		stopLog()
		log.Wait()
		if err := errors.Join(index.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	w.addHeap("ada", "h")
	return w
}

// user logs a user in, once.
func (w *world) user(name string) user {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if u, ok := w.users[name]; ok {
		return u
	}
	u := w.login(name)
	w.users[name] = u
	return u
}

// login makes another session of the user.
func (w *world) login(name string) user {
	w.t.Helper()
	var seed [ed25519.SeedSize]byte
	copy(seed[:], name)
	private := ed25519.NewKeyFromSeed(seed[:])
	key := base58.Encode(private.Public().(ed25519.PublicKey))
	ctx := context.Background()
	challenge, err := w.auth.CreateChallenge(ctx, key, "", netip.Addr{})
	if err != nil {
		w.t.Fatal(err)
	}
	res, err := w.auth.Login(ctx, auth.LoginRequest{
		PublicKey: key, Message: challenge, Signature: base58.Encode(ed25519.Sign(private, []byte(challenge))),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return user{blocks.UserID(res.Account.ID), res.Tokens.Access, res.Tokens.Session}
}

func (w *world) addHeap(owner string, id blocks.HeapID) {
	w.t.Helper()
	if _, _, err := w.blocks.AddHeap(context.Background(), w.user(owner).id, id, "Heap", false); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) role(name string, role blocks.Role) {
	w.t.Helper()
	if err := w.blocks.SetRole(context.Background(), "h", w.user(name).id, role); err != nil {
		w.t.Fatal(err)
	}
}

// state is the whole block as it is on disk.
func (w *world) state(block string) []byte {
	w.t.Helper()
	d, err := w.blocks.Diff(context.Background(), blocks.BlockKey{Heap: "h", Block: blocks.BlockID(block)}, ydoc.StateVector{})
	if err != nil {
		w.t.Fatal(err)
	}
	return d.Update
}

// put stores updates as ada does, over no socket.
func (w *world) put(block string, updates ...[]byte) {
	w.t.Helper()
	for _, u := range updates {
		res := w.blocks.Push(context.Background(), blocks.Author{User: w.user("ada").id}, []blocks.PushItem{
			{Target: blocks.Target{Heap: "h", Block: block}, Update: u},
		})[0]
		if res.Status != blocks.StatusApplied {
			w.t.Fatalf("put: %s %v", res.Status, res.Err)
		}
	}
}

// socket is a client's end. A goroutine reads it, unless it is told not to.
type socket struct {
	*websocket.Conn
	w      *world
	frames chan []byte // binary messages; closed at the end
	texts  chan []byte
	end    error // set when frames is closed
	asked  int   // step 1s that count came across
}

func (w *world) dial(path string) *socket {
	w.t.Helper()
	s := w.dialUnread(path)
	s.read()
	return s
}

// dialUnread opens a socket that nobody reads from until read is called.
func (w *world) dialUnread(path string) *socket {
	w.t.Helper()
	dialer := websocket.Dialer{ReadBufferSize: 4096, WriteBufferSize: 4096, NetDial: func(network, addr string) (net.Conn, error) {
		conn, err := net.Dial(network, addr)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(16 << 10)
		}
		return conn, err
	}}
	ws, _, err := dialer.Dial(w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	s := &socket{Conn: ws, w: w, frames: make(chan []byte, 100_000), texts: make(chan []byte, 100_000)}
	w.t.Cleanup(func() { _ = ws.Close() })
	return s
}

func (s *socket) read() {
	done := make(chan struct{})
	s.w.t.Cleanup(func() { _ = s.Close(); <-done })
	go func() {
		defer close(done)
		for {
			typ, data, err := s.ReadMessage()
			if err != nil {
				s.end = err
				close(s.frames)
				close(s.texts)
				return
			}
			if typ == websocket.TextMessage {
				s.texts <- data
			} else {
				s.frames <- data
			}
		}
	}()
}

func (s *socket) send(frame []byte) {
	s.w.t.Helper()
	if err := s.WriteMessage(websocket.BinaryMessage, frame); err != nil {
		s.w.t.Fatal(err)
	}
}

// next returns the next message, or fails.
func (s *socket) next() []byte {
	s.w.t.Helper()
	select {
	case f, ok := <-s.frames:
		if !ok {
			s.w.t.Fatalf("the socket ended: %v", s.end)
		}
		return f
	case <-time.After(patience):
		s.w.t.Fatal("no message came")
		return nil
	}
}

// wantEnd waits for the end and checks its code.
func (s *socket) wantEnd(code int) {
	s.w.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case _, ok := <-s.frames:
			if ok {
				continue
			}
			if !websocket.IsCloseError(s.end, code) {
				s.w.t.Errorf("the socket ended with %v, want code %d", s.end, code)
			}
			return
		case <-timeout:
			s.w.t.Fatalf("the socket stays open, want code %d", code)
		}
	}
}

// hframe is a message of the Hocuspocus protocol.
type hframe struct {
	address string
	typ     uint64
	sync    protocol.SyncType
	payload []byte // of a sync or awareness message
	text    string // scope, reason
	ok      bool   // of a sync status
}

func (f hframe) String() string {
	switch f.typ {
	case protocol.HSync:
		return fmt.Sprintf("sync %d", f.sync)
	case protocol.HSyncStatus:
		return fmt.Sprintf("status %v", f.ok)
	case protocol.HAuth, protocol.HClose:
		return fmt.Sprintf("%d %s", f.typ, f.text)
	}
	return fmt.Sprint("type ", f.typ)
}

func parse(t testing.TB, data []byte) hframe {
	t.Helper()
	if len(data) == 1 {
		return hframe{typ: uint64(data[0])}
	}
	r := lib0.NewReader(data)
	address, _, typ, err := protocol.ReadHAddress(r)
	f := hframe{address: address, typ: typ}
	if err == nil {
		switch typ {
		case protocol.HSync:
			f.sync, f.payload, err = protocol.ReadSync(r)
		case protocol.HAwareness:
			f.payload, err = r.VarBytes()
		case protocol.HAuth:
			var kind uint64
			if kind, err = r.VarUint(); err == nil && kind != protocol.HAuthToken {
				f.text, err = r.VarString()
			}
			f.ok = kind == protocol.HAuthAuthenticated
		case protocol.HClose:
			f.text, err = r.VarString()
		case protocol.HSyncStatus:
			var n uint64
			n, err = r.VarUint()
			f.ok = n == 1
		}
	}
	if err != nil {
		t.Fatalf("frame %x: %v", data, err)
	}
	return f
}

// expect reads until a frame of the type comes for the address and returns it.
func (s *socket) expect(address string, typ uint64) hframe {
	s.w.t.Helper()
	return s.until(fmt.Sprintf("frame of type %d for %q", typ, address), func(f hframe) bool { return f.typ == typ && f.address == address })
}

func (s *socket) until(what string, is func(hframe) bool) hframe {
	s.w.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case data, ok := <-s.frames:
			if !ok {
				s.w.t.Fatalf("the socket ended before %s: %v", what, s.end)
			}
			if f := parse(s.w.t, data); is(f) {
				return f
			}
		case <-timeout:
			s.w.t.Fatalf("no %s", what)
		}
	}
}

// token sends the auth message.
func (s *socket) token(address, token string) {
	s.send(protocol.AppendHToken(nil, address, token, "4.0.0"))
}

// enter opens a document and syncs it, as a provider does: what the client has is in
// state. It returns what the server had, and leaves nothing unread.
func (s *socket) enter(address, token string, state []byte) []byte {
	s.w.t.Helper()
	s.token(address, token)
	s.send(protocol.AppendHSync(nil, address, protocol.SyncStep1, vector(s.w.t, state)))
	if f := s.expect(address, protocol.HAuth); !f.ok {
		s.w.t.Fatalf("denied: %s", f.text)
	}
	s.until("step 1", func(f hframe) bool { return f.typ == protocol.HSync && f.sync == protocol.SyncStep1 })
	step2 := s.until("step 2", func(f hframe) bool { return f.typ == protocol.HSync && f.sync == protocol.SyncStep2 })
	s.send(protocol.AppendHSync(nil, address, protocol.SyncStep2, state))
	s.expect(address, protocol.HSyncStatus)
	return step2.payload
}

// alive checks that the document still takes updates, and acknowledges them.
func (s *socket) alive(address string, update []byte) {
	s.w.t.Helper()
	s.send(protocol.AppendHSync(nil, address, protocol.SyncUpdate, update))
	if f := s.expect(address, protocol.HSyncStatus); !f.ok {
		s.w.t.Error("the update was not applied")
	}
}

// sync sends frames and waits until the server has handled all of them.
func (s *socket) handled() {
	s.w.t.Helper()
	if err := s.WriteMessage(websocket.TextMessage, []byte(`{"op":"mark"}`)); err != nil {
		s.w.t.Fatal(err)
	}
	for {
		select {
		case text, ok := <-s.texts:
			if !ok {
				s.w.t.Fatalf("the socket ended: %v", s.end)
			}
			if strings.Contains(string(text), `"op":"mark"`) {
				return
			}
		case <-time.After(patience):
			s.w.t.Fatal("no answer")
		}
	}
}

var empty = []byte{0, 0}

func vector(t testing.TB, update []byte) []byte {
	t.Helper()
	sv, err := ydoc.StateVectorOf(ydoc.V1, update)
	if err != nil {
		t.Fatal(err)
	}
	return sv.Encode()
}

// word is client's text at clock, in the root t, after its own last character.
func word(client, clock uint64, s string) []byte {
	b := lib0.AppendVarUint([]byte{1, 1}, client)
	b = lib0.AppendVarUint(b, clock)
	if clock == 0 {
		b = append(b, 4, 1, 1, 't')
	} else {
		b = lib0.AppendVarUint(lib0.AppendVarUint(append(b, 0x84), client), clock-1)
	}
	return append(lib0.AppendVarString(b, s), 0)
}

func merge(t testing.TB, updates ...[]byte) []byte {
	t.Helper()
	m, err := ydoc.MergeUpdates(ydoc.V1, updates...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// awareness is an awareness update: client, clock and state, again and again.
func awareness(entries ...any) []byte {
	b := lib0.AppendVarUint(nil, uint64(len(entries)/3))
	for i := 0; i < len(entries); i += 3 {
		b = lib0.AppendVarUint(b, uint64(entries[i].(int)))
		b = lib0.AppendVarUint(b, uint64(entries[i+1].(int)))
		b = lib0.AppendVarString(b, entries[i+2].(string))
	}
	return b
}

// eventually waits for what another goroutine is about to do.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// blocksHave says whether the block exists on disk.
func (w *world) blocksHave(block string) bool {
	_, err := w.blocks.Head(context.Background(), blocks.BlockKey{Heap: "h", Block: blocks.BlockID(block)})
	return err == nil
}
