package ydoc_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

func TestSplitIntegratesWhatTryingEverythingAgainWould(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	ready, parts := 0, 0
	for range 20_000 {
		u, err := ydoc.DecodeUpdate(randomUpdate(rng), ydoc.V1, ydoc.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		var sv ydoc.StateVector
		for c := range ydoc.ClientID(5) {
			sv.Advance(c+1, ydoc.Clock(rng.IntN(6)))
		}
		want := ydoc.NaiveAfter(u, sv)
		r, rest, after := u.Split(sv)
		if !after.Equal(want) {
			t.Fatalf("%s\non %x: after %x, want %x", ydoc.Dump(u), sv.Encode(), after.Encode(), want.Encode())
		}
		checkSplit(t, u, sv, ydoc.V1)
		if t.Failed() {
			t.Fatalf("%s\non %x", ydoc.Dump(u), sv.Encode())
		}
		if rest.Empty() {
			ready++
		} else if !r.Empty() {
			parts++
		}
	}
	if ready < 100 || parts < 1000 {
		t.Errorf("%d updates were ready, %d in part: the test is too narrow", ready, parts)
	}
}

func TestReadyFollowsReferencesAcrossClients(t *testing.T) {
	// Client 3 types after client 2, who types after client 1.
	chain := new(builder).at(3, 0).text(&id{Client: 2, Clock: 0}, nil, "c").
		at(2, 0).text(&id{Client: 1, Clock: 0}, nil, "b").at(1, 0).text(nil, nil, "a").bytes()
	circle := new(builder).at(2, 0).text(&id{Client: 1, Clock: 0}, nil, "b").
		at(1, 0).text(&id{Client: 2, Clock: 0}, nil, "a").bytes()
	gap := new(builder).at(1, 2).text(&id{Client: 1, Clock: 1}, nil, "c").bytes()
	deletion := new(builder).remove(1, 0, 3).bytes()
	var two, three ydoc.StateVector
	two.Advance(1, 2)
	three.Advance(1, 3)
	for _, c := range []struct {
		name   string
		update []byte
		sv     ydoc.StateVector
		want   bool
	}{
		{"chain", chain, ydoc.StateVector{}, true},
		{"circle", circle, ydoc.StateVector{}, false},
		{"gap", gap, ydoc.StateVector{}, false},
		{"gap filled", gap, two, true},
		{"deletion of the unknown", deletion, two, false},
		{"deletion", deletion, three, true},
	} {
		if got := decode(t, c.update, ydoc.V1).Ready(c.sv); got != c.want {
			t.Errorf("%s: Ready is %v", c.name, got)
		}
	}
}

func TestOnlyKeepsWhatIsOfTheClientsAskedFor(t *testing.T) {
	var b builder
	b.at(9, 0).text(nil, nil, "nine").at(5, 3).text(&id{Client: 9, Clock: 1}, nil, "five").at(2, 0).gc(4)
	u, err := ydoc.DecodeUpdate(b.remove(9, 0, 2).remove(5, 3, 1).bytes(), ydoc.V1, ydoc.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	var want builder
	want.at(5, 3).text(&id{Client: 9, Clock: 1}, nil, "five")
	only := u.Only(func(c ydoc.ClientID) bool { return c == 5 })
	if got := only.Append(nil, ydoc.V1); !bytes.Equal(got, want.remove(5, 3, 1).bytes()) {
		t.Errorf("got %x", got)
	}
	if none := u.Only(func(ydoc.ClientID) bool { return false }); !none.Empty() {
		t.Error("something is left of nothing")
	}
}
