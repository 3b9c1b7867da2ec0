package media

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"os"
	"sync"

	"golang.org/x/image/draw" // good scaling, which the standard library has not
)

// fallbackPixelBytes bounds the memory of one decoding in this process.
const fallbackPixelBytes = 256 << 20

// oneFallback lets one picture at a time be decoded in this process, where no
// limit of the system helps.
var oneFallback sync.Mutex

// goDecode decodes in this process.
func (m *Engines) goDecode(ctx context.Context, s subject, edge int) (*image.RGBA, error) {
	if s.format.Name == "webp" && s.header.frames > 1 {
		return nil, fail(ErrNoEngine, "animated webp files need libvips")
	}
	oneFallback.Lock()
	defer oneFallback.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, m.limits.Time, fail(ErrTimeout, "more than %v", m.limits.Time))
	defer cancel()
	open := func() io.Reader { return &patientReader{ctx, io.NewSectionReader(s.File, 0, s.size)} }
	config, _, err := image.DecodeConfig(bufio.NewReaderSize(open(), 512))
	if err != nil {
		return nil, goFault(ctx, err)
	}
	if err := m.fits(config.Width, config.Height); err != nil {
		return nil, err
	}
	if int64(config.Width)*int64(config.Height)*bytesOfPixel(config.ColorModel) > fallbackPixelBytes {
		return nil, fail(ErrTooLarge, "%d × %d pixels take more than %d MiB without an engine", config.Width, config.Height, fallbackPixelBytes>>20)
	}
	picture, err := decodeImage(bufio.NewReaderSize(open(), 512))
	if err != nil {
		return nil, goFault(ctx, err)
	}
	return upright(shrink(picture, edge), s.header.orientation), nil
}

// decodeImage is image.Decode with the colours of WebP set right: the decoder gives what a
// film has, in which black is 16 and white 235, as if it were what a JPEG has.
func decodeImage(r io.Reader) (image.Image, error) {
	picture, format, err := image.Decode(r)
	if err != nil || format != "webp" {
		return picture, err
	}
	switch p := picture.(type) {
	case *image.YCbCr:
		widen(p)
	case *image.NYCbCrA:
		widen(&p.YCbCr)
	}
	return picture, nil
}

// widen makes a film's colours a JPEG's, in place.
func widen(p *image.YCbCr) {
	var light, colour [256]byte
	for i := range light {
		light[i] = byte(min(max(((i-16)*255+109)/219, 0), 255))
		colour[i] = byte(min(max((i-128)*255/224+128, 0), 255))
	}
	for i, y := range p.Y {
		p.Y[i] = light[y]
	}
	for _, plane := range [][]byte{p.Cb, p.Cr} {
		for i, c := range plane {
			plane[i] = colour[c]
		}
	}
}

func bytesOfPixel(model color.Model) int64 {
	switch model {
	case color.RGBA64Model, color.NRGBA64Model:
		return 8
	case color.Gray16Model:
		return 2
	case color.GrayModel:
		return 1
	case color.YCbCrModel:
		return 3
	}
	return 4
}

func goFault(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if pathErr, ok := errors.AsType[*os.PathError](err); ok {
		return pathErr.Err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fail(ErrDamaged, "the file ends too early")
	}
	return fail(ErrDamaged, "%s", reason([]byte(err.Error())))
}

// patientReader ends a decoding whose context has ended. It hands out few bytes at
// a time, for in a few a hostile file says "go through all pixels again" often.
type patientReader struct {
	ctx context.Context
	io.Reader
}

func (r *patientReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, r.ctx.Err()
	}
	return r.Reader.Read(p[:min(len(p), 512)])
}

// toRGBA returns a picture with its origin at (0, 0), copied unless it is so. Here
// as everywhere in this file colours are multiplied by their opacity: the scalers
// and encoders are quick with these, and sums of them are right.
func toRGBA(picture image.Image) *image.RGBA {
	b := picture.Bounds()
	if p, ok := picture.(*image.RGBA); ok && b.Min == (image.Point{}) && p.Stride == 4*b.Dx() {
		return p
	}
	p := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(p, p.Bounds(), picture, b.Min, draw.Src)
	return p
}

