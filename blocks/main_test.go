package blocks_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak" // sees goroutines that a test leaves behind

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/blocks/media"
	"github.com/heapsync/heapsync/storage/sqlite"
	"github.com/heapsync/heapsync/storage/storetest"
	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/lib0"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(powerEnv); dir != "" {
		uploadUntilThePowerFails(dir)
		os.Exit(0)
	}
	media.RunConfined()
	goleak.VerifyTestMain(m)
}

// world is an instance on a database of its own, behind a store that can fail.
// Ada owns the heap "h"; bob and carol edit it, eve looks at it.
type world struct {
	*blocks.Instance
	t     testing.TB
	store *storetest.Faulty
	cfg   blocks.LogConfig
	dir   string
	close func()
	stop  func() // the instance

	indexed bool // it has an index

	mu     sync.Mutex // guards below
	time   time.Time
	audits []string
}

func newWorld(t testing.TB, limits blocks.Limits) *world {
	return makeWorld(t, limits, false)
}

func makeWorld(t testing.TB, limits blocks.Limits, indexed bool) *world {
	w := &world{t: t, dir: t.TempDir(), indexed: indexed, time: time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)}
	w.cfg = blocks.LogConfig{Limits: limits, Now: w.now, Audit: func(_ context.Context, author blocks.Author, key blocks.BlockKey, event, _ string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.audits = append(w.audits, string(author.User)+" "+event)
	}}
	w.open()
	t.Cleanup(func() { w.close() })
	if _, _, err := w.AddHeap(t.Context(), "ada", "h", "Heap", false); err != nil {
		t.Fatal(err)
	}
	for user, role := range map[blocks.UserID]blocks.Role{"bob": blocks.RoleEditor, "carol": blocks.RoleEditor, "eve": blocks.RoleViewer} {
		if err := w.SetRole(t.Context(), "h", user, role); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) open() {
	w.t.Helper()
	store, err := sqlite.Open(context.Background(), sqlite.Config{Path: w.path(), Now: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.store = storetest.NewFaulty(store)
	w.cfg.Store = w.store
	var index *sqlite.Index
	if w.indexed {
		if index, err = sqlite.OpenIndex(context.Background(), sqlite.IndexConfig{Path: filepath.Join(w.dir, "index.db")}); err != nil {
			w.t.Fatal(err)
		}
		w.cfg.Index = index
	}
	w.run()
	w.close = func() {
		w.stop()
		if index != nil {
			if err := index.Close(); err != nil {
				w.t.Error(err)
			}
		}
		if err := store.Close(); err != nil {
			w.t.Error(err)
		}
		w.close = func() {}
	}
}

// run starts an instance on what is open.
func (w *world) run() {
	w.Instance = blocks.New(w.cfg)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	w.stop = func() {
		stop()
		running.Wait()
	}
}

func (w *world) path() string { return filepath.Join(w.dir, "heapsync.db") }

// restart stops the server and starts another on the same database.
func (w *world) restart() {
	w.t.Helper()
	w.close()
	w.open()
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.time = w.time.Add(d)
}

func (w *world) audited() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.audits)
}

func key(block string) blocks.BlockKey {
	return blocks.BlockKey{Heap: "h", Block: blocks.BlockID(block)}
}

// push pushes updates of one block as user, each in a request of its own.
func (w *world) push(user blocks.UserID, block string, updates ...[]byte) blocks.PushResult {
	w.t.Helper()
	var res blocks.PushResult
	for _, u := range updates {
		res = w.Push(w.t.Context(), blocks.Author{User: user, Session: "s-" + string(user)},
			[]blocks.PushItem{{Target: blocks.Target{Heap: "h", Block: block}, Update: u}})[0]
	}
	return res
}

// want checks a result's status and, if there is one, its refusal's code.
func (w *world) want(res blocks.PushResult, status, code string) {
	w.t.Helper()
	got := ""
	if r, ok := errors.AsType[*blocks.Refusal](res.Err); ok {
		got = r.Code
	}
	if res.Status != status || got != code {
		w.t.Errorf("%s %q (%v), want %s %q", res.Status, got, res.Err, status, code)
	}
}

// put pushes what must be taken.
func (w *world) put(user blocks.UserID, block string, updates ...[]byte) {
	w.t.Helper()
	for _, u := range updates {
		if res := w.push(user, block, u); res.Status != blocks.StatusApplied || res.Pending {
			w.t.Fatalf("push by %s: %s, pending %v, %v", user, res.Status, res.Pending, res.Err)
		}
	}
}

// putAside pushes what must wait for others.
func (w *world) putAside(user blocks.UserID, block string, updates ...[]byte) {
	w.t.Helper()
	for _, u := range updates {
		if res := w.push(user, block, u); res.Status != blocks.StatusApplied || !res.Pending {
			w.t.Fatalf("push by %s: %s, pending %v, %v; want it to wait", user, res.Status, res.Pending, res.Err)
		}
	}
}

// state is the whole block as it is on disk.
func (w *world) state(block string) []byte {
	w.t.Helper()
	d, err := w.Diff(w.t.Context(), key(block), ydoc.StateVector{})
	if err != nil {
		w.t.Fatal(err)
	}
	return d.Update
}

