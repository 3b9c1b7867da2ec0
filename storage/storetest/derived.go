package storetest

import (
	"fmt"
	"slices"

	"github.com/heapsync/heapsync/blocks"
)

// source makes a block of the heap h with a file, which is queued then.
func (b *bench) source(block, content string, user blocks.UserID, at int64) blocks.Hash {
	b.Helper()
	k := key("h", block)
	b.commit(b.next(k, "x"))
	f := file(k, content)
	f.User, f.At = user, at
	b.must(b.s.AddFile(b.Context(), f))
	return f.Hash
}

func (b *bench) wantSource(hash blocks.Hash, want blocks.Source) {
	b.Helper()
	want.Hash, want.Size = hash, 10
	if got, err := b.s.Source(b.Context(), hash); err != nil || got != want {
		b.Errorf("source %+v, %v, want %+v", got, err, want)
	}
}

func testSources(b *bench) {
	ctx := b.Context()
	b.heap("h")
	_, err := b.s.NextSource(ctx, "")
	b.wantErr(err, blocks.ErrNotFound, "nothing to do")
	_, err = b.s.Source(ctx, hashOf("x"))
	b.wantErr(err, blocks.ErrNotFound, "no source")
	x := b.source("a", "x", "ada", 1)
	b.source("b", "x", "bob", 2) // shares it
	for i := range 3 {
		b.source(fmt.Sprint("c", i), fmt.Sprint("ada", i), "ada", int64(10+i))
	}
	b.source("d", "bob", "bob", 20)
	b.source("e", "eve", "eve", 5)
	b.wantSource(x, blocks.Source{User: "ada", Status: blocks.DerivedQueued, At: 1})

	var turns []string
	for after := blocks.UserID(""); len(turns) < 7; {
		next, err := b.s.NextSource(ctx, after)
		if err != nil {
			break
		}
		after = next.User
		turns = append(turns, fmt.Sprint(next.User, next.At))
		got, err := b.s.ClaimSource(ctx, next.Hash, 30)
		if next.Status, next.Tries, next.At = blocks.DerivedRunning, 1, 30; err != nil || got != next {
			b.Errorf("claimed %+v, %v, want %+v", got, err, next)
		}
		_, err = b.s.ClaimSource(ctx, next.Hash, 31)
		b.wantErr(err, blocks.ErrConflict, "claimed twice")
	}
	if want := []string{"ada1", "bob20", "eve5", "ada10", "ada11", "ada12"}; !slices.Equal(turns, want) {
		b.Errorf("turns %v, want %v", turns, want)
	}
	_, err = b.s.NextSource(ctx, "zoe")
	b.wantErr(err, blocks.ErrNotFound, "all are taken")
	done := blocks.Source{Status: blocks.DerivedReady, Facts: `{"width":1}`, Failure: blocks.Failure{Code: "c", Reason: "r"}, Tries: 2, Engine: "e", At: 40}
	done.Hash = x
	b.must(b.s.SaveSource(ctx, done))
	b.reopen()
	done.User = "ada"
	b.wantSource(x, done)
	failed := blocks.Source{Hash: x, Status: blocks.DerivedFailed, Failure: blocks.Failure{Code: blocks.CodeUnsupported, Reason: "no picture"}, At: 50}
	wantFailed := func(want ...blocks.FailedSource) {
		b.Helper()
		b.must(b.s.SaveSource(ctx, failed))
		if got, err := b.s.FailedSources(ctx, 10); err != nil || !slices.Equal(got, want) {
			b.Errorf("failed %+v, %v, want %+v", got, err, want)
		}
	}
	wantFailed()
	failed.Failure = blocks.Failure{Code: blocks.CodeDamaged, Reason: "it ends too early"}
	of := file(key("h", "a"), "x")
	of.User, of.At = "ada", 1
	wantFailed(blocks.FailedSource{Hash: x, File: of, Failure: failed.Failure, At: 50})
	if u, err := b.s.BlobUsage(ctx); err != nil || u.Fails != 1 {
		b.Errorf("usage %+v, %v", u, err)
	}
	done.Hash = hashOf("nobody's")
	b.wantErr(b.s.SaveSource(ctx, done), blocks.ErrNotFound, "save of no source")
}

