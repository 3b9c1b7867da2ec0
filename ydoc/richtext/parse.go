package richtext

import (
	"math"
	"strings"

	"github.com/heapsync/heapsync/ydoc"
)

// maxDepth is how deep blocks may be nested before they degrade to text.
const maxDepth = 64

// read returns the blocks of t, whichever editor made it.
func read(t ydoc.Type) []block {
	switch t.Ref() {
	case ydoc.TypeText, ydoc.TypeXMLText:
		return readLines(t.AsText())
	case ydoc.TypeXMLElement:
		if t.Name() != "" {
			if _, nested := t.ID(); nested {
				var r reader
				r.element(t, 0)
				return r.done()
			}
		}
	case ydoc.TypeMap:
		var r reader
		for _, v := range t.AsMap().All() {
			r.value(v, 0)
		}
		return r.done()
	}
	return children(t, 0)
}

// reader gathers blocks. Inline content between blocks becomes paragraphs.
type reader struct {
	blocks []block
	loose  []span // not in a block yet
}

// children reads what is in t as blocks.
func children(t ydoc.Type, depth int) []block {
	var r reader
	for _, v := range t.AsArray().All() {
		r.value(v, depth)
	}
	return r.done()
}

// value reads what may stand where blocks stand. Of plain values only texts count.
func (r *reader) value(v any, depth int) {
	switch v := v.(type) {
	case ydoc.Type:
		r.element(v, depth)
	case string:
		r.add(block{kind: paragraph, spans: appendText(nil, v, marks{})})
	}
}

func (r *reader) done() []block {
	r.flush()
	return group(r.blocks)
}

func (r *reader) flush() {
	if len(r.loose) > 0 {
		r.blocks = append(r.blocks, block{kind: paragraph, spans: r.loose})
		r.loose = nil
	}
}

func (r *reader) add(b block) {
	r.flush()
	r.blocks = append(r.blocks, b)
}

// nodeName is the name of an element in one spelling: some schemas write bullet_list.
func nodeName(t ydoc.Type) string {
	return strings.ToLower(strings.ReplaceAll(t.Name(), "_", ""))
}

// element reads t where a block may stand.
func (r *reader) element(t ydoc.Type, depth int) {
	if t.Ref() == ydoc.TypeXMLText || t.Ref() == ydoc.TypeText {
		r.loose = inlineText(r.loose, t.AsText())
		return
	}
	if depth >= maxDepth {
		r.add(block{kind: paragraph, spans: []span{{text: deepText(t)}}})
		return
	}
	name := nodeName(t)
	switch name {
	case "hardbreak", "br", "mention", "emoji":
		r.loose = inlineElement(r.loose, t, depth)
	case "paragraph", "p", "tableparagraph":
		r.add(block{kind: paragraph, spans: inline(nil, t, depth)})
	case "heading", "h1", "h2", "h3", "h4", "h5", "h6":
		level := number(t, 1, "level")
		if name != "heading" {
			level = int(name[1] - '0')
		}
		r.add(block{kind: heading, level: min(max(level, 1), 6), spans: inline(nil, t, depth)})
	case "bulletlist", "ul", "tasklist":
		r.add(block{kind: list, blocks: items(t, depth)})
	case "orderedlist", "ol":
		r.add(block{kind: list, ordered: true, start: max(number(t, 1, "start", "order"), 0), blocks: items(t, depth)})
	case "listitem", "li", "taskitem":
		r.add(listItem(t, depth))
	case "bulletlistitem", "togglelistitem":
		r.add(blockItem(t, depth))
	case "numberedlistitem":
		b := blockItem(t, depth)
		b.ordered, b.start = true, max(number(t, 1, "start"), 0)
		r.add(b)
	case "checklistitem":
		b := blockItem(t, depth)
		b.task, b.done = true, truth(t, "checked")
		r.add(b)
	case "codeblock", "pre":
		r.add(block{kind: code, lang: attribute(t, "language", "params"), text: plain(inline(nil, t, depth))})
	case "blockquote":
		r.add(block{kind: quote, blocks: children(t, depth+1)})
	case "quote":
		r.add(block{kind: quote, blocks: []block{{kind: paragraph, spans: inline(nil, t, depth)}}})
	case "table":
		r.add(readTable(t, depth))
	case "image", "img":
		r.add(block{kind: picture, image: readImage(t)})
	case "video", "audio", "file":
		if s, ok := fileLink(t); ok {
			r.add(block{kind: paragraph, spans: []span{s}})
		}
	case "horizontalrule", "hr", "divider", "pagebreak":
		r.add(block{kind: rule})
	case "blockcontainer":
		r.container(t, depth)
	default:
		r.flush()
		r.blocks = append(r.blocks, children(t, depth+1)...)
	}
}

