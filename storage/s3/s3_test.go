package s3_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/blobtest"
	"github.com/heapsync/heapsync/storage/s3"
)

func TestBlobs(t *testing.T) {
	at := endpoint(t)
	blobtest.Blobs(t, func(t testing.TB, dir string) blocks.Blobs { return open(t, config(at, prefixOf(dir))) })
}

func TestLargeBlobsAreSentInParts(t *testing.T) {
	s := open(t, config(endpoint(t), "large/"))
	content := noise(40 << 20)
	h := put(t, s, content)
	b, err := s.Open(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes came back, %v", len(got), err)
	}
}

func noise(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(p) // never fails
	return p
}

func stage(t *testing.T, content []byte) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "staged"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	return f
}

func put(t *testing.T, s *s3.Store, content []byte) blocks.Hash {
	t.Helper()
	h := blocks.Hash(sha256.Sum256(content))
	if err := s.Put(t.Context(), h, stage(t, content), int64(len(content))); err != nil {
		t.Fatal(err)
	}
	return h
}

// proxy stands between the store and the server, and does what fault says to a request
// and its answer.
func proxy(t *testing.T, fault func(w http.ResponseWriter, r *http.Request, forward http.Handler)) string {
	t.Helper()
	to, err := url.Parse(endpoint(t))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	// The name of the host is signed, so it stays that of the proxy.
	forward := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host
		r.Out.Host = r.In.Host
	}}
	p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fault(w, r, forward) }))
	t.Cleanup(func() {
		p.Close()
		transport.CloseIdleConnections()
	})
	return p.URL
}

// cut is a writer that breaks the connection off after some bytes.
type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Write(p []byte) (int, error) {
	n, _ := c.ResponseWriter.Write(p[:min(len(p), c.left)])
	if c.left -= n; c.left == 0 {
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, nil
}

func isBlob(r *http.Request, method string) bool {
	return r.Method == method && strings.Contains(r.URL.Path, "/sha256/")
}

func TestReadsGoOnWhereTheyBrokeOff(t *testing.T) {
	var gets atomic.Int32
	at := proxy(t, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		if isBlob(r, http.MethodGet) && gets.Add(1)%2 == 1 {
			w = &cut{w, 1000}
		}
		forward.ServeHTTP(w, r)
	})
	s := open(t, config(at, "cut/"))
	content := noise(3000)
	b, err := s.Open(t.Context(), put(t, s, content))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes came, %v", len(got), err)
	}
	part := make([]byte, 1500)
	if n, err := b.ReadAt(part, 100); err != nil || !bytes.Equal(part, content[100:1600]) {
		t.Errorf("%d bytes came, %v", n, err)
	}
	if gets.Load() < 4 {
		t.Errorf("only %d requests: nothing broke off", gets.Load())
	}
}

func TestRangeCostsOneRequest(t *testing.T) {
	var all, gets atomic.Int32
	s := open(t, config(proxy(t, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		if all.Add(1); isBlob(r, http.MethodGet) {
			gets.Add(1)
		}
		forward.ServeHTTP(w, r)
	}), "once/"))
	content := noise(300_000)
	h := put(t, s, content)
	all.Store(0)
	gets.Store(0)
	b := s.OpenFar(t.Context(), h, int64(len(content)))
	defer b.Close()
	if err := b.Prepare(1000, 5000); err != nil {
		t.Fatal(err)
	}
	for _, to := range []struct {
		offset int64
		whence int
	}{{0, io.SeekEnd}, {0, io.SeekStart}, {1000, io.SeekStart}} { // as http.ServeContent does
		if _, err := b.Seek(to.offset, to.whence); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]byte, 4000)
	if _, err := io.ReadFull(b, got); err != nil || !bytes.Equal(got, content[1000:5000]) {
		t.Errorf("other bytes came, or %v", err)
	}
	if all.Load() != 1 || gets.Load() != 1 {
		t.Errorf("a range cost %d requests, %d of them for bytes", all.Load(), gets.Load())
	}
	if rest, err := io.ReadAll(b); err != nil || !bytes.Equal(rest, content[5000:]) {
		t.Errorf("of the rest %d bytes came, %v", len(rest), err)
	}
	if all.Load() != 2 {
		t.Errorf("all of it cost %d requests, want 2", all.Load())
	}
}

