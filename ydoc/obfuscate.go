package ydoc

import (
	"bytes"
	"strconv"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// Obfuscation says what Obfuscate keeps as it is. Other content is always replaced.
type Obfuscation struct {
	KeepFormatting bool
	KeepSubdocs    bool
	KeepXML        bool // node and hook names
}

// Obfuscate returns u with the same structure and none of its content, for bug
// reports (section 4.9). What was equal in keys, names and formatting stays equal.
func (u *Update) Obfuscate(how Obfuscation) *Update {
	o := obfuscator{
		Obfuscation: how,
		keys:        make(map[string]string),
		names:       make(map[string]string),
		values:      make(map[string][]byte),
		out:         u.share(),
	}
	o.out.groups = u.groups
	o.out.deletes = u.deletes
	o.out.nodes = append([]node(nil), u.nodes...)
	o.out.parents = append([]parent(nil), u.parents...)
	o.out.srcs = append([][]byte(nil), u.srcs...)
	if len(o.out.srcs) > 0 {
		o.out.srcs[0] = append([]byte(nil), u.srcs[0]...)
	}
	for _, g := range u.groups {
		for i := g.from; i < g.to; i++ {
			o.node(&o.out.nodes[i])
		}
	}
	return o.out
}

type obfuscator struct {
	Obfuscation
	out    *Update
	count  uint64            // items so far
	keys   map[string]string // parentSubs and format keys
	names  map[string]string // node and hook names
	values map[string][]byte // format values, by encoding
}

func (o *obfuscator) node(n *node) {
	if n.isGC() {
		return
	}
	if n.explicitParent() && n.info&hasSub != 0 {
		p := o.out.parentOf(n)
		sub := o.rename(o.keys, o.out.bytes(p.sub), "")
		p.sub = o.put([]byte(sub))
	}
	o.content(n)
	o.count++
}

// rename returns the replacement of old, which is prefix and the count when old
// was first met.
func (o *obfuscator) rename(table map[string]string, old []byte, prefix string) string {
	if table[string(old)] == "" {
		table[string(old)] = prefix + strconv.FormatUint(o.count, 10)
	}
	return table[string(old)]
}

// put stores b in the scratch source.
func (o *obfuscator) put(b []byte) span {
	scratch := &o.out.srcs[0]
	*scratch = append(*scratch, b...)
	return o.out.scratch(len(*scratch) - len(b))
}

func (o *obfuscator) content(n *node) {
	switch n.kind() {
	case kindString:
		n.flags &^= flagWTF | flagCut
		n.text = o.put(bytes.Repeat([]byte{'0' + byte(o.count%10)}, int(n.length)))
	case kindAny:
		n.text = o.put(bytes.Repeat(lib0.AppendAny(nil, int64(o.count)), int(n.length)))
	case kindJSON:
		n.text = o.put(bytes.Repeat(lib0.AppendVarString(nil, strconv.FormatUint(o.count, 10)), int(n.length)))
	case kindBinary:
		n.text = o.put([]byte{byte(o.count)})
	case kindEmbed:
		n.flags &^= flagAny
		n.text = o.put([]byte("{}"))
	case kindFormat:
		if !o.KeepFormatting {
			o.formatting(n)
		}
	case kindDoc:
		if !o.KeepSubdocs {
			guid := strconv.FormatUint(o.count, 10)
			n.text = o.put(lib0.AppendAny(lib0.AppendVarString(nil, guid), lib0.Object{}))
		}
	case kindType:
		ref, name := o.out.typeRef(n)
		prefix := "node-"
		switch ref {
		case typeXMLHook:
			prefix = "hook-"
		case typeXMLElement:
		default:
			return
		}
		if !o.KeepXML {
			name := o.rename(o.names, name, prefix)
			n.text = o.put(lib0.AppendVarString(lib0.AppendVarUint(nil, ref), name))
		}
	}
}

func (o *obfuscator) formatting(n *node) {
	key, value := o.out.formatting(n)
	out := lib0.AppendVarString(nil, o.rename(o.keys, key, ""))
	if n.flags&flagAny != 0 {
		value = jsonOfAny(value)
		n.flags &^= flagAny
	}
	if !bytes.Equal(value, []byte("null")) {
		replacement, ok := o.values[string(value)]
		if !ok || len(value) > 0 && (value[0] == '{' || value[0] == '[') {
			replacement = strconv.AppendUint([]byte(`{"i":`), o.count, 10)
			replacement = append(replacement, '}')
			o.values[string(value)] = replacement
		}
		value = replacement
	}
	n.text = o.put(lib0.AppendVarBytes(out, value))
}
