// Package live is the hub between intake and live tails: every record that was
// just stored goes to the tails that ask for it.
//
// It gets batches of stored records ([Hub.Publish]) and hands each [Tail] those
// of its groups that its filter pattern matches, in the order in which they
// were stored. What it promises, in this order:
//
//   - It never slows intake. Publish copies a batch that somebody listens to into a
//     bounded queue and returns; matching happens in one goroutine of the hub's own.
//   - Nothing is left out silently. What did not fit (a tail that is read too
//     slowly, a full queue, a pattern that costs too much) is counted, and the
//     tail is told at the place where it is missing.
//   - Many tails share the work: a batch's group is looked up once, each
//     distinct pattern is matched once a record, and all tails share one copy of
//     the record and of its JSON.
//
// It stores nothing: who comes later asks a query. A simpler way, a channel for
// each tail that Publish fills, would do a tail's matching in intake's time.
package live

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"trailward"
	"trailward/match"
)

// The defaults of [Options].
const (
	DefaultMaxTails    = 8192
	DefaultQueueBytes  = 32 << 20
	DefaultTailRecords = 5000
	DefaultMemory      = 128 << 20
	DefaultRate        = 200_000
)

// recordCost is what a record costs beside its bytes, about.
const recordCost = 256

// Matching and handing out take turns with everything else the machine does, in
// windows of time. What does not get done in its window is counted as skipped, so that
// neither many tails nor a costly pattern take the processors from intake.
const (
	window       = 250 * time.Millisecond
	hubShare     = window / 2   // of matching, in all
	patternShare = hubShare / 2 // of one pattern, when there are others
	minShare     = 13           // records that a tail may get in a window, however many tails there are
	clockEvery   = 64           // records between two looks at the clock
	largeRecord  = 4 << 10      // bytes from which it is looked at for every record
)

// Options bound what the hub uses. The zero value of every field means its
// default.
type Options struct {
	MaxTails    int   // open at once; [Hub.Subscribe] gives ErrTooMany beyond
	QueueBytes  int64 // of records that wait to be matched
	TailRecords int   // that one tail may have waiting to be read
	Memory      int64 // bytes of records that all tails together have waiting
	// Rate is how many records a second all tails together are handed, in equal
	// shares, of which none is less than 50.
	Rate int
}

// Validate names the field that cannot be used.
func (o Options) Validate() error {
	switch {
	case o.MaxTails < 0, o.QueueBytes < 0, o.TailRecords < 0, o.Memory < 0, o.Rate < 0:
		return errors.New("limits of live tails must not be negative")
	}
	return nil
}

// ErrTooMany means that MaxTails tails are open.
var ErrTooMany = errors.New("too many live tails are open")

// ErrClosed means that the hub, or this tail, was closed.
var ErrClosed = errors.New("live tail is closed")

// Hub hands stored records to tails. Its methods may be called at the same time.
type Hub struct {
	opts Options
	held atomic.Int64 // bytes of records that wait in tails

	mu     sync.Mutex
	closed bool
	tails  map[*Tail]struct{}
	// plans are, by group, who wants its records; made when first needed and
	// forgotten when a tail comes or goes, or when they are too many.
	plans  map[string]*plan
	use    map[string]*usage // by pattern
	queue  []*batch
	queued int64 // bytes in queue, and of batches that are being copied or matched
	// left is, by group, how many records did not fit into the queue and have
	// not been told to its tails yet.
	left map[string]int64
	wake chan struct{}
	done chan struct{} // closed when run has returned
	stop chan struct{} // closed by Close

	// These belong to run.
	begun time.Time     // of the window
	at    int64         // the window's number, from 1
	spent time.Duration // in the window
	hits  []int         // the records of a batch that match

	matched atomic.Int64
	skipped atomic.Int64
}

// maxPlans bounds how many groups' plans are remembered.
const maxPlans = 10_000

// plan is who wants the records of one group, by pattern.
type plan struct {
	wants []want
}

type want struct {
	pattern *match.Pattern // nil: all records
	use     *usage
	tails   []*Tail
}

// usage is the time that a pattern has taken in a window, and how many tails
// have it; the count is under Hub.mu, the rest belongs to run.
type usage struct {
	tails int
	at    int64 // the window
	spent time.Duration
}

