package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// benchTarget is a server under load.
type benchTarget struct {
	name  string
	url   string
	many  string // path of the Hocuspocus socket; empty: it has none
	one   string // path of a y-websocket, without the block; empty: it has none
	query string
	heap  string
	token string

	dir  string
	cmd  *exec.Cmd
	done chan struct{}
	log  *lockedBuffer
}

func (t *benchTarget) path(block string) string { return t.one + block + t.query }

// A benchServer starts a server on a folder that may hold what it stored before.
type benchServer struct {
	name  string
	start func(dir string) (*benchTarget, error)
}

var (
	oursServer = benchServer{"heapsync", startOurs}
	ywsServer  = benchServer{"y-websocket", func(dir string) (*benchTarget, error) {
		t, err := startRival("y-websocket", dir, "ywebsocket.mjs")
		if t != nil {
			t.one = "/"
		}
		return t, err
	}}
	hocuspocusServer = benchServer{"Hocuspocus+SQLite", func(dir string) (*benchTarget, error) {
		t, err := startRival("Hocuspocus+SQLite", dir, "hocuspocus.mjs")
		if t != nil {
			t.many = "/"
		}
		return t, err
	}}
)

var errNotInstalled = errors.New("not installed")

func startRival(name, dir, script string) (*benchTarget, error) {
	home := filepath.Join("testdata", "rivals")
	needs := filepath.Join(home, "node_modules", "ws")
	if script == "hocuspocus.mjs" {
		needs = filepath.Join(home, "node_modules", "better-sqlite3", "build", "Release", "better_sqlite3.node")
	}
	if _, err := os.Stat(needs); err != nil {
		return nil, fmt.Errorf("%s: %w (see %s)", name, errNotInstalled, filepath.Join(home, "README.md"))
	}
	return startChild(name, dir, exec.Command("node", filepath.Join(home, script), dir))
}

// ourUsers are who made the heap in a folder, so that a restarted server knows them.
var ourUsers = map[string]*ourUser{}

type ourUser struct {
	device *demoDevice
	heap   string
}

// startOurs runs heapsync serve with its defaults and makes a heap.
func startOurs(dir string) (*benchTarget, error) {
	file := binary
	if *serverFile != "" {
		file = *serverFile
	}
	cmd := exec.Command(file, "serve", "--data", dir, "--listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "HEAPSYNC_RATE_LIMITS=off", "HEAPSYNC_MODE=open")
	t, err := startChild("heapsync", dir, cmd)
	if err != nil {
		return nil, err
	}
	u := ourUsers[dir]
	if u == nil {
		u = &ourUser{}
		ourUsers[dir] = u
		u.device, err = newDemoDevice(t.url)
	}
	u.device.url = t.url
	if err == nil {
		t.token, err = u.device.login(context.Background())
	}
	if err == nil && u.heap == "" {
		var made struct{ ID string }
		err = u.device.call(context.Background(), "/api/heap/add", t.token, map[string]any{"name": "bench"}, &made)
		u.heap = made.ID
	}
	if err != nil {
		t.kill()
		return nil, err
	}
	t.setHeap(u.heap)
	return t, nil
}

func (t *benchTarget) setHeap(heap string) {
	t.heap = heap
	t.many, t.one, t.query = "/ws", "/ws/"+heap+"/", "?token="+url.QueryEscape(t.token)
}

// startChild waits for a server to say where it listens.
func startChild(name, dir string, cmd *exec.Cmd) (*benchTarget, error) {
	t := &benchTarget{name: name, dir: dir, heap: "heap", cmd: cmd, log: &lockedBuffer{}, done: make(chan struct{})}
	cmd.Stderr = t.log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", name, errNotInstalled, err)
	}
	first := make(chan string, 1)
	go func() {
		defer close(t.done)
		r := bufio.NewReader(stdout)
		line, _ := r.ReadString('\n')
		first <- line
		_, _ = io.Copy(io.Discard, r)
		_ = cmd.Wait()
	}()
	select {
	case line := <-first:
		if at, found := strings.CutPrefix(strings.TrimSpace(line), "listening on "); found {
			t.url = at
			return t, nil
		}
		err = fmt.Errorf("%s said %q: %s", name, line, tail(t.log.String()))
	case <-time.After(30 * time.Second):
		err = fmt.Errorf("%s did not start: %s", name, tail(t.log.String()))
	}
	t.kill()
	return nil, err
}

func (t *benchTarget) kill() {
	_ = t.cmd.Process.Kill()
	<-t.done
}

// stop lets the server store what it still has to.
func (t *benchTarget) stop() {
	_ = t.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-t.done:
	case <-time.After(60 * time.Second):
		t.kill()
	}
}

// usage is what a process has used.
type usage struct {
	at  time.Time
	cpu time.Duration
	rss int // KiB
}

// usage reads /proc; where there is none, all is zero.
func (t *benchTarget) usage() usage {
	u := usage{at: time.Now()}
	proc := filepath.Join("/proc", strconv.Itoa(t.cmd.Process.Pid))
	if b, err := os.ReadFile(filepath.Join(proc, "stat")); err == nil {
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		for _, f := range fields[11:13] {
			ticks, _ := strconv.Atoi(f)
			u.cpu += time.Duration(ticks) * (time.Second / 100) // USER_HZ
		}
	}
	if b, err := os.ReadFile(filepath.Join(proc, "status")); err == nil {
		if _, rest, found := strings.Cut(string(b), "VmRSS:"); found {
			u.rss, _ = strconv.Atoi(strings.Fields(rest)[0])
		}
	}
	return u
}

func (u usage) coresSince(before usage) float64 {
	return (u.cpu - before.cpu).Seconds() / u.at.Sub(before.at).Seconds()
}

// onEach runs a load on each server that is installed, one after the other, each
// in a process and a folder of its own.
func onEach(b *testing.B, load func(*benchTarget), servers ...benchServer) {
	b.Helper()
	for _, s := range servers {
		if !strings.Contains(s.name, *only) {
			continue
		}
		t, err := s.start(b.TempDir())
		if errors.Is(err, errNotInstalled) {
			b.Logf("skipped: %v", err)
			continue
		}
		if err != nil {
			b.Fatal(err)
		}
		load(t)
		t.kill()
	}
}
