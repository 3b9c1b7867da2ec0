package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWebApp drives the app in a real browser against the real binary: each file of tests
// has a server of its own.
func TestWebApp(t *testing.T) {
	t.Parallel()
	app := filepath.Join("..", "..", "web", "app")
	for _, needed := range []string{filepath.Join(app, "node_modules", "playwright-core"), chromium()} {
		if _, err := os.Stat(needed); err != nil {
			if requireTests("browser") {
				t.Fatalf("%s is missing: install Chromium, and run npm ci in web/app", needed)
			}
			t.Skipf("%s is missing: install Chromium, and run npm ci in web/app", needed)
		}
	}
	files, err := filepath.Glob(filepath.Join(app, "tests", "*.test.mjs"))
	if err != nil || len(files) == 0 {
		t.Fatal("there are no tests:", err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(strings.TrimSuffix(name, ".test.mjs"), func(t *testing.T) {
			p := startServer(t, t.TempDir(), "--mode", "approval")
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, "node", "--test", filepath.Join("tests", name))
			cmd.Dir = app
			cmd.Env = append(os.Environ(), "HEAPSYNC_URL="+p.url, "HEAPSYNC_DIR="+p.dir, "HEAPSYNC_BIN="+binary)
			cmd.WaitDelay = 5 * time.Second
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s\nserver:\n%s", err, out, tail(p.stderr.String()))
			}
			if testing.Verbose() {
				t.Logf("%s", out)
			}
		})
	}
}

// chromium is the browser of CHROMIUM, or Debian's.
func chromium() string {
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path
	}
	return "/usr/bin/chromium"
}
