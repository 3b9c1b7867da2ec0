package tree_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/heapsync/heapsync/blocks/tree"
)

func open(t *testing.T, path string, never ...string) *tree.Root {
	t.Helper()
	r, err := tree.Open(path, never)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestOnlyRegularFilesWithinARootAreOpened(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	for path, content := range map[string]string{root + "/in.txt": "in", outside + "/out.txt": "out"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(os.Symlink(outside, root+"/link"), syscall.Mkfifo(root+"/pipe", 0o600), os.Mkdir(root+"/dir", 0o700))
	if err != nil {
		t.Fatal(err)
	}
	r := open(t, root)
	f, st, err := r.OpenFile(root + "/in.txt")
	if err != nil || st.Size != 2 || st.Inode == 0 {
		t.Fatalf("%+v, %v", st, err)
	}
	f.Close()
	for path, want := range map[string]error{
		root + "/pipe": tree.ErrIrregular, root + "/dir": tree.ErrIrregular, root + "/none": fs.ErrNotExist,
		outside + "/out.txt": tree.ErrOutside, root + "/../x": tree.ErrOutside, root + "/\x00": tree.ErrOutside,
	} {
		if f, _, err := r.OpenFile(path); !errors.Is(err, want) {
			t.Errorf("%q: %v, %v", path, f, err)
		}
	}
	if f, _, err := r.OpenFile(root + "/link/out.txt"); err == nil {
		t.Errorf("through a link: %s", f.Name())
	}
	if st, _, err := r.Lstat(root + "/in.txt/x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("below a file: %+v, %v", st, err)
	}
}

// visitor remembers what a walk tells.
type visitor struct {
	files, folders, skipped, failed []string
	folder                          func(path string)
}

func (v *visitor) Folder(path string, _ tree.Stat) (bool, error) {
	v.folders = append(v.folders, path)
	if v.folder != nil {
		v.folder(path)
	}
	return true, nil
}

func (v *visitor) Files(_ string, files []tree.File) error {
	for _, f := range files {
		v.files = append(v.files, f.Path)
	}
	return nil
}

func (v *visitor) Skip(path, _ string)       { v.skipped = append(v.skipped, path) }
func (v *visitor) Fail(path string, _ error) { v.failed = append(v.failed, path) }

func TestAFolderThatIsReplacedWhileItIsWalkedIsNotMixedUp(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a/one", "b/two"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o700), os.WriteFile(filepath.Join(root, name), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	v := &visitor{}
	v.folder = func(path string) {
		if path == root+"/a" { // open already: what is told is what is in it, wherever it is now
			if err := errors.Join(os.Rename(root+"/a", root+"/c"), os.Symlink("/etc", root+"/a")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := open(t, root).Walk(t.Context(), root, v); err != nil {
		t.Fatal(err)
	}
	for _, path := range v.files {
		if path != root+"/a/one" && path != root+"/b/two" && path != root+"/c/one" {
			t.Errorf("told of %s", path)
		}
	}
	if len(v.files) < 2 {
		t.Errorf("files %v, failed %v", v.files, v.failed)
	}
}

func TestAWalkEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	root := t.TempDir()
	v := &visitor{folder: func(string) { cancel() }}
	if err := open(t, root).Walk(ctx, root, v); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestTheInnermostRootIsFound(t *testing.T) {
	roots := []string{"/srv/media", "/srv/media/films", "/mnt"}
	for path, want := range map[string]string{
		"/srv/media": "/srv/media", "/srv/media/a": "/srv/media", "/srv/media/films/x": "/srv/media/films", "/srv/media2": "", "/srv": "", "/mnt/x": "/mnt",
	} {
		if got, ok := tree.Within(roots, path); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", path, got, ok)
		}
	}
}
