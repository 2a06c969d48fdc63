package insights

import (
	"regexp"
	"strconv"
	"strings"

	"trailward/query/plan"
)

// further compiles the commands that are about more than single rows.
func (c *compiler) further(cmd *command, before, after []*command) error {
	switch cmd.name {
	case "pattern":
		return c.pattern(cmd, before, after)
	case "diff", "logcompare", "anomaly":
		return c.compare(cmd, before, after)
	case "join":
		return c.join(cmd)
	case "appendcols":
		return c.appendCols(cmd)
	case "lookup", "cidrlookup":
		return c.lookupTable(cmd)
	case "addtotals":
		return c.addTotals(cmd)
	case "accum":
		return c.accum(cmd)
	case "autoregress":
		return c.autoregress(cmd)
	case "filldown":
		return c.fillDown(cmd)
	case "fillmissing":
		return c.fillMissing(cmd)
	case "outlier":
		return c.outlier(cmd)
	case "sessionize":
		return c.sessionize(cmd)
	case "countfrequent":
		return c.countFrequent(cmd)
	case "json":
		return c.json(cmd)
	case "tail":
		c.tail(cmd)
		return nil
	case "relevantfields":
		return c.relevantFields(cmd)
	case "estimate":
		switch {
		case c.scan.ID != 0:
			return errAt(c.src, cmd.start, "", "estimate in a subquery")
		case len(after) > 0:
			return errAt(c.src, after[0].start, "estimate is the last command", "%s after estimate", after[0].name)
		}
		c.estimate = true
		return nil
	}
	return errAt(c.src, cmd.start, "", "command %s cannot be compiled", cmd.name)
}

// window adds columns that depend on the rows around.
func (c *compiler) window(w *plan.Window) {
	w.In = c.root
	c.root = w
}

// windowCol is a column that a function of the rows around fills.
func (c *compiler) windowCol(name string, f plan.WindowFunc, x plan.Expr, n int64) plan.WindowCol {
	return plan.WindowCol{ID: c.id(), Name: name, Func: f, X: x, N: n}
}

// show makes a column known under a name, and part of the answer.
func (c *compiler) show(name string, e plan.Expr) {
	c.scope.bind(name, e)
	if len(c.shown) == 0 {
		c.added = put(c.added, name, e)
	} else {
		c.shown = put(c.shown, name, e)
	}
	if c.display != nil {
		c.display = put(c.display, name, e)
	}
}

// replace makes a column known under a name that is there already, and part of
// the answer where that was.
func (c *compiler) replace(name string, e plan.Expr) {
	c.scope.bind(name, e)
	for _, list := range [][]plan.Named{c.shown, c.added, c.display} {
		for i := range list {
			if list[i].Name == name {
				list[i].Expr = e
			}
		}
	}
}

// titled is the name of a field that a command changes in place.
func (c *compiler) titled(n *node, command string) (string, error) {
	if n.op != nName {
		return "", c.fail(n, "expected a field; fields … as x gives an expression a name", "%s works on a field", command)
	}
	return strings.Join(n.keys, "."), nil
}

// named is a field that a command works on.
type named struct {
	name string
	expr plan.Expr
}

// expand resolves names and patterns of names. Patterns, and no names at all,
// stand for columns of the answer.
func (c *compiler) expand(command string, list []wildcard, start int) ([]named, error) {
	if len(list) == 0 {
		list = []wildcard{{text: "*", start: start}}
	}
	var out []named
	seen := map[string]bool{}
	for _, w := range list {
		if w.field != nil {
			e, err := c.expr(w.field, c.lookup)
			if err != nil {
				return nil, err
			}
			if !seen[w.text] {
				seen[w.text] = true
				out = append(out, named{w.text, c.column(w.text, e)})
			}
			continue
		}
		re, err := regexp.Compile("^" + strings.ReplaceAll(regexp.QuoteMeta(w.text), `\*`, ".*") + "$")
		if err != nil {
			return nil, errAt(c.src, w.start, "", "pattern of names %s cannot be used", shorten(w.text))
		}
		found := false
		for _, o := range c.answer() {
			if re.MatchString(o.Name) && !strings.HasPrefix(o.Name, "@") && simple(o.Expr) {
				found = true
				if !seen[o.Name] {
					seen[o.Name] = true
					out = append(out, named{o.Name, o.Expr})
				}
			}
		}
		if !found {
			return nil, errAt(c.src, w.start, "put fields a, b before it, or name the fields", "%s finds no column of the answer", command)
		}
	}
	return out, nil
}

