package syncserver_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"maps"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/blocks/media"
)

// painter makes pictures of files that say what they want to be: "image 40 20",
// "video 40 20 90" (seconds), "animated 40 20", "song", "bomb", "broken", "slow", "panic".
// Real JPEGs are read as such.
type painter struct {
	gate chan struct{} // if not nil, a thumbnail waits for a value of it

	// mu guards calls.
	mu    sync.Mutex
	calls []string
}

func (p *painter) called(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, fmt.Sprintf(format, args...))
}

// count says how many calls began so.
func (p *painter) count(prefix string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

func (p *painter) Report() media.Report {
	return media.Report{Vips: "1", Formats: []string{"jpeg"}, Missing: []string{"ffmpeg is not installed."}}
}

func (p *painter) read(file *os.File) (f media.Facts, err error) {
	content, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<20))
	if err != nil {
		return f, err
	}
	if config, _, err := image.DecodeConfig(bytes.NewReader(content)); err == nil {
		f.Format = media.Format{Name: "jpeg", MIME: "image/jpeg", Kind: media.Image}
		f.Width, f.Height = config.Width, config.Height
		return f, nil
	}
	var seconds int
	word, _, _ := strings.Cut(string(content), " ")
	f.Format = media.Format{Name: word, MIME: "image/" + word, Kind: media.Image}
	_, _ = fmt.Sscan(strings.TrimPrefix(string(content), word), &f.Width, &f.Height, &seconds)
	switch word {
	case "image", "slow", "late", "panic":
	case "animated":
		f.Animated, f.Frames = true, 3
	case "video":
		f.Format.Kind, f.Duration = media.Video, time.Duration(seconds)*time.Second
	case "song":
		f.Format.Kind, f.Duration = media.Audio, 3*time.Second
	case "bomb":
		return f, fmt.Errorf("%w: far too many pixels", media.ErrTooLarge)
	case "broken":
		return f, fmt.Errorf("%w: it ends too early", media.ErrDamaged)
	default:
		f.Format = media.Format{}
		return f, fmt.Errorf("%w: the format is not known", media.ErrUnsupported)
	}
	return f, nil
}

func (p *painter) Probe(_ context.Context, file *os.File) (media.Facts, error) {
	f, err := p.read(file)
	p.called("probe %s", f.Format.Name)
	return f, err
}

func (p *painter) Thumbnails(ctx context.Context, file *os.File, o media.Options) ([]media.Thumbnail, error) {
	f, err := p.read(file)
	if err != nil {
		return nil, err
	}
	p.called("thumbnails %s %v %s at %v", f.Format.Name, o.Edges, o.Encoding, o.Position.In(f.Duration.Seconds()))
	if f.Format.Name == "panic" {
		panic("a decoder gone wild")
	}
	if f.Format.Name == "late" && len(o.Edges) == 1 {
		return nil, fmt.Errorf("%w: more than 10 s", media.ErrTimeout)
	}
	if p.gate != nil && f.Format.Name == "slow" {
		select {
		case <-p.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	var list []media.Thumbnail
	for _, edge := range o.Edges {
		width := min(edge, max(1, f.Width))
		height := max(1, f.Height*width/max(1, f.Width))
		list = append(list, media.Thumbnail{Edge: edge, Width: width, Height: height, Encoding: o.Encoding,
			Bytes: jpegOf(width, height, int(o.Position.In(f.Duration.Seconds())))})
	}
	return list, nil
}

func (p *painter) Animation(_ context.Context, file *os.File, edge int, _ media.Position) (media.Thumbnail, error) {
	f, err := p.read(file)
	p.called("animation %s %d", f.Format.Name, edge)
	return media.Thumbnail{Edge: edge, Width: edge, Height: edge, Encoding: media.WebP, Bytes: jpegOf(edge, edge, 1)}, err
}

func jpegOf(width, height, grey int) []byte {
	picture := image.NewGray(image.Rect(0, 0, width, height))
	for i := range picture.Pix {
		picture.Pix[i] = byte(grey)
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, picture, nil); err != nil {
		panic(err) // it is large enough
	}
	return out.Bytes()
}

// studio is a shared world with a painter.
type studio struct {
	*shared
	*painter
	derived chan blocks.FileChange
}

func newStudio(t *testing.T, p *painter, limits blocks.Limits, options ...func(*blocks.LogConfig)) *studio {
	w := newWorldWith(t, limits, append(options, func(c *blocks.LogConfig) { c.Media = p })...)
	s := &studio{painter: p, derived: make(chan blocks.FileChange, 1000)}
	s.shared = &shared{w, map[string]string{}, map[string]string{}, map[string]string{}}
	w.Blocks.OnFile(func(c blocks.FileChange) {
		if c.Derived {
			s.derived <- c
		}
	})
	for i, name := range []string{"ada", "bob", "eve"} {
		d := newDevice(int64(i + 1))
		s.token[name], _ = s.login(t, d)
		s.key[name], s.id[name] = d.publicKey, string(s.account(t, d).ID)
	}
	s.as(t, "ada", "POST", "/api/heap/add", object{"id": "h", "name": "Heap"}).want(t, "heap", 201, "")
	return s
}

// looked waits until n more blocks have heard of their files.
func (s *studio) looked(t *testing.T, n int) {
	t.Helper()
	for range n {
		select {
		case <-s.derived:
		case <-time.After(20 * time.Second):
			t.Fatal("a file is not looked at")
		}
	}
}

func (s *studio) fileMap(t *testing.T, who, heap, block string) object {
	t.Helper()
	a := s.as(t, who, "POST", "/api/block/"+block, object{"heap_id": heap}).want(t, "block", 200, "")
	m, _ := a.at("file").(object)
	return m
}

func (s *studio) fileStatus(t *testing.T, who, block, content string) answer {
	t.Helper()
	return s.as(t, who, "GET", "/api/status/file/h/"+block+"/"+hexOf(content), nil).want(t, "status", 200, "")
}

// until waits for what other goroutines are about to do.
func until(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("it does not come")
		}
	}
}

