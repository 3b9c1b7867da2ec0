package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/heapsync/heapsync/blocks"
)

const (
	hashFolder = "sha256"
	tempFolder = "tmp"
)

// Store implements [blocks.Blobs] in a folder.
type Store struct {
	dir    string
	synced sync.Map // folders, by path, whose own names this process has made durable
}

var _ blocks.Blobs = (*Store)(nil)

// Open makes dir if need be, and empties its folder for what is on its way: one process
// at a time may have it open for writing.
func Open(dir string) (*Store, error) {
	if err := os.RemoveAll(filepath.Join(dir, tempFolder)); err != nil {
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	for _, name := range []string{hashFolder, tempFolder} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return nil, fmt.Errorf("open blobs: %w", err)
		}
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := syncFolder(d); err != nil {
			return nil, fmt.Errorf("open blobs: %w", err)
		}
	}
	return View(dir), nil
}

// View opens the folder to read, beside a server that has it open. It does no I/O.
func View(dir string) *Store { return &Store{dir: dir} }

func (s *Store) path(h blocks.Hash) string {
	name := h.String()
	return filepath.Join(s.dir, hashFolder, name[:2], name[2:4], name)
}

// Put implements [blocks.Blobs].
func (s *Store) Put(ctx context.Context, hash blocks.Hash, file *os.File, size int64) error {
	if err := s.put(ctx, hash, file, size); err != nil {
		return fmt.Errorf("put blob %s: %w", hash, full(err))
	}
	return nil
}

func (s *Store) put(ctx context.Context, hash blocks.Hash, file *os.File, size int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != size {
		return fmt.Errorf("the file has %d bytes, not %d: %w", info.Size(), size, blocks.ErrInvalid)
	}
	temp, err := s.reserve()
	if err != nil {
		return err
	}
	defer os.Remove(temp) // also when it was renamed onto itself
	if err := take(ctx, temp, file, info); err != nil {
		return err
	}
	path := s.path(hash)
	if err := s.makeFolder(filepath.Dir(path)); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// reserve returns a name for a file on its way, which is not there.
func (s *Store) reserve() (string, error) {
	f, err := os.CreateTemp(filepath.Join(s.dir, tempFolder), "put-*")
	if err != nil {
		return "", err
	}
	return f.Name(), errors.Join(f.Close(), os.Remove(f.Name()))
}

// take makes temp the same as file, by a link or else a synced copy.
func take(ctx context.Context, temp string, file *os.File, info fs.FileInfo) error {
	if os.Link(file.Name(), temp) == nil {
		linked, err := os.Stat(temp)
		if err == nil && os.SameFile(linked, info) {
			return nil
		}
		if err := os.Remove(temp); err != nil { // the file's name is another file's by now
			return err
		}
	}
	to, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	from := &readsUntil{ctx, io.NewSectionReader(file, 0, info.Size())}
	n, err := io.Copy(to, from)
	if err == nil && n != info.Size() {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = to.Sync()
	}
	return errors.Join(err, to.Close())
}

// readsUntil reads until ctx ends.
type readsUntil struct {
	ctx context.Context
	io.Reader
}

func (r *readsUntil) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// makeFolder makes dir, two levels below hashFolder, and makes its name durable. A
// folder that is there may not be durable yet, if the process that made it was killed.
func (s *Store) makeFolder(dir string) error {
	if _, known := s.synced.Load(dir); known {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	upper := filepath.Dir(dir)
	if err := errors.Join(syncFolder(upper), syncFolder(filepath.Dir(upper))); err != nil {
		return err
	}
	s.synced.Store(dir, true)
	return nil
}

// blob is a file that is open. It embeds the file, so that it is a syscall.Conn.
type blob struct {
	*os.File
	size int64
}

func (b *blob) Size() int64 { return b.size }

// LocalFile implements [blocks.LocalBlob].
func (b *blob) LocalFile() *os.File { return b.File }

// Open implements [blocks.Blobs].
func (s *Store) Open(ctx context.Context, hash blocks.Hash) (blocks.Blob, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.Open(s.path(hash))
	if err != nil {
		return nil, fmt.Errorf("open blob %s: %w", hash, absent(err))
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open blob %s: %w", hash, err)
	}
	return &blob{f, info.Size()}, nil
}

// Stat implements [blocks.Blobs].
func (s *Store) Stat(ctx context.Context, hash blocks.Hash) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	info, err := os.Stat(s.path(hash))
	if err != nil {
		return 0, fmt.Errorf("look for blob %s: %w", hash, absent(err))
	}
	return info.Size(), nil
}

// Delete implements [blocks.Blobs].
func (s *Store) Delete(ctx context.Context, hash blocks.Hash) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	path := s.path(hash)
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("delete blob %s: %w", hash, err)
	}
	return nil
}

// absent has a file that is not there be ErrNotFound.
func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return blocks.ErrNotFound
	}
	return err
}

// full has an error that only means that there is no room be ErrFull.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", blocks.ErrFull, err)
	}
	return err
}

// syncFolder makes what a folder names durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
