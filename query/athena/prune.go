package athena

import (
	gomath "math" // math is a kind of function here
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"trailward/query/plan"
)

// What a query says about the records of one table, so that parts of the store
// in which no record can pass need not be read.
//
// It is taken from the condition of the SELECT that has the table in its FROM,
// after it was rewritten: there each name is a column of a scan, and what is
// compared as what is written out. A row that fails this condition is in no row
// of the SELECT, whatever joins it takes part in: all tests here are false for a
// missing value, so a row that an outer join makes for the lack of it fails too.
// Whatever is not surely understood is left out.

// narrow notes what a condition says about the relations of its own FROM.
func (r *rewriter) narrow(cond node, s *scope, rels []*relation) {
	if r.types != nil || cond == nil {
		return // the first pass has seen it
	}
	r.narrowBy(andList(cond, nil), s, rels, false, nil)
}

// narrowBy notes what conditions that all hold say about some relations of a
// scope: those of its own SELECT, or with below those of SELECTs above it, by way
// of the WITH entries of via.
func (r *rewriter) narrowBy(list []node, s *scope, rels []*relation, below bool, via []*with) {
	p := pruner{s: s}
	for _, rel := range rels {
		if rel.scan == nil {
			r.narrowBelow(list, rel, via)
			continue
		}
		var preds []plan.Predicate
		for _, c := range list {
			if atoms, ok := p.any(c, rel); ok && len(atoms) > 0 {
				preds = append(preds, plan.Predicate{Any: atoms})
			}
		}
		if a, ok := p.calendar(list, rel); ok {
			preds = append(preds, plan.Predicate{Any: []plan.Atom{a}})
		}
		if len(preds) == 0 {
			continue
		}
		note := func() {
			if slices.ContainsFunc(via, func(w *with) bool { return w.refs != 1 }) {
				return // what one reference leaves out, another may show
			}
			rel.scan.preds = append(rel.scan.preds, preds...)
			rel.scan.narrowed = rel.scan.narrowed || below
		}
		if len(via) == 0 {
			note()
		} else {
			r.later = append(r.later, note) // when all references are counted
		}
	}
}

// Predicates gives what is known about the records of a scan that can matter to
// the answer: see [plan.Query.PredicatesOf].
func (q *Query) Predicates(scan int) []plan.Predicate { return q.preds[scan] }

// Conditional reports whether anything in the query chooses among the records:
// if not, all of them match.
func (q *Query) Conditional() bool { return q.conditional }

// conditional looks for what chooses among rows.
func conditional(v any) bool {
	switch v := v.(type) {
	case node:
		for k, x := range v {
			switch k {
			case "where_clause", "having", "qualify", "condition", "sample":
				if x != nil {
					return true
				}
			}
			if conditional(x) {
				return true
			}
		}
	case []any:
		for _, x := range v {
			if conditional(x) {
				return true
			}
		}
	}
	return false
}

type pruner struct{ s *scope }

func isConjunction(n node, typ string) bool {
	return str(n, "class") == "CONJUNCTION" && str(n, "type") == "CONJUNCTION_"+typ
}

// andList takes a condition apart at its ANDs.
func andList(n node, out []node) []node {
	if !isConjunction(n, "AND") {
		return append(out, n)
	}
	for _, c := range nodes(n, "children") {
		out = andList(c, out)
	}
	return out
}

// any gives tests of which one holds for every record of the relation that can
// make the condition true.
func (p *pruner) any(n node, rel *relation) (out []plan.Atom, ok bool) {
	switch {
	case isConjunction(n, "OR"):
		for _, c := range nodes(n, "children") {
			a, ok := p.any(c, rel)
			if !ok {
				return nil, false
			}
			out = append(out, a...)
		}
		return out, len(out) > 0
	case isConjunction(n, "AND"):
		list := andList(n, nil)
		if a, ok := p.calendar(list, rel); ok {
			return []plan.Atom{a}, true
		}
		// One that can be said is enough, but times are known best.
		for _, c := range list {
			a, ok := p.any(c, rel)
			if !ok || len(a) == 0 {
				continue
			}
			if a[0].Op == plan.AtomSpan && len(out) > 0 && out[0].Op == plan.AtomSpan && len(a) == 1 && len(out) == 1 && a[0].Field.Key() == out[0].Field.Key() {
				out[0].Span = out[0].Span.Meet(a[0].Span)
			} else if len(out) == 0 || a[0].Op == plan.AtomSpan && out[0].Op != plan.AtomSpan {
				out = a
			}
		}
		return out, len(out) > 0
	}
	return p.atoms(n, rel)
}

