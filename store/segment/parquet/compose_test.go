package parquet

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/parquet/file"
)

// footer cuts a file's footer off.
func footer(t testing.TB, b []byte) (foot []byte, end int64) {
	t.Helper()
	n, err := FooterSize(b[len(b)-TailSize:], int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	end = int64(len(b)) - TailSize - n
	return b[end : int64(len(b))-TailSize], end
}

// TestCompose takes some columns of two files, and one that is the same in each,
// into a third, which another reader reads.
func TestCompose(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 3))
		var want []Wanted
		var cols []Column
		for k, c := range randomWorld(rand.New(rand.NewPCG(0, 0)), 1).cols {
			if seed == 7 || r.IntN(2) == 0 {
				want = append(want, Wanted{k, c})
				cols = append(cols, c)
			}
		}
		c := NewComposer(append([]Column{{Name: "constant", Type: Bytes, Text: true}}, cols...))
		out := []byte(Magic)
		var worlds [][][]any // row groups, columns, rows
		for i := range 2 {
			w := randomWorld(r, []int{1, 300, 40000}[seed%3])
			b, _ := w.write(t, i == 0)
			foot, end := footer(t, b)
			groups, err := DecodeFooter(foot, len(w.cols), want, end)
			if err != nil || len(groups) != len(w.groups) {
				t.Fatalf("seed %d: %d groups, %v, want %d", seed, len(groups), err, len(w.groups))
			}
			for g, fg := range groups {
				constant := make([]any, fg.Rows)
				for k := range constant {
					constant[k] = string(rune('A' + i))
				}
				expect := [][]any{constant}
				var chunks []Described
				var d Described
				out, d = AppendConstant(out, []byte{byte('A' + i)}, int(fg.Rows))
				chunks = append(chunks, d)
				for k, d := range fg.Chunks {
					at := int64(len(out))
					out = append(out, b[d.Offset:d.Offset+d.Size]...)
					chunks = append(chunks, d.At(at))
					expect = append(expect, w.groups[g][want[k].Number])
				}
				if err := c.Add(fg.Rows, chunks); err != nil {
					t.Fatal(err)
				}
				worlds = append(worlds, expect)
			}
		}
		out = append(out, c.Footer()...)
		f, err := file.NewParquetReader(bytes.NewReader(out))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if f.NumRowGroups() != len(worlds) || f.NumRows() != c.Rows() {
			t.Fatalf("seed %d: %d row groups of %d rows, want %d of %d", seed, f.NumRowGroups(), f.NumRows(), len(worlds), c.Rows())
		}
		for g, expect := range worlds {
			rg := f.RowGroup(g)
			for k, col := range expect {
				cr, err := rg.Column(k)
				if err != nil {
					t.Fatal(err)
				}
				if got := readAll(t, cr, len(col)); !slices.Equal(got, col) {
					t.Fatalf("seed %d: group %d column %d differs", seed, g, k)
				}
				md, err := rg.MetaData().ColumnChunk(k)
				if err != nil {
					t.Fatal(err)
				}
				if k > 0 {
					checkStatistics(t, md, cols[k-1], col)
				}
			}
		}
	}
}

// TestForeignFooter: what is not the footer of these columns is refused.
func TestForeignFooter(t *testing.T) {
	w := randomWorld(rand.New(rand.NewPCG(1, 1)), 40)
	b, _ := w.write(t, true)
	foot, end := footer(t, b)
	good := []Wanted{{1, w.cols[1]}, {4, w.cols[4]}}
	for name, c := range map[string]struct {
		n    int
		want []Wanted
		end  int64
	}{
		"another number of columns": {len(w.cols) + 1, good, end},
		"another name":              {len(w.cols), []Wanted{{1, w.cols[2]}}, end},
		"another type":              {len(w.cols), []Wanted{{1, Column{Name: w.cols[1].Name, Type: Int64}}}, end},
		"no such column":            {len(w.cols), []Wanted{{len(w.cols), w.cols[1]}}, end},
		"chunks behind the end":     {len(w.cols), good, 20},
	} {
		if _, err := DecodeFooter(foot, c.n, c.want, c.end); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for i := range foot {
		if _, err := DecodeFooter(foot[:i], len(w.cols), good, end); err == nil && i < len(foot)-200 {
			t.Errorf("footer cut at %d of %d: no error", i, len(foot))
		}
	}
	for _, tail := range []string{"", "\x00\x00\x00\x00PAR2", "\xff\xff\xff\xffPAR1"} {
		if _, err := FooterSize([]byte(tail), 100); err == nil {
			t.Errorf("FooterSize(%q): no error", tail)
		}
	}
}

// FuzzFooter reads any footer; what passes lies within the file and fits the
// columns, so that the file made of it is one that can be read.
func FuzzFooter(f *testing.F) {
	w := randomWorld(rand.New(rand.NewPCG(1, 1)), 40)
	var want []Wanted
	for k, c := range w.cols {
		want = append(want, Wanted{k, c})
	}
	for _, compress := range []bool{false, true} {
		b, _ := w.write(f, compress)
		foot, end := footer(f, b)
		f.Add(foot, uint16(end), uint16(1<<9-1))
	}
	f.Fuzz(func(t *testing.T, foot []byte, end uint16, mask uint16) {
		var some []Wanted
		var cols []Column
		for k := range want {
			if mask>>k&1 == 1 {
				some, cols = append(some, want[k]), append(cols, want[k].Column)
			}
		}
		groups, err := DecodeFooter(foot, len(w.cols), some, int64(end))
		if err != nil {
			return
		}
		c := NewComposer(cols)
		for _, g := range groups {
			for _, d := range g.Chunks {
				if d.Offset < 4 || d.Size < 0 || d.Offset+d.Size > int64(end) {
					t.Fatalf("chunk %+v is not within %d bytes", d.Chunk, end)
				}
			}
			if err := c.Add(g.Rows, g.Chunks); err != nil {
				t.Fatal(err)
			}
		}
		b := c.Footer()
		n, err := FooterSize(b[len(b)-TailSize:], int64(len(b))+int64(end)+4)
		if err != nil {
			t.Fatal(err)
		}
		var again []Wanted
		for k, col := range cols {
			again = append(again, Wanted{k, col})
		}
		back, err := DecodeFooter(b[:n], len(cols), again, int64(end))
		if err != nil || len(back) != len(groups) {
			t.Fatalf("what was written is read as %d groups, %v; want %d", len(back), err, len(groups))
		}
	})
}
