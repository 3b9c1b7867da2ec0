package blocks

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// FileLimits bound the files that a user may bring.
type FileLimits struct {
	UserBytes int64 // of all of the user's files; 0: any; less: none
	FileBytes int64 // of one file; the same
}

// exportedFiles gives blocks their files.
func (imp *importer) exportedFiles(ctx context.Context, files map[BlockID]exportedFile, entries map[string]*zip.File) error {
	renamed := map[BlockID]BlockID{}
	for _, r := range imp.result.Renamed {
		renamed[r.From] = r.To
	}
	for _, block := range slices.Sorted(maps.Keys(files)) {
		f := files[block]
		hash, err := ParseHash(f.Hash)
		entry := entries[f.Entry]
		if err != nil || entry == nil {
			imp.fail(filesFolder+f.Hash, CodeUnreadable)
			continue
		}
		if to, ok := renamed[block]; ok {
			block = to
		}
		file := NewFile{Key: BlockKey{imp.heap, block}, Name: f.Name, Mime: f.Mime}
		if err := imp.file(ctx, entry, file, &hash); err != nil {
			return err
		}
	}
	return nil
}

// file makes an entry the file of a block, and returns an error if nothing more can be
// stored. hash is what it must have; nil: any.
func (imp *importer) file(ctx context.Context, entry *zip.File, f NewFile, hash *Hash) error {
	if imp.files.blobs == nil {
		imp.fail(entry.Name, CodeUnsupported)
		return nil
	}
	if hash != nil {
		if have, err := imp.store.FileOf(ctx, f.Key); err == nil && have.Hash == *hash {
			return nil // imported before
		}
	}
	f.Size = int64(min(entry.UncompressedSize64, uint64(imp.limits.ImportBytes)))
	if imp.left -= f.Size; imp.left < 0 || entry.UncompressedSize64 > uint64(imp.limits.ImportBytes) {
		return fmt.Errorf("the archive unpacks to more than %d bytes: %w", imp.limits.ImportBytes, ErrTooLarge)
	}
	f.UserBytes, f.FileBytes = imp.limit.UserBytes, imp.limit.FileBytes
	r, err := entry.Open()
	if err != nil {
		imp.fail(entry.Name, CodeUnreadable)
		return nil
	}
	defer r.Close()
	damaged := &readError{Reader: r}
	_, err = imp.TakeFile(ctx, imp.author, f, damaged, func() (*Hash, error) { return hash, nil })
	switch {
	case err == nil:
	case ctx.Err() != nil, errors.Is(err, ErrUnavailable):
		return err
	case damaged.err != nil:
		imp.fail(entry.Name, CodeUnreadable)
	case errors.Is(err, ErrHashMismatch):
		imp.fail(entry.Name, CodeHashMismatch)
	case errors.Is(err, ErrQuota):
		imp.fail(entry.Name, CodeQuota)
	default:
		imp.fail(entry.Name, statusOf(err))
	}
	return nil
}

// readError remembers what went wrong in reading.
type readError struct {
	io.Reader
	err error
}

func (r *readError) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}
