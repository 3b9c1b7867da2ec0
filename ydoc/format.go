package ydoc

import (
	"bytes"
	"slices"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

func clone(o Object) Object { return slices.Clone(o) }

// member returns the value of a key, nil if there is none.
func member(o Object, key string) any {
	for i := range o {
		if o[i].Key == key {
			return o[i].Value
		}
	}
	return nil
}

func hasMember(o Object, key string) bool {
	return slices.ContainsFunc(o, func(m Member) bool { return m.Key == key })
}

func withoutMember(o Object, key string) Object {
	return slices.DeleteFunc(o, func(m Member) bool { return m.Key == key })
}

func withMember(o Object, key string, value any) Object {
	for i := range o {
		if o[i].Key == key {
			o[i].Value = value
			return o
		}
	}
	return append(o, Member{Key: key, Value: value})
}

// setAttribute switches an attribute on, or off if value is nil.
func setAttribute(o Object, key string, value any) Object {
	if value == nil {
		return withoutMember(o, key)
	}
	return withMember(o, key, value)
}

// switchBy does to attributes what a Format item says.
func (d *Doc) switchBy(o Object, it *item) Object {
	key, value := d.format(it)
	return setAttribute(o, key, value)
}

// equalAttribute compares values as the reference does: identical, or objects or
// lists whose members are identical.
func equalAttribute(a, b any) bool {
	switch a := a.(type) {
	case Object:
		b, ok := b.(Object)
		return ok && len(a) == len(b) && !slices.ContainsFunc(a, func(m Member) bool {
			return !hasMember(b, m.Key) || !identical(m.Value, member(b, m.Key))
		})
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, identical)
	}
	return identical(a, b)
}

// identical compares as JavaScript's === does values that were decoded apart.
func identical(a, b any) bool {
	switch a.(type) {
	case Object, []any, []byte:
		return false
	}
	switch b.(type) {
	case Object, []any, []byte:
		return false
	}
	return number(a) == number(b)
}

// number makes the integers that may be written what they are read as.
func number(v any) any {
	switch v := v.(type) {
	case int:
		return float64(v)
	case int64:
		return float64(v)
	}
	return v
}

// minimise steps over what is deleted, and over formats that attrs ask for anyway.
func (c *cursor) minimise(attrs Object) {
	for c.right != none {
		it := &c.d.items[c.right]
		if !it.deleted() {
			if it.kind != kindFormat {
				return
			}
			key, value := c.d.format(it)
			if !equalAttribute(member(attrs, key), value) {
				return
			}
		}
		c.step()
	}
}

// begin inserts formats for those of attrs that are not in force, and returns what
// was in force instead.
func (c *cursor) begin(attrs Object) (old Object) {
	for _, m := range attrs {
		now := member(c.attrs, m.Key)
		if !equalAttribute(now, m.Value) {
			old = withMember(old, m.Key, now)
			c.putFormat(m.Key, m.Value)
		}
	}
	return old
}

// finish inserts formats that bring old back, but for those that follow anyway.
func (c *cursor) finish(old Object) {
	for c.right != none {
		it := &c.d.items[c.right]
		if !it.deleted() {
			if it.kind != kindFormat {
				break
			}
			key, value := c.d.format(it)
			if !hasMember(old, key) || !equalAttribute(member(old, key), value) {
				break
			}
			old = withoutMember(old, key)
		}
		c.step()
	}
	for _, m := range old {
		c.putFormat(m.Key, m.Value)
	}
}

func (c *cursor) putFormat(key string, value any) {
	text, ok := lib0.AppendJSON(nil, value)
	if !ok {
		panic("ydoc: an attribute without JSON text")
	}
	content := lib0.AppendVarBytes(lib0.AppendVarString(nil, key), wellFormed(text))
	c.put(func() uint32 {
		return c.d.insert(c.chain, c.left, c.right, kindFormat, 0, content, 1)
	})
}

// format gives the next n elements attrs.
func (c *cursor) format(n uint32, attrs Object) {
	d := c.d
	c.minimise(attrs)
	old := c.begin(attrs)
	for c.right != none {
		it := &d.items[c.right]
		if n == 0 && (len(old) == 0 || !it.deleted() && it.kind != kindFormat) {
			break
		}
		switch {
		case it.deleted():
		case it.kind == kindFormat:
			key, value := d.format(it)
			if !hasMember(attrs, key) {
				break
			}
			if equalAttribute(member(attrs, key), value) {
				old = withoutMember(old, key)
			} else if n == 0 {
				c.finish(old)
				return
			} else {
				old = withMember(old, key, value)
			}
			d.remove(c.right)
		case it.visible():
			if it.length > n {
				d.split(c.right, n)
			}
			n -= d.items[c.right].length
		}
		c.step()
	}
	if n > 0 {
		c.put(func() uint32 {
			newlines := bytes.Repeat([]byte{'\n'}, int(n))
			return d.insert(c.chain, c.left, c.right, kindString, 0, newlines, n)
		})
	}
	c.finish(old)
}

// tidy deletes formats between start and the next content that are overwritten there,
// or say what was in force before.
func (c *cursor) tidy(start uint32, before Object) {
	d := c.d
	last := make(map[string]uint32)
	end := start
	for ; end != none && !d.items[end].visible(); end = d.items[end].next {
		if it := &d.items[end]; it.kind == kindFormat && !it.deleted() {
			key, _ := d.format(it)
			last[key] = end
		}
	}
	if len(last) == 0 {
		return
	}
	reached := false
	for i := start; i != end; i = d.items[i].next {
		reached = reached || i == c.right
		it := &d.items[i]
		if it.deleted() || it.kind != kindFormat {
			continue
		}
		key, value := d.format(it)
		was := member(before, key)
		if last[key] != i || identical(was, value) {
			d.remove(i)
			if !reached && identical(member(c.attrs, key), value) && !identical(was, value) {
				c.attrs = setAttribute(c.attrs, key, was)
			}
		} else if !reached {
			c.attrs = setAttribute(c.attrs, key, value)
		}
	}
}
