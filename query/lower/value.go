package lower

import (
	"math"
	"strconv"
	"strings"

	"trailward/query/plan"
)

// val is an expression in SQL and what is known about it.
type val struct {
	sql  string
	typ  plan.Type
	doc  bool      // typ is JSON, and every value is a map or list
	atom bool      // short and free to repeat: an identifier or a literal
	lit  *plan.Lit // the constant that it is
	wide bool      // typ is Int, and values may have more than 64 bits
}

const (
	sqlTrue  = "TRUE"
	sqlFalse = "FALSE"
)

// null is a value that nothing has.
func (l *lowerer) null() val {
	return val{sql: "CAST(NULL AS " + l.d.Type(plan.Text) + ")", typ: plan.Null, atom: true}
}

// literal prints a constant.
func (l *lowerer) literal(x plan.Lit) val {
	switch x.Kind {
	case plan.LitText:
		return val{sql: l.d.Text(x.Text), typ: plan.Text, atom: len(x.Text) < 40, lit: &x}
	case plan.LitNumber:
		if plan.CanonicalInt(x.Text) { // exact beyond 2^53
			sql := x.Text
			if sql[0] == '-' {
				sql = "(" + sql + ")"
			}
			return val{sql: sql, typ: plan.Int, atom: true, lit: &x}
		}
		return val{sql: number(x.Num), typ: numberType(x.Num), atom: true, lit: &x}
	case plan.LitBool:
		if x.Bool {
			return val{sql: sqlTrue, typ: plan.Bool, atom: true, lit: &x}
		}
		return val{sql: sqlFalse, typ: plan.Bool, atom: true, lit: &x}
	}
	return l.null()
}

const maxExact = 1 << 53 // below it, different integers are different floats

func whole(f float64) bool { return f == math.Trunc(f) && math.Abs(f) < maxExact }

func numberType(f float64) plan.Type {
	if whole(f) {
		return plan.Int
	}
	return plan.Float
}

// number prints a number: whole ones as integers, others with an exponent,
// which makes them floats (not decimals) in every engine.
func number(f float64) string {
	var s string
	if whole(f) {
		s = strconv.FormatInt(int64(f), 10)
	} else {
		s = strconv.FormatFloat(f, 'e', -1, 64)
	}
	if strings.HasPrefix(s, "-") {
		s = "(" + s + ")"
	}
	return s
}

// float prints a number as a float even if it is whole.
func float(f float64) string {
	s := strconv.FormatFloat(f, 'e', -1, 64)
	if strings.HasPrefix(s, "-") {
		s = "(" + s + ")"
	}
	return s
}

// text turns a value into text as a query sees it. Maps and lists have none.
func (l *lowerer) text(v val) val {
	out := val{typ: plan.Text}
	var op Op
	switch v.typ {
	case plan.Text:
		return v
	case plan.JSON:
		if v.doc {
			return l.null()
		}
		v.typ = plan.Text
		return v
	case plan.Int:
		if v.lit != nil {
			return l.literal(plan.Lit{Kind: plan.LitText, Text: v.lit.Text})
		}
		op = opIntText
	case plan.Float:
		if v.lit != nil {
			return l.literal(plan.Lit{Kind: plan.LitText, Text: v.lit.Text})
		}
		op = opFloatText
	case plan.Bool:
		out.sql = "CAST(CAST(" + v.sql + " AS " + l.d.Type(plan.Int) + ") AS " + l.d.Type(plan.Text) + ")"
		return out
	case plan.Time:
		op = opTimeText
	case plan.Pointer:
		out.sql = "CAST(" + v.sql + " AS " + l.d.Type(plan.Text) + ")"
		return out
	default:
		return l.null()
	}
	sql, ok := l.d.Op(op, []string{v.sql})
	if !ok {
		sql = "CAST(" + v.sql + " AS " + l.d.Type(plan.Text) + ")"
	}
	out.sql = sql
	return out
}

