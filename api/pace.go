package api

import (
	"sync"
	"time"
)

const (
	// firstPace is how many bytes a second are believed to be stored before any were:
	// about what one processor stores of large records.
	firstPace = 20 << 20
	// leastPace is the least that is believed, so that a disk that stood still for a while
	// does not turn everybody away from then on.
	leastPace = 1 << 20
	// paceWeight is what a batch counts in the rate: little enough for one that waited for a segment
	// to be written not to turn others away.
	paceWeight = 1. / 8
	// paceShare is how much of a batch counts against others when its group has nothing else under
	// way. A batch of many times as much is not to be turned away for what others store meanwhile.
	paceShare = 1 << 20
	// paceFew is how many batches may be under way whatever their size and the rate: a sender with
	// as many connections is no overload, and to be sent away would only leave the store idle.
	paceFew = 4
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
	count int              // of the batches
	done  int64            // bytes stored since the start
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

// lateBy needs p.mu.
func (p *pace) lateBy(who string, n int64) time.Duration {
	// What is in time behind all others need not be compared with each.
	if p.count < paceFew || float64(p.total+n) <= p.rate*p.wait.Seconds() {
		return 0
	}
	return max(0, time.Duration(float64(p.until(who, n))/p.rate*float64(time.Second))-p.wait)
}

// until is how many bytes are stored until n more of who's are. It needs p.mu. Groups take turns:
// before a batch come the bytes of its own group, and of each other no more than those.
// So a group that has little under way waits for little, whatever others send.
func (p *pace) until(who string, n int64) int64 {
	mine := p.under[who] + min(max(n, 0), paceShare) // a length that is not known is -1
	bytes := mine
	for other, theirs := range p.under {
		if other != who {
			bytes += min(theirs, mine)
		}
	}
	return bytes
}

// note needs p.mu.
func (p *pace) note(who string, n int64) (leave func(stored bool)) {
	n = max(n, 1)
	since, until := p.now(), int64(0)
	if float64(p.total+n) >= p.rate*p.wait.Seconds()/4 { // of less, learn learns nothing
		until = p.until(who, n)
	}
	p.total += n
	p.count++
	p.under[who] += n
	before := p.done
	return func(stored bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.total -= n
		p.count--
		if p.under[who] -= n; p.under[who] == 0 {
			delete(p.under, who)
		}
		if stored {
			p.done += n
			p.learn(until, p.done-before, p.now().Sub(since))
		}
	}
}

// learn takes into the rate that a batch was stored in the time that it took, until bytes of
// those that take turns with it before it, all of anybody's meanwhile. It needs p.mu. A batch that was
// stored soon does not lower the rate, nor does one raise it that found little before it:
// they say more of those who send, and of what any batch takes, than of the store.
func (p *pace) learn(until, all int64, took time.Duration) {
	seconds := max(took, time.Microsecond).Seconds()
	bound := p.rate * p.wait.Seconds()
	fast, slow := float64(until)/seconds, float64(all)/seconds
	switch {
	case fast > p.rate && float64(until) >= bound/4:
		p.rate += (fast - p.rate) * paceWeight
	case slow < p.rate && took > p.wait/2:
		p.rate = max(leastPace, p.rate+(slow-p.rate)*paceWeight)
	}
}