func TestPicturesAreMadeAfterAnUpload(t *testing.T) {
	s := newStudio(t, &painter{}, blocks.Limits{})
	const content = "image 400 200"
	s.upload(t, "ada", "f", content, nil)
	s.looked(t, 1)
	m := s.fileMap(t, "ada", "h", "f")
	if m["width"] != 400.0 || m["height"] != 200.0 || m["thumbhash"] == nil || m["duration"] != nil || m["hash"] != hexOf(content) {
		t.Errorf("the document says %v", m)
	}
	st := s.fileStatus(t, "ada", "f", content)
	if st.str("status") != "ready" || st.at("facts.width") != 400.0 || st.at("derived.0.kind") != "facts" ||
		st.at("derived.1.kind") != "thumbnail" || st.at("derived.1.size") != 256.0 || st.at("derived.1.height") != 128.0 ||
		st.at("derived.2.size") != 1024.0 || st.at("derived.2.status") != "ready" || len(st.json["derived"].([]any)) != 3 {
		t.Errorf("status %s", st.text)
	}
	if s.count("probe") != 1 || s.count("thumbnails image [256 1024] image/webp") != 1 {
		t.Errorf("calls %q", s.calls)
	}
	path := "/api/file/f/thumbnail/256/x"
	a := s.as(t, "ada", "GET", path, nil).want(t, "thumbnail", 200, "")
	if a.header.Get("Content-Type") != "image/webp" || a.header.Get("ETag") != `"`+hexOf(a.text)+`"` || a.header.Get("Vary") != "Accept" ||
		a.header.Get("Cache-Control") != "private, no-cache" || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", a.header)
	}
	s.call(t, "GET", path, s.token["ada"], nil, "If-None-Match", a.header.Get("ETag")).want(t, "not modified", 304, "")
	if head := s.call(t, "HEAD", path, s.token["ada"], nil); head.status != 200 || head.header.Get("Content-Length") != fmt.Sprint(len(a.text)) || head.text != "" {
		t.Errorf("HEAD: %d %v", head.status, head.header)
	}
	for _, exact := range []string{path + "?v=" + hexOf(content), "/api/file/f/thumbnail/256/" + hexOf(content) + ".webp", "/api/download/thumbnail/f/" + hexOf(content) + "/thumbnail/256"} {
		if a := s.as(t, "ada", "GET", exact, nil).want(t, exact, 200, ""); a.header.Get("Cache-Control") != "private, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control %q", exact, a.header.Get("Cache-Control"))
		}
	}
	for accept, want := range map[string]string{
		"image/jpeg": "image/jpeg", "image/webp": "image/webp", "*/*": "image/webp", "image/avif,image/webp,*/*;q=0.8": "image/webp",
		"image/webp;q=0.2, image/jpeg": "image/jpeg", "image/*;q=0.5, image/webp;q=0": "image/jpeg", "text/html": "image/webp",
	} {
		if a := s.call(t, "GET", path, s.token["ada"], nil, "Accept", accept).want(t, accept, 200, ""); a.header.Get("Content-Type") != want {
			t.Errorf("Accept %s: %s, want %s", accept, a.header.Get("Content-Type"), want)
		}
	}
	for size, width := range map[string]int{"64": 64, "128": 128, "small": 256, "512": 400, "medium": 400, "large": 400, "2048": 400} {
		a := s.as(t, "ada", "GET", "/api/file/f/thumbnail/"+size+"/x", nil).want(t, size, 200, "")
		if config, _, err := image.DecodeConfig(strings.NewReader(a.text)); err != nil || config.Width != width {
			t.Errorf("size %s: %d pixels wide, %v", size, config.Width, err)
		}
	}
	for _, size := range []string{"0", "-1", "100", "257", "4096", "1e3", "tiny", "99999999999999999999"} {
		a := s.as(t, "ada", "GET", "/api/file/f/thumbnail/"+size+"/x", nil).want(t, "size "+size, 400, "invalid")
		if !strings.Contains(a.text, "64 128 256 512 1024 2048") {
			t.Errorf("size %s: %s", size, a.text)
		}
	}
	if a := s.as(t, "ada", "GET", "/api/health", nil); a.at("media.status") != "partial" || a.at("media.missing.0") != "ffmpeg is not installed." || a.at("media.formats.0") != "jpeg" {
		t.Errorf("health %s", a.text)
	}
}

