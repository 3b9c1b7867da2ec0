package blocks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// fileConfig is what files need besides the store.
type fileConfig struct {
	blobs     Blobs    // nil: there are no files
	far       FarBlobs // the same without what lies in folders; nil: they are near
	free      func() (free, total int64, err error)
	mediaType func(name, declared string, head []byte) string
	watchers  fileWatchers
}

var errNoFiles = fmt.Errorf("%w: this server keeps no files", ErrUnavailable)

// blobLocks keep a blob from being deleted while it is put, or becomes a block's.
type blobLocks [64]sync.Mutex

func (l *blobLocks) of(h Hash) *sync.Mutex { return &l[h[0]%64] }

const (
	minChunk     = 64 << 10
	maxChunk     = 64 << 20
	defaultChunk = 8 << 20
	// maxChunks bounds what is kept of an upload: its chunks grow with its size.
	maxChunks = 100_000
	// MaxFile is the size of the largest file there can be.
	MaxFile = maxChunks * maxChunk
)

// NewFile is a file that is to become a block's.
type NewFile struct {
	Key  BlockKey
	Hash Hash
	Size int64
	Name string
	Mime string // as the client says, "" if it does not

	UserBytes int64 // that the author's files may have; 0: any; less: none
	FileBytes int64 // that a file may have; the same

	serial *Serial // nil: it comes in chunks
	spare  int64   // bytes that will be freed when it is whole
}

// UploadStatus is how far a file is on its way.
type UploadStatus struct {
	Status    string // one of those below
	ChunkSize int64
	Chunks    int64
	Size      int64
	Received  [][2]int64 // chunks: pairs of the first and the last
	Bytes     int64      // of these
	File      *File      // if it is complete
}

// What an UploadStatus can be.
const (
	UploadNew      = "new"
	UploadResumed  = "resumed"
	UploadComplete = "complete"
)

// IncompleteError is an upload to which chunks are missing.
type IncompleteError struct {
	Missing [][2]int64 // pairs of the first and the last
}

func (e *IncompleteError) Error() string { return "chunks are missing" }

// BeginUpload begins an upload, or goes on with the one there is of the same file to the
// same block, for an editor. If the author can read the file already, in whatever block,
// it is complete at once. Errors: ErrQuota, ErrFull, ErrTooLarge, ErrDeleted, ErrInvalid.
func (in *Instance) BeginUpload(ctx context.Context, author Author, f NewFile, chunkSize int64) (UploadStatus, error) {
	if err := in.mayUpload(ctx, author, f.Key); err != nil {
		return UploadStatus{}, err
	}
	if err := f.check(); err != nil {
		return UploadStatus{}, err
	}
	if st, done, err := in.copyKnown(ctx, author, f, chunkSize); done || err != nil {
		return st, err
	}
	for {
		up, added, err := in.addUpload(ctx, author, f, chunkSize)
		if err != nil {
			return UploadStatus{}, err
		}
		s, err := in.uploads.acquire(ctx, f.Key, f.Hash)
		if errors.Is(err, ErrNotFound) && !added && ctx.Err() == nil {
			continue // its bytes were lost, or it has just ended: begin anew
		}
		if err != nil {
			return UploadStatus{}, err
		}
		if s.up.ID != up.ID { // of a heap that was deleted
			s.end()
			s.release()
			continue
		}
		defer s.release()
		if added {
			return s.status(UploadNew), nil
		}
		if up.Size != f.Size {
			return UploadStatus{}, fmt.Errorf("an upload of this hash with %d bytes is on its way to this block: %w", up.Size, ErrConflict)
		}
		return s.status(UploadResumed), nil
	}
}

func (in *Instance) mayUpload(ctx context.Context, author Author, key BlockKey) error {
	if in.files.blobs == nil || in.uploads.dir == "" {
		return errNoFiles
	}
	if err := in.Require(ctx, author.User, key.Heap, RoleEditor); err != nil {
		return err
	}
	head, err := in.Head(ctx, key)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil // it will be made
	case err != nil:
		return err
	case head.DeletedAt != 0:
		return ErrDeleted
	case head.Quarantine != "":
		return ErrQuarantined
	}
	return nil
}

func (f *NewFile) check() error {
	f.Name, f.Mime = cleanFileName(f.Name), cleanMime(f.Mime)
	limit := int64(MaxFile)
	if f.FileBytes != 0 {
		limit = min(limit, max(f.FileBytes, 0))
	}
	switch {
	case f.Size < 0:
		return fmt.Errorf("size must not be negative: %w", ErrInvalid)
	case f.Size > limit:
		return fmt.Errorf("a file may have at most %d bytes: %w", limit, ErrTooLarge)
	}
	return nil
}

