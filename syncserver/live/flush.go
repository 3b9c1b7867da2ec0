package live

import (
	"net"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// flusher writes what is queued on many sockets, from a few goroutines that live only
// while there is something to write: one for each socket would cost more than the
// write. It never waits for a client. What a socket does not take at once is left to
// a goroutine of the conn's own.
type flusher struct {
	// mu guards all below. It may be taken with a conn's mu held, never the other way
	// round.
	mu      sync.Mutex
	ready   []*conn // with writing set and no goroutine of their own, oldest first
	running int
	spare   []*frameWriter
}

// flushShare is how many conns one goroutine takes at a time. A burst longer than
// that is worth another one.
const flushShare = 16

// add has c flushed soon.
func (f *flusher) add(c *conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ready = append(f.ready, c)
	if len(f.ready) <= f.running*flushShare || f.running == runtime.GOMAXPROCS(0) {
		return
	}
	f.running++
	var w *frameWriter
	if n := len(f.spare); n > 0 {
		w, f.spare = f.spare[n-1], f.spare[:n-1]
	} else {
		w = newFrameWriter()
	}
	go f.run(w)
}

// run flushes until nothing is ready. Who waits for a conn's last frame waits for
// it: see conn.linger.
func (f *flusher) run(w *frameWriter) {
	var share [flushShare]*conn
	for {
		n := f.take(w, share[:])
		if n == 0 {
			return
		}
		now := time.Now()
		for i, c := range share[:n] {
			c.flush(w, now)
			share[i] = nil
		}
	}
}

// take moves the oldest of ready to share. If there is none, it gives w back.
func (f *flusher) take(w *frameWriter, share []*conn) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := copy(share, f.ready)
	left := copy(f.ready, f.ready[n:])
	clear(f.ready[left:])
	f.ready = f.ready[:left]
	if n == 0 {
		f.running--
		f.spare = append(f.spare, w)
	}
	return n
}

// frameWriter writes to sockets without waiting. It belongs to one goroutine at a
// time.
type frameWriter struct {
	try  func(fd uintptr) bool // is made once
	data []byte
	n    int
	err  error
	buf  []byte
}

// flushBuffer is from how many bytes on several frames are not copied into one piece
// to save calls.
const flushBuffer = 32 << 10

func newFrameWriter() *frameWriter {
	w := &frameWriter{}
	w.try = func(fd uintptr) bool {
		w.n, w.err = syscall.Write(int(fd), w.data)
		return true // and do not wait if the socket is full
	}
	return w
}

// write writes what the socket takes of batch, which is size bytes, at once.
func (w *frameWriter) write(socket net.Conn, batch []queued, size int) (n int, err error) {
	sc, ok := socket.(syscall.Conn)
	if !ok || len(batch) > 1 && size > flushBuffer {
		return 0, nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	w.data = batch[0].frame
	if len(batch) > 1 {
		w.buf = w.buf[:0]
		for _, q := range batch {
			w.buf = append(w.buf, q.frame...)
		}
		w.data = w.buf
	}
	w.n, w.err = 0, nil
	err = raw.Write(w.try)
	w.data = nil
	switch {
	case err != nil:
		return 0, err
	case w.err == syscall.EAGAIN || w.err == syscall.EINTR:
		return 0, nil
	}
	return max(w.n, 0), w.err
}
