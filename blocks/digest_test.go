package blocks_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/blocks"
)

// differing walks down where the digests of two moments differ, as a client would,
// and returns the blocks that do and how many nodes it asked for.
func differing(w *world, before map[string]blocks.Digest, prefix string) (changed []blocks.BlockID, asked int) {
	w.t.Helper()
	now, err := w.Digest(w.t.Context(), "eve", "h", prefix)
	if err != nil {
		w.t.Fatal(err)
	}
	asked = 1
	old := before[prefix]
	for _, b := range now.Blocks {
		if !slices.Contains(old.Blocks, b) {
			changed = append(changed, b.Block)
		}
	}
	for _, c := range now.Children {
		if before[c.Prefix].Hash != c.Hash {
			more, n := differing(w, before, c.Prefix)
			changed, asked = append(changed, more...), asked+n
		}
	}
	return changed, asked
}

// digestOf is a node's hash as it is defined.
func (w *world) digestOf(prefix string) string {
	sums := map[string][32]byte{}
	err := w.store.Seqs(w.t.Context(), "h", func(block blocks.BlockID, seq blocks.Seq) {
		if place := fmt.Sprintf("%x", sha256.Sum256([]byte(block))); strings.HasPrefix(place, prefix) {
			sums[place] = sha256.Sum256(fmt.Appendf(nil, "%s/%d", block, seq))
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
	h := sha256.New()
	for _, place := range slices.Sorted(maps.Keys(sums)) {
		sum := sums[place]
		h.Write(sum[:])
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:16])
}

func TestDigestFindsTheBlocksThatChanged(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	const n = 2000
	var items []blocks.PushItem
	for i := range n {
		items = append(items, blocks.PushItem{Target: blocks.Target{Heap: "h", Block: fmt.Sprint("b", i)}, Update: word(1, 0, "a")})
	}
	for _, res := range w.Push(t.Context(), blocks.Author{User: "ada"}, items) {
		w.want(res, blocks.StatusApplied, "")
	}
	before := map[string]blocks.Digest{}
	var remember func(prefix string) int
	remember = func(prefix string) int {
		d, err := w.Digest(t.Context(), "ada", "h", prefix)
		if err != nil {
			t.Fatal(err)
		}
		before[prefix] = d
		count := len(d.Blocks)
		for _, c := range d.Children {
			if got := remember(c.Prefix); got != c.Count || before[c.Prefix].Hash != c.Hash {
				t.Errorf("%q: %d blocks %s, its parent says %d, %s", c.Prefix, got, before[c.Prefix].Hash, c.Count, c.Hash)
			}
			count += c.Count
		}
		return count
	}
	if count := remember(""); count != n {
		t.Errorf("%d blocks of %d", count, n)
	}
	for prefix, d := range before {
		if want := w.digestOf(prefix); d.Hash != want {
			t.Errorf("%q has the hash %s, want %s", prefix, d.Hash, want)
		}
	}
	w.put("ada", "b7", word(1, 1, "b"))
	w.put("ada", "b1234", word(1, 1, "b"))
	w.put("ada", "new", word(1, 0, "a"))
	changed, asked := differing(w, before, "")
	slices.Sort(changed)
	if want := []blocks.BlockID{"b1234", "b7", "new"}; !slices.Equal(changed, want) || asked > 7 {
		t.Errorf("found %v with %d questions, want %v", changed, asked, want)
	}
}

func TestDigestIsForReaders(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	if _, err := w.Digest(t.Context(), "mallory", "h", ""); !errors.Is(err, blocks.ErrNotFound) {
		t.Errorf("a stranger: %v", err)
	}
	if _, err := w.Digest(t.Context(), "ada", "h", "xyz"); !errors.Is(err, blocks.ErrInvalid) {
		t.Errorf("no prefix: %v", err)
	}
	d, err := w.Digest(t.Context(), "ada", "h", "")
	if err != nil || d.Count != 0 || d.Hash == "" {
		t.Errorf("an empty heap: %+v, %v", d, err)
	}
}
