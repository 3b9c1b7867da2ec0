package ydoc_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/heapsync/heapsync/ydoc"
)

// eventLog is what happened to the roots of a document in each step.
type eventLog struct {
	step   int // below 0: not of interest
	events map[int][]string
}

func (l *eventLog) watch(d *ydoc.Doc) {
	l.events = make(map[int][]string)
	d.OnUpdate(func(t *ydoc.Transaction) {
		if added, removed := t.Subdocs(); l.step >= 0 && len(added)+len(removed) > 0 {
			l.events[l.step] = append(l.events[l.step], "subdocs +"+guids(added)+" -"+guids(removed))
		}
	})
	for name, root := range sessionRoots(d) {
		root.ObserveDeep(func(events []*ydoc.Event) {
			if l.step < 0 {
				return
			}
			for _, e := range events {
				l.events[l.step] = append(l.events[l.step], name+describeEvent(e))
			}
		})
	}
}

func guids(subdocs []ydoc.Subdoc) string {
	var all []string
	for _, s := range subdocs {
		all = append(all, s.GUID)
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

func (l *eventLog) compare(want [][]string) error {
	for step, events := range want {
		got := slices.Sorted(slices.Values(l.events[step]))
		if want := slices.Sorted(slices.Values(events)); !slices.Equal(got, want) {
			return fmt.Errorf("events of step %d:\n got %s\nwant %s", step, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
	return nil
}

func describeEvent(e *ydoc.Event) string {
	var keys, steps []string
	changes := e.Keys()
	slices.SortFunc(changes, func(a, b ydoc.KeyChange) int { return strings.Compare(a.Key, b.Key) })
	for _, k := range changes {
		action := map[ydoc.Action]string{ydoc.Added: "add", ydoc.Updated: "update", ydoc.Removed: "delete"}[k.Action]
		keys = append(keys, jsonText(k.Key)+" "+action)
	}
	delta := e.Delta()
	for i := 0; i < len(delta); i++ { // neighbours of equal formatting are joined
		op := delta[i]
		attrs := ""
		if len(op.Attributes) > 0 {
			attrs = describeMembers(op.Attributes)
		}
		joins := func() bool {
			return i+1 < len(delta) && describeMembers(delta[i+1].Attributes) == describeMembers(op.Attributes)
		}
		switch s, isText := op.Insert.(string); {
		case op.Delete > 0:
			steps = append(steps, fmt.Sprint("delete ", op.Delete))
		case op.Retain > 0:
			n := op.Retain
			for joins() && delta[i+1].Retain > 0 {
				i++
				n += delta[i].Retain
			}
			steps = append(steps, fmt.Sprint("retain ", n, attrs))
		case isText:
			for joins() {
				more, ok := delta[i+1].Insert.(string)
				if !ok {
					break
				}
				i++
				s += more
			}
			steps = append(steps, "insert "+describe(s)+attrs)
		default:
			steps = append(steps, "insert "+describeInserted(e, op.Insert)+attrs)
		}
	}
	return fmt.Sprintf("%s %s %s", describe(e.Path()), strings.Join(keys, ","), strings.Join(steps, "; "))
}

// describeInserted names types only: what is in them may have changed since.
func describeInserted(e *ydoc.Event, inserted any) string {
	list, isList := inserted.([]any)
	if ref := e.Target.Ref(); !isList || ref == ydoc.TypeText || ref == ydoc.TypeXMLText {
		list = []any{inserted}
	}
	var all []string
	for _, v := range list {
		if t, ok := v.(ydoc.Type); ok {
			all = append(all, [...]string{"YArray", "YMap", "YText", "YXmlElement", "YXmlFragment", "YXmlHook", "YXmlText"}[t.Ref()])
		} else {
			all = append(all, describe(v))
		}
	}
	return strings.Join(all, ",")
}