// answer is the columns that were asked for so far.
func (c *compiler) answer() []plan.Named {
	switch {
	case c.display != nil:
		return c.display
	case len(c.shown) > 0:
		return c.shown
	}
	return c.added
}

func (c *compiler) accum(cmd *command) error {
	x, err := c.expr(cmd.expr, c.lookup)
	if err != nil {
		return err
	}
	name := cmd.into
	if name == "" {
		if name, err = c.titled(cmd.expr, "accum"); err != nil {
			return err
		}
	}
	col := c.windowCol(name, plan.RunningSum, x, 0)
	c.window(&plan.Window{Cols: []plan.WindowCol{col}})
	c.show(name, plan.Col{ID: col.ID})
	return nil
}

func (c *compiler) autoregress(cmd *command) error {
	x, err := c.expr(cmd.expr, c.lookup)
	if err != nil {
		return err
	}
	base := cmd.into
	if base == "" {
		base = c.title(cmd.expr)
	}
	w := &plan.Window{}
	for n := cmd.from; n <= cmd.to; n++ {
		name := base + "_p" + strconv.FormatInt(n, 10)
		if cmd.into != "" && cmd.from == cmd.to {
			name = base
		}
		w.Cols = append(w.Cols, c.windowCol(name, plan.Lag, x, n))
	}
	c.window(w)
	for _, col := range w.Cols {
		c.show(col.Name, plan.Col{ID: col.ID})
	}
	return nil
}

func (c *compiler) fillDown(cmd *command) error {
	fields, err := c.expand("filldown", cmd.names, cmd.start)
	if err != nil {
		return err
	}
	w := &plan.Window{}
	for _, f := range fields {
		w.Cols = append(w.Cols, c.windowCol(f.name, plan.LastValue, f.expr, 0))
	}
	c.window(w)
	for _, col := range w.Cols {
		c.replace(col.Name, plan.Col{ID: col.ID})
	}
	return nil
}

// tail keeps the last rows of the present order.
func (c *compiler) tail(cmd *command) {
	n, all := c.windowCol("", plan.RowNumber, nil, 0), c.windowCol("", plan.RowCount, nil, 0)
	c.window(&plan.Window{Cols: []plan.WindowCol{n, all}})
	c.root = &plan.Filter{In: c.root, Cond: plan.Compare{Op: plan.Greater, L: plan.Col{ID: n.ID},
		R: plan.Arith{Op: '-', L: plan.Col{ID: all.ID}, R: number(float64(cmd.n))}}}
	c.limited = true
}

func (c *compiler) countFrequent(cmd *command) error {
	agg := &plan.Aggregate{}
	next := newScope(false, c.scan.ID)
	next.by = "countFrequent"
	var shown []plan.Named
	keys := map[string]bool{}
	for _, it := range cmd.items {
		e, err := c.expr(it.expr, c.lookup)
		if err != nil {
			return err
		}
		key := plan.Named{ID: c.id(), Name: it.alias, Expr: e}
		if key.Name == "" {
			key.Name = c.title(it.expr)
		}
		agg.Keys = append(agg.Keys, key)
		keys[key.Name] = true
		next.bind(key.Name, plan.Col{ID: key.ID})
		shown = put(shown, key.Name, plan.Col{ID: key.ID})
		c.write(it, key.Name)
	}
	count := plan.Agg{ID: c.id(), Func: "count", Pos: placeAt(c.src, cmd.start)}
	agg.Aggs = []plan.Agg{count}
	agg.In = c.root
	c.root = &plan.Sort{In: agg, Keys: []plan.SortKey{{Expr: plan.Col{ID: count.ID}, Desc: true}}}
	next.bind("_approxcount", plan.Col{ID: count.ID})
	c.regroup(next, put(shown, "_approxcount", plan.Col{ID: count.ID}))
	c.keys = keys
	return nil
}

