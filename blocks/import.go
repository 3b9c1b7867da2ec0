package blocks

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"
)

// Imported is what became of an import.
type Imported struct {
	Blocks  int // new ones, and those that were there
	Renamed []RenamedBlock
	Failed  []ImportFailure
}

// RenamedBlock is a block that had been deleted for good and came back under a new id.
type RenamedBlock struct {
	From, To BlockID
}

// ImportFailure is one entry of an archive that was not imported, and a code that says
// why: a status of a push, that of a Refusal, or one of those below.
type ImportFailure struct {
	Name, Code string
}

// Codes of an ImportFailure.
const (
	CodeBadName     = "bad_name"    // leaves the archive, or is no block id
	CodeUnreadable  = "unreadable"  // its bytes are damaged, or not of the size that is said
	CodeUnsupported = "unsupported" // nothing that this server imports

	CodeHashMismatch = "hash_mismatch"  // not the bytes that the archive says
	CodeQuota        = "quota_exceeded" // there is no room for the file
)

const (
	// manifestName is the entry that tells an export of a heap from a folder of files.
	manifestName = "heapsync.json"
	blocksName   = "blocks.jsonl"
	statesFolder = "states/"
	notesFolder  = "notes/"
	filesFolder  = "files/"
	stateSuffix  = ".yjs"

	// maxDirectory bounds the bytes of an archive's table of contents, which is kept in
	// memory: some half a million entries.
	maxDirectory = 64 << 20
	// maxImportState bounds one block's state, and maxManifest what describes the blocks.
	maxImportState = 256 << 20
	maxManifest    = 256 << 20
	// importMemory (bytes) is what one import may have in memory of states.
	importMemory = 32 << 20
	// maxFailures bounds those that are listed.
	maxFailures = 1000
)

// Import stores what is in a zip archive of size bytes in the heap: an export of a heap
// as it was, or a folder of Markdown files as notes. The author must be an editor. To
// import the same again changes nothing. An archive that unpacks to more than
// Limits.ImportBytes is ErrTooLarge, and what came before stays imported; one that
// cannot be read at all is ErrInvalid.
func (in *Instance) Import(ctx context.Context, author Author, heap HeapID, archive io.ReaderAt, size int64, limit FileLimits) (Imported, error) {
	if err := in.Require(ctx, author.User, heap, RoleEditor); err != nil {
		return Imported{}, err
	}
	toc := &directoryReader{ReaderAt: archive, left: maxDirectory}
	z, err := zip.NewReader(toc, size)
	if errors.Is(err, zip.ErrInsecurePath) {
		err = nil // names are looked at below
	}
	switch {
	case errors.Is(err, ErrTooLarge):
		return Imported{}, err
	case err != nil:
		return Imported{}, fmt.Errorf("not a zip archive: %v: %w", err, ErrInvalid)
	}
	toc.left = -1
	imp := &importer{Instance: in, author: author, heap: heap, limit: limit, left: in.limits.ImportBytes, memory: semaphore.NewWeighted(importMemory)}
	entries := imp.entries(z.File)
	if _, export := entries[manifestName]; export {
		err = imp.export(ctx, entries)
	} else {
		err = imp.folder(ctx, entries)
	}
	imp.pending.Wait() // until all of it is on disk
	if err == nil {
		err = imp.failed
	}
	in.shown(ctx, imp.last) // who imports looks at what came of it next
	return imp.result, err
}

// directoryReader reads as long as there is room for what is read. left < 0: always.
type directoryReader struct {
	io.ReaderAt
	left int64
}

func (r *directoryReader) ReadAt(p []byte, off int64) (int, error) {
	if r.left >= 0 {
		if int64(len(p)) > r.left {
			return 0, fmt.Errorf("the archive has too many entries: %w", ErrTooLarge)
		}
		r.left -= int64(len(p))
	}
	return r.ReaderAt.ReadAt(p, off)
}

