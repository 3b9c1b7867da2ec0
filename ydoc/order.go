package ydoc

import (
	"cmp"
	"slices"
)

// group is the nodes of one client: ascending clocks, no overlap, gaps where
// nothing is known.
type group struct {
	client   ClientID
	from, to uint32
}

// Update is structs and deletions, sorted: what one update or a merge of many
// holds. It refers to the bytes it was read from. The zero value is empty.
// It may be read by many goroutines at once.
type Update struct {
	set
	groups []group // descending clients

	raw    []byte // of DecodeUpdate
	format Format
	room   *decoded // of DecodeUpdate

	spare   []node // memory to sort in
	gcFirst bool   // of structs for one clock a GC struct comes before others, whichever was read first
}

// reset empties u and keeps its memory, but for the bytes it referred to.
func (u *Update) reset() {
	if len(u.srcs) > 0 {
		clear(u.srcs[1:])
		u.srcs = u.srcs[:1]
		u.srcs[0] = u.srcs[0][:0]
	}
	u.nodes, u.parents, u.blocks, u.groups = u.nodes[:0], u.parents[:0], u.blocks[:0], u.groups[:0]
	u.deletes = DeleteSet{ranges: u.deletes.ranges[:0]}
	u.types, u.subs, u.mixed = false, false, false
}

// order sorts what the set holds into groups, drops what is there twice and cuts
// what overlaps; of two structs for one clock the one that begins first stays, then
// a GC struct if gcFirst, then the one that was read first. It may be called again
// after the set has grown.
func (u *Update) order() {
	u.deletes.normalise()
	if u.mixed {
		u.regroup()
		u.sweep()
		u.mixed = false
	}
	u.groups = slices.Grow(u.groups[:0], len(u.blocks))
	for _, b := range u.blocks {
		if b.from < b.to {
			u.groups = append(u.groups, group(b))
		}
	}
}

// sweep drops nodes, and parts of nodes, whose clocks the nodes before them have, and
// joins the GC structs of one source that have become neighbours.
func (u *Update) sweep() {
	kept := uint32(0)
	for k := range u.blocks {
		b := &u.blocks[k]
		from := kept
		end := uint64(0)
		for i := b.from; i < b.to; i++ {
			n := &u.nodes[i]
			if n.end() <= end {
				continue
			}
			if n.clock < end {
				u.cut(n, b.client, end-n.clock)
			}
			end = n.end()
			if n.isGC() && kept > from && u.nodes[kept-1].continues(n) {
				u.nodes[kept-1].length += n.length
				continue
			}
			if kept != i {
				u.nodes[kept] = *n
			}
			kept++
		}
		b.from, b.to = from, kept
	}
	u.nodes = u.nodes[:kept]
}

// ascending reports whether nodes are as sortClocks leaves them.
func (u *Update) ascending(nodes []node) bool {
	for i := 1; i < len(nodes); i++ {
		left, right := &nodes[i-1], &nodes[i]
		if left.clock > right.clock || u.gcFirst && left.clock == right.clock && right.isGC() {
			return false
		}
	}
	return true
}

// regroup moves the nodes so that each client has one block and clocks ascend in
// it, equal ones as order says. It takes time linear in the nodes,
// but for clients whose nodes were read out of order.
func (u *Update) regroup() {
	index := make(map[ClientID]int)
	var blocks []block // one a client; from counts nodes first
	for _, b := range u.blocks {
		i, ok := index[b.client]
		if !ok {
			i = len(blocks)
			index[b.client] = i
			blocks = append(blocks, block{client: b.client})
		}
		blocks[i].from += b.to - b.from
	}
	slices.SortFunc(blocks, func(a, b block) int { return compareDescending(a.client, b.client) })
	at := uint32(0)
	for i := range blocks {
		size := blocks[i].from
		blocks[i].from, blocks[i].to = at, at
		index[blocks[i].client] = i
		at += size
	}
	sorted := slices.Grow(u.spare[:0], len(u.nodes))[:len(u.nodes)]
	for _, b := range u.blocks {
		to := &blocks[index[b.client]].to
		*to += uint32(copy(sorted[*to:], u.nodes[b.from:b.to]))
	}
	u.nodes, u.spare = sorted, u.nodes
	for _, b := range blocks {
		u.sortClocks(b)
	}
	u.blocks = append(u.blocks[:0], blocks...)
}

// sortClocks sorts the nodes of a block, keeping the order of equal clocks, but for GC
// structs if gcFirst. It uses spare, which is as long as nodes.
func (u *Update) sortClocks(b block) {
	nodes := u.nodes[b.from:b.to]
	if u.ascending(nodes) {
		return
	}
	type key struct {
		clock uint64
		rank  uint8
		at    uint32
	}
	keys := make([]key, len(nodes))
	for i := range nodes {
		keys[i] = key{clock: nodes[i].clock, at: uint32(i)}
		if u.gcFirst && !nodes[i].isGC() {
			keys[i].rank = 1
		}
	}
	slices.SortFunc(keys, func(a, b key) int {
		if c := cmp.Compare(a.clock, b.clock); c != 0 {
			return c
		}
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.at, b.at))
	})
	copied := u.spare[b.from:b.to]
	copy(copied, nodes)
	for i, k := range keys {
		nodes[i] = copied[k.at]
	}
}

// find returns the index of the group of client.
func (u *Update) find(client ClientID) (int, bool) {
	return slices.BinarySearchFunc(u.groups, client, func(g group, c ClientID) int {
		return compareDescending(g.client, c)
	})
}

// first returns the index of the first node of g that ends above clock.
func (u *Update) first(g group, clock Clock) uint32 {
	if g.from == g.to || u.nodes[g.from].end() > uint64(clock) {
		return g.from
	}
	i, _ := slices.BinarySearchFunc(u.nodes[g.from:g.to], uint64(clock), func(n node, clock uint64) int {
		if n.end() <= clock {
			return -1
		}
		return 1
	})
	return g.from + uint32(i)
}

// lookup returns the index of the node that holds id.
func (u *Update) lookup(id ID) (uint32, bool) {
	gi, ok := u.find(id.Client)
	if !ok {
		return 0, false
	}
	g := u.groups[gi]
	i := u.first(g, id.Clock)
	return i, i < g.to && u.nodes[i].clock <= uint64(id.Clock)
}
