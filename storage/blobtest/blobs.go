package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/heapsync/heapsync/blocks"
)

// Blobs runs the conformance tests. open opens the store that is kept in dir, or that dir
// stands for, which is empty at first; a test may open it again.
func Blobs(t *testing.T, open func(t testing.TB, dir string) blocks.Blobs) {
	for _, tt := range []struct {
		name string
		run  func(*bench)
	}{
		{"WhatIsPutCanBeRead", testPut},
		{"PuttingTwiceIsPuttingOnce", testPutTwice},
		{"FileStaysAndMayGo", testFileStays},
		{"WrongSizeIsRefused", testWrongSize},
		{"AbsentBlobsAreNotFound", testAbsent},
		{"RangesAreSlices", testRanges},
		{"FarBlobsSayWhatIsWrong", testFar},
		{"DeletedBlobsAreGone", testDelete},
		{"ListsAreInOrder", testList},
		{"ConcurrentUseIsSafe", testConcurrent},
		{"EndedContextStopsIt", testContext},
		{"ReopenKeepsAll", testReopen},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.run(&bench{T: t, s: open(t, dir), reopen: func() blocks.Blobs { return open(t, dir) }})
		})
	}
}

type bench struct {
	*testing.T
	s      blocks.Blobs
	reopen func() blocks.Blobs
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) wantErr(err, want error, what string) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Errorf("%s: %v, want %v", what, err, want)
	}
}

// noise is n bytes that are the same for the same seed.
func noise(n int, seed uint64) []byte {
	rng := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(n)})
	p := make([]byte, n)
	_, _ = rng.Read(p) // never fails
	return p
}

func hashOf(content []byte) blocks.Hash { return sha256.Sum256(content) }

// file is a synced local file.
func (b *bench) file(content []byte) *os.File {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "staged"))
	b.must(err)
	b.Cleanup(func() { f.Close() })
	_, err = f.Write(content)
	b.must(err)
	b.must(f.Sync())
	return f
}

func (b *bench) put(content []byte) blocks.Hash {
	b.Helper()
	h := hashOf(content)
	b.must(b.s.Put(b.Context(), h, b.file(content), int64(len(content))))
	return h
}

func (b *bench) want(h blocks.Hash, content []byte) {
	b.Helper()
	blob, err := b.s.Open(b.Context(), h)
	b.must(err)
	defer func() { b.must(blob.Close()) }()
	got, err := io.ReadAll(blob)
	if err != nil || !bytes.Equal(got, content) {
		b.Errorf("read %d bytes (%v), want %d", len(got), err, len(content))
	}
	size, err := b.s.Stat(b.Context(), h)
	if err != nil || size != int64(len(content)) || blob.Size() != size {
		b.Errorf("size %d and %d, %v; want %d", size, blob.Size(), err, len(content))
	}
}

func testPut(b *bench) {
	for _, n := range []int{0, 1, 4096, 5<<20 - 1, 5<<20 + 1} {
		content := noise(n, 1)
		b.want(b.put(content), content)
	}
}

func testPutTwice(b *bench) {
	content := noise(100, 1)
	h := b.put(content)
	b.put(content)
	b.want(h, content)
	f := b.file(content)
	for range 2 { // the very same file
		b.must(b.s.Put(b.Context(), h, f, 100))
	}
	b.want(h, content)
	if list, err := b.s.List(b.Context(), blocks.Hash{}, 10); err != nil || len(list) != 1 {
		b.Errorf("listed %v, %v", list, err)
	}
}

func testFileStays(b *bench) {
	content := noise(1000, 1)
	f := b.file(content)
	if _, err := f.Seek(10, io.SeekStart); err != nil {
		b.Fatal(err)
	}
	h := hashOf(content)
	b.must(b.s.Put(b.Context(), h, f, 1000))
	if left, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(left, content) {
		b.Errorf("of the file there are %d bytes, %v", len(left), err)
	}
	if at, err := f.Seek(0, io.SeekCurrent); err != nil || at != 10 {
		b.Errorf("the file stands at %d, %v", at, err)
	}
	b.must(os.Remove(f.Name()))
	b.want(h, content)
}