// shrink scales a picture to fit edge × edge: by halves as long as it can, since
// that is cheap, and then with a good filter.
func shrink(picture image.Image, edge int) *image.RGBA {
	size := picture.Bounds().Size()
	width, height := fit(size.X, size.Y, edge)
	for size.X >= 2*width && size.Y >= 2*height && size.X > 1 && size.Y > 1 {
		if p, ok := picture.(*image.RGBA); ok {
			picture = halve(p)
		} else { // the scaler knows the kinds of pictures that decoders make
			half := image.NewRGBA(image.Rect(0, 0, size.X/2, size.Y/2))
			draw.ApproxBiLinear.Scale(half, half.Bounds(), picture, picture.Bounds(), draw.Src, nil)
			picture = half
		}
		size = picture.Bounds().Size()
	}
	if width == size.X && height == size.Y {
		return toRGBA(picture)
	}
	small := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.CatmullRom.Scale(small, small.Bounds(), picture, picture.Bounds(), draw.Src, nil)
	return small
}

// halve makes each pixel the mean of four. Of an odd number of rows or columns the
// last is left out.
func halve(picture *image.RGBA) *image.RGBA {
	size := picture.Bounds().Size().Div(2)
	half := image.NewRGBA(image.Rect(0, 0, size.X, size.Y))
	for y := range size.Y {
		upper := picture.Pix[2*y*picture.Stride:][:8*size.X]
		lower := picture.Pix[(2*y+1)*picture.Stride:][:8*size.X]
		out := half.Pix[y*half.Stride:][:4*size.X]
		for x := 0; x < len(out); x += 4 {
			u, l, o := upper[2*x:][:8], lower[2*x:][:8], out[x:][:4]
			for c := range o {
				o[c] = byte((uint(u[c]) + uint(u[c+4]) + uint(l[c]) + uint(l[c+4]) + 2) / 4)
			}
		}
	}
	return half
}

// upright turns a picture as EXIF's orientation says.
func upright(picture *image.RGBA, orientation int) *image.RGBA {
	if orientation < 2 || orientation > 8 {
		return picture
	}
	size := picture.Bounds().Size()
	turned := image.NewRGBA(image.Rect(0, 0, size.X, size.Y))
	if orientation >= 5 {
		turned = image.NewRGBA(image.Rect(0, 0, size.Y, size.X))
	}
	for y := range size.Y {
		for x := range size.X {
			toX, toY := x, y
			switch orientation {
			case 2:
				toX = size.X - 1 - x
			case 3:
				toX, toY = size.X-1-x, size.Y-1-y
			case 4:
				toY = size.Y - 1 - y
			case 5:
				toX, toY = y, x
			case 6:
				toX, toY = size.Y-1-y, x
			case 7:
				toX, toY = size.Y-1-y, size.X-1-x
			case 8:
				toX, toY = y, size.X-1-x
			}
			copy(turned.Pix[turned.PixOffset(toX, toY):][:4], picture.Pix[picture.PixOffset(x, y):][:4])
		}
	}
	return turned
}

// encode writes pictures; as JPEG if it cannot write WebP.
func (m *Engines) encode(ctx context.Context, pictures []*image.RGBA, encoding Encoding) (thumbnails []Thumbnail, err error) {
	written := make([][]byte, len(pictures))
	switch {
	case encoding == WebP && m.vips != "":
		if written, err = m.vipsEncode(ctx, pictures); err != nil {
			return nil, err
		}
	case encoding == WebP && m.ffmpeg != "":
		for i, picture := range pictures {
			if written[i], err = m.ffmpegEncode(ctx, picture); err != nil {
				return nil, err
			}
		}
	default:
		encoding = JPEG
		for i, picture := range pictures {
			if written[i], err = encodeJPEG(picture); err != nil {
				return nil, err
			}
		}
	}
	for i, picture := range pictures {
		size := picture.Bounds().Size()
		thumbnails = append(thumbnails, Thumbnail{Width: size.X, Height: size.Y, Encoding: encoding, Bytes: written[i]})
	}
	return thumbnails, nil
}

func encodeJPEG(picture *image.RGBA) ([]byte, error) {
	flat := image.NewRGBA(picture.Bounds())
	draw.Draw(flat, flat.Bounds(), image.White, image.Point{}, draw.Src)
	draw.Draw(flat, flat.Bounds(), picture, image.Point{}, draw.Over)
	var out bytes.Buffer
	if err := jpeg.Encode(&out, flat, &jpeg.Options{Quality: 82}); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
