package athena

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// operand is a rewritten expression and what is known of its values.
type operand struct {
	node  node
	typ   typ
	label string // the result column's name when the query gives none
}

// key is one step below a value: a name, or a place in an array from 1 (from
// the end when negative).
type key struct {
	name  string
	index int64
	isInt bool
}

// expr rewrites an expression. loc is the place of what is around it.
func (r *rewriter) expr(n node, s *scope, loc int) (operand, error) {
	loc = location(n, loc)
	switch class := str(n, "class"); class {
	case "COLUMN_REF":
		return r.resolve(strs(n, "column_names"), nil, s, loc)
	case "CONSTANT":
		if v := obj(n, "value"); str(obj(v, "type"), "id") == "DOUBLE" && !isNull(n) {
			// DuckDB prints 7e0 as 7.0, which it reads as a DECIMAL.
			return operand{node: castNode(textNode(str(v, "value")), "DOUBLE", false), typ: tFloat}, nil
		}
		return operand{node: n, typ: constType(n)}, nil
	case "OPERATOR":
		return r.operator(n, s, loc)
	case "FUNCTION":
		return r.call(n, s, loc)
	case "CAST":
		return r.cast(n, s, loc)
	case "WINDOW":
		return r.window(n, s, loc)
	case "COMPARISON":
		a, err := r.expr(obj(n, "left"), s, loc)
		if err != nil {
			return operand{}, err
		}
		b, err := r.expr(obj(n, "right"), s, loc)
		if err != nil {
			return operand{}, err
		}
		a, b = coerce(a, b)
		n["left"], n["right"] = a.node, b.node
		return operand{node: n, typ: typ{kind: kBool}}, nil
	case "BETWEEN":
		return r.between(n, s, loc)
	case "CONJUNCTION":
		l, err := r.exprList(nodes(n, "children"), s, loc)
		n["children"] = l
		return operand{node: n, typ: typ{kind: kBool}}, err
	case "CASE":
		return r.caseExpr(n, s, loc)
	case "SUBQUERY":
		return r.subquery(n, s, loc)
	case "LAMBDA":
		return operand{}, r.fault(loc, "a lambda (x -> …) can only be an argument of a function that takes one")
	case "STAR":
		return operand{}, r.fault(loc, "* can only stand in a select list or in count(*)")
	default:
		return operand{}, r.fault(loc, "%s expressions are not supported", strings.ToLower(class))
	}
}

func (r *rewriter) exprList(in []node, s *scope, loc int) ([]any, error) {
	out := make([]any, 0, len(in))
	for _, x := range in {
		e, err := r.expr(x, s, loc)
		if err != nil {
			return nil, err
		}
		out = append(out, e.node)
	}
	return out, nil
}

func constType(n node) typ {
	if isNull(n) {
		return typ{kind: kNull}
	}
	return castType(obj(obj(n, "value"), "type"))
}

// isLiteral says whether a node is a constant that the user wrote.
func isLiteral(n node) bool { return str(n, "class") == "CONSTANT" }

