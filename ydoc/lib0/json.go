package lib0

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"
)

// ValidJSON returns nil if text is one JSON value nested at most depth deep, with
// nothing but JSON's white space around it; else ErrSyntax or ErrDepth. It accepts
// what JavaScript's JSON.parse accepts. text must be valid UTF-8.
func ValidJSON(text []byte, depth int) error {
	p := jsonParser{text: text, depth: depth}
	_, err := p.document(false)
	return err
}

// ParseJSON reads a JSON text into the types of AppendAny, as JSON.parse would:
// members in JavaScript's order, numbers as float64, halves of surrogate pairs
// as U+FFFD. It fails as ValidJSON does.
func ParseJSON(text []byte, depth int) (any, error) {
	p := jsonParser{text: text, depth: depth}
	return p.document(true)
}

type jsonParser struct {
	text  []byte
	at    int
	depth int
}

func (p *jsonParser) document(build bool) (any, error) {
	v, err := p.value(build, p.depth)
	if err != nil {
		return nil, err
	}
	if p.space(); p.at != len(p.text) {
		return nil, ErrSyntax
	}
	return v, nil
}

func (p *jsonParser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// take reads c after white space, if it is there.
func (p *jsonParser) take(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *jsonParser) value(build bool, depth int) (any, error) {
	p.space()
	if p.at >= len(p.text) {
		return nil, ErrSyntax
	}
	switch c := p.text[p.at]; {
	case c == '{':
		return p.object(build, depth)
	case c == '[':
		return p.array(build, depth)
	case c == '"':
		s, err := p.string(build)
		if !build {
			return nil, err
		}
		return s, err
	case c == 't':
		return true, p.word("true")
	case c == 'f':
		return false, p.word("false")
	case c == 'n':
		return nil, p.word("null")
	}
	return p.number(build)
}

func (p *jsonParser) word(w string) error {
	if !bytes.HasPrefix(p.text[p.at:], []byte(w)) {
		return ErrSyntax
	}
	p.at += len(w)
	return nil
}

func (p *jsonParser) object(build bool, depth int) (any, error) {
	if depth == 0 {
		return nil, ErrDepth
	}
	p.at++
	var o Object
	if p.take('}') {
		return o, nil
	}
	for {
		p.space()
		if p.at >= len(p.text) || p.text[p.at] != '"' {
			return nil, ErrSyntax
		}
		key, err := p.string(build)
		if err != nil {
			return nil, err
		}
		if !p.take(':') {
			return nil, ErrSyntax
		}
		v, err := p.value(build, depth-1)
		if err != nil {
			return nil, err
		}
		if build {
			o = append(o, Member{key, v})
		}
		if p.take('}') {
			if build {
				o = o.Ordered()
			}
			return o, nil
		}
		if !p.take(',') {
			return nil, ErrSyntax
		}
	}
}

func (p *jsonParser) array(build bool, depth int) (any, error) {
	if depth == 0 {
		return nil, ErrDepth
	}
	p.at++
	list := []any{}
	if p.take(']') {
		return list, nil
	}
	for {
		v, err := p.value(build, depth-1)
		if err != nil {
			return nil, err
		}
		if build {
			list = append(list, v)
		}
		if p.take(']') {
			return list, nil
		}
		if !p.take(',') {
			return nil, ErrSyntax
		}
	}
}

// string reads a string whose opening quote is next. Without build it returns "".
func (p *jsonParser) string(build bool) (string, error) {
	p.at++
	start := p.at
	var out []byte // WTF-8; nil while there was no escape
	for p.at < len(p.text) {
		c := p.text[p.at]
		switch {
		case c == '"':
			text := p.text[start:p.at]
			p.at++
			if !build {
				return "", nil
			}
			if out == nil {
				return string(text), nil
			}
			return string(AppendWellFormed(nil, append(out, text...))), nil
		case c < 0x20:
			return "", ErrSyntax
		case c != '\\':
			p.at++
		default:
			out = append(out, p.text[start:p.at]...)
			p.at++
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			if !build {
				out = out[:0]
			} else if r >= 0xd800 && r < 0xe000 {
				out = AppendSurrogate(out, r)
			} else {
				out = utf8.AppendRune(out, r)
			}
			start = p.at
		}
	}
	return "", ErrSyntax
}

func (p *jsonParser) escape() (rune, error) {
	if p.at >= len(p.text) {
		return 0, ErrSyntax
	}
	c := p.text[p.at]
	p.at++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		var r rune
		for range 4 {
			if p.at >= len(p.text) {
				return 0, ErrSyntax
			}
			d, ok := hexDigit(p.text[p.at])
			if !ok {
				return 0, ErrSyntax
			}
			r = r<<4 | d
			p.at++
		}
		return r, nil
	}
	return 0, ErrSyntax
}

