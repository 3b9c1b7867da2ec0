package richtext

import "strings"

// textWriter writes plain text.
type textWriter struct{ b strings.Builder }

func (w *textWriter) line(s string) {
	w.b.WriteString(s)
	w.b.WriteByte('\n')
}

func (w *textWriter) blocks(blocks []block) {
	for i := range blocks {
		b := &blocks[i]
		switch b.kind {
		case paragraph, heading:
			w.line(plain(b.spans))
		case code:
			w.line(b.text)
		case picture:
			if b.image.alt != "" {
				w.line(b.image.alt)
			}
		case row:
			for i := range b.blocks {
				if i > 0 {
					w.b.WriteByte('\t')
				}
				var c textWriter
				c.blocks(b.blocks[i].blocks)
				w.b.WriteString(strings.ReplaceAll(strings.TrimSuffix(c.b.String(), "\n"), "\n", " "))
			}
			w.b.WriteByte('\n')
		default:
			w.blocks(b.blocks)
		}
	}
}
