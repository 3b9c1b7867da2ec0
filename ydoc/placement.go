package ydoc

import (
	"cmp"
	"slices"
)

// IntegrationSteps returns how many items Yjs looks at to find the places of those
// of u, a whole state, when it applies u to an empty document. Honest editing makes
// few; items made for it, which begin at one place and end at different ones, make
// their number squared. It stops counting beyond limit.
//
// Where references cut an item its parts count one by one, as in a document that
// was edited live. It takes time linear in u and in what it returns.
func (u *Update) IntegrationSteps(limit int) int {
	pl := placement{u: u, limit: limit, byKey: make(map[listKey]uint32)}
	pl.cut()
	pl.run()
	return pl.steps
}

// Branches counts the items of u, and how many of them do not follow the element
// before them of their own client. Of a whole state IntegrationSteps is at most three
// times the product of the two: references cut an item into three parts on average.
func (u *Update) Branches() (items, branches int) {
	for _, g := range u.groups {
		for i := g.from; i < g.to; i++ {
			n := &u.nodes[i]
			if n.isGC() {
				continue
			}
			items++
			if n.info&hasOrigin == 0 || n.origin.Client != g.client || uint64(n.origin.Clock) != n.clock-1 {
				branches++
			}
		}
	}
	return items, branches
}

// placement places the items of a state as Item.integrate of Yjs does.
type placement struct {
	u     *Update
	limit int
	steps int

	pieces []piece
	first  []uint32 // of a node's pieces, by node; and the number of pieces
	lists  []list
	byKey  map[listKey]uint32

	search, conflict uint32 // marks
}

// piece is a part of a node that no reference cuts any further. Pieces refer to each
// other by index.
type piece struct {
	clock       uint64
	client      ClientID
	origin      uint32
	rightOrigin uint32
	left, right uint32
	list        uint32 // noPiece: it is not placed
	passed      uint32 // the last search that passed it
	conflict    uint32 // the last set of conflicting items it was in
}

// noPiece stands for no piece and for no list.
const noPiece = ^uint32(0)

// list is the items of one parent, or the values of one of its keys.
type list struct {
	start, length uint32
	keyed         bool
}

// listKey names a list by its parent, a root or else the node of a type.
type listKey struct {
	root   string
	isRoot bool
	parent uint32
	sub    string
	keyed  bool
}

// cut makes the pieces.
func (pl *placement) cut() {
	u := pl.u
	type border struct {
		node  uint32
		clock uint64
	}
	var borders []border
	add := func(id ID, clock uint64) {
		if i, ok := u.lookup(id); ok && !u.nodes[i].isGC() && u.nodes[i].clock < clock && clock < u.nodes[i].end() {
			borders = append(borders, border{i, clock})
		}
	}
	for i := range u.nodes {
		n := &u.nodes[i]
		if n.info&hasOrigin != 0 {
			add(n.origin, uint64(n.origin.Clock)+1)
		}
		if n.info&hasRight != 0 {
			add(n.right, uint64(n.right.Clock))
		}
	}
	slices.SortFunc(borders, func(a, b border) int {
		return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(a.clock, b.clock))
	})
	borders = slices.Compact(borders)

	pl.pieces = make([]piece, 0, len(u.nodes)+len(borders))
	pl.first = make([]uint32, len(u.nodes)+1)
	for _, g := range u.groups {
		for i := g.from; i < g.to; i++ {
			pl.first[i] = uint32(len(pl.pieces))
			pl.pieces = append(pl.pieces, piece{clock: u.nodes[i].clock, client: g.client, list: noPiece})
			for len(borders) > 0 && borders[0].node == i {
				pl.pieces = append(pl.pieces, piece{clock: borders[0].clock, client: g.client, list: noPiece})
				borders = borders[1:]
			}
		}
	}
	pl.first[len(u.nodes)] = uint32(len(pl.pieces))
}

// run integrates the nodes in the order in which Yjs does: the highest client
// first, and before each node what it depends on.
func (pl *placement) run() {
	u := pl.u
	next := make([]uint32, len(u.groups))
	waiting := make([]bool, len(u.groups))
	for gi := range u.groups {
		next[gi] = u.groups[gi].from
	}
	var stack []int
	for gi := range u.groups {
		for next[gi] < u.groups[gi].to {
			at := gi
			if len(stack) > 0 {
				at = stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				waiting[at] = false
			}
			for {
				missing, ok := pl.missing(&u.nodes[next[at]], next)
				if !ok || missing == at || waiting[missing] {
					break
				}
				stack = append(stack, at)
				waiting[at] = true
				at = missing
			}
			pl.integrate(u.groups[at], next[at])
			if next[at]++; pl.steps > pl.limit {
				return
			}
		}
	}
}

