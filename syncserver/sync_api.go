package syncserver

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/heapsync/heapsync/blocks"
)

// maxSyncBlocks is how many blocks one push or pull may name, and maxPullBytes
// how large an answer to a pull may grow before the rest is deferred.
const (
	maxSyncBlocks = 1000
	maxPullBytes  = 32 << 20
)

// syncRequest is the body of push and pull. Items are read one by one, so that a
// bad one does not fail the others.
type syncRequest struct {
	Blocks *[]json.RawMessage `json:"blocks"`
}

// syncItems is what a syncRequest should be.
type syncItems struct {
	Blocks []syncItem `json:"blocks"`
}

// syncItem is one block in a push or a pull.
type syncItem struct {
	BlockID     string  `json:"block_id"`
	WorkspaceID string  `json:"workspace_id,omitempty" doc:"the heap; may be missing if the block id is in one heap only"`
	HeapID      string  `json:"heap_id,omitempty" doc:"the same as workspace_id"`
	StateVector *Binary `json:"state_vector,omitempty" doc:"what the client has; with it an answer holds what it lacks"`
	Update      *Binary `json:"update,omitempty" doc:"to push: a Yjs update, format 1"`
	SyncVersion int64   `json:"sync_version,omitempty" doc:"the lineage the client holds"`
	Seq         int64   `json:"seq,omitempty" doc:"to pull: the head the client last saw"`
	Type        string  `json:"type,omitempty" doc:"of the block, if this creates it"`
}

func (s *Server) readSyncItems(r *http.Request) ([]json.RawMessage, error) {
	var req syncRequest
	if err := readJSON(r, &req); err != nil {
		return nil, err
	}
	if req.Blocks == nil {
		return nil, badField("blocks", "must be an array of blocks")
	}
	if n := len(*req.Blocks); n > maxSyncBlocks {
		return nil, badField("blocks", "may name at most "+strconv.Itoa(maxSyncBlocks)+" blocks, not "+strconv.Itoa(n))
	}
	return *req.Blocks, nil
}

// decodeSyncItem reads as much of an item as can be read: its ids at least, so
// that the answer can name it.
func decodeSyncItem(raw json.RawMessage) (syncItem, error) {
	var item syncItem
	err := json.Unmarshal(raw, &item)
	if err != nil {
		var ids struct {
			BlockID     any `json:"block_id"`
			WorkspaceID any `json:"workspace_id"`
			HeapID      any `json:"heap_id"`
		}
		_ = json.Unmarshal(raw, &ids) // what cannot be read stays empty
		item = syncItem{}
		item.BlockID, _ = ids.BlockID.(string)
		item.WorkspaceID, _ = ids.WorkspaceID.(string)
		item.HeapID, _ = ids.HeapID.(string)
		var own *Problem
		if errors.As(err, &own) {
			err = own
		}
		err = &itemError{err}
	}
	if item.WorkspaceID == "" {
		item.WorkspaceID = item.HeapID
	}
	return item, err
}

// itemError is an item that could not be read.
type itemError struct{ err error }

func (e *itemError) Error() string        { return e.err.Error() }
func (e *itemError) Is(target error) bool { return target == blocks.ErrInvalid }

func (item *syncItem) target() blocks.Target {
	return blocks.Target{Heap: item.WorkspaceID, Block: item.BlockID}
}

func bytesOf(b *Binary) []byte {
	if b == nil {
		return nil
	}
	return *b
}

// itemProblem is what was wrong with one item.
type itemProblem struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func itemProblemOf(err error) *itemProblem {
	if err == nil {
		return nil
	}
	var refused *blocks.Refusal
	if errors.As(err, &refused) {
		return &itemProblem{refused.Code, refused.Detail}
	}
	p, _ := problemOf(err)
	return &itemProblem{p.Code, p.Detail}
}

type pushResult struct {
	BlockID     string       `json:"block_id"`
	WorkspaceID string       `json:"workspace_id,omitempty"`
	Status      string       `json:"status"`
	Seq         blocks.Seq   `json:"seq,omitempty"`
	SyncVersion int64        `json:"sync_version,omitempty"`
	StateVector Binary       `json:"state_vector,omitempty"`
	Missing     Binary       `json:"missing,omitempty"`
	Pending     bool         `json:"pending,omitempty"`
	State       Binary       `json:"state,omitempty"`
	Error       *itemProblem `json:"error,omitempty"`
}

