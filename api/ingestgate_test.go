package api

import (
	"context"
	"runtime"
	"testing"
	"time"
)

// A group that floods has no more than three quarters of the turns, and who comes
// after its hundred waiters waits behind none of them.
func TestIngestGate(t *testing.T) {
	for _, c := range []struct{ slots, most int }{{1, 1}, {2, 2}, {3, 3}, {4, 3}, {16, 12}} {
		g := newIngestGate(Config{MaxIngests: c.slots, IngestWait: time.Minute})
		var noisy []func()
		for range c.most {
			leave, err := g.enter(t.Context(), "noisy")
			if err != nil {
				t.Fatalf("%d at once: %v", c.slots, err)
			}
			noisy = append(noisy, leave)
		}
		waiting, cancel := context.WithCancel(t.Context())
		over := make(chan error)
		for range 100 {
			go func() {
				leave, err := g.enter(waiting, "noisy")
				if err == nil {
					leave()
				}
				over <- err
			}()
		}
		for _, n := g.load(); n < 100; _, n = g.load() {
			runtime.Gosched()
		}
		done := make(chan error, 1)
		go func() {
			leave, err := g.enter(t.Context(), "quiet")
			if err == nil {
				leave()
			}
			done <- err
		}()
		if c.most == c.slots { // somebody must leave first; the next turn is for either
			for _, n := g.load(); n < 101; _, n = g.load() {
				runtime.Gosched()
			}
			noisy[0]()
			noisy = noisy[1:]
		}
		if err := <-done; err != nil {
			t.Errorf("%d at once: the quiet group = %v, want its turn", c.slots, err)
		}
		cancel()
		for range 100 {
			<-over
		}
		for _, leave := range noisy {
			leave()
		}
		if running, line := g.load(); running != 0 || line != 0 {
			t.Errorf("%d at once: %d run and %d wait in the end", c.slots, running, line)
		}
	}
}
