package storetest

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/heapsync/heapsync/blocks"
)

func hashOf(s string) blocks.Hash { return sha256.Sum256([]byte(s)) }

// upload is one of ten bytes in chunks of three, by ada.
func upload(k blocks.BlockKey, content string) blocks.Upload {
	return blocks.Upload{Key: k, Hash: hashOf(content), Size: 10, Name: "a.txt", Mime: "text/plain", ChunkSize: 3, User: "ada", At: 5, LastAt: 5}
}

func (b *bench) addUpload(u blocks.Upload) blocks.Upload {
	b.Helper()
	got, added, err := b.s.AddUpload(b.Context(), u, blocks.Quota{})
	b.must(err)
	if !added || got.ID == 0 {
		b.Fatalf("upload %d, added %v", got.ID, added)
	}
	return got
}

func sameUpload(a, b blocks.Upload) bool {
	return slices.Equal(a.State, b.State) && fmt.Sprint(a) == fmt.Sprint(b)
}

func testUploads(b *bench) {
	ctx, k := b.Context(), key("h", "a")
	b.heap("h")
	u := b.addUpload(upload(k, "x"))
	other := b.addUpload(upload(k, "y"))
	again, added, err := b.s.AddUpload(ctx, upload(k, "x"), blocks.Quota{User: 1})
	if err != nil || added || again.ID != u.ID {
		b.Errorf("the same again: %+v, %v, %v", again, added, err)
	}
	_, _, err = b.s.AddUpload(ctx, upload(key("nowhere", "a"), "x"), blocks.Quota{})
	b.wantErr(err, blocks.ErrNotFound, "upload to no heap")

	p := blocks.HashProgress{Hashed: 3, State: []byte("state")}
	for _, chunk := range []int64{2, 0, 2} {
		b.must(b.s.SaveChunk(ctx, u.ID, chunk, true, p, 9))
	}
	b.must(b.s.SaveChunk(ctx, u.ID, 1, true, p, 8))
	b.must(b.s.SaveChunk(ctx, u.ID, 0, false, blocks.HashProgress{}, 7))
	b.wantErr(b.s.SaveChunk(ctx, 99, 0, true, p, 9), blocks.ErrNotFound, "chunk of nothing")
	b.reopen()
	got, chunks, err := b.s.Upload(ctx, k, u.Hash)
	u.LastAt, u.State = 9, []byte{}
	if err != nil || !sameUpload(got, u) || !slices.Equal(chunks, []int64{1, 2}) {
		b.Errorf("%+v, %v, %v, want %+v", got, chunks, err, u)
	}
	b.must(b.s.SaveChunk(ctx, u.ID, 0, true, p, 10))
	if got, _, err = b.s.Upload(ctx, k, u.Hash); err != nil || got.Hashed != 3 || string(got.State) != "state" {
		b.Errorf("%+v, %v", got, err)
	}
	list, err := b.s.UploadsTo(ctx, k)
	if err != nil || len(list) != 2 || list[0].ID != u.ID || list[1].ID != other.ID {
		b.Errorf("uploads %+v, %v", list, err)
	}
	if idle, err := b.s.IdleUploads(ctx, 6, 10); err != nil || len(idle) != 1 || idle[0].ID != other.ID {
		b.Errorf("idle %+v, %v", idle, err)
	}
	if sum, err := b.s.ComingBytes(ctx); err != nil || sum != 10+1 {
		b.Errorf("%d bytes, %v", sum, err)
	}
	if heaps, err := b.s.HeapsWithUpload(ctx, "ada", "a"); err != nil || !slices.Equal(heaps, []blocks.HeapID{"h"}) {
		b.Errorf("heaps %v, %v", heaps, err)
	}
	if heaps, err := b.s.HeapsWithUpload(ctx, "eve", "a"); err != nil || len(heaps) != 0 {
		b.Errorf("a stranger's heaps %v, %v", heaps, err)
	}
	b.must(b.s.RemoveUpload(ctx, u.ID))
	b.must(b.s.RemoveUpload(ctx, u.ID))
	_, _, err = b.s.Upload(ctx, k, u.Hash)
	b.wantErr(err, blocks.ErrNotFound, "a removed upload")
	for id, want := range map[int64]bool{u.ID: false, other.ID: true} {
		if there, err := b.s.UploadExists(ctx, id); err != nil || there != want {
			b.Errorf("upload %d is there: %v, %v", id, there, err)
		}
	}
}

