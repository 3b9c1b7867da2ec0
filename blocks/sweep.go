package blocks

import (
	"context"
	"errors"
	"fmt"
)

// sweepFiles ends uploads of which nothing comes, and removes what a crash left of others.
func (in *Instance) sweepFiles(ctx context.Context) error {
	err := errors.Join(in.uploads.expire(ctx, in.now().Add(-in.limits.UploadFor).UnixMilli()), in.uploads.clean(ctx))
	if err != nil {
		return fmt.Errorf("sweep files: %w", err)
	}
	return nil
}
