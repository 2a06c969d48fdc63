package parquet

// The structures behind the chunks: offset indexes, column indexes, footer
// (parquet.thrift: OffsetIndex, ColumnIndex, FileMetaData).

// indexesOf writes the offset index of every chunk, and the column index of
// those of integers.
func (w *Writer) indexesOf() {
	h := &w.head
	for g := range w.groups {
		for k := range w.groups[g].chunks {
			c := &w.groups[g].chunks[k]
			h.b = h.b[:0]
			h.begin()
			h.list(1, tStruct, len(c.pages))
			for _, p := range c.pages {
				h.begin()
				h.i64(1, p.offset)
				h.i32(2, p.size)
				h.i64(3, p.firstRow)
				h.end()
			}
			h.end()
			c.IndexOffset, c.IndexSize = w.off, int64(len(h.b))
			w.write(h.b)
		}
	}
	for g := range w.groups {
		for k := range w.groups[g].chunks {
			w.columnIndex(&w.groups[g].chunks[k], k)
		}
	}
}

func (w *Writer) columnIndex(c *chunk, k int) {
	size := 8
	if w.cols[k].Type == Int32 {
		size = 4
	}
	if w.cols[k].Type == Bytes || w.cols[k].Type == Fixed {
		return
	}
	h := &w.head
	h.b = h.b[:0]
	h.begin()
	h.list(1, tTrue, len(c.pages))
	order, known := int32(1), false // ascending
	var least, most int64
	for _, p := range c.pages {
		if p.ints {
			h.b = append(h.b, tFalse)
			if known && (p.least < least || p.most < most) {
				order = 0
			}
			least, most, known = p.least, p.most, true
		} else {
			h.b = append(h.b, tTrue)
		}
	}
	for id := int16(2); id <= 3; id++ {
		h.list(id, tBinary, len(c.pages))
		for _, p := range c.pages {
			switch {
			case !p.ints:
				h.bytes(nil)
			case id == 2:
				h.bytes(appendFixed(nil, p.least, size))
			default:
				h.bytes(appendFixed(nil, p.most, size))
			}
		}
	}
	h.i32(4, order)
	h.list(5, tI64, len(c.pages))
	for _, p := range c.pages {
		h.varint(p.nulls)
	}
	h.end()
	c.columnIndex = [2]int64{w.off, int64(len(h.b))}
	w.write(h.b)
}

func (w *Writer) footer() {
	h := &w.head
	h.b = h.b[:0]
	h.begin()
	h.i32(1, 2)
	h.list(2, tStruct, len(w.cols)+1)
	h.begin()
	h.binary(4, []byte("trailward"))
	h.i32(5, int32(len(w.cols)))
	h.end()
	for i := range w.cols {
		w.schemaElement(&w.cols[i])
	}
	rows := int64(0)
	for _, g := range w.groups {
		rows += int64(g.rows)
	}
	h.i64(3, rows)
	h.list(4, tStruct, len(w.groups))
	for i := range w.groups {
		w.rowGroup(i)
	}
	h.binary(6, []byte("trailward"))
	h.list(7, tStruct, len(w.cols)) // column orders: by type
	for range w.cols {
		h.begin()
		h.structure(1)
		h.end()
		h.end()
	}
	h.end()
	w.write(h.b)
}

func (w *Writer) schemaElement(c *Column) {
	h := &w.head
	h.begin()
	h.i32(1, int32(c.Type))
	if c.Type == Fixed {
		h.i32(2, FixedSize)
	}
	if c.Optional {
		h.i32(3, 1)
	} else {
		h.i32(3, 0)
	}
	h.binary(4, []byte(c.Name))
	switch {
	case c.Text:
		h.i32(6, 0) // converted type UTF8
		h.structure(10)
		h.structure(1)
		h.end()
		h.end()
	case c.UUID:
		h.structure(10)
		h.structure(14)
		h.end()
		h.end()
	case c.Micros:
		h.structure(10)
		h.structure(8)
		h.bool(1, false)
		h.structure(2)
		h.structure(2)
		h.end()
		h.end()
		h.end()
		h.end()
	}
	h.end()
}

func (w *Writer) rowGroup(i int) {
	h := &w.head
	g := &w.groups[i]
	h.begin()
	h.list(1, tStruct, len(g.chunks))
	var raw, size int64
	for k := range g.chunks {
		c := &g.chunks[k]
		raw, size = raw+c.raw, size+c.Size
		h.begin()
		h.i64(2, c.Offset)
		h.structure(3)
		w.columnMeta(c, &w.cols[k])
		h.end()
		if c.IndexSize > 0 {
			h.i64(4, c.IndexOffset)
			h.i32(5, int32(c.IndexSize))
		}
		if c.columnIndex[1] > 0 {
			h.i64(6, c.columnIndex[0])
			h.i32(7, int32(c.columnIndex[1]))
		}
		h.end()
	}
	h.i64(2, raw)
	h.i64(3, int64(g.rows))
	if len(g.chunks) > 0 {
		h.i64(5, g.chunks[0].Offset)
	}
	h.i64(6, size)
	if i < 1<<15 {
		h.field(7, tI16)
		h.varint(int64(i))
	}
	h.end()
}

func (w *Writer) columnMeta(c *chunk, col *Column) {
	h := &w.head
	h.i32(1, int32(col.Type))
	encodings := []int32{c.encoding, encRLE}
	if c.dictPage {
		encodings = append(encodings, encPlain)
	}
	h.list(2, tI32, len(encodings))
	for _, e := range encodings {
		h.varint(int64(e))
	}
	h.list(3, tBinary, 1)
	h.bytes([]byte(col.Name))
	codec := int32(codecNone)
	if c.Compressed {
		codec = codecZstd
	}
	h.i32(4, codec)
	h.i64(5, c.values)
	h.i64(6, c.raw)
	h.i64(7, c.Size)
	h.i64(9, c.dataOffset)
	if c.dictPage {
		h.i64(11, c.Offset)
	}
	h.structure(12)
	h.i64(3, c.stats.nulls)
	if c.stats.min != nil {
		h.binary(5, c.stats.max)
		h.binary(6, c.stats.min)
	}
	h.end()
}