// resolve finds what a name means, with the keys below it.
func (r *rewriter) resolve(names []string, keys []key, s *scope, loc int) (operand, error) {
	if len(names) == 0 {
		return operand{}, r.fault(loc, "malformed syntax tree at a column")
	}
	for x := s; x != nil; x = x.outer {
		if t, ok := x.params[strings.ToLower(names[0])]; ok {
			return r.access(operand{node: columnNode(names[0]), typ: t}, append(nameKeys(names[1:]), keys...), loc)
		}
	}
	if len(names) == 1 {
		if n, t, ok := r.special(strings.ToLower(names[0])); ok {
			return r.access(operand{node: n, typ: t}, keys, loc)
		}
	}
	// With a qualifier: t.column, db.t.column.
	if rel, in, n := s.relationNamed(names); rel != nil {
		op, st, hint, err := r.pick(rel, in, names[n:], keys, s, loc)
		if err != nil {
			return operand{}, err
		}
		if st == none {
			return operand{}, r.unknown(names[n:], rel.alias, hint, []*relation{rel}, loc)
		}
		return op, nil
	}
	// Without: the innermost FROM that surely has the column, or the select
	// list's own name.
	var hint string
	for x := s; x != nil; x = x.outer {
		for _, m := range x.merged {
			if strings.EqualFold(m.name, names[0]) {
				n, err := r.copy(m.node)
				if err != nil {
					return operand{}, err
				}
				return r.access(operand{node: n, typ: m.typ, label: m.name}, append(nameKeys(names[1:]), keys...), loc)
			}
		}
		var found []*relation
		best := weak
		for _, rel := range x.rels {
			_, st, why := rel.find(names, keys)
			switch {
			case st > best:
				found, best = []*relation{rel}, st
			case st == best && st > weak:
				found = append(found, rel)
			}
			if why != "" {
				hint = why
			}
		}
		alias, named := x.aliases[strings.ToLower(names[0])]
		if named && (len(found) == 0 || x.grouping && best < sure) {
			op := operand{node: columnNode(names[0]), typ: alias.typ, label: strings.ToLower(names[0])}
			if alias.node != nil && !isLiteral(alias.node) {
				// What it stands for, so that no column can come between.
				n, err := r.copy(alias.node)
				if err != nil {
					return operand{}, err
				}
				n["alias"] = ""
				op.node = n
			}
			return r.access(op, append(nameKeys(names[1:]), keys...), loc)
		}
		switch len(found) {
		case 1:
			op, _, _, err := r.pick(found[0], x, names, keys, s, loc)
			return op, err
		case 0:
		default:
			return operand{}, r.ambiguous(names, found, loc)
		}
	}
	// Else an open table takes it.
	for x := s; x != nil; x = x.outer {
		var found []*relation
		for _, rel := range x.rels {
			if _, st, _ := rel.find(names, keys); st == weak {
				found = append(found, rel)
			}
		}
		switch len(found) {
		case 1:
			op, _, _, err := r.pick(found[0], x, names, keys, s, loc)
			return op, err
		case 0:
		default:
			return operand{}, r.ambiguous(names, found, loc)
		}
	}
	var rels []*relation
	for x := s; x != nil; x = x.outer {
		rels = append(rels, x.rels...)
	}
	return operand{}, r.unknown(names, "", hint, rels, loc)
}

func nameKeys(names []string) []key {
	out := make([]key, len(names))
	for i, n := range names {
		out[i] = key{name: n}
	}
	return out
}

// pathKeys gives keys as a scan's field path has them: places from 0.
func pathKeys(names []string, keys []key) []string {
	out := slices.Clone(names)
	for _, k := range keys {
		if k.isInt {
			out = append(out, strconv.FormatInt(k.index-1, 10))
		} else {
			out = append(out, k.name)
		}
	}
	return out
}

// find looks a name up in a relation; for a scan with all the keys below it.
func (r *relation) find(names []string, keys []key) (match, strength, string) {
	if r.scan != nil {
		return r.lookup(pathKeys(names, keys))
	}
	return r.lookup(names)
}

// pick makes the reference to a column of a relation.
func (r *rewriter) pick(rel *relation, in *scope, names []string, keys []key, s *scope, loc int) (operand, strength, string, error) {
	m, st, hint := rel.find(names, keys)
	if st == none {
		return operand{}, none, hint, nil
	}
	if s.shadowed(rel, in) {
		return operand{}, none, "", r.fault(loc, "%q names a table of the outer query that an inner table of the same name hides: give one of them an alias", strings.Join(names, "."))
	}
	op := operand{node: columnNode(rel.alias, m.name), typ: m.typ, label: m.label}
	if m.col != nil {
		rel.scan.used[m.col.name] = m.col
		if len(keys) > 0 && keys[len(keys)-1].isInt {
			op.label = ""
		}
		return op, st, "", nil
	}
	rest := append(nameKeys(m.rest), keys...)
	op, err := r.access(op, rest, loc)
	return op, st, "", err
}

// unknown is the error for a column that nothing has.
func (r *rewriter) unknown(names []string, table, hint string, rels []*relation, loc int) error {
	name := strings.Join(names, ".")
	msg := "column \"" + name + "\" is not known"
	if table != "" {
		msg += " in " + strconv.Quote(table)
	}
	if hint == "" {
		var all []string
		for _, rel := range rels {
			all = append(all, rel.names()...)
		}
		if n := nearest(name, all); n != "" {
			hint = "did you mean " + n + "?"
		} else if len(rels) == 0 {
			hint = "there is no table in FROM"
		} else if rels[0].scan != nil {
			hint = "SELECT * shows the documented columns"
		}
	}
	return r.src.fault(loc, msg, hint)
}

