package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/schema"
)

// maxPageValues is the most values that a page may claim to have: the library
// makes room for so many in some encodings before it looks at the bytes.
const maxPageValues = 1 << 26

// checkPages looks at what the pages of a column's chunk say of themselves,
// before the library believes it. It stops without an error at a header that it
// cannot read: the library comes to that place too.
func checkPages(r io.ReaderAt, c *metadata.ColumnChunkMetaData, col *schema.Column) error {
	at := c.DataPageOffset()
	if d := c.DictionaryPageOffset(); c.HasDictionaryPage() && d > 0 && d < at {
		at = d
	}
	size := c.TotalCompressedSize()
	if at < 0 || size < 0 {
		return errors.New("its place in the file is negative")
	}
	end := at + size
	var buf [pageHeader]byte
	for at < end {
		n, err := r.ReadAt(buf[:min(pageHeader, end-at)], at)
		if err != nil && err != io.EOF {
			return err
		}
		h, n, ok := parsePage(buf[:n])
		if !ok || h.size < 0 || h.packed < 0 {
			return nil
		}
		switch {
		case h.size > MaxPage:
			return fmt.Errorf("%w: a page has %d bytes, the most is %d", ErrTooLarge, h.size, MaxPage)
		case h.values > maxPageValues:
			return fmt.Errorf("%w: a page has %d values, the most is %d", ErrTooLarge, h.values, maxPageValues)
		case h.dictionary && h.values > h.size/width(col):
			return fmt.Errorf("its dictionary of %d bytes says that it has %d values", h.size, h.values)
		}
		if err := checkDelta(r, at+int64(n), h, c, col); err != nil {
			return err
		}
		at += int64(n) + h.packed
	}
	return nil
}

// width is the fewest bytes that a value takes in a dictionary.
func width(col *schema.Column) int64 {
	switch col.PhysicalType() {
	case parquet.Types.Int64, parquet.Types.Double:
		return 8
	case parquet.Types.Int96:
		return 12
	case parquet.Types.Boolean:
		return 1
	case parquet.Types.FixedLenByteArray:
		return max(1, int64(col.TypeLength()))
	}
	return 4
}

// page is what a page's header says.
type page struct {
	size, packed       int64 // bytes, unpacked and as they are
	values             int64
	encoding           int64
	dictionary         bool
	v2                 bool  // a data page of version 2
	defBytes, repBytes int64 // of its levels
	plain              bool  // it is not packed although the column is
}

// pageHeader is the most bytes of a header that are looked at. Statistics in it
// may make it longer; they come after what is of interest here, but for a page
// whose header cannot be passed over the check ends.
const pageHeader = 16 << 10

// parsePage reads a page's header (Thrift's compact protocol, PageHeader of
// parquet.thrift): n is how long it is.
func parsePage(b []byte) (h page, n int, ok bool) {
	t := thrift{b: b}
	t.fields(0, func(id int16, kind byte) {
		switch {
		case id == 2 && kind == thriftInt32:
			h.size = t.int()
		case id == 3 && kind == thriftInt32:
			h.packed = t.int()
		case (id == 5 || id == 7 || id == 8) && kind == thriftStruct:
			h.dictionary = h.dictionary || id == 7
			h.v2 = h.v2 || id == 8
			t.fields(1, func(id int16, kind byte) {
				switch {
				case id == 1 && kind == thriftInt32:
					h.values = t.int()
				case kind == thriftInt32 && (id == 2 && !h.v2 || id == 4 && h.v2):
					h.encoding = t.int()
				case id == 5 && kind == thriftInt32 && h.v2:
					h.defBytes = t.int()
				case id == 6 && kind == thriftInt32 && h.v2:
					h.repBytes = t.int()
				default:
					h.plain = h.plain || id == 7 && kind == thriftFalse && h.v2
					t.skip(kind, 1)
				}
			})
		default:
			t.skip(kind, 0)
		}
	})
	return h, t.i, !t.bad
}

// thrift reads the compact protocol of Apache Thrift.
type thrift struct {
	b   []byte
	i   int
	bad bool
}

// The kinds of values, as thrift-compact-protocol.md numbers them.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftInt16  = 4
	thriftInt32  = 5
	thriftInt64  = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12

	maxThriftDepth = 16
)

// fields calls f for each field of a struct; f must read or skip its value.
func (t *thrift) fields(depth int, f func(id int16, kind byte)) {
	if depth > maxThriftDepth {
		t.bad = true
	}
	id := int16(0)
	for !t.bad {
		c := t.byte()
		if c == 0 {
			return
		}
		if delta := c >> 4; delta != 0 {
			id += int16(delta)
		} else {
			id = int16(t.int())
		}
		if !t.bad {
			f(id, c&15)
		}
	}
}

func (t *thrift) byte() byte {
	if t.i >= len(t.b) {
		t.bad = true
		return 0
	}
	t.i++
	return t.b[t.i-1]
}

func (t *thrift) uint() uint64 {
	v, n := binary.Uvarint(t.b[min(t.i, len(t.b)):])
	if n <= 0 {
		t.bad = true
		return 0
	}
	t.i += n
	return v
}

func (t *thrift) int() int64 {
	v := t.uint()
	return int64(v>>1) ^ -int64(v&1)
}

// skip passes over a value.
func (t *thrift) skip(kind byte, depth int) {
	if depth > maxThriftDepth {
		t.bad = true
	}
	if t.bad {
		return
	}
	switch kind {
	case thriftTrue, thriftFalse: // the kind is the value
	case thriftByte:
		t.byte()
	case thriftInt16, thriftInt32, thriftInt64:
		t.uint()
	case thriftDouble:
		t.pass(8)
	case thriftBinary:
		t.pass(t.uint())
	case thriftList, thriftSet:
		c := t.byte()
		n := uint64(c >> 4)
		if n == 15 {
			n = t.uint()
		}
		t.elements(n, c&15, depth)
	case thriftMap:
		n := t.uint()
		if n == 0 {
			return
		}
		c := t.byte()
		for ; n > 0 && !t.bad; n-- {
			t.elements(1, c>>4, depth)
			t.elements(1, c&15, depth)
		}
	case thriftStruct:
		t.fields(depth+1, func(_ int16, kind byte) { t.skip(kind, depth+1) })
	default:
		t.bad = true
	}
}

// elements passes over n values of a list, in which a bool takes a byte.
func (t *thrift) elements(n uint64, kind byte, depth int) {
	for ; n > 0 && !t.bad; n-- {
		if kind == thriftTrue || kind == thriftFalse {
			t.byte()
		} else {
			t.skip(kind, depth+1)
		}
	}
}

func (t *thrift) pass(n uint64) {
	if n > uint64(len(t.b)-min(t.i, len(t.b))) {
		t.bad = true
		return
	}
	t.i += int(n)
}
