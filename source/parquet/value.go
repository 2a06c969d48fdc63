package parquet

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow/float16"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"
)

// chunk reads a column's part of a row group.
type chunk interface {
	read(def, rep []int16) (entries int64, values int, err error)
	reader() file.ColumnChunkReader
}

// typed is the chunk of a physical type, with the values held.
type typed[T any] struct {
	cr interface {
		file.ColumnChunkReader
		ReadBatch(batchSize int64, values []T, def, rep []int16) (int64, int, error)
	}
	values []T
}

func (t *typed[T]) read(def, rep []int16) (int64, int, error) {
	return t.cr.ReadBatch(batch, t.values, def, rep)
}

func (t *typed[T]) reader() file.ColumnChunkReader { return t.cr }

// newChunk returns nil for a type that is not known.
func newChunk(cr file.ColumnChunkReader) chunk {
	switch cr := cr.(type) {
	case *file.BooleanColumnChunkReader:
		return &typed[bool]{cr, make([]bool, batch)}
	case *file.Int32ColumnChunkReader:
		return &typed[int32]{cr, make([]int32, batch)}
	case *file.Int64ColumnChunkReader:
		return &typed[int64]{cr, make([]int64, batch)}
	case *file.Int96ColumnChunkReader:
		return &typed[parquet.Int96]{cr, make([]parquet.Int96, batch)}
	case *file.Float32ColumnChunkReader:
		return &typed[float32]{cr, make([]float32, batch)}
	case *file.Float64ColumnChunkReader:
		return &typed[float64]{cr, make([]float64, batch)}
	case *file.ByteArrayColumnChunkReader:
		return &typed[parquet.ByteArray]{cr, make([]parquet.ByteArray, batch)}
	case *file.FixedLenByteArrayColumnChunkReader:
		return &typed[parquet.FixedLenByteArray]{cr, make([]parquet.FixedLenByteArray, batch)}
	}
	return nil
}

// at returns value v of a leaf whose type choose has looked at.
func at[T any](l *leaf, v int) T { return l.chunk.(*typed[T]).values[v] }

// text reports whether the column's values are text in JSON.
func (l *leaf) text() bool {
	return l.column.PhysicalType() == parquet.Types.ByteArray && !isDecimal(l.column)
}

func isDecimal(c *schema.Column) bool {
	_, ok := c.LogicalType().(schema.DecimalLogicalType)
	return ok
}

// choose decides how the column's values are written.
func (l *leaf) choose() error {
	c := l.column
	switch c.PhysicalType() {
	case parquet.Types.Boolean:
		l.value = func(dst []byte, v int, _ bool) []byte { return strconv.AppendBool(dst, at[bool](l, v)) }
	case parquet.Types.Int32:
		write := integer(c, 32)
		l.value = func(dst []byte, v int, json bool) []byte { return write(dst, int64(at[int32](l, v)), json) }
	case parquet.Types.Int64:
		write := integer(c, 64)
		l.value = func(dst []byte, v int, json bool) []byte { return write(dst, at[int64](l, v), json) }
	case parquet.Types.Int96:
		l.value = func(dst []byte, v int, json bool) []byte { return appendInt96(dst, at[parquet.Int96](l, v), json) }
	case parquet.Types.Float:
		l.value = func(dst []byte, v int, json bool) []byte {
			return appendFloat(dst, float64(at[float32](l, v)), 32, json)
		}
	case parquet.Types.Double:
		l.value = func(dst []byte, v int, json bool) []byte { return appendFloat(dst, at[float64](l, v), 64, json) }
	case parquet.Types.ByteArray:
		if d, ok := c.LogicalType().(schema.DecimalLogicalType); ok {
			l.value = func(dst []byte, v int, _ bool) []byte {
				return appendDecimal(dst, at[parquet.ByteArray](l, v), d.Scale())
			}
			break
		}
		l.value = func(dst []byte, v int, json bool) []byte { return appendBytes(dst, at[parquet.ByteArray](l, v), json) }
	case parquet.Types.FixedLenByteArray:
		l.value = l.fixed(c.LogicalType())
	default:
		return fmt.Errorf("column %s: values of type %v are not read", l.name, c.PhysicalType())
	}
	return nil
}

// fixed writes values of a fixed length.
func (l *leaf) fixed(t schema.LogicalType) func([]byte, int, bool) []byte {
	switch t := t.(type) {
	case schema.DecimalLogicalType:
		return func(dst []byte, v int, _ bool) []byte {
			return appendDecimal(dst, at[parquet.FixedLenByteArray](l, v), t.Scale())
		}
	case schema.Float16LogicalType:
		return func(dst []byte, v int, json bool) []byte {
			b := at[parquet.FixedLenByteArray](l, v)
			if len(b) != 2 {
				return appendBytes(dst, b, json)
			}
			return appendFloat(dst, float64(float16.FromLEBytes(b).Float32()), 32, json)
		}
	case schema.UUIDLogicalType:
		return func(dst []byte, v int, json bool) []byte {
			b := at[parquet.FixedLenByteArray](l, v)
			if len(b) != 16 {
				return appendBytes(dst, b, json)
			}
			h := hex.EncodeToString(b)
			return quoted(dst, json, func(dst []byte) []byte {
				return append(dst, h[:8]+"-"+h[8:12]+"-"+h[12:16]+"-"+h[16:20]+"-"+h[20:]...)
			})
		}
	}
	return func(dst []byte, v int, json bool) []byte {
		return quoted(dst, json, func(dst []byte) []byte {
			return base64.StdEncoding.AppendEncode(dst, at[parquet.FixedLenByteArray](l, v))
		})
	}
}

