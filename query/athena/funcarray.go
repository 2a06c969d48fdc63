package athena

import (
	"strconv"
	"strings"
)

// Functions of arrays and maps, and those that take lambdas.

var arrayFunctions = map[string]function{
	"cardinality": {min: 1, max: 1, build: func(c *call) (operand, error) {
		if c.args[0].typ.kind == kMap {
			return operand{node: castNode(c.rename("cardinality"), "BIGINT", false), typ: tInt}, nil
		}
		l, err := c.r.asList(c.args[0], c.loc)
		if err != nil {
			return operand{}, err
		}
		c.args[0] = l
		return operand{node: c.rename("len"), typ: tInt}, nil
	}},
	"array_distinct":  listTmpl(1, []int{0}, distinct(`"@1"`), sameList),
	"array_max":       listTmpl(1, []int{0}, `CASE WHEN NOT `+hasNull(`"@1"`)+` THEN list_max("@1") END`, elemOf),
	"array_min":       listTmpl(1, []int{0}, `CASE WHEN NOT `+hasNull(`"@1"`)+` THEN list_min("@1") END`, elemOf),
	"array_sort":      listTmpl(1, []int{0}, `list_sort("@1")`, sameList),
	"array_position":  listTmpl(2, []int{0}, `coalesce(list_position("@1", "@2"), 0)`, fixed(tInt)),
	"array_remove":    listTmpl(2, []int{0}, `list_filter("@1", lambda e: e IS DISTINCT FROM "@2")`, sameList),
	"array_intersect": listTmpl(2, []int{0, 1}, `list_filter(`+distinct(`"@1"`)+`, lambda e: list_position("@2", e) IS NOT NULL)`, sameList),
	"array_union":     listTmpl(2, []int{0, 1}, `CASE WHEN "@1" IS NOT NULL AND "@2" IS NOT NULL THEN `+distinct(`list_concat("@1", "@2")`)+` END`, sameList),
	"array_except":    listTmpl(2, []int{0, 1}, `CASE WHEN "@2" IS NOT NULL THEN list_filter(`+distinct(`"@1"`)+`, lambda e: list_position("@2", e) IS NULL) END`, sameList),
	"arrays_overlap":  listTmpl(2, []int{0, 1}, `CASE WHEN list_has_any("@1", "@2") THEN true WHEN `+hasNull(`"@1"`)+` OR `+hasNull(`"@2"`)+` THEN NULL WHEN "@1" IS NOT NULL AND "@2" IS NOT NULL THEN false END`, fixed(tBool)),
	"array_append":    listTmpl(2, []int{0}, `list_append("@1", "@2")`, sameList),
	"array_prepend":   tmpl(2, `list_prepend("@1", "@2")`, typ{kind: kList}),
	"flatten":         {min: 1, max: 1, build: flatten},
	"slice": {min: 3, max: 3, build: func(c *call) (operand, error) {
		l, err := c.r.asList(c.args[0], c.loc)
		if err != nil {
			return operand{}, err
		}
		c.args[0] = l
		return c.template(`list_slice("@1", "@2", CASE WHEN "@2" < 0 AND "@2" + "@3" >= 0 THEN len("@1") ELSE "@2" + "@3" - 1 END)`, l.typ)
	}},
	"array_join": {min: 2, max: 3, build: func(c *call) (operand, error) {
		l, err := c.r.asList(c.args[0], c.loc)
		if err != nil {
			return operand{}, err
		}
		c.args[0] = l
		if len(c.args) == 3 {
			return c.template(`array_to_string(list_transform("@1", lambda e: coalesce(CAST(e AS VARCHAR), "@3")), "@2")`, tText)
		}
		return c.template(`array_to_string("@1", "@2")`, tText)
	}},
	"list_value": {min: 0, max: -1, build: func(c *call) (operand, error) { // [a, b]
		return operand{node: c.rename("list_value"), typ: listOf(commonType(c.args))}, nil
	}},
	"sequence": {min: 2, max: 3, build: sequence},
	"repeat": {min: 2, max: 2, build: func(c *call) (operand, error) {
		limit := strconv.Itoa(maxElements)
		return c.template(`list_transform(range(CASE WHEN "@2" > `+limit+` THEN error('repeat: more than `+limit+` elements') ELSE CAST("@2" AS BIGINT) END), lambda i: "@1")`, listOf(c.args[0].typ))
	}},

	"transform": {min: 2, max: 2, lambda: []int{1}, build: func(c *call) (operand, error) {
		l, f, t, err := c.listAndLambda()
		return operand{node: callNode("list_transform", l.node, f), typ: listOf(t)}, err
	}},
	"filter": {min: 2, max: 2, lambda: []int{1}, build: func(c *call) (operand, error) {
		l, f, _, err := c.listAndLambda()
		return operand{node: callNode("list_filter", l.node, f), typ: l.typ}, err
	}},
	"any_match": {min: 2, max: 2, lambda: []int{1}, build: func(c *call) (operand, error) {
		return c.matches(`CASE WHEN list_bool_or("@1") THEN true WHEN ` + hasNull(`"@1"`) + ` THEN NULL ELSE false END`)
	}},
	"all_match": {min: 2, max: 2, lambda: []int{1}, build: func(c *call) (operand, error) {
		return c.matches(`CASE WHEN NOT list_bool_and("@1") THEN false WHEN ` + hasNull(`"@1"`) + ` THEN NULL ELSE true END`)
	}},
	"none_match": {min: 2, max: 2, lambda: []int{1}, build: func(c *call) (operand, error) {
		return c.matches(`CASE WHEN list_bool_or("@1") THEN false WHEN ` + hasNull(`"@1"`) + ` THEN NULL ELSE true END`)
	}},
	"find_first": {min: 2, max: 2, lambda: []int{1}, build: func(c *call) (operand, error) {
		l, f, _, err := c.listAndLambda()
		if err != nil {
			return operand{}, err
		}
		n, err := c.r.template(`"@1"[1]`, callNode("list_filter", l.node, f))
		return operand{node: n, typ: l.typ.element()}, err
	}},
	"trim_array": listTmpl(2, []int{0}, `CASE WHEN "@2" < 0 OR "@2" > len("@1") THEN error('trim_array: more elements than the array has') ELSE list_slice("@1", 1, len("@1") - "@2") END`, sameList),
	"ngrams": listTmpl(2, []int{0}, `CASE WHEN "@2" < 1 THEN error('ngrams: the length must be greater than zero') WHEN len("@1") <= "@2" THEN list_value("@1")
		ELSE list_transform(range(1, len("@1") - "@2" + 2), lambda i: list_slice("@1", i, i + "@2" - 1)) END`, func(args []operand) typ { return listOf(args[0].typ) }),
	"zip":      {min: 2, max: 4, build: zip},
	"reduce":   {min: 4, max: 4, lambda: []int{2, 3}, build: reduce},
	"zip_with": {min: 3, max: 3, lambda: []int{2}, build: zipWith},

	"map": {min: 0, max: 2, build: func(c *call) (operand, error) {
		if len(c.args) == 1 {
			return operand{}, c.fault("1 argument; it takes none or two arrays")
		}
		t := typ{kind: kMap}
		if len(c.args) == 2 {
			t.elem = c.args[1].typ.elem
		}
		return operand{node: c.rename("map"), typ: t}, nil
	}},
	"map_keys": {min: 1, max: 1, build: func(c *call) (operand, error) {
		if k := c.args[0].typ.kind; k == kJSON || k == kStrict {
			return c.template(`json_keys(TRY_CAST("@1" AS JSON))`, listOf(tText))
		}
		return operand{node: c.rename("map_keys"), typ: listOf(tText)}, nil
	}},
	"map_values": {min: 1, max: 1, build: func(c *call) (operand, error) {
		if k := c.args[0].typ.kind; k == kJSON || k == kStrict {
			return c.template(`list_transform(json_extract(TRY_CAST("@1" AS JSON), '$.*'), lambda v: json_extract_string(v, '$'))`, listOf(tJSON))
		}
		return operand{node: c.rename("map_values"), typ: listOf(c.args[0].typ.element())}, nil
	}},
	"map_concat": {min: 2, max: -1, build: func(c *call) (operand, error) {
		return operand{node: c.rename("map_concat"), typ: c.args[0].typ}, nil
	}},
	"map_entries": plain("map_entries", 1, 1, typ{kind: kList, elem: &typ{kind: kRow, members: []member{{name: "key"}, {name: "value"}}}}),
	"map_from_entries": {min: 1, max: 1, build: func(c *call) (operand, error) {
		return operand{node: c.rename("map_from_entries"), typ: typ{kind: kMap}}, nil
	}},
	"map_filter":       {min: 2, max: 2, lambda: []int{1}, build: mapLambda(`map_from_entries(list_filter(map_entries("@1"), lambda "@e": "@2"))`, false)},
	"transform_values": {min: 2, max: 2, lambda: []int{1}, build: mapLambda(`map(map_keys("@1"), list_transform(map_entries("@1"), lambda "@e": "@2"))`, true)},
	"transform_keys":   {min: 2, max: 2, lambda: []int{1}, build: mapLambda(`map(list_transform(map_entries("@1"), lambda "@e": "@2"), map_values("@1"))`, false)},
}

