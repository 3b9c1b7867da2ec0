package syncserver_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heapsync/heapsync/auth"
)

// actors are all kinds of callers: each route is called by each of them.
type actors struct {
	good    map[string]string // a token that is good
	refused map[string]string // one that is not; "" is none
}

func (w *world) actors(t *testing.T, n int64) actors {
	t.Helper()
	a := actors{good: map[string]string{}, refused: map[string]string{"anonymous": ""}}
	a.refused["expired"], _ = w.login(t, newDevice(n+10))
	w.pass(15 * time.Minute)
	a.good["admin"], _ = w.admin(t, newDevice(n+1))
	a.good["member"], a.refused["refresh token"] = w.login(t, newDevice(n+2))
	a.good["other user"], _ = w.login(t, newDevice(n+3))

	blocked := newDevice(n + 4)
	a.refused["blocked"], _ = w.login(t, blocked)
	if _, err := w.auth.Block(t.Context(), auth.Actor{}, w.account(t, blocked).ID); err != nil {
		t.Fatal(err)
	}
	gone := newDevice(n + 5)
	a.refused["deleted"], _ = w.login(t, gone)
	if err := w.auth.Delete(t.Context(), auth.Actor{}, w.account(t, gone).ID); err != nil {
		t.Fatal(err)
	}
	a.refused["logged out"], _ = w.login(t, newDevice(n+6))
	w.call(t, "POST", "/api/auth/logout", a.refused["logged out"], nil).want(t, "logout", 200, "")
	token := a.good["admin"]
	a.refused["bent"] = token[:40] + swap(token[40]) + token[41:]
	a.refused["JWT without signature"] = "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"admin","is_admin":true}`)) + "."
	a.refused["server's public key"] = w.auth.PublicKey()
	return a
}

func swap(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

// pathOf fills a pattern's wildcards with what nobody has.
func pathOf(pattern string) (method, path string) {
	method, path, found := strings.Cut(pattern, " ")
	if !found { // any method
		method, path = "GET", pattern
	}
	path = strings.ReplaceAll(path, "{$}", "")
	for {
		from, rest, found := strings.Cut(path, "{")
		if !found {
			return method, path
		}
		_, after, _ := strings.Cut(rest, "}")
		path = from + "nobodys" + after
	}
}

// publicRoutes is every route that asks for no token, so that adding one is a
// decision.
var publicRoutes = []string{
	"GET /api/{$}", "GET /api", "OPTIONS /api/files/{$}", "OPTIONS /api/files/{id}", "GET /api/health", "GET /sync/health",
	"GET /metrics", "GET /api/openapi.json", "GET /api/docs", "GET /api/docs/{file}",
	"POST /api/auth/create_session", "POST /api/auth/verify_session", "POST /api/auth/verify_key",
	"POST /api/auth/refresh_token", "GET /ws", "GET /ws/{heap}/{block}", "GET /api/ws", "/",
}

func TestEveryRouteKnowsWhoMayCallIt(t *testing.T) {
	w := newWorld(t)
	routes := w.Routes()
	if len(routes) < 20 {
		t.Fatalf("only %d routes", len(routes))
	}
	for i, rt := range routes {
		t.Run(strings.ReplaceAll(rt.Pattern, "/", "_"), func(t *testing.T) {
			method, path := pathOf(rt.Pattern)
			switch rt.Access {
			case "public", "optional", "socket":
				if !slices.Contains(publicRoutes, rt.Pattern) {
					t.Fatalf("needs no token, but is not in publicRoutes")
				}
				return
			}
			who := w.actors(t, int64(100*i)) // anew, for some routes end a session
			if slices.Contains(publicRoutes, rt.Pattern) {
				t.Fatal("is in publicRoutes, but needs a token")
			}
			for name, token := range who.refused {
				w.call(t, method, path, token, object{}).want(t, name, 401, "unauthorized")
				w.call(t, method, path+"?token="+token, "", object{}).want(t, name+", in the query", 401, "unauthorized")
			}
			for name, token := range who.good {
				a := w.call(t, method, path, token, object{})
				if rt.Access == "admin" && name != "admin" {
					a.want(t, name, 404, "not_found")
				} else if a.status == 401 || a.status == 403 || a.status >= 500 {
					t.Errorf("%s: %d %s", name, a.status, a.text)
				}
			}
		})
	}
}

// A token in the query is for sockets and media only: addresses get into logs.
func TestTokensInTheQueryOpenNothing(t *testing.T) {
	w := newWorld(t)
	token, _ := w.admin(t, newDevice(1))
	for _, rt := range w.Routes() {
		if rt.Access != "member" && rt.Access != "admin" {
			continue
		}
		method, path := pathOf(rt.Pattern)
		w.call(t, method, path+"?token="+token, "", object{}).want(t, rt.Pattern, 401, "unauthorized")
	}
}

// Whatever a client sends as a secret, right or wrong, stays out of the log and
// out of what others are told.
func TestSecretsStayOutOfTheLog(t *testing.T) {
	w := newWorld(t)
	d := newDevice(1)
	code, err := w.auth.Bootstrap(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	body := w.signed(t, d)
	body["claim"] = code
	a := w.call(t, "POST", "/api/auth/verify_session", "", body).want(t, "claim", 200, "")
	access, refresh := a.str("accessToken"), a.str("refreshToken")
	secrets := []string{code, access, refresh, body["message"].(string), body["signature"].(string)}
	for i := range 3 {
		canary := fmt.Sprintf("CANARY-%d-hsa_AAAAAAAAAAAAAAAAAAAAAA", i)
		secrets = append(secrets, canary)
		for _, rt := range w.Routes() {
			method, path := pathOf(rt.Pattern)
			answers := []answer{
				w.call(t, method, path, canary, object{"refresh_token": canary, "claim": canary, "message": canary, "public_key": d.publicKey}),
				w.call(t, method, path+"?token="+canary, "", nil),
			}
			for _, a := range answers {
				if strings.Contains(a.text, canary) {
					t.Errorf("%s answers with the secret: %s", rt.Pattern, a.text)
				}
			}
		}
	}
	next := w.call(t, "POST", "/api/auth/refresh_token", refresh, nil).want(t, "refresh", 200, "")
	secrets = append(secrets, next.str("accessToken"), next.str("refreshToken"))
	audit := w.call(t, "GET", "/api/admin/audit?limit=1000", next.str("accessToken"), nil).want(t, "audit", 200, "")
	w.call(t, "POST", "/api/auth/refresh_token", refresh, nil).want(t, "replayed", 401, "unauthorized")
	log := w.log.String()
	if !strings.Contains(log, "verify_session") {
		t.Fatalf("nothing was logged: %q", log)
	}
	for _, secret := range secrets {
		if strings.Contains(log, secret) || strings.Contains(log, strings.ReplaceAll(secret, "\n", `\n`)) {
			t.Errorf("%.20q… is in the log", secret)
		}
		if strings.Contains(audit.text, secret) {
			t.Errorf("%.20q… is in the audit log", secret)
		}
	}
}
