package duck

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	duckdb "github.com/duckdb/duckdb-go-bindings"

	"trailward/query/plan"
)

// How DuckDB's values become ours:
//
//	BOOLEAN                      bool
//	integers up to 64 bits       int64; UBIGINT, HUGEINT and UHUGEINT: int64 if it fits, else the digits as string
//	DECIMAL                      int64 without a fraction, float64 up to 15 digits, else the digits as string
//	FLOAT, DOUBLE                float64
//	TIMESTAMP (all), TIMESTAMPTZ time.Time in UTC; ±infinity as string
//	DATE, TIME, TIMETZ, INTERVAL string: 2006-01-02, 15:04:05.999999, …+00:00, DuckDB's words for intervals
//	VARCHAR, ENUM, UUID, BIT     string
//	JSON                         json.RawMessage
//	BLOB                         string: as it is if it is UTF-8, else in hexadecimal
//	LIST, ARRAY                  []any
//	STRUCT                       plan.Struct; members without a name are field0, field1, … by their place
//	MAP                          map[string]any; a key that is no text in its text form
//	UNION                        the value of its member

// column is a type with what is needed to read its vectors.
type column struct {
	id       duckdb.Type
	json     bool
	scale    int
	internal duckdb.Type // of DECIMAL and ENUM
	words    []string    // of ENUM
	names    []string    // of STRUCT and UNION
	length   uint64      // of ARRAY
	children []column
}

// decoder turns chunks of one result into rows.
type decoder struct{ cols []column }

func newDecoder(res *duckdb.Result) (*decoder, []Column, error) {
	n := int(duckdb.ColumnCount(res))
	d := &decoder{cols: make([]column, n)}
	out := make([]Column, n)
	for i := range n {
		lt := duckdb.ColumnLogicalType(res, duckdb.IdxT(i))
		c, err := newColumn(lt)
		name := typeName(&c, lt)
		duckdb.DestroyLogicalType(&lt)
		if err != nil {
			return nil, nil, fmt.Errorf("column %q: %w", duckdb.ColumnName(res, duckdb.IdxT(i)), err)
		}
		d.cols[i] = c
		out[i] = Column{Name: duckdb.ColumnName(res, duckdb.IdxT(i)), Type: c.planType(), SQL: name}
	}
	return d, out, nil
}

func newColumn(lt duckdb.LogicalType) (column, error) {
	c := column{id: duckdb.GetTypeId(lt)}
	child := func(t duckdb.LogicalType) error {
		defer duckdb.DestroyLogicalType(&t)
		k, err := newColumn(t)
		c.children = append(c.children, k)
		return err
	}
	switch c.id {
	case duckdb.TypeVarchar:
		c.json = duckdb.LogicalTypeGetAlias(lt) == "JSON"
	case duckdb.TypeDecimal:
		c.scale = int(duckdb.DecimalScale(lt))
		c.internal = duckdb.DecimalInternalType(lt)
	case duckdb.TypeEnum:
		c.internal = duckdb.EnumInternalType(lt)
		for i := range duckdb.EnumDictionarySize(lt) {
			c.words = append(c.words, duckdb.EnumDictionaryValue(lt, duckdb.IdxT(i)))
		}
	case duckdb.TypeList:
		return c, child(duckdb.ListTypeChildType(lt))
	case duckdb.TypeArray:
		c.length = uint64(duckdb.ArrayTypeArraySize(lt))
		return c, child(duckdb.ArrayTypeChildType(lt))
	case duckdb.TypeMap:
		if err := child(duckdb.MapTypeKeyType(lt)); err != nil {
			return c, err
		}
		return c, child(duckdb.MapTypeValueType(lt))
	case duckdb.TypeStruct:
		for i := range duckdb.StructTypeChildCount(lt) {
			name := duckdb.StructTypeChildName(lt, i)
			if name == "" {
				name = "field" + strconv.FormatUint(uint64(i), 10) // as Athena shows them
			}
			c.names = append(c.names, name)
			if err := child(duckdb.StructTypeChildType(lt, i)); err != nil {
				return c, err
			}
		}
	case duckdb.TypeUnion:
		for i := range duckdb.UnionTypeMemberCount(lt) {
			c.names = append(c.names, duckdb.UnionTypeMemberName(lt, i))
			if err := child(duckdb.UnionTypeMemberType(lt, i)); err != nil {
				return c, err
			}
		}
	case duckdb.TypeVariant, duckdb.TypeGeometry, duckdb.TypeBigNum, duckdb.TypeTimeNS, duckdb.TypeAny, duckdb.TypeInvalid:
		return c, &Error{Msg: "type " + sqlNames[c.id] + " cannot be shown: cast it to VARCHAR"}
	}
	return c, nil
}

