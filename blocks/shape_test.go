package blocks_test

import (
	"strings"
	"testing"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/storetest"
	"github.com/heapsync/heapsync/ydoc"
)

// nested is client's arrays from clock from to clock to, each in the one before.
func nested(client, from, to uint64) []byte {
	e := by(client, from)
	for clock := from; clock < to; clock++ {
		if clock == 0 {
			e.array(nil)
		} else {
			e.array(at(client, clock-1))
		}
	}
	return e.bytes()
}

func TestTypesNestFiveHundredDeepAndNotMore(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.put("ada", "ok", nested(1, 0, 500))
	w.want(w.push("ada", "deep", nested(1, 0, 501)), blocks.StatusInvalid, blocks.CodeTooDeep)
	w.want(w.push("ada", "ok", nested(1, 500, 501)), blocks.StatusInvalid, blocks.CodeTooDeep)
	w.put("ada", "ok", word(1, 500, "still good"))
	// Below another user's, and beside the deepest.
	w.want(w.push("bob", "ok", by(2, 0).array(at(1, 499)).bytes()), blocks.StatusInvalid, blocks.CodeTooDeep)
	w.put("bob", "ok", by(2, 0).array(at(1, 498)).bytes())
	w.restart()
	w.want(w.push("bob", "ok", by(2, 1).array(at(2, 0)).bytes()), blocks.StatusInvalid, blocks.CodeTooDeep)
}

func TestDepthBuiltStepByStepIsCounted(t *testing.T) {
	for name, step := range map[string]uint64{"one at a time": 1, "seven at a time": 7} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, blocks.Limits{TypeDepth: 50})
			at := uint64(0)
			for ; at+step <= 50; at += step {
				w.put("ada", "b", nested(1, at, at+step))
			}
			w.want(w.push("ada", "b", nested(1, at, 51)), blocks.StatusInvalid, blocks.CodeTooDeep)
			if at < 50 {
				w.put("ada", "b", nested(1, at, 50))
			}
			w.want(w.push("ada", "b", nested(1, 50, 51)), blocks.StatusInvalid, blocks.CodeTooDeep)
		})
	}
}

// The bound grows with every type that hangs below something; when it is reached, the
// real depth counts.
func TestFlatTypesNeverReachTheDepthLimit(t *testing.T) {
	w := newWorld(t, blocks.Limits{TypeDepth: 5})
	w.put("ada", "b", nested(1, 0, 3))
	for clock := range uint64(30) {
		w.put("bob", "b", by(2, clock).array(at(1, clock%3)).bytes())
	}
	if d := w.head("b").Shape.Depth; d > 5 {
		t.Errorf("depth is %d, the limit 5", d)
	}
}

func TestDepthOfHeldAndQueuedUpdatesIsCounted(t *testing.T) {
	w := newWorld(t, blocks.Limits{TypeDepth: 4})
	w.putAside("bob", "b", by(2, 0).array(at(1, 2)).array(at(2, 0)).bytes()) // would be the fifth
	w.put("ada", "b", nested(1, 0, 3))
	w.wantState("b", nested(1, 0, 3))
	w.wantHeld("b", 0)

	reached, goOn := w.blockCommits(storetest.Fault{})
	first := w.append("c", nested(1, 0, 2))
	<-reached
	second := w.append("c", nested(1, 2, 4))
	third := w.append("c", nested(1, 4, 5))
	goOn()
	if r := w.wait(first); r.err != nil {
		t.Error(r.err)
	}
	if r := w.wait(second); r.err != nil {
		t.Error(r.err)
	}
	if r := w.wait(third); r.err == nil {
		t.Error("the fifth is accepted, on top of what is not on disk yet")
	}
}

// A text of n elements behind A, and n items that want to be between A and one of them.
func crossing(from, to int) []byte {
	e := by(7, uint64(from))
	for i := from; i < to; i++ {
		e.between(at(5, 0), at(1, uint64(i)), "x")
	}
	if from == 0 {
		e.by(5, 0).text(nil, "A").by(1, 0).text(at(5, 0), strings.Repeat("b", 2000))
	}
	return e.bytes()
}

