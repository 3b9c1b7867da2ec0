package ydoc

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// writer encodes structs of a document.
type writer struct {
	d       *Doc
	e       encoder
	u       Update // of which the encoder sees one node at a time
	parts   []part
	parents [1]parent
	ranges  []deletion // memory for those that call
}

// part is what a client has of clocks [from, to); an item starts at to.
type part struct{ client, from, to uint32 }

// Sources of the nodes that a writer makes.
const (
	srcType = iota // the content of a Type
	srcText
	srcKeys
)

var writers = sync.Pool{New: func() any { return new(writer) }}

func newWriter(d *Doc, f Format) *writer {
	w := writers.Get().(*writer)
	w.d = d
	w.u.srcs, w.u.parents = append(w.u.srcs[:0], nil, d.text, d.keys), w.parents[:]
	w.e.u, w.e.encoding = &w.u, encoding{format: f, keepSub: true}
	w.parts = w.parts[:0]
	return w
}

func (w *writer) free() {
	if w.e.v2.size()+cap(w.e.buf)+24*cap(w.ranges) > maxPooled>>4 {
		return
	}
	w.d, w.e.dst = nil, nil
	clear(w.u.srcs)
	writers.Put(w)
}

// want adds what a client has from a clock on.
func (w *writer) want(client, from uint32) {
	w.parts = append(w.parts, part{client, from, w.d.clients[client].next})
}

// write writes the parts, in the order they were wanted, and ds.
func (w *writer) write(ds DeleteSet) []byte {
	e := &w.e
	if e.format == V2 {
		e.v2.reset()
		e.dst = e.v2.rest[:0]
	} else {
		e.dst = e.buf[:0]
	}
	e.dst = lib0.AppendVarUint(e.dst, uint64(len(w.parts)))
	for _, p := range w.parts {
		w.part(p)
	}
	e.dst = ds.append(e.dst, e.format)
	if e.format == V2 {
		e.v2.rest = e.dst
		return e.v2.appendTo(nil)
	}
	e.buf = e.dst
	return slices.Clone(e.dst)
}

func (w *writer) part(p part) {
	e, d := &w.e, w.d
	c := &d.clients[p.client]
	at, last := c.run.find(p.from), c.run.last()
	if p.to < c.next {
		last = c.run.find(p.to - 1)
	}
	structs := last.at + 1 - at.at
	for i := at.page; i < last.page; i++ {
		structs += len(c.run.pages[i].entries)
	}
	e.dst = lib0.AppendVarUint(e.dst, uint64(structs))
	if e.format == V2 {
		e.v2.client.Write(uint64(c.id))
	} else {
		e.dst = lib0.AppendVarUint(e.dst, uint64(c.id))
	}
	e.dst = lib0.AppendVarUint(e.dst, uint64(p.from))
	for i := at.page; i <= last.page; i++ {
		entries := c.run.pages[i].entries
		if i == last.page {
			entries = entries[:last.at+1]
		}
		w.items(c.id, p.from, entries[at.at:])
		at.at = 0
	}
}

// items writes items of a client; the first may begin before clock from.
func (w *writer) items(client ClientID, from uint32, entries []entry) {
	e, d := &w.e, w.d
	dst, v1 := e.dst, e.format == V1
	for _, entry := range entries {
		it := &d.items[entry.item]
		if v1 && it.clock >= from && usual>>it.kind&1 != 0 && it.flags&(flagAny|flagWTF) == 0 && it.origin.client != none {
			if cap(dst)-len(dst) < maxItemHead+int(it.size) {
				dst = slices.Grow(dst, maxItemHead+int(it.size))
			}
			dst = dst[:d.putItem(dst[:cap(dst)], len(dst), it)]
			continue
		}
		if v1 && it.clock >= from && it.flags&flagAny == 0 {
			dst = d.appendItem(dst, it)
			continue
		}
		var n node
		w.node(&n, it)
		if it.clock < from {
			w.cut(&n, client, uint64(from-it.clock))
		}
		e.dst = dst
		e.structure(&n, nil)
		dst = e.dst
	}
	e.dst = dst
}

