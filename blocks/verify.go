package blocks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// BlobSummary counts what VerifyBlobs or FindOrphans has looked at.
type BlobSummary struct {
	Blobs, Bytes int64
	Damaged      int64 // have other bytes than they should
	Missing      int64 // files refer to them
	Unreferenced int64 // no file refers to them, as to those of uploads or that will be swept

	UnreferencedBytes int64 // of these, as FindOrphans counts them
}

// VerifyBlobs reads every blob and compares it with its hash, and looks for each that a
// file refers to. It changes nothing. It returns an error only if it could not go on.
func VerifyBlobs(ctx context.Context, refs BlobRefs, blobs Blobs, report func(hash Hash, what string)) (BlobSummary, error) {
	v := blobVerifier{refs: refs, blobs: blobs, report: report}
	return v.run(ctx, v.read)
}

// FindOrphans compares what there is of blobs with what files refer to, without reading
// them: it reports blobs that no file refers to, those that are missing, and those of
// another size. It changes nothing.
func FindOrphans(ctx context.Context, refs BlobRefs, blobs Blobs, report func(hash Hash, what string)) (BlobSummary, error) {
	v := blobVerifier{refs: refs, blobs: blobs, report: report}
	return v.run(ctx, func(_ context.Context, b BlobSize, want int64, referred bool) error {
		v.sum.Blobs++
		v.sum.Bytes += b.Size
		switch {
		case !referred:
			v.sum.UnreferencedBytes += b.Size
			report(b.Hash, fmt.Sprintf("no file refers to it (%d bytes)", b.Size))
		case b.Size != want:
			v.sum.Damaged++
			report(b.Hash, fmt.Sprintf("damaged: it has %d bytes, not %d", b.Size, want))
		}
		return nil
	})
}

// run calls look for every blob, with the size that it should have.
func (v *blobVerifier) run(ctx context.Context, look func(ctx context.Context, b BlobSize, want int64, referred bool) error) (BlobSummary, error) {
	var after Hash
	for {
		page, err := v.blobs.List(ctx, after, sweepPage)
		if err != nil {
			return v.sum, err
		}
		for _, b := range page {
			if err := v.blob(ctx, b, look); err != nil {
				return v.sum, err
			}
			after = b.Hash
		}
		if len(page) < sweepPage {
			return v.sum, v.missing(ctx, nil)
		}
	}
}

type blobVerifier struct {
	refs   BlobRefs
	blobs  Blobs
	report func(Hash, string)
	sum    BlobSummary

	page []BlobSize // what files refer to, from here on
	next Hash       // after which to go on
	end  bool
}

// referred returns the next blob that files refer to.
func (v *blobVerifier) referred(ctx context.Context) (*BlobSize, error) {
	if len(v.page) == 0 && !v.end {
		page, err := v.refs.BlobsOf(ctx, v.next, sweepPage)
		if err != nil {
			return nil, err
		}
		v.page, v.end = page, len(page) < sweepPage
		if len(page) > 0 {
			v.next = page[len(page)-1].Hash
		}
	}
	if len(v.page) == 0 {
		return nil, nil
	}
	return &v.page[0], nil
}

// missing reports what files refer to and is not there, before a hash, or to the end.
func (v *blobVerifier) missing(ctx context.Context, before *Hash) error {
	for {
		b, err := v.referred(ctx)
		if err != nil || b == nil || before != nil && bytes.Compare(b.Hash[:], before[:]) >= 0 {
			return err
		}
		v.page = v.page[1:]
		if _, err := v.blobs.Stat(ctx, b.Hash); errors.Is(err, ErrNotFound) { // else it has come meanwhile
			v.sum.Missing++
			v.report(b.Hash, "missing")
		} else if err != nil {
			return err
		}
	}
}

func (v *blobVerifier) blob(ctx context.Context, b BlobSize, look func(ctx context.Context, b BlobSize, want int64, referred bool) error) error {
	if err := v.missing(ctx, &b.Hash); err != nil {
		return err
	}
	want := b.Size
	next, err := v.referred(ctx)
	if err != nil {
		return err
	}
	referred := next != nil && next.Hash == b.Hash
	if referred {
		want = next.Size
		v.page = v.page[1:]
	} else {
		v.sum.Unreferenced++
	}
	return look(ctx, b, want, referred)
}

// read compares a blob with its hash.
func (v *blobVerifier) read(ctx context.Context, b BlobSize, want int64, _ bool) error {
	f, err := v.blobs.Open(ctx, b.Hash)
	if errors.Is(err, ErrNotFound) { // it has just been swept
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, &untilDone{ctx, f})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	v.sum.Blobs++
	v.sum.Bytes += n
	switch {
	case err != nil:
		v.report(b.Hash, fmt.Sprintf("damaged: it cannot be read: %v", err))
	case n != want:
		v.report(b.Hash, fmt.Sprintf("damaged: it has %d bytes, not %d", n, want))
	case Hash(h.Sum(nil)) != b.Hash:
		v.report(b.Hash, "damaged: it has other bytes")
	default:
		return nil
	}
	v.sum.Damaged++
	return nil
}

// untilDone reads until ctx ends.
type untilDone struct {
	ctx context.Context
	io.Reader
}

func (r *untilDone) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
