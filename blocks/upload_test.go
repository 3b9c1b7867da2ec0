package blocks_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/disk"
	"github.com/heapsync/heapsync/storage/storetest"
	"github.com/heapsync/heapsync/ydoc"
)

// filesWorld is a world with a store of blobs.
type filesWorld struct {
	*world
	free int64 // of the disk; 0: nobody asks
}

func newFilesWorld(t testing.TB, limits blocks.Limits) *filesWorld {
	w := &filesWorld{world: newWorld(t, limits)}
	w.stop() // again, with files
	w.withFiles(t)
	return w
}

func (w *filesWorld) withFiles(t testing.TB) {
	store, err := disk.Open(filepath.Join(w.dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.Blobs, w.cfg.UploadDir, w.cfg.TempDir = store, filepath.Join(w.dir, "uploads"), w.dir
	w.cfg.FreeSpace = func() (int64, int64, error) {
		if w.free == 0 {
			return 1 << 50, 1 << 50, nil
		}
		return w.free, 100 << 30, nil
	}
	w.run()
}

var minChunk = int64(64 << 10)

// noise is n bytes that are the same for the same seed.
func noise(n int64, seed uint64) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), 1}).Read(p) // never fails
	return p
}

func hashOf(p []byte) blocks.Hash { return sha256.Sum256(p) }

func author(user blocks.UserID) blocks.Author { return blocks.Author{User: user, Session: "s"} }

func newFile(block string, content []byte) blocks.NewFile {
	return blocks.NewFile{Key: key(block), Hash: hashOf(content), Size: int64(len(content)), Name: block + ".txt", Mime: "text/plain"}
}

func (w *filesWorld) begin(user blocks.UserID, f blocks.NewFile) (blocks.UploadStatus, error) {
	return w.BeginUpload(w.t.Context(), author(user), f, minChunk)
}

func (w *filesWorld) mustBegin(user blocks.UserID, f blocks.NewFile, status string) {
	w.t.Helper()
	st, err := w.begin(user, f)
	if err != nil || st.Status != status {
		w.t.Fatalf("upload to %s: %+v, %v, want %s", f.Key, st, err, status)
	}
}

// chunkOf is a chunk of content.
func chunkOf(content []byte, chunk int64) []byte {
	return content[chunk*minChunk : min((chunk+1)*minChunk, int64(len(content)))]
}

func (w *filesWorld) put(user blocks.UserID, block string, content []byte, chunks ...int64) {
	w.t.Helper()
	for _, n := range chunks {
		if _, err := w.PutChunk(w.t.Context(), author(user), key(block), hashOf(content), n, bytes.NewReader(chunkOf(content, n)), nil); err != nil {
			w.t.Fatalf("chunk %d: %v", n, err)
		}
	}
}

func (w *filesWorld) complete(user blocks.UserID, block string, content []byte) (blocks.File, error) {
	return w.CompleteUpload(w.t.Context(), author(user), key(block), hashOf(content))
}

// wantFile checks what the store has, and what the block's document says.
func (w *filesWorld) wantFile(block string, content []byte) {
	w.t.Helper()
	f, err := w.store.FileOf(w.t.Context(), key(block))
	if err != nil || f.Hash != hashOf(content) || f.Size != int64(len(content)) {
		w.t.Fatalf("file of %s: %+v, %v", block, f, err)
	}
	blob, err := w.cfg.Blobs.Open(w.t.Context(), f.Hash)
	if err != nil {
		w.t.Fatal(err)
	}
	defer blob.Close()
	if got, err := io.ReadAll(blob); err != nil || !bytes.Equal(got, content) {
		w.t.Errorf("the blob of %s has %d bytes (%v), want %d", block, len(got), err, len(content))
	}
	err = w.View(w.t.Context(), key(block), func(_ blocks.Head, doc *ydoc.Doc) error {
		about := doc.Map("block")
		v, _ := about.Value("file")
		m, ok := v.(ydoc.Type)
		if !ok {
			return fmt.Errorf("its document has the file %v", v)
		}
		hash, _ := m.AsMap().Value("hash")
		size, _ := m.AsMap().Value("size")
		if typ, _ := about.Value("type"); hash != f.Hash.String() || size != float64(f.Size) || typ != "file" {
			return fmt.Errorf("its document has the file %v of %v bytes and is a %v", hash, size, typ)
		}
		return nil
	})
	if err != nil {
		w.t.Error(err)
	}
	if left, err := os.ReadDir(w.cfg.UploadDir); err != nil && !os.IsNotExist(err) || len(left) > 0 {
		w.t.Errorf("left in the folder of uploads: %v, %v", left, err)
	}
}

