package blocks

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"

	"github.com/heapsync/heapsync/blocks/media"
)

func hashBytes(p []byte) Hash { return sha256.Sum256(p) }

// checkPicture makes sure that a client's bytes are a picture, by having it decoded as any
// stranger's file is. It returns its size and encoding.
func (in *Instance) checkPicture(ctx context.Context, content []byte) (media.Thumbnail, error) {
	d := in.deriver
	if d == nil {
		return media.Thumbnail{}, fmt.Errorf("this server takes no pictures: %w", ErrInvalid)
	}
	select {
	case <-d.ready:
	case <-ctx.Done():
		return media.Thumbnail{}, ctx.Err()
	}
	select {
	case d.checks <- struct{}{}:
		defer func() { <-d.checks }()
	case <-ctx.Done():
		return media.Thumbnail{}, ctx.Err()
	}
	file, err := os.CreateTemp(in.uploads.temp, "picture-*")
	if err != nil {
		return media.Thumbnail{}, fullDisk(err)
	}
	defer file.Close()
	if err := os.Remove(file.Name()); err != nil {
		return media.Thumbnail{}, err
	}
	if _, err := file.Write(content); err != nil {
		return media.Thumbnail{}, fullDisk(err)
	}
	var facts media.Facts
	err = d.guard(hashBytes(content), func() (err error) {
		if facts, err = d.media.Probe(ctx, file); err != nil {
			return err
		}
		switch {
		case !clientFormats[facts.Format.Name]:
			return &noPicture{Failure{CodeUnsupported, "it must be a JPEG, PNG, WebP, GIF or AVIF"}}
		case facts.Width > maxClientEdge || facts.Height > maxClientEdge || facts.Width < 1 || facts.Height < 1:
			return fmt.Errorf("a picture may have at most %d pixels on each side: %w", maxClientEdge, ErrTooLarge)
		}
		_, err = d.media.Thumbnails(ctx, file, media.Options{Edges: []int{PictureSizes[0]}, Encoding: media.JPEG})
		return err
	})
	if failure, ofPicture := failureOf(err); ofPicture {
		return media.Thumbnail{}, fmt.Errorf("%s: %w", failure.Reason, ErrInvalid)
	}
	if err != nil && !errors.Is(err, ErrTooLarge) && ctx.Err() == nil {
		err = fmt.Errorf("check picture: %w", err)
	}
	return media.Thumbnail{Width: facts.Width, Height: facts.Height, Encoding: media.Encoding(facts.Format.MIME)}, err
}
