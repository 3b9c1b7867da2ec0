package media_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"image"
	"image/jpeg"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks/media"
)

// field is an entry of a TIFF directory, big-endian, whose value fits into it or
// is an offset.
func field(tag, kind uint16, count, value uint32) []byte {
	f := binary.BigEndian.AppendUint16(nil, tag)
	f = binary.BigEndian.AppendUint16(f, kind)
	f = binary.BigEndian.AppendUint32(f, count)
	if kind == 3 && count == 1 {
		value <<= 16
	}
	return binary.BigEndian.AppendUint32(f, value)
}

// tiffFile is a TIFF header and one directory.
func tiffFile(fields ...[]byte) []byte {
	out := []byte("MM\x00*\x00\x00\x00\x08")
	out = binary.BigEndian.AppendUint16(out, uint16(len(fields)))
	out = append(out, bytes.Join(fields, nil)...)
	return append(out, 0, 0, 0, 0)
}

// exifOf is a TIFF structure with an orientation and a date, perhaps with a zone.
func exifOf(orientation uint32, taken, zone string) []byte {
	const second = 8 + 2 + 3*12 + 4
	const texts = second + 2 + 2*12 + 4
	out := tiffFile(field(0x112, 3, 1, orientation), field(0x132, 2, 20, texts), field(0x8769, 4, 1, second))
	out = append(out, 0, 2)
	out = append(out, field(0x9003, 2, 20, texts)...)
	out = append(out, field(0x9011, 2, uint32(len(zone)+1), texts+20)...)
	out = append(out, 0, 0, 0, 0)
	out = append(append(out, taken...), make([]byte, 20-len(taken))...)
	return append(append(out, zone...), 0)
}

// blackCorner tells in which corner a thumbnail is black: 0 top left, 1 top right,
// 2 bottom left, 3 bottom right.
func blackCorner(t *testing.T, thumb media.Thumbnail) int {
	t.Helper()
	picture, err := jpeg.Decode(bytes.NewReader(thumb.Bytes))
	if err != nil {
		t.Fatal(err)
	}
	size := picture.Bounds().Size()
	found := -1
	for corner := range 4 {
		x, y := size.X/4+corner%2*size.X/2, size.Y/4+corner/2*size.Y/2
		if r, _, _, _ := picture.At(x, y).RGBA(); r < 0x4000 {
			if found >= 0 {
				t.Fatal("two corners are black")
			}
			found = corner
		}
	}
	return found
}

func TestPhotographsStandUpright(t *testing.T) {
	black := []int{0, 0, 1, 3, 2, 0, 1, 3, 2} // of each orientation
	for engine, m := range both(t) {
		for orientation := uint32(1); orientation <= 8; orientation++ {
			exif := exifOf(orientation, "2026:05:04 10:11:12", "+02:00")
			content := photo(t, 80, 40, segment(0xe1, append([]byte("Exif\x00\x00"), exif...)))
			width, height := 80, 40
			if orientation >= 5 {
				width, height = 40, 80
			}
			facts, err := m.Probe(t.Context(), fileOf(t, content))
			if err != nil || facts.Width != width || facts.Height != height {
				t.Errorf("%s: orientation %d: %+v, %v", engine, orientation, facts, err)
			}
			if want := time.Date(2026, 5, 4, 8, 11, 12, 0, time.UTC); !facts.Taken.Equal(want) || facts.TakenFloating {
				t.Errorf("%s: taken %v, want %v", engine, facts.Taken, want)
			}
			for _, edges := range [][]int{{40}, {40, 20}} {
				thumbs, err := m.Thumbnails(t.Context(), fileOf(t, content), media.Options{Edges: edges, Encoding: media.JPEG})
				if err != nil {
					t.Fatal(err)
				}
				if thumbs[0].Width != width/2 || thumbs[0].Height != height/2 || blackCorner(t, thumbs[0]) != black[orientation] {
					t.Errorf("%s: orientation %d: %d×%d, black in %d, want %d", engine, orientation, thumbs[0].Width, thumbs[0].Height, blackCorner(t, thumbs[0]), black[orientation])
				}
			}
		}
	}
}

