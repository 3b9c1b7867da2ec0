package blocks

import (
	"context"
	"crypto/sha256"
	"encoding"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// uploads is what is in memory of uploads, and the folder in which their bytes are until
// they are whole: a sparse file for each, named by the upload's id.
type uploads struct {
	store    Store
	dir      string // "": there are no uploads
	temp     string
	logger   *slog.Logger
	now      func() time.Time
	buffers  sync.Pool
	syncFile func(*os.File) error
	trouble  atomic.Pointer[error] // of a sync that failed; nil: none has
	named    atomic.Bool           // this process has made dir's own name durable

	// mu guards active and the refs of what is in it. Lock order: mu, then a staged's mu.
	mu     sync.Mutex
	active map[uploadKey]*staged

	// hashMu guards stopped, after which no hasher starts.
	hashMu  sync.Mutex
	stopped bool
	hashers sync.WaitGroup
}

type uploadKey struct {
	key  BlockKey
	hash Hash
}

const (
	// bufferSize is what one request for a chunk has in memory of it.
	bufferSize = 64 << 10
	// maxIdleUploads is how many uploads that nobody uses are remembered.
	maxIdleUploads = 1000
)

func newUploads(cfg LogConfig, log *Log) *uploads {
	u := &uploads{store: cfg.Store, dir: cfg.UploadDir, temp: cfg.TempDir, logger: log.logger, now: log.now, active: map[uploadKey]*staged{}}
	if u.syncFile = cfg.SyncFile; u.syncFile == nil {
		u.syncFile = (*os.File).Sync
	}
	u.buffers.New = func() any { return new([bufferSize]byte) }
	return u
}

func (u *uploads) path(id int64) string { return filepath.Join(u.dir, strconv.FormatInt(id, 10)) }

// stop waits for what is hashed in the background.
func (u *uploads) stop() {
	u.hashMu.Lock()
	u.stopped = true
	u.hashMu.Unlock()
	u.hashers.Wait()
}

// staged is one upload in memory: which chunks are there, and how far it is hashed.
//
// A chunk that is there is on disk and in the store; of a serial upload, bytes that are
// hashed are. Its bytes change only while saving
// is held for writing; who reads them, or stores a chunk, holds it for reading.
type staged struct {
	all        *uploads
	refs       int           // guarded by uploads.mu
	completing chan struct{} // has room for one
	saving     sync.RWMutex
	syncs      groupSync

	// mu guards all below.
	mu       sync.Mutex
	up       Upload // its HashProgress is of bytes that are there; ID 0: not read yet
	file     *os.File
	gone     bool // nothing can come of it any more
	sealed   bool // it is being completed: no chunk is replaced
	done     bool // it has become a file
	there    []uint64
	count    int64
	bytes    int64
	writers  map[int64]*chunkWriter
	appender *appender // of a serial upload; nil: nobody sends
	hashing  bool      // somebody is hashing on from HashProgress
	epoch    int       // counts when hashing had to begin anew
	moved    chan struct{}
	told     time.Time // when watchers heard of it last
}

// acquire returns a block's upload of a hash with its file open, or ErrNotFound. It is
// given back by release.
func (u *uploads) acquire(ctx context.Context, key BlockKey, hash Hash) (*staged, error) {
	if u.dir == "" {
		return nil, errNoFiles
	}
	k := uploadKey{key, hash}
	u.mu.Lock()
	s := u.active[k]
	if s == nil || s.isGone() { // who still has the one that is gone gives it back
		s = &staged{all: u, completing: make(chan struct{}, 1), writers: map[int64]*chunkWriter{}, moved: make(chan struct{})}
		u.active[k] = s
	}
	s.refs++
	u.mu.Unlock()
	if err := s.open(ctx, key, hash); err != nil {
		s.mu.Lock()
		gone := s.gone
		s.mu.Unlock()
		if gone {
			u.forget(k, s)
		}
		u.release(k, s)
		return nil, err
	}
	return s, nil
}

// acquireChunked is acquire of an upload that comes in chunks: another is none.
func (u *uploads) acquireChunked(ctx context.Context, key BlockKey, hash Hash) (*staged, error) {
	s, err := u.acquire(ctx, key, hash)
	if err == nil && s.up.Serial != nil {
		s.release()
		return nil, fmt.Errorf("upload: %w", ErrNotFound)
	}
	return s, err
}

// forget has whoever comes next not find s, which may still be in use, but is gone.
func (u *uploads) forget(k uploadKey, s *staged) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.active[k] == s {
		delete(u.active, k)
	}
}

