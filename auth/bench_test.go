package auth_test

import (
	"crypto/ed25519"
	"sync/atomic"
	"testing"

	"github.com/heapsync/heapsync/auth"
)

// BenchmarkVerify is the floor under BenchmarkLogin.
func BenchmarkVerify(b *testing.B) {
	d := newDevice(1)
	text := []byte(d.publicKey + d.publicKey + d.publicKey + d.publicKey + d.publicKey + d.publicKey)
	sig := ed25519.Sign(d.private, text)
	for b.Loop() {
		if !ed25519.Verify(d.private.Public().(ed25519.PublicKey), text, sig) {
			b.Fatal("not verified")
		}
	}
}

// BenchmarkLogin is all that a login costs beside its store's writes.
func BenchmarkLogin(b *testing.B) {
	w := newWorld(b, func(c *auth.Config) { c.Mode, c.Challenges = auth.ModeOpen, &auth.ChallengeLimits{} })
	d := newDevice(1)
	w.login(b, d)
	for b.Loop() {
		b.StopTimer()
		req := w.request(b, d)
		b.StartTimer()
		if _, err := w.Login(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCreateChallenge(b *testing.B) {
	w := newWorld(b)
	d := newDevice(1)
	for b.Loop() {
		w.challenge(b, d)
	}
}

func BenchmarkParsePublicKey(b *testing.B) {
	text := newDevice(1).publicKey
	for b.Loop() {
		if _, err := auth.ParsePublicKey(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	w := newWorld(b, func(c *auth.Config) { c.Mode = auth.ModeOpen })
	token := w.login(b, newDevice(1)).Tokens.Access
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Authenticate(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAuthenticateGarbage(b *testing.B) {
	w := newWorld(b, func(c *auth.Config) { c.Mode = auth.ModeOpen })
	token := []byte(w.login(b, newDevice(1)).Tokens.Access)
	token[10] ^= 1 // another session
	for b.Loop() {
		if _, err := w.Authenticate(b.Context(), string(token)); err == nil {
			b.Fatal("accepted")
		}
	}
}

func BenchmarkRefresh(b *testing.B) {
	w := newWorld(b, func(c *auth.Config) { c.Mode = auth.ModeOpen })
	token := w.login(b, newDevice(1)).Tokens.Refresh
	for b.Loop() {
		pair, err := w.Refresh(b.Context(), token, home)
		if err != nil {
			b.Fatal(err)
		}
		token = pair.Refresh
	}
}

// BenchmarkAuthenticateParallel shows that readers do not hold each other up.
func BenchmarkAuthenticateParallel(b *testing.B) {
	w := newWorld(b, func(c *auth.Config) { c.Mode = auth.ModeOpen })
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		token := w.login(b, newDevice(n.Add(1))).Tokens.Access
		for pb.Next() {
			if _, err := w.Authenticate(b.Context(), token); err != nil {
				b.Error(err)
			}
		}
	})
}
