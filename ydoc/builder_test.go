package ydoc_test

import (
	"math/rand/v2"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/lib0"
)

// builder writes V1 updates by hand.
type builder struct {
	blocks  [][]byte
	deletes []byte
	ranges  int

	client  uint64
	clock   uint64
	structs int
	head    []byte
	body    []byte
}

// at starts a block.
func (b *builder) at(client, clock uint64) *builder {
	b.flush()
	b.client, b.clock = client, clock
	b.head = lib0.AppendVarUint(lib0.AppendVarUint(nil, client), clock)
	return b
}

func (b *builder) flush() {
	if b.structs > 0 {
		block := lib0.AppendVarUint(nil, uint64(b.structs))
		b.blocks = append(b.blocks, append(append(block, b.head...), b.body...))
	}
	b.structs, b.body = 0, nil
}

type id = ydoc.ID

// item adds an item of so many elements. Without origin and right its parent is the
// root t, or the item that holds the type.
func (b *builder) item(origin, right, parent *id, sub string, length uint64, content ...byte) *builder {
	info := len(b.body)
	b.body = append(b.body, content[0])
	for i, ref := range []*id{origin, right} {
		if ref != nil {
			b.body[info] |= 0x80 >> i
			b.body = lib0.AppendVarUint(lib0.AppendVarUint(b.body, uint64(ref.Client)), uint64(ref.Clock))
		}
	}
	if origin == nil && right == nil {
		if parent == nil {
			b.body = append(b.body, 1, 1, 't')
		} else {
			b.body = append(b.body, 0)
			b.body = lib0.AppendVarUint(lib0.AppendVarUint(b.body, uint64(parent.Client)), uint64(parent.Clock))
		}
		if sub != "" {
			b.body[info] |= 0x20
			b.body = lib0.AppendVarString(b.body, sub)
		}
	}
	b.body = append(b.body, content[1:]...)
	b.structs++
	b.clock += length
	return b
}

// text adds text at the root t, or after origin.
func (b *builder) text(origin, right *id, s string) *builder {
	return b.item(origin, right, nil, "", uint64(lib0.Units([]byte(s))), lib0.AppendVarString([]byte{4}, s)...)
}

// typ adds an array in parent, or after origin.
func (b *builder) typ(origin, parent *id) *builder { return b.item(origin, nil, parent, "", 1, 7, 0) }

func (b *builder) gc(length uint64) *builder {
	b.body = lib0.AppendVarUint(append(b.body, 0), length)
	b.structs++
	b.clock += length
	return b
}

func (b *builder) remove(client, from, length uint64) *builder {
	b.deletes = lib0.AppendVarUint(append(lib0.AppendVarUint(b.deletes, client), 1), from)
	b.deletes = lib0.AppendVarUint(b.deletes, length)
	b.ranges++
	return b
}

func (b *builder) bytes() []byte {
	b.flush()
	out := lib0.AppendVarUint(nil, uint64(len(b.blocks)))
	for _, block := range b.blocks {
		out = append(out, block...)
	}
	return append(lib0.AppendVarUint(out, uint64(b.ranges)), b.deletes...)
}

// anID picks an id that an item of client at clock may refer to.
func anID(rng *rand.Rand, client, clock uint64) *id {
	if rng.IntN(2) == 0 && clock > 0 {
		return &id{Client: ydoc.ClientID(client), Clock: ydoc.Clock(rng.Uint64N(clock))}
	}
	other := 1 + rng.Uint64N(5)
	if other == client {
		return nil
	}
	return &id{Client: ydoc.ClientID(other), Clock: ydoc.Clock(rng.Uint64N(8))}
}

// randomUpdate makes an update whose items refer to each other across clients, now
// and then in circles.
func randomUpdate(rng *rand.Rand) []byte {
	var b builder
	for client := uint64(5); client > 0; client-- {
		if rng.IntN(3) == 0 {
			continue
		}
		b.at(client, rng.Uint64N(4))
		for range 1 + rng.IntN(6) {
			switch rng.IntN(8) {
			case 0:
				b.gc(1 + rng.Uint64N(2))
			case 1:
				b.body = append(b.body, 10, 1) // Skip
				b.structs++
				b.clock++
			case 2:
				b.typ(anID(rng, client, b.clock), anID(rng, client, b.clock))
			default:
				b.text(anID(rng, client, b.clock), anID(rng, client, b.clock), "abc"[:1+rng.IntN(3)])
			}
		}
	}
	for range rng.IntN(3) {
		b.remove(1+rng.Uint64N(5), rng.Uint64N(6), 1+rng.Uint64N(5))
	}
	return b.bytes()
}