var sqlNames = map[duckdb.Type]string{
	duckdb.TypeBoolean: "BOOLEAN", duckdb.TypeTinyInt: "TINYINT", duckdb.TypeSmallInt: "SMALLINT", duckdb.TypeInteger: "INTEGER",
	duckdb.TypeBigInt: "BIGINT", duckdb.TypeUTinyInt: "UTINYINT", duckdb.TypeUSmallInt: "USMALLINT", duckdb.TypeUInteger: "UINTEGER",
	duckdb.TypeUBigInt: "UBIGINT", duckdb.TypeFloat: "FLOAT", duckdb.TypeDouble: "DOUBLE", duckdb.TypeTimestamp: "TIMESTAMP",
	duckdb.TypeDate: "DATE", duckdb.TypeTime: "TIME", duckdb.TypeInterval: "INTERVAL", duckdb.TypeHugeInt: "HUGEINT",
	duckdb.TypeUHugeInt: "UHUGEINT", duckdb.TypeVarchar: "VARCHAR", duckdb.TypeBlob: "BLOB", duckdb.TypeDecimal: "DECIMAL",
	duckdb.TypeTimestampS: "TIMESTAMP_S", duckdb.TypeTimestampMS: "TIMESTAMP_MS", duckdb.TypeTimestampNS: "TIMESTAMP_NS",
	duckdb.TypeEnum: "ENUM", duckdb.TypeList: "LIST", duckdb.TypeStruct: "STRUCT", duckdb.TypeMap: "MAP", duckdb.TypeArray: "ARRAY",
	duckdb.TypeUUID: "UUID", duckdb.TypeUnion: "UNION", duckdb.TypeBit: "BIT", duckdb.TypeTimeTZ: "TIMETZ",
	duckdb.TypeTimestampTZ: "TIMESTAMPTZ", duckdb.TypeAny: "ANY", duckdb.TypeBigNum: "BIGNUM", duckdb.TypeSQLNull: "NULL",
	duckdb.TypeTimeNS: "TIME_NS", duckdb.TypeGeometry: "GEOMETRY", duckdb.TypeVariant: "VARIANT", duckdb.TypeInvalid: "INVALID",
}

func typeName(c *column, lt duckdb.LogicalType) string {
	switch {
	case c.json:
		return "JSON"
	case c.id == duckdb.TypeDecimal:
		return fmt.Sprintf("DECIMAL(%d,%d)", duckdb.DecimalWidth(lt), c.scale)
	}
	return sqlNames[c.id]
}

func (c *column) planType() plan.Type {
	switch c.id {
	case duckdb.TypeSQLNull:
		return plan.Null
	case duckdb.TypeBoolean:
		return plan.Bool
	case duckdb.TypeTinyInt, duckdb.TypeSmallInt, duckdb.TypeInteger, duckdb.TypeBigInt, duckdb.TypeUTinyInt,
		duckdb.TypeUSmallInt, duckdb.TypeUInteger, duckdb.TypeUBigInt, duckdb.TypeHugeInt, duckdb.TypeUHugeInt:
		return plan.Int
	case duckdb.TypeFloat, duckdb.TypeDouble:
		return plan.Float
	case duckdb.TypeDecimal:
		if c.scale == 0 {
			return plan.Int
		}
		return plan.Float
	case duckdb.TypeTimestamp, duckdb.TypeTimestampS, duckdb.TypeTimestampMS, duckdb.TypeTimestampNS, duckdb.TypeTimestampTZ:
		return plan.Time
	case duckdb.TypeList, duckdb.TypeArray:
		return plan.List
	case duckdb.TypeStruct, duckdb.TypeMap, duckdb.TypeUnion:
		return plan.JSON
	}
	if c.json {
		return plan.JSON
	}
	return plan.Text
}

// validity is DuckDB's bit mask of rows that are not null; nil means all.
type mask struct{ bits unsafe.Pointer }

func validity(p unsafe.Pointer) mask { return mask{p} }

func (m mask) valid(row uint64) bool {
	if m.bits == nil {
		return true
	}
	return *(*uint64)(unsafe.Add(m.bits, row/64*8))&(1<<(row%64)) != 0
}

// vector is one column of one chunk.
type vector struct {
	c        *column
	data     unsafe.Pointer
	mask     mask
	children []vector
}

