package blocks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/heapsync/heapsync/blocks/tree"
)

var (
	// ErrFileOffline is ErrUnavailable because the file lies in a folder that cannot be read
	// now, or where it was is nothing.
	ErrFileOffline = fmt.Errorf("%w: the file is offline", ErrUnavailable)
	// ErrFileChanged is ErrUnavailable because the file has changed where it lies, and has
	// still to be read anew.
	ErrFileChanged = fmt.Errorf("%w: the file has changed and is read anew", ErrUnavailable)
)

// placedBlobs also opens blobs that lie where a scan found them. They are given out only
// while the file is the one that was hashed, by all that can be told without reading it.
type placedBlobs struct {
	Blobs
	in *Instance
}

func (p *placedBlobs) Open(ctx context.Context, hash Hash) (Blob, error) {
	blob, err := p.Blobs.Open(ctx, hash)
	if !errors.Is(err, ErrNotFound) {
		return blob, err
	}
	return p.in.openPlaced(ctx, hash, err)
}

func (p *placedBlobs) Stat(ctx context.Context, hash Hash) (int64, error) {
	size, err := p.Blobs.Stat(ctx, hash)
	if !errors.Is(err, ErrNotFound) {
		return size, err
	}
	blob, err := p.in.openPlaced(ctx, hash, err)
	if err != nil {
		return 0, err
	}
	defer blob.Close()
	return blob.Size(), nil
}

// maxPlaces is how many copies of a file are tried.
const maxPlaces = 20

// openPlaced opens a file of a hash where it lies. otherwise is the error if it lies
// nowhere.
func (in *Instance) openPlaced(ctx context.Context, hash Hash, otherwise error) (Blob, error) {
	places, err := in.store.PlacesOf(ctx, hash, maxPlaces)
	if err != nil {
		return nil, err
	}
	if len(places) == 0 {
		return nil, otherwise
	}
	roots, err := in.scans.roots(ctx)
	if err != nil {
		return nil, err
	}
	changed := false
	for _, c := range places {
		f, err := in.scans.openAt(roots, c)
		if err == nil {
			return f, nil
		}
		if errors.Is(err, ErrFileChanged) {
			changed = true
			in.scans.look(c)
		}
	}
	if changed {
		return nil, ErrFileChanged
	}
	return nil, ErrFileOffline
}

// openAt opens what was scanned. Errors: ErrFileChanged, and that it cannot be opened.
func (s *scans) openAt(roots []string, c Scanned) (*placedFile, error) {
	dir, ok := tree.Within(roots, c.Path)
	if !ok {
		return nil, tree.ErrOutside
	}
	root, err := tree.Open(dir, s.cfg.Never)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	file, st, err := root.OpenFile(c.Path)
	if err != nil {
		return nil, err
	}
	if !sameFile(st, c.Stat) {
		return nil, errors.Join(ErrFileChanged, file.Close())
	}
	return &placedFile{file, st}, nil
}

// sameFile says whether a file is the one it was. The number of a device is another one
// when a disk comes back, and when a system starts.
func sameFile(a, b tree.Stat) bool {
	return a.Size == b.Size && a.MTime == b.MTime && a.Inode == b.Inode
}

// placedFile is an open file in place. What is read after it has changed is an error.
type placedFile struct {
	file *os.File
	stat tree.Stat
}

// LocalFile implements [LocalBlob].
func (f *placedFile) LocalFile() *os.File { return f.file }

func (f *placedFile) Size() int64  { return f.stat.Size }
func (f *placedFile) Close() error { return f.file.Close() }

func (f *placedFile) Seek(offset int64, whence int) (int64, error) {
	return f.file.Seek(offset, whence)
}

func (f *placedFile) Read(p []byte) (int, error) {
	n, err := f.file.Read(p)
	if changed := f.check(); changed != nil {
		return 0, changed
	}
	return n, err
}

func (f *placedFile) ReadAt(p []byte, at int64) (int, error) {
	n, err := f.file.ReadAt(p, at)
	if changed := f.check(); changed != nil {
		return 0, changed
	}
	return n, err
}

func (f *placedFile) check() error {
	info, err := f.file.Stat()
	if err == nil && (info.Size() != f.stat.Size || info.ModTime().UnixNano() != f.stat.MTime) {
		err = ErrFileChanged
	}
	return err
}

// isGone says whether there is nothing at a path, of whose root that is certain.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
