// Inside the package, because the test has to lower synchronous to show that it
// would notice.
package sqlite

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/powertest"
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

// TestPowerLossLosesNothingAcknowledged records a real run, makes the files as they may
// be found after a power cut at a random moment, and opens them.
func TestPowerLossLosesNothingAcknowledged(t *testing.T) {
	powertest.NeedStrace(t)
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
			dir := t.TempDir()
			trace := powertest.Record(t, dir, func(wrap ...string) *exec.Cmd { return command(t, "power-"+tt.synchronous, dir, wrap...) })
			harmed, faults := trace.Cut(t, tt.states, verifyAfterCrash)
			if tt.harmless && harmed > 0 {
				t.Error(faults)
			}
			if !tt.harmless && harmed == 0 {
				t.Errorf("synchronous=%s lost nothing in %d states: this test is broken", tt.synchronous, tt.states)
			}
		})
	}
}

// verifyAfterCrash opens what is in dir and looks for what was acknowledged.
func verifyAfterCrash(ctx context.Context, dir string, acks []string) (err error) {
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
