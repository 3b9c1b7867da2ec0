package media_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg"
	"image/png"
	"strings"
	"testing"
	"time"

	_ "golang.org/x/image/webp"

	"github.com/heapsync/heapsync/blocks/media"
)

// thumbnails makes them and looks at every one.
func thumbnails(t *testing.T, m *media.Engines, path string, o media.Options) []media.Thumbnail {
	t.Helper()
	all, err := m.Thumbnails(t.Context(), open(t, path), o)
	if err != nil {
		t.Fatalf("thumbnails: %v", err)
	}
	if len(all) != len(o.Edges) {
		t.Fatalf("%d thumbnails of %d edges", len(all), len(o.Edges))
	}
	for i, thumb := range all {
		config, name, err := image.DecodeConfig(bytes.NewReader(thumb.Bytes))
		if err != nil {
			t.Fatalf("edge %d: %v", o.Edges[i], err)
		}
		if config.Width != thumb.Width || config.Height != thumb.Height || thumb.Edge != o.Edges[i] || "image/"+name != string(thumb.Encoding) {
			t.Errorf("edge %d: says %d×%d %s, is %d×%d %s", o.Edges[i], thumb.Width, thumb.Height, thumb.Encoding, config.Width, config.Height, name)
		}
	}
	return all
}

func TestEveryImageFormatGetsItsThumbnails(t *testing.T) {
	m := engines(t)
	for name, file := range map[string]string{
		"jpeg": "a.jpg", "png": "a.png", "gif": "a.gif", "webp": "a.webp", "bmp": "a.bmp",
		"tiff": "a.tif", "heic": "a.heic", "avif": "a.avif", "jxl": "a.jxl", "jp2": "a.jp2",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := picture(t, file, "320x200")
			facts, err := m.Probe(t.Context(), open(t, path))
			if err != nil {
				t.Fatal(err)
			}
			if facts.Format.Name != name || facts.Format.Kind != media.Image || facts.Width != 320 || facts.Height != 200 || facts.Animated {
				t.Errorf("facts: %+v", facts)
			}
			for _, encoding := range []media.Encoding{media.WebP, media.JPEG} {
				for _, edges := range [][]int{{64}, {64, 1024, 128}} {
					for i, thumb := range thumbnails(t, m, path, media.Options{Edges: edges, Encoding: encoding}) {
						want := map[int][2]int{64: {64, 40}, 128: {128, 80}, 1024: {320, 200}}[edges[i]]
						if name == "jp2" && edges[i] == 1024 {
							want = [2]int{160, 100} // libvips 8.14 takes it from a smaller resolution within
						}
						if thumb.Width != want[0] || thumb.Height != want[1] || thumb.Encoding != encoding {
							t.Errorf("edge %d of %v: %d×%d %s", edges[i], edges, thumb.Width, thumb.Height, thumb.Encoding)
						}
						sameColours(t, path, thumb)
					}
				}
			}
		})
	}
}

// sameColours fails if the bars at the top of the test source have lost their
// colours: it has been decoded, not made up.
func sameColours(t *testing.T, name string, thumb media.Thumbnail) {
	t.Helper()
	got, _, err := image.Decode(bytes.NewReader(thumb.Bytes))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[[3]bool]bool{}
	b := got.Bounds()
	for x := range b.Dx() {
		r, g, bl, _ := got.At(b.Min.X+x, b.Min.Y+b.Dy()/20).RGBA()
		seen[[3]bool{r > 0x8000, g > 0x8000, bl > 0x8000}] = true
	}
	if len(seen) < 5 {
		t.Errorf("%s: %d colours in the bars of a %d pixel thumbnail", name, len(seen), b.Dx())
	}
}

