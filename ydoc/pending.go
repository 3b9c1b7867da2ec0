package ydoc

// pending is what waits for updates that have not come.
type pending struct {
	structs []byte // updates, V2, one after the other
	sizes   []int
	missing []ID // any of them may let some of it go
	deletes DeleteSet
}

// Pending reports whether the document holds structs or deletions back, because they
// refer to what has not come yet.
func (d *Doc) Pending() bool { return d.pending != nil }

// wait returns what waits, and makes it.
func (d *Doc) wait() *pending {
	if d.pending == nil {
		d.pending = new(pending)
	}
	return d.pending
}

func (p *pending) add(u *Update, missing []ID) {
	from := len(p.structs)
	p.structs = u.Append(p.structs, V2)
	p.sizes = append(p.sizes, len(p.structs)-from)
	p.missing = append(p.missing, missing...)
}

// ready returns what waits, and takes it out, if something came that it waits for.
func (p *pending) ready(d *Doc) []*Update {
	for _, id := range p.missing {
		if i := d.clientAt(id.Client); i != none && uint64(id.Clock) < uint64(d.clients[i].next) {
			u := p.update()
			p.structs, p.sizes, p.missing = nil, nil, nil
			return []*Update{u}
		}
	}
	return nil
}

// update returns the merge of all structs that wait.
func (p *pending) update() *Update {
	m := Merger{Exact: true}
	b := p.structs
	for _, size := range p.sizes {
		m.Add(b[:size:size], V2) // ours
		b = b[size:]
	}
	return m.Update()
}

// settle forgets p if nothing waits any more.
func (p *pending) settle(at **pending) {
	if p != nil && len(p.sizes) == 0 && p.deletes.Len() == 0 {
		*at = nil
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