// num turns a value into a number: text that looks like one, true and false as
// 1 and 0, a time as epoch milliseconds. What is none is null.
func (l *lowerer) num(v val) (val, error) {
	switch v.typ {
	case plan.Int, plan.Float:
		return v, nil
	case plan.Bool:
		return val{sql: "CAST(" + v.sql + " AS " + l.d.Type(plan.Int) + ")", typ: plan.Int}, nil
	case plan.Time:
		sql, err := l.op(opMillis, v.sql)
		return val{sql: sql, typ: plan.Int}, err
	case plan.Text, plan.JSON:
		if v.doc {
			break
		}
		if v.lit != nil {
			if f, ok := parseNumber(v.lit.Text); ok {
				return l.literal(plan.Lit{Kind: plan.LitNumber, Text: v.lit.Text, Num: f}), nil
			}
			break
		}
		x, err := l.hoist(v)
		if err != nil {
			return val{}, err
		}
		sql, err := l.op(opNumber, x.sql)
		if err != nil {
			return val{}, err
		}
		h, err := l.hoist(val{sql: sql, typ: plan.Float})
		if err != nil {
			return val{}, err
		}
		sql, err = l.op(opFinite, h.sql, x.sql)
		return val{sql: sql, typ: plan.Float}, err
	}
	return val{sql: "CAST(NULL AS " + l.d.Type(plan.Float) + ")", typ: plan.Float, atom: true}, nil
}

// parseNumber reads text as the engines' casts do, so that constants compare
// like values: an optional sign, digits, a fraction, an exponent.
func parseNumber(s string) (float64, bool) {
	t := strings.TrimSpace(s)
	if t == "" || strings.Trim(t, "0123456789+-.eE") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(t, 64)
	return f, err == nil
}

// numeric is num where a number is wanted: the texts true and false, which is
// how the fields of records have JSON's, are 1 and 0.
func (l *lowerer) numeric(v val) (val, error) {
	if !isText(v) || v.doc {
		return l.num(v)
	}
	if v.lit != nil {
		switch v.lit.Text {
		case "true", "false":
			return l.num(l.literal(plan.Lit{Kind: plan.LitBool, Bool: v.lit.Text == "true"}))
		}
		return l.num(v)
	}
	x, err := l.hoist(v)
	if err != nil {
		return val{}, err
	}
	n, err := l.num(x)
	if err != nil {
		return val{}, err
	}
	return val{sql: "CASE " + x.sql + " WHEN 'true' THEN 1e0 WHEN 'false' THEN 0e0 ELSE " + n.sql + " END", typ: plan.Float}, nil
}

// float is numeric as a float: arithmetic on integers could overflow, which is an
// error in SQL.
func (l *lowerer) float(v val) (val, error) {
	v, err := l.numeric(v)
	if err != nil || v.typ == plan.Float {
		return v, err
	}
	if v.lit != nil {
		return val{sql: float(v.lit.Num), typ: plan.Float, atom: true, lit: v.lit}, nil
	}
	return val{sql: "CAST(" + v.sql + " AS " + l.d.Type(plan.Float) + ")", typ: plan.Float}, nil
}

// int is num as an integer, without its fraction; null if 64 bits do not hold it.
func (l *lowerer) int(v val) (val, error) {
	if v.wide {
		sql, err := l.op(opInt, v.sql)
		return val{sql: sql, typ: plan.Int}, err
	}
	var err error
	if isText(v) && v.lit == nil {
		if v, err = l.hoist(v); err != nil {
			return val{}, err
		}
	}
	n, err := l.num(v)
	if err != nil || n.typ == plan.Int {
		return n, err
	}
	sql, err := l.op(opInt, n.sql)
	if err == nil && isText(v) && v.lit == nil { // what a float does not hold
		var exact string
		exact, err = l.op(opExactInt, v.sql)
		sql = "coalesce(" + exact + ", " + sql + ")"
	}
	return val{sql: sql, typ: plan.Int}, err
}

