package syncserver

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"

	"github.com/heapsync/heapsync/blocks"
)

type uploadRequest struct {
	Hash      string `json:"hash" doc:"SHA-256 of the file, 64 lower-case hex digits"`
	Size      *int64 `json:"size" doc:"bytes"`
	Name      string `json:"name"`
	Mime      string `json:"mime,omitempty"`
	ChunkSize int64  `json:"chunk_size,omitempty" doc:"bytes, 64 KiB to 64 MiB; the answer has the one to be used"`
}

type uploadJSON struct {
	Status        string     `json:"status" doc:"new, resumed or complete"`
	ChunkSize     int64      `json:"chunk_size"`
	TotalChunks   int64      `json:"total_chunks"`
	Received      [][2]int64 `json:"received" doc:"chunks that are there: pairs of the first and the last"`
	ReceivedBytes int64      `json:"received_bytes"`
	Size          int64      `json:"size"`
	File          *fileJSON  `json:"file,omitempty" doc:"if it is complete"`
}

func toUploadJSON(st blocks.UploadStatus) uploadJSON {
	u := uploadJSON{st.Status, st.ChunkSize, st.Chunks, st.Received, st.Bytes, st.Size, nil}
	if st.File != nil {
		u.File = toFileJSON(st.File)
	}
	return u
}

type fileJSON struct {
	Hash string `json:"hash"`
	Name string `json:"name"`
	Size int64  `json:"size"`
	Mime string `json:"mime"`
}

func toFileJSON(f *blocks.File) *fileJSON {
	return &fileJSON{f.Hash.String(), f.Name, f.Size, f.Mime}
}

// blockOf is the block that an upload's path names.
func blockOf(r *http.Request) (key blocks.BlockKey, err error) {
	if key.Heap, err = blocks.ParseHeapID(r.PathValue("heap_id")); err == nil {
		key.Block, err = blocks.ParseBlockID(r.PathValue("block_id"))
	}
	return key, err
}

// uploadOf is the upload that a path names.
func uploadOf(r *http.Request) (key blocks.BlockKey, hash blocks.Hash, err error) {
	if key, err = blockOf(r); err == nil {
		hash, err = blocks.ParseHash(r.PathValue("hash"))
	}
	return key, hash, err
}

func (s *Server) beginUpload(w http.ResponseWriter, r *http.Request) error {
	key, err := blockOf(r)
	if err != nil {
		return err
	}
	var req uploadRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	f := blocks.NewFile{Key: key, Name: req.Name, Mime: req.Mime}
	if f.Hash, err = blocks.ParseHash(req.Hash); err != nil {
		return badField("hash", "must be SHA-256 in 64 lower-case hex digits")
	}
	switch {
	case req.Size == nil || *req.Size < 0:
		return badField("size", "must be the file's bytes")
	case req.ChunkSize < 0:
		return badField("chunk_size", "must not be negative")
	}
	f.Size = *req.Size
	if err := s.limitFile(r, &f); err != nil {
		return err
	}
	st, err := s.Blocks.BeginUpload(r.Context(), authorOf(r), f, req.ChunkSize)
	if err != nil {
		return err
	}
	return writeJSON(w, toUploadJSON(st))
}

// limitFile fills in what the settings allow.
func (s *Server) limitFile(r *http.Request, f *blocks.NewFile) error {
	limits, err := s.accountLimits(r.Context())
	if err != nil {
		return err
	}
	for to, limit := range map[*int64]*int64{&f.UserBytes: limits.StorageBytes, &f.FileBytes: limits.FileBytes} {
		switch {
		case limit == nil:
		case *limit == 0:
			*to = -1
		default:
			*to = *limit
		}
	}
	return nil
}

type chunkAnswer struct {
	Status string `json:"status" doc:"ok: the chunk is on disk"`
	Index  int64  `json:"index"`
	Size   int64  `json:"size"`
}

// maxChunkBody is more than any chunk may have.
const maxChunkBody = 65 << 20

func (s *Server) putChunk(w http.ResponseWriter, r *http.Request) error {
	key, hash, err := uploadOf(r)
	if err != nil {
		return err
	}
	index, err := strconv.ParseInt(r.PathValue("index"), 10, 64)
	if err != nil {
		return fmt.Errorf("a chunk's index must be a number: %w", blocks.ErrInvalid)
	}
	digest, err := contentDigest(r.Header.Values("Content-Digest"))
	if err != nil {
		return err
	}
	body := s.readStream(w, r, maxChunkBody)
	size, err := s.Blocks.PutChunk(r.Context(), authorOf(r), key, hash, index, body, digest)
	if body.failed != nil {
		return body.failed
	}
	if err != nil {
		return err
	}
	return writeJSON(w, chunkAnswer{"ok", index, size})
}

