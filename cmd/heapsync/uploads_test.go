package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
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
	peak := peakMemory(t, p)
	for _, c := range conns {
		if c != nil {
			c.Close()
		}
	}
	t.Logf("%d uploads at once: at most %d MB", len(conns), peak>>20)
	if peak > 200<<20 {
		t.Errorf("the server took %d MB", peak>>20)
	}
}

var uploadKills = flag.Int("upload-kills", 10, "how often TestKilledServerKeepsWhatOfFilesItAcknowledged kills the server")

// TestKilledServerKeepsWhatOfFilesItAcknowledged kills the real server while a client of
// tus and one that sends chunks are at it, again and again. What was acknowledged is there
// after each start, and both files are whole at the end.
func TestKilledServerKeepsWhatOfFilesItAcknowledged(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(*killSeed, 1))
	t.Logf("seed %d, %d kills", *killSeed, *uploadKills)
	const size, chunk = 24 << 20, 64 << 10
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content)
	sum := sha256.Sum256(content)
	hash := hex.EncodeToString(sum[:])
	dir := t.TempDir()
	var device *demoDevice
	var token, url, at string
	call := func(method, path string, body io.Reader, headers ...string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), method, url+path, body)
		if err != nil {
			return nil, err
		}
		headers = append(headers, "Authorization", "Bearer "+token, "Tus-Resumable", "1.0.0")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		res, err := http.DefaultClient.Do(r)
		if err == nil {
			_, err = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		return res, err
	}
	offset := func() (n int64) {
		t.Helper()
		res, err := call("HEAD", at, nil)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("head: %v, %v", res, err)
		}
		if n, err = strconv.ParseInt(res.Header.Get("Upload-Offset"), 10, 64); err != nil {
			t.Fatal(err)
		}
		return n
	}
	acked, chunks := int64(0), map[int]bool{} // of the one file, and of the other
	chunkBytes := func(i int) []byte { return content[i*chunk : (i+1)*chunk] }
	for round := 0; ; round++ {
		p, err := launch(dir, "--disk-floor-bytes", "-1")
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		defer p.kill()
		url = p.url
		if device == nil {
			device, err = newDemoDevice(url)
		}
		if err == nil {
			device.url = url
			token, err = device.login(t.Context())
		}
		if err == nil && round == 0 {
			err = device.call(t.Context(), "/api/heap/add", token, map[string]any{"id": "h", "name": "kill"}, nil)
		}
		if err == nil && round == 0 {
			err = device.call(t.Context(), "/api/upload/init/h/chunks", token, map[string]any{"hash": hash, "size": size, "name": "f", "chunk_size": chunk}, nil)
		}
		if err == nil && round == 0 {
			var res *http.Response
			if res, err = call("POST", "/api/files/?heap_id=h", nil, "Upload-Length", strconv.Itoa(size)); err == nil {
				at = res.Header.Get("Location")
			}
		}
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		have := offset()
		if have < acked {
			t.Fatalf("round %d: %d bytes are there, and %d were acknowledged", round, have, acked)
		}
		acked = have
		var status struct{ Received [][2]int }
		if err := device.get(t.Context(), "/api/upload/status/h/chunks/"+hash, token, &status); err != nil {
			t.Fatal(err)
		}
		there := map[int]bool{}
		for _, r := range status.Received {
			for i := r[0]; i <= r[1]; i++ {
				there[i] = true
			}
		}
		for i := range chunks {
			if !there[i] {
				t.Fatalf("round %d: chunk %d was acknowledged, and is not there", round, i)
			}
		}
		if round == *uploadKills {
			finishUploads(t, call, at, acked, content, hash, there)
			break
		}
		var wg sync.WaitGroup
		wg.Go(func() { // both until the server is gone
			for acked < size/2 {
				end := min(acked+rng.Int64N(300<<10)+1, size/2)
				res, err := call("PATCH", at, bytes.NewReader(content[acked:end]), "Content-Type", "application/offset+octet-stream", "Upload-Offset", fmt.Sprint(acked))
				if err != nil || res.StatusCode != 204 {
					return
				}
				acked = end
			}
		})
		wg.Go(func() {
			for i := range size / chunk {
				if there[i] {
					continue
				}
				res, err := call("PUT", fmt.Sprintf("/api/upload/chunk/h/chunks/%s/%d", hash, i), bytes.NewReader(chunkBytes(i)))
				if err != nil || res.StatusCode != 200 {
					return
				}
				chunks[i] = true
			}
		})
		pause := 20 + rand.New(rand.NewPCG(*killSeed, uint64(round))).IntN(150)
		time.Sleep(time.Duration(pause) * time.Millisecond) // the load runs
		p.kill()
		wg.Wait()
	}
	if acked == 0 || len(chunks) == 0 {
		t.Errorf("%d bytes and %d chunks were acknowledged: the load is broken", acked, len(chunks))
	}
}

