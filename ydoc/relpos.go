package ydoc

import (
	"unicode/utf8"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// Position is a place in a type that stays where it is while others edit (section
// 4.10). It is beside an element; or, if there is none, at an end of a type.
type Position struct {
	HasItem bool
	Item    ID // the element, if HasItem

	InRoot bool
	Root   string // else the name of the root, if InRoot
	Type   ID     // else the item that holds the type

	// Assoc says which neighbour the position sticks to: from 0 on the element on its
	// right, below 0 that on its left.
	Assoc int
}

// Position returns the place in front of element index; index may be the length.
func (t Type) Position(index, assoc int) Position {
	checkRange(index, 0, t.Len())
	d := t.doc
	p := Position{Assoc: assoc}
	if assoc < 0 {
		index--
	}
	if index >= 0 && index < t.Len() {
		i, offset := d.holding(t.at, uint32(index))
		it := &d.items[i]
		p.HasItem, p.Item = true, d.idOf(ref{it.client, it.clock + offset})
		return p
	}
	p.Type, p.InRoot = ID{}, true
	if id, held := t.ID(); held {
		p.Type, p.InRoot = id, false
		return p
	}
	p.Root = t.Name()
	return p
}

// DecodePosition reads what Append writes, and what Yjs's encodeRelativePosition does.
// Any fault is ErrMalformed.
func DecodePosition(b []byte) (Position, error) {
	var p Position
	r := lib0.NewReader(b)
	kind, err := r.VarUint()
	if err != nil {
		return Position{}, decodeError(r.Offset(), err)
	}
	switch kind {
	case 0:
		p.HasItem = true
		p.Item, err = readID(r)
	case 1:
		p.InRoot = true
		p.Root, err = r.VarString()
	case 2:
		p.Type, err = readID(r)
	default:
		return Position{}, malformed(r.Offset(), "kind of position")
	}
	if err == nil && r.Len() > 0 {
		var assoc int64
		assoc, err = r.VarInt()
		p.Assoc = int(assoc)
	}
	if err != nil {
		return Position{}, decodeError(r.Offset(), err)
	}
	return p, nil
}

func readID(r *lib0.Reader) (ID, error) {
	client, err := r.VarUint()
	if err != nil {
		return ID{}, err
	}
	clock, err := r.VarUint()
	return ID{ClientID(client), Clock(clock)}, err
}

// Append appends the encoding of section 4.10.
func (p Position) Append(dst []byte) []byte {
	switch {
	case p.HasItem:
		dst = appendID(append(dst, 0), p.Item)
	case p.InRoot:
		dst = lib0.AppendVarString(append(dst, 1), p.Root)
	default:
		dst = appendID(append(dst, 2), p.Type)
	}
	return lib0.AppendVarInt(dst, int64(p.Assoc))
}

// Encode returns the encoding of section 4.10.
func (p Position) Encode() []byte { return p.Append(nil) }

func appendID(dst []byte, id ID) []byte {
	dst = lib0.AppendVarUint(dst, uint64(id.Client))
	return lib0.AppendVarUint(dst, uint64(id.Clock))
}

// Resolve returns the type that p is in and the index it is at now. ok is false if
// the document does not know the place, or not any more.
func (d *Doc) Resolve(p Position) (t Type, index int, ok bool) {
	switch {
	case p.HasItem:
		return d.resolveItem(p)
	case p.InRoot:
		if !utf8.ValidString(p.Root) {
			return Type{}, 0, false
		}
		t = d.Root(p.Root)
	default:
		i, known := d.known(p.Type)
		if !known || d.items[i].kind != kindType {
			return Type{}, 0, false
		}
		t = Type{d, d.items[i].off}
	}
	if p.Assoc >= 0 {
		index = t.Len()
	}
	return t, index, true
}

// known returns the item that holds an element, if there is one.
func (d *Doc) known(id ID) (i uint32, ok bool) {
	ci := d.clientAt(id.Client)
	if ci == none || id.Clock >= Clock(d.clients[ci].next) {
		return 0, false
	}
	return d.at(ref{ci, uint32(id.Clock)}), true
}

func (d *Doc) resolveItem(p Position) (t Type, index int, ok bool) {
	i, known := d.known(p.Item)
	if !known || d.items[i].isGC() {
		return Type{}, 0, false
	}
	it := &d.items[i]
	t = Type{d, d.chains[it.chain].branch}
	if t.Deleted() {
		return t, 0, true
	}
	index = int(d.before(i))
	if it.visible() {
		index += int(uint32(p.Item.Clock) - it.clock)
		if p.Assoc < 0 {
			index++
		}
	}
	return t, index, true
}
