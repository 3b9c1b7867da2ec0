package syncserver_test

import (
	"crypto/ed25519"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mr-tron/base58"

	"github.com/heapsync/heapsync/auth"
)

func keysOf(a answer) []string { return slices.Sorted(maps.Keys(a.json)) }

func TestVerifySessionAnswersAsTheContractSays(t *testing.T) {
	w := newWorld(t)
	d := newDevice(1)
	pending := w.verify(t, d).want(t, "pending", 200, "")
	if pending.json["success"] != false || pending.json["approval_required"] != true || pending.str("server_public_key") == "" {
		t.Errorf("pending: %s", pending.text)
	}
	if _, ok := pending.json["accessToken"]; ok {
		t.Errorf("pending: %s", pending.text)
	}
	w.login(t, d)

	body := w.signed(t, d)
	nonce := base58.Encode([]byte("a nonce of the client, 32 bytes."))
	body["server_challenge"] = nonce
	a := w.call(t, "POST", "/api/auth/verify_session", "", body).want(t, "verify", 200, "")
	want := []string{
		"accessToken", "expires_at", "refreshToken", "server_name", "server_public_key",
		"server_signature", "server_url", "server_version", "success",
	}
	if got := keysOf(a); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if a.json["expires_at"] != float64(w.now().Add(15*time.Minute).UnixMilli()) {
		t.Errorf("expires_at %v", a.json["expires_at"])
	}
	server, err := base58.Decode(a.str("server_public_key"))
	if err != nil {
		t.Fatal(err)
	}
	proof, err := base58.Decode(a.str("server_signature"))
	if err != nil || !ed25519.Verify(server, []byte("heapsync server proof\n"+publicURL+"\n"+nonce), proof) {
		t.Errorf("server_signature does not verify: %v", err)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", a.header)
	}
}

func TestVerifyKeyAnswersAsTheContractSays(t *testing.T) {
	w := newWorld(t)
	d := newDevice(1)
	verify := func() answer {
		body := w.signed(t, d)
		body["signed_message"] = body["signature"]
		delete(body, "signature")
		return w.call(t, "POST", "/api/auth/verify_key", "", body).want(t, "verify_key", 200, "")
	}
	if a := verify(); a.json["verified"] != true || a.json["approval_required"] != true || a.json["access_token"] != nil {
		t.Errorf("pending: %s", a.text)
	}
	w.login(t, d)
	a := verify()
	want := []string{"access_token", "expires_at", "refresh_token", "server_public_key", "verified"}
	if got := keysOf(a); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	w.call(t, "GET", "/api/me", a.str("access_token"), nil).want(t, "me", 200, "")
}

// A challenge that one of the two routes has taken is spent for the other.
func TestChallengeLogsInByOneRouteOnly(t *testing.T) {
	w := newWorld(t)
	d := newDevice(1)
	w.login(t, d)
	body := w.signed(t, d)
	body["signed_message"] = body["signature"]
	w.call(t, "POST", "/api/auth/verify_key", "", body).want(t, "first", 200, "")
	w.call(t, "POST", "/api/auth/verify_session", "", body).want(t, "second", 401, "challenge_expired")
	w.call(t, "POST", "/api/auth/verify_key", "", body).want(t, "third", 401, "challenge_expired")
}

func TestBadLoginsAreProblems(t *testing.T) {
	w := newWorld(t)
	d := newDevice(1)
	w.login(t, d)
	with := func(field string, value any) object {
		body := w.signed(t, d)
		body[field] = value
		return body
	}
	for _, test := range []struct {
		name   string
		body   any
		status int
		code   string
	}{
		{"bad key", with("public_key", strings.Repeat("1", 32)), 400, "invalid_key"},
		{"no key", object{}, 400, "invalid_key"},
		{"no body", nil, 400, "invalid_key"},
		{"signature of another", with("signature", newDevice(2).sign("x")), 401, "invalid_signature"},
		{"no signature", with("signature", ""), 401, "invalid_signature"},
		{"other text", with("message", "heapsync login"), 401, "challenge_expired"},
		{"JWT to sign", with("server_challenge", "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0"), 400, "invalid"},
		{"short to sign", with("server_challenge", "abc"), 400, "invalid"},
		{"email", with("email", "nobody"), 400, "invalid"},
		{"number for a key", object{"public_key": 1}, 400, "invalid"},
		{"null for a key", object{"public_key": nil}, 400, "invalid_key"},
		{"not JSON", "{", 400, "invalid"},
		{"1 MB", object{"message": strings.Repeat("a", 1<<20)}, 413, "too_large"},
	} {
		w.call(t, "POST", "/api/auth/verify_session", "", test.body).want(t, test.name, test.status, test.code)
	}
	w.call(t, "POST", "/api/auth/create_session", "", object{"public_key": "0OIl"}).want(t, "create", 400, "invalid_key")
	w.call(t, "POST", "/api/auth/create_session", "", object{"public_key": d.publicKey, "email": "x"}).want(t, "create", 400, "invalid")
}

