package richtext

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is a piece of inline Markdown. Those that open and close a mark are a pair.
type token struct {
	out   string
	mark  markSet // of a token that opens or closes a mark with a sign; 0: neither
	open  bool
	pair  int  // the other token of the pair
	depth int  // signs of emphasis that are open around it
	raw   bool // out is an HTML tag
}

// signs are the marks that Markdown has a sign for, and those that are written as
// HTML tags at once.
var signs = map[markSet]string{bold: "**", italic: "*", strike: "~~"}

var tags = map[markSet]string{
	bold: "strong", italic: "em", strike: "s", underline: "u", highlight: "mark", sub: "sub", sup: "sup",
}

// inlineMarkdown writes spans on one line, but for breaks, which are written as brk.
func inlineMarkdown(spans []span, brk string, inTable bool) string {
	tokens := tokenize(settle(join(spans)), brk, inTable)
	for pass := 0; repair(tokens, pass > 8); pass++ {
	}
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(t.out)
	}
	return b.String()
}

// settle takes white space at the edges of spans out of marks that end there: signs
// must stand next to something.
func settle(spans []span) []span {
	var out []span
	for _, s := range spans {
		if s.text == "" || s.marks.on&inlineCode != 0 {
			out = append(out, s)
			continue
		}
		core := strings.TrimFunc(s.text, unicode.IsSpace)
		if core == "" {
			out = append(out, span{text: s.text, brk: true, marks: s.marks})
			continue
		}
		from := strings.Index(s.text, core)
		if from > 0 {
			out = append(out, span{text: s.text[:from], brk: true, marks: s.marks})
		}
		out = append(out, span{text: core, marks: s.marks})
		if rest := s.text[from+len(core):]; rest != "" {
			out = append(out, span{text: rest, brk: true, marks: s.marks})
		}
	}
	// White space and breaks have the marks that hold before and after them.
	next := marks{}
	after := make([]marks, len(out))
	for i := len(out) - 1; i >= 0; i-- {
		after[i] = next
		if !out[i].brk {
			next = out[i].marks
		}
	}
	before := marks{}
	for i := range out {
		if !out[i].brk {
			before = out[i].marks
			continue
		}
		m := marks{on: before.on & after[i].on &^ inlineCode}
		if before.link == after[i].link {
			m.link = before.link
		}
		out[i].marks = m
	}
	return out
}

// isOn reports whether m has mark; 0 stands for the link.
func (m marks) isOn(mark markSet, link string) bool {
	if mark == 0 {
		return m.link == link
	}
	return m.on&mark != 0
}

// opened is a mark that is open; mark 0 is a link.
type opened struct {
	mark markSet
	link string
	at   int
}

// tokenize nests the marks: of those that begin together, the one that goes on longest
// is outermost.
func tokenize(spans []span, brk string, inTable bool) []token {
	var tokens []token
	var stack []opened
	depth := 0
	closeTo := func(n int) {
		for len(stack) > n {
			o := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			t := token{pair: o.at}
			if o.mark == 0 {
				t.out = "](" + markdownURL(o.link) + ")"
			} else {
				if o.mark == bold || o.mark == italic {
					t.depth = depth
					depth--
				}
				t.mark, t.out, t.raw = closing(o.mark)
			}
			tokens[o.at].pair = len(tokens)
			tokens = append(tokens, t)
		}
	}
	for i, s := range spans {
		keep := 0
		for keep < len(stack) && s.marks.isOn(stack[keep].mark, stack[keep].link) {
			keep++
		}
		closeTo(keep)
		for _, o := range fresh(spans[i:], stack) {
			o.at = len(tokens)
			t := token{open: true, out: "["}
			if o.mark != 0 {
				if o.mark == bold || o.mark == italic {
					depth++
					t.depth = depth
				}
				t.mark, t.out, t.raw = opening(o.mark)
			}
			stack = append(stack, o)
			tokens = append(tokens, t)
		}
		tokens = append(tokens, token{out: content(s, brk, inTable), pair: -1})
	}
	closeTo(0)
	return tokens
}

func opening(mark markSet) (markSet, string, bool) {
	if sign := signs[mark]; sign != "" {
		return mark, sign, false
	}
	return mark, "<" + tags[mark] + ">", true
}

func closing(mark markSet) (markSet, string, bool) {
	if sign := signs[mark]; sign != "" {
		return mark, sign, false
	}
	return mark, "</" + tags[mark] + ">", true
}

// fresh returns the marks of the first span that are not open, the longest first.
func fresh(spans []span, stack []opened) []opened {
	type run struct {
		opened
		length int
	}
	var runs []run
	m := spans[0].marks
	add := func(mark markSet, link string) {
		if slices.ContainsFunc(stack, func(o opened) bool { return o.mark == mark && o.link == link }) {
			return
		}
		n := 0
		for n < len(spans) && n < 64 && spans[n].marks.isOn(mark, link) {
			n++
		}
		runs = append(runs, run{opened{mark: mark, link: link}, n})
	}
	if m.link != "" {
		add(0, m.link)
	}
	for _, h := range htmlMarks {
		if h.mark != inlineCode && m.on&h.mark != 0 {
			add(h.mark, "")
		}
	}
	slices.SortStableFunc(runs, func(a, b run) int { return b.length - a.length })
	var out []opened
	for _, r := range runs {
		out = append(out, r.opened)
	}
	return out
}

