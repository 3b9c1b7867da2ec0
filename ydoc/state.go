package ydoc

import "slices"

// Encode returns the whole state as one update, what waits for others included. The
// bytes are those of Y.encodeStateAsUpdate.
func (d *Doc) Encode(f Format) []byte { return d.EncodeDiff(f, StateVector{}) }

// EncodeDiff returns what since does not know, and all deletions.
func (d *Doc) EncodeDiff(f Format, since StateVector) []byte {
	w := newWriter(d, f)
	defer w.free()
	for _, i := range d.descending() {
		c := &d.clients[i]
		if next := since.Next(c.id); next < Clock(c.next) {
			w.want(i, uint32(next))
		}
	}
	w.ranges = d.appendDeletes(w.ranges[:0])
	state := w.write(DeleteSet{ranges: w.ranges, sorted: true})
	if d.pending == nil {
		return state
	}
	m := Merger{Exact: true}
	m.Add(state, f) // ours, like what waits
	if d.pending.deletes.Len() > 0 {
		u := Update{}
		u.deletes = d.pending.deletes
		m.Add(u.Append(nil, V2), V2)
	}
	if len(d.pending.sizes) > 0 {
		m.Add(d.pending.update().encodeSince(since), V2)
	}
	return m.Append(nil, f)
}

// encodeSince encodes u in V2 without what since knows.
func (u *Update) encodeSince(since StateVector) []byte {
	e := newEncoder(u, encoding{format: V2, since: &since})
	defer e.free()
	return e.encode(nil)
}

// deletes returns all that is deleted.
func (d *Doc) deletes() DeleteSet {
	return DeleteSet{ranges: d.appendDeletes(nil), sorted: true}
}

// appendDeletes appends what is deleted. Where that begins and ends there is no guessing,
// so it does without branches: every item writes the range that may go on.
func (d *Doc) appendDeletes(ranges []deletion) []deletion {
	for _, i := range d.descending() {
		c := &d.clients[i]
		last := deletion{client: c.id}
		n, open := len(ranges), 0
		for p := range c.run.pages {
			entries := c.run.pages[p].entries
			ranges = slices.Grow(ranges[:n], len(entries)+1)
			room := ranges[:cap(ranges)]
			for _, e := range entries {
				it := &d.items[e.item]
				deleted := int(it.flags / isDeleted & 1)
				from, to := uint64(it.clock), uint64(it.end())
				if open != 0 {
					from = last.from
				}
				if deleted == 0 {
					from, to = last.from, last.to
				}
				last.from, last.to = from, to
				room[n] = last
				n += open &^ deleted
				open = deleted
			}
		}
		ranges = ranges[:n+open]
	}
	return ranges
}

// Update returns what the transaction did as one update, and nil if it did nothing. The
// bytes are the caller's.
func (t *Transaction) Update(f Format) []byte {
	if t.Empty() {
		return nil
	}
	d := t.doc
	w := newWriter(d, f)
	defer w.free()
	if len(t.touched) > 1 {
		slices.SortFunc(t.touched, func(a, b uint32) int {
			return compareDescending(d.clients[a].id, d.clients[b].id)
		})
	}
	for _, i := range t.touched {
		w.want(i, d.clients[i].before)
	}
	return w.write(t.deletes)
}
