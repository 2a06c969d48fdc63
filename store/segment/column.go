package segment

import (
	"slices"
	"strconv"

	"github.com/zeebo/xxh3"
)

// column holds the values of one field as they come. Rows without a value are
// left out; while there are none, rows is not kept. Values are held in the
// cheapest form that fits all of them: integers or times whose text the number
// gives back, else numbers of a dictionary while they repeat, else one behind
// the other.
type column struct {
	path   string
	json   bool // some values are JSON text
	stands Forms
	form   form
	digits int     // asTimes: of the fraction of a second
	nums   []int64 // asInts: the values; asTimes: microseconds since the Unix epoch
	idx    []uint32
	dict   *dict    // asDict: idx are numbers in it
	data   []byte   // asText: the values, one behind the other
	ends   []uint32 // and where each ends
	rows   []int32  // the row of each, nil while it is 0, 1, 2, …
	n      int
	like   sizes // what is to be expected; zero when nothing is known
}

type form uint8

const (
	asInts form = iota
	asTimes
	asDict
	asText
)

// When a dictionary stops to pay: it has more entries than half of the values,
// or is as large as a dictionary page may be.
const (
	dictTrial   = 1 << 14
	maxDict     = 1 << 17
	maxDictData = 4 << 20
)

// sizes is how large a column became, for the next one of its kind to be made
// so at once: growing step by step copies everything several times over.
type sizes struct {
	form                        form
	nums, idx, data, ends, rows int
}

func (c *column) sizes() sizes {
	return sizes{c.form, len(c.nums), len(c.idx), len(c.data), len(c.ends), len(c.rows)}
}

// place says that the next value is of the given row.
func (c *column) place(row int) {
	if c.rows == nil && row != c.n {
		c.rows = make([]int32, c.n, max(2*c.n+8, c.like.rows))
		for i := range c.rows {
			c.rows[i] = int32(i)
		}
	}
	if c.rows != nil {
		c.rows = append(c.rows, int32(row))
	}
}

// has reports whether the row, the latest one, has a value.
func (c *column) has(row int) bool {
	switch {
	case c.n == 0:
		return false
	case c.rows == nil:
		return c.n > row
	}
	return int(c.rows[c.n-1]) == row
}

func (c *column) add(row int, v []byte) {
	c.place(row)
	switch c.form {
	case asInts:
		if x, ok := canonicalInt(v); ok {
			c.nums = append(c.nums, x)
			c.n++
			return
		}
		if c.n == 0 {
			if us, digits, ok := parseStamp(v); ok {
				c.form, c.digits = asTimes, digits
				c.nums = append(c.nums, us)
				c.n++
				return
			}
		}
		c.toText()
	case asTimes:
		if us, digits, ok := parseStamp(v); ok && digits == c.digits {
			c.nums = append(c.nums, us)
			c.n++
			return
		}
		c.toText()
	}
	c.put(v)
}

// put adds a value to a column that is not of numbers.
func (c *column) put(v []byte) {
	c.n++
	if c.form == asDict {
		// Neighbours are often equal; that is cheaper to see than to look up.
		if n := len(c.idx); n > 0 && string(c.dict.value(c.idx[n-1])) == string(v) {
			c.idx = append(c.idx, c.idx[n-1])
			return
		}
		before := len(c.dict.ends)
		c.idx = append(c.idx, c.dict.put(v))
		if n := len(c.dict.ends); n > before && n > dictTrial && (n > c.n/2 || n > maxDict || len(c.dict.data) > maxDictData) {
			c.spill()
		}
		return
	}
	c.data = append(c.data, v...)
	c.ends = append(c.ends, uint32(len(c.data)))
}

// toText turns a column of numbers into one of text.
func (c *column) toText() {
	if c.form != asInts && c.form != asTimes {
		return
	}
	nums, was := c.nums, c.form
	c.form, c.nums, c.dict, c.n = asDict, nil, newDict(), 0
	c.idx = make([]uint32, 0, max(cap(nums), c.like.idx))
	var buf [room]byte
	for _, x := range nums {
		if was == asInts {
			c.put(appendInt(buf[:0], x))
		} else {
			c.put(appendStamp(buf[:0], x, c.digits))
		}
	}
}

