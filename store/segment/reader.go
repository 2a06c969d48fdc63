package segment

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/xxh3"
	"trailward"
	"trailward/shape"
)

// ErrDamaged is returned, wrapped, for a segment that is not what Write wrote.
var ErrDamaged = errors.New("segment is damaged")

// maxSection bounds what a section may expand to, whatever its header says.
const maxSection = 256 << 20

// Reader reads a segment. It is safe for concurrent use.
type Reader struct {
	Meta *Meta
	r    io.ReaderAt
	keys bloom // of natural keys
	// The other filters are read when they are first asked for.
	filtersAt   [2]int64
	filtersOnce sync.Once
	filters     bloom
	filtersErr  error

	shapesAt [2]int64
	once     sync.Once
	shapes   []*shape.Shape
	shapeErr error

	idleMu sync.Mutex
	idle   *decoder // an open Parquet file that nobody uses

	keysOnce sync.Once
	keyRows  map[uint64][]int64
	keyErr   error
}

// Open reads the meta data of the segment of size bytes in r.
func Open(r io.ReaderAt, size int64) (*Reader, error) {
	if size < int64(trailerSize) {
		return nil, fmt.Errorf("%w: %d bytes are too few", ErrDamaged, size)
	}
	t := make([]byte, trailerSize)
	if _, err := r.ReadAt(t, size-int64(trailerSize)); err != nil {
		return nil, fmt.Errorf("read segment trailer: %w", err)
	}
	if string(t[36:]) != trailerMagic {
		return nil, fmt.Errorf("%w: no trailer", ErrDamaged)
	}
	if v := binary.LittleEndian.Uint32(t[32:]); v != version {
		return nil, fmt.Errorf("segment is of format version %d, this program reads version %d", v, version)
	}
	var n [4]int64 // shapes, keys, meta, parquet
	sum := int64(trailerSize)
	for i := range n {
		n[i] = int64(binary.LittleEndian.Uint64(t[8*i:]))
		if n[i] < 0 || n[i] > size {
			return nil, fmt.Errorf("%w: impossible section size", ErrDamaged)
		}
		sum += n[i]
	}
	if sum != size {
		return nil, fmt.Errorf("%w: sections make %d bytes of %d", ErrDamaged, sum, size)
	}
	s := &Reader{r: r, shapesAt: [2]int64{n[3], n[0]}}
	s.filtersAt = [2]int64{n[3] + n[0], n[1]}
	tail := make([]byte, n[2])
	if _, err := r.ReadAt(tail, n[3]+n[0]+n[1]); err != nil {
		return nil, fmt.Errorf("read segment meta data: %w", err)
	}
	meta, err := expand(tail)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(meta, &s.Meta); err != nil {
		return nil, fmt.Errorf("%w: meta data: %w", ErrDamaged, err)
	}
	if s.Meta == nil || s.Meta.ParquetSize != 0 && s.Meta.ParquetSize != n[3] || s.Meta.Rows <= 0 || s.Meta.Rows > MaxRecords {
		return nil, fmt.Errorf("%w: meta data does not fit", ErrDamaged)
	}
	s.Meta.ParquetSize = n[3]
	if s.Meta.KeyFilter < 0 || s.Meta.KeyFilter > n[1] {
		return nil, fmt.Errorf("%w: key filter does not fit", ErrDamaged)
	}
	s.keys = make(bloom, s.Meta.KeyFilter)
	if _, err := r.ReadAt(s.keys, s.filtersAt[0]); err != nil {
		return nil, fmt.Errorf("read segment's key filter: %w", err)
	}
	if err := s.keys.valid(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	for _, f := range s.Meta.Fields {
		if f.Filter[0] < 0 || f.Filter[1] < 0 || f.Filter[0]+f.Filter[1] > n[1] || f.Filter[1]%bloomBlock != 0 {
			return nil, fmt.Errorf("%w: filter does not fit", ErrDamaged)
		}
		if len(f.Chunks) != len(s.Meta.Groups) {
			return nil, fmt.Errorf("%w: field without its chunks", ErrDamaged)
		}
	}
	return s, nil
}

func expand(b []byte) ([]byte, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxSection))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	out, err := d.DecodeAll(b, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return out, nil
}

