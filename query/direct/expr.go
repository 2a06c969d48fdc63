package direct

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"trailward/query/plan"
)

// expr makes a value of an expression.
func (c *compiler) expr(e plan.Expr) (value, error) {
	switch e := e.(type) {
	case plan.Lit:
		if e.Kind != plan.LitText {
			return value{}, ErrUnknown
		}
		return value{typ: plan.Text, lit: &e, eval: func(*Row) (any, error) { return e.Text, nil }}, nil
	case plan.Col:
		if v, ok := c.cols[e.ID]; ok {
			return v, nil
		}
	case plan.Field:
		if e.Scan == 0 {
			return c.field(e.Ref)
		}
	}
	return value{}, ErrUnknown
}

func (c *compiler) field(ref plan.FieldRef) (value, error) {
	key := ref.Key()
	if key == "@message" {
		return value{typ: plan.Text, eval: func(r *Row) (any, error) { return r.Message() }}, nil
	}
	i, ok := c.fields[key]
	if !ok {
		return value{}, ErrUnknown
	}
	switch c.types[i] {
	case plan.Null, plan.Text, plan.JSON, plan.Int, plan.Time, plan.Pointer:
		return value{typ: c.types[i], eval: func(r *Row) (any, error) { return r.Fields[i], nil }}, nil
	}
	return value{}, ErrUnknown
}

type condition func(r *Row) (bool, error)

func constant(is bool) condition { return func(*Row) (bool, error) { return is, nil } }

// cond makes a condition. What is neither true nor false is not true, and turned
// around it is.
func (c *compiler) cond(e plan.Expr) (condition, error) {
	switch e := e.(type) {
	case plan.And:
		return c.connect(e.X, false)
	case plan.Or:
		return c.connect(e.X, true)
	case plan.Not:
		x, err := c.cond(e.X)
		if err != nil {
			return nil, err
		}
		return func(r *Row) (bool, error) {
			is, err := x(r)
			return !is, err
		}, nil
	case plan.Compare:
		return c.compare(e)
	case plan.In:
		return c.in(e)
	case plan.Contains:
		return c.contains(e)
	case plan.Match:
		x, err := c.text(e.X)
		if err != nil {
			return nil, err
		}
		re, err := regexp.Compile(e.Regex)
		if err != nil {
			return nil, ErrUnknown
		}
		return c.held(e, textTest(x, re.MatchString)), nil
	case plan.Call:
		if e.Func == "ispresent" && len(e.Args) == 1 {
			x, err := c.expr(e.Args[0])
			if err != nil {
				return nil, err
			}
			return func(r *Row) (bool, error) {
				v, err := x.eval(r)
				return v != nil, err
			}, nil
		}
	}
	return nil, ErrUnknown
}

// connect joins conditions: it is stop as soon as one of them is.
func (c *compiler) connect(xs []plan.Expr, stop bool) (condition, error) {
	var conds []condition
	for _, x := range xs {
		cond, err := c.cond(x)
		if err != nil {
			return nil, err
		}
		conds = append(conds, cond)
	}
	return func(r *Row) (bool, error) {
		for _, cond := range conds {
			is, err := cond(r)
			if err != nil || is == stop {
				return is, err
			}
		}
		return !stop, nil
	}, nil
}

// text makes a value whose text is asked for.
func (c *compiler) text(e plan.Expr) (value, error) {
	x, err := c.expr(e)
	if err != nil {
		return x, err
	}
	switch x.typ {
	case plan.Text, plan.JSON, plan.Null:
		return x, nil
	case plan.Int:
		return value{typ: plan.Text, eval: func(r *Row) (any, error) {
			v, err := x.eval(r)
			if n, ok := v.(int64); ok {
				return strconv.FormatInt(n, 10), err
			}
			return nil, err
		}}, nil
	}
	return x, ErrUnknown
}

// textTest is a condition on a text; a missing one does not pass.
func textTest(x value, test func(string) bool) condition {
	return func(r *Row) (bool, error) {
		v, err := x.eval(r)
		s, ok := v.(string)
		return ok && err == nil && test(s), err
	}
}

func (c *compiler) contains(e plan.Contains) (condition, error) {
	sub, ok := e.Sub.(plan.Lit)
	if !ok || sub.Kind != plan.LitText {
		return nil, ErrUnknown
	}
	x, err := c.text(e.X)
	if err != nil {
		return nil, err
	}
	return c.held(e, textTest(x, func(s string) bool { return strings.Contains(s, sub.Text) })), nil
}

// held is test, which need not be made where it is known that the record has the
// text that the condition e asks for.
func (c *compiler) held(e plan.Expr, test condition) condition {
	_, field, whole, ok := plan.Held(e)
	if text, _, _ := field.Holds(); !ok || !whole || !c.has[text] {
		return test
	}
	return func(r *Row) (bool, error) {
		if r.Searched {
			return true, nil
		}
		return test(r)
	}
}

var mirrored = map[plan.CompareOp]plan.CompareOp{plan.Equal: plan.Equal, plan.NotEqual: plan.NotEqual,
	plan.Less: plan.Greater, plan.LessEqual: plan.GreaterEqual, plan.Greater: plan.Less, plan.GreaterEqual: plan.LessEqual}

