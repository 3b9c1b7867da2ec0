package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/heapsync/heapsync/ydoc"
)

// benchHeap is the id of the heap that is measured.
const benchHeap = "bench"

// benchClient fills a heap and asks for it.
type benchClient struct {
	*demoDevice
	token string
}

func (c *benchClient) login(ctx context.Context) (err error) {
	c.token, err = c.demoDevice.login(ctx)
	return err
}

func (c *benchClient) call(ctx context.Context, path string, body, answer any) error {
	return c.demoDevice.call(ctx, path, c.token, body, answer)
}

// benchItems is how many updates a request has.
const benchItems = 1000

// fill writes the blocks, one after the other finished, as an import or a device that
// has been offline does: each update is an update of the log.
func (c *benchClient) fill(ctx context.Context, blocks, perBlock int) error {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(2)
	batch := max(1, benchItems/perBlock)
	for from := 0; from < blocks && ctx.Err() == nil; from += batch {
		work.Go(func() error {
			notes := make([]*benchNote, 0, batch)
			for i := from; i < min(from+batch, blocks); i++ {
				notes = append(notes, newBenchNote(i))
			}
			for done := 0; done < perBlock; {
				// As many rounds as fit in a request: a block may be in it several times.
				rounds := min(max(1, benchItems/len(notes)), perBlock-done)
				items := make([]map[string]any, 0, rounds*len(notes))
				for range rounds {
					for _, n := range notes {
						items = append(items, map[string]any{"block_id": n.id, "workspace_id": benchHeap, "update": n.next(), "type": "note"})
					}
				}
				done += rounds
				if err := c.push(ctx, items); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return work.Wait()
}

func (c *benchClient) push(ctx context.Context, items []map[string]any) error {
	var answer struct {
		Results []struct {
			Status string
			Error  any
		}
	}
	if err := c.call(ctx, "/api/sync/push", map[string]any{"blocks": items}, &answer); err != nil {
		return err
	}
	for _, r := range answer.Results {
		if r.Status != "applied" {
			return fmt.Errorf("an update was not applied: %s %v", r.Status, r.Error)
		}
	}
	return nil
}

// benchNote is a note that somebody types.
type benchNote struct {
	id  string
	doc *ydoc.Doc
	rng *rand.Rand
	n   int
}

func benchID(i int) string { return fmt.Sprintf("note-%07d", i) }

func newBenchNote(i int) *benchNote {
	rng := rand.New(rand.NewPCG(1, uint64(i)))
	return &benchNote{benchID(i), ydoc.NewDoc(ydoc.Options{ClientID: ydoc.ClientID(rng.Uint32())}), rng, i}
}

// next is the next edit, in base64: the title first, then a few words each.
func (n *benchNote) next() string {
	text := n.doc.Text("content")
	tx := n.doc.Transact(func() {
		if text.Len() == 0 {
			m := n.doc.Map("block")
			m.Set("type", []string{"note", "note", "note", "task", "folder"}[n.rng.IntN(5)])
			m.Set("title", fmt.Sprintf("%s %s %d", n.word(), n.word(), n.n))
			if n.n > 0 {
				m.Set("parent", benchID(n.rng.IntN(n.n)/100))
			}
		}
		var words strings.Builder
		for range 2 + n.rng.IntN(4) {
			words.WriteString(n.word())
			words.WriteByte(' ')
		}
		text.Insert(text.Len(), words.String())
	})
	return base64.StdEncoding.EncodeToString(tx.Update(ydoc.V1))
}

// benchSyllables make words of which few are frequent and many are rare.
var benchSyllables = strings.Fields("ba ke li mo nu ra se ti vo wu da fe gi ho ju pa")

func (n *benchNote) word() string {
	rank := int(n.rng.ExpFloat64() * 300)
	var word strings.Builder
	for {
		word.WriteString(benchSyllables[rank%len(benchSyllables)])
		if rank /= len(benchSyllables); rank == 0 {
			return word.String()
		}
	}
}

// waitIndexed returns when lists know of all blocks.
func (c *benchClient) waitIndexed(ctx context.Context, blocks int) error {
	for {
		if err := c.login(ctx); err != nil { // a token does not live for ever
			return err
		}
		var count struct{ Total int }
		if err := c.call(ctx, "/api/heap_count", map[string]any{"heap_id": benchHeap}, &count); err != nil {
			return err
		}
		if count.Total >= blocks {
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// benchMeasure is one request that is measured. run says in a word what came.
type benchMeasure struct {
	name string
	run  func(ctx context.Context, i int) (string, error)
}

func (c *benchClient) measures(blocks int) []benchMeasure {
	post := func(path string, body func(i int) map[string]any) func(context.Context, int) (string, error) {
		return func(ctx context.Context, i int) (string, error) {
			var answer struct {
				Blocks []struct{ Status string }
				Total  *int
			}
			if err := c.call(ctx, path, body(i), &answer); err != nil {
				return "", err
			}
			switch {
			case answer.Total != nil:
				return fmt.Sprint(*answer.Total), nil
			case len(answer.Blocks) == 0:
				return "", errors.New("nothing came")
			}
			return fmt.Sprintf("%d blocks", len(answer.Blocks)), nil
		}
	}
	heap := func(more map[string]any) func(int) map[string]any {
		more["heap_id"] = benchHeap
		return func(int) map[string]any { return more }
	}
	some := func(i, n int) []map[string]any { // spread over the heap
		items := make([]map[string]any, 0, n)
		for k := range min(n, blocks) {
			items = append(items, map[string]any{"block_id": benchID((i*7919 + k*max(blocks/n, 1)) % blocks), "workspace_id": benchHeap})
		}
		return items
	}
	return []benchMeasure{
		{"delta, first page of 1,000", c.delta("0")},
		{"delta, page of 1,000 half way", c.delta(c.half(blocks))},
		{"pull 1,000 blocks whole", post("/api/sync/pull", func(i int) map[string]any { return map[string]any{"blocks": some(i, 1000)} })},
		{"contents, first page of 100", post("/api/heap", heap(map[string]any{}))},
		{"contents by title, 100", post("/api/heap", heap(map[string]any{"sort": "title"}))},
		{"contents of a parent", post("/api/heap", heap(map[string]any{"parent": benchID(0)}))},
		{"count", post("/api/heap_count", heap(map[string]any{}))},
		{"search a frequent word", post("/api/heap", heap(map[string]any{"query": "ba"}))},
		{"search two words", post("/api/heap", heap(map[string]any{"query": "kera limo"}))},
		{"search a rare prefix", post("/api/heap", heap(map[string]any{"query": "pajuk"}))},
		{"one block", func(ctx context.Context, i int) (string, error) {
			return "", c.call(ctx, "/api/block/"+benchID(i*7919%blocks), map[string]any{"heap_id": benchHeap}, nil)
		}},
		{"digest, from the root to a leaf", func(ctx context.Context, i int) (string, error) { return c.descend(ctx, i) }},
		{"list of heaps", func(ctx context.Context, _ int) (string, error) {
			return "", c.call(ctx, "/api/heaps", map[string]any{}, nil)
		}},
	}
}

// descend follows the tree of hashes down to blocks.
func (c *benchClient) descend(ctx context.Context, i int) (string, error) {
	prefix := ""
	for trips := 1; ; trips++ {
		var node struct {
			Children []struct{ Prefix string }
			Blocks   []struct{ Hash string }
		}
		if err := c.call(ctx, "/api/heap/digest", map[string]any{"heap_id": benchHeap, "prefix": prefix}, &node); err != nil {
			return "", err
		}
		if len(node.Children) == 0 {
			return fmt.Sprintf("%d round trips", trips), nil
		}
		prefix = node.Children[i%len(node.Children)].Prefix
	}
}

// half is a cursor in the middle of the heap's changes: updates are pushed in rounds, so
// that it is about that of the blocks in the middle.
func (c *benchClient) half(blocks int) string {
	var pulled struct{ Blocks []struct{ Seq int64 } }
	err := c.call(context.Background(), "/api/sync/pull", map[string]any{"blocks": []map[string]any{
		{"block_id": benchID(blocks / 2), "workspace_id": benchHeap},
	}}, &pulled)
	if err != nil || len(pulled.Blocks) == 0 {
		return "0"
	}
	return fmt.Sprint(pulled.Blocks[0].Seq)
}

func (c *benchClient) delta(cursor string) func(context.Context, int) (string, error) {
	return func(ctx context.Context, _ int) (string, error) {
		var page struct {
			Changed []struct{} `json:"changed_blocks"`
			Total   int64      `json:"total_changed"`
		}
		q := url.Values{"workspace_id": {benchHeap}, "limit": {"1000"}, "cursor": {cursor}}
		if err := c.get(ctx, "/api/sync/delta?"+q.Encode(), c.token, &page); err != nil {
			return "", err
		}
		return fmt.Sprintf("%d of %d", len(page.Changed), page.Total), nil
	}
}
