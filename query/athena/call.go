package athena

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
)

// call is one function call that is being translated.
type call struct {
	r    *rewriter
	s    *scope
	name string // in lower case
	node node   // the call, with its arguments not yet rewritten
	raw  []node // the arguments as written
	args []operand
	loc  int
}

func (c *call) fault(format string, args ...any) error {
	return c.r.fault(c.loc, c.name+": "+format, args...)
}

// function says how calls of one function are translated.
type function struct {
	min, max int // arguments; max < 0: any number
	// agg says that it is an aggregate: it may have DISTINCT, FILTER and ORDER BY.
	agg bool
	// lambda lists the arguments that are lambdas; they are left in raw.
	lambda []int
	build  func(c *call) (operand, error)
}

// call translates a function call.
func (r *rewriter) call(n node, s *scope, loc int) (operand, error) {
	name := strings.ToLower(str(n, "function_name"))
	if op, ok, err := r.arithmetic(n, name, s, loc); ok || err != nil {
		return op, err
	}
	if name == "element_at" || name == "struct_extract" {
		if base, keys := chain(n); len(keys) > 0 {
			return r.chained(base, keys, s, loc)
		}
		if c := nodes(n, "children"); len(c) == 2 {
			return r.subscript(c[0], c[1], name == "element_at", s, loc)
		}
	}
	f, ok := functions[name]
	if _, window := windowFunctions[name]; !ok && window {
		return operand{}, r.src.fault(loc, name+" is a window function", "write "+name+"(…) OVER (…)")
	}
	if !ok {
		return operand{}, r.src.fault(loc, fmt.Sprintf("function %q is not known", name), nearestHint(name, functionNames))
	}
	c := &call{r: r, s: s, name: name, node: n, raw: nodes(n, "children"), loc: loc}
	if len(c.raw) < f.min || f.max >= 0 && len(c.raw) > f.max {
		return operand{}, r.src.fault(loc, fmt.Sprintf("%s: %d arguments; it takes %s", name, len(c.raw), argCount(f)), fewerArguments[name])
	}
	if !f.agg {
		d, _ := n["distinct"].(bool)
		if d || obj(n, "filter") != nil || len(list(obj(n, "order_bys"), "orders")) > 0 {
			return operand{}, c.fault("it is no aggregate: it takes no DISTINCT, FILTER or ORDER BY")
		}
	}
	if f.agg {
		if err := r.misplaced(name, false, loc); err != nil {
			return operand{}, err
		}
		inside := r.inside
		r.inside = name
		defer func() { r.inside = inside }()
	}
	c.args = make([]operand, len(c.raw))
	for i, a := range c.raw {
		if str(a, "alias") != "" {
			return operand{}, c.fault("named arguments are not supported")
		}
		if slices.Contains(f.lambda, i) {
			if str(a, "class") != "LAMBDA" {
				return operand{}, c.fault("argument %d must be a lambda: x -> …", i+1)
			}
			continue
		}
		var err error
		if c.args[i], err = r.expr(a, s, loc); err != nil {
			return operand{}, err
		}
	}
	if f.agg {
		r.gathering++
		if flt := obj(n, "filter"); flt != nil {
			e, err := r.expr(flt, s, loc)
			if err != nil {
				return operand{}, err
			}
			n["filter"] = e.node
		}
		for _, o := range nodes(obj(n, "order_bys"), "orders") {
			e, err := r.expr(obj(o, "expression"), s, loc)
			if err != nil {
				return operand{}, err
			}
			o["expression"] = e.node
		}
	}
	if strings.HasPrefix(name, "regexp_") && len(c.args) > 1 {
		if err := c.pattern(1); err != nil {
			return operand{}, err
		}
	}
	op, err := f.build(c)
	r.made = append(r.made, made{name: name, loc: loc, node: op.node})
	return op, err
}

