package athena

import (
	"fmt"
	"strconv"
	"strings"

	"trailward/query/plan"
)

// Functions of JSON. Athena's users hand them text (requestparameters is a
// string there) as well as values of type json; what is not JSON gives null,
// as in Trino.

var jsonFunctions = map[string]function{
	"json_extract":        {min: 2, max: 2, build: jsonExtract},
	"json_extract_scalar": {min: 2, max: 2, build: jsonExtractScalar},
	"json_value":          {min: 2, max: 2, build: jsonExtractScalar},
	"json_query":          {min: 2, max: 2, build: jsonExtract},
	"json_exists": {min: 2, max: 2, build: func(c *call) (operand, error) {
		if err := c.path(); err != nil {
			return operand{}, err
		}
		return c.template(`json_exists("@1", "@2")`, tBool)
	}},
	"json_size": {min: 2, max: 2, build: func(c *call) (operand, error) {
		if err := c.path(); err != nil {
			return operand{}, err
		}
		return c.template(`CASE json_type("@1", "@2") WHEN 'ARRAY' THEN CAST(json_array_length("@1", "@2") AS BIGINT) WHEN 'OBJECT' THEN len(json_keys("@1", "@2")) WHEN NULL THEN NULL ELSE CASE WHEN json_exists("@1", "@2") THEN 0 END END`, tInt)
	}},
	"json_array_length": {min: 1, max: 1, build: func(c *call) (operand, error) {
		c.args[0] = strictJSON(c.args[0])
		return c.template(`CASE WHEN json_type("@1") = 'ARRAY' THEN CAST(json_array_length("@1") AS BIGINT) END`, tInt)
	}},
	"json_array_get": {min: 2, max: 2, build: func(c *call) (operand, error) {
		i, ok := constInt(c.args[1].node)
		if !ok {
			return operand{}, c.fault("the index must be a constant number")
		}
		if i >= 0 {
			i++ // keys count from 1
		}
		return jsonValue(c.args[0], []key{{index: i, isInt: true}}), nil
	}},
	"json_array_contains": {min: 2, max: 2, build: func(c *call) (operand, error) {
		c.args[0] = strictJSON(c.args[0])
		if !isLiteral(c.args[1].node) || c.args[1].typ.kind == kText {
			return c.template(`CASE WHEN json_type("@1") = 'ARRAY' THEN list_contains(CAST("@1" AS JSON[]), to_json("@2")) END`, tBool)
		}
		return c.template(`CASE WHEN json_type("@1") = 'ARRAY' THEN list_contains(CAST("@1" AS VARCHAR[]), CAST("@2" AS VARCHAR)) END`, tBool)
	}},
	"json_parse": {min: 1, max: 1, build: func(c *call) (operand, error) {
		if c.args[0].typ.kind == kStrict {
			return c.args[0], nil
		}
		return operand{node: jsonCastNode(c.args[0].node, false), typ: typ{kind: kStrict, keys: c.args[0].typ.keys}}, nil
	}},
	"json_format": {min: 1, max: 1, build: func(c *call) (operand, error) {
		return operand{node: callNode(plan.ValueFunction, strictJSON(c.args[0]).node, textNode(wholeValue)), typ: tText}, nil
	}},
	"is_json_scalar": {min: 1, max: 1, build: func(c *call) (operand, error) {
		c.args[0] = strictJSON(c.args[0])
		return c.template(`json_type("@1") NOT IN ('ARRAY', 'OBJECT')`, tBool)
	}},
}

// strictJSON reads text as JSON; what is none becomes null.
func strictJSON(op operand) operand {
	if op.typ.kind == kStrict {
		return op
	}
	return operand{node: jsonCastNode(op.node, true), typ: typ{kind: kStrict, keys: op.typ.keys}}
}

// path reads the constant path that is the second argument and makes the first
// one JSON.
func (c *call) path() error {
	s, err := c.constArg(1, "the path")
	if err != nil {
		return err
	}
	p, _, err := convertPath(s)
	if err != nil {
		return c.fault("%v", err)
	}
	c.args[0], c.args[1] = strictJSON(c.args[0]), operand{node: textNode(p), typ: tText}
	return nil
}

func jsonExtract(c *call) (operand, error) {
	s, err := c.constArg(1, "the path")
	if err != nil {
		return operand{}, err
	}
	p, keys, err := convertPath(s)
	if err != nil {
		return operand{}, c.fault("%v", err)
	}
	if keys == nil {
		// With a wildcard DuckDB gives a list; Trino gives an array.
		c.args[0], c.args[1] = strictJSON(c.args[0]), operand{node: textNode(p), typ: tText}
		return c.template(`to_json(json_extract("@1", "@2"))`, typ{kind: kStrict, keys: c.args[0].typ.keys})
	}
	return jsonValue(c.args[0], keys), nil
}

