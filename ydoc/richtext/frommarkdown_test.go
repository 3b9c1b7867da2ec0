package richtext_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/richtext"
)

func fromMarkdown(src string, address func(string, bool) string) ydoc.XML {
	doc := ydoc.NewDoc(ydoc.Options{})
	doc.Transact(func() { richtext.AppendMarkdown(doc.XML("default"), src, address) })
	return doc.XML("default")
}

func TestMarkdownBecomesElements(t *testing.T) {
	for src, want := range map[string]string{
		"":                             "",
		"a *b **c*** `d` ~~e~~":        `<paragraph>a <italic>b </italic><bold><italic>c</italic></bold> <code>d</code> <strike>e</strike></paragraph>`,
		"# One\n\nTwo\n===":            `<heading level="1">One</heading><heading level="1">Two</heading>`,
		"a\nb\\\nc  \nd":               `<paragraph>a b<hardbreak></hardbreak>c<hardbreak></hardbreak>d</paragraph>`,
		`\*a\* &amp; \&amp; &copy;`:    `<paragraph>*a* & &amp; ©</paragraph>`,
		"- a\n- b\n  1. c":             `<bulletlist><listitem><paragraph>a</paragraph></listitem><listitem><paragraph>b</paragraph><orderedlist><listitem><paragraph>c</paragraph></listitem></orderedlist></listitem></bulletlist>`,
		"3. a\n4. b":                   `<orderedlist start="3"><listitem><paragraph>a</paragraph></listitem><listitem><paragraph>b</paragraph></listitem></orderedlist>`,
		"- [ ] a\n- [x] b":             `<tasklist><taskitem checked="false"><paragraph>a</paragraph></taskitem><taskitem checked="true"><paragraph>b</paragraph></taskitem></tasklist>`,
		"-":                            `<bulletlist><listitem><paragraph></paragraph></listitem></bulletlist>`,
		"```go\na\n\n b\n```":          "<codeblock language=\"go\">a\n\n b</codeblock>",
		"    a\n    b":                 "<codeblock>a\nb</codeblock>",
		"> a\n> > b":                   `<blockquote><paragraph>a</paragraph><blockquote><paragraph>b</paragraph></blockquote></blockquote>`,
		"---":                          `<horizontalrule></horizontalrule>`,
		"|a|b|\n|-|-|\n|c||":           `<table><tablerow><tableheader><paragraph>a</paragraph></tableheader><tableheader><paragraph>b</paragraph></tableheader></tablerow><tablerow><tablecell><paragraph>c</paragraph></tablecell><tablecell><paragraph></paragraph></tablecell></tablerow></table>`,
		`a ![b](http://c/d.png "e") f`: `<paragraph>a </paragraph><image alt="b" src="http://c/d.png" title="e"></image><paragraph>f</paragraph>`,
		`![b](http://c/d.png)`:         `<image alt="b" src="http://c/d.png"></image>`,
		"- ![b](c.png)\n- [ ] ![d](e)": `<bulletlist><listitem><paragraph></paragraph><image alt="b" src="c.png"></image></listitem></bulletlist><tasklist><taskitem checked="false"><paragraph></paragraph><image alt="d" src="e"></image></taskitem></tasklist>`,
		`![b](javascript:x)`:           `<paragraph>b</paragraph>`,
		`[b](javascript:x)`:            `<paragraph>b</paragraph>`,
		"[b](http://c) http://d.e":     `<paragraph><link href="http://c">b</link> <link href="http://d.e">http://d.e</link></paragraph>`,
		"<u>a</u> <b>b<br>c</b> <x>":   `<paragraph><underline>a</underline> <bold>b</bold><hardbreak></hardbreak><bold>c</bold> <x></paragraph>`,
		"<div>\na\n</div>":             `<paragraph><div><hardbreak></hardbreak>a<hardbreak></hardbreak></div></paragraph>`,
		"[[a]] [[b|c]] [[":             `<paragraph><link href="a">a</link> <link href="b">c</link> [[</paragraph>`,
		"[a]: http://b\n\n[a]":         `<paragraph><link href="http://b">a</link></paragraph>`,
	} {
		if got := fromMarkdown(src, nil).String(); got != want {
			t.Errorf("%q:\n got %s\nwant %s", src, got, want)
		}
	}
}

