package sqlite_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/sqlite"
	"github.com/heapsync/heapsync/storage/storetest"
)

func TestDroppedIndexIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "index.db")
	if err := sqlite.DropIndex(path); err != nil { // there is none
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(dir, "heapsync.db")})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		x, err := sqlite.OpenIndex(t.Context(), sqlite.IndexConfig{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if p, err := x.Progress(t.Context()); err != nil || p != (blocks.Progress{}) {
			t.Errorf("progress of a new index is %+v, %v", p, err)
		}
		if err := x.Project(t.Context(), &blocks.IndexBatch{Progress: blocks.Progress{Through: 5}}); err != nil {
			t.Fatal(err)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		if err := sqlite.DropIndex(path); store != nil && !errors.Is(err, sqlite.ErrLocked) || store == nil && err != nil {
			t.Errorf("dropped: %v", err)
		}
		if store != nil {
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			if store = nil; sqlite.DropIndex(path) != nil {
				t.Error("not dropped")
			}
		}
	}
}

func TestIndex(t *testing.T) {
	storetest.Index(t, func(t testing.TB, dir string) storetest.ClosableIndex {
		x, err := sqlite.OpenIndex(t.Context(), sqlite.IndexConfig{Path: filepath.Join(dir, "index.db")})
		if err != nil {
			t.Fatal(err)
		}
		return x
	})
}
