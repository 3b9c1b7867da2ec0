package richtext

import (
	"strings"

	"github.com/yuin/goldmark" // CommonMark to the letter, with GitHub's extensions, and no input that it is slow on
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	"github.com/heapsync/heapsync/ydoc"
)

// AppendMarkdown appends to x, an XML fragment, what the Markdown src says, as the
// elements and marks of Tiptap. It reads CommonMark with the tables, task lists,
// strikethrough and bare addresses of GitHub, and the [[links]] of Obsidian. HTML other
// than that of Markdown's own making stays as the text it is.
//
// address, if it is not nil, is asked for the address of every link and image: target
// is as it was written, wiki says that it stood in brackets as [[target]] or
// ![[target]]. "" leaves the text without a link. Where it gives an address that begins
// with #, what is embedded becomes an image only if its name is a picture's, else a link.
//
// Text that takes long to read as Markdown, such as a hundred thousand backticks in one
// paragraph, stays as it is, in one paragraph. AppendMarkdown should be called within
// one transaction: it makes many edits.
func AppendMarkdown(x ydoc.XML, src string, address func(target string, wiki bool) string) {
	if address == nil {
		address = func(target string, _ bool) string { return target }
	}
	b := builder{src: []byte(src), address: address}
	if tooEntangled(src) {
		b.paragraph(x, "paragraph", appendText(nil, src, marks{}))
		return
	}
	b.children(x, markdownParser.Parser().Parse(text.NewReader(b.src)), 0)
}

var markdownParser = goldmark.New(
	goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.TaskList, extension.Linkify, wikiLinks{}),
)

// Limits of one part of a text between blank lines, some ten times what people write.
// Measured: signs that look for their partner cost up to 5 ns times the part's length
// each; a row of a table is filled up to the length of the longest.
const (
	maxSignWork = 200_000_000
	maxCells    = 500_000
	maxMarkers  = 200 // of lists and quotes at the beginning of one line
)

// tooEntangled says whether some part of src is beyond the limits.
func tooEntangled(src string) bool {
	var size, signs, lines, bars int
	for line := range strings.Lines(src) {
		if strings.TrimSpace(line) == "" {
			size, signs, lines, bars = 0, 0, 0, 0
			continue
		}
		size += len(line)
		lines++
		if markers(line) > maxMarkers {
			return true
		}
		bars = max(bars, strings.Count(line, "|")+1)
		for i := range len(line) {
			switch line[i] {
			case '[', '<', '`', '!', '*', '_', '~':
				signs++
			}
		}
		if size*signs > maxSignWork || lines > 1 && lines*bars > maxCells {
			return true
		}
	}
	return false
}

// markers counts what may be the markers of lists and quotes that line begins with.
func markers(line string) int {
	begin := line[:len(line)-len(strings.TrimLeft(line, "> -+*0123456789.)\t"))]
	n := strings.Count(begin, ">")
	for word := range strings.FieldsSeq(begin) {
		if strings.ContainsRune("-+*.)", rune(word[len(word)-1])) {
			n++
		}
	}
	return n
}

// builder turns a tree of Markdown into elements.
type builder struct {
	src     []byte
	address func(target string, wiki bool) string
}

func (b *builder) children(x ydoc.XML, parent ast.Node, depth int) {
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		b.block(x, n, depth)
	}
}

// add appends an element to x.
func add(x ydoc.XML, name string) ydoc.XML { return x.InsertElement(x.Len(), name) }

func (b *builder) block(x ydoc.XML, n ast.Node, depth int) {
	if depth >= maxDepth {
		var text strings.Builder
		b.plain(&text, n)
		b.paragraph(x, "paragraph", []span{{text: text.String()}})
		return
	}
	switch n := n.(type) {
	case *ast.Heading:
		if spans, ok := b.spans(x, n); ok {
			b.paragraph(x, "heading", spans).SetAttribute("level", n.Level)
		}
	case *ast.Blockquote:
		b.children(filled(add(x, "blockquote"), n), n, depth+1)
	case *ast.List:
		b.list(x, n, depth)
	case *ast.FencedCodeBlock:
		b.code(x, string(n.Language(b.src)), rawLines(n, b.src))
	case *ast.CodeBlock:
		b.code(x, "", rawLines(n, b.src))
	case *ast.ThematicBreak:
		add(x, "horizontalRule")
	case *extast.Table:
		b.table(x, n, depth)
	case *ast.HTMLBlock:
		raw := rawLines(n, b.src)
		if n.HasClosure() {
			raw += string(n.ClosureLine.Value(b.src))
		}
		b.paragraph(x, "paragraph", appendText(nil, strings.TrimSuffix(raw, "\n"), marks{}))
	case *ast.LinkReferenceDefinition:
	default:
		if spans, ok := b.spans(x, n); ok {
			b.paragraph(x, "paragraph", spans)
		}
	}
}

// filled gives an element whose Markdown is empty the paragraph that its schema wants.
func filled(x ydoc.XML, n ast.Node) ydoc.XML {
	if !n.HasChildren() {
		add(x, "paragraph")
	}
	return x
}

