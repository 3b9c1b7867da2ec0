package ydoc

// pending is what waits for updates that have not come.
type pending struct {
	structs []byte // updates, V2, one after the other
	sizes   []int
	missing map[ClientID]uint64 // the lowest clock of each client that some of it lacks
	due     bool                // one has
	deletes DeleteSet
}

// Pending reports whether the document holds structs or deletions back, because they
// refer to what has not come yet.
func (d *Doc) Pending() bool { return d.pending != nil }

// waits returns what waits, and makes it.
func (d *Doc) waits() *pending {
	if d.pending == nil {
		d.pending = new(pending)
	}
	return d.pending
}

// add keeps u, which misses what is given.
func (p *pending) add(d *Doc, u *Update, missing []ID) {
	from := len(p.structs)
	p.structs = u.Append(p.structs, V2)
	p.sizes = append(p.sizes, len(p.structs)-from)
	if p.missing == nil {
		p.missing = make(map[ClientID]uint64)
	}
	for _, id := range missing {
		clock, ok := p.missing[id.Client]
		if !ok || uint64(id.Clock) < clock {
			p.missing[id.Client] = uint64(id.Clock)
		}
		if i := d.clientAt(id.Client); i != none {
			p.look(&d.clients[i])
		}
	}
}

// look finds out whether something waits for what c has now.
func (p *pending) look(c *client) {
	if clock, ok := p.missing[c.id]; ok && clock < uint64(c.next) {
		p.due = true
	}
}

// take returns what waits, and takes it out, if something came that it waits for.
func (p *pending) take(d *Doc) *Update {
	for _, i := range d.tx.touched {
		p.look(&d.clients[i])
	}
	if !p.due {
		return nil
	}
	u := p.update()
	p.structs, p.sizes, p.missing, p.due = nil, nil, nil, false
	return u
}

// update returns the merge of all structs that wait. What one writer collected and
// another did not waits no longer than it has to: a GC struct refers to nothing.
func (p *pending) update() *Update {
	m := Merger{Exact: true}
	m.u.gcFirst = true
	b := p.structs
	for _, size := range p.sizes {
		m.Add(b[:size:size], V2) // ours
		b = b[size:]
	}
	return m.Update()
}

// settle forgets pending if nothing waits any more.
func (d *Doc) settle() {
	if p := d.pending; p != nil && len(p.sizes) == 0 && p.deletes.Len() == 0 {
		d.pending = nil
	}
}

// checkPending refuses u if it has to wait and too much does already.
func (d *Doc) checkPending(u *Update) error {
	size := 0
	for _, src := range u.srcs {
		size += len(src)
	}
	if d.pending != nil {
		size += len(d.pending.structs) + d.pending.deletes.Len()*24
	}
	if size > d.opts.MaxPending && !u.Ready(d.StateVector()) {
		return tooLarge(0, "pending structs")
	}
	return nil
}