// made is a call and what it became, for the engine's errors about it.
type made struct {
	name string
	loc  int
	node node
}

// namedGroups finds how Java and Trino begin a named group.
var namedGroups = regexp.MustCompile(`(\\\\)*(\\\(|\(\?<[A-Za-z])`)

// pattern checks a constant regular expression, and writes its named groups as
// RE2 does.
func (c *call) pattern(i int) error {
	p, ok := constText(c.args[i].node)
	if !ok {
		return nil
	}
	said := namedGroups.ReplaceAllStringFunc(p, func(m string) string {
		if n := len(m) - 2; n > 0 && m[n] == '<' {
			return m[:n] + "P" + m[n:]
		}
		return m
	})
	if _, err := syntax.Parse(said, syntax.Perl); err != nil {
		var e *syntax.Error
		if errors.As(err, &e) {
			return c.r.src.fault(c.loc, fmt.Sprintf("%s: the regular expression is not understood: %s: %s", c.name, e.Code, e.Expr), "RE2 has no look-around and no back-references")
		}
		return c.fault("the regular expression is not understood")
	}
	if said != p {
		c.args[i].node = textNode(said)
	}
	return nil
}

func argCount(f function) string {
	switch {
	case f.max < 0:
		return fmt.Sprintf("%d or more", f.min)
	case f.min == f.max:
		return itoa(f.min)
	}
	return fmt.Sprintf("%d to %d", f.min, f.max)
}

// elsewhere says how Trino calls what other dialects have.
var elsewhere = map[string]string{
	"isnull": "coalesce(a, b)", "nvl": "coalesce(a, b)", "ifnull": "coalesce(a, b)", "getdate": "now()", "sysdate": "now()", "curdate": "current_date", "date_sub": "date_add('day', -1, t)",
	"datediff": "date_diff('day', a, b)", "dateadd": "date_add('day', 1, t)", "to_char": "date_format(t, '%Y-%m-%d')", "to_date": "date_parse(s, '%Y-%m-%d')", "to_timestamp": "from_unixtime(n) or date_parse(s, format)",
	"strftime": "date_format(t, '%Y-%m-%d')", "len": "length(s)", "charindex": "strpos(s, part)", "instr": "strpos(s, part)", "group_concat": "listagg(x, ',') WITHIN GROUP (ORDER BY x)", "left": "substr(s, 1, n)",
	"explode": "CROSS JOIN UNNEST(array) AS t(x)", "get_json_object": "json_extract_scalar(x, '$.key')", "->>": "json_extract_scalar(x, '$.key')", "->": "json_extract(x, '$.key')",
	"<<": "contains('10.0.0.0/8', CAST(a AS ipaddress))", "<<=": "contains('10.0.0.0/8', CAST(a AS ipaddress))", "cidrmatch": "contains('10.0.0.0/8', CAST(a AS ipaddress))", "median": "approx_percentile(x, 0.5)",
	"percentile": "approx_percentile(x, 0.5)", "countif": "count_if(condition)", "dayofweek": "day_of_week(t)", "~": "regexp_like(s, 'pattern')",
}

// unsupported are functions of Athena that cannot be called here, and why.
var unsupported = map[string]string{
	"checksum":    "its value is that of Trino's own hash, which this engine does not have",
	"soundex":     "it is not supported",
	"word_stem":   "it is not supported",
	"approx_set":  "sketches are not supported: approx_distinct(x) counts",
	"merge":       "sketches are not supported",
	"tdigest_agg": "sketches are not supported: approx_percentile(x, 0.5)",
	"qdigest_agg": "sketches are not supported: approx_percentile(x, 0.5)",
	"json_object": "write CAST(map(ARRAY['a'], ARRAY[1]) AS json)",
	"json_array":  "write CAST(ARRAY[1, 2] AS json)",
}

// fewerArguments says what functions do not take that do take it in Athena.
var fewerArguments = map[string]string{
	"array_sort":        "a lambda is not supported in it",
	"approx_percentile": "weights are not supported in it",
}

