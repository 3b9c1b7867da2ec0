package media

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"image"
	_ "image/gif" // DecodeConfig knows it
	_ "image/jpeg"
	_ "image/png"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	_ "golang.org/x/image/bmp" // formats beyond those of the standard library
	_ "golang.org/x/image/webp"
)

const (
	// maxSide is the longest edge that arithmetic on pixels is sure of.
	maxSide = 1 << 24
	// maxExif is the longest EXIF structure read of PNG and WebP; in JPEG the
	// format itself allows 64 KiB.
	maxExif = 1 << 20
	// maxCounted is how many frames and how many bytes of a file a count of frames
	// goes through. What has more is animated all the same.
	maxCounted      = 1 << 17
	maxCountedBytes = 512 << 20
)

// header is what the head of an image says, read in this process without
// decoding a pixel.
type header struct {
	width, height int // as stored; 0 if only an engine can tell
	orientation   int // EXIF's 1 to 8; 0 if there is none
	frames        int // 1 unless animated
	pages         int
	taken         time.Time
	floating      bool
	previews      []span
}

// turned says whether upright means that width and height change places.
func (h header) turned() bool { return h.orientation >= 5 && h.orientation <= 8 }

// readHeader reads what this package can of an image. Formats that only engines
// understand have an empty header.
func readHeader(file io.ReaderAt, size int64, format Format) (header, error) {
	h := header{frames: 1}
	var err error
	switch format.Name {
	case "jpeg":
		err = h.readJPEG(file, size)
	case "png":
		err = h.readPNG(file, size)
	case "gif":
		err = h.readGIF(file, size)
	case "webp":
		err = h.readWebP(file, size)
	case "bmp":
	case "tiff":
		var t tiff
		if t, err = readTIFF(file, size); err == nil {
			h.take(t)
			h.width, h.height, h.pages = t.width, t.height, t.pages
		}
	case "raw":
		err = h.readRaw(file, size)
	case "heic", "avif":
		err = h.readHEIF(file, size)
	case "svg":
		err = h.readSVG(file, size)
	}
	if err != nil {
		return header{}, err
	}
	if format.inGo && h.width == 0 && format.Name != "raw" {
		config, _, err := image.DecodeConfig(bufio.NewReader(io.NewSectionReader(file, 0, size)))
		if err != nil {
			return header{}, fail(ErrDamaged, "its head cannot be read: %s", reason([]byte(err.Error())))
		}
		h.width, h.height = config.Width, config.Height
	}
	if h.width < 0 || h.height < 0 || h.width > maxSide || h.height > maxSide {
		return header{}, fail(ErrTooLarge, "it claims %d × %d pixels", h.width, h.height)
	}
	return h, nil
}

// take takes over what EXIF says.
func (h *header) take(t tiff) {
	h.orientation, h.taken, h.floating = t.orientation, t.taken, t.floating
}

// readError tells an error of the disk from the end of a file that is too short.
func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fail(ErrDamaged, "the file ends too early")
	}
	return err
}

// readJPEG walks the segments up to the first scan.
func (h *header) readJPEG(file io.ReaderAt, size int64) error {
	var marker [10]byte
	for at := int64(2); ; {
		if n, err := file.ReadAt(marker[:], at); n < 4 {
			return readError(err)
		}
		kind, length := marker[1], int64(binary.BigEndian.Uint16(marker[2:]))
		switch {
		case marker[0] != 0xff:
			return fail(ErrDamaged, "a segment of the JPEG is missing")
		case kind == 0xff: // padding
			at++
			continue
		case kind == 0xda || kind == 0xd9:
			if h.width == 0 {
				return fail(ErrDamaged, "the JPEG has no frame")
			}
			return nil
		case kind == 0x01 || kind >= 0xd0 && kind <= 0xd7:
			at += 2
			continue
		case length < 2:
			return fail(ErrDamaged, "a segment of the JPEG is too short")
		case isJPEGFrame(kind):
			h.height, h.width = int(binary.BigEndian.Uint16(marker[5:])), int(binary.BigEndian.Uint16(marker[7:]))
		case kind == 0xe1 && string(marker[4:10]) == "Exif\x00\x00" && h.orientation == 0 && h.taken.IsZero():
			if t, err := readExif(file, at+10, min(length-8, size-at-10)); err == nil {
				h.take(t)
			}
		}
		at += 2 + length
	}
}

// isJPEGFrame says whether a marker begins a frame that decoders of photographs
// know: not the lossless ones, in which cameras keep raw data.
func isJPEGFrame(marker byte) bool { return marker >= 0xc0 && marker <= 0xc2 }

// chunks calls each for the chunks of a RIFF or PNG file, from offset at, until it
// says no. A length is that of the content; what pads or checks it is skipped.
func chunks(file io.ReaderAt, at, size int64, png bool, each func(kind string, at, length int64) bool) {
	var head [8]byte
	for range maxCounted {
		if n, _ := file.ReadAt(head[:], at); n < len(head) {
			return
		}
		kind, length, skip := string(head[:4]), int64(binary.LittleEndian.Uint32(head[4:])), int64(0)
		if png {
			kind, length, skip = string(head[4:]), int64(binary.BigEndian.Uint32(head[:])), 4
		} else {
			skip = length & 1
		}
		if length > size-at-8 || !each(kind, at+8, length) {
			return
		}
		at += 8 + length + skip
	}
}

