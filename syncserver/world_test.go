package syncserver_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mr-tron/base58"
	"go.uber.org/goleak" // sees goroutines that a test leaves behind

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/disk"
	"github.com/heapsync/heapsync/storage/sqlite"
	"github.com/heapsync/heapsync/storage/storetest"
	"github.com/heapsync/heapsync/syncserver"
	"github.com/heapsync/heapsync/syncserver/live"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const publicURL = "https://sync.example.org"

// world is a whole server on a database of its own, with a clock that only the
// test moves. Limits on logins are off unless an option sets them.
type world struct {
	*syncserver.Server
	auth  *auth.Service
	store *storetest.Faulty // of heaps and blocks
	log   *logBuffer

	mu   sync.Mutex // guards time
	time time.Time
}

func newWorld(t testing.TB, options ...func(*syncserver.Config)) *world {
	t.Helper()
	return makeWorld(t, blocks.Limits{}, nil, options)
}

// newWorldWith is a world whose domain is set up in another way.
func newWorldWith(t testing.TB, limits blocks.Limits, options ...func(*blocks.LogConfig)) *world {
	t.Helper()
	return makeWorld(t, limits, options, nil)
}

func makeWorld(t testing.TB, limits blocks.Limits, domain []func(*blocks.LogConfig), options []func(*syncserver.Config)) *world {
	t.Helper()
	limits.ImportBytes = 4 << 20
	w := &world{log: &logBuffer{}, time: time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)}
	logger := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "heapsync.db"), Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	w.auth, err = auth.New(auth.Config{
		Store: store, PublicURL: publicURL, Now: w.now, Challenges: &auth.ChallengeLimits{},
		Keys: auth.ServerKeys{
			Identity: ed25519.NewKeyFromSeed([]byte("identity of a server in a test..")),
			Token:    auth.Secret{1}, Ticket: auth.Secret{2},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.store = storetest.NewFaulty(store)
	index, err := sqlite.OpenIndex(t.Context(), sqlite.IndexConfig{Path: filepath.Join(t.TempDir(), "index.db"), Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	files, err := disk.Open(filepath.Join(t.TempDir(), "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	domainConfig := blocks.LogConfig{
		Now: w.now, Store: w.store, Index: index, Logger: logger, Limits: limits,
		Blobs: files, UploadDir: filepath.Join(t.TempDir(), "uploads"), TempDir: t.TempDir(), MediaType: syncserver.MediaType,
	}
	for _, o := range domain {
		o(&domainConfig)
	}
	instance := blocks.New(domainConfig)
	sockets := live.New(live.Config{
		Auth: w.auth, Blocks: instance, Logger: logger, AllowOrigin: func(webOrigin string) bool { return webOrigin == publicURL },
	})
	cfg := syncserver.Config{
		Auth: w.auth, Blocks: instance, Live: sockets, Health: store.Health,
		Name: "test server", Version: "1.2.3", PublicURL: publicURL,
		Limits: syncserver.Limits{Off: true}, Logger: logger, Now: w.now,
	}
	for _, o := range options {
		o(&cfg)
	}
	w.Server = syncserver.New(cfg)

	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { instance.Run(ctx) })
	running.Go(func() { sockets.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
		if err := index.Close(); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
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

// logBuffer is a log that a test can read.
type logBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// answer is what the server said.
type answer struct {
	status int
	header http.Header
	text   string
	json   map[string]any
}

func (a answer) str(key string) string { s, _ := a.json[key].(string); return s }

// at reads a value below objects and arrays of one object: "users.0.id".
func (a answer) at(path string) any {
	var v any = a.json
	for part := range strings.SplitSeq(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[part]
		case []any:
			var i int
			if json.Unmarshal([]byte(part), &i) != nil || i >= len(at) {
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}

// call sends a request as the holder of token, or as nobody if it is "". body is
// sent as it is if it is a string, and else as JSON; nil is no body.
func (w *world) call(t testing.TB, method, path, token string, body any, headers ...string) answer {
	t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, path, reader)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "RemoteAddr" {
			r.RemoteAddr = headers[i+1]
		} else {
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	a := answer{status: rec.Code, header: rec.Header(), text: rec.Body.String()}
	if strings.Contains(a.header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(rec.Body.Bytes(), &a.json); err != nil {
			t.Errorf("%s %s: %v in %q", method, path, err, a.text)
		}
	}
	return a
}

// want checks the status and, if it is an error, the problem's code.
func (a answer) want(t testing.TB, what string, status int, code string) answer {
	t.Helper()
	if a.status != status || a.str("code") != code {
		t.Errorf("%s: %d %s, want %d %q", what, a.status, a.text, status, code)
	}
	if a.status >= 400 && a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s: Content-Type %q", what, a.header.Get("Content-Type"))
	}
	return a
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

type object = map[string]any

// signed returns the body of a verify_session that is as it should be.
func (w *world) signed(t testing.TB, d device, headers ...string) object {
	t.Helper()
	a := w.call(t, "POST", "/api/auth/create_session", "", object{"public_key": d.publicKey}, headers...)
	a.want(t, "create_session", 200, "")
	text := a.str("challenge")
	return object{"public_key": d.publicKey, "message": text, "signature": d.sign(text), "device_name": "laptop"}
}

func (w *world) verify(t testing.TB, d device, headers ...string) answer {
	t.Helper()
	return w.call(t, "POST", "/api/auth/verify_session", "", w.signed(t, d, headers...), headers...)
}

// login logs an approved device in and returns its tokens.
func (w *world) login(t testing.TB, d device) (access, refresh string) {
	t.Helper()
	a := w.verify(t, d).want(t, "login", 200, "")
	if a.json["approval_required"] == true {
		account := w.account(t, d)
		if _, err := w.auth.Approve(t.Context(), auth.Actor{}, account.ID); err != nil {
			t.Fatal(err)
		}
		a = w.verify(t, d).want(t, "login", 200, "")
	}
	return a.str("accessToken"), a.str("refreshToken")
}

func (w *world) admin(t testing.TB, d device) (access, refresh string) {
	t.Helper()
	if _, err := w.auth.Grant(t.Context(), auth.Actor{}, d.publicKey); err != nil {
		t.Fatal(err)
	}
	return w.login(t, d)
}

func (w *world) account(t testing.TB, d device) auth.Account {
	t.Helper()
	key, err := auth.ParsePublicKey(d.publicKey)
	if err != nil {
		t.Fatal(err)
	}
	a, err := w.auth.AccountByKey(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
