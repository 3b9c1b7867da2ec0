package lib0_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

func FuzzAny(f *testing.F) {
	for _, text := range []string{"7f", "7e", "7d8080808010", "7c3f000000", "7b3fb999999999999a", "7a0000000000000001", "7703737472",
		"760201617d010162760101637500", "75027d0175027e7f", "74020102", "7602016100", "75ffffffff0f", "7d8000"} {
		b := make([]byte, len(text)/2)
		for i := range b {
			hi, lo := text[2*i], text[2*i+1]
			b[i] = digit(hi)<<4 | digit(lo)
		}
		f.Add(b)
	}
	budget := lib0.Budget{Depth: 20, Elements: 1000, MaxString: 1000}
	f.Fuzz(func(t *testing.T, b []byte) {
		skip := lib0.NewReader(b)
		left := budget
		skipped := skip.SkipAny(&left)
		r := lib0.NewReader(b)
		left = budget
		v, err := r.Any(&left)
		if (err == nil) != (skipped == nil) || err == nil && r.Offset() != skip.Offset() {
			t.Fatalf("%x: read %v to %d, skipped %v to %d", b, err, r.Offset(), skipped, skip.Offset())
		}
		if err != nil {
			return
		}
		once := lib0.AppendAny(nil, v)
		left = lib0.Budget{Depth: 20, Elements: 1000, MaxString: 1000}
		again, err := lib0.NewReader(once).Any(&left)
		if err != nil || !bytes.Equal(once, lib0.AppendAny(nil, again)) {
			t.Errorf("%x written as %x reads %v, %v", b, once, again, err)
		}
		left = budget
		left.JSON = true
		hasText := lib0.NewReader(b).SkipAny(&left) == nil
		text, ok := lib0.AppendJSON(nil, v)
		if ok != hasText {
			t.Errorf("%x: has JSON text %v, said %v", b, ok, hasText)
		}
		if ok && lib0.ValidJSON(text, 50) != nil {
			t.Errorf("%x is written as %s", b, text)
		}
	})
}

func digit(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

// FuzzJSON compares with encoding/json, which accepts the same texts.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e-3,"\ud83d\ude00\n"],"1":null}`, `[[[]]]`, `-0`, `1e999`, `"\ud83d"`, ` true `, `{"a":1,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if !utf8.Valid(b) {
			return
		}
		err := lib0.ValidJSON(b, 1000)
		if (err == nil) != json.Valid(b) && err != lib0.ErrDepth {
			t.Fatalf("%q: %v, encoding/json says %v", b, err, json.Valid(b))
		}
		if err != nil {
			return
		}
		v, err := lib0.ParseJSON(b, 1000)
		if err != nil {
			t.Fatal(err)
		}
		once, ok := lib0.AppendJSON(nil, v)
		if !ok {
			t.Fatalf("%q has no text again", b)
		}
		v, err = lib0.ParseJSON(once, 1000)
		if err != nil {
			t.Fatalf("%q written as %q: %v", b, once, err)
		}
		if twice, _ := lib0.AppendJSON(nil, v); !bytes.Equal(once, twice) {
			t.Errorf("%q, then %q, then %q", b, once, twice)
		}
	})
}

// FuzzTextColumn cuts a string by units and joins it again.
func FuzzTextColumn(f *testing.F) {
	f.Add("a😀b", uint8(2))
	f.Add("漢字\u0000", uint8(1))
	f.Fuzz(func(t *testing.T, s string, piece uint8) {
		if !utf8.ValidString(s) || piece == 0 {
			return
		}
		var lengths lib0.UintColumn
		left := lib0.Units([]byte(s))
		var pieces int
		for left > 0 {
			n := min(left, int(piece))
			lengths.Write(uint64(n))
			left -= n
			pieces++
		}
		column := append(lib0.AppendVarString(nil, s), lengths.Encode()...)
		var r lib0.TextColumnReader
		r.Reset(column)
		var w lib0.TextColumn
		var aux []byte
		for range pieces {
			text, units, wtf, err := r.Read(&aux)
			if err != nil || lib0.Units(text) != int(units) || wtf == utf8.Valid(text) {
				t.Fatalf("%q by %d: %x, %d units, %v, %v", s, piece, text, units, wtf, err)
			}
			w.WriteWTF(text)
		}
		if got := w.AppendTo(nil); !bytes.Equal(got, column) {
			t.Errorf("%q by %d: %x, want %x", s, piece, got, column)
		}
	})
}
