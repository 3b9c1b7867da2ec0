package media

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Bounds of what is read of a TIFF structure (also in EXIF): real ones have a
// dozen directories with some dozens of fields.
const (
	maxDirectories = 32
	maxFields      = 1024
	maxFieldValues = 64
	maxPreviews    = 16
)

// TIFF 6.0 and EXIF 2.32 tags.
const (
	tagSubfileType   = 0x00fe
	tagWidth         = 0x0100
	tagHeight        = 0x0101
	tagCompression   = 0x0103
	tagPhotometric   = 0x0106
	tagStripOffsets  = 0x0111
	tagOrientation   = 0x0112
	tagStripCounts   = 0x0117
	tagDateTime      = 0x0132
	tagSubIFDs       = 0x014a
	tagJPEGOffset    = 0x0201
	tagJPEGLength    = 0x0202
	tagExif          = 0x8769
	tagOriginalTime  = 0x9003
	tagOriginalZone  = 0x9011
	tagDNGVersion    = 0xc612
	tagPanasonicJPEG = 0x002e

	photometricCFA    = 32803
	photometricLinear = 34892
)

// tiff is what is read of a TIFF structure: the facts of a picture, whether it is
// a camera's raw image, and where JPEGs lie in it.
type tiff struct {
	width, height int // of its largest picture, before orientation
	orientation   int // 1 to 8; 0 if absent or nonsense
	taken         time.Time
	floating      bool // taken has no time zone: it is read as UTC
	raw           bool
	pages         int
	previews      []span
}

// span is a part of a file.
type span struct{ at, size int64 }

type tiffReader struct {
	io.ReaderAt
	size   int64
	order  binary.ByteOrder
	fields int // read so far
	seen   map[int64]bool
	out    tiff

	changed, original, zone string
}

// readTIFF reads the structure at the beginning of file. What lies outside of
// the file is as good as absent; only a header that is none is an error.
func readTIFF(file io.ReaderAt, size int64) (tiff, error) {
	var head [16]byte
	n, _ := file.ReadAt(head[:min(size, 16)], 0)
	r := tiffReader{ReaderAt: file, size: size, seen: map[int64]bool{}}
	switch {
	case n >= 8 && head[0] == 'I' && head[1] == 'I':
		r.order = binary.LittleEndian
	case n >= 8 && head[0] == 'M' && head[1] == 'M':
		r.order = binary.BigEndian
	default:
		return tiff{}, fail(ErrDamaged, "it has no TIFF header")
	}
	r.out.raw = string(head[8:10]) == "CR" || string(head[2:4]) == "RO" || string(head[2:4]) == "RS" || string(head[:4]) == "IIU\x00" || string(head[:4]) == "MMOR"
	next := int64(r.order.Uint32(head[4:]))
	for next != 0 && len(r.seen) < maxDirectories {
		var ok bool
		if next, ok = r.directory(next); !ok {
			break
		}
		r.out.pages++
	}
	r.out.taken, r.out.floating = parseTaken(cmp.Or(r.original, r.changed), r.zone)
	return r.out, nil
}