func hexDigit(c byte) (rune, bool) {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0'), true
	case c >= 'a' && c <= 'f':
		return rune(c - 'a' + 10), true
	case c >= 'A' && c <= 'F':
		return rune(c - 'A' + 10), true
	}
	return 0, false
}

func (p *jsonParser) number(build bool) (any, error) {
	start := p.at
	if p.at < len(p.text) && p.text[p.at] == '-' {
		p.at++
	}
	if p.at < len(p.text) && p.text[p.at] == '0' {
		p.at++
	} else if !p.digits() {
		return nil, ErrSyntax
	}
	if p.at < len(p.text) && p.text[p.at] == '.' {
		p.at++
		if !p.digits() {
			return nil, ErrSyntax
		}
	}
	if p.at < len(p.text) && p.text[p.at]|0x20 == 'e' {
		p.at++
		if p.at < len(p.text) && (p.text[p.at] == '+' || p.text[p.at] == '-') {
			p.at++
		}
		if !p.digits() {
			return nil, ErrSyntax
		}
	}
	if !build {
		return nil, nil
	}
	// The only error left is a number too large, for which f is the infinity that
	// JavaScript reads too.
	f, _ := strconv.ParseFloat(string(p.text[start:p.at]), 64)
	return f, nil
}

func (p *jsonParser) digits() bool {
	start := p.at
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		p.at++
	}
	return p.at > start
}

// AppendJSON appends v, of the types of AppendAny, as JSON.stringify writes it:
// undefined members are left out; undefined elements, NaN and infinities are null;
// bytes are an object of their indexes. It reports false, and what it appended is of
// no use, if v has no JSON text: it is undefined or holds a BigInt.
func AppendJSON(dst []byte, v any) ([]byte, bool) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), true
	case bool:
		return strconv.AppendBool(dst, v), true
	case int:
		return appendJSONNumber(dst, float64(v)), true
	case int64:
		return appendJSONNumber(dst, float64(v)), true
	case float64:
		return appendJSONNumber(dst, v), true
	case string:
		return appendJSONString(dst, v), true
	case []byte:
		dst = append(dst, '{')
		for i, b := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(strconv.AppendInt(append(dst, '"'), int64(i), 10), `":`...)
			dst = strconv.AppendUint(dst, uint64(b), 10)
		}
		return append(dst, '}'), true
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			if _, ok := e.(Undefined); ok {
				e = nil
			}
			var ok bool
			if dst, ok = AppendJSON(dst, e); !ok {
				return dst, false
			}
		}
		return append(dst, ']'), true
	case Object:
		dst = append(dst, '{')
		first := true
		for _, m := range v.Ordered() {
			if _, ok := m.Value.(Undefined); ok {
				continue
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(appendJSONString(dst, m.Key), ':')
			var ok bool
			if dst, ok = AppendJSON(dst, m.Value); !ok {
				return dst, false
			}
		}
		return append(dst, '}'), true
	}
	return dst, false
}

func appendJSONString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\b':
			dst = append(dst, `\b`...)
		case c == '\f':
			dst = append(dst, `\f`...)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c < 0x20:
			dst = append(dst, `\u00`...)
			dst = append(dst, hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// appendJSONNumber appends f as ECMAScript's Number::toString does, or null.
func appendJSONNumber(dst []byte, f float64) []byte {
	abs := math.Abs(f)
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return append(dst, "null"...)
	case f == 0:
		return append(dst, '0')
	case abs >= 1e-6 && abs < 1e21:
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	// Go writes at least two digits of exponent, ECMAScript as many as it has.
	if e := bytes.IndexByte(dst[start:], 'e') + start + 2; dst[e] == '0' {
		dst = append(dst[:e], dst[e+1:]...)
	}
	return dst
}
