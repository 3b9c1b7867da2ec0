package ydoc

import (
	"sync"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

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
// deletions; only structs that since knows in part are changed. update must have
// been accepted before.
func DiffUpdate(f Format, update []byte, since StateVector) ([]byte, error) {
	if f == V1 {
		if diff, ok := diffV1(update, since); ok {
			return diff, nil
		}
	}
	m := mergers.Get().(*Merger)
	defer m.free()
	if err := m.Add(update, f); err != nil {
		return nil, err
	}
	m.Exact = true
	return m.AppendDiff(nil, f, since), nil
}

func diffV1(update []byte, since StateVector) ([]byte, bool) {
	dst, at, ok := scanDiff(nil, update, since)
	if !ok {
		return nil, false
	}
	if end := scanDeletes(update, at); end >= 0 {
		return append(dst, update[at:end]...), true
	}
	var ds DeleteSet
	r := lib0.NewReader(update[at:])
	if ds.read(r, V1, lib0.MaxInt, len(update)) != nil {
		return nil, false
	}
	ds.normalise()
	return ds.append(dst, V1), true
}

// StateVectorOf returns Update.StateVector of an update that was accepted before.
func StateVectorOf(f Format, update []byte) (StateVector, error) {
	if f == V1 {
		if sv, ok := scanStateVector(update); ok {
			return sv, nil
		}
	}
	m := mergers.Get().(*Merger)
	defer m.free()
	if err := m.Add(update, f); err != nil {
		return StateVector{}, err
	}
	return m.StateVector(), nil
}