// Ranges returns which bytes of the segment, as offset and size, an engine
// reads for the named columns, the Parquet footer included.
func (s *Reader) Ranges(columns []string) [][2]int64 {
	end := int64(0) // of the last chunk; what follows it is page indexes and footer
	want := make(map[string]bool, len(columns))
	for _, c := range columns {
		want[c] = true
	}
	out := [][2]int64{{0, 4}}
	for _, f := range s.Meta.Fields {
		for _, c := range f.Chunks {
			end = max(end, c[0]+c[1])
			if want[f.Column] {
				out = append(out, c)
			}
		}
	}
	return append(out, [2]int64{end, s.Meta.ParquetSize - end})
}

// ReadAt reads the segment's bytes; the Parquet file is the first
// Meta.ParquetSize of them.
func (s *Reader) ReadAt(p []byte, off int64) (int, error) { return s.r.ReadAt(p, off) }

func (s *Reader) loadShapes() ([]*shape.Shape, error) {
	s.once.Do(func() {
		z := make([]byte, s.shapesAt[1])
		if _, s.shapeErr = s.r.ReadAt(z, s.shapesAt[0]); s.shapeErr != nil {
			return
		}
		var b []byte
		if b, s.shapeErr = expand(z); s.shapeErr != nil {
			return
		}
		n, k := binary.Uvarint(b)
		if k <= 0 || n > uint64(len(b)) {
			s.shapeErr = fmt.Errorf("%w: shapes", ErrDamaged)
			return
		}
		b = b[k:]
		path := func(c int) (string, bool) {
			if c >= len(s.Meta.Fields) {
				return "", false
			}
			return s.Meta.Fields[c].Path, true
		}
		for range n {
			var sh *shape.Shape
			if sh, b, s.shapeErr = shape.Decode(b, path); s.shapeErr != nil {
				s.shapeErr = fmt.Errorf("%w: %w", ErrDamaged, s.shapeErr)
				return
			}
			s.shapes = append(s.shapes, sh)
		}
	})
	return s.shapes, s.shapeErr
}

// filter returns the filter of a column's values, or nil.
func (s *Reader) filter(f *Field) bloom {
	if f.Filter[1] == 0 {
		return nil
	}
	s.filtersOnce.Do(func() {
		s.filters = make(bloom, s.filtersAt[1])
		_, s.filtersErr = s.r.ReadAt(s.filters, s.filtersAt[0])
	})
	if s.filtersErr != nil {
		return nil
	}
	return s.filters[f.Filter[0] : f.Filter[0]+f.Filter[1]]
}

func (s *Reader) field(path string) *Field {
	for i := range s.Meta.Fields {
		if s.Meta.Fields[i].Path == path {
			return &s.Meta.Fields[i]
		}
	}
	return nil
}

// mayEqual reports whether a column may hold one of the values, as far as its
// filter tells: yes where there is none. blocks, if not nil, are the first rows
// of the only blocks that may.
func (s *Reader) mayEqual(path string, values []string) (may bool, blocks []int) {
	f := s.field(path)
	if f == nil {
		return false, nil
	}
	b := s.filter(f)
	if b == nil {
		return true, nil
	}
	n := int(s.Meta.Rows)
	if f.Blocks && len(b) != blockFilters(n) {
		return true, nil
	}
	for _, v := range values {
		h := xxh3.HashString(v)
		if !f.Blocks {
			may = may || b.has(h)
			continue
		}
		for row := 0; row < n; row += blockRows {
			if b.inBlock(row, n).has(h) && !slices.Contains(blocks, row) {
				may = true
				blocks = append(blocks, row)
			}
		}
	}
	slices.Sort(blocks)
	return may, blocks
}

// Picked is the values of some rows of a column.
type Picked struct{ c *chunk }

// Value returns the value of the i-th row picked. buf is room for a number.
func (p Picked) Value(i int, buf []byte) ([]byte, bool) {
	if p.c == nil || p.c.at[i] < 0 {
		return nil, false
	}
	return p.c.value(i, buf), true
}

// Pick reads the values of a few rows, which ascend, of some columns.
func (s *Reader) Pick(paths []string, rows []int64) ([]Picked, error) {
	out := make([]Picked, len(paths))
	err := s.read(func(d *decoder) error {
		for i, path := range paths {
			if s.field(path) == nil {
				continue
			}
			all := &chunk{}
			left := rows
			for g, gr := range s.Meta.Groups {
				var pick []int
				for len(left) > 0 && left[0] < d.base[g]+gr.Rows {
					pick = append(pick, int(left[0]-d.base[g]))
					left = left[1:]
				}
				if len(pick) == 0 {
					continue
				}
				c, err := d.column(g, path, pick)
				if err != nil {
					return err
				}
				all.join(c)
			}
			out[i] = Picked{all}
		}
		return nil
	})
	return out, err
}