func nearestHint(name string, all []string) string {
	if h := elsewhere[name]; h != "" {
		return "write " + h
	}
	if h := unsupported[name]; h != "" {
		return h
	}
	if strings.HasPrefix(name, "st_") {
		return "geospatial functions are not supported"
	}
	if n := nearest(name, all); n != "" {
		return "did you mean " + n + "?"
	}
	return "only functions of Athena that neither read nor change anything can be called"
}

// arithmetic translates operators that are written as such.
func (r *rewriter) arithmetic(n node, name string, s *scope, loc int) (operand, bool, error) {
	op, ok := operators[name]
	if !ok {
		return operand{}, false, nil
	}
	r.made = append(r.made, made{name: name, loc: loc, node: n})
	args, err := r.operands(nodes(n, "children"), s, loc)
	if err != nil {
		return operand{}, false, err
	}
	if len(args) == 0 || len(args) > 2 {
		return operand{}, false, r.fault(loc, "operator %s with %d operands", name, len(args))
	}
	n["schema"] = ""
	t := op.typ
	if name == "||" {
		if slices.ContainsFunc(args, func(o operand) bool { return o.typ.kind == kList }) {
			// An element beside an array is put in front or behind.
			for i, a := range args {
				if k := a.typ.kind; k != kList && k != kUnknown && k != kNull {
					args[i] = operand{node: operatorNode("ARRAY_CONSTRUCTOR", a.node), typ: listOf(a.typ)}
				}
			}
			t = commonType(args)
		} else if !slices.ContainsFunc(args, func(o operand) bool { return o.typ.kind != kBlob }) {
			t = typ{kind: kBlob}
		}
	} else if op.number {
		texts, numbers := 0, 0
		for _, a := range args {
			switch {
			case a.typ.kind == kText:
				texts++
			case a.typ.numeric():
				numbers++
			}
		}
		if texts > 0 && texts+numbers == len(args) {
			what := "the operands of " + name + " are text and a number"
			if numbers == 0 {
				what = name + " of text"
			}
			return operand{}, false, r.src.fault(loc, what, "write CAST(… AS bigint) or CAST(… AS double) around the text")
		}
		t = numberType(args)
		anyTime := slices.ContainsFunc(args, func(o operand) bool {
			return o.typ.kind == kTime || o.typ.kind == kDate || o.typ.kind == kInterval
		})
		for i := range args {
			if !anyTime {
				args[i] = asNumber(args[i])
			} else if args[i].typ.textual() && len(args) == 2 && args[1-i].typ.kind == kInterval {
				// eventtime - interval '1' hour
				args[i] = asTime(args[i])
			}
		}
		if anyTime {
			t = timeArithmetic(args)
			if len(args) == 2 && args[0].typ.clock != args[1].typ.clock && args[0].typ.kind != kInterval && args[1].typ.kind != kInterval {
				return operand{}, false, r.otherClock(loc)
			}
			if len(args) == 2 && args[0].typ.kind == kDate && args[1].typ.kind == kDate {
				args[0], args[1] = asTime(args[0]), asTime(args[1]) // DuckDB gives a number of days
			}
		} else {
			t = numberType(args)
		}
		if (name == "/" || name == "%") && (t.kind == kInt || t.kind == kDecimal) {
			op, err := r.divide(name, args, t)
			return op, true, err
		}
		if name == "*" && t.kind == kDecimal {
			t.scale = args[0].typ.scale + args[1].typ.scale
		}
	}
	if op.typ.kind == kBool {
		r.alikeDays(args, s) // LIKE
	}
	n["children"] = nodesOf(args)
	if (name == "~~" || name == "!~~") && len(args) == 2 {
		n = r.heldLike(n, s)
	}
	out := operand{node: n, typ: t}
	if t.kind == kDate {
		out.node = castNode(n, "DATE", false) // DuckDB makes a timestamp of DATE + INTERVAL
	}
	return out, true, nil
}