// exact is SQL for the integer that a value is, null where it is none or the
// value's float says all of it; "" for values that can be none.
func (l *lowerer) exact(v val) (string, error) {
	switch {
	case v.typ == plan.Int:
		return v.sql, nil
	case isText(v):
		return l.op(opExactInt, v.sql)
	}
	return "", nil
}

// finite drops infinities, which JSON and CloudWatch have no number for.
func (l *lowerer) finite(v val) (val, error) {
	h, err := l.hoist(v)
	if err != nil {
		return val{}, err
	}
	sql, err := l.op(opFiniteFloat, h.sql)
	return val{sql: sql, typ: plan.Float}, err
}

// time turns a value into a time: a number is epoch milliseconds.
func (l *lowerer) time(v val) (val, error) {
	if v.typ == plan.Time {
		return v, nil
	}
	f, err := l.num(v)
	if err != nil {
		return val{}, err
	}
	if f, err = l.float(f); err != nil {
		return val{}, err
	}
	sql, err := l.op(opFromMillis, f.sql)
	return val{sql: sql, typ: plan.Time}, err
}

// truth turns a value into a condition: numbers other than 0 are true, and so
// is the text true.
func (l *lowerer) truth(v val) (string, error) {
	switch v.typ {
	case plan.Bool:
		return v.sql, nil
	case plan.Int, plan.Float:
		return "(" + v.sql + " <> 0)", nil
	case plan.Text, plan.JSON:
		if v.doc {
			return sqlFalse, nil
		}
		x, err := l.hoist(v)
		if err != nil {
			return "", err
		}
		n, err := l.num(x)
		return "(" + x.sql + " = 'true' OR " + n.sql + " <> 0)", err
	}
	return sqlFalse, nil
}

// list turns a value into a list: a list is one, JSON text of an array gives
// its elements, any other value a list of one, null an empty one.
func (l *lowerer) list(v val) (val, error) {
	switch v.typ {
	case plan.List:
		return v, nil
	case plan.Text, plan.JSON:
		h, err := l.hoist(v)
		if err != nil {
			return val{}, err
		}
		sql, err := l.op(opJSONList, h.sql)
		return val{sql: sql, typ: plan.List}, err
	}
	h, err := l.hoist(l.text(v))
	if err != nil {
		return val{}, err
	}
	sql, err := l.op(opListLit, h.sql)
	return val{sql: sql, typ: plan.List}, err
}

// unify gives values one type, so that they can be the branches of one
// expression: numbers if all are, times, truth values, else text.
func (l *lowerer) unify(vs []val) ([]val, val, error) {
	var out val
	same := true
	first := plan.Null
	numbers := true
	for _, v := range vs {
		if v.typ == plan.Null {
			continue
		}
		if first == plan.Null {
			first = v.typ
			out.doc = v.doc
		}
		same = same && v.typ == first
		out.wide = out.wide || v.wide
		numbers = numbers && (v.typ == plan.Int || v.typ == plan.Float)
		out.doc = out.doc && v.doc
		if v.typ == plan.JSON {
			out.typ = plan.JSON
		}
	}
	res := make([]val, len(vs))
	for i, v := range vs {
		var err error
		switch {
		case v.typ == plan.Null && first != plan.Null && same && first != plan.JSON:
			v = val{sql: "CAST(NULL AS " + l.d.Type(first) + ")", typ: first, atom: true}
		case same:
		case numbers:
			v, err = l.float(v)
		case v.typ == plan.JSON: // as it is: text
		case v.typ == plan.List:
			v.sql, err = l.op(opListText, v.sql)
		default:
			v = l.text(v)
		}
		if err != nil {
			return nil, out, err
		}
		res[i] = v
	}
	switch {
	case same:
		out.typ = first
	case numbers:
		out.typ = plan.Float
	case out.typ != plan.JSON:
		out.typ = plan.Text
	}
	if out.typ != plan.JSON {
		out.doc = false
	}
	out.wide = out.wide && out.typ == plan.Int
	return res, out, nil
}
