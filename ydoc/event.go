package ydoc

import (
	"slices"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// Event is what a transaction changed in one type.
type Event struct {
	Target      Type
	Transaction *Transaction

	changed *change
	from    uint32 // the branch observed
}

// Action is what happened to a key.
type Action uint8

// What may happen to a key.
const (
	Added Action = iota
	Updated
	Removed
)

// KeyChange is what happened to one key, and the value it had.
type KeyChange struct {
	Key    string
	Action Action
	Old    any // nil if Added
}

// adds reports whether the transaction made it.
func (e *Event) adds(it *item) bool { return it.clock >= e.Transaction.before(it.client) }

// deletes reports whether the transaction deleted it.
func (e *Event) deletes(it *item) bool {
	return it.deleted() && e.Transaction.deletes.Contains(e.Target.doc.idOf(it.id()))
}

// Path returns the way from the observed type to Target: a key or an index for each
// step.
func (e *Event) Path() []any {
	var path []any
	d := e.Target.doc
	for b := e.Target.at; b != e.from && d.branches[b].item != none; {
		i := d.branches[b].item
		c := &d.chains[d.items[i].chain]
		if c.isList() {
			path = append(path, int(d.before(i)))
		} else {
			path = append(path, string(d.chainKey(d.items[i].chain)))
		}
		b = c.branch
	}
	slices.Reverse(path)
	return path
}

// Keys returns what happened to keys.
func (e *Event) Keys() []KeyChange {
	var all []KeyChange
	d := e.Target.doc
	for _, k := range e.changed.keys {
		i := d.chains[k].last
		if i == none {
			continue
		}
		now := &d.items[i]
		prev := i
		if e.adds(now) {
			for prev != none && e.adds(&d.items[prev]) {
				prev = d.items[prev].prev
			}
		}
		had := prev != none && e.deletes(&d.items[prev])
		c := KeyChange{Key: string(d.chainKey(k)), Action: Added}
		switch {
		case e.deletes(now) && had:
			c.Action = Removed
		case e.deletes(now) || prev == i:
			continue
		case had:
			c.Action = Updated
		}
		if had {
			c.Old = d.last(&d.items[prev])
		}
		all = append(all, c)
	}
	return all
}

// Delta returns what happened to the list: retained, inserted and deleted elements. Of
// text, strings and single values are inserted, with attributes; of other lists, []any.
func (e *Event) Delta() []Op {
	if !e.changed.list {
		return nil
	}
	if e.Target.isText() {
		return e.textDelta()
	}
	var ops []Op
	var op Op
	next := func(same bool) {
		if !same && (op.Insert != nil || op.Delete > 0 || op.Retain > 0) {
			ops = append(ops, op)
		}
		if !same {
			op = Op{}
		}
	}
	d := e.Target.doc
	for i := d.head(e.Target.at); i != none; i = d.items[i].next {
		it := &d.items[i]
		switch {
		case it.deleted():
			if e.deletes(it) && !e.adds(it) {
				next(op.Delete > 0)
				op.Delete += int(it.length)
			}
		case e.adds(it):
			next(op.Insert != nil)
			values, _ := op.Insert.([]any)
			d.elements(it, func(v any) bool {
				values = append(values, v)
				return true
			})
			op.Insert = values
		default:
			next(op.Retain > 0)
			op.Retain += int(it.length)
		}
	}
	next(op.Retain > 0)
	return ops
}

// textEvent builds the delta of a change of text.
type textEvent struct {
	ops    []Op
	now    Object // attributes in force after the change
	before Object // and before it
	change Object // what of them changed, for what is retained
	text   []byte
	op     Op // of the kind that was added to last; text is its Insert
}

func (b *textEvent) flush() {
	op := b.op
	switch {
	case len(b.text) > 0:
		op = Op{Insert: string(lib0.AppendWellFormed(nil, b.text)), Attributes: clone(b.now)}
	case op.Retain > 0:
		op.Attributes = clone(b.change)
	}
	if op.Insert != nil || op.Delete > 0 || op.Retain > 0 {
		b.ops = append(b.ops, op)
	}
	b.op, b.text = Op{}, b.text[:0]
}

func (b *textEvent) delete(n uint32) {
	if b.op.Delete == 0 {
		b.flush()
	}
	b.op.Delete += int(n)
}

func (b *textEvent) retain(n uint32) {
	if b.op.Retain == 0 {
		b.flush()
	}
	b.op.Retain += int(n)
}

// set notes that key has another value behind here, for what is retained.
func (b *textEvent) set(key string, value any, same bool) {
	if b.op.Retain > 0 {
		b.flush()
	}
	if same {
		b.change = withoutMember(b.change, key)
	} else {
		b.change = withMember(b.change, key, value)
	}
}

func (e *Event) textDelta() []Op {
	var b textEvent
	d := e.Target.doc
	for i := d.head(e.Target.at); i != none; i = d.items[i].next {
		it := &d.items[i]
		added, deleted := e.adds(it), e.deletes(it)
		switch {
		case it.kind == kindFormat:
			e.format(&b, it, added, deleted)
		case !it.countable() && !(deleted && !added):
		case added:
			if it.deleted() {
				continue
			}
			if it.kind == kindString {
				if len(b.text) == 0 {
					b.flush()
				}
				b.text = append(b.text, d.content(it)...)
				continue
			}
			b.flush()
			b.ops = append(b.ops, Op{Insert: d.single(it), Attributes: clone(b.now)})
		case deleted:
			b.delete(it.length)
		case !it.deleted():
			b.retain(it.length)
		}
	}
	b.flush()
	for n := len(b.ops); n > 0 && b.ops[n-1].Retain > 0 && len(b.ops[n-1].Attributes) == 0; n-- {
		b.ops = b.ops[:n-1]
	}
	return b.ops
}

// format adds what a Format item means for the delta.
func (e *Event) format(b *textEvent, it *item, added, deleted bool) {
	key, value := e.Target.doc.format(it)
	now := member(b.now, key)
	switch {
	case added && !it.deleted():
		if !equalAttribute(now, value) {
			b.set(key, value, equalAttribute(value, member(b.before, key)))
		}
	case !added && deleted:
		b.before = withMember(b.before, key, value)
		if !equalAttribute(now, value) {
			b.set(key, now, false)
		}
	case !it.deleted():
		b.before = withMember(b.before, key, value)
		if hasMember(b.change, key) && !equalAttribute(member(b.change, key), value) {
			b.set(key, value, value == nil)
		}
	}
	if !it.deleted() {
		if len(b.text) > 0 {
			b.flush()
		}
		b.now = setAttribute(b.now, key, value)
	}
}