// hasNull is a test whether a list has a null.
func hasNull(l string) string { return `len(list_filter(` + l + `, lambda "@n": "@n" IS NULL)) > 0` }

// distinct is a list's elements, each once, in their order. DuckDB's
// list_distinct leaves out null and mixes the order, but looks at each element
// once: long lists are sorted instead.
func distinct(l string) string {
	return `CASE WHEN len(` + l + `) <= 1000 THEN list_filter(` + l + `, lambda "@d", "@i": list_position(` + l + `, "@d") = "@i")
		ELSE list_concat(list_sort(list_distinct(` + l + `)), CASE WHEN ` + hasNull(l) + ` THEN list_value(NULL) ELSE list_value() END) END`
}

// mapLambda is a function of a map and a lambda over its keys and values, whose
// body becomes one over the entries.
func mapLambda(text string, values bool) func(*call) (operand, error) {
	return func(c *call) (operand, error) {
		m := c.args[0]
		if m.typ.kind != kMap {
			return operand{}, c.fault("a map was expected")
		}
		f, t, err := c.lambda(1, tText, m.typ.element())
		if err != nil {
			return operand{}, err
		}
		lhs := nodes(obj(f, "lhs"), "children")
		body := replaceParam(obj(f, "expr"), strs(lhs[0], "column_names")[0], operatorNode("STRUCT_EXTRACT", columnNode("@e"), textNode("key")))
		body = replaceParam(body, strs(lhs[1], "column_names")[0], operatorNode("STRUCT_EXTRACT", columnNode("@e"), textNode("value")))
		n, err := c.r.template(text, m.node, body)
		out := operand{node: n, typ: m.typ}
		if values {
			out.typ = typ{kind: kMap, elem: &t}
		}
		return out, err
	}
}