// cut is set.cut with a short way to the end of long text.
func (w *writer) cut(n *node, client ClientID, by uint64) {
	if n.kind() != kindString || n.flags&flagWTF != 0 {
		w.u.cut(n, client, by)
		return
	}
	off, pair := cutUnits(w.u.bytes(n.text), uint32(n.length), uint32(by))
	n.clock += by
	n.length -= by
	n.origin, n.info = ID{client, Clock(n.clock - 1)}, n.info|hasOrigin
	if pair {
		off += 4
		n.flags |= flagCut
	}
	n.text.off += off
	n.text.size -= off
}

// maxItemHead is more than the bytes of an item's info byte, two ids and a length, and
// those that putItem writes for nothing.
const maxItemHead = 96

// appendItem appends, as V1, a whole item that holds no any where V1 has JSON text.
func (d *Doc) appendItem(dst []byte, it *item) []byte {
	info := it.kind
	if it.origin.client != none {
		info |= hasOrigin
	}
	if it.right.client != none {
		info |= hasRight
	}
	if it.flags&isValue != 0 {
		info |= hasSub
	}
	if cap(dst)-len(dst) < maxItemHead {
		dst = slices.Grow(dst, maxItemHead)
	}
	b, n := dst[len(dst):cap(dst)], 1
	b[0] = info
	if info&hasOrigin != 0 {
		n = putUint(b, n, uint64(d.clients[it.origin.client].id))
		n = putUint(b, n, uint64(it.origin.clock))
	}
	if info&hasRight != 0 {
		n = putUint(b, n, uint64(d.clients[it.right.client].id))
		n = putUint(b, n, uint64(it.right.clock))
	}
	if info&(hasOrigin|hasRight) == 0 && !it.isGC() {
		dst = d.appendParent(dst[:len(dst)+n], it)
		dst = slices.Grow(dst, maxItemHead)
		b, n = dst[len(dst):cap(dst)], 0
	}
	switch it.kind {
	case kindGC, kindDeleted:
		return dst[:len(dst)+putUint(b, n, uint64(it.length))]
	case kindString:
		n = putUint(b, n, uint64(it.size))
		if it.flags&flagWTF != 0 { // as many bytes
			return lib0.AppendWellFormed(dst[:len(dst)+n], d.content(it))
		}
		if it.size == 1 {
			b[n] = d.text[it.off]
			return dst[:len(dst)+n+1]
		}
	case kindJSON, kindAny:
		n = putUint(b, n, uint64(it.length))
	case kindBinary, kindEmbed:
		n = putUint(b, n, uint64(it.size))
	case kindType:
		return d.appendType(dst[:len(dst)+n], it.off)
	}
	return append(dst[:len(dst)+n], d.content(it)...)
}

// usual are the kinds that putItem writes.
const usual = 1<<kindString | 1<<kindDeleted

// putItem is appendItem for most items: text and what is deleted, with an origin. It
// writes at b[n:], which has room for maxItemHead bytes more than the content, and returns
// the place behind.
func (d *Doc) putItem(b []byte, n int, it *item) int {
	info := it.kind | hasOrigin | it.flags&isValue>>1 // hasSub
	at := n
	n = putUint(b, n+1, uint64(d.clients[it.origin.client].id))
	n = putClock(b, n, it.origin.clock)
	if it.right.client != none {
		info |= hasRight
		n = putUint(b, n, uint64(d.clients[it.right.client].id))
		n = putClock(b, n, it.right.clock)
	}
	b[at] = info
	length, elements := it.size, it.length // both read, so that it becomes a conditional move
	if it.kind == kindDeleted {            // and has no content
		length = elements
	}
	n = putClock(b, n, length)
	if size := int(it.size); size <= shortText && int(it.off)+shortText <= len(d.text) { // without a call
		*(*[shortText]byte)(b[n:]) = *(*[shortText]byte)(d.text[it.off:])
		return n + size
	}
	return n + copy(b[n:], d.content(it))
}

