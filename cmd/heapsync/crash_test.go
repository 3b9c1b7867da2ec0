package main

import (
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/lib0"
	"github.com/heapsync/heapsync/ydoc/protocol"
)

var (
	kills    = flag.Int("kills", 50, "how often TestKilledServerLosesNothingAcknowledged kills the server")
	killSeed = flag.Uint64("kill-seed", uint64(time.Now().UnixNano()), "seed of TestKilledServerLosesNothingAcknowledged")
)

// ledger is what one writer knows of its own edits: a block, a client id in it,
// and how far it has got.
type ledger struct {
	block  string
	client ydoc.ClientID

	// mu guards all below: clocks, which count characters.
	mu        sync.Mutex
	attempted ydoc.Clock // sent
	acked     ydoc.Clock // acknowledged as durable
}

// next makes the writer's next edit.
func (l *ledger) next(word string) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.attempted
	l.attempted += ydoc.Clock(len(word))
	return appendText(l.client, at, ydoc.ID{Client: l.client, Clock: max(at, 1) - 1}, at > 0, word)
}

func (l *ledger) ack(chars int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked += ydoc.Clock(chars)
}

// killWord is what writers write: all edits have the same length, so that counting
// acknowledgements counts characters.
const killWord = "edit "

// TestKilledServerLosesNothingAcknowledged kills the real server under load, again
// and again, and finds every acknowledged update after each start.
func TestKilledServerLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	n := *kills
	if testing.Short() {
		n = min(n, 5)
	}
	t.Logf("seed %d, %d kills", *killSeed, n)
	rng := rand.New(rand.NewPCG(*killSeed, 0))
	dir := t.TempDir()
	const heap = "kill-heap"
	var device *demoDevice
	// Half of the writers share blocks, so that commits of one block hold several.
	ledgers := make([]*ledger, 16)
	for i := range ledgers {
		ledgers[i] = &ledger{block: fmt.Sprint("block-", i/2), client: ydoc.ClientID(1000 + i)}
	}
	acked := 0
	for round := range n {
		p, err := launch(dir, "--snapshot-tail", "64", "--history-updates", "200")
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if device == nil {
			if device, err = newDemoDevice(p.url); err != nil {
				t.Fatal(err)
			}
		}
		device.url = p.url
		token, err := device.login(t.Context())
		if err == nil && round == 0 {
			err = device.call(t.Context(), "/api/heap/add", token, map[string]any{"id": heap, "name": "kill"}, nil)
		}
		if err != nil {
			p.kill()
			t.Fatalf("round %d: %v", round, err)
		}
		verifyLedgers(t, device, token, heap, ledgers, round)
		if round%10 == 1 {
			verifyLists(t, device, token, heap)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i, l := range ledgers {
			wg.Go(func() {
				if i%4 == 3 {
					pushWriter(ctx, device, token, heap, l)
				} else {
					socketWriter(ctx, p.url, token, heap, l)
				}
			})
		}
		time.Sleep(time.Duration(20+rng.IntN(400)) * time.Millisecond) // the load runs
		p.kill()
		cancel()
		wg.Wait()
	}
	p := startServer(t, dir)
	device.url = p.url
	token, err := device.login(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	verifyLedgers(t, device, token, heap, ledgers, n)
	verifyLists(t, device, token, heap)
	for _, l := range ledgers {
		acked += int(l.acked) / len(killWord)
	}
	if acked < n {
		t.Errorf("only %d edits were acknowledged in %d rounds: the load is broken", acked, n)
	}
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
	out, err := exec.Command(binary, "check", "--data", dir).CombinedOutput()
	if err != nil {
		t.Errorf("check: %v\n%s", err, out)
	}
	if strings.Contains(string(out), " 0 windows") {
		t.Errorf("no history was folded: %s", out)
	}
	rebuilt, err := exec.Command(binary, "check", "--rebuild", "--data", dir).CombinedOutput()
	if err != nil || !strings.Contains(string(rebuilt), "8 snapshots rebuilt") {
		t.Errorf("check --rebuild: %v\n%s", err, rebuilt)
	}
	t.Logf("%d acknowledged edits, none lost; %s", acked, strings.TrimSpace(string(out)))
}

// verifyLedgers compares the server's state with what every writer knows: nothing
// acknowledged is missing, nothing is there that nobody wrote.
func verifyLedgers(t *testing.T, device *demoDevice, token, heap string, ledgers []*ledger, round int) {
	t.Helper()
	vectors := make(map[string]ydoc.StateVector)
	for _, l := range ledgers {
		sv, known := vectors[l.block]
		if !known {
			var err error
			if sv, err = pullVector(t.Context(), device, token, heap, l.block); err != nil {
				t.Fatalf("round %d: pull %s: %v", round, l.block, err)
			}
			vectors[l.block] = sv
		}
		next := sv.Next(l.client)
		l.mu.Lock()
		if next < l.acked || next > l.attempted {
			t.Fatalf("round %d, %s, client %d: the server has %d characters; %d were acknowledged, %d sent",
				round, l.block, l.client, next, l.acked, l.attempted)
		}
		l.acked, l.attempted = next, next // a real client would push the rest again
		l.mu.Unlock()
	}
}

// verifyLists waits until lists, which the server reads from documents, have caught up
// with the log that was found after the start.
func verifyLists(t *testing.T, device *demoDevice, token, heap string) {
	t.Helper()
	sizes := func(list []listedBlock) map[string]int64 {
		m := make(map[string]int64)
		for _, b := range list {
			m[b.BlockID] = b.Size
		}
		return m
	}
	var changed struct {
		Blocks []listedBlock `json:"changed_blocks"`
	}
	if err := device.get(t.Context(), "/api/sync/delta?limit=1000&cursor=0&workspace_id="+heap, token, &changed); err != nil {
		t.Fatal(err)
	}
	want := sizes(changed.Blocks)
	var have map[string]int64
	waitFor(t, "the lists to catch up", func() bool {
		var contents struct{ Blocks []listedBlock }
		if err := device.call(t.Context(), "/api/heap", token, map[string]any{"heap_id": heap}, &contents); err != nil {
			t.Fatal(err)
		}
		have = sizes(contents.Blocks)
		return maps.Equal(have, want)
	})
}

type listedBlock struct {
	BlockID string `json:"block_id"`
	Size    int64
}

func pullVector(ctx context.Context, device *demoDevice, token, heap, block string) (ydoc.StateVector, error) {
	var answer struct {
		Blocks []struct {
			Status string
			State  string
		}
	}
	err := device.call(ctx, "/api/sync/pull", token, map[string]any{
		"blocks": []any{map[string]any{"workspace_id": heap, "block_id": block}},
	}, &answer)
	if err != nil || answer.Blocks[0].Status == "not_found" {
		return ydoc.StateVector{}, err
	}
	state, err := base64.StdEncoding.DecodeString(answer.Blocks[0].State)
	if err != nil {
		return ydoc.StateVector{}, err
	}
	return ydoc.StateVectorOf(ydoc.V1, state)
}

// pushWriter edits over HTTP, one edit at a time, until the server is gone.
func pushWriter(ctx context.Context, device *demoDevice, token, heap string, l *ledger) {
	for ctx.Err() == nil {
		var answer struct{ Results []struct{ Status string } }
		err := device.call(ctx, "/api/sync/push", token, map[string]any{"blocks": []any{map[string]any{
			"workspace_id": heap, "block_id": l.block, "update": base64.StdEncoding.EncodeToString(l.next(killWord)),
		}}}, &answer)
		if err != nil || answer.Results[0].Status != "applied" {
			return
		}
		l.ack(len(killWord))
	}
}

// socketWriter edits over a Hocuspocus socket, with some edits in flight, until
// the server is gone.
func socketWriter(ctx context.Context, url, token, heap string, l *ledger) {
	ws, _, err := websocket.DefaultDialer.DialContext(ctx, "ws"+strings.TrimPrefix(url, "http")+"/ws", nil)
	if err != nil {
		return
	}
	defer ws.Close()
	stop := context.AfterFunc(ctx, func() { _ = ws.Close() })
	defer stop()
	address := heap + "/" + l.block
	hello := append(lib0.AppendVarString(nil, address), protocol.HAuth, protocol.HAuthToken)
	if ws.WriteMessage(websocket.BinaryMessage, lib0.AppendVarString(hello, token)) != nil {
		return
	}
	inFlight := make(chan struct{}, 32)
	go func() {
		for {
			select {
			case inFlight <- struct{}{}:
			case <-ctx.Done():
				return
			}
			frame := protocol.AppendHSync(nil, address, protocol.SyncUpdate, l.next(killWord))
			if ws.WriteMessage(websocket.BinaryMessage, frame) != nil {
				return
			}
		}
	}()
	for {
		_, data, err := ws.ReadMessage()
		if err != nil {
			return
		}
		if isAck(data) == nil {
			l.ack(len(killWord))
			<-inFlight
		}
	}
}

var errNoAck = errors.New("not an acknowledgement")

func isAck(frame []byte) error {
	r := lib0.NewReader(frame)
	_, _, typ, err := protocol.ReadHAddress(r)
	if err != nil || typ != protocol.HSyncStatus {
		return errNoAck
	}
	if applied, err := r.VarUint(); err != nil || applied != 1 {
		return errNoAck
	}
	return nil
}

// appendText is the update of one insertion behind the character last, or at the
// beginning of the root text.
func appendText(client ydoc.ClientID, clock ydoc.Clock, last ydoc.ID, after bool, word string) []byte {
	const contentString, hasOrigin = 4, 0x80
	b := []byte{1, 1} // one client, one struct
	b = lib0.AppendVarUint(b, uint64(client))
	b = lib0.AppendVarUint(b, uint64(clock))
	if after {
		b = append(b, contentString|hasOrigin)
		b = lib0.AppendVarUint(b, uint64(last.Client))
		b = lib0.AppendVarUint(b, uint64(last.Clock))
	} else {
		b = append(b, contentString, 1) // the parent is a root
		b = lib0.AppendVarString(b, demoRoot)
	}
	b = lib0.AppendVarString(b, word)
	return append(b, 0) // deletes nothing
}