type pushAnswer struct {
	Results    []pushResult `json:"results"`
	ServerTime int64        `json:"server_time"`
}

func (s *Server) push(w http.ResponseWriter, r *http.Request) error {
	raw, err := s.readSyncItems(r)
	if err != nil {
		return err
	}
	items := make([]blocks.PushItem, len(raw))
	for i := range raw {
		item, err := decodeSyncItem(raw[i])
		items[i] = blocks.PushItem{
			Target: item.target(), Update: bytesOf(item.Update),
			StateVector: bytesOf(item.StateVector), HasVector: item.StateVector != nil,
			SyncVersion: item.SyncVersion, Type: item.Type, Invalid: err,
		}
	}
	results := s.Blocks.Push(r.Context(), authorOf(r), items)
	answer := make([]pushResult, len(results))
	stored, unavailable := 0, error(nil)
	for i, res := range results {
		answer[i] = pushResult{
			BlockID: res.Block, WorkspaceID: res.Heap, Status: res.Status, Seq: res.Seq, SyncVersion: res.SyncVersion,
			StateVector: vectorOf(res), Missing: res.Missing, Pending: res.Pending, State: res.State, Error: itemProblemOf(res.Err),
		}
		if res.Status == blocks.StatusUnavailable {
			unavailable = res.Err
		} else {
			stored++
		}
	}
	if unavailable != nil && stored == 0 {
		return unavailable // the whole request may be tried again
	}
	now, err := s.Blocks.ServerTime(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, pushAnswer{answer, now})
}

// vectorOf is the state vector in an answer about a block that exists; that of a
// block without updates is empty but there.
func vectorOf(res blocks.PushResult) Binary {
	if res.StateVector == nil && res.SyncVersion != 0 {
		return Binary{0}
	}
	return res.StateVector
}

type pullResult struct {
	BlockID     string       `json:"block_id"`
	WorkspaceID string       `json:"workspace_id,omitempty"`
	Status      string       `json:"status"`
	Update      Binary       `json:"update,omitempty"`
	State       Binary       `json:"state,omitempty"`
	StateVector Binary       `json:"state_vector,omitempty"`
	Seq         blocks.Seq   `json:"seq,omitempty"`
	SyncVersion int64        `json:"sync_version,omitempty"`
	DeletedAt   int64        `json:"deleted_at,omitempty"`
	Error       *itemProblem `json:"error,omitempty"`
}

type pullAnswer struct {
	Blocks     []pullResult `json:"blocks"`
	ServerTime int64        `json:"server_time"`
}

func (s *Server) pull(w http.ResponseWriter, r *http.Request) error {
	raw, err := s.readSyncItems(r)
	if err != nil {
		return err
	}
	items := make([]blocks.PullItem, len(raw))
	for i := range raw {
		item, err := decodeSyncItem(raw[i])
		items[i] = blocks.PullItem{
			Target: item.target(), StateVector: bytesOf(item.StateVector), HasVector: item.StateVector != nil,
			SyncVersion: item.SyncVersion, Seq: blocks.Seq(item.Seq), Invalid: err,
		}
	}
	// Taken before the blocks are read: what is committed meanwhile is later.
	now, err := s.Blocks.ServerTime(r.Context())
	if err != nil {
		return err
	}
	results := s.Blocks.Pull(r.Context(), userOf(r), items, maxPullBytes)
	answer := make([]pullResult, len(results))
	for i, res := range results {
		answer[i] = pullResult{
			BlockID: res.Block, WorkspaceID: res.Heap, Status: res.Status, Update: res.Update, State: res.State,
			StateVector: res.StateVector, Seq: res.Seq, SyncVersion: res.SyncVersion, DeletedAt: res.DeletedAt,
			Error: itemProblemOf(res.Err),
		}
		if res.Status == blocks.StatusUnavailable {
			return res.Err
		}
	}
	return writeJSON(w, pullAnswer{answer, now})
}

type changedBlock struct {
	BlockID     blocks.BlockID `json:"block_id"`
	Type        *string        `json:"type"`
	SyncVersion int64          `json:"sync_version"`
	StateVector Binary         `json:"state_vector"`
	Seq         blocks.Seq     `json:"seq"`
	Size        int64          `json:"size"`
	UpdatedAt   int64          `json:"updated_at"`
	TrashedAt   *int64         `json:"trashed_at"`
}

type deletedBlock struct {
	BlockID   blocks.BlockID `json:"block_id"`
	Seq       blocks.Seq     `json:"seq"`
	DeletedAt int64          `json:"deleted_at"`
}

