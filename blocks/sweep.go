package blocks

import (
	"context"
	"errors"
	"fmt"
)

// sweepPage is how many files or blobs are looked at at once.
const sweepPage = 500

// sweepFiles ends uploads of which nothing comes, forgets files that blocks dropped long
// ago, and deletes blobs to which nothing has referred for Limits.BlobGrace.
func (in *Instance) sweepFiles(ctx context.Context) error {
	now := in.now()
	err := errors.Join(in.uploads.expire(ctx, now.Add(-in.limits.UploadFor).UnixMilli()), in.uploads.clean(ctx))
	if in.files.blobs != nil {
		err = errors.Join(err, in.sweepBlobs(ctx, now.UnixMilli(), now.Add(-in.limits.BlobGrace).UnixMilli()))
	}
	if err != nil {
		return fmt.Errorf("sweep files: %w", err)
	}
	return nil
}

// sweepBlobs deletes what was marked before (ms), and then marks anew at a time.
func (in *Instance) sweepBlobs(ctx context.Context, at, before int64) error {
	for n := sweepPage; n == sweepPage; {
		var err error
		if n, err = in.store.ForgetFiles(ctx, before, sweepPage); err != nil {
			return err
		}
	}
	for {
		marked, err := in.store.MarkedBlobs(ctx, before, sweepPage)
		if err != nil {
			return err
		}
		for _, hash := range marked {
			if err := in.deleteBlob(ctx, hash); err != nil {
				return err
			}
		}
		if len(marked) < sweepPage {
			break
		}
	}
	var after Hash
	for more := true; more; {
		var err error
		if after, more, err = in.store.MarkBlobs(ctx, after, at, sweepPage); err != nil {
			return err
		}
	}
	return nil
}

// deleteBlob deletes a marked blob, unless something refers to it by now. Whoever is about
// to refer to it has an upload in the store first, and puts the blob, or looks whether it
// is there, under its lock: before this, and then it stays, or after it.
func (in *Instance) deleteBlob(ctx context.Context, hash Hash) error {
	lock := in.blobs.of(hash)
	lock.Lock()
	defer lock.Unlock()
	may, err := in.store.ReleaseBlob(ctx, hash)
	if err != nil || !may {
		return err
	}
	if err := in.files.blobs.Delete(ctx, hash); err != nil {
		return err
	}
	return in.store.RemoveBlob(ctx, hash)
}
