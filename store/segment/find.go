package segment

import (
	"bytes"
	"fmt"
	"math/bits"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"trailward/shape"
)

// Op is what a [Test] asks of a value.
type Op uint8

// The tests. A column's value is its text.
const (
	Equal    Op = iota // is one of Values
	Contains           // has Values[0] in it
	Match              // has a match of Regexp
	Within             // is an IP address in Prefix
	Present            // is there
	Custom             // is one that Accept accepts
)

// Test is one test of a record.
type Test struct {
	// Columns are the paths of the columns that may hold the value; the test
	// holds when it holds for one of them. A column that the segment lacks
	// holds nothing.
	Columns []string
	// Message tests the record as a whole, in place of columns. Only Contains
	// and Match are known there.
	Message bool
	Op      Op
	Values  []string
	// Loose makes Equal hold also for numbers that are equal however they are
	// written (200, 2e2).
	Loose  bool
	Regexp *regexp.Regexp
	Prefix netip.Prefix
	Accept func(value []byte) bool
}

// Cond holds when one of its tests holds.
type Cond struct{ Any []Test }

// Columns gives decoded columns; a cache stands behind it. It returns nil for a
// column that the segment lacks.
type Columns func(path string) (*Column, error)

// Column is a decoded column of a whole segment. It is immutable.
type Column struct {
	column
	present [4]uint64 // which bytes occur in the values' texts
	last    []byte    // asText: the last byte of each value, to be searched at once; 0 for an empty one
}

// Memory returns about how many bytes the column takes.
func (c *Column) Memory() int64 { return c.memory() + int64(len(c.last)) + 64 }

// Value returns the text of the value in a row. buf is room for a number.
func (c *Column) Value(row int64, buf []byte) ([]byte, bool) { return c.value(int(row), buf) }

// Column decodes a column, or returns nil when the segment lacks it.
func (s *Reader) Column(path string) (*Column, error) {
	f := s.field(path)
	if f == nil {
		return nil, nil
	}
	c := &Column{column: column{path: path, form: f.form(), digits: f.Digits}}
	if c.form == asDict {
		c.dict = newDict()
	}
	for g := range s.Meta.Groups {
		ch, err := s.column(g, path, nil)
		if err != nil {
			return nil, err
		}
		c.append(ch, int(s.base[g]), int(s.Meta.Groups[g].Rows))
	}
	switch c.form {
	case asInts:
		c.mark([]byte("-0123456789"))
	case asTimes:
		c.mark([]byte("-0123456789T:.Z"))
	case asAddrs:
		c.mark([]byte("0123456789."))
	case asUUIDs:
		c.mark([]byte("0123456789abcdef-"))
	case asDict:
		c.mark(c.dict.data)
	case asText:
		c.mark(c.data)
		c.last = make([]byte, len(c.ends))
		from := uint32(0)
		for i, to := range c.ends {
			if to > from {
				c.last[i] = c.data[to-1]
			}
			from = to
		}
	}
	return c, nil
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

func (c *Column) mark(b []byte) {
	var seen [256]bool
	for _, x := range b {
		seen[x] = true
	}
	for i, s := range seen {
		if s {
			c.present[i>>6] |= 1 << (i & 63)
		}
	}
}

// may reports whether all bytes of s occur in the column.
func (c *Column) may(s string) bool {
	for i := 0; i < len(s); i++ {
		if c.present[s[i]>>6]>>(s[i]&63)&1 == 0 {
			return false
		}
	}
	return true
}

// each calls fn with every row that has a value that test accepts.
func (c *Column) each(test func(v []byte) bool, hit func(row int)) {
	row := func(i int) int {
		if c.rows != nil {
			return int(c.rows[i])
		}
		return i
	}
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
		for i, k := range c.idx {
			if good[k] {
				hit(row(i))
			}
		}
	case asText:
		var from uint32
		for i, to := range c.ends {
			if test(c.data[from:to]) {
				hit(row(i))
			}
			from = to
		}
	default:
		var buf [room]byte
		for i := range c.n {
			if test(c.at(i, buf[:])) {
				hit(row(i))
			}
		}
	}
}

// rowSet is a set of rows.
type rowSet []uint64

func (r rowSet) add(row int) { r[row>>6] |= 1 << (row & 63) }

func (r rowSet) count() (n int) {
	for _, w := range r {
		n += bits.OnesCount64(w)
	}
	return n
}

func (r rowSet) rows() []int64 {
	out := make([]int64, 0, r.count())
	for i, w := range r {
		for ; w != 0; w &= w - 1 {
			out = append(out, int64(i<<6+bits.TrailingZeros64(w)))
		}
	}
	return out
}

