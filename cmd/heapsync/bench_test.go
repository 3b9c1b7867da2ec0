package main

import (
	byteorder "encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/protocol"
)

// The server against y-websocket's and Hocuspocus, in one session, under the same
// loads. The generator runs beside the server and takes its share of the same
// cores: what counts is the ratio. See testdata/rivals/README.md.

var (
	full       = flag.Bool("full", false, "run the benchmarks against rivals at full size")
	only       = flag.String("only", "", "measure only the servers with this in their name")
	serverFile = flag.String("server", "", "measure this heapsync, not the one that is built for the tests")
)

// table collects a benchmark's rows and prints them at its end.
type table struct {
	text strings.Builder
	w    *tabwriter.Writer
}

func newTable(b *testing.B, heads ...string) *table {
	t := &table{}
	t.w = tabwriter.NewWriter(&t.text, 0, 0, 2, ' ', 0)
	t.row(heads...)
	b.Cleanup(func() {
		_ = t.w.Flush()
		fmt.Println("\n" + t.text.String()) // the log of a benchmark is cut after ten lines
	})
	return t
}

func (t *table) row(cells ...string) { fmt.Fprintln(t.w, strings.Join(cells, "\t")) }

// ratio says how many times ours is theirs.
func ratio(ours, theirs float64) string {
	if ours == 0 || theirs == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", ours/theirs)
}

func ms(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", d.Seconds()*1e3)
}

// size is what the loads are made of.
func size[T any](short, long T) T {
	if *full {
		return long
	}
	return short
}

func BenchmarkRivalsFanOut(b *testing.B) {
	for _, n := range size([]int{10, 100}, []int{10, 100, 500}) {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				out := newTable(b, "server", "protocol", "edits delivered/s", "p50 ms", "p99 ms", "heapsync is")
				ours := make(map[bool]fanOutResult)
				run := func(hocuspocus bool) func(*benchTarget) {
					return func(t *benchTarget) {
						res, err := fanOut(t, n, hocuspocus, size(time.Second/2, 4*time.Second))
						if err != nil {
							b.Fatal(err)
						}
						times := ""
						if t.name == oursServer.name {
							ours[hocuspocus] = res
							b.ReportMetric(res.delivered, "edits/s")
						} else {
							times = ratio(ours[hocuspocus].delivered, res.delivered) + "x"
						}
						out.row(t.name, protocolName(hocuspocus), fmt.Sprintf("%.0f", res.delivered), ms(res.p50), ms(res.p99), times)
					}
				}
				onEach(b, run(false), oursServer, ywsServer)
				onEach(b, run(true), oursServer, hocuspocusServer)
			}
		})
	}
}

func protocolName(hocuspocus bool) string {
	if hocuspocus {
		return "Hocuspocus"
	}
	return "y-websocket"
}

func BenchmarkRivalsManyBlocks(b *testing.B) {
	for b.Loop() {
		out := newTable(b, "server", "protocol", "edits/s", "p50 ms", "p99 ms", "cores", "RSS MB")
		run := func(hocuspocus bool) func(*benchTarget) {
			return func(t *benchTarget) {
				res, err := manyBlocks(t, size(100, 1000), hocuspocus, size(time.Second, 8*time.Second))
				if err != nil {
					b.Fatal(err)
				}
				out.row(t.name, protocolName(hocuspocus), fmt.Sprintf("%.0f", res.rate), ms(res.p50), ms(res.p99),
					fmt.Sprintf("%.2f", res.cores), fmt.Sprintf("%.0f", float64(res.rss)/1024))
			}
		}
		onEach(b, run(false), oursServer, ywsServer)
		onEach(b, run(true), oursServer, hocuspocusServer)
	}
}