func TestTicketsOpenPicturesOfTheirFile(t *testing.T) {
	s := newStudio(t, &painter{}, blocks.Limits{})
	s.upload(t, "ada", "f", "image 400 200", nil)
	s.upload(t, "ada", "g", "image 400 201", nil)
	s.looked(t, 2)
	ticket := s.as(t, "ada", "POST", "/api/file/f/ticket", object{}).want(t, "ticket", 200, "").str("token")
	path := "/api/file/f/thumbnail/256/x?token="
	a := s.call(t, "GET", path+ticket, "", nil).want(t, "with a ticket", 200, "")
	if a.header.Get("Cache-Control") != "private, max-age=31536000, immutable" {
		t.Errorf("Cache-Control %q", a.header.Get("Cache-Control"))
	}
	s.call(t, "GET", path+s.token["ada"], "", nil).want(t, "with a token", 200, "")
	s.call(t, "GET", path, "", nil).want(t, "with nothing", 401, "unauthorized")
	s.call(t, "GET", "/api/file/g/thumbnail/256/x?token="+ticket, "", nil).want(t, "another file's", 401, "unauthorized")
	s.call(t, "GET", path+s.token["eve"], "", nil).want(t, "a stranger's", 404, "not_found")
	s.upload(t, "ada", "f", "image 400 202", nil)
	s.call(t, "GET", path+ticket, "", nil).want(t, "the file before", 401, "unauthorized")
}

func TestWhoIsEarlyWaitsALittle(t *testing.T) {
	p := &painter{gate: make(chan struct{})}
	s := newStudio(t, p, blocks.Limits{PictureWait: time.Nanosecond})
	const content = "slow 400 200"
	s.upload(t, "ada", "f", content, nil)
	a := s.as(t, "ada", "GET", "/api/file/f/thumbnail/256/x", nil).want(t, "early", 503, "processing")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if st := s.fileStatus(t, "ada", "f", content); st.str("status") != "processing" {
		t.Errorf("status %s", st.text)
	}
	p.gate <- struct{}{}
	s.looked(t, 1)
	s.as(t, "ada", "GET", "/api/file/f/thumbnail/256/x", nil).want(t, "made", 200, "")
	s.begin(t, "ada", "g", "on its way", nil).want(t, "init", 200, "")
	s.as(t, "ada", "GET", "/api/file/g/thumbnail/256/x", nil).want(t, "a file on its way", 503, "processing")
}