func testWrongSize(b *bench) {
	content := noise(100, 1)
	for _, size := range []int64{0, 99, 101, -1} {
		b.wantErr(b.s.Put(b.Context(), hashOf(content), b.file(content), size), blocks.ErrInvalid, "a wrong size")
	}
	_, err := b.s.Stat(b.Context(), hashOf(content))
	b.wantErr(err, blocks.ErrNotFound, "after that")
}

// testFar is for those that are [blocks.FarBlobs] only.
func testFar(b *bench) {
	far, ok := b.s.(blocks.FarBlobs)
	if !ok {
		return
	}
	content := noise(100_000, 1)
	h, none := b.put(content), hashOf([]byte("nothing"))
	for _, tt := range []struct {
		hash blocks.Hash
		size int64
		want error
	}{{h, 100_000, nil}, {h, 100_001, blocks.ErrUnavailable}, {h, 99_999, blocks.ErrUnavailable}, {none, 100_000, blocks.ErrNotFound}} {
		blob := far.OpenFar(b.Context(), tt.hash, tt.size)
		if blob.Size() != tt.size {
			b.Errorf("the size is %d, want %d", blob.Size(), tt.size)
		}
		what := fmt.Sprintf("%v with %d bytes", tt.hash == h, tt.size)
		p := make([]byte, 2000)
		n, err := blob.ReadAt(p, 500)
		b.wantErr(err, tt.want, "ReadAt of "+what)
		b.wantErr(blob.Prepare(1000, 2000), tt.want, "Prepare of "+what)
		b.wantErr(blob.Prepare(tt.size, tt.size), nil, "Prepare at the end of "+what)
		b.wantErr(blob.Prepare(3000, 4000), tt.want, "Prepare anew of "+what)
		m, err := io.ReadFull(blob, p[:1500])
		b.wantErr(err, tt.want, "Read of "+what)
		if tt.want == nil && !bytes.Equal(p[:1500], content[3000:4500]) || tt.want != nil && n+m > 0 {
			b.Errorf("read %d and %d bytes of %s", n, m, what)
		}
		_, err = blob.Seek(-10, io.SeekEnd)
		b.must(err)
		if end, err := io.ReadAll(blob); tt.want == nil && (err != nil || !bytes.Equal(end, content[99_990:])) {
			b.Errorf("at the end there are %d bytes, %v", len(end), err)
		}
		b.must(blob.Close())
	}
}

func testAbsent(b *bench) {
	h := hashOf([]byte("nothing"))
	_, err := b.s.Open(b.Context(), h)
	b.wantErr(err, blocks.ErrNotFound, "open")
	_, err = b.s.Stat(b.Context(), h)
	b.wantErr(err, blocks.ErrNotFound, "stat")
	b.must(b.s.Delete(b.Context(), h))
	if list, err := b.s.List(b.Context(), blocks.Hash{}, 10); err != nil || len(list) != 0 {
		b.Errorf("listed %v, %v", list, err)
	}
}

func testRanges(b *bench) {
	content := noise(300_000, 1)
	blob, err := b.s.Open(b.Context(), b.put(content))
	b.must(err)
	defer func() { b.must(blob.Close()) }()
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 50 {
		from := rng.IntN(len(content) + 1)
		p := make([]byte, rng.IntN(len(content)))
		want := content[from:min(from+len(p), len(content))]
		n, err := blob.ReadAt(p, int64(from))
		if !bytes.Equal(p[:n], want) || (n < len(p)) != (err == io.EOF) || err != nil && err != io.EOF {
			b.Fatalf("seed %d: ReadAt(%d, %d): %d bytes, %v", seed, len(p), from, n, err)
		}
		at, err := blob.Seek(int64(from), io.SeekStart)
		if err != nil || at != int64(from) {
			b.Fatalf("seed %d: Seek(%d): %d, %v", seed, from, at, err)
		}
		got, err := io.ReadAll(io.LimitReader(blob, int64(len(p))))
		if err != nil || !bytes.Equal(got, want) {
			b.Fatalf("seed %d: %d bytes after Seek(%d): %d, %v", seed, len(p), from, len(got), err)
		}
	}
	if at, err := blob.Seek(-10, io.SeekEnd); err != nil || at != 300_000-10 {
		b.Errorf("Seek from the end: %d, %v", at, err)
	}
	if got, err := io.ReadAll(blob); err != nil || !bytes.Equal(got, content[300_000-10:]) {
		b.Errorf("the last bytes are %x, %v", got, err)
	}
	if n, err := blob.ReadAt(make([]byte, 1), 300_001); n != 0 || err != io.EOF {
		b.Errorf("beyond the end: %d, %v", n, err)
	}
}

