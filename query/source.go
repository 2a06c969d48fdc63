package query

import (
	"context"
	"time"

	"trailward"
	"trailward/query/plan"
	"trailward/store"
)

// Selection says which parts a question may touch.
type Selection struct {
	Groups     []string         // exact names, or a prefix followed by *; empty means all
	Kinds      []trailward.Kind // empty means all
	Start, End time.Time        // inclusive; zero leaves the side open
}

// SnapshotFunc gives the parts that a question has to read: every record that
// was acknowledged before the call is in exactly one of them. The store hands
// it to the engine. Close the snapshot to let compaction and retention go on.
type SnapshotFunc func(Selection) (Snapshot, error)

// Snapshot is a frozen view of the store.
type Snapshot interface {
	Parts() []Part
	// Open gives Parquet files in memory out of which the named columns of some
	// of the parts can be read, at most so many files if that is possible. The
	// named columns of the parts have the same types.
	Open(ctx context.Context, parts []Part, columns []string, most int) ([]File, error)
	Close() error
}

// File is a Parquet file in memory with the records of some parts of one kind,
// one part after the other.
type File struct {
	FD    int   // lives as long as the snapshot
	Parts []int // of those that were asked for, in the order of their records
	// Bytes returns how many stored bytes a column of the k-th of Parts takes;
	// what was read of it beside columns, if the name is empty.
	Bytes func(k int, column string) int64
}

// groupColumn is the column, the last, of a file with parts of several groups
// that has each record's group.
const groupColumn = store.GroupColumn

// Part is one immutable run of records of one group and one kind, sorted by
// event time: a sealed segment, or the records not yet in one.
type Part interface {
	ID() string // stable for a segment; part of a record pointer
	Group() string
	Kind() trailward.Kind
	Rows() int64
	MinTime() time.Time
	MaxTime() time.Time
	// Fields lists the part's Parquet columns. System columns: @timestamp and
	// @ingestionTime (plan.Time: Parquet TIMESTAMP in microseconds, UTC),
	// @logStream (Text), @attr.NAME (Text, what the framing said) and, for
	// kinds whose record is one text, @message (Text). Every other column is a
	// field, named by its path as trailward.JoinPath writes it; its type is
	// Text, Int (every value in the part is a canonical 64-bit integer) or JSON
	// (some values are JSON text of an array or object).
	Fields() []Field
	// Messages puts records together: it calls fn with each row number (in
	// file order) and the record's exact bytes, for the given rows in ascending
	// order, or for all rows when rows is nil. The bytes are valid during fn.
	Messages(rows []int64, fn func(row int64, message []byte) error) error
}

// Field is a column of a part.
type Field struct {
	Path   string
	Column string // the name of its Parquet column; empty means Path
	Type   plan.Type
	// Address says that the file holds IPv4 addresses as integers of which the
	// value is the text in dotted decimal.
	Address bool
	// UUID says that the file holds UUIDs of which the value is the text.
	UUID bool
	// Stamp says that the file holds times (as @timestamp does) of which the
	// field is the text: RFC 3339 in UTC with Z and Digits digits (0, 3 or 6) of
	// fraction. Type is Text.
	Stamp  bool
	Digits int
}
