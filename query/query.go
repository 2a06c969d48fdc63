// Package query answers questions: text in Logs Insights QL or SQL becomes a
// plan, the plan runs on DuckDB over the parts of a snapshot, rows come out.
package query

import (
	"time"

	"trailward/query/plan"
)

// Language is the language of a query's text.
type Language uint8

// The languages.
const (
	Insights Language = iota // CloudWatch Logs Insights QL
	SQL                      // SQL in Athena's dialect
)

// Request is one question.
type Request struct {
	Language Language
	Text     string
	// Groups are the log groups to read where the text names none (SOURCE); a
	// trailing * matches a prefix. Empty means all.
	Groups []string
	// Readable are the log groups that the asker may read, in the same form; empty
	// means all. Whatever Groups and the text name, no record of another is read.
	Readable []string
	// Start and End bound the event time, both inclusive; the zero time leaves
	// that side open.
	Start, End time.Time
	// Now is what now() gives; the zero time means the time of the call.
	Now time.Time
	// Tables maps further SQL table names to kinds (sql --table NAME=KIND).
	Tables map[string]string
}

// reads gives the groups that are read where the text names none; none says that
// there is no such group.
func (r *Request) reads() (groups []string, none bool) { return narrow(r.Readable, r.Groups) }

// Column is one column of an answer.
type Column struct {
	Name string
	Type plan.Type
	// Hidden is true for the @ptr that records end with when the query did not
	// ask for it: it goes to programs, as CloudWatch has it, not into tables
	// for people.
	Hidden bool
}

// Rows is an answer, row by row, in the manner of database/sql. Next returns
// false at the end or at an error, which Err then gives. The values are nil,
// string, int64, float64, bool, time.Time (UTC), []any, map[string]any,
// Struct or json.RawMessage, in column order. Close frees the engine and may be called
// at any time; a cancelled context ends the rows with its error.
type Rows interface {
	Columns() []Column
	Next() bool
	Values() []any
	Err() error
	Close() error
	// Stats is complete once Next has returned false.
	Stats() Stats
}

// Stats is what an answer cost.
type Stats struct {
	ElapsedMS      float64 `json:"elapsed_ms"`      // in the engine, from text to the last row
	RecordsMatched int64   `json:"records_matched"` // records that passed the conditions, see matched.go
	RecordsScanned int64   `json:"records_scanned"` // in the segments that were opened
	BytesScanned   int64   `json:"bytes_scanned"`   // of the columns that were read, as stored
	SegmentsOpened int64   `json:"segments_opened"`
	// Notices say what in the query, or in its answer, may not be what its
	// writer believes.
	Notices []string `json:"notices,omitempty"`
}

// Struct is a value that is a row.
type Struct = plan.Struct

// Error is a fault in a query's text.
type Error = plan.Error
