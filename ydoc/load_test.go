package ydoc_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/lib0"
)

// sameAsApplied loads u into an empty document and applies it to one that is observed,
// which must come to the same, also once both are
// edited. It reports whether u was loaded.
func sameAsApplied(t *testing.T, u *ydoc.Update, o ydoc.Options) bool {
	t.Helper()
	o.ClientID = 1 << 50
	loaded, applied := ydoc.NewDoc(o), ydoc.NewDoc(o)
	applied.OnUpdate(func(*ydoc.Transaction) {})
	for _, d := range []*ydoc.Doc{loaded, applied} {
		d.Map("map") // before it is in an update
		if err := d.ApplyUpdate(u); err != nil {
			t.Fatal(err)
		}
		if err := d.Check(); err != nil {
			t.Fatalf("%v, of %x", err, u.Append(nil, ydoc.V1))
		}
	}
	for _, f := range []ydoc.Format{ydoc.V1, ydoc.V2} {
		if got, want := loaded.Encode(f), applied.Encode(f); !bytes.Equal(got, want) {
			t.Fatalf("%x\nloads as\n%x, applied it is\n%x", u.Append(nil, ydoc.V1), got, want)
		}
	}
	if got, want := readEverything(loaded), readEverything(applied); !bytes.Equal(got, want) {
		t.Fatalf("%x\nloads as\n%q, applied it is\n%q", u.Append(nil, ydoc.V1), got, want)
	}
	if got, want := fmt.Sprint(loaded.JSON()), fmt.Sprint(applied.JSON()); got != want { // with the order of keys
		t.Fatalf("%x\nloads as\n%s, applied it is\n%s", u.Append(nil, ydoc.V1), got, want)
	}
	if loaded.Pending() != applied.Pending() || !loaded.Snapshot().Equal(applied.Snapshot()) {
		t.Fatalf("%x: pending %v and %v", u.Append(nil, ydoc.V1), loaded.Pending(), applied.Pending())
	}
	if !u.Empty() { // what is not seen in it shows when it is edited
		for _, d := range []*ydoc.Doc{loaded, applied} {
			rng := rand.New(rand.NewPCG(1, 1))
			for range 8 {
				editRandomly(d, rng)
			}
			if err := d.Check(); err != nil {
				t.Fatalf("%v, after edits of %x", err, u.Append(nil, ydoc.V1))
			}
		}
		if got, want := loaded.Encode(ydoc.V1), applied.Encode(ydoc.V1); !bytes.Equal(got, want) {
			t.Fatalf("%x\nloaded and edited is\n%x, applied and edited it is\n%x", u.Append(nil, ydoc.V1), got, want)
		}
	}
	return ydoc.Loads(u)
}

