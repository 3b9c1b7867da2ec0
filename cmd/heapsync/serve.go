package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/disk"
	"github.com/heapsync/heapsync/storage/sqlite"
	"github.com/heapsync/heapsync/syncserver"
	"github.com/heapsync/heapsync/syncserver/live"
)

// databaseName is the database's file in the data folder.
const databaseName = "heapsync.db"

// indexName is that of what is read out of documents, which can be removed.
const indexName = "index.db"

// blobsName is the folder of files, and uploadsName that of those on their way.
const (
	blobsName   = "blobs"
	uploadsName = "uploads"
)

// tempName is the folder of what is of no use after a restart.
const tempName = "tmp"

// emptyFolder makes a folder, without what is left in it.
func emptyFolder(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("empty folder: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	return nil
}

func serveCommand() *cobra.Command {
	return withConfig(&cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server until SIGTERM or SIGINT.

Without any flag it keeps its data in ./heapsync-data and listens on port 8787.
Every flag is also an environment variable (HEAPSYNC_LISTEN for --listen) and a
line of the configuration file (listen = ":8787").`,
	}, func(cmd *cobra.Command, cfg *config) error {
		return serve(cmd.Context(), cfg, cmd.OutOrStdout(), os.Stderr)
	})
}

// drainTimeout is how long requests may take to end after a signal.
const drainTimeout = 8 * time.Second

func serve(ctx context.Context, cfg *config, stdout io.Writer, stderr *os.File) error {
	logger := newLogger(cfg, stderr)
	syscall.Umask(0o077) // what is kept is nobody else's to read
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	foreign := new(foreignCommits)
	store, err := sqlite.Open(ctx, sqlite.Config{
		Path: filepath.Join(cfg.Data, databaseName), Logger: logger, OnForeignCommit: foreign.tell,
	})
	if err != nil {
		return err
	}
	defer func() {
		if err := store.Close(); err != nil {
			logger.Error("database not closed cleanly", "err", err)
		}
	}()
	if err := emptyFolder(filepath.Join(cfg.Data, tempName)); err != nil {
		return err
	}
	index, err := sqlite.OpenIndex(ctx, sqlite.IndexConfig{Path: filepath.Join(cfg.Data, indexName), Logger: logger})
	if err != nil {
		return err
	}
	defer func() {
		if err := index.Close(); err != nil {
			logger.Warn("index not closed cleanly", "err", err)
		}
	}()
	keys, err := auth.OpenKeys(cfg.Data)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", cfg.Listen, err)
	}
	defer listener.Close()
	local := localURL(cfg.Listen, listener.Addr())
	if cfg.PublicURL == "" {
		cfg.PublicURL = local
	}

	files, closeFiles, err := openBlobs(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer closeFiles()
	in, err := newInstance(ctx, cfg, store, index, files, keys, logger)
	if err != nil {
		return err
	}
	foreign.set(in.foreignCommit)
	if err := in.showClaim(ctx, cfg, stderr); err != nil {
		return err
	}
	running := in.run()
	defer running.stop()
	server := &http.Server{
		Handler:           in.api,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       2 * time.Minute, // for 32 MiB over a slow line; sockets have their own
		WriteTimeout:      5 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ConnContext:       syncserver.ConnContext,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	if _, err := fmt.Fprintln(stdout, "listening on", local); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	logger.Info("stopping")
	running.sockets()
	drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		logger.Warn("requests were cut off", "err", err)
		_ = server.Close()
	}
	return nil
}

// instance is all parts of a running server.
type instance struct {
	auth   *auth.Service
	blocks *blocks.Instance
	live   *live.Server
	api    *syncserver.Server
	media  *lateMedia // nil: none
	logger *slog.Logger

	refusals chan auth.Event // on their way to the audit log
}

// refusalBacklog is how many refused updates may wait for the audit log.
const refusalBacklog = 256

func newInstance(ctx context.Context, cfg *config, store *sqlite.Store, index *sqlite.Index, files blocks.Blobs, keys auth.ServerKeys, logger *slog.Logger) (*instance, error) {
	in := &instance{logger: logger, refusals: make(chan auth.Event, refusalBacklog)}
	var err error
	in.auth, err = auth.New(auth.Config{
		Store: store, Keys: keys, PublicURL: cfg.PublicURL,
		AccessTTL: cfg.AccessTTL, RefreshTTL: cfg.RefreshTTL, Challenges: cfg.challengeLimits(),
		Claimed: func() {
			if err := auth.RemoveClaim(cfg.Data); err != nil {
				logger.Error("claim code not removed", "err", err)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	if err := setMode(ctx, in.auth, auth.Mode(cfg.Mode)); err != nil {
		return nil, err
	}
	var pictures blocks.Media
	if cfg.MediaWorkers >= 0 {
		temp, err := filepath.Abs(filepath.Join(cfg.Data, tempName)) // engines run elsewhere
		if err != nil {
			return nil, err
		}
		in.media = &lateMedia{temp: temp, found: make(chan struct{})}
		pictures = in.media
	}
	in.blocks = blocks.New(blocks.LogConfig{
		Media: pictures, MediaWorkers: cfg.mediaWorkers(),
		Store: store, Index: index, Logger: logger, Audit: in.auditRefusal,
		Blobs: files, UploadDir: filepath.Join(cfg.Data, uploadsName), TempDir: filepath.Join(cfg.Data, tempName),
		FreeSpace: func() (int64, int64, error) { return disk.Free(cfg.Data) }, MediaType: syncserver.MediaType,
		Scan: in.scanConfig(cfg),
		Limits: blocks.Limits{
			UpdateBytes: cfg.MaxUpdate, SnapshotTail: cfg.SnapshotTail, Collect: cfg.Collect,
			History:  blocks.HistoryPolicy{All: cfg.HistoryAll, Hourly: cfg.HistoryHourly, Daily: cfg.HistoryDaily, Updates: cfg.HistoryUpdates},
			TrashFor: cfg.TrashRetention, HeapGrace: cfg.HeapGrace, ImportBytes: cfg.MaxImport,
			TypeDepth: cfg.TypeDepth, Steps: cfg.OrderSteps,
			HeldPerBlock: cfg.HeldPerBlock, HeldPerUser: cfg.HeldPerUser,
			HeapFiles: cfg.HeapFiles, UploadFor: cfg.UploadTTL, DiskFloor: cfg.DiskFloor,
		},
	})
	in.live = live.New(live.Config{
		Auth: in.auth, Blocks: in.blocks, Logger: logger, AllowOrigin: cfg.allowOrigin(),
		MaxConns: cfg.MaxConnections, MaxQueue: cfg.QueueBytes, MaxMessage: cfg.MaxUpdate + 4<<10,
	})
	in.api = syncserver.New(syncserver.Config{
		Auth: in.auth, Blocks: in.blocks, Live: in.live, Health: store.Health,
		Name: cfg.Name, Version: versionText(), PublicURL: cfg.PublicURL, Origins: cfg.Origins,
		Limits: cfg.rateLimits(), MetricsToken: cfg.MetricsToken, Logger: logger, TempDir: filepath.Join(cfg.Data, tempName),
	})
	return in, nil
}

// scanConfig says which folders may be scanned, and by whom.
func (in *instance) scanConfig(cfg *config) blocks.ScanConfig {
	return blocks.ScanConfig{
		Roots: func(ctx context.Context) ([]string, error) {
			roots, err := syncserver.ScanRoots(ctx, in.auth)
			return append(roots, cfg.ScanRoots...), err
		},
		Allowed: func(ctx context.Context, user blocks.UserID) (bool, error) {
			acc, err := in.auth.Account(ctx, auth.AccountID(user))
			if errors.Is(err, auth.ErrNotFound) {
				return false, nil
			}
			return acc.Admin && acc.Status == auth.StatusActive, err
		},
		Never: []string{cfg.Data}, Every: cfg.ScanEvery,
	}
}

// setMode sets the registration mode if one is configured and it is another.
func setMode(ctx context.Context, a *auth.Service, mode auth.Mode) error {
	if mode == "" {
		return nil
	}
	if now, err := a.Mode(ctx); err != nil || now == mode {
		return err
	}
	return a.SetMode(ctx, auth.Actor{}, mode)
}

// run starts the parts that work in the background. Sockets end first, and what
// they sent is still stored; then the log.
func (in *instance) run() *background {
	b := &background{}
	logCtx, stopLog := context.WithCancel(context.Background())
	liveCtx, stopLive := context.WithCancel(context.Background())
	b.stopLog, b.stopLive = stopLog, stopLive
	if in.media != nil {
		b.log.Go(func() { in.media.find(logCtx, in.logger) })
	}
	b.log.Go(func() { in.blocks.Run(logCtx) })
	b.live.Go(func() { in.live.Run(liveCtx) })
	b.log.Go(func() { in.sweep(logCtx) })
	b.log.Go(func() { in.recordRefusals(logCtx) })
	b.log.Go(func() { roomForHeap(logCtx) })
	return b
}

// background is what run has started.
type background struct {
	log, live         sync.WaitGroup
	stopLog, stopLive context.CancelFunc
}

// sockets closes all sockets and waits for them.
func (b *background) sockets() {
	b.stopLive()
	b.live.Wait()
}

// stop ends everything, in order, and waits.
func (b *background) stop() {
	b.sockets()
	b.stopLog()
	b.log.Wait()
}

// sweepEvery is how often what has expired is removed from the store.
const sweepEvery = time.Hour

func (in *instance) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := in.auth.Sweep(ctx); err != nil && ctx.Err() == nil {
				in.logger.Warn("expired sessions not removed", "err", err)
			}
		}
	}
}

// foreignCommit forgets what another process may have changed.
func (in *instance) foreignCommit() {
	in.auth.Forget()
	in.live.Recheck()
}

// auditRefusal does not wait for the audit log: it is called while a block is
// locked. What overflows is in the server's log only.
func (in *instance) auditRefusal(_ context.Context, author blocks.Author, key blocks.BlockKey, event, detail string) {
	in.logger.Warn("update refused", "account", author.User, "heap", key.Heap, "block", key.Block, "code", event)
	select {
	case in.refusals <- auth.Event{
		Kind: auth.EventKind(event), Actor: auth.AccountID(author.User), Session: auth.SessionID(author.Session),
		Detail: key.String() + ": " + detail,
	}:
	default:
	}
}

// recordRefusals writes the audit log until ctx ends.
func (in *instance) recordRefusals(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case ev := <-in.refusals:
			if err := in.auth.Record(ctx, ev); err != nil && ctx.Err() == nil {
				in.logger.Warn("refusal not in the audit log", "code", ev.Kind, "err", err)
			}
		}
	}
}

// showClaim opens the claim for the first administrator, if there is none.
func (in *instance) showClaim(ctx context.Context, cfg *config, stderr io.Writer) error {
	code, err := in.auth.Bootstrap(ctx, cfg.Data)
	if err != nil || code == "" {
		return err
	}
	_, err = fmt.Fprintf(stderr, `
This server has no administrator yet. Whoever logs in with this claim code
becomes it (it also stands in %s):

    %s

In a browser: %s/#claim=%[2]s

`, filepath.Join(cfg.Data, auth.ClaimFile), code, strings.TrimRight(cfg.PublicURL, "/"))
	return err
}

// foreignCommits carries the store's call to what is made after the store.
type foreignCommits struct {
	// mu guards fn.
	mu sync.Mutex
	fn func()
}

func (f *foreignCommits) set(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fn = fn
}

func (f *foreignCommits) tell() {
	f.mu.Lock()
	fn := f.fn
	f.mu.Unlock()
	if fn != nil {
		fn()
	}
}

// localURL is where the server listens, as a URL.
func localURL(listen string, addr net.Addr) string {
	host, _, _ := net.SplitHostPort(listen)
	_, port, _ := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// allowOrigin says which web pages may open sockets.
func (c *config) allowOrigin() func(string) bool {
	allowed := slices.Clone(c.Origins)
	if u, err := url.Parse(c.PublicURL); err == nil {
		allowed = append(allowed, u.Scheme+"://"+u.Host)
	}
	return func(webOrigin string) bool { return slices.Contains(allowed, webOrigin) }
}

// unlimited is more than anybody reaches.
const unlimited = 1 << 30

func (c *config) challengeLimits() *auth.ChallengeLimits {
	if c.RateLimits == "off" {
		return &auth.ChallengeLimits{PerKey: unlimited, PerIP: unlimited, Total: unlimited}
	}
	return nil
}

func (c *config) rateLimits() syncserver.Limits {
	return syncserver.Limits{Off: c.RateLimits == "off", Proxies: c.proxies}
}

func newLogger(cfg *config, w *os.File) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		level = slog.LevelInfo // checked with the configuration
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" || cfg.LogFormat == "auto" && !term.IsTerminal(int(w.Fd())) {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
