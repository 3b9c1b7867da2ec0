package ydoc

import "sync"

// none is an index that is none.
const none = ^uint32(0)

// integration finds out which structs of an Update a document can take that knows
// sv, as the reference does: a client's structs in order of clocks, without gaps,
// each once what it refers to is known.
type integration struct {
	u     *Update
	sv    StateVector
	next  []uint64 // group → the clock expected next
	at    []uint32 // group → its first node that is not integrated
	queue []uint32 // groups to try

	// A group waits for at most one node. Both are made when the first group waits.
	waiting []uint32 // node → the first group that waits for it
	behind  []uint32 // group → the next group that waits for the same node

	room struct { // for few groups
		next [4]uint64
		at   [4]uint32
	}
}

var integrations = sync.Pool{New: func() any { return new(integration) }}

// free lets another integration use the memory of in.
func (in *integration) free() {
	*in = integration{}
	integrations.Put(in)
}

// integrate runs until nothing more can be integrated. The caller frees what it
// returns.
func (u *Update) integrate(sv StateVector) *integration {
	in := integrations.Get().(*integration)
	in.u, in.sv = u, sv
	in.next, in.at = in.room.next[:0], in.room.at[:0]
	if len(u.groups) > len(in.room.next) {
		in.next, in.at = make([]uint64, 0, len(u.groups)), make([]uint32, 0, len(u.groups))
	}
	for _, g := range u.groups {
		known := sv.Next(g.client)
		in.next, in.at = append(in.next, uint64(known)), append(in.at, u.first(g, known))
	}
	for i := range u.groups {
		in.run(uint32(i))
		for len(in.queue) > 0 {
			last := len(in.queue) - 1
			woken := in.queue[last]
			in.queue = in.queue[:last]
			in.run(woken)
		}
	}
	return in
}

// run integrates nodes of group gi until one has to wait.
func (in *integration) run(gi uint32) {
	g := in.u.groups[gi]
	for in.at[gi] < g.to {
		n := &in.u.nodes[in.at[gi]]
		if n.clock > in.next[gi] || !in.satisfied(n, gi) {
			return
		}
		in.next[gi] = n.end()
		in.wake(in.at[gi])
		in.at[gi]++
	}
}

// satisfied reports whether all n refers to is known, and if not, lets gi wait for
// the first thing that is not.
func (in *integration) satisfied(n *node, gi uint32) bool {
	if n.isGC() {
		return true
	}
	if n.info&hasOrigin != 0 && !in.known(n.origin, gi) {
		return false
	}
	if n.info&hasRight != 0 && !in.known(n.right, gi) {
		return false
	}
	if n.explicitParent() {
		if p := in.u.parentOf(n); !p.isRoot {
			return in.known(p.id, gi)
		}
	}
	return true
}

// known reports whether id is integrated; if not, gi waits for the node that holds it.
func (in *integration) known(id ID, gi uint32) bool {
	if in.u.groups[gi].client == id.Client {
		return uint64(id.Clock) < in.next[gi]
	}
	hi, ok := in.u.find(id.Client)
	if !ok {
		return id.Clock < in.sv.Next(id.Client)
	}
	if uint64(id.Clock) < in.next[hi] {
		return true
	}
	h := in.u.groups[hi]
	i := in.u.first(h, id.Clock)
	if i < h.to && in.u.nodes[i].clock <= uint64(id.Clock) {
		in.wait(gi, i)
	}
	return false
}

func (in *integration) wait(gi, at uint32) {
	if in.waiting == nil {
		in.waiting = make([]uint32, len(in.u.nodes))
		for i := range in.waiting {
			in.waiting[i] = none
		}
		in.behind = make([]uint32, len(in.u.groups))
	}
	in.behind[gi] = in.waiting[at]
	in.waiting[at] = gi
}

// wake queues the groups that wait for node at.
func (in *integration) wake(at uint32) {
	if in.waiting == nil {
		return
	}
	for gi := in.waiting[at]; gi != none; gi = in.behind[gi] {
		in.queue = append(in.queue, gi)
	}
	in.waiting[at] = none
}

// after returns what is known in the end.
func (in *integration) after() StateVector {
	after := in.sv.Clone()
	for i, g := range in.u.groups {
		after.Advance(g.client, Clock(in.next[i]))
	}
	return after
}

// Ready reports whether a document that knows sv integrates all of u at once: no
// gaps, and every origin, right origin, parent and deletion known to sv or to u. Structs
// that refer to each other in a circle are not ready.
func (u *Update) Ready(sv StateVector) bool {
	in := u.integrate(sv)
	defer in.free()
	for i, g := range u.groups {
		if in.at[i] < g.to {
			return false
		}
	}
	gi := 0
	for _, d := range u.deletes.ranges {
		for gi < len(u.groups) && u.groups[gi].client > d.client {
			gi++
		}
		next := uint64(0)
		if gi < len(u.groups) && u.groups[gi].client == d.client {
			next = in.next[gi]
		} else {
			next = uint64(sv.Next(d.client))
		}
		if d.to > next {
			return false
		}
	}
	return true
}

// Split divides u into what a document that knows sv integrates, in some order, and
// what it does not: structs behind a gap or a missing reference, and deletions
// beyond after, which is what is known once ready is applied. Structs that sv
// knows already are in neither; one that it knows in part is in ready as a whole.
// Both share memory with u.
func (u *Update) Split(sv StateVector) (ready, rest *Update, after StateVector) {
	in := u.integrate(sv)
	defer in.free()
	after = in.after()
	ready, rest = u.share(), u.share()
	for i, g := range u.groups {
		if from := u.first(g, sv.Next(g.client)); from < in.at[i] {
			ready.groups = append(ready.groups, group{g.client, from, in.at[i]})
		}
		if in.at[i] < g.to {
			rest.groups = append(rest.groups, group{g.client, in.at[i], g.to})
		}
	}
	for _, d := range u.deletes.ranges {
		next := uint64(after.Next(d.client))
		if d.from < next {
			ready.deletes.ranges = append(ready.deletes.ranges, deletion{d.client, d.from, min(d.to, next)})
		}
		if d.to > next {
			rest.deletes.ranges = append(rest.deletes.ranges, deletion{d.client, max(d.from, next), d.to})
		}
	}
	return ready, rest, after
}

// Only returns what u has, structs and deletions, of the clients that keep says yes
// to. It shares memory with u.
func (u *Update) Only(keep func(ClientID) bool) *Update {
	only := u.share()
	for _, g := range u.groups {
		if keep(g.client) {
			only.groups = append(only.groups, g)
		}
	}
	for _, d := range u.deletes.ranges {
		if keep(d.client) {
			only.deletes.ranges = append(only.deletes.ranges, d)
		}
	}
	return only
}

// share returns an Update with the nodes of u and no groups or deletions.
func (u *Update) share() *Update {
	s := &Update{set: u.set}
	s.blocks = nil
	s.deletes = DeleteSet{sorted: true}
	return s
}
