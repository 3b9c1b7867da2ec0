package blocks_test

import (
	"testing"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/storetest"
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
	if d := w.head("b").Depth; d > 5 {
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
