package live_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/syncserver/live"
	"github.com/heapsync/heapsync/ydoc/protocol"
)

type event struct {
	Event, Code, Op string
	HeapID          string `json:"heap_id"`
	BlockID         string `json:"block_id"`
	Seq             int64
	At              int64
	StateVector     []byte `json:"state_vector"`
	UserID          string `json:"user_id"`
}

func (s *socket) op(op, heap, token string) {
	s.w.t.Helper()
	text, err := json.Marshal(map[string]string{"op": op, "heap_id": heap, "token": token})
	if err == nil {
		err = s.WriteMessage(websocket.TextMessage, text)
	}
	if err != nil {
		s.w.t.Fatal(err)
	}
}

func (s *socket) event() event {
	s.w.t.Helper()
	select {
	case text, ok := <-s.texts:
		if !ok {
			s.w.t.Fatalf("the socket ended: %v", s.end)
		}
		var e event
		if err := json.Unmarshal(text, &e); err != nil {
			s.w.t.Fatalf("%s: %v", text, err)
		}
		return e
	case <-time.After(patience):
		s.w.t.Fatal("no event came")
		return event{}
	}
}

func TestSubscribersHearOfChangesOfTheirHeaps(t *testing.T) {
	w := newWorld(t)
	w.addHeap("bob", "bobs")
	s := w.dial("/ws?token=" + w.user("ada").token)
	s.op("subscribe", "h", "")
	s.handled()
	w.put("b", word(1, 0, "a"))
	e := s.event()
	if e.Event != "block.changed" || e.HeapID != "h" || e.BlockID != "b" || e.Seq != 1 || e.At == 0 || string(e.StateVector) != string([]byte{1, 1, 1}) {
		t.Errorf("%+v", e)
	}
	w.blocks.Push(t.Context(), blocks.Author{User: w.user("bob").id}, []blocks.PushItem{
		{Target: blocks.Target{Heap: "bobs", Block: "secret"}, Update: word(1, 0, "a")},
	})
	w.put("c", word(1, 0, "a"))
	if e := s.event(); e.BlockID != "c" || e.Seq != 3 {
		t.Errorf("%+v", e)
	}
	s.op("unsubscribe", "h", "")
	s.handled()
	w.put("c", word(1, 1, "b"))
	s.op("subscribe", "h", "")
	s.handled()
	w.put("c", word(1, 2, "c"))
	if e := s.event(); e.Seq != 5 {
		t.Errorf("%+v", e)
	}
}

func TestSubscribersHearOfMembers(t *testing.T) {
	w := newWorld(t)
	s := w.dial("/ws?token=" + w.user("ada").token)
	s.op("subscribe", "h", "")
	s.handled()
	if err := w.blocks.SetRole(t.Context(), "h", w.user("bob").id, blocks.RoleViewer); err != nil {
		t.Fatal(err)
	}
	if e := s.event(); e.Event != "member.changed" || e.HeapID != "h" || e.UserID != string(w.user("bob").id) || e.At == 0 {
		t.Errorf("%+v", e)
	}
}

func TestSubscribersHearOfTheHeapsName(t *testing.T) {
	w := newWorld(t)
	s := w.dial("/ws?token=" + w.user("ada").token)
	s.op("subscribe", "h", "")
	s.handled()
	h, err := w.blocks.RenameHeap(t.Context(), w.user("ada").id, "h", " Another name ")
	if err != nil || h.Name != "Another name" {
		t.Fatalf("%+v, %v", h, err)
	}
	if e := s.event(); e.Event != "heap.changed" || e.HeapID != "h" || e.At == 0 {
		t.Errorf("%+v", e)
	}
}

func TestSubscriptionsAreForMembers(t *testing.T) {
	w := newWorld(t)
	w.addHeap("bob", "bobs")
	s := w.dial("/ws")
	for _, tt := range []struct{ op, heap, token, want string }{
		{"subscribe", "h", "", "unauthorized"},
		{"auth", "", "hsa_wrong", "unauthorized"},
		{"auth", "", "", "unauthorized"},
		{"dance", "", "", "invalid"},
		{"", "", "", "invalid"},
	} {
		s.op(tt.op, tt.heap, tt.token)
		if e := s.event(); e.Event != "error" || e.Code != tt.want || e.Op != tt.op {
			t.Errorf("%s: %+v, want %s", tt.op, e, tt.want)
		}
	}
	for _, text := range []string{"", "hello", "[1]", `{"op":5}`, `{"op":"auth"`} {
		if err := s.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if e := s.event(); e.Event != "error" || e.Code != "invalid" {
			t.Errorf("%q: %+v", text, e)
		}
	}
	s.op("auth", "", w.user("ada").token)
	for _, heap := range []string{"bobs", "none", "", "no id!"} {
		s.op("subscribe", heap, "")
		if e := s.event(); e.Event != "error" || e.Code != "not_found" || e.HeapID != heap {
			t.Errorf("heap %q: %+v", heap, e)
		}
	}
	w.Sweep(time.Now().Add(20 * time.Second)) // it counts as authenticated
	s.handled()
}

