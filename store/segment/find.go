package segment

import (
	"math/bits"
	"net/netip"
	"regexp"
)

// Op is what a [Test] asks of a value.
type Op uint8

// The tests. A column's value is its text.
const (
	Equal    Op = iota // is one of Values
	Contains           // has Values[0] in it
	Match              // has a match of Regexp
	Within             // is an IP address in Prefix; an IPv4 one may be written as IPv6's (RFC 4291, section 2.5.5.2), and is in blocks of either
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

// Rows is a set of rows: bit n mod 64 of word n / 64 is for row n.
type Rows []uint64

// Has reports whether the row is in the set.
func (r Rows) Has(row int64) bool {
	return row>>6 < int64(len(r)) && r[row>>6]>>(row&63)&1 != 0
}

func (r Rows) add(row int)      { r[row>>6] |= 1 << (row & 63) }
func (r Rows) has(row int) bool { return r[row>>6]>>(row&63)&1 != 0 }

func (r Rows) count() (n int) {
	for _, w := range r {
		n += bits.OnesCount64(w)
	}
	return n
}

func (r Rows) rows() []int64 {
	out := make([]int64, 0, r.count())
	for i, w := range r {
		for ; w != 0; w &= w - 1 {
			out = append(out, int64(i<<6+bits.TrailingZeros64(w)))
		}
	}
	return out
}

// Found is what [Reader.Find] found.
type Found struct {
	Rows []int64 // they ascend
	// Searched says that the conditions on the message that are of texts that it
	// contains hold for all of them; else nobody looked.
	Searched bool
}

// Find returns the rows for which every condition holds, or false when there
// are more than limit of them, or when it would cost more than to look at all
// records. Rows may be among them for which a condition on the message does not
// hold: one that is a regular expression, or any when the others leave few.
func (s *Reader) Find(conds []Cond, limit int, cols Columns) (found Found, ok bool, err error) {
	var all Rows
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
		set := make(Rows, (s.Meta.Rows+63)/64)
		for _, t := range c.Any {
			if err := s.test(t, cols, set); err != nil {
				return found, false, err
			}
		}
		all = and(all, set)
		if all.count() == 0 {
			return Found{Searched: true}, true, nil
		}
	}
	found.Searched = true
	if all != nil && all.count() <= limit && len(late) > 0 {
		late, found.Searched = nil, false // few enough for others to look at
	}
	for _, c := range late {
		set := make(Rows, (s.Meta.Rows+63)/64)
		searchable := true
		for _, t := range c.Any {
			ok := true
			switch {
			case !t.Message:
				err = s.test(t, cols, set)
			case t.Op == Contains:
				var rows Rows
				if rows, err = cols.Search(t.Values[0]); err == nil {
					or(set, rows)
				}
			default:
				ok = false
			}
			if err != nil {
				return found, false, err
			}
			searchable = searchable && ok
		}
		if searchable {
			all = and(all, set)
		}
	}
	if all == nil || all.count() > limit {
		return found, false, nil
	}
	found.Rows = all.rows()
	return found, true, nil
}

func or(a, b Rows) {
	for i := range b {
		a[i] |= b[i]
	}
}

func and(a, b Rows) Rows {
	if a == nil {
		return b
	}
	for i := range a {
		a[i] &= b[i]
	}
	return a
}

// test adds the rows that pass a test of columns.
func (s *Reader) test(t Test, cols Columns, set Rows) error {
	for _, path := range t.Columns {
		if err := s.testColumn(t, path, cols, set); err != nil {
			return err
		}
	}
	return nil
}

func (s *Reader) testColumn(t Test, path string, cols Columns, set Rows) error {
	f := s.field(path)
	if f == nil {
		return nil
	}
	places := everywhere
	var err error
	switch {
	case t.Op == Equal && !t.Loose:
		places, err = s.placesOfValues(f, t.Values)
	case t.Op == Contains:
		places, err = s.placesOf(f, []piece{{text: t.Values[0]}})
	}
	if err != nil || places.none() {
		return err
	}
	var accept func(v []byte) bool
	switch t.Op {
	case Equal:
		return s.scan(path, places, cols, func(c *Column, lo, hi int) { c.equal(lo, hi, t, set.add) })
	case Contains:
		sub := []byte(t.Values[0])
		return s.scan(path, places, cols, func(c *Column, lo, hi int) {
			c.inside(lo, hi, sub, func(row int, _ []byte) { set.add(row) })
		})
	case Match:
		accept = t.Regexp.Match
	case Within:
		accept = func(v []byte) bool {
			if len(v) > 64 {
				return false
			}
			a, err := netip.ParseAddr(string(v))
			if err != nil {
				return false
			}
			a = a.WithZone("")
			return t.Prefix.Contains(a.Unmap()) || t.Prefix.Contains(netip.AddrFrom16(a.As16()))
		}
	case Custom:
		accept = t.Accept
	case Present:
		accept = func([]byte) bool { return true }
	}
	return s.scan(path, places, cols, func(c *Column, lo, hi int) {
		c.each(lo, hi, accept, func(row int, _ []byte) { set.add(row) })
	})
}

