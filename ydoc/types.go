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
func (d *Doc) Root(name string) Type { panic("not yet") }

// Roots yields the roots that ever had content, in the order they appeared.
func (d *Doc) Roots() iter.Seq2[string, Type] { panic("not yet") }

// Text returns the root of that name, read as text.
func (d *Doc) Text(name string) Text { panic("not yet") }

// Array returns the root of that name, read as an array.
func (d *Doc) Array(name string) Array { panic("not yet") }

// Map returns the root of that name, read as a map.
func (d *Doc) Map(name string) Map { panic("not yet") }

// XML returns the root of that name, read as XML.
func (d *Doc) XML(name string) XML { panic("not yet") }

// JSON returns the JSON of every root.
func (d *Doc) JSON() Object { panic("not yet") }

// Subdocs yields the subdocuments that are in the document.
func (d *Doc) Subdocs() iter.Seq[Subdoc] { panic("not yet") }

// Subdoc is a value that stands for another document, which is kept elsewhere.
type Subdoc struct {
	GUID    string
	Options Object
}

// Doc returns the document.
func (t Type) Doc() *Doc { return t.doc }

// Ref returns what t is meant to be.
func (t Type) Ref() TypeRef { panic("not yet") }

// Name returns the name of a root, an XML element or a hook; else "".
func (t Type) Name() string { panic("not yet") }

// ID returns the id of the item that holds t, and false for a root.
func (t Type) ID() (ID, bool) { panic("not yet") }

// Parent returns the type that holds t, and false for a root.
func (t Type) Parent() (Type, bool) { panic("not yet") }

// Deleted reports whether t, or a type around it, is deleted.
func (t Type) Deleted() bool { panic("not yet") }

// Len returns the number of visible elements of t's list.
func (t Type) Len() int { panic("not yet") }

// JSON returns what toJSON of Yjs does.
func (t Type) JSON() any { panic("not yet") }

// String returns the text of a text, the XML of XML, the JSON text of others.
func (t Type) String() string { panic("not yet") }

// AsText returns t read as text.
func (t Type) AsText() Text { return Text{t} }

// AsArray returns t read as an array: of XML, the children.
func (t Type) AsArray() Array { return Array{t} }

// AsMap returns t read as a map: of XML and text, the attributes.
func (t Type) AsMap() Map { return Map{t} }

// AsXML returns t read as XML.
func (t Type) AsXML() XML { return XML{t} }

// Op is one step of a delta: one of Insert, Delete and Retain.
type Op struct {
	Insert     any
	Delete     int
	Retain     int
	Attributes Object
}

// String returns the text without formats and embedded values.
func (t Text) String() string { panic("not yet") }

// Delta returns the text as inserts.
func (t Text) Delta() []Op { panic("not yet") }

// Insert inserts s with the attributes in force at index.
func (t Text) Insert(index int, s string) { panic("not yet") }

// InsertWith inserts s with exactly attrs.
func (t Text) InsertWith(index int, s string, attrs Object) { panic("not yet") }

// Embed inserts a value.
func (t Text) Embed(index int, value any, attrs Object) { panic("not yet") }

// EmbedType inserts a new shared type.
func (t Text) EmbedType(index int, ref TypeRef, name string, attrs Object) Type { panic("not yet") }

// Delete deletes n elements from index on.
func (t Text) Delete(index, n int) { panic("not yet") }

// Format gives n elements from index on attributes; nil takes one away.
func (t Text) Format(index, n int, attrs Object) { panic("not yet") }

// ApplyDelta does what ops say, from the start of the text.
func (t Text) ApplyDelta(ops []Op) { panic("not yet") }

// At returns element i.
func (a Array) At(i int) any { panic("not yet") }

// All yields the elements.
func (a Array) All() iter.Seq2[int, any] { panic("not yet") }

// Insert inserts values.
func (a Array) Insert(index int, values ...any) { panic("not yet") }

// Append inserts values at the end.
func (a Array) Append(values ...any) { panic("not yet") }

// InsertType inserts a new shared type; name is that of an XML element or hook.
func (a Array) InsertType(index int, ref TypeRef, name string) Type { panic("not yet") }

// Delete deletes n elements from index on.
func (a Array) Delete(index, n int) { panic("not yet") }

// Len returns the number of keys that have a value.
func (m Map) Len() int { panic("not yet") }

// Value returns the value of key.
func (m Map) Value(key string) (any, bool) { panic("not yet") }

// All yields keys and values, in the order keys first appeared.
func (m Map) All() iter.Seq2[string, any] { panic("not yet") }

// Set sets the value of key.
func (m Map) Set(key string, value any) { panic("not yet") }

// SetType makes a new shared type the value of key.
func (m Map) SetType(key string, ref TypeRef, name string) Type { panic("not yet") }

// Delete takes key away.
func (m Map) Delete(key string) { panic("not yet") }

// Children yields the children.
func (x XML) Children() iter.Seq[Type] { panic("not yet") }

// InsertElement inserts a new element.
func (x XML) InsertElement(index int, name string) XML { panic("not yet") }

// InsertText inserts new text.
func (x XML) InsertText(index int) Text { panic("not yet") }

// Delete deletes n children from index on.
func (x XML) Delete(index, n int) { panic("not yet") }

// Attribute returns the attribute key.
func (x XML) Attribute(key string) (any, bool) { panic("not yet") }

// SetAttribute sets the attribute key.
func (x XML) SetAttribute(key string, value any) { panic("not yet") }

// Action is what happened to a key.
type Action uint8

// What may happen to a key.
const (
	Added Action = iota
	Updated
	Removed
)

// KeyChange is what happened to one key.
type KeyChange struct {
	Key    string
	Action Action
	Old    any
}

// Event is what a transaction changed in one type.
type Event struct {
	Target      Type
	Transaction *Transaction
}

// Observe calls f after each transaction that changed t.
func (t Type) Observe(f func(*Event)) (stop func()) { panic("not yet") }

// ObserveDeep calls f after each transaction that changed t or what is in it.
func (t Type) ObserveDeep(f func([]*Event)) (stop func()) { panic("not yet") }

// Delta returns what changed in the list.
func (e *Event) Delta() []Op { panic("not yet") }

// Keys returns what changed in the map.
func (e *Event) Keys() []KeyChange { panic("not yet") }

// Path returns the way from the observed type to Target: keys and indexes.
func (e *Event) Path() []any { panic("not yet") }
