package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/ydoc"
)

// A ClosableStore keeps what it holds when it is closed.
type ClosableStore interface {
	blocks.Store
	io.Closer
}

// Store runs the conformance tests. open opens the store kept in dir, which is
// empty at first, with now as its clock; the test closes it and may open it again.
func Store(t *testing.T, open func(t testing.TB, dir string, now func() time.Time) ClosableStore) {
	for _, tt := range []struct {
		name string
		run  func(*bench)
	}{
		{"CommitFillsInWhatItSays", testCommitFillsIn},
		{"CommitStoresAllOrNothing", testCommitAtomic},
		{"CommitRefusesHeadThatIsOutOfDate", testCommitConflict},
		{"CommitKeepsNoSlice", testCommitKeepsNoSlice},
		{"CommitAfterItsContextStoresNothing", testCommitCancelled},
		{"CommitTakesEmptyAndLargeUpdates", testCommitSizes},
		{"ConcurrentCommitsAllArrive", testConcurrentCommits},
		{"ReadersSeeNoHoleInSeqs", testSeqGapless},
		{"AtGrowsWhateverTheClockDoes", testAtMonotone},
		{"StateIsSnapshotAndTail", testTail},
		{"SnapshotOnlyMovesForward", testSnapshotForward},
		{"SnapshotCanBeReplaced", testReplaceSnapshot},
		{"WindowsTakeThePlaceOfUpdates", testWindows},
		{"FoldingRefusesWhatIsNotThere", testFoldRefused},
		{"LogIsWholeWhileItIsFolded", testFoldConcurrent},
		{"DueIsWhatIsOld", testDue},
		{"NamedVersionsStayBoundaries", testVersions},
		{"FirstClaimStays", testClaims},
		{"HeldUpdatesStayOutsideTheLog", testHeld},
		{"QuarantineIsKept", testQuarantine},
		{"TrashIsMarked", testTrashed},
		{"TrashIsListed", testTrashList},
		{"PurgeLeavesATombstone", testPurge},
		{"DeletedHeapsComeBackUntilTheyArePurged", testHeapDeletion},
		{"UnknownBlocksAreNotFound", testNotFound},
		{"HeapsAndTheirLists", testHeaps},
		{"RolesComeAndGo", testRoles},
		{"HeapsChangeHands", testTransfer},
		{"InvitesAreGoodForSoLong", testInvites},
		{"ChangedPages", testPages},
		{"SeqsAreOfAllBlocks", testSeqs},
		{"DaysCountUpdates", testUpdateDays},
		{"ServerTimeFollowsTheClock", testServerTime},
		{"PollersMissNothing", testDelta},
		{"PollersMissNothingOfConcurrentWriters", testDeltaConcurrent},
		{"UploadsKeepTheirChunks", testUploads},
		{"UploadsComeFromFrontToBack", testSerialUploads},
		{"QuotasCountFilesAndUploads", testQuota},
		{"BlocksHaveTheFilesTheyWereGiven", testFiles},
		{"ScannedFilesAreKnownByPathHashAndBlock", testPlaces},
		{"FilesInPlaceCountAgainstNoQuota", testPlacedFiles},
		{"ScansAreRemembered", testScans},
		{"FilesAreKnownToWhoCanReadThem", testKnownFiles},
		{"BlobsAreMarkedBeforeTheyGo", testBlobRefs},
		{"SourcesAreTakenInTurn", testSources},
		{"WhatWasRunningIsRecovered", testRecovery},
		{"BlocksAreDescribedOnce", testUndescribed},
		{"PicturesBelongToTheirSource", testPictures},
		{"PicturesGoWithTheirSource", testPictureRefs},
		{"ReopenKeepsAll", testReopen},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &bench{T: t, dir: t.TempDir(), open: open}
			b.clock.Store(1_700_000_000_000)
			b.s = open(t, b.dir, b.now)
			defer func() {
				if err := b.s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}()
			tt.run(b)
		})
	}
}