// contentDigest reads the SHA-256 of RFC 9530's Content-Digest; nil if it has none.
func contentDigest(values []string) (*blocks.Hash, error) {
	for part := range strings.SplitSeq(strings.Join(values, ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if !strings.EqualFold(name, "sha-256") {
			continue
		}
		value, _, _ = strings.Cut(value, ";")
		text, begins := strings.CutPrefix(value, ":")
		text, ends := strings.CutSuffix(text, ":")
		sum, err := base64.StdEncoding.DecodeString(text)
		if !begins || !ends || err != nil || len(sum) != len(blocks.Hash{}) {
			return nil, fmt.Errorf("Content-Digest: sha-256 must be 32 bytes in base64 between colons: %w", blocks.ErrInvalid)
		}
		return (*blocks.Hash)(sum), nil
	}
	return nil, nil
}

func (s *Server) uploadStatus(w http.ResponseWriter, r *http.Request) error {
	key, hash, err := uploadOf(r)
	if err != nil {
		return err
	}
	st, err := s.Blocks.UploadStatus(r.Context(), userOf(r), key, hash)
	if err != nil {
		return err
	}
	u := toUploadJSON(st)
	if st.Status != blocks.UploadComplete {
		u.Status = "uploading"
	}
	return writeJSON(w, u)
}

type completeAnswer struct {
	Status   string         `json:"status"`
	BlockID  blocks.BlockID `json:"block_id"`
	FileHash string         `json:"file_hash"`
	FileID   blocks.BlockID `json:"file_id" doc:"the key of the routes below /api/file/: the block's id"`
	File     *fileJSON      `json:"file"`
}

func writeComplete(w http.ResponseWriter, f *blocks.File) error {
	return writeJSON(w, completeAnswer{blocks.UploadComplete, f.Key.Block, f.Hash.String(), f.Key.Block, toFileJSON(f)})
}

func (s *Server) completeUpload(w http.ResponseWriter, r *http.Request) error {
	key, hash, err := uploadOf(r)
	if err != nil {
		return err
	}
	f, err := s.Blocks.CompleteUpload(r.Context(), authorOf(r), key, hash)
	if err != nil {
		return err
	}
	return writeComplete(w, &f)
}

const (
	// maxFormFile is the size of a file in a form that does not say how long it is.
	maxFormFile = 1 << 30
	// maxFormField is that of what stands beside it.
	maxFormField = 4 << 10
)

// uploadForm takes a whole file in one request.
func (s *Server) uploadForm(w http.ResponseWriter, r *http.Request) error {
	key, err := blockOf(r)
	if err != nil {
		return err
	}
	if err := s.Blocks.Require(r.Context(), userOf(r), key.Heap, blocks.RoleEditor); err != nil {
		return err // before anything is read
	}
	f := blocks.NewFile{Key: key, Size: r.ContentLength}
	if f.Size < 0 {
		f.Size = maxFormFile
	}
	if err := s.limitFile(r, &f); err != nil {
		return err
	}
	body := s.readStream(w, r, f.Size+maxFormField)
	r.Body = io.NopCloser(body)
	reader, err := r.MultipartReader()
	if err != nil {
		return fmt.Errorf("form: %v: %w", err, blocks.ErrInvalid)
	}
	form := &fileForm{reader: reader}
	file, err := form.next()
	if err == nil {
		f.Name, f.Mime = file.FileName(), file.Header.Get("Content-Type")
		var done blocks.File
		if done, err = s.Blocks.TakeFile(r.Context(), authorOf(r), f, file, form.rest); err == nil {
			return writeComplete(w, &done)
		}
	}
	if body.failed != nil {
		return body.failed
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the form ended early: %w", blocks.ErrInvalid)
	}
	return err
}

// fileForm reads a form with a file and, before or after it, its hash.
type fileForm struct {
	reader *multipart.Reader
	hash   *blocks.Hash
}

// next returns the part that is the file.
func (f *fileForm) next() (*multipart.Part, error) {
	for {
		part, err := f.reader.NextPart()
		switch {
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("the form has no file: %w", blocks.ErrInvalid)
		case err != nil:
			return nil, fmt.Errorf("form: %v: %w", err, blocks.ErrInvalid)
		case part.FileName() != "" || part.FormName() == "file":
			return part, nil
		}
		if err := f.field(part); err != nil {
			return nil, err
		}
	}
}

func (f *fileForm) field(part *multipart.Part) error {
	if part.FormName() != "hash" {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(part, maxFormField))
	if err != nil {
		return fmt.Errorf("form: %v: %w", err, blocks.ErrInvalid)
	}
	hash, err := blocks.ParseHash(string(text))
	if err != nil {
		return badField("hash", "must be SHA-256 in 64 lower-case hex digits")
	}
	f.hash = &hash
	return nil
}

// rest reads what follows the file, and returns its hash, nil if the form has none.
func (f *fileForm) rest() (*blocks.Hash, error) {
	for {
		part, err := f.reader.NextPart()
		switch {
		case errors.Is(err, io.EOF):
			return f.hash, nil
		case err != nil:
			return nil, fmt.Errorf("form: %v: %w", err, blocks.ErrInvalid)
		}
		if err := f.field(part); err != nil {
			return nil, err
		}
	}
}

type fileStatusAnswer struct {
	Status        string        `json:"status" doc:"missing, uploading, processing (its pictures are being made) or ready"`
	Size          int64         `json:"size"`
	ReceivedBytes int64         `json:"received_bytes"`
	Derived       []derivedJSON `json:"derived" doc:"what was made of it"`
	Facts         *blocks.Facts `json:"facts,omitempty" doc:"what was found out about it"`
}

func (s *Server) fileStatus(w http.ResponseWriter, r *http.Request) error {
	key, hash, err := uploadOf(r)
	if err != nil {
		return err
	}
	if err := s.Blocks.Require(r.Context(), userOf(r), key.Heap, blocks.RoleViewer); err != nil {
		return err
	}
	answer := fileStatusAnswer{Status: "missing", Derived: []derivedJSON{}}
	st, err := s.Blocks.UploadStatus(r.Context(), userOf(r), key, hash)
	switch {
	case errors.Is(err, blocks.ErrNotFound):
	case err != nil:
		return err
	default:
		answer.Status, answer.Size, answer.ReceivedBytes = "uploading", st.Size, st.Bytes
		if st.Status == blocks.UploadComplete {
			d, err := s.Blocks.DerivedOf(r.Context(), *st.File)
			if err != nil {
				return err
			}
			var processing bool
			answer.Status, answer.Facts = "ready", d.ParseFacts()
			if answer.Derived, processing = derivedOf(d); processing {
				answer.Status = "processing"
			}
		}
	}
	return writeJSON(w, answer)
}
