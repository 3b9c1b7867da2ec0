package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// LoginRequest is a signed challenge and what comes with it.
type LoginRequest struct {
	PublicKey string // base58
	Message   string // the challenge, as CreateChallenge gave it
	Signature string // base58, over the bytes of Message

	ServerChallenge string // what the server is to sign in return, or ""
	Claim           string // the claim code, or ""
	Email           string // a hint for whoever approves accounts, or ""
	DeviceName      string // what the session is to be called, or ""
	From            netip.Addr
}

// LoginResult says who logged in. A Pending account gets nothing else.
type LoginResult struct {
	Account         Account
	Pending         bool
	Tokens          Tokens
	ServerSignature string // of ServerChallenge, if there was one
}

// Login spends the challenge, verifies the signature and begins a session. A key
// without an account gets one as the registration mode says; with the right claim
// code the account becomes the first admin, and with a wrong one the login is an
// ordinary one. Whatever is wrong with the request as such costs no challenge.
//
// Errors: ErrInvalidKey, ErrServerChallenge, ErrEmail, ErrChallengeExpired,
// ErrInvalidSignature, ErrBlocked, ErrClosed, ErrTooManyPending.
func (s *Service) Login(ctx context.Context, req LoginRequest) (LoginResult, error) {
	key, err := s.good.parse(req.PublicKey)
	if err != nil {
		return LoginResult{}, err
	}
	if err := checkEmail(req.Email); err != nil {
		return LoginResult{}, err
	}
	if req.ServerChallenge != "" {
		if err := checkServerChallenge(req.ServerChallenge); err != nil {
			return LoginResult{}, err
		}
	}
	challenge, err := s.spend(ctx, key, req)
	if err != nil {
		return LoginResult{}, err
	}
	sig, err := ParseSignature(req.Signature)
	if err == nil && !key.Verify([]byte(req.Message), sig) {
		err = fmt.Errorf("%w: not by this key over this text", ErrInvalidSignature)
	}
	if err != nil {
		return LoginResult{}, s.loginFailed(ctx, req, "", "signature", err)
	}
	if req.Email == "" {
		req.Email = challenge.Email
	}
	account, err := s.accountFor(ctx, key, req)
	if err != nil {
		return LoginResult{}, err
	}
	out, err := s.admit(ctx, account, req)
	if errors.Is(err, ErrNotFound) { // it has changed since it was cached
		s.cache.dropAccount(account.ID)
		if account, err = s.accountFor(ctx, key, req); err != nil {
			return LoginResult{}, err
		}
		out, err = s.admit(ctx, account, req)
	}
	return out, err
}

// spend uses the challenge up, whatever comes of it.
func (s *Service) spend(ctx context.Context, key PublicKey, req LoginRequest) (Challenge, error) {
	err := ErrNotFound
	var c Challenge
	if len(req.Message) <= maxChallengeText {
		c, err = s.open.SpendChallenge(ctx, hashText(req.Message), key, s.now())
	}
	if errors.Is(err, ErrNotFound) {
		return c, s.loginFailed(ctx, req, "", "challenge", ErrChallengeExpired)
	}
	if err != nil {
		return c, fmt.Errorf("spend challenge: %w", err)
	}
	return c, nil
}

// accountFor returns the account of a key that has just proven itself.
func (s *Service) accountFor(ctx context.Context, key PublicKey, req LoginRequest) (Account, error) {
	if req.Claim != "" {
		a, err := s.claim(ctx, key, req)
		if !errors.Is(err, ErrClaim) {
			return a, err
		}
	}
	if a, ok := s.cache.account(key); ok {
		return a, nil
	}
	epoch := s.cache.now()
	a, err := s.store.AccountByKey(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return s.register(ctx, key, req)
	}
	if err != nil {
		return a, fmt.Errorf("read account: %w", err)
	}
	if a.Status == StatusActive { // the others wait for a change that may come from outside
		s.cache.putAccount(epoch, a)
	}
	return a, nil
}

