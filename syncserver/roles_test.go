package syncserver_test

import (
	"encoding/base64"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/ydoc"
)

// heapRoute is a route that concerns a heap: what is asked of it, and which role it
// takes. In path and body $h is the heap, $b a block, $t one in the trash, $v a version
// of $b, $m a member whom nobody misses, $i an invitation, $u the hash of "abc" and $e that
// of nothing, both on their way to $b, $p that of the video that p has, and $w an upload
// with tus.
type heapRoute struct {
	pattern, path string
	body          any
	role          string
}

// withHeader is a body, and what is said of it.
type withHeader struct {
	text   string
	header []string
}

// tusSends is a body that a client of tus sends.
func tusSends(text string, more ...string) withHeader {
	return withHeader{text, append([]string{"Tus-Resumable", "1.0.0", "Content-Type", "application/offset+octet-stream"}, more...)}
}

var heapRoutes = []heapRoute{
	{"GET /api/sync/delta", "/api/sync/delta?workspace_id=$h", nil, "viewer"},
	{"POST /api/heap", "/api/heap", object{"heap_id": "$h"}, "viewer"},
	{"POST /api/search", "/api/search", object{"heap_id": "$h", "query": "text"}, "viewer"},
	{"POST /api/heap_count", "/api/heap_count", object{"heap_id": "$h"}, "viewer"},
	{"PATCH /api/heap/{id}", "/api/heap/$h", object{"name": "Another"}, "owner"},
	{"GET /api/heap/{stats}/{id}", "/api/heap/stats/$h", nil, "viewer"},
	{"DELETE /api/heap/{id}", "/api/heap/$h", nil, "owner"},
	{"POST /api/block/{blockKey}", "/api/block/$b", object{"heap_id": "$h"}, "viewer"},
	{"DELETE /api/block/{blockKey}", "/api/block/$b?heap_id=$h", nil, "editor"},
	{"DELETE /api/block/{blockKey}", "/api/block/$b?heap_id=$h&purge=1", nil, "editor"},
	{"GET /api/trash/{heapId}", "/api/trash/$h", nil, "viewer"},
	{"DELETE /api/trash/{heapId}", "/api/trash/$h", nil, "editor"},
	{"POST /api/trash/{heapId}/restore", "/api/trash/$h/restore", object{"block_ids": []string{"$t"}}, "editor"},
	{"GET /api/heap/{id}/export", "/api/heap/$h/export", nil, "viewer"},
	{"POST /api/heap/{id}/import", "/api/heap/$h/import", "zip", "editor"},
	{"POST /api/heap/digest", "/api/heap/digest", object{"heap_id": "$h"}, "viewer"},
	{"POST /api/heap/changed_blocks", "/api/heap/changed_blocks", object{"heap_id": "$h"}, "viewer"},
	{"POST /api/heap/{id}/restore", "/api/heap/$h/restore", object{"at": 1_777_888_800_000}, "owner"},
	{"POST /api/block_updates/{blockKey}", "/api/block_updates/$b", object{"heap_id": "$h"}, "viewer"},
	{"POST /api/block/{blockKey}/versions", "/api/block/$b/versions", object{"heap_id": "$h", "name": "mine"}, "editor"},
	{"GET /api/block/{blockKey}/versions/{id}", "/api/block/$b/versions/$v?heap_id=$h", nil, "viewer"},
	{"DELETE /api/block/{blockKey}/versions/{id}", "/api/block/$b/versions/$v?heap_id=$h", nil, "editor"},
	{"POST /api/block/{blockKey}/versions/{id}/restore", "/api/block/$b/versions/$v/restore", object{"heap_id": "$h"}, "editor"},
	{"GET /api/heap/{id}/members", "/api/heap/$h/members", nil, "viewer"},
	{"POST /api/heap/{id}/members", "/api/heap/$h/members", object{"public_key": "$m key", "role": "viewer"}, "owner"},
	{"DELETE /api/heap/{id}/members/{user_id}", "/api/heap/$h/members/$m", nil, "owner"},
	{"POST /api/heap/{id}/transfer", "/api/heap/$h/transfer", object{"user_id": "$m"}, "owner"},
	{"POST /api/heap/{id}/invites", "/api/heap/$h/invites", object{"role": "viewer"}, "owner"},
	{"GET /api/heap/{id}/invites", "/api/heap/$h/invites", nil, "owner"},
	{"DELETE /api/heap/{id}/invites/{invite_id}", "/api/heap/$h/invites/$i", nil, "owner"},
	{"POST /api/upload/init/{heap_id}/{block_id}", "/api/upload/init/$h/new", object{"hash": "$u", "size": 3, "name": "a.txt"}, "editor"},
	{"PUT /api/upload/chunk/{heap_id}/{block_id}/{hash}/{index}", "/api/upload/chunk/$h/$b/$u/0", "abc", "editor"},
	{"GET /api/upload/status/{heap_id}/{block_id}/{hash}", "/api/upload/status/$h/$b/$u", nil, "viewer"},
	{"POST /api/upload/complete/{heap_id}/{block_id}/{hash}", "/api/upload/complete/$h/$b/$e", nil, "editor"},
	{"POST /api/upload/file/{heap_id}/{block_id}", "/api/upload/file/$h/new", formOf("abc"), "editor"},
	{"GET /api/file/{key}/raw/{slug}", "/api/file/f/raw/a.txt?heap_id=$h", nil, "viewer"},
	{"GET /api/stream/{key}/{slug}", "/api/stream/f/a.txt?heap_id=$h", nil, "viewer"},
	{"POST /api/file/{key}/ticket", "/api/file/f/ticket?heap_id=$h", nil, "viewer"},
	{"GET /api/status/file/{heap_id}/{block_id}/{hash}", "/api/status/file/$h/$b/$u", nil, "viewer"},
	{"GET /api/file/{key}/thumbnail/{size}/{slug}", "/api/file/p/thumbnail/256/x?heap_id=$h", nil, "viewer"},
	{"GET /api/file/{key}/video_thumbnail/{size}/{position}", "/api/file/p/video_thumbnail/256/1?heap_id=$h", nil, "viewer"},
	{"GET /api/file/{key}/animated_thumbnail/{size}/{slug}", "/api/file/p/animated_thumbnail/256/x?heap_id=$h", nil, "viewer"},
	{"GET /api/download/thumbnail/{block_id}/{file_hash}/{thumbnail_type}/{thumbnail_size}", "/api/download/thumbnail/p/$p/thumbnail/256?heap_id=$h", nil, "viewer"},
	{"POST /api/upload/thumbnail/{block_id}/{file_hash}/{thumbnail_key}", "/api/upload/thumbnail/p/$p/key?heap_id=$h",
		pictureFormOf(jpegOf(10, 10, 1), "type=thumbnail", "size=256"), "editor"},
	{"POST /api/regenerate_file", "/api/regenerate_file", object{"block_id": "p", "heap_id": "$h"}, "editor"},
	{"POST /api/reindex_files", "/api/reindex_files", object{"heap_id": "$h"}, "editor"},
	{"POST /api/files/{$}", "/api/files/?heap_id=$h", tusSends("abc", "Upload-Length", "3"), "editor"},
	{"HEAD /api/files/{id}", "/api/files/$w", tusSends(""), "editor"},
	{"PATCH /api/files/{id}", "/api/files/$w", tusSends("abc", "Upload-Offset", "0"), "editor"},
	{"DELETE /api/files/{id}", "/api/files/$w", tusSends(""), "editor"},
	{"POST /api/files/{id}", "/api/files/$w", tusSends("abc", "Upload-Offset", "0", "X-HTTP-Method-Override", "PATCH"), "editor"},
}

