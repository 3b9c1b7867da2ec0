package ydoc_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

// vectorFile is the part of the vector file that needs no document.
type vectorFile struct {
	Documents []struct {
		Name           string
		V1, V2         string
		StateVector    string
		SnapshotV1     string
		SnapshotV2     string
		Structs        []string
		DS             map[string][][2]uint64 `json:"ds"`
		ConvertV1ToV2  string
		ConvertV2ToV1  string
		Updates        []struct{ V1, V2 string }
		RootsReceiving json.RawMessage `json:"rootsAfterDecodingV1"`
	}
	Wire struct {
		Merge []struct {
			Name             string
			Inputs, InputsV2 []string
			Merged, MergedV2 string
			Structs          []string
		}
		Diff []struct {
			Name, Update, StateVector, Diff, DiffV2 string
		}
		StateVectorFromUpdate []struct {
			Name, Update, StateVector, StateVectorFromV2 string
		}
		Meta []struct {
			Name, Update string
			From, To     map[string]uint64
		}
		Convert []struct {
			Name, V1, V2, BackToV1 string
		}
		Obfuscate []struct {
			Name, Update, Obfuscated, ObfuscatedV2 string
			Kept                                   string `json:"obfuscatedNoFormattingNoSubdocsNoXml"`
		}
	}
	EncodeDiffs []struct {
		StateVector *string
		V1, V2      string
	}
	Snapshots []map[string]any
	Malformed []struct {
		Name, Hex, ApplyV1, MergeV1 string
	}
	MalformedV2 []struct {
		Name, Hex, ApplyV2 string
	}
	Foreign []struct {
		Name, V1, Reencoded, StateVector string
	}
}

func vectors(t testing.TB) *vectorFile {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors/yjs-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectorFile
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Documents) == 0 || len(v.Wire.Merge) == 0 || len(v.Malformed) == 0 || len(v.Foreign) == 0 || len(v.Snapshots) == 0 {
		t.Fatal("vector file lacks sections")
	}
	return &v
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unhexAll(t testing.TB, all []string) [][]byte {
	var out [][]byte
	for _, s := range all {
		out = append(out, unhex(t, s))
	}
	return out
}

func decode(t testing.TB, b []byte, f ydoc.Format) *ydoc.Update {
	t.Helper()
	u, err := ydoc.DecodeUpdate(b, f, ydoc.DefaultLimits())
	if err != nil {
		t.Fatalf("decode %x: %v", b, err)
	}
	return u
}

func wantHex(t testing.TB, what string, got []byte, want string) {
	t.Helper()
	if hex.EncodeToString(got) != want {
		t.Errorf("%s:\n got %x\nwant %s", what, got, want)
	}
}

// exact merges as Y.mergeUpdates does.
func exact(t testing.TB, f ydoc.Format, updates ...[]byte) *ydoc.Merger {
	t.Helper()
	m := &ydoc.Merger{Exact: true}
	for _, b := range updates {
		if err := m.Add(b, f); err != nil {
			t.Fatalf("merge %x: %v", b, err)
		}
	}
	return m
}

// comparable drops from a line of the vectors what Dump does not show.
var (
	anyContent = regexp.MustCompile(`^(\S+ (Any|JSON)) .* (o=\S+ ro=)`)
	typeName   = regexp.MustCompile(`^(\S+ Type YXml(Element|Hook)) ?\(?[^ )]*\)? o=`)
)

func plainLine(s string) string {
	s = anyContent.ReplaceAllString(s, "$1 $3")
	s = typeName.ReplaceAllString(s, "$1 o=")
	return strings.ReplaceAll(s, "\u200d", `\u200d`)
}

func TestDocumentsOfTheVectorsDecode(t *testing.T) {
	for _, doc := range vectors(t).Documents {
		for f, text := range map[ydoc.Format]string{ydoc.V1: doc.V1, ydoc.V2: doc.V2} {
			u := decode(t, unhex(t, text), f)
			var want []string
			for _, line := range doc.Structs {
				want = append(want, plainLine(line))
			}
			var got []string
			for _, line := range ydoc.Dump(u) {
				got = append(got, plainLine(line))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s in format %d:\n got %s\nwant %s", doc.Name, f, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
			}
			ds := make(map[string][][2]uint64)
			for c, r := range u.Deletes() {
				key := fmt.Sprint(c)
				ds[key] = append(ds[key], [2]uint64{uint64(r.From), uint64(r.To - r.From)})
			}
			if fmt.Sprint(ds) != fmt.Sprint(doc.DS) {
				t.Errorf("%s: deletes %v, want %v", doc.Name, ds, doc.DS)
			}
			if !u.Canonical() {
				t.Errorf("%s in format %d is not canonical: %x", doc.Name, f, u.Append(nil, f))
			}
			wantHex(t, doc.Name+" state vector", u.StateVector().Encode(), doc.StateVector)
		}
		checkSnapshot(t, doc.Name, doc.SnapshotV1, doc.SnapshotV2)
		for _, e := range doc.Updates {
			a, b := decode(t, unhex(t, e.V1), ydoc.V1), decode(t, unhex(t, e.V2), ydoc.V2)
			if !slices.Equal(ydoc.Dump(a), ydoc.Dump(b)) {
				t.Errorf("%s: update %s is not %s", doc.Name, e.V1, e.V2)
			}
		}
	}
}

