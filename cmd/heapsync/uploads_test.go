package main

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

var manyUploads = flag.Int("many-uploads", 100, "uploads at once in TestUploadsTakeLittleMemory")

// TestUploadsTakeLittleMemory has many clients in the middle of chunks of 64 MiB at once: a
// thousand of them take less than 200 MB.
func TestUploadsTakeLittleMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	const chunk, sent = 64 << 20, 1 << 20
	p := startServer(t, t.TempDir(), "--disk-floor-bytes", "-1")
	device, err := newDemoDevice(p.url)
	if err != nil {
		t.Fatal(err)
	}
	token, err := device.login(t.Context())
	if err == nil {
		err = device.call(t.Context(), "/api/heap/add", token, map[string]any{"id": "h", "name": "many"}, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, sent)
	var wg sync.WaitGroup
	conns := make([]net.Conn, *manyUploads)
	slots := make(chan struct{}, 50)
	for i := range conns {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			sum := sha256.Sum256(fmt.Append(nil, i))
			hash := hex.EncodeToString(sum[:])
			err := device.call(t.Context(), fmt.Sprint("/api/upload/init/h/f", i), token,
				map[string]any{"hash": hash, "size": chunk, "name": "f", "chunk_size": chunk}, nil)
			if err == nil {
				conns[i], err = net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
			}
			if err == nil {
				_, err = fmt.Fprintf(conns[i], "PUT /api/upload/chunk/h/f%d/%s/0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", i, hash, token, chunk)
			}
			if err == nil {
				_, err = conns[i].Write(body) // more than the kernel holds: most of it has been read
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Skipf("memory is not known here: %v", err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	peak, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range conns {
		if c != nil {
			c.Close()
		}
	}
	t.Logf("%d uploads at once: at most %d MB", len(conns), peak>>10)
	if peak > 200<<10 {
		t.Errorf("the server took %d MB", peak>>10)
	}
}
