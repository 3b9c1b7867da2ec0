package media

import (
	"bytes"
	"encoding/binary"
	"io"
)

// Bounds of an ISO base media file's tree, as far as this package walks it.
const (
	maxBoxes     = 4096
	maxBoxDepth  = 8
	maxMetaBytes = 1 << 20 // of one table
)

// bmff walks the boxes of a file (ISO/IEC 14496-12).
type bmff struct {
	file  io.ReaderAt
	size  int64
	boxes int
}

// box is one of them, without its header.
type box struct {
	kind     string
	at, size int64
}

// walk calls each for the boxes of [from, to), until it says no.
func (f *bmff) walk(from, to int64, each func(box) bool) {
	var head [16]byte
	for at := from; at+8 <= to && f.boxes < maxBoxes; {
		f.boxes++
		n, _ := f.file.ReadAt(head[:], at)
		if n < 8 {
			return
		}
		b := box{kind: string(head[4:8]), at: at + 8, size: int64(binary.BigEndian.Uint32(head[:])) - 8}
		switch b.size {
		case -7: // the length follows
			if n < 16 {
				return
			}
			b.at, b.size = at+16, int64(binary.BigEndian.Uint64(head[8:]))-16
		case -8: // to the end
			b.size = to - b.at
		}
		if b.size < 0 || b.size > to-b.at || !each(b) {
			return
		}
		at = b.at + b.size
	}
}

// bytes reads a table whole; nil if it is too long or cut off.
func (f *bmff) bytes(b box) []byte {
	if b.size > maxMetaBytes {
		return nil
	}
	content := make([]byte, b.size)
	if n, _ := f.file.ReadAt(content, b.at); n < len(content) {
		return nil
	}
	return content
}

// readHEIF reads the largest picture's size, its turn, and the EXIF date
// (ISO/IEC 23008-12). EXIF's orientation does not count here: the turn is a
// property of the picture, which decoders apply.
func (h *header) readHEIF(file io.ReaderAt, size int64) error {
	f := &bmff{file: file, size: size}
	var exifItem uint32
	var locations []byte
	quarters := 0
	var each func(b box, depth int) bool
	each = func(b box, depth int) bool {
		down := func(skip int64) {
			if depth < maxBoxDepth && b.size >= skip {
				f.walk(b.at+skip, b.at+b.size, func(b box) bool { return each(b, depth+1) })
			}
		}
		switch b.kind {
		case "meta":
			down(4)
		case "iprp", "ipco":
			down(0)
		case "ispe":
			if c := f.bytes(b); len(c) >= 12 {
				w, ht := int64(binary.BigEndian.Uint32(c[4:])), int64(binary.BigEndian.Uint32(c[8:]))
				if w*ht > int64(h.width)*int64(h.height) {
					h.width, h.height = int(w), int(ht)
				}
			}
		case "irot":
			if c := f.bytes(b); len(c) >= 1 {
				quarters = int(c[0] & 3)
			}
		case "iinf":
			exifItem = f.exifItem(b)
		case "iloc":
			locations = f.bytes(b)
		case "moov":
			h.frames = max(h.frames, 2) // a sequence
		}
		return true
	}
	f.walk(0, size, func(b box) bool { return each(b, 0) })
	if h.width == 0 {
		return fail(ErrDamaged, "it says no size")
	}
	if exifItem != 0 {
		if s, ok := itemLocation(locations, exifItem); ok && s.at > 0 && s.size > 4 && s.at < size && s.size <= size-s.at {
			var skip [4]byte
			if n, _ := file.ReadAt(skip[:], s.at); n == 4 {
				offset := 4 + int64(binary.BigEndian.Uint32(skip[:]))
				if t, err := readExif(file, s.at+offset, min(s.size-offset, maxExif)); err == nil {
					h.taken, h.floating = t.taken, t.floating
				}
			}
		}
	}
	h.orientation = []int{1, 8, 3, 6}[quarters] // quarters go against the clock
	return nil
}

