package query

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"trailward/store/segment"
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
	part func(number, row int64) (p Part, first int64, err error)
	// only, if it gives a set, says which rows of a part can be asked for; the
	// others are not put together in vain. It is set before the first question.
	only   func(p Part) (segment.Rows, error)
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
		b, ok, err := s.text(ctx, row)
		if err != nil {
			return err
		}
		if ok {
			emit(k, b)
			continue
		}
		// Nobody expected this row to be asked for.
		if err := readRows(ctx, p, rows[k:k+1], func(_ int, b []byte) error { emit(k, b); return nil }); err != nil {
			return err
		}
	}
	return nil
}

// take finds a stream that has the rows still before it, or starts one.
func (m *messages) take(p Part, sp span, rows []int64) (s *stream, direct bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, s := range m.streams {
		if !s.busy && s.span == sp && s.from <= rows[0] {
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
	s = &stream{span: sp, busy: true, blocks: make(chan block, 1), spent: make(chan block, 2), from: rows[0]}
	ctx, cancel := context.WithCancel(m.ctx)
	s.cancel = cancel
	m.streams = append(m.streams, s)
	m.wg.Add(1)
	go func() {
		defer m.wg.Done()
		defer cancel()
		s.run(ctx, p, m.only, min((sp.index+1)*spanRows, p.Rows()))
	}()
	return s, false
}

func (m *messages) giveBack(s *stream) {
	m.mu.Lock()
	s.busy = false
	m.mu.Unlock()
}

// block is the text of some rows.
type block struct {
	rows []int64 // they ascend
	ends []int   // of each row in data
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
	// from is the first row that can still be asked for, cur has it if it is
	// there at all; both are written by the user while busy.
	from int64
	cur  block
}

func (s *stream) run(ctx context.Context, p Part, only func(Part) (segment.Rows, error), to int64) {
	defer close(s.blocks)
	var set segment.Rows
	if only != nil {
		if set, s.err = only(p); s.err != nil {
			return
		}
	}
	from := s.from
	rows := make([]int64, 0, max(0, to-from))
	for r := from; r < to; r++ {
		if set == nil || set.Has(r) {
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 {
		return // none, where no rows would mean all of them
	}
	var b block
	flush := func() error {
		select {
		case s.blocks <- b:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		select {
		case old := <-s.spent:
			b = block{rows: old.rows[:0], ends: old.ends[:0], data: old.data[:0]}
		default:
			b = block{ends: make([]int, 0, blockRows)}
		}
		return nil
	}
	given := 0
	s.err = p.Messages(rows, func(row int64, message []byte) error {
		if given == len(rows) || row != rows[given] {
			return fmt.Errorf("segment %s gave record %d out of order", p.ID(), row)
		}
		given++
		b.rows = append(b.rows, row)
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
	if s.err == nil && given != len(rows) {
		s.err = fmt.Errorf("segment %s gave %d of %d records", p.ID(), given, len(rows))
	}
}

// text gives a row at or after those given before; ok is false when the stream
// does not have it. It is valid until the next call.
func (s *stream) text(ctx context.Context, row int64) (text []byte, ok bool, err error) {
	for len(s.cur.rows) == 0 || row > s.cur.rows[len(s.cur.rows)-1] {
		select {
		case b, more := <-s.blocks:
			if !more {
				return nil, false, s.err
			}
			if cap(s.cur.data) <= 2*blockBytes { // one huge record shall not stay
				select {
				case s.spent <- s.cur:
				default:
				}
			}
			s.cur = b
			s.from = b.rows[0]
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
	}
	i, ok := slices.BinarySearch(s.cur.rows, row)
	if !ok {
		return nil, false, nil
	}
	start := 0
	if i > 0 {
		start = s.cur.ends[i-1]
	}
	return s.cur.data[start:s.cur.ends[i]], true, nil
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
