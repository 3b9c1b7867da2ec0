package ydoc_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

// client is a Doc that edits, and hears of others late and in part.
type client struct {
	doc    *ydoc.Doc
	heard  map[int]bool
	before ydoc.Snapshot // some time ago
}

// mixedSession is a session of clients that are Docs with clients that are real Yjs.
type mixedSession struct {
	y       *yjs
	rng     *rand.Rand
	pool    [][2][]byte // every update once, in both formats
	untold  int         // Yjs knows the updates before
	clients []*client
}

type turn struct {
	Made    [][2][]byte
	Reads   []string
	Pending bool
}

func openMixed(y *yjs, seed uint64) (*mixedSession, error) {
	s := &mixedSession{y: y, rng: rand.New(rand.NewPCG(seed, 1))}
	for i := range 1 + s.rng.IntN(3) {
		c := &client{heard: make(map[int]bool)}
		id := []ydoc.ClientID{2, 1<<32 - 6, 1<<53 - 2}[i]
		c.doc = ydoc.NewDoc(ydoc.Options{ClientID: id, KeepDeleted: s.rng.IntN(2) == 0})
		sessionRoots(c.doc)
		c.doc.OnUpdate(func(t *ydoc.Transaction) {
			if t.Local() {
				c.heard[len(s.pool)] = true
				s.pool = append(s.pool, [2][]byte{t.Update(ydoc.V1), t.Update(ydoc.V2)})
			}
		})
		s.clients = append(s.clients, c)
	}
	return s, y.ask(map[string]any{"op": "open", "seed": seed}, &struct{}{})
}

func (s *mixedSession) turn(edits int, last bool) (turn, error) {
	updates := s.pool[s.untold:]
	var t turn
	err := s.y.ask(map[string]any{"op": "turn", "updates": append([][2][]byte{}, updates...), "edits": edits, "last": last}, &t)
	s.pool = append(s.pool, t.Made...)
	s.untold = len(s.pool)
	return t, err
}

// hear applies a share of what c has not heard, in any order.
func (s *mixedSession) hear(c *client, share float64) error {
	for _, k := range s.rng.Perm(len(s.pool)) {
		if c.heard[k] || s.rng.Float64() >= share {
			continue
		}
		c.heard[k] = true
		f := ydoc.Format(1 + s.rng.IntN(2))
		if err := c.doc.Apply(s.pool[k][f-1], f); err != nil {
			return fmt.Errorf("update %d, %x: %w", k, s.pool[k][f-1], err)
		}
	}
	return c.doc.Check()
}

// restore brings c back to what it was some time ago, if it kept that.
func (s *mixedSession) restore(c *client) error {
	if c.doc.Pending() {
		return nil
	}
	old, err := c.doc.At(c.before)
	if err != nil {
		return nil // collected
	}
	sessionRoots(old)
	c.doc.Restore(old)
	// The strings of XML show where formats of no effect cut the text.
	roots := func(d *ydoc.Doc) string { return strings.Join(strings.Split(read(d), "\n")[:6], "\n") }
	if got, want := roots(c.doc), roots(old); got != want {
		return fmt.Errorf("restored: %s", difference(got, want))
	}
	return c.doc.Check()
}

func checkMixed(y *yjs, seed uint64, edits int) error {
	s, err := openMixed(y, seed)
	if err != nil {
		return err
	}
	for made := 0; made < edits; {
		for range 1 + s.rng.IntN(5) {
			c := s.clients[s.rng.IntN(len(s.clients))]
			if err := s.hear(c, 0.5); err != nil {
				return err
			}
			switch s.rng.IntN(12) {
			case 0:
				c.before = c.doc.Snapshot()
			case 1:
				if err := s.restore(c); err != nil {
					return err
				}
			case 2: // what another lacks is an update like any other
				sv := s.clients[s.rng.IntN(len(s.clients))].doc.StateVector()
				s.pool = append(s.pool, [2][]byte{c.doc.EncodeDiff(ydoc.V1, sv), c.doc.EncodeDiff(ydoc.V2, sv)})
			default:
				e := docEditor{c.doc, s.rng}
				if s.rng.IntN(3) == 0 {
					e.edit()
				} else {
					c.doc.Transact(func() {
						for range 1 + s.rng.IntN(4) {
							e.edit()
						}
					})
				}
			}
			made++
			if err := c.doc.Check(); err != nil {
				return err
			}
		}
		n := s.rng.IntN(4)
		made += n
		if _, err := s.turn(n, false); err != nil {
			return err
		}
	}
	return s.settle()
}

