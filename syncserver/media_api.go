package syncserver

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
)

// namedSizes are sizes that have names.
var namedSizes = map[string]int{"small": 256, "medium": 512, "large": 1024}

func pictureSize(text string) (int, error) {
	if size, ok := namedSizes[text]; ok {
		return size, nil
	}
	size, err := strconv.Atoi(text)
	if err != nil || !slices.Contains(blocks.PictureSizes, size) {
		return 0, badField("size", "must be one of "+strings.Trim(fmt.Sprint(blocks.PictureSizes), "[]")+" or small, medium, large")
	}
	return size, nil
}

func (s *Server) thumbnail(w http.ResponseWriter, r *http.Request) error {
	return s.servePicture(w, r, blocks.KindThumbnail)
}

func (s *Server) videoThumbnail(w http.ResponseWriter, r *http.Request) error {
	return s.servePicture(w, r, blocks.KindVideo)
}

func (s *Server) animatedThumbnail(w http.ResponseWriter, r *http.Request) error {
	return s.servePicture(w, r, blocks.KindAnimated)
}

// servePicture serves a picture of the file of the block that a path names.
func (s *Server) servePicture(w http.ResponseWriter, r *http.Request, kind string) error {
	want, err := pictureRequest(r, kind, r.PathValue("size"))
	if err != nil {
		return err
	}
	if kind == blocks.KindVideo {
		if want.Position, err = blocks.ParsePosition(r.PathValue("position")); err != nil {
			return badField("position", "must be seconds, or per cent of the length as 50p")
		}
	}
	key, thing, isTicket, err := s.fileKey(r)
	if err != nil {
		return err
	}
	f, err := s.Blocks.FileOf(r.Context(), userOf(r), key)
	if err != nil {
		return err
	}
	if isTicket && !opens(thing, f) {
		return auth.ErrUnauthorized
	}
	slug := r.PathValue("slug")
	exact := isTicket || r.URL.Query().Get("v") == f.Hash.String() || strings.TrimSuffix(slug, path.Ext(slug)) == f.Hash.String()
	return s.writePicture(w, r, f, want, exact)
}

func pictureRequest(r *http.Request, kind, size string) (want blocks.PictureRequest, err error) {
	want.Kind, want.WebP = kind, prefersWebP(r.Header.Values("Accept"))
	want.Size, err = pictureSize(size)
	return want, err
}

// writePicture answers with a picture. exact says that the address names the bytes of the
// file, so that what it shows never changes.
func (s *Server) writePicture(w http.ResponseWriter, r *http.Request, f blocks.File, want blocks.PictureRequest, exact bool) error {
	p, err := s.Blocks.OpenPicture(r.Context(), userOf(r), f, want)
	if err != nil {
		return err
	}
	defer p.Close()
	h := w.Header()
	h.Set("Content-Type", p.Mime)
	h.Set("Content-Disposition", "inline")
	h.Set("ETag", `"`+p.Picture.Blob.String()+`"`)
	h.Add("Vary", "Accept")
	h.Set("Cache-Control", "private, no-cache")
	if exact {
		h.Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	http.ServeContent(s.writeStream(w, r), r, "", time.Time{}, p.Blob)
	return nil
}

// prefersWebP says whether an Accept header likes WebP at least as much as JPEG.
func prefersWebP(accept []string) bool {
	text := strings.Join(accept, ",")
	if strings.TrimSpace(text) == "" {
		return true
	}
	quality := func(kind string) float64 {
		best, exactness := 0.0, -1
		for part := range strings.SplitSeq(text, ",") {
			name, params, _ := strings.Cut(part, ";")
			rank := slices.Index([]string{"*/*", "image/*", kind}, strings.ToLower(strings.TrimSpace(name)))
			if rank < 0 || rank < exactness {
				continue
			}
			q := 1.0
			for param := range strings.SplitSeq(params, ";") {
				if value, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(param)), "q="); ok {
					if parsed, err := strconv.ParseFloat(value, 64); err == nil {
						q = parsed
					}
				}
			}
			best, exactness = q, rank
		}
		return best
	}
	return quality("image/webp") >= quality("image/jpeg")
}

// pictureKinds are the types of pictures that clients bring and fetch, in their words.
var pictureKinds = map[string]string{
	"thumbnail": blocks.KindThumbnail, "image": blocks.KindThumbnail, "poster": blocks.KindThumbnail,
	"video": blocks.KindVideo, "video_thumbnail": blocks.KindVideo,
	"animated": blocks.KindAnimated, "animated_thumbnail": blocks.KindAnimated,
}

func pictureKind(text string) (string, error) {
	if kind, ok := pictureKinds[text]; ok {
		return kind, nil
	}
	return "", badField("type", "must be thumbnail, video_thumbnail or animated_thumbnail")
}

// thumbnailFile is the file that a path names by block and hash.
func (s *Server) thumbnailFile(r *http.Request) (blocks.File, error) {
	r.SetPathValue("key", r.PathValue("block_id"))
	key, _, _, err := s.fileKey(r)
	if err != nil {
		return blocks.File{}, err
	}
	hash, err := blocks.ParseHash(r.PathValue("file_hash"))
	if err != nil {
		return blocks.File{}, err
	}
	f, err := s.Blocks.FileOf(r.Context(), userOf(r), key)
	if err == nil && f.Hash != hash {
		err = fmt.Errorf("file: %w", blocks.ErrNotFound)
	}
	return f, err
}

func (s *Server) downloadThumbnail(w http.ResponseWriter, r *http.Request) error {
	kind, err := pictureKind(r.PathValue("thumbnail_type"))
	if err != nil {
		return err
	}
	want, err := pictureRequest(r, kind, r.PathValue("thumbnail_size"))
	if err != nil {
		return err
	}
	f, err := s.thumbnailFile(r)
	if err != nil {
		return err
	}
	return s.writePicture(w, r, f, want, true)
}

