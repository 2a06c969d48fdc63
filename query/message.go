package query

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Limits of reading messages ahead, for one query.
const (
	readAheadFirst = 2048    // rows, when a part is first asked
	readAheadMost  = 16384   // rows, after several calls in a row
	readAheadBytes = 8 << 20 // of one run, unless more were asked for
	maxRuns        = 16      // runs that are kept
	denseEnough    = 4       // one row in so many must be wanted, or none is read ahead
)

// messages puts records together for the conditions of a query. DuckDB asks for
// up to 2,048 rows of a part at a time, on several threads, in ascending order
// on each; a part answers a long run of rows far cheaper than many short ones
// (it decodes whole pages), so runs are read ahead and kept until they are
// asked for. The rows in them that no condition lets through are wasted, which
// is why it is done only where most rows pass.
type messages struct {
	part func(number int64) (Part, error)

	mu   sync.Mutex
	runs []*run // the most lately used last
}

// run is the text of consecutive rows of one part. It does not change.
type run struct {
	number int64
	from   int64
	ends   []int // of each row in data
	data   []byte
	ahead  int64 // rows to read next time
}

func (r *run) has(number, row int64) bool {
	return r.number == number && row >= r.from && row < r.from+int64(len(r.ends))
}

func (r *run) text(row int64) []byte {
	i := row - r.from
	start := 0
	if i > 0 {
		start = r.ends[i-1]
	}
	return r.data[start:r.ends[i]]
}

// errEnough ends a call of Part.Messages before its end.
var errEnough = errors.New("enough messages")

// read is the duck.MessageFunc.
func (m *messages) read(ctx context.Context, number int64, rows []int64, emit func(i int, message []byte)) error {
	p, err := m.part(number)
	if err != nil {
		return err
	}
	var r *run
	for i := 0; i < len(rows); {
		if r == nil || !r.has(number, rows[i]) {
			if r = m.find(number, rows[i]); r == nil {
				rest := rows[i:]
				if span := rest[len(rest)-1] - rest[0] + 1; len(rest) < 16 || span > denseEnough*int64(len(rest)) {
					return m.direct(ctx, p, rest, func(k int, b []byte) { emit(i+k, b) })
				}
				if r, err = m.load(ctx, p, number, rest); err != nil {
					return err
				}
			}
		}
		emit(i, r.text(rows[i]))
		i++
	}
	return nil
}

// find looks for a run that has the row.
func (m *messages) find(number, row int64) *run {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, r := range m.runs {
		if r.has(number, row) {
			m.runs = append(append(m.runs[:i], m.runs[i+1:]...), r)
			return r
		}
	}
	return nil
}

// direct reads exactly the given rows.
func (m *messages) direct(ctx context.Context, p Part, rows []int64, emit func(k int, b []byte)) error {
	k := 0
	err := p.Messages(rows, func(row int64, message []byte) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if k >= len(rows) || rows[k] != row {
			return fmt.Errorf("segment %s gave record %d unasked", p.ID(), row)
		}
		emit(k, message)
		k++
		return nil
	})
	if err != nil {
		return err
	}
	if k != len(rows) {
		return fmt.Errorf("segment %s gave %d of %d records", p.ID(), k, len(rows))
	}
	return nil
}

// load reads a run that begins with the first of the rows and keeps it.
func (m *messages) load(ctx context.Context, p Part, number int64, rows []int64) (*run, error) {
	r := &run{number: number, from: rows[0], ahead: readAheadFirst}
	size := 0 // of one record, as far as is known
	m.mu.Lock()
	for _, before := range m.runs { // a run that goes on where another ended
		if before.number == number {
			size = len(before.data)/len(before.ends) + 1
		}
		if end := before.from + int64(len(before.ends)); before.number == number && rows[0] >= end && rows[0] < end+readAheadFirst {
			r.ahead = min(2*before.ahead, readAheadMost)
		}
	}
	m.mu.Unlock()
	last := rows[len(rows)-1]
	want := min(max(r.ahead, last-r.from+1), p.Rows()-r.from)
	list := make([]int64, want)
	for i := range list {
		list[i] = r.from + int64(i)
	}
	r.ends = make([]int, 0, want)
	r.data = make([]byte, 0, min(size*int(want), readAheadBytes))
	err := p.Messages(list, func(row int64, message []byte) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if row != r.from+int64(len(r.ends)) {
			return fmt.Errorf("segment %s gave record %d out of order", p.ID(), row)
		}
		if row > last && len(r.data)+len(message) > readAheadBytes {
			return errEnough
		}
		r.data = append(r.data, message...)
		r.ends = append(r.ends, len(r.data))
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	if r.from+int64(len(r.ends)) <= last {
		return nil, fmt.Errorf("segment %s gave %d of %d records", p.ID(), len(r.ends), want)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.runs) >= maxRuns {
		m.runs = append(m.runs[:0], m.runs[1:]...)
	}
	m.runs = append(m.runs, r)
	return r, nil
}
