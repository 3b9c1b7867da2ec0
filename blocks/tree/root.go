package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

var (
	// ErrOutside: the path lies in no folder that may be read, or is no folder there. It
	// says nothing of whether there is anything at the path.
	ErrOutside = errors.New("not in a folder that may be read")
	// ErrChanged: what is there is not what was there before.
	ErrChanged = errors.New("it has changed meanwhile")
	// ErrIrregular: it is neither a folder nor a regular file.
	ErrIrregular = errors.New("neither a folder nor a regular file")
)

// Stat is how a file is told from any other, and from itself after a change.
type Stat struct {
	Size  int64
	MTime int64 // Unix ns
	Dev   uint64
	Inode uint64
}

func statOf(info fs.FileInfo) Stat {
	st := Stat{Size: info.Size(), MTime: info.ModTime().UnixNano()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		st.Dev, st.Inode = uint64(sys.Dev), uint64(sys.Ino) //nolint:unconvert // of other types elsewhere
	}
	return st
}

// Root is a folder that may be read, open. It is safe for concurrent use.
type Root struct {
	path  string
	root  *os.Root
	never []fs.FileInfo
}

// Within returns the innermost of roots that a path lies in.
func Within(roots []string, path string) (root string, ok bool) {
	for _, r := range roots {
		if len(r) > len(root) && under(path, r) {
			root, ok = r, true
		}
	}
	return root, ok
}

// under says whether path is dir, or lies in it. Both are clean.
func under(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// Open opens a folder, which must not be a link, and none of the never folders nor in one.
// Nothing in a never folder will be read. Errors: ErrOutside, and what the system says.
func Open(path string, never []string) (*Root, error) {
	r := &Root{path: path}
	for _, dir := range never {
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", dir, err)
		}
		r.never = append(r.never, info)
	}
	for dir := path; ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && r.isNever(info) {
			return nil, ErrOutside
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, ErrOutside
	}
	if r.root, err = os.OpenRoot(path); err != nil {
		return nil, err
	}
	err = r.check(r.root, info)
	if err == nil && pseudoPath(path) {
		err = ErrOutside
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Close closes the root.
func (r *Root) Close() error { return r.root.Close() }

func (r *Root) isNever(info fs.FileInfo) bool {
	for _, n := range r.never {
		if os.SameFile(n, info) {
			return true
		}
	}
	return false
}

// check says whether an open folder is the one that info was of, and may be read.
func (r *Root) check(dir *os.Root, info fs.FileInfo) error {
	now, err := dir.Stat(".")
	switch {
	case err != nil:
		return err
	case !os.SameFile(now, info):
		return ErrChanged
	case r.isNever(now):
		return ErrOutside
	}
	return nil
}

// relative returns a path as seen from the root.
func (r *Root) relative(path string) (string, error) {
	rel, err := filepath.Rel(r.path, path)
	if err != nil || !filepath.IsLocal(rel) || strings.ContainsRune(rel, 0) {
		return "", ErrOutside
	}
	return rel, nil
}

// Lstat says what is at a path. Errors: fs.ErrNotExist, ErrOutside.
func (r *Root) Lstat(path string) (Stat, fs.FileMode, error) {
	rel, err := r.relative(path)
	if err != nil {
		return Stat{}, 0, err
	}
	info, err := r.root.Lstat(rel)
	if errors.Is(err, syscall.ENOTDIR) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return Stat{}, 0, err
	}
	return statOf(info), info.Mode(), nil
}

// OpenFile opens a regular file. Errors: fs.ErrNotExist, ErrIrregular, ErrOutside.
func (r *Root) OpenFile(path string) (*os.File, Stat, error) {
	rel, err := r.relative(path)
	if err != nil {
		return nil, Stat{}, err
	}
	return openFile(r.root, rel)
}

func openFile(root *os.Root, name string) (*os.File, Stat, error) {
	f, err := openQuietly(root, name, syscall.O_NONBLOCK) // a pipe must not make us wait
	if err != nil {
		return nil, Stat{}, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrIrregular
	}
	if err != nil {
		return nil, Stat{}, errors.Join(err, f.Close())
	}
	return f, statOf(info), nil
}

// openQuietly opens something for reading and leaves its time of access, if we may.
func openQuietly(root *os.Root, name string, flags int) (*os.File, error) {
	if noAccessTime != 0 {
		if f, err := root.OpenFile(name, os.O_RDONLY|noAccessTime|flags, 0); !errors.Is(err, syscall.EPERM) {
			return f, err
		}
	}
	return root.OpenFile(name, os.O_RDONLY|flags, 0)
}

// Pseudo says whether a path is one of the system's own, where there are no files.
func Pseudo(path string) bool { return pseudoPath(path) }
