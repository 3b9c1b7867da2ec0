package ydoc

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// Limits bounds what DecodeUpdate accepts. Take DefaultLimits and change what you
// must: a zero is a limit of zero.
type Limits struct {
	Structs  int   // structs, Skips and joined ones counted too
	Clients  int   // client blocks, and clients of the delete set
	Depth    int   // arrays and objects inside each other in one any value or JSON text
	Elements int   // any values and JSON elements in all
	String   int   // bytes of one string or binary
	Clock    Clock // the end of a struct or of a deleted range
}

// DefaultLimits are for updates from strangers. Clocks stay below 2³¹, because
// clients written in Rust count in 32 bits.
func DefaultLimits() Limits {
	return Limits{
		Structs:  1 << 20,
		Clients:  100_000,
		Depth:    100,
		Elements: 100_000,
		String:   16 << 20,
		Clock:    math.MaxInt32,
	}
}

// trustedLimits are for bytes that were accepted before. Structs bounds what
// corrupt V2 bytes can make of little.
func trustedLimits() Limits {
	return Limits{
		Structs:  1 << 24,
		Clients:  math.MaxInt,
		Depth:    trustedDepth,
		Elements: math.MaxInt,
		String:   math.MaxInt,
		Clock:    lib0.MaxInt,
	}
}

// maxInput is what a span can address.
const maxInput = math.MaxUint32

// DecodeUpdate reads and checks an update from a stranger. What it accepts
// real Yjs 13 can apply, merge, diff and re-encode without throwing: beside the
// encoding itself it checks that nothing refers to its own client's future, that no
// struct but text is empty, that flags, content and type refs exist, that JSON is JSON,
// that values can be written in both formats and that options of subdocuments are
// harmless. Clients may be in any order and repeat, integers may be padded, deletions
// overlap, bytes follow the end, and text be empty, of which nothing or U+FFFD is kept:
// see Canonical.
//
// The error is a *DecodeError. The Update refers to b, which must not change while
// it is in use.
func DecodeUpdate(b []byte, f Format, lim Limits) (*Update, error) {
	room := spares.Get().(*decoded)
	u := &room.Update
	u.raw, u.format, u.room = b, f, room
	u.srcs, u.nodes, u.blocks, u.groups = room.srcs[:0], room.nodes[:0], room.blocks[:0], room.groups[:0]
	u.deletes.ranges = room.ranges[:0]
	d := decoder{set: &u.set, lim: lim, strict: true}
	if err := d.update(b, f); err != nil {
		return nil, err
	}
	u.order()
	if id, found := u.SplitValue(); found {
		return nil, malformed(len(b), fmt.Sprintf("split value of a key at clock %d of client %d", id.Clock, id.Client))
	}
	return u, nil
}

// decoded is an Update with room for a live edit, which is one struct.
type decoded struct {
	Update
	srcs   [2][]byte
	nodes  [1]node
	blocks [1]block
	groups [1]group
	ranges [1]deletion
}

var spares = sync.Pool{New: func() any { return new(decoded) }}

// Recycle lets a later DecodeUpdate use the memory of u. Neither u nor anything that
// shares memory with it may be used any more. It does nothing for an Update that did
// not come from DecodeUpdate.
func (u *Update) Recycle() {
	if room := u.room; room != nil {
		*room = decoded{}
		spares.Put(room)
	}
}

// decoder adds the structs and deletions of updates to a set.
type decoder struct {
	*set
	lim    Limits
	strict bool // the bytes are from a stranger: check what only matters to clients

	r       lib0.Reader // all of V1, the rest of V2
	src     uint32
	structs int
	budget  lib0.Budget
}

// update reads one update. After an error the set holds part of it.
func (d *decoder) update(b []byte, f Format) error {
	if len(b) > maxInput {
		return tooLarge(0, "bytes")
	}
	if len(d.srcs) == 0 {
		d.srcs = append(d.srcs, nil)
	}
	d.src = uint32(len(d.srcs))
	d.srcs = append(d.srcs, b)
	d.structs = 0
	d.budget = lib0.Budget{Depth: d.lim.Depth, Elements: d.lim.Elements, MaxString: d.lim.String}
	if f == V2 {
		return d.updateV2(b)
	}
	return d.updateV1(b)
}

func (d *decoder) fail(err error) error { return decodeError(d.r.Offset(), err) }

func (d *decoder) malformed(detail string) error { return malformed(d.r.Offset(), detail) }

func (d *decoder) tooLarge(detail string) error { return tooLarge(d.r.Offset(), detail) }

// view is the span of bytes read from the rest since offset.
func (d *decoder) view(offset int) span {
	return span{d.src, uint32(offset), uint32(d.r.Offset() - offset)}
}

// begin starts a number of structs of client at clock, each of which takes at least
// so many of the bytes left. Blocks of one client in a row become one.
func (d *decoder) begin(client ClientID, clock uint64, structs, bytes int) {
	if need := min(structs, d.r.Len()/bytes+1); cap(d.nodes)-len(d.nodes) < need {
		d.grow(need, bytes)
	}
	at := uint32(len(d.nodes))
	if n := len(d.blocks); n > 0 {
		last := &d.blocks[n-1]
		if last.client == client {
			if last.to > last.from && d.nodes[last.to-1].end() > clock {
				d.mixed = true
			}
			return
		}
		if last.client < client {
			d.mixed = true
		}
	}
	d.blocks = append(d.blocks, block{client, at, at})
}

