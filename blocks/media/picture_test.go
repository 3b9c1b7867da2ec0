package media_test

import (
	"image"
	"image/color"
	"testing"

	"github.com/heapsync/heapsync/blocks/media"
)

// TestWebPWithoutVipsComesFromFFmpeg covers machines that have one engine only.
func TestWebPWithoutVipsComesFromFFmpeg(t *testing.T) {
	engines(t)
	path := picture(t, "a.png", "320x200")
	for _, without := range []string{"vips", "ffmpeg"} {
		m, err := media.Find(t.Context(), media.Config{Without: []string{without}})
		if err != nil {
			t.Fatal(err)
		}
		for _, thumb := range thumbnails(t, m, path, media.Options{Edges: []int{160, 40}, Encoding: media.WebP}) {
			if thumb.Encoding != media.WebP {
				t.Errorf("without %s: %s", without, thumb.Encoding)
			}
			sameColours(t, path, thumb)
		}
		if missing := m.Report().Missing; len(missing) != 1 {
			t.Errorf("without %s, missing: %q", without, missing)
		}
	}
}

// TestShrinkingKeepsTheMean: of a picture that is black and white by turns, nothing
// but grey is left, whatever the factor.
func TestShrinkingKeepsTheMean(t *testing.T) {
	for _, size := range []int{128, 131, 200, 256, 1000} {
		small := media.Shrink(checkers(size), 64)
		if b := small.Bounds(); b.Dx() != 64 || b.Dy() != 64 {
			t.Fatalf("%d: %v", size, b)
		}
		for y := 4; y < 60; y++ {
			for x := 4; x < 60; x++ {
				if c := small.RGBAAt(x, y); c.R < 100 || c.R > 156 || c != (color.RGBA{c.R, c.R, c.R, 255}) {
					t.Fatalf("%d: %v at %d, %d", size, c, x, y)
				}
			}
		}
	}
}

func checkers(size int) *image.RGBA {
	p := image.NewRGBA(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			p.SetRGBA(x, y, color.RGBA{A: 255})
			if (x+y)%2 == 0 {
				p.SetRGBA(x, y, color.RGBA{255, 255, 255, 255})
			}
		}
	}
	return p
}
