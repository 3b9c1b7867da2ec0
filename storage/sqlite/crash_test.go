// Inside the package, for hasAll reads the tables.
package sqlite

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/powertest"
)

var (
	kills      = flag.Int("kills", 25, "kill -9 of a process that writes")
	diskFaults = flag.Int("disk-faults", 4, "moments at which the disk fails")
)

func init() {
	children["writer"] = killedWorkload
	children["faults"] = faultsWorkload
}

// killedWorkload commits from several goroutines until it is killed, and prints
// what was acknowledged.
func killedWorkload(dir string) {
	ctx := context.Background()
	s, err := Open(ctx, Config{Path: filepath.Join(dir, "heapsync.db"), checkpoint: 100})
	if err == nil {
		err = s.CreateHeap(ctx, blocks.Heap{ID: "h", Owner: "ada"})
	}
	if err != nil && !errors.Is(err, blocks.ErrConflict) {
		fmt.Println("broken", err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			key := blocks.BlockKey{Heap: "h", Block: blocks.BlockID(fmt.Sprint(n))}
			head, err := s.Head(ctx, key)
			if errors.Is(err, blocks.ErrNotFound) {
				head = blocks.Head{Key: key, SyncVersion: 1}
			}
			for i := 0; ; i++ {
				text := fmt.Sprintf("%d-%d-%d", os.Getpid(), n, i)
				c := &blocks.BlockCommit{Head: head, Updates: []blocks.LoggedUpdate{{User: "ada", Bytes: []byte(text)}}}
				c.Head.Bytes += int64(len(text))
				c.Head.StateVector = []byte(text)
				if err := s.Commit(ctx, &blocks.Batch{Blocks: []*blocks.BlockCommit{c}}); err != nil {
					fmt.Println("broken", err)
					os.Exit(1)
				}
				fmt.Printf("update %d %s\n", c.Updates[0].Seq, text)
				head = c.Head
				if i%50 == 49 {
					if err := s.SaveSnapshot(ctx, blocks.Snapshot{Ref: head.Ref, Seq: head.Seq, State: []byte(text)}); err == nil {
						fmt.Printf("snapshot %d %d\n", head.Ref, head.Seq)
					}
					if w, err := foldHalf(ctx, s, head.Ref); err == nil && w.To != 0 {
						fmt.Printf("window %d %d\n", head.Ref, w.To)
						if err := foldWindows(ctx, s, head.Ref); err != nil {
							fmt.Println("broken", err)
							os.Exit(1)
						}
					}
				}
			}
		})
	}
	wg.Wait()
}

// notify is a buffer that tells of its first write.
type notify struct {
	buf   bytes.Buffer
	once  sync.Once
	first chan struct{}
}

func (n *notify) Write(p []byte) (int, error) {
	n.once.Do(func() { close(n.first) })
	return n.buf.Write(p)
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var acks []string
	for n := range *kills {
		out := &notify{first: make(chan struct{})}
		cmd := command(t, "writer", dir)
		cmd.Stdout, cmd.Stderr = out, os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-out.first:
		case <-time.After(20 * time.Second):
			t.Fatal("the writer writes nothing")
		}
		// The moment has to be random, and only a clock can choose it.
		time.Sleep(time.Duration(rng.IntN(40_000)) * time.Microsecond)
		cmd.Process.Kill()
		cmd.Wait()
		text := out.buf.String()
		text = text[:strings.LastIndexByte(text, '\n')+1]
		for l := range strings.Lines(text) {
			acks = append(acks, strings.TrimSpace(l))
		}
		if err := verifyDir(t.Context(), dir, acks); err != nil {
			t.Fatalf("kill %d: %v", n, err)
		}
	}
	t.Logf("%d acknowledgements, %d kills", len(acks), *kills)
}

