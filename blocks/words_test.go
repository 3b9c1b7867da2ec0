package blocks_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/heapsync/heapsync/blocks"
)

func TestWordsAreFolded(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "",
		"Hello, World!":           "hello world",
		"don't e-mail a_b x2":     "don t e mail a b x2",
		"Crème BRÛLÉE naïve":      "creme brulee naive",
		"Straße Æsir Łódź ŒUVRE":  "strasse aesir lodz oeuvre",
		"ΣΊΣΥΦΟΣ σίσυφος":         "σισυφοσ σισυφοσ",
		"Ёлка Йод":                "елка иод",
		"e\u0301te\u0301":         "ete",
		"ＦＵＬＬ　ｗｉｄｔｈ":              "full width",
		"ﬁne ①":                   "fine 1",
		"漢字かなカナ":                  "漢 字 か な カ ナ",
		"ﾊﾝｶｸ":                    "ハ ン カ ク",
		"한국어":                     "한 국 어",
		"PC版とMac":                 "pc 版 と mac",
		"הַשָּׁלוֹם":              "השלום",
		"العَرَبِيَّة":            "العربية",
		"हिन्दी":                  "हिन्दी",
		"ไทย":                     "ไ ท ย",
		"a🎉b 👍🏽":                  "a 🎉 b 👍",
		"\xff\xfebad\xffutf8":     "bad utf8",
		strings.Repeat("x", 1000): strings.Repeat("x", 64),
		"a\x00b\u200bc":           "a b c",
	} {
		words, places := blocks.WordsOf(text)
		if got := strings.Join(words, " "); got != want {
			t.Errorf("%q is folded to %q, want %q", text, got, want)
		}
		last := 0
		for _, p := range places {
			if p[0] < last || p[1] <= p[0] || p[1] > len(text) {
				t.Errorf("%q: places %v", text, places)
			}
			last = p[1]
		}
		if folded, n := blocks.Fold(text, 1<<20); folded != want || n != int64(len(words)) {
			t.Errorf("Fold of %q is %q, %d words", text, folded, n)
		}
	}
}

func FuzzWords(f *testing.F) {
	f.Add("Hello, wörld 漢字", "wor")
	f.Add("\xff\u0301x", "\"x")
	f.Add(strings.Repeat("ab ", 100)+"🎉", "🎉 ab")
	f.Fuzz(func(t *testing.T, text, query string) {
		words, places := blocks.WordsOf(text)
		for i, w := range words {
			if w == "" || strings.ContainsAny(w, " \"*:^()\n\x00") || !utf8.ValidString(w) && utf8.ValidString(text) {
				t.Fatalf("word %q of %q", w, text[places[i][0]:places[i][1]])
			}
			if again, _ := blocks.WordsOf(w); strings.Join(again, "") != w && len(w) < 64 {
				t.Fatalf("%q is folded to %q", w, again)
			}
		}
		q, err := blocks.ParseQuery(query)
		if err != nil {
			return
		}
		snippet, ranges := blocks.Excerpt(text, q)
		checkRanges(t, snippet, ranges)
		checkRanges(t, text, blocks.RangesOf(text, q))
	})
}

// checkRanges checks that ranges follow each other within text.
func checkRanges(t *testing.T, text string, ranges []blocks.Range) {
	t.Helper()
	units, last := len(utf16.Encode([]rune(text))), 0
	for _, r := range ranges {
		if r[0] < last || r[1] <= r[0] || r[1] > units {
			t.Fatalf("ranges %v in %q of %d units", ranges, text, units)
		}
		last = r[1]
	}
}

func TestQueriesAreNeverMalformed(t *testing.T) {
	for query, want := range map[string]string{
		"":                 "",
		"one":              "+one*",
		"One two":          "+one +two*",
		"one two ":         "+one +two*",
		`"one two"`:        "+one two",
		`"one two`:         "+one two",
		`one "two`:         "+one +two",
		"-one":             "-one",
		"- one":            "+one*",
		"a -b":             "+a -b",
		`a -"b c" d`:       "+a -b c +d*",
		"foo-bar":          "+foo bar*",
		"c++":              "+c*",
		"NOT (x OR y)*":    "+not +x +or +y*",
		"title:x":          "+title x*",
		"漢字":               "+漢 字",
		"x 漢字 abc":         "+x +漢 字 +abc*",
		"!!! \" \" -\"\" ": "",
		"''; DROP TABLE":   "+drop +table*",
	} {
		q, err := blocks.ParseQuery(query)
		if err != nil {
			t.Errorf("%q: %v", query, err)
		}
		var got []string
		for sign, terms := range map[string][]blocks.Term{"+": q.Terms} {
			for _, term := range terms {
				s := sign + strings.Join(term.Words, " ")
				if term.Prefix {
					s += "*"
				}
				got = append(got, s)
			}
		}
		for i, term := range q.Without {
			at := len(got)
			if query == `a -"b c" d` {
				at = 1 + i
			}
			got = append(got[:at], append([]string{"-" + strings.Join(term.Words, " ")}, got[at:]...)...)
		}
		if s := strings.Join(got, " "); s != want || q.Empty() != (want == "") {
			t.Errorf("%q is %q, want %q", query, s, want)
		}
	}
	for _, query := range []string{strings.Repeat("x", 1001), strings.Repeat("x ", 33), `"` + strings.Repeat("漢", 33)} {
		if _, err := blocks.ParseQuery(query); err == nil {
			t.Errorf("%.20q… is taken", query)
		}
	}
}

// marked shows the ranges of a text in brackets.
func marked(text string, ranges []blocks.Range) string {
	units := utf16.Encode([]rune(text))
	var b strings.Builder
	at := 0
	for _, r := range ranges {
		fmt.Fprintf(&b, "%s[%s]", string(utf16.Decode(units[at:r[0]])), string(utf16.Decode(units[r[0]:r[1]])))
		at = r[1]
	}
	return b.String() + string(utf16.Decode(units[at:]))
}

func TestExcerptsShowWhatMatches(t *testing.T) {
	filler := strings.Repeat("lorem ipsum ", 30)
	for _, tt := range []struct{ text, query, want string }{
		{"Some words here", "words", "Some [words] here"},
		{"Some words here", "wor", "Some [words] here"},
		{"Some words here", "none", ""},
		{"Café 🎉 CAFE\ncafés", "cafe", "[Café] 🎉 [CAFE] [cafés]"},
		{"我们的数据库设计", "数据库", "我们的[数据库]设计"},
		{"one two three", `"two three" one`, "[one] [two three]"},
		{filler + "needle" + " and more", "needle", "…lorem ipsum lorem ipsum lorem ipsum [needle] and more"},
		{"first line\n" + strings.Repeat("x ", 200) + "\nthe needle line", "needle", "…the [needle] line"},
		{"alpha " + filler + "alpha beta", "alpha beta", "…lorem ipsum lorem ipsum lorem ipsum [alpha] [beta]"},
	} {
		q, err := blocks.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		snippet, ranges := blocks.Excerpt(tt.text, q)
		if got := marked(snippet, ranges); got != tt.want {
			t.Errorf("%q in %.40q: %q, want %q", tt.query, tt.text, got, tt.want)
		}
	}
	q, _ := blocks.ParseQuery("word")
	snippet, _ := blocks.Excerpt(strings.Repeat("word ", 100_000), q)
	if n := len([]rune(snippet)); n > 202 {
		t.Errorf("a snippet of %d characters", n)
	}
}
