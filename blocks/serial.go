package blocks

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"time"
)

// ErrLocked: another request is sending to the upload.
var ErrLocked = errors.New("another request is sending to this upload")

const (
	// serialChunk is the piece in which a serial upload can be read while it comes.
	serialChunk = 1 << 20
	// saveBytes and saveEvery: so much, and so long, may come before it is made durable.
	saveBytes = 8 << 20
	saveEvery = 2 * time.Second
	// stalledFor is how long a request may send nothing before it gives way to another.
	stalledFor = 5 * time.Second
	// maxParts is how many uploads can be joined to one.
	maxParts = 256
)

// SerialStatus is how far a serial upload is.
type SerialStatus struct {
	Name    Hash // the server's, of the upload
	Key     BlockKey
	Size    int64
	Offset  int64 // bytes that are there, and stay
	Part    bool
	Note    string
	Expires int64 // ms, if nothing comes; 0: never
	File    *File // that it has become
}

// BeginSerial begins a serial upload, for an editor. Without a block in f.Key, and for a
// part, the server makes one up. f.Hash is not looked at. Errors are those of BeginUpload.
func (in *Instance) BeginSerial(ctx context.Context, author Author, f NewFile, of Serial) (SerialStatus, error) {
	if _, err := rand.Read(f.Hash[:]); err != nil {
		return SerialStatus{}, err
	}
	s, err := in.beginSerial(ctx, author, f, of)
	if err != nil {
		return SerialStatus{}, err
	}
	defer s.release()
	return in.settle(ctx, author, s)
}

// beginSerial makes the upload of the name f.Hash, or finds it.
func (in *Instance) beginSerial(ctx context.Context, author Author, f NewFile, of Serial) (*staged, error) {
	if f.Key.Block == "" || of.Part {
		f.Key.Block = BlockID(hex.EncodeToString(f.Hash[:12])) // as random as the name, and does not tell it
	}
	if err := in.mayUpload(ctx, author, f.Key); err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	f.serial = &of
	if _, _, err := in.addUpload(ctx, author, f, serialChunk); err != nil {
		return nil, err
	}
	return in.uploads.acquire(ctx, f.Key, f.Hash)
}

// serial returns a serial upload, for an editor.
func (in *Instance) serial(ctx context.Context, author Author, name Hash) (*staged, error) {
	up, err := in.store.SerialUpload(ctx, name)
	if err == nil {
		err = in.mayUpload(ctx, author, up.Key)
	}
	if err != nil {
		return nil, err
	}
	return in.uploads.acquire(ctx, up.Key, name)
}

// SerialUpload says how far a serial upload is, to an editor. If all of it is there, it is
// the block's file when this returns, or the error says why not. Errors: ErrNotFound,
// ErrHashMismatch (what was uploaded is gone then), and those of CompleteUpload.
func (in *Instance) SerialUpload(ctx context.Context, author Author, name Hash) (SerialStatus, error) {
	s, err := in.serial(ctx, author, name)
	if errors.Is(err, ErrNotFound) {
		return in.cameBy(ctx, author, name)
	}
	if err != nil {
		return SerialStatus{}, err
	}
	defer s.release()
	return in.settle(ctx, author, s)
}

// cameBy is the status of an upload that has become a file.
func (in *Instance) cameBy(ctx context.Context, author Author, name Hash) (SerialStatus, error) {
	f, err := in.store.FileByUpload(ctx, name)
	if err == nil {
		err = in.Require(ctx, author.User, f.Key.Heap, RoleEditor)
	}
	if err != nil {
		return SerialStatus{}, err
	}
	return SerialStatus{Name: name, Key: f.Key, Size: f.Size, Offset: f.Size, File: &f}, nil
}

// SerialBody is what comes next of a serial upload.
type SerialBody struct {
	io.Reader
	At    int64        // where in the file it belongs
	Size  int64        // less than 0: it is not known
	Check func() error // at the end: nothing of it counts unless it returns nil; nil: all does
}

