package ydoc_test

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

var docSessions = flag.Int("doc.sessions", 15, "how many random sessions the interop tests of Doc compare")

// stated is what a peer says that applied updates.
type stated struct {
	applied
	StateV2 string
}

func (y *yjs) state(t *testing.T, f ydoc.Format, gc bool, updates [][]byte) stated {
	t.Helper()
	all := []string{}
	for _, u := range updates {
		all = append(all, hex.EncodeToString(u))
	}
	var s stated
	if err := y.ask(map[string]any{"op": "apply", "updates": all, "format": f, "gc": gc}, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// likePeer makes of a value what the peer's read makes of it; top is for what lies
// directly in a root.
func likePeer(v any, top bool) any {
	switch v := v.(type) {
	case ydoc.Type:
		return likePeer(v.JSON(), false)
	case ydoc.Subdoc:
		if top {
			return map[string]any{"guid": v.GUID}
		}
		return map[string]any{}
	case []byte:
		if top {
			return map[string]any{"bytes": hex.EncodeToString(v)}
		}
		return hex.EncodeToString(v)
	case ydoc.Undefined:
		return "#undefined"
	case ydoc.BigInt:
		return fmt.Sprintf("%dn", v)
	case float64:
		switch {
		case v == 0 && math.Signbit(v):
			return "#-0"
		case v != v || math.IsInf(v, 0):
			return nil
		}
	case []any:
		list := []any{}
		for _, e := range v {
			list = append(list, likePeer(e, false))
		}
		return list
	case ydoc.Object:
		m := make(map[string]any)
		for _, e := range v {
			m[e.Key] = likePeer(e.Value, false)
		}
		return m
	}
	return v
}

// readLikePeer reads the roots that the peer reads, as it does.
func readLikePeer(d *ydoc.Doc) map[string]any {
	text := []any{}
	for _, op := range d.Text("t").Delta() {
		insert, attrs := likePeer(op.Insert, false), likePeer(op.Attributes, false)
		if n := len(text); n > 0 {
			last := text[n-1].(map[string]any)
			before, ok := last["insert"].(string)
			more, also := op.Insert.(string)
			_, isText := op.Insert.(ydoc.Type)
			if ok && also && !isText && last["text"] == true && reflect.DeepEqual(last["attributes"], attrs) {
				last["insert"] = before + more
				continue
			}
		}
		_, isString := op.Insert.(string)
		text = append(text, map[string]any{"insert": insert, "attributes": attrs, "text": isString})
	}
	for _, op := range text {
		delete(op.(map[string]any), "text")
	}
	m := make(map[string]any)
	for k, v := range d.Map("m").All() {
		m[k] = likePeer(v, true)
	}
	a := []any{}
	for _, v := range d.Array("a").All() {
		a = append(a, likePeer(v, true))
	}
	return map[string]any{"t": text, "m": m, "a": a, "x": d.XML("x").String()}
}

// wantSame fails unless d is what a peer is after the same updates.
func wantSame(t *testing.T, what string, d *ydoc.Doc, s stated) {
	t.Helper()
	if err := d.Check(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	var read map[string]any
	if err := json.Unmarshal([]byte(s.Read), &read); err != nil {
		t.Fatal(err)
	}
	if got := readLikePeer(d); !reflect.DeepEqual(got, read) {
		t.Fatalf("%s:\n got %v\nwant %v", what, got, read)
	}
	if d.Pending() != s.Pending {
		t.Fatalf("%s: pending is %v", what, d.Pending())
	}
	wantHex(t, what+": state vector", d.EncodeStateVector(), s.StateVector)
	wantHex(t, what+": state", d.Encode(ydoc.V1), s.State)
	wantHex(t, what+": state in V2", d.Encode(ydoc.V2), s.StateV2)
	if t.Failed() {
		t.FailNow()
	}
}

func applyAll(t *testing.T, d *ydoc.Doc, f ydoc.Format, updates [][]byte) {
	t.Helper()
	for _, u := range updates {
		if err := d.Apply(u, f); err != nil {
			t.Fatalf("apply %x: %v", u, err)
		}
	}
}

// declared is a document in which roots are what the peer says they are.
func declared(o ydoc.Options) *ydoc.Doc {
	d := ydoc.NewDoc(o)
	d.Text("t")
	d.Map("m")
	d.Array("a")
	d.XML("x")
	return d
}

func TestDocIsWhatYjsIsAfterTheSameUpdates(t *testing.T) {
	y := startYjs(t)
	rng := seeded(t)
	for range *docSessions {
		s := y.session(t, rng)
		v1, v2 := unhexAll(t, s.V1), unhexAll(t, s.V2)
		for f, updates := range map[ydoc.Format][][]byte{ydoc.V1: v1, ydoc.V2: v2} {
			gc := rng.IntN(2) == 0
			d := declared(ydoc.Options{KeepDeleted: !gc})
			applyAll(t, d, f, updates)
			wantSame(t, fmt.Sprintf("in order, format %d, collecting %v", f, gc), d, y.state(t, f, gc, updates))

			var shuffled [][]byte
			for _, k := range rng.Perm(len(updates)) {
				shuffled = append(shuffled, updates[k])
				if rng.IntN(5) == 0 {
					shuffled = append(shuffled, updates[k])
				}
			}
			d = declared(ydoc.Options{KeepDeleted: !gc})
			applyAll(t, d, f, shuffled)
			wantSame(t, fmt.Sprintf("shuffled, format %d, collecting %v", f, gc), d, y.state(t, f, gc, shuffled))
			// Twice, because Yjs leaves something waiting for what came in the same update.
			part := shuffled[:rng.IntN(len(shuffled))]
			part = slices.Concat(part, part)
			d = declared(ydoc.Options{KeepDeleted: !gc})
			applyAll(t, d, f, part)
			wantSame(t, fmt.Sprintf("part of it, format %d, collecting %v", f, gc), d, y.state(t, f, gc, part))
		}
		states := unhexAll(t, s.States)
		d := declared(ydoc.Options{})
		applyAll(t, d, ydoc.V1, states)
		wantSame(t, "states", d, y.state(t, ydoc.V1, true, states))
	}
}

// editRandomly makes random edits, in one transaction, of the roots the peer knows.
func editRandomly(d *ydoc.Doc, rng *rand.Rand) *ydoc.Transaction { return editWith(d, rng, true) }

// editWith is editRandomly, with formats or without.
func editWith(d *ydoc.Doc, rng *rand.Rand, formats bool) *ydoc.Transaction {
	// No pairs of surrogates: an index between two is U+FFFD here, as with Yjs, and
	// nothing is told to others if nothing else comes of it.
	words := []string{"a", "b", "hello", " ", "é", "漢", "xyz\n", "q"}
	values := []any{0, 1, -1.5, 1e300, 1 << 40, true, nil, "str", "", []byte{1, 2}, ydoc.Object{{Key: "k", Value: []any{nil, math.Copysign(0, -1)}}}}
	attrs := []ydoc.Object{nil, {{Key: "bold", Value: true}}, {{Key: "bold", Value: nil}}, {{Key: "color", Value: "red"}, {Key: "link", Value: ydoc.Object{{Key: "href", Value: "x"}}}}}
	types := []ydoc.Type{d.Root("t"), d.Root("t"), d.Root("m"), d.Root("a"), d.Root("x")}
	for _, root := range types[2:] {
		for _, v := range root.AsMap().All() {
			if in, ok := v.(ydoc.Type); ok {
				types = append(types, in)
			}
		}
		for _, v := range root.AsArray().All() {
			if in, ok := v.(ydoc.Type); ok {
				types = append(types, in)
			}
		}
	}
	fresh := func() (ydoc.TypeRef, string) {
		ref := []ydoc.TypeRef{ydoc.TypeMap, ydoc.TypeArray, ydoc.TypeText, ydoc.TypeXMLElement}[rng.IntN(4)]
		if ref == ydoc.TypeXMLElement {
			return ref, "p"
		}
		return ref, ""
	}
	return d.Transact(func() {
		for range 1 + rng.IntN(3) {
			at := types[rng.IntN(len(types))]
			n := at.Len()
			switch at.Ref() {
			case ydoc.TypeText, ydoc.TypeXMLText:
				text, from := at.AsText(), rng.IntN(n+1)
				if !formats {
					attrs = attrs[:1]
				}
				switch count := rng.IntN(n - from + 1); rng.IntN(8) {
				case 0, 1:
					text.Delete(from, min(count, 5))
				case 2:
					text.Format(from, count, attrs[rng.IntN(len(attrs))])
				case 3:
					text.InsertWith(from, words[rng.IntN(len(words))], attrs[rng.IntN(len(attrs))])
				case 4:
					text.Embed(from, ydoc.Object{{Key: "img", Value: 1}}, nil)
				default:
					for range rng.IntN(4) {
						text.Insert(from, words[rng.IntN(len(words))])
					}
				}
			case ydoc.TypeMap:
				key := []string{"k", "l", "1", ""}[rng.IntN(4)]
				switch rng.IntN(5) {
				case 0:
					at.AsMap().Delete(key)
				case 1:
					ref, name := fresh()
					at.AsMap().SetType(key, ref, name)
				case 2:
					at.AsMap().Set(key, ydoc.Subdoc{GUID: "g"})
				default:
					at.AsMap().Set(key, values[rng.IntN(len(values))])
				}
			case ydoc.TypeArray:
				list, from := at.AsArray(), rng.IntN(n+1)
				switch rng.IntN(5) {
				case 0:
					list.Delete(from, min(n-from, 1+rng.IntN(3)))
				case 1:
					ref, name := fresh()
					list.InsertType(from, ref, name)
				case 2:
					list.Append(values[rng.IntN(len(values))])
				default:
					list.Insert(from, values[rng.IntN(len(values))], values[rng.IntN(len(values))])
				}
			default:
				xml, from := at.AsXML(), rng.IntN(n+1)
				switch {
				case n > 0 && rng.IntN(4) == 0:
					xml.Delete(rng.IntN(n), 1)
				case at.Ref() == ydoc.TypeXMLElement && rng.IntN(2) == 0:
					xml.SetAttribute("id", words[rng.IntN(len(words))])
				case rng.IntN(2) == 0:
					xml.InsertElement(from, "P")
				default:
					xml.InsertText(from).Insert(0, "in xml")
				}
			}
		}
	})
}

func TestYjsIsWhatDocIsAfterItsEdits(t *testing.T) {
	y := startYjs(t)
	rng := seeded(t)
	for range *docSessions {
		var docs []*ydoc.Doc
		var updates [2][][]byte
		heard := make([]int, 3)
		for i := range heard {
			d := declared(ydoc.Options{ClientID: []ydoc.ClientID{1, 300, 1<<45 + 1}[i], KeepDeleted: i == 0})
			docs = append(docs, d)
		}
		for range 10 + rng.IntN(60) {
			at := rng.IntN(len(docs))
			if tx := editRandomly(docs[at], rng); !tx.Empty() {
				updates[0] = append(updates[0], tx.Update(ydoc.V1))
				updates[1] = append(updates[1], tx.Update(ydoc.V2))
			}
			if err := docs[at].Check(); err != nil {
				t.Fatal(err)
			}
			if to := rng.IntN(len(docs)); rng.IntN(3) == 0 {
				applyAll(t, docs[to], ydoc.V1, updates[0][heard[to]:])
				heard[to] = len(updates[0])
			}
		}
		for i, d := range docs {
			applyAll(t, d, ydoc.V1, updates[0][heard[i]:])
		}
		for i, f := range []ydoc.Format{ydoc.V1, ydoc.V2} {
			s := y.state(t, f, true, updates[i])
			fresh := declared(ydoc.Options{})
			applyAll(t, fresh, f, updates[i])
			wantSame(t, fmt.Sprintf("edits, format %d", f), fresh, s)
			for _, d := range docs {
				var read map[string]any
				if err := json.Unmarshal([]byte(s.Read), &read); err != nil {
					t.Fatal(err)
				}
				if got := readLikePeer(d); !reflect.DeepEqual(got, read) {
					t.Fatalf("writer %d:\n got %v\nwant %v", d.ClientID(), got, read)
				}
			}
		}
	}
}
