package live_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/heapsync/heapsync/syncserver/live"
	"github.com/heapsync/heapsync/ydoc/lib0"
	"github.com/heapsync/heapsync/ydoc/protocol"
)

// bystander is a client that must notice nothing of what others do.
func (w *world) bystander() (check func()) {
	w.t.Helper()
	s := w.dial("/ws")
	s.enter("h/bystander", w.user("ada").token, empty)
	clock := uint64(0)
	return func() {
		w.t.Helper()
		s.alive("h/bystander", word(1, clock, "x"))
		clock++
	}
}

func TestFramesBeforeAuthenticationAreBounded(t *testing.T) {
	w := newWorld(t)
	check := w.bystander()
	frame := protocol.AppendHSync(nil, "h/b", protocol.SyncUpdate, word(2, 0, strings.Repeat("x", 9000)))
	t.Run("one document", func(t *testing.T) {
		s := w.dial("/ws")
		for range 8 {
			if s.WriteMessage(websocket.BinaryMessage, frame) != nil {
				break
			}
		}
		s.wantEnd(4205)
	})
	t.Run("many documents", func(t *testing.T) {
		s := w.dial("/ws")
		for i := range 102 {
			if s.WriteMessage(websocket.BinaryMessage, protocol.AppendHSync(nil, fmt.Sprint("h/b", i), protocol.SyncStep1, []byte{0})) != nil {
				break
			}
		}
		s.wantEnd(4205)
	})
	t.Run("one frame", func(t *testing.T) {
		s := w.dial("/ws")
		_ = s.WriteMessage(websocket.BinaryMessage, make([]byte, 70<<10))
		s.wantEnd(1009)
	})
	t.Run("events", func(t *testing.T) {
		s := w.dial("/ws")
		for range 80 {
			if s.WriteMessage(websocket.TextMessage, []byte(`{"op":"`+strings.Repeat("x", 1000)+`"}`)) != nil {
				break
			}
		}
		s.wantEnd(4205)
	})
	t.Run("on a socket that has authenticated", func(t *testing.T) {
		s := w.dial("/ws")
		s.enter("h/a", w.user("ada").token, empty)
		for range 8 {
			if s.WriteMessage(websocket.BinaryMessage, frame) != nil {
				break
			}
		}
		s.wantEnd(4205)
	})
	check()
}

func TestFramesThatComeBeforeTheTokenAreHandledAfterIt(t *testing.T) {
	w := newWorld(t)
	s := w.dial("/ws")
	s.send(protocol.AppendHSync(nil, "h/b", protocol.SyncStep1, []byte{0}))
	s.send(protocol.AppendHSync(nil, "h/b", protocol.SyncUpdate, word(2, 0, "early")))
	s.token("h/b", w.user("ada").token)
	for _, want := range []string{"2 read-write", "sync 0", "sync 1", "status true"} {
		if f := parse(t, s.next()); f.String() != want {
			t.Fatalf("got %s, want %s", f, want)
		}
	}
	if !bytes.Equal(w.state("b"), word(2, 0, "early")) {
		t.Error("the early update is not stored")
	}
}

func TestSocketThatDoesNotAuthenticateIsClosed(t *testing.T) {
	w := newWorld(t)
	quiet, talks, authed := w.dial("/ws"), w.dial("/ws"), w.dial("/ws")
	talks.send([]byte{protocol.HPing})
	talks.token("h/b", "hsa_wrong")
	if f := talks.expect("h/b", protocol.HAuth); f.ok || f.text != "permission-denied" {
		t.Errorf("a wrong token: %s", f)
	}
	authed.enter("h/b", w.user("ada").token, empty)
	w.Sweep(time.Now().Add(9 * time.Second))
	quiet.handled()
	w.Sweep(time.Now().Add(11 * time.Second))
	quiet.wantEnd(4401)
	talks.wantEnd(4401)
	authed.alive("h/b", word(2, 0, "x"))
}

func TestSocketThatIsTooLateIsClosedByItself(t *testing.T) {
	w := newWorld(t, func(c *live.Config) { c.AuthTimeout = time.Millisecond })
	w.dial("/ws").wantEnd(4401)
}

