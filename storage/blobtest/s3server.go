package blobtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// S3Server is a real S3 server with an empty bucket.
type S3Server struct {
	Endpoint, Bucket, AccessKey, SecretKey string

	cmd *exec.Cmd
	dir string
}

// S3Program is the S3 server's program, versitygw, which .ci/test builds and names in
// HEAPSYNC_S3_SERVER. Without it the test is skipped, or fails if REQUIRE_TESTS has s3.
func S3Program(t testing.TB) string {
	t.Helper()
	program := os.Getenv("HEAPSYNC_S3_SERVER")
	if program != "" {
		return program
	}
	if strings.Contains(","+os.Getenv("REQUIRE_TESTS")+",", ",s3,") {
		t.Fatal("HEAPSYNC_S3_SERVER must name the versitygw program")
	}
	t.Skip("SKIPPED: HEAPSYNC_S3_SERVER does not name the versitygw program (.ci/test builds it)")
	return ""
}

// StartS3 starts the server. The caller stops it.
func StartS3(program string) (_ *S3Server, err error) {
	s := &S3Server{Bucket: "blobs", AccessKey: "test-access-key", SecretKey: "test-secret-key"}
	if s.dir, err = os.MkdirTemp("", "heapsync-s3-*"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	data, side := filepath.Join(s.dir, "data"), filepath.Join(s.dir, "side")
	for _, d := range []string{data, side} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil { // a moment in which somebody else could take the port
		return nil, err
	}
	s.cmd = exec.Command(program, "--access", s.AccessKey, "--secret", s.SecretKey, "--port", address, "--quiet", "posix", "--sidecar", side, data)
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("the S3 server does not listen: %w", err)
		}
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client, err := minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""), Transport: transport})
	if err == nil {
		err = client.MakeBucket(context.Background(), s.Bucket, minio.MakeBucketOptions{})
	}
	if err != nil {
		return nil, fmt.Errorf("make a bucket: %w", err)
	}
	s.Endpoint = "http://" + address
	return s, nil
}

// PutSparse puts an object of zeros that takes no room, by a way that only this server has:
// an object is a file of its.
func (s *S3Server) PutSparse(key string, size int64) error {
	path := filepath.Join(s.dir, "data", s.Bucket, filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

// Stop stops the server and removes what it holds.
func (s *S3Server) Stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
	_ = os.RemoveAll(s.dir)
}
