package blocks_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/heapsync/heapsync/blocks"
)

// A chunk that is replaced while it is hashed in the background is hashed again: else bytes
// would be kept under a hash that they do not have.
func TestReplacedWhileItIsHashed(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	rounds := 1000
	if testing.Short() {
		rounds = 100
	}
	content := noise(2*minChunk, 1)
	wrong := bytes.Clone(content)
	wrong[2*minChunk-1] ^= 1
	for range rounds {
		f := newFile("a", content)
		w.mustBegin("bob", f, blocks.UploadNew)
		w.put("bob", "a", content, 1, 0) // the second is hashed from now on
		if _, err := w.PutChunk(t.Context(), author("bob"), f.Key, f.Hash, 1, bytes.NewReader(chunkOf(wrong, 1)), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := w.complete("bob", "a", content); !errors.Is(err, blocks.ErrHashMismatch) {
			t.Fatalf("complete with other bytes: %v", err)
		}
	}
}
