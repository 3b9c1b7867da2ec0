package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Errors about accounts that callers act on.
var (
	// ErrBlocked: the account is blocked; only its own login is told.
	ErrBlocked = errors.New("account is blocked")
	// ErrClosed: nobody new may register.
	ErrClosed = errors.New("registration is closed")
	// ErrTooManyPending is ErrClosed because no more accounts can wait for approval.
	ErrTooManyPending = fmt.Errorf("%w: too many accounts wait for approval", ErrClosed)
	// ErrLastAdmin: the server would be left without an active admin.
	ErrLastAdmin = errors.New("the last admin must stay")
	// ErrApprovalRequired: the account is not active, which an admin must be.
	ErrApprovalRequired = errors.New("account is not approved")
	// ErrInvalid: what was asked for makes no sense; the text says why.
	ErrInvalid = errors.New("invalid")
	// ErrEmail is ErrInvalid: not an e-mail address of at most 254 bytes.
	ErrEmail = fmt.Errorf("%w: email must be an e-mail address of at most %d bytes", ErrInvalid, maxEmail)
	// ErrName is ErrInvalid: not at most 100 characters that can be shown.
	ErrName = fmt.Errorf("%w: name must be at most %d characters, without invisible ones", ErrInvalid, maxName)
)

// Counts are numbers of accounts, and of sessions that have not been swept.
type Counts struct {
	Pending, Active, Blocked int64
	Admins                   int64 // of the active
	Sessions                 int64
}

// AccountID names an account; a UUIDv7.
type AccountID string

// Status is how far an account got.
type Status string

// The states of an account. Only an active one has sessions.
const (
	StatusPending Status = "pending" // logged in once, waits for an admin
	StatusActive  Status = "active"
	StatusBlocked Status = "blocked"
)

// Account is one public key that has logged in or was let in.
type Account struct {
	ID         AccountID
	PublicKey  PublicKey
	Email      string // a hint, never verified
	Name       string
	Status     Status
	Admin      bool
	CreatedAt  time.Time
	LastSeenAt time.Time // of the last login or refresh; zero if never
}

// Account returns an account, or ErrNotFound.
func (s *Service) Account(ctx context.Context, id AccountID) (Account, error) {
	return s.store.Account(ctx, id)
}

// AccountByKey returns the account of a key, or ErrNotFound.
func (s *Service) AccountByKey(ctx context.Context, key PublicKey) (Account, error) {
	return s.store.AccountByKey(ctx, key)
}

// Accounts returns up to limit accounts with an id greater than after, by id,
// which is the order in which they were made. "" starts at the first.
func (s *Service) Accounts(ctx context.Context, after AccountID, limit int) ([]Account, error) {
	return s.store.Accounts(ctx, after, limit)
}

// CountAccounts says how many accounts and sessions there are.
func (s *Service) CountAccounts(ctx context.Context) (Counts, error) {
	return s.store.CountAccounts(ctx)
}

// Approve makes a pending or blocked account active.
func (s *Service) Approve(ctx context.Context, by Actor, id AccountID) (Account, error) {
	return s.changeAccount(ctx, EventApprove, by, id, func(a *Account, _ int) error {
		a.Status = StatusActive
		return nil
	})
}

// Block ends all sessions of an account and lets it start none. A blocked admin
// is an admin no longer. Errors: ErrNotFound, ErrLastAdmin.
func (s *Service) Block(ctx context.Context, by Actor, id AccountID) (Account, error) {
	return s.changeAccount(ctx, EventBlock, by, id, func(a *Account, otherAdmins int) error {
		if a.Admin && otherAdmins == 0 {
			return ErrLastAdmin
		}
		a.Status, a.Admin = StatusBlocked, false
		return nil
	})
}

// Promote makes an active account an admin. Errors: ErrNotFound, ErrApprovalRequired.
func (s *Service) Promote(ctx context.Context, by Actor, id AccountID) (Account, error) {
	return s.changeAccount(ctx, EventPromote, by, id, func(a *Account, _ int) error {
		if a.Status != StatusActive {
			return ErrApprovalRequired
		}
		a.Admin = true
		return nil
	})
}

// Demote makes an admin an ordinary account. Errors: ErrNotFound, ErrLastAdmin.
func (s *Service) Demote(ctx context.Context, by Actor, id AccountID) (Account, error) {
	return s.changeAccount(ctx, EventDemote, by, id, func(a *Account, otherAdmins int) error {
		if a.Admin && otherAdmins == 0 {
			return ErrLastAdmin
		}
		a.Admin = false
		return nil
	})
}

