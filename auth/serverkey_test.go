package auth_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/auth"
)

func TestServerKeysAreMadeOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	first, err := auth.OpenKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(first.Identity.Seed(), first.Token[:]) || first.Token == first.Ticket || first.Token == (auth.Secret{}) {
		t.Error("the keys are not three")
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s has mode %v, %v", f.Name(), info.Mode(), err)
		}
	}
	again, err := auth.OpenKeys(dir)
	if err != nil || !again.Identity.Equal(first.Identity) || again.Token != first.Token || again.Ticket != first.Ticket {
		t.Errorf("other keys the second time: %v", err)
	}
	other, err := auth.OpenKeys(t.TempDir())
	if err != nil || other.Identity.Equal(first.Identity) {
		t.Errorf("the same keys elsewhere: %v", err)
	}
}

func TestUnsafeServerKeysAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"readable by the group": func(path string) error { return os.Chmod(path, 0o640) },
		"readable by all":       func(path string) error { return os.Chmod(path, 0o604) },
		"empty":                 func(path string) error { return os.Truncate(path, 0) },
		"another file": func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat("0", 64)+"\n"), 0o600)
		},
		"huge": func(path string) error { return os.Truncate(path, 1<<30) },
		"a folder": func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o700)
		},
	} {
		for _, file := range []string{"identity.key", "token.key", "ticket.key"} {
			dir := t.TempDir()
			if _, err := auth.OpenKeys(dir); err != nil {
				t.Fatal(err)
			}
			if err := spoil(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
			_, err := auth.OpenKeys(dir)
			want(t, file+" "+name, err, auth.ErrKeyFile)
		}
	}
}

// A key file that is cut short anywhere is refused, and never taken for a key.
func TestTornServerKeyIsRefused(t *testing.T) {
	dir := t.TempDir()
	if _, err := auth.OpenKeys(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "identity.key")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := auth.OpenKeys(dir)
		want(t, "cut", err, auth.ErrKeyFile)
	}
}

func TestLostIdentityIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	if _, err := auth.OpenKeys(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "identity.key")); err != nil {
		t.Fatal(err)
	}
	_, err := auth.OpenKeys(dir)
	want(t, "lost", err, auth.ErrKeyFile)
	if _, err := os.Stat(filepath.Join(dir, "identity.key")); !os.IsNotExist(err) {
		t.Errorf("a new identity was made: %v", err)
	}
}

// The first run was killed between two files, or while it wrote one.
func TestFirstRunThatWasCutOffIsFinished(t *testing.T) {
	dir := t.TempDir()
	first, err := auth.OpenKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "ticket.key")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".ticket.key.tmp123"), []byte("heapsync key 1 ab"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := auth.OpenKeys(dir)
	if err != nil || !again.Identity.Equal(first.Identity) || again.Token != first.Token || again.Ticket == (auth.Secret{}) {
		t.Errorf("%v", err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 3 {
		t.Errorf("left in the folder: %v", files)
	}
	if _, err := auth.OpenKeys(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("made keys in a folder that is not there")
	}
}
