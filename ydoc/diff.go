package ydoc

import "sync"

var mergers = sync.Pool{New: func() any { return new(Merger) }}

// free puts m into the pool, unless it has grown large.
func (m *Merger) free() {
	m.Reset()
	m.Exact = false
	size := (cap(m.u.nodes)+cap(m.u.spare))*nodeSize + cap(m.u.srcs)*24
	if len(m.u.srcs) > 0 {
		size += cap(m.u.srcs[0])
	}
	if size <= maxPooled {
		mergers.Put(m)
	}
}

// nodeSize is the size of a node in memory.
const nodeSize = 64

// DiffUpdate returns what update has and since does not know, with all of its
// deletions, joined as Merger does. update must have been accepted before.
func DiffUpdate(f Format, update []byte, since StateVector) ([]byte, error) {
	m := mergers.Get().(*Merger)
	defer m.free()
	if err := m.Add(update, f); err != nil {
		return nil, err
	}
	return m.AppendDiff(nil, f, since), nil
}

// StateVectorOf returns Update.StateVector of an update that was accepted before.
func StateVectorOf(f Format, update []byte) (StateVector, error) {
	m := mergers.Get().(*Merger)
	defer m.free()
	if err := m.Add(update, f); err != nil {
		return StateVector{}, err
	}
	return m.StateVector(), nil
}