func TestFallbacksReadWhatBrowsersDo(t *testing.T) {
	engines(t) // make the fixtures
	m := alone(t)
	for _, file := range []string{"a.jpg", "a.png", "a.gif", "a.webp", "a.bmp"} {
		path := picture(t, file, "320x200")
		all := thumbnails(t, m, path, media.Options{Edges: []int{128, 64, 512}, Encoding: media.WebP})
		if all[0].Width != 128 || all[0].Height != 80 || all[2].Width != 320 || all[0].Encoding != media.JPEG {
			t.Errorf("%s: %d×%d %s, %d", file, all[0].Width, all[0].Height, all[0].Encoding, all[2].Width)
		}
		sameColours(t, file, all[0])
	}
	for _, file := range []string{"a.tif", "a.heic", "a.avif"} {
		path := picture(t, file, "320x200")
		_, err := m.Thumbnails(t.Context(), open(t, path), media.Options{Edges: []int{64}, Encoding: media.JPEG})
		if !errors.Is(err, media.ErrNoEngine) {
			t.Errorf("%s without engines: %v", file, err)
		}
		if facts, err := m.Probe(t.Context(), open(t, path)); err != nil || facts.Width != 320 || facts.Height != 200 {
			t.Errorf("%s without engines: %+v, %v", file, facts, err)
		}
	}
	if r := m.Report(); r.Vips != "" || r.FFmpeg != "" || len(r.Missing) != 2 || len(r.Formats) != 6 {
		t.Errorf("report: %+v", r)
	}
}

func TestReportNamesWhatWorks(t *testing.T) {
	r := engines(t).Report()
	if r.Vips[0] != '8' || r.FFmpeg == "" || len(r.Missing) != 0 || len(r.Formats) != len(media.Formats()) {
		t.Errorf("report: %+v", r)
	}
}

const testVideo = "testsrc2=s=320x180:r=25:d=6"

func TestEveryVideoFormatGetsAFrameAndAPreview(t *testing.T) {
	m := engines(t)
	for _, c := range []struct{ file, name, video string }{
		{"a.mp4", "mp4", "libx264"}, {"a.mov", "mov", "libx265"}, {"a.mkv", "matroska", "libx264"}, {"a.webm", "webm", "libvpx"},
		{"a.avi", "avi", "mpeg4"}, {"a.ts", "mpegts", "libx264"}, {"a.mpg", "mpeg", "mpeg2video"}, {"a.flv", "flv", "flv1"},
		{"a.wmv", "asf", "wmv2"}, {"a.ogv", "ogg", "libtheora"}, {"a.3gp", "3gp", "mpeg4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			codec := c.video
			if codec == "flv1" {
				codec = "flv"
			}
			path := ffmpeg(t, c.file, "-f", "lavfi", "-i", testVideo, "-c:v", codec)
			facts, err := m.Probe(t.Context(), open(t, path))
			if err != nil {
				t.Fatal(err)
			}
			if facts.Format.Name != c.name || facts.Format.Kind != media.Video || facts.Width != 320 || facts.Height != 180 || facts.VideoCodec == "" {
				t.Errorf("facts: %+v", facts)
			}
			if facts.Duration < 5500*time.Millisecond || facts.Duration > 6500*time.Millisecond {
				t.Errorf("duration: %v", facts.Duration)
			}
			positions := []string{"9999"}
			if c.name == "mp4" || c.name == "mpegts" {
				positions = []string{"0", "2.5", "50p", "100p", "9999"}
			}
			for _, position := range positions {
				at, err := media.ParsePosition(position)
				if err != nil {
					t.Fatal(err)
				}
				thumb := thumbnails(t, m, path, media.Options{Edges: []int{160}, Encoding: media.WebP, Position: at})[0]
				if thumb.Width != 160 || thumb.Height != 90 {
					t.Errorf("at %s: %d×%d", position, thumb.Width, thumb.Height)
				}
			}
			animated(t, m, path, 160, 90)
		})
	}
}

// animated makes an animation and checks that it moves, by this package's own
// reading of it.
func animated(t *testing.T, m *media.Engines, path string, width, height int) {
	t.Helper()
	thumb, err := m.Animation(t.Context(), open(t, path), max(width, height), media.Poster)
	if err != nil {
		t.Fatalf("animation: %v", err)
	}
	facts, err := m.Probe(t.Context(), fileOf(t, thumb.Bytes))
	if err != nil {
		t.Fatal(err)
	}
	if facts.Format.Name != "webp" || !facts.Animated || facts.Frames < 10 || facts.Width != width || facts.Height != height || thumb.Width != width {
		t.Errorf("animation: %+v", facts)
	}
}

