package syncserver

import (
	"net/http"
	"strconv"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
)

type accountJSON struct {
	ID         auth.AccountID `json:"id"`
	PublicKey  string         `json:"public_key"`
	Email      string         `json:"email"`
	Name       string         `json:"name"`
	Status     auth.Status    `json:"status"`
	IsAdmin    bool           `json:"is_admin"`
	CreatedAt  int64          `json:"created_at"`
	LastSeenAt *int64         `json:"last_seen_at"`
	Usage      usageJSON      `json:"usage"`
}

func (s *Server) toAccountJSON(r *http.Request, a auth.Account) (accountJSON, error) {
	usage, err := s.usageOf(r.Context(), a.ID)
	return accountJSON{
		ID: a.ID, PublicKey: a.PublicKey.String(), Email: a.Email, Name: a.Name, Status: a.Status,
		IsAdmin: a.Admin, CreatedAt: a.CreatedAt.UnixMilli(), LastSeenAt: millisOrNull(a.LastSeenAt), Usage: usage,
	}, err
}

type accountsPage struct {
	Users      []accountJSON   `json:"users"`
	NextCursor *auth.AccountID `json:"next_cursor"`
}

func (s *Server) adminUsers(w http.ResponseWriter, r *http.Request) error {
	limit, err := limitOf(r.URL.Query().Get("limit"))
	if err != nil {
		return err
	}
	all, err := s.Auth.Accounts(r.Context(), auth.AccountID(r.URL.Query().Get("cursor")), limit+1)
	if err != nil {
		return err
	}
	answer := accountsPage{Users: []accountJSON{}}
	if len(all) > limit {
		all = all[:limit]
		answer.NextCursor = &all[limit-1].ID
	}
	for _, a := range all {
		u, err := s.toAccountJSON(r, a)
		if err != nil {
			return err
		}
		answer.Users = append(answer.Users, u)
	}
	return writeJSON(w, answer)
}

type accountAnswer struct {
	Success bool        `json:"success"`
	User    accountJSON `json:"user"`
}

func (s *Server) adminChangeUser(w http.ResponseWriter, r *http.Request) error {
	by, id := s.actorOf(r), auth.AccountID(r.PathValue("id"))
	var a auth.Account
	var err error
	switch r.PathValue("action") {
	case "approve":
		a, err = s.Auth.Approve(r.Context(), by, id)
	case "block":
		a, err = s.Auth.Block(r.Context(), by, id)
	case "promote":
		a, err = s.Auth.Promote(r.Context(), by, id)
	case "demote":
		a, err = s.Auth.Demote(r.Context(), by, id)
	default:
		return s.noRoute(w, r)
	}
	if err != nil {
		return err
	}
	u, err := s.toAccountJSON(r, a)
	if err != nil {
		return err
	}
	return writeJSON(w, accountAnswer{true, u})
}

func (s *Server) adminDeleteUser(w http.ResponseWriter, r *http.Request) error {
	if err := s.Auth.Delete(r.Context(), s.actorOf(r), auth.AccountID(r.PathValue("id"))); err != nil {
		return err
	}
	return done(w)
}

func (s *Server) adminSessions(w http.ResponseWriter, r *http.Request) error {
	account, err := s.Auth.Account(r.Context(), auth.AccountID(r.PathValue("id")))
	if err != nil {
		return err
	}
	all, err := s.Auth.Sessions(r.Context(), account.ID)
	if err != nil {
		return err
	}
	id, _ := identityOf(r)
	return writeJSON(w, toSessionsAnswer(all, id.Session))
}

func (s *Server) adminEndSession(w http.ResponseWriter, r *http.Request) error {
	if err := s.Auth.EndSession(r.Context(), s.actorOf(r), auth.AccountID(r.PathValue("id")), auth.SessionID(r.PathValue("session"))); err != nil {
		return err
	}
	return done(w)
}

// maxProblems is how many of each kind an administrator is told.
const maxProblems = 100

type quarantinedJSON struct {
	HeapID  blocks.HeapID  `json:"heap_id"`
	BlockID blocks.BlockID `json:"block_id"`
	Reason  string         `json:"reason"`
}

type failedPictureJSON struct {
	HeapID  blocks.HeapID  `json:"heap_id"`
	BlockID blocks.BlockID `json:"block_id" doc:"one of those that have the file"`
	Name    string         `json:"name"`
	Hash    string         `json:"hash"`
	Code    string         `json:"code"`
	Reason  string         `json:"reason"`
	At      int64          `json:"at"`
}

type problemsAnswer struct {
	Blocks   []quarantinedJSON   `json:"blocks" doc:"stored bytes of them cannot be read; they are read-only"`
	Pictures []failedPictureJSON `json:"pictures" doc:"files of which a picture should be, and none could be made; the latest first"`
}

func (s *Server) adminProblems(w http.ResponseWriter, r *http.Request) error {
	found, err := s.Blocks.Problems(r.Context(), maxProblems)
	if err != nil {
		return err
	}
	answer := problemsAnswer{Blocks: []quarantinedJSON{}, Pictures: []failedPictureJSON{}}
	for _, q := range found.Quarantined {
		answer.Blocks = append(answer.Blocks, quarantinedJSON{q.Key.Heap, q.Key.Block, q.Reason})
	}
	for _, p := range found.Pictures {
		answer.Pictures = append(answer.Pictures, failedPictureJSON{
			p.File.Key.Heap, p.File.Key.Block, p.File.Name, p.Hash.String(), p.Code, p.Reason, p.At,
		})
	}
	return writeJSON(w, answer)
}

