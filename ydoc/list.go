package ydoc

import "fmt"

// plantAfter is how many items a search by index passes before it plants a tree.
const plantAfter = 48

// checkRange panics if elements [index, index+n) are not all in a list of that length.
func checkRange(index, n, length int) {
	if index < 0 || n < 0 || index > length || n > length-index {
		panic(fmt.Sprintf("ydoc: range [%d:%d] of a type of length %d", index, index+n, length))
	}
}

// holding returns the item that holds visible element index of b's list, which must
// exist, and where in it.
func (d *Doc) holding(b, index uint32) (i, offset uint32) {
	if at := d.branches[b].tree; at != none {
		return d.forest.trees[at].find(index)
	}
	steps := 0
	for i = d.head(b); ; i = d.items[i].next {
		shown := d.items[i].shown()
		if index < shown {
			return i, index
		}
		index -= shown
		if steps++; steps > plantAfter {
			return d.plant(b).find(d.before(i) + shown + index)
		}
	}
}

// before returns the number of visible elements in front of item i of a list.
func (d *Doc) before(i uint32) uint32 {
	if t := d.treeOf(d.items[i].chain); t != nil {
		return t.index(i)
	}
	sum := uint32(0)
	for i = d.items[i].prev; i != none; i = d.items[i].prev {
		sum += d.items[i].shown()
	}
	return sum
}

// gap returns the items around visible index of b's list: left is the one that holds
// the element before it and ends there, none at the start.
func (d *Doc) gap(b, index uint32) (left, right uint32) {
	if index == 0 {
		return none, d.head(b)
	}
	i, offset := d.holding(b, index-1)
	if offset+1 < d.items[i].length {
		return i, d.split(i, offset+1)
	}
	return i, d.items[i].next
}

// own returns the index of the client that edits here, about to write.
func (d *Doc) own() uint32 {
	id := d.ClientID()
	if d.ownAt == none || d.clients[d.ownAt].id != id {
		if d.ownAt = d.clientAt(id); d.ownAt == none {
			d.ownAt = d.addClient(id)
		}
	}
	d.tx.touch(d.ownAt)
	return d.ownAt
}

// insert makes an item between left and right, which are neighbours in a chain.
func (d *Doc) insert(chain, left, right uint32, kind, flags uint8, content []byte, length uint32) uint32 {
	if length >= none-d.nextClock() {
		panic("ydoc: a client's clocks are used up")
	}
	ci := d.own()
	c := &d.clients[ci]
	it := item{
		clock: c.next, length: length, client: ci, origin: noRef, right: noRef, chain: chain,
		prev: none, next: none, kind: kind, flags: flags,
	}
	if left != none {
		it.origin = d.items[left].last()
	}
	if right != none {
		it.right = d.items[right].id()
	}
	if kind == kindString && d.typeInto(left, &it, content) {
		return left
	}
	it.off, it.size = uint32(len(d.text)), uint32(len(content))
	d.text = append(d.text, content...)
	i := d.newItem(&it)
	d.integrate(i, left, right)
	return i
}

func (d *Doc) nextClock() uint32 {
	if i := d.clientAt(d.ClientID()); i != none {
		return d.clients[i].next
	}
	return 0
}

// typeInto puts text into item left, if that is what integrating and joining it would
// come to.
func (d *Doc) typeInto(left uint32, it *item, text []byte) bool {
	if left == none || d.tx.changes != nil {
		return false
	}
	l := &d.items[left]
	if l.kind != kindString || l.client != it.client || l.end() != it.clock || l.flags&(flagWTF|isDeleted|isValue) != 0 || l.right != it.right {
		return false
	}
	d.extend(l, text)
	d.lengthen(left, it.length)
	return true
}

// insertType makes an item that holds a new type.
func (d *Doc) insertType(chain, left, right uint32, ref TypeRef, name string) Type {
	if ref > maxTypeRef {
		panic("ydoc: type ref")
	}
	b := d.newBranch(none, ref, 0)
	if ref == TypeXMLElement || ref == TypeXMLHook {
		br := &d.branches[b]
		name := wellFormed([]byte(name))
		br.off, br.size = d.intern(name), uint32(len(name))
	}
	ci := d.own()
	it := item{
		clock: d.clients[ci].next, length: 1, client: ci, origin: noRef, right: noRef, chain: chain,
		prev: none, next: none, kind: kindType, off: b,
	}
	if left != none {
		it.origin = d.items[left].last()
	}
	if right != none {
		it.right = d.items[right].id()
	}
	d.integrate(d.newItem(&it), left, right)
	return Type{d, b}
}

// deleteList deletes n visible elements of b's list from index on.
func (d *Doc) deleteList(b, index, n uint32) {
	if n == 0 {
		return
	}
	i, offset := d.holding(b, index)
	if offset > 0 {
		i = d.split(i, offset)
	}
	for n > 0 {
		it := &d.items[i]
		if it.visible() {
			if it.length > n {
				d.split(i, n)
			}
			n -= d.items[i].length
			d.remove(i)
		}
		i = d.items[i].next
	}
}
