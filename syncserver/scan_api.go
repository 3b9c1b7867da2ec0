package syncserver

import (
	"net/http"
	"path"
	"strings"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
)

type scanRequest struct {
	HeapID      string `json:"heap_id,omitempty"`
	WorkspaceID string `json:"workspace_id,omitempty" doc:"the same as heap_id"`
	Path        string `json:"path" doc:"of a folder of the server"`
	Recursive   *bool  `json:"recursive,omitempty" doc:"folders in it too; true if it is not given"`
	Watch       bool   `json:"watch,omitempty" doc:"scan again as it changes"`
	DryRun      bool   `json:"dry_run,omitempty" doc:"only say what a scan would do"`
	Confirm     bool   `json:"confirm,omitempty" doc:"put the blocks of files that are gone into the trash, however many"`
}

type scanAnswer struct {
	ScanID string    `json:"scan_id"`
	Status string    `json:"status"`
	Would  *planJSON `json:"would,omitempty" doc:"of a dry run"`
}

type planJSON struct {
	Found     int64         `json:"found"`
	Bytes     int64         `json:"bytes" doc:"that would be read"`
	New       int64         `json:"new"`
	Changed   int64         `json:"changed"`
	Moved     int64         `json:"moved"`
	Unchanged int64         `json:"unchanged"`
	Vanished  int64         `json:"vanished"`
	Skipped   int64         `json:"skipped"`
	Errors    int64         `json:"errors"`
	Files     []plannedJSON `json:"files" doc:"the first ones that are not unchanged"`
}

type plannedJSON struct {
	Path   string `json:"path"`
	Action string `json:"action" doc:"new, changed or moved"`
}

// eventScan is what the audit log calls what users do about scans.
const eventScan auth.EventKind = "scan"

func (s *Server) recordScan(r *http.Request, detail string) error {
	by := s.actorOf(r)
	id, _ := identityOf(r)
	return s.Auth.Record(r.Context(), auth.Event{Kind: eventScan, Actor: by.Account, Session: id.Session, IP: by.IP, Detail: detail})
}

func (s *Server) scanFolder(w http.ResponseWriter, r *http.Request) error {
	var req scanRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	heap, err := heapNamed(req.HeapID, req.WorkspaceID)
	if err != nil {
		return err
	}
	want := blocks.ScanRequest{Heap: heap, Path: req.Path, Recursive: req.Recursive == nil || *req.Recursive, Watch: req.Watch, Confirm: req.Confirm}
	if req.DryRun {
		plan, err := s.Blocks.PlanScan(r.Context(), userOf(r), want)
		if err != nil {
			return err
		}
		would := &planJSON{
			Found: plan.Found, Bytes: plan.Bytes, New: plan.New, Changed: plan.Changed, Moved: plan.Moved, Unchanged: plan.Unchanged,
			Vanished: plan.Vanished, Skipped: plan.Skipped, Errors: plan.Errors, Files: []plannedJSON{},
		}
		for _, f := range plan.List {
			would.Files = append(would.Files, plannedJSON{pathText(f.Path), f.Action})
		}
		return writeJSON(w, scanAnswer{Status: "dry_run", Would: would})
	}
	sc, err := s.Blocks.StartScan(r.Context(), authorOf(r), want)
	if err != nil {
		return err
	}
	detail := "scan " + sc.ID + " of " + pathText(sc.Folder.Path) + " into " + string(heap)
	if sc.Confirm {
		detail += ", confirmed"
	}
	if err := s.recordScan(r, detail); err != nil {
		return err
	}
	return writeJSON(w, scanAnswer{ScanID: sc.ID, Status: sc.Status})
}

// pathText is a path as text: a name need not be UTF-8.
func pathText(p string) string { return strings.ToValidUTF8(p, "\ufffd") }

// heapNamed reads a heap's id that may have either name.
func heapNamed(id, workspace string) (blocks.HeapID, error) {
	if id == "" {
		id = workspace
	}
	heap, err := blocks.ParseHeapID(id)
	if err != nil {
		return "", badField("heap_id", "must be 1 to 64 characters of A-Z a-z 0-9 _ -")
	}
	return heap, nil
}

type abortRequest struct {
	ScanID string `json:"scan_id"`
}