// bench is a store with a clock that stands until it is set.
type bench struct {
	*testing.T
	s     ClosableStore
	clock atomic.Int64 // Unix ms
	dir   string
	open  func(testing.TB, string, func() time.Time) ClosableStore
}

func (b *bench) now() time.Time { return time.UnixMilli(b.clock.Load()) }

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) wantErr(err, want error, what string) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Fatalf("%s: %v, want %v", what, err, want)
	}
}

func (b *bench) heap(id blocks.HeapID) {
	b.Helper()
	b.must(b.s.CreateHeap(b.Context(), blocks.Heap{ID: id, Name: "Heap " + string(id), Owner: "ada", CreatedAt: 5, UpdatedAt: 5}))
}

// next is a commit of updates to the block, upon its head as it is stored.
func (b *bench) next(key blocks.BlockKey, updates ...string) *blocks.BlockCommit {
	b.Helper()
	head, err := b.s.Head(b.Context(), key)
	if errors.Is(err, blocks.ErrNotFound) {
		head = blocks.Head{Key: key, Type: "note", SyncVersion: 1}
	} else {
		b.must(err)
	}
	return upon(head, updates...)
}

func upon(head blocks.Head, updates ...string) *blocks.BlockCommit {
	c := &blocks.BlockCommit{Head: head}
	for _, u := range updates {
		c.Head.Bytes += int64(len(u))
		c.Updates = append(c.Updates, blocks.LoggedUpdate{User: "ada", Session: "laptop", Bytes: []byte(u)})
	}
	c.Head.StateVector = fmt.Appendf(nil, "%d bytes", c.Head.Bytes)
	return c
}

func (b *bench) commit(commits ...*blocks.BlockCommit) *blocks.Batch {
	b.Helper()
	batch := &blocks.Batch{Blocks: commits}
	b.must(b.s.Commit(b.Context(), batch))
	return batch
}

func (b *bench) head(key blocks.BlockKey) blocks.Head {
	b.Helper()
	h, err := b.s.Head(b.Context(), key)
	b.must(err)
	return h
}

// wantLog checks the tail's bytes.
func (b *bench) wantLog(key blocks.BlockKey, want ...string) {
	b.Helper()
	head, snap, tail, err := b.s.State(b.Context(), key)
	b.must(err)
	var got []string
	last, size := snap.Seq, int64(0)
	for _, u := range tail {
		got = append(got, string(u.Bytes))
		if u.Seq <= last {
			b.Errorf("tail of %s: seq %d after %d", key, u.Seq, last)
		}
		last = u.Seq
		size += int64(len(u.Bytes))
	}
	if !slices.Equal(got, want) {
		b.Errorf("tail of %s is %q, want %q", key, got, want)
	}
	if last != head.Seq || head.Tail != int64(len(tail)) || head.TailBytes != size || snap.Seq != head.SnapshotSeq {
		b.Errorf("head %+v does not fit its tail of %d updates, %d bytes, up to %d", head, len(tail), size, last)
	}
}

func key(heap blocks.HeapID, block any) blocks.BlockKey {
	return blocks.BlockKey{Heap: heap, Block: blocks.BlockID(fmt.Sprint(block))}
}

