package live

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gorilla/websocket"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/ydoc/lib0"
	"github.com/heapsync/heapsync/ydoc/protocol"
)

// hWire is the wire of one document of a Hocuspocus socket: all frames bear the
// address that the client gave it.
type hWire string

func (a hWire) cacheKey() string { return string(a) }

func (a hWire) frame(size int, fill func([]byte) []byte) wireFrame {
	return binaryFrame(len(a)+size+16, fill)
}

func (a hWire) sync(t protocol.SyncType, payload []byte) wireFrame {
	return a.frame(len(payload), func(b []byte) []byte { return protocol.AppendHSync(b, string(a), t, payload) })
}

func (a hWire) awareness(update []byte) wireFrame {
	return a.frame(len(update), func(b []byte) []byte { return protocol.AppendHAwareness(b, string(a), update) })
}

func (a hWire) applied(ok bool) wireFrame {
	return a.frame(0, func(b []byte) []byte { return protocol.AppendHSyncStatus(b, string(a), ok) })
}

func (a hWire) scope(readonly bool) wireFrame {
	scope := protocol.ScopeReadWrite
	if readonly {
		scope = protocol.ScopeReadonly
	}
	return a.frame(len(scope), func(b []byte) []byte { return protocol.AppendHAuthenticated(b, string(a), scope) })
}

func (a hWire) denied(reason string) wireFrame {
	return a.frame(len(reason), func(b []byte) []byte { return protocol.AppendHDenied(b, string(a), reason) })
}

func (a hWire) closed(reason string) wireFrame {
	return a.frame(len(reason), func(b []byte) []byte { return protocol.AppendHClose(b, string(a), reason) })
}

// hConn speaks Hocuspocus on a conn. Only the reading goroutine uses it, but for
// docs, which conn.mu guards.
type hConn struct {
	conn *conn
	docs docs
	// early are frames for addresses that have not authenticated yet.
	early      map[string][][]byte
	earlyBytes int
	modern     bool // the client announced a version, so it knows bare pings
}

var hPing = binaryFrame(1, func(b []byte) []byte { return append(b, protocol.HPingFrame...) })

func (h *hConn) keepAlive() wireFrame {
	if h.modern {
		return hPing
	}
	h.conn.mu.Lock()
	defer h.conn.mu.Unlock()
	if s := h.docs.any(); s != nil {
		return s.wire.awareness([]byte{0})
	}
	return nil
}

// docs are a socket's documents by address. Most sockets have one, which is not worth
// a map.
type docs struct {
	one  *sub
	more map[string]*sub
}

func (d *docs) find(address string) *sub {
	if d.one != nil && string(d.one.wire.(hWire)) == address {
		return d.one
	}
	return d.more[address]
}

func (d *docs) add(address string, s *sub) {
	if d.one == nil {
		d.one = s
		return
	}
	if d.more == nil {
		d.more = make(map[string]*sub)
	}
	d.more[address] = s
}

func (d *docs) remove(s *sub) {
	if d.one == s {
		d.one = nil
	} else {
		delete(d.more, string(s.wire.(hWire)))
	}
}

// any returns one of them, nil if there is none.
func (d *docs) any() *sub {
	if d.one != nil {
		return d.one
	}
	for _, s := range d.more {
		return s
	}
	return nil
}

func (h *hConn) message(ctx context.Context, data []byte) error {
	if len(data) == 1 && (data[0] == protocol.HPong || data[0] == protocol.HPing) {
		return nil
	}
	r := lib0.NewReader(data)
	address, name, typ, err := protocol.ReadHAddress(r)
	if err != nil || len(address) > maxAddress {
		return &closeError{closeUnauthorized, "Unauthorized"}
	}
	if typ == protocol.HAuth {
		return h.authenticate(ctx, address, name, r)
	}
	s := h.doc(address)
	if s == nil && address != name {
		s = h.doc(name)
	}
	if s == nil {
		return h.keepEarly(address, data)
	}
	err = h.handle(ctx, s, typ, r)
	if err == nil {
		return nil
	}
	var ce *closeError
	if errors.As(err, &ce) { // concerns this document only
		h.closeDoc(s, "Reset Connection")
		return nil
	}
	code, reason := closeCode(err)
	if code == websocket.CloseInternalServerErr {
		// A provider that is told to close does not come back by itself.
		return &closeError{code, reason}
	}
	h.closeDoc(s, reason)
	return nil
}

