package ydoc

import (
	"slices"
	"sync"
)

// loading puts a state into an empty document. It does what an application does, in
// passes of their own: what structs refer to is found for all of them first, they are
// linked in small values, and then the items are written one after the other. There is
// an item for each node of the Update, or several where others refer to its inside, in
// the same order.
type loading struct {
	d *Doc
	u *Update

	size     int      // of content, about
	ends     []uint32 // node → the clock behind it
	starts   []uint32 // see index
	indexes  []index  // of groups
	lastID   ClientID // the client that was looked up last
	last     uint32
	right    ID // the right origin that was found last
	rightAt  uint32
	borders  []border
	parts    []node   // of the nodes that are cut
	moved    []uint32 // node → its first item, with an end; empty if none is cut
	links    []link   // of nodes, later of items
	at, to   []uint32 // group → its next item, and the one behind its last
	stack    []uint32 // groups that wait for the one behind them, the last for the running one
	waits    []bool   // group → it is in stack
	marks    marks
	replaced []uint32 // values that are not the last of their key

	// Of the client whose items are written:
	deletes []deletion // what is deleted, without what was passed
	alike   bool       // neighbours may be one item
	live    bool       // of all clients: something is in deletes that is not deleted yet
}

// index finds nodes of a group: the one that holds clock c is not before starts[from +
// c>>shift], and not behind the entry after that.
type index struct {
	from, to uint32
	shift    uint8
}

// link is where an item is: indexes of items, or none.
type link struct {
	origin, right uint32 // its neighbours when it was made
	prev, next    uint32 // and now; next is unplaced until it is linked
	chain         uint32 // none: it is a GC struct
	group         uint32
	node          uint32 // none: it is a later part of one
}

const unplaced = none - 1

// minLoad is how many structs it takes for passes of their own to be quicker.
var minLoad = 64

var loadings = sync.Pool{New: func() any { return new(loading) }}

// load applies the structs of u if d is empty and u a state, without gaps and without
// references to what is not there. Otherwise, and if u is odd, it returns false, and
// nothing has changed. Of deletions it notes only those of values in the transaction.
// It also reports whether all that u deletes was deleted before, as in a state is usual.
func (d *Doc) load(u *Update) (loaded, deleted bool) {
	if len(d.items) > 0 || len(d.clients) > 0 || d.forest != nil || len(u.nodes) < minLoad {
		return false, false
	}
	l := loadings.Get().(*loading)
	defer l.free()
	l.d, l.u = d, u
	if !l.measure() {
		return false, false
	}
	before := *d
	before.branches, before.chains, before.table = slices.Clone(d.branches), slices.Clone(d.chains), slices.Clone(d.table)
	for _, g := range u.groups {
		d.addClient(g.client)
	}
	if !l.resolve() || !l.cut() || !l.link() {
		*d = before
		return false, false
	}
	return true, l.write()
}

func (l *loading) free() {
	l.d, l.u, l.deletes = nil, nil, nil
	if cap(l.links)*nodeSize <= maxPooled>>5 {
		loadings.Put(l)
	}
}

// sized returns a slice of n elements, with the memory of s if that is enough.
func sized[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}

// measure fills ends and the indexes, and reports false if clocks of a client are missing.
func (l *loading) measure() bool {
	u := l.u
	l.ends = sized(l.ends, len(u.nodes))
	l.starts = sized(l.starts, len(u.nodes)+len(u.groups))[:0]
	l.indexes = l.indexes[:0]
	l.size = 0
	at := uint32(0)
	for _, g := range u.groups {
		if g.from != at {
			return false // there are nodes of no group
		}
		at = g.to
		end := uint64(0)
		for i := g.from; i < g.to; i++ {
			n := &u.nodes[i]
			if n.clock != end {
				return false
			}
			end = n.end()
			l.ends[i] = uint32(end)
			l.size += int(n.text.size)
		}
		x := index{from: uint32(len(l.starts))}
		for (end-1)>>x.shift >= uint64(g.to-g.from) {
			x.shift++
		}
		start := uint64(0)
		for i := g.from; i < g.to; i++ {
			for ; start < uint64(l.ends[i]); start += 1 << x.shift {
				l.starts = append(l.starts, i)
			}
		}
		x.to = uint32(len(l.starts))
		l.indexes = append(l.indexes, x)
	}
	return int(at) == len(u.nodes)
}

