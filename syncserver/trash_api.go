package syncserver

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/heapsync/heapsync/blocks"
)

type trashedJSON struct {
	summaryJSON
	ExpiresAt int64 `json:"expires_at" doc:"when it will be deleted for good"`
}

func toTrashedJSON(b *blocks.TrashedBlock) trashedJSON {
	return trashedJSON{toSummaryJSON(&b.Entry), b.ExpiresAt}
}

type trashAnswer struct {
	Blocks     []trashedJSON `json:"blocks"`
	NextCursor *string       `json:"next_cursor" doc:"null at the end"`
}

// trash lists what is in the trash, the longest there first.
func (s *Server) trash(w http.ResponseWriter, r *http.Request) error {
	heap, err := blocks.ParseHeapID(r.PathValue("heapId"))
	if err != nil {
		return err
	}
	limit, err := limitOf(r.URL.Query().Get("limit"))
	if err != nil {
		return err
	}
	cursor, ok := parseTrashCursor(r.URL.Query().Get("cursor"))
	if !ok {
		return badField("cursor", "must be a next_cursor of this route")
	}
	list, next, err := s.Blocks.ListTrash(r.Context(), userOf(r), heap, cursor, limit)
	if err != nil {
		return err
	}
	answer := trashAnswer{Blocks: make([]trashedJSON, len(list))}
	for i := range list {
		answer.Blocks[i] = toTrashedJSON(&list[i])
	}
	if next != (blocks.TrashCursor{}) {
		answer.NextCursor = orNull(strconv.FormatInt(next.Since, 36) + "." + strconv.FormatInt(int64(next.Ref), 36))
	}
	return writeJSON(w, answer)
}

func parseTrashCursor(s string) (c blocks.TrashCursor, ok bool) {
	if s == "" {
		return c, true
	}
	since, ref, _ := strings.Cut(s, ".")
	at, err1 := strconv.ParseInt(since, 36, 64)
	n, err2 := strconv.ParseInt(ref, 36, 64)
	return blocks.TrashCursor{Since: at, Ref: blocks.Ref(n)}, errors.Join(err1, err2) == nil
}

type emptiedAnswer struct {
	Deleted    int64          `json:"deleted" doc:"blocks"`
	FreedBytes int64          `json:"freed_bytes" doc:"of their logs"`
	Failed     []blockFailure `json:"failed,omitempty" doc:"blocks that stay"`
}

type blockFailure struct {
	BlockID blocks.BlockID `json:"block_id"`
	Code    string         `json:"code"`
}

func toFailures(list []blocks.BlockFailure) []blockFailure {
	failures := make([]blockFailure, len(list))
	for i, f := range list {
		failures[i] = blockFailure{f.Block, f.Code}
	}
	return failures
}

func (s *Server) emptyTrash(w http.ResponseWriter, r *http.Request) error {
	heap, err := blocks.ParseHeapID(r.PathValue("heapId"))
	if err != nil {
		return err
	}
	done, err := s.Blocks.EmptyTrash(r.Context(), authorOf(r), heap)
	if err != nil {
		return err
	}
	return writeJSON(w, emptiedAnswer{done.Blocks, done.Freed, toFailures(done.Failed)})
}

type restoreRequest struct {
	BlockIDs []string `json:"block_ids,omitempty"`
	All      bool     `json:"all,omitempty" doc:"everything that is in the trash, instead of block_ids"`
}

type restoredAnswer struct {
	Restored []blocks.BlockID `json:"restored"`
	Failed   []blockFailure   `json:"failed"`
}

// maxRestore is how many blocks a request may name.
const maxRestore = 1000

func (s *Server) restoreTrash(w http.ResponseWriter, r *http.Request) error {
	heap, err := blocks.ParseHeapID(r.PathValue("heapId"))
	if err != nil {
		return err
	}
	var req restoreRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	switch {
	case req.All == (len(req.BlockIDs) > 0):
		return badField("block_ids", "must name blocks, or all must be true")
	case len(req.BlockIDs) > maxRestore:
		return badField("block_ids", "may have at most 1000 blocks")
	}
	var ids []blocks.BlockID
	malformed := []blockFailure{}
	for _, id := range req.BlockIDs {
		block, err := blocks.ParseBlockID(id)
		if err != nil {
			malformed = append(malformed, blockFailure{blocks.BlockID(id), blocks.StatusInvalid})
			continue
		}
		ids = append(ids, block)
	}
	if !req.All && ids == nil {
		ids = []blocks.BlockID{}
	}
	done, err := s.Blocks.RestoreBlocks(r.Context(), authorOf(r), heap, ids)
	if err != nil {
		return err
	}
	answer := restoredAnswer{Restored: append([]blocks.BlockID{}, done.Blocks...), Failed: append(malformed, toFailures(done.Failed)...)}
	return writeJSON(w, answer)
}

