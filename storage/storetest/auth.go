package storetest

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heapsync/heapsync/auth"
)

// Auth tests what auth.Store promises. open returns a new, empty store each time.
func Auth(t *testing.T, open func(testing.TB) auth.Store) {
	for _, sub := range []struct {
		name string
		run  func(*testing.T, auth.Store)
	}{
		{"AccountComesBack", accountComesBack},
		{"KeyHasOneAccount", keyHasOneAccount},
		{"PendingAccountsAreBounded", pendingAccountsAreBounded},
		{"AccountsAreListedInOrder", accountsAreListedInOrder},
		{"AccountsAreCounted", accountsAreCounted},
		{"ChangeSeesTheOtherAdmins", changeSeesTheOtherAdmins},
		{"FailedChangeChangesNothing", failedChangeChangesNothing},
		{"InactiveAccountLosesItsSessions", inactiveAccountLosesItsSessions},
		{"DeletedAccountIsGone", deletedAccountIsGone},
		{"SessionComesBack", sessionComesBack},
		{"SessionNeedsAnActiveAccount", sessionNeedsAnActiveAccount},
		{"SessionChanges", sessionChanges},
		{"SessionChangesOneAfterTheOther", sessionChangesOneAfterTheOther},
		{"SessionsAreListedLastSeenFirst", sessionsAreListedLastSeenFirst},
		{"ClaimIsWonOnce", claimIsWonOnce},
		{"ClaimEndsWithTheFirstAdmin", claimEndsWithTheFirstAdmin},
		{"ClaimRefusesTheBlocked", claimRefusesTheBlocked},
		{"SettingsStay", settingsStay},
		{"EventsComeLatestFirst", eventsComeLatestFirst},
		{"SweepRemovesWhatHadItsTime", sweepRemovesWhatHadItsTime},
		{"SweepKeepsTheSessionsSeenLast", sweepKeepsTheSessionsSeenLast},
	} {
		t.Run(sub.name, func(t *testing.T) { sub.run(t, open(t)) })
	}
}

var authEpoch = time.Date(2026, 3, 1, 12, 0, 0, 123e6, time.UTC)

func authKey(n int) (k auth.PublicKey) { copy(k[:], fmt.Sprintf("key %028d", n)); return k }

func authHash(n int) (h auth.Hash) { copy(h[:], fmt.Sprintf("hash %027d", n)); return h }

func authEvent(kind auth.EventKind) auth.Event {
	return auth.Event{
		At: authEpoch, Kind: kind, Actor: "actor", Account: "account", Key: "key", Session: "session",
		IP: netip.MustParseAddr("2001:db8::1"), Detail: "detail",
	}
}