func (h *hConn) doc(address string) *sub {
	h.conn.mu.Lock()
	defer h.conn.mu.Unlock()
	return h.docs.find(address)
}

// maxAddress is ample for two ids, a version and a session.
const maxAddress = 1024

// maxEarlyDocs is for how many addresses frames may wait for authentication. How
// many bytes may is what an unauthenticated socket may send.
const maxEarlyDocs = 100

// keepEarly keeps a frame that came before its address has authenticated.
func (h *hConn) keepEarly(address string, data []byte) error {
	if h.conn.wasClosed(address) {
		return nil // it was let out; what it still sends has nowhere to go
	}
	if h.early == nil {
		h.early = make(map[string][][]byte)
	}
	h.earlyBytes += len(data) + len(address)
	h.early[address] = append(h.early[address], data)
	if h.earlyBytes > maxUnauthed || len(h.early) > maxEarlyDocs {
		return &closeError{closeReset, "Reset Connection"}
	}
	return nil
}

// authenticate lets a document in, or says why not; the socket stays open.
func (h *hConn) authenticate(ctx context.Context, address, name string, r *lib0.Reader) error {
	token, version, err := protocol.ReadHToken(r)
	if err != nil {
		return &closeError{closeReset, "Reset Connection"}
	}
	h.modern = h.modern || version != ""
	w := hWire(address)
	epoch := h.conn.srv.epoch.Load()
	id, err := h.conn.identify(ctx, token)
	if code, reason := closeCode(err); err != nil && code == websocket.CloseInternalServerErr {
		return &closeError{code, reason}
	}
	if s := h.doc(address); s != nil { // a token sent again
		if err == nil {
			err = h.conn.srv.readmit(ctx, s, id)
		}
		if err != nil {
			h.closeDoc(s, "Unauthorized")
		} else {
			h.conn.send(w.scope(s.isReadonly()))
		}
		return nil
	}
	early := h.early[address]
	delete(h.early, address)
	for _, data := range early {
		h.earlyBytes -= len(data) + len(address)
	}
	if err != nil {
		h.deny(w, "permission-denied")
		return nil
	}
	s, err := h.admit(ctx, w, name, id)
	if code, reason := closeCode(err); err != nil && code == websocket.CloseInternalServerErr {
		return &closeError{code, reason}
	}
	if err != nil {
		h.deny(w, deniedReason(err))
		return nil
	}
	h.conn.send(w.scope(s.isReadonly()))
	s.room.sendPresence(s)
	if h.conn.srv.epoch.Load() != epoch {
		h.conn.recheckSub(ctx, s, check{})
	}
	for _, data := range early {
		if err := h.message(ctx, data); err != nil {
			return err
		}
	}
	return nil
}

// deny keeps a document out. What its provider still sends is not kept for later.
func (h *hConn) deny(w hWire, reason string) {
	h.conn.mu.Lock()
	h.conn.markClosed(string(w))
	h.conn.mu.Unlock()
	h.conn.send(w.denied(reason))
}

func deniedReason(err error) string {
	switch {
	case errors.Is(err, blocks.ErrVersionMismatch):
		return "version_mismatch"
	case errors.Is(err, blocks.ErrDeleted):
		return "deleted"
	case errors.Is(err, blocks.ErrAmbiguous):
		return "ambiguous_block"
	case errors.Is(err, blocks.ErrQuarantined), errors.Is(err, blocks.ErrCorrupt):
		return "quarantined"
	}
	return "permission-denied"
}

