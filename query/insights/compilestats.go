package insights

import (
	"strings"

	"trailward/query/plan"
)

// aggregateNames maps other spellings of aggregates to the canonical one.
var aggregateNames = map[string]string{"countdistinct": "count_distinct", "collect_values": "values", "percentile": "pct",
	"countovertime": "count", "count_over_time": "count", "sumovertime": "sum", "sum_over_time": "sum"}

// canonicalAggregate returns the canonical name of an aggregate.
func canonicalAggregate(name string) (string, bool) {
	if n, ok := aggregateNames[name]; ok {
		name = n
	}
	_, ok := plan.Aggregates[name]
	return name, ok
}

func isAggregate(name string) bool {
	_, ok := canonicalAggregate(name)
	return ok
}

// statsScope is what names mean among the outputs of one stats command.
type statsScope struct {
	c     *compiler
	agg   *plan.Aggregate
	names map[string]plan.Expr // keys, and the outputs before this one
	norm  map[string]plan.Expr // keys without an alias
	aggs  map[string]plan.Expr // aggregates already there, by normal text
}

func (c *compiler) stats(cmd *command) error {
	st := &statsScope{c: c, agg: &plan.Aggregate{}, names: map[string]plan.Expr{}, norm: map[string]plan.Expr{}, aggs: map[string]plan.Expr{}}
	next := newScope(false, c.scan.ID)
	next.by = "stats"
	keys := map[string]bool{}
	var bin *binKey
	var shown []plan.Named
	add := func(it item, e plan.Expr) (string, error) {
		name := it.alias
		if name == "" {
			name = c.title(it.expr)
		}
		if _, dup := next.names[name]; dup {
			if it.alias == "" {
				return name, nil // the same column written twice is one column
			}
			return "", errAt(c.src, it.pos, "give it another name", "column %s is there already", shorten(name))
		}
		next.bind(name, e)
		st.names[name] = e
		if it.alias == "" && it.expr.op != nName {
			next.norm[c.normal(it.expr)] = name
			st.norm[c.normal(it.expr)] = e
		}
		shown = append(shown, plan.Named{Name: name, Expr: e})
		c.write(it, name)
		return name, nil
	}
	for _, it := range cmd.by {
		e, err := c.expr(it.expr, c.lookup)
		if err != nil {
			return err
		}
		key := plan.Named{ID: c.id(), Expr: e}
		if key.Name, err = add(it, plan.Col{ID: key.ID}); err != nil {
			return err
		}
		keys[key.Name] = true
		if f, ok := e.(plan.Floor); ok && !f.Up && bin == nil {
			bin = &binKey{name: key.Name, period: f.Period, offset: f.Offset}
		}
		st.agg.Keys = append(st.agg.Keys, key)
	}
	// The input is what the pipe made so far; the columns of the outputs that
	// are more than an aggregate come above it.
	var above []*plan.Extend
	for _, it := range cmd.items {
		before := len(st.agg.Aggs)
		e, err := c.expr(it.expr, st.lookup)
		if err != nil {
			return err
		}
		if len(st.agg.Aggs) == before && !hasAggregate(it.expr) && !st.onAggregates(e) {
			return c.fail(it.expr, "expected an aggregate such as count(*)", "%s is no aggregate", shorten(c.title(it.expr)))
		}
		if !simple(e) {
			col := plan.Named{ID: c.id(), Name: it.alias, Expr: e}
			above = append(above, &plan.Extend{Cols: []plan.Named{col}})
			e = plan.Col{ID: col.ID}
		}
		if _, err = add(it, e); err != nil {
			return err
		}
	}
	st.agg.In = c.root
	c.root = st.agg
	for _, ext := range above {
		ext.In = c.root
		c.root = ext
	}
	before := c.scope
	c.regroup(next, shown)
	c.keys, c.bin, c.grouped = keys, bin, &grouped{st.agg, before}
	return nil
}

// binKey is the key of a stats command that is a bin of the time.
type binKey struct {
	name   string
	period plan.Period
	offset int64
}

// regroup makes the columns of a new kind of row all that can be seen.
func (c *compiler) regroup(s *scope, shown []plan.Named) {
	c.scope, c.shown, c.added, c.display, c.last, c.records, c.limited = s, shown, nil, nil, nil, false, false
	c.keys, c.bin, c.patterns, c.grouped = nil, nil, nil, nil
}

// hasAggregate reports whether an expression as written holds an aggregate.
func hasAggregate(n *node) bool {
	if n.op == nCall && isAggregate(n.text) {
		return true
	}
	for _, a := range n.args {
		if hasAggregate(a) {
			return true
		}
	}
	return false
}

