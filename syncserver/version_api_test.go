package syncserver_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

// text is what the root "content" of a block says.
func (s *shared) text(t testing.TB, block string) string {
	t.Helper()
	doc := ydoc.NewDoc(ydoc.Options{})
	if err := doc.Apply(s.pullState(t, "ada", "h", block), ydoc.V1); err != nil {
		t.Fatal(err)
	}
	return doc.Text("content").String()
}

func TestHistorySaysWhoWroteWhenAndGoesBack(t *testing.T) {
	s := newShared(t)
	s.as(t, "ada", "POST", "/api/heap/h/members", object{"public_key": s.key["bob"], "role": "editor"}).want(t, "share", 200, "")
	s.put(t, "ada", "h", note{"a", nil, "a first draft"})
	first := s.as(t, "ada", "POST", "/api/block/a/versions", object{"name": " first "}).want(t, "name", 201, "")
	if first.str("name") != "first" || first.str("id") == "" || first.json["seq"].(float64) != 1 {
		t.Errorf("named: %s", first.text)
	}
	s.put(t, "bob", "h", note{"a", nil, "another text altogether"})
	s.put(t, "ada", "h", note{"a", nil, "spoilt"})

	history := s.as(t, "bob", "POST", "/api/block_updates/a", object{"updates": true}).want(t, "history", 200, "")
	if n := len(history.json["updates"].([]any)); n != 3 || history.json["next_cursor"] != nil || history.json["sync_version"].(float64) != 1 {
		t.Fatalf("history: %s", history.text)
	}
	doc := ydoc.NewDoc(ydoc.Options{})
	for i := range 3 {
		user, device := history.at(fmt.Sprintf("updates.%d.user", i)), history.at(fmt.Sprintf("updates.%d.device", i))
		if want := s.id[[]string{"ada", "bob", "ada"}[i]]; user != want || device == "" {
			t.Errorf("update %d is by %v on %v, want %s", i, user, device, want)
		}
		b, err := base64.StdEncoding.DecodeString(history.at(fmt.Sprintf("updates.%d.update", 2-i)).(string))
		if err == nil {
			err = doc.Apply(b, ydoc.V1)
		}
		if err != nil || float64(len(b)) != history.at(fmt.Sprintf("updates.%d.size", 2-i)) {
			t.Errorf("update %d: %v", 2-i, err)
		}
	}
	whole, err := base64.StdEncoding.DecodeString(history.str("ydoc"))
	if err != nil || doc.Apply(whole, ydoc.V1) != nil || doc.Text("content").String() != "spoilt" {
		t.Errorf("ydoc: %v, text %q", err, doc.Text("content"))
	}
	// The last state, which nobody named, and the first.
	if last := history.at("versions.0.name"); last != nil || history.at("versions.1.name") != "first" || len(history.json["versions"].([]any)) != 2 {
		t.Errorf("versions: %v", history.json["versions"])
	}

	shown := s.as(t, "ada", "GET", "/api/block/a/versions/"+first.str("id")+"?heap_id=h", nil).want(t, "show", 200, "")
	if shown.at("content.content.text") != "a first draft" || shown.json["added"].(float64) != 13 || shown.json["removed"].(float64) != 0 ||
		shown.at("users.0.user") != s.id["ada"] || shown.str("name") != "first" {
		t.Errorf("shown: %s", shown.text)
	}
	last := history.at("versions.0.id").(string)
	shown = s.as(t, "ada", "GET", "/api/block/a/versions/"+last, nil).want(t, "show", 200, "")
	if shown.at("content.content.text") != "spoilt" || shown.json["added"].(float64) != 6 || shown.json["removed"].(float64) != 13 || len(shown.json["users"].([]any)) != 2 {
		t.Errorf("shown: %s", shown.text)
	}

	a := s.as(t, "bob", "POST", "/api/block/a/versions/"+first.str("id")+"/restore", nil).want(t, "restore", 200, "")
	if s.text(t, "a") != "a first draft" || a.json["changed"] != true || a.json["seq"].(float64) != 4 {
		t.Errorf("restored: %s, text %q", a.text, s.text(t, "a"))
	}
	a = s.as(t, "bob", "POST", "/api/block/a/versions/"+first.str("id")+"/restore", object{"heap_id": "h"}).want(t, "restore again", 200, "")
	if a.json["changed"] != false {
		t.Errorf("restored again: %s", a.text)
	}
	s.as(t, "bob", "POST", "/api/block/a/versions/"+last+"/restore", nil).want(t, "restore what was spoilt", 200, "")
	if s.text(t, "a") != "spoilt" {
		t.Errorf("text is %q", s.text(t, "a"))
	}

	// In pages of two every update comes once, and so does every version.
	var seqs []float64
	versions, cursor := map[string]int{}, any(nil)
	for {
		body := object{"limit": 2}
		if cursor != nil {
			body["cursor"] = cursor
		}
		page := s.as(t, "ada", "POST", "/api/block_updates/a", body).want(t, "page", 200, "")
		for _, u := range page.json["updates"].([]any) {
			seqs = append(seqs, u.(map[string]any)["seq"].(float64))
		}
		for _, v := range page.json["versions"].([]any) {
			versions[v.(map[string]any)["id"].(string)]++
		}
		if cursor = page.json["next_cursor"]; cursor == nil {
			break
		}
	}
	if fmt.Sprint(seqs) != "[5 4 3 2 1]" || versions[first.str("id")] != 1 || len(versions) != 2 {
		t.Errorf("pages have %v, versions %v", seqs, versions)
	}
	s.as(t, "bob", "DELETE", "/api/block/a/versions/"+first.str("id"), nil).want(t, "forget", 200, "")
	s.as(t, "bob", "DELETE", "/api/block/a/versions/"+first.str("id"), nil).want(t, "again", 404, "not_found")
	s.as(t, "ada", "GET", "/api/block/a/versions/"+first.str("id"), nil).want(t, "forgotten", 404, "not_found")
}