// batch is records of one group that wait to be matched.
type batch struct {
	group   string
	records []trailward.Record
	bytes   int64
}

// NewHub makes a hub and starts it. Close it.
func NewHub(opts Options) (*Hub, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	if opts.MaxTails == 0 {
		opts.MaxTails = DefaultMaxTails
	}
	if opts.QueueBytes == 0 {
		opts.QueueBytes = DefaultQueueBytes
	}
	if opts.TailRecords == 0 {
		opts.TailRecords = DefaultTailRecords
	}
	if opts.Memory == 0 {
		opts.Memory = DefaultMemory
	}
	if opts.Rate == 0 {
		opts.Rate = DefaultRate
	}
	h := &Hub{
		opts: opts, tails: map[*Tail]struct{}{}, plans: map[string]*plan{}, use: map[string]*usage{}, left: map[string]int64{},
		wake: make(chan struct{}, 1), done: make(chan struct{}), stop: make(chan struct{}),
	}
	go h.run()
	return h, nil
}

// Close ends every tail and the hub's goroutine. It may be called again.
func (h *Hub) Close() {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.stop)
		for t := range h.tails {
			close(t.done)
		}
		clear(h.tails)
		clear(h.plans)
		clear(h.left)
		h.queue, h.queued = nil, 0
	}
	h.mu.Unlock()
	<-h.done
}

// Stats are counters since the hub was made, and what is there now.
type Stats struct {
	Tails   int   // open now
	Matched int64 // records handed to tails, counted for each tail
	Skipped int64 // records left out, counted for each tail
	Queued  int64 // bytes that wait to be matched
	Held    int64 // bytes that wait to be read
}

// Stats returns the counters.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Stats{Tails: len(h.tails), Matched: h.matched.Load(), Skipped: h.skipped.Load(), Queued: h.queued, Held: h.held.Load()}
}

// Publish hands on records of one group that have been stored. It copies what it
// keeps, and does no more than look when nobody listens to the group. It never
// waits: records that do not fit into the queue are counted as skipped to all
// tails of the group.
func (h *Hub) Publish(group string, records []trailward.Record) {
	h.mu.Lock()
	if h.closed || len(h.tails) == 0 || len(h.plan(group).wants) == 0 {
		h.mu.Unlock()
		return
	}
	// The room is reserved before the copy, which needs no lock.
	n, bytes := 0, int64(0)
	room := h.opts.QueueBytes - h.queued
	for i := range records {
		size := int64(len(records[i].Raw)) + recordCost
		if bytes+size > room {
			break
		}
		bytes += size
		n++
	}
	if n < len(records) {
		h.left[group] += int64(len(records) - n)
	}
	b := &batch{group: group, bytes: bytes}
	h.queued += bytes
	h.mu.Unlock()

	b.records = make([]trailward.Record, n)
	arena := make([]byte, 0, bytes-int64(n)*recordCost)
	for i, r := range records[:n] {
		at := len(arena)
		arena = append(arena, r.Raw...)
		r.Raw = arena[at:len(arena):len(arena)]
		b.records[i] = r
	}

	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return
	}
	if n > 0 {
		h.queue = append(h.queue, b)
	}
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Subscribe opens a tail of the groups for which may gives true, and of the
// records there that the pattern matches (nil: all). may must always give the
// same answer for the same group. The tail must be closed.
func (h *Hub) Subscribe(may func(group string) bool, pattern *match.Pattern) (*Tail, error) {
	key := ""
	if pattern != nil && pattern.MatchesAll() {
		pattern = nil
	}
	if pattern != nil {
		key = pattern.String()
	}
	t := &Tail{hub: h, may: may, pattern: pattern, key: key, ready: make(chan struct{}, 1), done: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, ErrClosed
	case len(h.tails) >= h.opts.MaxTails:
		return nil, fmt.Errorf("%w: the most is %d", ErrTooMany, h.opts.MaxTails)
	}
	h.tails[t] = struct{}{}
	if h.use[key] == nil {
		h.use[key] = &usage{}
	}
	h.use[key].tails++
	clear(h.plans)
	return t, nil
}

// remove forgets a tail.
func (h *Hub) remove(t *Tail) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.tails[t]; !ok {
		return
	}
	delete(h.tails, t)
	if u := h.use[t.key]; u != nil {
		if u.tails--; u.tails == 0 {
			delete(h.use, t.key)
		}
	}
	clear(h.plans)
	if len(h.tails) == 0 {
		clear(h.left)
	}
}

// plan gives who wants the group's records. The caller holds h.mu.
func (h *Hub) plan(group string) *plan {
	if p := h.plans[group]; p != nil {
		return p
	}
	p := &plan{}
	place := map[string]int{}
	for t := range h.tails {
		if !t.may(group) {
			continue
		}
		i, ok := place[t.key]
		if !ok {
			i = len(p.wants)
			place[t.key] = i
			p.wants = append(p.wants, want{pattern: t.pattern, use: h.use[t.key]})
		}
		p.wants[i].tails = append(p.wants[i].tails, t)
	}
	if len(h.plans) >= maxPlans {
		clear(h.plans)
	}
	h.plans[group] = p
	return p
}

// run matches batches one after another until the hub is closed.
func (h *Hub) run() {
	defer close(h.done)
	for {
		b, p, share := h.next()
		if b == nil {
			select {
			case <-h.wake:
				continue
			case <-h.stop:
				return
			}
		}
		events := make([]*Event, len(b.records))
		for i := range p.wants {
			h.deliver(&p.wants[i], b, events, share, len(p.wants) == 1)
		}
		h.mu.Lock()
		h.queued -= b.bytes
		h.mu.Unlock()
		select {
		case <-h.stop:
			return
		default:
		}
	}
}

// next takes the next batch out of the queue, with who wants it and how many
// records a tail may get in a window; nil when there is none. What was left out is
// told first: it came after records that have been delivered by now.
func (h *Hub) next() (b *batch, p *plan, share int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, nil, 0
	}
	if len(h.left) > 0 && h.queued < h.opts.QueueBytes/2 {
		for group, n := range h.left {
			for _, w := range h.plan(group).wants {
				w.skip(h, n)
			}
		}
		clear(h.left)
	}
	if len(h.queue) == 0 {
		h.queue = nil
		return nil, nil, 0
	}
	b = h.queue[0]
	h.queue[0] = nil
	h.queue = h.queue[1:]
	perWindow := h.opts.Rate / int(time.Second/window)
	return b, h.plan(b.group), max(perWindow/max(len(h.tails), 1), minShare)
}

// skip tells every tail of w that n records were left out.
func (w *want) skip(h *Hub, n int64) {
	h.skipped.Add(n * int64(len(w.tails)))
	for _, t := range w.tails {
		t.skip(n)
	}
}

// deliver hands the batch's records to the tails of one pattern. events holds
// what was made of the records so far, to be shared.
func (h *Hub) deliver(w *want, b *batch, events []*Event, share int, alone bool) {
	began := time.Now()
	if began.Sub(h.begun) >= window {
		h.begun, h.spent = began, 0
		h.at++
	}
	if w.use.at != h.at {
		w.use.at, w.use.spent = h.at, 0
	}
	// How long this pattern may take now.
	room := hubShare - h.spent
	if !alone {
		room = min(room, patternShare-w.use.spent)
	}
	h.hits = h.hits[:0]
	left := 0 // records that are not looked at
	for i := range b.records {
		r := &b.records[i]
		if w.pattern != nil {
			if (i%clockEvery == 0 || len(r.Raw) > largeRecord) && time.Since(began) > room {
				left = len(b.records) - i
				break
			}
			if !w.pattern.Match(r.Raw, r.Kind) {
				continue
			}
		}
		h.hits = append(h.hits, i)
	}
	var sent, missed int64
	for _, t := range w.tails {
		n, ok := t.put(h.at, share, h.hits, left, func(i int) *Event {
			if events[i] == nil {
				events[i] = newEvent(&b.records[i])
			}
			return events[i]
		})
		sent += int64(n)
		if ok {
			missed += int64(len(h.hits) - n + left)
		}
	}
	h.matched.Add(sent)
	h.skipped.Add(missed)
	took := time.Since(began)
	h.spent += took
	w.use.spent += took
}
