package ydoc

import "github.com/heapsync/heapsync/ydoc/lib0"

// columns are the parts of a V2 update.
type columns struct {
	keyClock, leftClock, rightClock lib0.DiffColumn
	client, typeRef, length         lib0.UintColumn
	info, parentInfo                lib0.ByteColumn
	text                            lib0.TextColumn
	rest                            []byte
	scratch                         []byte
	keys                            uint64 // keys written
}

func (c *columns) reset() {
	c.keyClock.Reset()
	c.client.Reset()
	c.leftClock.Reset()
	c.rightClock.Reset()
	c.info.Reset()
	c.text.Reset()
	c.parentInfo.Reset()
	c.typeRef.Reset()
	c.length.Reset()
	c.rest = c.rest[:0]
	c.keys = 0
}

// size is about how many bytes the columns had to hold when last used.
func (c *columns) size() int { return cap(c.rest) + 4*cap(c.scratch) }

func (c *columns) appendTo(dst []byte) []byte {
	dst = append(dst, 0) // feature flag
	dst = lib0.AppendVarBytes(dst, c.keyClock.Encode())
	dst = lib0.AppendVarBytes(dst, c.client.Encode())
	dst = lib0.AppendVarBytes(dst, c.leftClock.Encode())
	dst = lib0.AppendVarBytes(dst, c.rightClock.Encode())
	dst = lib0.AppendVarBytes(dst, c.info.Encode())
	c.scratch = c.text.AppendTo(c.scratch[:0])
	dst = lib0.AppendVarBytes(dst, c.scratch)
	dst = lib0.AppendVarBytes(dst, c.parentInfo.Encode())
	dst = lib0.AppendVarBytes(dst, c.typeRef.Encode())
	dst = lib0.AppendVarBytes(dst, c.length.Encode())
	return append(dst, c.rest...)
}

// key writes a key. Like Yjs, it gives every key a number of its own.
func (c *columns) key(b []byte) {
	c.keyClock.Write(c.keys)
	c.keys++
	c.string(b)
}

func (c *columns) string(b []byte) { c.text.Write(b, uint64(lib0.Units(b))) }

func (e *encoder) structV2(n *node, more []node) {
	c := &e.v2
	c.info.Write(e.info(n))
	if n.isGC() {
		c.length.Write(total(n, more))
		return
	}
	if n.info&hasOrigin != 0 {
		c.client.Write(uint64(n.origin.Client))
		c.leftClock.Write(uint64(n.origin.Clock))
	}
	if n.info&hasRight != 0 {
		c.client.Write(uint64(n.right.Client))
		c.rightClock.Write(uint64(n.right.Clock))
	}
	if n.info&(hasOrigin|hasRight) == 0 {
		p := e.u.parentOf(n)
		if p.isRoot {
			c.parentInfo.Write(1)
			c.string(e.u.bytes(p.root))
		} else {
			c.parentInfo.Write(0)
			c.client.Write(uint64(p.id.Client))
			c.leftClock.Write(uint64(p.id.Clock))
		}
		if n.info&hasSub != 0 {
			c.string(e.u.bytes(p.sub))
		}
	}
	e.contentV2(n, more)
}

func (e *encoder) contentV2(n *node, more []node) {
	c := &e.v2
	switch n.kind() {
	case kindDeleted:
		c.length.Write(total(n, more))
	case kindString:
		c.text.Begin(total(n, more))
		e.extendText(n)
		for i := range more {
			e.extendText(&more[i])
		}
	case kindJSON:
		c.length.Write(total(n, more))
		e.jsonV2(n)
		for i := range more {
			e.jsonV2(&more[i])
		}
	case kindAny:
		c.length.Write(total(n, more))
		e.dst = append(e.dst, e.u.bytes(n.text)...)
		for i := range more {
			e.dst = append(e.dst, e.u.bytes(more[i].text)...)
		}
	case kindBinary:
		e.dst = lib0.AppendVarBytes(e.dst, e.u.bytes(n.text))
	case kindEmbed:
		e.valueV2(n, e.u.bytes(n.text))
	case kindFormat:
		key, value := e.u.formatting(n)
		c.key(key)
		e.valueV2(n, value)
	case kindType:
		r := lib0.NewReader(e.u.bytes(n.text))
		ref, _ := r.VarUint() // read before
		c.typeRef.Write(ref)
		if name, err := r.VarBytes(); err == nil {
			c.key(name)
		}
	case kindDoc:
		guid, options := splitKey(e.u.bytes(n.text))
		c.string(guid)
		e.dst = append(e.dst, options...)
	}
}

func (e *encoder) extendText(n *node) {
	if n.flags&flagCut != 0 {
		e.v2.text.Extend(cutText)
	}
	if n.flags&flagWTF != 0 {
		e.v2.text.ExtendWTF(e.u.bytes(n.text))
	} else {
		e.v2.text.Extend(e.u.bytes(n.text))
	}
}

func (e *encoder) jsonV2(n *node) {
	r := lib0.NewReader(e.u.bytes(n.text))
	for range n.length {
		text, _ := r.VarBytes() // read before
		e.v2.string(text)
	}
}

// valueV2 writes the value of an Embed or Format.
func (e *encoder) valueV2(n *node, value []byte) {
	if n.flags&flagAny != 0 {
		e.dst = append(e.dst, value...)
	} else {
		e.dst = appendAnyOfJSON(e.dst, value)
	}
}