func (w *world) head(block string) blocks.Head {
	w.t.Helper()
	h, err := w.Head(w.t.Context(), key(block))
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// wantState compares the stored state with the merge of updates, and the head's
// state vector with it.
func (w *world) wantState(block string, updates ...[]byte) {
	w.t.Helper()
	want, err := ydoc.MergeUpdates(ydoc.V1, updates...)
	if err != nil {
		w.t.Fatal(err)
	}
	got := w.state(block)
	if !sameState(w.t, got, want) {
		w.t.Errorf("block %s holds\n%x, want\n%x", block, got, want)
	}
	sv, err := ydoc.DecodeStateVector(w.head(block).StateVector)
	if err != nil {
		w.t.Fatal(err)
	}
	if own := vector(w.t, got); !sv.Equal(own) {
		w.t.Errorf("block %s: the head's state vector is %x, the state's %x", block, sv.Encode(), own.Encode())
	}
}

func sameState(t testing.TB, a, b []byte) bool {
	t.Helper()
	norm := func(u []byte) string {
		out, err := ydoc.MergeUpdates(ydoc.V1, u)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	return norm(a) == norm(b)
}

func vector(t testing.TB, update []byte) ydoc.StateVector {
	t.Helper()
	sv, err := ydoc.StateVectorOf(ydoc.V1, update)
	if err != nil {
		t.Fatal(err)
	}
	return sv
}

// edit writes V1 updates by hand.
type edit struct {
	blocks  [][]byte
	deletes []byte
	ranges  int

	clock   uint64
	structs int
	head    []byte
	body    []byte
}

// by starts what client has from clock on.
func by(client, clock uint64) *edit { return new(edit).by(client, clock) }

func (e *edit) by(client, clock uint64) *edit {
	e.flush()
	e.clock = clock
	e.head = lib0.AppendVarUint(lib0.AppendVarUint(nil, client), clock)
	return e
}

func (e *edit) flush() {
	if e.structs > 0 {
		e.blocks = append(e.blocks, append(append(lib0.AppendVarUint(nil, uint64(e.structs)), e.head...), e.body...))
	}
	e.structs, e.body = 0, nil
}

func at(client, clock uint64) *ydoc.ID {
	return &ydoc.ID{Client: ydoc.ClientID(client), Clock: ydoc.Clock(clock)}
}

// item adds an item after origin, or, without one, at the beginning of parent: the
// root t, or the item that holds a type.
func (e *edit) item(origin, parent *ydoc.ID, length uint64, kind byte, content ...byte) *edit {
	ref := func(id *ydoc.ID) {
		e.body = lib0.AppendVarUint(lib0.AppendVarUint(e.body, uint64(id.Client)), uint64(id.Clock))
	}
	switch {
	case origin != nil:
		e.body = append(e.body, kind|0x80)
		ref(origin)
	case parent != nil:
		e.body = append(e.body, kind, 0)
		ref(parent)
	default:
		e.body = append(e.body, kind, 1, 1, 't')
	}
	e.body = append(e.body, content...)
	e.structs++
	e.clock += length
	return e
}

// text adds s at the beginning, or after origin.
func (e *edit) text(origin *ydoc.ID, s string) *edit {
	return e.item(origin, nil, uint64(lib0.Units([]byte(s))), 4, lib0.AppendVarString(nil, s)...)
}

// between adds s after origin, if any, and left of right.
func (e *edit) between(origin, right *ydoc.ID, s string) *edit {
	info := byte(4 | 0x40)
	refs := []*ydoc.ID{right}
	if origin != nil {
		info |= 0x80
		refs = []*ydoc.ID{origin, right}
	}
	e.body = append(e.body, info)
	for _, id := range refs {
		e.body = lib0.AppendVarUint(lib0.AppendVarUint(e.body, uint64(id.Client)), uint64(id.Clock))
	}
	e.body = lib0.AppendVarString(e.body, s)
	e.structs++
	e.clock += uint64(lib0.Units([]byte(s)))
	return e
}

// value sets a key of the root t to n elements, which together are its value.
func (e *edit) value(key string, n byte) *edit {
	content := append(lib0.AppendVarString([]byte{1, 1, 't'}, key), n)
	for range n {
		content = append(content, 0x7e)
	}
	e.body = append(append(e.body, 8|0x20), content...)
	e.structs++
	e.clock += uint64(n)
	return e
}

// array adds a nested array in parent, or at the root.
func (e *edit) array(parent *ydoc.ID) *edit { return e.item(nil, parent, 1, 7, 0) }

func (e *edit) gc(length uint64) *edit {
	e.body = lib0.AppendVarUint(append(e.body, 0), length)
	e.structs++
	e.clock += length
	return e
}

func (e *edit) skip(length uint64) *edit {
	e.body = lib0.AppendVarUint(append(e.body, 10), length)
	e.structs++
	e.clock += length
	return e
}

func (e *edit) remove(client, from, length uint64) *edit {
	e.deletes = lib0.AppendVarUint(append(lib0.AppendVarUint(e.deletes, client), 1), from)
	e.deletes = lib0.AppendVarUint(e.deletes, length)
	e.ranges++
	return e
}

// bytes ends the update.
func (e *edit) bytes() []byte {
	e.flush()
	out := lib0.AppendVarUint(nil, uint64(len(e.blocks)))
	for _, b := range e.blocks {
		out = append(out, b...)
	}
	return append(lib0.AppendVarUint(out, uint64(e.ranges)), e.deletes...)
}

// word is client's text s at clock, after its own last character.
func word(client, clock uint64, s string) []byte {
	if clock == 0 {
		return by(client, 0).text(nil, s).bytes()
	}
	return by(client, clock).text(at(client, clock-1), s).bytes()
}

func removal(client, from, length uint64) []byte {
	return new(edit).remove(client, from, length).bytes()
}
