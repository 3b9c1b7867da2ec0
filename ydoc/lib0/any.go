package lib0

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Tags of any values.
const (
	tagUndefined = 127 - iota
	tagNull
	tagInteger
	tagFloat32
	tagFloat64
	tagBigInt
	tagFalse
	tagTrue
	tagString
	tagObject
	tagArray
	tagBytes
)

// Undefined is JavaScript's undefined, which is not null.
type Undefined struct{}

// BigInt is a JavaScript bigint, which is not a number. Larger ones wrap on the wire.
type BigInt int64

// Member is one member of an Object.
type Member struct {
	Key   string
	Value any
}

// Object is a JavaScript object. Its members are in JavaScript's order of own keys
// after Ordered.
type Object []Member

// Ordered returns o as JavaScript would hold it after setting the members in turn:
// keys that are array indexes first, in numeric order, then the others by first
// appearance; the last value of a repeated key wins.
func (o Object) Ordered() Object {
	at := make(map[string]int, len(o))
	var indexes, others Object
	for _, m := range o {
		if i, ok := at[m.Key]; ok {
			if _, isIndex := arrayIndex(m.Key); isIndex {
				indexes[i].Value = m.Value
			} else {
				others[i].Value = m.Value
			}
			continue
		}
		if _, ok := arrayIndex(m.Key); ok {
			at[m.Key] = len(indexes)
			indexes = append(indexes, m)
		} else {
			at[m.Key] = len(others)
			others = append(others, m)
		}
	}
	slices.SortStableFunc(indexes, func(a, b Member) int {
		i, _ := arrayIndex(a.Key)
		j, _ := arrayIndex(b.Key)
		return int(i) - int(j)
	})
	return append(indexes, others...)
}

// arrayIndex returns the number that key is the canonical decimal text of, if it is
// one of 0..2³²-2.
func arrayIndex(key string) (uint64, bool) {
	if key == "" || len(key) > 10 || key[0] == '0' && len(key) > 1 {
		return 0, false
	}
	n, err := strconv.ParseUint(key, 10, 64)
	return n, err == nil && key[0] != '+' && n < math.MaxUint32
}

// AppendAny appends v, which must be one of nil (JavaScript's null), Undefined, bool,
// int, int64, float64, BigInt, string, []byte, []any or Object, to any depth. It
// panics at other types. Numbers take the form that JavaScript gives them, and
// objects its order of members.
func AppendAny(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, tagNull)
	case Undefined:
		return append(dst, tagUndefined)
	case bool:
		if v {
			return append(dst, tagTrue)
		}
		return append(dst, tagFalse)
	case int:
		return appendNumber(dst, float64(v))
	case int64:
		return appendNumber(dst, float64(v))
	case float64:
		return appendNumber(dst, v)
	case BigInt:
		return binary.BigEndian.AppendUint64(append(dst, tagBigInt), uint64(v))
	case string:
		return AppendVarString(append(dst, tagString), v)
	case []byte:
		return AppendVarBytes(append(dst, tagBytes), v)
	case []any:
		dst = AppendVarUint(append(dst, tagArray), uint64(len(v)))
		for _, e := range v {
			dst = AppendAny(dst, e)
		}
		return dst
	case Object:
		v = v.Ordered()
		dst = AppendVarUint(append(dst, tagObject), uint64(len(v)))
		for _, m := range v {
			dst = AppendAny(AppendVarString(dst, m.Key), m.Value)
		}
		return dst
	}
	panic(fmt.Sprintf("lib0: no any value: %T", v))
}

func appendNumber(dst []byte, f float64) []byte {
	switch {
	case f == math.Trunc(f) && math.Abs(f) <= math.MaxInt32:
		return AppendSignedVarInt(append(dst, tagInteger), uint64(math.Abs(f)), math.Signbit(f))
	case float64(float32(f)) == f:
		return AppendFloat32(append(dst, tagFloat32), float32(f))
	case f != f:
		return AppendFloat64(append(dst, tagFloat64), math.Float64frombits(0x7ff8000000000000))
	}
	return AppendFloat64(append(dst, tagFloat64), f)
}

// Budget bounds what SkipAny and Any accept. Elements counts down.
type Budget struct {
	Depth     int // arrays and objects inside each other
	Elements  int // values in all, members and elements included
	MaxString int // bytes of one string or byte string

	// JSON refuses, as ErrTag, what JSON.stringify has no text for: bigints, and a
	// value that as a whole is undefined.
	JSON bool
}

