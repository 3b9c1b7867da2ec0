package blocks

import "context"

// A file of some block is a source: of it the server finds out facts and makes pictures.
// All of that is kept under the hash of its bytes, so that blocks that have the same file
// share it; who may see it is asked for the block.

// What a Source or a Picture can be.
const (
	DerivedQueued  = "queued"
	DerivedRunning = "running"
	DerivedReady   = "ready"
	DerivedFailed  = "failed"
)

// Source is what is known of a file beside its bytes.
type Source struct {
	Hash   Hash
	Size   int64
	User   UserID // who brought it first
	Status string // failed: there are no standard pictures of it, but there may be facts
	Facts  string // a Facts as JSON; "": not known
	Failure
	Tries  int    // how often the work was begun without coming to an end
	Engine string // with which it ended
	At     int64  // ms, of the last change
}

// Failure says why there is no picture.
type Failure struct {
	Code   string // one of those below; "": there is none
	Reason string // in words
}

// Codes of a Failure. Of the first three the next engine may know more.
const (
	CodeNoEngine = "no_engine"
	CodeTimeout  = "timeout"
	CodeLost     = "lost" // the server or the disk failed over it, more than once
	CodeDamaged  = "damaged"
	CodeTooLarge = "too_large"
	// and CodeUnsupported
)

// PictureKey names a picture of a source.
type PictureKey struct {
	Hash     Hash
	Block    Ref    // that a client made it for; 0: the server made it
	Kind     string // KindThumbnail, ...
	Size     int    // longest edge, in pixels
	Position int64  // second of a video; 0 if it is of no moment
	Asked    string // encoding: a media type; "" of what clients made
}

// Picture is one that was made, or why it could not be.
type Picture struct {
	PictureKey
	Status        string // running: Blob is on its way, or the work is
	Blob          Hash   // zero: there is none
	Mime          string
	Bytes         int64
	Width, Height int
	User          UserID // who brought it
	Failure
	Tries  int
	Engine string
	At     int64 // ms
}

// final says that there will be no picture: one that took too long is tried once more, for
// the machine may have had much to do.
func (p *Picture) final() bool {
	return p.Status == DerivedFailed && (p.Code != CodeTimeout || p.Tries >= 2)
}

// Undescribed is a block whose document lacks what was found out about its file.
type Undescribed struct {
	File
	Again bool // what it says is to be replaced
}

// BlobUsage sums up blobs.
type BlobUsage struct {
	Files, FileBytes       int64
	Derived, DerivedBytes  int64
	Sources, Queued, Fails int64 // files looked at, those that wait, and those that failed, but for CodeUnsupported
}

// Sources keeps how far files are looked at. A file becomes a source, queued, when the
// first block has it.
type Sources interface {
	// Source returns a source, or ErrNotFound.
	Source(ctx context.Context, hash Hash) (Source, error)
	// NextSource returns a queued source: that of the first user after one, in a circle,
	// which has waited longest. ErrNotFound if there is none.
	NextSource(ctx context.Context, after UserID) (Source, error)
	// ClaimSource makes a queued source a running one and counts the try. ErrConflict if it
	// is not queued.
	ClaimSource(ctx context.Context, hash Hash, at int64) (Source, error)
	// FailedSources lists those that failed, but for CodeUnsupported, and that a block has;
	// the latest first.
	FailedSources(ctx context.Context, limit int) ([]FailedSource, error)
	// SaveSource stores all of a source but Size and User, or is ErrNotFound.
	SaveSource(ctx context.Context, s Source) error
	// RecoverSources goes on after a restart: what was running is queued, or after so many
	// tries failed; what failed with another engine is queued anew. Clients' pictures that
	// were on their way are forgotten.
	RecoverSources(ctx context.Context, engine string, tries int, lost Failure) error
	// RegenerateSource queues a source again that has ended, forgets its failures, and
	// has the block described again.
	RegenerateSource(ctx context.Context, key BlockKey, hash Hash, at int64) error
	// Undescribed lists blocks that are not in the trash and whose file, a source that has
	// ended, was not told to their documents; hash nil: of all sources.
	Undescribed(ctx context.Context, hash *Hash, limit int) ([]Undescribed, error)
	// SetDescribed takes a block's file off that list.
	SetDescribed(ctx context.Context, key BlockKey, hash Hash) error
}

// Pictures keeps what was made of sources. Blobs of them are kept from being swept while
// some block or upload has the source.
type Pictures interface {
	// Picture returns one, or ErrNotFound.
	Picture(ctx context.Context, key PictureKey) (Picture, error)
	// PicturesOf lists those of a source that the server made and those of a block.
	PicturesOf(ctx context.Context, hash Hash, block Ref) ([]Picture, error)
	// SavePictures stores pictures, all or none. ErrNotFound if the source is gone.
	SavePictures(ctx context.Context, list []Picture) error
	// AddPicture stores a client's picture, if there is room for p.Bytes, else it is
	// ErrQuota. ErrNotFound if the block has no such file.
	AddPicture(ctx context.Context, p Picture, q Quota) error
	// RemovePicture forgets one; one that is none is no error.
	RemovePicture(ctx context.Context, key PictureKey) error
	// ForgetPictures forgets what the server made of a source before (ms).
	ForgetPictures(ctx context.Context, hash Hash, before int64) error
	// BlobUsage sums up the blobs of files and of pictures.
	BlobUsage(ctx context.Context) (BlobUsage, error)
}
