package ydoc_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/lib0"
)

var (
	sessionSeed  = flag.Uint64("session.seed", 0, "seed of the first session; 0 draws one if -sessions or -session.time are given")
	sessionEdits = flag.Int("session.edits", 0, "edits of each session; 0 asks its seed")
	sessionCount = flag.Int("sessions", 0, "how many sessions with real Yjs to run; 0 is 40, or 1 if the seed is given")
	sessionTime  = flag.Duration("session.time", 0, "how long to run sessions, whatever their number")
)

// replica is what a document of a session went through and came to.
type replica struct {
	GC, Undone, Waited, Pending bool
	Partial                     bool // it did not hear of everything
	ClientID                    ydoc.ClientID
	Log                         [][2]int                // index into the pool, format; format 0: made here; index -1: nothing was emitted
	Edits                       map[int]json.RawMessage // step → the edits that made it
	Read                        string
	Subdocs                     []string
	StateVector, V1, V2         []byte
	Since, DiffV1, DiffV2       []byte
	Snapshot                    []byte
}

// yjsSession is a session of real Yjs clients, and of documents that read it: in
// order, out of order with repetitions, and merged to one update.
type yjsSession struct {
	Clients  int
	Cleanup  bool // Yjs deletes redundant formatting
	Foreign  bool // ywasm took part, and one more reader has what it held in the end
	Pool     [][2][]byte
	Replicas []replica
	Events   [][]string
	Emitted  [][][]byte
	Middle   struct { // of the reader that is told out of order
		Step        int
		Read        string
		StateVector []byte
		Pending     bool
	}
	Snapshots []struct {
		Replica  int
		Snapshot []byte
		Read     string
	}
	Positions []struct {
		Replica, Step, Index, Assoc, Resolved int
		Root                                  string
		Position                              []byte
	}
}

// sessionResult counts what was compared.
type sessionResult struct {
	sessions, updates, edits int
	equal, other             int // documents that have the bytes of Yjs, and that have not
}

// checkSession replays what each document of the session saw and compares.
func checkSession(t *testing.T, y *yjs, seed uint64, edits int, r *sessionResult) error {
	var s yjsSession
	if err := y.ask(map[string]any{"op": "session", "seed": seed, "edits": edits}, &s); err != nil {
		return err
	}
	r.sessions++
	for i := range s.Replicas {
		if err := s.check(t, y, i, r); err != nil {
			return fmt.Errorf("replica %d of %d clients and 3 readers: %w", i, s.Clients, err)
		}
	}
	for i, r := range s.Replicas {
		// A reader that deletes formatting tells nobody, and one that looks at events does.
		if (i < s.Clients || i > s.Clients && !s.Cleanup && !r.Partial) && r.Read != s.Replicas[0].Read {
			return fmt.Errorf("Yjs itself does not converge: replica %d\n%s", i, difference(r.Read, s.Replicas[0].Read))
		}
	}
	return nil
}

