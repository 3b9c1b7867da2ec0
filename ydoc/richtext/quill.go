package richtext

import (
	"strings"

	"github.com/heapsync/heapsync/ydoc"
)

// line is a line of a text and the formats of its line feed, which are those of the
// whole line.
type line struct {
	spans []span
	attrs ydoc.Object
}

// readLines reads a text as Quill does: each line is a block.
func readLines(t ydoc.Text) []block {
	var blocks []block
	for _, l := range lines(t) {
		blocks = appendLine(blocks, l)
	}
	for i := range blocks {
		if blocks[i].kind == code {
			blocks[i].text = strings.Join(blocks[i].lines, "\n")
		}
	}
	return blocks
}

func lines(t ydoc.Text) []line {
	var out []line
	var spans []span
	for _, op := range t.Delta() {
		switch v := op.Insert.(type) {
		case string:
			m := readMarks(op.Attributes)
			parts := strings.Split(v, "\n")
			for i, part := range parts {
				if part != "" {
					spans = append(spans, span{text: part, marks: m})
				}
				if i < len(parts)-1 {
					out = append(out, line{spans, op.Attributes})
					spans = nil
				}
			}
		case ydoc.Type:
			spans = append(spans, span{text: deepText(v)})
		case ydoc.Object:
			if len(v) == 1 && v[0].Key == "divider" {
				if len(spans) > 0 {
					out = append(out, line{spans, nil})
					spans = nil
				}
				out = append(out, line{nil, v})
				continue
			}
			spans = embed(spans, v)
		}
	}
	if len(spans) > 0 {
		out = append(out, line{spans, nil})
	}
	return out
}

// appendLine adds a line to the block it goes on with, or makes a block of it.
func appendLine(blocks []block, l line) []block {
	var last *block
	if n := len(blocks); n > 0 {
		last = &blocks[n-1]
	}
	indent := 0
	var listKind, language string
	b := block{kind: paragraph, spans: l.spans}
	for _, a := range l.attrs {
		s, _ := a.Value.(string)
		switch a.Key {
		case "header":
			if n, ok := a.Value.(float64); ok && n >= 1 && n <= 6 {
				b.kind, b.level = heading, int(n)
			}
		case "list":
			listKind = s
		case "indent":
			if n, ok := a.Value.(float64); ok && n >= 1 {
				indent = int(min(n, maxDepth/4))
			}
		case "blockquote":
			if a.Value == true {
				b.kind = quote
			}
		case "code-block":
			if a.Value != nil && a.Value != false {
				b.kind, language = code, s
			}
		case "divider":
			b.kind = rule
		}
	}
	switch {
	case listKind != "":
		return appendItem(blocks, listKind, indent, l.spans)
	case b.kind == quote:
		b = block{kind: quote, blocks: []block{{kind: paragraph, spans: l.spans}}}
		if last != nil && last.kind == quote {
			last.blocks = append(last.blocks, b.blocks...)
			return blocks
		}
	case b.kind == code:
		b = block{kind: code, lang: strings.TrimPrefix(language, "plain"), lines: []string{plain(l.spans)}}
		if last != nil && last.kind == code && last.lang == b.lang {
			last.lines = append(last.lines, b.lines...)
			return blocks
		}
	}
	return append(blocks, b)
}

// appendItem adds an item to a list at the end of blocks, indent lists deep.
func appendItem(blocks []block, listKind string, indent int, spans []span) []block {
	ordered := listKind == "ordered"
	n := len(blocks)
	if n == 0 || blocks[n-1].kind != list || indent == 0 && blocks[n-1].ordered != ordered {
		blocks = append(blocks, block{kind: list, ordered: ordered, start: 1})
		n++
	}
	l := &blocks[n-1]
	if indent > 0 {
		if len(l.blocks) == 0 {
			l.blocks = append(l.blocks, block{kind: item})
		}
		last := &l.blocks[len(l.blocks)-1]
		last.blocks = appendItem(last.blocks, listKind, indent-1, spans)
		return blocks
	}
	l.blocks = append(l.blocks, block{
		kind: item, task: listKind == "checked" || listKind == "unchecked", done: listKind == "checked",
		blocks: []block{{kind: paragraph, spans: spans}},
	})
	return blocks
}
