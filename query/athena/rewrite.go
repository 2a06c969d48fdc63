package athena

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"trailward"
	"trailward/query/plan"
)

// rewriter is one pass over a query's tree. It changes the tree in place. The
// first pass finds the scans and their fields; the second is given the types
// that the open scans have.
type rewriter struct {
	src       *source
	serialize func(string) (string, error)
	own       map[string]trailward.Kind
	fields    func(trailward.Kind) *fieldSet
	now       time.Time
	types     []map[string]plan.Type // by scan, nil in the first pass
	laters    []map[string]string    // by scan: columns of later text, by field
	top       *scope                 // of the SELECT that was rewritten last
	scans     []*scan
	matched   string          // the function that counts records, see Options
	holds     bool            // see Options
	guards    []plan.FieldRef // see Query.Guards
	later     []func()        // what is done when all columns that are used are known
	derived   int             // relations that were given a name
	made      []made          // calls and what they became
	selects   []grouped
	gathering int    // aggregates and window functions that were met
	clause    string // in which no aggregate may stand, while it is rewritten
	inside    string // the aggregate whose arguments are rewritten
	moved     int    // nodes of conditions that were moved down, see maxMoved
	narrowed  []bool // by scan, in the second pass: see scan.narrowed
	copied    int    // nodes that were copied, see maxCopied
}

func (r *rewriter) fault(loc int, format string, args ...any) error {
	return r.src.fault(loc, fmt.Sprintf(format, args...), "")
}

// query rewrites a SELECT or a set operation and gives its columns.
func (r *rewriter) query(n node, outer *scope, loc int) ([]outCol, error) {
	clause, inside := r.clause, r.inside
	r.clause, r.inside = "", ""
	defer func() { r.clause, r.inside = clause, inside }()
	s := &scope{outer: outer}
	if err := r.ctes(n, s, loc); err != nil {
		return nil, err
	}
	switch str(n, "type") {
	case "SET_OPERATION_NODE":
		return r.setOperation(n, s, loc)
	case "RECURSIVE_CTE_NODE":
		return nil, r.fault(loc, "WITH RECURSIVE is only supported for an entry of its own")
	}
	return r.selectNode(n, s, loc)
}

// ctes rewrites the entries of WITH, each of which sees those before it.
func (r *rewriter) ctes(n node, s *scope, loc int) error {
	for _, e := range nodes(obj(n, "cte_map"), "map") {
		name := str(e, "key")
		val := obj(e, "value")
		if strings.HasPrefix(name, "@") {
			return r.fault(loc, "WITH name %q begins with @", name)
		}
		if _, twice := s.ctes[strings.ToLower(name)]; twice {
			return r.fault(loc, "WITH name %q is used twice", name)
		}
		var cols []outCol
		var err error
		if q := obj(obj(val, "query"), "node"); str(q, "type") == "RECURSIVE_CTE_NODE" {
			cols, err = r.recursive(q, name, strs(val, "aliases"), s, loc)
		} else if cols, err = r.query(q, &scope{outer: s}, loc); err == nil {
			cols, err = r.rename(cols, strs(val, "aliases"), name, loc)
		}
		if err != nil {
			return err
		}
		if s.ctes == nil {
			s.ctes = map[string]*with{}
		}
		s.ctes[strings.ToLower(name)] = &with{cols: cols}
	}
	return nil
}

// recursive rewrites an entry of WITH RECURSIVE that refers to itself. How often
// it does is bounded by the memory and the time of the query.
func (r *rewriter) recursive(n node, name string, aliases []string, s *scope, loc int) ([]outCol, error) {
	cols, err := r.query(obj(n, "left"), &scope{outer: s}, loc)
	if err != nil {
		return nil, err
	}
	if cols, err = r.rename(cols, aliases, name, loc); err != nil {
		return nil, err
	}
	forgetOrigins(cols)
	in := &scope{outer: s, ctes: map[string]*with{strings.ToLower(name): {cols: cols}}}
	right, err := r.query(obj(n, "right"), in, loc)
	if err != nil {
		return nil, err
	}
	if len(right) != len(cols) {
		return nil, r.fault(loc, "WITH RECURSIVE %s: %d columns, and %d in the part that refers to it", name, len(cols), len(right))
	}
	return cols, nil
}

