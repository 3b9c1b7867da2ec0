package syncserver

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/syncserver/live"
	"github.com/heapsync/heapsync/web"
)

// Config is what a server is made of. Auth, Blocks and Live are required.
type Config struct {
	Auth   *auth.Service
	Blocks *blocks.Instance
	Live   *live.Server
	Health func(context.Context) error // nil while the database works

	Name      string // of this server, shown to clients
	Version   string
	PublicURL string   // where clients reach it
	Origins   []string // web origins besides PublicURL's that may use it
	Limits    Limits   // how often who may ask
	// MetricsToken is what a scraper has to show at /metrics; "": nothing.
	MetricsToken string
	TempDir      string       // for what is too large for memory; "": the system's
	Logger       *slog.Logger // nil: silent
	Now          func() time.Time
}

// Server answers every route. It is safe for concurrent use.
type Server struct {
	Config
	handler http.Handler
	routed  *http.ServeMux
	limiter *limiter
	bodies  *semaphore.Weighted // bytes of long bodies that are being read and worked on
	web     http.Handler
	started time.Time
	metrics *metrics

	description []byte // openapi.json
}

// New makes a server; it does no I/O.
func New(cfg Config) *Server {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{Config: cfg, started: cfg.Now(), limiter: newLimiter(cfg.Limits, cfg.Now), bodies: semaphore.NewWeighted(maxBodies), web: web.Handler()}
	s.metrics = newMetrics(s)
	var err error
	if s.description, err = s.openapi(s.routes()); err != nil {
		panic(err) // it is made of nothing but types
	}
	s.handler = s.middleware(s.mux())
	return s
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }
