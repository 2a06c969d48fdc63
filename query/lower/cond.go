package lower

import (
	"math"
	"strconv"
	"strings"
	"time"

	"trailward/query/plan"
)

// cond lowers a condition. With nullOK it may be null where it is not true,
// as a WHERE clause takes it; that keeps plain comparisons plain, so that the
// engine can push them into the scan. Without, it is true or false.
func (l *lowerer) cond(e plan.Expr, nullOK bool) (string, error) {
	sql, null, err := l.condition(e, nullOK)
	if err != nil || nullOK || !null {
		return sql, err
	}
	return "coalesce(" + sql + ", FALSE)", nil
}

// condition lowers a condition and says whether it can be null. nullOK is
// passed on to operands whose null the whole would turn into a null.
func (l *lowerer) condition(e plan.Expr, nullOK bool) (sql string, null bool, err error) {
	switch e := e.(type) {
	case plan.And:
		return l.connect(e.X, " AND ", sqlTrue, nullOK)
	case plan.Or:
		return l.connect(e.X, " OR ", sqlFalse, nullOK)
	case plan.Not:
		sql, err = l.cond(e.X, false)
		return "(NOT " + sql + ")", false, err
	case plan.Compare:
		return l.compare(e)
	case plan.In:
		sql, err = l.in(e)
		return sql, true, err
	case plan.InQuery:
		sql, err = l.inQuery(e)
		return sql, true, err
	case plan.Contains:
		return l.contains(e)
	case plan.Match:
		scan, held, whole, ok := plan.Held(e)
		if ok && whole && l.holds {
			return l.fields[fieldKey(scan, held)].sql, false, nil
		}
		x, err := l.expr(e.X)
		if err != nil {
			return "", false, err
		}
		sql, err = l.op(opMatch, l.text(x).sql, l.d.Text(e.Regex))
		if ok && l.holds && err == nil {
			// Few records have the literal, and only these are put together.
			return "(CASE WHEN " + l.fields[fieldKey(scan, held)].sql + " THEN " + sql + " ELSE FALSE END)", true, nil
		}
		return sql, true, err
	}
	v, err := l.expr(e)
	if err != nil {
		return "", false, err
	}
	sql, err = l.truth(v)
	return sql, true, err
}

// connect joins conditions. A null operand must not hide that another is
// false, or true: SQL's three-valued AND and OR see to that.
func (l *lowerer) connect(xs []plan.Expr, op, none string, nullOK bool) (string, bool, error) {
	if len(xs) == 0 {
		return none, false, nil
	}
	parts := make([]string, len(xs))
	null := false
	for i, x := range xs {
		sql, n, err := l.condition(x, nullOK)
		if err != nil {
			return "", false, err
		}
		parts[i], null = sql, null || n
	}
	return "(" + strings.Join(parts, op) + ")", null, nil
}

func (l *lowerer) contains(e plan.Contains) (string, bool, error) {
	if scan, held, _, ok := plan.Held(e); ok && l.holds {
		return l.fields[fieldKey(scan, held)].sql, false, nil
	}
	x, err := l.expr(e.X)
	if err != nil {
		return "", false, err
	}
	sub, err := l.expr(e.Sub)
	if err != nil {
		return "", false, err
	}
	sql, err := l.op(opContains, l.text(x).sql, l.text(sub).sql)
	return sql, true, err
}

var compareOps = map[plan.CompareOp]string{plan.Less: " < ", plan.LessEqual: " <= ", plan.Greater: " > ", plan.GreaterEqual: " >= "}

// mirrored is the operator with its sides exchanged.
var mirrored = map[plan.CompareOp]plan.CompareOp{plan.Equal: plan.Equal, plan.NotEqual: plan.NotEqual,
	plan.Less: plan.Greater, plan.LessEqual: plan.GreaterEqual, plan.Greater: plan.Less, plan.GreaterEqual: plan.LessEqual}

