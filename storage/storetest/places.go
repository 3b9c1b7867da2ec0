package storetest

import (
	"fmt"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/blocks/tree"
)

func scannedAt(heap blocks.HeapID, path, block, content string, seen int64) blocks.Scanned {
	return blocks.Scanned{
		Heap: heap, Path: path, Block: blocks.BlockID(block), Parent: "p", State: blocks.ScannedPresent, Seen: seen,
		Stat: tree.Stat{Size: int64(len(content)), MTime: 7, Dev: 1<<63 + 5, Inode: 9 + uint64(len(path))}, Hash: hashOf(content),
	}
}

func (b *bench) wantScanned(what string, list []blocks.Scanned, err error, want ...blocks.Scanned) {
	b.Helper()
	b.must(err)
	if fmt.Sprint(list) != fmt.Sprint(want) && len(list)+len(want) > 0 {
		b.Errorf("%s: %+v, want %+v", what, list, want)
	}
}

func testPlaces(b *bench) {
	ctx := b.Context()
	b.heap("h")
	b.heap("other")
	odd := "/m/odd\n\xff.txt"
	if any, err := b.s.AnyScanned(ctx, "h"); err != nil || any {
		b.Errorf("anything is %v, %v", any, err)
	}
	root := blocks.Scanned{Heap: "h", Path: "/m", Folder: true, Block: "root", State: blocks.ScannedPresent, Seen: 1}
	sub := blocks.Scanned{Heap: "h", Path: "/m/sub", Folder: true, Block: "sub", Parent: "root", State: blocks.ScannedPresent, Seen: 1}
	one, two := scannedAt("h", "/m/a", "a", "x", 1), scannedAt("h", odd, "b", "yy", 1)
	deep, beside := scannedAt("h", "/m/sub/c", "c", "x", 1), scannedAt("h", "/m2/d", "d", "zzz", 1)
	theirs := scannedAt("other", "/m/a", "a", "x", 1)
	b.must(b.s.SaveScanned(ctx, []blocks.Scanned{root, sub, one, two, deep, beside, theirs}, nil))
	b.reopen()
	if any, err := b.s.AnyScanned(ctx, "h"); err != nil || !any {
		b.Errorf("anything is %v, %v", any, err)
	}

	list, err := b.s.ScannedAt(ctx, "h", []string{odd, "/m", "/nothing"})
	b.wantScanned("by path", list, err, root, two)
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprint("/m/none", i)
	}
	many[999] = "/m/a"
	list, err = b.s.ScannedAt(ctx, "h", many)
	b.wantScanned("of many paths", list, err, one)
	hash := one.Hash
	list, err = b.s.ScannedLike(ctx, "h", &hash, tree.Stat{}, 10)
	b.wantScanned("by hash", list, err, one, deep)
	list, err = b.s.ScannedLike(ctx, "h", nil, two.Stat, 10)
	b.wantScanned("by inode", list, err, two)
	got, err := b.s.ScannedBlock(ctx, blocks.BlockKey{Heap: "h", Block: "c"})
	b.wantScanned("by block", []blocks.Scanned{got}, err, deep)
	_, err = b.s.ScannedBlock(ctx, blocks.BlockKey{Heap: "h", Block: "none"})
	b.wantErr(err, blocks.ErrNotFound, "of no block")

	offline := one
	offline.State, offline.Seen = blocks.ScannedOffline, 2
	b.must(b.s.SaveScanned(ctx, []blocks.Scanned{offline}, nil))
	list, err = b.s.PlacesOf(ctx, hash, 10)
	b.must(err)
	if len(list) != 3 || list[2].State != blocks.ScannedOffline {
		b.Errorf("places: %+v", list)
	}

	list, err = b.s.Unseen(ctx, "h", "/m", true, 2, "", 10)
	b.wantScanned("unseen", list, err, two, sub, deep)
	list, err = b.s.Unseen(ctx, "h", "/m", true, 2, odd, 1)
	b.wantScanned("unseen, on", list, err, sub)
	list, err = b.s.Unseen(ctx, "h", "/m", false, 2, "", 10)
	b.wantScanned("unseen in the folder itself", list, err, two, sub)
	if n, err := b.s.CountScanned(ctx, "h", "/m"); err != nil || n != 3 {
		b.Errorf("%d files, %v", n, err)
	}

	moved := deep
	moved.Path = "/m/moved"
	b.must(b.s.SaveScanned(ctx, []blocks.Scanned{moved}, nil))
	list, err = b.s.ScannedAt(ctx, "h", []string{"/m/sub/c", "/m/moved"})
	b.wantScanned("moved", list, err, moved)

	gone := two
	gone.State = blocks.ScannedVanished
	b.must(b.s.SaveScanned(ctx, []blocks.Scanned{gone}, nil))
	n, err := b.s.MarkScanned(ctx, "h", "/m", blocks.ScannedOffline, 5)
	if err != nil || n != 2 {
		b.Errorf("%d files marked, %v", n, err)
	}
	list, err = b.s.Unseen(ctx, "h", "/m", true, 5, "", 10)
	b.wantScanned("what vanished is not looked for", list, err)
	list, err = b.s.ScannedAt(ctx, "h", []string{"/m2/d", odd})
	b.wantScanned("beside", list, err, gone, beside)
}

