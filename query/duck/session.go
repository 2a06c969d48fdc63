package duck

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	duckdb "github.com/duckdb/duckdb-go-bindings"
)

// grace is how long closing waits for DuckDB to notice that it was interrupted.
// It looks between vectors of 2,048 rows; what takes longer than this on one
// vector is left to end by itself, with its instance.
const grace = 500 * time.Millisecond

// MessageFunc puts records together for the SQL function trailward_message: for
// each i it calls emit with i and the bytes of row rows[i] of the given part.
// The rows of one call ascend and the bytes are valid during emit. Several
// threads call it at once. It must end soon after ctx does.
type MessageFunc func(ctx context.Context, part int64, rows []int64, emit func(i int, message []byte)) error

// Session is the sole use of one instance for a while. Its methods must not be
// called at the same time, except that Close may be called at any time.
type Session struct {
	pool  *Pool
	place *place
	inst  *instance
	conn  duckdb.Connection
	slots slots

	messages  MessageFunc
	holds     HoldsFunc
	onRelease []func()
	matched   atomic.Int64 // rows that MatchedFunction has seen

	mu     sync.Mutex // guards what follows
	rows   *Rows      // the newest query; nil before the first
	odd    bool       // the instance must not be used again
	gone   bool       // there is no instance any more
	closed bool
}

func newSession(p *Pool, pl *place) (*Session, error) {
	s := &Session{pool: p, place: pl, inst: pl.inst, slots: slots{base: pl.inst.base, max: pl.inst.slots}}
	if duckdb.Connect(pl.inst.db, &s.conn) == duckdb.StateError {
		return nil, &Error{Msg: "connect to an instance", Internal: true}
	}
	pl.inst.session.Store(s)
	return s, nil
}

// Widen gives the session at least as many slots, in another instance if this
// one has fewer; what was put onto slots stays there. No query may be open.
func (s *Session) Widen(slots int) error {
	switch {
	case slots <= s.inst.slots:
		return nil
	case slots > s.pool.perPlace:
		return &TooManyFilesError{Files: slots, Max: s.pool.perPlace}
	}
	s.mu.Lock()
	r := s.rows
	s.mu.Unlock()
	if r != nil {
		if r.ctx.Err() == nil && !r.ended() {
			return errors.New("more files are wanted while a query runs")
		}
		<-r.done // a closed one ends soon
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	duckdb.Disconnect(&s.conn)
	s.inst.session.Store(nil)
	s.inst.close()
	inst, err := openInstance(s.place.base, slotsFor(slots, s.pool.perPlace), s.pool.cfg)
	if err == nil && duckdb.Connect(inst.db, &s.conn) == duckdb.StateError {
		inst.close()
		err = &Error{Msg: "connect to an instance", Internal: true}
	}
	if err != nil {
		s.gone = true
		return err
	}
	s.inst, s.place.inst, s.slots.max = inst, inst, inst.slots
	inst.session.Store(s)
	return nil
}

// MaxFiles returns how many slots the session can have at most.
func (s *Session) MaxFiles() int { return s.pool.perPlace }

// Path returns the name under which SQL reads slot i. Slots count from 0; how
// many there are is Widen's to say.
func (s *Session) Path(i int) string { return s.inst.path(i) }

// Put lays a duplicate of descriptor fd onto slot i, in place of what was
// there. The session closes the duplicate; fd stays the caller's.
func (s *Session) Put(i, fd int) error { return s.slots.put(i, fd) }

// SetMessages says what trailward_message calls. It must be set before the
// first query that uses the function.
func (s *Session) SetMessages(fn MessageFunc) { s.messages = fn }

// OnRelease adds a function to be called when the session is over and DuckDB no
// longer works for it, which may be after Close has returned. What the files
// and messages come from must live until then.
func (s *Session) OnRelease(fn func()) { s.onRelease = append(s.onRelease, fn) }

// Query runs one SELECT. The rows end with the context's cause when ctx ends
// first. Only one query runs at a time: Query fails until the rows before are
// closed.
func (s *Session) Query(ctx context.Context, sql string) (*Rows, error) {
	if len(sql) > MaxSQL {
		return nil, &Error{Msg: fmt.Sprintf("statement has %d bytes, the limit is %d", len(sql), MaxSQL)}
	}
	if strings.IndexByte(sql, 0) >= 0 {
		// The C API would take the text before it for the whole.
		return nil, &Error{Msg: "statement holds a NUL character"}
	}
	s.mu.Lock()
	before := s.rows
	s.mu.Unlock()
	if before != nil {
		if before.ctx.Err() == nil && !before.ended() {
			return nil, errors.New("another query of this session is still running")
		}
		select { // a closed one ends soon
		case <-before.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	s.mu.Lock()
	if s.closed || s.gone {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	r := newRows(ctx, s)
	s.rows = r
	s.mu.Unlock()
	go r.watch()
	go r.run(sql)
	select {
	case <-r.ready:
	case <-r.ctx.Done():
		// Most often DuckDB ends at once: then its own error is at hand.
		select {
		case <-r.ready:
		case <-time.After(grace):
			r.cancel()
			return nil, context.Cause(r.ctx)
		}
	}
	if r.cols == nil { // it failed before it had rows
		<-r.done
		r.cancel()
		return nil, r.fail
	}
	return r, nil
}

// markOdd keeps the instance from being used again.
func (s *Session) markOdd() {
	s.mu.Lock()
	s.odd = true
	s.mu.Unlock()
}

// Close ends the session: a running query is interrupted, files are taken off
// and the instance goes back to the pool. If DuckDB does not stop soon, Close
// returns all the same and the rest is done when it has.
func (s *Session) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	r := s.rows
	s.mu.Unlock()
	if r == nil {
		s.finish()
		return
	}
	r.cancel()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-r.done:
		s.finish()
	case <-timer.C:
		go func() {
			<-r.done
			s.finish()
		}()
	}
}

// finish runs when no DuckDB call is under way for the session.
func (s *Session) finish() {
	s.mu.Lock()
	odd, gone := s.odd, s.gone
	if !gone {
		s.inst.session.Store(nil)
		duckdb.Disconnect(&s.conn)
	}
	s.mu.Unlock()
	s.slots.clear()
	for _, fn := range s.onRelease {
		fn()
	}
	if odd && !gone {
		s.inst.close()
	}
	if odd || gone {
		s.place.inst = nil
	}
	s.pool.release(s.place)
}
