package blocks

import (
	"context"
	"errors"
	"io"

	"github.com/heapsync/heapsync/ydoc"
)

// Reindexed is what came of looking at a heap's files anew.
type Reindexed struct {
	Files   int64
	Changed int64 // are of another type than was known
	Missing int64 // cannot be read now
	Scans   []Scan
}

// reindexPage is how many files are looked at together.
const reindexPage = 200

// ReindexFiles reads of all files of a heap what they are, for an editor, and has the heap's
// folders scanned if the author may do that. A file that cannot be read is counted, and stays
// what it is.
func (in *Instance) ReindexFiles(ctx context.Context, author Author, heap HeapID) (Reindexed, error) {
	var done Reindexed
	if in.files.blobs == nil {
		return done, errNoFiles
	}
	if err := in.Require(ctx, author.User, heap, RoleEditor); err != nil {
		return done, err
	}
	for after := BlockID(""); ; {
		page, err := in.store.FilesOf(ctx, heap, after, reindexPage)
		if err != nil {
			return done, err
		}
		for _, f := range page {
			after = f.Key.Block
			done.Files++
			changed, err := in.reindex(ctx, author, f)
			switch {
			case ctx.Err() != nil:
				return done, ctx.Err()
			case errors.Is(err, ErrFull), errors.Is(err, ErrFailed):
				return done, err
			case err != nil:
				done.Missing++
				in.logger.Warn("a file cannot be looked at", "heap", heap, "block", f.Key.Block, "err", err)
			case changed:
				done.Changed++
			}
		}
		if len(page) < reindexPage {
			break
		}
	}
	var err error
	done.Scans, err = in.rescan(ctx, author, heap)
	return done, err
}

// reindex says of one file what it is.
func (in *Instance) reindex(ctx context.Context, author Author, f File) (changed bool, err error) {
	blob, err := in.files.blobs.Open(ctx, f.Hash)
	if err != nil {
		return false, err
	}
	defer blob.Close()
	if blob.Size() != f.Size {
		return false, ErrCorrupt
	}
	if err := in.pictureAgain(ctx, f.Key, f.Hash); err != nil {
		return false, err
	}
	if in.files.mediaType == nil {
		return false, nil
	}
	head := make([]byte, min(SniffBytes, f.Size))
	if _, err := blob.ReadAt(head, 0); err != nil && err != io.EOF {
		return false, err
	}
	mime := in.files.mediaType(f.Name, f.Mime, head)
	if mime == f.Mime {
		return false, nil
	}
	f.Mime = mime
	_, err = in.Edit(ctx, author, f.Key, func(_ Head, doc *ydoc.Doc) error {
		about := doc.Map(aboutRoot)
		if named := fileNamed(about); named.hash == nil || *named.hash != f.Hash {
			return nil
		}
		if v, _ := about.Value("file"); v != nil {
			if m, ok := v.(ydoc.Type); ok {
				m.AsMap().Set("mime", mime)
			}
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	if err := in.store.AddFile(ctx, f); err != nil {
		return false, err
	}
	in.tellReady(f)
	return true, nil
}

// pictureAgain has pictures be made of a file that can be read again, if that failed because
// it could not.
func (in *Instance) pictureAgain(ctx context.Context, key BlockKey, hash Hash) error {
	src, err := in.store.Source(ctx, hash)
	if err == nil && src.Status == DerivedFailed && src.Failure.Code == CodeLost {
		err = in.store.RegenerateSource(ctx, key, hash, in.now().UnixMilli())
		in.deriver.nudge()
	}
	if errors.Is(err, ErrNotFound) { // there is no such work to do
		return nil
	}
	return err
}

// rescan has the folders of a heap scanned, for who may do that.
func (in *Instance) rescan(ctx context.Context, author Author, heap HeapID) ([]Scan, error) {
	err := in.scans.mayScan(ctx, author.User, heap)
	if errors.Is(err, ErrForbidden) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	folders, err := in.store.ScanFolders(ctx)
	if err != nil {
		return nil, err
	}
	var list []Scan
	for _, f := range folders {
		if f.Heap != heap {
			continue
		}
		sc, err := in.StartScan(ctx, author, ScanRequest{Heap: heap, Path: f.Path, Recursive: f.Recursive, Watch: f.Watch})
		if errors.Is(err, ErrNotScannable) || errors.Is(err, ErrNotFound) {
			continue // it is not allowed any more, and its files are offline
		}
		if err != nil {
			return nil, err
		}
		list = append(list, sc)
	}
	return list, nil
}
