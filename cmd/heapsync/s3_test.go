package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/storage/blobtest"
)

// TestFilesLiveInABucket runs the real server on a real S3 server: a file is uploaded,
// survives a restart, and is served whole and in ranges.
func TestFilesLiveInABucket(t *testing.T) {
	s3, err := blobtest.StartS3(blobtest.S3Program(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s3.Stop()
	dir := t.TempDir()
	settings := []string{"--s3-endpoint", s3.Endpoint, "--s3-bucket", s3.Bucket, "--s3-access-key", s3.AccessKey,
		"--s3-secret-key", s3.SecretKey, "--s3-prefix", "test/", "--s3-style", "path"}
	start := func() *process { return startServer(t, dir, settings...) }
	p := start()
	device, err := newDemoDevice(p.url)
	if err != nil {
		t.Fatal(err)
	}
	token, err := device.login(t.Context())
	if err == nil {
		err = device.call(t.Context(), "/api/heap/add", token, map[string]any{"id": "h", "name": "Heap"}, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, 20<<20) // more than one part
	_, _ = rand.NewChaCha8([32]byte{}).Read(content)
	sum := sha256.Sum256(content)
	var form bytes.Buffer
	m := multipart.NewWriter(&form)
	err = m.WriteField("hash", hex.EncodeToString(sum[:]))
	file, fileErr := m.CreateFormFile("file", "film.mp4")
	if err != nil || fileErr != nil {
		t.Fatal(err, fileErr)
	}
	if _, err := file.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	request := func(method, path string, body io.Reader, headers ...string) (*http.Response, []byte) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, p.url+path, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		got, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, got
	}
	if res, text := request("POST", "/api/upload/file/h/f", &form, "Content-Type", m.FormDataContentType()); res.StatusCode != 200 {
		t.Fatalf("upload: %s %s", res.Status, text)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*")); err != nil || len(left) != 0 {
		t.Errorf("the data folder has %v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "heapsync.db")); err != nil {
		t.Error(err)
	}
	p.stop(t)
	p = start()
	device.url = p.url
	if token, err = device.login(t.Context()); err != nil {
		t.Fatal(err)
	}
	res, got := request("GET", "/api/file/f/raw/film.mp4", nil)
	if res.StatusCode != 200 || !bytes.Equal(got, content) {
		t.Errorf("the file: %s, %d bytes", res.Status, len(got))
	}
	res, got = request("GET", "/api/stream/f/film.mp4", nil, "Range", "bytes=17000000-17000099")
	if res.StatusCode != 206 || !bytes.Equal(got, content[17_000_000:17_000_100]) {
		t.Errorf("a range: %s, %d bytes", res.Status, len(got))
	}
	g := &gallery{p, token}
	g.take(t, "picture", jpegOf(t, 640, 400)) // is fetched to be looked at
	if s := g.show(t, "/api/file/picture/thumbnail/256/x", acceptWebP); s.status != 200 || s.width != 256 {
		t.Errorf("a thumbnail: %d %s %s", s.status, s.code, s.detail)
	}
	out, err := exec.Command(binary, append([]string{"blobs", "verify", "--data", dir}, settings...)...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), ": 0 damaged, 0 missing, 0 that no file refers to") {
		t.Errorf("blobs verify: %v, %s", err, out)
	}
}
