package sqlite

import (
	"context"
	"database/sql/driver"
	"io"

	"github.com/mattn/go-sqlite3"
)

// stmt is a statement of the hot path, used without database/sql. It runs as a
// query even when it returns nothing: the driver then binds, steps and reads the
// first row in a single call into C, where Exec needs one for each argument.
type stmt struct {
	s    *sqlite3.SQLiteStmt
	args []driver.NamedValue
	row  []driver.Value
}

// hotStmt prepares query once. It returns at most cols columns.
func (w *writer) hotStmt(query string, cols int) (*stmt, error) {
	if s, ok := w.hot[query]; ok {
		return s, nil
	}
	p, err := w.raw.Prepare(query)
	if err != nil {
		return nil, err
	}
	s := &stmt{s: p.(*sqlite3.SQLiteStmt), row: make([]driver.Value, cols)}
	s.args = make([]driver.NamedValue, s.s.NumInput())
	for i := range s.args {
		s.args[i].Ordinal = i + 1
	}
	w.hot[query] = s
	return s, nil
}

// set sets argument i, from 0: an int64, a string, a []byte or nil.
func (s *stmt) set(i int, v driver.Value) { s.args[i].Value = v }

// run runs s to its end and returns its first row, valid until the next run, or
// nil if there is none.
func (s *stmt) run() ([]driver.Value, error) {
	rows, err := s.s.QueryContext(context.Background(), s.args)
	if err != nil {
		return nil, err
	}
	row := s.row
	err = rows.Next(row)
	if err == io.EOF {
		row, err = nil, nil
	}
	if cerr := rows.Close(); err == nil {
		err = cerr
	}
	return row, err
}

func (s *stmt) close() { s.s.Close() }

// hotRow runs query and returns its first row, nil if it has none.
func (w *writer) hotRow(query string, cols int, args ...driver.Value) ([]driver.Value, error) {
	s, err := w.hotStmt(query, cols)
	if err != nil {
		return nil, err
	}
	for i, a := range args {
		s.set(i, a)
	}
	return s.run()
}

func (w *writer) hotExec(query string, args ...driver.Value) error {
	_, err := w.hotRow(query, 0, args...)
	return err
}
