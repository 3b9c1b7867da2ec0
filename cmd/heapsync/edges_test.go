package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mr-tron/base58"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/lib0"
	"github.com/heapsync/heapsync/ydoc/protocol"
)

// resident is a server, a device that is logged in, and its heap.
type resident struct {
	*process
	device *demoDevice
	token  string
}

func startResident(t *testing.T, dir string, args ...string) *resident {
	t.Helper()
	p := startServer(t, dir, args...)
	device, err := newDemoDevice(p.url)
	if err != nil {
		t.Fatal(err)
	}
	r := &resident{process: p, device: device}
	if r.token, err = device.login(t.Context()); err == nil {
		err = device.call(t.Context(), "/api/heap/add", r.token, map[string]any{"id": "h", "name": "Heap"}, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// post sends JSON and returns the status and what it was answered with.
func (r *resident) post(t *testing.T, path string, body any) (int, []byte) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), "POST", r.url+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	return answerTo(t, req)
}

func answerTo(t *testing.T, req *http.Request) (int, []byte) {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, text
}

func (r *resident) health(t *testing.T) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", r.url+"/api/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	status, _ := answerTo(t, req)
	return status
}

// pushOne pushes an update of one block; status is the request's, or the item's when
// that is worse.
func (r *resident) pushOne(t *testing.T, block string, update []byte) int {
	t.Helper()
	status, text := r.post(t, "/api/sync/push", map[string]any{"blocks": []any{map[string]any{
		"workspace_id": "h", "block_id": block, "update": base64.StdEncoding.EncodeToString(update),
	}}})
	if status == 200 && !bytes.Contains(text, []byte(`"applied"`)) && !bytes.Contains(text, []byte(`"duplicate"`)) {
		t.Errorf("push: %s", text)
	}
	return status
}

// a stop under load keeps what was acknowledged, and tells every client.
func TestStopUnderLoadKeepsWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := startResident(t, dir)
	const sockets = 200
	var ends [sockets]error
	var acks atomic.Int64
	ledgers := make([]*ledger, sockets)
	var wg sync.WaitGroup
	for i := range sockets {
		l := &ledger{block: fmt.Sprint("b", i%20), client: ydoc.ClientID(1000 + i)}
		ledgers[i] = l
		ws, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(r.url, "http")+"/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		address := "h/" + l.block
		if err := ws.WriteMessage(websocket.BinaryMessage, protocol.AppendHToken(nil, address, r.token, "4.0.0")); err != nil {
			t.Fatal(err)
		}
		inFlight := make(chan struct{}, 2)
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			for {
				select {
				case inFlight <- struct{}{}:
				case <-ctx.Done():
					return
				}
				if ws.WriteMessage(websocket.BinaryMessage, protocol.AppendHSync(nil, address, protocol.SyncUpdate, l.next(killWord))) != nil {
					return
				}
			}
		})
		wg.Go(func() {
			defer cancel()
			for {
				_, data, err := ws.ReadMessage()
				if err != nil {
					ends[i] = err
					return
				}
				if isAck(data) == nil {
					l.ack(len(killWord))
					acks.Add(1)
					<-inFlight
				}
			}
		})
	}
	for deadline := time.Now().Add(20 * time.Second); acks.Load() < 2000; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("only %d acknowledgements; stderr: %s", acks.Load(), r.stderr)
		}
	}
	start := time.Now()
	if code := r.stop(t); code != 0 {
		t.Errorf("exit code %d; stderr: %s", code, tail(r.stderr.String()))
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	wg.Wait()
	for i, err := range ends {
		if !websocket.IsCloseError(err, websocket.CloseServiceRestart, websocket.CloseGoingAway) {
			t.Errorf("socket %d ended with %v", i, err)
		}
	}
	if wal, err := os.Stat(filepath.Join(dir, databaseName+"-wal")); err == nil && wal.Size() > 0 {
		t.Errorf("%d bytes are left in the write-ahead log", wal.Size())
	}
	p := startServer(t, dir)
	r.device.url = p.url
	token, err := r.device.login(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	verifyLedgers(t, r.device, token, "h", ledgers, 0)
	t.Logf("%d edits were acknowledged, the stop took %v", acks.Load(), time.Since(start))
}

//
func TestSecondServerOnTheSameFolderIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := startResident(t, dir)
	before, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, "serve", "--data", dir, "--listen", "127.0.0.1:0").CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); !exited || ctx.Err() != nil || strings.Contains(string(out), "listening") {
		t.Errorf("a second server: %v\n%s", err, out)
	}
	if !strings.Contains(string(out), dir) {
		t.Errorf("it does not say which folder is taken: %s", out)
	}
	after, err := os.ReadDir(dir)
	if err != nil || len(after) != len(before) {
		t.Errorf("the folder has %d files, had %d; %v", len(after), len(before), err)
	}
	if status := r.pushOne(t, "b", appendText(1, 0, ydoc.ID{}, false, "x")); status != 200 {
		t.Errorf("push to the first: %d", status)
	}
}

