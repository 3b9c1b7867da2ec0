package auth_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heapsync/heapsync/auth"
)

func (w *world) good(t testing.TB, what, access string) {
	t.Helper()
	if _, err := w.Authenticate(t.Context(), access); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

func (w *world) refused(t testing.TB, what, access string) {
	t.Helper()
	_, err := w.Authenticate(t.Context(), access)
	want(t, what, err, auth.ErrUnauthorized)
}

func (w *world) refresh(t testing.TB, token string) auth.Tokens {
	t.Helper()
	out, err := w.Refresh(t.Context(), token, home)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAccessTokenLivesFifteenMinutes(t *testing.T) {
	w := newWorld(t)
	_, out := w.active(t, 1)
	w.pass(15*time.Minute - time.Millisecond)
	w.good(t, "just in time", out.Tokens.Access)
	w.pass(time.Millisecond)
	w.refused(t, "late", out.Tokens.Access)
	w.Forget()
	w.refused(t, "late, and not cached", out.Tokens.Access)
	want(t, "the session", w.Check(t.Context(), out.Tokens.Session), nil)
}

func TestSessionLivesSixtyDaysFromItsLastRefresh(t *testing.T) {
	w := newWorld(t)
	_, out := w.active(t, 1)
	w.pass(59 * 24 * time.Hour)
	next := w.refresh(t, out.Tokens.Refresh)
	w.pass(60*24*time.Hour - time.Millisecond)
	want(t, "just in time", w.Check(t.Context(), next.Session), nil)
	w.pass(time.Millisecond)
	want(t, "late", w.Check(t.Context(), next.Session), auth.ErrUnauthorized)
	_, err := w.Refresh(t.Context(), next.Refresh, home)
	want(t, "refresh, late", err, auth.ErrUnauthorized)
	if got, err := w.Sessions(t.Context(), out.Account.ID); err != nil || len(got) != 0 {
		t.Errorf("sessions %v, %v", got, err)
	}
}

// Strings that look like tokens, tokens of another kind, and bent ones.
func TestOnlyAccessTokensAuthenticate(t *testing.T) {
	w := newWorld(t)
	_, out := w.active(t, 1)
	_, other := w.active(t, 2)
	access, refresh := out.Tokens.Access, out.Tokens.Refresh
	bad := map[string]string{
		"empty":                "",
		"refresh token":        refresh,
		"refresh as access":    "hsa_" + refresh[4:],
		"access as refresh":    "hsr_" + access[4:],
		"unknown kind":         "hsx_" + access[4:],
		"with a space":         access + " ",
		"upper case":           strings.ToUpper(access),
		"cut short":            access[:len(access)-1],
		"longer":               access + "A",
		"JWT, alg none":        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
		"JWT, HS256":           "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2lnbmF0dXJl",
		"server key":           w.PublicKey(),
		"account id":           string(out.Account.ID),
		"session id":           string(out.Tokens.Session),
		"zero":                 "hsa_" + strings.Repeat("A", len(access)-4),
		"1 MB":                 "hsa_" + strings.Repeat("A", 1<<20),
		"other session's head": other.Tokens.Access[:24] + access[24:],
	}
	// Every character matters, also the last, which holds bits that mean nothing.
	for i := 4; i < len(access); i++ {
		for _, c := range []byte("AQgw_") {
			if access[i] != c {
				bad["bent at "+string(rune(i))+string(c)] = access[:i] + string(c) + access[i+1:]
			}
		}
	}
	for _, cached := range []bool{true, false} {
		for name, token := range bad {
			if !cached {
				w.Forget()
			}
			w.refused(t, name, token)
			if name != "refresh token" {
				_, err := w.Refresh(t.Context(), token, home)
				want(t, "refresh with "+name, err, auth.ErrUnauthorized)
			}
		}
	}
	w.good(t, "the real one", access)
	if w.events(t, auth.EventRefreshReuse) != 0 {
		t.Error("a stray string revoked a session")
	}
}

func TestTokensOfAnotherSecretAreRefused(t *testing.T) {
	w := newWorld(t)
	_, out := w.active(t, 1)
	w.keys.Token = auth.Secret{9}
	w.Service = w.another(t)
	w.refused(t, "access", out.Tokens.Access)
	_, err := w.Refresh(t.Context(), out.Tokens.Refresh, home)
	want(t, "refresh", err, auth.ErrUnauthorized)
}

func TestNoTokenIsStored(t *testing.T) {
	w := newWorld(t)
	_, out := w.active(t, 1)
	next := w.refresh(t, out.Tokens.Refresh)
	stored, _, err := w.store.Session(t.Context(), next.Session)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{out.Tokens.Access, out.Tokens.Refresh, next.Access, next.Refresh} {
		raw, err := base64.RawURLEncoding.DecodeString(token[4:])
		if err != nil || len(raw) < 48 {
			t.Fatalf("token of %d bytes, %v", len(raw), err)
		}
		for _, h := range []auth.Hash{stored.Access, stored.Refresh, stored.LastAccess, stored.LastRefresh} {
			if strings.Contains(string(raw), string(h[:])) {
				t.Error("a stored hash is in the token")
			}
		}
	}
}

func TestAuthenticateReadsTheStoreOnce(t *testing.T) {
	w := newWorld(t)
	_, out := w.active(t, 1)
	w.good(t, "first", out.Tokens.Access)
	before := w.store.readCount()
	for range 100 {
		w.good(t, "again", out.Tokens.Access)
		want(t, "check", w.Check(t.Context(), out.Tokens.Session), nil)
		w.refused(t, "stray", "hsa_"+strings.Repeat("A", len(out.Tokens.Access)-4))
	}
	if n := w.store.readCount() - before; n != 0 {
		t.Errorf("%d reads", n)
	}
	w.Forget()
	w.good(t, "after Forget", out.Tokens.Access)
	if n := w.store.readCount() - before; n != 1 {
		t.Errorf("%d reads after Forget, want 1", n)
	}
}

func TestRefreshGivesANewPair(t *testing.T) {
	w := newWorld(t)
	_, out := w.active(t, 1)
	next := w.refresh(t, out.Tokens.Refresh)
	if next.Access == out.Tokens.Access || next.Refresh == out.Tokens.Refresh || next.Session != out.Tokens.Session {
		t.Fatalf("%+v after %+v", next, out.Tokens)
	}
	w.good(t, "new access", next.Access)
	w.good(t, "old access, for requests on their way", out.Tokens.Access)
	w.pass(15 * time.Minute)
	w.refused(t, "old access, expired", out.Tokens.Access)
}

func TestLostReplyIsGivenAgain(t *testing.T) {
	w := newWorld(t)
	_, out := w.active(t, 1)
	first := w.refresh(t, out.Tokens.Refresh)
	w.pass(time.Minute)
	again := w.refresh(t, out.Tokens.Refresh)
	if again != first {
		t.Errorf("%+v, want the same pair %+v", again, first)
	}
	w.good(t, "the pair", again.Access)
	if w.refresh(t, again.Refresh) == first {
		t.Error("the next pair is the same")
	}
}

func TestSpentRefreshTokenEndsTheSession(t *testing.T) {
	for name, use := range map[string]func(w *world, first, next auth.Tokens){
		"after the new pair was used": func(w *world, _, next auth.Tokens) {
			w.good(t, "new pair", next.Access)
		},
		"after the new pair was refreshed": func(w *world, _, next auth.Tokens) {
			w.refresh(t, next.Refresh)
		},
		"after more than 60 s": func(w *world, _, _ auth.Tokens) { w.pass(time.Minute + time.Millisecond) },
		"from another process": func(w *world, _, next auth.Tokens) {
			if _, err := w.another(t).Authenticate(t.Context(), next.Access); err != nil {
				t.Error(err)
			}
		},
		"many generations later": func(w *world, _, next auth.Tokens) {
			for range 10 {
				w.pass(time.Hour)
				next = w.refresh(t, next.Refresh)
			}
		},
	} {
		w := newWorld(t)
		_, out := w.active(t, 1)
		_, bystander := w.active(t, 2)
		next := w.refresh(t, out.Tokens.Refresh)
		use(w, out.Tokens, next)
		w.told()
		_, err := w.Refresh(t.Context(), out.Tokens.Refresh, abroad)
		want(t, name, err, auth.ErrUnauthorized)
		w.refused(t, name+": new access", next.Access)
		_, err = w.Refresh(t.Context(), next.Refresh, home)
		want(t, name+": new refresh", err, auth.ErrUnauthorized)
		want(t, name+": session", w.Check(t.Context(), next.Session), auth.ErrUnauthorized)
		want(t, name+": another's", w.Check(t.Context(), bystander.Tokens.Session), nil)
		if n := w.events(t, auth.EventRefreshReuse); n != 1 {
			t.Errorf("%s: %d events", name, n)
		}
		if told := w.told(); len(told) != 1 || told[0].Session != next.Session {
			t.Errorf("%s: told %v", name, told)
		}
	}
}

// Whoever of the two refreshes first, the second ends the session for both, at
// the latest when the pair that both may have is refreshed.
func TestThiefAndVictimDoNotBothStay(t *testing.T) {
	w := newWorld(t)
	_, out := w.active(t, 1)
	thief := w.refresh(t, out.Tokens.Refresh)
	victim := w.refresh(t, out.Tokens.Refresh) // within the grace: the same pair
	if thief != victim {
		t.Fatal("two pairs of one token")
	}
	w.good(t, "thief", thief.Access)
	w.pass(10 * time.Minute)
	mine := w.refresh(t, victim.Refresh)
	w.good(t, "victim", mine.Access)
	_, err := w.Refresh(t.Context(), thief.Refresh, abroad)
	want(t, "thief", err, auth.ErrUnauthorized)
	w.refused(t, "victim has to log in again", mine.Access)
}

func TestFiftyRefreshesAtATimeGiveOnePair(t *testing.T) {
	w := newWorld(t)
	_, out := w.active(t, 1)
	pairs := make([]auth.Tokens, 50)
	var wg sync.WaitGroup
	for i := range pairs {
		wg.Go(func() {
			var err error
			if pairs[i], err = w.Refresh(t.Context(), out.Tokens.Refresh, home); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, p := range pairs {
		if p != pairs[0] {
			t.Fatalf("%+v and %+v", p, pairs[0])
		}
	}
	w.good(t, "the pair", pairs[0].Access)
}

func TestFreshTokensAreGoodWhileTheStoreCannotWrite(t *testing.T) {
	w := newWorld(t)
	_, out := w.active(t, 1)
	next := w.refresh(t, out.Tokens.Refresh)
	if err := w.Check(t.Context(), next.Session); err != nil { // from now on it is in memory
		t.Fatal(err)
	}
	w.store.setFail(errors.New("disk full"))
	w.good(t, "new pair", next.Access)
	w.store.setFail(nil)
	w.good(t, "new pair", next.Access)
	_, err := w.Refresh(t.Context(), out.Tokens.Refresh, home)
	want(t, "spent token after the new pair was used", err, auth.ErrUnauthorized)
}

func TestNoGraceMeansNone(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.Grace = -1 })
	_, out := w.active(t, 1)
	w.refresh(t, out.Tokens.Refresh)
	_, err := w.Refresh(t.Context(), out.Tokens.Refresh, home)
	want(t, "at once", err, auth.ErrUnauthorized)
}

// The store was restored from a backup made before the token was traded.
func TestTokenFromALostFutureRevokesNothing(t *testing.T) {
	w := newWorld(t)
	_, out := w.active(t, 1)
	backup, _, err := w.store.Session(t.Context(), out.Tokens.Session)
	if err != nil {
		t.Fatal(err)
	}
	next := w.refresh(t, out.Tokens.Refresh)
	next = w.refresh(t, next.Refresh)
	err = w.store.ChangeSession(t.Context(), backup.ID, func(s *auth.Session, _ auth.Account) ([]auth.Event, error) {
		*s = backup
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Forget()
	w.refused(t, "access", next.Access)
	_, err = w.Refresh(t.Context(), next.Refresh, home)
	want(t, "refresh", err, auth.ErrUnauthorized)
	w.good(t, "what the backup knows", out.Tokens.Access)
}

func TestLogoutEndsTheSessionAtOnce(t *testing.T) {
	w := newWorld(t)
	_, out := w.active(t, 1)
	id, err := w.Authenticate(t.Context(), out.Tokens.Access)
	if err != nil {
		t.Fatal(err)
	}
	w.told()
	want(t, "logout", w.Logout(t.Context(), id, home), nil)
	w.refused(t, "access", out.Tokens.Access)
	_, err = w.Refresh(t.Context(), out.Tokens.Refresh, home)
	want(t, "refresh", err, auth.ErrUnauthorized)
	want(t, "check", w.Check(t.Context(), id.Session), auth.ErrUnauthorized)
	want(t, "again", w.Logout(t.Context(), id, home), auth.ErrNotFound)
	if told := w.told(); len(told) != 1 || told[0] != (auth.Change{Kind: auth.EventLogout, Session: id.Session}) {
		t.Errorf("told %v", told)
	}
}

func TestDeviceRevokesAnother(t *testing.T) {
	w := newWorld(t)
	d, laptop := w.active(t, 1)
	w.pass(time.Minute)
	phone := w.login(t, d)
	_, stranger := w.active(t, 2)
	me := auth.Actor{Account: laptop.Account.ID, IP: home}
	got, err := w.Sessions(t.Context(), me.Account)
	if err != nil || len(got) != 2 || got[0].ID != phone.Tokens.Session || got[0].DeviceName != "laptop" || got[0].IP != home {
		t.Fatalf("sessions %+v, %v", got, err)
	}
	want(t, "a stranger's", w.RevokeSession(t.Context(), me, stranger.Tokens.Session), auth.ErrNotFound)
	want(t, "nobody's", w.RevokeSession(t.Context(), me, "nonsense"), auth.ErrNotFound)
	want(t, "mine", w.RevokeSession(t.Context(), me, phone.Tokens.Session), nil)
	w.refused(t, "phone", phone.Tokens.Access)
	w.good(t, "laptop", laptop.Tokens.Access)
	w.good(t, "stranger", stranger.Tokens.Access)
	if n := w.events(t, auth.EventRevoke); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestCheckRefusesWhatIsNoSession(t *testing.T) {
	w := newWorld(t)
	for _, id := range []auth.SessionID{"", "nonsense", "01890000-0000-7000-8000-000000000000"} {
		want(t, string(id), w.Check(t.Context(), id), auth.ErrUnauthorized)
	}
}

func TestDeviceNameIsFitToBeShown(t *testing.T) {
	w := newWorld(t)
	d, _ := w.active(t, 1)
	for given, wanted := range map[string]string{
		"  Ada's laptop ":                          "Ada's laptop",
		"a\nlevel=ERROR msg=forged":                "alevel=ERROR msg=forged",
		"\x1b[31mred\x00":                          "[31mred",
		"right\u202eto left":                       "rightto left",
		"bad \xff bytes":                           "bad  bytes",
		strings.Repeat("é", 200):                   strings.Repeat("é", 100),
		"<script>":                                 "<script>",
		strings.Repeat("a", 99) + "  " + "b\u2028": strings.Repeat("a", 99),
	} {
		w.pass(time.Second)
		req := w.request(t, d)
		req.DeviceName = given
		out, err := w.Login(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.Sessions(t.Context(), out.Account.ID)
		if err != nil || got[0].ID != out.Tokens.Session || got[0].DeviceName != wanted {
			t.Errorf("%q became %q, %v, want %q", given, got[0].DeviceName, err, wanted)
		}
	}
}

func TestSweepTellsOfTheSessionsItEnds(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.MaxSessions = 2 })
	d, first := w.active(t, 1)
	for range 2 {
		w.pass(time.Second)
		w.login(t, d)
	}
	w.good(t, "before", first.Tokens.Access)
	w.told()
	want(t, "sweep", w.Sweep(t.Context()), nil)
	w.refused(t, "after", first.Tokens.Access)
	if told := w.told(); len(told) != 1 || told[0].Session != first.Tokens.Session {
		t.Errorf("told %v", told)
	}
	w.pass(401 * 24 * time.Hour)
	want(t, "sweep", w.Sweep(t.Context()), nil)
	if evs, err := w.Events(t.Context(), 0, 100); err != nil || len(evs) != 0 {
		t.Errorf("events %v, %v", evs, err)
	}
}

// A read that began before a change must not bring the old answer back.
func TestCacheNeverKeepsWhatWasRevoked(t *testing.T) {
	for name, end := range map[string]func(w *world, out auth.LoginResult) error{
		"logout": func(w *world, out auth.LoginResult) error {
			return w.Logout(t.Context(), auth.Identity{Account: out.Account, Session: out.Tokens.Session}, home)
		},
		"block": func(w *world, out auth.LoginResult) error {
			_, err := w.Block(t.Context(), auth.Actor{}, out.Account.ID)
			return err
		},
		"forget": func(w *world, out auth.LoginResult) error {
			defer w.Forget()
			return w.another(t).Delete(t.Context(), auth.Actor{}, out.Account.ID)
		},
	} {
		w := newWorld(t)
		_, out := w.active(t, 1)
		w.store.afterRead = func() { want(t, name, end(w, out), nil) }
		w.good(t, name+", while it was read", out.Tokens.Access)
		w.refused(t, name+", after that", out.Tokens.Access)
	}
}
