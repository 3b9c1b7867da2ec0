package blocks

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/heapsync/heapsync/blocks/media"
)

// Kinds of pictures.
const (
	KindThumbnail = "thumbnail" // of an image, a video, a song's cover, a document's first page
	KindVideo     = "video_thumbnail"
	KindAnimated  = "animated_thumbnail"
)

// PictureSizes are the longest edges that there are, in pixels.
var PictureSizes = []int{64, 128, 256, 512, 1024, 2048}

// PictureRequest is what somebody wants to see.
type PictureRequest struct {
	Kind     string
	Size     int            // one of PictureSizes
	Position media.Position // of KindVideo
	WebP     bool           // if that can be made; else it is a JPEG
}

// ParsePosition reads a moment of a video: seconds, or per cent as 50p.
func ParsePosition(text string) (media.Position, error) { return media.ParsePosition(text) }

// NoPictureError says that there is no such picture, and why.
type NoPictureError struct{ Failure }

func (e *NoPictureError) Error() string { return "no picture: " + e.Reason }

// OpenPicture is a picture that is open. The caller closes it.
type OpenPicture struct {
	Picture
	Blob
}

// FileOf returns a block's file for a member, or ErrNotFound; ErrNotMade while it is on its
// way.
func (in *Instance) FileOf(ctx context.Context, user UserID, key BlockKey) (File, error) {
	if in.files.blobs == nil {
		return File{}, errNoFiles
	}
	f, err := in.fileFor(ctx, user, key)
	if !errors.Is(err, errNoFile) {
		return f, err
	}
	coming, listErr := in.store.UploadsTo(ctx, key)
	if listErr != nil {
		return File{}, listErr
	}
	if len(coming) > 0 {
		return File{}, ErrNotMade
	}
	return File{}, err
}

// OpenPicture opens a picture of a file that FileOf gave to the user. One that is not made
// yet is made, for which this waits a while. Errors: *NoPictureError, ErrNotMade.
func (in *Instance) OpenPicture(ctx context.Context, user UserID, f File, want PictureRequest) (*OpenPicture, error) {
	timer := time.NewTimer(in.limits.PictureWait)
	defer timer.Stop()
	for tries := 0; ; tries++ {
		p, err := in.picture(ctx, f, want)
		if err == nil {
			return p, nil
		}
		if none, ok := errors.AsType[*NoPictureError](err); ok {
			return in.clientPicture(ctx, f, want, none)
		}
		if !errors.Is(err, ErrNotMade) {
			return nil, err
		}
		if tries > maxTries { // it does not come to be, or is gone as soon as it is made
			return nil, ErrNotMade
		}
		if err := in.deriver.wait(ctx, user, f.Hash, want, timer.C); err != nil {
			return nil, err
		}
	}
}

// picture opens what the server has made; ErrNotMade: nothing yet.
func (in *Instance) picture(ctx context.Context, f File, want PictureRequest) (*OpenPicture, error) {
	d := in.deriver
	if d == nil {
		return nil, &NoPictureError{Failure{CodeNoEngine, "this server makes no pictures"}}
	}
	src, err := in.store.Source(ctx, f.Hash)
	switch {
	case err != nil && !errors.Is(err, ErrNotFound):
		return nil, err
	case err != nil || !d.isReady() || src.Status == DerivedQueued && src.Facts == "" || src.Status == DerivedRunning && src.Facts == "":
		return nil, ErrNotMade
	case src.Status == DerivedFailed:
		return nil, &NoPictureError{src.Failure}
	}
	key, failure := d.keyOf(src, want)
	if failure != nil {
		return nil, &NoPictureError{*failure}
	}
	p, err := in.store.Picture(ctx, key)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && p.Status == DerivedRunning:
		return nil, ErrNotMade
	case err != nil:
		return nil, err
	case p.final():
		return nil, &NoPictureError{p.Failure}
	case p.Status == DerivedFailed:
		return nil, ErrNotMade
	}
	return in.openPicture(ctx, p)
}

