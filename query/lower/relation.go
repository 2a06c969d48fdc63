package lower

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"trailward/query/plan"
)

// maxBins bounds the times that fillmissing puts in: a short period over a long
// time would fill the memory.
const maxBins = 100_000

// table makes rows of text the relation that the next step reads.
func (l *lowerer) table(cols []int, rows [][]*string) error {
	if rows == nil {
		rows = [][]*string{}
	}
	b, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("lower a table of %d rows: %w", len(rows), err)
	}
	names := make([]string, len(cols))
	for i, id := range cols {
		names[i] = l.name("v")
		l.cols[id] = val{sql: names[i], typ: plan.Text, atom: true}
	}
	return l.step(l.d.Table(string(b), names))
}

func (l *lowerer) values(n *plan.Values) error {
	ids := make([]int, len(n.Cols))
	for i, c := range n.Cols {
		ids[i] = c.ID
	}
	return l.table(ids, n.Rows)
}

// join lowers a join. The columns of both sides have names of their own, so
// that they can stand in one relation.
func (l *lowerer) join(n *plan.Join) error {
	right, err := l.side(n.Right)
	if err != nil {
		return err
	}
	ranges := n.Upto != nil
	key := func(e plan.Expr) (val, error) {
		v, err := l.expr(e)
		if err != nil {
			return val{}, err
		}
		v = l.text(v)
		if ranges {
			if v.sql, err = l.op(opAddressKey, v.sql); err != nil {
				return val{}, err
			}
			v.atom = false
		}
		return l.hoist(v)
	}
	var lefts, rights []val
	for _, p := range n.On {
		v, err := key(p.L)
		if err != nil {
			return err
		}
		lefts = append(lefts, v)
	}
	if err := l.flush(); err != nil {
		return err
	}
	saved := l.branch
	l.branch = right
	for _, p := range n.On {
		v, err := key(p.R)
		if err != nil {
			return err
		}
		rights = append(rights, v)
	}
	var upto val
	if ranges {
		if upto, err = key(n.Upto); err != nil {
			return err
		}
	}
	if err := l.flush(); err != nil {
		return err
	}
	right, l.branch = l.branch, saved
	op := " = "
	if ranges {
		op = " >= "
	}
	on := make([]string, len(lefts))
	for i := range lefts {
		on[i] = lefts[i].sql + op + rights[i].sql
	}
	sql, ok := l.d.Join(l.from, right.from, strings.Join(on, " AND "), n.Outer, ranges)
	if !ok {
		return errorf(nil, "", "this join cannot be said in %s's SQL", l.d.Name())
	}
	l.merge(right)
	if err := l.step(sql); err != nil || !ranges {
		return err
	}
	// The range that begins below the address may end below it, too.
	var defs []string
	for _, id := range slices.Sorted(maps.Keys(right.cols)) {
		if v := right.cols[id]; l.live.cols[id] {
			name := l.name("c")
			defs = append(defs, "CASE WHEN "+lefts[0].sql+" <= "+upto.sql+" THEN "+v.sql+" END AS "+name)
			v.sql = name
			l.cols[id] = v
		}
	}
	if len(defs) == 0 {
		return nil
	}
	return l.step("SELECT *, " + strings.Join(defs, ", ") + " FROM " + l.from)
}

// merge makes the columns of a side known, and its order the last resort.
func (l *lowerer) merge(side branch) {
	maps.Copy(l.cols, side.cols)
	maps.Copy(l.fields, side.fields)
	l.keys = append(slices.Clip(l.keys), side.keys...)
	l.ties = append(slices.Clip(l.ties), side.ties...)
	l.memo = map[string]val{}
}

// number gives every row its place in the present order, which is by that
// from now on.
func (l *lowerer) number() (string, error) {
	order, err := l.orderBy()
	if err != nil {
		return "", err
	}
	if err := l.flush(); err != nil {
		return "", err
	}
	n := l.name("n")
	if err := l.common("SELECT *, row_number() OVER ("+strings.TrimPrefix(order, " ")+") AS "+n+" FROM "+l.from, true); err != nil {
		return "", err
	}
	l.orderByNumber(n)
	return n, nil
}

func (l *lowerer) orderByNumber(n string) {
	l.order = []sortTerm{{v: val{sql: n, typ: plan.Int, atom: true}}}
	l.keys, l.ties, l.unordered = nil, nil, false
}