// AppendSerial takes in what comes next of a serial upload, for an editor. What has come is
// made durable now and then, and at the end, and stays even if body fails, whose error is
// returned as it is. With the last byte the upload becomes the block's file. Errors:
// ErrConflict for another offset, ErrLocked, ErrInvalid if there is more than the file has,
// and those of SerialUpload.
func (in *Instance) AppendSerial(ctx context.Context, author Author, name Hash, body SerialBody) (SerialStatus, error) {
	s, err := in.serial(ctx, author, name)
	if errors.Is(err, ErrNotFound) {
		st, err := in.cameBy(ctx, author, name)
		if err == nil && body.At != st.Size {
			err = wrongOffset(st.Size)
		}
		return st, err
	}
	if err != nil {
		return SerialStatus{}, err
	}
	defer s.release()
	w, err := s.beginAppend(body.At)
	if err != nil {
		return SerialStatus{}, err
	}
	err = in.appendFrom(ctx, w, body)
	w.end()
	if err != nil {
		return SerialStatus{}, err
	}
	return in.settle(ctx, author, s)
}

func wrongOffset(offset int64) error {
	return fmt.Errorf("the upload goes on at %d: %w", offset, ErrConflict)
}

// EndSerial ends a serial upload that has not become a file, for an editor.
func (in *Instance) EndSerial(ctx context.Context, author Author, name Hash) error {
	s, err := in.serial(ctx, author, name)
	if errors.Is(err, ErrNotFound) {
		if _, err := in.cameBy(ctx, author, name); err != nil {
			return err
		}
		return fmt.Errorf("the upload has become a file: %w", ErrConflict)
	}
	if err != nil {
		return err
	}
	defer s.release()
	if err := s.lockCompleting(ctx); err != nil {
		return err
	}
	defer s.unlockCompleting()
	if s.ended() {
		return fmt.Errorf("upload: %w", ErrNotFound)
	}
	return in.discard(ctx, s)
}

func (in *Instance) discard(ctx context.Context, s *staged) error {
	if err := in.store.RemoveUpload(ctx, s.up.ID); err != nil {
		return err
	}
	s.end()
	return nil
}

// JoinSerials makes a file of parts that are whole, of one heap, in this order, for an
// editor; the parts are gone then. f.Size is not looked at, and without a heap in f.Key it
// is theirs. To repeat it goes on, and gives the same. Errors: ErrConflict if a part is not
// whole, and those of SerialUpload.
func (in *Instance) JoinSerials(ctx context.Context, author Author, f NewFile, of Serial, parts []Hash) (SerialStatus, error) {
	if len(parts) == 0 || len(parts) > maxParts {
		return SerialStatus{}, fmt.Errorf("1 to %d parts can be joined: %w", maxParts, ErrInvalid)
	}
	h := sha256.New()
	h.Write([]byte("join"))
	for _, name := range parts {
		h.Write(name[:])
	}
	f.Hash = Hash(h.Sum(nil))
	if st, err := in.cameBy(ctx, author, f.Hash); !errors.Is(err, ErrNotFound) {
		return st, err
	}
	var joined []*staged
	defer func() {
		for _, p := range joined {
			p.release()
		}
	}()
	f.Size = 0
	for _, name := range parts {
		p, err := in.serial(ctx, author, name)
		if err != nil {
			return SerialStatus{}, fmt.Errorf("part %d: %w", len(joined), err)
		}
		joined = append(joined, p)
		st := p.serialStatus(0)
		if f.Key.Heap == "" {
			f.Key.Heap = st.Key.Heap
		}
		switch {
		case !st.Part || st.Key.Heap != f.Key.Heap:
			return SerialStatus{}, fmt.Errorf("part %d is not a partial upload of this heap: %w", len(joined)-1, ErrInvalid)
		case st.Offset < st.Size:
			return SerialStatus{}, fmt.Errorf("part %d is not whole: %w", len(joined)-1, ErrConflict)
		}
		f.Size += st.Size
	}
	f.spare = f.Size
	of.Part = false
	s, err := in.beginSerial(ctx, author, f, of)
	if err != nil {
		return SerialStatus{}, err
	}
	defer s.release()
	st, err := in.join(ctx, author, s, joined)
	if err == nil || errors.Is(err, ErrHashMismatch) {
		for _, p := range joined {
			err = errors.Join(err, in.discard(context.WithoutCancel(ctx), p))
		}
	}
	return st, err
}

