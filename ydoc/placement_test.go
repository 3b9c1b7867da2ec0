package ydoc_test

import (
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

// crossing is n items behind one origin, each of which wants to be left of another
// element of a text that begins there too.
func crossing(n int) []byte {
	origin := &id{Client: 5}
	b := new(builder).at(7, 0)
	for i := range n {
		b.text(origin, &id{Client: 1, Clock: ydoc.Clock(i)}, "x")
	}
	return b.at(5, 0).text(nil, nil, "A").at(1, 0).text(origin, nil, strings.Repeat("b", n)).bytes()
}

func steps(t *testing.T, b []byte) int {
	t.Helper()
	return decode(t, b, ydoc.V1).IntegrationSteps(math.MaxInt)
}

func TestIntegrationSteps(t *testing.T) {
	typed := new(builder).at(1, 0).text(nil, nil, "a")
	prepended := new(builder).at(1, 0).text(nil, nil, "a")
	values := new(builder)
	for i := range 1000 {
		typed.text(&id{Client: 1, Clock: ydoc.Clock(i)}, nil, "b")
		prepended.text(nil, &id{Client: 1, Clock: ydoc.Clock(i)}, "b")
		values.at(uint64(2000-i), 0).item(nil, nil, nil, "k", 1, 8, 1, 0x7e)
	}
	for name, c := range map[string]struct {
		update []byte
		want   int
	}{
		"nothing":                 {[]byte{0, 0}, 0},
		"typed":                   {typed.bytes(), 0},
		"prepended":               {prepended.bytes(), 0},
		"one value by everybody":  {values.bytes(), 999*1000/2 + 999},
		"in a circle":             {new(builder).at(2, 0).text(&id{Client: 1}, nil, "a").at(1, 0).text(&id{Client: 2}, nil, "b").bytes(), 0},
		"below what is collected": {new(builder).at(1, 0).gc(1).typ(nil, &id{Client: 1}).text(&id{Client: 1, Clock: 1}, nil, "a").bytes(), 0},
	} {
		if got := steps(t, c.update); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	if got := decode(t, crossing(3000), ydoc.V1).IntegrationSteps(1000); got != 1001 {
		t.Errorf("counted to %d", got)
	}
}

func TestBranches(t *testing.T) {
	for name, c := range map[string]struct {
		update          []byte
		items, branches int
	}{
		"nothing":   {[]byte{0, 0}, 0, 0},
		"typed":     {new(builder).at(1, 5).text(&id{Client: 1, Clock: 4}, nil, "a").text(&id{Client: 1, Clock: 5}, &id{Client: 2}, "b").bytes(), 2, 0},
		"inserted":  {new(builder).at(1, 5).text(&id{Client: 1, Clock: 2}, nil, "ab").text(&id{Client: 2, Clock: 4}, nil, "b").gc(3).bytes(), 2, 2},
		"in a root": {new(builder).at(1, 0).text(nil, nil, "a").text(nil, &id{Client: 1}, "b").bytes(), 2, 2},
	} {
		if items, branches := decode(t, c.update, ydoc.V1).Branches(); items != c.items || branches != c.branches {
			t.Errorf("%s: %d items, %d branches, want %d, %d", name, items, branches, c.items, c.branches)
		}
	}
}

func TestIntegrationStepsAreNoFewerThanThoseOfYjs(t *testing.T) {
	y := startYjs(t)
	rng := seeded(t)
	check := func(b []byte, exactly bool) {
		t.Helper()
		var yjs struct{ Steps int }
		if err := y.ask(map[string]any{"op": "steps", "state": hex.EncodeToString(b)}, &yjs); err != nil {
			t.Fatal(err)
		}
		got := steps(t, b)
		if got < yjs.Steps || exactly && got != yjs.Steps {
			t.Errorf("%d steps, those of Yjs are %d: %.400x", got, yjs.Steps, b)
		}
		items, branches := decode(t, b, ydoc.V1).Branches()
		if yjs.Steps > items*branches {
			t.Errorf("%d steps, bound by %d items, %d branches: %.400x", yjs.Steps, items, branches, b)
		}
	}
	check(crossing(100), true)
	for range 30 {
		s := y.session(t, rng)
		updates := unhexAll(t, s.V1)
		check(mergeAll(t, updates), false)
		check(unhex(t, s.State), false)
		state := decode(t, unhex(t, s.State), ydoc.V1)
		for range 10 {
			hostile := hostileUpdate(rng, state)
			if _, err := ydoc.DecodeUpdate(hostile, ydoc.V1, ydoc.DefaultLimits()); err != nil {
				continue
			}
			if merged := mergeAll(t, append(updates, hostile)); splitsNoValue(t, merged) {
				check(merged, false)
			}
		}
	}
}

func splitsNoValue(t *testing.T, b []byte) bool {
	_, found := trusted(t, b).SplitValue()
	return !found
}
