package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/mattn/go-sqlite3" // SQLite in process; not the pure Go port, which is slower and younger

	"github.com/heapsync/heapsync/blocks"
)

// Config says how to open a store.
type Config struct {
	// Path of the database file. Its directory is made if need be.
	Path string
	// Shared opens a database that a server may be serving: the directory is not
	// locked and the schema has to be ours already.
	Shared bool
	// Readers is the number of connections that read; 0 means 8.
	Readers int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger may be nil.
	Logger *slog.Logger
	// OnForeignCommit, if set, is called within about a quarter of a second after
	// another process committed to the database, never twice at a time.
	OnForeignCommit func()

	// For tests. The power-loss test proves its teeth with less than FULL.
	synchronous string        // "" means FULL
	poll        time.Duration // 0 means foreignPoll
	checkpoint  int64         // 0 means checkpointPages
}

// Store implements [blocks.Store].
type Store struct {
	now     func() time.Time
	writer  *writer
	readers *sql.DB
	lock    *os.File // nil if shared
	wg      sync.WaitGroup

	closing  sync.Once
	closeErr error

	// tickMu lets one caller at a time move the stored time on; see changes.go.
	tickMu    sync.Mutex
	lastTick  int64 // Unix ms of the last try
	probeMu   sync.Mutex
	lastProbe time.Time

	restsMu sync.Mutex
	rests   map[pageEnd]pageRest // see changes.go

	namesMu sync.RWMutex
	names   map[int64]actor // by id; an actor never changes
}

var _ blocks.Store = (*Store)(nil)

// Open opens the database, makes or migrates it, and starts the writer. Errors:
// [ErrLocked], [ErrSchema].
func Open(ctx context.Context, cfg Config) (_ *Store, err error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Readers <= 0 {
		cfg.Readers = 8
	}
	if cfg.poll == 0 {
		cfg.poll = foreignPoll
	}
	if cfg.checkpoint == 0 {
		cfg.checkpoint = checkpointPages
	}
	s := &Store{now: cfg.Now, names: map[int64]actor{}, rests: map[pageEnd]pageRest{}}
	if !cfg.Shared {
		dir := filepath.Dir(cfg.Path)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
		if s.lock, err = lock(dir); err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
		defer func() {
			if err != nil {
				s.lock.Close()
			}
		}()
	}
	if err := migrate(ctx, cfg); err != nil {
		return nil, fmt.Errorf("open store %s: %w", cfg.Path, err)
	}
	if s.writer, err = openWriter(ctx, cfg); err != nil {
		return nil, fmt.Errorf("open store %s: %w", cfg.Path, err)
	}
	s.readers = sql.OpenDB(connector{cfg: cfg, reads: true})
	s.readers.SetMaxOpenConns(cfg.Readers)
	s.readers.SetMaxIdleConns(cfg.Readers)
	s.wg.Go(s.writer.run)
	s.wg.Go(func() {
		for range s.writer.foreign {
			if cfg.OnForeignCommit != nil {
				cfg.OnForeignCommit()
			}
		}
	})
	return s, nil
}

