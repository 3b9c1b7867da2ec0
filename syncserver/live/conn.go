package live

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
)

// conn is one socket.
type conn struct {
	srv   *Server
	ws    *websocket.Conn
	in    *bufio.Reader // what ws reads from
	proto protocolHandler
	ip    string
	feed  bool // of scan events only

	started time.Time

	lastRead atomic.Int64 // Unix ns of the last frame of any kind
	lastSent atomic.Int64 // Unix ns of the last message; pings do not count

	// mu guards all below.
	mu       sync.Mutex
	room     sync.Cond // signals that queued shrank, or closing
	queue    []queued
	bytes    int       // in queue, or being written
	answers  int       // of bytes, those that are no updates
	writing  bool      // a writer runs
	began    time.Time // when it began to write what it writes now, else zero
	closing  bool      // nothing more is queued
	inflight int       // bytes of updates that are being stored
	behind   []*sub
	subs     []*sub
	identity auth.Identity          // of the upgrade or the JSON auth
	authed   bool                   // somebody has authenticated on this socket
	heaps    map[blocks.HeapID]bool // subscribed for JSON events
	stale    map[blocks.HeapID]bool // events were dropped
	scanned  readable               // of a feed
	closed   map[string]bool        // addresses that were open on this socket and are not
}

// queued is a frame that waits for the socket.
type queued struct {
	frame wireFrame
	sub   *sub       // whose update it is; nil for anything that is not an update
	last  blocks.Seq // the update's
	keep  bool       // it has no substitute: not dropped when the reader is slow
	end   bool       // close the socket after it
}

// protocolHandler speaks one of the protocols on a conn. Its methods are called
// by the conn's reading goroutine.
type protocolHandler interface {
	// message handles one binary message; data is the handler's to keep.
	message(ctx context.Context, data []byte) error
	// keepAlive returns a frame that the client counts as a sign of life, nil if
	// there is none that would not disturb it.
	keepAlive() wireFrame
}

// closeError ends a socket with a code and a reason.
type closeError struct {
	code   int
	reason string
}

func (e *closeError) Error() string { return e.reason }

// clientClosed is a close frame of the client's: nothing comes after it.
type clientClosed struct{ closeError }

// run reads until the socket ends. It is the conn's owner.
func (c *conn) run() {
	defer c.srv.wg.Done()
	err := c.readOrPanic()
	var ce *closeError
	var closed *clientClosed
	switch {
	case errors.As(err, &closed):
		c.close(closed.code, "")
	case errors.As(err, &ce):
		c.close(ce.code, ce.reason)
	case errors.Is(err, errClosing): // a close frame is on its way
	case errors.Is(err, websocket.ErrReadLimit):
		c.close(websocket.CloseMessageTooBig, "Message Too Big")
	default: // the socket broke, or the library has answered a protocol error
		c.abort()
	}
	c.srv.forget(c)
	c.linger()
	if netErr, ok := errors.AsType[net.Error](err); closed == nil && (!ok || !netErr.Timeout()) {
		c.drain()
	}
	_ = c.ws.Close()
}

// readOrPanic turns a panic, a fault of ours, into the end of this socket alone.
func (c *conn) readOrPanic() (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.srv.logger.Error("panic in a socket", "err", p, "stack", string(debug.Stack()))
			err = &closeError{websocket.CloseInternalServerErr, "internal error"}
		}
	}()
	return c.readAll()
}

// drain reads what the client is still sending, for a moment: to close a socket
// with unread bytes resets it, and the client might never see why.
func (c *conn) drain() {
	socket := c.ws.NetConn()
	_ = socket.SetReadDeadline(time.Now().Add(closeTimeout))
	if tcp, ok := socket.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	_, _ = io.Copy(io.Discard, socket)
}

const (
	// maxText is how long a text frame may be: events are short.
	maxText = 64 << 10
	// maxUnauthed is how much a socket may send that has not authenticated.
	maxUnauthed = 64 << 10
	// largeMessage is from where on a message counts against the server's budget,
	// and largeTimeout how long it may then take to arrive.
	largeMessage = 64 << 10
	largeTimeout = time.Minute
)