func TestBrokenMessagesEndOnlyTheirDocument(t *testing.T) {
	w := newWorld(t)
	check := w.bystander()
	address := lib0.AppendVarString(nil, "h/bad")
	frame := func(tail ...byte) []byte { return append(address[:len(address):len(address)], tail...) }
	for name, message := range map[string][]byte{
		"sync without a type":       frame(protocol.HSync),
		"unknown sync type":         frame(protocol.HSync, 7, 0),
		"cut update":                frame(protocol.HSync, byte(protocol.SyncUpdate), 100, 1, 2),
		"update that is none":       frame(protocol.HSync, byte(protocol.SyncUpdate), 3, 1, 2, 3),
		"step 2 that is none":       frame(protocol.HSync, byte(protocol.SyncStep2), 3, 1, 2, 3),
		"state vector that is none": frame(protocol.HSync, byte(protocol.SyncStep1), 1, 200),
		"awareness that is none":    frame(protocol.HAwareness, 3, 200, 200, 200),
		"cut awareness":             frame(protocol.HAwareness, 100),
		"type of servers":           frame(protocol.HBroadcastStateless, 1, 'x'),
		"status from a client":      frame(protocol.HSyncStatus, 1),
		"unknown type":              frame(99),
		"huge type":                 frame(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f),
	} {
		t.Run(name, func(t *testing.T) {
			s := w.dial("/ws")
			token := w.user("ada").token
			s.enter("h/good", token, empty)
			s.enter("h/bad", token, empty)
			s.send(message)
			s.expect("h/bad", protocol.HClose)
			// What the provider still sends goes nowhere, until it enters anew.
			s.send(protocol.AppendHSync(nil, "h/bad", protocol.SyncUpdate, word(2, 0, "lost")))
			s.handled()
			s.alive("h/good", word(uint64(100+len(name)), 0, "x"))
			if got := s.enter("h/bad", token, empty); !bytes.Equal(got, empty) {
				t.Errorf("something was stored: %x", got)
			}
		})
	}
	check()
}

func TestBrokenMessagesEndAYWebsocket(t *testing.T) {
	w := newWorld(t)
	check := w.bystander()
	for name, message := range map[string][]byte{
		"empty":                     {},
		"unknown type":              {9},
		"sync without a type":       {protocol.YSync},
		"cut update":                {protocol.YSync, byte(protocol.SyncUpdate), 100},
		"update that is none":       {protocol.YSync, byte(protocol.SyncUpdate), 3, 1, 2, 3},
		"state vector that is none": {protocol.YSync, byte(protocol.SyncStep1), 1, 200},
		"awareness that is none":    {protocol.YAwareness, 3, 200, 200, 200},
		"good, then bad":            {protocol.YSync, byte(protocol.SyncStep1), 1, 0, 99},
	} {
		t.Run(name, func(t *testing.T) {
			s := w.dial("/ws/h/y?token=" + w.user("ada").token)
			s.send(message)
			s.wantEnd(4205)
		})
	}
	check()
}

func TestBrokenFramesOfNoDocumentEndTheSocket(t *testing.T) {
	w := newWorld(t)
	check := w.bystander()
	for name, tt := range map[string]struct {
		frame []byte
		code  int
	}{
		"empty":               {[]byte{}, 4401},
		"cut address":         {[]byte{100, 'x'}, 4401},
		"address not UTF-8":   {[]byte{2, 0xff, 0xfe, 0}, 4401},
		"no type":             {[]byte{1, 'x'}, 4401},
		"endless address":     {lib0.AppendVarString(nil, strings.Repeat("h/b", 1000)), 4401},
		"token without bytes": {append(lib0.AppendVarString(nil, "h/b"), protocol.HAuth), 4205},
	} {
		t.Run(name, func(t *testing.T) {
			s := w.dial("/ws")
			s.send(tt.frame)
			s.wantEnd(tt.code)
		})
	}
	check()
}