type userCounts struct {
	Total   int64 `json:"total"`
	Pending int64 `json:"pending"`
	Active  int64 `json:"active"`
	Blocked int64 `json:"blocked"`
	Admins  int64 `json:"admins"`
}

type statsJSON struct {
	Version       string     `json:"version"`
	Uptime        int64      `json:"uptime" doc:"seconds"`
	Users         userCounts `json:"users"`
	Sessions      int64      `json:"sessions"`
	Connections   int        `json:"connections"`
	Rooms         int        `json:"rooms"`
	Subscriptions int64      `json:"subscriptions"`
	SlowConsumers int64      `json:"slow_consumers"`
	CommitQueue   int        `json:"commit_queue"`
	CommitP99     float64    `json:"commit_p99_ms"`
	LastCommitAt  int64      `json:"last_commit_at"`
	Storage       blobsJSON  `json:"storage"`
	Scans         scansStats `json:"scans"`
}

type scansStats struct {
	Folders    int `json:"folders" doc:"that are scanned"`
	Polling    int `json:"polling" doc:"of these, watched ones that the system cannot tell all changes of; they are scanned every 5 minutes instead"`
	Watches    int `json:"watches" doc:"folders that the system watches, each with all below it counted by itself"`
	MaxWatches int `json:"max_watches" doc:"more are not watched, even if the system's own limit is higher"`
}

type blobsJSON struct {
	Files      int64 `json:"files" doc:"different ones, of all heaps"`
	FilesBytes int64 `json:"files_bytes"`
	// Derived is what the server made of them, and what clients brought instead.
	Derived      int64 `json:"derived" doc:"pictures of files"`
	DerivedBytes int64 `json:"derived_bytes"`
	Pending      int64 `json:"pending" doc:"files that wait to be looked at"`
	Failed       int64 `json:"failed" doc:"files of which a picture should be, and none could be made"`
	Waiting      int   `json:"waiting" doc:"requests that wait for a picture"`
}

func (s *Server) adminStats(w http.ResponseWriter, r *http.Request) error {
	counts, err := s.Auth.CountAccounts(r.Context())
	if err != nil {
		return err
	}
	blobs, err := s.Blocks.BlobUsage(r.Context())
	if err != nil {
		return err
	}
	scans, err := s.Blocks.WatchStats(r.Context())
	if err != nil {
		return err
	}
	live, log := s.Live.Stats(), s.Blocks.Stats()
	return writeJSON(w, statsJSON{
		Version: s.Version,
		Uptime:  s.uptime(),
		Users: userCounts{counts.Pending + counts.Active + counts.Blocked,
			counts.Pending, counts.Active, counts.Blocked, counts.Admins},
		Sessions:      counts.Sessions,
		Connections:   live.Connections,
		Rooms:         live.Rooms,
		Subscriptions: live.Subscriptions,
		SlowConsumers: live.SlowConsumers,
		CommitQueue:   log.Queued,
		CommitP99:     milliseconds(log.CommitP99),
		LastCommitAt:  log.LastCommitAt,
		Storage:       blobsJSON{blobs.Files, blobs.FileBytes, blobs.Derived, blobs.DerivedBytes, blobs.Queued, blobs.Fails, s.Blocks.MediaWaiting()},
		Scans:         scansStats{scans.Folders, scans.Polling, scans.Watches, scans.Limit},
	})
}

type eventJSON struct {
	ID        int64          `json:"id"`
	At        int64          `json:"at"`
	Kind      auth.EventKind `json:"kind"`
	Actor     auth.AccountID `json:"actor"`
	UserID    auth.AccountID `json:"user_id"`
	PublicKey string         `json:"public_key"`
	SessionID auth.SessionID `json:"session_id"`
	IP        string         `json:"ip"`
	Detail    string         `json:"detail"`
}

type eventsPage struct {
	Events     []eventJSON `json:"events"`
	NextCursor *string     `json:"next_cursor"`
}

func (s *Server) adminAudit(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	limit, err := limitOf(query.Get("limit"))
	if err != nil {
		return err
	}
	before := int64(0)
	if text := query.Get("cursor"); text != "" {
		if before, err = strconv.ParseInt(text, 10, 64); err != nil || before < 1 {
			return badField("cursor", "must be a next_cursor of this route")
		}
	}
	all, err := s.Auth.Events(r.Context(), before, limit+1)
	if err != nil {
		return err
	}
	answer := eventsPage{Events: []eventJSON{}}
	if len(all) > limit {
		all = all[:limit]
		next := strconv.FormatInt(all[limit-1].ID, 10)
		answer.NextCursor = &next
	}
	for _, ev := range all {
		answer.Events = append(answer.Events, eventJSON{
			ID: ev.ID, At: ev.At.UnixMilli(), Kind: ev.Kind, Actor: ev.Actor, UserID: ev.Account,
			PublicKey: ev.Key, SessionID: ev.Session, IP: addressText(ev.IP), Detail: ev.Detail,
		})
	}
	return writeJSON(w, answer)
}
