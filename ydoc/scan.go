package ydoc

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// A scan walks over V1 bytes that were accepted before, without making nodes: it
// only finds where structs end and how long they are. It gives up, and its
// callers take the long way, at whatever it does not expect. A position below zero
// means that it gave up.

const gaveUp = -1

// scanUint reads a varUint at i and returns the position after it.
func scanUint(b []byte, i int) (uint64, int) {
	if uint(i) < uint(len(b)) && b[i] < 0x80 {
		return uint64(b[i]), i + 1
	}
	return scanLongUint(b, i)
}

func scanLongUint(b []byte, i int) (uint64, int) {
	if i < 0 {
		return 0, gaveUp
	}
	v := uint64(0)
	for shift := 0; shift < 56 && i < len(b); shift += 7 {
		c := b[i]
		i++
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v, i
		}
	}
	return 0, gaveUp
}

// ends has the highest bit of every byte.
const ends = 0x8080808080808080

// scanID skips two varUints.
func scanID(b []byte, i int) int {
	if i >= 0 && i+8 <= len(b) {
		last := ^binary.LittleEndian.Uint64(b[i:]) & ends // where integers end
		if last &= last - 1; last != 0 {
			return i + bits.TrailingZeros64(last)>>3 + 1
		}
	}
	_, i = scanUint(b, i)
	_, i = scanUint(b, i)
	return i
}

// scanBytes skips a length and so many bytes.
func scanBytes(b []byte, i int) int {
	n, i := scanUint(b, i)
	if i < 0 || n > uint64(len(b)-i) {
		return gaveUp
	}
	return i + int(n)
}

// scanUnits returns the length in UTF-16 units of the UTF-8 in b[i:to].
func scanUnits(b []byte, i, to int) (units uint64) {
	units = uint64(to - i)
	for ; i < to && i+8 <= len(b); i += 8 {
		high := binary.LittleEndian.Uint64(b[i:]) & ends
		if left := to - i; left < 8 {
			high &= 1<<(8*left) - 1
		}
		if high != 0 {
			break
		}
	}
	for ; i < to; i++ {
		if c := b[i]; c >= 0x80 && c < 0xc0 {
			units-- // inside a character
		} else if c >= 0xf0 {
			units++ // a pair
		}
	}
	return units
}

// scanStruct skips the struct at i and returns its length and its info byte.
func scanStruct(b []byte, i int) (length uint64, info byte, next int) {
	if uint(i) >= uint(len(b)) {
		return 0, 0, gaveUp
	}
	info = b[i]
	i++
	kind := info & kindMask
	if kind == kindGC || kind == kindSkip {
		length, i = scanUint(b, i)
		return length, info, i
	}
	switch {
	case info&(hasOrigin|hasRight) == hasOrigin|hasRight:
		i = scanID(b, scanID(b, i))
	case info&(hasOrigin|hasRight) != 0:
		i = scanID(b, i)
	default:
		var root uint64
		if root, i = scanUint(b, i); root == 1 {
			i = scanBytes(b, i)
		} else {
			i = scanID(b, i)
		}
		if info&hasSub != 0 {
			i = scanBytes(b, i)
		}
	}
	switch kind {
	case kindString:
		var size uint64
		if size, i = scanUint(b, i); i < 0 || size > uint64(len(b)-i) {
			return 0, 0, gaveUp
		}
		return scanUnits(b, i, i+int(size)), info, i + int(size)
	case kindDeleted:
		length, i = scanUint(b, i)
		return length, info, i
	}
	return scanContent(b, i, info)
}

// scanContent is scanStruct for content that is neither text nor deleted.
func scanContent(b []byte, i int, info byte) (length uint64, _ byte, next int) {
	length = 1
	switch info & kindMask {
	case kindJSON:
		length, i = scanUint(b, i)
		for n := length; n > 0 && i >= 0; n-- {
			i = scanBytes(b, i)
		}
	case kindAny:
		length, i = scanUint(b, i)
		i = scanAnys(b, i, length)
	case kindBinary, kindEmbed:
		i = scanBytes(b, i)
	case kindFormat:
		i = scanBytes(b, scanBytes(b, i))
	case kindType:
		var ref uint64
		if ref, i = scanUint(b, i); ref == typeXMLElement || ref == typeXMLHook {
			i = scanBytes(b, i)
		}
	case kindDoc:
		i = scanAnys(b, scanBytes(b, i), 1)
	default:
		return 0, 0, gaveUp
	}
	return length, info, i
}

func scanAnys(b []byte, i int, n uint64) int {
	if i < 0 || n > uint64(len(b)-i) {
		return gaveUp
	}
	r := lib0.NewReader(b[i:])
	budget := trustedBudget
	for range n {
		if r.SkipAny(&budget) != nil {
			return gaveUp
		}
	}
	return i + r.Offset()
}

// scanBlock is the head of a client block.
type scanBlock struct {
	structs uint64
	client  ClientID
	clock   uint64
}

// scanHead reads the head of a block at i, which must be of a lower client than the
// one before; before is nil for the first.
func scanHead(b []byte, i int, before *scanBlock) (scanBlock, int) {
	var h scanBlock
	var c uint64
	h.structs, i = scanUint(b, i)
	c, i = scanUint(b, i)
	h.client = ClientID(c)
	h.clock, i = scanUint(b, i)
	if before != nil && h.client >= before.client || i >= 0 && h.structs > uint64(len(b)-i) {
		return h, gaveUp
	}
	return h, i
}

// scanStateVector is Update.StateVector of V1 bytes.
func scanStateVector(b []byte) (StateVector, bool) {
	var sv StateVector
	var before *scanBlock
	clients, i := scanUint(b, 0)
	if i < 0 || clients > uint64(len(b)) {
		return sv, false
	}
	for range clients {
		h, at := scanHead(b, i, before)
		if at < 0 {
			return sv, false
		}
		i = at
		end, whole := h.clock, h.clock == 0
		for range h.structs {
			length, info, next := scanStruct(b, i)
			if next < 0 || length == 0 {
				return sv, false
			}
			i = next
			whole = whole && info != kindSkip
			if whole {
				end += length
			}
		}
		if h.clock == 0 && end > 0 {
			sv.entries = append(sv.entries, ID{h.client, Clock(end)})
		}
		before = &h
	}
	return sv, true
}

// scanDiff appends what V1 bytes have and since does not know, without the
// deletions, and returns where in b those begin. Structs are copied as they are, but
// for the first of each client, which may have to be cut.
func scanDiff(dst, b []byte, since StateVector) (_ []byte, deletes int, ok bool) {
	mark := len(dst)
	var before *scanBlock
	clients, i := scanUint(b, 0)
	if i < 0 || clients > uint64(len(b)) {
		return dst, 0, false
	}
	e := encoder{dst: lib0.AppendVarUint(dst, clients)}
	written := 0
	for range clients {
		h, at := scanHead(b, i, before)
		if at < 0 {
			return dst, 0, false
		}
		known := uint64(since.Next(h.client))
		clock, first, second, left := h.clock, gaveUp, gaveUp, uint64(0)
		i = at
		for k := range h.structs {
			length, info, next := scanStruct(b, i)
			if next < 0 || length == 0 {
				return dst, 0, false
			}
			if first < 0 {
				if info != kindSkip && clock+length > known {
					first, second, left = i, next, h.structs-k
				} else {
					clock += length
				}
			}
			i = next
		}
		if first >= 0 {
			e.dst = slices.Grow(e.dst, len(b)-first+maxHead)
			e.dst = lib0.AppendVarUint(e.dst, left)
			e.dst = lib0.AppendVarUint(e.dst, uint64(h.client))
			if known <= clock {
				e.dst = lib0.AppendVarUint(e.dst, clock)
				e.dst = append(e.dst, b[first:i]...)
			} else {
				if !e.cutStruct(b[first:second], h.client, clock, known) {
					return dst, 0, false
				}
				e.dst = append(e.dst, b[second:i]...)
			}
			written++
		}
		before = &h
	}
	e.finish(mark, written)
	return e.dst, i, true
}

// scanDeletes skips the V1 delete set at i. It gives up unless clients descend and the
// ranges of each ascend without touching, so that the bytes may be copied.
func scanDeletes(b []byte, i int) int {
	clients, i := scanUint(b, i)
	before := uint64(lib0.MaxInt) + 1
	for range clients {
		var client, ranges uint64
		client, i = scanUint(b, i)
		ranges, i = scanUint(b, i)
		if i < 0 || client >= before || ranges > uint64(len(b)-i) || ranges == 0 {
			return gaveUp
		}
		before = client
		end := uint64(0)
		for k := range ranges {
			var from, length uint64
			from, i = scanUint(b, i)
			length, i = scanUint(b, i)
			if i < 0 || length == 0 || from <= end && k > 0 {
				return gaveUp
			}
			end = from + length
		}
	}
	return i
}

// maxHead is more than the bytes of a block's head and what a cut adds to a struct.
const maxHead = 64

// cutStruct writes a clock and the part of the V1 struct in b, which starts at
// clock, from known on.
func (e *encoder) cutStruct(b []byte, client ClientID, clock, known uint64) bool {
	var u Update
	d := decoder{set: &u.set, lim: trusted}
	d.srcs = append(d.srcs, nil, b)
	d.src = 1
	d.budget = trustedBudget
	d.r.Reset(b)
	d.begin(client, clock, 1, 1)
	if _, err := d.structV1(client, clock); err != nil || len(d.nodes) != 1 {
		return false
	}
	n := &d.nodes[0]
	u.cut(n, client, known-clock)
	e.u = &u
	e.dst = lib0.AppendVarUint(e.dst, known)
	e.structV1(n, nil)
	return true
}
