package plan

// Pos is a place in a query's text: line and column count from 1, in
// characters. The zero Pos is an expression that no text stands for.
type Pos struct{ Line, Col int }

// Expr is a value computed for each row. Every literal is a value in the tree,
// never text to be pasted into another language.
//
// What a field holds is known only when the scan is opened, so most static
// types are settled by the lowering; [Func.Result] says what is known before.
type Expr interface{ expr() }

// LitKind says which member of a [Lit] holds.
type LitKind uint8

// The kinds of literals.
const (
	LitNull LitKind = iota
	LitText
	LitNumber
	LitBool
)

// Lit is a constant.
type Lit struct {
	Kind LitKind
	// Text is a LitText's value, and the text of a LitNumber as it was
	// written: an account id such as 000123 compares with text too.
	Text string
	Num  float64 // a LitNumber's value
	Bool bool    // a LitBool's value
}

// Field is a field of the records that a scan reads.
type Field struct {
	Ref  FieldRef
	Pos  Pos
	Scan int // the ID of the [Scan]
}

// Col is a column that a node below computes: the [Named] with this ID. IDs
// are unique in a query, so that a name used twice cannot be mistaken.
type Col struct{ ID int }

// Path goes into a structured value (what jsonParse made, an element of a
// list, text that holds JSON). Keys that are decimal numbers count elements of
// an array from 0; in an object they are keys.
type Path struct {
	X    Expr
	Keys []string
	Pos  Pos
}

// Call applies a scalar function of [Funcs].
type Call struct {
	Func string // canonical name, a key of Funcs
	Args []Expr
	Pos  Pos
}

// And is true when every operand is; with none it is true.
type And struct{ X []Expr }

// Or is true when some operand is.
type Or struct{ X []Expr }

// Not turns truth around. What is compared with a missing value is false, so
// its Not is true.
type Not struct{ X Expr }

// CompareOp is an operator of [Compare].
type CompareOp uint8

// The comparisons.
const (
	Equal CompareOp = iota
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
)

// Compare compares two values: as numbers when both are numbers or
// number-looking text, else as text. A missing value makes it false, but
// NotEqual true.
type Compare struct {
	Op   CompareOp
	L, R Expr
	Pos  Pos
}

// In is true when X equals one of List, by the rule of [Compare].
type In struct {
	X    Expr
	List []Expr
	Pos  Pos
}

// InQuery is true when the text of X is, letter for letter, a value of Out in
// some row of Root, a tree of its own.
type InQuery struct {
	X    Expr
	Root Node
	Out  Expr
	Pos  Pos
}

// Contains is true when the text of X has the text of Sub in it,
// case-sensitively.
type Contains struct {
	X, Sub Expr
	Pos    Pos
}

// Match is true when the text of X has a match of an RE2 regular expression,
// which the compiler has checked.
type Match struct {
	X     Expr
	Regex string
	Pos   Pos
}

// Arith is arithmetic: one of + - * / % ^. An operand that is no number, and a
// division by zero, give null.
type Arith struct {
	Op   byte
	L, R Expr
	Pos  Pos
}

// Neg is the number with its sign turned.
type Neg struct {
	X   Expr
	Pos Pos
}

// Capture is what a group of the first match of an RE2 regular expression in
// the text of X holds; null when there is no match.
type Capture struct {
	X     Expr
	Regex string
	Group int // from 1
	// Glob, if not empty, says the same as Regex: a pattern in which each star
	// is a group, the shortest text up to what follows, and a last star is the
	// rest.
	Glob string
	Pos  Pos
}

// Unit is a unit of a [Period].
type Unit uint8

// The units. Milliseconds to days are fixed spans counted from the Unix epoch,
// weeks begin on Monday, months to years follow the calendar; all in UTC.
const (
	Millisecond Unit = iota
	Second
	Minute
	Hour
	Day
	Week
	Month
	Quarter
	Year
)

// Period is a span of time, at least one unit long.
type Period struct {
	N    int64
	Unit Unit
}

// Millis is the period in milliseconds, months taken as 30 days and years as
// 365; it orders periods and fills reports, it does not do calendar arithmetic.
func (p Period) Millis() int64 {
	ms := [...]int64{1, 1000, 60_000, 3_600_000, 86_400_000, 7 * 86_400_000, 30 * 86_400_000, 91 * 86_400_000, 365 * 86_400_000}
	return p.N * ms[p.Unit]
}

// Floor rounds a time down to a multiple of a period, Up rounds it up. The
// multiples are shifted by Offset milliseconds.
type Floor struct {
	X      Expr // a time, or a number of epoch milliseconds
	Period Period
	Up     bool
	Offset int64
	Pos    Pos
}

func (Lit) expr()      {}
func (Field) expr()    {}
func (Col) expr()      {}
func (Path) expr()     {}
func (Call) expr()     {}
func (And) expr()      {}
func (Or) expr()       {}
func (Not) expr()      {}
func (Compare) expr()  {}
func (In) expr()       {}
func (InQuery) expr()  {}
func (Contains) expr() {}
func (Match) expr()    {}
func (Arith) expr()    {}
func (Neg) expr()      {}
func (Capture) expr()  {}
func (Floor) expr()    {}

// Operands returns the expressions directly under e. The tree of an [InQuery] is
// not under it: it is over other rows.
func Operands(e Expr) []Expr {
	switch e := e.(type) {
	case Path:
		return []Expr{e.X}
	case Call:
		return e.Args
	case And:
		return e.X
	case Or:
		return e.X
	case Not:
		return []Expr{e.X}
	case Compare:
		return []Expr{e.L, e.R}
	case In:
		return append([]Expr{e.X}, e.List...)
	case InQuery:
		return []Expr{e.X}
	case Contains:
		return []Expr{e.X, e.Sub}
	case Match:
		return []Expr{e.X}
	case Arith:
		return []Expr{e.L, e.R}
	case Neg:
		return []Expr{e.X}
	case Capture:
		return []Expr{e.X}
	case Floor:
		return []Expr{e.X}
	}
	return nil
}

// Walk calls fn for e and everything under it, from the top down.
func Walk(e Expr, fn func(Expr)) {
	if e == nil {
		return
	}
	fn(e)
	for _, x := range Operands(e) {
		Walk(x, fn)
	}
}

// Place returns where in the query's text e stands, or where the first of its
// operands does; the zero Pos when nothing is known.
func Place(e Expr) Pos {
	var p Pos
	switch e := e.(type) {
	case Field:
		p = e.Pos
	case Path:
		p = e.Pos
	case Call:
		p = e.Pos
	case Compare:
		p = e.Pos
	case In:
		p = e.Pos
	case InQuery:
		p = e.Pos
	case Contains:
		p = e.Pos
	case Match:
		p = e.Pos
	case Arith:
		p = e.Pos
	case Neg:
		p = e.Pos
	case Capture:
		p = e.Pos
	case Floor:
		p = e.Pos
	}
	if p.Line > 0 {
		return p
	}
	for _, x := range Operands(e) {
		if p = Place(x); p.Line > 0 {
			return p
		}
	}
	return Pos{}
}