func TestHistoryRefusals(t *testing.T) {
	s := newShared(t)
	s.as(t, "ada", "POST", "/api/heap/h/members", object{"public_key": s.key["bob"], "role": "viewer"}).want(t, "share", 200, "")
	s.put(t, "ada", "h", note{"a", nil, "text"})
	id := s.as(t, "ada", "POST", "/api/block/a/versions", object{"name": "v"}).want(t, "name", 201, "").str("id")
	for _, rt := range []struct {
		method, path string
		body         object
		viewer       int // status for who may only look
	}{
		{"POST", "/api/block_updates/a", nil, 200},
		{"GET", "/api/block/a/versions/" + id, nil, 200},
		{"POST", "/api/block/a/versions", object{"name": "x"}, 403},
		{"DELETE", "/api/block/a/versions/" + id, nil, 403},
		{"POST", "/api/block/a/versions/" + id + "/restore", nil, 403},
		{"POST", "/api/heap/h/restore", object{"at": 1}, 403},
	} {
		code := ""
		if rt.viewer == 403 {
			code = "forbidden"
		}
		s.as(t, "bob", rt.method, rt.path, rt.body).want(t, "viewer: "+rt.method+" "+rt.path, rt.viewer, code)
		s.as(t, "eve", rt.method, rt.path, rt.body).want(t, "stranger: "+rt.method+" "+rt.path, 404, "not_found")
		if rest, ok := strings.CutPrefix(rt.path, "/api/block"); ok {
			elsewhere := "/api/block" + strings.Replace(rest, "/a", "/nowhere", 1)
			s.as(t, "ada", rt.method, elsewhere, rt.body).want(t, "no such block: "+elsewhere, 404, "not_found")
		}
	}
	for what, body := range map[string]object{"no name": {}, "blank": {"name": "  "}, "long": {"name": strings.Repeat("é", 201)}, "number": {"name": 5}} {
		s.as(t, "ada", "POST", "/api/block/a/versions", body).want(t, what, 400, "invalid")
	}
	for _, cursor := range []any{"x", "MSA", base64.RawURLEncoding.EncodeToString([]byte("-1 5")), base64.RawURLEncoding.EncodeToString([]byte("1")), 7} {
		s.as(t, "ada", "POST", "/api/block_updates/a", object{"cursor": cursor}).want(t, fmt.Sprint("cursor ", cursor), 400, "invalid")
	}
	for _, bad := range []string{"s0", "s2", "s-1", "s01", "s1x", "s", "99999999999999999999", "s99999999999999999999", "nonsense"} {
		s.as(t, "ada", "GET", "/api/block/a/versions/"+bad, nil).want(t, bad, 404, "not_found")
		s.as(t, "ada", "POST", "/api/block/a/versions/"+bad+"/restore", nil).want(t, bad, 404, "not_found")
	}
	s.as(t, "ada", "POST", "/api/block_updates/a%20b", nil).want(t, "bad id", 400, "invalid")
	for _, at := range []any{0, -5, 9e15, "soon", 1.5} {
		s.as(t, "ada", "POST", "/api/heap/h/restore", object{"at": at}).want(t, fmt.Sprint("at ", at), 400, "invalid")
	}
	s.as(t, "ada", "POST", "/api/heap/add", object{"id": "other", "name": "Other"}).want(t, "heap", 201, "")
	s.put(t, "ada", "other", note{"a", nil, "namesake"})
	s.as(t, "ada", "POST", "/api/block_updates/a", nil).want(t, "ambiguous", 409, "ambiguous_block")
	if a := s.as(t, "ada", "POST", "/api/block_updates/a", object{"workspace_id": "other"}).want(t, "named", 200, ""); len(a.json["updates"].([]any)) != 1 {
		t.Errorf("%s", a.text)
	}
	s.as(t, "ada", "GET", "/api/block/a/versions/"+id+"?heap_id=other", nil).want(t, "version of the namesake", 404, "not_found")
}