// chunkSizeOf is the size of chunks that the client wants, as far as it may have it.
func chunkSizeOf(size, wanted int64) int64 {
	if wanted == 0 {
		wanted = defaultChunk
	}
	return min(max(wanted, minChunk, (size+maxChunks-1)/maxChunks), maxChunk)
}

func (in *Instance) addUpload(ctx context.Context, author Author, f NewFile, chunkSize int64) (Upload, bool, error) {
	if err := in.diskRoom(ctx, f.Size); err != nil {
		return Upload{}, false, err
	}
	at := in.now().UnixMilli()
	q := Quota{User: f.UserBytes, Heap: in.limits.HeapFiles}
	for _, limit := range []*int64{&q.User, &q.Heap} {
		if *limit > 0 {
			*limit += f.spare
		}
	}
	return in.store.AddUpload(ctx, Upload{
		Key: f.Key, Hash: f.Hash, Size: f.Size, Name: f.Name, Mime: f.Mime,
		ChunkSize: chunkSizeOf(f.Size, chunkSize), User: author.User, At: at, LastAt: at, Serial: f.serial,
	}, q)
}

// leastFree is what uploads leave free of a disk, or a twentieth of it if that is more: the
// database must still be able to write when they cannot.
const leastFree = 1 << 30

// diskRoom says whether the disk has room for size bytes and all that is on its way.
func (in *Instance) diskRoom(ctx context.Context, size int64) error {
	if in.files.free == nil || in.limits.DiskFloor < 0 {
		return nil
	}
	free, total, err := in.files.free()
	if err != nil {
		return err
	}
	coming, err := in.store.ComingBytes(ctx)
	if err != nil {
		return err
	}
	floor := in.limits.DiskFloor
	if floor == 0 {
		floor = max(leastFree, total/20)
	}
	if free-coming-floor < size {
		return fmt.Errorf("%d bytes are free, %d on their way: %w", free, coming, ErrFull)
	}
	return nil
}

func (s *staged) status(word string) UploadStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return UploadStatus{Status: word, ChunkSize: s.up.ChunkSize, Chunks: s.up.chunks(), Size: s.up.Size, Received: s.ranges(true), Bytes: s.bytes}
}

func (in *Instance) completeStatus(f File, chunkSize int64) UploadStatus {
	u := Upload{Size: f.Size, ChunkSize: chunkSizeOf(f.Size, chunkSize)}
	st := UploadStatus{Status: UploadComplete, ChunkSize: u.ChunkSize, Chunks: u.chunks(), Size: f.Size, Received: [][2]int64{}, Bytes: f.Size, File: &f}
	if n := u.chunks(); n > 0 {
		st.Received = append(st.Received, [2]int64{0, n - 1})
	}
	return st
}

// copyKnown gives the block a file that the author can read, if there is one. The upload
// that stands for it meanwhile counts against quotas and keeps the blob from being swept.
func (in *Instance) copyKnown(ctx context.Context, author Author, f NewFile, chunkSize int64) (_ UploadStatus, done bool, err error) {
	known, err := in.store.FileOf(ctx, f.Key)
	if err == nil && known.Hash != f.Hash || errors.Is(err, ErrNotFound) {
		known, err = in.store.KnownFile(ctx, author.User, f.Hash)
	}
	if errors.Is(err, ErrNotFound) || err == nil && known.Size != f.Size {
		return UploadStatus{}, false, nil
	}
	if err != nil {
		return UploadStatus{}, false, err
	}
	var up Upload
	if known.Key != f.Key {
		if up, _, err = in.addUpload(ctx, author, f, chunkSize); err != nil {
			return UploadStatus{}, false, err
		}
		known = File{Key: f.Key, Hash: f.Hash, Size: f.Size, Name: f.Name, Mime: known.Mime, User: author.User, At: in.now().UnixMilli()}
	}
	lock := in.blobs.of(f.Hash)
	lock.Lock()
	size, err := in.files.blobs.Stat(ctx, f.Hash)
	lock.Unlock()
	if errors.Is(err, ErrFileOffline) || errors.Is(err, ErrFileChanged) {
		return UploadStatus{}, false, nil // the block's own, in place: it may be had from elsewhere
	}
	if errors.Is(err, ErrNotFound) || err == nil && size != f.Size { // it was lost, and is to be healed
		in.logger.Error("a blob is missing or damaged", "hash", f.Hash, "bytes", size)
		return UploadStatus{}, false, nil
	}
	if err == nil {
		known, err = in.attach(ctx, author, known)
	}
	if err == nil && up.ID != 0 {
		in.uploads.drop(up)
	}
	return in.completeStatus(known, chunkSize), true, err
}

