package ydoc_test

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/lib0"
)

// The functions here write what a document holds as text that has one spelling for one
// content, as testdata/interop/describe.mjs does.

// describe describes a value, and a shared type in full.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case ydoc.Undefined:
		return "#undefined"
	case bool:
		return fmt.Sprint(v)
	case int: // in paths
		return fmt.Sprint(v)
	case float64:
		if v == 0 && math.Signbit(v) {
			return "-0"
		}
		return jsonText(v)
	case ydoc.BigInt:
		return fmt.Sprintf("%dn", int64(v))
	case string:
		return jsonText(v)
	case []byte:
		return "#" + hex.EncodeToString(v)
	case []any:
		return "[" + describeAll(v) + "]"
	case ydoc.Object:
		return describeMembers(v)
	case ydoc.Subdoc:
		return "doc" + jsonText(v.GUID)
	case ydoc.Type:
		return describeType(v)
	}
	return fmt.Sprintf("%T?", v)
}

func jsonText(v any) string {
	b, _ := lib0.AppendJSON(nil, v)
	return string(b)
}

func describeAll(list []any) string {
	var all []string
	for _, v := range list {
		all = append(all, describe(v))
	}
	return strings.Join(all, ",")
}

func describeMembers(o ydoc.Object) string {
	var all []string
	for _, m := range slices.SortedFunc(slices.Values(o), func(a, b ydoc.Member) int { return strings.Compare(a.Key, b.Key) }) {
		all = append(all, jsonText(m.Key)+":"+describe(m.Value))
	}
	return "{" + strings.Join(all, ",") + "}"
}

func describeMap(m ydoc.Map) string {
	var o ydoc.Object
	for key, v := range m.All() {
		o = append(o, ydoc.Member{Key: key, Value: v})
	}
	return describeMembers(o)
}

func describeList(t ydoc.Type) string {
	var all []any
	for _, v := range t.AsArray().All() {
		all = append(all, v)
	}
	return "[" + describeAll(all) + "]"
}

func describeType(t ydoc.Type) string {
	switch t.Ref() {
	case ydoc.TypeXMLText:
		return "xmltext" + describeText(t.AsText())
	case ydoc.TypeText:
		return "text" + describeText(t.AsText())
	case ydoc.TypeXMLHook:
		return "hook" + jsonText(t.Name()) + describeMap(t.AsMap())
	case ydoc.TypeMap:
		return "map" + describeMap(t.AsMap())
	case ydoc.TypeArray:
		return "array" + describeList(t)
	case ydoc.TypeXMLElement:
		return "element" + jsonText(t.Name()) + describeMap(t.AsMap()) + describeList(t)
	default:
		return "fragment" + describeList(t)
	}
}

func describeText(t ydoc.Text) string {
	return describeMap(t.AsMap()) + describeDelta(t.Delta())
}

// describeDelta joins neighbours of equal formatting: where Yjs cuts depends on format
// items that say nothing.
func describeDelta(ops []ydoc.Op) string {
	type run struct {
		insert any
		attrs  string
	}
	var runs []run
	for _, op := range ops {
		attrs := describeMembers(op.Attributes)
		s, isText := op.Insert.(string)
		if n := len(runs); isText && n > 0 && runs[n-1].attrs == attrs {
			if before, ok := runs[n-1].insert.(string); ok {
				runs[n-1].insert = before + s
				continue
			}
		}
		runs = append(runs, run{op.Insert, attrs})
	}
	var all []string
	for _, r := range runs {
		all = append(all, describe(r.insert)+r.attrs)
	}
	return "[" + strings.Join(all, ",") + "]"
}

// sessionRoots are the roots of every session, told what they are.
func sessionRoots(d *ydoc.Doc) map[string]ydoc.Type {
	return map[string]ydoc.Type{
		"t":  d.Text("t").Type,
		"m":  d.Map("m").Type,
		"a":  d.Array("a").Type,
		"x":  d.XML("x").Type,
		"e":  d.XML("e").Type,
		"xt": d.Text("xt").Type,
	}
}

// read describes a whole document, a line for each root, and what JSON gives, but for
// those roots whose kind updates do not tell.
func read(d *ydoc.Doc) string {
	r := sessionRoots(d)
	return strings.Join([]string{
		fmt.Sprint("t ", r["t"].Len(), " text", describeText(r["t"].AsText())),
		fmt.Sprint("m ", r["m"].AsMap().Len(), " map", describeMap(r["m"].AsMap())),
		fmt.Sprint("a ", r["a"].Len(), " array", describeList(r["a"])),
		fmt.Sprint("x ", r["x"].Len(), " fragment", describeList(r["x"])),
		fmt.Sprint("e ", r["e"].Len(), ` element"UNDEFINED"`, describeMap(r["e"].AsMap()), describeList(r["e"])),
		fmt.Sprint("xt ", r["xt"].Len(), " xmltext", describeText(r["xt"].AsText())),
		describe(r["t"].JSON()),
		describe(r["m"].JSON()),
		describe(r["a"].JSON()),
		describe(r["x"].JSON()),
	}, "\n")
}
