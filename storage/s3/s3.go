package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7" // the client that S3 servers of all kinds are tested with
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/heapsync/heapsync/blocks"
)

// Config says where the bucket is. Endpoint, Bucket and both keys are required.
type Config struct {
	Endpoint  string // as https://s3.example.org, or http:// for one on the same machine
	Region    string // "" asks the server, or is us-east-1
	Bucket    string
	Prefix    string // of all keys, as heapsync/
	AccessKey string
	SecretKey string
	// PathStyle has the bucket in the path, Virtual in the host's name; neither: what
	// the endpoint is known to take.
	PathStyle, Virtual bool
	CAFile             string // PEM of who signed the server's certificate, "": the system's

	Now func() time.Time // nil: time.Now
}

// Store implements [blocks.FarBlobs] in a bucket.
type Store struct {
	cfg       Config
	client    *minio.Client
	core      *minio.Core
	transport *http.Transport
}

var _ blocks.FarBlobs = (*Store)(nil)

const (
	// partSize is what a file is sent in; the protocol takes 10,000 parts of 5 MiB or more.
	partSize = 16 << 20
	// sendParts is how many parts of one file are on their way.
	sendParts = 3
	// retries of a request that failed on its way or on the server.
	retries = 3
	// staleAfter is how old an upload is that nobody goes on with.
	staleAfter = 24 * time.Hour
)

// Open connects to the bucket and tries out what the store needs of the server.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s, err := connect(cfg)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", cfg.Bucket, err)
	}
	if err := s.probe(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("open bucket %s at %s: %w", cfg.Bucket, cfg.Endpoint, err)
	}
	if err := s.Sweep(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func connect(cfg Config) (*Store, error) {
	u, err := url.Parse(cfg.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("the endpoint %q must be an address as https://s3.example.org", cfg.Endpoint)
	}
	transport, err := minio.DefaultTransport(u.Scheme == "https")
	if err != nil {
		return nil, err
	}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read certificates: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", cfg.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	transport.ResponseHeaderTimeout = time.Minute
	lookup := minio.BucketLookupAuto
	switch {
	case cfg.PathStyle && cfg.Virtual:
		return nil, errors.New("the bucket is either in the path or in the host's name")
	case cfg.PathStyle:
		lookup = minio.BucketLookupPath
	case cfg.Virtual:
		lookup = minio.BucketLookupDNS
	}
	core, err := minio.NewCore(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""), Secure: u.Scheme == "https",
		Region: cfg.Region, BucketLookup: lookup, Transport: transport, MaxRetries: retries,
	})
	if err != nil {
		return nil, err
	}
	return &Store{cfg: cfg, client: core.Client, core: core, transport: transport}, nil
}

// Close lets go of the connections that are idle.
func (s *Store) Close() { s.transport.CloseIdleConnections() }

const hashFolder = "sha256/"

func (s *Store) key(h blocks.Hash) string {
	name := h.String()
	return s.cfg.Prefix + hashFolder + name[:2] + "/" + name[2:4] + "/" + name
}

// hash is what a key is of; false if it is no blob's.
func (s *Store) hash(key string) (blocks.Hash, bool) {
	h, err := blocks.ParseHash(key[strings.LastIndexByte(key, '/')+1:])
	return h, err == nil && s.key(h) == key
}

// Put implements [blocks.Blobs].
func (s *Store) Put(ctx context.Context, hash blocks.Hash, file *os.File, size int64) error {
	if err := s.put(ctx, hash, file, size); err != nil {
		return fmt.Errorf("put blob %s: %w", hash, translate(err))
	}
	return nil
}

func (s *Store) put(ctx context.Context, hash blocks.Hash, file *os.File, size int64) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != size {
		return fmt.Errorf("the file has %d bytes, not %d: %w", info.Size(), size, blocks.ErrInvalid)
	}
	return s.send(ctx, s.key(hash), io.NewSectionReader(file, 0, size), size)
}

