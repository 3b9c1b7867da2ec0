package lib0

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"unicode/utf8"
)

// Errors of a Reader, for errors.Is.
var (
	// ErrUnexpectedEnd says that the bytes end inside a value, or that a count claims
	// more elements than there are bytes left.
	ErrUnexpectedEnd = errors.New("unexpected end")
	// ErrRange says that an integer is beyond ±(2⁵³-1) or longer than ten bytes.
	ErrRange = errors.New("integer out of range")
	// ErrUTF8 says that a string is not valid UTF-8.
	ErrUTF8 = errors.New("invalid UTF-8")
	// ErrTag says that an any value has a tag that does not exist.
	ErrTag = errors.New("unknown tag of an any value")
	// ErrDepth says that an any value or a JSON text is nested too deeply.
	ErrDepth = errors.New("nested too deeply")
	// ErrSyntax says that a text is not JSON.
	ErrSyntax = errors.New("invalid JSON")
	// ErrTooMany says that a caller's budget of elements or of bytes is used up.
	ErrTooMany = errors.New("too many elements")
)

// Reader reads values from a slice, from front to back. After an error its offset is
// somewhere inside the value that could not be read.
type Reader struct {
	b      []byte
	off    int
	padded bool
}

// NewReader returns a Reader of b. Byte slices that it returns are views into b.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Reset makes r read b from its start.
func (r *Reader) Reset(b []byte) { *r = Reader{b: b} }

// Len returns the number of bytes left.
func (r *Reader) Len() int { return len(r.b) - r.off }

// Offset returns the number of bytes read.
func (r *Reader) Offset() int { return r.off }

// Padded reports whether an integer was read in a longer form than needed since
// the last ClearPadded.
func (r *Reader) Padded() bool { return r.padded }

// ClearPadded makes Padded false.
func (r *Reader) ClearPadded() { r.padded = false }

// Rest returns the bytes left, as a view, without reading them.
func (r *Reader) Rest() []byte { return r.b[r.off:] }

// Since returns a view of the bytes read since offset.
func (r *Reader) Since(offset int) []byte { return r.b[offset:r.off] }

// Byte reads one byte.
func (r *Reader) Byte() (byte, error) {
	if r.off >= len(r.b) {
		return 0, ErrUnexpectedEnd
	}
	r.off++
	return r.b[r.off-1], nil
}

// Bytes reads n bytes, as a view.
func (r *Reader) Bytes(n int) ([]byte, error) {
	if n < 0 || n > r.Len() {
		return nil, ErrUnexpectedEnd
	}
	r.off += n
	return r.b[r.off-n : r.off : r.off], nil
}

// VarUint reads an integer of at most MaxInt.
func (r *Reader) VarUint() (uint64, error) {
	if r.off < len(r.b) && r.b[r.off] < 0x80 {
		r.off++
		return uint64(r.b[r.off-1]), nil
	}
	return r.longVarUint()
}

// longVarUint reads integers without a loop: the two or three bytes of clocks, and up to
// eight, as client ids have.
func (r *Reader) longVarUint() (uint64, error) {
	if b := r.b[r.off:]; len(b) >= 8 {
		switch {
		case b[1]-1 < 0x7f:
			r.off += 2
			return uint64(b[0]&0x7f) | uint64(b[1])<<7, nil
		case b[1] >= 0x80 && b[2]-1 < 0x7f:
			r.off += 3
			return uint64(b[0]&0x7f) | uint64(b[1]&0x7f)<<7 | uint64(b[2])<<14, nil
		}
		x := binary.LittleEndian.Uint64(b)
		if ends := ^x & 0x8080_8080_8080_8080; ends != 0 {
			n := bits.TrailingZeros64(ends)>>3 + 1
			x &= ^uint64(0) >> (64 - 8*n)
			v := x&0x7f | x>>1&(0x7f<<7) | x>>2&(0x7f<<14) | x>>3&(0x7f<<21) |
				x>>4&(0x7f<<28) | x>>5&(0x7f<<35) | x>>6&(0x7f<<42) | x>>7&(0x7f<<49)
			if v <= MaxInt {
				r.off += n
				r.padded = r.padded || x>>(8*(n-1)) == 0
				return v, nil
			}
		}
	}
	return r.groups(0, 0)
}

