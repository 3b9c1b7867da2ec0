package blocks_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/storetest"
)

func TestAppendedUpdateIsStoredOnce(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	hello, world := word(1, 0, "hello"), word(1, 5, " world")
	w.put("ada", "b", hello)
	seq := w.head("b").Seq
	w.want(w.push("ada", "b", hello), blocks.StatusDuplicate, "")
	if got := w.head("b").Seq; got != seq {
		t.Errorf("a duplicate moved seq from %d to %d", seq, got)
	}
	w.put("bob", "b", world) // who may edit may relay what follows on
	whole := w.state("b")
	w.want(w.push("bob", "b", whole), blocks.StatusDuplicate, "")
	// Known and new in one update: only what is new is logged.
	w.put("carol", "b", by(1, 0).text(nil, "hello world").by(3, 0).text(at(1, 10), "!").bytes())
	w.wantState("b", hello, world, by(3, 0).text(at(1, 10), "!").bytes())
	w.restart()
	w.want(w.push("ada", "b", hello), blocks.StatusDuplicate, "")
	w.wantState("b", hello, world, by(3, 0).text(at(1, 10), "!").bytes())
}

func TestDeletionsThatAreKnownAreDuplicates(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.put("ada", "b", word(1, 0, "hello"), removal(1, 1, 2))
	w.restart() // so that no recent update is remembered
	w.want(w.push("ada", "b", removal(1, 1, 2)), blocks.StatusDuplicate, "")
	w.want(w.push("bob", "b", removal(1, 2, 1)), blocks.StatusDuplicate, "")
	w.put("bob", "b", removal(1, 2, 2))
	w.wantState("b", word(1, 0, "hello"), removal(1, 1, 3))
}

// a cloned profile.
func TestOneClientIDWithTwoContentsIsRefused(t *testing.T) {
	for name, second := range map[string][]byte{
		"other text":           word(1, 0, "BBBB"),
		"other text, and more": word(1, 0, "AABBBBB"),
		"other place":          by(1, 0).text(nil, "AA").text(nil, "AA").bytes(),
		"other kind":           by(1, 0).array(nil).array(nil).bytes(),
	} {
		for _, user := range []blocks.UserID{"ada", "bob"} {
			t.Run(name+" by "+string(user), func(t *testing.T) {
				w := newWorld(t, blocks.Limits{})
				w.put("ada", "b", word(1, 0, "AAAA"))
				w.want(w.push(user, "b", second), blocks.StatusInvalid, blocks.CodeClientIDConflict)
				w.want(w.push(user, "b", second), blocks.StatusInvalid, blocks.CodeClientIDConflict)
				w.wantState("b", word(1, 0, "AAAA"))
				if want := string(user) + " client_id_conflict"; !slices.Contains(w.audited(), want) {
					t.Errorf("audited %q, not %q", w.audited(), want)
				}
				w.put("ada", "b", word(1, 4, "A"))
			})
		}
	}
}

func TestCollectedContentDoesNotConflict(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.put("ada", "b", word(1, 0, "gone"), removal(1, 0, 4))
	w.want(w.push("ada", "b", by(1, 0).gc(4).remove(1, 0, 4).bytes()), blocks.StatusDuplicate, "")
	w.put("ada", "c", by(1, 0).gc(4).bytes())
	// The same user's other replica still has the content: nothing contradicts.
	w.want(w.push("ada", "c", word(1, 0, "gone")), blocks.StatusDuplicate, "")
}

// V8: somebody takes a client id that its real user has not written with yet.
func TestVictimOfATakenClientIDHearsIt(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.put("bob", "b", by(7, 0).gc(1_000_000).bytes())
	w.want(w.push("ada", "b", word(7, 0, "mine")), blocks.StatusInvalid, blocks.CodeClientIDConflict)
	w.put("ada", "b", word(8, 0, "mine"))
	w.restart()
	w.want(w.push("ada", "b", word(7, 0, "mine")), blocks.StatusInvalid, blocks.CodeClientIDConflict)
}

