package ydoc

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// JSON returns the JSON of every root that has content.
func (d *Doc) JSON() Object {
	var o Object
	for name, t := range d.Roots() {
		o = append(o, Member{Key: name, Value: t.JSON()})
	}
	return o
}

// JSON returns what toJSON does: a []any for an array, an Object for a map or a hook,
// a string for texts and XML.
func (t Type) JSON() any {
	switch t.Ref() {
	case TypeArray:
		list := []any{}
		for _, v := range t.AsArray().All() {
			list = append(list, plain(v))
		}
		return list
	case TypeMap, TypeXMLHook:
		o := Object{}
		for k, v := range t.AsMap().All() {
			o = append(o, Member{Key: k, Value: plain(v)})
		}
		return o
	}
	return t.String()
}

// plain returns the JSON of v if it is a type.
func plain(v any) any {
	if t, ok := v.(Type); ok {
		return t.JSON()
	}
	return v
}

// String returns the text of a text, with tags for formats of XML text; the XML of
// elements and fragments; and the JSON text of others.
func (t Type) String() string {
	switch t.Ref() {
	case TypeText:
		return t.AsText().String()
	case TypeXMLText:
		return t.taggedText()
	case TypeXMLElement, TypeXMLFragment:
		var b strings.Builder
		t.writeXML(&b)
		return b.String()
	}
	text, _ := lib0.AppendJSON(nil, t.JSON())
	return string(text)
}

// writeXML writes an element or a fragment as toString does: nothing is escaped.
func (t Type) writeXML(b *strings.Builder) {
	name := ""
	if t.Ref() == TypeXMLElement {
		name = strings.ToLower(t.Name())
		b.WriteString("<" + name)
		writeAttributes(b, slices.Collect(t.AsMap().members()))
		b.WriteByte('>')
	}
	for _, v := range t.AsArray().All() {
		if child, ok := v.(Type); ok && child.Ref() == TypeXMLElement {
			child.writeXML(b)
		} else {
			b.WriteString(scriptString(v))
		}
	}
	if t.Ref() == TypeXMLElement {
		b.WriteString("</" + name + ">")
	}
}

func writeAttributes(b *strings.Builder, attrs []Member) {
	slices.SortFunc(attrs, func(a, b Member) int { return compareUnits(a.Key, b.Key) })
	for _, m := range attrs {
		b.WriteString(" " + m.Key + `="` + scriptString(m.Value) + `"`)
	}
}

// taggedText is the text of XML text: a tag for each format, with the members of its
// value as attributes.
func (t Type) taggedText() string {
	var b strings.Builder
	for _, op := range t.AsText().Delta() {
		tags := slices.Clone(op.Attributes)
		slices.SortFunc(tags, func(a, b Member) int { return compareUnits(a.Key, b.Key) })
		for _, tag := range tags {
			b.WriteString("<" + tag.Key)
			writeAttributes(&b, membersOf(tag.Value))
			b.WriteByte('>')
		}
		b.WriteString(scriptString(op.Insert))
		for _, tag := range slices.Backward(tags) {
			b.WriteString("</" + tag.Key + ">")
		}
	}
	return b.String()
}

// membersOf returns what for … in sees of v.
func membersOf(v any) []Member {
	var all []Member
	switch v := v.(type) {
	case Object:
		return slices.Clone(v)
	case []any:
		for i, e := range v {
			all = append(all, Member{Key: strconv.Itoa(i), Value: e})
		}
	case string:
		i := 0
		for _, r := range v {
			all = append(all, Member{Key: strconv.Itoa(i), Value: string(r)})
			i++
			if r > 0xffff {
				i++
			}
		}
	}
	return all
}

// scriptString converts v to a string as JavaScript does.
func scriptString(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case Undefined:
		return "undefined"
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case BigInt:
		return strconv.FormatInt(int64(v), 10)
	case float64:
		switch {
		case v != v:
			return "NaN"
		case math.IsInf(v, 0):
			return strings.Replace(strconv.FormatFloat(v, 'f', -1, 64), "+", "", 1) + "inity"
		}
		text, _ := lib0.AppendJSON(nil, v)
		return string(text)
	case []byte:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = strconv.Itoa(int(e))
		}
		return strings.Join(parts, ",")
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			if _, undefined := e.(Undefined); e != nil && !undefined {
				parts[i] = scriptString(e)
			}
		}
		return strings.Join(parts, ",")
	case Type:
		switch v.Ref() {
		case TypeText, TypeXMLText, TypeXMLElement, TypeXMLFragment:
			return v.String()
		}
	}
	return "[object Object]"
}

// compareUnits compares as JavaScript does, by UTF-16 code units: characters beyond
// the first plane come before U+E000.
func compareUnits(a, b string) int {
	for a != "" && b != "" {
		x, n := utf8.DecodeRuneInString(a)
		y, m := utf8.DecodeRuneInString(b)
		if x != y {
			return cmp.Compare(unitRank(x), unitRank(y))
		}
		a, b = a[n:], b[m:]
	}
	return cmp.Compare(len(a), len(b))
}

func unitRank(r rune) rune {
	if r >= 0xe000 && r <= 0xffff {
		return r + utf8.MaxRune
	}
	return r
}