// places are the blocks of a segment's rows in which something can be; nil
// means all of them.
type places struct {
	blocks []uint64 // by row group, one bit for each block
}

var everywhere = places{}

func (p places) none() bool {
	if p.blocks == nil {
		return false
	}
	for _, w := range p.blocks {
		if w != 0 {
			return false
		}
	}
	return true
}

func (p places) count() (n int) {
	for _, w := range p.blocks {
		n += bits.OnesCount64(w)
	}
	return n
}

// nowhere are the places of what the segment does not have.
func (s *Reader) nowhere() places { return places{make([]uint64, len(s.Meta.Groups))} }

// placesOfValues says where a column can have one of the values.
func (s *Reader) placesOfValues(f *Field, values []string) (places, error) {
	if f.Filter[1] > 0 {
		may, blocks, err := s.mayEqual(f, values)
		if err != nil || may && blocks == nil {
			return everywhere, err
		}
		at := s.nowhere()
		for _, row := range blocks {
			b := row / blockRows
			at.blocks[b/blocksInGroup] |= 1 << (b % blocksInGroup)
		}
		return at, nil
	}
	pieces := make([]piece, len(values))
	for i, v := range values {
		pieces[i] = piece{text: v, start: true, end: true}
	}
	return s.placesOf(f, pieces)
}

// bytesOf are the bytes that can stand in the texts of a column; known is false
// when only the column itself tells.
func (f *Field) bytesOf() (seen byteSet, known bool) {
	if form := f.form(); form < asDict {
		return form.bytesOf(), true
	}
	return decodeByteSet(f.Has), f.Has != nil
}

// placesOf says where a column can have a value with one of the pieces.
func (s *Reader) placesOf(f *Field, pieces []piece) (places, error) {
	if seen, known := f.bytesOf(); known {
		kept := pieces[:0:0]
		for _, p := range pieces {
			if seen.may(p.text) && (f.Type != UUID || inUUID(p.text)) {
				kept = append(kept, p)
			}
		}
		if pieces = kept; len(pieces) == 0 {
			return s.nowhere(), nil
		}
	}
	if f.Grams[1] > 0 {
		tables, err := s.gramTables(f)
		if err != nil {
			return everywhere, err
		}
		at := s.nowhere()
		for g, t := range tables {
			at.blocks[g] = t.anyPlaces(pieces) & (1<<blocksOf(s.Meta.Groups[g].Rows) - 1)
		}
		return at, nil
	}
	if !f.Entries {
		return everywhere, nil
	}
	dicts, err := s.dictGrams()
	if err != nil {
		return everywhere, err
	}
	if dicts.anyPlaces(pieces)&dictPlace(s.byPath[f.Path]) == 0 {
		return s.nowhere(), nil
	}
	return everywhere, nil
}

// scan calls fn with the values of a column, from the lo-th to before the hi-th,
// that can be at the places. Where these are few, no more than their pages are
// decoded.
func (s *Reader) scan(path string, at places, cols Columns, fn func(c *Column, lo, hi int)) error {
	total := blocksOf(s.Meta.Rows)
	if at.blocks == nil || 2*at.count() > total && !cols.Decoded(path) {
		c, err := cols.Column(path)
		if c != nil && err == nil {
			fn(c, 0, c.n)
		}
		return err
	}
	whole := cols.Decoded(path)
	for g, w := range at.blocks {
		for ; w != 0; w &= w - 1 {
			block := g*blocksInGroup + bits.TrailingZeros64(w)
			if !whole {
				c, err := cols.Block(path, block)
				if err != nil {
					return err
				}
				fn(c, 0, c.n)
				continue
			}
			c, err := cols.Column(path)
			if err != nil {
				return err
			}
			from := block * blockRows
			lo, hi := c.span(from, min(from+blockRows, int(s.base[g]+s.Meta.Groups[g].Rows)))
			fn(c, lo, hi)
		}
	}
	return nil
}