func TestMalformedAndLargeUpdatesAreRefused(t *testing.T) {
	w := newWorld(t, blocks.Limits{UpdateBytes: 100})
	w.put("ada", "b", word(1, 0, "x"))
	for name, bytes := range map[string][]byte{
		"cut":       word(1, 1, "yyyy")[:8],
		"no clocks": {1},
		"text":      []byte("hello"),
	} {
		res := w.push("ada", "b", bytes)
		if res.Status != blocks.StatusInvalid {
			t.Errorf("%s: %s %v", name, res.Status, res.Err)
		}
		w.want(res, blocks.StatusInvalid, blocks.CodeMalformed)
	}
	w.want(w.push("ada", "b", word(1, 1, strings.Repeat("y", 100))), blocks.StatusTooLarge, "")
	w.want(w.push("ada", "none", []byte{9}), blocks.StatusInvalid, blocks.CodeMalformed)
	if _, err := w.Head(t.Context(), key("none")); !errors.Is(err, blocks.ErrNotFound) {
		t.Errorf("a refused update made a block: %v", err)
	}
	w.wantState("b", word(1, 0, "x"))
}

// result is what an append was answered with.
type result struct {
	blocks.Appended
	err error
}

// append appends as ada without waiting.
func (w *world) append(block string, update []byte) <-chan result {
	w.t.Helper()
	answer := make(chan result, 1)
	err := w.Append(w.t.Context(), blocks.Append{Key: key(block), Author: blocks.Author{User: "ada"}, Update: update},
		func(a blocks.Appended, err error) { answer <- result{a, err} })
	if err != nil {
		answer <- result{err: err}
	}
	return answer
}

// wait returns an answer that must come.
func (w *world) wait(answer <-chan result) result {
	w.t.Helper()
	select {
	case r := <-answer:
		return r
	case <-time.After(20 * time.Second):
		w.t.Fatal("no answer")
		return result{}
	}
}

// blockCommits makes the next commit wait. It returns a channel that says when it
// has come, and what lets it go on.
func (w *world) blockCommits(fault storetest.Fault) (reached <-chan struct{}, goOn func()) {
	come, until := make(chan struct{}, 1000), make(chan struct{})
	fault.Method, fault.Reached, fault.Until = "Commit", come, until
	w.store.Inject(fault)
	goOn = sync.OnceFunc(func() { close(until) })
	w.t.Cleanup(goOn)
	return come, goOn
}

func TestDuplicateIsAcknowledgedAfterWhatItRepeats(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	reached, goOn := w.blockCommits(storetest.Fault{})
	first := w.append("b", word(1, 0, "hello"))
	<-reached
	again := w.append("b", word(1, 0, "hello"))
	part := w.append("b", by(1, 0).text(nil, "he").bytes())
	select {
	case r := <-again:
		t.Fatalf("acknowledged before the commit: %+v", r)
	case r := <-part:
		t.Fatalf("acknowledged before the commit: %+v", r)
	default:
	}
	if _, err := w.Head(t.Context(), key("b")); !errors.Is(err, blocks.ErrNotFound) {
		t.Fatalf("the block is on disk already: %v", err)
	}
	goOn()
	if r := w.wait(first); r.err != nil || r.Duplicate {
		t.Errorf("first: %+v", r)
	}
	for _, answer := range []<-chan result{again, part} {
		if r := w.wait(answer); r.err != nil || !r.Duplicate || r.Seq != 1 {
			t.Errorf("duplicate: %+v", r)
		}
	}
}

