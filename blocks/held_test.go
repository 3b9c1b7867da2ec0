package blocks_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/storetest"
)

// wantHeld checks how many updates of the block wait, and that the head's count of
// them and their bytes agrees with what is there.
func (w *world) wantHeld(block string, n int) {
	w.t.Helper()
	h := w.head(block)
	held, err := w.store.Held(w.t.Context(), h.Ref)
	if err != nil {
		w.t.Fatal(err)
	}
	size := 0
	for _, u := range held {
		size += len(u.Bytes)
	}
	if len(held) != n || h.Held != int64(n) || h.HeldBytes != int64(size) {
		w.t.Errorf("%d updates of %d bytes wait, the head says %d of %d, want %d", len(held), size, h.Held, h.HeldBytes, n)
	}
}

// pushed is an update and who pushes it.
type pushed struct {
	user   blocks.UserID
	update []byte
}

func TestUpdatesThatComeTooEarlyWaitForTheOthers(t *testing.T) {
	a, b, c := blocks.UserID("ada"), blocks.UserID("bob"), blocks.UserID("carol")
	for _, tt := range []struct {
		name    string
		updates []pushed // all but the last one wait
	}{
		{"one client, backwards", []pushed{{a, word(1, 2, "c")}, {a, word(1, 1, "b")}, {a, word(1, 0, "a")}}},
		{"one client, mixed", []pushed{{a, word(1, 3, "d")}, {a, word(1, 1, "b")}, {a, word(1, 2, "c")}, {a, word(1, 0, "a")}}},
		{"across clients of one user", []pushed{{a, by(2, 0).text(at(1, 0), "b").bytes()}, {a, word(1, 0, "a")}}},
		{"across users", []pushed{{b, by(2, 0).text(at(1, 0), "b").bytes()}, {c, by(3, 0).text(at(2, 0), "c").bytes()}, {a, word(1, 0, "a")}}},
		{"chain between users, backwards", []pushed{
			{a, by(1, 1).text(at(2, 1), "e").bytes()}, {b, by(2, 1).text(at(3, 0), "d").bytes()},
			{c, by(3, 0).text(at(2, 0), "c").bytes()}, {b, by(2, 0).text(at(1, 0), "b").bytes()}, {a, word(1, 0, "a")},
		}},
		{"deletion before what it deletes", []pushed{{a, removal(1, 0, 2)}, {a, word(1, 0, "abc")}}},
		{"deletion before two inserts", []pushed{{a, removal(1, 1, 4)}, {a, word(1, 3, "def")}, {a, word(1, 0, "abc")}}},
		{"in a type that comes later", []pushed{{b, by(2, 0).item(nil, at(1, 0), 1, 4, 1, 'x').bytes()}, {a, by(1, 0).array(nil).bytes()}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, restarts := range []bool{false, true} {
				w := newWorld(t, blocks.Limits{})
				var all [][]byte
				last := len(tt.updates) - 1
				for i, u := range tt.updates[:last] {
					all = append(all, u.update)
					w.putAside(u.user, "b", u.update)
					w.wantHeld("b", i+1)
					w.wantState("b")
					if restarts {
						w.restart()
					}
				}
				w.put(tt.updates[last].user, "b", tt.updates[last].update)
				w.wantState("b", append(all, tt.updates[last].update)...)
				w.wantHeld("b", 0)
				if len(w.audited()) > 0 {
					t.Errorf("audited %q", w.audited())
				}
			}
		})
	}
}

func TestHeldUpdateIsLoggedAsItsAuthors(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.putAside("bob", "b", by(2, 0).text(at(1, 0), "b").bytes())
	w.put("ada", "b", word(1, 0, "a"))
	_, _, log, err := w.store.State(t.Context(), key("b"))
	if err != nil {
		t.Fatal(err)
	}
	if len(log) != 2 || log[0].User != "ada" || log[1].User != "bob" || log[1].Session != "s-bob" {
		t.Errorf("log: %+v", log)
	}
	w.want(w.push("ada", "b", by(2, 1).gc(1).bytes()), blocks.StatusInvalid, blocks.CodeForeignClockAhead)
}

func TestPartlyReadyUpdateIsStoredInPart(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	update := by(1, 0).text(nil, "now").by(2, 5).text(at(2, 4), "later").remove(1, 0, 1).remove(2, 6, 1).bytes()
	w.putAside("ada", "b", update)
	w.wantState("b", by(1, 0).text(nil, "now").remove(1, 0, 1).bytes())
	w.wantHeld("b", 1)
	w.put("ada", "b", word(2, 0, "first"))
	w.wantState("b", update, word(2, 0, "first"))
	w.wantHeld("b", 0)
}