func testCommitFillsIn(b *bench) {
	b.heap("h")
	k := key("h", "a")
	c := b.next(k, "one", "two")
	c.Head.Shape = blocks.Shape{Depth: 7, Items: 8, Branches: 9, Keyed: true, Wide: true}
	batch := b.commit(c)
	if batch.At != b.clock.Load() {
		b.Errorf("At is %d, want the clock's %d", batch.At, b.clock.Load())
	}
	want := blocks.Head{Key: k, Ref: c.Head.Ref, Type: "note", Seq: 2, SyncVersion: 1, StateVector: []byte("6 bytes"), Bytes: 6,
		Shape: c.Head.Shape, Tail: 2, TailBytes: 6, Updates: 2, Raw: 2, CreatedAt: batch.At, UpdatedAt: batch.At}
	sameHead(b, c.Head, want)
	sameHead(b, b.head(k), want)
	if c.Head.Ref == 0 || c.Updates[0].Seq != 1 || c.Updates[1].Seq != 2 || c.Updates[1].At != batch.At {
		b.Errorf("filled in: %+v", c)
	}

	b.clock.Add(10)
	c2 := b.next(k, "three")
	later := b.commit(c2)
	want.Seq, want.Bytes, want.StateVector, want.Tail, want.TailBytes, want.UpdatedAt = 3, 11, []byte("11 bytes"), 3, 11, later.At
	want.Updates, want.Raw = 3, 3
	sameHead(b, c2.Head, want)
	sameHead(b, b.head(k), want)
	_, _, tail, err := b.s.State(b.Context(), k)
	b.must(err)
	wantTail := []blocks.LoggedUpdate{
		{Seq: 1, At: batch.At, User: "ada", Session: "laptop", Bytes: []byte("one")},
		{Seq: 2, At: batch.At, User: "ada", Session: "laptop", Bytes: []byte("two")},
		{Seq: 3, At: later.At, User: "ada", Session: "laptop", Bytes: []byte("three")},
	}
	if fmt.Sprint(tail) != fmt.Sprint(wantTail) {
		b.Errorf("tail is %v, want %v", tail, wantTail)
	}
}

func sameHead(b *bench, got, want blocks.Head) {
	b.Helper()
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		b.Errorf("head is\n%+v, want\n%+v", got, want)
	}
}

func testCommitAtomic(b *bench) {
	b.heap("h")
	b.commit(b.next(key("h", 1), "a"), b.next(key("h", 2), "b"))
	stale := b.next(key("h", 2), "lost")
	stale.Hold = []blocks.HeldUpdate{{User: "ada", Bytes: []byte("lost")}}
	b.commit(b.next(key("h", 2), "c"))

	fine, fresh := b.next(key("h", 1), "lost"), b.next(key("h", 3), "lost")
	fine.Claims = []blocks.Claim{{Client: 7, User: "ada"}}
	fine.Updates[0].User = "never seen before"
	before := fmt.Sprintf("%+v %+v %+v", fine, fresh, stale)
	err := b.s.Commit(b.Context(), &blocks.Batch{Blocks: []*blocks.BlockCommit{fine, fresh, stale}})
	b.wantErr(err, blocks.ErrConflict, "batch with a stale head")
	if after := fmt.Sprintf("%+v %+v %+v", fine, fresh, stale); after != before {
		b.Errorf("a failed batch was changed:\n%s, was\n%s", after, before)
	}
	b.wantLog(key("h", 1), "a")
	b.wantLog(key("h", 2), "b", "c")
	_, err = b.s.Head(b.Context(), key("h", 3))
	b.wantErr(err, blocks.ErrNotFound, "block of a failed batch")
	claims, err := b.s.Claims(b.Context(), fine.Head.Ref, []ydoc.ClientID{7})
	b.must(err)
	if len(claims) != 0 {
		b.Errorf("claims of a failed batch: %v", claims)
	}
	// What the failed batch would have used is used by the next one.
	c := b.next(key("h", 1), "d")
	c.Updates[0].User = "never seen before"
	b.commit(c)
	if c.Updates[0].Seq != 4 {
		b.Errorf("seq after a failed batch is %d, want 4", c.Updates[0].Seq)
	}
	_, _, tail, err := b.s.State(b.Context(), key("h", 1))
	b.must(err)
	if tail[1].User != "never seen before" {
		b.Errorf("user is %q", tail[1].User)
	}
}

