package blocks_test

import (
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/storetest"
	"github.com/heapsync/heapsync/ydoc"
)

func TestDiffAndAfterAgreeAcrossFolding(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	var all [][]byte
	var seqs []blocks.Seq
	check := func() {
		t.Helper()
		w.wantState("b", all...)
		for i := range all {
			known, err := ydoc.MergeUpdates(ydoc.V1, all[:i+1]...)
			if err != nil {
				t.Fatal(err)
			}
			diff, err := w.Diff(t.Context(), key("b"), vector(t, known))
			if err != nil {
				t.Fatal(err)
			}
			after, err := w.After(t.Context(), key("b"), seqs[i])
			if err != nil {
				t.Fatal(err)
			}
			for what, update := range map[string][]byte{"diff": diff.Update, "after": after.Update} {
				got, err := ydoc.MergeUpdates(ydoc.V1, known, update)
				if err != nil || !sameState(t, got, w.state("b")) {
					t.Errorf("%s since update %d does not make the state: %v", what, i, err)
				}
			}
			if after.Head.Seq != w.head("b").Seq {
				t.Errorf("after: up to %d, not %d", after.Head.Seq, w.head("b").Seq)
			}
		}
	}
	for i := range uint64(6) {
		all = append(all, word(1, 2*i, "ab"), removal(1, 2*i, 1))
		w.put("ada", "b", all[len(all)-2:]...)
		h := w.head("b").Seq
		seqs = append(seqs, h-1, h)
		if i%2 == 1 {
			if err := w.Fold(t.Context(), key("b")); err != nil {
				t.Fatal(err)
			}
			if h := w.head("b"); h.SnapshotSeq != h.Seq || h.Tail != 0 {
				t.Errorf("folded: %+v", h)
			}
		}
		check()
	}
	w.restart()
	check()
	// What is in the snapshot is known like what is in the tail.
	w.want(w.push("ada", "b", all[0]), blocks.StatusDuplicate, "")
	w.want(w.push("ada", "b", word(1, 0, "xy")), blocks.StatusInvalid, blocks.CodeClientIDConflict)
}

func TestLongTailIsFolded(t *testing.T) {
	w := newWorld(t, blocks.Limits{SnapshotTail: 10})
	var all [][]byte
	for clock := range uint64(35) {
		all = append(all, word(1, clock, "x"))
	}
	w.put("ada", "b", all...)
	for deadline := time.Now().Add(10 * time.Second); w.head("b").Tail >= 10; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never folded: %+v", w.head("b"))
		}
	}
	w.wantState("b", all...)
}

func TestFoldingThatFailsChangesNothing(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.put("ada", "b", word(1, 0, "hello"))
	w.store.Inject(storetest.Fault{Method: "SaveSnapshot", Err: blocks.ErrFull})
	if err := w.Fold(t.Context(), key("b")); !errors.Is(err, blocks.ErrFull) {
		t.Errorf("fold: %v", err)
	}
	w.wantState("b", word(1, 0, "hello"))
	w.put("ada", "b", word(1, 5, "!"))
}

// spoil changes what is stored behind the server's back.
func (w *world) spoil(query string, args ...any) {
	w.t.Helper()
	w.close()
	db, err := sql.Open("sqlite3", w.path())
	if err != nil {
		w.t.Fatal(err)
	}
	res, err := db.Exec(query, args...)
	if err == nil {
		var n int64
		if n, err = res.RowsAffected(); n == 0 {
			err = errors.Join(err, fmt.Errorf("%s: no row", query))
		}
	}
	if err = errors.Join(err, db.Close()); err != nil {
		w.t.Fatal(err)
	}
	w.open()
}

// Never blank: no code path may go on with less than what was stored.
func TestBlockWithCorruptBytesIsReadOnly(t *testing.T) {
	for name, query := range map[string]string{
		"update":            "UPDATE updates SET bytes = x'0000' WHERE seq = 2",
		"missing update":    "DELETE FROM updates WHERE seq = 2",
		"snapshot":          "UPDATE snapshots SET state = x'00'",
		"head":              "UPDATE blocks SET state_vector = x'00' WHERE block = 'b'",
		"length of the log": "UPDATE blocks SET tail = 0 WHERE block = 'b'",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, blocks.Limits{})
			w.put("ada", "b", word(1, 0, "a"), word(1, 1, "b"), word(1, 2, "c"))
			w.put("ada", "healthy", word(1, 0, "a"))
			if name == "snapshot" {
				if err := w.Fold(t.Context(), key("b")); err != nil {
					t.Fatal(err)
				}
			}
			w.spoil(query)
			release := w.Hold(key("b"))
			defer release()
			for range 2 {
				if _, err := w.Diff(t.Context(), key("b"), ydoc.StateVector{}); !errors.Is(err, blocks.ErrQuarantined) {
					t.Errorf("diff: %v", err)
				}
				if _, err := w.After(t.Context(), key("b"), 1); !errors.Is(err, blocks.ErrQuarantined) {
					t.Errorf("after: %v", err)
				}
				res := w.push("ada", "b", word(1, 3, "d"))
				if res.Status != blocks.StatusInvalid || !errors.Is(res.Err, blocks.ErrQuarantined) {
					t.Errorf("push: %s %v", res.Status, res.Err)
				}
				w.push("ada", "b", word(1, 0, "a"))
				pulled := w.Pull(t.Context(), "ada", []blocks.PullItem{
					{Target: blocks.Target{Heap: "h", Block: "b"}}, {Target: blocks.Target{Heap: "h", Block: "healthy"}},
				}, 1<<20)
				if pulled[0].Status != blocks.StatusInvalid || pulled[1].Status != blocks.StatusFull {
					t.Errorf("pulled %s (%v) and %s", pulled[0].Status, pulled[0].Err, pulled[1].Status)
				}
			}
			if err := w.Fold(t.Context(), key("b")); !errors.Is(err, blocks.ErrQuarantined) {
				t.Errorf("fold: %v", err)
			}
			if h, err := w.Head(t.Context(), key("b")); h.Quarantine == "" {
				t.Errorf("the store does not know of the quarantine: %+v, %v", h, err)
			}
			w.restart()
			res := w.push("ada", "b", word(1, 3, "d"))
			if res.Status != blocks.StatusInvalid || !errors.Is(res.Err, blocks.ErrQuarantined) {
				t.Errorf("push after a restart: %s %v", res.Status, res.Err)
			}
		})
	}
}

func TestCorruptionFoundWhileOpenStopsWrites(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	release := w.Hold(key("b"))
	defer release()
	w.put("ada", "b", word(1, 0, "a"))
	w.store.Inject(storetest.Fault{Method: "State", Err: blocks.ErrCorrupt})
	if _, err := w.Diff(t.Context(), key("b"), ydoc.StateVector{}); !errors.Is(err, blocks.ErrQuarantined) {
		t.Errorf("diff: %v", err)
	}
	if res := w.push("ada", "b", word(1, 1, "b")); !errors.Is(res.Err, blocks.ErrQuarantined) {
		t.Errorf("push: %s %v", res.Status, res.Err)
	}
}
