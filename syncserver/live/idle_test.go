package live_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/heapsync/heapsync/ydoc/protocol"
)

// A block that nobody has open costs disk and nothing else.
func TestAClosedBlockLeavesNothingInMemory(t *testing.T) {
	w := newWorld(t)
	const rounds, perRound = 10, 1000
	w.editAndLeave("warm", perRound) // what the server needs once, it gets now
	before, goroutines := w.heapInUse(), runtime.NumGoroutine()
	for i := range rounds {
		w.editAndLeave(fmt.Sprint("block-", i), perRound)
	}
	// The ends of the clients, which live until the test ends, are some 25 of them. What
	// a socket's last goroutine holds goes when that ends.
	const most = 64 * rounds * perRound
	var grown int64
	eventually(t, fmt.Sprintf("%d blocks that nobody has open hold at most %d bytes", rounds*perRound, most), func() bool {
		grown = w.heapInUse() - before
		return grown <= most
	})
	t.Logf("%d blocks opened, edited and closed: %d bytes more in use, %.1f a block; goroutines: %d before, %d after",
		rounds*perRound, grown, float64(grown)/(rounds*perRound), goroutines, runtime.NumGoroutine())
}

// editAndLeave opens n blocks on one socket, writes a word in each, and closes the
// socket.
func (w *world) editAndLeave(name string, n int) {
	w.t.Helper()
	ws, _, err := websocket.DefaultDialer.Dial(w.url+"/ws", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	s := &socket{Conn: ws, w: w, frames: make(chan []byte, 512), texts: make(chan []byte, 1)}
	s.read()
	token := w.user("ada").token
	for from := 0; from < n; from += 50 {
		for i := range 50 {
			address := fmt.Sprintf("h/%s-%d", name, from+i)
			s.token(address, token)
			s.send(protocol.AppendHSync(nil, address, protocol.SyncStep1, []byte{0}))
			s.send(protocol.AppendHSync(nil, address, protocol.SyncStep2, word(7, 0, "word")))
		}
		for range 50 {
			if f := s.until("status", func(f hframe) bool { return f.typ == protocol.HSyncStatus }); !f.ok {
				w.t.Fatalf("%s was not stored", f.address)
			}
		}
	}
	_ = s.Close()
	eventually(w.t, "nobody is there", func() bool {
		stats := w.Stats()
		return stats.Connections == 0 && stats.Rooms == 0
	})
}

// heapInUse returns the bytes that are in use after a collection. What pools keep is
// gone after two.
func (w *world) heapInUse() int64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
