package ydoc

import (
	"iter"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// Values that JavaScript has and Go has not, and objects, whose members are ordered.
// A value of a document is nil (null), Undefined, bool, float64, BigInt, string,
// []byte, []any, Object, Type (a shared type) or Subdoc. Where values are written, int and
// int64 do as well, and Type does not: shared types are made where they belong, by
// InsertType, SetType and the like.
type (
	Undefined = lib0.Undefined
	BigInt    = lib0.BigInt
	Object    = lib0.Object
	Member    = lib0.Member
)

// TypeRef says what a shared type is meant to be. It is a label: any type may be read
// as any other.
type TypeRef uint8

// The type refs of section 2.3.
const (
	TypeArray TypeRef = iota
	TypeMap
	TypeText
	TypeXMLElement
	TypeXMLFragment
	TypeXMLHook
	TypeXMLText
)

// Type is a shared type of a Doc: a handle, comparable and cheap to copy.
type Type struct {
	doc *Doc
	at  uint32
}

// Shared types read as what they are meant to be.
type (
	// Text is text with formats and embedded values.
	Text struct{ Type }
	// Array is a list of values.
	Array struct{ Type }
	// Map has values by key.
	Map struct{ Type }
	// XML is an element or a fragment: a list of types, and attributes.
	XML struct{ Type }
)

// Root returns the root type of that name. Roots exist when they are asked for.
func (d *Doc) Root(name string) Type { return Type{d, d.root(wellFormed([]byte(name)))} }

// Roots yields the roots that ever had content, in the order they appeared.
func (d *Doc) Roots() iter.Seq2[string, Type] {
	return func(yield func(string, Type) bool) {
		for b := range d.branches {
			br := &d.branches[b]
			if br.item == none && !br.dead && (br.list != none || br.firstKey != none) {
				if !yield(string(d.branchName(uint32(b))), Type{d, uint32(b)}) {
					return
				}
			}
		}
	}
}

// Text returns the root of that name, read as text.
func (d *Doc) Text(name string) Text { return Text{d.rootAs(name, TypeText)} }

// Array returns the root of that name, read as an array.
func (d *Doc) Array(name string) Array { return Array{d.rootAs(name, TypeArray)} }

// Map returns the root of that name, read as a map.
func (d *Doc) Map(name string) Map { return Map{d.rootAs(name, TypeMap)} }

// XML returns the root of that name, read as an XML fragment.
func (d *Doc) XML(name string) XML { return XML{d.rootAs(name, TypeXMLFragment)} }

// rootAs returns a root, and what it is if nobody said so before.
func (d *Doc) rootAs(name string, ref TypeRef) Type {
	t := d.Root(name)
	if br := &d.branches[t.at]; br.ref == unknownType {
		br.ref = ref
	}
	return t
}

// Doc returns the document.
func (t Type) Doc() *Doc { return t.doc }

// Ref returns what t is meant to be. A root's is not in any update: it is what the
// root was first asked for as, else what its content looks like.
func (t Type) Ref() TypeRef {
	if ref := t.branch().ref; ref != unknownType {
		return ref
	}
	return t.doc.guess(t.at)
}

// guess tells from the content of a branch what it is.
func (d *Doc) guess(b uint32) TypeRef {
	ref := unknownType
	for i := d.head(b); i != none; i = d.items[i].next {
		switch it := &d.items[i]; it.kind {
		case kindString, kindFormat, kindEmbed:
			return TypeText
		case kindAny, kindBinary, kindDoc, kindJSON:
			return TypeArray
		case kindType: // in texts there may be types too
			if d.branches[it.off].ref >= TypeXMLElement {
				ref = TypeXMLFragment
			} else if ref == unknownType {
				ref = TypeArray
			}
		}
	}
	switch {
	case ref != unknownType:
		return ref
	case d.branches[b].firstKey != none:
		return TypeMap
	}
	return TypeArray
}

func (t Type) branch() *branch { return &t.doc.branches[t.at] }

// Name returns the name of a root, an XML element or a hook; else "".
func (t Type) Name() string { return string(t.doc.branchName(t.at)) }

// ID returns the id of the item that holds t, and false for a root and for what was
// collected.
func (t Type) ID() (ID, bool) {
	b := t.branch()
	if b.item == none || b.dead {
		return ID{}, false
	}
	return t.doc.idOf(t.doc.items[b.item].id()), true
}

// Parent returns the type that holds t, and false for a root and for what was
// collected.
func (t Type) Parent() (Type, bool) {
	b := t.branch()
	if b.item == none || b.dead {
		return Type{}, false
	}
	return Type{t.doc, t.doc.chains[t.doc.items[b.item].chain].branch}, true
}

// Deleted reports whether t, or a type around it, is deleted.
func (t Type) Deleted() bool { return t.doc.isGone(t.at) }

// Len returns the number of visible elements of t's list.
func (t Type) Len() int { return int(t.branch().length) }

// AsText returns t read as text.
func (t Type) AsText() Text { return Text{t} }

// AsArray returns t read as an array: of XML, the children.
func (t Type) AsArray() Array { return Array{t} }

// AsMap returns t read as a map: of XML and text, the attributes.
func (t Type) AsMap() Map { return Map{t} }

// AsXML returns t read as XML.
func (t Type) AsXML() XML { return XML{t} }
