package live_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/heapsync/heapsync/syncserver/live"
	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/lib0"
	"github.com/heapsync/heapsync/ydoc/protocol"
)

// collect reads until all of want has come, and checks that it makes want. No
// struct may come before what it follows on.
func (s *socket) collect(read func([]byte) []byte, want []byte) (messages int) {
	s.w.t.Helper()
	var all [][]byte
	var got ydoc.StateVector
	wanted, err := ydoc.StateVectorOf(ydoc.V1, want)
	if err != nil {
		s.w.t.Fatal(err)
	}
	for !got.Covers(wanted) {
		messages++
		update := read(s.next())
		if update == nil {
			continue
		}
		all = append(all, update)
		u, err := ydoc.DecodeUpdate(update, ydoc.V1, ydoc.DefaultLimits())
		if err != nil || !u.Ready(got) {
			s.w.t.Fatalf("message %d does not follow on what came before: %v", messages, err)
		}
		for st := range u.Structs() {
			got.Advance(st.Client, st.Clock+st.Len)
		}
	}
	if !bytes.Equal(merge(s.w.t, all...), merge(s.w.t, want)) {
		s.w.t.Error("what came does not make the state")
	}
	return messages
}

// hUpdate and yUpdate return the update in a message, nil if it holds none.
func (w *world) hUpdate(address string) func([]byte) []byte {
	return func(data []byte) []byte {
		f := parse(w.t, data)
		if f.typ != protocol.HSync || f.sync == protocol.SyncStep1 || f.address != address {
			return nil
		}
		return f.payload
	}
}

func (w *world) yUpdate(data []byte) []byte {
	r := lib0.NewReader(data)
	if typ, err := r.VarUint(); err != nil || typ != protocol.YSync {
		return nil
	}
	t, payload, err := protocol.ReadSync(r)
	if err != nil || t == protocol.SyncStep1 {
		return nil
	}
	return payload
}

// flood writes edits until a reader has fallen behind, and then some.
func (w *world) flood(writer *socket, address string, slow int64) (edits uint64) {
	w.t.Helper()
	text := strings.Repeat("x", 20_000)
	for edits = 0; w.Stats().SlowConsumers < slow || edits%20 != 0; edits++ {
		writer.alive(address, word(9, edits*20_000, text))
		if edits > 3000 {
			w.t.Fatal("nobody falls behind")
		}
	}
	return edits
}

func TestReaderThatIsTooSlowCatchesUpWithOneUpdate(t *testing.T) {
	w := newWorld(t, func(c *live.Config) { c.MaxQueue = 64 << 10 })
	token := w.user("ada").token
	writer, fast := w.dial("/ws"), w.dial("/ws")
	writer.enter("h/b", token, empty)
	fast.enter("h/b", token, empty)
	slow := w.dialUnread("/ws")
	slow.token("h/b", token)
	_ = slow.WriteMessage(websocket.BinaryMessage, protocol.AppendHSync(nil, "h/b", protocol.SyncStep1, []byte{0}))
	slowY := w.dialUnread("/ws/h/b?token=" + token)
	_ = slowY.WriteMessage(websocket.BinaryMessage, protocol.AppendYSync(nil, protocol.SyncStep1, []byte{0}))
	eventually(t, "all are in", func() bool { return w.Stats().Subscriptions == 4 })

	edits := w.flood(writer, "h/b", 2)
	want := w.state("b")
	fastMessages := fast.collect(w.hUpdate("h/b"), want)
	slow.read()
	slowY.read()
	slowMessages := slow.collect(w.hUpdate("h/b"), want)
	yMessages := slowY.collect(w.yUpdate, want)
	if slowMessages > int(edits)*9/10 || yMessages > int(edits)*9/10 {
		t.Errorf("%d edits came as %d and %d messages", edits, slowMessages, yMessages)
	}
	t.Logf("%d edits: %d messages to who reads, %d and %d to who did not", edits, fastMessages, slowMessages, yMessages)
	// It is live again.
	writer.alive("h/b", word(10, 0, "new"))
	for _, got := range [][]byte{w.hUpdate("h/b")(slow.next()), w.yUpdate(slowY.next())} {
		if !bytes.Equal(got, word(10, 0, "new")) {
			t.Errorf("then %x came", got)
		}
	}
}

