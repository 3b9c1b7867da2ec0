package syncserver

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/heapsync/heapsync/blocks"
)

type blockRequest struct {
	heapRequest
	Format string `json:"format,omitempty" doc:"markdown, html or text, to have the block rendered as well"`
}

type relationJSON struct {
	ID     string         `json:"id"`
	Kind   string         `json:"kind"`
	Target blocks.BlockID `json:"target"`
	Title  *string        `json:"title,omitempty" doc:"of the target, if there is such a block"`
}

type backlinkJSON struct {
	BlockID blocks.BlockID `json:"block_id" doc:"the block that has the relation"`
	Title   string         `json:"title" doc:"of that block"`
	ID      string         `json:"id"`
	Kind    string         `json:"kind"`
}

type blockAnswer struct {
	Block       summaryJSON     `json:"block"`
	Relations   []relationJSON  `json:"relations"`
	Backlinks   []backlinkJSON  `json:"backlinks" doc:"relations of other blocks to this one, at most 1000"`
	Apps        json.RawMessage `json:"apps"`
	File        json.RawMessage `json:"file"`
	Content     json.RawMessage `json:"content" doc:"the roots of the document by name"`
	Rendered    *string         `json:"rendered,omitempty"`
	StateVector Binary          `json:"state_vector"`
	SyncVersion int64           `json:"sync_version"`
}

// block reads a block.
func (s *Server) block(w http.ResponseWriter, r *http.Request) error {
	var req blockRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	b, err := s.Blocks.Read(r.Context(), userOf(r), req.target(r), blocks.Format(req.Format))
	if errors.Is(err, blocks.ErrFormat) {
		return badField("format", "must be markdown, html or text")
	}
	if err != nil {
		return err
	}
	answer := blockAnswer{
		Block: toSummaryJSON(&b.Entry), Content: b.Content, Rendered: b.Rendered, StateVector: b.StateVector, SyncVersion: b.SyncVersion,
		Relations: make([]relationJSON, len(b.Relations)), Backlinks: make([]backlinkJSON, len(b.Backlinks)),
	}
	answer.Apps, answer.File = answer.Block.Apps, answer.Block.File
	if len(answer.StateVector) == 0 {
		answer.StateVector = Binary{0}
	}
	for i, l := range b.Relations {
		answer.Relations[i] = relationJSON{l.ID, l.Kind, l.Target, l.Title}
	}
	for i, l := range b.Backlinks {
		answer.Backlinks[i] = backlinkJSON{l.From, l.Title, l.ID, l.Kind}
	}
	return writeJSON(w, answer)
}

type dayJSON struct {
	Day     string `json:"day" doc:"of UTC, as 2026-05-04"`
	Updates int64  `json:"updates"`
}

type diskJSON struct {
	State   int64 `json:"state" doc:"bytes of snapshots"`
	History int64 `json:"history" doc:"bytes of old updates, folded"`
	Updates int64 `json:"updates" doc:"bytes of updates that are not folded"`
	Files   int64 `json:"files"`
}

type heapStatsJSON struct {
	Blocks       int64            `json:"blocks" doc:"those in the trash too"`
	ByType       map[string]int64 `json:"by_type" doc:"those that are not in the trash"`
	Trashed      int64            `json:"trashed"`
	Files        int64            `json:"files"`
	StorageBytes int64            `json:"storage_bytes" doc:"of all updates and files"`
	Updates      int64            `json:"updates"`
	UpdatesBytes int64            `json:"updates_bytes"`
	Members      int              `json:"members"`
	LastChangeAt *int64           `json:"last_change_at"`
	Activity     []dayJSON        `json:"activity" doc:"the last 90 days, those with updates"`
	Disk         diskJSON         `json:"disk"`
}

// heapStats sums a heap up. Its pattern has a wildcard where the path has "stats", for
// the mux could not tell it from that of a heap of this name.
func (s *Server) heapStats(w http.ResponseWriter, r *http.Request) error {
	if r.PathValue("stats") != "stats" {
		return s.noRoute(w, r)
	}
	heap, err := heapOf(r)
	if err != nil {
		return err
	}
	stats, err := s.Blocks.HeapStats(r.Context(), userOf(r), heap)
	if err != nil {
		return err
	}
	answer := heapStatsJSON{
		Blocks: stats.Blocks, ByType: stats.ByType, Trashed: stats.Trashed, Files: stats.Files,
		StorageBytes: stats.Bytes + stats.FileBytes, Updates: stats.Updates, UpdatesBytes: stats.Bytes, Members: stats.Members,
		LastChangeAt: orNull(stats.LastChangeAt), Activity: make([]dayJSON, len(stats.Activity)),
		Disk: diskJSON{stats.Disk.Snapshots, stats.Disk.Windows, stats.Bytes - stats.Disk.Folded, stats.FileBytes},
	}
	for i, d := range stats.Activity {
		answer.Activity[i] = dayJSON{time.Unix(d.Day*24*60*60, 0).UTC().Format(time.DateOnly), d.Updates}
	}
	return writeJSON(w, answer)
}