// container reads a block of BlockNote: its content, and a group of nested blocks,
// which belong to its list item if it is one.
func (r *reader) container(t ydoc.Type, depth int) {
	var inner reader
	from := 0
	for _, v := range t.AsArray().All() {
		c, ok := v.(ydoc.Type)
		if !ok {
			continue
		}
		if nodeName(c) != "blockgroup" {
			inner.element(c, depth)
			continue
		}
		inner.flush()
		nested := children(c, depth+1)
		if n := len(inner.blocks); n > from && inner.blocks[n-1].kind == item {
			inner.blocks[n-1].blocks = append(inner.blocks[n-1].blocks, nested...)
			continue
		}
		inner.blocks = append(inner.blocks, nested...)
		from = len(inner.blocks)
	}
	inner.flush()
	r.flush()
	r.blocks = append(r.blocks, inner.blocks...)
}

// group makes lists of items that stand side by side without one.
func group(blocks []block) []block {
	var out []block
	for _, b := range blocks {
		if b.kind != item {
			out = append(out, b)
			continue
		}
		n := len(out)
		if n == 0 || out[n-1].kind != list || !out[n-1].loose || out[n-1].ordered != b.ordered || b.ordered && b.start > 1 {
			out = append(out, block{kind: list, ordered: b.ordered, start: max(b.start, 1), loose: true})
			n++
		}
		out[n-1].blocks = append(out[n-1].blocks, b)
	}
	return out
}

// items reads the items of a list. What is not one becomes one.
func items(t ydoc.Type, depth int) []block {
	var out []block
	for _, v := range t.AsArray().All() {
		c, ok := v.(ydoc.Type)
		if !ok {
			continue
		}
		switch nodeName(c) {
		case "listitem", "li", "taskitem":
			if depth+1 < maxDepth {
				out = append(out, listItem(c, depth+1))
				continue
			}
		}
		var r reader
		r.element(c, depth+1)
		out = append(out, block{kind: item, blocks: r.done()})
	}
	return out
}

func listItem(t ydoc.Type, depth int) block {
	_, task := t.AsMap().Value("checked")
	return block{kind: item, task: task || nodeName(t) == "taskitem", done: truth(t, "checked"), blocks: children(t, depth+1)}
}

func blockItem(t ydoc.Type, depth int) block {
	return block{kind: item, blocks: []block{{kind: paragraph, spans: inline(nil, t, depth)}}}
}

func readTable(t ydoc.Type, depth int) block {
	b := block{kind: table}
	for _, v := range t.AsArray().All() {
		r, ok := v.(ydoc.Type)
		if !ok {
			continue
		}
		cells := block{kind: row}
		for _, v := range r.AsArray().All() {
			c, ok := v.(ydoc.Type)
			if !ok {
				continue
			}
			name := nodeName(c)
			cells.blocks = append(cells.blocks, block{
				kind:    cell,
				header:  name == "tableheader" || name == "th",
				colspan: min(max(number(c, 1, "colspan"), 1), 100),
				rowspan: min(max(number(c, 1, "rowspan"), 1), 100),
				blocks:  children(c, depth+2),
			})
		}
		b.blocks = append(b.blocks, cells)
	}
	return b
}

func readImage(t ydoc.Type) image {
	return image{
		src:   imageURL(attribute(t, "src", "url")),
		alt:   attribute(t, "alt", "caption", "name"),
		title: attribute(t, "title"),
	}
}

// fileLink is a link to what cannot be shown.
func fileLink(t ydoc.Type) (span, bool) {
	s := span{text: attribute(t, "caption", "name", "url", "src"), marks: marks{link: linkURL(attribute(t, "url", "src"))}}
	return s, s.text != ""
}

// inline reads what is in t as inline content.
func inline(spans []span, t ydoc.Type, depth int) []span {
	if depth >= maxDepth {
		return append(spans, span{text: deepText(t)})
	}
	for _, v := range t.AsArray().All() {
		c, ok := v.(ydoc.Type)
		switch {
		case !ok:
		case c.Ref() == ydoc.TypeXMLText || c.Ref() == ydoc.TypeText:
			spans = inlineText(spans, c.AsText())
		default:
			spans = inlineElement(spans, c, depth)
		}
	}
	return spans
}

func inlineElement(spans []span, t ydoc.Type, depth int) []span {
	switch nodeName(t) {
	case "hardbreak", "br":
		return append(spans, span{brk: true})
	case "image", "img":
		i := readImage(t)
		return append(spans, span{image: &i})
	case "mention":
		if name := attribute(t, "label", "id", "name"); name != "" {
			return append(spans, span{text: "@" + strings.TrimPrefix(name, "@")})
		}
	case "emoji":
		if name := attribute(t, "emoji", "name"); name != "" {
			return append(spans, span{text: name})
		}
	}
	return inline(spans, t, depth+1)
}

