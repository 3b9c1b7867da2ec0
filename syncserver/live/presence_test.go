package live_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/ydoc/protocol"
)

// presence follows the awareness messages of a document until is holds of who is
// there: client to state.
func (s *socket) presence(address, what string, is func(map[uint64]string) bool) map[uint64]string {
	s.w.t.Helper()
	there := map[uint64]string{}
	s.until(what, func(f hframe) bool {
		if f.typ != protocol.HAwareness || f.address != address {
			return false
		}
		entries, err := protocol.ReadAwareness(f.payload)
		if err != nil {
			s.w.t.Fatal(err)
		}
		for _, e := range entries {
			if e.State == nil {
				delete(there, e.Client)
			} else {
				there[e.Client] = string(e.State)
			}
		}
		return is(there)
	})
	return there
}

func (s *socket) say(address string, entries ...any) {
	s.w.t.Helper()
	s.send(protocol.AppendHAwareness(nil, address, awareness(entries...)))
}

// whoIsThere asks the server for all states.
func (s *socket) whoIsThere(address string) map[uint64]string {
	s.w.t.Helper()
	s.say(address, 999_999, int(time.Now().UnixNano()>>10), `"here"`)
	s.presence(address, "own state", func(m map[uint64]string) bool { return m[999_999] != "" })
	s.send(protocol.AppendHQueryAwareness(nil, address))
	there := map[uint64]string{}
	s.presence(address, "all states", func(m map[uint64]string) bool {
		maps.Copy(there, m)
		return m[999_999] != ""
	})
	delete(there, 999_999)
	return there
}

func TestPresenceAppearsChangesAndLeaves(t *testing.T) {
	w := newWorld(t)
	token := w.user("ada").token
	a, b := w.dial("/ws"), w.dial("/ws")
	a.enter("h/b", token, empty)
	b.enter("h/b", token, empty)
	a.say("h/b", 1, 1, `{"n":1}`)
	for _, s := range []*socket{a, b} { // the author, too: it keeps it alive
		s.presence("h/b", "state", func(m map[uint64]string) bool { return m[1] == `{"n":1}` })
	}
	a.say("h/b", 1, 2, `{"n":2}`)
	b.presence("h/b", "change", func(m map[uint64]string) bool { return m[1] == `{"n":2}` })
	a.say("h/b", 1, 2, `{"n":"same clock"}`, 1, 1, `{"n":"old"}`)
	late := w.dial("/ws")
	late.token("h/b", token)
	late.presence("h/b", "who is there", func(m map[uint64]string) bool { return m[1] == `{"n":2}` })
	a.say("h/b", 1, 2, "null") // removals are forwarded
	b.presence("h/b", "removal", func(m map[uint64]string) bool { return len(m) == 0 })
	a.say("h/b", 1, 3, `{"n":3}`)
	b.presence("h/b", "return", func(m map[uint64]string) bool { return m[1] == `{"n":3}` })
	_ = a.Close()
	b.presence("h/b", "leaving", func(m map[uint64]string) bool { return len(m) == 0 })
}

func TestPresenceLeavesWithItsDocumentAndItsRights(t *testing.T) {
	w := newWorld(t)
	w.role("bob", blocks.RoleEditor)
	watch, bob := w.dial("/ws"), w.dial("/ws")
	watch.enter("h/b", w.user("ada").token, empty)
	for name, end := range map[string]func(){
		"detached": func() { bob.send(protocol.AppendHDetach(nil, "h/b")) },
		"expelled": func() { w.role("bob", blocks.RoleNone) },
		"broken":   func() { bob.send(protocol.AppendHAwareness(nil, "h/b", []byte{200})) },
	} {
		w.role("bob", blocks.RoleEditor)
		bob.enter("h/b", w.user("bob").token, empty)
		clock := int(time.Now().UnixNano() >> 10)
		bob.say("h/b", 7, clock, `{"name":"bob"}`)
		watch.presence("h/b", name+": state", func(m map[uint64]string) bool { return m[7] != "" })
		end()
		watch.presence("h/b", name+": removal", func(m map[uint64]string) bool { return len(m) == 0 })
		bob.expect("h/b", protocol.HClose)
	}
}

