package main

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/protocol"
)

// dialAll opens n sockets, of which block(i) says what they open.
func dialAll(t *benchTarget, n int, hocuspocus bool, buffer int, block func(i int) string) ([]*benchSocket, error) {
	sockets, errs := make([]*benchSocket, n), make([]error, n)
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 16 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				sockets[i], errs[i] = dialBench(t, block(i), hocuspocus, buffer)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		closeAll(sockets)
		return nil, err
	}
	return sockets, nil
}

func closeAll(sockets []*benchSocket) {
	for _, s := range sockets {
		if s != nil {
			s.close()
		}
	}
}

// sendLog says when each edit of a writer was sent. It is a ring: no more than its
// length may be on the way.
type sendLog [1 << 12]atomic.Int64

func (l *sendLog) at(c ydoc.Clock) *atomic.Int64 { return &l[c%ydoc.Clock(len(l))] }

// receiver counts the edits that come in through a socket.
type receiver struct {
	got atomic.Uint64 // clocks, of all writers
	lat latencies     // read it when the socket has ended
	err error
}

// run reads until the socket ends. sentBy finds the send log of a client, nil
// for the socket's own, whose edits some servers send back. Edits sent before since
// are not timed.
func (r *receiver) run(s *benchSocket, every ydoc.Clock, since *atomic.Int64, sentBy func(ydoc.ClientID) *sendLog) {
	for {
		m, err := s.next()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				r.err = err
			}
			return
		}
		if m.kind != benchSync || m.sync == protocol.SyncStep1 {
			continue
		}
		now := time.Now().UnixNano()
		err = clocksOf(m.payload, func(client ydoc.ClientID, from, to ydoc.Clock) {
			log, begin := sentBy(client), since.Load()
			if log == nil {
				return
			}
			r.got.Add(uint64(to - from))
			for c := (from + every - 1) / every * every; c < to; c += every {
				if sent := log.at(c).Load(); sent >= begin {
					r.lat.add(time.Duration(now - sent))
				}
			}
		})
		if err != nil {
			r.err = err
			return
		}
	}
}

// fanOutResult is what fan-out of one writer came to.
type fanOutResult struct {
	delivered float64 // edits a second, all subscribers together
	p50, p99  time.Duration
}

// fanOutWindow is how many edits the writer may be ahead of the slowest subscriber:
// without a bound a server that queues without bound would be timed on its queue.
const fanOutWindow = 1000

// fanOut has one client type as fast as it can into a block that n others have
// open. An edit is one character.
func fanOut(t *benchTarget, n int, hocuspocus bool, took time.Duration) (res fanOutResult, err error) {
	const client = 77
	sockets, err := dialAll(t, n+1, hocuspocus, 16<<10, func(int) string { return "fan-out" })
	if err != nil {
		return res, err
	}
	receivers := make([]receiver, n)
	var log sendLog
	var since atomic.Int64
	since.Store(math.MaxInt64)
	var wg sync.WaitGroup
	for i := range receivers {
		wg.Go(func() {
			receivers[i].run(sockets[i], 8, &since, func(ydoc.ClientID) *sendLog { return &log })
		})
	}
	writer := sockets[n]
	wg.Go(func() { drain(writer) })
	var stop atomic.Bool
	wg.Go(func() {
		var sent ydoc.Clock
		var update, frame []byte
		for !stop.Load() {
			slowest := uint64(math.MaxUint64)
			for i := range receivers {
				slowest = min(slowest, receivers[i].got.Load())
			}
			room := fanOutWindow - int(uint64(sent)-slowest)
			if room < 16 {
				time.Sleep(50 * time.Microsecond)
				continue
			}
			writer.writeMu.Lock()
			now := time.Now().UnixNano()
			for range min(room, 64) {
				update = appendTyped(update[:0], client, sent)
				frame = writer.syncFrame(frame[:0], protocol.SyncUpdate, update)
				writer.add(2, frame)
				log.at(sent).Store(now)
				sent++
			}
			err := writer.flush()
			writer.writeMu.Unlock()
			if err != nil {
				return
			}
		}
	})
	time.Sleep(took / 4)
	total := func() (sum uint64) {
		for i := range receivers {
			sum += receivers[i].got.Load()
		}
		return sum
	}
	begin, before := time.Now(), total()
	since.Store(begin.UnixNano())
	time.Sleep(took)
	res.delivered = float64(total()-before) / time.Since(begin).Seconds()
	stop.Store(true)
	closeAll(sockets)
	wg.Wait()
	var lat latencies
	for i := range receivers {
		lat.merge(&receivers[i].lat)
		err = errors.Join(err, receivers[i].err)
	}
	res.p50, res.p99 = lat.quantile(0.5), lat.quantile(0.99)
	return res, err
}

// drain reads until the socket ends.
func drain(s *benchSocket) {
	for {
		if _, err := s.next(); err != nil {
			return
		}
	}
}

// manyResult is what many blocks with a steady load came to.
type manyResult struct {
	rate     float64 // edits delivered a second
	p50, p99 time.Duration
	cores    float64
	rss      int // KiB, at the end
}

