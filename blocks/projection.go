package blocks

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/heapsync/heapsync/ydoc"
)

// What a document says of itself stands in its root map "block". Documents come from
// strangers: whatever there is of another type than it should be counts as absent, and
// what is larger than it may be is cut.

// aboutRoot is the root map that says what a block is.
const aboutRoot = "block"

// Bounds of what is read out of a document.
const (
	maxTitle     = 1000 // characters
	maxType      = 64   // characters
	maxRelations = 1000
	maxKind      = 64 // characters of a relation's kind, and of its id
	maxApps      = 100
	maxMapJSON   = 64 << 10 // bytes of apps, and of a file's map
	maxText      = 1 << 20  // bytes that search knows
	maxVisited   = 200_000  // values that are looked at for text
)

// defaultType is the type of a block that says nothing of it.
const defaultType = "note"

// project reads a document.
func project(head Head, doc *ydoc.Doc, now int64) Projection {
	p := Projection{Entry: entryOf(head)}
	about := doc.Root(aboutRoot).AsMap()
	var prose int
	p.Text, prose = documentText(doc)
	p.Title = titleOf(about, p.Text[:prose])
	p.Snippet = beginning(p.Text, p.Title)
	if t := typeOf(about); t != "" {
		p.Type = t
	}
	p.Parent = blockIDOf(about, "parent")
	if at, ok := timeOf(about, "created_at"); ok && plausible(at, now) {
		p.CreatedAt = at
	}
	p.TrashedAt = 0
	if at, ok := timeOf(about, "trashed_at"); ok {
		p.TrashedAt = at
		if !plausible(at, now) {
			p.TrashedAt = now
			if head.TrashedAt != 0 {
				p.TrashedAt = head.TrashedAt
			}
		}
	}
	p.Relations = relationsOf(about)
	p.Apps = appsOf(about)
	p.Text = withTags(p.Text, p.Apps)
	p.File, p.FileBytes = fileOf(about)
	if p.Title == "" && p.File != nil {
		p.Title = fileTitle(about)
	}
	return p
}

// entryOf is what the head alone says.
func entryOf(head Head) Entry {
	e := Entry{
		Key: head.Key, Seq: head.Seq, Type: cleanType(head.Type), SyncVersion: head.SyncVersion, Size: head.Bytes, Updates: head.Updates,
		CreatedAt: head.CreatedAt, UpdatedAt: head.UpdatedAt, TrashedAt: head.TrashedAt,
	}
	if e.Type == "" {
		e.Type = defaultType
	}
	return e
}

// stringOf returns a value that is a string or a text.
func stringOf(m ydoc.Map, key string) string {
	switch v, _ := m.Value(key); v := v.(type) {
	case string:
		return v
	case ydoc.Type:
		if ref := v.Ref(); ref == ydoc.TypeText || ref == ydoc.TypeXMLText {
			return v.AsText().String()
		}
	}
	return ""
}

func titleOf(about ydoc.Map, text string) string {
	if title := oneLine(stringOf(about, "title"), maxTitle); title != "" {
		return title
	}
	for line := range strings.Lines(text) {
		if title := oneLine(line, maxTitle); title != "" {
			return title
		}
	}
	return ""
}

// oneLine returns the first n characters of s without line feeds and the like, and
// without space around.
func oneLine(s string, n int) string {
	s = strings.TrimSpace(cut(strings.TrimLeftFunc(s, unicode.IsSpace), n))
	if strings.IndexFunc(s, unicode.IsControl) < 0 {
		return s
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s))
}

// cut returns the first n characters of s.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// cutBytes returns as many characters of s as fit into n bytes.
func cutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func typeOf(about ydoc.Map) string {
	s, _ := about.Value("type")
	t, _ := s.(string)
	return cleanType(t)
}

// cleanType returns t if it is fit to name a type of blocks.
func cleanType(t string) string {
	if len(t) > maxType*utf8.UTFMax || utf8.RuneCountInString(t) > maxType || strings.IndexFunc(t, unicode.IsControl) >= 0 {
		return ""
	}
	return t
}

func blockIDOf(m ydoc.Map, key string) BlockID {
	v, _ := m.Value(key)
	s, _ := v.(string)
	if !validID(s) {
		return ""
	}
	return BlockID(s)
}

// timeOf returns a time in Unix ms: a number above 0.
func timeOf(m ydoc.Map, key string) (int64, bool) {
	v, _ := m.Value(key)
	switch v := v.(type) {
	case float64:
		if v > 0 && !math.IsInf(v, 1) {
			return max(int64(min(v, 1<<53)), 1), true
		}
	case ydoc.BigInt:
		return int64(v), v > 0
	}
	return 0, false
}

// year2000 (ms) is before any block.
const year2000 = 946_684_800_000

// plausible says whether a document's word for a time can be taken.
func plausible(at, now int64) bool { return at >= year2000 && at <= now }

// fields yields the members of a value that is a map of either kind: shared, or plain.
func fields(v any, yield func(key string, value any) bool) {
	switch v := v.(type) {
	case ydoc.Object:
		for _, m := range v {
			if !yield(m.Key, m.Value) {
				return
			}
		}
	case ydoc.Type:
		if v.Ref() != ydoc.TypeMap {
			return
		}
		for key, value := range v.AsMap().All() {
			if !yield(key, value) {
				return
			}
		}
	}
}

func relationsOf(about ydoc.Map) []Relation {
	var list []Relation
	all, _ := about.Value("relations")
	fields(all, func(id string, value any) bool {
		r := Relation{ID: id}
		fields(value, func(key string, value any) bool {
			s, _ := value.(string)
			switch key {
			case "kind":
				r.Kind = cut(s, maxKind)
			case "target":
				if validID(s) {
					r.Target = BlockID(s)
				}
			}
			return true
		})
		if r.Target != "" && id != "" && utf8.RuneCountInString(cutBytes(id, maxKind*utf8.UTFMax+1)) <= maxKind {
			list = append(list, r)
		}
		return len(list) < maxRelations
	})
	return list
}

// appsOf returns the apps' settings, as many as fit.
func appsOf(about ydoc.Map) []byte {
	all, _ := about.Value("apps")
	w := jsonWriter{left: maxMapJSON - 2}
	n := 0
	fields(all, func(name string, settings any) bool {
		mark := w
		if n > 0 {
			w.put(",")
		}
		w.string(name)
		w.put(":")
		w.value(settings, 0)
		if w.over {
			w = mark
			return true
		}
		n++
		return n < maxApps
	})
	if n == 0 {
		return nil
	}
	return append(append([]byte{'{'}, w.out...), '}')
}

// fileTitle is the name of a block's file.
func fileTitle(about ydoc.Map) (title string) {
	v, _ := about.Value("file")
	fields(v, func(key string, value any) bool {
		if name, ok := value.(string); ok && key == "name" {
			title = oneLine(name, maxTitle)
		}
		return title == ""
	})
	return title
}

// fileOf returns a block's file map, and how large the file is said to be.
func fileOf(about ydoc.Map) ([]byte, int64) {
	v, _ := about.Value("file")
	var size int64
	n, hash := 0, false
	fields(v, func(key string, value any) bool {
		n++
		switch f, isNumber := value.(float64); {
		case key == "size" && isNumber && f > 0 && f <= 1<<53:
			size = int64(f)
		case key == "hash":
			s, ok := value.(string)
			hash = ok && s != ""
		}
		return n <= maxApps
	})
	if !hash || n > maxApps {
		return nil, 0
	}
	w := jsonWriter{left: maxMapJSON}
	w.value(v, 0)
	if w.over {
		return nil, 0
	}
	return w.out, size
}
