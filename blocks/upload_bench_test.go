package blocks_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/heapsync/heapsync/blocks"
)

// BenchmarkUpload uploads 1 GiB in chunks of 8 MiB, one after the other: hashed, and each on
// disk when it is acknowledged. "bare" is what can be had: SHA-256, a write and a sync for
// each chunk.
func BenchmarkUpload(b *testing.B) {
	const size, chunk = 1 << 30, 8 << 20
	content := noise(size, 1)
	sum := hashOf(content)
	b.Run("bare", func(b *testing.B) {
		b.SetBytes(size)
		for n := 0; b.Loop(); n++ {
			f, err := os.Create(filepath.Join(b.TempDir(), "file"))
			if err != nil {
				b.Fatal(err)
			}
			h := sha256.New()
			for at := 0; at < size; at += chunk {
				h.Write(content[at : at+chunk])
				if _, err := f.Write(content[at : at+chunk]); err != nil {
					b.Fatal(err)
				}
				if err := f.Sync(); err != nil {
					b.Fatal(err)
				}
			}
			if blocks.Hash(h.Sum(nil)) != sum {
				b.Fatal("another hash")
			}
			f.Close()
			os.Remove(f.Name())
		}
	})
	b.Run("upload", func(b *testing.B) {
		w := newFilesWorld(b, blocks.Limits{})
		b.SetBytes(size)
		for n := 0; b.Loop(); n++ {
			// Each heap has an owner of its own, to whom the file is unknown.
			user, heap := blocks.UserID(fmt.Sprint("u", n)), blocks.HeapID(fmt.Sprint("h", n))
			if _, _, err := w.AddHeap(b.Context(), user, heap, "Heap", false); err != nil {
				b.Fatal(err)
			}
			f := newFile("a", nil)
			f.Key.Heap, f.Hash, f.Size = heap, sum, size
			if _, err := w.BeginUpload(b.Context(), author(user), f, chunk); err != nil {
				b.Fatal(err)
			}
			for i := range int64(size / chunk) {
				if _, err := w.PutChunk(b.Context(), author(user), f.Key, sum, i, bytes.NewReader(content[i*chunk:(i+1)*chunk]), nil); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := w.CompleteUpload(b.Context(), author(user), f.Key, sum); err != nil {
				b.Fatal(err)
			}
		}
	})
}
