package media

import (
	"bytes"
	"image"
	"image/draw"
	"math"
)

// thumbhashEdge is the longest edge of what is hashed.
const thumbhashEdge = 100

// Thumbhash makes some 25 bytes of a thumbnail, of which clients draw a blurred
// picture while the thumbnail is on its way (https://evanw.github.io/thumbhash).
// Any size will do, the smallest best.
func Thumbhash(t Thumbnail) ([]byte, error) {
	picture, err := decodeImage(bytes.NewReader(t.Bytes))
	if err != nil {
		return nil, fail(ErrDamaged, "the thumbnail cannot be decoded")
	}
	return thumbhash(unmultiplied(shrink(picture, thumbhashEdge))), nil
}

// unmultiplied returns a picture whose colours do not depend on its opacity.
func unmultiplied(picture *image.RGBA) *image.NRGBA {
	plain := image.NewNRGBA(picture.Bounds())
	draw.Draw(plain, plain.Bounds(), picture, image.Point{}, draw.Src)
	return plain
}

// channel is one component of all pixels: lightness, yellow against blue, red
// against green, or opacity.
type channel []float64

// frequencies are a channel's cosine transform, as far as it is kept: the mean,
// and how much of each wave, from 0 to 1, where 0.5 is none and scale is the most.
type frequencies struct {
	mean, scale float64
	waves       []float64
}

// transform keeps the waves in the triangle under nx across and ny down.
func (c channel) transform(width, height, nx, ny int) (f frequencies) {
	across := make([]float64, width)
	for cy := range ny {
		for cx := 0; cx*ny < nx*(ny-cy); cx++ {
			for x := range across {
				across[x] = math.Cos(math.Pi / float64(width) * float64(cx) * (float64(x) + 0.5))
			}
			var sum float64
			for y := range height {
				down := math.Cos(math.Pi / float64(height) * float64(cy) * (float64(y) + 0.5))
				for x := range width {
					sum += c[x+y*width] * across[x] * down
				}
			}
			sum /= float64(width * height)
			if cx == 0 && cy == 0 {
				f.mean = sum
				continue
			}
			f.waves = append(f.waves, sum)
			f.scale = max(f.scale, math.Abs(sum))
		}
	}
	if f.scale > 0 {
		for i := range f.waves {
			f.waves[i] = 0.5 + 0.5/f.scale*f.waves[i]
		}
	}
	return f
}

// thumbhash hashes a picture of at most thumbhashEdge pixels a side.
func thumbhash(picture *image.NRGBA) []byte {
	width, height := picture.Bounds().Dx(), picture.Bounds().Dy()
	pixels := width * height
	// What is transparent takes the mean colour: so it is flat, and blurs well.
	var red, green, blue, opacity float64
	for i := range pixels {
		p := picture.Pix[4*i:]
		a := float64(p[3]) / 255
		red += a / 255 * float64(p[0])
		green += a / 255 * float64(p[1])
		blue += a / 255 * float64(p[2])
		opacity += a
	}
	if opacity > 0 {
		red, green, blue = red/opacity, green/opacity, blue/opacity
	}
	transparent := opacity < float64(pixels)
	light, yellow, ruddy, alpha := make(channel, pixels), make(channel, pixels), make(channel, pixels), make(channel, pixels)
	for i := range pixels {
		p := picture.Pix[4*i:]
		a := float64(p[3]) / 255
		r, g, b := red*(1-a)+a/255*float64(p[0]), green*(1-a)+a/255*float64(p[1]), blue*(1-a)+a/255*float64(p[2])
		light[i], yellow[i], ruddy[i], alpha[i] = (r+g+b)/3, (r+g)/2-b, r-g, a
	}
	most := 7.0
	if transparent {
		most = 5
	}
	long := float64(max(width, height))
	nx, ny := max(1, roundHalfUp(most*float64(width)/long)), max(1, roundHalfUp(most*float64(height)/long))
	l := light.transform(width, height, max(3, nx), max(3, ny))
	p := yellow.transform(width, height, 3, 3)
	q := ruddy.transform(width, height, 3, 3)
	all := []frequencies{l, p, q}

	head := roundHalfUp(63*l.mean) | roundHalfUp(31.5+31.5*p.mean)<<6 | roundHalfUp(31.5+31.5*q.mean)<<12 | roundHalfUp(31*l.scale)<<18
	if transparent {
		head |= 1 << 23
	}
	tail := ny | roundHalfUp(63*p.scale)<<3 | roundHalfUp(63*q.scale)<<9 | 1<<15
	if width <= height {
		tail = nx | roundHalfUp(63*p.scale)<<3 | roundHalfUp(63*q.scale)<<9
	}
	hash := []byte{byte(head), byte(head >> 8), byte(head >> 16), byte(tail), byte(tail >> 8)}
	if transparent {
		a := alpha.transform(width, height, 5, 5)
		all = append(all, a)
		hash = append(hash, byte(roundHalfUp(15*a.mean)|roundHalfUp(15*a.scale)<<4))
	}
	nibble := 0
	for _, f := range all {
		for _, wave := range f.waves {
			if nibble&1 == 0 {
				hash = append(hash, 0)
			}
			hash[len(hash)-1] |= byte(roundHalfUp(15*wave) << (nibble & 1 << 2))
			nibble++
		}
	}
	return hash
}

// roundHalfUp rounds as JavaScript does, in which the format was defined.
func roundHalfUp(x float64) int { return int(math.Floor(x + 0.5)) }
