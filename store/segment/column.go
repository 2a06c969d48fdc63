package segment

import (
	"slices"
	"strconv"
	"strings"

	"trailward/internal/digits"
)

// column holds the values of one field as they come. Rows without a value are
// left out; while there are none, rows is not kept. Values are held in the
// cheapest form that fits all of them: integers or times whose text the number
// gives back, else numbers of a dictionary while they repeat, else addresses and
// UUIDs as what they stand for, else one behind the other. (Addresses that repeat stay texts: an
// engine that groups by them would have to write each one out.)
type column struct {
	path   string
	json   bool // some values are JSON text
	stands Forms
	form   form
	digits int     // asTimes: of the fraction of a second
	nums   []int64 // asInts: the values; asTimes: microseconds since the Unix epoch; asAddrs: IPv4 addresses
	idx    []uint32
	dict   *dict    // asDict: idx are numbers in it
	data   []byte   // asText: the values, one behind the other; asUUIDs: 16 bytes of each
	ends   []uint32 // asText: where each ends
	rows   []int32  // the row of each, nil while it is 0, 1, 2, …
	n      int
	like   sizes // what is to be expected; zero when nothing is known
}

type form uint8

const (
	asInts form = iota
	asTimes
	asAddrs
	asUUIDs
	asDict
	asText
)

// numeric reports whether the values are held as numbers.
func (f form) numeric() bool { return f <= asAddrs }

