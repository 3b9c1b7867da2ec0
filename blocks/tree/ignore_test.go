package tree

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What a .heapsyncignore leaves out must be what git would. The test looks inside: the
// rules have no other face than a walk.

func TestIgnoreRulesAreThoseOfGit(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git")
	}
	repo := t.TempDir()
	git(t, repo, nil, "init", "-q")
	piece := rapid.SampledFrom([]string{"a", "b", "ab", "A", ".", "*", "?", "[ab]", "[!a]", "[^b-c]", "[]a]", "[a-]", "[[:upper:]]", "[[:digit:]x]", `\*`, `\a`, `\ `, " ", "é", "[", "[b", "#", "!", "-", "1", `\[`, "[a-b-c]", `[\]]`})
	segment := rapid.OneOf(
		rapid.SampledFrom([]string{"**", "*", "a", "b"}),
		rapid.Custom(func(t *rapid.T) string {
			return strings.Join(rapid.SliceOfN(piece, 1, 3).Draw(t, "pieces"), "")
		}).Filter(func(s string) bool { return !strings.Contains(s, "**") }))
	line := rapid.Custom(func(t *rapid.T) string {
		s := strings.Join(rapid.SliceOfN(segment, 1, 3).Draw(t, "segments"), "/")
		return rapid.SampledFrom([]string{"", "", "", "/", "!", "!/", "#", `\!`, `\#`}).Draw(t, "begin") + s +
			rapid.SampledFrom([]string{"", "", "/", " ", "  ", "\r", "/**", `\`}).Draw(t, "end")
	})
	name := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "A", "c", "1", "x", "é", "*", "[", "]", "-", "!", "#", " ", ".x", `\`}), 1, 3).Draw(t, "name"), "")
	})
	rapid.Check(t, func(rt *rapid.T) {
		top := strings.Join(rapid.SliceOfN(line, 1, 5).Draw(rt, "rules"), "\n")
		nested := strings.Join(rapid.SliceOfN(line, 0, 3).Draw(rt, "nested rules"), "\n")
		names := rapid.SliceOfN(name, 1, 4).Draw(rt, "names")
		folder := rapid.Bool().Draw(rt, "folder")
		path := strings.Join(names, "/")
		if err := os.RemoveAll(filepath.Join(repo, names[0])); err != nil {
			rt.Fatal(err)
		}
		if folder {
			mkdir(rt, filepath.Join(repo, path))
		} else {
			mkdir(rt, filepath.Dir(filepath.Join(repo, path)))
			write(rt, filepath.Join(repo, path), "")
		}
		defer os.RemoveAll(filepath.Join(repo, names[0]))
		write(rt, filepath.Join(repo, ".gitignore"), top)
		hasNested := len(names) > 1
		if hasNested {
			write(rt, filepath.Join(repo, names[0], ".gitignore"), nested)
		}
		want := gitIgnores(rt, repo, path)
		rules := &ignore{base: "/", rules: parseRules([]byte(top))}
		got := false
		for i := range names { // as a walk comes to it
			if i == 1 && hasNested {
				rules = &ignore{above: rules, base: "/" + names[0] + "/", rules: parseRules([]byte(nested))}
			}
			if rules.ignores("/"+strings.Join(names[:i+1], "/"), i+1 < len(names) || folder) {
				got = true
				break
			}
		}
		if got != want {
			rt.Fatalf("%q in %q, nested %q, folder %t: left out is %t, and by git %t", path, top, nested, folder, got, want)
		}
	})
}

func git(t interface{ Fatalf(string, ...any) }, repo string, stdin []byte, args ...string) (code int) {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Stdin = repo, bytes.NewReader(stdin)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "XDG_CONFIG_HOME=/nonexistent")
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return cmd.ProcessState.ExitCode()
}

// gitIgnores asks git. check-ignore tells a path that a "!" brought back from one that
// nothing matches only with --verbose; without, it tells what we want to know.
func gitIgnores(t *rapid.T, repo, path string) bool {
	return git(t, repo, []byte(path+"\x00"), "check-ignore", "-q", "--no-index", "-z", "--stdin") == 0
}

type fataler interface{ Fatal(...any) }

func mkdir(t fataler, path string) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

func write(t fataler, path, content string) {
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestLitterIsLeftOutUnlessItIsWanted(t *testing.T) {
	base := &ignore{base: "/", rules: litterRules}
	wants := &ignore{above: base, base: "/m/", rules: parseRules([]byte("!*.part\n"))}
	for _, c := range []struct {
		rules  *ignore
		path   string
		folder bool
		want   bool
	}{
		{base, "/m/.DS_Store", false, true},
		{base, "/m/Thumbs.db", false, true},
		{base, "/m/a.crdownload", false, true},
		{base, "/m/.git", true, true},
		{base, "/m/.git", false, false}, // of a worktree: a file
		{base, "/m/$RECYCLE.BIN", true, true},
		{base, "/m/@eaDir", true, true},
		{base, "/m/photo.jpg", false, false},
		{base, "/m/a.part", false, true},
		{wants, "/m/a.part", false, false},
		{wants, "/m/.DS_Store", false, true},
	} {
		if got := c.rules.ignores(c.path, c.folder); got != c.want {
			t.Errorf("%s: left out is %t", c.path, got)
		}
	}
}

func TestHostileIgnoreRulesCostLittle(t *testing.T) {
	rules := parseRules([]byte(strings.Repeat("*a", 2000) + "b\n" + strings.Repeat("**/", 1000) + "x\n" + strings.Repeat("x\n", 10*maxRules)))
	if len(rules) > maxRules {
		t.Errorf("%d rules", len(rules))
	}
	ig := &ignore{base: "/", rules: rules}
	if ig.ignores("/"+strings.Repeat("a", 255), false) { // would take for ever if it went back
		t.Error("it matches")
	}
}

func FuzzIgnoreRules(f *testing.F) {
	f.Add("*.a\n!b/\n/[a-z]/**/c\\ \n", "x/y")
	f.Fuzz(func(t *testing.T, text, path string) {
		ig := &ignore{base: "/", rules: parseRules([]byte(text))}
		ig.ignores("/"+path, true)
		_ = fmt.Sprint(ig.ignores("/"+path, false))
	})
}
