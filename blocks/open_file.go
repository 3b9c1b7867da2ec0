package blocks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// OpenFile is a block's file, open: whole, or as far as it has arrived.
type OpenFile struct {
	File
	Blob
	growing *growing // nil if it is whole
	// elsewhere opens it where else it may be; nil: nowhere, or it has been asked for.
	elsewhere func() (Blob, error)
}

// OpenFile opens a block's file, for a member; if it has none, the one that is on its way
// to it. The caller closes it.
func (in *Instance) OpenFile(ctx context.Context, user UserID, key BlockKey) (*OpenFile, error) {
	if in.files.blobs == nil {
		return nil, errNoFiles
	}
	f, err := in.fileFor(ctx, user, key)
	if errors.Is(err, errNoFile) {
		return in.openUpload(ctx, key)
	}
	if err != nil {
		return nil, err
	}
	if far := in.files.far; far != nil && !f.Placed {
		blob := far.OpenFar(ctx, f.Hash, f.Size)
		return &OpenFile{File: f, Blob: blob, elsewhere: func() (Blob, error) { return in.openBlob(ctx, f) }}, nil
	}
	blob, err := in.openBlob(ctx, f)
	if err != nil {
		return nil, err
	}
	return &OpenFile{File: f, Blob: blob}, nil
}

// openBlob opens the bytes of a file that is whole.
func (in *Instance) openBlob(ctx context.Context, f File) (Blob, error) {
	blob, err := in.files.blobs.Open(ctx, f.Hash)
	if errors.Is(err, ErrNotFound) && f.Placed {
		return nil, ErrFileOffline
	}
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("the blob %s of %s is missing", f.Hash, f.Key)
	}
	if err != nil {
		return nil, err
	}
	if blob.Size() != f.Size {
		blob.Close()
		return nil, fmt.Errorf("the blob %s of %s has %d bytes, not %d", f.Hash, f.Key, blob.Size(), f.Size)
	}
	return blob, nil
}

// FileUsage returns bytes and number of the files that a user has brought, and of those on
// their way. Bytes count as often as files have them.
func (in *Instance) FileUsage(ctx context.Context, user UserID) (bytes, files int64, err error) {
	return in.store.FileUsage(ctx, user)
}

// errNoFile: the block has none, as a member may know.
var errNoFile = fmt.Errorf("file: %w", ErrNotFound)

// fileFor returns a block's file, for a member.
func (in *Instance) fileFor(ctx context.Context, user UserID, key BlockKey) (File, error) {
	k, now := servedKey{user, key}, in.now()
	e, known, epoch := in.served.look(k, now)
	if known {
		return e.file, nil
	}
	if err := in.Require(ctx, user, key.Heap, RoleViewer); err != nil {
		return File{}, err
	}
	f, err := in.store.FileOf(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return File{}, errNoFile
	}
	if err == nil {
		in.served.keep(k, servedEntry{heap: key.Heap, file: f}, now, epoch)
	}
	return f, err
}

// FindFile returns the heap, among those the user can read, that holds the block or has an
// upload to it. Errors are those of Find.
func (in *Instance) FindFile(ctx context.Context, user UserID, block BlockID) (HeapID, error) {
	k, now := servedKey{user, BlockKey{Block: block}}, in.now()
	e, known, epoch := in.served.look(k, now)
	if known {
		return e.heap, nil
	}
	heap, err := in.Find(ctx, user, block)
	if err == nil {
		in.served.keep(k, servedEntry{heap: heap}, now, epoch)
	}
	if !errors.Is(err, ErrNotFound) {
		return heap, err
	}
	heaps, listErr := in.store.HeapsWithUpload(ctx, user, block)
	switch {
	case listErr != nil:
		return "", listErr
	case len(heaps) == 0:
		return "", err
	case len(heaps) > 1:
		return "", ErrAmbiguous
	}
	return heaps[0], nil
}

