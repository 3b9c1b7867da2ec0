package syncserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/disk"
	"github.com/heapsync/heapsync/syncserver"
)

// BenchmarkRaw fetches a file of 1 GiB whole, and by sixteen clients 1,024 ranges of 64 KiB
// of it, by turns from all that there are: "plain" is what net/http gives of the same file,
// and "nginx", where that is installed, what nginx does. Who fetches is a process of its own.
func BenchmarkRaw(b *testing.B) {
	const size, piece = 1 << 30, 64 << 10
	dir := b.TempDir()
	path := filepath.Join(dir, "file")
	w, token := newFileWorld(b, dir, path, []byte(noise(1<<20)), size)
	raw := httptest.NewUnstartedServer(w)
	raw.Config.ConnContext = syncserver.ConnContext
	raw.Start()
	defer raw.Close()
	plain := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { http.ServeFile(rw, r, path) }))
	defer plain.Close()
	servers := []string{raw.URL, plain.URL}
	if nginx := startNginx(b, dir); nginx != "" {
		servers = append(servers, nginx)
	}
	for _, tt := range []struct {
		name    string
		size    int64
		clients int
		each    int
	}{{"whole", size, 1, 1}, {"range", piece, 16, 64}} {
		b.Run(tt.name, func(b *testing.B) {
			task, err := json.Marshal(fetchTask{Servers: servers, Token: token, Size: size, Piece: tt.size, Clients: tt.clients, Each: tt.each, Rounds: b.N})
			if err != nil {
				b.Fatal(err)
			}
			cmd := exec.CommandContext(b.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), fetchVariable+"="+string(task))
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			var took []time.Duration
			if err == nil {
				err = json.Unmarshal(out, &took)
			}
			if err != nil {
				b.Fatal(err)
			}
			for i, took := range took {
				bytes := float64(tt.size) * float64(tt.clients*tt.each*b.N)
				b.ReportMetric(bytes/1e6/took.Seconds(), []string{"raw", "plain", "nginx"}[i]+"-MB/s")
			}
		})
	}
}

// fetchVariable names the variable that makes this program the client of BenchmarkRaw.
const fetchVariable = "HEAPSYNC_TEST_FETCH"

type fetchTask struct {
	Servers     []string
	Token       string
	Size, Piece int64
	Clients     int // at once
	Each        int // requests of a client in a round
	Rounds      int
}

func init() {
	text := os.Getenv(fetchVariable)
	if text == "" {
		return
	}
	var task fetchTask
	err := json.Unmarshal([]byte(text), &task)
	if err == nil {
		var took []time.Duration
		if took, err = task.run(); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(took)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run returns how long each server took for all its pieces.
func (t fetchTask) run() ([]time.Duration, error) {
	took := make([]time.Duration, len(t.Servers))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: t.Clients}}
	for round := range t.Rounds {
		for i := range t.Servers {
			i = (i + round) % len(t.Servers)
			began := time.Now()
			var clients errgroup.Group
			for c := range t.Clients {
				clients.Go(func() error {
					buf := make([]byte, 256<<10)
					for n := range t.Each {
						if err := t.fetch(client, t.Servers[i], (round*t.Clients+c)*t.Each+n, buf); err != nil {
							return err
						}
					}
					return nil
				})
			}
			if err := clients.Wait(); err != nil {
				return nil, err
			}
			took[i] += time.Since(began)
		}
	}
	return took, nil
}

// fetch gets the n-th piece.
func (t fetchTask) fetch(client *http.Client, server string, n int, buf []byte) error {
	ranges := ""
	if t.Piece < t.Size {
		from := int64(n) * 7919 * t.Piece % (t.Size - t.Piece)
		ranges = fmt.Sprintf("bytes=%d-%d", from, from+t.Piece-1)
	}
	r, err := fetchFrom(context.Background(), client, server+"/api/file/f/raw/x?heap_id=h", t.Token, ranges)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	// Without the buffer, most of the time would be the client's.
	got, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, buf)
	if err != nil || got != t.Piece || r.StatusCode > 206 {
		return fmt.Errorf("%s: status %d, %d bytes: %w", server, r.StatusCode, got, err)
	}
	return nil
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
	text := fmt.Sprintf(`daemon off; %s worker_processes 1; pid %[2]s/pid; error_log %[2]s/errors;
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
		_ = cmd.Process.Signal(os.Interrupt)
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
