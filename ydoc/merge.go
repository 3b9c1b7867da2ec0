package ydoc

// Merger collects updates that were accepted before, and merges them as bytes. It
// keeps references to what Add is given until Reset, and its memory for the next
// use. The zero value is ready.
type Merger struct {
	// Exact makes Append and AppendDiff write what Y.mergeUpdates would, struct by
	// struct. Otherwise neighbours that are one run become one struct: contiguous
	// clocks, the right one's origin the left one's last element, the same right
	// origin, both Deleted, String, Any or JSON; and any two GC structs. What may be
	// values of a key, each of which replaces the one before, stays apart: elements
	// and text that are not known to be in a list, because they are beside something
	// the merge does not have. (Any and JSON elements join if both are deleted.)
	Exact bool

	// Keyless says that the document has no values of keys, in maps or as attributes
	// of XML elements: then all text that is one run is joined.
	Keyless bool

	u     Update
	d     decoder
	dirty bool
}

// Reset forgets all updates.
func (m *Merger) Reset() {
	m.u.reset()
	m.dirty = false
}

// Add adds an update that was accepted before. Garbage is a *DecodeError, and then
// nothing is added; but unlike DecodeUpdate it bounds no counts, sizes and depths,
// does not look whether JSON text is JSON and whether options of subdocuments do
// harm. Memory is bounded by the size of b, and for V2 by a million structs and more.
func (m *Merger) Add(b []byte, f Format) error {
	u := &m.u
	nodes, parents, srcs, types, subs, mixed := len(u.nodes), len(u.parents), len(u.srcs), u.types, u.subs, u.mixed
	blocks, deletes := len(u.blocks), len(u.deletes.ranges)
	var lastBlock block
	var lastDelete deletion
	if blocks > 0 {
		lastBlock = u.blocks[blocks-1]
	}
	if deletes > 0 {
		lastDelete = u.deletes.ranges[deletes-1]
	}
	m.d.set, m.d.lim = &u.set, trusted
	m.dirty = true
	if err := m.d.update(b, f); err != nil {
		u.nodes, u.parents, u.srcs = u.nodes[:nodes], u.parents[:parents], u.srcs[:max(srcs, 1)]
		u.types, u.subs, u.mixed = types, subs, mixed
		u.blocks, u.deletes.ranges = u.blocks[:blocks], u.deletes.ranges[:deletes]
		if blocks > 0 {
			u.blocks[blocks-1] = lastBlock
		}
		if deletes > 0 {
			u.deletes.ranges[deletes-1] = lastDelete
		}
		return err
	}
	return nil
}

var trusted = trustedLimits()

// Update returns the merge. It is valid until the next Add or Reset.
func (m *Merger) Update() *Update {
	if m.dirty {
		m.u.order()
		m.dirty = false
	}
	return &m.u
}

// Append appends the merge of all updates added.
func (m *Merger) Append(dst []byte, f Format) []byte { return m.append(dst, f, nil) }

// AppendDiff appends what the merge has and since does not know: structs cut at the
// clocks of since, and all deletions.
func (m *Merger) AppendDiff(dst []byte, f Format, since StateVector) []byte {
	return m.append(dst, f, &since)
}

func (m *Merger) append(dst []byte, f Format, since *StateVector) []byte {
	e := newEncoder(m.Update(), encoding{format: f, join: !m.Exact, keyless: m.Keyless, joinGC: m.Exact, since: since})
	defer e.free()
	return e.encode(dst)
}

// StateVector returns what a document knows that applied all updates added.
func (m *Merger) StateVector() StateVector { return m.Update().StateVector() }

// MergeUpdates merges updates that were accepted before, as Merger does. One update
// alone is checked and rewritten too; none at all gives the empty update.
func MergeUpdates(f Format, updates ...[]byte) ([]byte, error) {
	m := mergers.Get().(*Merger)
	defer m.free()
	for _, b := range updates {
		if err := m.Add(b, f); err != nil {
			return nil, err
		}
	}
	return m.Append(nil, f), nil
}
