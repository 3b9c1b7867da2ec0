package lib0

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// MaxInt is the largest integer that may be encoded, 2⁵³-1: the largest that
// JavaScript numbers count to without a gap.
const MaxInt = 1<<53 - 1

// AppendVarUint appends v in its shortest form, seven bits a byte, least
// significant group first. v must be at most MaxInt for others to read it.
func AppendVarUint(dst []byte, v uint64) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

// SizeVarUint returns how many bytes AppendVarUint appends for v.
func SizeVarUint(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// AppendVarInt appends v as sign and magnitude. Its magnitude must be at most MaxInt.
func AppendVarInt(dst []byte, v int64) []byte {
	if v < 0 {
		return AppendSignedVarInt(dst, uint64(-v), true)
	}
	return AppendSignedVarInt(dst, uint64(v), false)
}

// AppendSignedVarInt appends magnitude with its sign given apart, because the
// encoding knows a negative zero: the number -0, and in run-length columns a zero
// that has a count.
func AppendSignedVarInt(dst []byte, magnitude uint64, negative bool) []byte {
	first := byte(magnitude & 0x3f)
	if negative {
		first |= 0x40
	}
	magnitude >>= 6
	if magnitude == 0 {
		return append(dst, first)
	}
	return AppendVarUint(append(dst, first|0x80), magnitude)
}

// AppendVarBytes appends the length of b and b.
func AppendVarBytes(dst, b []byte) []byte {
	return append(AppendVarUint(dst, uint64(len(b))), b...)
}

// AppendVarString appends the length of s in bytes and s. Bytes that are not valid
// UTF-8, and surrogate halves encoded as WTF-8, become U+FFFD, one for each half.
func AppendVarString(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = string(AppendWellFormed(nil, []byte(s)))
	}
	return append(AppendVarUint(dst, uint64(len(s))), s...)
}

// AppendFloat32 appends f, big-endian.
func AppendFloat32(dst []byte, f float32) []byte {
	return binary.BigEndian.AppendUint32(dst, math.Float32bits(f))
}

// AppendFloat64 appends f, big-endian.
func AppendFloat64(dst []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(f))
}

// AppendWellFormed appends the WTF-8 string s as UTF-8: a pair of halves that stand
// next to each other becomes its character, every other half becomes U+FFFD.
func AppendWellFormed(dst, s []byte) []byte {
	for len(s) > 0 {
		if hi := Surrogate(s); hi != 0 {
			lo := Surrogate(s[3:])
			if hi < 0xdc00 && lo >= 0xdc00 {
				dst = utf8.AppendRune(dst, 0x10000+(hi-0xd800)<<10+(lo-0xdc00))
				s = s[6:]
			} else {
				dst = utf8.AppendRune(dst, utf8.RuneError)
				s = s[3:]
			}
			continue
		}
		r, n := utf8.DecodeRune(s)
		dst = utf8.AppendRune(dst, r)
		s = s[n:]
	}
	return dst
}

// Surrogate returns the surrogate half that s begins with in WTF-8, or 0.
func Surrogate(s []byte) rune {
	if len(s) < 3 || s[0] != 0xed || s[1] < 0xa0 || s[1] > 0xbf || s[2]&0xc0 != 0x80 {
		return 0
	}
	return 0xd000 | rune(s[1]&0x3f)<<6 | rune(s[2]&0x3f)
}

// AppendSurrogate appends half, a UTF-16 surrogate, as WTF-8.
func AppendSurrogate(dst []byte, half rune) []byte {
	return append(dst, 0xed, 0x80|byte(half>>6)&0x3f, 0x80|byte(half)&0x3f)
}

// ascii returns how many bytes at the start of s, in steps of 8, are ASCII.
func ascii(s []byte) int {
	n := 0
	for ; len(s)-n >= 8; n += 8 {
		if binary.LittleEndian.Uint64(s[n:])&0x8080_8080_8080_8080 != 0 {
			break
		}
	}
	return n
}

// Units returns the length of the WTF-8 string s in UTF-16 code units. Each invalid
// byte counts as one.
func Units(s []byte) int {
	n := ascii(s)
	for i := n; i < len(s); {
		if s[i] < utf8.RuneSelf {
			n++
			i++
			continue
		}
		if Surrogate(s[i:]) != 0 {
			n++
			i += 3
			continue
		}
		r, size := utf8.DecodeRune(s[i:])
		n++
		if r > 0xffff {
			n++
		}
		i += size
	}
	return n
}

// ValidUnits reports whether s is valid UTF-8, and if so its length in UTF-16 code
// units, in one pass.
func ValidUnits(s []byte) (units int, ok bool) {
	n := ascii(s)
	for i := n; i < len(s); {
		if s[i] < utf8.RuneSelf {
			n++
			i++
			continue
		}
		r, size := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && size == 1 {
			return 0, false
		}
		n++
		if r > 0xffff {
			n++
		}
		i += size
	}
	return n, true
}

// CutUnits returns how many bytes of the WTF-8 string s make up its first units
// UTF-16 code units. If that falls between the halves of a pair, split is true and
// the returned offset is in front of the pair's four bytes. units must be at most
// Units(s).
func CutUnits(s []byte, units int) (offset int, split bool) {
	for units > 0 && offset < len(s) {
		if s[offset] < utf8.RuneSelf {
			offset++
			units--
			continue
		}
		if Surrogate(s[offset:]) != 0 {
			offset += 3
			units--
			continue
		}
		r, size := utf8.DecodeRune(s[offset:])
		if r > 0xffff {
			if units == 1 {
				return offset, true
			}
			units--
		}
		units--
		offset += size
	}
	return offset, false
}