// zip makes rows of the elements of its arrays at the same place; shorter ones
// are filled up with nulls.
func zip(c *call) (operand, error) {
	row := typ{kind: kRow, fields: map[string]typ{}}
	var members []string
	for i := range c.args {
		l, err := c.r.asList(c.args[i], c.loc)
		if err != nil {
			return operand{}, err
		}
		c.args[i] = l
		row.fields["field"+itoa(i)] = l.typ.element()
		row.members = append(row.members, member{"field" + itoa(i), l.typ.element()})
		members = append(members, "field"+itoa(i)+" := p["+itoa(i+1)+"]")
	}
	list := ""
	for i := range c.args {
		list += `, "@` + itoa(i+1) + `"`
	}
	return c.template(`list_transform(list_zip(`+list[2:]+`), lambda p: struct_pack(`+strings.Join(members, ", ")+`))`, listOf(row))
}

// listAndLambda is the array and the lambda over its elements.
func (c *call) listAndLambda() (operand, node, typ, error) {
	l, err := c.r.asList(c.args[0], c.loc)
	if err != nil {
		return operand{}, nil, typ{}, err
	}
	f, t, err := c.lambda(1, l.typ.element())
	return l, f, t, err
}

func (c *call) matches(text string) (operand, error) {
	l, f, _, err := c.listAndLambda()
	if err != nil {
		return operand{}, err
	}
	n, err := c.r.template(text, callNode("list_transform", l.node, f))
	if err != nil {
		return operand{}, err
	}
	// The array itself being null makes the answer null.
	test, err := c.r.template(`CASE WHEN "@1" IS NOT NULL THEN "@2" END`, l.node, n)
	return operand{node: test, typ: tBool}, err
}

