package blocks

import (
	"iter"
	"reflect"

	"github.com/heapsync/heapsync/ydoc"
)

// sameContent says whether two documents show the same. Values whose members or formats
// come in another order may count as different.
func sameContent(a, b *ydoc.Doc) bool {
	for _, pair := range [][2]*ydoc.Doc{{a, b}, {b, a}} {
		for name, root := range pair[0].Roots() {
			if !sameType(root, pair[1].Root(name)) {
				return false
			}
		}
	}
	return true
}

func sameType(a, b ydoc.Type) bool {
	if a.Len() != b.Len() || a.AsMap().Len() != b.AsMap().Len() {
		return false
	}
	if a.Len() == 0 && a.AsMap().Len() == 0 {
		return true // whatever an empty root is read as
	}
	if a.Ref() != b.Ref() {
		return false
	}
	for key, v := range a.AsMap().All() {
		if w, ok := b.AsMap().Value(key); !ok || !sameValue(v, w) {
			return false
		}
	}
	if ref := a.Ref(); ref == ydoc.TypeText || ref == ydoc.TypeXMLText {
		return sameDelta(a.AsText().Delta(), b.AsText().Delta())
	}
	next, stop := iter.Pull2(b.AsArray().All())
	defer stop()
	for _, v := range a.AsArray().All() {
		if _, w, ok := next(); !ok || !sameValue(v, w) {
			return false
		}
	}
	return true
}

func sameDelta(a, b []ydoc.Op) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !sameValue(a[i].Insert, b[i].Insert) || !reflect.DeepEqual(a[i].Attributes, b[i].Attributes) {
			return false
		}
	}
	return true
}

func sameValue(a, b any) bool {
	s, ok := a.(ydoc.Type)
	t, both := b.(ydoc.Type)
	if !ok || !both {
		return ok == both && reflect.DeepEqual(a, b)
	}
	return s.Ref() == t.Ref() && s.Name() == t.Name() && sameType(s, t)
}