func (l *lowerer) compare(e plan.Compare) (sql string, null bool, err error) {
	op := e.Op
	a, err := l.expr(e.L)
	if err != nil {
		return "", false, err
	}
	b, err := l.expr(e.R)
	if err != nil {
		return "", false, err
	}
	if a.lit != nil && b.lit == nil {
		a, b, op = b, a, mirrored[op]
	}
	if op == plan.NotEqual {
		if isText(a) && b.lit != nil && b.lit.Kind == plan.LitText && !plan.CanonicalNumber(b.lit.Text) {
			return "(" + a.sql + " IS DISTINCT FROM " + b.sql + ")", false, nil
		}
		sql, err = l.equal(a, b)
		return "(NOT coalesce(" + sql + ", FALSE))", false, err
	}
	if op == plan.Equal {
		sql, err = l.equal(a, b)
		return sql, true, err
	}
	sql, err = l.less(op, a, b)
	return sql, true, err
}

// isText reports whether a value is text that may look like a number.
func isText(v val) bool { return (v.typ == plan.Text || v.typ == plan.JSON) && !v.doc }

func isNumber(v val) bool { return v.typ == plan.Int || v.typ == plan.Float }

// incomparable reports whether every comparison with v is false.
func incomparable(v val) bool {
	return v.typ == plan.Null || v.typ == plan.List || v.doc
}

// equal lowers a = b; it may be null, which is false.
func (l *lowerer) equal(a, b val) (string, error) {
	if a.lit != nil && b.lit == nil {
		a, b = b, a
	}
	if incomparable(a) || incomparable(b) {
		return sqlFalse, nil
	}
	if b.lit != nil {
		if sql, ok, err := l.equalLit(a, *b.lit); ok || err != nil {
			return sql, err
		}
	}
	switch {
	case isText(a) && isText(b):
		// The same text, or the same number written differently.
		ha, err := l.hoist(a)
		if err != nil {
			return "", err
		}
		hb, err := l.hoist(b)
		if err != nil {
			return "", err
		}
		sql, err := l.equalNumbers(ha, hb)
		return "(" + ha.sql + " = " + hb.sql + " OR " + sql + ")", err
	case a.typ == b.typ:
		return "(" + a.sql + " = " + b.sql + ")", nil
	case a.typ == plan.Pointer || b.typ == plan.Pointer:
		return "(" + l.text(a).sql + " = " + l.text(b).sql + ")", nil
	}
	a, b, err := l.hoistWithText(a, b)
	if err != nil {
		return "", err
	}
	return l.equalNumbers(a, b)
}

// hoistWithText makes atoms of two values if one is text.
func (l *lowerer) hoistWithText(a, b val) (val, val, error) {
	if !isText(a) && !isText(b) {
		return a, b, nil
	}
	a, err := l.hoist(a)
	if err != nil {
		return a, b, err
	}
	b, err = l.hoist(b)
	return a, b, err
}

// equalNumbers lowers the equality of the numbers that two values, atoms if one is text, are.
// Beyond 2^53 different integers are the same float.
func (l *lowerer) equalNumbers(a, b val) (string, error) {
	na, err := l.num(a)
	if err != nil {
		return "", err
	}
	nb, err := l.num(b)
	if err != nil {
		return "", err
	}
	ia, ib, ok, err := l.exactPair(a, b)
	if err != nil || !ok {
		return "(" + na.sql + " = " + nb.sql + ")", err
	}
	return "(" + na.sql + " = " + nb.sql + " AND coalesce(" + ia + " = " + ib + ", TRUE))", nil
}

// exactPair is what two values are as integers, if both can be and one is text: numbers
// are compared exactly as they are.
func (l *lowerer) exactPair(a, b val) (ia, ib string, ok bool, err error) {
	if ia, err = l.exact(a); err != nil {
		return "", "", false, err
	}
	if ib, err = l.exact(b); err != nil {
		return "", "", false, err
	}
	return ia, ib, ia != "" && ib != "" && (isText(a) || isText(b)), nil
}

