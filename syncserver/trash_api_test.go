package syncserver_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/heapsync/heapsync/auth"
)

func TestTrashHoldsBlocksUntilTheyAreRestoredOrDeleted(t *testing.T) {
	s := newShared(t)
	s.put(t, "ada", "h", titledNotes(4)...)
	now := float64(s.now().UnixMilli())
	for _, id := range []string{"b", "a", "c"} {
		a := s.as(t, "ada", "DELETE", "/api/block/"+id, nil).want(t, id, 200, "")
		if at := a.at("trashed_at").(float64); at < now || a.at("expires_at") != at+30*24*3_600_000 || a.at("deleted") != false || a.at("block_id") != id {
			t.Errorf("trashed: %s", a.text)
		}
		s.pass(time.Second)
	}
	list := s.as(t, "ada", "GET", "/api/trash/h", nil).want(t, "trash", 200, "")
	if got := list.ids(t); !slices.Equal(got, []string{"b", "a", "c"}) || list.at("next_cursor") != nil {
		t.Errorf("trash %s", list.text)
	}
	if title, until := list.at("blocks.0.title"), list.at("blocks.0.expires_at"); title != "Note b" || until.(float64) <= now {
		t.Errorf("the first has title %v and expires at %v", title, until)
	}
	page := s.as(t, "ada", "GET", "/api/trash/h?limit=2", nil).want(t, "page", 200, "")
	next := s.as(t, "ada", "GET", fmt.Sprintf("/api/trash/h?limit=2&cursor=%v", page.at("next_cursor")), nil).want(t, "next page", 200, "")
	if got := append(page.ids(t), next.ids(t)...); !slices.Equal(got, []string{"b", "a", "c"}) {
		t.Errorf("pages of the trash: %v", got)
	}
	if got := s.as(t, "ada", "POST", "/api/heap", object{"heap_id": "h"}).ids(t); !slices.Equal(got, []string{"d"}) {
		t.Errorf("the heap lists %v", got)
	}

	a := s.as(t, "ada", "POST", "/api/trash/h/restore", object{"block_ids": []string{"a", "d", "x", "no id"}}).want(t, "restore", 200, "")
	if got := fmt.Sprint(a.at("restored"), a.at("failed")); got != "[a] [map[block_id:no id code:invalid] map[block_id:d code:not_trashed] map[block_id:x code:not_found]]" {
		t.Errorf("restored %s", got)
	}
	s.as(t, "ada", "POST", "/api/trash/h/restore", object{}).want(t, "nothing named", 400, "invalid")
	s.as(t, "ada", "POST", "/api/trash/h/restore", object{"all": true, "block_ids": []string{"a"}}).want(t, "both", 400, "invalid")
	a = s.as(t, "ada", "DELETE", "/api/trash/h", nil).want(t, "empty", 200, "")
	if a.at("deleted") != 2.0 || a.at("freed_bytes").(float64) <= 0 {
		t.Errorf("emptied: %s", a.text)
	}
	a = s.as(t, "ada", "GET", "/api/sync/delta?workspace_id=h", nil).want(t, "delta", 200, "")
	if a.at("total_deleted") != 2.0 || a.at("total_changed") != 2.0 {
		t.Errorf("delta: %s", a.text)
	}
	a = s.as(t, "ada", "DELETE", "/api/block/a?purge=1&heap_id=h", nil).want(t, "purge", 200, "")
	if a.at("deleted") != true || a.at("seq").(float64) <= 0 {
		t.Errorf("purged: %s", a.text)
	}
	s.as(t, "ada", "DELETE", "/api/block/a?purge=1&heap_id=h", nil).want(t, "purge again", 200, "")
	s.as(t, "ada", "DELETE", "/api/block/a?heap_id=h", nil).want(t, "trash what is deleted", 410, "deleted")
	s.as(t, "ada", "POST", "/api/trash/h/restore", object{"all": true}).want(t, "restore of nothing", 200, "")
	s.as(t, "ada", "DELETE", "/api/block/d?purge=maybe", nil).want(t, "purge=maybe", 400, "invalid")
	s.as(t, "ada", "GET", "/api/trash/h?cursor=!", nil).want(t, "a bad cursor", 400, "invalid")
	s.as(t, "ada", "DELETE", "/api/block/nothing", nil).want(t, "no block", 404, "not_found")
}

func TestDeletedHeapIsGoneUntilAnAdministratorBringsItBack(t *testing.T) {
	s := newShared(t)
	s.put(t, "ada", "h", titledNotes(2)...)
	s.as(t, "ada", "POST", "/api/heap/h/members", object{"public_key": s.key["bob"], "role": "editor"}).want(t, "bob", 200, "")
	s.as(t, "bob", "DELETE", "/api/heap/h", nil).want(t, "an editor", 403, "forbidden")
	s.as(t, "eve", "DELETE", "/api/heap/h", nil).want(t, "a stranger", 404, "not_found")
	s.as(t, "ada", "DELETE", "/api/heap/h?purge=later", nil).want(t, "purge=later", 400, "invalid")
	a := s.as(t, "ada", "DELETE", "/api/heap/h", nil).want(t, "delete", 200, "")
	if at := a.at("purge_at"); a.at("deleted") != true || at != float64(s.now().Add(7*24*time.Hour).UnixMilli()) {
		t.Errorf("deleted: %s", a.text)
	}
	s.as(t, "ada", "DELETE", "/api/heap/h", nil).want(t, "delete again", 404, "not_found")
	s.as(t, "ada", "POST", "/api/heap", object{"heap_id": "h"}).want(t, "contents", 404, "not_found")
	if a := s.as(t, "bob", "POST", "/api/heaps", nil).want(t, "heaps", 200, ""); len(a.at("heaps").([]any)) != 0 {
		t.Errorf("bob's heaps: %s", a.text)
	}
	if _, err := s.auth.Grant(t.Context(), auth.Actor{}, s.key["eve"]); err != nil {
		t.Fatal(err)
	}
	a = s.as(t, "eve", "GET", "/api/admin/heaps/deleted", nil).want(t, "deleted heaps", 200, "")
	if a.at("heaps.0.id") != "h" || a.at("heaps.0.owner") != s.id["ada"] {
		t.Errorf("deleted heaps: %s", a.text)
	}
	s.as(t, "bob", "POST", "/api/admin/heaps/h/restore", nil).want(t, "not an administrator", 404, "not_found")
	s.as(t, "eve", "POST", "/api/admin/heaps/h/restore", nil).want(t, "restore", 200, "")
	s.as(t, "eve", "POST", "/api/admin/heaps/h/restore", nil).want(t, "restore again", 404, "not_found")
	if got := s.as(t, "bob", "POST", "/api/heap", object{"heap_id": "h", "sort": "title"}).want(t, "contents", 200, "").ids(t); len(got) != 2 {
		t.Errorf("the heap came back with %v", got)
	}
	s.as(t, "ada", "DELETE", "/api/heap/h?purge=now", nil).want(t, "purge", 200, "")
	s.as(t, "eve", "POST", "/api/admin/heaps/h/restore", nil).want(t, "restore of what is purged", 404, "not_found")
}