// divide is / or % of whole numbers and decimals. Trino divides whole numbers
// without a fraction, gives the quotient of decimals as many digits as the
// longer of the two has, and does not divide by zero; DuckDB divides decimals as
// floating-point numbers, and has null for a division by zero.
func (r *rewriter) divide(name string, args []operand, t typ) (operand, error) {
	by := `CASE WHEN "@2" = 0 THEN CAST('division by zero' AS BIGINT) ELSE "@2" END`
	if isLiteral(args[1].node) && !isZero(args[1].node) {
		by = `"@2"`
	}
	text := `"@1" % ` + by
	if name == "/" {
		text = `"@1" // ` + by
		if t.kind == kDecimal {
			text = `CAST(round("@1" / ` + by + `, ` + itoa(t.scale) + `) AS DECIMAL(38, ` + itoa(t.scale) + `))`
		}
	}
	n, err := r.template(text, args[0].node, args[1].node)
	return operand{node: n, typ: t}, err
}

// isZero says whether a constant is a number that is 0.
func isZero(n node) bool {
	return strings.Trim(str(obj(n, "value"), "value"), "0.") == ""
}

func numberType(args []operand) typ {
	t := commonType(args)
	if t.numeric() {
		return t
	}
	return typ{}
}

func timeArithmetic(args []operand) typ {
	if len(args) == 1 {
		return args[0].typ
	}
	a, b := args[0].typ.kind, args[1].typ.kind
	switch {
	case a == kTime && b == kTime, a == kInterval && b == kInterval, a == kDate && b == kDate:
		return typ{kind: kInterval}
	case a == kTime:
		return args[0].typ
	case b == kTime:
		return args[1].typ
	case (a == kDate && b == kInterval || a == kInterval && b == kDate) && wholeDays(args[0].node) && wholeDays(args[1].node):
		return typ{kind: kDate}
	case a == kInterval || b == kInterval:
		if a == kDate || b == kDate {
			return typ{kind: kTime}
		}
		return typ{kind: kInterval}
	}
	return typ{}
}

// wholeDays says whether n is no interval of hours or less.
func wholeDays(n node) bool {
	switch str(n, "function_name") {
	case "to_hours", "to_minutes", "to_seconds", "to_milliseconds", "to_microseconds":
		return false
	}
	return true
}

// templates are SQL expressions with "@1", "@2" … in the place of arguments.
// Their trees are made once by DuckDB's own parser.
var templates sync.Map // text → node

// template gives the tree of one of our own expressions with its arguments put in.
func (r *rewriter) template(text string, args ...node) (node, error) {
	v, ok := templates.Load(text)
	if !ok {
		sql := "SELECT " + text
		answer, err := r.serialize(sql)
		if err != nil {
			return nil, fmt.Errorf("parse template %q: %w", text, err)
		}
		root, err := decodeTree(answer)
		if err != nil {
			return nil, err
		}
		stmts := nodes(root, "statements")
		if len(stmts) != 1 {
			return nil, fmt.Errorf("parse template %q: %s", text, str(root, "error_message"))
		}
		sel := nodes(obj(stmts[0], "node"), "select_list")
		if len(sel) != 1 {
			return nil, fmt.Errorf("parse template %q: %d expressions", text, len(sel))
		}
		forgetLocations(sel[0])
		v, _ = templates.LoadOrStore(text, sel[0])
	}
	left := maxCopied - r.copied
	out, _ := fill(clone(v), args, &left).(node)
	r.copied = maxCopied - left
	if left < 0 {
		return nil, r.tooLarge()
	}
	return out, nil
}

// maxCopied is how many nodes a translation may copy. A function that needs its
// argument twice doubles it, and doubling what is doubled has no bound else.
const maxCopied = 300000

