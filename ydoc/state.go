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

func (d *Doc) appendDeletes(ranges []deletion) []deletion {
	for _, i := range d.descending() {
		c := &d.clients[i]
		open := false
		for p := range c.run.pages {
			for _, e := range c.run.pages[p].entries {
				it := &d.items[e.item]
				switch {
				case !it.deleted():
					open = false
				case open:
					ranges[len(ranges)-1].to = uint64(it.end())
				default:
					ranges = append(ranges, deletion{c.id, uint64(it.clock), uint64(it.end())})
					open = true
				}
			}
		}
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
