package blocks

import (
	"context"
	"errors"
	"fmt"

	"github.com/heapsync/heapsync/ydoc"
)

// View builds the block's document, as of what is on disk, and calls fn with it and the
// head it belongs to. fn must not keep the document. At most Limits.Documents documents
// are in memory at once, so fn must not call View or Edit. Errors: ErrNotFound,
// ErrDeleted, ErrQuarantined, ErrTooLarge, and those of fn.
func (l *Log) View(ctx context.Context, key BlockKey, fn func(Head, *ydoc.Doc) error) error {
	return l.withDocuments(ctx, func() error {
		doc := ydoc.NewDoc(ydoc.Options{MaxDepth: l.limits.TypeDepth})
		head, err := l.build(ctx, key, doc)
		if err != nil {
			return err
		}
		return fn(head, doc)
	})
}

// withDocuments calls fn in a slot for documents.
func (l *Log) withDocuments(ctx context.Context, fn func() error) error {
	select {
	case l.documents <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-l.documents }()
	return fn()
}

func (l *Log) build(ctx context.Context, key BlockKey, doc *ydoc.Doc) (Head, error) {
	st, err := l.read(ctx, key)
	if err != nil {
		return Head{}, err
	}
	defer st.free()
	if st.head.DeletedAt != 0 {
		return st.head, ErrDeleted
	}
	err = doc.ApplyUpdate(st.merged.Update())
	if _, ok := errors.AsType[*ydoc.DecodeError](err); ok {
		err = fmt.Errorf("document of %s: %v: %w", key, err, ErrTooLarge)
	}
	return st.head, err
}

// Edit builds the block's document, has fn edit it in one transaction, and appends what
// that changed as the author's; it returns when it is on disk. If fn changes nothing,
// nothing is appended. Whether the author may edit the heap is the caller's to know.
// Errors: those of View and Append.
func (l *Log) Edit(ctx context.Context, author Author, key BlockKey, fn func(Head, *ydoc.Doc) error) (Appended, error) {
	var update []byte
	var result Appended
	err := l.View(ctx, key, func(head Head, doc *ydoc.Doc) error {
		var err error
		update = doc.Transact(func() { err = fn(head, doc) }).Update(ydoc.V1)
		result = Appended{Duplicate: true, Seq: head.Seq, SyncVersion: head.SyncVersion, StateVector: head.StateVector}
		return err
	})
	if err != nil || update == nil {
		return result, err
	}
	return l.AppendAndWait(ctx, Append{Key: key, Author: author, Update: update})
}

// AppendAndWait is Append that returns what became of the update. Once the update is
// queued, the end of ctx does not end the wait.
func (l *Log) AppendAndWait(ctx context.Context, req Append) (Appended, error) {
	type outcome struct {
		result Appended
		err    error
	}
	done := make(chan outcome, 1)
	err := l.Append(ctx, req, func(a Appended, err error) { done <- outcome{a, err} })
	if err != nil {
		return Appended{}, err
	}
	out := <-done
	return out.result, out.err
}