// Members reads the head of an any value that is an object and returns its number
// of members, each of which is a varString and an any. Other values are ErrTag.
func (r *Reader) Members() (int, error) {
	tag, err := r.Byte()
	if err != nil {
		return 0, err
	}
	if tag != tagObject {
		return 0, ErrTag
	}
	return r.Count()
}

// PeekAny tells without reading it what the next any value is.
func (r *Reader) PeekAny() (null, boolean, text bool) {
	if r.Len() == 0 {
		return false, false, false
	}
	tag := r.b[r.off]
	return tag == tagNull, tag == tagTrue || tag == tagFalse, tag == tagString
}

// Any reads one any value into the types that AppendAny takes; every number is a
// float64. Nothing in it refers to the Reader's bytes.
func (r *Reader) Any(budget *Budget) (any, error) {
	start := r.off
	if err := r.SkipAny(budget); err != nil {
		return nil, err
	}
	r.off = start
	return r.any()
}

// any reads a value that SkipAny found to be sound.
func (r *Reader) any() (any, error) {
	tag, err := r.Byte()
	if err != nil {
		return nil, err
	}
	switch tag {
	case tagUndefined:
		return Undefined{}, nil
	case tagNull:
		return nil, nil
	case tagTrue, tagFalse:
		return tag == tagTrue, nil
	case tagInteger:
		v, negative, err := r.SignedVarInt()
		if negative {
			return math.Copysign(float64(v), -1), err
		}
		return float64(v), err
	case tagFloat32:
		f, err := r.Float32()
		return float64(f), err
	case tagFloat64:
		return r.Float64()
	case tagBigInt:
		b, err := r.Bytes(8)
		if err != nil {
			return nil, err
		}
		return BigInt(binary.BigEndian.Uint64(b)), nil
	case tagString:
		return r.VarString()
	case tagBytes:
		b, err := r.VarBytes()
		return append([]byte{}, b...), err
	case tagArray:
		n, err := r.Count()
		if err != nil {
			return nil, err
		}
		list := make([]any, 0, n)
		for range n {
			v, err := r.any()
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case tagObject:
		n, err := r.Count()
		if err != nil {
			return nil, err
		}
		o := make(Object, 0, n/2)
		for range n {
			key, err := r.VarString()
			if err != nil {
				return nil, err
			}
			v, err := r.any()
			if err != nil {
				return nil, err
			}
			o = append(o, Member{key, v})
		}
		return o, nil
	}
	return nil, ErrTag
}

// SkipAny reads over one any value and checks all of it, without recursion and
// without allocating for values nested fewer than 128 deep.
func (r *Reader) SkipAny(budget *Budget) error {
	type level struct {
		left   int
		object bool
	}
	var fixed [16]level
	open := fixed[:0]
	for {
		if budget.Elements--; budget.Elements < 0 {
			return ErrTooMany
		}
		tag, err := r.Byte()
		if err != nil {
			return err
		}
		if budget.JSON && (tag == tagBigInt || tag == tagUndefined && len(open) == 0) {
			return ErrTag
		}
		switch tag {
		case tagUndefined, tagNull, tagTrue, tagFalse:
		case tagInteger:
			_, _, err = r.SignedVarInt()
		case tagFloat32:
			_, err = r.Bytes(4)
		case tagFloat64, tagBigInt:
			_, err = r.Bytes(8)
		case tagString:
			err = r.skipText(budget)
		case tagBytes:
			var b []byte
			if b, err = r.VarBytes(); err == nil && len(b) > budget.MaxString {
				err = ErrTooMany
			}
		case tagArray, tagObject:
			var n int
			if n, err = r.Count(); err != nil {
				return err
			}
			if len(open) >= budget.Depth {
				return ErrDepth
			}
			if n > budget.Elements {
				return ErrTooMany
			}
			open = append(open, level{n, tag == tagObject})
		default:
			return ErrTag
		}
		if err != nil {
			return err
		}
		for len(open) > 0 && open[len(open)-1].left == 0 {
			open = open[:len(open)-1]
		}
		if len(open) == 0 {
			return nil
		}
		top := &open[len(open)-1]
		top.left--
		if top.object {
			if err := r.skipText(budget); err != nil {
				return err
			}
		}
	}
}

func (r *Reader) skipText(budget *Budget) error {
	b, err := r.VarBytes()
	switch {
	case err != nil:
		return err
	case len(b) > budget.MaxString:
		return ErrTooMany
	case !utf8.Valid(b):
		return ErrUTF8
	}
	return nil
}
