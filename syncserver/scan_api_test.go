package syncserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/syncserver"
)

// newScanWorld is a world whose scans do not wait for files to settle. Its scan roots are
// the settings'.
func newScanWorld(t *testing.T) *world {
	var a *auth.Service
	w := newWorldWith(t, blocks.Limits{}, func(cfg *blocks.LogConfig) {
		cfg.Scan = blocks.ScanConfig{
			Roots: func(ctx context.Context) ([]string, error) { return syncserver.ScanRoots(ctx, a) },
			Allowed: func(ctx context.Context, user blocks.UserID) (bool, error) {
				acc, err := a.Account(ctx, auth.AccountID(user))
				return acc.Admin, err
			},
			Every: -1, Settle: -1,
		}
	})
	a = w.auth
	return w
}

func mediaFolder(t *testing.T, files int) string {
	t.Helper()
	media := filepath.Join(t.TempDir(), "media")
	for i := range files {
		name := filepath.Join(media, fmt.Sprint("d", i%3), fmt.Sprint(i, ".txt"))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, fmt.Append(nil, "content ", i), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return media
}

// feed is a socket of /api/ws.
type feed struct {
	*websocket.Conn
	t *testing.T
}

func (w *world) feed(t *testing.T, token string) *feed {
	t.Helper()
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	c, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/api/ws?token="+token, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &feed{c, t}
}

// next returns the next event.
func (f *feed) next() object {
	f.t.Helper()
	_ = f.SetReadDeadline(time.Now().Add(20 * time.Second))
	typ, text, err := f.ReadMessage()
	if err != nil || typ != websocket.TextMessage {
		f.t.Fatalf("frame of type %d, %v", typ, err)
	}
	var e object
	if err := json.Unmarshal(text, &e); err != nil {
		f.t.Fatalf("%s: %v", text, err)
	}
	return e
}

// done returns the event that ends a scan.
func (f *feed) done(scan string) object {
	f.t.Helper()
	for {
		if e := f.next(); e["event"] == "scan.done" && e["scan_id"] == scan {
			return e
		}
	}
}

func TestScansOverHTTP(t *testing.T) {
	w := newScanWorld(t)
	boss, _ := w.admin(t, newDevice(1))
	user, _ := w.login(t, newDevice(2))
	w.heap(t, boss, "h")
	w.heap(t, user, "theirs")
	media := mediaFolder(t, 30)
	scan := func(token string, body object) answer {
		t.Helper()
		return w.call(t, "POST", "/api/scan_folder", token, body)
	}
	// Nothing is allowed at first, and it makes no difference what there is.
	a := scan(boss, object{"heap_id": "h", "path": media}).want(t, "not allowed", 403, "forbidden")
	if b := scan(boss, object{"heap_id": "h", "path": media + "/nothing"}).want(t, "nothing, not allowed", 403, "forbidden"); a.text != b.text {
		t.Errorf("%s, but %s", a.text, b.text)
	}
	w.call(t, "PUT", "/api/admin/settings", boss, object{"scan_roots": []string{"/proc/self"}}).want(t, "pseudo root", 400, "invalid")
	w.call(t, "PUT", "/api/admin/settings", boss, object{"scan_roots": []string{media}}).want(t, "scan roots", 200, "")
	scan(boss, object{"heap_id": "h", "path": media + "/../.."}).want(t, "above", 403, "forbidden")
	scan(boss, object{"heap_id": "h", "path": "media"}).want(t, "relative", 400, "invalid")
	scan(boss, object{"heap_id": "h", "path": media + "/none"}).want(t, "absent", 404, "not_found")
	scan(boss, object{"heap_id": "!", "path": media}).want(t, "bad heap", 400, "invalid")
	scan(boss, object{"heap_id": "theirs", "path": media}).want(t, "another's heap", 404, "not_found")
	scan(user, object{"heap_id": "theirs", "path": media}).want(t, "no administrator", 403, "forbidden")
	scan("", object{"heap_id": "h", "path": media}).want(t, "nobody", 401, "unauthorized")

	dry := scan(boss, object{"heap_id": "h", "path": media, "dry_run": true}).want(t, "dry run", 200, "")
	if dry.str("status") != "dry_run" || dry.at("would.new") != 30.0 || dry.at("would.files.0.action") != "new" {
		t.Errorf("dry run: %s", dry.text)
	}
	if n := w.call(t, "POST", "/api/heap_count", boss, object{"heap_id": "h"}).json["total"]; n != 0.0 {
		t.Errorf("a dry run made %v blocks", n)
	}

	mine, others := w.feed(t, boss), w.feed(t, user)
	id := scan(boss, object{"heap_id": "h", "path": media}).want(t, "scan", 200, "").str("scan_id")
	if e := mine.next(); e["event"] != "scan.progress" || e["heap_id"] != "h" || e["scan_id"] != id || e["status"] != "running" {
		t.Errorf("%v", e)
	}
	if e := mine.done(id); e["found"] != 30.0 || e["done"] != 30.0 || e["new"] != 30.0 || e["errors"] != 0.0 || e["status"] != "done" {
		t.Errorf("%v", e)
	}
	list := w.call(t, "GET", "/api/active_scans", boss, nil).want(t, "active", 200, "")
	if len(list.json["scans"].([]any)) != 0 || list.at("recent.0.scan_id") != id || list.at("recent.0.path") != media || list.at("folders.0.path") != media || list.at("folders.0.watch") != "off" {
		t.Errorf("active: %s", list.text)
	}
	if list := w.call(t, "GET", "/api/active_scans", user, nil); strings.Contains(list.text, id) || strings.Contains(list.text, media) {
		t.Errorf("a stranger sees %s", list.text)
	}
	w.call(t, "POST", "/api/abort_scan", boss, object{"scan_id": id}).want(t, "abort what is over", 404, "not_found")
	w.call(t, "POST", "/api/abort_scan", boss, object{}).want(t, "abort nothing", 400, "invalid")

	// The files are the blocks', like any others.
	var block string
	for found := ""; found != "7.txt"; {
		hits := w.call(t, "POST", "/api/heap", boss, object{"heap_id": "h", "type": "file", "limit": 100}).want(t, "list", 200, "")
		for _, b := range hits.json["blocks"].([]any) {
			if b := b.(object); b["title"] == "7.txt" {
				block, found = b["block_id"].(string), "7.txt"
			}
		}
	}
	raw := w.call(t, "GET", "/api/file/"+block+"/raw/7.txt", boss, nil, "Range", "bytes=0-6").want(t, "range", 206, "")
	if raw.text != "content" || raw.header.Get("ETag") != `"`+hexOf("content 7")+`"` {
		t.Errorf("%q, ETag %s", raw.text, raw.header.Get("ETag"))
	}
	name := filepath.Join(media, "d1", "7.txt")
	if err := os.WriteFile(name, []byte("changed 7"), 0o644); err != nil {
		t.Fatal(err)
	}
	changed := w.call(t, "GET", "/api/file/"+block+"/raw/7.txt", boss, nil).want(t, "changed", 503, "file_changed")
	if changed.header.Get("ETag") != "" || changed.header.Get("Retry-After") == "" {
		t.Errorf("%v", changed.header)
	}
	for e := mine.next(); e["event"] != "scan.done"; e = mine.next() { // it is read anew by itself
	}
	if raw := w.call(t, "GET", "/api/file/"+block+"/raw/7.txt", boss, nil).want(t, "read anew", 200, ""); raw.text != "changed 7" || raw.header.Get("ETag") != `"`+hexOf("changed 7")+`"` {
		t.Errorf("%q, ETag %s", raw.text, raw.header.Get("ETag"))
	}
	if err := os.Rename(media, media+".away"); err != nil {
		t.Fatal(err)
	}
	w.call(t, "GET", "/api/file/"+block+"/raw/7.txt", boss, nil).want(t, "offline", 503, "file_offline")
	if err := os.Rename(media+".away", media); err != nil {
		t.Fatal(err)
	}

	// To reindex is for editors; only an administrator's also scans.
	re := w.call(t, "POST", "/api/reindex_files", boss, object{"heap_id": "h"}).want(t, "reindex", 200, "")
	if re.json["files"] != 30.0 || re.json["changed"] != 0.0 || re.json["missing"] != 0.0 || re.at("scans.0.path") != media {
		t.Errorf("reindex: %s", re.text)
	}
	mine.done(re.at("scans.0.scan_id").(string))

	// The audit log has who scanned what.
	audit := w.call(t, "GET", "/api/admin/audit", boss, nil).text
	if !strings.Contains(audit, "scan "+id+" of "+media+" into h") || !strings.Contains(audit, `"kind":"scan"`) {
		t.Errorf("audit: %s", audit)
	}

	// A feed hears of the heaps that its user can read, as soon as that is so.
	w.call(t, "POST", "/api/heap/h/members", boss, object{"public_key": newDevice(2).publicKey, "role": "viewer"}).want(t, "share", 200, "")
	id = scan(boss, object{"heap_id": "h", "path": media}).str("scan_id")
	mine.done(id)
	if e := others.next(); e["scan_id"] != id { // of the scans before it has heard nothing
		t.Errorf("%v", e)
	}
	others.done(id)
	w.call(t, "DELETE", "/api/heap/h/members/"+string(w.account(t, newDevice(2)).ID), boss, nil).want(t, "take back", 200, "")
	mine.done(scan(boss, object{"heap_id": "h", "path": media}).str("scan_id"))
	w.call(t, "POST", "/api/heap/h/members", boss, object{"public_key": newDevice(2).publicKey, "role": "viewer"}).want(t, "share", 200, "")
	id = scan(boss, object{"heap_id": "h", "path": media}).str("scan_id")
	mine.done(id)
	if e := others.next(); e["scan_id"] != id {
		t.Errorf("who was no member any more heard %v", e)
	}
}

func TestAFeedNeedsALogin(t *testing.T) {
	w := newScanWorld(t)
	boss, _ := w.admin(t, newDevice(1))
	w.heap(t, boss, "h")
	media := mediaFolder(t, 3)
	w.call(t, "PUT", "/api/admin/settings", boss, object{"scan_roots": []string{media}}).want(t, "scan roots", 200, "")
	scan := func() string {
		return w.call(t, "POST", "/api/scan_folder", boss, object{"heap_id": "h", "path": media}).want(t, "scan", 200, "").str("scan_id")
	}
	known, unknown := w.feed(t, boss), w.feed(t, "")
	known.done(scan())
	if err := unknown.WriteMessage(websocket.TextMessage, []byte(`{"op":"auth","token":"bad"}`)); err != nil {
		t.Fatal(err)
	}
	if e := unknown.next(); e["event"] != "error" || e["code"] != "unauthorized" { // nothing of the scan before
		t.Errorf("%v", e)
	}
	if err := unknown.WriteMessage(websocket.TextMessage, []byte(`{"op":"subscribe","heap_id":"h"}`)); err != nil {
		t.Fatal(err)
	}
	if e := unknown.next(); e["event"] != "error" || e["code"] != "invalid" {
		t.Errorf("%v", e)
	}
	text, _ := json.Marshal(object{"op": "auth", "token": boss})
	if err := unknown.WriteMessage(websocket.TextMessage, text); err != nil {
		t.Fatal(err)
	}
	if err := unknown.WriteMessage(websocket.TextMessage, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if e := unknown.next(); e["code"] != "invalid" { // the login was handled before it, and has no answer
		t.Errorf("%v", e)
	}
	unknown.done(scan())
	w.call(t, "POST", "/api/auth/logout", boss, nil).want(t, "logout", 200, "")
	_ = known.SetReadDeadline(time.Now().Add(20 * time.Second))
	var err error
	for err == nil { // what was told before
		_, _, err = known.ReadMessage()
	}
	if !websocket.IsCloseError(err, 4401) {
		t.Errorf("after logout: %v", err)
	}
}
