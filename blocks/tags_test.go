package blocks_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/ydoc"
)

func TestBlocksAreFoundByTheirTags(t *testing.T) {
	w := makeWorld(t, blocks.Limits{}, true)
	apps := func(list ...ydoc.Member) func(*ydoc.Doc) {
		return func(doc *ydoc.Doc) { doc.Map("block").Set("apps", members(list)) }
	}
	w.edit("own", apps(m("tags", members{m("garden", true), m("gone", false)})))
	w.edit("front", apps(m("frontmatter", members{m("tags", []any{"garden", "#winter", 7.0})})))
	w.edit("text", apps(m("frontmatter", members{m("tags", "winter, garden")})))
	w.edit("off", apps(m("frontmatter", members{m("tags", []any{"garden", "winter"})}), m("tags", members{m("garden", false)})))
	w.edit("other", apps(m("frontmatter", "garden"), m("tags", []any{"garden"})))
	w.edit("full", func(doc *ydoc.Doc) {
		doc.Text("body").Insert(0, strings.Repeat("word ", 1<<20))
		doc.Map("block").Set("apps", members{m("tags", members{m("deep", true)})})
	})
	w.settle()
	for query, want := range map[string][]blocks.BlockID{
		"garden": {"front", "own", "text"}, "winter": {"front", "off", "text"}, "gone": nil, "deep": {"full"},
	} {
		found, err := w.Contents(t.Context(), "ada", blocks.ContentsRequest{Filter: blocks.Filter{Heap: "h"}, Query: query, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		var ids []blocks.BlockID
		for _, b := range found.Blocks {
			ids = append(ids, b.Key.Block)
		}
		slices.Sort(ids)
		if fmt.Sprint(ids) != fmt.Sprint(want) {
			t.Errorf("%q finds %v, want %v", query, ids, want)
		}
	}
}
