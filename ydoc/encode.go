package ydoc

import (
	"slices"
	"sync"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// encoding says how to write an Update.
type encoding struct {
	format  Format
	join    bool         // neighbours that are one run become one struct
	keyless bool         // text is joined whatever it is beside
	joinGC  bool         // like Y.mergeUpdates: GC structs of different sources
	keepSub bool         // hasSub is written as it was read
	since   *StateVector // leave out what it knows
}

// maxRun bounds the bytes of content that are joined into one struct, so that a
// merge stays within what DecodeUpdate takes.
const maxRun = 1 << 20

// encoder writes the structs of an Update in either format.
type encoder struct {
	u *Update
	encoding
	dst    []byte // V1: the result; V2: its rest
	v2     columns
	client ClientID
	cut    [1]node
	ds     int // the deletion where joins were last asked for
	places places
	buf    []byte
}

var encoders = sync.Pool{New: func() any { return new(encoder) }}

func newEncoder(u *Update, how encoding) *encoder {
	e := encoders.Get().(*encoder)
	e.u, e.encoding, e.ds = u, how, 0
	return e
}

// maxPooled bounds the memory that an encoder or a Merger in a pool keeps. The
// garbage collector empties the pools.
const maxPooled = 32 << 20

func (e *encoder) free() {
	e.u, e.dst, e.since, e.places.u = nil, nil, nil, nil
	if e.v2.size()+cap(e.buf)+4*cap(e.places.found) > maxPooled {
		e.v2, e.buf, e.places = columns{}, nil, places{}
	}
	encoders.Put(e)
}

// encode appends the update to dst.
func (e *encoder) encode(dst []byte) []byte {
	if e.format != V2 {
		e.dst = dst
		e.structs()
		return e.u.deletes.append(e.dst, V1)
	}
	e.v2.reset()
	e.dst = e.v2.rest[:0]
	e.structs()
	e.v2.rest = e.u.deletes.append(e.dst, V2)
	return e.v2.appendTo(dst)
}

// structs writes all client blocks.
func (e *encoder) structs() {
	count := e.begin(len(e.u.groups))
	clients := 0
	for _, g := range e.u.groups {
		from, next := g.from, Clock(0)
		if e.since != nil {
			next = e.since.Next(g.client)
			from = e.u.first(g, next)
		}
		if from < g.to {
			e.block(g, from, next)
			clients++
		}
	}
	e.finish(count, clients)
}

// begin leaves room for a count of at most limit, which finish then fills in.
func (e *encoder) begin(limit int) (mark int) {
	mark = len(e.dst)
	e.dst = lib0.AppendVarUint(e.dst, uint64(limit))
	return mark
}

func (e *encoder) finish(mark, count int) {
	var buf [10]byte
	head := lib0.AppendVarUint(buf[:0], uint64(count))
	room := mark
	for e.dst[room] >= 0x80 {
		room++
	}
	room++
	if len(head) < room-mark {
		e.dst = slices.Delete(e.dst, mark+len(head), room)
	}
	copy(e.dst[mark:], head)
}

// block writes the nodes of g from index from on, the first of them cut at next.
func (e *encoder) block(g group, from uint32, next Clock) {
	nodes := e.u.nodes
	e.client = g.client
	first := &nodes[from]
	if first.clock < uint64(next) {
		e.cut[0] = *first
		e.u.cut(&e.cut[0], g.client, uint64(next)-first.clock)
		first = &e.cut[0]
	}
	mark := e.begin(2 * int(g.to-from))
	if e.format == V2 {
		e.v2.client.Write(uint64(g.client))
	} else {
		e.dst = lib0.AppendVarUint(e.dst, uint64(g.client))
	}
	e.dst = lib0.AppendVarUint(e.dst, first.clock)
	structs := 0
	end := first.clock
	for i := from; i < g.to; {
		n := &nodes[i]
		if i == from {
			n = first
		}
		if n.clock > end {
			e.skip(n.clock - end)
			structs++
		}
		j := i + 1
		if e.join || e.joinGC {
			for size := uint32(0); j < g.to && size < maxRun && e.joins(g, j); j++ {
				size += nodes[j].text.size
			}
		}
		e.structure(n, nodes[i+1:j])
		structs++
		end = nodes[j-1].end()
		i = j
	}
	e.finish(mark, structs)
}

// joins reports whether node i of g can be one struct with the one before it.
func (e *encoder) joins(g group, i uint32) bool {
	a, b := &e.u.nodes[i-1], &e.u.nodes[i]
	if a.end() != b.clock {
		return false
	}
	kind := b.info & kindMask
	if kind != a.info&kindMask {
		return false
	}
	if kind == kindGC {
		return e.join || a.text.src != b.text.src
	}
	if !e.join || b.info&hasOrigin == 0 || b.origin.Client != e.client || uint64(b.origin.Clock) != b.clock-1 ||
		(a.info^b.info)&hasRight != 0 || a.info&hasRight != 0 && a.right != b.right {
		return false
	}
	switch kind {
	case kindDeleted:
		return true
	case kindString:
		// Halves of a pair typed one after the other stay apart, so that deleting one
		// of them leaves the other what it was.
		if a.flags&flagWTF != 0 && b.flags&flagWTF != 0 {
			return false
		}
		// Text is the value of a key only in attributes written in Rust.
		return e.keyless || e.place(g, i-1)&(placeInMap|placeLost) == 0
	case kindAny, kindJSON:
		return !e.deletionStartsOrEnds(b.clock) && (e.deleted(b.clock) || e.place(g, i-1)&(placeInMap|placeLost) == 0)
	}
	return false
}

// place returns where node i of g is. Values of a key, each of which replaces the
// one before, look like a run, and must not be one item: see SplitValue.
func (e *encoder) place(g group, i uint32) place {
	if e.places.u == nil {
		e.places.reset(e.u)
	}
	return e.places.of(g, i)
}

// deleted reports whether the element at clock is deleted, after
// deletionStartsOrEnds was asked about it.
func (e *encoder) deleted(clock uint64) bool {
	ranges := e.u.deletes.ranges
	return e.ds < len(ranges) && ranges[e.ds].client == e.client && ranges[e.ds].from <= clock
}

// deletionStartsOrEnds reports whether of the elements at clock-1 and clock one is
// deleted and the other not. It is asked in the order of writing.
func (e *encoder) deletionStartsOrEnds(clock uint64) bool {
	ranges := e.u.deletes.ranges
	for e.ds < len(ranges) {
		d := &ranges[e.ds]
		if d.client < e.client || d.client == e.client && d.to >= clock {
			break
		}
		e.ds++
	}
	if e.ds == len(ranges) || ranges[e.ds].client != e.client {
		return false
	}
	return ranges[e.ds].from == clock || ranges[e.ds].to == clock
}

// info is the info byte of n.
func (e *encoder) info(n *node) byte {
	if e.keepSub && n.flags&flagSub != 0 {
		return n.info | hasSub
	}
	return n.info
}

func total(n *node, more []node) uint64 {
	length := n.length
	for i := range more {
		length += more[i].length
	}
	return length
}

func (e *encoder) skip(length uint64) {
	if e.format == V2 {
		e.v2.info.Write(kindSkip)
	} else {
		e.dst = append(e.dst, kindSkip)
	}
	e.dst = lib0.AppendVarUint(e.dst, length)
}

// structure writes n joined with the nodes more, of which only the content counts.
func (e *encoder) structure(n *node, more []node) {
	if e.format == V2 {
		e.structV2(n, more)
	} else {
		e.structV1(n, more)
	}
}

// cutText is what stands in front of a string whose first character was cut.
var cutText = []byte("\ufffd")
