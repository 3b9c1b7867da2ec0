package media_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks/media"
)

// pngOf makes a PNG of chunks, with right sums.
func pngOf(chunks ...[]byte) []byte {
	out := []byte("\x89PNG\r\n\x1a\n")
	for _, chunk := range chunks {
		out = binary.BigEndian.AppendUint32(out, uint32(len(chunk)-4))
		out = append(out, chunk...)
		out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(chunk))
	}
	return out
}

func ihdr(width, height uint32) []byte {
	chunk := binary.BigEndian.AppendUint32([]byte("IHDR"), width)
	return append(binary.BigEndian.AppendUint32(chunk, height), 8, 2, 0, 0, 0)
}

// pngBomb is a PNG of width × height black pixels, a few kilobytes long for each
// 10,000 × 10,000.
func pngBomb(width, height int) []byte {
	var data bytes.Buffer
	w, _ := zlib.NewWriterLevel(&data, zlib.BestCompression)
	row := make([]byte, 1+3*width)
	for range height {
		w.Write(row)
	}
	w.Close()
	return pngOf(ihdr(uint32(width), uint32(height)), append([]byte("IDAT"), data.Bytes()...), []byte("IEND"))
}

// gifOf makes a GIF of so many equal frames.
func gifOf(width, height uint16, frames int) []byte {
	out := append([]byte("GIF89a"), byte(width), byte(width>>8), byte(height), byte(height>>8), 0x80, 0, 0, 0, 0, 0, 255, 255, 255)
	for range frames {
		// One pixel: clear, color 1, end.
		out = append(out, 0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x4c, 0x01, 0)
	}
	return append(out, 0x3b)
}

// both are the engines and the fallbacks.
func both(t *testing.T) map[string]*media.Engines {
	return map[string]*media.Engines{"engines": engines(t), "alone": alone(t)}
}

var small = media.Options{Edges: []int{64}, Encoding: media.WebP}

func TestBombsAreRefusedByTheirHeads(t *testing.T) {
	bmp := make([]byte, 64)
	copy(bmp, "BM")
	binary.LittleEndian.PutUint32(bmp[10:], 54)
	binary.LittleEndian.PutUint32(bmp[14:], 40)
	binary.LittleEndian.PutUint32(bmp[18:], 50_000)
	binary.LittleEndian.PutUint32(bmp[22:], 50_000)
	bmp[26], bmp[28] = 1, 24
	jpg := []byte("\xff\xd8\xff\xc0\x00\x11\x08\xc3\x50\xc3\x50\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01\xff\xda\x00\x0c")
	webp := []byte("RIFF\x1e\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\x4f\xc3\x00\x4f\xc3\x00VP8 ")
	for engine, m := range both(t) {
		for name, content := range map[string][]byte{
			"png": pngOf(ihdr(50_000, 50_000), []byte("IDAT"), []byte("IEND")), "gif": gifOf(50_000, 50_000, 1), "bmp": bmp, "jpeg": jpg, "webp": webp,
			"tiff": tiffFile(field(0x100, 4, 1, 50_000), field(0x101, 4, 1, 50_000)),
			"heic": heifFile(50_000, 50_000), "widest png": pngOf(ihdr(1<<31-1, 1<<31-1), []byte("IEND")),
		} {
			file := fileOf(t, content)
			if _, err := m.Probe(t.Context(), file); !errors.Is(err, media.ErrTooLarge) {
				t.Errorf("%s: probing %s: %v", engine, name, err)
			}
			if _, err := m.Thumbnails(t.Context(), file, small); !errors.Is(err, media.ErrTooLarge) {
				t.Errorf("%s: thumbnail of %s: %v", engine, name, err)
			}
		}
	}
}

func TestTheLargestPictureFitsIntoTheLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("64 megapixels")
	}
	m := engines(t)
	bomb := pngBomb(8000, 8000)
	thumb, err := m.Thumbnails(t.Context(), fileOf(t, bomb), small)
	if err != nil || thumb[0].Width != 64 {
		t.Errorf("64 megapixels in %d bytes: %v", len(bomb), err)
	}
	if _, err := m.Thumbnails(t.Context(), fileOf(t, pngBomb(8000, 8001)), small); !errors.Is(err, media.ErrTooLarge) {
		t.Errorf("more: %v", err)
	}
}

