package blocks_test

import (
	"errors"
	"io"
	"testing"

	"github.com/heapsync/heapsync/blocks"
)

// flaky is a file of which one sync fails. The system reports that once.
type flaky struct{ fails bool }

func (f *flaky) Sync() error {
	if f.fails {
		f.fails = false
		return io.ErrShortWrite
	}
	return nil
}

func TestNoSyncIsBelievedAfterOneThatFailed(t *testing.T) {
	var g blocks.GroupSync
	f := &flaky{}
	if err := g.Sync(f); err != nil {
		t.Fatal(err)
	}
	f.fails = true
	for range 2 { // the second is another chunk's, whose bytes the first may have lost
		if err := g.Sync(f); !errors.Is(err, blocks.ErrFailed) || !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("sync: %v", err)
		}
	}
}