func testSerialUploads(b *bench) {
	ctx, k := b.Context(), key("h", "a")
	b.heap("h")
	want := hashOf("want")
	u, p := upload(k, "a name"), upload(key("h", "b"), "another name")
	u.Serial, p.Serial = &blocks.Serial{Note: "note", Want: &want}, &blocks.Serial{Part: true}
	u, p = b.addUpload(u), b.addUpload(p)
	b.addUpload(upload(key("h", "c"), "in chunks"))
	progress := blocks.HashProgress{Hashed: 4, State: []byte("state")}
	b.must(b.s.SaveProgress(ctx, u.ID, progress, 9))
	b.must(b.s.SaveProgress(ctx, u.ID, progress, 8))
	b.wantErr(b.s.SaveProgress(ctx, 99, progress, 9), blocks.ErrNotFound, "progress of nothing")
	b.reopen()
	got, err := b.s.SerialUpload(ctx, u.Hash)
	if err != nil || got.ID != u.ID || got.Key != k || got.Hashed != 4 || string(got.State) != "state" || got.LastAt != 9 ||
		got.Serial == nil || got.Serial.Part || got.Serial.Note != "note" || got.Serial.Want == nil || *got.Serial.Want != want {
		b.Errorf("%+v, %+v, %v", got, got.Serial, err)
	}
	if got, err := b.s.SerialUpload(ctx, p.Hash); err != nil || got.Serial == nil || !got.Serial.Part || got.Serial.Want != nil {
		b.Errorf("a part: %+v, %+v, %v", got, got.Serial, err)
	}
	_, err = b.s.SerialUpload(ctx, hashOf("in chunks"))
	b.wantErr(err, blocks.ErrNotFound, "an upload in chunks")
	if sum, err := b.s.ComingBytes(ctx); err != nil || sum != 6+10+10 {
		b.Errorf("%d bytes, %v", sum, err)
	}

	_, err = b.s.FileByUpload(ctx, u.Hash)
	b.wantErr(err, blocks.ErrNotFound, "no file yet")
	_, err = b.s.FileByUpload(ctx, blocks.Hash{})
	b.wantErr(err, blocks.ErrNotFound, "no name")
	b.commit(b.next(k, "update"))
	f := file(k, "x")
	b.must(b.s.ExpectBlob(ctx, blocks.BlobSize{Hash: f.Hash, Size: f.Size}, 10))
	b.must(b.s.AddFile(ctx, f))
	_, err = b.s.FileByUpload(ctx, blocks.Hash{})
	b.wantErr(err, blocks.ErrNotFound, "a file that came otherwise")
	f.Upload = u.Hash
	b.must(b.s.AddFile(ctx, f))
	_, err = b.s.SerialUpload(ctx, u.Hash)
	b.wantErr(err, blocks.ErrNotFound, "upload of what is a file")
	again := f
	again.Upload = blocks.Hash{}
	b.must(b.s.AddFile(ctx, again))
	b.reopen()
	if got, err := b.s.FileByUpload(ctx, u.Hash); err != nil || got != f {
		b.Errorf("%+v, %v, want %+v", got, err, f)
	}
	b.must(b.s.AddFile(ctx, file(k, "y")))
	if got, err := b.s.FileByUpload(ctx, u.Hash); err != nil || got != f {
		b.Errorf("when the block has another file: %+v, %v", got, err)
	}

	b.must(b.s.RemoveUpload(ctx, p.ID)) // its name is no blob's
	b.must(b.s.ExpectBlob(ctx, blocks.BlobSize{Hash: hashOf("expected"), Size: 3}, 10))
	mark := func(at int64) []blocks.Hash {
		b.Helper()
		_, _, err := b.s.MarkBlobs(ctx, blocks.Hash{}, at, 100)
		b.must(err)
		list, err := b.s.MarkedBlobs(ctx, 1000, 10)
		b.must(err)
		return list
	}
	if got := mark(100); !slices.Equal(got, []blocks.Hash{hashOf("expected")}) {
		b.Errorf("marked %v", got)
	}
	b.must(b.s.ExpectBlob(ctx, blocks.BlobSize{Hash: hashOf("expected"), Size: 3}, 20))
	if got, err := b.s.MarkedBlobs(ctx, 1000, 10); err != nil || len(got) != 0 {
		b.Errorf("expected again, it is marked: %v, %v", got, err)
	}
	b.must(b.s.DeleteHeap(ctx, "h", 1, 2))
	_, err = b.s.FileByUpload(ctx, u.Hash)
	b.wantErr(err, blocks.ErrNotFound, "in a deleted heap")
}

