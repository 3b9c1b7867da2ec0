package syncserver

import (
	"math"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate" // a token bucket, so that it need not be written here
)

// Limits say how often who may try to log in. A field that is 0 takes its
// default; one that is negative is no limit.
type Limits struct {
	Off           bool // no limits at all
	CreateSession int  // challenges a minute and address; 10
	Verify        int  // logins a minute and address; 20
	KeyFailures   int  // failed logins of a key from one address before it has to wait; 5

	// Proxies are the reverse proxies whose X-Forwarded-For counts.
	Proxies []netip.Prefix
}

const (
	// maxTracked bounds what one limit remembers: some 10 MB.
	maxTracked = 1 << 16
	// maxBackoff is the longest that a key has to wait, and forgetAfter how long
	// after its last failure a key starts anew.
	maxBackoff  = 30 * time.Second
	forgetAfter = 10 * time.Minute
)

// limiter counts by auth.AddressGroup. It is safe for concurrent use.
type limiter struct {
	createSession buckets
	verify        buckets
	failures      backoff
	now           func() time.Time
}

func newLimiter(l Limits, now func() time.Time) *limiter {
	value := func(v, otherwise int) int {
		switch {
		case l.Off || v < 0:
			return 0
		case v == 0:
			return otherwise
		}
		return v
	}
	return &limiter{
		createSession: buckets{perMinute: value(l.CreateSession, 10)},
		verify:        buckets{perMinute: value(l.Verify, 20)},
		failures:      backoff{free: value(l.KeyFailures, 5)},
		now:           now,
	}
}

// tooFast is the problem of a client that has to wait.
func tooFast(wait time.Duration) error {
	return &Problem{
		Status: http.StatusTooManyRequests, Code: "rate_limited", Detail: "too many tries; wait as long as Retry-After says",
		retryAfter: max(1, int(math.Ceil(wait.Seconds()))),
	}
}

// buckets are token buckets, one for each address group: perMinute at once, and
// then as many a minute. 0 is no limit.
type buckets struct {
	perMinute int

	mu sync.Mutex // guards of
	of map[netip.Prefix]*rate.Limiter
}

// take takes a token, or says that there is none.
func (b *buckets) take(group netip.Prefix, now time.Time) error {
	if b.perMinute == 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket := b.of[group]
	if bucket == nil {
		if len(b.of) >= maxTracked {
			b.makeRoom(now)
		}
		if b.of == nil {
			b.of = make(map[netip.Prefix]*rate.Limiter)
		}
		bucket = rate.NewLimiter(rate.Limit(float64(b.perMinute)/60), b.perMinute)
		b.of[group] = bucket
	}
	if bucket.AllowN(now, 1) {
		return nil
	}
	missing := 1 - bucket.TokensAt(now)
	return tooFast(time.Duration(missing * float64(time.Minute) / float64(b.perMinute)))
}

// makeRoom drops the buckets that are full again, and if there are none any one:
// with that many addresses no limit by address helps.
func (b *buckets) makeRoom(now time.Time) {
	for group, bucket := range b.of {
		if bucket.TokensAt(now) >= float64(b.perMinute) {
			delete(b.of, group)
		}
	}
	for group := range b.of {
		if len(b.of) < maxTracked {
			return
		}
		delete(b.of, group)
	}
}

// backoff makes a key wait longer with each failed login. It counts each address
// by itself, so that nobody can lock a key's owner out from elsewhere.
type backoff struct {
	free int // failures before the first wait; 0: never wait

	mu sync.Mutex // guards of
	of map[attempt]failures
}

// attempt is a public key, as sent, and where from.
type attempt struct {
	key   string
	group netip.Prefix
}

type failures struct {
	n     int
	last  time.Time
	until time.Time
}

// check says whether the key has to wait.
func (b *backoff) check(a attempt, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if wait := b.of[a].until.Sub(now); wait > 0 {
		return tooFast(wait)
	}
	return nil
}

// failed counts a failed login.
func (b *backoff) failed(a attempt, now time.Time) {
	if b.free == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	f, known := b.of[a]
	if now.Sub(f.last) >= forgetAfter {
		f = failures{}
	}
	f.n++
	f.last = now
	if over := f.n - b.free; over >= 0 {
		f.until = now.Add(min(maxBackoff, time.Second<<min(over, 10)))
	}
	if !known && len(b.of) >= maxTracked {
		b.makeRoom(now)
	}
	if b.of == nil {
		b.of = make(map[attempt]failures)
	}
	b.of[a] = f
}

// succeeded forgets the failures.
func (b *backoff) succeeded(a attempt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.of, a)
}

func (b *backoff) makeRoom(now time.Time) {
	for a, f := range b.of {
		if now.Sub(f.last) >= forgetAfter {
			delete(b.of, a)
		}
	}
	for a := range b.of {
		if len(b.of) < maxTracked {
			return
		}
		delete(b.of, a)
	}
}

// clientIP returns the address that a request comes from: the connection's, or
// what a configured proxy says, read from the right: who sends the header can
// write what they like at its left.
func (s *Server) clientIP(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{} // a socket without addresses
	}
	ip := from.Addr().Unmap()
	if !s.isProxy(ip) {
		return ip
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := parseHop(strings.TrimSpace(hops[i]))
		if err != nil {
			return ip
		}
		if ip = hop; !s.isProxy(ip) {
			return ip
		}
	}
	return ip
}

func (s *Server) isProxy(ip netip.Addr) bool {
	for _, p := range s.Limits.Proxies {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// parseHop reads an address, with or without a port.
func parseHop(s string) (netip.Addr, error) {
	if withPort, err := netip.ParseAddrPort(s); err == nil {
		return withPort.Addr().Unmap().WithZone(""), nil
	}
	ip, err := netip.ParseAddr(s)
	return ip.Unmap().WithZone(""), err
}