func (r *rewriter) ambiguous(names []string, rels []*relation, loc int) error {
	var tables []string
	for _, rel := range rels {
		tables = append(tables, rel.alias)
	}
	return r.src.fault(loc, "column \""+strings.Join(names, ".")+"\" is in several tables: "+strings.Join(tables, ", "), "write TABLE."+names[0])
}

// special gives the value of a word that SQL reserves for the time of the query.
func (r *rewriter) special(name string) (node, typ, bool) {
	t := r.now.UTC()
	switch name {
	case "current_timestamp", "localtimestamp":
		return timeNode(t), typ{kind: kTime}, true
	case "current_date":
		return castNode(textNode(t.Format(time.DateOnly)), "DATE", false), typ{kind: kDate}, true
	case "current_time", "localtime":
		return castNode(textNode(t.Format("15:04:05.000000")), "TIME", false), typ{}, true
	}
	return nil, typ{}, false
}

func timeNode(t time.Time) node {
	return castNode(textNode(t.UTC().Format("2006-01-02 15:04:05.000000")), "TIMESTAMP", false)
}

// access goes below a value.
func (r *rewriter) access(op operand, keys []key, loc int) (operand, error) {
	for len(keys) > 0 {
		k := keys[0]
		switch op.typ.kind {
		case kJSON, kStrict:
			// All keys at once; of what is no JSON, or has no such member, null.
			path := jsonPath(op.typ, keys)
			label := ""
			if last := keys[len(keys)-1]; !last.isInt {
				label = strings.ToLower(last.name)
			}
			n := op.node
			if op.typ.kind == kJSON {
				n = jsonCastNode(n, true)
			}
			return operand{node: callNode("json_extract_string", n, textNode(path)), typ: typ{kind: kJSON, keys: op.typ.keys}, label: label}, nil
		case kList:
			if !k.isInt {
				return op, r.fault(loc, "an array has no field %q", k.name)
			}
			op = operand{node: operatorNode("ARRAY_EXTRACT", op.node, intNode(k.index)), typ: op.typ.element()}
		case kMap:
			arg := textNode(k.name)
			if k.isInt {
				arg = intNode(k.index)
			}
			op = operand{node: operatorNode("ARRAY_EXTRACT", op.node, arg), typ: op.typ.element()}
		case kRow, kUnknown:
			if k.isInt {
				op = operand{node: operatorNode("ARRAY_EXTRACT", op.node, intNode(k.index))}
			} else {
				op = operand{node: operatorNode("STRUCT_EXTRACT", op.node, textNode(k.name)), typ: op.typ.fields[strings.ToLower(k.name)], label: strings.ToLower(k.name)}
			}
		default:
			name := k.name
			if k.isInt {
				name = "[" + strconv.FormatInt(k.index, 10) + "]"
			}
			return op, r.fault(loc, "the value has no field %s: it is neither a row, an array nor JSON", name)
		}
		keys = keys[1:]
	}
	return op, nil
}

// chain takes a[1].b['c'] apart into its innermost expression and the keys.
// A key that is no constant ends the chain.
func chain(n node) (node, []key) {
	var rev []key
	for {
		var args []node
		switch {
		case str(n, "class") == "OPERATOR" && (str(n, "type") == "ARRAY_EXTRACT" || str(n, "type") == "STRUCT_EXTRACT"):
			args = nodes(n, "children")
		case str(n, "class") == "FUNCTION" && strings.EqualFold(str(n, "function_name"), "element_at"),
			str(n, "class") == "FUNCTION" && strings.EqualFold(str(n, "function_name"), "struct_extract"):
			args = nodes(n, "children")
		}
		if len(args) != 2 {
			break
		}
		if t, ok := constText(args[1]); ok {
			rev = append(rev, key{name: t})
		} else if i, ok := constInt(args[1]); ok && i != 0 {
			rev = append(rev, key{index: i, isInt: true})
		} else {
			break
		}
		n = args[0]
	}
	slices.Reverse(rev)
	return n, rev
}

