package syncserver_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// shared is a world with a heap "h" of ada's, and bob and eve who know nothing of it.
type shared struct {
	*world
	token map[string]string
	key   map[string]string
	id    map[string]string
}

func newShared(t *testing.T) *shared {
	s := &shared{newWorld(t), map[string]string{}, map[string]string{}, map[string]string{}}
	for i, name := range []string{"ada", "bob", "eve"} {
		d := newDevice(int64(i + 1))
		s.token[name], _ = s.login(t, d)
		s.key[name], s.id[name] = d.publicKey, string(s.account(t, d).ID)
	}
	s.as(t, "ada", "POST", "/api/heap/add", object{"id": "h", "name": "Heap"}).want(t, "heap", 201, "")
	return s
}

func (s *shared) as(t testing.TB, name, method, path string, body any) answer {
	t.Helper()
	return s.call(t, method, path, s.token[name], body)
}

// members is who is in the heap, as name sees it: "ada owner, bob editor".
func (s *shared) members(t *testing.T, name string) string {
	t.Helper()
	a := s.as(t, name, "GET", "/api/heap/h/members", nil).want(t, "members", 200, "")
	var list []string
	for _, m := range a.json["members"].([]any) {
		m := m.(map[string]any)
		for who, id := range s.id {
			if m["user_id"] == id && m["public_key"] == s.key[who] {
				list = append(list, fmt.Sprint(who, " ", m["role"]))
			}
		}
	}
	return strings.Join(list, ", ")
}

func TestOwnerSharesWithAKey(t *testing.T) {
	s := newShared(t)
	add := func(who, key, role string) answer {
		return s.as(t, who, "POST", "/api/heap/h/members", object{"public_key": key, "role": role})
	}
	add("bob", s.key["bob"], "editor").want(t, "a stranger", 404, "not_found")
	add("ada", s.key["bob"], "owner").want(t, "a second owner", 400, "invalid")
	add("ada", s.key["bob"], "king").want(t, "no role", 400, "invalid")
	add("ada", "nonsense", "editor").want(t, "no key", 400, "invalid_key")
	add("ada", newDevice(99).publicKey, "editor").want(t, "no account", 404, "not_found")
	add("ada", s.key["ada"], "viewer").want(t, "the owner", 409, "conflict")
	add("ada", s.key["bob"], "viewer").want(t, "viewer", 200, "")
	add("ada", s.key["bob"], "editor").want(t, "editor", 200, "")
	add("bob", s.key["eve"], "viewer").want(t, "an editor", 403, "forbidden")
	if got := s.members(t, "bob"); got != "ada owner, bob editor" {
		t.Errorf("members are %s", got)
	}
	s.as(t, "eve", "GET", "/api/heap/h/members", nil).want(t, "a stranger", 404, "not_found")
}

func TestMembersLeaveAndAreRemoved(t *testing.T) {
	s := newShared(t)
	for _, who := range []string{"bob", "eve"} {
		s.as(t, "ada", "POST", "/api/heap/h/members", object{"public_key": s.key[who], "role": "editor"}).want(t, who, 200, "")
	}
	remove := func(who, whom string) answer {
		return s.as(t, who, "DELETE", "/api/heap/h/members/"+s.id[whom], nil)
	}
	remove("bob", "eve").want(t, "an editor removes another", 403, "forbidden")
	remove("ada", "ada").want(t, "the owner leaves", 409, "conflict")
	remove("bob", "bob").want(t, "an editor leaves", 200, "")
	remove("bob", "bob").want(t, "and again", 404, "not_found")
	remove("ada", "bob").want(t, "who has left", 404, "not_found")
	remove("ada", "eve").want(t, "the owner removes", 200, "")
	s.as(t, "eve", "GET", "/api/heap/h/members", nil).want(t, "who was removed", 404, "not_found")
	if got := s.members(t, "ada"); got != "ada owner" {
		t.Errorf("members are %s", got)
	}
}

