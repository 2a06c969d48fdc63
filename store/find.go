package store

import (
	"container/list"
	"slices"
	"sync"

	"trailward"
	"trailward/store/segment"
)

// columnCache keeps decoded columns, for questions that single out few records:
// see [segment.Reader.Find]. It is bounded by bytes; the column that was used
// least recently goes first.
type columnCache struct {
	limit int64

	mu    sync.Mutex
	used  int64
	order *list.List // of *cachedColumn, least recently used first
	byKey map[columnKey]*list.Element
	picks map[columnKey]int // how often values were picked of columns that are not decoded
}

type columnKey struct {
	part, path string
	block      int // wholeColumn, or the number of a block
}

const wholeColumn = -1

type cachedColumn struct {
	key  columnKey
	once sync.Once
	c    *segment.Column
	err  error
	size int64
}

func newColumnCache(limit int64) *columnCache {
	return &columnCache{limit: limit, order: list.New(), byKey: map[columnKey]*list.Element{}, picks: map[columnKey]int{}}
}

// get returns a column, decoded by load on first use.
func (c *columnCache) get(key columnKey, load func() (*segment.Column, error)) (*segment.Column, error) {
	c.mu.Lock()
	el, ok := c.byKey[key]
	if ok {
		c.order.MoveToBack(el)
	} else {
		el = c.order.PushBack(&cachedColumn{key: key})
		c.byKey[key] = el
	}
	c.mu.Unlock()
	cc := el.Value.(*cachedColumn)
	cc.once.Do(func() {
		cc.c, cc.err = load()
		size := int64(64)
		if cc.c != nil {
			size = cc.c.Memory()
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.byKey[key] != el {
			return // gone meanwhile; whoever holds it may still use it
		}
		if cc.err != nil { // to be tried again
			c.drop(el)
			return
		}
		cc.size = size
		c.used += size
		for c.used > c.limit && c.order.Len() > 1 {
			c.drop(c.order.Front())
		}
	})
	return cc.c, cc.err
}

func (c *columnCache) drop(el *list.Element) {
	cc := c.order.Remove(el).(*cachedColumn)
	delete(c.byKey, cc.key)
	c.used -= cc.size
}

// has reports whether a column is decoded already.
func (c *columnCache) has(key columnKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.byKey[key]
	return ok && el.Value.(*cachedColumn).size > 0
}

// A column of which single values are picked again and again is decoded whole at
// the manyPicks-th time: from then on a value costs nothing. Picks of no more
// than maxPicked columns are counted.
const (
	manyPicks = 8
	maxPicked = 1 << 14
)

// picked notes that values of a column are picked, and reports whether it is
// worth decoding.
func (c *columnCache) picked(key columnKey) (often bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.picks) >= maxPicked {
		clear(c.picks)
	}
	if c.picks[key]++; c.picks[key] < manyPicks {
		return false
	}
	delete(c.picks, key)
	return true
}

// manyMessages is from how many records on they are put together a row group at
// a time.
const manyMessages = 4096

// fewRows is up to how many rows are read one by one out of a segment rather
// than by decoding whole columns.
const fewRows = 8

// Finder is a part that can single out records by itself.
type Finder interface {
	// Find is [segment.Reader.Find].
	Find(conds []segment.Cond, limit int) (found segment.Found, ok bool, err error)
	// Values returns what gives the text of a column's value in the i-th of the
	// given rows, which ascend; one for each path.
	Values(paths []string, rows []int64) ([]ValueFunc, error)
	// Messages calls fn with the bytes of the records in the given rows, which
	// ascend. They are valid during fn.
	Messages(rows []int64, fn func(row int64, raw []byte) error) error
}

// Searcher is a part that can tell in which of its records a text is.
type Searcher interface {
	// Search is [segment.Reader.Search]. The set is not to be changed.
	Search(text string) (segment.Rows, error)
}

