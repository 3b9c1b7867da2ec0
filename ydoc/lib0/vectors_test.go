package lib0_test

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// primitives is the lib0 section of the vector file: the primitive's name → cases.
type vector struct {
	Column string            `json:"column"`
	Value  json.RawMessage   `json:"value"`
	Values []json.RawMessage `json:"values"`
	Hex    string            `json:"hex"`
}

func vectors(t *testing.T, section string) []vector {
	t.Helper()
	b, err := os.ReadFile("../testdata/vectors/yjs-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Lib0 map[string][]vector `json:"lib0"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Lib0[section]) == 0 {
		t.Fatalf("no vectors in section %q", section)
	}
	return file.Lib0[section]
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// value reads a tagged value of the vector file into the types of AppendAny.
func value(t *testing.T, raw []byte) any {
	t.Helper()
	v, err := lib0.ParseJSON(raw, 100)
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return untag(t, v)
}

func untag(t *testing.T, v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = untag(t, v[i])
		}
		return v
	case lib0.Object:
		if len(v) > 0 && v[0].Key == "$" {
			arg := ""
			if len(v) > 1 {
				arg, _ = v[1].Value.(string)
			}
			switch v[0].Value {
			case "undefined":
				return lib0.Undefined{}
			case "number":
				switch arg {
				case "-0":
					return math.Copysign(0, -1)
				case "NaN":
					return math.NaN()
				case "Infinity":
					return math.Inf(1)
				case "-Infinity":
					return math.Inf(-1)
				}
			case "bigint":
				n, err := strconv.ParseInt(arg, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				return lib0.BigInt(n)
			case "bytes":
				return unhex(t, arg)
			case "utf16":
				return utf16(t, arg)
			}
			t.Fatalf("unknown tag %v", v)
		}
		for i := range v {
			v[i].Value = untag(t, v[i].Value)
		}
	}
	return v
}

// utf16 makes WTF-8 of hexadecimal code units.
func utf16(t *testing.T, s string) string {
	var out []byte
	for unit := range strings.FieldsSeq(s) {
		n, err := strconv.ParseUint(unit, 16, 16)
		if err != nil {
			t.Fatal(err)
		}
		if n >= 0xd800 && n < 0xe000 {
			out = lib0.AppendSurrogate(out, rune(n))
		} else {
			out = append(out, string(rune(n))...)
		}
	}
	return string(out)
}

func integer(t *testing.T, raw []byte) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func want(t *testing.T, what string, got []byte, hexWant string) {
	t.Helper()
	if hex.EncodeToString(got) != hexWant {
		t.Errorf("%s: encoded %x, want %s", what, got, hexWant)
	}
}

func TestPrimitivesMatchTheVectorsBothWays(t *testing.T) {
	for _, v := range vectors(t, "varUint") {
		n := integer(t, v.Value)
		want(t, "varUint", lib0.AppendVarUint(nil, n), v.Hex)
		if got, err := lib0.NewReader(unhex(t, v.Hex)).VarUint(); got != n || err != nil {
			t.Errorf("varUint %s: %d, %v", v.Hex, got, err)
		}
	}
	for _, v := range vectors(t, "varInt") {
		f, ok := value(t, v.Value).(float64)
		if !ok {
			t.Fatalf("varInt %s", v.Value)
		}
		magnitude, negative := uint64(math.Abs(f)), math.Signbit(f)
		want(t, "varInt", lib0.AppendSignedVarInt(nil, magnitude, negative), v.Hex)
		m, neg, err := lib0.NewReader(unhex(t, v.Hex)).SignedVarInt()
		if m != magnitude || neg != negative || err != nil {
			t.Errorf("varInt %s: %d, %v, %v", v.Hex, m, neg, err)
		}
	}
	for _, v := range vectors(t, "varString") {
		s, _ := value(t, v.Value).(string)
		want(t, "varString "+s, lib0.AppendVarString(nil, s), v.Hex)
	}
	for _, v := range vectors(t, "float32") {
		want(t, "float32", lib0.AppendFloat32(nil, float32(value(t, v.Value).(float64))), v.Hex)
	}
	for _, v := range vectors(t, "float64") {
		f := value(t, v.Value).(float64)
		if f == f {
			want(t, "float64", lib0.AppendFloat64(nil, f), v.Hex)
		}
	}
}

