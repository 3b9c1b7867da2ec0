package blocks

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/heapsync/heapsync/blocks/tree"
	"github.com/heapsync/heapsync/ydoc"
)

// scanItem is what a scan found, and what it was.
type scanItem struct {
	now    Scanned
	was    *Scanned // nil: it was not there; with another path: it has moved
	mime   string   // if it was read
	exists bool     // its block was made by a scan that did not come to its end
	keep   bool     // nothing of it is to change but that it was seen
}

func (it *scanItem) moved() bool { return it.was != nil && it.was.Path != it.now.Path }
func (it *scanItem) changed() bool {
	return it.was != nil && !it.now.Folder && it.was.Hash != it.now.Hash
}

// edits says whether the block has to change that there is.
func (it *scanItem) edits() bool {
	return !it.keep && (it.exists || it.was != nil &&
		(it.moved() || it.changed() || it.was.Parent != it.now.Parent || it.was.Trashed != 0))
}

const (
	// scanBatch is how many items are stored at once, and scanPause how long one waits for
	// company.
	scanBatch = 256
	scanPause = 50 * time.Millisecond
	// scanBuffer is what one file that is hashed has in memory.
	scanBuffer = 256 << 10
	// editsAtOnce is how many blocks of one batch are edited at once.
	editsAtOnce = 16
)

// scanSaver hashes what a scan found, makes blocks of it and stores where it lies.
type scanSaver struct {
	*scan
	ctx    context.Context
	cancel context.CancelFunc
	root   *tree.Root
	jobs   chan scanItem // to be hashed
	items  chan scanItem // to be stored
	made   chan *scannedBatch
	read   sync.WaitGroup // those that hash
	stored sync.WaitGroup // those that store

	// doneMu guards below.
	doneMu  sync.Mutex
	err     error
	claimed map[BlockID]bool // blocks that move, and are not stored yet
}

// scannedBatch is items whose blocks are on their way to the disk.
type scannedBatch struct {
	pending sync.WaitGroup
	items   []scanItem
	errs    []error // of items
}

func newScanSaver(ctx context.Context, sc *scan, root *tree.Root) *scanSaver {
	s := &scanSaver{
		scan: sc, root: root, jobs: make(chan scanItem, scanBatch), items: make(chan scanItem, scanBatch),
		made: make(chan *scannedBatch, 1), claimed: map[BlockID]bool{},
	}
	s.ctx, s.cancel = context.WithCancel(ctx)
	for range sc.cfg.Hashers {
		s.read.Go(s.hashAll)
	}
	s.stored.Go(s.collect)
	s.stored.Go(s.store)
	return s
}

// add stores an item.
func (s *scanSaver) add(it scanItem) error { return s.send(s.items, it) }

// hash reads a file, and stores it.
func (s *scanSaver) hash(it scanItem) error { return s.send(s.jobs, it) }

