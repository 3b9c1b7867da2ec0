package blocks

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/heapsync/heapsync/ydoc"
)

// maxContent is how many bytes the JSON of a document's content may have.
const maxContent = 32 << 20

// contentOf returns a document's content as a JSON object: its roots by name, but for the
// one that says what the block is and those that are empty. A text is {text, delta}, XML
// is {xml, text}, and what maps and arrays hold is as jsonWriter writes it.
// A document whose formats alone are more than maxContent is ErrTooLarge.
func contentOf(doc *ydoc.Doc) (json.RawMessage, error) {
	if err := formatsFit(doc); err != nil {
		return nil, err
	}
	w := jsonWriter{left: maxContent}
	w.put("{")
	for name, root := range doc.Roots() {
		if name == aboutRoot || w.over || root.Len() == 0 && root.AsMap().Len() == 0 {
			continue
		}
		if len(w.out) > 1 {
			w.put(",")
		}
		w.string(name)
		w.put(":")
		switch root.Ref() {
		case ydoc.TypeText, ydoc.TypeXMLText:
			w.put(`{"text":`)
			w.string(root.AsText().String())
			w.put(`,"delta":`)
			w.delta(root.AsText().Delta())
			w.put("}")
		case ydoc.TypeXMLFragment, ydoc.TypeXMLElement:
			plain := textWriter{left: maxVisited}
			plain.xml(root, 0)
			w.put(`{"xml":`)
			w.string(root.String())
			w.put(`,"text":`)
			w.string(strings.TrimRight(plain.b.String(), "\n"))
			w.put("}")
		default:
			w.value(root, 0)
		}
	}
	w.put("}")
	if w.over {
		return nil, fmt.Errorf("content has more than %d bytes: %w", maxContent, ErrTooLarge)
	}
	return w.out, nil
}

// formatsFit says whether a document can be written with its formats: a few bytes may
// stand for very many of them.
func formatsFit(doc *ydoc.Doc) error {
	if doc.FormatBytes() > maxContent {
		return fmt.Errorf("content has more than %d bytes of formats: %w", maxContent, ErrTooLarge)
	}
	return nil
}

func (w *jsonWriter) delta(ops []ydoc.Op) {
	w.put("[")
	for i, op := range ops {
		if w.over {
			return
		}
		if i > 0 {
			w.put(",")
		}
		w.put(`{"insert":`)
		w.value(op.Insert, 0)
		if len(op.Attributes) > 0 {
			w.put(`,"attributes":`)
			w.object(op.Attributes, 0)
		}
		w.put("}")
	}
	w.put("]")
}
