package sqlite

import (
	"os"
	"os/exec"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

// children are what this binary does instead of testing when a crash test runs it
// again, by the name in childEnv.
var children = map[string]func(dir string){}

const (
	childEnv = "HEAPSYNC_TEST_CHILD"
	dirEnv   = "HEAPSYNC_TEST_DIR"
)

func TestMain(m *testing.M) {
	if child := children[os.Getenv(childEnv)]; child != nil {
		child(os.Getenv(dirEnv))
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// command runs this binary again as a child, behind the words in wrap.
func command(t *testing.T, child, dir string, wrap ...string) *exec.Cmd {
	t.Helper()
	args := append(slices.Clone(wrap), os.Args[0])
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), childEnv+"="+child, dirEnv+"="+dir)
	return cmd
}
