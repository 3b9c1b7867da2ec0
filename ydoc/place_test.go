package ydoc_test

import (
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

func typeDepth(t *testing.T, b []byte) [2]int {
	t.Helper()
	rooted, floating := decode(t, b, ydoc.V1).TypeDepth()
	return [2]int{rooted, floating}
}

func TestTypeDepthCountsTypesInTypes(t *testing.T) {
	nested := new(builder).at(1, 0).typ(nil, nil)
	for i := range uint64(5000) {
		nested.typ(nil, &id{Client: 1, Clock: ydoc.Clock(i)})
	}
	for name, c := range map[string]struct {
		update []byte
		want   [2]int
	}{
		"none":                       {new(builder).at(1, 0).text(nil, nil, "a").bytes(), [2]int{0, 0}},
		"in a root":                  {new(builder).at(1, 0).typ(nil, nil).bytes(), [2]int{1, 0}},
		"beside one":                 {new(builder).at(1, 0).typ(nil, nil).typ(&id{Client: 1}, nil).bytes(), [2]int{1, 0}},
		"beside text, in one":        {new(builder).at(1, 0).typ(nil, nil).text(nil, nil, "a").typ(nil, &id{Client: 1}).bytes(), [2]int{2, 0}},
		"in one, beside text":        {new(builder).at(1, 0).typ(nil, nil).item(nil, nil, &id{Client: 1}, "", 1, 4, 1, 'a').typ(&id{Client: 1, Clock: 1}, nil).bytes(), [2]int{2, 0}},
		"in one elsewhere":           {new(builder).at(1, 0).typ(nil, &id{Client: 2}).bytes(), [2]int{0, 1}},
		"beside something elsewhere": {new(builder).at(1, 0).typ(&id{Client: 2}, nil).typ(nil, &id{Client: 1}).bytes(), [2]int{0, 2}},
		"in what is no type":         {new(builder).at(1, 0).text(nil, nil, "a").typ(nil, &id{Client: 1}).bytes(), [2]int{0, 0}},
		"in what was collected":      {new(builder).at(1, 0).gc(1).typ(nil, &id{Client: 1}).bytes(), [2]int{0, 0}},
		"in a circle": {new(builder).at(2, 0).typ(&id{Client: 1}, nil).at(1, 0).typ(&id{Client: 2}, nil).bytes(),
			[2]int{0, 1}},
		"5001 deep": {nested.bytes(), [2]int{5001, 0}},
	} {
		if got := typeDepth(t, c.update); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestSplitValueFindsTheValueOfAKeyThatIsCut(t *testing.T) {
	three := []byte{8, 3, 0x7e, 0x7e, 0x7e}
	value := func() *builder { return new(builder).at(1, 0).item(nil, nil, nil, "k", 3, three...) }
	after := func(b *builder, origin, right *id) *builder {
		return b.at(2, 0).item(origin, right, nil, "", 1, 8, 1, 0x7e)
	}
	first, second, last := &id{Client: 1}, &id{Client: 1, Clock: 1}, &id{Client: 1, Clock: 2}
	for name, c := range map[string]struct {
		update []byte
		want   bool
	}{
		"whole":                     {value().bytes(), false},
		"deleted":                   {value().remove(1, 0, 3).bytes(), false},
		"deleted with others":       {value().remove(1, 0, 9).bytes(), false},
		"deleted in part":           {value().remove(1, 0, 2).bytes(), true},
		"deleted at its end":        {value().remove(1, 2, 1).bytes(), true},
		"overwritten":               {after(value(), last, nil).bytes(), false},
		"followed inside":           {after(value(), second, nil).bytes(), true},
		"followed after its first":  {after(value(), first, nil).bytes(), true},
		"preceded":                  {after(value(), nil, first).bytes(), false},
		"preceded inside":           {after(value(), nil, second).bytes(), true},
		"overwritten by one, cut":   {new(builder).at(1, 0).item(nil, nil, nil, "k", 1, 8, 1, 0x7e).item(first, nil, nil, "", 3, three...).remove(1, 2, 1).bytes(), true},
		"in a type under the key":   {new(builder).at(1, 0).item(nil, nil, nil, "k", 1, 7, 0).item(nil, nil, first, "", 3, three...).remove(1, 2, 1).bytes(), false},
		"in a list, beside a value": {value().at(3, 0).item(nil, nil, nil, "", 3, three...).remove(3, 1, 1).bytes(), false},
		"tombstone":                 {new(builder).at(1, 0).item(nil, nil, nil, "k", 3, 1, 3).remove(1, 1, 1).bytes(), false},
	} {
		_, err := ydoc.DecodeUpdate(c.update, ydoc.V1, ydoc.DefaultLimits())
		_, found := exact(t, ydoc.V1, c.update).Update().SplitValue()
		if found != c.want || (err != nil) != c.want {
			t.Errorf("%s: found %v, %v", name, found, err)
		}
	}
	// The value is in the state, the cut in an update.
	cut := after(new(builder), second, nil).bytes()
	if _, err := ydoc.DecodeUpdate(cut, ydoc.V1, ydoc.DefaultLimits()); err != nil {
		t.Error(err)
	}
	if at, found := exact(t, ydoc.V1, value().bytes(), cut).Update().SplitValue(); !found || at != *first {
		t.Errorf("found %v at %v", found, at)
	}
}

// Two values of an attribute, the second of which replaces the first, look like a run
// of text to who does not know what the first replaced.
func TestTextThatMayBeValuesOfAKeyStaysApart(t *testing.T) {
	first := new(builder).at(1, 5).text(&id{Client: 2}, nil, "ab").bytes()
	second := new(builder).at(1, 7).text(&id{Client: 1, Clock: 6}, nil, "cd").bytes()
	attribute := new(builder).at(2, 0).item(nil, nil, nil, "k", 1, 4, 1, 'x').bytes()
	text := new(builder).at(2, 0).text(nil, nil, "x").bytes()
	for name, c := range map[string]struct {
		keyless bool
		updates [][]byte
		structs int
	}{
		"beside something unknown":   {false, [][]byte{first, second}, 2},
		"in a document without keys": {true, [][]byte{first, second}, 1},
		"beside a value":             {false, [][]byte{first, second, attribute}, 3},
		"beside text":                {false, [][]byte{first, second, text}, 2},
	} {
		m := ydoc.Merger{Keyless: c.keyless}
		for _, b := range c.updates {
			if err := m.Add(b, ydoc.V1); err != nil {
				t.Fatal(err)
			}
		}
		if got := ydoc.Dump(decode(t, m.Append(nil, ydoc.V1), ydoc.V1)); len(got) != c.structs {
			t.Errorf("%s: %v, want %d structs", name, got, c.structs)
		}
	}
}
