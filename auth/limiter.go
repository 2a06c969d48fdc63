package auth

import (
	"net/netip"
	"sync"
	"time"
)

// Limits on refused tokens. Secrets cannot be guessed; the limits keep a
// misconfigured or hostile client from filling logs and burning time, and hold
// the line should a weaker credential ever be added.
const (
	maxFailures   = 20              // refused tokens in one window
	failureWindow = time.Minute     // counted from the first of them
	trustFor      = 24 * time.Hour  // since the last success of a token from an address
	maxTracked    = 65_536          // addresses and address-token pairs remembered
	sweepEvery    = 5 * time.Second // at most this often is a full table searched for old entries
)

// limiter counts refused tokens by address, and decides before a token is
// looked at. The look itself happens under the same lock (it takes two
// microseconds): of many parallel wrong tokens no more than the limit are ever
// looked at.
//
// A token that has worked from an address is counted on its own, so that
// nobody behind the same address (a node, a NAT gateway) can lock it out by
// sending wrong ones.
type limiter struct {
	now func() time.Time

	mu        sync.Mutex
	counts    map[limitKey]*count
	overflow  count // shared by all newcomers while the table is full
	lastSweep time.Time
}

// limitKey is an address, or an address and the id of a token that has worked
// from it.
type limitKey struct {
	addr netip.Addr
	id   string
}

type count struct {
	failures int
	since    time.Time // of the first failure
	trusted  time.Time // until when a pair counts on its own; zero for an address
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, counts: make(map[limitKey]*count)}
}

// network is what one limit is for: an IPv4 address, or the /64 of an IPv6
// address, since one host commonly owns all of that.
func network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// try runs check unless too many checks from the address have failed; then it
// returns how long to wait.
func (l *limiter) try(from netip.Addr, id string, check func() bool) (wait time.Duration) {
	addr := network(from)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	pair := limitKey{addr, id}
	c := l.counts[pair]
	if c == nil || id == "" || !now.Before(c.trusted) {
		c = l.counts[limitKey{addr: addr}]
	}
	if c == nil {
		// Nothing is remembered of it yet; but newcomers share one count while
		// the table is full.
		if len(l.counts) >= maxTracked && !l.sweep(now) {
			c = &l.overflow
		}
	}
	if c != nil && c.failures >= maxFailures {
		if left := c.since.Add(failureWindow).Sub(now); left > 0 && left <= failureWindow {
			return left
		}
		c.failures = 0
	}
	if check() {
		if p := l.counts[pair]; p != nil {
			p.trusted, p.failures = now.Add(trustFor), 0
		} else if len(l.counts) < maxTracked {
			l.counts[pair] = &count{trusted: now.Add(trustFor)}
		}
		return 0
	}
	if c == nil {
		c = &count{}
		l.counts[limitKey{addr: addr}] = c
	}
	if age := now.Sub(c.since); c.failures == 0 || age >= failureWindow || age < 0 {
		c.failures, c.since = 0, now
	}
	c.failures++
	return 0
}

// sweep forgets what no longer matters, and reports whether there is room.
func (l *limiter) sweep(now time.Time) bool {
	if age := now.Sub(l.lastSweep); age >= 0 && age < sweepEvery {
		return false
	}
	l.lastSweep = now
	for k, c := range l.counts {
		if !now.Before(c.trusted) && now.Sub(c.since) >= failureWindow {
			delete(l.counts, k)
		}
	}
	return len(l.counts) < maxTracked
}