func TestAGIFOfManyFramesCostsFew(t *testing.T) {
	m := engines(t)
	file := fileOf(t, gifOf(16, 16, 100_000))
	facts, err := m.Probe(t.Context(), file)
	if err != nil || facts.Frames != 100_000 {
		t.Errorf("facts: %+v, %v", facts, err)
	}
	if _, err := m.Thumbnails(t.Context(), file, small); err != nil {
		t.Errorf("still: %v", err)
	}
	thumb, err := m.Animation(t.Context(), file, 64, media.Position{})
	if err != nil {
		t.Fatalf("animation: %v", err)
	}
	if facts, err = m.Probe(t.Context(), fileOf(t, thumb.Bytes)); err != nil || facts.Frames > 300 {
		t.Errorf("animation: %+v, %v", facts, err)
	}
	large := limited(t, media.Limits{FramePixels: 100_000})
	if _, err := large.Animation(t.Context(), fileOf(t, gifOf(300, 300, 5)), 64, media.Position{}); !errors.Is(err, media.ErrTooLarge) {
		t.Errorf("frames beyond the limit: %v", err)
	}
}

func TestTruncatedFilesAreDamagedOrShowWhatIsThere(t *testing.T) {
	film := ffmpeg(t, "a.mp4", "-f", "lavfi", "-i", testVideo, "-c:v", "libx264") // its index is at the end
	for engine, m := range both(t) {
		for _, name := range []string{"a.jpg", "a.png", "a.gif", "a.webp", "a.heic", "a.tif", "a.mp4"} {
			path := film
			if name != "a.mp4" {
				path = picture(t, name, "320x200")
			}
			content := read(t, path)
			for _, keep := range []int{0, 1, 4, 12, 30, 100, len(content) / 2, len(content) - 40} {
				thumbs, err := m.Thumbnails(t.Context(), fileOf(t, content[:keep]), small)
				known := false
				for _, kind := range []error{media.ErrDamaged, media.ErrUnsupported, media.ErrNoEngine} {
					known = known || errors.Is(err, kind)
				}
				if err != nil && !known {
					t.Errorf("%s: %d bytes of %s: %v", engine, keep, name, err)
				}
				if err == nil && thumbs[0].Width != 64 {
					t.Errorf("%s: %d bytes of %s: a thumbnail %d pixels wide", engine, keep, name, thumbs[0].Width)
				}
				if err == nil && keep < 100 {
					t.Errorf("%s: %d bytes of %s have a picture", engine, keep, name)
				}
				noPaths(t, err)
			}
		}
	}
}

// noPaths fails if an error says where something lies on this machine.
func noPaths(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, sign := range []string{"/proc", "/tmp", "/usr", os.TempDir(), "stdin"} {
		if strings.Contains(err.Error(), sign) {
			t.Errorf("an error names %s: %v", sign, err)
		}
	}
}

func TestJunkIsUnsupported(t *testing.T) {
	for engine, m := range both(t) {
		for name, content := range map[string]string{
			"empty": "", "text": "hello world, this is a note", "html": "<!doctype html><html><svg></svg></html>", "zip": "PK\x03\x04aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			"playlist": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n", "concat": "ffconcat version 1.0\nfile a.mp4\n", "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\n",
			"dash": "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"/>", "bm": "BM and nothing else that would make it a picture",
		} {
			if _, err := m.Probe(t.Context(), fileOf(t, []byte(content))); !errors.Is(err, media.ErrUnsupported) {
				t.Errorf("%s: %s: %v", engine, name, err)
			}
		}
	}
	folder := open(t, t.TempDir())
	if _, err := engines(t).Probe(t.Context(), folder); !errors.Is(err, media.ErrUnsupported) {
		t.Errorf("a folder: %v", err)
	}
}

