package segment

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"trailward"
	"trailward/store/segment/parquet"
)

// columnNames are those of a segment.
func columnNames(r *Reader) (out []string) {
	for _, f := range r.Meta.Fields {
		out = append(out, f.Column)
	}
	return out
}

// TestDescribe: what a footer says fits what the segment says, for any columns in
// any order.
func TestDescribe(t *testing.T) {
	r := write(t, build(t, trailward.KindJSON, nil, random(5, 400)), Options{})
	names := columnNames(r)
	slices.Reverse(names)
	for _, ask := range [][]string{nil, names, names[1:4], names[:1]} {
		d, err := r.Describe(ask)
		if err != nil || len(d.Columns) != len(ask) || len(d.Groups) != len(r.Meta.Groups) || d.Footer <= 0 {
			t.Fatalf("Describe(%q) = %+v, %v", ask, d, err)
		}
		for k, c := range d.Columns {
			if c.Name != ask[k] {
				t.Errorf("column %d is %q, want %q", k, c.Name, ask[k])
			}
		}
		for g := range d.Groups {
			for k, c := range d.Groups[g].Chunks {
				f := &r.Meta.Fields[slices.IndexFunc(r.Meta.Fields, func(f Field) bool { return f.Column == ask[k] })]
				if f.Chunks[g] != [2]int64{c.Offset, c.Size} {
					t.Errorf("column %q lies at %d, %d, want %v", ask[k], c.Offset, c.Size, f.Chunks[g])
				}
			}
		}
	}
	if _, err := r.Describe([]string{"no such"}); !errors.Is(err, ErrDamaged) {
		t.Errorf("a column that is not there: %v", err)
	}
}

// describeDamaged asks a segment whose Parquet footer is not what it was. What
// passes still says what the segment's own meta data say.
func describeDamaged(t *testing.T, r *Reader) {
	d, err := r.Describe(columnNames(r))
	if err != nil {
		if !errors.Is(err, ErrDamaged) {
			t.Fatalf("error %v is none of damage", err)
		}
		return
	}
	c := parquet.NewComposer(d.Columns)
	for g := range d.Groups {
		if d.Groups[g].Rows != r.Meta.Groups[g].Rows {
			t.Fatalf("row group of %d rows, want %d", d.Groups[g].Rows, r.Meta.Groups[g].Rows)
		}
		for k, chunk := range d.Groups[g].Chunks {
			if place := r.Meta.Fields[k].Chunks[g]; place != [2]int64{chunk.Offset, chunk.Size} {
				t.Fatalf("chunk at %d, %d, want %v", chunk.Offset, chunk.Size, place)
			}
		}
		if err := c.Add(d.Groups[g].Rows, d.Groups[g].Chunks); err != nil {
			t.Fatal(err)
		}
	}
	c.Footer()
}

// patched reads a segment in whose Parquet file bytes are others.
type patched struct {
	b   []byte
	at  int64
	new []byte
}

func (p patched) ReadAt(b []byte, off int64) (int, error) {
	n := copy(b, p.b[off:])
	for i, c := range p.new {
		if at := p.at + int64(i) - off; at >= 0 && at < int64(n) {
			b[at] = c
		}
	}
	return n, nil
}

// FuzzDescribe puts any bytes over the end of the Parquet file in a segment.
func FuzzDescribe(f *testing.F) {
	var buf bytes.Buffer
	if _, err := build(f, trailward.KindJSON, nil, random(5, 60)).Write(&buf, Options{Fast: true}); err != nil {
		f.Fatal(err)
	}
	b := buf.Bytes()
	r, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		f.Fatal(err)
	}
	size := r.Meta.ParquetSize
	d, err := r.Describe(nil)
	if err != nil {
		f.Fatal(err)
	}
	foot := b[size-d.Footer : size]
	f.Add(foot)
	f.Add([]byte("PAR1"))
	for i := 0; i < len(foot); i += 7 {
		c := bytes.Clone(foot)
		c[i] ^= 0x11
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, end []byte) {
		if int64(len(end)) > size {
			end = end[:size]
		}
		r, err := Open(patched{b, size - int64(len(end)), end}, int64(len(b)))
		if err != nil {
			t.Fatal(err) // that is elsewhere
		}
		describeDamaged(t, r)
	})
}