// inlineText reads a text whose line feeds are line breaks.
func inlineText(spans []span, t ydoc.Text) []span {
	for _, op := range t.Delta() {
		switch v := op.Insert.(type) {
		case string:
			spans = appendText(spans, v, readMarks(op.Attributes))
		case ydoc.Type:
			spans = append(spans, span{text: deepText(v)})
		case ydoc.Object:
			spans = embed(spans, v)
		}
	}
	return spans
}

// appendText appends s, its line feeds as breaks.
func appendText(spans []span, s string, m marks) []span {
	for i, line := range strings.Split(s, "\n") {
		if i > 0 {
			spans = append(spans, span{brk: true})
		}
		if line != "" {
			spans = append(spans, span{text: line, marks: m})
		}
	}
	return spans
}

// embed reads a value that Quill keeps in text.
func embed(spans []span, o ydoc.Object) []span {
	for _, m := range o {
		s, _ := m.Value.(string)
		switch m.Key {
		case "image":
			return append(spans, span{image: &image{src: imageURL(s)}})
		case "video", "formula":
			if s != "" {
				return append(spans, span{text: s, marks: marks{link: linkURL(s)}})
			}
		case "mention":
			if o, ok := m.Value.(ydoc.Object); ok {
				for _, m := range o {
					if s, ok := m.Value.(string); ok && m.Key == "value" {
						return append(spans, span{text: "@" + s})
					}
				}
			}
		}
	}
	return spans
}

var markNames = map[string]markSet{
	"bold": bold, "strong": bold, "b": bold,
	"italic": italic, "em": italic, "i": italic,
	"strike": strike, "strikethrough": strike, "s": strike, "del": strike,
	"underline": underline, "u": underline,
	"highlight": highlight, "mark": highlight,
	"subscript": sub, "sub": sub,
	"superscript": sup, "sup": sup,
	"code": inlineCode, "inlinecode": inlineCode,
}

// readMarks reads the formats of a run of text.
func readMarks(attrs ydoc.Object) marks {
	var m marks
	for _, a := range attrs {
		if a.Value == nil || a.Value == false {
			continue
		}
		// y-prosemirror numbers marks that may overlap themselves: comment--abcd.
		name, _, _ := strings.Cut(a.Key, "--")
		name = strings.ToLower(strings.ReplaceAll(name, "_", ""))
		switch name {
		case "link", "a":
			switch v := a.Value.(type) {
			case string:
				m.link = linkURL(v)
			case ydoc.Object:
				for _, f := range v {
					if s, ok := f.Value.(string); ok && f.Key == "href" {
						m.link = linkURL(s)
					}
				}
			}
		case "script":
			switch a.Value {
			case "sub":
				m.on |= sub
			case "super":
				m.on |= sup
			}
		default:
			m.on |= markNames[name]
		}
	}
	return m
}

// attribute returns the first attribute among keys that is a text and not empty.
func attribute(t ydoc.Type, keys ...string) string {
	for _, key := range keys {
		v, _ := t.AsMap().Value(key)
		if s, ok := v.(string); ok && s != "" {
			return s
		}
	}
	return ""
}

// number returns the first attribute among keys that is a whole number.
func number(t ydoc.Type, otherwise int, keys ...string) int {
	for _, key := range keys {
		v, _ := t.AsMap().Value(key)
		switch v := v.(type) {
		case float64:
			if v == math.Trunc(v) && math.Abs(v) <= 999_999_999 {
				return int(v)
			}
		case string:
			n := 0
			for _, c := range v {
				if c < '0' || c > '9' || n > 99_999_999 {
					return otherwise
				}
				n = 10*n + int(c-'0')
			}
			if v != "" {
				return n
			}
		}
	}
	return otherwise
}

func truth(t ydoc.Type, key string) bool {
	v, _ := t.AsMap().Value(key)
	return v == true || v == "true"
}

// deepText returns the text in t, however deep it is, with spaces between texts.
func deepText(t ydoc.Type) string {
	var parts []string
	stack := []ydoc.Type{t}
	for len(stack) > 0 {
		t := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if t.Ref() == ydoc.TypeXMLText || t.Ref() == ydoc.TypeText {
			if s := strings.Join(strings.Fields(t.AsText().String()), " "); s != "" {
				parts = append(parts, s)
			}
			continue
		}
		from := len(stack)
		for _, v := range t.AsArray().All() {
			if c, ok := v.(ydoc.Type); ok {
				stack = append(stack, c)
			}
		}
		for i, j := from, len(stack)-1; i < j; i, j = i+1, j-1 {
			stack[i], stack[j] = stack[j], stack[i]
		}
	}
	return strings.Join(parts, " ")
}
