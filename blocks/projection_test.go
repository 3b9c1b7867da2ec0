package blocks_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/ydoc"
)

type members = ydoc.Object

func m(key string, value any) ydoc.Member { return ydoc.Member{Key: key, Value: value} }

// shapeOf is what a document says of itself.
func shapeOf(e blocks.Entry) string {
	return fmt.Sprintf("type=%s title=%s parent=%s apps=%s file=%s/%d trashed=%v", e.Type, e.Title, e.Parent, e.Apps, e.File, e.FileBytes, e.TrashedAt != 0)
}

// Whatever a document holds, what is of another type than it should be is as if it were
// not there, and what is too large is cut.
func TestHostileDocumentsAreReadSafely(t *testing.T) {
	about := func(list ...ydoc.Member) func(*ydoc.Doc) {
		return func(doc *ydoc.Doc) {
			for _, x := range list {
				doc.Map("block").Set(x.Key, x.Value)
			}
		}
	}
	const plain = "type=note title= parent= apps= file=/0 trashed=false"
	long := strings.Repeat("ä", 1000)
	for i, tt := range []struct {
		name string
		make func(*ydoc.Doc)
		want string
	}{
		{"nothing", about(m("x", 1.0)), plain},
		{"numbers", about(m("type", 1.0), m("title", 2.0), m("parent", 3.0), m("apps", 4.0), m("relations", 5.0), m("file", 6.0)), plain},
		{"null", about(m("type", nil), m("title", nil), m("parent", nil), m("apps", nil), m("relations", nil), m("file", nil), m("trashed_at", nil)), plain},
		{"undefined", about(m("type", ydoc.Undefined{}), m("title", ydoc.Undefined{}), m("file", ydoc.Undefined{})), plain},
		{"lists", about(m("type", []any{"a"}), m("title", []any{"a"}), m("apps", []any{1.0}), m("relations", []any{members{m("target", "a")}}), m("file", []any{})), plain},
		{"objects", about(m("type", members{}), m("title", members{m("a", 1.0)}), m("parent", members{}), m("trashed_at", members{})), plain},
		{"booleans", about(m("type", true), m("title", false), m("parent", true), m("trashed_at", true), m("file", true)), plain},
		{"bytes", about(m("type", []byte("x")), m("title", []byte("x")), m("parent", []byte("x")), m("file", []byte("x"))), plain},
		{"subdocuments", about(m("type", ydoc.Subdoc{GUID: "g"}), m("title", ydoc.Subdoc{GUID: "g"})), plain},
		{"no numbers", about(m("trashed_at", math.NaN()), m("created_at", math.Inf(-1))), plain},
		{"a time in text", about(m("trashed_at", "2026-01-01")), plain},
		{"empty strings", about(m("type", ""), m("title", ""), m("parent", "")), plain},
		{"a title of spaces", about(m("title", " \n\t ")), plain},
		{"a title with line feeds", about(m("title", "\n one\ntwo\x00 ")), "type=note title=one two parent= apps= file=/0 trashed=false"},
		{"10 MB of title", about(m("title", strings.Repeat("ä", 5<<20))), "type=note title=" + long + " parent= apps= file=/0 trashed=false"},
		{"a title that is a shared text", func(d *ydoc.Doc) {
			d.Map("block").SetType("title", ydoc.TypeText, "").AsText().Insert(0, "shared")
		}, "type=note title=shared parent= apps= file=/0 trashed=false"},
		{"a title that is a shared array", func(d *ydoc.Doc) {
			d.Map("block").SetType("title", ydoc.TypeArray, "").AsArray().Append("x")
		}, plain},
		{"a title that is XML", func(d *ydoc.Doc) {
			d.Map("block").SetType("title", ydoc.TypeXMLElement, "p").AsXML().InsertText(0).Insert(0, "x")
		}, plain},
		{"the title of the first line", func(d *ydoc.Doc) { d.Text("body").Insert(0, "\n\n  First \nsecond") }, "type=note title=First parent= apps= file=/0 trashed=false"},
		{"the title of XML", func(d *ydoc.Doc) {
			d.Text("body").Insert(0, "text")
			x := d.XML("xml")
			x.InsertElement(0, "p").InsertText(0).Insert(0, "In XML")
		}, "type=note title=In XML parent= apps= file=/0 trashed=false"},
		{"a long type", about(m("type", strings.Repeat("x", 65))), plain},
		{"a type with a line feed", about(m("type", "a\nb")), plain},
		{"a type that means any", about(m("type", "*")), "type=* title= parent= apps= file=/0 trashed=false"},
		{"a parent that is no id", about(m("parent", "../x")), plain},
		{"a parent that means any", about(m("parent", "*")), plain},
		{"its own parent", about(m("parent", "b25")), "type=note title= parent=b25 apps= file=/0 trashed=false"},
		{"apps", about(m("apps", members{m("x", members{m("n", ydoc.BigInt(1<<60)), m("nan", math.NaN()), m("b", []byte("hi"))}), m("y", "\x01\"")})),
			`type=note title= parent= apps={"x":{"n":"1152921504606846976","nan":null,"b":"aGk="},"y":"\u0001\""} file=/0 trashed=false`},
		{"apps that are shared", func(d *ydoc.Doc) {
			d.Map("block").SetType("apps", ydoc.TypeMap, "").AsMap().SetType("x", ydoc.TypeMap, "").AsMap().Set("on", true)
		}, `type=note title= parent= apps={"x":{"on":true}} file=/0 trashed=false`},
		{"apps too large", about(m("apps", members{m("big", strings.Repeat("x", 70_000)), m("small", 1.0)})), `type=note title= parent= apps={"small":1} file=/0 trashed=false`},
		{"a file", about(m("file", members{m("hash", "ab"), m("size", 12.0)})), `type=note title= parent= apps= file={"hash":"ab","size":12}/12 trashed=false`},
		{"a file without hash", about(m("file", members{m("size", 12.0)})), plain},
		{"a file with a bad size", about(m("file", members{m("hash", "ab"), m("size", -12.0)})), `type=note title= parent= apps= file={"hash":"ab","size":-12}/0 trashed=false`},
		{"a file too large", about(m("file", members{m("hash", "ab"), m("name", strings.Repeat("x", 70_000))})), plain},
		{"the root is a text", func(d *ydoc.Doc) { d.Text("block").Insert(0, "title") }, plain},
		{"the root is an array", func(d *ydoc.Doc) { d.Array("block").Append("title", 1.0) }, plain},
		{"the root is XML", func(d *ydoc.Doc) { d.XML("block").InsertElement(0, "title") }, plain},
		{"the root is a text with attributes", func(d *ydoc.Doc) {
			d.Text("block").Insert(0, "text")
			d.Map("block").Set("title", "still")
		}, "type=note title=still parent= apps= file=/0 trashed=false"},
		{"text in an array is no title", func(d *ydoc.Doc) { d.Array("list").Append(1.0, []any{"in"}, members{m("a", "deep")}) }, plain},
		{"deep types", func(d *ydoc.Doc) {
			at := d.XML("xml")
			for range 490 {
				at = at.InsertElement(0, "div")
			}
			at.InsertText(0).Insert(0, "bottom")
		}, "type=note title=bottom parent= apps= file=/0 trashed=false"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := makeWorld(t, blocks.Limits{}, true)
			block := fmt.Sprint("b", i)
			w.edit(block, tt.make)
			start := time.Now()
			w.settle()
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("read in %v", took)
			}
			got := shapeOf(w.entry(block))
			if got != tt.want {
				t.Errorf("%.300s\nwant %.300s", got, tt.want)
			}
			if got := w.entry(block); got.Unread != "" || len(got.Snippet) > 1000 {
				t.Errorf("unread %q, snippet of %d bytes", got.Unread, len(got.Snippet))
			}
		})
	}
}