// find returns the node that holds id, and its group; none if there is none.
func (l *loading) find(id ID) (i, gi uint32) {
	if l.last == none || l.lastID != id.Client {
		l.lastID, l.last = id.Client, l.d.clientAt(id.Client)
	}
	gi = l.last
	if gi == none {
		return none, none
	}
	g := &l.u.groups[gi]
	if id.Clock >= Clock(l.ends[g.to-1]) {
		return none, none
	}
	clock := uint32(id.Clock)
	x := &l.indexes[gi]
	at := x.from + clock>>x.shift
	lo, hi := l.starts[at], g.to-1
	if at+1 < x.to {
		hi = l.starts[at+1]
	}
	for lo < hi {
		if mid := (lo + hi) / 2; l.ends[mid] <= clock {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, gi
}

// startOf returns the clock at which a node of a group begins.
func (l *loading) startOf(i, gi uint32) uint32 {
	if i == l.u.groups[gi].from {
		return 0
	}
	return l.ends[i-1]
}

// resolve finds what nodes refer to, and where references cut them. It reports false if
// something is not there, or if a node wants to be in front of what it is behind: cutting
// then moves what is on its left.
func (l *loading) resolve() bool {
	u := l.u
	l.links = sized(l.links, len(u.nodes))
	l.borders = l.borders[:0]
	l.last, l.rightAt = none, none
	for gi, g := range u.groups {
		for i := g.from; i < g.to; i++ {
			n, k := &u.nodes[i], &l.links[i]
			*k = link{none, none, none, unplaced, none, uint32(gi), i}
			if n.info&hasOrigin != 0 {
				if k.origin = l.origin(n, i, g); k.origin == none {
					return false
				}
			}
			if n.info&hasRight != 0 {
				k.right = l.rightOrigin(n)
				if k.right == none || k.right == k.origin && n.right.Clock <= n.origin.Clock {
					return false
				}
			}
		}
	}
	return true
}

// origin returns the origin of node i of g, none if it is not there.
func (l *loading) origin(n *node, i uint32, g group) uint32 {
	if n.origin.Client == g.client && uint64(n.origin.Clock)+1 == n.clock {
		return i - 1
	}
	at, _ := l.find(n.origin)
	if at == none {
		return none
	}
	if end := uint32(n.origin.Clock) + 1; end != l.ends[at] {
		l.cutAt(at, end)
	}
	return at
}

// rightOrigin returns the right origin of n, none if it is not there.
func (l *loading) rightOrigin(n *node) uint32 {
	if l.rightAt != none && l.right == n.right {
		return l.rightAt
	}
	at, gi := l.find(n.right)
	if at == none {
		return none
	}
	if start := uint32(n.right.Clock); start != l.startOf(at, gi) {
		l.cutAt(at, start)
	}
	l.right, l.rightAt = n.right, at
	return at
}

// link gives every item its place, in the order of application.structs. It reports
// false if items wait for each other.
func (l *loading) link() bool {
	d, groups := l.d, l.u.groups
	d.items = make([]item, len(l.links), len(l.links)+8)
	l.at, l.to, l.stack = l.at[:0], l.to[:0], l.stack[:0]
	for _, g := range groups {
		l.at, l.to = append(l.at, l.first(g.from)), append(l.to, l.first(g.to))
	}
	l.waits = sized(l.waits, len(groups))
	clear(l.waits)
	for gi := range uint32(len(groups)) {
		for l.at[gi] < l.to[gi] {
			lacks, ok := l.place(l.at[gi])
			if !ok {
				return false
			}
			if lacks != none {
				l.stack = append(l.stack, gi)
				l.waits[gi] = true
				if gi = l.links[lacks].group; l.waits[gi] {
					return false
				}
				continue
			}
			if l.at[gi]++; l.at[gi] < l.to[gi] && l.links[l.at[gi]].node == none {
				continue // nothing comes between the parts of a node
			}
			if n := len(l.stack) - 1; n >= 0 {
				gi = l.stack[n]
				l.stack = l.stack[:n]
				l.waits[gi] = false
			}
		}
	}
	return true
}

// place links item i, unless it refers to one that is not linked, which it returns. It
// reports false for a parent that is not there, and for a part of a value.
func (l *loading) place(i uint32) (lacks uint32, ok bool) {
	k := &l.links[i]
	left, right := k.origin, k.right
	lost := false
	if left != none {
		o := &l.links[left]
		if o.next == unplaced {
			return left, true
		}
		k.chain = o.chain
		lost = o.chain == none
	}
	if right != none {
		r := &l.links[right]
		if r.next == unplaced {
			return right, true
		}
		lost = lost || r.chain == none
		if left == none {
			k.chain = r.chain
		}
	}
	if left == none && right == none {
		if n := &l.u.nodes[k.node]; !n.isGC() {
			if lacks, ok := l.chain(n, k); lacks != none || !ok {
				return lacks, ok
			}
		}
		lost = k.chain == none
	}
	if lost {
		k.chain, k.next = none, none
		return none, true
	}
	ch := &l.d.chains[k.chain]
	if left != none {
		if l.links[left].next != right {
			left = l.amongRivals(k, left, l.links[left].next)
		}
	} else if right == none || l.links[right].prev != none {
		left = l.amongRivals(k, left, ch.head)
	}
	k.prev = left
	if left != none {
		k.next = l.links[left].next
		l.links[left].next = i
	} else {
		k.next = ch.head
		ch.head = i
	}
	if k.next != none {
		l.links[k.next].prev = i
	} else {
		ch.last = i
	}
	if k.node == none {
		return none, ch.isList()
	}
	if l.u.types {
		if n := &l.u.nodes[k.node]; n.kind() == kindType {
			l.makeType(i, n, ch.branch)
		}
	}
	return none, true
}

// makeType makes the branch that item i, of n in branch b, holds.
func (l *loading) makeType(i uint32, n *node, b uint32) {
	d := l.d
	ref, name := l.u.typeRef(n)
	made := d.newBranch(i, TypeRef(ref), d.branches[b].depth+1)
	d.branches[made].off, d.branches[made].size = d.intern(name), uint32(len(name))
	d.items[i].off = made
}

// chain finds the chain of n, which says where it is. Like place it returns what has
// to be linked first.
func (l *loading) chain(n *node, k *link) (lacks uint32, ok bool) {
	d, p := l.d, l.u.parentOf(n)
	b := none
	if p.isRoot {
		b = d.root(l.u.bytes(p.root))
	} else {
		at, _ := l.find(p.id)
		if at == none {
			return none, false
		}
		holder := l.item(at, p.id.Clock)
		if h := &l.links[holder]; h.next == unplaced {
			return holder, true
		} else if h.chain == none || l.u.nodes[at].kind() != kindType {
			return none, true
		}
		b = d.items[holder].off
	}
	if n.info&hasSub != 0 {
		k.chain = d.keyOf(b, l.u.bytes(p.sub))
	} else {
		k.chain = d.listOf(b)
	}
	return none, true
}

// amongRivals is Doc.amongRivals for links.
func (l *loading) amongRivals(k *link, left, o uint32) uint32 {
	m := &l.marks
	m.begin(len(l.links))
	for o != none && o != k.right {
		r := &l.links[o]
		m.add(o)
		if r.origin == k.origin {
			if r.group > k.group { // its client is lower
				left = o
				m.forget()
			} else if r.right == k.right {
				break
			}
		} else if r.origin == none || !m.seen(r.origin) {
			break
		} else if !m.recent(r.origin) {
			left = o
			m.forget()
		}
		o = r.next
	}
	return left
}

// write makes the items, and their clients' runs. It reports whether all that the
// Update deletes was deleted before.
func (l *loading) write() (deleted bool) {
	d, u := l.d, l.u
	deletes := u.deletes.ranges
	l.live = false
	d.text = make([]byte, 0, l.size+64)
	entries := make([]entry, 0, len(l.links))
	l.replaced = l.replaced[:0]
	at, parts := uint32(0), l.parts
	for gi, g := range u.groups {
		d.tx.touch(uint32(gi))
		first := len(entries)
		n := 0
		for n < len(deletes) && deletes[n].client == g.client {
			n++
		}
		l.deletes, deletes = deletes[:n], deletes[n:]
		l.alike = false
		for i := g.from; i < g.to; i++ {
			if end := l.first(i + 1); end > at+1 {
				for ; at < end; at++ {
					entries = l.writeItem(entries, first, at, &parts[0])
					parts = parts[1:]
				}
				continue
			}
			entries = l.writeItem(entries, first, at, &u.nodes[i])
			at++
		}
		c := &d.clients[gi]
		c.next = l.ends[g.to-1]
		c.run.fill(entries[first:])
		if !l.alike {
			c.before = c.next // there is nothing to join
		}
		if n := len(l.deletes); n > 0 && l.deletes[n-1].to > uint64(c.next) {
			l.live = true
		}
	}
	for _, i := range l.replaced {
		d.remove(i)
	}
	return !l.live && len(deletes) == 0
}

// writeItem makes item i of n, and an entry of it, unless it is a GC struct behind
// another one; the entries of its client begin at first.
func (l *loading) writeItem(entries []entry, first int, i uint32, n *node) []entry {
	d, k := l.d, &l.links[i]
	it := &d.items[i]
	if k.chain == none {
		if len(entries) > first {
			if last := &d.items[entries[len(entries)-1].item]; last.isGC() {
				last.length += uint32(n.length)
				d.releaseItem(i)
				return entries
			}
		}
		*it = item{
			clock: uint32(n.clock), length: uint32(n.length), client: k.group, origin: noRef, right: noRef,
			prev: none, next: none, chain: none, kind: kindGC, flags: isDeleted,
		}
		return append(entries, entry{it.clock, i})
	}
	it.clock, it.length, it.client = uint32(n.clock), uint32(n.length), k.group
	it.prev, it.next, it.chain = k.prev, k.next, k.chain
	it.kind, it.flags = n.kind(), n.flags&(flagAny|flagWTF)
	it.origin, it.right = noRef, noRef
	if k.origin != none {
		it.origin = ref{l.links[k.origin].group, uint32(n.origin.Clock)}
	}
	if k.right != none {
		it.right = ref{l.links[k.right].group, uint32(n.right.Clock)}
	}
	ch := &d.chains[k.chain]
	br := &d.branches[ch.branch]
	switch it.kind {
	case kindDeleted:
		it.flags |= isDeleted
	case kindFormat:
		br.formatted = true
	}
	if it.inText() {
		d.storeText(l.u, n, it)
	}
	if ch.isList() {
		br.length += it.shown()
	} else {
		it.flags |= isValue
		if k.next != none {
			l.replaced = append(l.replaced, i)
		}
	}
	if len(entries) > first {
		left := &d.items[entries[len(entries)-1].item]
		l.alike = l.alike || left.next == i && left.kind == it.kind
	}
	if !it.deleted() {
		l.checkDeleted(it)
	}
	return append(entries, entry{it.clock, i})
}

// checkDeleted notes whether the Update deletes it, which is not deleted.
func (l *loading) checkDeleted(it *item) {
	for len(l.deletes) > 0 && l.deletes[0].to <= uint64(it.clock) {
		l.deletes = l.deletes[1:]
	}
	if len(l.deletes) > 0 && l.deletes[0].from < uint64(it.end()) {
		l.live = true
	}
}