func TestDatesThatNoCameraHadAreNone(t *testing.T) {
	m := alone(t)
	for _, c := range []struct {
		text, zone string
		want       time.Time
		floating   bool
	}{
		{"2026:05:04 10:11:12", "", time.Date(2026, 5, 4, 10, 11, 12, 0, time.UTC), true},
		{"2026:05:04 10:11:12", "-07:00", time.Date(2026, 5, 4, 17, 11, 12, 0, time.UTC), false},
		{"2026:05:04 10:11:12", "junk", time.Date(2026, 5, 4, 10, 11, 12, 0, time.UTC), true},
		{"0000:00:00 00:00:00", "", time.Time{}, false},
		{"1970:01:01 00:00:00", "", time.Time{}, false},
		{"    :  :     :  :  ", "", time.Time{}, false},
		{"2026:13:40 10:11:12", "", time.Time{}, false},
		{"0001:01:01 00:00:00", "", time.Time{}, false},
	} {
		content := photo(t, 8, 8, segment(0xe1, append([]byte("Exif\x00\x00"), exifOf(1, c.text, c.zone)...)))
		facts, err := m.Probe(t.Context(), fileOf(t, content))
		if err != nil || !facts.Taken.Equal(c.want) || facts.TakenFloating != c.floating {
			t.Errorf("%q %q: %v, floating %v, %v", c.text, c.zone, facts.Taken, facts.TakenFloating, err)
		}
	}
}

func TestExifIsReadOutOfPNGAndWebPToo(t *testing.T) {
	m := engines(t)
	exif := exifOf(6, "2026:05:04 10:11:12", "")
	png := read(t, picture(t, "a.png", "80x40"))
	withExif := append(bytes.Clone(png[:33]), pngOf(append([]byte("eXIf"), exif...))[8:]...)
	withExif = append(withExif, png[33:]...)
	webp := read(t, picture(t, "a.webp", "80x40"))
	chunk := webp[12:]
	if string(chunk[:4]) == "VP8X" {
		chunk = chunk[18:]
	}
	end := 8 + int(binary.LittleEndian.Uint32(chunk[4:]))
	body := append([]byte("WEBPVP8X\x0a\x00\x00\x00\x08\x00\x00\x00\x4f\x00\x00\x27\x00\x00"), chunk[:end+end&1]...)
	body = binary.LittleEndian.AppendUint32(append(body, "EXIF"...), uint32(len(exif)))
	body = append(body, exif...)
	body = append(body, make([]byte, len(body)&1)...)
	withExif2 := append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
	for name, content := range map[string][]byte{"png": withExif, "webp": withExif2} {
		facts, err := m.Probe(t.Context(), fileOf(t, content))
		if err != nil || facts.Format.Name != name || facts.Width != 40 || facts.Height != 80 || facts.Taken.IsZero() {
			t.Errorf("%s: %+v, %v", name, facts, err)
		}
		for engine, m := range both(t) {
			thumbs, err := m.Thumbnails(t.Context(), fileOf(t, content), small)
			if err != nil || thumbs[0].Height < thumbs[0].Width {
				t.Errorf("%s: %s: %v, %v", engine, name, err, thumbs)
			}
		}
	}
}

// rawFile is a raw file as cameras write it: a small preview, a large one, and raw
// data in a subdirectory.
func rawFile(t *testing.T, orientation uint32) []byte {
	small, large := photo(t, 16, 8), photo(t, 400, 200)
	const sub = 8 + 2 + 6*12 + 4
	const data = sub + 2 + 3*12 + 4
	out := tiffFile(field(0xfe, 4, 1, 1), field(0x100, 4, 1, 16), field(0x112, 3, 1, orientation), field(0x14a, 4, 1, sub),
		field(0x201, 4, 1, data), field(0x202, 4, 1, uint32(len(small))))
	out = append(out, 0, 3)
	out = append(out, field(0x106, 3, 1, 32803)...)
	out = append(out, field(0x201, 4, 1, data+uint32(len(small)))...)
	out = append(out, field(0x202, 4, 1, uint32(len(large)))...)
	out = append(out, 0, 0, 0, 0)
	return append(append(out, small...), large...)
}