func TestMarkdownOfMarkdownIsTheSame(t *testing.T) {
	names, err := filepath.Glob("testdata/golden/*.md")
	if err != nil || len(names) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, name := range names {
		if strings.Contains(name, "blocknote") {
			continue // has lists of tasks and others, which Tiptap has not
		}
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := richtext.Markdown(fromMarkdown(string(src), nil).Type); got != string(src) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, src)
		}
	}
}

func TestLinksAreAskedFor(t *testing.T) {
	var asked []string
	x := fromMarkdown("[[Other note#Part|words]] ![[photo.png]] [x](Some%20file.md) ![y](img.png) [[lost]]", func(target string, wiki bool) string {
		kind := " link"
		if wiki {
			kind = " wiki"
		}
		asked = append(asked, target+kind)
		if target == "lost" {
			return ""
		}
		return "#" + target
	})
	want := "Other note#Part wiki|photo.png wiki|Some%20file.md link|img.png link|lost wiki"
	if got := strings.Join(asked, "|"); got != want {
		t.Errorf("asked for %s, want %s", got, want)
	}
	if got := richtext.Text(x.Type); !strings.Contains(got, "words") || !strings.Contains(got, "lost") {
		t.Errorf("the text is %q", got)
	}
}

func TestEmbedsOfPicturesBecomeImages(t *testing.T) {
	const image = `<image alt="%s" src="#block/7"></image>`
	const link = `<paragraph><link href="#block/7">%s</link></paragraph>`
	for src, want := range map[string]string{
		"![[Photo.PNG]]":              fmt.Sprintf(image, "Photo.PNG"),
		"![[a/photo.jpeg|300]]":       fmt.Sprintf(image, "a/photo.jpeg"),
		"![[photo.webp|30x20]]":       fmt.Sprintf(image, "photo.webp"),
		"![[photo.svg|a word]]":       fmt.Sprintf(image, "a word"),
		"![[photo.gif|x]]":            fmt.Sprintf(image, "x"),
		"![](my%20photo.heic)":        `<image src="#block/7"></image>`,
		`![a](photo.tiff#page "b")`:   `<image alt="a" src="#block/7" title="b"></image>`,
		"![a](#block/7)":              fmt.Sprintf(image, "a"),
		"[[photo.png]]":               fmt.Sprintf(link, "photo.png"),
		"[a](photo.png)":              fmt.Sprintf(link, "a"),
		"![[Another note]]":           fmt.Sprintf(link, "Another note"),
		"![[Another note#photo.png]]": fmt.Sprintf(link, "Another note#photo.png"),
		"![[film.mp4|300]]":           fmt.Sprintf(link, "film.mp4"),
		"![a](film.mp4)":              fmt.Sprintf(link, "a"),
		"![](song.flac)":              fmt.Sprintf(link, "song.flac"),
	} {
		x := fromMarkdown(src, func(string, bool) string { return "#block/7" })
		if got := x.String(); got != want {
			t.Errorf("%q:\n got %s\nwant %s", src, got, want)
		}
		again := fromMarkdown(richtext.Markdown(x.Type), nil)
		if got := again.String(); got != want {
			t.Errorf("%q, written and read again:\n got %s\nwant %s", src, got, want)
		}
		if html := richtext.HTML(x.Type); strings.Contains(want, "<image") != strings.Contains(html, `<img src="#block/7"`) {
			t.Errorf("%q as HTML is %s", src, html)
		}
	}
}

func TestHostileMarkdownEnds(t *testing.T) {
	const n = 200_000
	for name, src := range map[string]string{
		"quotes":   strings.Repeat(">", n),
		"lists":    strings.Repeat("- + ", n),
		"brackets": strings.Repeat("[", n) + strings.Repeat("]", n),
		"wiki":     strings.Repeat("[[a", n),
		"stars":    strings.Repeat("*a _b ", n),
		"strong":   strings.Repeat("**a ", n) + strings.Repeat("b** ", n),
		"links":    strings.Repeat("[a](<b", n),
		"images":   strings.Repeat("![a](b)", n),
		"tags":     strings.Repeat("<u><b>", n),
		"ticks":    strings.Repeat("`a``b", n),
		"table":    strings.Repeat("|a", 1000) + "|\n" + strings.Repeat("|-", 1000) + "|\n" + strings.Repeat("|x\n", n),
		"zero":     "\x00\xff\xfe",
	} {
		x := fromMarkdown(src, nil)
		_ = richtext.HTML(x.Type)
		if x.Len() == 0 {
			t.Errorf("%s: nothing was read", name)
		}
	}
}
