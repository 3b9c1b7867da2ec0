package syncserver

import (
	"encoding/json"
	"errors"
	"net/http"
	"unicode/utf8"

	"github.com/heapsync/heapsync/blocks"
)

// summaryJSON is a block in a list.
type summaryJSON struct {
	BlockID      blocks.BlockID  `json:"block_id"`
	HeapID       blocks.HeapID   `json:"heap_id"`
	Type         string          `json:"type"`
	Title        string          `json:"title"`
	Snippet      string          `json:"snippet" doc:"how the text begins; of what a query found, a piece of it"`
	Matches      []blocks.Range  `json:"matches,omitempty" doc:"what matches in the snippet, in UTF-16 code units: [from, to)"`
	TitleMatches []blocks.Range  `json:"title_matches,omitempty" doc:"the same in the title"`
	UpdatedAt    int64           `json:"updated_at"`
	CreatedAt    int64           `json:"created_at"`
	Size         int64           `json:"size" doc:"bytes of the update log"`
	SyncVersion  int64           `json:"sync_version"`
	Parent       *blocks.BlockID `json:"parent"`
	Children     int64           `json:"children" doc:"blocks whose parent this is, without those in the trash"`
	Apps         json.RawMessage `json:"apps"`
	File         json.RawMessage `json:"file"`
	TrashedAt    *int64          `json:"trashed_at"`
	Unread       string          `json:"unread,omitempty" doc:"why what the document says is not known, or not of late"`
}

func toSummaryJSON(e *blocks.Entry) summaryJSON {
	s := summaryJSON{
		BlockID: e.Key.Block, HeapID: e.Key.Heap, Type: e.Type, Title: e.Title, Snippet: e.Snippet,
		UpdatedAt: e.UpdatedAt, CreatedAt: e.CreatedAt, Size: e.Size, SyncVersion: e.SyncVersion,
		Parent: orNull(e.Parent), Children: e.Children, Apps: json.RawMessage("{}"), File: e.File, TrashedAt: orNull(e.TrashedAt), Unread: e.Unread,
	}
	if e.Apps != nil {
		s.Apps = e.Apps
	}
	return s
}

type contentsAnswer struct {
	Blocks     []summaryJSON `json:"blocks"`
	NextCursor *string       `json:"next_cursor" doc:"null at the end"`
	Total      *int64        `json:"total,omitempty" doc:"how many there are on all pages, if skip was given"`
}

func toContentsAnswer(c blocks.Contents) contentsAnswer {
	answer := contentsAnswer{Blocks: make([]summaryJSON, len(c.Blocks)), NextCursor: orNull(c.Next), Total: c.Total}
	for i := range c.Blocks {
		b := &c.Blocks[i]
		s := toSummaryJSON(&b.Entry)
		s.Matches, s.TitleMatches = b.Matches, b.TitleMatches
		answer.Blocks[i] = s
	}
	return answer
}

// filterRequest says which blocks of a heap are meant.
type filterRequest struct {
	HeapID      string  `json:"heap_id"`
	WorkspaceID string  `json:"workspace_id,omitempty" doc:"the same as heap_id"`
	Type        string  `json:"type,omitempty"`
	Parent      *string `json:"parent,omitempty" doc:"a block id; an empty one stands for blocks without a parent"`
	Query       string  `json:"query,omitempty" doc:"words that are all in title or text; the last one may be the beginning of one; \"words in a row\"; -not this one"`
	Trashed     bool    `json:"trashed,omitempty" doc:"those in the trash, instead of those that are not"`
}

// maxTypeLen is how many characters a block's type has at most.
const maxTypeLen = 64

func (req *filterRequest) filter() (blocks.Filter, error) {
	f := blocks.Filter{Type: req.Type, Trashed: req.Trashed}
	name := req.HeapID
	if name == "" {
		name = req.WorkspaceID
	}
	var err error
	if f.Heap, err = blocks.ParseHeapID(name); err != nil {
		return f, badField("heap_id", "must be 1 to 64 characters of A-Z a-z 0-9 _ -")
	}
	if utf8.RuneCountInString(req.Type) > maxTypeLen {
		return f, badField("type", "must have at most 64 characters")
	}
	if req.Parent != nil {
		parent := blocks.BlockID(*req.Parent)
		if *req.Parent != "" {
			if parent, err = blocks.ParseBlockID(*req.Parent); err != nil {
				return f, badField("parent", "must be 1 to 64 characters of A-Z a-z 0-9 _ -, or empty")
			}
		}
		f.Parent = &parent
	}
	return f, nil
}

