package athena

import (
	"maps"
	"slices"
	"strings"

	"trailward/query/plan"
)

// Conditions on the whole record that need a text in it: the scan finds the records
// that have it without putting every one together (see plan.HoldsText). A condition
// that is no more than that becomes a column of the scan that says so; another one
// is asked of the records only for which that column is true.

// holdsPrefix begins the names of these columns. No name of a user's begins so.
const holdsPrefix = "@holds"

// held rewrites cond, a condition on text. If that is a record, it is true at most
// where a field of plan.Held is; with whole it is that field.
func (r *rewriter) held(cond, text node, s *scope, field plan.FieldRef, whole bool) (node, bool) {
	names := strs(text, "column_names")
	if !r.holds || len(names) != 2 || names[1] != "@message" {
		return cond, false
	}
	rel, _, _ := s.relationNamed(names)
	if rel == nil || rel.scan == nil || rel.scan.used["@message"] == nil {
		return cond, false
	}
	i := slices.IndexFunc(rel.scan.holds, func(f plan.FieldRef) bool { return f.Key() == field.Key() })
	if i < 0 {
		i = len(rel.scan.holds)
		rel.scan.holds = append(rel.scan.holds, field)
	}
	name := holdsPrefix + itoa(i)
	rel.scan.used[name] = &column{name: name, typ: tBool, path: field.Keys, holds: true}
	has := columnNode(rel.alias, name)
	if whole {
		return has, true
	}
	return conjunction("CONJUNCTION_AND", has, cond), true
}

// recordField is the record, as plan.Held wants it.
var recordField = plan.Field{Ref: plan.FieldRef{Keys: []string{"@message"}}}

// hasText is the condition that a text has another in it.
func hasText(text string) plan.Expr {
	return plan.Contains{X: recordField, Sub: plan.Lit{Kind: plan.LitText, Text: text}}
}

func negated(n node) node { return operatorNode("OPERATOR_NOT", n) }

// heldLike is held for LIKE and NOT LIKE with a constant pattern.
func (r *rewriter) heldLike(n node, s *scope) node {
	args := nodes(n, "children")
	pattern, ok := constText(args[1])
	best := longestPart(pattern)
	_, field, _, can := plan.Held(hasText(best))
	whole := strings.HasPrefix(pattern, "%") && strings.HasSuffix(pattern, "%") && strings.Trim(pattern, "%") == best
	if !ok || !can || !whole && len(best) < plan.MinLiteral {
		return n
	}
	not := str(n, "function_name") == "!~~"
	n["function_name"] = "~~"
	out, ok := r.held(n, args[0], s, field, whole)
	switch {
	case !ok && not:
		n["function_name"] = "!~~"
	case ok && not:
		return negated(out)
	}
	return out
}

// longestPart is the longest text of a pattern of LIKE that stands for itself.
func longestPart(pattern string) (best string) {
	for _, part := range strings.FieldsFunc(pattern, func(r rune) bool { return r == '%' || r == '_' }) {
		if len(part) > len(best) {
			best = part
		}
	}
	return best
}

// heldRegexp is held for regexp_like with a constant pattern.
func (r *rewriter) heldRegexp(n node, s *scope) node {
	args := nodes(n, "children")
	if len(args) != 2 {
		return n
	}
	pattern, ok := constText(args[1])
	if !ok {
		return n
	}
	if _, field, whole, ok := plan.Held(plan.Match{X: recordField, Regex: pattern}); ok {
		n, _ = r.held(n, args[0], s, field, whole)
	}
	return n
}

// heldPosition is held for a comparison of strpos with 0 or 1 that says whether
// there is such a text.
func (r *rewriter) heldPosition(n node, s *scope) node {
	x, y, op := obj(n, "left"), obj(n, "right"), strings.TrimPrefix(str(n, "type"), "COMPARE_")
	if str(y, "function_name") == "strpos" {
		x, y = y, x
		op = map[string]string{"LESSTHAN": "GREATERTHAN", "GREATERTHAN": "LESSTHAN", "LESSTHANOREQUALTO": "GREATERTHANOREQUALTO", "GREATERTHANOREQUALTO": "LESSTHANOREQUALTO",
			"EQUAL": op, "NOTEQUAL": op}[op]
	}
	args := nodes(x, "children")
	if str(x, "function_name") != "strpos" || len(args) != 2 {
		return n
	}
	i, isInt := constInt(y)
	text, isText := constText(args[1])
	_, field, whole, ok := plan.Held(hasText(text))
	if !isInt || !isText || !ok || !whole {
		return n
	}
	has := i == 0 && (op == "GREATERTHAN" || op == "NOTEQUAL") || i == 1 && op == "GREATERTHANOREQUALTO"
	not := i == 0 && (op == "EQUAL" || op == "LESSTHANOREQUALTO") || i == 1 && op == "LESSTHAN"
	if !has && !not {
		return n
	}
	out, ok := r.held(n, args[0], s, field, true)
	if ok && not {
		out = negated(out)
	}
	return out
}

// settleRecords leaves out the record of scans of which it is not needed any more,
// and notes the fields of plan.Held of which one is true wherever it is.
func (r *rewriter) settleRecords(root node) {
	scans := map[string][]*scan{} // by alias
	for _, s := range r.scans {
		scans[s.alias] = append(scans[s.alias], s)
	}
	free := map[string]bool{} // aliases of records that are looked at anyhow
	guards := map[string]map[string]bool{}
	note := func(alias string, names map[string]bool) {
		if guards[alias] == nil {
			guards[alias] = map[string]bool{}
		}
		for n := range names {
			guards[alias][n] = true
		}
	}
	var walk func(v any, under map[string]map[string]bool)
	walk = func(v any, under map[string]map[string]bool) {
		switch v := v.(type) {
		case node:
			if names := strs(v, "column_names"); str(v, "class") == "COLUMN_REF" {
				if len(names) != 2 || names[1] != "@message" || scans[names[0]] == nil {
					return
				}
				if g := under[names[0]]; g != nil {
					note(names[0], g)
				} else {
					free[names[0]] = true
				}
				return
			}
			// A row of a SELECT passes its condition, whatever else is asked of it.
			cond := v
			if str(v, "type") == "SELECT_NODE" {
				cond = obj(v, "where_clause")
			}
			if isConjunction(cond, "AND") || len(strs(cond, "column_names")) == 2 {
				has := maps.Clone(under)
				if has == nil {
					has = map[string]map[string]bool{}
				}
				for _, c := range andList(cond, nil) {
					if names := strs(c, "column_names"); len(names) == 2 && strings.HasPrefix(names[1], holdsPrefix) {
						has[names[0]] = map[string]bool{names[1]: true}
					}
				}
				under = has
			}
			for _, x := range v {
				walk(x, under)
			}
		case []any:
			for _, x := range v {
				walk(x, under)
			}
		}
	}
	walk(root, nil)
	for _, s := range r.scans {
		c := s.used["@message"]
		switch {
		case c == nil || free[s.alias]:
		case guards[s.alias] == nil:
			delete(s.used, "@message")
		}
	}
	r.guards = nil
	for _, s := range r.scans {
		if s.used["@message"] == nil {
			continue
		}
		if free[s.alias] || len(scans[s.alias]) > 1 {
			r.guards = nil
			return
		}
		for i, f := range s.holds {
			if guards[s.alias][holdsPrefix+itoa(i)] {
				r.guards = append(r.guards, f)
			}
		}
	}
}
