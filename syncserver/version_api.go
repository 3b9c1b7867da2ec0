package syncserver

import (
	"cmp"
	"encoding/json"
	"net/http"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
)

// heapRequest names the heap of a block whose id is in several.
type heapRequest struct {
	HeapID      string `json:"heap_id,omitempty" doc:"needed only if the block id is used in several heaps"`
	WorkspaceID string `json:"workspace_id,omitempty" doc:"the same as heap_id"`
}

// target is the block of the path, in the heap that the body or the query names.
func (req *heapRequest) target(r *http.Request) blocks.Target {
	q := r.URL.Query()
	return blocks.Target{
		Heap:  cmp.Or(req.HeapID, req.WorkspaceID, q.Get("heap_id"), q.Get("workspace_id")),
		Block: r.PathValue("blockKey"),
	}
}

type historyRequest struct {
	heapRequest
	Limit   json.RawMessage `json:"limit,omitempty" doc:"1 to 1000; 100 if not given"`
	Cursor  string          `json:"cursor,omitempty" doc:"the next_cursor of the page before"`
	Updates bool            `json:"updates,omitempty" doc:"with each update itself"`
}

// authorJSON is who wrote, and on which device.
type authorJSON struct {
	User    blocks.UserID `json:"user"`
	Device  string        `json:"device" doc:"empty if the session is gone"`
	Updates int64         `json:"updates"`
}

type updateJSON struct {
	Seq     blocks.Seq    `json:"seq"`
	At      int64         `json:"at"`
	User    blocks.UserID `json:"user" doc:"of several, who made the most"`
	Device  string        `json:"device" doc:"empty if the session is gone"`
	Size    int64         `json:"size" doc:"bytes of the updates as they came"`
	Count   int64         `json:"count" doc:"1; more if old updates were folded into one"`
	FirstAt int64         `json:"first_at" doc:"when the first of them came"`
	Users   []authorJSON  `json:"users"`
	Update  Binary        `json:"update,omitempty"`
}

type momentJSON struct {
	ID    string       `json:"id"`
	Seq   blocks.Seq   `json:"seq"`
	At    int64        `json:"at"`
	Name  *string      `json:"name" doc:"null if nobody named it"`
	Users []authorJSON `json:"users" doc:"who wrote since the moment before"`
}

type historyAnswer struct {
	Updates     []updateJSON `json:"updates" doc:"newest first"`
	Versions    []momentJSON `json:"versions" doc:"moments among these updates that can be gone back to, newest first"`
	YDoc        Binary       `json:"ydoc" doc:"the whole block as it is now"`
	StateVector Binary       `json:"state_vector"`
	SyncVersion int64        `json:"sync_version"`
	NextCursor  *string      `json:"next_cursor" doc:"null at the end"`
}

// blockUpdates lists what happened to a block.
func (s *Server) blockUpdates(w http.ResponseWriter, r *http.Request) error {
	var req historyRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	limit, err := limitOf(plainText(req.Limit))
	if err != nil {
		return err
	}
	h, err := s.Blocks.BlockHistory(r.Context(), userOf(r), req.target(r), req.Cursor, limit, req.Updates)
	if err != nil {
		return listProblem(err)
	}
	names := deviceNames{s: s, r: r}
	answer := historyAnswer{
		Updates: make([]updateJSON, len(h.Parts)), Versions: make([]momentJSON, len(h.Moments)),
		YDoc: h.State, StateVector: h.Head.StateVector, SyncVersion: h.Head.SyncVersion, NextCursor: orNull(h.Next),
	}
	if len(answer.StateVector) == 0 {
		answer.StateVector = Binary{0}
	}
	for i := range h.Parts {
		p := &h.Parts[i]
		users, err := names.authors(p.Authors)
		if err != nil {
			return err
		}
		u := updateJSON{Seq: p.To, At: p.LastAt, Size: p.Size, Count: p.Updates, FirstAt: p.FirstAt, Users: users, Update: p.Update}
		for j := range users {
			if j == 0 || users[j].Updates > users[0].Updates {
				u.User, u.Device = users[j].User, users[j].Device
			}
		}
		answer.Updates[i] = u
	}
	for i := range h.Moments {
		if answer.Versions[i], err = names.moment(&h.Moments[i]); err != nil {
			return err
		}
	}
	return writeJSON(w, answer)
}

// deviceNames finds the names of devices for one answer.
type deviceNames struct {
	s     *Server
	r     *http.Request
	known map[blocks.UserID]map[string]string
}