// What is left of a held update can be let in by another that is tried after it.
func TestLeftoversAreTriedAgainAtOnce(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	one := by(5, 0).text(at(1, 0), "x").by(6, 0).text(at(4, 0), "y").bytes()
	two := by(4, 0).text(at(1, 0), "z").bytes()
	w.putAside("ada", "b", one, two)
	w.put("ada", "b", word(1, 0, "a"))
	w.wantState("b", one, two, word(1, 0, "a"))
	w.wantHeld("b", 0)
}

func TestHeldUpdatePushedAgainWaitsOn(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	late := word(1, 1, "b")
	w.putAside("ada", "b", late)
	for range 3 { // a client that comes back sends all that the server lacks
		if res := w.push("ada", "b", late); res.Status != blocks.StatusDuplicate || !res.Pending {
			t.Errorf("pushed again: %s, pending %v, %v", res.Status, res.Pending, res.Err)
		}
		w.restart()
	}
	w.wantHeld("b", 1)
	w.putAside("bob", "b", word(1, 1, "bc")) // the same, and more: it may wait beside it
	w.put("ada", "b", word(1, 0, "a"))
	w.wantState("b", word(1, 0, "ab")) // but the client is ada's now
	w.wantHeld("b", 0)
}

func TestWhatWaitsTwiceIsLoggedOnce(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.putAside("ada", "b", word(1, 1, "b"), word(1, 1, "bc"), by(1, 2).text(at(1, 1), "c").text(at(1, 2), "d").bytes())
	w.put("ada", "b", word(1, 0, "a"))
	w.wantState("b", word(1, 0, "abcd"))
	w.wantHeld("b", 0)
	if bytes := w.head("b").Bytes; bytes > 60 {
		t.Errorf("%d bytes are logged", bytes)
	}
}

func TestHeldBytesAreBoundedPerBlockAndUser(t *testing.T) {
	late := func(client uint64) []byte { return word(client, 5, strings.Repeat("x", 80)) } // about 90 bytes
	w := newWorld(t, blocks.Limits{HeldPerBlock: 300, HeldPerUser: 500})
	release := w.Hold(key("b"))
	defer release()
	w.put("ada", "b", word(100, 0, "a"))
	w.putAside("ada", "b", late(1), late(2), late(3))
	for range 3 { // a refusal costs nothing of the budget
		w.want(w.push("bob", "b", late(4)), blocks.StatusTooLarge, "")
		w.want(w.push("bob", "b", by(50, 0).text(nil, "x").by(4, 5).text(at(4, 4), strings.Repeat("x", 80)).bytes()), blocks.StatusTooLarge, "")
	}
	w.wantHeld("b", 3)
	w.wantState("b", word(100, 0, "a"))
	w.putAside("ada", "c", late(1), late(2))
	w.want(w.push("ada", "c", late(3)), blocks.StatusTooLarge, "")
	w.putAside("bob", "c", late(3))
	w.put("bob", "b", word(101, 0, "what does not wait is taken"))

	// What is let in makes room, and its leftovers need none: they had it before.
	w.put("ada", "b", word(1, 0, "start"))
	w.wantHeld("b", 2)
	w.putAside("bob", "b", late(4))
}

func TestLeftoversOfHeldUpdatesFailNobody(t *testing.T) {
	w := newWorld(t, blocks.Limits{HeldPerBlock: 300, HeldPerUser: 100})
	w.putAside("ada", "b", by(1, 5).text(at(1, 4), "x").by(2, 5).text(at(2, 4), strings.Repeat("y", 70)).bytes())
	w.put("bob", "b", word(1, 0, "start")) // lets in a part
	w.restart()
	w.put("carol", "b", word(2, 0, "other"))
}

func TestHeldUpdatesOfOneCommitCount(t *testing.T) {
	w := newWorld(t, blocks.Limits{HeldPerUser: 300})
	reached, goOn := w.blockCommits(storetest.Fault{})
	first := w.append("other", word(1, 0, "x"))
	<-reached
	var answers []<-chan result
	for client := range uint64(6) {
		answers = append(answers, w.append("b", word(client+1, 5, strings.Repeat("x", 80))))
	}
	goOn()
	w.wait(first)
	taken := 0
	for _, answer := range answers {
		if w.wait(answer).err == nil {
			taken++
		}
	}
	if taken != 3 {
		t.Errorf("%d of 6 updates of 90 bytes wait, with room for 300", taken)
	}
}