func (l *lowerer) paste(n *plan.Paste) error {
	saved := l.branch
	l.branch = newBranch()
	if err := l.tree(n.Right); err != nil {
		return err
	}
	rn, err := l.number()
	if err != nil {
		return err
	}
	if err := l.step("SELECT * FROM " + l.from + " WHERE " + rn + " <= " + strconv.FormatInt(n.Max, 10)); err != nil {
		return err
	}
	right := l.branch
	l.branch = saved
	ln, err := l.number()
	if err != nil {
		return err
	}
	left := l.from
	l.merge(right)
	both := l.name("n")
	if err := l.step("SELECT *, coalesce(" + ln + ", " + rn + ") AS " + both + " FROM " + left + " FULL JOIN " + right.from + " ON " + ln + " = " + rn); err != nil {
		return err
	}
	l.orderByNumber(both)
	return nil
}

// window lowers columns that depend on the rows around.
func (l *lowerer) window(n *plan.Window) error {
	var parts []string
	for _, e := range n.Partition {
		v, err := l.expr(e)
		if err != nil {
			return err
		}
		if v.doc || v.typ == plan.List {
			return errorf(e, "take one of its parts", "rows told apart by a map or list")
		}
		if v, err = l.hoist(v); err != nil {
			return err
		}
		parts = append(parts, v.sql)
	}
	saved := l.order
	if n.Order != nil {
		terms, err := l.sortTerms(n.Order)
		if err != nil {
			return err
		}
		l.order = terms
	}
	order, err := l.orderBy()
	if err != nil {
		return err
	}
	l.order = saved
	whole := ""
	if len(parts) > 0 {
		whole = "PARTITION BY " + strings.Join(parts, ", ")
	}
	ordered := strings.TrimPrefix(whole+order, " ")
	frame := ordered + " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
	var defs []string
	for _, c := range n.Cols {
		if !l.live.cols[c.ID] {
			continue
		}
		var v val
		if c.X != nil {
			if v, err = l.expr(c.X); err != nil {
				return err
			}
			switch c.Func {
			case plan.RunningSum, plan.Quantile, plan.Lowest:
				v, err = l.float(v)
			}
			if err == nil {
				v, err = l.hoist(v)
			}
			if err != nil {
				return err
			}
		}
		out := val{sql: l.name("c"), typ: v.typ, doc: v.doc, atom: true, wide: v.wide}
		fn := ""
		switch c.Func {
		case plan.RowNumber:
			out.typ, fn = plan.Int, "row_number() OVER ("+ordered+")"
		case plan.RowCount:
			out.typ, fn = plan.Int, "count(*) OVER ("+whole+")"
		case plan.RunningSum:
			fn = "CASE WHEN " + v.sql + " IS NOT NULL THEN sum(" + v.sql + ") OVER (" + frame + ") END"
		case plan.Lag:
			fn = "lag(" + v.sql + ", " + strconv.FormatInt(c.N, 10) + ") OVER (" + ordered + ")"
		case plan.LastValue:
			if fn, err = l.op(opLastValue, v.sql); err != nil {
				return err
			}
			fn += " OVER (" + frame + ")"
		case plan.Quantile:
			if fn, err = l.op(opQuantile, v.sql, float(c.Fraction)); err != nil {
				return err
			}
			fn += " OVER (" + whole + ")"
		case plan.Lowest:
			fn = "min(" + v.sql + ") OVER (" + whole + ")"
		default:
			return fmt.Errorf("lower window function %d: not known", c.Func)
		}
		defs = append(defs, fn+" AS "+out.sql)
		l.cols[c.ID] = out
	}
	if len(defs) == 0 {
		return nil
	}
	if err := l.flush(); err != nil {
		return err
	}
	return l.step("SELECT *, " + strings.Join(defs, ", ") + " FROM " + l.from)
}

// copied is a column under a new name: as it was, or something else.
type copied struct {
	old val
	set func(v val)
}

// visible lists the columns and fields that anything above may read, in an
// order that does not change from run to run.
func (l *lowerer) visible() []copied {
	var out []copied
	for _, id := range slices.Sorted(maps.Keys(l.cols)) {
		if l.live.cols[id] {
			out = append(out, copied{l.cols[id], func(v val) { l.cols[id] = v }})
		}
	}
	for _, k := range slices.Sorted(maps.Keys(l.fields)) {
		out = append(out, copied{l.fields[k], func(v val) { l.fields[k] = v }})
	}
	return out
}

