package ydoc

import (
	"bytes"
	"slices"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// Restore makes the content of every root what it is in old, which is an earlier
// state of the same document, or made from one. It is an edit like any other: it
// deletes what came since, and inserts again, as new elements, what was deleted since.
// What is in both stays as it is.
func (d *Doc) Restore(old *Doc) *Transaction {
	return d.Transact(func() {
		for name := range old.Roots() {
			d.Root(name)
		}
		for b := range d.branches {
			if d.branches[b].item == none && !d.branches[b].dead {
				now := Type{d, uint32(b)}
				restore(now, old.rootAs(now.Name(), now.branch().ref))
			}
		}
	})
}

// stretch is a range of elements that lie side by side in a list, all in one item.
type stretch struct {
	item   uint32
	from   uint32 // within the item
	length uint32
	kept   bool // the other list has them too
}

// restore makes the content of now what it is in old.
func restore(now, old Type) {
	had, have := old.stretches(now), now.stretches(old)
	at := now.Len()
	for _, p := range slices.Backward(have) {
		at -= int(p.length)
		if !p.kept {
			now.doc.deleteList(now.at, uint32(at), p.length)
		}
	}
	text := old.isText() || now.isText()
	var attrs Object
	at = 0
	next := old.doc.head(old.at)
	for _, p := range had {
		if text {
			for ; next != p.item; next = old.doc.items[next].next {
				if it := &old.doc.items[next]; it.kind == kindFormat && !it.deleted() {
					attrs = old.doc.switchBy(attrs, it)
				}
			}
		}
		switch {
		case !p.kept:
			insertStretch(now, at, old.doc, p, text, attrs)
		case old.doc.items[p.item].kind == kindType:
			i, _ := now.doc.holding(now.at, uint32(at))
			restore(Type{now.doc, now.doc.items[i].off}, Type{old.doc, old.doc.items[p.item].off})
		}
		at += int(p.length)
	}
	if text {
		reformat(now.AsText(), old.AsText())
	}
	restoreKeys(now.AsMap(), old.AsMap())
}

// isText reports whether t's list is text.
func (t Type) isText() bool {
	ref := t.Ref()
	return ref == TypeText || ref == TypeXMLText || t.branch().formatted
}

// stretches returns the visible elements of t's list, divided where elements that are
// in other too, visibly and as the same text, meet those that are not.
func (t Type) stretches(other Type) []stretch {
	var all []stretch
	d := t.doc
	for i := d.head(t.at); i != none; i = d.items[i].next {
		it := &d.items[i]
		if !it.visible() {
			continue
		}
		for from := uint32(0); from < it.length; {
			s := stretch{item: i, from: from}
			s.length, s.kept = other.shares(d, it, from)
			from += s.length
			if n := len(all) - 1; n >= 0 && all[n].item == i && !all[n].kept && !s.kept {
				all[n].length += s.length
				continue
			}
			all = append(all, s)
		}
	}
	return all
}

// shares reports whether t's list has, visibly and as the same text, what it, an item
// of d, holds from element from on, and of how many elements, n, that is so.
func (t Type) shares(d *Doc, it *item, from uint32) (n uint32, shared bool) {
	n = it.length - from
	i, known := t.doc.known(d.idOf(ref{it.client, it.clock + from}))
	if !known {
		return n, false
	}
	same := &t.doc.items[i]
	at := it.clock + from - same.clock
	n = min(n, same.length-at)
	if !same.visible() || same.chain != t.branch().list || same.kind != it.kind {
		return n, false
	}
	if it.kind != kindString {
		return n, true
	}
	a, b := *it, *same
	d.cutContent(&a, from, n)
	t.doc.cutContent(&b, at, n)
	return n, bytes.Equal(d.content(&a), t.doc.content(&b))
}

// insertStretch inserts what p of d holds into now.
func insertStretch(now Type, at int, d *Doc, p stretch, text bool, attrs Object) {
	it := &d.items[p.item]
	if it.kind == kindString && text {
		part := *it
		d.cutContent(&part, p.from, p.length)
		now.AsText().InsertWith(at, string(lib0.AppendWellFormed(nil, d.content(&part))), attrs)
		return
	}
	skip, left := p.from, p.length
	d.elements(it, func(v any) bool {
		if skip > 0 {
			skip--
			return true
		}
		insertCopy(now, at, v, text, attrs)
		at++
		left--
		return left > 0
	})
}

// cutContent narrows the content of it, a copy, to n elements from from on.
func (d *Doc) cutContent(it *item, from, n uint32) {
	all := Update{}
	all.srcs = [][]byte{nil, d.text}
	cut := func(by uint32) []byte {
		rest := node{clock: 0, length: uint64(it.length), info: it.kind, text: span{1, it.off, it.size}}
		if by > 0 {
			all.cut(&rest, 0, uint64(by))
		}
		return all.bytes(rest.text)
	}
	tail := uint32(len(cut(from + n)))
	if from+n == it.length {
		tail = 0
	}
	head := it.size - uint32(len(cut(from)))
	it.off += head
	it.size -= head + tail
}

// insertCopy inserts v, which is of another document.
func insertCopy(now Type, at int, v any, text bool, attrs Object) {
	from, ok := v.(Type)
	switch {
	case ok && text:
		copyInto(now.AsText().EmbedType(at, from.Ref(), from.Name(), attrs), from)
	case ok:
		copyInto(now.AsArray().InsertType(at, from.Ref(), from.Name()), from)
	case text:
		now.AsText().Embed(at, v, attrs)
	default:
		now.AsArray().Insert(at, v)
	}
}

// copyInto fills the new type to with what from, of another document, holds.
func copyInto(to, from Type) {
	if from.isText() {
		for _, op := range from.AsText().Delta() {
			if s, ok := op.Insert.(string); ok {
				to.AsText().InsertWith(to.Len(), s, op.Attributes)
			} else {
				insertCopy(to, to.Len(), op.Insert, true, op.Attributes)
			}
		}
	} else {
		for i, v := range from.AsArray().All() {
			insertCopy(to, i, v, false, nil)
		}
	}
	for key, v := range from.AsMap().All() {
		setCopy(to.AsMap(), key, v)
	}
}

func setCopy(to Map, key string, v any) {
	if from, ok := v.(Type); ok {
		copyInto(to.SetType(key, from.Ref(), from.Name()), from)
	} else {
		to.Set(key, v)
	}
}

// restoreKeys makes the keys of now have the values they have in old.
func restoreKeys(now, old Map) {
	for k := range now.current() {
		if _, ok := old.Value(string(now.doc.chainKey(k))); !ok {
			now.Delete(string(now.doc.chainKey(k)))
		}
	}
	for k, it := range old.current() {
		key := string(old.doc.chainKey(k))
		i, ok := now.doc.known(old.doc.idOf(it.last()))
		current := now.doc.findChain(now.at, []byte(key))
		switch {
		case !ok || current == none || now.doc.chains[current].last != i || now.doc.items[i].deleted():
			setCopy(now, key, old.doc.last(it))
		case it.kind == kindType:
			restore(Type{now.doc, now.doc.items[i].off}, Type{old.doc, it.off})
		}
	}
}

// reformat gives now, which has the elements of old, the formats of old.
func reformat(now, old Text) {
	type formatted struct {
		length int
		attrs  Object
	}
	read := func(t Text) []formatted {
		var all []formatted
		for _, op := range t.Delta() {
			length := 1
			if s, ok := op.Insert.(string); ok {
				length = lib0.Units([]byte(s))
			}
			all = append(all, formatted{length, op.Attributes})
		}
		return all
	}
	want, have := read(old), read(now)
	at := 0
	for len(want) > 0 && len(have) > 0 {
		n := min(want[0].length, have[0].length)
		var change Object
		for _, m := range have[0].attrs {
			if !hasMember(want[0].attrs, m.Key) {
				change = append(change, Member{Key: m.Key})
			}
		}
		for _, m := range want[0].attrs {
			if !hasMember(have[0].attrs, m.Key) || !equalAny(member(have[0].attrs, m.Key), m.Value) {
				change = append(change, m)
			}
		}
		if len(change) > 0 {
			now.Format(at, n, change)
		}
		at += n
		if want[0].length -= n; want[0].length == 0 {
			want = want[1:]
		}
		if have[0].length -= n; have[0].length == 0 {
			have = have[1:]
		}
	}
}
