package blocks_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/storetest"
	"github.com/heapsync/heapsync/ydoc"
)

// listener keeps what a subscriber was told.
type listener struct {
	mu      sync.Mutex // guards commits
	commits []blocks.Commit
}

func (w *world) listen() *listener {
	l := &listener{}
	w.t.Cleanup(w.Subscribe(func(c blocks.Commit) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.commits = append(l.commits, c)
	}))
	return l
}

func (l *listener) all() []blocks.Commit {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.commits
}

func TestSubscribersHearEveryCommitInOrder(t *testing.T) {
	w := newWorld(t, blocks.Limits{SnapshotTail: 30})
	heard := w.listen()
	var wg sync.WaitGroup
	for client := range uint64(10) {
		wg.Go(func() {
			for clock := range uint64(30) {
				w.put([]blocks.UserID{"ada", "bob", "carol"}[client%3], fmt.Sprint("b", client%3), word(client+1, clock, "x"))
			}
		})
	}
	wg.Wait()
	last := blocks.Seq(0)
	at := int64(0)
	states := make(map[blocks.BlockKey][]byte)
	for _, c := range heard.all() {
		if c.First <= last && c.Update != nil && c.Last <= last {
			t.Fatalf("commit of seq %d to %d after %d", c.First, c.Last, last)
		}
		if c.At < at {
			t.Fatalf("commit at %d after %d", c.At, at)
		}
		last, at = max(last, c.Last), c.At
		u, err := ydoc.DecodeUpdate(c.Update, ydoc.V1, ydoc.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		before := states[c.Key]
		if before == nil {
			before = []byte{0, 0}
			if !c.Created {
				t.Errorf("%s: the first commit does not create it", c.Key)
			}
		} else if c.Created {
			t.Errorf("%s is created again", c.Key)
		}
		if !u.Ready(vector(t, before)) {
			t.Fatalf("commit %d of %s cannot be integrated on what came before", c.Last, c.Key)
		}
		if states[c.Key], err = ydoc.MergeUpdates(ydoc.V1, before, c.Update); err != nil {
			t.Fatal(err)
		}
		sv, err := ydoc.DecodeStateVector(c.StateVector)
		if own := vector(t, states[c.Key]); err != nil || !sv.Equal(own) {
			t.Fatalf("commit %d of %s: state vector %x, %v", c.Last, c.Key, c.StateVector, err)
		}
	}
	if last != 300 || len(states) != 3 {
		t.Errorf("heard of %d updates in %d blocks, want 300 in 3", last, len(states))
	}
	for k, state := range states {
		if !sameState(t, state, w.state(string(k.Block))) {
			t.Errorf("%s: what was heard is not what is stored", k)
		}
	}
}

func TestWhatCommitsTogetherIsOneEvent(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.put("ada", "b", word(9, 0, "x"))
	heard := w.listen()
	reached, goOn := w.blockCommits(storetest.Fault{})
	first := w.append("other", word(1, 0, "x"))
	<-reached
	var answers []<-chan result
	for client := range uint64(5) {
		answers = append(answers, w.append("b", word(client+1, 0, "abc")), w.append("c", word(client+1, 0, "x")))
	}
	goOn()
	w.wait(first)
	for _, answer := range answers {
		if r := w.wait(answer); r.err != nil {
			t.Fatal(r.err)
		}
	}
	// The relay tells before it acknowledges.
	counts := map[blocks.BlockID]int{}
	for _, c := range heard.all() {
		counts[c.Key.Block]++
		if c.Key.Block == "b" && (c.Last-c.First != 4 || vector(t, c.Update).Len() != 5) {
			t.Errorf("commit: %+v", c)
		}
	}
	if counts["b"] != 1 || counts["c"] != 1 {
		t.Errorf("events: %v, want one for each block", counts)
	}
}

func TestCommitNamesItsSourceIfThereIsOne(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	heard := w.listen()
	appendFrom := func(source any, update []byte) <-chan result {
		answer := make(chan result, 1)
		err := w.Append(t.Context(), blocks.Append{Key: key("b"), Author: blocks.Author{User: "ada", Source: source}, Update: update},
			func(a blocks.Appended, err error) { answer <- result{a, err} })
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	w.wait(appendFrom("one", word(1, 0, "a")))
	w.wait(appendFrom("two", word(2, 1, "late"))) // waits
	w.wait(appendFrom("one", word(2, 0, "x")))    // lets in what is another's
	reached, goOn := w.blockCommits(storetest.Fault{})
	w.append("other", word(1, 0, "x"))
	<-reached
	same := []<-chan result{appendFrom("one", word(1, 1, "b")), appendFrom("one", word(1, 2, "c"))}
	goOn()
	for _, a := range same {
		w.wait(a)
	}
	reached, goOn = w.blockCommits(storetest.Fault{})
	w.append("other", word(1, 1, "x"))
	<-reached
	mixed := []<-chan result{appendFrom("one", word(1, 3, "d")), appendFrom("two", word(3, 0, "e"))}
	goOn()
	for _, a := range mixed {
		w.wait(a)
	}
	var got []any
	for _, c := range heard.all() {
		if c.Key.Block == "b" && c.Update != nil {
			got = append(got, c.Source)
		}
	}
	if want := "[one <nil> one <nil>]"; fmt.Sprint(got) != want {
		t.Errorf("sources %v, want %s", got, want)
	}
}

func TestDuplicatesAndHeldUpdatesAreNoEvents(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.put("ada", "b", word(1, 0, "a"))
	heard := w.listen()
	w.push("ada", "b", word(1, 0, "a"))
	w.putAside("ada", "b", word(1, 5, "late"))
	w.store.Inject(storetest.Fault{Method: "Commit", Err: blocks.ErrFull})
	w.push("ada", "b", word(1, 1, "b"))
	if got := heard.all(); len(got) != 0 {
		t.Errorf("heard %+v", got)
	}
}
