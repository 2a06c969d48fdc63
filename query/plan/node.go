package plan

import (
	"time"

	"trailward"
)

// Node is a step that makes rows. A tree of nodes is a query without its
// projection. [Scan] and [Values] are where rows begin, [Join] and [Paste]
// bring two trees together, every other node has one input.
type Node interface {
	// Input is the node below, nil where rows begin. Of two inputs it is the
	// one that the commands of the pipe led to; see [Side] for the other.
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
// above it. A query has one Scan, and one more for each subquery in it.
type Scan struct {
	// ID is the scan's place in [Query.Scans]; a [Field] says whose it is. 0
	// is the query's own.
	ID int
	// Groups are the log groups that the text names; a trailing * matches a
	// prefix. Empty means that the text names none. They narrow what the
	// caller may read, they do not widen it.
	Groups []string
	// Kinds are the kinds of record that the text asks for; nil means all.
	Kinds []trailward.Kind
	// Accounts are the accounts that the text names; nil means any.
	Accounts []string
	// None is true when the text asks for what no record here can be.
	None bool
	// Start and End are the bounds of the event time, inclusive; zero leaves
	// a side open.
	Start, End time.Time
}

// Values is a table of constants, a nil being a missing value. All columns are
// text.
type Values struct {
	Cols []Named // only ID and Name are used
	Rows [][]*string
}

// Join puts the rows of two inputs together where all pairs of On are equal,
// letter for letter: a missing value equals nothing. With Outer a row of In
// without a partner stays, and the columns of Right are missing in it.
type Join struct {
	In, Right Node
	Outer     bool
	On        []Pair
	// Upto, if set, makes the join one of an IP address to a range: the only
	// pair has the address and, in Right, the lowest address of a range, and Upto
	// is its highest. The ranges of Right do not overlap. Outer is true.
	Upto Expr
}

// Pair is one condition of a [Join]: L over the columns of its In, R over those
// of its Right.
type Pair struct{ L, R Expr }

// Paste puts the rows of two inputs side by side in their present orders: the
// first to the first, at most Max of Right. Where one has more rows than the
// other, the columns of the other are missing.
type Paste struct {
	In, Right Node
	Max       int64
}

// WindowFunc is a function over the rows around a row.
type WindowFunc uint8

// The functions of a [Window].
const (
	RowNumber  WindowFunc = iota // the row's place, from 1
	RowCount                     // how many rows there are
	RunningSum                   // sum of the numbers up to the row; missing where the row has no number
	Lag                          // the value N rows before
	LastValue                    // the last value that is not missing, up to the row
	Quantile                     // of the numbers of all rows, by Fraction
	Lowest                       // the lowest number of all rows
)

// WindowCol is one column of a [Window].
type WindowCol struct {
	ID       int
	Name     string
	Func     WindowFunc
	X        Expr // nil for RowNumber and RowCount
	N        int64
	Fraction float64
}

// Window adds columns that depend on the rows around a row. The rows are taken
// in the present order, or by Order if there is one, apart for each value of
// Partition. The present order stays.
type Window struct {
	In        Node
	Partition []Expr
	Order     []SortKey
	Cols      []WindowCol
}

// Total appends one row that holds the sums of the numbers in some columns. All
// other columns are missing in it.
type Total struct {
	In Node
	// Cols are the columns that are there afterwards under a new ID: Expr in
	// the rows, and the sum of it in the last.
	Cols []Named
}

// FillBins inserts a row for each multiple of a period that has none, for every
// combination of the values of Keys. From and To bound the times, zero means
// that the first and last row do.
type FillBins struct {
	In       Node
	Time     Named // the column afterwards; Expr is the time that the rows have
	Period   Period
	Offset   int64 // milliseconds
	From, To time.Time
	Keys     []Named // other keys: the columns afterwards
	Cols     []Fill
}

// Fill is a column of [FillBins]: Expr in the rows that are there, Value (nil
// is missing) in those that are inserted.
type Fill struct {
	Named
	Value *Lit
}

// Patterns makes one row of each group of rows whose texts X are alike (see
// package pattern). Only its columns exist above it.
type Patterns struct {
	In Node
	X  Expr
	// Prev and PrevX are the same over the time to compare with; nil when
	// there is none. Then the columns Change and Description are there.
	Prev  Node
	PrevX Expr
	// Time is the event time, which the anomaly columns need; nil if they are
	// not asked for.
	Time Expr
	Cols PatternCols
}

// PatternCols are the IDs of the columns of [Patterns].
type PatternCols struct {
	Pattern, Ratio, Count, Severity        int
	Change, Description                    int // with Prev
	Anomaly, AnomalyType, AnomalyText, Odd int // with Time; Odd is the score
}

// Relevant tells for each of some fields how differently its values are
// distributed in the rows that pass a condition and in the others. Only its
// columns exist above it, a row for each field, the most telling first.
type Relevant struct {
	In     Node
	Cond   Expr
	Fields []Named // their IDs are unused
	// Telling leaves out the fields that tell nothing.
	Telling bool
	Cols    RelevantCols
}

// RelevantCols are the IDs of the columns of [Relevant]. Score is from 0 to 1.
// Contributors is JSON text, of fields whose values are not all numbers; the
// medians are of those whose values are.
type RelevantCols struct{ Field, Score, Contributors, Conditional, Baseline int }

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
	At   []Pos // where each key stands in the text
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

// Side returns the second input of a node that has two, else nil.
func Side(n Node) Node {
	switch n := n.(type) {
	case *Join:
		return n.Right
	case *Paste:
		return n.Right
	case *Patterns:
		return n.Prev
	}
	return nil
}

// Input returns nil: a scan is where rows begin.
func (*Scan) Input() Node { return nil }

// Input returns nil: a table is where rows begin.
func (*Values) Input() Node { return nil }

func (n *Join) Input() Node       { return n.In }
func (n *Paste) Input() Node      { return n.In }
func (n *Window) Input() Node     { return n.In }
func (n *Total) Input() Node      { return n.In }
func (n *FillBins) Input() Node   { return n.In }
func (n *Patterns) Input() Node   { return n.In }
func (n *Relevant) Input() Node   { return n.In }
func (n *Filter) Input() Node     { return n.In }
func (n *Extend) Input() Node     { return n.In }
func (n *Aggregate) Input() Node  { return n.In }
func (n *Sort) Input() Node       { return n.In }
func (n *Limit) Input() Node      { return n.In }
func (n *Dedup) Input() Node      { return n.In }
func (n *Unnest) Input() Node     { return n.In }
func (n *ExtractAll) Input() Node { return n.In }

// Exprs returns the expressions of a node over its own inputs.
func Exprs(n Node) []Expr {
	var out []Expr
	add := func(es ...Expr) {
		for _, e := range es {
			if e != nil {
				out = append(out, e)
			}
		}
	}
	switch n := n.(type) {
	case *Filter:
		add(n.Cond)
	case *Extend:
		for _, c := range n.Cols {
			add(c.Expr)
		}
	case *Aggregate:
		for _, k := range n.Keys {
			add(k.Expr)
		}
		for _, a := range n.Aggs {
			add(a.Args...)
			add(a.Order)
		}
	case *Sort:
		for _, k := range n.Keys {
			add(k.Expr)
		}
	case *Dedup:
		add(n.Keys...)
	case *Unnest:
		add(n.Col.Expr)
	case *ExtractAll:
		add(n.X)
	case *Join:
		for _, p := range n.On {
			add(p.L, p.R)
		}
		add(n.Upto)
	case *Window:
		add(n.Partition...)
		for _, k := range n.Order {
			add(k.Expr)
		}
		for _, c := range n.Cols {
			add(c.X)
		}
	case *Total:
		for _, c := range n.Cols {
			add(c.Expr)
		}
	case *FillBins:
		add(n.Time.Expr)
		for _, k := range n.Keys {
			add(k.Expr)
		}
		for _, c := range n.Cols {
			add(c.Expr)
		}
	case *Patterns:
		add(n.X, n.PrevX, n.Time)
	case *Relevant:
		add(n.Cond)
		for _, f := range n.Fields {
			add(f.Expr)
		}
	}
	return out
}

// Query is a whole question: where its rows come from, in which order, and
// which columns they show.
type Query struct {
	Root   Node
	Output []Named // the columns of the answer, in order; their IDs are unused
	// Records is true when a row of the answer is a record (or a part of one,
	// after unnest), not a group of them. Such rows end with @ptr.
	Records bool
	// Scans are the scans of the tree and of its subqueries by their ID. The
	// first is the query's own.
	Scans []*Scan
	// Start and End are the bounds that the query was compiled for, inclusive;
	// zero leaves a side open.
	Start, End time.Time
	Notices    []Notice
	// Estimate asks not for the answer but for what it would cost to read.
	Estimate bool
	// Matched, if set, names a function of the engine, without arguments, that is
	// true and counts its calls: the lowering lets the records that pass the
	// query's conditions go by it.
	Matched string
	// Holds says that the scans have the fields of [HoldsText].
	Holds bool
}

// Notice is something in a query's text that was accepted but does not do what
// its writer may believe.
type Notice struct {
	Pos
	Msg string
}
