// Package web is the web app that a server shows at /: its built assets, embedded
// in the binary, and the handler that serves them. It imports nothing of ours.
//
// The source is in app, and what is built of it in dist, where files have the same names
// from build to build. They are served below a path that names the content of all of
// them, so that browsers may keep them for ever and never mix two versions.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed dist
var dist embed.FS

// policy lets the page load its own files and talk to its own server, no more. Pictures
// that are being uploaded are blobs, placeholders of pictures are data.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; " +
	"font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; frame-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// asset is a file, or the page.
type asset struct {
	body   []byte
	mime   string
	etag   string // "": it never changes
	packed func() []byte
}

// app is what the handler serves, by path.
type app struct {
	page   *asset
	assets map[string]*asset
}

// pages are what the app's own paths begin with: each is the page, which looks at the
// path itself.
var pages = []string{"/h/", "/invite/", "/account", "/admin/"}

// Handler serves the app. A path that is neither a file nor one of the app's is 404.
func Handler() http.Handler {
	a := load()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file := a.find(r.URL.Path)
		if file == nil {
			http.NotFound(w, r)
			return
		}
		file.serve(w, r)
	})
}

func (a *app) find(p string) *asset {
	if file := a.assets[p]; file != nil {
		return file
	}
	if p == "/" {
		return a.page
	}
	for _, prefix := range pages {
		if p == strings.TrimSuffix(prefix, "/") || strings.HasPrefix(p, prefix) {
			return a.page
		}
	}
	return nil
}

func (f *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.mime)
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	if f.etag != "" {
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", f.etag)
		if r.Header.Get("If-None-Match") == f.etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	body := f.body
	h.Add("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		if packed := f.packed(); len(packed) < len(body) {
			h.Set("Content-Encoding", "gzip")
			body = packed
		}
	}
	_, _ = w.Write(body) // the client may be gone
}

// unversioned files have to be where they are.
var unversioned = map[string]bool{"sw.js": true, "manifest.webmanifest": true}

func load() *app {
	files := map[string][]byte{}
	all := sha256.New()
	err := fs.WalkDir(dist, "dist", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := dist.ReadFile(p)
		name := strings.TrimPrefix(p, "dist/")
		files[name] = body
		all.Write([]byte(name))
		all.Write(body)
		return err
	})
	if err != nil {
		panic(err) // the files are in the binary
	}
	base := "/assets/" + hex.EncodeToString(all.Sum(nil)[:8]) + "/"
	a := &app{assets: map[string]*asset{}}
	for name, body := range files {
		switch {
		case name == "index.html":
			for name := range unversioned {
				body = bytes.ReplaceAll(body, []byte(`"./`+name+`"`), []byte(`"/`+name+`"`))
			}
			a.page = newAsset(name, bytes.ReplaceAll(body, []byte(`"./`), []byte(`"`+base)), true)
		case unversioned[name]:
			a.assets["/"+name] = newAsset(name, bytes.ReplaceAll(body, []byte("/assets/version/"), []byte(base)), true)
		default:
			a.assets[base+name] = newAsset(name, body, false)
		}
	}
	return a
}

func newAsset(name string, body []byte, changes bool) *asset {
	f := &asset{body: body, mime: mime.TypeByExtension(path.Ext(name))}
	if path.Ext(name) == ".webmanifest" {
		f.mime = "application/manifest+json"
	}
	if changes {
		sum := sha256.Sum256(body)
		f.etag = `"` + hex.EncodeToString(sum[:8]) + `"`
	}
	f.packed = sync.OnceValue(func() []byte {
		var b bytes.Buffer
		z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err == nil {
			_, err = z.Write(body)
		}
		if err == nil {
			err = z.Close()
		}
		if err != nil {
			panic(err) // a buffer takes everything
		}
		return b.Bytes()
	})
	return f
}
