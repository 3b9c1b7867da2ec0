package blocks_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/blocks/media"
)

// BenchmarkPictures looks at a JPEG of twelve megapixels with one worker: its facts, the
// standard thumbnails, their blobs and the ledger. by-hand is vipsthumbnail itself on one
// core, without confinement, which writes the same sizes, and one of them.
func BenchmarkPictures(b *testing.B) {
	dir := b.TempDir()
	path := filepath.Join(dir, "a.jpg")
	draw := exec.CommandContext(b.Context(), "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=4000x3000:d=0.04,noise=alls=20", "-frames:v", "1", "-q:v", "3", path)
	if out, err := draw.CombinedOutput(); err != nil {
		b.Skipf("SKIPPED: %v %s", err, out)
	}
	byHand := func(sizes ...string) func(b *testing.B) {
		return func(b *testing.B) {
			for b.Loop() {
				for _, size := range sizes {
					cmd := exec.CommandContext(b.Context(), "vipsthumbnail", path, "-s", size, "-e", "srgb", "-o", filepath.Join(dir, "%s-"+size+".webp[Q=80,strip]"))
					cmd.Env = append(os.Environ(), "VIPS_CONCURRENCY=1")
					cmd.Stderr = io.Discard
					if err := cmd.Run(); err != nil {
						b.Fatal(err)
					}
				}
			}
		}
	}
	b.Run("by-hand-1024", byHand("1024x1024"))
	b.Run("by-hand-256-and-1024", byHand("256x256", "1024x1024"))
	b.Run("worker", func(b *testing.B) {
		engines, err := media.Find(b.Context(), media.Config{})
		if err != nil {
			b.Fatal(err)
		}
		w := newMediaWorld(b, blocks.Limits{}, func(c *blocks.LogConfig) { c.Media, c.MediaWorkers = engines, 1 })
		content, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		w.mustTake("bob", "f", string(content))
		w.heard(1)
		for b.Loop() {
			if _, err := w.Regenerate(b.Context(), author("bob"), blocks.Target{Heap: "h", Block: "f"}); err != nil {
				b.Fatal(err)
			}
			w.heard(1)
		}
	})
}
