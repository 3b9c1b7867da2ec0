package live

import (
	"encoding/binary"

	"github.com/gorilla/websocket"
)

// wireFrame is a complete, unmasked websocket frame (RFC 6455, 5.2), ready to be
// written to any number of sockets.
type wireFrame []byte

// newFrame returns a final frame with the payload that fill appends. size is a
// guess of the payload's length.
func newFrame(opcode byte, size int, fill func([]byte) []byte) wireFrame {
	const room = 10 // the longest header without a mask
	buf := fill(make([]byte, room, room+size))
	n := len(buf) - room
	start := room
	switch {
	case n < 126:
		start -= 2
		buf[start+1] = byte(n)
	case n < 1<<16:
		start -= 4
		buf[start+1] = 126
		binary.BigEndian.PutUint16(buf[start+2:], uint16(n))
	default:
		start -= 10
		buf[start+1] = 127
		binary.BigEndian.PutUint64(buf[start+2:], uint64(n))
	}
	buf[start] = 0x80 | opcode
	return buf[start:]
}

func binaryFrame(size int, fill func([]byte) []byte) wireFrame {
	return newFrame(websocket.BinaryMessage, size, fill)
}

func textFrame(text []byte) wireFrame {
	return newFrame(websocket.TextMessage, len(text), func(b []byte) []byte { return append(b, text...) })
}

func controlFrame(opcode byte, payload []byte) wireFrame {
	return newFrame(opcode, len(payload), func(b []byte) []byte { return append(b, payload...) })
}

// Close codes beyond RFC 6455's; see the table in the style guide. y-websocket
// takes 4400 to 4499 as final.
const (
	closeReset        = 4205 // bytes we cannot read
	closeUnauthorized = 4401
	closeForbidden    = 4403
	closeDeleted      = 4404
	closeConflict     = 4409
)
