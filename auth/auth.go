package auth

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/mr-tron/base58"
)

// Config is what a Service is made of. Store, Keys and PublicURL are needed; the
// rest has defaults.
type Config struct {
	Store     Store
	Keys      ServerKeys
	PublicURL string // as clients see it; part of every challenge and proof

	Now  func() time.Time // time.Now
	Mode Mode             // until SetMode was called: ModeApproval

	AccessTTL    time.Duration // 15 minutes
	RefreshTTL   time.Duration // 60 days
	ChallengeTTL time.Duration // 2 minutes
	Grace        time.Duration // for a lost reply to Refresh: 60 s; negative: none

	ChallengeStore ChallengeStore   // a MemoryChallenges
	Challenges     *ChallengeLimits // 5 for a key, 20 from an address, 10,000 in all

	MaxPending  int           // accounts waiting for approval: 10,000
	MaxSessions int           // of one account; those seen last stay: 200
	AuditTTL    time.Duration // how long events are kept: 400 days
	CacheSize   int           // sessions kept in memory: 65,536

	// Claimed, if not nil, is called when the claim code has been used.
	Claimed func()
}

// Service is the package's front door; New makes one.
type Service struct {
	store     Store
	open      ChallengeStore
	keys      ServerKeys
	publicKey string // of keys.Identity, base58
	publicURL string
	clock     func() time.Time

	defaultMode     Mode
	accessTTL       time.Duration
	refreshTTL      time.Duration
	challengeTTL    time.Duration
	grace           time.Duration
	challengeLimits ChallengeLimits
	maxPending      int
	maxSessions     int
	auditTTL        time.Duration
	claimed         func()

	good  goodKeys
	cache *cache

	listenersMu sync.RWMutex // guards listeners
	listeners   []func(Change)
}

// New checks cfg and returns a Service. It does no I/O.
func New(cfg Config) (*Service, error) {
	if cfg.Store == nil {
		return nil, errors.New("auth: no store")
	}
	if len(cfg.Keys.Identity) != ed25519.PrivateKeySize || cfg.Keys.Token == (Secret{}) || cfg.Keys.Ticket == (Secret{}) {
		return nil, errors.New("auth: no server keys")
	}
	if u := cfg.PublicURL; u == "" || len(u) > maxURL || strings.ContainsFunc(u, notShown) {
		return nil, fmt.Errorf("auth: bad public URL %q", u)
	}
	s := &Service{
		store:           cfg.Store,
		open:            cfg.ChallengeStore,
		keys:            cfg.Keys,
		publicKey:       base58.Encode(cfg.Keys.Identity.Public().(ed25519.PublicKey)),
		publicURL:       cfg.PublicURL,
		clock:           cfg.Now,
		defaultMode:     or(cfg.Mode, ModeApproval),
		accessTTL:       or(cfg.AccessTTL, 15*time.Minute),
		refreshTTL:      or(cfg.RefreshTTL, 60*24*time.Hour),
		challengeTTL:    or(cfg.ChallengeTTL, 2*time.Minute),
		grace:           or(cfg.Grace, time.Minute),
		challengeLimits: ChallengeLimits{PerKey: 5, PerIP: 20, Total: 10_000},
		maxPending:      or(cfg.MaxPending, 10_000),
		maxSessions:     or(cfg.MaxSessions, 200),
		auditTTL:        or(cfg.AuditTTL, 400*24*time.Hour),
		claimed:         cfg.Claimed,
		cache:           newCache(or(cfg.CacheSize, 1<<16)),
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.open == nil {
		s.open = &MemoryChallenges{}
	}
	if cfg.Challenges != nil {
		s.challengeLimits = *cfg.Challenges
	}
	if _, err := ParseMode(string(s.defaultMode)); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	if s.accessTTL < 0 || s.refreshTTL < s.accessTTL || s.challengeTTL < 0 {
		return nil, errors.New("auth: a lifetime is negative, or a refresh token would outlive no access token")
	}
	return s, nil
}

// or returns v, or otherwise if v is its type's zero.
func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// now is the present in whole milliseconds, which is what stores keep.
func (s *Service) now() time.Time { return s.clock().UTC().Truncate(time.Millisecond) }

// Change says that something that was good may be good no longer. It names a
// session or an account; with neither, everything may have changed. Whoever keeps
// something open for a session asks Check again.
type Change struct {
	Kind    EventKind // why; "" when another process made the change
	Session SessionID
	Account AccountID
}

// OnChange calls f after every change, once the store and the cache know it. f
// must not block. It is called from several goroutines at once.
func (s *Service) OnChange(f func(Change)) {
	s.listenersMu.Lock()
	defer s.listenersMu.Unlock()
	s.listeners = append(s.listeners, f)
}

func (s *Service) tell(c Change) {
	s.listenersMu.RLock()
	listeners := s.listeners
	s.listenersMu.RUnlock()
	for _, f := range listeners {
		f(c)
	}
}

// settle follows a write that c describes and that ended with err. What is cached
// goes either way, since a write that failed may yet have happened.
func (s *Service) settle(c Change, err error) error {
	if c.Session != "" {
		if id, bad := uuid.Parse(string(c.Session)); bad == nil {
			s.cache.dropSession(id)
		}
	} else {
		s.cache.dropAccount(c.Account)
	}
	if err == nil {
		s.tell(c)
	}
	return err
}

// Forget drops all that is cached, and tells so. Call it when another process has
// changed the store.
func (s *Service) Forget() {
	s.cache.forget()
	s.tell(Change{})
}

// Sweep removes what has expired. Call it every few minutes.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.now()
	gone, err := s.store.Sweep(ctx, now, now.Add(-s.auditTTL), s.maxSessions)
	for _, id := range gone {
		err = errors.Join(err, s.settle(Change{Kind: EventRevoke, Session: id}, nil))
	}
	return err
}

// PublicKey returns the server's identity in base58.
func (s *Service) PublicKey() string { return s.publicKey }

// PublicURL returns the URL that challenges and proofs name.
func (s *Service) PublicURL() string { return s.publicURL }

// ErrServerChallenge is ErrInvalid: not 16 to 128 characters of base58 or
// base64url.
var ErrServerChallenge = fmt.Errorf("%w: server_challenge must be 16 to 128 characters, base58 or base64url", ErrInvalid)

// SignServerProof returns the base58 signature, by the server's identity, of
// "heapsync server proof\n" + public URL + "\n" + challenge. The identity key
// signs nothing else. Any fault of challenge is ErrServerChallenge.
func (s *Service) SignServerProof(challenge string) (string, error) {
	if err := checkServerChallenge(challenge); err != nil {
		return "", err
	}
	text := "heapsync server proof\n" + s.publicURL + "\n" + challenge
	return base58.Encode(ed25519.Sign(s.keys.Identity, []byte(text))), nil
}

func checkServerChallenge(c string) error {
	if len(c) < 16 || len(c) > 128 {
		return ErrServerChallenge
	}
	body := strings.TrimRight(c, "=") // padding of base64url
	if len(c)-len(body) > 2 || strings.ContainsFunc(body, notBase64URL) {
		return ErrServerChallenge
	}
	return nil
}

func notBase64URL(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
		return false
	}
	return true
}
