package syncserver

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// idleStream is how long a long body may stand still in either direction: the server's
// own deadlines are for requests that are short.
const idleStream = time.Minute

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
	if err := r.control.SetReadDeadline(time.Now().Add(idleStream)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
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
	began   bool
}

func (s *Server) writeStream(w http.ResponseWriter) *streamWriter {
	return &streamWriter{ResponseWriter: w, control: http.NewResponseController(w)}
}

func (w *streamWriter) Write(p []byte) (int, error) {
	w.began = true
	if err := w.control.SetWriteDeadline(time.Now().Add(idleStream)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}
