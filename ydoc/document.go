package ydoc

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
)

// Options of a Doc. The zero value does what new Y.Doc() does.
type Options struct {
	// ClientID is that of edits made here. 0 draws one when the first is made.
	ClientID ClientID
	// KeepDeleted keeps the content of what is deleted, which At needs.
	KeepDeleted bool
	// Limits are for Apply. The zero value is DefaultLimits. Clocks stay below 2³² in
	// any case.
	Limits Limits
	// MaxPending bounds the bytes of updates that wait for others. 0 is 16 MiB.
	MaxPending int
	// MaxDepth bounds how deep updates may nest shared types. 0 is 1000.
	MaxDepth int
}

var defaultOptions = Options{Limits: DefaultLimits(), MaxPending: 16 << 20, MaxDepth: 1000}

// Doc is a Yjs document: it applies updates in any order, is read and edited by means
// of its types, and encodes what it knows. It belongs to one goroutine at a time, reading
// included, and so do the types, transactions and events that it hands out.
type Doc struct {
	items    []item
	freeItem uint32
	depth    uint32 // of the type that is nested deepest
	text     []byte // content of items
	waste    int    // bytes of text that are of no item
	clients  []client
	byID     map[ClientID]uint32 // client → its index, if there are many
	branches []branch
	chains   []chain
	keys     []byte   // names of roots, types and keys
	table    []uint32 // chains by key, see findChain
	named    int      // chains in table
	forest   *forest
	pending  *pending
	tx       *Transaction // the last one
	running  bool         // tx is not finished
	telling  bool         // observers are being called

	observers *observers
	clientID  ClientID // 0: to be drawn
	ownAt     uint32   // the index of clientID in clients; none: not looked up
	opts      *Options
	sorted    []uint32 // clients, descending ids, but for those added since
}

// client is one writer, and what it wrote.
type client struct {
	id      ClientID
	next    uint32 // the clock expected next
	before  uint32 // next before the transaction of number touched
	touched uint32
	run     run
}

// manyClients is from how many on they are found by a map.
const manyClients = 8

// NewDoc returns an empty document.
func NewDoc(o Options) *Doc {
	d := &Doc{freeItem: none, ownAt: none, clientID: o.ClientID, opts: &defaultOptions}
	o.ClientID = 0
	if o != (Options{}) {
		if o.Limits == (Limits{}) {
			o.Limits = defaultOptions.Limits
		}
		o.Limits.Clock = min(o.Limits.Clock, math.MaxUint32-1)
		if o.MaxPending == 0 {
			o.MaxPending = defaultOptions.MaxPending
		}
		if o.MaxDepth == 0 {
			o.MaxDepth = defaultOptions.MaxDepth
		}
		d.opts = &o
	}
	return d
}

// ClientID returns the id of edits made here. It changes if an update shows that
// another writer has it.
func (d *Doc) ClientID() ClientID {
	for d.clientID == 0 {
		if id := ClientID(rand.Uint32()); d.clientAt(id) == none {
			d.clientID = id
		}
	}
	return d.clientID
}

// clientAt returns the index of a client, none if it is not known.
func (d *Doc) clientAt(id ClientID) uint32 {
	if d.byID != nil {
		if i, ok := d.byID[id]; ok {
			return i
		}
		return none
	}
	for i := range d.clients {
		if d.clients[i].id == id {
			return uint32(i)
		}
	}
	return none
}

func (d *Doc) addClient(id ClientID) uint32 {
	i := uint32(len(d.clients))
	d.clients = append(d.clients, client{id: id})
	if d.byID != nil {
		d.byID[id] = i
	} else if len(d.clients) > manyClients {
		d.byID = make(map[ClientID]uint32)
		for i := range d.clients {
			d.byID[d.clients[i].id] = uint32(i)
		}
	}
	return i
}

// descending returns the clients in descending order of their ids.
func (d *Doc) descending() []uint32 {
	if len(d.sorted) < len(d.clients) {
		for i := len(d.sorted); i < len(d.clients); i++ {
			d.sorted = append(d.sorted, uint32(i))
		}
		slices.SortFunc(d.sorted, func(a, b uint32) int {
			return compareDescending(d.clients[a].id, d.clients[b].id)
		})
	}
	return d.sorted
}

// StateVector returns what the document knows.
func (d *Doc) StateVector() StateVector {
	sv := StateVector{entries: make([]ID, 0, len(d.clients))}
	for _, i := range d.descending() {
		sv.entries = append(sv.entries, ID{d.clients[i].id, Clock(d.clients[i].next)})
	}
	return sv
}

// EncodeStateVector returns StateVector encoded.
func (d *Doc) EncodeStateVector() []byte {
	b := make([]byte, 10+13*len(d.clients)) // ids have 53 bits, clocks 32
	n := putUint(b, 0, uint64(len(d.clients)))
	for _, i := range d.descending() {
		c := &d.clients[i]
		n = putUint(b, putUint(b, n, uint64(c.id)), uint64(c.next))
	}
	return b[:n]
}

// Apply applies an update from a stranger. Structs and deletions that refer to what
// is missing are kept until it comes. What is refused, by DecodeUpdate or because
// Options say that it is too much, is a *DecodeError and changes nothing.
func (d *Doc) Apply(update []byte, f Format) error {
	s := decoders.Get().(*decoding)
	defer s.free()
	u, err := s.decode(update, f, d.opts.Limits)
	if err != nil {
		return err
	}
	return d.ApplyUpdate(u)
}