// finishUploads sends what lacks of both files, and compares them.
func finishUploads(t *testing.T, call func(method, path string, body io.Reader, headers ...string) (*http.Response, error), at string, acked int64, content []byte, hash string, there map[int]bool) {
	t.Helper()
	const chunk = 64 << 10
	res, err := call("PATCH", at, bytes.NewReader(content[acked:]), "Content-Type", "application/offset+octet-stream", "Upload-Offset", fmt.Sprint(acked))
	if err != nil || res.StatusCode != 204 || res.Header.Get("File-Hash") != hash {
		t.Fatalf("the rest: %v, %v", res, err)
	}
	for i := range len(content) / chunk {
		if there[i] {
			continue
		}
		res, err := call("PUT", fmt.Sprintf("/api/upload/chunk/h/chunks/%s/%d", hash, i), bytes.NewReader(content[i*chunk:(i+1)*chunk]))
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("chunk %d: %v, %v", i, res, err)
		}
	}
	if res, err := call("POST", "/api/upload/complete/h/chunks/"+hash, nil); err != nil || res.StatusCode != 200 {
		t.Errorf("complete: %v, %v", res, err)
	}
}

// peakMemory is the most bytes that the server has had at once.
func peakMemory(t *testing.T, p *process) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Skipf("memory is not known here: %v", err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	peak, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return peak << 10
}

var stormBytes = flag.Int64("storm-bytes", 128<<20, "size of the file in TestSeekingTakesLittleMemory")

// TestSeekingTakesLittleMemory has many players seek at once in a large file, and go away
// before they have all that they asked for.
func TestSeekingTakesLittleMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	size := *stormBytes
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
	request := func(method, path string, body io.Reader, headers ...string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), method, p.url+path, body)
		if err != nil {
			t.Error(err)
			return nil
		}
		r.Header.Set("Authorization", "Bearer "+token)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return nil
		}
		return res
	}
	content := io.LimitReader(rand.NewChaCha8([32]byte{5}), size)
	res := request("POST", "/api/files/?heap_id=h", content, "Tus-Resumable", "1.0.0", "Upload-Length", fmt.Sprint(size), "Content-Type", "application/offset+octet-stream")
	if res == nil || res.StatusCode != 201 || res.Header.Get("File-Hash") == "" {
		t.Fatalf("upload: %v", res)
	}
	res.Body.Close()
	path := "/api/stream/" + res.Header.Get("Block-Id") + "/film"
	before := peakMemory(t, p)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			for range 30 {
				res := request("GET", path, nil, "Range", fmt.Sprintf("bytes=%d-", rng.Int64N(size)))
				if res == nil {
					return
				}
				if _, err := io.CopyN(io.Discard, res.Body, rng.Int64N(1<<20)); err != nil && err != io.EOF || res.StatusCode != 206 {
					t.Errorf("range: %s, %v", res.Status, err)
				}
				res.Body.Close()
			}
		})
	}
	wg.Wait()
	if more := peakMemory(t, p) - before; more > 64<<20 {
		t.Errorf("the server took %d MB more", more>>20)
	} else {
		t.Logf("64 players took %d MB more than %d", more>>20, before>>20)
	}
}
