package ydoc

import (
	"bytes"
	"iter"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// Subdoc is a value that stands for another document, which is kept elsewhere, by
// its GUID. Options are those of section 5.12.
type Subdoc struct {
	GUID    string
	Options Object
}

// Subdocs yields the subdocuments that are in the document.
func (d *Doc) Subdocs() iter.Seq[Subdoc] {
	return func(yield func(Subdoc) bool) {
		for i := range d.items {
			if it := &d.items[i]; it.kind == kindDoc && !it.deleted() && !yield(d.subdoc(it)) {
				return
			}
		}
	}
}

// subdoc reads the content of a Doc item.
func (d *Doc) subdoc(it *item) Subdoc {
	guid, options := splitKey(d.content(it))
	o, _ := anyOf(options).(Object)
	return Subdoc{string(guid), o}
}

// elements yields the values of an item, one for each of its elements.
func (d *Doc) elements(it *item, yield func(any) bool) bool {
	switch it.kind {
	case kindAny:
		r := lib0.NewReader(d.content(it))
		for range it.length {
			budget := trustedBudget
			v, _ := r.Any(&budget) // read before, like all content
			if !yield(v) {
				return false
			}
		}
		return true
	case kindJSON:
		r := lib0.NewReader(d.content(it))
		for range it.length {
			text, _ := r.VarBytes()
			if !yield(valueOfJSON(text)) {
				return false
			}
		}
		return true
	case kindString:
		u := units{text: d.content(it)}
		for range it.length {
			if !yield(string(u.next())) {
				return false
			}
		}
		return true
	}
	return yield(d.single(it))
}

// single reads content that is one value.
func (d *Doc) single(it *item) any {
	switch it.kind {
	case kindBinary:
		return bytes.Clone(d.content(it))
	case kindEmbed:
		return d.valueOf(it, d.content(it))
	case kindType:
		return Type{d, it.off}
	case kindDoc:
		return d.subdoc(it)
	}
	return nil
}

// valueOf reads the value of an Embed or Format item.
func (d *Doc) valueOf(it *item, value []byte) any {
	if it.flags&flagAny != 0 {
		return anyOf(value)
	}
	return valueOfJSON(value)
}

func valueOfJSON(text []byte) any {
	if bytes.Equal(text, undefinedText) {
		return Undefined{}
	}
	v, _ := lib0.ParseJSON(text, trustedDepth)
	return v
}

// format reads a Format item.
func (d *Doc) format(it *item) (key string, value any) {
	k, v := splitKey(d.content(it))
	if it.flags&flagAny == 0 {
		v, _ = splitKey(v)
	}
	return string(k), d.valueOf(it, v)
}

// last reads the last element of an item: the value of a key.
func (d *Doc) last(it *item) any {
	if it.kind > kindDeleted && it.length == 1 && it.kind != kindAny && it.kind != kindJSON && it.kind != kindString {
		return d.single(it)
	}
	var last any
	d.elements(it, func(v any) bool {
		last = v
		return true
	})
	return last
}

// contentOf returns the kind and the content of an item that holds the value v, and
// panics if that is no value of a document.
func contentOf(v any) (kind uint8, content []byte) {
	switch v := v.(type) {
	case []byte:
		return kindBinary, v
	case Subdoc:
		return kindDoc, lib0.AppendAny(lib0.AppendVarString(nil, v.GUID), v.Options)
	}
	return kindAny, lib0.AppendAny(nil, v)
}
