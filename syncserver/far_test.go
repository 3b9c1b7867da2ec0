package syncserver_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/disk"
)

// farStore is a store of blobs that counts what it is asked for, and can fail.
type farStore struct {
	*disk.Store
	asked int
	fails error
}

func (s *farStore) OpenFar(ctx context.Context, hash blocks.Hash, size int64) blocks.FarBlob {
	return &farBlob{open: func() (blocks.Blob, error) {
		if s.asked++; s.fails != nil {
			return nil, s.fails
		}
		return s.Open(ctx, hash)
	}, size: size}
}

// farBlob opens what is in it with the first read.
type farBlob struct {
	blocks.Blob
	open     func() (blocks.Blob, error)
	size, at int64
}

func (b *farBlob) Size() int64 { return b.size }

func (b *farBlob) Prepare(from, _ int64) (err error) {
	if b.Blob == nil {
		if b.Blob, err = b.open(); err != nil {
			return err
		}
	}
	b.at, err = b.Blob.Seek(from, io.SeekStart)
	return err
}

func (b *farBlob) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += b.at
	case io.SeekEnd:
		offset += b.size
	}
	b.at = offset
	return offset, nil
}

func (b *farBlob) Read(p []byte) (int, error) {
	if err := b.Prepare(b.at, b.size); err != nil {
		return 0, err
	}
	n, err := b.Blob.Read(p)
	b.at += int64(n)
	return n, err
}

func (b *farBlob) Close() error {
	if b.Blob == nil {
		return nil
	}
	return b.Blob.Close()
}

func TestFilesThatAreFarAreAskedForOnce(t *testing.T) {
	near, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	far := &farStore{Store: near}
	s := &shared{newWorldWith(t, blocks.Limits{}, func(c *blocks.LogConfig) { c.Blobs = far }), map[string]string{}, map[string]string{}, map[string]string{}}
	s.token["ada"], _ = s.login(t, newDevice(1))
	s.as(t, "ada", "POST", "/api/heap/add", object{"id": "h", "name": "Heap"}).want(t, "heap", 201, "")
	content := noise(5000)
	s.upload(t, "ada", "f", content, nil)
	const path = "/api/file/f/raw/x"
	for _, tt := range []struct {
		headers []string
		status  int
		want    string
		asked   int
	}{
		{nil, 200, content, 1},
		{[]string{"Range", "bytes=100-199"}, 206, content[100:200], 1},
		{[]string{"Range", "bytes=-10"}, 206, content[4990:], 1},
		{[]string{"Range", "bytes=0-9,100-109"}, 206, content[100:110], 1},
		{[]string{"Range", "bytes=0-9", "If-Range", `"other"`}, 200, content, 1},
		{[]string{"Range", "bytes=5000-"}, 416, "", 0},
		{[]string{"If-None-Match", `"` + hexOf(content) + `"`}, 304, "", 0},
	} {
		far.asked = 0
		a := s.raw(t, "ada", path, tt.headers...)
		if a.status != tt.status || !strings.Contains(a.text, tt.want) || far.asked != tt.asked {
			t.Errorf("%q: %d, %d bytes, asked %d times; want %d, %d times", tt.headers, a.status, len(a.text), far.asked, tt.status, tt.asked)
		}
	}
	far.asked = 0
	s.call(t, "HEAD", path, s.token["ada"], nil).want(t, "HEAD", 200, "")
	s.as(t, "ada", "POST", "/api/file/f/ticket", object{}).want(t, "ticket", 200, "")
	if far.asked != 0 {
		t.Errorf("for what says nothing of the bytes it was asked %d times", far.asked)
	}

	far.fails = fmt.Errorf("down: %w", blocks.ErrUnavailable)
	s.raw(t, "ada", path).want(t, "from a store that is down", 503, "unavailable")
	far.fails = nil
	hash, err := blocks.ParseHash(hexOf(content))
	if err == nil {
		err = near.Delete(t.Context(), hash)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.raw(t, "ada", path, "Range", "bytes=0-9").want(t, "what is missing", 500, "internal")
	if !strings.Contains(s.log.String(), "is missing") {
		t.Error("nothing of it is in the log")
	}
}
