package syncserver

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
)

type challengeRequest struct {
	PublicKey string `json:"public_key"`
	Email     string `json:"email,omitempty"`
}

type challengeAnswer struct {
	Success   bool   `json:"success"`
	Challenge string `json:"challenge"`
}

func (s *Server) createSession(w http.ResponseWriter, r *http.Request) error {
	from := s.clientIP(r)
	if err := s.limiter.createSession.take(auth.AddressGroup(from), s.Now()); err != nil {
		return err
	}
	var req challengeRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	challenge, err := s.Auth.CreateChallenge(r.Context(), req.PublicKey, req.Email, from)
	if err != nil {
		return profileProblem(err)
	}
	return writeJSON(w, challengeAnswer{true, challenge})
}

// loginRequest is the body of both routes that log in. They differ in the name of
// the signature only.
type loginRequest struct {
	PublicKey       string `json:"public_key"`
	Message         string `json:"message"`
	Signature       string `json:"signature,omitempty"`
	SignedMessage   string `json:"signed_message,omitempty"`
	ServerChallenge string `json:"server_challenge,omitempty" doc:"16 to 128 characters that the server is to sign, to prove who it is"`
	Claim           string `json:"claim,omitempty" doc:"the code that makes the first account an administrator"`
	Email           string `json:"email,omitempty"`
	DeviceName      string `json:"device_name,omitempty"`
}

// login is the core of both routes.
func (s *Server) login(r *http.Request, signature func(*loginRequest) string) (auth.LoginResult, error) {
	from, now := s.clientIP(r), s.Now()
	group := auth.AddressGroup(from)
	if err := s.limiter.verify.take(group, now); err != nil {
		return auth.LoginResult{}, err
	}
	var req loginRequest
	if err := readJSON(r, &req); err != nil {
		return auth.LoginResult{}, err
	}
	key := attempt{req.PublicKey, group}
	if err := s.limiter.failures.check(key, now); err != nil {
		return auth.LoginResult{}, err
	}
	out, err := s.Auth.Login(r.Context(), auth.LoginRequest{
		PublicKey: req.PublicKey, Message: req.Message, Signature: signature(&req),
		ServerChallenge: req.ServerChallenge, Claim: req.Claim,
		Email: req.Email, DeviceName: req.DeviceName, From: from,
	})
	switch {
	case errors.Is(err, auth.ErrInvalidSignature): // so the key is one, and short
		s.limiter.failures.failed(key, now)
	case err == nil:
		s.limiter.failures.succeeded(key)
	}
	return out, profileProblem(err)
}

// profileProblem names the field that is wrong, if it is one of a log-in or of a profile.
func profileProblem(err error) error {
	switch {
	case errors.Is(err, auth.ErrEmail):
		return badField("email", "must be an e-mail address of at most 254 bytes")
	case errors.Is(err, auth.ErrName):
		return badField("name", "must be at most 100 characters, without invisible ones and without spaces around it")
	case errors.Is(err, auth.ErrServerChallenge):
		return badField("server_challenge", "must be 16 to 128 characters, base58 or base64url")
	}
	return err
}

type sessionAnswer struct {
	Success          bool   `json:"success"`
	ApprovalRequired bool   `json:"approval_required,omitempty"`
	AccessToken      string `json:"accessToken,omitempty"`
	RefreshToken     string `json:"refreshToken,omitempty"`
	ExpiresAt        int64  `json:"expires_at,omitempty"`
	ServerPublicKey  string `json:"server_public_key"`
	ServerName       string `json:"server_name"`
	ServerURL        string `json:"server_url"`
	ServerVersion    string `json:"server_version"`
	ServerSignature  string `json:"server_signature,omitempty"`
}

