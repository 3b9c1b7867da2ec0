// Inside the package, because the test has to lower synchronous to show that it
// would notice.
package sqlite

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
)

var powerStates = flag.Int("power-states", 2000, "states after a power cut to open")

func init() {
	for _, mode := range []string{"FULL", "NORMAL", "OFF"} {
		children["power-"+mode] = func(dir string) { powerWorkload(dir, mode) }
	}
}

// powerWorkload writes as a server does, and prints a line for all that was
// acknowledged: nothing it printed may ever be lost.
func powerWorkload(dir, synchronous string) {
	ctx := context.Background()
	check := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	heads := make([]blocks.Head, 4)
	for n := range heads {
		heads[n] = blocks.Head{Key: blocks.BlockKey{Heap: "h", Block: blocks.BlockID(fmt.Sprint(n))}, SyncVersion: 1}
	}
	for session := range 3 {
		s, err := Open(ctx, Config{Path: filepath.Join(dir, "heapsync.db"), synchronous: synchronous, checkpoint: 40})
		check(err)
		if session == 0 {
			check(s.CreateHeap(ctx, blocks.Heap{ID: "h", Owner: "ada"}))
			fmt.Println("heap h")
		}
		var wg sync.WaitGroup
		for n := range heads {
			wg.Go(func() {
				for i := range 12 {
					text := fmt.Sprintf("%d-%d-%d-%s", session, n, i, strings.Repeat("x", (n*700+i*90)%3000))
					c := &blocks.BlockCommit{Head: heads[n], Updates: []blocks.LoggedUpdate{
						{User: "ada", Session: fmt.Sprint(session), Bytes: []byte(text)},
						{User: "bob", Bytes: []byte(text)},
					}}
					c.Head.Bytes += int64(2 * len(text))
					c.Head.StateVector = []byte(text[:5])
					c.Claims = []blocks.Claim{{Client: 1, User: "ada"}}
					check(s.Commit(ctx, &blocks.Batch{Blocks: []*blocks.BlockCommit{c}}))
					fmt.Printf("update %d %s\nupdate %d %s\n", c.Updates[0].Seq, text, c.Updates[1].Seq, text)
					heads[n] = c.Head
					if i%5 == 4 {
						check(s.SaveSnapshot(ctx, blocks.Snapshot{Ref: c.Head.Ref, Seq: c.Head.Seq, State: bytes.Repeat([]byte(text), 3)}))
						fmt.Printf("snapshot %d %d\n", c.Head.Ref, c.Head.Seq)
						w, err := foldHalf(ctx, s, c.Head.Ref)
						check(err)
						if w.To != 0 {
							fmt.Printf("window %d %d\n", c.Head.Ref, w.To)
						}
						check(foldWindows(ctx, s, c.Head.Ref))
						if n != 0 { // between versions there is little to fold
							continue
						}
						v := blocks.Version{ID: fmt.Sprintf("%d-%d-%d", session, n, i), User: "ada"}
						check(s.AddVersion(ctx, c.Head.Ref, &v, 100))
						fmt.Printf("version %s %d\n", v.ID, v.Seq)
					}
				}
			})
		}
		wg.Wait()
		if session < 2 { // the last one ends as in a crash
			check(s.Close())
		}
	}
}

// TestPowerLossLosesNothingAcknowledged records what a real run asks of the file
// system, makes the files as they may be found after a power cut at a random
// moment, and opens them. What was not synced is there, missing, or there in part,
// in sectors of 512 bytes; a name is as volatile as its directory.
func TestPowerLossLosesNothingAcknowledged(t *testing.T) {
	needStrace(t)
	for _, tt := range []struct {
		synchronous string
		states      int
		harmless    bool
	}{
		{"FULL", *powerStates, true},
		{"NORMAL", 200, false}, // negative controls: a test that finds nothing
		{"OFF", 200, false},    // here could not find anything in FULL either
	} {
		t.Run(tt.synchronous, func(t *testing.T) {
			events := record(t, "power-"+tt.synchronous)
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d, %d events", seed, len(events))
			cuts := make([]cut, tt.states)
			for n := range cuts {
				cuts[n] = cut{n, 1 + rand.New(rand.NewPCG(seed, uint64(n))).IntN(len(events))}
			}
			slices.SortFunc(cuts, func(a, b cut) int { return a.at - b.at })
			const workers = 2
			var harmed atomic.Int64
			var wg sync.WaitGroup
			for w := range workers {
				wg.Go(func() {
					dir := scratch(t)
					d := disk{content: map[int][]byte{}, names: map[string]int{}}
					seen := 0
					for i := w; i < len(cuts) && t.Context().Err() == nil; i += workers {
						c := cuts[i]
						for ; seen < c.at; seen++ {
							d.happen(events[seen])
						}
						files, mode := d.crash(rand.New(rand.NewPCG(seed, uint64(c.state)+1<<32)))
						err := verifyAfterCrash(t.Context(), dir, files, d.acks)
						if err == nil {
							continue
						}
						if harmed.Add(1) <= 5 && tt.harmless {
							t.Errorf("state %d (cut at %d, %s): %v", c.state, c.at, mode, err)
						}
					}
				})
			}
			wg.Wait()
			t.Logf("%d of %d states lost or damaged something", harmed.Load(), tt.states)
			if !tt.harmless && harmed.Load() == 0 {
				t.Errorf("synchronous=%s lost nothing in %d states: this test is broken", tt.synchronous, tt.states)
			}
		})
	}
}

