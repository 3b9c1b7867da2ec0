package blocks

import (
	"context"
	"errors"
	"fmt"
)

// Errors of files and uploads.
var (
	// ErrHashMismatch: the bytes are not those that the hash or digest names.
	ErrHashMismatch = errors.New("the bytes do not have this hash")
	// ErrQuota is ErrTooLarge because the user or the heap has no room left.
	ErrQuota = fmt.Errorf("quota exceeded: %w", ErrTooLarge)
)

// File is a blob under the name that a block gives it.
type File struct {
	Key  BlockKey
	Hash Hash
	Size int64
	Name string // fit to be shown and to be a file's name anywhere; may be empty
	Mime string // what the server takes it for
	User UserID // who brought it; "" if it came from another block of the heap
	At   int64  // ms
	// Upload is the name of the serial upload that it came by; zero: it came otherwise.
	Upload Hash

	// Placed says that the bytes lie where a scan found them, and not in the store of blobs.
	Placed bool
}

// Upload is a file on its way to a block. The block need not exist yet.
type Upload struct {
	ID        int64 // the store's
	Key       BlockKey
	Hash      Hash
	Size      int64
	Name      string
	Mime      string // as the client says, "" if it does not
	ChunkSize int64
	User      UserID
	At        int64
	LastAt    int64 // when something of it came last
	HashProgress
	Serial *Serial // nil: it comes in chunks
}

// Serial is what an upload has that comes from front to back. What there is of it is what
// is hashed, and its Hash is a name that the server made: the file's is known at the end.
type Serial struct {
	Part bool   // it will not be a file, but be joined to one
	Note string // what the client wants to read again
	Want *Hash  // that the file must have; nil: any
}

// HashProgress is the state of SHA-256 after the first Hashed bytes of a staged file.
type HashProgress struct {
	Hashed int64
	State  []byte // as the hash marshals itself; nil after none
}

// chunks is how many chunks the upload has; a file without bytes has none.
func (u *Upload) chunks() int64 { return (u.Size + u.ChunkSize - 1) / u.ChunkSize }

// span returns where in the file a chunk is: from the first byte to before the last.
func (u *Upload) span(chunk int64) (from, to int64) {
	return chunk * u.ChunkSize, min((chunk+1)*u.ChunkSize, u.Size)
}

// Quota is how many bytes of files there may be; 0: any; less: none.
type Quota struct {
	User int64 // of the user, in all heaps
	Heap int64
}

// Uploads keeps what has arrived of uploads. A block has at most one of each hash.
type Uploads interface {
	// AddUpload stores u and fills in its ID, if there is room for u.Size bytes more, else
	// it is ErrQuota. If the block has an upload of this hash, that one is returned and
	// added is false. ErrNotFound if there is no such heap.
	AddUpload(ctx context.Context, u Upload, q Quota) (_ Upload, added bool, err error)
	// Upload returns a block's upload of a hash and the chunks that are there, in order,
	// or ErrNotFound. So is one in a deleted heap.
	Upload(ctx context.Context, key BlockKey, hash Hash) (Upload, []int64, error)
	// UploadsTo lists a block's uploads, the one that something came of last first.
	UploadsTo(ctx context.Context, key BlockKey) ([]Upload, error)
	// HeapsWithUpload lists the heaps that the user can read and in which there is an
	// upload to a block of this id.
	HeapsWithUpload(ctx context.Context, user UserID, block BlockID) ([]HeapID, error)
	// SaveChunk says whether a chunk is there, how far the file is hashed, and that this
	// was at a time (ms). ErrNotFound if there is no such upload.
	SaveChunk(ctx context.Context, upload, chunk int64, there bool, p HashProgress, at int64) error
	// SerialUpload returns the serial upload of a name, or ErrNotFound. So is one in a
	// deleted heap.
	SerialUpload(ctx context.Context, name Hash) (Upload, error)
	// SaveProgress says how far a serial upload is, and that this was at a time (ms).
	// ErrNotFound if there is no such upload.
	SaveProgress(ctx context.Context, upload int64, p HashProgress, at int64) error
	// RemoveUpload forgets an upload; one that is none is no error.
	RemoveUpload(ctx context.Context, upload int64) error
	// IdleUploads lists the uploads of which nothing came since before (ms), of all heaps,
	// at most limit, the longest idle first.
	IdleUploads(ctx context.Context, before int64, limit int) ([]Upload, error)
	// ComingBytes sums up what all uploads lack.
	ComingBytes(ctx context.Context) (int64, error)
	// UploadExists says whether there is an upload of this id.
	UploadExists(ctx context.Context, upload int64) (bool, error)
}

