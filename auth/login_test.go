package auth_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mr-tron/base58"

	"github.com/heapsync/heapsync/auth"
)

func TestChallengeSaysWhatIsSigned(t *testing.T) {
	w := newWorld(t)
	d := newDevice(1)
	lines := strings.Split(w.challenge(t, d), "\n")
	wantLines := []string{
		"heapsync login",
		"server: " + w.PublicKey(),
		"url: " + publicURL,
		"key: " + d.publicKey,
		"nonce: ",
		"issued: 2026-05-04T10:00:00Z",
		"expires: 2026-05-04T10:02:00Z",
	}
	if len(lines) != len(wantLines) {
		t.Fatalf("challenge %q", lines)
	}
	for i, line := range lines {
		if nonce, ok := strings.CutPrefix(line, "nonce: "); ok {
			if len(base58Bytes(t, nonce)) != 32 {
				t.Errorf("nonce %q", nonce)
			}
			continue
		}
		if line != wantLines[i] {
			t.Errorf("line %d is %q, want %q", i, line, wantLines[i])
		}
	}
}

func TestFirstLoginWaitsForApproval(t *testing.T) {
	w := newWorld(t)
	d := newDevice(1)
	out := w.login(t, d)
	if !out.Pending || out.Tokens != (auth.Tokens{}) || out.Account.Status != auth.StatusPending {
		t.Fatalf("first login: %+v", out)
	}
	again := w.login(t, d)
	if again.Account.ID != out.Account.ID || !again.Pending {
		t.Errorf("second login: %+v", again)
	}
	w.must(t)(w.Approve(t.Context(), auth.Actor{}, out.Account.ID))
	out = w.login(t, d)
	if out.Pending || out.Tokens.Access == "" {
		t.Fatalf("after approval: %+v", out)
	}
	id, err := w.Authenticate(t.Context(), out.Tokens.Access)
	if err != nil || id.Account.ID != out.Account.ID || id.Session != out.Tokens.Session {
		t.Errorf("%+v, %v", id, err)
	}
	if got, wantAt := out.Tokens.AccessExpires, w.now().Add(15*time.Minute); !got.Equal(wantAt) {
		t.Errorf("access token expires %v, want %v", got, wantAt)
	}
	if n := w.events(t, auth.EventLogin); n != 1 {
		t.Errorf("%d login events", n)
	}
	if n := w.events(t, auth.EventLoginPending); n != 2 {
		t.Errorf("%d pending login events", n)
	}
}

// Everything that is wrong with a challenge looks the same to whoever sent it.
func TestOnlyAnOpenChallengeLogsIn(t *testing.T) {
	w := newWorld(t)
	d, _ := w.active(t, 1)
	elsewhere := newWorld(t)
	elsewhere.keys.Identity = newDevice(77).private
	elsewhere.Service = elsewhere.another(t)
	for name, request := range map[string]func() auth.LoginRequest{
		"used": func() auth.LoginRequest {
			req := w.request(t, d)
			if _, err := w.Login(t.Context(), req); err != nil {
				t.Error(err)
			}
			return req
		},
		"expired": func() auth.LoginRequest {
			req := w.request(t, d)
			w.pass(2 * time.Minute)
			return req
		},
		"of another key": func() auth.LoginRequest {
			other := newDevice(2)
			req := w.request(t, other)
			req.PublicKey, req.Signature = d.publicKey, d.sign(req.Message)
			return req
		},
		"of another server": func() auth.LoginRequest { return elsewhere.request(t, d) },
		"made up": func() auth.LoginRequest {
			req := w.request(t, d)
			at := strings.Index(req.Message, "nonce: ") + len("nonce: ")
			req.Message = req.Message[:at] + base58.Encode(make([]byte, 32)) + req.Message[at+44:]
			req.Signature = d.sign(req.Message)
			return req
		},
		"with another purpose": func() auth.LoginRequest {
			req := w.request(t, d)
			req.Message = strings.Replace(req.Message, "login", "admin", 1)
			req.Signature = d.sign(req.Message)
			return req
		},
		"with another URL": func() auth.LoginRequest {
			req := w.request(t, d)
			req.Message = strings.Replace(req.Message, "example.org", "example.com", 1)
			req.Signature = d.sign(req.Message)
			return req
		},
		"cut short": func() auth.LoginRequest {
			req := w.request(t, d)
			req.Message = req.Message[:len(req.Message)-1]
			req.Signature = d.sign(req.Message)
			return req
		},
		"with a line end": func() auth.LoginRequest {
			req := w.request(t, d)
			req.Message += "\n"
			req.Signature = d.sign(req.Message)
			return req
		},
		"empty": func() auth.LoginRequest {
			return auth.LoginRequest{PublicKey: d.publicKey, Signature: d.sign(""), From: home}
		},
		"1 MB": func() auth.LoginRequest {
			text := strings.Repeat("a", 1<<20)
			return auth.LoginRequest{PublicKey: d.publicKey, Message: text, Signature: d.sign(text), From: home}
		},
	} {
		before := w.events(t, auth.EventLoginFailed)
		_, err := w.Login(t.Context(), request())
		if !errors.Is(err, auth.ErrChallengeExpired) || err.Error() != auth.ErrChallengeExpired.Error() {
			t.Errorf("%s: %v", name, err)
		}
		if w.events(t, auth.EventLoginFailed) != before+1 {
			t.Errorf("%s: no event", name)
		}
	}
}