// verifyDir opens what a process has left and looks for what it acknowledged.
func verifyDir(ctx context.Context, dir string, acks []string) (err error) {
	s, err := Open(ctx, Config{Path: filepath.Join(dir, "heapsync.db")})
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

// faultsWorkload commits one update after the other and prints what came of each.
func faultsWorkload(dir string) {
	ctx := context.Background()
	s, err := Open(ctx, Config{Path: filepath.Join(dir, "heapsync.db"), checkpoint: 20})
	if err != nil {
		fmt.Println("open:", err)
		return
	}
	head := blocks.Head{Key: blocks.BlockKey{Heap: "h", Block: "a"}, SyncVersion: 1}
	for i := range 60 {
		text := fmt.Sprintf("%d-%s", i, strings.Repeat("x", 3000))
		c := &blocks.BlockCommit{Head: head, Updates: []blocks.LoggedUpdate{{User: "ada", Bytes: []byte(text)}}}
		c.Head.Bytes += int64(len(text))
		switch err := s.Commit(ctx, &blocks.Batch{Blocks: []*blocks.BlockCommit{c}}); {
		case err == nil:
			fmt.Printf("update %d %s\n", c.Updates[0].Seq, text)
			head = c.Head
		case errors.Is(err, blocks.ErrFailed):
			fmt.Println("failed:", err)
		case errors.Is(err, blocks.ErrFull):
			fmt.Println("full:", err)
		default:
			fmt.Println("other:", err)
		}
		if _, err := s.Head(ctx, head.Key); err != nil && head.Ref != 0 {
			fmt.Println("unreadable:", err)
		}
	}
	err = s.Health(ctx)
	for deadline := time.Now().Add(10 * time.Second); errors.Is(err, blocks.ErrFull) && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond) // Health tries the disk once a second
		err = s.Health(ctx)
	}
	switch {
	case err == nil:
		fmt.Println("healthy")
	case errors.Is(err, blocks.ErrFailed):
		fmt.Println("unhealthy")
	default:
		fmt.Println("health:", err)
	}
}

// outcomes runs faultsWorkload under strace, which makes calls fail, and returns
// what it printed: the acknowledgements, and the first word of each other line.
func outcomes(t *testing.T, dir, inject string) (acks, words []string) {
	t.Helper()
	s, err := Open(t.Context(), Config{Path: filepath.Join(dir, "heapsync.db")})
	if err != nil {
		t.Fatal(err)
	}
	err = s.CreateHeap(t.Context(), blocks.Heap{ID: "h", Owner: "ada"})
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "faults", dir, "strace", "-f", "-o", os.DevNull, "-e", "signal=none",
		"-P", filepath.Join(dir, "heapsync.db"), "-P", filepath.Join(dir, "heapsync.db-wal"), "-e", "inject="+inject)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("workload: %v", err)
	}
	for l := range strings.Lines(string(out)) {
		l = strings.TrimSpace(l)
		word, _, _ := strings.Cut(l, " ")
		words = append(words, word)
		if word == "update" {
			acks = append(acks, l)
		}
	}
	return acks, words
}

func TestFailedSyncEndsAcknowledgements(t *testing.T) {
	powertest.NeedStrace(t)
	refused := 0
	for n := range *diskFaults {
		k := 1 + n*5
		dir := t.TempDir()
		acks, words := outcomes(t, dir, fmt.Sprintf("fsync,fdatasync:error=EIO:when=%d", k))
		bad := false
		for i, w := range words {
			switch {
			case w == "open:" && i == 0:
				bad = true
			case w == "failed:":
				bad = true
				refused++
			case w == "unhealthy" && bad, w == "healthy" && !bad, w == "update" && !bad:
			default:
				t.Errorf("sync %d fails: then came %q after %q", k, w, words[:i])
			}
		}
		if err := verifyDir(t.Context(), dir, acks); err != nil {
			t.Errorf("sync %d fails: %v", k, err)
		}
	}
	if refused == 0 {
		t.Error("no commit was refused: nothing was injected")
	}
}

func TestFullDiskIsRefusedAndRecovers(t *testing.T) {
	powertest.NeedStrace(t)
	full := 0
	for n := range *diskFaults {
		k := 2 + n*11
		dir := t.TempDir()
		acks, words := outcomes(t, dir, fmt.Sprintf("pwrite64:error=ENOSPC:when=%d..%d", k, k+3))
		for i, w := range words {
			switch {
			case w == "full:":
				full++
			case w == "update", w == "healthy", w == "open:" && i == 0:
			default:
				t.Errorf("write %d fails: then came %q after %q", k, w, words[:i])
			}
		}
		if last := words[len(words)-1]; last != "healthy" && last != "open:" {
			t.Errorf("write %d fails: ends with %q", k, last)
		}
		if err := verifyDir(t.Context(), dir, acks); err != nil {
			t.Errorf("write %d fails: %v", k, err)
		}
	}
	if full == 0 {
		t.Error("no commit was refused: nothing was injected")
	}
}