// Files keeps which blobs are whose. A block's files stay its own until it is deleted or
// they are dropped for long; one of them at most is its file now.
type Files interface {
	// AddFile makes f the block's file, keeps its blob from being swept, and forgets the
	// block's upload of it and the one that f names, all in one transaction. ErrNotFound
	// if the block is none or deleted.
	AddFile(ctx context.Context, f File) error
	// FileOf returns the block's file, or ErrNotFound. So is one in a deleted heap.
	FileOf(ctx context.Context, key BlockKey) (File, error)
	// FileByUpload returns the file that came by the serial upload of a name, even if it is
	// not the block's file any more, or ErrNotFound. So is one in a deleted heap.
	FileByUpload(ctx context.Context, name Hash) (File, error)
	// FilesOf lists the files of a heap's blocks that are not deleted, those after a block,
	// in order, at most limit.
	FilesOf(ctx context.Context, heap HeapID, after BlockID, limit int) ([]File, error)
	// FollowFile notes at a time (ms) what a block's document, read at seq, names as its
	// file: hash nil for none. If the block has moved on, nothing changes. The file becomes the block's if it was one of its files before, or is one of another block of the heap; what was its file is dropped. name "" leaves it as
	// it was. changed says that the file is another one now, or has another name.
	FollowFile(ctx context.Context, ref Ref, seq Seq, hash *Hash, name string, at int64) (changed bool, err error)
	// KnownFile returns a file of this hash of some block of a heap that the user can
	// read, one whose bytes are in the store of blobs, or ErrNotFound. What it costs does not depend on what others have.
	KnownFile(ctx context.Context, user UserID, hash Hash) (File, error)
	// FileUsage returns bytes and number of a user's files and uploads.
	FileUsage(ctx context.Context, user UserID) (bytes, files int64, err error)
}

// BlobRefs finds the blobs that nothing refers to: no file, not even one that was dropped,
// no upload, and no picture of one of these. They are marked, and only what was marked for long is deleted.
type BlobRefs interface {
	// ExpectBlob notes at a time (ms) that a blob is about to be put, which nothing refers
	// to yet. It is swept like others if that stays so.
	ExpectBlob(ctx context.Context, b BlobSize, at int64) error
	// ForgetFiles forgets files that were dropped before (ms), at most limit, and says how
	// many.
	ForgetFiles(ctx context.Context, before int64, limit int) (int, error)
	// MarkBlobs marks at a time (ms) those that nothing refers to, among the limit blobs
	// that come after a hash; next and more say how to go on.
	MarkBlobs(ctx context.Context, after Hash, at int64, limit int) (next Hash, more bool, err error)
	// MarkedBlobs lists those that were marked before (ms), at most limit.
	MarkedBlobs(ctx context.Context, before int64, limit int) ([]Hash, error)
	// ReleaseBlob says whether the bytes of a marked blob may be deleted. If something
	// refers to it by now, they may not, and the mark is taken off. If they may, what was
	// found out and made of them is forgotten, and that they are a picture of something.
	ReleaseBlob(ctx context.Context, hash Hash) (may bool, err error)
	// RemoveBlob forgets a blob that was released and to which nothing refers.
	RemoveBlob(ctx context.Context, hash Hash) error
	// BlobsOf lists the blobs that files refer to, but for files in place, and the pictures
	// of all files, those after a hash, in order, at most limit.
	BlobsOf(ctx context.Context, after Hash, limit int) ([]BlobSize, error)
}
