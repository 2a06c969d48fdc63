package api

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"
)

// fairGate lets a number of questions run at once, and takes those that wait
// from one principal after another, so that who asks a hundred waits behind his
// own and not before everybody else's.
type fairGate struct {
	slots        int // that run at once
	perPrincipal int // of one principal
	line         int // that wait
	linePer      int // of one principal
	wait         time.Duration

	mu      sync.Mutex
	running map[string]int // by principal
	total   int            // running
	waiting int
	// turns are the principals with waiters; the first is next, and goes to the
	// end when one of his has been let in.
	turns []string
	lines map[string][]*turn
	held  time.Duration // how long a slot was held of late, on average
}

// turn is one who waits. in is closed when he is let in.
type turn struct {
	in chan struct{}
}

func newFairGate(cfg Config) *fairGate {
	return &fairGate{
		slots: cfg.MaxQueries, perPrincipal: min(cfg.MaxPrincipalQueries, cfg.MaxQueries),
		line: cfg.MaxQueriesQueued, linePer: max(1, min(cfg.MaxPrincipalQueued, cfg.MaxQueriesQueued)), wait: cfg.QueryWait,
		running: map[string]int{}, lines: map[string][]*turn{},
	}
}

// newIngestGate is for batches: who floods waits behind his own, and a quarter of the
// turns is never all his. Their line has no bound but the memory of their bodies.
func newIngestGate(cfg Config) *fairGate {
	return &fairGate{
		slots: cfg.MaxIngests, perPrincipal: cfg.MaxIngests - cfg.MaxIngests/4, line: math.MaxInt, linePer: math.MaxInt, wait: cfg.IngestWait,
		running: map[string]int{}, lines: map[string][]*turn{},
	}
}

// enter waits for a turn of the principal, for at most the gate's time. The
// function that it returns gives the turn back and must be called once.
func (g *fairGate) enter(ctx context.Context, who string) (leave func(), err error) {
	return g.enterWithin(ctx, who, g.wait)
}

func (g *fairGate) enterWithin(ctx context.Context, who string, wait time.Duration) (leave func(), err error) {
	g.mu.Lock()
	if g.total < g.slots && g.running[who] < g.perPrincipal {
		// Whoever waits now waits for a slot of his own principal's.
		g.admit(who)
		g.mu.Unlock()
		return g.leaver(who), nil
	}
	if g.waiting >= g.line || len(g.lines[who]) >= g.linePer {
		g.mu.Unlock()
		return nil, errFull
	}
	t := &turn{in: make(chan struct{})}
	if len(g.lines[who]) == 0 {
		g.turns = append(g.turns, who)
	}
	g.lines[who] = append(g.lines[who], t)
	g.waiting++
	g.mu.Unlock()

	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-t.in:
		return g.leaver(who), nil
	case <-timer.C:
		err = errFull
	case <-ctx.Done():
		err = ctx.Err()
	}
	if g.giveUp(who, t) {
		return nil, err
	}
	// The turn came at the same moment.
	if ctx.Err() != nil {
		g.leaver(who)()
		return nil, err
	}
	return g.leaver(who), nil
}

// admit counts one more that runs. The caller holds g.mu.
func (g *fairGate) admit(who string) {
	g.total++
	g.running[who]++
}

// leaver makes the function that gives a turn back.
func (g *fairGate) leaver(who string) func() {
	since := time.Now()
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.held += (time.Since(since) - g.held) / 8
		g.total--
		if g.running[who]--; g.running[who] == 0 {
			delete(g.running, who)
		}
		g.next()
	}
}

// next lets in whoever may run now. The caller holds g.mu.
func (g *fairGate) next() {
	for i := 0; i < len(g.turns) && g.total < g.slots; {
		who := g.turns[i]
		if g.running[who] >= g.perPrincipal {
			i++
			continue
		}
		t := g.lines[who][0]
		g.lines[who] = g.lines[who][1:]
		g.waiting--
		g.turns = slices.Delete(g.turns, i, i+1)
		if len(g.lines[who]) == 0 {
			delete(g.lines, who)
		} else {
			g.turns = append(g.turns, who)
		}
		g.admit(who)
		close(t.in)
	}
}

// giveUp takes one out of the line; false: his turn had come.
func (g *fairGate) giveUp(who string, t *turn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.lines[who], t)
	if i < 0 {
		return false
	}
	g.lines[who] = slices.Delete(g.lines[who], i, i+1)
	g.waiting--
	if len(g.lines[who]) == 0 {
		delete(g.lines, who)
		g.turns = slices.DeleteFunc(g.turns, func(w string) bool { return w == who })
	}
	return true
}

// retryIn says when a turn may come to somebody who is turned away now: when
// the line before him is through, within a second and a minute.
func (g *fairGate) retryIn() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return min(max(g.held*time.Duration(g.waiting)/time.Duration(g.slots), time.Second), time.Minute)
}

// load is how many run and wait.
func (g *fairGate) load() (running, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.total, g.waiting
}
