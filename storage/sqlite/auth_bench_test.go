package sqlite_test

import (
	"crypto/ed25519"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/mr-tron/base58"

	"github.com/heapsync/heapsync/auth"
)

// BenchmarkLogin logs in with Ed25519 keys, on disk: 256 at a time, which share
// the syncs. Of an operation's time, one verification is what cannot be saved.
func BenchmarkLogin(b *testing.B) {
	s, err := auth.New(auth.Config{
		Store: openAuth(b), PublicURL: "https://sync.example.org", Mode: auth.ModeOpen,
		Challenges: &auth.ChallengeLimits{}, Keys: auth.ServerKeys{
			Identity: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), Token: auth.Secret{1}, Ticket: auth.Secret{2},
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	var devices []ed25519.PrivateKey
	for n := range 1000 {
		var seed [ed25519.SeedSize]byte
		binary.BigEndian.PutUint64(seed[:], uint64(n))
		devices = append(devices, ed25519.NewKeyFromSeed(seed[:]))
	}
	requests := make(chan auth.LoginRequest, b.N)
	b.SetParallelism(256)
	challenge := func(n int) {
		private := devices[n%len(devices)]
		key := base58.Encode(private.Public().(ed25519.PublicKey))
		text, err := s.CreateChallenge(b.Context(), key, "", netip.Addr{})
		if err != nil {
			b.Error(err)
		}
		requests <- auth.LoginRequest{
			PublicKey: key, Message: text, DeviceName: "laptop",
			Signature: base58.Encode(ed25519.Sign(private, []byte(text))),
		}
	}
	next := make(chan int, b.N)
	for n := range b.N {
		next <- n
	}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			challenge(<-next)
		}
	})
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Login(b.Context(), <-requests); err != nil {
				b.Error(err)
			}
		}
	})
}