// total lowers the row of sums below all rows.
func (l *lowerer) total(n *plan.Total) error {
	var olds, sums []val
	for _, c := range n.Cols {
		v, err := l.expr(c.Expr)
		if err != nil {
			return err
		}
		if v, err = l.hoist(v); err != nil {
			return err
		}
		olds = append(olds, v)
		if !addable(v) {
			sums = append(sums, val{})
			continue
		}
		if v, err = l.float(v); err != nil {
			return err
		}
		if v, err = l.hoist(v); err != nil {
			return err
		}
		sums = append(sums, v)
	}
	number, err := l.number()
	if err != nil {
		return err
	}
	place := l.name("n")
	rows, last := []string{number + " AS " + place}, []string{"max(" + number + ") + 1"}
	for _, c := range l.visible() {
		v := c.old
		v.sql, v.atom, v.lit = l.name("c"), true, nil
		rows = append(rows, c.old.sql+" AS "+v.sql)
		last = append(last, "NULL")
		c.set(v)
	}
	for i, c := range n.Cols {
		v := olds[i]
		v.sql, v.atom, v.lit = l.name("c"), true, nil
		row, sum := olds[i].sql, "NULL"
		switch {
		case sums[i].sql == "":
		case isText(olds[i]): // a sum that is none leaves the rows as they are
			v.typ = plan.Text
			s, err := l.op(opFloatText, "sum("+sums[i].sql+")")
			if err != nil {
				return err
			}
			sum = s
		default:
			v.typ = plan.Float
			row = "CAST(" + row + " AS " + l.d.Type(plan.Float) + ")"
			sum = "CAST(sum(" + sums[i].sql + ") AS " + l.d.Type(plan.Float) + ")"
		}
		rows, last = append(rows, row+" AS "+v.sql), append(last, sum)
		l.cols[c.ID] = v
	}
	if err := l.step("SELECT " + strings.Join(rows, ", ") + " FROM " + l.from +
		" UNION ALL SELECT " + strings.Join(last, ", ") + " FROM " + l.from + " HAVING count(*) > 0"); err != nil {
		return err
	}
	l.memo = map[string]val{}
	l.orderByNumber(place)
	return nil
}

