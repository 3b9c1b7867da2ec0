package media

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// The ways in which a file gets no picture. Every error of this package, other
// than one of reading the file or of the caller's context, is one of these; its
// text gives the reason in words and names no path of this machine.
var (
	// ErrUnsupported: the bytes are of no format that this package knows, or of
	// one without the asked kind of picture (the cover of a song that has none).
	ErrUnsupported = errors.New("unsupported")
	// ErrTooLarge: more pixels, memory or output than the limits allow.
	ErrTooLarge = errors.New("too large")
	// ErrDamaged: the format is known, but the bytes do not keep to it.
	ErrDamaged = errors.New("damaged")
	// ErrTimeout: the limit of time is spent. The same file may do better on a
	// machine with less to do.
	ErrTimeout = errors.New("took too long")
	// ErrNoEngine: it takes a program that Find has not found. The same file may
	// do better after it has been installed.
	ErrNoEngine = errors.New("no engine")
)

// fail makes an error of kind, one of the above.
func fail(kind error, format string, args ...any) error {
	return fmt.Errorf("%w: %s", kind, fmt.Sprintf(format, args...))
}

// maxReason bounds what an engine says about a file, in bytes.
const maxReason = 200

// noise are complaints that say nothing about the file.
var noise = []string{"unable to thumbnail", "VIPS-WARNING", "VIPS-INFO", "Error submitting"}

// reason is the first line of an engine's complaints that says something, without
// the names under which the engine knew the file and itself.
func reason(complaints []byte) string {
	for line := range strings.Lines(string(complaints)) {
		if slices.ContainsFunc(noise, func(n string) bool { return strings.Contains(line, n) }) {
			continue
		}
		line = strings.Map(func(r rune) rune {
			if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
				return -1
			}
			return r
		}, line)
		line = strings.NewReplacer(inputPath+": ", "", inputPath, "the file", "stdin: ", "", "stdin", "the file").Replace(line)
		for { // ffmpeg says where in itself it was: [mov @ 0x55d0c0]
			rest, found := strings.CutPrefix(strings.TrimSpace(line), "[")
			_, after, closed := strings.Cut(rest, "]")
			if !found || !closed {
				break
			}
			line = after
		}
		words := strings.Fields(line)
		for i, word := range words { // it may name a library or a folder
			if strings.Contains(word, "/") {
				words[i] = "…"
			}
		}
		line = strings.TrimPrefix(strings.Join(words, " "), "… ")
		if line == "" || line == "…" {
			continue
		}
		if len(line) > maxReason {
			line = strings.ToValidUTF8(line[:maxReason], "") + "…"
		}
		return line
	}
	return "the engine gave no reason"
}
