package syncserver

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"time"
)

// idleStream is how long a long body may stand still in either direction: the server's
// own deadlines are for requests that are short.
const idleStream = time.Minute

// answerStream is how long the answer to a long body may take from its last byte on.
const answerStream = 5 * time.Minute

// streamReader reads a request's body of at most left bytes for as long as it moves.
type streamReader struct {
	body    io.Reader
	control *http.ResponseController
	limit   int64
	left    int64
	failed  error // of the last Read, if the body did not end as it should
}

func (s *Server) readStream(w http.ResponseWriter, r *http.Request, limit int64) *streamReader {
	return &streamReader{body: r.Body, control: http.NewResponseController(w), limit: limit, left: limit}
}

func (r *streamReader) Read(p []byte) (int, error) {
	now := time.Now()
	for _, set := range []error{r.control.SetReadDeadline(now.Add(idleStream)), r.control.SetWriteDeadline(now.Add(answerStream))} {
		if set != nil && !errors.Is(set, http.ErrNotSupported) {
			return 0, set
		}
	}
	n, err := r.body.Read(p)
	if r.left -= int64(n); r.left < 0 {
		r.failed = &http.MaxBytesError{Limit: r.limit}
		return 0, r.failed
	}
	if err != nil && err != io.EOF {
		r.failed = newProblem(400, "invalid", "the body ended early")
	}
	return n, err
}

// streamWriter writes an answer for as long as somebody reads it, and knows whether it
// has begun.
type streamWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	tcp     *net.TCPConn // nil if not known
	began   bool
	refuse  bool // an answer that there is no such range is left to the caller
	refused bool // and this was one
}

func (s *Server) writeStream(w http.ResponseWriter, r *http.Request) *streamWriter {
	tcp, _ := r.Context().Value(tcpKey{}).(*net.TCPConn)
	return &streamWriter{ResponseWriter: w, control: http.NewResponseController(w), tcp: tcp}
}

type tcpKey struct{}

// ConnContext belongs into the [http.Server] that serves a Server: files go out faster
// where their connection is known.
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	if tcp, ok := conn.(*net.TCPConn); ok {
		return context.WithValue(ctx, tcpKey{}, tcp)
	}
	return ctx
}

func (w *streamWriter) WriteHeader(status int) {
	if w.refused = w.refuse && status == http.StatusRequestedRangeNotSatisfiable; !w.refused {
		w.ResponseWriter.WriteHeader(status)
	}
}

// extend gives the next piece as long as a piece may take.
func (w *streamWriter) extend() error {
	err := w.control.SetWriteDeadline(time.Now().Add(idleStream))
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// streamPiece is how much is sent from one extension to the next.
const streamPiece = 2 << 20

// ReadFrom sends pieces of r; those of a file without a copy through this process.
func (w *streamWriter) ReadFrom(r io.Reader) (n int64, err error) {
	w.began = true
	all, limited := r.(*io.LimitedReader)
	if !limited {
		all = &io.LimitedReader{R: r, N: math.MaxInt64}
	}
	if w.tcp != nil && all.N > streamPiece {
		// Pieces of a file are joined into full segments, which is a sixth faster; what is
		// left in the end goes out at once.
		_ = w.tcp.SetNoDelay(false)
		defer func() { _ = w.tcp.SetNoDelay(true) }()
	}
	for all.N > 0 {
		if err := w.extend(); err != nil {
			return n, err
		}
		piece := &io.LimitedReader{R: all.R, N: min(all.N, streamPiece)}
		want := piece.N
		sent, err := io.Copy(w.ResponseWriter, piece)
		n += sent
		all.N -= sent
		if err != nil || sent < want {
			return n, err
		}
	}
	return n, nil
}

func (w *streamWriter) Write(p []byte) (int, error) {
	if w.refused {
		return len(p), nil
	}
	w.began = true
	if err := w.extend(); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}