func TestChallengeLogsInOnceOfManyAtATime(t *testing.T) {
	w := newWorld(t)
	d, _ := w.active(t, 1)
	req := w.request(t, d)
	var wg sync.WaitGroup
	var good, late atomic.Int32
	for range 100 {
		wg.Go(func() {
			switch _, err := w.Login(t.Context(), req); {
			case err == nil:
				good.Add(1)
			case errors.Is(err, auth.ErrChallengeExpired):
				late.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if good.Load() != 1 || late.Load() != 99 {
		t.Errorf("%d logins, %d refused", good.Load(), late.Load())
	}
}

func TestBadSignatureSpendsTheChallenge(t *testing.T) {
	w := newWorld(t)
	d, _ := w.active(t, 1)
	for name, sig := range map[string]string{
		"of another key": newDevice(2).sign("x"),
		"malformed":      "nonsense",
		"empty":          "",
		"zero":           base58.Encode(make([]byte, 64)),
	} {
		req := w.request(t, d)
		good := req.Signature
		req.Signature = sig
		_, err := w.Login(t.Context(), req)
		want(t, name, err, auth.ErrInvalidSignature)
		req.Signature = good
		_, err = w.Login(t.Context(), req)
		want(t, name+", then the good one", err, auth.ErrChallengeExpired)
	}
}

func TestRequestThatCannotWorkSpendsNothing(t *testing.T) {
	w := newWorld(t)
	d, _ := w.active(t, 1)
	req := w.request(t, d)
	bad := req
	bad.ServerChallenge = "short"
	_, err := w.Login(t.Context(), bad)
	want(t, "server challenge", err, auth.ErrServerChallenge)
	bad = req
	bad.Email = "nobody"
	_, err = w.Login(t.Context(), bad)
	want(t, "email", err, auth.ErrEmail)
	bad = req
	bad.PublicKey = strings.Repeat("1", 32)
	_, err = w.Login(t.Context(), bad)
	want(t, "key", err, auth.ErrInvalidKey)
	_, err = w.Login(t.Context(), req)
	want(t, "after that", err, nil)
}

func TestFewChallengesAreOpenAtATime(t *testing.T) {
	w := newWorld(t)
	d, _ := w.active(t, 1)
	first := w.request(t, d)
	for range 4 {
		w.challenge(t, d)
	}
	if _, err := w.Login(t.Context(), first); err != nil {
		t.Errorf("with four others open: %v", err)
	}
	first = w.request(t, d)
	for range 5 {
		w.challenge(t, d)
	}
	_, err := w.Login(t.Context(), first)
	want(t, "with five newer ones", err, auth.ErrChallengeExpired)

	first = w.request(t, d)
	for n := range int64(20) { // others, from the same address
		w.challenge(t, newDevice(100+n))
	}
	_, err = w.Login(t.Context(), first)
	want(t, "with twenty newer ones from the address", err, auth.ErrChallengeExpired)
}

func TestAddressGroup(t *testing.T) {
	for ip, wantGroup := range map[string]string{
		"192.0.2.1":              "192.0.2.1/32",
		"::ffff:192.0.2.1":       "192.0.2.1/32",
		"2001:db8:1:2:3:4:5:6":   "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::":    "2001:db8:1:2::/64",
		"2001:db8:1:3::":         "2001:db8:1:3::/64",
		"fe80::1%eth0":           "fe80::/64",
		"::1":                    "::/64",
		"2001:db8:1:2:3:4:5:6%x": "2001:db8:1:2::/64",
	} {
		if got := auth.AddressGroup(netip.MustParseAddr(ip)); got.String() != wantGroup {
			t.Errorf("%s is of %s, want %s", ip, got, wantGroup)
		}
	}
	if auth.AddressGroup(netip.Addr{}).IsValid() {
		t.Error("no address has a group")
	}
}

func TestRegistrationModes(t *testing.T) {
	for mode, status := range map[auth.Mode]auth.Status{
		auth.ModeOpen: auth.StatusActive, auth.ModeApproval: auth.StatusPending, auth.ModeClosed: "",
	} {
		w := newWorld(t)
		if err := w.SetMode(t.Context(), auth.Actor{}, mode); err != nil {
			t.Fatal(err)
		}
		out, err := w.Login(t.Context(), w.request(t, newDevice(1)))
		if mode == auth.ModeClosed {
			want(t, "closed", err, auth.ErrClosed)
			if all, _ := w.Accounts(t.Context(), "", 10); len(all) != 0 {
				t.Errorf("closed: %v", all)
			}
			continue
		}
		if err != nil || out.Account.Status != status || out.Pending != (status == auth.StatusPending) {
			t.Errorf("%s: %+v, %v", mode, out, err)
		}
	}
	w := newWorld(t)
	want(t, "no mode", w.SetMode(t.Context(), auth.Actor{}, "everyone"), auth.ErrMode)
	if m, err := w.Mode(t.Context()); m != auth.ModeApproval || err != nil {
		t.Errorf("default mode %s, %v", m, err)
	}
}

func TestClosedServerLetsKnownAccountsIn(t *testing.T) {
	w := newWorld(t)
	d, _ := w.active(t, 1)
	if err := w.SetMode(t.Context(), auth.Actor{}, auth.ModeClosed); err != nil {
		t.Fatal(err)
	}
	w.login(t, d)
}

func TestPendingAccountsAreBounded(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.MaxPending = 3 })
	for n := range int64(3) {
		w.login(t, newDevice(n))
	}
	_, err := w.Login(t.Context(), w.request(t, newDevice(9)))
	want(t, "the fourth", err, auth.ErrTooManyPending)
	w.login(t, newDevice(1))
}

func TestEmailHintIsKept(t *testing.T) {
	w := newWorld(t)
	d := newDevice(1)
	text, err := w.CreateChallenge(t.Context(), d.publicKey, "ada@example.org", home)
	if err != nil {
		t.Fatal(err)
	}
	out, err := w.Login(t.Context(), auth.LoginRequest{PublicKey: d.publicKey, Message: text, Signature: d.sign(text), From: home})
	if err != nil || out.Account.Email != "ada@example.org" {
		t.Errorf("%+v, %v", out.Account, err)
	}
	for _, bad := range []string{"ada", "@", "a@", "@b", "a b@c", "a@b\n", "a@b\x00", strings.Repeat("a", 250) + "@b.org", "a@\xff"} {
		_, err := w.CreateChallenge(t.Context(), d.publicKey, bad, home)
		want(t, fmt.Sprintf("%q", bad), err, auth.ErrEmail)
	}
}

func TestServerProvesItselfOnlyAfterALogin(t *testing.T) {
	w := newWorld(t)
	d, _ := w.active(t, 1)
	nonce := base58.Encode([]byte("a nonce of the client, 32 bytes."))
	req := w.request(t, d)
	req.ServerChallenge = nonce
	out, err := w.Login(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	server := ed25519.PublicKey(base58Bytes(t, w.PublicKey()))
	proof := base58Bytes(t, out.ServerSignature)
	if !ed25519.Verify(server, []byte("heapsync server proof\n"+publicURL+"\n"+nonce), proof) {
		t.Error("the proof does not verify")
	}
	if ed25519.Verify(server, []byte(nonce), proof) {
		t.Error("the server signed the bare nonce")
	}
	pending := newDevice(2)
	req = w.request(t, pending)
	req.ServerChallenge = nonce
	if out, err = w.Login(t.Context(), req); err != nil || !out.Pending || out.ServerSignature != "" {
		t.Errorf("pending: %+v, %v", out, err)
	}
	// What the client signed is not a proof by the server, nor the other way round.
	req = w.request(t, d)
	req.Signature = base58.Encode(proof)
	_, err = w.Login(t.Context(), req)
	want(t, "proof as login", err, auth.ErrInvalidSignature)
}

func TestServerSignsNothingThatMeansSomethingElse(t *testing.T) {
	w := newWorld(t)
	for name, bad := range map[string]string{
		"empty":         "",
		"15 characters": strings.Repeat("a", 15),
		"129":           strings.Repeat("a", 129),
		"64 KB":         strings.Repeat("a", 64<<10),
		"JWT input":     "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhZG1pbiJ9",
		"line end":      strings.Repeat("a", 20) + "\n",
		"challenge":     w.challenge(t, newDevice(1)),
		"binary":        strings.Repeat("\x01", 32),
		"standard":      strings.Repeat("a", 20) + "+/",
		"padding":       strings.Repeat("a", 20) + "===",
		"padding first": "=" + strings.Repeat("a", 20),
		"beyond ASCII":  strings.Repeat("é", 20),
	} {
		_, err := w.SignServerProof(bad)
		want(t, name, err, auth.ErrServerChallenge)
	}
	for _, good := range []string{
		strings.Repeat("a", 16), strings.Repeat("a", 128),
		base64.RawURLEncoding.EncodeToString([]byte("\xff\xfe\xfd 32 bytes of base64url ....")),
		base64.URLEncoding.EncodeToString([]byte("\xff\xfe\xfd padded base64url ........")),
	} {
		if _, err := w.SignServerProof(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func TestStoreThatFailsLetsNobodyIn(t *testing.T) {
	w := newWorld(t)
	d, out := w.active(t, 1)
	req := w.request(t, d)
	broken := errors.New("disk on fire")
	w.store.setFail(broken)
	w.Forget()
	_, err := w.Login(t.Context(), req)
	want(t, "login", err, broken)
	_, err = w.Authenticate(t.Context(), out.Tokens.Access)
	want(t, "authenticate", err, broken)
	_, err = w.Refresh(t.Context(), out.Tokens.Refresh, home)
	want(t, "refresh", err, broken)
	w.store.setFail(nil)
	if _, err = w.Refresh(t.Context(), out.Tokens.Refresh, home); err != nil {
		t.Errorf("when the store is back: %v", err)
	}
}
