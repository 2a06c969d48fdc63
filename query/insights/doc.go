// Package insights compiles CloudWatch Logs Insights QL, the pipe language of
// log queries, to a [plan.Query].
//
// Text becomes tokens (lex.go), tokens a tree as written (parse.go,
// parseexpr.go), and the tree a plan in which every name is resolved
// (compile.go, scope.go). Nothing of the text but literal values and the names
// of the answer's columns reaches the plan. Faults are [*plan.Error]s with the
// line and column, what was expected and the nearest known name.
//
// What the language means where AWS's guide is silent is decided in the guide's
// spirit and written beside the code that decides it.
package insights

import (
	"time"

	"trailward/query/plan"
)

// Limits on a query's text. Beyond them Compile gives an error that names the
// limit.
const (
	MaxText     = 10_000  // characters (StartQuery's limit)
	MaxDepth    = 200     // levels of nesting of an expression
	MaxCommands = 100     // commands in a pipe
	MaxStats    = 10      // stats commands in a pipe
	MaxList     = 1_000   // elements of an in [...] list
	MaxRows     = 100_000 // the limit command's largest argument
	DefaultRows = 10_000  // rows of a query without a limit command
	// MaxRelevant is how many fields relevantfields looks at. CloudWatch discovers
	// as many in a record.
	MaxRelevant = 200

	maxPath   = 100    // parts of a field path
	maxPeriod = 10_000 // units in a period
	maxRegex  = 10_000 // instructions of a compiled regular expression
)

// Options is what a query's text does not say itself.
type Options struct {
	// Now is the time that now() gives.
	Now time.Time
	// Start and End are the bounds of the event time, inclusive; the zero time
	// leaves a side open. They answer queryStartTime() and queryEndTime().
	Start, End time.Time
	// Lookup gives the tables of the lookup commands; nil means that there are
	// none.
	Lookup LookupFunc
	// Fields gives the fields that the records of a scan have, for relevantfields
	// without a list: first those of segments that have one of the fields that the
	// condition is about, and among these those of most records. Nil means that
	// nobody knows.
	Fields func(sc *plan.Scan, about []plan.FieldRef) ([][]string, error)
	// DefaultLimit is the number of rows when the text has no limit command;
	// 0 means DefaultRows.
	DefaultLimit int64
}

// Table is a lookup table: the names of its columns, and rows with a value for
// each.
type Table struct {
	Columns []string
	Rows    [][]string
}

// LookupFunc gives the table of a name; ok is false if there is none. The table
// must not be changed afterwards.
type LookupFunc func(name string) (t Table, ok bool, err error)

// Compile turns a query's text into a plan. An empty text returns every
// record. The error is a *plan.Error.
func Compile(text string, opts Options) (*plan.Query, error) {
	cmds, err := parseQuery(text)
	if err != nil {
		return nil, err
	}
	return compile(text, cmds, opts)
}