func (r *rewriter) tooLarge() error {
	return r.fault(-1, "the query becomes too large: its functions, or names of its select list, repeat their arguments too often")
}

// copy copies a tree within the bound.
func (r *rewriter) copy(n node) (node, error) {
	left := maxCopied - r.copied
	out, _ := fill(columnNode("@1"), []node{n}, &left).(node)
	r.copied = maxCopied - left
	if left < 0 {
		return nil, r.tooLarge()
	}
	return out, nil
}

// size is the number of objects of a tree.
func size(v any) int {
	n := 0
	switch v := v.(type) {
	case node:
		n = 1
		for _, x := range v {
			n += size(x)
		}
	case []any:
		for _, x := range v {
			n += size(x)
		}
	}
	return n
}

func forgetLocations(v any) {
	switch v := v.(type) {
	case node:
		if _, ok := v["query_location"]; ok {
			v["query_location"] = noLocation
		}
		for _, x := range v {
			forgetLocations(x)
		}
	case []any:
		for _, x := range v {
			forgetLocations(x)
		}
	}
}

// fill replaces the references "@1", "@2" … in a template's tree by copies of
// the arguments, whose size it takes off left; below zero it stops.
func fill(v any, args []node, left *int) any {
	switch v := v.(type) {
	case node:
		if names := strs(v, "column_names"); len(names) == 1 && len(names[0]) == 2 && names[0][0] == '@' {
			if i := int(names[0][1] - '1'); i >= 0 && i < len(args) {
				if *left -= size(args[i]); *left < 0 {
					return nil
				}
				out, _ := clone(args[i]).(node)
				out["alias"] = v["alias"] // the name of an argument
				return out
			}
		}
		for k, x := range v {
			v[k] = fill(x, args, left)
		}
	case []any:
		for i, x := range v {
			v[i] = fill(x, args, left)
		}
	}
	return v
}

// lambda rewrites a lambda argument whose parameters have the given types, and
// gives it and the type of its body.
func (c *call) lambda(i int, params ...typ) (node, typ, error) {
	n := c.raw[i]
	loc := location(n, c.loc)
	lhs := obj(n, "lhs")
	var names []string
	switch str(lhs, "class") {
	case "COLUMN_REF":
		names = strs(lhs, "column_names")
		if len(names) != 1 {
			return nil, typ{}, c.r.fault(loc, "malformed lambda: expected x -> … or (x, y) -> …")
		}
	case "FUNCTION":
		if str(lhs, "function_name") != "row" {
			return nil, typ{}, c.r.fault(loc, "malformed lambda: expected x -> … or (x, y) -> …")
		}
		for _, p := range nodes(lhs, "children") {
			one := strs(p, "column_names")
			if len(one) != 1 {
				return nil, typ{}, c.r.fault(loc, "malformed lambda: expected x -> … or (x, y) -> …")
			}
			names = append(names, one[0])
		}
	default:
		return nil, typ{}, c.r.fault(loc, "malformed lambda: expected x -> … or (x, y) -> …")
	}
	if len(names) != len(params) {
		return nil, typ{}, c.r.fault(loc, "the lambda of %s takes %d parameters, not %d", c.name, len(params), len(names))
	}
	in := &scope{outer: c.s, params: map[string]typ{}}
	for j, name := range names {
		if strings.HasPrefix(name, "@") {
			return nil, typ{}, c.r.fault(loc, "lambda parameter %q begins with @", name)
		}
		in.params[strings.ToLower(name)] = params[j]
	}
	if len(in.params) != len(names) {
		return nil, typ{}, c.r.fault(loc, "two lambda parameters have one name")
	}
	body, err := c.r.expr(obj(n, "expr"), in, loc)
	if err != nil {
		return nil, typ{}, err
	}
	out := maps.Clone(n)
	out["expr"] = body.node
	return out, body.typ, nil
}
