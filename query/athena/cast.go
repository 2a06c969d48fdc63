package athena

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"trailward/query/plan"
)

var spacedOffset = regexp.MustCompile(` +([+-][0-9]{1,2}(:?[0-9]{2})?)$`)

// CAST, TRY_CAST and typed literals.

func (r *rewriter) cast(n node, s *scope, loc int) (operand, error) {
	target := obj(n, "cast_type")
	try, _ := n["try_cast"].(bool)
	child, err := r.expr(obj(n, "child"), s, loc)
	if err != nil {
		return operand{}, err
	}
	info := obj(target, "type_info")
	id := str(target, "id")
	switch castType(target).kind {
	case kInt, kFloat, kDecimal, kDate, kTime:
		child = r.asDay(child, dayForm(operand{typ: castType(target)}), s)
	}
	if id == "UNBOUND" {
		switch strings.ToLower(str(info, "name")) {
		case "ipaddress":
			op, err := r.toIP(child)
			if err != nil {
				if try {
					return operand{node: castNode(constNode("NULL", nil), "UHUGEINT", false), typ: typ{kind: kIP}}, nil
				}
				return operand{}, r.fault(loc, "%v", err)
			}
			return op, nil
		case "ipprefix":
			return operand{}, r.src.fault(loc, "type ipprefix is not supported", "write contains('10.0.0.0/8', address)")
		case "json":
			return r.castJSON(child, try)
		case "string":
			return r.castTo(child, "VARCHAR", try)
		}
		if m := sizedText.FindStringSubmatch(str(info, "name")); m != nil {
			return r.castSized(child, m[1], m[2], try, loc)
		}
	}
	switch id {
	case "LIST", "MAP", "STRUCT":
		if op, ok := castElements(child, target); ok {
			return op, nil
		}
		if child.typ.kind == kJSON || child.typ.kind == kText || child.typ.kind == kStrict {
			child = strictJSON(child)
		}
		if err := r.timesInside(target, loc); err != nil {
			return operand{}, err
		}
		if child.typ.kind == kStrict && holdsRow(target) {
			out, err := r.castInside(child.node, target, 0)
			if err == nil && try {
				out = operatorNode("OPERATOR_TRY", out)
			}
			return operand{node: out, typ: castType(target)}, err
		}
		n["child"], n["query_location"] = child.node, noLocation
		t := castType(target)
		return operand{node: n, typ: t}, nil
	case "DECIMAL":
		if child.typ.kind == kStrict {
			child = operand{node: callNode(plan.MemberFunction, child.node, textNode(wholeValue)), typ: tText}
		}
		n["child"], n["query_location"] = child.node, noLocation
		return operand{node: n, typ: castType(target)}, nil
	}
	if id == "VARCHAR" && child.typ.kind == kIP {
		t, err := r.template(ipText, child.node)
		return operand{node: t, typ: tText}, err
	}
	if id == "INTERVAL" && isLiteral(child.node) || id != "INTERVAL" && id != "UNBOUND" {
		return r.castTo(child, id, try)
	}
	return operand{}, r.fault(loc, "a cast to %s is not supported", strings.ToLower(id))
}

// sizedText is the name that the lexer pass gives to types of text with a length.
var sizedText = regexp.MustCompile(`^(var)?char\(([0-9]+)\)$`)

// maxChar is the greatest length of Trino's char; varchar(n) has no bound here.
const maxChar = 65536

// castSized casts to varchar(n), with v, or char(n). Text that is too long is cut
// off, what is no text is an error then; char is filled up with blanks.
func (r *rewriter) castSized(child operand, v, digits string, try bool, loc int) (operand, error) {
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > 1<<31-2 || v == "" && n > maxChar {
		return operand{}, r.fault(loc, "the length of %schar(%s) is out of range", v, digits)
	}
	wasText := child.typ.textual()
	if child.typ.kind == kIP {
		if child.node, err = r.template(ipText, child.node); err != nil {
			return operand{}, err
		}
		child.typ = tText
	}
	op, err := r.castTo(child, "VARCHAR", try)
	if err != nil {
		return operand{}, err
	}
	op.typ = tText
	switch {
	case v == "":
		op.typ.padded = true
		op.node = callNode("rpad", op.node, intNode(int64(n)), textNode(" "))
	case wasText:
		op.node = callNode("substr", op.node, intNode(1), intNode(int64(n)))
	default:
		wrong := `CAST(CAST('the value is longer than varchar(` + digits + `)' || substr("@1", 1, 0) AS BIGINT) AS VARCHAR)`
		if try {
			wrong = "NULL"
		}
		op.node, err = r.template(`CASE WHEN length("@1") <= `+digits+` THEN "@1" ELSE `+wrong+` END`, op.node)
	}
	return op, err
}

