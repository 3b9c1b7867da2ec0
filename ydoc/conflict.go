package ydoc

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// Conflict returns the first id for which u and state hold different things: two
// writers used one client id. What is deleted or collected on either side goes with
// anything, and so do different cuts of one run, a surrogate half and the U+FFFD it
// became, and encodings that JavaScript reads as equal values.
func (u *Update) Conflict(state *Update) (ID, bool) {
	for _, g := range u.groups {
		si, ok := state.find(g.client)
		if !ok {
			continue
		}
		h := state.groups[si]
		j := state.first(h, Clock(u.nodes[g.from].clock))
		for i := g.from; i < g.to; i++ {
			a := &u.nodes[i]
			for j < h.to && state.nodes[j].end() <= a.clock {
				j++
			}
			for k := j; k < h.to && state.nodes[k].clock < a.end(); k++ {
				b := &state.nodes[k]
				c := comparison{u: u, state: state, client: g.client, a: a, b: b}
				if clock, conflict := c.conflict(); conflict {
					return ID{g.client, Clock(clock)}, true
				}
			}
		}
	}
	return ID{}, false
}

// comparison compares two nodes that share clocks.
type comparison struct {
	u, state *Update
	client   ClientID
	a, b     *node
}

func (c *comparison) conflict() (clock uint64, conflict bool) {
	a, b := c.a, c.b
	clock = max(a.clock, b.clock)
	if tombstone(a) || tombstone(b) {
		return 0, false
	}
	if a.kind() != b.kind() || !c.samePlace(clock) {
		return clock, true
	}
	if a.clock == b.clock && a.length == b.length && (a.flags|b.flags)&^flagSub == 0 &&
		bytes.Equal(c.u.bytes(a.text), c.state.bytes(b.text)) {
		return 0, false
	}
	to := min(a.end(), b.end())
	switch a.kind() {
	case kindString:
		return c.strings(clock, to)
	case kindAny, kindJSON:
		return c.elements(clock, to)
	}
	return clock, !c.sameSingle()
}

func tombstone(n *node) bool { return n.isGC() || n.kind() == kindDeleted }

// samePlace compares what the nodes say of their neighbours and parents, at clock.
func (c *comparison) samePlace(clock uint64) bool {
	a, b := c.a, c.b
	if (a.info^b.info)&hasRight != 0 || a.info&hasRight != 0 && a.right != b.right {
		return false
	}
	originA, hasA := c.originAt(a, clock)
	originB, hasB := c.originAt(b, clock)
	if hasA != hasB || originA != originB {
		return false
	}
	if hasA || a.info&hasRight != 0 {
		return true
	}
	p, q := c.u.parentOf(a), c.state.parentOf(b)
	if p.isRoot != q.isRoot || (a.info^b.info)&hasSub != 0 {
		return false
	}
	if p.isRoot && !bytes.Equal(c.u.bytes(p.root), c.state.bytes(q.root)) || !p.isRoot && p.id != q.id {
		return false
	}
	return a.info&hasSub == 0 || bytes.Equal(c.u.bytes(p.sub), c.state.bytes(q.sub))
}

func (c *comparison) originAt(n *node, clock uint64) (ID, bool) {
	if n.clock < clock {
		return ID{c.client, Clock(clock - 1)}, true
	}
	if n.info&hasOrigin == 0 {
		return ID{}, false
	}
	return n.origin, true
}

// strings compares text unit by unit.
func (c *comparison) strings(from, to uint64) (clock uint64, conflict bool) {
	a := unitsOf(c.u, c.a, from)
	b := unitsOf(c.state, c.b, from)
	for clock := from; clock < to; clock++ {
		x, y := a.next(), b.next()
		if x != y && !(x == utf8.RuneError && isSurrogate(y)) && !(y == utf8.RuneError && isSurrogate(x)) {
			return clock, true
		}
	}
	return 0, false
}

func isSurrogate(unit rune) bool { return unit >= 0xd800 && unit < 0xe000 }

// units yields the UTF-16 code units of WTF-8.
type units struct {
	cut  bool // U+FFFD comes first
	text []byte
	low  rune
}

func unitsOf(u *Update, n *node, from uint64) *units {
	r := &units{cut: n.flags&flagCut != 0, text: u.bytes(n.text)}
	skip := from - n.clock
	if skip > 0 && r.cut {
		r.cut = false
		skip--
	}
	off, split := lib0.CutUnits(r.text, int(skip))
	r.text = r.text[off:]
	if split {
		r.next()
	}
	return r
}

