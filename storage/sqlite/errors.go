package sqlite

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/mattn/go-sqlite3"

	"github.com/heapsync/heapsync/blocks"
)

// writeError puts what went wrong on the writing connection into the domain's
// words. An error that is not SQLite's, and a broken constraint, stay as they are.
func writeError(err error) error {
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return err
	}
	switch e.Code {
	case sqlite3.ErrConstraint:
		return err
	case sqlite3.ErrFull:
		return fmt.Errorf("%w: %w", blocks.ErrFull, err)
	case sqlite3.ErrIoErr:
		if noRoom(e) {
			return fmt.Errorf("%w: %w", blocks.ErrFull, err)
		}
		return fmt.Errorf("%w: %w", blocks.ErrFailed, err)
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
		return fmt.Errorf("%w: %w", blocks.ErrFailed, err)
	}
	return fmt.Errorf("%w: %w", blocks.ErrUnavailable, err)
}

// noRoom tells whether an I/O error only means that there is no room. A sync that
// failed is never that: what it was to sync may be lost.
func noRoom(e sqlite3.Error) bool {
	if e.ExtendedCode == sqlite3.ErrIoErrFsync || e.ExtendedCode == sqlite3.ErrIoErrDirFsync {
		return false
	}
	return e.SystemErrno == syscall.ENOSPC || e.SystemErrno == syscall.EDQUOT
}

// readError is writeError for a connection that reads.
func readError(err error) error {
	e, ok := errors.AsType[sqlite3.Error](err)
	if ok && (e.Code == sqlite3.ErrCorrupt || e.Code == sqlite3.ErrNotADB) {
		return fmt.Errorf("%w: %w", blocks.ErrCorrupt, err)
	}
	return err
}

func isUnique(err error) bool {
	e, ok := errors.AsType[sqlite3.Error](err)
	return ok && (e.ExtendedCode == sqlite3.ErrConstraintUnique || e.ExtendedCode == sqlite3.ErrConstraintPrimaryKey)
}