// importer is one import on its way.
type importer struct {
	*Instance
	author Author
	heap   HeapID
	left   int64 // bytes that may still be unpacked
	limit  FileLimits

	pending sync.WaitGroup
	memory  *semaphore.Weighted // bytes that wait for the disk

	// mu guards below.
	mu     sync.Mutex
	result Imported
	last   Seq   // of what was appended
	failed error // the server cannot store
}

func (imp *importer) fail(name, code string) {
	imp.mu.Lock()
	defer imp.mu.Unlock()
	if len(imp.result.Failed) < maxFailures {
		imp.result.Failed = append(imp.result.Failed, ImportFailure{name, code})
	}
}

// entries are the files of the archive by their names. What archivers and editors leave
// beside a folder's files is left out.
func (imp *importer) entries(files []*zip.File) map[string]*zip.File {
	entries := make(map[string]*zip.File, len(files))
	for _, f := range files {
		name := strings.ReplaceAll(f.Name, `\`, "/")
		if strings.HasSuffix(name, "/") && f.UncompressedSize64 == 0 || litter(name) {
			continue
		}
		if !fs.ValidPath(name) || strings.ContainsRune(name, 0) || f.Mode()&fs.ModeType != 0 {
			imp.fail(f.Name, CodeBadName)
			continue
		}
		if _, twice := entries[name]; twice {
			imp.fail(f.Name, CodeBadName)
			continue
		}
		entries[name] = f
	}
	return entries
}

// litter says whether some part of name is hidden, or made by macOS or Windows.
func litter(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") && part != "." && part != ".." || part == "__MACOSX" || part == "Thumbs.db" || part == "desktop.ini" {
			return true
		}
	}
	return false
}

// errEntry is what is wrong with one entry.
type errEntry string

func (e errEntry) Error() string { return string(e) }

// read unpacks an entry of at most limit bytes. What is wrong with the entry alone is
// an errEntry.
func (imp *importer) read(f *zip.File, limit int64) ([]byte, error) {
	if f.UncompressedSize64 > uint64(limit) {
		return nil, errEntry(StatusTooLarge)
	}
	imp.left -= int64(f.UncompressedSize64)
	if imp.left < 0 {
		return nil, fmt.Errorf("the archive unpacks to more than %d bytes: %w", imp.limits.ImportBytes, ErrTooLarge)
	}
	r, err := f.Open()
	if err != nil {
		return nil, errEntry(CodeUnreadable)
	}
	defer r.Close()
	// Room is made as bytes come: what the archive says of its sizes may be a lie, and
	// the reader fails where it is.
	var b bytes.Buffer
	if _, err := b.ReadFrom(io.LimitReader(r, limit+1)); err != nil {
		return nil, errEntry(CodeUnreadable)
	}
	return b.Bytes(), nil
}

// export stores the states of an exported heap.
func (imp *importer) export(ctx context.Context, entries map[string]*zip.File) error {
	list, err := imp.list(entries[blocksName])
	if err != nil {
		return err
	}
	for name, f := range entries {
		id, isState := strings.CutPrefix(name, statesFolder)
		if !isState {
			continue // what the states say already
		}
		id, isState = strings.CutSuffix(id, stateSuffix)
		block, err := ParseBlockID(id)
		if !isState || err != nil {
			imp.fail(f.Name, CodeBadName)
			continue
		}
		state, err := imp.read(f, maxImportState)
		if e, ok := errors.AsType[errEntry](err); ok {
			imp.fail(f.Name, string(e))
			continue
		}
		if err != nil {
			return err
		}
		if err := imp.add(ctx, f.Name, block, list.types[block], state); err != nil {
			return err
		}
	}
	imp.pending.Wait() // files are of blocks that are there
	return imp.exportedFiles(ctx, list.files, entries)
}

// exportedBlock is a line of blocks.jsonl.
type exportedBlock struct {
	BlockID   BlockID          `json:"block_id"`
	Type      string           `json:"type"`
	Title     string           `json:"title,omitempty"`
	Parent    BlockID          `json:"parent,omitempty"`
	CreatedAt int64            `json:"created_at,omitempty"`
	UpdatedAt int64            `json:"updated_at,omitempty"`
	TrashedAt int64            `json:"trashed_at,omitempty"`
	Relations []exportRelation `json:"relations,omitempty"`
	File      *exportedFile    `json:"file,omitempty"`
	State     string           `json:"state,omitempty"` // the entry of its Yjs state
	Note      string           `json:"note,omitempty"`  // the entry of its Markdown
	Error     string           `json:"error,omitempty"` // why it has no state
}

// exportedFile is a block's file, and the entry of its bytes.
type exportedFile struct {
	Hash  string `json:"hash"`
	Name  string `json:"name,omitempty"`
	Size  int64  `json:"size"`
	Mime  string `json:"mime,omitempty"`
	Entry string `json:"entry"`
}

type exportRelation struct {
	ID     string  `json:"id"`
	Kind   string  `json:"kind"`
	Target BlockID `json:"target"`
}

// exportList is what is read of blocks.jsonl.
type exportList struct {
	types map[BlockID]string // what the creators of blocks said that they are
	files map[BlockID]exportedFile
}

func (imp *importer) list(f *zip.File) (exportList, error) {
	list := exportList{map[BlockID]string{}, map[BlockID]exportedFile{}}
	if f == nil {
		return list, nil
	}
	lines, err := imp.read(f, maxManifest)
	if e, ok := errors.AsType[errEntry](err); ok {
		imp.fail(f.Name, string(e))
		return list, nil
	}
	if err != nil {
		return list, err
	}
	for line := range bytes.Lines(lines) {
		var b exportedBlock
		if json.Unmarshal(line, &b) != nil || !validID(string(b.BlockID)) {
			continue
		}
		if len(b.Type) <= maxTypeLen {
			list.types[b.BlockID] = b.Type
		}
		if b.File != nil {
			list.files[b.BlockID] = *b.File
		}
	}
	return list, nil
}

// add appends a state, and returns an error if nothing more can be stored.
func (imp *importer) add(ctx context.Context, name string, block BlockID, typ string, state []byte) error {
	room := min(int64(len(state)), importMemory)
	if err := imp.memory.Acquire(ctx, room); err != nil {
		return err
	}
	imp.mu.Lock()
	err := imp.failed
	imp.mu.Unlock()
	if err != nil {
		return err
	}
	req := Append{Key: BlockKey{imp.heap, block}, Author: imp.author, Update: state, Type: typ, Whole: true, MaxBytes: maxImportState}
	done := func(a Appended, err error) {
		imp.added(name, a.Seq, err)
		imp.memory.Release(room)
		imp.pending.Done()
	}
	imp.pending.Add(1)
	err = imp.Append(ctx, req, done)
	if errors.Is(err, ErrDeleted) {
		made, uuidErr := uuid.NewV7()
		if uuidErr != nil {
			return uuidErr
		}
		req.Key.Block = BlockID(made.String())
		imp.mu.Lock()
		imp.result.Renamed = append(imp.result.Renamed, RenamedBlock{block, req.Key.Block})
		imp.mu.Unlock()
		err = imp.Append(ctx, req, done)
	}
	if err != nil {
		done(Appended{}, err)
	}
	return nil
}

// added counts what became of an append.
func (imp *importer) added(name string, seq Seq, err error) {
	if err != nil {
		if errors.Is(err, ErrUnavailable) {
			imp.mu.Lock()
			imp.failed = err
			imp.mu.Unlock()
		}
		code := statusOf(err)
		if r, ok := errors.AsType[*Refusal](err); ok {
			code = r.Code
		}
		imp.fail(name, code)
		return
	}
	imp.mu.Lock()
	defer imp.mu.Unlock()
	imp.result.Blocks++
	imp.last = max(imp.last, seq)
}
