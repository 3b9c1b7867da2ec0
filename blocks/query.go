package blocks

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Query is what a user looks for: all of Terms, and none of Without.
type Query struct {
	Terms   []Term
	Without []Term
}

// Term is folded words that follow each other.
type Term struct {
	Words  []string
	Prefix bool // the last word need only begin so
}

// Bounds of a query.
const (
	maxQueryLen   = 1000 // characters
	maxQueryWords = 32
)

// ErrQuery: a query is too long. It is ErrInvalid.
var ErrQuery = fmt.Errorf("query may have at most %d characters and %d words: %w", maxQueryLen, maxQueryWords, ErrInvalid)

// ParseQuery reads words that are all looked for, "words that follow each other" and
// -words that must not be there. The last word need only be the beginning of one. All
// else that is not part of a word divides words. No query is malformed.
func ParseQuery(s string) (Query, error) {
	var q Query
	if utf8.RuneCountInString(s) > maxQueryLen {
		return q, ErrQuery
	}
	words := 0
	for rest := s; ; {
		rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
		if rest == "" {
			break
		}
		without := len(rest) > 1 && rest[0] == '-' && !startsWithSpace(rest[1:])
		if without {
			rest = rest[1:]
		}
		part, quoted := "", rest[0] == '"'
		if quoted {
			part, rest, _ = strings.Cut(rest[1:], `"`)
		} else {
			end := strings.IndexFunc(rest, func(r rune) bool { return r == '"' || unicode.IsSpace(r) })
			if end < 0 {
				end = len(rest)
			}
			part, rest = rest[:end], rest[end:]
		}
		t := termOf(part)
		words += len(t.Words)
		switch {
		case len(t.Words) == 0:
		case without:
			q.Without = append(q.Without, t)
		default:
			t.Prefix = !quoted && strings.TrimSpace(rest) == "" && !endsAlone(part)
			q.Terms = append(q.Terms, t)
		}
	}
	if words > maxQueryWords {
		return Query{}, ErrQuery
	}
	return q, nil
}

func startsWithSpace(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsSpace(r)
}

// endsAlone says whether the last word of s is one character that is a word by itself.
func endsAlone(s string) bool {
	alone := false
	eachWord(s, func(from, _ int, _ []byte) bool {
		r, _ := utf8.DecodeRuneInString(s[from:])
		alone = isAlone(r)
		return true
	})
	return alone
}

func termOf(s string) Term {
	var t Term
	eachWord(s, func(_, _ int, word []byte) bool {
		t.Words = append(t.Words, string(word))
		return true
	})
	return t
}

// Empty says whether q asks for nothing.
func (q Query) Empty() bool { return len(q.Terms)+len(q.Without) == 0 }
