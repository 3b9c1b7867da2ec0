package auth_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid" // random walks, shrunk when they fail

	"github.com/heapsync/heapsync/auth"
)

func TestBlockEndsEverythingAtOnce(t *testing.T) {
	w := newWorld(t)
	d, out := w.active(t, 1)
	w.good(t, "before", out.Tokens.Access)
	by := auth.Actor{Account: w.admin(t, 2).ID, IP: home}
	w.told()
	a := w.must(t)(w.Block(t.Context(), by, out.Account.ID))
	if a.Status != auth.StatusBlocked {
		t.Errorf("%+v", a)
	}
	w.refused(t, "access", out.Tokens.Access)
	_, err := w.Refresh(t.Context(), out.Tokens.Refresh, home)
	want(t, "refresh", err, auth.ErrUnauthorized)
	want(t, "check", w.Check(t.Context(), out.Tokens.Session), auth.ErrUnauthorized)
	_, err = w.Login(t.Context(), w.request(t, d))
	want(t, "login", err, auth.ErrBlocked)
	if told := w.told(); len(told) != 1 || told[0] != (auth.Change{Kind: auth.EventBlock, Account: a.ID}) {
		t.Errorf("told %v", told)
	}
	w.must(t)(w.Approve(t.Context(), by, a.ID))
	w.refused(t, "access after approval", out.Tokens.Access)
	if out = w.login(t, d); out.Pending {
		t.Error("approved, but pending")
	}
	evs, err := w.Events(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, ev := range evs {
		found = found || ev.Kind == auth.EventBlock && ev.Actor == by.Account && ev.Account == a.ID && ev.IP == home
	}
	if !found {
		t.Errorf("no event says who blocked whom from where: %+v", evs)
	}
}

func TestPendingAccountHasNoWayIn(t *testing.T) {
	w := newWorld(t)
	out := w.login(t, newDevice(1))
	for name, token := range map[string]string{"nothing": "", "its id": string(out.Account.ID)} {
		w.refused(t, name, token)
		_, err := w.Refresh(t.Context(), token, home)
		want(t, name, err, auth.ErrUnauthorized)
	}
	_, err := w.Promote(t.Context(), auth.Actor{}, out.Account.ID)
	want(t, "promote", err, auth.ErrApprovalRequired)
}

func TestRoleIsReadWithEachRequest(t *testing.T) {
	w := newWorld(t)
	_, out := w.active(t, 1)
	w.admin(t, 2)
	admin := func() bool {
		id, err := w.Authenticate(t.Context(), out.Tokens.Access)
		if err != nil {
			t.Fatal(err)
		}
		return id.Account.Admin
	}
	if admin() {
		t.Error("admin from the start")
	}
	w.must(t)(w.Promote(t.Context(), auth.Actor{}, out.Account.ID))
	if !admin() {
		t.Error("not admin after promotion")
	}
	w.told()
	w.must(t)(w.Demote(t.Context(), auth.Actor{}, out.Account.ID))
	if admin() {
		t.Error("admin after demotion")
	}
	if told := w.told(); len(told) != 1 || told[0].Account != out.Account.ID {
		t.Errorf("told %v", told)
	}
}

func TestBlockedAdminIsAnAdminNoLonger(t *testing.T) {
	w := newWorld(t)
	a := w.admin(t, 1)
	_, err := w.Block(t.Context(), auth.Actor{}, a.ID)
	want(t, "the last", err, auth.ErrLastAdmin)
	w.admin(t, 2)
	w.must(t)(w.Block(t.Context(), auth.Actor{}, a.ID))
	if a = w.must(t)(w.Approve(t.Context(), auth.Actor{}, a.ID)); a.Admin {
		t.Error("approved as an admin")
	}
}

func TestProfile(t *testing.T) {
	w := newWorld(t)
	_, out := w.active(t, 1)
	by := auth.Actor{Account: out.Account.ID, IP: home}
	text := func(s string) *string { return &s }
	a := w.must(t)(w.SetProfile(t.Context(), by, by.Account, auth.Profile{Name: text("Ada 李 O’Neill"), Email: text("ada@example.org")}))
	if a.Name != "Ada 李 O’Neill" || a.Email != "ada@example.org" {
		t.Errorf("%+v", a)
	}
	for _, bad := range []string{" Ada", "Ada\n", "A\u202eda", "A\x00da", "\xff", strings.Repeat("a", 101)} {
		_, err := w.SetProfile(t.Context(), by, by.Account, auth.Profile{Name: &bad, Email: text("eve@example.org")})
		want(t, bad, err, auth.ErrName)
	}
	_, err := w.SetProfile(t.Context(), by, by.Account, auth.Profile{Name: text("Eve"), Email: text("nobody")})
	want(t, "email", err, auth.ErrEmail)
	if a = w.must(t)(w.SetProfile(t.Context(), by, by.Account, auth.Profile{Email: text("")})); a.Name != "Ada 李 O’Neill" || a.Email != "" {
		t.Errorf("what was refused has changed something: %+v", a)
	}
	_, err = w.SetProfile(t.Context(), by, "nobody", auth.Profile{Name: text("Eve")})
	want(t, "of nobody", err, auth.ErrNotFound)
}

func TestDeletedAccountStartsAnew(t *testing.T) {
	w := newWorld(t)
	d, out := w.active(t, 1)
	want(t, "delete", w.Delete(t.Context(), auth.Actor{}, out.Account.ID), nil)
	w.refused(t, "access", out.Tokens.Access)
	want(t, "again", w.Delete(t.Context(), auth.Actor{}, out.Account.ID), auth.ErrNotFound)
	_, err := w.Account(t.Context(), out.Account.ID)
	want(t, "look", err, auth.ErrNotFound)
	anew := w.login(t, d)
	if !anew.Pending || anew.Account.ID == out.Account.ID {
		t.Errorf("%+v", anew)
	}
}

func TestGrantMakesAnAdmin(t *testing.T) {
	w := newWorld(t)
	pending := w.login(t, newDevice(1)).Account
	a := w.must(t)(w.Grant(t.Context(), auth.Actor{}, newDevice(1).publicKey))
	if a.ID != pending.ID || !a.Admin || a.Status != auth.StatusActive {
		t.Errorf("known key: %+v", a)
	}
	b := w.must(t)(w.Grant(t.Context(), auth.Actor{}, newDevice(2).publicKey))
	if !b.Admin || b.Status != auth.StatusActive {
		t.Errorf("new key: %+v", b)
	}
	if out := w.login(t, newDevice(2)); out.Account.ID != b.ID || out.Pending {
		t.Errorf("login: %+v", out)
	}
	_, err := w.Grant(t.Context(), auth.Actor{}, "nonsense")
	want(t, "nonsense", err, auth.ErrInvalidKey)
	if n := w.events(t, auth.EventGrant); n != 2 {
		t.Errorf("%d events", n)
	}
}

// Whatever admins do, one of them is left, and no session outlives its account.
func TestThereIsAlwaysAnAdmin(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		ids := []auth.AccountID{w.admin(t, 1).ID}
		for n := int64(2); n <= 4; n++ {
			_, out := w.active(t, n)
			ids = append(ids, out.Account.ID)
		}
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			id := rapid.SampledFrom(ids).Draw(rt, "account")
			var err error
			switch rapid.IntRange(0, 4).Draw(rt, "act") {
			case 0:
				_, err = w.Approve(t.Context(), auth.Actor{}, id)
			case 1:
				_, err = w.Block(t.Context(), auth.Actor{}, id)
			case 2:
				_, err = w.Promote(t.Context(), auth.Actor{}, id)
			case 3:
				_, err = w.Demote(t.Context(), auth.Actor{}, id)
			case 4:
				err = w.Delete(t.Context(), auth.Actor{}, id)
			}
			if err != nil && !errors.Is(err, auth.ErrLastAdmin) && !errors.Is(err, auth.ErrNotFound) && !errors.Is(err, auth.ErrApprovalRequired) {
				rt.Fatal(err)
			}
			all, err := w.Accounts(t.Context(), "", 100)
			if err != nil {
				rt.Fatal(err)
			}
			admins := 0
			for _, a := range all {
				if a.Admin && a.Status == auth.StatusActive {
					admins++
				}
				ses, err := w.Sessions(t.Context(), a.ID)
				if err != nil || a.Status != auth.StatusActive && len(ses) != 0 {
					rt.Fatalf("%s has %d sessions, %v", a.Status, len(ses), err)
				}
			}
			if admins == 0 {
				rt.Fatal("no admin is left")
			}
		}
	})
}