// directory reads the fields at an offset and returns where the next one is.
func (r *tiffReader) directory(at int64) (next int64, ok bool) {
	if r.seen[at] || len(r.seen) >= maxDirectories {
		return 0, false
	}
	r.seen[at] = true
	var count [2]byte
	if _, err := r.ReadAt(count[:], at); err != nil {
		return 0, false
	}
	n := int(r.order.Uint16(count[:]))
	if r.fields += n; r.fields > maxFields {
		return 0, false
	}
	table := make([]byte, 12*n+4)
	read, _ := r.ReadAt(table, at+2)
	var picture, jpeg, strip struct{ width, height, at, size int64 }
	var compression, photometric, subfile int64
	for i := range n {
		if 12*(i+1) > read {
			return 0, false
		}
		field := table[12*i:][:12]
		tag := r.order.Uint16(field)
		switch tag {
		case tagDateTime:
			r.changed = cmp.Or(r.changed, r.text(field))
			continue
		case tagOriginalTime:
			r.original = cmp.Or(r.original, r.text(field))
			continue
		case tagOriginalZone:
			r.zone = cmp.Or(r.zone, r.text(field))
			continue
		case tagDNGVersion:
			r.out.raw = true
			continue
		case tagPanasonicJPEG:
			if r.out.raw {
				r.preview(int64(r.order.Uint32(field[8:])), int64(r.order.Uint32(field[4:])))
			}
			continue
		}
		values := r.numbers(field)
		if len(values) == 0 {
			continue
		}
		v := values[0]
		switch tag {
		case tagWidth:
			picture.width = v
		case tagHeight:
			picture.height = v
		case tagCompression:
			compression = v
		case tagPhotometric:
			photometric = v
		case tagSubfileType:
			subfile = v
		case tagOrientation:
			if r.out.orientation == 0 && v >= 1 && v <= 8 {
				r.out.orientation = int(v)
			}
		case tagJPEGOffset:
			jpeg.at = v
		case tagJPEGLength:
			jpeg.size = v
		case tagStripOffsets:
			if len(values) == 1 {
				strip.at = v
			}
		case tagStripCounts:
			strip.size = v
		case tagExif:
			r.directory(v)
		case tagSubIFDs:
			for _, v := range values {
				r.directory(v)
			}
		}
	}
	if photometric == photometricCFA || photometric == photometricLinear {
		r.out.raw = true
	}
	if w, h := picture.width, picture.height; w > 0 && h > 0 && w <= maxSide && h <= maxSide &&
		w*h > int64(r.out.width)*int64(r.out.height) && (subfile&1 == 0 || r.out.width == 0) {
		r.out.width, r.out.height = int(w), int(h)
	}
	r.preview(jpeg.at, jpeg.size)
	if compression == 6 || compression == 7 {
		r.preview(strip.at, strip.size)
	}
	return int64(r.order.Uint32(table[12*n:])), read == len(table)
}

func (r *tiffReader) preview(at, size int64) {
	if at > 0 && size > 0 && at < r.size && size <= r.size-at && len(r.out.previews) < maxPreviews {
		r.out.previews = append(r.out.previews, span{at, size})
	}
}

// value returns the bytes of a field, at most limit of its elements.
func (r *tiffReader) value(field []byte, width, limit int) []byte {
	count := int(min(r.order.Uint32(field[4:]), uint32(limit)))
	if size := int64(r.order.Uint32(field[4:])) * int64(width); size <= 4 {
		return field[8:][:size]
	}
	value := make([]byte, count*width)
	if n, _ := r.ReadAt(value, int64(r.order.Uint32(field[8:]))); n < len(value) {
		return nil
	}
	return value
}

func (r *tiffReader) numbers(field []byte) (values []int64) {
	switch r.order.Uint16(field[2:]) {
	case 3: // short
		for pair := range slices.Chunk(r.value(field, 2, maxFieldValues), 2) {
			values = append(values, int64(r.order.Uint16(pair)))
		}
	case 4, 13: // long, directory
		for four := range slices.Chunk(r.value(field, 4, maxFieldValues), 4) {
			values = append(values, int64(r.order.Uint32(four)))
		}
	}
	return values
}

func (r *tiffReader) text(field []byte) string {
	if r.order.Uint16(field[2:]) != 2 {
		return ""
	}
	text, _, _ := bytes.Cut(r.value(field, 1, 64), []byte{0})
	return strings.TrimSpace(string(text))
}

// parseTaken reads EXIF's "2026:05:04 10:00:00" and "+02:00". A date that no
// camera can have had is the zero time.
func parseTaken(text, zone string) (taken time.Time, floating bool) {
	if t, err := time.Parse("2006:01:02 15:04:05 -07:00", text+" "+zone); err == nil {
		return plausible(t), false
	}
	t, err := time.Parse("2006:01:02 15:04:05", text)
	if err != nil || plausible(t).IsZero() {
		return time.Time{}, false
	}
	return t, true
}

// plausible drops the dates of clocks that were never set: photographs begin in
// 1826, and formats count from 1904 or 1970.
func plausible(t time.Time) time.Time {
	if t.Year() < 1826 || t.Year() > 9999 || t.Unix() == 0 || t.Equal(time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)) {
		return time.Time{}
	}
	return t
}

// readExif reads the TIFF structure in the middle of a file.
func readExif(file io.ReaderAt, at, size int64) (tiff, error) {
	if at < 0 || size < 8 {
		return tiff{}, fmt.Errorf("exif of %d bytes: %w", size, ErrDamaged)
	}
	return readTIFF(io.NewSectionReader(file, at, size), size)
}