type deletedAnswer struct {
	BlockID    blocks.BlockID `json:"block_id"`
	Deleted    bool           `json:"deleted" doc:"for good; else it is in the trash"`
	TrashedAt  *int64         `json:"trashed_at,omitempty"`
	ExpiresAt  *int64         `json:"expires_at,omitempty" doc:"when it will be deleted for good"`
	Seq        blocks.Seq     `json:"seq,omitempty" doc:"of its tombstone"`
	DeletedAt  *int64         `json:"deleted_at,omitempty"`
	FreedBytes int64          `json:"freed_bytes,omitempty"`
}

// deleteBlock puts a block into the trash, or deletes it for good.
func (s *Server) deleteBlock(w http.ResponseWriter, r *http.Request) error {
	target := new(heapRequest).target(r)
	switch r.URL.Query().Get("purge") {
	case "1", "true":
		stone, err := s.Blocks.PurgeBlock(r.Context(), authorOf(r), target)
		if err != nil {
			return err
		}
		return writeJSON(w, deletedAnswer{BlockID: stone.Key.Block, Deleted: true, Seq: stone.Seq, DeletedAt: &stone.At, FreedBytes: stone.Freed})
	case "", "0", "false":
	default:
		return badField("purge", "must be 1 or 0")
	}
	b, err := s.Blocks.TrashBlock(r.Context(), authorOf(r), target)
	if err != nil {
		return err
	}
	return writeJSON(w, deletedAnswer{BlockID: b.Key.Block, TrashedAt: &b.TrashedAt, ExpiresAt: &b.ExpiresAt})
}

type heapDeletedAnswer struct {
	Deleted bool  `json:"deleted"`
	PurgeAt int64 `json:"purge_at" doc:"until then an administrator can bring it back"`
}

func (s *Server) deleteHeap(w http.ResponseWriter, r *http.Request) error {
	heap, err := blocks.ParseHeapID(r.PathValue("id"))
	if err != nil {
		return err
	}
	purge := r.URL.Query().Get("purge")
	if purge != "" && purge != "now" {
		return badField("purge", "must be now, if it is given")
	}
	at, err := s.Blocks.DeleteHeap(r.Context(), authorOf(r), heap, purge == "now")
	if err != nil {
		return err
	}
	return writeJSON(w, heapDeletedAnswer{true, at})
}

type deletedHeapJSON struct {
	ID        blocks.HeapID `json:"id"`
	Name      string        `json:"name"`
	Owner     blocks.UserID `json:"owner"`
	CreatedAt int64         `json:"created_at"`
	DeletedAt int64         `json:"deleted_at"`
	PurgeAt   int64         `json:"purge_at"`
}

type deletedHeapsAnswer struct {
	Heaps []deletedHeapJSON `json:"heaps"`
}

func (s *Server) adminDeletedHeaps(w http.ResponseWriter, r *http.Request) error {
	list, err := s.Blocks.DeletedHeaps(r.Context())
	if err != nil {
		return err
	}
	answer := deletedHeapsAnswer{Heaps: make([]deletedHeapJSON, len(list))}
	for i, h := range list {
		answer.Heaps[i] = deletedHeapJSON{h.ID, h.Name, h.Owner, h.CreatedAt, h.DeletedAt, h.PurgeAt}
	}
	return writeJSON(w, answer)
}

func (s *Server) adminUndeleteHeap(w http.ResponseWriter, r *http.Request) error {
	heap, err := blocks.ParseHeapID(r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := s.Blocks.UndeleteHeap(r.Context(), heap); err != nil {
		return err
	}
	return writeJSON(w, doneAnswer{true})
}
