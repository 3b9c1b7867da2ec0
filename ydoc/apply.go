package ydoc

// application integrates the structs of an Update into a Doc.
type application struct {
	d      *Doc
	u      *Update
	at     []uint32 // group → its next node
	state  []uint8  // group → waiting or gaveUp, or neither
	stack  []wait   // groups that wait for the one above them, or for the running one
	lastID ClientID // the client that was looked up last
	last   uint32

	missing []ID // what the groups given up wait for, and their next structs
	joined  bool // the structs of u are long: it is a state, more likely than a log
}

// wait is a group, and what its next struct lacks.
type wait struct {
	group uint32
	lacks ID
}

// application returns what integrates u, with the memory of one before.
func (t *Transaction) application(u *Update) *application {
	a := &t.app
	a.d, a.u = t.doc, u
	a.missing = a.missing[:0]
	return a
}

// States of a group.
const (
	waiting = 1 + iota
	givenUp
)

// known are the references of a node with clients as indexes.
type known struct{ origin, right, parent ref }

// structs integrates what it can, in the order of the reference (section 5.2): clients
// descending; a struct that needs others of this update lets their clients go first.
func (a *application) structs() {
	a.at, a.state = a.at[:0], a.state[:0]
	for _, g := range a.u.groups {
		a.at = append(a.at, g.from)
		a.state = append(a.state, 0)
	}
	a.last = none
	a.joined = a.u.looksJoined()
	for gi := range a.u.groups {
		a.run(uint32(gi))
	}
}

// looksJoined reports whether u has many structs and they are long: then it is a
// state, in which nothing is left to be joined, more likely than a log of typing.
func (u *Update) looksJoined() bool {
	if len(u.nodes) < 64 {
		return false
	}
	clocks := uint64(0)
	for _, g := range u.groups {
		clocks += u.nodes[g.to-1].end() - u.nodes[g.from].clock
	}
	return clocks > 4*uint64(len(u.nodes))
}

// run integrates group gi, and before it what it waits for.
func (a *application) run(gi uint32) {
	if a.state[gi] == givenUp {
		return
	}
	for {
		g := &a.u.groups[gi]
		if a.at[gi] == g.to {
			return
		}
		id, ok := a.node(g.client, &a.u.nodes[a.at[gi]])
		if ok {
			a.at[gi]++
			if n := len(a.stack) - 1; n >= 0 {
				gi = a.stack[n].group
				a.stack = a.stack[:n]
				a.state[gi] = 0
			}
			continue
		}
		hi, found := a.u.find(id.Client)
		if !found || uint32(hi) == gi || a.state[hi] != 0 || a.at[hi] == a.u.groups[hi].to {
			a.giveUp(gi, id)
			return
		}
		a.stack = append(a.stack, wait{gi, id})
		a.state[gi] = waiting
		gi = uint32(hi)
	}
}

// giveUp leaves group gi, which lacks id, and all that wait for it. What is behind
// their next structs is set free by those, too, if they come in another shape.
func (a *application) giveUp(gi uint32, id ID) {
	for _, w := range append(a.stack, wait{gi, id}) {
		a.state[w.group] = givenUp
		next := ID{a.u.groups[w.group].client, Clock(a.u.nodes[a.at[w.group]].clock)}
		a.missing = append(a.missing, w.lacks, next)
	}
	a.stack = a.stack[:0]
}

// rest returns what was given up; it shares memory with u.
func (a *application) rest() *Update {
	rest := a.u.share()
	for gi, g := range a.u.groups {
		if a.at[gi] < g.to {
			rest.groups = append(rest.groups, group{g.client, a.at[gi], g.to})
		}
	}
	return rest
}

// client returns the index of a client, none if it is not known.
func (a *application) client(id ClientID) uint32 {
	if a.last == none || a.lastID != id {
		a.lastID, a.last = id, a.d.clientAt(id)
	}
	return a.last
}

// resolve returns the index form of id, and false if it is not integrated.
func (a *application) resolve(id ID) (ref, bool) {
	ci := a.client(id.Client)
	if ci == none || uint64(id.Clock) >= uint64(a.d.clients[ci].next) {
		return noRef, false
	}
	return ref{ci, uint32(id.Clock)}, true
}

