package storetest

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/heapsync/heapsync/auth"
)

func authSession(t *testing.T, s auth.Store, n int, account auth.AccountID) auth.Session {
	t.Helper()
	ses := newAuthSession(n, account)
	if err := s.AddSession(t.Context(), ses, authEvent("began")); err != nil {
		t.Fatal(err)
	}
	return ses
}

func newAuthSession(n int, account auth.AccountID) auth.Session {
	at := authEpoch.Add(time.Duration(n) * time.Minute)
	return auth.Session{
		ID: auth.SessionID(fmt.Sprintf("session-%04d", n)), Account: account, DeviceName: "phone",
		IP: netip.MustParseAddr("192.0.2.1"), CreatedAt: at, LastSeenAt: at,
		Access: authHash(2 * n), AccessExpires: at.Add(time.Minute),
		Refresh: authHash(2*n + 1), RefreshExpires: at.Add(time.Hour),
	}
}

func sessionComesBack(t *testing.T, s auth.Store) {
	a := authAccount(t, s, 1)
	_, _, err := s.Session(t.Context(), "session-0001")
	wantErr(t, "before", err, auth.ErrNotFound)
	want := authSession(t, s, 1, a.ID)
	got, account, err := s.Session(t.Context(), want.ID)
	a.LastSeenAt = want.LastSeenAt
	if err != nil || got != want || account != a {
		t.Errorf("%+v of %+v, %v, want %+v of %+v", got, account, err, want, a)
	}
}

func sessionNeedsAnActiveAccount(t *testing.T, s auth.Store) {
	err := s.AddSession(t.Context(), newAuthSession(1, "nobody"), authEvent("began"))
	wantErr(t, "of nobody", err, auth.ErrNotFound)
	a := newAuthAccount(1)
	a.Status = auth.StatusPending
	_, err = s.AddAccount(t.Context(), a, 0, authEvent("added"))
	wantErr(t, "add account", err, nil)
	err = s.AddSession(t.Context(), newAuthSession(1, a.ID), authEvent("began"))
	wantErr(t, "of a pending account", err, auth.ErrNotFound)
	if got := kinds(t, s); !slices.Equal(got, []auth.EventKind{"added"}) {
		t.Errorf("events %v", got)
	}
}

func sessionChanges(t *testing.T, s auth.Store) {
	a := authAccount(t, s, 1)
	want := authSession(t, s, 1, a.ID)
	at := want.LastSeenAt.Add(time.Minute)
	err := s.ChangeSession(t.Context(), want.ID, func(ses *auth.Session, account auth.Account) ([]auth.Event, error) {
		if *ses != want || account.ID != a.ID {
			t.Errorf("change sees %+v of %+v", ses, account)
		}
		ses.Generation, ses.PairUsed, ses.RotatedAt, ses.LastSeenAt = 1<<32-1, true, at, at
		ses.LastAccess, ses.LastAccessExpires, ses.LastRefresh = ses.Access, ses.AccessExpires, ses.Refresh
		ses.Access, ses.Refresh = authHash(100), authHash(101)
		ses.IP = netip.MustParseAddr("2001:db8::7")
		want = *ses
		return []auth.Event{authEvent("changed")}, nil
	})
	wantErr(t, "change", err, nil)
	got, account, err := s.Session(t.Context(), want.ID)
	if err != nil || got != want || !account.LastSeenAt.Equal(at) {
		t.Errorf("%+v of %+v, %v, want %+v", got, account, err, want)
	}
	err = s.ChangeSession(t.Context(), want.ID, func(ses *auth.Session, _ auth.Account) ([]auth.Event, error) {
		ses.Revoked = true
		return []auth.Event{authEvent("revoked")}, nil
	})
	wantErr(t, "revoke", err, nil)
	_, _, err = s.Session(t.Context(), want.ID)
	wantErr(t, "after that", err, auth.ErrNotFound)
	err = s.ChangeSession(t.Context(), want.ID, func(*auth.Session, auth.Account) ([]auth.Event, error) {
		t.Error("called for none")
		return nil, nil
	})
	wantErr(t, "change of none", err, auth.ErrNotFound)
	if got := kinds(t, s); !slices.Equal(got, []auth.EventKind{"added", "began", "changed", "revoked"}) {
		t.Errorf("events %v", got)
	}
}

func sessionChangesOneAfterTheOther(t *testing.T, s auth.Store) {
	a := authAccount(t, s, 1)
	ses := authSession(t, s, 1, a.ID)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			err := s.ChangeSession(t.Context(), ses.ID, func(ses *auth.Session, _ auth.Account) ([]auth.Event, error) {
				ses.Generation++
				return nil, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, _, err := s.Session(t.Context(), ses.ID); err != nil || got.Generation != 20 {
		t.Errorf("generation %d, %v, want 20", got.Generation, err)
	}
}

func sessionsAreListedLastSeenFirst(t *testing.T, s auth.Store) {
	a, other := authAccount(t, s, 1), authAccount(t, s, 2)
	for _, n := range []int{2, 3, 1} {
		authSession(t, s, n, a.ID)
	}
	authSession(t, s, 4, other.ID)
	got, err := s.Sessions(t.Context(), a.ID)
	wantErr(t, "list", err, nil)
	want := []auth.Session{newAuthSession(3, a.ID), newAuthSession(2, a.ID), newAuthSession(1, a.ID)}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func sweepRemovesWhatHadItsTime(t *testing.T, s auth.Store) {
	a := authAccount(t, s, 1)
	authSession(t, s, 1, a.ID)
	kept := authSession(t, s, 2, a.ID)
	now := newAuthSession(1, a.ID).RefreshExpires
	late := authEvent("late")
	late.At = now
	wantErr(t, "record", s.Record(t.Context(), late), nil)
	gone, err := s.Sweep(t.Context(), now, now, 0)
	if err != nil || !slices.Equal(gone, []auth.SessionID{"session-0001"}) {
		t.Errorf("swept %v, %v", gone, err)
	}
	_, _, err = s.Session(t.Context(), "session-0001")
	wantErr(t, "expired session", err, auth.ErrNotFound)
	_, _, err = s.Session(t.Context(), kept.ID)
	wantErr(t, "good session", err, nil)
	if got := kinds(t, s); !slices.Equal(got, []auth.EventKind{"late"}) {
		t.Errorf("events %v", got)
	}
	gone, err = s.Sweep(t.Context(), now, now, 0)
	if err != nil || len(gone) != 0 {
		t.Errorf("swept again %v, %v", gone, err)
	}
}

func sweepKeepsTheSessionsSeenLast(t *testing.T, s auth.Store) {
	a, other := authAccount(t, s, 1), authAccount(t, s, 2)
	for n := 1; n <= 4; n++ {
		authSession(t, s, n, a.ID)
	}
	authSession(t, s, 5, other.ID)
	now := newAuthSession(1, a.ID).RefreshExpires // the first has expired
	gone, err := s.Sweep(t.Context(), now, time.Time{}, 2)
	slices.Sort(gone)
	if err != nil || !slices.Equal(gone, []auth.SessionID{"session-0001", "session-0002"}) {
		t.Errorf("swept %v, %v", gone, err)
	}
	left, err := s.Sessions(t.Context(), a.ID)
	if err != nil || len(left) != 2 {
		t.Errorf("left %v, %v", left, err)
	}
}
