package query

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Limits of putting records together for the conditions of one query.
const (
	// spanRows is as many records as the store puts into a row group: DuckDB
	// gives each of its threads one row group at a time, and a part decodes a
	// row group whole, so a stream that ends with it does nothing in vain.
	spanRows    = 128 << 10
	blockRows   = 2048    // rows that a stream hands over at once, or
	blockBytes  = 1 << 20 // bytes, if that is less
	fewRows     = 48      // up to so many rows a part finds one by one
	fewInSpan   = 128     // and up to so many of one span, before it is streamed
	streamGrace = 500 * time.Millisecond
)

// maxStreams is how many streams of one query are kept: one for each thread,
// and one that a thread may have left before its end.
func maxStreams() int { return runtime.GOMAXPROCS(0) + 1 }

// messages puts records together for the conditions of a query. DuckDB asks for
// up to 2,048 rows at a time, on several threads, ascending on each. A part
// decodes whole row groups, so it is not asked again and again but streams a
// span of rows, which waits for DuckDB; what DuckDB does not ask for is passed
// over. Only where few rows are wanted are they asked for one by one.
type messages struct {
	part   func(number, row int64) (p Part, first int64, err error)
	ctx    context.Context // of the query
	cancel context.CancelFunc
	wg     sync.WaitGroup // streams

	mu      sync.Mutex
	streams []*stream // the most lately used last
	asked   map[span]int
}

// span names spanRows rows of a part, whose first record has the row first under
// the number.
type span struct{ number, first, index int64 }

func newMessages(ctx context.Context, part func(number, row int64) (Part, int64, error)) *messages {
	m := &messages{part: part, asked: map[span]int{}}
	m.ctx, m.cancel = context.WithCancel(ctx)
	return m
}

