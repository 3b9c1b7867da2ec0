package auth_test

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/heapsync/heapsync/auth"
)

// memStore is an auth.Store in memory. It passes the same conformance suite as
// the real ones (TestMemStoreKeepsThePromises), so what holds on it holds there.
type memStore struct {
	mu        sync.Mutex // guards the fields below
	accounts  map[auth.AccountID]auth.Account
	sessions  map[auth.SessionID]auth.Session
	claim     *auth.Hash
	settings  map[string]string
	events    []auth.Event
	reads     int    // of sessions and accounts
	fail      error  // if set, what every call returns
	afterRead func() // if set, is called once, after a session was read
}

func newMemStore(testing.TB) auth.Store {
	return &memStore{
		accounts: map[auth.AccountID]auth.Account{},
		sessions: map[auth.SessionID]auth.Session{},
		settings: map[string]string{},
	}
}

func (m *memStore) lock() (unlock func(), err error) {
	m.mu.Lock()
	return m.mu.Unlock, m.fail
}

func (m *memStore) setFail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

func (m *memStore) readCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads
}

func (m *memStore) record(evs ...auth.Event) {
	for _, ev := range evs {
		ev.ID = 1
		if n := len(m.events); n > 0 {
			ev.ID = m.events[n-1].ID + 1
		}
		m.events = append(m.events, ev)
	}
}

func (m *memStore) Account(_ context.Context, id auth.AccountID) (auth.Account, error) {
	unlock, err := m.lock()
	defer unlock()
	m.reads++
	a, ok := m.accounts[id]
	if err == nil && !ok {
		err = auth.ErrNotFound
	}
	return a, err
}

func (m *memStore) byKey(k auth.PublicKey) (auth.Account, bool) {
	for _, a := range m.accounts {
		if a.PublicKey == k {
			return a, true
		}
	}
	return auth.Account{}, false
}

func (m *memStore) AccountByKey(_ context.Context, k auth.PublicKey) (auth.Account, error) {
	unlock, err := m.lock()
	defer unlock()
	m.reads++
	a, ok := m.byKey(k)
	if err == nil && !ok {
		err = auth.ErrNotFound
	}
	return a, err
}

func (m *memStore) Accounts(_ context.Context, after auth.AccountID, limit int) ([]auth.Account, error) {
	unlock, err := m.lock()
	defer unlock()
	var out []auth.Account
	for _, id := range slices.Sorted(maps.Keys(m.accounts)) {
		if id > after && len(out) < limit {
			out = append(out, m.accounts[id])
		}
	}
	return out, err
}

func (m *memStore) CountAccounts(context.Context) (auth.Counts, error) {
	unlock, err := m.lock()
	defer unlock()
	c := auth.Counts{Admins: int64(m.otherAdmins("")), Sessions: int64(len(m.sessions))}
	for _, a := range m.accounts {
		switch a.Status {
		case auth.StatusPending:
			c.Pending++
		case auth.StatusActive:
			c.Active++
		case auth.StatusBlocked:
			c.Blocked++
		}
	}
	return c, err
}

func (m *memStore) AddAccount(_ context.Context, a auth.Account, maxPending int, ev auth.Event) (auth.Account, error) {
	unlock, err := m.lock()
	defer unlock()
	if err != nil {
		return a, err
	}
	if old, ok := m.byKey(a.PublicKey); ok {
		return old, nil
	}
	pending := 0
	for _, o := range m.accounts {
		if o.Status == auth.StatusPending {
			pending++
		}
	}
	if a.Status == auth.StatusPending && maxPending > 0 && pending >= maxPending {
		return a, auth.ErrTooManyPending
	}
	m.accounts[a.ID] = a
	m.record(ev)
	return a, nil
}

func (m *memStore) otherAdmins(id auth.AccountID) int {
	n := 0
	for _, a := range m.accounts {
		if a.Admin && a.Status == auth.StatusActive && a.ID != id {
			n++
		}
	}
	return n
}

func (m *memStore) endSessions(id auth.AccountID) {
	maps.DeleteFunc(m.sessions, func(_ auth.SessionID, s auth.Session) bool { return s.Account == id })
}

func (m *memStore) ChangeAccount(_ context.Context, id auth.AccountID, ev auth.Event, change func(*auth.Account, int) error) (auth.Account, error) {
	unlock, err := m.lock()
	defer unlock()
	if err != nil {
		return auth.Account{}, err
	}
	a, ok := m.accounts[id]
	if !ok {
		return a, auth.ErrNotFound
	}
	if err := change(&a, m.otherAdmins(id)); err != nil {
		return auth.Account{}, err
	}
	m.accounts[id] = a
	if a.Status != auth.StatusActive {
		m.endSessions(id)
	}
	m.record(ev)
	return a, nil
}

func (m *memStore) DeleteAccount(_ context.Context, id auth.AccountID, ev auth.Event, allow func(auth.Account, int) error) error {
	unlock, err := m.lock()
	defer unlock()
	if err != nil {
		return err
	}
	a, ok := m.accounts[id]
	if !ok {
		return auth.ErrNotFound
	}
	if err := allow(a, m.otherAdmins(id)); err != nil {
		return err
	}
	delete(m.accounts, id)
	m.endSessions(id)
	m.record(ev)
	return nil
}

