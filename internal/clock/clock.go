// Package clock is time as a dependency: whoever decides something by the time
// of day, or waits, takes a [Clock], so that tests can move it.
package clock

import "time"

// Clock tells the time and wakes sleepers. It is safe for concurrent use.
type Clock interface {
	Now() time.Time
	// NewTimer returns a timer that sends once, d from now; at once if d is
	// not positive.
	NewTimer(d time.Duration) Timer
}

// Timer is one wake-up. Stop and Reset act like those of [time.Timer]: after
// either returns, no time from before the call is received.
type Timer interface {
	C() <-chan time.Time
	Stop() bool
	Reset(d time.Duration) bool
}

// System is the machine's clock.
var System Clock = system{}

type system struct{}

func (system) Now() time.Time { return time.Now() }

func (system) NewTimer(d time.Duration) Timer { return systemTimer{time.NewTimer(d)} }

type systemTimer struct{ *time.Timer }

func (t systemTimer) C() <-chan time.Time { return t.Timer.C }