// A commit that fails takes all with it that was accepted on top of it, and nothing
// of it stays in memory: what comes again is stored, not called a duplicate.
func TestFailedCommitLeavesNothingBehind(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault storetest.Fault
	}{
		{"disk full", storetest.Fault{Err: blocks.ErrFull}},
		{"store down", storetest.Fault{Err: blocks.ErrUnavailable}},
		{"stored, but not known to be", storetest.Fault{Err: blocks.ErrUnavailable, After: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, blocks.Limits{})
			release := w.Hold(key("b")) // as while a socket has it open
			defer release()
			w.put("ada", "b", word(1, 0, "a"))
			reached, goOn := w.blockCommits(tt.fault)
			updates := [][]byte{word(1, 1, "b"), word(1, 2, "c"), word(2, 0, "d"), word(1, 1, "b"), removal(1, 0, 1)}
			var answers []<-chan result
			answers = append(answers, w.append("b", updates[0]))
			<-reached
			for _, u := range updates[1:] {
				answers = append(answers, w.append("b", u))
			}
			goOn()
			for i, answer := range answers {
				if r := w.wait(answer); !errors.Is(r.err, blocks.ErrUnavailable) {
					t.Errorf("update %d: %+v, want the commit's error", i, r)
				}
			}
			if tt.fault.After {
				w.wantState("b", word(1, 0, "ab"))
			} else {
				w.wantState("b", word(1, 0, "a"))
			}
			for i, u := range updates {
				if i == 3 {
					continue // repeats the first
				}
				res := w.push("ada", "b", u)
				if want := tt.fault.After && i == 0; (res.Status == blocks.StatusDuplicate) != want || res.Err != nil {
					t.Errorf("update %d again: %s %v", i, res.Status, res.Err)
				}
			}
			w.wantState("b", word(1, 0, "abc"), word(2, 0, "d"), removal(1, 0, 1))
			w.restart()
			w.wantState("b", word(1, 0, "abc"), word(2, 0, "d"), removal(1, 0, 1))
		})
	}
}

func TestFailedCommitCreatesNothing(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.store.Inject(storetest.Fault{Method: "Commit", Err: blocks.ErrFull})
	w.want(w.push("ada", "b", word(1, 0, "a")), blocks.StatusUnavailable, "")
	if _, err := w.Head(t.Context(), key("b")); !errors.Is(err, blocks.ErrNotFound) {
		t.Errorf("head: %v", err)
	}
	w.put("ada", "b", word(1, 0, "a"))
	w.wantState("b", word(1, 0, "a"))
}

// What is wrong with one block must not fail the others of its transaction.
func TestBlockThatCannotBeCommittedFailsAlone(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	reached, goOn := w.blockCommits(storetest.Fault{})
	first := w.append("first", word(1, 0, "x"))
	<-reached
	good := w.append("good", word(1, 0, "x"))
	bad := make(chan result, 1)
	err := w.Append(t.Context(), blocks.Append{Key: blocks.BlockKey{Heap: "gone", Block: "b"}, Update: word(1, 0, "x")},
		func(a blocks.Appended, err error) { bad <- result{a, err} })
	if err != nil {
		t.Fatal(err)
	}
	goOn()
	if r := w.wait(first); r.err != nil {
		t.Error(r.err)
	}
	if r := w.wait(good); r.err != nil {
		t.Errorf("failed with another block: %v", r.err)
	}
	if r := w.wait(bad); !errors.Is(r.err, blocks.ErrNotFound) {
		t.Errorf("block in no heap: %v", r.err)
	}
	w.wantState("good", word(1, 0, "x"))
}

func TestFullQueueRefusesAndForgetsNothing(t *testing.T) {
	w := newWorld(t, blocks.Limits{QueueBytes: 200})
	release := w.Hold(key("b"))
	defer release()
	w.put("ada", "b", word(1, 0, "start"))
	reached, goOn := w.blockCommits(storetest.Fault{})
	inflight := w.append("b", word(1, 5, strings.Repeat("a", 80)))
	<-reached
	queued := w.append("b", word(1, 85, strings.Repeat("b", 80)))
	refused := word(1, 165, strings.Repeat("c", 80))
	if r := w.wait(w.append("b", refused)); !errors.Is(r.err, blocks.ErrUnavailable) {
		t.Errorf("past the limit: %+v", r)
	}
	if r := w.wait(w.append("b", refused)); !errors.Is(r.err, blocks.ErrUnavailable) {
		t.Errorf("past the limit, again: %+v", r)
	}
	small := w.append("b", word(2, 0, "!")) // there is room for this one
	goOn()
	for _, answer := range []<-chan result{inflight, queued, small} {
		if r := w.wait(answer); r.err != nil || r.Duplicate {
			t.Errorf("%+v", r)
		}
	}
	w.put("ada", "b", refused)
	w.wantState("b", word(1, 0, "start"+strings.Repeat("a", 80)+strings.Repeat("b", 80)+strings.Repeat("c", 80)), word(2, 0, "!"))
}

