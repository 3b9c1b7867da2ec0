package richtext

// kind says what a block is.
type kind uint8

const (
	paragraph kind = iota
	heading
	list
	item
	code
	quote
	table
	row
	cell
	picture
	rule
)

// block is a part of a document that stands on lines of its own: what all editors
// mean, whatever they call it.
type block struct {
	kind    kind
	level   int      // of a heading, 1 to 6
	ordered bool     // a list
	loose   bool     // a list made of items that stood side by side
	start   int      // number of the first item of an ordered list
	task    bool     // an item that may be done
	done    bool     // an item
	header  bool     // a cell
	colspan int      // of a cell
	rowspan int      // of a cell
	text    string   // of code
	lines   []string // of code that is read line by line, before they are text
	lang    string   // of code
	image   image    // of a picture
	spans   []span   // of a paragraph or a heading
	blocks  []block
}

// image is a picture, which may have no address that is allowed.
type image struct {
	src, alt, title string
}

// span is a run of text with equal marks, a line break or an image.
type span struct {
	text  string
	brk   bool
	image *image
	marks marks
}

// marks are the formats of a span. It is comparable.
type marks struct {
	on   markSet
	link string // address, "" if none is allowed
}

// markSet is a set of formats that have no value.
type markSet uint16

const (
	bold markSet = 1 << iota
	italic
	strike
	underline
	highlight
	sub
	sup
	inlineCode
)

// join joins texts side by side that have equal marks.
func join(spans []span) []span {
	var out []span
	for i := 0; i < len(spans); {
		n := i + 1
		for n < len(spans) && spans[i].text != "" && spans[n].text != "" && spans[n].marks == spans[i].marks {
			n++
		}
		s := spans[i]
		if n > i+1 {
			s.text = plain(spans[i:n])
		}
		out = append(out, s)
		i = n
	}
	return out
}

// plain returns the text of spans, breaks as line feeds.
func plain(spans []span) string {
	var b []byte
	for _, s := range spans {
		switch {
		case s.brk:
			b = append(b, '\n')
		case s.image != nil:
			b = append(b, s.image.alt...)
		default:
			b = append(b, s.text...)
		}
	}
	return string(b)
}