// a full disk refuses writes, reads go on, and all is well once there is room.
func TestFullDiskRefusesWritesUntilThereIsRoom(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=12m"); err != nil {
		if requireTests("crash") {
			t.Fatalf("a small disk cannot be mounted: %v", err)
		}
		t.Skipf("SKIPPED: a small disk cannot be mounted, so a full one is not tested: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	r := startResident(t, dir)
	text := strings.Repeat("x", 50_000)
	clock, acked := ydoc.Clock(0), ydoc.Clock(0)
	push := func() int {
		status := r.pushOne(t, "b", appendText(7, clock, ydoc.ID{Client: 7, Clock: max(clock, 1) - 1}, clock > 0, text))
		if status == 200 {
			clock += ydoc.Clock(len(text))
			acked = clock
		}
		return status
	}
	if push() != 200 {
		t.Fatal("the first push failed")
	}
	// Something else fills the disk.
	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	for chunk := make([]byte, 4096); err == nil; {
		_, err = f.Write(chunk)
	}
	_ = f.Close()
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	status := 200
	for i := 0; status == 200 && i < 400; i++ {
		status = push()
	}
	if status != 507 && status != 503 {
		t.Fatalf("push to a full disk: %d", status)
	}
	socket := dialEdge(t, r, "h/b")
	socket.send(t, protocol.AppendHSync(nil, "h/b", protocol.SyncUpdate, appendText(8, 0, ydoc.ID{}, false, strings.Repeat("y", 50_000))))
	for range 3 {
		if status := push(); status != 507 && status != 503 {
			t.Errorf("push to a full disk: %d", status)
		}
		if status, text := r.post(t, "/api/sync/pull", map[string]any{"blocks": []any{map[string]any{"workspace_id": "h", "block_id": "b"}}}); status != 200 || !bytes.Contains(text, []byte(`"full"`)) {
			t.Errorf("pull: %d %.200s", status, text)
		}
		if status, _ := r.post(t, "/api/heaps", nil); status != 200 {
			t.Errorf("heaps: %d", status)
		}
	}
	waitFor(t, "health is red", func() bool { return r.health(t) == 503 })
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "pushes are taken again", func() bool { return push() == 200 })
	waitFor(t, "health is green", func() bool { return r.health(t) == 200 })
	// The socket is asked for what could not be stored, and acknowledged once.
	socket.answer(t, "h/b", appendText(8, 0, ydoc.ID{}, false, strings.Repeat("y", 50_000)))
	sv, err := pullVector(t.Context(), r.device, r.token, "h", "b")
	if err != nil || sv.Next(7) != acked || sv.Next(8) != 50_000 {
		t.Errorf("stored: %d of %d, and %d of 50,000; %v", sv.Next(7), acked, sv.Next(8), err)
	}
	if code := r.stop(t); code != 0 {
		t.Errorf("exit code %d; stderr: %s", code, tail(r.stderr.String()))
	}
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// edgeSocket has one document open.
type edgeSocket struct{ ws *websocket.Conn }

func dialEdge(t *testing.T, r *resident, address string) edgeSocket {
	t.Helper()
	ws, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(r.url, "http")+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.Close() })
	s := edgeSocket{ws}
	s.send(t, protocol.AppendHToken(nil, address, r.token, "4.0.0"))
	return s
}

func (s edgeSocket) send(t *testing.T, frame []byte) {
	t.Helper()
	if err := s.ws.WriteMessage(websocket.BinaryMessage, frame); err != nil {
		t.Fatal(err)
	}
}

