package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"image"
	_ "image/gif" // DecodeConfig knows it
	"image/jpeg"
	_ "image/png"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	_ "golang.org/x/image/webp" // DecodeConfig knows it
)

// gallery is a server with one user and the heap "h".
type gallery struct {
	*process
	token string
}

func newGallery(t testing.TB, args ...string) *gallery {
	t.Helper()
	p := startServer(t, t.TempDir(), args...)
	device, err := newDemoDevice(p.url)
	if err != nil {
		t.Fatal(err)
	}
	token, err := device.login(t.Context())
	if err == nil {
		err = device.call(t.Context(), "/api/heap/add", token, map[string]any{"id": "h", "name": "gallery"}, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &gallery{p, token}
}

// engines skips a test that needs vips and ffmpeg, unless they must be there.
func engines(t testing.TB) {
	t.Helper()
	for _, name := range []string{"vips", "ffmpeg"} {
		if _, err := exec.LookPath(name); err != nil {
			if requireTests("media") {
				t.Fatal(err)
			}
			t.Skipf("SKIPPED: %v", err)
		}
	}
}

// tool runs a program that makes a file in a folder of the test's.
func tool(t testing.TB, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// take uploads a file to a block, and returns its hash.
func (g *gallery) take(t testing.TB, block string, content []byte) string {
	t.Helper()
	hash := sha256.Sum256(content)
	name := hex.EncodeToString(hash[:])
	init := fmt.Appendf(nil, `{"hash":%q,"size":%d,"name":%q}`, name, len(content), block)
	status, answer, err := send("POST", g.url+"/api/upload/init/h/"+block, g.token, init)
	if err != nil || status != 200 {
		t.Fatalf("init of %s: %d %s %v", block, status, answer, err)
	}
	if strings.Contains(string(answer), `"complete"`) {
		return name
	}
	const chunk = 8 << 20
	for i := 0; i*chunk < len(content); i++ {
		piece := content[i*chunk : min((i+1)*chunk, len(content))]
		if status, answer, err := send("PUT", fmt.Sprintf("%s/api/upload/chunk/h/%s/%s/%d", g.url, block, name, i), g.token, piece); err != nil || status != 200 {
			t.Fatalf("chunk of %s: %d %s %v", block, status, answer, err)
		}
	}
	if status, answer, err := send("POST", g.url+"/api/upload/complete/h/"+block+"/"+name, g.token, nil); err != nil || status != 200 {
		t.Fatalf("complete %s: %d %s %v", block, status, answer, err)
	}
	return name
}

// shown is a picture, or a problem.
type shown struct {
	status        int
	header        http.Header
	body          []byte
	format        string
	width, height int
	code, detail  string
}

// show asks for a picture until it is made or cannot be.
func (g *gallery) show(t testing.TB, path, accept string) shown {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; {
		r, err := http.NewRequestWithContext(t.Context(), "GET", g.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+g.token)
		r.Header.Set("Accept", accept)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		s := shown{status: res.StatusCode, header: res.Header}
		s.body, err = io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if s.status == 503 && time.Now().Before(end) { // the answer has taken seconds
			continue
		}
		if s.status != 200 {
			var problem struct{ Code, Detail string }
			if err := json.Unmarshal(s.body, &problem); err != nil {
				t.Errorf("%s: %d %q", path, s.status, s.body)
			}
			s.code, s.detail = problem.Code, problem.Detail
			return s
		}
		config, format, err := image.DecodeConfig(bytes.NewReader(s.body))
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		s.width, s.height, s.format = config.Width, config.Height, format
		return s
	}
}

type fileStatus struct {
	Status  string
	Derived []struct {
		Kind, Status, Mime, Code, Reason string
		Size, Width, Height              int
		Position                         int64
	}
	Facts map[string]any
}

func (g *gallery) fileStatus(t testing.TB, block, hash string) (st fileStatus) {
	t.Helper()
	status, answer, err := send("GET", g.url+"/api/status/file/h/"+block+"/"+hash, g.token, nil)
	if err != nil || status != 200 || json.Unmarshal(answer, &st) != nil {
		t.Fatalf("status of %s: %d %s %v", block, status, answer, err)
	}
	return st
}

// fileMap is what a block's document says of its file.
func (g *gallery) fileMap(t testing.TB, block string) map[string]any {
	t.Helper()
	status, answer, err := send("POST", g.url+"/api/block/"+block, g.token, []byte(`{"heap_id":"h"}`))
	var b struct{ File map[string]any }
	if err != nil || status != 200 || json.Unmarshal(answer, &b) != nil {
		t.Fatalf("block %s: %d %s %v", block, status, answer, err)
	}
	return b.File
}

// described waits until a block's document says how wide its file is.
func (g *gallery) described(t testing.TB, block string) map[string]any {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) { // another process has it
		m := g.fileMap(t, block)
		if m["width"] != nil || m["duration"] != nil {
			return m
		}
		if time.Now().After(end) {
			t.Fatalf("file of %s: %v", block, m)
		}
	}
}

const acceptWebP = "image/avif,image/webp,*/*;q=0.8"

// TestPicturesOfRealFiles shows real files of many formats through the real binary.
func TestPicturesOfRealFiles(t *testing.T) {
	t.Parallel()
	engines(t)
	dir := t.TempDir()
	g := newGallery(t)
	source := "testsrc2=s=640x400:d=0.04"
	tool(t, dir, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-frames:v", "1", "a.png")
	tool(t, dir, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=640x400:r=10:d=1", "a.gif")
	tool(t, dir, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=640x400:r=25:d=7", "-c:v", "libx264", "a.mp4")
	for _, name := range []string{"a.jpg", "a.webp", "a.tif", "a.heic", "a.avif"} {
		tool(t, dir, "vips", "copy", "a.png", name)
	}
	tool(t, dir, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=d=2", "-i", "a.jpg", "-map", "0:a", "-map", "1:v", "-c:v", "copy",
		"-disposition:v", "attached_pic", "-c:a", "libmp3lame", "-metadata", "title=Ode", "-metadata", "artist=Ada", "a.mp3")
	tool(t, dir, "vips", "rot", "a.jpg", "turned.png", "d270")
	tool(t, dir, "vips", "jpegsave", "turned.png", "upright.jpg") // orientation is set below
	drawing := []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 25"><script>alert(1)</script><rect width="20" height="25" fill="#f00"/></svg>`)

	for _, c := range []struct {
		name, kind     string
		content        []byte
		width, height  int
		duration       float64
		taken          bool
		shownW, shownH int
	}{
		{"a.jpg", "image", nil, 640, 400, 0, false, 256, 160},
		{"a.png", "image", nil, 640, 400, 0, false, 256, 160},
		{"a.gif", "image", nil, 640, 400, 0, false, 256, 160},
		{"a.webp", "image", nil, 640, 400, 0, false, 256, 160},
		{"a.tif", "image", nil, 640, 400, 0, false, 256, 160},
		{"a.heic", "image", nil, 640, 400, 0, false, 256, 160},
		{"a.avif", "image", nil, 640, 400, 0, false, 256, 160},
		{"a.mp4", "video", nil, 640, 400, 7, false, 256, 160},
		{"a.mp3", "audio", nil, 0, 0, 2, false, 256, 160},
		{"turned.jpg", "image", turnedJPEG(t, readFile(t, filepath.Join(dir, "upright.jpg"))), 640, 400, 0, true, 256, 160},
		{"a.svg", "image", drawing, 40, 25, 0, false, 256, 160},
		{"a.pdf", "document", onePagePDF(), 200, 125, 0, false, 256, 160},
	} {
		content := c.content
		if content == nil {
			content = readFile(t, filepath.Join(dir, c.name))
		}
		block := strings.ReplaceAll(c.name, ".", "_")
		hash := g.take(t, block, content)
		for _, accept := range []string{acceptWebP, "image/jpeg"} {
			s := g.show(t, "/api/file/"+block+"/thumbnail/256/x", accept)
			format := map[string]string{acceptWebP: "webp", "image/jpeg": "jpeg"}[accept]
			if s.status != 200 || s.width != c.shownW || s.height != c.shownH || s.format != format || s.header.Get("Content-Type") != "image/"+format {
				t.Errorf("%s: %d %s %s, %d × %d %s", c.name, s.status, s.code, s.detail, s.width, s.height, s.format)
			}
			if sum := sha256.Sum256(s.body); s.header.Get("ETag") != `"`+hex.EncodeToString(sum[:])+`"` || !strings.Contains(s.header.Get("Vary"), "Accept") {
				t.Errorf("%s: headers %v", c.name, s.header)
			}
		}
		st := g.fileStatus(t, block, hash)
		if st.Status != "ready" || len(st.Derived) < 4 || st.Facts["kind"] != c.kind || c.taken != (st.Facts["taken_at"] != nil) {
			t.Errorf("%s: status %+v", c.name, st)
		}
		m := g.described(t, block)
		number := func(key string) float64 { n, _ := m[key].(float64); return n }
		if int(number("width")) != c.width || int(number("height")) != c.height || number("duration") < c.duration || number("duration") > c.duration+0.2 || m["hash"] != hash {
			t.Errorf("%s: its document says %v", c.name, m)
		}
		if c.kind != "document" && c.name != "a.svg" {
			if thumbhash, err := base64.StdEncoding.DecodeString(fmt.Sprint(m["thumbhash"])); err != nil || len(thumbhash) < 15 {
				t.Errorf("%s: thumbhash %v", c.name, m["thumbhash"])
			}
		}
	}

	// Moments of a video: clamped to its length, in whole seconds.
	seen := map[string]bool{}
	for _, at := range []string{"0", "2.4", "2", "50p", "9999"} {
		s := g.show(t, "/api/file/a_mp4/video_thumbnail/128/"+at, acceptWebP)
		if s.status != 200 || s.width != 128 || s.height != 80 {
			t.Errorf("at %s: %d %s %s, %d × %d", at, s.status, s.code, s.detail, s.width, s.height)
		}
		seen[s.header.Get("ETag")] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d different pictures of 4 moments", len(seen))
	}
	for _, block := range []string{"a_gif", "a_mp4"} {
		s := g.show(t, "/api/file/"+block+"/animated_thumbnail/128/x", acceptWebP)
		if s.status != 200 || s.format != "webp" || !bytes.Contains(s.body[:64], []byte("ANIM")) {
			t.Errorf("animation of %s: %d %s %s %s", block, s.status, s.code, s.detail, s.format)
		}
	}
	for _, path := range []string{"a_jpg/animated_thumbnail/128/x", "a_jpg/video_thumbnail/128/0", "a_mp3/animated_thumbnail/128/x"} {
		if s := g.show(t, "/api/file/"+path, acceptWebP); s.status != 415 || s.code != "unsupported" {
			t.Errorf("%s: %d %s %s", path, s.status, s.code, s.detail)
		}
	}
	var health struct {
		Media struct {
			Status           string
			Formats, Missing []string
		}
	}
	if _, answer, err := send("GET", g.url+"/api/health", "", nil); err != nil || json.Unmarshal(answer, &health) != nil ||
		health.Media.Status != "ok" || len(health.Media.Formats) < 20 || len(health.Media.Missing) != 0 {
		t.Errorf("health %s, %v", answer, err)
	}
	if keep := os.Getenv("HEAPSYNC_KEEP_PICTURES"); keep != "" { // to look at them
		for _, block := range []string{"a_jpg", "turned_jpg", "a_mp4", "a_mp3", "a_pdf", "a_svg", "a_heic"} {
			if err := os.WriteFile(filepath.Join(keep, block+".jpg"), g.show(t, "/api/file/"+block+"/thumbnail/512/x", "image/jpeg").body, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if code := g.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	out, err := exec.Command(binary, "blobs", "verify", "--data", g.dir).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "0 damaged, 0 missing, 0 that no file refers to") {
		t.Errorf("verify: %v\n%s", err, out)
	}
}

// turnedJPEG has a JPEG say that it is to be turned by a quarter, and when it was taken.
func turnedJPEG(t testing.TB, jpeg []byte) []byte {
	t.Helper()
	exif := []byte("Exif\x00\x00II*\x00\x08\x00\x00\x00" +
		"\x02\x00" + // two fields: orientation, date
		"\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00" +
		"\x32\x01\x02\x00\x14\x00\x00\x00\x26\x00\x00\x00" +
		"\x00\x00\x00\x00" + "2026:05:04 10:00:00\x00")
	segment := append([]byte{0xff, 0xe1, byte((len(exif) + 2) >> 8), byte(len(exif) + 2)}, exif...)
	if !bytes.HasPrefix(jpeg, []byte{0xff, 0xd8}) {
		t.Fatal("no JPEG")
	}
	return append(append([]byte{0xff, 0xd8}, segment...), jpeg[2:]...)
}

// onePagePDF is a red page of 200 × 125 points.
func onePagePDF() []byte {
	out, table := "%PDF-1.4\n", "xref\n0 5\n0000000000 65535 f \n"
	for i, object := range []string{
		"<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 125]/Contents 4 0 R>>", "<</Length 25>>stream\n1 0 0 rg 0 0 200 125 re f\nendstream",
	} {
		table += fmt.Sprintf("%010d 00000 n \n", len(out))
		out += fmt.Sprintf("%d 0 obj%sendobj\n", i+1, object)
	}
	return []byte(out + table + fmt.Sprintf("trailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(out)))
}

// TestHostileFilesHarmNothing uploads what is made to hurt decoders: each is answered with
// a reason in words, and the server goes on.
func TestHostileFilesHarmNothing(t *testing.T) {
	t.Parallel()
	engines(t)
	dir := t.TempDir()
	g := newGallery(t)
	tool(t, dir, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x200:r=25:d=3", "-c:v", "libx264", "a.mp4")
	film := readFile(t, filepath.Join(dir, "a.mp4"))
	number := func(n uint32) []byte { return []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} }
	chunk := func(kind string, data ...byte) []byte {
		body := append([]byte(kind), data...)
		return slices.Concat(number(uint32(len(data))), body, number(crc32.ChecksumIEEE(body)))
	}
	huge := append(number(50_000), number(50_000)...)
	png := slices.Concat([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", append(huge, 8, 2, 0, 0, 0)...), chunk("IDAT"), chunk("IEND"))
	gif := append([]byte("GIF89a\x50\xc3\x50\xc3\x80\x00\x00\x00\x00\x00\xff\xff\xff"), 0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x4c, 1, 0, 0x3b)
	laughs := `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><g id="a0"><rect width="9" height="9"/></g>`
	for i := range 9 {
		laughs += fmt.Sprintf(`<g id="a%d">%s</g>`, i+1, strings.Repeat(fmt.Sprintf(`<use href="#a%d"/>`, i), 10))
	}
	canary := filepath.Join(dir, "canary.png")
	tool(t, dir, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=red:s=64x64:d=0.04", "-frames:v", "1", canary)
	for _, c := range []struct {
		name    string
		content string
		status  []int
		codes   string
	}{
		{"bomb.png", string(png), []int{422}, "too_large"},
		{"bomb.gif", string(gif), []int{422}, "too_large"},
		{"laughs.svg", laughs + "</svg>", []int{200, 422}, "timeout too_large damaged"},
		{"reading.svg", `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><image href="file://` + canary + `" width="64" height="64"/></svg>`, []int{200, 422}, "damaged"},
		{"cut.mp4", string(film[:len(film)/2]), []int{422}, "damaged"},
		{"list.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n", []int{415}, "unsupported"},
		{"concat.mp4", "ffconcat version 1.0\nfile '" + canary + "'\n", []int{415}, "unsupported"},
		{"dressed.mp4", string(film[:32]) + "#EXTM3U\nhttp://127.0.0.1:9/x\n", []int{422}, "damaged"},
		{"torn.pdf", "%PDF-1.7\n1 0 obj<</Type/Catalog", []int{422}, "damaged"},
		{"text.jpg", "hello, I am no photograph", []int{415}, "unsupported"},
		{"page.png", "<!doctype html><script>alert(1)</script>", []int{415}, "unsupported"},
		{"empty.jpg", "", []int{415}, "unsupported"},
		{"head.jpg", "\xff\xd8\xff\xe0\x00\x10JFIF\x00", []int{422}, "damaged"},
	} {
		block := strings.ReplaceAll(c.name, ".", "_")
		hash := g.take(t, block, []byte(c.content))
		s := g.show(t, "/api/file/"+block+"/thumbnail/64/x", acceptWebP)
		if !slices.Contains(c.status, s.status) || s.status != 200 && (!strings.Contains(c.codes, s.code) || s.detail == "" || strings.Contains(s.detail, dir)) {
			t.Errorf("%s: %d %s %q", c.name, s.status, s.code, s.detail)
		}
		if st := g.fileStatus(t, block, hash); st.Status != "ready" || s.status != 200 && st.Derived[len(st.Derived)-1].Reason == "" {
			t.Errorf("%s: status %+v", c.name, st)
		}
		if c.name == "reading.svg" && s.status == 200 { // nothing is drawn of the other file
			picture, _, err := image.Decode(bytes.NewReader(g.show(t, "/api/file/"+block+"/thumbnail/64/x", "image/jpeg").body))
			if err != nil {
				t.Fatal(err)
			}
			if r, green, _, _ := picture.At(32, 32).RGBA(); r > 0x8000 && green < 0x4000 {
				t.Error("a drawing shows another file of this machine")
			}
		}
	}
	if status, answer, err := send("GET", g.url+"/api/health", "", nil); err != nil || status != 200 {
		t.Errorf("health: %d %s %v", status, answer, err)
	}
	if code := g.stop(t); code != 0 {
		t.Errorf("exit code %d; %s", code, tail(g.stderr.String()))
	}
}

// TestPicturesAreMadeAfterAKill kills the server between an upload and what is made of it:
// the next start goes on, and in the end all is there.
func TestPicturesAreMadeAfterAKill(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	const files = 6
	rounds := 4
	if testing.Short() {
		rounds = 2
	}
	var g *gallery
	hashes := map[string]string{}
	for round := range rounds {
		p := startServer(t, data)
		if g == nil {
			g = &gallery{process: p}
			device, err := newDemoDevice(p.url)
			if err != nil {
				t.Fatal(err)
			}
			if g.token, err = device.login(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := device.call(t.Context(), "/api/heap/add", g.token, map[string]any{"id": "h", "name": "gallery"}, nil); err != nil {
				t.Fatal(err)
			}
		}
		g.process = p
		for i := range files {
			block := fmt.Sprintf("f%d-%d", round, i)
			hashes[block] = g.take(t, block, jpegOf(t, 640+i, 400+round))
		}
		p.kill()
	}
	g.process = startServer(t, data)
	for block, hash := range hashes {
		if s := g.show(t, "/api/file/"+block+"/thumbnail/256/x", "image/jpeg"); s.status != 200 || s.width != 256 {
			t.Errorf("%s: %d %s %s", block, s.status, s.code, s.detail)
		}
		if st := g.fileStatus(t, block, hash); st.Status != "ready" {
			t.Errorf("%s: %+v", block, st)
		}
		if m := g.described(t, block); m["thumbhash"] == nil {
			t.Errorf("%s: its document says %v", block, m)
		}
	}
	if code := g.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	out, err := exec.Command(binary, "blobs", "verify", "--data", data).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "0 damaged, 0 missing") {
		t.Errorf("verify: %v\n%s", err, out)
	}
	if left, err := filepath.Glob(filepath.Join(data, tempName, "*")); err != nil || len(left) > 0 {
		t.Errorf("left in the folder for what is temporary: %v, %v", left, err)
	}
}

func jpegOf(t testing.TB, width, height int) []byte {
	t.Helper()
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range picture.Pix {
		picture.Pix[i] = byte(i * i >> 8)
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, picture, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestWithoutEnginesThereAreStillPictures runs a server that finds neither libvips nor
// ffmpeg.
func TestWithoutEnginesThereAreStillPictures(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	g := newGallery(t)
	g.take(t, "f", jpegOf(t, 640, 400))
	if s := g.show(t, "/api/file/f/thumbnail/256/x", acceptWebP); s.status != 200 || s.format != "jpeg" || s.header.Get("Content-Type") != "image/jpeg" || s.width != 256 {
		t.Errorf("%d %s %s, %s", s.status, s.code, s.detail, s.format)
	}
	g.take(t, "v", []byte("\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41"))
	if s := g.show(t, "/api/file/v/thumbnail/256/x", acceptWebP); s.status != 415 || s.code != "no_engine" || !strings.Contains(s.detail, "ffmpeg") {
		t.Errorf("a video: %d %s %s", s.status, s.code, s.detail)
	}
	_, answer, err := send("GET", g.url+"/api/health", "", nil)
	if err != nil || !strings.Contains(string(answer), `"media":{"status":"partial"`) || !strings.Contains(string(answer), "libvips-tools is not installed") {
		t.Errorf("health %s, %v", answer, err)
	}
}

func TestPicturesCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	g := newGallery(t, "--media-workers", "-1")
	hash := g.take(t, "f", jpegOf(t, 64, 40))
	if s := g.show(t, "/api/file/f/thumbnail/256/x", acceptWebP); s.status != 415 || s.code != "no_engine" {
		t.Errorf("%d %s %s", s.status, s.code, s.detail)
	}
	if st := g.fileStatus(t, "f", hash); st.Status != "ready" || len(st.Derived) != 0 {
		t.Errorf("status %+v", st)
	}
	if _, answer, err := send("GET", g.url+"/api/health", "", nil); err != nil || !strings.Contains(string(answer), `"media":{"status":"off"`) {
		t.Errorf("health %s, %v", answer, err)
	}
}

func TestListenersHearWhenPicturesAreMade(t *testing.T) {
	t.Parallel()
	g := newGallery(t)
	ws, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(g.url, "http")+"/ws?token="+g.token, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	for _, op := range []string{`{"op":"subscribe","heap_id":"h"}`, `{"op":"none"}`} { // the latter is refused when the former is done
		if err := ws.WriteMessage(websocket.TextMessage, []byte(op)); err != nil {
			t.Fatal(err)
		}
	}
	if err := ws.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	var hash string
	var heard []string
	for !slices.Contains(heard, "file.derived") {
		_, text, err := ws.ReadMessage()
		if err != nil {
			t.Fatalf("%v after %q", err, heard)
		}
		var e struct {
			Event   string
			BlockID string `json:"block_id"`
			Hash    string
		}
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if e.Event == "error" {
			hash = g.take(t, "f", jpegOf(t, 64, 40))
		}
		if strings.HasPrefix(e.Event, "file.") {
			heard = append(heard, e.Event)
			if e.BlockID != "f" || e.Hash != hash {
				t.Errorf("%s", text)
			}
		}
	}
	if !slices.Equal(heard, []string{"file.ready", "file.derived"}) {
		t.Errorf("heard %q", heard)
	}
}