func TestDocumentsOfTheVectorsConvert(t *testing.T) {
	for _, doc := range vectors(t).Documents {
		for _, c := range []struct {
			from, to ydoc.Format
			in, want string
		}{{ydoc.V1, ydoc.V2, doc.V1, doc.ConvertV1ToV2}, {ydoc.V2, ydoc.V1, doc.V2, doc.ConvertV2ToV1}} {
			switch c.want {
			case "same as v1":
				c.want = doc.V1
			case "same as v2":
				c.want = doc.V2
			}
			got, err := ydoc.ConvertUpdate(unhex(t, c.in), c.from, c.to)
			if err != nil {
				t.Fatalf("%s: %v", doc.Name, err)
			}
			wantHex(t, fmt.Sprintf("%s to format %d", doc.Name, c.to), got, c.want)
		}
	}
}

func TestWireVectors(t *testing.T) {
	wire := vectors(t).Wire
	for _, v := range wire.Merge {
		m := exact(t, ydoc.V1, unhexAll(t, v.Inputs)...)
		wantHex(t, "merge "+v.Name, m.Append(nil, ydoc.V1), v.Merged)
		wantHex(t, "merge to V2 "+v.Name, m.Append(nil, ydoc.V2), v.MergedV2)
		m = exact(t, ydoc.V2, unhexAll(t, v.InputsV2)...)
		wantHex(t, "merge of V2 "+v.Name, m.Append(nil, ydoc.V2), v.MergedV2)
		wantHex(t, "merge of V2 to V1 "+v.Name, m.Append(nil, ydoc.V1), v.Merged)
	}
	for _, v := range wire.Diff {
		sv, err := ydoc.DecodeStateVector(unhex(t, v.StateVector))
		if err != nil {
			t.Fatal(err)
		}
		m := exact(t, ydoc.V1, unhex(t, v.Update))
		wantHex(t, "diff "+v.Name, m.AppendDiff(nil, ydoc.V1, sv), v.Diff)
		wantHex(t, "diff to V2 "+v.Name, m.AppendDiff(nil, ydoc.V2, sv), v.DiffV2)
	}
	for _, v := range wire.StateVectorFromUpdate {
		sv, err := ydoc.StateVectorOf(ydoc.V1, unhex(t, v.Update))
		if err != nil {
			t.Fatal(err)
		}
		wantHex(t, "state vector "+v.Name, sv.Encode(), v.StateVector)
	}
	for _, v := range wire.Meta {
		from, to := make(map[string]uint64), make(map[string]uint64)
		for c, r := range decode(t, unhex(t, v.Update), ydoc.V1).Clients() {
			from[fmt.Sprint(c)], to[fmt.Sprint(c)] = uint64(r.From), uint64(r.To)
		}
		if fmt.Sprint(from, to) != fmt.Sprint(v.From, v.To) {
			t.Errorf("meta %s: %v to %v, want %v to %v", v.Name, from, to, v.From, v.To)
		}
	}
	for _, v := range wire.Convert {
		v2, err := ydoc.ConvertUpdate(unhex(t, v.V1), ydoc.V1, ydoc.V2)
		if err != nil {
			t.Fatal(err)
		}
		if v.Name != "json-undefined-in-format" { // its V2 holds what JSON has no text for
			wantHex(t, "convert "+v.Name, v2, v.V2)
		}
		v1, err := ydoc.ConvertUpdate(unhex(t, v.V2), ydoc.V2, ydoc.V1)
		if err != nil {
			t.Fatal(err)
		}
		wantHex(t, "convert back "+v.Name, v1, v.BackToV1)
	}
	for _, v := range wire.Obfuscate {
		u := decode(t, unhex(t, v.Update), ydoc.V1)
		o := u.Obfuscate(ydoc.Obfuscation{})
		wantHex(t, "obfuscate "+v.Name, o.Append(nil, ydoc.V1), v.Obfuscated)
		wantHex(t, "obfuscate to V2 "+v.Name, o.Append(nil, ydoc.V2), v.ObfuscatedV2)
		kept := u.Obfuscate(ydoc.Obfuscation{KeepFormatting: true, KeepSubdocs: true, KeepXML: true})
		wantHex(t, "obfuscate with names kept "+v.Name, kept.Append(nil, ydoc.V1), v.Kept)
	}
}

