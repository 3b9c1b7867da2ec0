package tree_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestOpeningAFileLeavesItsTimeOfAccess(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "a")
	if err := os.WriteFile(path, []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	access := func() syscall.Timespec {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Atim
	}
	if err := os.Chtimes(path, info(t, path).ModTime().Add(-1e15), info(t, path).ModTime()); err != nil { // so that relatime would change it
		t.Fatal(err)
	}
	before := access()
	f, _, err := open(t, root).OpenFile(path)
	if err == nil {
		_, err = f.Read(make([]byte, 1))
	}
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if access() != before {
		t.Error("it has changed")
	}
}

func info(t *testing.T, path string) fs.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}