func TestAnimatedImagesStayAnimated(t *testing.T) {
	m := engines(t)
	source := "testsrc2=s=200x100:r=10:d=2"
	for name, path := range map[string]string{
		"gif":  ffmpeg(t, "a.gif", "-f", "lavfi", "-i", source),
		"png":  ffmpeg(t, "a.png", "-f", "lavfi", "-i", source, "-f", "apng"),
		"webp": ffmpeg(t, "a.webp", "-f", "lavfi", "-i", source, "-c:v", "libwebp_anim"),
	} {
		facts, err := m.Probe(t.Context(), open(t, path))
		if err != nil || facts.Format.Name != name || !facts.Animated || facts.Frames < 15 || facts.Width != 200 || facts.Height != 100 {
			t.Errorf("%s: %+v, %v", name, facts, err)
		}
		animated(t, m, path, 80, 40)
		for _, edges := range [][]int{{80}, {80, 40}} { // a still is of the first frame
			if thumb := thumbnails(t, m, path, media.Options{Edges: edges, Encoding: media.WebP})[0]; thumb.Width != 80 || thumb.Height != 40 {
				t.Errorf("%s: %d×%d", name, thumb.Width, thumb.Height)
			}
		}
	}
	still := picture(t, "a.png", "32x32")
	if _, err := m.Animation(t.Context(), open(t, still), 64, media.Position{}); !errors.Is(err, media.ErrUnsupported) {
		t.Errorf("animation of a still: %v", err)
	}
}

func TestSongsGiveTheirTagsAndCover(t *testing.T) {
	m := engines(t)
	cover := picture(t, "cover.jpg", "300x300")
	for _, c := range []struct {
		file, name string
		args       []string
		cover      bool
	}{
		{"a.mp3", "mp3", []string{"-c:a", "libmp3lame"}, true},
		{"a.flac", "flac", []string{"-c:a", "flac"}, true},
		{"a.m4a", "m4a", []string{"-c:a", "aac"}, true},
		{"a.ogg", "ogg", []string{"-c:a", "libvorbis"}, false},
		{"a.opus", "ogg", []string{"-c:a", "libopus"}, false},
		{"a.wav", "wav", nil, false},
		{"a.aac", "aac", []string{"-c:a", "aac"}, false},
		{"a.aiff", "aiff", nil, false},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			args := []string{"-f", "lavfi", "-i", "sine=d=2"}
			if c.cover {
				args = append(args, "-i", cover, "-map", "0:a", "-map", "1:v", "-c:v", "copy", "-disposition:v", "attached_pic")
			}
			args = append(append(args, c.args...), "-metadata", "title=Ode", "-metadata", "artist=Ada", "-metadata", "album=First\u202e")
			path := ffmpeg(t, c.file, args...)
			facts, err := m.Probe(t.Context(), open(t, path))
			if err != nil {
				t.Fatal(err)
			}
			if facts.Format.Name != c.name || facts.Format.Kind != media.Audio || facts.AudioCodec == "" || facts.Cover != c.cover {
				t.Errorf("facts: %+v", facts)
			}
			if facts.Duration < 1900*time.Millisecond || facts.Duration > 2300*time.Millisecond {
				t.Errorf("duration: %v", facts.Duration)
			}
			tagged := c.cover || c.name == "ogg"
			if tagged && (facts.Title != "Ode" || facts.Artist != "Ada" || facts.Album != "First") {
				t.Errorf("tags: %q %q %q", facts.Title, facts.Artist, facts.Album)
			}
			o := media.Options{Edges: []int{64}, Encoding: media.WebP}
			if !c.cover {
				if _, err := m.Thumbnails(t.Context(), open(t, path), o); !errors.Is(err, media.ErrUnsupported) {
					t.Errorf("thumbnail of a song without a cover: %v", err)
				}
				return
			}
			if thumb := thumbnails(t, m, path, o)[0]; thumb.Width != 64 || thumb.Height != 64 {
				t.Errorf("cover: %d×%d", thumb.Width, thumb.Height)
			}
		})
	}
}