func (n *deviceNames) of(user blocks.UserID, session string) (string, error) {
	if session == "" {
		return "", nil
	}
	devices, known := n.known[user]
	if !known {
		sessions, err := n.s.Auth.Sessions(n.r.Context(), auth.AccountID(user))
		if err != nil {
			return "", err
		}
		devices = make(map[string]string, len(sessions))
		for i := range sessions {
			devices[string(sessions[i].ID)] = sessions[i].DeviceName
		}
		if n.known == nil {
			n.known = map[blocks.UserID]map[string]string{}
		}
		n.known[user] = devices
	}
	return devices[session], nil
}

func (n *deviceNames) authors(shares []blocks.Share) ([]authorJSON, error) {
	list := make([]authorJSON, len(shares))
	for i, a := range shares {
		device, err := n.of(a.User, a.Session)
		if err != nil {
			return nil, err
		}
		list[i] = authorJSON{a.User, device, a.Updates}
	}
	return list, nil
}

func (n *deviceNames) moment(m *blocks.Moment) (momentJSON, error) {
	users, err := n.authors(m.Authors)
	return momentJSON{m.ID, m.Seq, m.At, orNull(m.Name), users}, err
}

type nameRequest struct {
	heapRequest
	Name string `json:"name" doc:"1 to 200 characters"`
}

type versionAnswer struct {
	ID   string     `json:"id"`
	Seq  blocks.Seq `json:"seq"`
	At   int64      `json:"at"`
	Name string     `json:"name"`
}

// nameVersion gives the present state of a block a name.
func (s *Server) nameVersion(w http.ResponseWriter, r *http.Request) error {
	var req nameRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	v, err := s.Blocks.NameVersion(r.Context(), authorOf(r), req.target(r), req.Name)
	if err != nil {
		return err
	}
	return writeJSONStatus(w, http.StatusCreated, versionAnswer{v.ID, v.Seq, v.At, v.Name})
}

type versionContentAnswer struct {
	momentJSON
	Content map[string]any `json:"content" doc:"its roots by name, as in POST /api/block/{blockKey}"`
	Added   int            `json:"added" doc:"characters of text that came since the version before"`
	Removed int            `json:"removed" doc:"and that went"`
}

// version shows a block as it was.
func (s *Server) version(w http.ResponseWriter, r *http.Request) error {
	v, err := s.Blocks.Version(r.Context(), userOf(r), new(heapRequest).target(r), r.PathValue("id"))
	if err != nil {
		return err
	}
	names := deviceNames{s: s, r: r}
	m, err := names.moment(&v.Moment)
	if err != nil {
		return err
	}
	return writeJSON(w, struct {
		momentJSON
		Content json.RawMessage `json:"content"`
		Added   int             `json:"added"`
		Removed int             `json:"removed"`
	}{m, v.Content, v.Added, v.Removed})
}

// removeVersion forgets a version's name.
func (s *Server) removeVersion(w http.ResponseWriter, r *http.Request) error {
	err := s.Blocks.RemoveVersion(r.Context(), userOf(r), new(heapRequest).target(r), r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeJSON(w, doneAnswer{Success: true})
}

type restoreAnswer struct {
	Seq         blocks.Seq `json:"seq"`
	SyncVersion int64      `json:"sync_version"`
	StateVector Binary     `json:"state_vector"`
	Changed     bool       `json:"changed" doc:"false if the block was like that already"`
}

// restoreVersion makes a block what it was.
func (s *Server) restoreVersion(w http.ResponseWriter, r *http.Request) error {
	var req heapRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	a, err := s.Blocks.RestoreVersion(r.Context(), authorOf(r), req.target(r), r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeJSON(w, restoreAnswer{a.Seq, a.SyncVersion, a.StateVector, !a.Duplicate})
}

type rewindRequest struct {
	At     int64 `json:"at" doc:"Unix milliseconds"`
	DryRun bool  `json:"dry_run,omitempty" doc:"only say what would be done"`
}

type rewindFailure struct {
	BlockID blocks.BlockID `json:"block_id"`
	Code    string         `json:"code"`
}

type rewindAnswer struct {
	Restored  int             `json:"restored"`
	Trashed   int             `json:"trashed" doc:"blocks that did not exist then"`
	Unchanged int             `json:"unchanged"`
	Failed    []rewindFailure `json:"failed"`
}

// rewind takes a heap back to a moment.
func (s *Server) rewind(w http.ResponseWriter, r *http.Request) error {
	var req rewindRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	heap, err := blocks.ParseHeapID(r.PathValue("id"))
	if err != nil {
		return err
	}
	done, err := s.Blocks.Rewind(r.Context(), authorOf(r), heap, req.At, req.DryRun)
	if err != nil {
		return err
	}
	answer := rewindAnswer{done.Restored, done.Trashed, done.Unchanged, []rewindFailure{}}
	for _, f := range done.Failed {
		answer.Failed = append(answer.Failed, rewindFailure{f.Block, itemProblemOf(f.Err).Code})
	}
	return writeJSON(w, answer)
}