// TestNoFileReachesAnotherFileOrTheNetwork gives the engines all they know that
// names other files and addresses. A listener counts visits; a canary's bytes and
// colour must not appear.
func TestNoFileReachesAnotherFileOrTheNetwork(t *testing.T) {
	m := engines(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var visits atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			visits.Add(1)
			conn.Close()
		}
	}()
	address := listener.Addr().String()
	canary := filepath.Join(t.TempDir(), "canary.png")
	tool(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=c=0xff00ff:s=64x64:d=0.04", "-frames:v", "1", canary)
	canaryVideo := filepath.Join(filepath.Dir(canary), "canary.mp4")
	tool(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=c=0xff00ff:s=64x64:d=1", canaryVideo)

	playlist := func(target string) string {
		return "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10.0,\n" + target + "\n#EXT-X-ENDLIST\n"
	}
	svg := func(body string) string {
		return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="64" height="64">` + body + `</svg>`
	}
	ftyp := "\x00\x00\x00\x14ftypisom\x00\x00\x02\x00isom"
	files := map[string]string{
		"svg image":  svg(`<image width="64" height="64" xlink:href="file://` + canary + `"/>`),
		"svg http":   svg(`<image width="64" height="64" xlink:href="http://` + address + `/a.png"/>`),
		"svg use":    svg(`<use href="http://` + address + `/a.svg#x"/>`),
		"svg css":    svg(`<style>@import url("http://` + address + `/a.css");</style><rect width="9" height="9"/>`),
		"svg entity": `<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file://` + canary + `">]>` + svg(`<text y="30">&x;</text>`),
		"svg nested": svg(`<image width="64" height="64" xlink:href="data:image/svg+xml;base64,` +
			base64.StdEncoding.EncodeToString([]byte(svg(`<image width="64" height="64" xlink:href="file://`+canary+`"/>`))) + `"/>`),
		"svg include": `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xi="http://www.w3.org/2001/XInclude" width="64" height="64"><xi:include href="file://` + canary + `"/></svg>`,
		"pdf": "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/URI/URI(http://" + address + "/)>>>>endobj\n" +
			"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 64 64]/Contents 4 0 R>>endobj\n" +
			"4 0 obj<</Length 0/F(" + canary + ")>>stream\n\nendstream endobj\ntrailer<</Root 1 0 R>>\n",
	}
	for name, target := range map[string]string{
		"http": "http://" + address + "/a.ts", "file": "file://" + canaryVideo, "plain": canaryVideo, "concat": "concat:" + canaryVideo,
		"subfile": "subfile,,start,0,end,0,,:" + canaryVideo, "crypto": "crypto:" + canaryVideo, "data": "data:text/plain,hello",
	} {
		files["playlist to "+name] = playlist(target)
		files["playlist to "+name+" in mp4"] = ftyp + playlist(target)
		files["playlist to "+name+" in ts"] = string(bytes.Repeat(append([]byte{0x47}, make([]byte, 187)...), 4)) + playlist(target)
		files["playlist to "+name+" in mp3"] = "ID3\x03\x00\x00\x00\x00\x00\x00" + playlist(target)
		files["playlist to "+name+" in avi"] = "RIFF\xff\xff\x00\x00AVI " + playlist(target)
		files["concat to "+name] = "ffconcat version 1.0\nfile '" + target + "'\n"
		files["concat to "+name+" in matroska"] = "\x1a\x45\xdf\xa3" + "ffconcat version 1.0\nfile '" + target + "'\n"
	}
	// A QuickTime file whose samples lie in another file.
	reference := ffmpeg(t, "a.mov", "-f", "lavfi", "-i", "testsrc2=s=64x64:d=1")
	moved := bytes.Replace(read(t, reference), []byte("url \x00\x00\x00\x01"), []byte("url \x00\x00\x00\x00"), 1)
	files["mov with a data reference"] = string(moved)

	for name, content := range files {
		file := fileOf(t, []byte(content))
		if _, err := m.Probe(t.Context(), file); err != nil {
			noPaths(t, err)
		}
		thumbs, err := m.Thumbnails(t.Context(), file, media.Options{Edges: []int{64}, Encoding: media.JPEG, Position: media.Poster})
		noPaths(t, err)
		if err == nil {
			noMagenta(t, name, thumbs[0])
		}
		if _, err := m.Animation(t.Context(), file, 64, media.Position{}); err != nil {
			noPaths(t, err)
		}
	}
	listener.Close()
	<-done
	if n := visits.Load(); n != 0 {
		t.Errorf("%d visits over the network", n)
	}
	// The check itself can see the canary.
	thumbs, err := m.Thumbnails(t.Context(), open(t, canary), media.Options{Edges: []int{64}, Encoding: media.JPEG})
	if err != nil || !hasMagenta(t, thumbs[0]) {
		t.Errorf("the canary itself: %v", err)
	}
}

func noMagenta(t *testing.T, name string, thumb media.Thumbnail) {
	t.Helper()
	if hasMagenta(t, thumb) {
		t.Errorf("%s shows another file", name)
	}
}

func hasMagenta(t *testing.T, thumb media.Thumbnail) bool {
	t.Helper()
	picture, err := jpeg.Decode(bytes.NewReader(thumb.Bytes))
	if err != nil {
		t.Fatal(err)
	}
	r, g, b, _ := picture.At(picture.Bounds().Dx()/2, picture.Bounds().Dy()/2).RGBA()
	return r > 0xe000 && b > 0xe000 && g < 0x3000
}

// TestConfinementHolds runs programs that try what engines must not. Each is seen
// to work outside first: else the test would prove nothing.
func TestConfinementHolds(t *testing.T) {
	engines(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	t.Setenv("HEAPSYNC_TEST_SECRET", "canary")
	for name, script := range map[string]string{
		"read a file":        `cat ` + secret,
		"list a folder":      `ls ` + filepath.Dir(secret),
		"write a file":       `echo x > ` + filepath.Join(filepath.Dir(secret), "new"),
		"connect":            `exec 9<>/dev/tcp/127.0.0.1/` + port,
		"read passwd":        `cat /etc/passwd`,
		"read a process":     fmt.Sprintf(`cat /proc/%d/environ`, os.Getpid()),
		"see the secret":     `[ "$HEAPSYNC_TEST_SECRET" = canary ]`,
		"signal the parent":  fmt.Sprintf(`kill -0 %d`, os.Getpid()),
		"leave the group":    `setsid true`,
		"more than its time": `[ "$(ulimit -t)" = unlimited ]`,
		"write a core":       `ulimit -c unlimited`,
	} {
		if out, err := exec.CommandContext(t.Context(), "bash", "-c", script).CombinedOutput(); err != nil {
			t.Errorf("%s does not even work outside: %v\n%s", name, err, out)
		}
		if _, err := media.Confined(t.Context(), media.Limits{}, "/usr/bin/bash", "-c", script+" && true"); err == nil {
			t.Errorf("%s works inside", name)
		}
	}
	if out, err := media.Confined(t.Context(), media.Limits{}, "/usr/bin/bash", "-c", "echo done"); err != nil || string(out) != "done\n" {
		t.Errorf("what is allowed fails: %q, %v", out, err)
	}
}

func TestEnginesEndInTime(t *testing.T) {
	engines(t)
	for name, c := range map[string]struct {
		script string
		limits media.Limits
		want   error
	}{
		"sleeps":     {"sleep 100", media.Limits{Time: 300 * time.Millisecond}, media.ErrTimeout},
		"forks":      {"sleep 100 & sleep 100 & wait", media.Limits{Time: 300 * time.Millisecond}, media.ErrTimeout},
		"spins":      {"while :; do :; done", media.Limits{Time: 1100 * time.Millisecond}, media.ErrTimeout},
		"talks":      {"while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done", media.Limits{Output: 10_000}, media.ErrTooLarge},
		"complains":  {"for i in {1..9999}; do echo /secret/path aaaaaaaaaaa >&2; done; exit 3", media.Limits{}, media.ErrDamaged},
		"crashes":    {"ulimit -v 1000; exec cat", media.Limits{}, media.ErrDamaged},
		"eats":       {"a=$(head -c 300M /dev/zero | tr '\\0' x); echo ${#a}", media.Limits{Memory: 64 << 20}, media.ErrTooLarge},
		"no program": {"", media.Limits{}, media.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			program := "/usr/bin/bash"
			if c.script == "" {
				program = "/usr/bin/no-such-program"
			}
			began := time.Now()
			_, err := media.Confined(t.Context(), c.limits, program, "-c", c.script)
			if name == "no program" {
				c.want = media.ErrNoEngine
			}
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if err != nil && (len(err.Error()) > 400 || strings.Contains(err.Error(), "/secret")) {
				t.Errorf("the error says too much: %v", err)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := media.Confined(ctx, media.Limits{}, "/usr/bin/sleep", "100"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestPolyglotsAreWhatTheyBeginWith(t *testing.T) {
	m := engines(t)
	photo := read(t, picture(t, "a.jpg", "64x48"))
	gif := read(t, picture(t, "a.gif", "64x48"))
	pdf := []byte("%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n")
	html := []byte("<html><script>alert(1)</script></html>")
	for name, c := range map[string]struct {
		content []byte
		format  string
	}{
		"jpeg with html":   {append(bytes.Clone(photo), html...), "jpeg"},
		"gif with js":      {append(bytes.Clone(gif), "/*alert(1)*/"...), "gif"},
		"jpeg with a zip":  {append(bytes.Clone(photo), "PK\x05\x06"+strings.Repeat("\x00", 18)...), "jpeg"},
		"jpeg with a pdf":  {append(bytes.Clone(photo), pdf...), "jpeg"},
		"gif with a jpeg":  {append(bytes.Clone(gif), photo...), "gif"},
		"pdf with a photo": {append(bytes.Clone(pdf), photo...), "pdf"},
	} {
		file := fileOf(t, c.content)
		if format, err := media.Sniff(file, int64(len(c.content))); err != nil || format.Name != c.format {
			t.Errorf("%s is %s, %v", name, format.Name, err)
		}
		thumbs, err := m.Thumbnails(t.Context(), file, small)
		if c.format == "pdf" {
			if !errors.Is(err, media.ErrDamaged) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || thumbs[0].Width != 64 || thumbs[0].Height != 48 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if bytes.Contains(thumbs[0].Bytes, []byte("alert")) {
			t.Errorf("%s: the script is in the thumbnail", name)
		}
	}
}

// photo is a JPEG, white with a black top left quarter, with segments after its
// first marker.
func photo(t testing.TB, width, height int, segments ...[]byte) []byte {
	t.Helper()
	picture := image.NewGray(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			if x >= width/2 || y >= height/2 {
				picture.SetGray(x, y, color.Gray{255})
			}
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, picture, nil); err != nil {
		t.Fatal(err)
	}
	return append(append([]byte("\xff\xd8"), bytes.Join(segments, nil)...), out.Bytes()[2:]...)
}

func segment(marker byte, content []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(content)+2)), content...)
}

func TestJunkBesideThePictureDoesNoHarm(t *testing.T) {
	for engine, m := range both(t) {
		for name, junk := range map[string][]byte{
			"icc":            segment(0xe2, append([]byte("ICC_PROFILE\x00\x01\x01"), bytes.Repeat([]byte("junk"), 5000)...)),
			"icc of 255":     segment(0xe2, append([]byte("ICC_PROFILE\x00\x01\xff"), bytes.Repeat([]byte{255}, 200)...)),
			"exif":           segment(0xe1, append([]byte("Exif\x00\x00"), bytes.Repeat([]byte("II*\x00\x08\x00\x00\x00"), 100)...)),
			"exif of a loop": segment(0xe1, append([]byte("Exif\x00\x00"), tiffFile(field(0x8769, 4, 1, 8), field(0x14a, 4, 1, 8))...)),
			"exif out of it": segment(0xe1, append([]byte("Exif\x00\x00"), tiffFile(field(0x132, 2, 0xffffffff, 0xfffffff0), field(0x8769, 4, 1, 0xfffffff0))...)),
			"orientation 99": segment(0xe1, append([]byte("Exif\x00\x00"), tiffFile(field(0x112, 3, 1, 99))...)),
			"huge comments":  bytes.Repeat(segment(0xfe, bytes.Repeat([]byte("c"), 60_000)), 100),
			"xmp":            segment(0xe1, []byte("http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta")),
		} {
			content := photo(t, 80, 40, junk)
			for _, edges := range [][]int{{40}, {40, 20}} {
				thumbs, err := m.Thumbnails(t.Context(), fileOf(t, content), media.Options{Edges: edges, Encoding: media.JPEG})
				if err != nil {
					t.Errorf("%s: %s: %v", engine, name, err)
					continue
				}
				if thumbs[0].Width != 40 || thumbs[0].Height != 20 || len(thumbs[0].Bytes) > 4000 {
					t.Errorf("%s: %s: %d×%d in %d bytes", engine, name, thumbs[0].Width, thumbs[0].Height, len(thumbs[0].Bytes))
				}
			}
		}
	}
}

// TestAJPEGOfManyScansEndsInTime: each scan of a progressive JPEG can go through
// all pixels and take ten bytes to say so.
func TestAJPEGOfManyScansEndsInTime(t *testing.T) {
	source := picture(t, "source.png", "3000x3000")
	path := filepath.Join(t.TempDir(), "a.jpg")
	tool(t, "vips", "jpegsave", source, path, "--interlace")
	content := read(t, path)
	scan := []byte("\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00") // an empty one, of the first component
	last := bytes.LastIndex(content, []byte("\xff\xd9"))
	bomb := append(bytes.Clone(content[:last]), bytes.Repeat(append(scan, 0), 200_000)...)
	for engine, m := range map[string]*media.Engines{"engines": limited(t, media.Limits{}), "alone": alone(t)} {
		began := time.Now()
		_, err := m.Thumbnails(t.Context(), fileOf(t, bomb), small)
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("%s: %v, after %v", engine, err, took)
		}
	}
}