func testDelete(b *bench) {
	one, other := noise(100, 1), noise(100, 2)
	h := b.put(one)
	b.put(other)
	b.must(b.s.Delete(b.Context(), h))
	b.must(b.s.Delete(b.Context(), h))
	_, err := b.s.Open(b.Context(), h)
	b.wantErr(err, blocks.ErrNotFound, "a deleted blob")
	b.want(hashOf(other), other)
	b.put(one)
	b.want(h, one)
}

func testList(b *bench) {
	var want []blocks.BlobSize
	for i := range 300 {
		content := noise(i%7, uint64(i))
		want = append(want, blocks.BlobSize{Hash: b.put(content), Size: int64(len(content))})
	}
	slices.SortFunc(want, func(x, y blocks.BlobSize) int { return bytes.Compare(x.Hash[:], y.Hash[:]) })
	want = slices.Compact(want)
	for _, limit := range []int{1, 7, len(want), 1000} {
		var got []blocks.BlobSize
		after := blocks.Hash{}
		for {
			page, err := b.s.List(b.Context(), after, limit)
			b.must(err)
			got = append(got, page...)
			if len(page) < limit {
				break
			}
			after = page[len(page)-1].Hash
		}
		if !slices.Equal(got, want) {
			b.Errorf("by %d: %d blobs, want %d", limit, len(got), len(want))
		}
	}
}

func testConcurrent(b *bench) {
	content := noise(200_000, 1)
	h := hashOf(content)
	b.put(content)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			f := b.file(content)
			own := noise(1000+i, 2)
			mine := b.file(own)
			for range 10 {
				if err := b.s.Put(b.Context(), h, f, int64(len(content))); err != nil {
					b.Error(err)
				}
				if err := b.s.Put(b.Context(), hashOf(own), mine, int64(len(own))); err != nil {
					b.Error(err)
				}
				blob, err := b.s.Open(b.Context(), h)
				if err != nil {
					b.Error(err)
					continue
				}
				got := make([]byte, 1000)
				if _, err := blob.ReadAt(got, int64(1000*i)); err != nil || !bytes.Equal(got, content[1000*i:1000*i+1000]) {
					b.Errorf("read other bytes, or %v", err)
				}
				if err := errors.Join(blob.Close(), b.s.Delete(b.Context(), hashOf(own))); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.want(h, content)
}

func testContext(b *bench) {
	content := noise(100, 1)
	h := b.put(content)
	ctx, cancel := context.WithCancel(b.Context())
	cancel()
	other := noise(100, 2)
	b.wantErr(b.s.Put(ctx, hashOf(other), b.file(other), 100), context.Canceled, "put")
	_, err := b.s.Open(ctx, h)
	b.wantErr(err, context.Canceled, "open")
	_, err = b.s.Stat(ctx, h)
	b.wantErr(err, context.Canceled, "stat")
	b.wantErr(b.s.Delete(ctx, h), context.Canceled, "delete")
	_, err = b.s.List(ctx, blocks.Hash{}, 10)
	b.wantErr(err, context.Canceled, "list")
	b.want(h, content)
	_, err = b.s.Stat(b.Context(), hashOf(other))
	b.wantErr(err, blocks.ErrNotFound, "what was put with an ended context")
}

func testReopen(b *bench) {
	content := noise(5000, 1)
	h := b.put(content)
	b.s = b.reopen()
	b.want(h, content)
	b.put(noise(5000, 2))
}
