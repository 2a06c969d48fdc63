package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"

	"trailward/query/plan"
)

func text(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", false
	case json.RawMessage:
		return string(v), true
	}
	return fmt.Sprint(v), true
}

var columns = []Column{
	{"i", plan.Int}, {"f", plan.Float}, {"b", plan.Bool}, {"t", plan.Time}, {"s", plan.Text}, {"j", plan.JSON}, {"none", plan.Null}, {"s", plan.Text},
}

// show gives a batch's rows as text.
func show(rec arrow.RecordBatch) []string {
	var out []string
	for row := range int(rec.NumRows()) {
		var cells []string
		for _, c := range rec.Columns() {
			if c.IsNull(row) {
				cells = append(cells, "-")
				continue
			}
			cells = append(cells, c.ValueStr(row))
		}
		out = append(out, strings.Join(cells, "|"))
	}
	return out
}

func readArrow(t *testing.T, data []byte) (string, []string) {
	t.Helper()
	r, err := ipc.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	var out []string
	for r.Next() {
		out = append(out, show(r.RecordBatch())...)
	}
	if err := r.Err(); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	var names []string
	for _, f := range r.Schema().Fields() {
		names = append(names, f.Name+" "+f.Type.String())
	}
	return strings.Join(names, ", "), out
}

func readParquet(t *testing.T, data []byte) (string, []string) {
	t.Helper()
	f, err := file.NewParquetReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []string
	for g := range f.NumRowGroups() {
		rg := f.RowGroup(g)
		n := rg.NumRows()
		rows := make([][]string, n)
		for c := range rg.NumColumns() {
			cr, err := rg.Column(c)
			if err != nil {
				t.Fatal(err)
			}
			defs := make([]int16, n)
			var cells []string
			switch cr := cr.(type) {
			case *file.Int64ColumnChunkReader:
				cells = values(t, n, defs, cr.ReadBatch, func(v int64) string {
					if strings.Contains(cr.Descriptor().LogicalType().String(), "Timestamp") {
						return time.UnixMicro(v).UTC().Format("2006-01-02T15:04:05.999999999Z")
					}
					return fmt.Sprint(v)
				})
			case *file.Float64ColumnChunkReader:
				cells = values(t, n, defs, cr.ReadBatch, func(v float64) string { return fmt.Sprint(v) })
			case *file.BooleanColumnChunkReader:
				cells = values(t, n, defs, cr.ReadBatch, func(v bool) string { return fmt.Sprint(v) })
			case *file.ByteArrayColumnChunkReader:
				cells = values(t, n, defs, cr.ReadBatch, func(v parquet.ByteArray) string { return string(v) })
			}
			for i := range rows {
				cell := "-"
				if defs[i] == 1 {
					cell, cells = cells[0], cells[1:]
				}
				rows[i] = append(rows[i], cell)
			}
		}
		for _, r := range rows {
			out = append(out, strings.Join(r, "|"))
		}
	}
	var names []string
	for i := range f.MetaData().Schema.NumColumns() {
		c := f.MetaData().Schema.Column(i)
		names = append(names, c.Name()+" "+c.PhysicalType().String()+" "+c.LogicalType().String())
	}
	return strings.Join(names, ", "), out
}

func values[T any](t *testing.T, n int64, defs []int16, read func(int64, []T, []int16, []int16) (int64, int, error), show func(T) string) []string {
	t.Helper()
	var out []string
	for at := int64(0); at < n; {
		buf := make([]T, n)
		total, got, err := read(n-at, buf, defs[at:], nil)
		if err != nil || total == 0 {
			t.Fatalf("ReadBatch() = %d, %v", total, err)
		}
		for _, v := range buf[:got] {
			out = append(out, show(v))
		}
		at += total
	}
	return out
}

