package media

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	// maxAnimation is how many frames of an animation are kept: half a minute of
	// most.
	maxAnimation = 300

	webpOptions = "Q=80,strip"
	jpegOptions = "Q=82,strip,background=255,optimize-coding"
)

// vipsJob is a run of one of libvips's programs with the file as its stdin: so it
// has neither a name nor a folder beside it.
func (m *Engines) vipsJob(s subject, command ...string) job {
	return job{command: command, input: s.File, fromFD: true, trusted: s.format.trusted,
		time: m.limits.Time, output: m.limits.Output, memory: uint64(m.limits.Memory)}
}

// vipsSize is the argument for a size: smaller pictures stay as they are, but
// drawings are drawn at it.
func vipsSize(f Format, edge int) string {
	size := fmt.Sprintf("%dx%d", edge, edge)
	if f.Name == "svg" || f.Name == "pdf" {
		return size
	}
	return size + ">"
}

// vipsThumbnail makes one thumbnail in one process.
func (m *Engines) vipsThumbnail(ctx context.Context, s subject, edge int, encoding Encoding) (Thumbnail, error) {
	options := ".webp[" + webpOptions + "]"
	if encoding == JPEG {
		options = ".jpg[" + jpegOptions + "]"
	}
	out, err := m.vipsShrink(ctx, s, edge, options, m.limits.Output)
	if err != nil {
		return Thumbnail{}, err
	}
	return m.measured(edge, encoding, out)
}

// vipsShrink shrinks, turns and writes a picture. Its colours become those of the
// web, and without a profile are these already; if they come with a profile that makes
// no sense, or are shades of grey, they stay as they are.
func (m *Engines) vipsShrink(ctx context.Context, s subject, edge int, output string, limit int64) ([]byte, error) {
	j := m.vipsJob(s, m.vipsthumbnail, "stdin", "-s", vipsSize(s.format, edge), "-o", output, "-e", "srgb", "-i", "srgb")
	j.output = limit
	out, err := j.run(ctx)
	if errors.Is(err, ErrDamaged) && strings.Contains(err.Error(), "profile") {
		j.command = j.command[:len(j.command)-4]
		out, err = j.run(ctx)
	}
	return out, err
}

// vipsDecode makes a picture that this process can go on with.
func (m *Engines) vipsDecode(ctx context.Context, s subject, edge int) (*image.RGBA, error) {
	out, err := m.vipsShrink(ctx, s, edge, ".png[compression=0,strip]", max(m.limits.Output, int64(edge)*int64(edge)*8+1<<20))
	if err != nil {
		return nil, err
	}
	return decodePNG(out, edge)
}

// decodePNG decodes what an engine wrote, which is not trusted either.
func decodePNG(out []byte, edge int) (*image.RGBA, error) {
	config, err := png.DecodeConfig(bytes.NewReader(out))
	if err != nil || config.Width > edge || config.Height > edge {
		return nil, fail(ErrDamaged, "the engine made no picture of it")
	}
	picture, err := png.Decode(bytes.NewReader(out))
	if err != nil {
		return nil, fail(ErrDamaged, "the engine made no picture of it")
	}
	return toRGBA(picture), nil
}

// vipsAnimation keeps as many frames as the limits allow.
func (m *Engines) vipsAnimation(ctx context.Context, s subject, edge int) ([]byte, error) {
	if !m.loads(s.format) {
		return nil, fail(ErrNoEngine, "moving pictures of %s files need libvips", s.format.Name)
	}
	frames := min(int64(s.header.frames), maxAnimation, m.limits.FramePixels/max(1, int64(s.header.width)*int64(s.header.height)))
	if frames < 2 {
		return nil, fail(ErrTooLarge, "two of its frames have more than %d megapixels", m.limits.FramePixels/1_000_000)
	}
	j := m.vipsJob(s, m.vipsthumbnail, "stdin[n="+strconv.FormatInt(frames, 10)+"]", "-s", vipsSize(s.format, edge), "-o", ".webp[Q=70,strip]")
	j.time = m.limits.VideoTime
	return j.run(ctx)
}

// vipsEncode writes pictures as WebP, all in one process.
func (m *Engines) vipsEncode(ctx context.Context, pictures []*image.RGBA) ([][]byte, error) {
	folder, err := os.MkdirTemp(m.temp, "media-")
	if err != nil {
		return nil, pathless(err)
	}
	defer os.RemoveAll(folder)
	command := []string{m.vipsthumbnail, "-s", fmt.Sprintf("%dx%d>", MaxEdge, MaxEdge), "-o", "%s.webp[" + webpOptions + "]"}
	written := make([][]byte, len(pictures))
	for i, picture := range pictures {
		path := filepath.Join(folder, strconv.Itoa(i)+".png")
		if err := writePNG(path, picture); err != nil {
			return nil, pathless(err)
		}
		command = append(command, path)
	}
	j := job{command: command, folder: folder, trusted: true, time: m.limits.Time, output: m.limits.Output, memory: uint64(m.limits.Memory)}
	if _, err := j.run(ctx); err != nil {
		return nil, err
	}
	for i := range pictures {
		if written[i], err = os.ReadFile(filepath.Join(folder, strconv.Itoa(i)+".webp")); err != nil {
			return nil, fail(ErrDamaged, "the engine wrote no WebP")
		}
	}
	return written, nil
}

func writePNG(path string, picture image.Image) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = (&png.Encoder{CompressionLevel: png.NoCompression}).Encode(file, picture)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}
