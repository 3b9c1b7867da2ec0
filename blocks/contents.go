package blocks

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// ContentsRequest asks for a page of blocks.
type ContentsRequest struct {
	Filter
	Query string // "": whatever the text
	// Sort is a SortKey, by which the newest, the largest, or the first of the alphabet
	// comes first; with - before it the order is descending, with + ascending. "" is
	// updated_at, or, with a Query, what matches best.
	Sort   string
	Limit  int
	Cursor string // a page's Next; "": the first page
	// Skip is how many blocks to leave out before the page, in place of a Cursor. Only
	// lists without a Query can be entered anywhere.
	Skip *int
}

// Contents is a page of blocks.
type Contents struct {
	Blocks []Summary
	Next   string // "": this is the last page
	Total  *int64 // how many there are on all pages, if the request has Skip
}

// Summary is a block in a list.
type Summary struct {
	Entry
	TitleMatches []Range // in Title
	Matches      []Range // in Snippet, which is then a piece of the text with matches
}

// Errors of lists. They are ErrInvalid.
var (
	ErrCursor = fmt.Errorf("cursor must be a next_cursor of the same request: %w", ErrInvalid)
	ErrSkip   = fmt.Errorf("skip must be 0 or more, and is neither for a query nor together with a cursor: %w", ErrInvalid)
	ErrSort   = fmt.Errorf("sort must be updated_at, created_at, title or size, with - or + before it or not: %w", ErrInvalid)
)

// Contents lists a heap's blocks to a user who can read it.
func (in *Instance) Contents(ctx context.Context, user UserID, req ContentsRequest) (Contents, error) {
	if in.index == nil {
		return Contents{}, errNoIndex
	}
	q, err := ParseQuery(req.Query)
	if err != nil {
		return Contents{}, err
	}
	by, descending, err := parseSort(req.Sort)
	if err != nil {
		return Contents{}, err
	}
	if req.Skip != nil && (*req.Skip < 0 || req.Query != "" || req.Cursor != "") {
		return Contents{}, ErrSkip
	}
	if err := in.Require(ctx, user, req.Heap, RoleViewer); err != nil {
		return Contents{}, err
	}
	after, err := req.place(by)
	if err != nil {
		return Contents{}, err
	}
	if q.Empty() && strings.TrimSpace(req.Query) != "" {
		return Contents{}, nil // there are no words in it that anything could match
	}
	if !q.Empty() {
		return in.search(ctx, []Filter{req.Filter}, q, by, descending, after, &req)
	}
	if by == "" {
		by, descending = ByUpdated, true
	}
	var page Contents
	l := Listing{Filter: req.Filter, By: by, Descending: descending, After: after, Limit: req.Limit + 1}
	if req.Skip != nil {
		counts, err := in.index.Count(ctx, req.Filter)
		if err != nil {
			return Contents{}, in.indexError(err)
		}
		l.Skip, page.Total = *req.Skip, &counts.Total
	}
	entries, err := in.index.List(ctx, l)
	if err != nil {
		return Contents{}, in.indexError(err)
	}
	for _, e := range entries[:min(len(entries), req.Limit)] {
		page.Blocks = append(page.Blocks, Summary{Entry: e})
	}
	if len(entries) > req.Limit {
		page.Next = req.cursor(by.place(&entries[req.Limit-1]))
	}
	return page, nil
}

// indexError is an error of the index as a reader of lists gets it: a damaged index is
// made anew, and until then there are no lists.
func (in *Instance) indexError(err error) error {
	if errors.Is(err, ErrCorrupt) {
		in.projector.renew()
		return fmt.Errorf("%w: %v", ErrUnavailable, err)
	}
	return err
}

func parseSort(s string) (by SortKey, descending bool, err error) {
	name, minus := strings.CutPrefix(s, "-")
	name, plus := strings.CutPrefix(name, "+")
	switch by = SortKey(name); by {
	case ByUpdated, ByCreated, BySize:
		return by, minus || !plus, nil
	case ByTitle:
		return by, minus, nil
	case "":
		if s == "" {
			return "", true, nil
		}
	}
	return "", false, ErrSort
}

