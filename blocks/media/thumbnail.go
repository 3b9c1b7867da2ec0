package media

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Encoding is how a thumbnail is written.
type Encoding string

// The encodings. JPEG shows what is transparent on white.
const (
	WebP Encoding = "image/webp"
	JPEG Encoding = "image/jpeg"
)

// MaxEdge is the longest edge of a thumbnail, in pixels.
const MaxEdge = 4096

// MaxEdges is how many thumbnails one call makes.
const MaxEdges = 16

// Options say what picture of a file is wanted.
type Options struct {
	// Edges are the longest edges wanted, in pixels, 1 to MaxEdge each. A picture is
	// never made larger than it is, except an SVG, which has no size of its own.
	Edges    []int
	Encoding Encoding // without an engine that writes WebP it is JPEG instead
	Position Position // of a video
}

// Thumbnail is a small picture, upright, without metadata.
type Thumbnail struct {
	Edge          int // that was asked for
	Width, Height int
	Encoding      Encoding
	Bytes         []byte
}

// Position is a moment of a video. The zero Position is its beginning.
type Position struct {
	value   float64
	percent bool
}

// Poster is the moment that stands for a video of which nothing else is known:
// beginnings are black.
var Poster = Position{10, true}

// ParsePosition reads seconds, "12.5", or per cent of the duration, "50p".
func ParsePosition(text string) (Position, error) {
	number, percent := strings.CutSuffix(text, "p")
	value, err := strconv.ParseFloat(number, 64)
	if err != nil || !(value >= 0) || value > 1e7 || percent && value > 100 {
		return Position{}, fmt.Errorf("position %.20q is neither seconds nor per cent as in 50p", text)
	}
	return Position{value, percent}, nil
}

// Second is the position so many seconds after the beginning.
func Second(n int64) Position { return Position{value: float64(n)} }

// In returns the second that a position means in a video that is so long; 0 if that is
// not known.
func (p Position) In(seconds float64) float64 {
	if p.percent {
		return p.value / 100 * seconds
	}
	if seconds > 0 {
		return min(p.value, seconds)
	}
	return p.value
}

func (o Options) check() error {
	if len(o.Edges) == 0 || len(o.Edges) > MaxEdges {
		return fmt.Errorf("%d edges: 1 to %d are possible", len(o.Edges), MaxEdges)
	}
	for _, edge := range o.Edges {
		if edge < 1 || edge > MaxEdge {
			return fmt.Errorf("edge %d lies outside of 1 to %d", edge, MaxEdge)
		}
	}
	if o.Encoding != WebP && o.Encoding != JPEG {
		return fmt.Errorf("encoding %.20q is unknown", o.Encoding)
	}
	return nil
}

// Thumbnails makes small pictures of a file, one for each edge in their order,
// with one decoding: of a photograph, a video at a position, a song's cover, a
// PDF's first page, an animation's first frame. About the use of file see Probe.
func (m *Engines) Thumbnails(ctx context.Context, file *os.File, o Options) ([]Thumbnail, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s, err := m.open(file)
	if err != nil {
		return nil, err
	}
	if s.format.Kind == Image && s.header.width == 0 && s.format.Name != "raw" && s.format.Name != "svg" {
		// Only an engine can tell whether it is too large.
		if _, err := m.probeVips(ctx, s, Facts{Format: s.format}); err != nil {
			return nil, err
		}
	}
	if len(o.Edges) == 1 && m.loads(s.format) {
		t, err := m.vipsThumbnail(ctx, s, o.Edges[0], o.Encoding)
		if err != nil {
			return nil, err
		}
		return []Thumbnail{t}, nil
	}
	picture, err := m.decode(ctx, s, slices.Max(o.Edges), o.Position)
	if err != nil {
		return nil, err
	}
	pictures := make([]*image.RGBA, len(o.Edges))
	// From large to small, each made of the one before: its cost is that of the
	// smaller one.
	order := make([]int, len(o.Edges))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return o.Edges[j] - o.Edges[i] })
	for _, i := range order {
		picture = shrink(picture, o.Edges[i])
		pictures[i] = picture
	}
	thumbnails, err := m.encode(ctx, pictures, o.Encoding)
	for i := range thumbnails {
		thumbnails[i].Edge = o.Edges[i]
	}
	return thumbnails, err
}

// Animation makes a small moving picture of a file, an animated WebP: of an
// animated image its first frames, of a video a few seconds from a position on.
// What does not move is ErrUnsupported.
func (m *Engines) Animation(ctx context.Context, file *os.File, edge int, from Position) (Thumbnail, error) {
	if err := (Options{Edges: []int{edge}, Encoding: WebP}).check(); err != nil {
		return Thumbnail{}, err
	}
	s, err := m.open(file)
	if err != nil {
		return Thumbnail{}, err
	}
	var out []byte
	switch {
	case s.format.Kind == Image && s.header.frames < 2:
		return Thumbnail{}, fail(ErrUnsupported, "the image does not move")
	case s.format.Name == "gif" || s.format.Name == "webp":
		out, err = m.vipsAnimation(ctx, s, edge)
	case s.format.Name == "png" || s.format.Kind == Video || s.format.Kind == Audio:
		out, err = m.ffmpegAnimation(ctx, s, edge, from)
	default:
		return Thumbnail{}, fail(ErrUnsupported, "no moving pictures are made of %s files", s.format.Name)
	}
	if err != nil {
		return Thumbnail{}, err
	}
	return m.measured(edge, WebP, out)
}

// measured is a finished thumbnail of an engine; what is no picture after all is
// not passed on.
func (m *Engines) measured(edge int, encoding Encoding, out []byte) (Thumbnail, error) {
	config, _, err := image.DecodeConfig(bytes.NewReader(out))
	if err != nil || config.Width < 1 || config.Height < 1 || config.Width > MaxEdge || config.Height > MaxEdge {
		return Thumbnail{}, fail(ErrDamaged, "the engine made no picture of it")
	}
	return Thumbnail{Edge: edge, Width: config.Width, Height: config.Height, Encoding: encoding, Bytes: out}, nil
}

// decode returns a picture whose edges are edge pixels or less, or, of a smaller
// one, whole.
func (m *Engines) decode(ctx context.Context, s subject, edge int, at Position) (*image.RGBA, error) {
	switch {
	case s.format.Name == "raw":
		return m.decodeRaw(ctx, s, edge)
	case m.loads(s.format):
		return m.vipsDecode(ctx, s, edge)
	case m.demuxes(s.format) && s.format.Name != "png":
		return m.ffmpegDecode(ctx, s, edge, at)
	case s.format.inGo:
		return m.goDecode(ctx, s, edge)
	}
	return nil, m.noEngine(s.format)
}

// fit returns the size of a picture within edge × edge pixels; it never grows.
func fit(width, height, edge int) (int, int) {
	long := max(width, height)
	if long <= edge {
		return width, height
	}
	scale := float64(edge) / float64(long)
	return max(1, int(math.Round(float64(width)*scale))), max(1, int(math.Round(float64(height)*scale)))
}