// grow makes room for need nodes, and for as many more as there will be if the rest
// of this update is like what was read of it.
func (d *decoder) grow(need, bytes int) {
	if !d.strict { // one of many updates
		d.nodes = slices.Grow(d.nodes, need)
		return
	}
	likely := int(int64(len(d.nodes)) * int64(d.r.Len()) / int64(d.r.Offset()+1))
	likely = min(max(likely, len(d.nodes)), d.r.Len()/bytes)
	nodes := make([]node, len(d.nodes), len(d.nodes)+max(need, likely))
	copy(nodes, d.nodes)
	d.nodes = nodes
}

func (d *decoder) end() { d.blocks[len(d.blocks)-1].to = uint32(len(d.nodes)) }

// charge counts a struct of length at clock and returns the clock after it.
func (d *decoder) charge(clock, length uint64) (uint64, error) {
	if length == 0 {
		return 0, d.malformed("empty struct")
	}
	end := clock + length
	if end > uint64(d.lim.Clock) {
		return 0, d.tooLarge("clock")
	}
	return end, nil
}

// emptyText settles what becomes of the last node, text of client at clock that is
// empty, and returns the clock after it. Only Rust writes that, where a pair of
// surrogates was cut: the low half is lost. Behind the high half, or what became of it,
// the node stands for it, as U+FFFD. Elsewhere the text on its left has kept the whole
// pair, and there is nothing left to stand for.
func (d *decoder) emptyText(client ClientID, clock uint64) (uint64, error) {
	last := len(d.nodes) - 1
	n := &d.nodes[last]
	if n.info&hasOrigin != 0 && n.origin.Client == client && uint64(n.origin.Clock)+1 == clock {
		n.length, n.flags = 1, n.flags|flagCut
		return d.charge(clock, 1)
	}
	if n.explicitParent() {
		d.parents = d.parents[:len(d.parents)-1]
	}
	d.nodes = d.nodes[:last]
	return clock, nil
}

// addGC adds a GC struct, joining it with one that this update has just before it.
func (d *decoder) addGC(clock, length uint64) {
	gc := node{clock: clock, length: length, text: span{src: d.src}}
	b := &d.blocks[len(d.blocks)-1]
	if n := len(d.nodes); n > int(b.from) && d.nodes[n-1].continues(&gc) {
		d.nodes[n-1].length += length
		return
	}
	d.nodes = append(d.nodes, gc)
}

// checkID refuses a reference to the own client's future.
func (d *decoder) checkID(id ID, client ClientID, clock uint64) error {
	if id.Client == client && uint64(id.Clock) >= clock {
		return d.malformed("reference to the own future")
	}
	if id.Clock >= d.lim.Clock {
		return d.tooLarge("clock")
	}
	return nil
}

// checkJSON checks text that Yjs gives to JSON.parse.
func (d *decoder) checkJSON(text []byte) error {
	if !d.strict {
		return nil
	}
	if err := lib0.ValidJSON(text, d.lim.Depth); err != nil {
		return d.fail(err)
	}
	return nil
}

// checkJSONElement checks an element of JSON content.
func (d *decoder) checkJSONElement(text []byte) error {
	if len(text) == 0 {
		return d.malformed("empty JSON text") // the one that costs no bytes in V2
	}
	if bytes.Equal(text, undefinedText) {
		return nil
	}
	return d.checkJSON(text)
}

var undefinedText = []byte("undefined")

// checkOptions refuses options of a subdocument that Yjs's Doc would choke on, now or
// when the subdocument is used. Members it does not know are let be: it drops them.
// options is one any value that was read.
func (d *decoder) checkOptions(options []byte) error {
	if !d.strict {
		return nil
	}
	r := lib0.NewReader(options)
	members, err := r.Members()
	if err != nil {
		return d.malformed("options of a subdocument are no object")
	}
	for range members {
		key, err := r.VarBytes()
		if err != nil {
			return d.fail(err)
		}
		null, boolean, text := r.PeekAny()
		ok := true
		switch string(key) {
		case "gc", "autoLoad", "shouldLoad":
			ok = null || boolean
		case "collectionid":
			ok = null || text
		case "guid", "gcFilter", "__proto__":
			ok = false
		}
		if !ok {
			return d.malformed("harmful option of a subdocument")
		}
		budget := trustedBudget
		if err := r.SkipAny(&budget); err != nil {
			return d.fail(err)
		}
	}
	return nil
}

// repack rewrites content whose integers are padded, so that it can be copied.
func (d *decoder) repack(n *node) {
	r := lib0.NewReader(d.bytes(n.text))
	from := len(d.srcs[0])
	aux := d.srcs[0]
	text := func() {
		b, _ := r.VarBytes() // read before, like all here
		aux = lib0.AppendVarBytes(aux, b)
	}
	value := func() {
		budget := trustedBudget
		v, _ := r.Any(&budget)
		aux = lib0.AppendAny(aux, v)
	}
	switch n.kind() {
	case kindAny:
		for range n.length {
			value()
		}
	case kindJSON:
		for range n.length {
			text()
		}
	case kindFormat:
		text()
		if n.flags&flagAny != 0 {
			value()
		} else {
			text()
		}
	case kindEmbed:
		if n.flags&flagAny == 0 {
			return
		}
		value()
	case kindType:
		ref, _ := r.VarUint()
		aux = lib0.AppendVarUint(aux, ref)
		if r.Len() > 0 {
			text()
		}
	case kindDoc:
		text()
		value()
	default:
		return
	}
	d.srcs[0] = aux
	n.text = d.scratch(from)
}
