package syncserver_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/heapsync/heapsync/syncserver"
)

// limited turns the limits on, with their defaults.
func limited(c *syncserver.Config) { c.Limits = syncserver.Limits{} }

func (w *world) create(t testing.TB, n int64, headers ...string) answer {
	t.Helper()
	return w.call(t, "POST", "/api/auth/create_session", "", object{"public_key": newDevice(n).publicKey}, headers...)
}

func TestCreateSessionIsLimitedByAddress(t *testing.T) {
	w := newWorld(t, limited)
	for range 10 {
		w.create(t, 1).want(t, "within the limit", 200, "")
	}
	a := w.create(t, 2).want(t, "beyond", 429, "rate_limited")
	wait, err := strconv.Atoi(a.header.Get("Retry-After"))
	if err != nil || wait < 1 || wait > 6 {
		t.Fatalf("Retry-After %q", a.header.Get("Retry-After"))
	}
	w.create(t, 1, "RemoteAddr", "192.0.2.2:1").want(t, "another address", 200, "")
	w.pass(time.Duration(wait) * time.Second)
	w.create(t, 1).want(t, "after Retry-After", 200, "")
	w.create(t, 1).want(t, "and again", 429, "rate_limited")
	w.pass(time.Minute)
	for range 10 {
		w.create(t, 1).want(t, "a minute later", 200, "")
	}
}

func TestAddressesOfOneIPv6NetworkCountAsOne(t *testing.T) {
	w := newWorld(t, limited)
	for n := range 10 {
		w.create(t, 1, "RemoteAddr", fmt.Sprintf("[2001:db8:1:2::%x]:1", n)).want(t, "within", 200, "")
	}
	w.create(t, 1, "RemoteAddr", "[2001:db8:1:2:ffff::1]:1").want(t, "same /64", 429, "rate_limited")
	w.create(t, 1, "RemoteAddr", "[2001:db8:1:3::1]:1").want(t, "another /64", 200, "")
	for range 10 {
		w.create(t, 1, "RemoteAddr", "[::ffff:192.0.2.9]:1").want(t, "mapped", 200, "")
	}
	w.create(t, 1, "RemoteAddr", "192.0.2.9:1").want(t, "the same, not mapped", 429, "rate_limited")
}

func TestForwardedForCountsFromProxiesOnly(t *testing.T) {
	w := newWorld(t, func(c *syncserver.Config) {
		c.Limits = syncserver.Limits{CreateSession: 1, Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	})
	const proxy = "10.0.0.1:1"
	for name, test := range map[string]struct {
		remote, forwarded string
		same              []string // addresses that it is the same as
	}{
		"client lies":           {"198.51.100.1:1", "203.0.113.1", []string{"198.51.100.1:2"}},
		"proxy tells":           {proxy, "203.0.113.2", []string{"203.0.113.2:1"}},
		"client lies to proxy":  {proxy, "1.1.1.1, 203.0.113.3", []string{"203.0.113.3:1"}},
		"two proxies":           {proxy, "1.1.1.1, 203.0.113.4, 10.0.0.2", []string{"203.0.113.4:1"}},
		"with a port":           {proxy, "203.0.113.5:4711", []string{"203.0.113.5:1"}},
		"IPv6":                  {proxy, "2001:db8:5::1", []string{"[2001:db8:5::2]:1"}},
		"IPv6 with a port":      {proxy, "[2001:db8:6::1]:4711", []string{"[2001:db8:6::2]:1"}},
		"proxy tells nothing":   {"10.0.0.9:1", "", []string{"10.0.0.9:2"}},
		"proxy tells nonsense":  {"10.0.0.8:1", "unknown", []string{"10.0.0.8:2"}},
		"only proxies":          {"10.0.0.7:1", "10.0.0.6", []string{"10.0.0.6:2"}},
		"nonsense before proxy": {proxy, "unknown, 10.0.0.5", []string{"10.0.0.5:2"}},
	} {
		var headers []string
		if test.forwarded != "" {
			headers = []string{"X-Forwarded-For", test.forwarded}
		}
		w.create(t, 1, append(headers, "RemoteAddr", test.remote)...).want(t, name, 200, "")
		for _, remote := range test.same {
			w.create(t, 1, "RemoteAddr", remote).want(t, name+": "+remote, 429, "rate_limited")
		}
	}
}

func TestVerifyIsLimitedByAddress(t *testing.T) {
	w := newWorld(t, limited)
	for i := range 20 {
		route := []string{"/api/auth/verify_session", "/api/auth/verify_key"}[i%2]
		w.call(t, "POST", route, "", object{"public_key": newDevice(int64(i)).publicKey}).want(t, "within", 401, "challenge_expired")
	}
	w.call(t, "POST", "/api/auth/verify_key", "", nil).want(t, "beyond", 429, "rate_limited")
}

// Who guesses at a key has to wait longer and longer; the owner, elsewhere, not.
func TestFailedLoginsOfAKeyWait(t *testing.T) {
	w := newWorld(t, func(c *syncserver.Config) { c.Limits = syncserver.Limits{CreateSession: -1, Verify: -1} })
	d := newDevice(1)
	w.login(t, d)
	guess := func() answer {
		body := w.signed(t, d, "RemoteAddr", "198.51.100.1:1")
		body["signature"] = newDevice(2).sign("x")
		return w.call(t, "POST", "/api/auth/verify_session", "", body, "RemoteAddr", "198.51.100.1:1")
	}
	for range 5 {
		guess().want(t, "at first", 401, "invalid_signature")
	}
	last := 0
	for range 8 {
		a := guess().want(t, "then", 429, "rate_limited")
		wait, err := strconv.Atoi(a.header.Get("Retry-After"))
		if err != nil || wait < last || wait > 30 {
			t.Fatalf("Retry-After %q after %d", a.header.Get("Retry-After"), last)
		}
		last = wait
		w.verify(t, d, "RemoteAddr", "203.0.113.1:1").want(t, "the owner", 200, "")
		w.pass(time.Duration(wait) * time.Second)
		guess().want(t, "after waiting", 401, "invalid_signature")
	}
	if last != 30 {
		t.Errorf("the longest wait was %d s", last)
	}
	w.pass(30 * time.Second)
	w.verify(t, d, "RemoteAddr", "198.51.100.1:1").want(t, "the owner, from there", 200, "")
	guess().want(t, "anew", 401, "invalid_signature")
	guess().want(t, "anew", 401, "invalid_signature")
}

func TestManyAddressesCostLittleMemory(t *testing.T) {
	w := newWorld(t, limited)
	d := newDevice(1)
	measure := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := measure()
	body := object{"public_key": d.publicKey}
	for n := range 10_000 {
		remote := netip.AddrPortFrom(netip.AddrFrom4([4]byte{100, 64, byte(n >> 8), byte(n)}), 1)
		w.call(t, "POST", "/api/auth/verify_key", "", body, "RemoteAddr", remote.String())
	}
	if after := measure(); after > before+20<<20 {
		t.Errorf("%d KiB more for 10,000 addresses", (after-before)>>10)
	}
	w.verify(t, d).want(t, "an honest user", 200, "")
}
