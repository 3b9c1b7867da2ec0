package protocol

import "github.com/heapsync/heapsync/ydoc/lib0"

// Message types of y-websocket. A frame is a type and its payload.
const (
	YSync           = 0 // a sync message
	YAwareness      = 1 // VarBytes: an awareness update
	YAuth           = 2 // server to client: 0 and a VarString reason, permission denied
	YQueryAwareness = 3 // no payload; answered with YAwareness
)

// YKeepAlive is an awareness message without entries: it says nothing, but a
// client counts it as a sign of life.
var YKeepAlive = []byte{YAwareness, 1, 0}

// AppendYSync appends a whole sync frame to dst.
func AppendYSync(dst []byte, t SyncType, payload []byte) []byte {
	return AppendSync(append(dst, YSync), t, payload)
}

// AppendYAwareness appends a whole awareness frame to dst.
func AppendYAwareness(dst, update []byte) []byte {
	return lib0.AppendVarBytes(append(dst, YAwareness), update)
}

// AppendYDenied appends a frame that says permission denied, and why.
func AppendYDenied(dst []byte, reason string) []byte {
	return lib0.AppendVarString(append(dst, YAuth, 0), reason)
}
