package sqlite

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/heapsync/heapsync/blocks"
)

// castagnoli is CRC-32C, which the machine computes itself. It finds every single
// flipped bit and every burst of up to 32.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// summer computes checksums over a row's numbers and bytes. It belongs to one
// goroutine; its buffer only saves an allocation for each row.
type summer struct{ buf []byte }

func (s *summer) numbers(numbers ...int64) []byte {
	s.buf = s.buf[:0]
	for _, n := range numbers {
		s.buf = binary.LittleEndian.AppendUint64(s.buf, uint64(n))
	}
	return s.buf
}

func (s *summer) sum(bytes []byte, numbers ...int64) int64 {
	crc := crc32.Update(0, castagnoli, s.numbers(numbers...))
	return int64(crc32.Update(crc, castagnoli, bytes))
}

func (s *summer) updateSum(r *updateRow) int64 {
	return s.sum(r.bytes, int64(r.seq), r.ref, r.prev, r.actor, r.at)
}

func (s *summer) heldSum(ref, actor, at int64, bytes []byte) int64 {
	return s.sum(bytes, ref, actor, at)
}

// snapshotSum is over the bytes as they are stored: compressed.
func (s *summer) snapshotSum(ref, seq int64, state []byte) int64 {
	return s.sum(state, ref, seq)
}

// windowSum is over the bytes as they are stored: compressed.
func (s *summer) windowSum(r *windowRow) int64 {
	crc := uint32(s.sum(r.bytes, r.ref, r.after, r.to, r.firstAt, r.lastAt, r.updates, r.size, r.level))
	return int64(crc32.Update(crc, castagnoli, r.authors))
}

func (s *summer) versionSum(ref, seq, at, actor int64, id, name string) int64 {
	s.buf = append(append(append(s.buf[:0], id...), 0), name...)
	crc := crc32.Update(0, castagnoli, s.buf)
	return int64(crc32.Update(crc, castagnoli, s.numbers(ref, seq, at, actor)))
}

// headSum covers what a commit writes of a head at seq. What other writes change
// can be counted again from the rows.
func (s *summer) headSum(h *blocks.Head, seq blocks.Seq) int64 {
	crc := uint32(s.sum(h.StateVector, int64(seq), h.SyncVersion, h.Bytes,
		int64(h.Shape.Depth), h.Shape.Items, h.Shape.Branches, number(h.Shape.Keyed), number(h.Shape.Wide)))
	s.buf = append(append(append(s.buf[:0], h.Key.Block...), 0), h.Type...)
	return int64(crc32.Update(crc, castagnoli, s.buf))
}
