package richtext_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/richtext"
)

// allowed is every tag that HTML may write, addresses apart.
var allowed = regexp.MustCompile(`^<(/?(p|h[1-6]|ul|li|ol|pre|blockquote|table|tbody|tr|td|th|strong|em|u|s|mark|sub|sup|code|a)|br|hr` +
	`|ol start="\d+"|t[dh]( colspan="\d+")?( rowspan="\d+")?|input type="checkbox" disabled( checked)?|code class="language-[\w+#.-]+"` +
	`|a href="((?i:https?|mailto):[^"<>]*|[^":<>/?#]*([/?#][^"<>]*)?)"` +
	`|img src="((?i:https?):[^"<>]*|[^":<>/?#]*([/?#][^"<>]*)?)"( alt="[^"<>]*")?( title="[^"<>]*")?)>`)

func checkSafe(t *testing.T, html string) {
	t.Helper()
	for rest := html; ; {
		at := strings.IndexByte(rest, '<')
		if at < 0 {
			return
		}
		rest = rest[at:]
		if !allowed.MatchString(rest) {
			t.Fatalf("%.200q in %q", rest, html)
		}
		rest = rest[1:]
	}
}

func TestHTMLOfFixturesIsSafe(t *testing.T) {
	for _, f := range fixtures(t) {
		doc := ydoc.NewDoc(ydoc.Options{})
		if err := doc.Apply(f.Update, ydoc.V1); err != nil {
			t.Fatal(err)
		}
		checkSafe(t, richtext.HTML(doc.Root(f.Root)))
	}
}

func TestHTMLIsSafeWhateverADocumentHolds(t *testing.T) {
	bad := []any{
		"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "javascript:alert(1)", " JaVaScRiPt:alert(1)", "java\nscript:alert(1)", "\x01javascript:x", "data:text/html,<b>", "vbscript:x",
		"https://example.org/\" onclick=\"x", "mailto:a@b", "//example.org", "/a:b", "&#106;avascript:x", "\x00", "x' y=z", "5", float64(3), -1.0, 1e300, true, nil, []any{"a"}, ydoc.Object{{Key: "href", Value: "javascript:x"}},
		ydoc.Object{{Key: "href", Value: "https://example.org/?a=\"<b>&c"}}, []byte("bytes"), "colspan", "\ufffd",
	}
	names := []string{"paragraph", "heading", "bulletList", "orderedList", "listItem", "taskItem", "codeBlock", "blockquote", "table", "tableRow", "tableCell", "tableHeader", "image", "hardBreak", "horizontalRule", "script", "iframe", "img onerror=x", "blockContainer", "blockGroup", "numberedListItem", "checkListItem", "quote", "video", "mention", ""}
	keys := []string{"src", "url", "alt", "title", "href", "level", "start", "language", "colspan", "rowspan", "checked", "caption", "name", "label", "onclick"}
	marks := []string{"link", "bold", "code", "highlight", "script", "onclick", "textColor", "link--abc"}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	pick := func() any { return bad[rng.IntN(len(bad))] }
	for range 300 {
		doc := ydoc.NewDoc(ydoc.Options{})
		at := []ydoc.XML{doc.XML("x")}
		for range 30 {
			parent := at[rng.IntN(len(at))]
			if rng.IntN(3) == 0 {
				text := parent.InsertText(rng.IntN(parent.Len() + 1))
				if s, ok := pick().(string); ok {
					text.InsertWith(0, s, ydoc.Object{{Key: marks[rng.IntN(len(marks))], Value: pick()}})
				}
				text.Embed(0, ydoc.Object{{Key: "image", Value: pick()}}, nil)
				continue
			}
			e := parent.InsertElement(rng.IntN(parent.Len()+1), names[rng.IntN(len(names))])
			for range 3 {
				e.AsMap().Set(keys[rng.IntN(len(keys))], pick())
			}
			at = append(at, e)
		}
		checkSafe(t, richtext.HTML(at[0].Type))
		richtext.Markdown(at[0].Type)
		richtext.Text(at[0].Type)
	}
}

func TestDeepNestingDegradesToText(t *testing.T) {
	for _, name := range []string{"blockquote", "bulletList", "listItem", "unknown", "blockContainer", "blockGroup", "table", "paragraph"} {
		doc := ydoc.NewDoc(ydoc.Options{})
		x := doc.XML("x")
		root := x.Type
		for range 900 {
			x = x.InsertElement(0, name)
		}
		x.InsertText(0).Insert(0, "the bottom")
		for what, got := range map[string]string{"Markdown": richtext.Markdown(root), "HTML": richtext.HTML(root), "Text": richtext.Text(root)} {
			if !strings.Contains(got, "the bottom") {
				t.Errorf("%s of %s lost the text: %q", what, name, got)
			}
			if len(got) > 10_000 {
				t.Errorf("%s of %s has %d bytes", what, name, len(got))
			}
		}
	}
}

func TestListsAndMapsDegradeToTheirTexts(t *testing.T) {
	doc := ydoc.NewDoc(ydoc.Options{})
	list := doc.Array("list")
	list.Append("a *text*", 5)
	list.InsertType(2, ydoc.TypeText, "").AsText().Insert(0, "another")
	if got, want := richtext.Markdown(list.Type), "a \\*text\\*\n\nanother\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	pages := doc.Map("pages")
	pages.SetType("1", ydoc.TypeXMLFragment, "").AsXML().InsertElement(0, "heading").InsertText(0).Insert(0, "One")
	if got, want := richtext.HTML(pages.Type), "<h1>One</h1>"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOutputGrowsWithTheDocument(t *testing.T) {
	doc := ydoc.NewDoc(ydoc.Options{})
	table := doc.XML("x").InsertElement(0, "table")
	row := table.InsertElement(0, "tableRow")
	for range 1000 {
		row.InsertElement(0, "tableCell").SetAttribute("colspan", 1e9)
	}
	for range 1000 {
		table.InsertElement(1, "tableRow")
	}
	if n := len(richtext.Markdown(doc.Root("x"))); n > 1_500_000 {
		t.Errorf("Markdown has %d bytes", n)
	}
	if n := len(richtext.HTML(doc.Root("x"))); n > 100_000 {
		t.Errorf("HTML has %d bytes", n)
	}
}

// FuzzDocument renders whatever a document is made to hold.
func FuzzDocument(f *testing.F) {
	for _, fix := range fixtures(f) {
		f.Add(fix.Update)
	}
	f.Fuzz(func(t *testing.T, update []byte) {
		doc := ydoc.NewDoc(ydoc.Options{})
		if doc.Apply(update, ydoc.V1) != nil {
			return
		}
		for _, root := range doc.Roots() {
			checkSafe(t, richtext.HTML(root))
			richtext.Markdown(root)
			richtext.Text(root)
		}
	})
}

func TestUnknownNodesDegradeToTheirText(t *testing.T) {
	doc := ydoc.NewDoc(ydoc.Options{})
	x := doc.XML("x")
	callout := x.InsertElement(0, "callout")
	callout.InsertElement(0, "paragraph").InsertText(0).Insert(0, "inside")
	inline := x.InsertElement(1, "paragraph")
	inline.InsertText(0).Insert(0, "a ")
	inline.InsertElement(1, "chip").InsertText(0).InsertWith(0, "b", ydoc.Object{{Key: "unknown", Value: true}})
	x.InsertElement(2, "gadget")
	if got, want := richtext.Markdown(x.Type), "inside\n\na b\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
