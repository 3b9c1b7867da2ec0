package sqlite

import (
	"context"
	"database/sql/driver"

	"github.com/heapsync/heapsync/auth"
)

const (
	sessionColumns = `sessions.id, sessions.account, sessions.device_name, sessions.ip,
	sessions.created_at, sessions.last_seen_at, sessions.generation,
	sessions.access, sessions.access_expires, sessions.refresh, sessions.refresh_expires,
	sessions.last_access, sessions.last_access_expires, sessions.last_refresh,
	sessions.rotated_at, sessions.pair_used`
	sessionCols = 16
	// withAccount reads a session and its account together.
	withAccount = `SELECT ` + sessionColumns + `, ` + accountColumns + `
	FROM sessions JOIN accounts ON accounts.id = sessions.account WHERE sessions.id = ?`
)

func (c *columns) session() auth.Session {
	return auth.Session{
		ID: auth.SessionID(c.text()), Account: auth.AccountID(c.text()), DeviceName: c.text(), IP: c.ip(),
		CreatedAt: c.time(), LastSeenAt: c.time(), Generation: uint32(c.int()),
		Access: c.bytes32(), AccessExpires: c.time(), Refresh: c.bytes32(), RefreshExpires: c.time(),
		LastAccess: c.bytes32(), LastAccessExpires: c.time(), LastRefresh: c.bytes32(),
		RotatedAt: c.time(), PairUsed: c.bool(),
	}
}

// readSession takes a row of withAccount apart; it is nil if there is none.
func readSession(row []driver.Value, err error) (auth.Session, auth.Account, error) {
	if err != nil {
		return auth.Session{}, auth.Account{}, err
	}
	if row == nil {
		return auth.Session{}, auth.Account{}, auth.ErrNotFound
	}
	c := columns{row: row}
	ses, a := c.session(), c.account()
	return ses, a, c.err
}

// AddSession implements [auth.SessionStore].
func (s *Store) AddSession(ctx context.Context, ses auth.Session, ev auth.Event) error {
	return s.write(ctx, func(t *tx) error {
		row, err := t.row(`UPDATE accounts SET last_seen_at = ? WHERE id = ? AND status = 'active' RETURNING 1`, 1,
			millis(ses.LastSeenAt), string(ses.Account))
		if err != nil {
			return err
		}
		if row == nil {
			return auth.ErrNotFound
		}
		err = t.run(`INSERT INTO sessions (id, account, device_name, ip, created_at, last_seen_at, generation,
			access, access_expires, refresh, refresh_expires,
			last_access, last_access_expires, last_refresh, rotated_at, pair_used)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, sessionValues(&ses)...)
		if err != nil {
			return err
		}
		return t.record(ev)
	})
}

// sessionValues are the values of sessionColumns.
func sessionValues(s *auth.Session) []driver.Value {
	return []driver.Value{
		string(s.ID), string(s.Account), s.DeviceName, addrText(s.IP), millis(s.CreatedAt), millis(s.LastSeenAt), int64(s.Generation),
		s.Access[:], millis(s.AccessExpires), s.Refresh[:], millis(s.RefreshExpires),
		s.LastAccess[:], millis(s.LastAccessExpires), s.LastRefresh[:], millis(s.RotatedAt), number(s.PairUsed),
	}
}

// Session implements [auth.SessionStore].
func (s *Store) Session(ctx context.Context, id auth.SessionID) (auth.Session, auth.Account, error) {
	return readSession(s.authRow(ctx, withAccount, sessionCols+accountCols, string(id)))
}

// Sessions implements [auth.SessionStore].
func (s *Store) Sessions(ctx context.Context, account auth.AccountID) ([]auth.Session, error) {
	var out []auth.Session
	err := s.authRows(ctx, `SELECT `+sessionColumns+` FROM sessions WHERE account = ?
		ORDER BY last_seen_at DESC, id DESC`, sessionCols, func(c columns) error {
		out = append(out, c.session())
		return c.err
	}, string(account))
	return out, err
}

// ChangeSession implements [auth.SessionStore].
func (s *Store) ChangeSession(ctx context.Context, id auth.SessionID, change func(*auth.Session, auth.Account) ([]auth.Event, error)) error {
	return s.write(ctx, func(t *tx) error {
		before, a, err := readSession(t.row(withAccount, sessionCols+accountCols, string(id)))
		if err != nil {
			return err
		}
		after := before
		evs, err := change(&after, a)
		if err != nil {
			return err
		}
		switch {
		case after.Revoked:
			err = t.run(`DELETE FROM sessions WHERE id = ?`, string(id))
		case after != before:
			err = t.run(`UPDATE sessions SET (id, account, device_name, ip, created_at, last_seen_at, generation,
				access, access_expires, refresh, refresh_expires,
				last_access, last_access_expires, last_refresh, rotated_at, pair_used) =
				(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?`,
				append(sessionValues(&after), string(id))...)
		}
		if err == nil && after.LastSeenAt.After(a.LastSeenAt) {
			err = t.run(`UPDATE accounts SET last_seen_at = ? WHERE id = ?`, millis(after.LastSeenAt), string(a.ID))
		}
		if err != nil {
			return err
		}
		return t.record(evs...)
	})
}
