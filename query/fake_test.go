package query

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"trailward"
	"trailward/query/duck"
	"trailward/query/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// epoch is the time of the first record in fake parts.
var epoch = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

// fakeRow is one record: its fields by path, its time and its bytes.
type fakeRow struct {
	at      time.Time
	stream  string
	message string
	fields  map[string]any // string or int64
}

// fakePart is a part in a memory file.
type fakePart struct {
	id, group string
	kind      trailward.Kind
	fields    []Field
	rows      []fakeRow
	fd        int

	opened   atomic.Int64
	mu       sync.Mutex
	columns  []string     // of the last Open
	asked    atomic.Int64 // rows asked of Messages
	failOpen error
}

func (p *fakePart) fake() *fakePart      { return p }
func (p *fakePart) ID() string           { return p.id }
func (p *fakePart) Group() string        { return p.group }
func (p *fakePart) Kind() trailward.Kind { return p.kind }
func (p *fakePart) Rows() int64          { return int64(len(p.rows)) }
func (p *fakePart) MinTime() time.Time   { return p.rows[0].at }
func (p *fakePart) MaxTime() time.Time   { return p.rows[len(p.rows)-1].at }
func (p *fakePart) Fields() []Field      { return p.fields }

// Open gives each part a file of its own.
func (s *fakeSnapshot) Open(_ context.Context, parts []Part, columns []string, _ int) ([]File, error) {
	var out []File
	for i, part := range parts {
		p := part.(interface{ fake() *fakePart }).fake()
		if p.failOpen != nil {
			return nil, fmt.Errorf("open segment %s: %w", p.id, p.failOpen)
		}
		p.opened.Add(1)
		p.mu.Lock()
		p.columns = columns
		p.mu.Unlock()
		out = append(out, File{FD: p.fd, Parts: []int{i}, Bytes: func(_ int, column string) int64 {
			if column == "" {
				return 0
			}
			return 100
		}})
	}
	return out, nil
}

func (p *fakePart) Messages(rows []int64, fn func(int64, []byte) error) error {
	if rows == nil {
		for i := range p.rows {
			rows = append(rows, int64(i))
		}
	}
	if !slices.IsSorted(rows) {
		return fmt.Errorf("rows do not ascend: %v", rows)
	}
	for _, r := range rows {
		p.asked.Add(1)
		if err := fn(r, []byte(p.rows[r].message)); err != nil {
			return fmt.Errorf("part %s: %w", p.id, err)
		}
	}
	return nil
}

// newPart writes the Parquet file. types gives the columns beside the system's,
// in file order, as "path type".
func newPart(t testing.TB, id, group string, kind trailward.Kind, types []Field, rows []fakeRow) *fakePart {
	t.Helper()
	p := &fakePart{id: id, group: group, kind: kind, rows: rows}
	p.fields = append([]Field{{Path: fieldTime, Type: plan.Time}, {Path: fieldIngestion, Type: plan.Time}, {Path: fieldLogStream, Type: plan.Text}}, types...)
	buf := encode(t, p.fields, rows)
	var err error
	if p.fd, err = unix.MemfdCreate("part", unix.MFD_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(p.fd) })
	for off := 0; off < len(buf); {
		n, err := unix.Pwrite(p.fd, buf[off:], int64(off))
		if err != nil {
			t.Fatal(err)
		}
		off += n
	}
	return p
}

// rowGroup is how many rows the store puts into a row group.
const rowGroup = 128 << 10