func (in *Instance) openUpload(ctx context.Context, key BlockKey) (*OpenFile, error) {
	list, err := in.store.UploadsTo(ctx, key)
	if err != nil {
		return nil, err
	}
	for _, up := range list {
		s, err := in.uploads.acquire(ctx, key, up.Hash)
		if errors.Is(err, ErrNotFound) {
			continue // it has just ended
		}
		if err != nil {
			return nil, err
		}
		g := &growing{ctx: ctx, staged: s, patience: in.limits.RangeWait}
		f := File{Key: key, Hash: up.Hash, Size: up.Size, Name: up.Name, Mime: "application/octet-stream", User: up.User, At: up.At}
		if up.Serial != nil {
			f.Upload = up.Hash
		}
		if g.Has(0) {
			f.Mime = in.mediaTypeOf(g, f.Name, up.Mime)
		}
		return &OpenFile{File: f, Blob: g, growing: g}, nil
	}
	return nil, fmt.Errorf("file of %s: %w", key, ErrNotFound)
}

// Size is that of the whole file.
func (f *OpenFile) Size() int64 { return f.Blob.Size() }

// Content is what the file is to be read from.
func (f *OpenFile) Content() io.ReadSeeker { return f.Blob }

// Wait returns when the first of the bytes in [from, to), which are to be read, is there,
// or ErrNotYet after Limits.RangeWait. Of what is far only the first range that is waited
// for is looked for.
func (f *OpenFile) Wait(from, to int64) error {
	switch {
	case from >= f.Size():
		return nil
	case f.growing != nil:
		return f.growing.wait(from)
	case f.elsewhere == nil:
		return nil
	}
	elsewhere := f.elsewhere
	f.elsewhere = nil
	err := f.Blob.(FarBlob).Prepare(from, to)
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	blob, err := elsewhere()
	if err == nil {
		f.Blob.Close()
		f.Blob = blob
	}
	return err
}

// growing reads a file that is on its way. It gives only what is there, and waits for the
// rest.
type growing struct {
	ctx context.Context // of whoever reads
	*staged
	at       int64
	patience time.Duration
}

// ErrNotYet is ErrUnavailable because the file is still on its way.
var ErrNotYet = fmt.Errorf("%w: the bytes have not arrived yet", ErrUnavailable)

func (g *growing) Size() int64 { return g.up.Size }

// Has says whether the byte at a place is there.
func (g *growing) Has(at int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return at < g.up.Size && g.has(at/g.up.ChunkSize)
}

func (g *growing) wait(at int64) error {
	patience := time.NewTimer(g.patience)
	defer patience.Stop()
	for {
		g.mu.Lock()
		there, lost, moved := g.has(at/g.up.ChunkSize), g.gone && !g.done, g.moved
		g.mu.Unlock()
		switch {
		case lost: // they were other bytes than they should be
			return fmt.Errorf("upload: %w", ErrNotFound)
		case there:
			return nil
		}
		select {
		case <-moved:
		case <-patience.C:
			return ErrNotYet
		case <-g.ctx.Done():
			return g.ctx.Err()
		}
	}
}

// Read waits for the next byte, and gives no more than its chunk.
func (g *growing) Read(p []byte) (int, error) {
	if g.at >= g.up.Size {
		return 0, io.EOF
	}
	for {
		if err := g.wait(g.at); err != nil {
			return 0, err
		}
		_, to := g.up.span(g.at / g.up.ChunkSize)
		n, err := g.ReadAt(p[:min(int64(len(p)), to-g.at)], g.at)
		if errors.Is(err, ErrNotYet) {
			continue // it is just being replaced
		}
		g.at += int64(n)
		return n, err
	}
}

// ReadAt reads what is there, and does not wait.
func (g *growing) ReadAt(p []byte, at int64) (int, error) {
	g.saving.RLock()
	defer g.saving.RUnlock()
	n := 0
	for n < len(p) {
		if at >= g.up.Size {
			return n, io.EOF
		}
		if !g.Has(at) {
			return n, ErrNotYet
		}
		_, to := g.up.span(at / g.up.ChunkSize)
		m, err := g.file.ReadAt(p[n:n+int(min(int64(len(p)-n), to-at))], at)
		if m == 0 {
			return n, err
		}
		n += m
		at += int64(m)
	}
	return n, nil
}

func (g *growing) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += g.at
	case io.SeekEnd:
		offset += g.up.Size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek to %d: %w", offset, ErrInvalid)
	}
	g.at = offset
	return offset, nil
}

func (g *growing) Close() error {
	g.release()
	return nil
}
