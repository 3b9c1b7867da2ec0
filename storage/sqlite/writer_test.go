// Inside the package: write and its transactions are not exported.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
)

func openTest(t *testing.T, cfg Config) *Store {
	t.Helper()
	if cfg.Path == "" {
		cfg.Path = filepath.Join(t.TempDir(), "heapsync.db")
	}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// occupy keeps the writer busy until release is called, so that writes queue up.
func occupy(t *testing.T, s *Store) (release func()) {
	t.Helper()
	begun, end := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- s.write(context.Background(), func(*tx) error {
			close(begun)
			<-end
			return nil
		})
	}()
	<-begun
	return func() {
		close(end)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// queued waits until n writes wait for the writer.
func queued(t *testing.T, s *Store, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); len(s.writer.queue) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d writes are queued, want %d", len(s.writer.queue), n)
		}
	}
}

func heapCount(t *testing.T, s *Store) (n int) {
	t.Helper()
	if err := s.readers.QueryRow(`SELECT count(*) FROM heaps`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestErrorUndoesItsOwnWriteOnly(t *testing.T) {
	s := openTest(t, Config{})
	boom := errors.New("boom")
	release := occupy(t, s)
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			err := s.write(t.Context(), func(x *tx) error {
				_, err := x.exec(`INSERT INTO heaps (heap, name, owner, encrypted, created_at, updated_at, deleted_at)
					VALUES (?, '', '', 0, 0, 0, 0)`, fmt.Sprint(n))
				if err == nil && n%2 == 1 {
					x.nextSeq()
					err = boom
				}
				return err
			})
			if want := map[bool]error{true: boom}[n%2 == 1]; !errors.Is(err, want) {
				t.Errorf("write %d: %v, want %v", n, err, want)
			}
		})
		wg.Go(func() { // and commits of the log in the same transaction
			c := &blocks.BlockCommit{Head: blocks.Head{Key: blocks.BlockKey{Heap: "nowhere", Block: "a"}}}
			err := s.Commit(t.Context(), &blocks.Batch{Blocks: []*blocks.BlockCommit{c}})
			if !errors.Is(err, blocks.ErrNotFound) {
				t.Errorf("commit %d: %v, want ErrNotFound", n, err)
			}
		})
	}
	queued(t, s, 40)
	release()
	wg.Wait()
	if n := heapCount(t, s); n != 10 {
		t.Errorf("%d heaps, want 10", n)
	}
	var seq int64
	if err := s.readers.QueryRow(`SELECT seq FROM clock`).Scan(&seq); err != nil || seq != 0 {
		t.Errorf("seq is %d, %v: writes that were undone used some", seq, err)
	}
}

func TestQueuedWritesShareATransaction(t *testing.T) {
	s := openTest(t, Config{})
	if err := s.CreateHeap(t.Context(), blocks.Heap{ID: "h", Owner: "ada"}); err != nil {
		t.Fatal(err)
	}
	release := occupy(t, s)
	var wg sync.WaitGroup
	at := make([]int64, 50)
	for n := range at {
		wg.Go(func() {
			w := newWriterBlock("h", n)
			w.fill(3)
			if err := s.Commit(t.Context(), &w.batch); err != nil {
				t.Error(err)
			}
			at[n] = w.batch.At
		})
	}
	queued(t, s, len(at))
	release()
	wg.Wait()
	for _, a := range at {
		if a != at[0] {
			t.Fatalf("commits that waited together have times %v", at)
		}
	}
}

func TestWriteThatIsGivenUpBeforeItsTurnNeverRuns(t *testing.T) {
	s := openTest(t, Config{})
	release := occupy(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	var ran atomic.Bool
	done := make(chan error)
	go func() {
		done <- s.write(ctx, func(*tx) error { ran.Store(true); return nil })
	}()
	queued(t, s, 1)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	release()
	if err := s.write(t.Context(), func(*tx) error { return nil }); err != nil {
		t.Error(err)
	}
	if ran.Load() {
		t.Error("it ran all the same")
	}
}

func TestCloseCommitsWhatIsQueuedAndRefusesTheRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "heapsync.db")
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	release := occupy(t, s)
	var wg sync.WaitGroup
	for n := range 10 {
		wg.Go(func() {
			if err := s.CreateHeap(t.Context(), blocks.Heap{ID: blocks.HeapID(fmt.Sprint(n)), Owner: "ada"}); err != nil {
				t.Error(err)
			}
		})
	}
	queued(t, s, 10)
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	<-s.writer.stop
	release()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	wg.Wait()
	if err := s.write(t.Context(), func(*tx) error { return nil }); !errors.Is(err, blocks.ErrUnavailable) {
		t.Errorf("write after close: %v", err)
	}
	if n := heapCount(t, openTest(t, Config{Path: path})); n != 10 {
		t.Errorf("%d heaps, want 10", n)
	}
}