// listProblem names the field that an error of a list is about.
func listProblem(err error) error {
	switch {
	case errors.Is(err, blocks.ErrCursor):
		return badField("cursor", "must be a next_cursor that this server gave to the same request")
	case errors.Is(err, blocks.ErrSkip):
		return badField("skip", "must be 0 or more, without a query and without a cursor")
	case errors.Is(err, blocks.ErrSort):
		return badField("sort", "must be updated_at, created_at, title or size, with - or + before it or not")
	case errors.Is(err, blocks.ErrQuery):
		return badField("query", "may have at most 1000 characters and 32 words")
	}
	return err
}

type contentsRequest struct {
	filterRequest
	Sort   string          `json:"sort,omitempty" doc:"updated_at, created_at, size (the last or largest first), or title (from A on); - before it is descending, + ascending. Without it updated_at, or with a query what matches best"`
	Limit  json.RawMessage `json:"limit,omitempty" doc:"1 to 1000; 100 if not given"`
	Cursor string          `json:"cursor,omitempty" doc:"the next_cursor of the page before"`
	Skip   *int            `json:"skip,omitempty" doc:"how many blocks come before the page, in place of a cursor; not with a query. The answer has total then, also for 0"`
}

// heapContents lists a heap's blocks.
func (s *Server) heapContents(w http.ResponseWriter, r *http.Request) error {
	var req contentsRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	f, err := req.filter()
	if err != nil {
		return err
	}
	limit, err := limitOf(plainText(req.Limit))
	if err != nil {
		return err
	}
	page, err := s.Blocks.Contents(r.Context(), userOf(r), blocks.ContentsRequest{
		Filter: f, Query: req.Query, Sort: req.Sort, Limit: limit, Cursor: req.Cursor, Skip: req.Skip,
	})
	if err != nil {
		return listProblem(err)
	}
	return writeJSON(w, toContentsAnswer(page))
}

type searchRequest struct {
	Query       string          `json:"query" doc:"as in POST /api/heap"`
	HeapID      string          `json:"heap_id,omitempty" doc:"without it all heaps I can read"`
	WorkspaceID string          `json:"workspace_id,omitempty" doc:"the same as heap_id"`
	Type        string          `json:"type,omitempty"`
	Trashed     bool            `json:"trashed,omitempty"`
	Limit       json.RawMessage `json:"limit,omitempty" doc:"1 to 1000; 100 if not given"`
	Cursor      string          `json:"cursor,omitempty" doc:"the next_cursor of the page before"`
}

// search finds blocks in all heaps that the caller can read.
func (s *Server) search(w http.ResponseWriter, r *http.Request) error {
	var req searchRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	f := filterRequest{HeapID: req.HeapID, WorkspaceID: req.WorkspaceID, Type: req.Type, Trashed: req.Trashed}
	everywhere := f.HeapID == "" && f.WorkspaceID == ""
	if everywhere {
		f.HeapID = "all"
	}
	filter, err := f.filter()
	if err != nil {
		return err
	}
	if everywhere {
		filter.Heap = ""
	}
	limit, err := limitOf(plainText(req.Limit))
	if err != nil {
		return err
	}
	page, err := s.Blocks.Search(r.Context(), userOf(r), blocks.SearchRequest{
		Heap: filter.Heap, Type: filter.Type, Trashed: filter.Trashed, Query: req.Query, Limit: limit, Cursor: req.Cursor,
	})
	if err != nil {
		return listProblem(err)
	}
	return writeJSON(w, toContentsAnswer(page))
}

type countsJSON struct {
	Total   int64            `json:"total"`
	Trashed int64            `json:"trashed" doc:"how many the same filters find in the trash"`
	ByType  map[string]int64 `json:"by_type"`
	Capped  bool             `json:"capped,omitempty" doc:"the query matches more than are counted"`
}

// heapCount counts a heap's blocks.
func (s *Server) heapCount(w http.ResponseWriter, r *http.Request) error {
	var req filterRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	f, err := req.filter()
	if err != nil {
		return err
	}
	c, capped, err := s.Blocks.Count(r.Context(), userOf(r), blocks.CountRequest{Filter: f, Query: req.Query})
	if err != nil {
		return listProblem(err)
	}
	return writeJSON(w, countsJSON{c.Total, c.Trashed, c.ByType, capped})
}
