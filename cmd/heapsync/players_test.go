package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestPlayersSeek has real players open and seek in a film whose index stands at its end,
// by the address of a ticket: when all of it is there, and while most of it is still to
// come.
func TestPlayersSeek(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"ffmpeg", "ffprobe"} {
		if _, err := exec.LookPath(program); err != nil {
			if requireTests("media") {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	run := func(program string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, append([]string{"-v", "error"}, args...)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s %s: %v, %s", program, args, err, stderr.String())
		}
		return string(out)
	}
	dir := t.TempDir()
	film := filepath.Join(dir, "film.mp4")
	run("ffmpeg", "-f", "lavfi", "-i", "testsrc=size=640x360:rate=25", "-f", "lavfi", "-i", "sine", "-t", "60", "-g", "50", "-c:v", "mpeg4", "-b:v", "2M", "-c:a", "aac", film)
	content, err := os.ReadFile(film)
	if err != nil {
		t.Fatal(err)
	}
	const chunk = 64 << 10
	chunks := (len(content) + chunk - 1) / chunk
	if index := bytes.LastIndex(content, []byte("moov")); chunks < 40 || index < len(content)/2 {
		t.Fatalf("the film has %d chunks, and its index at %d of %d", chunks, index, len(content))
	}
	frame := func(address, at string) string {
		t.Helper()
		return run("ffmpeg", "-ss", at, "-i", address, "-frames:v", "1", "-map", "0:v", "-f", "framemd5", "-")
	}
	duration := func(address string) string {
		t.Helper()
		return run("ffprobe", "-show_entries", "format=duration", "-of", "csv=p=0", address)
	}

	p := startServer(t, filepath.Join(dir, "data"), "--disk-floor-bytes", "-1")
	device, err := newDemoDevice(p.url)
	if err != nil {
		t.Fatal(err)
	}
	token, err := device.login(t.Context())
	if err == nil {
		err = device.call(t.Context(), "/api/heap/add", token, map[string]any{"id": "h", "name": "films"}, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	hash := hex.EncodeToString(sum[:])
	err = device.call(t.Context(), "/api/upload/init/h/f", token, map[string]any{"hash": hash, "size": len(content), "name": "film.mp4", "chunk_size": chunk}, nil)
	if err != nil {
		t.Fatal(err)
	}
	put := func(i int) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "PUT", p.url+"/api/upload/chunk/h/f/"+hash+"/"+strconv.Itoa(i),
			bytes.NewReader(content[i*chunk:min((i+1)*chunk, len(content))]))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(r)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("chunk %d: %v, %v", i, res, err)
		}
		res.Body.Close()
	}
	var ticket struct {
		StreamURL string `json:"stream_url"`
	}
	if err := device.call(t.Context(), "/api/file/f/ticket?heap_id=h", token, map[string]any{}, &ticket); err != nil {
		t.Fatal(err)
	}
	film2 := p.url + ticket.StreamURL[strings.Index(ticket.StreamURL, "/api/"):]

	// The first two seconds are there, and the index; a player that goes to the middle waits.
	tail := chunks - 2
	for i := range chunks {
		if i < 10 || i >= tail {
			put(i)
		}
	}
	if got := duration(film2); !strings.HasPrefix(got, "60.") {
		t.Errorf("while it comes, its duration is %q", got)
	}
	if got, want := frame(film2, "0"), frame(film, "0"); got != want {
		t.Errorf("while it comes, it begins with\n%s, not\n%s", got, want)
	}
	middle := make(chan string, 1)
	go func() { middle <- frame(film2, "30") }()
	for i := 10; i < tail; i++ {
		put(i)
	}
	if got, want := <-middle, frame(film, "30"); got != want {
		t.Errorf("in the middle, while it comes, there is\n%s, not\n%s", got, want)
	}

	if err := device.call(t.Context(), "/api/upload/complete/h/f/"+hash, token, map[string]any{}, nil); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"0", "0.5", "29.96", "59.5"} {
		if got, want := frame(film2, at), frame(film, at); got != want {
			t.Errorf("at %s there is\n%s, not\n%s", at, got, want)
		}
	}
	if got := duration(film2); !strings.HasPrefix(got, "60.") {
		t.Errorf("its duration is %q", got)
	}
	if mpv, err := exec.LookPath("mpv"); err == nil {
		out, err := exec.CommandContext(t.Context(), mpv, "--no-config", "--vo=null", "--ao=null", "--untimed", "--start=50", "--end=52", film2).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "End of file") {
			t.Errorf("mpv: %v, %s", err, out)
		}
	} else {
		t.Log("mpv is not installed")
	}
	res, err := http.Get(film2)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	h := sha256.New()
	if n, err := io.Copy(h, res.Body); err != nil || hex.EncodeToString(h.Sum(nil)) != hash {
		t.Errorf("whole, it has %d other bytes (%v), %s", n, err, fmt.Sprint(res.Header))
	}
}
