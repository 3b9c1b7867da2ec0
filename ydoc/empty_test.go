package ydoc_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

// Bytes that ywasm 0.18.3 made, which writes empty text where a pair of surrogates was
// cut, and what Yjs has of the same edits.
func TestEmptyTextOfRustIsReadAsItsWriterCounts(t *testing.T) {
	y := startYjs(t)
	for _, test := range []struct {
		name, v1, v2 string
		base         string // known before
		text         string
		structs      []string
	}{
		{
			name: "half a pair asked for",
			v1:   "010101018401000000", v2: "0000024100010000018402000000000001010100",
			base: "010101000401017403efbfbd00", text: "\ufffd\ufffd",
			structs: []string{`1:1+1 String "�" o=1:0 ro=- p=-`},
		},
		{
			name: "the half of the last pair asked for",
			v1:   "010101038401020000", v2: "0000024100010400018402000000000001010300",
			base: "010101000401017407f09f9880efbfbd00", text: "😀\ufffd\ufffd",
			structs: []string{`1:3+1 String "�" o=1:2 ro=- p=-`},
		},
		{
			name: "the first half deleted by Yjs, edited behind it",
			v1: "02010200c40100010108f09f9880f09f988006010001010174018401000084010104f09f9880" +
				"c4010101020161c4010401020562f09f9880c40104010504f09f98800101010001",
			text: "😀😀\ufffda😀b😀😀",
			structs: []string{
				`2:0+4 String "😀😀" o=1:0 ro=1:1 p=-`,
				`1:0+1 Deleted o=- ro=- p=root("t")`,
				`1:1+1 String "�" o=1:0 ro=- p=-`,
				`1:2+2 String "😀" o=1:1 ro=- p=-`,
				`1:4+1 String "a" o=1:1 ro=1:2 p=-`,
				`1:5+3 String "b😀" o=1:4 ro=1:2 p=-`,
				`1:8+2 String "😀" o=1:4 ro=1:5 p=-`,
			},
		},
		{
			name: "its own text cut by an insertion",
			v1:   "010301000401017404f09f988084010000c401000101017800",
			text: "\ufffdx\ufffd",
			structs: []string{
				`1:0+2 String "😀" o=- ro=- p=root("t")`,
				`1:2+1 String "x" o=1:0 ro=1:1 p=-`,
			},
		},
		{
			name: "its own text cut by formatting",
			v1:   "01040100040101740561f09f98808401010046010001620474727565c6010101020162046e756c6c00",
			text: "a\ufffd\ufffd",
			structs: []string{
				`1:0+3 String "a😀" o=- ro=- p=root("t")`,
				`1:3+1 Format b=true o=- ro=1:0 p=-`,
				`1:4+1 Format b=null o=1:1 ro=1:2 p=-`,
			},
		},
	} {
		for f, text := range map[ydoc.Format]string{ydoc.V1: test.v1, ydoc.V2: test.v2} {
			if text == "" {
				continue
			}
			b := unhex(t, text)
			u := decode(t, b, f)
			if got := ydoc.Dump(u); !slices.Equal(got, test.structs) {
				t.Errorf("%s: structs %q, want %q", test.name, got, test.structs)
			}
			if u.Canonical() {
				t.Errorf("%s: canonical", test.name)
			}
			d := declared(ydoc.Options{})
			updates := [][]byte{u.Append(nil, ydoc.V1)} // what others get
			if test.base != "" {
				applyAll(t, d, ydoc.V1, [][]byte{unhex(t, test.base)})
				updates = [][]byte{unhex(t, test.base), updates[0]}
			}
			applyAll(t, d, f, [][]byte{b})
			if got := d.Text("t").String(); got != test.text || d.Pending() {
				t.Errorf("%s: text %q, want %q; pending %v", test.name, got, test.text, d.Pending())
			}
			var read any
			if err := json.Unmarshal([]byte(y.apply(t, ydoc.V1, true, updates...).Read), &read); err != nil {
				t.Fatal(err)
			}
			if got, want := fmt.Sprint(readLikePeer(d)), fmt.Sprint(read); got != want {
				t.Errorf("%s: reads as\n%s, and in Yjs\n%s", test.name, got, want)
			}
		}
	}
}