// readAll waits for frames. It waits here, not deep within the library, because the
// stack of a goroutine shrinks to half only if little of it is in use.
func (c *conn) readAll() error {
	c.ws.SetPingHandler(c.pinged)
	c.ws.SetPongHandler(c.ponged)
	c.ws.SetCloseHandler(closedByClient)
	unauthed := 0
	for {
		if _, err := c.in.Peek(2); err != nil {
			return err
		}
		if err := c.readOne(&unauthed); err != nil {
			return err
		}
	}
}

func (c *conn) pinged(data string) error {
	c.touch()
	c.send(controlFrame(websocket.PongMessage, []byte(data)))
	return nil
}

func (c *conn) ponged(string) error {
	c.touch()
	return nil
}

func closedByClient(code int, _ string) error {
	if code == websocket.CloseNoStatusReceived {
		code = websocket.CloseNormalClosure
	}
	return &clientClosed{closeError{code, ""}}
}

// readOne reads and handles one message. unauthed counts bytes of before the client
// has authenticated.
func (c *conn) readOne(unauthed *int) error {
	size := c.frameSize()
	typ, r, err := c.ws.NextReader()
	if err != nil {
		return err
	}
	c.touch()
	if err := c.waitForRoom(); err != nil {
		return err
	}
	limit := c.srv.cfg.MaxMessage
	authed := c.isAuthed()
	if typ == websocket.TextMessage {
		limit = maxText
	}
	if !authed {
		limit = min(limit, maxUnauthed)
	}
	data, weight, err := c.readMessage(r, size, limit)
	if err != nil {
		return err
	}
	if !authed {
		if *unauthed += len(data); *unauthed > maxUnauthed {
			return &closeError{closeReset, "Reset Connection"}
		}
	}
	if weight > 0 {
		defer c.srv.large.Release(weight) // also after a panic
	}
	c.srv.counters.messagesIn.Add(1)
	c.srv.counters.bytesIn.Add(int64(len(data)))
	// Nothing ends a message that is being handled: its context never ends.
	if typ == websocket.TextMessage {
		return c.textMessage(context.Background(), data)
	}
	return c.proto.message(context.Background(), data)
}

// frameSize is how long the frame says it is that comes next, 0 if that is not at
// hand. It is a hint: the library checks it, and fragments follow.
func (c *conn) frameSize() int {
	head, err := c.in.Peek(2)
	if err != nil {
		return 0
	}
	switch n := int(head[1] & 127); {
	case n < 126:
		return n
	case n == 126 && c.in.Buffered() >= 4:
		head, _ = c.in.Peek(4)
		return int(binary.BigEndian.Uint16(head[2:]))
	}
	return largeMessage
}

// readMessage reads one message of about size and at most limit bytes. A long one
// waits until the server has memory for it; weight is what it holds of that then.
func (c *conn) readMessage(r io.Reader, size, limit int) (data []byte, weight int64, err error) {
	data, err = appendAll(make([]byte, 0, min(size, limit, largeMessage)+1), r, min(limit, largeMessage))
	if err != nil {
		return nil, 0, err
	}
	if len(data) > largeMessage && limit > largeMessage {
		weight = int64(limit)
		if err = c.srv.large.Acquire(context.Background(), weight); err != nil {
			return nil, 0, err
		}
		_ = c.ws.SetReadDeadline(time.Now().Add(largeTimeout))
		data, err = appendAll(data, r, limit)
		c.resetDeadline()
	}
	if err == nil && len(data) > limit {
		err = websocket.ErrReadLimit
	}
	if err != nil {
		c.srv.large.Release(weight)
		return nil, 0, err
	}
	return data, weight, nil
}

