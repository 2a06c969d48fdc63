package lower

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"trailward/query/plan"
)

// expr lowers an expression to a value.
func (l *lowerer) expr(e plan.Expr) (val, error) {
	switch e := e.(type) {
	case plan.Lit:
		return l.literal(e), nil
	case plan.Field:
		v, ok := l.fields[fieldKey(e.Scan, e.Ref)]
		if !ok {
			return val{}, fmt.Errorf("lower field %s: it cannot be seen here", e.Ref.Key())
		}
		return v, nil
	case plan.Col:
		v, ok := l.cols[e.ID]
		if !ok {
			return val{}, fmt.Errorf("lower column %d: it cannot be seen here", e.ID)
		}
		return v, nil
	case plan.And, plan.Or, plan.Not, plan.Compare, plan.In, plan.InQuery, plan.Contains, plan.Match:
		sql, err := l.cond(e, false)
		return val{sql: sql, typ: plan.Bool, atom: sql == sqlTrue || sql == sqlFalse}, err
	case plan.Arith:
		return l.arith(e)
	case plan.Neg:
		x, err := l.expr(e.X)
		if err != nil {
			return val{}, err
		}
		if x, err = l.float(x); err != nil {
			return val{}, err
		}
		if x.lit != nil {
			n := plan.Lit{Kind: plan.LitNumber, Text: plan.FormatNumber(-x.lit.Num), Num: -x.lit.Num}
			if text := "-" + x.lit.Text; plan.CanonicalInt(text) {
				n.Text = text
			}
			return l.literal(n), nil
		}
		return val{sql: "(- " + x.sql + ")", typ: plan.Float}, nil
	case plan.Path:
		x, err := l.expr(e.X)
		if err != nil {
			return val{}, err
		}
		return l.path(x, e.Keys)
	case plan.Capture:
		return l.capture(e)
	case plan.Floor:
		return l.floor(e)
	case plan.Call:
		args := make([]val, len(e.Args))
		for i, a := range e.Args {
			var err error
			if args[i], err = l.expr(a); err != nil {
				return val{}, err
			}
		}
		return l.call(e, args)
	}
	return val{}, fmt.Errorf("lower a %T: not known", e)
}

// arith lowers arithmetic, which is done in floats: an integer overflow would
// be an error. Constants are computed here, so that a comparison with one can
// be pushed into the scan.
func (l *lowerer) arith(e plan.Arith) (val, error) {
	var x [2]val
	for i, o := range []plan.Expr{e.L, e.R} {
		v, err := l.expr(o)
		if err != nil {
			return val{}, err
		}
		if x[i], err = l.float(v); err != nil {
			return val{}, err
		}
	}
	a, b := x[0], x[1]
	if a.lit != nil && b.lit != nil {
		if f, ok := fold(e.Op, a.lit.Num, b.lit.Num); ok {
			return l.literal(plan.Lit{Kind: plan.LitNumber, Text: plan.FormatNumber(f), Num: f}), nil
		}
		return val{sql: "CAST(NULL AS " + l.d.Type(plan.Float) + ")", typ: plan.Float, atom: true}, nil
	}
	out := val{typ: plan.Float}
	var err error
	switch e.Op {
	case '+', '-', '*':
		out.sql = "(" + a.sql + " " + string(e.Op) + " " + b.sql + ")"
	case '/':
		out.sql = "(" + a.sql + " / " + nonZero(b) + ")"
	case '%':
		out.sql, err = l.op(opMod, a.sql, nonZero(b))
	case '^':
		out.sql, err = l.op(opPow, a.sql, b.sql)
	default:
		err = fmt.Errorf("lower operator %q: not known", e.Op)
	}
	return out, err
}

// nonZero is a divisor that is null instead of 0.
func nonZero(v val) string {
	if v.lit != nil && v.lit.Num != 0 {
		return v.sql
	}
	return "nullif(" + v.sql + ", 0)"
}

func fold(op byte, a, b float64) (f float64, ok bool) {
	switch op {
	case '+':
		f = a + b
	case '-':
		f = a - b
	case '*':
		f = a * b
	case '/':
		f = a / b
	case '%':
		f = math.Mod(a, b)
	case '^':
		f = math.Pow(a, b)
	}
	return f, !math.IsNaN(f) && !math.IsInf(f, 0)
}

// path goes into a structured value. What comes out is text: a string without
// its quotes, a number, or JSON text again.
func (l *lowerer) path(x val, keys []string) (val, error) {
	out := val{typ: plan.JSON}
	var err error
	if x.typ == plan.List {
		n, isNum := elementNumber(keys[0])
		if !isNum {
			return l.null(), nil
		}
		sql, err := l.op(opListItem, x.sql, n)
		if err != nil {
			return val{}, err
		}
		out.sql = sql
		if len(keys) == 1 {
			return out, nil
		}
		x, keys = out, keys[1:]
		out = val{typ: plan.JSON}
	}
	if x.typ != plan.JSON && x.typ != plan.Text {
		return l.null(), nil
	}
	args := make([]string, 1, len(keys)+1)
	args = append(args, keys...)
	if x.doc {
		args[0] = x.sql
		out.sql, err = l.op(opJSONPath, args...)
		return out, err
	}
	h, err := l.hoist(x)
	if err != nil {
		return val{}, err
	}
	args[0] = h.sql
	sql, err := l.op(opJSONPath, args...)
	if err != nil {
		return val{}, err
	}
	out.sql, err = l.op(opJSONGuard, h.sql, sql)
	return out, err
}

