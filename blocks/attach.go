package blocks

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/heapsync/heapsync/ydoc"
)

func (in *Instance) mediaTypeOf(file io.ReaderAt, name, declared string) string {
	if in.files.mediaType == nil {
		return declared
	}
	head := make([]byte, SniffBytes)
	n, _ := file.ReadAt(head, 0) // what cannot be read now fails later
	return in.files.mediaType(name, declared, head[:n])
}

// keep puts a local file, which is hashed and synced, into the store of blobs and makes it
// the block's. It is not swept meanwhile: the caller has an upload of it in the store, or,
// as a serial one does not name the hash, the blob is locked.
func (in *Instance) keep(ctx context.Context, author Author, f File, file *os.File) (File, error) {
	serial := f.Upload != Hash{}
	lock := in.blobs.of(f.Hash)
	lock.Lock()
	if serial {
		defer lock.Unlock()
		if err := in.store.ExpectBlob(ctx, BlobSize{f.Hash, f.Size}, f.At); err != nil {
			return File{}, err
		}
	}
	err := in.files.blobs.Put(ctx, f.Hash, file, f.Size)
	if !serial {
		lock.Unlock()
	}
	if err != nil {
		return File{}, err
	}
	return in.attach(context.WithoutCancel(ctx), author, f)
}

// attach makes f the block's file: its document says so, and then the store, which also
// forgets the upload. If it ends in between, to complete the upload again goes on.
func (in *Instance) attach(ctx context.Context, author Author, f File) (File, error) {
	_, err := in.Edit(ctx, author, f.Key, func(head Head, doc *ydoc.Doc) error {
		describeFile(head.Type, doc, f)
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		doc := ydoc.NewDoc(ydoc.Options{})
		doc.Transact(func() { describeFile("", doc, f) })
		_, err = in.AppendAndWait(ctx, Append{Key: f.Key, Author: author, Update: doc.Encode(ydoc.V1), Type: fileType})
	}
	if err != nil {
		return File{}, err
	}
	err = in.store.AddFile(ctx, f)
	in.served.forget() // it may be done even so
	if err != nil {
		return File{}, err
	}
	in.tellReady(f)
	in.deriver.attached(ctx, f.Hash)
	return f, nil
}

// fileType is the type of a block that is nothing but a file.
const fileType = "file"

// describeFile has a document say what its file is, unless it does.
func describeFile(typ string, doc *ydoc.Doc, f File) {
	about := doc.Map(aboutRoot)
	if named := fileNamed(about); named.hash == nil || *named.hash != f.Hash {
		m := about.SetType("file", ydoc.TypeMap, "").AsMap()
		m.Set("hash", f.Hash.String())
		m.Set("name", f.Name)
		m.Set("size", float64(f.Size))
		m.Set("mime", f.Mime)
	}
	if typ == "" && typeOf(about) == "" {
		about.Set("type", fileType)
	}
}

// namedFile is what a document says of its file.
type namedFile struct {
	hash *Hash // nil: it has none, or what it says is no hash
	name string
}

func fileNamed(about ydoc.Map) (f namedFile) {
	v, _ := about.Value("file")
	n := 0
	fields(v, func(key string, value any) bool {
		n++
		s, _ := value.(string)
		switch key {
		case "hash":
			if hash, err := ParseHash(s); err == nil {
				f.hash = &hash
			}
		case "name":
			f.name = cleanFileName(s)
		}
		return n <= maxApps
	})
	return f
}

// followFile notes what a block's document says of its file.
func (in *Instance) followFile(ctx context.Context, head Head, f namedFile) error {
	changed, err := in.store.FollowFile(ctx, head.Ref, head.Seq, f.hash, f.name, in.now().UnixMilli())
	if changed || err != nil {
		in.served.forget()
	}
	if f.hash != nil && (changed || head.TrashedAt != 0) { // it may have left the trash
		in.deriver.attached(ctx, *f.hash)
	}
	return err
}

// TakeFile makes what r gives the block's file, for an editor: f.Size is the most that it
// may have, and f.Hash is not looked at. want is called when all of r is read, and returns
// the hash that it must have, or it is ErrHashMismatch; nil: any. An error of r is
// returned as it is.
func (in *Instance) TakeFile(ctx context.Context, author Author, f NewFile, r io.Reader, want func() (*Hash, error)) (File, error) {
	if err := in.mayUpload(ctx, author, f.Key); err != nil {
		return File{}, err
	}
	atMost := f.Size
	if err := in.diskRoom(ctx, f.Size); err != nil {
		return File{}, err
	}
	temp, err := os.CreateTemp(in.uploads.temp, "file-*")
	if err != nil {
		return File{}, fmt.Errorf("make a temporary file: %w", fullDisk(err))
	}
	defer os.Remove(temp.Name())
	defer temp.Close()
	if f.Hash, f.Size, err = in.uploads.hashInto(ctx, temp, io.LimitReader(r, atMost+1)); err != nil {
		return File{}, err
	}
	if f.Size > atMost {
		return File{}, fmt.Errorf("a file may have at most %d bytes here: %w", atMost, ErrTooLarge)
	}
	if expected, err := want(); err != nil {
		return File{}, err
	} else if expected != nil && f.Hash != *expected {
		return File{}, ErrHashMismatch
	}
	if err := f.check(); err != nil {
		return File{}, err
	}
	if err := temp.Sync(); err != nil {
		return File{}, fmt.Errorf("sync file: %w", fullDisk(err))
	}
	up, _, err := in.addUpload(ctx, author, f, 0)
	if err != nil {
		return File{}, err
	}
	file := File{Key: f.Key, Hash: f.Hash, Size: f.Size, Name: f.Name, Mime: in.mediaTypeOf(temp, f.Name, f.Mime), User: author.User, At: in.now().UnixMilli()}
	file, err = in.keep(ctx, author, file, temp)
	if err != nil {
		return File{}, err
	}
	in.uploads.drop(up)
	return file, nil
}

// hashInto copies r to a file and hashes it.
func (u *uploads) hashInto(ctx context.Context, to *os.File, r io.Reader) (Hash, int64, error) {
	buf := u.buffers.Get().(*[bufferSize]byte)
	defer u.buffers.Put(buf)
	h := sha256.New()
	for size := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return Hash{}, 0, err
		}
		n, err := r.Read(buf[:])
		if n > 0 {
			h.Write(buf[:n])
			if _, err := to.Write(buf[:n]); err != nil {
				return Hash{}, 0, fmt.Errorf("write file: %w", fullDisk(err))
			}
			size += int64(n)
		}
		if err == io.EOF {
			return Hash(h.Sum(nil)), size, nil
		}
		if err != nil {
			return Hash{}, 0, err
		}
	}
}