// settle tells everybody everything and compares what they hold.
func (s *mixedSession) settle() error {
	var t turn
	for rounds := 0; ; rounds++ {
		if rounds > 20 {
			return fmt.Errorf("clients do not come to rest")
		}
		var err error
		if t, err = s.turn(0, true); err != nil {
			return err
		}
		for _, c := range s.clients {
			if err := s.hear(c, 1); err != nil {
				return err
			}
		}
		if len(t.Made) == 0 {
			break
		}
	}
	if t.Pending {
		return fmt.Errorf("Yjs waits for updates")
	}
	for i, c := range s.clients {
		if c.doc.Pending() {
			return fmt.Errorf("document %d waits for updates", i)
		}
		if got := read(c.doc); got != t.Reads[0] {
			return fmt.Errorf("document %d, and Yjs:\n%s", i, difference(got, t.Reads[0]))
		}
	}
	for i, r := range t.Reads[1:] {
		if r != t.Reads[0] {
			return fmt.Errorf("Yjs client %d, and the first:\n%s", i+1, difference(r, t.Reads[0]))
		}
	}
	return nil
}

// docEditor edits a document at random, over all types.
type docEditor struct {
	doc *ydoc.Doc
	rng *rand.Rand
}

var (
	editWords  = []string{"a", "b", "hello", " ", "é", "😀", "漢字", "xyz\n", "👩‍👧", "<&>\"", "\n", "\x00"}
	editValues = []any{nil, true, false, 0.0, 1, -1, 1.5, 1e300, math.Copysign(0, -1), "str", "", "😀", []any{}, []any{1, []any{nil}}, ydoc.Object{}, ydoc.Object{{Key: "k", Value: []any{"v"}}}, []byte{1, 2}}
	editKeys   = []string{"k", "l", "1", ""}
	editAttrs  = []ydoc.Object{nil, {{Key: "bold", Value: true}}, {{Key: "bold", Value: nil}}, {{Key: "color", Value: "red"}}, {{Key: "color", Value: "blue"}, {Key: "bold", Value: true}}, {{Key: "link", Value: ydoc.Object{{Key: "href", Value: "x"}}}}}
)

