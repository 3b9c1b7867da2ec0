package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/disk"
	"github.com/heapsync/heapsync/storage/s3"
)

// openBlobs opens where files are kept: a folder beside the database, which beside lets
// a server have open, or a bucket if one is named.
func openBlobs(ctx context.Context, cfg *config, beside bool) (_ blocks.Blobs, done func(), err error) {
	if cfg.S3Bucket == "" {
		folder := filepath.Join(cfg.Data, blobsName)
		if beside {
			return disk.View(folder), func() {}, nil
		}
		store, err := disk.Open(folder)
		return store, func() {}, err
	}
	store, err := s3.Open(ctx, s3.Config{
		Endpoint: cfg.S3Endpoint, Region: cfg.S3Region, Bucket: cfg.S3Bucket, Prefix: cfg.S3Prefix,
		AccessKey: cfg.S3AccessKey, SecretKey: cfg.S3SecretKey,
		PathStyle: cfg.S3Style == "path", Virtual: cfg.S3Style == "virtual", CAFile: cfg.S3CA,
	})
	if err != nil {
		return nil, nil, err
	}
	return store, store.Close, nil
}

// checkS3 says what is missing of a bucket's settings.
func (c *config) checkS3() error {
	if c.S3Bucket == "" {
		if c.S3Endpoint != "" {
			return errors.New("--s3-endpoint needs --s3-bucket")
		}
		return nil
	}
	if c.S3Endpoint == "" || c.S3AccessKey == "" || c.S3SecretKey == "" {
		return errors.New("--s3-bucket needs --s3-endpoint, --s3-access-key and --s3-secret-key")
	}
	return nil
}