func (h *header) readPNG(file io.ReaderAt, size int64) error {
	animated, frames := false, 0
	chunks(file, 8, size, true, func(kind string, at, length int64) bool {
		switch kind {
		case "IHDR":
			var size [8]byte
			if n, _ := file.ReadAt(size[:], at); n == len(size) && h.width == 0 {
				h.width, h.height = int(binary.BigEndian.Uint32(size[:])), int(binary.BigEndian.Uint32(size[4:]))
			}
		case "acTL":
			animated = true
		case "IDAT":
			return animated // before it, it had to be said
		case "fcTL":
			frames++
		case "eXIf":
			if t, err := readExif(file, at, min(length, maxExif)); err == nil {
				h.take(t)
			}
		}
		return true
	})
	if animated {
		h.frames = max(1, frames)
	}
	return nil
}

func (h *header) readWebP(file io.ReaderAt, size int64) error {
	frames := 0
	chunks(file, 12, size, false, func(kind string, at, length int64) bool {
		switch kind {
		case "VP8X":
			var canvas [10]byte
			if n, _ := file.ReadAt(canvas[:], at); n == len(canvas) && length >= 10 {
				h.width = 1 + int(canvas[4]) + int(canvas[5])<<8 + int(canvas[6])<<16
				h.height = 1 + int(canvas[7]) + int(canvas[8])<<8 + int(canvas[9])<<16
			}
		case "ANMF":
			frames++
		case "EXIF":
			prefix := make([]byte, 6)
			if n, _ := file.ReadAt(prefix, at); n == 6 && string(prefix) == "Exif\x00\x00" {
				at, length = at+6, length-6
			}
			if t, err := readExif(file, at, min(length, maxExif)); err == nil {
				h.take(t)
			}
		}
		return true
	})
	h.frames = max(1, frames)
	return nil
}

// readGIF counts frames; each is an image descriptor and its data blocks.
func (h *header) readGIF(file io.ReaderAt, size int64) error {
	r := bufio.NewReader(io.NewSectionReader(file, 0, min(size, maxCountedBytes)))
	var screen [13]byte
	if _, err := io.ReadFull(r, screen[:]); err != nil {
		return readError(err)
	}
	h.width, h.height = int(binary.LittleEndian.Uint16(screen[6:])), int(binary.LittleEndian.Uint16(screen[8:]))
	table := func(flags byte) int {
		if flags&0x80 == 0 {
			return 0
		}
		return 3 << (flags&7 + 1)
	}
	blocks := func() error {
		for {
			length, err := r.ReadByte()
			if err != nil || length == 0 {
				return err
			}
			if _, err := r.Discard(int(length)); err != nil {
				return err
			}
		}
	}
	if _, err := r.Discard(table(screen[10])); err != nil {
		return readError(err)
	}
	frames := 0
count:
	for frames < maxCounted {
		kind, err := r.ReadByte()
		if err != nil {
			break
		}
		switch kind {
		case 0x21: // extension
			if _, err := r.Discard(1); err != nil || blocks() != nil {
				break count
			}
		case 0x2c: // image
			var descriptor [9]byte
			if _, err := io.ReadFull(r, descriptor[:]); err != nil {
				break count
			}
			frames++
			if _, err := r.Discard(table(descriptor[8]) + 1); err != nil || blocks() != nil {
				break count
			}
		default:
			break count
		}
	}
	h.frames = max(1, frames)
	return nil
}

// readSVG reads the size from the root element. It is in pixels where the file
// says so or says nothing; of other units only the proportion is kept.
func (h *header) readSVG(file io.ReaderAt, size int64) error {
	head := make([]byte, min(size, sniffLen))
	if n, err := file.ReadAt(head, 0); n < len(head) {
		return readError(err)
	}
	root, err := svgRoot(head)
	if err != nil {
		return fail(ErrDamaged, "it has no svg element")
	}
	var width, height float64
	var box []string
	for _, a := range root.Attr {
		switch a.Name.Local {
		case "width":
			width, _ = strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(a.Value), "px"), 64)
		case "height":
			height, _ = strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(a.Value), "px"), 64)
		case "viewBox":
			box = strings.FieldsFunc(a.Value, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '\t' })
		}
	}
	if len(box) == 4 && !(width > 0 && height > 0) {
		w, _ := strconv.ParseFloat(box[2], 64)
		ht, _ := strconv.ParseFloat(box[3], 64)
		width, height = cmp.Or(max(width, 0), w), cmp.Or(max(height, 0), ht)
	}
	if width >= 1 && height >= 1 && width <= maxSide && height <= maxSide {
		h.width, h.height = int(math.Round(width)), int(math.Round(height))
	}
	return nil
}

// readRaw finds a camera's pictures.
func (h *header) readRaw(file io.ReaderAt, size int64) error {
	var head [92]byte
	if n, err := file.ReadAt(head[:min(size, 92)], 0); n < 12 {
		return readError(err)
	}
	switch {
	case string(head[4:8]) == "ftyp":
		return h.readCR3(file, size)
	case string(head[:4]) == "FUJI":
		s := span{int64(binary.BigEndian.Uint32(head[84:])), int64(binary.BigEndian.Uint32(head[88:]))}
		if s.at <= 0 || s.size <= 0 || s.at >= size || s.size > size-s.at {
			return fail(ErrDamaged, "its preview lies outside of the file")
		}
		h.previews = []span{s}
		return nil
	}
	t, err := readTIFF(file, size)
	if err != nil {
		return err
	}
	h.take(t)
	h.width, h.height, h.previews = t.width, t.height, t.previews
	return nil
}
