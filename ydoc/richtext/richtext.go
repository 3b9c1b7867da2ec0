package richtext

import "github.com/heapsync/heapsync/ydoc"

// Markdown returns what t holds as Markdown. It ends with a line feed unless it is
// empty.
func Markdown(t ydoc.Type) string {
	var w markdownWriter
	w.blocks(read(t))
	return w.String()
}

// HTML returns what t holds as a fragment of HTML, safe to put into a page.
func HTML(t ydoc.Type) string {
	var w htmlWriter
	w.blocks(read(t), false)
	return w.b.String()
}

// Text returns what t holds as plain text, a block a line, the cells of tables
// divided by tabs.
func Text(t ydoc.Type) string {
	var w textWriter
	w.blocks(read(t))
	return w.b.String()
}
