package segment

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/xxh3"
	"golang.org/x/sync/errgroup"
	"trailward"
	"trailward/shape"
	"trailward/store/segment/parquet"
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
	filtersAt [2]int64
	filtersMu sync.Mutex
	filters   map[*Field]bloom
	grams     map[*Field][]*gramTable // by row group
	dicts     *gramTable              // nil until hasDicts, and where it would tell nothing
	hasDicts  bool

	base   []int64        // the first row of each row group
	byPath map[string]int // path → number of the field

	indexesMu sync.Mutex
	indexes   map[int64][]parquet.Page // of chunks that were picked from, by where they lie

	shapesAt [2]int64
	once     sync.Once
	shapes   []*shape.Shape
	shapeErr error

	held atomic.Int64 // bytes of shapes and keyRows

	keysAsked atomic.Int64 // see manyKeys
	keysOnce  sync.Once
	keyRows   []keyRow
	keyErr    error
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
	if v := binary.LittleEndian.Uint32(t[32:]); v < oldestVersion || v > version {
		return nil, fmt.Errorf("segment is of format version %d, this program reads versions %d to %d", v, oldestVersion, version)
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
	if !fits(s.Meta.DictGrams, n[1]) {
		return nil, fmt.Errorf("%w: table of grams does not fit", ErrDamaged)
	}
	s.byPath = make(map[string]int, len(s.Meta.Fields))
	at := int64(0)
	for i, f := range s.Meta.Fields {
		if !fits(f.Filter, n[1]) || f.Filter[1]%bloomBlock != 0 || !fits(f.Grams, n[1]) || len(f.Has) > 32 {
			return nil, fmt.Errorf("%w: filter does not fit", ErrDamaged)
		}
		if len(f.Chunks) != len(s.Meta.Groups) || len(f.Index) != len(s.Meta.Groups) {
			return nil, fmt.Errorf("%w: field without its chunks", ErrDamaged)
		}
		for _, places := range [][][2]int64{f.Chunks, f.Index} {
			for _, c := range places {
				if !fits(c, n[3]) {
					return nil, fmt.Errorf("%w: chunk does not fit", ErrDamaged)
				}
			}
		}
		s.byPath[f.Path] = i
	}
	for _, g := range s.Meta.Groups {
		if g.Rows <= 0 || g.Rows > parquet.MaxRows {
			return nil, fmt.Errorf("%w: row group of %d records", ErrDamaged, g.Rows)
		}
		s.base = append(s.base, at)
		at += g.Rows
	}
	if at != s.Meta.Rows {
		return nil, fmt.Errorf("%w: row groups make %d records of %d", ErrDamaged, at, s.Meta.Rows)
	}
	return s, nil
}

// fits reports whether a place, offset and size, lies within so many bytes.
func fits(place [2]int64, within int64) bool {
	return place[0] >= 0 && place[1] >= 0 && place[0] <= within && place[1] <= within-place[0]
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

// Memory returns about how many bytes the open segment takes: its meta data, its
// filters and what else was read so far and is kept.
func (s *Reader) Memory() int64 {
	n := int64(len(s.keys)) + int64(len(s.Meta.Subtrees)) + int64(len(s.Meta.Fields))*(240+48*int64(len(s.Meta.Groups)))
	s.filtersMu.Lock()
	for _, f := range s.filters {
		n += int64(len(f))
	}
	for _, tables := range s.grams {
		for _, t := range tables {
			n += t.memory()
		}
	}
	n += s.dicts.memory()
	s.filtersMu.Unlock()
	s.indexesMu.Lock()
	for _, pages := range s.indexes {
		n += int64(len(pages)) * int64(unsafe.Sizeof(parquet.Page{}))
	}
	s.indexesMu.Unlock()
	return n + s.held.Load()
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
		s.held.Add(4 * int64(s.Meta.ShapesSize))
	})
	return s.shapes, s.shapeErr
}

// filter returns the filter of a column's values, or nil.
func (s *Reader) filter(f *Field) (bloom, error) {
	if f.Filter[1] == 0 {
		return nil, nil
	}
	s.filtersMu.Lock()
	defer s.filtersMu.Unlock()
	b, ok := s.filters[f]
	if !ok {
		var err error
		if b, err = s.bytes([2]int64{s.filtersAt[0] + f.Filter[0], f.Filter[1]}); err != nil {
			return nil, err
		}
		if s.filters == nil {
			s.filters = map[*Field]bloom{}
		}
		s.filters[f] = b
	}
	return b, nil
}

