package syncserver

import (
	"net/http"

	"github.com/heapsync/heapsync/blocks"
)

type heapJSON struct {
	ID           blocks.HeapID `json:"id"`
	Name         string        `json:"name"`
	Role         string        `json:"role"`
	Owner        blocks.UserID `json:"owner"`
	CreatedAt    int64         `json:"created_at"`
	UpdatedAt    int64         `json:"updated_at"`
	Blocks       int64         `json:"blocks"`
	StorageBytes int64         `json:"storage_bytes"`
	Encrypted    bool          `json:"encrypted"`
}

func toHeapJSON(h blocks.HeapSummary) heapJSON {
	return heapJSON{
		ID: h.ID, Name: h.Name, Role: h.Role.String(), Owner: h.Owner, CreatedAt: h.CreatedAt,
		UpdatedAt: h.UpdatedAt, Blocks: h.Blocks, StorageBytes: h.Bytes, Encrypted: h.Encrypted,
	}
}

type heapsAnswer struct {
	Heaps []heapJSON `json:"heaps"`
}

type workspacesAnswer struct {
	Workspaces []heapJSON `json:"workspaces"`
}

func (s *Server) heaps(w http.ResponseWriter, r *http.Request) error {
	list, err := s.heapsOf(r)
	if err != nil {
		return err
	}
	return writeJSON(w, heapsAnswer{list})
}

func (s *Server) workspaces(w http.ResponseWriter, r *http.Request) error {
	list, err := s.heapsOf(r)
	if err != nil {
		return err
	}
	return writeJSON(w, workspacesAnswer{list})
}

func (s *Server) heapsOf(r *http.Request) ([]heapJSON, error) {
	heaps, err := s.Blocks.Heaps(r.Context(), userOf(r))
	if err != nil {
		return nil, err
	}
	list := make([]heapJSON, len(heaps))
	for i, h := range heaps {
		list[i] = toHeapJSON(h)
	}
	return list, nil
}

type addHeapRequest struct {
	ID        string `json:"id,omitempty" doc:"made by the client; without one the server makes it"`
	Name      string `json:"name"`
	Encrypted bool   `json:"encrypted,omitempty"`
}

func (s *Server) addHeap(w http.ResponseWriter, r *http.Request) error {
	var req addHeapRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	if req.ID != "" {
		if _, err := blocks.ParseHeapID(req.ID); err != nil {
			return badField("id", "must be 1 to 64 characters of A-Z a-z 0-9 _ -")
		}
	}
	h, created, err := s.Blocks.AddHeap(r.Context(), userOf(r), blocks.HeapID(req.ID), req.Name, req.Encrypted)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return writeJSONStatus(w, status, toHeapJSON(h))
}

type renameRequest struct {
	Name string `json:"name"`
}

func (s *Server) renameHeap(w http.ResponseWriter, r *http.Request) error {
	heap, err := blocks.ParseHeapID(r.PathValue("id"))
	if err != nil {
		return err
	}
	var req renameRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	h, err := s.Blocks.RenameHeap(r.Context(), userOf(r), heap, req.Name)
	if err != nil {
		return err
	}
	return writeJSON(w, toHeapJSON(h))
}

type digestRequest struct {
	HeapID string `json:"heap_id"`
	Prefix string `json:"prefix,omitempty" doc:"hexadecimal digits; without it the root of the tree"`
}

type digestJSON struct {
	Prefix   string            `json:"prefix"`
	Hash     string            `json:"hash"`
	Count    int               `json:"count"`
	Children []digestChild     `json:"children,omitempty" doc:"if there are many blocks"`
	Blocks   []blockDigestJSON `json:"blocks,omitempty" doc:"if there are few"`
}

type digestChild struct {
	Prefix string `json:"prefix"`
	Hash   string `json:"hash"`
	Count  int    `json:"count"`
}

type blockDigestJSON struct {
	BlockID blocks.BlockID `json:"block_id"`
	Hash    string         `json:"hash"`
}

func (s *Server) digest(w http.ResponseWriter, r *http.Request) error {
	var req digestRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	heap, err := blocks.ParseHeapID(req.HeapID)
	if err != nil {
		return badField("heap_id", "must be 1 to 64 characters of A-Z a-z 0-9 _ -")
	}
	d, err := s.Blocks.Digest(r.Context(), userOf(r), heap, req.Prefix)
	if err != nil {
		return err
	}
	answer := digestJSON{Prefix: d.Prefix, Hash: d.Hash, Count: d.Count}
	for _, c := range d.Children {
		answer.Children = append(answer.Children, digestChild{c.Prefix, c.Hash, c.Count})
	}
	for _, b := range d.Blocks {
		answer.Blocks = append(answer.Blocks, blockDigestJSON{b.Block, b.Hash})
	}
	return writeJSON(w, answer)
}
