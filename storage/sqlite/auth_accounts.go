package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/heapsync/heapsync/auth"
)

const (
	accountColumns = `accounts.id, accounts.public_key, accounts.email, accounts.name,
	accounts.status, accounts.is_admin, accounts.created_at, accounts.last_seen_at`
	accountCols = 8
)

func (c *columns) account() auth.Account {
	return auth.Account{
		ID: auth.AccountID(c.text()), PublicKey: c.bytes32(), Email: c.text(), Name: c.text(),
		Status: auth.Status(c.text()), Admin: c.bool(), CreatedAt: c.time(), LastSeenAt: c.time(),
	}
}

// readAccount makes an account of a row, which is nil if there is none.
func readAccount(row []driver.Value, err error) (auth.Account, error) {
	if err != nil {
		return auth.Account{}, err
	}
	if row == nil {
		return auth.Account{}, auth.ErrNotFound
	}
	c := columns{row: row}
	a := c.account()
	return a, c.err
}

func (t *tx) account(id auth.AccountID) (auth.Account, error) {
	return readAccount(t.row(`SELECT `+accountColumns+` FROM accounts WHERE id = ?`, accountCols, string(id)))
}

func (t *tx) accountByKey(key auth.PublicKey) (auth.Account, error) {
	return readAccount(t.row(`SELECT `+accountColumns+` FROM accounts WHERE public_key = ?`, accountCols, key[:]))
}

// number returns the one number that query selects.
func (t *tx) number(query string, args ...driver.Value) (int64, error) {
	row, err := t.row(query, 1, args...)
	if err != nil {
		return 0, err
	}
	c := columns{row: row}
	return c.int(), c.err
}

// Account implements [auth.AccountStore].
func (s *Store) Account(ctx context.Context, id auth.AccountID) (auth.Account, error) {
	return readAccount(s.authRow(ctx, `SELECT `+accountColumns+` FROM accounts WHERE id = ?`, accountCols, string(id)))
}

// AccountByKey implements [auth.AccountStore].
func (s *Store) AccountByKey(ctx context.Context, key auth.PublicKey) (auth.Account, error) {
	return readAccount(s.authRow(ctx, `SELECT `+accountColumns+` FROM accounts WHERE public_key = ?`, accountCols, key[:]))
}

// Accounts implements [auth.AccountStore].
func (s *Store) Accounts(ctx context.Context, after auth.AccountID, limit int) ([]auth.Account, error) {
	var out []auth.Account
	err := s.authRows(ctx, `SELECT `+accountColumns+` FROM accounts WHERE id > ? ORDER BY id LIMIT ?`, accountCols,
		func(c columns) error {
			out = append(out, c.account())
			return c.err
		}, string(after), limit)
	return out, err
}

// CountAccounts implements [auth.AccountStore].
func (s *Store) CountAccounts(ctx context.Context) (auth.Counts, error) {
	row, err := s.authRow(ctx, `SELECT count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'active'),
		count(*) FILTER (WHERE status = 'blocked'), count(*) FILTER (WHERE status = 'active' AND is_admin = 1),
		(SELECT count(*) FROM sessions) FROM accounts`, 5)
	if err != nil {
		return auth.Counts{}, err
	}
	c := columns{row: row}
	out := auth.Counts{Pending: c.int(), Active: c.int(), Blocked: c.int(), Admins: c.int(), Sessions: c.int()}
	return out, c.err
}

// AddAccount implements [auth.AccountStore].
func (s *Store) AddAccount(ctx context.Context, a auth.Account, maxPending int, ev auth.Event) (auth.Account, error) {
	err := s.write(ctx, func(t *tx) error {
		old, err := t.accountByKey(a.PublicKey)
		if err == nil {
			a = old
			return nil
		}
		if !errors.Is(err, auth.ErrNotFound) {
			return err
		}
		if a.Status == auth.StatusPending && maxPending > 0 {
			n, err := t.number(`SELECT count(*) FROM accounts WHERE status = 'pending'`)
			if err != nil {
				return err
			}
			if n >= int64(maxPending) {
				return auth.ErrTooManyPending
			}
		}
		if err := t.insertAccount(a); err != nil {
			return err
		}
		return t.record(ev)
	})
	return a, err
}

