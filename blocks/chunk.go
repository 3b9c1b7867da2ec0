package blocks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"
)

// errSuperseded: the client has begun to send the same chunk anew.
var errSuperseded = fmt.Errorf("another request sends this chunk: %w", ErrConflict)

// chunkWriter is one request that sends a chunk.
type chunkWriter struct {
	*staged
	chunk    int64
	from, to int64
	digest   hash.Hash // of the chunk; nil: nobody asks for it
	ended    chan struct{}

	repeat bool // the chunk is there: it is compared, and replaced only when all of the other is here

	// Of a chunk that follows on what is hashed, which is hashed as it comes. The owner
	// of hashing is inline; staged.mu guards it.
	inline bool
	sum    hash.Hash
	epoch  int

	// mu guards below, and is held while bytes are written.
	mu         sync.Mutex
	superseded bool
	finishing  bool
}

// putChunk takes in a chunk from body. When it returns nil, the chunk is on disk, and in
// the store. An error of body is returned as it is, and nothing has changed.
func (s *staged) putChunk(ctx context.Context, chunk int64, body io.Reader, digest *Hash) (size int64, err error) {
	if chunk < 0 || chunk >= s.up.chunks() {
		return 0, fmt.Errorf("there is no chunk %d: the file has %d: %w", chunk, s.up.chunks(), ErrInvalid)
	}
	w := &chunkWriter{staged: s, chunk: chunk, ended: make(chan struct{})}
	w.from, w.to = s.up.span(chunk)
	if digest != nil {
		w.digest = sha256.New()
	}
	if err := w.begin(ctx); err != nil {
		return 0, err
	}
	defer w.end()
	var other *os.File
	at := w.from
	if w.repeat {
		other, at, err = w.compare(body)
		if other != nil {
			defer other.Close()
		}
	} else {
		err = w.receive(body)
	}
	if err == nil && digest != nil && Hash(w.digest.Sum(nil)) != *digest {
		err = fmt.Errorf("chunk %d: %w", chunk, ErrHashMismatch)
	}
	if err == nil {
		err = w.finish()
	}
	switch {
	case err != nil:
	case !w.repeat:
		err = w.store(ctx)
	case other != nil:
		err = w.replace(ctx, other, at)
	}
	if err != nil {
		return 0, err
	}
	return w.to - w.from, nil
}