func testQuota(b *bench) {
	ctx := b.Context()
	b.heap("h")
	b.heap("other")
	b.addUpload(upload(key("h", "a"), "x"))
	for _, tt := range []struct {
		key  blocks.BlockKey
		user blocks.UserID
		q    blocks.Quota
		want error
	}{
		{key("other", "a"), "ada", blocks.Quota{User: 19}, blocks.ErrQuota},
		{key("h", "b"), "bob", blocks.Quota{Heap: 19}, blocks.ErrQuota},
		{key("h", "b"), "bob", blocks.Quota{User: 10, Heap: 20}, nil},
		{key("other", "a"), "ada", blocks.Quota{User: 20, Heap: 10}, nil},
	} {
		u := upload(tt.key, "x")
		u.User = tt.user
		_, _, err := b.s.AddUpload(ctx, u, tt.q)
		b.wantErr(err, tt.want, fmt.Sprint(tt))
	}
	usage := func(user blocks.UserID, bytes, files int64) {
		b.Helper()
		if gotBytes, gotFiles, err := b.s.FileUsage(ctx, user); err != nil || gotBytes != bytes || gotFiles != files {
			b.Errorf("%s uses %d bytes in %d files, %v; want %d in %d", user, gotBytes, gotFiles, err, bytes, files)
		}
	}
	usage("ada", 20, 2)
	usage("bob", 10, 1)
	usage("eve", 0, 0)
	b.commit(b.next(key("h", "a"), "x"))
	b.must(b.s.AddFile(ctx, file(key("h", "a"), "x"))) // instead of the upload
	usage("ada", 20, 2)
	stones, err := b.s.Purge(ctx, []blocks.Doomed{{Ref: b.head(key("h", "a")).Ref}})
	if err != nil || len(stones) != 1 {
		b.Fatalf("purge %v, %v", stones, err)
	}
	usage("ada", 10, 1)
	b.must(b.s.DeleteHeap(ctx, "other", 1, 2))
	_, err = b.s.PurgeHeap(ctx, "other")
	b.must(err)
	usage("ada", 0, 0)
	usage("bob", 10, 1)
}

func file(k blocks.BlockKey, content string) blocks.File {
	return blocks.File{Key: k, Hash: hashOf(content), Size: 10, Name: content + ".txt", Mime: "text/plain", User: "ada", At: 7}
}

