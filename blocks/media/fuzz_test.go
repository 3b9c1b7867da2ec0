package media_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/heapsync/heapsync/blocks/media"
)

// known are all errors that a file may cause.
var known = []error{media.ErrDamaged, media.ErrUnsupported, media.ErrTooLarge, media.ErrNoEngine, media.ErrTimeout}

func isKnown(err error) bool {
	for _, kind := range known {
		if errors.Is(err, kind) {
			return true
		}
	}
	return err == nil
}

// FuzzSniff: a format is of the list, and bytes that follow do not change it, but
// for a TIFF, which fields anywhere can make a raw file.
func FuzzSniff(f *testing.F) {
	for _, seed := range []string{"", "\xff\xd8\xff", "GIF89a", "RIFF\x00\x00\x00\x00WEBP", "\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00avifmif1", drawing, "II*\x00\x08\x00\x00\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		format, err := media.Sniff(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			if !errors.Is(err, media.ErrUnsupported) {
				t.Fatal(err)
			}
			return
		}
		if format.Name == "" || format.MIME == "" || format.Kind == "" {
			t.Fatalf("a format without a name: %+v", format)
		}
		if format.Name == "tiff" || format.Name == "raw" || format.Name == "svg" || len(content) > 4096 || len(content) < 400 {
			return
		}
		if again, err := media.Sniff(bytes.NewReader(append(content, 0)), int64(len(content)+1)); err != nil || again.Name != format.Name {
			t.Fatalf("%s and a byte more is %s, %v", format.Name, again.Name, err)
		}
	})
}

// FuzzHeader reads what this process reads of images: whatever the bytes, an error
// is a known one, what is accepted has sane values, and little memory is used.
func FuzzHeader(f *testing.F) {
	exif := append([]byte("Exif\x00\x00"), exifOf(6, "2026:05:04 10:11:12", "+02:00")...)
	f.Add(photo(f, 16, 8, segment(0xe1, exif)))
	f.Add(exifOf(6, "2026:05:04 10:11:12", "+02:00"))
	f.Add(gifOf(4, 4, 3))
	f.Add(pngOf(ihdr(4, 4), append([]byte("eXIf"), exif[6:]...), []byte("acTL\x00\x00\x00\x02\x00\x00\x00\x00"), []byte("fcTL"), []byte("IDAT"), []byte("IEND")))
	f.Add(heifFile(40, 20))
	f.Add([]byte(drawing))
	f.Add([]byte("RIFF\x1e\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02\x00\x00\x00\x4f\x00\x00\x4f\x00\x00ANMF\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, name := range media.HeaderFormats {
			width, height, frames, orientation, err := media.ReadHeader(bytes.NewReader(content), int64(len(content)), name)
			if !isKnown(err) {
				t.Fatalf("%s: %v", name, err)
			}
			if err == nil && (width < 0 || height < 0 || frames < 1 || frames > 1<<17+1 || orientation < 0 || orientation > 8) {
				t.Fatalf("%s: %d×%d, %d frames, orientation %d", name, width, height, frames, orientation)
			}
		}
	})
}

// FuzzThumbnails decodes in this process: pictures fit their edges, and errors are
// known ones.
func FuzzThumbnails(f *testing.F) {
	m := alone(f)
	f.Add(photo(f, 16, 8))
	f.Add(gifOf(4, 4, 3))
	f.Add(pngBomb(40, 40))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		thumbs, err := m.Thumbnails(t.Context(), open(t, path), media.Options{Edges: []int{32, 8}, Encoding: media.WebP})
		if !isKnown(err) {
			t.Fatal(err)
		}
		for _, thumb := range thumbs {
			if thumb.Width < 1 || thumb.Height < 1 || max(thumb.Width, thumb.Height) > thumb.Edge {
				t.Fatalf("edge %d: %d×%d", thumb.Edge, thumb.Width, thumb.Height)
			}
		}
	})
}

// FuzzReason: what an engine says is short, printable and names no path.
func FuzzReason(f *testing.F) {
	f.Add([]byte("[mov @ 0x1] /proc/self/fd/3: moov atom not found\n"))
	f.Add([]byte("/usr/bin/vipsthumbnail: unable to thumbnail stdin\nwebp: bad\n"))
	f.Fuzz(func(t *testing.T, said []byte) {
		text := media.Reason(said)
		if text == "" || len(text) > 210 || bytes.ContainsAny([]byte(text), "/\n\x00\x1b") {
			t.Fatalf("%q becomes %q", said, text)
		}
	})
}