func testCommitConflict(b *bench) {
	b.heap("h")
	k := key("h", "a")
	first, second := b.next(k, "one"), b.next(k, "two")
	b.commit(first)
	b.wantErr(b.s.Commit(b.Context(), &blocks.Batch{Blocks: []*blocks.BlockCommit{second}}), blocks.ErrConflict, "create again")
	stale, fine := b.next(k, "stale"), b.next(k, "three")
	b.commit(fine)
	b.wantErr(b.s.Commit(b.Context(), &blocks.Batch{Blocks: []*blocks.BlockCommit{stale}}), blocks.ErrConflict, "stale head")
	b.wantErr(b.s.Commit(b.Context(), &blocks.Batch{Blocks: []*blocks.BlockCommit{b.next(key("nowhere", "a"), "x")}}),
		blocks.ErrNotFound, "block in no heap")
	b.wantLog(k, "one", "three")

	// Of many at once upon the same head exactly one wins.
	var won atomic.Int32
	var wg sync.WaitGroup
	head := b.head(k)
	for i := range 20 {
		wg.Go(func() {
			c := upon(head, fmt.Sprint(i))
			switch err := b.s.Commit(b.Context(), &blocks.Batch{Blocks: []*blocks.BlockCommit{c}}); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, blocks.ErrConflict):
				b.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || b.head(k).Seq != head.Seq+1 {
		b.Errorf("%d of 20 commits upon one head were stored, and seq went from %d to %d", won.Load(), head.Seq, b.head(k).Seq)
	}
}

func testCommitKeepsNoSlice(b *bench) {
	b.heap("h")
	c := b.next(key("h", "a"), "hello")
	c.Hold = []blocks.HeldUpdate{{User: "ada", Bytes: []byte("later")}}
	b.commit(c)
	clear(c.Updates[0].Bytes)
	clear(c.Hold[0].Bytes)
	clear(c.Head.StateVector)
	b.wantLog(key("h", "a"), "hello")
	if sv := b.head(key("h", "a")).StateVector; string(sv) != "5 bytes" {
		b.Errorf("state vector is %q", sv)
	}
	state := []byte("state")
	b.must(b.s.SaveSnapshot(b.Context(), blocks.Snapshot{Ref: c.Head.Ref, Seq: c.Head.Seq, State: state}))
	clear(state)
	_, snap, _, err := b.s.State(b.Context(), key("h", "a"))
	b.must(err)
	if string(snap.State) != "state" {
		b.Errorf("snapshot is %q", snap.State)
	}
}

func testCommitCancelled(b *bench) {
	b.heap("h")
	c := b.next(key("h", "a"), "x")
	ctx, cancel := context.WithCancel(b.Context())
	cancel()
	err := b.s.Commit(ctx, &blocks.Batch{Blocks: []*blocks.BlockCommit{c}})
	if err == nil { // the store may have been faster
		b.wantLog(key("h", "a"), "x")
		return
	}
	b.wantErr(err, context.Canceled, "commit with a context that has ended")
	_, err = b.s.Head(b.Context(), key("h", "a"))
	b.wantErr(err, blocks.ErrNotFound, "block of a cancelled commit")
}

func testCommitSizes(b *bench) {
	b.heap("h")
	large := string(bytes.Repeat([]byte("large "), 1<<20/6))
	c := b.next(key("h", "a"), "", large, "")
	c.Head.StateVector = nil
	b.commit(c)
	b.wantLog(key("h", "a"), "", large, "")

	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	b.commit(b.next(key("h", "b"), many...), b.next(key("h", "c"), many[:65]...))
	b.wantLog(key("h", "b"), many...)
	b.wantLog(key("h", "c"), many[:65]...)
	b.commit() // nothing at all
}

func testConcurrentCommits(b *bench) {
	b.heap("h")
	const writers, rounds = 20, 15
	var seen sync.Map // every seq that was given out
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			k := key("h", n)
			head := blocks.Head{Key: k, SyncVersion: 1}
			for i := range rounds {
				c := upon(head, fmt.Sprintf("%d.%d.0", n, i), fmt.Sprintf("%d.%d.1", n, i))
				if err := b.s.Commit(b.Context(), &blocks.Batch{Blocks: []*blocks.BlockCommit{c}}); err != nil {
					b.Error(err)
					return
				}
				head = c.Head
				for _, u := range c.Updates {
					if _, twice := seen.LoadOrStore(u.Seq, true); twice {
						b.Errorf("seq %d was given out twice", u.Seq)
					}
				}
			}
		})
	}
	wg.Wait()
	for n := range writers {
		var want []string
		for i := range rounds {
			want = append(want, fmt.Sprintf("%d.%d.0", n, i), fmt.Sprintf("%d.%d.1", n, i))
		}
		b.wantLog(key("h", n), want...)
	}
}

