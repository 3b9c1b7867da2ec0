package syncserver_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestAdminRoutesDoNotExistForOthers(t *testing.T) {
	w := newWorld(t)
	access, _ := w.login(t, newDevice(1))
	nowhere := w.call(t, "GET", "/api/nowhere", access, nil).want(t, "nowhere", 404, "not_found")
	for _, route := range []string{"GET /api/admin/users", "GET /api/admin/settings", "PUT /api/admin/settings", "GET /api/admin/stats", "GET /api/admin/problems", "GET /api/admin/users/x/sessions", "GET /api/admin/audit"} {
		method, path, _ := strings.Cut(route, " ")
		a := w.call(t, method, path, access, nil).want(t, route, 404, "not_found")
		if a.text != nowhere.text {
			t.Errorf("%s: %s, but elsewhere %s", route, a.text, nowhere.text)
		}
		w.call(t, method, path, "", nil).want(t, route, 401, "unauthorized")
	}
}

func TestAdminApprovesBlocksAndPromotes(t *testing.T) {
	w := newWorld(t)
	boss, _ := w.admin(t, newDevice(1))
	d := newDevice(2)
	w.verify(t, d)
	path := "/api/admin/users/" + string(w.account(t, d).ID)
	act := func(action string) answer {
		return w.call(t, "POST", path+"/"+action, boss, nil)
	}
	act("promote").want(t, "promote a pending user", 403, "approval_required")
	if a := act("approve").want(t, "approve", 200, ""); a.at("user.status") != "active" || a.at("user.is_admin") != false {
		t.Errorf("%s", a.text)
	}
	access, _ := w.login(t, d)
	w.call(t, "GET", "/api/admin/users", access, nil).want(t, "before promotion", 404, "not_found")
	if a := act("promote").want(t, "promote", 200, ""); a.at("user.is_admin") != true {
		t.Errorf("%s", a.text)
	}
	w.call(t, "GET", "/api/admin/users", access, nil).want(t, "after promotion", 200, "")
	act("demote").want(t, "demote", 200, "")
	w.call(t, "GET", "/api/admin/users", access, nil).want(t, "after demotion", 404, "not_found")
	act("block").want(t, "block", 200, "")
	w.call(t, "GET", "/api/me", access, nil).want(t, "blocked", 401, "unauthorized")
	act("delete").want(t, "no such action", 404, "not_found")
	w.call(t, "DELETE", path, boss, nil).want(t, "delete", 200, "")
	w.call(t, "DELETE", path, boss, nil).want(t, "again", 404, "not_found")
	act("approve").want(t, "approve nobody", 404, "not_found")

	me := "/api/admin/users/" + string(w.account(t, newDevice(1)).ID)
	w.call(t, "POST", me+"/demote", boss, nil).want(t, "demote the last", 409, "conflict")
	w.call(t, "POST", me+"/block", boss, nil).want(t, "block the last", 409, "conflict")
	w.call(t, "DELETE", me, boss, nil).want(t, "delete the last", 409, "conflict")
}

func TestAdminLogsDevicesOut(t *testing.T) {
	w := newWorld(t)
	boss, _ := w.admin(t, newDevice(1))
	d := newDevice(2)
	phone, _ := w.login(t, d)
	laptop, _ := w.login(t, d)
	other, _ := w.login(t, newDevice(3))
	path := "/api/admin/users/" + string(w.account(t, d).ID) + "/sessions"
	mine := w.call(t, "GET", "/api/auth/sessions", phone, nil)
	var here string
	for i := range 2 {
		if ses := mine.at(fmt.Sprint("sessions.", i)).(map[string]any); ses["current"] == true {
			here, _ = ses["id"].(string)
		}
	}
	if a := w.call(t, "GET", path, boss, nil).want(t, "sessions", 200, ""); len(a.json["sessions"].([]any)) != 2 || strings.Contains(a.text, `"current":true`) {
		t.Error(a.text)
	}
	w.call(t, "DELETE", "/api/admin/users/"+string(w.account(t, newDevice(3)).ID)+"/sessions/"+here, boss, nil).want(t, "as another's", 404, "not_found")
	w.call(t, "DELETE", path+"/"+here, phone, nil).want(t, "by no admin", 404, "not_found")
	w.call(t, "DELETE", path+"/"+here, boss, nil).want(t, "end", 200, "")
	w.call(t, "DELETE", path+"/"+here, boss, nil).want(t, "again", 404, "not_found")
	w.call(t, "GET", "/api/me", phone, nil).want(t, "ended", 401, "unauthorized")
	w.call(t, "GET", "/api/me", laptop, nil).want(t, "another device", 200, "")
	w.call(t, "GET", "/api/me", other, nil).want(t, "another account", 200, "")
	w.call(t, "GET", "/api/admin/users/nobody/sessions", boss, nil).want(t, "of nobody", 404, "not_found")
}

