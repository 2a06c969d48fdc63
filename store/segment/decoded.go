package segment

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Columns gives decoded columns; a cache stands behind it. They return nil for a
// column that the segment lacks.
type Columns interface {
	// Column returns the whole column.
	Column(path string) (*Column, error)
	// Block returns the column in the rows of one block: see [Reader.Block].
	Block(path string, block int) (*Column, error)
	// Decoded reports whether the whole column is at hand.
	Decoded(path string) bool
	// Search is [Reader.Search] with these columns.
	Search(text string) (Rows, error)
}

// Column is a decoded column of a whole segment, or of some of its rows. It is
// immutable.
type Column struct {
	column
	seen byteSet // which bytes occur in the values' texts
	last []byte  // asText: the last byte of each value, to be searched at once; 0 for an empty one
}

// Memory returns about how many bytes the column takes.
func (c *Column) Memory() int64 { return c.memory() + int64(len(c.last)) + 128 }

// Value returns the text of the value in a row. buf is room for a number.
func (c *Column) Value(row int64, buf []byte) ([]byte, bool) { return c.value(int(row), buf) }

// Column decodes a column, or returns nil when the segment lacks it.
func (s *Reader) Column(path string) (*Column, error) {
	f := s.field(path)
	if f == nil {
		return nil, nil
	}
	c := newColumn(f)
	for g := range s.Meta.Groups {
		ch, err := s.column(g, path, nil)
		if err != nil {
			return nil, err
		}
		c.append(ch, int(s.base[g]), int(s.Meta.Groups[g].Rows))
	}
	c.finish()
	return c, nil
}

// Block decodes a column in the rows of one block of 2,048, counted from 0.
func (s *Reader) Block(path string, block int) (*Column, error) {
	f := s.field(path)
	if f == nil {
		return nil, nil
	}
	from := int64(block) * blockRows
	g := block / blocksInGroup
	if block < 0 || g >= len(s.Meta.Groups) {
		return nil, fmt.Errorf("read segment: block %d does not exist", block)
	}
	n := min(blockRows, s.base[g]+s.Meta.Groups[g].Rows-from)
	pick := make([]int, n)
	for i := range pick {
		pick[i] = int(from-s.base[g]) + i
	}
	ch, err := s.column(g, path, pick)
	if err != nil {
		return nil, err
	}
	c := newColumn(f)
	if c.form == asDict { // of which few entries occur here
		c.form, c.dict = asText, nil
	}
	c.rows = make([]int32, 0, n)
	var buf [room]byte
	for i := range pick {
		k := ch.index(i)
		if k < 0 {
			continue
		}
		c.n++
		c.rows = append(c.rows, int32(from)+int32(i))
		switch {
		case c.form.numeric():
			c.nums = append(c.nums, ch.Nums[k])
		case c.form == asUUIDs:
			c.data = append(c.data, ch.Text(k)...)
		default:
			c.data = append(c.data, ch.value(i, buf[:])...)
			c.ends = append(c.ends, uint32(len(c.data)))
		}
	}
	c.finish()
	return c, nil
}

func newColumn(f *Field) *Column {
	c := &Column{column: column{path: f.Path, form: f.form(), digits: f.Digits}}
	if c.form == asDict {
		c.dict = newDict()
	}
	return c
}

// finish makes what is known of all values, when they are there.
func (c *Column) finish() {
	switch c.form {
	case asDict:
		c.seen.mark(c.dict.data)
	case asText:
		c.seen.mark(c.data)
		c.last = make([]byte, len(c.ends))
		from := uint32(0)
		for i, to := range c.ends {
			if to > from {
				c.last[i] = c.data[to-1]
			}
			from = to
		}
	default:
		c.seen = c.form.bytesOf()
	}
}

// append adds the values of a row group whose first row is base.
func (c *Column) append(ch *chunk, base, rows int) {
	before := c.n
	c.n += ch.Len()
	switch {
	case c.rows == nil && before == base && ch.At == nil: // every row so far has one
	default:
		if c.rows == nil {
			c.rows = make([]int32, before, before+ch.Len())
			for i := range c.rows {
				c.rows[i] = int32(i)
			}
		}
		for i := range rows {
			if ch.index(i) >= 0 {
				c.rows = append(c.rows, int32(base+i))
			}
		}
	}
	if ch.form.numeric() {
		c.nums = append(c.nums, ch.Nums...)
		return
	}
	if ch.form == asUUIDs {
		c.data = append(c.data, ch.Data...)
		return
	}
	if c.form == asDict && ch.Idx != nil {
		numbers := make([]uint32, len(ch.Ends))
		for i := range numbers {
			numbers[i] = c.dict.put(ch.Entry(i))
		}
		for _, x := range ch.Idx {
			c.idx = append(c.idx, numbers[x])
		}
		return
	}
	if c.form == asDict {
		c.spillTexts()
	}
	for i := range ch.Len() {
		c.data = append(c.data, ch.Text(i)...)
		c.ends = append(c.ends, uint32(len(c.data)))
	}
}

// row returns the row of the i-th value.
func (c *Column) row(i int) int {
	if c.rows != nil {
		return int(c.rows[i])
	}
	return i
}

// span returns which values lie in the rows from to before to.
func (c *Column) span(from, to int) (lo, hi int) {
	if c.rows == nil {
		return min(from, c.n), min(to, c.n)
	}
	lo, _ = slices.BinarySearch(c.rows, int32(from))
	hi, _ = slices.BinarySearch(c.rows, int32(to))
	return lo, hi
}

