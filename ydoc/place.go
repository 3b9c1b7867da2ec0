package ydoc

import (
	"slices"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// TypeDepth returns how deep the shared types that u creates are nested: rooted is
// the longest chain counted from a root, where a type directly in a root has depth
// 1; floating is the longest chain that hangs below something u does not have. Of the
// state of a whole document floating is 0.
//
// It takes time linear in the structs that types refer to, and none if u creates no
// types.
func (u *Update) TypeDepth() (rooted, floating int) {
	if !u.types {
		return 0, 0
	}
	p := places{u: u, found: make([]place, len(u.nodes))}
	for _, g := range u.groups {
		for i := g.from; i < g.to; i++ {
			if u.nodes[i].kind() != kindType {
				continue
			}
			switch at := p.of(g, i); at & placeKind {
			case floats:
				floating = max(floating, at.depth()+1)
			case rootedAt:
				rooted = max(rooted, at.depth()+1)
			}
		}
	}
	return rooted, floating
}

// Values says what an update shows of the values of keys: of maps, and of the
// attributes of XML elements.
type Values struct {
	Keyed  bool // there are some
	Wide   bool // one of them has several elements
	Unsure bool // so may an item, which is beside something the update does not have
}

// Values looks for values of keys. It takes time linear in u, and little if no item has
// several elements. If known is not nil, u is an update of the document whose values of
// keys it holds.
func (u *Update) Values(known *Keyed) Values {
	v := Values{Keyed: u.subs}
	var p *places
	for _, g := range u.groups {
		for i := g.from; i < g.to; i++ {
			n := &u.nodes[i]
			if n.length == 1 || tombstone(n) || n.explicitParent() && n.info&hasSub == 0 {
				continue
			}
			if p == nil {
				p = &places{u: u, found: make([]place, len(u.nodes)), keyed: known}
			}
			at := p.of(g, i)
			v.Wide = v.Wide || at&placeInMap != 0
			v.Unsure = v.Unsure || at&placeLost != 0
		}
	}
	return v
}

// SplitValue returns the first item of several elements that u shows to be the value
// of a map's key and to be split: only a part of it is deleted, or an item refers to
// its inside. Honest clients never do that, and Yjs handles it badly: it throws when
// it collects the map. DecodeUpdate refuses what it can see of this in one update; if
// value and cut come from two, the merged state shows it. (The values themselves
// exist: attributes of XML elements, written in Rust.)
//
// It takes time linear in u, and none if u names no key.
func (u *Update) SplitValue() (ID, bool) {
	if !u.subs {
		return ID{}, false
	}
	values := make(map[ID]*node)
	p := places{u: u, found: make([]place, len(u.nodes))}
	for _, g := range u.groups {
		for i := g.from; i < g.to; i++ {
			n := &u.nodes[i]
			if n.length == 1 || tombstone(n) || p.of(g, i)&placeInMap == 0 {
				continue
			}
			id := ID{g.client, Clock(n.clock)}
			d := u.deletes.search(g.client, n.clock)
			if d < len(u.deletes.ranges) {
				r := &u.deletes.ranges[d]
				whole := r.from <= n.clock && n.end() <= r.to
				if r.client == g.client && r.from < n.end() && !whole {
					return id, true
				}
				if r.client == g.client && whole {
					continue
				}
			}
			values[id] = n
		}
	}
	if len(values) == 0 {
		return ID{}, false
	}
	return u.refersInside(values)
}

// refersInside returns the first of values that an item cuts in two: by an origin
// that is not its last element, or a right origin that is not its first.
func (u *Update) refersInside(values map[ID]*node) (ID, bool) {
	cuts := func(ref ID, before bool) (ID, bool) {
		i, ok := u.lookup(ref)
		if !ok {
			return ID{}, false
		}
		n := &u.nodes[i]
		id := ID{ref.Client, Clock(n.clock)}
		border := uint64(ref.Clock)
		if !before {
			border++
		}
		return id, values[id] != nil && n.clock < border && border < n.end()
	}
	for _, g := range u.groups {
		for i := g.from; i < g.to; i++ {
			n := &u.nodes[i]
			if n.info&hasOrigin != 0 && !n.isGC() {
				if id, cut := cuts(n.origin, false); cut {
					return id, true
				}
			}
			if n.info&hasRight != 0 && !n.isGC() {
				if id, cut := cuts(n.right, true); cut {
					return id, true
				}
			}
		}
	}
	return ID{}, false
}

// place says where a node is: what the types around it hang from, whether it is the
// value of a key, and how many types there are. 0 is not yet known.
type place uint32

const (
	visiting place = 1 + iota
	nowhere        // in collected content
	rootedAt       // below a root
	floats         // below something unknown

	placeKind  place = 7
	placeInMap place = 8  // the value of a key
	placeLost  place = 16 // beside something unknown: perhaps the value of a key
	oneDeeper  place = 32
)

func (p place) depth() int { return int(p / oneDeeper) }

// places finds the places of nodes, each once.
type places struct {
	u     *Update
	found []place
	path  []step
	keyed *Keyed // what is known of what u does not have; may be nil
}

// reset forgets what was found and turns to u.
func (p *places) reset(u *Update) {
	p.u = u
	p.found = slices.Grow(p.found[:0], len(u.nodes))[:len(u.nodes)]
	clear(p.found)
}

// step is a node on the way to a root.
type step struct {
	at     uint32
	parent bool // the next one is the type that holds the node, not a neighbour
	inMap  bool // if parent
}

// of returns the place of node i of g. It follows references without recursion.
func (p *places) of(g group, i uint32) place {
	p.path = p.path[:0]
	at := place(0)
	for {
		if at = p.found[i]; at != 0 {
			if at == visiting {
				at = floats | placeLost // a circle, which no document integrates
			}
			break
		}
		n := &p.u.nodes[i]
		if n.isGC() {
			at = nowhere
			break
		}
		p.found[i] = visiting
		next, stop := p.step(n, i)
		if stop != 0 {
			at = stop
			break
		}
		j, ok := p.find(g, i, next)
		if !ok {
			at = floats
			p.path[len(p.path)-1].parent = false
			switch {
			case n.explicitParent():
				if n.info&hasSub != 0 {
					at |= placeInMap
				}
			case p.keyed == nil:
				at |= placeLost
			case p.keyed.has(next):
				at |= placeInMap
			}
			break
		}
		if n.explicitParent() && p.u.nodes[j].kind() != kindType {
			at = nowhere
			break
		}
		if g.client != next.Client {
			gi, _ := p.u.find(next.Client)
			g = p.u.groups[gi]
		}
		i = j
	}
	for k := len(p.path) - 1; k >= 0; k-- {
		s := p.path[k]
		if s.parent && at&placeKind != nowhere {
			at = at&^(placeInMap|placeLost) + oneDeeper
			if s.inMap {
				at |= placeInMap
			}
		}
		p.found[s.at] = at
	}
	return at
}

// step adds node i to the path and returns what to look at next, or its place if
// it is in a root.
func (p *places) step(n *node, i uint32) (next ID, at place) {
	switch {
	case n.info&hasOrigin != 0:
		p.path = append(p.path, step{at: i})
		return n.origin, 0
	case n.info&hasRight != 0:
		p.path = append(p.path, step{at: i})
		return n.right, 0
	}
	parent := p.u.parentOf(n)
	if parent.isRoot {
		p.path = append(p.path, step{at: i})
		if n.info&hasSub != 0 {
			return ID{}, rootedAt | placeInMap
		}
		return ID{}, rootedAt
	}
	p.path = append(p.path, step{at: i, parent: true, inMap: n.info&hasSub != 0})
	return parent.id, 0
}

// find is lookup with a short way to the usual: the node before i.
func (p *places) find(g group, i uint32, id ID) (uint32, bool) {
	if g.client == id.Client && i > g.from {
		if n := &p.u.nodes[i-1]; n.clock <= uint64(id.Clock) && uint64(id.Clock) < n.end() {
			return i - 1, true
		}
	}
	return p.u.lookup(id)
}

// typeRef returns the type ref and, if it has one, the name of a Type node.
func (s *set) typeRef(n *node) (ref uint64, name []byte) {
	r := lib0.NewReader(s.bytes(n.text))
	ref, _ = r.VarUint()
	name, _ = r.VarBytes() // read before; without a name there is nothing left
	return ref, name
}