// jsonValue is the JSON of a member as it stands in the text.
func jsonValue(op operand, keys []key) operand {
	v := callNode(plan.ValueFunction, strictJSON(op).node, textNode(jsonPath(typ{}, keys, false)))
	return operand{node: jsonCastNode(v, false), typ: typ{kind: kStrict, keys: op.typ.keys}}
}

// jsonExtractScalar gives text of a string, number or truth value; null for
// what is none.
func jsonExtractScalar(c *call) (operand, error) {
	s, err := c.constArg(1, "the path")
	if err != nil {
		return operand{}, err
	}
	_, keys, err := convertPath(s)
	if err != nil {
		return operand{}, c.fault("%v", err)
	}
	if keys == nil {
		return operand{}, c.fault("a path with * names no single value")
	}
	return operand{node: callNode(plan.ScalarFunction, strictJSON(c.args[0]).node, textNode(jsonPath(typ{}, keys, false))), typ: tText}, nil
}

// wholeValue is the way to a value itself.
const wholeValue = "[[]]"

// jsonPath writes keys as plan.Ways; with fold names have no case.
func jsonPath(t typ, keys []key, fold bool) string {
	way := make([]plan.Step, len(keys))
	for i, k := range keys {
		way[i].Key = k.name
		if s, ok := t.keys[strings.ToLower(k.name)]; ok {
			way[i].Key = s
		}
		if k.isInt {
			way[i] = plan.Step{Element: true, Index: int(k.index - 1)}
			if k.index < 0 {
				way[i].Index = int(k.index) // from the end
			}
		}
	}
	out := plan.Ways{way}
	if fold {
		out = out.Fold()
	}
	return out.String()
}

// convertPath reads a JSONPath as Trino has it ($.a.b[0]["c"][*], and the
// standard's "lax $…") and gives DuckDB's. keys are its steps, places from 1;
// nil when the path has a wildcard.
func convertPath(s string) (path string, keys []key, err error) {
	rest := strings.TrimSpace(s)
	for _, mode := range []string{"lax ", "strict "} {
		rest = strings.TrimSpace(strings.TrimPrefix(rest, mode))
	}
	bad := func(what string) (string, []key, error) {
		return "", nil, fmt.Errorf("path %q: %s", s, what)
	}
	if rest == "" {
		return bad("expected $")
	}
	if rest[0] == '$' {
		rest = rest[1:]
	} else if rest[0] != '[' && rest[0] != '.' {
		rest = "." + rest // Trino takes a path without $
	}
	keys = []key{}
	wild := false
	var b strings.Builder
	b.WriteByte('$')
	name := func(n string) error {
		if strings.ContainsAny(n, "\"\\") {
			return fmt.Errorf("path %q: a key with a quote or backslash is not supported", s)
		}
		b.WriteString(`."` + n + `"`)
		keys = append(keys, key{name: n})
		return nil
	}
	for rest != "" {
		switch {
		case strings.HasPrefix(rest, ".."):
			return bad(".. is not supported")
		case strings.HasPrefix(rest, ".*"), strings.HasPrefix(rest, "[*]"):
			wild = true
			if rest[0] == '.' {
				b.WriteString(".*")
				rest = rest[2:]
			} else {
				b.WriteString("[*]")
				rest = rest[3:]
			}
		case rest[0] == '.':
			rest = rest[1:]
			n := strings.IndexAny(rest, ".[")
			if strings.HasPrefix(rest, `"`) {
				end := strings.IndexByte(rest[1:], '"')
				if end < 0 {
					return bad("a quote is not closed")
				}
				if err := name(rest[1 : 1+end]); err != nil {
					return "", nil, err
				}
				rest = rest[end+2:]
				continue
			}
			if n < 0 {
				n = len(rest)
			}
			if n == 0 {
				return bad("expected a key after the dot")
			}
			if err := name(rest[:n]); err != nil {
				return "", nil, err
			}
			rest = rest[n:]
		case rest[0] == '[':
			end := strings.IndexByte(rest, ']')
			if len(rest) > 1 && (rest[1] == '"' || rest[1] == '\'') {
				q := strings.IndexByte(rest[2:], rest[1])
				if q < 0 || !strings.HasPrefix(rest[2+q+1:], "]") {
					return bad("a quote is not closed")
				}
				if err := name(rest[2 : 2+q]); err != nil {
					return "", nil, err
				}
				rest = rest[2+q+2:]
				continue
			}
			if end < 0 {
				return bad("expected ]")
			}
			inside := rest[1:end]
			rest = rest[end+1:]
			if i, err := strconv.ParseInt(inside, 10, 32); err == nil && i >= 0 {
				b.WriteString("[" + strconv.FormatInt(i, 10) + "]")
				keys = append(keys, key{index: i + 1, isInt: true})
				continue
			}
			if inside == "" || strings.ContainsAny(inside, "?@(),: ") {
				return bad("filters and ranges are not supported")
			}
			if err := name(inside); err != nil { // [key] without quotes
				return "", nil, err
			}
		default:
			return bad("expected . or [")
		}
	}
	if wild {
		keys = nil
	}
	return b.String(), keys, nil
}
