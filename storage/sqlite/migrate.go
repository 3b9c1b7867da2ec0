package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3" // numbered migrations, each in a transaction
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrSchema: the database was written by a newer version of the program, or, when
// it is opened shared, has still to be migrated by a server.
var ErrSchema = errors.New("database schema does not fit this version of heapsync")

// migrate brings the schema up to date, forward only. A database that has content
// is copied first, to a file beside it. A shared one is only looked at.
func migrate(ctx context.Context, cfg Config) error {
	db := sql.OpenDB(connector{cfg: cfg})
	defer db.Close()
	db.SetMaxOpenConns(1)
	have, err := schemaVersion(ctx, db)
	if err != nil {
		return err
	}
	want, err := wantedVersion()
	if err != nil {
		return err
	}
	switch {
	case have == want:
		return nil
	case have > want:
		return fmt.Errorf("%w: it has version %d, this program knows %d: run a newer one", ErrSchema, have, want)
	case cfg.Shared:
		return fmt.Errorf("%w: it has version %d, this program needs %d: start the server once", ErrSchema, have, want)
	}
	if have > 0 {
		name := fmt.Sprintf("%s.before-%d-%s", cfg.Path, want, cfg.Now().UTC().Format("20060102T150405"))
		if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, name); err != nil {
			return fmt.Errorf("copy the database before migrating it: %w", err)
		}
		cfg.Logger.Info("copied the database before migrating it", "file", name)
	}
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	start := time.Now()
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate from %d to %d: %w", have, want, err)
	}
	cfg.Logger.Info("migrated the database", "from", have, "to", want, "took", time.Since(start))
	return foreignKeys(ctx, db)
}

// wantedVersion is the number of the last migration.
func wantedVersion() (int64, error) {
	files, err := migrations.ReadDir("migrations") // sorted
	if err != nil {
		return 0, err
	}
	return goose.NumericComponent(files[len(files)-1].Name())
}

// schemaVersion returns 0 for a database without tables.
func schemaVersion(ctx context.Context, db *sql.DB) (int64, error) {
	var tables, version int64
	err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'goose_db_version'`).Scan(&tables)
	if err != nil || tables == 0 {
		return 0, err
	}
	err = db.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	return version, err
}

// foreignKeys reads foreign_key_check, which never fails: it returns rows.
func foreignKeys(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, `SELECT "table", count(*) FROM pragma_foreign_key_check GROUP BY 1`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var broken error
	for rows.Next() {
		var table string
		var n int64
		if err := rows.Scan(&table, &n); err != nil {
			return err
		}
		broken = errors.Join(broken, fmt.Errorf("%d rows of %s refer to nothing", n, table))
	}
	return errors.Join(broken, rows.Err())
}
