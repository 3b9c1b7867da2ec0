package main

import (
	"bufio"
	byteorder "encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/lib0"
	"github.com/heapsync/heapsync/ydoc/protocol"
)

// A benchSocket is a client of one block that costs next to nothing, so that a load
// measures the server: it keeps no document, masks with zeros, and reads frames
// where they lie in its buffer.
type benchSocket struct {
	conn    net.Conn
	r       *bufio.Reader
	scratch []byte
	address string // of the Hocuspocus protocol; empty: y-websocket

	writeMu sync.Mutex // guards out and writes
	out     []byte
}

// dialBench opens block on a server and returns when it has been synced. What
// comes meanwhile is lost.
func dialBench(t *benchTarget, block string, hocuspocus bool, buffer int) (*benchSocket, error) {
	s, err := connectBench(t, block, hocuspocus, buffer)
	if err != nil {
		return nil, err
	}
	acked := s.address == ""
	for _, err = s.waitState(&acked); err == nil && !acked; {
		err = s.waitAck()
		acked = true
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("open %s on %s: %w", block, t.name, err)
	}
	return s, s.conn.SetDeadline(time.Time{})
}

// dialState opens block over Hocuspocus and returns step 2 at once.
func dialState(t *benchTarget, block string) ([]byte, error) {
	s, err := connectBench(t, block, true, 64<<10)
	if err != nil {
		return nil, err
	}
	defer s.close()
	return s.waitState(new(bool))
}

// connectBench connects and sends what a provider sends first.
func connectBench(t *benchTarget, block string, hocuspocus bool, buffer int) (*benchSocket, error) {
	u, err := url.Parse(t.url)
	if err != nil {
		return nil, err
	}
	conn, err := net.DialTimeout("tcp", u.Host, 30*time.Second)
	if err != nil {
		return nil, err
	}
	s := &benchSocket{conn: conn, r: bufio.NewReaderSize(conn, buffer)}
	path := t.path(block)
	if hocuspocus {
		s.address, path = t.heap+"/"+block, t.many
	}
	_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
	err = s.upgrade(u.Host, path)
	if err == nil && hocuspocus {
		err = s.send(protocol.AppendHToken(nil, s.address, t.token, "4.0.0"))
	}
	if err == nil {
		err = s.send(s.syncFrame(nil, protocol.SyncStep1, []byte{0}))
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("connect to %s: %w", t.name, err)
	}
	return s, nil
}

func (s *benchSocket) close() { _ = s.conn.Close() }

func (s *benchSocket) upgrade(host, path string) error {
	_, err := fmt.Fprintf(s.conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", path, host)
	if err != nil {
		return err
	}
	res, err := http.ReadResponse(s.r, nil)
	if err == nil && res.StatusCode != http.StatusSwitchingProtocols {
		err = fmt.Errorf("the server answered %s", res.Status)
	}
	return err
}

// waitState answers step 1 and waits for step 2.
func (s *benchSocket) waitState(acked *bool) ([]byte, error) {
	for {
		m, err := s.next()
		if err != nil {
			return nil, err
		}
		switch {
		case m.kind == benchSync && m.sync == protocol.SyncStep1:
			err = s.send(s.syncFrame(nil, protocol.SyncStep2, []byte{0, 0}))
		case m.kind == benchSync && m.sync == protocol.SyncStep2:
			return m.payload, nil
		case m.kind == benchAck:
			*acked = true
		}
		if err != nil {
			return nil, err
		}
	}
}

func (s *benchSocket) waitAck() error {
	for {
		m, err := s.next()
		if err != nil || m.kind == benchAck {
			return err
		}
		if m.kind == benchSync && m.sync == protocol.SyncStep1 {
			if err := s.send(s.syncFrame(nil, protocol.SyncStep2, []byte{0, 0})); err != nil {
				return err
			}
		}
	}
}

func (s *benchSocket) syncFrame(dst []byte, t protocol.SyncType, payload []byte) []byte {
	if s.address == "" {
		return protocol.AppendYSync(dst, t, payload)
	}
	return protocol.AppendHSync(dst, s.address, t, payload)
}

// add puts a message behind those that flush will write.
func (s *benchSocket) add(opcode byte, payload []byte) {
	n := len(payload)
	s.out = append(s.out, 0x80|opcode)
	switch {
	case n < 126:
		s.out = append(s.out, 0x80|byte(n))
	case n < 1<<16:
		s.out = byteorder.BigEndian.AppendUint16(append(s.out, 0x80|126), uint16(n))
	default:
		s.out = byteorder.BigEndian.AppendUint64(append(s.out, 0x80|127), uint64(n))
	}
	s.out = append(append(s.out, 0, 0, 0, 0), payload...)
}

func (s *benchSocket) flush() error {
	_, err := s.conn.Write(s.out)
	s.out = s.out[:0]
	return err
}

func (s *benchSocket) send(payload []byte) error { return s.write(websocket.BinaryMessage, payload) }

func (s *benchSocket) write(opcode byte, payload []byte) error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	s.add(opcode, payload)
	return s.flush()
}

type benchMessage struct {
	kind    int
	sync    protocol.SyncType
	payload []byte // of a sync; valid until the next message
}

const (
	benchOther = iota
	benchSync
	benchAck
)

