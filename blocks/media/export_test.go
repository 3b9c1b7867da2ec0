package media

import (
	"context"
	"io"
)

// Confined runs any program as if it were an engine: what a decoder that has been
// taken over could do.
func Confined(ctx context.Context, limits Limits, command ...string) ([]byte, error) {
	limits = limits.withDefaults()
	return job{command: command, time: limits.Time, output: limits.Output, memory: uint64(limits.Memory)}.run(ctx)
}

var (
	// DecodeImage decodes in this process.
	DecodeImage = decodeImage
	// ThumbhashOf is the hash of pixels.
	ThumbhashOf = thumbhash
	// Reason is what is kept of complaints.
	Reason = reason
	// HeaderFormats are those of which this process reads a part.
	HeaderFormats = []string{"jpeg", "png", "gif", "webp", "bmp", "tiff", "raw", "heic", "svg"}
)

// ReadHeader reads a header as if the bytes had been sniffed as a format.
func ReadHeader(file io.ReaderAt, size int64, format string) (width, height, frames, orientation int, err error) {
	h, err := readHeader(file, size, formatNamed(format))
	return h.width, h.height, h.frames, h.orientation, err
}

// Shrink scales a picture to fit a square.
var Shrink = shrink