func TestStatesLoadAsTheyApply(t *testing.T) {
	defer ydoc.LoadAnySize()()
	at := func(client, clock uint64) *id { return &id{Client: ydoc.ClientID(client), Clock: ydoc.Clock(clock)} }
	str := func(s string) []byte { return lib0.AppendVarString([]byte{4}, s) }
	for _, test := range []struct {
		name  string
		b     *builder
		loads bool
	}{
		{"one item", new(builder).at(1, 0).text(nil, nil, "a"), true},
		{"nothing but deletions", new(builder).remove(1, 0, 2), false},
		{"a deletion of what is missing", new(builder).at(1, 0).text(nil, nil, "abc").remove(1, 1, 5).remove(2, 0, 1), true},
		{"a client that begins later", new(builder).at(1, 2).text(nil, nil, "a"), false},
		{"a gap", new(builder).at(1, 0).text(nil, nil, "ab").at(1, 3).text(at(1, 1), nil, "c"), false},
		{"an origin that is missing", new(builder).at(2, 0).text(at(3, 0), nil, "a"), false},
		{"an origin beyond the end", new(builder).at(2, 0).text(at(1, 1), nil, "a").at(1, 0).text(nil, nil, "b"), false},
		{"a right origin that is missing", new(builder).at(2, 0).text(nil, at(1, 1), "a").at(1, 0).text(nil, nil, "b"), false},
		{"a parent that is missing", new(builder).at(2, 0).typ(nil, at(1, 4)).at(1, 0).text(nil, nil, "b"), false},
		{"a parent that is text", new(builder).at(2, 0).typ(nil, at(1, 0)).typ(nil, at(2, 0)).at(1, 0).text(nil, nil, "b"), true},
		{"a circle", new(builder).at(3, 0).typ(nil, nil).at(2, 0).text(at(1, 0), nil, "a").at(1, 0).text(at(2, 0), nil, "b"), false},
		{"a circle of parents", new(builder).at(2, 0).typ(nil, at(1, 0)).at(1, 0).typ(nil, at(2, 0)), false},
		{"a client in two blocks, the wrong way round", new(builder).at(1, 2).text(at(1, 1), nil, "c").at(2, 0).text(at(1, 2), nil, "x").at(1, 0).text(nil, nil, "ab"), true},
		{"a struct twice, once longer", new(builder).at(1, 0).text(nil, nil, "ab").at(1, 0).text(nil, nil, "abc"), true},
		{"text cut by an origin and by a right one", new(builder).at(2, 0).text(at(1, 1), at(1, 4), "x").at(1, 0).text(nil, nil, "abcdef"), true},
		{"text cut where others are", new(builder).at(3, 0).text(at(1, 0), nil, "y").at(2, 0).text(at(1, 0), at(1, 3), "x").at(1, 0).text(nil, nil, "abcdef"), true},
		{"text cut and put together again", new(builder).at(2, 0).text(at(1, 1), at(1, 2), "x").at(1, 0).text(nil, nil, "abcdef").remove(2, 0, 1), true},
		{"a pair that is cut", new(builder).at(2, 0).text(at(1, 1), nil, "x").at(1, 0).text(nil, nil, "a😀b"), false},
		{"text behind pairs that is cut", new(builder).at(2, 0).text(at(1, 4), nil, "x").at(1, 0).text(nil, nil, "😀😀ab"), true},
		{"elements that are cut", new(builder).at(2, 0).text(at(1, 1), nil, "x").at(1, 0).item(nil, nil, nil, "", 3, 8, 3, 0x7f, 0x77, 1, 'a', 0x7e), true},
		{"JSON that is cut", new(builder).at(2, 0).text(at(1, 0), nil, "x").at(1, 0).item(nil, nil, nil, "", 2, 2, 2, 2, '{', '}', 1, '1'), true},
		{"deleted content that is cut", new(builder).at(2, 0).text(at(1, 0), nil, "x").at(1, 0).item(nil, nil, nil, "", 9, 1, 9), true},
		{"GC structs that others are beside", new(builder).at(2, 0).text(at(1, 1), nil, "x").text(at(2, 0), nil, "y").at(1, 0).gc(3).gc(2).text(nil, at(1, 2), "z"), true},
		{"a type in a GC struct", new(builder).at(2, 0).typ(nil, at(1, 1)).typ(nil, at(2, 0)).at(1, 0).gc(3), true},
		{"both origins the same", new(builder).at(2, 0).text(at(1, 1), at(1, 1), "x").at(1, 0).text(nil, nil, "abc"), false},
		{"a right origin on the left", new(builder).at(2, 0).text(at(1, 3), at(1, 1), "x").at(1, 0).text(nil, nil, "abcdef"), false},
		{"values of one key", new(builder).at(2, 0).item(nil, nil, nil, "k", 1, str("x")...).at(1, 0).item(nil, nil, nil, "k", 1, str("y")...), true},
		{"a type that is replaced, with things in it", new(builder).at(2, 0).item(at(1, 0), nil, nil, "", 1, str("x")...).
			at(1, 0).item(nil, nil, nil, "k", 1, 7, 1).item(nil, nil, at(1, 0), "l", 1, 7, 0).item(nil, nil, at(1, 1), "", 2, str("in")...), true},
		{"rivals at one place", new(builder).at(4, 0).text(nil, nil, "d").text(at(3, 0), nil, "D").at(3, 0).text(nil, nil, "cC").
			at(2, 0).text(nil, at(3, 1), "b").at(1, 0).text(at(2, 0), nil, "a"), true},
		{"a right origin in another list", new(builder).at(2, 0).text(at(1, 0), at(1, 2), "x").at(1, 0).text(nil, nil, "a").typ(nil, nil).item(nil, nil, at(1, 1), "", 1, str("i")...), true},
		{"long and short structs", new(builder).at(2, 0).text(at(1, 1000), at(1, 1001), "x").text(at(1, 1003), nil, "y").
			at(1, 0).item(nil, nil, nil, "", 1000, 1, 0xe8, 7).text(nil, nil, "a").text(at(1, 1000), nil, "b").text(nil, nil, "c").text(nil, nil, "d"), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			u := decode(t, test.b.bytes(), ydoc.V1)
			for _, keep := range []bool{false, true} {
				if loads := sameAsApplied(t, u, ydoc.Options{KeepDeleted: keep}); loads != test.loads {
					t.Errorf("loads: %v, want %v", loads, test.loads)
				}
			}
		})
	}
}