func testPlacedFiles(b *bench) {
	ctx := b.Context()
	b.heap("h")
	b.commit(b.next(key("h", "a"), "x"), b.next(key("h", "b"), "y"))
	f := blocks.File{Key: key("h", "a"), Hash: hashOf("x"), Size: 10, Name: "a", Mime: "text/plain", User: "ada", At: 3, Placed: true}
	nowhere := f
	nowhere.Key.Block = "nowhere"
	row := scannedAt("h", "/m/a", "a", "x", 1)
	b.must(b.s.SaveScanned(ctx, []blocks.Scanned{row}, []blocks.File{nowhere, f}))
	if got, err := b.s.FileOf(ctx, f.Key); err != nil || got != f {
		b.Errorf("%+v, %v", got, err)
	}
	usage := func(want int64) {
		b.Helper()
		if bytes, _, err := b.s.FileUsage(ctx, "ada"); err != nil || bytes != want {
			b.Errorf("%d bytes used, %v, want %d", bytes, err, want)
		}
	}
	usage(0)
	_, err := b.s.KnownFile(ctx, "ada", f.Hash)
	b.wantErr(err, blocks.ErrNotFound, "a file in place, to be copied")
	if list, err := b.s.BlobsOf(ctx, blocks.Hash{}, 10); err != nil || len(list) != 0 {
		b.Errorf("blobs %v, %v", list, err)
	}
	head, err := b.s.Head(ctx, key("h", "b"))
	b.must(err)
	if changed, err := b.s.FollowFile(ctx, head.Ref, head.Seq, &f.Hash, "", 9); err != nil || !changed {
		b.Errorf("%v, %v", changed, err)
	}
	if got, err := b.s.FileOf(ctx, key("h", "b")); err != nil || !got.Placed {
		b.Errorf("followed: %+v, %v", got, err)
	}
	f.Placed = false
	b.must(b.s.AddFile(ctx, f))
	usage(10)
	f.Placed = true // the bytes are in the store all the same
	b.must(b.s.AddFile(ctx, f))
	if got, err := b.s.FileOf(ctx, f.Key); err != nil || got.Placed {
		b.Errorf("stored: %+v, %v", got, err)
	}
	usage(10)
	b.must(b.s.DeleteHeap(ctx, "h", 1, 2))
	for more := true; more; {
		more, err = b.s.PurgeHeap(ctx, "h")
		b.must(err)
	}
	if list, err := b.s.PlacesOf(ctx, f.Hash, 1); err != nil || len(list) != 0 {
		b.Errorf("places of a purged heap: %v, %v", list, err)
	}
	usage(0)
}

func testScans(b *bench) {
	ctx := b.Context()
	b.heap("h")
	folder := blocks.ScanFolder{Heap: "h", Path: "/m/\xff", Recursive: true, User: "ada", Session: "s"}
	first, err := b.s.AddScan(ctx, blocks.Scan{ID: "one", Folder: folder, Status: blocks.ScanQueued, User: "ada", StartedAt: 3})
	b.must(err)
	folder.Heap = "nowhere"
	_, err = b.s.AddScan(ctx, blocks.Scan{ID: "none", Folder: folder})
	b.wantErr(err, blocks.ErrNotFound, "a scan into no heap")
	first.Status, first.ScanCounts, first.EndedAt, first.Error = blocks.ScanConfirm, blocks.ScanCounts{Found: 5, Vanished: 2}, 8, "why"
	b.must(b.s.SaveScan(ctx, first))
	b.reopen()
	first.Folder.LastAt = 8
	list, err := b.s.Scans(ctx)
	if err != nil || fmt.Sprint(list) != fmt.Sprint([]blocks.Scan{first}) {
		b.Errorf("%+v, %v, want %+v", list, err, first)
	}
	folder.Heap, folder.Watch, folder.User = "h", true, "bob"
	second, err := b.s.AddScan(ctx, blocks.Scan{ID: "two", Folder: folder, Status: blocks.ScanQueued, Confirm: true, User: "bob", StartedAt: 9})
	if err != nil || second.Number <= first.Number || second.Folder.ID != first.Folder.ID {
		b.Errorf("%+v, %v", second, err)
	}
	second.Status, second.EndedAt = blocks.ScanAborted, 20
	b.must(b.s.SaveScan(ctx, second))
	second.Folder.LastAt = 8 // it did not come to its end
	if list, err = b.s.Scans(ctx); err != nil || fmt.Sprint(list) != fmt.Sprint([]blocks.Scan{second}) {
		b.Errorf("%+v, %v, want %+v", list, err, second)
	}
	folders, err := b.s.ScanFolders(ctx)
	if err != nil || fmt.Sprint(folders) != fmt.Sprint([]blocks.ScanFolder{second.Folder}) {
		b.Errorf("%+v, %v", folders, err)
	}
	b.must(b.s.DeleteHeap(ctx, "h", 1, 2))
	if folders, err = b.s.ScanFolders(ctx); err != nil || len(folders) != 0 {
		b.Errorf("of a deleted heap: %+v, %v", folders, err)
	}
}
