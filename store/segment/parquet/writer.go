package parquet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Limits of what is written.
const (
	// pageSize is how many bytes a data page has at most before compression,
	// but for one with a single value that is longer.
	pageSize = 64 << 10
	// pageValues bounds the values of a page, so that one of few bits a value
	// does not take long to decode for the sake of one of them.
	pageValues = 16 << 10
	// PlainValues is how many byte strings without a dictionary a page has,
	// where they are of the usual length.
	PlainValues = 2048
	// maxPlain is how many bytes those may have.
	maxPlain = 256 << 10
	// maxStat is how long a value may be, in bytes, to go into the statistics.
	maxStat = 64
)

// Writer writes a Parquet file, row group by row group, each with one chunk
// for every column in their order. It is not safe for concurrent use.
type Writer struct {
	w        io.Writer
	off      int64
	cols     []Column
	compress bool
	plain    []bool // by column: its pages are not worth compressing
	groups   []rowGroup
	enc      *zstd.Encoder
	head     thriftWriter
	page     []byte // being made
	packed   []byte // page, compressed
	local    []uint32
	idx      []uint32
	err      error
}

type rowGroup struct {
	rows   int
	chunks []chunk
}

// chunk is what the footer says of a chunk.
type chunk struct {
	Chunk
	values     int64 // rows, null ones included
	raw        int64 // bytes before compression, headers included
	dictPage   bool
	encoding   int32
	dataOffset int64
	stats      stats
	pages      []pageInfo
	// columnIndex is the offset and size of the column index, if there is one.
	columnIndex [2]int64
}

type stats struct {
	nulls    int64
	min, max []byte // nil when there are none
}

type pageInfo struct {
	offset   int64
	size     int32
	firstRow int64
	nulls    int64
	ints     bool // least and most are set
	least    int64
	most     int64
}

// encoders are costly to make and hold no state between pages.
var encoders = sync.Pool{New: func() any {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithWindowSize(1<<20),
		zstd.WithEncoderCRC(false),              // the seal has a tag of its own
		zstd.WithAllLitEntropyCompression(true)) // packed numbers have no repeats, but often few different bytes
	if err != nil {
		panic(err) // the options are constants
	}
	return e
}}

// NewWriter returns a Writer of a file with these columns; compress says
// whether pages are compressed where it pays.
func NewWriter(w io.Writer, cols []Column, compress bool) *Writer {
	pw := &Writer{w: w, cols: cols, compress: compress, plain: make([]bool, len(cols))}
	if compress {
		pw.enc = encoders.Get().(*zstd.Encoder)
	}
	pw.write([]byte(magic))
	return pw
}

func (w *Writer) write(b []byte) {
	if w.err == nil {
		_, w.err = w.w.Write(b)
	}
	w.off += int64(len(b))
}

// BeginGroup begins a row group of so many rows.
func (w *Writer) BeginGroup(rows int) { w.groups = append(w.groups, rowGroup{rows: rows}) }

// Rows says which rows of a row group have a value.
type Rows struct {
	N int // rows
	// At is the row of each value, ascending, counted from Base; nil means that
	// every row has one.
	At   []int32
	Base int32
}

// next returns the column whose chunk is to come.
func (w *Writer) next() (*rowGroup, int, error) {
	if len(w.groups) == 0 {
		return nil, 0, fmt.Errorf("write column chunk: no row group was begun")
	}
	g := &w.groups[len(w.groups)-1]
	if len(g.chunks) == len(w.cols) {
		return nil, 0, fmt.Errorf("write column chunk: the row group has all its columns")
	}
	return g, len(g.chunks), w.err
}

