// Package export writes the rows of an answer in columnar form: as an Arrow IPC
// stream, or as a Parquet file. It gets rows one at a time and writes batches of
// them as they fill, so that an answer of any length needs the memory of one
// batch.
//
// It stands beside package query, which writes text and JSON, because of what
// it imports: store/segment writes Trailward's own Parquet files, this package
// writes those that leave the house. These two import the Arrow and Parquet
// library, and nothing else does.
//
// A column's type is the one that the answer gives it:
//
//	plan type      Arrow                  Parquet
//	Int            int64                  INT64
//	Float          float64                DOUBLE
//	Bool           bool                   BOOLEAN
//	Time           timestamp[us, UTC]     INT64 TIMESTAMP(MICROS, UTC)
//	all others     utf8                   BYTE_ARRAY STRING
//
// Lists and objects are JSON text. Text that is not UTF-8 has U+FFFD where it is
// not, as in JSON. Every column may be null.
package export

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"trailward/query/plan"
)

// Format is a way to write rows.
type Format uint8

// The formats.
const (
	Arrow   Format = iota + 1 // Arrow IPC, streaming format
	Parquet                   // Parquet, zstd
)

// Bounds of a batch, which is an Arrow record batch or a Parquet row group.
const (
	arrowRows    = 8 << 10
	arrowBytes   = 8 << 20
	parquetRows  = 128 << 10
	parquetBytes = 32 << 20
)

// Column is one column of the answer.
type Column struct {
	Name string
	Type plan.Type
}

// Writer writes rows. It is for one goroutine.
type Writer struct {
	columns  []Column
	text     func(any) (string, bool)
	format   Format
	schema   *arrow.Schema
	builder  *array.RecordBuilder
	fields   []array.Builder
	rows     int
	bytes    int
	maxRows  int
	maxBytes int

	stream *ipc.Writer
	file   *parquetFile
}

// NewWriter begins to write: the schema goes out at once. text gives the text of
// any value, false for null. A name that occurs twice gets a number from the
// second time on.
func NewWriter(w io.Writer, format Format, columns []Column, text func(any) (string, bool)) (*Writer, error) {
	fields := make([]arrow.Field, len(columns))
	names := uniqueNames(columns)
	for i, c := range columns {
		fields[i] = arrow.Field{Name: strings.ToValidUTF8(names[i], "\uFFFD"), Type: typeOf(c.Type), Nullable: true}
	}
	e := &Writer{columns: columns, text: text, format: format, schema: arrow.NewSchema(fields, nil)}
	// Neither library may close what it is given.
	out := struct{ io.Writer }{w}
	switch format {
	case Arrow:
		e.maxRows, e.maxBytes = arrowRows, arrowBytes
		e.stream = ipc.NewWriter(out, ipc.WithSchema(e.schema))
	case Parquet:
		e.maxRows, e.maxBytes = parquetRows, parquetBytes
		var err error
		if e.file, err = newParquetFile(out, e.schema); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("export rows: format %d is unknown", format)
	}
	e.builder = array.NewRecordBuilder(memory.DefaultAllocator, e.schema)
	e.fields = e.builder.Fields()
	return e, nil
}

func typeOf(t plan.Type) arrow.DataType {
	switch t {
	case plan.Int:
		return arrow.PrimitiveTypes.Int64
	case plan.Float:
		return arrow.PrimitiveTypes.Float64
	case plan.Bool:
		return arrow.FixedWidthTypes.Boolean
	case plan.Time:
		return arrow.FixedWidthTypes.Timestamp_us
	case plan.Null, plan.Text, plan.JSON, plan.List, plan.Message, plan.Pointer:
		return arrow.BinaryTypes.String
	}
	return arrow.BinaryTypes.String
}

// ValueError says that a value does not fit into the type of its column.
type ValueError struct{ Column, Value, Type string }

func (e *ValueError) Error() string {
	return fmt.Sprintf("column %q holds %.40s, which is no %s: cast it to varchar", e.Column, e.Value, e.Type)
}