func (r *rewriter) operator(n node, s *scope, loc int) (operand, error) {
	switch t := str(n, "type"); t {
	case "ARRAY_EXTRACT", "STRUCT_EXTRACT":
		if base, keys := chain(n); len(keys) > 0 {
			return r.chained(base, keys, s, loc)
		}
		args := nodes(n, "children")
		if len(args) != 2 {
			return operand{}, r.fault(loc, "malformed subscript")
		}
		return r.subscript(args[0], args[1], s, loc)
	case "COMPARE_IN", "COMPARE_NOT_IN":
		return r.in(n, s, loc)
	case "OPERATOR_COALESCE":
		ops, err := r.operands(nodes(n, "children"), s, loc)
		if err != nil {
			return operand{}, err
		}
		n["children"] = nodesOf(ops)
		return operand{node: n, typ: commonType(ops)}, nil
	case "OPERATOR_TRY":
		ops, err := r.operands(nodes(n, "children"), s, loc)
		if err != nil {
			return operand{}, err
		}
		n["children"] = nodesOf(ops)
		return operand{node: n, typ: commonType(ops)}, nil
	case "ARRAY_CONSTRUCTOR":
		ops, err := r.operands(nodes(n, "children"), s, loc)
		if err != nil {
			return operand{}, err
		}
		n["children"] = nodesOf(ops)
		return operand{node: n, typ: listOf(commonType(ops))}, nil
	case "OPERATOR_NOT", "OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL":
		l, err := r.exprList(nodes(n, "children"), s, loc)
		n["children"] = l
		return operand{node: n, typ: typ{kind: kBool}}, err
	case "GROUPING_FUNCTION":
		l, err := r.exprList(nodes(n, "children"), s, loc)
		n["children"] = l
		return operand{node: n, typ: typ{kind: kInt}}, err
	case "ARRAY_SLICE":
		return operand{}, r.src.fault(loc, "a[i:j] is not supported", "write slice(a, start, length)")
	default:
		return operand{}, r.fault(loc, "operator %s is not supported", t)
	}
}

// chained rewrites base and goes below it; a path into a table's column becomes
// a field of its own.
func (r *rewriter) chained(base node, keys []key, s *scope, loc int) (operand, error) {
	if str(base, "class") == "COLUMN_REF" {
		// Only places from 1 on are part of a field's path.
		n := 0
		for n < len(keys) && (!keys[n].isInt || keys[n].index > 0) {
			n++
		}
		op, err := r.resolve(strs(base, "column_names"), keys[:n], s, location(base, loc))
		if err != nil {
			return operand{}, err
		}
		return r.access(op, keys[n:], loc)
	}
	op, err := r.expr(base, s, loc)
	if err != nil {
		return operand{}, err
	}
	return r.access(op, keys, loc)
}

// subscript is a[e] with an e that is computed.
func (r *rewriter) subscript(a, i node, s *scope, loc int) (operand, error) {
	op, err := r.expr(a, s, loc)
	if err != nil {
		return operand{}, err
	}
	idx, err := r.expr(i, s, loc)
	if err != nil {
		return operand{}, err
	}
	if op.typ.kind != kMap {
		if op, err = r.asList(op, loc); err != nil {
			return operand{}, err
		}
	}
	return operand{node: operatorNode("ARRAY_EXTRACT", op.node, idx.node), typ: op.typ.element()}, nil
}

