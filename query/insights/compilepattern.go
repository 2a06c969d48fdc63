package insights

import (
	"time"

	"trailward/query/plan"
)

// pattern compiles pattern. What diff and anomaly behind it need is computed
// with it, so it looks ahead for them.
func (c *compiler) pattern(cmd *command, before, after []*command) error {
	x, err := c.expr(cmd.expr, c.lookup)
	if err != nil {
		return err
	}
	return c.cluster(cmd, x, cmd.expr, before, after)
}

// cluster makes the node of pattern; expr is nil for @message.
func (c *compiler) cluster(cmd *command, x plan.Expr, expr *node, before, after []*command) error {
	switch {
	case c.scan.ID != 0:
		return errAt(c.src, cmd.start, "", "%s in a subquery", cmd.name)
	case c.clustered:
		return errAt(c.src, cmd.start, "", "query looks for patterns twice")
	}
	p := &plan.Patterns{X: x}
	ids := &p.Cols
	for _, id := range []*int{&ids.Pattern, &ids.Ratio, &ids.Count, &ids.Severity} {
		*id = c.id()
	}
	for _, next := range after {
		if next.name == "stats" || next.name == "pattern" {
			break
		}
		switch next.name {
		case "diff", "logcompare":
			if p.Prev != nil {
				return errAt(c.src, next.start, "", "patterns are compared twice")
			}
			if err := c.previous(p, next, expr, before); err != nil {
				return err
			}
		case "anomaly":
			at, err := c.name(&node{op: nName, start: next.start, end: next.start, keys: []string{"@timestamp"}})
			if err != nil {
				return errAt(c.src, next.start, "use pattern before stats", "anomaly needs @timestamp")
			}
			p.Time = at
			ids.Anomaly, ids.AnomalyType, ids.AnomalyText, ids.Odd = c.id(), c.id(), c.id(), c.id()
		}
	}
	p.In = c.root
	c.root = p
	c.clustered = true
	next := newScope(false, c.scan.ID)
	next.by = "pattern"
	var shown []plan.Named
	for _, col := range []plan.Named{{ID: ids.Pattern, Name: "@pattern"}, {ID: ids.Ratio, Name: "@ratio"}, {ID: ids.Count, Name: "@sampleCount"}, {ID: ids.Severity, Name: "@severityLabel"}} {
		next.bind(col.Name, plan.Col{ID: col.ID})
		shown = put(shown, col.Name, plan.Col{ID: col.ID})
	}
	c.regroup(next, shown)
	c.patterns = p
	return nil
}

// previous compiles the commands before pattern once more, over the time to
// compare with.
func (c *compiler) previous(p *plan.Patterns, cmd *command, expr *node, before []*command) error {
	start, end := c.scan.Start, c.scan.End
	if end.IsZero() {
		end = c.opts.Now
	}
	if start.IsZero() || !start.Before(end) {
		return errAt(c.src, cmd.start, "give the query a start: --start -1h, or start in the request", "%s needs to know since when the query looks", cmd.name)
	}
	sub := c.newCompiler(nil)
	if err := sub.commands(before); err != nil {
		return err
	}
	if cmd.ago.none {
		// A record belongs to one of the two: the ends are part of a range.
		sub.scan.Start, sub.scan.End = start.Add(-end.Sub(start)), start.Add(-time.Microsecond)
	} else {
		sub.scan.Start, sub.scan.End = ago(start, cmd.ago.period), ago(end, cmd.ago.period)
	}
	p.Prev, p.PrevX = sub.root, sub.system("@message")
	if expr != nil {
		x, err := sub.expr(expr, sub.lookup)
		if err != nil {
			return err
		}
		// An expression may have made columns.
		p.Prev, p.PrevX = sub.root, x
	}
	p.Cols.Change, p.Cols.Description = c.id(), c.id()
	return nil
}

// compare compiles diff, logcompare and anomaly: the columns that pattern has
// computed become visible. Without a pattern before them it is that of
// @message.
func (c *compiler) compare(cmd *command, before, after []*command) error {
	if c.patterns == nil {
		if !c.records {
			return errAt(c.src, cmd.start, "expected pattern @message before it", "%s after stats", cmd.name)
		}
		if err := c.cluster(cmd, c.system("@message"), nil, before, append([]*command{cmd}, after...)); err != nil {
			return err
		}
	}
	ids := c.patterns.Cols
	cols := []plan.Named{{ID: ids.Change, Name: "@diffEventCount"}, {ID: ids.Description, Name: "@diffDescription"}}
	if cmd.name == "anomaly" {
		cols = []plan.Named{{ID: ids.Anomaly, Name: "@anomaly"}, {ID: ids.AnomalyType, Name: "@anomalyType"}, {ID: ids.AnomalyText, Name: "@anomalyDescription"}, {ID: ids.Odd, Name: "@anomalyScore"}}
	}
	for _, col := range cols {
		c.show(col.Name, plan.Col{ID: col.ID})
	}
	return nil
}