func (c *column) vector(v duckdb.Vector) vector {
	out := vector{c: c, data: duckdb.VectorGetData(v), mask: validity(duckdb.VectorGetValidity(v))}
	switch c.id {
	case duckdb.TypeList:
		out.children = []vector{c.children[0].vector(duckdb.ListVectorGetChild(v))}
	case duckdb.TypeArray:
		out.children = []vector{c.children[0].vector(duckdb.ArrayVectorGetChild(v))}
	case duckdb.TypeMap: // a list of structs of key and value
		entries := duckdb.ListVectorGetChild(v)
		for i := range c.children {
			out.children = append(out.children, c.children[i].vector(duckdb.StructVectorGetChild(entries, duckdb.IdxT(i))))
		}
	case duckdb.TypeStruct:
		for i := range c.children {
			out.children = append(out.children, c.children[i].vector(duckdb.StructVectorGetChild(v, duckdb.IdxT(i))))
		}
	case duckdb.TypeUnion: // a struct whose first member is the tag
		tag := column{id: duckdb.TypeUTinyInt}
		out.children = append(out.children, tag.vector(duckdb.StructVectorGetChild(v, 0)))
		for i := range c.children {
			out.children = append(out.children, c.children[i].vector(duckdb.StructVectorGetChild(v, duckdb.IdxT(i+1))))
		}
	}
	return out
}

// Limits of what is taken out of DuckDB at once. Its own memory limit does not
// count these values, which take several times as much room here as there.
const (
	batchBytes = 2 << 20 // about what the rows of one batch hold, unless one row has more
	// MaxRowBytes is the most that the values of one row may take, in bytes.
	MaxRowBytes = 64 << 20
)