// rename gives columns the names of a column list.
func (r *rewriter) rename(cols []outCol, names []string, of string, loc int) ([]outCol, error) {
	if len(names) > len(cols) {
		return nil, r.fault(loc, "%s has %d columns, but %d names are given", of, len(cols), len(names))
	}
	out := slices.Clone(cols)
	for i, n := range names {
		out[i].name = n
	}
	return out, nil
}

func (r *rewriter) setOperation(n node, s *scope, loc int) ([]outCol, error) {
	at := firstPlace(obj(n, "right"))
	left, err := r.query(obj(n, "left"), s, loc)
	if err != nil {
		return nil, err
	}
	right, err := r.query(obj(n, "right"), s, loc)
	if err != nil {
		return nil, err
	}
	if len(left) != len(right) {
		return nil, r.src.fault(at, fmt.Sprintf("%s of %d and %d columns", str(n, "setop_type"), len(left), len(right)), "both sides need as many; NULL AS name fills in for one")
	}
	joinOrigins(left, right)
	for i := range left {
		if left[i].typ.kind != right[i].typ.kind {
			left[i].typ = typ{}
			if right[i].typ.textual() {
				left[i].typ = typ{kind: kText}
			}
		}
	}
	in := &scope{aliases: map[string]operand{}}
	for _, c := range left {
		in.aliases[strings.ToLower(c.name)] = operand{typ: c.typ}
	}
	if cutOff(n) {
		forgetOrigins(left)
	}
	return left, r.modifiers(n, in, loc)
}

func (r *rewriter) selectNode(n node, s *scope, loc int) ([]outCol, error) {
	from, err := r.from(obj(n, "from_table"), s, loc)
	if err != nil {
		return nil, err
	}
	n["from_table"] = from
	items, err := r.expandStars(nodes(n, "select_list"), s, loc)
	if err != nil {
		return nil, err
	}
	s.whole = r.groupedWhole(nodes(n, "group_expressions"), items, s)
	s.aliases = map[string]operand{}
	gathering := r.gathering
	out := make([]outCol, 0, len(items))
	selected := make([]any, 0, len(items))
	for i, item := range items {
		e, err := r.expr(item, s, loc)
		if err != nil {
			return nil, err
		}
		name := str(item, "alias")
		if name == "" {
			name = e.label
		}
		if name == "" {
			name = "_col" + itoa(i) // as Athena does
		}
		explicit := str(item, "alias") != ""
		item["alias"] = "" // it may have become an argument of what it is now
		e.node["alias"] = name
		selected = append(selected, e.node)
		out = append(out, outCol{name: name, typ: e.typ, from: []origin{{e.node, s}}})
		if explicit || e.label != "" {
			if _, have := s.aliases[strings.ToLower(name)]; !have {
				s.aliases[strings.ToLower(name)] = operand{node: e.node, typ: e.typ}
			}
		}
	}
	n["select_list"] = selected
	for _, k := range []string{"where_clause", "having", "qualify"} {
		s.grouping = k != "where_clause"
		if c := obj(n, k); c != nil {
			whole := s.whole
			if !s.grouping {
				s.whole, r.clause = nil, "WHERE"
			}
			e, err := r.expr(c, s, loc)
			s.whole, r.clause = whole, ""
			if err != nil {
				return nil, err
			}
			n[k] = e.node
			if k == "where_clause" {
				r.narrow(e.node, s, s.rels)
			}
		}
	}
	r.clause = "GROUP BY"
	groups, err := r.exprList(nodes(n, "group_expressions"), s, loc)
	r.clause = ""
	if err != nil {
		return nil, err
	}
	n["group_expressions"] = groups
	s.grouping = false
	if r.gathering > gathering || len(groups) > 0 || n["having"] != nil || n["qualify"] != nil || n["sample"] != nil || cutOff(n) {
		forgetOrigins(out)
	}
	if err := r.modifiers(n, s, loc); err != nil {
		return nil, err
	}
	if r.gathering > gathering || len(groups) > 0 {
		r.selects = append(r.selects, grouped{n, s})
	}
	r.countable(n, s)
	r.top = s
	return out, nil
}

