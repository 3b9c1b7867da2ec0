package live

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
)

// Events are JSON in text frames, for clients that ask for a heap's.

type clientOp struct {
	Op     string `json:"op"`
	Token  string `json:"token"`
	HeapID string `json:"heap_id"`
}

type event struct {
	Event       string         `json:"event"`
	HeapID      blocks.HeapID  `json:"heap_id,omitempty"`
	At          int64          `json:"at,omitempty"`
	BlockID     blocks.BlockID `json:"block_id,omitempty"`
	Seq         blocks.Seq     `json:"seq,omitempty"`
	StateVector string         `json:"state_vector,omitempty"`
	UserID      blocks.UserID  `json:"user_id,omitempty"`
	Code        string         `json:"code,omitempty"`
	Op          string         `json:"op,omitempty"` // that was refused
	Hash        string         `json:"hash,omitempty"`
	Received    *int64         `json:"received,omitempty"`
	Size        *int64         `json:"size,omitempty"`
	*scanEvent
}

func (e event) frame() wireFrame {
	text, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return textFrame(text)
}

func (c *conn) textMessage(ctx context.Context, data []byte) error {
	if !utf8.Valid(data) {
		return &closeError{websocket.CloseInvalidFramePayloadData, "a text frame must be UTF-8"}
	}
	var op clientOp
	if err := json.Unmarshal(data, &op); err != nil {
		c.send(event{Event: "error", Code: "invalid"}.frame())
		return nil
	}
	if c.feed && op.Op != "auth" {
		op.Op = ""
	}
	switch op.Op {
	case "auth":
		epoch := c.srv.epoch.Load()
		id, err := c.identify(ctx, op.Token)
		if err != nil {
			code := "unauthorized"
			if !isRefused(err) {
				code = "unavailable"
			}
			c.send(event{Event: "error", Code: code, Op: op.Op}.frame())
			return nil
		}
		c.mu.Lock()
		c.identity = id
		c.mu.Unlock()
		if c.srv.epoch.Load() != epoch {
			c.recheck(ctx, check{})
		}
	case "subscribe":
		c.subscribe(ctx, op)
	case "unsubscribe":
		c.unsubscribe(blocks.HeapID(op.HeapID))
	default:
		c.send(event{Event: "error", Code: "invalid", Op: op.Op}.frame())
	}
	return nil
}

func (c *conn) subscribe(ctx context.Context, op clientOp) {
	heap := blocks.HeapID(op.HeapID)
	c.mu.Lock()
	id := c.identity
	c.mu.Unlock()
	code := ""
	epoch := c.srv.epoch.Load()
	if id.Session == "" {
		code = "unauthorized"
	} else if role, err := c.srv.cfg.Blocks.Role(ctx, blocks.UserID(id.Account.ID), heap); err != nil {
		code = "unavailable"
	} else if !role.CanRead() {
		code = "not_found"
	}
	if code != "" {
		c.send(event{Event: "error", Code: code, HeapID: heap, Op: op.Op}.frame())
		return
	}
	c.mu.Lock()
	if c.heaps == nil {
		c.heaps = make(map[blocks.HeapID]bool)
	}
	c.heaps[heap] = true
	c.mu.Unlock()
	c.srv.mu.Lock()
	if c.srv.listeners[heap] == nil {
		c.srv.listeners[heap] = make(map[*conn]bool)
	}
	c.srv.listeners[heap][c] = true
	c.srv.mu.Unlock()
	if c.srv.epoch.Load() != epoch {
		c.recheck(ctx, check{})
	}
}

func (c *conn) unsubscribe(heap blocks.HeapID) {
	c.mu.Lock()
	delete(c.heaps, heap)
	delete(c.stale, heap)
	c.mu.Unlock()
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	c.srv.unlisten(c, heap)
}

// unlisten needs Server.mu.
func (srv *Server) unlisten(c *conn, heap blocks.HeapID) {
	delete(srv.listeners[heap], c)
	if len(srv.listeners[heap]) == 0 {
		delete(srv.listeners, heap)
	}
}

// tell sends an event to all who subscribed to the heap.
func (srv *Server) tell(heap blocks.HeapID, make func() event) {
	srv.mu.Lock()
	var conns []*conn
	for c := range srv.listeners[heap] {
		conns = append(conns, c)
	}
	srv.mu.Unlock()
	if len(conns) == 0 {
		return
	}
	f := make().frame()
	for _, c := range conns {
		c.sendEvent(heap, f)
	}
}

// sendEvent queues an event; a reader too slow for it is told once, later, that
// the heap has changed.
func (c *conn) sendEvent(heap blocks.HeapID, f wireFrame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bytes > 0 && c.bytes+len(f) > c.srv.cfg.MaxQueue {
		if c.stale == nil {
			c.stale = make(map[blocks.HeapID]bool)
		}
		c.stale[heap] = true
		return
	}
	c.enqueueLocked(queued{frame: f})
}

// takeStale returns the events that stand for all that were dropped. c.mu is held.
func (c *conn) takeStale() []queued {
	var frames []queued
	for heap := range c.stale {
		f := event{Event: "heap.changed", HeapID: heap, At: time.Now().UnixMilli()}.frame()
		frames = append(frames, queued{frame: f})
		c.bytes += len(f)
		c.answers += len(f)
	}
	c.stale = nil
	return frames
}

func changedEvent(k blocks.Commit) event {
	if k.Deleted {
		return event{Event: "block.deleted", HeapID: k.Key.Heap, At: k.At, BlockID: k.Key.Block, Seq: k.Last}
	}
	return event{
		Event: "block.changed", HeapID: k.Key.Heap, At: k.At, BlockID: k.Key.Block, Seq: k.Last,
		StateVector: base64.StdEncoding.EncodeToString(k.StateVector),
	}
}

// memberChanged tells a heap's listeners, the one it is about among them, and has that
// one's sockets checked.
func (srv *Server) memberChanged(c blocks.MemberChange) {
	if c.Heap != "" {
		srv.tell(c.Heap, func() event {
			e := event{Event: "member.changed", HeapID: c.Heap, UserID: c.User, At: time.Now().UnixMilli()}
			if c.User == "" {
				e.Event = "heap.changed"
			}
			return e
		})
	}
	srv.ask(check{heap: c.Heap, account: auth.AccountID(c.User)})
}

// trashChanged tells a heap's listeners that a block has come into the trash or left it.
func (srv *Server) trashChanged(c blocks.TrashChange) {
	name := "block.restored"
	if c.Trashed {
		name = "block.trashed"
	}
	srv.tell(c.Key.Heap, func() event {
		return event{Event: name, HeapID: c.Key.Heap, BlockID: c.Key.Block, At: c.At}
	})
}

// fileChanged tells a heap's listeners how an upload goes on, that a block has a file, and
// that its pictures were made.
func (srv *Server) fileChanged(c blocks.FileChange) {
	srv.tell(c.Key.Heap, func() event {
		e := event{Event: "file.ready", HeapID: c.Key.Heap, BlockID: c.Key.Block, At: c.At}
		if c.Hash != (blocks.Hash{}) {
			e.Hash = c.Hash.String()
		}
		switch {
		case c.Derived:
			e.Event = "file.derived"
		case !c.Ready:
			e.Event, e.Received, e.Size = "upload.progress", &c.Received, &c.Size
		}
		return e
	})
}