func testFiles(b *bench) {
	ctx, k := b.Context(), key("h", "a")
	b.heap("h")
	b.wantErr(b.s.AddFile(ctx, file(k, "x")), blocks.ErrNotFound, "file of no block")
	b.commit(b.next(k, "update"))
	ref := b.head(k).Ref
	_, err := b.s.FileOf(ctx, k)
	b.wantErr(err, blocks.ErrNotFound, "no file")
	want := func(what string, f blocks.File) {
		b.Helper()
		if got, err := b.s.FileOf(ctx, k); err != nil || got != f {
			b.Errorf("%s: file %+v, %v, want %+v", what, got, err, f)
		}
	}
	x, y := file(k, "x"), file(k, "y")
	b.addUpload(upload(k, "x"))
	b.must(b.s.AddFile(ctx, x))
	b.must(b.s.AddFile(ctx, x))
	want("first", x)
	_, _, err = b.s.Upload(ctx, k, x.Hash)
	b.wantErr(err, blocks.ErrNotFound, "upload of what is a file")
	b.must(b.s.AddFile(ctx, y))
	b.reopen()
	want("second", y)

	follow := func(what string, hash *blocks.Hash, name string, changed bool) {
		b.Helper()
		if got, err := b.s.FollowFile(ctx, ref, b.head(k).Seq, hash, name, 20); err != nil || got != changed {
			b.Errorf("%s: changed %v, %v", what, got, err)
		}
	}
	follow("as it is", &y.Hash, "", false)
	follow("the old one", &x.Hash, "", true)
	want("the old one", x)
	follow("a name", &x.Hash, "b.txt", true)
	follow("the same name", &x.Hash, "b.txt", false)
	x.Name = "b.txt"
	want("renamed", x)
	nobodys := hashOf("nobody's")
	follow("a claim", &nobodys, "c", true)
	_, err = b.s.FileOf(ctx, k)
	b.wantErr(err, blocks.ErrNotFound, "a file that is only claimed")
	follow("a claim again", &nobodys, "c", false)
	follow("back", &y.Hash, "", true)
	want("back", y)
	if changed, err := b.s.FollowFile(ctx, ref, b.head(k).Seq-1, nil, "", 20); err != nil || changed {
		b.Errorf("what the document said before: changed %v, %v", changed, err)
	}
	want("what the document said before", y)
	follow("none", nil, "", true)
	follow("none again", nil, "", false)
	_, err = b.s.FileOf(ctx, k)
	b.wantErr(err, blocks.ErrNotFound, "no file any more")

	// Another block of the heap may have it, one of another heap not.
	copied, foreign := key("h", "b"), key("other", "b")
	b.heap("other")
	b.commit(b.next(copied, "update"))
	b.commit(b.next(foreign, "update"))
	for k, changed := range map[blocks.BlockKey]bool{copied: true, foreign: false} {
		if got, err := b.s.FollowFile(ctx, b.head(k).Ref, b.head(k).Seq, &x.Hash, "copy", 30); err != nil || got != changed {
			b.Errorf("%s: changed %v, %v", k, got, err)
		}
	}
	f := x
	f.Key, f.Name, f.User, f.At = copied, "copy", "", 30
	if got, err := b.s.FileOf(ctx, copied); err != nil || got != f {
		b.Errorf("copy %+v, %v, want %+v", got, err, f)
	}
	_, err = b.s.FileOf(ctx, foreign)
	b.wantErr(err, blocks.ErrNotFound, "a copy in another heap")
}

func testKnownFiles(b *bench) {
	ctx := b.Context()
	b.heap("h")
	b.commit(b.next(key("h", "a"), "x"))
	x := file(key("h", "a"), "x")
	b.must(b.s.AddFile(ctx, x))
	known := func(what string, user blocks.UserID, want error) {
		b.Helper()
		_, err := b.s.KnownFile(ctx, user, x.Hash)
		b.wantErr(err, want, what)
	}
	known("the owner", "ada", nil)
	known("a stranger", "eve", blocks.ErrNotFound)
	b.must(b.s.SetRole(ctx, "h", "eve", blocks.RoleViewer, 1))
	known("a viewer", "eve", nil)
	if _, err := b.s.FollowFile(ctx, b.head(x.Key).Ref, b.head(x.Key).Seq, nil, "", 9); err != nil {
		b.Fatal(err)
	}
	known("of a block that had it", "ada", nil)
	b.must(b.s.DeleteHeap(ctx, "h", 1, 2))
	known("in a deleted heap", "ada", blocks.ErrNotFound)
	_, err := b.s.FileOf(ctx, x.Key)
	b.wantErr(err, blocks.ErrNotFound, "file in a deleted heap")
	b.must(b.s.UndeleteHeap(ctx, "h"))
	known("in a heap that came back", "ada", nil)
	_, err = b.s.Purge(ctx, []blocks.Doomed{{Ref: b.head(x.Key).Ref}})
	b.must(err)
	known("of a purged block", "ada", blocks.ErrNotFound)
	b.wantErr(b.s.AddFile(ctx, x), blocks.ErrNotFound, "file of a purged block")
}