func (in *Instance) join(ctx context.Context, author Author, s *staged, parts []*staged) (SerialStatus, error) {
	skip := s.serialStatus(0).Offset // of a join that broke off
	w, err := s.beginAppend(skip)
	if err != nil {
		return SerialStatus{}, err
	}
	var readers []io.Reader
	for _, p := range parts {
		from := min(skip, p.up.Size)
		skip -= from
		readers = append(readers, io.NewSectionReader(p.file, from, p.up.Size-from))
	}
	err = in.appendFrom(ctx, w, SerialBody{Reader: &untilDone{ctx, io.MultiReader(readers...)}, Size: -1})
	w.end()
	if err != nil {
		return SerialStatus{}, err
	}
	return in.settle(ctx, author, s)
}

// settle has an upload of which all is there become the block's file, and else says how
// far it is.
func (in *Instance) settle(ctx context.Context, author Author, s *staged) (SerialStatus, error) {
	st := s.serialStatus(in.limits.UploadFor)
	if st.Part || st.Offset < st.Size {
		return st, nil
	}
	if err := s.lockCompleting(ctx); err != nil {
		return SerialStatus{}, err
	}
	defer s.unlockCompleting()
	if s.ended() { // somebody else has done it meanwhile
		return in.cameBy(ctx, author, st.Name)
	}
	sum, err := s.sum(ctx)
	if err != nil {
		return SerialStatus{}, err
	}
	if want := s.up.Serial.Want; want != nil && *want != sum {
		return SerialStatus{}, errors.Join(ErrHashMismatch, in.discard(ctx, s))
	}
	f := File{Key: st.Key, Hash: sum, Size: st.Size, Name: s.up.Name, User: s.up.User, At: in.now().UnixMilli(), Upload: st.Name}
	f.Mime = in.mediaTypeOf(s.file, f.Name, s.up.Mime)
	f, err = in.keep(ctx, author, f, s.file)
	if err != nil {
		return SerialStatus{}, err
	}
	s.mu.Lock()
	s.done = true
	s.mu.Unlock()
	s.end()
	st.File, st.Expires = &f, 0
	return st, nil
}

func (s *staged) serialStatus(keep time.Duration) SerialStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return SerialStatus{
		Name: s.up.Hash, Key: s.up.Key, Size: s.up.Size, Offset: s.up.Hashed, Part: s.up.Serial.Part,
		Note: s.up.Serial.Note, Expires: time.UnixMilli(s.up.LastAt).Add(keep).UnixMilli(),
	}
}

// appender is one request that sends to a serial upload. Only what is hashed counts.
type appender struct {
	*staged
	at  int64 // where the next bytes belong
	sum hash.Hash

	// mu guards below, and is held while bytes are written. Lock order: staged.mu, then mu.
	mu         sync.Mutex
	superseded bool
	saving     bool // it does not give way
	movedAt    time.Time
}

// beginAppend makes this the request that sends, if nobody else does.
func (s *staged) beginAppend(at int64) (*appender, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.all.now()
	switch {
	case s.gone:
		return nil, fmt.Errorf("upload: %w", ErrNotFound)
	case s.appender != nil && !s.appender.giveWay(now):
		return nil, ErrLocked
	case at != s.up.Hashed:
		return nil, wrongOffset(s.up.Hashed)
	}
	sum, err := newHash(s.up.HashProgress)
	if err != nil {
		return nil, err
	}
	s.appender = &appender{staged: s, at: at, sum: sum, movedAt: now}
	return s.appender, nil
}

