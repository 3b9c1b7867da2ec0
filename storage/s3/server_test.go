package s3_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"go.uber.org/goleak"

	"github.com/heapsync/heapsync/storage/s3"
)

// A real S3 server runs for all tests of the package: versitygw, which .ci/test builds and
// names in HEAPSYNC_S3_SERVER.

const accessKey, secretKey, bucket = "test-access-key", "test-secret-key", "blobs"

// server is what the tests talk to.
var server struct {
	sync.Once
	endpoint string
	err      error
	stop     func()
}

func TestMain(m *testing.M) {
	code := m.Run()
	if server.stop != nil {
		server.stop()
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines are left:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// endpoint returns the server's address, which starts with the first test that asks.
func endpoint(t testing.TB) string {
	t.Helper()
	program := os.Getenv("HEAPSYNC_S3_SERVER")
	if program == "" {
		if strings.Contains(","+os.Getenv("REQUIRE_TESTS")+",", ",s3,") {
			t.Fatal("HEAPSYNC_S3_SERVER must name the versitygw program")
		}
		t.Skip("SKIPPED: HEAPSYNC_S3_SERVER does not name the versitygw program (.ci/test builds it)")
	}
	server.Do(func() { server.endpoint, server.stop, server.err = start(program) })
	if server.err != nil {
		t.Fatal(server.err)
	}
	return server.endpoint
}

func start(program string) (string, func(), error) {
	dir, err := os.MkdirTemp("", "heapsync-s3-*")
	if err != nil {
		return "", nil, err
	}
	data, side := dir+"/data", dir+"/side"
	for _, d := range []string{data, side} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return "", nil, err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address := l.Addr().String()
	l.Close() // a moment in which somebody else could take the port
	cmd := exec.Command(program, "--access", accessKey, "--secret", secretKey, "--port", address, "--quiet", "posix", "--sidecar", side, data)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop := func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		os.RemoveAll(dir)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			stop()
			return "", nil, fmt.Errorf("the S3 server does not listen: %w", err)
		}
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client, err := minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Transport: transport})
	if err == nil {
		err = client.MakeBucket(context.Background(), bucket, minio.MakeBucketOptions{})
	}
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("make a bucket: %w", err)
	}
	return "http://" + address, stop, nil
}

func config(endpoint, prefix string) s3.Config {
	return s3.Config{Endpoint: endpoint, Bucket: bucket, Prefix: prefix, AccessKey: accessKey, SecretKey: secretKey, PathStyle: true}
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
