package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/uuid"
)

// SessionID names a session; a UUIDv7. It is no secret.
type SessionID string

// Session is one device's login. Its tokens are replaced as a pair; Generation
// counts how often. Of the tokens there are only hashes.
type Session struct {
	ID         SessionID
	Account    AccountID
	DeviceName string
	IP         netip.Addr // of the last login or refresh
	CreatedAt  time.Time
	LastSeenAt time.Time // of the last login or refresh

	Generation     uint32
	Access         Hash
	AccessExpires  time.Time
	Refresh        Hash
	RefreshExpires time.Time // the session's end, unless it is refreshed

	// The pair before. Its access token is good until it expires, for requests on
	// their way; its refresh token as long as a lost reply may be asked for again.
	LastAccess        Hash
	LastAccessExpires time.Time
	LastRefresh       Hash
	RotatedAt         time.Time // zero in generation 0
	PairUsed          bool      // the present pair's access token has been used

	Revoked bool // set by ChangeSession's change to delete the session
}

// Identity is who a good token belongs to.
type Identity struct {
	Account Account
	Session SessionID
}

// Authenticate returns whose access token this is. Any fault is ErrUnauthorized.
// It reads the store only when it has not seen the session before.
func (s *Service) Authenticate(ctx context.Context, accessToken string) (Identity, error) {
	t, ok := parseToken(accessPrefix, accessToken)
	if !ok {
		return Identity{}, ErrUnauthorized
	}
	e := s.cache.session(t.session)
	if e == nil {
		// Strings that we did not make cost no read.
		if !s.genuine(t) {
			return Identity{}, ErrUnauthorized
		}
		var err error
		if e, err = s.loadSession(ctx, t.session); err != nil {
			return Identity{}, err
		}
	}
	now, hash := s.now(), hashText(accessToken)
	switch ses := &e.session; {
	case e.account.Status != StatusActive:
		return Identity{}, ErrUnauthorized
	case hash.equal(ses.Access) && now.Before(ses.AccessExpires):
		if s.inGrace(ses, now) {
			// A store that cannot write keeps nobody out: the grace then ends in time.
			if err := s.markUsed(ctx, t); errors.Is(err, ErrUnauthorized) {
				return Identity{}, err
			}
		}
	case ses.Generation > 0 && hash.equal(ses.LastAccess) && now.Before(ses.LastAccessExpires):
	default:
		return Identity{}, ErrUnauthorized
	}
	return Identity{Account: e.account, Session: e.session.ID}, nil
}

// Check reports whether a session, and the account it belongs to, is still good:
// nil or ErrUnauthorized. An access token that expired meanwhile does not matter.
// Like Authenticate it seldom reads the store.
func (s *Service) Check(ctx context.Context, session SessionID) error {
	id, err := uuid.Parse(string(session))
	if err != nil {
		return ErrUnauthorized
	}
	e := s.cache.session(id)
	if e == nil {
		if e, err = s.loadSession(ctx, id); err != nil {
			return err
		}
	}
	if e.account.Status != StatusActive || !s.now().Before(e.session.RefreshExpires) {
		return ErrUnauthorized
	}
	return nil
}

func (s *Service) loadSession(ctx context.Context, id uuid.UUID) (*cachedSession, error) {
	epoch := s.cache.now()
	ses, account, err := s.store.Session(ctx, SessionID(id.String()))
	if errors.Is(err, ErrNotFound) {
		return nil, ErrUnauthorized
	}
	if err != nil {
		return nil, fmt.Errorf("read session: %w", err)
	}
	e := &cachedSession{ses, account}
	s.cache.putSession(epoch, id, e)
	return e, nil
}

// inGrace reports whether the refresh token before would still be answered.
func (s *Service) inGrace(ses *Session, now time.Time) bool {
	return ses.Generation > 0 && !ses.PairUsed && now.Sub(ses.RotatedAt) <= s.grace
}

// markUsed ends the grace: whoever has the new pair got the reply.
func (s *Service) markUsed(ctx context.Context, t token) error {
	err := s.store.ChangeSession(ctx, SessionID(t.session.String()), func(ses *Session, _ Account) ([]Event, error) {
		if ses.Generation == t.generation {
			ses.PairUsed = true
		}
		return nil, nil
	})
	s.cache.dropSession(t.session)
	if errors.Is(err, ErrNotFound) {
		return ErrUnauthorized
	}
	return err
}

