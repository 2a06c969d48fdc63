package duck

import (
	"context"
	"errors"
	"sync"
	"time"

	duckdb "github.com/duckdb/duckdb-go-bindings"

	"trailward/query/plan"
)

// Column is one column of a result.
type Column struct {
	Name string
	Type plan.Type
	// SQL is DuckDB's name of the type, e.g. BIGINT or DECIMAL(18,3).
	SQL string
}

// Rows is a result as it is made: DuckDB works a little ahead of the reader and
// then waits, so that a result of any size needs little memory.
//
// Next, Values and Err belong to one goroutine; Close may be called from any.
type Rows struct {
	s      *Session
	ctx    context.Context
	cancel context.CancelFunc

	ready   chan struct{} // closed when cols is set, or the query has failed
	done    chan struct{} // closed when no DuckDB call is under way any more
	batches chan [][]any  // closed at the end
	cols    []Column
	dec     *decoder // of the rows that are wanted; belongs to run
	fail    error    // set before batches is closed

	batch [][]any
	at    int
	err   error
}

func newRows(ctx context.Context, s *Session) *Rows {
	r := &Rows{s: s, ready: make(chan struct{}), done: make(chan struct{}), batches: make(chan [][]any, 1), at: -1}
	r.ctx, r.cancel = context.WithCancel(ctx)
	return r
}

// ended says whether DuckDB is done with the query.
func (r *Rows) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// Columns returns the columns in order.
func (r *Rows) Columns() []Column { return r.cols }

// Next goes to the next row, and returns false at the end or at an error.
func (r *Rows) Next() bool {
	if r.err != nil {
		return false
	}
	r.at++
	if r.at < len(r.batch) {
		return true
	}
	// A batch that is ready goes before a context that has ended: a reader that
	// gets all rows shall not see a late time limit.
	select {
	case b, ok := <-r.batches:
		return r.take(b, ok)
	default:
	}
	select {
	case b, ok := <-r.batches:
		return r.take(b, ok)
	case <-r.ctx.Done():
		// The end of the query ends the context too, after the last batch.
		select {
		case b, ok := <-r.batches:
			return r.take(b, ok)
		default:
		}
		r.batch, r.err = nil, context.Cause(r.ctx)
		return false
	}
}

func (r *Rows) take(b [][]any, ok bool) bool {
	if !ok {
		r.batch, r.err = nil, r.fail
		if r.err == nil {
			r.err = errEnd
		}
		return false
	}
	r.batch, r.at = b, 0
	return true
}

// errEnd marks the good end.
var errEnd = errors.New("end of rows")

// Values returns the row. The slice is the caller's; the values are nil,
// string, int64, float64, bool, time.Time in UTC, []any, map[string]any, plan.Struct or
// json.RawMessage. How DuckDB's types map to these: see decode.go.
func (r *Rows) Values() []any { return r.batch[r.at] }

// Err returns why Next returned false, or nil at the end of the rows.
func (r *Rows) Err() error {
	if r.err == errEnd { //nolint:errorlint // a private marker, never wrapped
		return nil
	}
	return r.err
}

// Close interrupts the query if it still runs.
func (r *Rows) Close() { r.cancel() }