func (s *yjsSession) check(t *testing.T, y *yjs, i int, result *sessionResult) error {
	r := &s.Replicas[i]
	watched := i == s.Clients
	d := ydoc.NewDoc(ydoc.Options{ClientID: r.ClientID, KeepDeleted: !r.GC})
	var events eventLog
	var emitted [][]byte
	if watched {
		events.watch(d)
		d.OnUpdate(func(t *ydoc.Transaction) { emitted = [][]byte{t.Update(ydoc.V1), t.Update(ydoc.V2)} })
	}
	for step, entry := range r.Log {
		events.step = step
		f := ydoc.Format(entry[1])
		if f == 0 {
			events.step = -1
			f = ydoc.Format(1 + step%2)
		}
		emitted = nil
		if tx, ok := r.Edits[step]; ok {
			if err := s.checkEdits(t, d, tx, entry[0]); err != nil {
				return fmt.Errorf("step %d: %w", step, err)
			}
			result.edits++
			continue
		}
		if entry[0] < 0 {
			continue
		}
		if err := d.Apply(s.Pool[entry[0]][f-1], f); err != nil {
			return fmt.Errorf("step %d, format %d: %w", step, f, err)
		}
		result.updates++
		if watched && entry[1] != 0 && !s.Foreign {
			if err := s.checkEmitted(step, emitted); err != nil {
				return err
			}
		}
		if i == s.Clients+1 && step == s.Middle.Step {
			if err := s.checkMiddle(d, r); err != nil {
				return fmt.Errorf("step %d: %w", step, err)
			}
		}
		for _, p := range s.Positions {
			if p.Replica != i || p.Step != step+1 {
				continue
			}
			if got := sessionRoots(d)[p.Root].Position(p.Index, p.Assoc).Append(nil); !bytes.Equal(got, p.Position) {
				return fmt.Errorf("step %d: position %d of %s, assoc %d is %x, want %x", step, p.Index, p.Root, p.Assoc, got, p.Position)
			}
		}
	}
	if err := d.Check(); err != nil {
		return err
	}
	if got := d.EncodeStateVector(); !bytes.Equal(got, r.StateVector) {
		return fmt.Errorf("state vector is %x, want %x", got, r.StateVector)
	}
	if d.Pending() != r.Pending {
		return fmt.Errorf("pending is %v, want %v", d.Pending(), r.Pending)
	}
	if got := read(d); got != r.Read {
		return fmt.Errorf("content differs:\n%s", difference(got, r.Read))
	}
	if got, want := guids(slices.Collect(d.Subdocs())), strings.Join(r.Subdocs, ","); got != want {
		return fmt.Errorf("subdocuments are %s, want %s", got, want)
	}
	if watched {
		if err := events.compare(s.Events); err != nil {
			return err
		}
	}
	if err := s.checkPlaces(d, i); err != nil {
		return err
	}
	return r.checkBytes(y, d, i >= s.Clients && !s.Foreign, result)
}

// checkEdits makes the edits that a client of Yjs made, and expects the same update.
func (s *yjsSession) checkEdits(t *testing.T, d *ydoc.Doc, edits []byte, k int) error {
	list, err := lib0.ParseJSON(edits, 100)
	if err != nil {
		return err
	}
	made := d.Transact(func() {
		for _, e := range list.([]any) {
			e := e.(ydoc.Object)
			at := descend(sessionRoots(d)[field(e, "on").(string)], field(e, "path").([]any))
			do(t, at, field(e, "do").(string), field(e, "args").([]any))
		}
	})
	if k < 0 {
		if !made.Empty() {
			return fmt.Errorf("%s\nmakes %x, Yjs nothing", edits, made.Update(ydoc.V1))
		}
		return nil
	}
	for i, f := range []ydoc.Format{ydoc.V1, ydoc.V2} {
		if got := made.Update(f); !bytes.Equal(got, s.Pool[k][i]) {
			return fmt.Errorf("%s\nin format %d\n got %x\nwant %x", edits, f, got, s.Pool[k][i])
		}
	}
	return nil
}

func (s *yjsSession) checkEmitted(step int, got [][]byte) error {
	var want [][]byte
	if step < len(s.Emitted) {
		want = s.Emitted[step]
	}
	if !slices.EqualFunc(got, want, bytes.Equal) {
		return fmt.Errorf("step %d: emitted\n got %x\nwant %x", step, got, want)
	}
	return nil
}

