package plan

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// AtomOp is the test of an [Atom].
type AtomOp uint8

// The tests.
const (
	AtomEqual    AtomOp = iota // the field's whole value is one of Values
	AtomContains               // the field's text has Values[0] in it, case-sensitively
	AtomMatch                  // the field's text has a match of the RE2 expression Values[0]
	AtomSubnet                 // the field's text is an IP address in the CIDR block Values[0]
	AtomPresent                // the field has a value
	AtomSpan                   // the field's time, or the time that its text is, lies in Span
)

// Span is a span of time in microseconds since the Unix epoch, both ends
// included.
type Span struct{ From, To int64 }

// Everything is the span that all times lie in.
var Everything = Span{math.MinInt64, math.MaxInt64}

// Meet returns what both spans have in common; From is after To when that is
// nothing.
func (s Span) Meet(o Span) Span { return Span{max(s.From, o.From), min(s.To, o.To)} }

// Join returns the shortest span that holds both.
func (s Span) Join(o Span) Span { return Span{min(s.From, o.From), max(s.To, o.To)} }

// Atom is one test of one field against constants.
type Atom struct {
	Field  FieldRef
	Op     AtomOp
	Values []string
	// Exact is true when no other text than Values can pass an AtomEqual. A
	// number passes however it is written (200, 2e2, 200.0), so its Values are
	// only the usual ways.
	Exact bool
	// Cast is true when an AtomEqual is of the number that a cast makes of the
	// text, however that is written or rounded; then Values is that number.
	Cast bool
	Span Span
}

// Predicate is a condition that every row of the answer's records passes: at
// least one atom of Any is true.
type Predicate struct{ Any []Atom }

// Predicates returns what is known about the records of the query's own scan:
// those of Scans[0] that can matter to the answer pass all of it.
func (q *Query) Predicates() []Predicate { return q.PredicatesOf(0) }

// PredicatesOf returns what is known about the records of the scan with that ID
// that can matter to the answer: conditions directly above the scan, all of
// which hold at once. What cannot be said in atoms is left out, so a part of the
// store in which no record passes one of them need not be read for that scan,
// while the plan's own filters still decide about rows.
func (q *Query) PredicatesOf(scan int) []Predicate {
	path := pathTo(q.Root, scan)
	cols := map[int]Expr{} // what a computed column is, to see through aliases
	var out []Predicate
	// From the scan upwards, as far as no row's fate depends on another row.
	for i := len(path) - 1; i >= 0; i-- {
		switch n := path[i].(type) {
		case *Scan, *Sort:
		case *Extend:
			for _, c := range n.Cols {
				cols[c.ID] = c.Expr
			}
		case *Filter:
			for _, c := range conjuncts(n.Cond) {
				if any, ok := disjuncts(c, cols); ok && len(any) > 0 {
					out = append(out, Predicate{Any: any})
				}
			}
		default:
			return out
		}
	}
	return out
}

// pathTo returns the nodes from n down to the scan, nil if it is not below n.
// A subquery in a condition begins a path of its own.
func pathTo(n Node, scan int) []Node {
	if n == nil {
		return nil
	}
	if s, ok := n.(*Scan); ok {
		if s.ID == scan {
			return []Node{n}
		}
		return nil
	}
	for _, in := range []Node{n.Input(), Side(n)} {
		if in == nil {
			continue
		}
		if p := pathTo(in, scan); p != nil {
			if len(p) > 0 && sealed(p) {
				return p
			}
			return append([]Node{n}, p...)
		}
	}
	var found []Node
	for _, e := range Exprs(n) {
		Walk(e, func(x Expr) {
			if in, ok := x.(InQuery); ok && found == nil {
				if p := pathTo(in.Root, scan); p != nil {
					found = append([]Node{(*subquery)(nil)}, p...)
				}
			}
		})
	}
	return found
}

// subquery marks the end of a path: what is above it is over other rows.
type subquery struct{}

func (*subquery) Input() Node { return nil }

func sealed(path []Node) bool {
	_, ok := path[0].(*subquery)
	return ok
}

func conjuncts(e Expr) []Expr {
	if a, ok := e.(And); ok {
		var out []Expr
		for _, x := range a.X {
			out = append(out, conjuncts(x)...)
		}
		return out
	}
	return []Expr{e}
}

// disjuncts returns the atoms of which one must hold for e to be true; ok is
// false when some way for e to be true is not an atom.
func disjuncts(e Expr, cols map[int]Expr) (any []Atom, ok bool) {
	if o, isOr := e.(Or); isOr {
		for _, x := range o.X {
			a, ok := disjuncts(x, cols)
			if !ok {
				return nil, false
			}
			any = append(any, a...)
		}
		return any, true
	}
	if a, isAnd := e.(And); isAnd {
		// One conjunct that can be said is enough: the rest only narrows it.
		for _, x := range a.X {
			if any, ok := disjuncts(x, cols); ok {
				return any, true
			}
		}
		return nil, false
	}
	a, ok := atom(e, cols)
	return []Atom{a}, ok
}