// answer answers the server's questions with update until it is acknowledged.
func (s edgeSocket) answer(t *testing.T, address string, update []byte) {
	t.Helper()
	_ = s.ws.SetReadDeadline(time.Now().Add(15 * time.Second))
	for {
		_, data, err := s.ws.ReadMessage()
		if err != nil {
			t.Fatalf("no acknowledgement: %v", err)
		}
		if isAck(data) == nil {
			return
		}
		r := lib0.NewReader(data)
		if _, _, typ, err := protocol.ReadHAddress(r); err != nil || typ != protocol.HSync {
			continue
		}
		if kind, _, err := protocol.ReadSync(r); err == nil && kind == protocol.SyncStep1 {
			s.send(t, protocol.AppendHSync(nil, address, protocol.SyncStep2, update))
		}
	}
}

// S-50: whatever is sent as a secret, right or wrong, stays out of the log.
func TestSecretsStayOutOfTheProcessLog(t *testing.T) {
	t.Parallel()
	r := startResident(t, t.TempDir(), "--log-level", "debug")
	const canary = "CANARY-hsa_d3adb33fd3adb33fd3adb33fd3adb33f"
	var pair struct{ Challenge, AccessToken, RefreshToken string }
	if err := r.device.call(t.Context(), "/api/auth/create_session", "", map[string]any{"public_key": r.device.publicKey}, &pair); err != nil {
		t.Fatal(err)
	}
	signature := base58.Encode(ed25519.Sign(r.device.private, []byte(pair.Challenge)))
	if err := r.device.call(t.Context(), "/api/auth/verify_session", "", map[string]any{
		"public_key": r.device.publicKey, "message": pair.Challenge, "signature": signature, "claim": canary,
	}, &pair); err != nil {
		t.Fatal(err)
	}
	secrets := []string{canary, r.token, pair.AccessToken, pair.RefreshToken, signature}
	for _, secret := range secrets {
		for _, request := range []struct{ method, path, header, body string }{
			{"GET", "/api/?token=" + secret, "", ""},
			{"GET", "/api/me", "Bearer " + secret, ""},
			{"GET", "/api/me", secret, ""},
			{"GET", "/api/no/such/" + secret, "", ""},
			{"GET", "/ws?token=" + secret, "", ""},
			{"GET", "/ws/h/b?token=" + secret, "", ""},
			{"GET", "/ws/h/" + secret + "/x?token=" + secret, "", ""},
			{"POST", "/api/auth/refresh_token", "", `{"refresh_token":"` + canary + `"}`},
			{"POST", "/api/auth/verify_session", "", `{"message":"` + secret + `","signature":"` + secret + `","claim":"` + secret + `"}`},
			{"POST", "/api/sync/push", "Bearer " + r.token, `{"blocks":[{"block_id":"` + secret + `","update":"` + secret + `"}]}`},
			{"POST", "/api/heap/add", "Bearer " + r.token, `{"id":"` + secret + `"`},
		} {
			req, err := http.NewRequestWithContext(t.Context(), request.method, r.url+request.path, strings.NewReader(request.body))
			if err != nil {
				t.Fatal(err)
			}
			if request.header != "" {
				req.Header.Set("Authorization", request.header)
			}
			answerTo(t, req)
		}
		for _, path := range []string{"/ws?token=", "/ws/h/b?token="} {
			ws, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(r.url, "http")+path+secret, nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = ws.WriteMessage(websocket.BinaryMessage, protocol.AppendHToken(nil, "h/"+secret, secret, "4.0.0"))
			_ = ws.WriteMessage(websocket.TextMessage, []byte(`{"op":"auth","token":"`+secret+`"}`))
			_ = ws.WriteMessage(websocket.TextMessage, []byte(secret))
			_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(time.Second))
			_ = ws.SetReadDeadline(time.Now().Add(5 * time.Second))
			for err == nil {
				_, _, err = ws.ReadMessage()
			}
			_ = ws.Close()
		}
	}
	if code := r.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	log := r.stderr.String()
	if !strings.Contains(log, "verify_session") {
		t.Fatalf("nothing was logged: %q", tail(log))
	}
	for _, secret := range secrets {
		if i := strings.Index(log, secret); i >= 0 {
			t.Errorf("a secret is in the log: …%s", log[max(0, i-200):i])
		}
	}
}