// manyBlocks has two clients on each of n blocks make 5 edits a second each, at
// random moments, and times them on their way to the other.
func manyBlocks(t *benchTarget, n int, hocuspocus bool, took time.Duration) (res manyResult, err error) {
	const every = 200 * time.Millisecond
	sockets, err := dialAll(t, 2*n, hocuspocus, 1<<10, func(i int) string { return fmt.Sprint("many-", i/2) })
	if err != nil {
		return res, err
	}
	receivers, logs := make([]receiver, 2*n), make([]*sendLog, 2*n)
	var since atomic.Int64
	since.Store(math.MaxInt64)
	var wg sync.WaitGroup
	for i := range receivers {
		logs[i] = new(sendLog)
		wg.Go(func() {
			receivers[i].run(sockets[i], 1, &since, func(c ydoc.ClientID) *sendLog {
				if int(c-1) == i {
					return nil
				}
				return logs[c-1]
			})
		})
	}
	var stop atomic.Bool
	const pacers = 4
	for p := range pacers {
		wg.Go(func() { pace(sockets, logs, p, pacers, every, &stop) })
	}
	time.Sleep(took / 3)
	total := func() (sum uint64) {
		for i := range receivers {
			sum += receivers[i].got.Load()
		}
		return sum
	}
	before, edits := t.usage(), total()
	since.Store(before.at.UnixNano())
	time.Sleep(took)
	after := t.usage()
	res.rate = float64(total()-edits) / after.at.Sub(before.at).Seconds()
	res.cores, res.rss = after.coresSince(before), after.rss
	stop.Store(true)
	time.Sleep(500 * time.Millisecond) // what is on the way counts
	closeAll(sockets)
	wg.Wait()
	var lat latencies
	for i := range receivers {
		lat.merge(&receivers[i].lat)
		err = errors.Join(err, receivers[i].err)
	}
	res.p50, res.p99 = lat.quantile(0.5), lat.quantile(0.99)
	return res, err
}

// pace makes the edits of every pacers-th socket, spread evenly over a round in an
// order that has nothing to do with the blocks.
func pace(sockets []*benchSocket, logs []*sendLog, first, pacers int, every time.Duration, stop *atomic.Bool) {
	var update, frame []byte
	order := rand.New(rand.NewPCG(1, 1)).Perm(len(sockets)) // the same for all pacers
	begin := time.Now()
	for round := 0; ; round++ {
		for turn := first; turn < len(sockets); turn += pacers {
			i := order[turn]
			due := begin.Add(time.Duration(round)*every + every*time.Duration(turn)/time.Duration(len(sockets)))
			if wait := time.Until(due); wait > 0 {
				time.Sleep(wait)
			}
			if stop.Load() {
				return
			}
			s, clock := sockets[i], ydoc.Clock(round)
			update = appendTyped(update[:0], ydoc.ClientID(i+1), clock)
			frame = s.syncFrame(frame[:0], protocol.SyncUpdate, update)
			logs[i].at(clock).Store(time.Now().UnixNano())
			if s.send(frame) != nil {
				return
			}
		}
	}
}

// idle opens n sockets on blocks of per clients each, waits until nothing moves,
// and returns the KiB of memory each costs.
func idle(t *benchTarget, n, per int, hocuspocus bool, rest time.Duration) (float64, error) {
	// What the server needs once, it gets now.
	first, err := dialAll(t, 50, hocuspocus, 64, func(i int) string { return fmt.Sprint("warm-", i) })
	if err != nil {
		return 0, err
	}
	defer closeAll(first)
	time.Sleep(rest / 2)
	before := t.usage()
	sockets, err := dialAll(t, n, hocuspocus, 64, func(i int) string { return fmt.Sprint("idle-", i/per) })
	if err != nil {
		return 0, err
	}
	defer closeAll(sockets)
	time.Sleep(rest)
	return float64(t.usage().rss-before.rss) / float64(n), nil
}

// ingestResult is what writers that wait for acknowledgements came to.
type ingestResult struct {
	acked    float64 // edits a second
	p50, p99 time.Duration
	cores    float64
}

// ingest has n clients type into a block of their own over Hocuspocus sockets, each
// with at most window edits that are not acknowledged.
func ingest(t *benchTarget, n, window int, took time.Duration) (res ingestResult, err error) {
	sockets, err := dialAll(t, n, true, 4<<10, func(i int) string { return fmt.Sprint("ingest-", i) })
	if err != nil {
		return res, err
	}
	var acked atomic.Int64
	lats := make([]latencies, n)
	errs := make([]error, n)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for i, s := range sockets {
		wg.Go(func() {
			errs[i] = typeAcked(s, ydoc.ClientID(i+1), window, &stop, &acked, &lats[i])
		})
	}
	time.Sleep(took / 4)
	before, n0 := t.usage(), acked.Load()
	time.Sleep(took)
	after := t.usage()
	res.acked = float64(acked.Load()-n0) / after.at.Sub(before.at).Seconds()
	res.cores = after.coresSince(before)
	stop.Store(true)
	closeAll(sockets)
	wg.Wait()
	var lat latencies
	for i := range lats {
		lat.merge(&lats[i])
	}
	res.p50, res.p99 = lat.quantile(0.5), lat.quantile(0.99)
	for _, e := range errs {
		if !errors.Is(e, net.ErrClosed) {
			err = errors.Join(err, e)
		}
	}
	return res, err
}

// typeAcked types with a window until stop or the socket ends.
func typeAcked(s *benchSocket, client ydoc.ClientID, window int, stop *atomic.Bool, acked *atomic.Int64, lat *latencies) error {
	var log sendLog
	var update, frame []byte
	var sent, done ydoc.Clock
	for !stop.Load() {
		if room := window - int(sent-done); room >= max(1, window/2) {
			now := time.Now().UnixNano()
			s.writeMu.Lock()
			for range room {
				update = appendTyped(update[:0], client, sent)
				frame = s.syncFrame(frame[:0], protocol.SyncUpdate, update)
				s.add(2, frame)
				log.at(sent).Store(now)
				sent++
			}
			err := s.flush()
			s.writeMu.Unlock()
			if err != nil {
				return err
			}
		}
		m, err := s.next()
		if err != nil {
			return err
		}
		if m.kind == benchAck {
			lat.add(time.Duration(time.Now().UnixNano() - log.at(done).Load()))
			done++
			acked.Add(1)
		}
	}
	return nil
}
