package blocks

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"

	"github.com/heapsync/heapsync/blocks/media"
)

// MaxClientPicture is the size of a picture that a client brings, in bytes, and
// maxClientEdge its longest edge, in pixels.
const (
	MaxClientPicture = 1 << 20
	maxClientEdge    = 2048
)

// clientFormats are those of clients' pictures: what browsers show.
var clientFormats = map[string]bool{"jpeg": true, "png": true, "webp": true, "gif": true, "avif": true}

// NewPicture is a picture that a client made of a block's file.
type NewPicture struct {
	Key     BlockKey
	Hash    Hash // of the file
	Kind    string
	Size    int
	Content []byte

	UserBytes int64 // that the author's files may have; 0: any; less: none
}

// TakePicture keeps a picture for a file of which the server has none of this kind, for an
// editor. taken is false if it has. Errors: ErrInvalid (no picture), ErrTooLarge, ErrQuota,
// ErrNotFound (the block has no such file).
func (in *Instance) TakePicture(ctx context.Context, author Author, n NewPicture) (_ Picture, taken bool, err error) {
	if err := in.mayUpload(ctx, author, n.Key); err != nil {
		return Picture{}, false, err
	}
	f, err := in.store.FileOf(ctx, n.Key)
	if err == nil && f.Hash != n.Hash {
		err = fmt.Errorf("file: %w", ErrNotFound)
	}
	if err != nil {
		return Picture{}, false, err
	}
	head, err := in.Head(ctx, n.Key)
	if err != nil {
		return Picture{}, false, err
	}
	list, err := in.store.PicturesOf(ctx, n.Hash, 0)
	if err != nil {
		return Picture{}, false, err
	}
	for _, p := range list {
		if p.Kind == n.Kind && p.Status == DerivedReady {
			return p, false, nil
		}
	}
	if len(n.Content) > MaxClientPicture {
		return Picture{}, false, fmt.Errorf("a picture may have at most %d bytes: %w", MaxClientPicture, ErrTooLarge)
	}
	thumb, err := in.checkPicture(ctx, n.Content)
	if err != nil {
		return Picture{}, false, err
	}
	if err := in.diskRoom(ctx, int64(len(n.Content))); err != nil {
		return Picture{}, false, err
	}
	p := Picture{
		PictureKey: PictureKey{Hash: n.Hash, Block: head.Ref, Kind: n.Kind, Size: n.Size},
		Status:     DerivedRunning, Blob: sha256.Sum256(n.Content), Mime: string(thumb.Encoding), Bytes: int64(len(n.Content)),
		Width: thumb.Width, Height: thumb.Height, User: author.User, At: in.now().UnixMilli(),
	}
	if err := in.store.AddPicture(ctx, p, Quota{User: n.UserBytes, Heap: in.limits.HeapFiles}); err != nil {
		return Picture{}, false, err
	}
	err = in.putBytes(ctx, p.Blob, n.Content)
	if err == nil {
		p.Status = DerivedReady
		err = in.store.SavePictures(ctx, []Picture{p})
	}
	if err != nil {
		return Picture{}, false, errors.Join(err, in.store.RemovePicture(context.WithoutCancel(ctx), p.PictureKey))
	}
	return p, true, nil
}

// clientPicture opens what a client brought instead of a picture that cannot be made.
func (in *Instance) clientPicture(ctx context.Context, f File, want PictureRequest, none *NoPictureError) (*OpenPicture, error) {
	head, err := in.Head(ctx, f.Key)
	if err != nil {
		return nil, err
	}
	p, err := in.store.Picture(ctx, PictureKey{Hash: f.Hash, Block: head.Ref, Kind: want.Kind, Size: want.Size})
	if errors.Is(err, ErrNotFound) || err == nil && p.Status != DerivedReady {
		return nil, none
	}
	if err != nil {
		return nil, err
	}
	open, err := in.openPicture(ctx, p)
	if errors.Is(err, ErrNotMade) {
		return nil, none
	}
	return open, err
}

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
	err = d.guard(sha256.Sum256(content), func() (err error) {
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
