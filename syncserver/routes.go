package syncserver

import (
	"net/http"
	"slices"
	"strings"
)

// handler answers one request. An error it returns becomes a problem; it must
// not have written anything then.
type handler func(w http.ResponseWriter, r *http.Request) error

// access says who may call a route.
type access uint8

const (
	public   access = iota // anyone; no token is looked at
	optional               // anyone; a token, if given, must be good
	member                 // an active account
	admin                  // an administrator; for others the route does not exist
	socket                 // a websocket, which checks tokens itself
)

type route struct {
	pattern string
	access  access
	handle  handler
	maxBody int64 // bytes; 0: smallBody
}

const (
	smallBody = 1 << 20
	// authBody is ample for a challenge and a signature.
	authBody = 64 << 10
	// pushBody is the 32 MiB that a push may have.
	pushBody = 32 << 20
)

// routes is every route, in the order of the API contract.
func (s *Server) routes() []route {
	return []route{
		// Instance
		{"GET /api/{$}", optional, s.instance, 0},
		{"GET /api", optional, s.instance, 0},
		{"GET /api/health", public, s.health, 0},
		{"GET /sync/health", public, s.syncHealth, 0},

		// Auth and session
		{"POST /api/auth/create_session", public, s.createSession, authBody},
		{"POST /api/auth/verify_session", public, s.verifySession, authBody},
		{"POST /api/auth/verify_key", public, s.verifyKey, authBody},
		{"POST /api/auth/refresh_token", public, s.refreshToken, authBody},
		{"POST /api/auth/logout", member, s.logout, 0},
		{"GET /api/auth/sessions", member, s.sessions, 0},
		{"DELETE /api/auth/sessions/{id}", member, s.revokeSession, 0},
		{"POST /api/me", member, s.me, 0},
		{"GET /api/me", member, s.me, 0},

		// Administration
		{"GET /api/admin/users", admin, s.adminUsers, 0},
		{"POST /api/admin/users/{id}/{action}", admin, s.adminChangeUser, 0},
		{"DELETE /api/admin/users/{id}", admin, s.adminDeleteUser, 0},
		{"GET /api/admin/settings", admin, s.adminSettings, 0},
		{"PUT /api/admin/settings", admin, s.putAdminSettings, 0},
		{"GET /api/admin/stats", admin, s.adminStats, 0},
		{"GET /api/admin/audit", admin, s.adminAudit, 0},

		// Sync
		{"POST /api/sync/push", member, s.push, pushBody},
		{"POST /api/sync/pull", member, s.pull, pushBody},
		{"GET /api/sync/delta", member, s.delta, 0},
		{"GET /ws", socket, s.websocket, 0},
		{"GET /ws/{heap}/{block}", socket, s.websocket, 0},

		// Heaps
		{"POST /api/heaps", member, s.heaps, 0},
		{"POST /api/workspaces", member, s.workspaces, 0},
		{"POST /api/heap/add", member, s.addHeap, 0},

		// The web app
		{"/", public, s.app, 0},
	}
}

func (s *Server) mux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, rt := range s.routes() {
		mux.Handle(rt.pattern, s.serve(rt))
	}
	mux.Handle("/api/", s.serve(route{"/api/", public, s.noRoute, 0}))
	s.routed = mux
	return mux
}

// noRoute answers what no other route does: the path is unknown, or has a route
// for other methods only.
func (s *Server) noRoute(w http.ResponseWriter, r *http.Request) error {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		probe := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := s.routed.Handler(probe); strings.HasPrefix(pattern, method+" ") {
			allowed = append(allowed, method)
		}
	}
	// An administrator's route does not exist for others.
	if len(allowed) > 0 && !slices.Contains(allowed, r.Method) && !strings.HasPrefix(r.URL.Path, "/api/admin/") {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return newProblem(405, "method_not_allowed", "this route takes "+strings.Join(allowed, ", "))
	}
	return newProblem(404, "not_found", "no such route; GET /api/ says what this server can do")
}
