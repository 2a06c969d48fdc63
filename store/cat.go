package store

import (
	"container/heap"
	"errors"
	"iter"

	"trailward"
)

// Cat calls fn with every record of a group, of one stream if stream is not
// empty, in order of event time; those of one time in order of arrival. The
// record is valid during fn. fn ends it early with [ErrStop].
func (s *Store) Cat(group, stream string, fn func(*trailward.Record) error) error {
	snap, err := s.Snapshot(Selection{Groups: []string{group}})
	if err != nil {
		return err
	}
	defer snap.Close()
	parts := snap.Parts()
	var open cursors
	defer func() {
		for _, c := range open {
			c.stop()
		}
	}()
	for len(parts) > 0 || len(open) > 0 {
		// Parts come by their first time, so only those that begin before the
		// next record need to be open.
		for len(parts) > 0 && (len(open) == 0 || parts[0].FirstTime() <= open[0].r.Time) {
			c := newCursor(parts[0])
			parts = parts[1:]
			ok, err := c.advance()
			if err != nil {
				c.stop()
				return err
			}
			if ok {
				heap.Push(&open, c)
			}
		}
		if len(open) == 0 {
			continue
		}
		c := open[0]
		if stream == "" || c.r.Stream == stream {
			if err := fn(c.r); err != nil {
				if errors.Is(err, ErrStop) {
					return nil
				}
				return err
			}
		}
		ok, err := c.advance()
		if err != nil {
			return err
		}
		if ok {
			heap.Fix(&open, 0)
		} else {
			c.stop()
			heap.Pop(&open)
		}
	}
	return nil
}

// cursor reads a part record by record.
type cursor struct {
	next func() (*trailward.Record, error, bool)
	stop func()
	r    *trailward.Record
}

func newCursor(p Part) *cursor {
	next, stop := iter.Pull2(func(yield func(*trailward.Record, error) bool) {
		err := p.Records(nil, func(_ int64, r *trailward.Record) error {
			if !yield(r, nil) {
				return ErrStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrStop) {
			yield(nil, err)
		}
	})
	return &cursor{next: next, stop: stop}
}

func (c *cursor) advance() (bool, error) {
	r, err, ok := c.next()
	if err != nil || !ok {
		return false, err
	}
	c.r = r
	return true, nil
}

// cursors is a heap by event time, then arrival.
type cursors []*cursor

func (c cursors) Len() int { return len(c) }
func (c cursors) Less(i, j int) bool {
	if c[i].r.Time != c[j].r.Time {
		return c[i].r.Time < c[j].r.Time
	}
	return c[i].r.Arrival < c[j].r.Arrival
}
func (c cursors) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *cursors) Push(x any)   { *c = append(*c, x.(*cursor)) }
func (c *cursors) Pop() any {
	old := *c
	x := old[len(old)-1]
	*c = old[:len(old)-1]
	return x
}
