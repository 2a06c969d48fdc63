package parquet

import (
	"encoding/binary"
	"errors"
)

// The compact protocol of Apache Thrift ("Thrift compact protocol encoding"),
// as far as Parquet's own structures need it.

// Field types of the compact protocol.
const (
	tStop   = 0
	tTrue   = 1
	tFalse  = 2
	tByte   = 3
	tI16    = 4
	tI32    = 5
	tI64    = 6
	tDouble = 7
	tBinary = 8
	tList   = 9
	tSet    = 10
	tMap    = 11
	tStruct = 12
)

// thriftWriter appends structures to a buffer. last holds the latest field of
// each structure that is open.
type thriftWriter struct {
	b    []byte
	last []int16
}

func (t *thriftWriter) begin() { t.last = append(t.last, 0) }

func (t *thriftWriter) end() {
	t.b = append(t.b, tStop)
	t.last = t.last[:len(t.last)-1]
}

// field begins field id of the innermost structure. Ids ascend by less than 16
// in every structure of Parquet.
func (t *thriftWriter) field(id int16, typ byte) {
	l := &t.last[len(t.last)-1]
	t.b = append(t.b, byte(id-*l)<<4|typ)
	*l = id
}

func (t *thriftWriter) varint(v int64) { t.b = binary.AppendVarint(t.b, v) }

func (t *thriftWriter) i32(id int16, v int32) { t.field(id, tI32); t.varint(int64(v)) }
func (t *thriftWriter) i64(id int16, v int64) { t.field(id, tI64); t.varint(v) }

func (t *thriftWriter) bool(id int16, v bool) {
	if v {
		t.field(id, tTrue)
	} else {
		t.field(id, tFalse)
	}
}

func (t *thriftWriter) bytes(v []byte) {
	t.b = binary.AppendUvarint(t.b, uint64(len(v)))
	t.b = append(t.b, v...)
}

func (t *thriftWriter) binary(id int16, v []byte) { t.field(id, tBinary); t.bytes(v) }

func (t *thriftWriter) structure(id int16) { t.field(id, tStruct); t.begin() }

// list begins a list of n elements.
func (t *thriftWriter) list(id int16, typ byte, n int) {
	t.field(id, tList)
	if n < 15 {
		t.b = append(t.b, byte(n)<<4|typ)
		return
	}
	t.b = append(t.b, 0xf0|typ)
	t.b = binary.AppendUvarint(t.b, uint64(n))
}

var errThrift = errors.New("malformed Thrift structure")

// thriftReader reads structures. The first error stays and makes every further
// read give nothing.
type thriftReader struct {
	b   []byte
	err error
}

func (t *thriftReader) fail() {
	if t.err == nil {
		t.err = errThrift
	}
	t.b = nil
}

func (t *thriftReader) byte() byte {
	if len(t.b) == 0 {
		t.fail()
		return 0
	}
	c := t.b[0]
	t.b = t.b[1:]
	return c
}

func (t *thriftReader) uvarint() uint64 {
	v, n := binary.Uvarint(t.b)
	if n <= 0 {
		t.fail()
		return 0
	}
	t.b = t.b[n:]
	return v
}

func (t *thriftReader) varint() int64 {
	v, n := binary.Varint(t.b)
	if n <= 0 {
		t.fail()
		return 0
	}
	t.b = t.b[n:]
	return v
}

// structure calls fn with each field, whose value fn reads or leaves to skip.
func (t *thriftReader) structure(fn func(id int16, typ byte) (read bool)) {
	t.structureAt(0, fn)
}

// maxNesting bounds structures within structures that are skipped.
const maxNesting = 16

func (t *thriftReader) structureAt(depth int, fn func(id int16, typ byte) bool) {
	id := int16(0)
	for t.err == nil {
		h := t.byte()
		typ := h & 15
		if t.err != nil || typ == tStop {
			return
		}
		if d := h >> 4; d != 0 {
			id += int16(d)
		} else {
			id = int16(t.varint())
		}
		if fn == nil || !fn(id, typ) {
			t.skip(typ, depth+1)
		}
	}
}

// listHeader reads the header of a list.
func (t *thriftReader) listHeader() (n int, typ byte) {
	h := t.byte()
	n, typ = int(h>>4), h&15
	if n == 15 {
		v := t.uvarint()
		if v > uint64(len(t.b)) { // an element takes a byte at least
			t.fail()
			return 0, 0
		}
		n = int(v)
	}
	return n, typ
}

func (t *thriftReader) skip(typ byte, depth int) {
	if depth > maxNesting {
		t.fail()
		return
	}
	switch typ {
	case tTrue, tFalse:
	case tByte:
		t.byte()
	case tI16, tI32, tI64:
		t.varint()
	case tDouble:
		t.take(8)
	case tBinary:
		t.take(t.uvarint())
	case tList, tSet:
		n, et := t.listHeader()
		for ; n > 0 && t.err == nil; n-- {
			if et == tTrue || et == tFalse {
				t.byte()
			} else {
				t.skip(et, depth+1)
			}
		}
	case tStruct:
		t.structureAt(depth, nil)
	default:
		t.fail()
	}
}

func (t *thriftReader) take(n uint64) {
	if n > uint64(len(t.b)) {
		t.fail()
		return
	}
	t.b = t.b[n:]
}
