package lower

import (
	"fmt"
	"strconv"
	"strings"

	"trailward/query/plan"
)

// aggregate lowers a grouping. Above it only keys and aggregates exist.
func (l *lowerer) aggregate(n *plan.Aggregate) error {
	cols := map[int]val{}
	var keys []val
	var sel, by []string
	for _, k := range n.Keys {
		v, err := l.expr(k.Expr)
		if err != nil {
			return err
		}
		if v.doc || v.typ == plan.List {
			return errorf(k.Expr, "group by one of its parts", "group by a map or list")
		}
		name := l.name("c")
		sel = append(sel, v.sql+" AS "+name)
		by = append(by, strconv.Itoa(len(sel)))
		v = val{sql: name, typ: v.typ, atom: true, wide: v.wide}
		cols[k.ID] = v
		keys = append(keys, v)
	}
	for _, a := range n.Aggs {
		if !l.live.cols[a.ID] {
			continue
		}
		v, err := l.agg(a)
		if err != nil {
			return err
		}
		name := l.name("c")
		sel = append(sel, v.sql+" AS "+name)
		v.sql, v.atom = name, true
		cols[a.ID] = v
	}
	if err := l.flush(); err != nil {
		return err
	}
	if len(sel) == 0 { // nothing of it is shown, but there is a row
		sel = []string{"1 AS " + l.name("c")}
	}
	sql := "SELECT " + strings.Join(sel, ", ") + " FROM " + l.from
	if len(by) > 0 {
		sql += " GROUP BY " + strings.Join(by, ", ")
	} else {
		sql += " HAVING count(*) > 0"
	}
	l.branch = branch{from: l.from, cols: cols, keys: keys, fields: map[string]val{}, memo: map[string]val{}}
	return l.step(sql)
}

// agg lowers one aggregate.
func (l *lowerer) agg(a plan.Agg) (val, error) {
	if a.Func == "count" && len(a.Args) == 0 {
		return val{sql: "count(*)", typ: plan.Int}, nil
	}
	x, err := l.expr(a.Args[0])
	if err != nil {
		return val{}, err
	}
	fl := func(op Op, extra ...string) (val, error) {
		n, err := l.float(x)
		if err != nil {
			return val{}, err
		}
		sql, err := l.op(op, append([]string{n.sql}, extra...)...)
		return val{sql: sql, typ: plan.Float}, err
	}
	switch a.Func {
	case "count":
		return val{sql: "count(" + x.sql + ")", typ: plan.Int}, nil
	case "count_distinct":
		sql, err := l.op(opCountDistinct, x.sql)
		return val{sql: sql, typ: plan.Int}, err
	case "sum", "avg":
		n, err := l.numeric(x)
		if a.Func == "sum" && n.typ == plan.Int && err == nil {
			if sql, ok := l.d.Op(opSumInt, []string{n.sql}); ok {
				return val{sql: sql, typ: plan.Int, wide: true}, nil
			}
		}
		// Integers are added exactly (the sum is wider than they are) and
		// become a float at the end.
		return val{sql: "CAST(" + a.Func + "(" + n.sql + ") AS " + l.d.Type(plan.Float) + ")", typ: plan.Float}, err
	case "stddev":
		return l.spread(opStddev, x)
	case "variance":
		return l.spread(opVariance, x)
	case "median":
		return fl(opQuantile, float(0.5))
	case "pct":
		p, ok := a.Args[1].(plan.Lit)
		if !ok {
			return val{}, errorAt(a.Pos, "", "percentile is no constant")
		}
		return fl(opQuantile, float(p.Num/100))
	case "min", "max":
		return l.extreme(a.Func, x)
	case "earliest", "latest":
		t, err := l.expr(a.Order)
		if err != nil {
			return val{}, err
		}
		if t, err = l.time(t); err != nil {
			return val{}, err
		}
		op := opArgMin
		if a.Func == "latest" {
			op = opArgMax
		}
		if x, err = l.hoist(x); err != nil {
			return val{}, err
		}
		x.sql, err = l.op(op, x.sql, t.sql)
		x.atom, x.lit = false, nil
		return x, err
	case "sortsfirst", "sortslast":
		if x, err = l.hoist(x); err != nil {
			return val{}, err
		}
		terms, err := l.natural(x, a.Func == "sortslast")
		if err != nil {
			return val{}, err
		}
		if len(terms) == 0 {
			terms = []string{sqlTrue + " IS NULL"} // a constant: any row will do
		}
		x.sql, err = l.op(opFirst, x.sql, strings.Join(terms, ", "))
		x.atom, x.lit = false, nil
		return x, err
	case "rate":
		return l.rate(a, x)
	case "histogram":
		k, ok := a.Args[1].(plan.Lit)
		if !ok {
			return val{}, errorAt(a.Pos, "", "number of buckets is no constant")
		}
		n, err := l.float(x)
		if err != nil {
			return val{}, err
		}
		if n, err = l.hoist(n); err != nil {
			return val{}, err
		}
		sql, err := l.op(opHistogram, n.sql, strconv.FormatInt(int64(k.Num), 10))
		return val{sql: sql, typ: plan.JSON, doc: true}, err
	case "values":
		t, err := l.hoist(l.text(x))
		if err != nil {
			return val{}, err
		}
		sql, err := l.op(opValues, t.sql)
		return val{sql: sql, typ: plan.List}, err
	case "topk":
		k, ok := a.Args[1].(plan.Lit)
		if !ok {
			return val{}, errorAt(a.Pos, "", "number of values is no constant")
		}
		t, err := l.hoist(l.text(x))
		if err != nil {
			return val{}, err
		}
		sql, err := l.op(opTopK, t.sql, strconv.FormatInt(int64(k.Num), 10))
		return val{sql: sql, typ: plan.List}, err
	}
	return val{}, fmt.Errorf("lower aggregate %s: not known", a.Func)
}