// send writes an object and asks the server how large it has become: some answer a
// request that failed as if it had not.
func (s *Store) send(ctx context.Context, key string, content io.Reader, size int64) error {
	_, err := s.client.PutObject(ctx, s.cfg.Bucket, key, content, size, minio.PutObjectOptions{
		ContentType: "application/octet-stream", SendContentMd5: true, PartSize: partSize, NumThreads: sendParts,
	})
	if err != nil {
		return err
	}
	info, err := s.client.StatObject(ctx, s.cfg.Bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return fmt.Errorf("look at what was sent: %w", err)
	}
	if info.Size != size {
		return fmt.Errorf("%d bytes were sent, and the server has %d: %w", size, info.Size, blocks.ErrUnavailable)
	}
	return nil
}

// Stat implements [blocks.Blobs].
func (s *Store) Stat(ctx context.Context, hash blocks.Hash) (int64, error) {
	info, err := s.client.StatObject(ctx, s.cfg.Bucket, s.key(hash), minio.StatObjectOptions{})
	if err != nil {
		return 0, fmt.Errorf("look for blob %s: %w", hash, translate(err))
	}
	return info.Size, nil
}

// Delete implements [blocks.Blobs].
func (s *Store) Delete(ctx context.Context, hash blocks.Hash) error {
	err := s.client.RemoveObject(ctx, s.cfg.Bucket, s.key(hash), minio.RemoveObjectOptions{})
	if err = translate(err); err != nil && !errors.Is(err, blocks.ErrNotFound) {
		return fmt.Errorf("delete blob %s: %w", hash, err)
	}
	return nil
}

// maxKeys is how many keys a server lists at once.
const maxKeys = 1000

// List implements [blocks.Blobs].
func (s *Store) List(ctx context.Context, after blocks.Hash, limit int) ([]blocks.BlobSize, error) {
	if err := ctx.Err(); err != nil { // the client would say that there are none
		return nil, err
	}
	listing, cancel := context.WithCancel(ctx)
	defer cancel()
	opts := minio.ListObjectsOptions{Prefix: s.cfg.Prefix + hashFolder, Recursive: true, MaxKeys: min(limit+1, maxKeys)}
	if after != (blocks.Hash{}) {
		opts.StartAfter = s.key(after)
	}
	var list []blocks.BlobSize
	for object := range s.client.ListObjectsIter(listing, s.cfg.Bucket, opts) {
		if object.Err != nil {
			return nil, fmt.Errorf("list blobs: %w", translate(object.Err))
		}
		if h, ok := s.hash(object.Key); ok {
			list = append(list, blocks.BlobSize{Hash: h, Size: object.Size})
		}
		if len(list) == limit {
			break
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return list, nil
}

// Sweep removes what uploads have left behind that broke off over a day ago.
func (s *Store) Sweep(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	before := s.cfg.Now().Add(-staleAfter)
	for upload := range s.client.ListIncompleteUploads(ctx, s.cfg.Bucket, s.cfg.Prefix+hashFolder, true) {
		if upload.Err != nil {
			return fmt.Errorf("list uploads that broke off: %w", translate(upload.Err))
		}
		if upload.Initiated.After(before) {
			continue
		}
		err := translate(s.core.AbortMultipartUpload(ctx, s.cfg.Bucket, upload.Key, upload.UploadID))
		if err != nil && !errors.Is(err, blocks.ErrNotFound) {
			return fmt.Errorf("remove an upload that broke off: %w", err)
		}
	}
	return nil
}

// translate puts what a server says into the domain's words. What may be over in a while
// is ErrUnavailable.
func translate(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, blocks.ErrInvalid) || errors.Is(err, blocks.ErrUnavailable) {
		return err
	}
	answer := minio.ToErrorResponse(err)
	switch {
	case answer.Code == "NoSuchKey", answer.Code == "NoSuchUpload", answer.StatusCode == http.StatusNotFound && answer.Code != "NoSuchBucket":
		return fmt.Errorf("%w: %w", blocks.ErrNotFound, err)
	case answer.StatusCode == http.StatusInsufficientStorage, answer.Code == "QuotaExceeded", strings.HasSuffix(answer.Code, "StorageFull"):
		return fmt.Errorf("%w: %w", blocks.ErrFull, err)
	}
	return fmt.Errorf("%w: %w", blocks.ErrUnavailable, err)
}
