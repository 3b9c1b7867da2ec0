package ydoc

// at returns the item that holds an element, which must be there.
func (d *Doc) at(id ref) uint32 {
	run := &d.clients[id.client].run
	return run.item(run.find(id.clock))
}

// endingAt returns the item that ends with an element, splitting it off if need be.
// GC structs are not split.
func (d *Doc) endingAt(id ref) uint32 {
	i := d.at(id)
	it := &d.items[i]
	if it.end()-1 != id.clock && !it.isGC() {
		d.split(i, id.clock-it.clock+1)
	}
	return i
}

// startingAt returns the item that starts with an element, splitting it off if need be.
func (d *Doc) startingAt(id ref) uint32 {
	i := d.at(id)
	it := &d.items[i]
	if it.clock != id.clock && !it.isGC() {
		return d.split(i, id.clock-it.clock)
	}
	return i
}

// append puts item i behind all that its client made.
func (d *Doc) append(i uint32) {
	it := &d.items[i]
	c := &d.clients[it.client]
	c.run.add(it.clock, i)
	c.next += it.length
}

func (d *Doc) addGC(client, clock, length uint32) {
	c := &d.clients[client]
	if !c.run.empty() {
		if last := &d.items[c.run.item(c.run.last())]; last.isGC() {
			last.length += length
			c.next += length
			return
		}
	}
	d.append(d.newItem(&item{
		clock: clock, length: length, client: client, origin: noRef, right: noRef,
		prev: none, next: none, chain: none, kind: kindGC, flags: isDeleted,
	}))
}

// integrate puts item i, whose content is stored, into its chain between left and
// right, or beside what others put there meanwhile (section 5.4).
func (d *Doc) integrate(i, left, right uint32) {
	it := &d.items[i]
	ch := &d.chains[it.chain]
	if left != none {
		if d.items[left].next != right {
			left = d.amongRivals(it, left, d.items[left].next, right)
		}
	} else if right == none || d.items[right].prev != none {
		left = d.amongRivals(it, left, ch.head, right)
	}
	it.prev = left
	if !ch.isList() {
		it.flags |= isValue
	}
	if left != none {
		it.next = d.items[left].next
	} else {
		it.next = ch.head
	}
	if it.kind == kindDeleted {
		it.flags |= isDeleted
	}
	d.append(i)
	if left != none {
		d.items[left].next = i
	} else {
		ch.head = i
	}
	if it.next != none {
		d.items[it.next].prev = i
	} else {
		ch.last = i
	}
	if ch.isList() {
		d.branches[ch.branch].length += it.shown()
		d.grown(it.chain, left, i, it.shown())
	} else if it.next == none && left != none {
		d.remove(left)
	}
	d.arrive(i)
}

// amongRivals returns what is to be on the left of it, which may be anywhere between
// left and right, where the items from o on are. An item there that was put behind one
// that is passed over goes where that one goes.
func (d *Doc) amongRivals(it *item, left, o, right uint32) uint32 {
	m := &d.tx.marks
	m.begin(len(d.items))
	id := d.clients[it.client].id
	for o != none && o != right {
		r := &d.items[o]
		m.add(o)
		if r.origin == it.origin {
			if d.clients[r.client].id < id {
				left = o
				m.forget()
			} else if r.right == it.right {
				break
			}
		} else if r.origin.client == none {
			break
		} else if at := d.nearby(r.prev, r.origin); !m.seen(at) {
			break
		} else if !m.recent(at) {
			left = o
			m.forget()
		}
		o = r.next
	}
	return left
}

// nearby is at, but looks at item i first.
func (d *Doc) nearby(i uint32, id ref) uint32 {
	if i != none {
		if it := &d.items[i]; it.client == id.client && it.clock <= id.clock && id.clock < it.end() {
			return i
		}
	}
	return d.at(id)
}

// arrive does what the content of item i, which has just been integrated, asks for.
func (d *Doc) arrive(i uint32) {
	it := &d.items[i]
	t := d.tx
	ch := &d.chains[it.chain]
	parent := &d.branches[ch.branch]
	switch it.kind {
	case kindDeleted:
		t.deletes.add(d.clients[it.client].id, uint64(it.clock), uint64(it.end()))
	case kindFormat:
		parent.formatted = true
	case kindType:
		d.branches[it.off].item = i
		d.branches[it.off].depth = parent.depth + 1
		d.depth = max(d.depth, parent.depth+1)
	case kindDoc:
		t.added = append(t.added, subdocChange{it.id(), d.subdoc(it)})
	}
	if t.changes != nil {
		t.note(it.chain)
	}
	if d.isGone(ch.branch) || !ch.isList() && it.next != none {
		d.remove(i)
	}
}

// remove deletes item i, and if it holds a type all that is in it.
func (d *Doc) remove(i uint32) {
	t := d.tx
	from := len(t.work)
	t.work = append(t.work, i)
	for len(t.work) > from {
		i := t.work[len(t.work)-1]
		t.work = t.work[:len(t.work)-1]
		it := &d.items[i]
		if it.deleted() {
			continue
		}
		ch := &d.chains[it.chain]
		if ch.isList() && it.countable() {
			d.branches[ch.branch].length -= it.length
		}
		it.flags |= isDeleted
		if tr := d.treeOf(it.chain); tr != nil {
			tr.resize(i, 0)
		}
		t.deletes.add(d.clients[it.client].id, uint64(it.clock), uint64(it.end()))
		if t.changes != nil {
			t.note(it.chain)
		}
		switch it.kind {
		case kindType:
			d.removeAllOf(it.off)
			if t.changes != nil {
				t.forgetChange(it.off)
			}
		case kindDoc:
			t.removeSubdoc(it.id(), d.subdoc(it))
		}
	}
}

// removeAllOf puts what is in branch b on the list of work.
func (d *Doc) removeAllOf(b uint32) {
	t := d.tx
	br := &d.branches[b]
	visit := func(i uint32) {
		it := &d.items[i]
		if !it.deleted() {
			t.work = append(t.work, i)
		} else if it.clock < t.before(it.client) {
			t.splits = append(t.splits, it.id())
		}
	}
	for i := d.head(b); i != none; i = d.items[i].next {
		visit(i)
	}
	for k := br.firstKey; k != none; k = d.chains[k].next {
		if last := d.chains[k].last; last != none {
			visit(last)
		}
	}
}

// head returns the first item of b's list.
func (d *Doc) head(b uint32) uint32 {
	if c := d.branches[b].list; c != none {
		return d.chains[c].head
	}
	return none
}

// marks remember which items a search has passed.
type marks struct {
	at          []uint32 // item → when it was passed
	now         uint32
	start, last uint32 // when the search began, and when it last forgot
}

func (m *marks) begin(items int) {
	if len(m.at) < items {
		m.at = append(m.at, make([]uint32, items-len(m.at))...)
	}
	if m.now > 1<<31 {
		clear(m.at)
		m.now = 0
	}
	m.now++
	m.start, m.last = m.now, m.now
}

func (m *marks) add(i uint32) { m.at[i] = m.now }

// forget makes recent false for all that was passed.
func (m *marks) forget() {
	m.now++
	m.last = m.now
}

func (m *marks) seen(i uint32) bool { return m.at[i] >= m.start }

func (m *marks) recent(i uint32) bool { return m.at[i] >= m.last }
