package ydoc_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

// joined are the ends of tags for formats that begin again at once: how formatted text
// is cut into runs is no part of its content.
var joined = regexp.MustCompile(`</color><color 0="r" 1="e" 2="d">|</bold><bold>|</color><color deep="1">`)

func joinRuns(v any) any {
	switch v := v.(type) {
	case string:
		for joined.MatchString(v) {
			v = joined.ReplaceAllString(v, "")
		}
		return v
	case []any:
		for i, e := range v {
			v[i] = joinRuns(e)
		}
	case map[string]any:
		for k, e := range v {
			v[k] = joinRuns(e)
		}
	}
	return v
}

func TestRestoreMakesEveryClientSeeTheOldContent(t *testing.T) {
	y := startYjs(t)
	rng := seeded(t)
	for range *docSessions {
		s := y.session(t, rng)
		updates := unhexAll(t, s.V1)
		n := rng.IntN(len(updates))
		keep := rng.IntN(2) == 0
		old, now := declared(ydoc.Options{}), declared(ydoc.Options{ClientID: 99, KeepDeleted: keep})
		applyAll(t, old, ydoc.V1, updates[:n])
		applyAll(t, now, ydoc.V1, updates)
		if old.Pending() {
			continue
		}
		want := joinRuns(readLikePeer(old))
		if keep {
			var err error
			if old, err = now.At(old.Snapshot()); err != nil {
				t.Fatal(err)
			}
			// A pair of surrogates that an edit has come between since is U+FFFD now.
			got := joinRuns(readLikePeer(old))
			if !reflect.DeepEqual(got, want) && !strings.Contains(fmt.Sprint(got), "\ufffd") {
				t.Fatalf("at the snapshot:\n got %v\nwant %v", got, want)
			}
			want = got
		}
		if tx := now.Restore(old); !tx.Empty() {
			updates = append(updates, tx.Update(ydoc.V1))
		}
		if err := now.Check(); err != nil {
			t.Fatal(err)
		}
		if got := joinRuns(readLikePeer(now)); !reflect.DeepEqual(got, want) {
			t.Fatalf("restored:\n got %v\nwant %v", got, want)
		}
		var read map[string]any
		if err := json.Unmarshal([]byte(y.apply(t, ydoc.V1, true, updates...).Read), &read); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(joinRuns(read), want) {
			t.Fatalf("restored, as Yjs has it:\n got %v\nwant %v", read, want)
		}
	}
}
