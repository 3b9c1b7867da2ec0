package blocks_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/storetest"
	"github.com/heapsync/heapsync/ydoc"
)

func (w *filesWorld) takeInto(heap blocks.HeapID, block string, content []byte) {
	w.t.Helper()
	f := newFile(block, content)
	f.Key.Heap = heap
	if _, err := w.TakeFile(w.t.Context(), author("bob"), f, bytes.NewReader(content), func() (*blocks.Hash, error) { return nil, nil }); err != nil {
		w.t.Fatal(err)
	}
}

// open says which file a user gets of the block a.
func (w *filesWorld) openAs(user blocks.UserID) (blocks.Hash, error) {
	heap, err := w.FindFile(w.t.Context(), user, "a")
	if err != nil {
		return blocks.Hash{}, err
	}
	f, err := w.OpenFile(w.t.Context(), user, blocks.BlockKey{Heap: heap, Block: "a"})
	if err != nil {
		return blocks.Hash{}, err
	}
	defer f.Close()
	return f.Hash, nil
}

// A file that was asked for before is not looked up again, and what changes counts at once.
func TestServedFilesAreNotLookedUpAgain(t *testing.T) {
	w := &filesWorld{world: makeWorld(t, blocks.Limits{}, true)}
	w.stop()
	w.withFiles(t)
	first, second := noise(100, 1), noise(100, 2)
	want := func(what string, user blocks.UserID, content []byte, wantErr error) {
		t.Helper()
		for range 2 {
			hash, err := w.openAs(user)
			if !errors.Is(err, wantErr) || err == nil && hash != hashOf(content) {
				t.Errorf("%s: %s gets %s, %v, want %v", what, user, hash, err, wantErr)
			}
		}
	}
	w.takeInto("h", "a", first)
	if err := w.WaitIndexed(t.Context(), w.head("a").Seq); err != nil {
		t.Fatal(err)
	}
	want("at first", "eve", first, nil)
	reads := func() int { return w.store.Calls("HeapsWithBlock") + w.store.Calls("RoleOf") + w.store.Calls("FileOf") }
	before := reads()
	want("again", "eve", first, nil)
	if n := reads() - before; n != 0 {
		t.Errorf("%d reads", n)
	}
	want("a stranger", "zoe", nil, blocks.ErrNotFound)

	w.takeInto("h", "a", second)
	want("another file", "eve", second, nil)
	_, err := w.Edit(t.Context(), author("bob"), key("a"), func(_ blocks.Head, doc *ydoc.Doc) error {
		doc.Map("block").Set("file", ydoc.Object{{Key: "hash", Value: hashOf(first).String()}})
		return nil
	})
	if err != nil || w.WaitIndexed(t.Context(), w.head("a").Seq) != nil {
		t.Fatal(err)
	}
	want("the first again, by its document", "eve", first, nil)

	if err := w.SetRole(t.Context(), "h", "eve", blocks.RoleNone); err != nil {
		t.Fatal(err)
	}
	want("a member no more", "eve", nil, blocks.ErrNotFound)
	if err := w.SetRole(t.Context(), "h", "eve", blocks.RoleViewer); err != nil {
		t.Fatal(err)
	}
	want("a member again", "eve", first, nil)

	if _, _, err := w.AddHeap(t.Context(), "bob", "other", "Bob's", false); err != nil {
		t.Fatal(err)
	}
	want("before there are two", "bob", first, nil)
	w.takeInto("other", "a", second)
	want("when there are two", "bob", nil, blocks.ErrAmbiguous)
	want("for who knows one", "eve", first, nil)

	// By another process, as the command line.
	if err := w.store.Store.SetRole(t.Context(), "h", "eve", blocks.RoleNone, 1); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Second)
	want("after a second", "eve", nil, blocks.ErrNotFound)

	want("before the heap goes", "ada", first, nil)
	if _, err := w.DeleteHeap(t.Context(), author("ada"), "h", false); err != nil {
		t.Fatal(err)
	}
	want("in a deleted heap", "ada", nil, blocks.ErrNotFound)
}

// What is read while something changes is not remembered.
func TestServedFilesAreNotWhatTheyWere(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	w.takeInto("h", "a", noise(100, 1))
	reached, goOn := make(chan struct{}, 1), make(chan struct{})
	w.store.Inject(storetest.Fault{Method: "FileOf", Until: goOn, Reached: reached})
	done := make(chan error, 1)
	go func() {
		_, err := w.openAs("eve")
		done <- err
	}()
	<-reached // it has been found to be a member
	if err := w.SetRole(t.Context(), "h", "eve", blocks.RoleNone); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Errorf("who was a member when it asked: %v", err)
	}
	if _, err := w.openAs("eve"); !errors.Is(err, blocks.ErrNotFound) {
		t.Errorf("afterwards: %v", err)
	}
}
