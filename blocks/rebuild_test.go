package blocks_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/ydoc"
)

func TestSnapshotsAreRebuiltFromTheLog(t *testing.T) {
	for name, query := range map[string]string{
		"as it is":         "UPDATE heaps SET name = name",
		"damaged":          "UPDATE snapshots SET state = x'00'",
		"of another seq":   "UPDATE snapshots SET seq = seq - 1",
		"of another block": "UPDATE snapshots SET state = (SELECT s.state FROM snapshots s WHERE s.block <> snapshots.block)",
		"gone":             "DELETE FROM snapshots",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, blocks.Limits{History: blocks.HistoryPolicy{All: time.Hour}})
			var all [][]byte
			for i := range uint64(20) {
				all = append(all, word(1, 2*i, "ab"), removal(1, 2*i, 1))
				w.put("ada", "b", all[2*i:]...)
				w.put("ada", "c", word(5, i, "x"))
				w.pass(10 * time.Minute)
				if i == 12 {
					if err := w.Thin(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			if w.rows("history") == 0 {
				t.Fatal("nothing is folded")
			}
			w.spoil(query)
			if name != "as it is" {
				if _, err := w.Diff(t.Context(), key("b"), ydoc.StateVector{}); !errors.Is(err, blocks.ErrQuarantined) {
					t.Fatalf("diff: %v", err)
				}
			}
			n, err := w.RebuildSnapshots(t.Context(), func(key blocks.BlockKey, err error) { t.Errorf("%s: %v", key, err) })
			if err != nil || n != 2 {
				t.Errorf("%d rebuilt, %v", n, err)
			}
			w.restart()
			w.wantState("b", all...)
			w.put("ada", "b", word(1, 40, "z"))
			if h := w.head("b"); h.Quarantine != "" || h.Tail != 1 {
				t.Errorf("%+v", h)
			}
			w.check()
		})
	}
}

// What is not whole is not made the block's state.
func TestSnapshotIsNotRebuiltFromLess(t *testing.T) {
	for name, query := range map[string]string{
		"window gone":    "DELETE FROM history",
		"window damaged": "UPDATE history SET bytes = x'00'",
		"update gone":    "DELETE FROM updates WHERE seq = (SELECT max(seq) - 2 FROM updates)",
		"update damaged": "UPDATE updates SET bytes = x'0000' WHERE seq = (SELECT max(seq) - 2 FROM updates)",
		"state vector":   "UPDATE blocks SET state_vector = x'00' WHERE block = 'b'",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, blocks.Limits{History: blocks.HistoryPolicy{All: time.Hour}})
			for i := range uint64(20) {
				w.put("ada", "b", word(1, i, "x"))
				w.pass(10 * time.Minute)
				if i == 12 {
					if err := w.Thin(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			w.spoil(query)
			before := w.anyHead("b")
			failed := 0
			n, err := w.RebuildSnapshots(t.Context(), func(blocks.BlockKey, error) { failed++ })
			if err != nil || n != 0 || failed != 1 {
				t.Errorf("%d rebuilt, %d failed, %v", n, failed, err)
			}
			if after := w.anyHead("b"); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("head is %+v, was %+v", after, before)
			}
		})
	}
}

// anyHead is the block's head, even if it is damaged.
func (w *world) anyHead(block string) blocks.Head {
	h, _ := w.Head(w.t.Context(), key(block))
	return h
}
