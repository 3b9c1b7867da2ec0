package blocks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
)

// Hash is the SHA-256 of a blob, which is its name. As text it is lower-case hex.
type Hash [sha256.Size]byte

// ParseHash reads 64 lower-case hex digits. Any fault is ErrInvalid.
func ParseHash(s string) (Hash, error) {
	var h Hash
	ok := len(s) == hex.EncodedLen(len(h))
	for i := 0; ok && i < len(s); i++ {
		ok = s[i] >= '0' && s[i] <= '9' || s[i] >= 'a' && s[i] <= 'f'
	}
	if !ok {
		return Hash{}, fmt.Errorf("a hash must be SHA-256 in %d lower-case hex digits: %w", hex.EncodedLen(len(h)), ErrInvalid)
	}
	_, err := hex.Decode(h[:], []byte(s))
	return h, err
}

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes what ParseHash reads.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// Blob is a blob that is open. ReadAt is safe for concurrent use, the rest is not. A
// Blob that also is a syscall.Conn can be sent without a copy through this process.
type Blob interface {
	io.ReadSeekCloser
	io.ReaderAt
	Size() int64
}

// LocalBlob is a Blob that is a file of this machine.
type LocalBlob interface {
	Blob
	// LocalFile returns the file, which is closed with the blob. Whoever moves its offset
	// must not use the blob otherwise.
	LocalFile() *os.File
}

// FarBlobs are Blobs of which each question takes long.
type FarBlobs interface {
	Blobs
	// OpenFar is Open of a blob that should be there, with so many bytes, and does not ask.
	// If it is not there, whatever reads it is ErrNotFound; if it has another size,
	// ErrUnavailable, before a byte is read.
	OpenFar(ctx context.Context, hash Hash, size int64) FarBlob
}

// FarBlob is a Blob of FarBlobs.
type FarBlob interface {
	Blob
	// Prepare seeks to from, and returns when the bytes from there to to, which are to be
	// read next, are on their way, or the error that to read them would be.
	Prepare(from, to int64) error
}

// BlobSize is a blob in a list.
type BlobSize struct {
	Hash Hash
	Size int64
}

// Blobs keeps bytes under their hash. It does not compute hashes: who puts has done
// so. It is safe for concurrent use.
type Blobs interface {
	// Put takes in the size bytes of a local file, which the caller has hashed and
	// synced and lets nobody change any more. When it returns nil, no power cut
	// undoes it. The file stays open and where it is. What was there under the hash,
	// whole or damaged, is replaced in one step. A file of another size is
	// ErrInvalid, and nothing is stored; a full disk is ErrFull.
	Put(ctx context.Context, hash Hash, file *os.File, size int64) error
	// Open returns ErrNotFound if there is no such blob. ctx is that of the opening and
	// of all that is read. The caller closes the blob.
	Open(ctx context.Context, hash Hash) (Blob, error)
	// Stat returns a blob's size, or ErrNotFound.
	Stat(ctx context.Context, hash Hash) (int64, error)
	// Delete removes a blob. One that is absent is no error.
	Delete(ctx context.Context, hash Hash) error
	// List returns the blobs whose hash is greater than after, in order, at most limit.
	// What is put or deleted meanwhile may be among them or not.
	List(ctx context.Context, after Hash, limit int) ([]BlobSize, error)
}
