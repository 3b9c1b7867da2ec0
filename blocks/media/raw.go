package media

import (
	"context"
	"encoding/binary"
	"image"
	"io"
	"os"
	"slices"
)

// maxPreview is the longest embedded JPEG, in bytes; full-size ones of today's
// cameras have a fifth of it.
const maxPreview = 64 << 20

// decodeRaw decodes the largest JPEG that a camera put beside its raw data. The
// raw data themselves are never developed: each maker's are another format, and
// the preview is what the photographer saw.
func (m *Engines) decodeRaw(ctx context.Context, s subject, edge int) (*image.RGBA, error) {
	previews := slices.Clone(s.header.previews)
	slices.SortStableFunc(previews, func(a, b span) int { return int(min(b.size, maxPreview) - min(a.size, maxPreview)) })
	err := fail(ErrUnsupported, "there is no preview in the raw file")
	for _, preview := range previews {
		var picture *image.RGBA
		if picture, err = m.decodePreview(ctx, s, preview, edge); err == nil || ctx.Err() != nil {
			return picture, err
		}
	}
	return nil, err
}

func (m *Engines) decodePreview(ctx context.Context, s subject, at span, edge int) (*image.RGBA, error) {
	section := io.NewSectionReader(s.File, at.at, min(at.size, maxPreview))
	if !isPhotograph(section) {
		return nil, fail(ErrUnsupported, "there is no preview in the raw file")
	}
	part, err := os.CreateTemp(m.temp, "media-")
	if err != nil {
		return nil, pathless(err)
	}
	defer part.Close()
	if err := os.Remove(part.Name()); err != nil {
		return nil, pathless(err)
	}
	if _, err := io.Copy(part, section); err != nil {
		return nil, pathless(err)
	}
	inner, err := m.open(part)
	if err != nil {
		return nil, err
	}
	picture, err := m.decode(ctx, inner, edge, Position{})
	if err != nil {
		return nil, err
	}
	if inner.header.orientation == 0 { // else the preview is upright already
		picture = upright(picture, s.header.orientation)
	}
	return picture, nil
}

// isPhotograph says whether a JPEG is one of those that decoders show: raw data
// may be kept as JPEGs too, without loss.
func isPhotograph(file io.ReaderAt) bool {
	var marker [4]byte
	if n, _ := file.ReadAt(marker[:], 0); n < 4 || marker[0] != 0xff || marker[1] != 0xd8 || marker[2] != 0xff {
		return false
	}
	for at := int64(2); ; at += 2 + int64(binary.BigEndian.Uint16(marker[2:])) {
		if n, _ := file.ReadAt(marker[:], at); n < 4 || marker[0] != 0xff || marker[1] < 0xc0 || marker[1] == 0xda {
			return false
		}
		if marker[1] <= 0xcf && marker[1] != 0xc4 && marker[1] != 0xc8 && marker[1] != 0xcc {
			return isJPEGFrame(marker[1])
		}
	}
}
