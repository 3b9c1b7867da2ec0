package blocks

import (
	"slices"

	"github.com/heapsync/heapsync/ydoc"
)

// compact returns the merge as a state in format V2 that clients take for the same.
// If it is worth it, what was deleted is collected: its content is gone, as in the
// document of any client. History has it still.
func (l *Log) compact(key BlockKey, m *ydoc.Merger) []byte {
	plain := m.Append(nil, ydoc.V2)
	u := m.Update()
	if !l.worthCollecting(u) {
		return plain
	}
	doc := ydoc.NewDoc(ydoc.Options{MaxDepth: l.limits.TypeDepth})
	if err := doc.ApplyUpdate(u); err != nil || doc.Pending() {
		return plain // too much for a document, or not whole: bytes are merged as ever
	}
	collected := doc.Encode(ydoc.V2)
	if len(collected) >= len(plain) {
		return plain
	}
	if !sameExtent(u, collected) {
		l.logger.Error("collected state differs and is not used", "heap", key.Heap, "block", key.Block)
		return plain
	}
	return collected
}

// collectShare is which part of all elements has to be deleted and not yet collected, so
// that documents are built the less often the larger they are.
const collectShare = 8

func (l *Log) worthCollecting(u *ydoc.Update) bool {
	deleted, all := u.Collectable()
	return int64(deleted) >= max(l.limits.Collect, int64(all/collectShare))
}

// sameExtent says whether state knows the same clocks as u, and of the same ones that
// they are deleted.
func sameExtent(u *ydoc.Update, state []byte) bool {
	var m ydoc.Merger
	if m.Add(state, ydoc.V2) != nil {
		return false
	}
	var have, want extent
	have.add(m.Update())
	want.add(u)
	known := func(e *extent) []stretch { return joined(slices.Concat(e.items, e.collected)) }
	return slices.Equal(known(&have), known(&want)) && slices.Equal(joined(have.deleted), joined(want.deleted))
}