// list adds a list for each run of items that are all tasks, or all are not: Tiptap has
// no list of both.
func (b *builder) list(x ydoc.XML, n *ast.List, depth int) {
	var l ydoc.XML
	was, number := false, n.Start
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		box := taskBox(c)
		if c == n.FirstChild() || was != (box != nil) {
			l, was = b.listOf(x, n, box != nil, number), box != nil
		}
		number++
		if box != nil {
			it := filled(add(l, "taskItem"), c)
			it.SetAttribute("checked", box.IsChecked)
			b.children(it, c, depth+1)
			continue
		}
		it := filled(add(l, "listItem"), c)
		if first := c.FirstChild(); first != nil && first.Kind() != ast.KindTextBlock && first.Kind() != ast.KindParagraph {
			add(it, "paragraph") // an item begins with one
		}
		b.children(it, c, depth+1)
	}
}

func (b *builder) listOf(x ydoc.XML, n *ast.List, tasks bool, number int) ydoc.XML {
	switch {
	case tasks:
		return add(x, "taskList")
	case !n.IsOrdered():
		return add(x, "bulletList")
	}
	l := add(x, "orderedList")
	if number != 1 {
		l.SetAttribute("start", number)
	}
	return l
}

// taskBox returns the box that an item of a list begins with, or nil.
func taskBox(item ast.Node) *extast.TaskCheckBox {
	if first := item.FirstChild(); first != nil {
		box, _ := first.FirstChild().(*extast.TaskCheckBox)
		return box
	}
	return nil
}

func (b *builder) code(x ydoc.XML, language, code string) {
	e := add(x, "codeBlock")
	if language != "" {
		e.SetAttribute("language", language)
	}
	if code = strings.TrimSuffix(code, "\n"); code != "" {
		e.InsertText(0).Insert(0, code)
	}
}

func rawLines(n ast.Node, src []byte) string {
	var s strings.Builder
	for i := range n.Lines().Len() {
		line := n.Lines().At(i)
		s.Write(line.Value(src))
	}
	return s.String()
}

func (b *builder) table(x ydoc.XML, n *extast.Table, depth int) {
	t := add(x, "table")
	for r := n.FirstChild(); r != nil; r = r.NextSibling() {
		name := "tableCell"
		if r.Kind() == extast.KindTableHeader {
			name = "tableHeader"
		}
		row := add(t, "tableRow")
		for c := r.FirstChild(); c != nil; c = c.NextSibling() {
			cell := add(row, name)
			if spans, ok := b.spans(cell, c); ok {
				b.paragraph(cell, "paragraph", spans)
			}
		}
	}
}

// spans reads the inline content of n. Images stand on their own in Tiptap: they are
// added to x, each after a paragraph of the text before it, and ok is false if nothing
// is left behind the last.
func (b *builder) spans(x ydoc.XML, n ast.Node) (rest []span, ok bool) {
	r := inlineReader{builder: b}
	r.children(n)
	rest, ok = r.spans, true
	for i := 0; i < len(rest); i++ {
		image := rest[i].image
		if image == nil {
			continue
		}
		if text := trim(rest[:i]); len(text) > 0 {
			b.paragraph(x, "paragraph", text)
		}
		if (x.Name() == "listItem" || x.Name() == "taskItem") && x.Len() == 0 {
			add(x, "paragraph") // an item begins with one
		}
		e := add(x, "image")
		for _, a := range []struct{ key, value string }{{"src", image.src}, {"alt", image.alt}, {"title", image.title}} {
			if a.value != "" {
				e.SetAttribute(a.key, a.value)
			}
		}
		rest, i = rest[i+1:], -1
		ok = len(trim(rest)) > 0
	}
	return trim(rest), ok
}

// trim drops spaces and breaks at both ends.
func trim(spans []span) []span {
	blank := func(s span) bool { return s.brk || s.image == nil && strings.TrimSpace(s.text) == "" }
	for len(spans) > 0 && blank(spans[0]) {
		spans = spans[1:]
	}
	for len(spans) > 0 && blank(spans[len(spans)-1]) {
		spans = spans[:len(spans)-1]
	}
	if len(spans) > 0 && spans[0].marks.on&inlineCode == 0 {
		spans[0].text = strings.TrimLeft(spans[0].text, " \t")
	}
	return spans
}

// paragraph adds an element with inline content. Texts side by side are one XML text,
// as y-prosemirror keeps them.
func (b *builder) paragraph(x ydoc.XML, name string, spans []span) ydoc.XML {
	e := add(x, name)
	var t ydoc.Text
	open := false
	for _, s := range join(spans) {
		switch {
		case s.brk:
			add(e, "hardBreak")
			open = false
		case s.text != "":
			if !open {
				t, open = e.InsertText(e.Len()), true
			}
			t.InsertWith(t.Len(), s.text, s.marks.attributes())
		}
	}
	return e
}

// tiptapMarks are the names of marks in the order in which they are written.
var tiptapMarks = []struct {
	mark markSet
	name string
}{
	{bold, "bold"}, {italic, "italic"}, {strike, "strike"}, {underline, "underline"},
	{highlight, "highlight"}, {sub, "subscript"}, {sup, "superscript"}, {inlineCode, "code"},
}

func (m marks) attributes() ydoc.Object {
	var o ydoc.Object
	for _, t := range tiptapMarks {
		if m.on&t.mark != 0 {
			o = append(o, ydoc.Member{Key: t.name, Value: ydoc.Object{}})
		}
	}
	if m.link != "" {
		o = append(o, ydoc.Member{Key: "link", Value: ydoc.Object{{Key: "href", Value: m.link}}})
	}
	return o
}

// plain writes the text below n, whatever it is.
func (b *builder) plain(to *strings.Builder, n ast.Node) {
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if t, ok := n.(*ast.Text); ok && entering {
			to.WriteString(b.text(t))
			to.WriteByte(' ')
		}
		return ast.WalkContinue, nil
	})
}
