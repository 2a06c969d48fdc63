package athena

// countable notes the scan whose records a SELECT can count as they pass its
// condition: its FROM is that scan alone, and the condition is about nothing
// else. Elsewhere the scan is counted by whoever opens it.
func (r *rewriter) countable(n node, s *scope) {
	cond, from := obj(n, "where_clause"), obj(n, "from_table")
	if r.matched == "" || cond == nil || str(from, "type") != "BASE_TABLE" || len(s.rels) != 1 || s.rels[0].scan == nil {
		return
	}
	rel := s.rels[0]
	refs := map[string]node{}
	gatherColumns(cond, refs)
	for _, c := range refs {
		if names := strs(c, "column_names"); len(names) != 2 || names[0] != rel.alias {
			return
		}
	}
	if hasSubquery(cond) {
		return
	}
	if rel.scan.id < len(r.narrowed) && r.narrowed[rel.scan.id] {
		return // not all of the records that pass this condition are read
	}
	rel.scan.counted = true
	if r.types == nil {
		return // the first pass only wants to know
	}
	inner := selectNode(from, cond)
	outer := selectNode(subqueryRef(inner, rel.alias), columnNode(rel.alias, matchedColumn))
	n["from_table"], n["where_clause"] = subqueryRef(outer, rel.alias), nil
	r.later = append(r.later, func() {
		var in, out []any
		for _, name := range rel.scan.usedNames() {
			c := columnNode(rel.alias, name)
			c["alias"] = name
			in = append(in, c)
			// No condition from above is moved below the count, since every column
			// depends on it.
			kept := node{"class": "CASE", "type": "CASE_EXPR", "alias": name, "query_location": noLocation,
				"case_checks": []any{node{"when_expr": columnNode(rel.alias, matchedColumn), "then_expr": columnNode(rel.alias, name)}},
				"else_expr":   constNode("NULL", nil)}
			out = append(out, kept)
		}
		tick := callNode(r.matched)
		tick["alias"] = matchedColumn
		inner["select_list"] = append(in, tick)
		if len(out) == 0 {
			out = append(out, columnNode(rel.alias, matchedColumn))
		}
		outer["select_list"] = out
	})
}

// matchedColumn is true for each record that was counted. No name of a user's
// begins with @ that is not a column's.
const matchedColumn = "@matched"

func selectNode(from, where node) node {
	return node{
		"type": "SELECT_NODE", "modifiers": []any{}, "cte_map": node{"map": []any{}}, "select_list": []any{}, "from_table": from,
		"where_clause": where, "group_expressions": []any{}, "group_sets": []any{}, "aggregate_handling": "STANDARD_HANDLING",
		"having": nil, "sample": nil, "qualify": nil,
	}
}

func subqueryRef(sub node, alias string) node {
	return node{"type": "SUBQUERY", "alias": alias, "sample": nil, "query_location": noLocation,
		"subquery": node{"node": sub, "named_param_map": []any{}}, "column_name_alias": []any{}}
}

func hasSubquery(v any) bool {
	switch v := v.(type) {
	case node:
		if str(v, "class") == "SUBQUERY" {
			return true
		}
		for _, x := range v {
			if hasSubquery(x) {
				return true
			}
		}
	case []any:
		for _, x := range v {
			if hasSubquery(x) {
				return true
			}
		}
	}
	return false
}
