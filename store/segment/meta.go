package segment

import (
	"trailward"
	"trailward/store/ledger"
	"trailward/store/segment/parquet"
)

// Type is how a column stores its values.
type Type uint8

// The types.
const (
	Text  Type = iota // UTF-8
	Int               // 64-bit integers, each of which came as canonical decimal text
	JSON              // UTF-8, some values being the JSON text of an array or object
	Time              // microseconds since the Unix epoch, UTC
	Bytes             // any bytes
	Stamp             // times that came as RFC 3339 in UTC with Z and Digits digits of fraction; microseconds as for Time
	Addr              // IPv4 addresses that came in dotted decimal; their 32 bits as an integer
	UUID              // UUIDs that came as RFC 9562 writes them, in lower case; their 16 bytes
)

// Field is one column of the Parquet file.
type Field struct {
	Path    string     `json:"p"`           // the field; unique
	Column  string     `json:"c,omitempty"` // the column's name; unique without regard to case
	Type    Type       `json:"t,omitempty"`
	Digits  int        `json:"d,omitempty"` // of a Stamp: 0, 3 or 6
	Forms   Forms      `json:"q,omitempty"` // how its values stand in the records
	Filter  [2]int64   `json:"b,omitzero"`  // offset and size, in the filters, of that of the column's values
	Blocks  bool       `json:"k,omitempty"` // it is one filter for each block of 2,048 rows
	Grams   [2]int64   `json:"g,omitzero"`  // offset and size, in the filters, of the tables of its values' grams, one for each row group
	Entries bool       `json:"e,omitempty"` // it has a dictionary, the grams of whose entries are in Meta.DictGrams
	Has     []byte     `json:"h,omitempty"` // which bytes occur in its texts: bit i of byte n is byte 8n+i; empty when nobody knows
	Chunks  [][2]int64 `json:"o,omitempty"` // offset and size of its chunk in each row group
	Index   [][2]int64 `json:"x,omitempty"` // and of the offset index of that
	Raw     bool       `json:"r,omitempty"` // its pages are not compressed
}

// required reports whether every record has a value in the column.
func (f *Field) required() bool {
	switch f.Path {
	case colTime, colArrival, colShape, colNanos:
		return true
	}
	return false
}

// form returns how a decoded column is held.
func (f *Field) form() form {
	switch f.Type {
	case Int, Time:
		return asInts
	case Stamp:
		return asTimes
	case Addr:
		return asAddrs
	case UUID:
		return asUUIDs
	case Bytes:
		return asText
	}
	return asDict
}

// column returns how the column stands in the Parquet file.
func (f *Field) column() parquet.Column {
	c := parquet.Column{Name: f.Column, Type: parquet.Bytes, Optional: !f.required()}
	switch f.Type {
	case Int, Addr:
		c.Type = parquet.Int64
		if f.required() {
			c.Type = parquet.Int32
		}
	case Time, Stamp:
		c.Type, c.Micros = parquet.Int64, true
	case UUID:
		c.Type, c.UUID = parquet.Fixed, true
	case Text, JSON:
		c.Text = true
	}
	return c
}

// Forms says how the values of a field stand in the records, so that an object
// can be made again of its members: "12" and 12 are one value in a column. JSON
// text, of a field of type JSON, is not counted. 0 says that it is not known, or
// that all values are JSON text.
type Forms uint8

// Ways in which a value stands; a field may have both.
const (
	InQuotes      Forms = 1 << iota // as a JSON string
	WithoutQuotes                   // as a number, true, false, or a piece of a line
)

// Internal reports whether the column serves to put records together only and
// is none of their fields.
func (f *Field) Internal() bool {
	return f.Path == colShape || f.Path == colNanos || f.Path == colRaw
}

// Group is one row group.
type Group struct {
	Rows      int64 `json:"n"`
	FirstTime int64 `json:"f"` // ns
	LastTime  int64 `json:"l"`
}

// Meta says what a segment holds. It lies in the segment and, sealed, in the
// catalog.
type Meta struct {
	Group        string         `json:"group"`
	Kind         trailward.Kind `json:"kind"`
	Rows         int64          `json:"rows"`
	RawBytes     int64          `json:"raw_bytes"`  // of the records as they came
	FirstTime    int64          `json:"first_time"` // event time, ns since the Unix epoch
	LastTime     int64          `json:"last_time"`  // inclusive
	FirstArrival int64          `json:"first_arrival"`
	LastArrival  int64          `json:"last_arrival"`
	// Root is that of the Merkle tree over the records in the order of the
	// file, which the ledger has too; Salt is what its leaves are salted with
	// and Subtrees the roots of its subtrees: see [Meta.Tree].
	Root     ledger.Hash `json:"root"`
	Salt     []byte      `json:"salt"`
	Subtrees []byte      `json:"subtrees"`
	// WAL is the number of the WAL file with which the records ended, 0 when
	// they did not come by way of the WAL: all records in files up to it are in
	// segments.
	WAL         uint64   `json:"wal,omitempty"`
	ParquetSize int64    `json:"parquet_size"`
	ShapesSize  int64    `json:"shapes_size"` // before compression
	KeyPaths    []string `json:"key_paths,omitempty"`
	KeyFilter   int64    `json:"key_filter,omitempty"` // size of the filter of natural keys, the first of the filters
	DictGrams   [2]int64 `json:"dict_grams,omitzero"`  // offset and size, in the filters, of the table of the grams of all dictionaries
	Fields      []Field  `json:"fields"`
	Groups      []Group  `json:"row_groups"`
}
