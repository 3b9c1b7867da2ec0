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

// Challenges tests what auth.ChallengeStore promises. open returns a new, empty
// store each time.
func Challenges(t *testing.T, open func(testing.TB) auth.ChallengeStore) {
	for _, sub := range []struct {
		name string
		run  func(*testing.T, auth.ChallengeStore)
	}{
		{"ChallengeIsSpentOnce", challengeIsSpentOnce},
		{"ChallengeBelongsToItsKey", challengeBelongsToItsKey},
		{"ChallengeExpires", challengeExpires},
		{"OldestChallengesGiveWay", oldestChallengesGiveWay},
		{"ExpiredChallengesDoNotCount", expiredChallengesDoNotCount},
	} {
		t.Run(sub.name, func(t *testing.T) { sub.run(t, open(t)) })
	}
}

func authChallenge(n, key int) auth.Challenge {
	at := authEpoch.Add(time.Duration(n) * time.Second)
	return auth.Challenge{
		Hash: authHash(n), Key: authKey(key), Email: fmt.Sprintf("a%d@example.org", n),
		From:   netip.MustParsePrefix(fmt.Sprintf("10.0.0.%d/32", key)),
		Issued: at, Expires: at.Add(2 * time.Minute),
	}
}

func challengeIsSpentOnce(t *testing.T, s auth.ChallengeStore) {
	c := authChallenge(1, 1)
	wantErr(t, "add", s.AddChallenge(t.Context(), c, auth.ChallengeLimits{}), nil)
	var wg sync.WaitGroup
	var spent atomic.Int32
	for range 20 {
		wg.Go(func() {
			got, err := s.SpendChallenge(t.Context(), c.Hash, c.Key, c.Issued)
			switch {
			case err == nil:
				spent.Add(1)
				if got.Email != c.Email {
					t.Errorf("email %q, want %q", got.Email, c.Email)
				}
			case !errors.Is(err, auth.ErrNotFound):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := spent.Load(); n != 1 {
		t.Errorf("spent %d times", n)
	}
}

func challengeBelongsToItsKey(t *testing.T, s auth.ChallengeStore) {
	c := authChallenge(1, 1)
	wantErr(t, "add", s.AddChallenge(t.Context(), c, auth.ChallengeLimits{}), nil)
	_, err := s.SpendChallenge(t.Context(), c.Hash, authKey(2), c.Issued)
	wantErr(t, "with another key", err, auth.ErrNotFound)
	_, err = s.SpendChallenge(t.Context(), authHash(2), c.Key, c.Issued)
	wantErr(t, "with another text", err, auth.ErrNotFound)
	_, err = s.SpendChallenge(t.Context(), c.Hash, c.Key, c.Issued)
	wantErr(t, "after that", err, nil)
}

func challengeExpires(t *testing.T, s auth.ChallengeStore) {
	for n, at := range map[int]time.Duration{1: 2 * time.Minute, 2: 2*time.Minute + time.Millisecond} {
		c := authChallenge(n, n)
		wantErr(t, "add", s.AddChallenge(t.Context(), c, auth.ChallengeLimits{}), nil)
		_, err := s.SpendChallenge(t.Context(), c.Hash, c.Key, c.Issued.Add(at))
		wantErr(t, fmt.Sprint("after ", at), err, auth.ErrNotFound)
	}
	c := authChallenge(3, 3)
	wantErr(t, "add", s.AddChallenge(t.Context(), c, auth.ChallengeLimits{}), nil)
	_, err := s.SpendChallenge(t.Context(), c.Hash, c.Key, c.Expires.Add(-time.Millisecond))
	wantErr(t, "just in time", err, nil)
}

// openChallenges returns which of the challenges 1 to n are open, spending them.
func openChallenges(t *testing.T, s auth.ChallengeStore, keys []int) (open []int) {
	t.Helper()
	for i, key := range keys {
		_, err := s.SpendChallenge(t.Context(), authHash(i+1), authKey(key), authEpoch.Add(time.Minute))
		if err == nil {
			open = append(open, i+1)
		} else if !errors.Is(err, auth.ErrNotFound) {
			t.Fatal(err)
		}
	}
	return open
}

func oldestChallengesGiveWay(t *testing.T, s auth.ChallengeStore) {
	for _, test := range []struct {
		name   string
		limits auth.ChallengeLimits
		keys   []int // of challenge 1, 2, …; a key's address has its number
		one    bool  // all have the address of the first
		want   []int
	}{
		{"no limit", auth.ChallengeLimits{}, []int{1, 1, 1, 2}, false, []int{1, 2, 3, 4}},
		{"of a key", auth.ChallengeLimits{PerKey: 2}, []int{1, 2, 1, 1, 1}, false, []int{2, 4, 5}},
		{"of an address", auth.ChallengeLimits{PerIP: 2}, []int{1, 2, 3, 4}, true, []int{3, 4}},
		{"of all", auth.ChallengeLimits{Total: 3}, []int{1, 2, 3, 4, 5}, false, []int{3, 4, 5}},
		{"of both", auth.ChallengeLimits{PerKey: 2, Total: 3}, []int{1, 2, 2, 2, 3}, false, []int{3, 4, 5}},
	} {
		for i, key := range test.keys {
			c := authChallenge(i+1, key)
			if test.one {
				c.From = netip.MustParsePrefix("2001:db8::/64")
			}
			wantErr(t, "add", s.AddChallenge(t.Context(), c, test.limits), nil)
		}
		if got := openChallenges(t, s, test.keys); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v are open, want %v", test.name, got, test.want)
		}
	}
}

func expiredChallengesDoNotCount(t *testing.T, s auth.ChallengeStore) {
	limits := auth.ChallengeLimits{PerKey: 2, PerIP: 2, Total: 2}
	for n := range 2 {
		wantErr(t, "add", s.AddChallenge(t.Context(), authChallenge(n, 1), limits), nil)
	}
	for n := 130; n < 132; n++ { // seconds later
		wantErr(t, "add", s.AddChallenge(t.Context(), authChallenge(n, 1), limits), nil)
	}
	for n := 130; n < 132; n++ {
		_, err := s.SpendChallenge(t.Context(), authHash(n), authKey(1), authEpoch.Add(131*time.Second))
		wantErr(t, "spend", err, nil)
	}
}
