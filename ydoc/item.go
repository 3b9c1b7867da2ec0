package ydoc

import (
	"math/bits"
	"slices"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// item is one struct of a document. Items lie in one slice and name each other by
// their index, so that there is nothing in them for the garbage collector to follow.
type item struct {
	// What integrating a neighbour looks at, side by side.
	clock, length uint32
	client        uint32 // an index of Doc.clients
	prev, next    uint32 // its neighbours now; of a free item next is the next free one
	chain         uint32 // an index of Doc.chains; none: a GC struct
	kind, flags   uint8

	origin, right ref    // its neighbours when it was made
	off, size     uint32 // content in Doc.text; of a Type off is an index of Doc.branches
}

// ref is the id of an element, with the client as its index.
type ref struct{ client, clock uint32 }

var noRef = ref{none, 0}

// Flags of an item, beside flagAny and flagWTF.
const (
	isDeleted = 0x10
	isRoomy   = 0x20 // behind the content is room for more: see capacity
	isValue   = 0x40 // in the chain of a key, not in a list
)

// kindFree is that of an item that is not in use.
const kindFree = 0xff

func (it *item) end() uint32 { return it.clock + it.length }

func (it *item) last() ref { return ref{it.client, it.end() - 1} }

func (it *item) id() ref { return ref{it.client, it.clock} }

func (it *item) isGC() bool { return it.kind == kindGC }

func (it *item) deleted() bool { return it.flags&isDeleted != 0 }

// countable reports whether elements of the kind count in lengths and indexes.
func (it *item) countable() bool { return it.kind > kindDeleted && it.kind != kindFormat }

func (it *item) visible() bool { return it.flags&isDeleted == 0 && it.countable() }

// shown is the number of elements that count.
func (it *item) shown() uint32 {
	if it.visible() {
		return it.length
	}
	return 0
}

// inText reports whether content is in Doc.text.
func (it *item) inText() bool { return it.kind >= kindJSON && it.kind != kindType }

// capacity is the bytes of Doc.text that are the item's.
func (it *item) capacity() uint32 {
	if it.flags&isRoomy == 0 {
		return it.size
	}
	return roomFor(it.size)
}

// roomFor is the next power of two, so that an item that grows moves rarely.
func roomFor(size uint32) uint32 { return 1 << bits.Len32(max(size, 16)-1) }

func (d *Doc) content(it *item) []byte { return d.text[it.off : it.off+it.size] }

// newItem puts it into a free place.
func (d *Doc) newItem(it *item) uint32 {
	i := d.newSlot()
	d.items[i] = *it
	return i
}

// newSlot returns a free place for an item, in which is anything.
func (d *Doc) newSlot() uint32 {
	if i := d.freeItem; i != none {
		d.freeItem = d.items[i].next
		return i
	}
	n := len(d.items)
	if n == cap(d.items) {
		more := max(16, n)
		if n > 1<<15 {
			more /= 4
		}
		d.items = slices.Grow(d.items, more)
	}
	d.items = d.items[:n+1]
	return uint32(n)
}

func (d *Doc) releaseItem(i uint32) {
	d.items[i] = item{kind: kindFree, next: d.freeItem, chain: none}
	d.freeItem = i
}

// dropContent forgets the content of it.
func (d *Doc) dropContent(it *item) {
	if !it.inText() {
		return
	}
	if size := it.capacity(); it.off+size == uint32(len(d.text)) {
		d.text = d.text[:it.off]
	} else {
		d.waste += int(size)
	}
	it.off, it.size = 0, 0
	it.flags &^= flagAny | flagWTF | isRoomy
}

// extend appends more, which must not be in d.text, to the content of it.
func (d *Doc) extend(it *item, more []byte) {
	size := it.size + uint32(len(more))
	switch {
	case it.flags&isRoomy == 0 && it.off+it.size == uint32(len(d.text)):
		d.text = append(d.text, more...)
	case size <= it.capacity():
		copy(d.text[it.off+it.size:], more)
	default:
		d.waste += int(it.capacity())
		off := uint32(len(d.text))
		d.text = append(d.text, d.content(it)...)
		d.text = append(d.text, more...)
		d.text = append(d.text, make([]byte, roomFor(size)-size)...)
		it.off = off
		it.flags |= isRoomy
	}
	it.size = size
}

// joinContent appends the content of right to that of left.
func (d *Doc) joinContent(left, right *item) {
	if left.off+left.size == right.off && left.flags&isRoomy == 0 && left.flags&flagWTF == 0 {
		left.size += right.size
		left.flags |= right.flags & (isRoomy | flagWTF)
		if right.flags&isRoomy != 0 { // its room is not what capacity says of the sum
			left.flags &^= isRoomy
			d.waste += int(right.capacity() - right.size)
		}
		return
	}
	var room [64]byte
	more := append(room[:0], d.content(right)...)
	wtf := left.flags&flagWTF != 0 && right.flags&flagWTF != 0
	left.flags |= right.flags & flagWTF
	d.dropContent(right)
	if wtf {
		more = joinHalves(append(d.content(left)[:len(d.content(left)):len(d.content(left))], more...))
		d.dropContent(left)
		left.flags |= flagWTF
		left.off, left.size = uint32(len(d.text)), 0
	}
	d.extend(left, more)
}

// joinHalves makes characters of the pairs of surrogate halves in s.
func joinHalves(s []byte) []byte {
	out := make([]byte, 0, len(s))
	for len(s) > 0 {
		n := 1
		if hi := lib0.Surrogate(s); hi != 0 {
			n = 3
			if hi < 0xdc00 && lib0.Surrogate(s[3:]) >= 0xdc00 {
				out = lib0.AppendWellFormed(out, s[:6])
				s = s[6:]
				continue
			}
		}
		out = append(out, s[:n]...)
		s = s[n:]
	}
	return out
}

// split divides item i after its first n elements and returns the right part.
func (d *Doc) split(i, n uint32) uint32 {
	left := &d.items[i]
	right := *left
	right.clock += n
	right.length -= n
	right.origin = ref{left.client, right.clock - 1}
	right.prev = i
	d.splitContent(left, &right, n)
	left.length = n
	j := d.newItem(&right)
	left = &d.items[i]
	left.next = j
	if right.next != none {
		d.items[right.next].prev = j
	} else {
		d.chains[right.chain].last = j
	}
	c := &d.clients[right.client]
	c.run.insertAfter(c.run.find(left.clock), right.clock, j)
	if t := d.treeOf(right.chain); t != nil {
		t.resize(i, left.shown())
		t.insertAfter(i, j, right.shown())
	}
	d.tx.splits = append(d.tx.splits, right.id())
	return j
}

func (d *Doc) splitContent(left, right *item, n uint32) {
	if left.kind == kindDeleted {
		return
	}
	if left.flags&isRoomy != 0 {
		d.waste += int(left.capacity() - left.size)
		left.flags &^= isRoomy
		right.flags &^= isRoomy
	}
	content := d.content(left)
	cut := uint32(0)
	switch left.kind {
	case kindString:
		var pair bool
		if cut, pair = cutUnits(content, left.length, n); pair {
			copy(content[cut:], cutText)
			rest := content[cut+4:]
			left.size = cut + uint32(len(cutText))
			right.off = uint32(len(d.text))
			right.size = uint32(len(cutText) + len(rest))
			d.text = append(d.text, cutText...)
			d.text = append(d.text, rest...)
			d.waste += len(rest) + 1
			return
		}
	case kindAny, kindJSON:
		cut = skipElements(content, left.kind, n)
	}
	right.off += cut
	right.size -= cut
	left.size = cut
}

// cutUnits is lib0.CutUnits for text of known length: it counts from the nearer end, if
// at all.
func cutUnits(text []byte, length, n uint32) (off uint32, pair bool) {
	size := uint32(len(text))
	if size == length {
		return n, false
	}
	if n <= length/2 {
		off, pair := lib0.CutUnits(text, int(n))
		return uint32(off), pair
	}
	off = size
	for left := length - n; left > 0; left-- {
		off--
		for text[off]&0xc0 == 0x80 {
			off--
		}
		if text[off] >= 0xf0 { // two units
			if left == 1 {
				return off, true
			}
			left--
		}
	}
	return off, false
}

// skipElements returns how many bytes the first n elements of Any or JSON content are.
func skipElements(content []byte, kind uint8, n uint32) uint32 {
	r := lib0.NewReader(content)
	for range n {
		if kind == kindJSON {
			r.VarBytes() // read before, like all content
			continue
		}
		budget := trustedBudget
		if r.SkipAny(&budget) != nil {
			break
		}
	}
	return uint32(r.Offset())
}

// compact rewrites the content when much of the bytes is of no item any more.
func (d *Doc) compact() {
	if d.waste < 4096 || d.waste < len(d.text)/2 || d.waste < len(d.items) {
		return
	}
	live := 0
	for i := range d.items {
		if it := &d.items[i]; it.kind != kindFree && it.inText() {
			live += int(it.size)
		}
	}
	text := make([]byte, 0, live+live/8)
	for i := range d.items {
		it := &d.items[i]
		if it.kind == kindFree || !it.inText() {
			continue
		}
		content := d.content(it)
		it.off = uint32(len(text))
		it.flags &^= isRoomy
		text = append(text, content...)
	}
	d.text, d.waste = text, 0
}
