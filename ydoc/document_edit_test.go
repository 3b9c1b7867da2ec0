package ydoc_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/heapsync/heapsync/ydoc"
)

// Long text is edited by index like a slice of code units.
func TestTextEditedByIndexIsWhatASliceWouldBe(t *testing.T) {
	rng := seeded(t)
	d := ydoc.NewDoc(ydoc.Options{ClientID: 1})
	follower := ydoc.NewDoc(ydoc.Options{})
	d.OnUpdate(func(tx *ydoc.Transaction) {
		if err := follower.Apply(tx.Update(ydoc.V1), ydoc.V1); err != nil {
			t.Fatal(err)
		}
	})
	text, model := d.Text("t"), []uint16{}
	for i := range 6000 {
		at := rng.IntN(len(model) + 1)
		if rng.IntN(3) == 0 {
			n := min(rng.IntN(8), len(model)-at)
			text.Delete(at, n)
			model = slices.Delete(model, at, at+n)
		} else {
			s := []string{"a", "bc", "é", "漢字", strings.Repeat("x", 40)}[rng.IntN(5)]
			text.Insert(at, s)
			model = slices.Insert(model, at, utf16.Encode([]rune(s))...)
		}
		if i%500 == 0 || i > 5990 {
			want := string(utf16.Decode(model))
			if text.String() != want || follower.Text("t").String() != want || text.Len() != len(model) {
				t.Fatalf("edit %d: another text", i)
			}
			for _, d := range []*ydoc.Doc{d, follower} {
				if err := d.Check(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for range 200 {
		at := rng.IntN(len(model))
		p := text.Position(at, rng.IntN(3)-1)
		if in, index, ok := d.Resolve(p); in != text.Type || index != at || !ok {
			t.Fatalf("position %d resolves to %d, %v", at, index, ok)
		}
	}
}

func TestArrayEditedByIndexIsWhatASliceWouldBe(t *testing.T) {
	rng := seeded(t)
	d := ydoc.NewDoc(ydoc.Options{})
	list, model := d.Array("a"), []any{}
	for i := range 3000 {
		at := rng.IntN(len(model) + 1)
		switch rng.IntN(4) {
		case 0:
			n := min(rng.IntN(6), len(model)-at)
			list.Delete(at, n)
			model = slices.Delete(model, at, at+n)
		case 1:
			list.Append(float64(i))
			model = append(model, float64(i))
		default:
			list.Insert(at, float64(i), "s", []byte{byte(i)})
			model = slices.Insert(model, at, any(float64(i)), any("s"), any([]byte{byte(i)}))
		}
	}
	if err := d.Check(); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(list.JSON(), any(model)) {
		t.Fatal("another list")
	}
	for i, want := range model {
		if got := list.At(i); !reflect.DeepEqual(got, want) {
			t.Fatalf("element %d is %v, want %v", i, got, want)
		}
	}
}

func TestValuesComeBackAsTheyWere(t *testing.T) {
	d := ydoc.NewDoc(ydoc.Options{})
	values := []any{
		nil, ydoc.Undefined{}, true, 1.5, math.Copysign(0, -1), math.Inf(-1), ydoc.BigInt(-7), "", "é😀",
		[]byte{}, []byte{0, 255}, []any{nil, ydoc.Undefined{}, []any{}}, ydoc.Object{},
		ydoc.Object{{Key: "b", Value: ydoc.BigInt(1)}, {Key: "a", Value: []byte{1}}},
		ydoc.Subdoc{GUID: "g", Options: ydoc.Object{{Key: "autoLoad", Value: true}}},
	}
	for i, v := range values {
		d.Map("m").Set(string(rune('a'+i)), v)
	}
	d.Map("m").Set("int", 3)
	d.Map("m").Set("nan", math.NaN())
	for _, f := range []ydoc.Format{ydoc.V1, ydoc.V2} {
		again := ydoc.NewDoc(ydoc.Options{})
		if err := again.Apply(d.Encode(f), f); err != nil {
			t.Fatal(err)
		}
		m := again.Map("m")
		for i, want := range values {
			got, ok := m.Value(string(rune('a' + i)))
			if !ok || !reflect.DeepEqual(got, want) {
				t.Errorf("format %d: %#v came back as %#v, %v", f, want, got, ok)
			}
		}
		if v, _ := m.Value("e"); !math.Signbit(v.(float64)) {
			t.Error("-0 came back as 0")
		}
		if v, _ := m.Value("int"); v != 3.0 {
			t.Errorf("3 came back as %v", v)
		}
		if v, _ := m.Value("nan"); v == v {
			t.Errorf("NaN came back as %v", v)
		}
		if v, ok := m.Value("none"); v != nil || ok {
			t.Errorf("a key without value has %v", v)
		}
		if m.Len() != len(values)+2 {
			t.Errorf("%d keys", m.Len())
		}
	}
}

func TestATransactionIsOneUpdate(t *testing.T) {
	d := ydoc.NewDoc(ydoc.Options{ClientID: 5})
	updates := 0
	d.OnUpdate(func(*ydoc.Transaction) { updates++ })
	tx := d.Transact(func() {
		d.Text("t").Insert(0, "hello")
		d.Transact(func() { d.Map("m").Set("k", 1) })
		d.Text("t").Delete(0, 1)
	})
	if updates != 1 || tx.Empty() || !tx.Local() || tx.Deletes().Len() != 1 || tx.Before().Len() != 0 {
		t.Errorf("%d updates, empty %v, local %v", updates, tx.Empty(), tx.Local())
	}
	other := newDocWith(t, ydoc.Options{}, tx.Update(ydoc.V1))
	if got := other.Text("t").String(); got != "ello" {
		t.Errorf("text %q", got)
	}
	if tx := d.Transact(func() {}); !tx.Empty() || tx.Update(ydoc.V1) != nil || updates != 1 {
		t.Error("nothing was done, and something changed")
	}
}

func TestApplyWithinATransactionIsPartOfIt(t *testing.T) {
	writer := ydoc.NewDoc(ydoc.Options{})
	writer.Text("t").Insert(0, strings.Repeat("far away ", 100))
	for i := range 100 {
		writer.Text("t").Delete(i, 1)
	}
	d := ydoc.NewDoc(ydoc.Options{})
	tx := d.Transact(func() {
		d.Text("t").Insert(0, "here")
		if err := d.Apply(writer.Encode(ydoc.V1), ydoc.V1); err != nil {
			t.Fatal(err)
		}
	})
	if tx.Local() {
		t.Error("what was applied is local")
	}
	other := newDocWith(t, ydoc.Options{}, tx.Update(ydoc.V1))
	if other.Text("t").String() != d.Text("t").String() {
		t.Error("the update is not all of the transaction")
	}
}

func TestADocOutlivesAnObserverThatPanics(t *testing.T) {
	d := ydoc.NewDoc(ydoc.Options{ClientID: 1})
	stop := d.Text("t").Observe(func(*ydoc.Event) { panic("observer") })
	func() {
		defer func() { recover() }()
		d.Text("t").Insert(0, "abc")
	}()
	stop()
	d.Text("t").Insert(3, "def")
	if got := d.Text("t").String(); got != "abcdef" {
		t.Errorf("text %q", got)
	}
	wantHex(t, "state", d.Encode(ydoc.V1), "010101000401017406616263646566"+"00")
	if err := d.Check(); err != nil {
		t.Error(err)
	}
}

func TestSubdocsComeAndGo(t *testing.T) {
	d := ydoc.NewDoc(ydoc.Options{})
	guids := func(all []ydoc.Subdoc) (s []string) {
		for _, sub := range all {
			s = append(s, sub.GUID)
		}
		return s
	}
	tx := d.Transact(func() {
		d.Map("m").Set("a", ydoc.Subdoc{GUID: "1"})
		d.Map("m").Set("b", ydoc.Subdoc{GUID: "2"})
		d.Map("m").Set("b", ydoc.Subdoc{GUID: "3"})
	})
	added, removed := tx.Subdocs()
	if !slices.Equal(guids(added), []string{"1", "3"}) || removed != nil {
		t.Errorf("added %v, removed %v", added, removed)
	}
	added, removed = d.Transact(func() { d.Map("m").Delete("a") }).Subdocs()
	if added != nil || !slices.Equal(guids(removed), []string{"1"}) {
		t.Errorf("added %v, removed %v", added, removed)
	}
	if all := guids(slices.Collect(d.Subdocs())); !slices.Equal(all, []string{"3"}) {
		t.Errorf("there are %v", all)
	}
}

func TestAnIDThatAnotherWriterHasIsGivenUp(t *testing.T) {
	d, thief := ydoc.NewDoc(ydoc.Options{ClientID: 5}), ydoc.NewDoc(ydoc.Options{ClientID: 5})
	thief.Text("t").Insert(0, "mine")
	if err := d.Apply(thief.Encode(ydoc.V1), ydoc.V1); err != nil {
		t.Fatal(err)
	}
	if d.ClientID() == 5 {
		t.Error("two writers have one id")
	}
	d.Text("t").Insert(0, "and ")
	if got := d.Text("t").String(); got != "and mine" {
		t.Errorf("text %q", got)
	}
	// Its own updates, handed back, are no other's.
	id := d.ClientID()
	if err := d.Apply(d.Encode(ydoc.V1), ydoc.V1); err != nil || d.ClientID() != id {
		t.Errorf("id %d became %d, %v", id, d.ClientID(), err)
	}
}

func TestEditsOfWhatIsDeletedDoNothing(t *testing.T) {
	for _, keep := range []bool{false, true} {
		d := ydoc.NewDoc(ydoc.Options{KeepDeleted: keep})
		list := d.Map("m").SetType("k", ydoc.TypeArray, "").AsArray()
		inner := list.InsertType(0, ydoc.TypeText, "").AsText()
		inner.Insert(0, "text")
		d.Map("m").Delete("k")
		before := d.Encode(ydoc.V1)
		inner.Insert(0, "more")
		inner.EmbedType(0, ydoc.TypeMap, "", nil).AsMap().Set("k", 1)
		list.Append(1)
		list.InsertType(0, ydoc.TypeMap, "").AsMap().Set("k", 1)
		list.AsMap().Set("k", 1)
		if !list.Deleted() || !inner.Deleted() || inner.Len() != 0 || string(d.Encode(ydoc.V1)) != string(before) {
			t.Errorf("keeping %v: deleted types were edited", keep)
		}
		if err := d.Check(); err != nil {
			t.Error(err)
		}
	}
}

func TestIndexesBeyondTheEndPanicAndChangeNothing(t *testing.T) {
	d := ydoc.NewDoc(ydoc.Options{})
	d.Text("t").Insert(0, "abc")
	d.Array("a").Append(1)
	before := d.Encode(ydoc.V1)
	for name, edit := range map[string]func(){
		"insert":        func() { d.Text("t").Insert(4, "x") },
		"delete":        func() { d.Text("t").Delete(2, 2) },
		"negative":      func() { d.Text("t").Insert(-1, "x") },
		"array insert":  func() { d.Array("a").Insert(2, 1) },
		"array delete":  func() { d.Array("a").Delete(0, 2) },
		"array element": func() { d.Array("a").At(1) },
		"among values":  func() { d.Array("a").Insert(0, 1, struct{}{}) },
		"no value":      func() { d.Map("m").Set("k", struct{}{}) },
		"no JSON":       func() { d.Text("t").Embed(0, ydoc.BigInt(1), nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			edit()
		}()
	}
	if string(d.Encode(ydoc.V1)) != string(before) {
		t.Error("the document changed")
	}
	d.Text("t").Insert(0, "still usable")
	if err := d.Check(); err != nil {
		t.Error(err)
	}
}

func TestOptionsBoundWhatIsApplied(t *testing.T) {
	nested := ydoc.NewDoc(ydoc.Options{})
	at := nested.Array("a")
	for range 12 {
		at = at.InsertType(0, ydoc.TypeArray, "").AsArray()
	}
	var waiting [][]byte
	writer := ydoc.NewDoc(ydoc.Options{ClientID: 1})
	writer.OnUpdate(func(tx *ydoc.Transaction) { waiting = append(waiting, tx.Update(ydoc.V1)) })
	for range 40 {
		writer.Text("t").Insert(0, strings.Repeat("x", 50))
	}
	lim := ydoc.DefaultLimits()
	lim.String = 10
	for name, c := range map[string]struct {
		o       ydoc.Options
		updates [][]byte
	}{
		"depth":   {ydoc.Options{MaxDepth: 10}, [][]byte{nested.Encode(ydoc.V1)}},
		"pending": {ydoc.Options{MaxPending: 1000}, waiting[1:]},
		"string":  {ydoc.Options{Limits: lim}, waiting[:1]},
	} {
		d := ydoc.NewDoc(c.o)
		var err error
		for _, u := range c.updates {
			before := d.Encode(ydoc.V1)
			if err = d.Apply(u, ydoc.V1); err != nil {
				if string(d.Encode(ydoc.V1)) != string(before) {
					t.Errorf("%s: refused, and changed the document", name)
				}
				break
			}
		}
		if !errors.Is(err, ydoc.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
		all := ydoc.NewDoc(ydoc.Options{})
		if err := all.Apply(c.updates[len(c.updates)-1], ydoc.V1); err != nil {
			t.Errorf("%s: refused without the option: %v", name, err)
		}
	}
	// What waits does not keep out what it waits for.
	d := ydoc.NewDoc(ydoc.Options{MaxPending: 10_000})
	for _, u := range append(waiting[1:], waiting[0]) {
		if err := d.Apply(u, ydoc.V1); err != nil {
			t.Fatal(err)
		}
	}
	if d.Pending() || d.Text("t").Len() != 40*50 {
		t.Errorf("pending %v, %d elements", d.Pending(), d.Text("t").Len())
	}
}

func TestUnknownRootsAreWhatTheyLookLike(t *testing.T) {
	writer := ydoc.NewDoc(ydoc.Options{})
	writer.Text("text").Insert(0, "abc")
	writer.Array("array").Append(1, "b")
	writer.Map("map").Set("k", 1)
	writer.XML("xml").InsertElement(0, "P").SetAttribute("id", "x")
	writer.XML("xml").InsertText(1).Insert(0, "tail")
	d := newDocWith(t, ydoc.Options{}, writer.Encode(ydoc.V1))
	want := ydoc.Object{
		{Key: "text", Value: "abc"}, {Key: "array", Value: []any{1.0, "b"}}, {Key: "map", Value: ydoc.Object{{Key: "k", Value: 1.0}}},
		{Key: "xml", Value: `<p id="x"></p>tail`},
	}
	if got := d.JSON(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	element := slices.Collect(d.XML("xml").Children())[0]
	if parent, ok := element.Parent(); !ok || parent != d.Root("xml") || element.Name() != "P" || element.Ref() != ydoc.TypeXMLElement {
		t.Errorf("element %q in %v", element.Name(), parent)
	}
	if v, ok := element.AsXML().Attribute("id"); v != "x" || !ok {
		t.Errorf("attribute %v", v)
	}
}

// A long run by one writer, into which others type, stays cheap to index; rand is here
// only to place them.
func TestManyWritersInOneTextConverge(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var updates [][]byte
	for client := range ydoc.ClientID(300) {
		d := newDocWith(t, ydoc.Options{ClientID: client + 1}, updates[:rng.IntN(len(updates)+1)]...)
		text := d.Text("t")
		tx := d.Transact(func() {
			for range 3 {
				text.Insert(rng.IntN(text.Len()+1), "ab")
			}
			text.Delete(rng.IntN(text.Len()), 1)
		})
		updates = append(updates, tx.Update(ydoc.V1))
	}
	want := newDocWith(t, ydoc.Options{}, updates...)
	rng.Shuffle(len(updates), func(i, j int) { updates[i], updates[j] = updates[j], updates[i] })
	got := newDocWith(t, ydoc.Options{}, updates...)
	if got.Pending() || got.Text("t").String() != want.Text("t").String() {
		t.Errorf("pending %v; another text", got.Pending())
	}
	if err := got.Check(); err != nil {
		t.Error(err)
	}
}
