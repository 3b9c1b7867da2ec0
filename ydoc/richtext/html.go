package richtext

import (
	"fmt"
	"html"
	"strings"
)

// htmlWriter writes HTML.
type htmlWriter struct{ b strings.Builder }

// htmlEscaper escapes text and attributes. A zero byte is not allowed in HTML.
func htmlEscape(s string) string {
	return html.EscapeString(strings.ReplaceAll(s, "\x00", "\ufffd"))
}

func (w *htmlWriter) attr(name, value string) {
	if value != "" {
		fmt.Fprintf(&w.b, ` %s="%s"`, name, htmlEscape(value))
	}
}

// blocks writes blocks; those of a tight item or a cell have no element around the
// first paragraph.
func (w *htmlWriter) blocks(blocks []block, tight bool) {
	for i := range blocks {
		b := &blocks[i]
		switch b.kind {
		case paragraph:
			if tight && i == 0 {
				w.spans(b.spans)
				continue
			}
			w.b.WriteString("<p>")
			w.spans(b.spans)
			w.b.WriteString("</p>")
		case heading:
			fmt.Fprintf(&w.b, "<h%d>", b.level)
			w.spans(b.spans)
			fmt.Fprintf(&w.b, "</h%d>", b.level)
		case list:
			w.list(b)
		case code:
			w.b.WriteString("<pre><code")
			if l := language(b.lang); l != "" {
				w.attr("class", "language-"+l)
			}
			w.b.WriteByte('>')
			w.b.WriteString(htmlEscape(b.text))
			w.b.WriteString("</code></pre>")
		case quote:
			w.b.WriteString("<blockquote>")
			w.blocks(b.blocks, false)
			w.b.WriteString("</blockquote>")
		case table:
			w.table(b)
		case picture:
			if b.image.src != "" {
				w.image(&b.image)
			} else if b.image.alt != "" {
				w.b.WriteString("<p>" + htmlEscape(b.image.alt) + "</p>")
			}
		case rule:
			w.b.WriteString("<hr>")
		default:
			w.blocks(b.blocks, false)
		}
	}
}

func (w *htmlWriter) list(b *block) {
	if b.ordered {
		w.b.WriteString("<ol")
		if b.start != 1 {
			w.attr("start", fmt.Sprint(b.start))
		}
		w.b.WriteByte('>')
	} else {
		w.b.WriteString("<ul>")
	}
	for i := range b.blocks {
		it := &b.blocks[i]
		w.b.WriteString("<li>")
		if it.task {
			w.b.WriteString(`<input type="checkbox" disabled`)
			if it.done {
				w.b.WriteString(" checked")
			}
			w.b.WriteString("> ")
		}
		w.blocks(it.blocks, isTight(it))
		w.b.WriteString("</li>")
	}
	if b.ordered {
		w.b.WriteString("</ol>")
	} else {
		w.b.WriteString("</ul>")
	}
}

// isTight reports whether an item is a paragraph and nothing but lists after it.
func isTight(it *block) bool {
	for i := range it.blocks {
		if k := it.blocks[i].kind; i == 0 && k != paragraph || i > 0 && k != list {
			return false
		}
	}
	return true
}

func (w *htmlWriter) table(b *block) {
	w.b.WriteString("<table><tbody>")
	for i := range b.blocks {
		w.b.WriteString("<tr>")
		for j := range b.blocks[i].blocks {
			c := &b.blocks[i].blocks[j]
			name := "td"
			if c.header {
				name = "th"
			}
			w.b.WriteString("<" + name)
			if c.colspan > 1 {
				w.attr("colspan", fmt.Sprint(c.colspan))
			}
			if c.rowspan > 1 {
				w.attr("rowspan", fmt.Sprint(c.rowspan))
			}
			w.b.WriteByte('>')
			w.blocks(c.blocks, len(c.blocks) == 1)
			w.b.WriteString("</" + name + ">")
		}
		w.b.WriteString("</tr>")
	}
	w.b.WriteString("</tbody></table>")
}

func (w *htmlWriter) image(i *image) {
	if i.src == "" {
		w.b.WriteString(htmlEscape(i.alt))
		return
	}
	w.b.WriteString("<img")
	w.attr("src", i.src)
	w.attr("alt", i.alt)
	w.attr("title", i.title)
	w.b.WriteByte('>')
}

// htmlMarks are the elements of marks, outermost first.
var htmlMarks = []struct {
	mark markSet
	name string
}{
	{bold, "strong"}, {italic, "em"}, {underline, "u"}, {strike, "s"}, {highlight, "mark"}, {sub, "sub"}, {sup, "sup"}, {inlineCode, "code"},
}

// spans writes inline content. Each span has its own elements, but for links, which
// are clicked as one.
func (w *htmlWriter) spans(spans []span) {
	link := ""
	for _, s := range join(spans) {
		if s.marks.link != link {
			if link != "" {
				w.b.WriteString("</a>")
			}
			if link = s.marks.link; link != "" {
				w.b.WriteString("<a")
				w.attr("href", link)
				w.b.WriteByte('>')
			}
		}
		for _, m := range htmlMarks {
			if s.marks.on&m.mark != 0 {
				w.b.WriteString("<" + m.name + ">")
			}
		}
		switch {
		case s.brk:
			w.b.WriteString("<br>")
		case s.image != nil:
			w.image(s.image)
		default:
			w.b.WriteString(htmlEscape(s.text))
		}
		for i := len(htmlMarks) - 1; i >= 0; i-- {
			if s.marks.on&htmlMarks[i].mark != 0 {
				w.b.WriteString("</" + htmlMarks[i].name + ">")
			}
		}
	}
	if link != "" {
		w.b.WriteString("</a>")
	}
}

// language returns lang if it looks like the name of a language, else "".
func language(lang string) string {
	if len(lang) > 40 {
		return ""
	}
	for _, c := range lang {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("+#.-_", c)) {
			return ""
		}
	}
	return lang
}