// lessNumbers lowers the order of two numbers na and nb, which the values a and b,
// atoms if one is text, are; where they are the same as floats the integers decide.
func (l *lowerer) lessNumbers(sign string, a, b, na, nb val) (string, error) {
	sql := na.sql + sign + nb.sql
	ia, ib, ok, err := l.exactPair(a, b)
	if err != nil || !ok {
		return sql, err
	}
	return "CASE WHEN " + na.sql + " = " + nb.sql + " THEN coalesce(" + ia + sign + ib + ", " + sql + ") ELSE " + sql + " END", nil
}

// equalLit lowers a = constant where the constant's form allows something
// cheaper or more exact than the general way; ok is false where it does not.
func (l *lowerer) equalLit(a val, x plan.Lit) (sql string, ok bool, err error) {
	switch {
	case x.Kind == plan.LitNull:
		return sqlFalse, true, nil
	case isText(a) && x.Kind == plan.LitText && !plan.CanonicalNumber(x.Text):
		return "(" + a.sql + " = " + l.d.Text(x.Text) + ")", true, nil
	case isText(a):
		texts, _ := x.Forms()
		f, isNum := x.Num, true
		switch x.Kind {
		case plan.LitText:
			f, isNum = parseNumber(x.Text)
		case plan.LitBool:
			f = 0
			if x.Bool {
				f = 1
			}
		}
		h, err := l.hoist(a)
		if err != nil {
			return "", true, err
		}
		sql := l.inTexts(h.sql, texts)
		if !isNum || !distinct(f) {
			return "(" + sql + ")", true, nil
		}
		n, err := l.num(h)
		return "(" + sql + " OR " + n.sql + " = " + float(f) + ")", true, err
	case a.typ == plan.Int && x.Kind != plan.LitBool && plan.CanonicalInt(x.Text):
		return "(" + a.sql + " = " + x.Text + ")", true, nil // exact beyond 2^53
	case isNumber(a):
		f, isNum := x.Num, x.Kind == plan.LitNumber
		switch x.Kind {
		case plan.LitText:
			// A whole number's text has no leading zero.
			if f, isNum = parseNumber(x.Text); a.typ == plan.Int {
				isNum = plan.CanonicalNumber(x.Text)
			}
		case plan.LitBool:
			if isNum = true; x.Bool {
				f = 1
			}
		}
		if !isNum {
			return sqlFalse, true, nil
		}
		if a.typ == plan.Int && !a.wide && f == math.Trunc(f) && !whole(f) {
			if math.Abs(f) >= 1<<63 {
				return sqlFalse, true, nil
			}
			return "(" + a.sql + " = " + strconv.FormatInt(int64(f), 10) + ")", true, nil
		}
		return "(" + a.sql + " = " + number(f) + ")", true, nil
	case a.typ == plan.Bool:
		truth, isBool := x.Bool, x.Kind == plan.LitBool
		switch {
		case x.Kind == plan.LitText && strings.EqualFold(x.Text, "true"), x.Kind != plan.LitBool && x.Text == "1":
			truth, isBool = true, true
		case x.Kind == plan.LitText && strings.EqualFold(x.Text, "false"), x.Kind != plan.LitBool && x.Text == "0":
			truth, isBool = false, true
		}
		if !isBool {
			return sqlFalse, true, nil
		}
		if truth {
			return a.sql, true, nil
		}
		return "(NOT " + a.sql + ")", true, nil
	case a.typ == plan.Time:
		sql, err := l.timeRange(plan.Equal, a, x)
		return sql, true, err
	}
	return "", false, nil
}

// distinct reports whether a number can be compared as a float: beyond 2^53
// different integers are the same float, and only their text tells them apart.
func distinct(f float64) bool { return whole(f) || f != math.Trunc(f) }

