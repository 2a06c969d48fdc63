package plan

import (
	"encoding/json"
	"strings"
)

// Type is the logical type of a column as a query sees it, whatever a segment
// stores it as.
type Type uint8

// The types. Text is what every discovered field is unless each segment that
// holds it says better.
const (
	Null    Type = iota // no segment holds the field: every value is null
	Text                // UTF-8 text; number-looking text compares as a number
	Int                 // 64-bit signed integer
	Float               // 64-bit binary floating point
	Bool                // true or false
	Time                // microseconds since the Unix epoch, UTC (DuckDB TIMESTAMP)
	JSON                // JSON text of an array or object; paths into it are extractions
	List                // a list value that a function made (DuckDB LIST)
	Message             // a record pointer that stands for its @message, put in after the rows are chosen
	Pointer             // a record pointer, shown as the opaque @ptr
	Later               // stands for JSON that is put in after the rows are chosen
)

// FieldRef names a field as a query wrote it. Keys are the parts between
// unquoted dots; `a.b` in backticks is one key. Array elements are keys that
// are decimal numbers. System fields are one key that begins with "@".
type FieldRef struct{ Keys []string }

// Key returns the reference as one string in the escaped form of
// trailward.JoinPath, fit to be a map key.
func (f FieldRef) Key() string {
	if len(f.Keys) == 1 && !strings.ContainsAny(f.Keys[0], `.\`) {
		return f.Keys[0]
	}
	out := make([]string, len(f.Keys))
	for i, k := range f.Keys {
		out[i] = escapeKey.Replace(k)
	}
	return strings.Join(out, ".")
}

var escapeKey = strings.NewReplacer(`\`, `\\`, `.`, `\.`)

// holdsKey is the first key of the fields that [HoldsText] and [HoldsFold] make:
// no query can write it.
const holdsKey = "@holds\x00"

// HoldsText is a field that is true for the records that have a text in them:
// what [Contains] of @message and a constant means. The scan finds such records
// without putting every one together.
func HoldsText(text string) FieldRef { return FieldRef{Keys: []string{holdsKey, text}} }

// HoldsFold is HoldsText for the text in any case, as a regular expression folds
// case. It may be true for records that have it not.
func HoldsFold(text string) FieldRef { return FieldRef{Keys: []string{holdsKey, text, "i"}} }

// Holds returns the text of a field that [HoldsText] or [HoldsFold] made.
func (f FieldRef) Holds() (text string, fold, ok bool) {
	if len(f.Keys) < 2 || f.Keys[0] != holdsKey {
		return "", false, false
	}
	return f.Keys[1], len(f.Keys) == 3, true
}

// Struct is a row as a value: its members in order, and under names that may be
// alike.
type Struct []Member

// Member is one of a [Struct].
type Member struct {
	Name  string
	Value any
}

// MarshalJSON writes the row as an object.
func (s Struct) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, m := range s {
		name, err := json.Marshal(m.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.Value)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, name...), ':'), value...)
	}
	return append(b, '}'), nil
}

// Column is one column of a [Relation]: the identifier that names it there
// (not yet quoted) and its type.
type Column struct {
	Name string
	Type Type
	// Later, if not empty, is the column of the same field's later text: a value of
	// type [Later], for fields that cost much to compute. The output of a plan may
	// show that in place of the field.
	Later string
}

// Relation is the scan that a plan stands on: SQL text of one relation (a
// parenthesised SELECT, to be followed by an alias) whose columns are exactly
// the fields that were asked for.
type Relation struct {
	SQL     string
	Columns map[string]Column // by FieldRef.Key()
}

// OpenFunc gives the relation for the fields that a plan needs of one of its
// scans. A field that
// no record has is a column of type [Null], never an error. These system
// fields always exist: @timestamp and @ingestionTime (Time), @log, @logStream,
// @message (Text), @ptr (Pointer), @kind (Text).
//
// Asking for @message makes the scan put records together, which costs more
// than all the rest: a plan that only shows @message in its final rows asks
// for @ptr and gives the output column the type [Message] instead.
type OpenFunc func(scan *Scan, fields []FieldRef) (Relation, error)