func TestHeapGoesBackToAMoment(t *testing.T) {
	s := newShared(t)
	s.put(t, "ada", "h", note{"a", nil, "good"}, note{"same", nil, "as it was"})
	// The store's clock is the machine's: the moment is that of the last commit.
	moment := s.as(t, "ada", "POST", "/api/block_updates/a", nil).want(t, "history", 200, "").at("updates.0.at").(float64)
	same := s.as(t, "ada", "POST", "/api/block_updates/same", nil).want(t, "history", 200, "").at("updates.0.at").(float64)
	at := int64(max(moment, same))
	s.put(t, "ada", "h", note{"a", nil, "spoilt"}, note{"new", nil, "was not there"})
	dry := s.as(t, "ada", "POST", "/api/heap/h/restore", object{"at": at, "dry_run": true}).want(t, "dry run", 200, "")
	if s.text(t, "a") != "spoilt" {
		t.Errorf("a dry run made it %q", s.text(t, "a"))
	}
	done := s.as(t, "ada", "POST", "/api/heap/h/restore", object{"at": at}).want(t, "restore", 200, "")
	if dry.text != done.text || done.json["restored"].(float64) != 1 || done.json["trashed"].(float64) != 1 || done.json["unchanged"].(float64) != 1 {
		t.Errorf("dry run: %s, in earnest: %s", dry.text, done.text)
	}
	if s.text(t, "a") != "good" {
		t.Errorf("text is %q", s.text(t, "a"))
	}
	again := s.as(t, "ada", "POST", "/api/heap/h/restore", object{"at": at}).want(t, "again", 200, "")
	if again.json["restored"].(float64) != 0 || again.json["trashed"].(float64) != 0 || again.json["unchanged"].(float64) != 3 {
		t.Errorf("again: %s", again.text)
	}
	s.settle(t)
	if got := s.as(t, "ada", "POST", "/api/heap", object{"heap_id": "h", "trashed": true}).ids(t); fmt.Sprint(got) != "[new]" {
		t.Errorf("in the trash: %v", got)
	}
}