// watch interrupts DuckDB when the context ends. It does so again and again,
// because DuckDB forgets an interrupt that comes before it has begun.
func (r *Rows) watch() {
	select {
	case <-r.done:
		return
	case <-r.ctx.Done():
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for r.s.interrupt(r) {
		select {
		case <-r.done:
			return
		case <-tick.C:
		}
	}
}

// interrupt stops the query if it still runs. The lock keeps a late interrupt
// from the query after it, and from a connection that is gone.
func (s *Session) interrupt(r *Rows) (running bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows != r || r.ended() {
		return false
	}
	duckdb.Interrupt(s.conn)
	return true
}

// run does every DuckDB call of the query, on its own goroutine, so that a
// reader is never held up by one that does not end.
func (r *Rows) run(sql string) {
	var once sync.Once
	ready := func() { once.Do(func() { close(r.ready) }) }
	err := r.execute(sql, func(dec *decoder, cols []Column) {
		r.cols = cols
		ready()
		r.dec = dec
	})
	if errors.Is(err, errInterrupted) && r.ctx.Err() == nil {
		err = r.cause(sql)
	}
	r.fail = err
	close(r.done)
	close(r.batches)
	ready()
	r.cancel() // frees the context; what is in batches is still read
}

func (r *Rows) fault(typ duckdb.ErrorType, msg string) error {
	err, odd := fault(r.ctx, typ, msg, r.s.pool.Memory())
	if odd {
		r.s.markOdd()
	}
	return err
}

// maxAgain is how often a statement is run again to learn why it failed.
const maxAgain = 5

// cause finds the reason of an interrupt that nobody here asked for. When a
// statement fails on one of its threads, DuckDB (1.5) stops the others before it
// notes the error, and one of those may be noted first: then the error itself is
// lost, and only the statement can tell it once more. Its rows are not wanted.
func (r *Rows) cause(sql string) error {
	r.dec = nil
	for range maxAgain {
		err := r.execute(sql, func(*decoder, []Column) {})
		if err == nil {
			return &Error{Msg: "query failed for a reason that did not show a second time: ask again", Internal: true}
		}
		if !errors.Is(err, errInterrupted) {
			return err
		}
	}
	return errInterrupted
}

// execute runs the statement. begun is called when its columns are known; if it
// sets r.dec, the rows go to r.batches, else nobody wants them.
func (r *Rows) execute(sql string, begun func(*decoder, []Column)) error {
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	conn := r.s.conn
	var list duckdb.ExtractedStatements
	n := duckdb.ExtractStatements(conn, sql, &list)
	defer duckdb.DestroyExtracted(&list)
	switch {
	case n == 0:
		msg := duckdb.ExtractStatementsError(list)
		if msg == "" {
			return &Error{Msg: "statement is empty"}
		}
		return r.fault(duckdb.ErrorTypeParser, msg)
	case n > 1:
		return &Error{Msg: "more than one statement: only one SELECT can run"}
	}
	var stmt duckdb.PreparedStatement
	state := duckdb.PrepareExtractedStatement(conn, list, 0, &stmt)
	defer duckdb.DestroyPrepare(&stmt)
	if state == duckdb.StateError {
		return r.fault(duckdb.ErrorTypeInvalid, duckdb.PrepareError(stmt))
	}
	if duckdb.PreparedStatementType(stmt) != duckdb.StatementTypeSelect {
		return &Error{Msg: "only SELECT can run"}
	}
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	var pending duckdb.PendingResult
	//nolint:staticcheck // the C API has no other way to a result that is not held whole
	state = duckdb.PendingPreparedStreaming(stmt, &pending)
	defer duckdb.DestroyPending(&pending)
	if state == duckdb.StateError {
		return r.fault(duckdb.ErrorTypeInvalid, duckdb.PendingError(pending))
	}
	var res duckdb.Result
	state = duckdb.ExecutePending(pending, &res)
	defer duckdb.DestroyResult(&res)
	if state == duckdb.StateError {
		return r.fault(duckdb.ResultErrorType(&res), duckdb.ResultError(&res))
	}
	dec, cols, err := newDecoder(&res)
	if err != nil {
		return err
	}
	begun(dec, cols)
	for {
		if r.ctx.Err() != nil {
			return context.Cause(r.ctx)
		}
		var chunk duckdb.DataChunk
		//nolint:staticcheck // as above
		if duckdb.StreamFetchChunk(res, &chunk) == duckdb.StateError {
			if r.ctx.Err() != nil {
				return context.Cause(r.ctx)
			}
			if msg := duckdb.ResultError(&res); msg != "" {
				return r.fault(duckdb.ResultErrorType(&res), msg)
			}
			return nil // the end has no chunk either
		}
		n := duckdb.DataChunkGetSize(chunk)
		if r.dec != nil {
			err = r.dec.rows(chunk, r.hand)
		}
		duckdb.DestroyDataChunk(&chunk)
		if n == 0 || err != nil {
			return err
		}
	}
}

// hand gives a batch to the reader.
func (r *Rows) hand(batch [][]any) error {
	select {
	case r.batches <- batch:
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}