// appendAll appends what is left of r, but no more than makes limit+1 bytes.
func appendAll(data []byte, r io.Reader, limit int) ([]byte, error) {
	for len(data) <= limit {
		if len(data) == cap(data) {
			data = slices.Grow(data, 512)
		}
		n, err := r.Read(data[len(data):min(cap(data), limit+1)])
		data = data[:len(data)+n]
		if err == io.EOF {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return data, nil
}

// resetDeadline lets the reader wait again, unless the socket is closing.
func (c *conn) resetDeadline() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing {
		_ = c.ws.SetReadDeadline(time.Time{})
	}
}

func (c *conn) touch() { c.lastRead.Store(time.Now().UnixNano()) }

func (c *conn) isAuthed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.authed
}

// waitForRoom holds the reader back while its answers do not go out, or too much
// of what it sent is still being stored.
func (c *conn) waitForRoom() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closing && (c.bytes > c.srv.cfg.MaxQueue || c.inflight > c.srv.cfg.MaxInflight) {
		c.room.Wait()
	}
	if c.closing {
		return errClosing
	}
	return nil
}

// errClosing ends the reader when the socket is being closed by somebody else.
var errClosing = errors.New("closing")

// stored counts bytes of updates that are being stored, in or out.
func (c *conn) stored(bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inflight += bytes
	if bytes < 0 {
		c.room.Signal()
	}
}

// send queues a frame that is not an update. It never blocks.
func (c *conn) send(f wireFrame) { c.enqueue(queued{frame: f}) }

// sendUpdate queues a frame that holds updates of s up to last. If the queue is
// full, all that is queued of s gives way to one catch-up later.
func (c *conn) sendUpdate(s *sub, f wireFrame, last blocks.Seq) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !s.behind && c.bytes > 0 && c.bytes+len(f) > c.srv.cfg.MaxQueue {
		c.fallBehind(s)
	}
	if s.behind {
		s.missed = last
		return
	}
	c.enqueueLocked(queued{frame: f, sub: s, last: last})
}

// fallBehind drops the updates of s that are queued. c.mu is held.
func (c *conn) fallBehind(s *sub) {
	s.behind = true
	c.behind = append(c.behind, s)
	c.srv.counters.slow.Add(1)
	kept := c.queue[:0]
	for _, q := range c.queue {
		if q.sub == s && !q.keep {
			c.bytes -= len(q.frame)
			s.missed = q.last
			continue
		}
		kept = append(kept, q)
	}
	clear(c.queue[len(kept):])
	c.queue = kept
}

func (c *conn) enqueue(q queued) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.enqueueLocked(q)
}

func (c *conn) enqueueLocked(q queued) {
	if c.closing {
		return
	}
	// What is not an update has no substitute. It is small, and the reader waits
	// while the queue is full, so only a client that never reads gets here.
	if q.sub == nil && !q.end && c.answers > 4*c.srv.cfg.MaxQueue {
		c.abortLocked()
		_ = c.ws.NetConn().SetDeadline(time.Now())
		return
	}
	c.queue = append(c.queue, q)
	c.bytes += len(q.frame)
	if q.sub == nil {
		c.answers += len(q.frame)
	}
	if q.end {
		c.closing = true
		c.room.Broadcast()
	}
	if !c.writing {
		c.writing = true
		c.srv.flusher.add(c)
	}
}

// writeTimeout is how long a client may take to accept what is written to it, give
// or take a second: sweep looks, since a deadline for each write costs more than the
// rest of it.
const writeTimeout = time.Minute

// flush writes what is queued if the socket takes it at once. What it does not take is
// left to write, and so is whatever may have to wait.
func (c *conn) flush(w *frameWriter, now time.Time) {
	c.mu.Lock()
	batch := c.queue
	c.queue = nil
	c.mu.Unlock()
	size := bytesOf(batch)
	n, err := 0, error(nil)
	if len(batch) > 0 {
		n, err = w.write(c.ws.NetConn(), batch, size)
	}
	if err == nil && n < size || len(batch) == 0 {
		go c.write(batch, n)
		return
	}
	if c.sent(batch, size, now, err) && c.rest() {
		c.srv.flusher.add(c)
	}
}

// rest says whether there is more to write; if not, the conn has no writer any more.
func (c *conn) rest() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue)+len(c.behind)+len(c.stale) > 0 {
		return true
	}
	c.writing = false
	c.room.Broadcast()
	return false
}