// join adds the values of o behind those of c.
func (c *chunk) join(o *chunk) {
	if len(c.at) == 0 {
		*c = *o
		return
	}
	n, m := len(c.nums), len(c.data)
	if o.ends != nil {
		n = len(c.ends)
	}
	for _, at := range o.at {
		if at >= 0 {
			at += int32(n)
		}
		c.at = append(c.at, at)
	}
	c.nums = append(c.nums, o.nums...)
	c.data = append(c.data, o.data...)
	for _, e := range o.ends {
		c.ends = append(c.ends, m+e)
	}
}

// Same reports whether the segment holds a record of the natural key that t
// has, and whether one of those has the content that same accepts.
func (s *Reader) Same(t shape.Taken, same func(raw []byte) bool) (key, content bool, err error) {
	holes := keyHoles(s.Meta.KeyPaths, t.Shape)
	if holes == nil {
		return false, false, nil
	}
	h := keyHash(holes, t.Values)
	if !s.keys.has(h) {
		return false, false, nil
	}
	s.keysOnce.Do(func() { s.keyRows, s.keyErr = s.loadKeys() })
	if s.keyErr != nil {
		return false, false, s.keyErr
	}
	rows := s.keyRows[h]
	if len(rows) == 0 {
		return false, false, nil
	}
	err = s.Records(rows, func(_ int64, r *trailward.Record) error {
		content = content || same(r.Raw)
		return nil
	})
	return true, content, err
}

// Streams returns the names of the streams that occur.
func (s *Reader) Streams() ([]string, error) {
	var out []string
	seen := map[string]bool{}
	err := s.read(func(d *decoder) error {
		for g := range s.Meta.Groups {
			c, err := d.column(g, colStream, nil)
			if err != nil {
				return err
			}
			for i := range s.Meta.Groups[g].Rows {
				if v := c.value(int(i), nil); !seen[string(v)] {
					seen[string(v)] = true
					out = append(out, string(v))
				}
			}
		}
		return nil
	})
	return out, err
}

func (s *Reader) loadKeys() (map[uint64][]int64, error) {
	out := make(map[uint64][]int64, s.Meta.Rows)
	err := s.read(func(d *decoder) error {
		var cols []*chunk
		for g := range s.Meta.Groups {
			cols = cols[:0]
			for _, p := range s.Meta.KeyPaths {
				c, err := d.column(g, p, nil)
				if err != nil {
					return err
				}
				cols = append(cols, c)
			}
			parts := make([][]byte, len(cols))
			for i := range s.Meta.Groups[g].Rows {
				for k, c := range cols {
					parts[k] = c.value(int(i), nil)
				}
				if parts[0] != nil {
					h := hashKey(parts)
					out[h] = append(out[h], d.base[g]+i)
				}
			}
		}
		return nil
	})
	return out, err
}

// Records puts records together: those of the given rows, which ascend, or all
// when rows is nil. The record is valid during fn; its group and kind are set.
func (s *Reader) Records(rows []int64, fn func(row int64, r *trailward.Record) error) error {
	shapes, err := s.loadShapes()
	if err != nil {
		return err
	}
	return s.read(func(d *decoder) error {
		for g, gr := range s.Meta.Groups {
			var pick []int // rows within the group; nil means all
			if rows != nil {
				for len(rows) > 0 && rows[0] < d.base[g]+gr.Rows {
					if rows[0] < d.base[g] {
						return fmt.Errorf("read segment: rows out of order")
					}
					pick = append(pick, int(rows[0]-d.base[g]))
					rows = rows[1:]
				}
				if len(pick) == 0 {
					continue
				}
			}
			if err := d.group(g, pick, shapes, fn); err != nil {
				return err
			}
		}
		if len(rows) > 0 {
			return fmt.Errorf("read segment: row %d does not exist", rows[0])
		}
		return nil
	})
}

// read calls fn with an open Parquet file, which nobody else uses meanwhile.
// The library panics on some damaged input; that is an error here.
func (s *Reader) read(fn func(*decoder) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	s.idleMu.Lock()
	d := s.idle
	s.idle = nil
	s.idleMu.Unlock()
	if d == nil {
		if d, err = s.openFile(); err != nil {
			return err
		}
	}
	if err := fn(d); err != nil {
		return err
	}
	s.idleMu.Lock()
	s.idle = d // one is enough: reading at once is rare, opening takes a moment only
	s.idleMu.Unlock()
	return nil
}

func (s *Reader) openFile() (*decoder, error) {
	// Without buffered streams the library reads a whole column chunk to get at
	// one page of it.
	props := parquet.NewReaderProperties(memory.DefaultAllocator)
	props.BufferedStreamEnabled, props.BufferSize = true, 64<<10
	pf, err := file.NewParquetReader(io.NewSectionReader(s.r, 0, s.Meta.ParquetSize), file.WithReadProps(props))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if pf.NumRowGroups() != len(s.Meta.Groups) || pf.MetaData().Schema.NumColumns() != len(s.Meta.Fields) {
		return nil, fmt.Errorf("%w: Parquet footer does not fit the meta data", ErrDamaged)
	}
	d := &decoder{s: s, pf: pf, byPath: make(map[string]int, len(s.Meta.Fields))}
	for i, f := range s.Meta.Fields {
		d.byPath[f.Path] = i
	}
	at := int64(0)
	for g, gr := range s.Meta.Groups {
		if pf.RowGroup(g).NumRows() != gr.Rows {
			return nil, fmt.Errorf("%w: row group does not fit the meta data", ErrDamaged)
		}
		d.base = append(d.base, at)
		at += gr.Rows
	}
	return d, nil
}

type decoder struct {
	s      *Reader
	pf     *file.Reader
	byPath map[string]int
	base   []int64 // the first row of each row group
}

// few is up to how many rows of a row group are sought one by one.
const few = 48

// chunk is the values of one column in one row group, or of the picked rows.
type chunk struct {
	nums   []int64
	digits int // of stamps; -1 for integers
	data   []byte
	ends   []int // of each value in data; nil for integers
	at     []int32
}

// value returns the value of row i, or nil. buf is room for a number.
func (c *chunk) value(i int, buf []byte) []byte {
	if c == nil || c.at[i] < 0 {
		return nil
	}
	v := c.at[i]
	if c.ends == nil {
		if c.digits >= 0 {
			return appendStamp(buf[:0], c.nums[v], c.digits)
		}
		return appendInt(buf[:0], c.nums[v])
	}
	from := 0
	if v > 0 {
		from = c.ends[v-1]
	}
	return c.data[from:c.ends[v]:c.ends[v]]
}

func (c *chunk) int(i int) int64 { return c.nums[c.at[i]] }

