package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	// batch is how many entries of a folder are looked at together.
	batch = 256
	// maxDepth is how deep folders may nest, each of which takes two file handles while
	// what is in it is walked.
	maxDepth = 100
	// maxPath is how long a path may be.
	maxPath = 4096
)

// File is a regular file that a walk came to.
type File struct {
	Path string
	Stat
}

// Visitor is told what a walk comes to. An error that it returns ends the walk.
type Visitor interface {
	// Folder is called for each folder, before what is in it, and says whether that is
	// to be walked: the folders that it did not enter before this one is left, and then
	// the files, are not told.
	Folder(path string, st Stat) (enter bool, err error)
	// Files is called with files of one folder, some of them at a time. The slice is
	// the visitor's.
	Files(folder string, files []File) error
	// Skip is called for what is neither a folder nor a file, or may not be read.
	Skip(path, why string)
	// Fail is called for a folder or file that could not be looked at. What is in a
	// folder may have been told in part.
	Fail(path string, err error)
}

// Reasons of Skip.
const (
	SkipLink      = "link"
	SkipIrregular = "not a regular file"
	SkipSystem    = "not files" // of the system, or the server's own
)

// Walk tells v what is in a folder, and in those within. The order is that of the system.
// What it has in memory grows with the depth alone. An error is v's, that of ctx, or that
// the folder itself cannot be read.
func (r *Root) Walk(ctx context.Context, folder string, v Visitor) error {
	at, err := r.openAt(folder)
	if err != nil {
		return err
	}
	defer at.close()
	w := &walker{Root: r, ctx: ctx, v: v}
	return w.walk(at, 0)
}

// openAt opens a folder, entering those on the way to it one by one.
func (r *Root) openAt(folder string) (*dir, error) {
	rel, err := r.relative(folder)
	if err != nil {
		return nil, err
	}
	at, err := r.enterRoot()
	if err != nil || rel == "." {
		return at, err
	}
	for name := range strings.SplitSeq(rel, "/") {
		next, err := r.enter(at, name)
		at.close()
		if err != nil {
			return nil, err
		}
		at = next
	}
	return at, nil
}

// dir is a folder that is open.
type dir struct {
	path   string
	root   *os.Root
	list   *os.File
	stat   Stat
	ignore *ignore
}

func (d *dir) close() {
	_ = d.list.Close()
	_ = d.root.Close()
}

func (r *Root) enterRoot() (*dir, error) {
	root, err := r.root.OpenRoot(".")
	if err != nil {
		return nil, err
	}
	return r.open(root, r.path, &ignore{base: slashed(r.path), rules: litterRules}, 0)
}

func slashed(path string) string { return strings.TrimSuffix(path, "/") + "/" }

// enter opens a folder in a folder: no link, and nothing that may not be read.
func (r *Root) enter(in *dir, name string) (*dir, error) {
	info, err := in.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, ErrOutside
	}
	return r.enterAs(in, name, info)
}

func (r *Root) enterAs(in *dir, name string, info fs.FileInfo) (*dir, error) {
	root, err := in.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	if err := r.check(root, info); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return r.open(root, slashed(in.path)+name, in.ignore, in.stat.Dev)
}

// open reads what there is to know of a folder before it is listed. dev is the device of
// the one that it is in.
func (r *Root) open(root *os.Root, path string, above *ignore, dev uint64) (*dir, error) {
	list, err := openQuietly(root, ".", syscall.O_DIRECTORY)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	d := &dir{path: path, root: root, list: list, ignore: above}
	info, err := list.Stat()
	if err == nil {
		if d.stat = statOf(info); d.stat.Dev != dev && pseudo(list) {
			err = ErrOutside
		}
	}
	if err == nil {
		err = d.readIgnore()
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *dir) readIgnore() error {
	info, err := d.root.Lstat(IgnoreName)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil
	}
	if err != nil {
		return err
	}
	f, _, err := openFile(d.root, IgnoreName)
	if err != nil { // to go on without would take in what somebody wants left out
		return fmt.Errorf("read %s: %w", IgnoreName, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxIgnoreFile+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", IgnoreName, err)
	}
	if len(text) > maxIgnoreFile {
		text = text[:bytes.LastIndexByte(text[:maxIgnoreFile], '\n')+1]
	}
	if rules := parseRules(text); len(rules) > 0 {
		d.ignore = &ignore{above: d.ignore, base: slashed(d.path), rules: rules}
	}
	return nil
}

type walker struct {
	*Root
	ctx context.Context
	v   Visitor
}

func (w *walker) walk(d *dir, depth int) error {
	enter, err := w.v.Folder(d.path, d.stat)
	if err != nil || !enter {
		return err
	}
	for {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		entries, err := d.list.ReadDir(batch)
		if err := w.entries(d, entries, depth); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			w.v.Fail(d.path, err)
			return nil
		}
	}
}

func (w *walker) entries(d *dir, entries []fs.DirEntry, depth int) error {
	var files []File
	var folders []fs.FileInfo
	for _, e := range entries {
		path := slashed(d.path) + e.Name()
		if len(path) > maxPath {
			w.v.Fail(path, syscall.ENAMETOOLONG)
			continue
		}
		if d.ignore.ignores(path, e.IsDir()) {
			continue
		}
		info, err := d.root.Lstat(e.Name())
		switch {
		case errors.Is(err, fs.ErrNotExist): // it has just gone
		case err != nil:
			w.v.Fail(path, err)
		case info.IsDir():
			folders = append(folders, info)
		case info.Mode().IsRegular():
			files = append(files, File{path, statOf(info)})
		case info.Mode()&fs.ModeSymlink != 0:
			w.v.Skip(path, SkipLink)
		default:
			w.v.Skip(path, SkipIrregular)
		}
	}
	if len(files) > 0 {
		if err := w.v.Files(d.path, files); err != nil {
			return err
		}
	}
	for _, info := range folders {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.folder(d, info, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) folder(in *dir, info fs.FileInfo, depth int) error {
	path := slashed(in.path) + info.Name()
	if depth > maxDepth {
		w.v.Fail(path, fmt.Errorf("more than %d folders deep", maxDepth))
		return nil
	}
	d, err := w.enterAs(in, info.Name(), info)
	switch {
	case errors.Is(err, ErrOutside):
		w.v.Skip(path, SkipSystem)
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		w.v.Fail(path, err)
		return nil
	}
	defer d.close()
	return w.walk(d, depth)
}

// Clean returns an absolute path that names something below "/", without "." and "..".
func Clean(path string) (string, bool) {
	if !filepath.IsAbs(path) || len(path) > maxPath || strings.ContainsRune(path, 0) {
		return "", false
	}
	return filepath.Clean(path), true
}

// CheckFolder says whether Walk could begin at a folder. Errors: ErrOutside, fs.ErrNotExist.
func (r *Root) CheckFolder(folder string) error {
	d, err := r.openAt(folder)
	if err == nil {
		d.close()
	}
	return err
}