func TestAnyMatchesTheVectorsBothWays(t *testing.T) {
	for _, v := range vectors(t, "any") {
		b := unhex(t, v.Hex)
		want(t, string(v.Value), lib0.AppendAny(nil, value(t, v.Value)), v.Hex)
		r := lib0.NewReader(b)
		got, err := r.Any(&lib0.Budget{Depth: 100, Elements: 1000, MaxString: 1000})
		if err != nil || r.Len() != 0 {
			t.Errorf("any %s: %v, %d left", v.Hex, err, r.Len())
		}
		want(t, string(v.Value), lib0.AppendAny(nil, got), v.Hex)
	}
}

func TestColumnsMatchTheVectorsBothWays(t *testing.T) {
	for _, v := range vectors(t, "columns") {
		b := unhex(t, v.Hex)
		switch v.Column {
		case "RLE(uint8)":
			var w lib0.ByteColumn
			var r lib0.ByteColumnReader
			r.Reset(b)
			for _, raw := range v.Values {
				n := integer(t, raw)
				w.Write(byte(n))
				if got, err := r.Read(); uint64(got) != n || err != nil {
					t.Errorf("%s %s: %d, %v", v.Column, v.Hex, got, err)
				}
			}
			want(t, v.Column, w.Encode(), v.Hex)
		case "UintOptRle":
			var w lib0.UintColumn
			var r lib0.UintColumnReader
			r.Reset(b)
			for _, raw := range v.Values {
				n := integer(t, raw)
				w.Write(n)
				if got, err := r.Read(); got != n || err != nil {
					t.Errorf("%s %s: %d, %v", v.Column, v.Hex, got, err)
				}
			}
			want(t, v.Column, w.Encode(), v.Hex)
			if _, err := r.Read(); err == nil {
				t.Errorf("%s %s: read past the end", v.Column, v.Hex)
			}
		case "IntDiffOptRle":
			var w lib0.DiffColumn
			var r lib0.DiffColumnReader
			r.Reset(b)
			for _, raw := range v.Values {
				n := integer(t, raw)
				w.Write(n)
				if got, err := r.Read(); got != n || err != nil {
					t.Errorf("%s %s: %d, %v", v.Column, v.Hex, got, err)
				}
			}
			want(t, v.Column, w.Encode(), v.Hex)
			if _, err := r.Read(); err == nil {
				t.Errorf("%s %s: read past the end", v.Column, v.Hex)
			}
		case "String":
			var w lib0.TextColumn
			var r lib0.TextColumnReader
			r.Reset(b)
			var aux []byte
			for _, raw := range v.Values {
				s := value(t, raw).(string)
				w.WriteWTF([]byte(s))
				got, _, _, err := r.Read(&aux)
				if string(got) != s || err != nil {
					t.Errorf("%s %s: %x, want %x, %v", v.Column, v.Hex, got, s, err)
				}
			}
			want(t, v.Column, w.AppendTo(nil), v.Hex)
			if _, _, _, err := r.Read(&aux); err == nil {
				t.Errorf("%s %s: read past the end", v.Column, v.Hex)
			}
		}
	}
}

func TestJSONIsWrittenAsJavaScriptDoes(t *testing.T) {
	for in, out := range map[string]string{
		`12.0`:                    `12`,
		`1e21`:                    `1e+21`,
		`1e-7`:                    `1e-7`,
		`0.000001`:                `0.000001`,
		`123456789012345680000`:   `123456789012345680000`,
		`-0`:                      `0`,
		`1e999`:                   `null`,
		` { "b" : 1 , "1" : 2 } `: `{"1":2,"b":1}`,
		`"<>&\u2028\u0001"`:       "\"<>&\u2028\\u0001\"",
		`"\ud83d\ude00"`:          `"😀"`,
		`"a\nb\"\\"`:              `"a\nb\"\\"`,
		`[true,false,null,[]]`:    `[true,false,null,[]]`,
	} {
		v, err := lib0.ParseJSON([]byte(in), 10)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got, ok := lib0.AppendJSON(nil, v); !ok || string(got) != out {
			t.Errorf("%s: %s, want %s", in, got, out)
		}
	}
	for _, bad := range []string{``, `01`, `1.`, `.5`, `+1`, `{`, `{a:1}`, `[1,]`, `"`, `"\x"`, "\"\n\"", `nul`, `1 2`, `1e`, `--1`, `NaN`, `undefined`} {
		if err := lib0.ValidJSON([]byte(bad), 10); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
	if err := lib0.ValidJSON([]byte(`[[[]]]`), 2); err != lib0.ErrDepth {
		t.Errorf("depth 3 of 2: %v", err)
	}
}
