package live_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/syncserver/live"
	"github.com/heapsync/heapsync/ydoc/protocol"
)

func TestViewerReadsAndChangesNothing(t *testing.T) {
	w := newWorld(t)
	state := word(1, 0, "hello")
	w.put("b", state)
	for _, role := range []blocks.Role{blocks.RoleViewer, blocks.RoleCommenter} {
		w.role("eve", role)
		s, owner := w.dial("/ws"), w.dial("/ws")
		owner.enter("h/b", w.user("ada").token, state)
		s.token("h/b", w.user("eve").token)
		if f := s.expect("h/b", protocol.HAuth); f.text != "readonly" {
			t.Errorf("%s: scope %s", role, f.text)
		}
		for _, tt := range []struct {
			name   string
			kind   protocol.SyncType
			update []byte
			ok     bool
		}{
			{"step 2 with nothing", protocol.SyncStep2, empty, true},
			{"step 2 with what is known", protocol.SyncStep2, state, true},
			{"step 2 with more", protocol.SyncStep2, word(1, 0, "hello!"), false},
			{"step 2 with a deletion", protocol.SyncStep2, []byte{0, 1, 1, 1, 0, 1}, false},
			{"update", protocol.SyncUpdate, word(2, 0, "mine"), false},
			{"update with what is known", protocol.SyncUpdate, state, false},
		} {
			s.send(protocol.AppendHSync(nil, "h/b", tt.kind, tt.update))
			if f := s.expect("h/b", protocol.HSyncStatus); f.ok != tt.ok {
				t.Errorf("%s, %s: %v, want %v", role, tt.name, f.ok, tt.ok)
			}
		}
		if got := w.state("b"); !bytes.Equal(got, state) {
			t.Fatalf("a %s changed the block: %x", role, got)
		}
		s.send(protocol.AppendHAwareness(nil, "h/b", awareness(70+int(role), 1, `{"name":"eve"}`)))
		owner.expect("h/b", protocol.HAwareness)

		y := w.dial("/ws/h/b?token=" + w.user("eve").token)
		y.send(protocol.AppendYSync(nil, protocol.SyncUpdate, word(2, 0, "mine")))
		for {
			if f := y.next(); f[0] == protocol.YAuth {
				break
			}
		}
		if got := w.state("b"); !bytes.Equal(got, state) {
			t.Fatalf("a %s changed the block: %x", role, got)
		}
		_ = y.Close()
	}
}

func TestViewersOfBlockThatIsNotThereYet(t *testing.T) {
	w := newWorld(t)
	w.role("eve", blocks.RoleViewer)
	s := w.dial("/ws")
	if got := s.enter("h/new", w.user("eve").token, empty); !bytes.Equal(got, empty) {
		t.Errorf("got %x", got)
	}
	if w.blocksHave("new") {
		t.Error("a viewer made a block")
	}
	w.put("new", word(1, 0, "a"))
	if f := s.expect("h/new", protocol.HSync); !bytes.Equal(f.payload, word(1, 0, "a")) {
		t.Errorf("got %x", f.payload)
	}
}

func TestRoleThatChangesIsObeyedAtOnce(t *testing.T) {
	w := newWorld(t)
	w.role("bob", blocks.RoleEditor)
	w.addHeap("bob", "bobs")
	s := w.dial("/ws")
	s.enter("h/b", w.user("bob").token, empty)
	s.enter("bobs/b", w.user("bob").token, empty)
	y := w.dial("/ws/h/b?token=" + w.user("bob").token)
	y.next()

	w.role("bob", blocks.RoleViewer)
	if f := s.expect("h/b", protocol.HAuth); f.text != "readonly" {
		t.Errorf("scope %s", f.text)
	}
	s.send(protocol.AppendHSync(nil, "h/b", protocol.SyncUpdate, word(2, 0, "mine")))
	if f := s.expect("h/b", protocol.HSyncStatus); f.ok {
		t.Error("a viewer's update was taken")
	}
	w.role("bob", blocks.RoleEditor)
	if f := s.expect("h/b", protocol.HAuth); f.text != "read-write" {
		t.Errorf("scope %s", f.text)
	}
	// What was refused meanwhile is asked for, and its answer is not one more to count.
	s.until("step 1", func(f hframe) bool { return f.typ == protocol.HSync && f.sync == protocol.SyncStep1 })
	s.send(protocol.AppendHSync(nil, "h/b", protocol.SyncStep2, word(2, 0, "mine")))
	eventually(t, "stored", func() bool { return w.blocksHave("b") })
	if n := s.count(); n != 0 {
		t.Errorf("%d acknowledgements that nobody waits for", n)
	}

	w.role("bob", blocks.RoleNone)
	if f := s.expect("h/b", protocol.HClose); f.text != "permission-denied" {
		t.Errorf("closed with %s", f.text)
	}
	y.wantEnd(4403)
	s.alive("bobs/b", word(3, 0, "x"))
	s.send(protocol.AppendHSync(nil, "h/b", protocol.SyncUpdate, word(2, 4, "more")))
	s.handled()
	if got := w.state("b"); !bytes.Equal(got, word(2, 0, "mine")) {
		t.Errorf("who is out wrote: %x", got)
	}
	s.token("h/b", w.user("bob").token)
	if f := s.expect("h/b", protocol.HAuth); f.ok {
		t.Error("who is out came in again")
	}
}