// firstPlace is where the first of what a query selects stands in the text; -1 if
// nothing says so.
func firstPlace(v any) int {
	first := -1
	switch v := v.(type) {
	case node:
		first = location(v, -1)
		for _, x := range v {
			if at := firstPlace(x); at >= 0 && (first < 0 || at < first) {
				first = at
			}
		}
	case []any:
		for _, x := range v {
			if at := firstPlace(x); at >= 0 && (first < 0 || at < first) {
				first = at
			}
		}
	}
	return first
}

// misplaced is the error for an aggregate, or a window function, where none can
// stand; nil where one can.
func (r *rewriter) misplaced(name string, window bool, loc int) error {
	if name == "count_star" {
		name = "count"
	}
	switch {
	case r.clause != "" && window:
		return r.src.fault(loc, r.clause+" holds a window function, "+name, "give it a name in a subquery, and choose outside: SELECT … FROM (SELECT …, "+name+"(…) OVER (…) AS n …) WHERE n = 1")
	case r.clause == "WHERE":
		return r.src.fault(loc, "WHERE holds an aggregate, "+name, "HAVING, behind GROUP BY, chooses among groups")
	case r.clause != "":
		return r.src.fault(loc, r.clause+" holds an aggregate, "+name, "give it a name in a subquery")
	case r.inside != "":
		return r.src.fault(loc, name+" stands inside "+r.inside+": an aggregate cannot be of another", "give the inner one a name in a subquery")
	}
	return nil
}

// groupedWhole finds the columns of tables that GROUP BY names and that have
// fields: a field of one of them is taken out of the group's value, since a
// column of its own would not be grouped.
func (r *rewriter) groupedWhole(groups, items []node, s *scope) []groupedColumn {
	var out []groupedColumn
	for _, g := range groups {
		if i, ok := constInt(g); ok && i >= 1 && i <= int64(len(items)) {
			g = items[i-1]
		}
		names := strs(g, "column_names")
		if str(g, "class") != "COLUMN_REF" || len(names) == 0 {
			continue
		}
		rels := s.rels
		if rel, in, n := s.relationNamed(names); rel != nil && in == s {
			rels, names = []*relation{rel}, names[n:]
		}
		for _, rel := range rels {
			if rel.scan == nil {
				continue
			}
			if m, st, _ := rel.lookup(names); st >= other && m.col.typ.kind == kJSON && len(m.col.path) > 0 {
				out = append(out, groupedColumn{rel, m.col})
			}
		}
	}
	return out
}

// modifiers rewrites ORDER BY, LIMIT and OFFSET.
func (r *rewriter) modifiers(n node, s *scope, loc int) error {
	for _, m := range nodes(n, "modifiers") {
		switch str(m, "type") {
		case "ORDER_MODIFIER":
			for _, o := range nodes(m, "orders") {
				e := obj(o, "expression")
				if names := strs(e, "column_names"); len(names) == 1 {
					if _, ok := s.aliases[strings.ToLower(names[0])]; ok {
						continue // ORDER BY means the result's column first
					}
				}
				x, err := r.expr(e, s, loc)
				if err != nil {
					return err
				}
				o["expression"] = x.node
			}
		case "LIMIT_MODIFIER":
			for _, k := range []string{"limit", "offset"} {
				c := obj(m, k)
				if c == nil {
					continue
				}
				if i, ok := constInt(c); !(ok && i >= 0) && !isNull(c) {
					return r.fault(location(c, loc), "%s must be a whole number", strings.ToUpper(k))
				}
			}
		}
	}
	return nil
}

// expandStars replaces * and t.* by the columns that they stand for.
func (r *rewriter) expandStars(items []node, s *scope, loc int) ([]node, error) {
	var out []node
	for _, item := range items {
		if str(item, "class") != "STAR" {
			out = append(out, item)
			continue
		}
		at := location(item, loc)
		name := str(item, "relation_name")
		rels := s.rels
		if name != "" {
			rel, _, _ := s.relationNamed([]string{name, ""})
			if rel == nil {
				return nil, r.fault(at, "%s.*: there is no such table in FROM", name)
			}
			rels = []*relation{rel}
		} else {
			for _, m := range s.merged {
				ref := columnNode(m.name)
				ref["alias"] = m.name
				out = append(out, ref)
			}
		}
		if len(rels) == 0 {
			return nil, r.fault(at, "* without FROM")
		}
		for _, rel := range rels {
			for _, c := range rel.starColumns() {
				if name == "" && rel.merged[strings.ToLower(c.name)] {
					continue
				}
				ref := columnNode(rel.alias, c.name)
				ref["alias"] = c.label
				out = append(out, ref)
			}
		}
	}
	return out, nil
}

