package parquet

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Limits of what is read.
const (
	// maxPage is how large a page may be after decompression, in bytes: a
	// segment's longest value is far below it.
	maxPage = 256 << 20
	// MaxRows is how many rows a row group may have.
	MaxRows = 1 << 24
)

// Values are values of a column: those of a whole chunk or of some pages.
type Values struct {
	// Nums are the values of a column of integers.
	Nums []int64
	// Data and Ends are byte strings, each behind four bytes that are its
	// length, as pages have them, and where each ends: the entries of the
	// dictionary if Idx is not nil, else the values.
	// Where the type is Fixed, Data has one behind the other and nothing else.
	Data []byte
	Ends []uint32
	Idx  []uint32 // by value: its entry
	// At is by row: which value it has, or -1. nil means that every row has one.
	At    []int32
	n     int // values
	fixed bool
}

// Len returns how many values there are, which is at most the number of rows.
func (v *Values) Len() int { return v.n }

// Text returns byte string i, by value.
func (v *Values) Text(i int) []byte {
	switch {
	case v.fixed:
		return v.Data[i*FixedSize : (i+1)*FixedSize : (i+1)*FixedSize]
	case v.Idx != nil:
		i = int(v.Idx[i])
	}
	return v.Entry(i)
}

// Entry returns entry i of the dictionary, or value i where there is none.
func (v *Values) Entry(i int) []byte {
	from := uint32(4)
	if i > 0 {
		from += v.Ends[i-1]
	}
	return v.Data[from:v.Ends[i]:v.Ends[i]]
}

var decoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPage), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		panic(err) // the options are constants
	}
	return d
}}

// pageHeader is a page's header, as far as it is of use.
type pageHeader struct {
	typ, raw, size int32
	n, encoding    int32
	level          int32
}

// header reads the page header at the beginning of b and returns what follows.
func header(b []byte) (h pageHeader, rest []byte, err error) {
	t := thriftReader{b: b}
	h.level = encRLE
	num := func(to *int32, typ byte) bool {
		if typ != tI32 {
			return false
		}
		*to = int32(t.varint())
		return true
	}
	t.structure(func(id int16, typ byte) bool {
		switch id {
		case 1:
			return num(&h.typ, typ)
		case 2:
			return num(&h.raw, typ)
		case 3:
			return num(&h.size, typ)
		case 5, 7:
			if typ != tStruct {
				return false
			}
			t.structure(func(id int16, typ byte) bool {
				switch id {
				case 1:
					return num(&h.n, typ)
				case 2:
					return num(&h.encoding, typ)
				case 3:
					return num(&h.level, typ)
				}
				return false
			})
			return true
		}
		return false
	})
	if t.err != nil {
		return h, nil, damaged("page header")
	}
	if h.raw < 0 || h.size < 0 || h.n < 0 || h.raw > maxPage || int(h.size) > len(t.b) || h.level != encRLE {
		return h, nil, damaged("page header does not fit")
	}
	return h, t.b, nil
}

// pages reads the pages of a chunk one after the other.
type pages struct {
	col  Column
	zstd bool
	out  *Values
	dict bool // there is a dictionary
	nums []int64
	ends int // entries of the dictionary
	buf  []byte
	idx  []uint32
	rows int
}

// body returns the bytes of a page.
func (p *pages) body(h pageHeader, b []byte) ([]byte, error) {
	b = b[:h.size]
	if !p.zstd {
		if h.raw != h.size {
			return nil, damaged("page of two sizes")
		}
		return b, nil
	}
	d := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(d)
	if cap(p.buf) < int(h.raw) {
		if int(h.raw)/4096 > int(h.size)*8 { // far beyond what zstd can do
			return nil, damaged("page that claims to expand %d times", int(h.raw)/max(int(h.size), 1))
		}
		p.buf = make([]byte, h.raw)
	}
	out, err := d.DecodeAll(b, p.buf[:0])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if len(out) != int(h.raw) {
		return nil, damaged("page of %d bytes has %d", h.raw, len(out))
	}
	return out, nil
}

// Decode decodes a whole chunk of a column of a row group with so many rows.
func Decode(b []byte, col Column, zstd bool, rows int) (*Values, error) {
	if rows < 0 || rows > MaxRows {
		return nil, damaged("%d rows", rows)
	}
	p := pages{col: col, zstd: zstd, out: &Values{fixed: col.Type == Fixed}}
	if err := p.all(b, rows); err != nil {
		return nil, err
	}
	return p.out, nil
}