// encode writes rows as Parquet.
func encode(t testing.TB, fields []Field, rows []fakeRow) []byte {
	t.Helper()
	var nodes schema.FieldList
	for _, f := range fields {
		var logical schema.LogicalType = schema.StringLogicalType{}
		physical := parquet.Types.ByteArray
		switch f.Type {
		case plan.Time:
			logical, physical = schema.NewTimestampLogicalType(true, schema.TimeUnitMicros), parquet.Types.Int64
		case plan.Int:
			logical, physical = schema.NewIntLogicalType(64, true), parquet.Types.Int64
		}
		n, err := schema.NewPrimitiveNodeLogical(column(f), parquet.Repetitions.Optional, logical, physical, -1, -1)
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, n)
	}
	root, err := schema.NewGroupNode("schema", parquet.Repetitions.Required, nodes, -1)
	if err != nil {
		t.Fatal(err)
	}
	codec := compress.Codecs.Zstd
	if len(rows) < 1000 { // a compressor costs more than such a file
		codec = compress.Codecs.Uncompressed
	}
	var buf bytes.Buffer
	w := file.NewParquetWriter(&buf, root, file.WithWriterProps(parquet.NewWriterProperties(parquet.WithCompression(codec))))
	for chunk := range slices.Chunk(rows, rowGroup) {
		rg, err := w.AppendRowGroupChecked()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fields {
			cw, err := rg.NextColumn()
			if err != nil {
				t.Fatal(err)
			}
			var levels []int16
			var ints []int64
			var texts []parquet.ByteArray
			for _, r := range chunk {
				v := r.fields[f.Path]
				switch f.Path {
				case fieldTime, fieldIngestion:
					v = r.at.UnixMicro()
				case fieldLogStream:
					v = r.stream
				}
				level := int16(1)
				switch v := v.(type) {
				case nil:
					level = 0
				case string:
					texts = append(texts, parquet.ByteArray(v))
				case int64:
					ints = append(ints, v)
				case int:
					ints = append(ints, int64(v))
				default:
					t.Fatalf("value %v of %s", v, f.Path)
				}
				levels = append(levels, level)
			}
			switch cw := cw.(type) {
			case *file.Int64ColumnChunkWriter:
				_, err = cw.WriteBatch(ints, levels, nil)
			case *file.ByteArrayColumnChunkWriter:
				_, err = cw.WriteBatch(texts, levels, nil)
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
	return buf.Bytes()
}

func column(f Field) string {
	if f.Column != "" {
		return f.Column
	}
	return f.Path
}

// textFields makes text columns; a name that ends with # is a number, with {
// JSON.
func textFields(names ...string) []Field {
	var out []Field
	for _, n := range names {
		f := Field{Path: n, Type: plan.Text}
		if s, ok := strings.CutSuffix(n, "#"); ok {
			f = Field{Path: s, Type: plan.Int}
		} else if s, ok := strings.CutSuffix(n, "{"); ok {
			f = Field{Path: s, Type: plan.JSON}
		}
		out = append(out, f)
	}
	return out
}

// fakeSnapshot counts how often it is open.
type fakeSnapshot struct {
	parts []Part
	open  *atomic.Int64
	once  atomic.Bool
}

func (s *fakeSnapshot) Parts() []Part { return s.parts }

func (s *fakeSnapshot) Close() error {
	if !s.once.Swap(true) {
		s.open.Add(-1)
	}
	return nil
}

// fakeStore hands out snapshots of its parts.
type fakeStore struct {
	parts []Part
	open  atomic.Int64
	mu    sync.Mutex
	last  Selection // of the last snapshot
}

func (f *fakeStore) snapshot(sel Selection) (Snapshot, error) {
	f.mu.Lock()
	f.last = sel
	f.mu.Unlock()
	f.open.Add(1)
	var parts []Part
	for _, p := range f.parts {
		if len(sel.Kinds) > 0 && !slices.Contains(sel.Kinds, p.Kind()) {
			continue
		}
		if len(sel.Groups) > 0 && !slices.ContainsFunc(sel.Groups, func(g string) bool {
			_, ok := meet(g, p.Group())
			return ok
		}) {
			continue
		}
		parts = append(parts, p)
	}
	return &fakeSnapshot{parts: parts, open: &f.open}, nil
}

// newEngine makes an engine over parts, and checks at the end that every
// snapshot was closed.
func newEngine(t testing.TB, parts ...Part) (*Engine, *fakeStore) {
	t.Helper()
	store := &fakeStore{parts: parts}
	e, err := New(Options{Snapshot: store.snapshot, Pool: duck.Config{Concurrency: 2, Memory: 512 << 20, Threads: 2}, AccountID: "111122223333"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			t.Error(err)
		}
		if n := store.open.Load(); n != 0 {
			t.Errorf("%d snapshots are still open", n)
		}
	})
	return e, store
}

// ref makes a field reference of keys.
func ref(keys ...string) plan.FieldRef { return plan.FieldRef{Keys: keys} }

// scanTask asks for fields and runs SQL over them: R in the text is the
// relation, names in braces are its columns, in the order of fields.
func scanTask(sel Selection, fields []plan.FieldRef, sql string, types *[]plan.Type, out []Column) task {
	return task{sel: sel, timeout: time.Minute, start: time.Now(), statement: func(ctx context.Context, s *scan) (string, []Column, error) {
		s.count = countAll
		rel, err := s.open(ctx)(nil, fields)
		if err != nil {
			return "", nil, err
		}
		text := strings.ReplaceAll(sql, "R!", rel.SQL+" AS r")
		for i, f := range fields {
			c := rel.Columns[f.Key()]
			if types != nil {
				*types = append(*types, c.Type)
			}
			text = strings.ReplaceAll(text, "{"+itoa(i)+"}", "r."+quote(c.Name))
		}
		return text, out, nil
	}}
}

// read takes all rows.
func read(r Rows, err error) ([][]any, error) {
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out [][]any
	for r.Next() {
		out = append(out, slices.Clone(r.Values()))
	}
	return out, r.Err()
}
