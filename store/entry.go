package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"trailward"
)

// The WAL's entries are batches, encoded as docs/format/wal.md describes: the
// batch's identity, then its records. Integers are varints, strings and bytes
// are preceded by their length.

const entryVersion = 1

// entryRoom is about how many bytes a record has in an entry beside its own.
const entryRoom = 16

// entry is what one WAL entry holds.
type entry struct {
	group    string
	batchKey []byte // empty when the batch has no id
	body     [32]byte
	total    int64 // records in the batch as sent, duplicates included
	arrival  int64
	records  []trailward.Record
}

func (e *entry) encode(dst []byte) []byte {
	dst = append(dst, entryVersion)
	dst = putString(dst, e.group)
	dst = putString(dst, string(e.batchKey))
	dst = append(dst, e.body[:]...)
	dst = binary.AppendUvarint(dst, uint64(e.total))
	dst = binary.AppendVarint(dst, e.arrival)
	dst = binary.AppendUvarint(dst, uint64(len(e.records)))
	stream, kind := "", trailward.Kind("")
	for i := range e.records {
		r := &e.records[i]
		// Neighbours mostly share stream, kind, columns and have no attributes.
		var flags byte
		if i == 0 || r.Stream != stream || r.Kind != kind {
			flags |= 1
		}
		if len(r.Columns) > 0 {
			flags |= 2
		}
		if len(r.Attrs) > 0 {
			flags |= 4
		}
		dst = append(dst, flags)
		if flags&1 != 0 {
			stream, kind = r.Stream, r.Kind
			dst = putString(dst, stream)
			dst = putString(dst, string(kind))
		}
		if flags&2 != 0 {
			dst = binary.AppendUvarint(dst, uint64(len(r.Columns)))
			for _, c := range r.Columns {
				dst = putString(dst, c)
			}
		}
		if flags&4 != 0 {
			dst = binary.AppendUvarint(dst, uint64(len(r.Attrs)))
			for _, a := range r.Attrs {
				dst = putString(dst, a.Name)
				dst = putString(dst, a.Value)
			}
		}
		dst = binary.AppendVarint(dst, r.Time)
		dst = binary.AppendUvarint(dst, uint64(len(r.Raw)))
		dst = append(dst, r.Raw...)
	}
	return dst
}

func putString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

var errEntry = errors.New("WAL entry is not what was written")

// decodeEntry reads an entry. The records share b.
func decodeEntry(b []byte) (*entry, error) {
	if len(b) == 0 || b[0] != entryVersion {
		return nil, fmt.Errorf("%w: unknown version", errEntry)
	}
	d := decoder{b: b[1:]}
	e := &entry{group: d.string(), batchKey: d.bytes()}
	copy(e.body[:], d.take(32))
	e.total = int64(d.uint())
	e.arrival = d.int()
	n := d.count()
	e.records = make([]trailward.Record, 0, n)
	stream, kind := "", trailward.Kind("")
	var columns []string
	for range n {
		flags := d.take(1)
		if len(flags) == 0 {
			break
		}
		if flags[0]&1 != 0 {
			stream, kind = d.string(), trailward.Kind(d.string())
		}
		r := trailward.Record{Group: e.group, Stream: stream, Kind: kind, Arrival: e.arrival}
		if flags[0]&2 != 0 {
			k := d.count()
			same := k == len(columns)
			at := d
			for i := range k {
				if s := d.bytes(); same && string(s) != columns[i] {
					same = false
				}
			}
			if !same {
				columns = make([]string, 0, k)
				for range k {
					columns = append(columns, at.string())
				}
			}
			r.Columns = columns
		}
		if flags[0]&4 != 0 {
			for range d.count() {
				r.Attrs = append(r.Attrs, trailward.Attr{Name: d.string(), Value: d.string()})
			}
		}
		r.Time = d.int()
		r.Raw = d.bytes()
		e.records = append(e.records, r)
	}
	if d.bad || len(d.b) > 0 || len(e.records) != n {
		return nil, errEntry
	}
	return e, nil
}

// decoder reads values from b; after the first bad one it gives zero values.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) fail() { d.b, d.bad = nil, true }

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads how many items follow, each of which takes a byte at least.
func (d *decoder) count() int {
	v := d.uint()
	if v > uint64(len(d.b)) {
		d.fail()
		return 0
	}
	return int(v)
}

func (d *decoder) take(n int) []byte {
	if n > len(d.b) {
		d.fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes() []byte  { return d.take(d.count()) }
func (d *decoder) string() string { return string(d.bytes()) }
