package auth

import (
	"context"
	"errors"
	"time"
)

// ErrNotFound: the store has no such account, session or challenge.
var ErrNotFound = errors.New("not found")

// Store is everything auth needs from a store. It is safe for concurrent use.
//
// A method that writes does so in one transaction with the events it is given,
// all or nothing, and has it on disk when it returns nil. A func that a method is
// given runs inside that transaction, perhaps more than once; it must not call
// the store, and an error from it undoes everything and is returned as it is.
// Times come back as they went in, to the millisecond.
type Store interface {
	AccountStore
	SessionStore
	ClaimStore
	SettingStore
	AuditLog
	Sweeper
}

// AccountStore keeps accounts, one for each public key.
type AccountStore interface {
	// Account and AccountByKey return ErrNotFound for one that does not exist.
	Account(ctx context.Context, id AccountID) (Account, error)
	AccountByKey(ctx context.Context, key PublicKey) (Account, error)

	// Accounts returns up to limit accounts with an id greater than after, by id.
	Accounts(ctx context.Context, after AccountID, limit int) ([]Account, error)

	// CountAccounts counts them, and the sessions.
	CountAccounts(ctx context.Context) (Counts, error)

	// AddAccount stores a and returns it. If the key has an account already, that
	// one is returned and nothing is stored. If a is pending and there are
	// maxPending pending accounts already (0: no limit), it is ErrTooManyPending.
	AddAccount(ctx context.Context, a Account, maxPending int, ev Event) (Account, error)

	// ChangeAccount lets change edit Status, Admin, Email and Name of an account, and
	// stores and returns the result. otherAdmins counts the active admins that are not
	// this account. If the account is not active afterwards, its sessions are gone.
	// ErrNotFound if there is no such account.
	ChangeAccount(ctx context.Context, id AccountID, ev Event, change func(a *Account, otherAdmins int) error) (Account, error)

	// DeleteAccount deletes an account and its sessions if allow returns nil.
	// ErrNotFound if there is no such account.
	DeleteAccount(ctx context.Context, id AccountID, ev Event, allow func(a Account, otherAdmins int) error) error
}

// SessionStore keeps sessions. One that expired may be gone or still be there.
type SessionStore interface {
	// AddSession stores a session of an active account and sets the account's
	// LastSeenAt to s.LastSeenAt. ErrNotFound if the account is not there or not
	// active.
	AddSession(ctx context.Context, s Session, ev Event) error

	// Session returns a session and its account, as of one moment, or ErrNotFound.
	Session(ctx context.Context, id SessionID) (Session, Account, error)

	// Sessions returns an account's sessions, the one seen last first.
	Sessions(ctx context.Context, account AccountID) ([]Session, error)

	// ChangeSession lets change edit a session and stores the result with the events
	// that change returns; a session that change marks as Revoked is deleted. The
	// account's LastSeenAt follows the session's. ErrNotFound if there is none.
	ChangeSession(ctx context.Context, id SessionID, change func(s *Session, a Account) ([]Event, error)) error
}

// ClaimStore keeps the hash of the one claim code that makes the first admin.
type ClaimStore interface {
	// OpenClaim stores the hash, in place of any other, unless there is an admin:
	// then it removes any hash and returns ErrClaim.
	OpenClaim(ctx context.Context, hash Hash) error

	// Claim makes a the first admin and active, adding the account if its key has
	// none, removes the hash, and returns the account. ErrClaim, and nothing is
	// changed, if hash is not the stored one, there is an admin, or the account is
	// blocked.
	Claim(ctx context.Context, hash Hash, a Account, ev Event) (Account, error)
}

// SettingStore keeps settings that an administrator may change, as text.
type SettingStore interface {
	// Setting returns a setting, or "" if it was never set.
	Setting(ctx context.Context, name string) (string, error)
	// PutSetting stores a setting.
	PutSetting(ctx context.Context, name, value string, ev Event) error
}

// AuditLog keeps what happened. Nothing in it is ever changed.
type AuditLog interface {
	// Record stores events that belong to no other write.
	Record(ctx context.Context, evs ...Event) error
	// Events returns up to limit events, the latest first, from before the event with
	// ID before; 0 starts at the latest.
	Events(ctx context.Context, before int64, limit int) ([]Event, error)
}

// Sweeper removes what has had its time.
type Sweeper interface {
	// Sweep removes sessions that expired at or before now, events from before
	// auditFrom, and all but the maxSessions sessions of an account that
	// were seen last (0: no limit). It returns the sessions it removed.
	Sweep(ctx context.Context, now, auditFrom time.Time, maxSessions int) ([]SessionID, error)
}

// ChallengeStore keeps the challenges that are open, for two minutes. It is safe
// for concurrent use. MemoryChallenges is one; servers that share their accounts
// need one that they share.
type ChallengeStore interface {
	// AddChallenge stores c and then keeps to the limits: of the challenges of the
	// same key, of the same From, and of all, those open at c.Issued and issued
	// first give way until no more than the limit are open. A limit of 0 is none.
	AddChallenge(ctx context.Context, c Challenge, limits ChallengeLimits) error

	// SpendChallenge removes the challenge with this hash and key and returns it.
	// Of many calls one succeeds; ErrNotFound for the others, and for a challenge
	// that had expired at now. A call with another key does not touch it.
	SpendChallenge(ctx context.Context, hash Hash, key PublicKey, now time.Time) (Challenge, error)
}
