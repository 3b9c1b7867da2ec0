package syncserver

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/heapsync/heapsync/blocks"
)

// The tus protocol 1.0 (https://tus.io/protocols/resumable-upload) over serial uploads.

const (
	tusVersion    = "1.0.0"
	tusExtensions = "creation,creation-with-upload,checksum,expiration,termination,concatenation"
	tusChecksums  = "sha1,sha256"
	tusBody       = "application/offset+octet-stream"
	// maxTusMetadata is ample for names.
	maxTusMetadata = 8 << 10
	// statusChecksum is what tus answers to bytes with another checksum.
	statusChecksum = 460
)

// tus has a handler speak tus: it says so, and hears only clients that speak it too.
func (s *Server) tus(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Tus-Resumable", tusVersion)
		w.Header().Set("Cache-Control", "no-store")
		if r.Header.Get("Tus-Resumable") != tusVersion {
			w.Header().Set("Tus-Version", tusVersion)
			return newProblem(http.StatusPreconditionFailed, "precondition_failed", "Tus-Resumable must be "+tusVersion)
		}
		return h(w, r)
	}
}

// tusOptions says what of tus there is.
func (s *Server) tusOptions(w http.ResponseWriter, r *http.Request) error {
	limits, err := s.accountLimits(r.Context())
	if err != nil {
		return err
	}
	most := int64(blocks.MaxFile)
	if limits.FileBytes != nil {
		most = min(most, *limits.FileBytes)
	}
	h := w.Header()
	h.Set("Tus-Resumable", tusVersion)
	h.Set("Tus-Version", tusVersion)
	h.Set("Tus-Extension", tusExtensions)
	h.Set("Tus-Checksum-Algorithm", tusChecksums)
	h.Set("Tus-Max-Size", strconv.FormatInt(most, 10))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// tusOverride is for clients that cannot send every method.
func (s *Server) tusOverride(w http.ResponseWriter, r *http.Request) error {
	switch r.Header.Get("X-HTTP-Method-Override") {
	case http.MethodPatch:
		return s.tusAppend(w, r)
	case http.MethodDelete:
		return s.tusEnd(w, r)
	}
	w.Header().Set("Allow", "HEAD, PATCH, DELETE")
	return newProblem(http.StatusMethodNotAllowed, "method_not_allowed", "X-HTTP-Method-Override must be PATCH or DELETE")
}

// uploadName is the upload that an address ends with.
func uploadName(address string) (blocks.Hash, error) {
	name, err := blocks.ParseHash(path.Base(address))
	if err != nil {
		return name, blocks.ErrNotFound
	}
	return name, nil
}

// byteCount reads a header that counts bytes.
func byteCount(r *http.Request, header string) (int64, error) {
	n, err := strconv.ParseUint(r.Header.Get(header), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%s must be a number of bytes: %w", header, blocks.ErrInvalid)
	}
	return int64(n), nil
}

func (s *Server) tusCreate(w http.ResponseWriter, r *http.Request) error {
	f, serial, err := tusFile(r)
	if err != nil {
		return err
	}
	if err := s.limitFile(r, &f); err != nil {
		return err
	}
	concat := r.Header.Get("Upload-Concat")
	var st blocks.SerialStatus
	if list, final := strings.CutPrefix(concat, "final;"); final {
		st, err = s.tusJoin(w, r, f, serial, list)
	} else {
		if concat != "" && concat != "partial" {
			return fmt.Errorf("Upload-Concat must be partial, or final; and addresses: %w", blocks.ErrInvalid)
		}
		serial.Part = concat != ""
		st, err = s.tusBegin(w, r, f, serial)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Location", s.publicPath()+"/api/files/"+st.Name.String())
	tusAnswer(w, st, http.StatusCreated)
	return nil
}

// tusFile is what the metadata of a new upload say.
func tusFile(r *http.Request) (f blocks.NewFile, of blocks.Serial, err error) {
	of.Note = strings.Join(r.Header.Values("Upload-Metadata"), ",")
	meta, err := tusMetadata(of.Note)
	if err != nil {
		return f, of, err
	}
	q := r.URL.Query()
	for _, id := range []string{meta["heap_id"], meta["workspace_id"], q.Get("heap_id"), q.Get("workspace_id")} {
		if id != "" && f.Key.Heap == "" {
			if f.Key.Heap, err = blocks.ParseHeapID(id); err != nil {
				return f, of, badField("heap_id", "must be 1 to 64 characters of A-Z a-z 0-9 _ -")
			}
		}
	}
	if id := meta["block_id"]; id != "" {
		if f.Key.Block, err = blocks.ParseBlockID(id); err != nil {
			return f, of, badField("block_id", "must be 1 to 64 characters of A-Z a-z 0-9 _ -")
		}
	}
	if text := meta["hash"]; text != "" {
		hash, err := blocks.ParseHash(text)
		if err != nil {
			return f, of, badField("hash", "must be SHA-256 in 64 lower-case hex digits")
		}
		of.Want = &hash
	}
	f.Name, f.Mime = meta["filename"], meta["filetype"]
	return f, of, nil
}

// tusMetadata reads pairs of a key and a value in base64, or a key alone.
func tusMetadata(text string) (map[string]string, error) {
	if len(text) > maxTusMetadata {
		return nil, fmt.Errorf("Upload-Metadata may have at most %d bytes: %w", maxTusMetadata, blocks.ErrInvalid)
	}
	meta := map[string]string{}
	if strings.TrimSpace(text) == "" {
		return meta, nil
	}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(pair), " ")
		plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
		_, again := meta[key]
		if key == "" || again || err != nil {
			return nil, fmt.Errorf("Upload-Metadata must be keys, each once, with values in base64: %w", blocks.ErrInvalid)
		}
		meta[key] = string(plain)
	}
	return meta, nil
}

