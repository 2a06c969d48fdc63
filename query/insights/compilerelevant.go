package insights

import (
	"strings"

	"trailward/query/plan"
)

// relevantFields compiles relevantfields. Without a list it looks at the columns
// behind stats, and else at the fields that the records have, but for those that
// the condition itself is about.
func (c *compiler) relevantFields(cmd *command) error {
	cond, err := c.expr(cmd.cond, c.lookup)
	if err != nil {
		return err
	}
	n := &plan.Relevant{Cond: cond, Telling: len(cmd.items) == 0}
	asked := map[string]bool{}
	var about []plan.FieldRef
	plan.Walk(cond, func(x plan.Expr) {
		if f, ok := x.(plan.Field); ok {
			asked[f.Ref.Key()] = true
			about = append(about, f.Ref)
		}
	})
	switch {
	case len(cmd.items) > 0:
		for _, it := range cmd.items {
			e, err := c.expr(it.expr, c.lookup)
			if err != nil {
				return err
			}
			n.Fields = append(n.Fields, plan.Named{Name: c.title(it.expr), Expr: e})
		}
	case c.scope.open:
		if err := c.recordFields(cmd, n, about, asked); err != nil {
			return err
		}
	default:
		for _, name := range c.scope.list {
			n.Fields = append(n.Fields, plan.Named{Name: name, Expr: c.scope.names[name]})
		}
	}
	if len(n.Fields) > MaxRelevant {
		n.Fields = n.Fields[:MaxRelevant]
		c.notice(cmd.start, "there are more than %d fields, and relevantfields looks at those that most records have; name others to look at them", MaxRelevant)
	}
	ids := &n.Cols
	next := newScope(false, c.scan.ID)
	next.by = "relevantfields"
	var shown []plan.Named
	for _, col := range []struct {
		id   *int
		name string
	}{{&ids.Field, "@fieldName"}, {&ids.Score, "@relevanceScore"}, {&ids.Contributors, "@topRelevanceContributors"}, {&ids.Conditional, "@conditionalMedian"}, {&ids.Baseline, "@baselineMedian"}} {
		*col.id = c.id()
		next.bind(col.name, plan.Col{ID: *col.id})
		shown = put(shown, col.name, plan.Col{ID: *col.id})
	}
	if len(n.Fields) == 0 {
		c.notice(cmd.start, "there are no fields to look at")
		n.Fields = []plan.Named{{Name: "none", Expr: plan.Lit{}}}
	}
	n.In = c.root
	c.root = n
	c.regroup(next, shown)
	return nil
}

// recordFields adds the fields of the records, and what parse and fields made.
func (c *compiler) recordFields(cmd *command, n *plan.Relevant, about []plan.FieldRef, asked map[string]bool) error {
	for _, name := range c.scope.list {
		if e := c.scope.names[name]; simple(e) && !strings.HasPrefix(name, "@") {
			if f, ok := e.(plan.Field); !ok || !asked[f.Ref.Key()] {
				n.Fields = append(n.Fields, plan.Named{Name: name, Expr: e})
			}
		}
	}
	if c.opts.Fields == nil {
		if len(n.Fields) == 0 {
			return errAt(c.src, cmd.start, "name them: relevantfields a, b where …", "relevantfields does not know the fields of the records here")
		}
		return nil
	}
	fields, err := c.opts.Fields(c.scan, about)
	if err != nil {
		return err
	}
	for _, keys := range fields {
		ref := plan.FieldRef{Keys: keys}
		name := strings.Join(keys, ".")
		if _, shadowed := c.scope.names[name]; !shadowed && !asked[ref.Key()] && !strings.HasPrefix(name, "@") {
			n.Fields = append(n.Fields, plan.Named{Name: name, Expr: plan.Field{Ref: ref, Scan: c.scan.ID}})
		}
	}
	return nil
}