// giveWay has w do nothing more if nothing has come for a while: it may be what is left of
// a connection that is gone.
func (w *appender) giveWay(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.saving && now.Sub(w.movedAt) >= stalledFor {
		w.superseded = true
	}
	return w.superseded
}

func (w *appender) end() {
	w.staged.mu.Lock()
	defer w.staged.mu.Unlock()
	if w.appender == w {
		w.appender = nil
	}
}

// appendFrom writes body to the end of the upload, as AppendSerial says.
func (in *Instance) appendFrom(ctx context.Context, w *appender, body SerialBody) error {
	if body.Size > w.up.Size-w.at {
		return w.tooMuch()
	}
	buf := w.all.buffers.Get().(*[bufferSize]byte)
	defer w.all.buffers.Put(buf)
	ctx = context.WithoutCancel(ctx) // what has come is kept when the client is gone
	saved, savedAt := w.at, w.all.now()
	save := func() error {
		if w.at == saved {
			return nil
		}
		err := w.save(ctx)
		if err == nil {
			saved, savedAt = w.at, w.all.now()
			in.tellProgress(w.staged)
		}
		return err
	}
	for {
		n, err := body.Read(buf[:])
		if n > 0 {
			if failed := w.write(buf[:n]); failed != nil {
				if body.Check == nil {
					failed = errors.Join(failed, save())
				}
				return failed
			}
		}
		if body.Check == nil && (err != nil || w.at-saved >= saveBytes || w.all.now().Sub(savedAt) >= saveEvery) {
			if failed := save(); failed != nil {
				return failed
			}
		}
		switch {
		case err == io.EOF && body.Check != nil:
			if err := body.Check(); err != nil {
				return err
			}
			return save()
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

func (w *appender) tooMuch() error {
	return fmt.Errorf("the upload has %d bytes, and more came: %w", w.up.Size, ErrInvalid)
}

// write puts bytes where they belong. They count when they are saved.
func (w *appender) write(p []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.superseded:
		return ErrLocked
	case int64(len(p)) > w.up.Size-w.at:
		return w.tooMuch()
	}
	n, err := w.file.WriteAt(p, w.at)
	w.sum.Write(p[:n])
	w.at += int64(n)
	w.movedAt = w.all.now()
	if err != nil {
		return fmt.Errorf("write upload: %w", fullDisk(err))
	}
	return nil
}

// save makes durable, and has be there, what was written.
func (w *appender) save(ctx context.Context) error {
	w.mu.Lock()
	superseded := w.superseded
	w.saving = !superseded
	w.mu.Unlock()
	if superseded {
		return ErrLocked
	}
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.saving, w.movedAt = false, w.all.now()
	}()
	s := w.staged
	if err := s.sync(); err != nil {
		return err
	}
	p, err := progressOf(w.sum, w.at)
	if err != nil {
		return err
	}
	at := s.all.now().UnixMilli()
	if err := s.all.store.SaveProgress(ctx, s.up.ID, p, at); err != nil {
		if errors.Is(err, ErrNotFound) { // the block was deleted, or the upload has had its time
			s.end()
		}
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.up.Hashed
	s.up.HashProgress, s.up.LastAt = p, at
	s.markHashed(from)
	s.move()
	return nil
}

// markHashed has the chunks be there that are hashed to their end, those from a byte on. It
// needs mu.
func (s *staged) markHashed(from int64) {
	for n := from / s.up.ChunkSize; n < s.up.chunks(); n++ {
		if _, to := s.up.span(n); to > s.up.Hashed {
			return
		}
		s.mark(n, true)
	}
}

func (s *staged) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone
}

// lockCompleting waits for its turn to end the upload.
func (s *staged) lockCompleting(ctx context.Context) error {
	select {
	case s.completing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *staged) unlockCompleting() { <-s.completing }
