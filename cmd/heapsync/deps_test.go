package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowedImports is the house plan: which top-level folder may import which.
var allowedImports = map[string][]string{
	"ydoc":       {},
	"auth":       {},
	"web":        {},
	"blocks":     {"ydoc"},
	"storage":    {"blocks", "auth", "ydoc"}, // ydoc: the types that blocks' interfaces name
	"syncserver": {"blocks", "auth", "ydoc", "web"},
	"cmd":        {"ydoc", "auth", "web", "blocks", "storage", "syncserver"},
}

// isStore says whether path is a store, which stands alone; conformance suites
// are none.
func isStore(path string) bool {
	return strings.HasPrefix(path, module+"/storage/") && !strings.HasSuffix(path, "test")
}

const module = "github.com/heapsync/heapsync"

func TestImportsFollowTheHousePlan(t *testing.T) {
	out, err := exec.Command("go", "list", "-tags", "sqlite_fts5", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := 0
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		from, ok := topFolder(words[0])
		if !ok {
			t.Errorf("%s lies in no folder of the house plan", words[0])
			continue
		}
		packages++
		for _, imported := range words[1:] {
			if !strings.HasPrefix(imported, module+"/") {
				continue
			}
			to, _ := topFolder(imported)
			if from != to && !slices.Contains(allowedImports[from], to) {
				t.Errorf("%s imports %s: %s may not import %s", words[0], imported, from, to)
			}
			if isStore(words[0]) && isStore(imported) {
				t.Errorf("%s imports another store, %s", words[0], imported)
			}
		}
	}
	if packages < len(allowedImports) {
		t.Fatalf("go list named %d packages in %d folders: is the pattern right?", packages, len(allowedImports))
	}
}

func topFolder(path string) (string, bool) {
	folder, _, _ := strings.Cut(strings.TrimPrefix(path, module+"/"), "/")
	_, ok := allowedImports[folder]
	return folder, ok
}