// Each block has one update, so a list of all blocks is a list of all seqs.
func testSeqGapless(b *bench) {
	b.heap("h")
	const writers, rounds = 8, 40
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			for i := range rounds {
				c := upon(blocks.Head{Key: key("h", fmt.Sprintf("%d-%d", n, i)), SyncVersion: 1}, "x")
				if err := b.s.Commit(b.Context(), &blocks.Batch{Blocks: []*blocks.BlockCommit{c}}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for done := false; !done; {
		p, err := b.s.Changed(b.Context(), "h", 0, 0, writers*rounds+1)
		b.must(err)
		for i, h := range p.Heads {
			if h.Seq != blocks.Seq(i+1) {
				b.Fatalf("head %d of a page has seq %d", i, h.Seq)
			}
		}
		done = len(p.Heads) == writers*rounds || b.Failed()
	}
	wg.Wait()
}

func testAtMonotone(b *bench) {
	b.heap("h")
	last := int64(0)
	for i, step := range []int64{0, 0, 1, -3_600_000, 0, 5, 365 * 86_400_000, -365 * 86_400_000, 2_000, 0} {
		b.clock.Add(step)
		batch := b.commit(b.next(key("h", "a"), "x"), b.next(key("h", "b"), "y"))
		if batch.At <= last || batch.At < b.clock.Load() {
			b.Errorf("step %d: At is %d after %d, at clock %d", i, batch.At, last, b.clock.Load())
		}
		last = batch.At
	}
	b.reopen()
	if batch := b.commit(b.next(key("h", "a"), "x")); batch.At <= last {
		b.Errorf("At is %d after %d and a restart", batch.At, last)
	}
}

func testTail(b *bench) {
	b.heap("h")
	ctx := b.Context()
	k := key("h", "a")
	for i := range 6 {
		b.commit(b.next(k, fmt.Sprint("a", i)), b.next(key("h", "other"), "o"))
	}
	head, _, tail, err := b.s.State(ctx, k)
	b.must(err)
	b.wantLog(k, "a0", "a1", "a2", "a3", "a4", "a5")
	b.must(b.s.SaveSnapshot(ctx, blocks.Snapshot{Ref: head.Ref, Seq: tail[3].Seq, State: []byte("up to a3")}))
	b.wantLog(k, "a4", "a5")
	_, snap, _, err := b.s.State(ctx, k)
	b.must(err)
	if string(snap.State) != "up to a3" || snap.Ref != head.Ref || snap.Seq != tail[3].Seq {
		b.Errorf("snapshot is %+v", snap)
	}
	b.commit(b.next(k, "a6"))
	b.wantLog(k, "a4", "a5", "a6")
	b.must(b.s.SaveSnapshot(ctx, blocks.Snapshot{Ref: head.Ref, Seq: b.head(k).Seq, State: nil}))
	b.wantLog(k)
	b.wantLog(key("h", "other"), "o", "o", "o", "o", "o", "o")
	if got := b.head(k); got.Bytes != 14 || got.UpdatedAt < head.UpdatedAt {
		b.Errorf("head after snapshots: %+v", got)
	}
}

func testSnapshotForward(b *bench) {
	b.heap("h")
	ctx := b.Context()
	k := key("h", "a")
	b.commit(b.next(k, "one"))
	b.commit(b.next(k, "two"))
	h := b.head(k)
	b.must(b.s.SaveSnapshot(ctx, blocks.Snapshot{Ref: h.Ref, Seq: 2, State: []byte("new")}))
	b.must(b.s.SaveSnapshot(ctx, blocks.Snapshot{Ref: h.Ref, Seq: 1, State: []byte("old")}))
	b.must(b.s.SaveSnapshot(ctx, blocks.Snapshot{Ref: h.Ref, Seq: 2, State: []byte("same")}))
	_, snap, _, err := b.s.State(ctx, k)
	b.must(err)
	if snap.Seq != 2 || string(snap.State) != "new" {
		b.Errorf("snapshot is %+v", snap)
	}
	b.wantErr(b.s.SaveSnapshot(ctx, blocks.Snapshot{Ref: h.Ref, Seq: 3}), blocks.ErrInvalid, "snapshot of the future")
	b.wantErr(b.s.SaveSnapshot(ctx, blocks.Snapshot{Ref: 99, Seq: 1}), blocks.ErrNotFound, "snapshot of nothing")
}

func testClaims(b *bench) {
	b.heap("h")
	ctx := b.Context()
	c := b.next(key("h", "a"), "x")
	c.Claims = []blocks.Claim{{Client: 1, User: "ada"}, {Client: 1<<53 - 1, User: "ada"}, {Client: 0, User: "bob"}}
	b.commit(c)
	c2 := b.next(key("h", "a"), "y")
	c2.Claims = []blocks.Claim{{Client: 1, User: "eve"}, {Client: 2, User: "eve"}}
	other := b.next(key("h", "b"), "z")
	other.Claims = []blocks.Claim{{Client: 1, User: "eve"}}
	b.commit(c2, other)

	got := map[ydoc.ClientID]blocks.UserID{}
	claims, err := b.s.Claims(ctx, c.Head.Ref, []ydoc.ClientID{0, 1, 2, 3, 1<<53 - 1, 1 << 60})
	b.must(err)
	for _, cl := range claims {
		got[cl.Client] = cl.User
	}
	want := map[ydoc.ClientID]blocks.UserID{0: "bob", 1: "ada", 2: "eve", 1<<53 - 1: "ada"}
	if !maps.Equal(got, want) || len(claims) != len(want) {
		b.Errorf("claims are %v, want %v", claims, want)
	}
	claims, err = b.s.Claims(ctx, other.Head.Ref, []ydoc.ClientID{1})
	b.must(err)
	if len(claims) != 1 || claims[0].User != "eve" {
		b.Errorf("claims of the other block are %v", claims)
	}
	if claims, err = b.s.Claims(ctx, c.Head.Ref, nil); err != nil || len(claims) != 0 {
		b.Errorf("no claims asked for: %v, %v", claims, err)
	}
	bad := b.next(key("h", "a"), "z")
	bad.Claims = []blocks.Claim{{Client: 1 << 53, User: "ada"}}
	b.wantErr(b.s.Commit(ctx, &blocks.Batch{Blocks: []*blocks.BlockCommit{bad}}), blocks.ErrInvalid, "client id over 53 bits")
}

func testHeld(b *bench) {
	b.heap("h")
	ctx := b.Context()
	k := key("h", "a")
	c := b.next(k)
	c.Hold = []blocks.HeldUpdate{{User: "ada", Session: "laptop", Bytes: []byte("first")}, {User: "bob", Bytes: []byte("second")}}
	created := b.commit(c)
	if c.Head.Held != 2 || c.Head.HeldBytes != 11 || c.Head.Seq != 0 || c.Hold[0].ID == 0 || c.Hold[1].At != created.At {
		b.Errorf("filled in: %+v", c)
	}
	sameHead(b, b.head(k), c.Head)
	b.wantLog(k)
	held, err := b.s.Held(ctx, c.Head.Ref)
	b.must(err)
	if fmt.Sprint(held) != fmt.Sprint(c.Hold) {
		b.Errorf("held is %v, want %v", held, c.Hold)
	}
	wantBytes := func(user blocks.UserID, want int64) {
		b.Helper()
		if n, err := b.s.HeldBytesOf(ctx, user); err != nil || n != want {
			b.Errorf("held bytes of %s: %d, %v, want %d", user, n, err, want)
		}
	}
	wantBytes("ada", 5)
	wantBytes("bob", 6)
	wantBytes("eve", 0)

	b.clock.Add(1000)
	c2 := b.next(k, "missing", "first")
	c2.Release = held[:1]
	c2.Hold = []blocks.HeldUpdate{{User: "ada", Session: "phone", Bytes: []byte("third")}}
	b.commit(c2)
	if c2.Head.Held != 2 || c2.Head.HeldBytes != 11 {
		b.Errorf("filled in: %+v", c2.Head)
	}
	sameHead(b, b.head(k), c2.Head)
	b.wantLog(k, "missing", "first")

	// Holding an update changes nothing that others can see.
	b.clock.Add(1000)
	c3 := b.next(k)
	c3.Release = held[:1] // a second time
	c3.Hold = []blocks.HeldUpdate{{User: "bob", Bytes: []byte("4th")}}
	b.commit(c3)
	if c3.Head.Seq != c2.Head.Seq || c3.Head.UpdatedAt != c2.Head.UpdatedAt || c3.Head.Held != 3 || c3.Head.HeldBytes != 14 {
		b.Errorf("head after a hold is %+v, was %+v", c3.Head, c2.Head)
	}
	n, err := b.s.ExpireHeld(ctx, created.At+1)
	b.must(err)
	if h := b.head(k); n != 1 || h.Held != 2 || h.HeldBytes != 8 {
		b.Errorf("%d expired, head is %+v", n, h)
	}
	wantBytes("ada", 5)
	wantBytes("bob", 3)

	// One that has expired can be released, and hits no other.
	c4 := b.next(k, "late")
	c4.Release = held[1:]
	b.commit(c4)
	if held, err = b.s.Held(ctx, c.Head.Ref); err != nil || len(held) != 2 || string(held[0].Bytes) != "third" {
		b.Errorf("held is %v, %v", held, err)
	}
}

func testQuarantine(b *bench) {
	b.heap("h")
	k := key("h", "a")
	b.commit(b.next(k, "x"))
	before := b.head(k)
	b.must(b.s.Quarantine(b.Context(), before.Ref, "cannot be read"))
	want := before
	want.Quarantine = "cannot be read"
	sameHead(b, b.head(k), want)
	if got, err := b.s.Quarantined(b.Context(), 10); err != nil || !slices.Equal(got, []blocks.QuarantinedBlock{{Key: k, Reason: "cannot be read"}}) {
		b.Errorf("quarantined %+v, %v", got, err)
	}
	stale := upon(before, "y") // the domain should not, but the mark must survive it
	b.commit(stale)
	if q := b.head(k).Quarantine; q != "cannot be read" {
		b.Errorf("quarantine is %q after a commit", q)
	}
	b.wantErr(b.s.Quarantine(b.Context(), 99, "x"), blocks.ErrNotFound, "quarantine of nothing")
}

func testNotFound(b *bench) {
	ctx := b.Context()
	_, err := b.s.Head(ctx, key("h", "a"))
	b.wantErr(err, blocks.ErrNotFound, "head without a heap")
	b.heap("h")
	_, err = b.s.Head(ctx, key("h", "a"))
	b.wantErr(err, blocks.ErrNotFound, "head")
	_, _, _, err = b.s.State(ctx, key("h", "a"))
	b.wantErr(err, blocks.ErrNotFound, "state")
	if held, err := b.s.Held(ctx, 99); err != nil || len(held) != 0 {
		b.Errorf("held of nothing: %v, %v", held, err)
	}
	if p, err := b.s.Changed(ctx, "nowhere", -1, 0, 10); err != nil || len(p.Heads) != 0 || p.More {
		b.Errorf("changes of no heap: %+v, %v", p, err)
	}
}
