package ydoc

import (
	"fmt"
	"unsafe"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// Compile-time proof that a node is what nodeSize says.
var _ [nodeSize]byte = [unsafe.Sizeof(node{})]byte{}

// Dump describes the structs of u, one a line, like the structs of the vectors:
// that needs a look inside.
func Dump(u *Update) []string {
	var lines []string
	for _, g := range u.groups {
		end := u.nodes[g.from].clock
		for i := g.from; i < g.to; i++ {
			n := &u.nodes[i]
			if n.clock > end {
				lines = append(lines, fmt.Sprintf("%d:%d+%d Skip", g.client, end, n.clock-end))
			}
			lines = append(lines, fmt.Sprintf("%d:%d+%d %s", g.client, n.clock, n.length, u.dump(n)))
			end = n.end()
		}
	}
	return lines
}

func (u *Update) dump(n *node) string {
	text := u.bytes(n.text)
	var what string
	switch n.kind() {
	case kindGC:
		return "GC"
	case kindDeleted:
		what = "Deleted"
	case kindString:
		if n.flags&flagCut != 0 {
			text = append([]byte("\ufffd"), text...)
		}
		quoted, _ := lib0.AppendJSON(nil, string(lib0.AppendWellFormed(nil, text)))
		what = "String " + string(quoted)
	case kindJSON:
		what = "JSON"
	case kindAny:
		what = "Any"
	case kindBinary:
		what = "Binary"
	case kindEmbed:
		if n.flags&flagAny != 0 {
			text = jsonOfAny(text)
		}
		what = "Embed " + string(text)
	case kindFormat:
		key, value := u.formatting(n)
		if n.flags&flagAny != 0 {
			value = jsonOfAny(value)
		}
		what = fmt.Sprintf("Format %s=%s", key, value)
	case kindType:
		ref, name := u.typeRef(n)
		what = "Type " + []string{"YArray", "YMap", "YText", "YXmlElement", "YXmlFragment", "YXmlHook", "YXmlText"}[ref]
		if name != nil {
			what += fmt.Sprintf("(%s)", name)
		}
	case kindDoc:
		guid, _ := splitKey(text)
		what = "Doc " + string(guid)
	}
	origin, right, parent := "-", "-", "-"
	if n.info&hasOrigin != 0 {
		origin = fmt.Sprintf("%d:%d", n.origin.Client, n.origin.Clock)
	}
	if n.info&hasRight != 0 {
		right = fmt.Sprintf("%d:%d", n.right.Client, n.right.Clock)
	}
	if n.explicitParent() {
		p := u.parentOf(n)
		if p.isRoot {
			parent = fmt.Sprintf("root(%q)", u.bytes(p.root))
		} else {
			parent = fmt.Sprintf("%d:%d", p.id.Client, p.id.Clock)
		}
		if n.info&hasSub != 0 {
			parent += fmt.Sprintf(" sub=%q", u.bytes(p.sub))
		}
	}
	return fmt.Sprintf("%s o=%s ro=%s p=%s", what, origin, right, parent)
}

// NaiveAfter is what a document knows that had sv and was given u: it tries every
// struct again until nothing changes.
func NaiveAfter(u *Update, sv StateVector) StateVector {
	after := sv.Clone()
	known := func(id ID) bool { return id.Clock < after.Next(id.Client) }
	for changed := true; changed; {
		changed = false
		for _, g := range u.groups {
			for i := g.from; i < g.to; i++ {
				n := &u.nodes[i]
				next := uint64(after.Next(g.client))
				if n.clock > next || n.end() <= next {
					continue
				}
				if n.info&hasOrigin != 0 && !known(n.origin) || n.info&hasRight != 0 && !known(n.right) {
					continue
				}
				if n.explicitParent() && !u.parentOf(n).isRoot && !known(u.parentOf(n).id) {
					continue
				}
				after.Advance(g.client, Clock(n.end()))
				changed = true
			}
		}
	}
	return after
}

// LoadAnySize makes documents load states however small they are, until the function
// that it returns is called.
func LoadAnySize() (restore func()) {
	before := minLoad
	minLoad = 1
	return func() { minLoad = before }
}

// Loads reports whether u is loaded into an empty document, not applied.
func Loads(u *Update) bool {
	d := NewDoc(Options{})
	defer d.end(d.begin(false))
	loaded, _ := d.load(u)
	return loaded
}

// Len is how many elements there are.
func (k *Keyed) Len() int { return len(k.ids) }

// Trees returns how many trees d has, and for how many it has room.
func Trees(d *Doc) (planted, room int) {
	if d.forest == nil {
		return 0, 0
	}
	return len(d.forest.trees) - len(d.forest.felled), len(d.forest.trees)
}
