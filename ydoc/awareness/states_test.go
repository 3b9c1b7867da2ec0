package awareness_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/heapsync/heapsync/ydoc/awareness"
	"github.com/heapsync/heapsync/ydoc/protocol"
)

var start = time.Unix(1_000_000, 0)

// entry is what client says at clock; an empty state says that it is gone.
func entry(client, clock uint64, state string) protocol.AwarenessEntry {
	e := protocol.AwarenessEntry{Client: client, Clock: clock}
	if state != "" {
		e.State = []byte(state)
	}
	return e
}

func TestNewsIsWhatHasAHigherClock(t *testing.T) {
	for name, c := range map[string]struct {
		entries []protocol.AwarenessEntry
		want    string // the state of client 1 in the end; "" for absent
	}{
		"the first state, at clock 0":     {[]protocol.AwarenessEntry{entry(1, 0, "{}")}, ""},
		"the first change":                {[]protocol.AwarenessEntry{entry(1, 0, "{}"), entry(1, 1, `{"a":1}`)}, `{"a":1}`},
		"an older state":                  {[]protocol.AwarenessEntry{entry(1, 5, "5"), entry(1, 4, "4")}, "5"},
		"another state at the same clock": {[]protocol.AwarenessEntry{entry(1, 5, "5"), entry(1, 5, "6")}, "5"},
		"gone at the same clock":          {[]protocol.AwarenessEntry{entry(1, 5, "5"), entry(1, 5, "")}, ""},
		"gone before":                     {[]protocol.AwarenessEntry{entry(1, 5, "5"), entry(1, 4, "")}, "5"},
		"back at the same clock":          {[]protocol.AwarenessEntry{entry(1, 5, "5"), entry(1, 5, ""), entry(1, 5, "5")}, ""},
		"back at a higher one":            {[]protocol.AwarenessEntry{entry(1, 5, "5"), entry(1, 5, ""), entry(1, 6, "6")}, "6"},
	} {
		var s awareness.States
		for _, e := range c.entries {
			s.Apply([]protocol.AwarenessEntry{e}, start)
		}
		got, present := s.State(1)
		if string(got) != c.want || present != (c.want != "") || s.Len() != len(slices.Collect(s.All())) {
			t.Errorf("%s: %q, %d present", name, got, s.Len())
		}
	}
}

func TestStatesExpireAndAreForgotten(t *testing.T) {
	var s awareness.States
	s.Apply([]protocol.AwarenessEntry{entry(1, 5, "1"), entry(2, 5, "2")}, start)
	later := start.Add(awareness.Timeout)
	s.Apply([]protocol.AwarenessEntry{entry(2, 6, "2")}, later)
	if got := s.Expire(later); got != nil {
		t.Errorf("expired at the timeout: %v", got)
	}
	if got := s.Expire(later.Add(1)); !slices.Equal(got, []uint64{1}) || s.Len() != 1 {
		t.Errorf("expired: %v, %d present", got, s.Len())
	}
	if got := s.Apply([]protocol.AwarenessEntry{entry(1, 5, "1")}, later); got != nil {
		t.Error("an old state brought a client back")
	}
	s.Expire(start.Add(awareness.Forget + 1))
	if got := s.Apply([]protocol.AwarenessEntry{entry(1, 1, "1")}, later); got == nil {
		t.Error("a client long gone was not forgotten")
	}
}

func TestAReceiverEndsUpWithTheSameStates(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var sender, receiver awareness.States
	send := func(b []byte) {
		entries, err := protocol.ReadAwareness(b)
		if err != nil {
			t.Fatal(err)
		}
		receiver.Apply(entries, start)
	}
	for range 1000 {
		id := rng.Uint64N(5)
		var changed []uint64
		if rng.IntN(4) == 0 {
			changed = sender.Remove(id)
		} else {
			changed = sender.Apply([]protocol.AwarenessEntry{entry(id, rng.Uint64N(200), []string{"", "{}", `"x"`}[rng.IntN(3)])}, start)
		}
		send(sender.Append(nil, changed...))
		if got, want := receiver.AppendAll(nil), sender.AppendAll(nil); !slices.Equal(got, want) {
			t.Fatalf("receiver has %q, sender %q", got, want)
		}
	}
	var late awareness.States
	entries, err := protocol.ReadAwareness(sender.AppendAll(nil))
	if err != nil {
		t.Fatal(err)
	}
	late.Apply(entries, start)
	if late.Len() > sender.Len() {
		t.Errorf("%d of %d", late.Len(), sender.Len())
	}
}
