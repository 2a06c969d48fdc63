package insights

import "trailward/query/plan"

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
	depth int // height of the tree under it
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
	parse *parseCmd
	expr  *node  // unnest
	into  string // unnest
	src   *source
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
type source struct{ groups []string }
