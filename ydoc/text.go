package ydoc

import (
	"strings"
	"unicode/utf8"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// Op is one step of a delta. In what Delta returns there are only inserts.
type Op struct {
	Insert     any // a string, an embedded value or a Type; nil if there is nothing to insert
	Delete     int // elements to delete
	Retain     int // elements to pass over, or to give Attributes
	Attributes Object
}

// String returns the text without formats and embedded values. A surrogate half that
// is alone is U+FFFD.
func (t Text) String() string {
	d := t.doc
	var b strings.Builder
	b.Grow(t.Len())
	halves := false
	for i := d.head(t.at); i != none; i = d.items[i].next {
		if it := &d.items[i]; it.kind == kindString && !it.deleted() {
			b.Write(d.content(it))
			halves = halves || it.flags&flagWTF != 0
		}
	}
	if halves {
		return string(lib0.AppendWellFormed(nil, []byte(b.String())))
	}
	return b.String()
}

// Delta returns the text as inserts: strings, embedded values and types, each with
// the attributes in force, in the order they were switched on.
func (t Text) Delta() []Op {
	d := t.doc
	var ops []Op
	var attrs Object
	var text []byte
	flush := func() {
		if len(text) > 0 {
			ops = append(ops, Op{Insert: string(lib0.AppendWellFormed(nil, text)), Attributes: clone(attrs)})
			text = text[:0]
		}
	}
	for i := d.head(t.at); i != none; i = d.items[i].next {
		it := &d.items[i]
		if it.deleted() {
			continue
		}
		switch it.kind {
		case kindString:
			text = append(text, d.content(it)...)
		case kindFormat:
			flush()
			attrs = d.switchBy(attrs, it)
		case kindType, kindEmbed:
			flush()
			ops = append(ops, Op{Insert: d.single(it), Attributes: clone(attrs)})
		}
	}
	flush()
	return ops
}

// FormatBytes returns how many bytes the keys and values of attributes have in the deltas
// of all texts of the document, each counted as often as it is in force. That may be more
// than the square of what the document has: who reads documents of strangers asks first.
func (d *Doc) FormatBytes() int64 {
	total := int64(0)
	for b := range d.branches {
		if !d.branches[b].dead {
			total += d.formatBytes(uint32(b))
		}
	}
	return total
}

func (d *Doc) formatBytes(b uint32) int64 {
	var inForce map[string]int64
	total, sum := int64(0), int64(0)
	for i := d.head(b); i != none; i = d.items[i].next {
		it := &d.items[i]
		if it.deleted() {
			continue
		}
		total += sum // a format looks at those in force, too
		if it.kind != kindFormat {
			continue
		}
		content := d.content(it)
		key, value := d.format(it)
		if inForce == nil {
			inForce = make(map[string]int64)
		}
		sum -= inForce[key]
		delete(inForce, key)
		if value != nil {
			inForce[key] = int64(len(content))
			sum += inForce[key]
		}
	}
	return total
}

// Insert inserts s in front of element index, with the attributes in force there.
// Bytes that are not UTF-8 become U+FFFD.
func (t Text) Insert(index int, s string) {
	if !t.editable(index) {
		return
	}
	defer t.doc.end(t.doc.begin(true))
	c := t.cursor(index)
	c.insertText(s, clone(c.attrs))
}

// InsertWith inserts s in front of element index, with exactly attrs.
func (t Text) InsertWith(index int, s string, attrs Object) {
	if !t.editable(index) {
		return
	}
	defer t.doc.end(t.doc.begin(true))
	c := t.cursor(index)
	c.insertText(s, clone(attrs))
}

// Embed inserts a value, one element long, with exactly attrs. It must have a JSON text.
func (t Text) Embed(index int, value any, attrs Object) {
	content := embedded(value)
	if !t.editable(index) {
		return
	}
	defer t.doc.end(t.doc.begin(true))
	c := t.cursor(index)
	c.insertEmbed(content, clone(attrs))
}

// EmbedType inserts a new shared type, one element long, with exactly attrs. name is
// that of an XML element or a hook.
func (t Text) EmbedType(index int, ref TypeRef, name string, attrs Object) Type {
	if !t.editable(index) {
		return t.doc.lostType(ref)
	}
	defer t.doc.end(t.doc.begin(true))
	c := t.cursor(index)
	var made Type
	c.insertOne(clone(attrs), func() uint32 {
		made = c.d.insertType(c.chain, c.left, c.right, ref, name)
		return made.branch().item
	})
	return made
}

// Delete deletes n elements from index on, and formats that have become redundant.
func (t Text) Delete(index, n int) {
	checkRange(index, n, t.Len())
	if n == 0 || !t.editable(index) {
		return
	}
	defer t.doc.end(t.doc.begin(true))
	c := t.cursor(index)
	c.delete(uint32(n))
}

// Format gives n elements from index on attributes; a nil takes one away. Values must
// have a JSON text. Like Yjs it appends newlines where n goes beyond the end.
func (t Text) Format(index, n int, attrs Object) {
	if !t.editable(index) || n <= 0 || len(attrs) == 0 {
		return
	}
	defer t.doc.end(t.doc.begin(true))
	c := t.cursor(index)
	c.format(uint32(n), clone(attrs))
}

// ApplyDelta does what ops say, in one transaction, from the start of the text. What
// they delete beyond its end does not count, and what they retain there Yjs and we take
// for newlines.
func (t Text) ApplyDelta(ops []Op) {
	if !t.editable(0) {
		return
	}
	defer t.doc.end(t.doc.begin(true))
	c := t.cursor(0)
	for _, op := range ops {
		switch insert := op.Insert.(type) {
		case string:
			c.insertText(insert, clone(op.Attributes))
		case nil:
			if op.Delete > 0 {
				c.delete(uint32(op.Delete))
			} else if op.Retain > 0 {
				c.format(uint32(op.Retain), clone(op.Attributes))
			}
		default:
			c.insertEmbed(embedded(insert), clone(op.Attributes))
		}
	}
}

// editable reports whether t may be edited at index, and panics if there is no such
// place.
func (t Text) editable(index int) bool {
	checkRange(index, 0, t.Len())
	return !t.Deleted()
}

// cursor returns the place in front of element index, within a transaction.
func (t Text) cursor(index int) cursor {
	d := t.doc
	c := cursor{d: d, chain: d.listOf(t.at)}
	c.left, c.right = d.gap(t.at, uint32(index))
	if t.branch().formatted {
		for i := d.head(t.at); i != c.right; i = d.items[i].next {
			c.pass(&d.items[i])
		}
	}
	return c
}

// cursor is a place between two items of a text.
type cursor struct {
	d           *Doc
	chain       uint32
	left, right uint32
	attrs       Object // in force here
}

// pass notes what it does to attributes.
func (c *cursor) pass(it *item) {
	if it.kind == kindFormat && !it.deleted() {
		c.attrs = c.d.switchBy(c.attrs, it)
	}
}

// step moves over the item on the right, which must exist.
func (c *cursor) step() {
	it := &c.d.items[c.right]
	c.pass(it)
	c.left, c.right = c.right, it.next
}

// put inserts an item that make makes and steps over it.
func (c *cursor) put(make func() uint32) {
	c.left = make()
	c.right = c.d.items[c.left].next
	c.pass(&c.d.items[c.left])
}

// embedded returns the content of an item that embeds v.
func embedded(v any) []byte {
	content, ok := lib0.AppendJSON(nil, v)
	if !ok {
		panic("ydoc: a value without JSON text is embedded")
	}
	return wellFormed(content)
}

// wellFormed returns b as UTF-8.
func wellFormed(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	return lib0.AppendWellFormed(nil, b)
}

func (c *cursor) insertEmbed(content []byte, attrs Object) {
	c.insertOne(attrs, func() uint32 {
		return c.d.insert(c.chain, c.left, c.right, kindEmbed, 0, content, 1)
	})
}

func (c *cursor) insertText(s string, attrs Object) {
	if s == "" {
		return
	}
	t := c.d.tx
	if utf8.ValidString(s) {
		t.buf = append(t.buf[:0], s...)
	} else {
		t.buf = lib0.AppendWellFormed(t.buf[:0], []byte(s))
	}
	text, length := t.buf, uint32(lib0.Units(t.buf))
	c.insertOne(attrs, func() uint32 {
		return c.d.insert(c.chain, c.left, c.right, kindString, 0, text, length)
	})
}

// insertOne puts an item that make makes where exactly attrs are in force.
func (c *cursor) insertOne(attrs Object, make func() uint32) {
	for _, m := range c.attrs {
		if !hasMember(attrs, m.Key) {
			attrs = append(attrs, Member{Key: m.Key, Value: nil})
		}
	}
	c.minimise(attrs)
	old := c.begin(attrs)
	c.put(make)
	c.finish(old)
}

// delete deletes the next n elements.
func (c *cursor) delete(n uint32) {
	d := c.d
	before, start := clone(c.attrs), c.right
	for n > 0 && c.right != none {
		it := &d.items[c.right]
		if it.visible() {
			if it.length > n {
				d.split(c.right, n)
			}
			n -= d.items[c.right].length
			d.remove(c.right)
		}
		c.step()
	}
	if start != none {
		c.tidy(start, before)
	}
}
