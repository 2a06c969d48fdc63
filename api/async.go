package api

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"trailward/query"
)

// The states of an asynchronous question.
const (
	asyncQueued    = "queued"
	asyncRunning   = "running"
	asyncComplete  = "complete"
	asyncFailed    = "failed"
	asyncCancelled = "cancelled"
)

// asyncQueries are the asynchronous questions that the server knows: those that
// run, and the finished ones whose answers are kept for a while. Answers are
// kept in memory only, and only within its bounds: an answer that does not fit
// is a failure of the question, never a shorter answer.
type asyncQueries struct {
	most, perPrincipal int
	maxRows            int
	maxBytes           int64
	keep               time.Duration
	memory             *budget

	// base is the context of all that runs; close ends it.
	base context.Context
	stop context.CancelFunc
	run  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	byID   map[string]*asyncQuery
	counts map[string]int // by owner
}

// asyncQuery is one question. Its answer grows while it runs.
type asyncQuery struct {
	id, owner string
	lang      query.Language
	created   time.Time
	cancel    context.CancelFunc
	// begun is closed at the first row or the end, done at the end.
	begun, done chan struct{}
	forget      *time.Timer // set when it has finished

	mu       sync.Mutex
	status   string
	columns  []query.Column
	rows     [][]any      // only appended to; what is in it never changes
	bytes    int64        // that rows hold, about
	stats    *query.Stats // so far; nil before the rows begin
	finished time.Time
	failure  *failure
	stopped  bool // by its owner
}

func newAsyncQueries(cfg Config) *asyncQueries {
	base, stop := context.WithCancel(context.Background())
	return &asyncQueries{
		most: cfg.MaxAsync, perPrincipal: cfg.MaxPrincipalAsync, maxRows: cfg.MaxAsyncRows, maxBytes: cfg.MaxAsyncResult, keep: cfg.AsyncKeep,
		memory: &budget{limit: cfg.MaxAsyncMemory}, base: base, stop: stop, byID: map[string]*asyncQuery{}, counts: map[string]int{},
	}
}

// statsEvery is how many rows pass between two looks at what they cost.
const statsEvery = 256

// errAsyncFull means that the server or the principal has as many questions as
// it may.
var errAsyncFull = errors.New("too many asynchronous questions")

// errAsyncClosed means that the server is stopping.
var errAsyncClosed = errors.New("no more asynchronous questions are taken")

// begin makes a question and runs work for it. work calls open when the
// rows begin and returns the failure that ended them, or nil.
func (a *asyncQueries) begin(owner string, lang query.Language, now time.Time, timeout time.Duration, work func(ctx context.Context, q *asyncQuery) *failure) (*asyncQuery, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		return nil, errAsyncClosed
	case len(a.byID) >= a.most, a.counts[owner] >= a.perPrincipal:
		return nil, errAsyncFull
	}
	ctx, cancel := context.WithTimeout(a.base, timeout)
	q := &asyncQuery{
		id: newQueryID(), owner: owner, lang: lang, created: now, cancel: cancel,
		begun: make(chan struct{}), done: make(chan struct{}), status: asyncQueued,
	}
	a.byID[q.id] = q
	a.counts[owner]++
	a.run.Go(func() {
		defer cancel()
		a.finish(q, work(ctx, q))
	})
	return q, nil
}

// newQueryID makes an id that cannot be guessed.
func newQueryID() string {
	var b [15]byte
	rand.Read(b[:])
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// finish notes the end, and when the question is to be forgotten.
func (a *asyncQueries) finish(q *asyncQuery, f *failure) {
	q.mu.Lock()
	q.finished = time.Now()
	switch {
	case q.stopped:
		q.status = asyncCancelled
	case f != nil:
		q.status, q.failure = asyncFailed, f
	default:
		q.status = asyncComplete
	}
	if q.status != asyncComplete {
		// Half an answer is not kept: nobody may take it for a whole one.
		a.memory.give(q.bytes)
		q.rows, q.bytes = nil, 0
	}
	q.forget = time.AfterFunc(a.keep, func() { a.remove(q) })
	q.mu.Unlock()
	q.open()
	close(q.done)
}

// open says that the rows have begun, or never will.
func (q *asyncQuery) open() {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-q.begun:
	default:
		close(q.begun)
	}
}

// running notes that the question's turn has come.
func (q *asyncQuery) running() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.status = asyncRunning
}

// note takes over what the rows say of themselves, which only the goroutine that
// reads them may ask.
func (q *asyncQuery) note(rows query.Rows) {
	columns, stats := rows.Columns(), rows.Stats()
	q.mu.Lock()
	q.columns, q.stats = columns, &stats
	q.mu.Unlock()
}