// hostileContents are contents that are allowed, some of them odd; the first byte is
// the kind.
var hostileContents = []struct {
	length uint64
	bytes  []byte
}{
	{1, []byte{4, 1, 'a'}},
	{3, []byte{4, 3, 'a', 'b', 'c'}},
	{2, []byte("\x04\x04😀")},
	{2, []byte{1, 2}},
	{1, []byte{8, 1, 0x7f}},
	{1, []byte{8, 1, 0x7a, 0, 0, 0, 0, 0, 0, 0, 1}},
	{2, []byte{8, 2, 0x76, 1, 9, '_', '_', 'p', 'r', 'o', 't', 'o', '_', '_', 0x76, 0, 0x7e}},
	{1, []byte{8, 1, 0x76, 2, 8, 't', 'o', 'S', 't', 'r', 'i', 'n', 'g', 0x7d, 1, 7, 'v', 'a', 'l', 'u', 'e', 'O', 'f', 0x7e}},
	{2, []byte("\x02\x02\x09undefined\x02{}")},
	{1, []byte{3, 0}},
	{1, []byte("\x05\x04null")},
	{1, []byte("\x05\x01\x31")},
	{1, []byte("\x06\x04bold\x04true")},
	{1, []byte("\x06\x04bold\x04null")},
	{1, []byte("\x06\x00\x02[]")},
	{1, []byte("\x06\x09__proto__\x0d{\"a\":{\"b\":1}}")},
	{1, []byte{7, 0}}, {1, []byte{7, 1}}, {1, []byte{7, 2}}, {1, []byte("\x07\x03\x00")}, {1, []byte{7, 4}}, {1, []byte("\x07\x05\x01h")}, {1, []byte{7, 6}},
	{1, []byte("\x09\x01g\x76\x00")},
	{1, []byte("\x09\x00\x76\x03\x04meta\x7f\x02gc\x79\x08autoLoad\x78")},
	{1, []byte("\x09\x01g\x76\x01\x05_item\x78")},
}

// hostileUpdate makes an update of a client of its own, whose items hang from
// anything in state in any combination, and which deletes what it likes.
func hostileUpdate(rng *rand.Rand, state *ydoc.Update) []byte {
	var known []ydoc.Struct
	for s := range state.Structs() {
		known = append(known, s)
	}
	client := uint64(1000 + rng.IntN(2)*4_000_000_000)
	b := new(builder).at(client, 0)
	some := func() *id {
		if b.clock > 0 && rng.IntN(3) == 0 {
			return &id{Client: ydoc.ClientID(client), Clock: ydoc.Clock(rng.Uint64N(b.clock))}
		}
		if rng.IntN(4) == 0 || len(known) == 0 {
			return nil
		}
		s := known[rng.IntN(len(known))]
		return &id{Client: s.Client, Clock: s.Clock + ydoc.Clock(rng.Uint64N(uint64(s.Len)))}
	}
	keys := []string{"", "", "k", "l", "__proto__", "constructor", "length"}
	for range 1 + rng.IntN(12) {
		if rng.IntN(15) == 0 {
			b.gc(1 + rng.Uint64N(3))
			continue
		}
		c := hostileContents[rng.IntN(len(hostileContents))]
		var origin, right *id
		if rng.IntN(3) > 0 {
			origin = some()
		}
		if rng.IntN(3) > 0 {
			right = some()
		}
		b.item(origin, right, some(), keys[rng.IntN(len(keys))], c.length, c.bytes...)
	}
	for range rng.IntN(4) {
		if at := some(); at != nil {
			b.remove(uint64(at.Client), uint64(at.Clock), 1+rng.Uint64N(4))
		}
	}
	return b.bytes()
}
