package query

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"trailward/query/duck"
	"trailward/query/insights"
	"trailward/query/plan"
)

// Defaults and limits of an engine.
const (
	// DefaultAccountID stands in @log where no account is configured.
	DefaultAccountID = "000000000000"
	// DefaultSQLTimeout bounds a query in SQL, from text to last row.
	DefaultSQLTimeout = time.Minute
	// DefaultInsightsTimeout bounds a query in Logs Insights QL. Without a join
	// its work is bounded by the records; one with a join has the time of SQL.
	DefaultInsightsTimeout = 15 * time.Minute
)

// usualFiles is how many files a question over many parts has, give or take:
// see [store.Snapshot.Open].
const usualFiles = 64

// Options configure an engine. The zero value of each field but Snapshot is its
// documented default.
type Options struct {
	Snapshot        SnapshotFunc
	Pool            duck.Config   // memory, threads, queries at once
	AccountID       string        // of the @log field; empty means DefaultAccountID
	SQLTimeout      time.Duration // 0 means DefaultSQLTimeout
	InsightsTimeout time.Duration // 0 means DefaultInsightsTimeout
	// Groups, if set, says which log groups exist, for the notice that a question
	// names one in vain.
	Groups GroupLister
	// Lookup gives the tables of the commands lookup and cidrlookup; nil means
	// that there are none.
	Lookup insights.LookupFunc
}

// Engine answers questions. Its methods may be called at the same time; more
// queries than the pool allows wait for their turn.
type Engine struct {
	opts Options
	pool *duck.Pool
	// whole makes it read every part of the time range, and look at each record by
	// itself, for tests of what the answer without that is.
	whole bool
	// direct counts the answers that were made without DuckDB, for tests.
	direct atomic.Int64
}

// New makes an engine. Close it.
func New(opts Options) (*Engine, error) {
	if opts.Snapshot == nil {
		return nil, errors.New("query engine has no snapshot function")
	}
	if opts.AccountID == "" {
		opts.AccountID = DefaultAccountID
	}
	if opts.SQLTimeout == 0 {
		opts.SQLTimeout = DefaultSQLTimeout
	}
	if opts.InsightsTimeout == 0 {
		opts.InsightsTimeout = DefaultInsightsTimeout
	}
	if opts.SQLTimeout < 0 || opts.InsightsTimeout < 0 {
		return nil, fmt.Errorf("query timeouts %v and %v: must not be negative", opts.SQLTimeout, opts.InsightsTimeout)
	}
	opts.Pool.Functions, opts.Pool.Lists = append(textFunctions(), jsonFunctions()...), listFunctions()
	pool, err := duck.NewPool(opts.Pool)
	if err != nil {
		return nil, err
	}
	return &Engine{opts: opts, pool: pool}, nil
}

// Close lets no new query begin and waits until the running ones are over or
// ctx ends.
func (e *Engine) Close(ctx context.Context) error { return e.pool.Close(ctx) }

// Load says how many questions run and wait.
func (e *Engine) Load() duck.Load { return e.pool.Load() }

// TimeoutError says that a query took longer than it may.
type TimeoutError struct{ Limit time.Duration }

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("query took longer than its limit of %v: narrow the time range or the groups", e.Limit)
}

// Timeout marks the error as one of time, as net.Error does.
func (e *TimeoutError) Timeout() bool { return true }

