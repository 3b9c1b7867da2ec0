package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
)

var _ auth.Store = (*Store)(nil)

// row runs query on the hot path and returns its first row, nil if it has none,
// valid until the next call. It returns at most cols columns.
func (t *tx) row(query string, cols int, args ...driver.Value) ([]driver.Value, error) {
	row, err := t.w.hotRow(query, cols, args...)
	return row, t.check(err)
}

// run is row for a statement that returns nothing.
func (t *tx) run(query string, args ...driver.Value) error {
	_, err := t.row(query, 0, args...)
	return err
}

// authRow reads one row on a connection that reads.
func (s *Store) authRow(ctx context.Context, query string, cols int, args ...any) ([]driver.Value, error) {
	row, dest := scanRow(cols)
	err := s.readers.QueryRowContext(ctx, query, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, auth.ErrNotFound
	}
	return row, readError(err)
}

// scanRow returns a row and where to scan its columns.
func scanRow(cols int) (row []driver.Value, dest []any) {
	row, dest = make([]driver.Value, cols), make([]any, cols)
	for i := range row {
		dest[i] = &row[i]
	}
	return row, dest
}

// authRows calls each for every row that query returns.
func (s *Store) authRows(ctx context.Context, query string, cols int, each func(columns) error, args ...any) error {
	rows, err := s.readers.QueryContext(ctx, query, args...)
	if err != nil {
		return readError(err)
	}
	defer rows.Close()
	row, dest := scanRow(cols)
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return readError(err)
		}
		if err := each(columns{row: row}); err != nil {
			return err
		}
	}
	return readError(rows.Err())
}

// columns takes a row apart, left to right. The first column that does not hold
// what it should is err.
type columns struct {
	row []driver.Value
	err error
}

func column[T any](c *columns) (v T) {
	if len(c.row) == 0 {
		c.fault("too few columns")
		return v
	}
	v, ok := c.row[0].(T)
	if !ok {
		c.fault(fmt.Sprintf("%T where %T belongs", c.row[0], v))
	}
	c.row = c.row[1:]
	return v
}

func (c *columns) fault(what string) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: %s", blocks.ErrCorrupt, what)
	}
}

func (c *columns) text() string { return column[string](c) }
func (c *columns) int() int64   { return column[int64](c) }
func (c *columns) bool() bool   { return c.int() != 0 }

func (c *columns) time() time.Time {
	if ms := c.int(); ms != 0 {
		return time.UnixMilli(ms).UTC()
	}
	return time.Time{}
}

func (c *columns) bytes32() (out [32]byte) {
	if b := column[[]byte](c); len(b) == len(out) {
		return [32]byte(b)
	}
	c.fault("not 32 bytes")
	return out
}

func (c *columns) ip() netip.Addr {
	s := c.text()
	if s == "" {
		return netip.Addr{}
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		c.fault("not an address")
	}
	return ip
}

// millis is a time in the database; the zero time is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func addrText(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	return ip.String()
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Setting implements [auth.SettingStore].
func (s *Store) Setting(ctx context.Context, name string) (string, error) {
	row, err := s.authRow(ctx, `SELECT value FROM settings WHERE name = ?`, 1, name)
	if errors.Is(err, auth.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	c := columns{row: row}
	return c.text(), c.err
}

// PutSetting implements [auth.SettingStore].
func (s *Store) PutSetting(ctx context.Context, name, value string, ev auth.Event) error {
	return s.write(ctx, func(t *tx) error {
		err := t.run(`INSERT INTO settings (name, value) VALUES (?, ?)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
		if err != nil {
			return err
		}
		return t.record(ev)
	})
}

// Record implements [auth.AuditLog].
func (s *Store) Record(ctx context.Context, evs ...auth.Event) error {
	return s.write(ctx, func(t *tx) error { return t.record(evs...) })
}

func (t *tx) record(evs ...auth.Event) error {
	for _, ev := range evs {
		err := t.run(`INSERT INTO audit (at, kind, actor, account, public_key, session, ip, detail)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, millis(ev.At), string(ev.Kind), string(ev.Actor),
			string(ev.Account), ev.Key, string(ev.Session), addrText(ev.IP), ev.Detail)
		if err != nil {
			return fmt.Errorf("record %s: %w", ev.Kind, err)
		}
	}
	return nil
}

// Events implements [auth.AuditLog].
func (s *Store) Events(ctx context.Context, before int64, limit int) ([]auth.Event, error) {
	var out []auth.Event
	err := s.authRows(ctx, `SELECT id, at, kind, actor, account, public_key, session, ip, detail FROM audit
		WHERE id < ?1 OR ?1 = 0 ORDER BY id DESC LIMIT ?2`, 9, func(c columns) error {
		out = append(out, auth.Event{
			ID: c.int(), At: c.time(), Kind: auth.EventKind(c.text()), Actor: auth.AccountID(c.text()),
			Account: auth.AccountID(c.text()), Key: c.text(), Session: auth.SessionID(c.text()), IP: c.ip(), Detail: c.text(),
		})
		return c.err
	}, before, limit)
	return out, err
}