// onAggregates reports whether e is made of outputs that came before it in the
// same stats command.
func (st *statsScope) onAggregates(e plan.Expr) bool {
	found := false
	plan.Walk(e, func(x plan.Expr) {
		if x, ok := x.(plan.Col); ok {
			key := false
			for _, k := range st.agg.Keys {
				key = key || k.ID == x.ID
			}
			found = found || !key
		}
	})
	return found
}

// lookup resolves names and aggregates in an output of stats.
func (st *statsScope) lookup(n *node) (plan.Expr, error) {
	c := st.c
	switch n.op {
	case nName:
		for i := len(n.keys); i > 0; i-- {
			if e, ok := st.names[strings.Join(n.keys[:i], ".")]; ok {
				return into(e, n.keys[i:], c.place(n)), nil
			}
		}
		e, err := c.name(n)
		if err != nil {
			return nil, err
		}
		if _, ok := e.(plan.Lit); ok {
			return e, nil
		}
		var names []string
		for name := range st.names {
			names = append(names, name)
		}
		if word := strings.Join(n.keys, "."); isAggregate(strings.ToLower(word)) {
			return nil, c.fail(n, "did you mean "+word+"(…)?", "%s is a function: it has parentheses", word)
		}
		return nil, c.fail(n, suggest(strings.Join(n.keys, "."), names, "put it into by, or into a function such as max()"),
			"field %s is neither grouped by nor inside an aggregate", shorten(strings.Join(n.keys, ".")))
	case nCall:
		if e, ok := st.norm[c.normal(n)]; ok {
			return e, nil
		}
		name, ok := canonicalAggregate(n.text)
		if !ok {
			return nil, nil
		}
		norm := c.normal(n)
		if e, ok := st.aggs[norm]; ok {
			return e, nil
		}
		a, err := st.aggregate(name, n)
		if err != nil {
			return nil, err
		}
		st.agg.Aggs = append(st.agg.Aggs, a)
		e := plan.Col{ID: a.ID}
		st.aggs[norm] = e
		return e, nil
	case nBinary:
		if e, ok := st.norm[c.normal(n)]; ok {
			return e, nil
		}
	}
	return nil, nil
}

func (st *statsScope) aggregate(name string, n *node) (plan.Agg, error) {
	c, f := st.c, plan.Aggregates[name]
	a := plan.Agg{ID: c.id(), Func: name, Pos: c.place(n)}
	args := n.args
	if name == "count" && len(args) == 1 && args[0].op == nStar {
		args = nil
	}
	if name == "topk" && len(args) == 2 { // topk(k, f): the value first, as in the others
		args = []*node{args[1], args[0]}
	}
	if len(args) < f.Min || len(args) > f.Max {
		return a, c.arity(n, f)
	}
	for i, x := range args {
		if name == "rate" && i == 1 {
			if x.op != nDuration {
				return a, c.fail(x, "expected a period such as 1m", "interval of rate is no period")
			}
			a.Args = append(a.Args, number(float64(x.span.Millis())))
			continue
		}
		e, err := c.expr(x, c.lookup)
		if err != nil {
			return a, err
		}
		a.Args = append(a.Args, e)
	}
	switch name {
	case "pct":
		p, ok := a.Args[1].(plan.Lit)
		if !ok || p.Kind != plan.LitNumber || p.Num < 0 || p.Num > 100 {
			return a, c.fail(args[1], "expected a number from 0 to 100", "percentile is out of range")
		}
	case "topk":
		k, ok := a.Args[1].(plan.Lit)
		if !ok || k.Kind != plan.LitNumber || k.Num != float64(int64(k.Num)) || k.Num < 1 || k.Num > 1000 {
			return a, c.fail(args[1], "expected a whole number from 1 to 1000", "number of values is out of range")
		}
	case "histogram":
		k, ok := a.Args[1].(plan.Lit)
		if !ok || k.Kind != plan.LitNumber || k.Num != float64(int64(k.Num)) || k.Num < 1 || k.Num > 1000 {
			return a, c.fail(args[1], "expected a whole number from 1 to 1000", "number of buckets is out of range")
		}
	case "earliest", "latest", "rate":
		t, err := c.name(&node{op: nName, start: n.start, end: n.end, keys: []string{"@timestamp"}})
		if err != nil {
			return a, c.fail(n, "carry @timestamp through the stats before", "%s needs @timestamp", name)
		}
		a.Order = t
	}
	return a, nil
}
