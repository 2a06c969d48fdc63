package athena

import (
	"fmt"
	"sort"
)

// difference says where two syntax trees differ, or "". It is asked whether
// the text that DuckDB's printer made of a tree means that tree: a printer that
// leaves something out would make a wrong answer that nobody notices. Places in
// the text do not count.
func difference(a, b any, path string) string {
	switch x := a.(type) {
	case node:
		y, ok := b.(node)
		if !ok {
			return path
		}
		x, y = values(x), values(y)
		keys := make([]string, 0, len(x)+len(y))
		for k := range x {
			keys = append(keys, k)
		}
		for k := range y {
			if _, ok := x[k]; !ok {
				keys = append(keys, k)
			}
		}
		sort.Strings(keys)
		for _, k := range keys {
			if k == "query_location" {
				continue
			}
			if d := difference(x[k], y[k], path+"."+k); d != "" {
				return d
			}
		}
		return ""
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return path
		}
		for i := range x {
			if d := difference(x[i], y[i], fmt.Sprintf("%s[%d]", path, i)); d != "" {
				return d
			}
		}
		return ""
	}
	if a != b {
		return path
	}
	return ""
}

// values takes off the SELECT * FROM (VALUES …) that each printing puts around
// a list of values.
func values(n node) node {
	for {
		if str(n, "type") != "SUBQUERY" || n["class"] != nil || len(list(n, "column_name_alias")) > 0 {
			return n
		}
		q := obj(obj(n, "subquery"), "node")
		from := obj(q, "from_table")
		sel := nodes(q, "select_list")
		if len(sel) != 1 || str(sel[0], "class") != "STAR" || str(from, "type") != "EXPRESSION_LIST" && str(from, "type") != "SUBQUERY" ||
			len(list(q, "modifiers")) > 0 || q["where_clause"] != nil || str(n, "alias") != str(values(from), "alias") {
			return n
		}
		n = from
	}
}
