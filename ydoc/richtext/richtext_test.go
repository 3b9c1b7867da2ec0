package richtext_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/richtext"
)

var update = flag.Bool("update", false, "write the golden files")

// fixture is a document that a real editor made: see testdata/editors.
type fixture struct {
	Name, Root string
	Update     []byte
}

func fixtures(t testing.TB) []fixture {
	t.Helper()
	b, err := os.ReadFile("testdata/fixtures.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []fixture
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no fixtures")
	}
	return all
}

func TestDocumentsOfRealEditors(t *testing.T) {
	for _, f := range fixtures(t) {
		doc := ydoc.NewDoc(ydoc.Options{})
		if err := doc.Apply(f.Update, ydoc.V1); err != nil {
			t.Fatal(err)
		}
		root := doc.Root(f.Root)
		for ext, got := range map[string]string{"md": richtext.Markdown(root), "html": richtext.HTML(root), "txt": richtext.Text(root)} {
			name := filepath.Join("testdata", "golden", f.Name+"."+ext)
			if *update {
				if err := os.WriteFile(name, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s:\n got %q\nwant %q", name, got, want)
			}
		}
	}
}