func TestItemsWhoseOrderTakesTooManyStepsAreRefused(t *testing.T) {
	limits := blocks.Limits{Steps: 10_000}
	w := newWorld(t, limits)
	w.want(w.push("bob", "b", crossing(0, 2000)), blocks.StatusInvalid, blocks.CodeTooEntangled)
	w.put("ada", "b", crossing(0, 0), word(2, 0, "still good"))

	// One by one, and with a restart, it goes no further.
	step := 1
	for ; ; step++ {
		res := w.push("bob", "b", crossing(step-1, step))
		if res.Status == blocks.StatusInvalid {
			w.want(res, blocks.StatusInvalid, blocks.CodeTooEntangled)
			break
		}
		w.want(res, blocks.StatusApplied, "")
		if step%50 == 0 {
			w.restart()
		}
	}
	state, err := ydoc.DecodeUpdate(w.state("b"), ydoc.V1, ydoc.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	items, _ := state.Branches()
	if steps := state.IntegrationSteps(1 << 30); steps > 10_000+32*items {
		t.Errorf("%d steps to order %d items", steps, items)
	}
	// Nobody else is kept from editing, at the end, in the middle or in front.
	w.put("ada", "b", by(2, 10).text(at(2, 9), "!").bytes(), by(2, 11).between(at(2, 3), at(2, 4), "?").bytes(), by(2, 12).between(nil, at(2, 0), "-").bytes())
	w.want(w.push("bob", "b", crossing(step-1, step)), blocks.StatusInvalid, blocks.CodeTooEntangled)
}

// The bound grows with every item that is inserted somewhere; when it is reached, the
// real steps count.
func TestHonestItemsNeverReachTheStepsLimit(t *testing.T) {
	w := newWorld(t, blocks.Limits{Steps: 1000})
	defer w.Hold(key("b"))() // it is not read to be folded
	w.put("ada", "b", word(1, 0, "a"))
	reads := w.store.Calls("State")
	for clock := range uint64(500) {
		w.put("ada", "b", by(1, clock+1).between(nil, at(1, clock), "b").bytes())
	}
	if n := w.store.Calls("State") - reads; n == 0 || n > 50 {
		t.Errorf("the block was read %d times", n)
	}
}

func TestAValueOfAKeyIsNotCutInTwo(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.put("ada", "b", by(1, 0).value("k", 3).bytes())
	for name, update := range map[string][]byte{
		"deleted in part": removal(1, 0, 2),
		"followed inside": by(2, 0).text(at(1, 1), "a").bytes(),
		"preceded inside": by(2, 0).between(nil, at(1, 1), "a").bytes(),
	} {
		t.Run(name, func(t *testing.T) {
			w.want(w.push("bob", "b", update), blocks.StatusInvalid, blocks.CodeMalformed)
		})
	}
	w.restart()
	w.put("bob", "b", by(2, 0).text(at(1, 2), "abc").bytes()) // the next value, as long
	w.want(w.push("bob", "b", removal(2, 1, 1)), blocks.StatusInvalid, blocks.CodeMalformed)
	w.put("ada", "b", removal(2, 0, 3), removal(1, 0, 3))
}

func TestTextBesideValuesOfKeysMayBeCut(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.put("ada", "b", by(1, 0).value("k", 1).bytes(), by(2, 0).text(nil, "abc").bytes())
	w.put("bob", "b", by(3, 0).text(at(2, 0), "def").bytes(), removal(3, 1, 1), by(3, 3).text(at(3, 0), "ghi").bytes())
	reads := w.store.Calls("State")
	w.put("bob", "b", by(3, 6).text(at(3, 5), "j").bytes(), by(3, 7).text(at(2, 1), "k").bytes())
	if n := w.store.Calls("State") - reads; n != 0 {
		t.Errorf("typing read the block %d times", n)
	}
}

func TestEditsOfBlocksWithKeysReadNothing(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	doc := ydoc.NewDoc(ydoc.Options{})
	edit := func(text string) []byte {
		return doc.Transact(func() {
			doc.Map("block").Set("title", text)
			doc.Text("t").Insert(doc.Text("t").Len(), text)
		}).Update(ydoc.V1)
	}
	release := w.Hold(key("a"))
	defer func() { release() }()
	for range 20 {
		w.put("ada", "a", edit("several words "))
	}
	if n := w.store.Calls("State"); n != 0 {
		t.Errorf("a new block was read %d times", n)
	}
	release()
	w.restart()
	release = w.Hold(key("a"))
	for range 20 {
		w.put("ada", "a", edit("several words "))
	}
	if n := w.store.Calls("State"); n != 1 {
		t.Errorf("an old block was read %d times, want once", n)
	}
}