type pictureAnswer struct {
	Status   string         `json:"status" doc:"stored, or ignored: the server has made pictures of this type itself"`
	BlockID  blocks.BlockID `json:"block_id"`
	FileHash string         `json:"file_hash"`
	Key      string         `json:"thumbnail_key"`
	Type     string         `json:"type"`
	Size     int            `json:"size"`
	Width    int            `json:"width"`
	Height   int            `json:"height"`
	Mime     string         `json:"mime"`
}

// maxPictureKey is how long the name is that a client gives its picture.
const maxPictureKey = 200

// uploadThumbnail takes a picture that a client made.
func (s *Server) uploadThumbnail(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("thumbnail_key")
	if len(name) > maxPictureKey {
		return badField("thumbnail_key", fmt.Sprintf("must have at most %d bytes", maxPictureKey))
	}
	f, err := s.thumbnailFile(r)
	if err != nil {
		return err
	}
	if err := s.Blocks.Require(r.Context(), userOf(r), f.Key.Heap, blocks.RoleEditor); err != nil {
		return err // before anything is read
	}
	form, err := readPictureForm(r)
	if err != nil {
		return err
	}
	n := blocks.NewPicture{Key: f.Key, Hash: f.Hash, Content: form.content}
	if n.Kind, err = pictureKind(form.kind); err != nil {
		return err
	}
	if n.Size, err = pictureSize(form.size); err != nil {
		return err
	}
	limit := blocks.NewFile{}
	if err := s.limitFile(r, &limit); err != nil {
		return err
	}
	n.UserBytes = limit.UserBytes
	p, taken, err := s.Blocks.TakePicture(r.Context(), authorOf(r), n)
	if err != nil {
		return err
	}
	status := "stored"
	if !taken {
		status = "ignored"
	}
	return writeJSON(w, pictureAnswer{status, f.Key.Block, f.Hash.String(), name, n.Kind, n.Size, p.Width, p.Height, p.Mime})
}

// pictureForm is a picture with what it is.
type pictureForm struct {
	content    []byte
	kind, size string
}

func readPictureForm(r *http.Request) (f pictureForm, err error) {
	reader, err := r.MultipartReader()
	if err != nil {
		return f, fmt.Errorf("form: %v: %w", err, blocks.ErrInvalid)
	}
	f.kind = blocks.KindThumbnail
	for parts := 0; ; parts++ {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return f, formError(err)
		}
		limit := int64(maxFormField)
		if part.FormName() == "thumbnail" {
			limit = blocks.MaxClientPicture + 1
		}
		content, err := io.ReadAll(io.LimitReader(part, limit))
		if err != nil {
			return f, formError(err)
		}
		switch part.FormName() {
		case "thumbnail":
			f.content = content
		case "type":
			f.kind = string(content)
		case "size":
			f.size = string(content)
		}
		if parts > 16 {
			return f, fmt.Errorf("the form has too many parts: %w", blocks.ErrInvalid)
		}
	}
	if len(f.content) == 0 {
		return f, badField("thumbnail", "must be a picture")
	}
	return f, nil
}

func formError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return fmt.Errorf("form: %v: %w", err, blocks.ErrInvalid)
}

type regenerateRequest struct {
	BlockID string `json:"block_id"`
	HeapID  string `json:"heap_id,omitempty"`
}

type regenerateAnswer struct {
	Status   string         `json:"status" doc:"processing"`
	BlockID  blocks.BlockID `json:"block_id"`
	FileHash string         `json:"file_hash"`
}

func (s *Server) regenerateFile(w http.ResponseWriter, r *http.Request) error {
	var req regenerateRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	f, err := s.Blocks.Regenerate(r.Context(), authorOf(r), blocks.Target{Heap: req.HeapID, Block: req.BlockID})
	if err != nil {
		return err
	}
	return writeJSON(w, regenerateAnswer{"processing", f.Key.Block, f.Hash.String()})
}

type derivedJSON struct {
	Kind     string `json:"kind" doc:"facts, thumbnail, video_thumbnail or animated_thumbnail"`
	Size     int    `json:"size,omitempty" doc:"longest edge that was asked for"`
	Position int64  `json:"position,omitempty" doc:"second of a video"`
	Width    int    `json:"width,omitempty"`
	Height   int    `json:"height,omitempty"`
	Mime     string `json:"mime,omitempty"`
	Bytes    int64  `json:"bytes,omitempty"`
	Status   string `json:"status" doc:"processing, ready or failed"`
	Code     string `json:"code,omitempty"`
	Reason   string `json:"reason,omitempty" doc:"why there is none"`
	Client   bool   `json:"client,omitempty" doc:"a client made it"`
}

// derivedOf lists what was made of a file, and whether more is on its way.
func derivedOf(d blocks.Derived) (list []derivedJSON, processing bool) {
	list = []derivedJSON{}
	word := func(status string) string {
		if status == blocks.DerivedReady || status == blocks.DerivedFailed {
			return status
		}
		return "processing"
	}
	processing = word(d.Status) == "processing"
	if d.ParseFacts() != nil {
		list = append(list, derivedJSON{Kind: "facts", Status: blocks.DerivedReady})
	}
	if d.Status == blocks.DerivedFailed {
		list = append(list, derivedJSON{Kind: blocks.KindThumbnail, Status: d.Status, Code: d.Code, Reason: d.Reason})
	}
	for _, p := range d.Pictures {
		list = append(list, derivedJSON{p.Kind, p.Size, p.Position, p.Width, p.Height, p.Mime, p.Bytes, word(p.Status), p.Code, p.Reason, p.Block != 0})
	}
	return list, processing
}