func TestNamesThatAreNoneAreDenied(t *testing.T) {
	w := newWorld(t)
	s := w.dial("/ws")
	s.enter("h/good", w.user("ada").token, empty)
	for _, name := range []string{
		"", "/", "h/", "/b", "h//b", "h/b/", ":b", "h/b/v0", "h/b/v-1", "h/b/v2x", "h/b/w2", "h/b/v1/v1", "h/a b", "h/../b", "h/b\n",
		"none/b", "unknownblock", strings.Repeat("h", 65) + "/b", "h/" + strings.Repeat("b", 65), "h/ü", "h/b/v99999999999999999999",
	} {
		s.token(name, w.user("ada").token)
		if f := s.expect(name, protocol.HAuth); f.ok || f.text != "permission-denied" {
			t.Errorf("%q: %s %v", name, f.text, f.ok)
		}
	}
	s.alive("h/good", word(2, 0, "x"))
	y := w.dial("/ws/none/b?token=" + w.user("ada").token)
	y.wantEnd(4403)
	w.dial("/ws/h/b?token=wrong").wantEnd(4401)
	w.dial("/ws/h/b").wantEnd(4401)
}

// A refused y-websocket client has sent its first messages already.
func TestRefusedYWebsocketsThatTalkAtOnceAreClosed(t *testing.T) {
	w := newWorld(t)
	check := w.bystander()
	for range 50 {
		for _, query := range []string{"", "?token=" + w.user("ada").token} {
			s := w.dialUnread("/ws/none/b" + query)
			for range 3 {
				_ = s.WriteMessage(websocket.BinaryMessage, []byte{protocol.YSync, byte(protocol.SyncStep1), 1, 0})
			}
			s.read()
			if query == "" {
				s.wantEnd(4401)
			} else {
				s.wantEnd(4403)
			}
		}
	}
	check()
}

// heapUsed is how many bytes are in use, after a collection.
func heapUsed() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestEndlessTextIsCutOff(t *testing.T) {
	w := newWorld(t)
	check := w.bystander()
	for name, path := range map[string]string{"before the token": "/ws", "after it": "/ws?token=" + w.user("ada").token} {
		t.Run(name, func(t *testing.T) {
			before := heapUsed()
			s := w.dial(path)
			writer, err := s.NextWriter(websocket.TextMessage)
			if err != nil {
				t.Fatal(err)
			}
			chunk := bytes.Repeat([]byte("x"), 64<<10)
			for range 100 << 20 / len(chunk) {
				if _, err := writer.Write(chunk); err != nil {
					break
				}
			}
			s.wantEnd(websocket.CloseMessageTooBig)
			if grown := int64(heapUsed()) - int64(before); grown > 8<<20 {
				t.Errorf("%d bytes more are in use", grown)
			}
		})
	}
	check()
}

func TestOversizedMessagesAreCutOff(t *testing.T) {
	w := newWorld(t, func(c *live.Config) { c.MaxMessage = 200 << 10 })
	check := w.bystander()
	for _, path := range []string{"/ws?token=", "/ws/h/b?token="} {
		s := w.dial(path + w.user("ada").token)
		_ = s.WriteMessage(websocket.BinaryMessage, make([]byte, 300<<10))
		s.wantEnd(websocket.CloseMessageTooBig)
		// At the limit it is read.
		s = w.dial("/ws?token=" + w.user("ada").token)
		s.enter("h/big", "", empty)
		s.alive("h/big", word(7, 0, strings.Repeat("x", 150<<10))[:])
		w.put("big2", word(uint64(len(path)), 0, "x"))
	}
	check()
}

func TestTextThatIsNotUTF8EndsTheSocket(t *testing.T) {
	w := newWorld(t)
	s := w.dial("/ws")
	_ = s.WriteMessage(websocket.TextMessage, []byte("{\"op\":\"\xff\"}"))
	s.wantEnd(websocket.CloseInvalidFramePayloadData)
}

