package media

import "slices"

// Kind is what a file is to someone who looks at it.
type Kind string

// The kinds. An animated image is an image.
const (
	Image    Kind = "image"
	Video    Kind = "video"
	Audio    Kind = "audio"
	Document Kind = "document"
)

// Format is what the bytes of a file are, whatever its name says.
type Format struct {
	Name string // short and lower case: "jpeg", "mp4"
	MIME string
	Kind Kind

	demuxer string // ffmpeg's only reader for it; empty if ffmpeg never sees it
	loader  string // the class of libvips that reads it; empty if libvips never sees it
	trusted bool   // libvips counts that loader among those fit for bytes from strangers
	inGo    bool   // the fallbacks read it
}

const movDemuxer = "mov,mp4,m4a,3gp,3g2,mj2"

// formats are all that Sniff knows.
var formats = []Format{
	{Name: "jpeg", MIME: "image/jpeg", Kind: Image, loader: "jpegload", trusted: true, inGo: true},
	{Name: "png", MIME: "image/png", Kind: Image, demuxer: "apng", loader: "pngload", trusted: true, inGo: true},
	{Name: "gif", MIME: "image/gif", Kind: Image, loader: "gifload", trusted: true, inGo: true},
	{Name: "webp", MIME: "image/webp", Kind: Image, loader: "webpload", trusted: true, inGo: true},
	{Name: "bmp", MIME: "image/bmp", Kind: Image, demuxer: "bmp_pipe", inGo: true},
	{Name: "tiff", MIME: "image/tiff", Kind: Image, loader: "tiffload", trusted: true},
	{Name: "raw", MIME: "image/x-raw", Kind: Image, inGo: true}, // of its preview, a JPEG
	{Name: "heic", MIME: "image/heic", Kind: Image, loader: "heifload", trusted: true},
	{Name: "avif", MIME: "image/avif", Kind: Image, loader: "heifload", trusted: true},
	{Name: "jxl", MIME: "image/jxl", Kind: Image, loader: "jxlload"},
	{Name: "jp2", MIME: "image/jp2", Kind: Image, loader: "jp2kload"},
	{Name: "svg", MIME: "image/svg+xml", Kind: Image, loader: "svgload"},
	{Name: "pdf", MIME: "application/pdf", Kind: Document, loader: "pdfload"},

	{Name: "mp4", MIME: "video/mp4", Kind: Video, demuxer: movDemuxer},
	{Name: "mov", MIME: "video/quicktime", Kind: Video, demuxer: movDemuxer},
	{Name: "3gp", MIME: "video/3gpp", Kind: Video, demuxer: movDemuxer},
	{Name: "matroska", MIME: "video/x-matroska", Kind: Video, demuxer: "matroska"},
	{Name: "webm", MIME: "video/webm", Kind: Video, demuxer: "matroska"},
	{Name: "avi", MIME: "video/x-msvideo", Kind: Video, demuxer: "avi"},
	{Name: "mpegts", MIME: "video/mp2t", Kind: Video, demuxer: "mpegts"},
	{Name: "mpeg", MIME: "video/mpeg", Kind: Video, demuxer: "mpeg"},
	{Name: "flv", MIME: "video/x-flv", Kind: Video, demuxer: "flv"},
	{Name: "asf", MIME: "video/x-ms-asf", Kind: Video, demuxer: "asf"},

	{Name: "mp3", MIME: "audio/mpeg", Kind: Audio, demuxer: "mp3"},
	{Name: "m4a", MIME: "audio/mp4", Kind: Audio, demuxer: movDemuxer},
	{Name: "flac", MIME: "audio/flac", Kind: Audio, demuxer: "flac"},
	{Name: "ogg", MIME: "audio/ogg", Kind: Audio, demuxer: "ogg"}, // a video if it has a moving picture
	{Name: "wav", MIME: "audio/wav", Kind: Audio, demuxer: "wav"},
	{Name: "aac", MIME: "audio/aac", Kind: Audio, demuxer: "aac"},
	{Name: "aiff", MIME: "audio/aiff", Kind: Audio, demuxer: "aiff"},
	{Name: "ape", MIME: "audio/x-ape", Kind: Audio, demuxer: "ape"},
	{Name: "wavpack", MIME: "audio/x-wavpack", Kind: Audio, demuxer: "wv"},
}

// Formats returns all formats of this package, in a slice of the caller's.
func Formats() []Format { return slices.Clone(formats) }

func formatNamed(name string) Format {
	i := slices.IndexFunc(formats, func(f Format) bool { return f.Name == name })
	return formats[i]
}
