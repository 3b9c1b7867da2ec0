package live

import (
	"context"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"github.com/heapsync/heapsync/blocks"
)

// A feed is a socket that is told of scans in all heaps that its user can read, and of
// nothing else. It is there for clients of before.

// scanEvent is what scan.progress and scan.done say besides.
type scanEvent struct {
	ScanID string `json:"scan_id"`
	Status string `json:"status"`
	blocks.ScanCounts
	Error string `json:"error,omitempty"`
}

// scanChanged tells a heap's listeners and feeds how a scan goes on. It does not wait for
// the store: a feed that needs it is told by a goroutine of the server's.
func (srv *Server) scanChanged(c blocks.ScanChange) {
	heap := c.Folder.Heap
	e := event{Event: "scan.progress", HeapID: heap, At: c.At, scanEvent: &scanEvent{c.ID, c.Status, c.ScanCounts, c.Error}}
	if c.Over {
		e.Event = "scan.done"
	}
	srv.tell(heap, func() event { return e })
	srv.mu.Lock()
	feeds := make([]*conn, 0, len(srv.feeds))
	for c := range srv.feeds {
		feeds = append(feeds, c)
	}
	srv.mu.Unlock()
	if len(feeds) == 0 {
		return
	}
	f := e.frame()
	for _, c := range feeds {
		c.tellScan(heap, f)
	}
}

// readable is which heaps a feed may hear of, as of an epoch of the server.
type readable struct {
	epoch int64
	heaps map[blocks.HeapID]bool
}

const (
	// maxFeedQueue (bytes) is from where on a feed counts as too slow, and ends.
	maxFeedQueue = 64 << 10
	// roleTimeout is how long the store may take to say whether a feed may hear of a heap.
	roleTimeout = time.Second
)

// tellScan sends an event to a feed whose user can read the heap.
func (c *conn) tellScan(heap blocks.HeapID, f wireFrame) {
	epoch := c.srv.epoch.Load() // before the role is read
	c.mu.Lock()
	id := c.identity
	if c.scanned.epoch != epoch || c.scanned.heaps == nil {
		c.scanned = readable{epoch, map[blocks.HeapID]bool{}}
	}
	may, known := c.scanned.heaps[heap]
	c.mu.Unlock()
	if id.Session == "" {
		return
	}
	if !known {
		ctx, cancel := context.WithTimeout(context.Background(), roleTimeout)
		defer cancel()
		role, err := c.srv.cfg.Blocks.Role(ctx, blocks.UserID(id.Account.ID), heap)
		if err != nil {
			return // the next event may be told again
		}
		may = role.CanRead()
		c.mu.Lock()
		if c.scanned.epoch == epoch {
			c.scanned.heaps[heap] = may
		}
		c.mu.Unlock()
	}
	if !may {
		return
	}
	c.mu.Lock()
	slow := c.bytes > 0 && c.bytes+len(f) > maxFeedQueue
	if !slow {
		c.enqueueLocked(queued{frame: f})
	}
	c.mu.Unlock()
	if slow {
		c.srv.counters.slow.Add(1)
		c.abort()
		_ = c.ws.NetConn().Close()
	}
}

// ServeScans upgrades to a feed. token is as that of ServeMany.
func (srv *Server) ServeScans(w http.ResponseWriter, r *http.Request, token, ip string) error {
	c, err := srv.upgrade(w, r, ip)
	if c == nil {
		return err
	}
	c.feed, c.proto = true, feedProtocol{}
	if token != "" {
		if id, err := srv.cfg.Auth.Authenticate(r.Context(), token); err == nil {
			c.identity, c.authed = id, true
		}
	}
	srv.mu.Lock()
	srv.feeds[c] = true
	srv.mu.Unlock()
	srv.start(c)
	return nil
}

// feedProtocol takes no binary messages.
type feedProtocol struct{}

func (feedProtocol) message(context.Context, []byte) error {
	return &closeError{websocket.CloseUnsupportedData, "this socket tells of scans, as text"}
}

func (feedProtocol) keepAlive() wireFrame { return nil }