func TestUploadsEndAsFiles(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	for i, size := range []int64{0, 1, minChunk, minChunk + 1, 3*minChunk - 1} {
		block, content := fmt.Sprint("b", i), noise(size, uint64(i))
		f := newFile(block, content)
		w.mustBegin("bob", f, blocks.UploadNew)
		n := (size + minChunk - 1) / minChunk
		for chunk := range n {
			w.put("bob", block, content, n-1-chunk)
			if chunk < n-1 {
				_, err := w.complete("bob", block, content)
				incomplete, ok := errors.AsType[*blocks.IncompleteError](err)
				if want := [][2]int64{{0, n - 2 - chunk}}; !ok || !slices.Equal(incomplete.Missing, want) {
					t.Errorf("incomplete: %v", err)
				}
			}
		}
		w.mustBegin("carol", f, blocks.UploadResumed)
		for range 2 {
			got, err := w.complete("bob", block, content)
			if err != nil || got.Name != f.Name || got.Mime != "text/plain" || got.User != "bob" {
				t.Fatalf("complete: %+v, %v", got, err)
			}
		}
		w.wantFile(block, content)
		w.mustBegin("carol", f, blocks.UploadComplete)
		st, err := w.UploadStatus(t.Context(), "eve", f.Key, f.Hash)
		if err != nil || st.Status != blocks.UploadComplete || st.Bytes != size {
			t.Errorf("status %+v, %v", st, err)
		}
	}
}

// A hash that one knows is no proof that one has the bytes, whoever else has them.
func TestKnownHashIsCompleteOnlyForWhoCanRead(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	content := noise(100, 1)
	if _, _, err := w.AddHeap(t.Context(), "mallory", "m", "Mallory's", false); err != nil {
		t.Fatal(err)
	}
	theirs := newFile("x", content)
	theirs.Key.Heap = "m"
	unknown := newFile("y", noise(100, 2))
	unknown.Key.Heap = "m"
	w.mustBegin("ada", newFile("a", content), blocks.UploadNew)
	w.put("ada", "a", content, 0)
	if _, err := w.complete("ada", "a", content); err != nil {
		t.Fatal(err)
	}
	w.mustBegin("bob", newFile("b", content), blocks.UploadComplete)
	w.wantFile("b", content)
	w.mustBegin("mallory", theirs, blocks.UploadNew)
	w.mustBegin("mallory", unknown, blocks.UploadNew)
	wrong := newFile("c", content)
	wrong.Size++
	w.mustBegin("bob", wrong, blocks.UploadNew) // who lies about the size has to show
	if _, err := w.UploadStatus(t.Context(), "mallory", key("a"), hashOf(content)); !errors.Is(err, blocks.ErrNotFound) {
		t.Errorf("a stranger's status: %v", err)
	}
	if _, err := w.PutChunk(t.Context(), author("mallory"), key("c"), hashOf(content), 0, strings.NewReader(""), nil); !errors.Is(err, blocks.ErrNotFound) {
		t.Errorf("a stranger's chunk: %v", err)
	}
	if _, err := w.begin("eve", newFile("d", content)); !errors.Is(err, blocks.ErrForbidden) {
		t.Errorf("a viewer's upload: %v", err)
	}
	if err := w.SetRole(t.Context(), "h", "mallory", blocks.RoleViewer); err != nil {
		t.Fatal(err)
	}
	w.mustBegin("mallory", theirs, blocks.UploadComplete)
}