func TestAdminListsUsersInPages(t *testing.T) {
	w := newWorld(t)
	boss, _ := w.admin(t, newDevice(1))
	for n := int64(2); n <= 5; n++ {
		w.verify(t, newDevice(n))
	}
	var seen []string
	path := "/api/admin/users?limit=2"
	for page := 0; ; page++ {
		a := w.call(t, "GET", path, boss, nil).want(t, "page", 200, "")
		for _, u := range a.json["users"].([]any) {
			seen = append(seen, u.(map[string]any)["public_key"].(string))
		}
		next := a.json["next_cursor"]
		if next == nil {
			if page != 2 {
				t.Errorf("%d pages", page+1)
			}
			break
		}
		path = "/api/admin/users?limit=2&cursor=" + next.(string)
	}
	slices.Sort(seen)
	if seen = slices.Compact(seen); len(seen) != 5 {
		t.Errorf("%d users", len(seen))
	}
	a := w.call(t, "GET", "/api/admin/users", boss, nil)
	first := a.at("users.0").(map[string]any)
	for _, field := range []string{"id", "public_key", "email", "name", "status", "is_admin", "created_at", "last_seen_at", "usage"} {
		if _, ok := first[field]; !ok {
			t.Errorf("no %s in %v", field, first)
		}
	}
	if a.at("users.1.last_seen_at") != nil || a.at("users.1.status") != "pending" {
		t.Errorf("%s", a.text)
	}
	w.call(t, "GET", "/api/admin/users?limit=x", boss, nil).want(t, "limit", 400, "invalid")
}

func TestAdminChangesSettings(t *testing.T) {
	w := newWorld(t)
	boss, _ := w.admin(t, newDevice(1))
	a := w.call(t, "GET", "/api/admin/settings", boss, nil).want(t, "before", 200, "")
	if a.str("name") != "test server" || a.str("mode") != "approval" || a.at("limits.heaps") != nil || len(a.json["scan_roots"].([]any)) != 0 {
		t.Errorf("%s", a.text)
	}
	put := func(body any) answer { return w.call(t, "PUT", "/api/admin/settings", boss, body) }
	a = put(object{
		"name": " Ada's heap ", "mode": "open", "scan_roots": []string{"/srv/photos/../music/"},
		"limits": object{"heaps": 3, "storage_bytes": 1 << 40}, "is_admin": true,
	}).want(t, "put", 200, "")
	if a.str("name") != "Ada's heap" || a.str("mode") != "open" || a.at("limits.heaps") != 3.0 || a.at("scan_roots.0") != nil && a.json["scan_roots"].([]any)[0] != "/srv/music" {
		t.Errorf("%s", a.text)
	}
	a = put(object{"limits": object{"heaps": nil, "blocks": 5}}).want(t, "put some", 200, "")
	if a.at("limits.heaps") != nil || a.at("limits.blocks") != 5.0 || a.at("limits.storage_bytes") != float64(1<<40) || a.str("name") != "Ada's heap" {
		t.Errorf("%s", a.text)
	}
	access, _ := w.login(t, newDevice(2))
	if a := w.call(t, "GET", "/api/me", access, nil); a.at("limits.blocks") != 5.0 {
		t.Errorf("me: %s", a.text)
	}
	for _, path := range []string{"/api/", "/api/health"} {
		if a := w.call(t, "GET", path, "", nil); a.str("name") != "Ada's heap" {
			t.Errorf("%s: %s", path, a.text)
		}
	}
	if a := w.verify(t, newDevice(3)); a.str("server_name") != "Ada's heap" || a.json["success"] != true {
		t.Errorf("verify: %s", a.text)
	}
	for name, body := range map[string]any{
		"mode":     object{"mode": "everyone", "name": "changed"},
		"name":     object{"name": " "},
		"control":  object{"name": "a\x00b"},
		"long":     object{"name": strings.Repeat("a", 101)},
		"negative": object{"limits": object{"heaps": -1}, "name": "changed"},
		"text":     object{"limits": object{"heaps": "many"}},
		"relative": object{"scan_roots": []string{"photos"}},
		"NUL":      object{"scan_roots": []string{"/srv\x00/a"}},
	} {
		put(body).want(t, name, 400, "invalid")
	}
	if a := w.call(t, "GET", "/api/admin/settings", boss, nil); a.str("name") != "Ada's heap" {
		t.Errorf("a refused change was made: %s", a.text)
	}
}

