package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// End-to-end tests run the real binary, built once.

var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "heapsync-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "heapsync")
		args := []string{"build", "-tags", "sqlite_fts5", "-o", binary}
		if raceEnabled {
			args = append(args, "-race")
		}
		build := exec.Command("go", append(args, ".")...)
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// process is a running server.
type process struct {
	url    string
	dir    string
	cmd    *exec.Cmd
	stderr *lockedBuffer
	done   chan struct{}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startServer runs heapsync serve on dir and waits until it listens. It is killed
// at the end of the test.
func startServer(t testing.TB, dir string, args ...string) *process {
	t.Helper()
	p, err := launch(dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.kill() })
	return p
}

func launch(dir string, args ...string) (*process, error) {
	p := &process{dir: dir, stderr: &lockedBuffer{}, done: make(chan struct{})}
	p.cmd = exec.Command(binary, append([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0"}, args...)...)
	p.cmd.Env = append(os.Environ(), "HEAPSYNC_RATE_LIMITS=off", "HEAPSYNC_MODE=open")
	p.cmd.Stderr = p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	first := make(chan string, 1)
	go func() {
		r := bufio.NewReader(stdout)
		line, _ := r.ReadString('\n')
		first <- line
		_, _ = io.Copy(io.Discard, r)
		_ = p.cmd.Wait()
		close(p.done)
	}()
	select {
	case line := <-first:
		url, found := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
		if !found {
			p.kill()
			return nil, fmt.Errorf("first line %q; stderr: %s", line, p.stderr)
		}
		p.url = url
		return p, nil
	case <-time.After(20 * time.Second):
		p.kill()
		return nil, fmt.Errorf("server did not start; stderr: %s", p.stderr)
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop sends SIGTERM and returns the exit code.
func (p *process) stop(t testing.TB) int {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(15 * time.Second):
		t.Fatal("the server did not stop within 15 s of SIGTERM")
		return -1
	}
}

// requireTests says whether a kind of test must run: then what it needs and is
// missing is a failure, not a reason to skip.
func requireTests(kind string) bool {
	return strings.Contains(","+os.Getenv("REQUIRE_TESTS")+",", ","+kind+",")
}

// nodeTest runs a script with the real clients against the server.
func nodeTest(t *testing.T, p *process, timeout time.Duration, env []string, args ...string) {
	t.Helper()
	dir := filepath.Join("testdata", "clients")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "yjs")); err != nil {
		if requireTests("interop") {
			t.Fatalf("the client packages are not installed in %s: npm ci", dir)
		}
		t.Skipf("the client packages are not installed in %s: npm ci", dir)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "HEAPSYNC_URL="+p.url, "HEAPSYNC_BIN="+binary, "HEAPSYNC_DIR="+p.dir), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("node %s: %v\n%s\nserver:\n%s", strings.Join(args, " "), err, out, tail(p.stderr.String()))
	}
	if testing.Verbose() {
		t.Logf("%s", out)
	}
}

func tail(s string) string {
	if len(s) > 4000 {
		return "…" + s[len(s)-4000:]
	}
	return s
}

func TestRealClients(t *testing.T) {
	t.Parallel()
	p := startServer(t, t.TempDir())
	nodeTest(t, p, 3*time.Minute, nil, "clients.test.mjs")
}

func TestRealTusClient(t *testing.T) {
	t.Parallel()
	p := startServer(t, t.TempDir())
	nodeTest(t, p, 3*time.Minute, nil, "tus.test.mjs")
}

var (
	sessions = flag.Int("sessions", 20, "how many seeded sessions TestRandomSessionsConverge runs")
	seed     = flag.Int("seed", int(time.Now().UnixNano()%1_000_000), "first seed of TestRandomSessionsConverge")
)

func TestRandomSessionsConverge(t *testing.T) {
	t.Parallel()
	t.Logf("first seed %d", *seed)
	nodeTest(t, &process{stderr: &lockedBuffer{}}, 10*time.Minute, nil, "random.mjs", fmt.Sprint(*seed), fmt.Sprint(*sessions), "300")
}

func TestDemoShowsTwoClientsConverge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startServer(t, dir, "--mode", "approval")
	out, err := exec.CommandContext(t.Context(), binary, "demo", "--url", p.url, "--data", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"ada", "bob"} {
		if !strings.Contains(string(out), name+` reads "Notes that work offline, on every device, on a box you own."`) {
			t.Errorf("%s reads something else:\n%s", name, out)
		}
	}
}