// Ints writes the next chunk out of integers, each of which is of the row that
// rows says. They are encoded as differences where delta is true, else by
// dictionary.
func (w *Writer) Ints(values []int64, rows Rows, delta bool) error {
	_, k, err := w.next()
	if err != nil {
		return err
	}
	size := 8
	if w.cols[k].Type == Int32 {
		size = 4
	}
	c := w.begin(rows, len(values))
	if len(values) > 0 {
		least, most := minMax(values)
		c.stats.min, c.stats.max = appendFixed(nil, least, size), appendFixed(nil, most, size)
	}
	if delta {
		c.encoding = encDelta
		const step = pageValues
		for v := 0; v < len(values) || v == 0; v += step {
			to := min(v+step, len(values))
			w.beginPage(c, rows, v, to)
			w.page = appendDelta(w.page, values[v:to])
			w.endPage(c, to-v, values[v:to])
		}
		return w.end(c)
	}
	entries, idx := w.number(values)
	c.encoding = encDict
	w.page = w.page[:0]
	for _, x := range entries {
		w.page = appendFixed(w.page, x, size)
	}
	w.dictPage(c, len(entries))
	w.indexPages(c, rows, idx, len(entries), values)
	return w.end(c)
}

func minMax(values []int64) (least, most int64) {
	least, most = values[0], values[0]
	for _, v := range values {
		least, most = min(least, v), max(most, v)
	}
	return least, most
}

func appendFixed(dst []byte, v int64, size int) []byte {
	if size == 4 {
		return binary.LittleEndian.AppendUint32(dst, uint32(v))
	}
	return binary.LittleEndian.AppendUint64(dst, uint64(v))
}

// number numbers the distinct values in order of occurrence.
func (w *Writer) number(values []int64) (entries []int64, idx []uint32) {
	idx = w.indexes(len(values))
	if len(values) == 0 {
		return nil, idx
	}
	least, most := minMax(values)
	if span := uint64(most - least); span < uint64(max(1<<16, 2*len(values))) {
		local := w.locals(int(span) + 1)
		for i, v := range values {
			n := &local[v-least]
			if *n == 0 {
				entries = append(entries, v)
				*n = uint32(len(entries))
			}
			idx[i] = *n - 1
		}
		return entries, idx
	}
	size := 1 << bits.Len(uint(len(values))) // at most half full
	size *= 2
	table := w.locals(size)
	shift := 64 - bits.Len(uint(size-1))
	for i, v := range values {
		h := uint64(v) * 0x9e3779b97f4a7c15 >> shift
		for table[h] != 0 && entries[table[h]-1] != v {
			h = (h + 1) & uint64(size-1)
		}
		if table[h] == 0 {
			entries = append(entries, v)
			table[h] = uint32(len(entries))
		}
		idx[i] = table[h] - 1
	}
	return entries, idx
}

func (w *Writer) indexes(n int) []uint32 {
	if cap(w.idx) < n {
		w.idx = make([]uint32, n)
	}
	return w.idx[:n]
}

// locals returns n zeros.
func (w *Writer) locals(n int) []uint32 {
	if cap(w.local) < n {
		w.local = make([]uint32, n)
		return w.local
	}
	l := w.local[:n]
	clear(l)
	return l
}

// Dict writes the next chunk out of byte strings that are entries of a
// dictionary of n, which may have others as well: value i is entry(idx[i]).
func (w *Writer) Dict(n int, entry func(i uint32) []byte, idx []uint32, rows Rows) error {
	if _, _, err := w.next(); err != nil {
		return err
	}
	c := w.begin(rows, len(idx))
	c.encoding = encDict
	local := w.locals(n)
	here := w.indexes(len(idx))
	w.page = w.page[:0]
	entries := uint32(0)
	var least, most []byte
	for i, x := range idx {
		l := local[x]
		if l == 0 {
			entries++
			l = entries
			local[x] = l
			v := entry(x)
			if l == 1 || bytes.Compare(v, least) < 0 {
				least = v
			}
			if l == 1 || bytes.Compare(v, most) > 0 {
				most = v
			}
			w.page = binary.LittleEndian.AppendUint32(w.page, uint32(len(v)))
			w.page = append(w.page, v...)
		}
		here[i] = l - 1
	}
	c.stats.of(least, most, entries > 0)
	w.dictPage(c, int(entries))
	w.indexPages(c, rows, here, int(entries), nil)
	return w.end(c)
}