// atoms says one test.
func (p *pruner) atoms(n node, rel *relation) ([]plan.Atom, bool) {
	one := func(a plan.Atom, ok bool) ([]plan.Atom, bool) { return []plan.Atom{a}, ok }
	switch str(n, "class") {
	case "COMPARISON":
		l, r := obj(n, "left"), obj(n, "right")
		op := strings.TrimPrefix(str(n, "type"), "COMPARE_")
		if a, ok := p.compare(op, l, r, rel); ok {
			return one(a, true)
		}
		turned := map[string]string{"EQUAL": "EQUAL", "LESSTHAN": "GREATERTHAN", "GREATERTHAN": "LESSTHAN", "LESSTHANOREQUALTO": "GREATERTHANOREQUALTO", "GREATERTHANOREQUALTO": "LESSTHANOREQUALTO"}[op]
		return one(p.compare(turned, r, l, rel))
	case "BETWEEN":
		x, lo, hi := obj(n, "input"), obj(n, "lower"), obj(n, "upper")
		if a, ok := p.subnet(x, lo, hi, rel); ok {
			return one(a, true)
		}
		a, okA := p.compare("GREATERTHANOREQUALTO", x, lo, rel)
		b, okB := p.compare("LESSTHANOREQUALTO", x, hi, rel)
		if okA && okB && a.Op == plan.AtomSpan && b.Op == plan.AtomSpan {
			a.Span = a.Span.Meet(b.Span)
			return one(a, true)
		}
	case "OPERATOR":
		if str(n, "type") != "COMPARE_IN" {
			break
		}
		args := nodes(n, "children")
		if len(args) < 2 {
			break
		}
		var out []plan.Atom
		for _, x := range args[1:] {
			if isNull(x) {
				continue
			}
			a, ok := p.compare("EQUAL", args[0], x, rel)
			if !ok {
				return nil, false
			}
			if k := len(out) - 1; k >= 0 && a.Op == plan.AtomEqual && out[k].Op == plan.AtomEqual && a.Exact == out[k].Exact && a.Cast == out[k].Cast && !a.Cast {
				out[k].Values = append(out[k].Values, a.Values...)
			} else {
				out = append(out, a)
			}
		}
		return out, len(out) > 0
	case "FUNCTION":
		return one(p.function(n, rel))
	case "COLUMN_REF":
		c, ok := p.column(n, rel)
		if !ok || !c.holds {
			break
		}
		if text, fold, _ := c.ref().Holds(); !fold {
			return one(plan.Atom{Field: recordField.Ref, Op: plan.AtomContains, Values: []string{text}}, true)
		}
	}
	return nil, false
}

// checked takes off what a cast has around its argument to fail as Trino does:
// CASE WHEN it can be read THEN x ELSE text that cannot END. Such a cast gives
// what x gives, or nothing.
func checked(n node) node {
	if str(n, "class") != "CASE" {
		return n
	}
	fails := func(e node) bool {
		if isNull(e) || str(e, "function_name") == "error" {
			return true
		}
		for str(e, "class") == "FUNCTION" && str(e, "function_name") == "||" {
			args := nodes(e, "children")
			if len(args) == 0 {
				return false
			}
			e = args[0]
		}
		t, ok := constText(e)
		return ok && t == `"`
	}
	checks := nodes(n, "case_checks")
	if len(checks) == 0 || !fails(obj(n, "else_expr")) {
		return n
	}
	for _, c := range checks[1:] {
		if !fails(obj(c, "then_expr")) {
			return n
		}
	}
	return obj(checks[0], "then_expr")
}

// column finds what column of the relation a node is.
func (p *pruner) column(n node, rel *relation) (*column, bool) {
	names := strs(n, "column_names")
	if str(n, "class") != "COLUMN_REF" || len(names) != 2 || names[0] != rel.alias {
		return nil, false
	}
	for _, x := range p.s.rels {
		if x != rel && strings.EqualFold(x.alias, rel.alias) {
			return nil, false
		}
	}
	c := rel.scan.used[names[1]]
	return c, c != nil
}