func (h *hConn) admit(ctx context.Context, w hWire, name string, id auth.Identity) (*sub, error) {
	user := blocks.UserID(id.Account.ID)
	key, version, err := h.conn.srv.parseName(ctx, user, name)
	if err != nil {
		return nil, err
	}
	s := &sub{conn: h.conn, wire: w, user: user, session: id.Session}
	if err := h.conn.srv.admit(ctx, s, key, version); err != nil {
		return nil, err
	}
	h.conn.mu.Lock()
	defer h.conn.mu.Unlock()
	if s.gone { // it has lost its rights already
		return nil, blocks.ErrNotFound
	}
	h.docs.add(string(w), s)
	delete(h.conn.closed, string(w))
	return s, nil
}

// parseName reads a document's name: heap/block or heap:block, or a block alone,
// and an optional last part v<n>.
func (srv *Server) parseName(ctx context.Context, user blocks.UserID, name string) (blocks.BlockKey, int64, error) {
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '/' || r == ':' })
	if strings.Join(parts, "/") != strings.ReplaceAll(name, ":", "/") {
		return blocks.BlockKey{}, 0, fmt.Errorf("document name: %w", blocks.ErrInvalid)
	}
	var version int64
	if n := len(parts); n > 1 {
		if v, ok := parseVersion(parts[n-1]); ok && (n == 3 || srv.isBlockAlone(ctx, user, parts)) {
			version, parts = v, parts[:n-1]
		}
	}
	var key blocks.BlockKey
	var err error
	switch len(parts) {
	case 1:
		if key.Block, err = blocks.ParseBlockID(parts[0]); err == nil {
			key.Heap, err = srv.cfg.Blocks.Find(ctx, user, key.Block)
		}
	case 2:
		if key.Heap, err = blocks.ParseHeapID(parts[0]); err == nil {
			key.Block, err = blocks.ParseBlockID(parts[1])
		}
	default:
		err = fmt.Errorf("document name: %w", blocks.ErrInvalid)
	}
	return key, version, err
}

// isBlockAlone tells block/v2 from heap/v2: both are two parts, of which the
// second is a good block id. A heap that the user can read wins.
func (srv *Server) isBlockAlone(ctx context.Context, user blocks.UserID, parts []string) bool {
	role, err := srv.cfg.Blocks.Role(ctx, user, blocks.HeapID(parts[0]))
	return err == nil && !role.CanRead()
}

func parseVersion(s string) (int64, bool) {
	digits, found := strings.CutPrefix(s, "v")
	if !found {
		return 0, false
	}
	v, err := strconv.ParseInt(digits, 10, 64)
	return v, err == nil && v > 0
}

func (h *hConn) handle(ctx context.Context, s *sub, typ uint64, r *lib0.Reader) error {
	switch typ {
	case protocol.HSync, protocol.HSyncReply:
		t, payload, err := protocol.ReadSync(r)
		if err != nil {
			return &closeError{closeReset, err.Error()}
		}
		if t == protocol.SyncStep1 {
			return s.open(ctx, payload)
		}
		err = s.update(ctx, payload, t == protocol.SyncStep2)
		if err != nil {
			h.conn.send(s.wire.applied(false))
		}
		return err
	case protocol.HAwareness:
		update, err := r.VarBytes()
		if err != nil {
			return &closeError{closeReset, err.Error()}
		}
		return s.room.says(s, update)
	case protocol.HQueryAwareness:
		s.room.sendPresence(s)
		return nil
	case protocol.HStateless:
		return nil // for hooks of an application; there are none here
	case protocol.HClose:
		h.closeDoc(s, "provider_initiated")
		return nil
	default:
		return &closeError{closeReset, fmt.Sprintf("message type %d is not a client's", typ)}
	}
}

// closeDoc ends one document of the socket and tells the client why.
func (h *hConn) closeDoc(s *sub, reason string) {
	w := s.wire.(hWire)
	if h.conn.drop(s) {
		h.conn.send(w.closed(reason))
	}
}
