package ydoc

import "slices"

// Transaction is what was done to a Doc at once: by one Apply, by one Transact, or by
// one edit outside of it. It is valid until the next transaction of its Doc; one of
// Apply, which only observers see, until they return.
type Transaction struct {
	doc     *Doc
	local   bool
	number  uint32
	touched []uint32 // clients that have new structs
	deletes DeleteSet
	splits  []ref    // items that were split off, or are deleted in a type that was deleted
	work    []uint32 // items still to be deleted

	marks marks
	app   application
	buf   []byte // text on its way into the document

	changes        *changes // nil if nobody observes
	added, removed []subdocChange
}

// Transact runs edit, and makes all edits in it one transaction; within another
// one they become part of that. Observers are called before Transact returns. If edit
// panics, what it did before stays done.
func (d *Doc) Transact(edit func()) *Transaction {
	defer d.end(d.begin(true))
	edit()
	return d.tx
}

// begin starts a transaction, unless one is running: then it returns false.
func (d *Doc) begin(local bool) bool {
	if d.telling {
		panic("ydoc: an observer edits its document")
	}
	if d.running {
		return false
	}
	d.running = true
	if d.tx == nil {
		d.tx = &Transaction{doc: d}
	}
	t := d.tx
	t.number++
	t.local = local
	t.touched, t.splits = t.touched[:0], t.splits[:0]
	t.deletes = DeleteSet{ranges: t.deletes.ranges[:0]}
	t.added, t.removed = t.added[:0], t.removed[:0]
	t.changes = nil
	if d.observers != nil && d.observers.types > 0 {
		t.changes = &changes{at: make(map[uint32]int)}
	}
	return true
}

// end finishes the transaction that began, if one did.
func (d *Doc) end(began bool) {
	if !began {
		return
	}
	t := d.tx
	t.deletes.normalise()
	defer d.finish(t) // even if an observer panics
	if t.changes != nil {
		d.tell(t)
	}
}

// finish collects and joins what t left behind, and then tells of its update.
func (d *Doc) finish(t *Transaction) {
	if !d.opts.KeepDeleted {
		d.collect(t)
	}
	d.joinDeleted(t)
	d.joinTouched(t)
	d.joinSplits(t)
	if !t.local && d.clientID != 0 {
		if i := d.clientAt(d.clientID); i != none && d.clients[i].touched == t.number {
			d.clientID = 0 // another writer has it
		}
	}
	d.compact()
	if cap(t.buf) > 4096 {
		t.buf = nil
	}
	d.running = false
	if d.observers != nil && !t.Empty() {
		d.tellUpdate(t)
	}
}

// trim gives memory back after something large was applied.
func (t *Transaction) trim() {
	if cap(t.deletes.ranges) > 64 {
		t.deletes = DeleteSet{}
	}
	if cap(t.splits) > 64 {
		t.splits = nil
	}
	if cap(t.touched) > 64 {
		t.touched = nil
	}
	if cap(t.app.at) > 64 {
		t.app = application{}
	}
}

// Local reports whether the edits were made here, and not applied.
func (t *Transaction) Local() bool { return t.local }

// Empty reports whether nothing changed.
func (t *Transaction) Empty() bool { return len(t.touched) == 0 && len(t.deletes.ranges) == 0 }

// Deletes returns what was deleted. It is valid as long as t.
func (t *Transaction) Deletes() DeleteSet { return t.deletes }

// Before returns what the document knew before.
func (t *Transaction) Before() StateVector {
	d := t.doc
	sv := StateVector{entries: make([]ID, 0, len(d.clients))}
	for _, i := range d.descending() {
		if next := t.before(i); next > 0 {
			sv.entries = append(sv.entries, ID{d.clients[i].id, Clock(next)})
		}
	}
	return sv
}

// before returns the clock that was expected next of client i.
func (t *Transaction) before(i uint32) uint32 {
	c := &t.doc.clients[i]
	if c.touched == t.number {
		return c.before
	}
	return c.next
}

// touch notes that client i is about to have new structs.
func (t *Transaction) touch(i uint32) {
	c := &t.doc.clients[i]
	if c.touched != t.number {
		c.touched, c.before = t.number, c.next
		t.touched = append(t.touched, i)
	}
}

// Subdocs returns the subdocuments that came and those that went.
func (t *Transaction) Subdocs() (added, removed []Subdoc) {
	for _, s := range t.added {
		added = append(added, s.doc)
	}
	for _, s := range t.removed {
		removed = append(removed, s.doc)
	}
	return added, removed
}

// subdocChange is a subdocument that came or went.
type subdocChange struct {
	item ref
	doc  Subdoc
}

func (t *Transaction) removeSubdoc(item ref, s Subdoc) {
	n := len(t.added)
	t.added = slices.DeleteFunc(t.added, func(a subdocChange) bool { return a.item == item })
	if len(t.added) == n {
		t.removed = append(t.removed, subdocChange{item, s})
	}
}
