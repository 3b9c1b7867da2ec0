package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/heapsync/heapsync/storage/sqlite"
	"github.com/heapsync/heapsync/storage/storetest"
)

func TestStore(t *testing.T) {
	storetest.Store(t, func(t testing.TB, dir string, now func() time.Time) storetest.ClosableStore {
		s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(dir, "heapsync.db"), Now: now})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