// BenchmarkFirstByte asks for a byte, and for 64 KiB, of an object of 10 GiB: wherever they
// are, they cost the same. "looked" is with asking for the size first.
func BenchmarkFirstByte(b *testing.B) {
	const size = 10 << 30
	s := open(b, config(endpoint(b), "sparse/"))
	h := blocks.Hash{1}
	name := h.String()
	if err := server.PutSparse("sparse/sha256/"+name[:2]+"/"+name[2:4]+"/"+name, size); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	for _, n := range []int64{1, 64 << 10} {
		for _, at := range []int64{0, size / 2, size - n} {
			for _, looked := range []bool{false, true} {
				b.Run(fmt.Sprintf("%d/at%d/looked=%v", n, at, looked), func(b *testing.B) {
					for b.Loop() {
						if looked {
							if _, err := s.Stat(b.Context(), h); err != nil {
								b.Fatal(err)
							}
						}
						blob := s.OpenFar(b.Context(), h, size)
						err := blob.Prepare(at, at+n)
						if err == nil {
							_, err = io.ReadFull(blob, buf[:n])
						}
						if err != nil {
							b.Fatal(err)
						}
						blob.Close()
					}
				})
			}
		}
	}
}

func TestServersThatLieAreFoundOut(t *testing.T) {
	for name, fault := range map[string]func(w http.ResponseWriter, r *http.Request, forward http.Handler){
		"says stored and has not": func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
			if isBlob(r, http.MethodPut) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`)
				return
			}
			forward.ServeHTTP(w, r)
		},
		"stores less": func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
			if isBlob(r, http.MethodHead) {
				w.Header().Set("Content-Length", "3")
				w.Header().Set("Last-Modified", "Mon, 04 May 2026 10:00:00 GMT")
				return
			}
			forward.ServeHTTP(w, r)
		},
		"always fails": func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
			if isBlob(r, http.MethodPut) {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			forward.ServeHTTP(w, r)
		},
		"is full": func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
			if isBlob(r, http.MethodPut) {
				w.WriteHeader(http.StatusInsufficientStorage)
				return
			}
			forward.ServeHTTP(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, config(proxy(t, fault), "lies/"))
			content := []byte("content of " + name)
			err := s.Put(t.Context(), sha256.Sum256(content), stage(t, content), int64(len(content)))
			want := blocks.ErrUnavailable
			if name == "is full" {
				want = blocks.ErrFull
			}
			if !errors.Is(err, want) && !errors.Is(err, blocks.ErrNotFound) {
				t.Errorf("put: %v, want %v", err, want)
			}
		})
	}
}

func TestRangesAreExactOrFail(t *testing.T) {
	content := noise(10_000)
	for name, fault := range map[string]func(w http.ResponseWriter, r *http.Request, forward http.Handler){
		"ignores ranges": func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
			if isBlob(r, http.MethodGet) {
				w.Header().Set("Last-Modified", "Mon, 04 May 2026 10:00:00 GMT")
				_, _ = w.Write(content)
				return
			}
			forward.ServeHTTP(w, r)
		},
		"always breaks off": func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
			if isBlob(r, http.MethodGet) {
				panic(http.ErrAbortHandler)
			}
			forward.ServeHTTP(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, config(proxy(t, fault), "ranges/"))
			b, err := s.Open(t.Context(), put(t, s, content))
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if n, err := b.ReadAt(make([]byte, 100), 50); err == nil || n != 0 {
				t.Errorf("ReadAt: %d bytes, %v", n, err)
			}
			if _, err := b.Seek(50, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(b); err == nil || len(got) != 0 {
				t.Errorf("Read: %d bytes, %v", len(got), err)
			}
		})
	}
}

func TestStalledServerEndsWithTheContext(t *testing.T) {
	release := make(chan struct{})
	at := proxy(t, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		if isBlob(r, http.MethodGet) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
			return
		}
		forward.ServeHTTP(w, r)
	})
	defer close(release)
	s := open(t, config(at, "stall/"))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	b, err := s.Open(ctx, put(t, s, []byte("content")))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Read(make([]byte, 10)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	at := endpoint(t)
	for want, change := range map[string]func(*s3.Config){
		"there is no such bucket": func(c *s3.Config) { c.Bucket = "nothing" },
		"does not let us in":      func(c *s3.Config) { c.SecretKey = "wrong" },
		"must be an address":      func(c *s3.Config) { c.Endpoint = "s3.example.org" },
		"either in the path or":   func(c *s3.Config) { c.Virtual = true },
		"holds no certificate":    func(c *s3.Config) { c.CAFile = "s3_test.go" },
		"read certificates":       func(c *s3.Config) { c.CAFile = "nothing.pem" },
	} {
		cfg := config(at, "wrong/")
		change(&cfg)
		if _, err := s3.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestUploadsThatBrokeOffAreRemoved(t *testing.T) {
	at := endpoint(t)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	core, err := minio.NewCore(strings.TrimPrefix(at, "http://"), &minio.Options{Creds: credentials.NewStaticV4(server.AccessKey, server.SecretKey, ""), Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	key := "stale/sha256/ab/cd/abcd"
	if _, err := core.NewMultipartUpload(t.Context(), server.Bucket, key, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	count := func() (n int) {
		for u := range core.Client.ListIncompleteUploads(t.Context(), server.Bucket, "stale/", true) {
			if u.Err != nil {
				t.Fatal(u.Err)
			}
			n++
		}
		return n
	}
	cfg := config(at, "stale/")
	open(t, cfg)
	if n := count(); n != 1 {
		t.Fatalf("%d uploads are there, want the young one", n)
	}
	cfg.Now = func() time.Time { return time.Now().Add(25 * time.Hour) }
	open(t, cfg)
	if n := count(); n != 0 {
		t.Errorf("%d uploads are left", n)
	}
}

// A file of which a part does not get through, because the server stalls or the line is
// cut in the middle, leaves nothing, and gets through later.
func TestPutsThatBreakOffLeaveNothing(t *testing.T) {
	at := endpoint(t)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	core, err := minio.NewCore(strings.TrimPrefix(at, "http://"), &minio.Options{Creds: credentials.NewStaticV4(server.AccessKey, server.SecretKey, ""), Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, 40<<20) // three parts
	_, _ = rand.NewChaCha8([32]byte{7}).Read(content)
	hash := blocks.Hash(sha256.Sum256(content))
	for name, broken := range map[string]func(r *http.Request, giveUp func()){
		"cut": func(r *http.Request, _ func()) {
			_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
			panic(http.ErrAbortHandler)
		},
		"stalls": func(r *http.Request, giveUp func()) {
			_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
			giveUp() // who waits for it
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var heal atomic.Bool
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			prefix := name + "/"
			s := open(t, config(proxy(t, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
				if !heal.Load() && isBlob(r, http.MethodPut) && r.URL.Query().Get("partNumber") == "2" {
					broken(r, cancel)
				}
				forward.ServeHTTP(w, r)
			}), prefix))
			file := stage(t, content)
			err := s.Put(ctx, hash, file, int64(len(content)))
			if !errors.Is(err, blocks.ErrUnavailable) && !errors.Is(err, context.Canceled) {
				t.Errorf("put: %v", err)
			}
			if _, err := s.Stat(t.Context(), hash); !errors.Is(err, blocks.ErrNotFound) {
				t.Errorf("after it: %v", err)
			}
			for u := range core.Client.ListIncompleteUploads(t.Context(), server.Bucket, prefix, true) {
				t.Errorf("left: %s of %v, %v", u.UploadID, u.Initiated, u.Err)
			}
			heal.Store(true)
			if err := s.Put(t.Context(), hash, file, int64(len(content))); err != nil {
				t.Errorf("later: %v", err)
			}
			if size, err := s.Stat(t.Context(), hash); err != nil || size != int64(len(content)) {
				t.Errorf("later it has %d bytes, %v", size, err)
			}
		})
	}
}