// appendNumber appends the text of a number that a column of the form holds.
func (f form) appendNumber(dst []byte, x int64, digits int) []byte {
	switch f {
	case asTimes:
		return appendStamp(dst, x, digits)
	case asAddrs:
		return appendAddr(dst, x)
	}
	return appendInt(dst, x)
}

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
			// What the one before it became, this one will, too.
			switch c.like.form {
			case asAddrs:
				if x, ok := parseAddr(v); ok {
					c.form = asAddrs
					c.nums = append(c.nums, x)
					c.n++
					return
				}
			case asUUIDs:
				if data, ok := appendUUID(make([]byte, 0, c.like.data), v); ok {
					c.form, c.data, c.nums = asUUIDs, data, nil
					c.n++
					return
				}
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
	case asAddrs:
		if x, ok := parseAddr(v); ok {
			c.nums = append(c.nums, x)
			c.n++
			return
		}
		c.toText()
	case asUUIDs:
		var ok bool
		if c.data, ok = appendUUID(c.data, v); ok {
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

// repeat adds the value that was added last once more.
func (c *column) repeat(row int) {
	if c.form != asDict {
		c.add(row, c.at(c.n-1, nil))
		return
	}
	c.place(row)
	c.idx = append(c.idx, c.idx[c.n-1])
	c.n++
}

// toText turns a column of numbers or UUIDs into one of text.
func (c *column) toText() {
	var buf [room]byte
	if c.form == asUUIDs {
		uuids := c.data
		c.form, c.data, c.n = asText, make([]byte, 0, len(uuids)/16*40), 0
		for ; len(uuids) > 0; uuids = uuids[16:] {
			c.put(appendUUIDText(buf[:0], uuids[:16]))
		}
		return
	}
	if !c.form.numeric() {
		return
	}
	nums, was := c.nums, c.form
	c.nums, c.n = nil, 0
	if was == asAddrs { // which hardly repeat
		c.form = asText
	} else {
		c.form, c.dict = asDict, newDict()
		c.idx = make([]uint32, 0, max(cap(nums), c.like.idx))
	}
	for _, x := range nums {
		c.put(was.appendNumber(buf[:0], x, c.digits))
	}
}

// spill gives the dictionary up.
func (c *column) spill() {
	if !c.spillAddrs() && !c.spillUUIDs() {
		c.spillTexts()
	}
}

func (c *column) spillTexts() {
	c.ends = make([]uint32, 0, max(2*len(c.idx), c.like.ends))
	c.data = make([]byte, 0, c.like.data)
	for _, i := range c.idx {
		c.data = append(c.data, c.dict.value(i)...)
		c.ends = append(c.ends, uint32(len(c.data)))
	}
	c.form, c.idx, c.dict = asText, nil, nil
}

// spillAddrs is spill for a field of addresses, and reports whether it is one.
func (c *column) spillAddrs() bool {
	if c.json || strings.HasPrefix(c.path, "@") {
		return false // queries read those as they stand
	}
	addrs := make([]int64, len(c.dict.ends))
	for i := range addrs {
		x, ok := parseAddr(c.dict.value(uint32(i)))
		if !ok {
			return false
		}
		addrs[i] = x
	}
	c.nums = make([]int64, 0, max(2*len(c.idx), c.like.nums))
	for _, i := range c.idx {
		c.nums = append(c.nums, addrs[i])
	}
	c.form, c.idx, c.dict = asAddrs, nil, nil
	return true
}

// spillUUIDs is spill for a field of UUIDs, and reports whether it is one.
func (c *column) spillUUIDs() bool {
	if c.json || strings.HasPrefix(c.path, "@") {
		return false
	}
	uuids := make([]byte, 0, 16*len(c.dict.ends))
	for i := range c.dict.ends {
		var ok bool
		if uuids, ok = appendUUID(uuids, c.dict.value(uint32(i))); !ok {
			return false
		}
	}
	c.data = make([]byte, 0, max(2*16*len(c.idx), c.like.data))
	for _, i := range c.idx {
		c.data = append(c.data, uuids[16*i:16*i+16]...)
	}
	c.form, c.idx, c.dict = asUUIDs, nil, nil
	return true
}

// at returns value i, not that of row i. buf is room for a number's text.
func (c *column) at(i int, buf []byte) []byte {
	switch {
	case c.form.numeric():
		return c.form.appendNumber(buf[:0], c.nums[i], c.digits)
	case c.form == asUUIDs:
		return appendUUIDText(buf[:0], c.data[16*i:16*i+16])
	case c.form == asDict:
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
		m += int64(len(c.dict.data) + 4*len(c.dict.ends) + 24*len(c.dict.table))
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

// room is how many bytes the text of a number or a UUID takes at most.
const room = 40

func appendInt(dst []byte, x int64) []byte { return strconv.AppendInt(dst, x, 10) }

// parseAddr parses an IPv4 address in dotted decimal without leading zeros, so
// that appendAddr gives the bytes back.
func parseAddr(v []byte) (x int64, ok bool) {
	if len(v) < 7 || len(v) > 15 {
		return 0, false
	}
	part, digits, dots := int64(0), 0, 0
	for _, c := range v {
		if d := c - '0'; d <= 9 {
			if digits > 0 && part == 0 {
				return 0, false
			}
			part = 10*part + int64(d)
			digits++
			continue
		}
		if c != '.' || digits == 0 || part > 255 {
			return 0, false
		}
		x, part, digits, dots = x<<8|part, 0, 0, dots+1
	}
	return x<<8 | part, dots == 3 && digits > 0 && part <= 255
}

func appendAddr(dst []byte, x int64) []byte {
	for shift := 24; shift >= 0; shift -= 8 {
		dst = strconv.AppendUint(dst, uint64(x>>shift&255), 10)
		if shift > 0 {
			dst = append(dst, '.')
		}
	}
	return dst
}

// appendUUID appends the 16 bytes of a UUID that is written as RFC 9562 says, in
// lower case, so that appendUUIDText gives the text back; for any other text it
// appends nothing and returns false.
func appendUUID(dst, v []byte) ([]byte, bool) {
	if len(v) != 36 || v[8] != '-' || v[13] != '-' || v[18] != '-' || v[23] != '-' {
		return dst, false
	}
	var out [16]byte
	bad := byte(0)
	for i, at := range uuidDigits {
		hi, lo := hexValue[v[at]], hexValue[v[at+1]]
		bad |= hi | lo
		out[i] = hi<<4 | lo
	}
	if bad > 15 {
		return dst, false
	}
	return append(dst, out[:]...), true
}

func appendUUIDText(dst, uuid []byte) []byte {
	const digits = "0123456789abcdef"
	var out [36]byte
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	for i, at := range uuidDigits {
		out[at], out[at+1] = digits[uuid[i]>>4], digits[uuid[i]&15]
	}
	return append(dst, out[:]...)
}

// uuidDigits says where the two digits of each byte of a UUID stand.
var uuidDigits = [16]uint8{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}

// hexValue is what a lower-case hexadecimal digit stands for, 255 for any other
// byte.
var hexValue = func() (t [256]byte) {
	for i := range t {
		t[i] = 255
	}
	for i, c := range []byte("0123456789abcdef") {
		t[c] = byte(i)
	}
	return t
}()

// canonicalInt parses v when it is a 64-bit integer as strconv writes one, so
// that the number alone gives the bytes back.
func canonicalInt(v []byte) (int64, bool) {
	if len(v) == 0 || len(v) > 20 || v[0] == '0' && len(v) > 1 {
		return 0, false
	}
	if len(v) <= digits.MaxLen && v[0] != '-' {
		x, ok := digits.Parse(v)
		return int64(x), ok && x < 1<<63
	}
	i, neg := 0, false
	if v[0] == '-' {
		i, neg = 1, true
		if len(v) == 1 || v[1] == '0' {
			return 0, false
		}
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