// Fixed writes the next chunk out of byte strings of FixedSize bytes each, one
// behind the other.
func (w *Writer) Fixed(data []byte, rows Rows) error {
	if _, _, err := w.next(); err != nil {
		return err
	}
	n := len(data) / FixedSize
	c := w.begin(rows, n)
	c.encoding = encPlain
	for v := 0; v < n || v == 0; v += PlainValues {
		to := min(v+PlainValues, n)
		w.beginPage(c, rows, v, to)
		w.page = append(w.page, data[v*FixedSize:to*FixedSize]...)
		w.endPage(c, to-v, nil)
	}
	return w.end(c)
}

func (s *stats) of(least, most []byte, any bool) {
	if any && len(least) <= maxStat && len(most) <= maxStat {
		s.min, s.max = append([]byte{}, least...), append([]byte{}, most...)
	}
}

// Plain writes the next chunk out of n byte strings, one after the other.
// Statistics are left out where stat is false.
func (w *Writer) Plain(n int, value func(i int) []byte, rows Rows, stat bool) error {
	if _, _, err := w.next(); err != nil {
		return err
	}
	c := w.begin(rows, n)
	c.encoding = encPlain
	var least, most []byte
	for v := 0; v < n || v == 0; {
		to, size := v, 0
		for to < n && to-v < PlainValues && (to == v || size < maxPlain) {
			size += 4 + len(value(to))
			to++
		}
		w.beginPage(c, rows, v, to)
		for i := v; i < to; i++ {
			b := value(i)
			w.page = binary.LittleEndian.AppendUint32(w.page, uint32(len(b)))
			w.page = append(w.page, b...)
			if stat {
				if i == 0 || bytes.Compare(b, least) < 0 {
					least = b
				}
				if i == 0 || bytes.Compare(b, most) > 0 {
					most = b
				}
			}
		}
		w.endPage(c, to-v, nil)
		v = max(to, 1)
	}
	c.stats.of(least, most, stat && n > 0)
	return w.end(c)
}

func (w *Writer) begin(rows Rows, values int) *chunk {
	c := &chunk{values: int64(rows.N)}
	c.Offset, c.dataOffset = w.off, w.off
	c.stats.nulls = int64(rows.N - values)
	return c
}

func (w *Writer) end(c *chunk) error {
	g := &w.groups[len(w.groups)-1]
	c.Size = w.off - c.Offset
	c.Compressed = w.compress && !w.plain[len(g.chunks)]
	g.chunks = append(g.chunks, *c)
	return w.err
}

// beginPage begins a data page for values [from, to) with its levels.
func (w *Writer) beginPage(c *chunk, rows Rows, from, to int) {
	w.page = w.page[:0]
	p := pageInfo{firstRow: int64(from)}
	n := to - from
	if w.optional() {
		first, end := int32(from), int32(to)
		if rows.At != nil {
			// Rows without a value between two pages belong to the earlier one.
			first, end = 0, int32(rows.N)
			if from > 0 {
				first = rows.At[from] - rows.Base
			}
			if to < len(rows.At) {
				end = rows.At[to] - rows.Base
			}
		}
		p.firstRow = int64(first)
		n = int(end - first)
		if rows.At == nil {
			w.page = appendPresent(w.page, n)
		} else {
			w.page = appendLevels(w.page, n, rows.At[from:to], first+rows.Base)
		}
		p.nulls = int64(n - (to - from))
	}
	p.offset = int64(n) // until endPage knows it
	c.pages = append(c.pages, p)
}

func (w *Writer) optional() bool {
	return w.cols[len(w.groups[len(w.groups)-1].chunks)].Optional
}

// endPage writes the page that was begun. ints are its values where they are
// integers.
func (w *Writer) endPage(c *chunk, values int, ints []int64) {
	p := &c.pages[len(c.pages)-1]
	rows := int(p.offset)
	if len(ints) > 0 {
		p.ints = true
		p.least, p.most = minMax(ints)
	}
	p.offset = w.off
	w.writePage(c, pageData, rows, c.encoding)
	p.size = int32(w.off - p.offset)
}

