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
// disk when it is acknowledged, and from front to back as tus does. "bare" is what can be
// had: SHA-256, a write and a sync for each chunk; "unhashed" does without SHA-256.
func BenchmarkUpload(b *testing.B) {
	const size, chunk = 1 << 30, 8 << 20
	content := noise(size, 1)
	sum := hashOf(content)
	bare := func(b *testing.B, hashed bool) {
		b.SetBytes(size)
		for b.Loop() {
			f, err := os.Create(filepath.Join(b.TempDir(), "file"))
			if err != nil {
				b.Fatal(err)
			}
			h := sha256.New()
			for at := 0; at < size; at += chunk {
				if hashed {
					h.Write(content[at : at+chunk])
				}
				if _, err := f.Write(content[at : at+chunk]); err != nil {
					b.Fatal(err)
				}
				if err := f.Sync(); err != nil {
					b.Fatal(err)
				}
			}
			if hashed && blocks.Hash(h.Sum(nil)) != sum {
				b.Fatal("another hash")
			}
			f.Close()
			os.Remove(f.Name())
		}
	}
	b.Run("unhashed", func(b *testing.B) { bare(b, false) })
	b.Run("bare", func(b *testing.B) { bare(b, true) })
	b.Run("serial", func(b *testing.B) {
		w := newFilesWorld(b, blocks.Limits{})
		b.SetBytes(size)
		for n := 0; b.Loop(); n++ {
			f := newFile(fmt.Sprint("f", n), nil)
			f.Size = size
			st := w.beginSerial(f, blocks.Serial{})
			for at := int64(0); at < size; at += chunk {
				var err error
				if st, err = w.appendSerial(st.Name, at, bytes.NewReader(content[at:at+chunk])); err != nil {
					b.Fatal(err)
				}
			}
			if st.File == nil || st.File.Hash != sum {
				b.Fatalf("%+v", st)
			}
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