// Encode adds one row, whose values are nil, string, int64, float64, bool,
// time.Time, []any, map[string]any, query.Struct or json.RawMessage. A value that does not fit
// is a [*ValueError], and the writer cannot be used any more.
func (e *Writer) Encode(values []any) error {
	if len(values) != len(e.columns) {
		return fmt.Errorf("export row: it has %d values, the answer %d columns", len(values), len(e.columns))
	}
	for i, v := range values {
		if err := e.add(i, v); err != nil {
			return err
		}
	}
	e.rows++
	if e.rows < e.maxRows && e.bytes < e.maxBytes {
		return nil
	}
	return e.batch()
}

func (e *Writer) add(i int, v any) error {
	e.bytes += 8
	if v == nil {
		e.fields[i].AppendNull()
		return nil
	}
	c := e.columns[i]
	misfit := func(typ string) error {
		text, _ := e.text(v)
		return &ValueError{c.Name, text, typ}
	}
	switch b := e.fields[i].(type) {
	case *array.Int64Builder:
		switch v := v.(type) {
		case int64:
			b.Append(v)
		case float64:
			if v != math.Trunc(v) || v < -1<<63 || v >= 1<<63 {
				return misfit("64-bit integer")
			}
			b.Append(int64(v))
		default:
			text, _ := e.text(v)
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return misfit("64-bit integer")
			}
			b.Append(n)
		}
	case *array.Float64Builder:
		switch v := v.(type) {
		case float64:
			b.Append(v)
		case int64:
			b.Append(float64(v))
		default: // a decimal of many digits: the nearest float is what the column promises
			text, _ := e.text(v)
			f, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return misfit("floating-point number")
			}
			b.Append(f)
		}
	case *array.BooleanBuilder:
		x, ok := v.(bool)
		if !ok {
			return misfit("boolean")
		}
		b.Append(x)
	case *array.TimestampBuilder:
		x, ok := v.(time.Time)
		if !ok {
			return misfit("time")
		}
		b.Append(arrow.Timestamp(x.UnixMicro()))
	case *array.StringBuilder:
		text, ok := v.(string)
		if !ok {
			if text, ok = e.text(v); !ok {
				b.AppendNull()
				return nil
			}
		}
		if !utf8.ValidString(text) {
			text = strings.ToValidUTF8(text, "\uFFFD")
		}
		b.Append(text)
		e.bytes += len(text)
	}
	return nil
}

// batch writes the rows so far.
func (e *Writer) batch() error {
	if e.rows == 0 {
		return nil
	}
	rec := e.builder.NewRecordBatch()
	defer rec.Release()
	e.rows, e.bytes = 0, 0
	var err error
	if e.stream != nil {
		err = e.stream.Write(rec)
	} else {
		err = e.file.write(rec)
	}
	if err != nil {
		return fmt.Errorf("export rows: %w", err)
	}
	return nil
}

// Flush writes what is waiting, as far as the format allows: a Parquet file's
// row groups are only written when they are full, since many small ones make it
// slow to read.
func (e *Writer) Flush() error {
	if e.format == Parquet {
		return nil
	}
	return e.batch()
}

// Close writes what is left and the end, without which no reader takes the
// output for whole: it must not be called when the rows ended in an error. It
// does not close what is written to.
func (e *Writer) Close() error {
	defer e.builder.Release()
	if err := e.batch(); err != nil {
		return err
	}
	var err error
	if e.stream != nil {
		err = e.stream.Close()
	} else {
		err = e.file.close()
	}
	if err != nil {
		return fmt.Errorf("end exported rows: %w", err)
	}
	return nil
}

func uniqueNames(columns []Column) []string {
	used := make(map[string]bool, len(columns))
	for _, c := range columns {
		used[c.Name] = true
	}
	seen := make(map[string]bool, len(columns))
	out := make([]string, len(columns))
	for i, c := range columns {
		name := c.Name
		for n := 1; seen[name]; n++ {
			if next := c.Name + "_" + strconv.Itoa(n); !used[next] {
				name = next
				used[name] = true
			}
		}
		seen[name] = true
		out[i] = name
	}
	return out
}
