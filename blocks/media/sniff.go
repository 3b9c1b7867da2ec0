package media

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
)

// sniffLen is how much of a file Sniff reads for its signature.
const sniffLen = 4096

// signatures are the formats that fixed bytes at the beginning tell apart.
var signatures = []struct {
	at           int
	magic, named string
}{
	{0, "\xff\xd8\xff", "jpeg"},
	{0, "\x89PNG\r\n\x1a\n", "png"},
	{0, "GIF87a", "gif"},
	{0, "GIF89a", "gif"},
	{0, "FUJIFILMCCD-RAW", "raw"},
	{0, "IIRO", "raw"},
	{0, "IIRS", "raw"},
	{0, "MMOR", "raw"},
	{0, "IIU\x00", "raw"},
	{0, "\xff\x0a", "jxl"},
	{0, "\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl"},
	{0, "\x00\x00\x00\x0cjP  \r\n\x87\n", "jp2"},
	{0, "\xff\x4f\xff\x51", "jp2"},
	{0, "%PDF-", "pdf"},
	{0, "\x00\x00\x01\xba", "mpeg"},
	{0, "FLV\x01", "flv"},
	{0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", "asf"},
	{0, "ID3", "mp3"},
	{0, "fLaC", "flac"},
	{0, "OggS", "ogg"},
	{0, "MAC ", "ape"},
	{0, "wvpk", "wavpack"},
}

// brands are the formats that an ISO base media file declares first.
var brands = map[string]string{
	"heic": "heic", "heix": "heic", "heim": "heic", "heis": "heic", "hevc": "heic", "hevx": "heic",
	"mif1": "heic", "msf1": "heic", "avif": "avif", "avis": "avif", "crx ": "raw",
	"M4A ": "m4a", "M4B ": "m4a", "M4P ": "m4a", "qt  ": "mov",
	"3gp4": "3gp", "3gp5": "3gp", "3gp6": "3gp", "3g2a": "3gp",
}

// Sniff tells the format of a file of size bytes by what is in it. Nothing that it
// knows, an empty file too, is ErrUnsupported. It takes the first signature that
// fits, at the place where decoders of that format look for it: a file that is two
// formats at once is the one that it begins with.
func Sniff(file io.ReaderAt, size int64) (Format, error) {
	head := make([]byte, min(size, sniffLen))
	if n, err := file.ReadAt(head, 0); n < len(head) {
		return Format{}, readError(err)
	}
	name := sniffName(head)
	if name == "tiff" {
		// What a camera wrote is a TIFF too; only its fields tell.
		if t, err := readTIFF(file, size); err == nil && t.raw {
			name = "raw"
		}
	}
	if name == "" {
		return Format{}, fail(ErrUnsupported, "the bytes are of no known format")
	}
	return formatNamed(name), nil
}

func sniffName(head []byte) string {
	for _, s := range signatures {
		if len(head) >= s.at+len(s.magic) && string(head[s.at:s.at+len(s.magic)]) == s.magic {
			return s.named
		}
	}
	switch {
	case hasPrefix(head, "RIFF") && len(head) >= 12:
		return map[string]string{"WEBP": "webp", "AVI ": "avi", "WAVE": "wav"}[string(head[8:12])]
	case hasPrefix(head, "FORM") && len(head) >= 12 && (string(head[8:12]) == "AIFF" || string(head[8:12]) == "AIFC"):
		return "aiff"
	case hasPrefix(head, "BM") && len(head) >= 26 && binary.LittleEndian.Uint32(head[14:]) <= 124:
		return "bmp"
	case hasPrefix(head, "II*\x00"), hasPrefix(head, "MM\x00*"):
		return "tiff"
	case hasPrefix(head, "\x1a\x45\xdf\xa3"):
		if bytes.Contains(head[:min(len(head), 64)], []byte("webm")) {
			return "webm"
		}
		return "matroska"
	case len(head) >= 12 && string(head[4:8]) == "ftyp":
		return sniffBrand(head)
	case len(head) >= 8 && slices.Contains([]string{"moov", "mdat", "wide", "skip", "free"}, string(head[4:8])):
		return "mov" // older than brands
	case len(head) >= 2*188+1 && head[0] == 0x47 && head[188] == 0x47 && head[376] == 0x47:
		return "mpegts"
	case len(head) >= 4 && head[0] == 0xff && head[1]&0xf6 == 0xf0:
		return "aac"
	case len(head) >= 4 && head[0] == 0xff && head[1]&0xe0 == 0xe0 && head[1]&0x06 != 0 && head[2]&0xf0 != 0xf0:
		return "mp3"
	case isSVG(head):
		return "svg"
	}
	return ""
}

func hasPrefix(head []byte, prefix string) bool {
	return len(head) >= len(prefix) && string(head[:len(prefix)]) == prefix
}

// sniffBrand reads the major brand, and where that is of a container only, the
// compatible ones.
func sniffBrand(head []byte) string {
	end := min(int(min(binary.BigEndian.Uint32(head), sniffLen)), len(head))
	major := string(head[8:12])
	if major == "mif1" || major == "msf1" {
		for at := 16; at+4 <= end; at += 4 {
			if b := string(head[at : at+4]); b == "avif" || b == "avis" {
				return "avif"
			}
		}
	}
	if name, ok := brands[major]; ok {
		return name
	}
	return "mp4"
}

// isSVG says whether the first element is svg. A document that hides its root
// behind more than sniffLen bytes is none.
func isSVG(head []byte) bool {
	_, err := svgRoot(head)
	return err == nil
}

// svgRoot returns the first element of a document if that is svg.
func svgRoot(head []byte) (xml.StartElement, error) {
	if text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n"); !bytes.HasPrefix(text, []byte("<")) {
		return xml.StartElement{}, errNoSVG
	}
	d := xml.NewDecoder(bytes.NewReader(head))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	d.Strict = false
	for {
		token, err := d.RawToken()
		if err != nil {
			return xml.StartElement{}, errNoSVG
		}
		if start, ok := token.(xml.StartElement); ok {
			if !strings.EqualFold(start.Name.Local, "svg") {
				return xml.StartElement{}, errNoSVG
			}
			return start, nil
		}
	}
}

var errNoSVG = errors.New("no svg element")
