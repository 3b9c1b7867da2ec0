package blocks

import (
	"context"
	"errors"
	"fmt"

	"github.com/heapsync/heapsync/ydoc"
)

// A client id belongs, within a block, to the user who first used it. Others may
// bring its items (a peer that heard them offline), but only in sequence, and
// nothing that would silence it: no GC or Skip, and no deletion, beyond what the
// server knows of it.

// checkClocks refuses an update that claims what is another user's. a.mu is held.
func (l *Log) checkClocks(ctx context.Context, a *activeBlock, in *incoming) error {
	if err := l.loadOwners(ctx, a, in.u); err != nil {
		return err
	}
	var client ydoc.ClientID
	var known ydoc.Clock
	var foreign, begun bool
	ends := make(map[ydoc.ClientID]ydoc.Clock)
	for s := range in.u.Structs() {
		if !begun || s.Client != client {
			begun, client = true, s.Client
			known, foreign = a.sv.Next(client), a.foreign(client, in.Author.User)
		}
		if !foreign {
			continue
		}
		end := s.Clock + ydoc.Clock(s.Len)
		if end > known && (s.Kind != ydoc.Item || s.Clock > known) {
			return l.foreignAhead(ctx, a, in, client, "structs")
		}
		known = max(known, end)
		ends[client] = known
	}
	for client, r := range in.u.Deletes() {
		if !a.foreign(client, in.Author.User) {
			continue
		}
		if r.To > max(a.sv.Next(client), ends[client]) {
			return l.foreignAhead(ctx, a, in, client, "deletions")
		}
	}
	return nil
}

func (l *Log) foreignAhead(ctx context.Context, a *activeBlock, in *incoming, client ydoc.ClientID, what string) error {
	detail := fmt.Sprintf("the update holds %s of client id %d, which is another user's, beyond what the server knows of it", what, client)
	l.audit(ctx, in.Author, a.key, CodeForeignClockAhead, detail)
	return &Refusal{CodeForeignClockAhead, detail}
}

// foreign says whether client is known here and is not the user's. Its owner
// must have been loaded.
func (a *activeBlock) foreign(client ydoc.ClientID, user UserID) bool {
	if a.sv.Next(client) == 0 {
		return false
	}
	return a.owners[client] != user
}

// loadOwners reads the owners of all known clients in u that are not in memory.
func (l *Log) loadOwners(ctx context.Context, a *activeBlock, u *ydoc.Update) error {
	if a.owners == nil {
		a.owners = make(map[ydoc.ClientID]UserID)
	}
	var missing []ydoc.ClientID
	want := func(c ydoc.ClientID) {
		if n := len(missing); n > 0 && missing[n-1] == c {
			return
		}
		if _, have := a.owners[c]; !have && a.sv.Next(c) > 0 {
			missing = append(missing, c)
		}
	}
	for s := range u.Structs() {
		want(s.Client)
	}
	for c := range u.Deletes() {
		want(c)
	}
	if len(missing) == 0 {
		return nil
	}
	claims, err := l.store.Claims(ctx, a.head.Ref, missing)
	if err != nil {
		return fmt.Errorf("read claims of %s: %w", a.key, err)
	}
	for _, c := range claims {
		a.owners[c.Client] = c.User
	}
	return nil
}

// newClaims returns the clients that u, which is accepted, uses for the first
// time, and remembers them.
func (a *activeBlock) newClaims(user UserID, u *ydoc.Update) []Claim {
	var claims []Claim
	var last ydoc.ClientID
	var begun bool
	for s := range u.Structs() {
		if begun && s.Client == last {
			continue
		}
		begun, last = true, s.Client
		if a.sv.Next(s.Client) == 0 {
			claims = append(claims, Claim{s.Client, user})
			a.owners[s.Client] = user
		}
	}
	return claims
}

// revivesInert looks for client ids of other users that the state knows by nothing but
// GC structs, and of which u has live items, and returns where these begin. Such an id
// was taken by somebody before its real user's first edit came, and the real user
// must hear it, or these items would count as known and be lost; or else a snapshot
// was collected, which dropLive finds out.
func (a *activeBlock) revivesInert(user UserID, u, state *ydoc.Update) map[ydoc.ClientID]ydoc.ID {
	suspects := make(map[ydoc.ClientID]ydoc.ID)
	for s := range u.Structs() {
		if _, have := suspects[s.Client]; !have && s.Kind == ydoc.Item &&
			s.Clock < a.sv.Next(s.Client) && a.foreign(s.Client, user) {
			suspects[s.Client] = ydoc.ID{Client: s.Client, Clock: s.Clock}
		}
	}
	dropItems(suspects, state)
	return suspects
}

// dropItems removes the clients of which u has items.
func dropItems(suspects map[ydoc.ClientID]ydoc.ID, u *ydoc.Update) {
	if len(suspects) == 0 {
		return
	}
	for s := range u.Structs() {
		if s.Kind == ydoc.Item {
			delete(suspects, s.Client)
		}
	}
}

// errFound ends a replay early.
var errFound = errors.New("found")

// dropLive removes the clients that had live items once, which were collected when
// they were deleted. It reads the block's log, which is rarely necessary.
func (l *Log) dropLive(ctx context.Context, head Head, suspects map[ydoc.ClientID]ydoc.ID) error {
	if head.SnapshotSeq == 0 {
		return nil
	}
	var m ydoc.Merger
	err := l.store.Replay(ctx, head.Ref, head.SnapshotSeq, func(w Window) error {
		m.Reset()
		if err := m.Add(w.Update, w.format()); err != nil {
			return fmt.Errorf("part up to %d: %v: %w", w.To, err, ErrCorrupt)
		}
		if dropItems(suspects, m.Update()); len(suspects) == 0 {
			return errFound
		}
		return nil
	})
	if errors.Is(err, errFound) {
		return nil
	}
	return err
}
