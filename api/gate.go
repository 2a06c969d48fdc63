package api

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errFull means that no turn came within the time that a request may wait.
var errFull = errors.New("too many at once")

// gate lets a number of batches through at once; more wait for a while. Their
// line has no bound but the memory of their bodies.
type gate struct {
	slots chan struct{}
	wait  time.Duration
}

func newGate(slots int, wait time.Duration) *gate {
	return &gate{slots: make(chan struct{}, slots), wait: wait}
}

// enter waits for a turn. The function that it returns gives the turn back and
// must be called once.
func (g *gate) enter(ctx context.Context) (leave func(), err error) {
	leave = func() { <-g.slots }
	select {
	case g.slots <- struct{}{}:
		return leave, nil
	default:
	}
	t := time.NewTimer(g.wait)
	defer t.Stop()
	select {
	case g.slots <- struct{}{}:
		return leave, nil
	case <-t.C:
		return nil, errFull
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// budget counts bytes that requests hold in memory.
type budget struct {
	limit int64
	mu    sync.Mutex
	used  int64
}

// take reserves n bytes, or reports that there is no room for them.
func (b *budget) take(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.limit-b.used {
		return false
	}
	b.used += n
	return true
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
}

func (b *budget) inUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
