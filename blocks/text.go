package blocks

import (
	"strings"

	"github.com/heapsync/heapsync/ydoc"
)

// documentText returns the text of a document's roots but the one that says what the
// block is: what XML and texts say first, the first prose bytes, then the strings in maps
// and arrays. It has at most maxText bytes.
func documentText(doc *ydoc.Doc) (text string, prose int) {
	w := textWriter{left: maxVisited}
	var data []ydoc.Type
	var texts []ydoc.Type
	for name, root := range doc.Roots() {
		if name == aboutRoot {
			continue
		}
		switch root.Ref() {
		case ydoc.TypeXMLFragment, ydoc.TypeXMLElement:
			w.xml(root, 0)
			w.line()
		case ydoc.TypeText, ydoc.TypeXMLText:
			texts = append(texts, root)
		default:
			data = append(data, root)
		}
	}
	for _, t := range texts {
		w.text(t)
		w.line()
	}
	prose = min(w.b.Len(), maxText)
	for _, t := range data {
		w.data(t, 0)
	}
	text = strings.TrimRight(cutBytes(w.b.String(), maxText), "\n")
	return text, min(prose, len(text))
}

// textWriter collects text, but no more than is looked at.
type textWriter struct {
	b    strings.Builder
	left int // values that may still be looked at
	open bool
}

func (w *textWriter) visit() bool {
	w.left--
	return w.left >= 0 && w.b.Len() < maxText
}

func (w *textWriter) line() {
	if w.open {
		w.b.WriteByte('\n')
		w.open = false
	}
}

func (w *textWriter) put(s string) {
	if s != "" {
		w.b.WriteString(cutBytes(s, max(maxText+1-w.b.Len(), 0)))
		w.open = true
	}
}

func (w *textWriter) text(t ydoc.Type) { w.put(t.AsText().String()) }

// textDepth is how deep types are read into; deeper ones are left out.
const textDepth = 500

// within names elements that stand in a line of text, and so do not end it.
var within = map[string]bool{
	"mention": true, "emoji": true, "inlinemath": true, "a": true, "b": true, "i": true, "em": true, "strong": true, "span": true, "code": true,
}

// xml writes an element a line.
func (w *textWriter) xml(t ydoc.Type, depth int) {
	if depth > textDepth {
		return
	}
	for child := range t.AsXML().Children() {
		if !w.visit() {
			return
		}
		switch child.Ref() {
		case ydoc.TypeXMLText, ydoc.TypeText:
			w.text(child)
		default:
			inline := within[strings.ToLower(child.Name())]
			if !inline {
				w.line()
			}
			w.xml(child, depth+1)
			if !inline {
				w.line()
			}
		}
	}
}

// data writes the strings in a value, each in a line.
func (w *textWriter) data(v any, depth int) {
	if depth > textDepth || !w.visit() {
		return
	}
	switch v := v.(type) {
	case string:
		w.put(v)
		w.line()
	case []any:
		for _, e := range v {
			w.data(e, depth+1)
		}
	case ydoc.Object:
		for _, m := range v {
			w.data(m.Value, depth+1)
		}
	case ydoc.Type:
		switch v.Ref() {
		case ydoc.TypeText, ydoc.TypeXMLText:
			w.text(v)
			w.line()
		case ydoc.TypeXMLElement, ydoc.TypeXMLFragment:
			w.xml(v, depth+1)
			w.line()
		case ydoc.TypeArray:
			for _, e := range v.AsArray().All() {
				if w.left <= 0 {
					return
				}
				w.data(e, depth+1)
			}
		default:
			for _, e := range v.AsMap().All() {
				if w.left <= 0 {
					return
				}
				w.data(e, depth+1)
			}
		}
	}
}
