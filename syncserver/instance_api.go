package syncserver

import (
	"context"
	"net/http"
	"time"
)

// capabilities are stable words that clients switch on.
var capabilities = []string{
	"auth.ed25519", "auth.sessions", "sync.push", "sync.pull", "sync.delta",
	"ws.hocuspocus", "ws.y-websocket", "ws.events", "yjs.v1", "durable-ack",
}

// minClientVersion is the oldest client that this server serves.
const minClientVersion = "0.1.0"

func (s *Server) instance(w http.ResponseWriter, r *http.Request) error {
	mode, err := s.Auth.Mode(r.Context())
	if err != nil {
		return err
	}
	name, err := s.serverName(r.Context())
	if err != nil {
		return err
	}
	answer := map[string]any{
		"status":             "ok",
		"version":            s.Version,
		"public_key":         s.Auth.PublicKey(),
		"name":               name,
		"public_url":         s.PublicURL,
		"selfhosted":         true,
		"mode":               mode,
		"capabilities":       capabilities,
		"min_client_version": minClientVersion,
	}
	if id, ok := identityOf(r); ok {
		answer["is_admin"] = id.Account.Admin
		answer["license"] = map[string]any{"plan": "selfhosted", "valid_until": nil}
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
	overall := "ok"
	if status != http.StatusOK {
		overall = "degraded"
	}
	name, err := s.serverName(ctx)
	if err != nil {
		name = s.Name // health is to be told even if the store is down
	}
	answer := map[string]any{
		"server":     map[string]any{"status": overall, "uptime": int64(s.Now().Sub(s.started).Seconds())},
		"database":   map[string]any{"status": database, "latency_ms": float64(latency.Microseconds()) / 1000},
		"storage":    map[string]any{"status": database},
		"version":    s.Version,
		"name":       name,
		"public_url": s.PublicURL,
		"public_key": s.Auth.PublicKey(),
	}
	if r.URL.Query().Get("diagnostics") == "1" {
		live, log := s.Live.Stats(), s.Blocks.Stats()
		answer["diagnostics"] = map[string]any{"realtime": map[string]any{
			"connections":    live.Connections,
			"rooms":          live.Rooms,
			"subscriptions":  live.Subscriptions,
			"messages_in":    live.MessagesIn,
			"messages_out":   live.MessagesOut,
			"bytes_in":       live.BytesIn,
			"bytes_out":      live.BytesOut,
			"slow_consumers": live.SlowConsumers,
			"commit_queue":   log.Queued,
		}}
	}
	return writeJSONStatus(w, status, answer)
}

func (s *Server) syncHealth(w http.ResponseWriter, r *http.Request) error {
	live, log := s.Live.Stats(), s.Blocks.Stats()
	state, status := "ok", http.StatusOK
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	if log.Stalled || s.Health(ctx) != nil {
		state, status = "stalled", http.StatusServiceUnavailable
	}
	var last any
	if log.LastCommitAt > 0 {
		last = log.LastCommitAt
	}
	return writeJSONStatus(w, status, map[string]any{
		"status":          state,
		"rooms":           live.Rooms,
		"connections":     live.Connections,
		"pending_commits": log.Queued,
		"last_commit_at":  last,
		"commit_p99_ms":   float64(log.CommitP99.Microseconds()) / 1000,
	})
}
