package athena

import (
	"regexp"
	"slices"
	"strings"

	"trailward/query/plan"
)

// What the engine says of a statement is about its own text: names that nobody
// wrote, and no place. Here the place is found again.

// grouped is a SELECT with aggregates or GROUP BY, as it was rewritten.
type grouped struct {
	sel node
	in  *scope
}

var (
	ungroupedColumn = regexp.MustCompile(`^column "?([^"]+)"? must appear in the GROUP BY clause`)
	noSuchFunction  = regexp.MustCompile(`^[Nn]o function matches the given name and argument types '([^'(]+)\((.*)\)'`)
)

// Fault turns what DuckDB said of the statement, which it did not run, into an
// error with the place in the user's text. It is nil if nothing better is known.
func (q *Query) Fault(msg string) *plan.Error {
	if m := ungroupedColumn.FindStringSubmatch(msg); m != nil {
		for _, g := range q.selects {
			if c := ungrouped(g); c != nil {
				names := strs(c, "column_names")
				name := names[len(names)-1]
				return q.src.fault(location(c, -1), "column \""+name+"\" is neither in GROUP BY nor inside an aggregate",
					"add it to GROUP BY, or write arbitrary("+name+") if any of its values will do")
			}
		}
		return &plan.Error{Msg: "column \"" + m[1] + "\" is neither in GROUP BY nor inside an aggregate", Hint: "add it to GROUP BY, or write arbitrary(…) if any of its values will do"}
	}
	if e := q.castFault(msg); e != nil {
		return e
	}
	if m := noSuchFunction.FindStringSubmatch(msg); m != nil {
		for _, c := range q.made {
			if calls(c.node, m[1]) {
				return q.src.fault(c.loc, c.name+" does not take arguments of these types: "+trinoTypes(m[2]), "CAST(… AS …) makes a value of another type")
			}
		}
	}
	return nil
}

// failedCasts are what the engine says of text that it cannot read, with the text
// as the group, and what was expected of it.
var failedCasts = []struct {
	said          *regexp.Regexp
	typ, expected string
}{
	{regexp.MustCompile(`(?s)^[Cc]ould not convert string ['"](.*)['"] to U?INT[0-9]+`), "bigint", "a whole number"},
	{regexp.MustCompile(`(?s)^[Cc]ould not convert string ['"](.*)['"] to (?:DOUBLE|FLOAT|DECIMAL)`), "double", "a number"},
	{regexp.MustCompile(`(?s)^[Cc]ould not convert string ['"](.*)['"] to BOOL`), "boolean", "true or false"},
	{regexp.MustCompile(`(?s)^(?:[Ii]nvalid date field format|[Dd]ate field value out of range): "(.*?)"(?:[,\n]|$)`), "date", "a day, as in 2024-05-31"},
	{regexp.MustCompile(`(?s)^(?:[Ii]nvalid timestamp field format|[Tt]imestamp field value out of range): "(.*?)"(?:[,\n]|$)`), "timestamp", "a time, as in 2024-05-31 10:00:00"},
}

// castFault says which constant of the text cannot be read as what it is compared
// with or cast to. If it is none of these, a record has it.
func (q *Query) castFault(msg string) *plan.Error {
	for _, c := range failedCasts {
		m := c.said.FindStringSubmatch(msg)
		if m == nil {
			continue
		}
		text := m[1]
		// castTo puts text that DuckDB would take, and Trino does not, into quotes.
		if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
			text = text[1 : len(text)-1]
		}
		if root, err := parseTree(q.src, q.tree); err == nil {
			if at := constantPlace(root, text); at >= 0 {
				return q.src.fault(at, "'"+text+"' cannot be read: expected "+c.expected, "")
			}
		}
		return &plan.Error{Msg: "a value in the records cannot be read: expected " + c.expected, Hint: "try_cast(… AS " + c.typ + ") is null for what cannot be read"}
	}
	return nil
}

