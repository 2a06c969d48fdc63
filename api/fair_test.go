package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func gateOf(slots, per, line, linePer int, wait time.Duration) *fairGate {
	return newFairGate(Config{MaxQueries: slots, MaxPrincipalQueries: per, MaxQueriesQueued: line, MaxPrincipalQueued: linePer, QueryWait: wait})
}

// TestFairGateTakesTurns: a principal with one question waits for one of the
// other's, not for all.
func TestFairGateTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gateOf(1, 1, 100, 100, time.Minute)
		var mu sync.Mutex
		var order []string
		var all sync.WaitGroup
		ask := func(who string) {
			all.Go(func() {
				leave, err := g.enter(t.Context(), who)
				if err != nil {
					t.Errorf("enter(%s) = %v, want nil", who, err)
					return
				}
				mu.Lock()
				order = append(order, who)
				mu.Unlock()
				time.Sleep(time.Second) // of the bubble's time
				leave()
			})
			synctest.Wait()
		}
		for range 5 {
			ask("a")
		}
		ask("b")
		ask("c")
		ask("b")
		all.Wait()
		if got, want := strings.Join(order, ""), "aabcabaa"; got != want {
			t.Errorf("turns came as %s, want %s", got, want)
		}
		if running, waiting := g.load(); running != 0 || waiting != 0 || len(g.turns)+len(g.lines)+len(g.running) != 0 {
			t.Errorf("load() at the end = %d, %d, want nothing left", running, waiting)
		}
	})
}

func TestFairGateLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gateOf(3, 2, 3, 2, 10*time.Second)
		enter := func(who string) func() {
			t.Helper()
			leave, err := g.enter(t.Context(), who)
			if err != nil {
				t.Fatalf("enter(%s) = %v, want nil", who, err)
			}
			return leave
		}
		a1, a2 := enter("a"), enter("a")
		results := make(chan error, 10)
		wait := func(who string) {
			go func() {
				leave, err := g.enter(t.Context(), who)
				if err == nil {
					leave()
				}
				results <- err
			}()
			synctest.Wait()
		}
		wait("a") // a third one of a's waits although a slot is free
		b := enter("b")
		wait("a")
		if _, err := g.enter(t.Context(), "a"); err != errFull {
			t.Errorf("enter(a) with two of a's in line = %v, want %v", err, errFull)
		}
		wait("c")
		if _, err := g.enter(t.Context(), "d"); err != errFull {
			t.Errorf("enter(d) with a full line = %v, want %v", err, errFull)
		}
		b()
		if err := <-results; err != nil { // c, since a has two
			t.Errorf("enter(c) = %v, want nil", err)
		}
		time.Sleep(11 * time.Second)
		for range 2 {
			if err := <-results; err != errFull {
				t.Errorf("enter(a) after the time = %v, want %v", err, errFull)
			}
		}
		a1()
		a2()
		if d := g.retryIn(); d < time.Second || d > time.Minute {
			t.Errorf("retryIn() = %v, want a second to a minute", d)
		}
	})
}

// TestFairGateCancel: whoever goes away leaves nothing behind, however the turn
// and the end meet.
func TestFairGateCancel(t *testing.T) {
	g := gateOf(2, 2, 1000, 1000, time.Minute)
	var all sync.WaitGroup
	for i := range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		all.Go(func() {
			leave, err := g.enter(ctx, fmt.Sprint(i%3))
			switch {
			case err == nil:
				leave()
			case !errors.Is(err, context.Canceled):
				t.Errorf("enter() = %v, want nil or %v", err, context.Canceled)
			}
		})
		all.Go(cancel)
	}
	all.Wait()
	if running, waiting := g.load(); running != 0 || waiting != 0 || len(g.turns)+len(g.lines)+len(g.running) != 0 {
		t.Errorf("load() at the end = %d, %d, want nothing left", running, waiting)
	}
}
