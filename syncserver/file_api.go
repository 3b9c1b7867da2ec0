package syncserver

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
)

// openFile opens the file of the block that a path names, if the token is good for it.
func (s *Server) openFile(r *http.Request) (*blocks.OpenFile, error) {
	key, thing, isTicket, err := s.fileKey(r)
	if err != nil {
		return nil, err
	}
	f, err := s.Blocks.OpenFile(r.Context(), userOf(r), key)
	if err == nil && isTicket && !opens(thing, f.File) {
		f.Close()
		return nil, auth.ErrUnauthorized
	}
	return f, err
}

// fileKey is the block that a path names, and what a ticket opens, if the token is one.
func (s *Server) fileKey(r *http.Request) (key blocks.BlockKey, thing string, isTicket bool, err error) {
	if key.Block, err = blocks.ParseBlockID(r.PathValue("key")); err != nil {
		return key, "", false, blocks.ErrNotFound
	}
	thing, isTicket = r.Context().Value(ticketKey).(string)
	if q := r.URL.Query(); isTicket {
		heap, _, _ := strings.Cut(thing, "/")
		key.Heap = blocks.HeapID(heap)
	} else if id := q.Get("heap_id") + q.Get("workspace_id"); id != "" {
		if key.Heap, err = blocks.ParseHeapID(id); err != nil {
			return key, "", false, badField("heap_id", "must be 1 to 64 characters of A-Z a-z 0-9 _ -")
		}
	} else if key.Heap, err = s.Blocks.FindFile(r.Context(), userOf(r), key.Block); err != nil {
		return key, "", false, err
	}
	return key, thing, isTicket, nil
}

// fileThing is what a ticket for a file opens: these bytes, of this block.
func fileThing(f blocks.File) string {
	return string(f.Key.Heap) + "/" + string(f.Key.Block) + "/" + f.Hash.String()
}

// opens says whether a ticket is for a file. One that was made while nobody knew the hash
// yet names the upload that the file came by.
func opens(thing string, f blocks.File) bool {
	byUpload := f
	byUpload.Hash = f.Upload
	return thing == fileThing(f) || f.Upload != (blocks.Hash{}) && thing == fileThing(byUpload)
}

type ticketRequest struct {
	TTL *int64 `json:"ttl,omitempty" doc:"seconds; a day at most, and if it is not given"`
}

type ticketAnswer struct {
	Token     string `json:"token"`
	ExpiresAt int64  `json:"expires_at"`
	URL       string `json:"url"`
	StreamURL string `json:"stream_url"`
}

func (s *Server) fileTicket(w http.ResponseWriter, r *http.Request) error {
	var req ticketRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	ttl := auth.MaxTicketTTL
	if req.TTL != nil {
		if *req.TTL <= 0 {
			return badField("ttl", "must be positive")
		}
		ttl = time.Duration(min(*req.TTL, int64(auth.MaxTicketTTL/time.Second))) * time.Second
	}
	f, err := s.openFile(r)
	if err != nil {
		return err
	}
	defer f.Close()
	id, _ := identityOf(r)
	token, expires, err := s.Auth.MakeTicket(id.Account.ID, fileThing(f.File), ttl)
	if err != nil {
		return err
	}
	slug := url.PathEscape(f.Name)
	if strings.Trim(slug, ".") == "" {
		slug = "file"
	}
	key := string(f.Key.Block)
	return writeJSON(w, ticketAnswer{
		Token: token, ExpiresAt: expires.UnixMilli(),
		URL:       s.PublicURL + "/api/file/" + key + "/raw/" + slug + "?token=" + token,
		StreamURL: s.PublicURL + "/api/stream/" + key + "/" + slug + "?token=" + token,
	})
}

func (s *Server) rawFile(w http.ResponseWriter, r *http.Request) error {
	return s.serveFile(w, r, r.URL.Query().Get("download") == "1")
}

func (s *Server) streamFile(w http.ResponseWriter, r *http.Request) error {
	return s.serveFile(w, r, false)
}

// maxRanges is how many ranges of one request are honoured; with more it gets the whole.
const maxRanges = 8

