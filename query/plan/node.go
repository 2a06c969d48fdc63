package plan

import "time"

// Node is a step that makes rows. A tree of nodes is a query without its
// projection; so far each node but [Scan] has one input.
type Node interface {
	// Input is the node below, nil for a Scan.
	Input() Node
}

// Named is a computed column: ID is how [Col] speaks of it, Name what a query
// and its answer call it.
type Named struct {
	ID   int
	Name string
	Expr Expr
}

// Scan reads the records. Which fields it must give follows from the tree
// above it.
type Scan struct{}

// Filter keeps the rows for which Cond is true.
type Filter struct {
	In   Node
	Cond Expr
}

// Extend adds columns to every row.
type Extend struct {
	In   Node
	Cols []Named
}

// Aggregate makes one row of each group of rows that agree in all Keys (a
// missing value agrees with a missing value). Without keys all rows are one
// group; no rows give no group. Only Keys and Aggs exist above it.
type Aggregate struct {
	In   Node
	Keys []Named
	Aggs []Agg
}

// Agg is one aggregate: the column ID of the value of Func over a group.
type Agg struct {
	ID   int
	Func string // canonical name, a key of Aggregates
	// Args are its arguments; the constant ones (percentile, number of values)
	// come after the first.
	Args []Expr
	// Order is the event time for the functions that choose by it.
	Order Expr
	Pos   Pos
}

// SortKey is one key of a [Sort].
type SortKey struct {
	Expr Expr
	Desc bool
}

// Sort puts the rows in the natural order of Keys: values that are no numbers
// before numbers, the digits inside them compared as numbers.
type Sort struct {
	In   Node
	Keys []SortKey
}

// Limit keeps the first N rows in the present order, or with Any whichever N
// are found first.
type Limit struct {
	In  Node
	N   int64
	Any bool
}

// Dedup keeps the first row of each group that agrees in all Keys, in the
// present order, and every row that misses one of them.
type Dedup struct {
	In   Node
	Keys []Expr
}

// Unnest makes one row of each element of the list that X is, as column
// Col.ID; what is no list is a list of one, and what is missing a list of none.
type Unnest struct {
	In  Node
	Col Named
}

// ExtractAll makes one row of each match of Regex in the text of X, its groups
// as columns; a row without a match stays, without them.
type ExtractAll struct {
	In     Node
	X      Expr
	Regex  string
	Groups []Group
}

// Group is a column that a group of a regular expression fills.
type Group struct {
	ID    int
	Name  string
	Group int // from 1
}

// Input returns nil: a scan is where rows begin.
func (*Scan) Input() Node         { return nil }
func (n *Filter) Input() Node     { return n.In }
func (n *Extend) Input() Node     { return n.In }
func (n *Aggregate) Input() Node  { return n.In }
func (n *Sort) Input() Node       { return n.In }
func (n *Limit) Input() Node      { return n.In }
func (n *Dedup) Input() Node      { return n.In }
func (n *Unnest) Input() Node     { return n.In }
func (n *ExtractAll) Input() Node { return n.In }

// Query is a whole question: where its rows come from, in which order, and
// which columns they show.
type Query struct {
	Root   Node
	Output []Named // the columns of the answer, in order; their IDs are unused
	// Records is true when a row of the answer is a record (or a part of one,
	// after unnest), not a group of them. Such rows end with @ptr.
	Records bool
	// Groups are the log groups that the text itself names; a trailing *
	// matches a prefix. Empty means that the text names none. They narrow what
	// the caller may read, they do not widen it.
	Groups []string
	// Start and End are the bounds that the query was compiled for, inclusive;
	// zero leaves a side open.
	Start, End time.Time
	Notices    []Notice
}

// Notice is something in a query's text that was accepted but does not do what
// its writer may believe.
type Notice struct {
	Pos
	Msg string
}