func (m *memStore) AddSession(_ context.Context, s auth.Session, ev auth.Event) error {
	unlock, err := m.lock()
	defer unlock()
	if err != nil {
		return err
	}
	a, ok := m.accounts[s.Account]
	if !ok || a.Status != auth.StatusActive {
		return auth.ErrNotFound
	}
	a.LastSeenAt = s.LastSeenAt
	m.accounts[a.ID] = a
	m.sessions[s.ID] = s
	m.record(ev)
	return nil
}

func (m *memStore) Session(_ context.Context, id auth.SessionID) (auth.Session, auth.Account, error) {
	unlock, err := m.lock()
	m.reads++
	s, ok := m.sessions[id]
	if err == nil && !ok {
		err = auth.ErrNotFound
	}
	a, after := m.accounts[s.Account], m.afterRead
	m.afterRead = nil
	unlock()
	if after != nil {
		after()
	}
	return s, a, err
}

func (m *memStore) Sessions(_ context.Context, account auth.AccountID) ([]auth.Session, error) {
	unlock, err := m.lock()
	defer unlock()
	return m.sessionsOf(account), err
}

func (m *memStore) sessionsOf(account auth.AccountID) []auth.Session {
	var out []auth.Session
	for _, s := range m.sessions {
		if s.Account == account {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b auth.Session) int {
		return cmp.Or(b.LastSeenAt.Compare(a.LastSeenAt), cmp.Compare(b.ID, a.ID))
	})
	return out
}

func (m *memStore) ChangeSession(_ context.Context, id auth.SessionID, change func(*auth.Session, auth.Account) ([]auth.Event, error)) error {
	unlock, err := m.lock()
	defer unlock()
	if err != nil {
		return err
	}
	s, ok := m.sessions[id]
	if !ok {
		return auth.ErrNotFound
	}
	a := m.accounts[s.Account]
	evs, err := change(&s, a)
	if err != nil {
		return err
	}
	if m.sessions[id] = s; s.Revoked {
		delete(m.sessions, id)
	}
	if s.LastSeenAt.After(a.LastSeenAt) {
		a.LastSeenAt = s.LastSeenAt
		m.accounts[a.ID] = a
	}
	m.record(evs...)
	return nil
}

func (m *memStore) anyAdmin() bool { return m.otherAdmins("") > 0 }

func (m *memStore) OpenClaim(_ context.Context, h auth.Hash) error {
	unlock, err := m.lock()
	defer unlock()
	if err != nil {
		return err
	}
	if m.anyAdmin() {
		m.claim = nil
		return auth.ErrClaim
	}
	m.claim = &h
	return nil
}

func (m *memStore) Claim(_ context.Context, h auth.Hash, a auth.Account, ev auth.Event) (auth.Account, error) {
	unlock, err := m.lock()
	defer unlock()
	if err != nil {
		return a, err
	}
	if old, ok := m.byKey(a.PublicKey); ok {
		a = old
	}
	if m.claim == nil || *m.claim != h || m.anyAdmin() || a.Status == auth.StatusBlocked {
		return a, auth.ErrClaim
	}
	a.Status, a.Admin = auth.StatusActive, true
	ev.Actor, ev.Account = a.ID, a.ID
	m.accounts[a.ID], m.claim = a, nil
	m.record(ev)
	return a, nil
}

func (m *memStore) Setting(_ context.Context, name string) (string, error) {
	unlock, err := m.lock()
	defer unlock()
	return m.settings[name], err
}

func (m *memStore) PutSetting(_ context.Context, name, value string, ev auth.Event) error {
	unlock, err := m.lock()
	defer unlock()
	if err == nil {
		m.settings[name] = value
		m.record(ev)
	}
	return err
}

func (m *memStore) Record(_ context.Context, evs ...auth.Event) error {
	unlock, err := m.lock()
	defer unlock()
	if err == nil {
		m.record(evs...)
	}
	return err
}

func (m *memStore) Events(_ context.Context, before int64, limit int) ([]auth.Event, error) {
	unlock, err := m.lock()
	defer unlock()
	var out []auth.Event
	for _, ev := range slices.Backward(m.events) {
		if (before == 0 || ev.ID < before) && len(out) < limit {
			out = append(out, ev)
		}
	}
	return out, err
}

func (m *memStore) Sweep(_ context.Context, now, auditFrom time.Time, maxSessions int) ([]auth.SessionID, error) {
	unlock, err := m.lock()
	defer unlock()
	if err != nil {
		return nil, err
	}
	m.events = slices.DeleteFunc(m.events, func(ev auth.Event) bool { return ev.At.Before(auditFrom) })
	var gone []auth.SessionID
	for id := range m.accounts {
		kept := 0
		for _, s := range m.sessionsOf(id) {
			if now.Before(s.RefreshExpires) && (maxSessions == 0 || kept < maxSessions) {
				kept++
				continue
			}
			gone = append(gone, s.ID)
			delete(m.sessions, s.ID)
		}
	}
	return gone, nil
}