func (p *pages) all(b []byte, rows int) error {
	for len(b) > 0 {
		h, rest, err := header(b)
		if err != nil {
			return err
		}
		if err := p.page(h, rest, rows-p.rows); err != nil {
			return err
		}
		b = rest[h.size:]
	}
	if p.rows != rows {
		return damaged("%d rows of %d", p.rows, rows)
	}
	return nil
}

// page decodes a page, which has no more than so many rows.
func (p *pages) page(h pageHeader, rest []byte, most int) error {
	body, err := p.body(h, rest)
	if err != nil {
		return err
	}
	switch h.typ {
	case pageDict:
		if p.dict || p.out.n > 0 || h.encoding != encPlain && h.encoding != 2 {
			return damaged("dictionary out of place")
		}
		p.dict = true
		return p.dictionary(body, int(h.n))
	case pageData:
		if int(h.n) > most {
			return damaged("page with %d rows of %d", h.n, most)
		}
		return p.data(h, body)
	}
	return damaged("page of type %d", h.typ)
}

func (p *pages) dictionary(b []byte, n int) (err error) {
	p.ends = n
	switch p.col.Type {
	case Bytes:
		p.out.Idx = []uint32{}
		return p.texts(b, n)
	case Fixed:
		return damaged("a dictionary of UUIDs")
	default:
		p.nums, err = p.fixed(nil, b, n)
		return err
	}
}

func (p *pages) fixed(dst []int64, b []byte, n int) ([]int64, error) {
	size := 8
	if p.col.Type == Int32 {
		size = 4
	}
	if len(b) != n*size {
		return dst, damaged("%d integers in %d bytes", n, len(b))
	}
	for i := range n {
		if size == 4 {
			dst = append(dst, int64(int32(binary.LittleEndian.Uint32(b[4*i:]))))
		} else {
			dst = append(dst, int64(binary.LittleEndian.Uint64(b[8*i:])))
		}
	}
	return dst, nil
}

// texts reads n byte strings, each behind its length.
func (p *pages) texts(b []byte, n int) error {
	if 4*n > len(b) {
		return damaged("%d texts in %d bytes", n, len(b))
	}
	if len(p.out.Data)+len(b) > 1<<31 {
		return damaged("more than 2 GiB of text")
	}
	base := len(p.out.Data)
	p.out.Ends = slices.Grow(p.out.Ends, n)
	at := 0
	for range n {
		if len(b)-at < 4 {
			return damaged("texts end early")
		}
		l := binary.LittleEndian.Uint32(b[at:])
		at += 4
		if uint64(l) > uint64(len(b)-at) {
			return damaged("text of %d bytes where %d are", l, len(b)-at)
		}
		at += int(l)
		p.out.Ends = append(p.out.Ends, uint32(base+at))
	}
	if at < len(b) {
		return damaged("%d bytes behind the texts", len(b)-at)
	}
	if base == 0 && p.zstd {
		p.out.Data, p.buf = b, nil // nobody else has it
	} else {
		p.out.Data = append(p.out.Data, b...)
	}
	return nil
}

// data decodes the rows of a data page.
func (p *pages) data(h pageHeader, b []byte) error {
	v, rows := p.out, int(h.n)
	values := rows
	if p.col.Optional {
		if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
			return damaged("levels do not fit")
		}
		n := binary.LittleEndian.Uint32(b)
		levels := b[4 : 4+n]
		b = b[4+n:]
		// Mostly one run says that every row has a value.
		if l, k := binary.Uvarint(levels); k > 0 && l == uint64(rows)<<1 && k+1 == len(levels) && levels[k] == 1 {
			p.present(rows)
		} else {
			p.absent()
			v.At = slices.Grow(v.At, rows)
			var err error
			if p.idx, err = readHybrid(p.idx[:0], levels, rows, 1); err != nil {
				return err
			}
			next := int32(v.n)
			for _, l := range p.idx {
				if l == 1 {
					v.At = append(v.At, next)
					next++
				} else {
					v.At = append(v.At, -1)
				}
			}
			values = int(next) - v.n
		}
	}
	p.rows += rows
	defer func() { v.n += values }()
	switch {
	case h.encoding == encDict || h.encoding == 2:
		if !p.dict || len(b) == 0 {
			if values == 0 && len(b) == 0 {
				return nil
			}
			return damaged("numbers of a dictionary that is not there")
		}
		width := int(b[0])
		if p.col.Type == Bytes {
			from := len(v.Idx)
			var err error
			if v.Idx, err = readHybrid(v.Idx, b[1:], values, width); err != nil {
				return err
			}
			for _, x := range v.Idx[from:] {
				if int(x) >= p.ends {
					return damaged("entry %d of a dictionary of %d", x, p.ends)
				}
			}
			return nil
		}
		var err error
		if p.idx, err = readHybrid(p.idx[:0], b[1:], values, width); err != nil {
			return err
		}
		for _, x := range p.idx {
			if int(x) >= p.ends {
				return damaged("entry %d of a dictionary of %d", x, p.ends)
			}
			v.Nums = append(v.Nums, p.nums[x])
		}
		return nil
	case p.dict:
		return damaged("a dictionary, and values beside it")
	case h.encoding == encDelta && p.col.Type != Bytes && p.col.Type != Fixed:
		var err error
		v.Nums, err = readDelta(v.Nums, b, values)
		return err
	case h.encoding == encPlain && p.col.Type == Bytes:
		return p.texts(b, values)
	case p.col.Type == Fixed:
		if h.encoding != encPlain || len(b) != values*FixedSize {
			return damaged("%d UUIDs in %d bytes", values, len(b))
		}
		v.Data = append(v.Data, b...)
		return nil
	case h.encoding == encPlain:
		var err error
		v.Nums, err = p.fixed(v.Nums, b, values)
		return err
	}
	return damaged("encoding %d of a column of type %d", h.encoding, p.col.Type)
}