// rows turns a chunk into rows, which do not depend on it any more, and hands
// them to emit, not more at a time than batchBytes.
func (d *decoder) rows(chunk duckdb.DataChunk, emit func([][]any) error) error {
	n := int(duckdb.DataChunkGetSize(chunk))
	width := len(d.cols)
	vectors := make([]vector, width)
	for i := range d.cols {
		vectors[i] = d.cols[i].vector(duckdb.DataChunkGetVector(chunk, duckdb.IdxT(i)))
	}
	for from := 0; from < n; {
		bytes, to := 0, from
		for ; to < n; to++ {
			size := 0
			for i := range vectors {
				size += vectors[i].size(uint64(to))
			}
			if size > MaxRowBytes {
				return &Error{Msg: fmt.Sprintf("a row of the answer takes more than the limit of %d MiB: gather fewer values into one list or text", MaxRowBytes>>20)}
			}
			if bytes += size; bytes > batchBytes && to > from {
				break
			}
		}
		cells := make([]any, (to-from)*width)
		out := make([][]any, to-from)
		for row := range out {
			out[row] = cells[row*width : (row+1)*width : (row+1)*width]
			for i := range vectors {
				out[row][i] = vectors[i].value(uint64(from + row))
			}
		}
		if err := emit(out); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// size is about how many bytes a value takes once it is taken out.
func (v *vector) size(row uint64) int {
	const boxed = 16
	if !v.mask.valid(row) {
		return boxed
	}
	sum := func(offset, length uint64) (n int) {
		for i := offset; i < offset+length && n <= MaxRowBytes; i++ {
			for k := range v.children {
				n += v.children[k].size(i)
			}
		}
		return n
	}
	switch v.c.id {
	case duckdb.TypeVarchar, duckdb.TypeBlob, duckdb.TypeBit:
		return 2*boxed + len(v.bytes(row))
	case duckdb.TypeList:
		e := at[listEntry](v, row)
		return 3*boxed + sum(e.offset, e.length)
	case duckdb.TypeMap:
		e := at[listEntry](v, row)
		return 3*boxed + 2*sum(e.offset, e.length) // a map has room to spare
	case duckdb.TypeArray:
		return 3*boxed + sum(row*v.c.length, v.c.length)
	case duckdb.TypeStruct, duckdb.TypeUnion:
		return 3*boxed + 2*sum(row, 1)
	}
	return 2 * boxed
}

func at[T any](v *vector, row uint64) T {
	var zero T
	return *(*T)(unsafe.Add(v.data, uintptr(row)*unsafe.Sizeof(zero)))
}

type listEntry struct{ offset, length uint64 }

type int128 struct {
	lower uint64
	upper int64
}

func (h int128) big(signed bool) *big.Int {
	b := new(big.Int)
	if signed {
		b.SetInt64(h.upper)
	} else {
		b.SetUint64(uint64(h.upper))
	}
	return b.Add(b.Lsh(b, 64), new(big.Int).SetUint64(h.lower))
}

func wide(b *big.Int) any {
	if b.IsInt64() {
		return b.Int64()
	}
	return b.String()
}

func (v *vector) value(row uint64) any {
	if !v.mask.valid(row) {
		return nil
	}
	switch v.c.id {
	case duckdb.TypeBoolean:
		return at[uint8](v, row) != 0
	case duckdb.TypeTinyInt:
		return int64(at[int8](v, row))
	case duckdb.TypeSmallInt:
		return int64(at[int16](v, row))
	case duckdb.TypeInteger:
		return int64(at[int32](v, row))
	case duckdb.TypeBigInt:
		return at[int64](v, row)
	case duckdb.TypeUTinyInt:
		return int64(at[uint8](v, row))
	case duckdb.TypeUSmallInt:
		return int64(at[uint16](v, row))
	case duckdb.TypeUInteger:
		return int64(at[uint32](v, row))
	case duckdb.TypeUBigInt:
		if n := at[uint64](v, row); n > math.MaxInt64 {
			return strconv.FormatUint(n, 10)
		} else {
			return int64(n)
		}
	case duckdb.TypeHugeInt:
		return wide(at[int128](v, row).big(true))
	case duckdb.TypeUHugeInt:
		return wide(at[int128](v, row).big(false))
	case duckdb.TypeFloat:
		return float(at[float32](v, row))
	case duckdb.TypeDouble:
		return at[float64](v, row)
	case duckdb.TypeDecimal:
		return v.decimal(row)
	case duckdb.TypeTimestamp, duckdb.TypeTimestampTZ:
		return instant(at[int64](v, row), time.Microsecond)
	case duckdb.TypeTimestampS:
		return instant(at[int64](v, row), time.Second)
	case duckdb.TypeTimestampMS:
		return instant(at[int64](v, row), time.Millisecond)
	case duckdb.TypeTimestampNS:
		return instant(at[int64](v, row), time.Nanosecond)
	case duckdb.TypeDate:
		return date(at[int32](v, row))
	case duckdb.TypeTime:
		return clock(at[int64](v, row))
	case duckdb.TypeTimeTZ:
		return clockTZ(at[uint64](v, row))
	case duckdb.TypeInterval:
		return at[interval](v, row).String()
	case duckdb.TypeVarchar:
		if v.c.json {
			return json.RawMessage(v.bytes(row))
		}
		return strings.Clone(v.bytes(row))
	case duckdb.TypeBlob:
		if b := v.bytes(row); utf8.ValidString(b) {
			return strings.Clone(b)
		} else {
			return hex.EncodeToString([]byte(b))
		}
	case duckdb.TypeBit:
		return bits(v.bytes(row))
	case duckdb.TypeUUID:
		return uuid(at[int128](v, row))
	case duckdb.TypeEnum:
		return v.word(row)
	case duckdb.TypeList:
		e := at[listEntry](v, row)
		return v.list(e.offset, e.length)
	case duckdb.TypeArray:
		return v.list(row*v.c.length, v.c.length)
	case duckdb.TypeStruct:
		m := make(plan.Struct, len(v.children))
		for i := range v.children {
			m[i] = plan.Member{Name: v.c.names[i], Value: v.children[i].value(row)}
		}
		return m
	case duckdb.TypeMap:
		e := at[listEntry](v, row)
		m := make(map[string]any, e.length)
		for i := e.offset; i < e.offset+e.length; i++ {
			m[key(v.children[0].value(i))] = v.children[1].value(i)
		}
		return m
	case duckdb.TypeUnion:
		tag, ok := v.children[0].value(row).(int64)
		if !ok || int(tag)+1 >= len(v.children) {
			return nil
		}
		return v.children[tag+1].value(row)
	}
	return nil // NULL's own type; the others were refused in newColumn
}

func (v *vector) list(offset, length uint64) []any {
	out := make([]any, length)
	for i := range length {
		out[i] = v.children[0].value(offset + i)
	}
	return out
}

// bytes gives a text's bytes where they lie: valid only while the chunk is.
// DuckDB keeps up to 12 bytes beside the length, more behind a pointer.
func (v *vector) bytes(row uint64) string {
	p := unsafe.Add(v.data, uintptr(row)*16)
	n := *(*uint32)(p)
	if n == 0 {
		return ""
	}
	if n <= 12 {
		return unsafe.String((*byte)(unsafe.Add(p, 4)), n)
	}
	return unsafe.String(*(**byte)(unsafe.Add(p, 8)), n)
}

func (v *vector) word(row uint64) any {
	var i int
	switch v.c.internal {
	case duckdb.TypeUTinyInt:
		i = int(at[uint8](v, row))
	case duckdb.TypeUSmallInt:
		i = int(at[uint16](v, row))
	default:
		i = int(at[uint32](v, row))
	}
	if i >= len(v.c.words) {
		return nil
	}
	return v.c.words[i]
}

func (v *vector) decimal(row uint64) any {
	var b *big.Int
	switch v.c.internal {
	case duckdb.TypeSmallInt:
		b = big.NewInt(int64(at[int16](v, row)))
	case duckdb.TypeInteger:
		b = big.NewInt(int64(at[int32](v, row)))
	case duckdb.TypeBigInt:
		b = big.NewInt(at[int64](v, row))
	default:
		b = at[int128](v, row).big(true)
	}
	if v.c.scale == 0 {
		return wide(b)
	}
	text := new(big.Int).Abs(b).String()
	digits := len(text)
	if len(text) <= v.c.scale {
		text = strings.Repeat("0", v.c.scale-len(text)+1) + text
	}
	text = text[:len(text)-v.c.scale] + "." + text[len(text)-v.c.scale:]
	if b.Sign() < 0 {
		text = "-" + text
	}
	if digits <= 15 {
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return f
		}
	}
	return text
}

// float widens without inventing digits: 0.1 stays 0.1.
func float(f float32) float64 {
	d, err := strconv.ParseFloat(strconv.FormatFloat(float64(f), 'g', -1, 32), 64)
	if err != nil {
		return float64(f)
	}
	return d
}

func instant(n int64, unit time.Duration) any {
	switch {
	case n == math.MaxInt64:
		return "infinity"
	case n == -math.MaxInt64:
		return "-infinity"
	}
	switch unit {
	case time.Second:
		return time.Unix(n, 0).UTC()
	case time.Millisecond:
		return time.UnixMilli(n).UTC()
	case time.Microsecond:
		return time.UnixMicro(n).UTC()
	}
	return time.Unix(0, n).UTC()
}

func date(days int32) string {
	switch days {
	case math.MaxInt32:
		return "infinity"
	case -math.MaxInt32:
		return "-infinity"
	}
	return time.Unix(int64(days)*86400, 0).UTC().Format("2006-01-02")
}

func clock(micros int64) string {
	if micros == 24*3600*1e6 {
		return "24:00:00"
	}
	return time.UnixMicro(micros).UTC().Format("15:04:05.999999")
}

// clockTZ reads 40 bits of microseconds and 24 bits of the offset, which DuckDB
// keeps as 15:59:59 minus seconds so that the bits sort.
func clockTZ(b uint64) string {
	const maxOffset = 16*3600 - 1
	offset := maxOffset - int(b&(1<<24-1))
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	s := fmt.Sprintf("%s%c%02d:%02d", clock(int64(b>>24)), sign, offset/3600, offset/60%60)
	if offset%60 != 0 {
		s += fmt.Sprintf(":%02d", offset%60)
	}
	return s
}

type interval struct {
	months, days int32
	micros       int64
}

func (i interval) String() string {
	var out []string
	add := func(n int32, unit string) {
		if n == 0 {
			return
		}
		if n != 1 && n != -1 {
			unit += "s"
		}
		out = append(out, strconv.Itoa(int(n))+" "+unit)
	}
	add(i.months/12, "year")
	add(i.months%12, "month")
	add(i.days, "day")
	if i.micros != 0 || len(out) == 0 {
		sign, n := "", new(big.Int).SetInt64(i.micros)
		if n.Sign() < 0 {
			sign = "-"
			n.Neg(n)
		}
		us := n.Uint64()
		s := fmt.Sprintf("%s%02d:%02d:%02d", sign, us/3600e6, us/60e6%60, us/1e6%60)
		if f := us % 1e6; f != 0 {
			s += strings.TrimRight(fmt.Sprintf(".%06d", f), "0")
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

// bits reads DuckDB's bit string: the count of padding bits, then the bits.
func bits(b string) string {
	if len(b) < 2 {
		return ""
	}
	var out strings.Builder
	for i := int(b[0]); i < 8*(len(b)-1); i++ {
		out.WriteByte('0' + b[1+i/8]>>(7-i%8)&1)
	}
	return out.String()
}

func uuid(h int128) string {
	u, l := uint64(h.upper)^1<<63, h.lower // the sign bit is flipped so that they sort
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", u>>32, u>>16&0xffff, u&0xffff, l>>48, l&(1<<48-1))
}

// key is the text of a map's key.
func key(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.RawMessage:
		return string(v)
	case time.Time:
		return v.Format("2006-01-02 15:04:05.999999")
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