// PutChunk takes in one chunk of an upload, for an editor. It must have the bytes that
// such a chunk has, and digest as its SHA-256, if that is not nil. When it returns nil,
// the chunk is on disk. Chunks may come in any order, again, and at once. Errors:
// ErrNotFound, ErrInvalid, ErrHashMismatch, ErrConflict, ErrFull, and those of body.
func (in *Instance) PutChunk(ctx context.Context, author Author, key BlockKey, hash Hash, chunk int64, body io.Reader, digest *Hash) (int64, error) {
	s, err := in.upload(ctx, author.User, key, hash, RoleEditor)
	if err != nil {
		return 0, err
	}
	defer s.release()
	size, err := s.putChunk(ctx, chunk, body, digest)
	if err == nil {
		in.tellProgress(s)
	}
	return size, err
}

func (in *Instance) upload(ctx context.Context, user UserID, key BlockKey, hash Hash, need Role) (*staged, error) {
	if err := in.Require(ctx, user, key.Heap, need); err != nil {
		return nil, err
	}
	return in.uploads.acquireChunked(ctx, key, hash)
}

// UploadStatus says how far a file is on its way to a block, or that it is the block's, to
// a member. ErrNotFound if it is neither.
func (in *Instance) UploadStatus(ctx context.Context, user UserID, key BlockKey, hash Hash) (UploadStatus, error) {
	s, err := in.upload(ctx, user, key, hash, RoleViewer)
	if err == nil {
		defer s.release()
		return s.status(UploadResumed), nil
	}
	if !errors.Is(err, ErrNotFound) {
		return UploadStatus{}, err
	}
	if err := in.Require(ctx, user, key.Heap, RoleViewer); err != nil {
		return UploadStatus{}, err
	}
	f, err := in.store.FileOf(ctx, key)
	if err == nil && f.Hash != hash {
		err = ErrNotFound
	}
	if err != nil {
		return UploadStatus{}, err
	}
	return in.completeStatus(f, 0), nil
}

// CompleteUpload makes what was uploaded the block's file, for an editor, and makes the
// block if there is none. To repeat it gives the same. Errors: *IncompleteError,
// ErrHashMismatch (what was uploaded is gone then), ErrNotFound.
func (in *Instance) CompleteUpload(ctx context.Context, author Author, key BlockKey, hash Hash) (File, error) {
	if err := in.mayUpload(ctx, author, key); err != nil {
		return File{}, err
	}
	s, err := in.uploads.acquireChunked(ctx, key, hash)
	if errors.Is(err, ErrNotFound) {
		return in.completed(ctx, author, key, hash)
	}
	if err != nil {
		return File{}, err
	}
	defer s.release()
	if err := s.lockCompleting(ctx); err != nil {
		return File{}, err
	}
	defer s.unlockCompleting()
	if err := s.syncs.err(); err != nil {
		return File{}, err
	}
	missing, gone := s.seal()
	switch {
	case gone: // somebody else has completed it meanwhile
		return in.completed(ctx, author, key, hash)
	case len(missing) > 0:
		return File{}, &IncompleteError{missing}
	}
	defer s.unseal()
	sum, err := s.sum(ctx)
	if err != nil {
		return File{}, err
	}
	if sum != hash {
		if err := in.discard(ctx, s); err != nil {
			return File{}, err
		}
		return File{}, ErrHashMismatch
	}
	f := File{Key: key, Hash: hash, Size: s.up.Size, Name: s.up.Name, User: s.up.User, At: in.now().UnixMilli()}
	f.Mime = in.mediaTypeOf(s.file, f.Name, s.up.Mime)
	f, err = in.keep(ctx, author, f, s.file)
	if err == nil {
		s.mu.Lock()
		s.done = true // who reads it can go on
		s.mu.Unlock()
		s.end()
	}
	return f, err
}

// completed is what CompleteUpload says of a file that is the block's already.
func (in *Instance) completed(ctx context.Context, author Author, key BlockKey, hash Hash) (File, error) {
	f, err := in.store.FileOf(ctx, key)
	if err == nil && f.Hash != hash {
		err = fmt.Errorf("upload: %w", ErrNotFound)
	}
	if err != nil {
		return File{}, err
	}
	return in.attach(ctx, author, f)
}

// seal has no chunk be replaced any more if all are there, and else returns those that
// are not.
func (s *staged) seal() (missing [][2]int64, gone bool) {
	s.saving.Lock()
	defer s.saving.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	missing = s.ranges(false)
	s.sealed = len(missing) == 0
	return missing, s.gone
}

func (s *staged) unseal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = false
}
