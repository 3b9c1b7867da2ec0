package blocks

import (
	"mime"
	"path"
	"strings"
	"unicode"
)

const (
	// maxFileNameBytes is what file systems take.
	maxFileNameBytes = 255
	// maxExtension (bytes) is how much of a long name's end is kept.
	maxExtension = 20
	maxMime      = 127
)

// cleanFileName returns the last part of a path as a name that can be shown and saved
// anywhere: no separators, nothing invisible that changes how the rest is read, at most
// maxFileNameBytes. "" if nothing is left.
func cleanFileName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar {
			return '_'
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\ufeff' || r == '\u2028' || r == '\u2029' {
			return -1
		}
		return r
	}, name)
	name = strings.TrimSpace(name)
	if len(name) > maxFileNameBytes {
		ext := path.Ext(name)
		if len(ext) > maxExtension {
			ext = ""
		}
		name = strings.TrimSpace(cutBytes(name, maxFileNameBytes-len(ext))) + ext
	}
	if strings.Trim(name, ".") == "" {
		return ""
	}
	return name
}

// cleanMime returns a media type without parameters, "" if it is none.
func cleanMime(s string) string {
	kind, _, err := mime.ParseMediaType(s)
	if err != nil || len(kind) > maxMime || strings.Count(kind, "/") != 1 {
		return ""
	}
	return kind
}
