package main

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// scansAnswer is what /api/active_scans says.
type scansAnswer struct {
	Scans, Recent []struct {
		ScanID string `json:"scan_id"`
		Status string
		Done   int64
		Errors int64
		Found  int64
	}
}

// treeOf describes a folder, with the times of all that is in it.
func treeOf(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		fmt.Fprintf(&b, "%s %s %d %d\n", path, info.Mode(), info.Size(), info.ModTime().UnixNano())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestKilledServerGoesOnScanning kills the real server in the midst of a scan, again and again:
// in the end there is one block for each file and folder, and the folder is what it was.
func TestKilledServerGoesOnScanning(t *testing.T) {
	t.Parallel()
	const files, folders = 3000, 20
	kills := 6
	if testing.Short() {
		kills = 2
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	media, dir := filepath.Join(t.TempDir(), "media"), t.TempDir()
	long := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	put := func(name string, content []byte) {
		path := filepath.Join(media, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, content, 0o644)
		}
		if err == nil {
			err = os.Chtimes(path, long, long)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range files {
		put(fmt.Sprintf("%d/%d.txt", i%folders, i), fmt.Append(nil, "content ", i))
	}
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 300, 200))); err != nil {
		t.Fatal(err)
	}
	put("picture.png", picture.Bytes())
	before := treeOf(t, media)

	var device *demoDevice
	var token string
	start := func(args ...string) *process {
		p, err := launch(dir, args...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.kill)
		if device == nil {
			if device, err = newDemoDevice(p.url); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(binary, "admin", "grant", device.publicKey, "--data", dir).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
		device.url = p.url
		if token, err = device.login(t.Context()); err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := start("--media-workers", "-1")
	if err := device.call(t.Context(), "/api/heap/add", token, map[string]any{"id": "h", "name": "media"}, nil); err != nil {
		t.Fatal(err)
	}
	scan := map[string]any{"heap_id": "h", "path": media}
	if err := device.call(t.Context(), "/api/scan_folder", token, scan, nil); err == nil || !strings.Contains(err.Error(), "403") {
		t.Fatalf("a folder that nobody allowed: %v", err)
	}
	if out, err := exec.Command(binary, "admin", "scan-roots", media, "--data", dir).CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != media {
		t.Fatalf("%v\n%s", err, out)
	}
	var begun struct {
		ScanID string `json:"scan_id"`
	}
	for begun.ScanID == "" { // the server has yet to see what another process wrote
		err := device.call(t.Context(), "/api/scan_folder", token, scan, &begun)
		if err != nil && !strings.Contains(err.Error(), "403") {
			t.Fatal(err)
		}
	}
	var now scansAnswer
	active := func() bool {
		now = scansAnswer{}
		if err := device.get(t.Context(), "/api/active_scans", token, &now); err != nil {
			t.Fatal(err)
		}
		return len(now.Scans) > 0
	}
	killed := 0
	for ; killed < kills; killed++ {
		for until := rng.Int64N(files / 2); active() && now.Scans[0].Done <= until; {
		}
		if !active() {
			break
		}
		p.kill()
		p = start("--media-workers", "-1")
	}
	for active() {
	}
	// A scan that ended just before a kill is known to nobody; what it has made is looked at below.
	for _, last := range now.Recent {
		if last.ScanID != begun.ScanID || last.Status != "done" || last.Errors != 0 || last.Done != files+1 {
			t.Fatalf("after %d kills: %+v", killed, now.Recent)
		}
	}
	if killed == 0 {
		t.Error("the scan was over before the server could be killed")
	}
	p.kill()
	p = start("--disk-floor-bytes", "-1") // now with pictures
	count := struct {
		Total  int64
		ByType map[string]int64 `json:"by_type"`
	}{}
	for count.Total < files+folders+2 {
		if err := device.call(t.Context(), "/api/heap_count", token, map[string]any{"heap_id": "h"}, &count); err != nil {
			t.Fatal(err)
		}
	}
	if count.ByType["file"] != files+1 || count.ByType["folder"] != folders+1 {
		t.Errorf("%+v", count)
	}
	var hits struct {
		Blocks []struct {
			BlockID string `json:"block_id"`
			Title   string
		}
	}
	if err := device.call(t.Context(), "/api/heap", token, map[string]any{"heap_id": "h", "query": "picture.png"}, &hits); err != nil || len(hits.Blocks) != 1 {
		t.Fatalf("%+v, %v", hits, err)
	}
	block := hits.Blocks[0].BlockID
	if status, content, err := send("GET", p.url+"/api/file/"+block+"/raw/picture.png", token, nil); err != nil || status != 200 || !bytes.Equal(content, picture.Bytes()) {
		t.Errorf("raw: %d, %d bytes, %v", status, len(content), err)
	}
	for tries := 0; ; tries++ { // 503 while it is made
		status, content, err := send("GET", p.url+"/api/file/"+block+"/thumbnail/256/picture.png", token, nil)
		if err != nil || status == 503 && tries < 20 {
			continue
		}
		if status != 200 || len(content) == 0 {
			t.Errorf("thumbnail: %d %s", status, content)
		}
		break
	}
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if after := treeOf(t, media); after != before {
		t.Errorf("the folder was\n%s\nand is\n%s", before, after)
	}
	for _, command := range [][]string{{"check"}, {"blobs", "verify"}} {
		if out, err := exec.Command(binary, append(command, "--data", dir)...).CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", command, err, out)
		}
	}
}