func TestBadChunksChangeNothing(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	content := noise(2*minChunk+10, 1)
	w.mustBegin("bob", newFile("a", content), blocks.UploadNew)
	put := func(chunk int64, body io.Reader, digest *blocks.Hash) error {
		_, err := w.PutChunk(t.Context(), author("bob"), key("a"), hashOf(content), chunk, body, digest)
		return err
	}
	other := hashOf([]byte("other"))
	cut := errors.New("cut off")
	for what, tt := range map[string]struct {
		err, want error
	}{
		"past the end":  {put(3, bytes.NewReader(chunkOf(content, 0)), nil), blocks.ErrInvalid},
		"before it":     {put(-1, bytes.NewReader(chunkOf(content, 0)), nil), blocks.ErrInvalid},
		"short":         {put(0, bytes.NewReader(content[:minChunk-1]), nil), blocks.ErrInvalid},
		"empty":         {put(0, bytes.NewReader(nil), nil), blocks.ErrInvalid},
		"long":          {put(0, bytes.NewReader(content[:minChunk+1]), nil), blocks.ErrInvalid},
		"last too long": {put(2, bytes.NewReader(content[:11]), nil), blocks.ErrInvalid},
		"digest":        {put(0, bytes.NewReader(chunkOf(content, 0)), &other), blocks.ErrHashMismatch},
		"cut off":       {put(0, io.MultiReader(bytes.NewReader(content[:100]), failing{cut}), nil), cut},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: %v, want %v", what, tt.err, tt.want)
		}
	}
	st, err := w.UploadStatus(t.Context(), "bob", key("a"), hashOf(content))
	if err != nil || st.Bytes != 0 || len(st.Received) != 0 {
		t.Errorf("after that: %+v, %v", st, err)
	}
	digest := hashOf(chunkOf(content, 1))
	if err := put(1, bytes.NewReader(chunkOf(content, 1)), &digest); err != nil {
		t.Error(err)
	}
	w.put("bob", "a", content, 0, 2)
	if _, err := w.complete("bob", "a", content); err != nil {
		t.Error(err)
	}
	w.wantFile("a", content)
}

// failing is a body that breaks off.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestWrongHashDiscardsTheBytes(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	content := noise(2*minChunk, 1)
	f := newFile("a", content)
	w.mustBegin("bob", f, blocks.UploadNew)
	wrong := noise(2*minChunk, 2)
	for n := range int64(2) {
		if _, err := w.PutChunk(t.Context(), author("bob"), f.Key, f.Hash, n, bytes.NewReader(chunkOf(wrong, n)), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.complete("bob", "a", content); !errors.Is(err, blocks.ErrHashMismatch) {
		t.Errorf("complete: %v", err)
	}
	if _, err := w.complete("bob", "a", content); !errors.Is(err, blocks.ErrNotFound) {
		t.Errorf("complete again: %v", err)
	}
	if left, err := os.ReadDir(w.cfg.UploadDir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := w.Head(t.Context(), f.Key); !errors.Is(err, blocks.ErrNotFound) {
		t.Errorf("the block was made: %v", err)
	}
	if list, err := w.cfg.Blobs.List(t.Context(), blocks.Hash{}, 10); err != nil || len(list) > 0 {
		t.Errorf("blobs: %v, %v", list, err)
	}
}

func TestUploadsSurviveARestart(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	content := noise(5*minChunk, 1)
	w.mustBegin("bob", newFile("a", content), blocks.UploadNew)
	w.put("bob", "a", content, 0, 1, 3)
	w.close()
	w.world.open()
	st, err := w.begin("bob", newFile("a", content))
	if err != nil || st.Status != blocks.UploadResumed || st.Bytes != 3*minChunk || !slices.Equal(st.Received, [][2]int64{{0, 1}, {3, 3}}) {
		t.Errorf("resumed: %+v, %v", st, err)
	}
	w.put("bob", "a", content, 4, 2)
	if _, err := w.complete("bob", "a", content); err != nil {
		t.Error(err)
	}
	w.wantFile("a", content)

	// If somebody has removed the bytes, nothing is there.
	w.mustBegin("bob", newFile("b", content[1:]), blocks.UploadNew)
	w.put("bob", "b", content[1:], 0)
	w.close()
	if err := os.RemoveAll(w.cfg.UploadDir); err != nil {
		t.Fatal(err)
	}
	w.world.open()
	w.mustBegin("bob", newFile("b", content[1:]), blocks.UploadNew)
}

func TestQuotaAndFullDiskRefuseBeforeBytesFlow(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{HeapFiles: 1000})
	big := func(block string, size int64, user int64) error {
		f := newFile(block, nil)
		f.Hash, f.Size, f.UserBytes = hashOf([]byte(block)), size, user
		_, err := w.begin("bob", f)
		return err
	}
	for _, tt := range []struct {
		block      string
		size, user int64
		want       error
	}{
		{"a", 1001, 0, blocks.ErrQuota}, {"b", 500, 499, blocks.ErrQuota}, {"c", 1, -1, blocks.ErrQuota},
		{"d", 500, 500, nil}, {"e", 1, 500, blocks.ErrQuota}, {"f", 501, 0, blocks.ErrQuota}, {"g", 500, 0, nil},
	} {
		if err := big(tt.block, tt.size, tt.user); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.block, err, tt.want)
		}
	}
	f := newFile("h", []byte("0123456789"))
	f.FileBytes = 9
	if _, err := w.begin("bob", f); !errors.Is(err, blocks.ErrTooLarge) || errors.Is(err, blocks.ErrQuota) {
		t.Errorf("a file that is too large: %v", err)
	}

	w = newFilesWorld(t, blocks.Limits{})
	w.free = 5<<30 + 2000 // of 100 GiB, of which 5 stay free
	for _, tt := range []struct {
		block string
		size  int64
		want  error
	}{{"a", 2001, blocks.ErrFull}, {"b", 1500, nil}, {"c", 501, blocks.ErrFull}, {"d", 500, nil}} {
		if err := big(tt.block, tt.size, 0); !errors.Is(err, tt.want) {
			t.Errorf("with little room, %s: %v, want %v", tt.block, err, tt.want)
		}
	}
}