// fillBins lowers the rows for times that have none.
func (l *lowerer) fillBins(n *plan.FillBins) error {
	at, err := l.expr(n.Time.Expr)
	if err != nil {
		return err
	}
	if at, err = l.time(at); err != nil {
		return err
	}
	if at, err = l.hoist(at); err != nil {
		return err
	}
	var keys []val
	for _, k := range n.Keys {
		v, err := l.expr(k.Expr)
		if err != nil {
			return err
		}
		if v, err = l.hoist(v); err != nil {
			return err
		}
		keys = append(keys, v)
	}
	if err := l.flush(); err != nil {
		return err
	}
	there := l.name("n")
	if err := l.common("SELECT *, 1 AS "+there+" FROM "+l.from, true); err != nil {
		return err
	}
	rows := l.from
	bound := func(fn string, t plan.Expr) (string, error) {
		if t == nil {
			return "(SELECT " + fn + "(" + at.sql + ") FROM " + rows + ")", nil
		}
		v, err := l.expr(t)
		return v.sql, err
	}
	floor := func(ms int64, zero bool) plan.Expr {
		if zero {
			return nil
		}
		return plan.Floor{X: plan.Lit{Kind: plan.LitNumber, Num: float64(ms), Text: strconv.FormatInt(ms, 10)}, Period: n.Period, Offset: n.Offset}
	}
	from, err := bound("min", floor(n.From.UnixMilli(), n.From.IsZero()))
	if err != nil {
		return err
	}
	to, err := bound("max", floor(n.To.UnixMilli(), n.To.IsZero()))
	if err != nil {
		return err
	}
	step, months := n.Period.Millis(), months(n.Period)
	if months > 0 {
		step = months
	}
	series, err := l.op(opBins, from, to, strconv.FormatInt(step, 10), strconv.FormatBool(months > 0))
	if err != nil {
		return err
	}
	// Times as numbers: how many there would be is known before they are made.
	count, err := l.span(from, to)
	if err != nil {
		return err
	}
	if series, err = l.op(opFail, count+" / "+strconv.FormatInt(n.Period.Millis(), 10)+" > "+strconv.Itoa(maxBins),
		fmt.Sprintf("fillmissing would make more than %d times: narrow the time range or take a longer period", maxBins), series); err != nil {
		return err
	}
	bin := l.name("b")
	if err := l.step("SELECT " + at.sql + " AS " + bin + " FROM " + rows + " UNION SELECT " + bin + " FROM (" + l.d.Unnest("(SELECT 1 AS "+l.d.Ident("one")+") AS "+l.d.Ident("u0"), []string{series}, []string{bin}) + ") AS " + l.d.Ident("u1")); err != nil {
		return err
	}
	bins := l.from
	on := []string{at.sql + " IS NOT DISTINCT FROM " + bin}
	sets := bins
	var knames []string
	if len(keys) > 0 {
		var list []string
		for _, k := range keys {
			name := l.name("k")
			knames = append(knames, name)
			list = append(list, k.sql+" AS "+name)
			on = append(on, k.sql+" IS NOT DISTINCT FROM "+name)
		}
		if err := l.step("SELECT DISTINCT " + strings.Join(list, ", ") + " FROM " + rows); err != nil {
			return err
		}
		sets = bins + " CROSS JOIN " + l.from
	}
	done := map[int]bool{}
	var sel []string
	put := func(id int, v val) {
		name := l.name("c")
		sel = append(sel, v.sql+" AS "+name)
		v.sql, v.atom, v.lit = name, true, nil
		l.cols[id] = v
		done[id] = true
	}
	old := map[int]val{}
	for _, c := range n.Cols {
		v, err := l.expr(c.Expr)
		if err != nil {
			return err
		}
		old[c.ID] = v
	}
	put(n.Time.ID, val{sql: bin, typ: plan.Time})
	order := []val{l.cols[n.Time.ID]}
	for i, k := range n.Keys {
		put(k.ID, val{sql: knames[i], typ: keys[i].typ})
		order = append(order, l.cols[k.ID])
	}
	for _, c := range n.Cols {
		v := old[c.ID]
		if c.Value != nil {
			vs, out, err := l.unify([]val{v, l.literal(*c.Value)})
			if err != nil {
				return err
			}
			out.sql = "CASE WHEN " + there + " IS NULL THEN " + vs[1].sql + " ELSE " + vs[0].sql + " END"
			v = out
		}
		put(c.ID, v)
	}
	if err := l.step("SELECT " + strings.Join(sel, ", ") + " FROM (SELECT * FROM " + sets + ") AS " + l.d.Ident("s") + " LEFT JOIN " + rows + " ON " + strings.Join(on, " AND ") +
		" WHERE " + there + " IS NOT NULL OR " + bin + " IS NOT NULL"); err != nil {
		return err
	}
	l.fields, l.memo, l.ties = map[string]val{}, map[string]val{}, nil
	for id := range l.cols {
		if !done[id] {
			delete(l.cols, id)
		}
	}
	l.keys, l.order, l.unordered = order, nil, false
	return nil
}

// span is the milliseconds from one time to another.
func (l *lowerer) span(from, to string) (string, error) {
	a, err := l.op(opMillis, from)
	if err != nil {
		return "", err
	}
	b, err := l.op(opMillis, to)
	return "(" + b + " - " + a + ")", err
}

// inQuery lowers membership in the rows of a tree of its own.
func (l *lowerer) inQuery(e plan.InQuery) (string, error) {
	x, err := l.expr(e.X)
	if err != nil {
		return "", err
	}
	saved := l.branch
	l.branch = newBranch()
	if err := l.tree(e.Root); err != nil {
		return "", err
	}
	v, err := l.expr(e.Out)
	if err == nil {
		v, err = l.hoist(l.text(v))
	}
	if err == nil {
		err = l.flush()
	}
	from := l.from
	l.branch = saved
	if err != nil {
		return "", err
	}
	return "(" + l.text(x).sql + " IN (SELECT " + v.sql + " FROM " + from + " WHERE " + v.sql + " IS NOT NULL))", nil
}