func TestFilmsOnTheirSideAreTurned(t *testing.T) {
	m := engines(t)
	plain := ffmpeg(t, "a.mp4", "-f", "lavfi", "-i", testVideo, "-c:v", "libx264")
	path := ffmpeg(t, "b.mp4", "-i", plain, "-c", "copy", "-metadata:s:v", "rotate=90", "-metadata", "creation_time=2026-05-04T10:00:00Z")
	facts, err := m.Probe(t.Context(), open(t, path))
	if err != nil || facts.Width != 180 || facts.Height != 320 {
		t.Errorf("facts: %+v, %v", facts, err)
	}
	if want := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC); !facts.Taken.Equal(want) || facts.TakenFloating {
		t.Errorf("taken %v, want %v", facts.Taken, want)
	}
	if thumb := thumbnails(t, m, path, media.Options{Edges: []int{160}, Encoding: media.JPEG})[0]; thumb.Width != 90 || thumb.Height != 160 {
		t.Errorf("thumbnail: %d×%d", thumb.Width, thumb.Height)
	}
}

const drawing = `<?xml version="1.0"?><!-- made by hand --><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20"><rect width="20" height="20" fill="#f00"/></svg>`

func TestDrawingsAreDrawnAtTheirThumbnailsSize(t *testing.T) {
	m := engines(t)
	for _, text := range []string{drawing, "\xef\xbb\xbf" + drawing} {
		file := fileOf(t, []byte(text))
		facts, err := m.Probe(t.Context(), file)
		if err != nil || facts.Format.Name != "svg" || facts.Width != 40 || facts.Height != 20 {
			t.Errorf("facts: %+v, %v", facts, err)
		}
		for _, edges := range [][]int{{512}, {512, 64}} {
			if thumb := thumbnails(t, m, file.Name(), media.Options{Edges: edges, Encoding: media.WebP})[0]; thumb.Width != 512 || thumb.Height != 256 {
				t.Errorf("%d×%d", thumb.Width, thumb.Height)
			}
		}
	}
	// A size without end is no reason to draw one.
	vast := `<svg xmlns="http://www.w3.org/2000/svg" width="999999999" height="999999999"><rect width="9" height="9"/></svg>`
	if all, err := m.Thumbnails(t.Context(), fileOf(t, []byte(vast)), media.Options{Edges: []int{64}, Encoding: media.JPEG}); err == nil && all[0].Width > 64 {
		t.Errorf("%d×%d", all[0].Width, all[0].Height)
	}
	// Nor is one that grows by tenfold reference.
	laughs := `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><g id="a0"><rect width="9" height="9"/></g>`
	for i := range 9 {
		laughs += fmt.Sprintf(`<g id="a%d">%s</g>`, i+1, strings.Repeat(fmt.Sprintf(`<use href="#a%d"/>`, i), 10))
	}
	quick := limited(t, media.Limits{Time: 3 * time.Second})
	_, err := quick.Thumbnails(t.Context(), fileOf(t, []byte(laughs+"</svg>")), media.Options{Edges: []int{64}, Encoding: media.JPEG})
	if err != nil && !errors.Is(err, media.ErrTimeout) && !errors.Is(err, media.ErrDamaged) && !errors.Is(err, media.ErrTooLarge) {
		t.Errorf("a billion rectangles: %v", err)
	}
}

