package live

import (
	"context"
	"errors"
	"fmt"

	"github.com/gorilla/websocket"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/ydoc/lib0"
	"github.com/heapsync/heapsync/ydoc/protocol"
)

// yWire is the wire of y-websocket: one block a socket, no addresses, no
// acknowledgements.
type yWire struct{}

func (yWire) cacheKey() string { return "" }

func (yWire) sync(t protocol.SyncType, payload []byte) wireFrame {
	return binaryFrame(len(payload)+16, func(b []byte) []byte { return protocol.AppendYSync(b, t, payload) })
}

func (yWire) awareness(update []byte) wireFrame {
	return binaryFrame(len(update)+8, func(b []byte) []byte { return protocol.AppendYAwareness(b, update) })
}

func (yWire) applied(bool) wireFrame { return nil }

func (yWire) scope(bool) wireFrame { return nil }

var yKeepAlive = binaryFrame(len(protocol.YKeepAlive), func(b []byte) []byte {
	return append(b, protocol.YKeepAlive...)
})

// yConn speaks y-websocket on a conn.
type yConn struct {
	conn   *conn
	sub    *sub
	warned bool // has been told that it is read-only
}

func (y *yConn) keepAlive() wireFrame { return yKeepAlive }

// start sends what the reference server sends without waiting: what the server
// has, so that the client sends what it lacks, and who is here.
func (y *yConn) start(ctx context.Context) error {
	head, err := y.conn.srv.cfg.Blocks.Head(ctx, y.sub.room.key)
	if err != nil && !errors.Is(err, blocks.ErrNotFound) {
		return err
	}
	y.conn.send(yWire{}.sync(protocol.SyncStep1, vectorOf(head)))
	y.sub.room.sendPresence(y.sub)
	return nil
}

// message handles a frame, which may hold several messages.
func (y *yConn) message(ctx context.Context, data []byte) error {
	r := lib0.NewReader(data)
	for first := true; first || r.Len() > 0; first = false {
		typ, err := r.VarUint()
		if err != nil {
			return &closeError{closeReset, "a message without a type"}
		}
		if err := y.one(ctx, typ, r); err != nil {
			return err
		}
	}
	return nil
}

func (y *yConn) one(ctx context.Context, typ uint64, r *lib0.Reader) error {
	switch typ {
	case protocol.YSync:
		t, payload, err := protocol.ReadSync(r)
		if err != nil {
			return &closeError{closeReset, err.Error()}
		}
		if t == protocol.SyncStep1 {
			return y.refusal(y.sub.open(ctx, payload))
		}
		if y.sub.isReadonly() && !y.warned {
			y.warned = true
			y.conn.send(binaryFrame(32, func(b []byte) []byte { return protocol.AppendYDenied(b, protocol.ScopeReadonly) }))
		}
		return y.refusal(y.sub.update(ctx, payload, t == protocol.SyncStep2))
	case protocol.YAwareness:
		update, err := r.VarBytes()
		if err != nil {
			return &closeError{closeReset, "an awareness message that ends early"}
		}
		return y.sub.room.says(y.sub, update)
	case protocol.YQueryAwareness:
		y.sub.room.sendPresence(y.sub)
		return nil
	default:
		return &closeError{closeReset, fmt.Sprintf("unknown message type %d", typ)}
	}
}

// refusal turns an error about the block into the end of the socket, which has no
// other way to tell.
func (y *yConn) refusal(err error) error {
	if err == nil {
		return nil
	}
	var ce *closeError
	if errors.As(err, &ce) {
		return err
	}
	code, reason := closeCode(err)
	return &closeError{code, reason}
}

// closeCode is how an error closes a socket, or, by reason, one document of it.
func closeCode(err error) (code int, reason string) {
	var refused *blocks.Refusal
	switch {
	case errors.As(err, &refused) && refused.Code == blocks.CodeMalformed:
		return closeReset, refused.Code
	case errors.As(err, &refused) && refused.Code == blocks.CodeClientIDConflict:
		return closeConflict, refused.Code
	case errors.As(err, &refused):
		return closeForbidden, refused.Code
	case errors.Is(err, auth.ErrUnauthorized), errors.Is(err, auth.ErrApprovalRequired), errors.Is(err, auth.ErrBlocked):
		return closeUnauthorized, "Unauthorized"
	case errors.Is(err, blocks.ErrDeleted):
		return closeDeleted, "deleted"
	case errors.Is(err, blocks.ErrTooLarge):
		return 1009, "too_large"
	case errors.Is(err, blocks.ErrNotFound), errors.Is(err, blocks.ErrForbidden), errors.Is(err, blocks.ErrInvalid),
		errors.Is(err, blocks.ErrAmbiguous):
		return closeForbidden, "permission-denied"
	case errors.Is(err, blocks.ErrVersionMismatch):
		return closeConflict, "version_mismatch"
	case errors.Is(err, blocks.ErrQuarantined), errors.Is(err, blocks.ErrCorrupt):
		return closeForbidden, "quarantined"
	}
	return websocket.CloseInternalServerErr, "unavailable"
}