func pick[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

func (e docEditor) value() any {
	switch e.rng.IntN(8) {
	case 0:
		return ydoc.Subdoc{GUID: fmt.Sprint("g", e.rng.IntN(9))}
	case 1:
		return ydoc.BigInt(e.rng.Int64())
	case 2:
		return ydoc.Undefined{}
	}
	return pick(e.rng, editValues)
}

// types returns the types of the document that are alive.
func (e docEditor) types() []ydoc.Type {
	var all []ydoc.Type
	var add func(t ydoc.Type, depth int)
	add = func(t ydoc.Type, depth int) {
		all = append(all, t)
		if depth > 4 {
			return
		}
		for _, v := range t.AsArray().All() {
			if v, ok := v.(ydoc.Type); ok {
				add(v, depth+1)
			}
		}
		for _, v := range t.AsMap().All() {
			if v, ok := v.(ydoc.Type); ok {
				add(v, depth+1)
			}
		}
	}
	roots := sessionRoots(e.doc)
	for _, name := range []string{"t", "m", "a", "x", "e", "xt"} {
		add(roots[name], 0)
	}
	return all
}

// span draws a part of n elements, not empty if n is not 0.
func (e docEditor) span(n int) (at, length int) {
	if n == 0 {
		return 0, 0
	}
	at = e.rng.IntN(n)
	return at, 1 + e.rng.IntN(min(n-at, 5))
}

func (e docEditor) edit() {
	all := e.types()
	t := all[0]
	if e.rng.IntN(2) == 0 {
		t = pick(e.rng, all)
	}
	isRoot := func(name string) bool { _, nested := t.ID(); return !nested && t.Name() == name }
	switch ref := t.Ref(); {
	case ref == ydoc.TypeText || ref == ydoc.TypeXMLText || isRoot("xt"):
		e.text(t.AsText())
	case ref == ydoc.TypeMap || ref == ydoc.TypeXMLHook:
		e.setKey(t.AsMap())
	case isRoot("x") || isRoot("e") || ref == ydoc.TypeXMLElement || ref == ydoc.TypeXMLFragment:
		e.xml(t.AsXML(), !isRoot("x"))
	default:
		e.array(t.AsArray())
	}
}

func (e docEditor) text(t ydoc.Text) {
	at, n := e.span(t.Len())
	index := e.rng.IntN(t.Len() + 1)
	attrs := pick(e.rng, editAttrs)
	switch e.rng.IntN(9) {
	case 0, 1:
		t.Delete(at, n)
	case 2:
		at, n = e.cut(t, at), e.cut(t, at+n)
		t.Format(at, n-at, attrs)
	case 3:
		t.InsertWith(index, pick(e.rng, editWords), attrs)
	case 4:
		t.Embed(index, ydoc.Object{{Key: "img", Value: 1}}, attrs)
	case 5:
		nested := t.EmbedType(index, pick(e.rng, []ydoc.TypeRef{ydoc.TypeText, ydoc.TypeMap, ydoc.TypeArray, ydoc.TypeXMLElement}), "n", attrs)
		if nested.Ref() == ydoc.TypeText {
			nested.AsText().Insert(0, "nested")
		}
	case 6:
		at = e.cut(t, at)
		t.ApplyDelta([]ydoc.Op{{Retain: at, Attributes: attrs}, {Insert: pick(e.rng, editWords), Attributes: pick(e.rng, editAttrs)}})
	default:
		for range 1 + e.rng.IntN(5) {
			w := pick(e.rng, editWords)
			t.Insert(index, w)
			index += units(w)
		}
	}
}

// cut returns the place at or before index that is not inside a surrogate pair: see
// cuts in edits.mjs.
func (e docEditor) cut(t ydoc.Text, index int) int {
	at := 0
	for _, op := range t.Delta() {
		s, ok := op.Insert.(string)
		if !ok {
			s = " "
		}
		for _, r := range s {
			n := units(string(r))
			if at+n > index {
				return at
			}
			at += n
		}
	}
	return at
}

func units(s string) (n int) {
	for _, r := range s {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

func (e docEditor) setKey(m ydoc.Map) {
	key := pick(e.rng, editKeys)
	switch e.rng.IntN(5) {
	case 0:
		m.Delete(key)
	case 1:
		nested := m.SetType(key, pick(e.rng, []ydoc.TypeRef{ydoc.TypeText, ydoc.TypeMap, ydoc.TypeArray, ydoc.TypeXMLFragment}), "")
		if nested.Ref() == ydoc.TypeMap {
			nested.AsMap().Set("in", "side")
		}
	default:
		m.Set(key, e.value())
	}
}

func (e docEditor) array(a ydoc.Array) {
	at, n := e.span(a.Len())
	index := e.rng.IntN(a.Len() + 1)
	// Yjs does not put undefined and big integers into arrays, but reads them.
	switch e.rng.IntN(7) {
	case 0, 1:
		a.Delete(at, n)
	case 2:
		a.Append(pick(e.rng, editValues))
	case 3:
		t := a.InsertType(index, pick(e.rng, []ydoc.TypeRef{ydoc.TypeText, ydoc.TypeMap, ydoc.TypeArray, ydoc.TypeXMLElement, ydoc.TypeXMLHook}), "h")
		if t.Ref() == ydoc.TypeArray {
			t.AsArray().Append(1, "two", []byte{3})
		}
	case 4:
		a.Insert(index, pick(e.rng, editValues), ydoc.Subdoc{GUID: "g"}, pick(e.rng, editValues))
	default:
		a.Insert(index, pick(e.rng, editValues))
	}
}

func (e docEditor) xml(x ydoc.XML, element bool) {
	at, n := e.span(x.Len())
	index := e.rng.IntN(x.Len() + 1)
	switch e.rng.IntN(6) {
	case 0:
		x.Delete(at, n)
	case 1:
		x.InsertText(index).Insert(0, pick(e.rng, editWords))
	case 2:
		child := x.InsertElement(index, "p")
		child.SetAttribute("id", pick(e.rng, editWords))
		child.InsertText(0).Insert(0, "in p")
	case 3:
		if element {
			x.AsMap().Delete("id")
			return
		}
		fallthrough
	case 4:
		if element {
			x.SetAttribute(pick(e.rng, []string{"id", "class"}), pick(e.rng, editWords))
			return
		}
		fallthrough
	default:
		x.InsertElement(index, pick(e.rng, []string{"li", "DIV"}))
	}
}

func TestDocsAndYjsEditTogether(t *testing.T) {
	y := startPeer(t, "sessions.mjs")
	n := eachSession(t, func(seed uint64, edits int) error { return checkMixed(y, seed, 2*edits) })
	t.Logf("%d sessions", n)
}