// holdsRow says whether a type is a row, or an array of rows.
func holdsRow(target node) bool {
	switch info := obj(target, "type_info"); str(target, "id") {
	case "STRUCT":
		return true
	case "LIST":
		return holdsRow(obj(info, "child_type"))
	}
	return false
}

// castInside casts JSON to a type, going into its rows and arrays: DuckDB's cast to
// a row wants all of its fields, no others, and in their case. Trino finds fields in
// any case, or by place in an array, leaves out others, and takes null for those
// that are missing. depth is how many arrays are around it.
func (r *rewriter) castInside(value, target node, depth int) (node, error) {
	info := obj(target, "type_info")
	switch id := str(target, "id"); {
	case id == "STRUCT":
		var fields []node
		for i, c := range nodes(info, "child_types") {
			again, err := r.copy(value)
			if err != nil {
				return nil, err
			}
			ways := plan.Ways{{{Key: str(c, "first"), Fold: true}}, {{Element: true, Index: i}}}
			member := jsonCastNode(callNode(plan.ValueFunction, again, textNode(ways.String())), false)
			f, err := r.castInside(member, obj(c, "second"), depth)
			if err != nil {
				return nil, err
			}
			fields = append(fields, f)
		}
		row, whole := castNode(callNode("row", fields...), "", false), castNode(columnNode("@1"), "", false)
		row["cast_type"], whole["cast_type"] = target, target
		var err error
		if whole["child"], err = r.copy(value); err != nil {
			return nil, err
		}
		return r.template(`CASE WHEN json_type("@1") IN ('OBJECT', 'ARRAY') THEN "@2" ELSE "@3" END`, value, row, whole)
	case id == "LIST" && holdsRow(target):
		name := "@j" + itoa(depth)
		elem, err := r.castInside(jsonCastNode(columnNode(name), false), obj(info, "child_type"), depth+1)
		if err != nil {
			return nil, err
		}
		return r.template(`list_transform("@1", lambda "`+name+`": "@2")`, callNode(plan.ElementValuesFunction, value), elem)
	case id == "LIST", id == "MAP", id == "UNBOUND", id == "DECIMAL":
		op, ok := castElements(operand{node: value, typ: typ{kind: kStrict}}, target)
		if !ok {
			if id == "DECIMAL" {
				value = callNode(plan.MemberFunction, value, textNode(wholeValue))
			}
			op.node = castNode(value, "", false)
			op.node["cast_type"] = target
		}
		return op.node, nil
	default:
		op, err := r.castTo(operand{node: value, typ: typ{kind: kStrict}}, id, false)
		return op.node, err
	}
}

// castElements is a cast of JSON to an array of text or of JSON, whose elements
// are what stands in the text.
func castElements(child operand, target node) (operand, bool) {
	elem := obj(obj(target, "type_info"), "child_type")
	if str(target, "id") != "LIST" || child.typ.kind != kStrict {
		return operand{}, false
	}
	switch castType(elem).kind {
	case kText:
		return operand{node: callNode(plan.ElementsFunction, child.node), typ: listOf(tText)}, true
	case kStrict:
		n := castNode(callNode(plan.ElementValuesFunction, child.node), "", false)
		n["cast_type"] = target
		return operand{node: n, typ: castType(target)}, true
	}
	return operand{}, false
}

