package protocol

import (
	"fmt"
	"strings"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// Message types of Hocuspocus. A frame is an address (VarString), a type and its
// payload; Ping and Pong are one bare byte.
const (
	HSync               = 0
	HAwareness          = 1
	HAuth               = 2
	HQueryAwareness     = 3
	HSyncReply          = 4 // as HSync, but must not trigger another step 1
	HStateless          = 5
	HBroadcastStateless = 6
	HClose              = 7
	HSyncStatus         = 8
	HPing               = 9
	HPong               = 10
)

// Kinds of HAuth.
const (
	HAuthToken         = 0 // client: VarString token [, VarString version]; server: please send it again
	HAuthDenied        = 1 // server: VarString reason
	HAuthAuthenticated = 2 // server: VarString scope
)

// Scopes of HAuthAuthenticated.
const (
	ScopeReadWrite = "read-write"
	ScopeReadonly  = "readonly"
)

// HPingFrame is a whole frame.
var HPingFrame = []byte{HPing}

// ReadHAddress reads a frame's address and type. address is all of it; name is
// the part before a NUL, the document's name.
func ReadHAddress(r *lib0.Reader) (address, name string, typ uint64, err error) {
	if address, err = r.VarString(); err != nil {
		return "", "", 0, fmt.Errorf("frame address: %w", err)
	}
	if typ, err = r.VarUint(); err != nil {
		return "", "", 0, fmt.Errorf("frame type: %w", err)
	}
	name, _, _ = strings.Cut(address, "\x00")
	return address, name, typ, nil
}

// ReadHToken reads the payload of an HAuth from a client. A client that sends no
// version is of Hocuspocus 2 or 3, which know fewer messages.
func ReadHToken(r *lib0.Reader) (token, version string, err error) {
	kind, err := r.VarUint()
	if err != nil {
		return "", "", fmt.Errorf("auth kind: %w", err)
	}
	if kind != HAuthToken {
		return "", "", fmt.Errorf("auth kind %d is not a client's", kind)
	}
	if token, err = r.VarString(); err != nil {
		return "", "", fmt.Errorf("auth token: %w", err)
	}
	if r.Len() > 0 {
		if version, err = r.VarString(); err != nil {
			return "", "", fmt.Errorf("auth version: %w", err)
		}
	}
	return token, version, nil
}

func appendH(dst []byte, address string, typ byte) []byte {
	return append(lib0.AppendVarString(dst, address), typ)
}

// AppendHSync appends a whole sync frame to dst.
func AppendHSync(dst []byte, address string, t SyncType, payload []byte) []byte {
	return AppendSync(appendH(dst, address, HSync), t, payload)
}

// AppendHAwareness appends a whole awareness frame to dst.
func AppendHAwareness(dst []byte, address string, update []byte) []byte {
	return lib0.AppendVarBytes(appendH(dst, address, HAwareness), update)
}

// AppendHAuthenticated appends a frame that lets a document in.
func AppendHAuthenticated(dst []byte, address, scope string) []byte {
	return lib0.AppendVarString(append(appendH(dst, address, HAuth), HAuthAuthenticated), scope)
}

// AppendHDenied appends a frame that refuses a document, and why.
func AppendHDenied(dst []byte, address, reason string) []byte {
	return lib0.AppendVarString(append(appendH(dst, address, HAuth), HAuthDenied), reason)
}

// AppendHClose appends a frame that closes a document, and why.
func AppendHClose(dst []byte, address, reason string) []byte {
	return lib0.AppendVarString(appendH(dst, address, HClose), reason)
}

// AppendHSyncStatus appends the answer to an update or a step 2: whether it is
// applied, and durable.
func AppendHSyncStatus(dst []byte, address string, applied bool) []byte {
	dst = appendH(dst, address, HSyncStatus)
	if applied {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// AppendHToken appends a client's frame that asks to be let in. Without a version it
// is that of a client of Hocuspocus 2 or 3.
func AppendHToken(dst []byte, address, token, version string) []byte {
	dst = lib0.AppendVarString(append(appendH(dst, address, HAuth), HAuthToken), token)
	if version == "" {
		return dst
	}
	return lib0.AppendVarString(dst, version)
}

// AppendHTokenRequest appends a frame that asks a client for its token again.
func AppendHTokenRequest(dst []byte, address string) []byte {
	return append(appendH(dst, address, HAuth), HAuthToken)
}

// AppendHQueryAwareness appends a frame that asks for all awareness states.
func AppendHQueryAwareness(dst []byte, address string) []byte {
	return appendH(dst, address, HQueryAwareness)
}

// AppendHStateless appends a frame with a text that is the application's own.
func AppendHStateless(dst []byte, address, text string) []byte {
	return lib0.AppendVarString(appendH(dst, address, HStateless), text)
}

// AppendHDetach appends a client's frame that closes a document.
func AppendHDetach(dst []byte, address string) []byte {
	return appendH(dst, address, HClose)
}
