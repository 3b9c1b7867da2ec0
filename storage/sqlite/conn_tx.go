package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
)

// A connTx is a transaction on a connection of its own. It is there because a sql.Tx starts a
// goroutine for itself and one for each query, which together take longer than the queries
// of a block.
type connTx struct {
	conn *sql.Conn
	// watch has queries end when their context does, not only before they begin. What
	// cannot take long does without.
	watch bool
	done  bool
}

// begin takes a connection and begins a transaction by the statement.
func begin(ctx context.Context, db *sql.DB, statement string) (*connTx, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	t := &connTx{conn: conn}
	if _, err := t.ExecContext(ctx, statement); err != nil {
		conn.Close()
		return nil, err
	}
	return t, nil
}

func (t *connTx) context(ctx context.Context) context.Context {
	if t.watch || ctx.Err() != nil {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

func (t *connTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return t.conn.ExecContext(t.context(ctx), query, args...)
}

func (t *connTx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.conn.QueryContext(t.context(ctx), query, args...)
}

func (t *connTx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return t.conn.QueryRowContext(t.context(ctx), query, args...)
}

func (t *connTx) commit() error {
	if _, err := t.conn.ExecContext(context.Background(), "COMMIT"); err != nil {
		return err // what was begun is rolled back
	}
	t.done = true
	return t.conn.Close()
}

// rollback ends the transaction, unless it is committed.
func (t *connTx) rollback() {
	if t.done {
		return
	}
	t.done = true
	if _, err := t.conn.ExecContext(context.Background(), "ROLLBACK"); err != nil {
		// A full disk or the like has ended it already, or the connection is of no use.
		_ = t.conn.Raw(func(any) error { return driver.ErrBadConn }) // says that it did
	}
	t.conn.Close()
}