// Sizes that are asked for while the worker is busy are made by one decoding, and it does
// not take another for who asks again.
func TestSeveralSizesComeFromOneDecoding(t *testing.T) {
	p := &painter{gate: make(chan struct{})}
	s := newStudio(t, p, blocks.Limits{PictureWait: time.Minute})
	s.upload(t, "ada", "f", "image 4000 2000", nil)
	s.looked(t, 1)
	s.upload(t, "ada", "blocker", "slow 400 200", nil)
	until(t, func() bool { return p.count("thumbnails slow") > 0 })
	var wg sync.WaitGroup
	for range 3 {
		for _, size := range []string{"64", "128", "512"} {
			wg.Go(func() {
				s.as(t, "ada", "GET", "/api/file/f/thumbnail/"+size+"/x", nil).want(t, size, 200, "")
			})
		}
	}
	until(t, func() bool { return s.Blocks.MediaWaiting() == 9 })
	close(p.gate)
	wg.Wait()
	if n := p.count("thumbnails image"); n != 2 {
		t.Errorf("%d decodings, want 2: %q", n, p.calls)
	}
}

func TestFilesWithoutAPictureSayWhy(t *testing.T) {
	s := newStudio(t, &painter{}, blocks.Limits{})
	for _, c := range []struct {
		content, code, reason string
		status                int
	}{
		{"just some text", "unsupported", "the format is not known", 415},
		{"song", "unsupported", "there is no picture in it", 415},
		{"bomb 50000 50000", "too_large", "far too many pixels", 422},
		{"broken 4 4", "damaged", "it ends too early", 422},
		{"panic 4 4", "damaged", "the decoder failed on it", 422},
	} {
		block := strings.Fields(c.content)[0]
		s.upload(t, "ada", block, c.content, nil)
		s.looked(t, 1)
		for range 2 {
			a := s.as(t, "ada", "GET", "/api/file/"+block+"/thumbnail/512/x", nil).want(t, c.content, c.status, c.code)
			if !strings.Contains(a.str("detail"), c.reason) {
				t.Errorf("%s: %s", c.content, a.text)
			}
		}
		st := s.fileStatus(t, "ada", block, c.content)
		if st.str("status") != "ready" || !strings.Contains(st.text, c.reason) {
			t.Errorf("%s: status %s", c.content, st.text)
		}
		if n := s.count("probe " + block); n > 1 {
			t.Errorf("%s was looked at %d times", c.content, n)
		}
	}
	if m := s.fileMap(t, "ada", "h", "song"); m["duration"] != 3.0 || m["width"] != nil {
		t.Errorf("the song's document says %v", m)
	}
	s.upload(t, "ada", "still", "image 4 4", nil)
	s.looked(t, 1)
	s.as(t, "ada", "GET", "/api/file/still/animated_thumbnail/64/x", nil).want(t, "a still", 415, "unsupported")
	s.as(t, "ada", "GET", "/api/file/still/video_thumbnail/64/0", nil).want(t, "an image", 415, "unsupported")
	s.as(t, "ada", "POST", "/api/heap_count", object{"heap_id": "h"}).want(t, "the server", 200, "")

	// Administrators learn of those that should have one.
	admin, _ := s.admin(t, newDevice(50))
	a := s.call(t, "GET", "/api/admin/problems", admin, nil).want(t, "problems", 200, "")
	told := map[any]any{}
	pictures, _ := a.json["pictures"].([]any)
	for _, p := range pictures {
		p := p.(map[string]any)
		if told[p["block_id"]] = p["code"]; p["heap_id"] != "h" || p["reason"] == "" || p["name"] == "" {
			t.Errorf("%v", p)
		}
	}
	if want := map[any]any{"bomb": "too_large", "broken": "damaged", "panic": "damaged"}; !maps.Equal(told, want) {
		t.Errorf("problems %v, want %v", told, want)
	}
	if a := s.call(t, "GET", "/api/admin/stats", admin, nil); a.at("storage.failed") != 3.0 {
		t.Errorf("stats %v", a.at("storage"))
	}
}

func TestWhatTakesTooLongIsTriedOnceMore(t *testing.T) {
	s := newStudio(t, &painter{}, blocks.Limits{})
	s.upload(t, "ada", "f", "late 400 200", nil)
	s.looked(t, 1)
	for range 2 {
		s.as(t, "ada", "GET", "/api/file/f/thumbnail/64/x", nil).want(t, "too slow", 422, "timeout")
	}
	if n := s.count("thumbnails late [64]"); n != 2 {
		t.Errorf("%d tries", n)
	}
	s.as(t, "ada", "GET", "/api/file/f/thumbnail/256/x", nil).want(t, "what was made before", 200, "")
}

