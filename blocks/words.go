package blocks

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm" // what letters are without their accents
)

// A word is a run of letters and digits, folded: small, without accents, and with
// letters that are written otherwise elsewhere as those are ("Straße" as "strasse"). Of
// scripts that put no spaces between words each character is a word, and so is each
// symbol such as an emoji: there, words that follow each other are looked for.

// maxWord is how many bytes of a word count.
const maxWord = 64

// eachWord calls yield with the place of each word and its folded text, which is valid
// until the next, and returns false if yield did.
func eachWord(s string, yield func(from, to int, folded []byte) bool) bool {
	var buf [maxWord + 4*utf8.UTFMax]byte
	for i := 0; i < len(s); {
		from, folded := i, buf[:0]
		if c := s[i]; c < utf8.RuneSelf {
			if asciiWord[c] == 0 {
				i++
				continue
			}
		} else if r, n := utf8.DecodeRuneInString(s[i:]); isAlone(r) {
			i += n
			if !yield(from, i, appendAlone(folded, r)) {
				return false
			}
			continue
		} else if !beginsWord(r) {
			i += n
			continue
		}
		for i < len(s) {
			c := s[i]
			if c < utf8.RuneSelf {
				if asciiWord[c] == 0 {
					break
				}
				i++
				if len(folded) < maxWord {
					folded = append(folded, asciiWord[c])
				}
				continue
			}
			r, n := utf8.DecodeRuneInString(s[i:])
			if isAlone(r) || !beginsWord(r) && !unicode.IsMark(r) {
				break
			}
			i += n
			if len(folded) < maxWord {
				folded = appendFolded(folded, r)
			}
		}
		if len(folded) > 0 && !yield(from, i, folded) {
			return false
		}
	}
	return true
}

// asciiWord is what letters and digits are folded to.
var asciiWord = func() (t [utf8.RuneSelf]byte) {
	for c := byte('0'); c <= '9'; c++ {
		t[c] = c
	}
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = c, c
	}
	return t
}()

func beginsWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

// unspaced is the scripts whose characters are words of their own.
var unspaced = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo,
	unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Tibetan, unicode.Yi,
}

// isAlone says whether r is a word by itself.
func isAlone(r rune) bool {
	switch {
	case r < 0x0e00:
		return false
	case r == 'ー' || r == 'ｰ': // lengthens vowels in two scripts
		return true
	case unicode.In(r, unspaced...):
		return beginsWord(r) || unicode.IsMark(r)
	}
	return r >= 0x2190 && r != utf8.RuneError && unicode.Is(unicode.So, r)
}

// appendAlone makes characters alike that are only as wide as others.
func appendAlone(dst []byte, r rune) []byte {
	if r >= 0xf900 && r < 0x10000 || r >= 0x2f800 && r < 0x2fa20 {
		return norm.NFKC.AppendString(dst, string(r))
	}
	return utf8.AppendRune(dst, r)
}

// otherwise is how letters are written where a keyboard lacks them.
var otherwise = map[rune]string{
	'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'đ': "d", 'ð': "d", 'ł': "l", 'þ': "th", 'ı': "i", 'ς': "σ", 'ŋ': "n", 'ħ': "h",
}

// accents is the marks that words are found without.
var accents = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x0300, 0x036f, 1}, {0x0483, 0x0489, 1}, {0x0591, 0x05c7, 1}, {0x0610, 0x061a, 1}, {0x064b, 0x065f, 1}, {0x0670, 0x0670, 1},
		{0x1ab0, 0x1aff, 1}, {0x1dc0, 0x1dff, 1}, {0x20d0, 0x20ff, 1}, {0xfe00, 0xfe0f, 1}, {0xfe20, 0xfe2f, 1},
	},
}

func appendFolded(dst []byte, r rune) []byte {
	var buf [32]byte
	for _, r := range string(norm.NFKD.AppendString(buf[:0], string(unicode.ToLower(r)))) {
		r = unicode.ToLower(r)
		switch other, ok := otherwise[r]; {
		case ok:
			dst = append(dst, other...)
		case beginsWord(r), unicode.IsMark(r) && !unicode.Is(accents, r):
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// Fold returns the words of s, at most max bytes of them, with a space between, and how
// many there are.
func Fold(s string, max int) (string, int64) {
	var b strings.Builder
	n := int64(0)
	eachWord(s, func(_, _ int, word []byte) bool {
		if b.Len()+len(word)+1 > max {
			return false
		}
		if n > 0 {
			b.WriteByte(' ')
		}
		b.Write(word)
		n++
		return true
	})
	return b.String(), n
}
