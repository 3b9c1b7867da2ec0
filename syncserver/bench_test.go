package syncserver_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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

// BenchmarkRaw fetches a file of 256 MiB whole, and ranges of 64 KiB of it, over one
// connection; "plain" is what net/http gives of the same file.
func BenchmarkRaw(b *testing.B) {
	const size, piece = 256 << 20, 64 << 10
	w := newWorld(b, func(c *syncserver.Config) { c.Logger = slog.New(slog.DiscardHandler) })
	token, _ := w.login(b, newDevice(1))
	w.call(b, "POST", "/api/heap/add", token, object{"id": "h", "name": "Heap"}).want(b, "heap", 201, "")
	content := noise(size)
	form := w.call(b, "POST", "/api/upload/file/h/f", token, formOf(content), "Content-Type", "multipart/form-data; boundary=x")
	form.want(b, "file", 200, "")
	path := filepath.Join(b.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		b.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		handler http.Handler
	}{
		{"plain", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { http.ServeFile(rw, r, path) })},
		{"raw", w},
	} {
		server := httptest.NewServer(tt.handler)
		defer server.Close()
		get := func(b *testing.B, ranges string) {
			r, err := fetch(b.Context(), server, "/api/file/f/raw/x", token, ranges)
			if err != nil {
				b.Fatal(err)
			}
			defer r.Body.Close()
			if n, err := io.Copy(io.Discard, r.Body); err != nil || n != r.ContentLength || r.StatusCode > 206 {
				b.Fatal(r.StatusCode, n, err)
			}
		}
		b.Run(tt.name+"/whole", func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				get(b, "")
			}
		})
		b.Run(tt.name+"/range", func(b *testing.B) {
			for n := 0; b.Loop(); n++ {
				from := n * 7919 * piece % (size - piece)
				get(b, fmt.Sprintf("bytes=%d-%d", from, from+piece-1))
			}
		})
	}
}
