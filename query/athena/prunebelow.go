package athena

import "strings"

// Conditions on the columns of a subquery or of a WITH entry hold for the records
// below it, where nothing between brings rows together or chooses among them by
// what the others are: no aggregate, group, window function, LIMIT, sample or
// UNNEST. DISTINCT, an order, joins and set operations do not: a condition on
// their rows can be asked of the rows that they are made of.

// origin is an expression of a select list, and the scope that it is over.
type origin struct {
	node node // nil: not known
	in   *scope
}

// maxMoved is how many nodes of conditions are moved down in one query. What is
// beyond narrows nothing: columns that repeat one another double at each level.
const maxMoved = 20000

// cutOff says whether a query has a LIMIT or an OFFSET.
func cutOff(n node) bool {
	for _, m := range nodes(n, "modifiers") {
		if strings.HasPrefix(str(m, "type"), "LIMIT") {
			return true
		}
	}
	return false
}

func forgetOrigins(cols []outCol) {
	for i := range cols {
		cols[i].from = nil
	}
}

// joinOrigins gives the columns of a set operation the origins of both its sides.
func joinOrigins(left, right []outCol) {
	for i := range left {
		alike := left[i].typ.kind == right[i].typ.kind
		var all []origin
		for _, o := range append(append(all, left[i].from...), right[i].from...) {
			if !alike {
				o.node = nil // compared as a type that is neither's
			}
			all = append(all, o)
		}
		left[i].from = all
	}
}

// narrowBelow notes what conditions on the columns of a derived table say about
// the relations below it.
func (r *rewriter) narrowBelow(list []node, rel *relation, via []*with) {
	if len(rel.cols) == 0 {
		return
	}
	if rel.with != nil {
		via = append(via[:len(via):len(via)], rel.with)
	}
	for k, o := range rel.cols[0].from {
		var moved []node
		for _, c := range list {
			if x, ok := r.moveDown(c, rel, k); ok {
				moved = append(moved, x)
			}
		}
		if len(moved) > 0 {
			r.narrowBy(moved, o.in, o.in.rels, true, via)
		}
	}
}

// moveDown copies a condition with the relation's columns replaced by what they
// are in the SELECT of the given number.
func (r *rewriter) moveDown(cond node, rel *relation, number int) (node, bool) {
	if hasSubquery(cond) {
		return nil, false
	}
	some := false
	var copied func(v any) any
	copied = func(v any) any {
		switch v := v.(type) {
		case node:
			if r.moved++; r.moved > maxMoved {
				return nil
			}
			if names := strs(v, "column_names"); str(v, "class") == "COLUMN_REF" && len(names) == 2 {
				for _, c := range rel.cols {
					if names[0] == rel.alias && c.name == names[1] && number < len(c.from) && c.from[number].node != nil {
						some = true
						if r.moved += size(c.from[number].node); r.moved > maxMoved {
							return nil
						}
						return clone(c.from[number].node)
					}
				}
				return columnNode("@above", names[1]) // nothing in the scope below
			}
			out := make(node, len(v))
			for k, x := range v {
				out[k] = copied(x)
			}
			return out
		case []any:
			out := make([]any, len(v))
			for i, x := range v {
				out[i] = copied(x)
			}
			return out
		}
		return v
	}
	out, _ := copied(cond).(node)
	return out, some && r.moved <= maxMoved
}
