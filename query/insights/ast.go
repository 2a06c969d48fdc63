package insights

import (
	"time"

	"trailward"
	"trailward/query/plan"
)

// node is an expression as written. Names are not looked up yet.
type node struct {
	op    nodeOp
	start int // bytes of the text it came from
	end   int
	text  string      // nName: as written; nString, nNumber, nRegex: the value; nCall: name in lower case; nBinary: operator
	keys  []string    // nName and nPath
	quote bool        // nName: some part was quoted
	num   float64     // nNumber
	span  plan.Period // nDuration
	args  []*node
	sub   []*command // nInQuery
	depth int        // height of the tree under it
	hole  bool       // nString: a placeholder, which somebody was to replace
}

type nodeOp uint8

const (
	nName     nodeOp = iota
	nString          // literal text
	nNumber          // literal number
	nDuration        // 5m
	nRegex           // /…/
	nCall            // text(args…)
	nStar            // the * of count(*)
	nPath            // args[0].keys…
	nBinary          // args[0] text args[1]
	nNot             // not args[0]
	nNeg             // - args[0]
	nAnd             // all of args
	nOr              // one of args
	nIn              // args[0] in [args[1:]]
	nInQuery         // args[0] in (sub)
	nLike            // args[0] like args[1]
)

// item is an expression and the name that "as" gives it.
type item struct {
	expr  *node
	alias string // "" when there is none
	pos   int    // of the alias
}

// sortItem is a key of the sort command.
type sortItem struct {
	item
	desc bool
}

// command is one step of the pipe.
type command struct {
	name  string // canonical
	start int
	cond  *node      // filter
	items []item     // fields, display, stats' aggregates, dedup
	by    []item     // stats
	keys  []sortItem // sort
	n     int64      // limit
	any   bool       // limit any
	hole  int        // limit: where its placeholder is, plus one
	parse *parseCmd
	expr  *node  // unnest, pattern, accum, autoregress, relevantfields
	into  string // unnest; accum, autoregress, sessionize: the name of the result, "" without one
	src   *source

	ago     shift        // diff, logcompare
	sub     []*command   // join, appendcols
	join    *joinCmd     // join
	max     int64        // appendcols
	over    bool         // appendcols: the new columns win
	names   []wildcard   // filldown, outlier, addtotals
	from    int64        // autoregress: the lags
	to      int64        // autoregress
	totals  *totalsCmd   // addtotals
	fills   []fillItem   // fillmissing
	outlier *outlierCmd  // outlier
	gap     plan.Period  // sessionize
	lookup  *lookupCmd   // lookup, cidrlookup
	paths   []jsonMember // json
}

// shift says how long before the time of a query the time to compare with is;
// none is the time just before.
type shift struct {
	period plan.Period
	none   bool
}

// joinCmd is what the join command says beside its subquery.
type joinCmd struct {
	outer       bool
	left, right string
	on          [][2]*node
}

// wildcard is the name of a field, or a pattern of names if it has a star.
type wildcard struct {
	text  string
	start int
	field *node // nil for a pattern
}

// totalsCmd is what the addtotals command says beside its fields.
type totalsCmd struct {
	name     string
	row, col bool
}

// fillItem is a value of fillmissing and the column it is for.
type fillItem struct {
	value *node
	name  string
	pos   int // of the name
}

// outlierCmd is what the outlier command says beside its fields.
type outlierCmd struct {
	remove, lower, mark bool
	param               float64
}

// lookupCmd is what lookup and cidrlookup say.
type lookupCmd struct {
	table string
	pos   int // of the table
	cidr  bool
	match []lookupPair // column of the table, field of the record
	keep  bool         // OUTPUTNEW
	out   []lookupPair // column of the table; alias in field's place
}

type lookupPair struct {
	col   string
	pos   int
	field *node  // match
	alias string // out
}

// jsonMember is a path of the json command and the name that it gets.
type jsonMember struct {
	keys  []string
	alias string
}

// parseCmd is what the parse command says.
type parseCmd struct {
	field *node // nil means @message
	mode  parseMode
	text  string // glob or regular expression
	pos   int    // of the pattern
	names []item // as list; only alias and pos are used
	multi bool
}

type parseMode uint8

const (
	parseGlob parseMode = iota
	parseRegex
	parseLogfmt
	parseCSV
)

// source is what a SOURCE clause says.
type source struct {
	groups     []string
	kinds      []trailward.Kind
	accounts   []string
	none       bool // it asks for what nothing here can be
	start, end when
	notices    []placed
}

// placed is a message about a place in the text.
type placed struct {
	pos int
	msg string
}

// when is a time as written.
type when struct {
	set bool
	ago plan.Period // before now; N is 0 for now itself
	at  time.Time   // not zero: this time
}