func (w *Writer) dictPage(c *chunk, n int) {
	c.dictPage = true
	w.writePage(c, pageDict, n, encPlain)
	c.dataOffset = w.off
}

// indexPages writes the data pages of a chunk with a dictionary of n entries.
func (w *Writer) indexPages(c *chunk, rows Rows, idx []uint32, n int, ints []int64) {
	width := bits.Len(uint(max(n-1, 0)))
	step := pageValues
	if width > 0 {
		step = min(step, pageSize*8/width) &^ 7
	}
	for v := 0; v < len(idx) || v == 0; v += step {
		to := min(v+step, len(idx))
		w.beginPage(c, rows, v, to)
		w.page = append(w.page, byte(width))
		w.page = appendHybrid(w.page, idx[v:to], width)
		var of []int64
		if ints != nil {
			of = ints[v:to]
		}
		w.endPage(c, to-v, of)
	}
}

// worthwhile reports whether compression saved enough to be undone at every
// reading: a thirty-second.
func worthwhile(raw, packed int) bool { return packed <= raw-raw/32 }

// writePage writes the page in w.page behind its header. Whether a column is
// compressed is decided by its first page of some size.
func (w *Writer) writePage(c *chunk, typ, n int, encoding int32) {
	k := len(w.groups[len(w.groups)-1].chunks)
	body := w.page
	if w.compress && !w.plain[k] {
		w.packed = w.enc.EncodeAll(w.page, w.packed[:0])
		body = w.packed
		first := len(w.groups) == 1 && w.off == c.Offset
		if first && typ == pageData && w.cols[k].Type != Bytes && len(w.page) >= 1<<10 && !worthwhile(len(w.page), len(w.packed)) {
			w.plain[k] = true
			body = w.page
		}
	}
	h := &w.head
	h.b = h.b[:0]
	h.page(typ, n, encoding, len(w.page), len(body))
	c.raw += int64(len(h.b) + len(w.page))
	w.write(h.b)
	w.write(body)
}

// page writes the header of a page of raw bytes that takes size bytes in the file.
func (t *thriftWriter) page(typ, n int, encoding int32, raw, size int) {
	t.begin()
	t.i32(1, int32(typ))
	t.i32(2, int32(raw))
	t.i32(3, int32(size))
	if typ == pageDict {
		t.structure(7)
		t.i32(1, int32(n))
		t.i32(2, encoding)
	} else {
		t.structure(5)
		t.i32(1, int32(n))
		t.i32(2, encoding)
		t.i32(3, encRLE)
		t.i32(4, encRLE)
	}
	t.end()
	t.end()
}

// Close writes the page indexes and the footer. The writer is not to be used
// afterwards.
func (w *Writer) Close() error {
	if w.enc != nil {
		encoders.Put(w.enc)
		w.enc = nil
	}
	for i := range w.groups {
		if len(w.groups[i].chunks) != len(w.cols) {
			return fmt.Errorf("close Parquet file: row group %d has %d columns of %d", i, len(w.groups[i].chunks), len(w.cols))
		}
	}
	w.indexesOf()
	w.writeEnd()
	return w.err
}

// writeEnd writes the footer and the eight bytes behind it.
func (w *Writer) writeEnd() {
	at := w.off
	w.footer()
	n := w.off - at
	w.write(binary.LittleEndian.AppendUint32(nil, uint32(n)))
	w.write([]byte(magic))
}

// Chunks returns where the chunks of a row group are, by column. It is for
// after Close.
func (w *Writer) Chunks(group int) []Chunk {
	out := make([]Chunk, len(w.cols))
	for i := range out {
		out[i] = w.groups[group].chunks[i].Chunk
	}
	return out
}

// Groups returns how many row groups there are.
func (w *Writer) Groups() int { return len(w.groups) }
