package ydoc

import "iter"

// Children yields the types among the children.
func (x XML) Children() iter.Seq[Type] {
	return func(yield func(Type) bool) {
		for _, v := range x.AsArray().All() {
			if t, ok := v.(Type); ok && !yield(t) {
				return
			}
		}
	}
}

// InsertElement inserts a new element in front of child index.
func (x XML) InsertElement(index int, name string) XML {
	return XML{x.AsArray().InsertType(index, TypeXMLElement, name)}
}

// InsertText inserts new text in front of child index.
func (x XML) InsertText(index int) Text {
	return Text{x.AsArray().InsertType(index, TypeXMLText, "")}
}

// Delete deletes n children from index on.
func (x XML) Delete(index, n int) { x.AsArray().Delete(index, n) }

// Attribute returns an attribute, and false if there is none of that name.
func (x XML) Attribute(name string) (any, bool) { return x.AsMap().Value(name) }

// SetAttribute sets an attribute.
func (x XML) SetAttribute(name string, value any) { x.AsMap().Set(name, value) }