// close ends the streams and calls then when the parts are no longer used,
// which is before it returns if they stop soon.
func (m *messages) close(then func()) {
	m.cancel()
	done := make(chan struct{})
	go func() {
		m.wg.Wait()
		then()
		close(done)
	}()
	timer := time.NewTimer(streamGrace)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// read is the duck.MessageFunc.
func (m *messages) read(ctx context.Context, number int64, rows []int64, emit func(i int, message []byte)) error {
	var local []int64 // rows as the part counts them
	for from := 0; from < len(rows); {
		p, first, err := m.part(number, rows[from])
		if err != nil {
			return err
		}
		sp := span{number, first, (rows[from] - first) / spanRows}
		local = local[:0]
		to := from
		for ; to < len(rows) && rows[to]-first < p.Rows() && (rows[to]-first)/spanRows == sp.index; to++ {
			local = append(local, rows[to]-first)
		}
		if err := m.readSpan(ctx, p, sp, local, func(k int, b []byte) { emit(from+k, b) }); err != nil {
			return err
		}
		from = to
	}
	return nil
}

func (m *messages) readSpan(ctx context.Context, p Part, sp span, rows []int64, emit func(k int, b []byte)) error {
	s, direct := m.take(p, sp, rows)
	if direct {
		return readRows(ctx, p, rows, func(k int, b []byte) error {
			emit(k, b)
			return nil
		})
	}
	defer m.giveBack(s)
	for k, row := range rows {
		b, err := s.text(ctx, row)
		if err != nil {
			return err
		}
		emit(k, b)
	}
	return nil
}

// take finds a stream that has the rows still before it, or starts one.
func (m *messages) take(p Part, sp span, rows []int64) (s *stream, direct bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, s := range m.streams {
		if !s.busy && s.span == sp && s.cur.from <= rows[0] {
			m.streams = append(append(m.streams[:i], m.streams[i+1:]...), s)
			s.busy = true
			return s, false
		}
	}
	m.asked[sp] += len(rows)
	if len(rows) <= fewRows && m.asked[sp] <= fewInSpan {
		return nil, true
	}
	for i, old := range m.streams {
		if len(m.streams) < maxStreams() {
			break
		}
		if !old.busy {
			old.cancel()
			m.streams = append(m.streams[:i], m.streams[i+1:]...)
			break
		}
	}
	s = &stream{span: sp, busy: true, blocks: make(chan block, 1), spent: make(chan block, 2), cur: block{from: rows[0]}}
	ctx, cancel := context.WithCancel(m.ctx)
	s.cancel = cancel
	m.streams = append(m.streams, s)
	m.wg.Add(1)
	go func() {
		defer m.wg.Done()
		defer cancel()
		s.run(ctx, p, rows[0], min((sp.index+1)*spanRows, p.Rows()))
	}()
	return s, false
}

func (m *messages) giveBack(s *stream) {
	m.mu.Lock()
	s.busy = false
	m.mu.Unlock()
}

// block is the text of consecutive rows.
type block struct {
	from int64
	ends []int // of each row in data
	data []byte
}

// stream gives the records of a span in order. One thread uses it at a time.
type stream struct {
	span   span
	busy   bool // guarded by messages.mu
	cancel context.CancelFunc
	blocks chan block
	spent  chan block // to be filled again
	err    error      // set before blocks is closed
	cur    block      // written by the user while busy
}

func (s *stream) run(ctx context.Context, p Part, from, to int64) {
	defer close(s.blocks)
	rows := make([]int64, 0, max(0, to-from))
	for r := from; r < to; r++ {
		rows = append(rows, r)
	}
	b := block{from: from}
	flush := func() error {
		next := block{from: b.from + int64(len(b.ends))}
		select {
		case s.blocks <- b:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		select {
		case old := <-s.spent:
			next.ends, next.data = old.ends[:0], old.data[:0]
		default:
			next.ends = make([]int, 0, blockRows)
		}
		b = next
		return nil
	}
	s.err = p.Messages(rows, func(row int64, message []byte) error {
		if row != b.from+int64(len(b.ends)) {
			return fmt.Errorf("segment %s gave record %d out of order", p.ID(), row)
		}
		b.data = append(b.data, message...)
		b.ends = append(b.ends, len(b.data))
		if len(b.ends) < blockRows && len(b.data) < blockBytes {
			return nil
		}
		return flush()
	})
	if s.err == nil && len(b.ends) > 0 {
		s.err = flush()
	}
	if s.err == nil && b.from != to {
		s.err = fmt.Errorf("segment %s gave records to %d, it has them to %d", p.ID(), b.from, to)
	}
}

// text gives a row at or after those given before. It is valid until the next
// call.
func (s *stream) text(ctx context.Context, row int64) ([]byte, error) {
	for row >= s.cur.from+int64(len(s.cur.ends)) {
		select {
		case b, ok := <-s.blocks:
			if !ok {
				if s.err != nil {
					return nil, s.err
				}
				return nil, errors.New("records ended before their time")
			}
			if cap(s.cur.data) <= 2*blockBytes { // one huge record shall not stay
				select {
				case s.spent <- s.cur:
				default:
				}
			}
			s.cur = b
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	i := row - s.cur.from
	if i < 0 {
		return nil, errors.New("records were asked for in descending order")
	}
	start := 0
	if i > 0 {
		start = s.cur.ends[i-1]
	}
	return s.cur.data[start:s.cur.ends[i]], nil
}

// readRows reads exactly the given rows.
func readRows(ctx context.Context, p Part, rows []int64, emit func(k int, b []byte) error) error {
	k := 0
	err := p.Messages(rows, func(row int64, message []byte) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if k >= len(rows) || rows[k] != row {
			return fmt.Errorf("segment %s gave record %d unasked", p.ID(), row)
		}
		k++
		return emit(k-1, message)
	})
	if err == nil && k != len(rows) {
		err = fmt.Errorf("segment %s gave %d of %d records", p.ID(), k, len(rows))
	}
	return err
}
