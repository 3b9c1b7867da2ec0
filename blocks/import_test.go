package blocks_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/richtext"
)

// archive makes a zip of files, given as name, content, name, content…
func archive(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (w *world) load(user blocks.UserID, zip []byte) (blocks.Imported, error) {
	return w.Import(w.t.Context(), blocks.Author{User: user}, "h", bytes.NewReader(zip), int64(len(zip)), blocks.FileLimits{})
}

// note is what a test wants to know of a block.
type note struct {
	id                           blocks.BlockID
	typ, title, parent, markdown string
	relations                    []string
}

// notes are all blocks of the heap, by their titles.
func (w *world) notes() map[string]note {
	w.t.Helper()
	page, err := w.Delta(w.t.Context(), "ada", "h", -1, 0, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	all := map[string]note{}
	for _, h := range page.Heads {
		err := w.View(w.t.Context(), h.Key, func(_ blocks.Head, doc *ydoc.Doc) error {
			about := doc.Map("block")
			text := func(key string) string {
				v, _ := about.Value(key)
				s, _ := v.(string)
				return s
			}
			n := note{id: h.Key.Block, typ: text("type"), title: text("title"), parent: text("parent"), markdown: richtext.Markdown(doc.Root("default"))}
			if r, ok := about.Value("relations"); ok {
				for target := range r.(ydoc.Type).AsMap().All() {
					n.relations = append(n.relations, target)
				}
			}
			all[n.title] = n
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return all
}

func TestFolderOfMarkdownBecomesNotes(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	files := archive(t,
		"vault/Home.md", "# Welcome\n\nSee [[Deep/Plan|the plan]], [[Ideas]], [site](https://example.org) and [[nowhere]].",
		"vault/Deep/Plan.md", "---\ntitle: The Plan\ntags: [a, b]\ndone: true\n---\nBack [home](../Home.md#top), [[Home]].",
		"vault/Deep/Ideas.markdown", "just text",
		"vault/Ideas.MD", "the shallow one",
		"vault/photo.png", "\x89PNG",
		"vault/.obsidian/app.json", "{}",
		"__MACOSX/vault/._Home.md", "x",
	)
	done, err := w.load("bob", files)
	if err != nil {
		t.Fatal(err)
	}
	if want := []blocks.ImportFailure{{Name: "vault/photo.png", Code: blocks.CodeUnsupported}}; done.Blocks != 5 || !slices.Equal(done.Failed, want) {
		t.Errorf("imported %d, failed %v", done.Blocks, done.Failed)
	}
	notes := w.notes()
	home, plan, deep := notes["Home"], notes["The Plan"], notes["Deep"]
	if deep.typ != "folder" || plan.parent != string(deep.id) || home.parent != "" || home.typ != "note" {
		t.Errorf("home %+v, plan %+v, folder %+v", home, plan, deep)
	}
	for _, n := range notes {
		if n.title == "Ideas" && n.parent == "" && !slices.Contains(home.relations, string(n.id)) {
			t.Errorf("Home relates to %v, which does not have the shallow Ideas %s", home.relations, n.id)
		}
	}
	if want := fmt.Sprintf("# Welcome\n\nSee [the plan](#block/%s),", plan.id); !strings.HasPrefix(home.markdown, want) {
		t.Errorf("Home is %q, want %q…", home.markdown, want)
	}
	if !strings.HasSuffix(home.markdown, "[site](https://example.org) and nowhere.\n") {
		t.Errorf("Home is %q", home.markdown)
	}
	if want := fmt.Sprintf("Back [home](#block/%s), [Home](#block/%[1]s).\n", home.id); plan.markdown != want {
		t.Errorf("the plan is %q, want %q", plan.markdown, want)
	}

	again, err := w.load("bob", files)
	if err != nil || again.Blocks != 0 || len(again.Failed) != 5 {
		t.Errorf("the second import: %+v, %v", again, err)
	}
	if now := w.notes(); len(now) != len(notes) {
		t.Errorf("%d notes after the second import, %d before", len(now), len(notes))
	}
}

func TestArchivesThatLieChangeNothing(t *testing.T) {
	w := newWorld(t, blocks.Limits{ImportBytes: 1 << 20})
	good := archive(t, "a.md", "text")
	lie := func(size uint32) []byte { // about the size of its one entry, in the table of contents
		b := slices.Clone(good)
		at := bytes.LastIndex(b, []byte("PK\x01\x02"))
		binary.LittleEndian.PutUint32(b[at+24:], size)
		return b
	}
	damaged := bytes.Replace(slices.Clone(archive(t, "a.md", strings.Repeat("text", 100))), []byte{0x2a}, []byte{0x55}, 1)
	for name, tt := range map[string]struct {
		zip  []byte
		fail string
		err  error
	}{
		"not a zip":       {[]byte("PK but no"), "", blocks.ErrInvalid},
		"nothing":         {nil, "", blocks.ErrInvalid},
		"cut":             {good[:len(good)-5], "", blocks.ErrInvalid},
		"up":              {archive(t, "../a.md", "x"), blocks.CodeBadName, nil},
		"up inside":       {archive(t, "b/../../a.md", "x"), blocks.CodeBadName, nil},
		"absolute":        {archive(t, "/etc/a.md", "x"), blocks.CodeBadName, nil},
		"windows":         {archive(t, `..\a.md`, "x"), blocks.CodeBadName, nil},
		"less than it is": {lie(2), blocks.CodeUnreadable, nil},
		"more than it is": {lie(5), blocks.CodeUnreadable, nil},
		"much more":       {lie(1 << 30), blocks.StatusTooLarge, nil},
		"damaged":         {damaged, blocks.CodeUnreadable, nil},
		"bomb":            {archive(t, "a.txt", "x", "b.md", strings.Repeat("\n", 2<<20)), "", blocks.ErrTooLarge},
		"bad block id":    {archive(t, "heapsync.json", "{}", "states/a b.yjs", "x"), blocks.CodeBadName, nil},
		"no update":       {archive(t, "heapsync.json", "{}", "states/a.yjs", "\xff\xff"), blocks.CodeMalformed, nil},
		"nothing of ours": {archive(t, "heapsync.json", "{}", "blocks.jsonl", "\x00{}\n[", "other", "x"), "", nil},
	} {
		done, err := w.load("ada", tt.zip)
		if !errors.Is(err, tt.err) || done.Blocks != 0 {
			t.Errorf("%s: %+v, %v, want %v", name, done, err, tt.err)
		}
		if tt.fail != "" && (len(done.Failed) != 1 || done.Failed[0].Code != tt.fail) {
			t.Errorf("%s: failed %v, want %s", name, done.Failed, tt.fail)
		}
	}
	if page, err := w.Delta(t.Context(), "ada", "h", -1, 0, 10); err != nil || len(page.Heads) != 0 {
		t.Errorf("there are blocks: %+v, %v", page.Heads, err)
	}
	if _, err := w.load("eve", good); !errors.Is(err, blocks.ErrForbidden) {
		t.Errorf("import by a viewer: %v", err)
	}
	if _, err := w.load("mallory", good); !errors.Is(err, blocks.ErrNotFound) {
		t.Errorf("import by a stranger: %v", err)
	}
}

func TestManySmallEntriesAreRefused(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	name := strings.Repeat("n", 60_000)
	for i := range 1200 {
		if _, err := z.CreateRaw(&zip.FileHeader{Name: fmt.Sprint(name, i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.load("ada", b.Bytes()); !errors.Is(err, blocks.ErrTooLarge) {
		t.Errorf("a table of contents of %d bytes: %v", b.Len()/2, err)
	}
}

func TestFrontMatterIsKept(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	bomb := "---\na: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: [*b,*b,*b]\n---\ntext"
	if done, err := w.load("ada", archive(t, "n.md", "---\r\ntitle: ' T '\r\nn: 1.5\r\nlist: [1, {k: null}]\r\n---\r\nbody", "bomb.md", bomb,
		"open.md", "---\nnever: closed", "list.md", "---\n- a\n---\n", "wrong.md", "---\na: [\n---\nx")); err != nil || len(done.Failed) != 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	notes := w.notes()
	for title, want := range map[string]string{"T": "body\n", "bomb": "text\n", "open": "---\n\nnever: closed\n", "list": "---\n\n- a\n\n---\n", "wrong": "---\n\n## a: \\[\n\nx\n"} {
		if got := notes[title].markdown; got != want {
			t.Errorf("%s is %q, want %q", title, got, want)
		}
	}
	err := w.View(t.Context(), blocks.BlockKey{Heap: "h", Block: notes["T"].id}, func(_ blocks.Head, doc *ydoc.Doc) error {
		apps, _ := doc.Map("block").Value("apps")
		got := fmt.Sprint(apps.(ydoc.Type).JSON())
		if want := "[{frontmatter [{title  T } {n 1.5} {list [1 [{k <nil>}]]}]}]"; got != want {
			t.Errorf("front matter is %s, want %s", got, want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
