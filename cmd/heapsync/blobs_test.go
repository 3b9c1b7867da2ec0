package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// send makes a request with a body and returns the status and the answer.
func send(method, url, token string, body []byte) (int, []byte, error) {
	r, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}

// TestKilledServerKeepsChunks kills the real server while files are uploaded, again and
// again: no chunk that was acknowledged has to be sent a second time, and in the end all
// files are whole.
func TestKilledServerKeepsChunks(t *testing.T) {
	t.Parallel()
	const files, chunks, chunkSize = 4, 24, 64 << 10
	kills := 12
	if testing.Short() {
		kills = 3
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	var device *demoDevice
	type file struct {
		content []byte
		hash    string
		acked   [chunks]bool
		done    bool
	}
	list := make([]*file, files)
	for i := range list {
		f := &file{content: make([]byte, chunks*chunkSize)}
		for j := range f.content {
			f.content[j] = byte(rng.Uint32())
		}
		sum := sha256.Sum256(f.content)
		f.hash = hex.EncodeToString(sum[:])
		list[i] = f
	}
	for round := 0; ; round++ {
		p, err := launch(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.kill)
		if device == nil {
			if device, err = newDemoDevice(p.url); err != nil {
				t.Fatal(err)
			}
		}
		device.url = p.url
		token, err := device.login(t.Context())
		if err == nil && round == 0 {
			err = device.call(t.Context(), "/api/heap/add", token, map[string]any{"id": "h", "name": "kill"}, nil)
		}
		if err != nil {
			p.kill()
			t.Fatal(err)
		}
		last := round == kills
		var wg sync.WaitGroup
		for i, f := range list {
			var st struct {
				Status   string     `json:"status"`
				Received [][2]int64 `json:"received"`
			}
			err := device.call(t.Context(), fmt.Sprint("/api/upload/init/h/f", i), token,
				map[string]any{"hash": f.hash, "size": len(f.content), "name": "f.bin", "chunk_size": chunkSize}, &st)
			if err != nil {
				t.Fatalf("round %d: init: %v", round, err)
			}
			var there [chunks]bool
			for _, r := range st.Received {
				for n := r[0]; n <= r[1] && st.Status != "complete"; n++ {
					there[n] = true
				}
			}
			if f.done && st.Status != "complete" {
				t.Errorf("round %d: file %d was complete and is %s", round, i, st.Status)
			}
			for n, acked := range f.acked {
				if acked && !there[n] && st.Status != "complete" {
					t.Errorf("round %d: chunk %d of file %d was acknowledged and is lost", round, n, i)
				}
			}
			if st.Status == "complete" {
				f.done = true
				continue
			}
			order := rng.Perm(chunks)
			wg.Go(func() {
				for _, n := range order {
					if there[n] {
						continue
					}
					if status, _, err := send("PUT", fmt.Sprintf("%s/api/upload/chunk/h/f%d/%s/%d", p.url, i, f.hash, n), token, f.content[n*chunkSize:(n+1)*chunkSize]); err != nil || status != 200 {
						return
					}
					f.acked[n] = true
				}
				if status, _, err := send("POST", fmt.Sprintf("%s/api/upload/complete/h/f%d/%s", p.url, i, f.hash), token, nil); err == nil && status == 200 {
					f.done = true
				}
			})
		}
		if !last {
			time.Sleep(time.Duration(5+rng.IntN(60)) * time.Millisecond) // the load runs
			p.kill()
			wg.Wait()
			continue
		}
		wg.Wait()
		for i, f := range list {
			status, got, err := send("GET", fmt.Sprintf("%s/api/file/f%d/raw/f.bin", p.url, i), token, nil)
			if err != nil || status != 200 || !bytes.Equal(got, f.content) {
				t.Errorf("file %d: %d, %d bytes, %v", i, status, len(got), err)
			}
		}
		if code := p.stop(t); code != 0 {
			t.Errorf("exit code %d", code)
		}
		break
	}
	verify := func() (string, error) {
		out, err := exec.Command(binary, "blobs", "verify", "--data", dir).CombinedOutput()
		return string(out), err
	}
	if out, err := verify(); err != nil || !strings.Contains(out, "4 blobs (6291456 bytes): 0 damaged, 0 missing") {
		t.Errorf("verify: %v\n%s", err, out)
	}
	name := list[0].hash
	path := filepath.Join(dir, blobsName, "sha256", name[:2], name[2:4], name)
	bent := bytes.Clone(list[0].content)
	bent[1000] ^= 1
	if err := os.WriteFile(path, bent, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := verify(); err == nil || !strings.Contains(out, name+": damaged") {
		t.Errorf("verify of a bent blob: %v\n%s", err, out)
	}
	if left, err := os.ReadDir(filepath.Join(dir, uploadsName)); err != nil || len(left) > 0 {
		t.Errorf("left of uploads: %v, %v", left, err)
	}

	orphans := func(want string, missing bool, lines ...string) {
		t.Helper()
		out, err := exec.Command(binary, "blobs", "orphans", "--data", dir).CombinedOutput()
		for _, line := range append(lines, want) {
			if !strings.Contains(string(out), line) || missing != (err != nil) {
				t.Errorf("orphans: %v\n%s\nwant %q", err, out, line)
			}
		}
	}
	orphans("4 blobs (6291456 bytes): 0 (0 bytes) that no file refers to, 0 missing, 0 of another size; 0 files of no upload\n", false)
	nobodys := strings.Repeat("ab", 32)
	for path, content := range map[string][]byte{
		filepath.Join(dir, blobsName, "sha256", "ab", "ab", nobodys): []byte("nobody's"),
		filepath.Join(dir, uploadsName, "4711"):                      nil,
		path:                                                         bent[1:],
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gone := list[1].hash
	if err := os.Remove(filepath.Join(dir, blobsName, "sha256", gone[:2], gone[2:4], gone)); err != nil {
		t.Fatal(err)
	}
	orphans("1 (8 bytes) that no file refers to, 1 missing, 1 of another size; 1 files of no upload\n", true,
		nobodys+": no file refers to it (8 bytes)", name+": damaged", gone+": missing", "4711: of no upload")
}
