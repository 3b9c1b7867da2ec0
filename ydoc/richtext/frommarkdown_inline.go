package richtext

import (
	"bufio"
	"bytes"
	"html"
	"path"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	renderer "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// inlineReader gathers the spans of inline content.
type inlineReader struct {
	*builder
	spans []span
	marks marks
	tags  markSet // of the marks, those that an HTML tag has opened
	depth int
}

func (r *inlineReader) children(parent ast.Node) {
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		r.inline(n)
	}
}

// within reads what is in n with more marks.
func (r *inlineReader) within(n ast.Node, on markSet, link string) {
	if r.depth++; r.depth > maxDepth {
		var text strings.Builder
		r.plain(&text, n)
		r.add(text.String())
	} else {
		before := r.marks
		r.marks.on |= on
		if link != "" {
			r.marks.link = link
		}
		r.children(n)
		before.on = before.on&^r.tags | r.marks.on&r.tags
		r.marks = before
	}
	r.depth--
}

func (r *inlineReader) add(s string) {
	r.spans = appendText(r.spans, s, r.marks)
}

// mark adds s with one mark more.
func (r *inlineReader) mark(s string, on markSet, link string) {
	before := r.marks
	r.marks.on |= on
	if link != "" {
		r.marks.link = link
	}
	r.add(s)
	r.marks = before
}

func (r *inlineReader) inline(n ast.Node) {
	switch n := n.(type) {
	case *ast.Text:
		r.add(r.text(n))
		if n.HardLineBreak() {
			r.spans = append(r.spans, span{brk: true})
		} else if n.SoftLineBreak() {
			r.add(" ")
		}
	case *ast.String:
		r.add(string(n.Value))
	case *ast.CodeSpan:
		var code strings.Builder
		for c := n.FirstChild(); c != nil; c = c.NextSibling() {
			if t, ok := c.(*ast.Text); ok {
				code.WriteString(strings.ReplaceAll(string(t.Value(r.src)), "\n", " "))
			}
		}
		r.mark(code.String(), inlineCode, "")
	case *ast.Emphasis:
		on := italic
		if n.Level > 1 {
			on = bold
		}
		r.within(n, on, "")
	case *extast.Strikethrough:
		r.within(n, strike, "")
	case *ast.Link:
		r.within(n, 0, linkURL(r.address(unescape(n.Destination), false)))
	case *ast.AutoLink:
		r.mark(string(n.Label(r.src)), 0, linkURL(string(n.URL(r.src))))
	case *ast.Image:
		r.image(n)
	case *wikiLink:
		r.wiki(n)
	case *ast.RawHTML:
		r.tag(n)
	case *extast.TaskCheckBox:
	default:
		r.children(n)
	}
}

// text returns what n means, its escapes and entities resolved.
func (b *builder) text(n *ast.Text) string {
	value := n.Value(b.src)
	if n.IsRaw() {
		return string(value)
	}
	var escaped bytes.Buffer
	w := bufio.NewWriter(&escaped)
	renderer.DefaultWriter.Write(w, value)
	w.Flush() // a buffer takes all
	return html.UnescapeString(escaped.String())
}

// unescape resolves the escapes and entities of a link's destination or title.
func unescape(s []byte) string {
	return string(util.ResolveEntityNames(util.ResolveNumericReferences(util.UnescapePunctuations(s))))
}

func (r *inlineReader) image(n *ast.Image) {
	var alt strings.Builder
	r.plain(&alt, n)
	words, target := strings.TrimSpace(alt.String()), unescape(n.Destination)
	address := r.address(target, false)
	src := imageURL(address)
	switch {
	case src == "": // its words are all that can be shown
		r.add(words)
	case isPlace(address) && address != target && !isPicture(target):
		if words == "" {
			words = target
		}
		r.mark(words, 0, linkURL(address))
	default:
		r.spans = append(r.spans, span{image: &image{src: src, alt: words, title: unescape(n.Title)}})
	}
}

