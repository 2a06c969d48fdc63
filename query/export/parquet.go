package export

import (
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"
)

// parquetFile writes record batches as row groups. The library's own bridge
// from Arrow (pqarrow) is not used: it brings gRPC and Arrow Flight along.
type parquetFile struct {
	w    *file.Writer
	defs []int16
}

func newParquetFile(w io.Writer, s *arrow.Schema) (*parquetFile, error) {
	nodes := make(schema.FieldList, s.NumFields())
	for i, f := range s.Fields() {
		var logical schema.LogicalType = schema.NoLogicalType{}
		var physical parquet.Type
		switch f.Type.ID() {
		case arrow.INT64:
			physical, logical = parquet.Types.Int64, schema.NewIntLogicalType(64, true)
		case arrow.FLOAT64:
			physical = parquet.Types.Double
		case arrow.BOOL:
			physical = parquet.Types.Boolean
		case arrow.TIMESTAMP:
			physical, logical = parquet.Types.Int64, schema.NewTimestampLogicalType(true, schema.TimeUnitMicros)
		default:
			physical, logical = parquet.Types.ByteArray, schema.StringLogicalType{}
		}
		n, err := schema.NewPrimitiveNodeLogical(f.Name, parquet.Repetitions.Optional, logical, physical, 0, -1)
		if err != nil {
			return nil, fmt.Errorf("make Parquet column %q: %w", f.Name, err)
		}
		nodes[i] = n
	}
	root, err := schema.NewGroupNode("answer", parquet.Repetitions.Required, nodes, -1)
	if err != nil {
		return nil, fmt.Errorf("make Parquet schema: %w", err)
	}
	props := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd), parquet.WithCreatedBy("trailward"))
	pw, err := file.NewParquetWriterWithError(w, root, file.WithWriterProps(props))
	if err != nil {
		return nil, fmt.Errorf("begin Parquet file: %w", err)
	}
	return &parquetFile{w: pw}, nil
}

// write writes a batch as one row group.
func (p *parquetFile) write(rec arrow.RecordBatch) error {
	rg, err := p.w.AppendRowGroupChecked()
	if err != nil {
		return err
	}
	for i, col := range rec.Columns() {
		cw, err := rg.NextColumn()
		if err != nil {
			return err
		}
		if err := p.column(cw, col); err != nil {
			return fmt.Errorf("column %q: %w", rec.ColumnName(i), err)
		}
		if err := cw.Close(); err != nil {
			return fmt.Errorf("column %q: %w", rec.ColumnName(i), err)
		}
	}
	return rg.Close()
}

// column writes the values that are there, and for every row whether it has one.
func (p *parquetFile) column(cw file.ColumnChunkWriter, col arrow.Array) error {
	n := col.Len()
	p.defs = p.defs[:0]
	for i := range n {
		def := int16(1)
		if col.IsNull(i) {
			def = 0
		}
		p.defs = append(p.defs, def)
	}
	var err error
	switch cw := cw.(type) {
	case *file.Int64ColumnChunkWriter:
		value := func(int) int64 { return 0 }
		switch a := col.(type) {
		case *array.Int64:
			value = a.Value
		case *array.Timestamp:
			value = func(i int) int64 { return int64(a.Value(i)) }
		}
		_, err = cw.WriteBatch(present(col, value), p.defs, nil)
	case *file.Float64ColumnChunkWriter:
		_, err = cw.WriteBatch(present(col, col.(*array.Float64).Value), p.defs, nil)
	case *file.BooleanColumnChunkWriter:
		_, err = cw.WriteBatch(present(col, col.(*array.Boolean).Value), p.defs, nil)
	case *file.ByteArrayColumnChunkWriter:
		a := col.(*array.String)
		_, err = cw.WriteBatch(present(col, func(i int) parquet.ByteArray { return parquet.ByteArray(a.Value(i)) }), p.defs, nil)
	default:
		err = fmt.Errorf("type %T is not written", cw)
	}
	return err
}

func present[T any](col arrow.Array, value func(int) T) []T {
	out := make([]T, 0, col.Len()-col.NullN())
	for i := range col.Len() {
		if !col.IsNull(i) {
			out = append(out, value(i))
		}
	}
	return out
}

func (p *parquetFile) close() error { return p.w.Close() }