func TestWriter(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC)
	rows := [][]any{
		{int64(1), 1.5, true, at, "text", json.RawMessage(`{"a":1}`), nil, "second"},
		{nil, nil, nil, nil, nil, nil, nil, nil},
		{float64(7), int64(2), false, at, int64(5), []any{int64(1)}, nil, "not \xff text"},
		{"42", "12345678901234567890.5", false, at, "", "bare", nil, "x"},
	}
	for format, read := range map[Format]func(*testing.T, []byte) (string, []string){Arrow: readArrow, Parquet: readParquet} {
		t.Run(fmt.Sprint(format), func(t *testing.T) {
			var out bytes.Buffer
			w, err := NewWriter(&out, format, columns, text)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				if err := w.Encode(r); err != nil {
					t.Fatal(err)
				}
				if err := w.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			schema, got := read(t, out.Bytes())
			wantSchema := "i int64, f float64, b bool, t timestamp[us, tz=UTC], s utf8, j utf8, none utf8, s_1 utf8"
			if format == Parquet {
				wantSchema = "i INT64 Int(bitWidth=64, isSigned=true), f DOUBLE None, b BOOLEAN None, t INT64 Timestamp(isAdjustedToUTC=true, timeUnit=microseconds, is_from_converted_type=false, force_set_converted_type=false), s BYTE_ARRAY String, j BYTE_ARRAY String, none BYTE_ARRAY String, s_1 BYTE_ARRAY String"
			}
			if schema != wantSchema {
				t.Errorf("schema = %s, want %s", schema, wantSchema)
			}
			want := []string{
				`1|1.5|true|2026-01-02T03:04:05.000678Z|text|{"a":1}|-|second`,
				`-|-|-|-|-|-|-|-`,
				"7|2|false|2026-01-02T03:04:05.000678Z|5|[1]|-|not \ufffd text",
				`42|1.2345678901234567e+19|false|2026-01-02T03:04:05.000678Z||bare|-|x`,
			}
			if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
				t.Errorf("rows = %q, want %q", got, want)
			}
		})
	}
}

// TestMany: an answer of many batches, and one without rows.
func TestMany(t *testing.T) {
	for format, read := range map[Format]func(*testing.T, []byte) (string, []string){Arrow: readArrow, Parquet: readParquet} {
		for _, n := range []int{0, 1, 20_000} {
			t.Run(fmt.Sprint(format, n), func(t *testing.T) {
				var out bytes.Buffer
				w, err := NewWriter(&out, format, []Column{{"n", plan.Int}, {"s", plan.Text}}, text)
				if err != nil {
					t.Fatal(err)
				}
				w.maxBytes = 100_000
				for i := range n {
					if err := w.Encode([]any{int64(i), strings.Repeat("x", i%100)}); err != nil {
						t.Fatal(err)
					}
					if w.rows > w.maxRows || w.bytes > w.maxBytes {
						t.Fatalf("%d rows of %d bytes wait", w.rows, w.bytes)
					}
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				_, got := read(t, out.Bytes())
				if len(got) != n {
					t.Fatalf("%d rows, want %d", len(got), n)
				}
				for i, row := range got {
					if want := fmt.Sprintf("%d|%s", i, strings.Repeat("x", i%100)); row != want {
						t.Fatalf("row %d = %s, want %s", i, row, want)
					}
				}
			})
		}
	}
}

func TestMisfits(t *testing.T) {
	tests := []struct {
		name   string
		column int
		value  any
	}{
		{"large integer", 0, "123456789012345678901234567890"},
		{"fraction", 0, 1.5},
		{"beyond", 0, 1e300},
		{"no number", 1, "abc"},
		{"no truth", 2, "true"},
		{"no time", 3, "infinity"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, err := NewWriter(io.Discard, Arrow, columns, text)
			if err != nil {
				t.Fatal(err)
			}
			row := make([]any, len(columns))
			row[tt.column] = tt.value
			var misfit *ValueError
			if err := w.Encode(row); !errors.As(err, &misfit) || misfit.Column != columns[tt.column].Name {
				t.Errorf("Encode(%v) = %v, want a ValueError of column %s", tt.value, err, columns[tt.column].Name)
			}
		})
	}
	if _, err := NewWriter(io.Discard, 0, columns, text); err == nil {
		t.Error("NewWriter() of no format = nil, want an error")
	}
	w, err := NewWriter(io.Discard, Arrow, columns, text)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Encode([]any{int64(1)}); err == nil {
		t.Error("Encode() of a short row = nil, want an error")
	}
}
