package segment

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"
	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/xxh3"
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

// version is that of the format; it is in the trailer.
const version = 1

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
	filters := p.filters(opt)
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
// filters of its blocks to be worth their 10 bits a value: ids and URIs are,
// addresses and numbers are not.
const filterLength = 20

// filters makes the filter of natural keys and those of the columns' values.
func (p *writePlan) filters(opt Options) bloom {
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
	for k, c := range p.texts {
		var f bloom
		switch {
		case c.form == asDict && len(c.dict.ends) >= filterFrom:
			f = newBloom(len(c.dict.ends))
			for i := range c.dict.ends {
				f.add(xxh3.Hash(c.dict.value(uint32(i))))
			}
		case c.form == asText && c.path != colRaw && len(c.data) >= filterLength*c.n:
			// The values hardly repeat, so that a question for one of them wants a
			// place as well: a filter for each block of rows.
			f = make(bloom, blockFilters(p.b.rows))
			if c.rows == nil && p.order == nil {
				for i := range c.n {
					f.inBlock(i, p.b.rows).add(xxh3.Hash(c.at(i, nil)))
				}
				break
			}
			at := p.placeOf()
			for i := range c.n {
				row := i
				if c.rows != nil {
					row = int(c.rows[i])
				}
				f.inBlock(at(row), p.b.rows).add(xxh3.Hash(c.at(i, nil)))
			}
		}
		if f != nil {
			m := &p.m.Fields[len(p.fixed)+k]
			m.Filter, m.Blocks = [2]int64{int64(len(out)), int64(len(f))}, c.form == asText
			out = append(out, f...)
		}
	}
	return out
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
		case c == b.raws:
			f.Type = Bytes
		}
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
	props := []parquet.WriterProperty{
		parquet.WithCreatedBy("trailward"), parquet.WithVersion(parquet.V2_LATEST), parquet.WithDataPageVersion(parquet.DataPageV1),
		parquet.WithStats(true), parquet.WithMaxStatsSize(64), parquet.WithPageIndexEnabled(true),
		parquet.WithDictionaryPageSizeLimit(4 << 20), parquet.WithDataPageSize(64 << 10), parquet.WithDictionaryDefault(true),
	}
	if opt.Fast {
		props = append(props, parquet.WithCompression(compress.Codecs.Uncompressed))
	} else {
		props = append(props, parquet.WithCompression(compress.Codecs.Zstd), parquet.WithCompressionLevel(3))
	}
	var nodes schema.FieldList
	for i, f := range p.m.Fields {
		var n schema.Node
		var err error
		switch {
		case i < len(p.fixed) && p.fixed[i].time:
			n, err = schema.NewPrimitiveNodeLogical(f.Column, parquet.Repetitions.Required, schema.NewTimestampLogicalType(false, schema.TimeUnitMicros), parquet.Types.Int64, 0, -1)
			props = append(props, parquet.WithDictionaryFor(f.Column, false), parquet.WithEncodingFor(f.Column, parquet.Encodings.DeltaBinaryPacked))
		case i < len(p.fixed):
			n = schema.NewInt32Node(f.Column, parquet.Repetitions.Required, -1)
		case f.Type == Int:
			n = schema.NewInt64Node(f.Column, parquet.Repetitions.Optional, -1)
			if c := p.texts[i-len(p.fixed)]; !c.repeats() {
				props = append(props, parquet.WithDictionaryFor(f.Column, false), parquet.WithEncodingFor(f.Column, parquet.Encodings.DeltaBinaryPacked))
			}
		case f.Type == Stamp:
			n, err = schema.NewPrimitiveNodeLogical(f.Column, parquet.Repetitions.Optional, schema.NewTimestampLogicalType(false, schema.TimeUnitMicros), parquet.Types.Int64, 0, -1)
			props = append(props, parquet.WithDictionaryFor(f.Column, false), parquet.WithEncodingFor(f.Column, parquet.Encodings.DeltaBinaryPacked))
		case f.Type == Bytes:
			n = schema.NewByteArrayNode(f.Column, parquet.Repetitions.Optional, -1)
			props = append(props, parquet.WithDictionaryFor(f.Column, false), parquet.WithStatsFor(f.Column, false))
		default:
			n, err = schema.NewPrimitiveNodeLogical(f.Column, parquet.Repetitions.Optional, schema.StringLogicalType{}, parquet.Types.ByteArray, 0, -1)
			if c := p.texts[i-len(p.fixed)]; c.form != asDict {
				props = append(props, parquet.WithDictionaryFor(f.Column, false), parquet.WithEncodingFor(f.Column, parquet.Encodings.Plain))
			}
		}
		if err != nil {
			return err
		}
		nodes = append(nodes, n)
	}
	root, err := schema.NewGroupNode("trailward", parquet.Repetitions.Required, nodes, -1)
	if err != nil {
		return err
	}
	pw, err := file.NewParquetWriterWithError(w, root, file.WithWriterProps(parquet.NewWriterProperties(props...)))
	if err != nil {
		return err
	}
	cursors := make([]int, len(p.texts)) // the next value of each column, when the rows are in order
	for from := 0; from < p.b.rows; from += rowGroup {
		to := min(from+rowGroup, p.b.rows)
		if err := p.group(pw, from, to, cursors); err != nil {
			return err
		}
	}
	if err := pw.Close(); err != nil {
		return err
	}
	md, err := pw.FileMetadata()
	if err != nil {
		return err
	}
	for g := range md.NumRowGroups() {
		rg := md.RowGroup(g)
		for c := range rg.NumColumns() {
			cc, err := rg.ColumnChunk(c)
			if err != nil {
				return err
			}
			off := cc.DataPageOffset()
			if cc.HasDictionaryPage() {
				off = min(off, cc.DictionaryPageOffset())
			}
			p.m.Fields[c].Chunks = append(p.m.Fields[c].Chunks, [2]int64{off, cc.TotalCompressedSize()})
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

func (p *writePlan) group(pw *file.Writer, from, to int, cursors []int) error {
	rg, err := pw.AppendRowGroupChecked()
	if err != nil {
		return err
	}
	g := Group{Rows: int64(to - from), FirstTime: p.b.times[p.row(from)], LastTime: p.b.times[p.row(to-1)]}
	p.m.Groups = append(p.m.Groups, g)
	nums := make([]int64, 0, to-from)
	var small []int32
	for _, f := range p.fixed {
		cw, err := rg.NextColumn()
		if err != nil {
			return err
		}
		nums, small = nums[:0], small[:0]
		for i := from; i < to; i++ {
			if f.small {
				small = append(small, int32(f.at(p.row(i))))
			} else {
				nums = append(nums, f.at(p.row(i)))
			}
		}
		if f.small {
			_, err = cw.(*file.Int32ColumnChunkWriter).WriteBatch(small, nil, nil)
		} else {
			_, err = cw.(*file.Int64ColumnChunkWriter).WriteBatch(nums, nil, nil)
		}
		if err != nil {
			return err
		}
		if err := cw.Close(); err != nil {
			return err
		}
	}
	var places []int32 // of the present column, by row of the group: which value, or -1
	var index []int32  // row → value + 1, for the present column, when the rows are out of order
	defs := make([]int16, to-from)
	for k, c := range p.texts {
		places = places[:0]
		switch {
		case c.rows == nil: // a value for each of the first c.n rows
			for i := from; i < to; i++ {
				if r := p.row(i); r < c.n {
					places = append(places, int32(r))
				} else {
					places = append(places, -1)
				}
			}
		case p.order == nil:
			v := cursors[k]
			for i := from; i < to; i++ {
				if v < c.n && int(c.rows[v]) == i {
					places = append(places, int32(v))
					v++
				} else {
					places = append(places, -1)
				}
			}
			cursors[k] = v
		default:
			if index == nil {
				index = make([]int32, p.b.rows)
			}
			clear(index)
			for v, r := range c.rows {
				index[r] = int32(v) + 1
			}
			for i := from; i < to; i++ {
				places = append(places, index[p.row(i)]-1)
			}
		}
		for i, v := range places {
			defs[i] = 1 + int16(v>>31) // 0 for -1, else 1
		}
		cw, err := rg.NextColumn()
		if err != nil {
			return err
		}
		if err := c.write(cw, places, defs); err != nil {
			return fmt.Errorf("column %d: %w", k, err)
		}
		if err := cw.Close(); err != nil {
			return err
		}
	}
	return rg.Close()
}

// write writes the values in the given places, -1 standing for none, as one
// column chunk.
func (c *column) write(cw file.ColumnChunkWriter, places []int32, defs []int16) error {
	switch c.form {
	case asInts, asTimes:
		nums := make([]int64, 0, len(places))
		for _, v := range places {
			if v >= 0 {
				nums = append(nums, c.nums[v])
			}
		}
		_, err := cw.(*file.Int64ColumnChunkWriter).WriteBatch(nums, defs, nil)
		return err
	case asText:
		texts := make([]parquet.ByteArray, 0, len(places))
		for _, v := range places {
			if v >= 0 {
				texts = append(texts, c.at(int(v), nil))
			}
		}
		_, err := cw.(*file.ByteArrayColumnChunkWriter).WriteBatch(texts, defs, nil)
		return err
	}
	// The chunk's dictionary has the entries that occur in it, in order of
	// occurrence. They are known to be distinct, so the library need not hash.
	local := make([]int32, len(c.dict.ends)) // number in the chunk's dictionary + 1
	entries := array.NewBinaryBuilder(memory.DefaultAllocator, arrow.BinaryTypes.Binary)
	defer entries.Release()
	nums := array.NewInt32Builder(memory.DefaultAllocator)
	defer nums.Release()
	nums.Reserve(len(places))
	nulls := 0
	for _, v := range places {
		if v < 0 {
			nums.UnsafeAppendBoolToBitmap(false)
			nulls++
			continue
		}
		i := c.idx[v]
		if local[i] == 0 {
			entries.Append(c.dict.value(i))
			local[i] = int32(entries.Len())
		}
		nums.UnsafeAppend(local[i] - 1)
	}
	values := entries.NewBinaryArray()
	defer values.Release()
	indices := nums.NewInt32Array()
	defer indices.Release()
	w := cw.(*file.ByteArrayColumnChunkWriter)
	if err := w.CurrentEncoder().(dictPutter).PutDictionary(values); err != nil {
		return err
	}
	if st := w.PageStatistics(); st != nil {
		st.IncNulls(int64(nulls))
		st.IncNumValues(int64(len(places) - nulls))
		if err := st.UpdateFromArrow(values, false); err != nil {
			return err
		}
	}
	return w.WriteDictIndices(indices, defs, nil)
}

// dictPutter is what the library's dictionary encoders have.
type dictPutter interface{ PutDictionary(arrow.Array) error }
