package query

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"trailward/match"
	"trailward/query/plan"
)

// Limits of the rows that are gathered before the messages that they show are
// put together, so that a part, which decodes whole row groups, is asked once
// for many.
const (
	messageBatch = 10000    // rows
	messageBytes = 64 << 20 // of messages, unless one row has more
)

// rows is an answer: DuckDB's rows with messages and pointers put in.
type rows struct {
	ctx    context.Context
	cancel context.CancelFunc
	scan   *scan // nil for a statement that reads no records
	in     valueRows
	close  func() // ends the session
	once   sync.Once
	start  time.Time
	out    []Column // as the statement gives them
	cols   []Column // as a reader sees them
	fill   bool     // some column is a message

	mu    sync.Mutex // guards what Stats reads
	ended time.Time

	use   sync.Mutex // held while records are read, which must be over before the session is
	buf   [][]any
	later [][]any // rows after buf whose messages are still pointers
	at    int
	row   []any
	last  bool  // in has no more rows
	fail  error // what comes after the rows in buf
	err   error // what Err says
}

// valueRows are the rows that an answer is made of: the engine's, or listed.
type valueRows interface {
	Next() bool
	Values() []any
	Err() error
	Close()
}

// listed are rows that are there already.
type listed struct {
	values [][]any
	at     int
}

func (l *listed) Next() bool    { l.at++; return l.at <= len(l.values) }
func (l *listed) Values() []any { return l.values[l.at-1] }
func (l *listed) Err() error    { return nil }
func (l *listed) Close()        {}

// newRows wraps the rows of a statement whose columns are described by out.
func newRows(ctx context.Context, cancel context.CancelFunc, s *scan, in valueRows, out []Column, start time.Time, closeFn func()) *rows {
	r := &rows{ctx: ctx, cancel: cancel, scan: s, in: in, out: out, start: start, close: closeFn}
	for _, c := range out {
		r.cols = append(r.cols, shown(c))
		r.fill = r.fill || c.Type == plan.Message || c.Type == plan.Later
	}
	return r
}

// shown is the type that a reader sees: messages and pointers are text to him,
// and what comes later is JSON.
func shown(c Column) Column {
	switch c.Type {
	case plan.Message, plan.Pointer:
		c.Type = plan.Text
	case plan.Later:
		c.Type = plan.JSON
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
	return true
}

// refill reads the next rows, one when no column is a message. What fails after
// the first of them waits until they are given.
func (r *rows) refill() bool {
	r.use.Lock()
	defer r.use.Unlock()
	if len(r.later) > 0 { // rows whose messages did not fit
		r.buf, r.later, r.at = r.later, nil, 0
		return r.fillMessages()
	}
	most := 1
	if r.fill {
		most = messageBatch
	}
	r.buf, r.at = make([][]any, 0, most), 0
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
		for i, c := range r.out {
			switch {
			case c.Type == plan.Pointer && values[i] != nil:
				p, record, err := r.point(values[i])
				if err != nil {
					r.last, r.fail = true, err
					return false
				}
				values[i] = FormatPointer(p.ID(), record)
			case c.Type == plan.Later:
				v, err := r.scan.readLater(values[i])
				if err != nil {
					r.last, r.fail = true, err
					return false
				}
				values[i] = v
			case c.Type == plan.JSON:
				values[i] = structured(values[i])
			}
		}
		r.buf = append(r.buf, values)
	}
	return len(r.buf) > 0 && r.fillMessages()
}

// structured marks text that is a JSON array or object as such, and shows it
// without white space outside of its strings. A column of JSON holds the bare value in records where the field is neither.
func structured(v any) any {
	if raw, ok := v.(json.RawMessage); ok {
		return json.RawMessage(match.AppendCompact(nil, raw))
	}
	s, ok := v.(string)
	if ok && s != "" && (s[0] == '{' || s[0] == '[') && json.Valid([]byte(s)) {
		return json.RawMessage(match.AppendCompact(nil, []byte(s)))
	}
	return v
}

// fillMessages puts the messages into the buffered rows, or into the first of
// them if they are too large together; the others wait.
func (r *rows) fillMessages() bool {
	if !r.fill {
		return true
	}
	for n := len(r.buf); ; n = (n + 3) / 4 {
		err := r.putMessages(r.buf[:n], n > 1)
		if errors.Is(err, errLarge) {
			continue
		}
		if err != nil {
			r.last, r.fail, r.later = true, err, nil
			return false
		}
		r.buf, r.later = r.buf[:n:n], r.buf[n:]
		return true
	}
}

// errLarge says that the messages of several rows are too large together.
var errLarge = errors.New("messages are too large together")

// pointer is a cell that waits for its message; number and record are those of
// the file.
type pointer struct {
	number, record int64
	row, col       int
	object         *object // that is wanted of it; nil: the message
}

// point takes a record pointer apart.
func (r *rows) point(v any) (p Part, record int64, err error) {
	n, ok := v.(int64)
	if !ok || n < 0 {
		return nil, 0, errors.New("statement gave no record pointer where the plan has one")
	}
	p, first, err := r.scan.part(n>>pointerShift, n&(1<<pointerShift-1))
	return p, n&(1<<pointerShift-1) - first, err
}

// putMessages replaces the record pointers in rows by the messages, each part
// asked once, its records in ascending order. It changes rows only if it
// succeeds. With bounded it gives up at messageBytes.
func (r *rows) putMessages(rows [][]any, bounded bool) error {
	var wait []pointer
	for i, row := range rows {
		for j, c := range r.out {
			at, object := row[j], (*object)(nil)
			if cut, ok := at.(cut); ok {
				at, object = cut.at, cut.object
			} else if c.Type != plan.Message || at == nil {
				continue
			}
			if _, _, err := r.point(at); err != nil {
				return err
			}
			n := at.(int64)
			wait = append(wait, pointer{n >> pointerShift, n & (1<<pointerShift - 1), i, j, object})
		}
	}
	slices.SortFunc(wait, func(a, b pointer) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.record, b.record))
	})
	values := make([]any, len(wait))
	var bytes int
	var records []int64
	for from := 0; from < len(wait); {
		to := from
		records = records[:0]
		p, first, err := r.scan.part(wait[from].number, wait[from].record)
		if err != nil {
			return err
		}
		for ; to < len(wait) && wait[to].number == wait[from].number && wait[to].record-first < p.Rows(); to++ {
			if to == from || wait[to].record != wait[to-1].record {
				records = append(records, wait[to].record-first)
			}
		}
		at := from
		err = readRows(r.ctx, p, records, func(_ int, message []byte) error {
			sure := false
			for record := wait[at].record; at < to && wait[at].record == record; at++ {
				text := ""
				if o := wait[at].object; o != nil {
					if sure = sure || json.Valid(message); !sure {
						continue
					}
					var ok bool
					if text, ok = o.text(message, true); !ok {
						continue
					}
					values[at] = structured(text)
				} else {
					text = string(message)
					values[at] = text
				}
				if bytes += len(text); bounded && bytes > messageBytes {
					return errLarge
				}
			}
			return nil
		})
		switch {
		case errors.Is(err, errLarge):
			return errLarge
		case r.ctx.Err() != nil:
			return context.Cause(r.ctx)
		case err != nil:
			return fmt.Errorf("read messages of segment %s: %w", p.ID(), err)
		}
		from = to
	}
	for i, w := range wait {
		rows[w.row][w.col] = values[i]
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
	if r.scan != nil {
		s.RecordsMatched = r.scan.matched()
	}
	return s
}
