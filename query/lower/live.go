package lower

import (
	"strconv"

	"trailward/query/plan"
)

// live is what an answer depends on.
type live struct {
	cols   map[int]bool
	fields map[int][]plan.FieldRef // by scan
	seen   map[string]bool
	holds  bool // see plan.Query.Holds
}

// fieldKey names a field of a scan.
func fieldKey(scan int, ref plan.FieldRef) string { return strconv.Itoa(scan) + " " + ref.Key() }

func sysRef(name string) plan.FieldRef { return plan.FieldRef{Keys: []string{name}} }

func (v *live) field(scan int, ref plan.FieldRef) {
	if k := fieldKey(scan, ref); !v.seen[k] {
		v.seen[k] = true
		v.fields[scan] = append(v.fields[scan], ref)
	}
}

// add marks what an expression reads.
func (v *live) add(es ...plan.Expr) {
	for _, e := range es {
		if scan, field, whole, ok := plan.Held(e); ok && v.holds {
			v.field(scan, field)
			if whole {
				continue // the record itself is not needed
			}
		}
		switch x := e.(type) {
		case plan.Col:
			v.cols[x.ID] = true
		case plan.Field:
			v.field(x.Scan, x.Ref)
		case plan.InQuery:
			v.add(x.Out)
			v.node(x.Root, false)
		}
		if e != nil {
			v.add(plan.Operands(e)...)
		}
	}
}

// Fields are the fields of the query's own scan that its answer depends on, in
// the order in which [Lower] asks for them. @message is among them only where
// more is asked of it than to be shown.
func Fields(q *plan.Query) []plan.FieldRef { return liveness(q).fields[0] }

// liveness finds the columns and fields that the answer depends on, from the
// top of the tree down: what nobody reads is neither computed nor fetched.
// @message in the output is a pointer, so it does not count as read.
func liveness(q *plan.Query) live {
	v := live{cols: map[int]bool{}, fields: map[int][]plan.FieldRef{}, seen: map[string]bool{}, holds: q.Holds}
	if len(q.Scans) > 0 {
		v.field(0, sysRef("@timestamp"))
		if q.Records {
			v.field(0, sysRef("@ptr"))
		}
	}
	for _, o := range q.Output {
		if f, ok := o.Expr.(plan.Field); ok && f.Ref.Key() == "@message" {
			v.field(f.Scan, sysRef("@ptr"))
			continue
		}
		v.add(o.Expr)
	}
	v.node(q.Root, q.Records)
	return v
}

// node marks what a node and those below it need. With ordered, the order of
// its rows matters, which the pointer of a record settles where all else is
// equal.
func (v *live) node(n plan.Node, ordered bool) {
	switch n := n.(type) {
	case *plan.Scan:
		// The event time is always there: it is the default order, and a scan
		// needs at least one column.
		v.field(n.ID, sysRef("@timestamp"))
		if ordered {
			v.field(n.ID, sysRef("@ptr"))
		}
		return
	case *plan.Values:
		return
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
			if v.cols[a.ID] {
				v.add(a.Args...)
				v.add(a.Order)
			}
		}
		ordered = false
	case *plan.Window:
		v.add(n.Partition...)
		for _, k := range n.Order {
			v.add(k.Expr)
		}
		for _, c := range n.Cols {
			if v.cols[c.ID] {
				v.add(c.X)
			}
		}
		ordered = true
	case *plan.Total:
		for _, c := range n.Cols {
			v.add(c.Expr)
		}
		ordered = true
	case *plan.Patterns, *plan.Relevant:
		v.add(plan.Exprs(n)...)
		ordered = false
	case *plan.Limit, *plan.Dedup, *plan.Paste:
		v.add(plan.Exprs(n)...)
		ordered = true
	default:
		v.add(plan.Exprs(n)...)
	}
	v.node(n.Input(), ordered)
	if side := plan.Side(n); side != nil {
		v.node(side, ordered)
	}
}