func TestSessionThatEndsClosesItsSockets(t *testing.T) {
	for name, end := range map[string]func(*world, user) error{
		"revoked": func(w *world, u user) error {
			return w.auth.RevokeSession(context.Background(), auth.Actor{Account: auth.AccountID(u.id)}, u.session)
		},
		"blocked": func(w *world, u user) error {
			_, err := w.auth.Block(context.Background(), auth.Actor{}, auth.AccountID(u.id))
			return err
		},
		"deleted": func(w *world, u user) error {
			return w.auth.Delete(context.Background(), auth.Actor{}, auth.AccountID(u.id))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.role("bob", blocks.RoleEditor)
			check := w.bystander()
			bob := w.user("bob")
			h, y, events := w.dial("/ws"), w.dial("/ws/h/b?token="+bob.token), w.dial("/ws?token="+bob.token)
			h.enter("h/b", bob.token, empty)
			y.next()
			events.handled()
			if err := end(w, bob); err != nil {
				t.Fatal(err)
			}
			for _, s := range []*socket{h, y, events} {
				s.wantEnd(4401)
			}
			check()
			w.dial("/ws/h/b?token=" + bob.token).wantEnd(4401)
		})
	}
}

// A role may end while a document opens.
func TestRightsThatEndWhileADocumentOpensAreNoticed(t *testing.T) {
	w := newWorld(t)
	bob := w.user("bob")
	for i := range 40 {
		w.role("bob", blocks.RoleEditor)
		s := w.dial("/ws")
		y := w.dialUnread("/ws/h/b?token=" + bob.token)
		address := fmt.Sprint("h/b", i)
		s.token(address, bob.token)
		go w.role("bob", blocks.RoleNone)
		y.read()
		s.until("end", func(f hframe) bool {
			return f.typ == protocol.HClose || f.typ == protocol.HAuth && !f.ok
		})
		y.wantEnd(4403)
		_ = s.Close()
	}
	eventually(t, "no rooms", func() bool { return w.Stats().Rooms == 0 })
}

func TestTokenSentAgainKeepsTheDocument(t *testing.T) {
	w := newWorld(t)
	w.role("bob", blocks.RoleEditor)
	s := w.dial("/ws")
	s.enter("h/b", w.user("ada").token, empty)
	again := w.login("ada")
	s.token("h/b", again.token)
	if f := s.expect("h/b", protocol.HAuth); !f.ok {
		t.Errorf("denied: %s", f.text)
	}
	if err := w.auth.RevokeSession(t.Context(), auth.Actor{Account: auth.AccountID(again.id)}, w.user("ada").session); err != nil {
		t.Fatal(err)
	}
	s.alive("h/b", word(1, 0, "x")) // it is the new session's now
	s.token("h/b", w.user("bob").token)
	if f := s.expect("h/b", protocol.HClose); f.text != "Unauthorized" {
		t.Errorf("another user's token: %s", f.text)
	}
	s.enter("h/b", again.token, empty)
	s.token("h/b", "hsa_wrong")
	s.expect("h/b", protocol.HClose)
}

func TestNamesOfABlock(t *testing.T) {
	w := newWorld(t)
	w.put("b", word(1, 0, "a"))
	w.addHeap("ada", "h2")
	token := w.user("ada").token
	s := w.dial("/ws")
	for _, name := range []string{"h/b", "h:b", "b", "h/b/v1", "h:b:v1", "b/v1", "b:v1", "h/b\x00session-1", "b\x00session-2"} {
		if got := s.enter(name, token, empty); !bytes.Equal(got, word(1, 0, "a")) {
			t.Errorf("%q: got %x", name, got)
		}
	}
	for name, reason := range map[string]string{"h/b/v2": "version_mismatch", "b/v7": "version_mismatch", "c": "permission-denied"} {
		s.token(name, token)
		if f := s.expect(name, protocol.HAuth); f.ok || f.text != reason {
			t.Errorf("%q: %s, want %s", name, f.text, reason)
		}
	}
	s.enter("h/v2", token, empty) // a heap's block, for the heap is there
	s.alive("h/v2", word(1, 0, "x"))
	// One edit goes to every name of the block but the writer's.
	s.send(protocol.AppendHSync(nil, "h:b", protocol.SyncUpdate, word(2, 0, "y")))
	seen := map[string]bool{}
	for len(seen) < 8 {
		if f := parse(t, s.next()); f.typ == protocol.HSync && bytes.Equal(f.payload, word(2, 0, "y")) {
			seen[f.address] = true
		}
	}
	res := w.blocks.Push(t.Context(), blocks.Author{User: w.user("ada").id}, []blocks.PushItem{
		{Target: blocks.Target{Heap: "h2", Block: "b"}, Update: word(1, 0, "other")},
	})
	if res[0].Err != nil {
		t.Fatal(res[0].Err)
	}
	_ = s.Close()
	s = w.dial("/ws")
	s.token("b", token)
	if f := s.expect("b", protocol.HAuth); f.ok || f.text != "ambiguous_block" {
		t.Errorf("a block of two heaps: %s", f.text)
	}
}

