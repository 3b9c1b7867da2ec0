package lib0

import "unicode/utf8"

// ByteColumn writes bytes as runs: value, length of the run less one. The length of
// the last run is left out.
type ByteColumn struct {
	buf   []byte
	value byte
	count uint64
}

// Reset empties c and keeps its memory.
func (c *ByteColumn) Reset() { *c = ByteColumn{buf: c.buf[:0]} }

// Write adds v.
func (c *ByteColumn) Write(v byte) {
	if c.count > 0 && c.value == v {
		c.count++
		return
	}
	if c.count > 0 {
		c.buf = AppendVarUint(c.buf, c.count-1)
	}
	c.buf = append(c.buf, v)
	c.value, c.count = v, 1
}

// Encode returns the column. It is valid until the next use of c.
func (c *ByteColumn) Encode() []byte { return c.buf }

// UintColumn writes integers as runs (lib0's UintOptRle).
type UintColumn struct {
	buf   []byte
	value uint64
	count uint64
}

// Reset empties c and keeps its memory.
func (c *UintColumn) Reset() { *c = UintColumn{buf: c.buf[:0]} }

// Write adds v, at most MaxInt.
func (c *UintColumn) Write(v uint64) {
	if c.value == v {
		c.count++
		return
	}
	c.flush()
	c.value, c.count = v, 1
}

func (c *UintColumn) flush() {
	if c.count > 0 {
		c.buf = AppendSignedVarInt(c.buf, c.value, c.count > 1)
		if c.count > 1 {
			c.buf = AppendVarUint(c.buf, c.count-2)
		}
		c.count = 0
	}
}

// Encode returns the column. It is valid until the next use of c; only Reset may follow.
func (c *UintColumn) Encode() []byte {
	c.flush()
	return c.buf
}

// DiffColumn writes integers as runs of equal differences (lib0's IntDiffOptRle).
type DiffColumn struct {
	buf   []byte
	value int64
	diff  int64
	count uint64
}

// Reset empties c and keeps its memory.
func (c *DiffColumn) Reset() { *c = DiffColumn{buf: c.buf[:0]} }

// Write adds v, at most MaxInt.
func (c *DiffColumn) Write(v uint64) {
	diff := int64(v) - c.value
	c.value = int64(v)
	if c.diff == diff {
		c.count++
		return
	}
	c.flush()
	c.diff, c.count = diff, 1
}

func (c *DiffColumn) flush() {
	if c.count > 0 {
		encoded := c.diff * 2
		if c.count > 1 {
			encoded++
		}
		c.buf = AppendVarInt(c.buf, encoded)
		if c.count > 1 {
			c.buf = AppendVarUint(c.buf, c.count-2)
		}
		c.count = 0
	}
}

// Encode returns the column. It is valid until the next use of c; only Reset may follow.
func (c *DiffColumn) Encode() []byte {
	c.flush()
	return c.buf
}

// TextColumn writes strings: all of them joined, and their lengths in UTF-16 units.
type TextColumn struct {
	text    []byte
	lengths UintColumn
	broken  bool
}

// Reset empties c and keeps its memory.
func (c *TextColumn) Reset() {
	c.text, c.broken = c.text[:0], false
	c.lengths.Reset()
}

// Write adds the UTF-8 string s of that many units.
func (c *TextColumn) Write(s []byte, units uint64) {
	c.text = append(c.text, s...)
	c.lengths.Write(units)
}

// WriteWTF adds the WTF-8 string s. Halves of a pair that come to stand next to each
// other in the column are joined there.
func (c *TextColumn) WriteWTF(s []byte) {
	c.broken = true
	c.Write(s, uint64(Units(s)))
}

// Begin starts a string of that many units, whose text Extend adds in pieces.
func (c *TextColumn) Begin(units uint64) { c.lengths.Write(units) }

// Extend adds s to the string that Begin started.
func (c *TextColumn) Extend(s []byte) { c.text = append(c.text, s...) }

// ExtendWTF is Extend for WTF-8.
func (c *TextColumn) ExtendWTF(s []byte) {
	c.broken = true
	c.text = append(c.text, s...)
}

// AppendTo appends the column. Only Reset may follow.
func (c *TextColumn) AppendTo(dst []byte) []byte {
	if c.broken {
		dst = AppendVarBytes(dst, AppendWellFormed(nil, c.text))
	} else {
		dst = AppendVarBytes(dst, c.text)
	}
	return append(dst, c.lengths.Encode()...)
}

// ByteColumnReader reads what ByteColumn writes.
type ByteColumnReader struct {
	r     Reader
	value byte
	left  uint64
	ever  bool // the last run: it has no end
}

