package blocks

import (
	"encoding/base64"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/heapsync/heapsync/ydoc"
)

// jsonWriter writes values of documents as JSON: a bigint as a decimal string, what JSON
// has no number for as null, bytes as base64, a subdocument as its guid, texts and XML as
// their plain text. It stops when it has written too much.
type jsonWriter struct {
	out  []byte
	left int // bytes that may still be written
	over bool
}

// jsonDepth is how deep values may nest; deeper ones are null.
const jsonDepth = 1000

func (w *jsonWriter) put(s string) {
	if w.over || len(s) > w.left {
		w.over = true
		return
	}
	w.left -= len(s)
	w.out = append(w.out, s...)
}

func (w *jsonWriter) string(s string) {
	if len(s)+2 > w.left {
		w.over = true
		return
	}
	begin := len(w.out)
	w.out = appendJSONString(w.out, s)
	if w.left -= len(w.out) - begin; w.left < 0 {
		w.over = true
	}
}

const hexLower = "0123456789abcdef"

func appendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case c == '"' || c == '\\':
				dst = append(dst, '\\', c)
			case c == '\n':
				dst = append(dst, '\\', 'n')
			case c < 0x20:
				dst = append(dst, '\\', 'u', '0', '0', hexLower[c>>4], hexLower[c&15])
			default:
				dst = append(dst, c)
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		dst = utf8.AppendRune(dst, r) // what is no UTF-8 becomes U+FFFD
		i += n
	}
	return append(dst, '"')
}

// value writes v, which lies depth deep.
func (w *jsonWriter) value(v any, depth int) {
	if depth > jsonDepth {
		w.put("null")
		return
	}
	switch v := v.(type) {
	case bool:
		w.put(strconv.FormatBool(v))
	case float64:
		w.number(v)
	case ydoc.BigInt:
		w.put(`"` + strconv.FormatInt(int64(v), 10) + `"`)
	case string:
		w.string(v)
	case []byte:
		if base64.StdEncoding.EncodedLen(len(v)) > w.left {
			w.over = true
			return
		}
		w.string(base64.StdEncoding.EncodeToString(v))
	case []any:
		w.list(func(yield func(any) bool) {
			for _, e := range v {
				if !yield(e) {
					return
				}
			}
		}, depth)
	case ydoc.Object:
		w.object(v, depth)
	case ydoc.Subdoc:
		w.put(`{"guid":`)
		w.string(v.GUID)
		w.put("}")
	case ydoc.Type:
		switch v.Ref() {
		case ydoc.TypeArray:
			w.list(func(yield func(any) bool) {
				for _, e := range v.AsArray().All() {
					if !yield(e) {
						return
					}
				}
			}, depth)
		case ydoc.TypeMap, ydoc.TypeXMLHook:
			w.object(v, depth)
		case ydoc.TypeText, ydoc.TypeXMLText:
			w.string(v.AsText().String())
		default:
			t := textWriter{left: maxVisited}
			t.xml(v, 0)
			w.string(t.b.String())
		}
	default: // null, undefined
		w.put("null")
	}
}

func (w *jsonWriter) number(f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		w.put("null")
		return
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	w.put(strconv.FormatFloat(f, format, -1, 64))
}

func (w *jsonWriter) list(all func(func(any) bool), depth int) {
	w.put("[")
	first := true
	all(func(v any) bool {
		if !first {
			w.put(",")
		}
		first = false
		w.value(v, depth+1)
		return !w.over
	})
	w.put("]")
}

// object writes an Object, or a map or a hook.
func (w *jsonWriter) object(v any, depth int) {
	w.put("{")
	first := true
	member := func(key string, value any) bool {
		if !first {
			w.put(",")
		}
		first = false
		w.string(key)
		w.put(":")
		w.value(value, depth+1)
		return !w.over
	}
	if o, ok := v.(ydoc.Object); ok {
		fields(o, member)
	} else if t, ok := v.(ydoc.Type); ok {
		for key, value := range t.AsMap().All() {
			if !member(key, value) {
				break
			}
		}
	}
	w.put("}")
}
