package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/heapsync/heapsync/blocks"
)

// List implements [blocks.Blobs]. Files that are not named as blobs are left out.
func (s *Store) List(ctx context.Context, after blocks.Hash, limit int) ([]blocks.BlobSize, error) {
	l := lister{ctx: ctx, after: after.String(), limit: limit}
	if err := l.folder(filepath.Join(s.dir, hashFolder), ""); err != nil {
		return nil, fmt.Errorf("list blobs: %w", err)
	}
	return l.list, nil
}

type lister struct {
	ctx   context.Context // of this one call
	after string
	limit int
	list  []blocks.BlobSize
}

// folder lists what is below a folder, whose blobs begin with prefix. Names come sorted.
func (l *lister) folder(dir, prefix string) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if len(l.list) >= l.limit {
			return nil
		}
		name := e.Name()
		switch {
		case len(prefix) < 4:
			if below := prefix + name; e.IsDir() && len(name) == 2 && below >= l.after[:len(below)] {
				err = l.folder(filepath.Join(dir, name), below)
			}
		case name > l.after && strings.HasPrefix(name, prefix) && e.Type().IsRegular():
			err = l.add(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *lister) add(e fs.DirEntry) error {
	hash, err := blocks.ParseHash(e.Name())
	if err != nil {
		return nil
	}
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) { // it has just been deleted
		return nil
	}
	if err == nil {
		l.list = append(l.list, blocks.BlobSize{Hash: hash, Size: info.Size()})
	}
	return err
}