func TestBlockedAccountIsToldSo(t *testing.T) {
	w := newWorld(t)
	d := newDevice(1)
	access, refresh := w.login(t, d)
	if _, err := w.auth.Block(t.Context(), auth.Actor{}, w.account(t, d).ID); err != nil {
		t.Fatal(err)
	}
	w.verify(t, d).want(t, "login", 403, "forbidden")
	w.call(t, "GET", "/api/me", access, nil).want(t, "access", 401, "unauthorized")
	w.call(t, "POST", "/api/auth/refresh_token", refresh, nil).want(t, "refresh", 401, "unauthorized")
}

func TestRefreshTokenByHeaderOrBody(t *testing.T) {
	w := newWorld(t)
	access, refresh := w.login(t, newDevice(1))
	a := w.call(t, "POST", "/api/auth/refresh_token", refresh, nil).want(t, "header", 200, "")
	if want := []string{"accessToken", "expires_at", "refreshToken", "success"}; !slices.Equal(keysOf(a), want) {
		t.Errorf("%s", a.text)
	}
	again := w.call(t, "POST", "/api/auth/refresh_token", "", object{"refresh_token": refresh}).want(t, "lost reply", 200, "")
	if again.text != a.text {
		t.Errorf("another pair: %s, %s", again.text, a.text)
	}
	next := w.call(t, "POST", "/api/auth/refresh_token", access, object{"refresh_token": a.str("refreshToken")}).want(t, "both", 200, "")
	w.call(t, "GET", "/api/me", next.str("accessToken"), nil).want(t, "me", 200, "")
	w.call(t, "POST", "/api/auth/refresh_token", access, nil).want(t, "access token", 401, "unauthorized")
	w.call(t, "POST", "/api/auth/refresh_token", "", nil).want(t, "nothing", 401, "unauthorized")
	w.call(t, "POST", "/api/auth/refresh_token", refresh, nil).want(t, "replayed", 401, "unauthorized")
	w.call(t, "GET", "/api/me", next.str("accessToken"), nil).want(t, "me, after the replay", 401, "unauthorized")
}

func TestSessionsAreListedAndRevoked(t *testing.T) {
	w := newWorld(t)
	d := newDevice(1)
	first, _ := w.login(t, d)
	w.pass(time.Minute)
	second, _ := w.login(t, d)
	stranger, _ := w.login(t, newDevice(2))
	a := w.call(t, "GET", "/api/auth/sessions", first, nil).want(t, "list", 200, "")
	if a.at("sessions.0.current") != false || a.at("sessions.1.current") != true || a.at("sessions.0.device_name") != "laptop" ||
		a.at("sessions.0.created_at") != float64(w.now().UnixMilli()) || a.at("sessions.0.ip") != "192.0.2.1" || a.at("sessions.2") != nil {
		t.Errorf("%s", a.text)
	}
	id := a.at("sessions.0.id").(string)
	w.call(t, "DELETE", "/api/auth/sessions/"+id, stranger, nil).want(t, "by a stranger", 404, "not_found")
	w.call(t, "DELETE", "/api/auth/sessions/"+id, first, nil).want(t, "revoke", 200, "")
	w.call(t, "DELETE", "/api/auth/sessions/"+id, first, nil).want(t, "again", 404, "not_found")
	w.call(t, "GET", "/api/me", second, nil).want(t, "revoked", 401, "unauthorized")
	w.call(t, "POST", "/api/auth/logout", first, nil).want(t, "logout", 200, "")
	w.call(t, "GET", "/api/me", first, nil).want(t, "logged out", 401, "unauthorized")
	w.call(t, "GET", "/api/me", stranger, nil).want(t, "stranger", 200, "")
}

