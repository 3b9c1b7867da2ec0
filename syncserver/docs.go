package syncserver

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

// apidocs is a page that shows openapi.json: swagger-ui-dist 5.35.0 with a page of
// ours. Its two large files are kept compressed.
//
//go:embed apidocs/*.html apidocs/*.js apidocs/*.gz
var apidocs embed.FS

// docsPolicy lets the page load its own files and try requests on this server.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (s *Server) docs(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("file")
	if name == "" {
		name = "index.html"
	}
	h := w.Header()
	body, err := apidocs.ReadFile("apidocs/" + name)
	if err != nil {
		packed, err := apidocs.ReadFile("apidocs/" + name + ".gz")
		if err != nil {
			return s.noRoute(w, r)
		}
		if body = packed; strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
		} else if body, err = unpack(packed); err != nil {
			return err
		}
		h.Set("Vary", "Accept-Encoding")
	}
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	h.Set("Content-Security-Policy", docsPolicy)
	h.Set("Cache-Control", "max-age=3600")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	return nil
}

func unpack(b []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