func (r *rewriter) operands(in []node, s *scope, loc int) ([]operand, error) {
	out := make([]operand, 0, len(in))
	for _, x := range in {
		e, err := r.expr(x, s, loc)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func nodesOf(ops []operand) []any {
	out := make([]any, len(ops))
	for i, o := range ops {
		out[i] = o.node
	}
	return out
}

// commonType is the type of a value that may be any of the operands.
func commonType(ops []operand) typ {
	t := typ{kind: kNull}
	for _, o := range ops {
		switch {
		case o.typ.kind == kNull:
		case t.kind == kNull:
			t = o.typ
		case t.kind == o.typ.kind:
		case t.textual() && o.typ.textual():
			t = typ{kind: kText}
		case t.numeric() && o.typ.numeric():
			t = typ{kind: max(min(t.kind, kDecimal), min(o.typ.kind, kDecimal))}
			if t.kind == kDecimal && slices.ContainsFunc(ops, func(o operand) bool { return o.typ.kind == kFloat }) {
				t.kind = kFloat
			}
		default:
			return typ{}
		}
	}
	return t
}

func (r *rewriter) in(n node, s *scope, loc int) (operand, error) {
	ops, err := r.operands(nodes(n, "children"), s, loc)
	if err != nil {
		return operand{}, err
	}
	if len(ops) < 2 {
		return operand{}, r.fault(loc, "malformed IN")
	}
	first := ops[0]
	for i := 1; i < len(ops); i++ {
		if ops[i].typ.kind == kNull {
			continue
		}
		a, b := coerce(ops[0], ops[i])
		if first.typ.kind == ops[0].typ.kind {
			first = a
		}
		ops[i] = b
	}
	ops[0] = first
	n["children"] = nodesOf(ops)
	return operand{node: n, typ: typ{kind: kBool}}, nil
}

func (r *rewriter) between(n node, s *scope, loc int) (operand, error) {
	ops, err := r.operands([]node{obj(n, "input"), obj(n, "lower"), obj(n, "upper")}, s, loc)
	if err != nil {
		return operand{}, err
	}
	a, lo := coerce(ops[0], ops[1])
	_, hi := coerce(ops[0], ops[2])
	n["input"], n["lower"], n["upper"] = a.node, lo.node, hi.node
	return operand{node: n, typ: typ{kind: kBool}}, nil
}

func (r *rewriter) caseExpr(n node, s *scope, loc int) (operand, error) {
	var results []operand
	for _, c := range nodes(n, "case_checks") {
		when, err := r.expr(obj(c, "when_expr"), s, loc)
		if err != nil {
			return operand{}, err
		}
		then, err := r.expr(obj(c, "then_expr"), s, loc)
		if err != nil {
			return operand{}, err
		}
		c["when_expr"], c["then_expr"] = when.node, then.node
		results = append(results, then)
	}
	e, err := r.expr(obj(n, "else_expr"), s, loc)
	if err != nil {
		return operand{}, err
	}
	n["else_expr"] = e.node
	return operand{node: n, typ: commonType(append(results, e))}, nil
}

func (r *rewriter) subquery(n node, s *scope, loc int) (operand, error) {
	cols, err := r.query(obj(obj(n, "subquery"), "node"), s, loc)
	if err != nil {
		return operand{}, err
	}
	if c := obj(n, "child"); c != nil {
		e, err := r.expr(c, s, loc)
		if err != nil {
			return operand{}, err
		}
		if len(cols) == 1 {
			e, _ = coerce(e, operand{typ: cols[0].typ, node: columnNode("")})
		}
		n["child"] = e.node
	}
	t := typ{kind: kBool}
	if str(n, "subquery_type") == "SCALAR" && len(cols) == 1 {
		t = cols[0].typ
	}
	return operand{node: n, typ: t}, nil
}

func (r *rewriter) window(n node, s *scope, loc int) (operand, error) {
	name := strings.ToLower(str(n, "function_name"))
	w, ok := windowFunctions[name]
	if !ok {
		return operand{}, r.src.fault(loc, "\""+name+"\" is no window function", nearestHint(name, windowNames))
	}
	ops, err := r.operands(nodes(n, "children"), s, loc)
	if err != nil {
		return operand{}, err
	}
	if w.number {
		for i := range ops {
			ops[i] = asNumber(ops[i])
		}
	}
	n["children"] = nodesOf(ops)
	n["function_name"], n["schema"] = w.name, ""
	if n["partitions"], err = r.exprList(nodes(n, "partitions"), s, loc); err != nil {
		return operand{}, err
	}
	for _, k := range []string{"orders", "arg_orders"} {
		for _, o := range nodes(n, k) {
			e, err := r.expr(obj(o, "expression"), s, loc)
			if err != nil {
				return operand{}, err
			}
			o["expression"] = e.node
		}
	}
	for _, k := range []string{"start_expr", "end_expr", "offset_expr", "default_expr", "filter_expr"} {
		if c := obj(n, k); c != nil {
			e, err := r.expr(c, s, loc)
			if err != nil {
				return operand{}, err
			}
			n[k] = e.node
		}
	}
	t := w.typ
	if w.asArg && len(ops) > 0 {
		t = ops[0].typ
	}
	if w.bigint && len(ops) > 0 && ops[0].typ.kind == kInt {
		return operand{node: castNode(n, "BIGINT", false), typ: typ{kind: kInt}}, nil
	}
	return operand{node: n, typ: t}, nil
}

// asNumber makes text a number, so that fields of which only the records know
// the type can be counted with. What is no number is null.
func asNumber(op operand) operand {
	if op.typ.textual() && !isLiteral(op.node) {
		return operand{node: castNode(op.node, "DOUBLE", true), typ: typ{kind: kFloat}}
	}
	return op
}

// asTime makes text and dates a timestamp in UTC.
func asTime(op operand) operand {
	switch {
	case op.typ.textual():
		return operand{node: utc(castNode(op.node, "TIMESTAMP WITH TIME ZONE", false)), typ: typ{kind: kTime}}
	case op.typ.kind == kDate:
		return operand{node: castNode(op.node, "TIMESTAMP", false), typ: typ{kind: kTime}}
	}
	return op
}

// utc turns a timestamp with a zone into the time in UTC.
func utc(n node) node { return callNode("timezone", textNode("UTC"), n) }

// asList makes an array of JSON; of what is no JSON array, null.
func (r *rewriter) asList(op operand, loc int) (operand, error) {
	switch op.typ.kind {
	case kList, kUnknown, kNull:
		return op, nil
	case kJSON, kStrict:
		// JSON's array becomes a list of text: strings without quotes, objects
		// and arrays as JSON. That is kJSON again.
		n := op.node
		if op.typ.kind == kJSON {
			n = jsonCastNode(n, true)
		}
		c := castNode(n, "", true)
		c["cast_type"] = listType("VARCHAR")
		return operand{node: c, typ: listOf(typ{kind: kJSON, keys: op.typ.keys})}, nil
	}
	return op, r.fault(loc, "an array was expected")
}

func listType(elem string) node {
	return node{"id": "LIST", "type_info": node{"type": "LIST_TYPE_INFO", "alias": "", "extension_info": nil,
		"child_type": node{"id": elem, "type_info": nil}}}
}

// coerce makes two operands comparable as Athena's users expect: text with a
// number compares as a number, with a time as a time. Text that cannot be read
// so is null, unless it is a constant: then the query is wrong.
func coerce(a, b operand) (operand, operand) {
	if b.typ.textual() && !a.typ.textual() {
		b = textAs(b, a.typ)
		if isDay(b) && a.typ.kind == kTime {
			a = operand{node: castNode(a.node, "DATE", false), typ: typ{kind: kDate}}
		}
		return a, b
	}
	if a.typ.textual() && !b.typ.textual() {
		a = textAs(a, b.typ)
		if isDay(a) && b.typ.kind == kTime {
			b = operand{node: castNode(b.node, "DATE", false), typ: typ{kind: kDate}}
		}
	}
	return a, b
}

// isDay says whether an operand is the date that textAs made of '2021/07/01'.
func isDay(op operand) bool { return op.typ.kind == kDate && str(op.node, "class") == "CAST" }

// textAs reads text as a value of the given type.
func textAs(op operand, as typ) operand {
	literal := isLiteral(op.node)
	switch as.kind {
	case kInt, kFloat, kDecimal:
		if !literal {
			return operand{node: castNode(op.node, "DOUBLE", true), typ: typ{kind: kFloat}}
		}
	case kTime:
		if t, ok := constText(op.node); ok {
			// Partition projection compares days as text: '2021/07/31' is that
			// whole day, not its first moment.
			if _, err := time.Parse("2006/01/02", t); err == nil {
				return operand{node: castNode(op.node, "DATE", false), typ: typ{kind: kDate}}
			}
		}
		return operand{node: utc(castNode(op.node, "TIMESTAMP WITH TIME ZONE", !literal)), typ: typ{kind: kTime}}
	case kDate:
		return operand{node: castNode(op.node, "DATE", !literal), typ: typ{kind: kDate}}
	case kBool:
		return operand{node: castNode(op.node, "BOOLEAN", !literal), typ: typ{kind: kBool}}
	case kStrict:
		if !literal {
			return operand{node: jsonCastNode(op.node, true), typ: typ{kind: kStrict}}
		}
	}
	return op
}