// compare makes the comparison of a field with a constant.
func (c *compiler) compare(e plan.Compare) (condition, error) {
	l, r, op := e.L, e.R, e.Op
	if _, ok := l.(plan.Lit); ok {
		l, r, op = r, l, mirrored[op]
	}
	lit, ok := r.(plan.Lit)
	if !ok {
		return nil, ErrUnknown
	}
	x, err := c.expr(l)
	if err != nil || x.lit != nil {
		return nil, ErrUnknown
	}
	switch op {
	case plan.Equal:
		return equal(x, lit)
	case plan.NotEqual:
		is, err := equal(x, lit)
		if err != nil {
			return nil, err
		}
		return func(r *Row) (bool, error) {
			is, err := is(r)
			return !is, err
		}, nil
	}
	return less(op, x, lit)
}

func isText(v value) bool { return v.typ == plan.Text || v.typ == plan.JSON }

// whole reports whether a number is an integer that a float tells from all others.
func whole(f float64) bool { return f == math.Trunc(f) && math.Abs(f) < 1<<53 }

// equal compares a value with a constant: as numbers when both are numbers or
// look like one, else as text.
func equal(x value, lit plan.Lit) (condition, error) {
	switch {
	case lit.Kind == plan.LitNull || x.typ == plan.Null:
		return constant(false), nil
	case isText(x) && lit.Kind == plan.LitText && !plan.CanonicalNumber(lit.Text):
		return textTest(x, func(s string) bool { return s == lit.Text }), nil
	case isText(x) && lit.Kind != plan.LitBool:
		return among(x, []plan.Lit{lit})
	case x.typ == plan.Int && lit.Kind != plan.LitBool && plan.CanonicalInt(lit.Text):
		n, err := strconv.ParseInt(lit.Text, 10, 64)
		if err != nil {
			return nil, ErrUnknown
		}
		return func(r *Row) (bool, error) {
			v, err := x.eval(r)
			return v == n, err
		}, nil
	}
	return nil, ErrUnknown
}

// among tells whether a text is one of the constants: letter for letter, or as a
// number that looks like one.
func among(x value, lits []plan.Lit) (condition, error) {
	var texts []string
	var nums []float64
	for _, lit := range lits {
		f := lit.Num
		switch lit.Kind {
		case plan.LitNull:
			continue
		case plan.LitText:
			texts = append(texts, lit.Text)
			if !plan.CanonicalNumber(lit.Text) {
				continue
			}
			var err error
			if f, err = strconv.ParseFloat(lit.Text, 64); err != nil {
				return nil, ErrUnknown
			}
		case plan.LitNumber:
			forms, _ := lit.Forms()
			texts = append(texts, forms...)
		default:
			return nil, ErrUnknown
		}
		if f == math.Trunc(f) && !whole(f) {
			return nil, ErrUnknown // only its text tells it from its neighbours
		}
		nums = append(nums, f)
	}
	return func(r *Row) (bool, error) {
		v, err := x.eval(r)
		s, ok := v.(string)
		if !ok || err != nil {
			return false, err
		}
		if slices.Contains(texts, s) {
			return true, nil
		}
		if len(nums) == 0 {
			return false, nil
		}
		n, ok, err := number(s)
		return ok && err == nil && slices.Contains(nums, n), err
	}, nil
}

// number reads a text that looks like a number. Where it only nearly does, the
// engine decides.
func number(s string) (f float64, ok bool, err error) {
	if plan.CanonicalNumber(s) {
		f, err = strconv.ParseFloat(s, 64)
		return f, err == nil, nil
	}
	t := strings.TrimSpace(s)
	if t == "" {
		return 0, false, nil
	}
	if c := t[0]; c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c >= 0x80 {
		return 0, false, ErrUnknown
	}
	return 0, false, nil
}

// less orders a value and a constant.
func less(op plan.CompareOp, x value, lit plan.Lit) (condition, error) {
	holds := func(n int) bool {
		switch op {
		case plan.Less:
			return n < 0
		case plan.LessEqual:
			return n <= 0
		case plan.Greater:
			return n > 0
		}
		return n >= 0
	}
	switch {
	case x.typ == plan.Null:
		return constant(false), nil
	case x.typ == plan.Int && lit.Kind == plan.LitNumber && whole(lit.Num):
		return func(r *Row) (bool, error) {
			v, err := x.eval(r)
			n, ok := v.(int64)
			return ok && holds(compare(n, int64(lit.Num))), err
		}, nil
	case isText(x) && lit.Kind == plan.LitNumber:
		return func(r *Row) (bool, error) {
			v, err := x.eval(r)
			s, ok := v.(string)
			if !ok || err != nil {
				return false, err
			}
			n, ok, err := number(s)
			if !ok || err != nil {
				return false, err
			}
			switch {
			case n < lit.Num:
				return holds(-1), nil
			case n > lit.Num:
				return holds(1), nil
			}
			return holds(0), nil
		}, nil
	}
	return nil, ErrUnknown
}

// in tells whether a value is in a list of constants.
func (c *compiler) in(e plan.In) (condition, error) {
	x, err := c.expr(e.X)
	if err != nil || x.lit != nil {
		return nil, ErrUnknown
	}
	var lits []plan.Lit
	for _, y := range e.List {
		lit, ok := y.(plan.Lit)
		if !ok {
			return nil, ErrUnknown
		}
		lits = append(lits, lit)
	}
	switch {
	case x.typ == plan.Null:
		return constant(false), nil
	case isText(x):
		return among(x, lits)
	}
	var any []condition
	for _, lit := range lits {
		is, err := equal(x, lit)
		if err != nil {
			return nil, err
		}
		any = append(any, is)
	}
	return func(r *Row) (bool, error) {
		for _, is := range any {
			if ok, err := is(r); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	}, nil
}
