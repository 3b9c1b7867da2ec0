package syncserver

import (
	"context"
	"net/http"
	"time"

	"github.com/heapsync/heapsync/auth"
)

// capabilities are stable words that clients switch on.
var capabilities = []string{
	"auth.ed25519", "auth.sessions", "sync.push", "sync.pull", "sync.delta",
	"ws.hocuspocus", "ws.y-websocket", "ws.events", "yjs.v1", "durable-ack", "files.upload", "files.range", "files.ticket",
	"files.thumbnails",
}

// minClientVersion is the oldest client that this server serves.
const minClientVersion = "0.1.0"

type instanceJSON struct {
	Status           string       `json:"status"`
	Version          string       `json:"version"`
	PublicKey        string       `json:"public_key" doc:"of the server"`
	Name             string       `json:"name"`
	PublicURL        string       `json:"public_url"`
	SelfHosted       bool         `json:"selfhosted"`
	Mode             auth.Mode    `json:"mode" doc:"how new accounts are taken: open, approval or closed"`
	Capabilities     []string     `json:"capabilities"`
	MinClientVersion string       `json:"min_client_version"`
	IsAdmin          *bool        `json:"is_admin,omitempty" doc:"with a token"`
	License          *licenseJSON `json:"license,omitempty" doc:"with a token"`
}

type licenseJSON struct {
	Plan       string `json:"plan"`
	ValidUntil *int64 `json:"valid_until"`
}

func (s *Server) instance(w http.ResponseWriter, r *http.Request) error {
	mode, err := s.Auth.Mode(r.Context())
	if err != nil {
		return err
	}
	name, err := s.serverName(r.Context())
	if err != nil {
		return err
	}
	answer := instanceJSON{
		Status:           "ok",
		Version:          s.Version,
		PublicKey:        s.Auth.PublicKey(),
		Name:             name,
		PublicURL:        s.PublicURL,
		SelfHosted:       true,
		Mode:             mode,
		Capabilities:     capabilities,
		MinClientVersion: minClientVersion,
	}
	if id, ok := identityOf(r); ok {
		answer.IsAdmin, answer.License = &id.Account.Admin, &licenseJSON{Plan: "selfhosted"}
	}
	return writeJSON(w, answer)
}

// app serves the web app.
func (s *Server) app(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return s.noRoute(w, r)
	}
	s.web.ServeHTTP(w, r)
	return nil
}

// healthTimeout is how long a part may take to answer before it counts as down.
const healthTimeout = 2 * time.Second

type healthJSON struct {
	Server      serverHealth     `json:"server"`
	Database    databaseHealth   `json:"database"`
	Storage     partHealth       `json:"storage"`
	Media       mediaHealth      `json:"media"`
	Version     string           `json:"version"`
	Name        string           `json:"name"`
	PublicURL   string           `json:"public_url"`
	PublicKey   string           `json:"public_key"`
	Diagnostics *diagnosticsJSON `json:"diagnostics,omitempty" doc:"with ?diagnostics=1"`
}

type serverHealth struct {
	Status string `json:"status"`
	Uptime int64  `json:"uptime" doc:"seconds"`
}

type databaseHealth struct {
	Status  string  `json:"status"`
	Latency float64 `json:"latency_ms"`
}

type partHealth struct {
	Status string `json:"status"`
}

type mediaHealth struct {
	Status  string   `json:"status" doc:"ok; partial: of some kinds of files no pictures are made; off: of none; starting: that is being found out"`
	Formats []string `json:"formats" doc:"of which pictures are made"`
	Missing []string `json:"missing" doc:"what is not installed, and what that costs"`
}

func (s *Server) mediaHealth() mediaHealth {
	status, report := s.Blocks.MediaReport()
	return mediaHealth{status, append([]string{}, report.Formats...), append([]string{}, report.Missing...)}
}

type diagnosticsJSON struct {
	Realtime realtimeJSON `json:"realtime"`
}

type realtimeJSON struct {
	Connections   int   `json:"connections"`
	Rooms         int   `json:"rooms"`
	Subscriptions int64 `json:"subscriptions"`
	MessagesIn    int64 `json:"messages_in"`
	MessagesOut   int64 `json:"messages_out"`
	BytesIn       int64 `json:"bytes_in"`
	BytesOut      int64 `json:"bytes_out"`
	SlowConsumers int64 `json:"slow_consumers"`
	CommitQueue   int   `json:"commit_queue"`
}

func (s *Server) uptime() int64 { return int64(s.Now().Sub(s.started).Seconds()) }

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (s *Server) health(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	start := time.Now()
	database, status := "ok", http.StatusOK
	if err := s.Health(ctx); err != nil {
		database, status = "down", http.StatusServiceUnavailable
		s.Logger.Warn("database is not healthy", "err", err)
	}
	latency := time.Since(start)
	storage := database
	if err := s.Blocks.StorageTrouble(); err != nil {
		storage, status = "down", http.StatusServiceUnavailable
		s.Logger.Warn("the disk of uploads is not healthy", "err", err)
	}
	overall := "ok"
	if status != http.StatusOK {
		overall = "degraded"
	}
	name, err := s.serverName(ctx)
	if err != nil {
		name = s.Name // health is to be told even if the store is down
	}
	answer := healthJSON{
		Server:    serverHealth{overall, s.uptime()},
		Database:  databaseHealth{database, milliseconds(latency)},
		Storage:   partHealth{storage},
		Media:     s.mediaHealth(),
		Version:   s.Version,
		Name:      name,
		PublicURL: s.PublicURL,
		PublicKey: s.Auth.PublicKey(),
	}
	if r.URL.Query().Get("diagnostics") == "1" {
		live, log := s.Live.Stats(), s.Blocks.Stats()
		answer.Diagnostics = &diagnosticsJSON{realtimeJSON{
			Connections:   live.Connections,
			Rooms:         live.Rooms,
			Subscriptions: live.Subscriptions,
			MessagesIn:    live.MessagesIn,
			MessagesOut:   live.MessagesOut,
			BytesIn:       live.BytesIn,
			BytesOut:      live.BytesOut,
			SlowConsumers: live.SlowConsumers,
			CommitQueue:   log.Queued,
		}}
	}
	return writeJSONStatus(w, status, answer)
}

type syncHealthJSON struct {
	Status         string  `json:"status"`
	Rooms          int     `json:"rooms"`
	Connections    int     `json:"connections"`
	PendingCommits int     `json:"pending_commits"`
	LastCommitAt   *int64  `json:"last_commit_at"`
	CommitP99      float64 `json:"commit_p99_ms"`
}

func (s *Server) syncHealth(w http.ResponseWriter, r *http.Request) error {
	live, log := s.Live.Stats(), s.Blocks.Stats()
	state, status := "ok", http.StatusOK
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	if log.Stalled || s.Health(ctx) != nil {
		state, status = "stalled", http.StatusServiceUnavailable
	}
	return writeJSONStatus(w, status, syncHealthJSON{
		Status:         state,
		Rooms:          live.Rooms,
		Connections:    live.Connections,
		PendingCommits: log.Queued,
		LastCommitAt:   orNull(log.LastCommitAt),
		CommitP99:      milliseconds(log.CommitP99),
	})
}