func TestHeapsChangeHands(t *testing.T) {
	s := newShared(t)
	to := func(who, whom string) answer {
		return s.as(t, who, "POST", "/api/heap/h/transfer", object{"user_id": s.id[whom]})
	}
	to("ada", "bob").want(t, "to a stranger", 404, "not_found")
	s.as(t, "ada", "POST", "/api/heap/h/transfer", object{}).want(t, "to nobody", 400, "invalid")
	s.as(t, "ada", "POST", "/api/heap/h/members", object{"public_key": s.key["bob"], "role": "viewer"}).want(t, "share", 200, "")
	to("bob", "bob").want(t, "by a viewer", 403, "forbidden")
	to("ada", "bob").want(t, "to a member", 200, "")
	if got := s.members(t, "ada"); got != "ada editor, bob owner" {
		t.Errorf("members are %s", got)
	}
}

func TestInvitations(t *testing.T) {
	s := newShared(t)
	invite := func(body object) answer {
		t.Helper()
		a := s.as(t, "ada", "POST", "/api/heap/h/invites", body)
		if a.status != 201 || a.str("url") != publicURL+"/invite/"+a.str("code") {
			t.Fatalf("%v: %d %s", body, a.status, a.text)
		}
		return a
	}
	accept := func(who string, invitation answer) answer {
		return s.as(t, who, "POST", "/api/invites/"+invitation.str("code")+"/accept", nil)
	}
	for what, body := range map[string]object{
		"no role": {}, "owner": {"role": "owner"}, "no time": {"role": "editor", "expires_in": 0}, "for ever": {"role": "editor", "expires_in": 1e9},
		"no use": {"role": "editor", "max_uses": 0}, "too many uses": {"role": "editor", "max_uses": 1e9},
	} {
		s.as(t, "ada", "POST", "/api/heap/h/invites", body).want(t, what, 400, "invalid")
	}
	s.as(t, "bob", "POST", "/api/heap/h/invites", object{"role": "viewer"}).want(t, "by a stranger", 404, "not_found")

	once := invite(object{"role": "editor", "max_uses": 1})
	bobs := invite(object{"role": "viewer", "public_key": s.key["bob"]})
	brief := invite(object{"role": "viewer", "expires_in": 60})
	s.call(t, "POST", "/api/invites/"+once.str("code")+"/accept", "", nil).want(t, "nobody", 401, "unauthorized")
	s.as(t, "eve", "POST", "/api/invites/nonsense/accept", nil).want(t, "no code", 404, "not_found")
	accept("eve", bobs).want(t, "of another key", 404, "not_found")
	if a := accept("bob", bobs).want(t, "of the key", 200, ""); a.str("id") != "h" || a.str("role") != "viewer" {
		t.Errorf("accepted: %s", a.text)
	}
	s.as(t, "bob", "GET", "/api/heap/h/invites", nil).want(t, "listed to a viewer", 403, "forbidden")
	list := s.as(t, "ada", "GET", "/api/heap/h/invites", nil).want(t, "list", 200, "")
	if n := len(list.json["invites"].([]any)); n != 3 || strings.Contains(list.text, once.str("code")) {
		t.Errorf("invites: %s", list.text)
	}
	accept("bob", once).want(t, "a higher role", 200, "")
	accept("eve", once).want(t, "used up", 410, "expired")
	s.as(t, "ada", "DELETE", "/api/heap/h/invites/"+bobs.str("id"), nil).want(t, "take back", 200, "")
	s.as(t, "ada", "DELETE", "/api/heap/h/invites/"+bobs.str("id"), nil).want(t, "again", 404, "not_found")
	accept("eve", bobs).want(t, "taken back", 404, "not_found")
	s.pass(61 * time.Second)
	accept("eve", brief).want(t, "expired", 410, "expired")
	if got := s.members(t, "ada"); got != "ada owner, bob editor" {
		t.Errorf("members are %s", got)
	}
}
