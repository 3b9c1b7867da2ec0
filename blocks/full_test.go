//go:build linux

package blocks_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/disk"
)

// smallDisk mounts a file system of so many bytes, and returns its folder.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		if !errors.Is(err, syscall.EPERM) {
			t.Fatalf("mount: %v", err)
		}
		t.Skip("this user may mount nothing")
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes what room there is, and gives it back.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(page)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// A disk that is full refuses bytes with ErrFull, loses none that it has, and takes the
// rest as soon as there is room.
func TestUploadsGoOnWhenTheDiskIsFullNoMore(t *testing.T) {
	uploads, blobs := smallDisk(t, "3m"), smallDisk(t, "3m")
	w := newFilesWorld(t, blocks.Limits{})
	w.stop()
	store, err := disk.Open(blobs)
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.UploadDir, w.cfg.TempDir, w.cfg.Blobs = filepath.Join(uploads, "u"), uploads, store
	w.run()
	content := noise(16*minChunk, 1)
	w.mustBegin("bob", newFile("a", content), blocks.UploadNew)
	w.put("bob", "a", content, 0, 1)
	st := w.beginSerial(newFile("b", content), blocks.Serial{})
	if _, err := w.appendSerial(st.Name, 0, bytes.NewReader(content[:minChunk])); err != nil {
		t.Fatal(err)
	}

	free := fill(t, uploads)
	_, err = w.PutChunk(t.Context(), author("bob"), key("a"), hashOf(content), 2, bytes.NewReader(chunkOf(content, 2)), nil)
	if !errors.Is(err, blocks.ErrFull) {
		t.Errorf("a chunk: %v", err)
	}
	if _, err := w.appendSerial(st.Name, minChunk, bytes.NewReader(content[minChunk:])); !errors.Is(err, blocks.ErrFull) {
		t.Errorf("a serial upload: %v", err)
	}
	if _, err := w.begin("bob", newFile("c", content[1:])); err != nil && !errors.Is(err, blocks.ErrFull) {
		t.Errorf("a new upload: %v", err)
	}
	now, err := w.UploadStatus(t.Context(), "bob", key("a"), hashOf(content))
	if err != nil || !slices.Equal(now.Received, [][2]int64{{0, 1}}) {
		t.Errorf("what is there: %+v, %v", now, err)
	}
	w.wantOffset("when it is full", st.Name, minChunk)
	free()
	for n := range int64(16) {
		w.put("bob", "a", content, n)
	}

	free = fill(t, blobs)
	if _, err := w.complete("bob", "a", content); !errors.Is(err, blocks.ErrFull) {
		t.Errorf("complete: %v", err)
	}
	if _, err := w.appendSerial(st.Name, minChunk, bytes.NewReader(content[minChunk:])); !errors.Is(err, blocks.ErrFull) {
		t.Errorf("the end of a serial upload: %v", err)
	}
	for _, block := range []string{"a", "b"} {
		if _, err := w.store.FileOf(t.Context(), key(block)); !errors.Is(err, blocks.ErrNotFound) {
			t.Errorf("%s has a file: %v", block, err)
		}
	}
	free()
	if left, err := filepath.Glob(filepath.Join(blobs, "*", "*")); err != nil || len(left) > 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := w.complete("bob", "a", content); err != nil {
		t.Error(err)
	}
	w.wantOffset("at the end", st.Name, int64(len(content)))
	w.mustEnd("c")
	w.wantFile("a", content)
	w.wantFile("b", content)
	if err := w.StorageTrouble(); err != nil {
		t.Errorf("a full disk is no trouble: %v", err)
	}
}

// mustEnd ends all uploads to a block.
func (w *filesWorld) mustEnd(block string) {
	w.t.Helper()
	list, err := w.store.UploadsTo(w.t.Context(), key(block))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, up := range list {
		if err := w.store.RemoveUpload(w.t.Context(), up.ID); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := w.Sweep(w.t.Context()); err != nil {
		w.t.Error(err)
	}
}
