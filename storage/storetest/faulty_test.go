package storetest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/storetest"
)

// counting is a store that only counts commits and knows one head.
type counting struct {
	blocks.Store
	commits int
}

func (c *counting) Commit(context.Context, *blocks.Batch) error { c.commits++; return nil }

func (c *counting) Head(context.Context, blocks.BlockKey) (blocks.Head, error) {
	return blocks.Head{Seq: 7}, nil
}

func TestFaultyFailsTheCallsItIsToldTo(t *testing.T) {
	ctx := t.Context()
	boom := errors.New("boom")
	under := &counting{}
	f := storetest.NewFaulty(under)
	commit := func(want error, wantCommits int) {
		t.Helper()
		if err := f.Commit(ctx, &blocks.Batch{}); !errors.Is(err, want) || under.commits != wantCommits {
			t.Errorf("call %d: %v, %d commits, want %v, %d", f.Calls("Commit"), err, under.commits, want, wantCommits)
		}
	}
	commit(nil, 1)
	f.Inject(storetest.Fault{Method: "Commit", Nth: 2, Times: 2, Err: boom})
	commit(nil, 2)
	commit(boom, 2)
	commit(boom, 2)
	commit(nil, 3)
	f.Inject(storetest.Fault{Method: "Commit", Fail: true, After: true})
	commit(storetest.ErrInjected, 4) // done, but not known to be
	f.Inject(storetest.Fault{Method: "Commit", Times: -1, Fail: true})
	commit(storetest.ErrInjected, 4)
	if h, err := f.Head(ctx, blocks.BlockKey{}); err != nil || h.Seq != 7 {
		t.Errorf("another method: %+v, %v", h, err)
	}
	f.Heal()
	commit(nil, 5)
	f.Inject(storetest.Fault{Method: "Head", Fail: true})
	if _, err := f.Head(ctx, blocks.BlockKey{}); !errors.Is(err, storetest.ErrInjected) {
		t.Errorf("head: %v", err)
	}
}

func TestFaultyDelaysAndBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := storetest.NewFaulty(&counting{})
		f.Inject(storetest.Fault{Method: "Commit", Delay: time.Minute})
		start := time.Now()
		if err := f.Commit(t.Context(), &blocks.Batch{}); err != nil || time.Since(start) != time.Minute {
			t.Errorf("delayed call: %v after %v", err, time.Since(start))
		}

		until, reached := make(chan struct{}), make(chan struct{}, 1)
		f.Inject(storetest.Fault{Method: "Commit", Until: until, Reached: reached})
		done := make(chan error)
		go func() { done <- f.Commit(t.Context(), &blocks.Batch{}) }()
		<-reached
		select {
		case <-done:
			t.Error("the call did not wait")
		default:
		}
		close(until)
		if err := <-done; err != nil {
			t.Error(err)
		}

		f.Inject(storetest.Fault{Method: "Commit", Until: make(chan struct{})})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.Commit(ctx, &blocks.Batch{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("blocked call whose time is up: %v", err)
		}
	})
}
