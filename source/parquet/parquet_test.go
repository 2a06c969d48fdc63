package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"
)

// column is a column of a row group: its values and levels. Without levels, a
// nil value of a flat column is a null.
type column struct {
	values   []any
	def, rep []int16
}

func prim(t testing.TB, name string, r parquet.Repetition, l schema.LogicalType, typ parquet.Type, length int) schema.Node {
	t.Helper()
	if l == nil {
		l = schema.NoLogicalType{}
	}
	n, err := schema.NewPrimitiveNodeLogical(name, r, l, typ, length, -1)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func grp(t testing.TB, name string, r parquet.Repetition, l schema.LogicalType, fields ...schema.Node) schema.Node {
	t.Helper()
	if l == nil {
		return schema.Must(schema.NewGroupNode(name, r, fields, -1))
	}
	n, err := schema.NewGroupNodeLogical(name, r, fields, l, -1)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// written makes a file of row groups, each of which has the values of every leaf.
func written(t testing.TB, fields []schema.Node, props []parquet.WriterProperty, groups ...[]column) []byte {
	t.Helper()
	root, err := schema.NewGroupNode("schema", parquet.Repetitions.Required, fields, -1)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := file.NewParquetWriter(&b, root, file.WithWriterProps(parquet.NewWriterProperties(props...)))
	for _, g := range groups {
		rg, err := w.AppendRowGroupChecked()
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range g {
			cw, err := rg.NextColumn()
			if err != nil {
				t.Fatal(err)
			}
			def := c.def
			if def == nil && w.Schema.Column(i).MaxDefinitionLevel() > 0 {
				for _, v := range c.values {
					if v == nil {
						def = append(def, 0)
					} else {
						def = append(def, 1)
					}
				}
			}
			switch cw := cw.(type) {
			case *file.BooleanColumnChunkWriter:
				_, err = cw.WriteBatch(present[bool](c.values), def, c.rep)
			case *file.Int32ColumnChunkWriter:
				_, err = cw.WriteBatch(present[int32](c.values), def, c.rep)
			case *file.Int64ColumnChunkWriter:
				_, err = cw.WriteBatch(present[int64](c.values), def, c.rep)
			case *file.Int96ColumnChunkWriter:
				_, err = cw.WriteBatch(present[parquet.Int96](c.values), def, c.rep)
			case *file.Float32ColumnChunkWriter:
				_, err = cw.WriteBatch(present[float32](c.values), def, c.rep)
			case *file.Float64ColumnChunkWriter:
				_, err = cw.WriteBatch(present[float64](c.values), def, c.rep)
			case *file.ByteArrayColumnChunkWriter:
				var vs []parquet.ByteArray
				for _, s := range present[string](c.values) {
					vs = append(vs, parquet.ByteArray(s))
				}
				_, err = cw.WriteBatch(vs, def, c.rep)
			case *file.FixedLenByteArrayColumnChunkWriter:
				var vs []parquet.FixedLenByteArray
				for _, s := range present[string](c.values) {
					vs = append(vs, parquet.FixedLenByteArray(s))
				}
				_, err = cw.WriteBatch(vs, def, c.rep)
			}
			if err == nil {
				err = cw.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := rg.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func present[T any](values []any) (out []T) {
	for _, v := range values {
		if v != nil {
			out = append(out, v.(T))
		}
	}
	return out
}

func lines(b []byte) (string, error) {
	r, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return "", err
	}
	defer r.Close()
	out, err := io.ReadAll(r)
	return string(out), err
}

// flowFile is a flow log with the types that AWS gives it, of n rows in each of
// so many row groups.
func flowFile(t testing.TB, n, groups int, props ...parquet.WriterProperty) ([]byte, string) {
	opt := parquet.Repetitions.Optional
	str, i32, i64 := parquet.Types.ByteArray, parquet.Types.Int32, parquet.Types.Int64
	text := schema.StringLogicalType{}
	fields := []schema.Node{
		prim(t, "interface_id", opt, text, str, -1), prim(t, "srcaddr", opt, text, str, -1), prim(t, "dstport", opt, nil, i32, -1),
		prim(t, "bytes", opt, nil, i64, -1), prim(t, "start", opt, nil, i64, -1), prim(t, "log_status", opt, text, str, -1), prim(t, "pkt_src_aws_service", opt, text, str, -1),
	}
	var want strings.Builder
	want.WriteString("interface-id srcaddr dstport bytes start log-status pkt-src-aws-service\n")
	var all [][]column
	for g := range groups {
		cols := make([]column, len(fields))
		for i := range n {
			at := int64(1700000000 + g*n + i)
			row := []any{fmt.Sprintf("eni-%08d", i%97), fmt.Sprintf("10.0.%d.%d", i/250%250, i%250), int32(i % 65536), int64(i) * 1000003, at, "OK", "-"}
			if i%10 == 9 {
				row = []any{"eni-1", nil, nil, nil, at, "NODATA", nil}
			}
			for j, v := range row {
				cols[j].values = append(cols[j].values, v)
				if j > 0 {
					want.WriteByte(' ')
				}
				if v == nil {
					want.WriteByte('-')
				} else {
					fmt.Fprint(&want, v)
				}
			}
			want.WriteByte('\n')
		}
		all = append(all, cols)
	}
	return written(t, fields, props, all...), want.String()
}

func TestFlow(t *testing.T) {
	for _, c := range []struct {
		name  string
		props []parquet.WriterProperty
	}{
		{"plain", nil},
		{"gzip, as AWS writes", []parquet.WriterProperty{parquet.WithCompression(compress.Codecs.Gzip)}},
		{"snappy", []parquet.WriterProperty{parquet.WithCompression(compress.Codecs.Snappy)}},
		{"zstd", []parquet.WriterProperty{parquet.WithCompression(compress.Codecs.Zstd)}},
		{"brotli", []parquet.WriterProperty{parquet.WithCompression(compress.Codecs.Brotli)}},
		{"lz4", []parquet.WriterProperty{parquet.WithCompression(compress.Codecs.Lz4Raw)}},
		{"no dictionary", []parquet.WriterProperty{parquet.WithDictionaryDefault(false)}},
		{"small pages of version 2", []parquet.WriterProperty{parquet.WithDataPageVersion(parquet.DataPageV2), parquet.WithDataPageSize(512), parquet.WithCompression(compress.Codecs.Zstd)}},
		{"delta", []parquet.WriterProperty{parquet.WithDictionaryDefault(false), parquet.WithEncodingFor("bytes", parquet.Encodings.DeltaBinaryPacked), parquet.WithEncodingFor("srcaddr", parquet.Encodings.DeltaByteArray)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, want := flowFile(t, 3000, 3, c.props...)
			got, err := lines(b)
			if err != nil || got != want {
				t.Errorf("lines = %.300q, %v, want %.300q", got, err, want)
			}
		})
	}
}

// TestFlowWithoutRows: the header is there, and no record.
func TestFlowWithoutRows(t *testing.T) {
	b, _ := flowFile(t, 0, 1)
	if got, err := lines(b); err != nil || got != "interface-id srcaddr dstport bytes start log-status pkt-src-aws-service\n" {
		t.Errorf("lines = %q, %v, want the header", got, err)
	}
}

// TestFlowOddValues: what a word cannot hold makes its row an object.
func TestFlowOddValues(t *testing.T) {
	opt, text := parquet.Repetitions.Optional, schema.StringLogicalType{}
	b := written(t, []schema.Node{prim(t, "srcaddr", opt, text, parquet.Types.ByteArray, -1), prim(t, "instance_tag", opt, text, parquet.Types.ByteArray, -1)}, nil,
		[]column{{values: []any{"1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4", "5.5.5.5"}}, {values: []any{"a%20b", "two words", "", "line\nfeed", "caf\u00e9"}}})
	want := "srcaddr instance-tag\n1.1.1.1 a%20b\n" + `{"srcaddr":"2.2.2.2","instance_tag":"two words"}` + "\n3.3.3.3 -\n" + `{"srcaddr":"4.4.4.4","instance_tag":"line\nfeed"}` + "\n5.5.5.5 caf\u00e9\n"
	if got, err := lines(b); err != nil || got != want {
		t.Errorf("lines = %q, %v, want %q", got, err, want)
	}
}

func TestTypes(t *testing.T) {
	req := parquet.Repetitions.Required
	ts := func(utc bool, u schema.TimeUnitType) schema.LogicalType {
		return schema.NewTimestampLogicalType(utc, u)
	}
	for _, c := range []struct {
		name  string
		node  schema.Node
		value any
		want  string
	}{
		{"bool", prim(t, "x", req, nil, parquet.Types.Boolean, -1), true, "true"},
		{"int32", prim(t, "x", req, nil, parquet.Types.Int32, -1), int32(-5), "-5"},
		{"int64", prim(t, "x", req, nil, parquet.Types.Int64, -1), int64(9223372036854775807), "9223372036854775807"},
		{"unsigned", prim(t, "x", req, schema.NewIntLogicalType(32, false), parquet.Types.Int32, -1), int32(-1), "4294967295"},
		{"float", prim(t, "x", req, nil, parquet.Types.Float, -1), float32(0.1), "0.1"},
		{"double", prim(t, "x", req, nil, parquet.Types.Double, -1), 1e300, "1e+300"},
		{"date", prim(t, "x", req, schema.DateLogicalType{}, parquet.Types.Int32, -1), int32(20454), `"2026-01-01"`},
		{"time", prim(t, "x", req, schema.NewTimeLogicalType(true, schema.TimeUnitMillis), parquet.Types.Int32, -1), int32(3723004), `"01:02:03.004"`},
		{"milliseconds", prim(t, "x", req, ts(true, schema.TimeUnitMillis), parquet.Types.Int64, -1), int64(1700000000123), `"2023-11-14T22:13:20.123Z"`},
		{"microseconds", prim(t, "x", req, ts(true, schema.TimeUnitMicros), parquet.Types.Int64, -1), int64(1700000000123456), `"2023-11-14T22:13:20.123456Z"`},
		{"nanoseconds without a zone", prim(t, "x", req, ts(false, schema.TimeUnitNanos), parquet.Types.Int64, -1), int64(1700000000123456789), `"2023-11-14T22:13:20.123456789"`},
		{"int96", prim(t, "x", req, nil, parquet.Types.Int96, -1), parquet.Int96{0, 0, 0, 0, 0, 0, 0, 0, 0x8c, 0x3d, 0x25, 0}, `"1970-01-01T00:00:00Z"`},
		{"decimal", prim(t, "x", req, schema.NewDecimalLogicalType(9, 2), parquet.Types.Int32, -1), int32(-5), `-0.05`},
		{"long decimal", prim(t, "x", req, schema.NewDecimalLogicalType(20, 3), parquet.Types.FixedLenByteArray, 9), "\xff\xff\xff\xff\xff\xff\xff\xfb\x2e", `-1.234`},
		{"text", prim(t, "x", req, schema.StringLogicalType{}, parquet.Types.ByteArray, -1), "a\"\\\n\x01é", `"a\"\\\n\u0001é"`},
		{"text that is none", prim(t, "x", req, schema.StringLogicalType{}, parquet.Types.ByteArray, -1), "\xff\xfe", `"//4="`},
		{"bytes", prim(t, "x", req, nil, parquet.Types.FixedLenByteArray, 2), "ab", `"YWI="`},
		{"half a float", prim(t, "x", req, schema.Float16LogicalType{}, parquet.Types.FixedLenByteArray, 2), "\x00\x3e", "1.5"},
		{"uuid", prim(t, "x", req, schema.UUIDLogicalType{}, parquet.Types.FixedLenByteArray, 16), "0123456789abcdef", `"30313233-3435-3637-3839-616263646566"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := lines(written(t, []schema.Node{c.node}, nil, []column{{values: []any{c.value}}}))
			if want := `{"x":` + c.want + "}\n"; err != nil || got != want {
				t.Errorf("lines = %q, %v, want %q", got, err, want)
			}
		})
	}
}

func TestNested(t *testing.T) {
	req, opt, rep := parquet.Repetitions.Required, parquet.Repetitions.Optional, parquet.Repetitions.Repeated
	text := schema.StringLogicalType{}
	str := func(name string, r parquet.Repetition) schema.Node {
		return prim(t, name, r, text, parquet.Types.ByteArray, -1)
	}
	for _, c := range []struct {
		name  string
		nodes []schema.Node
		cols  []column
		want  string
	}{
		{"struct", []schema.Node{grp(t, "s", opt, nil, str("a", opt), str("b", req))},
			[]column{{values: []any{"x"}, def: []int16{2, 1, 0}}, {values: []any{"y", "z"}, def: []int16{1, 1, 0}}},
			`{"s":{"a":"x","b":"y"}}` + "\n" + `{"s":{"a":null,"b":"z"}}` + "\n" + `{"s":null}` + "\n"},
		{"list", []schema.Node{grp(t, "l", opt, schema.NewListLogicalType(), grp(t, "list", rep, nil, str("element", opt)))},
			[]column{{values: []any{"a", "b"}, def: []int16{3, 3, 2, 1, 0}, rep: []int16{0, 1, 1, 0, 0}}},
			`{"l":["a","b",null]}` + "\n" + `{"l":[]}` + "\n" + `{"l":null}` + "\n"},
		{"list of structs of lists", []schema.Node{grp(t, "l", opt, schema.NewListLogicalType(), grp(t, "list", rep, nil,
			grp(t, "element", opt, nil, str("k", req), grp(t, "m", opt, schema.NewListLogicalType(), grp(t, "list", rep, nil, str("element", req))))))},
			[]column{{values: []any{"p", "q"}, def: []int16{3, 3}, rep: []int16{0, 1}}, {values: []any{"1", "2"}, def: []int16{5, 5, 4}, rep: []int16{0, 2, 1}}},
			`{"l":[{"k":"p","m":["1","2"]},{"k":"q","m":[]}]}` + "\n"},
		{"map", []schema.Node{grp(t, "m", opt, schema.MapLogicalType{}, grp(t, "key_value", rep, nil, str("key", req), str("value", opt)))},
			[]column{{values: []any{"a", "b"}, def: []int16{2, 2, 1}, rep: []int16{0, 1, 0}}, {values: []any{"1"}, def: []int16{3, 2, 1}, rep: []int16{0, 1, 0}}},
			`{"m":{"a":"1","b":null}}` + "\n" + `{"m":{}}` + "\n"},
		{"repeated", []schema.Node{str("r", rep)},
			[]column{{values: []any{"a", "b", "c"}, def: []int16{1, 1, 0, 1}, rep: []int16{0, 1, 0, 0}}},
			`{"r":["a","b"]}` + "\n" + `{"r":[]}` + "\n" + `{"r":["c"]}` + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := lines(written(t, c.nodes, nil, c.cols))
			if err != nil || got != c.want {
				t.Errorf("lines = %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

// TestCut: of a file that was cut anywhere nothing is read, since what it is
// stands at its end; it is told as cut.
func TestCut(t *testing.T) {
	b, _ := flowFile(t, 2000, 2)
	for n := 4; n < len(b); n += 1 << 10 {
		got, err := lines(b[:n])
		if got != "" || err == nil {
			t.Errorf("lines of %d of %d bytes = %.100q, %v, want an error", n, len(b), got, err)
		}
	}
	if _, err := lines(b[:len(b)-1]); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("lines without the last byte = %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

// TestBrokenRowGroup: what is before the break and in other row groups is read.
func TestBrokenRowGroup(t *testing.T) {
	for _, codec := range []compress.Compression{compress.Codecs.Uncompressed, compress.Codecs.Gzip, compress.Codecs.Zstd, compress.Codecs.Snappy} {
		b, want := flowFile(t, 1000, 3, parquet.WithCompression(codec))
		all := strings.Count(want, "\n")
		broken := 0
		for at := 4; at < len(b)*9/10; at += len(b) / 40 {
			c := bytes.Clone(b)
			for i := range 40 {
				c[min(at+i, len(c)-1)] ^= 0x5a
			}
			got, err := lines(c)
			if err == nil {
				continue // values differ, which a file without sums cannot know
			}
			broken++
			if n := strings.Count(got, "\n"); n < all/2 && got != "" && !strings.Contains(err.Error(), "footer") {
				t.Errorf("%v: broken at %d: %d lines of %d, %v, want those of two row groups at least", codec, at, n, all, err)
			}
		}
		if codec != compress.Codecs.Uncompressed && broken == 0 {
			t.Errorf("%v: nothing that was broken was found to be", codec)
		}
	}
}

// TestBomb: a page that becomes more than it says, or says that it becomes too much.
func TestBomb(t *testing.T) {
	zeros := strings.Repeat("\x00", 1<<20)
	dst := make([]byte, 100)
	for name, c := range map[string]compress.Compression{"zstd": compress.Codecs.Zstd, "snappy": compress.Codecs.Snappy, "gzip": compress.Codecs.Gzip, "brotli": compress.Codecs.Brotli, "lz4": compress.Codecs.Lz4Raw} {
		codec, err := compress.GetCodec(c)
		if err != nil {
			t.Fatal(err)
		}
		out, err := compress.Decode(codec, dst, codec.Encode(nil, []byte(zeros)))
		if err == nil {
			t.Errorf("%s: Decode(a million zeros into 100 bytes) = %d bytes, want an error", name, len(out))
		}
	}
	var values []any
	for range 70 {
		values = append(values, zeros)
	}
	b := written(t, []schema.Node{prim(t, "x", parquet.Repetitions.Required, nil, parquet.Types.ByteArray, -1)},
		[]parquet.WriterProperty{parquet.WithCompression(compress.Codecs.Zstd), parquet.WithDictionaryDefault(false), parquet.WithDataPageSize(1 << 30)}, []column{{values: values}})
	if _, err := lines(b); !errors.Is(err, ErrTooLarge) {
		t.Errorf("lines of a page of 70 MiB = %v, want %v", err, ErrTooLarge)
	}
}

func TestDeltaBlocks(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		at   int
		err  error
	}{
		{"one value", []byte{0x80, 0x01, 4, 1, 14, 99}, 5, nil},
		{"none", []byte{0x80, 0x01, 4, 0, 0}, 5, nil},
		{"33 values, of which the first miniblock has differences of 1 bit", append([]byte{0x80, 0x01, 4, 33, 0, 0, 1, 0, 0, 0}, 1, 2, 3, 4, 99), 14, nil},
		{"cut", []byte{0x80, 0x01, 4, 33, 0, 0, 1}, 0, errNoDelta},
		{"nothing", nil, 0, errNoDelta},
		{"a block larger than memory", []byte{0x80, 0x80, 0x80, 0x80, 0x0f, 1, 2, 0, 0, 1}, 0, ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			if at, err := deltaBlocks(c.in); at != c.at || !errors.Is(err, c.err) {
				t.Errorf("deltaBlocks(%x) = %d, %v, want %d, %v", c.in, at, err, c.at, c.err)
			}
		})
	}
}

// TestDeltaBomb: a file whose block of a delta encoding claims four billion values.
func TestDeltaBomb(t *testing.T) {
	var values []any
	for i := range 50 {
		values = append(values, int64(i*i))
	}
	b := written(t, []schema.Node{prim(t, "x", parquet.Repetitions.Required, nil, parquet.Types.Int64, -1)},
		[]parquet.WriterProperty{parquet.WithDictionaryDefault(false), parquet.WithEncoding(parquet.Encodings.DeltaBinaryPacked), parquet.WithStats(false)}, []column{{values: values}})
	if got, err := lines(b); err != nil || strings.Count(got, "\n") != 50 {
		t.Fatalf("lines = %.100q, %v, want 50", got, err)
	}
	// The block size of 128 in two bytes becomes one of three: 0x1fff80.
	at := bytes.Index(b, []byte{0x80, 0x01, 0x04, 50})
	if at < 0 {
		t.Fatal("the page does not begin with a block of 128 values in 4 parts")
	}
	b[at+1], b[at+2] = 0xff, 0x7f
	if _, err := lines(b); !errors.Is(err, ErrTooLarge) {
		t.Errorf("lines of a block of two million values = %v, want %v", err, ErrTooLarge)
	}
}

func FuzzReader(f *testing.F) {
	b, _ := flowFile(f, 50, 2, parquet.WithCompression(compress.Codecs.Zstd))
	f.Add(b)
	b, _ = flowFile(f, 50, 1, parquet.WithCompression(compress.Codecs.Snappy), parquet.WithDataPageVersion(parquet.DataPageV2))
	f.Add(b)
	b, _ = flowFile(f, 50, 1, parquet.WithDictionaryDefault(false), parquet.WithEncodingFor("bytes", parquet.Encodings.DeltaBinaryPacked), parquet.WithEncodingFor("srcaddr", parquet.Encodings.DeltaByteArray))
	f.Add(b)
	req, rep, opt := parquet.Repetitions.Required, parquet.Repetitions.Repeated, parquet.Repetitions.Optional
	text := schema.StringLogicalType{}
	f.Add(written(f, []schema.Node{grp(f, "m", opt, schema.MapLogicalType{}, grp(f, "key_value", rep, nil,
		prim(f, "key", req, text, parquet.Types.ByteArray, -1), prim(f, "value", opt, text, parquet.Types.ByteArray, -1)))}, nil,
		[]column{{values: []any{"a", "b"}, def: []int16{2, 2, 1}, rep: []int16{0, 1, 0}}, {values: []any{"1"}, def: []int16{3, 2, 1}, rep: []int16{0, 1, 0}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		defer r.Close()
		first, err := io.ReadAll(io.LimitReader(r, 1<<20))
		again, _ := Open(bytes.NewReader(b), int64(len(b)))
		defer again.Close()
		second, err2 := io.ReadAll(io.LimitReader(again, 1<<20))
		if !bytes.Equal(first, second) || (err == nil) != (err2 == nil) {
			t.Errorf("reading twice = %q, %v and %q, %v, want the same", first, err, second, err2)
		}
	})
}

func FuzzParsePage(f *testing.F) {
	f.Add([]byte{0x15, 0x04, 0x15, 0x80, 0x01, 0x15, 0x80, 0x01, 0x4c, 0x15, 0x08, 0x15, 0x00, 0x00, 0x00})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, n, ok := parsePage(b); ok && (n <= 0 || n > len(b)) {
			t.Errorf("parsePage(%x) = %d bytes, want at most %d", b, n, len(b))
		}
	})
}
