package blocks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/richtext"
)

// Format is what a block can be rendered as.
type Format string

// Formats of richtext.
const (
	FormatNone     Format = ""
	FormatMarkdown Format = "markdown"
	FormatHTML     Format = "html"
	FormatText     Format = "text"
)

// ErrFormat: there is no such Format. It is ErrInvalid.
var ErrFormat = fmt.Errorf("format must be markdown, html or text: %w", ErrInvalid)

// Reading is a block as it is read out of its document.
type Reading struct {
	Entry
	StateVector []byte
	Relations   []TitledRelation
	Backlinks   []Backlink
	Content     json.RawMessage
	Rendered    *string // in the format asked for, nil if none was
}

// TitledRelation is a relation and what its target is called.
type TitledRelation struct {
	Relation
	Title *string // nil: there is no such block
}

// maxBacklinks is how many relations of others are shown.
const maxBacklinks = 1000

// Read reads a block for a user who can read its heap.
func (in *Instance) Read(ctx context.Context, user UserID, t Target, format Format) (Reading, error) {
	var r Reading
	switch format {
	case FormatNone, FormatMarkdown, FormatHTML, FormatText:
	default:
		return r, ErrFormat
	}
	roles := roleCache{in: in, user: user}
	key, err := in.resolve(ctx, &roles, t, RoleViewer)
	if err != nil {
		return r, err
	}
	if in.index == nil {
		return r, errNoIndex
	}
	var relations []Relation
	err = in.View(ctx, key, func(head Head, doc *ydoc.Doc) error {
		p := project(head, doc, in.now().UnixMilli())
		r.Entry, r.StateVector, relations = p.Entry, head.StateVector, p.Relations
		var err error
		if r.Content, err = contentOf(doc); err != nil || format == FormatNone {
			return err
		}
		text, err := rendered(doc, format)
		r.Rendered = &text
		return err
	})
	if err != nil {
		return r, err
	}
	targets := make([]BlockID, len(relations))
	for i, l := range relations {
		targets[i] = l.Target
	}
	titles, err := in.index.Titles(ctx, key.Heap, targets)
	if err != nil {
		return r, in.indexError(err)
	}
	for _, l := range relations {
		titled := TitledRelation{Relation: l}
		if title, ok := titles[l.Target]; ok {
			titled.Title = &title
		}
		r.Relations = append(r.Relations, titled)
	}
	r.Backlinks, err = in.index.Backlinks(ctx, key, maxBacklinks)
	return r, in.indexError(err)
}

// rendered renders a document's first XML, or its first text.
func rendered(doc *ydoc.Doc, format Format) (string, error) {
	var main *ydoc.Type
	for name, root := range doc.Roots() {
		if name == aboutRoot {
			continue
		}
		ref := root.Ref()
		if ref == ydoc.TypeXMLFragment || ref == ydoc.TypeXMLElement {
			main = &root
			break
		}
		if main == nil && (ref == ydoc.TypeText || ref == ydoc.TypeXMLText) {
			main = &root
		}
	}
	if main == nil {
		return "", nil
	}
	text := ""
	switch format {
	case FormatMarkdown:
		text = richtext.Markdown(*main)
	case FormatHTML:
		text = richtext.HTML(*main)
	case FormatText:
		text = richtext.Text(*main)
	}
	if len(text) > maxContent {
		return "", fmt.Errorf("rendered, it has more than %d bytes: %w", maxContent, ErrTooLarge)
	}
	return text, nil
}

// HeapStats is what there is in a heap and happens there.
type HeapStats struct {
	Totals
	Trashed  int64
	ByType   map[string]int64 // of those that are not in the trash
	Disk     DiskUse
	Members  int
	Activity []DayUpdates // of the last 90 days, those with updates
}

// activityDays is for how long the updates of days are shown.
const activityDays = 90

// HeapStats sums up a heap for a user who can read it.
func (in *Instance) HeapStats(ctx context.Context, user UserID, heap HeapID) (HeapStats, error) {
	var s HeapStats
	if in.index == nil {
		return s, errNoIndex
	}
	members, err := in.Members(ctx, user, heap)
	if err != nil {
		return s, err
	}
	s.Members = len(members)
	if s.Disk, err = in.store.DiskUse(ctx, heap); err != nil {
		return s, err
	}
	totals, totalsErr := in.index.Totals(ctx, []HeapID{heap})
	counts, countErr := in.index.Count(ctx, Filter{Heap: heap})
	today := in.now().UnixMilli() / msPerDay
	days, daysErr := in.index.Days(ctx, heap, today-activityDays+1)
	if err := errors.Join(totalsErr, countErr, daysErr); err != nil {
		return s, in.indexError(err)
	}
	s.Totals, s.Trashed, s.ByType, s.Activity = totals[heap], counts.Trashed, counts.ByType, days
	return s, nil
}
