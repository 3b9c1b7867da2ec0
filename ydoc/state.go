package ydoc

import (
	"slices"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// Encode returns the whole state as one update, what waits for others included. The
// bytes are those of Y.encodeStateAsUpdate.
func (d *Doc) Encode(f Format) []byte { return d.EncodeDiff(f, StateVector{}) }

// EncodeDiff returns what since does not know, and all deletions.
func (d *Doc) EncodeDiff(f Format, since StateVector) []byte {
	w := newWriter(d, f)
	for _, i := range d.descending() {
		c := &d.clients[i]
		if next := since.Next(c.id); next < Clock(c.next) {
			w.want(i, uint32(next))
		}
	}
	state := w.write(d.deletes())
	if d.pending == nil {
		return state
	}
	m := Merger{Exact: true}
	m.Add(state, f) // ours, like what waits
	if d.pending.deletes.Len() > 0 {
		u := Update{}
		u.deletes = d.pending.deletes
		m.Add(u.Append(nil, V2), V2)
	}
	if len(d.pending.sizes) > 0 {
		m.Add(d.pending.update().encodeSince(since), V2)
	}
	return m.Append(nil, f)
}

// encodeSince encodes u in V2 without what since knows.
func (u *Update) encodeSince(since StateVector) []byte {
	e := newEncoder(u, encoding{format: V2, since: &since})
	defer e.free()
	return e.encode(nil)
}

// deletes returns all that is deleted.
func (d *Doc) deletes() DeleteSet {
	ds := DeleteSet{sorted: true}
	for _, i := range d.descending() {
		c := &d.clients[i]
		open := false
		for _, pg := range c.run.pages {
			for _, j := range pg.items {
				it := &d.items[j]
				switch {
				case !it.deleted():
					open = false
				case open:
					ds.ranges[len(ds.ranges)-1].to = uint64(it.end())
				default:
					ds.ranges = append(ds.ranges, deletion{c.id, uint64(it.clock), uint64(it.end())})
					open = true
				}
			}
		}
	}
	return ds
}

// Update returns what the transaction did as one update, and nil if it did nothing.
func (t *Transaction) Update(f Format) []byte {
	if t.Empty() {
		return nil
	}
	d := t.doc
	w := newWriter(d, f)
	if len(t.touched) > 1 {
		slices.SortFunc(t.touched, func(a, b uint32) int {
			return compareDescending(d.clients[a].id, d.clients[b].id)
		})
	}
	for _, i := range t.touched {
		w.want(i, d.clients[i].before)
	}
	return w.write(t.deletes)
}

// writer encodes structs of a document.
type writer struct {
	d     *Doc
	e     *encoder
	parts []part
	u     Update
	room  struct {
		srcs    [4][]byte
		parents [1]parent
		parts   [2]part
	}
}

// part is what a client has of clocks [from, to); an item starts at to.
type part struct{ client, from, to uint32 }

// Sources of the nodes that a writer makes.
const (
	srcType = iota // the content of a Type
	srcText
	srcKeys
)

func newWriter(d *Doc, f Format) *writer {
	w := &writer{d: d}
	w.room.srcs = [4][]byte{nil, d.text, d.keys}
	w.u.srcs, w.u.parents = w.room.srcs[:], w.room.parents[:]
	w.parts = w.room.parts[:0]
	w.e = newEncoder(&w.u, encoding{format: f, keepSub: true})
	return w
}

// want adds what a client has from a clock on.
func (w *writer) want(client, from uint32) {
	w.parts = append(w.parts, part{client, from, w.d.clients[client].next})
}

// write writes the parts, in the order they were wanted, and ds.
func (w *writer) write(ds DeleteSet) []byte {
	e := w.e
	defer e.free()
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
	e, d := w.e, w.d
	c := &d.clients[p.client]
	at, last := c.run.find(d.items, p.from), c.run.last()
	if p.to < c.next {
		last = c.run.find(d.items, p.to-1)
	}
	structs := last.at + 1 - at.at
	for _, pg := range c.run.pages[at.page:last.page] {
		structs += len(pg.items)
	}
	e.dst = lib0.AppendVarUint(e.dst, uint64(structs))
	if e.format == V2 {
		e.v2.client.Write(uint64(c.id))
	} else {
		e.dst = lib0.AppendVarUint(e.dst, uint64(c.id))
	}
	e.dst = lib0.AppendVarUint(e.dst, uint64(p.from))
	var n node
	for page := at.page; page <= last.page; page++ {
		items := c.run.pages[page].items
		if page == last.page {
			items = items[:last.at+1]
		}
		for _, i := range items[at.at:] {
			it := &d.items[i]
			w.node(&n, it)
			if it.clock < p.from {
				w.u.cut(&n, c.id, uint64(p.from-it.clock))
			}
			e.structure(&n, nil)
		}
		at.at = 0
	}
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
		br := &d.branches[ch.branch]
		p := &w.u.parents[0]
		*p = parent{isRoot: br.item == none}
		if p.isRoot {
			p.root = span{srcKeys, br.off, br.size}
		} else {
			p.id = d.idOf(d.items[br.item].id())
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
		br := &d.branches[it.off]
		b := append(w.u.srcs[srcType][:0], byte(br.ref))
		if br.ref == typeXMLElement || br.ref == typeXMLHook {
			b = lib0.AppendVarBytes(b, d.branchName(it.off))
		}
		w.u.srcs[srcType] = b
		n.text = span{srcType, 0, uint32(len(b))}
	case it.inText():
		n.text = span{srcText, it.off, it.size}
	}
}

func (d *Doc) idOf(r ref) ID { return ID{d.clients[r.client].id, Clock(r.clock)} }
