package parquet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
)

// world is a file to be: for each row group and column, the value of each row,
// nil for none.
type world struct {
	cols   []Column
	how    []string // dict, delta, plain
	groups [][][]any
}

// randomWorld makes columns of every form with values of every sort of
// distribution.
func randomWorld(r *rand.Rand, rows int) world {
	var w world
	add := func(c Column, how string) {
		c.Name = fmt.Sprintf("c%d", len(w.cols))
		w.cols, w.how = append(w.cols, c), append(w.how, how)
	}
	add(Column{Type: Int64, Micros: true}, "delta")
	add(Column{Type: Int32}, "dict")
	add(Column{Type: Int64, Optional: true}, "dict")
	add(Column{Type: Int64, Optional: true}, "delta")
	add(Column{Type: Bytes, Optional: true, Text: true}, "dict")
	add(Column{Type: Bytes, Optional: true, Text: true}, "plain")
	add(Column{Type: Bytes, Optional: true}, "plain")
	add(Column{Type: Bytes, Text: true}, "dict")
	add(Column{Type: Fixed, Optional: true, UUID: true}, "plain")
	for range 1 + r.IntN(3) {
		n := 1 + r.IntN(rows)
		var g [][]any
		for _, c := range w.cols {
			col := make([]any, n)
			distinct := 1 << r.IntN(18)
			holes := []float64{0, 0.01, 0.5, 0.99, 1}[r.IntN(5)]
			stay := []float64{0, 0.5, 0.99}[r.IntN(3)]
			wide := r.IntN(2) == 0
			var v any
			for i := range col {
				if v == nil || r.Float64() >= stay {
					x := int64(r.IntN(distinct))
					switch {
					case c.Type == Int32:
						x -= 5
						if wide {
							x = int64(int32(r.Uint32()))
						}
						v = x
					case c.Type == Int64:
						if wide {
							x = int64(r.Uint64())
							if r.IntN(10) == 0 {
								x = []int64{math.MinInt64, math.MaxInt64, 0}[r.IntN(3)]
							}
						}
						v = x
					case c.Type == Fixed:
						b := [16]byte{0: byte(x), 7: byte(x >> 8)}
						if wide {
							binary.LittleEndian.PutUint64(b[8:], r.Uint64())
						}
						v = string(b[:])
					default:
						v = fmt.Sprintf("%0*d", r.IntN(9), x)
					}
				}
				if !c.Optional || r.Float64() >= holes {
					col[i] = v
				}
			}
			g = append(g, col)
		}
		w.groups = append(w.groups, g)
	}
	return w
}

