package ydoc_test

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

// eventLikePeer makes of an event what the peer does.
func eventLikePeer(root string, e *ydoc.Event) any {
	delta := []any{}
	for _, op := range e.Delta() {
		m := make(map[string]any)
		switch {
		case op.Insert != nil:
			if list, ok := op.Insert.([]any); ok {
				values := []any{}
				for _, v := range list {
					values = append(values, likePeer(v, true))
				}
				m["insert"] = values
			} else {
				m["insert"] = likePeer(op.Insert, true)
			}
		case op.Delete > 0:
			m["delete"] = float64(op.Delete)
		default:
			m["retain"] = float64(op.Retain)
		}
		if len(op.Attributes) > 0 {
			m["attributes"] = likePeer(op.Attributes, false)
		}
		delta = append(delta, m)
	}
	changes := e.Keys()
	slices.SortFunc(changes, func(a, b ydoc.KeyChange) int { return cmp.Compare(a.Key, b.Key) })
	keys := []any{}
	for _, c := range changes {
		keys = append(keys, map[string]any{
			"key": c.Key, "action": []string{"add", "update", "delete"}[c.Action], "old": likePeer(c.Old, true),
		})
	}
	path := []any{}
	for _, p := range e.Path() {
		if i, ok := p.(int); ok {
			p = float64(i)
		}
		path = append(path, p)
	}
	return map[string]any{"root": root, "path": path, "delta": delta, "keys": keys}
}

// sorted puts the events of one update into an order that does not depend on that in
// which types were changed.
func sortedEvents(events []any) []any {
	slices.SortStableFunc(events, func(a, b any) int {
		return cmp.Compare(fmt.Sprint(a.(map[string]any)["root"], a.(map[string]any)["path"]), fmt.Sprint(b.(map[string]any)["root"], b.(map[string]any)["path"]))
	})
	return events
}

// tidied reports whether Yjs, asked for an event, deleted formats that it found to be
// redundant: that is another event, of which nothing is to be seen.
func tidied(events []any) bool {
	return slices.ContainsFunc(events, func(e any) bool {
		m := e.(map[string]any)
		return len(m["delta"].([]any)) == 0 && len(m["keys"].([]any)) == 0
	})
}

func TestEventsAreThoseOfYjs(t *testing.T) {
	y := startYjs(t)
	rng := seeded(t)
	for range *docSessions {
		// One writer, and another that it hears of late; formats of one only, because
		// Yjs's events delete formats that two have made redundant.
		writers := []*ydoc.Doc{declared(ydoc.Options{ClientID: 1}), declared(ydoc.Options{ClientID: 2})}
		var updates [][]byte
		heard := [2]int{}
		formats := rng.IntN(2) == 0
		for range 40 {
			at := rng.IntN(2)
			if formats {
				at = 0
			}
			if tx := editWith(writers[at], rng, formats); !tx.Empty() {
				updates = append(updates, tx.Update(ydoc.V1))
			}
			if !formats && rng.IntN(3) == 0 {
				to := rng.IntN(2)
				applyAll(t, writers[to], ydoc.V1, updates[heard[to]:])
				heard[to] = len(updates)
			}
		}
		var answer struct{ Events string }
		all := []string{}
		for _, u := range updates {
			all = append(all, hex.EncodeToString(u))
		}
		if err := y.ask(map[string]any{"op": "events", "updates": all}, &answer); err != nil {
			t.Fatal(err)
		}
		var want [][]any
		if err := json.Unmarshal([]byte(answer.Events), &want); err != nil {
			t.Fatal(err)
		}
		d := declared(ydoc.Options{})
		var now []any
		for _, root := range []string{"t", "m", "a", "x"} {
			d.Root(root).ObserveDeep(func(events []*ydoc.Event) {
				for _, e := range events {
					now = append(now, eventLikePeer(root, e))
				}
			})
		}
		for i, u := range updates {
			now = []any{}
			if err := d.Apply(u, ydoc.V1); err != nil {
				t.Fatal(err)
			}
			if tidied(want[i]) {
				break
			}
			if got, want := sortedEvents(now), sortedEvents(want[i]); !reflect.DeepEqual(got, want) {
				t.Fatalf("update %d, %x, formats %v:\n got %v\nwant %v", i, u, formats, got, want)
			}
			if err := d.Check(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestObserversStopAndMayNotEdit(t *testing.T) {
	d := ydoc.NewDoc(ydoc.Options{})
	text := d.Text("t")
	events, deep, updates := 0, 0, 0
	stops := []func(){
		text.Observe(func(*ydoc.Event) { events++ }),
		text.ObserveDeep(func([]*ydoc.Event) { deep++ }),
		d.OnUpdate(func(*ydoc.Transaction) { updates++ }),
	}
	text.Insert(0, "a")
	d.Transact(func() {})
	d.Map("m").Set("k", 1)
	if events != 1 || deep != 1 || updates != 2 {
		t.Errorf("called %d, %d and %d times", events, deep, updates)
	}
	for _, stop := range stops {
		stop()
		stop()
	}
	text.Insert(0, "b")
	if events != 1 || deep != 1 || updates != 2 {
		t.Errorf("called after stop: %d, %d and %d times", events, deep, updates)
	}
	defer func() {
		if recover() == nil {
			t.Error("an observer edited")
		}
		if err := d.Check(); err != nil {
			t.Error(err)
		}
	}()
	d.OnUpdate(func(*ydoc.Transaction) { text.Insert(0, "c") })
	text.Insert(0, "d")
}
