package syncserver

import (
	"mime"
	"net/http"
	"path"
	"strings"
)

// nameTypes is what the ends of names stand for, the same on every machine.
var nameTypes = map[string]string{
	".3gp": "video/3gpp", ".7z": "application/x-7z-compressed", ".aac": "audio/aac", ".aif": "audio/aiff", ".aiff": "audio/aiff",
	".apng": "image/apng", ".arw": "image/x-sony-arw", ".avi": "video/x-msvideo", ".avif": "image/avif", ".bmp": "image/bmp",
	".bz2": "application/x-bzip2", ".cr2": "image/x-canon-cr2", ".cr3": "image/x-canon-cr3", ".css": "text/css", ".csv": "text/csv",
	".dng": "image/x-adobe-dng", ".doc": "application/msword", ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	".epub": "application/epub+zip", ".flac": "audio/flac", ".flv": "video/x-flv", ".gif": "image/gif", ".gz": "application/gzip",
	".heic": "image/heic", ".heif": "image/heif", ".hevc": "video/mp4", ".htm": "text/html", ".html": "text/html", ".ics": "text/calendar",
	".jpeg": "image/jpeg", ".jpg": "image/jpeg", ".js": "text/javascript", ".json": "application/json", ".jxl": "image/jxl",
	".m3u8": "application/vnd.apple.mpegurl", ".m4a": "audio/mp4", ".m4b": "audio/mp4", ".m4v": "video/x-m4v", ".md": "text/markdown",
	".mhtml": "multipart/related", ".mid": "audio/midi", ".mjs": "text/javascript", ".mka": "audio/x-matroska", ".mkv": "video/x-matroska",
	".mov": "video/quicktime", ".mp3": "audio/mpeg", ".mp4": "video/mp4", ".mpeg": "video/mpeg", ".mpg": "video/mpeg", ".mts": "video/mp2t",
	".nef": "image/x-nikon-nef", ".odp": "application/vnd.oasis.opendocument.presentation", ".ods": "application/vnd.oasis.opendocument.spreadsheet",
	".odt": "application/vnd.oasis.opendocument.text", ".oga": "audio/ogg", ".ogg": "audio/ogg", ".ogv": "video/ogg", ".opus": "audio/ogg",
	".pdf": "application/pdf", ".png": "image/png", ".ppt": "application/vnd.ms-powerpoint",
	".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation", ".raf": "image/x-fuji-raf", ".rar": "application/vnd.rar",
	".rtf": "application/rtf", ".srt": "application/x-subrip", ".svg": "image/svg+xml", ".svgz": "image/svg+xml", ".swf": "application/x-shockwave-flash",
	".tar": "application/x-tar", ".tif": "image/tiff", ".tiff": "image/tiff", ".ts": "video/mp2t", ".txt": "text/plain", ".vtt": "text/vtt",
	".wav": "audio/wav", ".weba": "audio/webm", ".webm": "video/webm", ".webp": "image/webp", ".wma": "audio/x-ms-wma", ".wmv": "video/x-ms-wmv",
	".xhtml": "application/xhtml+xml", ".xls": "application/vnd.ms-excel", ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	".xml": "application/xml", ".xsl": "application/xml", ".zip": "application/zip",
}

const unknownType = "application/octet-stream"

// vague are the types that sniffing gives to many formats, and by what the type must begin
// that a name may give to it instead; "": anything.
var vague = map[string]string{
	unknownType: "", "text/plain": "", "text/xml": "", "application/zip": "application/", "application/x-gzip": "application/",
	"application/ogg": "", "video/mp4": "", "video/webm": "", "audio/basic": "audio/",
}

// MediaType says what a file is: what its first bytes show, more exactly by its name, and
// what the client takes it for only if nothing else is known.
func MediaType(name, declared string, head []byte) string {
	sniffed, _, _ := strings.Cut(http.DetectContentType(head), ";")
	if len(head) == 0 {
		sniffed = unknownType
	}
	named := nameTypes[strings.ToLower(path.Ext(name))]
	prefix, isVague := vague[sniffed]
	switch {
	case active(sniffed) && sniffed != "text/xml":
		return sniffed
	case isVague && named != "" && strings.HasPrefix(named, prefix):
		return named
	case sniffed != unknownType && (sniffed != "text/plain" || named == ""):
		return sniffed
	}
	kind, _, err := mime.ParseMediaType(declared)
	if err != nil || active(kind) || strings.HasPrefix(kind, "multipart/") {
		return unknownType
	}
	return kind
}

// active says whether browsers run what is in a file of this type, or may.
func active(kind string) bool {
	switch kind {
	case "text/html", "text/xml", "text/javascript", "text/css", "application/xml", "application/javascript", "application/ecmascript",
		"application/x-javascript", "text/ecmascript", "application/x-shockwave-flash", "multipart/related", "message/rfc822", "text/cache-manifest":
		return true
	}
	return strings.HasSuffix(kind, "+xml") || strings.HasPrefix(kind, "multipart/")
}
