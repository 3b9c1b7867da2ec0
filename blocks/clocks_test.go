package blocks_test

import (
	"slices"
	"testing"

	"github.com/heapsync/heapsync/blocks"
)

// nobody silences or deletes what another user has not written yet.
func TestForeignClocksAheadAreRefused(t *testing.T) {
	for name, update := range map[string][]byte{
		"GC that follows on":         by(1, 5).gc(1_000_000).bytes(),
		"GC over the known":          by(1, 0).gc(100).bytes(),
		"GC beyond a gap":            by(1, 9).gc(10).bytes(),
		"skip":                       by(1, 5).skip(10).text(at(1, 4), "x").bytes(),
		"item beyond a gap":          word(1, 6, "x"),
		"item, then GC":              by(1, 5).text(at(1, 4), "x").gc(5).bytes(),
		"deletion ahead":             removal(1, 5, 1),
		"deletion partly ahead":      removal(1, 3, 100),
		"deletion far ahead":         removal(1, 1000, 1),
		"deletion ahead of an item":  by(1, 5).text(at(1, 4), "xy").remove(1, 6, 2).bytes(),
		"among what is one's own":    by(9, 0).text(nil, "mine").by(1, 5).gc(5).bytes(),
		"deletion with one's own":    by(9, 0).text(nil, "mine").remove(1, 5, 1).bytes(),
		"waits for something unseen": by(1, 5).gc(5).by(9, 0).text(at(77, 3), "mine").bytes(),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, blocks.Limits{})
			w.put("ada", "b", word(1, 0, "hello"))
			w.want(w.push("bob", "b", update), blocks.StatusInvalid, blocks.CodeForeignClockAhead)
			if want := []string{"bob foreign_clock_ahead"}; !slices.Equal(w.audited(), want) {
				t.Errorf("audited %q, want %q", w.audited(), want)
			}
			w.wantState("b", word(1, 0, "hello"))
			w.put("ada", "b", word(1, 5, " world"))
			w.wantState("b", word(1, 0, "hello world"))
			w.restart() // the owner is known to the store, too
			w.want(w.push("bob", "b", by(1, 11).gc(1).bytes()), blocks.StatusInvalid, blocks.CodeForeignClockAhead)
		})
	}
}

func TestRelaysThatFollowOnAreAccepted(t *testing.T) {
	hello := word(1, 0, "hello")
	for name, update := range map[string][]byte{
		"item":                            word(1, 5, "!"),
		"two items":                       by(1, 5).text(at(1, 4), "!").text(at(1, 0), "?").bytes(),
		"with what is known":              word(1, 0, "hello!"),
		"item with its deletion":          by(1, 5).text(at(1, 4), "!").remove(1, 5, 1).bytes(),
		"deletion of what is known":       removal(1, 0, 5),
		"what is known, collected":        by(1, 0).gc(5).by(9, 0).text(nil, "x").remove(1, 0, 5).bytes(),
		"between what is somebody else's": by(9, 0).text(at(1, 2), "x").by(1, 5).text(at(9, 0), "!").bytes(),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, blocks.Limits{})
			w.put("ada", "b", hello)
			w.put("bob", "b", update)
			if len(w.audited()) > 0 {
				t.Errorf("audited %q", w.audited())
			}
			if name != "what is known, collected" { // the server keeps what it has of it
				w.wantState("b", hello, update)
			}
		})
	}
}

func TestOwnClocksMayHaveGapsAndGC(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.put("ada", "b", word(1, 0, "a"), by(1, 1).gc(10).bytes())
	w.putAside("ada", "b", by(1, 20).gc(5).bytes(), removal(1, 30, 2))
	w.put("ada", "b", by(1, 11).gc(9).bytes())
	if n := w.head("b").Held; n != 1 {
		t.Errorf("%d updates are held, want the deletion only", n)
	}
}

// The user who brings a client's first edit owns it, whoever's it is by nature.
func TestClientBelongsToWhoUsedItFirst(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.put("bob", "b", by(1, 0).text(nil, "a's").by(2, 0).text(nil, "b's").bytes())
	w.put("ada", "b", word(1, 3, " own")) // follows on
	w.want(w.push("ada", "b", by(1, 7).gc(1).bytes()), blocks.StatusInvalid, blocks.CodeForeignClockAhead)
	w.put("ada", "other", word(1, 0, "elsewhere"), by(1, 9).gc(1).bytes()) // in another block it is anybody's
	w.put("bob", "b", by(1, 7).gc(1).bytes())
}
