package clock

import (
	"testing"
	"time"
)

func TestSystem(t *testing.T) {
	before := time.Now()
	timer := System.NewTimer(0)
	if got := <-timer.C(); got.Before(before) {
		t.Errorf("timer sent %v, want a time after %v", got, before)
	}
	if got := System.Now(); got.Before(before) {
		t.Errorf("Now() = %v, want a time after %v", got, before)
	}
}