// decoding is the memory that Apply decodes in.
type decoding struct {
	u Update
	d decoder
}

var decoders = sync.Pool{New: func() any { return new(decoding) }}

// decode is DecodeUpdate; the Update is valid until free.
func (s *decoding) decode(b []byte, f Format, lim Limits) (*Update, error) {
	u := &s.u
	s.d.set, s.d.lim, s.d.strict = &u.set, lim, true
	if err := s.d.update(b, f); err != nil {
		return nil, err
	}
	u.order()
	if _, found := u.SplitValue(); found {
		return nil, malformed(len(b), "split value of a key")
	}
	return u, nil
}

func (s *decoding) free() {
	u := &s.u
	if (cap(u.nodes)+cap(u.spare))*nodeSize > maxPooled>>5 {
		return
	}
	u.reset()
	s.d.r.Reset(nil)
	decoders.Put(s)
}

// ApplyUpdate applies an update that was decoded before: by DecodeUpdate, or by a
// Merger if the bytes were accepted before. It keeps no reference to it. It refuses
// what would exceed MaxPending and MaxDepth, and clocks of 2³² and more.
func (d *Doc) ApplyUpdate(u *Update) error {
	if err := d.check(u); err != nil {
		return err
	}
	began := d.begin(false)
	if began {
		defer d.tx.trim()
	}
	defer d.end(began)
	d.tx.local = false
	d.apply(u, began && d.observers == nil)
	return nil
}

// check refuses u before anything is changed.
func (d *Doc) check(u *Update) error {
	size := uint64(len(d.text)) + uint64(len(d.keys))
	for _, src := range u.srcs {
		size += 2 * uint64(len(src))
	}
	if size > math.MaxUint32 || len(d.items)+len(u.nodes) > math.MaxInt32 {
		return tooLarge(0, "document")
	}
	for _, g := range u.groups {
		if u.nodes[g.to-1].end() >= math.MaxUint32 {
			return tooLarge(0, "clock")
		}
	}
	for _, r := range u.deletes.ranges {
		if r.to >= math.MaxUint32 {
			return tooLarge(0, "clock")
		}
	}
	if u.types {
		rooted, floating := u.TypeDepth()
		if max(rooted, int(d.depth)+floating) > d.opts.MaxDepth {
			return tooLarge(0, "depth of types")
		}
	}
	return d.checkPending(u)
}

// apply integrates what can be integrated and keeps the rest. If nobody asks for what
// the transaction does, unheard, it may do without noting that.
func (d *Doc) apply(u *Update, unheard bool) {
	a := d.tx.application(u)
	loaded, deleted := false, false
	if unheard {
		loaded, deleted = d.load(u)
	}
	if !loaded {
		d.reserve(u)
		a.structs()
	}
	var retry *Update
	if d.pending != nil {
		retry = d.pending.take(d)
	}
	if len(a.missing) > 0 {
		d.waits().add(d, a.rest(), a.missing)
	}
	a.u = nil
	var unknown DeleteSet
	if !deleted {
		d.applyDeletes(u.deletes, &unknown)
	}
	if d.pending != nil && d.pending.deletes.Len() > 0 {
		again := d.pending.deletes
		d.pending.deletes = DeleteSet{}
		d.applyDeletes(again, &unknown)
	}
	if unknown.Len() > 0 {
		unknown.normalise()
		d.waits().deletes = unknown
	}
	if retry != nil {
		d.apply(retry, false)
	}
	d.settle()
}

// reserve makes room for the structs of a large update at once, and no more.
func (d *Doc) reserve(u *Update) {
	if len(d.items) > 0 || len(u.nodes) < 64 {
		return
	}
	d.items = make([]item, 0, len(u.nodes)+8)
	size := 0
	for i := range u.nodes {
		if n := &u.nodes[i]; n.kind() >= kindJSON && n.kind() != kindType {
			size += int(n.text.size)
		}
	}
	d.text = make([]byte, 0, size+64)
}

// applyDeletes deletes what is known of ds, and adds the rest to unknown.
func (d *Doc) applyDeletes(ds DeleteSet, unknown *DeleteSet) {
	for _, r := range ds.ranges {
		ci := d.clientAt(r.client)
		next := uint64(0)
		if ci != none {
			next = uint64(d.clients[ci].next)
		}
		if r.to > next {
			unknown.add(r.client, max(r.from, next), r.to)
		}
		if r.from < next {
			d.deleteRange(ci, uint32(r.from), uint32(min(r.to, next)))
		}
	}
}

// deleteRange deletes the elements of a client in [from, to), which are known.
func (d *Doc) deleteRange(ci, from, to uint32) {
	run := &d.clients[ci].run
	p := run.find(from)
	i := run.item(p)
	if it := &d.items[i]; it.clock < from && !it.deleted() {
		d.split(i, from-it.clock)
		p = run.find(from)
	}
	for ok := true; ok; p, ok = run.after(p) {
		i := run.item(p)
		it := &d.items[i]
		if it.clock >= to {
			return
		}
		if it.deleted() {
			continue
		}
		if to < it.end() {
			d.split(i, to-it.clock)
			d.remove(i)
			return
		}
		d.remove(i)
	}
}