// node integrates n, unless the document has it. If n refers to what is missing it
// returns that, and false.
func (a *application) node(client ClientID, n *node) (missing ID, ok bool) {
	d := a.d
	ci := a.client(client)
	next := uint64(0)
	if ci != none {
		next = uint64(d.clients[ci].next)
	}
	if n.clock > next {
		return ID{client, Clock(n.clock - 1)}, false
	}
	if n.end() <= next {
		return ID{}, true // even if, in this shape, it refers to what is missing
	}
	k := known{noRef, noRef, noRef}
	if n.info&hasOrigin != 0 {
		if k.origin, ok = a.resolve(n.origin); !ok {
			return n.origin, false
		}
	}
	if n.info&hasRight != 0 {
		if k.right, ok = a.resolve(n.right); !ok {
			return n.right, false
		}
	}
	if n.explicitParent() {
		if p := a.u.parentOf(n); !p.isRoot {
			if k.parent, ok = a.resolve(p.id); !ok {
				return p.id, false
			}
		}
	}
	if ci == none {
		ci = d.addClient(client)
		a.lastID, a.last = client, ci
	}
	if n.clock < next {
		cut := *n
		a.u.cut(&cut, client, next-n.clock)
		n = &cut
		k.origin = ref{ci, uint32(next - 1)}
	}
	d.tx.touch(ci)
	if a.joined || !d.typeOn(a.u, n, ci, k) {
		a.integrate(n, ci, k)
	}
	return ID{}, true
}

// typeOn puts text that continues the last item of its client into that item: what
// integrating and joining would come to. It reports false if n is no such text.
func (d *Doc) typeOn(u *Update, n *node, ci uint32, k known) bool {
	c := &d.clients[ci]
	if n.kind() != kindString || k.origin.client != ci || k.origin.clock+1 != c.next || n.flags&(flagWTF|flagCut) != 0 || d.tx.changes != nil {
		return false
	}
	i := c.run.item(c.run.last())
	it := &d.items[i]
	if it.kind != kindString || it.flags&(flagWTF|isDeleted|isValue) != 0 || it.right != k.right {
		return false
	}
	if it.next == none {
		if k.right.client != none {
			return false
		}
	} else if d.items[it.next].id() != k.right {
		return false
	}
	d.extend(it, u.bytes(n.text))
	d.lengthen(i, uint32(n.length))
	return true
}

// lengthen adds n elements, which are in its content already, to item i, the last one
// of its client.
func (d *Doc) lengthen(i, n uint32) {
	it := &d.items[i]
	it.length += n
	d.clients[it.client].next += n
	d.branches[d.chains[it.chain].branch].length += n
	if t := d.treeOf(it.chain); t != nil {
		t.resize(i, it.length)
	}
}

// integrate makes an item of n, or a GC struct if what is around it was collected.
func (a *application) integrate(n *node, ci uint32, k known) {
	d := a.d
	lost := n.isGC()
	left, right, chain := none, none, none
	if k.origin.client != none {
		left = d.endingAt(k.origin)
		it := &d.items[left]
		lost = lost || it.isGC()
		chain, right = it.chain, it.next
	}
	if k.right.client == none {
		right = none
	} else {
		if right == none || d.items[right].id() != k.right {
			right = d.startingAt(k.right)
		}
		it := &d.items[right]
		lost = lost || it.isGC()
		if left == none {
			chain = it.chain
		}
	}
	if !lost && left == none && right == none {
		chain = a.chain(n, k.parent)
		lost = chain == none
	}
	if lost {
		d.addGC(ci, uint32(n.clock), uint32(n.length))
		return
	}
	i := d.newSlot()
	it := &d.items[i]
	it.clock, it.length, it.client = uint32(n.clock), uint32(n.length), ci
	it.prev, it.next, it.chain = none, none, chain
	it.kind, it.flags = n.kind(), n.flags&(flagAny|flagWTF)
	it.origin, it.right = k.origin, k.right
	it.off, it.size = 0, 0
	a.store(n, it)
	d.integrate(i, left, right)
}

// chain returns the chain that n, which has no neighbours, says it is in; none if that
// was collected.
func (a *application) chain(n *node, holder ref) uint32 {
	d := a.d
	p := a.u.parentOf(n)
	b := none
	if p.isRoot {
		b = d.root(a.u.bytes(p.root))
	} else {
		it := &d.items[d.at(holder)]
		if it.kind != kindType {
			return none
		}
		b = it.off
		if d.branches[b].dead {
			return none
		}
	}
	if n.info&hasSub != 0 {
		return d.keyOf(b, a.u.bytes(p.sub))
	}
	return d.listOf(b)
}

// store copies the content of n into the document.
func (a *application) store(n *node, it *item) {
	d := a.d
	switch {
	case it.kind == kindType:
		ref, name := a.u.typeRef(n)
		it.off = d.newBranch(none, TypeRef(ref), 0)
		br := &d.branches[it.off]
		br.off, br.size = d.intern(name), uint32(len(name))
	case it.inText():
		d.storeText(a.u, n, it)
	}
}

// storeText copies the content of n, which is that of it, to the end of Doc.text.
func (d *Doc) storeText(u *Update, n *node, it *item) {
	it.off = uint32(len(d.text))
	if n.flags&flagCut != 0 {
		d.text = append(d.text, cutText...)
	}
	d.text = append(d.text, u.bytes(n.text)...)
	it.size = uint32(len(d.text)) - it.off
}
