// Inside the package, for names are cleaned on many ways in.
package blocks

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFileNamesAreCleaned(t *testing.T) {
	for name, want := range map[string]string{
		"a.txt":                 "a.txt",
		"":                      "",
		".":                     "",
		"...":                   "",
		".profile":              ".profile",
		"../../etc/passwd":      "passwd",
		`C:\fakepath\photo.jpg`: "photo.jpg",
		"/":                     "",
		"a\x00b\r\nc.txt":       "abc.txt",
		"photo\u202egpj.exe":    "photogpj.exe",
		"\u2066x\u2069\ufeff":   "x",
		"  über Ünïcode 👩‍👩‍👧.md ": "über Ünïcode 👩‍👩‍👧.md",
		"bad\xffutf8":                            "bad_utf8",
		strings.Repeat("é", 150) + ".jpeg":       strings.Repeat("é", 125) + ".jpeg",
		strings.Repeat("x", 300):                 strings.Repeat("x", 255),
		"x." + strings.Repeat("y", 300):          "x." + strings.Repeat("y", 253),
		strings.Repeat("👩", 64) + "." + "tar.gz": strings.Repeat("👩", 63) + ".gz",
	} {
		got := cleanFileName(name)
		if got != want || !utf8.ValidString(got) || len(got) > maxFileNameBytes {
			t.Errorf("%q became %q, want %q", name, got, want)
		}
	}
}

func TestMediaTypesAreCleaned(t *testing.T) {
	for s, want := range map[string]string{
		"image/PNG; q=1": "image/png", "": "", "image": "", "image/": "", "a/b/c": "", "text/html\r\nX: y": "",
		"text/" + strings.Repeat("x", 200): "",
	} {
		if got := cleanMime(s); got != want {
			t.Errorf("%q became %q, want %q", s, got, want)
		}
	}
}