func atom(e Expr, cols map[int]Expr) (Atom, bool) {
	field := func(x Expr) (FieldRef, bool) {
		for range 8 { // an alias of an alias; more is not worth looking for
			c, ok := x.(Col)
			if !ok {
				break
			}
			x = cols[c.ID]
		}
		f, ok := x.(Field)
		return f.Ref, ok
	}
	switch e := e.(type) {
	case Compare:
		if a, ok := moment(e, field); ok {
			return a, true
		}
		if e.Op != Equal {
			break
		}
		x, l := e.L, e.R
		if _, ok := x.(Lit); ok {
			x, l = l, x
		}
		lit, ok := l.(Lit)
		ref, isField := field(x)
		if !ok || !isField || lit.Kind == LitNull {
			break
		}
		v, exact := lit.Forms()
		return Atom{Field: ref, Op: AtomEqual, Values: v, Exact: exact}, true
	case In:
		ref, ok := field(e.X)
		if !ok {
			break
		}
		a := Atom{Field: ref, Op: AtomEqual, Exact: true}
		for _, x := range e.List {
			lit, ok := x.(Lit)
			if !ok {
				return Atom{}, false
			}
			if lit.Kind == LitNull {
				continue // equals nothing
			}
			v, exact := lit.Forms()
			a.Values = append(a.Values, v...)
			a.Exact = a.Exact && exact
		}
		return a, true
	case Contains:
		lit, ok := e.Sub.(Lit)
		if ref, isField := field(e.X); ok && isField && lit.Kind == LitText && lit.Text != "" {
			return Atom{Field: ref, Op: AtomContains, Values: []string{lit.Text}}, true
		}
	case Match:
		if ref, ok := field(e.X); ok {
			return Atom{Field: ref, Op: AtomMatch, Values: []string{e.Regex}}, true
		}
	case Call:
		if len(e.Args) == 0 {
			break
		}
		ref, ok := field(e.Args[0])
		if !ok {
			break
		}
		switch e.Func {
		case "ispresent":
			return Atom{Field: ref, Op: AtomPresent}, true
		case "isipinsubnet", "isipv4insubnet", "isipv6insubnet":
			if lit, ok := e.Args[1].(Lit); ok && lit.Kind == LitText {
				return Atom{Field: ref, Op: AtomSubnet, Values: []string{lit.Text}}, true
			}
		case "strcontains":
			if lit, ok := e.Args[1].(Lit); ok && len(e.Args) == 2 && lit.Kind == LitText && lit.Text != "" {
				return Atom{Field: ref, Op: AtomContains, Values: []string{lit.Text}}, true
			}
		}
	}
	return Atom{}, false
}

// moment says a comparison of the event time with a constant.
func moment(e Compare, field func(Expr) (FieldRef, bool)) (a Atom, ok bool) {
	x, l, op := e.L, e.R, e.Op
	if _, isLit := x.(Lit); isLit {
		x, l = l, x
		op = map[CompareOp]CompareOp{Equal: Equal, Less: Greater, LessEqual: GreaterEqual, Greater: Less, GreaterEqual: LessEqual, NotEqual: NotEqual}[op]
	}
	lit, isLit := l.(Lit)
	ref, isField := field(x)
	if !isLit || !isField || ref.Key() != "@timestamp" {
		return a, false
	}
	// Where exactly the bound lies is the lowering's to say: a little more room
	// than there is costs nothing.
	var at, room int64
	text := lit.Text
	num, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	switch {
	case lit.Kind == LitNumber, lit.Kind == LitText && err == nil:
		if lit.Kind == LitNumber {
			num = lit.Num
		}
		if math.Abs(num) > 1e14 {
			return a, false
		}
		at, room = int64(num*1000), 10_000
	case lit.Kind == LitText && len(text) >= len(time.DateOnly):
		day, err := time.Parse(time.DateOnly, text[:len(time.DateOnly)])
		if err != nil {
			return a, false
		}
		at, room = day.UnixMicro(), 48*time.Hour.Microseconds() // the time of day, and a zone
	default:
		return a, false
	}
	span := Everything
	switch op {
	case Equal:
		span = Span{at - room, at + room}
	case Greater, GreaterEqual:
		span.From = at - room
	case Less, LessEqual:
		span.To = at + room
	default:
		return a, false
	}
	return Atom{Field: ref, Op: AtomSpan, Span: span}, true
}

// Forms returns the texts that a stored value equal to the literal usually
// has, and whether it can have no other. Number-looking text in quotes equals
// a number too, if it is written as a machine would write it.
func (l Lit) Forms() (texts []string, exact bool) {
	switch l.Kind {
	case LitBool:
		if l.Bool {
			return []string{"true", "1"}, false
		}
		return []string{"false", "0"}, false
	case LitText:
		return []string{l.Text}, !CanonicalNumber(l.Text)
	case LitNumber:
		texts = []string{l.Text}
		if short := FormatNumber(l.Num); short != l.Text && !CanonicalInt(l.Text) { // of one beyond 2^53 it is another's
			texts = append(texts, short)
		}
		switch l.Num {
		case 0:
			texts = append(texts, "false")
		case 1:
			texts = append(texts, "true")
		}
	}
	return texts, false
}