// add keeps a row, or says why it cannot.
func (a *asyncQueries) add(q *asyncQuery, values []any) *failure {
	size := rowCost(values)
	q.mu.Lock()
	defer q.mu.Unlock()
	const hint = "POST /v1/query and /v1/sql stream an answer of any size"
	switch {
	case len(q.rows) >= a.maxRows:
		return &failure{status: 400, message: fmt.Sprintf("the answer has more than %d rows", a.maxRows), hint: hint, reason: "memory"}
	case q.bytes+size > a.maxBytes:
		return &failure{status: 400, message: fmt.Sprintf("the answer takes more than %d bytes", a.maxBytes), hint: hint, reason: "memory"}
	case !a.memory.take(size):
		return &failure{status: 429, message: "the answers that are kept take all the memory that they may", hint: "delete those that are not needed any more; " + hint, reason: "overloaded"}
	}
	q.bytes += size
	q.rows = append(q.rows, slices.Clone(values))
	return nil
}

// rowCost is about how many bytes a row takes in memory.
func rowCost(values []any) int64 {
	n := int64(24 + 16*len(values))
	for _, v := range values {
		n += valueCost(v)
	}
	return n
}

func valueCost(v any) int64 {
	switch v := v.(type) {
	case nil:
		return 0
	case string:
		return 16 + int64(len(v))
	case json.RawMessage:
		return 24 + int64(len(v))
	case []any:
		n := int64(24)
		for _, x := range v {
			n += 16 + valueCost(x)
		}
		return n
	case query.Struct:
		n := int64(48)
		for _, m := range v {
			n += 48 + valueCost(m.Value) // the names are shared
		}
		return n
	case map[string]any:
		n := int64(48)
		for k, x := range v {
			n += 48 + int64(len(k)) + valueCost(x)
		}
		return n
	}
	return 24
}

// find returns the owner's question with this id; nil: he has none such.
func (a *asyncQueries) find(owner, id string) *asyncQuery {
	a.mu.Lock()
	defer a.mu.Unlock()
	if q := a.byID[id]; q != nil && q.owner == owner {
		return q
	}
	return nil
}

// remove forgets a question that has finished.
func (a *asyncQueries) remove(q *asyncQuery) {
	a.mu.Lock()
	if a.byID[q.id] != q {
		a.mu.Unlock()
		return
	}
	delete(a.byID, q.id)
	if a.counts[q.owner]--; a.counts[q.owner] == 0 {
		delete(a.counts, q.owner)
	}
	a.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.forget != nil {
		q.forget.Stop()
	}
	a.memory.give(q.bytes)
	q.rows, q.bytes = nil, 0
}

// halt stops a question for its owner and forgets it; what it held is free
// when halt returns.
func (a *asyncQueries) halt(ctx context.Context, q *asyncQuery) (status string, err error) {
	q.mu.Lock()
	q.stopped = true
	q.mu.Unlock()
	q.cancel()
	select {
	case <-q.done:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	a.remove(q)
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.status, nil
}

// close stops all questions and waits for their end.
func (a *asyncQueries) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.stop()
	a.run.Wait()
	a.mu.Lock()
	left := make([]*asyncQuery, 0, len(a.byID))
	for _, q := range a.byID {
		left = append(left, q)
	}
	a.mu.Unlock()
	for _, q := range left {
		a.remove(q)
	}
}

// runAsync answers a question into q.
func (s *Server) runAsync(ctx context.Context, q *asyncQuery, req query.Request, id string) (f *failure) {
	defer func() {
		if crash := recover(); crash != nil {
			s.metrics.panics.Inc()
			s.log.LogAttrs(ctx, slog.LevelError, "panic in an asynchronous question", slog.String("request", id),
				slog.String("panic", fmt.Sprint(crash)), slog.String("stack", string(debug.Stack())))
			f = &failure{status: 500, message: "internal error; the server's log says more under request " + id, reason: "internal"}
		}
	}()
	fail := func(op string, err error) *failure {
		switch {
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return &failure{status: 504, message: "the query ran longer than its limit of " + s.cfg.AsyncTimeout.String(),
				hint: "ask for a shorter time range or fewer groups", reason: "timeout"}
		case ctx.Err() != nil:
			return unavailable("the server is stopping")
		}
		return s.failureFor(ctx, id, op, err)
	}
	leave, err := s.queries.enterWithin(ctx, q.owner, s.cfg.AsyncTimeout)
	if errors.Is(err, errFull) {
		return overloaded("too many questions are being answered").retryAfter(s.queries.retryIn())
	}
	if err != nil {
		return fail("wait for a turn", err)
	}
	defer leave()
	q.running()
	result := resultFailed
	defer s.timeQuery(ctx, req.Language, time.Now(), &result)
	rows, err := s.deps.Query(ctx, req)
	if err != nil {
		return fail("query", err)
	}
	defer func() {
		if err := rows.Close(); err != nil && ctx.Err() == nil {
			s.logError(ctx, id, "close query", slog.LevelWarn, err)
		}
	}()
	defer q.note(rows)
	for n := 0; rows.Next(); n++ {
		if n%statsEvery == 0 {
			q.note(rows)
			q.open()
		}
		if f := s.async.add(q, rows.Values()); f != nil {
			return f
		}
	}
	if err := rows.Err(); err != nil {
		return fail("query", err)
	}
	result = resultOK
	return nil
}

// asyncWork is the work of a question that request id started.
func (s *Server) asyncWork(req query.Request, id string) func(context.Context, *asyncQuery) *failure {
	return func(ctx context.Context, q *asyncQuery) *failure { return s.runAsync(ctx, q, req, id) }
}