// Reset makes c read b.
func (c *ByteColumnReader) Reset(b []byte) { *c = ByteColumnReader{r: Reader{b: b}} }

// Read returns the next value. The last run repeats for ever.
func (c *ByteColumnReader) Read() (byte, error) {
	if c.left == 0 && !c.ever {
		v, err := c.r.Byte()
		if err != nil {
			return 0, err
		}
		c.value = v
		if c.r.Len() == 0 {
			c.ever = true
			return v, nil
		}
		n, err := c.r.VarUint()
		if err != nil {
			return 0, err
		}
		c.left = n + 1
	}
	if !c.ever {
		c.left--
	}
	return c.value, nil
}

// UintColumnReader reads what UintColumn writes.
type UintColumnReader struct {
	r     Reader
	value uint64
	left  uint64
}

// Reset makes c read b.
func (c *UintColumnReader) Reset(b []byte) { *c = UintColumnReader{r: Reader{b: b}} }

// Read returns the next value. Past the end it is ErrUnexpectedEnd.
func (c *UintColumnReader) Read() (uint64, error) {
	if c.left == 0 {
		v, counted, err := c.r.SignedVarInt()
		if err != nil {
			return 0, err
		}
		c.value, c.left = v, 1
		if counted {
			n, err := c.r.VarUint()
			if err != nil {
				return 0, err
			}
			c.left = n + 2
		}
	}
	c.left--
	return c.value, nil
}

// DiffColumnReader reads what DiffColumn writes.
type DiffColumnReader struct {
	r     Reader
	value int64
	diff  int64
	left  uint64
}

// Reset makes c read b.
func (c *DiffColumnReader) Reset(b []byte) { *c = DiffColumnReader{r: Reader{b: b}} }

// Read returns the next value. Past the end it is ErrUnexpectedEnd; a value that is
// negative or above MaxInt is ErrRange.
func (c *DiffColumnReader) Read() (uint64, error) {
	if c.left == 0 {
		v, negative, err := c.r.SignedVarInt()
		if err != nil {
			return 0, err
		}
		// The lowest bit says that a count follows, and the rest is the difference,
		// rounded down: -1 is a difference of -1 with a count.
		encoded := int64(v)
		if negative {
			encoded = -encoded
		}
		c.diff, c.left = encoded>>1, 1
		if encoded&1 != 0 {
			n, err := c.r.VarUint()
			if err != nil {
				return 0, err
			}
			c.left = n + 2
		}
	}
	c.left--
	c.value += c.diff
	if c.value < 0 || c.value > MaxInt {
		return 0, ErrRange
	}
	return uint64(c.value), nil
}

// TextColumnReader reads what TextColumn writes.
type TextColumnReader struct {
	text    []byte
	lengths UintColumnReader
	all     int  // bytes of the column before its lengths
	low     rune // the half of a pair that the last string left over
	err     error
}

// Reset makes c read b. Faults are reported by Read.
func (c *TextColumnReader) Reset(b []byte) {
	r := Reader{b: b}
	text, err := r.VarText()
	*c = TextColumnReader{text: text, all: r.Offset(), err: err}
	c.lengths.Reset(r.Rest())
}

// Offset returns how many bytes of the column lie before the next string.
func (c *TextColumnReader) Offset() int { return c.all - len(c.text) }

// Read returns the next string and its length in units. Usually that is a view of
// UTF-8. A string that begins or ends within a pair is appended to *aux as WTF-8 and
// returned from there; wtf is then true.
func (c *TextColumnReader) Read(aux *[]byte) (s []byte, units uint64, wtf bool, err error) {
	if c.err != nil {
		return nil, 0, false, c.err
	}
	units, err = c.lengths.Read()
	if err != nil {
		return nil, 0, false, err
	}
	if units == 0 {
		return nil, 0, false, nil
	}
	need := units
	low := c.low
	if low != 0 {
		need--
		c.low = 0
	}
	if need > uint64(len(c.text)) {
		return nil, 0, false, ErrUnexpectedEnd
	}
	n, split := CutUnits(c.text, int(need))
	if !split && n == len(c.text) && uint64(Units(c.text)) < need {
		return nil, 0, false, ErrUnexpectedEnd
	}
	s = c.text[:n:n]
	c.text = c.text[n:]
	if low == 0 && !split {
		return s, units, false, nil
	}
	start := len(*aux)
	if low != 0 {
		*aux = AppendSurrogate(*aux, low)
	}
	*aux = append(*aux, s...)
	if split {
		r, size := utf8.DecodeRune(c.text)
		*aux = AppendSurrogate(*aux, 0xd800+(r-0x10000)>>10)
		c.low = 0xdc00 + (r-0x10000)&0x3ff
		c.text = c.text[size:]
	}
	return (*aux)[start:], units, true, nil
}