// present notes rows that all have a value.
func (p *pages) present(rows int) {
	if p.out.At == nil {
		return
	}
	next := int32(p.out.n)
	for i := range rows {
		p.out.At = append(p.out.At, next+int32(i))
	}
}

// absent makes sure that there is an At.
func (p *pages) absent() {
	if p.out.At == nil {
		p.out.At = make([]int32, p.rows, max(2*p.rows, 64))
		for i := range p.out.At {
			p.out.At[i] = int32(i)
		}
	}
}

// Page is a data page of a chunk.
type Page struct {
	Offset   int64 // in the file
	Size     int64 // header included
	FirstRow int64 // in the row group
}

// DecodeIndex decodes a chunk's offset index: its data pages, by first row. All
// lie within the chunk.
func DecodeIndex(b []byte, c Chunk, rows int64) ([]Page, error) {
	t := thriftReader{b: b}
	var out []Page
	t.structure(func(id int16, typ byte) bool {
		if id != 1 || typ != tList {
			return false
		}
		n, et := t.listHeader()
		if et != tStruct {
			t.fail()
			return true
		}
		for range n {
			var p Page
			t.structure(func(id int16, typ byte) bool {
				switch {
				case id == 1 && typ == tI64:
					p.Offset = t.varint()
				case id == 2 && typ == tI32:
					p.Size = t.varint()
				case id == 3 && typ == tI64:
					p.FirstRow = t.varint()
				default:
					return false
				}
				return true
			})
			if t.err != nil {
				return true
			}
			out = append(out, p)
		}
		return true
	})
	if t.err != nil || len(out) == 0 || out[0].FirstRow != 0 {
		return nil, damaged("offset index")
	}
	at := c.Offset
	for i, p := range out {
		if p.Offset < at || p.Size <= 0 || p.Size > c.Offset+c.Size-p.Offset || i > 0 && p.FirstRow < out[i-1].FirstRow || p.FirstRow > rows {
			return nil, damaged("offset index does not fit")
		}
		at = p.Offset + p.Size
	}
	return out, nil
}

// PageOf returns which of the pages has a row.
func PageOf(index []Page, row int64) int {
	return sort.Search(len(index), func(i int) bool { return index[i].FirstRow > row }) - 1
}

// Picker decodes single pages of a chunk.
type Picker struct{ p pages }

// NewPicker returns a Picker. dict is the chunk's bytes before its first data
// page: a dictionary, or nothing.
func NewPicker(dict []byte, col Column, zstd bool) (*Picker, error) {
	k := &Picker{pages{col: col, zstd: zstd, out: &Values{fixed: col.Type == Fixed}}}
	if len(dict) > 0 {
		h, rest, err := header(dict)
		if err != nil {
			return nil, err
		}
		if h.typ != pageDict {
			return nil, damaged("page of type %d where the dictionary is to be", h.typ)
		}
		if err := k.p.page(h, rest, 0); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// Rows returns how many rows the pages so far have.
func (k *Picker) Rows() int { return k.p.rows }

// Page decodes the next page, b, which has no more than rows rows, and returns
// the values of all pages so far, and the first of their rows that is of this
// page.
func (k *Picker) Page(b []byte, rows int64) (v *Values, first int, err error) {
	h, rest, err := header(b)
	if err != nil {
		return nil, 0, err
	}
	if h.typ != pageData {
		return nil, 0, damaged("page of type %d where a data page is to be", h.typ)
	}
	first = k.p.rows
	if err := k.p.page(h, rest, int(min(rows, MaxRows))); err != nil {
		return nil, 0, err
	}
	return k.p.out, first, nil
}