// raw is a connection that has been upgraded and on which anything can be written.
func (w *world) raw(path string) net.Conn {
	w.t.Helper()
	host := strings.TrimPrefix(w.url, "ws://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", path, host)
	_ = conn.SetDeadline(time.Now().Add(patience))
	head := make([]byte, 0, 512)
	for one := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); {
		if _, err := conn.Read(one); err != nil {
			w.t.Fatalf("handshake: %v in %q", err, head)
		}
		head = append(head, one...)
	}
	return conn
}

// wantClose reads frames until one closes, and checks its code.
func wantClose(t *testing.T, conn net.Conn, code uint16) {
	t.Helper()
	for {
		var head [2]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			t.Fatalf("no close frame: %v", err)
		}
		size := int(head[1] & 0x7f)
		if size == 126 {
			var long [2]byte
			if _, err := io.ReadFull(conn, long[:]); err != nil {
				t.Fatal(err)
			}
			size = int(binary.BigEndian.Uint16(long[:]))
		}
		payload := make([]byte, size)
		if _, err := io.ReadFull(conn, payload); err != nil {
			t.Fatal(err)
		}
		if head[0] != 0x88 {
			continue
		}
		if got := binary.BigEndian.Uint16(payload); got != code {
			t.Errorf("closed with %d %q, want %d", got, payload[2:], code)
		}
		return
	}
}

func masked(first byte, payload ...byte) []byte {
	return append([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
}

func TestFramesThatBreakTheProtocolEndTheSocket(t *testing.T) {
	w := newWorld(t)
	check := w.bystander()
	for name, frame := range map[string][]byte{
		"unmasked":                  {0x82, 1, protocol.HPing},
		"unmasked text":             {0x81, 2, '{', '}'},
		"reserved bit":              masked(0xc2, protocol.HPing),
		"unknown opcode":            masked(0x83, 1),
		"unknown control":           masked(0x8b),
		"continuation of nothing":   masked(0x80, 1),
		"data within a message":     append(masked(0x02, 1), masked(0x82, 1)...),
		"fragmented control":        masked(0x09, 1),
		"long control":              append([]byte{0x89, 0x80 | 126, 1, 0, 0, 0, 0, 0}, make([]byte, 256)...),
		"close code nobody may use": masked(0x88, 0x03, 0xed),
	} {
		t.Run(name, func(t *testing.T) {
			conn := w.raw("/ws")
			if _, err := conn.Write(frame); err != nil {
				t.Fatal(err)
			}
			wantClose(t, conn, websocket.CloseProtocolError)
		})
	}
	check()
}

func TestTinyFragmentsAreOneMessage(t *testing.T) {
	w := newWorld(t)
	check := w.bystander()
	conn := w.raw("/ws?token=" + w.user("ada").token)
	before := heapUsed()
	var out bytes.Buffer
	out.Write(masked(0x01, '{'))
	for range 100_000 {
		out.Write(masked(0x00)) // empty ones
	}
	out.Write(masked(0x80, '}'))
	out.Write(masked(0x02, protocol.HPing))
	for range 100_000 { // and more than a message may have before the token
		out.Write(masked(0x00, 0))
	}
	out.Write(masked(0x80, 0))
	out.Write(masked(0x88, 0x03, 0xe8))
	if _, err := conn.Write(out.Bytes()); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	wantClose(t, conn, 4205) // it is for a document that was never opened
	if grown := int64(heapUsed()) - int64(before); grown > 8<<20 {
		t.Errorf("%d bytes more are in use", grown)
	}
	check()
}

func TestFloodOfControlFramesHurtsNobody(t *testing.T) {
	w := newWorld(t)
	check := w.bystander()
	conn := w.raw("/ws?token=" + w.user("ada").token)
	before := heapUsed()
	flood := bytes.Repeat(masked(0x89, bytes.Repeat([]byte{'x'}, 125)...), 1000)
	_ = conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
	for range 200 { // 200,000 pings whose answers nobody reads
		if _, err := conn.Write(flood); err != nil {
			break // held back, or cut off
		}
		check()
	}
	if grown := int64(heapUsed()) - int64(before); grown > 16<<20 {
		t.Errorf("%d bytes more are in use", grown)
	}
	check()
}