func TestLostRoleEndsASubscription(t *testing.T) {
	w := newWorld(t)
	w.role("bob", blocks.RoleViewer)
	s := w.dial("/ws?token=" + w.user("bob").token)
	s.op("subscribe", "h", "")
	s.handled()
	w.role("bob", blocks.RoleNone)
	if e := s.event(); e.Event != "member.changed" || e.UserID != string(w.user("bob").id) {
		t.Errorf("%+v", e)
	}
	if e := s.event(); e.Event != "error" || e.Code != "not_found" || e.HeapID != "h" {
		t.Errorf("%+v", e)
	}
	w.put("b", word(1, 0, "a"))
	s.op("mark", "", "")
	if e := s.event(); e.Op != "mark" {
		t.Errorf("heard of a foreign heap: %+v", e)
	}
}

func TestSlowListenerIsToldOnceThatTheHeapHasChanged(t *testing.T) {
	w := newWorld(t, func(c *live.Config) { c.MaxQueue = 8 << 10 })
	s := w.dialUnread("/ws?token=" + w.user("ada").token)
	s.op("subscribe", "h", "")
	watch := w.dial("/ws?token=" + w.user("ada").token)
	watch.op("subscribe", "h", "")
	watch.handled()
	eventually(t, "both listen", func() bool { return w.Listeners("h") == 2 })
	const n = 6000
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for j := range uint64(n / 20) {
				w.put(fmt.Sprint("b", i, strings.Repeat("x", 50)), word(1, j, "x"))
			}
		})
	}
	wg.Wait()
	s.read()
	changed, heap := 0, 0
	for clock := uint64(0); ; { // until an event of its own is heard again
		w.put("last", word(1, clock, "x"))
		clock++
		e := s.event()
		for e.Event == "block.changed" && e.BlockID != "last" {
			changed++
			e = s.event()
		}
		if e.Event != "heap.changed" {
			break
		}
		heap++
	}
	if heap == 0 || changed+heap > n*9/10 {
		t.Errorf("of %d changes it heard %d, and %d times that there were more", n, changed, heap)
	}
}

func TestShutdownClosesEverySocketAndWaits(t *testing.T) {
	w := newWorld(t)
	token := w.user("ada").token
	var all []*socket
	for i := range 20 {
		h := w.dial("/ws")
		h.enter(fmt.Sprint("h/b", i%3), token, empty)
		y := w.dial("/ws/h/b" + fmt.Sprint(i%3) + "?token=" + token)
		all = append(all, h, y, w.dial("/ws"))
		h.send(protocol.AppendHSync(nil, fmt.Sprint("h/b", i%3), protocol.SyncUpdate, word(uint64(i+1), 0, "last words")))
	}
	mute := w.dialUnread("/ws") // never answers the close frame
	mute.token("h/b", token)
	all[0].handled()
	start := time.Now()
	w.stop()
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("it took %v", took)
	}
	if s := w.Stats(); s.Connections != 0 || s.Rooms != 0 || s.Subscriptions != 0 {
		t.Errorf("after the end: %+v", s)
	}
	for _, s := range all {
		s.wantEnd(websocket.CloseServiceRestart)
	}
	if _, res, err := websocket.DefaultDialer.Dial(w.url+"/ws", nil); err == nil || res.StatusCode != 503 {
		t.Errorf("a socket opened after the end: %v", err)
	}
}

func TestPanicInASocketEndsOnlyThat(t *testing.T) {
	w := newWorld(t)
	check := w.bystander()
	s := w.dial("/ws")
	s.enter("h/b", w.user("ada").token, empty)
	w.panics.Store(true)
	s.token("h/c", w.user("ada").token)
	s.wantEnd(websocket.CloseInternalServerErr)
	check()
}

func TestBlockThatIsDeletedForGoodIsClosed(t *testing.T) {
	w := newWorld(t)
	state := word(1, 0, "a")
	w.put("b", state)
	s := w.dial("/ws?token=" + w.user("ada").token)
	s.enter("h/b", w.user("ada").token, state)
	s.enter("h/other", w.user("ada").token, empty)
	s.op("subscribe", "h", "")
	s.handled()
	y := w.dial("/ws/h/b?token=" + w.user("ada").token)
	y.next()
	stone, err := w.blocks.PurgeBlock(t.Context(), blocks.Author{User: w.user("ada").id}, blocks.Target{Heap: "h", Block: "b"})
	if err != nil {
		t.Fatal(err)
	}
	if f := s.expect("h/b", protocol.HClose); f.text != "deleted" {
		t.Errorf("closed with %s", f.text)
	}
	y.wantEnd(4404)
	if e := s.event(); e.Event != "block.deleted" || e.BlockID != "b" || e.Seq != int64(stone.Seq) || e.At != stone.At {
		t.Errorf("%+v", e)
	}
	s.alive("h/other", word(3, 0, "x"))
	w.dial("/ws/h/b?token=" + w.user("ada").token).wantEnd(4404)
}

func TestSubscribersHearOfTheTrash(t *testing.T) {
	w := newWorld(t)
	author := blocks.Author{User: w.user("ada").id}
	w.put("b", word(1, 0, "a"))
	s := w.dial("/ws?token=" + w.user("ada").token)
	s.op("subscribe", "h", "")
	s.handled()
	if _, err := w.blocks.TrashBlock(t.Context(), author, blocks.Target{Heap: "h", Block: "b"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.blocks.RestoreBlocks(t.Context(), author, "h", []blocks.BlockID{"b"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"block.changed", "block.trashed", "block.changed", "block.restored"} {
		if e := s.event(); e.Event != want || e.HeapID != "h" || e.BlockID != "b" || e.At == 0 {
			t.Errorf("%+v, want %s", e, want)
		}
	}
}