func TestRawFilesShowTheLargestPreviewUpright(t *testing.T) {
	raf := append(append([]byte("FUJIFILMCCD-RAW "), make([]byte, 84)...), photo(t, 400, 200)...)
	binary.BigEndian.PutUint32(raf[84:], 100)
	binary.BigEndian.PutUint32(raf[88:], uint32(len(raf)-100))
	box := func(kind string, content ...[]byte) []byte {
		body := bytes.Join(content, nil)
		return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(body))), kind...), body...)
	}
	id := func(text string) []byte {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	cr3 := bytes.Join([][]byte{
		box("ftyp", []byte("crx \x00\x00\x00\x01crx isom")),
		box("moov", box("uuid", id("85c0b687820f11e08111f4ce462b6a48"),
			box("CMT1", exifOf(1, "2026:05:04 10:11:12", "")), box("CMT2", exifOf(1, "2026:05:04 10:11:12", "")), box("THMB", make([]byte, 16), photo(t, 16, 8)))),
		box("uuid", id("eaf42b5e1c984b88b9fbb7dc406e4d16"), make([]byte, 8), box("PRVW", make([]byte, 16), photo(t, 400, 200))),
	}, nil)
	for engine, m := range both(t) {
		for name, c := range map[string]struct {
			content []byte
			corner  int
			wide    bool
		}{
			"tiff": {rawFile(t, 1), 0, true}, "turned": {rawFile(t, 6), 1, false}, "raf": {raf, 0, true}, "cr3": {cr3, 0, true},
		} {
			facts, err := m.Probe(t.Context(), fileOf(t, c.content))
			if err != nil || facts.Format.Name != "raw" || name == "cr3" && facts.Taken.IsZero() {
				t.Errorf("%s: %s: %+v, %v", engine, name, facts, err)
			}
			thumbs, err := m.Thumbnails(t.Context(), fileOf(t, c.content), media.Options{Edges: []int{200, 100}, Encoding: media.JPEG})
			if err != nil {
				t.Errorf("%s: %s: %v", engine, name, err)
				continue
			}
			if thumb := thumbs[0]; max(thumb.Width, thumb.Height) != 200 || (thumb.Width > thumb.Height) != c.wide || blackCorner(t, thumb) != c.corner {
				t.Errorf("%s: %s: %d×%d, black in %d", engine, name, thumb.Width, thumb.Height, blackCorner(t, thumb))
			}
		}
	}
}

// heifFile is the skeleton of a HEIC: it has a size and no picture.
func heifFile(width, height uint32) []byte {
	ispe := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("\x00\x00\x00\x14ispe\x00\x00\x00\x00"), width), height)
	ipco := append(binary.BigEndian.AppendUint32(nil, uint32(8+len(ispe))), append([]byte("ipco"), ispe...)...)
	iprp := append(binary.BigEndian.AppendUint32(nil, uint32(8+len(ipco))), append([]byte("iprp"), ipco...)...)
	meta := append(binary.BigEndian.AppendUint32(nil, uint32(12+len(iprp))), append([]byte("meta\x00\x00\x00\x00"), iprp...)...)
	return append([]byte("\x00\x00\x00\x14ftypheic\x00\x00\x00\x00mif1"), meta...)
}

func TestHEICKeepsItsDate(t *testing.T) {
	m := engines(t)
	content := photo(t, 80, 40, segment(0xe1, append([]byte("Exif\x00\x00"), exifOf(1, "2026:05:04 10:11:12", "")...)))
	source := fileOf(t, content)
	path := source.Name() + ".heic"
	tool(t, "vips", "copy", source.Name(), path)
	facts, err := m.Probe(t.Context(), open(t, path))
	if want := time.Date(2026, 5, 4, 10, 11, 12, 0, time.UTC); err != nil || !facts.Taken.Equal(want) || !facts.TakenFloating {
		t.Errorf("%+v, %v", facts, err)
	}
}

// The expected hashes are those of thumbhash 0.1.1 from npm, of the same pixels.
func TestThumbhashIsThatOfOthers(t *testing.T) {
	for _, c := range []struct {
		width, height int
		transparent   bool
		want          string
	}{
		{100, 60, false, "1e18060c84646304545616758676ec8fcfaf34"},
		{60, 100, false, "1e08060c04215085323584645766898fe9fb29"},
		{32, 32, true, "5d28861504172076577aa85a69745d8fb67084877976060889"},
		{1, 1, false, "000802070000000000000000000000000000000000000000"},
		{100, 1, true, "930baae9827788778888708888b08f38768588889078f8"},
		{7, 90, true, "167886190807627028aa78df6796870686878187660867"},
	} {
		picture := image.NewNRGBA(image.Rect(0, 0, c.width, c.height))
		for y := range c.height {
			for x := range c.width {
				p := picture.Pix[picture.PixOffset(x, y):][:4]
				p[0], p[1], p[2], p[3] = byte(x*7+y*3), byte(x*x+y), byte(x*y), 255
				if c.transparent {
					p[3] = byte(x*5 + y*11)
				}
			}
		}
		if got := hex.EncodeToString(media.ThumbhashOf(picture)); got != c.want {
			t.Errorf("%d×%d: %s, want %s", c.width, c.height, got, c.want)
		}
	}
}