// castTo casts to a type that needs no parameters. Text that DuckDB would take
// and Trino does not is put into quotes, which DuckDB does not take: a function
// that fails would keep DuckDB from moving the cast, and from trying it.
func (r *rewriter) castTo(child operand, id string, try bool) (operand, error) {
	t := castType(node{"id": id})
	if child.typ.kind == kStrict && id != "VARCHAR" {
		text := callNode(plan.MemberFunction, child.node, textNode(wholeValue))
		if t.kind == kInt { // 1.5 in JSON is rounded, in text it is an error
			again, err := r.copy(child.node)
			if err != nil {
				return operand{}, err
			}
			if text, err = r.template(`CASE WHEN json_type("@1") = 'DOUBLE' THEN CAST(CAST(round(CAST("@2" AS DOUBLE)) AS HUGEINT) AS VARCHAR) ELSE "@2" END`, again, text); err != nil {
				return operand{}, err
			}
		}
		child = operand{node: text, typ: tText}
	}
	switch id {
	case "VARCHAR":
		switch {
		case child.typ.kind == kStrict: // the string itself, without quotes
			return operand{node: callNode(plan.MemberFunction, child.node, textNode(wholeValue)), typ: tText}, nil
		case child.typ.textual():
			return operand{node: castNode(child.node, "VARCHAR", try), typ: child.typ}, nil
		case child.typ.kind == kTime && (child.typ.zoned || !writtenTime(child.node)):
			// Milliseconds, and the zone where Athena's type has one; a literal has
			// what it is written with.
			f := "%Y-%m-%d %H:%M:%S.%g"
			if child.typ.zoned && !child.typ.clock {
				f += " UTC"
			}
			return operand{node: callNode("strftime", child.node, textNode(f)), typ: tText}, nil
		}
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT":
		switch child.typ.kind {
		case kText, kJSON:
			// DuckDB takes '1.5', ' 1' and '1e3' for whole numbers, too.
			n, err := r.template(`CASE WHEN regexp_full_match("@1", '[+-]?[0-9]+') THEN "@1" ELSE '"' || "@1" || '"' END`, child.node)
			if err != nil {
				return operand{}, err
			}
			child.node = n
		case kFloat: // half away from zero; DuckDB rounds halves to the even number
			child.node = callNode("round", child.node)
		}
	case "BOOLEAN":
		// DuckDB takes 'yes', 'no', 'y' and 'n', too. The parser makes true and
		// false of such casts.
		word, literal := constText(child.node)
		switch {
		case literal && !slices.Contains(truths, strings.ToLower(word)):
			child.node = textNode(`"` + word + `"`)
		case child.typ.textual() && !literal:
			n, err := r.template(`CASE WHEN lower("@1") IN ('true', 't', '1', 'false', 'f', '0') THEN "@1" ELSE '"' || "@1" || '"' END`, child.node)
			if err != nil {
				return operand{}, err
			}
			child.node = n
		}
	case "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE":
		if child.typ.textual() || child.typ.kind == kUnknown {
			// Through the type with a zone: DuckDB's cast to TIMESTAMP drops an
			// offset without a word. It wants no space before one, unlike Trino.
			if t, ok := constText(child.node); ok {
				child.node = textNode(spacedOffset.ReplaceAllString(t, "$1"))
			}
			return operand{node: utc(castNode(child.node, "TIMESTAMP WITH TIME ZONE", try)), typ: t}, nil
		}
		t.clock = child.typ.clock
		return operand{node: castNode(child.node, "TIMESTAMP", try), typ: t}, nil
	case "DATE":
		if child.typ.textual() && !isLiteral(child.node) {
			// '2020-01-01T10:00:00Z' is a date too.
			return operand{node: castNode(utc(castNode(child.node, "TIMESTAMP WITH TIME ZONE", try)), "DATE", try), typ: t}, nil
		}
	case "FLOAT":
		id = "DOUBLE"
	}
	return operand{node: castNode(child.node, id, try), typ: t}, nil
}

// writtenTime says whether a time is one that is written out: its text is cast.
func writtenTime(n node) bool {
	if args := nodes(n, "children"); str(n, "function_name") == "timezone" && len(args) == 2 {
		n = args[1]
	}
	return str(n, "class") == "CAST" && isLiteral(obj(n, "child"))
}

// truths are the texts that Trino casts to boolean.
var truths = []string{"true", "t", "1", "false", "f", "0"}

// castJSON is CAST(x AS JSON): text becomes a JSON string, but what is JSON
// already stays what it is.
func (r *rewriter) castJSON(child operand, try bool) (operand, error) {
	t := typ{kind: kStrict, keys: child.typ.keys}
	switch child.typ.kind {
	case kStrict:
		return child, nil
	case kText:
		// JSON '[1]' is the same tree as CAST('[1]' AS JSON): an array or object
		// that is written out is meant as one.
		if t, ok := constText(child.node); ok && strings.HasPrefix(strings.TrimSpace(t), "{") || ok && strings.HasPrefix(strings.TrimSpace(t), "[") {
			return operand{node: jsonCastNode(child.node, try), typ: typ{kind: kStrict}}, nil
		}
	case kJSON:
		n, err := r.template(`coalesce(TRY_CAST("@1" AS JSON), to_json("@1"))`, child.node)
		return operand{node: n, typ: t}, err
	case kNull:
		return operand{node: jsonCastNode(child.node, try), typ: t}, nil
	}
	return operand{node: callNode("to_json", child.node), typ: t}, nil
}

// timesInside refuses, inside a compound type, the types that need more than a
// plain cast.
func (r *rewriter) timesInside(t node, loc int) error {
	info := obj(t, "type_info")
	if str(t, "id") == "TIMESTAMP WITH TIME ZONE" {
		t["id"] = "TIMESTAMP"
	}
	if str(t, "id") == "UNBOUND" && strings.ToLower(str(info, "name")) != "json" {
		return r.fault(loc, "type %s inside another type is not supported", str(info, "name"))
	}
	if c := obj(info, "child_type"); c != nil {
		return r.timesInside(c, loc)
	}
	for _, c := range nodes(info, "child_types") {
		if err := r.timesInside(obj(c, "second"), loc); err != nil {
			return err
		}
	}
	return nil
}