func TestAdminSeesStats(t *testing.T) {
	w := newWorld(t)
	boss, _ := w.admin(t, newDevice(1))
	w.verify(t, newDevice(2))
	a := w.call(t, "GET", "/api/admin/stats", boss, nil).want(t, "stats", 200, "")
	if a.at("users.total") != 2.0 || a.at("users.pending") != 1.0 || a.at("users.admins") != 1.0 || a.at("sessions") != 1.0 ||
		a.at("scans.folders") != 0.0 || a.at("scans.polling") != 0.0 || a.at("scans.max_watches") != 16384.0 {
		t.Errorf("%s", a.text)
	}
}

// Who did what to whom, when and from where.
func TestAuditSaysWhoDidWhat(t *testing.T) {
	w := newWorld(t)
	boss, _ := w.admin(t, newDevice(1))
	bossID := string(w.account(t, newDevice(1)).ID)
	d := newDevice(2)
	_, refresh := w.login(t, d)
	id := string(w.account(t, d).ID)
	bad := w.signed(t, d)
	bad["signature"] = d.sign("x")
	w.call(t, "POST", "/api/auth/verify_session", "", bad)
	next := w.call(t, "POST", "/api/auth/refresh_token", refresh, nil)
	w.call(t, "GET", "/api/me", next.str("accessToken"), nil)
	w.call(t, "POST", "/api/auth/refresh_token", refresh, nil, "RemoteAddr", "198.51.100.9:1")
	for _, action := range []string{"promote", "demote", "block", "approve"} {
		w.call(t, "POST", "/api/admin/users/"+id+"/"+action, boss, nil).want(t, action, 200, "")
	}
	w.call(t, "PUT", "/api/admin/settings", boss, object{"mode": "closed"}).want(t, "mode", 200, "")
	w.call(t, "DELETE", "/api/admin/users/"+id, boss, nil).want(t, "delete", 200, "")

	type line struct{ kind, actor, user, ip string }
	got := map[line]bool{}
	path := "/api/admin/audit?limit=3"
	last := 1e18
	for {
		a := w.call(t, "GET", path, boss, nil).want(t, "audit", 200, "")
		for _, ev := range a.json["events"].([]any) {
			ev := ev.(map[string]any)
			if ev["id"].(float64) >= last || ev["at"] != float64(w.now().UnixMilli()) {
				t.Errorf("event %v", ev)
			}
			last = ev["id"].(float64)
			got[line{ev["kind"].(string), ev["actor"].(string), ev["user_id"].(string), ev["ip"].(string)}] = true
		}
		if a.json["next_cursor"] == nil {
			break
		}
		path = "/api/admin/audit?limit=3&cursor=" + a.str("next_cursor")
	}
	for _, want := range []line{
		{"grant", "", bossID, ""},
		{"account", id, id, "192.0.2.1"},
		{"login_pending", id, id, "192.0.2.1"},
		{"approve", "", id, ""},
		{"login", id, id, "192.0.2.1"},
		{"login_failed", "", "", "192.0.2.1"},
		{"refresh_reuse", id, id, "198.51.100.9"},
		{"promote", bossID, id, "192.0.2.1"},
		{"demote", bossID, id, "192.0.2.1"},
		{"block", bossID, id, "192.0.2.1"},
		{"approve", bossID, id, "192.0.2.1"},
		{"setting", bossID, "", "192.0.2.1"},
		{"delete", bossID, id, "192.0.2.1"},
	} {
		if !got[want] {
			t.Errorf("no %+v in the log", want)
		}
	}
	w.call(t, "GET", "/api/admin/audit?cursor=x", boss, nil).want(t, "cursor", 400, "invalid")
}