func (r *relation) starColumns() []starColumn {
	if r.scan != nil {
		return r.scan.table.star
	}
	out := make([]starColumn, len(r.cols))
	for i, c := range r.cols {
		out[i] = starColumn{c.name, c.name}
	}
	return out
}

// from rewrites a table reference and adds what it brings to the scope.
func (r *rewriter) from(n node, s *scope, loc int) (node, error) {
	loc = location(n, loc)
	if o := obj(n, "sample"); o != nil {
		return r.sampled(n, o, s, loc)
	}
	switch str(n, "type") {
	case "EMPTY", "":
		return n, nil
	case "BASE_TABLE":
		return r.baseTable(n, s, loc)
	case "SUBQUERY":
		cols, err := r.query(obj(obj(n, "subquery"), "node"), s, loc)
		if err != nil {
			return nil, err
		}
		if cols, err = r.rename(cols, strs(n, "column_name_alias"), "the subquery", loc); err != nil {
			return nil, err
		}
		return n, r.add(n, &relation{cols: cols}, s, loc)
	case "EXPRESSION_LIST":
		var cols []outCol
		for i, row := range list(n, "values") {
			items, _ := row.([]any)
			for j, x := range items {
				item, _ := x.(node)
				e, err := r.expr(item, s, loc)
				if err != nil {
					return nil, err
				}
				items[j] = e.node
				if i == 0 {
					cols = append(cols, outCol{name: "col" + itoa(j), typ: e.typ})
				}
			}
		}
		return n, r.add(n, &relation{cols: cols}, s, loc)
	case "TABLE_FUNCTION":
		return r.unnest(n, s, loc)
	case "JOIN":
		return r.join(n, s, loc)
	}
	return nil, r.fault(loc, "%s in FROM is not supported", str(n, "type"))
}

// sampled is TABLESAMPLE, of which both methods take each row by itself here.
func (r *rewriter) sampled(n, sample node, s *scope, loc int) (node, error) {
	n["sample"] = nil
	share, err := strconv.ParseFloat(str(obj(sample, "sample_size"), "value"), 64)
	method := strings.ToUpper(str(sample, "method"))
	if err != nil || share < 0 || share > 100 || sample["is_percentage"] == true || method != "BERNOULLI" && method != "SYSTEM" || str(sample, "seed") != "-1" && str(sample, "seed") != "" {
		return nil, r.src.fault(loc, "TABLESAMPLE is not understood", "expected TABLESAMPLE BERNOULLI (p), p being a percentage")
	}
	from, err := r.from(n, s, loc)
	if err != nil {
		return nil, err
	}
	test, err := r.template(`random() * 100 < "@1"`, castNode(textNode(strconv.FormatFloat(share, 'f', -1, 64)), "DOUBLE", false))
	if err != nil {
		return nil, err
	}
	sel := selectNode(from, test)
	sel["select_list"] = []any{node{"class": "STAR", "type": "STAR", "alias": "", "query_location": noLocation, "relation_name": "", "exclude_list": []any{}, "replace_list": []any{},
		"columns": false, "expr": nil, "qualified_exclude_list": []any{}, "rename_list": []any{}}}
	return subqueryRef(sel, str(from, "alias")), nil
}

// add puts a relation into the scope, under the alias of its node; a node
// without one is given one that nobody else has.
func (r *rewriter) add(n node, rel *relation, s *scope, loc int) error {
	rel.alias = str(n, "alias")
	if strings.HasPrefix(rel.alias, "@") {
		return r.fault(loc, "alias %q begins with @", rel.alias)
	}
	if rel.alias == "" {
		rel.alias = "@derived" + itoa(r.derived)
		r.derived++
		n["alias"] = rel.alias
	}
	for _, x := range s.rels {
		if strings.EqualFold(x.alias, rel.alias) {
			return r.fault(loc, "%q is in FROM twice: give one of them an alias", rel.alias)
		}
	}
	s.rels = append(s.rels, rel)
	if rel.scan != nil {
		rel.scan.alias = rel.alias
	}
	return nil
}

