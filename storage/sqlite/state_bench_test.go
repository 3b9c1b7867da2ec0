package sqlite_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/sqlite"
)

// BenchmarkState reads blocks that were edited so often since their last snapshot.
func BenchmarkState(b *testing.B) {
	s, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(b.TempDir(), "heapsync.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := s.CreateHeap(b.Context(), blocks.Heap{ID: "h", Name: "Heap", Owner: "ada"}); err != nil {
		b.Fatal(err)
	}
	for _, tail := range []int{0, 1, 50, 500} {
		key := blocks.BlockKey{Heap: "h", Block: blocks.BlockID(fmt.Sprint("tail", tail))}
		c := &blocks.BlockCommit{Head: blocks.Head{Key: key, SyncVersion: 1}}
		for range max(tail, 1) {
			c.Updates = append(c.Updates, blocks.LoggedUpdate{User: "ada", Session: "s", Bytes: []byte(strings.Repeat("x", 30))})
		}
		if err := s.Commit(b.Context(), &blocks.Batch{Blocks: []*blocks.BlockCommit{c}}); err != nil {
			b.Fatal(err)
		}
		if tail == 0 {
			if err := s.SaveSnapshot(b.Context(), blocks.Snapshot{Ref: c.Head.Ref, Seq: c.Head.Seq, State: make([]byte, 1000)}); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(fmt.Sprint("tail=", tail), func(b *testing.B) {
			for b.Loop() {
				if _, _, got, err := s.State(b.Context(), key); err != nil || len(got) != tail {
					b.Fatalf("%d updates, %v", len(got), err)
				}
			}
		})
	}
}