func testBlobRefs(b *bench) {
	ctx := b.Context()
	b.heap("h")
	var blobs []blocks.Hash
	for i := range 5 { // 0 stays, 1 is dropped, 2 purged, 3 copied and purged, 4 never came to be
		k := key("h", fmt.Sprint(i))
		b.commit(b.next(k, "x"))
		f := file(k, fmt.Sprint(i))
		blobs = append(blobs, f.Hash)
		if i < 4 {
			b.must(b.s.AddFile(ctx, f))
		}
	}
	ended := b.addUpload(upload(key("h", "4"), "4"))
	follow := func(k blocks.BlockKey, hash *blocks.Hash) {
		b.Helper()
		_, err := b.s.FollowFile(ctx, b.head(k).Ref, b.head(k).Seq, hash, "", 50)
		b.must(err)
	}
	b.commit(b.next(key("h", "copy"), "x"))
	follow(key("h", "copy"), &blobs[3])
	follow(key("h", "1"), nil)
	mark := func(at int64) {
		b.Helper()
		var after blocks.Hash
		for more := true; more; {
			var err error
			after, more, err = b.s.MarkBlobs(ctx, after, at, 2)
			b.must(err)
		}
	}
	marked := func(what string, before int64, want ...int) {
		b.Helper()
		got, err := b.s.MarkedBlobs(ctx, before, 10)
		b.must(err)
		var list []int
		for _, h := range got {
			list = append(list, slices.Index(blobs, h))
		}
		slices.Sort(list)
		if !slices.Equal(list, want) {
			b.Errorf("%s: marked %v, want %v", what, list, want)
		}
	}
	mark(100)
	marked("all are referred to", 1000)
	_, err := b.s.Purge(ctx, []blocks.Doomed{{Ref: b.head(key("h", "2")).Ref}, {Ref: b.head(key("h", "3")).Ref}})
	b.must(err)
	b.must(b.s.RemoveUpload(ctx, ended.ID))
	mark(200)
	marked("purged, and an ended upload", 1000, 2, 4)
	marked("not yet", 200)
	if n, err := b.s.ForgetFiles(ctx, 50, 10); err != nil || n != 0 {
		b.Errorf("forgot %d too early, %v", n, err)
	}
	if n, err := b.s.ForgetFiles(ctx, 51, 10); err != nil || n != 1 {
		b.Errorf("forgot %d, %v", n, err)
	}
	mark(300)
	marked("dropped", 1000, 1, 2, 4)
	marked("the first mark counts", 300, 2, 4)

	release := func(i int, want bool) {
		b.Helper()
		if may, err := b.s.ReleaseBlob(ctx, blobs[i]); err != nil || may != want {
			b.Errorf("release of %d: %v, %v", i, may, err)
		}
	}
	release(0, false)
	b.addUpload(upload(key("h", "0"), "2")) // it is on its way again
	release(2, false)
	marked("no mark any more", 1000, 1, 4)
	b.must(b.s.RemoveBlob(ctx, blobs[1])) // which was not released
	release(1, true)
	b.reopen()
	marked("what a crash left", 1000, 1, 4)
	release(1, true)
	b.must(b.s.RemoveBlob(ctx, blobs[1]))
	marked("gone", 1000, 4)
	release(1, false)
	release(4, true)
	b.must(b.s.AddFile(ctx, file(key("h", "0"), "4")))
	b.must(b.s.RemoveBlob(ctx, blobs[4]))
	marked("a file again", 1000)
	var got []blocks.BlobSize
	for after := (blocks.Hash{}); ; {
		page, err := b.s.BlobsOf(ctx, after, 2)
		b.must(err)
		got = append(got, page...)
		if len(page) < 2 {
			break
		}
		after = page[1].Hash
	}
	want := []blocks.Hash{blobs[0], blobs[3], blobs[4]}
	slices.SortFunc(want, func(x, y blocks.Hash) int { return slices.Compare(x[:], y[:]) })
	if len(got) != 3 || got[0] != (blocks.BlobSize{Hash: want[0], Size: 10}) || got[1].Hash != want[1] || got[2].Hash != want[2] {
		b.Errorf("blobs of files %v, want %v", got, want)
	}
}
