package api

import (
	"sync"
	"time"
)

const (
	// firstPace is how many bytes a second are believed to be stored before any were: more
	// than most machines store, since what is measured with little to do never lowers it.
	firstPace = 32 << 20
	// leastPace is the least that is believed, so that a disk that stood still for a while
	// does not turn everybody away from then on.
	leastPace = 1 << 20
	// paceWindow is the time with something to store after which the rate is looked at.
	paceWindow = 100 * time.Millisecond
	// paceShare is how much of a batch counts against others when its group has nothing else under
	// way. A batch of many times as much is not to be turned away for what others store meanwhile.
	paceShare = 1 << 20
)

// pace knows how many bytes of batches wait or are being stored, and how many are stored in a
// second, and so how long one more would take. It bounds the time that a batch
// waits, as the budget bounds the memory. It is safe for concurrent use.
type pace struct {
	wait time.Duration // that a batch may take
	now  func() time.Time

	mu    sync.Mutex
	rate  float64          // bytes stored in a second, smoothed
	under map[string]int64 // bytes that wait or are being stored, by principal and group
	total int64            // of all
	// The window: done bytes were stored in busy, and since since if anything is under way.
	done  int64
	busy  time.Duration
	since time.Time
	// slack: for a part of the window there was so little under way that the rate may say more of
	// those who send than of the store.
	slack bool
}

func newPace(wait time.Duration, now func() time.Time) *pace {
	return &pace{wait: wait, now: now, rate: firstPace, under: map[string]int64{}}
}

// late is for how long somebody should stay away who would now bring n bytes; 0: they
// are stored in time. Nothing is noted.
func (p *pace) late(who string, n int64) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lateBy(who, n)
}

// enter notes n bytes unless they are late, and then says for how long to stay
// away. leave must be called once, with whether the bytes were stored.
func (p *pace) enter(who string, n int64) (leave func(stored bool), late time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if late := p.lateBy(who, n); late > 0 {
		return nil, late
	}
	return p.note(who, n), 0
}

// force notes n bytes however long they take.
func (p *pace) force(who string, n int64) (leave func(stored bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.note(who, n)
}

// lateBy needs p.mu. Groups take turns: before a batch come the bytes of its own group, and of
// each other no more than those. So a group that has little under way
// waits for little, whatever others send.
func (p *pace) lateBy(who string, n int64) time.Duration {
	if p.total == 0 {
		return 0
	}
	mine := p.under[who] + min(max(n, 0), paceShare) // a length that is not known is -1
	ahead := mine
	for other, bytes := range p.under {
		if other != who {
			ahead += min(bytes, mine)
		}
	}
	return max(0, time.Duration(float64(ahead)/p.rate*float64(time.Second))-p.wait)
}

// note needs p.mu.
func (p *pace) note(who string, n int64) (leave func(stored bool)) {
	n = max(n, 1)
	if p.total == 0 {
		p.since = p.now()
	}
	p.total += n
	p.under[who] += n
	return func(stored bool) { p.leave(who, n, stored) }
}

func (p *pace) leave(who string, n int64, stored bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if float64(p.total) < p.rate*p.wait.Seconds()/2 {
		p.slack = true
	}
	p.total -= n
	if p.under[who] -= n; p.under[who] == 0 {
		delete(p.under, who)
	}
	if stored {
		p.done += n
	}
	now := p.now()
	p.busy += max(0, now.Sub(p.since))
	p.since = now
	if p.busy < paceWindow {
		return
	}
	if rate := float64(p.done) / p.busy.Seconds(); rate > p.rate || !p.slack {
		p.rate = max(leastPace, (p.rate+rate)/2)
	}
	p.done, p.busy, p.slack = 0, 0, false
}