var errNoHeap = badField("heap_id", "must be in Upload-Metadata, or in the query: the heap that the file is for")

// tusBegin begins an upload, with its first bytes if the body has some.
func (s *Server) tusBegin(w http.ResponseWriter, r *http.Request, f blocks.NewFile, of blocks.Serial) (blocks.SerialStatus, error) {
	var st blocks.SerialStatus
	if f.Key.Heap == "" {
		return st, errNoHeap
	}
	if r.Header.Get("Upload-Defer-Length") != "" {
		return st, fmt.Errorf("this server needs Upload-Length, and no Upload-Defer-Length: %w", blocks.ErrInvalid)
	}
	var err error
	if f.Size, err = byteCount(r, "Upload-Length"); err != nil {
		return st, err
	}
	if st, err = s.Blocks.BeginSerial(r.Context(), authorOf(r), f, of); err != nil {
		return st, err
	}
	if r.Header.Get("Content-Type") != tusBody {
		return st, nil
	}
	return s.tusTake(w, r, st.Name, 0)
}

// tusJoin makes a file of partial uploads.
func (s *Server) tusJoin(w http.ResponseWriter, r *http.Request, f blocks.NewFile, of blocks.Serial, list string) (st blocks.SerialStatus, err error) {
	var parts []blocks.Hash
	for _, address := range strings.Fields(list) {
		name, err := uploadName(address)
		if err != nil {
			return st, err
		}
		parts = append(parts, name)
	}
	if err := s.noWriteDeadline(w); err != nil { // it takes as long as it takes to copy them
		return st, err
	}
	return s.Blocks.JoinSerials(r.Context(), authorOf(r), f, of, parts)
}

func (s *Server) tusHead(w http.ResponseWriter, r *http.Request) error {
	name, err := uploadName(r.PathValue("id"))
	if err != nil {
		return err
	}
	st, err := s.Blocks.SerialUpload(r.Context(), authorOf(r), name)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Upload-Length", strconv.FormatInt(st.Size, 10))
	if st.Part {
		h.Set("Upload-Concat", "partial")
	}
	note := st.Note
	if f := st.File; f != nil && note == "" { // what the client said is forgotten
		for _, pair := range [][2]string{{"heap_id", string(f.Key.Heap)}, {"block_id", string(f.Key.Block)}, {"filename", f.Name}, {"filetype", f.Mime}} {
			note += "," + pair[0] + " " + base64.StdEncoding.EncodeToString([]byte(pair[1]))
		}
		note = note[1:]
	}
	if note != "" {
		h.Set("Upload-Metadata", note)
	}
	tusAnswer(w, st, http.StatusOK)
	return nil
}

