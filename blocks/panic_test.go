package blocks_test

import (
	"context"
	"testing"

	"github.com/heapsync/heapsync/blocks"
)

func TestPanicUnderABlocksLockIsNotForEver(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.put("ada", "b", word(1, 0, "abc"))
	w.cfg.Audit = func(context.Context, blocks.Author, blocks.BlockKey, string, string) { panic("planted") }
	w.restart()
	release := w.Hold(key("b"))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the planted panic did not happen")
			}
		}()
		_ = w.Append(t.Context(), blocks.Append{
			Key: key("b"), Author: blocks.Author{User: "bob"}, Update: by(1, 3).gc(10).bytes(),
		}, func(blocks.Appended, error) {})
	}()
	// Nothing is built on what it may have left half done, while that is in memory.
	if res := w.push("ada", "b", word(1, 3, "d")); res.Status != blocks.StatusUnavailable {
		t.Errorf("status %s, want %s", res.Status, blocks.StatusUnavailable)
	}
	w.put("ada", "other", word(1, 0, "x"))
	release()
	w.put("ada", "b", word(1, 3, "d"))
	w.wantState("b", word(1, 0, "abc"), word(1, 3, "d"))
}
