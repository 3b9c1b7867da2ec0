package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/sqlite"
)

// commitTo appends to a block.
func commitTo(t *testing.T, s *sqlite.Store, key blocks.BlockKey, updates ...string) blocks.Head {
	t.Helper()
	head, err := s.Head(t.Context(), key)
	if err != nil {
		head = blocks.Head{Key: key, SyncVersion: 1}
	}
	c := &blocks.BlockCommit{Head: head}
	for _, u := range updates {
		c.Head.Bytes += int64(len(u))
		c.Updates = append(c.Updates, blocks.LoggedUpdate{User: "ada", Bytes: []byte(u)})
	}
	if err := s.Commit(t.Context(), &blocks.Batch{Blocks: []*blocks.BlockCommit{c}}); err != nil {
		t.Fatal(err)
	}
	return c.Head
}

func TestCheckIsCleanAfterPurges(t *testing.T) {
	s := openAuth(t)
	ctx := t.Context()
	var doomed []blocks.Doomed
	for _, heap := range []blocks.HeapID{"a", "b"} {
		if err := s.CreateHeap(ctx, blocks.Heap{ID: heap, Name: "Heap", Owner: "ada"}); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			head := commitTo(t, s, blocks.BlockKey{Heap: heap, Block: blocks.BlockID(fmt.Sprint(i))}, "x", "yy", "zzz")
			if err := s.SaveSnapshot(ctx, blocks.Snapshot{Ref: head.Ref, Seq: head.Seq, State: []byte("state")}); err != nil {
				t.Fatal(err)
			}
			if i == 1 {
				doomed = append(doomed, blocks.Doomed{Ref: head.Ref})
			}
		}
	}
	clean := func(what string) {
		t.Helper()
		sum, err := s.Check(context.Background(), func(p sqlite.Problem) { t.Errorf("%s: %s", what, p) })
		if err != nil || sum.Blocks == 0 {
			t.Errorf("%s: %+v, %v", what, sum, err)
		}
	}
	for i, key := range []blocks.BlockKey{{Heap: "a", Block: "1"}, {Heap: "a", Block: "2"}, {Heap: "b", Block: "2"}} {
		f := blocks.File{Key: key, Hash: blocks.Hash{byte(i)}, Size: 10, User: "ada", At: 1}
		if err := s.AddFile(ctx, f); err != nil {
			t.Fatal(err)
		}
		up := blocks.Upload{Key: key, Hash: blocks.Hash{9, byte(i)}, Size: 5, ChunkSize: 5, User: "bob", At: 1, LastAt: 1}
		if _, _, err := s.AddUpload(ctx, up, blocks.Quota{}); err != nil {
			t.Fatal(err)
		}
	}
	clean("before")
	if stones, err := s.Purge(ctx, doomed); err != nil || len(stones) != 2 {
		t.Fatalf("purge: %v, %v", stones, err)
	}
	clean("after a purge")
	if err := s.DeleteHeap(ctx, "a", 1, 2); err != nil {
		t.Fatal(err)
	}
	if more, err := s.PurgeHeap(ctx, "a"); err != nil || more {
		t.Fatalf("purge of a heap: %v, %v", more, err)
	}
	clean("after a heap is gone")
	commitTo(t, s, blocks.BlockKey{Heap: "b", Block: "0"}, "more")
	clean("after another commit")
}

// What is counted of files must be what there is of them: a quota is compared with it.
func TestCheckComparesWhatIsCountedOfFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "heapsync.db")
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.CreateHeap(t.Context(), blocks.Heap{ID: "a", Name: "Heap", Owner: "ada"}); err != nil {
		t.Fatal(err)
	}
	up := blocks.Upload{Key: blocks.BlockKey{Heap: "a", Block: "b"}, Size: 5, ChunkSize: 5, User: "bob", At: 1, LastAt: 1}
	if _, _, err := s.AddUpload(t.Context(), up, blocks.Quota{}); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, tt := range []struct {
		sql  string
		want []string
	}{
		{`SELECT 1`, nil},
		{`UPDATE file_usage SET bytes = 6 WHERE kind = 'user'`, []string{"file_usage: user bob: 6 bytes in 1 files, but the rows come to 5 in 1"}},
		{`DELETE FROM file_usage WHERE kind = 'user'`, []string{"file_usage: user bob: 0 bytes in 0 files, but the rows come to 5 in 1"}},
		{`UPDATE file_usage SET kind = 'user', who = 'eve', files = 2`, []string{
			"file_usage: heap 1: 0 bytes in 0 files, but the rows come to 5 in 1",
			"file_usage: user bob: 0 bytes in 0 files, but the rows come to 5 in 1",
			"file_usage: user eve: 5 bytes in 2 files, but the rows come to 0 in 0"}},
	} {
		if _, err := db.ExecContext(t.Context(), tt.sql); err != nil {
			t.Fatal(err)
		}
		var found []string
		if _, err := s.Check(t.Context(), func(p sqlite.Problem) { found = append(found, p.String()) }); err != nil || !slices.Equal(found, tt.want) {
			t.Errorf("after %s: %q, %v", tt.sql, found, err)
		}
	}
}