// heaplessRoutes concern no heap, or several at once: they answer for each on its own,
// which their own tests look at.
var heaplessRoutes = []string{
	"POST /api/auth/logout", "GET /api/auth/sessions", "DELETE /api/auth/sessions/{id}", "POST /api/me", "GET /api/me", "PATCH /api/me",
	"POST /api/sync/push", "POST /api/sync/pull", "POST /api/heaps", "POST /api/workspaces", "POST /api/heap/add", "POST /api/invites/{code}/accept",
	"POST /api/scan_folder", "POST /api/abort_scan", "GET /api/active_scans", // for administrators besides
}

var roleNames = []string{"stranger", "viewer", "commenter", "editor", "owner"}

func TestEveryRouteOfAHeapAsksForItsRole(t *testing.T) {
	s := newStudio(t, &painter{}, blocks.Limits{PictureWait: time.Minute}).shared
	for i, name := range append(roleNames, "spare") {
		d := newDevice(int64(100 + i))
		s.token[name], _ = s.login(t, d)
		s.key[name], s.id[name] = d.publicKey, string(s.account(t, d).ID)
	}
	listed := map[string]bool{}
	for _, rt := range s.Routes() {
		if rt.Access != "member" && rt.Access != "media" || slices.Contains(heaplessRoutes, rt.Pattern) {
			continue
		}
		if !slices.ContainsFunc(heapRoutes, func(h heapRoute) bool { return h.pattern == rt.Pattern }) {
			t.Errorf("%s is neither in heapRoutes nor in heaplessRoutes", rt.Pattern)
		}
		listed[rt.Pattern] = true
	}
	n := 0
	for _, rt := range heapRoutes {
		if !listed[rt.pattern] {
			t.Errorf("there is no route %s", rt.pattern)
			continue
		}
		for who, role := range roleNames {
			n++
			s.asksForItsRole(t, rt, fmt.Sprint("heap", n), role, who >= slices.Index(roleNames, rt.role))
		}
	}
	if n < 5*20 {
		t.Errorf("only %d calls", n)
	}
}

