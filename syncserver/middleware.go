package syncserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/heapsync/heapsync/auth"
)

type contextKey int

const (
	identityKey contextKey = iota
	requestIDKey
	ticketKey // what a file ticket opens
)

// identityOf returns who asks. On member and admin routes there always is one.
func identityOf(r *http.Request) (auth.Identity, bool) {
	id, ok := r.Context().Value(identityKey).(auth.Identity)
	return id, ok
}

func requestIDOf(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey).(string)
	return id
}

// middleware wraps all routes: request ids, security headers, web origins, and
// a last resort for panics.
func (s *Server) middleware(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	origins := s.allowedOrigins()
	for _, origin := range origins {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			s.Logger.Warn("origin is not usable", "origin", origin, "err", err)
		}
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := problemOf(newProblem(403, "cross_origin", "this web origin is not allowed; add it to the server's origins"))
		writeProblem(w, p)
	}))
	guarded := protection.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := rand.Text()[:16]
		h := w.Header()
		h.Set("X-Request-Id", id)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		if strings.HasPrefix(s.PublicURL, "https://") {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		r = r.WithContext(context.WithValue(r.Context(), requestIDKey, id))
		if origin := r.Header.Get("Origin"); origin != "" && slices.Contains(origins, origin) {
			allowOrigin(h, origin)
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		guarded.ServeHTTP(w, r)
	})
}

// allowedOrigins are the web origins whose pages may use this server.
func (s *Server) allowedOrigins() []string {
	origins := slices.Clone(s.Origins)
	if u, err := url.Parse(s.PublicURL); err == nil && u.Host != "" {
		origins = append(origins, u.Scheme+"://"+u.Host)
	}
	return origins
}

func allowOrigin(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Add("Vary", "Origin")
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Content-Digest, Range, "+
		"Tus-Resumable, Upload-Length, Upload-Offset, Upload-Metadata, Upload-Concat, Upload-Checksum, X-HTTP-Method-Override, X-Request-Id")
	h.Set("Access-Control-Expose-Headers", "X-Request-Id, Retry-After, ETag, Content-Range, Accept-Ranges, Location, Block-Id, File-Hash, "+
		"Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm, Upload-Length, Upload-Offset, Upload-Metadata, Upload-Concat, Upload-Expires")
	h.Set("Access-Control-Max-Age", "600")
}

// serve turns a route into a handler: who asks, how large the body may be, and
// what an error looks like. It is the one place that logs requests.
func (s *Server) serve(rt route) http.Handler {
	maxBody := rt.maxBody
	if maxBody == 0 {
		maxBody = smallBody
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := s.Now()
		if rt.access != socket && maxBody != streamBody {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		}
		r, err := s.authenticate(rt, r)
		if err == nil {
			err = s.withBody(r, maxBody, func() error { return s.call(rt.handle, w, r) })
		}
		status, problem := http.StatusOK, ""
		if err != nil {
			p, known := problemOf(err)
			status, problem = p.Status, p.Code
			if !known {
				s.Logger.Error("request failed", "request", requestIDOf(r.Context()), "route", rt.pattern, "err", err)
			}
			writeProblem(w, p)
		}
		s.metrics.observe(rt, problem, s.Now().Sub(start))
		s.logRequest(r, rt, status, start)
	})
}

// maxBodies is how many bytes the long bodies of all requests may have together;
// what is over waits its turn.
const maxBodies = 256 << 20

// withBody runs handle when there is memory for the request's body.
func (s *Server) withBody(r *http.Request, maxBody int64, handle func() error) error {
	if maxBody == streamBody {
		return handle()
	}
	size := r.ContentLength
	if size < 0 || size > maxBody {
		size = maxBody
	}
	if size <= smallBody {
		return handle()
	}
	if err := s.bodies.Acquire(r.Context(), size); err != nil {
		return err
	}
	defer s.bodies.Release(size)
	return handle()
}

func (s *Server) logRequest(r *http.Request, rt route, status int, start time.Time) {
	if !s.Logger.Enabled(r.Context(), slog.LevelDebug) {
		return
	}
	attrs := []any{"request", requestIDOf(r.Context()), "route", rt.pattern, "status", status, "took", s.Now().Sub(start)}
	if id, ok := identityOf(r); ok {
		attrs = append(attrs, "account", id.Account.ID)
	}
	s.Logger.Debug("request", attrs...)
}

// authenticate finds out who asks and whether the route is for them.
func (s *Server) authenticate(rt route, r *http.Request) (*http.Request, error) {
	if rt.access == public || rt.access == socket {
		return r, nil
	}
	token, given := bearer(r)
	if rt.access == media {
		if !given {
			token = r.URL.Query().Get("token")
			given = token != ""
		}
		if auth.IsTicket(token) {
			return s.openTicket(r, token)
		}
	}
	if !given {
		if rt.access == optional {
			return r, nil
		}
		return r, auth.ErrUnauthorized
	}
	id, err := s.Auth.Authenticate(r.Context(), token)
	if err != nil {
		return r, err
	}
	if rt.access == admin && !id.Account.Admin {
		return r, newProblem(404, "not_found", "no such route; GET /api/ says what this server can do")
	}
	return r.WithContext(context.WithValue(r.Context(), identityKey, id)), nil
}

func (s *Server) openTicket(r *http.Request, ticket string) (*http.Request, error) {
	account, thing, err := s.Auth.OpenTicket(r.Context(), ticket)
	if err != nil {
		return r, err
	}
	ctx := context.WithValue(r.Context(), identityKey, auth.Identity{Account: account})
	return r.WithContext(context.WithValue(ctx, ticketKey, thing)), nil
}

func bearer(r *http.Request) (token string, given bool) {
	scheme, token, found := strings.Cut(r.Header.Get("Authorization"), " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return "", r.Header.Get("Authorization") != ""
	}
	return strings.TrimSpace(token), true
}

// call runs h; a panic in it is a fault of ours and becomes an error.
func (s *Server) call(h handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if e, ok := p.(error); ok && errors.Is(e, http.ErrAbortHandler) {
				panic(p)
			}
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return h(w, r)
}