// The diffs come from a document, whose writer keeps the 0x20 bit and joins its
// structs first. The first of them is the whole state.
func TestDiffsOfTheVectors(t *testing.T) {
	diffs := vectors(t).EncodeDiffs
	for _, v := range diffs {
		var sv ydoc.StateVector
		if v.StateVector != nil {
			var err error
			if sv, err = ydoc.DecodeStateVector(unhex(t, *v.StateVector)); err != nil {
				t.Fatal(err)
			}
		}
		for f, state := range map[ydoc.Format]string{ydoc.V1: diffs[0].V1, ydoc.V2: diffs[0].V2} {
			m := exact(t, f, unhex(t, state))
			wantHex(t, "diff in V1", m.AppendDiff(nil, ydoc.V1, sv), v.V1)
			wantHex(t, "diff in V2", m.AppendDiff(nil, ydoc.V2, sv), v.V2)
		}
	}
}

func checkSnapshot(t *testing.T, name, v1, v2 string) {
	t.Helper()
	for f, text := range map[ydoc.Format]string{ydoc.V1: v1, ydoc.V2: v2} {
		s, err := ydoc.DecodeSnapshot(unhex(t, text), f, ydoc.DefaultLimits())
		if err != nil {
			t.Errorf("snapshot of %s: %v", name, err)
			continue
		}
		wantHex(t, "snapshot of "+name, s.Append(nil, ydoc.V1), v1)
		wantHex(t, "snapshot of "+name+" in V2", s.Append(nil, ydoc.V2), v2)
	}
}

func TestSnapshotsOfTheVectors(t *testing.T) {
	for _, v := range vectors(t).Snapshots {
		v1, _ := v["snapshot1V1"].(string)
		v2, _ := v["snapshot1V2"].(string)
		checkSnapshot(t, "vector", v1, v2)
		update, _ := v["update"].(string)
		if update == "" {
			continue
		}
		s, err := ydoc.DecodeSnapshot(unhex(t, v1), ydoc.V1, ydoc.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Contains(decode(t, unhex(t, update), ydoc.V1)); got != v["containsFull"] {
			t.Errorf("snapshot contains the full state: %v", got)
		}
		if got := s.Contains(decode(t, unhex(t, v["restoredV1"].(string)), ydoc.V1)); got != v["containsRestored"] {
			t.Errorf("snapshot contains the restored state: %v", got)
		}
	}
}

// refused are vectors that Yjs accepts and we refuse, with the rule that says so.
var refused = map[string]string{
	"skip-with-flags":        "2.1: no flags on Skip",
	"gc-with-flags":          "2.1: no flags on GC",
	"zero-length-any":        "2.2: no empty structs",
	"zero-length-gc":         "2.2: no empty structs",
	"max-clock":              "8.1: clocks have a limit",
	"huge-gc":                "8.1: clocks have a limit",
	"feature-flag-1":         "3: the feature flag is 0",
	"deep-any-nesting-20000": "1.3: depth",
}

func TestMalformedVectorsAreRefusedWhereYjsThrows(t *testing.T) {
	v := vectors(t)
	check := func(name, text, apply string, f ydoc.Format) {
		_, err := ydoc.DecodeUpdate(unhex(t, text), f, ydoc.DefaultLimits())
		throws := strings.HasPrefix(apply, "throws")
		if err == nil && throws {
			t.Errorf("%s: accepted, but Yjs %s", name, apply)
		}
		if err != nil && !throws && refused[name] == "" {
			t.Errorf("%s: %v, but Yjs %s", name, err, apply)
		}
		if err == nil && refused[name] != "" {
			t.Errorf("%s: accepted against rule %s", name, refused[name])
		}
	}
	for _, m := range v.Malformed {
		check(m.Name, m.Hex, m.ApplyV1, ydoc.V1)
	}
	for _, m := range v.MalformedV2 {
		check(m.Name, m.Hex, m.ApplyV2, ydoc.V2)
	}
}

func TestForeignUpdatesAreAccepted(t *testing.T) {
	for _, v := range vectors(t).Foreign {
		u := decode(t, unhex(t, v.V1), ydoc.V1)
		wantHex(t, v.Name, u.StateVector().Encode(), v.StateVector)
		again := decode(t, u.Append(nil, ydoc.V1), ydoc.V1)
		if !slices.Equal(ydoc.Dump(u), ydoc.Dump(again)) {
			t.Errorf("%s changes when written again", v.Name)
		}
		other := decode(t, unhex(t, v.Reencoded), ydoc.V1)
		if id, conflict := u.Conflict(other); conflict {
			t.Errorf("%s conflicts at %v with what Yjs makes of it", v.Name, id)
		}
		if bytes.Equal(u.Append(nil, ydoc.V1), unhex(t, v.V1)) != u.Canonical() {
			t.Errorf("%s: Canonical is %v", v.Name, u.Canonical())
		}
	}
}