// Close commits what is queued and closes the database. Writes that come later
// are ErrUnavailable. A second Close does nothing.
func (s *Store) Close() error {
	s.closing.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Store) close() error {
	err := s.readers.Close() // first, so that the last connection empties the WAL
	err = errors.Join(err, s.writer.close())
	close(s.writer.foreign)
	s.wg.Wait()
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// Health returns nil while the store reads, and can write, else what stands in the
// way: ErrFull or ErrFailed if it cannot write. While the disk is full it tries a
// small write, at most once a second.
func (s *Store) Health(ctx context.Context) error {
	p := s.writer.trouble.Load()
	if p == nil {
		var tables int
		err := s.readers.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		return nil
	}
	if errors.Is(*p, blocks.ErrFailed) || !s.mayProbe() {
		return *p
	}
	return s.tick(ctx)
}

func (s *Store) mayProbe() bool {
	s.probeMu.Lock()
	defer s.probeMu.Unlock()
	if time.Since(s.lastProbe) < time.Second {
		return false
	}
	s.lastProbe = time.Now()
	return true
}

// tick commits nothing but the time.
func (s *Store) tick(ctx context.Context) error {
	return s.write(ctx, func(t *tx) error {
		t.time()
		return nil
	})
}

// view runs fn in a read transaction: all that fn reads is of one moment.
func (s *Store) view(ctx context.Context, fn func(r *connTx) error) error {
	r, err := begin(ctx, s.readers, "BEGIN")
	if err != nil {
		return readError(err)
	}
	defer r.rollback() // it wrote nothing
	return readError(fn(r))
}

// busyTimeout (ms) is how long one waits for another process that writes.
const busyTimeout = "10000"

// A connector opens connections that are all set up the same way.
type connector struct {
	cfg   Config
	reads bool // and does not write
}

func (c connector) Connect(context.Context) (driver.Conn, error) {
	d := sqlite3.SQLiteDriver{ConnectHook: func(conn *sqlite3.SQLiteConn) error {
		// What the DSN has no words for. Savepoints and sorting stay in memory.
		_, err := conn.Exec("PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = 2", nil)
		return err
	}}
	conn, err := d.Open(c.dsn())
	if err != nil || !c.reads {
		return conn, err
	}
	return readConn{conn.(*sqlite3.SQLiteConn)}, nil
}

// readConn is a connection whose queries do not watch their contexts: the driver starts
// a goroutine for each row if it has to, which takes several times as long as the row.
// database/sql still ends a query between two rows when its context ends.
type readConn struct{ *sqlite3.SQLiteConn }

// QueryContext implements [driver.QueryerContext].
func (c readConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return c.SQLiteConn.QueryContext(context.WithoutCancel(ctx), query, args)
}

func (c connector) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }

// dsn names every setting that a promise rests on. _journal_mode=WAL alone would
// set synchronous to NORMAL, which a power cut makes forget commits.
func (c connector) dsn() string {
	q := url.Values{
		"_busy_timeout":    {busyTimeout},
		"_journal_mode":    {"WAL"},
		"_synchronous":     {"FULL"},
		"_foreign_keys":    {"1"},
		"_stmt_cache_size": {"64"},
		"_cache_size":      {"-32000"}, // KiB
		"_mutex":           {"no"},     // database/sql lets one goroutine at a time use a connection
	}
	if c.cfg.synchronous != "" {
		q.Set("_synchronous", c.cfg.synchronous)
	}
	if c.cfg.Shared {
		q.Set("mode", "rw") // and make none
	}
	if c.reads {
		q.Set("_query_only", "1")
		q.Set("_cache_size", "-2000")
	}
	return "file:" + (&url.URL{Path: c.cfg.Path}).EscapedPath() + "?" + q.Encode()
}

func openWriter(ctx context.Context, cfg Config) (_ *writer, err error) {
	w := &writer{
		log:       cfg.Logger,
		now:       cfg.Now,
		db:        sql.OpenDB(connector{cfg: cfg}),
		queue:     make(chan *request, queueLen),
		stop:      make(chan struct{}),
		stopped:   make(chan struct{}),
		pollEvery: cfg.poll,
		walPages:  cfg.checkpoint,
		foreign:   make(chan struct{}, 1),
		hot:       map[string]*stmt{},
		actors:    map[actor]int64{},
	}
	w.db.SetMaxOpenConns(1)
	defer func() {
		if err != nil {
			w.db.Close()
		}
	}()
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return nil, err
	}
	// The connection is pinned and used by one goroutine, so it may be used beneath
	// database/sql as well.
	err = w.conn.Raw(func(c any) error {
		w.raw = c.(*sqlite3.SQLiteConn)
		return nil
	})
	if err == nil {
		err = w.observe()
	}
	if err != nil {
		w.conn.Close()
		return nil, err
	}
	return w, nil
}
