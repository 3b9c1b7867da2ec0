package blocks_test

import (
	"context"
	"errors"
	"testing"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/ydoc"
)

var ada = blocks.Author{User: "ada", Session: "s-ada"}

// text is the block's text t.
func (w *world) text(block string) (text string) {
	w.t.Helper()
	err := w.View(w.t.Context(), key(block), func(_ blocks.Head, doc *ydoc.Doc) error {
		text = doc.Text("t").String()
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

func TestServerEditsJoinWhatClientsWrote(t *testing.T) {
	w := newWorld(t, blocks.Limits{})
	w.put("bob", "a", word(1, 0, "world"))
	done, err := w.Edit(t.Context(), ada, key("a"), func(_ blocks.Head, doc *ydoc.Doc) error {
		doc.Text("t").Insert(0, "hello ")
		w.put("bob", "a", word(1, 5, "!")) // while the edit is being made
		return nil
	})
	if err != nil || done.Duplicate || done.Seq != 3 {
		t.Fatalf("edit: %+v, %v", done, err)
	}
	if got := w.text("a"); got != "hello world!" {
		t.Errorf("the text is %q", got)
	}
	head := w.head("a")
	done, err = w.Edit(t.Context(), ada, key("a"), func(blocks.Head, *ydoc.Doc) error { return nil })
	if err != nil || !done.Duplicate || done.Seq != head.Seq || w.head("a").Seq != head.Seq {
		t.Errorf("an edit that changes nothing: %+v, %v", done, err)
	}
	refused := errors.New("refused")
	_, err = w.Edit(t.Context(), ada, key("a"), func(_ blocks.Head, doc *ydoc.Doc) error {
		doc.Text("t").Delete(0, 5)
		return refused
	})
	if !errors.Is(err, refused) || w.text("a") != "hello world!" {
		t.Errorf("an edit that ends with an error: %v, and the text is %q", err, w.text("a"))
	}
}

func TestViewIsOfBlocksThatCanBeRead(t *testing.T) {
	w := newWorld(t, blocks.Limits{Documents: 1})
	nothing := func(blocks.Head, *ydoc.Doc) error { return nil }
	if err := w.View(t.Context(), key("a"), nothing); !errors.Is(err, blocks.ErrNotFound) {
		t.Errorf("view of no block: %v", err)
	}
	w.put("bob", "a", word(1, 0, "x"))
	err := w.View(t.Context(), key("a"), func(head blocks.Head, doc *ydoc.Doc) error {
		if head.Seq != 1 || doc.Text("t").String() != "x" {
			t.Errorf("seq %d, text %q", head.Seq, doc.Text("t"))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // the one slot is taken
		if err := w.View(ctx, key("a"), nothing); !errors.Is(err, context.Canceled) {
			t.Errorf("view beyond the limit: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.Quarantine(t.Context(), w.head("a").Ref, "for the test"); err != nil {
		t.Fatal(err)
	}
	if err := w.View(t.Context(), key("a"), nothing); !errors.Is(err, blocks.ErrQuarantined) {
		t.Errorf("view of a quarantined block: %v", err)
	}
}