// constantPlace is where a text is written out; -1 if it is not.
func constantPlace(v any, text string) int {
	first := -1
	note := func(at int) {
		if at >= 0 && (first < 0 || at < first) {
			first = at
		}
	}
	switch v := v.(type) {
	case node:
		if t, ok := constText(v); ok && t == text {
			return location(v, -1)
		}
		for _, x := range v {
			note(constantPlace(x, text))
		}
	case []any:
		for _, x := range v {
			note(constantPlace(x, text))
		}
	}
	return first
}

// trinoTypes writes DuckDB's types as Trino does, as far as they differ.
func trinoTypes(list string) string {
	return strings.NewReplacer("STRING_LITERAL", "varchar", "INTEGER_LITERAL", "integer", "HUGEINT", "bigint", "VARCHAR", "varchar", "BIGINT", "bigint", "INTEGER", "integer",
		"DOUBLE", "double", "BOOLEAN", "boolean", "TIMESTAMP WITH TIME ZONE", "timestamp with time zone", "TIMESTAMP", "timestamp", "DATE", "date", "INTERVAL", "interval",
		"DECIMAL", "decimal", "BLOB", "varbinary", "JSON", "json", "[]", " array").Replace(list)
}

// calls says whether a function is called in what a call became, but for its
// arguments that are calls themselves of it: these come first in the list.
func calls(v any, name string) bool {
	switch v := v.(type) {
	case node:
		if str(v, "function_name") == name {
			return true
		}
		for _, x := range v {
			if calls(x, name) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, func(x any) bool { return calls(x, name) })
	}
	return false
}

// gathers are the functions of DuckDB that make one value of many rows.
var gathers = strings.Fields(`any_value approx_count_distinct approx_quantile arg_max arg_min array_agg avg bit_and bit_or bool_and bool_or corr count count_if count_star
	covar_pop covar_samp geomean histogram kurtosis max min skewness stddev_pop stddev_samp string_agg sum var_pop var_samp`)

// ungrouped finds the first column that a SELECT shows, or orders by, without
// grouping by it.
func ungrouped(g grouped) node {
	items := nodes(g.sel, "select_list")
	var keys []node
	for _, k := range nodes(g.sel, "group_expressions") {
		if i, ok := constInt(k); ok && i >= 1 && i <= int64(len(items)) {
			k = items[i-1]
		}
		keys = append(keys, k)
	}
	var find func(v any) node
	find = func(v any) node {
		switch v := v.(type) {
		case node:
			if str(v, "class") == "SUBQUERY" || str(v, "class") == "FUNCTION" && slices.Contains(gathers, str(v, "function_name")) {
				return nil
			}
			if slices.ContainsFunc(keys, func(k node) bool { return sameBut(v, k) }) {
				return nil
			}
			if names := strs(v, "column_names"); str(v, "class") == "COLUMN_REF" {
				if len(names) == 2 && slices.ContainsFunc(g.in.rels, func(r *relation) bool { return r.alias == names[0] }) {
					return v
				}
				return nil
			}
			for _, k := range []string{"children", "left", "right", "child", "input", "lower", "upper", "case_checks", "when_expr", "then_expr", "else_expr", "expr", "partitions", "orders", "expression"} {
				if c := find(v[k]); c != nil {
					return c
				}
			}
		case []any:
			for _, x := range v {
				if c := find(x); c != nil {
					return c
				}
			}
		}
		return nil
	}
	for _, item := range items {
		if c := find(item); c != nil {
			return c
		}
	}
	if c := find(g.sel["having"]); c != nil {
		return c
	}
	for _, m := range nodes(g.sel, "modifiers") {
		if c := find(m["orders"]); c != nil {
			return c
		}
	}
	return nil
}

// sameBut says whether two expressions are the same but for the name of the
// result.
func sameBut(a, b node) bool {
	if a["class"] != b["class"] {
		return false
	}
	for k := range a {
		if k != "alias" && k != "query_location" && difference(a[k], b[k], k) != "" {
			return false
		}
	}
	return true
}