// inTexts lowers x = one of texts.
func (l *lowerer) inTexts(x string, texts []string) string {
	lits := make([]string, len(texts))
	for i, t := range texts {
		lits[i] = l.d.Text(t)
	}
	if len(lits) == 1 {
		return x + " = " + lits[0]
	}
	return x + " IN (" + strings.Join(lits, ", ") + ")"
}

// less lowers an ordering; it may be null, which is false.
func (l *lowerer) less(op plan.CompareOp, a, b val) (string, error) {
	if incomparable(a) || incomparable(b) {
		return sqlFalse, nil
	}
	if a.lit != nil && b.lit == nil {
		a, b, op = b, a, mirrored[op]
	}
	sign := compareOps[op]
	if a.typ == plan.Time && b.lit != nil {
		return l.timeRange(op, a, *b.lit)
	}
	if a.typ == plan.Time && b.typ == plan.Time {
		return "(" + a.sql + sign + b.sql + ")", nil
	}
	if isText(a) && isText(b) {
		if b.lit != nil && a.lit == nil {
			if _, isNum := parseNumber(b.lit.Text); !isNum {
				return "(" + a.sql + sign + b.sql + ")", nil
			}
		} else {
			return l.lessText(sign, a, b)
		}
	}
	if b.lit != nil && a.typ == plan.Int && !a.wide {
		if f, ok := litNumber(*b.lit); ok && math.Abs(f) >= 1<<63 && !plan.CanonicalInt(b.lit.Text) { // beyond all of them
			if (f > 0) == (op == plan.Less || op == plan.LessEqual) {
				return "(" + a.sql + " IS NOT NULL)", nil
			}
			return sqlFalse, nil
		}
	}
	a, b, err := l.hoistWithText(a, b)
	if err != nil {
		return "", err
	}
	na, err := l.numeric(a)
	if err != nil {
		return "", err
	}
	nb, err := l.numeric(b)
	if err != nil {
		return "", err
	}
	if b.lit != nil {
		f, ok := litNumber(*b.lit)
		if !ok || whole(f) || f != math.Trunc(f) || !plan.CanonicalInt(b.lit.Text) || !isText(a) {
			return "(" + na.sql + sign + nb.sql + ")", nil // floats tell these apart
		}
		b = l.literal(plan.Lit{Kind: plan.LitNumber, Text: b.lit.Text, Num: f})
		nb.sql = float(f)
	}
	sql, err := l.lessNumbers(sign, a, b, na, nb)
	return "(" + sql + ")", err
}

// litNumber is the number that a constant is.
func litNumber(x plan.Lit) (f float64, ok bool) {
	switch x.Kind {
	case plan.LitNumber:
		return x.Num, true
	case plan.LitText:
		return parseNumber(x.Text)
	}
	return 0, false
}

// lessText orders two texts of which nothing is known: as numbers when both
// are, as text when neither is, else not at all.
func (l *lowerer) lessText(sign string, a, b val) (string, error) {
	ha, err := l.hoist(a)
	if err != nil {
		return "", err
	}
	hb, err := l.hoist(b)
	if err != nil {
		return "", err
	}
	var n [2]val
	for i, v := range []val{ha, hb} {
		if n[i], err = l.num(v); err != nil {
			return "", err
		}
		if n[i], err = l.hoist(n[i]); err != nil {
			return "", err
		}
	}
	numbers, err := l.lessNumbers(sign, ha, hb, n[0], n[1])
	if err != nil {
		return "", err
	}
	return "(CASE WHEN " + n[0].sql + " IS NOT NULL OR " + n[1].sql + " IS NOT NULL THEN " + numbers +
		" ELSE " + ha.sql + sign + hb.sql + " END)", nil
}

const timeLayout = "2006-01-02 15:04:05.000000"

// timeLayouts are the ways to write a time in quotes that compare with a time.
// CloudWatch compares with epoch milliseconds only; what it prints compares too.
var timeLayouts = []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", time.RFC3339, "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02"}