// reduce(array, start, (s, x) -> s, s -> result).
func reduce(c *call) (operand, error) {
	l, err := c.r.asList(c.args[0], c.loc)
	if err != nil {
		return operand{}, err
	}
	step, _, err := c.lambda(2, c.args[1].typ, l.typ.element())
	if err != nil {
		return operand{}, err
	}
	last, t, err := c.lambda(3, c.args[1].typ)
	if err != nil {
		return operand{}, err
	}
	acc, err := c.fold(l, step, c.args[1])
	if err != nil {
		return operand{}, err
	}
	// A list of one element gives the last lambda its argument.
	n, err := c.r.template(`"@1"[1]`, callNode("list_transform", callNode("list_value", acc), last))
	return operand{node: n, typ: t}, err
}

// fold is a list_reduce whose state need not be of the elements' type: DuckDB's
// must. The state travels in a pair with an element then.
func (c *call) fold(l operand, step node, start operand) (node, error) {
	if k := start.typ.kind; k == l.typ.element().kind && (k == kInt || k == kText || k == kBool) {
		return callNode("list_reduce", l.node, step, start.node), nil
	}
	lhs := nodes(obj(step, "lhs"), "children")
	body := replaceParam(obj(step, "expr"), strs(lhs[0], "column_names")[0], operatorNode("STRUCT_EXTRACT", columnNode("@p"), textNode("a")))
	body = replaceParam(body, strs(lhs[1], "column_names")[0], operatorNode("STRUCT_EXTRACT", columnNode("@q"), textNode("e")))
	return c.r.template(`list_reduce(
		list_transform("@1", lambda x: struct_pack(a := CASE WHEN false THEN "@2" END, e := x)),
		lambda "@p", "@q": struct_pack(a := "@3", e := "@q".e),
		struct_pack(a := "@2", e := CASE WHEN false THEN "@1"[1] END)).a`, l.node, start.node, body)
}

// zipWith(a, b, (x, y) -> …): the shorter array is filled up with nulls.
func zipWith(c *call) (operand, error) {
	a, err := c.r.asList(c.args[0], c.loc)
	if err != nil {
		return operand{}, err
	}
	b, err := c.r.asList(c.args[1], c.loc)
	if err != nil {
		return operand{}, err
	}
	f, t, err := c.lambda(2, a.typ.element(), b.typ.element())
	if err != nil {
		return operand{}, err
	}
	// The parameters become the members of each pair.
	lhs := nodes(obj(f, "lhs"), "children")
	body := obj(f, "expr")
	for i, p := range lhs {
		body = replaceParam(body, strs(p, "column_names")[0], operatorNode("ARRAY_EXTRACT", columnNode("@pair"), intNode(int64(i+1))))
	}
	f["lhs"], f["expr"] = columnNode("@pair"), body
	return operand{node: callNode("list_transform", callNode("list_zip", a.node, b.node), f), typ: listOf(t)}, nil
}