// Find returns the rows for which every condition holds, or false when there
// are more than limit of them, or when it would cost more than to look at all
// records. Rows may be among them for which a condition on the message that is
// a regular expression does not hold.
func (s *Reader) Find(conds []Cond, limit int, cols Columns) (rows []int64, ok bool, err error) {
	var all rowSet
	var late []Cond // on the message: they are tested on few rows only
	for _, c := range conds {
		onMessage := false
		for _, t := range c.Any {
			onMessage = onMessage || t.Message
		}
		if onMessage {
			late = append(late, c)
			continue
		}
		set := make(rowSet, (s.Meta.Rows+63)/64)
		for _, t := range c.Any {
			if err := s.test(t, cols, set); err != nil {
				return nil, false, err
			}
		}
		all = and(all, set)
		if all.count() == 0 {
			return nil, true, nil
		}
	}
	if all != nil && all.count() <= limit {
		late = nil // few enough for the engine to look at
	}
	for _, c := range late {
		set := make(rowSet, (s.Meta.Rows+63)/64)
		searchable := true
		for _, t := range c.Any {
			ok := true
			switch {
			case !t.Message:
				err = s.test(t, cols, set)
			case t.Op == Contains:
				err = s.search(t.Values[0], cols, set)
			default:
				ok = false
			}
			if err != nil {
				return nil, false, err
			}
			searchable = searchable && ok
		}
		if searchable {
			all = and(all, set)
		}
	}
	if all == nil || all.count() > limit {
		return nil, false, nil
	}
	return all.rows(), true, nil
}

func and(a, b rowSet) rowSet {
	if a == nil {
		return b
	}
	for i := range a {
		a[i] &= b[i]
	}
	return a
}

// test adds the rows that pass a test of columns.
func (s *Reader) test(t Test, cols Columns, set rowSet) error {
	for _, path := range t.Columns {
		if t.Op == Equal && !t.Loose {
			may, blocks, err := s.mayEqual(path, t.Values)
			if err != nil {
				return err
			}
			if !may {
				continue
			}
			if blocks != nil && len(blocks)*blockRows*2 <= int(s.Meta.Rows) {
				if err := s.equalIn(path, blocks, t.Values, set); err != nil {
					return err
				}
				continue
			}
		}
		c, err := cols(path)
		if err != nil {
			return err
		}
		if c == nil {
			continue
		}
		var f func(v []byte) bool
		switch t.Op {
		case Equal:
			f = equalTest(c, t)
		case Contains:
			if !c.may(t.Values[0]) {
				continue
			}
			sub := []byte(t.Values[0])
			f = func(v []byte) bool { return bytes.Contains(v, sub) }
		case Match:
			f = t.Regexp.Match
		case Within:
			f = func(v []byte) bool {
				if len(v) > 64 {
					return false
				}
				a, err := netip.ParseAddr(string(v))
				return err == nil && t.Prefix.Contains(a.Unmap().WithZone(""))
			}
		case Custom:
			f = t.Accept
		case Present:
			f = func([]byte) bool { return true }
		}
		if f != nil {
			c.each(f, set.add)
		}
	}
	return nil
}

// equalIn adds the rows of the given blocks whose value is one of those wanted.
func (s *Reader) equalIn(path string, blocks []int, values []string, set rowSet) error {
	var rows []int64
	for _, from := range blocks {
		for row := from; row < min(from+blockRows, int(s.Meta.Rows)); row++ {
			rows = append(rows, int64(row))
		}
	}
	p, err := s.Pick([]string{path}, rows)
	if err != nil {
		return err
	}
	for i, row := range rows {
		if v, ok := p[0].Value(i, nil); ok && slices.ContainsFunc(values, func(w string) bool { return string(v) == w }) {
			set.add(int(row))
		}
	}
	return nil
}

func equalTest(c *Column, t Test) func([]byte) bool {
	var want []string
	for _, v := range t.Values {
		if c.may(v) {
			want = append(want, v)
		}
	}
	if t.Loose {
		var nums []float64
		for _, v := range t.Values {
			if x, err := strconv.ParseFloat(v, 64); err == nil {
				nums = append(nums, x)
			}
		}
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
			if err != nil {
				return false
			}
			for _, n := range nums {
				if x == n {
					return true
				}
			}
			return false
		}
	}
	switch len(want) {
	case 0:
		return nil
	case 1:
		w := want[0]
		return func(v []byte) bool { return string(v) == w }
	}
	in := make(map[string]bool, len(want))
	for _, w := range want {
		in[w] = true
	}
	return func(v []byte) bool { return in[string(v)] }
}