func TestReaderThatIsTooSlowCostsBoundedMemory(t *testing.T) {
	w := newWorld(t, func(c *live.Config) { c.MaxQueue = 64 << 10 })
	token := w.user("ada").token
	writer := w.dial("/ws")
	writer.enter("h/b", token, empty)
	for range 20 {
		s := w.dialUnread("/ws/h/b?token=" + token)
		_ = s.WriteMessage(websocket.BinaryMessage, protocol.AppendYSync(nil, protocol.SyncStep1, []byte{0}))
	}
	eventually(t, "all are in", func() bool { return w.Stats().Subscriptions == 21 })
	w.flood(writer, "h/b", 20)
	before := heapUsed()
	for i := range uint64(100) { // 2 MB, of which nobody reads a byte
		writer.alive("h/b", word(11, i*20_000, strings.Repeat("x", 20_000)))
	}
	// For a moment the block may be being read, for lists or for a snapshot.
	eventually(t, "at most 6 MiB more are in use", func() bool {
		return int64(heapUsed())-int64(before) <= 6<<20
	})
}

// A large state on its way to a client is no reason to cut the client off.
func TestAnswersWaitBehindALargeState(t *testing.T) {
	w := newWorld(t, func(c *live.Config) { c.MaxQueue = 16 << 10 })
	w.put("large", word(1, 0, strings.Repeat("x", 12<<20)))
	token := w.user("ada").token
	s := w.dialUnread("/ws")
	s.token("h/large", token)
	s.token("h/small", token)
	s.send(protocol.AppendHSync(nil, "h/small", protocol.SyncUpdate, word(2, 0, "a")))
	s.send(protocol.AppendHSync(nil, "h/large", protocol.SyncStep1, []byte{0}))
	eventually(t, "the update is stored", func() bool {
		return w.blocksHave("small")
	})
	w.role("bob", 1) // has rights checked, and events sent, meanwhile
	s.read()
	s.until("acknowledgement", func(f hframe) bool { return f.typ == protocol.HSyncStatus && f.address == "h/small" })
	f := s.until("state", func(f hframe) bool { return f.typ == protocol.HSync && f.sync == protocol.SyncStep2 })
	if !bytes.Equal(f.payload, w.state("large")) {
		t.Errorf("the state has %d bytes", len(f.payload))
	}
	s.alive("h/small", word(2, 1, "b"))
}

func TestPresenceFloodReachesASlowReaderInTheEnd(t *testing.T) {
	w := newWorld(t, func(c *live.Config) { c.MaxQueue = 32 << 10 })
	token := w.user("ada").token
	loud := w.dial("/ws")
	loud.enter("h/b", token, empty) // the block has no update yet
	slow := w.dialUnread("/ws")
	slow.token("h/b", token)
	eventually(t, "both are in", func() bool { return w.Stats().Subscriptions == 2 })
	for i := 1; w.Stats().SlowConsumers == 0; i++ {
		state := fmt.Sprintf(`{"n":%d,"pad":"%s"}`, i, strings.Repeat("x", 50_000))
		loud.send(protocol.AppendHAwareness(nil, "h/b", awareness(5, i, state)))
		loud.handled()
		time.Sleep(live.PresenceEvery) // what comes faster is sent as one
		if i > 1000 {
			t.Fatal("never full")
		}
	}
	loud.send(protocol.AppendHAwareness(nil, "h/b", awareness(5, 5000, `{"n":"last"}`)))
	slow.read()
	slow.until("last state", func(f hframe) bool {
		return f.typ == protocol.HAwareness && strings.Contains(string(f.payload), "last")
	})
}