// text is the text column that a node is; casts of text to text change nothing.
func (p *pruner) text(n node, rel *relation) (plan.FieldRef, bool) {
	if str(n, "class") == "CAST" && str(obj(n, "cast_type"), "id") == "VARCHAR" {
		n = obj(n, "child")
	}
	c, ok := p.column(n, rel)
	if !ok || c.calc != nil || c.typ.kind != kText && c.typ.kind != kJSON {
		return plan.FieldRef{}, false
	}
	return c.ref(), true
}

// usable says whether a literal can be looked for: text that is no UTF-8 in a
// record shows as U+FFFD in the column.
func usable(s string) bool { return s != "" && !strings.ContainsRune(s, '\uFFFD') }

// function says a test that is a function.
func (p *pruner) function(n node, rel *relation) (a plan.Atom, ok bool) {
	args := nodes(n, "children")
	if len(args) != 2 {
		return a, false
	}
	f, ok := p.text(args[0], rel)
	lit, isText := constText(args[1])
	if !ok || !isText {
		return a, false
	}
	switch str(n, "function_name") {
	case "~~":
		if !strings.ContainsAny(lit, "%_") {
			return plan.Atom{Field: f, Op: plan.AtomEqual, Values: []string{lit}, Exact: true}, usable(lit)
		}
		if span, ok := prefixSpan(lit, f, rel); ok {
			return plan.Atom{Field: f, Op: plan.AtomSpan, Span: span}, true
		}
		best := longestPart(lit)
		return plan.Atom{Field: f, Op: plan.AtomContains, Values: []string{best}}, usable(best)
	case "regexp_matches":
		return plan.Atom{Field: f, Op: plan.AtomMatch, Values: []string{lit}}, usable(lit)
	case "starts_with", "contains", "suffix", "ends_with":
		return plan.Atom{Field: f, Op: plan.AtomContains, Values: []string{lit}}, usable(lit)
	}
	return a, false
}

// compare says x op y where y is a constant.
func (p *pruner) compare(op string, x, y node, rel *relation) (a plan.Atom, ok bool) {
	switch op {
	case "EQUAL", "LESSTHAN", "GREATERTHAN", "LESSTHANOREQUALTO", "GREATERTHANOREQUALTO":
	default:
		return a, false
	}
	if a, ok := p.moment(op, x, y, rel); ok {
		return a, true
	}
	// strpos(column, 'text') > 0
	if str(x, "class") == "FUNCTION" && str(x, "function_name") == "strpos" {
		if i, ok := constInt(y); ok && (op == "GREATERTHAN" && i >= 0 || (op == "EQUAL" || op == "GREATERTHANOREQUALTO") && i > 0) {
			if args := nodes(x, "children"); len(args) == 2 {
				f, isField := p.text(args[0], rel)
				lit, isText := constText(args[1])
				return plan.Atom{Field: f, Op: plan.AtomContains, Values: []string{lit}}, isField && isText && usable(lit)
			}
		}
		return a, false
	}
	if op != "EQUAL" {
		return a, false
	}
	if f, ok := p.text(x, rel); ok {
		lit, isText := constText(y)
		if isText && usable(lit) && f.Key() != "@message" {
			// Where the records have numbers, a field that only they name is one, and
			// is compared as such.
			c, _ := p.column(x, rel)
			_, err := strconv.ParseFloat(strings.TrimSpace(lit), 64)
			cast := err == nil && (c == nil || c.found)
			return plan.Atom{Field: f, Op: plan.AtomEqual, Values: []string{lit}, Exact: !cast, Cast: cast}, true
		}
	}
	// A number: a column that is one, or a cast to one.
	for str(x, "class") == "CAST" {
		switch str(obj(x, "cast_type"), "id") {
		case "DOUBLE", "BIGINT", "INTEGER":
		default:
			return a, false
		}
		x = checked(obj(x, "child"))
	}
	c, ok := p.column(x, rel)
	if !ok || c.calc != nil || c.sys != "" || c.typ.kind != kInt && c.typ.kind != kText && c.typ.kind != kJSON {
		return a, false
	}
	if c.typ.kind != kInt && isTextNode(y) {
		return a, false // a comparison of text, which is above
	}
	num, ok := constNumber(y)
	if !ok {
		return a, false
	}
	return plan.Atom{Field: c.ref(), Op: plan.AtomEqual, Values: []string{strconv.FormatFloat(num, 'f', -1, 64)}, Cast: true}, true
}

