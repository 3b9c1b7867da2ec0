package media_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak" // sees goroutines that a test leaves behind

	"github.com/heapsync/heapsync/blocks/media"
)

func TestMain(m *testing.M) {
	media.RunConfined()
	goleak.VerifyTestMain(m)
}

var findOnce = sync.OnceValues(func() (*media.Engines, error) {
	// Busy machines are slow; what is too slow has tests of its own.
	return media.Find(context.Background(), media.Config{Limits: media.Limits{Time: time.Minute, VideoTime: 2 * time.Minute}})
})

// engines finds vips and ffmpeg; the test is skipped if one of them is not there,
// unless REQUIRE_TESTS names media.
func engines(t testing.TB) *media.Engines {
	t.Helper()
	m, err := findOnce()
	if err != nil {
		t.Fatal(err)
	}
	if r := m.Report(); r.Vips == "" || r.FFmpeg == "" {
		if slices.Contains(strings.Split(os.Getenv("REQUIRE_TESTS"), ","), "media") {
			t.Fatalf("engines are missing: %q", r.Missing)
		}
		t.Skipf("SKIPPED, engines are missing: %q", r.Missing)
	}
	return m
}

// alone finds nothing: what remains are the fallbacks.
func alone(t testing.TB) *media.Engines {
	t.Helper()
	m, err := media.Find(t.Context(), media.Config{Without: []string{"vips", "ffmpeg"}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// limited finds engines under other limits.
func limited(t testing.TB, limits media.Limits) *media.Engines {
	t.Helper()
	engines(t)
	m, err := media.Find(t.Context(), media.Config{Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// tool runs a program outside of any confinement, to make fixtures.
func tool(t testing.TB, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// ffmpeg makes a file of a synthetic source and returns its path.
func ffmpeg(t testing.TB, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	tool(t, "ffmpeg", append(append([]string{"-v", "error", "-nostdin", "-y"}, args...), path)...)
	return path
}

// picture makes a colourful still by extension.
func picture(t testing.TB, name, size string) string {
	t.Helper()
	path := ffmpeg(t, "source.png", "-f", "lavfi", "-i", "testsrc2=s="+size+":d=0.04", "-frames:v", "1")
	if strings.HasSuffix(name, ".png") {
		return path
	}
	out := filepath.Join(filepath.Dir(path), name)
	if strings.HasSuffix(name, ".bmp") {
		tool(t, "ffmpeg", "-v", "error", "-nostdin", "-i", path, out)
	} else {
		tool(t, "vips", "copy", path, out)
	}
	return out
}

func open(t testing.TB, path string) *os.File {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// fileOf writes a fixture.
func fileOf(t testing.TB, content []byte) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, path)
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