func (r *rewriter) baseTable(n node, s *scope, loc int) (node, error) {
	catalog, schema, name := str(n, "catalog_name"), str(n, "schema_name"), str(n, "table_name")
	if catalog == "" && schema == "" {
		if w, ok := s.cte(name); ok {
			w.refs++
			cols, err := r.rename(w.cols, strs(n, "column_name_alias"), name, loc)
			if err != nil {
				return nil, err
			}
			if str(n, "alias") == "" {
				n["alias"] = name
			}
			return n, r.add(n, &relation{cols: cols, with: w}, s, loc)
		}
	}
	kind, ok, hint := tableKind(r.own, schema, name)
	if !ok {
		return nil, r.src.fault(loc, fmt.Sprintf("table %q is not known", name), hint)
	}
	if len(strs(n, "column_name_alias")) > 0 {
		return nil, r.fault(loc, "table %q: a table takes no list of column names", name)
	}
	t := tables[kind]
	if t == nil {
		return nil, r.fault(loc, "table %q: kind %q has no table", name, kind)
	}
	sc := &scan{id: len(r.scans), kind: kind, table: t, fields: r.fields(kind), used: map[string]*column{}}
	if sc.id < len(r.types) {
		sc.types, sc.later = r.types[sc.id], r.laters[sc.id]
	}
	r.scans = append(r.scans, sc)
	rel := &relation{scan: sc}
	if str(n, "alias") == "" {
		rel.quals = []string{catalog, schema, name}
		n["alias"] = name
	}
	n["catalog_name"], n["schema_name"], n["table_name"] = "", "", sc.name()
	return n, r.add(n, rel, s, loc)
}

func (r *rewriter) join(n node, s *scope, loc int) (node, error) {
	start := len(s.rels)
	left, err := r.from(obj(n, "left"), s, loc)
	if err != nil {
		return nil, err
	}
	mid := len(s.rels)
	right, err := r.from(obj(n, "right"), s, loc)
	if err != nil {
		return nil, err
	}
	if str(n, "ref_type") != "CROSS" {
		left = innerJoin(left)
	}
	n["left"], n["right"] = left, innerJoin(right)
	if names := strs(n, "using_columns"); len(names) > 0 {
		if err := r.using(n, names, s, s.rels[start:mid], s.rels[mid:], loc); err != nil {
			return nil, err
		}
		return n, nil
	}
	if c := obj(n, "condition"); c != nil {
		r.clause = "ON"
		e, err := r.expr(c, s, loc)
		r.clause = ""
		if err != nil {
			return nil, err
		}
		n["condition"] = e.node
		switch str(n, "join_type") { // a row that an outer join keeps is kept whatever the condition says
		case "INNER":
			r.narrow(e.node, s, s.rels[start:])
		case "LEFT":
			r.narrow(e.node, s, s.rels[mid:])
		case "RIGHT":
			r.narrow(e.node, s, s.rels[start:mid])
		}
	}
	return n, nil
}

// innerJoin turns a CROSS JOIN that stands inside another join, other than on
// the left of a CROSS JOIN, into JOIN … ON true: DuckDB prints a CROSS JOIN as a
// comma without brackets, which binds differently.
func innerJoin(n node) node {
	if str(n, "type") != "JOIN" || str(n, "ref_type") != "CROSS" {
		return n
	}
	n["ref_type"] = "REGULAR"
	n["condition"] = castNode(textNode("t"), "BOOLEAN", false) // what the parser makes of true
	n["left"] = innerJoin(obj(n, "left"))
	return n
}

