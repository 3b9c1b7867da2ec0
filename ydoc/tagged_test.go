package ydoc_test

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/heapsync/heapsync/ydoc"
)

// tagged reads a value of the vectors.
func tagged(v any) any {
	switch v := v.(type) {
	case []any:
		list := []any{}
		for _, e := range v {
			list = append(list, tagged(e))
		}
		return list
	case map[string]any:
		o := ydoc.Object{}
		for _, k := range sortedKeys(v) {
			o = append(o, ydoc.Member{Key: k, Value: v[k]})
		}
		return tagged(o)
	case ydoc.Object:
		tag, ok := field(v, "$").(string)
		if !ok {
			o := ydoc.Object{}
			for _, m := range v {
				o = append(o, ydoc.Member{Key: m.Key, Value: tagged(m.Value)})
			}
			return o
		}
		switch tag {
		case "undefined":
			return ydoc.Undefined{}
		case "number":
			switch field(v, "v") {
			case "NaN":
				return math.NaN()
			case "-0":
				return math.Copysign(0, -1)
			case "Infinity":
				return math.Inf(1)
			case "-Infinity":
				return math.Inf(-1)
			}
		case "bigint":
			n, _ := strconv.ParseInt(field(v, "v").(string), 10, 64)
			return ydoc.BigInt(n)
		case "bytes":
			b, _ := hex.DecodeString(field(v, "v").(string))
			return b
		case "utf16":
			var units []uint16
			for _, f := range strings.Fields(field(v, "v").(string)) {
				u, _ := strconv.ParseUint(f, 16, 16)
				units = append(units, uint16(u))
			}
			return string(utf16.Decode(units))
		case "repeat":
			return strings.Repeat(field(v, "s").(string), int(field(v, "n").(float64)))
		case "doc":
			var o ydoc.Object
			if field(v, "gc") == false {
				o = append(o, ydoc.Member{Key: "gc", Value: false})
			}
			if field(v, "autoLoad") == true {
				o = append(o, ydoc.Member{Key: "autoLoad", Value: true})
			}
			if meta := field(v, "meta"); meta != nil {
				o = append(o, ydoc.Member{Key: "meta", Value: tagged(meta)})
			}
			return ydoc.Subdoc{GUID: field(v, "guid").(string), Options: o}
		default:
			return prelim(v)
		}
	}
	return v
}

func field(o ydoc.Object, key string) any {
	for _, m := range o {
		if m.Key == key {
			return m.Value
		}
	}
	return nil
}

// prelim is a shared type that is yet to be made.
type prelim ydoc.Object

var refs = map[string]ydoc.TypeRef{
	"map": ydoc.TypeMap, "array": ydoc.TypeArray, "text": ydoc.TypeText, "xmlText": ydoc.TypeXMLText,
	"xmlElement": ydoc.TypeXMLElement, "xmlHook": ydoc.TypeXMLHook, "xmlFragment": ydoc.TypeXMLFragment,
}

func (p prelim) ref() ydoc.TypeRef { return refs[field(ydoc.Object(p), "$").(string)] }

func (p prelim) name() string { s, _ := field(ydoc.Object(p), "name").(string); return s }

// fill puts into t what p holds.
func (p prelim) fill(t ydoc.Type) {
	if s, ok := field(ydoc.Object(p), "str").(string); ok && s != "" {
		t.AsText().Insert(0, s)
	}
	if delta := field(ydoc.Object(p), "delta"); delta != nil {
		t.AsText().ApplyDelta(ops(delta))
	}
	for _, list := range []string{"items", "children"} {
		if items, ok := field(ydoc.Object(p), list).([]any); ok {
			insertAll(t.AsArray(), 0, items)
		}
	}
	for _, list := range []string{"entries", "attrs"} {
		if entries, ok := field(ydoc.Object(p), list).([]any); ok {
			for _, e := range entries {
				set(t.AsMap(), e.([]any)[0].(string), e.([]any)[1])
			}
		}
	}
}

func set(m ydoc.Map, key string, v any) {
	if p, ok := tagged(v).(prelim); ok {
		p.fill(m.SetType(key, p.ref(), p.name()))
		return
	}
	m.Set(key, tagged(v))
}

// insertAll inserts values and types, values side by side as one item.
func insertAll(a ydoc.Array, index int, items []any) {
	var run []any
	for _, v := range items {
		if p, ok := tagged(v).(prelim); ok {
			a.Insert(index, run...)
			index += len(run)
			run = nil
			p.fill(a.InsertType(index, p.ref(), p.name()))
			index++
			continue
		}
		run = append(run, tagged(v))
	}
	a.Insert(index, run...)
}

func object(v any) ydoc.Object {
	o, _ := tagged(v).(ydoc.Object)
	return o
}

func ops(v any) []ydoc.Op {
	var out []ydoc.Op
	for _, e := range v.([]any) {
		m := e.(ydoc.Object)
		op := ydoc.Op{Attributes: object(field(m, "attributes"))}
		if v := field(m, "insert"); v != nil {
			op.Insert = tagged(v)
		}
		if n, ok := field(m, "retain").(float64); ok {
			op.Retain = int(n)
		}
		if n, ok := field(m, "delete").(float64); ok {
			op.Delete = int(n)
		}
		out = append(out, op)
	}
	return out
}

// show makes of a value of a document what tagged JSON makes of it.
func show(v any) any {
	switch v := v.(type) {
	case ydoc.Type:
		return show(v.JSON())
	case ydoc.Subdoc:
		return "subdoc " + v.GUID
	case []any:
		list := []any{}
		for _, e := range v {
			list = append(list, show(e))
		}
		return list
	case ydoc.Object:
		m := make(map[string]any)
		for _, e := range v {
			m[e.Key] = show(e.Value)
		}
		return m
	case float64:
		if v != v || v == 0 && math.Signbit(v) {
			return fmt.Sprint("number ", v)
		}
	case []byte:
		return fmt.Sprintf("bytes %x", v)
	case string:
		return v
	}
	return v
}

// want makes of tagged JSON what show makes of a document.
func want(v any) any {
	if m, ok := v.(map[string]any); ok && m["$"] == "type" {
		return want(m["json"])
	}
	switch v := v.(type) {
	case []any:
		list := []any{}
		for _, e := range v {
			list = append(list, want(e))
		}
		return list
	case map[string]any:
		if _, ok := v["$"]; ok {
			return show(tagged(v))
		}
		m := make(map[string]any)
		for k, e := range v {
			m[k] = want(e)
		}
		return m
	}
	return v
}

func showDelta(ops []ydoc.Op) any {
	list := []any{}
	for _, op := range ops {
		m := map[string]any{"insert": show(op.Insert)}
		if len(op.Attributes) > 0 {
			m["attributes"] = show(op.Attributes)
		}
		list = append(list, m)
	}
	return list
}
