package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/heapsync/heapsync/blocks"
)

// writerBlock is one writer of a benchmark and its block.
type writerBlock struct {
	commit blocks.BlockCommit
	batch  blocks.Batch
}

func newWriterBlock(heap blocks.HeapID, n int) *writerBlock {
	w := &writerBlock{}
	w.commit.Head = blocks.Head{
		Key:         blocks.BlockKey{Heap: heap, Block: blocks.BlockID(fmt.Sprintf("block-%06d", n))},
		SyncVersion: 1, StateVector: make([]byte, 12),
	}
	w.batch.Blocks = []*blocks.BlockCommit{&w.commit}
	return w
}

// fill makes the commit one of n updates of 30 bytes.
func (w *writerBlock) fill(n int) {
	if cap(w.commit.Updates) < n {
		w.commit.Updates = make([]blocks.LoggedUpdate, n)
		for i := range w.commit.Updates {
			w.commit.Updates[i] = blocks.LoggedUpdate{User: "user", Session: "session", Bytes: make([]byte, 30)}
		}
	}
	w.commit.Updates = w.commit.Updates[:n]
	w.commit.Head.Bytes += int64(30 * n)
}

func openBench(b *testing.B) *Store {
	b.Helper()
	s, err := Open(b.Context(), Config{Path: filepath.Join(b.TempDir(), "heapsync.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	if err := s.CreateHeap(b.Context(), blocks.Heap{ID: "h", Owner: "user"}); err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkCommitters: each writer has a block of its own, commits updates and
// waits until they are on disk. An op is one update.
func BenchmarkCommitters(b *testing.B) {
	for _, bm := range []struct{ writers, each int }{{1, 1}, {100, 1}, {100, 10}, {100, 50}, {1000, 1}} {
		b.Run(fmt.Sprintf("writers=%d/updates=%d", bm.writers, bm.each), func(b *testing.B) {
			s := openBench(b)
			b.ResetTimer()
			var wg sync.WaitGroup
			rounds := b.N/(bm.writers*bm.each) + 1
			for n := range bm.writers {
				wg.Go(func() {
					w := newWriterBlock("h", n)
					for range rounds {
						w.fill(bm.each)
						if err := s.Commit(context.Background(), &w.batch); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(rounds*bm.writers*bm.each)/b.Elapsed().Seconds(), "updates/s")
		})
	}
}

// BenchmarkBatch is what the domain's committer does: one commit at a time, for
// many blocks.
func BenchmarkBatch(b *testing.B) {
	for _, bm := range []struct{ blocks, each int }{{1, 1000}, {100, 1}, {100, 10}, {1000, 1}} {
		b.Run(fmt.Sprintf("blocks=%d/updates=%d", bm.blocks, bm.each), func(b *testing.B) {
			s := openBench(b)
			var batch blocks.Batch
			var all []*writerBlock
			for n := range bm.blocks {
				all = append(all, newWriterBlock("h", n))
				batch.Blocks = append(batch.Blocks, &all[n].commit)
			}
			b.ResetTimer()
			rounds := b.N/(bm.blocks*bm.each) + 1
			for range rounds {
				for _, w := range all {
					w.fill(bm.each)
				}
				if err := s.Commit(context.Background(), &batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(rounds*bm.blocks*bm.each)/b.Elapsed().Seconds(), "updates/s")
		})
	}
}

// BenchmarkRivals appends the same rows in ways the store could have chosen: a
// statement for each row, and a table clustered by block. 1,000 rows of 100 blocks
// are a transaction. An op is one update.
func BenchmarkRivals(b *testing.B) {
	for _, bm := range []struct{ name, schema, insert string }{
		{"row-by-row", `CREATE TABLE u (seq INTEGER PRIMARY KEY, block INTEGER, prev INTEGER, actor INTEGER, at INTEGER, crc INTEGER, bytes BLOB) STRICT`,
			`INSERT INTO u (seq, block, prev, actor, at, crc, bytes) VALUES (?, ?, ?, 1, 1795390336958, 3000000000, ?)`},
		{"clustered", `CREATE TABLE u (seq INTEGER, block INTEGER, prev INTEGER, actor INTEGER, at INTEGER, crc INTEGER, bytes BLOB, PRIMARY KEY (block, seq)) STRICT, WITHOUT ROWID`,
			`INSERT INTO u (seq, block, prev, actor, at, crc, bytes) VALUES (?, ?, ?, 1, 1795390336958, 3000000000, ?)`},
	} {
		b.Run(bm.name, func(b *testing.B) {
			db := sql.OpenDB(connector{cfg: Config{Path: filepath.Join(b.TempDir(), "rival.db")}})
			defer db.Close()
			db.SetMaxOpenConns(1)
			if _, err := db.Exec(bm.schema + "; PRAGMA wal_autocheckpoint = 4000"); err != nil {
				b.Fatal(err)
			}
			bytes := make([]byte, 30)
			b.ResetTimer()
			for seq := 0; seq < b.N; {
				t, err := db.Begin()
				if err != nil {
					b.Fatal(err)
				}
				p, err := t.Prepare(bm.insert)
				if err != nil {
					b.Fatal(err)
				}
				for range 1000 {
					seq++
					if _, err := p.Exec(seq, seq%100, seq-100, bytes); err != nil {
						b.Fatal(err)
					}
				}
				if err := t.Commit(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
		})
	}
}

// BenchmarkOpenBlock reads a block with a snapshot of 250 KB and 100 updates.
func BenchmarkOpenBlock(b *testing.B) {
	s := openBench(b)
	ctx := context.Background()
	w := newWriterBlock("h", 1)
	w.fill(10)
	if err := s.Commit(ctx, &w.batch); err != nil {
		b.Fatal(err)
	}
	if err := s.SaveSnapshot(ctx, blocks.Snapshot{Ref: w.commit.Head.Ref, Seq: w.commit.Head.Seq, State: textLike(250_000)}); err != nil {
		b.Fatal(err)
	}
	for range 100 {
		w.fill(1)
		if err := s.Commit(ctx, &w.batch); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, snap, tail, err := s.State(ctx, w.commit.Head.Key); err != nil || len(snap.State) != 250_000 || len(tail) != 100 {
			b.Fatal(len(snap.State), len(tail), err)
		}
	}
}

// textLike returns n bytes that compress about as well as a document does.
func textLike(n int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	var words [500]string
	for i := range words {
		words[i] = fmt.Sprintf("%x", rng.Uint32()>>(rng.IntN(20)))
	}
	out := make([]byte, 0, n+16)
	for len(out) < n {
		out = append(out, words[rng.IntN(len(words))]...)
		out = append(out, ' ', byte(rng.Uint32()))
	}
	return out[:n]
}
