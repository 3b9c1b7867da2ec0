package auth

import (
	"context"
	"net/netip"
	"time"
)

// EventKind says what happened.
type EventKind string

// The kinds of events that auth records. Others may record more.
const (
	EventLogin        EventKind = "login"         // a session began
	EventLoginPending EventKind = "login_pending" // a good signature, but nobody approved the account yet
	EventLoginFailed  EventKind = "login_failed"  // Detail says why
	EventAccount      EventKind = "account"       // a key's first login made an account
	EventClaim        EventKind = "claim"         // the claim code was used
	EventClaimFailed  EventKind = "claim_failed"
	EventLogout       EventKind = "logout"
	EventRevoke       EventKind = "revoke"        // a session, by its account or an admin
	EventRefreshReuse EventKind = "refresh_reuse" // a spent refresh token; the session is revoked
	EventApprove      EventKind = "approve"
	EventBlock        EventKind = "block"
	EventPromote      EventKind = "promote"
	EventDemote       EventKind = "demote"
	EventDelete       EventKind = "delete"  // of an account
	EventGrant        EventKind = "grant"   // a public key was made an admin
	EventProfile      EventKind = "profile" // an account's name or e-mail address
	EventSetting      EventKind = "setting"
)

// Event is one line of the audit log: who did what to whom, when, and from where.
// It never holds a token, a challenge or a claim code.
type Event struct {
	ID      int64 // the log's, increasing; 0 before it is stored
	At      time.Time
	Kind    EventKind
	Actor   AccountID  // who did it; "": nobody who is known, or the command line
	Account AccountID  // whom it concerns, "" if no account
	Key     string     // the public key that was used, if one was
	Session SessionID  // "" if none
	IP      netip.Addr // the zero Addr: the command line
	Detail  string
}

// Actor is who asks for a change: an account, from an address. The zero Actor is
// the command line, which may do anything.
type Actor struct {
	Account AccountID
	IP      netip.Addr
}

// event begins an Event by the actor, now.
func (s *Service) event(kind EventKind, by Actor) Event {
	return Event{At: s.now(), Kind: kind, Actor: by.Account, IP: by.IP}
}

// Record adds an event of another package to the audit log, at the present time.
func (s *Service) Record(ctx context.Context, ev Event) error {
	ev.At = s.now()
	return s.store.Record(ctx, ev)
}

// Events returns up to limit events of the audit log, the latest first, from
// before the event with ID before; 0 starts at the latest.
func (s *Service) Events(ctx context.Context, before int64, limit int) ([]Event, error) {
	return s.store.Events(ctx, before, limit)
}
