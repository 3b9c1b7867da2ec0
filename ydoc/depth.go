package ydoc

import "github.com/heapsync/heapsync/ydoc/lib0"

// TypeDepth returns how deep the shared types that u creates are nested: rooted is
// the longest chain counted from a root, where a type directly in a root has depth
// 1; floating is the longest chain that hangs below something u does not have, or
// below nothing that can be found. Of the state of a whole document floating is 0.
//
// It takes time linear in the structs that types refer to, and none if u creates no
// types.
func (u *Update) TypeDepth() (rooted, floating int) {
	if !u.types {
		return 0, 0
	}
	d := depths{u: u, found: make([]place, len(u.nodes))}
	for _, g := range u.groups {
		for i := g.from; i < g.to; i++ {
			if u.nodes[i].kind() != kindType {
				continue
			}
			switch p := d.of(g, i); {
			case p.outside():
				floating = max(floating, p.depth()+1)
			case p.inside():
				rooted = max(rooted, p.depth()+1)
			}
		}
	}
	return rooted, floating
}

// place says how many types a node is in, and where the outermost of them is:
// 0 is not yet known, then visiting, nowhere, and from there on alternately
// below a root and below the unknown.
type place uint32

const (
	visiting place = 1 + iota
	nowhere        // in collected content
	belowRoot
	belowUnknown
)

func (p place) inside() bool  { return p >= belowRoot && (p-belowRoot)%2 == 0 }
func (p place) outside() bool { return p >= belowRoot && (p-belowRoot)%2 == 1 }
func (p place) depth() int    { return int(p-belowRoot) / 2 }

// deeper is the place of what is in a type at p.
func (p place) deeper() place {
	if p < belowRoot {
		return p
	}
	return p + 2
}

type depths struct {
	u     *Update
	found []place
	path  []step
}

// step is a node on the way to a root, and whether the next one is the type that
// holds it, not a neighbour.
type step struct {
	at     uint32
	within bool
}

// of returns the place of node i of g. It follows references without recursion.
func (d *depths) of(g group, i uint32) place {
	d.path = d.path[:0]
	var p place
	for {
		if p = d.found[i]; p == visiting {
			p = belowUnknown // a circle, which no document integrates
		}
		if p != 0 {
			break
		}
		n := &d.u.nodes[i]
		if n.isGC() {
			p = nowhere
			break
		}
		d.found[i] = visiting
		next, within, known := ID{}, false, place(0)
		switch {
		case n.info&hasOrigin != 0:
			next = n.origin
		case n.info&hasRight != 0:
			next = n.right
		default:
			parent := d.u.parentOf(n)
			next, within = parent.id, true
			if parent.isRoot {
				known = belowRoot
			}
		}
		d.path = append(d.path, step{i, within})
		if known != 0 {
			// Not deeper than the root itself.
			d.path[len(d.path)-1].within = false
			p = known
			break
		}
		j, ok := d.find(g, i, next)
		if !ok {
			d.path[len(d.path)-1].within = false
			p = belowUnknown
			break
		}
		if within && d.u.nodes[j].kind() != kindType {
			p = nowhere
			break
		}
		if g.client != next.Client {
			gi, _ := d.u.find(next.Client)
			g = d.u.groups[gi]
		}
		i = j
	}
	for k := len(d.path) - 1; k >= 0; k-- {
		if d.path[k].within {
			p = p.deeper()
		}
		d.found[d.path[k].at] = p
	}
	return p
}

// find is lookup with a short way to the usual: the node before i.
func (d *depths) find(g group, i uint32, id ID) (uint32, bool) {
	if g.client == id.Client && i > g.from {
		if n := &d.u.nodes[i-1]; n.clock <= uint64(id.Clock) && uint64(id.Clock) < n.end() {
			return i - 1, true
		}
	}
	return d.u.lookup(id)
}

// typeRef returns the type ref and, if it has one, the name of a Type node.
func (s *set) typeRef(n *node) (ref uint64, name []byte) {
	r := lib0.NewReader(s.bytes(n.text))
	ref, _ = r.VarUint()
	name, _ = r.VarBytes() // read before; without a name there is nothing left
	return ref, name
}