// exifItem is the id of the item of type Exif in iinf; 0 if there is none.
func (f *bmff) exifItem(b box) (id uint32) {
	c := f.bytes(b)
	if len(c) < 6 {
		return 0
	}
	from := b.at + 6
	if c[0] != 0 { // a wider count
		from += 2
	}
	f.walk(from, b.at+b.size, func(entry box) bool {
		if e := f.bytes(entry); entry.kind == "infe" && len(e) >= 12 && e[0] == 2 && string(e[8:12]) == "Exif" {
			id = uint32(binary.BigEndian.Uint16(e[4:]))
		} else if entry.kind == "infe" && len(e) >= 14 && e[0] == 3 && string(e[10:14]) == "Exif" {
			id = binary.BigEndian.Uint32(e[4:])
		}
		return id == 0
	})
	return id
}

// itemLocation finds an item of one extent in the content of an iloc box.
func itemLocation(c []byte, item uint32) (span, bool) {
	r := tableReader{rest: c}
	version := r.number(1)
	r.number(3)
	sizes := r.number(2)
	offsetSize, lengthSize, baseSize, indexSize := int(sizes>>12), int(sizes>>8&15), int(sizes>>4&15), int(sizes&15)
	idSize := 2
	if version == 2 {
		idSize = 4
	}
	if version == 0 {
		indexSize = 0
	}
	for range r.number(idSize) {
		id := r.number(idSize)
		method := uint64(0)
		if version > 0 {
			method = r.number(2) & 15
		}
		r.number(2) // data reference
		base := r.number(baseSize)
		extents := r.number(2)
		var s span
		for range extents {
			r.number(indexSize)
			s = span{int64(base + r.number(offsetSize)), int64(r.number(lengthSize))}
			if r.short {
				return span{}, false
			}
		}
		if r.short {
			return span{}, false
		}
		if id == uint64(item) {
			return s, method == 0 && extents == 1
		}
	}
	return span{}, false
}

// tableReader takes big-endian numbers from the front; short is set when there
// are no more.
type tableReader struct {
	rest  []byte
	short bool
}

func (r *tableReader) number(size int) (n uint64) {
	if size > len(r.rest) {
		r.short = true
		return 0
	}
	for _, b := range r.rest[:size] {
		n = n<<8 | uint64(b)
	}
	r.rest = r.rest[size:]
	return n
}

// The ids of the boxes that Canon defined.
const (
	canonMetadata = "\x85\xc0\xb6\x87\x82\x0f\x11\xe0\x81\x11\xf4\xce\x46\x2b\x6a\x48"
	canonPreview  = "\xea\xf4\x2b\x5e\x1c\x98\x4b\x88\xb9\xfb\xb7\xdc\x40\x6e\x4d\x16"
)

// readCR3 finds the EXIF and the preview of a Canon CR3.
func (h *header) readCR3(file io.ReaderAt, size int64) error {
	f := &bmff{file: file, size: size}
	uuid := func(b box) string {
		var id [16]byte
		if n, _ := file.ReadAt(id[:], b.at); n < 16 || b.size < 16 {
			return ""
		}
		return string(id[:])
	}
	jpegIn := func(b box) bool {
		if b.kind != "PRVW" && b.kind != "THMB" {
			return true
		}
		head := make([]byte, min(b.size, 64))
		n, _ := file.ReadAt(head, b.at)
		if i := bytes.Index(head[:n], []byte("\xff\xd8\xff")); i >= 0 {
			h.previews = append(h.previews, span{b.at + int64(i), b.size - int64(i)})
		}
		return len(h.previews) < maxPreviews
	}
	f.walk(0, size, func(b box) bool {
		switch {
		case b.kind == "moov":
			f.walk(b.at, b.at+b.size, func(b box) bool {
				if b.kind != "uuid" || uuid(b) != canonMetadata {
					return true
				}
				f.walk(b.at+16, b.at+b.size, func(b box) bool {
					t, err := readExif(file, b.at, b.size)
					switch {
					case b.kind == "CMT1" && err == nil:
						h.orientation, h.width, h.height = t.orientation, t.width, t.height
					case b.kind == "CMT2" && err == nil:
						h.taken, h.floating = t.taken, t.floating
					}
					return jpegIn(b)
				})
				return false
			})
		case b.kind == "uuid" && uuid(b) == canonPreview:
			f.walk(b.at+24, b.at+b.size, jpegIn) // after the id, eight bytes of Canon's
		}
		return true
	})
	return nil
}
