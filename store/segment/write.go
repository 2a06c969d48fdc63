package segment

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/xxh3"

	"trailward/store/segment/parquet"
)

// Options of [Builder.Write].
type Options struct {
	// Fast leaves the columns uncompressed, for a run that stays in memory.
	Fast bool
	// WAL goes into [Meta].
	WAL uint64
}

// rowGroup is how many records a Parquet row group has: enough for small
// dictionaries to pay, few enough for a query to use every processor.
const rowGroup = 128 << 10

// version is that of the format; it is in the trailer. Version 2 had no tables
// of grams.
const (
	version       = 3
	oldestVersion = 2
)

const trailerMagic = "TWSEGMENT"

// Write writes the segment and returns its meta data, which is also in it. The
// builder may still be used afterwards.
func (b *Builder) Write(w io.Writer, opt Options) (*Meta, error) {
	if b.rows == 0 {
		return nil, fmt.Errorf("write segment of %s: no records", b.Group)
	}
	bw := bufio.NewWriterSize(w, 256<<10)
	cw := &countWriter{w: bw}
	m := &Meta{Group: b.Group, Kind: b.Kind, Rows: int64(b.rows), WAL: max(opt.WAL, b.wal), RawBytes: b.rawSize, KeyPaths: b.keyPaths}
	m.FirstTime, m.LastTime = b.TimeRange()
	m.FirstArrival, m.LastArrival = b.arrival[0], b.arrival[0]
	for _, a := range b.arrival {
		m.FirstArrival, m.LastArrival = min(m.FirstArrival, a), max(m.LastArrival, a)
	}
	p := b.plan(m)
	if !opt.Fast {
		p.addTree()
	}
	if err := p.write(cw, opt); err != nil {
		return nil, fmt.Errorf("write segment of %s: %w", b.Group, err)
	}
	m.ParquetSize = cw.n

	var shapes []byte
	shapes = binary.AppendUvarint(shapes, uint64(len(b.shapes)))
	for _, s := range b.shapes {
		shapes = s.Encode(shapes, func(path string) int { return p.number[path] })
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer enc.Close()
	m.ShapesSize = int64(len(shapes))
	filters := p.filters(opt, enc)
	meta, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	sections := [][]byte{enc.EncodeAll(shapes, nil), filters, enc.EncodeAll(meta, nil)}
	var trailer []byte
	for _, s := range sections {
		if _, err := cw.Write(s); err != nil {
			return nil, fmt.Errorf("write segment of %s: %w", b.Group, err)
		}
		trailer = binary.LittleEndian.AppendUint64(trailer, uint64(len(s)))
	}
	trailer = binary.LittleEndian.AppendUint64(trailer, uint64(m.ParquetSize))
	trailer = binary.LittleEndian.AppendUint32(trailer, version)
	trailer = append(trailer, trailerMagic...)
	if _, err := cw.Write(trailer); err != nil {
		return nil, fmt.Errorf("write segment of %s: %w", b.Group, err)
	}
	if err := bw.Flush(); err != nil {
		return nil, fmt.Errorf("write segment of %s: %w", b.Group, err)
	}
	return m, nil
}

// filterFrom is how many distinct values a column has at least to get a filter:
// with fewer, hardly any question can be answered by one.
const filterFrom = 256

// filterLength is how long the values of a column are on average at least for
// filters of its blocks to be worth their 16 bits a value: ids and URIs are,
// addresses and numbers are not.
const filterLength = 20

// filters makes the filter of natural keys, those of the columns' values, and
// the tables of grams.
func (p *writePlan) filters(opt Options, enc *zstd.Encoder) bloom {
	var out bloom
	if n := len(p.b.keys); n > 0 {
		f := newBloom(n)
		for h := range p.b.keys {
			f.add(h)
		}
		out = append(out, f...)
		p.m.KeyFilter = int64(len(f))
	}
	if opt.Fast {
		return out
	}
	put := func(b []byte) [2]int64 {
		out = append(out, b...)
		return [2]int64{int64(len(out) - len(b)), int64(len(b))}
	}
	var dicts *gramTable
	for k, c := range p.texts {
		f := &p.m.Fields[len(p.fixed)+k]
		switch c.form {
		case asDict:
			var has byteSet
			has.mark(c.dict.data)
			f.Has, f.Entries = has.encode(), true
			if dicts == nil {
				dicts = newGramTable(maxGramBits)
			}
			for i := range c.dict.ends {
				dicts.add(c.dict.value(uint32(i)), dictPlace(len(p.fixed)+k), 0)
			}
			if n := len(c.dict.ends); n >= filterFrom {
				v := newBloom(n)
				for i := range n {
					v.add(xxh3.Hash(c.dict.value(uint32(i))))
				}
				f.Filter = put(v)
			}
		case asText:
			var has byteSet
			has.mark(c.data)
			f.Has = has.encode()
			if tables := p.gramsOf(c, f); tables != nil {
				var b []byte
				for g, t := range tables {
					b = t.encode(b, blocksOf(p.m.Groups[g].Rows), enc)
				}
				f.Grams = put(b)
				break
			}
			// Values that look like noise share their grams: then the whole values
			// are what can be told apart.
			if c.path != colRaw && len(c.data) >= filterLength*c.n {
				f.Filter, f.Blocks = put(p.blockFilter(c)), true
			}
		case asUUIDs:
			f.Filter, f.Blocks = put(p.blockFilter(c)), true
		}
	}
	if dicts != nil {
		if !dicts.fit(dictPlaces, max(1<<10, float64(p.m.ParquetSize)/dictGramShare), sparseDictGrams) {
			dicts = nil
		}
		p.m.DictGrams = put(dicts.encode(nil, dictPlaces, enc))
	}
	return out
}

// dictPlaces is how many places the dictionaries' table has. Where there are
// more columns, some share one.
const dictPlaces = 64

// dictPlace is the place of the field with that number.
func dictPlace(field int) uint64 { return 1 << (field % dictPlaces) }

// blockFilter makes the filters of a column's whole values, one for each block
// of rows.
func (p *writePlan) blockFilter(c *column) bloom {
	f := make(bloom, blockFilters(p.b.rows))
	at := p.placeOf()
	var buf [room]byte
	for i := range c.n {
		row := i
		if c.rows != nil {
			row = int(c.rows[i])
		}
		f.inBlock(at(row), p.b.rows).add(xxh3.Hash(c.at(i, buf[:])))
	}
	return f
}

const trailerSize = 4*8 + 4 + len(trailerMagic)

type countWriter struct {
	w io.Writer
	n int64
}

func (c *countWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// writePlan is the Parquet file to be: its columns in order.
type writePlan struct {
	b      *Builder
	order  []int32
	m      *Meta
	fixed  []int64column
	texts  []*column
	delta  []bool         // by text: its integers are written as differences
	number map[string]int // path → number of its field in Meta.Fields
}

// int64column is a column that every record has.
type int64column struct {
	name  string
	small bool // INT32
	time  bool // microseconds
	at    func(row int) int64
}

func (b *Builder) plan(m *Meta) *writePlan {
	p := &writePlan{b: b, order: b.order(), m: m, number: map[string]int{}}
	p.fixed = []int64column{
		{name: colTime, time: true, at: func(r int) int64 { return floorMicro(b.times[r]) }},
		{name: colArrival, time: true, at: func(r int) int64 { return floorMicro(b.arrival[r]) }},
		{name: colShape, small: true, at: func(r int) int64 { return int64(b.shapeOf[r]) }},
	}
	for _, t := range b.times {
		if t-floorMicro(t)*1000 != 0 {
			p.fixed = append(p.fixed, int64column{name: colNanos, small: true, at: func(r int) int64 { return b.times[r] - floorMicro(b.times[r])*1000 }})
			break
		}
	}
	p.texts = append(p.texts, b.streams)
	if b.raws.n > 0 {
		p.texts = append(p.texts, b.raws)
	}
	var attrs []string
	for name := range b.attrs {
		attrs = append(attrs, name)
	}
	sort.Strings(attrs)
	for _, name := range attrs {
		p.texts = append(p.texts, b.attrs[name])
	}
	p.texts = append(p.texts, b.cols...)

	// A reader that folds the case of names must not take one column for another.
	taken := map[string]bool{}
	name := func(path string) string {
		n := strings.ToValidUTF8(path, "\uFFFD")
		for i := 2; n == "" || taken[strings.ToLower(n)]; i++ {
			n = fmt.Sprintf("%s~%d", path, i)
		}
		taken[strings.ToLower(n)] = true
		return n
	}
	for _, f := range p.fixed {
		t := Int
		if f.time {
			t = Time
		}
		m.Fields = append(m.Fields, Field{Path: f.name, Column: name(f.name), Type: t})
	}
	for _, c := range p.texts {
		f := Field{Path: c.path, Column: name(c.path), Forms: c.stands}
		switch {
		case c.json:
			f.Type = JSON
		case c.form == asInts:
			f.Type = Int
		case c.form == asTimes:
			f.Type, f.Digits = Stamp, c.digits
		case c.form == asAddrs:
			f.Type = Addr
		case c.form == asUUIDs:
			f.Type = UUID
		case c == b.raws:
			f.Type = Bytes
		}
		p.delta = append(p.delta, c.form == asTimes || c.form.numeric() && !c.repeats())
		p.number[c.path] = len(m.Fields)
		m.Fields = append(m.Fields, f)
	}
	return p
}

func floorMicro(ns int64) int64 {
	us := ns / 1000
	if ns%1000 < 0 {
		us--
	}
	return us
}

func (p *writePlan) write(w io.Writer, opt Options) error {
	cols := make([]parquet.Column, len(p.m.Fields))
	for i := range p.m.Fields {
		cols[i] = p.m.Fields[i].column()
	}
	pw := parquet.NewWriter(w, cols, !opt.Fast)
	var g gatherer
	for from := 0; from < p.b.rows; from += rowGroup {
		if err := p.group(pw, &g, from, min(from+rowGroup, p.b.rows)); err != nil {
			return err
		}
	}
	if err := pw.Close(); err != nil {
		return err
	}
	for g := range pw.Groups() {
		for i, c := range pw.Chunks(g) {
			f := &p.m.Fields[i]
			f.Chunks = append(f.Chunks, [2]int64{c.Offset, c.Size})
			f.Index = append(f.Index, [2]int64{c.IndexOffset, c.IndexSize})
			f.Raw = !c.Compressed // of all chunks alike
		}
	}
	return nil
}

// placeOf returns what gives the place in the file of a builder's row.
func (p *writePlan) placeOf() func(row int) int {
	if p.order == nil {
		return func(row int) int { return row }
	}
	at := make([]int32, len(p.order))
	for place, row := range p.order {
		at[row] = int32(place)
	}
	return func(row int) int { return int(at[row]) }
}

// row returns the builder's row that stands at place i of the file.
func (p *writePlan) row(i int) int {
	if p.order == nil {
		return i
	}
	return int(p.order[i])
}

// gatherer holds what a column's values are gathered in when the rows are out
// of order.
type gatherer struct {
	nums   []int64
	idx    []uint32
	data   []byte
	places []int32 // row of the builder → value + 1
	at     []int32 // the rows of the file that have a value
	values []int32 // and which
}

func (p *writePlan) group(pw *parquet.Writer, g *gatherer, from, to int) error {
	p.m.Groups = append(p.m.Groups, Group{Rows: int64(to - from), FirstTime: p.b.times[p.row(from)], LastTime: p.b.times[p.row(to-1)]})
	pw.BeginGroup(to - from)
	for _, f := range p.fixed {
		g.nums = g.nums[:0]
		for i := from; i < to; i++ {
			g.nums = append(g.nums, f.at(p.row(i)))
		}
		if err := pw.Ints(g.nums, parquet.Rows{N: to - from}, f.time); err != nil {
			return err
		}
	}
	for k, c := range p.texts {
		var err error
		if p.order == nil {
			err = p.inOrder(pw, k, c, from, to)
		} else {
			err = p.outOfOrder(pw, g, k, c, from, to)
		}
		if err != nil {
			return fmt.Errorf("column %d: %w", k, err)
		}
	}
	return nil
}

// inOrder writes a chunk of the column out of the rows as they stand.
func (p *writePlan) inOrder(pw *parquet.Writer, k int, c *column, from, to int) error {
	rows := parquet.Rows{N: to - from, Base: int32(from)}
	v, end := min(from, c.n), min(to, c.n)
	switch {
	case c.rows != nil:
		v, _ = slices.BinarySearch(c.rows, int32(from))
		end, _ = slices.BinarySearch(c.rows, int32(to))
		rows.At = c.rows[v:end]
	case end-v < to-from: // the first ones have a value
		rows.At = make([]int32, 0, end-v)
		for i := v; i < end; i++ {
			rows.At = append(rows.At, int32(i))
		}
	}
	switch {
	case c.form.numeric():
		return pw.Ints(c.nums[v:end], rows, p.delta[k])
	case c.form == asUUIDs:
		return pw.Fixed(c.data[16*v:16*end], rows)
	case c.form == asDict:
		return pw.Dict(len(c.dict.ends), c.dict.value, c.idx[v:end], rows)
	}
	return pw.Plain(end-v, func(i int) []byte { return c.at(v+i, nil) }, rows, c != p.b.raws)
}

// outOfOrder writes a chunk of the column out of rows in another order.
func (p *writePlan) outOfOrder(pw *parquet.Writer, g *gatherer, k int, c *column, from, to int) error {
	if c.rows != nil {
		if g.places == nil {
			g.places = make([]int32, p.b.rows)
		}
		clear(g.places)
		for v, r := range c.rows {
			g.places[r] = int32(v) + 1
		}
	}
	rows := parquet.Rows{N: to - from, Base: int32(from)}
	values := p.order[from:to]
	if c.rows != nil || c.n < p.b.rows { // not every row has a value
		at := slices.Grow(g.at[:0], to-from)
		values = slices.Grow(g.values[:0], to-from)
		for i := from; i < to; i++ {
			v := int32(p.row(i))
			if c.rows != nil {
				v = g.places[v] - 1
			} else if int(v) >= c.n {
				v = -1
			}
			if v >= 0 {
				at = append(at, int32(i))
				values = append(values, v)
			}
		}
		g.at, g.values = at, values
		if len(at) < to-from {
			rows.At = at
		}
	}
	switch {
	case c.form.numeric():
		g.nums = g.nums[:0]
		for _, v := range values {
			g.nums = append(g.nums, c.nums[v])
		}
		return pw.Ints(g.nums, rows, p.delta[k])
	case c.form == asUUIDs:
		g.data = g.data[:0]
		for _, v := range values {
			g.data = append(g.data, c.data[16*v:16*v+16]...)
		}
		return pw.Fixed(g.data, rows)
	case c.form == asDict:
		g.idx = g.idx[:0]
		for _, v := range values {
			g.idx = append(g.idx, c.idx[v])
		}
		return pw.Dict(len(c.dict.ends), c.dict.value, g.idx, rows)
	}
	return pw.Plain(len(values), func(i int) []byte { return c.at(int(values[i]), nil) }, rows, c != p.b.raws)
}
