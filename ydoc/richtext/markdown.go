package richtext

import (
	"fmt"
	"slices"
	"strings"
)

// markdownWriter writes Markdown.
type markdownWriter struct{ out string }

// String returns what was written, with a line feed at the end.
func (w *markdownWriter) String() string {
	if w.out == "" {
		return ""
	}
	return w.out + "\n"
}

func (w *markdownWriter) blocks(blocks []block) {
	w.out = markdownBlocks(blocks, "\n\n")
}

// markdownBlocks writes blocks with between in between. Empty paragraphs are not seen.
func markdownBlocks(blocks []block, between string) string {
	var parts []string
	var last *block // the list before, if its end would not be seen
	second := false
	for i := range blocks {
		b := &blocks[i]
		second = b.kind == list && last != nil && last.ordered == b.ordered && !second
		s := markdownBlock(b, second)
		if s == "" && b.kind != list {
			continue
		}
		last = nil
		if b.kind == list {
			last = b
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, between)
}

// markdownBlock writes one block. A second list in a row has other markers, which
// divides it from the first.
func markdownBlock(b *block, second bool) string {
	switch b.kind {
	case paragraph:
		return lineStarts(inlineMarkdown(trimBreaks(b.spans), "\\\n", false))
	case heading:
		text := strings.TrimSpace(inlineMarkdown(trimBreaks(b.spans), " ", false))
		if strings.HasSuffix(text, "#") {
			text = text[:len(text)-1] + `\#`
		}
		return strings.TrimSpace(strings.Repeat("#", b.level) + " " + text)
	case list:
		return markdownList(b, second)
	case code:
		text := strings.ReplaceAll(strings.ReplaceAll(b.text, "\x00", "\ufffd"), "\r", "\n")
		fence := strings.Repeat("`", max(3, longestRun(text)+1))
		if text != "" {
			text += "\n"
		}
		return fence + language(b.lang) + "\n" + text + fence
	case quote:
		return prefix(markdownBlocks(b.blocks, "\n\n"), "> ", "> ")
	case table:
		return markdownTable(b)
	case picture:
		return lineStarts(markdownImage(&b.image, false))
	case rule:
		return "---"
	}
	return markdownBlocks(b.blocks, "\n\n")
}

// trimBreaks takes line breaks and white space off both ends.
func trimBreaks(spans []span) []span {
	blank := func(s span) bool { return s.image == nil && strings.TrimSpace(s.text) == "" }
	for len(spans) > 0 && blank(spans[0]) {
		spans = spans[1:]
	}
	for len(spans) > 0 && blank(spans[len(spans)-1]) {
		spans = spans[:len(spans)-1]
	}
	return spans
}

// lineStarts escapes what would begin a block, and takes white space off the edges of
// lines, which would make code or breaks.
func lineStarts(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = lineStart(strings.Trim(l, " \t"))
	}
	return strings.Join(lines, "\n")
}

func lineStart(l string) string {
	if l == "" {
		return l
	}
	if strings.ContainsRune("#>+-=", rune(l[0])) || strings.HasPrefix(l, ":-") {
		return `\` + l
	}
	digits := 0
	for digits < len(l) && l[digits] >= '0' && l[digits] <= '9' {
		digits++
	}
	if digits > 0 && digits < len(l) && (l[digits] == '.' || l[digits] == ')') {
		return l[:digits] + `\` + l[digits:]
	}
	return l
}

// prefix puts first before the first line of s and rest before the others. Lines that
// would be nothing but white space are left empty.
func prefix(s, first, rest string) string {
	var b strings.Builder
	for i, l := range strings.Split(s, "\n") {
		p := rest
		if i == 0 {
			p = first
		} else {
			b.WriteByte('\n')
		}
		if l == "" {
			p = strings.TrimRight(p, " ")
		}
		b.WriteString(p)
		b.WriteString(l)
	}
	return b.String()
}

func markdownList(b *block, second bool) string {
	loose := slices.ContainsFunc(b.blocks, func(it block) bool { return !isTight(&it) })
	var parts []string
	for i := range b.blocks {
		it := &b.blocks[i]
		marker := "- "
		if second {
			marker = "* "
		}
		if b.ordered {
			end := "."
			if second {
				end = ")"
			}
			marker = fmt.Sprintf("%d%s ", min(b.start+i, 999_999_999), end)
		}
		between := "\n"
		if loose {
			between = "\n\n"
		}
		text := markdownBlocks(it.blocks, between)
		if it.task {
			box := "[ ] "
			if it.done {
				box = "[x] "
			}
			if len(it.blocks) > 0 && it.blocks[0].kind != paragraph {
				box += "\n\n"
			}
			text = box + text
		} else if len(it.blocks) > 0 && it.blocks[0].kind != paragraph && strings.HasPrefix(text, " ") {
			text = "\n" + text
		}
		parts = append(parts, prefix(text, marker, strings.Repeat(" ", len(marker))))
	}
	if loose {
		return strings.Join(parts, "\n\n")
	}
	return strings.Join(parts, "\n")
}

// markdownTable writes a table, which in Markdown has a row of headers.
func markdownTable(b *block) string {
	var rows [][]string
	columns := 0
	for i := range b.blocks {
		var cells []string
		for j := range b.blocks[i].blocks {
			c := &b.blocks[i].blocks[j]
			cells = append(cells, inlineMarkdown(trimBreaks(cellSpans(nil, c.blocks)), "<br>", true))
			for range c.colspan - 1 {
				cells = append(cells, "")
			}
		}
		columns = max(columns, len(cells))
		rows = append(rows, cells)
	}
	if columns == 0 {
		return ""
	}
	header := func(r block) bool {
		return len(r.blocks) > 0 && !slices.ContainsFunc(r.blocks, func(c block) bool { return !c.header })
	}
	if !header(b.blocks[0]) {
		rows = append([][]string{nil}, rows...)
	}
	if len(rows[0]) < columns { // short rows need no more cells, the headers do
		rows[0] = append(rows[0], make([]string, columns-len(rows[0]))...)
	}
	var out strings.Builder
	for i, cells := range rows {
		if i > 0 {
			out.WriteByte('\n')
		}
		out.WriteByte('|')
		for _, c := range cells {
			if c = strings.TrimSpace(c); c != "" {
				out.WriteString(" " + c)
			}
			out.WriteString(" |")
		}
		if i == 0 {
			out.WriteString("\n|" + strings.Repeat(" --- |", columns))
		}
	}
	return out.String()
}

// cellSpans makes one line of blocks.
func cellSpans(spans []span, blocks []block) []span {
	for i := range blocks {
		b := &blocks[i]
		if len(spans) > 0 && len(b.blocks) == 0 {
			spans = append(spans, span{brk: true})
		}
		switch b.kind {
		case paragraph, heading:
			spans = append(spans, b.spans...)
		case code:
			for k, l := range strings.Split(b.text, "\n") {
				if k > 0 {
					spans = append(spans, span{brk: true})
				}
				if l != "" {
					spans = append(spans, span{text: l, marks: marks{on: inlineCode}})
				}
			}
		case picture:
			spans = append(spans, span{image: &b.image})
		default:
			spans = cellSpans(spans, b.blocks)
		}
	}
	return spans
}