func (s *Server) verifySession(w http.ResponseWriter, r *http.Request) error {
	out, err := s.login(r, func(req *loginRequest) string { return req.Signature })
	if err != nil {
		return err
	}
	name, err := s.serverName(r.Context())
	if err != nil {
		return err
	}
	answer := sessionAnswer{
		Success: !out.Pending, ApprovalRequired: out.Pending,
		ServerPublicKey: s.Auth.PublicKey(), ServerName: name, ServerURL: s.Auth.PublicURL(), ServerVersion: s.Version,
	}
	if !out.Pending {
		answer.AccessToken, answer.RefreshToken = out.Tokens.Access, out.Tokens.Refresh
		answer.ExpiresAt, answer.ServerSignature = out.Tokens.AccessExpires.UnixMilli(), out.ServerSignature
	}
	return writeJSON(w, answer)
}

type keyAnswer struct {
	Verified         bool   `json:"verified"`
	ApprovalRequired bool   `json:"approval_required,omitempty"`
	AccessToken      string `json:"access_token,omitempty"`
	RefreshToken     string `json:"refresh_token,omitempty"`
	ExpiresAt        int64  `json:"expires_at,omitempty"`
	ServerPublicKey  string `json:"server_public_key"`
	ServerSignature  string `json:"server_signature,omitempty"`
}

func (s *Server) verifyKey(w http.ResponseWriter, r *http.Request) error {
	out, err := s.login(r, func(req *loginRequest) string { return req.SignedMessage })
	if err != nil {
		return err
	}
	answer := keyAnswer{Verified: true, ApprovalRequired: out.Pending, ServerPublicKey: s.Auth.PublicKey()}
	if !out.Pending {
		answer.AccessToken, answer.RefreshToken = out.Tokens.Access, out.Tokens.Refresh
		answer.ExpiresAt, answer.ServerSignature = out.Tokens.AccessExpires.UnixMilli(), out.ServerSignature
	}
	return writeJSON(w, answer)
}

type refreshRequest struct {
	RefreshToken string `json:"refresh_token,omitempty"`
}

type refreshAnswer struct {
	Success      bool   `json:"success"`
	AccessToken  string `json:"accessToken"`
	RefreshToken string `json:"refreshToken"`
	ExpiresAt    int64  `json:"expires_at"`
}

// refreshToken takes the token from the body, or else from the header: there,
// some clients send their access token with every request.
func (s *Server) refreshToken(w http.ResponseWriter, r *http.Request) error {
	var req refreshRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	token := req.RefreshToken
	if token == "" {
		token, _ = bearer(r)
	}
	pair, err := s.Auth.Refresh(r.Context(), token, s.clientIP(r))
	if err != nil {
		return err
	}
	return writeJSON(w, refreshAnswer{true, pair.Access, pair.Refresh, pair.AccessExpires.UnixMilli()})
}

type doneAnswer struct {
	Success bool `json:"success"`
}

// done answers a request that has nothing more to say.
func done(w http.ResponseWriter) error { return writeJSON(w, doneAnswer{true}) }

func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	id, _ := identityOf(r)
	if err := s.Auth.Logout(r.Context(), id, s.clientIP(r)); err != nil && !errors.Is(err, auth.ErrNotFound) {
		return err
	}
	return done(w)
}

type sessionJSON struct {
	ID         auth.SessionID `json:"id"`
	DeviceName string         `json:"device_name"`
	CreatedAt  int64          `json:"created_at"`
	LastSeenAt int64          `json:"last_seen_at"`
	IP         string         `json:"ip"`
	Current    bool           `json:"current"`
}

type sessionsAnswer struct {
	Sessions []sessionJSON `json:"sessions"`
}

func (s *Server) sessions(w http.ResponseWriter, r *http.Request) error {
	id, _ := identityOf(r)
	all, err := s.Auth.Sessions(r.Context(), id.Account.ID)
	if err != nil {
		return err
	}
	return writeJSON(w, toSessionsAnswer(all, id.Session))
}

func toSessionsAnswer(all []auth.Session, current auth.SessionID) sessionsAnswer {
	list := make([]sessionJSON, len(all))
	for i, ses := range all {
		list[i] = sessionJSON{
			ID: ses.ID, DeviceName: ses.DeviceName, CreatedAt: ses.CreatedAt.UnixMilli(),
			LastSeenAt: ses.LastSeenAt.UnixMilli(), IP: addressText(ses.IP), Current: ses.ID == current,
		}
	}
	return sessionsAnswer{list}
}

