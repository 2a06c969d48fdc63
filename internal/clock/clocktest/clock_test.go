package clocktest

import (
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	start := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	fired := func(ch <-chan time.Time) bool {
		select {
		case <-ch:
			return true
		default:
			return false
		}
	}

	c := New(start)
	timer := c.NewTimer(time.Minute)
	c.Advance(59 * time.Second)
	if fired(timer.C()) {
		t.Errorf("timer of 1m fired after 59s")
	}
	c.Advance(time.Second)
	if !fired(timer.C()) {
		t.Errorf("timer of 1m did not fire after 1m")
	}
	if got := c.Timers(); got != 0 {
		t.Errorf("Timers() = %d after firing, want 0", got)
	}
	if got, want := c.Now(), start.Add(time.Minute); !got.Equal(want) {
		t.Errorf("Now() = %v, want %v", got, want)
	}
	if timer.Stop() {
		t.Errorf("Stop() = true on a timer that fired, want false")
	}
	if timer.Reset(time.Hour) {
		t.Errorf("Reset() = true on a timer that fired, want false")
	}
	c.Set(start)
	if fired(timer.C()) {
		t.Errorf("timer fired when the clock went back")
	}
	c.Set(start.Add(2 * time.Hour))
	if timer.Stop(); fired(timer.C()) {
		t.Errorf("a time was received after Stop")
	}
	if !fired(c.NewTimer(0).C()) {
		t.Errorf("timer of 0 did not fire at once")
	}
}
