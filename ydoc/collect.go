package ydoc

// collect drops the content of what t deleted, and what is left of types that it
// deleted becomes GC structs.
func (d *Doc) collect(t *Transaction) {
	for _, r := range t.deletes.ranges {
		run := &d.clients[d.clientAt(r.client)].run
		p, ok := run.find(uint32(r.from)), true
		for ; ok; p, ok = run.after(p) {
			i := run.item(p)
			it := &d.items[i]
			if uint64(it.clock) >= r.to {
				break
			}
			if it.deleted() && !it.isGC() {
				d.collectItem(i)
			}
		}
	}
}

// collectItem drops the content of item i, which is deleted.
func (d *Doc) collectItem(i uint32) {
	it := &d.items[i]
	if it.kind == kindType {
		d.collectBranch(it.off)
	}
	d.dropContent(it)
	it.kind = kindDeleted
	it.off, it.size = 0, 0
}

// collectBranch turns everything in branch b into GC structs.
func (d *Doc) collectBranch(b uint32) {
	work := []uint32{b}
	for len(work) > 0 {
		b := work[len(work)-1]
		work = work[:len(work)-1]
		d.fell(b)
		br := &d.branches[b]
		br.dead = true
		if br.list != none {
			work = d.collectChain(br.list, work)
		}
		for k := br.firstKey; k != none; k = d.chains[k].next {
			work = d.collectChain(k, work)
		}
	}
}

// collectChain adds the branches in chain c to work.
func (d *Doc) collectChain(c uint32, work []uint32) []uint32 {
	i := d.chains[c].head
	for i != none {
		it := &d.items[i]
		if it.kind == kindType {
			work = append(work, it.off)
		}
		d.dropContent(it)
		i = it.next
		*it = item{
			clock: it.clock, length: it.length, client: it.client, origin: noRef, right: noRef,
			prev: none, next: none, chain: none, kind: kindGC, flags: isDeleted,
		}
	}
	d.chains[c].head, d.chains[c].last = none, none
	return work
}

// joinDeleted joins what is deleted with its neighbours.
func (d *Doc) joinDeleted(t *Transaction) {
	ranges := t.deletes.ranges
	for k := len(ranges) - 1; k >= 0; k-- {
		r := &ranges[k]
		c := &d.clients[d.clientAt(r.client)]
		if c.touched == t.number && r.from >= uint64(c.before) {
			continue // joinTouched comes to it
		}
		run := &c.run
		p := run.find(uint32(r.to - 1))
		if next, ok := run.after(p); ok {
			p = next
		}
		for uint64(run.clock(p)) >= r.from {
			p, _ = d.joinLefts(run, p)
			before, ok := run.before(p)
			if !ok {
				break
			}
			p = before
		}
	}
}

// joinTouched joins the new structs with what is on their left.
func (d *Doc) joinTouched(t *Transaction) {
	for _, i := range t.touched {
		c := &d.clients[i]
		run := &c.run
		p := run.last()
		right := &d.items[run.item(p)]
		for right.end() > c.before {
			before, ok := run.before(p)
			if !ok {
				break
			}
			left := &d.items[run.item(before)]
			if left.kind == right.kind && (left.next == run.item(p) || left.isGC()) { // few are
				p, _ = d.joinLefts(run, p)
				if before, ok = run.before(p); !ok {
					break
				}
				left = &d.items[run.item(before)]
			}
			p, right = before, left
		}
	}
}

// joinSplits joins what was split again, if it can be.
func (d *Doc) joinSplits(t *Transaction) {
	for k := len(t.splits) - 1; k >= 0; k-- {
		s := t.splits[k]
		run := &d.clients[s.client].run
		p := run.find(s.clock)
		if next, ok := run.after(p); ok {
			if _, joined := d.joinLefts(run, next); joined > 1 {
				continue
			}
			p = run.find(s.clock)
		}
		d.joinLefts(run, p)
	}
}

// joinLefts joins the item at p with those on its left, as long as they are one run,
// and returns where it is then and how many it took in.
func (d *Doc) joinLefts(run *run, p position) (position, int) {
	joined := 0
	for {
		left, ok := run.before(p)
		if !ok || !d.join(run.item(left), run.item(p)) {
			return p, joined
		}
		i := run.item(p)
		run.remove(p)
		d.releaseItem(i)
		p = left
		joined++
	}
}

// join makes one item of two that stand next to each other in a run, and reports false
// if they are not alike. The right one is then to be released.
func (d *Doc) join(i, j uint32) bool {
	left, right := &d.items[i], &d.items[j]
	if left.kind != right.kind {
		return false
	}
	if left.isGC() {
		left.length += right.length
		return true
	}
	if left.next != j || left.right != right.right || right.origin != left.last() || (left.flags^right.flags)&isDeleted != 0 {
		return false
	}
	switch left.kind {
	case kindDeleted:
	case kindString, kindAny, kindJSON:
		d.joinContent(left, right)
	default:
		return false
	}
	t := d.treeOf(left.chain)
	if t != nil {
		t.remove(j)
	}
	left.length += right.length
	left.next = right.next
	if left.next != none {
		d.items[left.next].prev = i
	} else {
		d.chains[left.chain].last = i
	}
	if t != nil {
		t.resize(i, left.shown())
	}
	return true
}
