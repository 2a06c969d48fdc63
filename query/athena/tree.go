package athena

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// node is one object of the tree that DuckDB's json_serialize_sql gives.
// Numbers are json.Number, so that they go back exactly as they came.
type node = map[string]any

func itoa(i int) string { return strconv.Itoa(i) }

// parseTree reads json_serialize_sql's answer. A syntax error comes back as a
// *plan.Error with its place in the text.
func parseTree(src *source, text string) (node, error) {
	root, err := decodeTree(text)
	if err != nil {
		return nil, err
	}
	if failed, _ := root["error"].(bool); failed {
		return nil, syntaxError(src, root)
	}
	return root, nil
}

func decodeTree(text string) (node, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var root node
	if err := dec.Decode(&root); err != nil {
		return nil, fmt.Errorf("read syntax tree: %w", err)
	}
	if root == nil {
		return nil, errors.New("read syntax tree: no object")
	}
	return root, nil
}

// syntaxError makes an error of what the parser said. Its position counts
// characters, unlike the query_location of a node, which counts bytes.
func syntaxError(src *source, root node) error {
	msg := str(root, "error_message")
	if msg == "" {
		msg = "the text cannot be parsed"
	}
	if strings.Contains(msg, "Only SELECT statements") {
		hint := ""
		if f := strings.Fields(src.text); len(f) > 0 && strings.EqualFold(f[0], "EXPLAIN") {
			hint = "trailward sql --explain tells what a SELECT becomes and reads"
		}
		return src.fault(0, "only SELECT and WITH … SELECT can be run", hint)
	}
	if strings.Contains(msg, "NOT IMPLEMENTED") { // of the parser's own making
		return src.fault(-1, "the text cannot be parsed", "of LIMIT m, n Trino's form is OFFSET m LIMIT n")
	}
	off := -1
	if p, err := strconv.Atoi(str(root, "position")); err == nil && p >= 0 {
		off = 0
		for n := range src.sql {
			if p == 0 {
				off = n
				break
			}
			p--
			off = len(src.sql)
		}
	}
	if i := strings.IndexByte(msg, '\n'); i >= 0 {
		msg = msg[:i]
	}
	hint := ""
	if strings.Contains(msg, `at or near "SELECT"`) || strings.Contains(msg, `at or near "select"`) {
		hint = "one question holds one statement"
	} else if off >= 0 {
		hint = syntaxHint(src.sql, off)
	}
	return src.fault(off, msg, hint)
}

// clauses are the words that begin a clause, or go before one.
var clauses = []string{"SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "HAVING", "LIMIT", "WITH", "JOIN", "UNION", "BETWEEN", "DISTINCT"}

// syntaxHint says what may have been meant where the parser stopped: a clause
// that is misspelt, there or just before, or one of two words that is missing.
func syntaxHint(sql string, off int) string {
	words := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return !(r == '_' || r >= 0x80 || r < 0x80 && wordPart(byte(r))) })
	}
	var last string
	if w := words(sql[:off]); len(w) > 0 {
		last = w[len(w)-1]
	}
	here := ""
	if w := words(sql[off:]); len(w) > 0 && strings.HasPrefix(sql[off:], w[0]) {
		here = w[0]
	}
	before := strings.ToUpper(sql[:off])
	switch {
	case strings.Contains(before, "MATCH_RECOGNIZE"):
		return "MATCH_RECOGNIZE is not supported"
	case strings.EqualFold(here, "WITH") && strings.Contains(before, "FETCH"):
		return "FETCH … WITH TIES is not supported: choose by rank() OVER (…) of a subquery"
	case strings.HasPrefix(sql[off:], ":") && (strings.Contains(before, "JSON_OBJECT") || strings.Contains(before, "JSON_ARRAY")):
		return "json_object('a': 1) is not supported: write CAST(map(ARRAY['a'], ARRAY[1]) AS json)"
	case strings.EqualFold(last, "ORDER"), strings.EqualFold(last, "GROUP"):
		return "expected BY"
	case strings.EqualFold(last, "TOP"):
		return "write LIMIT at the end"
	case last == "" && (strings.EqualFold(here, "fields") || strings.EqualFold(here, "filter") || strings.EqualFold(here, "stats") || strings.EqualFold(here, "parse")):
		return "this looks like Logs Insights QL, which has a command and an address of its own: trailward query, POST /v1/query"
	}
	for _, w := range []string{here, last} {
		if len(w) < 4 {
			continue
		}
		for _, c := range clauses {
			if first, _, _ := strings.Cut(c, " "); strings.EqualFold(first, w) {
				w = ""
				break
			}
		}
		if n := nearest(strings.ToUpper(w), clauses); w != "" && n != "" {
			return "did you mean " + n + "?"
		}
	}
	switch {
	case off >= len(sql):
		return "the text ends too early"
	case sql[off] == '(' && last != "":
		return "expected a comma before " + last + ", or an operator"
	}
	return ""
}