// openPicture opens a picture's blob. One that is lost is made again.
func (in *Instance) openPicture(ctx context.Context, p Picture) (*OpenPicture, error) {
	blob, err := in.files.blobs.Open(ctx, p.Blob)
	if errors.Is(err, ErrNotFound) {
		in.logger.Error("a picture is missing", "hash", p.Blob)
		if err := in.store.RemovePicture(ctx, p.PictureKey); err != nil {
			return nil, err
		}
		return nil, ErrNotMade
	}
	if err != nil {
		return nil, err
	}
	return &OpenPicture{p, blob}, nil
}

// maxPositions is how many moments of a video can be asked for: pictures of each second of
// a long one would fill the disk.
const maxPositions = 600

// keyOf names what is wanted. A position becomes a whole second of the video; of one longer
// than maxPositions seconds, a multiple of several.
func (d *deriver) keyOf(src Source, want PictureRequest) (PictureKey, *Failure) {
	key := PictureKey{Hash: src.Hash, Kind: want.Kind, Size: want.Size, Asked: string(d.encoding(want.WebP))}
	facts := src.ParseFacts()
	if facts == nil {
		return key, &Failure{CodeUnsupported, "nothing is known of it"}
	}
	switch want.Kind {
	case KindVideo:
		if facts.Kind != string(media.Video) {
			return key, &Failure{CodeUnsupported, "it is not a video"}
		}
		step := math.Ceil(max(1, facts.Duration/maxPositions))
		last := max(0, math.Ceil(facts.Duration)-1) // the second in which it ends
		at := min(math.Round(want.Position.In(facts.Duration)), last)
		key.Position = int64(math.Floor(at/step) * step)
	case KindAnimated:
		if facts.Kind != string(media.Video) && !facts.Animated {
			return key, &Failure{CodeUnsupported, "it does not move"}
		}
		key.Asked = string(media.WebP)
	}
	return key, nil
}

// Regenerate looks at a block's file again, for an editor: what was found out and made of
// it before is replaced.
func (in *Instance) Regenerate(ctx context.Context, author Author, t Target) (File, error) {
	key, err := in.resolve(ctx, &roleCache{in: in, user: author.User}, t, RoleEditor)
	if err != nil {
		return File{}, err
	}
	f, err := in.store.FileOf(ctx, key)
	if err != nil {
		return File{}, err
	}
	if err := in.store.RegenerateSource(ctx, key, f.Hash, in.now().UnixMilli()); err != nil {
		return File{}, err
	}
	in.deriver.nudge()
	return f, nil
}

// Derived is what was found out and made of a block's file.
type Derived struct {
	Source
	Pictures []Picture
}

// DerivedOf returns that, of a file that the caller may see. Without pictures at all on
// this server it is ready.
func (in *Instance) DerivedOf(ctx context.Context, f File) (Derived, error) {
	head, err := in.Head(ctx, f.Key)
	if err != nil {
		return Derived{}, err
	}
	src, err := in.store.Source(ctx, f.Hash)
	if in.deriver == nil && (err == nil || errors.Is(err, ErrNotFound)) {
		src, err = Source{Hash: f.Hash, Size: f.Size, Status: DerivedReady}, nil
	}
	if err != nil {
		return Derived{}, err
	}
	list, err := in.store.PicturesOf(ctx, f.Hash, head.Ref)
	return Derived{src, list}, err
}

// What MediaReport says of the whole.
const (
	MediaOK       = "ok"
	MediaPartial  = "partial"  // of some kinds of files no pictures are made
	MediaOff      = "off"      // of none
	MediaStarting = "starting" // that is not known yet
)

// MediaReport says what pictures this server makes.
func (in *Instance) MediaReport() (status string, _ media.Report) {
	switch d := in.deriver; {
	case d == nil:
		return MediaOff, media.Report{}
	case !d.isReady():
		return MediaStarting, media.Report{}
	case len(d.report.Missing) > 0:
		return MediaPartial, d.report
	default:
		return MediaOK, d.report
	}
}

// BlobUsage sums up the blobs of files and what was made of them.
func (in *Instance) BlobUsage(ctx context.Context) (BlobUsage, error) { return in.store.BlobUsage(ctx) }

// MediaWaiting counts the requests that wait for pictures.
func (in *Instance) MediaWaiting() (n int) {
	d := in.deriver
	if d == nil {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, waiting := range d.waiters {
		n += waiting
	}
	return n
}