func TestMomentsOfAVideoAreWholeSeconds(t *testing.T) {
	s := newStudio(t, &painter{}, blocks.Limits{})
	s.upload(t, "ada", "v", "video 400 200 90", nil)
	s.upload(t, "ada", "long", "video 400 200 6000", nil)
	s.looked(t, 2)
	for _, c := range []struct{ block, position, second string }{
		{"v", "0", "0"}, {"v", "1.4", "1"}, {"v", "1.6", "2"}, {"v", "1.9", "2"}, {"v", "89", "89"}, {"v", "90", "89"}, {"v", "9999999", "89"}, {"v", "50p", "45"}, {"v", "100p", "89"},
		{"long", "9", "0"}, {"long", "19", "10"}, {"long", "5999", "5990"}, {"long", "100p", "5990"},
	} {
		before := s.count("thumbnails video [128] image/webp at " + c.second)
		s.as(t, "ada", "GET", "/api/file/"+c.block+"/video_thumbnail/128/"+c.position, nil).want(t, c.position, 200, "")
		s.as(t, "ada", "GET", "/api/file/"+c.block+"/video_thumbnail/128/"+c.position, nil).want(t, c.position, 200, "")
		if n := s.count("thumbnails video [128] image/webp at " + c.second); n == 0 || n > 1+before {
			t.Errorf("%s at %s: second %s was decoded %d times", c.block, c.position, c.second, n)
		}
	}
	if n := s.count("thumbnails video [128]"); n != 5+1+3-1 { // 0, 1, 2, 89, 45; 0, 10, 5990; those of 0 seconds are told apart by nothing
		t.Errorf("%d decodings: %q", n, s.calls)
	}
	for _, position := range []string{"x", "-1", "101p", "1e9", "NaN"} {
		s.as(t, "ada", "GET", "/api/file/v/video_thumbnail/128/"+position, nil).want(t, position, 400, "invalid")
	}
	s.upload(t, "ada", "a", "animated 40 20", nil)
	s.looked(t, 1)
	for _, block := range []string{"a", "v"} {
		for range 2 {
			if a := s.call(t, "GET", "/api/file/"+block+"/animated_thumbnail/128/x", s.token["ada"], nil, "Accept", "image/jpeg").want(t, block, 200, ""); a.header.Get("Content-Type") != "image/webp" {
				t.Errorf("animation: %v", a.header)
			}
		}
	}
	if n := s.count("animation"); n != 2 {
		t.Errorf("%d animations", n)
	}
}

// Blocks that have the same file share its pictures; who may see them is asked for the
// block.
func TestBlocksShareWhatIsMadeOfTheirFile(t *testing.T) {
	s := newStudio(t, &painter{}, blocks.Limits{})
	const content = "image 400 200"
	s.upload(t, "ada", "f", content, nil)
	s.looked(t, 1)
	s.as(t, "eve", "POST", "/api/heap/add", object{"id": "e", "name": "Eve's"}).want(t, "heap", 201, "")
	s.as(t, "eve", "GET", "/api/file/f/thumbnail/256/x?heap_id=h", nil).want(t, "not hers", 404, "not_found")
	s.call(t, "POST", "/api/upload/file/e/own", s.token["eve"], formOf(content), "Content-Type", "multipart/form-data; boundary=x").want(t, "upload", 200, "")
	s.looked(t, 1)
	s.as(t, "eve", "GET", "/api/file/own/thumbnail/256/x", nil).want(t, "her own", 200, "")
	if m := s.fileMap(t, "eve", "e", "own"); m["width"] != 400.0 {
		t.Errorf("the document says %v", m)
	}
	s.begin(t, "ada", "g", content, nil) // complete at once
	s.looked(t, 1)
	if m := s.fileMap(t, "ada", "h", "g"); m["width"] != 400.0 {
		t.Errorf("the document says %v", m)
	}
	if n := s.count("probe"); n != 1 {
		t.Errorf("it was looked at %d times", n)
	}
	admin, _ := s.admin(t, newDevice(50))
	a := s.call(t, "GET", "/api/admin/stats", admin, nil).want(t, "stats", 200, "")
	if bytes, _ := a.at("storage.derived_bytes").(float64); a.at("storage.files") != 1.0 || a.at("storage.files_bytes") != float64(len(content)) ||
		a.at("storage.derived") != 2.0 || bytes < 500 || a.at("storage.pending") != 0.0 || a.at("storage.waiting") != 0.0 {
		t.Errorf("stats %v", a.at("storage"))
	}
}

