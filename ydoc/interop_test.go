package ydoc_test

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/heapsync/heapsync/ydoc"
)

var (
	interopSeed = flag.Uint64("interop.seed", 1, "seed of the interop tests; 0 draws one")
	poisonTime  = flag.Duration("poison.time", 3*time.Second, "how long the poison test looks")
)

// yjs is a process that runs testdata/interop/peer.mjs.
type yjs struct {
	in  io.WriteCloser
	out *bufio.Reader
	cmd *exec.Cmd
}

// startYjs starts real Yjs. Where it is not installed (npm ci --ignore-scripts in
// testdata/interop) the test is skipped, unless REQUIRE_TESTS names interop.
func startYjs(t *testing.T, args ...string) *yjs {
	t.Helper()
	return startPeer(t, "peer.mjs", args...)
}

// startPeer starts a script of testdata/interop.
func startPeer(t *testing.T, script string, args ...string) *yjs {
	t.Helper()
	dir := filepath.Join("testdata", "interop")
	for _, name := range []string{"yjs", "ywasm"} {
		if _, err := os.Stat(filepath.Join(dir, "node_modules", name)); err != nil {
			if strings.Contains(os.Getenv("REQUIRE_TESTS"), "interop") {
				t.Fatalf("%s is not installed in %s: %v", name, dir, err)
			}
			t.Skipf("%s is not installed in %s", name, dir)
		}
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{"--max-old-space-size=512", script}, args...)...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return &yjs{in, bufio.NewReaderSize(out, 1<<20), cmd}
}

// ask sends a request and reads its answer. A peer silent for too long is killed.
func (y *yjs) ask(request map[string]any, answer any) error {
	b, err := json.Marshal(request)
	if err != nil {
		return err
	}
	timer := time.AfterFunc(20*time.Second, func() { y.cmd.Process.Kill() })
	defer timer.Stop()
	if _, err := y.in.Write(append(b, '\n')); err != nil {
		return err
	}
	line, err := y.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("yjs died or hung: %w", err)
	}
	var fault struct{ Error string }
	if err := json.Unmarshal(line, &fault); err != nil {
		return err
	}
	if fault.Error != "" {
		return fmt.Errorf("yjs: %s", fault.Error)
	}
	return json.Unmarshal(line, answer)
}

// session is a random session of real Yjs clients.
type session struct {
	V1, V2, States, StatesV2 []string
	Read, State, Merged      string
}

func (y *yjs) session(t *testing.T, rng *rand.Rand) session {
	t.Helper()
	seed := rng.Uint32()
	var s session
	err := y.ask(map[string]any{"op": "session", "seed": seed, "clients": 2 + rng.IntN(4), "edits": 20 + rng.IntN(60)}, &s)
	if err != nil || len(s.V1) == 0 {
		t.Fatalf("session %d: %d updates, %v", seed, len(s.V1), err)
	}
	return s
}

type applied struct {
	Read, StateVector, State string
	Pending                  bool
}

func (y *yjs) apply(t *testing.T, f ydoc.Format, gc bool, updates ...[]byte) applied {
	t.Helper()
	all := []string{}
	for _, u := range updates {
		all = append(all, hex.EncodeToString(u))
	}
	var a applied
	if err := y.ask(map[string]any{"op": "apply", "updates": all, "format": f, "gc": gc}, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func seeded(t *testing.T) *rand.Rand {
	seed := *interopSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-interop.seed=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func TestYjsReadsWhatWeMergeCutSplitAndConvert(t *testing.T) {
	y := startYjs(t)
	rng := seeded(t)
	for range 25 {
		s := y.session(t, rng)
		updates := unhexAll(t, s.V1)
		want := y.apply(t, ydoc.V1, true, updates...)
		check := func(what string, f ydoc.Format, updates ...[]byte) {
			t.Helper()
			got := y.apply(t, f, true, updates...)
			if got.Read != want.Read || got.StateVector != want.StateVector || got.Pending {
				t.Fatalf("%s, pending %v:\n got %s %s\nwant %s %s", what, got.Pending, got.Read, got.StateVector, want.Read, want.StateVector)
			}
		}
		wantHex(t, "exact merge", exact(t, ydoc.V1, updates...).Append(nil, ydoc.V1), s.Merged)
		check("merge", ydoc.V1, mergeAll(t, updates))

		// Shuffled, some twice, some as whole states, some in V2.
		var m ydoc.Merger
		for range 2 {
			for i, k := range rng.Perm(len(updates)) {
				b, f := updates[k], ydoc.V1
				if i%3 == 0 {
					b, f = unhex(t, s.V2[k]), ydoc.V2
				}
				if err := m.Add(b, f); err != nil {
					t.Fatal(err)
				}
			}
			k := rng.IntN(len(s.States))
			for f, state := range map[ydoc.Format]string{ydoc.V1: s.States[k], ydoc.V2: s.StatesV2[k]} {
				if err := m.Add(unhex(t, state), f); err != nil {
					t.Fatal(err)
				}
			}
			check("shuffled merge", ydoc.V1, m.Append(nil, ydoc.V1))
			check("shuffled merge in V2", ydoc.V2, m.Append(nil, ydoc.V2))
		}
		merged := m.Append(nil, ydoc.V1)
		v2, err := ydoc.ConvertUpdate(merged, ydoc.V1, ydoc.V2)
		if err != nil {
			t.Fatal(err)
		}
		check("converted", ydoc.V2, v2)

		// A client that knows part of it gets the diff.
		known := updates[:rng.IntN(len(updates))]
		base := y.apply(t, ydoc.V1, rng.IntN(2) == 0, known...)
		sv, err := ydoc.DecodeStateVector(unhex(t, base.StateVector))
		if err != nil {
			t.Fatal(err)
		}
		state := unhex(t, base.State)
		check("diff of a merger", ydoc.V1, state, m.AppendDiff(nil, ydoc.V1, sv))
		diff, err := ydoc.DiffUpdate(ydoc.V1, merged, sv)
		if err != nil {
			t.Fatal(err)
		}
		check("diff", ydoc.V1, state, diff)

		// Split knows what is ready.
		u := decode(t, mergeAll(t, updates[rng.IntN(len(updates)):]), ydoc.V1)
		ready, rest, after := u.Split(sv)
		got := y.apply(t, ydoc.V1, true, state, ready.Append(nil, ydoc.V1))
		if got.Pending && !base.Pending {
			t.Fatalf("ready is not: %x on %x", ready.Append(nil, ydoc.V1), state)
		}
		if !base.Pending && got.StateVector != hex.EncodeToString(after.Encode()) {
			t.Fatalf("after is %s, said %x", got.StateVector, after.Encode())
		}
		check("split", ydoc.V1, append([][]byte{ready.Append(nil, ydoc.V1), rest.Append(nil, ydoc.V1)}, updates...)...)
		for f, all := range map[ydoc.Format][]string{ydoc.V1: append(s.V1, s.States...), ydoc.V2: append(s.V2, s.StatesV2...)} {
			for _, one := range all {
				decode(t, unhex(t, one), f) // what Yjs makes is never refused
			}
		}
		for _, one := range s.States {
			if id, conflict := decode(t, unhex(t, one), ydoc.V1).Conflict(m.Update()); conflict {
				t.Fatalf("state of a client conflicts at %v", id)
			}
		}
	}
}