// authAccount adds an active account and returns it.
func authAccount(t *testing.T, s auth.Store, n int) auth.Account {
	t.Helper()
	a, err := s.AddAccount(t.Context(), newAuthAccount(n), 0, authEvent("added"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newAuthAccount(n int) auth.Account {
	return auth.Account{
		ID: auth.AccountID(fmt.Sprintf("account-%04d", n)), PublicKey: authKey(n),
		Email: "a@example.org", Name: "Ada", Status: auth.StatusActive, CreatedAt: authEpoch,
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: %v, want %v", what, err, want)
	}
}

// kinds returns what the log holds, oldest first.
func kinds(t *testing.T, s auth.Store) []auth.EventKind {
	t.Helper()
	evs, err := s.Events(t.Context(), 0, 1000)
	wantErr(t, "events", err, nil)
	var out []auth.EventKind
	for _, ev := range slices.Backward(evs) {
		out = append(out, ev.Kind)
	}
	return out
}

func accountComesBack(t *testing.T, s auth.Store) {
	_, err := s.Account(t.Context(), "account-0001")
	wantErr(t, "before", err, auth.ErrNotFound)
	_, err = s.AccountByKey(t.Context(), authKey(1))
	wantErr(t, "before", err, auth.ErrNotFound)
	want := newAuthAccount(1)
	want.Admin = true
	got, err := s.AddAccount(t.Context(), want, 0, authEvent("added"))
	if err != nil || got != want {
		t.Errorf("add: %+v, %v", got, err)
	}
	if got, err = s.Account(t.Context(), want.ID); err != nil || got != want {
		t.Errorf("by id: %+v, %v, want %+v", got, err, want)
	}
	if got, err = s.AccountByKey(t.Context(), want.PublicKey); err != nil || got != want {
		t.Errorf("by key: %+v, %v, want %+v", got, err, want)
	}
	if got := kinds(t, s); !slices.Equal(got, []auth.EventKind{"added"}) {
		t.Errorf("events %v", got)
	}
}

func keyHasOneAccount(t *testing.T, s auth.Store) {
	first := authAccount(t, s, 1)
	again := newAuthAccount(2)
	again.PublicKey = first.PublicKey
	got, err := s.AddAccount(t.Context(), again, 0, authEvent("added"))
	if err != nil || got != first {
		t.Errorf("%+v, %v, want the first account", got, err)
	}
	if got := kinds(t, s); len(got) != 1 {
		t.Errorf("events %v, want one", got)
	}
}

func pendingAccountsAreBounded(t *testing.T, s auth.Store) {
	add := func(n int, status auth.Status) error {
		a := newAuthAccount(n)
		a.Status = status
		_, err := s.AddAccount(t.Context(), a, 2, authEvent("added"))
		return err
	}
	wantErr(t, "first", add(1, auth.StatusPending), nil)
	wantErr(t, "second", add(2, auth.StatusPending), nil)
	wantErr(t, "third", add(3, auth.StatusPending), auth.ErrTooManyPending)
	wantErr(t, "active", add(4, auth.StatusActive), nil)
	wantErr(t, "known key", add(1, auth.StatusPending), nil)
}

func accountsAreListedInOrder(t *testing.T, s auth.Store) {
	for _, n := range []int{3, 1, 2} {
		authAccount(t, s, n)
	}
	got, err := s.Accounts(t.Context(), "", 2)
	if err != nil || len(got) != 2 || got[0] != newAuthAccount(1) || got[1] != newAuthAccount(2) {
		t.Errorf("first page %v, %v", got, err)
	}
	got, err = s.Accounts(t.Context(), got[1].ID, 2)
	if err != nil || len(got) != 1 || got[0] != newAuthAccount(3) {
		t.Errorf("second page %v, %v", got, err)
	}
}

func accountsAreCounted(t *testing.T, s auth.Store) {
	got, err := s.CountAccounts(t.Context())
	if err != nil || got != (auth.Counts{}) {
		t.Errorf("none: %+v, %v", got, err)
	}
	for n, status := range []auth.Status{
		auth.StatusActive, auth.StatusActive, auth.StatusActive,
		auth.StatusPending, auth.StatusPending, auth.StatusBlocked,
	} {
		a := newAuthAccount(n)
		a.Status, a.Admin = status, n == 0 || status == auth.StatusBlocked
		_, err := s.AddAccount(t.Context(), a, 0, authEvent("added"))
		wantErr(t, "add", err, nil)
	}
	authSession(t, s, 1, newAuthAccount(1).ID)
	got, err = s.CountAccounts(t.Context())
	if want := (auth.Counts{Pending: 2, Active: 3, Blocked: 1, Admins: 1, Sessions: 1}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

func changeSeesTheOtherAdmins(t *testing.T, s auth.Store) {
	promote := func(a *auth.Account, _ int) error { a.Admin = true; return nil }
	for n := 1; n <= 3; n++ {
		a := authAccount(t, s, n)
		_, err := s.ChangeAccount(t.Context(), a.ID, authEvent("change"), func(a *auth.Account, others int) error {
			if others != n-1 {
				t.Errorf("account %d sees %d other admins", n, others)
			}
			return promote(a, others)
		})
		wantErr(t, "change", err, nil)
	}
	_, err := s.ChangeAccount(t.Context(), "account-0001", authEvent("block"), func(a *auth.Account, _ int) error {
		a.Status = auth.StatusBlocked
		return nil
	})
	wantErr(t, "block", err, nil)
	err = s.DeleteAccount(t.Context(), "account-0002", authEvent("delete"), func(a auth.Account, others int) error {
		if others != 1 || !a.Admin {
			t.Errorf("delete of %+v sees %d other admins, want the one who is not blocked", a, others)
		}
		return nil
	})
	wantErr(t, "delete", err, nil)
}

func failedChangeChangesNothing(t *testing.T, s auth.Store) {
	no := errors.New("no")
	a := authAccount(t, s, 1)
	ses := authSession(t, s, 1, a.ID)
	before := kinds(t, s)
	_, err := s.ChangeAccount(t.Context(), a.ID, authEvent("x"), func(a *auth.Account, _ int) error {
		a.Status, a.Admin = auth.StatusBlocked, true
		return no
	})
	wantErr(t, "change account", err, no)
	err = s.DeleteAccount(t.Context(), a.ID, authEvent("x"), func(auth.Account, int) error { return no })
	wantErr(t, "delete account", err, no)
	err = s.ChangeSession(t.Context(), ses.ID, func(ses *auth.Session, _ auth.Account) ([]auth.Event, error) {
		ses.Revoked, ses.DeviceName = true, "stolen"
		return []auth.Event{authEvent("x")}, no
	})
	wantErr(t, "change session", err, no)
	got, account, err := s.Session(t.Context(), ses.ID)
	if err != nil || got != ses || account.Status != auth.StatusActive || account.Admin {
		t.Errorf("%+v, %+v, %v", got, account, err)
	}
	if after := kinds(t, s); !slices.Equal(after, before) {
		t.Errorf("events %v, want %v", after, before)
	}
	nobody := func(*auth.Account, int) error { t.Error("called for nobody"); return nil }
	_, err = s.ChangeAccount(t.Context(), "nobody", authEvent("x"), nobody)
	wantErr(t, "nobody", err, auth.ErrNotFound)
}

func inactiveAccountLosesItsSessions(t *testing.T, s auth.Store) {
	a, other := authAccount(t, s, 1), authAccount(t, s, 2)
	authSession(t, s, 1, a.ID)
	kept := authSession(t, s, 2, other.ID)
	_, err := s.ChangeAccount(t.Context(), a.ID, authEvent("block"), func(a *auth.Account, _ int) error {
		a.Status = auth.StatusBlocked
		return nil
	})
	wantErr(t, "block", err, nil)
	_, _, err = s.Session(t.Context(), "session-0001")
	wantErr(t, "session of the blocked", err, auth.ErrNotFound)
	_, _, err = s.Session(t.Context(), kept.ID)
	wantErr(t, "session of another", err, nil)
}

func deletedAccountIsGone(t *testing.T, s auth.Store) {
	a := authAccount(t, s, 1)
	authSession(t, s, 1, a.ID)
	yes := func(auth.Account, int) error { return nil }
	wantErr(t, "delete", s.DeleteAccount(t.Context(), a.ID, authEvent("delete"), yes), nil)
	wantErr(t, "again", s.DeleteAccount(t.Context(), a.ID, authEvent("delete"), yes), auth.ErrNotFound)
	_, err := s.AccountByKey(t.Context(), a.PublicKey)
	wantErr(t, "by key", err, auth.ErrNotFound)
	_, _, err = s.Session(t.Context(), "session-0001")
	wantErr(t, "session", err, auth.ErrNotFound)
	anew := newAuthAccount(2)
	anew.PublicKey = a.PublicKey
	got, err := s.AddAccount(t.Context(), anew, 0, authEvent("added"))
	if err != nil || got != anew {
		t.Errorf("the key anew: %+v, %v", got, err)
	}
}

func claimIsWonOnce(t *testing.T, s auth.Store) {
	_, err := s.Claim(t.Context(), authHash(1), newAuthAccount(1), authEvent("claim"))
	wantErr(t, "before it is open", err, auth.ErrClaim)
	wantErr(t, "open", s.OpenClaim(t.Context(), authHash(9)), nil)
	wantErr(t, "open another", s.OpenClaim(t.Context(), authHash(1)), nil)
	_, err = s.Claim(t.Context(), authHash(9), newAuthAccount(1), authEvent("claim"))
	wantErr(t, "with the code before", err, auth.ErrClaim)
	waiting := newAuthAccount(2)
	waiting.Status = auth.StatusPending
	_, err = s.AddAccount(t.Context(), waiting, 0, authEvent("added"))
	wantErr(t, "add", err, nil)
	var wg sync.WaitGroup
	var won atomic.Pointer[auth.Account]
	for n := 1; n <= 10; n++ {
		wg.Go(func() {
			a := newAuthAccount(n)
			a.ID += "-anew"
			a.Status = auth.StatusPending
			a, err := s.Claim(t.Context(), authHash(1), a, authEvent("claim"))
			switch {
			case err == nil && !won.CompareAndSwap(nil, &a):
				t.Error("won twice")
			case err == nil && (a.Status != auth.StatusActive || !a.Admin):
				t.Errorf("won: %+v", a)
			case err != nil && !errors.Is(err, auth.ErrClaim):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() == nil {
		t.Fatal("nobody won")
	}
	got, err := s.Account(t.Context(), won.Load().ID)
	if err != nil || got != *won.Load() {
		t.Errorf("%+v, %v, want %+v", got, err, *won.Load())
	}
	evs, err := s.Events(t.Context(), 0, 1)
	if err != nil || evs[0].Kind != "claim" || evs[0].Actor != got.ID || evs[0].Account != got.ID {
		t.Errorf("event %+v, %v", evs, err)
	}
	all, err := s.Accounts(t.Context(), "", 100)
	wantErr(t, "accounts", err, nil)
	if len(all) > 2 {
		t.Errorf("%d accounts: those who lost left something", len(all))
	}
}

func claimEndsWithTheFirstAdmin(t *testing.T, s auth.Store) {
	wantErr(t, "open", s.OpenClaim(t.Context(), authHash(1)), nil)
	a := newAuthAccount(1)
	a.Admin = true
	_, err := s.AddAccount(t.Context(), a, 0, authEvent("grant"))
	wantErr(t, "add", err, nil)
	_, err = s.Claim(t.Context(), authHash(1), newAuthAccount(2), authEvent("claim"))
	wantErr(t, "claim beside an admin", err, auth.ErrClaim)
	wantErr(t, "open beside an admin", s.OpenClaim(t.Context(), authHash(1)), auth.ErrClaim)
	_, err = s.ChangeAccount(t.Context(), a.ID, authEvent("demote"), func(a *auth.Account, _ int) error {
		a.Admin = false
		return nil
	})
	wantErr(t, "demote", err, nil)
	_, err = s.Claim(t.Context(), authHash(1), newAuthAccount(2), authEvent("claim"))
	wantErr(t, "claim after the code was removed", err, auth.ErrClaim)
}

func claimRefusesTheBlocked(t *testing.T, s auth.Store) {
	wantErr(t, "open", s.OpenClaim(t.Context(), authHash(1)), nil)
	a := newAuthAccount(1)
	a.Status = auth.StatusBlocked
	_, err := s.AddAccount(t.Context(), a, 0, authEvent("added"))
	wantErr(t, "add", err, nil)
	_, err = s.Claim(t.Context(), authHash(1), newAuthAccount(1), authEvent("claim"))
	wantErr(t, "claim", err, auth.ErrClaim)
	_, err = s.Claim(t.Context(), authHash(1), newAuthAccount(2), authEvent("claim"))
	wantErr(t, "claim of another", err, nil)
}

func settingsStay(t *testing.T, s auth.Store) {
	got, err := s.Setting(t.Context(), "mode")
	if err != nil || got != "" {
		t.Errorf("before: %q, %v", got, err)
	}
	for _, want := range []string{"open", "closed", ""} {
		wantErr(t, "put", s.PutSetting(t.Context(), "mode", want, authEvent("setting")), nil)
		if got, err = s.Setting(t.Context(), "mode"); err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
}

func eventsComeLatestFirst(t *testing.T, s auth.Store) {
	plain := auth.Event{At: authEpoch, Kind: "plain"}
	wantErr(t, "record", s.Record(t.Context(), authEvent("first"), authEvent("second")), nil)
	wantErr(t, "record", s.Record(t.Context(), plain), nil)
	wantErr(t, "record nothing", s.Record(t.Context()), nil)
	got, err := s.Events(t.Context(), 0, 2)
	if err != nil || len(got) != 2 || got[0].Kind != "plain" || got[1].Kind != "second" || got[0].ID <= got[1].ID {
		t.Fatalf("first page %+v, %v", got, err)
	}
	if plain.ID = got[0].ID; got[0] != plain {
		t.Errorf("%+v, want %+v", got[0], plain)
	}
	got, err = s.Events(t.Context(), got[1].ID, 2)
	if err != nil || len(got) != 1 {
		t.Fatalf("second page %+v, %v", got, err)
	}
	want := authEvent("first")
	if want.ID = got[0].ID; got[0] != want {
		t.Errorf("%+v, want %+v", got[0], want)
	}
}