func (w *world) write(t testing.TB, compress bool) ([]byte, *Writer) {
	var out bytes.Buffer
	pw := NewWriter(&out, w.cols, compress)
	const base = 7
	for _, g := range w.groups {
		pw.BeginGroup(len(g[0]))
		for k, col := range g {
			rows := Rows{N: len(col), Base: base}
			var nums []int64
			var texts [][]byte
			at := []int32{}
			for i, v := range col {
				switch v := v.(type) {
				case int64:
					nums = append(nums, v)
				case string:
					texts = append(texts, []byte(v))
				default:
					continue
				}
				at = append(at, int32(i)+base)
			}
			if len(at) < len(col) {
				rows.At = at
			}
			var err error
			switch {
			case w.cols[k].Type == Fixed:
				err = pw.Fixed(bytes.Join(texts, nil), rows)
			case w.cols[k].Type != Bytes:
				err = pw.Ints(nums, rows, w.how[k] == "delta")
			case w.how[k] == "plain":
				err = pw.Plain(len(texts), func(i int) []byte { return texts[i] }, rows, true)
			default:
				seen := map[string]uint32{}
				entries := [][]byte{[]byte("not there"), {}}
				var idx []uint32
				for _, v := range texts {
					n, ok := seen[string(v)]
					if !ok {
						n = uint32(len(entries))
						seen[string(v)] = n
						entries = append(entries, v)
					}
					idx = append(idx, n)
				}
				err = pw.Dict(len(entries), func(i uint32) []byte { return entries[i] }, idx, rows)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := pw.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), pw
}

// at is the value of a row.
func (v *Values) at(c Column, row int) any {
	i := row
	if v.At != nil {
		if i = int(v.At[row]); i < 0 {
			return nil
		}
	}
	if c.Type == Bytes || c.Type == Fixed {
		return string(v.Text(i))
	}
	return v.Nums[i]
}

func TestRoundTrip(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := randomWorld(r, []int{1, 9, 300, 40000, 140000}[seed%5])
		b, pw := w.write(t, seed%2 == 0)
		for g := range w.groups {
			for k, c := range pw.Chunks(g) {
				col := w.groups[g][k]
				got, err := Decode(b[c.Offset:c.Offset+c.Size], w.cols[k], c.Compressed, len(col))
				if err != nil {
					t.Fatalf("seed %d: Decode of group %d column %d: %v", seed, g, k, err)
				}
				for i, want := range col {
					if v := got.at(w.cols[k], i); v != want {
						t.Fatalf("seed %d: group %d column %d row %d = %v, want %v", seed, g, k, i, v, want)
					}
				}
				index, err := DecodeIndex(b[c.IndexOffset:c.IndexOffset+c.IndexSize], c, int64(len(col)))
				if err != nil {
					t.Fatalf("seed %d: DecodeIndex of group %d column %d: %v", seed, g, k, err)
				}
				for range 5 {
					row := r.IntN(len(col))
					pk, err := NewPicker(b[c.Offset:index[0].Offset], w.cols[k], c.Compressed)
					if err != nil {
						t.Fatal(err)
					}
					p := index[PageOf(index, int64(row))]
					v, first, err := pk.Page(b[p.Offset:p.Offset+p.Size], int64(len(col)))
					if err != nil {
						t.Fatal(err)
					}
					if got := v.at(w.cols[k], first+row-int(p.FirstRow)); got != col[row] {
						t.Fatalf("seed %d: group %d column %d: row %d of its page = %v, want %v", seed, g, k, row, got, col[row])
					}
				}
			}
		}
	}
}

// TestOtherReader has the general library read what is written here.
func TestOtherReader(t *testing.T) {
	for seed := range uint64(10) {
		w := randomWorld(rand.New(rand.NewPCG(seed, 2)), []int{1, 300, 70000}[seed%3])
		b, _ := w.write(t, seed%2 == 0)
		f, err := file.NewParquetReader(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if f.NumRowGroups() != len(w.groups) {
			t.Fatalf("%d row groups, want %d", f.NumRowGroups(), len(w.groups))
		}
		for g, cols := range w.groups {
			rg := f.RowGroup(g)
			for k, col := range cols {
				cr, err := rg.Column(k)
				if err != nil {
					t.Fatal(err)
				}
				got := readAll(t, cr, len(col))
				if !slices.Equal(got, col) {
					t.Fatalf("seed %d: group %d column %d differs", seed, g, k)
				}
				md, err := rg.MetaData().ColumnChunk(k)
				if err != nil {
					t.Fatal(err)
				}
				checkStatistics(t, md, w.cols[k], col)
				// The page index leads to the same rows.
				if row := len(col) / 2; row > 0 {
					cr, err := rg.Column(k)
					if err != nil {
						t.Fatal(err)
					}
					if err := cr.(interface{ SeekToRow(int64) error }).SeekToRow(int64(row)); err != nil {
						t.Fatalf("seed %d: group %d column %d: SeekToRow(%d): %v", seed, g, k, row, err)
					}
					if got := readAll(t, cr, 1); got[0] != col[row] {
						t.Fatalf("seed %d: group %d column %d row %d = %v, want %v", seed, g, k, row, got[0], col[row])
					}
				}
			}
		}
	}
}

func checkStatistics(t *testing.T, md *metadata.ColumnChunkMetaData, c Column, col []any) {
	t.Helper()
	st, err := md.Statistics()
	if err != nil {
		t.Fatal(err)
	}
	nulls := int64(0)
	for _, v := range col {
		if v == nil {
			nulls++
		}
	}
	if st.NullCount() != nulls {
		t.Errorf("column %s: %d nulls, want %d", c.Name, st.NullCount(), nulls)
	}
	if nulls == int64(len(col)) {
		return
	}
	switch st := st.(type) {
	case *metadata.Int64Statistics:
		least, most := int64(math.MaxInt64), int64(math.MinInt64)
		for _, v := range col {
			if v != nil {
				least, most = min(least, v.(int64)), max(most, v.(int64))
			}
		}
		if st.Min() != least || st.Max() != most {
			t.Errorf("column %s: from %d to %d, want %d to %d", c.Name, st.Min(), st.Max(), least, most)
		}
	case *metadata.ByteArrayStatistics:
		var all []string
		for _, v := range col {
			if v != nil {
				all = append(all, v.(string))
			}
		}
		if least, most := slices.Min(all), slices.Max(all); string(st.Min()) != least || string(st.Max()) != most {
			t.Errorf("column %s: from %q to %q, want %q to %q", c.Name, st.Min(), st.Max(), least, most)
		}
	}
}

func readAll(t *testing.T, cr file.ColumnChunkReader, n int) []any {
	t.Helper()
	out := make([]any, 0, n)
	const batch = 1000
	for len(out) < n {
		defs := make([]int16, batch)
		var total int64
		var vals []any
		var err error
		want := int64(min(batch, n-len(out)))
		switch cr := cr.(type) {
		case *file.Int64ColumnChunkReader:
			v := make([]int64, batch)
			var got int
			total, got, err = cr.ReadBatch(want, v, defs, nil)
			for _, x := range v[:got] {
				vals = append(vals, x)
			}
		case *file.Int32ColumnChunkReader:
			v := make([]int32, batch)
			var got int
			total, got, err = cr.ReadBatch(want, v, defs, nil)
			for _, x := range v[:got] {
				vals = append(vals, int64(x))
			}
		case *file.FixedLenByteArrayColumnChunkReader:
			v := make([]parquet.FixedLenByteArray, batch)
			var got int
			total, got, err = cr.ReadBatch(want, v, defs, nil)
			for _, x := range v[:got] {
				vals = append(vals, string(x))
			}
		case *file.ByteArrayColumnChunkReader:
			v := make([]parquet.ByteArray, batch)
			var got int
			total, got, err = cr.ReadBatch(want, v, defs, nil)
			for _, x := range v[:got] {
				vals = append(vals, string(x))
			}
		}
		if err != nil || total == 0 {
			t.Fatalf("read: %d rows, %v", total, err)
		}
		for _, d := range defs[:total] {
			if cr.Descriptor().MaxDefinitionLevel() > 0 && d == 0 {
				out = append(out, nil)
			} else {
				out = append(out, vals[0])
				vals = vals[1:]
			}
		}
	}
	return out
}

func TestDelta(t *testing.T) {
	for name, values := range map[string][]int64{
		"none": nil, "one": {5}, "extremes": {math.MinInt64, math.MaxInt64, math.MinInt64, 0, -1, math.MaxInt64},
		"block and one": append(make([]int64, 129), 7),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readDelta(nil, appendDelta(nil, values), len(values))
			if err != nil || !slices.Equal(got, values) {
				t.Errorf("readDelta(appendDelta(%v)) = %v, %v", values, got, err)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	w := randomWorld(rand.New(rand.NewPCG(1, 1)), 40)
	for _, compress := range []bool{false, true} {
		b, pw := w.write(f, compress)
		for k, c := range pw.Chunks(0) {
			f.Add(b[c.Offset:c.Offset+c.Size], uint8(k), compress, uint16(len(w.groups[0][k])))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, k uint8, compress bool, rows uint16) {
		c := w.cols[int(k)%len(w.cols)]
		v, err := Decode(b, c, compress, int(rows))
		if err != nil {
			return
		}
		for row := range int(rows) {
			v.at(c, row)
		}
	})
}

func FuzzIndex(f *testing.F) {
	w := randomWorld(rand.New(rand.NewPCG(1, 1)), 40)
	b, pw := w.write(f, true)
	c := pw.Chunks(0)[0]
	f.Add(b[c.IndexOffset : c.IndexOffset+c.IndexSize])
	f.Fuzz(func(t *testing.T, b []byte) {
		index, err := DecodeIndex(b, c, 1000)
		if err != nil {
			return
		}
		for _, p := range index {
			if p.Offset < c.Offset || p.Offset+p.Size > c.Offset+c.Size {
				t.Fatalf("page %+v is not within its chunk %+v", p, c)
			}
		}
	})
}

// FuzzHybrid writes any values, and reads any bytes.
func FuzzHybrid(f *testing.F) {
	f.Add([]byte{1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 9}, uint8(4))
	f.Fuzz(func(t *testing.T, b []byte, width uint8) {
		w := int(width)%32 + 1
		values := make([]uint32, len(b))
		for i, c := range b {
			values[i] = uint32(c) * 0x01010101 & (1<<w - 1)
		}
		got, err := readHybrid(nil, appendHybrid(nil, values, w), len(values), w)
		if err != nil || !slices.Equal(got, values) {
			t.Fatalf("readHybrid(appendHybrid(%v), %d) = %v, %v", values, w, got, err)
		}
		readHybrid(nil, b, len(b)*3, w)
		readDelta(nil, b, len(b))
	})
}