// spill gives the dictionary up.
func (c *column) spill() {
	c.ends = make([]uint32, 0, max(2*len(c.idx), c.like.ends))
	c.data = make([]byte, 0, c.like.data)
	for _, i := range c.idx {
		c.data = append(c.data, c.dict.value(i)...)
		c.ends = append(c.ends, uint32(len(c.data)))
	}
	c.form, c.idx, c.dict = asText, nil, nil
}

// at returns value i, not that of row i. buf is room for a number's text.
func (c *column) at(i int, buf []byte) []byte {
	switch c.form {
	case asInts:
		return appendInt(buf[:0], c.nums[i])
	case asTimes:
		return appendStamp(buf[:0], c.nums[i], c.digits)
	case asDict:
		return c.dict.value(c.idx[i])
	}
	var from uint32
	if i > 0 {
		from = c.ends[i-1]
	}
	return c.data[from:c.ends[i]:c.ends[i]]
}

// value returns the value of a row.
func (c *column) value(row int, buf []byte) ([]byte, bool) {
	if c.rows == nil {
		if row >= c.n {
			return nil, false
		}
		return c.at(row, buf), true
	}
	i, ok := slices.BinarySearch(c.rows, int32(row))
	if !ok {
		return nil, false
	}
	return c.at(i, buf), true
}

// memory returns about how many bytes the column takes.
func (c *column) memory() int64 {
	m := int64(8*len(c.nums) + 4*len(c.idx) + len(c.data) + 4*len(c.ends) + 4*len(c.rows))
	if c.dict != nil {
		m += int64(len(c.dict.data) + 4*len(c.dict.ends) + 8*len(c.dict.table))
	}
	return m
}

// repeats tells from a sample whether the integers repeat, so that a
// dictionary will pay for them.
func (c *column) repeats() bool {
	const sample = 4096
	step := max(1, len(c.nums)/sample)
	seen := make(map[int64]struct{}, sample)
	n := 0
	for i := 0; i < len(c.nums); i += step {
		seen[c.nums[i]] = struct{}{}
		n++
	}
	return len(seen)*4 <= n*3 || n < 8
}

// dict numbers distinct values in order of their first coming.
type dict struct {
	data  []byte
	ends  []uint32
	table []dictSlot // open addressing; a power of two, at most half full
}

type dictSlot struct {
	hash uint32
	num  uint32 // number + 1; 0 is a free slot
}

func newDict() *dict { return &dict{table: make([]dictSlot, 64)} }

func (d *dict) value(i uint32) []byte {
	var from uint32
	if i > 0 {
		from = d.ends[i-1]
	}
	return d.data[from:d.ends[i]:d.ends[i]]
}

func (d *dict) put(v []byte) uint32 {
	h := uint32(xxh3.Hash(v))
	mask := uint32(len(d.table) - 1)
	i := h & mask
	for ; d.table[i].num != 0; i = (i + 1) & mask {
		if d.table[i].hash == h && string(d.value(d.table[i].num-1)) == string(v) {
			return d.table[i].num - 1
		}
	}
	d.data = append(d.data, v...)
	d.ends = append(d.ends, uint32(len(d.data)))
	num := uint32(len(d.ends))
	d.table[i] = dictSlot{h, num}
	if 2*len(d.ends) > len(d.table) {
		old := d.table
		d.table = make([]dictSlot, 2*len(old))
		mask = uint32(len(d.table) - 1)
		for _, s := range old {
			if s.num != 0 {
				j := s.hash & mask
				for d.table[j].num != 0 {
					j = (j + 1) & mask
				}
				d.table[j] = s
			}
		}
	}
	return num - 1
}

// room is how many bytes the text of a number takes at most.
const room = 32

func appendInt(dst []byte, x int64) []byte { return strconv.AppendInt(dst, x, 10) }

// canonicalInt parses v when it is a 64-bit integer as strconv writes one, so
// that the number alone gives the bytes back.
func canonicalInt(v []byte) (int64, bool) {
	if len(v) == 0 || len(v) > 20 {
		return 0, false
	}
	i, neg := 0, false
	if v[0] == '-' {
		i, neg = 1, true
		if len(v) == 1 {
			return 0, false
		}
	}
	if v[i] == '0' && (neg || len(v) > 1) {
		return 0, false
	}
	var x uint64
	for ; i < len(v); i++ {
		d := v[i] - '0'
		if d > 9 || x > (1<<63)/10 {
			return 0, false
		}
		x = x*10 + uint64(d)
	}
	if neg {
		return -int64(x), x <= 1<<63
	}
	return int64(x), x < 1<<63
}