const (
	defaultLimit = 100
	maxLimit     = 1000
)

type deltaAnswer struct {
	ChangedBlocks []changedBlock `json:"changed_blocks"`
	DeletedBlocks []deletedBlock `json:"deleted_blocks"`
	ServerTime    int64          `json:"server_time"`
	HasMore       bool           `json:"has_more"`
	NextCursor    string         `json:"next_cursor"`
	TotalChanged  int64          `json:"total_changed"`
	TotalDeleted  int64          `json:"total_deleted"`
}

func (s *Server) delta(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	name := q.Get("workspace_id")
	if name == "" {
		name = q.Get("heap_id")
	}
	return s.changes(w, r, name, q.Get("since"), q.Get("cursor"), q.Get("limit"))
}

// changesRequest asks what delta asks in its query.
type changesRequest struct {
	HeapID      string          `json:"heap_id"`
	WorkspaceID string          `json:"workspace_id,omitempty" doc:"the same as heap_id"`
	Since       json.RawMessage `json:"since,omitempty" doc:"Unix milliseconds"`
	Cursor      json.RawMessage `json:"cursor,omitempty" doc:"a next_cursor; it wins over since"`
	Limit       json.RawMessage `json:"limit,omitempty" doc:"1 to 1000; 100 if not given"`
}

func (s *Server) changedBlocks(w http.ResponseWriter, r *http.Request) error {
	var req changesRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	name := req.WorkspaceID
	if name == "" {
		name = req.HeapID
	}
	return s.changes(w, r, name, plainText(req.Since), plainText(req.Cursor), plainText(req.Limit))
}

// plainText is the text of a JSON string or number; "" for null.
func plainText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

// changes answers with a page of what has changed in a heap.
func (s *Server) changes(w http.ResponseWriter, r *http.Request, name, sinceText, cursor, limitText string) error {
	heap, err := blocks.ParseHeapID(name)
	if err != nil {
		return badField("workspace_id", "must be 1 to 64 characters of A-Z a-z 0-9 _ -")
	}
	limit, err := limitOf(limitText)
	if err != nil {
		return err
	}
	since, err := strconv.ParseInt(sinceText, 10, 64)
	if err != nil {
		since = 0 // as the contract says
	}
	after := int64(-1)
	if cursor != "" {
		if after, err = strconv.ParseInt(cursor, 10, 64); err != nil || after < 0 {
			return badField("cursor", "must be a next_cursor that this server gave")
		}
	}
	page, err := s.Blocks.Delta(r.Context(), userOf(r), heap, blocks.Seq(after), since, limit)
	if err != nil {
		return err
	}
	changed, deleted := []changedBlock{}, []deletedBlock{}
	for _, h := range page.Heads {
		if h.DeletedAt != 0 {
			deleted = append(deleted, deletedBlock{h.Key.Block, h.Seq, h.DeletedAt})
			continue
		}
		vector := Binary(h.StateVector)
		if len(vector) == 0 {
			vector = Binary{0}
		}
		changed = append(changed, changedBlock{
			BlockID: h.Key.Block, Type: orNull(h.Type), SyncVersion: h.SyncVersion, StateVector: vector,
			Seq: h.Seq, Size: h.Bytes, UpdatedAt: h.UpdatedAt, TrashedAt: orNull(h.TrashedAt),
		})
	}
	return writeJSON(w, deltaAnswer{
		ChangedBlocks: changed,
		DeletedBlocks: deleted,
		ServerTime:    page.ServerTime,
		HasMore:       page.More,
		NextCursor:    strconv.FormatInt(int64(page.Next), 10),
		TotalChanged:  page.TotalChanged,
		TotalDeleted:  page.TotalDeleted,
	})
}

// orNull is nil for the zero value: what is not set is null in JSON.
func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// limitOf reads how many rows a page may have.
func limitOf(text string) (int, error) {
	if text == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, badField("limit", "must be a number from 1 to "+strconv.Itoa(maxLimit))
	}
	return min(n, maxLimit), nil
}

func userOf(r *http.Request) blocks.UserID {
	id, _ := identityOf(r)
	return blocks.UserID(id.Account.ID)
}

func authorOf(r *http.Request) blocks.Author {
	id, _ := identityOf(r)
	return blocks.Author{User: blocks.UserID(id.Account.ID), Session: string(id.Session)}
}
