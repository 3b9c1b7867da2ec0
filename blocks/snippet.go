package blocks

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Range is a piece of a text in UTF-16 code units, half open.
type Range [2]int

const (
	snippetLen  = 200 // characters of a snippet
	snippetLead = 40  // of them before the first match, at most
	// matchedLen is how many bytes of a text are looked through for matches.
	matchedLen = 64 << 10
)

// wordAt is a word's place in a text and in its folded words.
type wordAt struct{ from, to, folded, end int }

// matches returns the byte ranges of a text's first matchedLen bytes that match one of
// terms, in order, and for each which term it is.
func matches(text string, terms []Term) (found [][2]int, which []int) {
	if len(text) > matchedLen {
		text = text[:matchedLen]
	}
	var words []wordAt
	folded := make([]byte, 0, min(len(text)+16, matchedLen))
	eachWord(text, func(from, to int, word []byte) bool {
		words = append(words, wordAt{from, to, len(folded), len(folded) + len(word)})
		folded = append(folded, word...)
		return true
	})
	at := func(i int) string { return string(folded[words[i].folded:words[i].end]) }
	for i := 0; i < len(words); i++ {
		longest, term := 0, 0
		for n, t := range terms {
			if len(t.Words) <= longest || i+len(t.Words) > len(words) {
				continue
			}
			k := 0
			for k < len(t.Words) && (at(i+k) == t.Words[k] ||
				t.Prefix && k == len(t.Words)-1 && strings.HasPrefix(at(i+k), t.Words[k])) {
				k++
			}
			if k == len(t.Words) {
				longest, term = k, n
			}
		}
		if longest > 0 {
			found = append(found, [2]int{words[i].from, words[i+longest-1].to})
			which = append(which, term)
			i += longest - 1
		}
	}
	return found, which
}

// excerpt returns the piece of text around its matches, the one with the most terms, in
// one line, and where the matches are in it. Without a match it is "".
func excerpt(text string, terms []Term) (string, []Range) {
	found, which := matches(text, terms)
	if len(found) == 0 {
		return "", nil
	}
	best, most := 0, 0
	for i := range found {
		seen := make(map[int]bool)
		for k := i; k < len(found) && found[k][1]-found[i][0] <= snippetLen-snippetLead; k++ {
			seen[which[k]] = true
		}
		if len(seen) > most {
			best, most = i, len(seen)
		}
		if i >= 1000 {
			break
		}
	}
	from := backTo(text, found[best][0], snippetLead)
	to := aheadTo(text, from, max(snippetLen, utf8.RuneCountInString(text[from:found[best][1]])))
	var b strings.Builder
	units := 0
	put := func(s string) {
		for _, r := range s {
			if unicode.IsSpace(r) || unicode.IsControl(r) {
				r = ' '
			}
			b.WriteRune(r)
			units++
			if r > 0xffff {
				units++
			}
		}
	}
	if from > 0 {
		put("…")
	}
	var ranges []Range
	at := from
	for _, m := range found {
		if m[0] < at || m[1] > to {
			continue
		}
		put(text[at:m[0]])
		begin := units
		put(text[m[0]:m[1]])
		ranges = append(ranges, Range{begin, units})
		at = m[1]
	}
	put(text[at:to])
	if to < len(text) {
		put("…")
	}
	return b.String(), ranges
}

// backTo goes back from at by as many as n characters, to the beginning of a word or a
// line.
func backTo(text string, at, n int) int {
	from, space := at, at
	for range n {
		if from == 0 {
			return 0
		}
		r, size := utf8.DecodeLastRuneInString(text[:from])
		if r == '\n' {
			return from
		}
		if unicode.IsSpace(r) {
			space = from
		}
		from -= size
	}
	if space < at {
		return space
	}
	return from
}

// aheadTo goes n characters ahead from at, or to the end.
func aheadTo(text string, at, n int) int {
	for range n {
		if at >= len(text) {
			break
		}
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
	}
	return at
}

// rangesOf returns where in text the terms are.
func rangesOf(text string, terms []Term) []Range {
	found, _ := matches(text, terms)
	var ranges []Range
	units, at := 0, 0
	advance := func(to int) int {
		for _, r := range text[at:to] {
			units++
			if r > 0xffff {
				units++
			}
		}
		at = to
		return units
	}
	for _, m := range found {
		begin := advance(m[0])
		ranges = append(ranges, Range{begin, advance(m[1])})
	}
	return ranges
}

// beginning returns how text begins, in one line, without the line that became the
// title.
func beginning(text, title string) string {
	rest := strings.TrimLeftFunc(text, unicode.IsSpace)
	if line, after, _ := strings.Cut(rest, "\n"); title != "" && strings.TrimSpace(line) == title {
		rest = after
	}
	var b strings.Builder
	space := false
	n := 0
	for _, r := range rest {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			space = b.Len() > 0
			continue
		}
		if n >= snippetLen {
			b.WriteString("…")
			break
		}
		if space {
			b.WriteByte(' ')
			n++
		}
		space = false
		b.WriteRune(r)
		n++
	}
	return b.String()
}