func (s *scanSaver) send(to chan<- scanItem, it scanItem) error {
	select {
	case to <- it:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// fail ends the scan.
func (s *scanSaver) fail(err error) {
	s.doneMu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.doneMu.Unlock()
	s.cancel()
}

// end waits until everything is stored. It is called once, after the last add and hash.
func (s *scanSaver) end() error {
	close(s.jobs)
	s.read.Wait()
	close(s.items)
	s.stored.Wait()
	s.cancel()
	s.doneMu.Lock()
	defer s.doneMu.Unlock()
	return s.err
}

func (s *scanSaver) hashAll() {
	buf := make([]byte, scanBuffer)
	for it := range s.jobs {
		if s.ctx.Err() != nil {
			continue
		}
		ready, err := s.readItem(&it, buf)
		if err == nil && ready {
			err = s.add(it)
		}
		if err != nil && s.ctx.Err() == nil {
			s.fail(err)
		}
	}
}

// readItem finds out what a file is. ready is false if there is nothing to be stored of it
// now.
func (s *scanSaver) readItem(it *scanItem, buf []byte) (ready bool, err error) {
	if it.was != nil && it.was.Folder {
		it.was = nil // another thing
	}
	if it.was == nil {
		was, err := s.movedFrom(s.ctx, s.root, it.now, nil)
		if err != nil {
			return false, err
		}
		if was != nil && s.claim(was.Block) {
			it.was, it.now.Block, it.now.Hash = was, was.Block, was.Hash
			return true, nil
		}
	}
	select {
	case s.hashing <- struct{}{}:
	case <-s.ctx.Done():
		return false, s.ctx.Err()
	}
	steady, err := s.hashItem(it, buf)
	<-s.hashing
	switch {
	case s.ctx.Err() != nil:
		return false, s.ctx.Err()
	case isGone(err), errors.Is(err, tree.ErrIrregular), errors.Is(err, tree.ErrOutside):
		return false, nil // something else is there by now, which the next scan comes to
	case err == nil && !steady:
		(&scanVisitor{scan: s.scan}).later(it.now.Path)
	case err != nil:
		s.errs.Add(1)
		s.in.logger.Warn("a file cannot be scanned", "heap", it.now.Heap, "err", err)
	}
	if err != nil || !steady {
		if it.was == nil {
			return false, nil
		}
		seen := *it.was // it is there, but not to be had
		seen.Seen = it.now.Seen
		it.now, it.keep = seen, true
		return true, nil
	}
	if it.was != nil {
		it.now.Block = it.was.Block
		return true, nil
	}
	was, err := s.movedFrom(s.ctx, s.root, it.now, &it.now.Hash)
	if err != nil {
		return false, err
	}
	if was != nil && s.claim(was.Block) {
		it.was, it.now.Block = was, was.Block
		return true, nil
	}
	it.now.Block, it.exists, err = s.newBlock(s.ctx, it.now.Heap, it.now.Path)
	return err == nil, err
}

// claim says whether nobody else has the block move.
func (s *scanSaver) claim(block BlockID) bool {
	s.doneMu.Lock()
	defer s.doneMu.Unlock()
	if s.claimed[block] {
		return false
	}
	s.claimed[block] = true
	return true
}

// hashItem hashes a file. steady says that it did not change meanwhile.
func (s *scanSaver) hashItem(it *scanItem, buf []byte) (steady bool, err error) {
	f, st, err := s.root.OpenFile(it.now.Path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if !sameFile(st, it.now.Stat) {
		return false, nil
	}
	it.now.Hash, err = s.hashFile(f, st.Size, buf)
	if err != nil {
		return false, err
	}
	it.mime = s.in.mediaTypeOf(f, titleAt(it.now.Path, fileType), "")
	after, err := f.Stat()
	return err == nil && after.Size() == st.Size && after.ModTime().UnixNano() == st.MTime, err
}

// hashFile hashes size bytes of a file. One that is shorter is an error, one that is longer
// is told by its size.
func (s *scanSaver) hashFile(f *os.File, size int64, buf []byte) (hash Hash, err error) {
	h := sha256.New()
	for at := int64(0); at < size; {
		if err := s.ctx.Err(); err != nil {
			return hash, err
		}
		n, err := f.Read(buf[:min(size-at, int64(len(buf)))])
		h.Write(buf[:n])
		at += int64(n)
		s.bytes.Add(int64(n))
		if err != nil && at < size {
			return hash, err
		}
	}
	h.Sum(hash[:0])
	return hash, nil
}

// scanSpace is the namespace of ids that are made of where a file lay when it was first seen.
var scanSpace = uuid.MustParse("0b7f3c52-7d0e-4d3a-9a5c-3c0a4f3f6f11")

// newBlock returns the block for a path that is new, and whether it exists: a scan that was
// cut off has made it. The same path has the same one, so that none is made twice.
func (sc *scan) newBlock(ctx context.Context, heap HeapID, name string) (id BlockID, exists bool, err error) {
	for generation := 0; ; generation++ {
		text := string(heap) + "\x00" + name
		if generation > 0 {
			text += "\x00" + strconv.Itoa(generation)
		}
		id = BlockID(uuid.NewSHA1(scanSpace, []byte(text)).String())
		if sc.first {
			return id, false, nil // to say again what a block says that was made just before a crash does no harm
		}
		head, err := sc.in.Head(ctx, BlockKey{heap, id})
		if errors.Is(err, ErrNotFound) {
			return id, false, nil
		}
		if err != nil {
			return "", false, err
		}
		if head.DeletedAt != 0 {
			continue
		}
		_, err = sc.in.store.ScannedBlock(ctx, BlockKey{heap, id})
		if errors.Is(err, ErrNotFound) {
			return id, true, nil
		}
		if err != nil {
			return "", false, err
		}
	}
}

// collect makes batches of items, and has their blocks written.
func (s *scanSaver) collect() {
	defer close(s.made)
	pause := time.NewTimer(scanPause)
	defer pause.Stop()
	var batch []scanItem
	flush := func() {
		if len(batch) > 0 && s.ctx.Err() == nil {
			s.made <- s.write(batch)
		}
		batch = nil
	}
	for {
		select {
		case it, more := <-s.items:
			if !more {
				flush()
				return
			}
			if batch = append(batch, it); len(batch) == scanBatch {
				flush()
			}
		case <-pause.C:
			flush()
			pause.Reset(scanPause)
		}
	}
}

// write begins to write the blocks of items.
func (s *scanSaver) write(items []scanItem) *scannedBatch {
	b := &scannedBatch{items: items, errs: make([]error, len(items))}
	slots := make(chan struct{}, editsAtOnce)
	for i := range items {
		it := &items[i]
		switch {
		case it.edits():
			slots <- struct{}{}
			b.pending.Go(func() {
				b.errs[i] = s.edit(it)
				<-slots
			})
		case it.was == nil && !it.keep:
			b.pending.Add(1)
			s.create(it, func(err error) {
				b.errs[i] = err
				b.pending.Done()
			})
		}
	}
	return b
}

func (s *scanSaver) author() Author {
	f := s.scan.scan.Folder
	return Author{User: f.User, Session: f.Session}
}

// fileAt is the file that an item is.
func (s *scanSaver) fileAt(it *scanItem) File {
	return File{
		Key: BlockKey{it.now.Heap, it.now.Block}, Hash: it.now.Hash, Size: it.now.Size, Name: titleAt(it.now.Path, fileType),
		Mime: it.mime, User: s.scan.scan.Folder.User, At: s.in.now().UnixMilli(), Placed: true,
	}
}

func (s *scanSaver) create(it *scanItem, done func(error)) {
	doc := ydoc.NewDoc(ydoc.Options{})
	typ := fileType
	doc.Transact(func() {
		if it.now.Folder {
			typ = folderType
			describe(doc, folderType, titleAt(it.now.Path, folderType), it.now.Parent)
		} else {
			f := s.fileAt(it)
			describe(doc, fileType, f.Name, it.now.Parent)
			describeFile(fileType, doc, f)
		}
		doc.Map(aboutRoot).Set("created_at", it.now.MTime/int64(time.Millisecond))
	})
	req := Append{Key: BlockKey{it.now.Heap, it.now.Block}, Author: s.author(), Update: doc.Encode(ydoc.V1), Type: typ}
	finish := func(_ Appended, err error) { done(err) }
	err := s.in.Append(s.ctx, req, finish)
	for tries := 0; tries < maxAppendTries && errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrFull) && !errors.Is(err, ErrFailed); tries++ {
		select { // too much waits for the disk
		case <-time.After(scanPause):
			err = s.in.Append(s.ctx, req, finish)
		case <-s.ctx.Done():
			err = s.ctx.Err()
		}
	}
	if err != nil {
		done(err)
	}
}

// maxAppendTries is how often a block is tried to be made when too much waits for the disk.
const maxAppendTries = 200

// folderType is the type of a block that stands for a folder.
const folderType = "folder"

// edit has a block say what has changed. What people have changed of it stays: a title or
// a parent is replaced only if it is the one that the last scan gave.
func (s *scanSaver) edit(it *scanItem) error {
	_, err := s.in.Edit(s.ctx, s.author(), BlockKey{it.now.Heap, it.now.Block}, func(head Head, doc *ydoc.Doc) error {
		about := doc.Map(aboutRoot)
		was := it.was
		if was == nil {
			was = &Scanned{Path: it.now.Path}
		}
		otherwise := fileType
		if it.now.Folder {
			otherwise = folderType
		}
		old, title := titleAt(was.Path, otherwise), titleAt(it.now.Path, otherwise)
		if now := textAt(about, "title"); now != title && (now == "" || now == old) {
			about.Set("title", title)
		}
		if now := textAt(about, "parent"); now != string(it.now.Parent) && (now == "" || now == string(was.Parent)) && it.now.Parent != "" {
			about.Set("parent", string(it.now.Parent))
		}
		if at, trashed := timeOf(about, trashKey); trashed && was.Trashed != 0 && at == was.Trashed {
			about.Delete(trashKey)
		}
		switch {
		case it.now.Folder:
			if head.Type == "" && typeOf(about) == "" {
				about.Set("type", folderType)
			}
		case it.changed() || it.exists || was.Trashed != 0:
			describeFile(head.Type, doc, s.fileAt(it))
		case it.moved():
			if v, _ := about.Value("file"); v != nil && fileNamed(about).name == old {
				if m, ok := v.(ydoc.Type); ok {
					m.AsMap().Set("name", title)
				}
			}
		}
		return nil
	})
	return err
}

func textAt(about ydoc.Map, key string) string {
	v, _ := about.Value(key)
	s, _ := v.(string)
	return s
}

// store waits for batches, and stores where they lie.
func (s *scanSaver) store() {
	for b := range s.made {
		b.pending.Wait()
		if s.ctx.Err() != nil {
			continue
		}
		if err := s.storeBatch(b); err != nil && s.ctx.Err() == nil {
			s.fail(err)
		}
	}
}

func (s *scanSaver) storeBatch(b *scannedBatch) error {
	var rows []Scanned
	var files []File
	for i := range b.items {
		it := &b.items[i]
		err := b.errs[i]
		switch {
		case errors.Is(err, ErrUnavailable), errors.Is(err, context.Canceled):
			return err
		case err != nil && !errors.Is(err, ErrDeleted): // whoever deletes a block for good means it
			s.errs.Add(1)
			s.in.logger.Warn("the block of a file cannot be written", "heap", it.now.Heap, "block", it.now.Block, "err", err)
			continue
		}
		if !it.keep {
			it.now.Trashed = 0
		}
		rows = append(rows, it.now)
		if err == nil && !it.now.Folder && it.mime != "" && (it.was == nil || it.changed() || it.was.Trashed != 0) {
			files = append(files, s.fileAt(it))
		}
	}
	err := s.in.store.SaveScanned(s.ctx, rows, files)
	if len(files) > 0 {
		s.in.served.forget()
	}
	if err != nil {
		return err
	}
	for i := range b.items {
		it := &b.items[i]
		if it.moved() {
			s.doneMu.Lock()
			delete(s.claimed, it.was.Block)
			s.doneMu.Unlock()
		}
		if it.now.Folder || it.keep || b.errs[i] != nil {
			continue
		}
		s.done.Add(1)
		switch {
		case it.was == nil:
			s.fresh.Add(1)
		case it.moved():
			s.moved.Add(1)
		case it.changed():
			s.changed.Add(1)
		}
	}
	for _, f := range files {
		s.in.tellReady(f)
	}
	for i := range b.items {
		if it := &b.items[i]; it.was != nil && it.was.State == ScannedOffline && !it.now.Folder && !it.keep {
			if err := s.in.pictureAgain(s.ctx, BlockKey{it.now.Heap, it.now.Block}, it.now.Hash); err != nil {
				return err
			}
		}
	}
	return nil
}

// vanish looks for what was there and was not seen. A few files may have been deleted, and
// their blocks go into the trash; if they are many, somebody has to say so.
func (sc *scan) vanish(ctx context.Context, f ScanFolder, known int64) (string, error) {
	var gone int64
	err := sc.unseen(ctx, f, func(list []Scanned) error {
		for _, c := range list {
			if !c.Folder {
				gone++
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	confirmed := sc.scan.Confirm
	if sc.scopes == nil && sc.found.Load() == 0 && known > 0 && !confirmed {
		return sc.offlineAll(ctx, f, fs.ErrNotExist) // as a disk that is not mounted
	}
	sc.vanished.Store(gone)
	if gone*vanishShare > known && !confirmed {
		return ScanConfirm, nil
	}
	return ScanDone, sc.unseen(ctx, f, func(list []Scanned) error { return sc.trashAll(ctx, list) })
}

// vanishShare: one in so many files may vanish between two scans.
const vanishShare = 20

// unseen calls fn with what the scan did not see, a page at a time. fn may change it.
func (sc *scan) unseen(ctx context.Context, f ScanFolder, fn func([]Scanned) error) error {
	scopes := sc.scopes
	if scopes == nil {
		return sc.unseenIn(ctx, f.Heap, f.Path, f.Recursive, fn)
	}
	for _, scope := range scopes {
		err := sc.unseenIn(ctx, f.Heap, scope, false, func(list []Scanned) error {
			for _, c := range list {
				if c.Folder {
					if err := sc.unseenIn(ctx, f.Heap, c.Path, true, fn); err != nil {
						return err
					}
				}
			}
			return fn(list)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (sc *scan) unseenIn(ctx context.Context, heap HeapID, folder string, deep bool, fn func([]Scanned) error) error {
	for after := ""; ; {
		list, err := sc.in.store.Unseen(ctx, heap, folder, deep, sc.number(), after, scanBatch)
		if err != nil || len(list) == 0 {
			return err
		}
		after = list[len(list)-1].Path
		if err := fn(list); err != nil {
			return err
		}
	}
}

// trashAll puts the blocks of what has vanished into the trash.
func (sc *scan) trashAll(ctx context.Context, list []Scanned) error {
	var wg sync.WaitGroup
	slots := make(chan struct{}, editsAtOnce)
	errs := make([]error, len(list))
	author := Author{User: sc.scan.Folder.User, Session: sc.scan.Folder.Session}
	for i := range list {
		c := &list[i]
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			at := sc.in.now().UnixMilli()
			_, errs[i] = sc.in.Edit(ctx, author, BlockKey{c.Heap, c.Block}, func(_ Head, doc *ydoc.Doc) error {
				about := doc.Map(aboutRoot)
				if _, trashed := timeOf(about, trashKey); !trashed {
					about.Set(trashKey, at)
					c.Trashed = at
				}
				return nil
			})
			c.State, c.Seen = ScannedVanished, sc.number()
		})
	}
	wg.Wait()
	kept := list[:0]
	for i, c := range list {
		switch err := errs[i]; {
		case err == nil, errors.Is(err, ErrDeleted), errors.Is(err, ErrNotFound):
			kept = append(kept, c)
		case errors.Is(err, ErrUnavailable), ctx.Err() != nil:
			return err
		default:
			sc.errs.Add(1)
			sc.in.logger.Warn("the block of a file that is gone is not in the trash", "heap", c.Heap, "block", c.Block, "err", err)
		}
	}
	return sc.in.store.SaveScanned(ctx, kept, nil)
}