func TestForgetSeesAnotherProcessesChange(t *testing.T) {
	w := newWorld(t)
	_, out := w.active(t, 1)
	w.good(t, "before", out.Tokens.Access)
	commandLine := w.another(t)
	if _, err := commandLine.Block(t.Context(), auth.Actor{}, out.Account.ID); err != nil {
		t.Fatal(err)
	}
	if err := commandLine.SetMode(t.Context(), auth.Actor{}, auth.ModeClosed); err != nil {
		t.Fatal(err)
	}
	w.told()
	w.Forget()
	w.refused(t, "after", out.Tokens.Access)
	if m, err := w.Mode(t.Context()); m != auth.ModeClosed || err != nil {
		t.Errorf("mode %s, %v", m, err)
	}
	if told := w.told(); len(told) != 1 || told[0] != (auth.Change{}) {
		t.Errorf("told %v, want that everything may have changed", told)
	}
}

// The server has not noticed yet that the command line blocked or deleted it.
func TestLoginBelievesTheStoreAndNotTheCache(t *testing.T) {
	w := newWorld(t)
	d, out := w.active(t, 1)
	w.login(t, d) // now the account is cached
	commandLine := w.another(t)
	if _, err := commandLine.Block(t.Context(), auth.Actor{}, out.Account.ID); err != nil {
		t.Fatal(err)
	}
	_, err := w.Login(t.Context(), w.request(t, d))
	want(t, "blocked", err, auth.ErrBlocked)
	w.must(t)(commandLine.Approve(t.Context(), auth.Actor{}, out.Account.ID))
	w.login(t, d)
	if err := commandLine.Delete(t.Context(), auth.Actor{}, out.Account.ID); err != nil {
		t.Fatal(err)
	}
	if again := w.login(t, d); !again.Pending || again.Account.ID == out.Account.ID {
		t.Errorf("deleted: %+v", again)
	}
}

