package blocks_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
)

func (w *filesWorld) take(user blocks.UserID, block string, content []byte) error {
	f := newFile(block, content)
	_, err := w.TakeFile(w.t.Context(), author(user), f, bytes.NewReader(content), func() (*blocks.Hash, error) { return &f.Hash, nil })
	return err
}

func (w *filesWorld) has(content []byte) bool {
	w.t.Helper()
	_, err := w.cfg.Blobs.Stat(w.t.Context(), hashOf(content))
	if err != nil && !errors.Is(err, blocks.ErrNotFound) {
		w.t.Fatal(err)
	}
	return err == nil
}

func (w *filesWorld) sweep() {
	w.t.Helper()
	if err := w.Sweep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func TestBytesGoWhenNoBlockHoldsThem(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	purged, shared, replaced, kept := noise(100, 1), noise(100, 2), noise(100, 3), noise(100, 4)
	for block, content := range map[string][]byte{"p": purged, "s1": shared, "s2": shared, "r": replaced, "k": kept} {
		if err := w.take("bob", block, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.take("bob", "r", kept); err != nil {
		t.Fatal(err)
	}
	for _, block := range []string{"p", "s1"} {
		if _, err := w.PurgeBlock(t.Context(), author("bob"), blocks.Target{Heap: "h", Block: block}); err != nil {
			t.Fatal(err)
		}
	}
	const day = 24 * time.Hour
	for _, step := range []struct {
		pass             time.Duration
		purged, replaced bool
	}{{0, true, true}, {7 * day, true, true}, {day, false, true}, {7 * day, false, true}, {time.Hour, false, false}} {
		w.pass(step.pass)
		w.sweep()
		if w.has(purged) != step.purged || w.has(replaced) != step.replaced || !w.has(shared) || !w.has(kept) {
			t.Errorf("after %v: purged %v, replaced %v, shared %v, kept %v", step.pass, w.has(purged), w.has(replaced), w.has(shared), w.has(kept))
		}
	}
	w.wantFile("s2", shared)
	w.wantFile("r", kept)
}

// While blobs are swept, blocks get and lose the same few files: what a block holds is
// never gone.
func TestSweepDeletesNothingThatABlockHolds(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{BlobGrace: time.Nanosecond})
	rounds := 60
	if testing.Short() {
		rounds = 15
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	contents := [][]byte{noise(100, 1), noise(200, 2), noise(300, 3)}
	stop := make(chan struct{})
	var sweeping, wg sync.WaitGroup
	sweeping.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				w.pass(time.Second)
				if err := w.Sweep(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for i := range 4 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			for n := range rounds {
				block, content := fmt.Sprintf("b%d-%d", i, n), contents[rng.IntN(len(contents))]
				f := newFile(block, content)
				st, err := w.BeginUpload(t.Context(), author("bob"), f, 0)
				if err != nil {
					t.Errorf("begin: %v", err)
					return
				}
				if st.Status != blocks.UploadComplete {
					_, err = w.PutChunk(t.Context(), author("bob"), f.Key, f.Hash, 0, bytes.NewReader(content), nil)
					if err == nil {
						_, err = w.CompleteUpload(t.Context(), author("bob"), f.Key, f.Hash)
					}
				}
				if err != nil {
					t.Errorf("upload: %v", err)
					return
				}
				o, err := w.OpenFile(t.Context(), "bob", f.Key)
				if err != nil {
					t.Errorf("the file is gone: %v", err)
					return
				}
				o.Close()
				if _, err := w.PurgeBlock(t.Context(), author("bob"), blocks.Target{Heap: "h", Block: block}); err != nil {
					t.Errorf("purge: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	sweeping.Wait()
	w.pass(time.Second)
	w.sweep()
	w.pass(time.Second)
	w.sweep()
	for _, content := range contents {
		if w.has(content) {
			t.Error("a blob is left that no block holds")
		}
	}
}

func TestVerifyFindsWhatIsWrongWithBlobs(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	var all [][]byte
	for i := range 40 {
		all = append(all, noise(int64(1+i*10), uint64(i)))
		if err := w.take("bob", fmt.Sprint("f", i), all[i]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.PurgeBlock(t.Context(), author("bob"), blocks.Target{Heap: "h", Block: "f0"}); err != nil {
		t.Fatal(err)
	}
	verify := func() (blocks.BlobSummary, map[blocks.Hash]string) {
		t.Helper()
		found := map[blocks.Hash]string{}
		sum, err := blocks.VerifyBlobs(t.Context(), w.store, w.cfg.Blobs, func(h blocks.Hash, what string) { found[h] = what })
		if err != nil {
			t.Fatal(err)
		}
		return sum, found
	}
	if sum, found := verify(); sum.Blobs != 40 || sum.Damaged+sum.Missing != 0 || sum.Unreferenced != 1 || len(found) != 0 {
		t.Errorf("%+v, %v", sum, found)
	}
	for i := range 10 {
		h := hashOf(all[i+1])
		name := h.String()
		path := filepath.Join(w.dir, "blobs", "sha256", name[:2], name[2:4], name)
		bent := append([]byte(nil), all[i+1]...)
		var err error
		switch i % 3 {
		case 0:
			bent[rand.IntN(len(bent))] ^= 1 << rand.IntN(8)
			err = os.WriteFile(path, bent, 0o600)
		case 1:
			err = os.Truncate(path, int64(len(bent)-1))
		case 2:
			err = os.Remove(path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	sum, found := verify()
	if sum.Damaged != 7 || sum.Missing != 3 || len(found) != 10 {
		t.Errorf("%+v, %v", sum, found)
	}
	for i := range 10 {
		if found[hashOf(all[i+1])] == "" {
			t.Errorf("what was done to %d was not found", i)
		}
	}
}