func isTextNode(n node) bool { _, ok := constText(n); return ok }

// constNumber is the number that a constant is, or that its text is.
func constNumber(n node) (float64, bool) {
	for str(n, "class") == "CAST" {
		switch str(obj(n, "cast_type"), "id") {
		case "DOUBLE", "BIGINT", "INTEGER":
		default:
			return 0, false
		}
		n = checked(obj(n, "child"))
	}
	if i, ok := constInt(n); ok {
		return float64(i), gomath.Abs(float64(i)) < 1<<53
	}
	if t, ok := constText(n); ok {
		f, err := strconv.ParseFloat(strings.TrimSpace(t), 64)
		return f, err == nil && gomath.Abs(f) < 1<<53
	}
	return 0, false
}

// subnet says that an address lies in a network: what is made of
// contains('10.0.0.0/8', address).
func (p *pruner) subnet(x, lo, hi node, rel *relation) (a plan.Atom, ok bool) {
	from, okFrom := addressConst(lo)
	to, okTo := addressConst(hi)
	if !okFrom || !okTo {
		return a, false
	}
	// The address is read from one column, again and again in one expression.
	refs := map[string]node{}
	gatherColumns(x, refs)
	if len(refs) != 1 {
		return a, false
	}
	for _, n := range refs {
		f, isField := p.text(n, rel)
		if !isField || f.Key() == "@message" || !madeAddress(x) {
			return a, false
		}
		prefix, isPrefix := prefixOf(from, to)
		return plan.Atom{Field: f, Op: plan.AtomSubnet, Values: []string{prefix}}, isPrefix
	}
	return a, false
}

// madeAddress says whether an expression is what ipNumber makes: a list of one,
// transformed, of which the first is taken.
func madeAddress(n node) bool {
	for str(n, "class") == "OPERATOR" && str(n, "type") == "ARRAY_EXTRACT" {
		args := nodes(n, "children")
		if len(args) == 0 {
			return false
		}
		n = args[0]
	}
	return str(n, "class") == "FUNCTION" && str(n, "function_name") == "list_transform"
}

func gatherColumns(v any, into map[string]node) {
	switch v := v.(type) {
	case node:
		if names := strs(v, "column_names"); str(v, "class") == "COLUMN_REF" {
			if len(names) > 1 { // one name is a lambda's parameter
				into[strings.Join(names, "\x00")] = v
			}
			return
		}
		for _, x := range v {
			gatherColumns(x, into)
		}
	case []any:
		for _, x := range v {
			gatherColumns(x, into)
		}
	}
}

// addressConst reads what ipConst makes.
func addressConst(n node) (a [2]uint64, ok bool) {
	t, isText := constText(obj(n, "child"))
	if str(n, "class") != "CAST" || str(obj(n, "cast_type"), "id") != "UHUGEINT" || !isText || t == "" || len(t) > 39 {
		return a, false
	}
	for i := range len(t) {
		if t[i] < '0' || t[i] > '9' {
			return a, false
		}
		h1, l1 := bits.Mul64(a[1], 10)
		_, h2 := bits.Mul64(a[0], 10)
		var carry uint64
		a[1], carry = bits.Add64(l1, uint64(t[i]-'0'), 0)
		a[0] = h2 + h1 + carry
	}
	return a, true
}

// prefixOf writes a range as a network, if it is one.
func prefixOf(from, to [2]uint64) (string, bool) {
	n := bits.LeadingZeros64(from[0] ^ to[0])
	if n == 64 {
		n += bits.LeadingZeros64(from[1] ^ to[1])
	}
	var b [16]byte
	for i := range 8 {
		b[i], b[8+i] = byte(from[0]>>(56-8*i)), byte(from[1]>>(56-8*i))
	}
	addr := netip.AddrFrom16(b)
	if addr.Is4In6() && n >= 96 {
		addr, n = addr.Unmap(), n-96
	}
	p, err := addr.Prefix(n)
	return p.String(), err == nil
}