// using turns USING into ON: the two sides may know a column by different
// names, and a column of a known table is not one until it is asked for.
func (r *rewriter) using(n node, names []string, s *scope, left, right []*relation, loc int) error {
	var conds []node
	for _, name := range names {
		var l, rt operand
		var err error
		i := slices.IndexFunc(s.merged, func(m merged) bool { return strings.EqualFold(m.name, name) })
		if i >= 0 {
			l.typ = s.merged[i].typ
			if l.node, err = r.copy(s.merged[i].node); err != nil {
				return err
			}
		} else if l, err = r.usingSide(name, left, loc); err != nil {
			return err
		}
		if rt, err = r.usingSide(name, right, loc); err != nil {
			return err
		}
		m := merged{name: name, typ: l.typ}
		l2, err := r.copy(l.node)
		if err != nil {
			return err
		}
		rt2, err := r.copy(rt.node)
		if err != nil {
			return err
		}
		switch str(n, "join_type") {
		case "RIGHT":
			m.node, m.typ = rt2, rt.typ
		case "OUTER", "FULL":
			m.node = operatorNode("OPERATOR_COALESCE", l2, rt2)
		default:
			m.node = l2
		}
		a, b := coerce(l, rt)
		conds = append(conds, node{"class": "COMPARISON", "type": "COMPARE_EQUAL", "alias": "", "query_location": noLocation, "left": a.node, "right": b.node})
		if i >= 0 {
			s.merged[i] = m
		} else {
			s.merged = append(s.merged, m)
		}
	}
	n["using_columns"] = []any{}
	n["condition"] = conds[0]
	if len(conds) > 1 {
		n["condition"] = conjunction("CONJUNCTION_AND", conds...)
	}
	return nil
}

// usingSide finds a USING column on one side of a join.
func (r *rewriter) usingSide(name string, rels []*relation, loc int) (operand, error) {
	var found []operand
	for _, rel := range rels {
		m, st, _ := rel.lookup([]string{name})
		if st == none {
			continue
		}
		if m.col != nil {
			rel.scan.used[m.col.name] = m.col
		}
		if rel.merged == nil {
			rel.merged = map[string]bool{}
		}
		rel.merged[strings.ToLower(m.name)] = true
		found = append(found, operand{node: columnNode(rel.alias, m.name), typ: m.typ})
	}
	if len(found) != 1 {
		return operand{}, r.fault(loc, "USING (%s): %d tables on one side have this column", name, len(found))
	}
	return found[0], nil
}

// unnest rewrites UNNEST(a, …) in FROM to a subquery that unnests in its select
// list, which takes several arrays and maps.
func (r *rewriter) unnest(n node, s *scope, loc int) (node, error) {
	args := nodes(obj(n, "function"), "children")
	if len(args) == 0 {
		return nil, r.fault(loc, "UNNEST takes an array")
	}
	names := strs(n, "column_name_alias")
	ordinality := str(n, "with_ordinality") == "WITH_ORDINALITY"
	want := len(names)
	if ordinality {
		want--
	}
	arrays, err := r.unnested(args, s, loc)
	if err != nil {
		return nil, err
	}
	// Rows become a column for each field, save where one name is given for each
	// array: it means the rows.
	spread := want != len(arrays)
	var cols []outCol
	var items []node
	for _, l := range arrays {
		row := l.typ.element()
		if row.kind != kRow || len(row.members) == 0 || !spread && len(row.members) > 1 {
			items = append(items, l.node)
			name := l.label
			if name == "" {
				name = "unnest" + itoa(len(cols))
			}
			cols = append(cols, outCol{name: name, typ: row})
			continue
		}
		for i, m := range row.members {
			again, err := r.copy(l.node)
			if err != nil {
				return nil, err
			}
			place := intNode(int64(i + 1))
			if !row.nameless {
				place = textNode(m.name)
			}
			item, err := r.template(`list_transform("@1", lambda "@e": struct_extract("@e", "@2"))`, again, place)
			if err != nil {
				return nil, err
			}
			items = append(items, item)
			name := m.name
			if name == "" {
				name = "unnest" + itoa(len(cols))
			}
			cols = append(cols, outCol{name: name, typ: m.typ})
		}
	}
	if len(items) == 1 && want > 1 && cols[0].typ.kind == kJSON && cols[0].typ.keys != nil {
		return r.unnestRows(n, items[0], cols[0].typ, names, ordinality, s, loc)
	}
	if len(items) > 1 && ordinality {
		// One more list: the numbers up to the length of the longest.
		var all []node
		for _, x := range items {
			again, err := r.copy(x)
			if err != nil {
				return nil, err
			}
			if again, err = r.template(`coalesce(len("@1"), 0)`, again); err != nil {
				return nil, err
			}
			all = append(all, again)
		}
		numbers, err := r.template(`range(1, "@1" + 1)`, callNode("greatest", all...))
		if err != nil {
			return nil, err
		}
		items = append(items, numbers)
		cols = append(cols, outCol{name: "ordinality", typ: typ{kind: kInt}})
	}
	if len(items) == 1 {
		obj(n, "function")["children"] = []any{items[0]}
		if ordinality {
			cols = append(cols, outCol{name: "ordinality", typ: typ{kind: kInt}})
		} else {
			cols[0].name = "unnest"
		}
		cols, err = r.rename(cols, names, "UNNEST", loc)
		if err != nil {
			return nil, err
		}
		if str(n, "alias") == "" && len(names) > 0 {
			return nil, r.fault(loc, "UNNEST with column names needs a name itself: AS t(…)")
		}
		return n, r.add(n, &relation{cols: cols}, s, loc)
	}
	var sel []any
	for i, x := range items {
		u := callNode("unnest", x)
		u["alias"] = cols[i].name
		sel = append(sel, u)
	}
	return r.lateral(n, sel, node{"type": "EMPTY", "alias": "", "sample": nil, "query_location": noLocation}, cols, names, s, loc)
}

