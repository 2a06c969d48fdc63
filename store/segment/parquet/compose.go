package parquet

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Pages say nothing of where they lie, so that a column chunk can stand in any
// file: what a footer says of it (its type, its encoding, its statistics) stays
// true, but for the offsets. A [Composer] makes a file of chunks of others.

// Described is a column chunk with what a footer says of it.
type Described struct{ chunk }

// At returns the chunk as it is described where it lies at another offset. Page
// indexes do not come along.
func (d Described) At(offset int64) Described {
	d.dataOffset += offset - d.Offset
	d.Offset = offset
	d.IndexOffset, d.IndexSize, d.columnIndex, d.pages = 0, 0, [2]int64{}, nil
	return d
}

// Wanted names a column of a file, by its number there from 0 on.
type Wanted struct {
	Number int
	Column Column
}

// FooterGroup is what a footer says of a row group.
type FooterGroup struct {
	Rows   int64
	Chunks []Described // of the columns that were wanted
}

// TailSize is how many bytes a file ends with that say where its footer begins.
const TailSize = 8

// FooterSize returns how many bytes before the last [TailSize] of a file of so
// many bytes are its footer. tail is those last bytes.
func FooterSize(tail []byte, file int64) (int64, error) {
	if len(tail) != TailSize || string(tail[4:]) != magic {
		return 0, damaged("no footer")
	}
	n := int64(binary.LittleEndian.Uint32(tail))
	if n > file-TailSize-int64(len(magic)) {
		return 0, damaged("footer of %d bytes in a file of %d", n, file)
	}
	return n, nil
}

// DecodeFooter reads, out of the footer of a file with n columns, what it says
// of the wanted ones, whose numbers ascend. end is where the footer begins:
// before it the chunks must end.
func DecodeFooter(b []byte, n int, want []Wanted, end int64) ([]FooterGroup, error) {
	t := thriftReader{b: b}
	var out []FooterGroup
	var err error
	t.structure(func(id int16, typ byte) bool {
		if id != 4 || typ != tList {
			return false
		}
		groups, et := t.listHeader()
		if et != tStruct && groups > 0 {
			t.fail()
		}
		for ; groups > 0 && t.err == nil && err == nil; groups-- {
			var g FooterGroup
			if g, err = t.footerGroup(n, want, end); err == nil {
				out = append(out, g)
			}
		}
		return true
	})
	switch {
	case err != nil:
		return nil, err
	case t.err != nil:
		return nil, damaged("footer")
	}
	return out, nil
}

func (t *thriftReader) footerGroup(n int, want []Wanted, end int64) (g FooterGroup, err error) {
	g.Chunks = make([]Described, 0, len(want))
	t.structure(func(id int16, typ byte) bool {
		switch {
		case id == 1 && typ == tList:
			have, et := t.listHeader()
			if have != n || et != tStruct || len(g.Chunks) > 0 {
				t.fail()
				return true
			}
			left := want
			for i := range n {
				if len(left) == 0 || left[0].Number != i {
					t.skip(tStruct, 1)
					continue
				}
				d, of, name := t.describedChunk()
				if e := d.check(left[0].Column, of, name, end); e != nil && err == nil && t.err == nil {
					err = e
				}
				g.Chunks = append(g.Chunks, d)
				left = left[1:]
			}
		case id == 3 && typ == tI64:
			g.Rows = t.varint()
		default:
			return false
		}
		return true
	})
	switch {
	case t.err != nil:
		return g, damaged("footer")
	case err != nil:
		return g, err
	case g.Rows < 0 || g.Rows > MaxRows || len(g.Chunks) != len(want):
		return g, damaged("row group of %d rows with %d chunks of %d", g.Rows, len(g.Chunks), len(want))
	}
	for i := range g.Chunks {
		if c := &g.Chunks[i]; c.values != g.Rows || c.stats.nulls > g.Rows {
			return g, damaged("column %q has %d rows of %d", want[i].Column.Name, c.values, g.Rows)
		}
	}
	return g, nil
}