func (u *uploads) release(k uploadKey, s *staged) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if s.refs--; s.refs > 0 {
		return
	}
	s.mu.Lock() // nobody else has it
	defer s.mu.Unlock()
	if s.file != nil {
		s.file.Close() // what counts is synced
		s.file = nil
	}
	if (s.gone || s.up.ID == 0) && u.active[k] == s {
		delete(u.active, k)
	}
	for other, idle := range u.active { // any one: whoever comes back to it has it read again
		if len(u.active) <= maxIdleUploads {
			return
		}
		if idle.refs == 0 && idle.syncs.err() == nil { // the others must not be forgotten
			delete(u.active, other)
		}
	}
}

func (s *staged) key() uploadKey { return uploadKey{s.up.Key, s.up.Hash} }

func (s *staged) release() { s.all.release(s.key(), s) }

// open reads what the store knows, and opens the file.
func (s *staged) open(ctx context.Context, key BlockKey, hash Hash) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.gone:
		return fmt.Errorf("upload: %w", ErrNotFound)
	case s.file != nil:
		return nil
	}
	if s.up.ID == 0 {
		up, chunks, err := s.all.store.Upload(ctx, key, hash)
		if err != nil {
			return err
		}
		s.up = up
		s.there = make([]uint64, (up.chunks()+63)/64)
		for _, n := range chunks {
			s.mark(n, true)
		}
		if up.Serial != nil {
			s.markHashed(0)
		}
	}
	path := s.all.path(s.up.ID)
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	empty := s.count == 0 && s.up.Hashed == 0
	if errors.Is(err, fs.ErrNotExist) && empty {
		file, err = s.create(path)
	}
	if err == nil {
		var info fs.FileInfo
		if info, err = file.Stat(); err == nil && info.Size() != s.up.Size {
			if empty {
				err = file.Truncate(s.up.Size)
			} else {
				err = fs.ErrNotExist
			}
		}
		if err != nil {
			file.Close()
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		// The folder was emptied by somebody. Nothing is there of what the store says.
		s.all.logger.Error("the bytes of an upload are lost", "heap", key.Heap, "block", key.Block, "bytes", s.bytes)
		s.gone = true
		if err := s.all.store.RemoveUpload(ctx, s.up.ID); err != nil {
			return err
		}
		return fmt.Errorf("upload: %w", ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("open upload: %w", fullDisk(err))
	}
	s.file = file
	return nil
}

func (s *staged) create(path string) (*os.File, error) {
	if err := s.all.makeFolder(); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := file.Truncate(s.up.Size); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if err := syncFolder(s.all.dir); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// makeFolder makes the folder of uploads, and makes its name durable. One that is there
// may not be durable yet, if the process that made it was killed.
func (u *uploads) makeFolder() error {
	_, absent := os.Stat(u.dir)
	if absent == nil && u.named.Load() {
		return nil
	}
	if err := os.MkdirAll(u.dir, 0o700); err != nil {
		return err
	}
	if err := syncFolder(filepath.Dir(u.dir)); err != nil {
		return err
	}
	u.named.Store(true)
	return nil
}

// syncFolder makes what a folder names durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// fullDisk has an error that only means that there is no room be ErrFull.
func fullDisk(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// mark says whether a chunk is there. It needs mu.
func (s *staged) mark(chunk int64, there bool) {
	if s.has(chunk) == there {
		return
	}
	s.there[chunk/64] ^= 1 << (chunk % 64)
	from, to := s.up.span(chunk)
	n := int64(1)
	if !there {
		n, from, to = -1, to, from
	}
	s.count += n
	s.bytes += to - from
}

// has says whether a chunk is there. It needs mu.
func (s *staged) has(chunk int64) bool { return s.there[chunk/64]&(1<<(chunk%64)) != 0 }

// ranges returns the chunks that are there, or those that are not, as pairs of the first
// and the last. It needs mu.
func (s *staged) ranges(there bool) [][2]int64 {
	list := [][2]int64{}
	for n := range s.up.chunks() {
		if s.has(n) != there {
			continue
		}
		if last := len(list) - 1; last >= 0 && list[last][1] == n-1 {
			list[last][1] = n
		} else {
			list = append(list, [2]int64{n, n})
		}
	}
	return list
}

// move tells those who wait that something has changed. It needs mu.
func (s *staged) move() {
	close(s.moved)
	s.moved = make(chan struct{})
}

func (s *staged) isGone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone
}

// end has nothing come of the upload any more, and removes its bytes.
func (s *staged) end() {
	s.mu.Lock()
	s.gone = true
	s.move()
	s.mu.Unlock()
	s.all.forget(s.key(), s)
	if err := os.Remove(s.all.path(s.up.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.all.logger.Warn("bytes of an upload not removed", "err", err)
	}
}

// newHash goes on from a state.
func newHash(p HashProgress) (hash.Hash, error) {
	h := sha256.New()
	if p.Hashed == 0 {
		return h, nil
	}
	if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(p.State); err != nil {
		return nil, fmt.Errorf("state of a hash: %w", err)
	}
	return h, nil
}

func progressOf(h hash.Hash, hashed int64) (HashProgress, error) {
	state, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	return HashProgress{hashed, state}, err
}

// catchUp hashes what is there behind what is hashed, in the background.
func (s *staged) catchUp() {
	u := s.all
	s.mu.Lock()
	begin := !s.gone && !s.hashing && s.hashable()
	s.mu.Unlock()
	if !begin {
		return
	}
	u.hashMu.Lock()
	defer u.hashMu.Unlock()
	if u.stopped {
		return
	}
	u.mu.Lock()
	s.refs++ // the caller has it, so its file is open
	u.mu.Unlock()
	u.hashers.Go(func() {
		defer s.release()
		if err := s.hashOn(context.Background()); err != nil {
			u.logger.Warn("upload not hashed as it comes", "heap", s.up.Key.Heap, "block", s.up.Key.Block, "err", err)
		}
	})
}

// hashable says whether the next bytes to be hashed are there. It needs mu.
func (s *staged) hashable() bool {
	return s.up.Hashed < s.up.Size && s.has(s.up.Hashed/s.up.ChunkSize)
}

// hashOn hashes until what comes next is not there, unless somebody else does.
func (s *staged) hashOn(ctx context.Context) error {
	s.mu.Lock()
	if s.hashing {
		s.mu.Unlock()
		return nil
	}
	s.hashing = true
	defer func() {
		s.hashing = false
		s.move()
		s.mu.Unlock()
	}()
	for !s.gone && s.hashable() {
		p, epoch := s.up.HashProgress, s.epoch
		s.mu.Unlock()
		p, err := s.hashChunk(ctx, p)
		s.mu.Lock()
		if err != nil {
			return err
		}
		if s.epoch == epoch {
			s.up.HashProgress = p
		}
	}
	return nil
}

// hashChunk goes on to the end of a chunk that is there.
func (s *staged) hashChunk(ctx context.Context, p HashProgress) (HashProgress, error) {
	if err := ctx.Err(); err != nil {
		return p, err
	}
	h, err := newHash(p)
	if err != nil {
		return p, err
	}
	_, to := s.up.span(p.Hashed / s.up.ChunkSize)
	buf := s.all.buffers.Get().(*[bufferSize]byte)
	defer s.all.buffers.Put(buf)
	s.saving.RLock()
	defer s.saving.RUnlock()
	for at := p.Hashed; at < to; {
		n, err := s.file.ReadAt(buf[:min(bufferSize, to-at)], at)
		if n == 0 {
			return p, fmt.Errorf("read upload: %w", err)
		}
		h.Write(buf[:n])
		at += int64(n)
	}
	return progressOf(h, to)
}

// sum hashes all of it, all of which must be there.
func (s *staged) sum(ctx context.Context) (Hash, error) {
	for {
		if err := s.hashOn(ctx); err != nil {
			return Hash{}, err
		}
		s.mu.Lock()
		p, hashing, moved := s.up.HashProgress, s.hashing, s.moved
		s.mu.Unlock()
		if p.Hashed == s.up.Size && !hashing {
			h, err := newHash(p)
			if err != nil {
				return Hash{}, err
			}
			return Hash(h.Sum(nil)), nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return Hash{}, ctx.Err()
		}
	}
}

// sync returns when all that was written of the upload before is on disk.
func (s *staged) sync() error {
	err := s.syncs.sync(uploadFile{s})
	if err != nil {
		s.all.trouble.CompareAndSwap(nil, &err)
	}
	return err
}

type uploadFile struct{ *staged }

func (f uploadFile) Sync() error { return f.all.syncFile(f.file) }

// StorageTrouble is what a sync of an upload failed with since the start, if one has: the
// disk is not to be trusted until somebody has looked at it.
func (in *Instance) StorageTrouble() error {
	if p := in.uploads.trouble.Load(); p != nil {
		return *p
	}
	return nil
}

// groupSync lets those who wait for a sync share the next one.
type groupSync struct {
	// asked counts who asked.
	askedMu sync.Mutex
	asked   int64
	// mu is held while a sync runs; done is what was asked when the last one that went
	// well began, and failed what one ended with that did not. After that the system
	// takes for written what is not: no later sync can be believed.
	mu     sync.Mutex
	done   int64
	failed error
}

// sync returns when all that was written to file before is on disk.
func (g *groupSync) sync(file interface{ Sync() error }) error {
	g.askedMu.Lock()
	g.asked++
	mine := g.asked
	g.askedMu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.done >= mine || g.failed != nil {
		return g.failed
	}
	g.askedMu.Lock()
	covers := g.asked
	g.askedMu.Unlock()
	if err := file.Sync(); err != nil {
		g.failed = fmt.Errorf("sync chunk: %w: %w", ErrFailed, err)
		return g.failed
	}
	g.done = covers
	return nil
}

// err is what a sync failed with, ever.
func (g *groupSync) err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failed
}

// clean removes files of uploads that the store does not know, which a crash left.
func (u *uploads) clean(ctx context.Context) error {
	if u.dir == "" {
		return nil
	}
	entries, err := os.ReadDir(u.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var errs []error
	for _, e := range entries {
		id, bad := strconv.ParseInt(e.Name(), 10, 64)
		if bad != nil {
			continue
		}
		there, err := u.store.UploadExists(ctx, id)
		if err == nil && !there {
			if err = os.Remove(u.path(id)); errors.Is(err, fs.ErrNotExist) {
				err = nil // the upload ended a moment ago, and its file with it
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(append(errs, err)...)
}

// expire ends uploads of which nothing came since before (ms).
func (u *uploads) expire(ctx context.Context, before int64) error {
	for {
		idle, err := u.store.IdleUploads(ctx, before, 100)
		if err != nil || len(idle) == 0 {
			return err
		}
		for _, up := range idle {
			if err := u.store.RemoveUpload(ctx, up.ID); err != nil {
				return err
			}
			u.drop(up)
		}
	}
}

// drop ends an upload that the store does not know any more.
func (u *uploads) drop(up Upload) {
	u.mu.Lock()
	s := u.active[uploadKey{up.Key, up.Hash}]
	if s != nil {
		delete(u.active, uploadKey{up.Key, up.Hash})
	}
	u.mu.Unlock()
	if s == nil {
		s = &staged{all: u, up: up, moved: make(chan struct{})}
	}
	s.mu.Lock()
	known := s.up.ID == up.ID
	s.mu.Unlock()
	if known {
		s.end()
	}
}