// place returns where e stands in a list.
func (by SortKey) place(e *Entry) *Place {
	p := &Place{ID: e.ID}
	switch by {
	case ByUpdated:
		p.Value = e.UpdatedAt
	case ByCreated:
		p.Value = e.CreatedAt
	case BySize:
		p.Value = e.Size
	case ByTitle:
		p.Value = SortTitle(e.Title)
	}
	return p
}

// sortTitleLen is how many bytes of a folded title lists are sorted by.
const sortTitleLen = 120

// SortTitle is what stands for a title in the order of lists.
func SortTitle(title string) string {
	s, _ := Fold(title, sortTitleLen)
	return s
}

// cursorJSON is a cursor before it is made opaque.
type cursorJSON struct {
	For   string   `json:"f"` // a hash of the request it belongs to
	Text  *string  `json:"t,omitempty"`
	Int   *int64   `json:"n,omitempty"`
	Score *float64 `json:"s,omitempty"`
	ID    int64    `json:"i"`
}

// hash tells requests apart that have other pages.
func (req *ContentsRequest) hash() string {
	parent := any(nil)
	if req.Parent != nil {
		parent = *req.Parent
	}
	text, _ := json.Marshal([]any{req.Heap, req.Type, parent, req.Trashed, req.Query, req.Sort})
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

func (req *ContentsRequest) cursor(p *Place) string {
	c := cursorJSON{For: req.hash(), ID: p.ID}
	switch v := p.Value.(type) {
	case string:
		c.Text = &v
	case int64:
		c.Int = &v
	case float64:
		c.Score = &v
	}
	text, _ := json.Marshal(c)
	return base64.RawURLEncoding.EncodeToString(text)
}

// place reads the request's cursor; nil if there is none.
func (req *ContentsRequest) place(by SortKey) (*Place, error) {
	if req.Cursor == "" {
		return nil, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(req.Cursor)
	if err != nil {
		return nil, ErrCursor
	}
	var c cursorJSON
	if json.Unmarshal(text, &c) != nil || c.For != req.hash() {
		return nil, ErrCursor
	}
	p := &Place{ID: c.ID}
	switch {
	case c.Text != nil && by == ByTitle:
		p.Value = *c.Text
	case c.Int != nil && by != ByTitle:
		p.Value = *c.Int
	case c.Score != nil && by == "":
		p.Value = *c.Score
	default:
		return nil, ErrCursor
	}
	return p, nil
}

// CountRequest asks how many blocks there are.
type CountRequest struct {
	Filter
	Query string
}

// countedMatches is up to how many matches of a query are counted.
const countedMatches = 10_000

// Count counts a heap's blocks for a user who can read it. capped says that there are
// more matches of the query than are counted.
func (in *Instance) Count(ctx context.Context, user UserID, req CountRequest) (c Counts, capped bool, err error) {
	if in.index == nil {
		return c, false, errNoIndex
	}
	q, err := ParseQuery(req.Query)
	if err != nil {
		return c, false, err
	}
	if err := in.Require(ctx, user, req.Heap, RoleViewer); err != nil {
		return c, false, err
	}
	if q.Empty() && strings.TrimSpace(req.Query) != "" {
		return Counts{ByType: map[string]int64{}}, false, nil
	}
	if c, err = in.index.Count(ctx, req.Filter); err != nil || q.Empty() {
		return c, false, in.indexError(err)
	}
	count := func(f Filter) int64 {
		n, countErr := in.index.CountMatches(ctx, f, q, countedMatches+1)
		err = errors.Join(err, countErr)
		capped = capped || n > countedMatches
		return min(n, countedMatches)
	}
	c.Total = count(req.Filter)
	trash := req.Filter
	trash.Trashed = true
	if c.Trashed > 0 {
		c.Trashed = count(trash)
	}
	for kind := range c.ByType {
		one := req.Filter
		one.Type = kind
		if c.ByType[kind] = count(one); c.ByType[kind] == 0 {
			delete(c.ByType, kind)
		}
	}
	return c, capped, in.indexError(err)
}