// checkMiddle looks at a document that lacks much. Its state holds even what waits:
// another that gets that and then the rest comes to the same.
//
// Where a struct that one client collected waits beside the same struct that another
// did not, which of them Yjs keeps depends on how it sorts. We keep what was collected
// and may so come to know more than Yjs for a while, but never less.
func (s *yjsSession) checkMiddle(d *ydoc.Doc, r *replica) error {
	want, err := ydoc.DecodeStateVector(s.Middle.StateVector)
	if err != nil {
		return err
	}
	content, sv := read(d), d.StateVector()
	switch {
	case sv.Equal(want):
		if content != s.Middle.Read {
			return fmt.Errorf("content differs:\n%s", difference(content, s.Middle.Read))
		}
		if d.Pending() != s.Middle.Pending {
			return fmt.Errorf("pending is %v, want %v", d.Pending(), s.Middle.Pending)
		}
	case !sv.Covers(want) || !s.collected(r):
		return fmt.Errorf("state vector is %x, want %x", sv.Encode(), s.Middle.StateVector)
	}
	for _, f := range []ydoc.Format{ydoc.V1, ydoc.V2} {
		other := ydoc.NewDoc(ydoc.Options{KeepDeleted: !r.GC})
		if err := other.Apply(d.Encode(f), f); err != nil {
			return err
		}
		if got := read(other); got != content || other.Pending() != d.Pending() || !other.StateVector().Equal(sv) {
			return fmt.Errorf("state in format %d read again, pending %v:\n%s", f, other.Pending(), difference(got, content))
		}
		for _, entry := range r.Log[s.Middle.Step+1:] {
			if entry[1] == 0 {
				continue // it cleaned up on its own
			}
			if err := other.Apply(s.Pool[entry[0]][f-1], f); err != nil {
				return err
			}
		}
		if got := read(other); !s.Cleanup && got != r.Read {
			return fmt.Errorf("state in format %d and the rest:\n%s", f, difference(got, r.Read))
		}
		if err := other.Check(); err != nil {
			return err
		}
	}
	return nil
}

// collected reports whether somebody had collected some of what r heard by the middle.
func (s *yjsSession) collected(r *replica) bool {
	for _, entry := range r.Log[:s.Middle.Step+1] {
		u, err := ydoc.DecodeUpdate(s.Pool[entry[0]][0], ydoc.V1, ydoc.DefaultLimits())
		if err != nil {
			continue
		}
		for part := range u.Structs() {
			if part.Kind == ydoc.GC {
				return true
			}
		}
	}
	return false
}

// pairs are characters that UTF-16 has as two units.
var pairs = regexp.MustCompile(`[\x{10000}-\x{10ffff}]`)

// sameBeforeCuts compares what was, where Yjs may have cut pairs that we have whole. When
// something that waited comes collected, Yjs has no use for the item that it kept, but it
// cuts what that stood in all the same: deleted text, which nobody sees any more but in
// snapshots.
func sameBeforeCuts(got, want string) bool {
	return pairs.ReplaceAllString(got, "\ufffd\ufffd") == pairs.ReplaceAllString(want, "\ufffd\ufffd")
}

// checkPlaces resolves positions, and looks at what was.
func (s *yjsSession) checkPlaces(d *ydoc.Doc, i int) error {
	for _, p := range s.Positions {
		if p.Replica != i {
			continue
		}
		pos, err := ydoc.DecodePosition(p.Position)
		if err != nil {
			return err
		}
		_, at, ok := d.Resolve(pos)
		if !ok {
			at = -1
		}
		if at != p.Resolved {
			return fmt.Errorf("position %x, once %d of %s, is %d now, want %d", p.Position, p.Index, p.Root, at, p.Resolved)
		}
	}
	for _, old := range s.Snapshots {
		if old.Replica != i {
			continue
		}
		snapshot, err := ydoc.DecodeSnapshot(old.Snapshot, ydoc.V1, ydoc.DefaultLimits())
		if err != nil {
			return err
		}
		was, err := d.At(snapshot)
		if err != nil {
			return err
		}
		if got := read(was); got != old.Read && !(s.Replicas[i].Waited && sameBeforeCuts(got, old.Read)) {
			return fmt.Errorf("content at snapshot %x differs:\n%s", old.Snapshot, difference(got, old.Read))
		}
	}
	return nil
}

