package live_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/storetest"
	"github.com/heapsync/heapsync/syncserver/live"
	"github.com/heapsync/heapsync/ydoc/protocol"
)

// count counts the acknowledgements among what has come, after the server has
// handled all that was sent.
func (s *socket) count() (acks int) {
	s.w.t.Helper()
	s.handled()
	for {
		select {
		case data := <-s.frames:
			f := parse(s.w.t, data)
			if f.typ == protocol.HSync && f.sync == protocol.SyncStep1 {
				s.asked++
			}
			if f.typ == protocol.HSyncStatus {
				if !f.ok {
					s.w.t.Error("an update is refused")
				}
				acks++
			}
		default:
			return acks
		}
	}
}

// nudged waits until the server asks for what it lacks, and answers with state.
func (s *socket) nudged(address string, state []byte) {
	s.w.t.Helper()
	s.w.Sweep(live.NudgeTime())
	if s.asked > 0 { // the server's own sweep was first
		s.asked--
	} else {
		s.until("step 1", func(f hframe) bool { return f.typ == protocol.HSync && f.sync == protocol.SyncStep1 })
	}
	s.send(protocol.AppendHSync(nil, address, protocol.SyncStep2, state))
}

func TestWhatCouldNotBeStoredIsAskedForAndAcknowledgedOnce(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{
		"commits fail":     {Method: "Commit", Err: blocks.ErrFull, Times: -1},
		"reads fail, too":  {Method: "Claims", Fail: true, Times: -1},
		"done, but failed": {Method: "Commit", Err: blocks.ErrUnavailable, Times: -1, After: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			token := w.user("ada").token
			w.put("b", word(1, 0, "before"))
			s, other := w.dial("/ws"), w.dial("/ws")
			if got := s.enter("h/b", token, empty); !bytes.Equal(got, word(1, 0, "before")) {
				t.Fatalf("got %x", got)
			}
			other.enter("h/other", token, empty)
			w.store.Inject(fault)
			updates := [][]byte{word(1, 6, "a"), word(1, 7, "b"), word(1, 8, "c")}
			for _, u := range updates {
				s.send(protocol.AppendHSync(nil, "h/b", protocol.SyncUpdate, u))
			}
			eventually(t, "all failed", func() bool { return w.Failed() == 3 })
			if n := s.count(); n != 0 {
				t.Errorf("%d acknowledgements while the store fails", n)
			}
			// Reads go on.
			if got := other.enter("h/b", token, empty); len(got) < len(word(1, 0, "before")) {
				t.Errorf("read %x", got)
			}
			// Asked while it still fails: no answer, and it is asked again.
			mine := merge(t, append(updates, word(1, 0, "before"))...)
			if fault.After {
				w.store.Heal()
			} else {
				s.nudged("h/b", mine)
				if n := s.count(); n != 0 {
					t.Errorf("%d acknowledgements while the store fails", n)
				}
				eventually(t, "the answer has failed", func() bool { return !w.Asking() })
				w.store.Heal()
			}
			s.nudged("h/b", mine)
			s.send(protocol.AppendHSync(nil, "h/b", protocol.SyncUpdate, word(1, 9, "d")))
			eventually(t, "the last is stored", func() bool { return bytes.Equal(w.state("b"), word(1, 0, "beforeabcd")) })
			acks := 0
			eventually(t, "acknowledged", func() bool { acks += s.count(); return acks >= 4 })
			w.Sweep(live.NudgeTime())
			w.Sweep(live.NudgeTime().Add(2 * time.Second))
			if acks += s.count(); acks != 4 {
				t.Errorf("%d acknowledgements of 4 messages", acks)
			}
		})
	}
}

// What fails after the client sent a step 2 is not in it.
func TestStepTwoAcknowledgesOnlyWhatItHolds(t *testing.T) {
	w := newWorld(t)
	s := w.dial("/ws")
	s.enter("h/b", w.user("ada").token, empty)
	w.store.Inject(storetest.Fault{Method: "Commit", Err: blocks.ErrFull})
	s.send(protocol.AppendHSync(nil, "h/b", protocol.SyncUpdate, word(1, 0, "a")))
	eventually(t, "it failed", func() bool { return w.Failed() == 1 })

	until, reached := make(chan struct{}), make(chan struct{}, 10)
	w.store.Inject(storetest.Fault{Method: "Commit", Until: until, Reached: reached}) // the step 2
	s.nudged("h/b", word(1, 0, "a"))
	<-reached
	w.store.Inject(storetest.Fault{Method: "Commit", Err: blocks.ErrFull, Times: -1}) // what comes after it
	s.send(protocol.AppendHSync(nil, "h/b", protocol.SyncUpdate, word(1, 1, "b")))
	s.handled()
	close(until)
	eventually(t, "the second failed", func() bool { return w.Failed() == 2 })
	if n := s.count(); n != 1 {
		t.Errorf("%d acknowledgements of one stored update", n)
	}
	w.store.Heal()
	s.nudged("h/b", word(1, 0, "ab"))
	s.expect("h/b", protocol.HSyncStatus)
	if n := s.count(); n != 0 {
		t.Errorf("%d acknowledgements too many", n)
	}
}

func TestYWebsocketIsAskedForWhatCouldNotBeStored(t *testing.T) {
	w := newWorld(t)
	s := w.dial("/ws/h/b?token=" + w.user("ada").token)
	s.next() // step 1
	w.store.Inject(storetest.Fault{Method: "Commit", Err: blocks.ErrFull})
	s.send(protocol.AppendYSync(nil, protocol.SyncUpdate, word(1, 0, "a")))
	eventually(t, "it failed", func() bool { return w.Failed() == 1 })
	w.Sweep(live.NudgeTime())
	if got := s.next(); !bytes.Equal(got, protocol.AppendYSync(nil, protocol.SyncStep1, []byte{0})) {
		t.Errorf("got %x, want step 1", got)
	}
	s.send(protocol.AppendYSync(nil, protocol.SyncStep2, word(1, 0, "a")))
	eventually(t, "it is stored", func() bool { return w.blocksHave("b") })
}

// A provider that is told to close a document does not open it again by itself, but
// one that loses its socket does.
func TestReadThatFailsEndsTheSocketAndNoDocumentForGood(t *testing.T) {
	w := newWorld(t)
	token := w.user("ada").token
	w.put("b", word(1, 0, "a"))
	for name, fault := range map[string]storetest.Fault{
		"opening":      {Method: "State", Fail: true},
		"entering":     {Method: "Head", Fail: true},
		"asking roles": {Method: "RoleOf", Fail: true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/ws", "/ws/h/b?token=" + token} {
				w.store.Inject(fault)
				s := w.dial(path)
				if path == "/ws" {
					s.token("h/b", token)
					_ = s.WriteMessage(websocket.BinaryMessage, protocol.AppendHSync(nil, "h/b", protocol.SyncStep1, []byte{0}))
				} else { // it may be closed by now
					_ = s.WriteMessage(websocket.BinaryMessage, protocol.AppendYSync(nil, protocol.SyncStep1, []byte{0}))
				}
				s.wantEnd(1011)
			}
		})
	}
}

func TestStoreThatCannotSayEndsNoSession(t *testing.T) {
	w := newWorld(t)
	s := w.dial("/ws")
	s.enter("h/b", w.user("ada").token, empty)
	w.store.Inject(storetest.Fault{Method: "RoleOf", Fail: true, Times: -1})
	w.Recheck()
	eventually(t, "checked", func() bool { return w.store.Calls("RoleOf") > 1 })
	w.store.Heal()
	s.alive("h/b", word(1, 0, "a"))
}
