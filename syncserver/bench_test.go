package syncserver_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/syncserver"
)

// BenchmarkVerifySession is the whole route, many at a time: JSON, signature, and
// the session on disk. Half of it or more is one Ed25519 verification, some 42 µs
// on the machine of BenchmarkVerify in package auth.
func BenchmarkVerifySession(b *testing.B) {
	w := newWorld(b, func(c *syncserver.Config) { c.Logger = slog.New(slog.DiscardHandler) })
	d := newDevice(1)
	w.login(b, d)
	bodies := make(chan string, b.N)
	b.SetParallelism(256)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			body := w.signed(b, d)
			bodies <- `{"public_key":"` + d.publicKey + `","message":"` + strings.ReplaceAll(body["message"].(string), "\n", `\n`) +
				`","signature":"` + body["signature"].(string) + `"}`
		}
	})
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequest("POST", "/api/auth/verify_session", strings.NewReader(<-bodies))
			rec := httptest.NewRecorder()
			w.ServeHTTP(rec, r)
			if rec.Code != http.StatusOK {
				b.Error(rec.Body.String())
			}
		}
	})
}

func BenchmarkSessions(b *testing.B) {
	w := newWorld(b, func(c *syncserver.Config) { c.Logger = slog.New(slog.DiscardHandler) })
	access, _ := w.login(b, newDevice(1))
	for b.Loop() {
		w.call(b, "GET", "/api/auth/sessions", access, nil).want(b, "sessions", 200, "")
	}
}
