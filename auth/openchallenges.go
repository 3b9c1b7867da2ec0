package auth

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// MemoryChallenges is a ChallengeStore for a server of one process. Challenges
// need not outlive it: a client whose challenge is unknown asks for another. So
// asking, which anyone may do, costs no write to the disk.
type MemoryChallenges struct {
	mu     sync.Mutex // guards the fields below
	byHash map[Hash]*openChallenge
	all    list.List          // of *openChallenge, the oldest first
	groups map[any]*list.List // the same, by PublicKey and by netip.Prefix
}

// openChallenge knows its places in the lists that it is in.
type openChallenge struct {
	Challenge
	inAll, ofKey, ofOrigin *list.Element
}

// AddChallenge implements ChallengeStore.
func (m *MemoryChallenges) AddChallenge(_ context.Context, c Challenge, limits ChallengeLimits) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byHash == nil {
		m.byHash, m.groups = make(map[Hash]*openChallenge), make(map[any]*list.List)
	}
	for first := m.all.Front(); first != nil && !c.Issued.Before(expiry(first)); first = m.all.Front() {
		m.remove(first.Value.(*openChallenge))
	}
	o := &openChallenge{Challenge: c}
	m.byHash[c.Hash] = o
	o.inAll = m.all.PushBack(o)
	o.ofKey = m.group(c.Key).PushBack(o)
	o.ofOrigin = m.group(c.From).PushBack(o)
	m.trim(m.groups[c.Key], limits.PerKey)
	m.trim(m.groups[c.From], limits.PerIP)
	m.trim(&m.all, limits.Total)
	return nil
}

// SpendChallenge implements ChallengeStore.
func (m *MemoryChallenges) SpendChallenge(_ context.Context, hash Hash, key PublicKey, now time.Time) (Challenge, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.byHash[hash]
	if o == nil || o.Key != key {
		return Challenge{}, ErrNotFound
	}
	m.remove(o)
	if !now.Before(o.Expires) {
		return Challenge{}, ErrNotFound
	}
	return o.Challenge, nil
}

func expiry(e *list.Element) time.Time { return e.Value.(*openChallenge).Expires }

func (m *MemoryChallenges) group(of any) *list.List {
	l := m.groups[of]
	if l == nil {
		l = list.New()
		m.groups[of] = l
	}
	return l
}

// trim removes the oldest of l until limit are left.
func (m *MemoryChallenges) trim(l *list.List, limit int) {
	for limit > 0 && l.Len() > limit {
		m.remove(l.Front().Value.(*openChallenge))
	}
}

func (m *MemoryChallenges) remove(o *openChallenge) {
	delete(m.byHash, o.Hash)
	m.all.Remove(o.inAll)
	m.leave(o.Key, o.ofKey)
	m.leave(o.From, o.ofOrigin)
}

func (m *MemoryChallenges) leave(group any, e *list.Element) {
	l := m.groups[group]
	l.Remove(e)
	if l.Len() == 0 {
		delete(m.groups, group)
	}
}
