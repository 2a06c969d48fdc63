package athena

import (
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// The functions that a query may call. What is not in one of these tables is
// refused: they are the allow-list and the translation in one, so that a
// function cannot be let through without being thought about.

// operator is a function that is written as an operator.
type operator struct {
	typ    typ
	number bool // the result's type follows from the operands
}

var operators = map[string]operator{
	"+": {number: true}, "-": {number: true}, "*": {number: true}, "/": {number: true}, "%": {number: true},
	"||": {typ: typ{kind: kText}},
	"~~": {typ: typ{kind: kBool}}, "!~~": {typ: typ{kind: kBool}}, // LIKE
	"~~*": {typ: typ{kind: kBool}}, "!~~*": {typ: typ{kind: kBool}}, // ILIKE
}

// maxElements is how many elements, or characters, a function may make of
// nothing: sequence, repeat, lpad, rpad. Trino's limit for arrays is the same.
const maxElements = 10000

// Results of a fixed type.
var (
	tText  = typ{kind: kText}
	tInt   = typ{kind: kInt}
	tFloat = typ{kind: kFloat}
	tBool  = typ{kind: kBool}
	tTime  = typ{kind: kTime}
	tZoned = typ{kind: kTime, zoned: true}
	tDate  = typ{kind: kDate}
	tJSON  = typ{kind: kJSON}
)

// plain is a scalar function of the same meaning in DuckDB, perhaps under
// another name.
func plain(name string, least, most int, t typ) function {
	return function{min: least, max: most, build: func(c *call) (operand, error) {
		return operand{node: c.rename(name), typ: t}, nil
	}}
}

// math is plain for numbers; text becomes a number first.
func math(name string, least, most int, t typ) function {
	return function{min: least, max: most, build: func(c *call) (operand, error) {
		for i := range c.args {
			c.args[i] = asNumber(c.args[i])
		}
		out := operand{node: c.rename(name), typ: t}
		if t.kind == kUnknown && len(c.args) > 0 && c.args[0].typ.numeric() {
			out.typ = c.args[0].typ
		}
		return out, nil
	}}
}

// rename puts the rewritten arguments into the call under DuckDB's name.
func (c *call) rename(name string) node {
	n := c.node
	n["function_name"], n["schema"] = name, ""
	n["children"] = nodesOf(c.args)
	return n
}

// tmpl is a scalar function that is a template of its arguments.
func tmpl(n int, text string, t typ) function {
	return function{min: n, max: n, build: func(c *call) (operand, error) { return c.template(text, t) }}
}

func (c *call) template(text string, t typ) (operand, error) {
	args := make([]node, len(c.args))
	for i, a := range c.args {
		args[i] = a.node
	}
	n, err := c.r.template(text, args...)
	return operand{node: n, typ: t}, err
}

// timeTmpl is tmpl for functions whose argument i is a timestamp.
func timeTmpl(n, i int, text string, t typ) function {
	return function{min: n, max: n, build: func(c *call) (operand, error) {
		c.args[i] = asTime(c.args[i])
		return c.template(text, t)
	}}
}

// listTmpl is tmpl for functions whose argument i is an array; elem gives the
// result's type from the array's.
func listTmpl(least int, lists []int, text string, result func(args []operand) typ) function {
	return function{min: least, max: least, build: func(c *call) (operand, error) {
		for _, i := range lists {
			l, err := c.r.asList(c.args[i], c.loc)
			if err != nil {
				return operand{}, err
			}
			c.args[i] = l
		}
		return c.template(text, result(c.args))
	}}
}

func sameList(args []operand) typ { return args[0].typ }
func elemOf(args []operand) typ   { return args[0].typ.element() }
func fixed(t typ) func([]operand) typ {
	return func([]operand) typ { return t }
}

// aggregate is an aggregate of the same meaning in DuckDB.
func aggregate(name string, least, most int, t typ) function {
	return function{min: least, max: most, agg: true, build: func(c *call) (operand, error) {
		return operand{node: c.rename(name), typ: t}, nil
	}}
}

// numbers is an aggregate over numbers; text becomes a number first.
func numbers(name string, args int, t typ) function {
	return function{min: args, max: args, agg: true, build: func(c *call) (operand, error) {
		for i := range c.args {
			c.args[i] = asNumber(c.args[i])
		}
		return operand{node: c.rename(name), typ: t}, nil
	}}
}

// picks is an aggregate whose result is of its first argument's type.
func picks(name string, args int) function {
	return function{min: args, max: args, agg: true, build: func(c *call) (operand, error) {
		return operand{node: c.rename(name), typ: c.args[0].typ}, nil
	}}
}

// picksSome is picks with one argument more: how many values, of which it then
// gives a list.
func picksSome(name string, args int) function {
	return function{min: args, max: args + 1, agg: true, build: func(c *call) (operand, error) {
		t := c.args[0].typ
		if len(c.args) > args {
			if i, ok := constInt(c.args[args].node); !ok || i < 1 || i > maxElements {
				return operand{}, c.fault("the number of values must be a constant from 1 to %d", maxElements)
			}
			t = listOf(t)
		}
		return operand{node: c.rename(name), typ: t}, nil
	}}
}

// typeName is what Trino calls a type.
func typeName(op operand) string {
	switch t := op.typ; t.kind {
	case kNull:
		return "unknown"
	case kText, kJSON:
		if s, ok := constText(op.node); ok {
			return "varchar(" + itoa(utf8.RuneCountInString(s)) + ")"
		}
		return "varchar"
	case kInt:
		if _, ok := constInt(op.node); ok {
			return "integer"
		}
		return "bigint"
	case kFloat:
		return "double"
	case kDecimal:
		return "decimal(38," + itoa(t.scale) + ")"
	case kBool:
		return "boolean"
	case kTime:
		if t.zoned || t.clock {
			return "timestamp(3) with time zone"
		}
		return "timestamp(3)"
	case kDate:
		return "date"
	case kInterval:
		return "interval day to second"
	case kStrict:
		return "json"
	case kList:
		return "array(" + typeName(operand{typ: t.element(), node: columnNode("")}) + ")"
	case kMap:
		return "map(varchar, " + typeName(operand{typ: t.element(), node: columnNode("")}) + ")"
	case kRow:
		return "row"
	case kIP:
		return "ipaddress"
	case kBlob:
		return "varbinary"
	}
	return "unknown"
}

// functions are all functions but the operators, element_at and window-only ones.
var functions = map[string]function{}

var functionNames, windowNames []string

func init() {
	for _, m := range []map[string]function{aggregates, textFunctions, numberFunctions, timeFunctions, arrayFunctions, jsonFunctions, otherFunctions} {
		for name, f := range m {
			functions[name] = f
		}
	}
	for name := range functions {
		functionNames = append(functionNames, name)
	}
	functionNames = append(functionNames, "element_at")
	for name := range windowFunctions {
		windowNames = append(windowNames, name)
	}
	sort.Strings(functionNames)
	sort.Strings(windowNames)
}

// Functions lists the functions that a query may call, in order.
func Functions() []string {
	out := slices.Concat(functionNames, windowNames)
	sort.Strings(out)
	return slices.Compact(out)
}

// userFunction says why a function may not be called in the user's text, or "".
func userFunction(name string) string {
	if _, ok := functions[name]; ok {
		return ""
	}
	if _, ok := operators[name]; ok {
		return ""
	}
	if _, ok := windowFunctions[name]; ok {
		return ""
	}
	if slices.Contains([]string{"element_at", "struct_extract", "unnest", "row", "row_number"}, name) {
		return "" // judged where they stand
	}
	return nearestHint(name, functionNames)
}

var aggregates = map[string]function{
	"count_star": aggregate("count_star", 0, 0, tInt),
	"count":      aggregate("count", 0, 1, tInt),
	"sum": {min: 1, max: 1, agg: true, build: func(c *call) (operand, error) {
		c.args[0] = asNumber(c.args[0])
		out := operand{node: c.rename("sum"), typ: c.args[0].typ}
		if out.typ.kind == kInt {
			out.node = castNode(out.node, "BIGINT", false) // DuckDB's is a HUGEINT
		}
		return out, nil
	}},
	"avg": {min: 1, max: 1, agg: true, build: func(c *call) (operand, error) {
		c.args[0] = asNumber(c.args[0])
		t := c.args[0].typ
		n := c.rename("avg")
		if t.kind == kDecimal { // Trino's has as many digits as the values
			out, err := c.r.template(`CAST(round("@1", `+itoa(t.scale)+`) AS DECIMAL(38, `+itoa(t.scale)+`))`, n)
			return operand{node: out, typ: t}, err
		}
		return operand{node: n, typ: tFloat}, nil
	}},
	"min":             picksSome("min", 1),
	"max":             picksSome("max", 1),
	"min_by":          picksSome("arg_min", 2),
	"max_by":          picksSome("arg_max", 2),
	"arbitrary":       picks("any_value", 1),
	"any_value":       picks("any_value", 1),
	"bool_and":        aggregate("bool_and", 1, 1, tBool),
	"every":           aggregate("bool_and", 1, 1, tBool),
	"bool_or":         aggregate("bool_or", 1, 1, tBool),
	"stddev":          numbers("stddev_samp", 1, tFloat),
	"stddev_samp":     numbers("stddev_samp", 1, tFloat),
	"stddev_pop":      numbers("stddev_pop", 1, tFloat),
	"variance":        numbers("var_samp", 1, tFloat),
	"var_samp":        numbers("var_samp", 1, tFloat),
	"var_pop":         numbers("var_pop", 1, tFloat),
	"corr":            numbers("corr", 2, tFloat),
	"covar_samp":      numbers("covar_samp", 2, tFloat),
	"covar_pop":       numbers("covar_pop", 2, tFloat),
	"skewness":        numbers("skewness", 1, tFloat),
	"kurtosis":        numbers("kurtosis", 1, tFloat),
	"geometric_mean":  numbers("geomean", 1, tFloat),
	"bitwise_and_agg": aggregate("bit_and", 1, 1, tInt),
	"bitwise_or_agg":  aggregate("bit_or", 1, 1, tInt),
	"listagg":         aggregate("string_agg", 1, 2, tText),
	"string_agg":      aggregate("string_agg", 1, 2, tText),
	"histogram":       aggregate("histogram", 1, 1, typ{kind: kMap, elem: &tInt}),
	"count_if": {min: 1, max: 1, agg: true, build: func(c *call) (operand, error) {
		// DuckDB's is null where it has met nothing but nulls.
		x, err := c.r.template(`CASE WHEN "@1" THEN 1 END`, c.args[0].node)
		c.args[0].node = x
		return operand{node: c.rename("count"), typ: tInt}, err
	}},
	"approx_distinct": {min: 1, max: 2, agg: true, build: func(c *call) (operand, error) {
		if len(c.args) == 2 {
			if !isLiteral(c.args[1].node) {
				return operand{}, c.fault("the error must be a constant")
			}
			c.args = c.args[:1] // DuckDB's sketch has its own error of about 2 %
		}
		return operand{node: c.rename("approx_count_distinct"), typ: tInt}, nil
	}},
	"approx_percentile": {min: 2, max: 2, agg: true, build: func(c *call) (operand, error) {
		c.args[0] = asNumber(c.args[0])
		t := c.args[0].typ
		if c.args[1].typ.kind == kList {
			t = listOf(t)
		}
		return operand{node: c.rename("approx_quantile"), typ: t}, nil
	}},
	"array_agg": {min: 1, max: 1, agg: true, build: func(c *call) (operand, error) {
		return operand{node: c.rename("array_agg"), typ: listOf(c.args[0].typ)}, nil
	}},
	"multimap_agg": {min: 2, max: 2, agg: true, build: func(c *call) (operand, error) {
		m, err := mapOf(c, `map(list_distinct("@1"), list_transform(list_distinct("@1"), lambda "@k": list_filter("@2", lambda "@v", "@n": "@1"["@n"] = "@k")))`)
		t := listOf(c.args[1].typ)
		m.typ.elem = &t
		return m, err
	}},
	"map_agg": {min: 2, max: 2, agg: true, build: func(c *call) (operand, error) {
		// Of several values for one key Trino keeps any.
		return mapOf(c, `map(list_distinct("@1"), list_transform(list_distinct("@1"), lambda "@k": "@2"[list_position("@1", "@k")]))`)
	}},
}

// mapOf is an aggregate that makes a map of the lists of its arguments, in which
// they are @1 and @2. A map has no null key.
func mapOf(c *call, text string) (operand, error) {
	if d, _ := c.node["distinct"].(bool); d || len(list(obj(c.node, "order_bys"), "orders")) > 0 {
		return operand{}, c.fault("DISTINCT and ORDER BY are not supported here")
	}
	keys := callNode("array_agg", c.args[0].node)
	vals := callNode("array_agg", c.args[1].node)
	for _, x := range []node{keys, vals} {
		k, err := c.r.copy(c.args[0].node)
		if err != nil {
			return operand{}, err
		}
		test := operatorNode("OPERATOR_IS_NOT_NULL", k)
		if f := obj(c.node, "filter"); f != nil {
			if f, err = c.r.copy(f); err != nil {
				return operand{}, err
			}
			test = conjunction("CONJUNCTION_AND", test, f)
		}
		x["filter"] = test
	}
	m, err := c.r.template(text, keys, vals)
	return operand{node: m, typ: typ{kind: kMap, elem: &c.args[1].typ}}, err
}

// windowFunction is a function that may stand before OVER.
type windowFunction struct {
	name   string // DuckDB's
	typ    typ
	asArg  bool // the result is of the first argument's type
	number bool // arguments are numbers
	bigint bool // a HUGEINT of whole numbers becomes BIGINT
}

var windowFunctions = map[string]windowFunction{
	"row_number":      {name: "row_number", typ: tInt},
	"rank":            {name: "rank", typ: tInt},
	"dense_rank":      {name: "dense_rank", typ: tInt},
	"percent_rank":    {name: "percent_rank", typ: tFloat},
	"cume_dist":       {name: "cume_dist", typ: tFloat},
	"ntile":           {name: "ntile", typ: tInt},
	"lag":             {name: "lag", asArg: true},
	"lead":            {name: "lead", asArg: true},
	"first_value":     {name: "first_value", asArg: true},
	"last_value":      {name: "last_value", asArg: true},
	"nth_value":       {name: "nth_value", asArg: true},
	"count":           {name: "count", typ: tInt},
	"count_star":      {name: "count_star", typ: tInt},
	"sum":             {name: "sum", asArg: true, number: true, bigint: true},
	"avg":             {name: "avg", typ: tFloat, number: true},
	"min":             {name: "min", asArg: true},
	"max":             {name: "max", asArg: true},
	"min_by":          {name: "arg_min", asArg: true},
	"max_by":          {name: "arg_max", asArg: true},
	"arbitrary":       {name: "any_value", asArg: true},
	"any_value":       {name: "any_value", asArg: true},
	"bool_and":        {name: "bool_and", typ: tBool},
	"bool_or":         {name: "bool_or", typ: tBool},
	"stddev":          {name: "stddev_samp", typ: tFloat, number: true},
	"stddev_samp":     {name: "stddev_samp", typ: tFloat, number: true},
	"stddev_pop":      {name: "stddev_pop", typ: tFloat, number: true},
	"variance":        {name: "var_samp", typ: tFloat, number: true},
	"approx_distinct": {name: "approx_count_distinct", typ: tInt},
	"array_agg":       {name: "array_agg"},
}

// otherFunctions are conditionals and what fits nowhere else.
var otherFunctions = map[string]function{
	"trino_if": {min: 2, max: 3, build: func(c *call) (operand, error) {
		e := operand{node: constNode("NULL", nil), typ: typ{kind: kNull}}
		if len(c.args) == 3 {
			e = c.args[2]
		}
		results := []operand{c.args[1], e}
		alike(results)
		c.args[1], e = results[0], results[1]
		n := node{"class": "CASE", "type": "CASE_EXPR", "alias": "", "query_location": noLocation,
			"case_checks": []any{node{"when_expr": c.args[0].node, "then_expr": c.args[1].node}}, "else_expr": e.node}
		return operand{node: n, typ: commonType([]operand{c.args[1], e})}, nil
	}},
	"nullif": {min: 2, max: 2, build: func(c *call) (operand, error) {
		t := c.args[0].typ
		c.args[0], c.args[1] = coerce(c.args[0], c.args[1])
		return operand{node: c.rename("nullif"), typ: t}, nil
	}},
	"typeof": {min: 1, max: 1, build: func(c *call) (operand, error) {
		return operand{node: textNode(typeName(c.args[0])), typ: tText}, nil
	}},
	"greatest": extreme("greatest"),
	"least":    extreme("least"),
	"row": {min: 1, max: -1, build: func(c *call) (operand, error) {
		t := typ{kind: kRow, nameless: true}
		for _, a := range c.args {
			t.members = append(t.members, member{typ: a.typ})
		}
		return operand{node: c.rename("row"), typ: t}, nil
	}},
	"md5":       tmpl(1, `unhex(md5("@1"))`, typ{kind: kBlob}),
	"sha1":      tmpl(1, `unhex(sha1("@1"))`, typ{kind: kBlob}),
	"sha256":    tmpl(1, `unhex(sha256("@1"))`, typ{kind: kBlob}),
	"to_hex":    plain("hex", 1, 1, tText),
	"from_hex":  plain("unhex", 1, 1, typ{kind: kBlob}),
	"to_utf8":   plain("encode", 1, 1, typ{kind: kBlob}),
	"from_utf8": plain("decode", 1, 1, tText),
	"to_base64": plain("to_base64", 1, 1, tText),
	"from_base64": {min: 1, max: 1, build: func(c *call) (operand, error) {
		return operand{node: c.rename("from_base64"), typ: typ{kind: kBlob}}, nil
	}},
	"uuid":         tmpl(0, `CAST(uuid() AS VARCHAR)`, tText),
	"contains":     {min: 2, max: 2, build: contains},
	"is_subnet_of": {min: 2, max: 2, build: inSubnet},
	"ip_prefix":    {min: 2, max: 2, build: ipPrefix},
}

// extreme is greatest or least: null as soon as one argument is, unlike DuckDB's.
func extreme(name string) function {
	return function{min: 1, max: -1, build: func(c *call) (operand, error) {
		t := commonType(c.args)
		var tests []node
		for i := range c.args {
			if i > 0 {
				_, c.args[i] = coerce(c.args[0], c.args[i])
			}
			again, err := c.r.copy(c.args[i].node)
			if err != nil {
				return operand{}, err
			}
			tests = append(tests, operatorNode("OPERATOR_IS_NOT_NULL", again))
		}
		cond := tests[0]
		if len(tests) > 1 {
			cond = conjunction("CONJUNCTION_AND", tests...)
		}
		n := node{"class": "CASE", "type": "CASE_EXPR", "alias": "", "query_location": noLocation,
			"case_checks": []any{node{"when_expr": cond, "then_expr": c.rename(name)}}, "else_expr": constNode("NULL", nil)}
		return operand{node: n, typ: t}, nil
	}}
}

// constArg gives the text of a constant argument.
func (c *call) constArg(i int, what string) (string, error) {
	s, ok := constText(c.args[i].node)
	if !ok {
		return "", c.fault("%s must be a constant string", what)
	}
	return s, nil
}

var unitNames = []string{"millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year"}

// unit reads a unit of time.
func (c *call) unit(i int) (string, error) {
	s, err := c.constArg(i, "the unit")
	if err != nil {
		return "", err
	}
	u := strings.ToLower(s)
	if !slices.Contains(unitNames, u) {
		return "", c.fault("unit %q is not known; the units are %s", s, strings.Join(unitNames, ", "))
	}
	return u, nil
}
