package auth_test

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/mr-tron/base58"

	"github.com/heapsync/heapsync/auth"
)

const publicURL = "https://sync.example.org"

var (
	home   = netip.MustParseAddr("192.0.2.10")
	abroad = netip.MustParseAddr("198.51.100.7")
)

// world is a Service on a store in memory, with a clock that only the test moves.
type world struct {
	*auth.Service
	store *memStore
	keys  auth.ServerKeys

	mu      sync.Mutex // guards the fields below
	time    time.Time
	changes []auth.Change
}

func newWorld(t testing.TB, options ...func(*auth.Config)) *world {
	t.Helper()
	w := &world{
		store: newMemStore(t).(*memStore),
		keys: auth.ServerKeys{
			Identity: ed25519.NewKeyFromSeed([]byte("identity of a server in a test..")),
			Token:    auth.Secret{1}, Ticket: auth.Secret{2},
		},
		time: time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC),
	}
	w.Service = w.another(t, options...)
	w.OnChange(func(c auth.Change) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.changes = append(w.changes, c)
	})
	return w
}

// another returns another process's Service on the same store.
func (w *world) another(t testing.TB, options ...func(*auth.Config)) *auth.Service {
	t.Helper()
	cfg := auth.Config{Store: w.store, Keys: w.keys, PublicURL: publicURL, Now: w.now}
	for _, o := range options {
		o(&cfg)
	}
	s, err := auth.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.time = w.time.Add(d)
}

// told returns the changes since it was last asked.
func (w *world) told() []auth.Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.changes = nil }()
	return w.changes
}

// events counts the events of a kind in the audit log.
func (w *world) events(t testing.TB, kind auth.EventKind) (n int) {
	t.Helper()
	evs, err := w.Events(t.Context(), 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range evs {
		if ev.Kind == kind {
			n++
			if ev.At.IsZero() || ev.ID == 0 {
				t.Errorf("event %+v says not when", ev)
			}
		}
	}
	return n
}

// device holds a key pair.
type device struct {
	private   ed25519.PrivateKey
	publicKey string
}

func newDevice(n int64) device {
	var seed [ed25519.SeedSize]byte
	binary.BigEndian.PutUint64(seed[:], uint64(n))
	private := ed25519.NewKeyFromSeed(seed[:])
	return device{private, base58.Encode(private.Public().(ed25519.PublicKey))}
}

func (d device) sign(text string) string {
	return base58.Encode(ed25519.Sign(d.private, []byte(text)))
}

func (w *world) challenge(t testing.TB, d device) string {
	t.Helper()
	text, err := w.CreateChallenge(t.Context(), d.publicKey, "", home)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// request returns a login by d as it should be.
func (w *world) request(t testing.TB, d device) auth.LoginRequest {
	t.Helper()
	text := w.challenge(t, d)
	return auth.LoginRequest{
		PublicKey: d.publicKey, Message: text, Signature: d.sign(text),
		DeviceName: "laptop", From: home,
	}
}

func (w *world) login(t testing.TB, d device) auth.LoginResult {
	t.Helper()
	out, err := w.Login(t.Context(), w.request(t, d))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// active returns a device whose account is active, and its login.
func (w *world) active(t testing.TB, n int64) (device, auth.LoginResult) {
	t.Helper()
	d := newDevice(n)
	out := w.login(t, d)
	if out.Pending {
		w.must(t)(w.Approve(t.Context(), auth.Actor{}, out.Account.ID))
		out = w.login(t, d)
	}
	return d, out
}

// admin returns an account that is an admin.
func (w *world) admin(t testing.TB, n int64) auth.Account {
	t.Helper()
	return w.must(t)(w.Grant(t.Context(), auth.Actor{}, newDevice(n).publicKey))
}

func (w *world) must(t testing.TB) func(auth.Account, error) auth.Account {
	return func(a auth.Account, err error) auth.Account {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
}

func want(t testing.TB, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: %v, want %v", what, err, target)
	}
}