func pictureFormOf(content []byte, fields ...string) string {
	var b strings.Builder
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		b.WriteString("--x\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n")
	}
	b.WriteString("--x\r\nContent-Disposition: form-data; name=\"thumbnail\"; filename=\"t.jpg\"\r\n\r\n" + string(content) + "\r\n--x--\r\n")
	return b.String()
}

func TestClientsBringPicturesOfWhatTheServerCannotRead(t *testing.T) {
	s := newStudio(t, &painter{}, blocks.Limits{})
	const content = "ciphertext"
	s.upload(t, "ada", "f", content, nil)
	s.upload(t, "ada", "other", content, nil)
	s.upload(t, "ada", "i", "image 40 20", nil)
	s.looked(t, 3)
	s.as(t, "ada", "POST", "/api/heap/h/members", object{"public_key": s.key["bob"], "role": "viewer"}).want(t, "share", 200, "")
	path := "/api/upload/thumbnail/f/" + hexOf(content) + "/key1"
	post := func(who, path string, picture []byte, fields ...string) answer {
		t.Helper()
		return s.call(t, "POST", path, s.token[who], pictureFormOf(picture, fields...), "Content-Type", "multipart/form-data; boundary=x")
	}
	picture := jpegOf(100, 50, 3)
	small := []string{"type=thumbnail", "size=small"}
	for _, c := range []struct {
		what, who, path string
		picture         []byte
		fields          []string
		status          int
		code            string
	}{
		{"by a viewer", "bob", path, picture, small, 403, "forbidden"},
		{"by a stranger", "eve", path, picture, small, 404, "not_found"},
		{"of another file", "ada", "/api/upload/thumbnail/f/" + hexOf("else") + "/key1", picture, small, 404, "not_found"},
		{"of no hash", "ada", "/api/upload/thumbnail/f/zz/key1", picture, small, 400, "invalid"},
		{"of no block", "ada", "/api/upload/thumbnail/none/" + hexOf(content) + "/key1", picture, small, 404, "not_found"},
		{"of no size", "ada", path, picture, []string{"type=thumbnail"}, 400, "invalid"},
		{"of a strange type", "ada", path, picture, []string{"type=../x", "size=64"}, 400, "invalid"},
		{"that is none", "ada", path, []byte("<svg onload=alert(1)>"), small, 400, "invalid"},
		{"that is empty", "ada", path, nil, small, 400, "invalid"},
		{"with too many pixels", "ada", path, jpegOf(2049, 1, 0), small, 413, "too_large"},
		{"with too many bytes", "ada", path, append(bytes.Clone(picture), make([]byte, 1<<20)...), small, 413, "too_large"},
		{"with far too many bytes", "ada", path, make([]byte, 2<<20), small, 413, "too_large"},
		{"with a long key", "ada", path + strings.Repeat("k", 300), picture, small, 400, "invalid"},
	} {
		post(c.who, c.path, c.picture, c.fields...).want(t, c.what, c.status, c.code)
	}
	s.as(t, "ada", "GET", "/api/file/f/thumbnail/256/x", nil).want(t, "none yet", 415, "unsupported")
	if a := post("ada", path, picture, small...).want(t, "a picture", 200, ""); a.str("status") != "stored" || a.at("width") != 100.0 || a.at("size") != 256.0 {
		t.Errorf("%s", a.text)
	}
	for _, path := range []string{"/api/file/f/thumbnail/256/x", "/api/download/thumbnail/f/" + hexOf(content) + "/thumbnail/small"} {
		a := s.as(t, "bob", "GET", path, nil).want(t, path, 200, "")
		if a.text != string(picture) || a.header.Get("Content-Type") != "image/jpeg" {
			t.Errorf("%s: %d bytes, %v", path, len(a.text), a.header)
		}
	}
	s.as(t, "ada", "GET", "/api/file/other/thumbnail/256/x", nil).want(t, "the other block's", 415, "unsupported")
	s.as(t, "ada", "GET", "/api/file/f/thumbnail/64/x", nil).want(t, "another size", 415, "unsupported")
	better := jpegOf(120, 60, 4)
	post("ada", path, better, small...).want(t, "a better one", 200, "")
	if a := s.as(t, "ada", "GET", "/api/file/f/thumbnail/256/x", nil); a.text != string(better) {
		t.Error("the better one is not shown")
	}
	if st := s.fileStatus(t, "ada", "f", content); !strings.Contains(st.text, `"client":true`) {
		t.Errorf("status %s", st.text)
	}
	if bytes, _, err := s.store.FileUsage(t.Context(), blocks.UserID(s.id["ada"])); err != nil || bytes != int64(2*len(content)+len("image 40 20")+len(better)) {
		t.Errorf("ada uses %d bytes, %v", bytes, err)
	}
	if a := post("ada", "/api/upload/thumbnail/i/"+hexOf("image 40 20")+"/k", picture, small...).want(t, "of what the server made", 200, ""); a.str("status") != "ignored" {
		t.Errorf("%s", a.text)
	}
	if a := s.as(t, "ada", "GET", "/api/file/i/thumbnail/256/x", nil); a.text == string(picture) {
		t.Error("the server's picture was replaced")
	}
}