func BenchmarkRivalsIdle(b *testing.B) {
	n := size(300, 5000)
	for b.Loop() {
		out := newTable(b, "server", "protocol", "sockets", "blocks", "KiB each", "heapsync is")
		for _, per := range size([]int{1}, []int{100, 1}) {
			var ours [2]float64
			run := func(hocuspocus bool) func(*benchTarget) {
				return func(t *benchTarget) {
					kib, err := idle(t, n, per, hocuspocus, size(time.Second/2, 4*time.Second))
					if err != nil {
						b.Fatal(err)
					}
					i, times := 0, ""
					if hocuspocus {
						i = 1
					}
					if t.name == oursServer.name {
						ours[i] = kib
					} else {
						times = ratio(ours[i], kib) + "x"
					}
					out.row(t.name, protocolName(hocuspocus), fmt.Sprint(n), fmt.Sprint(n/per), fmt.Sprintf("%.1f", kib), times)
				}
			}
			onEach(b, run(false), oursServer, ywsServer)
			onEach(b, run(true), oursServer, hocuspocusServer)
		}
	}
}

func BenchmarkRivalsIngest(b *testing.B) {
	for b.Loop() {
		out := newTable(b, "server", "writers", "window", "edits acknowledged/s", "p50 ms", "p99 ms", "cores", "durable")
		for _, window := range size([]int{16}, []int{1, 16, 256}) {
			onEach(b, func(t *benchTarget) {
				res, err := ingest(t, 100, window, size(time.Second/2, 3*time.Second))
				if err != nil {
					b.Fatal(err)
				}
				durable := "no"
				if t.name == oursServer.name {
					durable = "yes"
				}
				out.row(t.name, "100", fmt.Sprint(window), fmt.Sprintf("%.0f", res.acked), ms(res.p50), ms(res.p99), fmt.Sprintf("%.2f", res.cores), durable)
			}, oursServer, hocuspocusServer)
		}
	}
}

