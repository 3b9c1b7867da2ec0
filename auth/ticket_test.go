package auth_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/heapsync/heapsync/auth"
)

func TestTicketsOpenOneThingForAWhile(t *testing.T) {
	w := newWorld(t)
	account, err := w.Grant(t.Context(), auth.Actor{}, newDevice(1).publicKey)
	if err != nil {
		t.Fatal(err)
	}
	ticket, expires, err := w.MakeTicket(account.ID, "heap/block/hash", time.Hour)
	if err != nil || !expires.Equal(w.now().Add(time.Hour)) || !auth.IsTicket(ticket) {
		t.Fatalf("%q until %v, %v", ticket, expires, err)
	}
	open := func(what, ticket string, want error) {
		t.Helper()
		got, thing, err := w.OpenTicket(t.Context(), ticket)
		if !errors.Is(err, want) || want == nil && (got.ID != account.ID || thing != "heap/block/hash") {
			t.Errorf("%s: %s, %q, %v", what, got.ID, thing, err)
		}
	}
	open("a good one", ticket, nil)
	for i := range len(ticket) { // every bent one
		open("a bent one", ticket[:i]+string(rune('A'+(ticket[i]-'A'+1)%26))+ticket[i+1:], auth.ErrUnauthorized)
		open("a short one", ticket[:i], auth.ErrUnauthorized)
	}
	for _, s := range []string{"", "hst_", ticket + "A", "hst_" + strings.Repeat("A", 1000), "hst_" + base64.RawURLEncoding.EncodeToString(make([]byte, 25))} {
		open("nonsense", s, auth.ErrUnauthorized)
	}
	if _, err := w.Authenticate(t.Context(), ticket); !errors.Is(err, auth.ErrUnauthorized) {
		t.Errorf("as an access token: %v", err)
	}
	long, expires, err := w.MakeTicket(account.ID, "heap/block/hash", 100*time.Hour)
	if err != nil || !expires.Equal(w.now().Add(auth.MaxTicketTTL)) {
		t.Errorf("a long one: until %v, %v", expires, err)
	}
	for _, ttl := range []time.Duration{0, -time.Second} {
		if _, _, err := w.MakeTicket(account.ID, "x", ttl); !errors.Is(err, auth.ErrInvalid) {
			t.Errorf("ttl %v: %v", ttl, err)
		}
	}
	if _, _, err := w.MakeTicket(account.ID, strings.Repeat("x", 600), time.Hour); !errors.Is(err, auth.ErrInvalid) {
		t.Errorf("a long name: %v", err)
	}
	w.pass(time.Hour)
	open("an old one", ticket, auth.ErrUnauthorized)
	open("a long one", long, nil)
	if _, err := w.Grant(t.Context(), auth.Actor{}, newDevice(2).publicKey); err != nil { // another admin
		t.Fatal(err)
	}
	if _, err := w.Block(t.Context(), auth.Actor{}, account.ID); err != nil {
		t.Fatal(err)
	}
	open("of a blocked account", long, auth.ErrUnauthorized)
	if err := w.Delete(t.Context(), auth.Actor{}, account.ID); err != nil {
		t.Fatal(err)
	}
	open("of a deleted account", long, auth.ErrUnauthorized)
}

func TestTicketsOfAnotherServerOpenNothing(t *testing.T) {
	w := newWorld(t)
	account, err := w.Grant(t.Context(), auth.Actor{}, newDevice(1).publicKey)
	if err != nil {
		t.Fatal(err)
	}
	other := w.another(t, func(c *auth.Config) { c.Keys.Ticket = auth.Secret{9} })
	ticket, _, err := other.MakeTicket(account.ID, "x", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.OpenTicket(t.Context(), ticket); !errors.Is(err, auth.ErrUnauthorized) {
		t.Errorf("%v", err)
	}
}
