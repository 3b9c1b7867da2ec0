package syncserver

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"

	"github.com/heapsync/heapsync/blocks"
)

func (s *Server) exportHeap(w http.ResponseWriter, r *http.Request) error {
	heap, err := blocks.ParseHeapID(r.PathValue("id"))
	if err != nil {
		return err
	}
	out := s.writeStream(w, r)
	err = s.Blocks.Export(r.Context(), userOf(r), heap, func(name string) io.Writer {
		h := w.Header()
		h.Set("Content-Type", "application/zip")
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
		h.Set("Cache-Control", "no-store")
		return out
	})
	if err != nil && out.began {
		s.Logger.Warn("export was cut off", "heap", heap, "err", err)
		panic(http.ErrAbortHandler) // what was sent must not look whole
	}
	return err
}

type importAnswer struct {
	Imported int             `json:"imported" doc:"blocks, also those that were there already"`
	Renamed  []renamedJSON   `json:"renamed,omitempty" doc:"blocks that had been deleted for good and came back under a new id"`
	Failed   []importFailure `json:"failed"`
}

type renamedJSON struct {
	From blocks.BlockID `json:"from"`
	To   blocks.BlockID `json:"to"`
}

type importFailure struct {
	Name string `json:"name" doc:"of the entry in the archive"`
	Code string `json:"code"`
}

func (s *Server) importHeap(w http.ResponseWriter, r *http.Request) error {
	heap, err := blocks.ParseHeapID(r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := s.Blocks.Require(r.Context(), userOf(r), heap, blocks.RoleEditor); err != nil {
		return err // before anything is read
	}
	stream := s.readStream(w, r, s.Blocks.Limits().ImportBytes)
	body, err := archiveOf(r, stream)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(s.TempDir, "import-*.zip")
	if err != nil {
		return fmt.Errorf("make a temporary file: %w", err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	size, err := io.Copy(file, body)
	if stream.failed != nil {
		return stream.failed
	}
	if err != nil {
		return fmt.Errorf("keep the archive: %w", err)
	}
	var limits blocks.NewFile
	if err := s.limitFile(r, &limits); err != nil {
		return err
	}
	done, err := s.Blocks.Import(r.Context(), authorOf(r), heap, file, size, blocks.FileLimits{UserBytes: limits.UserBytes, FileBytes: limits.FileBytes})
	if err != nil {
		return err
	}
	answer := importAnswer{Imported: done.Blocks, Failed: []importFailure{}}
	for _, b := range done.Renamed {
		answer.Renamed = append(answer.Renamed, renamedJSON{b.From, b.To})
	}
	for _, f := range done.Failed {
		answer.Failed = append(answer.Failed, importFailure{f.Name, f.Code})
	}
	return writeJSON(w, answer)
}

// archiveOf returns the archive in a request's body: all of it, or a form's first file.
func archiveOf(r *http.Request, body io.Reader) (io.Reader, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return body, nil
	}
	r.Body = io.NopCloser(body)
	form, err := r.MultipartReader()
	if err != nil {
		return nil, fmt.Errorf("form: %v: %w", err, blocks.ErrInvalid)
	}
	for {
		part, err := form.NextPart()
		if err != nil {
			return nil, fmt.Errorf("the form has no file: %w", blocks.ErrInvalid)
		}
		if part.FileName() != "" {
			return part, nil
		}
	}
}