func TestFirstLoginsOfAKeyAtATimeMakeOneAccount(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.Mode, c.Challenges = auth.ModeOpen, &auth.ChallengeLimits{} })
	d := newDevice(1)
	var wg sync.WaitGroup
	for range 20 {
		req := w.request(t, d)
		wg.Go(func() {
			if _, err := w.Login(t.Context(), req); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	all, err := w.Accounts(t.Context(), "", 100)
	if err != nil || len(all) != 1 {
		t.Errorf("%d accounts, %v", len(all), err)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	for name, spoil := range map[string]func(*auth.Config){
		"no store":       func(c *auth.Config) { c.Store = nil },
		"no keys":        func(c *auth.Config) { c.Keys = auth.ServerKeys{} },
		"no URL":         func(c *auth.Config) { c.PublicURL = "" },
		"URL with lines": func(c *auth.Config) { c.PublicURL = "https://a\nkey: b" },
		"no such mode":   func(c *auth.Config) { c.Mode = "everyone" },
		"lifetimes":      func(c *auth.Config) { c.RefreshTTL = c.AccessTTL + 1 },
	} {
		w := newWorld(t)
		cfg := auth.Config{Store: w.store, Keys: w.keys, PublicURL: publicURL}
		spoil(&cfg)
		if _, err := auth.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
