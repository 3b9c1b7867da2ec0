package ydoc

import (
	"github.com/heapsync/heapsync/ydoc/lib0"
)

// Format is one of the two encodings of updates. Bytes do not tell which they are in.
type Format uint8

// The encodings of updates.
const (
	V1 Format = 1
	V2 Format = 2
)

// Kind says what a Struct is.
type Kind uint8

const (
	// Item holds content, or held it and is known to be deleted.
	Item Kind = iota
	// GC stands for collected items of which nothing is left but the clocks.
	GC
	// Skip stands for clocks that an update does not have.
	Skip
)

// Struct says what an update has for clocks [Clock, Clock+Len) of one client.
type Struct struct {
	Client ClientID
	Clock  Clock
	Len    Clock
	Kind   Kind
}

// Content kinds: the low five bits of a struct's info byte.
const (
	kindGC      = 0
	kindDeleted = 1
	kindJSON    = 2
	kindBinary  = 3
	kindString  = 4
	kindEmbed   = 5
	kindFormat  = 6
	kindType    = 7
	kindAny     = 8
	kindDoc     = 9
	kindSkip    = 10

	kindMask = 0x1f
)

// Bits of a struct's info byte.
const (
	hasSub    = 0x20
	hasRight  = 0x40
	hasOrigin = 0x80
)

// Type refs that are followed by a name.
const (
	typeXMLElement = 3
	typeXMLHook    = 5
	maxTypeRef     = 6
)

// node is one struct, GC or Item; Skips are not kept, a gap between clocks says
// as much. It refers to its content in the bytes it was read from, which makes 64
// bytes whatever the struct holds.
//
// The content of a kind, in V1's form unless flagAny is set:
//
//	String   the text: UTF-8, or WTF-8 with flagWTF
//	JSON     length × varString
//	Any      length × any
//	Binary   the bytes
//	Embed    the JSON text; an any with flagAny
//	Format   varString key, varString JSON text; varString key, any with flagAny
//	Type     varUint type ref, varString name if it has one
//	Doc      varString guid, any
type node struct {
	clock  uint64
	length uint64
	origin ID // if hasOrigin; if neither that nor hasRight, Client is an index of parents
	right  ID // if hasRight
	text   span
	info   uint8 // hasSub only if the string was on the wire
	flags  uint8
}

// Flags of a node.
const (
	flagAny = 1 << iota // Embed and Format: the value is an any
	flagWTF             // String: surrogate halves are in it
	flagCut             // String: U+FFFD in front, the rest of a pair that was cut
	flagSub             // the info byte had hasSub without the string
)

// span is a range of one source's bytes.
type span struct{ src, off, size uint32 }

// parent is what a struct without neighbours says of where it is.
type parent struct {
	root span // name, if isRoot
	id   ID   // else the item that holds the type
	sub  span // if the node hasSub

	isRoot bool
}

// block is a range of nodes of one client, in the order they were read.
type block struct {
	client   ClientID
	from, to uint32
}

func (n *node) kind() uint8 { return n.info & kindMask }

func (n *node) end() uint64 { return n.clock + n.length }

func (n *node) isGC() bool { return n.info == kindGC }

// continues reports whether n and the GC struct next are one: contiguous, and from one
// source.
func (n *node) continues(next *node) bool {
	return n.isGC() && n.end() == next.clock && n.text.src == next.text.src
}

// explicitParent reports whether the node says where it is.
func (n *node) explicitParent() bool {
	return n.info&(hasOrigin|hasRight) == 0 && n.info != kindGC
}

// set is structs and deletions as they are read from any number of sources.
type set struct {
	srcs    [][]byte // 0 is scratch: content that is nowhere in one piece
	nodes   []node
	parents []parent
	blocks  []block
	deletes DeleteSet
	types   bool // some node has Type content
	subs    bool // some node names the key it is the value of
	mixed   bool // blocks are not one a client, clients descending, clocks ascending
}

func (s *set) bytes(t span) []byte { return s.srcs[t.src][t.off : t.off+t.size] }

func (s *set) parentOf(n *node) *parent { return &s.parents[n.origin.Client] }

// scratch is the end of the scratch source, from the offset from on.
func (s *set) scratch(from int) span {
	return span{0, uint32(from), uint32(len(s.srcs[0]) - from)}
}

// cut removes the first by elements of n, whose client is client.
func (s *set) cut(n *node, client ClientID, by uint64) {
	n.clock += by
	n.length -= by
	if n.isGC() {
		return
	}
	n.origin = ID{client, Clock(n.clock - 1)}
	n.info |= hasOrigin
	switch n.kind() {
	case kindString:
		s.cutString(n, by)
	case kindAny:
		r := lib0.NewReader(s.bytes(n.text))
		for range by {
			budget := trustedBudget
			if r.SkipAny(&budget) != nil {
				break // it was read before, so it is sound
			}
		}
		n.text.off += uint32(r.Offset())
		n.text.size -= uint32(r.Offset())
	case kindJSON:
		r := lib0.NewReader(s.bytes(n.text))
		for range by {
			if _, err := r.VarBytes(); err != nil {
				break
			}
		}
		n.text.off += uint32(r.Offset())
		n.text.size -= uint32(r.Offset())
	}
}

func (s *set) cutString(n *node, by uint64) {
	if n.flags&flagCut != 0 {
		n.flags &^= flagCut
		if by--; by == 0 {
			return
		}
	}
	text := s.bytes(n.text)
	off, split := lib0.CutUnits(text, int(by))
	if split {
		off += 4
		n.flags |= flagCut
	}
	n.text.off += uint32(off)
	n.text.size -= uint32(off)
}

// trustedBudget is for any values that were checked before.
var trustedBudget = lib0.Budget{Depth: trustedDepth, Elements: 1 << 40, MaxString: 1 << 40}

// trustedDepth bounds recursion over values, whatever corrupt bytes hold.
const trustedDepth = 10_000

// formatting returns the key of a Format node and its value: an any with flagAny, else
// JSON text.
func (s *set) formatting(n *node) (key, value []byte) {
	key, value = splitKey(s.bytes(n.text))
	if n.flags&flagAny == 0 {
		value, _ = splitKey(value)
	}
	return key, value
}

// splitKey splits a varString, which was read before, from what follows it.
func splitKey(b []byte) (key, rest []byte) {
	r := lib0.NewReader(b)
	key, _ = r.VarBytes()
	return key, r.Rest()
}
