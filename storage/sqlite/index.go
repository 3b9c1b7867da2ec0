package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/mattn/go-sqlite3"

	"github.com/heapsync/heapsync/blocks"
)

//go:embed index.sql
var indexSchema string

// indexVersion is that of indexSchema.
const indexVersion = 5

// IndexConfig says how to open an index.
type IndexConfig struct {
	Path    string // of its file
	Readers int    // connections that read; 0 means 4
	Logger  *slog.Logger
}

// Index implements [blocks.Index] in a database of its own, so that no append waits for
// it, and a fault of it is no fault of the log. A power cut may undo its last
// transactions, whole: they are made again.
type Index struct {
	cfg IndexConfig

	// mu is held to read while the pools are used, to write while they are replaced.
	mu      sync.RWMutex
	writer  *sql.DB
	readers *sql.DB
}

var _ blocks.Index = (*Index)(nil)

// OpenIndex opens the index, or makes it. One that is damaged, or was made by another
// version of the program, is made anew, empty.
func OpenIndex(ctx context.Context, cfg IndexConfig) (*Index, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Readers <= 0 {
		cfg.Readers = 4
	}
	x := &Index{cfg: cfg}
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	err := x.open(ctx)
	if errors.Is(err, errStaleIndex) || errors.Is(readError(err), blocks.ErrCorrupt) {
		cfg.Logger.Warn("index is made anew", "err", err)
		err = x.Reset(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("open index %s: %w", cfg.Path, err)
	}
	return x, nil
}

var errStaleIndex = errors.New("index is of another version of heapsync")

// open opens the pools, and fills a file that is empty.
func (x *Index) open(ctx context.Context) (err error) {
	w := sql.OpenDB(indexConnector{path: x.cfg.Path})
	w.SetMaxOpenConns(1)
	defer func() {
		if err != nil {
			w.Close()
		}
	}()
	var version, tables int
	err = w.QueryRowContext(ctx, `SELECT (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)`).Scan(&version, &tables)
	switch {
	case err != nil:
		return err
	case version == 0 && tables == 0:
		if err := createIndex(ctx, w); err != nil {
			return err
		}
	case version != indexVersion:
		return fmt.Errorf("%w: it has version %d", errStaleIndex, version)
	}
	if _, err := w.ExecContext(ctx, `SELECT through FROM progress`); err != nil {
		return err
	}
	x.writer = w
	x.readers = sql.OpenDB(indexConnector{path: x.cfg.Path, reads: true})
	x.readers.SetMaxOpenConns(x.cfg.Readers)
	x.readers.SetMaxIdleConns(x.cfg.Readers)
	return nil
}

func createIndex(ctx context.Context, w *sql.DB) error {
	t, err := w.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer t.Rollback() // if it is not committed
	if _, err := t.ExecContext(ctx, indexSchema+fmt.Sprintf("; PRAGMA user_version = %d", indexVersion)); err != nil {
		return err
	}
	return t.Commit()
}

// Close closes the index.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.closePools()
}

func (x *Index) closePools() error {
	if x.writer == nil {
		return nil
	}
	err := errors.Join(x.readers.Close(), x.writer.Close())
	x.readers, x.writer = nil, nil
	return err
}

// Reset implements [blocks.IndexWriter].
func (x *Index) Reset(ctx context.Context) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	_ = x.closePools() // what is in the way of closing goes with the file
	if err := removeIndex(x.cfg.Path); err != nil {
		return err
	}
	return x.open(ctx)
}

// DropIndex removes an index, for a server to make it anew. ErrLocked: a server is using
// it now.
func DropIndex(path string) error {
	held, err := lock(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("drop index: %w", err)
	}
	defer held.Close()
	return removeIndex(path)
}

// removeIndex removes the files of an index that is not open.
func removeIndex(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove index: %w", err)
		}
	}
	return nil
}

// read runs fn in a read transaction: all that fn reads is of one moment.
func (x *Index) read(ctx context.Context, fn func(r *connTx) error) error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.readers == nil {
		return errClosed
	}
	r, err := begin(ctx, x.readers, "BEGIN")
	if err != nil {
		return readError(err)
	}
	r.watch = true     // a search may take long
	defer r.rollback() // it wrote nothing
	return readError(fn(r))
}

// write runs fn in a write transaction.
func (x *Index) write(ctx context.Context, fn func(t *connTx) error) error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.writer == nil {
		return errClosed
	}
	t, err := begin(ctx, x.writer, "BEGIN IMMEDIATE")
	if err != nil {
		return readError(err)
	}
	defer t.rollback() // if it is not committed
	if err := fn(t); err != nil {
		return readError(err)
	}
	return readError(t.commit())
}

// indexConnector opens connections to an index.
type indexConnector struct {
	path  string
	reads bool
}

func (c indexConnector) Connect(context.Context) (driver.Conn, error) {
	d := sqlite3.SQLiteDriver{ConnectHook: func(conn *sqlite3.SQLiteConn) error {
		_, err := conn.Exec("PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = 2", nil)
		return err
	}}
	q := url.Values{
		"_busy_timeout":    {busyTimeout},
		"_journal_mode":    {"WAL"},
		"_synchronous":     {"NORMAL"}, // what a power cut takes is read again
		"_stmt_cache_size": {"64"},
		"_cache_size":      {"-16000"}, // KiB
		"_txlock":          {"immediate"},
		"_mutex":           {"no"}, // database/sql lets one goroutine at a time use a connection
	}
	if c.reads {
		q.Set("_query_only", "1")
		q.Set("_txlock", "deferred")
		q.Set("_cache_size", "-4000")
	}
	return d.Open("file:" + (&url.URL{Path: c.path}).EscapedPath() + "?" + q.Encode())
}

func (c indexConnector) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }
