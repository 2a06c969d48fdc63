package athena

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// The guard. It walks a syntax tree against a closed description of what a
// tree may hold and refuses, by name, everything else: a node class or type
// that is not listed, a member that a listed node should not have, a value of
// the wrong shape. It is run twice: over the tree that DuckDB made of the
// user's text, and over the tree that DuckDB makes of the text that we are
// about to run, so that a fault in the printing of trees cannot open a way out.
//
// Default deny: a new version of DuckDB that adds a node, a member or a value
// makes queries fail, never pass.

// shape says what a member of a node may be.
type shape uint8

const (
	anyScalar   shape = iota // text, number, true, false, null: names and flags
	expr                     // an expression
	exprOrNil                // an expression or null
	exprs                    // a list of expressions
	orders                   // a list of {type, null_order, expression}
	orderMod                 // {type: ORDER_MODIFIER, orders}
	cases                    // a list of {when_expr, then_expr}
	rows                     // a list of lists of expressions
	queryNode                // SELECT_NODE or SET_OPERATION_NODE
	statement                // {node, named_param_map}
	tableRef                 // a table reference
	modifiers                // a list of ORDER, LIMIT and DISTINCT modifiers
	ctes                     // {map: [{key, value}]}
	logicalType              // a type
	constant                 // a constant's value
	names                    // a list of names
	indexes                  // a list of lists of numbers
	sample                   // null or what TABLESAMPLE says
	empty                    // null, "", false or an empty list: a feature that is refused
)

// exprShapes lists the expression classes and their members, beside class,
// type, alias and query_location.
var exprShapes = map[string]map[string]shape{
	"COLUMN_REF":  {"column_names": names},
	"CONSTANT":    {"value": constant},
	"FUNCTION":    {"function_name": anyScalar, "schema": anyScalar, "catalog": empty, "children": exprs, "filter": exprOrNil, "order_bys": orderMod, "distinct": anyScalar, "is_operator": anyScalar, "export_state": empty},
	"OPERATOR":    {"children": exprs},
	"COMPARISON":  {"left": expr, "right": expr},
	"CONJUNCTION": {"children": exprs},
	"BETWEEN":     {"input": expr, "lower": expr, "upper": expr},
	"CAST":        {"child": expr, "cast_type": logicalType, "try_cast": anyScalar},
	"CASE":        {"case_checks": cases, "else_expr": expr},
	"SUBQUERY":    {"subquery_type": anyScalar, "subquery": statement, "child": exprOrNil, "comparison_type": anyScalar},
	"WINDOW": {"function_name": anyScalar, "schema": anyScalar, "catalog": empty, "children": exprs, "partitions": exprs, "orders": orders,
		"start": anyScalar, "end": anyScalar, "start_expr": exprOrNil, "end_expr": exprOrNil, "offset_expr": exprOrNil, "default_expr": exprOrNil,
		"ignore_nulls": anyScalar, "filter_expr": exprOrNil, "exclude_clause": anyScalar, "distinct": anyScalar, "arg_orders": orders},
	"STAR": {"relation_name": anyScalar, "exclude_list": empty, "replace_list": empty, "columns": empty, "expr": empty,
		"qualified_exclude_list": empty, "rename_list": empty},
	"LAMBDA": {"lhs": expr, "expr": expr, "syntax_type": anyScalar},
}

// exprTypes lists the types that an expression class may have.
var exprTypes = map[string][]string{
	"COLUMN_REF": {"COLUMN_REF"}, "CONSTANT": {"VALUE_CONSTANT"}, "FUNCTION": {"FUNCTION"}, "BETWEEN": {"COMPARE_BETWEEN"},
	"CAST": {"OPERATOR_CAST"}, "CASE": {"CASE_EXPR"}, "SUBQUERY": {"SUBQUERY"}, "STAR": {"STAR"}, "LAMBDA": {"LAMBDA"},
	"OPERATOR": {"OPERATOR_NOT", "OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL", "COMPARE_IN", "COMPARE_NOT_IN", "OPERATOR_COALESCE",
		"OPERATOR_TRY", "ARRAY_EXTRACT", "ARRAY_SLICE", "STRUCT_EXTRACT", "ARRAY_CONSTRUCTOR", "GROUPING_FUNCTION"},
	"COMPARISON": {"COMPARE_EQUAL", "COMPARE_NOTEQUAL", "COMPARE_LESSTHAN", "COMPARE_GREATERTHAN", "COMPARE_LESSTHANOREQUALTO",
		"COMPARE_GREATERTHANOREQUALTO", "COMPARE_DISTINCT_FROM", "COMPARE_NOT_DISTINCT_FROM"},
	"CONJUNCTION": {"CONJUNCTION_AND", "CONJUNCTION_OR"},
	"WINDOW": {"WINDOW_AGGREGATE", "WINDOW_ROW_NUMBER", "WINDOW_RANK", "WINDOW_RANK_DENSE", "WINDOW_PERCENT_RANK", "WINDOW_CUME_DIST",
		"WINDOW_NTILE", "WINDOW_FIRST_VALUE", "WINDOW_LAST_VALUE", "WINDOW_NTH_VALUE", "WINDOW_LEAD", "WINDOW_LAG"},
}

// refShapes lists the table references and their members, beside type, alias,
// sample and query_location.
var refShapes = map[string]map[string]shape{
	"BASE_TABLE":      {"sample": sample, "schema_name": anyScalar, "table_name": anyScalar, "catalog_name": anyScalar, "column_name_alias": names, "at_clause": empty},
	"SUBQUERY":        {"sample": sample, "subquery": statement, "column_name_alias": names},
	"EXPRESSION_LIST": {"expected_names": empty, "expected_types": empty, "values": rows},
	"TABLE_FUNCTION":  {"function": expr, "column_name_alias": names, "with_ordinality": anyScalar},
	"EMPTY":           {},
	"JOIN": {"left": tableRef, "right": tableRef, "condition": exprOrNil, "join_type": anyScalar, "ref_type": anyScalar, "using_columns": names,
		"delim_flipped": empty, "duplicate_eliminated_columns": empty},
}

// queryShapes lists the query nodes and their members, beside type, modifiers
// and cte_map.
var queryShapes = map[string]map[string]shape{
	"SELECT_NODE": {"select_list": exprs, "from_table": tableRef, "where_clause": exprOrNil, "group_expressions": exprs, "group_sets": indexes,
		"aggregate_handling": anyScalar, "having": exprOrNil, "sample": empty, "qualify": exprOrNil},
	// An entry of WITH RECURSIVE, and nowhere else: see rewriter.query.
	"RECURSIVE_CTE_NODE": {"cte_name": anyScalar, "union_all": anyScalar, "left": queryNode, "right": queryNode, "aliases": names, "key_targets": empty},
	"SET_OPERATION_NODE": {"setop_type": anyScalar, "left": queryNode, "right": queryNode, "setop_all": anyScalar},
}

// plainTypes are the types that stand for themselves in a cast.
var plainTypes = []string{"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
	"UHUGEINT", "FLOAT", "DOUBLE", "VARCHAR", "BLOB", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS",
	"TIMESTAMP WITH TIME ZONE", "INTERVAL", "UUID", "NULL"}

// namedTypes are the types that DuckDB's parser leaves as a name.
var namedTypes = []string{"json", "ipaddress", "ipprefix", "string", "uhugeint"}

// Limits of one query. They hold for what the user wrote and for what it
// becomes.
const (
	// MaxText is the longest query, in bytes. Athena's limit is the same.
	MaxText = 262144
	// maxDepth is how deep a tree may be nested.
	maxDepth = 600
	// maxNodes is how many objects a tree may have.
	maxNodes = 400000
)

// guard is one walk.
type guard struct {
	src *source
	// function says why a function may not be called, or "".
	function func(name string) string
	// table says why a table may not be read, or "". Nil leaves tables to the
	// resolution of names.
	table func(name string) string
	count int
}

// check walks a whole tree of json_serialize_sql.
func (g *guard) check(root node) error {
	stmts := list(root, "statements")
	for k := range root {
		if k != "error" && k != "statements" {
			return g.fault(-1, "unknown member %q of the syntax tree", k)
		}
	}
	if len(stmts) != 1 {
		return g.fault(-1, "%d statements; one question holds one statement", len(stmts))
	}
	return g.value(stmts[0], statement, "statement", -1, 0)
}

func (g *guard) fault(loc int, format string, args ...any) error {
	return g.src.fault(loc, fmt.Sprintf(format, args...), "")
}

// object checks that v is an object whose members are those of want, of base,
// and no others, and gives it.
func (g *guard) object(v any, what string, loc, depth int) (node, error) {
	o, ok := v.(node)
	if !ok {
		return nil, g.fault(loc, "malformed syntax tree at %s", what)
	}
	if g.count++; g.count > maxNodes {
		return nil, g.fault(loc, "the query is too large: more than %d parts", maxNodes)
	}
	if depth > maxDepth {
		return nil, g.fault(loc, "the query is nested more than %d deep", maxDepth)
	}
	return o, nil
}

// members checks an object's members by shape. Members that are absent have
// their default, unless they are required.
func (g *guard) members(o node, loc, depth int, tables ...map[string]shape) error {
	keys := make([]string, 0, len(o))
	for k := range o {
		keys = append(keys, k)
	}
	sort.Strings(keys) // so that the same query gets the same error
next:
	for _, k := range keys {
		for _, t := range tables {
			if s, ok := t[k]; ok {
				if err := g.value(o[k], s, k, loc, depth+1); err != nil {
					return err
				}
				continue next
			}
		}
		return g.fault(loc, "unknown member %q of %s in the syntax tree", k, describe(o))
	}
	for _, t := range tables {
		for k, s := range t {
			if _, have := o[k]; !have && slices.Contains(required, s) {
				return g.fault(loc, "%s without %s in the syntax tree", describe(o), k)
			}
		}
	}
	return nil
}

// required are the shapes of members that cannot be absent.
var required = []shape{expr, queryNode, statement, tableRef, logicalType, constant}

func describe(o node) string {
	for _, k := range []string{"class", "type"} {
		if s, ok := o[k].(string); ok && s != "" {
			return s
		}
	}
	return "a node"
}

var exprBase = map[string]shape{"class": anyScalar, "type": anyScalar, "alias": anyScalar, "query_location": anyScalar}
var refBase = map[string]shape{"type": anyScalar, "alias": anyScalar, "sample": empty, "query_location": anyScalar}
var queryBase = map[string]shape{"type": anyScalar, "modifiers": modifiers, "cte_map": ctes}

// each checks the elements of a list.
func (g *guard) each(v any, what string, loc int, fn func(any) error) error {
	l, ok := v.([]any)
	if !ok {
		return g.fault(loc, "malformed syntax tree at %s", what)
	}
	for _, x := range l {
		if err := fn(x); err != nil {
			return err
		}
	}
	return nil
}

// refused names, for people, the features that are members which must be empty.
var refused = map[string]string{
	"sample": "TABLESAMPLE", "at_clause": "AT (time travel)", "exclude_list": "EXCLUDE", "qualified_exclude_list": "EXCLUDE",
	"replace_list": "REPLACE", "rename_list": "RENAME", "columns": "COLUMNS()", "expr": "COLUMNS()", "catalog": "a function with a catalog",
	"named_param_map": "parameters", "export_state": "EXPORT_STATE", "user_type_modifiers": "a type with modifiers",
	"schema": "a type with a schema", "key_targets": "USING KEY",
}

func (g *guard) value(v any, s shape, what string, loc, depth int) error {
	switch s {
	case anyScalar:
		switch v.(type) {
		case nil, string, bool, json.Number:
			return nil
		}
		return g.fault(loc, "malformed syntax tree at %s", what)
	case empty:
		switch v := v.(type) {
		case nil:
			return nil
		case string:
			if v == "" {
				return nil
			}
		case bool:
			if !v {
				return nil
			}
		case []any:
			if len(v) == 0 {
				return nil
			}
		case node:
			if len(v) == 0 {
				return nil
			}
		}
		name := refused[what]
		if name == "" {
			name = what
		}
		return g.fault(loc, "%s is not supported", name)
	case names:
		return g.each(v, what, loc, func(x any) error {
			if _, ok := x.(string); !ok {
				return g.fault(loc, "malformed syntax tree at %s", what)
			}
			return nil
		})
	case indexes:
		return g.each(v, what, loc, func(x any) error {
			return g.each(x, what, loc, func(y any) error {
				if _, ok := y.(json.Number); !ok {
					return g.fault(loc, "malformed syntax tree at %s", what)
				}
				return nil
			})
		})
	case sample:
		if v == nil {
			return nil
		}
		o, err := g.object(v, what, loc, depth)
		if err != nil {
			return err
		}
		return g.members(o, loc, depth, map[string]shape{"sample_size": constant, "is_percentage": anyScalar, "method": anyScalar, "seed": anyScalar})
	case exprOrNil:
		if v == nil {
			return nil
		}
		return g.expression(v, what, loc, depth)
	case expr:
		return g.expression(v, what, loc, depth)
	case exprs:
		return g.each(v, what, loc, func(x any) error { return g.expression(x, what, loc, depth) })
	case rows:
		return g.each(v, what, loc, func(x any) error { return g.value(x, exprs, what, loc, depth+1) })
	case cases:
		return g.each(v, what, loc, func(x any) error {
			o, err := g.object(x, what, loc, depth)
			if err != nil {
				return err
			}
			return g.members(o, loc, depth, map[string]shape{"when_expr": expr, "then_expr": expr})
		})
	case orders:
		return g.each(v, what, loc, func(x any) error {
			o, err := g.object(x, what, loc, depth)
			if err != nil {
				return err
			}
			return g.members(o, loc, depth, map[string]shape{"type": anyScalar, "null_order": anyScalar, "expression": expr})
		})
	case orderMod:
		o, err := g.object(v, what, loc, depth)
		if err != nil {
			return err
		}
		return g.members(o, loc, depth, map[string]shape{"type": anyScalar, "orders": orders})
	case modifiers:
		return g.each(v, what, loc, func(x any) error { return g.modifier(x, what, loc, depth) })
	case ctes:
		o, err := g.object(v, what, loc, depth)
		if err != nil {
			return err
		}
		for k := range o {
			if k != "map" {
				return g.fault(loc, "unknown member %q of %s", k, what)
			}
		}
		return g.each(o["map"], what, loc, func(x any) error { return g.cte(x, loc, depth) })
	case statement:
		o, err := g.object(v, what, loc, depth)
		if err != nil {
			return err
		}
		if _, ok := o["node"]; !ok {
			return g.fault(loc, "malformed syntax tree at %s", what)
		}
		return g.members(o, loc, depth, map[string]shape{"node": queryNode, "named_param_map": empty})
	case queryNode:
		return g.query(v, what, loc, depth)
	case tableRef:
		return g.ref(v, what, loc, depth)
	case logicalType:
		return g.typ(v, loc, depth)
	case constant:
		return g.constant(v, loc, depth)
	}
	return g.fault(loc, "malformed syntax tree at %s", what)
}

func (g *guard) expression(v any, what string, loc, depth int) error {
	o, err := g.object(v, what, loc, depth)
	if err != nil {
		return err
	}
	loc = location(o, loc)
	class, typ := str(o, "class"), str(o, "type")
	shapes, ok := exprShapes[class]
	if !ok {
		return g.fault(loc, "%s expressions are not supported", strings.ToLower(strings.ReplaceAll(class, "_", " ")))
	}
	if !slices.Contains(exprTypes[class], typ) {
		return g.fault(loc, "%s is not supported", strings.ToLower(strings.ReplaceAll(typ, "_", " ")))
	}
	if class == "FUNCTION" || class == "WINDOW" {
		if s := str(o, "schema"); s != "" && s != "main" {
			return g.fault(loc, "function %s.%s is not known", s, str(o, "function_name"))
		}
		if why := g.function(strings.ToLower(str(o, "function_name"))); why != "" {
			return g.src.fault(loc, fmt.Sprintf("function %q is not known", str(o, "function_name")), why)
		}
	}
	return g.members(o, loc, depth, shapes, exprBase)
}

func (g *guard) modifier(v any, what string, loc, depth int) error {
	o, err := g.object(v, what, loc, depth)
	if err != nil {
		return err
	}
	base := map[string]shape{"type": anyScalar}
	switch t := str(o, "type"); t {
	case "ORDER_MODIFIER":
		return g.members(o, loc, depth, base, map[string]shape{"orders": orders})
	case "LIMIT_MODIFIER":
		return g.members(o, loc, depth, base, map[string]shape{"limit": exprOrNil, "offset": exprOrNil})
	case "DISTINCT_MODIFIER":
		if len(list(o, "distinct_on_targets")) > 0 {
			return g.fault(loc, "DISTINCT ON is not supported")
		}
		return g.members(o, loc, depth, base, map[string]shape{"distinct_on_targets": empty})
	case "LIMIT_PERCENT_MODIFIER":
		return g.fault(loc, "LIMIT with a percentage is not supported")
	default:
		return g.fault(loc, "query modifier %q is not supported", t)
	}
}

func (g *guard) cte(v any, loc, depth int) error {
	o, err := g.object(v, "cte", loc, depth)
	if err != nil {
		return err
	}
	for k := range o {
		if k != "key" && k != "value" {
			return g.fault(loc, "unknown member %q of a WITH entry", k)
		}
	}
	if _, ok := o["key"].(string); !ok {
		return g.fault(loc, "malformed syntax tree at WITH")
	}
	val, err := g.object(o["value"], "cte", loc, depth+1)
	if err != nil {
		return err
	}
	return g.members(val, loc, depth+1, map[string]shape{"aliases": names, "query": statement, "materialized": anyScalar, "key_targets": empty})
}

func (g *guard) query(v any, what string, loc, depth int) error {
	o, err := g.object(v, what, loc, depth)
	if err != nil {
		return err
	}
	t := str(o, "type")
	shapes, ok := queryShapes[t]
	if !ok {
		return g.fault(loc, "query node %q is not supported", t)
	}
	switch t {
	case "SELECT_NODE":
		if h := str(o, "aggregate_handling"); h != "" && h != "STANDARD_HANDLING" {
			return g.fault(loc, "GROUP BY ALL is not supported")
		}
	case "SET_OPERATION_NODE":
		if !slices.Contains([]string{"UNION", "EXCEPT", "INTERSECT"}, str(o, "setop_type")) {
			return g.fault(loc, "set operation %q is not supported", str(o, "setop_type"))
		}
	}
	return g.members(o, loc, depth, shapes, queryBase)
}

func (g *guard) ref(v any, what string, loc, depth int) error {
	o, err := g.object(v, what, loc, depth)
	if err != nil {
		return err
	}
	loc = location(o, loc)
	t := str(o, "type")
	shapes, ok := refShapes[t]
	if !ok {
		return g.fault(loc, "%s in FROM is not supported", strings.ReplaceAll(strings.TrimSuffix(t, "_REF"), "_", " "))
	}
	switch t {
	case "BASE_TABLE":
		if g.table != nil {
			if why := g.table(str(o, "table_name")); why != "" {
				return g.fault(loc, "table %q: %s", str(o, "table_name"), why)
			}
			if str(o, "schema_name") != "" || str(o, "catalog_name") != "" {
				return g.fault(loc, "table %q has a schema", str(o, "table_name"))
			}
		}
	case "TABLE_FUNCTION":
		f := obj(o, "function")
		name := str(f, "function_name")
		if str(f, "class") != "FUNCTION" || !strings.EqualFold(name, "unnest") || str(f, "schema") != "" && str(f, "schema") != "main" {
			return g.src.fault(loc, fmt.Sprintf("table function %q is not known", name), "only UNNEST makes rows")
		}
		if obj(f, "filter") != nil || len(list(obj(f, "order_bys"), "orders")) > 0 {
			return g.fault(loc, "UNNEST takes no FILTER and no ORDER BY")
		}
		if w := str(o, "with_ordinality"); w != "" && w != "WITHOUT_ORDINALITY" && w != "WITH_ORDINALITY" {
			return g.fault(loc, "%q is not supported", w)
		}
	case "JOIN":
		if !slices.Contains([]string{"INNER", "LEFT", "RIGHT", "OUTER", "FULL"}, str(o, "join_type")) {
			return g.fault(loc, "%s JOIN is not supported", str(o, "join_type"))
		}
		if !slices.Contains([]string{"REGULAR", "CROSS"}, str(o, "ref_type")) {
			return g.fault(loc, "%s JOIN is not supported", str(o, "ref_type"))
		}
	}
	return g.members(o, loc, depth, shapes, refBase)
}

func (g *guard) typ(v any, loc, depth int) error {
	o, err := g.object(v, "type", loc, depth)
	if err != nil {
		return err
	}
	for k := range o {
		if k != "id" && k != "type_info" {
			return g.fault(loc, "unknown member %q of a type", k)
		}
	}
	id := str(o, "id")
	info := obj(o, "type_info")
	if info == nil {
		if slices.Contains(plainTypes, id) {
			return nil
		}
		return g.fault(loc, "type %s is not supported", id)
	}
	kind := str(info, "type")
	base := map[string]shape{"type": anyScalar, "alias": empty, "extension_info": empty}
	switch {
	case id == "DECIMAL" && kind == "DECIMAL_TYPE_INFO":
		return g.members(info, loc, depth, base, map[string]shape{"width": anyScalar, "scale": anyScalar})
	case (id == "LIST" || id == "MAP") && kind == "LIST_TYPE_INFO":
		return g.members(info, loc, depth, base, map[string]shape{"child_type": logicalType})
	case id == "STRUCT" && kind == "STRUCT_TYPE_INFO":
		for k := range info {
			if k != "type" && k != "alias" && k != "extension_info" && k != "child_types" {
				return g.fault(loc, "unknown member %q of a type", k)
			}
		}
		return g.each(info["child_types"], "type", loc, func(x any) error {
			c, err := g.object(x, "type", loc, depth)
			if err != nil {
				return err
			}
			return g.members(c, loc, depth, map[string]shape{"first": anyScalar, "second": logicalType})
		})
	case id == "UNBOUND" && kind == "UNBOUND_TYPE_INFO":
		if name := str(info, "name"); !slices.Contains(namedTypes, strings.ToLower(name)) && !sizedText.MatchString(name) {
			return g.fault(loc, "type %q is not known", str(info, "name"))
		}
		return g.members(info, loc, depth, base, map[string]shape{"name": anyScalar, "catalog": empty, "schema": empty, "user_type_modifiers": empty})
	}
	return g.fault(loc, "type %s is not supported", id)
}

func (g *guard) constant(v any, loc, depth int) error {
	o, err := g.object(v, "constant", loc, depth)
	if err != nil {
		return err
	}
	for k, x := range o {
		switch k {
		case "type":
			if err := g.typ(x, loc, depth+1); err != nil {
				return err
			}
		case "is_null":
			if err := g.value(x, anyScalar, k, loc, depth); err != nil {
				return err
			}
		case "value":
			if big, ok := x.(node); ok { // a HUGEINT in two halves
				if err := g.members(big, loc, depth+1, map[string]shape{"upper": anyScalar, "lower": anyScalar}); err != nil {
					return err
				}
				continue
			}
			if err := g.value(x, anyScalar, k, loc, depth); err != nil {
				return err
			}
		default:
			return g.fault(loc, "unknown member %q of a constant", k)
		}
	}
	return nil
}