func (t *tx) insertAccount(a auth.Account) error {
	return t.run(`INSERT INTO accounts (id, public_key, email, name, status, is_admin, created_at, last_seen_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, string(a.ID), a.PublicKey[:], a.Email, a.Name,
		string(a.Status), number(a.Admin), millis(a.CreatedAt), millis(a.LastSeenAt))
}

func (t *tx) updateAccount(a auth.Account) error {
	return t.run(`UPDATE accounts SET email = ?, name = ?, status = ?, is_admin = ? WHERE id = ?`,
		a.Email, a.Name, string(a.Status), number(a.Admin), string(a.ID))
}

// otherAdmins counts the active admins but for one account.
func (t *tx) otherAdmins(id auth.AccountID) (int, error) {
	n, err := t.number(`SELECT count(*) FROM accounts WHERE is_admin = 1 AND status = 'active' AND id <> ?`, string(id))
	return int(n), err
}

// ChangeAccount implements [auth.AccountStore].
func (s *Store) ChangeAccount(ctx context.Context, id auth.AccountID, ev auth.Event, change func(*auth.Account, int) error) (auth.Account, error) {
	var a auth.Account
	err := s.write(ctx, func(t *tx) error {
		var err error
		if a, err = t.account(id); err != nil {
			return err
		}
		others, err := t.otherAdmins(id)
		if err != nil {
			return err
		}
		if err := change(&a, others); err != nil {
			return err
		}
		if err := t.updateAccount(a); err != nil {
			return err
		}
		if a.Status != auth.StatusActive {
			if err := t.endSessions(id); err != nil {
				return err
			}
		}
		return t.record(ev)
	})
	if err != nil {
		return auth.Account{}, err
	}
	return a, nil
}

func (t *tx) endSessions(id auth.AccountID) error {
	return t.run(`DELETE FROM sessions WHERE account = ?`, string(id))
}

// DeleteAccount implements [auth.AccountStore].
func (s *Store) DeleteAccount(ctx context.Context, id auth.AccountID, ev auth.Event, allow func(auth.Account, int) error) error {
	return s.write(ctx, func(t *tx) error {
		a, err := t.account(id)
		if err != nil {
			return err
		}
		others, err := t.otherAdmins(id)
		if err != nil {
			return err
		}
		if err := allow(a, others); err != nil {
			return err
		}
		if err := t.endSessions(id); err != nil {
			return err
		}
		if err := t.run(`DELETE FROM accounts WHERE id = ?`, string(id)); err != nil {
			return err
		}
		return t.record(ev)
	})
}

// OpenClaim implements [auth.ClaimStore].
func (s *Store) OpenClaim(ctx context.Context, hash auth.Hash) error {
	taken := false
	err := s.write(ctx, func(t *tx) error {
		admins, err := t.otherAdmins("")
		if err != nil {
			return err
		}
		if taken = admins > 0; taken {
			return t.run(`DELETE FROM claim`)
		}
		return t.run(`INSERT INTO claim (id, hash) VALUES (1, ?)
			ON CONFLICT (id) DO UPDATE SET hash = excluded.hash`, hash[:])
	})
	if err == nil && taken {
		return auth.ErrClaim
	}
	return err
}

// Claim implements [auth.ClaimStore].
func (s *Store) Claim(ctx context.Context, hash auth.Hash, a auth.Account, ev auth.Event) (auth.Account, error) {
	err := s.write(ctx, func(t *tx) error {
		admins, err := t.otherAdmins("")
		if err != nil {
			return err
		}
		open, err := t.number(`SELECT count(*) FROM claim WHERE hash = ?`, hash[:])
		if err != nil {
			return err
		}
		if admins > 0 || open == 0 {
			return auth.ErrClaim
		}
		old, err := t.accountByKey(a.PublicKey)
		switch {
		case errors.Is(err, auth.ErrNotFound):
			err = t.insertAccount(a)
		case err == nil && old.Status == auth.StatusBlocked:
			err = auth.ErrClaim
		default:
			a = old
		}
		if err != nil {
			return err
		}
		a.Status, a.Admin = auth.StatusActive, true
		if err := t.updateAccount(a); err != nil {
			return err
		}
		if err := t.run(`DELETE FROM claim`); err != nil {
			return err
		}
		ev.Actor, ev.Account = a.ID, a.ID
		return t.record(ev)
	})
	return a, err
}