// content writes a span without its marks, but for code.
func content(s span, brk string, inTable bool) string {
	switch {
	case s.image != nil:
		return markdownImage(s.image, inTable)
	case s.brk && s.text == "":
		return brk
	case s.marks.on&inlineCode != 0:
		return codeSpan(s.text, inTable)
	}
	return escapeMarkdown(s.text)
}

// repair turns signs that would not be recognised where they stand into tags, and
// reports whether it did. If all is true it turns every sign.
func repair(tokens []token, all bool) (changed bool) {
	turn := func(i int) {
		t := &tokens[i]
		for _, t := range []*token{t, &tokens[t.pair]} {
			t.raw, t.out = true, "<"+tags[t.mark]+">"
			if !t.open {
				t.out = "</" + tags[t.mark] + ">"
			}
		}
		changed = true
	}
	for i := range tokens {
		t := &tokens[i]
		if t.mark == 0 || t.raw {
			continue
		}
		if all {
			turn(i)
			continue
		}
		star := t.mark != strike
		prev, next := utf8.RuneError, utf8.RuneError
		mixed := false // with a sign that does the opposite
		for k := i - 1; k >= 0; k-- {
			if star && tokens[k].isStar() {
				mixed = mixed || tokens[k].open != t.open
				continue
			}
			if tokens[k].out != "" {
				prev, _ = utf8.DecodeLastRuneInString(tokens[k].out)
				break
			}
		}
		for k := i + 1; k < len(tokens); k++ {
			if star && tokens[k].isStar() {
				mixed = mixed || tokens[k].open != t.open
				continue
			}
			if tokens[k].out != "" {
				next, _ = utf8.DecodeRuneInString(tokens[k].out)
				break
			}
		}
		left := !isSpace(next) && (!isPunct(next) || isSpace(prev) || isPunct(prev))
		right := !isSpace(prev) && (!isPunct(prev) || isSpace(next) || isPunct(next))
		if t.open && !left || !t.open && !right || mixed || left && right && t.depth > 1 {
			turn(i)
		}
	}
	return changed
}

// isStar reports whether t is written with the sign that bold and italic share.
func (t *token) isStar() bool { return !t.raw && (t.mark == bold || t.mark == italic) }

// The edge of a line counts as white space.
func isSpace(r rune) bool { return r == utf8.RuneError || unicode.IsSpace(r) }

func isPunct(r rune) bool { return unicode.IsPunct(r) || unicode.IsSymbol(r) }

// escapeMarkdown escapes what would mean something anywhere in a line.
func escapeMarkdown(s string) string {
	var b strings.Builder
	runes := []rune(s)
	wordAt := func(i int) bool {
		return i >= 0 && i < len(runes) && (unicode.IsLetter(runes[i]) || unicode.IsDigit(runes[i]))
	}
	for i, r := range runes {
		switch r {
		case '\\', '`', '*', '[', ']', '<', '~', '|':
			b.WriteByte('\\')
		case '_':
			if !wordAt(i-1) || !wordAt(i+1) {
				b.WriteByte('\\')
			}
		case '&':
			if isEntity(string(runes[i:min(len(runes), i+40)])) {
				b.WriteByte('\\')
			}
		case '!':
			if i == len(runes)-1 {
				b.WriteByte('\\')
			}
		case 0:
			r = utf8.RuneError
		case '\r', '\v', '\f', '\u2028', '\u2029', '\u0085':
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// isEntity reports whether s begins with what may be a character reference: & … ;.
func isEntity(s string) bool {
	for i, r := range s[1:] {
		switch {
		case r == ';':
			return i > 0
		case r != '#' && !unicode.IsLetter(r) && !unicode.IsDigit(r):
			return false
		}
	}
	return false
}

// codeSpan writes code between more backticks than it has side by side.
func codeSpan(s string, inTable bool) string {
	s = strings.Map(func(r rune) rune {
		if r == 0 {
			return utf8.RuneError
		}
		if r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, s)
	if inTable {
		s = strings.ReplaceAll(s, "|", `\|`)
	}
	fence := strings.Repeat("`", longestRun(s)+1)
	pad := ""
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") || strings.HasPrefix(s, " ") && strings.HasSuffix(s, " ") && strings.Trim(s, " ") != "" {
		pad = " "
	}
	return fence + pad + s + pad + fence
}

// longestRun is the length of the longest run of backticks.
func longestRun(s string) (longest int) {
	n := 0
	for _, r := range s {
		n++
		if r != '`' {
			n = 0
		}
		longest = max(longest, n)
	}
	return longest
}

// markdownURL writes an address so that it ends where it ends.
func markdownURL(s string) string {
	var b strings.Builder
	for i, r := range s {
		if r == utf8.RuneError || strings.ContainsRune(" <>()[]\\\"`|*_~", r) && r != '_' && r != '~' || unicode.IsSpace(r) {
			for _, c := range []byte(string(r)) {
				const digits = "0123456789ABCDEF"
				b.Write([]byte{'%', digits[c>>4], digits[c&15]})
			}
			continue
		}
		if r == '&' && isEntity(s[i:]) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func markdownImage(i *image, inTable bool) string {
	alt := escapeMarkdown(strings.ReplaceAll(i.alt, "\n", " "))
	if i.src == "" {
		return alt
	}
	out := "![" + alt + "](" + markdownURL(i.src)
	if i.title != "" {
		title := strings.NewReplacer("\\", "\\\\", "\"", "\\\"", "&", "\\&", "|", "\\|", "\n", " ", "\r", " ", "\x00", "\ufffd").Replace(i.title)
		out += ` "` + title + `"`
	}
	return out + ")"
}