// start returns where the text of the i-th value begins in data.
func (c *Column) start(i int) uint32 {
	if i == 0 {
		return 0
	}
	return c.ends[i-1]
}

// each calls hit for every value, from the lo-th to before the hi-th, that test
// accepts. The values are valid during the calls.
func (c *Column) each(lo, hi int, test func(v []byte) bool, hit func(row int, v []byte)) {
	switch c.form {
	case asDict:
		good := make([]bool, len(c.dict.ends))
		any := false
		for i := range good {
			good[i] = test(c.dict.value(uint32(i)))
			any = any || good[i]
		}
		if !any {
			return
		}
		for i := lo; i < hi; i++ {
			if k := c.idx[i]; good[k] {
				hit(c.row(i), c.dict.value(k))
			}
		}
	case asText:
		from := uint32(0)
		if lo < hi {
			from = c.start(lo)
		}
		for i := lo; i < hi; i++ {
			to := c.ends[i]
			if test(c.data[from:to:to]) {
				hit(c.row(i), c.data[from:to:to])
			}
			from = to
		}
	default:
		var buf [room]byte
		for i := lo; i < hi; i++ {
			if v := c.at(i, buf[:]); test(v) {
				hit(c.row(i), v)
			}
		}
	}
}

// inside is each for the values that have sub in them.
func (c *Column) inside(lo, hi int, sub []byte, hit func(row int, v []byte)) {
	if lo >= hi || !c.seen.may(string(sub)) || c.form == asUUIDs && !inUUID(string(sub)) {
		return
	}
	if c.form != asText || len(sub) == 0 {
		c.each(lo, hi, func(v []byte) bool { return bytes.Contains(v, sub) }, hit)
		return
	}
	// All values at once; what is found across their borders is not meant.
	at, end := int(c.start(lo)), int(c.ends[hi-1])
	for i := lo; ; {
		k := bytes.Index(c.data[at:end], sub)
		if k < 0 {
			return
		}
		at += k
		i += sort.Search(hi-i, func(j int) bool { return int(c.ends[i+j]) > at })
		to := c.ends[i]
		if at+len(sub) > int(to) {
			at++
			continue
		}
		from := c.start(i)
		hit(c.row(i), c.data[from:to:to])
		at = int(to)
		if i++; i == hi {
			return
		}
	}
}

// endsWith is each for the values that end with sub, which is not empty.
func (c *Column) endsWith(lo, hi int, sub []byte, hit func(row int, v []byte)) {
	if lo >= hi || !c.seen.may(string(sub)) {
		return
	}
	if c.form != asText {
		c.each(lo, hi, func(v []byte) bool { return bytes.HasSuffix(v, sub) }, hit)
		return
	}
	n := uint32(len(sub))
	for i := lo; i < hi; i++ {
		k := bytes.IndexByte(c.last[i:hi], sub[n-1])
		if k < 0 {
			return
		}
		i += k
		from, to := c.start(i), c.ends[i]
		if to-from >= n && string(c.data[to-n:to]) == string(sub) {
			hit(c.row(i), c.data[from:to:to])
		}
	}
}

// equal calls hit for every value, from the lo-th to before the hi-th, that is
// one of those that t wants. Numbers, times, addresses and UUIDs are compared as
// what they are held as.
func (c *Column) equal(lo, hi int, t Test, hit func(row int)) {
	var want []string
	for _, v := range t.Values {
		if c.seen.may(v) {
			want = append(want, v)
		}
	}
	var nums []float64
	if t.Loose {
		for _, v := range t.Values {
			if x, err := strconv.ParseFloat(v, 64); err == nil {
				nums = append(nums, x)
			}
		}
	}
	if len(want) == 0 && len(nums) == 0 {
		return
	}
	switch c.form {
	case asInts, asTimes, asAddrs:
		var ints []int64
		for _, v := range want {
			if x, ok := c.parse(v); ok {
				ints = append(ints, x)
			}
		}
		for i := lo; i < hi; i++ {
			if x := c.nums[i]; slices.Contains(ints, x) || c.form == asInts && slices.Contains(nums, float64(x)) {
				hit(c.row(i))
			}
		}
		return
	case asUUIDs:
		for _, v := range want {
			id, ok := appendUUID(nil, []byte(v))
			if !ok {
				continue
			}
			for i := lo; i < hi; i++ {
				if string(c.data[16*i:16*i+16]) == string(id) {
					hit(c.row(i))
				}
			}
		}
		return
	}
	c.each(lo, hi, equalTest(want, nums), func(row int, _ []byte) { hit(row) })
}

// parse gives the number that a column of numbers holds a text as.
func (c *Column) parse(v string) (x int64, ok bool) {
	switch c.form {
	case asInts:
		return canonicalInt([]byte(v))
	case asAddrs:
		return parseAddr([]byte(v))
	}
	x, digits, ok := parseStamp([]byte(v))
	return x, ok && digits == c.digits
}

// equalTest accepts the texts of want, and those that are numbers equal to one
// of nums.
func equalTest(want []string, nums []float64) func(v []byte) bool {
	if len(nums) > 0 {
		return func(v []byte) bool {
			for _, w := range want {
				if string(v) == w {
					return true
				}
			}
			if len(v) == 0 || v[0] > '9' {
				return false
			}
			x, err := strconv.ParseFloat(strings.TrimSpace(string(v)), 64)
			return err == nil && slices.Contains(nums, x)
		}
	}
	if len(want) == 1 {
		w := want[0]
		return func(v []byte) bool { return string(v) == w }
	}
	in := make(map[string]bool, len(want))
	for _, w := range want {
		in[w] = true
	}
	return func(v []byte) bool { return in[string(v)] }
}