// VarUints reads two integers, as ids are. The usual ones, a small number and a clock
// of up to three bytes, take no more than a look at each byte.
func (r *Reader) VarUints() (a, b uint64, err error) {
	if p := r.b[r.off:]; len(p) >= 4 && p[0] < 0x80 {
		switch {
		case p[1] < 0x80:
			r.off += 2
			return uint64(p[0]), uint64(p[1]), nil
		case p[2]-1 < 0x7f:
			r.off += 3
			return uint64(p[0]), uint64(p[1]&0x7f) | uint64(p[2])<<7, nil
		case p[2] >= 0x80 && p[3]-1 < 0x7f:
			r.off += 4
			return uint64(p[0]), uint64(p[1]&0x7f) | uint64(p[2]&0x7f)<<7 | uint64(p[3])<<14, nil
		}
	}
	if a, err = r.VarUint(); err == nil {
		b, err = r.VarUint()
	}
	return a, b, err
}

// groups reads groups of seven bits onto v, the first of them at shift.
func (r *Reader) groups(v uint64, shift uint) (uint64, error) {
	for n := int(shift+6) / 7; ; n++ {
		if r.off >= len(r.b) {
			return 0, ErrUnexpectedEnd
		}
		c := r.b[r.off]
		r.off++
		if n == 10 || shift > 56 && c&0x7f != 0 {
			return 0, ErrRange
		}
		if shift <= 56 {
			v |= uint64(c&0x7f) << shift
		}
		shift += 7
		if c < 0x80 {
			if c == 0 && shift > 7 {
				r.padded = true
			}
			if v > MaxInt {
				return 0, ErrRange
			}
			return v, nil
		}
	}
}

// VarInt reads an integer of at most MaxInt in magnitude. Negative zero reads as 0.
func (r *Reader) VarInt() (int64, error) {
	v, negative, err := r.SignedVarInt()
	if negative {
		return -int64(v), err
	}
	return int64(v), err
}

// SignedVarInt reads what AppendSignedVarInt writes.
func (r *Reader) SignedVarInt() (magnitude uint64, negative bool, err error) {
	if r.off >= len(r.b) {
		return 0, false, ErrUnexpectedEnd
	}
	c := r.b[r.off]
	r.off++
	magnitude, negative = uint64(c&0x3f), c&0x40 != 0
	if c >= 0x80 {
		magnitude, err = r.groups(magnitude, 6)
	}
	return magnitude, negative, err
}

// Count reads the number of elements that follow, each of at least one byte.
// A number beyond the bytes left is ErrUnexpectedEnd.
func (r *Reader) Count() (int, error) {
	n, err := r.VarUint()
	if err != nil {
		return 0, err
	}
	if n > uint64(r.Len()) {
		return 0, ErrUnexpectedEnd
	}
	return int(n), nil
}

// VarBytes reads bytes preceded by their length, as a view.
func (r *Reader) VarBytes() ([]byte, error) {
	n, err := r.Count()
	if err != nil {
		return nil, err
	}
	r.off += n
	return r.b[r.off-n : r.off : r.off], nil
}

// VarString reads a string, which must be valid UTF-8.
func (r *Reader) VarString() (string, error) {
	b, err := r.VarText()
	return string(b), err
}

// VarText reads a string, which must be valid UTF-8, as a view.
func (r *Reader) VarText() ([]byte, error) {
	b, err := r.VarBytes()
	if err == nil && !utf8.Valid(b) {
		return nil, ErrUTF8
	}
	return b, err
}

// Float32 reads four bytes, big-endian.
func (r *Reader) Float32() (float32, error) {
	b, err := r.Bytes(4)
	if err != nil {
		return 0, err
	}
	return math.Float32frombits(binary.BigEndian.Uint32(b)), nil
}

// Float64 reads eight bytes, big-endian.
func (r *Reader) Float64() (float64, error) {
	b, err := r.Bytes(8)
	if err != nil {
		return 0, err
	}
	return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
}