// elementNumber reads the number of a list's element.
func elementNumber(key string) (string, bool) {
	n, err := strconv.ParseInt(key, 10, 32)
	if err != nil || n < 0 {
		return "", false
	}
	return strconv.FormatInt(n, 10), true
}

// capture lowers a group of a match. The groups of one match are computed
// together.
func (l *lowerer) capture(e plan.Capture) (val, error) {
	x, err := l.expr(e.X)
	if err != nil {
		return val{}, err
	}
	if x, err = l.hoist(l.text(x)); err != nil {
		return val{}, err
	}
	if e.Glob != "" {
		if sql, ok := l.d.Op(opGlob, []string{x.sql, e.Glob, strconv.Itoa(e.Group)}); ok {
			return val{sql: sql, typ: plan.Text}, nil
		}
	}
	sql, err := l.op(opCapture, x.sql, e.Regex)
	if err != nil {
		return val{}, err
	}
	groups, err := l.hoist(val{sql: sql, typ: plan.List})
	if err != nil {
		return val{}, err
	}
	sql, err = l.op(opCaptured, groups.sql, strconv.Itoa(e.Group), x.sql, e.Regex)
	return val{sql: sql, typ: plan.Text}, err
}

// months is a period that follows the calendar, in months; 0 for the others.
func months(p plan.Period) int64 {
	switch p.Unit {
	case plan.Month:
		return p.N
	case plan.Quarter:
		return 3 * p.N
	case plan.Year:
		return 12 * p.N
	}
	return 0
}

// floor lowers bin, datefloor and dateceil.
func (l *lowerer) floor(e plan.Floor) (val, error) {
	x, err := l.expr(e.X)
	if err != nil {
		return val{}, err
	}
	if x, err = l.time(x); err != nil {
		return val{}, err
	}
	p := e.Period
	months := months(p)
	shift := func(sql string, ms int64) (string, error) {
		if ms == 0 {
			return sql, nil
		}
		return l.op(opAddMillis, sql, strconv.FormatInt(ms, 10))
	}
	sql := x.sql
	if months > 0 {
		if sql, err = shift(sql, -e.Offset); err != nil {
			return val{}, err
		}
		if sql, err = l.op(opFloorMonths, sql, strconv.FormatInt(months, 10)); err != nil {
			return val{}, err
		}
		if sql, err = shift(sql, e.Offset); err != nil {
			return val{}, err
		}
	} else {
		origin := e.Offset
		if p.Unit == plan.Week {
			origin += 4 * 86_400_000 // 1970-01-05 was a Monday
		}
		if sql, err = l.op(opFloorFixed, sql, strconv.FormatInt(p.Millis(), 10), strconv.FormatInt(origin, 10)); err != nil {
			return val{}, err
		}
	}
	out := val{sql: sql, typ: plan.Time}
	if !e.Up {
		return out, nil
	}
	if x, err = l.hoist(x); err != nil {
		return val{}, err
	}
	if out, err = l.hoist(out); err != nil {
		return val{}, err
	}
	next := ""
	if months > 0 {
		next, err = l.op(opAddMonths, out.sql, strconv.FormatInt(months, 10))
	} else {
		next, err = l.op(opAddMillis, out.sql, strconv.FormatInt(p.Millis(), 10))
	}
	return val{sql: "CASE WHEN " + out.sql + " = " + x.sql + " THEN " + x.sql + " ELSE " + next + " END", typ: plan.Time}, err
}

// orderBy prints the present order. The order that a query asks for comes
// first; what it leaves open is settled by event time, newest first, then by
// place in the store, and for groups by their keys, so that the same question
// has the same answer.
func (l *lowerer) orderBy() (string, error) {
	var terms []string
	for _, t := range l.order {
		ts, err := l.natural(t.v, t.desc)
		if err != nil {
			return "", err
		}
		terms = append(terms, ts...)
	}
	for _, k := range l.keys {
		if l.order != nil {
			terms = append(terms, k.sql+" ASC NULLS FIRST")
			continue
		}
		ts, err := l.natural(k, false)
		if err != nil {
			return "", err
		}
		terms = append(terms, ts...)
	}
	terms = append(terms, l.ties...)
	if len(terms) == 0 {
		return "", nil
	}
	return " ORDER BY " + strings.Join(terms, ", "), nil
}

// natural prints the terms that sort a value in natural order: a missing one
// first, then text that is no number, then numbers by value (and by text where
// two are equal). Descending is the exact reverse.
func (l *lowerer) natural(v val, desc bool) ([]string, error) {
	dir := " ASC NULLS FIRST"
	if desc {
		dir = " DESC NULLS LAST"
	}
	if v.lit != nil || v.sql == sqlTrue || v.sql == sqlFalse {
		return nil, nil // the same for every row; as an ORDER BY term an integer would name a column
	}
	if !isText(v) {
		return []string{v.sql + dir}, nil
	}
	if key, ok := l.d.Op(opSortKey, []string{v.sql}); ok {
		return []string{key + dir}, nil
	}
	x, err := l.hoist(v)
	if err != nil {
		return nil, err
	}
	n, err := l.num(x)
	if err != nil {
		return nil, err
	}
	if n, err = l.hoist(n); err != nil {
		return nil, err
	}
	key, err := l.op(opNatural, x.sql)
	if err != nil {
		return nil, err
	}
	return []string{
		"CASE WHEN " + x.sql + " IS NULL THEN 0 WHEN " + n.sql + " IS NULL THEN 1 ELSE 2 END" + dir,
		n.sql + dir,
		"CASE WHEN " + n.sql + " IS NULL THEN " + key + " ELSE " + x.sql + " END" + dir,
	}, nil
}
