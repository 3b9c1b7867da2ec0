package media_test

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
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

// TestColoursWithoutAProfileStayAsTheyAre: libvips took them for those of some printer.
func TestColoursWithoutAProfileStayAsTheyAre(t *testing.T) {
	for engine, m := range both(t) {
		for _, want := range []color.Color{color.NRGBA{0, 0, 255, 255}, color.NRGBA{255, 0, 0, 255}, color.NRGBA{200, 100, 50, 255}, color.Gray{90}} {
			var plain draw.Image = image.NewNRGBA(image.Rect(0, 0, 80, 80))
			if _, grey := want.(color.Gray); grey {
				plain = image.NewGray(plain.Bounds())
			}
			draw.Draw(plain, plain.Bounds(), image.NewUniform(want), image.Point{}, draw.Src)
			var content bytes.Buffer
			if err := png.Encode(&content, plain); err != nil {
				t.Fatal(err)
			}
			for _, edges := range [][]int{{32}, {32, 16}} {
				for _, encoding := range []media.Encoding{media.WebP, media.JPEG} {
					thumb := thumbnails(t, m, fileOf(t, content.Bytes()).Name(), media.Options{Edges: edges, Encoding: encoding})[0]
					got, err := media.DecodeImage(bytes.NewReader(thumb.Bytes))
					if err != nil {
						t.Fatal(err)
					}
					r, g, b, _ := got.At(16, 16).RGBA()
					wr, wg, wb, _ := want.RGBA()
					for i, pair := range [][2]uint32{{r, wr}, {g, wg}, {b, wb}} {
						if d := int(pair[0]>>8) - int(pair[1]>>8); d < -5 || d > 5 {
							t.Errorf("%s: %v as %s: component %d is %d", engine, want, encoding, i, pair[0]>>8)
						}
					}
					if _, grey := want.(color.Gray); encoding == media.WebP && !grey { // as a file: the fallbacks read it too
						back := thumbnails(t, alone(t), fileOf(t, thumb.Bytes).Name(), media.Options{Edges: []int{16}, Encoding: media.JPEG})[0]
						got, err := media.DecodeImage(bytes.NewReader(back.Bytes))
						if err != nil {
							t.Fatal(err)
						}
						if r, _, b, _ := got.At(8, 8).RGBA(); int(r>>8)-int(wr>>8) > 8 || int(wb>>8)-int(b>>8) > 8 {
							t.Errorf("%s: %v read again is %x, %x", engine, want, r, b)
						}
					}
				}
			}
		}
	}
}