func TestRelationsThatAreNoneAreLeftOut(t *testing.T) {
	w := makeWorld(t, blocks.Limits{}, true)
	w.edit("a", func(doc *ydoc.Doc) {
		rel := doc.Map("block").SetType("relations", ydoc.TypeMap, "").AsMap()
		rel.Set("1", members{m("kind", "cites"), m("target", "x")})
		rel.Set("2", members{m("kind", 5.0), m("target", "x")})
		rel.Set("3", members{m("kind", "cites"), m("target", "no id!")})
		rel.Set("4", members{m("kind", "cites")})
		rel.Set("5", "x")
		rel.Set(strings.Repeat("i", 65), members{m("target", "x")})
		rel.Set("6", members{m("kind", strings.Repeat("k", 100)), m("target", "x")})
		shared := rel.SetType("7", ydoc.TypeMap, "").AsMap()
		shared.Set("kind", "cites")
		shared.Set("target", "a") // itself
		for i := range 1200 {
			rel.Set(fmt.Sprint("n", i), members{m("target", "many")})
		}
	})
	w.settle()
	links := func(to string) (list []string) {
		found, err := w.cfg.Index.Backlinks(t.Context(), key(to), 2000)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range found {
			list = append(list, l.ID+l.Kind)
		}
		return list
	}
	if got := fmt.Sprint(links("x")); got != "[1cites 2 6"+strings.Repeat("k", 64)+"]" {
		t.Errorf("relations to x are %s", got)
	}
	if got := links("a"); len(got) != 1 {
		t.Errorf("relations to itself are %v", got)
	}
	if got := links("many"); len(got) != 996 {
		t.Errorf("%d of 1,000 relations are of no matter what", len(got))
	}
}

func TestTextOfAllRootsIsFound(t *testing.T) {
	w := makeWorld(t, blocks.Limits{}, true)
	w.edit("a", func(doc *ydoc.Doc) {
		doc.Map("block").Set("title", "Title")
		doc.Text("notes").Insert(0, "plain words")
		doc.XML("xml").InsertElement(0, "paragraph").InsertText(0).Insert(0, "Hello bold")
		doc.XML("xml").InsertElement(1, "heading").InsertText(0).Insert(0, "Heading")
		doc.Array("cards").Append(members{m("name", "carded")}, "strung")
		doc.Map("settings").Set("color", "turquoise")
	})
	w.settle()
	for _, word := range []string{"title", "plain", "hello", "bold", "heading", "carded", "strung", "turquoise"} {
		if got := w.search(word); len(got) != 1 {
			t.Errorf("%s is not found", word)
		}
	}
	if got := w.search("boldheading"); len(got) != 0 {
		t.Error("words of two blocks are one")
	}
	if got := w.entry("a").Snippet; got != "Hello bold Heading plain words carded strung turquoise" {
		t.Errorf("snippet is %q", got)
	}
}