// spread lowers the variance or its root. It is null for numbers whose squares
// no float can add up (from 1e140 on): the engines' own functions make an error
// of that, and one odd record must not fail a query.
func (l *lowerer) spread(op Op, x val) (val, error) {
	n, err := l.float(x)
	if err != nil {
		return val{}, err
	}
	if n, err = l.hoist(n); err != nil {
		return val{}, err
	}
	small := "abs(" + n.sql + ") < 1e140"
	sql, err := l.op(op, "CASE WHEN "+small+" THEN "+n.sql+" END")
	return val{sql: "CASE WHEN max(abs(" + n.sql + ")) < 1e140 THEN " + sql + " END", typ: plan.Float}, err
}

// extreme lowers min and max. Of text that holds numbers it is the lowest or
// highest number, as it was written; of other text the first or last by code
// point.
func (l *lowerer) extreme(fn string, x val) (val, error) {
	if !isText(x) {
		if x.typ == plan.Bool {
			n, err := l.num(x)
			return val{sql: fn + "(" + n.sql + ")", typ: plan.Int}, err
		}
		return val{sql: fn + "(" + x.sql + ")", typ: x.typ, wide: x.wide}, nil
	}
	h, err := l.hoist(x)
	if err != nil {
		return val{}, err
	}
	n, err := l.num(h)
	if err != nil {
		return val{}, err
	}
	op := opArgMin
	if fn == "max" {
		op = opArgMax
	}
	sql, err := l.op(op, h.sql, n.sql)
	return val{sql: "coalesce(" + sql + ", " + fn + "(" + h.sql + "))", typ: plan.Text}, err
}

// rate lowers the change of a number between the first and the last record of a
// group, for each interval of the time between them; null without such time.
func (l *lowerer) rate(a plan.Agg, x val) (val, error) {
	every, ok := a.Args[1].(plan.Lit)
	if !ok || every.Num <= 0 {
		return val{}, errorAt(a.Pos, "", "interval of rate is no period")
	}
	n, err := l.float(x)
	if err != nil {
		return val{}, err
	}
	if n, err = l.hoist(n); err != nil {
		return val{}, err
	}
	t, err := l.expr(a.Order)
	if err != nil {
		return val{}, err
	}
	if t, err = l.num(t); err != nil {
		return val{}, err
	}
	at, err := l.hoist(val{sql: "CASE WHEN " + n.sql + " IS NOT NULL THEN " + t.sql + " END", typ: plan.Int})
	if err != nil {
		return val{}, err
	}
	first, err := l.op(opArgMin, n.sql, at.sql)
	if err != nil {
		return val{}, err
	}
	last, err := l.op(opArgMax, n.sql, at.sql)
	if err != nil {
		return val{}, err
	}
	span := "nullif(CAST(max(" + at.sql + ") - min(" + at.sql + ") AS " + l.d.Type(plan.Float) + "), 0)"
	return val{sql: "((" + last + " - " + first + ") * " + float(every.Num) + " / " + span + ")", typ: plan.Float}, nil
}
