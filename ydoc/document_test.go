package ydoc_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/lib0"
)

// documentCase is a document of the vectors, with what was done to it.
type documentCase struct {
	Name string
	Docs []struct {
		ID       string
		ClientID uint64
		GC       *bool
	}
	DeclaredRoots map[string]string
	Steps         []step
	Updates       []struct {
		Doc, V1, V2 string
		Local       bool
	}
	Checkpoints []struct {
		Doc, V1, V2, StateVector, SnapshotV1, SnapshotV2 string
		Missing                                          map[string]uint64
		PendingDeletes                                   bool
		Roots                                            map[string]any
	}
	V1, V2, StateVector, SnapshotV1, SnapshotV2 string
	Roots, RootsAfterDecodingV1                 map[string]any
	RootsAfterApplyingUpdates                   map[string]any
}

type step struct {
	Doc string
	Tx  []struct {
		On   string
		Path []any
		Do   string
		Args json.RawMessage
	}
	Sync       []string
	To         string
	Apply      []any
	ApplyHex   string
	Checkpoint string
}

func documentCases(t testing.TB) []documentCase {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors/yjs-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ Documents []documentCase }
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Documents) == 0 {
		t.Fatal("no documents in the vectors")
	}
	return v.Documents
}

// declare asks for the roots as the case does.
func (c *documentCase) declare(d *ydoc.Doc) {
	for _, name := range sortedKeys(c.DeclaredRoots) {
		switch c.DeclaredRoots[name] {
		case "text":
			d.Text(name)
		case "array":
			d.Array(name)
		case "map":
			d.Map(name)
		case "xmlFragment":
			d.XML(name)
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

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

// do makes one edit.
func do(t *testing.T, at ydoc.Type, what string, args []any) {
	t.Helper()
	num := func(i int) int { return int(args[i].(float64)) }
	text := at.Ref() == ydoc.TypeText || at.Ref() == ydoc.TypeXMLText
	switch what {
	case "insert":
		switch {
		case text && len(args) > 2:
			at.AsText().InsertWith(num(0), tagged(args[1]).(string), object(args[2]))
		case text:
			at.AsText().Insert(num(0), tagged(args[1]).(string))
		default:
			insertAll(at.AsArray(), num(0), args[1].([]any))
		}
	case "push":
		var run []any
		for _, v := range args[0].([]any) {
			if p, ok := tagged(v).(prelim); ok {
				at.AsArray().Append(run...)
				run = nil
				p.fill(at.AsArray().AppendType(p.ref(), p.name()))
			} else {
				run = append(run, tagged(v))
			}
		}
		at.AsArray().Append(run...)
	case "unshift":
		insertAll(at.AsArray(), 0, args[0].([]any))
	case "delete":
		if key, ok := args[0].(string); ok {
			at.AsMap().Delete(key)
			return
		}
		n := 1
		if len(args) > 1 {
			n = num(1)
		}
		if text {
			at.AsText().Delete(num(0), n)
		} else {
			at.AsArray().Delete(num(0), n)
		}
	case "set", "setAttribute":
		set(at.AsMap(), args[0].(string), args[1])
	case "removeAttribute":
		at.AsMap().Delete(args[0].(string))
	case "format":
		at.AsText().Format(num(0), num(1), object(args[2]))
	case "applyDelta":
		at.AsText().ApplyDelta(ops(args[0]))
	case "insertEmbed":
		var attrs ydoc.Object
		if len(args) > 2 {
			attrs = object(args[2])
		}
		if p, ok := tagged(args[1]).(prelim); ok {
			p.fill(at.AsText().EmbedType(num(0), p.ref(), p.name(), attrs))
			return
		}
		at.AsText().Embed(num(0), tagged(args[1]), attrs)
	default:
		t.Fatalf("no such edit: %s", what)
	}
}

func descend(root ydoc.Type, path []any) ydoc.Type {
	for _, p := range path {
		var v any
		switch p := p.(type) {
		case string:
			v, _ = root.AsMap().Value(p)
		case float64:
			v = root.AsArray().At(int(p))
		}
		root = v.(ydoc.Type)
	}
	return root
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

func checkRoots(t *testing.T, what string, d *ydoc.Doc, roots map[string]any) {
	t.Helper()
	for name, r := range roots {
		root := r.(map[string]any)
		at := d.Root(name)
		if root["type"] == "map" {
			at = d.Map(name).Type // an empty one could be anything
		}
		if root["type"] == "xmlElement" {
			continue // the name of such a root is in no update
		}
		if got, want := show(at.JSON()), want(root["json"]); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: root %q\n got %v\nwant %v", what, name, got, want)
		}
		if delta, ok := root["delta"]; ok {
			if got, want := showDelta(at.AsText().Delta()), want(delta); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: delta of %q\n got %v\nwant %v", what, name, got, want)
			}
		}
		if n, ok := root["length"].(float64); ok && at.Len() != int(n) {
			t.Errorf("%s: length of %q is %d, want %v", what, name, at.Len(), n)
		}
	}
}

// differs are cases in which we do not end as Yjs does: it deletes redundant formats of
// its own accord after remote changes, which a server must not (section 5.10), and its
// writer holds lone surrogates, which strings of Go do not (2.4).
var differs = map[string]bool{"format-cleanup-remote": true, "random-session-text": true, "surrogate-halves-two-tx": true}

func TestStepsOfTheVectorsGiveTheirUpdates(t *testing.T) {
	for _, c := range documentCases(t) {
		t.Run(c.Name, func(t *testing.T) { runSteps(t, &c) })
	}
}

func runSteps(t *testing.T, c *documentCase) {
	docs := make(map[string]*ydoc.Doc)
	at, checkpoint := 0, 0
	check := func(id string) func(*ydoc.Transaction) {
		return func(tx *ydoc.Transaction) {
			if at >= len(c.Updates) {
				t.Errorf("one update too many of %s: %x", id, tx.Update(ydoc.V1))
				return
			}
			u := c.Updates[at]
			at++
			if differs[c.Name] {
				return
			}
			if u.Doc != id {
				t.Fatalf("update %d is of %s, want %s", at-1, id, u.Doc)
			}
			wantHex(t, fmt.Sprintf("update %d of %s", at-1, id), tx.Update(ydoc.V1), u.V1)
			wantHex(t, fmt.Sprintf("update %d of %s in V2", at-1, id), tx.Update(ydoc.V2), u.V2)
		}
	}
	for _, doc := range c.Docs {
		d := ydoc.NewDoc(ydoc.Options{ClientID: ydoc.ClientID(doc.ClientID), KeepDeleted: doc.GC != nil && !*doc.GC})
		c.declare(d)
		d.OnUpdate(check(doc.ID))
		docs[doc.ID] = d
	}
	apply := func(d *ydoc.Doc, b []byte) {
		if err := d.Apply(b, ydoc.V1); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range c.Steps {
		switch {
		case s.Tx != nil:
			d := docs[s.Doc]
			d.Transact(func() {
				for _, e := range s.Tx {
					args, err := lib0.ParseJSON(e.Args, 100)
					if err != nil {
						t.Fatal(err)
					}
					do(t, descend(d.Root(e.On), e.Path), e.Do, args.([]any))
				}
			})
		case s.Sync != nil:
			from, to := docs[s.Sync[0]], docs[s.Sync[1]]
			apply(to, from.EncodeDiff(ydoc.V1, to.StateVector()))
		case s.Apply != nil:
			n := int(s.Apply[1].(float64))
			for _, u := range c.Updates {
				if u.Doc == s.Apply[0].(string) {
					if n == 0 {
						apply(docs[s.To], unhex(t, u.V1))
					}
					n--
				}
			}
		case s.ApplyHex != "":
			apply(docs[s.To], unhex(t, s.ApplyHex))
		case s.Checkpoint != "":
			p := c.Checkpoints[checkpoint]
			checkpoint++
			d := docs[s.Checkpoint]
			wantHex(t, "checkpoint", d.Encode(ydoc.V1), p.V1)
			wantHex(t, "checkpoint in V2", d.Encode(ydoc.V2), p.V2)
			wantHex(t, "checkpoint's state vector", d.StateVector().Encode(), p.StateVector)
			wantHex(t, "checkpoint's snapshot", d.Snapshot().Append(nil, ydoc.V1), p.SnapshotV1)
			checkRoots(t, "checkpoint", d, p.Roots)
			if d.Pending() != (p.Missing != nil || p.PendingDeletes) {
				t.Errorf("pending is %v", d.Pending())
			}
		}
	}
	d := docs[c.Docs[0].ID]
	if differs[c.Name] {
		return
	}
	if at != len(c.Updates) {
		t.Errorf("%d updates, want %d", at, len(c.Updates))
	}
	wantHex(t, "state", d.Encode(ydoc.V1), c.V1)
	wantHex(t, "state in V2", d.Encode(ydoc.V2), c.V2)
	wantHex(t, "state vector", d.StateVector().Encode(), c.StateVector)
	wantHex(t, "snapshot", d.Snapshot().Append(nil, ydoc.V1), c.SnapshotV1)
	wantHex(t, "snapshot in V2", d.Snapshot().Append(nil, ydoc.V2), c.SnapshotV2)
	checkRoots(t, "end", d, c.Roots)
}

func TestStatesOfTheVectorsAreReadAndWrittenAgain(t *testing.T) {
	for _, c := range documentCases(t) {
		roots := c.Roots
		if c.RootsAfterDecodingV1 != nil {
			roots = c.RootsAfterDecodingV1
		}
		gc := c.Docs[0].GC == nil || *c.Docs[0].GC
		for f, state := range map[ydoc.Format]string{ydoc.V1: c.V1, ydoc.V2: c.V2} {
			d := ydoc.NewDoc(ydoc.Options{KeepDeleted: !gc})
			c.declare(d)
			if err := d.Apply(unhex(t, state), f); err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			if f == ydoc.V1 || c.RootsAfterDecodingV1 == nil { // they tell of V1
				checkRoots(t, c.Name, d, roots)
			}
			wantHex(t, fmt.Sprintf("%s in format %d again", c.Name, f), d.Encode(f), state)
			wantHex(t, c.Name+" state vector", d.StateVector().Encode(), c.StateVector)
		}
	}
}