func TestUpdateLargerThanTheQueueIsTakenAlone(t *testing.T) {
	w := newWorld(t, blocks.Limits{QueueBytes: 10})
	w.put("ada", "b", word(1, 0, strings.Repeat("a", 100)))
}

func TestStoppedLogTakesNothing(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	ctx, stop := context.WithCancel(context.Background())
	other := blocks.New(blocks.LogConfig{Store: w.store})
	stop()
	other.Run(ctx)
	for range 2 {
		err := other.Append(t.Context(), blocks.Append{Key: key("b"), Update: word(1, 0, "x")}, func(blocks.Appended, error) {
			t.Error("done was called")
		})
		if !errors.Is(err, blocks.ErrUnavailable) {
			t.Errorf("append: %v", err)
		}
	}
}

func TestStopStoresWhatIsQueued(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	var answers []<-chan result
	for i := range 50 {
		answers = append(answers, w.append(fmt.Sprint("b", i%5), word(uint64(i+1), 0, "x")))
	}
	w.restart()
	for _, answer := range answers {
		if r := w.wait(answer); r.err != nil {
			t.Error(r.err)
		}
	}
	for i := range 5 {
		if n := vector(t, w.state(fmt.Sprint("b", i))).Len(); n != 10 {
			t.Errorf("block %d has %d clients, want 10", i, n)
		}
	}
}

// A store that cannot be read refuses; nothing of the update may count as known.
func TestUpdateThatCouldNotBeCheckedIsNotKnownLater(t *testing.T) {
	for _, method := range []string{"Head", "Claims", "State", "Held", "HeldBytesOf"} {
		t.Run(method, func(t *testing.T) {
			w := newWorld(t, blocks.Limits{})
			w.put("ada", "b", word(1, 0, "hello"))
			w.putAside("ada", "b", word(2, 3, "late")) // waits for clocks 0 to 3
			w.restart()
			defer w.Hold(key("b"))()
			// Needs all of them: what is known of client 1 and 2, the state, what is held.
			update := by(1, 0).text(nil, "hello!").by(2, 0).text(nil, "abc").by(3, 5).text(at(3, 4), "x").bytes()
			w.store.Inject(storetest.Fault{Method: method, Fail: true})
			res := w.push("ada", "b", update)
			if res.Status != blocks.StatusUnavailable {
				t.Fatalf("%s failed, but: %s %v", method, res.Status, res.Err)
			}
			w.store.Heal()
			w.want(w.push("ada", "b", update), blocks.StatusApplied, "")
			w.wantState("b", word(1, 0, "hello!"), by(2, 0).text(nil, "abc").text(at(2, 2), "late").bytes())
			if h := w.head("b"); h.Held != 1 {
				t.Errorf("%d updates are held, want 1", h.Held)
			}
		})
	}
}

func TestManyWritersOfOneBlockAreAllStored(t *testing.T) {
	w := newWorld(t, blocks.Limits{SnapshotTail: 50})
	var wg sync.WaitGroup
	var all [][]byte
	for client := range uint64(8) {
		var own [][]byte
		for clock := range uint64(40) {
			own = append(own, word(client+1, clock, "x"))
		}
		all = append(all, own...)
		wg.Go(func() {
			for _, u := range own {
				if res := w.push([]blocks.UserID{"ada", "bob"}[client%2], "b", u); res.Err != nil || res.Status != blocks.StatusApplied {
					t.Errorf("%s %v", res.Status, res.Err)
				}
			}
		})
	}
	wg.Wait()
	w.wantState("b", all...)
	if seq := w.head("b").Seq; seq != 320 {
		t.Errorf("seq is %d after 320 updates", seq)
	}
}