// Is makes it a context.DeadlineExceeded for errors.Is.
func (e *TimeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// task is a query that is ready to be run.
type task struct {
	sel     Selection
	nothing bool // no group can be read: the answer is over no records
	sources bool // the text names log groups
	fold    bool // names have no case
	timeout time.Duration
	start   time.Time
	views   func() []view // what its scans may read; known once there is a statement
	// choose, if set, picks the parts that the query reads, out of those that
	// the time range touches.
	choose func(ctx context.Context, parts []Part, s *schemas) ([]Part, error)
	// statement makes the SQL over the scan. Without columns the statement's
	// own are shown.
	statement func(ctx context.Context, s *scan) (sql string, out []Column, err error)
	guards    []plan.FieldRef // see scan.guards
	notices   []string        // what is known before
	looked    map[string]bool // see scan.looked
	// direct, if set, tries to answer without the engine; ok is false when it is
	// needed after all.
	direct func(ctx context.Context, s *scan) (values [][]any, out []Column, ok bool, err error)
	// fault, if set, makes of what DuckDB said about the statement what the asker
	// can do something about.
	fault func(err error) error
}

// run takes a snapshot and a session, and gives them back when the rows are
// closed, or at once when it fails.
func (e *Engine) run(ctx context.Context, t task) (_ Rows, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, t.timeout, &TimeoutError{Limit: t.timeout})
	undo := cancel
	defer func() {
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			undo()
		}
	}()
	var snap Snapshot = emptySnapshot{}
	if !t.nothing {
		if snap, err = e.opts.Snapshot(t.sel); err != nil {
			return nil, fmt.Errorf("take a snapshot of the store: %w", err)
		}
	}
	closeSnap := func() {
		// Nothing is lost by a snapshot that does not close well, and nobody
		// waits for it any more.
		_ = snap.Close()
	}
	undo = func() { closeSnap(); cancel() }
	known := newSchemas(e.opts.AccountID, t.fold)
	parts := inRange(snap.Parts(), t.sel.Start, t.sel.End)
	if t.choose != nil {
		if parts, err = t.choose(ctx, parts, known); err != nil {
			return nil, err
		}
	}
	s := newScan(snap, parts, known, t.sel.Start, t.sel.End, e.opts.AccountID)
	s.whole, s.guards, s.looked = e.whole, t.guards, t.looked
	s.stats.Notices = t.notices
	if t.direct != nil && !e.whole {
		values, out, ok, err := t.direct(ctx, s)
		if err != nil {
			return nil, err
		}
		if ok {
			e.direct.Add(1)
			return newRows(ctx, cancel, s, &listed{values: values}, out, t.start, closeSnap), nil
		}
	}
	session, err := e.pool.Acquire(ctx, min(len(parts), usualFiles))
	if err != nil {
		return nil, err
	}
	s.session = session
	m := newMessages(ctx, s.part)
	m.only = s.onlyHolding()
	session.SetMessages(m.read)
	session.SetHolds(s.holdsText)
	session.OnRelease(func() { m.close(closeSnap) }) // from here on the session closes the snapshot
	undo = func() { session.Close(); cancel() }
	sql, out, err := t.statement(ctx, s)
	if err != nil {
		return nil, err
	}
	in, err := session.Query(ctx, sql)
	if err != nil {
		if t.fault != nil {
			err = t.fault(err)
		}
		return nil, err
	}
	if out == nil {
		for _, c := range in.Columns() {
			out = append(out, Column{Name: c.Name, Type: c.Type})
		}
	}
	return newRows(ctx, cancel, s, faulted{in, t.fault}, out, t.start, session.Close), nil
}

// faulted are rows of a statement whose errors are told as [task.fault] does.
type faulted struct {
	valueRows
	fault func(error) error
}

func (f faulted) Err() error {
	err := f.valueRows.Err()
	if err != nil && f.fault != nil {
		return f.fault(err)
	}
	return err
}

type emptySnapshot struct{}

func (emptySnapshot) Parts() []Part { return nil }
func (emptySnapshot) Close() error  { return nil }

func (emptySnapshot) Open(context.Context, []Part, []string, int) ([]File, error) { return nil, nil }

// narrow gives the groups that both lists allow; an empty list allows all.
// none says that there is no such group, which an empty list cannot say.
func narrow(a, b []string) (both []string, none bool) {
	switch {
	case len(a) == 0:
		return b, false
	case len(b) == 0:
		return a, false
	}
	seen := map[string]bool{}
	for _, x := range a {
		for _, y := range b {
			if g, ok := meet(x, y); ok && !seen[g] {
				seen[g] = true
				both = append(both, g)
			}
		}
	}
	return both, len(both) == 0
}

// meet gives the pattern for what two patterns both match.
func meet(x, y string) (string, bool) {
	px, starX := strings.CutSuffix(x, "*")
	py, starY := strings.CutSuffix(y, "*")
	switch {
	case starX && starY:
		if strings.HasPrefix(px, py) {
			return x, true
		}
		return y, strings.HasPrefix(py, px)
	case starX:
		return y, strings.HasPrefix(y, px)
	case starY:
		return x, strings.HasPrefix(x, py)
	}
	return x, x == y
}