// timeRange compares a time with a constant: epoch milliseconds, or a time in
// quotes. What a time with finer parts compares with is the millisecond that
// it is in.
func (l *lowerer) timeRange(op plan.CompareOp, a val, x plan.Lit) (string, error) {
	var from time.Time
	f, isNum := x.Num, x.Kind == plan.LitNumber
	if x.Kind == plan.LitText {
		f, isNum = parseNumber(x.Text)
	}
	switch {
	case isNum && whole(f):
		from = time.UnixMilli(int64(f)).UTC()
	case isNum:
		n, err := l.num(a)
		if err != nil {
			return "", err
		}
		sign := compareOps[op]
		if op == plan.Equal {
			sign = " = "
		}
		return "(" + n.sql + sign + number(f) + ")", nil
	default:
		ok := false
		for _, layout := range timeLayouts {
			if t, err := time.Parse(layout, x.Text); err == nil {
				from, ok = t.UTC().Truncate(time.Millisecond), true
				break
			}
		}
		if !ok {
			return sqlFalse, nil
		}
	}
	if y := from.Year(); y < 1 || y > 9998 { // no engine's time goes there
		before := y < 1
		if op == plan.Equal || (op == plan.Less || op == plan.LessEqual) == before {
			return sqlFalse, nil
		}
		return "(" + a.sql + " IS NOT NULL)", nil
	}
	lit := func(t time.Time) (string, error) { return l.op(opTimeLit, l.d.Text(t.Format(timeLayout))) }
	lo, err := lit(from)
	if err != nil {
		return "", err
	}
	hi, err := lit(from.Add(time.Millisecond))
	if err != nil {
		return "", err
	}
	switch op {
	case plan.Less:
		return "(" + a.sql + " < " + lo + ")", nil
	case plan.LessEqual:
		return "(" + a.sql + " < " + hi + ")", nil
	case plan.Greater:
		return "(" + a.sql + " >= " + hi + ")", nil
	case plan.GreaterEqual:
		return "(" + a.sql + " >= " + lo + ")", nil
	}
	h, err := l.hoist(a)
	return "(" + h.sql + " >= " + lo + " AND " + h.sql + " < " + hi + ")", err
}

// in lowers membership in a list by the rule of equality. The constants that
// compare as plain text or plain numbers make one IN, however many they are.
func (l *lowerer) in(e plan.In) (string, error) {
	x, err := l.expr(e.X)
	if err != nil {
		return "", err
	}
	if incomparable(x) || len(e.List) == 0 {
		return sqlFalse, nil
	}
	if x, err = l.hoist(x); err != nil {
		return "", err
	}
	var texts, nums, parts []string
	for _, y := range e.List {
		v, err := l.expr(y)
		if err != nil {
			return "", err
		}
		lit := v.lit
		switch {
		case lit == nil || !isText(x):
			sql, err := l.equal(x, v)
			if err != nil {
				return "", err
			}
			parts = append(parts, sql)
		case lit.Kind == plan.LitText && !plan.CanonicalNumber(lit.Text):
			texts = append(texts, lit.Text)
		case lit.Kind == plan.LitText:
			f, _ := parseNumber(lit.Text)
			texts, nums = append(texts, lit.Text), append(nums, float(f))
		case lit.Kind == plan.LitNumber && distinct(lit.Num):
			forms, _ := lit.Forms()
			texts, nums = append(texts, forms...), append(nums, float(lit.Num))
		default:
			sql, err := l.equal(x, v)
			if err != nil {
				return "", err
			}
			parts = append(parts, sql)
		}
	}
	if len(nums) > 0 {
		n, err := l.num(x)
		if err != nil {
			return "", err
		}
		parts = append([]string{n.sql + " IN (" + strings.Join(nums, ", ") + ")"}, parts...)
	}
	if len(texts) > 0 {
		parts = append([]string{l.inTexts(x.sql, texts)}, parts...)
	}
	return "(" + strings.Join(parts, " OR ") + ")", nil
}
