package athena

import (
	"slices"
	"time"

	"trailward/query/plan"
)

// How values of one kind become values of another where Athena's users expect
// it, without a cast being written.

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
		return operand{node: callNode(plan.ElementsFunction, strictJSON(op).node), typ: listOf(typ{kind: kJSON, keys: op.typ.keys})}, nil
	}
	return op, r.fault(loc, "an array was expected")
}

// coerce makes two operands comparable as Athena's users expect: text with a
// number compares as a number, with a time as a time. Text that cannot be read
// so is null, unless it is a constant: then the query is wrong.
func coerce(a, b operand) (operand, operand) {
	if a.typ.textual() && b.typ.textual() && (a.typ.padded || b.typ.padded) {
		a.node, b.node = callNode("rtrim", a.node, textNode(" ")), callNode("rtrim", b.node, textNode(" "))
		a.typ.padded, b.typ.padded = false, false
		return a, b
	}
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

// comparable refuses what Athena refuses and what is no doubt a slip: text, or a
// time, compared with a number. Fields of which only the records know the type,
// text that is written out, and the partition columns are no text in that sense.
func (r *rewriter) comparable(a, b operand, loc int) error {
	if !b.typ.numeric() {
		a, b = b, a
	}
	if !b.typ.numeric() || isLiteral(a.node) {
		return nil
	}
	what := ""
	switch a.typ.kind {
	case kText:
		what = "text"
		if r.isPartition(a.node) {
			return nil
		}
	case kTime, kDate:
		what = "a time"
	default:
		return nil
	}
	at := firstPlace(b.node)
	if at < 0 {
		at = loc
	}
	hint := "write CAST(… AS bigint) around the text, or quotes around the number"
	if a.typ.kind != kText {
		hint = "write timestamp '2024-05-31 10:00:00', or from_unixtime(1717149600)"
	}
	if str(b.node, "function_name") == "-" && len(nodes(b.node, "children")) == 2 {
		hint = "a day goes into quotes: '2024-05-31'"
	}
	return r.src.fault(at, what+" is compared with a number", hint)
}

// isPartition says whether a node is a column that is made of the event time.
func (r *rewriter) isPartition(n node) bool {
	names := strs(n, "column_names")
	if len(names) != 2 {
		return false
	}
	return slices.ContainsFunc(r.scans, func(s *scan) bool {
		c := s.used[names[1]]
		return s.alias == names[0] && c != nil && c.calc != nil
	})
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
