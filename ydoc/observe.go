package ydoc

import "slices"

// observers are the functions to be called after transactions. They must not edit.
type observers struct {
	types  int // how many there are in on and deep
	on     map[uint32][]*func(*Event)
	deep   map[uint32][]*func([]*Event)
	update []*func(*Transaction)
}

func (d *Doc) observing() *observers {
	if d.observers == nil {
		d.observers = &observers{on: make(map[uint32][]*func(*Event)), deep: make(map[uint32][]*func([]*Event))}
	}
	return d.observers
}

// OnUpdate calls f after every transaction that changed something, when t.Update can
// be asked. f must not edit.
func (d *Doc) OnUpdate(f func(t *Transaction)) (stop func()) {
	o, at := d.observing(), &f
	o.update = append(o.update, at)
	return func() { o.update = without(o.update, at) }
}

// without returns a copy, so that one may stop while all are called.
func without[F any](all []*F, f *F) []*F {
	return slices.DeleteFunc(slices.Clone(all), func(g *F) bool { return g == f })
}

// Observe calls f for each transaction that changed t itself: its list or its keys. The
// event is valid until f returns. f must not edit.
func (t Type) Observe(f func(*Event)) (stop func()) {
	o, at := t.doc.observing(), &f
	o.on[t.at] = append(o.on[t.at], at)
	o.types++
	return func() {
		o.types += len(without(o.on[t.at], at)) - len(o.on[t.at])
		o.on[t.at] = without(o.on[t.at], at)
	}
}

// ObserveDeep calls f for each transaction that changed t or types in it, with one
// event for each of them, those nearest to t first. The events are valid until f
// returns. f must not edit.
func (t Type) ObserveDeep(f func([]*Event)) (stop func()) {
	o, at := t.doc.observing(), &f
	o.deep[t.at] = append(o.deep[t.at], at)
	o.types++
	return func() {
		o.types += len(without(o.deep[t.at], at)) - len(o.deep[t.at])
		o.deep[t.at] = without(o.deep[t.at], at)
	}
}

// changes are the types that a transaction changed, in the order it did.
type changes struct {
	at   map[uint32]int // branch → its index in list
	list []change
}

type change struct {
	branch uint32
	list   bool     // elements came or went
	keys   []uint32 // chains that changed
}

// note notes that something in chain c changed. Types that are new in the transaction
// do not count as changed.
func (t *Transaction) note(c uint32) {
	d := t.doc
	ch := &d.chains[c]
	if holder := d.branches[ch.branch].item; holder != none {
		if it := &d.items[holder]; it.deleted() || it.clock >= t.before(it.client) {
			return
		}
	}
	at, ok := t.changes.at[ch.branch]
	if !ok {
		at = len(t.changes.list)
		t.changes.at[ch.branch] = at
		t.changes.list = append(t.changes.list, change{branch: ch.branch})
	}
	changed := &t.changes.list[at]
	if ch.isList() {
		changed.list = true
	} else if !slices.Contains(changed.keys, c) {
		changed.keys = append(changed.keys, c)
	}
}

// forgetChange says that branch b was deleted after it changed.
func (t *Transaction) forgetChange(b uint32) {
	if at, ok := t.changes.at[b]; ok {
		t.changes.list[at].branch = none
		delete(t.changes.at, b)
	}
}

// tell calls those who observe types.
func (d *Doc) tell(t *Transaction) {
	d.telling = true
	defer func() { d.telling = false }()
	o := d.observers
	deep := make(map[uint32][]*Event)
	var order []uint32
	for i := range t.changes.list {
		changed := &t.changes.list[i]
		if changed.branch == none || d.isGone(changed.branch) {
			continue
		}
		e := &Event{Target: Type{d, changed.branch}, Transaction: t, changed: changed}
		for _, f := range o.on[changed.branch] {
			e.from = changed.branch
			(*f)(e)
		}
		for at, ok := e.Target, true; ok; at, ok = at.Parent() {
			if len(o.deep[at.at]) == 0 {
				continue
			}
			if deep[at.at] == nil {
				order = append(order, at.at)
			}
			deep[at.at] = append(deep[at.at], e)
		}
	}
	for _, b := range order {
		events := deep[b]
		for _, e := range events {
			e.from = b
		}
		slices.SortStableFunc(events, func(x, y *Event) int { return len(x.Path()) - len(y.Path()) })
		for _, f := range o.deep[b] {
			(*f)(events)
		}
	}
}

// tellUpdate calls those who want updates.
func (d *Doc) tellUpdate(t *Transaction) {
	d.telling = true
	defer func() { d.telling = false }()
	for _, f := range d.observers.update {
		(*f)(t)
	}
}
