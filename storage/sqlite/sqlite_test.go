// Inside the package, to look at each pooled connection.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mattn/go-sqlite3"

	"github.com/heapsync/heapsync/blocks"
)

func TestEveryConnectionIsSetUpAsPromised(t *testing.T) {
	s := openTest(t, Config{Readers: 50, Path: filepath.Join(t.TempDir(), "odd name?&#%.db")})
	ctx := t.Context()
	check := func(name string, conn *sql.Conn, queryOnly int) {
		t.Helper()
		for _, p := range []struct {
			pragma string
			ok     func(v string) bool
		}{
			{"synchronous", func(v string) bool { return v == "2" }},
			{"journal_mode", func(v string) bool { return v == "wal" }},
			{"foreign_keys", func(v string) bool { return v == "1" }},
			{"busy_timeout", func(v string) bool { return len(v) >= 5 || v >= "5000" && len(v) == 4 }},
			{"wal_autocheckpoint", func(v string) bool { return v == "0" }},
			{"query_only", func(v string) bool { return v == fmt.Sprint(queryOnly) }},
			{"temp_store", func(v string) bool { return v == "2" }},
		} {
			var v string
			if err := conn.QueryRowContext(ctx, "PRAGMA "+p.pragma).Scan(&v); err != nil || !p.ok(v) {
				t.Errorf("%s: %s is %s, %v", name, p.pragma, v, err)
			}
		}
	}
	for i := range 50 {
		conn, err := s.readers.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		check(fmt.Sprint("reader ", i), conn, 1)
	}
	err := s.write(ctx, func(x *tx) error {
		check("writer", x.w.conn, 0)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if _, v, _ := sqlite3.Version(); v < 3_051_003 {
		t.Errorf("SQLite is %d", v)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "heapsync.db")
	s := openTest(t, Config{Path: path})
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := command(t, "second", dir).CombinedOutput(); err != nil || !strings.Contains(string(out), "in use by another heapsync process") {
		t.Errorf("second process: %v\n%s", err, out)
	}
	if _, err := Open(t.Context(), Config{Path: path}); !errors.Is(err, ErrLocked) {
		t.Errorf("second Open: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the database was written to (%v)", err)
	}
	if err := s.CreateHeap(t.Context(), blocks.Heap{ID: "h", Owner: "ada"}); err != nil {
		t.Error(err)
	}
	shared := openTest(t, Config{Path: path, Shared: true})
	if _, err := shared.Heap(t.Context(), "h"); err != nil {
		t.Error(err)
	}
	if err := shared.CreateHeap(t.Context(), blocks.Heap{ID: "i", Owner: "ada"}); err != nil {
		t.Error(err)
	}
}

func init() {
	children["second"] = func(dir string) {
		_, err := Open(context.Background(), Config{Path: filepath.Join(dir, "heapsync.db")})
		fmt.Println(err)
	}
}

func TestSharedMakesNoDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "heapsync.db")
	if s, err := Open(t.Context(), Config{Path: path, Shared: true}); err == nil {
		s.Close()
		t.Error("opened a database that is not there")
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("made a file: %v", err)
	}
}

// alter runs a statement on a closed database.
func alter(t *testing.T, path, query string) {
	t.Helper()
	db := sql.OpenDB(connector{cfg: Config{Path: path}})
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatal(err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "heapsync.db")
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	alter(t, path, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`)
	for _, shared := range []bool{false, true} {
		_, err := Open(t.Context(), Config{Path: path, Shared: shared})
		if !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "version 99") {
			t.Errorf("shared=%v: %v", shared, err)
		}
	}
}

func TestOlderSchemaIsCopiedAndMigrated(t *testing.T) {
	path := oldDatabase(t)
	ctx := t.Context()
	if _, err := Open(ctx, Config{Path: path, Shared: true}); !errors.Is(err, ErrSchema) {
		t.Errorf("shared: %v", err)
	}
	if copies := glob(t, path+".before-*"); len(copies) != 0 {
		t.Errorf("copies before a migration: %q", copies)
	}
	s := openTest(t, Config{Path: path})
	if _, err := s.Heap(ctx, "h"); err != nil {
		t.Error(err)
	}
	copies := glob(t, path+".before-*")
	if len(copies) != 1 {
		t.Fatalf("copies: %q, want one", copies)
	}
	db := sql.OpenDB(connector{cfg: Config{Path: copies[0]}})
	defer db.Close()
	var heaps, version int
	err := db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM heaps), (SELECT max(version_id) FROM goose_db_version)`).Scan(&heaps, &version)
	if err != nil || heaps != 1 || version != 3 {
		t.Errorf("the copy has %d heaps, version %d, %v", heaps, version, err)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return names
}