// missing returns the group of something that n needs and that is not integrated.
func (pl *placement) missing(n *node, next []uint32) (group int, found bool) {
	needs := func(id ID) bool {
		gi, ok := pl.u.find(id.Client)
		if !ok || next[gi] == pl.u.groups[gi].to || uint64(id.Clock) < pl.u.nodes[next[gi]].clock {
			return false
		}
		group = gi
		return true
	}
	switch {
	case n.isGC():
		return 0, false
	case n.info&hasOrigin != 0 && needs(n.origin), n.info&hasRight != 0 && needs(n.right):
		return group, true
	case n.explicitParent():
		parent := pl.u.parentOf(n)
		return group, !parent.isRoot && needs(parent.id)
	}
	return 0, false
}

// find returns the piece that holds id; noPiece if there is none or it has no place.
func (pl *placement) find(id ID) uint32 {
	i, ok := pl.u.lookup(id)
	if !ok {
		return noPiece
	}
	from, to := pl.first[i], pl.first[i+1]
	at, _ := slices.BinarySearchFunc(pl.pieces[from:to], uint64(id.Clock)+1, func(p piece, clock uint64) int {
		return cmp.Compare(p.clock, clock)
	})
	if found := from + uint32(at) - 1; pl.pieces[found].list != noPiece {
		return found
	}
	return noPiece
}

// integrate places the pieces of node i of g, unless what they hang from is collected.
func (pl *placement) integrate(g group, i uint32) {
	n := &pl.u.nodes[i]
	if n.isGC() {
		return
	}
	at := pl.first[i]
	p := &pl.pieces[at]
	p.origin, p.rightOrigin = noPiece, noPiece
	if n.info&hasOrigin != 0 {
		if p.origin = pl.find(n.origin); p.origin == noPiece {
			return
		}
		p.list = pl.pieces[p.origin].list
	}
	if n.info&hasRight != 0 {
		if p.rightOrigin = pl.find(n.right); p.rightOrigin == noPiece {
			p.list = noPiece
			return
		}
		if p.origin == noPiece {
			p.list = pl.pieces[p.rightOrigin].list
		}
	}
	if n.explicitParent() {
		if p.list = pl.listOf(n); p.list == noPiece {
			return
		}
	}
	pl.link(at, pl.place(at))
	for last := pl.first[i+1] - 1; at < last; at++ {
		rest := &pl.pieces[at+1]
		rest.origin, rest.rightOrigin, rest.list = at, pl.pieces[at].rightOrigin, pl.pieces[at].list
		pl.link(at+1, at)
	}
}

// listOf returns the list that n, which says where it is, belongs to.
func (pl *placement) listOf(n *node) uint32 {
	u := pl.u
	parent := u.parentOf(n)
	key := listKey{isRoot: parent.isRoot, keyed: n.info&hasSub != 0}
	if parent.isRoot {
		key.root = string(u.bytes(parent.root))
	} else {
		at, ok := u.lookup(parent.id)
		if !ok || u.nodes[at].kind() != kindType || pl.pieces[pl.first[at]].list == noPiece {
			return noPiece
		}
		key.parent = at
	}
	if key.keyed {
		key.sub = string(u.bytes(parent.sub))
	}
	l, ok := pl.byKey[key]
	if !ok {
		l = uint32(len(pl.lists))
		pl.lists = append(pl.lists, list{start: noPiece, keyed: key.keyed})
		pl.byKey[key] = l
	}
	return l
}

// place returns the piece that is to be left of piece at, noPiece for the start.
func (pl *placement) place(at uint32) (left uint32) {
	p := &pl.pieces[at]
	left = p.origin
	l := &pl.lists[p.list]
	var o uint32
	switch {
	case left != noPiece:
		o = pl.pieces[left].right
	default:
		o = l.start
		if l.keyed {
			pl.steps += int(l.length) // Yjs walks there from the last value
		}
	}
	pl.search++
	pl.conflict++
	for ; o != noPiece && o != p.rightOrigin; o = pl.pieces[o].right {
		if pl.steps++; pl.steps > pl.limit {
			return left
		}
		other := &pl.pieces[o]
		other.passed, other.conflict = pl.search, pl.conflict
		if other.origin == p.origin {
			if other.client < p.client {
				left = o
				pl.conflict++
			} else if other.rightOrigin == p.rightOrigin {
				return left
			}
		} else if other.origin != noPiece && pl.pieces[other.origin].passed == pl.search {
			if pl.pieces[other.origin].conflict != pl.conflict {
				left = o
				pl.conflict++
			}
		} else {
			return left
		}
	}
	return left
}

// link puts piece at right of left.
func (pl *placement) link(at, left uint32) {
	p := &pl.pieces[at]
	l := &pl.lists[p.list]
	l.length++
	p.left = left
	if left == noPiece {
		p.right, l.start = l.start, at
	} else {
		p.right = pl.pieces[left].right
		pl.pieces[left].right = at
	}
	if p.right != noPiece {
		pl.pieces[p.right].left = at
	}
}
