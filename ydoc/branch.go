package ydoc

import (
	"bytes"
	"hash/maphash"
)

// branch is a shared type.
type branch struct {
	item      uint32 // that holds it; none: a root
	off, size uint32 // the name in Doc.keys
	list      uint32 // the chain of its list; none: never had one
	firstKey  uint32 // the chains of its keys, in the order they appeared
	lastKey   uint32
	length    uint32 // visible elements of the list
	tree      uint32 // an index of Doc.trees; none: not made yet
	depth     uint32 // types around it
	ref       TypeRef
	formatted bool // a Format item was put into it
	dead      bool // collected
}

// chain is the list of a branch, or the values that one key had, oldest first.
type chain struct {
	branch    uint32 // none: the chain names a root, and head is its branch
	head      uint32
	last      uint32 // of a key: its value
	off, size uint32 // the key in Doc.keys; off is none for a list
	next      uint32 // the next key of the branch
}

func (c *chain) isList() bool { return c.off == none }

// unknownType is the ref of a root that nobody said anything about.
const unknownType TypeRef = 0xff

var keySeed = maphash.MakeSeed()

func keyHash(branch uint32, key []byte) uint32 {
	h := maphash.Bytes(keySeed, key)
	return uint32(h>>32) ^ uint32(h) ^ branch*0x9e3779b1
}

// findChain returns the chain of key in branch b, none if there is none. The root of
// a name is found in the branch none.
func (d *Doc) findChain(b uint32, key []byte) uint32 {
	if len(d.table) == 0 {
		return none
	}
	mask := uint32(len(d.table) - 1)
	for h := keyHash(b, key) & mask; ; h = (h + 1) & mask {
		i := d.table[h]
		if i == 0 {
			return none
		}
		c := &d.chains[i-1]
		if c.branch == b && bytes.Equal(d.keys[c.off:c.off+c.size], key) {
			return i - 1
		}
	}
}

// makeChain adds the chain of key to branch b.
func (d *Doc) makeChain(b uint32, key []byte) uint32 {
	i := uint32(len(d.chains))
	d.chains = append(d.chains, chain{branch: b, head: none, last: none, off: d.intern(key), size: uint32(len(key)), next: none})
	d.named++
	if d.named*4 > len(d.table)*3 {
		d.rehash()
	} else {
		d.enter(i)
	}
	return i
}

func (d *Doc) intern(key []byte) uint32 {
	off := uint32(len(d.keys))
	d.keys = append(d.keys, key...)
	return off
}

func (d *Doc) enter(i uint32) {
	c := &d.chains[i]
	mask := uint32(len(d.table) - 1)
	h := keyHash(c.branch, d.keys[c.off:c.off+c.size]) & mask
	for d.table[h] != 0 {
		h = (h + 1) & mask
	}
	d.table[h] = i + 1
}

func (d *Doc) rehash() {
	d.table = make([]uint32, max(4, 2*len(d.table)))
	for i := range d.chains {
		if !d.chains[i].isList() {
			d.enter(uint32(i))
		}
	}
}

// root returns the branch of a root, and makes it.
func (d *Doc) root(name []byte) uint32 {
	if i := d.findChain(none, name); i != none {
		return d.chains[i].head
	}
	i := d.makeChain(none, name)
	b := d.newBranch(none, unknownType, 0)
	d.branches[b].off, d.branches[b].size = d.chains[i].off, d.chains[i].size
	d.chains[i].head = b
	return b
}

func (d *Doc) newBranch(item uint32, ref TypeRef, depth uint32) uint32 {
	d.branches = append(d.branches, branch{
		item: item, list: none, firstKey: none, lastKey: none, tree: none, depth: depth, ref: ref,
	})
	d.depth = max(d.depth, depth)
	return uint32(len(d.branches) - 1)
}

func (d *Doc) branchName(b uint32) []byte {
	br := &d.branches[b]
	return d.keys[br.off : br.off+br.size]
}

// listOf returns the chain of b's list, and makes it.
func (d *Doc) listOf(b uint32) uint32 {
	if i := d.branches[b].list; i != none {
		return i
	}
	i := uint32(len(d.chains))
	d.chains = append(d.chains, chain{branch: b, head: none, last: none, off: none, next: none})
	d.branches[b].list = i
	return i
}

// keyOf returns the chain of a key of b, and makes it.
func (d *Doc) keyOf(b uint32, key []byte) uint32 {
	if i := d.findChain(b, key); i != none {
		return i
	}
	i := d.makeChain(b, key)
	br := &d.branches[b]
	if br.lastKey == none {
		br.firstKey = i
	} else {
		d.chains[br.lastKey].next = i
	}
	br.lastKey = i
	return i
}

// chainKey is the key of a chain that is no list.
func (d *Doc) chainKey(i uint32) []byte {
	c := &d.chains[i]
	return d.keys[c.off : c.off+c.size]
}

// isGone reports whether branch b, or a type around it, is deleted.
func (d *Doc) isGone(b uint32) bool {
	br := &d.branches[b]
	return br.dead || br.item != none && d.items[br.item].deleted()
}