// str gives a member as text, or "".
func str(n node, key string) string {
	switch v := n[key].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// obj gives a member as an object, or nil.
func obj(n node, key string) node {
	v, _ := n[key].(node)
	return v
}

// list gives a member as a list, or nil.
func list(n node, key string) []any {
	v, _ := n[key].([]any)
	return v
}

// nodes gives the objects of a list member.
func nodes(n node, key string) []node {
	var out []node
	for _, v := range list(n, key) {
		if o, ok := v.(node); ok {
			out = append(out, o)
		}
	}
	return out
}

// strs gives the strings of a list member.
func strs(n node, key string) []string {
	var out []string
	for _, v := range list(n, key) {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// location gives a node's byte offset in the parsed text, or outer if it has
// none of its own.
func location(n node, outer int) int {
	v, ok := n["query_location"].(json.Number)
	if !ok {
		return outer
	}
	i, err := strconv.ParseInt(v.String(), 10, 64)
	if err != nil {
		return outer // 2^64-1 says that there is none
	}
	return int(i)
}

// clone copies a node with all below it.
func clone(v any) any {
	switch v := v.(type) {
	case node:
		out := make(node, len(v))
		for k, x := range v {
			out[k] = clone(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = clone(x)
		}
		return out
	}
	return v
}

// The location that says "none".
const noLocation = json.Number("18446744073709551615")

func columnNode(names ...string) node {
	l := make([]any, len(names))
	for i, n := range names {
		l[i] = n
	}
	return node{"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "query_location": noLocation, "column_names": l}
}

func constNode(typ string, value any) node {
	v := node{"type": node{"id": typ, "type_info": nil}, "is_null": value == nil}
	if value != nil {
		v["value"] = value
	}
	return node{"class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "", "query_location": noLocation, "value": v}
}

func textNode(s string) node { return constNode("VARCHAR", s) }

func intNode(i int64) node {
	t := "BIGINT"
	if i == int64(int32(i)) {
		t = "INTEGER" // as the parser has it
	}
	return constNode(t, json.Number(strconv.FormatInt(i, 10)))
}

func callNode(name string, args ...node) node {
	l := make([]any, len(args))
	for i, a := range args {
		l[i] = a
	}
	return node{
		"class": "FUNCTION", "type": "FUNCTION", "alias": "", "query_location": noLocation,
		"function_name": name, "schema": "", "catalog": "", "children": l, "filter": nil,
		"order_bys": node{"type": "ORDER_MODIFIER", "orders": []any{}},
		"distinct":  false, "is_operator": false, "export_state": false,
	}
}

func operatorCall(name string, a, b node) node {
	n := callNode(name, a, b)
	n["is_operator"] = true
	return n
}

func operatorNode(typ string, args ...node) node {
	l := make([]any, len(args))
	for i, a := range args {
		l[i] = a
	}
	return node{"class": "OPERATOR", "type": typ, "alias": "", "query_location": noLocation, "children": l}
}

func conjunction(typ string, args ...node) node {
	n := operatorNode(typ, args...)
	n["class"] = "CONJUNCTION"
	return n
}

// flattenConditions takes apart ANDs that stand in an AND and ORs in an OR. DuckDB's parser
// makes one of them whatever the brackets, so that a translation which puts a
// condition beside another would else be another tree than its text.
func flattenConditions(v any) {
	switch v := v.(type) {
	case node:
		for _, x := range v {
			flattenConditions(x)
		}
		if str(v, "class") != "CONJUNCTION" {
			return
		}
		var all []any
		for _, c := range list(v, "children") {
			// Its own are flat already: those below came first.
			if in, ok := c.(node); ok && str(in, "class") == "CONJUNCTION" && str(in, "type") == str(v, "type") {
				all = append(all, list(in, "children")...)
				continue
			}
			all = append(all, c)
		}
		v["children"] = all
	case []any:
		for _, x := range v {
			flattenConditions(x)
		}
	}
}

func castNode(child node, typ string, try bool) node {
	return node{
		"class": "CAST", "type": "OPERATOR_CAST", "alias": "", "query_location": noLocation,
		"child": child, "cast_type": node{"id": typ, "type_info": nil}, "try_cast": try,
	}
}

func jsonCastNode(child node, try bool) node {
	n := castNode(child, "UNBOUND", try)
	n["cast_type"] = node{"id": "UNBOUND", "type_info": node{
		"type": "UNBOUND_TYPE_INFO", "alias": "", "extension_info": nil, "name": "json",
		"catalog": "", "schema": "", "user_type_modifiers": []any{},
	}}
	return n
}

// constText gives the text of a VARCHAR constant.
func constText(n node) (string, bool) {
	if str(n, "class") != "CONSTANT" {
		return "", false
	}
	v := obj(n, "value")
	s, ok := v["value"].(string)
	return s, ok && str(obj(v, "type"), "id") == "VARCHAR"
}

// constInt gives the value of an integer constant, or of one with a minus.
func constInt(n node) (int64, bool) {
	if str(n, "class") == "FUNCTION" && str(n, "function_name") == "-" {
		if c := nodes(n, "children"); len(c) == 1 {
			i, ok := constInt(c[0])
			return -i, ok
		}
	}
	if str(n, "class") != "CONSTANT" {
		return 0, false
	}
	v := obj(n, "value")
	switch str(obj(v, "type"), "id") {
	case "INTEGER", "BIGINT":
		i, err := strconv.ParseInt(str(v, "value"), 10, 64)
		return i, err == nil
	}
	return 0, false
}

// isNull says whether n is the constant NULL.
func isNull(n node) bool {
	b, _ := obj(n, "value")["is_null"].(bool)
	return str(n, "class") == "CONSTANT" && b
}
