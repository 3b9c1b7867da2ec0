package blocks

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

// How much is looked at to rank what a query matches: the blocks that have the words in
// the title, and those whose text changed last. So a search costs the same however many
// blocks have a common word, and the oldest of very many are not found by it alone.
const (
	titleCandidates = 500
	textCandidates  = 1000
	// snippetBytes is how many bytes of texts are read for the snippets of one page.
	snippetBytes = 4 << 20
)

// search ranks the blocks that match q and meet one of filters, or sorts them, and
// returns the page of them that req asks for.
func (in *Instance) search(ctx context.Context, filters []Filter, q Query, by SortKey, descending bool, after *Place, req *ContentsRequest) (Contents, error) {
	ranked, err := in.ranked(ctx, filters, q, by, descending)
	if err != nil {
		return Contents{}, in.indexError(err)
	}
	if after != nil {
		ranked = slices.DeleteFunc(ranked, func(r rankedBlock) bool { return !r.comesAfter(after, descending) })
	}
	var page Contents
	if len(ranked) > req.Limit {
		ranked = ranked[:req.Limit]
		page.Next = req.cursor(&ranked[req.Limit-1].place)
	}
	ids := make([]int64, len(ranked))
	for i, r := range ranked {
		ids[i] = r.place.ID
	}
	entries, err := in.entries(ctx, ids)
	if err != nil {
		return Contents{}, in.indexError(err)
	}
	left := snippetBytes
	for _, id := range ids {
		e, ok := entries[id]
		if !ok {
			continue // it has just been deleted
		}
		s := Summary{Entry: e, TitleMatches: rangesOf(e.Title, q.Terms)}
		if left > 0 {
			text, err := in.index.Text(ctx, id)
			if err != nil {
				return Contents{}, in.indexError(err)
			}
			left -= len(text)
			if snippet, found := excerpt(text, q.Terms); found != nil {
				s.Snippet, s.Matches = snippet, found
			}
		}
		page.Blocks = append(page.Blocks, s)
	}
	return page, nil
}

// rankedBlock is a block that was found, and its place in the order.
type rankedBlock struct{ place Place }

// comesAfter says whether r comes after p.
func (r rankedBlock) comesAfter(p *Place, descending bool) bool {
	c := compareValues(r.place.Value, p.Value)
	if c == 0 {
		c = cmp.Compare(r.place.ID, p.ID)
	}
	return c < 0 == descending && c != 0
}

func compareValues(a, b any) int {
	switch a := a.(type) {
	case string:
		b, _ := b.(string)
		return cmp.Compare(a, b)
	case int64:
		b, _ := b.(int64)
		return cmp.Compare(a, b)
	case float64:
		b, _ := b.(float64)
		return cmp.Compare(a, b)
	}
	return 0
}

// ranked returns what matches, by how well it does if by is "".
func (in *Instance) ranked(ctx context.Context, filters []Filter, q Query, by SortKey, descending bool) ([]rankedBlock, error) {
	var found []Candidate
	seen := make(map[int64]bool)
	for _, inTitle := range []bool{true, false} {
		limit := textCandidates
		if inTitle {
			if limit = titleCandidates; len(q.Terms) == 0 {
				continue
			}
		}
		some, err := in.index.Search(ctx, filters, q, inTitle, limit)
		if err != nil {
			return nil, err
		}
		for _, c := range some {
			if !seen[c.ID] {
				seen[c.ID] = true
				found = append(found, c)
			}
		}
	}
	ranked := make([]rankedBlock, 0, len(found))
	if by == "" {
		words := int64(0)
		for i := range found {
			words += found[i].Words
		}
		average := float64(words)/float64(max(len(found), 1)) + 1
		for i := range found {
			ranked = append(ranked, rankedBlock{Place{found[i].score(q.Terms, average), found[i].ID}})
		}
	} else {
		ids := make([]int64, len(found))
		for i := range found {
			ids[i] = found[i].ID
		}
		entries, err := in.entries(ctx, ids)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			ranked = append(ranked, rankedBlock{*by.place(&e)})
		}
	}
	slices.SortFunc(ranked, func(a, b rankedBlock) int {
		switch {
		case a.place == b.place:
			return 0
		case a.comesAfter(&b.place, descending):
			return 1
		}
		return -1
	})
	return ranked, nil
}

func (in *Instance) entries(ctx context.Context, ids []int64) (map[int64]Entry, error) {
	list, err := in.index.Entries(ctx, ids)
	if err != nil {
		return nil, err
	}
	found := make(map[int64]Entry, len(list))
	for _, e := range list {
		found[e.ID] = e
	}
	return found, nil
}

// What BM25 weighs: how soon more of a word counts no more, how much a long text counts
// against it, and a word in the title as so many in the text.
const (
	bm25Saturation = 1.2
	bm25Length     = 0.75
	titleWeight    = 8
)

// score is BM25 of the candidate. All candidates have all terms, so how rare a term is
// would weigh the same for each.
func (c *Candidate) score(terms []Term, average float64) float64 {
	title, body, _ := strings.Cut(c.Sample, "\n")
	long := 1 - bm25Length + bm25Length*float64(c.Words)/average
	sum := 0.0
	for _, t := range terms {
		phrase := strings.Join(t.Words, " ")
		n := float64(titleWeight*occurrences(title, phrase, t.Prefix) + occurrences(body, phrase, t.Prefix))
		n = max(n, 1) // it is further down
		sum += n * (bm25Saturation + 1) / (n + bm25Saturation*long)
	}
	return sum
}

// occurrences counts a phrase in folded words.
func occurrences(words, phrase string, prefix bool) int {
	n := 0
	for at := 0; ; {
		i := strings.Index(words[at:], phrase)
		if i < 0 {
			return n
		}
		from, to := at+i, at+i+len(phrase)
		if (from == 0 || words[from-1] == ' ') && (prefix || to == len(words) || words[to] == ' ') {
			n++
		}
		at = to
	}
}

// SearchRequest asks for blocks in all heaps that a user can read, or in one.
type SearchRequest struct {
	Heap    HeapID // "": all
	Type    string
	Trashed bool
	Query   string
	Limit   int
	Cursor  string
}

// maxSearchHeaps is how many heaps one search goes through: those made last.
const maxSearchHeaps = 500

// Search finds blocks in the heaps that user can read now, what matches best first.
func (in *Instance) Search(ctx context.Context, user UserID, req SearchRequest) (Contents, error) {
	contents := ContentsRequest{
		Filter: Filter{Heap: req.Heap, Type: req.Type, Trashed: req.Trashed},
		Query:  req.Query, Limit: req.Limit, Cursor: req.Cursor,
	}
	if in.index == nil {
		return Contents{}, errNoIndex
	}
	q, err := ParseQuery(req.Query)
	if err != nil || q.Empty() {
		return Contents{}, err
	}
	after, err := contents.place("")
	if err != nil {
		return Contents{}, err
	}
	filters := []Filter{contents.Filter}
	if req.Heap != "" {
		if err := in.Require(ctx, user, req.Heap, RoleViewer); err != nil {
			return Contents{}, err
		}
	} else {
		heaps, err := in.store.HeapsOf(ctx, user)
		if err != nil {
			return Contents{}, err
		}
		filters = filters[:0]
		for _, h := range heaps[:min(len(heaps), maxSearchHeaps)] {
			if h.Role.CanRead() {
				filters = append(filters, Filter{Heap: h.ID, Type: req.Type, Trashed: req.Trashed})
			}
		}
	}
	return in.search(ctx, filters, q, "", true, after, &contents)
}
