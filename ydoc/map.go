package ydoc

import "iter"

// Len returns the number of keys that have a value.
func (m Map) Len() int {
	n := 0
	for range m.current() {
		n++
	}
	return n
}

// current yields the chains of the keys that have a value, and the items that do.
func (m Map) current() iter.Seq2[uint32, *item] {
	return func(yield func(uint32, *item) bool) {
		d := m.doc
		for k := m.branch().firstKey; k != none; k = d.chains[k].next {
			last := d.chains[k].last
			if last != none && !d.items[last].deleted() && !yield(k, &d.items[last]) {
				return
			}
		}
	}
}

// Value returns the value of key, and false if it has none.
func (m Map) Value(key string) (any, bool) {
	d := m.doc
	k := d.findChain(m.at, wellFormed([]byte(key)))
	if k == none || d.chains[k].last == none || d.items[d.chains[k].last].deleted() {
		return nil, false
	}
	return d.last(&d.items[d.chains[k].last]), true
}

// All yields keys and values, in the order in which the keys first appeared. The map
// must not change meanwhile.
func (m Map) All() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		for k, it := range m.current() {
			if !yield(string(m.doc.chainKey(k)), m.doc.last(it)) {
				return
			}
		}
	}
}

// members yields what All does.
func (m Map) members() iter.Seq[Member] {
	return func(yield func(Member) bool) {
		for k, v := range m.All() {
			if !yield(Member{Key: k, Value: v}) {
				return
			}
		}
	}
}

// Set sets the value of key.
func (m Map) Set(key string, value any) {
	kind, content := contentOf(value)
	if m.Deleted() {
		return
	}
	d := m.doc
	defer d.end(d.begin(true))
	k := d.keyOf(m.at, wellFormed([]byte(key)))
	d.insert(k, d.chains[k].last, none, kind, 0, content, 1)
}

// SetType makes a new shared type the value of key. name is that of an XML element or
// a hook.
func (m Map) SetType(key string, ref TypeRef, name string) Type {
	d := m.doc
	if m.Deleted() {
		return d.lostType(ref)
	}
	defer d.end(d.begin(true))
	k := d.keyOf(m.at, wellFormed([]byte(key)))
	return d.insertType(k, d.chains[k].last, none, ref, name)
}

// Delete takes the value of key away.
func (m Map) Delete(key string) {
	d := m.doc
	k := d.findChain(m.at, wellFormed([]byte(key)))
	if k == none || d.chains[k].last == none {
		return
	}
	defer d.end(d.begin(true))
	d.remove(d.chains[k].last)
}