// ValueFunc gives the text of a value in the i-th of some rows; false means
// that there is none. buf is room for the text of a number.
type ValueFunc func(i int, buf []byte) ([]byte, bool)

func (u *use) Values(paths []string, rows []int64) ([]ValueFunc, error) {
	out := make([]ValueFunc, len(paths))
	var pick []string // columns that are not decoded
	for _, p := range paths {
		if len(rows) <= fewRows && !u.Decoded(p) && !u.s.columns.picked(columnKey{u.info.ID, p, wholeColumn}) {
			pick = append(pick, p)
		}
	}
	var picked []segment.Picked
	if len(pick) > 0 {
		if err := u.with(func(r *reading) (err error) {
			picked, err = r.Pick(pick, rows)
			return err
		}); err != nil {
			return nil, err
		}
	}
	for i, p := range paths {
		if k := slices.Index(pick, p); k >= 0 {
			out[i] = picked[k].Value
			continue
		}
		c, err := u.Column(p)
		if err != nil {
			return nil, err
		}
		out[i] = func(i int, buf []byte) ([]byte, bool) {
			if c == nil {
				return nil, false
			}
			return c.Value(rows[i], buf)
		}
	}
	return out, nil
}

func (u *use) Messages(rows []int64, fn func(row int64, raw []byte) error) error {
	// Many are cheaper to put together a row group at a time, and few out of
	// columns that are at hand.
	if len(rows) == 0 || len(rows) > manyMessages || !u.Decoded(segment.ShapePath) || !u.Decoded("@timestamp") {
		return u.Records(rows, func(row int64, r *trailward.Record) error { return fn(row, r.Raw) })
	}
	return u.with(func(r *reading) (err error) {
		var raw []byte
		for _, row := range rows {
			if raw, err = r.AppendRecord(raw[:0], row, u); err != nil {
				return err
			}
			if err := fn(row, raw); err != nil {
				return err
			}
		}
		return nil
	})
}

// Column implements [segment.Columns].
func (u *use) Column(path string) (*segment.Column, error) {
	return u.decoded(path, wholeColumn, func(r *reading) (*segment.Column, error) { return r.Column(path) })
}

// Block implements [segment.Columns].
func (u *use) Block(path string, block int) (*segment.Column, error) {
	return u.decoded(path, block, func(r *reading) (*segment.Column, error) { return r.Block(path, block) })
}

// Decoded implements [segment.Columns].
func (u *use) Decoded(path string) bool {
	return u.s.columns.has(columnKey{u.info.ID, path, wholeColumn})
}

// Search implements [segment.Columns] and [Searcher]. What was found is kept as
// long as the snapshot.
func (u *use) Search(text string) (rows segment.Rows, err error) {
	u.mu.Lock()
	found := u.searched[text]
	if found == nil {
		if u.searched == nil {
			u.searched = map[string]*searched{}
		}
		found = &searched{}
		u.searched[text] = found
	}
	u.mu.Unlock()
	found.once.Do(func() {
		found.err = u.with(func(r *reading) error {
			var rows segment.Rows
			if rows, found.err = r.Search(text, u); slices.ContainsFunc(rows, func(w uint64) bool { return w != 0 }) {
				found.rows = rows
			} else {
				found.rows = segment.Rows{} // nothing takes no room
			}
			return found.err
		})
	})
	return found.rows, found.err
}

type searched struct {
	once sync.Once
	rows segment.Rows
	err  error
}

func (u *use) decoded(path string, block int, decode func(*reading) (*segment.Column, error)) (*segment.Column, error) {
	return u.s.columns.get(columnKey{u.info.ID, path, block}, func() (c *segment.Column, err error) {
		err = u.with(func(r *reading) error {
			c, err = decode(r)
			return err
		})
		return c, err
	})
}

func (u *use) Find(conds []segment.Cond, limit int) (found segment.Found, ok bool, err error) {
	err = u.with(func(r *reading) error {
		found, ok, err = r.Find(conds, limit, u)
		return err
	})
	return found, ok, err
}