// Who still reads of an upload that has ended does not keep the next one from beginning.
func TestUploadBeginsAnewWhileTheLastIsRead(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	right := noise(2*minChunk, 1)
	wrong := slices.Clone(right)
	wrong[0] ^= 1
	f := newFile("a", right)
	w.mustBegin("bob", f, blocks.UploadNew)
	for n := range int64(2) {
		if _, err := w.PutChunk(t.Context(), author("bob"), f.Key, f.Hash, n, bytes.NewReader(chunkOf(wrong, n)), nil); err != nil {
			t.Fatal(err)
		}
	}
	reader, err := w.OpenFile(t.Context(), "bob", f.Key)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := w.complete("bob", "a", right); !errors.Is(err, blocks.ErrHashMismatch) {
		t.Fatalf("complete: %v, want ErrHashMismatch", err)
	}
	w.mustBegin("bob", f, blocks.UploadNew)
	w.put("bob", "a", right, 0, 1)
	if _, err := w.complete("bob", "a", right); err != nil {
		t.Fatal(err)
	}
	w.wantFile("a", right)
}

func TestIdleUploadsExpire(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	content := noise(2*minChunk, 1)
	w.mustBegin("bob", newFile("a", content), blocks.UploadNew)
	w.mustBegin("bob", newFile("b", content), blocks.UploadNew)
	w.put("bob", "a", content, 0)
	w.put("bob", "b", content, 0)
	w.pass(6 * 24 * time.Hour)
	w.put("bob", "b", content, 1)
	w.pass(2 * 24 * time.Hour)
	stray := filepath.Join(w.cfg.UploadDir, "4711")
	if err := os.WriteFile(stray, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.PutChunk(t.Context(), author("bob"), key("a"), hashOf(content), 1, bytes.NewReader(chunkOf(content, 1)), nil); !errors.Is(err, blocks.ErrNotFound) {
		t.Errorf("a chunk of an expired upload: %v", err)
	}
	if left, err := os.ReadDir(w.cfg.UploadDir); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := w.complete("bob", "b", content); err != nil {
		t.Error(err)
	}
	w.wantFile("b", content)
}

// A chunk that is there is replaced by one with other bytes as a whole or not at all.
func TestRepeatedChunksReplaceAsAWhole(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	content, other := noise(3*minChunk, 1), noise(3*minChunk, 2)
	f := newFile("a", content)
	w.mustBegin("bob", f, blocks.UploadNew)
	put := func(n int64, body io.Reader) error {
		_, err := w.PutChunk(t.Context(), author("bob"), f.Key, f.Hash, n, body, nil)
		return err
	}
	w.put("bob", "a", content, 0, 1, 2)
	cut := errors.New("cut off")
	if err := put(1, io.MultiReader(bytes.NewReader(chunkOf(other, 1)[:100]), failing{cut})); !errors.Is(err, cut) {
		t.Errorf("cut off: %v", err)
	}
	if err := put(1, bytes.NewReader(append(slices.Clone(chunkOf(other, 1)), 'x'))); !errors.Is(err, blocks.ErrInvalid) {
		t.Errorf("too long: %v", err)
	}
	st, err := w.UploadStatus(t.Context(), "bob", f.Key, f.Hash)
	if err != nil || st.Bytes != 3*minChunk {
		t.Errorf("%+v, %v", st, err)
	}
	// Wrong bytes, and the right ones again: it is what came last that counts.
	mixed := append(slices.Clone(chunkOf(content, 0)[:1000]), chunkOf(other, 0)[1000:]...)
	if err := put(0, bytes.NewReader(mixed)); err != nil {
		t.Error(err)
	}
	w.put("bob", "a", content, 0, 1)
	if _, err := w.complete("bob", "a", content); err != nil {
		t.Error(err)
	}
	w.wantFile("a", content)
}

// A client that sends a chunk anew is not kept waiting for what is left of its last try.
func TestNewRequestSupersedesTheOldOne(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	content := noise(2*minChunk, 1)
	f := newFile("a", content)
	w.mustBegin("bob", f, blocks.UploadNew)
	r, pipe := io.Pipe()
	old := make(chan error, 1)
	go func() {
		_, err := w.PutChunk(context.Background(), author("bob"), f.Key, f.Hash, 0, r, nil)
		old <- err
	}()
	if _, err := pipe.Write(noise(1000, 3)); err != nil { // it has begun
		t.Fatal(err)
	}
	w.put("bob", "a", content, 0, 1)
	if _, err := pipe.Write(noise(minChunk-1000, 3)); err != nil {
		t.Fatal(err)
	}
	pipe.Close()
	if err := <-old; !errors.Is(err, blocks.ErrConflict) {
		t.Errorf("the old request: %v", err)
	}
	if _, err := w.complete("bob", "a", content); err != nil {
		t.Error(err)
	}
	w.wantFile("a", content)
}

func TestParallelChunksAndCompletes(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	const chunks = 24
	content := noise(chunks*minChunk-7, 1)
	w.mustBegin("bob", newFile("a", content), blocks.UploadNew)
	var wg sync.WaitGroup
	for i := range int64(8) {
		wg.Go(func() {
			for n := range int64(chunks) {
				n = (n*5 + i*3) % chunks
				_, err := w.PutChunk(t.Context(), author("bob"), key("a"), hashOf(content), n, bytes.NewReader(chunkOf(content, n)), nil)
				if err != nil && !errors.Is(err, blocks.ErrConflict) {
					t.Errorf("chunk %d: %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	for range 8 {
		wg.Go(func() {
			if _, err := w.complete("bob", "a", content); err != nil {
				t.Errorf("complete: %v", err)
			}
		})
	}
	wg.Wait()
	w.wantFile("a", content)
}

// Whatever fails on the way, to try again ends well.
func TestUploadsGoOnAfterFaults(t *testing.T) {
	for _, fault := range []storetest.Fault{
		{Method: "SaveChunk", Nth: 2, Fail: true}, {Method: "SaveChunk", Nth: 2, Fail: true, After: true},
		{Method: "AddFile", Fail: true}, {Method: "AddFile", Fail: true, After: true},
		{Method: "Commit", Fail: true}, {Method: "Commit", Fail: true, After: true},
	} {
		t.Run(fmt.Sprint(fault.Method, fault.After), func(t *testing.T) {
			w := newFilesWorld(t, blocks.Limits{})
			content := noise(3*minChunk, 1)
			w.mustBegin("bob", newFile("a", content), blocks.UploadNew)
			w.store.Inject(fault)
			failed := 0
			for n := int64(0); n < 3; {
				_, err := w.PutChunk(t.Context(), author("bob"), key("a"), hashOf(content), n, bytes.NewReader(chunkOf(content, n)), nil)
				if err != nil {
					failed++
					continue
				}
				n++
			}
			for range 2 {
				if _, err := w.complete("bob", "a", content); err == nil {
					break
				}
				failed++
			}
			if failed != 1 {
				t.Errorf("%d calls failed", failed)
			}
			w.wantFile("a", content)
		})
	}
}

// What a client's document says of a file gives it none, unless the heap has it.
func TestFilesFollowDocuments(t *testing.T) {
	w := &filesWorld{world: makeWorld(t, blocks.Limits{}, true)}
	w.stop()
	w.withFiles(t)
	content, secret := noise(100, 1), noise(100, 2)
	w.mustBegin("bob", newFile("a", content), blocks.UploadNew)
	w.put("bob", "a", content, 0)
	if _, err := w.complete("bob", "a", content); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.AddHeap(t.Context(), "zoe", "z", "Zoe's", false); err != nil {
		t.Fatal(err)
	}
	hers := newFile("s", secret)
	hers.Key.Heap = "z"
	if _, err := w.TakeFile(t.Context(), author("zoe"), hers, bytes.NewReader(secret), func() (*blocks.Hash, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	claim := func(block string, hash string) {
		t.Helper()
		doc := ydoc.NewDoc(ydoc.Options{})
		doc.Transact(func() {
			doc.Map("block").Set("file", ydoc.Object{{Key: "hash", Value: hash}, {Key: "name", Value: "x/../claimed.txt"}})
		})
		res := w.push("bob", block, doc.Encode(ydoc.V1))
		if res.Status != blocks.StatusApplied {
			t.Fatalf("push: %v", res.Err)
		}
		if err := w.WaitIndexed(t.Context(), res.Seq); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what, block string, name string, wantErr error) {
		t.Helper()
		f, err := w.store.FileOf(t.Context(), key(block))
		if !errors.Is(err, wantErr) || f.Name != name {
			t.Errorf("%s: %+v, %v", what, f, err)
		}
	}
	claim("b", hashOf(content).String())
	want("a copy within the heap", "b", "claimed.txt", nil)
	claim("c", hashOf(secret).String())
	want("a claim", "c", "", blocks.ErrNotFound)
	_, err := w.Edit(t.Context(), author("bob"), key("a"), func(_ blocks.Head, doc *ydoc.Doc) error {
		doc.Map("block").Delete("file")
		return nil
	})
	if err != nil || w.WaitIndexed(t.Context(), w.head("a").Seq) != nil {
		t.Fatal(err)
	}
	want("taken away", "a", "", blocks.ErrNotFound)
}

var uploadRuns = flag.Int("upload-runs", 1000, "sequences of TestUploadsAreAsTheModelSays")

// TestUploadsAreAsTheModelSays runs random sequences of everything a client can do to one
// upload, with restarts and kills, against what should be there.
func TestUploadsAreAsTheModelSays(t *testing.T) {
	runs := *uploadRuns
	if testing.Short() {
		runs = min(runs, 100)
	}
	checks := flag.Lookup("rapid.checks").Value.String()
	if err := flag.Set("rapid.checks", fmt.Sprint(runs)); err != nil {
		t.Fatal(err)
	}
	defer flag.Set("rapid.checks", checks)
	w := newFilesWorld(t, blocks.Limits{})
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		block := fmt.Sprint("m", run)
		size := rapid.Int64Range(0, 4*minChunk).Draw(rt, "size")
		content := noise(size, uint64(run))
		if size > 8 {
			copy(content, fmt.Sprint(run)) // nobody has it yet
		}
		f := newFile(block, content)
		f.Hash, f.Size = hashOf(content), size
		chunks := (size + minChunk - 1) / minChunk
		there := map[int64]bool{} // whether the right bytes are
		open, done := false, false
		check := func(what string, err, want error) {
			if !errors.Is(err, want) || want == nil && err != nil {
				rt.Fatalf("%s: %v, want %v", what, err, want)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"begin": func(rt *rapid.T) {
				st, err := w.begin("bob", f)
				check("begin", err, nil)
				if done != (st.Status == blocks.UploadComplete) && size > 8 {
					rt.Fatalf("begin: %s, done %v", st.Status, done)
				}
				if st.Status == blocks.UploadComplete {
					done, open = true, false
				} else if open != (st.Status == blocks.UploadResumed) {
					rt.Fatalf("begin: %s, open %v", st.Status, open)
				} else {
					open = true
				}
			},
			"chunk": func(rt *rapid.T) {
				n := rapid.Int64Range(0, max(chunks, 1)).Draw(rt, "chunk")
				kind := rapid.SampledFrom([]string{"right", "right", "wrong", "short", "long", "cut"}).Draw(rt, "kind")
				var body []byte
				if n < chunks {
					body = slices.Clone(chunkOf(content, n))
				}
				var r io.Reader
				want := error(nil)
				switch kind {
				case "right":
					r = bytes.NewReader(body)
				case "wrong":
					if len(body) > 0 {
						body[rapid.IntRange(0, len(body)-1).Draw(rt, "at")] ^= 1
					}
					r = bytes.NewReader(body)
				case "short":
					r, want = bytes.NewReader(body[:len(body)/2]), blocks.ErrInvalid
				case "long":
					r, want = bytes.NewReader(append(body, 0)), blocks.ErrInvalid
				case "cut":
					r, want = io.MultiReader(bytes.NewReader(body[:len(body)/2]), failing{io.ErrClosedPipe}), io.ErrClosedPipe
				}
				if n >= chunks {
					want = blocks.ErrInvalid
				}
				if !open {
					want = blocks.ErrNotFound
				}
				_, err := w.PutChunk(t.Context(), author("bob"), f.Key, f.Hash, n, r, nil)
				check(kind+" chunk", err, want)
				if err == nil {
					there[n] = kind == "right"
				}
			},
			"complete": func(rt *rapid.T) {
				_, err := w.complete("bob", block, content)
				_, incomplete := errors.AsType[*blocks.IncompleteError](err)
				right := 0
				for _, ok := range there {
					if ok {
						right++
					}
				}
				switch {
				case done:
					check("complete again", err, nil)
				case !open:
					check("complete nothing", err, blocks.ErrNotFound)
				case len(there) < int(chunks):
					if !incomplete {
						rt.Fatalf("complete: %v, with %d of %d chunks", err, len(there), chunks)
					}
				case right < int(chunks):
					check("complete with wrong bytes", err, blocks.ErrHashMismatch)
					open = false
					clear(there)
				default:
					check("complete", err, nil)
					open, done = false, true
					clear(there)
				}
			},
			"restart": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "often") == 0 {
					w.close()
					w.world.open()
				}
			},
			"": func(rt *rapid.T) {
				st, err := w.UploadStatus(t.Context(), "bob", f.Key, f.Hash)
				if !open && !done {
					check("status", err, blocks.ErrNotFound)
					return
				}
				check("status", err, nil)
				n := 0
				for _, r := range st.Received {
					n += int(r[1] - r[0] + 1)
				}
				if want := len(there); open && n != want || done && st.Bytes != size {
					rt.Fatalf("status %+v, want %d chunks", st, want)
				}
			},
		})
		if done {
			blob, err := w.cfg.Blobs.Open(t.Context(), f.Hash)
			if err != nil {
				rt.Fatal(err)
			}
			defer blob.Close()
			if got, err := io.ReadAll(blob); err != nil || !bytes.Equal(got, content) {
				rt.Fatalf("the blob has other bytes (%v)", err)
			}
		}
	})
}
