package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/heapsync/heapsync/storage/sqlite"
	"github.com/heapsync/heapsync/storage/storetest"
)

func TestIndex(t *testing.T) {
	storetest.Index(t, func(t testing.TB, dir string) storetest.ClosableIndex {
		x, err := sqlite.OpenIndex(t.Context(), sqlite.IndexConfig{Path: filepath.Join(dir, "index.db")})
		if err != nil {
			t.Fatal(err)
		}
		return x
	})
}