func testRecovery(b *bench) {
	ctx := b.Context()
	b.heap("h")
	save := func(block, status, engine string, tries int) blocks.Hash {
		b.Helper()
		h := b.source(block, block, "ada", 1)
		b.must(b.s.SaveSource(ctx, blocks.Source{Hash: h, Status: status, Engine: engine, Tries: tries, At: 1}))
		return h
	}
	running, tired := save("a", blocks.DerivedRunning, "", 2), save("b", blocks.DerivedRunning, "", 3)
	old, failed, ready := save("c", blocks.DerivedFailed, "old", 2), save("d", blocks.DerivedFailed, "new", 1), save("e", blocks.DerivedReady, "old", 1)
	picture := func(h blocks.Hash, size int, status, engine string, tries int) blocks.PictureKey {
		b.Helper()
		k := blocks.PictureKey{Hash: h, Kind: "thumbnail", Size: size, Asked: "image/webp"}
		b.must(b.s.SavePictures(ctx, []blocks.Picture{{PictureKey: k, Status: status, Engine: engine, Tries: tries, At: 1}}))
		return k
	}
	went, stays := picture(ready, 1, blocks.DerivedFailed, "old", 1), picture(ready, 2, blocks.DerivedFailed, "new", 1)
	again, killer := picture(ready, 3, blocks.DerivedRunning, "", 2), picture(ready, 4, blocks.DerivedRunning, "", 3)
	b.reopen()
	lost := blocks.Failure{Code: blocks.CodeLost, Reason: "three times"}
	b.must(b.s.RecoverSources(ctx, "new", 3, lost))
	b.wantSource(running, blocks.Source{User: "ada", Status: blocks.DerivedQueued, Tries: 2, At: 1})
	b.wantSource(tired, blocks.Source{User: "ada", Status: blocks.DerivedFailed, Failure: lost, Engine: "new", Tries: 3, At: 1})
	b.wantSource(old, blocks.Source{User: "ada", Status: blocks.DerivedQueued, Engine: "old", At: 1})
	b.wantSource(failed, blocks.Source{User: "ada", Status: blocks.DerivedFailed, Engine: "new", Tries: 1, At: 1})
	b.wantSource(ready, blocks.Source{User: "ada", Status: blocks.DerivedReady, Engine: "old", Tries: 1, At: 1})
	_, err := b.s.Picture(ctx, went)
	b.wantErr(err, blocks.ErrNotFound, "a failure of another engine")
	for k, status := range map[blocks.PictureKey]string{stays: blocks.DerivedFailed, again: blocks.DerivedRunning, killer: blocks.DerivedFailed} {
		if p, err := b.s.Picture(ctx, k); err != nil || p.Status != status {
			b.Errorf("picture %d: %+v, %v, want %s", k.Size, p, err, status)
		}
	}
}