// shortText is what putItem copies at once, whatever the text's length.
const shortText = 16

// putUint writes v at b[n:], which must be long enough, and returns the place behind.
func putUint(b []byte, n int, v uint64) int {
	for v >= 0x80 {
		b[n] = byte(v) | 0x80
		v >>= 7
		n++
	}
	b[n] = byte(v)
	return n + 1
}

// putClock is putUint for numbers of which many have two or three bytes. It may write a
// byte more than it says.
func putClock(b []byte, n int, v uint32) int {
	switch {
	case v < 1<<7:
		b[n] = byte(v)
		return n + 1
	case v < 1<<14:
		binary.LittleEndian.PutUint16(b[n:], uint16(v&0x7f|0x80|v<<1&0x7f00))
		return n + 2
	case v < 1<<21:
		binary.LittleEndian.PutUint32(b[n:], v&0x7f|0x80|v<<1&0x7f00|0x8000|v<<2&0x7f0000)
		return n + 3
	}
	return putUint(b, n, uint64(v))
}

func (d *Doc) appendRef(dst []byte, r ref) []byte {
	dst = lib0.AppendVarUint(dst, uint64(d.clients[r.client].id))
	return lib0.AppendVarUint(dst, uint64(r.clock))
}

// appendParent appends where an item without neighbours is.
func (d *Doc) appendParent(dst []byte, it *item) []byte {
	b := d.chains[it.chain].branch
	if holder := d.branches[b].item; holder == none {
		dst = lib0.AppendVarBytes(append(dst, 1), d.branchName(b))
	} else {
		dst = d.appendRef(append(dst, 0), d.items[holder].id())
	}
	if it.flags&isValue != 0 {
		dst = lib0.AppendVarBytes(dst, d.chainKey(it.chain))
	}
	return dst
}

// appendType appends the content of an item that holds branch b.
func (d *Doc) appendType(dst []byte, b uint32) []byte {
	ref := d.branches[b].ref
	dst = append(dst, byte(ref))
	if ref == typeXMLElement || ref == typeXMLHook {
		dst = lib0.AppendVarBytes(dst, d.branchName(b))
	}
	return dst
}

// node makes n of it.
func (w *writer) node(n *node, it *item) {
	d := w.d
	*n = node{clock: uint64(it.clock), length: uint64(it.length), info: it.kind, flags: it.flags & (flagAny | flagWTF)}
	if it.isGC() {
		return
	}
	ch := &d.chains[it.chain]
	if it.origin.client != none {
		n.info |= hasOrigin
		n.origin = d.idOf(it.origin)
	}
	if it.right.client != none {
		n.info |= hasRight
		n.right = d.idOf(it.right)
	}
	if n.info&(hasOrigin|hasRight) == 0 {
		b := &d.branches[ch.branch]
		p := &w.u.parents[0]
		*p = parent{isRoot: b.item == none}
		if p.isRoot {
			p.root = span{srcKeys, b.off, b.size}
		} else {
			p.id = d.idOf(d.items[b.item].id())
		}
		if !ch.isList() {
			n.info |= hasSub
			p.sub = span{srcKeys, ch.off, ch.size}
		}
	} else if !ch.isList() {
		n.flags |= flagSub
	}
	switch {
	case it.kind == kindType:
		b := d.appendType(w.u.srcs[srcType][:0], it.off)
		w.u.srcs[srcType] = b
		n.text = span{srcType, 0, uint32(len(b))}
	case it.inText():
		n.text = span{srcText, it.off, it.size}
	}
}

func (d *Doc) idOf(r ref) ID { return ID{d.clients[r.client].id, Clock(r.clock)} }
