package ydoc

import "github.com/heapsync/heapsync/ydoc/lib0"

func (e *encoder) structV1(n *node, more []node) {
	dst := append(e.dst, e.info(n))
	if n.isGC() {
		e.dst = lib0.AppendVarUint(dst, total(n, more))
		return
	}
	if n.info&hasOrigin != 0 {
		dst = lib0.AppendVarUint(dst, uint64(n.origin.Client))
		dst = lib0.AppendVarUint(dst, uint64(n.origin.Clock))
	}
	if n.info&hasRight != 0 {
		dst = lib0.AppendVarUint(dst, uint64(n.right.Client))
		dst = lib0.AppendVarUint(dst, uint64(n.right.Clock))
	}
	if n.info&(hasOrigin|hasRight) == 0 {
		p := e.u.parentOf(n)
		if p.isRoot {
			dst = lib0.AppendVarBytes(append(dst, 1), e.u.bytes(p.root))
		} else {
			dst = lib0.AppendVarUint(append(dst, 0), uint64(p.id.Client))
			dst = lib0.AppendVarUint(dst, uint64(p.id.Clock))
		}
		if n.info&hasSub != 0 {
			dst = lib0.AppendVarBytes(dst, e.u.bytes(p.sub))
		}
	}
	e.dst = e.contentV1(dst, n, more)
}

func (e *encoder) contentV1(dst []byte, n *node, more []node) []byte {
	switch n.kind() {
	case kindDeleted:
		return lib0.AppendVarUint(dst, total(n, more))
	case kindString:
		size := uint64(n.text.size)
		for i := range more {
			size += uint64(more[i].text.size)
			if more[i].flags&flagCut != 0 {
				size += uint64(len(cutText))
			}
		}
		if n.flags&flagCut != 0 {
			size += uint64(len(cutText))
		}
		dst = lib0.AppendVarUint(dst, size)
		dst = e.appendText(dst, n)
		for i := range more {
			dst = e.appendText(dst, &more[i])
		}
		return dst
	case kindJSON, kindAny:
		dst = lib0.AppendVarUint(dst, total(n, more))
		dst = append(dst, e.u.bytes(n.text)...)
		for i := range more {
			dst = append(dst, e.u.bytes(more[i].text)...)
		}
		return dst
	case kindBinary:
		return lib0.AppendVarBytes(dst, e.u.bytes(n.text))
	case kindEmbed:
		text := e.u.bytes(n.text)
		if n.flags&flagAny != 0 {
			text = jsonOfAny(text)
		}
		return lib0.AppendVarBytes(dst, text)
	case kindFormat:
		if n.flags&flagAny != 0 {
			key, value := e.u.formatting(n)
			return lib0.AppendVarBytes(lib0.AppendVarBytes(dst, key), jsonOfAny(value))
		}
	}
	return append(dst, e.u.bytes(n.text)...)
}

// appendText appends the text of a String node. Halves of pairs become U+FFFD,
// which is as many bytes.
func (e *encoder) appendText(dst []byte, n *node) []byte {
	if n.flags&flagCut != 0 {
		dst = append(dst, cutText...)
	}
	text := e.u.bytes(n.text)
	if n.flags&flagWTF != 0 {
		return lib0.AppendWellFormed(dst, text)
	}
	if len(text) == 1 {
		return append(dst, text[0])
	}
	return append(dst, text...)
}

// jsonOfAny returns the JSON text of an encoded any value. What has none, which only
// corrupt trusted bytes hold, is null.
func jsonOfAny(value []byte) []byte {
	budget := trustedBudget
	v, err := lib0.NewReader(value).Any(&budget)
	if err == nil {
		if text, ok := lib0.AppendJSON(nil, v); ok {
			return text
		}
	}
	return []byte("null")
}

// appendAnyOfJSON appends the any value of a JSON text; null if it is none, as above.
func appendAnyOfJSON(dst, text []byte) []byte {
	v, err := lib0.ParseJSON(text, trustedBudget.Depth)
	if err != nil {
		v = nil
	}
	return lib0.AppendAny(dst, v)
}