// describedChunk reads a ColumnChunk, and the name of its column. What the
// structures lack is left at a value that check refuses.
func (t *thriftReader) describedChunk() (d Described, of Type, name []byte) {
	var codec int32
	var dict int64 // offset of the dictionary
	d.Size, d.values = -1, -1
	t.structure(func(id int16, typ byte) bool {
		if id != 3 || typ != tStruct {
			return false
		}
		t.structure(func(id int16, typ byte) bool {
			switch {
			case id == 1 && typ == tI32:
				of = Type(t.varint())
			case id == 2 && typ == tList:
				n, et := t.listHeader()
				for i := range n {
					if et != tI32 || t.err != nil {
						t.fail()
						break
					}
					if v := int32(t.varint()); i == 0 {
						d.encoding = v
					}
				}
			case id == 3 && typ == tList:
				if n, et := t.listHeader(); n != 1 || et != tBinary {
					t.fail()
					return true
				}
				name = t.binary()
			case id == 4 && typ == tI32:
				codec = int32(t.varint())
			case id == 5 && typ == tI64:
				d.values = t.varint()
			case id == 6 && typ == tI64:
				d.raw = t.varint()
			case id == 7 && typ == tI64:
				d.Size = t.varint()
			case id == 9 && typ == tI64:
				d.dataOffset = t.varint()
			case id == 11 && typ == tI64:
				d.dictPage = true
				dict = t.varint()
			case id == 12 && typ == tStruct:
				t.structure(func(id int16, typ byte) bool {
					switch {
					case id == 3 && typ == tI64:
						d.stats.nulls = t.varint()
					case id == 5 && typ == tBinary:
						d.stats.max = t.binary()
					case id == 6 && typ == tBinary:
						d.stats.min = t.binary()
					default:
						return false
					}
					return true
				})
			default:
				return false
			}
			return true
		})
		return true
	})
	d.Compressed = codec == codecZstd
	d.Offset = d.dataOffset
	if d.dictPage {
		d.Offset = dict
	}
	if codec != codecZstd && codec != codecNone {
		t.fail()
	}
	return d, of, name
}

// check reports whether the description is one that a Writer may have written
// of a column.
func (d *Described) check(col Column, of Type, name []byte, end int64) error {
	bad := func(what string) error { return damaged("footer of column %q: %s", col.Name, what) }
	switch {
	case string(name) != col.Name:
		return bad("it is of another column")
	case of != col.Type:
		return bad("another type")
	case d.Offset < int64(len(magic)) || d.Size < 0 || d.Offset > end || d.Size > end-d.Offset:
		return bad("chunk outside the file")
	case d.dataOffset < d.Offset || d.dataOffset > d.Offset+d.Size:
		return bad("pages outside the chunk")
	case d.raw < 0 || d.stats.nulls < 0:
		return bad("negative size")
	case (d.stats.min == nil) != (d.stats.max == nil):
		return bad("half a range")
	}
	if d.stats.min == nil {
		return nil
	}
	size := -1
	switch col.Type {
	case Int32:
		size = 4
	case Int64:
		size = 8
	case Fixed:
		size = FixedSize
	}
	if size >= 0 && (len(d.stats.min) != size || len(d.stats.max) != size) || len(d.stats.min) > maxStat || len(d.stats.max) > maxStat {
		return bad("statistics of another type")
	}
	return nil
}

// binary reads a byte string, which is a copy.
func (t *thriftReader) binary() []byte {
	n := t.uvarint()
	if n > uint64(len(t.b)) {
		t.fail()
		return nil
	}
	b := bytes.Clone(t.b[:n:n])
	if b == nil {
		b = []byte{}
	}
	t.b = t.b[n:]
	return b
}

// Magic is what a file begins with.
const Magic = magic

// Composer makes the footer of a file that is put together out of chunks of
// other files: [Magic], the chunks anywhere, the footer. It is not safe for
// concurrent use.
type Composer struct {
	w    Writer
	rows int64
}

// NewComposer begins a file with these columns.
func NewComposer(cols []Column) *Composer { return &Composer{w: Writer{cols: cols}} }

// Add adds a row group. The chunks are described where they lie in the new file.
func (c *Composer) Add(rows int64, chunks []Described) error {
	if len(chunks) != len(c.w.cols) {
		return fmt.Errorf("compose Parquet file: row group with %d columns of %d", len(chunks), len(c.w.cols))
	}
	g := rowGroup{rows: int(rows), chunks: make([]chunk, len(chunks))}
	for i := range chunks {
		g.chunks[i] = chunks[i].chunk
	}
	c.w.groups = append(c.w.groups, g)
	c.rows += rows
	return nil
}

// Rows returns how many rows there are so far.
func (c *Composer) Rows() int64 { return c.rows }

// Footer returns what the file ends with: the footer, its length, [Magic].
func (c *Composer) Footer() []byte {
	var buf bytes.Buffer
	c.w.w, c.w.off = &buf, 0
	c.w.writeEnd()
	return buf.Bytes()
}

// AppendConstant appends a chunk, not compressed, of a required column of bytes
// in which every row has one value. The chunk is described as lying at the length
// of dst.
func AppendConstant(dst, value []byte, rows int) ([]byte, Described) {
	d := Described{chunk{values: int64(rows), dictPage: true, encoding: encDict}}
	d.Offset = int64(len(dst))
	d.stats.of(value, value, rows > 0)
	var h thriftWriter
	page := func(typ, n int, encoding int32, body []byte) {
		h.b = h.b[:0]
		h.page(typ, n, encoding, len(body), len(body))
		dst = append(append(dst, h.b...), body...)
	}
	page(pageDict, 1, encPlain, append(binary.LittleEndian.AppendUint32(nil, uint32(len(value))), value...))
	d.dataOffset = int64(len(dst))
	// Numbers of one bit, in one run of zeros.
	page(pageData, rows, encDict, append(binary.AppendUvarint([]byte{1}, uint64(rows)<<1), 0))
	d.Size = int64(len(dst)) - d.Offset
	d.raw = d.Size
	return dst, d
}