func TestMeAnswersAsTheContractSays(t *testing.T) {
	w := newWorld(t)
	d := newDevice(1)
	access, _ := w.login(t, d)
	heap := w.call(t, "POST", "/api/heap/add", access, object{"name": "notes"}).want(t, "add heap", 201, "").str("id")
	w.call(t, "POST", "/api/upload/file/"+heap+"/f", access, formOf("content"), "Content-Type", "multipart/form-data; boundary=x").want(t, "file", 200, "")
	w.settle(t)
	for _, method := range []string{"GET", "POST"} {
		a := w.call(t, method, "/api/me", access, nil).want(t, method, 200, "")
		want := []string{
			"created_at", "email", "entitlements", "id", "is_admin", "limits", "name",
			"public_key", "status", "subscriptions", "usage",
		}
		if got := keysOf(a); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		if a.str("public_key") != d.publicKey || a.json["is_admin"] != false || a.str("status") != "active" || a.at("usage.heaps") != float64(1) {
			t.Errorf("%s", a.text)
		}
		updates, _ := a.at("usage.updates_bytes").(float64)
		if bytes, _ := a.at("usage.storage_bytes").(float64); a.at("usage.files") != 1.0 || updates == 0 || bytes != updates+float64(len("content")) {
			t.Errorf("usage %v", a.at("usage"))
		}
		limits, _ := a.json["limits"].(map[string]any)
		if len(limits) != 5 {
			t.Errorf("limits %v", limits)
		}
		for name, v := range limits {
			if v != nil {
				t.Errorf("limit %s is %v, want null", name, v)
			}
		}
	}
}

// Fields that a client has no business with change nothing.
func TestNobodyPromotesThemselves(t *testing.T) {
	w := newWorld(t)
	d := newDevice(1)
	greedy := object{
		"is_admin": true, "admin": true, "approved": true, "status": "active", "mode": "open",
		"Admin": true, "Status": "active", "account": object{"is_admin": true},
	}
	body := w.signed(t, d)
	maps.Copy(body, greedy)
	body["signed_message"] = body["signature"]
	a := w.call(t, "POST", "/api/auth/verify_session", "", body).want(t, "verify", 200, "")
	if a.json["approval_required"] != true {
		t.Errorf("%s", a.text)
	}
	access, _ := w.login(t, d)
	me := w.call(t, "POST", "/api/me", access, greedy).want(t, "me", 200, "")
	if me.json["is_admin"] != false {
		t.Errorf("%s", me.text)
	}
}

func TestClaimMakesTheFirstAdminByHTTP(t *testing.T) {
	w := newWorld(t)
	code, err := w.auth.Bootstrap(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	claim := func(route string, n int64, code string) answer {
		body := w.signed(t, newDevice(n))
		body["claim"], body["signed_message"] = code, body["signature"]
		return w.call(t, "POST", route, "", body, "X-Claim", code, "X-Forwarded-For", "127.0.0.1").want(t, "claim", 200, "")
	}
	if a := claim("/api/auth/verify_session", 1, "wrong"); a.json["approval_required"] != true {
		t.Errorf("wrong: %s", a.text)
	}
	a := claim("/api/auth/verify_key", 1, code)
	if me := w.call(t, "GET", "/api/me", a.str("access_token"), nil); me.json["is_admin"] != true {
		t.Errorf("right: %s, %s", a.text, me.text)
	}
	if a := claim("/api/auth/verify_session", 2, code); a.json["approval_required"] != true {
		t.Errorf("used: %s", a.text)
	}
}

func TestProfile(t *testing.T) {
	w := newWorld(t)
	access, _ := w.login(t, newDevice(1))
	w.call(t, "PATCH", "/api/me", access, object{"name": "Ada", "email": "ada@example.org"}).want(t, "profile", 200, "")
	for name, body := range map[string]object{
		"name": {"name": "A\u202eda"}, "email": {"name": "Eve", "email": "nobody"},
	} {
		if a := w.call(t, "PATCH", "/api/me", access, body).want(t, name, 400, "invalid"); a.at("errors.0.field") != name {
			t.Errorf("%s: %s", name, a.text)
		}
	}
	w.call(t, "PATCH", "/api/me", access, object{"is_admin": true}).want(t, "what nobody gives themselves", 200, "")
	if a := w.call(t, "GET", "/api/me", access, nil); a.str("name") != "Ada" || a.str("email") != "ada@example.org" || a.json["is_admin"] != false {
		t.Error(a.text)
	}
}