func TestRegenerateLooksAgain(t *testing.T) {
	s := newStudio(t, &painter{}, blocks.Limits{})
	const content = "image 400 200"
	s.upload(t, "ada", "f", content, nil)
	s.looked(t, 1)
	s.as(t, "ada", "GET", "/api/file/f/thumbnail/64/x", nil).want(t, "on demand", 200, "")
	s.pass(time.Second)
	if a := s.as(t, "ada", "POST", "/api/regenerate_file", object{"block_id": "f"}).want(t, "regenerate", 200, ""); a.str("status") != "processing" || a.str("file_hash") != hexOf(content) {
		t.Errorf("%s", a.text)
	}
	s.looked(t, 1)
	if s.count("probe") != 2 {
		t.Errorf("calls %q", s.calls)
	}
	s.as(t, "ada", "GET", "/api/file/f/thumbnail/64/x", nil).want(t, "on demand", 200, "")
	if n := s.count("thumbnails image [64]"); n != 2 {
		t.Errorf("made %d times on demand", n)
	}
	s.as(t, "ada", "POST", "/api/regenerate_file", object{"block_id": "none"}).want(t, "no block", 404, "not_found")
	s.as(t, "ada", "POST", "/api/regenerate_file", object{}).want(t, "no id", 400, "invalid")
	s.as(t, "eve", "POST", "/api/regenerate_file", object{"block_id": "f", "heap_id": "h"}).want(t, "a stranger", 404, "not_found")
}

// One user who asks for very much is refused some of it, and others get theirs.
func TestNobodyTakesAllWorkers(t *testing.T) {
	p := &painter{gate: make(chan struct{})}
	s := newStudio(t, p, blocks.Limits{PictureWait: time.Minute})
	s.as(t, "ada", "POST", "/api/heap/h/members", object{"public_key": s.key["bob"], "role": "viewer"}).want(t, "share", 200, "")
	const files = 70
	for i := range files {
		s.upload(t, "ada", fmt.Sprint("f", i), fmt.Sprintf("image 4000 %d", 2000+i), nil)
	}
	s.looked(t, files)
	s.upload(t, "ada", "blocker", "slow 400 200", nil)
	until(t, func() bool { return p.count("thumbnails slow") > 0 })
	var wg sync.WaitGroup
	refused := make(chan int, files)
	for i := range files {
		wg.Go(func() {
			a := s.as(t, "ada", "GET", fmt.Sprintf("/api/file/f%d/thumbnail/64/x", i), nil)
			if a.status != http.StatusOK {
				a.want(t, "too many", 503, "processing")
				refused <- i
			}
		})
	}
	until(t, func() bool { return s.Blocks.MediaWaiting() == 64 && len(refused) == files-64 })
	wg.Go(func() {
		s.as(t, "bob", "GET", "/api/file/f0/thumbnail/128/x?heap_id=h", nil).want(t, "bob", 200, "")
		s.as(t, "bob", "GET", "/api/file/f69/thumbnail/512/x?heap_id=h", nil).want(t, "bob", 200, "")
	})
	until(t, func() bool { return s.Blocks.MediaWaiting() == 65 })
	close(p.gate)
	wg.Wait()
	if len(refused) != files-64 {
		t.Errorf("%d were refused", len(refused))
	}
}