// cut is a state to look at: the events before at have happened.
type cut struct{ state, at int }

// scratch is a directory in memory if there is one: thousands of states are not
// worth a real sync each.
func scratch(t *testing.T) string {
	if dir, err := os.MkdirTemp("/dev/shm", "heapsync-power-"); err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return t.TempDir()
}

// event is one thing that happened to the files, or, if ack is set, that the
// workload told the world.
type event struct {
	kind eventKind
	file int    // which file: a number that outlives its name
	name string // of a file that is created or removed
	off  int64  // of a write, or the size after a truncation
	data []byte
	ack  string
}

type eventKind int

const (
	eventCreate eventKind = iota
	eventRemove
	eventWrite
	eventTruncate
	eventSync
	eventSyncDir
	eventAck
)

// record runs the workload under strace.
func record(t *testing.T, child string) []event {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(t.TempDir(), "strace")
	cmd := command(t, child, dir, "strace", "-f", "-o", log, "-xx", "-s", "1000000", "-e", "signal=none",
		"-e", "trace=openat,creat,write,pwrite64,writev,pwritev,fsync,fdatasync,sync_file_range,ftruncate,fallocate,rename,renameat,renameat2,unlink,unlinkat,close,dup,dup2,dup3")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("workload: %v", err)
	}
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tr := tracer{dir: dir, fds: map[int]int{}, names: map[string]int{}, pending: map[string]string{}}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		if err := tr.line(lines.Text()); err != nil {
			t.Fatalf("%v in %.300q", err, lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(tr.events) < 100 {
		t.Fatalf("recorded only %d events", len(tr.events))
	}
	return tr.events
}

// tracer makes events of strace's lines.
type tracer struct {
	dir     string
	fds     map[int]int    // descriptor to file; dirFile for the directory
	names   map[string]int // file by its present name
	files   int
	pending map[string]string // by thread: a call that has not returned
	events  []event
}

const dirFile = -1

// line reads a line. What a call asks for may happen as soon as it is made, so a
// write or an acknowledgement counts from then; a sync only when it has returned.
func (tr *tracer) line(line string) error {
	thread, rest, ok := strings.Cut(line, " ")
	rest = strings.TrimLeft(rest, " ")
	if !ok || strings.HasPrefix(rest, "+++") || strings.HasPrefix(rest, "---") {
		return nil
	}
	if strings.HasPrefix(rest, "<... ") {
		_, tail, _ := strings.Cut(rest, " resumed>")
		begun := tr.pending[thread]
		delete(tr.pending, thread)
		return tr.returned(begun + tail)
	}
	if begun, ok := strings.CutSuffix(rest, " <unfinished ...>"); ok {
		tr.pending[thread] = begun
		return tr.called(begun)
	}
	if err := tr.called(rest); err != nil {
		return err
	}
	return tr.returned(rest)
}

func (tr *tracer) called(call string) error {
	name, args, _ := strings.Cut(call, "(")
	switch name {
	case "write", "pwrite64", "ftruncate":
	case "writev", "pwritev", "fallocate", "sync_file_range", "dup", "dup2", "dup3", "creat":
		return errors.New("a call this test does not know")
	default:
		return nil
	}
	fields := strings.Split(strings.TrimRight(args, ") "), ", ")
	fd, err := strconv.Atoi(fields[0])
	if err != nil {
		return err
	}
	if name == "write" && fd == 1 {
		data, err := unquote(fields[1])
		for l := range strings.Lines(string(data)) {
			tr.events = append(tr.events, event{kind: eventAck, ack: strings.TrimSpace(l)})
		}
		return err
	}
	file, ok := tr.fds[fd]
	if !ok {
		return nil
	}
	number := func(s string) int64 {
		s, _, _ = strings.Cut(s, ")")
		n, nerr := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
		err = errors.Join(err, nerr)
		return n
	}
	switch name {
	case "pwrite64":
		data, derr := unquote(fields[1])
		tr.events = append(tr.events, event{kind: eventWrite, file: file, off: number(fields[3]), data: data})
		return errors.Join(err, derr)
	case "ftruncate":
		tr.events = append(tr.events, event{kind: eventTruncate, file: file, off: number(fields[1])})
		return err
	}
	return errors.New("a write without an offset")
}

func (tr *tracer) returned(call string) error {
	name, args, _ := strings.Cut(call, "(")
	at := strings.LastIndex(args, ") ")
	if at < 0 {
		return nil
	}
	result := strings.TrimLeft(args[at+2:], " =")
	fields := strings.Split(args[:at], ", ")
	result, _, _ = strings.Cut(result, " ")
	code, err := strconv.Atoi(result)
	if err != nil || code < 0 {
		return nil // it failed, or never returned
	}
	fd, _ := strconv.Atoi(fields[0])
	switch name {
	case "openat":
		return tr.opened(fields, code)
	case "close":
		delete(tr.fds, fd)
	case "fsync", "fdatasync":
		if file, ok := tr.fds[fd]; ok && file == dirFile {
			tr.events = append(tr.events, event{kind: eventSyncDir})
		} else if ok {
			tr.events = append(tr.events, event{kind: eventSync, file: file})
		}
	case "unlink", "unlinkat":
		arg := fields[0]
		if name == "unlinkat" {
			arg = fields[1]
		}
		path, err := unquote(arg)
		if file, ok := tr.names[string(path)]; ok {
			tr.events = append(tr.events, event{kind: eventRemove, file: file, name: string(path)})
			delete(tr.names, string(path))
		}
		return err
	case "rename", "renameat", "renameat2":
		return errors.New("a rename, which this test does not know")
	}
	return nil
}

func (tr *tracer) opened(fields []string, fd int) error {
	raw, err := unquote(fields[1])
	path := string(raw)
	if err != nil {
		return err
	}
	if path == tr.dir {
		tr.fds[fd] = dirFile
		return nil
	}
	if filepath.Dir(path) != tr.dir || strings.HasSuffix(path, "-shm") {
		delete(tr.fds, fd)
		return nil
	}
	file, ok := tr.names[path]
	if !ok {
		tr.files++
		file = tr.files
		tr.names[path] = file
		tr.events = append(tr.events, event{kind: eventCreate, file: file, name: path})
	}
	tr.fds[fd] = file
	return nil
}

// unquote reads a string as strace -xx writes it.
func unquote(s string) ([]byte, error) {
	s, _, _ = strings.Cut(strings.Trim(s, `"`), `"`)
	return hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
}

const sector = 512

// disk is a file system: what is safe on it, and what a power cut may undo.
type disk struct {
	content map[int][]byte
	names   map[string]int
	open    []event // not safe yet, in order
	acks    []string
}

// happen makes e happen.
func (d *disk) happen(e event) {
	switch e.kind {
	case eventSync:
		d.settle(func(o event) bool { return !o.isName() && o.file == e.file })
	case eventSyncDir:
		d.settle(event.isName)
	case eventAck:
		d.acks = append(d.acks, e.ack)
	default:
		d.open = append(d.open, e)
	}
}

// settle makes open events safe.
func (d *disk) settle(safe func(event) bool) {
	left := d.open[:0]
	for _, e := range d.open {
		if safe(e) {
			d.apply(e)
		} else {
			left = append(left, e)
		}
	}
	d.open = left
}

func (e event) isName() bool { return e.kind == eventCreate || e.kind == eventRemove }

func (d *disk) apply(e event) {
	b := d.content[e.file]
	switch e.kind {
	case eventCreate:
		d.names[e.name] = e.file
	case eventRemove:
		if d.names[e.name] == e.file {
			delete(d.names, e.name)
		}
	case eventWrite:
		if end := int(e.off) + len(e.data); end > len(b) {
			b = append(b, make([]byte, end-len(b))...)
		}
		copy(b[e.off:], e.data)
		d.content[e.file] = b
	case eventTruncate:
		if int(e.off) > len(b) {
			b = append(b, make([]byte, int(e.off)-len(b))...)
		}
		d.content[e.file] = b[:e.off]
	}
}

// crash returns the files as they may be found, by name, and how it chose.
func (d *disk) crash(rng *rand.Rand) (map[string][]byte, string) {
	found := disk{content: map[int][]byte{}, names: maps.Clone(d.names)}
	for file, b := range d.content {
		found.content[file] = bytes.Clone(b)
	}
	mode := []string{"none", "all", "subset", "prefix", "torn"}[rng.IntN(5)]
	upTo := rng.IntN(len(d.open) + 1)
	chance := []float64{0.1, 0.5, 0.9}[rng.IntN(3)]
	lostName := false // names settle in order: a directory is journaled
	for i, e := range d.open {
		switch {
		case mode == "none":
		case mode == "all", (mode == "prefix" || mode == "torn") && i < upTo:
			found.apply(e)
		case mode == "torn" && i == upTo && e.kind == eventWrite:
			e.data = e.data[:min(len(e.data), sector*rng.IntN(len(e.data)/sector+1))]
			found.apply(e)
		case mode == "subset" && e.kind == eventWrite:
			for from := 0; from < len(e.data); {
				to := min(len(e.data), from+sector-int((e.off+int64(from))%sector))
				if rng.Float64() < chance {
					found.apply(event{kind: eventWrite, file: e.file, off: e.off + int64(from), data: e.data[from:to]})
				}
				from = to
			}
		case mode == "subset":
			if e.isName() && lostName {
				continue
			}
			if rng.Float64() < chance {
				found.apply(e)
			} else if e.isName() {
				lostName = true
			}
		}
	}
	files := map[string][]byte{}
	for name, file := range found.names {
		files[filepath.Base(name)] = found.content[file]
	}
	return files, mode
}

// verifyAfterCrash opens the files and looks for what was acknowledged.
func verifyAfterCrash(ctx context.Context, dir string, files map[string][]byte, acks []string) (err error) {
	old, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return err
	}
	for _, name := range old {
		os.Remove(name)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(filepath.Join(dir, name), files[name], 0o600); err != nil {
			return err
		}
	}
	s, err := Open(ctx, Config{Path: filepath.Join(dir, "heapsync.db"), Readers: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	_, err = s.Check(ctx, func(p Problem) { err = errors.Join(err, errors.New(p.String())) })
	if err != nil {
		return err
	}
	return hasAll(ctx, s, acks)
}

// hasAll looks for what a workload printed.
func hasAll(ctx context.Context, s *Store, acks []string) error {
	updates, snapshots := map[string]string{}, map[string]int64{}
	windows, versions := map[string]int64{}, map[string]string{}
	rows, err := s.readers.QueryContext(ctx, `SELECT seq, bytes FROM updates`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var seq, text string
		if err := rows.Scan(&seq, &text); err != nil {
			return err
		}
		updates[seq] = text
	}
	rows.Close()
	if rows, err = s.readers.QueryContext(ctx, `SELECT block, seq FROM snapshots`); err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var ref string
		var seq int64
		if err := rows.Scan(&ref, &seq); err != nil {
			return err
		}
		snapshots[ref] = seq
	}
	rows.Close()
	if rows, err = s.readers.QueryContext(ctx, `SELECT block, to_seq, bytes FROM history`); err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var ref string
		var to int64
		var text []byte
		if err := rows.Scan(&ref, &to, &text); err != nil {
			return err
		}
		windows[ref] = max(windows[ref], to)
		if text, err = decompress(text); err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			seq, update, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			updates[seq] = update
		}
	}
	rows.Close()
	if rows, err = s.readers.QueryContext(ctx, `SELECT id, seq FROM versions`); err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, seq string
		if err := rows.Scan(&id, &seq); err != nil {
			return err
		}
		versions[id] = seq
	}
	for _, ack := range acks {
		kind, rest, _ := strings.Cut(ack, " ")
		id, value, _ := strings.Cut(rest, " ")
		switch kind {
		case "heap":
			if _, err := s.Heap(ctx, blocks.HeapID(id)); err != nil {
				return err
			}
		case "update":
			if updates[id] != value {
				return fmt.Errorf("update %s was acknowledged and is lost", id)
			}
		case "snapshot":
			if seq, err := strconv.ParseInt(value, 10, 64); err != nil || snapshots[id] < seq {
				return fmt.Errorf("snapshot of %s at %d was acknowledged, found %d", id, seq, snapshots[id])
			}
		case "window":
			if to, err := strconv.ParseInt(value, 10, 64); err != nil || windows[id] < to {
				return fmt.Errorf("window of %s up to %d was acknowledged, found %d", id, to, windows[id])
			}
		case "version":
			if versions[id] != value {
				return fmt.Errorf("version %s was acknowledged and is lost", id)
			}
		default:
			return fmt.Errorf("acknowledgement %q", ack)
		}
	}
	return nil
}