func (s *Server) serveFile(w http.ResponseWriter, r *http.Request, download bool) error {
	f, err := s.openFile(r)
	if err != nil {
		return err
	}
	defer f.Close()
	size := f.Size()
	ranges, ok := rangesOf(strings.Join(r.Header.Values("Range"), ","), size)
	if !ok {
		r.Header.Del("Range")
		ranges = []byteRange{{0, size}}
	}
	h := w.Header()
	h.Set("ETag", `"`+f.Hash.String()+`"`)
	h.Set("Cache-Control", "private, no-cache")
	if ok && len(ranges) == 1 && ranges[0].from == size { // also of the last 0 bytes
		r.Header.Set("Range", "bytes="+strconv.FormatInt(size, 10)+"-")
	}
	if r.Method == http.MethodHead || strings.Contains(r.Header.Get("If-None-Match"), h.Get("ETag")) {
		ranges = nil // nothing will be read
	}
	for _, part := range ranges {
		if err := f.Wait(part.from, part.to); errors.Is(err, blocks.ErrNotYet) {
			return notSatisfiable(h, size, "these bytes have not been uploaded yet")
		} else if err != nil {
			return err
		}
	}
	kind := f.Mime
	if kind == "" {
		kind = unknownType
	}
	disposition := "inline"
	// A page that is only shown needs what it consists of, and nothing else.
	h.Set("Content-Security-Policy", "default-src 'none'; img-src 'self'; media-src 'self'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	if kind == "application/pdf" { // the app shows it in a frame, where browsers let nothing of it run
		h.Set("Content-Security-Policy", "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'")
		h.Set("X-Frame-Options", "SAMEORIGIN")
	}
	if active(kind) {
		h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
		download = true
	}
	if download {
		disposition = "attachment"
	}
	if strings.HasPrefix(kind, "text/") {
		kind += "; charset=utf-8"
	}
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", disposition+fileNameParams(f.Name))
	out := s.writeStream(w, r)
	out.refuse = true
	http.ServeContent(out, r, "", time.UnixMilli(f.At), f.Content())
	if out.refused {
		return notSatisfiable(h, size, "the file has no such range")
	}
	return nil
}

func notSatisfiable(h http.Header, size int64, detail string) error {
	for _, name := range []string{"Content-Type", "Content-Disposition", "ETag", "Last-Modified"} {
		h.Del(name)
	}
	h.Set("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
	return newProblem(http.StatusRequestedRangeNotSatisfiable, "range_not_satisfiable", detail)
}

// byteRange is a range of a file. One that begins behind its end has no bytes.
type byteRange struct{ from, to int64 }

// rangesOf returns the ranges that a header asks for, at most maxRanges. ok is false for
// what is no such range, by the letter of RFC 9110, and has to be ignored.
func rangesOf(header string, size int64) (ranges []byteRange, ok bool) {
	list, ok := strings.CutPrefix(header, "bytes=")
	if !ok || size == 0 {
		return nil, false
	}
	for text := range strings.SplitSeq(list, ",") {
		from, to, ok := strings.Cut(strings.TrimSpace(text), "-")
		first, err1 := strconv.ParseUint(from, 10, 63)
		last, err2 := strconv.ParseUint(to, 10, 63)
		switch {
		case !ok || len(ranges) == maxRanges, text == "-0" && text != list:
			return nil, false
		case from == "" && err2 == nil:
			ranges = append(ranges, byteRange{max(size-int64(last), 0), size}) // from size: there is no such byte
		case err1 != nil || to != "" && (err2 != nil || last < first):
			return nil, false
		case to == "":
			ranges = append(ranges, byteRange{int64(first), size})
		default:
			ranges = append(ranges, byteRange{int64(first), min(int64(last), size-1) + 1})
		}
	}
	return ranges, true
}

// fileNameParams is a name as parameters of Content-Disposition: for all clients, and
// exactly for those that can read RFC 8187.
func fileNameParams(name string) string {
	if name == "" {
		return ""
	}
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' || r == '%' {
			return '_'
		}
		return r
	}, name)
	params := `; filename="` + plain + `"`
	if plain == name {
		return params
	}
	var exact strings.Builder
	for i := range len(name) {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$&+-.^_`|~", c) >= 0 {
			exact.WriteByte(c)
		} else {
			fmt.Fprintf(&exact, "%%%02X", c)
		}
	}
	return params + "; filename*=UTF-8''" + exact.String()
}
