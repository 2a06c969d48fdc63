package query

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"trailward/query/duck"
	"trailward/query/plan"
)

// messageBatch is how many rows of an answer are gathered before the messages
// that they show are put together, so that a part is asked once for many.
const messageBatch = 256

// rows is an answer: DuckDB's rows with messages and pointers put in.
type rows struct {
	ctx    context.Context
	cancel context.CancelFunc
	scan   *scan // nil for a statement that reads no records
	in     *duck.Rows
	close  func() // ends the session
	once   sync.Once
	start  time.Time
	out    []Column // as the statement gives them
	cols   []Column // as a reader sees them
	fill   bool     // some column is a message

	// matched is what the statement counted, or -1: then it is the number of rows.
	matched int64

	mu    sync.Mutex // guards what Stats reads
	count int64
	ended time.Time

	use  sync.Mutex // held while records are read, which must be over before the session is
	buf  [][]any
	at   int
	row  []any
	last bool  // in has no more rows
	fail error // what comes after the rows in buf
	err  error // what Err says
}

// newRows wraps the rows of a statement whose columns are described by out.
func newRows(ctx context.Context, cancel context.CancelFunc, s *scan, in *duck.Rows, out []Column, start time.Time, closeFn func()) *rows {
	r := &rows{ctx: ctx, cancel: cancel, scan: s, in: in, out: out, start: start, close: closeFn, matched: -1}
	for _, c := range out {
		r.cols = append(r.cols, shown(c))
		r.fill = r.fill || c.Type == plan.Message
	}
	return r
}

// shown is the type that a reader sees: messages and pointers are text to him.
func shown(c Column) Column {
	if c.Type == plan.Message || c.Type == plan.Pointer {
		c.Type = plan.Text
	}
	return c
}

func (r *rows) Columns() []Column { return r.cols }

func (r *rows) Next() bool {
	if r.err != nil {
		return false
	}
	r.at++
	if r.at >= len(r.buf) && !r.refill() {
		r.err = r.fail
		r.finish()
		return false
	}
	r.row = r.buf[r.at]
	r.mu.Lock()
	r.count++
	r.mu.Unlock()
	return true
}

// refill reads the next rows, one when no column is a message. What fails after
// the first of them waits until they are given.
func (r *rows) refill() bool {
	r.use.Lock()
	defer r.use.Unlock()
	most := 1
	if r.fill {
		most = messageBatch
	}
	r.buf, r.at = r.buf[:0], 0
	var pointers []pointer
	for !r.last && len(r.buf) < most {
		if !r.in.Next() {
			r.last, r.fail = true, r.in.Err()
			break
		}
		values := r.in.Values()
		if len(values) != len(r.out) {
			r.last, r.fail = true, fmt.Errorf("statement has %d columns, the plan has %d", len(values), len(r.out))
			return false
		}
		row := make([]any, 0, len(r.cols))
		for i, c := range r.out {
			switch {
			case c.Type == plan.Message || c.Type == plan.Pointer:
				v, err := r.point(values[i], c.Type, &pointers, len(r.buf), len(row))
				if err != nil {
					r.last, r.fail = true, err
					return false
				}
				row = append(row, v)
			default:
				row = append(row, values[i])
			}
		}
		r.buf = append(r.buf, row)
	}
	if len(pointers) > 0 {
		if err := r.putMessages(pointers); err != nil {
			r.last, r.fail = true, err
			return false
		}
	}
	return len(r.buf) > 0
}

// pointer is a cell that waits for its message.
type pointer struct {
	number, record int64
	row, col       int // in buf
}

// point handles a record pointer: the text of an @ptr now, a message later.
func (r *rows) point(v any, typ plan.Type, wait *[]pointer, row, col int) (any, error) {
	if v == nil {
		return nil, nil
	}
	n, ok := v.(int64)
	if !ok || n < 0 || r.scan == nil {
		return nil, errors.New("statement gave no record pointer where the plan has one")
	}
	number, record := n>>pointerShift, n&(1<<pointerShift-1)
	p, err := r.scan.part(number)
	if err != nil {
		return nil, err
	}
	if typ == plan.Pointer {
		return FormatPointer(p.ID(), record), nil
	}
	*wait = append(*wait, pointer{number, record, row, col})
	return nil, nil
}

// putMessages puts the records together that the buffered rows show, each part
// asked once, its records in ascending order.
func (r *rows) putMessages(wait []pointer) error {
	slices.SortFunc(wait, func(a, b pointer) int {
		if a.number != b.number {
			return int(a.number - b.number)
		}
		switch {
		case a.record < b.record:
			return -1
		case a.record > b.record:
			return 1
		}
		return 0
	})
	var records []int64
	for from := 0; from < len(wait); {
		to := from
		records = records[:0]
		for ; to < len(wait) && wait[to].number == wait[from].number; to++ {
			if to == from || wait[to].record != wait[to-1].record {
				records = append(records, wait[to].record)
			}
		}
		p, err := r.scan.part(wait[from].number)
		if err != nil {
			return err
		}
		at := from
		err = p.Messages(records, func(record int64, message []byte) error {
			if r.ctx.Err() != nil {
				return context.Cause(r.ctx)
			}
			if at >= to || wait[at].record != record {
				return fmt.Errorf("record %d came unasked", record)
			}
			text := string(message)
			for ; at < to && wait[at].record == record; at++ {
				r.buf[wait[at].row][wait[at].col] = text
			}
			return nil
		})
		if err == nil && at != to {
			err = fmt.Errorf("%d of %d records are missing", to-at, to-from)
		}
		if err != nil {
			if r.ctx.Err() != nil {
				return context.Cause(r.ctx)
			}
			return fmt.Errorf("read messages of segment %s: %w", p.ID(), err)
		}
		from = to
	}
	return nil
}

func (r *rows) Values() []any { return r.row }

func (r *rows) Err() error { return r.err }

// finish notes the end and frees the engine for others.
func (r *rows) finish() {
	r.mu.Lock()
	if r.ended.IsZero() {
		r.ended = time.Now()
	}
	r.mu.Unlock()
	r.once.Do(func() {
		r.cancel() // whatever reads records stops soon
		r.use.Lock()
		defer r.use.Unlock()
		r.in.Close()
		r.close()
	})
}

func (r *rows) Close() error {
	r.finish()
	return nil
}

func (r *rows) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	var s Stats
	if r.scan != nil {
		s = r.scan.stats
	}
	end := r.ended
	if end.IsZero() {
		end = time.Now()
	}
	s.ElapsedMS = float64(end.Sub(r.start).Microseconds()) / 1000
	s.RecordsMatched = r.count
	if r.matched >= 0 {
		s.RecordsMatched = r.matched
	}
	return s
}