// claim makes the account the first admin. ErrClaim leaves everything as it was.
func (s *Service) claim(ctx context.Context, key PublicKey, req LoginRequest) (Account, error) {
	ev := s.event(EventClaim, Actor{IP: req.From})
	ev.Key = req.PublicKey
	a, err := s.store.Claim(ctx, hashClaim(req.Claim), s.newAccount(key, req.Email), ev)
	if errors.Is(err, ErrClaim) {
		ev.Kind = EventClaimFailed
		if err := s.store.Record(ctx, ev); err != nil {
			return a, err
		}
		return a, ErrClaim
	}
	if err != nil {
		return a, err
	}
	if s.claimed != nil {
		s.claimed()
	}
	return a, s.settle(Change{Kind: EventClaim, Account: a.ID}, nil)
}

// register makes an account as the registration mode says.
func (s *Service) register(ctx context.Context, key PublicKey, req LoginRequest) (Account, error) {
	mode, err := s.Mode(ctx)
	if err != nil {
		return Account{}, err
	}
	a := s.newAccount(key, req.Email)
	switch mode {
	case ModeClosed:
		return a, s.loginFailed(ctx, req, "", "registration closed", ErrClosed)
	case ModeOpen:
		a.Status = StatusActive
	}
	ev := s.event(EventAccount, Actor{Account: a.ID, IP: req.From})
	ev.Account, ev.Key, ev.Detail = a.ID, req.PublicKey, string(a.Status)
	a, err = s.store.AddAccount(ctx, a, s.maxPending, ev)
	if errors.Is(err, ErrTooManyPending) {
		return a, s.loginFailed(ctx, req, "", "too many pending", err)
	}
	return a, err
}

// admit gives an account that has proven itself what its status allows. It is
// ErrNotFound if the account is no longer what a says.
func (s *Service) admit(ctx context.Context, a Account, req LoginRequest) (LoginResult, error) {
	switch a.Status {
	case StatusActive:
	case StatusPending:
		ev := s.event(EventLoginPending, Actor{Account: a.ID, IP: req.From})
		ev.Account, ev.Key = a.ID, req.PublicKey
		return LoginResult{Account: a, Pending: true}, s.store.Record(ctx, ev)
	default:
		return LoginResult{}, s.loginFailed(ctx, req, a.ID, "blocked", ErrBlocked)
	}
	now, id := s.now(), newID()
	access, refresh := s.firstPair(id)
	ses := Session{
		ID: SessionID(id.String()), Account: a.ID,
		DeviceName: cleanDeviceName(req.DeviceName), IP: req.From,
		CreatedAt: now, LastSeenAt: now,
		Access: hashText(access), AccessExpires: now.Add(s.accessTTL),
		Refresh: hashText(refresh), RefreshExpires: now.Add(s.refreshTTL),
	}
	ev := Event{At: now, Kind: EventLogin, Actor: a.ID, Account: a.ID, Key: req.PublicKey, Session: ses.ID, IP: req.From}
	if err := s.store.AddSession(ctx, ses, ev); err != nil {
		return LoginResult{}, fmt.Errorf("add session: %w", err)
	}
	out := LoginResult{Account: a, Tokens: Tokens{
		Session: ses.ID, Access: access, Refresh: refresh,
		AccessExpires: ses.AccessExpires, RefreshExpires: ses.RefreshExpires,
	}}
	if req.ServerChallenge != "" {
		var err error
		if out.ServerSignature, err = s.SignServerProof(req.ServerChallenge); err != nil {
			return LoginResult{}, err
		}
	}
	return out, nil
}

// loginFailed records why a login came to nothing and returns reason.
func (s *Service) loginFailed(ctx context.Context, req LoginRequest, id AccountID, detail string, reason error) error {
	ev := s.event(EventLoginFailed, Actor{IP: req.From})
	ev.Account, ev.Key, ev.Detail = id, req.PublicKey, detail
	if err := s.store.Record(ctx, ev); err != nil {
		return err
	}
	return reason
}