func (s *Server) tusAppend(w http.ResponseWriter, r *http.Request) error {
	name, err := uploadName(r.PathValue("id"))
	if err != nil {
		return err
	}
	if r.Header.Get("Content-Type") != tusBody {
		return newProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "the Content-Type must be "+tusBody)
	}
	at, err := byteCount(r, "Upload-Offset")
	if err != nil {
		return err
	}
	st, err := s.tusTake(w, r, name, at)
	if err != nil {
		return err
	}
	tusAnswer(w, st, http.StatusNoContent)
	return nil
}

// tusTake takes in the body of a request.
func (s *Server) tusTake(w http.ResponseWriter, r *http.Request, name blocks.Hash, at int64) (blocks.SerialStatus, error) {
	body := blocks.SerialBody{Reader: s.readStream(w, r, blocks.MaxFile), At: at, Size: r.ContentLength}
	if text := r.Header.Get("Upload-Checksum"); text != "" {
		sum, want, err := tusChecksum(text)
		if err != nil {
			return blocks.SerialStatus{}, err
		}
		body.Reader = io.TeeReader(body.Reader, sum)
		body.Check = func() error {
			if !bytes.Equal(sum.Sum(nil), want) {
				p := newProblem(statusChecksum, "checksum_mismatch", "the bytes that arrived have another checksum")
				p.Title = "Checksum Mismatch"
				return p
			}
			return nil
		}
	}
	return s.Blocks.AppendSerial(r.Context(), authorOf(r), name, body)
}

// tusChecksum reads an algorithm and a checksum in base64.
func tusChecksum(text string) (hash.Hash, []byte, error) {
	name, value, _ := strings.Cut(text, " ")
	var sum hash.Hash
	switch name {
	case "sha1":
		sum = sha1.New()
	case "sha256":
		sum = sha256.New()
	default:
		return nil, nil, fmt.Errorf("Upload-Checksum must be one of %s: %w", tusChecksums, blocks.ErrInvalid)
	}
	want, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(want) != sum.Size() {
		return nil, nil, fmt.Errorf("Upload-Checksum: %s must be %d bytes in base64: %w", name, sum.Size(), blocks.ErrInvalid)
	}
	return sum, want, nil
}

func (s *Server) tusEnd(w http.ResponseWriter, r *http.Request) error {
	name, err := uploadName(r.PathValue("id"))
	if err == nil {
		err = s.Blocks.EndSerial(r.Context(), authorOf(r), name)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// tusAnswer says how far an upload is. Besides what tus knows, the block and, at the end,
// the hash of its file.
func tusAnswer(w http.ResponseWriter, st blocks.SerialStatus, status int) {
	h := w.Header()
	h.Set("Upload-Offset", strconv.FormatInt(st.Offset, 10))
	if st.Expires > 0 {
		h.Set("Upload-Expires", time.UnixMilli(st.Expires).UTC().Format(http.TimeFormat))
	}
	if !st.Part {
		h.Set("Block-Id", string(st.Key.Block))
	}
	if st.File != nil {
		h.Set("File-Hash", st.File.Hash.String())
	}
	w.WriteHeader(status)
}

// publicPath is what stands before the paths of routes where clients reach the server. What
// they call the host does not matter.
func (s *Server) publicPath() string {
	u, err := url.Parse(s.PublicURL)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.EscapedPath(), "/")
}

// noWriteDeadline has an answer come as late as it comes.
func (s *Server) noWriteDeadline(w http.ResponseWriter) error {
	err := http.NewResponseController(w).SetWriteDeadline(time.Time{})
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}
