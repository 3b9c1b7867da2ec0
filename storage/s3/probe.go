package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/minio/minio-go/v7"

	"github.com/heapsync/heapsync/blocks"
)

// probe tries out what the store needs of a server, with an object of two parts that is
// nobody's, and says what does not work.
func (s *Store) probe(ctx context.Context) error {
	exists, err := s.client.BucketExists(ctx, s.cfg.Bucket)
	if err != nil {
		return fmt.Errorf("the server does not let us in: %w", err)
	}
	if !exists {
		return fmt.Errorf("there is no such bucket: %w", blocks.ErrNotFound)
	}
	key := s.cfg.Prefix + "probe/" + rand.Text()
	content := bytes.Repeat([]byte("heapsync"), (5<<20+8)/8)
	defer s.client.RemoveObject(ctx, s.cfg.Bucket, key, minio.RemoveObjectOptions{}) // if something failed
	_, err = s.client.PutObject(ctx, s.cfg.Bucket, key, bytes.NewReader(content), int64(len(content)), minio.PutObjectOptions{
		SendContentMd5: true, PartSize: 5 << 20,
	})
	if err != nil {
		return fmt.Errorf("the server does not take an object in parts: %w", translate(err))
	}
	b := &blob{store: s, ctx: ctx, key: key, size: int64(len(content))}
	defer b.Close()
	part := make([]byte, 100)
	at := len(content) - len(part)
	if _, err := b.ReadAt(part, int64(at)); err != nil {
		return fmt.Errorf("the server does not answer with a range of an object: %w", err)
	}
	if !bytes.Equal(part, content[at:]) {
		return errors.New("the server answers with other bytes than it was sent")
	}
	whole, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(whole, content) {
		return fmt.Errorf("an object comes back as %d other bytes than it was sent with: %w", len(whole), cmpErr(err))
	}
	if err := s.client.RemoveObject(ctx, s.cfg.Bucket, key, minio.RemoveObjectOptions{}); err != nil {
		return fmt.Errorf("the server does not delete: %w", translate(err))
	}
	_, err = s.client.StatObject(ctx, s.cfg.Bucket, key, minio.StatObjectOptions{})
	if err := translate(err); !errors.Is(err, blocks.ErrNotFound) {
		return fmt.Errorf("what was deleted is still there: %w", cmpErr(err))
	}
	return nil
}

// cmpErr is err, or that nothing was said.
func cmpErr(err error) error {
	if err == nil {
		return blocks.ErrUnavailable
	}
	return err
}