func (r *inlineReader) wiki(n *wikiLink) {
	address := r.address(n.target, true)
	src, words := imageURL(address), n.label
	if n.embed && isSize(words) {
		words = n.target
	}
	if !n.embed || src == "" || isPlace(address) && !isPicture(n.target) {
		r.mark(words, 0, linkURL(address))
		return
	}
	r.spans = append(r.spans, span{image: &image{src: src, alt: words}})
}

// isPlace says whether an address is one within what the reader has open, where not only
// pictures are.
func isPlace(address string) bool { return strings.HasPrefix(address, "#") }

// isPicture says whether a file is one, by its name.
func isPicture(target string) bool {
	target, _, _ = strings.Cut(target, "#")
	switch strings.ToLower(path.Ext(strings.TrimSpace(target))) {
	case ".avif", ".bmp", ".gif", ".heic", ".heif", ".jpeg", ".jpg", ".png", ".svg", ".tif", ".tiff", ".webp":
		return true
	}
	return false
}

// isSize says whether the words of an embed are how large it is to be, as 300 or 300x200.
func isSize(words string) bool {
	width, height, both := strings.Cut(words, "x")
	number := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return number(width) && (!both || number(height))
}

// tagMarks are the tags that Markdown is written with where it has no sign.
var tagMarks = map[string]markSet{
	"u": underline, "ins": underline, "mark": highlight, "sub": sub, "sup": sup,
	"b": bold, "strong": bold, "i": italic, "em": italic, "s": strike, "del": strike, "code": inlineCode,
}

// tag reads a tag: one that is a mark or a break is that, any other is its text.
func (r *inlineReader) tag(n *ast.RawHTML) {
	var raw strings.Builder
	for i := range n.Segments.Len() {
		s := n.Segments.At(i)
		raw.Write(s.Value(r.src))
	}
	name := strings.ToLower(strings.TrimSpace(strings.Trim(raw.String(), "</>")))
	if name == "br" {
		r.spans = append(r.spans, span{brk: true})
		return
	}
	on, known := tagMarks[name]
	switch {
	case !known:
		r.add(raw.String())
	case strings.HasPrefix(raw.String(), "</"):
		r.marks.on &^= on
		r.tags &^= on
	default:
		r.marks.on |= on
		r.tags |= on
	}
}

// wikiLink is [[target]], [[target|label]] or, with a ! before it, an embed.
type wikiLink struct {
	ast.BaseInline
	target, label string
	embed         bool
}

var kindWikiLink = ast.NewNodeKind("WikiLink")

func (n *wikiLink) Kind() ast.NodeKind { return kindWikiLink }

func (n *wikiLink) Dump(src []byte, level int) {
	ast.DumpHelper(n, src, level, map[string]string{"Target": n.target}, nil)
}

// wikiLinks is the extension that reads them.
type wikiLinks struct{}

func (wikiLinks) Extend(m goldmark.Markdown) {
	// Before links (200), whose bracket is the same.
	m.Parser().AddOptions(parser.WithInlineParsers(util.Prioritized(wikiLinks{}, 199)))
}

func (wikiLinks) Trigger() []byte { return []byte{'[', '!'} }

// maxWikiLink (bytes) bounds how far the end is looked for.
const maxWikiLink = 1000

func (wikiLinks) Parse(_ ast.Node, block text.Reader, _ parser.Context) ast.Node {
	line, _ := block.PeekLine()
	rest, embed := bytes.CutPrefix(line, []byte("!"))
	rest, ok := bytes.CutPrefix(rest, []byte("[["))
	if !ok {
		return nil
	}
	end := bytes.Index(rest[:min(len(rest), maxWikiLink)], []byte("]]"))
	if end <= 0 || bytes.ContainsAny(rest[:end], "[]\n") {
		return nil
	}
	target, label, labelled := strings.Cut(string(rest[:end]), "|")
	if target = strings.TrimSpace(strings.TrimSuffix(target, `\`)); target == "" {
		return nil // in a table the bar is written \|
	}
	if label = strings.TrimSpace(label); !labelled || label == "" {
		label = target
	}
	block.Advance(len(line) - len(rest) + end + 2)
	return &wikiLink{target: target, label: label, embed: embed}
}