// BenchmarkRivalsOpen opens a block of a real editing session in a fresh process.
func BenchmarkRivalsOpen(b *testing.B) {
	updates, what := benchTrace(b)
	if !*full {
		updates = updates[:min(len(updates), 5_000)]
	}
	for b.Loop() {
		out := newTable(b, "server", "edits", "step 2 bytes", "first ms", "second ms", "heapsync is")
		var ours time.Duration
		servers := []benchServer{oursServer, hocuspocusServer}
		for _, s := range servers {
			if !strings.Contains(s.name, *only) {
				continue
			}
			dir := b.TempDir()
			err := fillBlock(s, dir, updates)
			if errors.Is(err, errNotInstalled) {
				b.Logf("skipped: %v", err)
				continue
			}
			if err != nil {
				b.Fatal(err)
			}
			var first, second []time.Duration
			bytes := 0
			for range size(2, 5) {
				n, a, z, err := openBlock(s, dir)
				if err != nil {
					b.Fatal(err)
				}
				first, second, bytes = append(first, a), append(second, z), n
			}
			times := ""
			if s.name == oursServer.name {
				ours = median(first)
			} else {
				times = ratio(ours.Seconds(), median(first).Seconds()) + "x"
			}
			out.row(s.name, fmt.Sprintf("%d (%s)", len(updates), what), fmt.Sprint(bytes), ms(median(first)), ms(median(second)), times)
		}
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// benchTrace returns the updates of the B4 trace as Yjs makes them. Where they are
// not in the cache, it has ydoc/testdata/rivals make them; where that cannot, a session typed
// in one go stands in, and the table says so.
func benchTrace(b *testing.B) (updates [][]byte, what string) {
	b.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		b.Fatal(err)
	}
	name := filepath.Join(cache, "heapsync", "trace-automerge-paper.bin")
	trace, err := os.ReadFile(name)
	if err != nil && *full {
		if out, err := exec.Command("node", filepath.Join("..", "..", "ydoc", "testdata", "rivals", "traces.mjs")).CombinedOutput(); err != nil {
			b.Logf("the trace is not made: %v\n%s", err, out)
		}
		trace, err = os.ReadFile(name)
	}
	if err != nil {
		for c := range ydoc.Clock(259_778) {
			updates = append(updates, appendTyped(nil, 1, c))
		}
		return updates, "synthetic"
	}
	for len(trace) >= 4 {
		n := byteorder.BigEndian.Uint32(trace)
		updates = append(updates, trace[4:4+n])
		trace = trace[4+n:]
	}
	return updates, "B4"
}

// fillBlock sends updates one by one through a Hocuspocus socket, waits until all
// are acknowledged, and stops the server.
func fillBlock(server benchServer, dir string, updates [][]byte) error {
	t, err := server.start(dir)
	if err != nil {
		return err
	}
	defer t.stop()
	s, err := dialBench(t, "open", true, 16<<10)
	if err != nil {
		return err
	}
	room, failed := make(chan struct{}, 1000), make(chan error, 1)
	go func() {
		for range updates {
			if err := s.waitAck(); err != nil {
				failed <- err
				return
			}
			<-room
		}
		failed <- nil
	}()
	for _, u := range updates {
		select {
		case room <- struct{}{}:
		case err := <-failed:
			s.close()
			return err
		}
		if err := s.send(s.syncFrame(nil, protocol.SyncUpdate, u)); err != nil {
			s.close()
			return err
		}
	}
	err = <-failed
	s.close()
	time.Sleep(time.Second) // servers tidy up after the last client has left
	return err
}

// openBlock starts the server, opens the block twice, and says how long it took
// from before connecting until step 2 was there.
func openBlock(server benchServer, dir string) (bytes int, first, second time.Duration, err error) {
	t, err := server.start(dir)
	if err != nil {
		return 0, 0, 0, err
	}
	defer t.stop()
	open := func() (time.Duration, error) {
		begin := time.Now()
		state, err := dialState(t, "open")
		bytes = len(state)
		return time.Since(begin), err
	}
	if first, err = open(); err == nil {
		second, err = open()
	}
	return bytes, first, second, err
}

// lossResult is what kills came to.
type lossResult struct {
	kills, acked, lost, worst int
}

// BenchmarkRivalsKilled kills the servers under load and counts the acknowledged
// edits that are gone. TestKilledServerLosesNothingAcknowledged is ours alone.
func BenchmarkRivalsKilled(b *testing.B) {
	for b.Loop() {
		out := newTable(b, "server", "kills", "edits acknowledged", "lost", "a kill", "at worst")
		for _, s := range []benchServer{oursServer, hocuspocusServer} {
			if !strings.Contains(s.name, *only) {
				continue
			}
			res, err := killUnderLoad(s, b.TempDir(), size(2, 10))
			if errors.Is(err, errNotInstalled) {
				b.Logf("skipped: %v", err)
				continue
			}
			if err != nil {
				b.Fatal(err)
			}
			if s.name == oursServer.name && res.lost > 0 {
				b.Errorf("%d acknowledged edits lost", res.lost)
			}
			out.row(s.name, fmt.Sprint(res.kills), fmt.Sprint(res.acked), fmt.Sprint(res.lost), fmt.Sprint(res.lost/res.kills), fmt.Sprint(res.worst))
		}
	}
}

// killUnderLoad has 50 clients type, kills the server at a random moment, and looks
// after the restart for what it had acknowledged, again and again.
func killUnderLoad(server benchServer, dir string, kills int) (res lossResult, err error) {
	rng := rand.New(rand.NewPCG(1, 1))
	const writers = 50
	for round := range kills {
		block := func(i int) string { return fmt.Sprintf("kill-%d-%d", round, i) }
		t, err := server.start(dir)
		if err != nil {
			return res, err
		}
		sockets, err := dialAll(t, writers, true, 4<<10, block)
		if err != nil {
			t.kill()
			return res, err
		}
		acked := make([]atomic.Int64, writers)
		var stop atomic.Bool
		var wg sync.WaitGroup
		for i, s := range sockets {
			wg.Go(func() { _ = typeAcked(s, ydoc.ClientID(i+1), 8, &stop, &acked[i], new(latencies)) })
		}
		time.Sleep(time.Second + time.Duration(rng.IntN(2000))*time.Millisecond)
		t.kill()
		wg.Wait()
		closeAll(sockets)
		if t, err = server.start(dir); err != nil {
			return res, err
		}
		lost := 0
		for i := range acked {
			state, err := dialState(t, block(i))
			if err != nil {
				t.kill()
				return res, err
			}
			sv, err := ydoc.StateVectorOf(ydoc.V1, state)
			if err != nil {
				t.kill()
				return res, err
			}
			n := int(acked[i].Load())
			res.acked += n
			lost += max(0, n-int(sv.Next(ydoc.ClientID(i+1))))
		}
		t.kill()
		res.kills++
		res.lost += lost
		res.worst = max(res.worst, lost)
	}
	return res, nil
}