func (s *Server) abortScan(w http.ResponseWriter, r *http.Request) error {
	var req abortRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	if req.ScanID == "" {
		return badField("scan_id", "is needed")
	}
	sc, err := s.Blocks.AbortScan(r.Context(), userOf(r), req.ScanID)
	if err != nil {
		return err
	}
	if err := s.recordScan(r, "abort scan "+sc.ID); err != nil {
		return err
	}
	return writeJSON(w, scanAnswer{ScanID: sc.ID, Status: sc.Status})
}

type scanJSON struct {
	ScanID string        `json:"scan_id"`
	HeapID blocks.HeapID `json:"heap_id"`
	Path   string        `json:"path" doc:"for administrators; for others its last part"`
	Status string        `json:"status" doc:"queued, running, done, aborted, failed, offline or needs_confirmation"`
	blocks.ScanCounts
	StartedAt int64  `json:"started_at"`
	EndedAt   *int64 `json:"ended_at"`
	Error     string `json:"error,omitempty"`
}

type scanFolderJSON struct {
	HeapID    blocks.HeapID `json:"heap_id"`
	Path      string        `json:"path"`
	Recursive bool          `json:"recursive"`
	Watch     string        `json:"watch" doc:"how changes are found: events, polling (not all of it can be watched), or off"`
	LastAt    *int64        `json:"last_at" doc:"when a scan of it ended last"`
}

type scansAnswer struct {
	Scans   []scanJSON       `json:"scans"`
	Recent  []scanJSON       `json:"recent" doc:"the last ones that are over"`
	Folders []scanFolderJSON `json:"folders" doc:"for administrators: those that are scanned into heaps that they edit"`
}

func (s *Server) activeScans(w http.ResponseWriter, r *http.Request) error {
	active, recent, err := s.Blocks.ActiveScans(r.Context(), userOf(r))
	if err != nil {
		return err
	}
	id, _ := identityOf(r)
	admin := id.Account.Admin
	answer := scansAnswer{Scans: scansJSON(active, admin), Recent: scansJSON(recent, admin), Folders: []scanFolderJSON{}}
	if admin {
		folders, err := s.Blocks.ScannedFolders(r.Context(), userOf(r))
		if err != nil {
			return err
		}
		for _, f := range folders {
			answer.Folders = append(answer.Folders, scanFolderJSON{f.Heap, pathText(f.Path), f.Recursive, f.Watching, orNull(f.LastAt)})
		}
	}
	return writeJSON(w, answer)
}

func scansJSON(list []blocks.Scan, admin bool) []scanJSON {
	out := make([]scanJSON, len(list))
	for i, sc := range list {
		name := sc.Folder.Path
		if !admin {
			name = path.Base(name)
		}
		out[i] = scanJSON{sc.ID, sc.Folder.Heap, pathText(name), sc.Status, sc.ScanCounts, sc.StartedAt, orNull(sc.EndedAt), sc.Error}
	}
	return out
}

type reindexRequest struct {
	HeapID      string `json:"heap_id,omitempty"`
	WorkspaceID string `json:"workspace_id,omitempty" doc:"the same as heap_id"`
}

type reindexAnswer struct {
	Status  string     `json:"status"`
	Files   int64      `json:"files"`
	Changed int64      `json:"changed" doc:"are of another type than was known"`
	Missing int64      `json:"missing" doc:"cannot be read now"`
	Scans   []scanJSON `json:"scans" doc:"of its folders, that have begun"`
}

func (s *Server) reindexFiles(w http.ResponseWriter, r *http.Request) error {
	var req reindexRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	heap, err := heapNamed(req.HeapID, req.WorkspaceID)
	if err != nil {
		return err
	}
	done, err := s.Blocks.ReindexFiles(r.Context(), authorOf(r), heap)
	if err != nil {
		return err
	}
	if len(done.Scans) > 0 {
		if err := s.recordScan(r, "scan the folders of "+string(heap)); err != nil {
			return err
		}
	}
	id, _ := identityOf(r)
	return writeJSON(w, reindexAnswer{"done", done.Files, done.Changed, done.Missing, scansJSON(done.Scans, id.Account.Admin)})
}
