package protocol_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/heapsync/heapsync/ydoc/lib0"
	"github.com/heapsync/heapsync/ydoc/protocol"
)

type vectorFile struct {
	Protocols struct {
		Sync                 []vector
		YWebsocketFrames     []vector
		Awareness            []vector
		HocuspocusFrames     []vector
		HocuspocusTranscript map[string]json.RawMessage
		YWebsocketTranscript struct{ Frames [][3]string }
	}
}

type vector struct{ Words, Hex string }

func vectors(t testing.TB) *vectorFile {
	t.Helper()
	b, err := os.ReadFile("../testdata/vectors/yjs-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectorFile
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	p := v.Protocols
	if len(p.Sync) == 0 || len(p.YWebsocketFrames) == 0 || len(p.Awareness) == 0 || len(p.HocuspocusFrames) == 0 ||
		len(p.HocuspocusTranscript) == 0 || len(p.YWebsocketTranscript.Frames) == 0 {
		t.Fatal("the vector file lacks sections")
	}
	return &v
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// same fails if writing a message again does not give the bytes it was read from.
func same(t *testing.T, words string, got, want []byte, err error) {
	t.Helper()
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %x read and written again is %x, %v", words, want, got, err)
	}
}

func TestSyncMessagesAreReadAndWrittenLikeYjs(t *testing.T) {
	for _, v := range vectors(t).Protocols.Sync {
		b := unhex(t, v.Hex)
		typ, payload, err := protocol.ReadSync(lib0.NewReader(b))
		same(t, v.Words, protocol.AppendSync(nil, typ, payload), b, err)
	}
}

func TestAwarenessIsReadAndWrittenLikeYjs(t *testing.T) {
	for _, v := range vectors(t).Protocols.Awareness {
		b := unhex(t, v.Hex)
		if v.Words == "as a y-websocket frame (type 1)" {
			same(t, v.Words, rewriteYWebsocket(t, b), b, nil)
			continue
		}
		entries, err := protocol.ReadAwareness(b)
		same(t, v.Words, protocol.AppendAwareness(nil, len(entries), slices.Values(entries)), b, err)
	}
}

// rewriteYWebsocket reads a y-websocket frame and writes it again.
func rewriteYWebsocket(t *testing.T, b []byte) []byte {
	t.Helper()
	r := lib0.NewReader(b)
	typ, err := r.VarUint()
	if err != nil {
		t.Fatal(err)
	}
	switch typ {
	case protocol.YSync:
		typ, payload, err := protocol.ReadSync(r)
		if err != nil {
			t.Fatal(err)
		}
		return protocol.AppendYSync(nil, typ, payload)
	case protocol.YAwareness:
		update, err := r.VarBytes()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := protocol.ReadAwareness(update); err != nil {
			t.Fatal(err)
		}
		return protocol.AppendYAwareness(nil, update)
	case protocol.YAuth:
		if kind, err := r.VarUint(); kind != 0 || err != nil {
			t.Fatal(kind, err)
		}
		reason, err := r.VarString()
		if err != nil {
			t.Fatal(err)
		}
		return protocol.AppendYDenied(nil, reason)
	}
	return []byte{protocol.YQueryAwareness}
}

func TestYWebsocketFramesAreReadAndWrittenLikeTheClient(t *testing.T) {
	p := vectors(t).Protocols
	for _, v := range p.YWebsocketFrames {
		same(t, v.Words, rewriteYWebsocket(t, unhex(t, v.Hex)), unhex(t, v.Hex), nil)
	}
	for _, f := range p.YWebsocketTranscript.Frames {
		same(t, f[2], rewriteYWebsocket(t, unhex(t, f[1])), unhex(t, f[1]), nil)
	}
}

// rewriteHocuspocus reads a Hocuspocus frame and writes it again.
func rewriteHocuspocus(t *testing.T, b []byte) []byte {
	t.Helper()
	if len(b) == 1 {
		return b
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%x: %v", b, err)
		}
	}
	r := lib0.NewReader(b)
	address, name, typ, err := protocol.ReadHAddress(r)
	must(err)
	if name != "doc" {
		t.Errorf("%x: document %q", b, name)
	}
	switch typ {
	case protocol.HSync:
		typ, payload, err := protocol.ReadSync(r)
		must(err)
		return protocol.AppendHSync(nil, address, typ, payload)
	case protocol.HAwareness:
		update, err := r.VarBytes()
		must(err)
		return protocol.AppendHAwareness(nil, address, update)
	case protocol.HAuth:
		switch kind := r.Rest()[0]; {
		case kind == protocol.HAuthToken && r.Len() == 1:
			return protocol.AppendHTokenRequest(nil, address)
		case kind == protocol.HAuthToken:
			token, version, err := protocol.ReadHToken(r)
			must(err)
			return protocol.AppendHToken(nil, address, token, version)
		default:
			_, err := r.Byte()
			must(err)
			text, err := r.VarString()
			must(err)
			if kind == protocol.HAuthDenied {
				return protocol.AppendHDenied(nil, address, text)
			}
			return protocol.AppendHAuthenticated(nil, address, text)
		}
	case protocol.HQueryAwareness:
		return protocol.AppendHQueryAwareness(nil, address)
	case protocol.HStateless:
		text, err := r.VarString()
		must(err)
		return protocol.AppendHStateless(nil, address, text)
	case protocol.HClose:
		if r.Len() == 0 {
			return protocol.AppendHDetach(nil, address)
		}
		reason, err := r.VarString()
		must(err)
		return protocol.AppendHClose(nil, address, reason)
	case protocol.HSyncStatus:
		applied, err := r.Byte()
		must(err)
		return protocol.AppendHSyncStatus(nil, address, applied == 1)
	}
	t.Fatalf("%x: type %d", b, typ)
	return nil
}

func TestHocuspocusFramesAreReadAndWrittenLikeTheProvider(t *testing.T) {
	p := vectors(t).Protocols
	for _, v := range p.HocuspocusFrames {
		same(t, v.Words, rewriteHocuspocus(t, unhex(t, v.Hex)), unhex(t, v.Hex), nil)
	}
	for part, raw := range p.HocuspocusTranscript {
		if part == "note" {
			continue
		}
		var frames [][3]string
		if err := json.Unmarshal(raw, &frames); err != nil {
			t.Fatal(err)
		}
		for _, f := range frames {
			same(t, f[2], rewriteHocuspocus(t, unhex(t, f[1])), unhex(t, f[1]), nil)
		}
	}
}
