package auth

import (
	"sync"

	"github.com/google/uuid"
)

// cache holds what the store said, so that a good token costs no read.
//
// A reader notes the epoch, reads the store and puts the answer. Every change
// moves the epoch on after it was stored, so an answer from before the change
// finds another epoch and is not kept, and one that was put already is dropped.
type cache struct {
	max int // sessions, and accounts by key

	mu       sync.RWMutex // guards the fields below
	epoch    uint64
	sessions map[uuid.UUID]*cachedSession
	accounts map[PublicKey]Account
	settings map[string]string
}

// cachedSession is never changed, only replaced.
type cachedSession struct {
	session Session
	account Account
}

func newCache(max int) *cache {
	return &cache{
		max:      max,
		sessions: make(map[uuid.UUID]*cachedSession),
		accounts: make(map[PublicKey]Account),
		settings: make(map[string]string),
	}
}

// now returns the epoch, to be noted before a read of the store.
func (c *cache) now() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.epoch
}

func (c *cache) session(id uuid.UUID) *cachedSession {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.sessions[id]
}

func (c *cache) account(key PublicKey) (Account, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	a, ok := c.accounts[key]
	return a, ok
}

func (c *cache) setting(name string) (value string, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	value, ok = c.settings[name]
	return value, ok
}

func (c *cache) putSession(epoch uint64, id uuid.UUID, e *cachedSession) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch == epoch {
		makeRoom(c.sessions, c.max)
		c.sessions[id] = e
	}
}

func (c *cache) putAccount(epoch uint64, a Account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch == epoch {
		makeRoom(c.accounts, c.max)
		c.accounts[a.PublicKey] = a
	}
}

func (c *cache) putSetting(epoch uint64, name, value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch == epoch {
		makeRoom(c.settings, c.max)
		c.settings[name] = value
	}
}

// makeRoom drops entries of m, any of them, until one more fits.
func makeRoom[K comparable, V any](m map[K]V, max int) {
	for k := range m {
		if len(m) < max {
			return
		}
		delete(m, k)
	}
}

// dropSession forgets a session after it was changed.
func (c *cache) dropSession(id uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	delete(c.sessions, id)
}

// dropAccount forgets an account and its sessions after it was changed. It looks
// at every entry: accounts change seldom.
func (c *cache) dropAccount(id AccountID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	for k, e := range c.sessions {
		if e.account.ID == id {
			delete(c.sessions, k)
		}
	}
	for k, a := range c.accounts {
		if a.ID == id {
			delete(c.accounts, k)
		}
	}
}

func (c *cache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	clear(c.sessions)
	clear(c.accounts)
	clear(c.settings)
}