// A value that another update cuts is refused by DecodeUpdate only in one with the cut.
func TestStateWithAValueThatIsCutIsApplied(t *testing.T) {
	defer ydoc.LoadAnySize()()
	var m ydoc.Merger
	for _, b := range []*builder{
		new(builder).at(1, 0).item(nil, nil, nil, "k", 2, 4, 2, 'a', 'b'),
		new(builder).at(2, 0).text(&id{Client: 1, Clock: 0}, nil, "x"),
	} {
		if err := m.Add(b.bytes(), ydoc.V1); err != nil {
			t.Fatal(err)
		}
	}
	if sameAsApplied(t, m.Update(), ydoc.Options{}) {
		t.Error("it was loaded")
	}
}

func TestLimitsHoldForWhatIsLoaded(t *testing.T) {
	deep := new(builder).at(1, 0).typ(nil, nil)
	for i := range ydoc.Clock(100) {
		deep.typ(nil, &id{Client: 1, Clock: i})
	}
	d := ydoc.NewDoc(ydoc.Options{MaxDepth: 50})
	if err := d.Apply(deep.bytes(), ydoc.V1); err == nil {
		t.Error("types nested too deep are loaded")
	}
	if got := d.Encode(ydoc.V1); !bytes.Equal(got, []byte{0, 0}) {
		t.Errorf("the document has changed: %x", got)
	}
}

// What loads states without observers must also be what is told of in a transaction.
func TestStateAppliedInATransactionIsInItsUpdate(t *testing.T) {
	from := ydoc.NewDoc(ydoc.Options{ClientID: 1})
	for i := range 100 {
		from.Array("a").Insert(0, i)
	}
	from.Array("a").Delete(3, 5)
	state := from.Encode(ydoc.V1)
	d := ydoc.NewDoc(ydoc.Options{})
	tx := d.Transact(func() {
		if err := d.Apply(state, ydoc.V1); err != nil {
			t.Error(err)
		}
	})
	if got := tx.Update(ydoc.V1); !bytes.Equal(got, state) {
		t.Errorf("the update is %x, want %x", got, state)
	}
}

func TestRandomStatesLoadAsTheyApply(t *testing.T) {
	defer ydoc.LoadAnySize()()
	rng := seeded(t)
	loaded, all := 0, 0
	for range 150 {
		updates := randomUpdates(t, rng)
		exact, joined := ydoc.Merger{Exact: true}, ydoc.Merger{}
		whole := ydoc.NewDoc(ydoc.Options{KeepDeleted: rng.IntN(2) == 0})
		for _, b := range updates {
			for _, err := range []error{exact.Add(b, ydoc.V1), joined.Add(b, ydoc.V1), whole.Apply(b, ydoc.V1)} {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		some := ydoc.Merger{Exact: true}
		for range 1 + rng.IntN(len(updates)) {
			if err := some.Add(updates[rng.IntN(len(updates))], ydoc.V1); err != nil {
				t.Fatal(err)
			}
		}
		states := [][]byte{
			exact.Append(nil, ydoc.V1), joined.Append(nil, ydoc.V1), some.Append(nil, ydoc.V1), whole.Encode(ydoc.V1),
		}
		for _, state := range states {
			var m ydoc.Merger
			if err := m.Add(state, ydoc.V1); err != nil {
				t.Fatal(err)
			}
			all++
			if sameAsApplied(t, m.Update(), ydoc.Options{KeepDeleted: rng.IntN(2) == 0}) {
				loaded++
			}
		}
	}
	t.Logf("%d of %d were loaded", loaded, all)
	if loaded < all/3 {
		t.Errorf("only %d of %d were loaded", loaded, all)
	}
}

// randomUpdates are those of a few writers, and of a hostile one now and then.
func randomUpdates(t *testing.T, rng *rand.Rand) [][]byte {
	t.Helper()
	var updates [][]byte
	var docs []*ydoc.Doc
	for c := range 3 {
		docs = append(docs, declared(ydoc.Options{ClientID: ydoc.ClientID(c + 1)}))
	}
	for range 40 {
		w := rng.IntN(len(docs))
		if tx := editRandomly(docs[w], rng); !tx.Empty() {
			updates = append(updates, tx.Update(ydoc.V1))
		}
		if rng.IntN(3) == 0 {
			applyAll(t, docs[w], ydoc.V1, updates)
		}
	}
	if rng.IntN(3) > 0 {
		return updates
	}
	merged, err := ydoc.MergeUpdates(ydoc.V1, updates...)
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		b := hostileUpdate(rng, decode(t, merged, ydoc.V1))
		if _, err := ydoc.DecodeUpdate(b, ydoc.V1, ydoc.DefaultLimits()); err == nil {
			return append(updates, b)
		}
	}
	return updates
}
