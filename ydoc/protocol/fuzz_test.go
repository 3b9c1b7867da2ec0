package protocol_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/heapsync/heapsync/ydoc/lib0"
	"github.com/heapsync/heapsync/ydoc/protocol"
)

func FuzzSyncMessage(f *testing.F) {
	for _, v := range vectors(f).Protocols.Sync {
		f.Add(unhex(f, v.Hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		typ, payload, err := protocol.ReadSync(lib0.NewReader(b))
		if err != nil {
			return
		}
		typ2, payload2, err := protocol.ReadSync(lib0.NewReader(protocol.AppendSync(nil, typ, payload)))
		if err != nil || typ != typ2 || !bytes.Equal(payload, payload2) {
			t.Errorf("%x read again: %d %x, %v", b, typ2, payload2, err)
		}
	})
}

func FuzzAwareness(f *testing.F) {
	for _, v := range vectors(f).Protocols.Awareness {
		f.Add(unhex(f, v.Hex))
	}
	f.Add([]byte("\x01\x01\x01\x05[[[]]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := protocol.ReadAwareness(b)
		if err != nil {
			return
		}
		again, err := protocol.ReadAwareness(protocol.AppendAwareness(nil, len(entries), slices.Values(entries)))
		if err != nil || !slices.EqualFunc(entries, again, func(a, b protocol.AwarenessEntry) bool {
			return a.Client == b.Client && a.Clock == b.Clock && bytes.Equal(a.State, b.State) && (a.State == nil) == (b.State == nil)
		}) {
			t.Errorf("%x read again: %v, %v", b, again, err)
		}
	})
}

func FuzzHocuspocusFrame(f *testing.F) {
	for _, v := range vectors(f).Protocols.HocuspocusFrames {
		f.Add(unhex(f, v.Hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := lib0.NewReader(b)
		address, name, typ, err := protocol.ReadHAddress(r)
		if err != nil {
			return
		}
		if len(name) > len(address) || r.Offset() > len(b) {
			t.Errorf("%x: %q of %q, %d bytes read", b, name, address, r.Offset())
		}
		switch typ {
		case protocol.HSync:
			if typ, payload, err := protocol.ReadSync(r); err == nil {
				again := protocol.AppendHSync(nil, address, typ, payload)
				if !bytes.HasSuffix(again, payload) {
					t.Errorf("%x written again: %x", b, again)
				}
			}
		case protocol.HAuth:
			if token, version, err := protocol.ReadHToken(r); err == nil {
				again := lib0.NewReader(protocol.AppendHToken(nil, address, token, version))
				if _, _, _, err := protocol.ReadHAddress(again); err != nil {
					t.Error(err)
				}
				if token2, version2, err := protocol.ReadHToken(again); token != token2 || version != version2 || err != nil {
					t.Errorf("%x: %q %q, %v", b, token2, version2, err)
				}
			}
		}
	})
}