// search adds the rows whose record has sub in it. It looks for sub in the
// shapes' literals, in the values, and across their borders; where that leaves
// a doubt, it puts the record together.
func (s *Reader) search(sub string, cols Columns, set rowSet) error {
	shapes, err := s.loadShapes()
	if err != nil {
		return err
	}
	kinds, err := cols(colShape)
	if err != nil {
		return err
	}
	if kinds == nil {
		return fmt.Errorf("%w: no shapes", ErrDamaged)
	}
	// What each column's values are to be tested for, over all shapes.
	type tests struct {
		whole              bool            // has sub in it
		suffixes, prefixes map[string]bool // ends with, begins with
		styles             map[shape.Style]bool
	}
	byPath := map[string]*tests{}
	of := func(path string) *tests {
		t := byPath[path]
		if t == nil {
			t = &tests{suffixes: map[string]bool{}, prefixes: map[string]bool{}, styles: map[shape.Style]bool{}}
			byPath[path] = t
		}
		return t
	}
	always := make([]bool, len(shapes)) // a literal has it
	verbatim := false
	for k, sh := range shapes {
		if sh.Verbatim {
			verbatim = true
			continue
		}
		for _, l := range sh.Lits {
			always[k] = always[k] || strings.Contains(l, sub)
		}
		if always[k] {
			continue
		}
		for i, h := range sh.Holes {
			t := of(h.Path)
			t.whole = true
			if h.Form == shape.Quoted {
				t.styles[sh.Style] = true
			} else {
				t.styles[0] = true
			}
			next, before := sh.Lits[i+1], sh.Lits[i]
			for n := 1; n < len(sub); n++ {
				if a, b := sub[:n], sub[n:]; strings.HasPrefix(next, b) || strings.HasPrefix(b, next) {
					t.suffixes[a] = true
				}
				if a, b := sub[:n], sub[n:]; strings.HasSuffix(before, a) {
					t.prefixes[b] = true
				}
			}
		}
	}
	maybe := make(rowSet, len(set)) // to be put together
	for path, t := range byPath {
		c, err := cols(path)
		if err != nil {
			return err
		}
		if c == nil {
			return fmt.Errorf("%w: a shape's column is missing", ErrDamaged)
		}
		// Where a value's text has escapes, a match may begin within one.
		within := false
		for st := range t.styles {
			within = within || c.escapeHas(st, sub)
		}
		v := valueTest{styles: t.styles, escapes: within}
		if within || c.may(sub) {
			v.inside = []byte(sub)
		}
		for x := range t.suffixes {
			if within || c.may(x) {
				v.suffixes = append(v.suffixes, []byte(x))
			}
		}
		for x := range t.prefixes {
			v.prefixes = append(v.prefixes, []byte(x))
			for st := range t.styles { // what is behind the beginning may be an escape
				v.escapes = v.escapes || strings.Contains(x, `\`) && c.escapeHas(st, `\`)
			}
		}
		switch {
		case v.inside == nil && len(v.suffixes) == 0 && len(v.prefixes) == 0:
		case v.inside == nil && len(v.prefixes) == 0 && !v.escapes:
			c.endsWith(v.suffixes, maybe)
		default:
			c.each(v.accepts, maybe.add)
		}
	}
	for k := range always {
		if always[k] {
			for row, n := range kinds.nums {
				if n >= 0 && n < int64(len(always)) && always[n] {
					set.add(row)
				}
			}
			break
		}
	}
	if verbatim {
		raws, err := cols(colRaw)
		if err != nil {
			return err
		}
		if raws != nil {
			want := []byte(sub)
			raws.each(func(v []byte) bool { return bytes.Contains(v, want) }, set.add)
		}
	}
	var raw []byte
	want := []byte(sub)
	for i, w := range maybe {
		for w &^= set[i]; w != 0; w &= w - 1 {
			row := i<<6 + bits.TrailingZeros64(w)
			if raw, err = s.appendRecord(raw[:0], int64(row), shapes, cols); err != nil {
				return err
			}
			if bytes.Contains(raw, want) {
				set.add(row)
			}
		}
	}
	return nil
}

// valueTest asks whether a value may be part of a match: has it inside, ends
// with its beginning, or begins with its end (or is all of it, when short).
type valueTest struct {
	inside             []byte
	suffixes, prefixes [][]byte
	styles             map[shape.Style]bool
	escapes            bool // the value's text in the record must be looked at, where it differs
}

func (t *valueTest) accepts(v []byte) bool {
	if t.on(v) {
		return true
	}
	if t.escapes && needsEscape(v) {
		for st := range t.styles {
			if st != 0 && t.on(st.Append(nil, v)) {
				return true
			}
		}
	}
	return false
}

func (t *valueTest) on(v []byte) bool {
	for _, x := range t.suffixes {
		if bytes.HasSuffix(v, x) {
			return true
		}
	}
	for _, x := range t.prefixes {
		if bytes.HasPrefix(v, x) || bytes.HasPrefix(x, v) {
			return true
		}
	}
	return t.inside != nil && bytes.Contains(v, t.inside)
}

// endsWith adds the rows whose value ends with one of the suffixes.
func (c *Column) endsWith(suffixes [][]byte, set rowSet) {
	if c.form != asText || len(suffixes) != 1 {
		t := valueTest{suffixes: suffixes}
		c.each(t.on, set.add)
		return
	}
	x := suffixes[0]
	n := uint32(len(x))
	for i := 0; ; i++ {
		k := bytes.IndexByte(c.last[i:], x[n-1])
		if k < 0 {
			return
		}
		i += k
		from, to := uint32(0), c.ends[i]
		if i > 0 {
			from = c.ends[i-1]
		}
		if to-from >= n && string(c.data[to-n:to]) == string(x) {
			row := i
			if c.rows != nil {
				row = int(c.rows[i])
			}
			set.add(row)
		}
	}
}

// escapeHas reports whether sub, looked for in the text that the column's
// values have in a record of the style, may meet an escape: its first byte may
// stand in one, or it has a reverse solidus itself. (A match that begins before
// an escape has its reverse solidus.)
func (c *Column) escapeHas(st shape.Style, sub string) bool {
	if st == 0 {
		return false
	}
	var first string // what may stand behind a reverse solidus
	unicode := false
	for _, e := range []struct{ b, as string }{{`"`, `"`}, {`\`, `\`}, {"\n", "n"}, {"\r", "r"}, {"\t", "t"}, {"\b", "b"}, {"\f", "f"}} {
		if c.may(e.b) {
			first += e.as
			unicode = unicode || st&shape.LongBF != 0 && (e.as == "b" || e.as == "f")
		}
	}
	const named = 1<<'\n' | 1<<'\r' | 1<<'\t' | 1<<'\b' | 1<<'\f'
	unicode = unicode || c.present[0]&(1<<32-1)&^named != 0 ||
		st&(shape.ASCII|shape.LineSep) != 0 && c.present[2]|c.present[3] != 0 ||
		st&shape.HTML != 0 && (c.may("<") || c.may(">") || c.may("&")) || st&shape.DEL != 0 && c.may("\x7f")
	if st&shape.Slash != 0 && c.may("/") {
		first += "/"
	}
	if unicode {
		first += "u0123456789abcdefABCDEF"
	}
	return first != "" && (strings.Contains(sub, `\`) || strings.IndexByte(first, sub[0]) >= 0)
}

func needsEscape(v []byte) bool {
	for _, b := range v {
		if b < 0x20 || b >= 0x7f || b == '"' || b == '\\' || b == '<' || b == '>' || b == '&' || b == '/' {
			return true
		}
	}
	return false
}

// AppendRecord appends the bytes of the record in a row to dst, out of decoded
// columns.
func (s *Reader) AppendRecord(dst []byte, row int64, cols Columns) ([]byte, error) {
	shapes, err := s.loadShapes()
	if err != nil {
		return nil, err
	}
	return s.appendRecord(dst, row, shapes, cols)
}

func (s *Reader) appendRecord(dst []byte, row int64, shapes []*shape.Shape, cols Columns) ([]byte, error) {
	var buf [room]byte
	get := func(path string, room []byte) ([]byte, error) {
		c, err := cols(path)
		if err != nil {
			return nil, err
		}
		if c != nil {
			if v, ok := c.Value(row, room); ok {
				return v, nil
			}
		}
		return nil, fmt.Errorf("%w: record without a value of its shape", ErrDamaged)
	}
	v, err := get(colShape, buf[:])
	if err != nil {
		return nil, err
	}
	k, err := strconv.Atoi(string(v))
	if err != nil || k < 0 || k >= len(shapes) {
		return nil, fmt.Errorf("%w: record of an unknown shape", ErrDamaged)
	}
	sh := shapes[k]
	if sh.Verbatim {
		v, err := get(colRaw, nil)
		return append(dst, v...), err
	}
	values := make([][]byte, len(sh.Holes))
	rooms := make([]byte, room*len(sh.Holes))
	for i, h := range sh.Holes {
		if values[i], err = get(h.Path, rooms[room*i:room*i:room*(i+1)]); err != nil {
			return nil, err
		}
	}
	return sh.Append(dst, values), nil
}
