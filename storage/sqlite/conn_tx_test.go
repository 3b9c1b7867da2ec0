package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
)

// However a transaction ends, its connection is as good as new.
func TestTransactionsLeaveNothingBehind(t *testing.T) {
	x, err := OpenIndex(t.Context(), IndexConfig{Path: filepath.Join(t.TempDir(), "index.db"), Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	set := func(to int, fail error) error {
		return x.write(t.Context(), func(w *connTx) error {
			if _, err := w.ExecContext(t.Context(), `UPDATE progress SET through = ?`, to); err != nil {
				return err
			}
			return fail
		})
	}
	want := func(to int) {
		t.Helper()
		if p, err := x.Progress(t.Context()); err != nil || int(p.Through) != to {
			t.Errorf("%+v, %v, want %d", p, err, to)
		}
	}
	failed := errors.New("on purpose")
	for i := range 3 {
		if err := set(i+1, nil); err != nil {
			t.Fatal(err)
		}
		want(i + 1)
		if err := set(100, failed); err != failed {
			t.Errorf("error %v, want what fn said", err)
		}
		want(i + 1)
	}
	gone, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 3 { // there is one connection
		err := x.read(gone, func(r *connTx) error {
			cancel()
			rows, err := r.QueryContext(gone, `SELECT through FROM progress`)
			if err == nil {
				rows.Close()
			}
			return err
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("read after its context: %v", err)
		}
		want(3)
	}
	// A transaction that the database has ended on its own.
	err = x.write(t.Context(), func(w *connTx) error {
		if _, err := w.ExecContext(t.Context(), `ROLLBACK`); err != nil {
			return err
		}
		return failed
	})
	if err != failed {
		t.Error(err)
	}
	if err := set(7, nil); err != nil {
		t.Error(err)
	}
	want(7)
}
