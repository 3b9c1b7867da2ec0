package powertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	sector = 512
	// maxShown is how many states that are harmed are described.
	maxShown = 5
)

// Cut makes so many states of the files after a power cut, at random moments, in a folder,
// and returns how many of them verify finds fault with, and the first faults. verify is
// also given what the program had printed.
func (tr Trace) Cut(t *testing.T, states int, verify func(ctx context.Context, dir string, acks []string) error) (harmed int, faults error) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, %d events", seed, len(tr))
	type cut struct{ state, at int } // the events before at have happened
	cuts := make([]cut, states)
	for n := range cuts {
		cuts[n] = cut{n, 1 + rand.New(rand.NewPCG(seed, uint64(n))).IntN(len(tr))}
	}
	slices.SortFunc(cuts, func(a, b cut) int { return a.at - b.at })
	const workers = 2
	var mu sync.Mutex // guards harmed and faults
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			dir := scratch(t)
			d := disk{content: map[int][]byte{}, names: map[string]entry{}}
			seen := 0
			for i := w; i < len(cuts) && t.Context().Err() == nil; i += workers {
				c := cuts[i]
				for ; seen < c.at; seen++ {
					d.happen(seen, tr[seen])
				}
				found, mode := d.crash(rand.New(rand.NewPCG(seed, uint64(c.state)+1<<32)))
				err := found.write(dir)
				if err == nil {
					err = verify(t.Context(), dir, d.acks)
				}
				if err == nil {
					continue
				}
				mu.Lock()
				if harmed++; harmed <= maxShown {
					faults = errors.Join(faults, fmt.Errorf("state %d (cut at %d, %s): %w", c.state, c.at, mode, err))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("%d of %d states lost or damaged something", harmed, states)
	return harmed, faults
}

// scratch is a directory in memory if there is one: thousands of states are not
// worth a real sync each.
func scratch(t *testing.T) string {
	if dir, err := os.MkdirTemp("/dev/shm", "heapsync-power-"); err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return t.TempDir()
}

// disk is a file system: what is safe on it, and what a power cut may undo.
type disk struct {
	content map[int][]byte
	names   map[string]entry
	open    []pending // not safe yet, in order
	acks    []string
}

type entry struct {
	file   int
	folder bool
}

// pending is the event of a number.
type pending struct {
	n int
	Event
}

// happen makes e happen, which is event n.
func (d *disk) happen(n int, e Event) {
	switch e.Kind {
	case Sync:
		d.settle(func(o pending) bool { return o.n < e.upTo && !o.isName() && o.file == e.file })
	case SyncFolder:
		d.settle(func(o pending) bool { return o.n < e.upTo && o.isName() && o.parent() == e.Path })
	case Ack:
		d.acks = append(d.acks, e.ack)
	default:
		d.open = append(d.open, pending{n, e})
	}
}

// settle makes open events safe.
func (d *disk) settle(safe func(pending) bool) {
	left := d.open[:0]
	for _, e := range d.open {
		if safe(e) {
			d.apply(e.Event)
		} else {
			left = append(left, e)
		}
	}
	d.open = left
}

func (e Event) isName() bool { return e.Kind == Create || e.Kind == Remove }

// parent is the folder that a name is in.
func (e Event) parent() string {
	if dir := filepath.Dir(e.Path); dir != "." {
		return dir
	}
	return ""
}

func (d *disk) apply(e Event) {
	b := d.content[e.file]
	switch e.Kind {
	case Create:
		d.names[e.Path] = entry{e.file, e.folder}
	case Remove:
		if d.names[e.Path] == (entry{e.file, e.folder}) {
			delete(d.names, e.Path)
		}
	case Write:
		if end := int(e.off) + len(e.data); end > len(b) {
			b = append(b, make([]byte, end-len(b))...)
		}
		copy(b[e.off:], e.data)
		d.content[e.file] = b
	case Truncate:
		if int(e.off) > len(b) {
			b = append(b, make([]byte, int(e.off)-len(b))...)
		}
		d.content[e.file] = b[:e.off]
	}
}

// crash returns the files as they may be found, and how it chose.
func (d *disk) crash(rng *rand.Rand) (*disk, string) {
	found := &disk{content: map[int][]byte{}, names: maps.Clone(d.names)}
	for file, b := range d.content {
		found.content[file] = bytes.Clone(b)
	}
	mode := []string{"none", "all", "subset", "prefix", "torn"}[rng.IntN(5)]
	upTo := rng.IntN(len(d.open) + 1)
	chance := []float64{0.1, 0.5, 0.9}[rng.IntN(3)]
	lostName := map[string]bool{} // by folder
	for i, p := range d.open {
		e := p.Event
		switch {
		case mode == "none":
		case mode == "all", (mode == "prefix" || mode == "torn") && i < upTo:
			found.apply(e)
		case mode == "torn" && i == upTo && e.Kind == Write:
			e.data = e.data[:min(len(e.data), sector*rng.IntN(len(e.data)/sector+1))]
			found.apply(e)
		case mode == "subset" && e.Kind == Write:
			for from := 0; from < len(e.data); {
				to := min(len(e.data), from+sector-int((e.off+int64(from))%sector))
				if rng.Float64() < chance {
					found.apply(Event{Kind: Write, file: e.file, off: e.off + int64(from), data: e.data[from:to]})
				}
				from = to
			}
		case mode == "subset":
			if e.isName() && lostName[e.parent()] {
				continue
			}
			if rng.Float64() < chance {
				found.apply(e)
			} else if e.isName() {
				lostName[e.parent()] = true
			}
		}
	}
	return found, mode
}

// write empties dir and makes the files in it. What is in a folder whose name is lost
// is lost with it.
func (d *disk) write(dir string) error {
	old, err := os.ReadDir(dir)
	for _, e := range old {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	if err != nil {
		return err
	}
	first := map[int]string{} // name of a file
	for _, name := range slices.Sorted(maps.Keys(d.names)) {
		if parent := (Event{Path: name}).parent(); parent != "" && !d.names[parent].folder {
			delete(d.names, name)
			continue
		}
		path, e := filepath.Join(dir, name), d.names[name]
		switch {
		case e.folder:
			err = os.Mkdir(path, 0o700)
		case first[e.file] != "":
			err = os.Link(first[e.file], path)
		default:
			first[e.file] = path
			err = os.WriteFile(path, d.content[e.file], 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
