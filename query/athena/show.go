package athena

import (
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"

	"trailward"
	"trailward/query/plan"
)

// SHOW and DESCRIBE: what tables there are, and which columns they have. The
// answer becomes a SELECT from a list of values, which goes the way of any other.

// show gives the SELECT that answers SHOW … or DESCRIBE …, or "" if the text is
// neither.
func show(src *source, opts Options) (string, error) {
	toks, err := src.tokens()
	if err != nil || len(toks) == 0 {
		return "", nil // the parser will say so
	}
	if last := toks[len(toks)-1]; src.text[last.start:last.end] == ";" {
		toks = toks[:len(toks)-1]
	}
	word := func(i int) string {
		if i < len(toks) && toks[i].kind == tokWord {
			return strings.ToUpper(src.text[toks[i].start:toks[i].end])
		}
		return ""
	}
	fault := func(i int, msg, hint string) error {
		off := len(src.text)
		if i < len(toks) {
			off = toks[i].start
		}
		l, c := position(src.text, off)
		return &plan.Error{Line: l, Col: c, Msg: msg, Hint: hint}
	}
	name := func(i int) (table string, next int) { // the last part of a.b.c
		for ; i < len(toks) && toks[i].kind != tokString && toks[i].kind != tokPunct; i += 2 {
			k := toks[i]
			table, next = src.text[k.start:k.end], i+1
			if k.kind == tokQuoted || k.kind == tokTick {
				q := table[:1]
				table = strings.ReplaceAll(table[1:len(table)-1], q+q, q)
			}
			if next >= len(toks) || src.text[toks[next].start] != '.' {
				break
			}
		}
		return table, next
	}
	columns := func(i int, answer func(kind trailward.Kind) string) (string, error) {
		table, next := name(i)
		if table == "" {
			return "", fault(i, "the name of a table is missing", "SHOW TABLES lists them")
		}
		kind, ok, hint := tableKind(opts.Tables, "", table)
		if !ok || tables[kind] == nil {
			return "", fault(i, fmt.Sprintf("table %q is not known", table), hint)
		}
		if next < len(toks) {
			return "", fault(next, "unexpected text behind the table", "")
		}
		return answer(kind), nil
	}
	switch word(0) {
	case "DESCRIBE", "DESC":
		i := 1
		if w := word(i); len(toks) > 2 && (w == "EXTENDED" || w == "FORMATTED" || w == "TABLE") {
			i++
		}
		return columns(i, func(k trailward.Kind) string {
			return valuesSQL([]string{"col_name", "data_type", "comment"}, describeTable(k, opts))
		})
	case "SHOW":
	default:
		return "", nil
	}
	switch word(1) {
	case "TABLES":
		i := 2
		if w := word(i); w == "IN" || w == "FROM" {
			_, i = name(i + 1)
		}
		if word(i) == "LIKE" {
			i++
		}
		like := ""
		if i > 0 && i < len(toks) && toks[i].kind == tokString {
			like = strings.Trim(src.text[toks[i].start:toks[i].end], "'")
			i++
		}
		if i != len(toks) {
			return "", fault(i, "SHOW TABLES is not understood", "expected SHOW TABLES, or SHOW TABLES 'pattern*'")
		}
		var rows [][]string
		for _, n := range tableList(opts.Tables) {
			ok := like == ""
			for p := range strings.SplitSeq(like, "|") { // as Athena has it: * is anything, | is or
				m, err := path.Match(strings.ReplaceAll(p, "%", "*"), n)
				ok = ok || err == nil && m
			}
			if ok {
				rows = append(rows, []string{n})
			}
		}
		return valuesSQL([]string{"tab_name"}, rows), nil
	case "COLUMNS":
		if w := word(2); w != "IN" && w != "FROM" {
			return "", fault(2, "SHOW COLUMNS is not understood", "expected SHOW COLUMNS FROM table")
		}
		return columns(3, func(k trailward.Kind) string {
			rows := describeTable(k, opts)
			for i := range rows {
				rows[i] = rows[i][:1]
			}
			return valuesSQL([]string{"field"}, rows)
		})
	case "DATABASES", "SCHEMAS":
		return valuesSQL([]string{"database_name"}, [][]string{{"default"}}), nil
	}
	return "", fault(1, "only SHOW TABLES, SHOW COLUMNS FROM table, SHOW DATABASES and DESCRIBE table tell what is here", "there are no partitions, views or definitions of tables to show")
}

// valuesSQL is a SELECT of rows of text.
func valuesSQL(names []string, rows [][]string) string {
	var cols []string
	for _, n := range names {
		cols = append(cols, quoteIdent(n))
	}
	where := ""
	if len(rows) == 0 {
		rows, where = [][]string{make([]string, len(names))}, " WHERE false"
	}
	var b strings.Builder
	for i, r := range rows {
		if i > 0 {
			b.WriteString(", ")
		}
		vals := make([]string, len(r))
		for j, v := range r {
			vals[j] = quoteString(v)
		}
		b.WriteString("(" + strings.Join(vals, ", ") + ")")
	}
	return "SELECT " + strings.Join(cols, ", ") + " FROM (VALUES " + b.String() + ") AS t(" + strings.Join(cols, ", ") + ")" + where
}

// tableList lists the names of tables, in order.
func tableList(own map[string]trailward.Kind) []string {
	var all []string
	for n := range tableNames {
		all = append(all, n)
	}
	for n := range own {
		all = append(all, n)
	}
	sort.Strings(all)
	return slices.Compact(all)
}

// maxDescribed is how many fields of the records DESCRIBE lists behind a table's
// own columns.
const maxDescribed = 2000

// describeTable gives the name, the type and a remark for each column of a table: the
// documented ones, then the fields that the records have beside these.
func describeTable(of trailward.Kind, opts Options) [][]string {
	t := tables[of]
	var rows [][]string
	seen := map[string]bool{}
	add := func(name, typ, comment string) {
		if k := strings.ToLower(name); !seen[k] {
			seen[k] = true
			rows = append(rows, []string{name, typ, comment})
		}
	}
	hive := map[kind]string{kText: "string", kInt: "bigint", kFloat: "double", kBool: "boolean", kTime: "timestamp", kDate: "date", kPtr: "string"}
	typeOf := func(c *column) (string, string) {
		if c.typ.kind == kJSON {
			if c.closed {
				return "struct", "its fields are reached by dots"
			}
			return "string", "JSON; its fields are reached by dots"
		}
		return hive[c.typ.kind], ""
	}
	for _, s := range t.star {
		if c := t.cols[strings.ToLower(s.name)]; c != nil {
			typ, comment := typeOf(c)
			add(s.label, typ, comment)
		}
	}
	var more []string
	for n := range t.cols {
		more = append(more, n)
	}
	sort.Strings(more)
	for _, n := range more {
		if c := t.cols[n]; c.name == n && c.sys == "" && c.calc == nil {
			typ, comment := typeOf(c)
			add(n, typ, comment)
		}
	}
	if opts.Fields == nil {
		return rows
	}
	for i, p := range opts.Fields(of) {
		if i == maxDescribed {
			break
		}
		add(p, "string", "a field of the records")
	}
	return rows
}
