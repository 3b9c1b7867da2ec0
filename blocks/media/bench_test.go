package media_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/heapsync/heapsync/blocks/media"
)

// BenchmarkThumbnail makes WebPs of a JPEG of twelve megapixels, as one worker
// does. by-hand is vipsthumbnail itself on one core, without confinement.
func BenchmarkThumbnail(b *testing.B) {
	m := engines(b)
	path := filepath.Join(b.TempDir(), "a.jpg")
	tool(b, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=4000x3000:d=0.04,noise=alls=20", "-frames:v", "1", "-q:v", "3", path)
	edges := []int{64, 128, 256, 512, 1024, 2048}
	b.Run("by-hand", func(b *testing.B) {
		for b.Loop() {
			byHand(b, path, "512x512>")
		}
	})
	thumbnails := func(m *media.Engines, o media.Options) func(b *testing.B) {
		return func(b *testing.B) {
			file := open(b, path)
			for b.Loop() {
				if _, err := m.Thumbnails(b.Context(), file, o); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.Run("one", thumbnails(m, media.Options{Edges: []int{512}, Encoding: media.WebP}))
	b.Run("in-go", thumbnails(alone(b), media.Options{Edges: []int{512}, Encoding: media.JPEG}))
	b.Run("six-by-hand", func(b *testing.B) {
		for b.Loop() {
			for _, size := range []string{"64x64>", "128x128>", "256x256>", "512x512>", "1024x1024>", "2048x2048>"} {
				byHand(b, path, size)
			}
		}
	})
	b.Run("six", thumbnails(m, media.Options{Edges: edges, Encoding: media.WebP}))
	b.Run("six-jpeg", thumbnails(m, media.Options{Edges: edges, Encoding: media.JPEG}))
	b.Run("probe", func(b *testing.B) {
		file := open(b, path)
		for b.Loop() {
			if _, err := m.Probe(b.Context(), file); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func byHand(b *testing.B, path, size string) {
	cmd := exec.CommandContext(b.Context(), "vipsthumbnail", path, "-s", size, "-e", "srgb", "-o", "%s.webp[Q=80,strip]")
	cmd.Env = append(os.Environ(), "VIPS_CONCURRENCY=1")
	cmd.Stderr = io.Discard
	if err := cmd.Run(); err != nil {
		b.Fatal(err)
	}
}
