package athena

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"trailward/query/plan"
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
		if a.typ.kind == kTime && b.typ.kind == kTime && a.typ.clock != b.typ.clock {
			return operand{}, r.otherClock(loc)
		}
		if a, b, err = r.epochs(a, b); err != nil {
			return operand{}, err
		}
		both := []operand{a, b}
		r.alikeDays(both, s)
		a, b = both[0], both[1]
		if err := r.comparable(a, b, loc); err != nil {
			return operand{}, err
		}
		a, b = coerce(a, b)
		n["left"], n["right"] = a.node, b.node
		return operand{node: r.heldPosition(n, s), typ: typ{kind: kBool}}, nil
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

// access goes below a value.
func (r *rewriter) access(op operand, keys []key, loc int) (operand, error) {
	for len(keys) > 0 {
		k := keys[0]
		switch op.typ.kind {
		case kJSON, kStrict:
			// All keys at once; of what is no JSON, or has no such member, null.
			path := jsonPath(op.typ, keys, true)
			label := ""
			if last := keys[len(keys)-1]; !last.isInt {
				label = strings.ToLower(last.name)
			}
			return operand{node: callNode(plan.MemberFunction, strictJSON(op).node, textNode(path)), typ: typ{kind: kJSON, keys: op.typ.keys}, label: label}, nil
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
			} else if op.typ.nameless {
				return op, r.src.fault(loc, fmt.Sprintf("the row has no field %q: its fields have no names", k.name), "write [1] for the first, or CAST(… AS row(name type, …))")
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
		} else if i, ok := constInt(args[1]); ok && (i > 0 || i < 0 && str(n, "class") == "FUNCTION") {
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
		return r.subscript(args[0], args[1], false, s, loc)
	case "COMPARE_IN", "COMPARE_NOT_IN":
		return r.in(n, s, loc)
	case "OPERATOR_COALESCE":
		ops, err := r.operands(nodes(n, "children"), s, loc)
		if err != nil {
			return operand{}, err
		}
		alike(ops)
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
	at := location(base, loc) // its own is lost when it becomes another node
	op, err := r.expr(base, s, loc)
	if err != nil {
		return operand{}, err
	}
	return r.access(op, keys, at)
}

// subscript is a[e] with an e that is computed.
// element_at counts from the end with a minus.
func (r *rewriter) subscript(a, i node, at bool, s *scope, loc int) (operand, error) {
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
		wrong := `"@1" < 1`
		if at {
			wrong = `"@1" = 0`
		}
		if i, ok := constInt(idx.node); ok && (i == 0 || i < 0 && !at) {
			return operand{}, r.src.fault(loc, "an array's places count from 1", "element_at(array, -1) is the last")
		}
		if op.typ.kind != kList {
			return operand{node: operatorNode("ARRAY_EXTRACT", op.node, idx.node), typ: op.typ.element()}, nil
		}
		if idx.node, err = r.template(`CASE WHEN `+wrong+` THEN CAST('array subscript is less than 1' AS BIGINT) ELSE "@1" END`, idx.node); err != nil {
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

// epochs makes a time of a column of whole numbers that is compared with one:
// flow logs' "start" is in seconds since 1970, WAF's timestamp in milliseconds,
// and published queries compare them with current_timestamp. Athena refuses that.
func (r *rewriter) epochs(a, b operand) (operand, operand, error) {
	var err error
	for _, p := range []*operand{&a, &b} {
		other := b.typ.kind
		if p == &b {
			other = a.typ.kind
		}
		if p.typ.kind == kInt && other == kTime && str(p.node, "class") == "COLUMN_REF" {
			p.typ = tZoned
			if p.node, err = r.template(`make_timestamp("@1" * CASE WHEN abs("@1") > 100000000000 THEN 1000 ELSE 1000000 END)`, p.node); err != nil {
				return a, b, err
			}
		}
	}
	return a, b, nil
}

// alike makes values that may stand for one another alike: where one is a field
// that holds JSON, arrays and rows beside it become JSON too.
func alike(ops []operand) {
	if !slices.ContainsFunc(ops, func(o operand) bool { return o.typ.kind == kJSON }) {
		return
	}
	for i, o := range ops {
		if k := o.typ.kind; k == kList || k == kRow || k == kMap {
			ops[i] = operand{node: castNode(callNode("to_json", o.node), "VARCHAR", false), typ: tJSON}
		}
	}
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
			t.scale = max(t.scale, o.typ.scale)
			t.members = commonMembers(t.members, o.typ.members)
			t.clock, t.zoned = t.clock || o.typ.clock, t.zoned && o.typ.zoned
		case t.textual() && o.typ.textual():
			t = typ{kind: kText}
		case t.numeric() && o.typ.numeric():
			t = typ{kind: max(min(t.kind, kDecimal), min(o.typ.kind, kDecimal)), scale: max(t.scale, o.typ.scale)}
			if t.kind == kDecimal && slices.ContainsFunc(ops, func(o operand) bool { return o.typ.kind == kFloat }) {
				t.kind = kFloat
			}
		default:
			return typ{}
		}
	}
	return t
}

// commonMembers are the fields of a value that may be a row of these or of those.
func commonMembers(a, b []member) []member {
	if len(a) != len(b) {
		return nil
	}
	out := slices.Clone(a)
	for i := range out {
		out[i].typ = commonType([]operand{{typ: a[i].typ}, {typ: b[i].typ}})
	}
	return out
}

func (r *rewriter) in(n node, s *scope, loc int) (operand, error) {
	ops, err := r.operands(nodes(n, "children"), s, loc)
	if err != nil {
		return operand{}, err
	}
	if len(ops) < 2 {
		return operand{}, r.fault(loc, "malformed IN")
	}
	r.alikeDays(ops, s)
	first := ops[0]
	for i := 1; i < len(ops); i++ {
		if ops[i].typ.kind == kNull {
			continue
		}
		if err := r.comparable(ops[0], ops[i], loc); err != nil {
			return operand{}, err
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
	for _, o := range ops[1:] {
		if ops[0].typ.kind == kTime && o.typ.kind == kTime && ops[0].typ.clock != o.typ.clock {
			return operand{}, r.otherClock(loc)
		}
	}
	if ops[0], ops[1], err = r.epochs(ops[0], ops[1]); err != nil {
		return operand{}, err
	}
	r.alikeDays(ops, s)
	for _, o := range ops[1:] {
		if err := r.comparable(ops[0], o, loc); err != nil {
			return operand{}, err
		}
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
		c["when_expr"] = when.node
		results = append(results, then)
	}
	e, err := r.expr(obj(n, "else_expr"), s, loc)
	if err != nil {
		return operand{}, err
	}
	results = append(results, e)
	alike(results)
	for i, c := range nodes(n, "case_checks") {
		c["then_expr"] = results[i].node
	}
	n["else_expr"] = results[len(results)-1].node
	return operand{node: n, typ: commonType(results)}, nil
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
	if err := r.misplaced(name, true, loc); err != nil {
		return operand{}, err
	}
	ops, err := r.operands(nodes(n, "children"), s, loc)
	if err != nil {
		return operand{}, err
	}
	r.gathering++
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
