package ydoc

import "iter"

// At returns element i, which must exist.
func (a Array) At(i int) any {
	checkRange(i, 1, a.Len())
	at, offset := a.doc.holding(a.at, uint32(i))
	var value any
	a.doc.elements(&a.doc.items[at], func(v any) bool {
		value = v
		offset--
		return offset != none
	})
	return value
}

// All yields the elements and their indexes. The array must not change meanwhile.
func (a Array) All() iter.Seq2[int, any] {
	return func(yield func(int, any) bool) {
		d, index := a.doc, 0
		for i := d.head(a.at); i != none; i = d.items[i].next {
			it := &d.items[i]
			if !it.visible() {
				continue
			}
			ok := d.elements(it, func(v any) bool {
				index++
				return yield(index-1, v)
			})
			if !ok {
				return
			}
		}
	}
}

// Insert inserts values in front of element index; index may be the length.
func (a Array) Insert(index int, values ...any) {
	checkRange(index, 0, a.Len())
	runs := runsOf(values)
	if len(values) == 0 || a.Deleted() {
		return
	}
	d := a.doc
	defer d.end(d.begin(true))
	left, right := d.gap(a.at, uint32(index))
	a.insert(left, right, runs)
}

// Append inserts values at the end.
func (a Array) Append(values ...any) {
	runs := runsOf(values)
	if len(values) == 0 || a.Deleted() {
		return
	}
	d := a.doc
	defer d.end(d.begin(true))
	left := d.chains[d.listOf(a.at)].last
	a.insert(left, none, runs)
}

// insert inserts runs of values between two items that are neighbours.
func (a Array) insert(left, right uint32, runs []valueRun) {
	chain := a.doc.listOf(a.at)
	for _, r := range runs {
		left = a.doc.insert(chain, left, right, r.kind, 0, r.content, r.n)
	}
}

// valueRun is n values that become one item.
type valueRun struct {
	kind    uint8
	content []byte
	n       uint32
}

// runsOf makes one run of values that lie side by side, but of bytes and subdocuments.
func runsOf(values []any) []valueRun {
	var runs []valueRun
	for _, v := range values {
		kind, content := contentOf(v)
		if n := len(runs) - 1; n >= 0 && kind == kindAny && runs[n].kind == kindAny {
			runs[n].content = append(runs[n].content, content...)
			runs[n].n++
			continue
		}
		runs = append(runs, valueRun{kind, content, 1})
	}
	return runs
}

// InsertType inserts a new shared type in front of element index. name is that of an
// XML element or a hook.
func (a Array) InsertType(index int, ref TypeRef, name string) Type {
	checkRange(index, 0, a.Len())
	d := a.doc
	if a.Deleted() {
		return d.lostType(ref)
	}
	defer d.end(d.begin(true))
	left, right := d.gap(a.at, uint32(index))
	return d.insertType(d.listOf(a.at), left, right, ref, name)
}

// AppendType inserts a new shared type at the end, as InsertType does.
func (a Array) AppendType(ref TypeRef, name string) Type {
	d := a.doc
	if a.Deleted() {
		return d.lostType(ref)
	}
	defer d.end(d.begin(true))
	list := d.listOf(a.at)
	return d.insertType(list, d.chains[list].last, none, ref, name)
}

// lostType returns a type that is nowhere, for an edit of what is deleted.
func (d *Doc) lostType(ref TypeRef) Type {
	b := d.newBranch(none, ref, 0)
	d.branches[b].dead = true
	return Type{d, b}
}

// Delete deletes n elements from index on.
func (a Array) Delete(index, n int) {
	checkRange(index, n, a.Len())
	d := a.doc
	defer d.end(d.begin(true))
	d.deleteList(a.at, uint32(index), uint32(n))
}