func (c *compiler) json(cmd *command) error {
	x := c.system("@message")
	if cmd.expr != nil {
		var err error
		if x, err = c.expr(cmd.expr, c.lookup); err != nil {
			return err
		}
	}
	doc := c.column("", plan.Call{Func: "jsonparse", Args: []plan.Expr{x}, Pos: placeAt(c.src, cmd.start)})
	var cols []plan.Named
	for _, m := range cmd.paths {
		cols = append(cols, plan.Named{ID: c.id(), Name: m.alias, Expr: plan.Path{X: doc, Keys: m.keys, Pos: placeAt(c.src, cmd.start)}})
	}
	c.extend(cols)
	return nil
}

// addTotals compiles the sum of each row and the row of sums. Without a list the
// fields are the columns of the answer, after stats those that are no keys.
func (c *compiler) addTotals(cmd *command) error {
	fields, err := c.expand("addtotals", cmd.names, cmd.start)
	if err != nil {
		return err
	}
	if len(cmd.names) == 0 && c.keys != nil {
		kept := fields[:0]
		for _, f := range fields {
			if !c.keys[f.name] {
				kept = append(kept, f)
			}
		}
		fields = kept
	}
	if cmd.totals.row {
		args := make([]plan.Expr, len(fields))
		for i, f := range fields {
			args[i] = f.expr
		}
		e := c.column(cmd.totals.name, plan.Call{Func: "rowtotal", Args: args, Pos: placeAt(c.src, cmd.start)})
		c.show(cmd.totals.name, e)
		if cmd.totals.col {
			fields = append(fields, named{cmd.totals.name, e})
		}
	}
	if !cmd.totals.col {
		return nil
	}
	t := &plan.Total{In: c.root}
	for _, f := range fields {
		t.Cols = append(t.Cols, plan.Named{ID: c.id(), Name: f.name, Expr: f.expr})
	}
	c.root = t
	for _, col := range t.Cols {
		c.replace(col.Name, plan.Col{ID: col.ID})
	}
	return nil
}

// fillMissing inserts rows for the bins of the stats before it that have none.
func (c *compiler) fillMissing(cmd *command) error {
	if c.bin == nil {
		return errAt(c.src, cmd.start, "expected it behind stats … by bin(5m)", "fillmissing without bins")
	}
	f := &plan.FillBins{In: c.root, Period: c.bin.period, Offset: c.bin.offset, From: c.scan.Start, To: c.scan.End}
	values := map[string]*plan.Lit{}
	for _, it := range cmd.fills {
		e, err := c.expr(it.value, c.lookup)
		if err != nil {
			return err
		}
		lit, ok := e.(plan.Lit)
		if !ok {
			return c.fail(it.value, "expected a number or text in quotes", "fillmissing takes constants")
		}
		name := it.name
		if _, ok := c.scope.names[name]; !ok {
			name = c.scope.norm[normalText(it.name)]
		}
		if c.keys[name] {
			return errAt(c.src, it.pos, "expected an aggregate of the stats before", "column %s is a key of the groups", shorten(it.name))
		}
		if name == "" {
			return errAt(c.src, it.pos, suggest(it.name, c.scope.list, "expected an aggregate of the stats before"), "fillmissing knows no column %s", shorten(it.name))
		}
		values[name] = &lit
	}
	next := newScope(false, c.scan.ID)
	next.norm, next.by = c.scope.norm, c.scope.by
	for _, name := range c.scope.list {
		col := plan.Named{ID: c.id(), Name: name, Expr: c.scope.names[name]}
		switch {
		case name == c.bin.name:
			f.Time = col
		case c.keys[name]:
			f.Keys = append(f.Keys, col)
		default:
			f.Cols = append(f.Cols, plan.Fill{Named: col, Value: values[name]})
		}
		next.bind(name, plan.Col{ID: col.ID})
	}
	for _, list := range [][]plan.Named{c.shown, c.added, c.display} {
		for i := range list {
			if e, ok := next.names[list[i].Name]; ok {
				list[i].Expr = e
			}
		}
	}
	c.scope, c.root = next, f
	c.limited = false
	return nil
}