// gramTables returns the tables of a column, by row group.
func (s *Reader) gramTables(f *Field) ([]*gramTable, error) {
	s.filtersMu.Lock()
	defer s.filtersMu.Unlock()
	if tables, ok := s.grams[f]; ok {
		return tables, nil
	}
	var tables []*gramTable
	err := s.decodeGrams(f.Grams, func(b []byte, dec *zstd.Decoder) (rest []byte, err error) {
		for _, g := range s.Meta.Groups {
			var t *gramTable
			if t, b, err = decodeGrams(b, blocksOf(g.Rows), dec); err != nil {
				return nil, err
			}
			tables = append(tables, t)
		}
		return b, nil
	})
	if err != nil {
		return nil, err
	}
	if s.grams == nil {
		s.grams = map[*Field][]*gramTable{}
	}
	s.grams[f] = tables
	return tables, nil
}

// dictGrams returns the table of all columns that have a dictionary.
func (s *Reader) dictGrams() (*gramTable, error) {
	s.filtersMu.Lock()
	defer s.filtersMu.Unlock()
	if s.hasDicts {
		return s.dicts, nil
	}
	if s.Meta.DictGrams[1] == 0 {
		return nil, fmt.Errorf("%w: no table of grams", ErrDamaged)
	}
	err := s.decodeGrams(s.Meta.DictGrams, func(b []byte, dec *zstd.Decoder) (rest []byte, err error) {
		s.dicts, rest, err = decodeGrams(b, dictPlaces, dec)
		return rest, err
	})
	s.hasDicts = err == nil
	return s.dicts, err
}

// decodeGrams reads a place of the filters, all of which fn must decode.
func (s *Reader) decodeGrams(place [2]int64, fn func([]byte, *zstd.Decoder) ([]byte, error)) error {
	b, err := s.bytes([2]int64{s.filtersAt[0] + place[0], place[1]})
	if err != nil {
		return err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxSection))
	if err != nil {
		return err
	}
	defer dec.Close()
	if b, err = fn(b, dec); err == nil && len(b) > 0 {
		err = fmt.Errorf("%w: table of grams is followed by %d bytes", ErrDamaged, len(b))
	}
	return err
}

func (s *Reader) field(path string) *Field {
	if i, ok := s.byPath[path]; ok {
		return &s.Meta.Fields[i]
	}
	return nil
}

// mayEqual reports whether a column may hold one of the values, as far as its
// filter tells. blocks, if not nil, are the first rows of the only blocks that
// may.
func (s *Reader) mayEqual(f *Field, values []string) (may bool, blocks []int, err error) {
	b, err := s.filter(f)
	if err != nil {
		return false, nil, err
	}
	n := int(s.Meta.Rows)
	if f.Blocks && len(b) != blockFilters(n) {
		return false, nil, fmt.Errorf("%w: filter does not fit", ErrDamaged)
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
	return may, blocks, nil
}

// Picked is the values of some rows of a column.
type Picked struct {
	chunks []*chunk // by row picked; nil when the segment lacks the column
	at     []int    // and which row of those picked in that chunk
}

// Value returns the value of the i-th row picked. buf is room for a number.
func (p Picked) Value(i int, buf []byte) ([]byte, bool) {
	if p.chunks == nil || !p.chunks[i].has(p.at[i]) {
		return nil, false
	}
	return p.chunks[i].value(p.at[i], buf), true
}

// Pick reads the values of a few rows, which ascend, of some columns. Columns
// are read at the same time.
func (s *Reader) Pick(paths []string, rows []int64) ([]Picked, error) {
	out := make([]Picked, len(paths))
	var eg errgroup.Group
	eg.SetLimit(runtime.GOMAXPROCS(0))
	for i, path := range paths {
		if s.field(path) != nil {
			eg.Go(func() (err error) {
				out[i], err = s.pick(path, rows)
				return err
			})
		}
	}
	return out, eg.Wait()
}

func (s *Reader) pick(path string, rows []int64) (out Picked, err error) {
	for g, gr := range s.Meta.Groups {
		var pick []int
		for len(rows) > 0 && rows[0] < s.base[g]+gr.Rows {
			pick = append(pick, int(rows[0]-s.base[g]))
			rows = rows[1:]
		}
		if len(pick) == 0 {
			continue
		}
		c, err := s.column(g, path, pick)
		if err != nil {
			return Picked{}, err
		}
		for k := range pick {
			out.chunks, out.at = append(out.chunks, c), append(out.at, k)
		}
	}
	if len(rows) > 0 {
		return Picked{}, fmt.Errorf("read segment: row %d does not exist", rows[0])
	}
	return out, nil
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
	rows, err := s.keyed(h, holes, t.Values)
	if err != nil {
		return false, false, err
	}
	if len(rows) == 0 {
		return false, false, nil
	}
	err = s.Records(rows, func(_ int64, r *trailward.Record) error {
		content = content || same(r.Raw)
		return nil
	})
	return true, content, err
}

// manyKeys is how many keys are looked for in single pages before all keys of
// the segment are read: the filter errs now and then, and a record that comes
// again mostly does not come alone.
const manyKeys = 128

// keyed returns the rows whose natural key has the hash h and the given parts.
func (s *Reader) keyed(h uint64, holes []int32, values [][]byte) ([]int64, error) {
	if s.keysAsked.Add(1) <= manyKeys {
		rows, ok, err := s.keyedByPage(h, values[holes[0]])
		if ok || err != nil {
			return rows, err
		}
	}
	s.keysOnce.Do(func() {
		s.keyRows, s.keyErr = s.loadKeys()
		s.held.Add(int64(unsafe.Sizeof(keyRow{})) * int64(len(s.keyRows)))
	})
	if s.keyErr != nil {
		return nil, s.keyErr
	}
	at, _ := slices.BinarySearchFunc(s.keyRows, h, func(k keyRow, h uint64) int { return cmp.Compare(k.hash, h) })
	var rows []int64
	for ; at < len(s.keyRows) && s.keyRows[at].hash == h; at++ {
		rows = append(rows, s.keyRows[at].row)
	}
	return rows, nil
}

// keyedByPage is keyed by way of the blocks that can have the key's first part;
// ok is false where these are not few.
func (s *Reader) keyedByPage(h uint64, first []byte) (rows []int64, ok bool, err error) {
	path := s.Meta.KeyPaths[0]
	f := s.field(path)
	if f == nil {
		return nil, true, nil
	}
	at, err := s.placesOfValues(f, []string{string(first)})
	if err != nil || at.blocks == nil || at.count() > 2 {
		return nil, false, err
	}
	var found []int64
	for g, w := range at.blocks {
		for ; w != 0; w &= w - 1 {
			c, err := s.Block(path, g*blocksInGroup+bits.TrailingZeros64(w))
			if err != nil {
				return nil, false, err
			}
			c.equal(0, c.n, Test{Op: Equal, Values: []string{string(first)}}, func(row int) { found = append(found, int64(row)) })
		}
	}
	if len(found) == 0 {
		return nil, true, nil
	}
	slices.Sort(found)
	picked, err := s.Pick(s.Meta.KeyPaths, found)
	if err != nil {
		return nil, false, err
	}
	parts := make([][]byte, len(picked))
	for i, row := range found {
		for k, p := range picked {
			parts[k], _ = p.Value(i, make([]byte, 0, room))
		}
		if hashKey(parts) == h {
			rows = append(rows, row)
		}
	}
	return rows, true, nil
}

// Streams returns the names of the streams that occur.
func (s *Reader) Streams() ([]string, error) {
	var out []string
	seen := map[string]bool{}
	for g := range s.Meta.Groups {
		c, err := s.column(g, colStream, nil)
		if err != nil {
			return nil, err
		}
		if c == nil || c.form != asDict {
			return nil, fmt.Errorf("%w: no streams", ErrDamaged)
		}
		for i := range c.Ends { // every entry of the dictionary occurs
			if v := c.Entry(i); !seen[string(v)] {
				seen[string(v)] = true
				out = append(out, string(v))
			}
		}
	}
	return out, nil
}

// keyRow is the hash of a record's natural key, and its row.
type keyRow struct {
	hash uint64
	row  int64
}

// loadKeys returns the keys by hash, those of one hash by row. Very many segments
// may have theirs in memory at once, so that they are kept as a list and no map.
func (s *Reader) loadKeys() ([]keyRow, error) {
	out := make([]keyRow, 0, s.Meta.Rows)
	var cols []*chunk
	for g := range s.Meta.Groups {
		cols = cols[:0]
		for _, p := range s.Meta.KeyPaths {
			c, err := s.column(g, p, nil)
			if err != nil {
				return nil, err
			}
			cols = append(cols, c)
		}
		parts := make([][]byte, len(cols))
		for i := range s.Meta.Groups[g].Rows {
			for k, c := range cols {
				parts[k] = c.value(int(i), nil)
			}
			if parts[0] != nil {
				out = append(out, keyRow{hashKey(parts), s.base[g] + i})
			}
		}
	}
	slices.SortFunc(out, func(a, b keyRow) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.row, b.row)) })
	return out, nil
}

// Records puts records together: those of the given rows, which ascend, or all
// when rows is nil. The record is valid during fn; its group and kind are set.
func (s *Reader) Records(rows []int64, fn func(row int64, r *trailward.Record) error) error {
	shapes, err := s.loadShapes()
	if err != nil {
		return err
	}
	for g, gr := range s.Meta.Groups {
		var pick []int // rows within the group; nil means all
		if rows != nil {
			for len(rows) > 0 && rows[0] < s.base[g]+gr.Rows {
				if rows[0] < s.base[g] {
					return fmt.Errorf("read segment: rows out of order")
				}
				pick = append(pick, int(rows[0]-s.base[g]))
				rows = rows[1:]
			}
			if len(pick) == 0 {
				continue
			}
		}
		if err := s.group(g, pick, shapes, fn); err != nil {
			return err
		}
	}
	if len(rows) > 0 {
		return fmt.Errorf("read segment: row %d does not exist", rows[0])
	}
	return nil
}

// few is up to how many rows of a row group are sought one by one.
const few = 48

// chunk is the values of one column in one row group, or of the picked rows.
type chunk struct {
	*parquet.Values
	form   form    // of the numbers, if Nums are the values; asUUIDs; else of no matter
	digits int     // of stamps
	at     []int32 // of the picked rows: Values' value, or -1; nil when they are all rows
}

// index returns which value row i has, or -1.
func (c *chunk) index(i int) int {
	if c.at != nil {
		return int(c.at[i])
	}
	if c.At != nil {
		return int(c.At[i])
	}
	return i
}

func (c *chunk) has(i int) bool { return c != nil && c.index(i) >= 0 }

// value returns the value of row i, or nil. buf is room for a number.
func (c *chunk) value(i int, buf []byte) []byte {
	if c == nil {
		return nil
	}
	v := c.index(i)
	switch {
	case v < 0:
		return nil
	case c.form.numeric():
		return c.form.appendNumber(buf[:0], c.Nums[v], c.digits)
	case c.form == asUUIDs:
		return appendUUIDText(buf[:0], c.Text(v))
	}
	return c.Text(v)
}

// int returns the integer of row i in a column that every record has.
func (c *chunk) int(i int) int64 { return c.Nums[c.index(i)] }

// column decodes a column of a row group: every row, or those picked, which
// ascend. It returns nil when the segment has no such column.
func (s *Reader) column(g int, path string, pick []int) (*chunk, error) {
	f := s.field(path)
	if f == nil {
		return nil, nil
	}
	c := &chunk{form: f.form(), digits: f.Digits}
	var err error
	if pick == nil {
		var b []byte
		if b, err = s.bytes(f.Chunks[g]); err == nil {
			c.Values, err = parquet.Decode(b, f.column(), !f.Raw, int(s.Meta.Groups[g].Rows))
		}
	} else {
		c.Values, c.at, err = s.pages(f, g, pick)
	}
	if errors.Is(err, parquet.ErrDamaged) {
		err = fmt.Errorf("%w: column %s: %w", ErrDamaged, f.Column, err)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (s *Reader) bytes(place [2]int64) ([]byte, error) {
	b := make([]byte, place[1])
	if _, err := s.r.ReadAt(b, place[0]); err != nil {
		return nil, fmt.Errorf("read segment: %w", err)
	}
	return b, nil
}

// index returns the pages of a chunk.
func (s *Reader) index(f *Field, g int) ([]parquet.Page, error) {
	at := f.Index[g]
	s.indexesMu.Lock()
	index := s.indexes[at[0]]
	s.indexesMu.Unlock()
	if index != nil {
		return index, nil
	}
	b, err := s.bytes(at)
	if err != nil {
		return nil, err
	}
	if index, err = parquet.DecodeIndex(b, parquet.Chunk{Offset: f.Chunks[g][0], Size: f.Chunks[g][1]}, s.Meta.Groups[g].Rows); err != nil {
		return nil, err
	}
	s.indexesMu.Lock()
	defer s.indexesMu.Unlock()
	if s.indexes == nil {
		s.indexes = map[int64][]parquet.Page{}
	}
	s.indexes[at[0]] = index
	return index, nil
}

// pages decodes the pages of a chunk that have the picked rows.
func (s *Reader) pages(f *Field, g int, pick []int) (*parquet.Values, []int32, error) {
	rows := s.Meta.Groups[g].Rows
	index, err := s.index(f, g)
	if err != nil {
		return nil, nil, err
	}
	var b []byte
	if b, err = s.bytes([2]int64{f.Chunks[g][0], index[0].Offset - f.Chunks[g][0]}); err != nil {
		return nil, nil, err
	}
	p, err := parquet.NewPicker(b, f.column(), !f.Raw)
	if err != nil {
		return nil, nil, err
	}
	at := make([]int32, len(pick))
	var values *parquet.Values
	page, first := -1, 0
	for i, row := range pick {
		if k := parquet.PageOf(index, int64(row)); k != page {
			page = k
			if b, err = s.bytes([2]int64{index[k].Offset, index[k].Size}); err != nil {
				return nil, nil, err
			}
			if values, first, err = p.Page(b, rows); err != nil {
				return nil, nil, err
			}
		}
		n := first + row - int(index[page].FirstRow)
		if n >= p.Rows() {
			return nil, nil, fmt.Errorf("%w: row %d is not in its page", parquet.ErrDamaged, row)
		}
		at[i] = int32(n)
		if values.At != nil {
			at[i] = values.At[n]
		}
	}
	// A later page may have been the first with a row that has no value; then
	// the numbers above are still right, as every row before has one.
	return values, at, nil
}

func (s *Reader) group(g int, pick []int, shapes []*shape.Shape, fn func(int64, *trailward.Record) error) error {
	sought := pick
	if len(pick) > few {
		sought = nil // cheaper to decode the whole row group
	}
	col := func(path string) (*chunk, error) { return s.column(g, path, sought) }
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
	for _, f := range s.Meta.Fields {
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
		n = int(s.Meta.Groups[g].Rows)
	}
	var values [][]byte
	var scratch [][room]byte
	var raw []byte
	r := &trailward.Record{Group: s.Meta.Group, Kind: s.Meta.Kind}
	for i := range n {
		at := rowsIn(i)
		k := sh.int(at)
		if k < 0 || k >= int64(len(shapes)) {
			return fmt.Errorf("%w: record of an unknown shape", ErrDamaged)
		}
		sp := shapes[k]
		if sp.Verbatim {
			if !raws.has(at) {
				return fmt.Errorf("%w: record without its bytes", ErrDamaged)
			}
			raw = append(raw[:0], raws.value(at, nil)...)
		} else {
			if byShape[k] == nil {
				cs := make([]*chunk, len(sp.Holes))
				for h := range sp.Holes {
					p := sp.Holes[h].Path
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
			for len(scratch) < len(sp.Holes) {
				scratch = append(scratch, [room]byte{})
			}
			for h, c := range byShape[k] {
				if !c.has(at) {
					return fmt.Errorf("%w: record without a value of its shape", ErrDamaged)
				}
				values = append(values, c.value(at, scratch[h][:]))
			}
			raw = sp.Append(raw[:0], values)
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
			if a.c.has(at) {
				r.Attrs = append(r.Attrs, trailward.Attr{Name: a.name, Value: string(a.c.value(at, nil))})
			}
		}
		row := s.base[g] + int64(i)
		if pick != nil {
			row = s.base[g] + int64(pick[i])
		}
		if err := fn(row, r); err != nil {
			return err
		}
	}
	return nil
}
