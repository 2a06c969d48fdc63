// Package parquet writes and reads the part of the Apache Parquet format
// (https://parquet.apache.org/docs/file-format/, format 2.11) that segments are
// made of: flat columns of 32- and 64-bit integers, byte strings and UUIDs, required
// or optional, in data pages of version 1, encoded as PLAIN,
// DELTA_BINARY_PACKED or RLE_DICTIONARY, plain or in zstd.
//
// What a [Writer] writes is a whole Parquet file, with statistics and page
// indexes, which any reader of the format reads. What [Decode] and [DecodePage]
// read is single column chunks of such files, whose place and form the caller
// knows: no footer need be parsed to get at one value.
//
// It is our own because the general library costs three times the processor
// time of all else that keeping a record takes: a segment knows its
// dictionaries, and which values are there, before it begins to write, and hands
// them over whole.
//
// Invariants: every limit that a damaged chunk could exceed is checked before
// memory is asked for; damage is an error, never a panic.
package parquet

import "errors"

// Type is a physical type, by its number in the format.
type Type int32

// The types.
const (
	Int32 Type = 1
	Int64 Type = 2
	Bytes Type = 6
	Fixed Type = 7 // byte strings of FixedSize bytes
)

// FixedSize is how many bytes a value of type Fixed has.
const FixedSize = 16

// Column describes a column.
type Column struct {
	Name     string
	Type     Type
	Optional bool
	Text     bool // Bytes that are UTF-8 (logical type STRING)
	Micros   bool // Int64 that is a time: TIMESTAMP(MICROS, not adjusted to UTC)
	UUID     bool // Fixed that is a UUID
}

// Chunk says where a column chunk lies in the file.
type Chunk struct {
	Offset, Size           int64 // of its pages, a dictionary first
	IndexOffset, IndexSize int64 // of its offset index: see [DecodeIndex]
	Compressed             bool  // its pages are in zstd
}

// Encodings, by their numbers in the format.
const (
	encPlain = 0
	encRLE   = 3
	encDelta = 5
	encDict  = 8
)

// Page types.
const (
	pageData = 0
	pageDict = 2
)

// Codecs.
const (
	codecNone = 0
	codecZstd = 6
)

// ErrDamaged is returned, wrapped, for a chunk that is not what a Writer wrote.
var ErrDamaged = errors.New("column chunk is damaged")

const magic = "PAR1"