// SQLite has a limit of its own that fails in the same way as a full disk.
func TestFullDatabaseRefusesWritesAndRecovers(t *testing.T) {
	s := openTest(t, Config{})
	ctx := t.Context()
	if err := s.CreateHeap(ctx, blocks.Heap{ID: "h", Owner: "ada"}); err != nil {
		t.Fatal(err)
	}
	limit := func(pages int) {
		t.Helper()
		err := s.write(ctx, func(x *tx) error {
			var n int
			return x.queryRow(fmt.Sprintf("PRAGMA max_page_count = %d", pages)).Scan(&n)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // as many as there are
	w := newWriterBlock("h", 1)
	w.commit.Updates = []blocks.LoggedUpdate{{User: "ada", Bytes: make([]byte, 100_000)}}
	if err := s.Commit(ctx, &w.batch); !errors.Is(err, blocks.ErrFull) {
		t.Errorf("commit to a full database: %v", err)
	}
	if _, err := s.Heap(ctx, "h"); err != nil {
		t.Errorf("read of a full database: %v", err)
	}
	if p := s.writer.trouble.Load(); p == nil || !errors.Is(*p, blocks.ErrFull) {
		t.Error("trouble is not noted")
	}
	limit(1_000_000)
	if err := s.Health(ctx); err != nil {
		t.Errorf("health: %v", err)
	}
	if err := s.Commit(ctx, &w.batch); err != nil {
		t.Errorf("commit after there is room: %v", err)
	}
	if w.commit.Updates[0].Seq != 1 {
		t.Errorf("seq is %d, want 1: the refused commit used one", w.commit.Updates[0].Seq)
	}
}

func TestOtherProcessIsNoticedAndDoesNoHarm(t *testing.T) {
	path := filepath.Join(t.TempDir(), "heapsync.db")
	told := make(chan struct{}, 100)
	server := openTest(t, Config{Path: path, poll: time.Millisecond, OnForeignCommit: func() { told <- struct{}{} }})
	ctx := t.Context()
	if err := server.CreateHeap(ctx, blocks.Heap{ID: "h", Owner: "ada"}); err != nil {
		t.Fatal(err)
	}
	a, b := newWriterBlock("h", 1), newWriterBlock("h", 2)
	for range 20 {
		a.fill(2)
		if err := server.Commit(ctx, &a.batch); err != nil {
			t.Fatal(err)
		}
	}
	admin := openTest(t, Config{Path: path, Shared: true})
	time.Sleep(20 * time.Millisecond) // for a wrong notice to come
	if len(told) > 0 {
		t.Errorf("told %d times of commits of its own", len(told))
	}
	for range 10 {
		b.fill(1)
		if err := admin.Commit(ctx, &b.batch); err != nil {
			t.Fatal(err)
		}
		select {
		case <-told:
		case <-time.After(10 * time.Second):
			t.Fatal("not told")
		}
		a.fill(1)
		if err := server.Commit(ctx, &a.batch); err != nil {
			t.Fatal(err)
		}
		if a.commit.Head.Seq != b.commit.Head.Seq+1 || a.batch.At <= b.batch.At {
			t.Fatalf("server at seq %d time %d after the other's %d and %d",
				a.commit.Head.Seq, a.batch.At, b.commit.Head.Seq, b.batch.At)
		}
	}
	if _, err := server.Check(ctx, func(p Problem) { t.Error(p) }); err != nil {
		t.Error(err)
	}
}

func TestLongReaderDoesNotStopCheckpoints(t *testing.T) {
	s := openTest(t, Config{checkpoint: 50})
	ctx := t.Context()
	if err := s.CreateHeap(ctx, blocks.Heap{ID: "h", Owner: "ada"}); err != nil {
		t.Fatal(err)
	}
	w := newWriterBlock("h", 1)
	commit := func(n int) {
		t.Helper()
		for range n {
			w.commit.Updates = []blocks.LoggedUpdate{{User: "ada", Bytes: []byte(strings.Repeat("x", 4000))}}
			w.commit.Head.Bytes += 4000
			if err := s.Commit(ctx, &w.batch); err != nil {
				t.Fatal(err)
			}
		}
	}
	walPages := func() (n int) {
		t.Helper()
		var busy, done int
		if err := s.readers.QueryRow(`PRAGMA wal_checkpoint(NOOP)`).Scan(&busy, &n, &done); err != nil {
			t.Fatal(err)
		}
		return n
	}
	r, err := s.readers.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := r.QueryRow(`SELECT count(*) FROM updates`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	commit(40)
	if err := r.QueryRow(`SELECT count(*) FROM updates`).Scan(&n); err != nil || n != 0 {
		t.Errorf("the reader sees %d updates, %v, want its own moment", n, err)
	}
	grown := walPages()
	r.Rollback()
	commit(40)
	if n := walPages(); n > grown {
		t.Errorf("the WAL has %d pages, it had %d when the reader let go", n, grown)
	}
}