// outlier compiles the rule of the interquartile range: a number is an outlier
// that is more than param times the range above the upper quartile, or with
// uselower below the lower.
func (c *compiler) outlier(cmd *command) error {
	fields, err := c.expand("outlier", cmd.names, cmd.start)
	if err != nil {
		return err
	}
	o := cmd.outlier
	var outside []plan.Expr
	for _, f := range fields {
		q1, q3 := c.windowCol("", plan.Quantile, f.expr, 0), c.windowCol("", plan.Quantile, f.expr, 0)
		q1.Fraction, q3.Fraction = 0.25, 0.75
		c.window(&plan.Window{Cols: []plan.WindowCol{q1, q3}})
		span := plan.Arith{Op: '*', L: number(o.param), R: plan.Arith{Op: '-', L: plan.Col{ID: q3.ID}, R: plan.Col{ID: q1.ID}}}
		x := plan.Call{Func: "tonumber", Args: []plan.Expr{f.expr}}
		high := c.column("", plan.Arith{Op: '+', L: plan.Col{ID: q3.ID}, R: span})
		low := c.column("", plan.Arith{Op: '-', L: plan.Col{ID: q1.ID}, R: span})
		above := plan.Compare{Op: plan.Greater, L: x, R: high}
		below := plan.Compare{Op: plan.Less, L: x, R: low}
		out, clamped := plan.Expr(above), plan.Call{Func: "case", Args: []plan.Expr{above, high}}
		if o.lower {
			out = plan.Or{X: []plan.Expr{above, below}}
			clamped.Args = append(clamped.Args, below, low)
		}
		outside = append(outside, out)
		if o.mark {
			name := f.name + "_outlier"
			c.show(name, c.column(name, plan.Call{Func: "case", Args: []plan.Expr{out, plan.Lit{Kind: plan.LitBool, Bool: true}, plan.Lit{Kind: plan.LitBool}}}))
		}
		if !o.remove {
			clamped.Args = append(clamped.Args, f.expr)
			c.replace(f.name, c.column(f.name, clamped))
		}
	}
	if o.remove {
		c.root = &plan.Filter{In: c.root, Cond: plan.Not{X: plan.Or{X: outside}}}
	}
	return nil
}

// sessionize numbers sessions by their beginnings: a row begins one if the row
// before it with the same identity is longer ago than the gap. Rows without the
// identity have no session.
func (c *compiler) sessionize(cmd *command) error {
	at, err := c.name(&node{op: nName, start: cmd.start, end: cmd.start, keys: []string{"@timestamp"}})
	if err != nil {
		return errAt(c.src, cmd.start, "use it before stats, or carry @timestamp through it", "sessionize needs @timestamp")
	}
	var keys []plan.Expr
	known := plan.And{}
	for _, it := range cmd.items {
		e, err := c.expr(it.expr, c.lookup)
		if err != nil {
			return err
		}
		e = c.column(c.title(it.expr), e)
		keys = append(keys, e)
		known.X = append(known.X, plan.Call{Func: "ispresent", Args: []plan.Expr{e}})
	}
	order := []plan.SortKey{{Expr: at}}
	millis := func(e plan.Expr) plan.Expr { return plan.Call{Func: "tomillis", Args: []plan.Expr{e}} }
	prev := c.windowCol("", plan.Lag, millis(at), 1)
	c.window(&plan.Window{Partition: keys, Order: order, Cols: []plan.WindowCol{prev}})
	gap := plan.Arith{Op: '-', L: millis(at), R: plan.Col{ID: prev.ID}}
	begins := c.column("", plan.Call{Func: "case", Args: []plan.Expr{
		plan.And{X: []plan.Expr{known, plan.Or{X: []plan.Expr{plan.Not{X: plan.Call{Func: "ispresent", Args: []plan.Expr{plan.Col{ID: prev.ID}}}},
			plan.Compare{Op: plan.Greater, L: gap, R: number(float64(cmd.gap.Millis()))}}}}},
		number(1), number(0)}})
	own := c.windowCol("", plan.RunningSum, begins, 0)
	c.window(&plan.Window{Partition: keys, Order: order, Cols: []plan.WindowCol{own}})
	all := c.windowCol("", plan.RunningSum, begins, 0)
	c.window(&plan.Window{Order: order, Cols: []plan.WindowCol{all}})
	first := c.windowCol("", plan.Lowest, plan.Col{ID: all.ID}, 0)
	c.window(&plan.Window{Partition: append(keys[:len(keys):len(keys)], plan.Col{ID: own.ID}), Cols: []plan.WindowCol{first}})
	name := cmd.into
	if name == "" {
		name = "session_id"
	}
	c.show(name, c.column(name, plan.Call{Func: "if", Args: []plan.Expr{known, plan.Call{Func: "toint", Args: []plan.Expr{plan.Col{ID: first.ID}}}, plan.Lit{}}}))
	return nil
}