// replaceParam puts an expression where a lambda's parameter was. An inner
// lambda that has a parameter of the same name keeps its own.
func replaceParam(v node, name string, with node) node {
	out, _ := replaceIn(v, name, with).(node)
	return out
}

func replaceIn(v any, name string, with node) any {
	switch v := v.(type) {
	case node:
		if str(v, "class") == "COLUMN_REF" {
			if n := strs(v, "column_names"); len(n) == 1 && strings.EqualFold(n[0], name) {
				return clone(with)
			}
		}
		if str(v, "class") == "LAMBDA" && hasParam(obj(v, "lhs"), name) {
			return v
		}
		for k, x := range v {
			v[k] = replaceIn(x, name, with)
		}
	case []any:
		for i, x := range v {
			v[i] = replaceIn(x, name, with)
		}
	}
	return v
}

func hasParam(lhs node, name string) bool {
	if n := strs(lhs, "column_names"); len(n) == 1 {
		return strings.EqualFold(n[0], name)
	}
	for _, p := range nodes(lhs, "children") {
		if n := strs(p, "column_names"); len(n) == 1 && strings.EqualFold(n[0], name) {
			return true
		}
	}
	return false
}

func flatten(c *call) (operand, error) {
	l, err := c.r.asList(c.args[0], c.loc)
	if err != nil {
		return operand{}, err
	}
	c.args[0] = l
	if e := l.typ.element(); e.kind == kJSON {
		inner, err := c.r.asList(operand{node: columnNode("e"), typ: e}, c.loc)
		if err != nil {
			return operand{}, err
		}
		n, err := c.r.template(`flatten(list_transform("@1", lambda e: "@2"))`, l.node, inner.node)
		return operand{node: n, typ: l.typ}, err
	}
	return c.template(`flatten("@1")`, l.typ.element())
}

// sequence makes an array of numbers, dates or times, of at most maxElements.
func sequence(c *call) (operand, error) {
	limit := strconv.Itoa(maxElements)
	fail := `error('sequence: more than ` + limit + ` elements')`
	k := c.args[0].typ.kind
	if k == kTime || k == kDate {
		if len(c.args) != 3 {
			if k != kDate {
				return operand{}, c.fault("a sequence of timestamps needs a step")
			}
			n, err := c.r.template(`to_days(1)`)
			if err != nil {
				return operand{}, err
			}
			c.args = append(c.args, operand{node: n, typ: typ{kind: kInterval}})
		}
		c.args[0], c.args[1] = asTime(c.args[0]), asTime(c.args[1])
		op, err := c.template(`generate_series("@1", CASE WHEN abs(epoch("@2") - epoch("@1")) > `+limit+` * abs(epoch("@3")) THEN `+fail+` ELSE "@2" END, "@3")`, listOf(tTime))
		if k == kDate && err == nil {
			op.node, err = c.r.template(`list_transform("@1", lambda t: CAST(t AS DATE))`, op.node)
			op.typ = listOf(tDate)
		}
		return op, err
	}
	if len(c.args) == 2 {
		return c.template(`generate_series(CAST("@1" AS BIGINT), CASE WHEN abs(CAST("@2" AS HUGEINT) - "@1") >= `+limit+` THEN `+fail+
			` ELSE CAST("@2" AS BIGINT) END, CASE WHEN "@2" < "@1" THEN -1 ELSE 1 END)`, listOf(tInt))
	}
	return c.template(`generate_series(CAST("@1" AS BIGINT), CASE WHEN abs(CAST("@2" AS HUGEINT) - "@1") >= `+limit+` * abs(CAST("@3" AS HUGEINT)) THEN `+fail+
		` ELSE CAST("@2" AS BIGINT) END, CAST("@3" AS BIGINT))`, listOf(tInt))
}