// write sends batch, of which n bytes are sent, and what is queued, all of it at once,
// until nothing is. It waits for the client.
func (c *conn) write(batch []queued, n int) {
	for {
		if batch = c.begin(batch); len(batch) == 0 {
			if c.rest() {
				continue
			}
			return
		}
		size := bytesOf(batch)
		err := writeBatch(c.ws.NetConn(), batch, n)
		if !c.sent(batch, size, time.Now(), err) {
			return
		}
		batch, n = nil, 0
	}
}

// begin notes that something is being written that may take long: batch, or, if that
// is empty, what is queued. It returns nil if that is nothing, after it has queued what
// is due to a reader that was too slow.
func (c *conn) begin(batch []queued) []queued {
	c.mu.Lock()
	if len(batch) == 0 {
		batch, c.queue = c.queue, nil
	}
	if len(batch) > 0 {
		c.began = time.Now()
		c.mu.Unlock()
		return batch
	}
	var behind []*sub
	if len(c.behind) > 0 && !c.closing {
		behind, c.behind = c.behind, nil
	} else {
		c.behind = nil
		c.queue = c.takeStale()
	}
	c.mu.Unlock()
	for _, s := range behind {
		s.catchUp()
	}
	return nil
}

// sent notes that batch is written, or why not. It returns false if nothing more can
// be: then the conn has no writer any more.
func (c *conn) sent(batch []queued, size int, now time.Time, err error) bool {
	c.srv.counters.messagesOut.Add(int64(len(batch)))
	c.srv.counters.bytesOut.Add(int64(size))
	c.lastSent.Store(now.UnixNano())
	c.written(batch, size)
	if err != nil || batch[len(batch)-1].end {
		c.finish(err)
		return false
	}
	return true
}

func bytesOf(batch []queued) (n int) {
	for _, q := range batch {
		n += len(q.frame)
	}
	return n
}

// writeBatch writes all frames but for the first n bytes, with one call if it can.
func writeBatch(socket net.Conn, batch []queued, n int) error {
	buffers := make(net.Buffers, 0, len(batch))
	for _, q := range batch {
		if skip := min(n, len(q.frame)); skip < len(q.frame) {
			buffers, n = append(buffers, q.frame[skip:]), 0
		} else {
			n -= skip
		}
	}
	_, err := buffers.WriteTo(socket)
	return err
}

// written notes how far each sub has got.
func (c *conn) written(batch []queued, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began = time.Time{}
	c.bytes -= size
	for _, q := range batch {
		switch {
		case q.sub == nil:
			c.answers -= len(q.frame)
		case q.last > q.sub.sent:
			q.sub.sent = q.last
		}
	}
	c.room.Broadcast()
}

// closeTimeout is how long a client may take to answer a close frame.
const closeTimeout = 2 * time.Second

// finish ends the writer after the last frame, or after err, and wakes the reader.
func (c *conn) finish(err error) {
	socket := c.ws.NetConn()
	if err != nil {
		_ = socket.Close()
	} else {
		_ = socket.SetReadDeadline(time.Now().Add(closeTimeout))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abortLocked()
	c.writing = false
}

// abort gives up the socket: nothing more is written.
func (c *conn) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abortLocked()
	_ = c.ws.NetConn().SetReadDeadline(time.Now())
}

func (c *conn) abortLocked() {
	c.closing = true
	c.queue, c.bytes, c.answers = nil, 0, 0
	c.room.Broadcast()
}

// close sends a close frame after what is queued and takes nothing more.
func (c *conn) close(code int, reason string) {
	c.enqueue(queued{frame: controlFrame(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason)), end: true})
}

// lingerTimeout is how long a closing socket may take to accept its last frames.
const lingerTimeout = 2 * time.Second

// linger waits until the writer has sent what was queued.
func (c *conn) linger() {
	timer := time.AfterFunc(lingerTimeout, func() { _ = c.ws.NetConn().SetWriteDeadline(time.Now()) })
	defer timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.writing {
		c.room.Wait()
	}
}