func (s *Server) revokeSession(w http.ResponseWriter, r *http.Request) error {
	if err := s.Auth.RevokeSession(r.Context(), s.actorOf(r), auth.SessionID(r.PathValue("id"))); err != nil {
		return err
	}
	return done(w)
}

// actorOf says for the audit log who asks and where from.
func (s *Server) actorOf(r *http.Request) auth.Actor {
	id, _ := identityOf(r)
	return auth.Actor{Account: id.Account.ID, IP: s.clientIP(r)}
}

type meAnswer struct {
	ID            auth.AccountID `json:"id"`
	PublicKey     string         `json:"public_key"`
	Email         string         `json:"email"`
	Name          string         `json:"name"`
	IsAdmin       bool           `json:"is_admin"`
	Status        auth.Status    `json:"status"`
	CreatedAt     int64          `json:"created_at"`
	Subscriptions []struct{}     `json:"subscriptions"`
	Entitlements  []struct{}     `json:"entitlements"`
	Usage         usageJSON      `json:"usage"`
	Limits        limitsJSON     `json:"limits"`
}

func (s *Server) me(w http.ResponseWriter, r *http.Request) error {
	id, _ := identityOf(r)
	usage, err := s.usageOf(r.Context(), id.Account.ID)
	if err != nil {
		return err
	}
	limits, err := s.accountLimits(r.Context())
	if err != nil {
		return err
	}
	a := id.Account
	return writeJSON(w, meAnswer{
		ID: a.ID, PublicKey: a.PublicKey.String(), Email: a.Email, Name: a.Name,
		IsAdmin: a.Admin, Status: a.Status, CreatedAt: a.CreatedAt.UnixMilli(),
		Subscriptions: []struct{}{}, Entitlements: []struct{}{}, // a self-hosted server sells nothing
		Usage: usage, Limits: limits,
	})
}

type profileRequest struct {
	Name  *string `json:"name,omitempty" doc:"what others see, at most 100 characters"`
	Email *string `json:"email,omitempty"`
}

func (s *Server) setProfile(w http.ResponseWriter, r *http.Request) error {
	var req profileRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	id, _ := identityOf(r)
	a, err := s.Auth.SetProfile(r.Context(), s.actorOf(r), id.Account.ID, auth.Profile{Name: req.Name, Email: req.Email})
	if err != nil {
		return profileProblem(err)
	}
	id.Account = a
	return s.me(w, r.WithContext(context.WithValue(r.Context(), identityKey, id)))
}

// usageJSON is what the heaps that an account owns take up, and the files that it brought
// to any heap.
type usageJSON struct {
	StorageBytes int64 `json:"storage_bytes" doc:"of files and updates"`
	Files        int64 `json:"files" doc:"those on their way too"`
	Blocks       int64 `json:"blocks"`
	Heaps        int64 `json:"heaps"`
	UpdatesBytes int64 `json:"updates_bytes"`
}

func (s *Server) usageOf(ctx context.Context, id auth.AccountID) (usageJSON, error) {
	var u usageJSON
	heaps, err := s.Blocks.Heaps(ctx, blocks.UserID(id))
	for _, h := range heaps {
		if h.Role == blocks.RoleOwner {
			u.Heaps++
			u.Blocks += h.Blocks
			u.UpdatesBytes += h.Bytes - h.Files
			u.StorageBytes += h.Bytes - h.Files
		}
	}
	if err != nil {
		return u, err
	}
	bytes, files, err := s.Blocks.FileUsage(ctx, blocks.UserID(id))
	u.StorageBytes, u.Files = u.StorageBytes+bytes, files
	return u, err
}

func addressText(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	return ip.String()
}

// millisOrNull is a time that may never have come.
func millisOrNull(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	ms := t.UnixMilli()
	return &ms
}