// Refresh trades a refresh token for the next pair. A token that was traded
// already gives the same pair again within Config.Grace, as long as the pair was
// not used: the reply may have been lost. After that it revokes the session,
// since one of its two holders is a thief. Any fault is ErrUnauthorized.
func (s *Service) Refresh(ctx context.Context, refreshToken string, from netip.Addr) (Tokens, error) {
	t, ok := parseToken(refreshPrefix, refreshToken)
	if !ok || !s.genuine(t) {
		return Tokens{}, ErrUnauthorized
	}
	now, hash := s.now(), hashText(refreshToken)
	id := SessionID(t.session.String())
	access, refresh := s.nextPair(t)
	var out Tokens
	reused := false
	err := s.store.ChangeSession(ctx, id, func(ses *Session, a Account) ([]Event, error) {
		out, reused = Tokens{}, false
		switch {
		case a.Status != StatusActive || !now.Before(ses.RefreshExpires):
			return nil, ErrUnauthorized
		case hash.equal(ses.Refresh):
			s.rotate(ses, hashText(access), hashText(refresh), now)
			ses.IP = from
		case ses.Generation > 0 && hash.equal(ses.LastRefresh) && s.inGrace(ses, now):
			// The pair is made again from the token; the row stays as it is.
		case t.generation < ses.Generation:
			reused, ses.Revoked = true, true
			return []Event{{At: now, Kind: EventRefreshReuse, Actor: a.ID, Account: a.ID, Session: id, IP: from}}, nil
		default:
			// Genuine, but not of this past: the store was restored from a backup.
			return nil, ErrUnauthorized
		}
		out = Tokens{
			Session: id, Access: access, Refresh: refresh,
			AccessExpires: ses.AccessExpires, RefreshExpires: ses.RefreshExpires,
		}
		return nil, nil
	})
	s.cache.dropSession(t.session)
	switch {
	case errors.Is(err, ErrNotFound):
		return Tokens{}, ErrUnauthorized
	case err != nil:
		return Tokens{}, err
	case reused:
		s.tell(Change{Kind: EventRefreshReuse, Session: id})
		return Tokens{}, ErrUnauthorized
	}
	return out, nil
}

// rotate puts the next pair in place of the present one.
func (s *Service) rotate(ses *Session, access, refresh Hash, now time.Time) {
	ses.LastAccess, ses.LastAccessExpires = ses.Access, ses.AccessExpires
	ses.LastRefresh = ses.Refresh
	ses.Generation++
	ses.Access, ses.AccessExpires = access, now.Add(s.accessTTL)
	ses.Refresh, ses.RefreshExpires = refresh, now.Add(s.refreshTTL)
	ses.RotatedAt, ses.PairUsed = now, false
	ses.LastSeenAt = now
}

// Logout ends the session it is called with.
func (s *Service) Logout(ctx context.Context, who Identity, from netip.Addr) error {
	return s.endSession(ctx, EventLogout, Actor{who.Account.ID, from}, who.Account.ID, who.Session)
}

// Sessions returns an account's sessions that are good, the one seen last first.
func (s *Service) Sessions(ctx context.Context, account AccountID) ([]Session, error) {
	all, err := s.store.Sessions(ctx, account)
	if err != nil {
		return nil, err
	}
	now := s.now()
	good := all[:0]
	for _, ses := range all {
		if now.Before(ses.RefreshExpires) {
			good = append(good, ses)
		}
	}
	return good, nil
}

// RevokeSession ends a session of the account that asks. A session that is
// another's is ErrNotFound, like one that does not exist.
func (s *Service) RevokeSession(ctx context.Context, by Actor, id SessionID) error {
	return s.endSession(ctx, EventRevoke, by, by.Account, id)
}

// EndSession ends a session of any account; it is for admins. Errors: ErrNotFound.
func (s *Service) EndSession(ctx context.Context, by Actor, account AccountID, id SessionID) error {
	return s.endSession(ctx, EventRevoke, by, account, id)
}

func (s *Service) endSession(ctx context.Context, kind EventKind, by Actor, account AccountID, id SessionID) error {
	ev := s.event(kind, by)
	ev.Account, ev.Session = account, id
	err := s.store.ChangeSession(ctx, id, func(ses *Session, _ Account) ([]Event, error) {
		if ses.Account != account {
			return nil, ErrNotFound
		}
		ses.Revoked = true
		return []Event{ev}, nil
	})
	return s.settle(Change{Kind: kind, Session: id}, err)
}