// integer returns how whole numbers of a column are written: as numbers, unless
// they stand for a time.
func integer(c *schema.Column, bits int) func([]byte, int64, bool) []byte {
	switch t := c.LogicalType().(type) {
	case schema.DateLogicalType:
		return func(dst []byte, n int64, json bool) []byte {
			return appendTime(dst, time.Unix(n*86400, 0), time.DateOnly, json)
		}
	case schema.TimestampLogicalType:
		// With no zone it is a wall clock's time; what zone is not said.
		layout := "2006-01-02T15:04:05.999999999"
		if t.IsAdjustedToUTC() {
			layout += "Z07:00"
		}
		switch t.TimeUnit() {
		case schema.TimeUnitMillis:
			return func(dst []byte, n int64, json bool) []byte { return appendTime(dst, time.UnixMilli(n), layout, json) }
		case schema.TimeUnitMicros:
			return func(dst []byte, n int64, json bool) []byte { return appendTime(dst, time.UnixMicro(n), layout, json) }
		case schema.TimeUnitNanos:
			return func(dst []byte, n int64, json bool) []byte { return appendTime(dst, time.Unix(0, n), layout, json) }
		}
	case schema.TimeLogicalType:
		unit := map[schema.TimeUnitType]time.Duration{schema.TimeUnitMillis: time.Millisecond, schema.TimeUnitMicros: time.Microsecond, schema.TimeUnitNanos: 1}[t.TimeUnit()]
		if unit > 0 {
			return func(dst []byte, n int64, json bool) []byte {
				if n < 0 || n >= int64(24*time.Hour/unit) {
					return strconv.AppendInt(dst, n, 10)
				}
				return appendTime(dst, time.Unix(0, n*int64(unit)), "15:04:05.999999999", json)
			}
		}
	case schema.DecimalLogicalType:
		return func(dst []byte, n int64, _ bool) []byte { return scaled(dst, strconv.FormatInt(n, 10), t.Scale()) }
	case schema.IntLogicalType:
		if !t.IsSigned() {
			mask := uint64(math.MaxUint64) >> (64 - bits)
			return func(dst []byte, n int64, _ bool) []byte { return strconv.AppendUint(dst, uint64(n)&mask, 10) }
		}
	}
	return func(dst []byte, n int64, _ bool) []byte { return strconv.AppendInt(dst, n, 10) }
}

// quoted puts quotes around a text that needs no escapes.
func quoted(dst []byte, json bool, add func([]byte) []byte) []byte {
	if !json {
		return add(dst)
	}
	return append(add(append(dst, '"')), '"')
}

func appendTime(dst []byte, t time.Time, layout string, json bool) []byte {
	return quoted(dst, json, func(dst []byte) []byte { return t.UTC().AppendFormat(dst, layout) })
}

// appendInt96 writes the time of Impala and old versions of Spark: nanoseconds
// of the day, then the Julian day.
func appendInt96(dst []byte, v parquet.Int96, json bool) []byte {
	const unixDay = 2440588 // 1970-01-01 as a Julian day
	nanos := int64(binary.LittleEndian.Uint64(v[:8]))
	day := int64(binary.LittleEndian.Uint32(v[8:]))
	t := time.Unix((day-unixDay)*86400+nanos/1e9, nanos%1e9)
	return appendTime(dst, t, "2006-01-02T15:04:05.999999999Z07:00", json)
}

// appendFloat writes the shortest number that reads back as the same. What JSON
// has no number for is a string.
func appendFloat(dst []byte, f float64, bits int, json bool) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return quoted(dst, json, func(dst []byte) []byte { return strconv.AppendFloat(dst, f, 'g', -1, bits) })
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bits)
}

// appendDecimal writes a number that is given as its digits, big-endian and in
// two's complement.
func appendDecimal(dst, b []byte, scale int32) []byte {
	if len(b) > maxDecimal {
		return strconv.AppendQuote(dst, base64.StdEncoding.EncodeToString(b))
	}
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return scaled(dst, n.String(), scale)
}

// maxScale is the largest scale that moves a point; a larger one is written as
// an exponent, so that a number cannot become long.
const maxScale = 64

// maxDecimal is the most bytes of a decimal that is written as a number; what
// engines know has at most 32.
const maxDecimal = 64

func scaled(dst []byte, digits string, scale int32) []byte {
	if scale == 0 {
		return append(dst, digits...)
	}
	if scale < 0 || scale > maxScale {
		dst = append(append(dst, digits...), 'e')
		return strconv.AppendInt(dst, -int64(scale), 10)
	}
	if digits[0] == '-' {
		dst, digits = append(dst, '-'), digits[1:]
	}
	for len(digits) <= int(scale) {
		digits = "0" + digits
	}
	point := len(digits) - int(scale)
	return append(append(append(dst, digits[:point]...), '.'), digits[point:]...)
}

// appendBytes writes text as it is, and what is not UTF-8 in base64.
func appendBytes(dst, b []byte, json bool) []byte {
	switch {
	case !utf8.Valid(b):
		return quoted(dst, json, func(dst []byte) []byte { return base64.StdEncoding.AppendEncode(dst, b) })
	case json:
		return appendString(dst, b)
	}
	return append(dst, b...)
}

// appendString writes a JSON string with no more escapes than it needs.
func appendString(dst, b []byte) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for _, c := range b {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