// begin makes this the request that sends the chunk. One that does already is superseded:
// it may be what is left of a connection that is gone.
func (w *chunkWriter) begin(ctx context.Context) error {
	s := w.staged
	for {
		s.mu.Lock()
		if s.gone || s.sealed {
			s.mu.Unlock()
			return fmt.Errorf("the upload is ending: %w", ErrConflict)
		}
		old := s.writers[w.chunk]
		if old == nil || old.supersede() {
			if old != nil && old.inline {
				old.inline, s.hashing = false, false
			}
			s.writers[w.chunk] = w
			w.repeat = s.has(w.chunk)
			var err error
			if !w.repeat && !s.hashing && s.up.Hashed == w.from {
				if w.sum, err = newHash(s.up.HashProgress); err == nil {
					w.inline, w.epoch, s.hashing = true, s.epoch, true
				}
			}
			s.mu.Unlock()
			return err
		}
		s.mu.Unlock()
		select {
		case <-old.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// supersede has w write nothing more, unless all of it is here.
func (w *chunkWriter) supersede() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.finishing {
		w.superseded = true
	}
	return w.superseded
}

// finish says that all is here.
func (w *chunkWriter) finish() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.superseded {
		return errSuperseded
	}
	w.finishing = true
	return nil
}

func (w *chunkWriter) end() {
	s := w.staged
	s.mu.Lock()
	if s.writers[w.chunk] == w {
		delete(s.writers, w.chunk)
	}
	if w.inline {
		s.hashing = false
		s.move()
	}
	s.mu.Unlock()
	close(w.ended)
	s.catchUp()
}

// each calls fn with the body piece by piece and where in the file each belongs.
func (w *chunkWriter) each(body io.Reader, fn func(p []byte, at int64) error) error {
	buf := w.all.buffers.Get().(*[bufferSize]byte)
	defer w.all.buffers.Put(buf)
	for at := w.from; at < w.to; {
		n, err := io.ReadFull(body, buf[:min(bufferSize, w.to-at)])
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("chunk %d has %d bytes, not %d: %w", w.chunk, w.to-w.from, at+int64(n)-w.from, ErrInvalid)
		}
		if err != nil {
			return err
		}
		if w.digest != nil {
			w.digest.Write(buf[:n])
		}
		if err := fn(buf[:n], at); err != nil {
			return err
		}
		at += int64(n)
	}
	switch _, err := io.ReadFull(body, buf[:1]); {
	case err == nil:
		return fmt.Errorf("chunk %d has %d bytes, and more came: %w", w.chunk, w.to-w.from, ErrInvalid)
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}

// receive writes a chunk that is not there. What comes of one that fails is nothing that
// anybody reads.
func (w *chunkWriter) receive(body io.Reader) error {
	return w.each(body, func(p []byte, at int64) error {
		if w.sum != nil {
			w.sum.Write(p)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.superseded {
			return errSuperseded
		}
		if _, err := w.file.WriteAt(p, at); err != nil {
			return fmt.Errorf("write chunk: %w", fullDisk(err))
		}
		return nil
	})
}

// compare looks whether the body is what is there. If not, the rest from the first
// difference on is in other, which has no name, and belongs at a place of the file.
func (w *chunkWriter) compare(body io.Reader) (other *os.File, from int64, err error) {
	old := w.all.buffers.Get().(*[bufferSize]byte)
	defer w.all.buffers.Put(old)
	err = w.each(body, func(p []byte, at int64) error {
		if other == nil {
			w.saving.RLock()
			n, err := w.file.ReadAt(old[:len(p)], at)
			w.saving.RUnlock()
			if n == len(p) && bytes.Equal(old[:n], p) {
				return nil
			}
			if n < len(p) {
				return fmt.Errorf("read chunk: %w", err)
			}
			if other, err = os.CreateTemp(w.all.temp, "chunk-*"); err == nil {
				err = os.Remove(other.Name())
			}
			if err != nil {
				return fmt.Errorf("make a temporary file: %w", fullDisk(err))
			}
			from = at
		}
		if _, err := other.Write(p); err != nil {
			return fmt.Errorf("write temporary file: %w", fullDisk(err))
		}
		return nil
	})
	return other, from, err
}

// store makes a chunk durable and has it be there.
func (w *chunkWriter) store(ctx context.Context) error {
	s := w.staged
	s.saving.RLock()
	defer s.saving.RUnlock()
	if err := s.sync(); err != nil {
		return err
	}
	s.mu.Lock()
	p := s.up.HashProgress
	inline := w.inline && w.epoch == s.epoch
	s.mu.Unlock()
	if inline {
		var err error
		if p, err = progressOf(w.sum, w.to); err != nil {
			return err
		}
	}
	if err := w.save(ctx, true, p); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mark(w.chunk, true)
	if inline {
		s.up.HashProgress = p
	}
	s.move()
	return nil
}

// replace puts other, which is from a place of the chunk to its end, where it belongs.
// Until it is durable, the chunk is not there.
func (w *chunkWriter) replace(ctx context.Context, other *os.File, at int64) error {
	s := w.staged
	s.saving.Lock()
	defer s.saving.Unlock()
	s.mu.Lock()
	if s.sealed || s.gone {
		s.mu.Unlock()
		return fmt.Errorf("the upload is ending: %w", ErrConflict)
	}
	s.mark(w.chunk, false)
	if w.from < s.up.Hashed {
		s.up.HashProgress = HashProgress{}
	}
	if w.from <= s.up.Hashed { // at Hashed: who hashes it now may have read what it was
		s.epoch++
	}
	p := s.up.HashProgress
	s.mu.Unlock()
	if err := w.save(ctx, false, p); err != nil {
		return err
	}
	if _, err := io.Copy(io.NewOffsetWriter(s.file, at), io.NewSectionReader(other, 0, w.to-at)); err != nil {
		return fmt.Errorf("replace chunk: %w", fullDisk(err))
	}
	if err := s.sync(); err != nil {
		return err
	}
	if err := w.save(ctx, true, p); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mark(w.chunk, true)
	s.move()
	return nil
}

func (w *chunkWriter) save(ctx context.Context, there bool, p HashProgress) error {
	err := w.all.store.SaveChunk(ctx, w.up.ID, w.chunk, there, p, w.all.now().UnixMilli())
	if errors.Is(err, ErrNotFound) { // the block was deleted, or the upload has had its time
		w.staged.end()
	}
	return err
}