// Profile is what an account says of itself.
type Profile struct {
	Name, Email *string // nil: as it was; "" is none
}

// SetProfile changes what others see of an account. Errors: ErrNotFound, ErrName, ErrEmail.
func (s *Service) SetProfile(ctx context.Context, by Actor, id AccountID, p Profile) (Account, error) {
	if p.Name != nil {
		if err := checkName(*p.Name); err != nil {
			return Account{}, err
		}
	}
	if p.Email != nil {
		if err := checkEmail(*p.Email); err != nil {
			return Account{}, err
		}
	}
	return s.changeAccount(ctx, EventProfile, by, id, func(a *Account, _ int) error {
		if p.Name != nil {
			a.Name = *p.Name
		}
		if p.Email != nil {
			a.Email = *p.Email
		}
		return nil
	})
}

// Delete ends all sessions of an account and forgets it; if its key logs in again
// it is as new. Errors: ErrNotFound, ErrLastAdmin.
func (s *Service) Delete(ctx context.Context, by Actor, id AccountID) error {
	ev := s.event(EventDelete, by)
	ev.Account = id
	err := s.store.DeleteAccount(ctx, id, ev, func(a Account, otherAdmins int) error {
		if a.Admin && otherAdmins == 0 {
			return ErrLastAdmin
		}
		return nil
	})
	return s.settle(Change{Kind: EventDelete, Account: id}, err)
}

// Grant makes a public key (base58) an active admin, with or without an account
// before. It is how the command line makes an admin. Errors: ErrInvalidKey.
func (s *Service) Grant(ctx context.Context, by Actor, publicKey string) (Account, error) {
	key, err := s.good.parse(publicKey)
	if err != nil {
		return Account{}, err
	}
	ev := s.event(EventGrant, by)
	ev.Key = publicKey
	a := s.newAccount(key, "")
	a.Status, a.Admin = StatusActive, true
	ev.Account = a.ID
	added, err := s.store.AddAccount(ctx, a, 0, ev)
	if err == nil && added.ID != a.ID {
		return s.changeAccount(ctx, EventGrant, by, added.ID, func(a *Account, _ int) error {
			a.Status, a.Admin = StatusActive, true
			return nil
		})
	}
	return added, s.settle(Change{Kind: EventGrant, Account: a.ID}, err)
}

func (s *Service) changeAccount(ctx context.Context, kind EventKind, by Actor, id AccountID, change func(*Account, int) error) (Account, error) {
	ev := s.event(kind, by)
	ev.Account = id
	a, err := s.store.ChangeAccount(ctx, id, ev, change)
	return a, s.settle(Change{Kind: kind, Account: id}, err)
}

func (s *Service) newAccount(key PublicKey, email string) Account {
	return Account{
		ID:        AccountID(newID().String()),
		PublicKey: key,
		Email:     email,
		Status:    StatusPending,
		CreatedAt: s.now(),
	}
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

const (
	maxEmail      = 254 // RFC 5321, 4.5.3.1.3
	maxName       = 100 // characters; it is only shown
	maxDeviceName = 100 // the same
)

// checkEmail accepts "" and what may be an e-mail address. It is a hint for
// people, so more than that is not asked.
func checkEmail(s string) error {
	if s == "" {
		return nil
	}
	at := strings.IndexByte(s, '@')
	if at <= 0 || at == len(s)-1 || len(s) > maxEmail || !utf8.ValidString(s) || strings.ContainsFunc(s, notShown) {
		return ErrEmail
	}
	return nil
}

// checkName accepts what looks like what it is: no line breaks, nothing invisible, no spaces around it.
func checkName(s string) error {
	hidden := func(r rune) bool { return r != ' ' && notShown(r) }
	if utf8.RuneCountInString(s) > maxName || !utf8.ValidString(s) || strings.TrimSpace(s) != s || strings.ContainsFunc(s, hidden) {
		return ErrName
	}
	return nil
}

// cleanDeviceName makes what a device calls itself fit to be shown and logged.
func cleanDeviceName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r != ' ' && notShown(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.TrimSpace(s)
	if utf8.RuneCountInString(s) > maxDeviceName {
		s = strings.TrimSpace(string([]rune(s)[:maxDeviceName]))
	}
	return s
}

// notShown reports whether r has no picture of its own: spaces, controls, and
// characters that change how their neighbours look.
func notShown(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }
