// Package segment writes and reads one immutable run of records: a Parquet file
// with a column for each field, and behind it what Parquet does not hold, the
// shapes that put the records together again and the filter of their natural
// keys. docs/format/segment.md draws it.
//
// A [Builder] collects records of one group and one kind, taken apart, and
// writes them sorted by event time. A [Reader] reads what it wrote: the meta
// data at once, columns and records as they are asked for. The package knows
// one run of plain bytes: encryption is seal's, names on disk are blob's, which
// segments exist is catalog's.
//
// Parquet itself is the business of its child, segment/parquet.
package segment

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"strings"

	"trailward"
	"trailward/shape"
	"trailward/store/ledger"
)

// Limits of a segment.
const (
	// MaxShapes is how many shapes a segment takes apart in full. Records of
	// further shapes are taken apart at the top only, and after as many again
	// they are kept as one text each.
	MaxShapes = 2048
	// MaxFields is how many field columns a segment has; a record that would
	// need more is kept as one text.
	MaxFields = 1000
	// MaxRecords is how many records a segment holds.
	MaxRecords = math.MaxInt32
)

// The system columns. Every other column is a field, or what the framing said
// (AttrPrefix).
const (
	colTime    = "@timestamp"
	colNanos   = "@nanos" // event time below a microsecond, 0 to 999
	colArrival = "@ingestionTime"
	colStream  = "@logStream"
	colShape   = "@shape"
	colRaw     = "@raw" // the bytes of a record whose shape is verbatim
	// AttrPrefix begins the path of an attribute's column.
	AttrPrefix = "@attr."
	// ShapePath is the path of the column of the shapes' numbers.
	ShapePath = colShape
)

// Builder collects the records of one segment. It is not safe for concurrent use.
type Builder struct {
	Group string
	Kind  trailward.Kind
	wal   uint64 // of the segments that were added, see [Meta]

	taker   *shape.Taker
	opaque  func(string) bool
	rows    int
	rawSize int64
	times   []int64       // event time, ns
	arrival []int64       // ns
	sums    []ledger.Hash // of the bytes, for the leaves of the tree
	sorted  bool
	shapes  []*shape.Shape
	byPtr   map[*shape.Shape]shapeInfo
	byCode  map[string]int32 // encoded shape → number, for equal shapes at different pointers
	shapeOf []int32          // by row
	cols    []*column
	byPath  map[string]int
	like    map[string]sizes // what is to be expected of the columns
	raws    *column          // not in cols
	streams *column          // not in cols
	stream  string           // of the latest record
	attrs   map[string]*column
	fields  int
	detail  [3]int // shapes by detail

	keyPaths []string
	keys     map[uint64]int32 // hash of the natural key → its latest row
	earlier  []int32          // by row: the row before it of the same hash, or -1
	buf      []byte
}

type shapeInfo struct {
	num  int32
	cols []int32 // by hole; -1 for a value that a later duplicate hides
	keys []int32 // by key path: its hole, -1 when the shape lacks it; nil when it lacks all
}

// NewBuilder returns an empty Builder. opaque is as for shape.NewTaker;
// keyPaths are the fields that make up a record's natural key, if its kind has
// one.
func NewBuilder(group string, kind trailward.Kind, keyPaths []string, opaque func(string) bool) *Builder {
	return &Builder{
		Group: group, Kind: kind, opaque: opaque, keyPaths: keyPaths, sorted: true,
		byPtr: map[*shape.Shape]shapeInfo{}, byCode: map[string]int32{}, byPath: map[string]int{},
		raws: &column{path: colRaw, form: asText}, streams: &column{path: colStream, form: asDict, dict: newDict()}, attrs: map[string]*column{},
		keys: map[uint64]int32{},
	}
}

// Sizes says how large a builder became.
type Sizes struct {
	rows int
	cols map[string]sizes
}

// Sizes returns how large the builder is.
func (b *Builder) Sizes() Sizes {
	s := Sizes{rows: b.rows, cols: make(map[string]sizes, len(b.cols))}
	for _, c := range b.cols {
		s.cols[c.path] = c.sizes()
	}
	return s
}

// Expect makes an empty builder ready to become as large as an earlier one of
// the same records.
func (b *Builder) Expect(s Sizes) {
	n := s.rows + s.rows/32
	b.times, b.arrival, b.shapeOf = make([]int64, 0, n), make([]int64, 0, n), make([]int32, 0, n)
	b.sums = make([]ledger.Hash, 0, n)
	b.streams.idx = make([]uint32, 0, n)
	b.like = make(map[string]sizes, len(s.cols))
	for path, c := range s.cols {
		// A little more than before: what does not fit is copied once.
		for _, n := range []*int{&c.nums, &c.idx, &c.data, &c.ends, &c.rows} {
			*n += *n / 32
		}
		b.like[path] = c
	}
}

// Reserve makes room for so many records in all, of the sort of those that are
// there. To grow step by step copies everything several times over.
func (b *Builder) Reserve(rows int) {
	if b.rows == 0 || rows <= b.rows {
		return
	}
	more := float64(rows-b.rows) / float64(b.rows)
	extra := func(n int) int { return int(float64(n) * more) }
	b.times, b.arrival = slices.Grow(b.times, rows-b.rows), slices.Grow(b.arrival, rows-b.rows)
	b.shapeOf, b.sums = slices.Grow(b.shapeOf, rows-b.rows), slices.Grow(b.sums, rows-b.rows)
	for _, c := range append([]*column{b.streams}, b.cols...) {
		switch {
		case c.form.numeric():
			c.nums = slices.Grow(c.nums, extra(len(c.nums)))
		case c.form == asDict:
			c.idx = slices.Grow(c.idx, extra(len(c.idx)))
		case c.form == asUUIDs:
			c.data = slices.Grow(c.data, extra(len(c.data)))
		default:
			c.data, c.ends = slices.Grow(c.data, extra(len(c.data))), slices.Grow(c.ends, extra(len(c.ends)))
		}
		if c.rows != nil {
			c.rows = slices.Grow(c.rows, extra(len(c.rows)))
		}
	}
}

// Rows returns how many records the builder holds.
func (b *Builder) Rows() int { return b.rows }

// RawSize returns how many bytes those records have.
func (b *Builder) RawSize() int64 { return b.rawSize }

// Memory returns about how many bytes the builder's records take.
func (b *Builder) Memory() int64 {
	m := int64(b.rows)*(8+8+sha256.Size+4) + int64(4*len(b.earlier)+24*len(b.keys))
	for _, c := range b.cols {
		m += c.memory()
	}
	for _, c := range b.attrs {
		m += c.memory()
	}
	return m + b.raws.memory() + b.streams.memory()
}

// TimeRange returns the event times of the earliest and the latest record.
func (b *Builder) TimeRange() (first, last int64) {
	if b.rows == 0 {
		return 0, 0
	}
	if b.sorted {
		return b.times[0], b.times[b.rows-1]
	}
	return slices.Min(b.times), slices.Max(b.times)
}

// Add adds a record that t takes apart. The builder copies what it keeps.
func (b *Builder) Add(r *trailward.Record, t shape.Taken) {
	b.add(r, t, sha256.Sum256(r.Raw))
}

// add is Add with the SHA-256 of the record's bytes.
func (b *Builder) add(r *trailward.Record, t shape.Taken, sum ledger.Hash) {
	info, ok := b.byPtr[t.Shape]
	if !ok {
		t, info = b.learn(r, t)
	}
	row := b.rows
	for i, c := range info.cols {
		if c >= 0 {
			b.cols[c].add(row, t.Values[i])
		}
	}
	if t.Shape.Verbatim {
		b.raws.add(row, r.Raw)
	}
	if row > 0 && r.Stream == b.stream { // as most often
		b.streams.repeat(row)
	} else {
		b.stream = r.Stream
		b.streams.add(row, []byte(r.Stream))
	}
	for _, a := range r.Attrs {
		c := b.attrs[a.Name]
		if c == nil {
			c = &column{path: AttrPrefix + a.Name, form: asDict, dict: newDict()}
			b.attrs[a.Name] = c
		}
		if !c.has(row) { // of a name that comes twice the first counts
			c.add(row, []byte(strings.ToValidUTF8(a.Value, "\uFFFD")))
		}
	}
	b.shapeOf = append(b.shapeOf, info.num)
	if row > 0 && r.Time < b.times[row-1] {
		b.sorted = false
	}
	b.times = append(b.times, r.Time)
	b.arrival = append(b.arrival, r.Arrival)
	b.sums = append(b.sums, sum)
	b.rawSize += int64(len(r.Raw))
	if len(b.keyPaths) > 0 {
		before := int32(-1)
		if info.keys != nil {
			h := keyHash(info.keys, t.Values)
			if r, ok := b.keys[h]; ok {
				before = r
			}
			b.keys[h] = int32(row)
		}
		b.earlier = append(b.earlier, before)
	}
	b.rows++
}

// learn files a shape that this builder has not met. Where it would have too
// many, it takes the record apart again, more coarsely.
func (b *Builder) learn(r *trailward.Record, t shape.Taken) (shape.Taken, shapeInfo) {
	d := shape.Full
	for {
		fresh := 0
		for _, h := range t.Shape.Holes {
			if _, ok := b.byPath[h.Path]; !ok && h.Path != "" {
				fresh++
			}
		}
		if d == shape.Rest || b.detail[d] < MaxShapes && b.fields+fresh <= MaxFields-2 { // two are kept for RestPath and MessagePath
			break
		}
		// A shape may be known here although its pointer is new.
		if info, ok := b.known(t.Shape); ok {
			return t, info
		}
		if b.taker == nil {
			b.taker = shape.NewTaker(b.opaque)
		}
		d++
		if b.fields+fresh > MaxFields-2 {
			d = shape.Rest
		}
		coarse, ok := b.taker.JSON(r.Raw, d)
		if !ok { // a line
			coarse, d = b.taker.Text(r.Raw), shape.Rest
		}
		t = coarse
		if info, ok := b.byPtr[t.Shape]; ok {
			return t, info
		}
	}
	if info, ok := b.known(t.Shape); ok {
		return t, info
	}
	b.detail[d]++
	info := shapeInfo{num: int32(len(b.shapes)), cols: b.columnsOf(t.Shape), keys: keyHoles(b.keyPaths, t.Shape)}
	b.shapes = append(b.shapes, t.Shape)
	b.byCode[string(b.encode(t.Shape))] = info.num
	b.byPtr[t.Shape] = info
	return t, info
}

func (b *Builder) columnsOf(s *shape.Shape) []int32 {
	cols := make([]int32, len(s.Holes))
	for i, h := range s.Holes {
		if h.Path == "" {
			cols[i] = -1
			continue
		}
		c, ok := b.byPath[h.Path]
		if !ok {
			c = len(b.cols)
			b.byPath[h.Path] = c
			col := &column{path: h.Path, like: b.like[h.Path]}
			if n := col.like.nums; n > 0 {
				col.nums = make([]int64, 0, n)
			}
			b.cols = append(b.cols, col)
			b.fields++
		}
		switch h.Form {
		case shape.JSON:
			b.cols[c].json = true
			b.cols[c].toText()
		case shape.Quoted:
			b.cols[c].stands |= InQuotes
		case shape.Bare:
			b.cols[c].stands |= WithoutQuotes
		}
		cols[i] = int32(c)
	}
	return cols
}

func (b *Builder) encode(s *shape.Shape) []byte {
	b.buf = s.Encode(b.buf[:0], func(path string) int { return b.byPath[path] })
	return b.buf
}

// known finds a shape that equals s though its pointer is another.
func (b *Builder) known(s *shape.Shape) (shapeInfo, bool) {
	for _, h := range s.Holes {
		if _, ok := b.byPath[h.Path]; !ok && h.Path != "" {
			return shapeInfo{}, false
		}
	}
	num, ok := b.byCode[string(b.encode(s))]
	if !ok {
		return shapeInfo{}, false
	}
	info := b.byPtr[b.shapes[num]]
	if len(b.byPtr) < 4*MaxShapes {
		b.byPtr[s] = info
	}
	return info, true
}

// AppendRecord appends the bytes of the record in the given row to dst. Unlike
// the other methods it may be called concurrently while nothing is added.
func (b *Builder) AppendRecord(dst []byte, row int) []byte {
	s := b.shapes[b.shapeOf[row]]
	if s.Verbatim {
		v, _ := b.raws.value(row, nil)
		return append(dst, v...)
	}
	info := b.byPtr[s]
	values := make([][]byte, 0, 64)
	var nums [64][room]byte
	for i, c := range info.cols {
		var buf []byte
		if i < len(nums) {
			buf = nums[i][:]
		}
		v, _ := b.cols[c].value(row, buf)
		values = append(values, v)
	}
	return s.Append(dst, values)
}

// Same reports whether the builder holds a record of the natural key that t
// has, and whether one of those has the content that same accepts.
func (b *Builder) Same(t shape.Taken, same func(raw []byte) bool) (key, content bool) {
	if len(b.keyPaths) == 0 || len(b.keys) == 0 {
		return false, false
	}
	holes := keyHoles(b.keyPaths, t.Shape)
	if holes == nil {
		return false, false
	}
	row, ok := b.keys[keyHash(holes, t.Values)]
	if !ok {
		return false, false
	}
	for ; row >= 0; row = b.earlier[row] {
		if same(b.AppendRecord(nil, int(row))) {
			return true, true
		}
	}
	return true, false
}

// Merge adds all records of o, which must be of the same group and kind, behind
// those of b. o is unchanged and shares nothing with b afterwards.
func (b *Builder) Merge(o *Builder) error {
	if b.Group != o.Group || b.Kind != o.Kind {
		return fmt.Errorf("merge segment of %s %s into one of %s %s", o.Group, o.Kind, b.Group, b.Kind)
	}
	// Record by record: the shapes and columns differ, and the limits hold anew.
	var values [][]byte
	var raw []byte
	r := trailward.Record{Group: b.Group, Kind: b.Kind}
	for row := range o.rows {
		s := o.shapes[o.shapeOf[row]]
		info := o.byPtr[s]
		values = values[:0]
		for _, c := range info.cols {
			if c < 0 {
				values = append(values, nil)
				continue
			}
			v, _ := o.cols[c].value(row, nil)
			values = append(values, v)
		}
		raw = o.AppendRecord(raw[:0], row)
		stream, _ := o.streams.value(row, nil)
		r.Stream, r.Raw, r.Time, r.Arrival = string(stream), raw, o.times[row], o.arrival[row]
		r.Attrs = r.Attrs[:0]
		for name, c := range o.attrs {
			if v, ok := c.value(row, nil); ok {
				r.Attrs = append(r.Attrs, trailward.Attr{Name: name, Value: string(v)})
			}
		}
		b.add(&r, shape.Taken{Shape: s, Values: values}, o.sums[row])
	}
	return nil
}

// order returns the rows in order of event time, those of one time in order of
// acceptance, or nil when they are so already.
func (b *Builder) order() []int32 {
	if b.sorted {
		return nil
	}
	o := make([]int32, b.rows)
	for i := range o {
		o[i] = int32(i)
	}
	slices.SortStableFunc(o, func(i, j int32) int { return cmp.Compare(b.times[i], b.times[j]) })
	return o
}
