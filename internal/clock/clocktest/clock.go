// Package clocktest has a clock that stands still until a test moves it.
package clocktest

import (
	"sync"
	"time"

	"trailward/internal/clock"
)

// Clock is a [clock.Clock] that only Advance and Set move.
type Clock struct {
	mu     sync.Mutex
	now    time.Time
	timers map[*timer]struct{} // those that have not fired
}

var _ clock.Clock = (*Clock)(nil)

// New returns a clock that stands at now.
func New(now time.Time) *Clock {
	return &Clock{now: now, timers: make(map[*timer]struct{})}
}

// Now implements [clock.Clock].
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock by d, also back, and fires the timers that are due.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set(c.now.Add(d))
}

// Set moves the clock to now and fires the timers that are due.
func (c *Clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set(now)
}

// set needs mu.
func (c *Clock) set(now time.Time) {
	c.now = now
	for t := range c.timers {
		t.fireIfDue()
	}
}

// Timers returns how many timers have not fired or been stopped: a test waits
// for the code under test to sleep before it moves the clock.
func (c *Clock) Timers() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.timers)
}

// NewTimer implements [clock.Clock].
func (c *Clock) NewTimer(d time.Duration) clock.Timer {
	t := &timer{clock: c, ch: make(chan time.Time, 1)}
	t.Reset(d)
	return t
}

type timer struct {
	clock *Clock
	ch    chan time.Time
	due   time.Time // guarded by clock.mu
}

func (t *timer) C() <-chan time.Time { return t.ch }

func (t *timer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.stop()
}

func (t *timer) Reset(d time.Duration) bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	active := t.stop()
	t.due = t.clock.now.Add(d)
	t.clock.timers[t] = struct{}{}
	t.fireIfDue()
	return active
}

// stop needs clock.mu.
func (t *timer) stop() bool {
	_, active := t.clock.timers[t]
	delete(t.clock.timers, t)
	select {
	case <-t.ch:
	default:
	}
	return active
}

// fireIfDue needs clock.mu.
func (t *timer) fireIfDue() {
	if t.due.After(t.clock.now) {
		return
	}
	delete(t.clock.timers, t)
	t.ch <- t.clock.now
}