// column decodes a column of a row group: every row, or those picked. It
// returns nil when the segment has no such column.
func (d *decoder) column(g int, path string, pick []int) (*chunk, error) {
	i, ok := d.byPath[path]
	if !ok {
		return nil, nil
	}
	cr, err := d.pf.RowGroup(g).Column(i)
	if err != nil {
		return nil, fmt.Errorf("%w: column %d: %w", ErrDamaged, i, err)
	}
	c := &chunk{digits: -1}
	if f := &d.s.Meta.Fields[i]; f.Type == Stamp {
		c.digits = f.Digits
	}
	if _, ok := cr.(*file.ByteArrayColumnChunkReader); ok {
		c.ends = []int{}
	}
	if pick == nil {
		n := d.s.Meta.Groups[g].Rows
		c.at = make([]int32, 0, n)
		err = d.run(cr, c, n)
	} else {
		for k := 0; k < len(pick) && err == nil; {
			to := k + 1
			for to < len(pick) && pick[to] == pick[to-1]+1 {
				to++
			}
			if err = cr.(interface{ SeekToRow(int64) error }).SeekToRow(int64(pick[k])); err == nil {
				err = d.run(cr, c, int64(to-k))
			}
			k = to
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: column %d: %w", ErrDamaged, i, err)
	}
	return c, nil
}

// run decodes the next n rows of cr into c.
func (d *decoder) run(cr file.ColumnChunkReader, c *chunk, n int64) error {
	const batch = 4096
	var defs [batch]int16
	optional := cr.Descriptor().MaxDefinitionLevel() > 0
	for n > 0 {
		want := min(n, batch)
		var total int64
		var got int
		var err error
		switch cr := cr.(type) {
		case *file.Int64ColumnChunkReader:
			var v [batch]int64
			total, got, err = cr.ReadBatch(want, v[:], defs[:], nil)
			c.nums = append(c.nums, v[:got]...)
		case *file.Int32ColumnChunkReader:
			var v [batch]int32
			total, got, err = cr.ReadBatch(want, v[:], defs[:], nil)
			for _, x := range v[:got] {
				c.nums = append(c.nums, int64(x))
			}
		case *file.ByteArrayColumnChunkReader:
			var v [batch]parquet.ByteArray
			total, got, err = cr.ReadBatch(want, v[:], defs[:], nil)
			for _, x := range v[:got] {
				c.data = append(c.data, x...)
				c.ends = append(c.ends, len(c.data))
			}
		default:
			return fmt.Errorf("unexpected physical type %v", cr.Type())
		}
		if err != nil {
			return err
		}
		if total == 0 {
			return io.ErrUnexpectedEOF
		}
		next := int32(len(c.nums) - got)
		if c.ends != nil {
			next = int32(len(c.ends) - got)
		}
		for _, def := range defs[:total] {
			if !optional || def > 0 {
				c.at = append(c.at, next)
				next++
			} else {
				c.at = append(c.at, -1)
			}
		}
		n -= total
	}
	return nil
}

func (d *decoder) group(g int, pick []int, shapes []*shape.Shape, fn func(int64, *trailward.Record) error) error {
	sought := pick
	if len(pick) > few {
		sought = nil // cheaper to decode the whole row group
	}
	col := func(path string) (*chunk, error) { return d.column(g, path, sought) }
	sh, err := col(colShape)
	if err != nil {
		return err
	}
	tm, err := col(colTime)
	if err != nil {
		return err
	}
	ar, err := col(colArrival)
	if err != nil {
		return err
	}
	if sh == nil || tm == nil || ar == nil {
		return fmt.Errorf("%w: system columns are missing", ErrDamaged)
	}
	nanos, err := col(colNanos)
	if err != nil {
		return err
	}
	streams, err := col(colStream)
	if err != nil {
		return err
	}
	raws, err := col(colRaw)
	if err != nil {
		return err
	}
	type attr struct {
		name string
		c    *chunk
	}
	var attrs []attr
	for _, f := range d.s.Meta.Fields {
		if name, ok := strings.CutPrefix(f.Path, AttrPrefix); ok {
			c, err := col(f.Path)
			if err != nil {
				return err
			}
			attrs = append(attrs, attr{name, c})
		}
	}
	// The columns of the shapes that occur, each decoded once.
	cols := map[string]*chunk{}
	byShape := make([][]*chunk, len(shapes))
	rowsIn := func(i int) int { // the place in the decoded chunks of the i-th wanted row
		if pick == nil || sought != nil {
			return i
		}
		return pick[i]
	}
	n := len(pick)
	if pick == nil {
		n = int(d.s.Meta.Groups[g].Rows)
	}
	var values [][]byte
	var scratch [][room]byte
	var raw []byte
	r := &trailward.Record{Group: d.s.Meta.Group, Kind: d.s.Meta.Kind}
	for i := range n {
		at := rowsIn(i)
		k := sh.int(at)
		if k < 0 || k >= int64(len(shapes)) {
			return fmt.Errorf("%w: record of an unknown shape", ErrDamaged)
		}
		s := shapes[k]
		if s.Verbatim {
			v := raws.value(at, nil)
			if v == nil && (raws == nil || raws.at[at] < 0) {
				return fmt.Errorf("%w: record without its bytes", ErrDamaged)
			}
			raw = append(raw[:0], v...)
		} else {
			if byShape[k] == nil {
				cs := make([]*chunk, len(s.Holes))
				for h := range s.Holes {
					p := s.Holes[h].Path
					c, ok := cols[p]
					if !ok {
						if c, err = col(p); err != nil {
							return err
						}
						cols[p] = c
					}
					cs[h] = c
				}
				byShape[k] = cs
			}
			values = values[:0]
			for len(scratch) < len(s.Holes) {
				scratch = append(scratch, [room]byte{})
			}
			for h, c := range byShape[k] {
				if c == nil || c.at[at] < 0 {
					return fmt.Errorf("%w: record without a value of its shape", ErrDamaged)
				}
				values = append(values, c.value(at, scratch[h][:]))
			}
			raw = s.Append(raw[:0], values)
		}
		r.Raw = raw
		r.Time, r.Arrival = tm.int(at)*1000, ar.int(at)*1000
		if nanos != nil {
			r.Time += nanos.int(at)
		}
		if r.Stream != string(streams.value(at, nil)) {
			r.Stream = string(bytes.Clone(streams.value(at, nil)))
		}
		r.Attrs = r.Attrs[:0]
		for _, a := range attrs {
			if a.c.at[at] >= 0 {
				r.Attrs = append(r.Attrs, trailward.Attr{Name: a.name, Value: string(a.c.value(at, nil))})
			}
		}
		row := d.base[g] + int64(i)
		if pick != nil {
			row = d.base[g] + int64(pick[i])
		}
		if err := fn(row, r); err != nil {
			return err
		}
	}
	return nil
}