// asksForItsRole calls a route of a heap of its own as somebody of a role.
func (s *shared) asksForItsRole(t *testing.T, rt heapRoute, heap, role string, may bool) {
	t.Helper()
	words := s.furnish(t, heap)
	fill := strings.NewReplacer(words...)
	body := rt.body
	var header []string
	switch b := body.(type) {
	case withHeader:
		body, header = b.text, b.header
	case object:
		filled := object{}
		for key, value := range b {
			switch v := value.(type) {
			case string:
				value = fill.Replace(v)
			case []string:
				value = []string{fill.Replace(v[0])}
			}
			filled[key] = value
		}
		body = filled
	case string:
		body = b
		if b == "zip" {
			body = zipOf(t, "note.md", "text")
		}
	}
	method, _, _ := strings.Cut(rt.pattern, " ")
	if text, _ := body.(string); strings.HasPrefix(text, "--x\r\n") {
		header = []string{"Content-Type", "multipart/form-data; boundary=x"}
	}
	a := s.call(t, method, fill.Replace(rt.path), s.token[role], body, header...)
	what := fmt.Sprintf("%s %s as %s", method, rt.path, role)
	switch {
	case may && a.status >= 300:
		t.Errorf("%s: %d %s", what, a.status, a.text)
	case !may && role == "stranger":
		a.want(t, what, 404, "not_found")
	case !may:
		a.want(t, what, 403, "forbidden")
	}
	if !may {
		for _, content := range []string{"secret text", "Secret title"} {
			if strings.Contains(a.text, content) {
				t.Errorf("%s tells what is in the heap: %s", what, a.text)
			}
		}
	}
}

// furnish makes a heap with a member of each role and something of everything.
func (s *shared) furnish(t *testing.T, heap string) (words []string) {
	t.Helper()
	s.as(t, "owner", "POST", "/api/heap/add", object{"id": heap, "name": "Heap"}).want(t, "heap", 201, "")
	for _, role := range []string{"viewer", "commenter", "editor", "spare"} {
		as := role
		if role == "spare" {
			as = "viewer"
		}
		s.as(t, "owner", "POST", "/api/heap/"+heap+"/members", object{"public_key": s.key[role], "role": as}).want(t, role, 200, "")
	}
	var items []object
	for _, block := range []string{"b", "t"} {
		doc := ydoc.NewDoc(ydoc.Options{})
		update := doc.Transact(func() {
			doc.Map("block").Set("title", "Secret title")
			doc.Text("content").Insert(0, "secret text")
			if block == "t" {
				doc.Map("block").Set("trashed_at", 1_700_000_000_000)
			}
		}).Update(ydoc.V1)
		items = append(items, object{"block_id": block, "heap_id": heap, "update": base64.StdEncoding.EncodeToString(update)})
	}
	s.as(t, "owner", "POST", "/api/sync/push", object{"blocks": items}).want(t, "push", 200, "")
	v := s.as(t, "owner", "POST", "/api/block/b/versions", object{"heap_id": heap, "name": "named"}).want(t, "version", 201, "")
	i := s.as(t, "owner", "POST", "/api/heap/"+heap+"/invites", object{"role": "viewer"})
	if i.status != 201 {
		t.Fatalf("invite: %d %s", i.status, i.text)
	}
	s.call(t, "POST", "/api/upload/file/"+heap+"/f", s.token["owner"], formOf("secret text"), "Content-Type", "multipart/form-data; boundary=x").want(t, "file", 200, "")
	s.call(t, "POST", "/api/upload/file/"+heap+"/p", s.token["owner"], formOf("video 40 20 9"), "Content-Type", "multipart/form-data; boundary=x").want(t, "video", 200, "")
	for content, hash := range map[string]string{"abc": hexOf("abc"), "": hexOf("")} {
		s.as(t, "owner", "POST", "/api/upload/init/"+heap+"/b", object{"hash": hash, "size": len(content), "name": "a.txt"}).want(t, "upload", 200, "")
	}
	w := s.call(t, "POST", "/api/files/?heap_id="+heap, s.token["owner"], nil, tusSends("", "Upload-Length", "3").header...)
	if w.status != 201 {
		t.Fatalf("tus: %d %s", w.status, w.text)
	}
	return []string{"$w", path.Base(w.header.Get("Location")), "$p", hexOf("video 40 20 9"), "$u", hexOf("abc"), "$e", hexOf(""), "$h", heap, "$b", "b", "$t", "t", "$v", v.str("id"), "$m key", s.key["spare"], "$m", s.id["spare"], "$i", i.str("id")}
}