func TestHeldUpdatesExpire(t *testing.T) {
	w := newWorld(t, blocks.Limits{HeldFor: time.Hour, HeldPerBlock: 100})
	release := w.Hold(key("b"))
	defer release()
	late := word(1, 5, strings.Repeat("x", 80))
	w.putAside("ada", "b", late)
	w.want(w.push("ada", "b", word(2, 5, strings.Repeat("x", 80))), blocks.StatusTooLarge, "")
	w.pass(59 * time.Minute)
	w.ExpireHeld(t.Context())
	w.wantHeld("b", 1)
	w.pass(2 * time.Minute)
	w.ExpireHeld(t.Context())
	w.wantHeld("b", 0)
	w.putAside("ada", "b", late) // there is room again, while the block stays open
	w.put("ada", "b", word(1, 0, "start"))
	w.wantState("b", word(1, 0, "start"), late)
}

// V8: waiting in ambush for a client id that is nobody's yet.
func TestHeldUpdatesOfAnIDThatBecameAnothersAreDropped(t *testing.T) {
	for name, ambush := range map[string][]byte{
		"deletion":     removal(7, 0, 1000),
		"GC":           by(7, 4).gc(1000).bytes(),
		"text":         word(7, 4, "forged"),
		"with one own": by(9, 0).text(at(7, 2), "mine").remove(7, 0, 3).bytes(),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, blocks.Limits{})
			w.putAside("bob", "b", ambush)
			w.put("ada", "b", word(7, 0, "mine"))
			w.wantHeld("b", 0)
			w.put("ada", "b", word(7, 4, " too"))
			if name == "with one own" { // only what is another's is dropped
				w.wantState("b", word(7, 0, "mine too"), by(9, 0).text(at(7, 2), "mine").bytes())
			} else {
				w.wantState("b", word(7, 0, "mine too"))
			}
			if want := []string{"bob foreign_clock_ahead"}; !slices.Equal(w.audited(), want) {
				t.Errorf("audited %q, want %q", w.audited(), want)
			}
		})
	}
}

func TestHeldUpdateThatContradictsIsDropped(t *testing.T) {
	w := newWorld(t, blocks.Limits{TypeDepth: 2})
	w.putAside("ada", "b", by(1, 2).text(at(1, 1), "other").bytes())
	deep := by(2, 0).array(at(1, 0)).array(at(2, 0)).bytes()
	w.putAside("ada", "b", deep)
	w.put("ada", "b", by(1, 0).array(nil).text(nil, "atext").bytes()) // displaces one, and is no place for the other
	w.wantHeld("b", 0)
	w.wantState("b", by(1, 0).array(nil).text(nil, "atext").bytes())
}

func TestLongChainThatComesBackwardsIsTakenAtOnce(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	const n = 400
	var all [][]byte
	for clock := n; clock > 0; clock-- {
		all = append(all, word(1, uint64(clock), "x"))
	}
	w.putAside("ada", "b", all...)
	start := time.Now()
	w.put("ada", "b", word(1, 0, "x"))
	t.Logf("%d held updates let in within %v", n, time.Since(start))
	w.wantState("b", word(1, 0, strings.Repeat("x", n+1)))
	w.wantHeld("b", 0)
	if sv := vector(t, w.state("b")); sv.Next(1) != n+1 {
		t.Errorf("next clock %d", sv.Next(1))
	}
}

// What waits and what it waits for may be on their way to the disk together.
func TestUpdatesThatWaitInTheQueueAreLetIn(t *testing.T) {
	for name, late := range map[string][][]byte{
		"one client": {word(1, 1, "b")},
		"chain":      {word(1, 2, "c"), word(1, 1, "b")},
		"deletion":   {removal(1, 0, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, blocks.Limits{})
			reached, goOn := w.blockCommits(storetest.Fault{})
			answers := []<-chan result{w.append("b", late[0])}
			<-reached // this one is in flight
			for _, u := range append(late[1:len(late):len(late)], word(1, 0, "a")) {
				answers = append(answers, w.append("b", u)) // these are queued
			}
			goOn()
			for _, answer := range answers {
				if r := w.wait(answer); r.err != nil {
					t.Error(r.err)
				}
			}
			for deadline := time.Now().Add(10 * time.Second); w.head("b").Held > 0; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("still held")
				}
			}
			w.wantState("b", append(late, word(1, 0, "a"))...)
		})
	}
}