func testUndescribed(b *bench) {
	ctx := b.Context()
	b.heap("h")
	x := b.source("a", "x", "ada", 1)
	b.source("b", "x", "bob", 2)
	y := b.source("c", "y", "ada", 3)
	want := func(what string, hash *blocks.Hash, want ...string) {
		b.Helper()
		list, err := b.s.Undescribed(ctx, hash, 10)
		b.must(err)
		var got []string
		for _, u := range list {
			got = append(got, fmt.Sprint(u.Key.Block, u.User, u.Again))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			b.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	end := func(h blocks.Hash, status string) {
		b.Helper()
		b.must(b.s.SaveSource(ctx, blocks.Source{Hash: h, Status: status, At: 5}))
	}
	want("none has ended", nil)
	end(x, blocks.DerivedReady)
	end(y, blocks.DerivedFailed)
	want("all have ended", nil, "aadafalse", "bbobfalse", "cadafalse")
	want("one", &x, "aadafalse", "bbobfalse")
	if list, err := b.s.Undescribed(ctx, nil, 2); err != nil || len(list) != 2 {
		b.Errorf("at most two: %v, %v", list, err)
	}
	b.must(b.s.SetDescribed(ctx, key("h", "a"), x))
	b.must(b.s.SetDescribed(ctx, key("h", "c"), x)) // which it has not
	b.must(b.s.SetTrashed(ctx, b.head(key("h", "c")).Ref, 9))
	want("but the described and what is in the trash", nil, "bbobfalse")
	b.must(b.s.RegenerateSource(ctx, key("h", "a"), x, 50))
	b.wantSource(x, blocks.Source{User: "ada", Status: blocks.DerivedQueued, At: 50})
	want("made again", nil)
	end(x, blocks.DerivedReady)
	want("made again", nil, "aadatrue", "bbobfalse")
	b.wantErr(b.s.RegenerateSource(ctx, key("h", "a"), y, 50), blocks.ErrNotFound, "another block's file")
	b.must(b.s.SetDescribed(ctx, key("h", "a"), x))
	b.must(b.s.SetDescribed(ctx, key("h", "b"), x))
	b.must(b.s.AddFile(ctx, file(key("h", "a"), "x")))
	want("the same file again", nil)
	b.must(b.s.AddFile(ctx, file(key("h", "a"), "z")))
	b.must(b.s.AddFile(ctx, file(key("h", "a"), "x")))
	want("another file meanwhile", nil, "aadafalse")
	b.must(b.s.DeleteHeap(ctx, "h", 1, 2))
	want("in a deleted heap", nil)
}

func testPictures(b *bench) {
	ctx := b.Context()
	b.heap("h")
	x := b.source("a", "x", "ada", 1)
	b.source("b", "x", "bob", 1)
	p := blocks.Picture{
		PictureKey: blocks.PictureKey{Hash: x, Kind: "thumbnail", Size: 256, Asked: "image/webp"},
		Status:     blocks.DerivedReady, Blob: hashOf("picture"), Mime: "image/jpeg", Bytes: 7, Width: 256, Height: 100, Tries: 1, Engine: "e", At: 5,
	}
	q := p
	q.Kind, q.Position, q.Status, q.Blob, q.Bytes, q.Failure = "video_thumbnail", 12, blocks.DerivedFailed, blocks.Hash{}, 0, blocks.Failure{Code: "damaged", Reason: "why"}
	b.must(b.s.SavePictures(ctx, []blocks.Picture{p, q}))
	b.reopen()
	for _, want := range []blocks.Picture{p, q} {
		if got, err := b.s.Picture(ctx, want.PictureKey); err != nil || got != want {
			b.Errorf("picture %+v, %v, want %+v", got, err, want)
		}
	}
	p.Width = 99
	b.must(b.s.SavePictures(ctx, []blocks.Picture{p}))
	own := p
	own.Block, own.Asked, own.User, own.Bytes = b.head(key("h", "a")).Ref, "", "ada", 20
	b.wantErr(b.s.AddPicture(ctx, own, blocks.Quota{User: 29}), blocks.ErrQuota, "beyond the quota")
	b.wantErr(b.s.AddPicture(ctx, own, blocks.Quota{Heap: 39}), blocks.ErrQuota, "beyond the heap's quota")
	b.must(b.s.AddPicture(ctx, own, blocks.Quota{User: 30, Heap: 40}))
	b.must(b.s.AddPicture(ctx, own, blocks.Quota{User: 30, Heap: 40})) // instead of the first
	usage := func(want int64) {
		b.Helper()
		if bytes, files, err := b.s.FileUsage(ctx, "ada"); err != nil || bytes != want || files != 1 {
			b.Errorf("ada uses %d bytes in %d files, %v; want %d in 1", bytes, files, err, want)
		}
	}
	usage(30)
	foreign := own
	foreign.Hash = hashOf("y")
	b.wantErr(b.s.AddPicture(ctx, foreign, blocks.Quota{}), blocks.ErrNotFound, "a picture of what the block has not")
	foreign = p
	foreign.Hash = hashOf("y")
	b.wantErr(b.s.SavePictures(ctx, []blocks.Picture{foreign}), blocks.ErrNotFound, "a picture of no source")
	list := func(block string, want ...blocks.Picture) {
		b.Helper()
		if got, err := b.s.PicturesOf(ctx, x, b.head(key("h", block)).Ref); err != nil || !slices.Equal(got, want) {
			b.Errorf("pictures of %s: %+v, %v, want %+v", block, got, err, want)
		}
	}
	list("a", p, q, own)
	list("b", p, q)
	if u, err := b.s.BlobUsage(ctx); err != nil || u != (blocks.BlobUsage{Files: 1, FileBytes: 10, Derived: 1, DerivedBytes: 20, Sources: 1, Queued: 1}) {
		b.Errorf("usage %+v, %v", u, err)
	}
	b.must(b.s.RemovePicture(ctx, q.PictureKey))
	b.must(b.s.RemovePicture(ctx, q.PictureKey))
	list("b", p)
	b.must(b.s.ForgetPictures(ctx, x, 5))
	list("b", p)
	b.must(b.s.ForgetPictures(ctx, x, 6))
	list("a", own)
	_, err := b.s.Purge(ctx, []blocks.Doomed{{Ref: b.head(key("h", "a")).Ref}})
	b.must(err)
	if bytes, files, err := b.s.FileUsage(ctx, "ada"); err != nil || bytes != 0 || files != 0 {
		b.Errorf("after the purge ada uses %d bytes in %d files, %v", bytes, files, err)
	}
	list("a")
}

func testPictureRefs(b *bench) {
	ctx := b.Context()
	b.heap("h")
	x := b.source("a", "x", "ada", 1)
	b.source("b", "x", "ada", 1)
	made := hashOf("picture")
	p := blocks.Picture{PictureKey: blocks.PictureKey{Hash: x, Kind: "thumbnail", Size: 256}, Status: blocks.DerivedReady, Blob: made, Bytes: 7, At: 5}
	b.must(b.s.SavePictures(ctx, []blocks.Picture{p}))
	marked := func(what string, want ...blocks.Hash) {
		b.Helper()
		_, _, err := b.s.MarkBlobs(ctx, blocks.Hash{}, 100, 100)
		b.must(err)
		got, err := b.s.MarkedBlobs(ctx, 1000, 10)
		b.must(err)
		slices.SortFunc(want, func(x, y blocks.Hash) int { return slices.Compare(x[:], y[:]) })
		if !slices.Equal(got, want) {
			b.Errorf("%s: marked %v, want %v", what, got, want)
		}
	}
	purge := func(block string) {
		b.Helper()
		_, err := b.s.Purge(ctx, []blocks.Doomed{{Ref: b.head(key("h", block)).Ref}})
		b.must(err)
	}
	release := func(h blocks.Hash, want bool) {
		b.Helper()
		if may, err := b.s.ReleaseBlob(ctx, h); err != nil || may != want {
			b.Errorf("release: %v, %v", may, err)
		}
	}
	if list, err := b.s.BlobsOf(ctx, blocks.Hash{}, 10); err != nil || len(list) != 2 {
		b.Errorf("blobs %v, %v", list, err)
	}
	marked("both are held")
	purge("a")
	marked("one block holds it still")
	purge("b")
	marked("nobody does", x, made)
	if list, err := b.s.BlobsOf(ctx, blocks.Hash{}, 10); err != nil || len(list) != 0 {
		b.Errorf("blobs %v, %v", list, err)
	}
	b.source("c", "x", "ada", 9) // it comes back
	release(made, false)
	release(x, false)
	marked("it came back")
	purge("c")
	marked("it went again", x, made)
	release(made, true)
	_, err := b.s.Picture(ctx, p.PictureKey)
	b.wantErr(err, blocks.ErrNotFound, "a picture whose bytes are going")
	b.must(b.s.RemoveBlob(ctx, made))
	marked("without the picture", x)
	b.must(b.s.SavePictures(ctx, []blocks.Picture{p})) // by who was still at it
	release(x, true)
	b.wantErr(b.s.SavePictures(ctx, []blocks.Picture{p}), blocks.ErrNotFound, "a picture of what is gone")
	_, err = b.s.Source(ctx, x)
	b.wantErr(err, blocks.ErrNotFound, "a source that is gone")
	b.must(b.s.RemoveBlob(ctx, x))
	marked("the late picture", made)
}