// checkBytes compares what d encodes. Where Yjs cuts its runs may depend on how it
// came to them, but in a reader, and it writes JSON of others in its own way; then Yjs has to read ours as it reads its own.
func (r *replica) checkBytes(y *yjs, d *ydoc.Doc, reader bool, result *sessionResult) error {
	since, err := ydoc.DecodeStateVector(r.Since)
	if err != nil {
		return err
	}
	if got := d.Snapshot().Append(nil, ydoc.V1); !bytes.Equal(got, r.Snapshot) {
		return fmt.Errorf("snapshot is %x, want %x", got, r.Snapshot)
	}
	equal := true
	for f, want := range map[ydoc.Format][2][]byte{ydoc.V1: {r.V1, r.DiffV1}, ydoc.V2: {r.V2, r.DiffV2}} {
		got := [2][]byte{d.Encode(f), d.EncodeDiff(f, since)}
		if bytes.Equal(got[0], want[0]) && bytes.Equal(got[1], want[1]) {
			continue
		}
		equal = false
		if reader && !r.Waited {
			return fmt.Errorf("encoded in format %d since %x:\n got %x\n and %x\nwant %x\n and %x", f, r.Since, got[0], got[1], want[0], want[1])
		}
		var a replica
		if err := y.ask(map[string]any{"op": "apply", "update": got[0], "format": f, "gc": r.GC}, &a); err != nil {
			return fmt.Errorf("Yjs refuses %x: %w", got[0], err)
		}
		if a.Read != r.Read || !bytes.Equal(a.StateVector, r.StateVector) || a.Pending != r.Pending {
			return fmt.Errorf("Yjs reads our state in format %d, pending %v:\n%s", f, a.Pending, difference(a.Read, r.Read))
		}
	}
	if equal {
		result.equal++
	} else {
		result.other++
	}
	return nil
}

// difference shows where two texts part.
func difference(got, want string) string {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	part := func(s string) string { return s[max(0, i-300):min(len(s), i+300)] }
	line := want[:i]
	return fmt.Sprintf("in line %d\n got …%s…\nwant …%s…", 1+strings.Count(line, "\n"), part(got), part(want))
}

// eachSession runs sessions as the flags say. A session that fails is cut down to the
// fewest edits that still fail.
func eachSession(t *testing.T, check func(seed uint64, edits int) error) (sessions int) {
	first := *sessionSeed
	if first == 0 {
		first = 1
		if *sessionCount > 0 || *sessionTime > 0 { // somebody looks for what is new
			first = rand.Uint64() >> 32
		}
	}
	count := *sessionCount
	if count == 0 {
		count = 40
		if *sessionSeed != 0 {
			count = 1
		}
	}
	var current uint64
	defer func() {
		if p := recover(); p != nil {
			t.Logf("panic in -session.seed=%d", current)
			panic(p)
		}
	}()
	t.Logf("-session.seed=%d", first)
	start := time.Now()
	for seed := first; ; seed++ {
		edits := 2 + int(seed%50)
		if seed%16 == 0 {
			edits *= 5
		}
		if *sessionEdits > 0 {
			edits = *sessionEdits
		}
		sessions++
		current = seed
		if err := check(seed, edits); err != nil {
			for fewer := 1; fewer < edits; fewer++ {
				if e := check(seed, fewer); e != nil {
					edits, err = fewer, e
					break
				}
			}
			t.Fatalf("go test ./ydoc -run %s -session.seed=%d -session.edits=%d\n%v", t.Name(), seed, edits, err)
		}
		if *sessionTime > 0 {
			if time.Since(start) > *sessionTime {
				return sessions
			}
		} else if sessions >= count {
			return sessions
		}
	}
}

func TestSessionsOfYjsLookTheSameToUs(t *testing.T) {
	y := startPeer(t, "sessions.mjs")
	var r sessionResult
	n := eachSession(t, func(seed uint64, edits int) error { return checkSession(t, y, seed, edits, &r) })
	t.Logf("%d sessions, %d updates, %d edits; %d of %d documents have the very bytes of Yjs", n, r.updates, r.edits, r.equal, r.equal+r.other)
}
