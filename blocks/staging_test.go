package blocks_test

import (
	"bytes"
	"errors"
	"io"
	"os"
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

// An upload whose bytes could not be synced does not become a file, and what it was asked
// to keep before is still there.
func TestSerialUploadAfterASyncThatFailed(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	w.stop()
	fails := false
	w.cfg.SyncFile = func(f *os.File) error {
		if fails {
			fails = false
			return io.ErrShortWrite
		}
		return f.Sync()
	}
	w.run()
	content := noise(1000, 1)
	st := w.beginSerial(newFile("a", content), blocks.Serial{})
	if _, err := w.appendSerial(st.Name, 0, bytes.NewReader(content[:100])); err != nil {
		t.Fatal(err)
	}
	if err := w.StorageTrouble(); err != nil {
		t.Errorf("trouble: %v", err)
	}
	fails = true
	for range 2 {
		if _, err := w.appendSerial(st.Name, 100, bytes.NewReader(content[100:])); !errors.Is(err, blocks.ErrFailed) {
			t.Errorf("append: %v", err)
		}
	}
	if err := w.StorageTrouble(); !errors.Is(err, blocks.ErrFailed) {
		t.Errorf("trouble: %v", err)
	}
	w.wantOffset("after that", st.Name, 100)
	w.close()
	w.world.open()
	if err := w.StorageTrouble(); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if _, err := w.appendSerial(st.Name, 100, bytes.NewReader(content[100:])); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	w.wantFile("a", content)
}
