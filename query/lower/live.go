package lower

import "trailward/query/plan"

// live is what an answer depends on.
type live struct {
	cols   map[int]bool
	fields []plan.FieldRef
	seen   map[string]bool
}

// add marks what an expression reads.
func (v *live) add(e plan.Expr) {
	plan.Walk(e, func(x plan.Expr) {
		switch x := x.(type) {
		case plan.Col:
			v.cols[x.ID] = true
		case plan.Field:
			if k := x.Ref.Key(); !v.seen[k] {
				v.seen[k] = true
				v.fields = append(v.fields, x.Ref)
			}
		}
	})
}

// liveness finds the columns and fields that the answer depends on, from the
// top of the tree down: what nobody reads is neither computed nor fetched.
// @message in the output is a pointer, so it does not count as read.
func liveness(q *plan.Query) live {
	v := live{cols: map[int]bool{}, seen: map[string]bool{}}
	sys := func(name string) { v.add(plan.Field{Ref: plan.FieldRef{Keys: []string{name}}}) }
	// @timestamp is always there: it is the default order, and a scan needs
	// at least one column.
	sys("@timestamp")
	if q.Records {
		sys("@ptr") // breaks ties in the order
	}
	for _, o := range q.Output {
		if f, ok := o.Expr.(plan.Field); ok && f.Ref.Key() == "@message" {
			sys("@ptr")
			continue
		}
		v.add(o.Expr)
	}
	for n := q.Root; n != nil; n = n.Input() {
		switch n := n.(type) {
		case *plan.Filter:
			v.add(n.Cond)
		case *plan.Extend:
			for _, c := range n.Cols {
				if v.cols[c.ID] {
					v.add(c.Expr)
				}
			}
		case *plan.Aggregate:
			for _, k := range n.Keys {
				v.add(k.Expr)
			}
			for _, a := range n.Aggs {
				if !v.cols[a.ID] {
					continue
				}
				for _, x := range a.Args {
					v.add(x)
				}
				v.add(a.Order)
			}
		case *plan.Sort:
			for _, k := range n.Keys {
				v.add(k.Expr)
			}
		case *plan.Dedup:
			for _, k := range n.Keys {
				v.add(k)
			}
		case *plan.Unnest:
			v.add(n.Col.Expr)
		case *plan.ExtractAll:
			v.add(n.X)
		}
	}
	return v
}