// next reads a message and answers what keeps the socket alive.
func (s *benchSocket) next() (benchMessage, error) {
	opcode, data, err := s.frame()
	if err != nil {
		return benchMessage{}, err
	}
	switch opcode {
	case websocket.PingMessage:
		return benchMessage{}, s.write(websocket.PongMessage, data)
	case websocket.CloseMessage:
		return benchMessage{}, fmt.Errorf("closed by the server: %q", data)
	}
	r := lib0.NewReader(data)
	if s.address == "" {
		typ, err := r.VarUint()
		if err != nil || typ != protocol.YSync {
			return benchMessage{}, err
		}
		return readBenchSync(r)
	}
	if len(data) == 1 {
		if data[0] == protocol.HPing {
			return benchMessage{}, s.send([]byte{protocol.HPong})
		}
		return benchMessage{}, nil
	}
	// The address is the only one of this socket: skipped without a look.
	if _, err := r.VarBytes(); err != nil {
		return benchMessage{}, err
	}
	typ, err := r.VarUint()
	if err != nil {
		return benchMessage{}, err
	}
	switch typ {
	case protocol.HSync, protocol.HSyncReply:
		return readBenchSync(r)
	case protocol.HSyncStatus:
		if applied, err := r.VarUint(); err != nil || applied != 1 {
			return benchMessage{}, errors.Join(errors.New("an edit was refused"), err)
		}
		return benchMessage{kind: benchAck}, nil
	case protocol.HAuth:
		if kind, err := r.VarUint(); err != nil || kind != protocol.HAuthAuthenticated {
			return benchMessage{}, errors.Join(errors.New("not let in"), err)
		}
	case protocol.HClose:
		return benchMessage{}, fmt.Errorf("document closed: %q", data)
	}
	return benchMessage{}, nil
}

func readBenchSync(r *lib0.Reader) (benchMessage, error) {
	t, payload, err := protocol.ReadSync(r)
	return benchMessage{kind: benchSync, sync: t, payload: payload}, err
}

// frame returns a frame's payload, valid until the next.
func (s *benchSocket) frame() (opcode byte, payload []byte, err error) {
	head, err := s.r.Peek(2)
	if err != nil {
		return 0, nil, err
	}
	opcode = head[0] & 15
	n, size := int(head[1]&127), 2
	if n >= 126 {
		size = 4 + (n-126)*6
		if head, err = s.r.Peek(size); err != nil {
			return 0, nil, err
		}
		if n = int(byteorder.BigEndian.Uint16(head[2:])); size == 10 {
			n = int(byteorder.BigEndian.Uint64(head[2:]))
		}
	}
	_, _ = s.r.Discard(size)
	if n <= s.r.Size() {
		if payload, err = s.r.Peek(n); err == nil {
			_, err = s.r.Discard(n) // it stays where it is until the next read
		}
		return opcode, payload, err
	}
	if cap(s.scratch) < n {
		s.scratch = make([]byte, n)
	}
	payload = s.scratch[:n]
	_, err = io.ReadFull(s.r, payload)
	return opcode, payload, err
}

var errBenchUpdate = errors.New("not an update of a text")

// clocksOf calls fn for the clocks of each run of text in an update. It reads only
// what the loads write.
func clocksOf(update []byte, fn func(client ydoc.ClientID, from, to ydoc.Clock)) error {
	at := 0
	next := func() uint64 {
		v, n := byteorder.Uvarint(update[min(at, len(update)):]) // lib0's varuint
		if n <= 0 {
			at = len(update) + 1
			return 0
		}
		at += n
		return v
	}
	for range next() {
		structs, client, clock := next(), next(), next()
		for range structs {
			if at >= len(update) {
				return errBenchUpdate
			}
			info := update[at]
			at++
			for _, origin := range [...]byte{0x80, 0x40} {
				if info&origin != 0 {
					next()
					next()
				}
			}
			if info&0xc0 == 0 { // the parent is a root
				next()
				at += int(next())
			}
			if info&31 != 4 {
				return errBenchUpdate
			}
			n := next() // ASCII: a byte is a clock
			at += int(n)
			fn(ydoc.ClientID(client), ydoc.Clock(clock), ydoc.Clock(clock+n))
			clock += n
		}
	}
	if at > len(update) {
		return errBenchUpdate
	}
	return nil
}

// appendTyped is the update of one more character at the end of what client has
// typed.
func appendTyped(dst []byte, client ydoc.ClientID, clock ydoc.Clock) []byte {
	dst = append(dst, 1, 1)
	dst = lib0.AppendVarUint(dst, uint64(client))
	dst = lib0.AppendVarUint(dst, uint64(clock))
	if clock > 0 {
		dst = append(dst, 4|0x80)
		dst = lib0.AppendVarUint(dst, uint64(client))
		dst = lib0.AppendVarUint(dst, uint64(clock-1))
	} else {
		dst = append(dst, 4, 1, 4, 't', 'e', 'x', 't')
	}
	return append(dst, 1, 'a'+byte(clock%26), 0)
}

// latencies is a histogram: 32 steps for every doubling.
type latencies [64 * 32]uint32

func (l *latencies) add(d time.Duration) {
	ns := uint64(max(d, 64))
	exp := bits.Len64(ns) - 6
	l[exp*32+int(ns>>exp)&31]++
}

func (l *latencies) merge(other *latencies) {
	for i, n := range other {
		l[i] += n
	}
}

// quantile is the upper end of the step that q of the sample reach.
func (l *latencies) quantile(q float64) time.Duration {
	var total, sum uint64
	for _, n := range l {
		total += uint64(n)
	}
	for i, n := range l {
		if sum += uint64(n); n > 0 && float64(sum) >= q*float64(total) {
			exp, step := i/32, i%32
			return time.Duration(uint64(32+step+1) << exp)
		}
	}
	return 0
}
