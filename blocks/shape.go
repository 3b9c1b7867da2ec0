package blocks

import (
	"context"
	"fmt"

	"github.com/heapsync/heapsync/ydoc"
)

// What clients can integrate at all, some documents make very slow or throw on: types
// that nest too deep, items whose places take too many steps to find, values of keys
// that were cut. Only the whole document shows it. A block's Shape says when it has to
// be asked, so that the usual edit needs no read.

// shape returns the block's shape with u in it, which integrates, or refuses u.
func (l *Log) shape(ctx context.Context, a *activeBlock, in *incoming, u *ydoc.Update) (Shape, error) {
	s := a.head.Shape
	rooted, floating := u.TypeDepth()
	if floating > 0 {
		rooted = max(rooted, s.Depth+floating)
	}
	s.Depth = max(s.Depth, rooted)
	items, branches := u.Branches()
	s.Items, s.Branches = s.Items+int64(items), s.Branches+int64(branches)
	v := u.Values(a.keyed)
	s.Keyed, s.Wide = s.Keyed || v.Keyed, s.Wide || v.Wide
	mayBeWide := s.Wide || s.Keyed && v.Unsure
	if s.Depth <= l.limits.TypeDepth && partsPerItem*s.Items*s.Branches <= l.limits.steps(s.Items) && !mayBeWide {
		return s, nil
	}
	st, err := l.readWithQueued(ctx, a, in)
	if err != nil {
		return Shape{}, err
	}
	defer st.free()
	if err := st.merged.Add(u.Append(nil, ydoc.V1), ydoc.V1); err != nil {
		return Shape{}, fmt.Errorf("shape of %s: %w", a.key, err)
	}
	exact, err := l.exactShape(st.merged.Update())
	if err == nil && a.keyed == nil {
		a.keyed = ydoc.NewKeyed(st.merged.Update(), maxKeyed)
	}
	return exact, err
}

// maxKeyed bounds the values of keys that are remembered of a block while it is in
// memory: some 5 MB. A block with more is read again for edits of several elements.
const maxKeyed = 100_000

// noteKeyed adds the values of keys in u, which integrates, to those that are remembered.
// What is then refused all the same may stay among them: it costs a read at most.
func (a *activeBlock) noteKeyed(u *ydoc.Update) {
	if a.keyed != nil && !a.keyed.Add(u) {
		a.keyed = nil
	}
}

// exactShape returns the shape of a whole document, or refuses it.
func (l *Log) exactShape(u *ydoc.Update) (Shape, error) {
	var s Shape
	s.Depth, _ = u.TypeDepth()
	if s.Depth > l.limits.TypeDepth {
		return s, &Refusal{CodeTooDeep, fmt.Sprintf("shared types may be nested at most %d deep", l.limits.TypeDepth)}
	}
	if id, found := u.SplitValue(); found {
		return s, &Refusal{CodeMalformed, fmt.Sprintf("the update cuts the value of a key at clock %d of client %d in two", id.Clock, id.Client)}
	}
	items, _ := u.Branches()
	limit := l.limits.steps(int64(items))
	steps := int64(u.IntegrationSteps(int(limit)))
	if steps > limit {
		return s, &Refusal{CodeTooEntangled, fmt.Sprintf("the update begins and ends so many items at the same places that it takes more than %d steps to tell their order", limit)}
	}
	v := u.Values(nil)
	s.Items, s.Branches = int64(items), steps/(partsPerItem*max(int64(items), 1))+1
	s.Keyed, s.Wide = v.Keyed, v.Wide
	return s, nil
}

// stepsPerItem is how many steps each item of a document adds to Limits.Steps: what it
// costs to find out must stay in proportion to the edits that make it necessary.
const stepsPerItem = 32

// partsPerItem is how many parts of an item there are at most, over all items: each
// refers to two others, and may cut both. So what was not asked about is never beyond
// the limit, and who edits a document that others have brought near it is not refused
// for what they did.
const partsPerItem = 3

// steps is how many steps it may take to find the places of so many items.
func (l *Limits) steps(items int64) int64 { return l.Steps + stepsPerItem*items }
