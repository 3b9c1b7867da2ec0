package ydoc

import (
	"fmt"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// Check walks everything that must hold in a document: that needs a look inside.
func (d *Doc) Check() error {
	seen := make(map[uint32]bool)
	for ci := range d.clients {
		c := &d.clients[ci]
		next := uint32(0)
		for pi, pg := range c.run.pages {
			if len(pg.entries) == 0 || len(pg.entries) > maxPage || pg.first != pg.entries[0].clock {
				return fmt.Errorf("client %d: page %d begins at %d with %d items", c.id, pi, pg.first, len(pg.entries))
			}
			for _, e := range pg.entries {
				i := e.item
				it := &d.items[i]
				if e.clock != it.clock || it.client != uint32(ci) || it.clock != next || it.length == 0 {
					return fmt.Errorf("item %d of client %d: clock %d, want %d", i, c.id, it.clock, next)
				}
				next = it.end()
				seen[i] = true
				if err := d.checkItem(i); err != nil {
					return fmt.Errorf("item %d, %d:%d: %w", i, c.id, it.clock, err)
				}
			}
		}
		if next != c.next {
			return fmt.Errorf("client %d: next is %d, want %d", c.id, c.next, next)
		}
	}
	free := 0
	for i := d.freeItem; i != none; i = d.items[i].next {
		if seen[i] {
			return fmt.Errorf("item %d is free and in use", i)
		}
		free++
	}
	if free+len(seen) != len(d.items) {
		return fmt.Errorf("%d items, %d in use, %d free", len(d.items), len(seen), free)
	}
	for ci := range d.chains {
		if d.chains[ci].branch != none {
			if err := d.checkChain(uint32(ci)); err != nil {
				return fmt.Errorf("chain %d: %w", ci, err)
			}
		}
	}
	return nil
}

func (d *Doc) checkItem(i uint32) error {
	it := &d.items[i]
	if it.isGC() {
		if it.chain != none || !it.deleted() {
			return fmt.Errorf("GC in chain %d, deleted %v", it.chain, it.deleted())
		}
		return nil
	}
	if it.prev == none && d.chains[it.chain].head != i || it.prev != none && d.items[it.prev].next != i {
		return fmt.Errorf("its left neighbour is %d", it.prev)
	}
	if it.next == none && d.chains[it.chain].last != i || it.next != none && d.items[it.next].prev != i {
		return fmt.Errorf("its right neighbour is %d", it.next)
	}
	if it.kind == kindString {
		if n := lib0.Units(d.content(it)); n != int(it.length) {
			return fmt.Errorf("%d units of text, length %d", n, it.length)
		}
	}
	return nil
}

func (d *Doc) checkChain(ci uint32) error {
	c := &d.chains[ci]
	length, last := uint32(0), none
	for i := c.head; i != none; i = d.items[i].next {
		it := &d.items[i]
		if it.chain != ci {
			return fmt.Errorf("item %d is of chain %d", i, it.chain)
		}
		if t := d.treeOf(ci); t != nil {
			if got := t.index(i); got != length {
				return fmt.Errorf("item %d is at %d, its tree says %d", i, length, got)
			}
		}
		if c.isList() == (it.flags&isValue != 0) {
			return fmt.Errorf("item %d is marked a value: %v", i, c.isList())
		}
		if !c.isList() && it.next != none && !it.deleted() {
			// A value of several elements may be cut, see SplitValue.
			if next := &d.items[it.next]; next.client != it.client || next.clock != it.end() {
				return fmt.Errorf("item %d is an old value and not deleted", i)
			}
		}
		length += it.shown()
		last = i
	}
	if last != c.last {
		return fmt.Errorf("last is %d, want %d", c.last, last)
	}
	if c.isList() && length != d.branches[c.branch].length {
		return fmt.Errorf("%d elements, length %d", length, d.branches[c.branch].length)
	}
	return nil
}
