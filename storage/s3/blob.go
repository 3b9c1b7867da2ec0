package s3

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/minio/minio-go/v7"

	"github.com/heapsync/heapsync/blocks"
)

// Open implements [blocks.Blobs].
func (s *Store) Open(ctx context.Context, hash blocks.Hash) (blocks.Blob, error) {
	size, err := s.Stat(ctx, hash)
	if err != nil {
		return nil, err
	}
	return &blob{store: s, ctx: ctx, key: s.key(hash), size: size}, nil
}

// OpenFar implements [blocks.FarBlobs].
func (s *Store) OpenFar(ctx context.Context, hash blocks.Hash, size int64) blocks.FarBlob {
	return &blob{store: s, ctx: ctx, key: s.key(hash), size: size}
}

// blob reads an object by ranges. While it is read from front to back, one request goes
// on to the end, so that the server and the network read ahead.
type blob struct {
	store *Store
	ctx   context.Context // of the opening, as blocks.Blobs says
	key   string
	size  int64

	at     int64         // where the next Read begins
	stream io.ReadCloser // what comes from next to end; nil: not asked for yet
	next   int64
	end    int64
}

func (b *blob) Size() int64 { return b.size }

// get asks for the bytes in [from, to).
func (b *blob) get(from, to int64) (io.ReadCloser, error) {
	var opts minio.GetObjectOptions
	if err := opts.SetRange(from, to-1); err != nil {
		return nil, err
	}
	body, info, header, err := b.store.core.GetObject(b.ctx, b.store.cfg.Bucket, b.key, opts)
	if err != nil {
		return nil, translate(err)
	}
	if info.Size != to-from || header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", from, to-1, b.size) {
		body.Close()
		return nil, fmt.Errorf("the server answers with %d bytes, %q: %w", info.Size, header.Get("Content-Range"), blocks.ErrUnavailable)
	}
	return body, nil
}

// Prepare implements [blocks.FarBlob]. A stream that is read to its end leaves its
// connection to the next one.
func (b *blob) Prepare(from, to int64) error {
	b.at = from
	if from >= b.size {
		return nil
	}
	return b.try(func() error { return b.fetch(min(to, b.size)) })
}

// Read implements [io.Reader]. A stream that breaks off is asked for again.
func (b *blob) Read(p []byte) (n int, err error) {
	if b.at >= b.size {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	err = b.try(func() (err error) {
		if b.stream == nil || b.next != b.at || b.next == b.end {
			if err := b.fetch(b.size); err != nil {
				return err
			}
		}
		n, err = b.stream.Read(p[:min(int64(len(p)), b.end-b.next)])
		b.next += int64(n)
		b.at = b.next
		switch {
		case n > 0:
			return nil
		case err == nil, errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		}
		return err
	})
	return n, err
}

// try calls do until it goes well, or trying is of no use.
func (b *blob) try(do func() error) error {
	for try := 0; ; try++ {
		err := do()
		if err == nil {
			return nil
		}
		b.drop()
		if try == retries || b.ctx.Err() != nil || errors.Is(err, blocks.ErrNotFound) {
			return fmt.Errorf("read blob at %d: %w", b.at, err)
		}
	}
}

// fetch asks for what comes from where the next Read begins.
func (b *blob) fetch(to int64) error {
	b.drop()
	stream, err := b.get(b.at, to)
	if err == nil {
		b.stream, b.next, b.end = stream, b.at, to
	}
	return err
}

func (b *blob) drop() {
	if b.stream != nil {
		b.stream.Close()
		b.stream = nil
	}
}

// ReadAt implements [io.ReaderAt].
func (b *blob) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read blob at %d: %w", off, blocks.ErrInvalid)
	}
	to := min(off+int64(len(p)), b.size)
	if off >= b.size || len(p) == 0 {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	n := 0
	for try := 0; off+int64(n) < to; try++ {
		stream, err := b.get(off+int64(n), to)
		if err == nil {
			var m int
			m, err = io.ReadFull(stream, p[n:to-off])
			n += m
			stream.Close()
		}
		if err != nil && (try == retries || b.ctx.Err() != nil || errors.Is(err, blocks.ErrNotFound)) {
			return n, fmt.Errorf("read blob at %d: %w", off+int64(n), err)
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Seek implements [io.Seeker].
func (b *blob) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += b.at
	case io.SeekEnd:
		offset += b.size
	default:
		return 0, fmt.Errorf("seek: whence %d: %w", whence, blocks.ErrInvalid)
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek to %d: %w", offset, blocks.ErrInvalid)
	}
	b.at = offset // what is on its way is kept for a Read that begins there
	return offset, nil
}

// Close implements [io.Closer].
func (b *blob) Close() error {
	b.drop()
	return nil
}