func (r *units) next() rune {
	switch {
	case r.cut:
		r.cut = false
		return utf8.RuneError
	case r.low != 0:
		low := r.low
		r.low = 0
		return low
	}
	if half := lib0.Surrogate(r.text); half != 0 {
		r.text = r.text[3:]
		return half
	}
	char, size := utf8.DecodeRune(r.text)
	r.text = r.text[size:]
	if char > 0xffff {
		r.low = 0xdc00 + (char-0x10000)&0x3ff
		return 0xd800 + (char-0x10000)>>10
	}
	return char
}

// elements compares Any or JSON content element by element.
func (c *comparison) elements(from, to uint64) (clock uint64, conflict bool) {
	a := lib0.NewReader(c.u.bytes(c.a.text))
	b := lib0.NewReader(c.state.bytes(c.b.text))
	c.skip(a, from-c.a.clock)
	c.skip(b, from-c.b.clock)
	for clock := from; clock < to; clock++ {
		x, y := c.element(a), c.element(b)
		if bytes.Equal(x, y) {
			continue
		}
		if c.a.kind() == kindAny && !equalAny(anyOf(x), anyOf(y)) ||
			c.a.kind() == kindJSON && !equalJSON(x, y) {
			return clock, true
		}
	}
	return 0, false
}

func (c *comparison) skip(r *lib0.Reader, n uint64) {
	for range n {
		c.element(r)
	}
}

// element reads one element, which was read before.
func (c *comparison) element(r *lib0.Reader) []byte {
	if c.a.kind() == kindJSON {
		b, _ := r.VarBytes()
		return b
	}
	start := r.Offset()
	budget := trustedBudget
	if r.SkipAny(&budget) != nil {
		return nil
	}
	return r.Since(start)
}

// sameSingle compares content of length 1.
func (c *comparison) sameSingle() bool {
	x, y := c.u.bytes(c.a.text), c.state.bytes(c.b.text)
	switch c.a.kind() {
	case kindEmbed:
		return equalJSON(c.jsonText(c.a, x), c.jsonText(c.b, y))
	case kindFormat:
		keyA, x := c.u.formatting(c.a)
		keyB, y := c.state.formatting(c.b)
		return bytes.Equal(keyA, keyB) && equalJSON(c.jsonText(c.a, x), c.jsonText(c.b, y))
	case kindDoc:
		// Implementations keep and drop different options.
		guidA, _ := splitKey(x)
		guidB, _ := splitKey(y)
		return bytes.Equal(guidA, guidB)
	}
	return bytes.Equal(x, y)
}

func (c *comparison) jsonText(n *node, value []byte) []byte {
	if n.flags&flagAny != 0 {
		return jsonOfAny(value)
	}
	return value
}

func anyOf(b []byte) any {
	budget := trustedBudget
	v, _ := lib0.NewReader(b).Any(&budget) // read before
	return v
}

func equalJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, errA := lib0.ParseJSON(a, trustedDepth)
	y, errB := lib0.ParseJSON(b, trustedDepth)
	return errA == nil && errB == nil && equalAny(x, y)
}

// equalAny compares values as JavaScript data: numbers by value, -0 as 0, members
// without order. A member named __proto__ is lost by Yjs and does not count.
func equalAny(a, b any) bool {
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		return ok && (a == b || a != a && b != b)
	case []byte:
		b, ok := b.([]byte)
		return ok && bytes.Equal(a, b)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equalAny)
	case lib0.Object:
		b, ok := b.(lib0.Object)
		if !ok {
			return false
		}
		x, y := members(a), members(b)
		return slices.EqualFunc(x, y, func(m, n lib0.Member) bool {
			return m.Key == n.Key && equalAny(m.Value, n.Value)
		})
	}
	return a == b
}

// members returns what counts of o, sorted by key.
func members(o lib0.Object) lib0.Object {
	o = slices.DeleteFunc(o.Ordered(), func(m lib0.Member) bool { return m.Key == "__proto__" })
	slices.SortFunc(o, func(a, b lib0.Member) int { return bytes.Compare([]byte(a.Key), []byte(b.Key)) })
	return o
}
