package s3_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/heapsync/heapsync/storage/blobtest"
	"github.com/heapsync/heapsync/storage/s3"
)

// server is what all tests of the package talk to.
var server struct {
	sync.Once
	*blobtest.S3Server
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if server.S3Server != nil {
		server.Stop()
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines are left:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// endpoint returns the server's address. It starts with the first test that asks.
func endpoint(t testing.TB) string {
	t.Helper()
	program := blobtest.S3Program(t)
	server.Do(func() { server.S3Server, server.err = blobtest.StartS3(program) })
	if server.err != nil {
		t.Fatal(server.err)
	}
	return server.Endpoint
}

func config(endpoint, prefix string) s3.Config {
	return s3.Config{Endpoint: endpoint, Bucket: server.Bucket, Prefix: prefix, AccessKey: server.AccessKey, SecretKey: server.SecretKey, PathStyle: true}
}

func open(t testing.TB, cfg s3.Config) *s3.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// prefixOf is a prefix of keys that stands for a folder.
func prefixOf(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(sum[:8]) + "/"
}