func TestProviderDetachesAndComesBack(t *testing.T) {
	w := newWorld(t)
	token := w.user("ada").token
	s := w.dial("/ws")
	s.enter("h/other", token, empty)
	for i := range uint64(3) {
		s.enter("h/b", token, empty)
		s.alive("h/b", word(1, i, "x"))
		s.send(protocol.AppendHDetach(nil, "h/b"))
		if f := s.expect("h/b", protocol.HClose); f.text != "provider_initiated" {
			t.Errorf("closed with %s", f.text)
		}
		w.put("b", word(5, i, "y"))
		s.alive("h/other", word(1, i, "x"))
	}
	if got := w.Stats(); got.Subscriptions != 1 || got.Rooms != 1 {
		t.Errorf("%+v", got)
	}
}

func TestDocumentsOfOneSocketAreBounded(t *testing.T) {
	w := newWorld(t, func(c *live.Config) { c.MaxDocuments = 3 })
	s := w.dial("/ws")
	for i := range 3 {
		s.enter(fmt.Sprint("h/b", i), w.user("ada").token, empty)
	}
	s.token("h/b3", w.user("ada").token)
	if f := s.expect("h/b3", protocol.HAuth); f.ok {
		t.Error("a fourth document was let in")
	}
	s.send(protocol.AppendHDetach(nil, "h/b0"))
	s.expect("h/b0", protocol.HClose)
	s.enter("h/b3", w.user("ada").token, empty)
}

func TestSocketsAreBounded(t *testing.T) {
	w := newWorld(t, func(c *live.Config) { c.MaxConns = 2 })
	first := w.dial("/ws")
	w.dial("/ws")
	eventually(t, "both are in", func() bool { return w.Stats().Connections == 2 })
	if _, res, err := websocket.DefaultDialer.Dial(w.url+"/ws", nil); !errors.Is(err, websocket.ErrBadHandshake) || res.StatusCode != 503 {
		t.Errorf("a third: %v", err)
	}
	_ = first.Close()
	eventually(t, "one has left", func() bool { return w.Stats().Connections == 1 })
	w.dial("/ws").handled()
}

func TestRefusedUpdateEndsTheDocument(t *testing.T) {
	w := newWorld(t)
	w.role("bob", blocks.RoleEditor)
	w.put("b", word(1, 0, "hello"))
	for reason, update := range map[string][]byte{
		"malformed_update":    {1},
		"client_id_conflict":  word(1, 0, "other"),
		"foreign_clock_ahead": word(1, 9, "x"),
	} {
		s := w.dial("/ws")
		s.enter("h/other", w.user("bob").token, empty)
		s.enter("h/b", w.user("bob").token, empty)
		s.send(protocol.AppendHSync(nil, "h/b", protocol.SyncUpdate, update))
		if f := s.expect("h/b", protocol.HSyncStatus); f.ok {
			t.Errorf("%s: acknowledged", reason)
		}
		if f := s.expect("h/b", protocol.HClose); f.text != reason {
			t.Errorf("closed with %s, want %s", f.text, reason)
		}
		s.send(protocol.AppendHAwareness(nil, "h/other", awareness(9, 1, `{}`)))
		s.handled()
		y := w.dial("/ws/h/b?token=" + w.user("bob").token)
		y.send(protocol.AppendYSync(nil, protocol.SyncUpdate, update))
		y.wantEnd(map[string]int{"malformed_update": 4205, "client_id_conflict": 4409, "foreign_clock_ahead": 4403}[reason])
	}
	if got := w.state("b"); !bytes.Equal(got, word(1, 0, "hello")) {
		t.Errorf("stored: %x", got)
	}
}

func TestSilentPeersAreFoundAndDropped(t *testing.T) {
	w := newWorld(t)
	s := w.dial("/ws")
	s.enter("h/b", w.user("ada").token, empty)
	old := w.dial("/ws")
	old.send(protocol.AppendHToken(nil, "h/b", w.user("ada").token, "")) // of a version that knows no ping
	old.expect("h/b", protocol.HAuth)
	y := w.dial("/ws/h/b?token=" + w.user("ada").token)
	y.next()
	w.Sweep(time.Now().Add(16 * time.Second))
	if f := s.next(); !bytes.Equal(f, []byte{protocol.HPing}) {
		t.Errorf("sign of life: %x", f)
	}
	if f := old.expect("h/b", protocol.HAwareness); !bytes.Equal(f.payload, []byte{0}) {
		t.Errorf("sign of life: %x", f.payload)
	}
	if f := y.next(); !bytes.Equal(f, protocol.YKeepAlive) {
		t.Errorf("sign of life: %x", f)
	}
	w.Sweep(time.Now().Add(76 * time.Second))
	eventually(t, "all are dropped", func() bool { return w.Stats().Connections == 0 && w.Stats().Rooms == 0 })
}
