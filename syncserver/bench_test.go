package syncserver_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/disk"
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

// BenchmarkRaw fetches a file of 1 GiB whole, and ranges of 64 KiB of it, by turns from
// all that there are: "plain" is what net/http gives of the same file, and "nginx", where
// that is installed, what nginx does.
func BenchmarkRaw(b *testing.B) {
	const size, piece = 1 << 30, 64 << 10
	dir := b.TempDir()
	path := filepath.Join(dir, "file")
	w, token := newFileWorld(b, dir, path, []byte(noise(1<<20)), size)
	raw := httptest.NewServer(w)
	defer raw.Close()
	plain := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { http.ServeFile(rw, r, path) }))
	defer plain.Close()
	servers := []struct {
		name, url string
		took      time.Duration
	}{{name: "raw", url: raw.URL}, {name: "nginx", url: startNginx(b, dir)}, {name: "plain", url: plain.URL}}
	buf := make([]byte, 256<<10)
	for _, tt := range []struct {
		name string
		size int64
	}{{"whole", size}, {"range", piece}} {
		b.Run(tt.name, func(b *testing.B) {
			for n := int64(0); b.Loop(); n++ {
				ranges := ""
				if tt.size < size {
					from := n * 7919 * piece % (size - piece)
					ranges = fmt.Sprintf("bytes=%d-%d", from, from+tt.size-1)
				}
				for i := range servers {
					s := &servers[(int(n)+i)%len(servers)]
					if s.url == "" {
						continue
					}
					if n == 0 {
						s.took = 0
					}
					began := time.Now()
					r, err := fetchFrom(b.Context(), raw.Client(), s.url+"/api/file/f/raw/x?heap_id=h", token, ranges)
					if err != nil {
						b.Fatal(err)
					}
					// Without the buffer, most of the time would be the client's.
					n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, buf)
					if r.Body.Close(); err != nil || n != tt.size || r.StatusCode > 206 {
						b.Fatal(s.name, r.StatusCode, n, err)
					}
					s.took += time.Since(began)
				}
			}
			for _, s := range servers {
				if s.took > 0 {
					b.ReportMetric(float64(tt.size)*float64(b.N)/1e6/s.took.Seconds(), s.name+"-MB/s")
				}
			}
		})
	}
}

// newFileWorld returns a world with the block f of heap h, whose file in the store in dir
// is size bytes, begin over and over, and also is at path.
func newFileWorld(b *testing.B, dir, path string, begin []byte, size int64) (*world, string) {
	store, err := disk.Open(filepath.Join(dir, "blobs"))
	if err != nil {
		b.Fatal(err)
	}
	w := makeWorld(b, blocks.Limits{}, []func(*blocks.LogConfig){func(c *blocks.LogConfig) { c.Blobs = store }},
		[]func(*syncserver.Config){func(c *syncserver.Config) { c.Logger = slog.New(slog.DiscardHandler) }})
	token, _ := w.login(b, newDevice(1))
	w.call(b, "POST", "/api/heap/add", token, object{"id": "h", "name": "Heap"}).want(b, "heap", 201, "")
	w.push(b, token, item("h", "f", "update", b64(word(1, 0, "x")))).want(b, "push", 200, "")
	w.settle(b) // that its document has no file is known
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	for at := int64(0); at < size && len(begin) > 0; at += int64(len(begin)) {
		if _, err := file.WriteAt(begin[:min(int64(len(begin)), size-at)], at); err != nil {
			b.Fatal(err)
		}
	}
	f := blocks.File{Key: blocks.BlockKey{Heap: "h", Block: "f"}, Hash: blocks.Hash{1}, Size: size, Name: "film.bin"}
	if err := file.Truncate(size); err != nil {
		b.Fatal(err)
	}
	if err := store.Put(b.Context(), f.Hash, file, size); err != nil {
		b.Fatal(err)
	}
	if err := w.store.AddFile(b.Context(), f); err != nil {
		b.Fatal(err)
	}
	return w, token
}

// startNginx serves the file called file in a folder under every path, and returns the
// server's address; "" if nginx is not installed.
func startNginx(b *testing.B, dir string) string {
	program, err := exec.LookPath("nginx")
	if err != nil {
		b.Log("nginx is not installed")
		return ""
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	user := ""
	if os.Getuid() == 0 {
		user = "user root;"
	}
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`daemon off; master_process off; %s pid %[2]s/pid; error_log %[2]s/errors;
		events {}
		http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
			server { listen %[3]s; location / { root %[2]s; try_files /file =404; } } }`, user, dir, address)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(program, "-p", dir, "-c", conf, "-e", filepath.Join(dir, "errors"))
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for try := 0; ; try++ {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return "http://" + address
		}
		if try == 500 {
			b.Fatalf("nginx does not answer: %v", err)
		}
		time.Sleep(10 * time.Millisecond) // another process starts
	}
}

// BenchmarkFirstByte asks for a byte of a file of 10 GiB, which takes no
// room: wherever it is, it costs the same.
func BenchmarkFirstByte(b *testing.B) {
	const size = 10 << 30
	dir := b.TempDir()
	w, token := newFileWorld(b, dir, filepath.Join(dir, "sparse"), nil, size)
	server := httptest.NewServer(w)
	defer server.Close()
	for _, at := range []int64{0, size / 2, size - 1} {
		b.Run(fmt.Sprint("at", at), func(b *testing.B) {
			for b.Loop() {
				r, err := fetch(b.Context(), server, "/api/file/f/raw/x?heap_id=h", token, fmt.Sprintf("bytes=%d-%d", at, at))
				if err != nil || r.StatusCode != 206 {
					b.Fatal(r, err)
				}
				if _, err := r.Body.Read(make([]byte, 1)); err != nil && err != io.EOF {
					b.Fatal(err)
				}
				r.Body.Close()
			}
		})
	}
}
