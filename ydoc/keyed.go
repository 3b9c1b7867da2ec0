package ydoc

import "iter"

// Keyed is a set of the elements of a document that are, or were, values of keys: of
// maps, and of the attributes of XML elements. With it an update shows where its items
// are that stand beside others.
type Keyed struct {
	ids map[ID]struct{}
	max int
}

// NewKeyed returns those of u, the state of a whole document, or nil if there are more
// than max.
func NewKeyed(u *Update, max int) *Keyed {
	k := &Keyed{ids: make(map[ID]struct{}), max: max}
	if !k.Add(u) {
		return nil
	}
	return k
}

// Add adds those of u, an update of the document, and says whether there is room for
// them. It takes time linear in u.
func (k *Keyed) Add(u *Update) bool {
	if len(k.ids) == 0 && !u.subs {
		return true
	}
	if len(u.nodes) == 1 && !u.subs { // as when somebody types
		n := &u.nodes[0]
		if n.isGC() || !k.has(n.neighbour()) {
			return true
		}
	}
	for id, n := range u.keyed(k) {
		if n > uint64(k.max-len(k.ids)) {
			return false
		}
		for ; n > 0; n-- {
			k.ids[id] = struct{}{}
			id.Clock++
		}
	}
	return true
}

func (k *Keyed) has(id ID) bool {
	_, ok := k.ids[id]
	return ok
}

// neighbour is what n stands beside, the zero ID if it names its parent.
func (n *node) neighbour() ID {
	switch {
	case n.info&hasOrigin != 0:
		return n.origin
	case n.info&hasRight != 0:
		return n.right
	}
	return ID{}
}

// keyed yields the items of u that are values of keys: their first elements, and how
// many they have.
func (u *Update) keyed(k *Keyed) iter.Seq2[ID, uint64] {
	return func(yield func(ID, uint64) bool) {
		p := places{u: u, found: make([]place, len(u.nodes)), keyed: k}
		for _, g := range u.groups {
			for i := g.from; i < g.to; i++ {
				n := &u.nodes[i]
				if n.isGC() || p.of(g, i)&placeInMap == 0 {
					continue
				}
				if !yield(ID{g.client, Clock(n.clock)}, n.length) {
					return
				}
			}
		}
	}
}