// unnested rewrites the arguments of UNNEST to arrays; a map is two, whose labels
// say which.
func (r *rewriter) unnested(args []node, s *scope, loc int) ([]operand, error) {
	var out []operand
	for _, a := range args {
		if str(a, "alias") != "" {
			return nil, r.fault(loc, "UNNEST takes no named arguments")
		}
		e, err := r.expr(a, s, loc)
		if err != nil {
			return nil, err
		}
		if e.typ.kind == kMap {
			again, err := r.copy(e.node)
			if err != nil {
				return nil, err
			}
			out = append(out, operand{node: callNode("map_keys", e.node), typ: listOf(tText), label: "key"},
				operand{node: callNode("map_values", again), typ: listOf(e.typ.element()), label: "value"})
			continue
		}
		l, err := r.asList(e, loc)
		if err != nil {
			return nil, err
		}
		l.label = ""
		out = append(out, l)
	}
	return out, nil
}

// unnestRows is UNNEST of an array of rows into one column for each field, as
// Trino does it: AS t(arn, accountid, type). The fields are known by their
// names, in the order that the caller gives.
func (r *rewriter) unnestRows(n node, array node, elem typ, names []string, ordinality bool, s *scope, loc int) (node, error) {
	if ordinality {
		return nil, r.fault(loc, "UNNEST of rows into columns WITH ORDINALITY is not supported")
	}
	inner := node{"type": "TABLE_FUNCTION", "alias": "@row", "sample": nil, "query_location": noLocation,
		"function": callNode("unnest", array), "column_name_alias": []any{"e"}, "with_ordinality": "WITHOUT_ORDINALITY"}
	var sel []any
	var cols []outCol
	for _, name := range names {
		if elem.keys[strings.ToLower(name)] == "" {
			return nil, r.fault(loc, "UNNEST: the rows have no field %q; name one column for the whole row instead", name)
		}
		e, err := r.access(operand{node: columnNode("@row", "e"), typ: elem}, []key{{name: name}}, loc)
		if err != nil {
			return nil, err
		}
		e.node["alias"] = name
		sel = append(sel, e.node)
		cols = append(cols, outCol{name: name, typ: e.typ})
	}
	return r.lateral(n, sel, inner, cols, nil, s, loc)
}

// lateral replaces a table function by a subquery.
func (r *rewriter) lateral(n node, sel []any, from node, cols []outCol, names []string, s *scope, loc int) (node, error) {
	sub := node{
		"type": "SELECT_NODE", "modifiers": []any{}, "cte_map": node{"map": []any{}}, "select_list": sel, "from_table": from,
		"where_clause": nil, "group_expressions": []any{}, "group_sets": []any{}, "aggregate_handling": "STANDARD_HANDLING",
		"having": nil, "sample": nil, "qualify": nil,
	}
	l := make([]any, len(names))
	for i, x := range names {
		l[i] = x
	}
	ref := node{"type": "SUBQUERY", "alias": str(n, "alias"), "sample": nil, "query_location": noLocation,
		"subquery": node{"node": sub, "named_param_map": []any{}}, "column_name_alias": l}
	cols, err := r.rename(cols, names, "UNNEST", loc)
	if err != nil {
		return nil, err
	}
	return ref, r.add(ref, &relation{cols: cols}, s, loc)
}
