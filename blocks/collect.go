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
	var joining ydoc.Merger // which joins runs that a document keeps apart
	if err := joining.Add(doc.Encode(ydoc.V2), ydoc.V2); err != nil {
		l.logger.Error("collected state cannot be read and is not used", "heap", key.Heap, "block", key.Block, "err", err)
		return plain
	}
	collected := joining.Append(nil, ydoc.V2)
	if len(collected) >= len(plain) {
		return plain
	}
	if !holds(collected, u) {
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

// holds says whether state knows the very clocks that u knows, and of all that u deletes
// that it is deleted. A document may know of more: of two values of a key that were set
// at once it deletes one, as every client does that gets both.
func holds(state []byte, u *ydoc.Update) bool {
	var m ydoc.Merger
	if m.Add(state, ydoc.V2) != nil {
		return false
	}
	var have, want extent
	have.add(m.Update())
	want.add(u)
	known := func(e *extent) []stretch { return joined(slices.Concat(e.items, e.collected)) }
	return slices.Equal(known(&have), known(&want)) && u.DeletesWithin(m.Update())
}
