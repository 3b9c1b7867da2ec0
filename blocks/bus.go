package blocks

import "sync"

// Commit is what one transaction did to one block, told after it is on disk.
type Commit struct {
	Key    BlockKey
	First  Seq    // of the updates in it; 0: no update was logged
	Last   Seq    // the block's head
	At     int64  // ms
	Update []byte // all of them, merged; format V1; nil if there is none
	// Source is the Source of their Author when it is the same for all, else nil.
	Source      any
	StateVector []byte // after the commit
	Created     bool   // the block is new
	Deleted     bool   // for good: Last is its tombstone's, and there is nothing else
}

// Bus carries commits to whoever relays them: in this process, or by a broker
// to others.
type Bus interface {
	Publish(Commit)
	// Subscribe calls fn for every commit, in order, one at a time, until cancel.
	Subscribe(fn func(Commit)) (cancel func())
}

// localBus is the Bus of one process. Publish is called by one goroutine.
type localBus struct {
	// mu guards subscribers.
	mu          sync.RWMutex
	subscribers map[int]func(Commit)
	next        int
}

func (b *localBus) Publish(c Commit) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, fn := range b.subscribers {
		fn(c)
	}
}

func (b *localBus) Subscribe(fn func(Commit)) (cancel func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.subscribers == nil {
		b.subscribers = make(map[int]func(Commit))
	}
	id := b.next
	b.next++
	b.subscribers[id] = fn
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subscribers, id)
	}
}