// twoPages is a PDF of two pages, 200 × 100 points; the first is red.
func twoPages() []byte {
	objects := []string{
		"<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R 4 0 R]/Count 2>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Contents 5 0 R>>", "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]>>",
		"<</Length 25>>stream\n1 0 0 rg 0 0 200 100 re f\nendstream",
	}
	out := "%PDF-1.4\n"
	table := fmt.Sprintf("xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for i, object := range objects {
		table += fmt.Sprintf("%010d 00000 n \n", len(out))
		out += fmt.Sprintf("%d 0 obj%sendobj\n", i+1, object)
	}
	return []byte(out + table + fmt.Sprintf("trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, len(out)))
}

func TestAPDFShowsItsFirstPage(t *testing.T) {
	m := engines(t)
	file := fileOf(t, twoPages())
	facts, err := m.Probe(t.Context(), file)
	if err != nil || facts.Format.Name != "pdf" || facts.Format.Kind != media.Document || facts.Pages != 2 || facts.Width != 200 || facts.Height != 100 {
		t.Errorf("facts: %+v, %v", facts, err)
	}
	for _, edges := range [][]int{{400}, {400, 64}} {
		thumb := thumbnails(t, m, file.Name(), media.Options{Edges: edges, Encoding: media.JPEG})[0]
		got, _, err := image.Decode(bytes.NewReader(thumb.Bytes))
		if err != nil {
			t.Fatal(err)
		}
		if r, g, b, _ := got.At(200, 100).RGBA(); thumb.Width != 400 || thumb.Height != 200 || r < 0xe000 || g > 0x2000 || b > 0x2000 {
			t.Errorf("%d×%d, red %x, green %x, blue %x", thumb.Width, thumb.Height, r, g, b)
		}
	}
}

func TestThumbhashOfAThumbnailKeepsItsProportions(t *testing.T) {
	m := engines(t)
	path := picture(t, "a.jpg", "320x200")
	var hashes [][]byte
	for _, m := range []*media.Engines{m, alone(t)} {
		hash, err := media.Thumbhash(thumbnails(t, m, path, media.Options{Edges: []int{128}, Encoding: media.JPEG})[0])
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, hash)
	}
	if len(hashes[0]) < 15 || hashes[0][3]&7 != 4 || hashes[1][3]&7 != 4 { // of 7 waves across, as many down
		t.Errorf("hashes %x and %x", hashes[0], hashes[1])
	}
	if _, err := media.Thumbhash(media.Thumbnail{Bytes: []byte("no picture")}); !errors.Is(err, media.ErrDamaged) {
		t.Errorf("hash of nothing: %v", err)
	}
}

func TestWhatIsTransparentIsWhiteAsJPEG(t *testing.T) {
	for engine, m := range both(t) {
		clear := image.NewNRGBA(image.Rect(0, 0, 64, 64))
		var content bytes.Buffer
		if err := png.Encode(&content, clear); err != nil {
			t.Fatal(err)
		}
		for _, edges := range [][]int{{32}, {32, 16}} {
			thumb := thumbnails(t, m, fileOf(t, content.Bytes()).Name(), media.Options{Edges: edges, Encoding: media.JPEG})[0]
			got, _, err := image.Decode(bytes.NewReader(thumb.Bytes))
			if err != nil {
				t.Fatal(err)
			}
			if r, _, _, _ := got.At(16, 16).RGBA(); r < 0xf000 {
				t.Errorf("%s: %v: brightness %x", engine, edges, r)
			}
		}
	}
}

func TestOnlySensibleOptionsAreTaken(t *testing.T) {
	m := alone(t)
	file := fileOf(t, photo(t, 8, 8))
	for _, o := range []media.Options{
		{}, {Edges: []int{0}, Encoding: media.JPEG}, {Edges: []int{media.MaxEdge + 1}, Encoding: media.JPEG}, {Edges: []int{64}},
		{Edges: []int{64}, Encoding: "image/gif"}, {Edges: make([]int, media.MaxEdges+1), Encoding: media.JPEG},
	} {
		if _, err := m.Thumbnails(t.Context(), file, o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	for _, text := range []string{"", "p", "-1", "101p", "1e9", "NaN", "Inf", "5s", "5pp"} {
		if at, err := media.ParsePosition(text); err == nil {
			t.Errorf("position %q is %+v", text, at)
		}
	}
}
