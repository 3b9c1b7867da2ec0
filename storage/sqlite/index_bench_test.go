package sqlite

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/blocks"
)

var indexRows = flag.Int("indexrows", 10_000, "blocks of the largest index that is measured, from 10,000 on, ten times as many each")

// fillIndex projects n blocks of some 100 words, of which few are common and most rare,
// as in texts.
func fillIndex(b *testing.B, n int) *Index {
	b.Helper()
	x, err := OpenIndex(b.Context(), IndexConfig{Path: filepath.Join(b.TempDir(), "index.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { x.Close() })
	rng := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(rng, 1.1, 1, 50_000)
	words := make([]string, 50_001)
	for i := range words {
		var w strings.Builder
		for range 2 + rng.IntN(8) {
			w.WriteByte(byte('a' + rng.IntN(26)))
		}
		words[i] = w.String()
	}
	words[0], words[1], words[100], words[20_000] = "the", "workspace", "seldom", "zyzzyva"
	text := func(n int) string {
		var t strings.Builder
		for range n {
			t.WriteString(words[zipf.Uint64()])
			t.WriteByte(' ')
		}
		return t.String()
	}
	types := []string{"note", "note", "note", "task", "file"}
	for at := 0; at < n; {
		var batch blocks.IndexBatch
		for range min(2000, n-at) {
			at++
			batch.Projections = append(batch.Projections, blocks.Projection{
				Entry: blocks.Entry{
					Key: blocks.BlockKey{Heap: "h", Block: blocks.BlockID(fmt.Sprintf("block-%07d", at))}, Seq: blocks.Seq(at),
					Type: types[rng.IntN(len(types))], Title: text(4), Parent: blocks.BlockID(fmt.Sprint("folder-", rng.IntN(100))),
					CreatedAt: rng.Int64N(1e12), UpdatedAt: int64(at), Size: rng.Int64N(10_000), SyncVersion: 1,
				},
				Text: text(100),
			})
		}
		if err := x.Project(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
	}
	return x
}

// BenchmarkIndex asks heaps of several sizes for a page of 100 blocks, and for the
// candidates of searches as one search does.
func BenchmarkIndex(b *testing.B) {
	ctx := context.Background()
	folder := blocks.BlockID("folder-7")
	for n := 10_000; n <= *indexRows; n *= 10 {
		x := fillIndex(b, n)
		list := func(name string, f blocks.Filter, by blocks.SortKey, after any) {
			f.Heap = "h"
			l := blocks.Listing{Filter: f, By: by, Descending: by != blocks.ByTitle, Limit: 100}
			if after != nil {
				l.After = &blocks.Place{Value: after, ID: 1}
			}
			b.Run(fmt.Sprintf("blocks=%d/list=%s", n, name), func(b *testing.B) {
				for b.Loop() {
					if page, err := x.List(ctx, l); err != nil || len(page) == 0 {
						b.Fatal(len(page), err)
					}
				}
			})
		}
		list("updated", blocks.Filter{}, blocks.ByUpdated, nil)
		list("updated-middle", blocks.Filter{}, blocks.ByUpdated, int64(n/2))
		list("title-middle", blocks.Filter{}, blocks.ByTitle, "m")
		list("size-of-type", blocks.Filter{Type: "task"}, blocks.BySize, nil)
		list("created-in-folder", blocks.Filter{Parent: &folder}, blocks.ByCreated, nil)
		list("title-in-folder-of-type", blocks.Filter{Parent: &folder, Type: "file"}, blocks.ByTitle, nil)
		b.Run(fmt.Sprintf("blocks=%d/count", n), func(b *testing.B) {
			for b.Loop() {
				if c, err := x.Count(ctx, blocks.Filter{Heap: "h"}); err != nil || c.Total != int64(n) {
					b.Fatal(c, err)
				}
			}
		})
		for _, query := range []string{"the", "th", "t", "workspace", "works", "the workspace", `"the workspace" se`, "zyzzyva", "the zyzzyva -seldom"} {
			q, err := blocks.ParseQuery(query)
			if err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("blocks=%d/search=%s", n, strings.NewReplacer(" ", "+", `"`, "'").Replace(query)), func(b *testing.B) {
				for b.Loop() {
					for _, inTitle := range []bool{true, false} {
						limit := 1000
						if inTitle {
							limit = 500
						}
						if _, err := x.Search(ctx, []blocks.Filter{{Heap: "h"}}, q, inTitle, limit); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
		b.Run(fmt.Sprintf("blocks=%d/project", n), func(b *testing.B) {
			seq := blocks.Seq(n)
			for b.Loop() {
				seq++
				batch := blocks.IndexBatch{Projections: []blocks.Projection{{Entry: blocks.Entry{
					Key: blocks.BlockKey{Heap: "h", Block: "block-0000007"}, Seq: seq, Type: "note", Title: "the title", UpdatedAt: int64(seq),
				}, Text: fmt.Sprint("the workspace ", seq)}}}
				if err := x.Project(ctx, &batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Every list is read from where it begins in the order of an index: nothing is sorted,
// and nothing but the rows of the page is looked at.
func TestListsAreRangesOfIndexes(t *testing.T) {
	x, err := OpenIndex(t.Context(), IndexConfig{Path: filepath.Join(t.TempDir(), "index.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	parent := blocks.BlockID("p")
	for _, f := range []blocks.Filter{{}, {Type: "t"}, {Parent: &parent}, {Type: "t", Parent: &parent}} {
		for by := range sortColumns {
			for _, descending := range []bool{true, false} {
				for _, l := range []blocks.Listing{{}, {After: &blocks.Place{Value: int64(5), ID: 3}}, {Skip: 7}} {
					l.Filter, l.By, l.Descending, l.Limit = f, by, descending, 10
					query, err := listQuery(l)
					if err != nil {
						t.Fatal(err)
					}
					args := []any{1}
					switch {
					case l.After != nil:
						args = append(args, l.After.Value, l.After.ID)
					case l.Skip > 0:
						args = append(args, l.Skip)
					}
					rows, err := x.readers.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, append(args, 10)...)
					if err != nil {
						t.Fatal(err)
					}
					var plan []string
					for rows.Next() {
						var a, b, c int
						var detail string
						if err := rows.Scan(&a, &b, &c, &detail); err != nil {
							t.Fatal(err)
						}
						plan = append(plan, detail)
					}
					rows.Close()
					all := strings.Join(plan, "; ")
					ranged := l.After == nil && l.Skip == 0 || strings.Contains(all, "(in_") && strings.ContainsAny(all, "<>")
					counted := slices.Contains(plan, "CORRELATED SCALAR SUBQUERY 1") && strings.Contains(all, "SEARCH c USING INDEX") // one row of scopes each
					lines := 4
					if l.Skip > 0 {
						lines = 7 // the place is looked up once
						counted = strings.Contains(all, "SEARCH c USING INDEX") && strings.Contains(all, "SEARCH p USING COVERING INDEX")
					}
					if len(plan) != lines || !counted || !strings.Contains(plan[0], "SEARCH b USING INDEX") || strings.Contains(all, "TEMP B-TREE") || strings.Contains(all, "SCAN") || !ranged {
						t.Errorf("%+v: %s", l, all)
					}
				}
			}
		}
	}
}
