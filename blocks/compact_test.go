package blocks_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/sqlite"
	"github.com/heapsync/heapsync/storage/storetest"
	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/lib0"
)

// replay is the block's log in parts.
func (w *world) replay(block string) []blocks.Window {
	w.t.Helper()
	var parts []blocks.Window
	err := w.store.Replay(w.t.Context(), w.head(block).Ref, math.MaxInt64, func(p blocks.Window) error {
		p.Update = slices.Clone(p.Update)
		parts = append(parts, p)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return parts
}

// wantHistory looks whether the log, at each of its boundaries, makes the document that
// the block's first updates made, and says which levels its parts have, oldest first.
func (w *world) wantHistory(block string, seqs []blocks.Seq, updates [][]byte) (levels []blocks.Level) {
	w.t.Helper()
	now, was := ydoc.NewDoc(ydoc.Options{KeepDeleted: true}), ydoc.NewDoc(ydoc.Options{KeepDeleted: true})
	next, total := 0, int64(0)
	for _, p := range w.replay(block) {
		format := ydoc.V2
		if p.Level == blocks.LevelUpdate {
			format = ydoc.V1
		}
		if err := now.Apply(p.Update, format); err != nil {
			w.t.Fatal(err)
		}
		for ; next < len(seqs) && seqs[next] <= p.To; next++ {
			if err := was.Apply(updates[next], ydoc.V1); err != nil {
				w.t.Fatal(err)
			}
		}
		if seqs[next-1] != p.To || !now.Snapshot().Equal(was.Snapshot()) || string(now.Encode(ydoc.V2)) != string(was.Encode(ydoc.V2)) {
			w.t.Fatalf("after the part up to %d the document is not what %d updates made it", p.To, next)
		}
		levels = append(levels, p.Level)
		total += p.Updates
	}
	if next != len(seqs) || total != int64(len(seqs)) {
		w.t.Errorf("the log has %d updates, and ends after %d of %d", total, next, len(seqs))
	}
	return levels
}

// check runs the check command's work.
func (w *world) check() {
	w.t.Helper()
	w.close()
	s, err := sqlite.Open(w.t.Context(), sqlite.Config{Path: w.path(), Now: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := s.Check(w.t.Context(), func(p sqlite.Problem) { w.t.Error(p) }); err != nil {
		w.t.Error(err)
	}
	if err := s.Close(); err != nil {
		w.t.Error(err)
	}
	w.open()
}

// rows counts the rows of a table.
func (w *world) rows(table string) (n int64) {
	w.t.Helper()
	w.close()
	defer w.open()
	db, err := sql.Open("sqlite3", w.path())
	if err == nil {
		err = errors.Join(db.QueryRow("SELECT count(*) FROM "+table).Scan(&n), db.Close())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func count(levels []blocks.Level) (n [blocks.LevelBase + 1]int) {
	for _, l := range levels {
		n[l]++
	}
	return n
}

// Three edits a day, two of them in one hour, for 400 days.
func TestHistoryIsThinnedByPolicy(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	var updates [][]byte
	var seqs []blocks.Seq
	start := w.now()
	named := map[string]blocks.Seq{}
	for day := range 400 {
		for _, minute := range []int{0, 20, 300} {
			w.pass(start.AddDate(0, 0, day).Add(time.Duration(minute) * time.Minute).Sub(w.now()))
			clock := uint64(2 * len(updates))
			u := word(1, clock, "ab")
			if len(updates)%5 == 4 {
				u = by(1, clock).text(at(1, clock-1), "ab").remove(1, clock-3, 2).bytes()
			}
			updates = append(updates, u)
			w.put("ada", "often", u)
			w.put("ada", "once", u)
			if h := w.head("often"); h.Seq%2 != 1 {
				t.Fatalf("seq is %d", h.Seq)
			}
			seqs = append(seqs, w.head("often").Seq)
			if day == 10 && minute == 0 || day == 200 && minute == 20 || day == 385 && minute == 0 {
				v := blocks.Version{ID: fmt.Sprint("v", day), User: "ada"}
				if err := w.store.AddVersion(t.Context(), w.head("often").Ref, &v, 10); err != nil {
					t.Fatal(err)
				}
				named[v.ID] = v.Seq
			}
		}
		if day%10 == 9 { // "often" is thinned again and again, "once" in the end
			if err := w.Compact(t.Context(), key("often")); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.pass(time.Hour)
	if err := w.Thin(t.Context()); err != nil {
		t.Fatal(err)
	}
	// All of the last 7 days; of 23 days before two hours each; of 335 before those one
	// each; and one for the rest. A version named within a window makes two of it.
	got := count(w.wantHistory("often", seqs, updates))
	if want := [...]int{blocks.LevelUpdate: 21, blocks.LevelHour: 46 + 1, blocks.LevelDay: 335 + 1, blocks.LevelBase: 1 + 1}; !close2(got, want) {
		t.Errorf("parts by level: %v, want about %v", got, want)
	}
	parts := w.replay("often")
	for id, seq := range named {
		if !slices.ContainsFunc(parts, func(p blocks.Window) bool { return p.To == seq }) {
			t.Errorf("no part ends with version %s", id)
		}
	}
	once := slices.Clone(seqs)
	for i := range once {
		once[i]++
	}
	if other := count(w.wantHistory("once", once, updates)); other[blocks.LevelUpdate] != got[blocks.LevelUpdate] ||
		other[blocks.LevelHour] != got[blocks.LevelHour]-1 || other[blocks.LevelDay] != got[blocks.LevelDay]-1 || other[blocks.LevelBase] != 1 {
		t.Errorf("thinned once: %v, again and again: %v", other, got)
	}
	before := w.store.Calls("FoldWindows") + w.store.Calls("FoldUpdates")
	if err := w.Thin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.store.Calls("FoldWindows") + w.store.Calls("FoldUpdates") - before; n > 0 {
		t.Errorf("thinning what is thin folded %d times", n)
	}
	w.wantState("often", updates...)
	w.check()
	w.wantHistory("often", seqs, updates)
}

// close2 allows for windows that end at full hours and days.
func close2(got, want [blocks.LevelBase + 1]int) bool {
	for i := range got {
		if d := got[i] - want[i]; d < -3 || d > 3 {
			return false
		}
	}
	return true
}

func TestUpdatesOfABlockAreBoundedHoweverYoung(t *testing.T) {
	w := newWorld(t, blocks.Limits{History: blocks.HistoryPolicy{Updates: 50}})
	var updates [][]byte
	var seqs []blocks.Seq
	for i := range uint64(300) {
		updates = append(updates, word(1, i, "x"))
		w.put("ada", "b", updates[i])
		seqs = append(seqs, w.head("b").Seq)
		w.pass(time.Second)
	}
	for deadline := time.Now().Add(10 * time.Second); w.head("b").Raw > 50; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d updates are not folded", w.head("b").Raw)
		}
	}
	w.pass(time.Minute)
	if err := w.Compact(t.Context(), key("b")); err != nil {
		t.Fatal(err)
	}
	if got := count(w.wantHistory("b", seqs, updates)); got[blocks.LevelMinute] > 6 || got[blocks.LevelUpdate] < 40 {
		t.Errorf("parts by level: %v", got)
	}
	w.wantState("b", updates...)
	w.check()
}

// Whatever fails, at whichever call: nothing is lost, and the next run goes on.
func TestCompactingThatFailsLosesNothing(t *testing.T) {
	w := newWorld(t, blocks.Limits{History: blocks.HistoryPolicy{All: time.Hour, Hourly: 48 * time.Hour, Daily: 96 * time.Hour}})
	var updates [][]byte
	var seqs []blocks.Seq
	for i := range uint64(60) {
		updates = append(updates, word(1, i, "x"))
		w.put("ada", "b", updates[i])
		seqs = append(seqs, w.head("b").Seq)
		w.pass(4 * time.Hour)
	}
	for _, method := range []string{"Versions", "OldestUpdates", "Updates", "State", "SaveSnapshot", "FoldUpdates", "Windows", "Window", "FoldWindows"} {
		for _, after := range []bool{false, true} {
			w.store.Inject(storetest.Fault{Method: method, Nth: 2, Times: 1, Err: blocks.ErrFull, After: after})
			w.store.Inject(storetest.Fault{Method: method, Nth: 1, Times: 1, Err: blocks.ErrFull, After: after})
			for range 2 {
				_ = w.Compact(t.Context(), key("b")) // how it fails does not matter
				w.wantHistory("b", seqs, updates)
			}
			w.store.Heal()
			w.pass(8 * time.Hour) // something becomes due
		}
	}
	if err := w.Compact(t.Context(), key("b")); err != nil {
		t.Fatal(err)
	}
	if got := count(w.wantHistory("b", seqs, updates)); got[blocks.LevelBase] != 1 {
		t.Errorf("parts by level: %v", got)
	}
	w.wantState("b", updates...)
	w.check()
}

// What can be read no more stays, and so does what merges into something else.
func TestHistoryThatCannotBeReadStays(t *testing.T) {
	for name, query := range map[string]string{
		"update":   "UPDATE updates SET bytes = x'0000' WHERE seq = 2",
		"snapshot": "UPDATE snapshots SET state = x'00'",
		"window":   "UPDATE history SET bytes = x'00'",
		"gone":     "DELETE FROM updates WHERE seq = 7",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, blocks.Limits{History: blocks.HistoryPolicy{All: time.Hour}})
			for i := range uint64(9) {
				w.put("ada", "b", word(1, i, "x"))
				if i == 4 {
					if err := w.Fold(t.Context(), key("b")); err != nil {
						t.Fatal(err)
					}
				}
				if i == 5 && name == "window" {
					w.pass(26 * time.Hour)
					if err := w.Compact(t.Context(), key("b")); err != nil {
						t.Fatal(err)
					}
				}
			}
			w.spoil(query)
			rows := func() (n int64) {
				for _, table := range []string{"updates", "history"} {
					n = n*1000 + w.rows(table)
				}
				return n
			}
			w.pass(40 * 24 * time.Hour)
			before := rows()
			if name == "window" {
				before = 0 // what came after it is folded, it is not touched
			}
			if err := w.Compact(t.Context(), key("b")); err == nil {
				t.Error("compacted all the same")
			}
			if after := rows(); before != 0 && after != before {
				t.Errorf("updates and windows: %d, were %d", after, before)
			}
			if w.rows("history") == 0 && name == "window" {
				t.Error("the window is gone")
			}
		})
	}
}

func TestFoldedPartsMustHoldTheSame(t *testing.T) {
	parts := func(updates ...[]byte) []blocks.Window {
		var all []blocks.Window
		for i, u := range updates {
			all = append(all, blocks.Window{After: blocks.Seq(i), To: blocks.Seq(i + 1), Updates: 1, Size: int64(len(u)), Update: u,
				Authors: []blocks.Share{{User: "ada", Updates: 1}}})
		}
		return all
	}
	all := parts(word(1, 0, "hello"), word(2, 0, "other"), removal(1, 1, 2), by(3, 0).gc(4).bytes(), by(1, 5).text(at(1, 4), "!").remove(2, 0, 1).bytes())
	w, err := blocks.FoldParts(all, blocks.LevelHour, false)
	if err != nil || w.After != 0 || w.To != 5 || w.Updates != 5 || len(w.Authors) != 1 || w.Authors[0].Updates != 5 {
		t.Fatalf("%+v, %v", w, err)
	}
	for name, other := range map[string][][]byte{
		"an item less":         {word(1, 0, "hello"), word(2, 0, "other"), removal(1, 1, 2), by(3, 0).gc(4).bytes(), removal(2, 0, 1)},
		"an item more":         {word(1, 0, "hello!?"), word(2, 0, "other"), removal(1, 1, 2), by(3, 0).gc(4).bytes(), removal(2, 0, 1)},
		"a client less":        {word(1, 0, "hello!"), removal(1, 1, 2), by(3, 0).gc(4).bytes(), removal(2, 0, 1)},
		"a deletion less":      {word(1, 0, "hello!"), word(2, 0, "other"), removal(1, 1, 2), by(3, 0).gc(4).bytes()},
		"a longer deletion":    {word(1, 0, "hello!"), word(2, 0, "other"), removal(1, 1, 3), by(3, 0).gc(4).bytes(), removal(2, 0, 1)},
		"collected":            {word(1, 0, "hello!"), by(2, 0).gc(5).bytes(), removal(1, 1, 2), by(3, 0).gc(4).bytes(), removal(2, 0, 1)},
		"other content":        {word(1, 0, "hallo!"), word(2, 0, "other"), removal(1, 1, 2), by(3, 0).gc(4).bytes(), removal(2, 0, 1)},
		"in another place":     {word(1, 0, "hello!"), by(2, 0).text(at(1, 0), "other").bytes(), removal(1, 1, 2), by(3, 0).gc(4).bytes(), removal(2, 0, 1)},
		"nothing":              {{0, 0}},
		"something unreadable": {{1}},
	} {
		t.Run(name, func(t *testing.T) {
			bad := w
			var err error
			if bad.Update, err = ydoc.MergeUpdates(ydoc.V1, other...); err != nil {
				bad.Update = other[0]
			} else if bad.Update, err = ydoc.ConvertUpdate(bad.Update, ydoc.V1, ydoc.V2); err != nil {
				t.Fatal(err)
			}
			if err := blocks.HoldsExactly(&bad, all); !errors.Is(err, blocks.ErrNotEqual) {
				t.Errorf("%v", err)
			}
		})
	}
	hole := slices.Delete(slices.Clone(all), 1, 2)
	if _, err := blocks.FoldParts(hole, blocks.LevelHour, false); !errors.Is(err, blocks.ErrCorrupt) {
		t.Errorf("parts with a hole: %v", err)
	}
}

// A snapshot whose deleted content was collected is the same document to everybody,
// also to who was offline for long and comes back with edits.
func TestCollectedSnapshotsConverge(t *testing.T) {
	for run := range uint64(6) {
		seed := *modelSeed + run
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			w := newWorld(t, blocks.Limits{Collect: 1})
			users := []blocks.UserID{"ada", "bob", "carol"}
			docs := make([]*ydoc.Doc, 3)
			for i := range docs {
				docs[i] = ydoc.NewDoc(ydoc.Options{ClientID: ydoc.ClientID(10 + i)})
			}
			whole := ydoc.NewDoc(ydoc.Options{KeepDeleted: true})
			sync := func(i int) {
				t.Helper()
				d, err := w.Diff(t.Context(), key("b"), docs[i].StateVector())
				if err == nil {
					err = docs[i].Apply(d.Update, ydoc.V1)
				}
				if err != nil && !errors.Is(err, blocks.ErrNotFound) {
					t.Fatal(err)
				}
				mine := docs[i].Encode(ydoc.V1) // all it knows: others' edits, which it relays, too
				if res := w.push(users[i], "b", mine); res.Err != nil || res.Pending {
					t.Fatalf("push by %s: %s, %v, %v", users[i], res.Status, res.Pending, res.Err)
				}
				if err := whole.Apply(mine, ydoc.V1); err != nil {
					t.Fatal(err)
				}
			}
			for step := range 120 {
				i := rng.IntN(len(docs))
				if i == 2 && step%40 != 39 {
					continue // carol is nearly always offline
				}
				editAnything(rng, docs[i])
				if i == 2 || rng.IntN(3) == 0 {
					sync(i)
				}
				if rng.IntN(6) == 0 {
					if err := w.Fold(t.Context(), key("b")); err != nil && !errors.Is(err, blocks.ErrNotFound) {
						t.Fatal(err)
					}
				}
			}
			for range 2 {
				for i := range docs {
					sync(i)
				}
			}
			if err := w.Fold(t.Context(), key("b")); err != nil {
				t.Fatal(err)
			}
			fresh := ydoc.NewDoc(ydoc.Options{})
			if err := fresh.Apply(w.state("b"), ydoc.V1); err != nil {
				t.Fatal(err)
			}
			for i, d := range append(docs, fresh) {
				if got, want := fmt.Sprint(unordered(d.JSON())), fmt.Sprint(unordered(whole.JSON())); got != want || d.Pending() || !d.Snapshot().Equal(whole.Snapshot()) {
					t.Errorf("document %d is %s, want %s (pending %v)", i, got, want, d.Pending())
				}
			}
			var m ydoc.Merger
			if err := m.Add(w.state("b"), ydoc.V1); err != nil {
				t.Fatal(err)
			}
			if n, of := m.Update().Collectable(); n >= max(1, of/8) {
				t.Errorf("%d of %d elements are deleted and were not collected", n, of)
			}
			w.check()
		})
	}
}

// unordered is a value with maps for objects: the order of keys is not content.
func unordered(v any) any {
	o, ok := v.(ydoc.Object)
	if !ok {
		return v
	}
	m := make(map[string]any, len(o))
	for _, member := range o {
		m[member.Key] = unordered(member.Value)
	}
	return m
}

// editAnything changes something in a document.
func editAnything(rng *rand.Rand, d *ydoc.Doc) {
	text, list := d.Text("text"), d.Array("list")
	switch rng.IntN(6) {
	case 0, 1:
		text.Insert(rng.IntN(text.Len()+1), "some words"[:1+rng.IntN(9)])
	case 2:
		if n := text.Len(); n > 0 {
			at := rng.IntN(n)
			text.Delete(at, 1+rng.IntN(n-at))
		}
	case 3:
		inner := list.InsertType(rng.IntN(list.Len()+1), ydoc.TypeText, "").AsText()
		inner.Insert(0, "an inner text")
	case 4:
		if n := list.Len(); n > 0 { // inner types go, with all that others wrote there
			list.Delete(rng.IntN(n), 1)
		}
	case 5:
		d.Map("map").Set(fmt.Sprint("key", rng.IntN(3)), float64(rng.IntN(100)))
		if n := list.Len(); n > 0 {
			if inner, ok := list.At(rng.IntN(n)).(ydoc.Type); ok {
				inner.AsText().Insert(0, "more ")
			}
		}
	}
}

// A client of which only collected content is left is not one that was taken by
// somebody else: who was offline may still bring what it wrote.
func TestCollectedClientCanBeRelayed(t *testing.T) {
	w := newWorld(t, blocks.Limits{Collect: 1})
	w.put("ada", "b", by(1, 0).array(nil).bytes(), by(1, 1).array(at(1, 0)).bytes())
	const text = "what carol wrote, which is long enough to be worth it"
	w.put("carol", "b", by(2, 0).item(nil, at(1, 1), uint64(len(text)), 4, lib0.AppendVarString(nil, text)...).bytes())
	old := w.state("b")
	w.put("ada", "b", new(edit).remove(2, 0, uint64(len(text))).remove(1, 0, 2).bytes())
	if err := w.Fold(t.Context(), key("b")); err != nil {
		t.Fatal(err)
	}
	res := w.push("bob", "b", by(3, 0).text(nil, "bob's").bytes())
	w.want(res, blocks.StatusApplied, "")
	w.want(w.push("bob", "b", old), blocks.StatusDuplicate, "")
	if len(w.audited()) > 0 {
		t.Errorf("audited %q", w.audited())
	}
	if strings.Contains(string(w.state("b")), "carol") {
		t.Error("nothing was collected")
	}
	// One that was never anything else is still refused.
	w.put("ada", "c", by(7, 0).gc(5).bytes())
	w.want(w.push("bob", "c", by(7, 0).text(nil, "hello").bytes()), blocks.StatusInvalid, blocks.CodeClientIDConflict)
	if err := w.Fold(t.Context(), key("c")); err != nil {
		t.Fatal(err)
	}
	w.want(w.push("bob", "c", by(7, 0).text(nil, "hello").bytes()), blocks.StatusInvalid, blocks.CodeClientIDConflict)
}

// The clock of the ticker is not that of policy, so that this runs in no time.
func TestServerThinsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &thinnable{}
		log := blocks.NewLog(blocks.LogConfig{Store: store})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			log.Run(ctx)
			close(done)
		}()
		for i, want := range []int32{0, 1, 1, 2, 3} {
			time.Sleep([]time.Duration{30 * time.Second, time.Minute, 30 * time.Minute, 31 * time.Minute, time.Hour}[i])
			synctest.Wait()
			if n := store.looked.Load(); n != want {
				t.Errorf("step %d: looked through %d times, want %d", i, n, want)
			}
		}
		stop()
		<-done
	})
}

// thinnable is a store without anything that is due.
type thinnable struct {
	blocks.Store
	looked atomic.Int32
}

func (s *thinnable) DueUpdates(_ context.Context, at blocks.Cursor, _ int64) ([]blocks.BlockKey, blocks.Cursor, error) {
	s.looked.Add(1)
	return nil, at, nil
}

func (s *thinnable) DueWindows(_ context.Context, _ blocks.Level, at blocks.Cursor, _ int64) ([]blocks.BlockKey, blocks.Cursor, error) {
	return nil, at, nil
}

func (s *thinnable) ExpireHeld(context.Context, int64) (int, error) { return 0, nil }