func TestNobodySpeaksForAnothersClient(t *testing.T) {
	w := newWorld(t)
	w.role("mallory", blocks.RoleViewer)
	ada, mallory := w.dial("/ws"), w.dial("/ws")
	ada.enter("h/b", w.user("ada").token, empty)
	mallory.enter("h/b", w.user("mallory").token, empty)
	ada.say("h/b", 1, 1, `{"name":"ada"}`)
	mallory.presence("h/b", "state", func(m map[uint64]string) bool { return m[1] != "" })
	mallory.say("h/b", 1, 100, `{"name":"fool"}`, 1, 200, "null", 2, 1, `{"name":"mallory"}`)
	if m := ada.whoIsThere("h/b"); m[1] != `{"name":"ada"}` || m[2] != `{"name":"mallory"}` {
		t.Errorf("who is there: %v", m)
	}
	// But one's own other socket may: a client that reconnects before it is missed.
	again := w.dial("/ws")
	again.enter("h/b", w.user("ada").token, empty)
	again.say("h/b", 1, 2, `{"name":"ada again"}`)
	mallory.presence("h/b", "state", func(m map[uint64]string) bool { return m[1] == `{"name":"ada again"}` })
	_ = ada.Close()
	if m := again.whoIsThere("h/b"); m[1] != `{"name":"ada again"}` {
		t.Errorf("the old socket took the new one's state along: %v", m)
	}
}

func TestPresenceIsBounded(t *testing.T) {
	w := newWorld(t)
	s := w.dial("/ws")
	s.enter("h/b", w.user("ada").token, empty)
	var many []any
	for i := range 20_000 {
		many = append(many, 100+i, 1, "1")
	}
	s.say("h/b", many...)
	s.say("h/b", 5, 1, `"`+strings.Repeat("x", 70<<10)+`"`)
	s.handled()
	watch := w.dial("/ws")
	watch.enter("h/b", w.user("ada").token, empty)
	if m := watch.whoIsThere("h/b"); len(m) != 16 {
		t.Errorf("%d clients of one socket are there", len(m))
	}
	// Nor by taking turns: what left is remembered, too.
	turns := w.dial("/ws")
	turns.enter("h/turns", w.user("ada").token, empty)
	many = nil
	for i := range 20_000 {
		many = append(many, 100+i, 1, "1", 100+i, 2, "null")
	}
	turns.say("h/turns", many...)
	turns.handled()
	if n := w.Remembered(); n > 40 {
		t.Errorf("%d clients are remembered", n)
	}
}

func TestPresenceThatIsNotRenewedExpires(t *testing.T) {
	w := newWorld(t)
	a, b := w.dial("/ws"), w.dial("/ws")
	a.enter("h/b", w.user("ada").token, empty)
	b.enter("h/b", w.user("ada").token, empty)
	a.say("h/b", 1, 1, `{"n":1}`)
	b.presence("h/b", "state", func(m map[uint64]string) bool { return m[1] != "" })
	threes := time.Unix(time.Now().Unix()/3*3, 0)
	w.Sweep(threes.Add(27 * time.Second))
	if m := b.whoIsThere("h/b"); m[1] == "" {
		t.Error("gone before its time")
	}
	w.Sweep(threes.Add(36 * time.Second))
	b.presence("h/b", "expiry", func(m map[uint64]string) bool { return m[1] == "" })
	w.Sweep(threes.Add(66 * time.Second))
	w.Sweep(threes.Add(69 * time.Second))
	eventually(t, "forgotten", func() bool {
		w.Sweep(threes.Add(99 * time.Second).Add(-30 * time.Second))
		return w.Remembered() <= 2
	})
}

func TestPresenceFloodIsCoalesced(t *testing.T) {
	w := newWorld(t)
	a, b := w.dial("/ws"), w.dial("/ws")
	a.enter("h/b", w.user("ada").token, empty)
	b.enter("h/b", w.user("ada").token, empty)
	start := time.Now()
	const n = 3000
	for i := range n {
		a.say("h/b", 1, i+1, fmt.Sprintf(`{"n":%d}`, i))
	}
	messages := 0
	b.presence("h/b", "last state", func(m map[uint64]string) bool {
		messages++
		return m[1] == fmt.Sprintf(`{"n":%d}`, n-1)
	})
	if most := int(time.Since(start)/(50*time.Millisecond)) + 2; messages > most {
		t.Errorf("%d messages in %v, want %d at most", messages, time.Since(start), most)
	}
}

func TestPresenceIsNeverStored(t *testing.T) {
	w := newWorld(t)
	s := w.dial("/ws")
	s.enter("h/b", w.user("ada").token, empty)
	created := w.blocksHave("b")
	commits := w.store.Calls("Commit")
	s.say("h/b", 1, 1, `{"n":1}`)
	s.presence("h/b", "state", func(m map[uint64]string) bool { return m[1] != "" })
	if w.store.Calls("Commit") != commits || w.blocksHave("b") != created {
		t.Error("presence was committed")
	}
}
