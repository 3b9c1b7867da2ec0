package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/storage/sqlite"
	"github.com/heapsync/heapsync/storage/storetest"
)

func TestAuthStore(t *testing.T) {
	storetest.Auth(t, func(t testing.TB) auth.Store { return openAuth(t) })
}

func openAuth(t testing.TB) *sqlite.Store {
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "heapsync.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
