package ydoc

import (
	"cmp"
	"slices"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// border is a clock at which a node is to be cut.
type border struct{ node, clock uint32 }

// cutAt notes that node i, unless it is a GC struct, is to be cut at a clock.
func (l *loading) cutAt(i, clock uint32) {
	if !l.u.nodes[i].isGC() {
		l.borders = append(l.borders, border{i, clock})
	}
}

// cut makes several items of the nodes that references cut, if there are such. It reports
// false if there is no node to describe a part.
func (l *loading) cut() bool {
	l.parts, l.moved = l.parts[:0], l.moved[:0]
	if len(l.borders) == 0 {
		return true
	}
	slices.SortFunc(l.borders, func(a, b border) int {
		return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(a.clock, b.clock))
	})
	l.borders = slices.Compact(l.borders)
	u, borders := l.u, l.borders
	for _, g := range u.groups {
		for i := g.from; i < g.to; i++ {
			l.moved = append(l.moved, i+uint32(len(l.borders)-len(borders)))
			if len(borders) == 0 || borders[0].node != i {
				continue
			}
			rest := u.nodes[i]
			for ; len(borders) > 0 && borders[0].node == i; borders = borders[1:] {
				by := uint64(borders[0].clock) - rest.clock
				part := rest
				if !u.shorten(&part, by) {
					return false
				}
				l.parts = append(l.parts, part)
				u.cut(&rest, g.client, by)
			}
			l.parts = append(l.parts, rest)
		}
	}
	l.moved = append(l.moved, uint32(len(u.nodes)+len(l.borders)))
	l.move()
	return true
}

// move makes the links of nodes those of items.
func (l *loading) move() {
	l.links = slices.Grow(l.links, len(l.borders))[:len(l.links)+len(l.borders)]
	for i := uint32(len(l.u.nodes)); i > 0; { // backwards, as items are not before their nodes
		i--
		n, k := &l.u.nodes[i], l.links[i]
		if k.origin != none {
			k.origin = l.item(k.origin, n.origin.Clock)
		}
		if k.right != none {
			k.right = l.item(k.right, n.right.Clock)
		}
		first := l.moved[i]
		for at := l.moved[i+1] - 1; at > first; at-- {
			l.links[at] = link{at - 1, k.right, none, unplaced, none, k.group, none}
		}
		l.links[first] = k
	}
}

// first returns the first item of node i, or the end of all.
func (l *loading) first(i uint32) uint32 {
	if len(l.moved) == 0 {
		return i
	}
	return l.moved[i]
}

// item returns the item that holds a clock, which node i has.
func (l *loading) item(i uint32, clock Clock) uint32 {
	if len(l.moved) == 0 {
		return i
	}
	first, end := l.moved[i], l.moved[i+1]
	if end-first == 1 {
		return first
	}
	before, _ := slices.BinarySearchFunc(l.borders[first-i:end-i-1], clock+1, func(b border, clock Clock) int {
		return cmp.Compare(Clock(b.clock), clock)
	})
	return first + uint32(before)
}

// shorten keeps the first by elements of n. It reports false if that cuts a pair of
// surrogates, or might.
func (s *set) shorten(n *node, by uint64) bool {
	n.length = by
	switch n.kind() {
	case kindString:
		if n.flags&flagCut != 0 {
			by--
		}
		off, pair := lib0.CutUnits(s.bytes(n.text), int(by))
		n.text.size = uint32(off)
		return !pair && n.flags&flagWTF == 0
	case kindAny, kindJSON:
		n.text.size = skipElements(s.bytes(n.text), n.kind(), uint32(by))
	}
	return true
}
